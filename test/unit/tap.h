/*
 * tap.h
 *	  Lines of TAP, one for each check, for unit tests.
 */
#ifndef UNIT_TAP_H
#define UNIT_TAP_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int	number = 0;
static int	failed = 0;

/* One check; of a text of several lines the first is its name. */
static inline void
Ok(bool good, const char *what)
{
	printf("%sok %d - %.*s\n", good ? "" : "not ", ++number,
		   (int) strcspn(what, "\n"), what);
	failed += !good;
}

#endif							/* UNIT_TAP_H */
