/*
 * encoding.h
 *	  What is asked of every byte of a text before it is scanned.
 *
 * Is it UTF-8, and may a character begin there that the shadow has not as it
 * is?  There are variants for several machines; they differ in speed only.
 */
#ifndef LLM_AUDIT_MASK_ENCODING_H
#define LLM_AUDIT_MASK_ENCODING_H

#include "mask/scan.h"

/* The bytes that are looked at at once. */
#define ENCODING_BLOCK 64

/*
 * Blocks that are looked at for something special together, so that what one
 * has and another has not makes no difference, and what is read behind them.
 */
#define ENCODING_BATCH (4 * ENCODING_BLOCK)
#define SPECIAL_AHEAD 2

/* As many places are listed at once, so that a list mostly has many. */
#define SPECIAL_ENOUGH 16

/* A walk over what may be special in a text, that is, not so in its shadow. */
typedef struct SpecialWalk
{
	const unsigned char *text;
	size_t		len;
	size_t		next;			/* all before was looked at */
	size_t		count;
	size_t		list[SPECIAL_ENOUGH + ENCODING_BATCH + 2];	/* in order; see
															 * ListBits() */
} SpecialWalk;

typedef struct Encoding
{
	/*
	 * How far a text is UTF-8 from pos on, where a character begins behind
	 * three bytes at least.  It ends before something that is wrong, or with
	 * the last whole block; and a character may be cut there.
	 */
	size_t		(*utf8) (const unsigned char *text, size_t pos, size_t len);

	/*
	 * Where in a block something special may begin, a bit for each byte: what
	 * a shadow differs in is among it, and little else.
	 */
	uint64_t	(*special) (const unsigned char *block);

	/*
	 * Walks over whole batches with what is read behind them, and lists where
	 * in them something special may begin, until it is enough.
	 */
	void		(*batch) (SpecialWalk *walk);
} Encoding;

/*
 * Adds the places of bits to a walk's list, as those of bytes from base on.
 * Two are written whether they are there or not: mostly that is enough, and
 * takes no branch for each.
 */
static inline __attribute__((always_inline))
void
ListBits(SpecialWalk *walk, uint64_t bits, size_t base)
{
	size_t	   *list = walk->list + walk->count;

	walk->count += (size_t) __builtin_popcountll(bits);
	do
		for (int i = 0; i < 2; i++, bits &= bits - 1)
			*list++ = base + (size_t) __builtin_ctzll(bits | UINT64_C(1) << 63);
	while (bits != 0);
}

/* What this machine does best, unless a test has chosen. */
extern const Encoding *EncodingOf(void);

/*
 * Lead bytes whose characters may have another shadow.  Cyrillic, Latin, Greek
 * and Hebrew letters are not among them, nor most Chinese ones.
 */
extern const bool SpecialLead[256];

/* The variant for a machine; NULL if this one can't do it. */
extern const Encoding *EncodingChoose(MaskSimd simd);

/* For tests: all later texts are looked at by this variant. */
extern bool EncodingSetSimd(MaskSimd simd);

#endif
