/*
 * json.h
 *	  A tolerant JSON reader and a compact writer, without PostgreSQL headers.
 *
 * Gateways record what users typed, so the reader must take everything that a
 * record could be lost over: \u0000 and lone surrogates are kept as their
 * escape text, trailing commas and raw control characters are accepted, a
 * value nested beyond JSON_MAX_DEPTH becomes one JSON_TOO_DEEP node, numbers
 * stay text.  Of members with the same name the last one wins.  Time is
 * linear in the length of the text but for sorting member names, memory is a
 * multiple of it, and nothing recurses deeper than JSON_MAX_DEPTH.
 *
 * Nodes point into the text that was parsed: it must outlive them.  Memory
 * comes from an arena over the caller's allocator and goes when the caller
 * frees what that allocator gave.
 */
#ifndef LLM_AUDIT_RECORD_JSON_H
#define LLM_AUDIT_RECORD_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Containers inside each other; deeper values are skipped over. */
#define JSON_MAX_DEPTH 512

/*
 * Where memory comes from.  alloc may return NULL (then parsing fails with
 * JSON_ERROR_MEMORY) or not return at all.  The other fields start as zero.
 */
typedef struct JsonArena
{
	void	   *(*alloc) (void *arg, size_t size);
	void	   *arg;
	char	   *next;
	size_t		left;
	size_t		chunk;
	bool		failed;			/* alloc has returned NULL */
} JsonArena;

typedef enum JsonType
{
	JSON_NULL = 0,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,				/* text: as written */
	JSON_STRING,				/* text: decoded */
	JSON_ARRAY,					/* text: as written, with brackets */
	JSON_OBJECT,
	JSON_TOO_DEEP				/* text: as written, unread */
} JsonType;

typedef struct JsonNode
{
	const char *key;			/* name in the object, or NULL */
	const char *text;
	size_t		len;
	struct JsonNode *child;		/* first element or member */
	struct JsonNode *last;		/* last of them */
	struct JsonNode *next;		/* next sibling */
	uint32_t	key_len;
	uint32_t	count;			/* elements or members */
	uint8_t		type;			/* JsonType */
	bool		deep;			/* is or holds a JSON_TOO_DEEP */
} JsonNode;

typedef enum JsonStatus
{
	JSON_OK = 0,
	JSON_ERROR_SYNTAX,
	JSON_ERROR_END,				/* the text ends inside a value */
	JSON_ERROR_TRAILING,		/* something follows the value */
	JSON_ERROR_UTF8,
	JSON_ERROR_SIZE,			/* a name or value of 4 GB or more */
	JSON_ERROR_MEMORY
} JsonStatus;

typedef struct JsonError
{
	JsonStatus	status;
	size_t		position;		/* bytes from the start of the text */
} JsonError;

/* Growing text in an arena; data is not NUL-terminated. */
typedef struct JsonBuffer
{
	JsonArena  *arena;
	char	   *data;
	size_t		len;
	size_t		size;
} JsonBuffer;

/* size bytes, aligned to 8, not cleared; NULL if the allocator has no more. */
extern void *JsonAlloc(JsonArena *arena, size_t size);

/*
 * JsonParse: the tree of the one value in text, NULL on error with *error
 * set (status and position only, never content).
 */
extern JsonNode *JsonParse(JsonArena *arena, const char *text, size_t len,
						   JsonError *error);

/* What a status means, in lower case, e.g. "unexpected end of input". */
extern const char *JsonStatusText(JsonStatus status);

/* True if all of text is well-formed UTF-8; else *position is the first flaw. */
extern bool Utf8Valid(const char *text, size_t len, size_t *position);

/* The largest length <= max that does not cut a character in two. */
extern size_t Utf8Clip(const char *text, size_t len, size_t max);

/* Member of an object by name, NULL if node is no object or lacks it. */
extern JsonNode *JsonGet(const JsonNode *node, const char *name);

/* Follows names separated by '/', e.g. "usage/prompt_tokens". */
extern JsonNode *JsonPath(const JsonNode *node, const char *path);

/* Element of an array by position from 0, or NULL. */
extern JsonNode *JsonElement(const JsonNode *node, uint32_t position);

/* True if node is a string equal to s. */
extern bool JsonIs(const JsonNode *node, const char *s);

/* True if node exists and is neither null, "", [] nor {}. */
extern bool JsonHasValue(const JsonNode *node);

/* Constructors; NULL only if the arena is exhausted.  Text is not copied. */
extern JsonNode *JsonMake(JsonArena *arena, JsonType type);
extern JsonNode *JsonMakeText(JsonArena *arena, const char *text, size_t len);
extern JsonNode *JsonMakeString(JsonArena *arena, const char *text);
extern JsonNode *JsonMakeInt(JsonArena *arena, int64_t value);

/* A copy of node itself: its children are shared, its name and siblings not. */
extern JsonNode *JsonShare(JsonArena *arena, const JsonNode *node);

/* Appends node, which must have no siblings, to an array or object. */
extern void JsonAppend(JsonNode *parent, JsonNode *node);
extern void JsonAppendMember(JsonNode *parent, const char *key, size_t key_len,
							 JsonNode *node);

extern void JsonBufferInit(JsonBuffer *buf, JsonArena *arena);
extern void JsonBufferAdd(JsonBuffer *buf, const char *text, size_t len);
extern void JsonBufferAddString(JsonBuffer *buf, const char *text);

/*
 * JSON_COMPACT writes no spaces.  JSON_SPACED writes as jsonb prints, and
 * numbers that jsonb could not hold or would blow up as strings.
 */
typedef enum JsonStyle
{
	JSON_COMPACT,
	JSON_SPACED
} JsonStyle;

/* Appends node as JSON.  A JSON_TOO_DEEP value is written as null. */
extern void JsonWrite(JsonBuffer *buf, const JsonNode *node, JsonStyle style);

#endif
