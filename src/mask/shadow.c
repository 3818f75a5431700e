/*
 * shadow.c
 *	  The text as the detectors read it.
 *
 * Digits of other scripts, full-width letters, odd spaces, dashes and quotes
 * become their ASCII likes, escapes of URLs, HTML and programs the characters
 * that they stand for; zero-width characters disappear.  So a card number
 * written with Arabic-Indic digits and no-break spaces is found by the same
 * code as any other.  Most texts hold nothing of the kind, and then the
 * shadow is the text itself.
 *
 * Which bytes of the text have one in the shadow is noted in a bit each, by
 * which positions are mapped back.
 */
#include "mask/scan.h"

#include <string.h>

/* What one special character becomes: SHADOW_KEEP, SHADOW_DROP or ASCII. */
#define SHADOW_KEEP (-1)
#define SHADOW_DROP (-2)

/* U+2000 to U+206F: spaces, dashes, quotes, invisible characters. */
static int
ShadowPunctuation(unsigned code)
{
	if (code <= 0x200A || code == 0x202F || code == 0x205F)
		return ' ';
	if (code == 0x2028 || code == 0x2029)
		return '\n';
	if (code <= 0x200F || (code >= 0x202A && code <= 0x202E) ||
		code >= 0x2060)
		return SHADOW_DROP;
	if (code <= 0x2015 || code == 0x2043)
		return '-';
	if (code >= 0x2018 && code <= 0x201B)
		return '\'';
	if (code >= 0x201C && code <= 0x201F)
		return '"';
	return code == 0x2024 ? '.' : ' ';
}

/* First code points of the decimal digits of other scripts. */
static const unsigned digit_zeros[] =
{
	0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66,
	0xCE6, 0xD66, 0xDE6, 0xE50, 0xED0, 0xF20, 0x1040, 0x1090, 0x17E0, 0x1810,
	0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620,
	0xA8D0, 0xA900, 0xA9D0, 0xAA50, 0xABF0, 0xFF10, 0x1D7CE, 0x1D7D8, 0x1D7E2,
	0x1D7EC, 0x1D7F6, 0x1FBF0
};

static int
ShadowDigit(unsigned code)
{
	for (size_t i = 0; i < sizeof(digit_zeros) / sizeof(digit_zeros[0]); i++)
		if (code - digit_zeros[i] < 10)
			return (int) ('0' + (code - digit_zeros[i]));
	return SHADOW_KEEP;
}

/* Digits that are raised, lowered or circled. */
static int
ShadowOddDigit(unsigned code)
{
	if (code == 0xB2 || code == 0xB3)
		return (int) (code - 0xB0 + '0');
	if (code == 0xB9)
		return '1';
	if (code == 0x24EA || code == 0x24FF)
		return '0';
	if (code == 0x2070 || (code >= 0x2074 && code <= 0x2079) ||
		(code >= 0x2080 && code <= 0x2089))
		return (int) ((code & 15) + '0');
	if (code >= 0x2460 && code <= 0x2468)
		return (int) (code - 0x2460 + '1');
	if (code >= 0x24F5 && code <= 0x24FD)
		return (int) (code - 0x24F5 + '1');
	if (code >= 0x2776 && code <= 0x277E)
		return (int) (code - 0x2776 + '1');
	return SHADOW_KEEP;
}

/* Characters without a picture: fillers, selectors, tags. */
static bool
IsInvisible(unsigned code)
{
	return code == 0xAD || code == 0x34F || code == 0x61C ||
		code == 0x115F || code == 0x1160 || code == 0x17B4 || code == 0x17B5 ||
		(code >= 0x180B && code <= 0x180F) || code == 0x20E3 ||
		code == 0x3164 || (code >= 0xFE00 && code <= 0xFE0F) ||
		code == 0xFEFF || code == 0xFFA0 ||
		(code >= 0xE0000 && code <= 0xE0FFF);
}

/* What a code point above U+007F becomes, by rule. */
static int
ShadowByRule(unsigned code)
{
	int			digit = ShadowOddDigit(code);

	if (digit != SHADOW_KEEP)
		return digit;
	if (IsInvisible(code))
		return SHADOW_DROP;
	if (code >= 0x2000 && code <= 0x206F)
		return ShadowPunctuation(code);
	if (code >= 0x20A0 && code <= 0x2BFF && code != 0x2212 && code != 0x2236)
		return code == 0x2116 ? '#' : ' ';	/* numero sign, symbols */
	if (code >= 0x3400 && code <= 0x9FFF)
		return SHADOW_KEEP;		/* most frequent of the long ones */
	if (code >= 0xFF01 && code <= 0xFF5E)
		return (int) (code - 0xFF01 + '!');
	switch (code)
	{
		case 0xA0:
		case 0x1680:
		case 0x3000:
			return ' ';
		case 0x2212:
		case 0xFE58:
		case 0xFE63:
		case 0x2D7:
			return '-';
		case 0x2236:
		case 0xFE55:
			return ':';
		case 0xFE6B:
			return '@';
		case 0xB7:
		case 0x30FB:
		case 0xFE52:
			return '.';
		case 0xAB:
		case 0xBB:
			return '"';
		case 0x3001:
		case 0x3002:
			return '.';
		default:
			return ShadowDigit(code);
	}
}

/* The same, remembered for punctuation, symbols and what is below. */
static inline int
ShadowOf(unsigned code)
{
	static signed char known[0x2800];
	signed char *becomes;

	if (code >= sizeof(known))
		return ShadowByRule(code);
	becomes = &known[code];
	if (*becomes == 0)
		*becomes = (signed char) ShadowByRule(code);
	return *becomes;
}

/*
 * Lead bytes whose characters may have a shadow.  Cyrillic, Latin, Greek and
 * Hebrew letters are not among them, nor most Chinese ones.
 */
static const bool special_lead[256] =
{
	[0xC2] = true,[0xCB] = true,[0xCD] = true,[0xD8] = true,
	[0xD9] = true,[0xDB] = true,[0xDF] = true,[0xE0] = true,
	[0xE1] = true,[0xE2] = true,[0xE3] = true,[0xEA] = true,
	[0xEF] = true,[0xF0] = true,[0xF3] = true,
};

/* Decodes the character at text[pos]; its length, 0 if it is malformed. */
static size_t
DecodeChar(const unsigned char *text, size_t len, size_t pos, unsigned *code)
{
	size_t		n = text[pos] >= 0xF0 ? 4 : text[pos] >= 0xE0 ? 3 : 2;

	if (pos + n > len)
		return 0;
	*code = text[pos] & (0xFFu >> (n + 1));

	for (size_t i = 1; i < n; i++)
	{
		if ((text[pos + i] & 0xC0) !=0x80)
			return 0;
		*code = *code << 6 | (text[pos + i] & 0x3F);
	}
	return n;
}

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* The value of two hexadecimal digits, -1 if they are not. */
static int
HexPair(const unsigned char *text)
{
	int			value = 0;

	for (int i = 0; i < 2; i++)
	{
		if (!IsHex(text[i]))
			return -1;
		value = value * 16 + (IsDigit(text[i]) ? text[i] - '0' :
							  (text[i] | 0x20) -'a' + 10);
	}
	return value;
}

/* The named entities that stand for a sign. */
static const struct
{
	const char *name;
	int			c;
}			entity_names[] =

{
	{"&commat;", '@'}, {"&period;", '.'}, {"&nbsp;", ' '},
	{"&quot;", '"'}, {"&colon;", ':'}, {"&equals;", '='},
	{"&lowbar;", '_'}, {"&hyphen;", '-'}, {"&plus;", '+'}
};

#define ENTITY_NAMES (sizeof(entity_names) / sizeof(entity_names[0]))

/* &#64; &#x40; &commat;: the character, its length in *n. */
static int
ReadEntity(const unsigned char *text, size_t left, size_t *n)
{
	bool		hex = left > 3 && (text[2] | 0x20) == 'x';
	size_t		at = hex ? 3 : 2;
	int			code = 0;

	if (text[1] != '#' && !IsAlpha(text[1]))
		return SHADOW_KEEP;
	for (size_t i = 0; text[1] != '#' && i < ENTITY_NAMES; i++)
	{
		if (entity_names[i].name[1] != (char) text[1])
			continue;
		*n = strlen(entity_names[i].name);
		if (left >= *n && memcmp(text, entity_names[i].name, *n) == 0)
			return entity_names[i].c;
	}
	if (text[1] != '#')
		return SHADOW_KEEP;
	for (; at < left && at < 9; at++)
	{
		unsigned char c = text[at];

		if (hex ? !IsHex(c) : !IsDigit(c))
			break;
		code = code * (hex ? 16 : 10) +
			(IsDigit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	*n = at + 1;
	return at < left && text[at] == ';' && code < 0x7F ? code : SHADOW_KEEP;
}

/*
 * What the escape at text stands for, of URLs (%40), HTML (&#64;) and
 * programs (\u0040, \x40): a character of ASCII, its length in *n;
 * SHADOW_KEEP if there is none.
 */
static int
ReadEscape(const unsigned char *text, size_t left, size_t *n)
{
	int			c = SHADOW_KEEP;

	if (text[0] == '%' && left >= 3)
	{
		*n = 3;
		c = HexPair(text +1);
	}
	else if (text[0] == '&' && left >= 5)
		c = ReadEntity(text, left, n);
	else if (text[0] == '\\' && left >= 4 && text[1] == 'x')
	{
		*n = 4;
		c = HexPair(text +2);
	}
	else if (text[0] == '\\' && left >= 6 && text[1] == 'u' &&
			 text[2] == '0' && text[3] == '0')
	{
		*n = 6;
		c = HexPair(text +4);
	}
	if (c == '\n' || c == '\t')
		return ' ';
	return c >= ' ' && c < 0x7F ? c : SHADOW_KEEP;
}

/*
 * What the character at pos becomes, and its length in *n; SHADOW_KEEP also
 * for what is no character.
 */
static inline int
ReadSpecial(const unsigned char *text, size_t len, size_t pos, bool escapes,
			size_t *n)
{
	unsigned	code;

	*n = 1;
	if (text[pos] < 0x80)
	{
		int			c = escapes ? ReadEscape(text +pos, len - pos, n) :
		SHADOW_KEEP;

		if (c == SHADOW_KEEP)
			*n = 1;
		return c;
	}
	if (!special_lead[text[pos]])
		return SHADOW_KEEP;
	/* most are of two bytes */
	if (text[pos] < 0xE0 && pos + 1 < len && (text[pos + 1] & 0xC0) == 0x80)
	{
		*n = 2;
		return ShadowOf((text[pos] & 0x1Fu) <<6 | (text[pos + 1] & 0x3Fu));
	}
	*n = DecodeChar(text, len, pos, &code);
	if (*n == 0)
	{
		*n = 1;
		return SHADOW_KEEP;
	}
	return ShadowOf(code);
}

/*
 * What begins a special character, by its first three bytes: each bit stands
 * for one way to, and is set in all three where it may be one.
 */
#define SIGN_WIDE 1				/* a lead byte above, anything behind it */
#define SIGN_PERCENT 2			/* %40 */
#define SIGN_NUMBER 4			/* &#64; */
#define SIGN_NAME 8				/* &commat; */
#define SIGN_HEX 16				/* \x40 */
#define SIGN_UNICODE 32			/* \u0040 */

static uint8_t sign_wide[256];	/* of the first byte, without escapes */
static uint8_t sign_first[256];
static uint8_t sign_second[256];
static uint8_t sign_third[256];
static bool sign_ready;

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
	static const char hex[] = "0123456789abcdefABCDEF";

	for (int c = 0; c < 256; c++)
	{
		sign_first[c] = sign_wide[c] = special_lead[c] ? SIGN_WIDE : 0;
		sign_second[c] = sign_third[c] = SIGN_WIDE;
	}
	AddSigns(sign_first, "%", SIGN_PERCENT);
	AddSigns(sign_first, "&", SIGN_NUMBER | SIGN_NAME);
	AddSigns(sign_first, "\\", SIGN_HEX | SIGN_UNICODE);
	AddSigns(sign_second, hex, SIGN_PERCENT);
	AddSigns(sign_second, "#", SIGN_NUMBER);
	AddSigns(sign_second, "x", SIGN_HEX);
	AddSigns(sign_second, "u", SIGN_UNICODE);
	AddSigns(sign_third, hex, SIGN_PERCENT | SIGN_HEX);
	AddSigns(sign_third, "0123456789xX", SIGN_NUMBER);
	AddSigns(sign_third, "0", SIGN_UNICODE);
	for (size_t i = 0; i < ENTITY_NAMES; i++)
	{
		sign_second[(unsigned char) entity_names[i].name[1]] |= SIGN_NAME;
		sign_third[(unsigned char) entity_names[i].name[2]] |= SIGN_NAME;
	}
	sign_ready = true;
}

/* A special character of a text. */
struct Special
{
	size_t		pos;			/* the text's length if there is none */
	size_t		len;
	int			becomes;
};

/* A walk over the special characters of a text. */
struct SpecialWalk
{
	const unsigned char *text;
	size_t		len;
	bool		escapes;		/* those are special too */
	uint8_t		ways;			/* of beginning that count */
	bool		started;
	size_t		base;			/* of the block that was looked at last */
	uint64_t	maybe;			/* where in that one may begin */
};

/* Begins a walk at the text's beginning. */
static void
StartWalk(struct SpecialWalk *walk, const unsigned char *text, size_t len,
		  bool escapes)
{
	if (!sign_ready)
		PrepareSigns();
	walk->text = text;

	walk->len = len;
	walk->escapes = escapes;
	walk->ways = UINT8_MAX;
	walk->started = false;
	walk->base = 0;
	walk->maybe = 0;
}

#define EACH_BYTE UINT64_C(0x0101010101010101)

/* True if nothing in a block can be special, at a glance. */
static inline bool
IsPlainBlock(const unsigned char *block, bool escapes)
{
	unsigned char any = 0;

	for (int i = 0; i < 64; i++)
		any |= block[i];
	if (any >= 0x80 || !escapes)
		return any < 0x80;
	for (int i = 0; i < 64; i++)
		any |= block[i] == '%' || block[i] == '&' || block[i] == '\\' ?
			0x80 : 0;
	return any < 0x80;
}

/*
 * A bit for each byte of a block that one of the tables below may be of
 * another mind about: not for ASCII but the signs of escapes, for the leads of
 * most letters of two bytes, nor for what follows a lead.
 */
static inline uint64_t
LeadBits(const unsigned char *block)
{
	unsigned char lead[64];
	uint64_t	bits = 0;

	for (int i = 0; i < 64; i++)
	{
		unsigned char c = block[i];

		lead[i] = ((c >= 0xC2) & ((unsigned char) (c - 0xC3) > 7) &
				   ((c & 0xFC) != 0xD0)) |
			(c == '%') | (c == '&') | (c == '\\');
	}
	for (int i = 0; i < 64; i += 8)
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
 * Where in a block of at most 64 bytes a special character may begin; without
 * a branch for each byte, since a text may be made of nothing but their signs.
 */
static uint64_t
MaybeSpecial(const struct SpecialWalk *walk, size_t base)
{
	const unsigned char *block = walk->text +base;
	uint8_t		ways = walk->ways;
	uint64_t	maybe = 0;

	if (walk->len - base < 64 + 2)
	{
		size_t		n = walk->len - base < 64 ? walk->len - base : 64;

		for (size_t i = 0; i < n; i++)
			maybe |= (uint64_t) ((sign_first[block[i]] & ways) != 0) << i;
		return maybe;
	}
	if (IsPlainBlock(block, walk->escapes))
		return 0;
	for (uint64_t leads = LeadBits(block); leads != 0; leads &= leads - 1)
	{
		int			i = __builtin_ctzll(leads);
		unsigned	may = walk->escapes ?
		sign_first[block[i]] & sign_second[block[i + 1]] &
		sign_third[block[i + 2]] & ways : sign_wide[block[i]];

		maybe |= (uint64_t) (may != 0) << i;
	}
	return maybe;
}

/*
 * Looks at the block that begins at *pos or behind the last one, whichever is
 * later, and moves *pos there; false if the text ends before.
 */
static bool
NextBlock(struct SpecialWalk *walk, size_t *pos)
{
	if (walk->started && *pos < walk->base + 64)
		*pos = walk->base + 64;
	if (*pos >= walk->len)
		return false;
	walk->started = true;
	walk->base = *pos;
	walk->maybe = MaybeSpecial(walk, *pos);
	return true;
}

/*
 * The next special character at pos or later; calls must not go back.
 */
static inline struct Special
NextSpecial(struct SpecialWalk *walk, size_t pos)
{
	struct Special special = {walk->len, 0, SHADOW_KEEP};

	for (;;)
	{
		uint64_t	maybe = pos - walk->base < 64 ?
		walk->maybe >> (pos - walk->base) : 0;

		if (maybe == 0)
		{
			if (!NextBlock(walk, &pos))
				return special;
			continue;
		}
		pos += (size_t) __builtin_ctzll(maybe);
		special.becomes = ReadSpecial(walk->text, walk->len, pos,
									  walk->escapes, &special.len);
		if (special.becomes != SHADOW_KEEP)
		{
			special.pos = pos;
			return special;
		}
		pos++;
	}
}

/* True if an escape is in the text, where signs of them are many. */
static bool
WalkHasEscapes(const unsigned char *text, size_t len)
{
	struct SpecialWalk walk;

	StartWalk(&walk, text, len, true);
	walk.ways = (uint8_t) ~SIGN_WIDE;
	return NextSpecial(&walk, 0).pos < len;
}

#define FEW_SIGNS 16			/* bytes to one, on average */

/*
 * True if an escape is in the text.  Where signs are few the next is searched
 * for, else they are walked over.
 */
static bool
HasEscapes(const unsigned char *text, size_t len)
{
	static const unsigned char signs[] = {'%', '&', '\\'};

	for (int i = 0; i < 3; i++)
	{
		size_t		pos = 0;
		size_t		n;

		for (size_t count = 1; pos + 2 < len; count++)
		{
			const unsigned char *at = memchr(text +pos, signs[i], len - pos);

			if (at == NULL)
				break;
			pos = (size_t) (at - text);
			if (ReadEscape(at, len - pos, &n) != SHADOW_KEEP)
				return true;
			pos++;
			if (pos < count * FEW_SIGNS && count >= 8)
				return WalkHasEscapes(text, len);
		}
	}
	return false;
}

/*
 * Notes that of n bytes of a text at pos (16 at most) the first alone is in
 * the shadow, or none.
 */
static inline void
DropBytes(uint64_t *kept, size_t pos, size_t n, bool none)
{
	uint64_t	bits = (UINT64_C(1) << n) - (none ? 1 : 2);
	size_t		at = pos & 63;

	kept[pos >> 6] &= ~(bits << at);
	if (at + n > 64)
		kept[(pos >> 6) + 1] &= ~(bits >> (64 - at));
}

/*
 * Writes the shadow of a text into out (at most len bytes); its length.  Bits
 * of kept, all set before, stay so for the bytes of the text that have one in
 * the shadow; NULL if nobody wants to know.
 */
static size_t
WriteShadow(const unsigned char *text, size_t len, bool escapes,
			unsigned char *out, uint64_t *kept)
{
	struct SpecialWalk walk;
	size_t		pos = 0;
	size_t		to = 0;

	StartWalk(&walk, text, len, escapes);
	while (pos < len)
	{
		struct Special special = NextSpecial(&walk, pos);
		size_t		plain = special.pos - pos;

		/* most pieces are short, and what follows overwrites the rest */
		if (len - special.pos >= 32 && plain <= 256)
			for (size_t n = 0; n < plain; n += 32)
				memcpy(out + to + n, text +pos + n, 32);
		else
			memcpy(out + to, text +pos, plain);
		to += plain;
		pos = special.pos;
		/* where one is, others follow */
		while (special.becomes != SHADOW_KEEP)
		{
			bool		none = special.becomes == SHADOW_DROP;

			out[to] = (unsigned char) special.becomes;
			to += !none;
			if (kept != NULL)
				DropBytes(kept, pos, special.len, none);
			pos += special.len;
			special.becomes = SHADOW_KEEP;
			if (pos < len && sign_wide[text[pos]])
				special.becomes = ReadSpecial(text, len, pos, escapes,
											  &special.len);
		}
	}
	return to;
}

size_t
ShadowInto(const unsigned char *text, size_t len, unsigned char *out)
{
	return WriteShadow(text, len, HasEscapes(text, len), out, NULL);
}

/*
 * Makes the shadow of a text.  False only if memory is out; ShadowFree()
 * gives back what was allocated in either case.
 */
bool
ShadowMake(const MaskOptions *options, const char *chars, size_t len,
		   Shadow *shadow)
{
	const unsigned char *text = (const unsigned char *) chars;
	struct SpecialWalk walk;
	size_t		words = len / 64 + 1;

	memset(shadow, 0, sizeof(*shadow));
	shadow->text = text;

	shadow->len = len;
	shadow->escapes = HasEscapes(text, len);
	StartWalk(&walk, text, len, shadow->escapes);
	if (NextSpecial(&walk, 0).pos == len)
		return true;
	shadow->kept = MaskAlloc(options, words * sizeof(uint64_t) + len);
	if (shadow->kept == NULL)
		return false;
	memset(shadow->kept, 0xFF, words * sizeof(uint64_t));
	shadow->owned = (unsigned char *) (shadow->kept + words);
	shadow->text = shadow->owned;
	shadow->len = WriteShadow(text, len, shadow->escapes, shadow->owned,
							  shadow->kept);
	return true;
}

void
ShadowFree(const MaskOptions *options, Shadow *shadow)
{
	MaskRelease(options, shadow->kept);
	memset(shadow, 0, sizeof(*shadow));
}

/* The numbers of bits set in each of eight bytes and those below it. */
static inline uint64_t
CountBits(uint64_t bits)
{
	bits -= bits >> 1 & 0x55 * EACH_BYTE;
	bits = (bits & 0x33 * EACH_BYTE) + (bits >> 2 & 0x33 * EACH_BYTE);
	return ((bits + (bits >> 4)) & 0x0F * EACH_BYTE) * EACH_BYTE;
}

/* The place of the nth bit that is set, from 0 on; there are more than n. */
static inline size_t
FindBit(uint64_t bits, uint64_t counts, size_t n)
{
	uint64_t	beyond = ((counts | HIGH_BITS) - (n + 1) * EACH_BYTE) & HIGH_BITS;
	unsigned	low;

	if (~bits == 0)
		return n;
	low = (unsigned) __builtin_ctzll(beyond) & ~7u;
	if (low > 0)
		n -= counts >> (low - 8) & 0xFF;
	bits >>= low;
	/* at most seven: most of the time all of them are set */
	if ((~bits & 0xFF) == 0)
		return low + n;
	while (n-- > 0)
		bits &= bits - 1;
	return low + (size_t) __builtin_ctzll(bits);
}

/* Where the byte of the shadow that is sought stands in the text. */
typedef struct ShadowWalk
{
	const uint64_t *kept;
	size_t		word;			/* of kept, */
	size_t		before;			/* bits set before it, */
	uint64_t	counts;			/* CountBits() of it */
} ShadowWalk;

/* The text's position of a shadow position; calls must not go back. */
static size_t
OriginOf(ShadowWalk *walk, size_t target)
{
	while (target - walk->before >= walk->counts >> 56)
	{
		walk->before += walk->counts >> 56;
		walk->counts = CountBits(walk->kept[++walk->word]);
	}
	return walk->word * 64 + FindBit(walk->kept[walk->word], walk->counts,
									 target - walk->before);
}

/* The end of the character, or of the escape, at pos of the text. */
static size_t
CharEnd(const Shadow *shadow, const unsigned char *text, size_t len,
		size_t pos)
{
	size_t		n;

	if (ReadSpecial(text, len, pos, shadow->escapes, &n) != SHADOW_KEEP)
		return pos + n;
	pos++;
	while (pos < len && (text[pos] & 0xC0) == 0x80)
		pos++;
	return pos;
}

/* Turns shadow positions of ordered hits into positions of the text. */
void
ShadowMapHits(const Shadow *shadow, const char *chars, size_t len,
			  MaskHit *hits, size_t count)
{
	const unsigned char *text = (const unsigned char *) chars;
	ShadowWalk	walk = {shadow->kept, 0, 0, 0};

	if (shadow->owned == NULL)
		return;
	walk.counts = CountBits(walk.kept[0]);
	for (size_t i = 0; i < count; i++)
	{
		hits[i].start = OriginOf(&walk, hits[i].start);
		hits[i].end = CharEnd(shadow, text, len,
							  OriginOf(&walk, hits[i].end - 1));
	}
}
