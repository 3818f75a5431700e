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
 * how many for each block of 64: by that positions are mapped back.
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

/* Where in the block at the walk's place something special may begin. */
static uint64_t
SpecialInBlock(const PlainWalk *walk)
{
	unsigned char block[ENCODING_BLOCK + SPECIAL_AHEAD];
	size_t		left = walk->len - walk->pos;

	if (left >= sizeof(block))
		return EncodingOf()->special(walk->text +walk->pos);
	memset(block, 0, sizeof(block));
	memcpy(block, walk->text +walk->pos, left);
	return EncodingOf()->special(block);
}

/* Copies n bytes, at most a block, of a text at pos to out, as long as it. */
static inline void
CopyPlain(const PlainWalk *walk, size_t pos, size_t n)
{
	/* what follows overwrites the rest */
	if (walk->len - pos >= ENCODING_BLOCK)
		memcpy(walk->out + walk->to, walk->text +pos, ENCODING_BLOCK);
	else
		memcpy(walk->out + walk->to, walk->text +pos, n);
}

/*
 * Writes the shadow of the block at the walk's place, with something special in
 * it perhaps, and goes on behind it.  The first bytes, as many as skip, are of
 * a character that was special; returns how many behind the block are.
 */
static size_t
WriteBlock(PlainWalk *walk, uint64_t special, size_t skip)
{
	size_t		base = walk->pos;
	size_t		end = walk->len - base < ENCODING_BLOCK ? walk->len :
	base + ENCODING_BLOCK;
	size_t		pos = base + skip;
	uint64_t	kept = UINT64_MAX << skip;
	size_t		before = walk->to;

	for (special &= kept; special != 0; special &= special - 1)
	{
		unsigned	i = (unsigned) __builtin_ctzll(special);
		size_t		n;
		int			becomes = ReadSpecial(walk->text, walk->len, base + i, &n);
		bool		none = becomes == SHADOW_DROP;

		if (becomes == SHADOW_KEEP || base + i < pos)
			continue;
		CopyPlain(walk, pos, base + i - pos);
		walk->to += base + i - pos;
		walk->out[walk->to] = (unsigned char) becomes;
		walk->to += !none;
		kept &= ~(((UINT64_C(1) << n) - (none ? 1 : 2)) << i);
		pos = base + i + n;
	}
	if (pos < end)
	{
		CopyPlain(walk, pos, end - pos);
		walk->to += end - pos;
		pos = end;
	}
	if (walk->blocks != NULL)
		NoteBlock(&walk->blocks[base / ENCODING_BLOCK], kept, before);
	walk->pos = end;
	return pos - end;
}

/*
 * Writes the shadow of a text from the walk's place on, where no character is
 * cut; the shadow is never longer than the text.
 */
static void
WriteShadow(PlainWalk *walk)
{
	const Encoding *encoding = EncodingOf();
	size_t		skip = 0;

	while (walk->pos < walk->len)
	{
		uint64_t	special = skip == 0 ? encoding->plain(walk) : 0;

		if (special == 0)
			special = SpecialInBlock(walk);
		skip = WriteBlock(walk, special, skip);
	}
}

size_t
ShadowInto(const unsigned char *text, size_t len, unsigned char *out)
{
	PlainWalk	walk = {.len = len,.out = out};

	walk.text = text;

	WriteShadow(&walk);
	return walk.to;
}

/* Walks to the first block that differs in the shadow; false if none does. */
static bool
FindSpecial(PlainWalk *walk)
{
	const Encoding *encoding = EncodingOf();

	while (walk->pos < walk->len)
	{
		uint64_t	special = encoding->plain(walk);

		if (special == 0)
			special = SpecialInBlock(walk);
		for (; special != 0; special &= special - 1)
		{
			size_t		n;

			if (ReadSpecial(walk->text, walk->len, walk->pos +
							(size_t) __builtin_ctzll(special),
							&n) != SHADOW_KEEP)
				return true;
		}
		if (walk->len - walk->pos <= ENCODING_BLOCK)
			break;
		walk->pos += ENCODING_BLOCK;
	}
	return false;
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
	PlainWalk	walk = {.len = len};
	size_t		blocks = len / ENCODING_BLOCK + 2;

	memset(shadow, 0, sizeof(*shadow));
	walk.text = shadow->text = text;

	shadow->len = len;
	if (!FindSpecial(&walk))
		return true;
	shadow->blocks = MaskAlloc(options, blocks * sizeof(ShadowBlock) + len);
	if (shadow->blocks == NULL)
		return false;
	shadow->owned = (unsigned char *) (shadow->blocks + blocks);
	for (size_t i = 0; i < walk.pos / ENCODING_BLOCK; i++)
		NoteBlock(&shadow->blocks[i], UINT64_MAX, i * ENCODING_BLOCK);
	memcpy(shadow->owned, text, walk.pos);
	walk.blocks = shadow->blocks;
	walk.out = shadow->owned;
	walk.to = walk.pos;
	WriteShadow(&walk);
	/* all that is behind the end is behind any place that is sought */
	for (size_t i = (len + ENCODING_BLOCK - 1) / ENCODING_BLOCK; i < blocks; i++)
		NoteBlock(&shadow->blocks[i], UINT64_MAX, SIZE_MAX);
	shadow->text = shadow->owned;
	shadow->len = walk.to;
	return true;
}

void
ShadowFree(const MaskOptions *options, Shadow *shadow)
{
	MaskRelease(options, shadow->blocks);
	memset(shadow, 0, sizeof(*shadow));
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
 * The text's position of a shadow position.  *block is that of an earlier one,
 * and from there to this one most texts have few special characters.
 */
static inline size_t
OriginOf(const ShadowBlock *blocks, size_t *block, size_t target)
{
	size_t		at = (target + *block * ENCODING_BLOCK -
					  blocks[*block].before) / ENCODING_BLOCK;

	while (target >= blocks[at + 1].before)
		at++;
	*block = at;
	return at * ENCODING_BLOCK + FindBit(blocks[at].kept,
										 target - blocks[at].before);
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
IsAllKept(const ShadowBlock *blocks, size_t pos, size_t n)
{
	size_t		block = pos / ENCODING_BLOCK;
	unsigned	at = pos % ENCODING_BLOCK;
	uint64_t	gone = ~blocks[block].kept >> at |
	~blocks[block + 1].kept << 1 << (ENCODING_BLOCK - 1 - at);

	return n < ENCODING_BLOCK && (gone << (ENCODING_BLOCK - 1 - n)) == 0;
}

/* Turns shadow positions of ordered hits into positions of the text. */
void
ShadowMapHits(const Shadow *shadow, const char *chars, size_t len,
			  MaskHit *hits, size_t count)
{
	const unsigned char *text = (const unsigned char *) chars;
	size_t		block = 0;

	if (shadow->owned == NULL)
		return;
	for (size_t i = 0; i < count; i++)
	{
		size_t		n = hits[i].end - hits[i].start;
		size_t		last = hits[i].end - 1;

		hits[i].start = OriginOf(shadow->blocks, &block, hits[i].start);
		hits[i].end = hits[i].start + n;
		/* where nothing is special, only a character may be cut */
		if (!IsAllKept(shadow->blocks, hits[i].start, n))
			hits[i].end = CharEnd(text, len, OriginOf(shadow->blocks, &block,
													  last));
		else
			while (hits[i].end < len && (text[hits[i].end] & 0xC0) == 0x80)
				hits[i].end++;
	}
}
