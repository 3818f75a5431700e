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
 * A document may be of nothing but short strings and keys.  Most hold nothing
 * that any detector asks for, which a glance tells (GlanceAt() in scan.c); and
 * what was found out about a short one is kept for when it comes again.
 *
 * The walk recurses, but no deeper than the caller's limit; beyond that the
 * document is withheld.  JSON inside strings is followed NEST_MAX times, and
 * each level is smaller than the one around it: the whole stays linear.  Where
 * the document's allowance of work ends (work.c), the rest is withheld: one
 * string stands for it, and what is open is closed; but all of it is read, since
 * what is no JSON is masked as a text.
 */
#include "mask/scan.h"
#include "mask/validate.h"

#include <string.h>

#define NEST_MAX 8
#define CONTEXT_ROOM 160
#define SHORT_STRING 256		/* decoded without asking for memory */

/*
 * A scalar of digits: where it stands, and where its digits are among those
 * of all.  The last TRAIL_PARTS matter; there is room for more, so that they
 * seldom move.
 */
#define TRAIL_PARTS 19
#define TRAIL_ROOM 64
#define TRAIL_DIGITS 12			/* of one */
#define TRAIL_MOST 19			/* of several together */
typedef struct TrailPart
{
	size_t		start;
	size_t		end;
	bool		number;			/* without quotes */
	int			first;			/* of its digits */
	unsigned	luhn[2];		/* sums of the strings' digits before it,
								 * where those at even places count twice, or
								 * odd */
} TrailPart;

/* The last scalars, as long as they were of digits alone. */
typedef struct Trail
{
	int			count;
	int			digit_count;
	unsigned	luhn[2];
	TrailPart	parts[TRAIL_ROOM];
	char		digits[TRAIL_ROOM * TRAIL_DIGITS];
} Trail;

/*
 * What is known of a short string, key or not; documents repeat a few.  Its
 * bytes are filled up with zeros, which no string has.
 */
#define MEMOS 64
#define MEMO_BYTES 32
#define MEMO_CONTEXT 64
typedef struct Memo
{
	uint64_t	bytes[MEMO_BYTES / 8];
	TextGlance	glance;
	uint32_t	clean_set;
	bool		clean;			/* nothing is found in it within clean_set */
	bool		judged;			/* as a key, which the next three are of */
	bool		names;			/* is one of "name", "key" and so on */
	bool		holds;			/* is one of "value" and so on */
	KeyKind		kind;
	uint32_t	set;			/* what a context says that ended with it */
	uint8_t		context_len;	/* 0: none */
	char		context[MEMO_CONTEXT];
} Memo;

/* The nearest keys, and what they say: found out when it is asked for. */
typedef struct JsonContext
{
	char		words[CONTEXT_ROOM];
	size_t		len;
	Memo	   *memo;			/* where its set may be noted, or NULL */
	uint32_t	set;			/* of ContextsOf() */
	bool		set_known;
	bool		card;			/* speaks of cards */
	bool		card_known;
} JsonContext;

/* What all walks of a document have in common. */
typedef struct JsonRoot
{
	const MaskOptions *options;
	const KnownSet *set;
	MaskOptions within;			/* the options, but for the context */
	bool		glances;		/* nothing is sought but by detectors */
	bool		outer_known;
	uint32_t	outer;			/* contexts of the options */
	int			max_depth;
	unsigned	memo_turn;
	uint8_t		memo_len[2 * MEMOS];	/* of memos[], in bytes; 0: none yet */
	Memo		memos[2 * MEMOS];	/* of keys, and of other strings, which
									 * are less likely to come again */
} JsonRoot;

/* Where an object stands in a JSON schema, which describes values. */
typedef enum SchemaPlace
{
	SCHEMA_NOT = 0,
	SCHEMA_NAMES,				/* its members are named as the values are */
	SCHEMA_WITHIN				/* they say what the values may be */
} SchemaPlace;

typedef struct JsonWalk
{
	JsonRoot   *root;
	const char *text;
	size_t		len;
	size_t		pos;
	size_t		copied;			/* text before this is in out, if there is any */
	char	   *out;			/* NULL until something was masked */
	size_t		out_len;
	size_t		out_room;
	int			depth;
	int			nesting;
	MaskStatus	status;
	const char *reason;
	KeyKind		named;			/* what a member "name" says of "value" */
	SchemaPlace schema;
	bool		thinks;			/* a member says that a model's thought
								 * follows */
	bool		spelt;			/* or that a piece of text does */
	bool		cut;			/* the rest is withheld */
	MaskResult	found;			/* what was found; its counts only */
	JsonContext context;
	Trail		trail;			/* begun by ForgetTrail() */
} JsonWalk;

static const char not_json[] = "not JSON";
static const char too_deep[] = "nested too deep";
static const char withheld[] = "\"<WITHHELD>\"";

static bool WalkValue(JsonWalk *walk, KeyKind kind);

/* Counts work of the walk itself. */
static inline void
CountJson(const JsonRoot *root, size_t work)
{
	root->options->work->done += work;
}

static inline void
ForgetTrail(Trail *trail)
{
	trail->count = trail->digit_count = 0;
	trail->luhn[0] = trail->luhn[1] = 0;
}

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
static bool
EmitUpTo(JsonWalk *walk, size_t pos, size_t skip_to)
{
	bool		good = Emit(walk, walk->text +walk->copied,
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
static bool
EmitEscaped(JsonWalk *walk, const char *text, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	size_t		done = 0;

	for (;;)
	{
		size_t		at = NextInString(text, len, done);
		char		escape[6] = {'\\', 'u', '0', '0', 0, 0};
		size_t		n = 2;
		unsigned char c;

		if (!Emit(walk, text +done, at - done) || at == len)
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
		if (!Emit(walk, escape, n))
			return false;
		done = at + 1;
	}
}

/* ---------------- reading ---------------- */

static inline bool
IsJsonSpace(unsigned char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Skips white space, which documents for the eye have much of in a row. */
static void
SkipSpaces(JsonWalk *walk)
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

static inline void
SkipSpace(JsonWalk *walk)
{
	if (walk->pos < walk->len && walk->text[walk->pos] <= ' ')
		SkipSpaces(walk);
}

/* The next character, 0 at the end. */
static char
Peek(const JsonWalk *walk)
{
	return walk->pos < walk->len ? walk->text[walk->pos] : '\0';
}

/* A string between its quotes, or another scalar. */
typedef struct JsonScalar
{
	size_t		start;
	size_t		end;
	bool		escaped;
	bool		key;			/* of a member */
	bool		bare;			/* without quotes */
} JsonScalar;

/* Reads a string at its quote and moves behind it. */
static bool
ReadString(JsonWalk *walk, JsonScalar *string)
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

/* ---------------- scalars ---------------- */

/*
 * What the nearest keys say.  It follows from their text alone: what is noted
 * of that is right wherever it was noted.
 */
static uint32_t
ReadContexts(JsonContext *context)
{
	Memo	   *memo = context->len <= MEMO_CONTEXT ? context->memo : NULL;

	context->set_known = true;
	if (memo != NULL && memo->context_len == context->len &&
		memcmp(memo->context, context->words, context->len) == 0)
		return context->set = memo->set;
	context->set = ContextsOf(context->words, context->len);
	if (memo != NULL)
	{
		memo->set = context->set;
		memo->context_len = (uint8_t) context->len;
		memcpy(memo->context, context->words, context->len);
	}
	return context->set;
}

static inline uint32_t
WithinContexts(JsonContext *context)
{
	return context->set_known ? context->set : ReadContexts(context);
}

#define ONES_8 "\377\377\377\377\377\377\377\377"

/* Copies a text of at most MEMO_BYTES, of which room bytes can be read. */
static inline void
PadMemo(uint64_t *bytes, const char *text, size_t len, size_t room)
{
	/* MEMO_BYTES of them, and as many zeros */
	static const char ones[2 * MEMO_BYTES] = ONES_8 ONES_8 ONES_8 ONES_8;

	if (room < MEMO_BYTES)
	{
		memset(bytes, 0, MEMO_BYTES);
		memcpy(bytes, text, len);
		return;
	}
	for (int i = 0; i < MEMO_BYTES / 8; i++)
	{
		uint64_t	keep;

		memcpy(&bytes[i], text +i * 8, 8);
		memcpy(&keep, ones + MEMO_BYTES - len + i * 8, 8);
		bytes[i] &= keep;
	}
}

/* True if a memo is of these bytes. */
static inline bool
IsMemoOf(const Memo *memo, const uint64_t *b)
{
	return ((b[0] ^ memo->bytes[0]) | (b[1] ^ memo->bytes[1]) |
			(b[2] ^ memo->bytes[2]) | (b[3] ^ memo->bytes[3])) == 0;
}

/* A new memo, in a slot or its neighbour: in turn if both are taken. */
static Memo *
NewMemo(JsonRoot *root, const TextPiece *piece, const uint64_t *b,
		size_t slot)
{
	Memo	   *memo;

	CountJson(root, WORK_GLANCE);
	if (root->memo_len[slot] != 0)
		slot ^= root->memo_len[slot ^ 1] == 0 || (root->memo_turn++ & 1);
	memo = &root->memos[slot];
	root->memo_len[slot] = (uint8_t) piece->len;
	memcpy(memo->bytes, b, MEMO_BYTES);
	memo->glance = root->glances ?
		GlanceAt(piece->text, piece->len, piece->room) : GLANCE_MORE;
	memo->clean = memo->judged = false;
	memo->context_len = 0;
	return memo;
}

/*
 * What is known of a string, found out if it is new; NULL if nothing is kept
 * of it.  Only where detectors alone seek does its glance tell all.
 */
static Memo *
MemoOf(JsonRoot *root, const TextPiece *piece, bool key)
{
	uint64_t	b[MEMO_BYTES / 8];
	size_t		len = piece->len;
	size_t		slot;

	if (len == 0 || len > MEMO_BYTES)
		return NULL;
	PadMemo(b, piece->text, len, piece->room);
	slot = ((b[0] ^ b[1] * 3 ^ b[2] * 5 ^ b[3] * 7) *
			UINT64_C(0x9E3779B97F4A7C15)) >> 58;
	slot += key ? MEMOS : 0;
	for (int i = 0; i < 2; i++, slot ^= 1)
		if (root->memo_len[slot] == len && IsMemoOf(&root->memos[slot], b))
			return &root->memos[slot];
	return NewMemo(root, piece, b, slot);
}

/* Writes something instead of a scalar, with quotes if it had none. */
static bool
EmitInstead(JsonWalk *walk, const JsonScalar *place, const char *text, size_t len)
{
	return EmitUpTo(walk, place->start, place->end) &&
		Emit(walk, "\"", place->bare) && EmitEscaped(walk, text, len) &&
		Emit(walk, "\"", place->bare);
}

/*
 * Withholds the scalars of the trail that might have been an identifier with
 * those of the rest.
 */
static bool
WithholdTrail(JsonWalk *walk)
{
	const Trail *trail = &walk->trail;
	bool		good = true;

	for (int i = 0; i < trail->count && good; i++)
	{
		const TrailPart *part = &trail->parts[i];

		if (trail->digit_count - part->first < TRAIL_MOST)
			good = EmitUpTo(walk, part->start - !part->number,
							part->end + !part->number) &&
				Emit(walk, withheld, sizeof(withheld) - 1);
	}
	ForgetTrail(&walk->trail);
	return good;
}

/* Writes a scalar with its findings replaced. */
static bool
EmitHits(JsonWalk *walk, const JsonScalar *place, const TextPiece *piece,
		 const MaskHit *hits, size_t count)
{
	const char *text = piece->text;
	char		form[MASK_FORM_MAX];
	size_t		pos = 0;
	bool		good;

	CountJson(walk->root, WORK_PIECE + count * WORK_HIT);
	good = (hits[count - 1].entity != MASK_ENTITY_REST ||
			WithholdTrail(walk)) &&
		EmitUpTo(walk, place->start, place->end) &&
		Emit(walk, "\"", place->bare);

	for (size_t i = 0; i < count && good; i++)
	{
		size_t		n = MaskForm(text, &hits[i], form);

		good = EmitEscaped(walk, text +pos, hits[i].start - pos) &&
			EmitEscaped(walk, form, n);
		pos = hits[i].end;
		if (hits[i].entity == MASK_ENTITY_REST)
			walk->found.cut = true;
		else
			NoteFound(walk->root->options, &walk->found,
					  (MaskEntity) hits[i].entity, text +hits[i].start,
					  hits[i].end - hits[i].start);
	}
	return good && EmitEscaped(walk, text +pos, piece->len - pos) &&
		Emit(walk, "\"", place->bare);
}

/*
 * What becomes of a scalar: *masked says whether it was written anew.  Here
 * by its content, with the walk's context.
 */
static bool
ScanPart(JsonWalk *walk, const JsonScalar *place, TextPiece *piece,
		 bool *masked)
{
	JsonRoot   *root = walk->root;
	Memo	   *memo = NULL;
	TextGlance	glance = GLANCE_MORE;
	MaskHit    *hits;
	size_t		count;
	MaskStatus	status;
	uint32_t	set;
	bool		good;

	/* a number has too many digits to be nothing, or would not be here */
	if (place->bare)
		glance = GLANCE_EVENTS;
	else if (root->glances)
	{
		memo = MemoOf(root, piece, place->key);
		glance = memo != NULL ? memo->glance :
			GlanceAt(piece->text, piece->len, piece->room);
	}
	if (glance == GLANCE_NOTHING)
		return true;
	set = WithinContexts(&walk->context);
	if ((glance == GLANCE_NUMBERS && !(set >> CTX_BIRTH & 1)) ||
		(glance == GLANCE_QUIET && set == 0) ||
		(memo != NULL && memo->clean && memo->clean_set == set))
		return true;
	root->within.context = walk->context.words;
	root->within.context_len = walk->context.len;
	piece->outer = set;
	piece->plain = glance == GLANCE_EVENTS || glance == GLANCE_QUIET;
	status = FindInPiece(&root->within, root->set, piece, &hits, &count);
	if (memo != NULL)
	{
		memo->clean = status == MASK_CLEAN;
		memo->clean_set = set;
	}
	if (status == MASK_CLEAN)
		return true;
	if (status == MASK_WITHHELD)
		return Fail(walk, status, "a search took too long");
	if (status == MASK_NO_MEMORY)
		return Fail(walk, status, NULL);
	*masked = true;
	good = EmitHits(walk, place, piece, hits, count);
	MaskRelease(root->options, hits);
	return good;
}

/* Begins the walk over JSON inside a string of another. */
static void
BeginNested(const JsonWalk *walk, JsonWalk *inner, const char *text, size_t len)
{
	/* the rest is not read before it is written */
	ZeroBytes(inner, offsetof(JsonWalk, context));
	inner->root = walk->root;
	inner->text = text;

	inner->len = len;
	inner->depth = walk->depth;
	inner->nesting = walk->nesting + 1;
	inner->named = walk->named;
	inner->context = walk->context;
	ForgetTrail(&inner->trail);
}

/* Adds what a walk has found to the counts of the one around it. */
static void
CountNested(MaskResult *to, const MaskResult *from)
{
	to->cut |= from->cut;
	if (from->hit_count == 0)
		return;
	to->entities |= from->entities;
	to->hit_count += from->hit_count;
	for (int i = 0; i < MASK_ENTITY_ROOM; i++)
		to->counts[i] += from->counts[i];
}

/*
 * Walks over JSON inside a string, the document itself being the outermost.
 * inner's status then says what came of it; its output is to be released.
 */
static void
WalkNested(JsonWalk *inner)
{
	if (!WalkValue(inner, KEY_PLAIN))
		return;
	SkipSpace(inner);
	if (inner->pos < inner->len)
		Fail(inner, MASK_WITHHELD, not_json);
	else if (inner->out != NULL)
		EmitUpTo(inner, inner->len, inner->len);
}

/* Follows JSON inside a string; *followed says whether it was JSON. */
static bool
NestedPart(JsonWalk *walk, const JsonScalar *place, const char *text, size_t len,
		   bool *masked, bool *followed)
{
	JsonWalk	inner;
	bool		good = true;

	CountJson(walk->root, WORK_NESTED);
	BeginNested(walk, &inner, text, len);
	/* text that is no JSON on any level would be masked on all of them */
	if (walk->nesting > 0)
	{
		inner.cut = true;
		WalkNested(&inner);
		if (inner.status == MASK_CLEAN)
			BeginNested(walk, &inner, text, len);
	}
	if (inner.status == MASK_CLEAN)
		WalkNested(&inner);
	*followed = inner.status == MASK_CLEAN;
	if (!*followed)
	{
		if (inner.status == MASK_NO_MEMORY || inner.reason != not_json)
			good = Fail(walk, inner.status, inner.reason);
	}
	else if (inner.out != NULL)
	{
		*masked = true;
		CountNested(&walk->found, &inner.found);
		good = EmitInstead(walk, place, inner.out, inner.out_len);
	}
	MaskRelease(walk->root->options, inner.out);
	return good;
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

/* True if a text ends as JSON does that begins so: one cut short is none. */
static bool
EndsAsBegun(char first, const char *text, size_t len)
{
	while (len > 0 && IsJsonSpace((unsigned char) text[len - 1]))
		len--;
	return len > 1 && text[len - 1] == (first == '{' ? '}' :
										first == '[' ? ']' : first);
}

/* What the options' own context says, which a secret is looked at in. */
static uint32_t
OuterContexts(JsonRoot *root)
{
	if (!root->outer_known)
	{
		root->outer = ContextsOf(root->options->context,
								 root->options->context_len);
		root->outer_known = true;
	}
	return root->outer;
}

/* Masks the value of a sensitive key entirely. */
static bool
WholePart(JsonWalk *walk, KeyKind kind, const JsonScalar *place,
		  TextPiece *piece, bool *masked)
{
	JsonRoot   *root = walk->root;
	char		form[MASK_FORM_MAX];
	MaskHit		hit = {0};
	MaskHit    *hits = NULL;
	size_t		count = 0;
	MaskStatus	status = MASK_CLEAN;
	Memo	   *memo = NULL;

	CountJson(root, WORK_PIECE);
	piece->outer = OuterContexts(root);
	if (root->glances)
		memo = MemoOf(root, piece, false);
	if (memo == NULL || (memo->glance != GLANCE_NOTHING &&
						 !(memo->clean && memo->clean_set == piece->outer)))
		status = FindInPiece(root->options, root->set, piece, &hits, &count);
	if (memo != NULL && memo->glance != GLANCE_NOTHING)
	{
		memo->clean = status == MASK_CLEAN;
		memo->clean_set = piece->outer;
	}
	hit.entity = kind == KEY_PASSWORD ? MASK_PASSWORD :
		kind == KEY_AUTHORIZATION ? MASK_AUTHORIZATION : MASK_SECRET;
	hit.end = piece->len;
	if (status == MASK_MASKED && count == 1 && hits[0].start == 0 &&
		hits[0].end == piece->len && hits[0].entity != MASK_ENTITY_REST)
		hit = hits[0];
	MaskRelease(root->options, hits);
	if (status == MASK_NO_MEMORY)
		return Fail(walk, status, NULL);
	/* of a value that no finder can be asked about nothing is shown */
	*masked = true;
	NoteFound(root->options, &walk->found, (MaskEntity) hit.entity,
			  piece->text, piece->len);
	return EmitInstead(walk, place, form, MaskForm(piece->text, &hit, form));
}

/*
 * True if the whole text is the form of a secret: masked before.  Nothing
 * less will do, or a password in angle brackets would stay.
 */
static bool
IsMaskedForm(const char *text, size_t len)
{
	if (len < 2 || text[0] != '<' || text[len - 1] != '>')
		return false;
	for (int i = MASK_URL_CREDENTIALS; i < MASK_ENTITY_COUNT; i++)
	{
		const char *name = MaskEntityName((MaskEntity) i);
		size_t		n = strlen(name);

		if (len == n + 2 && memcmp(text +1, name, n) == 0)
			return true;
	}
	return false;
}

/* What becomes of a decoded string. */
static bool
StringPart(JsonWalk *walk, KeyKind kind, const JsonScalar *place,
		   TextPiece *piece, bool *masked)
{
	const char *text = piece->text;
	size_t		len = piece->len;
	char		first;
	bool		followed;

	if (len == 0)
		return true;
	if (kind >= KEY_SECRET && !NamesNoSecret(kind, text, len))
		return IsMaskedForm(text, len) ||
			WholePart(walk, kind, place, piece, masked);
	first = FirstChar(text, len);
	if ((first == '{' || first == '[' || first == '"') &&
		EndsAsBegun(first, text, len))
	{
		if (walk->nesting >= NEST_MAX)
			return Fail(walk, MASK_WITHHELD, too_deep);
		if (!NestedPart(walk, place, text, len, masked, &followed))
			return false;
		if (followed)
			return true;
	}
	return ScanPart(walk, place, piece, masked);
}

/* ---------------- the trail ---------------- */

/* Masks the parts of the trail from first on. */
static bool
MaskTrail(JsonWalk *walk, int first, MaskEntity entity)
{
	const Trail *trail = &walk->trail;
	const char *name = MaskEntityName(entity);
	size_t		n = strlen(name);
	char		form[MASK_FORM_MAX];	/* with quotes, for numbers */
	int			begin = trail->parts[first].first;
	bool		good = true;

	CountJson(walk->root, WORK_PIECE);
	memcpy(form, "\"<", 2);
	memcpy(form + 2, name, n);
	memcpy(form + 2 + n, ">\"", 2);
	for (int i = first; i < trail->count && good; i++)
	{
		const TrailPart *part = &trail->parts[i];

		good = EmitUpTo(walk, part->start, part->end) &&
			(part->number ? Emit(walk, form, n + 4) :
			 Emit(walk, form + 1, n + 2));
	}
	NoteFound(walk->root->options, &walk->found, entity,
			  trail->digits + begin, (size_t) (trail->digit_count - begin));
	ForgetTrail(&walk->trail);
	return good;
}

/*
 * Whether digits that were put together are one identifier; luhn is what
 * their sum would be if they were a card.
 */
static MaskEntity
TrailEntity(const char *digits, int len, unsigned luhn)
{
	if (len >= 15 && luhn % 10 == 0 && CardPrefixKnown(digits, len) &&
		CheckLuhn(digits, len))
		return MASK_CREDIT_CARD;
	if (len == 12 && IinPlausible(digits) && CheckKzDigit(digits))
		return MASK_KZ_IIN;
	return MASK_ENTITY_COUNT;
}

/* A key above speaks of cards. */
static bool
ContextSaysCard(JsonContext *context)
{
	if (context->card_known)
		return context->card;
	context->card_known = true;
	context->card = false;
	for (size_t i = 0; i + 4 <= context->len && !context->card; i++)
		context->card = (context->words[i] | 0x20) == 'c' &&
			FoldMatch((const unsigned char *) context->words, context->len, i,
					  "card", 4) > 0;
	return context->card;
}

/*
 * Reads a scalar of digits as a part of the trail, which it may be with
 * blanks and dashes; its digits' number, 0 if it is anything else.
 */
static inline int
ReadTrailPart(const TextPiece *piece, char *digits)
{
	const char *text = piece->text;
	size_t		len = piece->len;
	int			n = 0;

	if (len <= 8 && piece->room >= 8 &&
		LeadingDigits((const unsigned char *) text) >= len)
	{
		memcpy(digits, text, 8);
		return (int) len;
	}
	/* a date, as versions have it among the headers of a response */
	if (len == 10 && text[4] == '-' && text[7] == '-')
		return 0;
	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) text[i];

		if (IsDigit(c) && n < TRAIL_DIGITS)
			digits[n++] = (char) c;
		else if (c != ' ' && c != '-')
			return 0;
	}
	return n;
}

/* Makes room in the trail: keeps the parts that may still matter. */
static void
ShiftTrail(Trail *trail)
{
	int			gone = trail->count - (TRAIL_PARTS - 1);
	int			digits = trail->parts[gone].first;

	trail->count -= gone;
	trail->digit_count -= digits;
	memmove(trail->parts, trail->parts + gone,
			(size_t) trail->count * sizeof(TrailPart));
	memmove(trail->digits, trail->digits + digits,
			(size_t) trail->digit_count);
	for (int i = 0; i < trail->count; i++)
		trail->parts[i].first -= digits;
	/* the sums go by even and odd places, which may change their roles */
	if (digits % 2 != 0)
		for (int i = 0; i <= trail->count; i++)
		{
			unsigned   *luhn = i < trail->count ? trail->parts[i].luhn :
			trail->luhn;
			unsigned	other = luhn[0];

			luhn[0] = luhn[1];
			luhn[1] = other;
		}
}

/* Looks whether the last of the trail make something, and masks them. */
static bool
CheckTrail(JsonWalk *walk)
{
	const Trail *trail = &walk->trail;
	int			last = trail->count - 1;
	int			end = trail->digit_count;
	bool		number = trail->parts[last].number;

	/* arrays of numbers are tokens and measurements, unless a key speaks */
	if (number && !ContextSaysCard(&walk->context))
		return true;
	for (int i = last - 1; i >= 0; i--)
	{
		const TrailPart *part = &trail->parts[i];
		int			len = end - part->first;
		MaskEntity	entity;

		if (len > TRAIL_MOST || (part->number && !number))
			break;
		if (len < 12)
			continue;
		CountJson(walk->root, WORK_SCALAR);
		entity = TrailEntity(trail->digits + part->first, len,
							 number ? 0 :
							 trail->luhn[end & 1] - part->luhn[end & 1]);
		if (entity != MASK_ENTITY_COUNT)
			return MaskTrail(walk, i, entity);
	}
	return true;
}

/* Adds digits to the trail's sums: twice counts every other from the end. */
static inline void
SumDigits(Trail *trail, int n)
{
	static const uint8_t twice[] = {0, 2, 4, 6, 8, 1, 3, 5, 7, 9};

	for (int i = trail->digit_count; i < trail->digit_count + n; i++)
	{
		unsigned	digit = (unsigned) (trail->digits[i] - '0');

		trail->luhn[i & 1] += twice[digit];
		trail->luhn[~i & 1] += digit;
	}
}

/*
 * Adds a scalar that was not masked to the trail, or forgets the trail if it
 * holds more than digits; then looks whether the last ones make something.
 */
static bool
FollowTrail(JsonWalk *walk, const JsonScalar *place, const TextPiece *piece)
{
	Trail	   *trail = &walk->trail;
	TrailPart  *part;
	int			digits;

	if (trail->count == TRAIL_ROOM)
		ShiftTrail(trail);
	digits = ReadTrailPart(piece, trail->digits + trail->digit_count);
	if (digits == 0)
	{
		ForgetTrail(trail);
		return true;
	}
	part = &trail->parts[trail->count++];
	part->start = place->start;
	part->end = place->end;
	part->number = place->bare;
	part->first = trail->digit_count;
	part->luhn[0] = trail->luhn[0];
	part->luhn[1] = trail->luhn[1];
	if (!part->number)
		SumDigits(trail, digits);
	trail->digit_count += digits;
	return trail->count < 2 || CheckTrail(walk);
}

/* Masks a decoded string. */
static bool
MaskDecoded(JsonWalk *walk, const JsonScalar *string, KeyKind kind,
			TextPiece *piece)
{
	bool		masked = false;

	if (walk->cut)
		return true;
	if (!StringPart(walk, kind, string, piece, &masked))
		return false;
	if (masked)
		ForgetTrail(&walk->trail);
	else if (!string->key)
		return FollowTrail(walk, string, piece);
	return true;
}

/* Masks the string just read; its replacement, if any, is emitted. */
static bool
MaskString(JsonWalk *walk, const JsonScalar *string, KeyKind kind)
{
	size_t		len = string->end - string->start;
	TextPiece	piece = PieceOf(walk->text +string->start, len,
								walk->len - string->start);
	char		buffer[SHORT_STRING + GLANCE_ROOM];
	char	   *decoded = buffer;
	bool		good;

	if (!string->escaped)
		return MaskDecoded(walk, string, kind, &piece);
	if (len > SHORT_STRING)
		decoded = MaskAlloc(walk->root->options, len);
	if (decoded == NULL)
		return Fail(walk, MASK_NO_MEMORY, NULL);
	good = DecodeString(piece.text, len, decoded, &piece.len) ||
		Fail(walk, MASK_WITHHELD, not_json);
	piece.text = decoded;
	piece.room = len;
	if (good && decoded == buffer)
	{
		memset(buffer + piece.len, 0, GLANCE_ROOM);
		piece.room = piece.len + GLANCE_ROOM;
	}
	good = good && MaskDecoded(walk, string, kind, &piece);
	if (decoded != buffer)
		MaskRelease(walk->root->options, decoded);
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
	const char *dot;

	if (len < 7 || !IsDigit((unsigned char) text[0]) ||
		!IsDigit((unsigned char) text[1]))
		return false;
	dot = memchr(text, '.', len);
	if (dot != NULL)
	{
		while (text[len - 1] == '0')
			len--;
		len -= text +len - 1 == dot;
	}
	if (len < 7)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!IsDigit((unsigned char) text[i]))
			return false;
	*whole = len;
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
static inline size_t
NumberEnd(const JsonWalk *walk)
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
static size_t
BareEnd(const JsonWalk *walk, size_t at)
{
	while (at < walk->len && IsBare((unsigned char) walk->text[at]))
		at++;
	return at;
}

/* True for one of the three words that JSON has. */
static bool
IsLiteral(const char *text, size_t len)
{
	return (len == 4 && memcmp(text, "true", 4) == 0) ||
		(len == 5 && memcmp(text, "false", 5) == 0) ||
		(len == 4 && memcmp(text, "null", 4) == 0);
}

/*
 * True for a number that measures something: it has a fraction, or, if it is
 * the key's own value, at most three digits.
 */
static bool
IsMeasure(const char *text, size_t len, bool own)
{
	size_t		whole = 0;

	while (whole < len && (IsDigit((unsigned char) text[whole]) ||
						   text[whole] == '-'))
		whole++;
	if (whole + 1 < len && (text[whole] | 0x20) == 'e')
		return text[whole + 1] == '-';

	if (whole == len || text[whole] != '.')
		return own && whole <= 3;
	for (size_t i = whole + 1; i < len; i++)
		if (text[i] != '0')
			return true;
	return whole <= 3;
}

/*
 * A number or a literal; a number that is masked becomes a string.  What is no
 * number of JSON but made of the same characters is let pass, and looked at as
 * a string is: telephones and addresses are written so, too.
 */
static bool
WalkScalar(JsonWalk *walk, KeyKind kind)
{
	size_t		start = walk->pos;
	bool		word = IsAlpha((unsigned char) Peek(walk));
	size_t		number = word ? start : NumberEnd(walk);
	size_t		end = BareEnd(walk, number);
	const char *text = walk->text +start;
	TextPiece	piece = PieceOf(text, end - start, walk->len - start);
	JsonScalar	place = {start, end,.bare = true};
	bool		masked = false;
	bool		good = true;

	walk->pos = end;
	if (piece.len == 0)
		return Fail(walk, MASK_WITHHELD, not_json);
	if (word)
		return IsLiteral(text, piece.len) ||
			Fail(walk, MASK_WITHHELD, not_json);
	if (walk->cut)
		return true;
	if (kind >= KEY_SECRET &&
		!(kind == KEY_SECRET && number == end &&
		  IsMeasure(text, piece.len, false)))
		good = WholePart(walk, kind, &place, &piece, &masked);
	else if (number < end || NumberMayMatter(text, &piece.len) ||
			 walk->root->set != NULL)
	{
		/* without a known value it is here for its digits, and has no more */
		piece.number = walk->root->set == NULL && number == end;
		good = ScanPart(walk, &place, &piece, &masked);
	}
	if (!good)
		return false;
	if (!masked)
		return FollowTrail(walk, &place, &piece);
	ForgetTrail(&walk->trail);
	return true;
}

/* ---------------- containers ---------------- */

/* Makes a context that of an object's or array's members. */
static inline void
CopyContext(JsonContext *to, const JsonContext *outer)
{
	memcpy(to->words, outer->words, CONTEXT_ROOM / 2);
	to->len = outer->len;
	to->memo = outer->memo;
	to->set = outer->set;
	to->set_known = outer->set_known;
	to->card = outer->card;
	to->card_known = outer->card_known;
}

/* Adds a key to the context; keeps the one before it and no more. */
static void
PushContext(JsonContext *context, const char *key, size_t len, Memo *memo)
{
	if (len > CONTEXT_ROOM / 2 - 2)
		len = CONTEXT_ROOM / 2 - 2;
	if (context->len > 0)
		context->words[context->len++] = ' ';
	memcpy(context->words + context->len, key, len);
	context->len += len;
	context->memo = memo;
	context->set_known = context->card_known = false;
}

/* Only the nearest key goes on to the next level. */
static void
CutContext(const JsonContext *context, JsonContext *outer)
{
	size_t		cut = context->len > CONTEXT_ROOM / 2 ?
	context->len - CONTEXT_ROOM / 2 : 0;

	outer->len = context->len - cut;
	memcpy(outer->words, context->words + cut, outer->len);
	outer->memo = context->memo;
	outer->set = context->set;
	outer->card = context->card;
	outer->set_known = context->set_known && cut == 0;
	outer->card_known = context->card_known && cut == 0;
}

/* Names of members that name another, and of those that they name. */
static const char *const naming[] = {"name", "key", "field", "header",
"variable", "param", "label", "id", NULL};
static const char *const holding[] = {"value", "val", "content", "data", NULL};

/* True if a key is one of the words, of which none has more than 8 letters. */
static bool
IsOneOf(const char *key, size_t len, const char *const *words)
{
	for (; len <= 8 && *words != NULL; words++)
		if (strlen(*words) == len &&
			FoldMatch((const unsigned char *) key, len, 0, *words,
					  len) == len)
			return true;
	return false;
}

/*
 * {"name": "api_token", "value": "..."}: the kind of key that a member's
 * string names for the member "value" after it.  The walk is at that string.
 */
static void
NoteName(JsonWalk *walk)
{
	const char *text = walk->text +walk->pos + 1;
	size_t		left = walk->len - walk->pos;
	const char *end;

	if (Peek(walk) != '"')
		return;
	end = memchr(text, '"', left > 96 ? 96 : left - 1);
	walk->named = end == NULL ? KEY_PLAIN :
		KindOfKey((const unsigned char *) text, (size_t) (end - text));

	if (walk->named <= KEY_VENDOR)
		walk->named = KEY_PLAIN;
}

/* What a key's name says. */
static void
JudgeKey(Memo *memo, const char *name, size_t len)
{
	memo->kind = KindOfKey((const unsigned char *) name, len);
	memo->names = IsOneOf(name, len, naming);
	memo->holds = IsOneOf(name, len, holding);
	memo->judged = true;
}

/*
 * Masks a key within its object's context, and leaves the walk with that.
 * memo is what is known of the key, or NULL.
 */
static bool
MaskKey(JsonWalk *walk, const JsonScalar *key, const Memo *memo,
		JsonContext *outer)
{
	/* for all keys of the object, and not for this one alone */
	if (memo != NULL && memo->glance != GLANCE_NOTHING)
		WithinContexts(outer);
	CopyContext(&walk->context, outer);
	return (memo != NULL && memo->glance == GLANCE_NOTHING) ||
		MaskString(walk, key, KEY_PLAIN);
}

/* Reads a key; its name without escapes, the end if it is long. */
static bool
ReadKey(JsonWalk *walk, JsonScalar *key, char *decoded, const char **name,
		size_t *len)
{
	if (Peek(walk) != '"' || !ReadString(walk, key))
		return Fail(walk, MASK_WITHHELD, not_json);
	key->key = true;
	*len = key->end - key->start < CONTEXT_ROOM ? key->end - key->start :
		CONTEXT_ROOM;
	*name = walk->text +key->end - *len;

	if (key->escaped && *len < CONTEXT_ROOM)
	{
		*name = decoded;
		if (!DecodeString(walk->text +key->start, *len, decoded, len))
			*len = 0;
	}
	return true;
}

/* A member that is withheld, which is to be JSON none the less. */
static bool
WalkWithheld(JsonWalk *walk)
{
	JsonScalar	key;

	if (Peek(walk) != '"' || !ReadString(walk, &key))
		return Fail(walk, MASK_WITHHELD, not_json);
	if (!MaskString(walk, &key, KEY_PLAIN))
		return false;
	SkipSpace(walk);
	if (Peek(walk) != ':')
		return Fail(walk, MASK_WITHHELD, not_json);
	walk->pos++;
	return WalkValue(walk, KEY_PLAIN);
}

/* Where in a schema the value is that the walk has come to, by its key. */
static SchemaPlace
EnterSchema(const JsonWalk *walk, const char *key, size_t len)
{
	static const char holders[] =
	"|properties|patternProperties|$defs|definitions|dependentSchemas|"
	"parameter_definitions|schemas|securitySchemes|"
	"securityDefinitions|flows|";
	static const char carriers[] =
	"|items|prefixItems|anyOf|oneOf|allOf|not|if|then|else|schema|"
	"additionalProperties|discriminator|";
	char		next = Peek(walk);

	if (next != '{' && next != '[')
		return SCHEMA_NOT;
	if (walk->schema == SCHEMA_NAMES)
		return next == '{' ? SCHEMA_WITHIN : SCHEMA_NOT;
	if (next == '{' && IsListed(holders, key, len))
		return SCHEMA_NAMES;
	return walk->schema == SCHEMA_WITHIN && IsListed(carriers, key, len) ?
		SCHEMA_WITHIN : SCHEMA_NOT;
}

/*
 * True if a member of a schema says what a value is, and is none: a default or
 * an example may be a secret, and so may one word with digits.
 */
static bool
OnlyDescribes(const JsonWalk *walk, const char *key, size_t len)
{
	static const char says[] =
	"|type|title|description|$ref|format|pattern|enum|required|nullable|"
	"minLength|maxLength|minimum|maximum|minItems|maxItems|uniqueItems|"
	"propertyOrdering|propertyName|mapping|in|name|scheme|bearerFormat|"
	"tokenUrl|authorizationUrl|refreshUrl|scopes|";
	const char *text = walk->text +walk->pos;
	size_t		left = walk->len - walk->pos;
	const char *end;

	if (!IsListed(says, key, len))
		return false;
	if (*text !='"' && (*text !='[' || len != 4))
		return true;
	end = memchr(text +1, *text == '[' ? ']' : '"', left - 1);
	if (end == NULL)
		return false;
	left = (size_t) (end - text);
	if (*text == '"' && (text[1] == '#' || text[1] == '^' ||
						 memchr(text, ' ', left) != NULL))
		return true;
	for (size_t i = 0; i < left; i++)
		if (IsDigit((unsigned char) text[i]))
			return false;
	return true;
}

/* True if a string begins, at the walk's place, with one of these. */
static bool
BeginsThought(const JsonWalk *walk)
{
	static const char *const types[] =
	{"\"thinking", "\"signature_delta", "\"reasoning"};

	for (int i = 0; i < 3; i++)
	{
		size_t		n = strlen(types[i]);

		if (walk->len - walk->pos > n &&
			memcmp(walk->text +walk->pos, types[i], n) == 0)
			return true;
	}
	return false;
}

/* True if one of the nearest keys has a word of small letters. */
static bool
IsAmong(const JsonContext *context, const char *word)
{
	size_t		n = strlen(word);

	for (size_t i = 0; i + n <= context->len; i++)
		if (memcmp(context->words + i, word, n) == 0)
			return true;
	return false;
}

/* True if the string at the walk's place is long and of base64 alone. */
static bool
IsLongBase64(const JsonWalk *walk)
{
	size_t		at = walk->pos + 1;

	while (at < walk->len && (IsAlnum((unsigned char) walk->text[at]) ||
							  memchr("+/-_=", walk->text[at], 5) != NULL))
		at++;
	return at < walk->len && walk->text[at] == '"' && at - walk->pos > 80;
}

/*
 * What a member's own key says of its value, where its object or the value
 * says more than the key does.
 */
static KeyKind
KindOfMember(JsonWalk *walk, KeyKind kind, const char *key, size_t len)
{
	char		next = Peek(walk);

	if (next == '"' && len == 4 && memcmp(key, "type", 4) == 0)
		walk->thinks = BeginsThought(walk);
	else if (len == 8 && memcmp(key, "thinking", 8) == 0)
		walk->thinks = true;
	else if (next == '"' && len == 5 && memcmp(key, "token", 5) == 0)
		walk->spelt = true;
	/* the bytes of a piece of text tell what its token would */
	else if (next == '[' && len == 5 && memcmp(key, "bytes", 5) == 0 &&
			 (walk->spelt || IsAmong(&walk->context, "ogprob")))
		return KEY_SECRET;
	if (kind != KEY_SECRET)
		return kind;
	/* what a model signs its thoughts with opens nothing */
	if (next == '"' && len == 9 && memcmp(key, "signature", 9) == 0 &&
		(walk->thinks || IsAmong(&walk->context, "reasoning") ||
		 IsAmong(&walk->context, "anthropic")) &&
		IsLongBase64(walk))
		return KEY_PLAIN;
	if (IsDigit((unsigned char) next) || next == '-')
	{
		size_t		end = NumberEnd(walk);

		return end == BareEnd(walk, end) &&
			(IsMeasure(walk->text +walk->pos, end - walk->pos, true) ||
			 KeyCountsTokens(key, len)) ? KEY_PLAIN : kind;
	}
	return kind;
}

/* One key and its value; outer is the context of their object. */
static bool
WalkMember(JsonWalk *walk, KeyKind kind, JsonContext *outer)
{
	JsonScalar	key;
	char		decoded[CONTEXT_ROOM];
	const char *name;
	size_t		len;
	Memo	   *memo = NULL;
	Memo		judged;
	KeyKind		own;

	if (walk->cut)
		return WalkWithheld(walk);
	if (!ReadKey(walk, &key, decoded, &name, &len))
		return false;
	/* a bracket may begin JSON: nothing but a walk tells what is in that */
	if (!key.escaped && *name != '[' && *name != '{' && *name != ' ')
	{
		TextPiece	piece = PieceOf(name, len, walk->len - key.start);

		memo = MemoOf(walk->root, &piece, true);
	}
	if (!MaskKey(walk, &key, memo, outer))
		return false;
	SkipSpace(walk);
	if (Peek(walk) != ':')
		return Fail(walk, MASK_WITHHELD, not_json);
	walk->pos++;
	PushContext(&walk->context, name, len, memo);
	if (memo == NULL)
		JudgeKey(memo = &judged, name, len);
	else if (!memo->judged)
		JudgeKey(memo, name, len);
	SkipSpace(walk);
	if (memo->names)
		NoteName(walk);
	own = KindOfMember(walk, memo->kind, name, len);
	if (memo->holds && walk->named > own)
		own = walk->named;
	own = own > kind ? own : kind;
	if (own >= KEY_SECRET && walk->schema == SCHEMA_WITHIN &&
		OnlyDescribes(walk, name, len))
		own = KEY_PLAIN;
	walk->schema = EnterSchema(walk, name, len);
	return WalkValue(walk, own);
}

/* An object or array, at its bracket. */
static bool
WalkContainer(JsonWalk *walk, KeyKind kind, char close)
{
	JsonContext outer;
	KeyKind		named = walk->named;
	bool		shown = !walk->cut;
	SchemaPlace schema = walk->schema;
	bool		thinks = walk->thinks;
	bool		spelt = walk->spelt;

	if (++walk->depth > walk->root->max_depth)
		return Fail(walk, MASK_WITHHELD, too_deep);
	CutContext(&walk->context, &outer);
	walk->pos++;
	walk->named = KEY_PLAIN;
	walk->thinks = walk->spelt = false;
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
		walk->schema = schema;
		if (close == '}' ? !WalkMember(walk, kind, &outer) :
			!WalkValue(walk, kind))
			return false;
		SkipSpace(walk);
	}
	walk->pos++;
	walk->depth--;
	if (walk->cut)
		return !shown || Emit(walk, &close, 1);
	walk->named = named;
	walk->thinks = thinks;
	walk->spelt = spelt;
	CopyContext(&walk->context, &outer);
	return true;
}

/*
 * Puts one string in the place of all that follows, which is still read: what
 * is no JSON in the end is masked as a text.
 */
static bool
CutHere(JsonWalk *walk)
{
	walk->cut = walk->found.cut = true;
	return WithholdTrail(walk) && EmitUpTo(walk, walk->pos, walk->len) &&
		Emit(walk, withheld, sizeof(withheld) - 1);
}

/* Any value; kind is what the keys above it say. */
static bool
WalkValue(JsonWalk *walk, KeyKind kind)
{
	JsonScalar	string;

	if (!walk->cut && WorkIsSpent(walk->root->options->work) &&
		!CutHere(walk))
		return false;
	CountJson(walk->root, WORK_SCALAR);
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

/* Says what all walks of a document have in common. */
static void
BeginRoot(JsonRoot *root, const MaskOptions *options, const KnownSet *set)
{
	ZeroBytes(root, offsetof(JsonRoot, memos));
	root->options = options;
	root->set = set;
	root->within = *options;
	root->glances = set == NULL;
	for (int i = 0; i < MASK_FINDERS; i++)
		root->glances &= options->finders[i].find == NULL;
	root->max_depth = options->max_depth > 0 ? options->max_depth :
		MASK_DEFAULT_DEPTH;
}

/* Masks a document with prepared known values; result is empty before. */
static void
JsonWithSet(const MaskOptions *options, const KnownSet *set, const char *text,
			size_t len, MaskResult *result)
{
	JsonRoot	root;
	JsonWalk	walk;

	ScanPrepare();
	BeginRoot(&root, options, set);
	ZeroBytes(&walk, offsetof(JsonWalk, trail));
	ForgetTrail(&walk.trail);
	walk.root = &root;
	walk.text = text;

	walk.len = len;
	if (options->context_len > 0)
		PushContext(&walk.context, options->context, options->context_len,
					NULL);
	WalkNested(&walk);
	if (walk.status != MASK_CLEAN)
	{
		MaskRelease(options, walk.out);
		result->status = walk.status;
		result->reason = walk.reason;
	}
	else if (walk.out != NULL)
	{
		walk.out[walk.out_len] = '\0';	/* Emit keeps a byte for it */
		*result = walk.found;
		result->status = MASK_MASKED;
		result->text = walk.out;
		result->len = walk.out_len;
	}
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

	if ((first == '{' || first == '[') && EndsAsBegun(first, text, len))
	{
		MaskJson(&own, text, len, result);
		if (result->status != MASK_WITHHELD || result->reason != not_json)
			return result->status;
	}
	return MaskText(&own, text, len, result);
}
