/*
 * mask_find.c
 *	  Finds personal data in texts from standard input, for accuracy.pl.
 *
 * Each record is a length in decimal, a newline and that many bytes.  For
 * each, a line with the number of findings and then one line per finding:
 * entity, start, end (in characters), score, validator.
 *
 * Linked with src/mask and src/core/sha256.c; accuracy.pl does it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mask/mask.h"

static void *
Alloc(void *arg, size_t size)
{
	(void) arg;
	return malloc(size);
}

static void
Release(void *arg, void *chunk)
{
	(void) arg;
	free(chunk);
}

/* Prints the findings of one text. */
static void
PrintHits(const MaskOptions *options, const char *text, size_t len)
{
	MaskHit    *hits;
	size_t		count;
	MaskStatus	status = MaskFind(options, text, len, &hits, &count);

	if (status > MASK_MASKED)
	{
		fprintf(stderr, "status %d\n", (int) status);
		exit(2);
	}
	MaskCharPositions(text, len, hits, count);
	printf("%zu\n", count);
	for (size_t i = 0; i < count; i++)
		printf("%s\t%zu\t%zu\t%.2f\t%s\n", MaskEntityName(hits[i].entity),
			   hits[i].start, hits[i].end, (double) hits[i].score,
			   hits[i].validator);
	fflush(stdout);
	free(hits);
}

int
main(void)
{
	MaskOptions options = {0};
	size_t		len;

	options.allocator.alloc = Alloc;
	options.allocator.release = Release;
	while (scanf("%zu", &len) == 1 && getchar() == '\n')
	{
		char	   *text = malloc(len + 1);

		if (text == NULL || fread(text, 1, len, stdin) != len)
			return 2;
		PrintHits(&options, text, len);
		free(text);
	}
	return ferror(stdout) ? 2 : 0;
}
