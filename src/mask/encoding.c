/*
 * encoding.c
 *	  What is asked of every byte of a text before it is scanned: whether it is
 *	  UTF-8, and where something may begin that its shadow has otherwise.
 *
 * The variants differ in instructions only, as those of classify.c do.  Vectors
 * look up the halves of each byte in tables of 16.  What stands in the tables
 * of two or three bytes in a row has a bit in common where they are something
 * that is sought, and each bit stands for one kind of it.
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

const bool	SpecialLead[256] =
{
	[0xC2] = true,[0xCB] = true,[0xCD] = true,[0xD8] = true,
	[0xD9] = true,[0xDB] = true,[0xDF] = true,[0xE0] = true,
	[0xE1] = true,[0xE2] = true,[0xE3] = true,[0xEA] = true,
	[0xEF] = true,[0xF0] = true,[0xF3] = true,
};

/*
 * What begins an escape, by its first three bytes: each bit stands for one
 * way to, and is set in all three where it may be one.  What it stands for is
 * ASCII, so that the first of two hexadecimal digits is 0 or 2 to 7.
 */
#define SIGN_PERCENT 1			/* %40 */
#define SIGN_PERCENT_LETTER 2	/* %4A */
#define SIGN_NUMBER 4			/* &#64; */
#define SIGN_NUMBER_HEX 8		/* &#x40; */
#define SIGN_NAME 16			/* &commat; */
#define SIGN_HEX 32				/* \x40 */
#define SIGN_UNICODE 64			/* \u0040 */
#define SIGN_WIDE 128			/* a lead byte above, anything behind it */

/* The second and third bytes of the names of entities in shadow.c. */
#define SECOND_OF_NAMES "cpnqelh"
#define THIRD_OF_NAMES "oebuqyl"

static uint8_t sign_first[256];
static uint8_t sign_second[256];
static uint8_t sign_third[256];

/* Sets bits of characters. */
static void
AddSigns(uint8_t *table, const char *chars, uint8_t bits)
{
	for (; *chars; chars++)
		table[(unsigned char) *chars] |= bits;
}

/* Fills the tables; again is harmless. */
static void
PrepareSigns(void)
{
	for (int c = 0; c < 256; c++)
	{
		sign_first[c] = SpecialLead[c] ? SIGN_WIDE : 0;
		sign_second[c] = sign_third[c] = SIGN_WIDE;
	}
	AddSigns(sign_first, "%", SIGN_PERCENT | SIGN_PERCENT_LETTER);
	AddSigns(sign_first, "&", SIGN_NUMBER | SIGN_NUMBER_HEX | SIGN_NAME);
	AddSigns(sign_first, "\\", SIGN_HEX | SIGN_UNICODE);
	AddSigns(sign_second, "0234567", SIGN_PERCENT | SIGN_PERCENT_LETTER);
	AddSigns(sign_second, "#", SIGN_NUMBER | SIGN_NUMBER_HEX);
	AddSigns(sign_second, "x", SIGN_HEX);
	AddSigns(sign_second, "u", SIGN_UNICODE);
	AddSigns(sign_second, SECOND_OF_NAMES, SIGN_NAME);
	AddSigns(sign_third, "0123456789", SIGN_PERCENT | SIGN_NUMBER);
	AddSigns(sign_third, "abcdefABCDEF", SIGN_PERCENT_LETTER);
	AddSigns(sign_third, "xX", SIGN_NUMBER_HEX);
	AddSigns(sign_third, "0234567", SIGN_HEX);
	AddSigns(sign_third, "0", SIGN_UNICODE);
	AddSigns(sign_third, THIRD_OF_NAMES, SIGN_NAME);
}

/* True if nothing in a block can be special, at a glance. */
static inline bool
IsPlainBlock(const unsigned char *block)
{
	unsigned char any = 0;

	for (int i = 0; i < ENCODING_BLOCK; i++)
		any |= block[i] | (block[i] == '%' || block[i] == '&' ||
						   block[i] == '\\' ? 0x80 : 0);
	return any < 0x80;
}

/*
 * A bit for each byte of a block that one of the tables may be of another mind
 * about: not for ASCII but the signs of escapes, for the leads of most letters
 * of two bytes, nor for what follows a lead.
 */
static inline uint64_t
LeadBits(const unsigned char *block)
{
	unsigned char lead[ENCODING_BLOCK];
	uint64_t	bits = 0;

	for (int i = 0; i < ENCODING_BLOCK; i++)
	{
		unsigned char c = block[i];

		lead[i] = ((c >= 0xC2) & ((unsigned char) (c - 0xC3) > 7) &
				   ((c & 0xFC) != 0xD0)) |
			(c == '%') | (c == '&') | (c == '\\');
	}
	for (int i = 0; i < ENCODING_BLOCK; i += 8)
	{
		uint64_t	eight;

		memcpy(&eight, lead + i, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		eight = __builtin_bswap64(eight);
#endif
		bits |= (eight * UINT64_C(0x0102040810204080)) >> 56 << i;
	}
	return bits;
}

/*
 * Where in a block something special may begin; without a branch for each
 * byte, since a text may be made of nothing but their signs.
 */
static uint64_t
SpecialScalar(const unsigned char *block)
{
	uint64_t	special = 0;

	if (sign_second['#'] == 0)
		PrepareSigns();
	if (IsPlainBlock(block))
		return 0;
	for (uint64_t leads = LeadBits(block); leads != 0; leads &= leads - 1)
	{
		int			i = __builtin_ctzll(leads);
		unsigned	may = sign_first[block[i]] & sign_second[block[i + 1]] &
		sign_third[block[i + 2]];

		special |= (uint64_t) (may != 0) << i;
	}
	return special;
}

/* Walks to the next places where something special may be. */
static void
BatchScalar(SpecialWalk *walk)
{
	walk->count = 0;
	for (; walk->len - walk->next >= ENCODING_BATCH + SPECIAL_AHEAD &&
		 walk->count < SPECIAL_ENOUGH; walk->next += ENCODING_BATCH)
		for (size_t i = 0; i < ENCODING_BATCH; i += ENCODING_BLOCK)
			ListBits(walk, SpecialScalar(walk->text +walk->next + i),
					 walk->next + i);
}

static const Encoding scalar = {Utf8Scalar, SpecialScalar, BatchScalar};

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

/* Characters that are not ASCII, by their lead and the one behind it. */
#define WIDE_LATIN 1			/* 0xC2, from 0xA0 on */
#define WIDE_MARK 2				/* 0xCB and 0xCD, below 0xA0 */
#define WIDE_RIGHT 4			/* 0xD8 and 0xDF, below 0xA0 */
#define WIDE_DIGIT 8			/* 0xD9 and 0xDB, from 0xA0 on */
#define WIDE_INDIC 16			/* 0xE0 and 0xE1 */
#define WIDE_SIGN 32			/* 0xE2, 0xE3 and 0xEA, below 0xB0 */
#define WIDE_FORM 64			/* 0xEF, from 0xB0 on */
#define WIDE_FAR 128			/* 0xF0 and 0xF3, below 0xB0 */

static const uint8_t wide_lead_high[16] = {
	[0xC] = WIDE_LATIN | WIDE_MARK,
	[0xD] = WIDE_RIGHT | WIDE_DIGIT,
	[0xE] = WIDE_INDIC | WIDE_SIGN | WIDE_FORM,
	[0xF] = WIDE_FAR
};

static const uint8_t wide_lead_low[16] = {
	[0x0] = WIDE_INDIC | WIDE_FAR,
	[0x1] = WIDE_INDIC,
	[0x2] = WIDE_LATIN | WIDE_SIGN,
	[0x3] = WIDE_SIGN | WIDE_FAR,
	[0x8] = WIDE_RIGHT,
	[0x9] = WIDE_DIGIT,
	[0xA] = WIDE_SIGN,
	[0xB] = WIDE_MARK | WIDE_DIGIT,
	[0xD] = WIDE_MARK,
	[0xF] = WIDE_RIGHT | WIDE_FORM
};

#define WIDE_BELOW (WIDE_MARK | WIDE_RIGHT | WIDE_INDIC | WIDE_SIGN | WIDE_FAR)

static const uint8_t wide_next_high[16] = {
	[0x8] = WIDE_BELOW,
	[0x9] = WIDE_BELOW,
	[0xA] = WIDE_LATIN | WIDE_DIGIT | WIDE_INDIC | WIDE_SIGN | WIDE_FAR,
	[0xB] = WIDE_LATIN | WIDE_DIGIT | WIDE_INDIC | WIDE_FORM
};

/* Escapes, by their first three bytes: the bits are those of sign_first[]. */
#define SIGN_PERCENTS (SIGN_PERCENT | SIGN_PERCENT_LETTER)
#define SIGN_NUMBERS (SIGN_NUMBER | SIGN_NUMBER_HEX)

#define SIGN_QUOT SIGN_WIDE		/* &quot;, whose letters are unlike others */
#define SIGN_NAMES (SIGN_NAME | SIGN_QUOT)

/* The signs that they begin with, by their lower halves. */
static const uint8_t sign_by_low[16] = {
	[0x0] = 1,					/* which is not what it stands for */
	[0x5] = '%',
	[0x6] = '&',
	[0xC] = '\\'
};

static const uint8_t escape_first_low[16] = {
	[0x5] = SIGN_PERCENTS,
	[0x6] = SIGN_NUMBERS | SIGN_NAMES,
	[0xC] = SIGN_HEX | SIGN_UNICODE
};

static const uint8_t escape_second_high[16] = {
	[2] = SIGN_NUMBERS,
	[3] = SIGN_PERCENTS,
	[6] = SIGN_NAME,
	[7] = SIGN_NAMES | SIGN_HEX | SIGN_UNICODE
};

static const uint8_t escape_second_low[16] = {
	[0x0] = SIGN_PERCENTS | SIGN_NAME,	/* 0, p */
	[0x1] = SIGN_QUOT,			/* q */
	[0x2] = SIGN_PERCENTS,
	[0x3] = SIGN_PERCENTS | SIGN_NAME | SIGN_NUMBERS,	/* 3, c, # */
	[0x4] = SIGN_PERCENTS,
	[0x5] = SIGN_PERCENTS | SIGN_NAME | SIGN_UNICODE,	/* 5, e, u */
	[0x6] = SIGN_PERCENTS,
	[0x7] = SIGN_PERCENTS,
	[0x8] = SIGN_NAME | SIGN_HEX,	/* h, x */
	[0xC] = SIGN_NAME,			/* l */
	[0xE] = SIGN_NAME			/* n */
};

static const uint8_t escape_third_high[16] = {
	[3] = SIGN_PERCENT | SIGN_NUMBER | SIGN_HEX | SIGN_UNICODE,
	[4] = SIGN_PERCENT_LETTER,
	[5] = SIGN_NUMBER_HEX,
	[6] = SIGN_PERCENT_LETTER | SIGN_NAME,
	[7] = SIGN_NUMBER_HEX | SIGN_NAMES
};

#define SIGN_TEN (SIGN_PERCENT | SIGN_NUMBER)	/* any decimal digit */

static const uint8_t escape_third_low[16] = {
	[0x0] = SIGN_TEN | SIGN_HEX | SIGN_UNICODE,
	[0x1] = SIGN_TEN | SIGN_PERCENT_LETTER | SIGN_NAME, /* q */
	[0x2] = SIGN_TEN | SIGN_PERCENT_LETTER | SIGN_NAME | SIGN_HEX,	/* b */
	[0x3] = SIGN_TEN | SIGN_PERCENT_LETTER | SIGN_HEX,
	[0x4] = SIGN_TEN | SIGN_PERCENT_LETTER | SIGN_HEX,
	[0x5] = SIGN_TEN | SIGN_PERCENT_LETTER | SIGN_NAMES | SIGN_HEX, /* e, u */
	[0x6] = SIGN_TEN | SIGN_PERCENT_LETTER | SIGN_HEX,
	[0x7] = SIGN_TEN | SIGN_HEX,
	[0x8] = SIGN_TEN | SIGN_NUMBER_HEX, /* x, X */
	[0x9] = SIGN_TEN | SIGN_NAME,	/* y */
	[0xC] = SIGN_NAME,			/* l */
	[0xF] = SIGN_NAME			/* o */
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
#define VEC_LOOK_ASCII(table, v) VEC_LOOK(table, v) /* by the lower half */
#define VEC_AND(a, b) _mm_and_si128(a, b)
#define VEC_OR(a, b) _mm_or_si128(a, b)
#define VEC_XOR(a, b) _mm_xor_si128(a, b)
#define VEC_LESS(a, b) _mm_subs_epu8(a, b)	/* not below zero */
#define VEC_SAME(a, b) _mm_cmpeq_epi8(a, b)
#define VEC_HIGH(v) VEC_AND(_mm_srli_epi16(v, 4), VEC_ALL(15))
#define VEC_LOW(v) VEC_AND(v, VEC_ALL(15))
#define VEC_HAS_HIGH(v) (_mm_movemask_epi8(v) != 0)
#define VEC_BITS(v) \
	((uint64_t) (_mm_movemask_epi8(VEC_SAME(v, VEC_ALL(0))) ^ 0xFFFF))
#define VEC_HAS_ANY(v) (VEC_BITS(v) != 0)

#include "mask/encoding_simd.h"

static const Encoding simd128 = {Utf8128, Special128, Batch128};

#undef VARIANT
#undef TARGET
#undef VEC
#undef VEC_BYTES
#undef VEC_LOAD
#undef VEC_ALL
#undef VEC_TABLE
#undef VEC_LOOK
#undef VEC_LOOK_ASCII
#undef VEC_AND
#undef VEC_OR
#undef VEC_XOR
#undef VEC_LESS
#undef VEC_SAME
#undef VEC_HIGH
#undef VEC_LOW
#undef VEC_HAS_HIGH
#undef VEC_HAS_ANY
#undef VEC_BITS

#define VARIANT(name) name##256
#define TARGET __attribute__((target("avx2,bmi,popcnt")))
#define VEC __m256i
#define VEC_BYTES 32
#define VEC_LOAD(from) _mm256_loadu_si256((const __m256i *) (from))
#define VEC_ALL(c) _mm256_set1_epi8((char) (c))
#define VEC_TABLE(table) \
	_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *) (table)))
#define VEC_LOOK(table, v) _mm256_shuffle_epi8(table, v)
#define VEC_LOOK_ASCII(table, v) VEC_LOOK(table, v)
#define VEC_AND(a, b) _mm256_and_si256(a, b)
#define VEC_OR(a, b) _mm256_or_si256(a, b)
#define VEC_XOR(a, b) _mm256_xor_si256(a, b)
#define VEC_LESS(a, b) _mm256_subs_epu8(a, b)
#define VEC_SAME(a, b) _mm256_cmpeq_epi8(a, b)
#define VEC_HIGH(v) VEC_AND(_mm256_srli_epi16(v, 4), VEC_ALL(15))
#define VEC_LOW(v) VEC_AND(v, VEC_ALL(15))
#define VEC_HAS_HIGH(v) (_mm256_movemask_epi8(v) != 0)
#define VEC_BITS(v) \
	((uint64_t) ~(uint32_t) _mm256_movemask_epi8(VEC_SAME(v, VEC_ALL(0))))
#define VEC_HAS_ANY(v) (!_mm256_testz_si256(v, v))

#include "mask/encoding_simd.h"

static const Encoding simd256 = {Utf8256, Special256, Batch256};

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
#define VEC_LOOK_ASCII(table, v) VEC_LOOK(table, VEC_LOW(v))
#define VEC_AND(a, b) vandq_u8(a, b)
#define VEC_OR(a, b) vorrq_u8(a, b)
#define VEC_XOR(a, b) veorq_u8(a, b)
#define VEC_LESS(a, b) vqsubq_u8(a, b)
#define VEC_SAME(a, b) vceqq_u8(a, b)
#define VEC_HIGH(v) vshrq_n_u8(v, 4)
#define VEC_LOW(v) VEC_AND(v, VEC_ALL(15))
#define VEC_HAS_HIGH(v) (vmaxvq_u8(v) >= 0x80)
#define VEC_HAS_ANY(v) (vmaxvq_u8(v) != 0)
#define VEC_BITS(v) BitsOfVector(v)

/* A bit for each byte of a vector that is not 0. */
static inline uint64_t
BitsOfVector(uint8x16_t v)
{
	static const uint8_t weights[16] =
	{1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
	uint8x16_t	w = vandq_u8(vtstq_u8(v, v), vld1q_u8(weights));

	return vaddv_u8(vget_low_u8(w)) | (uint64_t) vaddv_u8(vget_high_u8(w)) << 8;
}

#include "mask/encoding_simd.h"

static const Encoding simd128 = {Utf8128, Special128, Batch128};

#endif							/* MASK_HAVE_NEON */

const Encoding *
EncodingChoose(MaskSimd simd)
{
	if (simd == MASK_SIMD_SCALAR)
		return &scalar;
#ifdef MASK_HAVE_X86
	if (simd != MASK_SIMD_128 && __builtin_cpu_supports("avx2") &&
		__builtin_cpu_supports("bmi") && __builtin_cpu_supports("popcnt"))
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

const Encoding *
EncodingOf(void)
{
	if (chosen == NULL)
		EncodingSetSimd(MASK_SIMD_BEST);
	return chosen;
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
	const Encoding *encoding = EncodingOf();
	size_t		last = len - ENCODING_BLOCK;

	pos = encoding->utf8(text, pos, len);
	if (pos < len && pos > last && encoding->utf8(text, last, len) == len)
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
