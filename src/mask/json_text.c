/*
 * json_text.c
 *	  How JSON is written and read: strings and their escapes, numbers, white
 *	  space.  What is written is the document with parts of it replaced.
 */
#include "mask/json.h"

/* Appends to the output, which grows by doubling. */
bool
JsonEmit(JsonWalk *walk, const char *text, size_t len)
{
	if (walk->out == NULL || walk->out_len + len + 1 > walk->out_room)
	{
		size_t		room = (walk->out_room + len + 64) * 2;
		char	   *grown;

		if (walk->out == NULL)
			room = walk->len + len + 256;
		grown = MaskAlloc(walk->root->options, room);
		if (grown == NULL)
			return Fail(walk, MASK_NO_MEMORY, NULL);
		if (walk->out_len > 0)
			memcpy(grown, walk->out, walk->out_len);
		MaskRelease(walk->root->options, walk->out);
		walk->out = grown;
		walk->out_room = room;
	}
	memcpy(walk->out + walk->out_len, text, len);
	walk->out_len += len;
	return true;
}

/* Copies the document up to pos and continues behind skip_to. */
bool
JsonEmitUpTo(JsonWalk *walk, size_t pos, size_t skip_to)
{
	bool		good = JsonEmit(walk, walk->text +walk->copied,
								pos - walk->copied);

	walk->copied = skip_to;
	return good;
}

/* The highest bit of each of eight bytes that is c, exact up to the first. */
static inline uint64_t
BytesAre(uint64_t v, char c)
{
	v ^= (unsigned char) c * EACH_BYTE;
	return (v - EACH_BYTE) & ~v & 0x80 * EACH_BYTE;
}

/*
 * The next quote, backslash or control character of a text from at on, or its
 * end: what ends a string of JSON, or has to be escaped in one.
 */
static inline size_t
NextInString(const char *chars, size_t len, size_t at)
{
	const unsigned char *text = (const unsigned char *) chars;

	for (; at + 8 <= len; at += 8)
	{
		uint64_t	v = EightBytes(text +at);
		uint64_t	stop = BytesAre(v, '"') | BytesAre(v, '\\') |
		((v - 0x20 * EACH_BYTE) & ~v & 0x80 * EACH_BYTE);

		if (stop != 0)
			return at + (size_t) __builtin_ctzll(stop) / 8;
	}
	while (at < len && text[at] >= 0x20 && text[at] != '"' &&
		   text[at] != '\\')
		at++;
	return at;
}

/* Writes a text as the inside of a JSON string. */
bool
JsonEmitEscaped(JsonWalk *walk, const char *text, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	size_t		done = 0;

	for (;;)
	{
		size_t		at = NextInString(text, len, done);
		char		escape[6] = {'\\', 'u', '0', '0', 0, 0};
		size_t		n = 2;
		unsigned char c;

		if (!JsonEmit(walk, text +done, at - done) || at == len)
			return at == len && walk->status == MASK_CLEAN;
		c = (unsigned char) text[at];

		if (c == '\n')
			escape[1] = 'n';
		else if (c >= 0x20)
			escape[1] = (char) c;
		else
		{
			escape[4] = hex[c >> 4];
			escape[5] = hex[c & 15];
			n = 6;
		}
		if (!JsonEmit(walk, escape, n))
			return false;
		done = at + 1;
	}
}

/* Skips white space, which documents for the eye have much of in a row. */
void
JsonSkipSpaces(JsonWalk *walk)
{
	const unsigned char *text = (const unsigned char *) walk->text;
	size_t		at = walk->pos;

	while (at < walk->len && IsJsonSpace(text[at]))
	{
		at++;
		while (at + 8 <= walk->len && EightBytes(text +at) == ' ' * EACH_BYTE)
			at += 8;
	}
	walk->pos = at;
}

/* Reads a string at its quote and moves behind it. */
bool
JsonReadString(JsonWalk *walk, JsonScalar *string)
{
	size_t		at = NextInString(walk->text, walk->len, walk->pos + 1);

	string->start = walk->pos + 1;
	string->escaped = string->key = string->bare = false;
	while (at < walk->len && walk->text[at] == '\\')
	{
		string->escaped = true;
		at = NextInString(walk->text, walk->len, at + 2);
	}
	if (at >= walk->len || walk->text[at] != '"')
		return Fail(walk, MASK_WITHHELD, NotJson);
	string->end = at;
	walk->pos = at + 1;
	return true;
}

/* Four hexadecimal digits; 0xFFFFFFFF if they are not. */
static unsigned
HexFour(const char *text, const char *end)
{
	unsigned	code = 0;

	if (end - text <4)
		return 0xFFFFFFFF;
	for (int i = 0; i < 4; i++)
	{
		unsigned char c = (unsigned char) text[i];

		if (!IsHex(c))
			return 0xFFFFFFFF;
		code = code << 4 |
			(unsigned) (IsDigit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return code;
}

/* Writes a code point in UTF-8; U+0000 disappears. */
static size_t
PutCode(char *out, unsigned code)
{
	if (code == 0)
		return 0;
	if (code < 0x80)
	{
		out[0] = (char) code;
		return 1;
	}
	if (code < 0x800)
	{
		out[0] = (char) (0xC0 | code >> 6);
		out[1] = (char) (0x80 | (code & 0x3F));
		return 2;
	}
	if (code < 0x10000)
	{
		out[0] = (char) (0xE0 | code >> 12);
		out[1] = (char) (0x80 | (code >> 6 & 0x3F));
		out[2] = (char) (0x80 | (code & 0x3F));
		return 3;
	}
	out[0] = (char) (0xF0 | code >> 18);
	out[1] = (char) (0x80 | (code >> 12 & 0x3F));
	out[2] = (char) (0x80 | (code >> 6 & 0x3F));
	out[3] = (char) (0x80 | (code & 0x3F));
	return 4;
}

/*
 * Reads "uXXXX" at *at, with a second half if it is a surrogate; a half
 * alone becomes U+FFFD.  Moves *at behind; false if it isn't hexadecimal.
 */
static bool
ReadUnicode(const char **at, const char *end, unsigned *code)
{
	unsigned	low;

	*code = HexFour(*at + 1, end);
	if (*code == 0xFFFFFFFF)
		return false;
	*at += 5;
	if (*code < 0xD800 || *code > 0xDFFF)
		return true;
	low = 0xFFFFFFFF;
	if (*code < 0xDC00 && end - *at >= 6 && (*at)[0] == '\\' &&
		(*at)[1] == 'u')
		low = HexFour(*at + 2, end);
	if (low >= 0xDC00 && low <= 0xDFFF)
	{
		*code = 0x10000 + ((*code - 0xD800) << 10) + (low - 0xDC00);
		*at += 6;
	}
	else
		*code = 0xFFFD;
	return true;
}

/* Decodes escapes; out has room for len bytes.  False if one is malformed. */
bool
JsonDecode(const char *text, size_t len, char *out, size_t *out_len)
{
	static const char names[] = "\"\\/bfnrt";
	static const char values[] = "\"\\/\b\f\n\r\t";
	const char *end = text +len;
	size_t		n = 0;

	while (text <end)
	{
		const char *name;
		unsigned	code;

		if (*text !='\\')
		{
			const char *stop = memchr(text, '\\', (size_t) (end - text));
			size_t		run = (size_t) ((stop == NULL ? end : stop) - text);

			memcpy(out + n, text, run);
			n += run;
			text	  +=run;

			continue;
		}
		text	  ++;

		if (text <end && *text == 'u')
		{
			if (!ReadUnicode(&text, end, &code))
				return false;
			n += PutCode(out + n, code);
			continue;
		}
		name = text <end ? memchr(names, *text, 8) : NULL;

		if (name == NULL)
			return false;
		out[n++] = values[name - names];
		text	  ++;
	}
	*out_len = n;
	return true;
}

/* The end of the digits from at on. */
static inline size_t
DigitsEnd(const JsonWalk *walk, size_t at)
{
	const unsigned char *text = (const unsigned char *) walk->text;

	while (at + 8 <= walk->len)
	{
		unsigned	more = LeadingDigits(text +at);

		at += more;
		if (more < 8)
			return at;
	}
	while (at < walk->len && IsDigit(text[at]))
		at++;
	return at;
}

/* True if a character is at a place, which may be the end. */
static inline bool
IsAt(const JsonWalk *walk, size_t at, char c)
{
	return at < walk->len && walk->text[at] == c;
}

/* The end of the number at the walk's place, as JSON has it. */
size_t
JsonNumberEnd(const JsonWalk *walk)
{
	size_t		at = walk->pos + IsAt(walk, walk->pos, '-');
	size_t		end = IsAt(walk, at, '0') ? at + 1 : DigitsEnd(walk, at);

	if (end == at)
		return walk->pos;
	if (IsAt(walk, end, '.'))
	{
		at = DigitsEnd(walk, end + 1);
		if (at == end + 1)
			return end;
		end = at;
	}
	if (IsAt(walk, end, 'e') || IsAt(walk, end, 'E'))
	{
		at = end + 1;
		at += IsAt(walk, at, '+') || IsAt(walk, at, '-');
		if (DigitsEnd(walk, at) > at)
			return DigitsEnd(walk, at);
	}
	return end;
}

/* A character that a number, literal or what is neither may go on with. */
static inline bool
IsBare(unsigned char c)
{
	return IsAlnum(c) || c == '-' || c == '.' || c == '+';
}

/* The end of what stands without quotes from at on. */
size_t
JsonBareEnd(const JsonWalk *walk, size_t at)
{
	while (at < walk->len && IsBare((unsigned char) walk->text[at]))
		at++;
	return at;
}

/* True for one of the three words that JSON has. */
bool
JsonIsLiteral(const char *text, size_t len)
{
	return (len == 4 && memcmp(text, "true", 4) == 0) ||
		(len == 5 && memcmp(text, "false", 5) == 0) ||
		(len == 4 && memcmp(text, "null", 4) == 0);
}
