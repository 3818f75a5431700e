/*
 * classify.c
 *	  Classes of 64 bytes at a time, as bit masks.
 *
 * The variants differ in instructions only: each gives the same masks for
 * the same bytes, and everything after works on the masks.  That is what
 * makes the results independent of the machine.
 */
#include "mask/scan.h"

#include <string.h>

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define MASK_HAVE_X86
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2")))
#elif defined(__aarch64__)
#define MASK_HAVE_NEON
#include <arm_neon.h>
#endif

/* Portable: one table look-up per byte. */
static void
ClassifyScalar(const unsigned char *block, BlockMasks *masks)
{
	BlockMasks	m = {0};

	for (int i = 0; i < 64; i++)
	{
		unsigned char c = block[i];
		uint64_t	bit = UINT64_C(1) << i;

		if (c >= 0x80)
			m.word |= bit;
		else if (IsDigit(c))
		{
			m.word |= bit;
			m.digit |= bit;
		}
		else if (IsAlpha(c))
		{
			m.word |= bit;
			if (IsUpper(c))
				m.upper |= bit;
			else
				m.lower |= bit;
		}
		else if (c == '@' || c == '=' || c == ':')
			m.sign |= bit;
		else if (c == ' ' || (c >= '-' && c <= '/') || c == '(' || c == ')')
			m.join |= bit;
	}
	*masks = m;
}

#ifdef MASK_HAVE_X86

/* Bytes of v in [low, high], both below 0x80: 0xFF, else 0. */
static inline __m128i
Between128(__m128i v, char low, char high)
{
	return _mm_and_si128(_mm_cmpgt_epi8(v, _mm_set1_epi8((char) (low - 1))),
						 _mm_cmplt_epi8(v, _mm_set1_epi8((char) (high + 1))));
}

/* SSE2: four steps of 16 bytes. */
static void
Classify128(const unsigned char *block, BlockMasks *masks)
{
	BlockMasks	m = {0};

	for (int i = 0; i < 64; i += 16)
	{
		__m128i		v = _mm_loadu_si128((const __m128i *) (block + i));
		__m128i		lower = Between128(v, 'a', 'z');
		__m128i		upper = Between128(v, 'A', 'Z');
		__m128i		digit = Between128(v, '0', '9');
		__m128i		sign =
		_mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('@')),
								  _mm_cmpeq_epi8(v, _mm_set1_epi8('='))),
					 _mm_cmpeq_epi8(v, _mm_set1_epi8(':')));
		__m128i		join = _mm_or_si128(_mm_or_si128(Between128(v, '-', '/'),
													 Between128(v, '(', ')')),
										_mm_cmpeq_epi8(v, _mm_set1_epi8(' ')));
		uint64_t	l = (uint32_t) _mm_movemask_epi8(lower);
		uint64_t	u = (uint32_t) _mm_movemask_epi8(upper);
		uint64_t	d = (uint32_t) _mm_movemask_epi8(digit);
		uint64_t	high = (uint32_t) _mm_movemask_epi8(v);

		m.lower |= l << i;
		m.upper |= u << i;
		m.digit |= d << i;
		m.word |= (l | u | d | high) << i;
		m.sign |= (uint64_t) (uint32_t) _mm_movemask_epi8(sign) << i;
		m.join |= (uint64_t) (uint32_t) _mm_movemask_epi8(join) << i;
	}
	*masks = m;
}

/* The same, 32 at a time. */
AVX2 static inline __m256i
Between256(__m256i v, char low, char high)
{
	return _mm256_and_si256(_mm256_cmpgt_epi8(v, _mm256_set1_epi8((char) (low - 1))),
							_mm256_cmpgt_epi8(_mm256_set1_epi8((char) (high + 1)), v));
}

/* AVX2: two steps of 32 bytes. */
AVX2 static void
ClassifyAvx2(const unsigned char *block, BlockMasks *masks)
{
	BlockMasks	m = {0};

	for (int i = 0; i < 64; i += 32)
	{
		__m256i		v = _mm256_loadu_si256((const __m256i *) (block + i));
		__m256i		lower = Between256(v, 'a', 'z');
		__m256i		upper = Between256(v, 'A', 'Z');
		__m256i		digit = Between256(v, '0', '9');
		__m256i		sign =
		_mm256_or_si256(_mm256_or_si256(_mm256_cmpeq_epi8(v, _mm256_set1_epi8('@')),
										_mm256_cmpeq_epi8(v, _mm256_set1_epi8('='))),
						_mm256_cmpeq_epi8(v, _mm256_set1_epi8(':')));
		__m256i		join =
		_mm256_or_si256(_mm256_or_si256(Between256(v, '-', '/'),
										Between256(v, '(', ')')),
						_mm256_cmpeq_epi8(v, _mm256_set1_epi8(' ')));
		uint64_t	l = (uint32_t) _mm256_movemask_epi8(lower);
		uint64_t	u = (uint32_t) _mm256_movemask_epi8(upper);
		uint64_t	d = (uint32_t) _mm256_movemask_epi8(digit);
		uint64_t	high = (uint32_t) _mm256_movemask_epi8(v);

		m.lower |= l << i;
		m.upper |= u << i;
		m.digit |= d << i;
		m.word |= (l | u | d | high) << i;
		m.sign |= (uint64_t) (uint32_t) _mm256_movemask_epi8(sign) << i;
		m.join |= (uint64_t) (uint32_t) _mm256_movemask_epi8(join) << i;
	}
	*masks = m;
}

#endif							/* MASK_HAVE_X86 */

#ifdef MASK_HAVE_NEON

/* One bit per byte of four vectors of 0x00 or 0xFF. */
static inline uint64_t
BitsOf(const uint8x16_t * v)
{
	static const uint8_t weights[16] =
	{1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
	uint8x16_t	w = vld1q_u8(weights);
	uint8x16_t	a = vpaddq_u8(vandq_u8(v[0], w), vandq_u8(v[1], w));
	uint8x16_t	b = vpaddq_u8(vandq_u8(v[2], w), vandq_u8(v[3], w));

	a = vpaddq_u8(a, b);
	a = vpaddq_u8(a, a);
	return vgetq_lane_u64(vreinterpretq_u64_u8(a), 0);
}

/* Bytes of v in [low, high]: 0xFF, else 0. */
static inline uint8x16_t
BetweenNeon(uint8x16_t v, uint8_t low, uint8_t high)
{
	return vcleq_u8(vsubq_u8(v, vdupq_n_u8(low)),
					vdupq_n_u8((uint8_t) (high - low)));
}

/* NEON: four steps of 16 bytes. */
static void
Classify128(const unsigned char *block, BlockMasks *masks)
{
	uint8x16_t	lower[4],
				upper[4],
				digit[4],
				high[4],
				sign[4],
				join[4];

	for (int i = 0; i < 4; i++)
	{
		uint8x16_t	v = vld1q_u8(block + i * 16);

		lower[i] = BetweenNeon(v, 'a', 'z');
		upper[i] = BetweenNeon(v, 'A', 'Z');
		digit[i] = BetweenNeon(v, '0', '9');
		high[i] = vcgeq_u8(v, vdupq_n_u8(0x80));
		sign[i] = vorrq_u8(vorrq_u8(vceqq_u8(v, vdupq_n_u8('@')),
									vceqq_u8(v, vdupq_n_u8('='))),
						   vceqq_u8(v, vdupq_n_u8(':')));
		join[i] = vorrq_u8(vorrq_u8(BetweenNeon(v, '-', '/'),
									BetweenNeon(v, '(', ')')),
						   vceqq_u8(v, vdupq_n_u8(' ')));
	}
	masks->lower = BitsOf(lower);
	masks->upper = BitsOf(upper);
	masks->digit = BitsOf(digit);
	masks->sign = BitsOf(sign);
	masks->join = BitsOf(join);
	masks->word = masks->lower | masks->upper | masks->digit | BitsOf(high);
}

#endif							/* MASK_HAVE_NEON */

ClassifyBlock
ClassifyChoose(MaskSimd simd)
{
	if (simd == MASK_SIMD_SCALAR)
		return ClassifyScalar;
#ifdef MASK_HAVE_X86
	if (simd == MASK_SIMD_128)
		return Classify128;
	if (__builtin_cpu_supports("avx2"))
		return ClassifyAvx2;
	return simd == MASK_SIMD_BEST ? Classify128 : NULL;
#elif defined(MASK_HAVE_NEON)
	return simd == MASK_SIMD_AVX2 ? NULL : Classify128;
#else
	return simd == MASK_SIMD_BEST ? ClassifyScalar : NULL;
#endif
}
