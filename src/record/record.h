/*
 * record.h
 *	  What the PostgreSQL side of recording shares; see record.c.
 */
#ifndef LLM_AUDIT_RECORD_H
#define LLM_AUDIT_RECORD_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "nodes/primnodes.h"
#include "pgtime.h"
#include "record/format.h"
#include "utils/uuid.h"

/* ---------------- record_ledger.c: ledgers as targets ---------------- */

/* How a JSON value becomes a value of a column. */
typedef enum ValueKind
{
	VALUE_OTHER = 0,			/* by the type's input function */
	VALUE_TEXT,
	VALUE_CHAR,					/* char(n) */
	VALUE_TEXT_ARRAY,
	VALUE_JSONB,
	VALUE_INT2,
	VALUE_INT4,
	VALUE_INT8,
	VALUE_NUMERIC,
	VALUE_BOOL,
	VALUE_TIME,
	VALUE_UUID,
	VALUE_INET
} ValueKind;

typedef struct TargetColumn
{
	Oid			type;
	int32		typmod;
	ValueKind	kind;
	bool		byval;
	int16		len;
	int			position;		/* in the INSERT's list, -1: the server sets
								 * it */
	bool		required;		/* NOT NULL and nothing fills it in */
	bool		has_constant;	/* a default that is always the same */
	Datum		constant;
	Expr	   *expression;		/* any other default, or NULL */
} TargetColumn;

typedef enum TargetId
{
	TARGET_CALL = 0,
	TARGET_CONTENT,
	TARGET_TOKEN,
	TARGET_USAGE,
	TARGET_ADMIN,
	TARGET_SETTLEMENT,
	TARGET_COUNT
} TargetId;

/*
 * A ledger that rows are written to: its columns by name, and the statements
 * that insert staged rows.  Cached for the session and built anew when the
 * table has changed.
 */
typedef struct Target
{
	TargetId	id;
	Oid			relid;
	bool		valid;
	int			busy;			/* calls that hold pointers into it */
	MemoryContext context;
	RecordSchema schema;
	TargetColumn *columns;		/* as schema.columns */
	int			ninsert;
	TupleDesc	desc;			/* of the columns that are inserted */
	int			id_position;
	int			call_id_position;	/* -1 if it has no call_id */
	SPIPlanPtr	plans[2];		/* [1] is ON CONFLICT DO NOTHING */
} Target;

/* The target, pinned until TargetRelease; not kept across transactions. */
extern Target *TargetGet(TargetId id);
extern void TargetRelease(Target *target);

/* A column's number by name; it must exist in a built-in ledger. */
extern int	TargetColumnNumber(const Target *target, const char *name);

/* The value of a column's default that is no constant; palloc'd. */
extern Datum TargetEvaluateDefault(const TargetColumn *column, bool *isnull);

/* True if content_recording enables fragments for the service. */
extern bool ContentIsRecorded(const JsonNode *environment,
							  const JsonNode *service_name);

/* True if the environment is one that the ledgers have. */
extern bool EnvironmentIsKnown(const JsonNode *environment);

/* ---------------- record_value.c: values ---------------- */

/* Where one column's value goes. */
typedef struct ValueSlot
{
	const TargetColumn *column;
	pg_tz	   *zone;			/* of times without an offset; NULL: UTC */
	Datum		value;
	const char *problem;		/* completes: key "..." */
} ValueSlot;

/* Converts node, which is not null; false with problem set if it does not fit. */
extern bool ValueConvert(ValueSlot *slot, const JsonNode *node,
						 JsonArena *arena);

/* Reads the usual form of a UUID. */
extern bool UuidParse(const char *text, size_t len, pg_uuid_t *uuid);

/*
 * The time that node stands for, read in the zone (NULL: UTC) if its text has
 * no offset; *has_offset if the text has one other than zero.  False if it is
 * no time.
 */
extern bool TimeParse(const JsonNode *node, pg_tz *zone, TimestampTz *time,
					  int *offset_minutes, bool *has_offset);

/* The zone of that name, NULL if there is none. */
extern pg_tz *ZoneFind(const JsonNode *name);

/* Minutes that local time in the zone is ahead of UTC at that time. */
extern int	ZoneOffset(pg_tz *zone, TimestampTz time);

/* ---------------- record_stage.c: rows on their way ---------------- */

/* A row of a target, by position in its INSERT. */
typedef struct TypedRow
{
	Datum	   *values;
	bool	   *nulls;
	bool	   *given;			/* by the writer: not made up here */
	struct TypedRow *next;
} TypedRow;

/* Inserts count rows by one statement; SPI must be connected. */
extern void StageInsert(Target *target, TypedRow **rows, int count,
						bool on_conflict);

/* ---------------- record_line.c: one document ---------------- */

typedef enum LineState
{
	LINE_READY,
	LINE_STORED,
	LINE_DROPPED,				/* by ON CONFLICT: duplicate or conflict */
	LINE_REFUSED
} LineState;

typedef struct Line
{
	int			number;
	JsonNode   *node;			/* parsed */
	RecordDoc	doc;
	pg_uuid_t	id;
	bool		id_given;
	pg_tz	   *zone;			/* of its times without an offset; NULL: UTC */
	bool		time_made;		/* made up: no part of what the writer said */
	bool		request_id_made;
	bool		span_id_made;
	TypedRow   *main;
	TypedRow   *tool_calls;
	TypedRow   *content;
	TypedRow   *tokens;
	TypedRow   *usage;
	LineState	state;
	Oid			leaf;			/* where the row that is there already lies */
	int			sqlstate;		/* of a refused line */
	const char *message;
} Line;

/* What all lines of one call share. */
typedef struct Recording
{
	Target	   *main;
	Target	   *content;		/* NULL, as the next two, but for calls */
	Target	   *token;
	Target	   *usage;
	JsonArena	arena;
	RecordSchemas schemas;
	const JsonNode *defaults;
	bool		report;			/* refuse lines, do not raise */
	bool		many;			/* messages name the line */
} Recording;

/* Turns line->node into typed rows; a line that cannot be is refused. */
extern void LinePrepare(Recording *rec, Line *line);

/* Refuses a line: an error unless the caller wants a report. */
extern void LineRefuse(Recording *rec, Line *line, int sqlstate,
					   const char *message);

/* The same with the key of an error; text completes: key "..." */
extern void LineRefuseKey(Recording *rec, Line *line, int sqlstate,
						  const char *key, size_t key_len, const char *text);

/* ---------------- record_digest.c: what the writer gave ---------------- */

/* The column for it; only recording sets it. */
#define INPUT_DIGEST "input_digest"

/* Puts the digest of what the writer gave into the line's main row. */
extern void DigestLine(const Recording *rec, Line *line);

typedef enum DigestVerdict
{
	DIGEST_UNKNOWN,				/* its key is not live, or not all was given */
	DIGEST_SAME,
	DIGEST_OTHER
} DigestVerdict;

/* Compares what the writer gave with a stored digest. */
extern DigestVerdict DigestCompare(const Recording *rec, const Line *line,
								   Datum stored);

/* ---------------- record_batch.c: many documents ---------------- */

/* Stores the lines that are ready, and says what became of each. */
extern void BatchRun(Recording *rec, Line **lines, int count);

/* True if the stored row that the line's was dropped for says the same. */
extern bool LineEqualsStored(Recording *rec, Line *line);

#endif
