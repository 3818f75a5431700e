/*
 * fold.c
 *	  Case folding of UTF-8 without locale, for the scripts we meet: Latin,
 *	  Greek, Cyrillic with Kazakh.  A folded text has the same length, so
 *	  that positions need no mapping.
 */
#include "mask/scan.h"

/* Latin Extended-A: in which parity the capitals are. */
static unsigned
FoldLatin(unsigned code)
{
	bool		odd = (code >= 0x139 && code <= 0x148) ||
	(code >= 0x179 && code <= 0x17E);

	if (code < 0xDF)
		return code >= 0xC0 && code != 0xD7 ? code + 0x20 : code;
	if (code < 0x100 || code > 0x17E || code == 0x130 || code == 0x138 ||
		code == 0x178)
		return code;
	if (odd)
		return code & 1 ? code + 1 : code;
	return code | 1;
}

/* One code point of two bytes (U+0080 to U+07FF). */
static unsigned
FoldCode(unsigned code)
{
	if (code <= 0x17E)
		return FoldLatin(code);
	if (code >= 0x391 && code <= 0x3A9)
		return code + 0x20;
	if (code >= 0x400 && code <= 0x40F)
		return code + 0x50;
	if (code >= 0x410 && code <= 0x42F)
		return code + 0x20;
	if ((code >= 0x460 && code <= 0x481) || (code >= 0x48A && code <= 0x4BF) ||
		(code >= 0x4D0 && code <= 0x52F))
		return code | 1;
	return code;
}

/*
 * Folds the character at text (len bytes remain) into out[2]; returns its
 * length, 1 or 2.  Longer characters go through byte by byte.
 */
static inline size_t
FoldOne(const unsigned char *text, size_t len, unsigned char *out)
{
	unsigned	code;

	if (text[0] < 0x80)
	{
		out[0] = IsUpper(text[0]) ? text[0] | 0x20 : text[0];

		return 1;
	}
	if (text[0] < 0xC2 || text[0] > 0xDF || len < 2 ||
		(text[1] & 0xC0) !=0x80)
	{
		out[0] = text[0];

		return 1;
	}
	code = FoldCode((text[0] & 0x1Fu) <<6 | (text[1] & 0x3Fu));
	out[0] = (unsigned char) (0xC0 | code >> 6);
	out[1] = (unsigned char) (0x80 | (code & 0x3F));
	return 2;
}

/* Folds a text; out has room for len bytes and gets exactly that many. */
size_t
FoldCopy(const unsigned char *text, size_t len, unsigned char *out)
{
	size_t		pos = 0;

	while (pos < len)
		pos += FoldOne(text +pos, len - pos, out + pos);
	return len;
}

void
MaskFold(const char *text, size_t len, char *out)
{
	FoldCopy((const unsigned char *) text, len, (unsigned char *) out);
}

/*
 * Compares a folded pattern with the text at pos.  A space in the pattern
 * stands for up to three of " _-." or line breaks, or for nothing, so that
 * "api key" also finds apikey, api_key and API-Key.  Returns the length of
 * the matched text, 0 if it does not match.
 */
size_t
FoldMatch(const unsigned char *text, size_t len, size_t pos,
		  const char *pattern, size_t pattern_len)
{
	size_t		at = pos;
	size_t		p = 0;

	while (p < pattern_len)
	{
		unsigned char folded[2];
		size_t		n;

		if (pattern[p] == ' ')
		{
			for (n = 0; n < 3 && at < len; n++, at++)
				if (!IsSpace(text[at]) && text[at] != '_' &&
					text[at] != '-' && text[at] != '.')
					break;
			p++;
			continue;
		}
		if (at >= len)
			return 0;
		if (text[at] < 0x80)
		{
			if ((IsUpper(text[at]) ? text[at] | 0x20 : text[at]) !=
				(unsigned char) pattern[p])
				return 0;
			p++;
			at++;
			continue;
		}
		n = FoldOne(text +at, len - at, folded);
		for (size_t i = 0; i < n; i++)
			if (p + i >= pattern_len ||
				folded[i] != (unsigned char) pattern[p + i])
				return 0;
		p += n;
		at += n;
	}
	return at - pos;
}
