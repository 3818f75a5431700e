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

/* What is read behind a block, to know whether something special is in it. */
#define SPECIAL_AHEAD 2

/* A walk over what is plain in a text, that is, the same in its shadow. */
typedef struct PlainWalk
{
	const unsigned char *text;
	size_t		len;
	size_t		pos;			/* of a block: all before was read */
	unsigned char *out;			/* the shadow; NULL if none is written */
	size_t		to;				/* so far, */
	ShadowBlock *blocks;		/* and where from; NULL if nobody asks */
} PlainWalk;

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
	 * Goes on over blocks in which nothing may be special, as long as there
	 * are SPECIAL_AHEAD bytes behind.  Gives what may be in the next one, 0
	 * where there is none.
	 */
	uint64_t	(*plain) (PlainWalk *walk);
} Encoding;

/* Notes what a shadow has of a block, and how much before it. */
static inline void
NoteBlock(ShadowBlock *block, uint64_t kept, size_t before)
{
	block->kept = kept;
	block->before = before;
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
