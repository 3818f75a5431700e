/*
 * shadow.c
 *	  The text as the detectors read it.
 *
 * Digits of other scripts, full-width letters, odd spaces, dashes and quotes
 * become their ASCII likes; zero-width characters disappear.  So a card
 * number written with Arabic-Indic digits and no-break spaces is found by
 * the same code as any other.  Most texts hold nothing of the kind, and then
 * the shadow is the text itself.
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

/* What a code point above U+007F becomes. */
static int
ShadowOf(unsigned code)
{
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
		case 0xAD:
		case 0x180E:
		case 0xFEFF:
			return SHADOW_DROP;
		case 0x2212:
		case 0xFE58:
		case 0xFE63:
		case 0x2D7:
			return '-';
		case 0x2236:
			return ':';
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

/*
 * Lead bytes whose characters may have a shadow.  Cyrillic, Latin, Greek and
 * Hebrew letters are not among them, nor most Chinese ones.
 */
static const bool special_lead[256] =
{
	[0xC2] = true,[0xCB] = true,[0xD9] = true,[0xDB] = true,
	[0xDF] = true,[0xE0] = true,[0xE1] = true,[0xE2] = true,
	[0xE3] = true,[0xEA] = true,[0xEF] = true,[0xF0] = true,
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

/*
 * The position of the next character that has a shadow, or len.  ASCII is
 * passed over 32 or 8 bytes at a time.
 */
static size_t
NextSpecial(const unsigned char *text, size_t len, size_t pos)
{
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

/* Writes the shadow of a text into out (at most len bytes); its length. */
size_t
ShadowInto(const unsigned char *text, size_t len, unsigned char *out)
{
	size_t		pos = 0;
	size_t		to = 0;

	while (pos < len)
	{
		size_t		next = NextSpecial(text, len, pos);
		unsigned	code;
		int			becomes;

		memcpy(out + to, text +pos, next - pos);
		to += next - pos;
		pos = next;
		if (pos == len)
			break;
		pos += DecodeChar(text, len, pos, &code);
		becomes = ShadowOf(code);
		if (becomes != SHADOW_DROP)
			out[to++] = (unsigned char) becomes;
	}
	return to;
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
	if (NextSpecial(text, len, 0) == len)
		return true;
	shadow->owned = MaskAlloc(options, len);
	if (shadow->owned == NULL)
		return false;
	shadow->text = shadow->owned;
	shadow->len = ShadowInto(text, len, shadow->owned);
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
		unsigned	code;
		size_t		n = DecodeChar(walk->text, walk->len, walk->next, &code);
		bool		dropped = ShadowOf(code) == SHADOW_DROP;

		if (at == target && !dropped)
			return walk->next;
		walk->at = at + !dropped;
		walk->pos = walk->next + n;
		walk->next = NextSpecial(walk->text, walk->len, walk->pos);
	}
	return walk->pos + (target - walk->at);
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
	walk.next = NextSpecial(walk.text, len, 0);
	for (size_t i = 0; i < count; i++)
	{
		size_t		last;

		hits[i].start = OriginOf(&walk, hits[i].start);
		last = OriginOf(&walk, hits[i].end - 1) + 1;
		while (last < len && (walk.text[last] & 0xC0) == 0x80)
			last++;
		hits[i].end = last;
	}
}
