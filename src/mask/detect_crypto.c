/*
 * detect_crypto.c
 *	  Accounts written with letters and digits: IBAN, Bitcoin, Ethereum.
 */
#include "mask/scan.h"
#include "mask/validate.h"

#include <string.h>

/* Reports a span. */
static bool
HitSpan(MaskScan *scan, MaskEntity entity, size_t start, size_t end,
		const char *validator)
{
	MaskHit		hit = {0};

	hit.entity = entity;
	hit.start = start;
	hit.end = end;
	hit.score = validator[0] == 'c' ? 0.6f : 1.0f;
	hit.validator = validator;
	MaskAddHit(scan, &hit);
	return true;
}

/*
 * Collects want letters and digits from start, over single separators, in
 * capitals.  Returns the end in the text, 0 if they are not there or go on.
 */
static size_t
CollectIban(const MaskScan *scan, size_t start, int want, char *out)
{
	const unsigned char *text = scan->text;
	size_t		at = start;

	for (int n = 0; n < want; n++)
	{
		unsigned char c;

		if (at >= scan->len)
			return 0;
		c = text[	at++];

		if (!IsAlnum(c))
		{
			if ((c != ' ' && c != '-' && c != '.') || n == 0 ||
				at >= scan->len)
				return 0;
			c = text[	at++];

			if (!IsAlnum(c))
				return 0;
		}
		out[n] = (char) (c > '9' ? c & 0xDF : c);
	}
	return IsAlnum(ByteAt(scan, at)) ? 0 : at;
}

/* True if capitals and small letters are mixed. */
static bool
MixesCases(const MaskScan *scan, size_t start, size_t end)
{
	bool		lower = false;
	bool		upper = false;

	for (size_t i = start; i < end; i++)
	{
		lower |= IsAlpha(scan->text[i]) && !IsUpper(scan->text[i]);
		upper |= IsUpper(scan->text[i]);
	}
	return lower && upper;
}

/*
 * True for a part of a UUID or the like: joined by dashes to more, or
 * hexadecimal digits in other groups than those of four.
 */
static bool
IsPartOfUuid(const MaskScan *scan, size_t start, size_t end)
{
	bool		odd = false;

	if ((ByteBefore(scan, start) == '-' && start > 1 &&
		 IsAlnum(scan->text[start - 2])) ||
		(ByteAt(scan, end) == '-' && IsAlnum(ByteAt(scan, end + 1))))
		return true;
	for (size_t i = start; i < end; i++)
	{
		if (!IsHex(scan->text[i]) && scan->text[i] != '-')
			return false;
		odd |= scan->text[i] == '-' && (i - start) % 5 != 4;
	}
	return odd;
}

/*
 * The capital that a Cyrillic letter before pos looks like; 0 if it looks
 * like none.
 */
static char
LookAlikeBefore(const MaskScan *scan, size_t pos)
{
	static const struct
	{
		unsigned char second;
		char		letter;
	}			likes[] =
	{
		{0x90, 'A'}, {0x92, 'B'}, {0x95, 'E'}, {0x9A, 'K'}, {0x9C, 'M'},
		{0x9D, 'H'}, {0x9E, 'O'}, {0xA0, 'P'}, {0xA1, 'C'}, {0xA2, 'T'},
		{0xA5, 'X'}
	};

	if (pos < 2 || scan->text[pos - 2] != 0xD0)
		return 0;
	for (size_t i = 0; i < sizeof(likes) / sizeof(likes[0]); i++)
		if (scan->text[pos - 1] == likes[i].second)
			return likes[i].letter;
	return 0;
}

/* An IBAN whose country begins with a letter that only looks Latin. */
static bool
DetectDisguisedIban(MaskScan *scan, size_t pos)
{
	char		iban[40];
	size_t		end;
	int			want;

	iban[0] = LookAlikeBefore(scan, pos - 1);
	iban[1] = (char) (scan->text[pos - 1] & 0xDF);
	want = iban[0] != 0 ? IbanLength(iban) : 0;
	if (want == 0)
		return false;
	end = CollectIban(scan, pos - 1, want - 1, iban + 1);
	return end > 0 && CheckIban(iban, want) &&
		HitSpan(scan, MASK_IBAN_CODE, pos - 3, end, "mod97");
}

/* IBAN_CODE: country, check digits, account; mod 97 or a context word. */
bool
DetectIban(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start = scan->run.token_start;
	char		iban[40];
	bool		spoken;
	int			want;
	size_t		end;

	if (pos == start + 1 && IsAlpha(scan->text[start]) &&
		ByteBefore(scan, start) >= 0x80)
		return DetectDisguisedIban(scan, pos);
	if (pos != start + 2 || !IsAlpha(scan->text[start]) ||
		!IsAlpha(scan->text[start + 1]) || !IsDigit(ByteAt(scan, pos + 1)))
		return false;
	iban[0] = (char) (scan->text[start] & 0xDF);
	iban[1] = (char) (scan->text[start + 1] & 0xDF);
	want = IbanLength(iban);
	if (want == 0)
		return false;
	spoken = ContextNear(scan, CTX_IBAN, start, 48);
	end = CollectIban(scan, start, want, iban);
	if (end > 0 && CheckIban(iban, want) &&
		(spoken || (!MixesCases(scan, start, end) &&
					!IsPartOfUuid(scan, start, end))))
		return HitSpan(scan, self->entity, start, end, "mod97");
	if (spoken && end == 0 && scan->run.token_end - start >= 15)
		end = scan->run.token_end;
	return spoken && end > 0 &&
		HitSpan(scan, self->entity, start, end, "context");
}

/*
 * Collects want letters and digits from start as CollectIban() does, but over
 * up to three spaces, dashes and ends of lines between them.
 */
static size_t
CollectLooseIban(const MaskScan *scan, size_t start, int want, char *out)
{
	size_t		at = start;

	for (int n = 0; n < want; n++)
	{
		size_t		gap = at;

		while (gap - at < 3 && strchr(" -.\n\r\t", ByteAt(scan, gap)) != NULL &&
			   ByteAt(scan, gap) != '\0')
			gap++;
		if (!IsAlnum(ByteAt(scan, gap)) || (gap > at && n == 1))
			return 0;
		out[n] = (char) (scan->text[gap] > '9' ? scan->text[gap] & 0xDF :
						 scan->text[gap]);
		at = gap + 1;
	}
	return IsAlnum(ByteAt(scan, at)) ? 0 : at;
}

/*
 * IBAN_CODE behind a word that says so, in groups that are joined by more
 * than one sign or begin behind the country: IBAN: DE 6812 3456...
 */
bool
DetectSpokenIban(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		limit = pos + 32 < scan->len ? pos + 32 : scan->len;
	char		iban[40];

	for (size_t at = pos; at + 4 < limit; at++)
	{
		int			want;
		size_t		end;

		if (IsDigit(scan->text[at]))
			return false;
		iban[0] = (char) (scan->text[at] & 0xDF);
		iban[1] = (char) (scan->text[at + 1] & 0xDF);
		if (!IsAlpha(scan->text[at]) ||
			(at > pos && IsWordByte(ByteBefore(scan, at))) ||
			!IsAlpha(scan->text[at + 1]) || IsAlpha(scan->text[at + 2]))
			continue;
		want = IbanLength(iban);
		end = want > 0 ? CollectLooseIban(scan, at, want, iban) : 0;
		if (end > 0 && CheckIban(iban, want))
			return HitSpan(scan, self->entity, at, end, "mod97");
	}
	return false;
}

/* IBAN_CODE with a space behind its country: NO 93 8601 1117 947. */
bool
DetectSplitIban(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	char		iban[40];
	size_t		end;
	int			want;

	if (pos < scan->done + 3 || scan->text[pos - 1] != ' ' ||
		!IsUpper(scan->text[pos - 2]) || !IsUpper(scan->text[pos - 3]) ||
		IsWordByte(ByteBefore(scan, pos - 3)))
		return false;
	memcpy(iban, scan->text +pos - 3, 2);
	want = IbanLength(iban);
	end = want > 0 ? CollectIban(scan, pos, want - 2, iban + 2) : 0;
	return end > 0 && CheckIban(iban, want) &&
		HitSpan(scan, self->entity, pos - 3, end, "mod97");
}

/*
 * Whether a token may be an address in base58, by its first character and
 * its length: Bitcoin and others.
 */
static bool
MayBeBase58(const unsigned char *token, size_t len)
{
	if (token[0] == '1' || token[0] == '3')
		return len >= 26 && len <= 35;
	if (len == 35)
		return token[0] == '2';
	return len == 34 && memchr("LMDATX9mn", token[0], 9) != NULL;
}

/*
 * CRYPTO: Bitcoin addresses of old, and those of Litecoin, Dogecoin, Dash and
 * Tron, which are made alike.  The check costs two SHA-256; a text made of
 * look-alikes uses up what it may cost, and then the form decides.
 */
bool
DetectBitcoin(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start = scan->run.token_start;
	size_t		len = scan->run.token_end - start;
	const char *token = (const char *) scan->text +start;
	int			lower = 0;
	int			upper = 0;

	if (!MayBeBase58(scan->text +start, len))
		return false;
	for (size_t i = start; i < pos; i++)
		if (IsDigit(scan->text[i]))
			return false;		/* was looked at there */
	for (size_t i = 0; i < len; i++)
	{
		if (token[i] == '0' || token[i] == 'O' || token[i] == 'I' ||
			token[i] == 'l')
			return false;
		lower += token[i] >= 'a';
		upper += IsUpper((unsigned char) token[i]);
	}
	if (lower < 3 || upper < 3 ||
		(scan->dear_checks <= 0 && !IsDigit(scan->text[start])))
		return false;
	if (scan->dear_checks > 0)
	{
		scan->dear_checks--;
		if (!CheckBase58(token, (int) len))
			return false;
	}
	return HitSpan(scan, self->entity, start, start + len, "base58check");
}

/* CRYPTO: bc1... and the like, at the end of that. */
bool
DetectBech32(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start = scan->word_start;
	char		address[128];
	int			n = 0;

	if (IsAlnum(ByteBefore(scan, start)))
		return false;
	while (n < 111 && IsAlnum(ByteAt(scan, start + (size_t) n)))
	{
		unsigned char c = scan->text[start + (size_t) n];

		address[n++] = (char) (IsUpper(c) ? c | 0x20 : c);
	}
	(void) pos;
	if (n < 14 || n > 110 || !CheckBech32(address, n))
		return false;
	return HitSpan(scan, self->entity, start, start + (size_t) n, "bech32");
}

/* CRYPTO: 0x and forty hexadecimal digits. */
bool
DetectEthereum(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start = scan->run.token_start;

	if (pos != start || scan->run.token_end - start != 42 ||
		scan->text[start] != '0' || (scan->text[start + 1] | 0x20) !='x')
		return false;
	for (size_t i = start + 2; i < scan->run.token_end; i++)
		if (!IsHex(scan->text[i]))
			return false;
	return HitSpan(scan, self->entity, start, scan->run.token_end, "form");
}
