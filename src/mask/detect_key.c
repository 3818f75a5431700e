/*
 * detect_key.c
 *	  Keys and tokens that betray themselves by their prefix or form.
 */
#include "mask/scan.h"
#include "mask/validate.h"

#include <string.h>

/* Reports a span, of which keep bytes may be shown. */
static bool
HitKey(MaskScan *scan, MaskEntity entity, size_t start, size_t end,
	   size_t keep)
{
	MaskHit		hit = {0};

	hit.entity = entity;
	hit.start = start;
	hit.end = end;
	hit.score = 0.98f;
	hit.validator = "prefix";
	hit.keep = (uint8_t) (keep > 16 ? 16 : keep);
	MaskAddHit(scan, &hit);
	return true;
}

/*
 * Classes of a key's characters, by letter: 'h' hexadecimal, 'u' capitals
 * and digits, 'w' letters and digits, '-' also dash and underscore, 'b'
 * base64 in both alphabets, '.' also dots and '~', 'a' all of these, '@'
 * parts of a path, 'L' the labels of PEM.
 */
static uint16_t key_chars[256]; /* those that a character is in */

/* The bit of a class, in the order above. */
static inline unsigned
CharsetBit(char charset)
{
	switch (charset)
	{
		case 'h':
			return 1;
		case 'u':
			return 2;
		case 'w':
			return 4;
		case '-':
			return 8;
		case 'b':
			return 16;
		case '.':
			return 32;
		case 'a':
			return 64;
		case 'L':
			return 256;
		default:
			return 128;
	}
}

/* Fills the classes; again is harmless. */
void
KeyCharsPrepare(void)
{
	static const struct
	{
		char		charset;
		const char *more;		/* than letters and digits */
	}			classes[] =
	{
		{'w', ""}, {'-', "-_="}, {'b', "-_=+/"}, {'.', "-_=.~"},
		{'a', "-_=.~+/"}, {'@', "-/@"}
	};

	for (int c = 1; c < 256; c++)
	{
		unsigned char byte = (unsigned char) c;
		unsigned	bits = 0;

		if (IsHex(byte))
			bits |= CharsetBit('h');
		if (IsUpper(byte) || IsDigit(byte))
			bits |= CharsetBit('u');
		if (IsUpper(byte) || IsDigit(byte) || byte == ' ')
			bits |= CharsetBit('L');
		for (int i = 0; i < 6; i++)
			if (IsAlnum(byte) || strchr(classes[i].more, c) != NULL)
				bits |= CharsetBit(classes[i].charset);
		key_chars[c] = (uint16_t) bits;
	}
}

static inline bool
InCharset(unsigned char c, char charset)
{
	return (key_chars[c] & CharsetBit(charset)) != 0;
}

/* The end of at most max characters of a class. */
static size_t
SpanEnd(const MaskScan *scan, size_t pos, char charset, size_t max)
{
	unsigned	bit = CharsetBit(charset);
	size_t		limit = pos;
	size_t		end = pos;

	if (pos < scan->len)
		limit = scan->len - pos > max ? pos + max : scan->len;
	while (end < limit && (key_chars[scan->text[end]] & bit))
		end++;
	return end;
}

/* Dots and dashes at the end belong to the sentence. */
static size_t
TrimEnd(const MaskScan *scan, size_t pos, size_t end)
{
	while (end > pos && (scan->text[end - 1] == '.' ||
						 scan->text[end - 1] == '-' ||
						 scan->text[end - 1] == '~'))
		end--;
	return end;
}

/*
 * A URL that is a secret itself goes as a whole, with its scheme and the
 * labels before the host that we know: the start of that.
 */
static size_t
UrlStart(const MaskScan *scan, size_t start)
{
	size_t		at = start;

	while (at > 0 && start - at < 64 &&
		   (IsAlnum(scan->text[at - 1]) || scan->text[at - 1] == '.' ||
			scan->text[at - 1] == '-'))
		at--;
	if (at < 3 || memcmp(scan->text +at - 3, "://", 3) != 0)
		return start;
	for (at -= 3; at > 0 && start - at < 80 && IsAlpha(scan->text[at - 1]);)
		at--;
	return at;
}

/*
 * True for small letters and separators alone, sk-your-api-key-here, or many
 * words with a digit or two, as tests are named: test_llama2_with_no_content.
 */
static bool
IsWords(const MaskScan *scan, size_t start, size_t end)
{
	int			joins = 0;
	int			digits = 0;

	for (size_t i = start; i < end; i++)
	{
		if (IsUpper(scan->text[i]))
			return false;
		digits += IsDigit(scan->text[i]);
		joins += scan->text[i] == '-' || scan->text[i] == '_';
	}
	return joins > 0 && (digits == 0 || (digits < 3 && joins > 2));
}

/*
 * True for a word of letters behind a name of one letter and a dot: the
 * member of an object, s.AcceptanceTimeoutSeconds.
 */
static bool
IsMember(const MaskScan *scan, size_t start, size_t end)
{
	if (scan->text[start - 1] != '.' || start != scan->word_start + 2)
		return false;
	for (size_t i = start; i < end; i++)
		if (!IsAlpha(scan->text[i]))
			return false;
	return true;
}

/*
 * False if fewer characters of a class than the least are there for sure: by
 * those in the middle and at the end of it, as most prefixes begin no key.
 */
static inline bool
MayReach(const MaskScan *scan, size_t pos, char charset, size_t least)
{
	unsigned	bit = CharsetBit(charset);

	return (key_chars[ByteAt(scan, pos)] &
			key_chars[ByteAt(scan, pos + least / 2)] &
			key_chars[ByteAt(scan, pos + least - 1)] & bit) != 0;
}

/*
 * A key by its prefix, as the table describes what follows.  Repetitive
 * text after a prefix is an example and no key; it is not looked at again.
 */
bool
DetectPrefixedKey(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start = scan->word_start;
	size_t		end;
	size_t		len;
	size_t		uuid;

	if (start < scan->key_done || IsAlnum(ByteBefore(scan, start)) ||
		!MayReach(scan, pos, self->charset[0], (size_t) self->min_len))
		return false;
	end = SpanEnd(scan, pos, self->charset[0], (size_t) self->max_len + 1);
	len = end - pos;
	if (len > (size_t) self->max_len)
	{
		scan->key_done = end;
		return false;
	}
	end = TrimEnd(scan, pos, end);
	len = end - pos;
	if (len < (size_t) self->min_len)
		return false;
	if (IsWords(scan, pos, end) || IsMember(scan, pos, end) ||
		FindUuid(scan->text, scan->len, start, &uuid) ||
		TextEntropy((const char *) scan->text +pos, len) <
		(double) self->min_entropy)
	{
		scan->key_done = end;
		return false;
	}
	start = UrlStart(scan, start);
	return HitKey(scan, self->entity, start, end, pos - start);
}

/* AWS access keys, and the secret that stands next to one. */
bool
DetectAwsKey(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start = scan->word_start;
	size_t		end = SpanEnd(scan, pos, 'u', 32);
	size_t		next;

	if (IsAlnum(ByteBefore(scan, start)) || end - start != 20 ||
		IsAlnum(ByteAt(scan, end)) ||
		TextEntropy((const char *) scan->text +pos, end - pos) < 2.0)
		return false;
	HitKey(scan, self->entity, start, end, 4);
	for (next = end + 1; next < end + 8; next++)
		if (SpanEnd(scan, next, 'b', 64) == next + 40 &&
			(!InCharset(ByteBefore(scan, next), 'b') ||
			 strchr("=/-", ByteBefore(scan, next)) != NULL))
			break;
	if (next < end + 8 &&
		TextEntropy((const char *) scan->text +next, 40) > 3.5)
		HitKey(scan, MASK_SECRET, next, next + 40, 0);
	return true;
}

#define JWT_ROOM 65536			/* of each part */

/*
 * JWT: eyJ..., a dot, a second part that is also JSON in base64 and perhaps a
 * signature; also a whole JWT in base64 once more (ZXlK...).
 */
bool
DetectJwt(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start = scan->word_start;
	size_t		end;
	size_t		dot;

	if (start < scan->key_done || IsAlnum(ByteBefore(scan, start)))
		return false;
	dot = end = SpanEnd(scan, pos, 'b', JWT_ROOM);
	if (scan->text[start] == 'Z')
	{
		scan->key_done = end;
		return end - pos >= 40 &&
			HitKey(scan, self->entity, start, end, 0);
	}
	if (end - start < 15 || ByteAt(scan, dot) != '.' ||
		ByteAt(scan, dot + 1) != 'e' || (ByteAt(scan, dot + 2) != 'y' &&
										 ByteAt(scan, dot + 2) != 'w'))
	{
		/* to a round place, so that repetitions come to the same state */
		if (end - pos == JWT_ROOM)
			scan->key_done = end & ~(size_t) 1023;
		else if (end - start > 64)
			scan->key_done = end;
		return false;
	}
	end = SpanEnd(scan, dot + 1, 'b', JWT_ROOM);
	if (end - dot < 15)
		return false;
	if (ByteAt(scan, end) == '.')
		end = SpanEnd(scan, end + 1, 'b', JWT_ROOM);
	return HitKey(scan, self->entity, start, end, 0);
}

/* The name of what is between BEGIN and the dashes: its end, 0 if no key. */
static size_t
PemNameEnd(const MaskScan *scan, size_t pos)
{
	static const char *const names[] = {"PRIVATE KEY BLOCK", "PRIVATE KEY"};
	size_t		end = SpanEnd(scan, pos, 'L', 40);
	size_t		name = end;

	while (name > pos && scan->text[name - 1] == ' ')
		name--;
	for (int i = 0; i < 2; i++)
	{
		size_t		len = strlen(names[i]);

		if (name - pos >= len &&
			memcmp(scan->text +name - len, names[i], len) == 0)
			return i == 1 && memcmp(scan->text +pos, "PGP", 3) == 0 ? 0 : end;
	}
	return 0;
}

/*
 * PRIVATE_KEY: -----BEGIN ... PRIVATE KEY----- to its end, or what is there;
 * also "---- BEGIN SSH2 ... PRIVATE KEY ----".
 */
bool
DetectPem(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start = scan->word_start;
	size_t		end;

	if (start < 5 || memcmp(scan->text +start - 5, "----", 4) != 0 ||
		(scan->text[start - 1] != '-' && scan->text[start - 1] != ' '))
		return false;
	end = PemNameEnd(scan, pos);
	if (end == 0)
		return false;
	while (end < scan->len)
	{
		unsigned char c = scan->text[end];

		if (c == '-' && scan->len - end >= 9 &&
			(memcmp(scan->text +end, "-----END ", 9) == 0 ||
			 memcmp(scan->text +end, "---- END ", 9) == 0))
		{
			end += 9;
			while (end < scan->len && (IsUpper(scan->text[end]) ||
									   IsDigit(scan->text[end]) ||
									   scan->text[end] == ' '))
				end++;
			while (end < scan->len && scan->text[end] == '-')
				end++;
			break;
		}
		if (!InCharset(c, 'b') && !IsSpace(c) &&
			(c == 0 || strchr("\\:,.\"'()>|#*@;", c) == NULL))
			break;
		end++;
	}
	return HitKey(scan, self->entity, start - 5, end, 0);
}

/* PRIVATE_KEY of PuTTY: "Private-Lines: 3" and so many lines of base64. */
bool
DetectPutty(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		end = pos;
	int			lines = 0;

	while (ByteAt(scan, end) == ' ' || ByteAt(scan, end) == ':')
		end++;
	while (lines < 100 && IsDigit(ByteAt(scan, end)))
		lines = lines * 10 + scan->text[end++] - '0';
	for (int line = 0; line <= lines && end < scan->len; line++)
	{
		size_t		start = end;

		while (IsSpace(ByteAt(scan, end)))
			end++;
		if (line < lines)
			end = SpanEnd(scan, end, 'b', 100);
		if (end == start)
			break;
	}
	return lines > 0 && HitKey(scan, self->entity, scan->word_start, end, 0);
}

/* Discord: three parts of base64url, the first a number in disguise. */
bool
DetectDiscord(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start = scan->word_start;
	size_t		first;
	size_t		second;
	size_t		third;

	if (start < scan->key_done || IsAlnum(ByteBefore(scan, start)))
		return false;
	first = SpanEnd(scan, pos, '-', 64);
	if (first - start < 23 || first - start > 28 || ByteAt(scan, first) != '.')
	{
		if (first - start > 28)
			scan->key_done = first;
		return false;
	}
	second = SpanEnd(scan, first + 1, '-', 16);
	if (second - first != 7 || ByteAt(scan, second) != '.')
		return false;
	third = SpanEnd(scan, second + 1, '-', 64);
	if (third - second < 28 || third - second > 46)
		return false;
	return HitKey(scan, self->entity, start, third, 0);
}

/*
 * Tokens that are known by length and first or following characters:
 * ClickHouse (4b1d and 38 more), New Relic (36 and "NRAL"), RapidAPI (50, with
 * "msh" and "jsn" within), Azure DevOps (84, with "AZDO" before the last
 * four).
 */
bool
DetectFixedToken(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start = scan->run.token_start;
	size_t		end = scan->run.token_end;

	(void) pos;
	if (end - start == 42 && memcmp(scan->text +start, "4b1d", 4) == 0 &&
		TextEntropy((const char *) scan->text +start, 42) >= 3.0)
		return HitKey(scan, self->entity, start, end, 4);
	if (end - start == 40 && memcmp(scan->text +end - 4, "NRAL", 4) == 0)
		return HitKey(scan, self->entity, start, end, 0);
	if (end - start >= 49 && end - start <= 52 &&
		memcmp(scan->text +start + 10, "msh", 3) == 0 &&
		(memcmp(scan->text +start + 35, "jsn", 3) == 0 ||
		 memcmp(scan->text +start + 36, "jsn", 3) == 0))
		return HitKey(scan, self->entity, start, end, 0);
	return end - start == 84 && memcmp(scan->text +start + 76, "AZDO", 4) == 0 &&
		HitKey(scan, self->entity, start, end, 0);
}

/* HashiCorp's Terraform: 14 characters, ".atlasv1." and 60 more. */
bool
DetectTerraform(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start = scan->word_start - 15;
	size_t		end = SpanEnd(scan, pos, '-', 80);

	if (scan->word_start < 15 || scan->text[scan->word_start - 1] != '.' ||
		IsAlnum(ByteBefore(scan, start)) || end - pos < 60 ||
		SpanEnd(scan, start, 'w', 14) != start + 14)
		return false;
	return HitKey(scan, self->entity, start, end, 0);
}

/* Facebook: an application's number, a bar, 27 to 40 characters. */
bool
DetectFacebook(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		bar = RunEnd(&scan->run, 1);
	size_t		end;

	if ((ByteAt(scan, bar) != '|' && ByteAt(scan, bar) != '%') ||
		bar - pos < 15 || bar - pos > 16)
		return false;
	end = SpanEnd(scan, bar + 1, '-', 64);
	return end - bar >= 28 && end - bar <= 41 &&
		HitKey(scan, self->entity, pos, end, 0);
}

/* Telegram: a bot's number, a colon, 35 characters. */
bool
DetectTelegram(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start = pos;
	size_t		end;

	if (scan->text[pos] != ':' || ByteAt(scan, pos + 1) != 'A')
		return false;
	while (start > 0 && pos - start < 17 && IsDigit(scan->text[start - 1]))
		start--;
	if (pos - start < 5 || pos - start > 16)
		return false;
	end = SpanEnd(scan, pos + 1, '-', 64);
	if (end - pos < 35 || end - pos > 37)
		return false;
	return HitKey(scan, self->entity, start, end, 0);
}

/* Azure: 76 characters of base64, '+' and a name, six more and "==". */
bool
DetectAzureKey(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		mark = scan->word_start;
	size_t		end = pos + 8;

	if (ByteBefore(scan, mark) != '+' || ByteAt(scan, end - 1) != '=' ||
		ByteAt(scan, end - 2) != '=' || mark < 77 ||
		IsAlnum(ByteAt(scan, end)))
		return false;
	for (size_t i = mark; i-- > mark - 77;)
		if (!InCharset(scan->text[i], 'b') || scan->text[i] == '=')
			return false;
	return HitKey(scan, self->entity, mark - 77, end, 0);
}

/* MaxMind: six characters, '_', 29 characters, "_mmk". */
bool
DetectMaxmind(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start = pos - 40;

	if (pos < 40 || scan->text[pos - 4] != '_' || scan->text[start + 6] != '_' ||
		(start > 0 && IsAlnum(scan->text[start - 1])) ||
		SpanEnd(scan, start, 'w', 6) != start + 6 ||
		SpanEnd(scan, start + 7, 'w', 29) != pos - 4)
		return false;
	return HitKey(scan, self->entity, start, pos, 0);
}

/* Azure AD client secrets: three characters, a digit, "Q~", 31 or more. */
bool
DetectAzureSecret(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		mark = scan->run.token_end;
	size_t		end;

	(void) pos;
	if (mark < 5 || ByteAt(scan, mark) != '~' || mark < scan->key_done ||
		scan->text[mark - 1] != 'Q' || !IsDigit(scan->text[mark - 2]))
		return false;
	end = SpanEnd(scan, mark, '.', 64);
	if (end - mark > 36)
		scan->key_done = end;
	if (end - mark < 32 || end - mark > 36)
		return false;
	return HitKey(scan, self->entity, mark - 5, end, 0);
}

/* Mailchimp and Mailgun: 32 hexadecimal digits and a suffix. */
bool
DetectMailchimp(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start = scan->run.token_start;
	size_t		end = scan->run.token_end;

	(void) pos;
	if (end - start != 32 || ByteAt(scan, end) != '-' ||
		ByteBefore(scan, start) == '-')
		return false;
	for (size_t i = start; i < end; i++)
		if (!IsHex(scan->text[i]) || IsUpper(scan->text[i]))
			return false;
	if (ByteAt(scan, end + 1) == 'u' && ByteAt(scan, end + 2) == 's')
	{
		end = SpanEnd(scan, end + 3, 'h', 3);
		return HitKey(scan, self->entity, start, end, 0);
	}
	if (SpanEnd(scan, end + 1, 'h', 9) - end != 9 ||
		ByteAt(scan, end + 9) != '-' ||
		SpanEnd(scan, end + 10, 'h', 9) - end != 18)
		return false;
	return HitKey(scan, self->entity, start, end + 18, 0);
}

/* AUTHORIZATION: "Bearer" or "Basic" and a token that is no word. */
bool
DetectBearer(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start = pos;
	size_t		end;
	bool		digit = false;

	while ((ByteAt(scan, start) == ' ' || ByteAt(scan, start) == ',') &&
		   start - pos < 4)
		start++;
	if (start == pos || start < scan->key_done)
		return false;
	if (OfferWord(scan, start))
		return true;
	end = SpanEnd(scan, start, 'b', 4096);
	while (ByteAt(scan, end) == '.' || ByteAt(scan, end) == '~')
		end = SpanEnd(scan, end, '.', 4096);
	end = TrimEnd(scan, start, end);
	for (size_t i = start; i < end && !digit; i++)
		digit = IsDigit(scan->text[i]) || scan->text[i] == '=';
	if (end - start < 12 || !digit ||
		TextEntropy((const char *) scan->text +start, end - start) < 2.75)
	{
		if (end - start > 64)
			scan->key_done = end;
		return false;
	}
	return HitKey(scan, self->entity, start, end, 0);
}
