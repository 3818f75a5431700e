/*
 * fuzz_insert_place.c
 *	  Any text as an INSERT: the walk stays inside of it and ends, and a name
 *	  is one that a column can have.
 */
/* links: src/core/insert_place.c */
#include "core/insert_place.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first two bytes say what is looked for; the text is all, or a list's end. */
static void
Try(const char *prefix, const uint8_t *data, size_t size)
{
	size_t		len = strlen(prefix);
	char	   *sql = malloc(len + size - 1);
	InsertTarget target = {0, 0};
	InsertPlace place;

	if (data[0] & 1)
		target.parameter = data[1];
	else
		target.character = (size_t) (data[0] >> 1) << 8 | data[1];
	memcpy(sql, prefix, len);
	memcpy(sql + len, data + 2, size - 2);
	sql[len + size - 2] = '\0';
	if (InsertPlaceFind(sql, &target, (data[0] & 2) != 0, &place) &&
		(place.number < 1 ||
		 memchr(place.name, '\0', sizeof(place.name)) == NULL ||
		 (place.name[0] != '\0' && strlen(sql) < strlen(place.name))))
		abort();
	free(sql);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	Try("", data, size);
	Try("INSERT INTO t (", data, size);
	Try("INSERT INTO t (a, \"b\") VALUES (", data, size);
	return 0;
}
