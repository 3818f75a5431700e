/*
 * json.h
 *	  What the files of the walk over JSON share (json*.c).
 */
#ifndef LLM_AUDIT_MASK_JSON_H
#define LLM_AUDIT_MASK_JSON_H

#include <string.h>

#include "mask/scan.h"

#define CONTEXT_ROOM 160

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

/* A string between its quotes, or another scalar. */
typedef struct JsonScalar
{
	size_t		start;
	size_t		end;
	bool		escaped;
	bool		key;			/* of a member */
	bool		bare;			/* without quotes */
} JsonScalar;

/* Why something is no document; told from other reasons by where it is. */
extern const char NotJson[];

/* What stands for the rest of a document. */
#define JSON_WITHHELD "\"<WITHHELD>\""

/* json_text.c */
extern bool JsonEmit(JsonWalk *walk, const char *text, size_t len);
extern bool JsonEmitUpTo(JsonWalk *walk, size_t pos, size_t skip_to);
extern bool JsonEmitEscaped(JsonWalk *walk, const char *text, size_t len);
extern void JsonSkipSpaces(JsonWalk *walk);
extern bool JsonReadString(JsonWalk *walk, JsonScalar *string);
extern bool JsonDecode(const char *text, size_t len, char *out, size_t *out_len);
extern size_t JsonNumberEnd(const JsonWalk *walk);
extern size_t JsonBareEnd(const JsonWalk *walk, size_t at);
extern bool JsonIsLiteral(const char *text, size_t len);

/* json_memo.c */
extern uint32_t JsonReadContexts(JsonContext *context);
extern Memo *JsonMemoOf(JsonRoot *root, const TextPiece *piece, bool key);
extern bool JsonSaysCard(JsonContext *context);
extern void JsonCopyContext(JsonContext *to, const JsonContext *outer);
extern void JsonPushContext(JsonContext *context, const char *key, size_t len, Memo *memo);
extern void JsonCutContext(const JsonContext *context, JsonContext *outer);
extern void JsonJudgeKey(Memo *memo, const char *name, size_t len);

/* json_trail.c */
extern bool JsonWithholdTrail(JsonWalk *walk);
extern bool JsonFollowTrail(JsonWalk *walk, const JsonScalar *place, const TextPiece *piece);

/* json_schema.c */
extern bool JsonIsMeasure(const char *text, size_t len, bool own);
extern SchemaPlace JsonEnterSchema(const JsonWalk *walk, const char *key, size_t len);
extern bool JsonOnlyDescribes(const JsonWalk *walk, const char *key, size_t len);
extern KeyKind JsonKindOfMember(JsonWalk *walk, KeyKind kind, const char *key, size_t len);

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
static inline bool
Fail(JsonWalk *walk, MaskStatus status, const char *reason)
{
	walk->status = status;
	walk->reason = reason;
	return false;
}

static inline bool
IsJsonSpace(unsigned char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline void
SkipSpace(JsonWalk *walk)
{
	if (walk->pos < walk->len && walk->text[walk->pos] <= ' ')
		JsonSkipSpaces(walk);
}

/* The next character, 0 at the end. */
static inline char
Peek(const JsonWalk *walk)
{
	return walk->pos < walk->len ? walk->text[walk->pos] : '\0';
}

static inline uint32_t
WithinContexts(JsonContext *context)
{
	return context->set_known ? context->set : JsonReadContexts(context);
}

#endif
