/*
 * insert_place.h
 *	  Which column of an INSERT a place in its text belongs to.
 */
#ifndef LLM_AUDIT_CORE_INSERT_PLACE_H
#define LLM_AUDIT_CORE_INSERT_PLACE_H

#include <stdbool.h>
#include <stddef.h>

/* Longest name of a column that is given, with its NUL. */
#define INSERT_PLACE_NAME 64

/* Longest text that is looked through, in bytes. */
#define INSERT_PLACE_TEXT (256 * 1024)

/* What is looked for: one of the two, the other is 0. */
typedef struct InsertTarget
{
	size_t		character;		/* of the text, from 1 */
	int			parameter;		/* $1, $2, ... */
} InsertTarget;

typedef struct InsertPlace
{
	int			number;			/* of the value in its row, from 1 */
	char		name[INSERT_PLACE_NAME];	/* empty: the INSERT lists none */
} InsertPlace;

/*
 * Finds the value, in a row of VALUES or in the list of a SELECT, that has the
 * target in it.  The text is
 * UTF-8, ends with NUL and is one that a parser has accepted; of any other
 * text nothing worse comes than a wrong place.  backslashes: a plain
 * string has escapes (standard_conforming_strings is off).  False if the
 * target is in no such value, or cannot be told.  Allocates nothing.
 */
extern bool InsertPlaceFind(const char *sql, const InsertTarget *target,
							bool backslashes, InsertPlace *place);

#endif
