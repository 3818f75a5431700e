/*
 * record_tap.h
 *	  The little that the unit tests of src/record share: TAP lines, an arena
 *	  over malloc that is freed as a whole, and schemas for the mappers.
 */
#ifndef RECORD_TAP_H
#define RECORD_TAP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/format.h"

static int	tap_number = 0;
static int	tap_failed = 0;

#define OK(condition, name) TapLine((condition), (name), __FILE__, __LINE__)

static inline void
TapLine(bool fine, const char *name, const char *file, int line)
{
	printf("%s %d - %s\n", fine ? "ok" : "not ok", ++tap_number, name);
	if (!fine)
	{
		printf("#   at %s line %d\n", file, line);
		tap_failed++;
	}
}

static inline int
TapDone(void)
{
	printf("1..%d\n", tap_number);
	return tap_failed ? 1 : 0;
}

/* Memory of one test: a list of pieces, each after a pointer to the next. */
typedef struct Heap
{
	void	   *pieces;
	size_t		bytes;
	size_t		limit;			/* 0: none */
} Heap;

static inline void *
HeapAlloc(void *arg, size_t size)
{
	Heap	   *heap = arg;
	void	  **piece;

	if (heap->limit && heap->bytes + size > heap->limit)
		return NULL;
	piece = malloc(size + 16);
	*piece = heap->pieces;
	heap->pieces = piece;
	heap->bytes += size;
	return (char *) piece + 16;
}

static inline void
HeapFree(Heap *heap)
{
	while (heap->pieces)
	{
		void	   *next = *(void **) heap->pieces;

		free(heap->pieces);
		heap->pieces = next;
	}
	heap->bytes = 0;
}

static inline JsonArena
ArenaOver(Heap *heap)
{
	JsonArena	arena;

	memset(&arena, 0, sizeof(arena));
	arena.alloc = HeapAlloc;
	arena.arg = heap;
	return arena;
}

/* True if node is text (a string, number or literal) equal to expected. */
static inline bool
TextIs(const JsonNode *node, const char *expected)
{
	return node && node->text &&node->len == strlen(expected) &&
		memcmp(node->text, expected, node->len) == 0;
}

#endif
