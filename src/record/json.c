/*
 * json.c
 *	  A tolerant JSON reader and a compact writer; see json.h.
 */
#include "record/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CHUNK		((size_t) 8192)
#define LARGEST_CHUNK	((size_t) 1024 * 1024)
#define LARGEST_LENGTH	((size_t) UINT32_MAX)

/* Members that are compared pairwise for duplicates; more are sorted. */
#define PAIRWISE_LIMIT	12

/* Exponents beyond this are written as strings in JSON_SPACED style. */
#define LARGEST_EXPONENT 64
#define LONGEST_NUMBER	200

typedef struct Parser
{
	JsonArena  *arena;
	const char *start;
	const char *p;
	const char *end;
	JsonError  *error;
	int			depth;			/* open containers */
	JsonNode   *open[JSON_MAX_DEPTH];
} Parser;

/* ---------------- memory ---------------- */

/* Gives the arena a new chunk that holds at least size bytes. */
static bool
ArenaGrow(JsonArena *arena, size_t size)
{
	size_t		chunk = arena->chunk ? arena->chunk : FIRST_CHUNK;

	if (chunk < size)
		chunk = size;
	arena->next = arena->failed ? NULL : arena->alloc(arena->arg, chunk);
	if (arena->next == NULL)
	{
		arena->failed = true;
		arena->left = 0;
		return false;
	}
	arena->left = chunk;
	if (arena->chunk < LARGEST_CHUNK)
		arena->chunk = arena->chunk ? arena->chunk * 2 : FIRST_CHUNK;
	return true;
}

void *
JsonAlloc(JsonArena *arena, size_t size)
{
	void	   *result;

	size = (size + 7) & ~(size_t) 7;
	if (size > arena->left)
	{
		/* A big piece gets memory of its own and leaves the chunk usable. */
		if (size > FIRST_CHUNK / 2 && arena->left > 0 && !arena->failed)
		{
			result = arena->alloc(arena->arg, size);
			arena->failed = (result == NULL);
			return result;
		}
		if (!ArenaGrow(arena, size))
			return NULL;
	}
	result = arena->next;
	arena->next += size;
	arena->left -= size;
	return result;
}

void
JsonBufferInit(JsonBuffer *buf, JsonArena *arena)
{
	memset(buf, 0, sizeof(*buf));
	buf->arena = arena;
}

void
JsonBufferAdd(JsonBuffer *buf, const char *text, size_t len)
{
	if (buf->size - buf->len < len)
	{
		size_t		size = buf->size * 2 + len + 64;
		char	   *data = JsonAlloc(buf->arena, size);

		if (data == NULL)
			return;
		if (buf->len > 0)
			memcpy(data, buf->data, buf->len);
		buf->data = data;
		buf->size = size;
	}
	if (len > 0)
		memcpy(buf->data + buf->len, text, len);
	buf->len += len;
}

void
JsonBufferAddString(JsonBuffer *buf, const char *text)
{
	JsonBufferAdd(buf, text, strlen(text));
}

/* ---------------- UTF-8 ---------------- */

/*
 * Length of the well-formed character at s, 0 if it is none.  Overlong forms,
 * surrogates and anything above U+10FFFF are not well-formed.
 */
static size_t
Utf8Length(const unsigned char *s, size_t left)
{
	size_t		len;
	unsigned char low = 0x80;
	unsigned char high = 0xBF;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xC2 || s[0] > 0xF4)
		return 0;
	len = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
	if (len > left)
		return 0;
	if (s[0] == 0xE0)
		low = 0xA0;
	else if (s[0] == 0xED)
		high = 0x9F;
	else if (s[0] == 0xF0)
		low = 0x90;
	else if (s[0] == 0xF4)
		high = 0x8F;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
	{
		if ((s[i] & 0xC0) != 0x80)
			return 0;
	}
	return len;
}

bool
Utf8Valid(const char *text, size_t len, size_t *position)
{
	const unsigned char *s = (const unsigned char *) text;
	size_t		i = 0;

	while (i < len)
	{
		size_t		n;

		while (len - i >= 8)
		{
			uint64_t	word;

			memcpy(&word, s + i, 8);
			if (word & UINT64_C(0x8080808080808080))
				break;
			i += 8;
		}
		if (i >= len)
			break;
		n = Utf8Length(s + i, len - i);
		if (n == 0)
		{
			*position = i;
			return false;
		}
		i += n;
	}
	return true;
}

size_t
Utf8Clip(const char *text, size_t len, size_t max)
{
	if (len <= max)
		return len;
	while (max > 0 && ((unsigned char) text[max] & 0xC0) == 0x80)
		max--;
	return max;
}

/* Writes code point c as UTF-8 at out and returns the byte after it. */
static char *
Utf8Put(char *out, uint32_t c)
{
	if (c < 0x80)
		*out++ = (char) c;
	else if (c < 0x800)
	{
		*out++ = (char) (0xC0 | c >> 6);
		*out++ = (char) (0x80 | (c & 0x3F));
	}
	else if (c < 0x10000)
	{
		*out++ = (char) (0xE0 | c >> 12);
		*out++ = (char) (0x80 | (c >> 6 & 0x3F));
		*out++ = (char) (0x80 | (c & 0x3F));
	}
	else
	{
		*out++ = (char) (0xF0 | c >> 18);
		*out++ = (char) (0x80 | (c >> 12 & 0x3F));
		*out++ = (char) (0x80 | (c >> 6 & 0x3F));
		*out++ = (char) (0x80 | (c & 0x3F));
	}
	return out;
}

/* ---------------- reading ---------------- */

/* Notes the first error and where it is; always returns false. */
static bool
Fail(Parser *ps, JsonStatus status)
{
	if (ps->error->status == JSON_OK)
	{
		if (ps->arena->failed)
			status = JSON_ERROR_MEMORY;
		else if (status == JSON_ERROR_SYNTAX && ps->p >= ps->end)
			status = JSON_ERROR_END;
		ps->error->status = status;
		ps->error->position = ps->p - ps->start;
	}
	return false;
}

static void
SkipSpace(Parser *ps)
{
	while (ps->p < ps->end && (*ps->p == ' ' || *ps->p == '\n' ||
							   *ps->p == '\r' || *ps->p == '\t'))
		ps->p++;
}

/* The value of four hexadecimal digits at p, or -1. */
static int
HexValue(const char *p, const char *end)
{
	int			value = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++)
	{
		char		c = p[i];

		value <<= 4;
		if (c >= '0' && c <= '9')
			value |= c - '0';
		else if (c >= 'a' && c <= 'f')
			value |= c - 'a' + 10;
		else if (c >= 'A' && c <= 'F')
			value |= c - 'A' + 10;
		else
			return -1;
	}
	return value;
}

/*
 * Decodes the \u escape whose digits start at p.  A NUL or a lone surrogate
 * cannot be stored as a character: its six escape bytes are kept instead.
 * Returns the byte after what was read, NULL if there are no four digits.
 */
static const char *
DecodeUnicode(const char *p, const char *end, char **out)
{
	int			c = HexValue(p, end);
	int			low;

	if (c < 0)
		return NULL;
	if (c >= 0xD800 && c <= 0xDBFF && end - p >= 10 &&
		p[4] == '\\' && p[5] == 'u')
	{
		low = HexValue(p + 6, end);
		if (low >= 0xDC00 && low <= 0xDFFF)
		{
			*out = Utf8Put(*out, 0x10000 + ((uint32_t) (c - 0xD800) << 10) +
						   (uint32_t) (low - 0xDC00));
			return p + 10;
		}
	}
	if (c == 0 || (c >= 0xD800 && c <= 0xDFFF))
	{
		memcpy(*out, p - 2, 6);
		*out += 6;
	}
	else
		*out = Utf8Put(*out, (uint32_t) c);
	return p + 4;
}

/*
 * Decodes the escaped string between p and end (its closing quote) into a
 * copy; a decoded string is never longer than its source.
 */
static bool
DecodeString(Parser *ps, const char *p, const char *end, JsonNode *node)
{
	static const char plain[] = "\"\\/bfnrt";
	static const char decoded[] = "\"\\/\b\f\n\r\t";
	char	   *out = JsonAlloc(ps->arena, end - p);

	if (out == NULL)
		return Fail(ps, JSON_ERROR_MEMORY);
	node->text = out;
	while (p < end)
	{
		const char *escape = memchr(p, '\\', end - p);
		const char *found;

		if (escape == NULL)
			escape = end;
		memcpy(out, p, escape - p);
		out += escape - p;
		p = escape;
		if (p == end)
			break;
		found = p[1] ? strchr(plain, p[1]) : NULL;
		if (found)
		{
			*out++ = decoded[found - plain];
			p += 2;
			continue;
		}
		ps->p = p;
		if (p[1] != 'u' || (p = DecodeUnicode(p + 2, end, &out)) == NULL)
			return Fail(ps, JSON_ERROR_SYNTAX);
	}
	node->len = out - node->text;
	return true;
}

/*
 * Reads a string, at its opening quote, into node's text and length.  Raw
 * control characters are taken as they are, but for line ends, which show
 * that a closing quote is missing, and NUL, which no text can hold.
 */
static bool
ReadString(Parser *ps, JsonNode *node)
{
	const char *p = ++ps->p;
	bool		escaped = false;

	while (p < ps->end && *p != '"')
	{
		if (*p == '\\')
		{
			escaped = true;
			if (++p == ps->end)
				break;
		}
		if (*p == '\n' || *p == '\0')
		{
			ps->p = p;
			return Fail(ps, JSON_ERROR_SYNTAX);
		}
		p++;
	}
	if (p >= ps->end)
	{
		ps->p = ps->end;
		return Fail(ps, JSON_ERROR_END);
	}
	node->type = JSON_STRING;
	node->text = ps->p;
	node->len = p - ps->p;
	if (node->len >= LARGEST_LENGTH)
		return Fail(ps, JSON_ERROR_SIZE);
	if (escaped && !DecodeString(ps, ps->p, p, node))
		return false;
	ps->p = p + 1;
	return true;
}

static const char *
SkipDigits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

/* Reads a number by JSON's grammar, keeping its text. */
static bool
ReadNumber(Parser *ps, JsonNode *node)
{
	const char *p = ps->p;
	const char *digits;

	if (*p == '-')
		p++;
	digits = p;
	p = SkipDigits(p, ps->end);
	if (p - digits > 1 && *digits == '0')
	{
		p = digits + 1;
		goto bad;
	}
	if (p == digits)
		goto bad;
	if (p < ps->end && *p == '.')
	{
		digits = ++p;
		p = SkipDigits(p, ps->end);
		if (p == digits)
			goto bad;
	}
	if (p < ps->end && (*p == 'e' || *p == 'E'))
	{
		p++;
		if (p < ps->end && (*p == '+' || *p == '-'))
			p++;
		digits = p;
		p = SkipDigits(p, ps->end);
		if (p == digits)
			goto bad;
	}
	node->type = JSON_NUMBER;
	node->text = ps->p;
	node->len = p - ps->p;
	ps->p = p;
	return true;
bad:
	ps->p = p;
	return Fail(ps, JSON_ERROR_SYNTAX);
}

/* Reads one of the three literals. */
static bool
ReadLiteral(Parser *ps, JsonNode *node, const char *word, JsonType type)
{
	size_t		len = strlen(word);
	size_t		left = ps->end - ps->p;

	if (memcmp(ps->p, word, left < len ? left : len) != 0)
		return Fail(ps, JSON_ERROR_SYNTAX);
	if (left < len)
	{
		ps->p = ps->end;
		return Fail(ps, JSON_ERROR_END);
	}
	node->type = type;
	node->text = ps->p;
	node->len = len;
	ps->p += len;
	return true;
}

/*
 * Passes over a container beyond the depth limit without reading it: only
 * brackets and strings are told apart.
 */
static bool
SkipContainer(Parser *ps, JsonNode *node)
{
	const char *p = ps->p;
	size_t		depth = 0;

	node->type = JSON_TOO_DEEP;
	node->deep = true;
	node->text = p;
	for (; p < ps->end; p++)
	{
		if (*p == '[' || *p == '{')
			depth++;
		else if (*p == ']' || *p == '}')
		{
			if (--depth == 0)
				break;
		}
		else if (*p == '"')
		{
			for (p++; p < ps->end && *p != '"'; p++)
			{
				if (*p == '\\')
					p++;
			}
		}
	}
	if (p >= ps->end)
	{
		ps->p = ps->end;
		return Fail(ps, JSON_ERROR_END);
	}
	ps->p = p + 1;
	node->len = ps->p - node->text;
	return true;
}

/* Reads a scalar, opens a container, or skips one that is too deep. */
static bool
ReadValue(Parser *ps, JsonNode *node)
{
	if (ps->p >= ps->end)
		return Fail(ps, JSON_ERROR_END);
	switch (*ps->p)
	{
		case '"':
			return ReadString(ps, node);
		case '{':
		case '[':
			if (ps->depth == JSON_MAX_DEPTH)
				return SkipContainer(ps, node);
			node->type = *ps->p == '{' ? JSON_OBJECT : JSON_ARRAY;
			node->text = ps->p++;
			ps->open[ps->depth++] = node;
			return true;
		case 't':
			return ReadLiteral(ps, node, "true", JSON_TRUE);
		case 'f':
			return ReadLiteral(ps, node, "false", JSON_FALSE);
		case 'n':
			return ReadLiteral(ps, node, "null", JSON_NULL);
		default:
			return ReadNumber(ps, node);
	}
}

/* ---------------- duplicate members ---------------- */

static bool
SameKey(const JsonNode *a, const JsonNode *b)
{
	return a->key_len == b->key_len &&
		memcmp(a->key, b->key, a->key_len) == 0;
}

/* Takes out the members whose key was set to NULL. */
static void
UnlinkMembers(JsonNode *object)
{
	JsonNode   *next;
	JsonNode   *m = object->child;

	object->child = object->last = NULL;
	object->count = 0;
	for (; m; m = next)
	{
		next = m->next;
		m->next = NULL;
		if (m->key)
			JsonAppend(object, m);
	}
}

/* A member and its place, for sorting. */
typedef struct Member
{
	JsonNode   *node;
	uint32_t	place;
} Member;

/* Orders by name, then by place. */
static int
CompareMembers(const void *a, const void *b)
{
	const Member *m = a;
	const Member *n = b;
	size_t		len = m->node->key_len;
	int			order;

	if (len > n->node->key_len)
		len = n->node->key_len;
	order = memcmp(m->node->key, n->node->key, len);
	if (order == 0 && m->node->key_len != n->node->key_len)
		order = m->node->key_len < n->node->key_len ? -1 : 1;
	if (order == 0)
		order = m->place < n->place ? -1 : 1;
	return order;
}

/* Forgets all but the last member of each name, comparing all pairs. */
static bool
ForgetByPairs(JsonNode *object)
{
	bool		found = false;

	for (JsonNode *a = object->child; a; a = a->next)
	{
		for (JsonNode *b = a->next; b && a->key; b = b->next)
		{
			if (SameKey(a, b))
			{
				a->key = NULL;
				found = true;
			}
		}
	}
	return found;
}

/*
 * Leaves the last of the members with one name.  Many members are sorted:
 * unlike a hash table, that cannot be made slow by well-chosen names.
 */
static bool
DropDuplicates(Parser *ps, JsonNode *object)
{
	Member	   *members;
	uint32_t	n = 0;
	bool		found = false;

	if (object->count <= PAIRWISE_LIMIT)
		found = ForgetByPairs(object);
	else
	{
		members = JsonAlloc(ps->arena, sizeof(Member) * object->count);
		if (members == NULL)
			return Fail(ps, JSON_ERROR_MEMORY);
		for (JsonNode *m = object->child; m; m = m->next, n++)
		{
			members[n].node = m;
			members[n].place = n;
		}
		qsort(members, n, sizeof(Member), CompareMembers);
		for (uint32_t i = 0; i + 1 < n; i++)
		{
			if (SameKey(members[i].node, members[i + 1].node))
			{
				members[i].node->key = NULL;
				found = true;
			}
		}
	}
	if (found)
		UnlinkMembers(object);
	return true;
}

/* Ends the innermost container, whose closing bracket is at p. */
static bool
CloseContainer(Parser *ps)
{
	JsonNode   *node = ps->open[ps->depth - 1];

	if (*ps->p != (node->type == JSON_OBJECT ? '}' : ']'))
		return Fail(ps, JSON_ERROR_SYNTAX);
	ps->p++;
	node->len = ps->p - node->text;
	ps->depth--;
	if (ps->depth > 0 && node->deep)
		ps->open[ps->depth - 1]->deep = true;
	return node->type == JSON_ARRAY || DropDuplicates(ps, node);
}

/* Reads a member's name and colon. */
static bool
ReadName(Parser *ps, JsonNode *node)
{
	JsonNode	name;

	if (ps->p >= ps->end || *ps->p != '"')
		return Fail(ps, JSON_ERROR_SYNTAX);
	if (!ReadString(ps, &name))
		return false;
	node->key = name.text;
	node->key_len = (uint32_t) name.len;
	SkipSpace(ps);
	if (ps->p >= ps->end || *ps->p != ':')
		return Fail(ps, JSON_ERROR_SYNTAX);
	ps->p++;
	SkipSpace(ps);
	return true;
}

/*
 * Reads what stands in open containers until they are all closed.  Each turn
 * takes one element, or closing brackets; a comma before a closing bracket
 * is forgiven.
 */
static bool
ReadContainers(Parser *ps)
{
	bool		need_comma = false;

	while (ps->depth > 0)
	{
		JsonNode   *node;
		int			depth = ps->depth;

		SkipSpace(ps);
		if (ps->p >= ps->end)
			return Fail(ps, JSON_ERROR_END);
		if (*ps->p == ']' || *ps->p == '}')
		{
			if (!CloseContainer(ps))
				return false;
			need_comma = true;
			continue;
		}
		if (need_comma)
		{
			if (*ps->p != ',')
				return Fail(ps, JSON_ERROR_SYNTAX);
			ps->p++;
			need_comma = false;
			continue;
		}
		node = JsonMake(ps->arena, JSON_NULL);
		if (node == NULL)
			return Fail(ps, JSON_ERROR_MEMORY);
		if (ps->open[depth - 1]->type == JSON_OBJECT && !ReadName(ps, node))
			return false;
		if (!ReadValue(ps, node))
			return false;
		JsonAppend(ps->open[depth - 1], node);
		need_comma = (ps->depth == depth);	/* else node was opened */
	}
	return true;
}

JsonNode *
JsonParse(JsonArena *arena, const char *text, size_t len, JsonError *error)
{
	Parser		ps;
	JsonNode   *root;

	ps.arena = arena;
	ps.start = ps.p = text;
	ps.end = text +len;

	ps.error = error;
	ps.depth = 0;
	error->status = JSON_OK;
	error->position = 0;
	if (!Utf8Valid(text, len, &error->position))
	{
		error->status = JSON_ERROR_UTF8;
		return NULL;
	}
	root = JsonMake(arena, JSON_NULL);
	if (root == NULL)
	{
		Fail(&ps, JSON_ERROR_MEMORY);
		return NULL;
	}
	SkipSpace(&ps);
	if (!ReadValue(&ps, root) || !ReadContainers(&ps))
		return NULL;
	SkipSpace(&ps);
	if (ps.p < ps.end)
	{
		Fail(&ps, JSON_ERROR_TRAILING);
		return NULL;
	}
	return root;
}

const char *
JsonStatusText(JsonStatus status)
{
	switch (status)
	{
		case JSON_OK:
			return "no error";
		case JSON_ERROR_SYNTAX:
			return "invalid JSON syntax";
		case JSON_ERROR_END:
			return "unexpected end of input";
		case JSON_ERROR_TRAILING:
			return "unexpected characters after the JSON value";
		case JSON_ERROR_UTF8:
			return "invalid UTF-8";
		case JSON_ERROR_SIZE:
			return "value too long";
		case JSON_ERROR_MEMORY:
			return "out of memory";
	}
	return "unknown error";
}

/* ---------------- access ---------------- */

/* Like JsonGet, with the name's length. */
static JsonNode *
GetMember(const JsonNode *node, const char *name, size_t len)
{
	if (node == NULL || node->type != JSON_OBJECT)
		return NULL;
	for (JsonNode *m = node->child; m; m = m->next)
	{
		if (m->key_len == len && memcmp(m->key, name, len) == 0)
			return m;
	}
	return NULL;
}

JsonNode *
JsonGet(const JsonNode *node, const char *name)
{
	return GetMember(node, name, strlen(name));
}

JsonNode *
JsonPath(const JsonNode *node, const char *path)
{
	JsonNode   *found = NULL;

	for (;;)
	{
		size_t		len = strcspn(path, "/");

		found = GetMember(node, path, len);
		if (found == NULL || path[len] == '\0')
			return found;
		node = found;
		path += len + 1;
	}
}

JsonNode *
JsonElement(const JsonNode *node, uint32_t position)
{
	JsonNode   *e;

	if (node == NULL || node->type != JSON_ARRAY)
		return NULL;
	for (e = node->child; e && position > 0; e = e->next)
		position--;
	return e;
}

bool
JsonIs(const JsonNode *node, const char *s)
{
	return node && node->type == JSON_STRING && node->len == strlen(s) &&
		memcmp(node->text, s, node->len) == 0;
}

bool
JsonHasValue(const JsonNode *node)
{
	if (node == NULL || node->type == JSON_NULL)
		return false;
	if (node->type == JSON_STRING)
		return node->len > 0;
	if (node->type == JSON_ARRAY || node->type == JSON_OBJECT)
		return node->count > 0;
	return true;
}

/* ---------------- building ---------------- */

JsonNode *
JsonMake(JsonArena *arena, JsonType type)
{
	JsonNode   *node = JsonAlloc(arena, sizeof(JsonNode));

	if (node)
	{
		memset(node, 0, sizeof(JsonNode));
		node->type = (uint8_t) type;
		if (type == JSON_TRUE || type == JSON_FALSE)
		{
			node->text = type == JSON_TRUE ? "true" : "false";
			node->len = strlen(node->text);
		}
	}
	return node;
}

JsonNode *
JsonMakeText(JsonArena *arena, const char *text, size_t len)
{
	JsonNode   *node = JsonMake(arena, JSON_STRING);

	if (node)
	{
		node->text = text;

		node->len = len;
	}
	return node;
}

JsonNode *
JsonMakeString(JsonArena *arena, const char *text)
{
	return JsonMakeText(arena, text, strlen(text));
}

JsonNode *
JsonMakeInt(JsonArena *arena, int64_t value)
{
	JsonNode   *node = JsonMake(arena, JSON_NUMBER);
	char	   *text = JsonAlloc(arena, 24);

	if (node == NULL || text == NULL)
		return NULL;
	node->len = (size_t) snprintf(text, 24, "%lld", (long long) value);
	node->text = text;

	return node;
}

JsonNode *
JsonShare(JsonArena *arena, const JsonNode *node)
{
	JsonNode   *copy = JsonAlloc(arena, sizeof(JsonNode));

	if (copy)
	{
		*copy = *node;
		copy->next = NULL;
		copy->key = NULL;
		copy->key_len = 0;
	}
	return copy;
}

void
JsonAppend(JsonNode *parent, JsonNode *node)
{
	if (node == NULL)
		return;
	if (parent->child == NULL)
		parent->child = node;
	else
		parent->last->next = node;
	parent->last = node;
	parent->count++;
	if (node->deep)
		parent->deep = true;
}

void
JsonAppendMember(JsonNode *parent, const char *key, size_t key_len,
				 JsonNode *node)
{
	if (node == NULL)
		return;
	node->key = key;
	node->key_len = (uint32_t) key_len;
	JsonAppend(parent, node);
}

/* ---------------- writing ---------------- */

/* Appends text as a JSON string, escaping what must be. */
static void
WriteString(JsonBuffer *buf, const char *text, size_t len)
{
	size_t		done = 0;

	JsonBufferAdd(buf, "\"", 1);
	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) text[i];
		char		escape[8];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		JsonBufferAdd(buf, text +done, i - done);
		done = i + 1;
		if (c == '"' || c == '\\')
			snprintf(escape, sizeof(escape), "\\%c", c);
		else if (c == '\n')
			strcpy(escape, "\\n");
		else if (c == '\t')
			strcpy(escape, "\\t");
		else if (c == '\r')
			strcpy(escape, "\\r");
		else
			snprintf(escape, sizeof(escape), "\\u%04x", c);
		JsonBufferAddString(buf, escape);
	}
	JsonBufferAdd(buf, text +done, len - done);
	JsonBufferAdd(buf, "\"", 1);
}

/* True if jsonb can hold the number and prints it in about as many bytes. */
static bool
NumberIsModest(const JsonNode *node)
{
	const char *e = memchr(node->text, 'e', node->len);
	const char *end = node->text +node->len;
	long		exponent = 0;

	if (node->len > LONGEST_NUMBER)
		return false;
	if (e == NULL)
		e = memchr(node->text, 'E', node->len);
	if (e == NULL)
		return true;
	for (e++; e < end && exponent <= LARGEST_EXPONENT; e++)
	{
		if (*e >= '0' && *e <= '9')
			exponent = exponent * 10 + (*e - '0');
	}
	return exponent <= LARGEST_EXPONENT;
}

/* Writes an array or object; recursion is bounded by the reader's limit. */
static void
WriteContainer(JsonBuffer *buf, const JsonNode *node, JsonStyle style)
{
	bool		object = node->type == JSON_OBJECT;

	JsonBufferAdd(buf, object ? "{" : "[", 1);
	for (const JsonNode *m = node->child; m; m = m->next)
	{
		if (m != node->child)
			JsonBufferAdd(buf, ", ", style == JSON_SPACED ? 2 : 1);
		if (object)
		{
			WriteString(buf, m->key, m->key_len);
			JsonBufferAdd(buf, ": ", style == JSON_SPACED ? 2 : 1);
		}
		JsonWrite(buf, m, style);
	}
	JsonBufferAdd(buf, object ? "}" : "]", 1);
}

void
JsonWrite(JsonBuffer *buf, const JsonNode *node, JsonStyle style)
{
	switch ((JsonType) node->type)
	{
		case JSON_NULL:
		case JSON_TOO_DEEP:
			JsonBufferAdd(buf, "null", 4);
			break;
		case JSON_FALSE:
		case JSON_TRUE:
			JsonBufferAdd(buf, node->text, node->len);
			break;
		case JSON_NUMBER:
			if (style == JSON_SPACED && !NumberIsModest(node))
				WriteString(buf, node->text, node->len);
			else
				JsonBufferAdd(buf, node->text, node->len);
			break;
		case JSON_STRING:
			WriteString(buf, node->text, node->len);
			break;
		case JSON_ARRAY:
		case JSON_OBJECT:
			WriteContainer(buf, node, style);
			break;
	}
}
