/*
 * test_insert_place.c
 *	  Which column of an INSERT a place in its text belongs to.
 */
/* links: src/core/insert_place.c */
#include "core/insert_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

/*
 * The text has a character ! where the error is, which is taken out.  name
 * NULL: the place is in no value; "": it is told by its number.
 */
static void
Case(const char *marked, int number, const char *name)
{
	char		sql[4096];
	const char *mark = strchr(marked, '!');
	InsertTarget target = {1, 0};
	InsertPlace place;
	bool		found;

	for (const char *at = marked; at < mark; at++)
		target.character += ((unsigned char) *at & 0xC0) != 0x80;
	snprintf(sql, sizeof(sql), "%.*s%s", (int) (mark - marked), marked,
			 mark + 1);
	found = InsertPlaceFind(sql, &target, strstr(sql, "\\'") != NULL, &place);
	if (name == NULL)
		Ok(!found, marked);
	else
		Ok(found && place.number == number &&
		   strcmp(place.name, name) == 0, marked);
}

static void
Parameter(const char *sql, int parameter, const char *name)
{
	InsertTarget target = {0, parameter};
	InsertPlace place;
	bool		found = InsertPlaceFind(sql, &target, false, &place);

	Ok(name == NULL ? !found : found && strcmp(place.name, name) == 0,
	   sql);
}

static void
TestPlaces(void)
{
	Case("INSERT INTO t (a, b) VALUES (1, !'x')", 2, "b");
	Case("insert into s.t as x(a,B,c)values(1,!'x',3)", 2, "b");
	Case("INSERT INTO t (a, b) VALUES (1, 2), (3, 4), (5, !'x')", 2, "b");
	Case("INSERT INTO t (a, b) VALUES (!'x', 2), (3, 4)", 1, "a");
	Case("INSERT INTO t VALUES (1, 2, !'x')", 3, "");
	Case("INSERT INTO \"t(,\" (\"A b\", \"c\"\"d\", \"e)\") VALUES (1, !'x', 3)", 2, "c\"d");
	Case("INSERT INTO t (a, b) VALUES (f(1, 2, g('),')), !'x')", 2, "b");
	Case("INSERT INTO t (a, b) VALUES (f(1, 2, !'x'), 3)", 1, "a");
	Case("INSERT INTO t (a, b) VALUES (ARRAY[1, 2], ARRAY[3, !'x'])", 2, "b");
	Case("INSERT INTO t (a.x, b[1], c) VALUES (1, 2, !'x')", 3, "c");
	Case("INSERT INTO t (a.x, b[1], c) VALUES (!'x', 2, 3)", 1, "a");
	Case("INSERT INTO t (a, b) OVERRIDING SYSTEM VALUE VALUES (1, !'x')", 2, "b");
	Case("INSERT INTO t (a, b) VALUES (DEFAULT, !'x') ON CONFLICT DO NOTHING", 2, "b");
	Case("INSERT INTO t (a, b) VALUES ('it''s, (', !'x')", 2, "b");
	Case("INSERT INTO t (a, b) VALUES (E'it\\', (', !'x')", 2, "b");
	Case("INSERT INTO t (a, b) VALUES ('it\\', (', !'x')", 2, "b");
	Case("INSERT INTO t (a, b) VALUES ($$', ($$, !'x')", 2, "b");
	Case("INSERT INTO t (a, b) VALUES ($q$', $$ (, $q$, !$q$x$q$)", 2, "b");
	Case("INSERT INTO t (a, /* , b ( /* */ */ c) VALUES (1, -- , (\n !'x')", 2, "c");
	Case("INSERT INTO t (a, b) VALUES (U&'\\0441, (', !'x')", 2, "b");
	Case("INSERT INTO t (U&\"a\", b) VALUES (!'x', 1)", 1, "");
	Case("INSERT INTO t (b, \xD0\xB6) VALUES ('\xD0\x96, \xE2\x82\xAC', !'x')", 2, "\xD0\xB6");
	Case("WITH w AS (INSERT INTO t (a) VALUES (!'x') RETURNING a) TABLE w", 1, "a");
	Case("WITH w AS (INSERT INTO t (a) VALUES (1) RETURNING a) INSERT INTO u (b) VALUES (!'x')", 1, "b");
	Case("INSERT INTO t (a) VALUES (1); INSERT INTO u (b, c) VALUES (1, !'x')", 2, "c");
	Case("EXPLAIN INSERT INTO t (a) VALUES (!'x')", 1, "a");
	Case("INSERT INTO t (a, b) SELECT 1, !'x'", 2, "b");
	Case("INSERT INTO t (a, b) SELECT DISTINCT ON (n, m) f(1, 2), !'x' FROM u", 2, "b");
}

static void
TestOthers(void)
{
	Case("SELECT !'x'", 0, NULL);
	Case("INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = !'x'", 0, NULL);
	Case("INSERT INTO t (a) VALUES (1) RETURNING !'x'", 0, NULL);
	Case("INSERT INTO t (a) SELECT 1 FROM u WHERE n = !'x'", 0, NULL);
	Case("INSERT INTO t (a) WITH w AS (SELECT !'x') TABLE w", 0, NULL);
	Case("INSERT INTO t DEFAULT VALUES; SELECT !'x'", 0, NULL);
	Case("UPDATE t SET a = !'x'", 0, NULL);
	Case("VALUES (1, !'x')", 0, NULL);
	Case("!INSERT INTO t (a) VALUES (1)", 0, NULL);
	Case("INSERT INTO t (a) VALUES (1)!", 0, NULL);
	Case("INSERT INTO t (a) VALUES ('open, !", 0, NULL);
	Case(")))) INSERT INTO t (a) VALUES (!'x')", 1, "a");
	Case("INSERT INTO t (a0123456789012345678901234567890123456789012345678901234567890123) VALUES (!'x')", 1, "");
}

static void
TestParameters(void)
{
	Parameter("INSERT INTO t (a, b) VALUES ($1, $2)", 2, "b");
	Parameter("INSERT INTO t (a, b) VALUES ($2, $1)", 2, "a");
	Parameter("INSERT INTO t (a, b) VALUES ($1, $12), ($3, $2::sql || 'x')", 2, "b");
	Parameter("INSERT INTO t (a, b) VALUES ('$2', a$2), ($q$ $2 $q$, 1)", 2, NULL);
	Parameter("INSERT INTO t (a) SELECT 1 WHERE $1", 1, NULL);
	Parameter("INSERT INTO t (a, b) SELECT $1, $2", 2, "b");
}

/* Too long, too deep, too many: no place, or one by its number. */
static void
TestLimits(void)
{
	size_t		size = INSERT_PLACE_TEXT + 100;
	char	   *sql = malloc(size);
	InsertTarget target = {0, 1};
	InsertPlace place;

	memset(sql, ' ', size);
	memcpy(sql, "INSERT INTO t (a) VALUES ($1)", 29);
	sql[size - 1] = '\0';
	Ok(!InsertPlaceFind(sql, &target, false, &place), "too long a text");
	sql[INSERT_PLACE_TEXT - 1] = '\0';
	Ok(InsertPlaceFind(sql, &target, false, &place), "one as long as may be");

	memset(sql, '(', 1000);
	strcpy(sql + 1000, "INSERT INTO t (a) VALUES ($1)");
	Ok(!InsertPlaceFind(sql, &target, false, &place), "too deep");

	strcpy(sql, "INSERT INTO t (c");
	for (int i = 0; i < 500; i++)
		strcat(sql, ",c");
	strcat(sql, ") VALUES (1");
	for (int i = 0; i < 400; i++)
		strcat(sql, ",1");
	strcat(sql, ",$1)");
	Ok(InsertPlaceFind(sql, &target, false, &place) &&
	   place.number == 402 && place.name[0] == '\0', "too many columns");
	free(sql);
}

int
main(void)
{
	TestPlaces();
	TestOthers();
	TestParameters();
	TestLimits();
	printf("1..%d\n", number);
	return failed == 0 ? 0 : 1;
}
