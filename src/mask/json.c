/*
 * json.c
 *	  Masking of JSON: by the names of keys and by content, at any depth,
 *	  also in JSON that stands inside strings.
 *
 * The document is walked once.  What needs no masking is copied byte for
 * byte; a string that does is written anew.  Strings are decoded before
 * they are scanned, so that an escape hides nothing.  A number that is
 * personal becomes a string.  Names of the two nearest keys are context for
 * what is below them.
 *
 * A card or IIN may be split over the elements of an array or over the
 * members of an object: the last scalars that hold digits alone are kept in
 * mind (the trail), and masked together when they make one.
 *
 * The walk recurses, but no deeper than the caller's limit; beyond that the
 * document is withheld.  JSON inside strings is followed NEST_MAX times, and
 * each level is smaller than the one around it: the whole stays linear.  Where
 * the document's allowance of work ends (work.c), the rest is withheld: one
 * string stands for it, and what is open is closed.
 */
#include "mask/scan.h"
#include "mask/validate.h"

#include <string.h>

#define NEST_MAX 8
#define CONTEXT_ROOM 160

/* A scalar of digits: where it stands and what it holds. */
#define TRAIL_PARTS 19
#define TRAIL_DIGITS 12
typedef struct TrailPart
{
	size_t		start;
	size_t		end;
	bool		number;			/* without quotes */
	int			len;
	char		digits[TRAIL_DIGITS];
} TrailPart;

typedef struct JsonWalk
{
	const MaskOptions *options;
	const KnownSet *set;
	const char *text;
	size_t		len;
	size_t		pos;
	size_t		copied;			/* text before this is in out, if there is any */
	char	   *out;			/* NULL until something was masked */
	size_t		out_len;
	size_t		out_room;
	int			depth;
	int			max_depth;
	int			nesting;
	char		context[CONTEXT_ROOM];
	size_t		context_len;
	MaskStatus	status;
	const char *reason;
	MaskResult	found;			/* what was found; its counts only */
	KeyKind		named;			/* what a member "name" says of "value" */
	bool		cut;			/* the rest is withheld */
	int			trail_count;
	TrailPart	trail[TRAIL_PARTS];
} JsonWalk;

static const char not_json[] = "not JSON";
static const char too_deep[] = "nested too deep";

static bool WalkValue(JsonWalk *walk, KeyKind kind);

/* Ends the walk; always false. */
static bool
Fail(JsonWalk *walk, MaskStatus status, const char *reason)
{
	walk->status = status;
	walk->reason = reason;
	return false;
}

/* ---------------- output ---------------- */

/* Appends to the output, which grows by doubling. */
static bool
Emit(JsonWalk *walk, const char *text, size_t len)
{
	if (walk->out == NULL || walk->out_len + len + 1 > walk->out_room)
	{
		size_t		room = (walk->out_room + len + 64) * 2;
		char	   *grown;

		if (walk->out == NULL)
			room = walk->len + len + 256;
		grown = MaskAlloc(walk->options, room);
		if (grown == NULL)
			return Fail(walk, MASK_NO_MEMORY, NULL);
		if (walk->out_len > 0)
			memcpy(grown, walk->out, walk->out_len);
		MaskRelease(walk->options, walk->out);
		walk->out = grown;
		walk->out_room = room;
	}
	memcpy(walk->out + walk->out_len, text, len);
	walk->out_len += len;
	return true;
}

/* Copies the document up to pos and continues behind skip_to. */
static bool
EmitUpTo(JsonWalk *walk, size_t pos, size_t skip_to)
{
	bool		good = Emit(walk, walk->text +walk->copied,
							pos - walk->copied);

	walk->copied = skip_to;
	return good;
}

/* Writes a text as the inside of a JSON string. */
static bool
EmitEscaped(JsonWalk *walk, const char *text, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	size_t		done = 0;

	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) text[i];
		char		escape[6] = {'\\', 'u', '0', '0', 0, 0};
		size_t		n = 2;

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
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
		if (!Emit(walk, text +done, i - done) || !Emit(walk, escape, n))
			return false;
		done = i + 1;
	}
	return Emit(walk, text +done, len - done);
}

/* ---------------- reading ---------------- */

static void
SkipSpace(JsonWalk *walk)
{
	while (walk->pos < walk->len &&
		   strchr(" \t\r\n", walk->text[walk->pos]) != NULL &&
		   walk->text[walk->pos] != '\0')
		walk->pos++;
}

/* The next character, 0 at the end. */
static char
Peek(const JsonWalk *walk)
{
	return walk->pos < walk->len ? walk->text[walk->pos] : '\0';
}

/* A string between its quotes. */
typedef struct JsonString
{
	size_t		start;
	size_t		end;
	bool		escaped;
	bool		key;			/* of a member */
} JsonString;

/* Reads a string at its quote and moves behind it. */
static bool
ReadString(JsonWalk *walk, JsonString *string)
{
	size_t		at = walk->pos + 1;

	string->start = at;
	string->escaped = false;
	string->key = false;
	while (at < walk->len && walk->text[at] != '"')
	{
		if ((unsigned char) walk->text[at] < 0x20)
			return Fail(walk, MASK_WITHHELD, not_json);
		if (walk->text[at] == '\\')
		{
			string->escaped = true;
			at++;
		}
		at++;
	}
	if (at >= walk->len)
		return Fail(walk, MASK_WITHHELD, not_json);
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
static bool
DecodeString(const char *text, size_t len, char *out, size_t *out_len)
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
			out[n++] = *text ++;
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

/* ---------------- scalars ---------------- */

/* Notes what a part of the document held. */
static void
Count(JsonWalk *walk, const MaskResult *part)
{
	walk->found.cut |= part->cut;
	walk->found.entities |= part->entities;
	walk->found.hit_count += part->hit_count;
	for (int i = 0; i < MASK_ENTITY_ROOM; i++)
		walk->found.counts[i] += part->counts[i];
}

/* Masks a text with the walk's context. */
static bool
ScanPart(JsonWalk *walk, const char *text, size_t len, MaskResult *part)
{
	MaskOptions options = *walk->options;

	options.context = walk->context;
	options.context_len = walk->context_len;
	TextWithSet(&options, walk->set, text, len, part);
	if (part->status == MASK_NO_MEMORY || part->status == MASK_WITHHELD)
		return Fail(walk, part->status, part->reason);
	return true;
}

/* Follows JSON inside a string; *part says what came of it. */
static bool
NestedPart(JsonWalk *walk, const char *text, size_t len, MaskResult *part)
{
	JsonWalk	inner = *walk;

	memset(part, 0, sizeof(*part));
	inner.text = text;

	inner.len = len;
	inner.pos = inner.copied = 0;
	inner.out = NULL;
	inner.out_len = inner.out_room = 0;
	memset(&inner.found, 0, sizeof(inner.found));
	inner.trail_count = 0;
	inner.nesting++;
	if (WalkValue(&inner, KEY_PLAIN))
	{
		SkipSpace(&inner);
		if (inner.pos < len)
			Fail(&inner, MASK_WITHHELD, not_json);
		else if (inner.out != NULL)
			EmitUpTo(&inner, len, len);
	}
	part->status = inner.status;
	part->reason = inner.reason;
	if (inner.status == MASK_CLEAN && inner.out != NULL)
	{
		inner.out[inner.out_len] = '\0';	/* Emit keeps a byte for it */
		*part = inner.found;
		part->status = MASK_MASKED;
		part->text = inner.out;
		part->len = inner.out_len;
		return true;
	}
	MaskRelease(walk->options, inner.out);
	if (inner.status == MASK_NO_MEMORY ||
		(inner.status == MASK_WITHHELD && inner.reason != not_json))
		return Fail(walk, inner.status, inner.reason);
	return true;
}

/* The first character that is no space, 0 if there is none. */
static char
FirstChar(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!IsSpace((unsigned char) text[i]))
			return text[i];

	return '\0';
}

/* Masks the value of a sensitive key entirely. */
static bool
WholePart(JsonWalk *walk, KeyKind kind, const char *text, size_t len,
		  MaskResult *part)
{
	MaskHit		hit = {0};
	MaskHit    *hits;
	size_t		count;
	MaskStatus	status = FindWithSet(walk->options, walk->set, text, len,
									 &hits, &count);

	memset(part, 0, sizeof(*part));
	hit.entity = kind == KEY_PASSWORD ? MASK_PASSWORD :
		kind == KEY_AUTHORIZATION ? MASK_AUTHORIZATION : MASK_SECRET;
	hit.end = len;
	if (status == MASK_MASKED && count == 1 && hits[0].start == 0 &&
		hits[0].end == len && hits[0].entity != MASK_ENTITY_REST)
		hit = hits[0];
	MaskRelease(walk->options, hits);
	if (status == MASK_NO_MEMORY)
		return Fail(walk, status, NULL);
	/* of a value that no finder can be asked about nothing is shown */
	part->text = MaskAlloc(walk->options, MASK_FORM_MAX);
	if (part->text == NULL)
		return Fail(walk, MASK_NO_MEMORY, NULL);
	part->len = MaskForm(text, &hit, part->text);
	part->status = MASK_MASKED;
	NoteFound(walk->options, part, hit.entity, text, len);
	return true;
}

/*
 * True if the whole text is the form of a secret: masked before.  Nothing
 * less will do, or a password in angle brackets would stay.
 */
static bool
IsMaskedForm(const char *text, size_t len)
{
	for (int i = MASK_URL_CREDENTIALS; i < MASK_ENTITY_COUNT; i++)
	{
		const char *name = MaskEntityName((MaskEntity) i);
		size_t		n = strlen(name);

		if (len == n + 2 && text[0] == '<' && text[len - 1] == '>' &&
			memcmp(text +1, name, n) == 0)
			return true;
	}
	return false;
}

/* What becomes of a decoded string. */
static bool
StringPart(JsonWalk *walk, KeyKind kind, const char *text, size_t len,
		   MaskResult *part)
{
	char		first = FirstChar(text, len);

	memset(part, 0, sizeof(*part));
	if (len == 0)
		return true;
	if (kind >= KEY_SECRET)
		return IsMaskedForm(text, len) ||
			WholePart(walk, kind, text, len, part);
	if (len > 1 && (first == '{' || first == '[' || first == '"'))
	{
		if (walk->nesting >= NEST_MAX)
			return Fail(walk, MASK_WITHHELD, too_deep);
		if (!NestedPart(walk, text, len, part))
			return false;
		if (part->status != MASK_WITHHELD)
			return true;
	}
	return ScanPart(walk, text, len, part);
}

/* ---------------- the trail ---------------- */

/* The digits of the trail from first on, put together; how many. */
static int
TrailDigits(const JsonWalk *walk, int first, char *digits)
{
	int			len = 0;

	for (int i = first; i < walk->trail_count; i++)
	{
		memcpy(digits + len, walk->trail[i].digits,
			   (size_t) walk->trail[i].len);
		len += walk->trail[i].len;
	}
	return len;
}

/* Masks the parts of the trail from first on. */
static bool
MaskTrail(JsonWalk *walk, int first, MaskEntity entity)
{
	const char *name = MaskEntityName(entity);
	char		digits[TRAIL_PARTS * TRAIL_DIGITS];
	int			len = TrailDigits(walk, first, digits);
	bool		good = true;

	for (int i = first; i < walk->trail_count && good; i++)
	{
		const TrailPart *part = &walk->trail[i];

		good = EmitUpTo(walk, part->start, part->end) &&
			Emit(walk, "\"", part->number) && Emit(walk, "<", 1) &&
			Emit(walk, name, strlen(name)) && Emit(walk, ">", 1) &&
			Emit(walk, "\"", part->number);
	}
	NoteFound(walk->options, &walk->found, entity, digits, (size_t) len);
	walk->trail_count = 0;
	return good;
}

/* Whether the digits of the trail from first on are one identifier. */
static MaskEntity
TrailEntity(const JsonWalk *walk, int first, bool card_key)
{
	char		digits[TRAIL_PARTS * TRAIL_DIGITS];
	int			len = TrailDigits(walk, first, digits);
	bool		numbers = false;

	for (int i = first; i < walk->trail_count; i++)
		numbers |= walk->trail[i].number;
	/* arrays of numbers are tokens and measurements, unless a key speaks */
	if (numbers && !card_key)
		return MASK_ENTITY_COUNT;
	if (len >= 15 && len <= 19 && CheckLuhn(digits, len) &&
		CardPrefixKnown(digits, len))
		return MASK_CREDIT_CARD;
	if (len == 12 && CheckKzDigit(digits) && IinPlausible(digits))
		return MASK_KZ_IIN;
	return MASK_ENTITY_COUNT;
}

/* A key above speaks of cards. */
static bool
ContextSaysCard(const JsonWalk *walk)
{
	for (size_t i = 0; i + 4 <= walk->context_len; i++)
		if (FoldMatch((const unsigned char *) walk->context,
					  walk->context_len, i, "card", 4) > 0)
			return true;
	return false;
}

/*
 * Adds a scalar that was not masked to the trail, or forgets the trail if it
 * holds more than digits; then looks whether the last ones make something.
 */
static bool
FollowTrail(JsonWalk *walk, const char *text, size_t len, TrailPart part)
{
	part.len = 0;
	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) text[i];

		if (IsDigit(c) && part.len < TRAIL_DIGITS)
			part.digits[part.len++] = (char) c;
		else if (c != ' ' && c != '-')
			part.len = TRAIL_DIGITS + 1;
		if (part.len > TRAIL_DIGITS)
			break;
	}
	if (part.len == 0 || part.len > TRAIL_DIGITS)
	{
		walk->trail_count = 0;
		return true;
	}
	if (walk->trail_count == TRAIL_PARTS)
		memmove(walk->trail, walk->trail + 1,
				(size_t) --walk->trail_count * sizeof(TrailPart));
	walk->trail[walk->trail_count++] = part;
	if (walk->trail_count >= 2)
	{
		bool		card = part.number && ContextSaysCard(walk);

		int			digits = part.len;

		for (int first = walk->trail_count - 2; first >= 0; first--)
		{
			MaskEntity	entity;

			digits += walk->trail[first].len;
			if (digits > 19 || (walk->trail[first].number && !card))
				break;
			if (digits < 12)
				continue;
			entity = TrailEntity(walk, first, card);

			if (entity != MASK_ENTITY_COUNT)
				return MaskTrail(walk, first, entity);
		}
	}
	return true;
}

/* Masks the string just read; its replacement, if any, is emitted. */
static bool
MaskString(JsonWalk *walk, const JsonString *string, KeyKind kind)
{
	const char *text = walk->text +string->start;
	size_t		len = string->end - string->start;
	char	   *decoded = NULL;
	MaskResult	part;
	bool		good;

	if (string->escaped)
	{
		decoded = MaskAlloc(walk->options, len);
		if (decoded == NULL)
			return Fail(walk, MASK_NO_MEMORY, NULL);
		if (!DecodeString(text, len, decoded, &len))
		{
			MaskRelease(walk->options, decoded);
			return Fail(walk, MASK_WITHHELD, not_json);
		}
		text = decoded;
	}
	good = StringPart(walk, kind, text, len, &part);
	if (good && part.status == MASK_MASKED)
	{
		Count(walk, &part);
		good = EmitUpTo(walk, string->start, string->end) &&
			EmitEscaped(walk, part.text, part.len);
		walk->trail_count = 0;
		MaskRelease(walk->options, part.text);
	}
	else if (good && !string->key)
	{
		TrailPart	trail = {string->start, string->end, false, 0, {0}};

		good = FollowTrail(walk, text, len, trail);
	}
	MaskRelease(walk->options, decoded);
	return good;
}

/*
 * True if a number may be an identifier: seven digits, no fraction but .0,
 * which *whole then leaves out.
 */
static bool
NumberMayMatter(const char *text, size_t *whole)
{
	size_t		len = *whole;

	while (len > 2 && text[len - 1] == '0' && memchr(text, '.', len) != NULL)
		len--;
	len -= len > 0 && text[len - 1] == '.';

	if (len < 7)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!IsDigit((unsigned char) text[i]))
			return false;
	*whole = len;
	return true;
}

/* A number or a literal; a number that is masked becomes a string. */
static bool
WalkScalar(JsonWalk *walk, KeyKind kind)
{
	size_t		start = walk->pos;
	const char *text = walk->text +start;
	size_t		len;
	MaskResult	part = {0};
	bool		good = true;

	while (walk->pos < walk->len && Peek(walk) != '\0' &&
		   (IsAlnum((unsigned char) Peek(walk)) ||
			strchr("+-.", Peek(walk)) != NULL))
		walk->pos++;
	len = walk->pos - start;
	if (len == 0 || (IsAlpha((unsigned char) text[0]) &&
					 !(len == 4 && memcmp(text, "true", 4) == 0) &&
					 !(len == 5 && memcmp(text, "false", 5) == 0) &&
					 !(len == 4 && memcmp(text, "null", 4) == 0)))
		return Fail(walk, MASK_WITHHELD, not_json);
	if (IsAlpha((unsigned char) text[0]))
		return true;
	if (kind >= KEY_SECRET)
		good = WholePart(walk, kind, text, len, &part);
	else if (NumberMayMatter(text, &len) || walk->set != NULL)
		good = ScanPart(walk, text, len, &part);
	if (good && part.status == MASK_MASKED)
	{
		Count(walk, &part);
		good = EmitUpTo(walk, start, walk->pos) && Emit(walk, "\"", 1) &&
			EmitEscaped(walk, part.text, part.len) && Emit(walk, "\"", 1);
		walk->trail_count = 0;
		MaskRelease(walk->options, part.text);
	}
	else if (good)
	{
		TrailPart	trail = {start, walk->pos, true, 0, {0}};

		good = FollowTrail(walk, text, len, trail);
	}
	return good;
}

/* ---------------- containers ---------------- */

/* Adds a key to the context; keeps the one before it and no more. */
static void
PushContext(JsonWalk *walk, size_t before, const char *key, size_t len)
{
	if (len > CONTEXT_ROOM / 2 - 2)
		len = CONTEXT_ROOM / 2 - 2;
	walk->context_len = before;
	if (walk->context_len > CONTEXT_ROOM / 2)
		walk->context_len = CONTEXT_ROOM / 2;
	if (walk->context_len > 0)
		walk->context[walk->context_len++] = ' ';
	memcpy(walk->context + walk->context_len, key, len);
	walk->context_len += len;
}

/* True if a key is one of the words, which '|' separates and frames. */
static bool
IsOneOf(const char *key, size_t len, const char *words)
{
	for (const char *p = words; *p == '|' && p[1] != '\0'; p++)
	{
		size_t		n = strcspn(p + 1, "|");

		if (n == len && FoldMatch((const unsigned char *) key, len, 0, p + 1,
								  n) == len)
			return true;
		p += n;
	}
	return false;
}

/*
 * {"name": "api_token", "value": "..."}: the kind of key that a member's
 * string names for the member "value" after it.  The walk is at that string.
 */
static void
NoteName(JsonWalk *walk, const char *key, size_t len)
{
	const char *text = walk->text +walk->pos + 1;
	size_t		left = walk->len - walk->pos;
	const char *end;

	if (Peek(walk) != '"' ||
		!IsOneOf(key, len, "|name|key|field|header|variable|param|label|id|"))
		return;
	end = memchr(text, '"', left > 96 ? 96 : left - 1);
	walk->named = end == NULL ? KEY_PLAIN :
		KindOfKey((const unsigned char *) text, (size_t) (end - text));

	if (walk->named <= KEY_VENDOR)
		walk->named = KEY_PLAIN;
}

/* One key and its value. */
static bool
WalkMember(JsonWalk *walk, KeyKind kind, const char *outer, size_t outer_len)
{
	JsonString	key;
	char		name[CONTEXT_ROOM];
	size_t		len;
	KeyKind		own;

	if (Peek(walk) != '"' || !ReadString(walk, &key))
		return Fail(walk, MASK_WITHHELD, not_json);
	len = key.end - key.start < CONTEXT_ROOM ? key.end - key.start :
		CONTEXT_ROOM;
	if (!key.escaped || len == CONTEXT_ROOM)
		memcpy(name, walk->text +key.end - len, len);
	else if (!DecodeString(walk->text +key.start, len, name, &len))
		len = 0;
	memcpy(walk->context, outer, outer_len);
	walk->context_len = outer_len;
	key.key = true;
	if (!MaskString(walk, &key, KEY_PLAIN))
		return false;
	SkipSpace(walk);
	if (Peek(walk) != ':')
		return Fail(walk, MASK_WITHHELD, not_json);
	walk->pos++;
	PushContext(walk, outer_len, name, len);
	own = KindOfKey((const unsigned char *) name, len);
	SkipSpace(walk);
	NoteName(walk, name, len);
	if (walk->named > own && IsOneOf(name, len, "|value|val|content|data|"))
		own = walk->named;
	return WalkValue(walk, own > kind ? own : kind);
}

/* An object or array, at its bracket. */
static bool
WalkContainer(JsonWalk *walk, KeyKind kind, char close)
{
	char		outer[CONTEXT_ROOM];
	size_t		outer_len = walk->context_len;
	KeyKind		named = walk->named;

	if (++walk->depth > walk->max_depth)
		return Fail(walk, MASK_WITHHELD, too_deep);
	/* only the nearest key goes on to the next level */
	while (outer_len > CONTEXT_ROOM / 2)
		outer_len--;
	memcpy(outer, walk->context + walk->context_len - outer_len, outer_len);
	walk->pos++;
	walk->named = KEY_PLAIN;
	SkipSpace(walk);
	for (bool first = true; Peek(walk) != close; first = false)
	{
		if (!first)
		{
			if (Peek(walk) != ',')
				return Fail(walk, MASK_WITHHELD, not_json);
			walk->pos++;
			SkipSpace(walk);
		}
		if (close == '}' ? !WalkMember(walk, kind, outer, outer_len) :
			!WalkValue(walk, kind))
			return false;
		if (walk->cut)
		{
			walk->depth--;
			return Emit(walk, &close, 1);
		}
		SkipSpace(walk);
	}
	walk->pos++;
	walk->depth--;
	walk->named = named;
	memcpy(walk->context, outer, outer_len);
	walk->context_len = outer_len;
	return true;
}

/* Puts one string in the place of all that follows. */
static bool
CutHere(JsonWalk *walk)
{
	walk->cut = walk->found.cut = true;
	if (!EmitUpTo(walk, walk->pos, walk->len))
		return false;
	walk->pos = walk->len;
	return Emit(walk, "\"<WITHHELD>\"", 12);
}

/* Any value; kind is what the keys above it say. */
static bool
WalkValue(JsonWalk *walk, KeyKind kind)
{
	JsonString	string;

	if (WorkIsSpent(walk->options->work))
		return CutHere(walk);
	SkipSpace(walk);
	switch (Peek(walk))
	{
		case '{':
			return WalkContainer(walk, kind, '}');
		case '[':
			return WalkContainer(walk, kind, ']');
		case '"':
			return ReadString(walk, &string) &&
				MaskString(walk, &string, kind);
		default:
			return WalkScalar(walk, kind);
	}
}

/* Masks a document with prepared known values. */
static MaskStatus
JsonWithSet(const MaskOptions *options, const KnownSet *set, const char *text,
			size_t len, MaskResult *result)
{
	JsonWalk	walk;

	memset(&walk, 0, sizeof(walk));
	walk.options = options;
	walk.set = set;
	walk.max_depth = options->max_depth > 0 ? options->max_depth :
		MASK_DEFAULT_DEPTH;
	if (options->context_len > 0)
		PushContext(&walk, 0, options->context, options->context_len);
	/* the outermost document counts as one part of itself */
	walk.nesting = -1;
	if (!NestedPart(&walk, text, len, result) && walk.status != MASK_CLEAN)
	{
		result->status = walk.status;
		result->reason = walk.reason;
	}
	return result->status;
}

/* Options of which all parts of a document of len bytes share the work. */
static MaskOptions
OptionsWithWork(const MaskOptions *options, MaskWork *work, size_t len)
{
	MaskOptions own = *options;

	if (own.work == NULL)
	{
		WorkAllow(work, len);
		own.work = work;
	}
	return own;
}

MaskStatus
MaskJson(const MaskOptions *options, const char *text, size_t len,
		 MaskResult *result)
{
	MaskWork	work;
	MaskOptions own = OptionsWithWork(options, &work, len);
	KnownSet   *set = TextPrepare(&own, text, len, result);

	if (result->status == MASK_CLEAN)
		JsonWithSet(&own, set, text, len, result);
	KnownFree(&own, set);
	return result->status;
}

MaskStatus
MaskDocument(const MaskOptions *options, const char *text, size_t len,
			 MaskResult *result)
{
	char		first = FirstChar(text, len);
	MaskWork	work;
	MaskOptions own = OptionsWithWork(options, &work, len);

	if (first == '{' || first == '[')
	{
		MaskJson(&own, text, len, result);
		if (result->status != MASK_WITHHELD || result->reason != not_json)
			return result->status;
	}
	return MaskText(&own, text, len, result);
}
