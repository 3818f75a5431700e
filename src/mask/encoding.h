/*
 * encoding.h
 *	  What is asked of every byte of a text before it is scanned.
 *
 * Is it UTF-8?  There are variants for several machines; they differ in
 * speed only.
 */
#ifndef LLM_AUDIT_MASK_ENCODING_H
#define LLM_AUDIT_MASK_ENCODING_H

#include "mask/scan.h"

/* The bytes that are looked at at once. */
#define ENCODING_BLOCK 64

typedef struct Encoding
{
	/*
	 * How far a text is UTF-8 from pos on, where a character begins behind
	 * three bytes at least.  It ends before something that is wrong, or with
	 * the last whole block; and a character may be cut there.
	 */
	size_t		(*utf8) (const unsigned char *text, size_t pos, size_t len);
} Encoding;

/* The variant for a machine; NULL if this one can't do it. */
extern const Encoding *EncodingChoose(MaskSimd simd);

/* For tests: all later texts are looked at by this variant. */
extern bool EncodingSetSimd(MaskSimd simd);

#endif
