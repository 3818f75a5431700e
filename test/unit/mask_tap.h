/*
 * mask_tap.h
 *	  What unit tests of the scanner share: TAP, and memory from malloc.
 */
#ifndef MASK_TAP_H
#define MASK_TAP_H

#include <stdlib.h>

#include "mask/mask.h"
#include "tap.h"

static inline void *
Alloc(void *arg, size_t size)
{
	(void) arg;
	return malloc(size);
}

static inline void
Release(void *arg, void *chunk)
{
	(void) arg;
	free(chunk);
}

static uint64_t state = 88172645463325252u;

/* xorshift: the same texts on every run. */
static inline unsigned
Random(unsigned below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned) (state % below);
}

static const MaskOptions plain = {.allocator = {Alloc, Release, NULL}};

#endif							/* MASK_TAP_H */
