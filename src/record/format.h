/*
 * format.h
 *	  From one recorded document, in whatever format, to rows of the ledgers.
 *
 * Nothing here includes PostgreSQL headers.  A document is parsed by json.c,
 * then one of the mappers (format_own.c, format_otel.c, format_litellm.c,
 * format_raw.c, format_audit.c) hands its values out to rows: values stay
 * JSON nodes, and record_rows.c turns them into typed columns.
 *
 * What has no column becomes an attribute; what is text of a prompt or a
 * response becomes a fragment, never an attribute; whatever is left out is
 * noted by name in the attributes.  Fragments are made in any case: whether
 * they are stored is decided where the configuration is known.
 */
#ifndef LLM_AUDIT_RECORD_FORMAT_H
#define LLM_AUDIT_RECORD_FORMAT_H

#include "record/json.h"

/* Bytes of attributes as text that a row keeps (the table allows 8192). */
#define RECORD_ATTRIBUTES_MAX 8000

/* Names that a note lists; the number of all is given beside it. */
#define RECORD_NOTED_NAMES 20
#define RECORD_NOTED_NAME_LENGTH 64

typedef enum RecordFormat
{
	RECORD_OWN = 0,
	RECORD_OTEL,
	RECORD_LITELLM_PAYLOAD,		/* StandardLoggingPayload */
	RECORD_LITELLM_SPEND,		/* row of SpendLogs */
	RECORD_RAW,					/* a request and its response */
	RECORD_OPENAI_AUDIT			/* admin events only */
} RecordFormat;

typedef struct RecordColumn
{
	const char *name;
	uint32_t	len;
	bool		stamped;		/* set by the trigger: not for writers */
} RecordColumn;

/* The columns of one ledger, found by name through a small hash table. */
typedef struct RecordSchema
{
	const char *ledger;
	int			ncolumns;
	const RecordColumn *columns;
	uint16_t   *buckets;		/* column number from 1, or 0 */
	uint32_t	nbuckets;		/* a power of two, at least 2 * ncolumns */
} RecordSchema;

typedef struct RecordRow
{
	const RecordSchema *schema;
	JsonNode  **values;			/* by column; NULL: not given */
	struct RecordRow *next;
} RecordRow;

typedef struct RecordRows
{
	RecordRow  *first;
	RecordRow  *last;
	int			count;
} RecordRows;

/* The ledgers that one document can write to. */
typedef struct RecordSchemas
{
	const RecordSchema *main;	/* of the document's own row */
	const RecordSchema *content;	/* these three only for llm_call */
	const RecordSchema *token;
	const RecordSchema *usage;
} RecordSchemas;

/* Why a document is refused. */
typedef enum RecordFault
{
	RECORD_FINE = 0,
	RECORD_FAULT_MISSING,		/* a key that is needed is not there */
	RECORD_FAULT_TYPE,			/* a key's value is of the wrong kind */
	RECORD_FAULT_UNKNOWN,		/* a key that the ledger does not have */
	RECORD_FAULT_STAMPED,		/* a key that only the server sets */
	RECORD_FAULT_SECRET			/* a key's value looks like a credential */
} RecordFault;

typedef struct RecordNames
{
	JsonNode   *list;			/* array of at most RECORD_NOTED_NAMES */
	uint64_t	total;
} RecordNames;

/* A document while it is mapped, and what it became. */
typedef struct RecordDoc
{
	JsonArena  *arena;
	RecordSchemas schemas;
	RecordFormat format;
	bool		lenient;		/* a value that does not fit is dropped, not
								 * refused */
	RecordRow  *row;
	RecordRows	content;
	RecordRows	tokens;
	RecordRows	usage;
	RecordRows	tool_calls;
	JsonNode   *attributes;		/* object; fitted by RecordFitAttributes */
	RecordNames dropped;		/* left out: no room, no column, unusable */
	RecordNames redacted;		/* left out: credentials */
	RecordNames moved;			/* became fragments */
	RecordNames withheld;		/* text that could not be examined */
	bool		text_withheld;
	RecordFault fault;
	const char *fault_key;
	uint32_t	fault_key_len;
	const char *fault_text;		/* completes: key "..." */
} RecordDoc;

/* ---------------- format.c ---------------- */

/* Fills buckets (all zero) from columns. */
extern void RecordSchemaIndex(RecordSchema *schema);

/* Column number of a name from 0, or -1. */
extern int	RecordColumnFind(const RecordSchema *schema, const char *name,
							 size_t len);

/* Starts doc for a document of the main ledger; false: no memory. */
extern bool RecordDocInit(RecordDoc *doc, JsonArena *arena,
						  const RecordSchemas *schemas);

/*
 * RecordMap: maps a parsed document into doc.  False if it is refused (fault
 * set) or memory is exhausted (arena->failed).
 */
extern bool RecordMap(RecordDoc *doc, const JsonNode *root);

/* Gives columns of the main row that have no value one from defaults. */
extern void RecordApplyDefaults(RecordDoc *doc, const JsonNode *defaults);

/*
 * After mapping and defaults: fills in what rows of one call share, and, for
 * formats that lack it, stand-ins.
 */
extern void RecordComplete(RecordDoc *doc);

/*
 * The attributes as JSON text of at most RECORD_ATTRIBUTES_MAX bytes, notes
 * about what was left out included; NULL if there are none.
 */
extern JsonNode *RecordFitAttributes(RecordDoc *doc);

/*
 * The spans of an OTLP/JSON export ("resourceSpans"), each a document of its
 * own; NULL if root is none.
 */
extern JsonNode *RecordOtlpSpans(JsonArena *arena, const JsonNode *root);

extern RecordFormat RecordDetect(const JsonNode *root);
extern const char *RecordFormatName(RecordFormat format);

/* ---------------- for the mappers ---------------- */

/* Refuses the document; returns false. */
extern bool RecordFail(RecordDoc *doc, RecordFault fault, const JsonNode *at,
					   const char *text);

extern RecordRow *RecordAddRow(RecordDoc *doc, RecordRows *rows,
							   const RecordSchema *schema);

/* Value of a column, NULL if not given. */
extern JsonNode *RecordGet(const RecordRow *row, const char *column);

/*
 * RecordSet: gives the main row's column a value unless value is null, an
 * empty string or container, or the column has one.  True if it was set.
 */
extern bool RecordSet(RecordDoc *doc, const char *column,
					  const JsonNode *value);
extern bool RecordSetString(RecordDoc *doc, const char *column,
							const char *value);
extern bool RecordSetInt(RecordDoc *doc, const char *column, int64_t value);

/* The same for any row, replacing what it has. */
extern void RecordPut(RecordDoc *doc, RecordRow *row, const char *column,
					  const JsonNode *value);

/* A time in whatever form as an ISO 8601 string in UTC; else as it is. */
extern bool RecordSetTime(RecordDoc *doc, const char *column,
						  const JsonNode *value);

/* Milliseconds, given as a number of units of 1/per_ms ms. */
extern bool RecordSetMillis(RecordDoc *doc, const char *column,
							const JsonNode *value, double per_ms);

/*
 * RecordAttribute: keeps a value under name, prefixed where prefix is not
 * empty.  Content-like names become fragments, credentials are redacted.
 */
extern void RecordAttribute(RecordDoc *doc, const char *prefix,
							const JsonNode *member);

/* Takes content-like and credential members out of a value, at any depth. */
extern void RecordClean(RecordDoc *doc, JsonNode *node);

/* Replaces values of credential members by a constant, at any depth. */
extern void RecordRedact(RecordDoc *doc, JsonNode *node);

extern void RecordNote(RecordDoc *doc, RecordNames *names, const char *name,
					   size_t len);

extern bool RecordKeyIsContent(const char *key, size_t len);
extern bool RecordKeyIsSecret(const char *key, size_t len);
extern bool RecordValueIsSecret(const char *value, size_t len);

/* Value of a number or numeric string; false if it is none. */
extern bool RecordNumber(const JsonNode *node, double *value);

/* A string that holds JSON, parsed; anything else as it is. */
extern JsonNode *RecordUnpack(RecordDoc *doc, const JsonNode *node);

/* The part of a URL that names the host, without user and port. */
extern JsonNode *RecordUrlHost(RecordDoc *doc, const JsonNode *url);

/* A text formatted into the arena. */
extern JsonNode *RecordFormatText(RecordDoc *doc, const char *format,...)
			__attribute__((format(printf, 2, 3)));

/* ---------------- format_time.c ---------------- */

typedef struct RecordTime
{
	int64_t		micros;			/* since 1970-01-01 00:00, local if !has_zone */
	bool		has_zone;
	int			offset_minutes;
} RecordTime;

/* Reads YYYY-MM-DD[ T]HH:MM[:SS[.fraction]][Z|+HH[[:]MM]]; false: is none. */
extern bool RecordParseTime(const char *text, size_t len, RecordTime *time);

/* Seconds, milli-, micro- or nanoseconds since 1970, told by magnitude. */
extern bool RecordParseEpoch(const char *text, size_t len, int64_t *micros);

/* Writes micros as ISO 8601 in UTC; out has at least 32 bytes. */
extern size_t RecordFormatTime(int64_t micros, char *out);

/* ---------------- format_content.c: fragments ---------------- */

typedef struct RecordFragment
{
	const char *kind;			/* as llm_content.kind */
	const JsonNode *role;
	const char *role_name;		/* if role is NULL */
	const JsonNode *tool_call_id;
	const char *content_type;	/* NULL: text/plain, or JSON */
	int			message_index;	/* -1: none */
} RecordFragment;

/* Adds a fragment with the text, or the JSON, of body. */
extern void RecordAddFragment(RecordDoc *doc, const RecordFragment *fragment,
							  const JsonNode *body);

/* Messages of any provider; kind is that of plain text in them. */
extern void RecordAddMessages(RecordDoc *doc, const JsonNode *messages,
							  const char *kind);

/* One message, or what stands for one. */
extern void RecordAddMessage(RecordDoc *doc, const JsonNode *message,
							 const char *kind, int message_index);

/* Text or parts of one message. */
extern void RecordAddParts(RecordDoc *doc, const RecordFragment *fragment,
						   const JsonNode *content);

/* What stands under a content-like name. */
extern void RecordAddContent(RecordDoc *doc, const JsonNode *member);

/* ---------------- mappers ---------------- */

extern bool RecordMapOwn(RecordDoc *doc, const JsonNode *root);
extern bool RecordMapOtel(RecordDoc *doc, const JsonNode *root);
extern bool RecordMapLitellm(RecordDoc *doc, const JsonNode *root);
extern bool RecordMapRaw(RecordDoc *doc, const JsonNode *root);
extern bool RecordMapOpenaiAudit(RecordDoc *doc, const JsonNode *root);

/*
 * For top-level members that a mapper did not use: those named as columns
 * set them, others become attributes.
 */
extern void RecordMapRest(RecordDoc *doc, const JsonNode *root,
						  const char *const *used, const char *prefix);

/* ---------------- format_body.c, format_stream.c ---------------- */

/* Model, parameters, prompt and tools of a provider's request body. */
extern void RecordMapRequest(RecordDoc *doc, const JsonNode *body);

/* Ids, model, usage, finish reasons, text, errors of a response body. */
extern void RecordMapResponse(RecordDoc *doc, const JsonNode *body);

/* Token counts in any of the providers' spellings. */
extern void RecordMapUsage(RecordDoc *doc, const JsonNode *usage);

/* An error object or text. */
extern void RecordMapError(RecordDoc *doc, const JsonNode *error);

/* A response given as text: an SSE stream, JSON lines, JSON, or just text. */
extern void RecordMapResponseText(RecordDoc *doc, const JsonNode *text);

#endif
