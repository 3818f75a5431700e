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
 * Positions are mapped back by a second walk, made only if there are hits.
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

/* &#64; &#x40; &commat;: the character, its length in *n. */
static int
ReadEntity(const unsigned char *text, size_t left, size_t *n)
{
	static const struct
	{
		const char *name;
		int			c;
	}			names[] = {
		{"&commat;", '@'}, {"&period;", '.'}, {"&nbsp;", ' '},
		{"&quot;", '"'}, {"&colon;", ':'}, {"&equals;", '='},
		{"&lowbar;", '_'}, {"&hyphen;", '-'}, {"&plus;", '+'}
	};
	bool		hex = left > 3 && (text[2] | 0x20) == 'x';
	size_t		at = hex ? 3 : 2;
	int			code = 0;

	if (text[1] != '#' && !IsAlpha(text[1]))
		return SHADOW_KEEP;
	for (size_t i = 0; text[1] != '#' && i < sizeof(names) / sizeof(names[0]); i++)
	{
		if (names[i].name[1] != (char) text[1])
			continue;
		*n = strlen(names[i].name);
		if (left >= *n && memcmp(text, names[i].name, *n) == 0)
			return names[i].c;
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

/* True if the sign at text, and what is behind it, may begin an escape. */
static inline bool
MayEscape(const unsigned char *text)
{
	if (text[0] == '%')
		return IsHex(text[1]);
	if (text[0] == '&')
		return text[1] == '#' || IsAlpha(text[1]);
	return text[1] == 'x' || text[1] == 'u';
}

/* True if an escape is in the text. */
static bool
HasEscapes(const unsigned char *text, size_t len)
{
	static const unsigned char signs[] = {'%', '&', '\\'};
	const unsigned char *end = text +len;

	for (int i = 0; i < 3; i++)
	{
		const unsigned char *at = text;
		size_t		n;

		/* where there is one such sign there may be many */
		while (at + 2 < end &&
			   (*at == signs[i] ||
				(at = memchr(at, signs[i], (size_t) (end - at))) != NULL))
		{
			if (at + 2 < end && MayEscape(at) &&
				ReadEscape(at, (size_t) (end - at), &n) != SHADOW_KEEP)
				return true;
			at++;
		}
	}
	return false;
}

/*
 * What the character at pos becomes, and its length in *n; SHADOW_KEEP also
 * for what is no character.
 */
static int
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
	*n = DecodeChar(text, len, pos, &code);
	if (*n == 0)
	{
		*n = 1;
		return SHADOW_KEEP;
	}
	return ShadowOf(code);
}

/* The same as NextSpecial where escapes are special too. */
static size_t
NextEscape(const unsigned char *text, size_t len, size_t pos)
{
	while (pos < len)
	{
		size_t		n = 1;

		if ((text[pos] >= 0x80 || text[pos] == '%' || text[pos] == '&' ||
			 text[pos] == '\\') &&
			ReadSpecial(text, len, pos, true, &n) != SHADOW_KEEP)
			return pos;
		pos += n;
	}
	return len;
}

/*
 * The position of the next character that has a shadow, or len.  ASCII is
 * passed over 32 or 8 bytes at a time.
 */
static size_t
NextSpecial(const unsigned char *text, size_t len, size_t pos, bool escapes)
{
	if (escapes)
		return NextEscape(text, len, pos);
	while (pos < len)
	{
		uint64_t	eight;
		unsigned	code;
		size_t		n;

		while (pos + 32 <= len)
		{
			uint64_t	four[4];

			memcpy(four, text +pos, 32);
			if ((four[0] | four[1] | four[2] | four[3]) & HIGH_BITS)
				break;
			pos += 32;
		}
		while (pos + 8 <= len)
		{
			memcpy(&eight, text +pos, 8);
			if (eight & HIGH_BITS)
				break;
			pos += 8;
		}
		for (n = pos + 8 < len ? pos + 8 : len; pos < n; pos++)
			if (text[pos] >= 0x80 && special_lead[text[pos]])
				break;
		if (pos == n)
			continue;
		n = DecodeChar(text, len, pos, &code);
		if (n > 0 && ShadowOf(code) != SHADOW_KEEP)
			return pos;
		pos += n > 0 ? n : 1;
	}
	return len;
}

/* The length of a character of three or four bytes, 0 if it is malformed. */
static size_t
LongChar(const unsigned char *text, size_t left)
{
	unsigned char c = text[0];
	size_t		n = c < 0xF0 ? 3 : 4;

	if (c < 0xE0 || c > 0xF4 || left < n || (text[1] & 0xC0) !=0x80 ||
		(text[2] & 0xC0) !=0x80 || (n == 4 && (text[3] & 0xC0) !=0x80))
		return 0;
	/* longer than need be, surrogates, beyond U+10FFFF */
	if ((c == 0xE0 && text[1] < 0xA0) ||(c == 0xED && text[1] > 0x9F) ||
		(c == 0xF0 && text[1] < 0x90) ||(c == 0xF4 && text[1] > 0x8F))
		return 0;
	return n;
}

size_t
Utf8Prefix(const char *chars, size_t len)
{
	const unsigned char *text = (const unsigned char *) chars;
	size_t		pos = 0;

	while (pos < len)
	{
		size_t		n;

		while (pos + 32 <= len)
		{
			uint64_t	four[4];

			memcpy(four, text +pos, 32);
			if ((four[0] | four[1] | four[2] | four[3]) & HIGH_BITS)
				break;
			pos += 32;
		}
		while (pos < len && text[pos] < 0x80)
			pos++;
		/* letters of two bytes are frequent, and stand in rows */
		while (pos + 1 < len && text[pos] >= 0xC2 && text[pos] <= 0xDF &&
			   (text[pos + 1] & 0xC0) == 0x80)
			pos += 2;
		if (pos == len || text[pos] < 0x80)
			continue;
		n = LongChar(text +pos, len - pos);
		if (n == 0)
			return pos;
		pos += n;
	}
	return len;
}

/* Writes the shadow of a text into out (at most len bytes); its length. */
static size_t
WriteShadow(const unsigned char *text, size_t len, bool escapes,
			unsigned char *out)
{
	size_t		pos = 0;
	size_t		to = 0;

	while (pos < len)
	{
		size_t		next = NextSpecial(text, len, pos, escapes);
		size_t		n;
		int			becomes;

		memcpy(out + to, text +pos, next - pos);
		to += next - pos;
		pos = next;
		if (pos == len)
			break;
		becomes = ReadSpecial(text, len, pos, escapes, &n);
		pos += n;
		if (becomes != SHADOW_DROP)
			out[to++] = (unsigned char) becomes;
	}
	return to;
}

size_t
ShadowInto(const unsigned char *text, size_t len, unsigned char *out)
{
	return WriteShadow(text, len, HasEscapes(text, len), out);
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

	memset(shadow, 0, sizeof(*shadow));
	shadow->text = text;

	shadow->len = len;
	shadow->escapes = HasEscapes(text, len);
	if (NextSpecial(text, len, 0, shadow->escapes) == len)
		return true;
	shadow->owned = MaskAlloc(options, len);
	if (shadow->owned == NULL)
		return false;
	shadow->text = shadow->owned;
	shadow->len = WriteShadow(text, len, shadow->escapes, shadow->owned);
	return true;
}

void
ShadowFree(const MaskOptions *options, Shadow *shadow)
{
	MaskRelease(options, shadow->owned);
	memset(shadow, 0, sizeof(*shadow));
}

/* A second walk over the text, in step with the shadow. */
typedef struct ShadowWalk
{
	const unsigned char *text;
	size_t		len;
	bool		escapes;
	size_t		pos;			/* in the text */
	size_t		at;				/* in the shadow */
	size_t		next;			/* special character at or after pos */
} ShadowWalk;

/* The text's position of a shadow position; calls must not go back. */
static size_t
OriginOf(ShadowWalk *walk, size_t target)
{
	while (walk->next < walk->len &&
		   target >= walk->at + (walk->next - walk->pos))
	{
		size_t		at = walk->at + (walk->next - walk->pos);
		size_t		n;
		bool		dropped = ReadSpecial(walk->text, walk->len, walk->next,
										  walk->escapes, &n) == SHADOW_DROP;

		if (at == target && !dropped)
			return walk->next;
		walk->at = at + !dropped;
		walk->pos = walk->next + n;
		walk->next = NextSpecial(walk->text, walk->len, walk->pos,
								 walk->escapes);
	}
	return walk->pos + (target - walk->at);
}

/* The end of the character, or of the escape, at pos of the text. */
static size_t
CharEnd(const ShadowWalk *walk, size_t pos)
{
	size_t		n;

	if (ReadSpecial(walk->text, walk->len, pos, walk->escapes, &n) !=
		SHADOW_KEEP)
		return pos + n;
	pos++;
	while (pos < walk->len && (walk->text[pos] & 0xC0) == 0x80)
		pos++;
	return pos;
}

/*
 * Turns shadow positions of ordered hits into positions of the text.  The
 * text is walked again instead of remembering each difference: a text made
 * of nothing but special characters would need more memory for that than
 * for itself.
 */
void
ShadowMapHits(const Shadow *shadow, const char *chars, size_t len,
			  MaskHit *hits, size_t count)
{
	ShadowWalk	walk = {0};

	if (shadow->owned == NULL)
		return;
	walk.text = (const unsigned char *) chars;
	walk.len = len;
	walk.escapes = shadow->escapes;
	walk.next = NextSpecial(walk.text, len, 0, walk.escapes);
	for (size_t i = 0; i < count; i++)
	{
		hits[i].start = OriginOf(&walk, hits[i].start);
		hits[i].end = CharEnd(&walk, OriginOf(&walk, hits[i].end - 1));
	}
}
