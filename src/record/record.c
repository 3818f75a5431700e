/*
 * record.c
 *	  llm_audit.record_call, record_calls and their like.
 *
 * A document is parsed (json.c), mapped to rows (format*.c), typed
 * (record_line.c) and inserted together with others (record_batch.c), as the
 * caller: its privileges, row-level security and the ledgers' triggers apply.
 * Nothing is kept between calls but prepared statements, so a connection
 * pooler may hand the session to anybody.
 *
 * Memory is bounded by the input: documents are worked off in batches whose
 * memory is given back.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "llm_audit.h"
#include "miscadmin.h"
#include "record/record.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

/* Documents, and bytes of them, that are inserted together at most. */
#define BATCH_LINES 1000
#define BATCH_BYTES (8 * 1024 * 1024)

PG_FUNCTION_INFO_V1(llm_audit_record_call);
PG_FUNCTION_INFO_V1(llm_audit_record_calls);
PG_FUNCTION_INFO_V1(llm_audit_record_admin_event);
PG_FUNCTION_INFO_V1(llm_audit_record_usage);
PG_FUNCTION_INFO_V1(llm_audit_record_settlement);

/* Where we are in the documents. */
typedef struct Documents
{
	const char *next;
	const char *end;
	int			line;			/* number of the last one given out */
	JsonNode   *single;			/* the only one, already parsed */
	JsonNode   *element;		/* next of an array */
} Documents;

/* A document as it is found: parsed already, or as text. */
typedef struct Found
{
	JsonNode   *node;
	const char *text;
	size_t		len;
} Found;

/* The lines of a batch. */
typedef struct Lines
{
	Line	  **lines;
	int			count;
	int			size;
} Lines;

/* ---------------- set-up ---------------- */

/* JsonArena's allocator: memory of the context in which it was set up. */
static void *
AllocChunk(void *arg, size_t size)
{
	CHECK_FOR_INTERRUPTS();
	return MemoryContextAllocHuge((MemoryContext) arg, size);
}

static JsonArena
ArenaIn(MemoryContext context)
{
	JsonArena	arena;

	memset(&arena, 0, sizeof(arena));
	arena.alloc = AllocChunk;
	arena.arg = context;
	return arena;
}

/* Why a text is no JSON, with where. */
static char *
JsonProblem(const JsonError *error)
{
	return psprintf("%s at byte %zu", JsonStatusText(error->status),
					error->position + 1);
}

/* Checks a member of the defaults. */
static void
CheckDefault(const Recording *rec, const JsonNode *member)
{
	const char *problem = NULL;
	const RecordSchema *schema = rec->schemas.main;
	int			i = RecordColumnFind(schema, member->key, member->key_len);
	Target	   *call = NULL;
	char		key[64];

	strlcpy(key, pnstrdup(member->key, Min(member->key_len, 63)), sizeof(key));
	for (char *p = key; *p; p++)
	{
		if (!isalnum((unsigned char) *p) && *p != '_')
			*p = '?';
	}
	if (i < 0 && rec->content == NULL)
	{
		/* one set of defaults serves all functions */
		call = TargetGet(TARGET_CALL);
		i = RecordColumnFind(&call->schema, member->key, member->key_len);
		schema = &call->schema;
	}
	if (i < 0)
		problem = "is not a column";
	else if (schema->columns[i].stamped)
		problem = "is set by the server only";
	else if (member->deep || (member->type == JSON_OBJECT &&
							  strcmp(key, "attributes") != 0))
		problem = "must not be an object";
	TargetRelease(call);
	if (problem)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("key \"%s\" of argument \"%s\" %s", key, "defaults",
						problem)));
}

/* Parses the defaults; they stay for the whole call. */
static void
ReadDefaults(Recording *rec, text *defaults)
{
	JsonError	error;
	JsonNode   *node;

	rec->defaults = NULL;
	if (defaults == NULL)
		return;
	node = JsonParse(&rec->arena, VARDATA_ANY(defaults),
					 VARSIZE_ANY_EXHDR(defaults), &error);
	if (node == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_JSON_TEXT),
				 errmsg("argument \"%s\" is not valid JSON", "defaults"),
				 errdetail("%s.", JsonProblem(&error))));
	if (node->type != JSON_OBJECT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be a JSON object", "defaults")));
	for (const JsonNode *m = node->child; m; m = m->next)
		CheckDefault(rec, m);
	rec->defaults = node;
}

static void
RecordingStart(Recording *rec, TargetId target)
{
	memset(rec, 0, sizeof(*rec));
	rec->main = TargetGet(target);
	rec->schemas.main = &rec->main->schema;
	if (target == TARGET_CALL)
	{
		rec->content = TargetGet(TARGET_CONTENT);
		rec->token = TargetGet(TARGET_TOKEN);
		rec->usage = TargetGet(TARGET_USAGE);
		rec->schemas.content = &rec->content->schema;
		rec->schemas.token = &rec->token->schema;
		rec->schemas.usage = &rec->usage->schema;
	}
	rec->arena = ArenaIn(CurrentMemoryContext);
}

static void
RecordingEnd(Recording *rec)
{
	TargetRelease(rec->main);
	TargetRelease(rec->content);
	TargetRelease(rec->token);
	TargetRelease(rec->usage);
}

/* ---------------- one document ---------------- */

/* What became of a line that was stored or dropped; raises a conflict. */
static const char *
LineResult(Recording *rec, Line *line)
{
	if (line->state == LINE_REFUSED)
		return "refused";
	if (line->state != LINE_DROPPED)
		return line->doc.text_withheld ? "withheld" : "stored";
	if (LineEqualsStored(rec, line))
		return "duplicate";
	line->sqlstate = ERRCODE_UNIQUE_VIOLATION;
	line->message = "another record with this id is stored already";
	if (!rec->report)
		LineRefuse(rec, line, line->sqlstate, line->message);
	return "conflict";
}

/* An OTLP export that is recorded as one document must hold one span. */
static void
TakeOnlySpan(Recording *rec, Line *line)
{
	JsonNode   *spans = rec->content ?
	RecordOtlpSpans(&rec->arena, line->node) : NULL;

	if (spans == NULL)
		return;
	if (spans->count != 1)
		LineRefuse(rec, line, ERRCODE_INVALID_PARAMETER_VALUE,
				   "the document must hold one span; record_calls takes any number");
	line->node = spans->child;
}

/* Records the one document in text; returns its id. */
static Datum
RecordOne(FunctionCallInfo fcinfo, TargetId target)
{
	text	   *document;
	Recording	rec;
	Line	   *line = palloc0(sizeof(Line));
	JsonError	error;
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "document")));
	document = PG_GETARG_TEXT_PP(0);
	RecordingStart(&rec, target);
	PG_TRY();
	{
		ReadDefaults(&rec, PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1));
		line->number = 1;
		line->node = JsonParse(&rec.arena, VARDATA_ANY(document),
							   VARSIZE_ANY_EXHDR(document), &error);
		if (line->node == NULL)
			LineRefuse(&rec, line, ERRCODE_INVALID_JSON_TEXT,
					   JsonProblem(&error));
		TakeOnlySpan(&rec, line);
		LinePrepare(&rec, line);
		BatchRun(&rec, &line, 1);
		LineResult(&rec, line);
		*id = line->id;
	}
	PG_FINALLY();
	{
		RecordingEnd(&rec);
	}
	PG_END_TRY();
	return UUIDPGetDatum(id);
}

/*
 * llm_audit.record_call(document text, defaults text) -> uuid
 *		Records a call with all that goes with it.  Errors: 22032 if document
 *		is not JSON, 22023, 23502, 42703 or 42501 naming a key that does not
 *		fit, is missing, unknown or not the writer's to set, 23505 if another
 *		record has its id, and what inserting raises.
 */
Datum
llm_audit_record_call(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(RecordOne(fcinfo, TARGET_CALL));
}

/* llm_audit.record_admin_event(document, defaults) -> uuid; likewise */
Datum
llm_audit_record_admin_event(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(RecordOne(fcinfo, TARGET_ADMIN));
}

/* llm_audit.record_usage(document, defaults) -> uuid; likewise */
Datum
llm_audit_record_usage(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(RecordOne(fcinfo, TARGET_USAGE));
}

/* llm_audit.record_settlement(document, defaults) -> uuid; likewise */
Datum
llm_audit_record_settlement(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(RecordOne(fcinfo, TARGET_SETTLEMENT));
}

/* ---------------- many documents ---------------- */

/*
 * Looks at what documents holds: an array, one object that goes over several
 * lines, or a document on each line.
 */
static void
DocumentsOpen(Documents *docs, JsonArena *arena, text *documents)
{
	const char *p = VARDATA_ANY(documents);
	const char *eol;
	JsonError	error;
	JsonNode   *node;

	memset(docs, 0, sizeof(*docs));
	docs->next = p;
	docs->end = p + VARSIZE_ANY_EXHDR(documents);
	while (p < docs->end && strchr(" \t\r\n", *p))
		p++;
	if (p == docs->end || (*p != '[' && *p != '{'))
		return;
	eol = memchr(p, '\n', docs->end - p);
	if (*p == '{')
	{
		if (eol == NULL ||
			JsonParse(arena, p, eol - p, &error) != NULL ||
			error.status != JSON_ERROR_END)
			return;
	}
	node = JsonParse(arena, p, docs->end - p, &error);
	if (node == NULL)
	{
		/* an array that is broken is one document that is */
		docs->next = *p == '[' && eol == NULL ? p : docs->next;
		return;
	}
	docs->next = docs->end;
	if (node->type == JSON_ARRAY)
		docs->element = node->child;
	else
		docs->single = node;
}

/* The next document; false at the end.  Blank lines are counted only. */
static bool
DocumentsNext(Documents *docs, Found *found)
{
	memset(found, 0, sizeof(*found));
	if (docs->single || docs->element)
	{
		docs->line++;
		found->node = docs->single ? docs->single : docs->element;
		docs->single = NULL;
		docs->element = docs->element ? docs->element->next : NULL;
		return true;
	}
	while (docs->next < docs->end)
	{
		const char *p = docs->next;
		const char *eol = memchr(p, '\n', docs->end - p);

		if (eol == NULL)
			eol = docs->end;
		docs->next = eol + 1;
		docs->line++;
		while (p < eol && (*p == ' ' || *p == '\t' || *p == '\r'))
			p++;
		if (p == eol)
			continue;
		found->text = p;
		found->len = eol - p;
		return true;
	}
	return false;
}

/* Adds the fate of a line to the result. */
static void
PutFate(ReturnSetInfo *rsinfo, Recording *rec, Line *line)
{
	Datum		values[5];
	bool		nulls[5] = {false};
	const char *result = LineResult(rec, line);
	bool		has_id = line->state != LINE_REFUSED;

	values[0] = Int32GetDatum(line->number);
	values[1] = UUIDPGetDatum(&line->id);
	nulls[1] = !has_id;
	values[2] = CStringGetTextDatum(result);
	nulls[3] = nulls[4] = line->message == NULL;
	if (line->message)
	{
		values[3] = CStringGetTextDatum(unpack_sql_state(line->sqlstate));
		values[4] = CStringGetTextDatum(line->message);
	}
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* Adds a line, prepared unless node is NULL. */
static Line *
AddLine(Recording *rec, Lines *lines, int number, JsonNode *node)
{
	Line	   *line = palloc0(sizeof(Line));

	if (lines->count == lines->size)
	{
		lines->size *= 2;
		lines->lines = repalloc(lines->lines, sizeof(Line *) * lines->size);
	}
	lines->lines[lines->count++] = line;
	line->number = number;
	line->node = node;
	if (node)
		LinePrepare(rec, line);
	return line;
}

/* Parses and prepares what was found; an OTLP export is a line per span. */
static void
AddFound(Recording *rec, Lines *lines, int number, const Found *found)
{
	JsonError	error;
	JsonNode   *node = found->node;
	JsonNode   *spans;

	if (node == NULL)
		node = JsonParse(&rec->arena, found->text, found->len, &error);
	if (node == NULL)
	{
		LineRefuse(rec, AddLine(rec, lines, number, NULL),
				   ERRCODE_INVALID_JSON_TEXT, JsonProblem(&error));
		return;
	}
	spans = RecordOtlpSpans(&rec->arena, node);
	if (spans == NULL)
	{
		AddLine(rec, lines, number, node);
		return;
	}
	for (JsonNode *span = spans->child; span; span = span->next)
	{
		CHECK_FOR_INTERRUPTS();
		AddLine(rec, lines, number, span);
	}
}

/* Records documents batch by batch, in memory that each batch gives back. */
static void
RecordMany(ReturnSetInfo *rsinfo, Recording *rec, Documents *docs)
{
	MemoryContext batch = AllocSetContextCreate(CurrentMemoryContext,
												"llm_audit batch",
												ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(batch);
	bool		more = true;

	while (more)
	{
		Lines		lines;
		size_t		bytes = 0;
		Found		found;

		rec->arena = ArenaIn(batch);
		lines.count = 0;
		lines.size = BATCH_LINES;
		lines.lines = palloc(sizeof(Line *) * lines.size);
		while (lines.count < BATCH_LINES && bytes < BATCH_BYTES &&
			   (more = DocumentsNext(docs, &found)))
		{
			CHECK_FOR_INTERRUPTS();
			AddFound(rec, &lines, docs->line, &found);
			bytes += found.node ? found.node->len : found.len;
		}
		BatchRun(rec, lines.lines, lines.count);
		for (int i = 0; i < lines.count; i++)
			PutFate(rsinfo, rec, lines.lines[i]);
		MemoryContextReset(batch);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(batch);
}

/* True for 'report', false for 'abort'. */
static bool
ReportWanted(FunctionCallInfo fcinfo)
{
	char	   *on_error;

	if (PG_ARGISNULL(2))
		return false;
	on_error = text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (strcmp(on_error, "report") == 0)
		return true;
	if (strcmp(on_error, "abort") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be \"%s\" or \"%s\"", "on_error",
						"abort", "report")));
	return false;
}

/*
 * llm_audit.record_calls(documents text, defaults text, on_error text)
 *		-> table (line int, id uuid, result text, sqlstate text, message text)
 *		Records many calls, JSON Lines or an array, and tells what became of
 *		each.  With on_error 'abort' the errors of record_call, naming the
 *		line; with 'report' a line that cannot be recorded is left out.
 */
Datum
llm_audit_record_calls(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	text	   *documents;
	Recording	rec;
	Documents	docs;
	bool		report = ReportWanted(fcinfo);

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "documents")));
	documents = PG_GETARG_TEXT_PP(0);
	RecordingStart(&rec, TARGET_CALL);
	rec.report = report;
	rec.many = true;
	PG_TRY();
	{
		ReadDefaults(&rec, PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1));
		DocumentsOpen(&docs, &rec.arena, documents);
		RecordMany(rsinfo, &rec, &docs);
	}
	PG_FINALLY();
	{
		RecordingEnd(&rec);
	}
	PG_END_TRY();
	return (Datum) 0;
}
