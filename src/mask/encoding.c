/*
 * encoding.c
 *	  What is asked of every byte of a text before it is scanned: whether it is
 *	  UTF-8.
 *
 * The variants differ in instructions only, as those of classify.c do.  Vectors
 * look up the halves of each byte in tables of 16: what stands in the tables
 * of a pair of bytes, for the halves of the first and the higher half of the
 * second, has a bit in common where the pair is wrong, and that bit stands
 * for a way to be wrong.
 */
#include "mask/encoding.h"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define MASK_HAVE_X86
#include <immintrin.h>
#elif defined(__aarch64__)
#define MASK_HAVE_NEON
#include <arm_neon.h>
#endif

/*
 * True if nothing is wrong in a block, as far as it and the three bytes before
 * it tell: without a branch for each character, for many bytes at once.
 */
static inline bool
IsUtf8Block(const unsigned char *block)
{
	unsigned char wrong = 0;

	for (int i = 0; i < ENCODING_BLOCK; i++)
	{
		unsigned char c = block[i];
		unsigned char lead = block[i - 1];
		unsigned char follows = (lead >= 0xC0) | (block[i - 2] >= 0xE0) |
		(block[i - 3] >= 0xF0);

		wrong |= follows ^ ((c & 0xC0) == 0x80);
		wrong |= (c == 0xC0) | (c == 0xC1) | (c > 0xF4);
		/* longer than need be, surrogates, beyond U+10FFFF */
		wrong |= ((lead == 0xE0) & (c < 0xA0)) | ((lead == 0xED) & (c > 0x9F)) |
			((lead == 0xF0) & (c < 0x90)) | ((lead == 0xF4) & (c > 0x8F));
	}
	return wrong == 0;
}

/* True if there is a byte above 0x7F in a block. */
static inline bool
HasHigh(const unsigned char *block)
{
	unsigned char any = 0;

	for (int i = 0; i < ENCODING_BLOCK; i++)
		any |= block[i];
	return any >= 0x80;
}

/* True if one of the three bytes before is above 0x7F. */
static inline bool
IsAfterHigh(const unsigned char *block)
{
	return (block[-1] | block[-2] | block[-3]) >= 0x80;
}

/* How far a text is UTF-8. */
static size_t
Utf8Scalar(const unsigned char *text, size_t pos, size_t len)
{
	while (len - pos >= ENCODING_BLOCK &&
		   ((!HasHigh(text +pos) && !IsAfterHigh(text +pos)) ||
			IsUtf8Block(text +pos)))
		pos += ENCODING_BLOCK;
	return pos;
}

static const Encoding scalar = {Utf8Scalar};

#if defined(MASK_HAVE_X86) || defined(MASK_HAVE_NEON)

/* Ways in which a byte may be wrong behind another. */
#define WRONG_END 1				/* a character ends too early, */
#define WRONG_MORE 2			/* or should be at its end: behind ASCII */
#define WRONG_MORE_YET 128		/* or behind another byte that continues; by
								 * itself that is so where a third one is due */
#define WRONG_LONG_2 4			/* longer than need be */
#define WRONG_LONG_3 8
#define WRONG_LONG_4 16
#define WRONG_SURROGATE 32
#define WRONG_BEYOND 64			/* above U+10FFFF, from 0x90 on behind 0xF4 */

/* Those in which any of some bytes may be, whatever its lower half is. */
#define WRONG_ANY (WRONG_END | WRONG_MORE | WRONG_MORE_YET)
/* Leads from 0xF5 on: WRONG_LONG_4 is what is wrong with 0x80 to 0x8F. */
#define WRONG_LEAD (WRONG_ANY | WRONG_BEYOND | WRONG_LONG_4)

/* By the higher half of the first byte. */
static const uint8_t wrong_lead_high[16] = {
	WRONG_MORE, WRONG_MORE, WRONG_MORE, WRONG_MORE,
	WRONG_MORE, WRONG_MORE, WRONG_MORE, WRONG_MORE,
	WRONG_MORE_YET, WRONG_MORE_YET, WRONG_MORE_YET, WRONG_MORE_YET,
	WRONG_END | WRONG_LONG_2, WRONG_END,
	WRONG_END | WRONG_LONG_3 | WRONG_SURROGATE,
	WRONG_END | WRONG_LONG_4 | WRONG_BEYOND
};

/* By its lower half. */
static const uint8_t wrong_lead_low[16] = {
	WRONG_ANY | WRONG_LONG_2 | WRONG_LONG_3 | WRONG_LONG_4,
	WRONG_ANY | WRONG_LONG_2, WRONG_ANY, WRONG_ANY, WRONG_ANY | WRONG_BEYOND,
	WRONG_LEAD, WRONG_LEAD, WRONG_LEAD, WRONG_LEAD, WRONG_LEAD, WRONG_LEAD,
	WRONG_LEAD, WRONG_LEAD, WRONG_LEAD | WRONG_SURROGATE, WRONG_LEAD, WRONG_LEAD
};

#define WRONG_GO_ON (WRONG_MORE | WRONG_MORE_YET | WRONG_LONG_2)

/* By the higher half of the second byte. */
static const uint8_t wrong_next_high[16] = {
	WRONG_END, WRONG_END, WRONG_END, WRONG_END,
	WRONG_END, WRONG_END, WRONG_END, WRONG_END,
	WRONG_GO_ON | WRONG_LONG_3 | WRONG_LONG_4,
	WRONG_GO_ON | WRONG_LONG_3 | WRONG_BEYOND,
	WRONG_GO_ON | WRONG_SURROGATE | WRONG_BEYOND,
	WRONG_GO_ON | WRONG_SURROGATE | WRONG_BEYOND,
	WRONG_END, WRONG_END, WRONG_END, WRONG_END
};

#endif

#ifdef MASK_HAVE_X86

#define VARIANT(name) name##128
#define TARGET __attribute__((target("ssse3")))
#define VEC __m128i
#define VEC_BYTES 16
#define VEC_LOAD(from) _mm_loadu_si128((const __m128i *) (from))
#define VEC_ALL(c) _mm_set1_epi8((char) (c))
#define VEC_TABLE(table) VEC_LOAD(table)
#define VEC_LOOK(table, v) _mm_shuffle_epi8(table, v)
#define VEC_AND(a, b) _mm_and_si128(a, b)
#define VEC_OR(a, b) _mm_or_si128(a, b)
#define VEC_XOR(a, b) _mm_xor_si128(a, b)
#define VEC_LESS(a, b) _mm_subs_epu8(a, b)	/* not below zero */
#define VEC_HIGH(v) VEC_AND(_mm_srli_epi16(v, 4), VEC_ALL(15))
#define VEC_LOW(v) VEC_AND(v, VEC_ALL(15))
#define VEC_HAS_HIGH(v) (_mm_movemask_epi8(v) != 0)
#define VEC_HAS_ANY(v) \
	(_mm_movemask_epi8(_mm_cmpeq_epi8(v, VEC_ALL(0))) != 0xFFFF)

#include "mask/encoding_simd.h"

static const Encoding simd128 = {Utf8128};

#undef VARIANT
#undef TARGET
#undef VEC
#undef VEC_BYTES
#undef VEC_LOAD
#undef VEC_ALL
#undef VEC_TABLE
#undef VEC_LOOK
#undef VEC_AND
#undef VEC_OR
#undef VEC_XOR
#undef VEC_LESS
#undef VEC_HIGH
#undef VEC_LOW
#undef VEC_HAS_HIGH
#undef VEC_HAS_ANY

#define VARIANT(name) name##256
#define TARGET __attribute__((target("avx2")))
#define VEC __m256i
#define VEC_BYTES 32
#define VEC_LOAD(from) _mm256_loadu_si256((const __m256i *) (from))
#define VEC_ALL(c) _mm256_set1_epi8((char) (c))
#define VEC_TABLE(table) \
	_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *) (table)))
#define VEC_LOOK(table, v) _mm256_shuffle_epi8(table, v)
#define VEC_AND(a, b) _mm256_and_si256(a, b)
#define VEC_OR(a, b) _mm256_or_si256(a, b)
#define VEC_XOR(a, b) _mm256_xor_si256(a, b)
#define VEC_LESS(a, b) _mm256_subs_epu8(a, b)
#define VEC_HIGH(v) VEC_AND(_mm256_srli_epi16(v, 4), VEC_ALL(15))
#define VEC_LOW(v) VEC_AND(v, VEC_ALL(15))
#define VEC_HAS_HIGH(v) (_mm256_movemask_epi8(v) != 0)
#define VEC_HAS_ANY(v) (!_mm256_testz_si256(v, v))

#include "mask/encoding_simd.h"

static const Encoding simd256 = {Utf8256};

#endif							/* MASK_HAVE_X86 */

#ifdef MASK_HAVE_NEON

#define VARIANT(name) name##128
#define TARGET
#define VEC uint8x16_t
#define VEC_BYTES 16
#define VEC_LOAD(from) vld1q_u8(from)
#define VEC_ALL(c) vdupq_n_u8(c)
#define VEC_TABLE(table) vld1q_u8(table)
#define VEC_LOOK(table, v) vqtbl1q_u8(table, v)
#define VEC_AND(a, b) vandq_u8(a, b)
#define VEC_OR(a, b) vorrq_u8(a, b)
#define VEC_XOR(a, b) veorq_u8(a, b)
#define VEC_LESS(a, b) vqsubq_u8(a, b)
#define VEC_HIGH(v) vshrq_n_u8(v, 4)
#define VEC_LOW(v) VEC_AND(v, VEC_ALL(15))
#define VEC_HAS_HIGH(v) (vmaxvq_u8(v) >= 0x80)
#define VEC_HAS_ANY(v) (vmaxvq_u8(v) != 0)

#include "mask/encoding_simd.h"

static const Encoding simd128 = {Utf8128};

#endif							/* MASK_HAVE_NEON */

const Encoding *
EncodingChoose(MaskSimd simd)
{
	if (simd == MASK_SIMD_SCALAR)
		return &scalar;
#ifdef MASK_HAVE_X86
	if (simd != MASK_SIMD_128 && __builtin_cpu_supports("avx2"))
		return &simd256;
	if (simd == MASK_SIMD_AVX2)
		return NULL;
	/* not every machine that has vectors has look-ups in them */
	return __builtin_cpu_supports("ssse3") ? &simd128 : &scalar;
#elif defined(MASK_HAVE_NEON)
	return simd == MASK_SIMD_AVX2 ? NULL : &simd128;
#else
	return simd == MASK_SIMD_BEST ? &scalar : NULL;
#endif
}

static const Encoding *chosen;

bool
EncodingSetSimd(MaskSimd simd)
{
	const Encoding *variant = EncodingChoose(simd);

	if (variant != NULL)
		chosen = variant;
	return variant != NULL;
}

/* The length of the character at text, 0 if it is malformed. */
static size_t
CharLength(const unsigned char *text, size_t left)
{
	unsigned char c = text[0];
	size_t		n = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;

	if ((c >= 0x80 && c < 0xC2) || c > 0xF4 || left < n)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((text[i] & 0xC0) !=0x80)
			return 0;
	/* longer than need be, surrogates, beyond U+10FFFF */
	if ((c == 0xE0 && text[1] < 0xA0) ||(c == 0xED && text[1] > 0x9F) ||
		(c == 0xF0 && text[1] < 0x90) ||(c == 0xF4 && text[1] > 0x8F))
		return 0;
	return n;
}

/* How many bytes before pos are of a character that goes on there. */
static inline size_t
CutChar(const unsigned char *text, size_t pos)
{
	if (text[pos - 1] >= 0xC0)
		return 1;
	if (text[pos - 2] >= 0xE0)
		return 2;
	return text[pos - 3] >= 0xF0 ? 3 : 0;
}

/*
 * How far a text of more than a block is UTF-8 from pos on, as the variants
 * have it; the rest behind the last whole block is part of another one.
 */
static size_t
Utf8Blocks(const unsigned char *text, size_t pos, size_t len)
{
	size_t		last = len - ENCODING_BLOCK;

	if (chosen == NULL)
		EncodingSetSimd(MASK_SIMD_BEST);
	pos = chosen->utf8(text, pos, len);
	if (pos < len && pos > last && chosen->utf8(text, last, len) == len)
		pos = len;
	return pos - CutChar(text, pos);
}

/*
 * How far a text is UTF-8 from pos on, character by character, up to a place
 * at or behind stop.
 */
static size_t
Utf8Chars(const unsigned char *text, size_t pos, size_t stop, size_t len)
{
	while (pos < stop)
	{
		size_t		n;

		if (len - pos >= 8)
		{
			uint64_t	eight;

			memcpy(&eight, text +pos, 8);
			if (!(eight & UINT64_C(0x8080808080808080)))
			{
				pos += 8;
				continue;
			}
		}
		n = CharLength(text +pos, len - pos);
		if (n == 0)
			break;
		pos += n;
	}
	return pos;
}

size_t
Utf8Prefix(const char *chars, size_t len)
{
	const unsigned char *text = (const unsigned char *) chars;
	size_t		pos = 0;

	if (len >= ENCODING_BLOCK + 16)
	{
		pos = Utf8Chars(text, 0, 3, len);
		if (pos < 3)
			return pos;
		pos = Utf8Blocks(text, pos, len);
	}
	return Utf8Chars(text, pos, len, len);
}
