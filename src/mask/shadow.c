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
 * Which bytes of the text have one in the shadow is noted in a bit each, and
 * how many have one before each 64: by that positions are mapped back.
 */
#include "mask/encoding.h"

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

/* The same, remembered for all but the rarest. */
static inline int
ShadowOf(unsigned code)
{
	static signed char known[0x10000];
	signed char *becomes;

	if (code >= sizeof(known))
		return ShadowByRule(code);
	becomes = &known[code];
	if (*becomes == 0)
		*becomes = (signed char) ShadowByRule(code);
	return *becomes;
}

/*
 * Decodes the character at text, of two bytes or more; its length, 0 if it is
 * malformed.  Without a branch for its length, which may be any.
 */
static inline size_t
DecodeChar(const unsigned char *text, size_t left, unsigned *code)
{
	unsigned char copy[4] = {0};
	size_t		n = 2 + (size_t) (text[0] >= 0xE0) +(size_t) (text[0] >= 0xF0);
	unsigned	unused = 8 * (unsigned) (4 - n);
	uint32_t	v;

	if (left < 4)
		text = memcpy(copy, text, left);
	v = (uint32_t) text[0] << 24 | (uint32_t) text[1] << 16 |
				(uint32_t) text[2] << 8 | text[3];

	v >>= unused;
	*code = (v & 0x3F) | (v >> 2 & 0xFC0) | (v >> 4 & 0x3F000) |
		(v >> 6 & 0xFC0000);
	/* above the code are the lead's bits that tell the length */
	*code &= (UINT32_C(1) << (5 * n + 1)) - 1;
	if (((v & 0xC0C0C0) ^ 0x808080) & ((UINT32_C(1) << (8 * n - 8)) - 1))
		return 0;
	return n;
}

/* The values of hexadecimal digits, and one; 0 for all else. */
static const unsigned char hex_value[256] =
{
	['0'] = 1,['1'] = 2,['2'] = 3,['3'] = 4,['4'] = 5,
	['5'] = 6,['6'] = 7,['7'] = 8,['8'] = 9,['9'] = 10,
	['A'] = 11,['B'] = 12,['C'] = 13,['D'] = 14,['E'] = 15,['F'] = 16,
	['a'] = 11,['b'] = 12,['c'] = 13,['d'] = 14,['e'] = 15,['f'] = 16
};

/*
 * The character of a URL's or a program's escape (%40, \x40, \u0040), its
 * length in *n; negative if there is none.
 */
static inline int
ReadHexEscape(const unsigned char *text, size_t left, size_t *n)
{
	bool		percent = text[0] == '%';
	size_t		len = percent ? 3 : left > 1 && text[1] == 'u' ? 6 : 4;
	int			high;
	int			low;

	if (left < len)
		return SHADOW_KEEP;
	if (!percent && (text[0] != '\\' ||
					 (len == 4 ? text[1] != 'x' :
					  text[2] != '0' || text[3] != '0')))
		return SHADOW_KEEP;
	high = hex_value[text[len - 2]] - 1;
	low = hex_value[text[len - 1]] - 1;
	*n = len;
	return (high | low) < 0 ? SHADOW_KEEP : high * 16 + low;
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
static __attribute__((noinline))
int
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
static inline int
ReadEscape(const unsigned char *text, size_t left, size_t *n)
{
	int			c = SHADOW_KEEP;

	if (text[0] != '&')
		c = ReadHexEscape(text, left, n);
	else if (left >= 5)
		c = ReadEntity(text, left, n);
	if (c == '\n' || c == '\t')
		return ' ';
	return c >= ' ' && c < 0x7F ? c : SHADOW_KEEP;
}

/*
 * What the character at pos becomes, and its length in *n; SHADOW_KEEP also
 * for what is no character.
 */
static inline int
ReadSpecial(const unsigned char *text, size_t len, size_t pos, size_t *n)
{
	unsigned	code;

	*n = 1;
	if (text[pos] < 0x80)
		return ReadEscape(text +pos, len - pos, n);
	if (!SpecialLead[text[pos]])
		return SHADOW_KEEP;
	*n = DecodeChar(text +pos, len - pos, &code);
	return *n == 0 ? SHADOW_KEEP : ShadowOf(code);
}

/*
 * Walks to what may be special next; false if nothing is.  What is too short
 * for a batch is read by blocks, and the last of them from a padded copy.
 */
static bool
NextSpecials(SpecialWalk *walk)
{
	const Encoding *encoding = EncodingOf();

	if (walk->len - walk->next >= ENCODING_BATCH + SPECIAL_AHEAD)
		encoding->batch(walk);
	else
		walk->count = 0;
	while (walk->count == 0 && walk->next < walk->len)
	{
		unsigned char copy[ENCODING_BLOCK + SPECIAL_AHEAD];
		const unsigned char *block = walk->text +walk->next;
		size_t		left = walk->len - walk->next;

		if (left < sizeof(copy))
		{
			memset(copy, 0, sizeof(copy));
			block = memcpy(copy, block, left);
		}
		ListBits(walk, encoding->special(block), walk->next);
		walk->next += left < ENCODING_BLOCK ? left : ENCODING_BLOCK;
	}
	return walk->count > 0;
}

/* Walks to the first batch with something special; false if there is none. */
static bool
FirstSpecials(SpecialWalk *walk)
{
	size_t		n;

	while (NextSpecials(walk))
		for (size_t i = 0; i < walk->count; i++)
			if (ReadSpecial(walk->text, walk->len, walk->list[i],
							&n) != SHADOW_KEEP)
				return true;
	return false;
}

#define SPAN 192
#define SPAN_STEP 64

/*
 * Copies n bytes of a text, of which left are there.  Most pieces are short,
 * and what follows overwrites the rest: the shadow has room for it, since it
 * is never ahead of the text.
 */
static inline void
CopySpan(unsigned char *to, const unsigned char *from, size_t n, size_t left)
{
	if (left - n < SPAN || n > 4 * SPAN)
		memcpy(to, from, n);
	else
	{
		memcpy(to, from, SPAN);
		for (size_t i = SPAN; i < n; i += SPAN_STEP)
			memcpy(to + i, from + i, SPAN_STEP);
	}
}

/*
 * Notes that of n bytes of a text at pos (16 at most) the first alone is in
 * the shadow, or none.
 */
static inline void
DropBytes(uint64_t *kept, size_t pos, size_t n, bool none)
{
	uint64_t	bits = (UINT64_C(1) << n) - (none ? 1 : 2);
	unsigned	at = pos % 64;

	kept[pos / 64] &= ~(bits << at);
	kept[pos / 64 + 1] &= ~(bits >> 1 >> (63 - at));
}

/*
 * Writes the shadow of a text into out (at most its length), whose first
 * special characters a walk has come to; returns the shadow's length.  Bits of
 * kept, all set before, stay so for the bytes of the text that have one in
 * the shadow; NULL if nobody wants to know.
 */
static size_t
WriteShadow(SpecialWalk *walk, unsigned char *out, uint64_t *kept)
{
	const unsigned char *text = walk->text;
	size_t		len = walk->len;
	size_t		pos = 0;
	size_t		to = 0;

	do
		for (size_t i = 0; i < walk->count; i++)
		{
			size_t		at = walk->list[i];
			size_t		n;
			int			becomes = ReadSpecial(text, len, at, &n);
			bool		none = becomes == SHADOW_DROP;

			/* none begins within another: what goes on has no sign, no lead */
			if (becomes == SHADOW_KEEP)
				continue;
			CopySpan(out + to, text +pos, at - pos, len - pos);
			to += at - pos;
			out[to] = (unsigned char) becomes;
			to += !none;
			if (kept != NULL)
				DropBytes(kept, at, n, none);
			pos = at + n;
		}
	while (NextSpecials(walk));
	memcpy(out + to, text +pos, len - pos);
	return to + len - pos;
}

size_t
ShadowInto(const unsigned char *text, size_t len, unsigned char *out)
{
	SpecialWalk walk;

	walk.text = text;

	walk.len = len;
	walk.next = walk.count = 0;
	return WriteShadow(&walk, out, NULL);
}

#define HIGH_BITS (0x80 * EACH_BYTE)

/* The numbers of bits set in each of eight bytes and those below it. */
static inline uint64_t
CountBits(uint64_t bits)
{
	bits -= bits >> 1 & 0x55 * EACH_BYTE;
	bits = (bits & 0x33 * EACH_BYTE) + (bits >> 2 & 0x33 * EACH_BYTE);
	return ((bits + (bits >> 4)) & 0x0F * EACH_BYTE) * EACH_BYTE;
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
	SpecialWalk walk;
	size_t		words = len / 64 + 2;	/* one at least beyond the text */
	size_t		before = 0;

	memset(shadow, 0, sizeof(*shadow));
	walk.text = shadow->text = text;

	walk.len = shadow->len = len;
	walk.next = 0;
	if (!FirstSpecials(&walk))
		return true;
	shadow->kept = MaskAlloc(options, words * (sizeof(uint64_t) +
											   sizeof(size_t)) + len);
	if (shadow->kept == NULL)
		return false;
	memset(shadow->kept, 0xFF, words * sizeof(uint64_t));
	shadow->before = (size_t *) (shadow->kept + words);
	shadow->owned = (unsigned char *) (shadow->before + words);
	shadow->text = shadow->owned;
	shadow->len = WriteShadow(&walk, shadow->owned, shadow->kept);
	for (size_t i = 0; i < words; i++)
	{
		shadow->before[i] = i * 64 < len ? before : SIZE_MAX;
		before += CountBits(shadow->kept[i]) >> 56;
	}
	return true;
}

void
ShadowFree(const MaskOptions *options, Shadow *shadow)
{
	MaskRelease(options, shadow->kept);
	memset(shadow, 0, sizeof(*shadow));
}

/*
 * The first byte whose count is more than n, times 8, by counts of 127 at
 * most; there is one.
 */
static inline unsigned
FirstAbove(uint64_t counts, size_t n)
{
	uint64_t	above = ((counts | HIGH_BITS) - (n + 1) * EACH_BYTE) & HIGH_BITS;

	return (unsigned) __builtin_ctzll(above) & ~7u;
}

/*
 * The place of the nth bit that is set, from 0 on; there are more than n.
 * Without a branch, since in a text with special characters it may be any.
 */
static inline size_t
FindBit(uint64_t bits, size_t n)
{
	uint64_t	counts = CountBits(bits);
	unsigned	low = FirstAbove(counts, n);
	uint64_t	spread = (bits >> low & 0xFF) * EACH_BYTE;

	/* a byte for each bit of that one */
	spread &= UINT64_C(0x8040201008040201);
	spread = (spread + 0x7F * EACH_BYTE) >> 7 & EACH_BYTE;
	n -= (counts << 8) >> low & 0xFF;
	return low + FirstAbove(spread * EACH_BYTE, n) / 8;
}

/*
 * The text's position of a shadow position.  *word is that of an earlier one,
 * and from there to this one most texts have few special characters.
 */
static inline size_t
OriginOf(const Shadow *shadow, size_t *word, size_t target)
{
	const size_t *before = shadow->before;
	size_t		at = (target + *word * 64 - before[*word]) / 64;

	while (target >= before[at + 1])
		at++;
	*word = at;
	return at * 64 + FindBit(shadow->kept[at], target - before[at]);
}

/* The end of the character, or of the escape, at pos of the text. */
static size_t
CharEnd(const unsigned char *text, size_t len, size_t pos)
{
	size_t		n;

	if (ReadSpecial(text, len, pos, &n) != SHADOW_KEEP)
		return pos + n;
	pos++;
	while (pos < len && (text[pos] & 0xC0) == 0x80)
		pos++;
	return pos;
}

/*
 * True if n bytes of a text from pos on are all in its shadow, and so is the
 * one behind them; false if they are too many to see that at once.
 */
static inline bool
IsAllKept(const uint64_t *kept, size_t pos, size_t n)
{
	unsigned	at = pos % 64;
	uint64_t	gone = ~kept[pos / 64] >> at |
	~kept[pos / 64 + 1] << 1 << (63 - at);

	return n < 64 && (gone << (63 - n)) == 0;
}

/* Turns shadow positions of ordered hits into positions of the text. */
void
ShadowMapHits(const Shadow *shadow, const char *chars, size_t len,
			  MaskHit *hits, size_t count)
{
	const unsigned char *text = (const unsigned char *) chars;
	size_t		word = 0;

	if (shadow->owned == NULL)
		return;
	for (size_t i = 0; i < count; i++)
	{
		size_t		n = hits[i].end - hits[i].start;
		size_t		last = hits[i].end - 1;

		hits[i].start = OriginOf(shadow, &word, hits[i].start);
		hits[i].end = hits[i].start + n;
		/* where nothing is special, only a character may be cut */
		if (!IsAllKept(shadow->kept, hits[i].start, n))
			hits[i].end = CharEnd(text, len, OriginOf(shadow, &word, last));
		else
			while (hits[i].end < len && (text[hits[i].end] & 0xC0) == 0x80)
				hits[i].end++;
	}
}
