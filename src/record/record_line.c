/*
 * record_line.c
 *	  One document: from its tree to typed rows, ready to be inserted.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/string.h"
#include "core/sha256.h"
#include "ledger/ledger.h"
#include "policy/policy.h"
#include "record/record.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* Longest part of a key that a message names. */
#define KEY_SHOWN 63

#define MICROS_TO_2000 \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* ---------------- refusing ---------------- */

void
LineRefuse(Recording *rec, Line *line, int sqlstate, const char *message)
{
	if (!rec->report)
	{
		if (rec->many)
			ereport(ERROR,
					(errcode(sqlstate),
					 errmsg("line %d: %s", line->number, message)));
		ereport(ERROR, (errcode(sqlstate), errmsg("%s", message)));
	}
	line->state = LINE_REFUSED;
	line->sqlstate = sqlstate;
	line->message = message;
}

void
LineRefuseKey(Recording *rec, Line *line, int sqlstate, const char *key,
			  size_t key_len, const char *text)
{
	char		shown[KEY_SHOWN + 1];
	size_t		n = Min(key_len, KEY_SHOWN);

	if (key_len == 0)
	{
		LineRefuse(rec, line, sqlstate, psprintf("the document %s", text));
		return;
	}
	/* keys come from outside, too */
	for (size_t i = 0; i < n; i++)
		shown[i] = (isalnum((unsigned char) key[i]) || strchr("_.-", key[i])) ?
			key[i] : '?';
	shown[n] = '\0';
	LineRefuse(rec, line, sqlstate, psprintf("key \"%s\" %s", shown, text));
}

static int
FaultState(RecordFault fault)
{
	switch (fault)
	{
		case RECORD_FAULT_MISSING:
			return ERRCODE_NOT_NULL_VIOLATION;
		case RECORD_FAULT_UNKNOWN:
			return ERRCODE_UNDEFINED_COLUMN;
		case RECORD_FAULT_STAMPED:
			return ERRCODE_INSUFFICIENT_PRIVILEGE;
		default:
			return ERRCODE_INVALID_PARAMETER_VALUE;
	}
}

/* Refuses what the mappers found wrong. */
static void
RefuseFault(Recording *rec, Line *line)
{
	if (rec->arena.failed)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	LineRefuseKey(rec, line, FaultState(line->doc.fault), line->doc.fault_key,
				  line->doc.fault_key_len,
				  line->doc.fault_text ? line->doc.fault_text :
				  "cannot be recorded");
}

/* ---------------- time and identity ---------------- */

static TimestampTz
Now(void)
{
	return GetCurrentTimestamp();
}

/* Sets a column of the main row to a time, in UTC. */
static void
PutTime(Line *line, const char *column, TimestampTz time)
{
	char text[	32];
	size_t		len = RecordFormatTime(time + MICROS_TO_2000, text);

	RecordPut(&line->doc, line->doc.row, column,
			  JsonMakeText(line->doc.arena, pnstrdup(text, len), len));
}

/* A value that does not fit: noted and dropped, or the line is refused. */
static bool
BadValue(Recording *rec, Line *line, RecordRow *row, const char *column,
		 const char *problem)
{
	int			i = RecordColumnFind(row->schema, column, strlen(column));

	if (line->doc.lenient)
	{
		row->values[i] = NULL;
		RecordNote(&line->doc, &line->doc.dropped, column, strlen(column));
		return true;
	}
	LineRefuseKey(rec, line, ERRCODE_INVALID_PARAMETER_VALUE, column,
				  strlen(column), problem);
	return false;
}

/*
 * Settles when the event was, and how far local time was ahead of UTC then.
 * What the document says goes before the defaults: its own offset, its zone,
 * the offset of its time; then the same of the defaults; else UTC.
 */
static bool
SettleTime(Recording *rec, Line *line)
{
	RecordRow  *row = line->doc.row;
	const JsonNode *own_zone = RecordGet(row, "time_zone");
	const JsonNode *own_offset = RecordGet(row, "utc_offset_minutes");
	const JsonNode *when = RecordGet(row, "occurred_at");
	const JsonNode *name = own_zone ? own_zone :
	JsonGet(rec->defaults, "time_zone");
	TimestampTz time = Now();
	int			offset = 0;
	bool		has_offset = false;

	line->zone = NULL;
	if (JsonHasValue(name) && (line->zone = ZoneFind(name)) == NULL)
	{
		if (own_zone == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("key \"%s\" of the defaults is not the name of a time zone",
							"time_zone")));
		if (!BadValue(rec, line, row, "time_zone",
					  "is not the name of a time zone"))
			return false;
	}
	if (RecordColumnFind(row->schema, "utc_offset_minutes", 18) < 0)
		return true;
	line->time_made = when == NULL;
	if (when && !TimeParse(when, line->zone, &time, &offset, &has_offset))
	{
		if (!BadValue(rec, line, row, "occurred_at",
					  "must be a time in ISO 8601 form"))
			return false;
		time = Now();
	}
	PutTime(line, "occurred_at", time);
	if (own_offset)
		return true;
	if (has_offset && own_zone == NULL)
	{
		/* the default zone is not where this happened if it disagrees */
		if (line->zone && ZoneOffset(line->zone, time) != offset)
		{
			line->zone = NULL;
			RecordPut(&line->doc, row, "time_zone",
					  JsonMake(line->doc.arena, JSON_NULL));
		}
	}
	else if (line->zone)
		offset = ZoneOffset(line->zone, time);
	if (own_zone == NULL && line->zone && JsonHasValue(name))
		RecordPut(&line->doc, row, "time_zone", name);
	if (has_offset || line->zone ||
		JsonGet(rec->defaults, "utc_offset_minutes") == NULL)
		RecordPut(&line->doc, row, "utc_offset_minutes",
				  JsonMakeInt(line->doc.arena, offset));
	return true;
}

/* The id that the document gives, or a new one. */
static bool
SettleId(Recording *rec, Line *line)
{
	const JsonNode *id = RecordGet(line->doc.row, "id");

	line->id_given = false;
	if (id && (id->type != JSON_STRING ||
			   !UuidParse(id->text, id->len, &line->id)))
	{
		if (!BadValue(rec, line, line->doc.row, "id", "must be a UUID"))
			return false;
	}
	else if (id)
		line->id_given = true;
	if (!line->id_given)
		line->id = *DatumGetUUIDP(LedgerUuid());
	return true;
}

/* A request id for a call that has none. */
static void
SettleRequestId(Recording *rec, Line *line)
{
	char	   *uuid;

	if (rec->content == NULL || RecordGet(line->doc.row, "request_id"))
		return;
	uuid = DatumGetCString(DirectFunctionCall1(uuid_out,
											   UUIDPGetDatum(&line->id)));
	RecordPut(&line->doc, line->doc.row, "request_id",
			  JsonMakeString(line->doc.arena, psprintf("gen-%s", uuid)));
	line->request_id_made = true;
}

/* A span for a call that tool calls hang on. */
static void
SettleSpan(Line *line)
{
	uint8		random[8];
	char text[	17];

	if (line->doc.tool_calls.count == 0 || RecordGet(line->doc.row, "span_id"))
		return;
	if (!StrongRandom(random, sizeof(random)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	for (int i = 0; i < sizeof(random); i++)
		snprintf(text +2 * i, 3, "%02x", random[i]);
	RecordPut(&line->doc, line->doc.row, "span_id",
			  JsonMakeString(line->doc.arena, pstrdup(text)));
	line->span_id_made = true;
}

/* ---------------- typed rows ---------------- */

/* Fills one column of a typed row; false if the line is refused. */
static bool
ConvertColumn(Recording *rec, Line *line, RecordRow *row, int i,
			  const TargetColumn *column, TypedRow *out)
{
	JsonNode   *node = row->values[i];
	const RecordColumn *name = &row->schema->columns[i];
	int			p = column->position;
	ValueSlot	slot;

	if (node && node->type != JSON_NULL)
	{
		slot.column = column;
		slot.zone = line->zone;
		if (ValueConvert(&slot, node, line->doc.arena))
		{
			out->values[p] = slot.value;
			out->nulls[p] = false;
			out->given[p] = true;
			return true;
		}
		if (!BadValue(rec, line, row, name->name, slot.problem))
			return false;
	}
	if (column->has_constant)
	{
		out->values[p] = column->constant;
		out->nulls[p] = false;
	}
	else if (column->expression)
		out->values[p] = TargetEvaluateDefault(column, &out->nulls[p]);
	else if (column->required)
	{
		LineRefuseKey(rec, line, ERRCODE_NOT_NULL_VIOLATION, name->name,
					  name->len, "is missing");
		return false;
	}
	return true;
}

/* A typed row from a mapped one, NULL if the line is refused. */
static TypedRow *
ConvertRow(Recording *rec, Line *line, Target *target, RecordRow *row)
{
	TypedRow   *out = palloc(sizeof(TypedRow));

	out->values = palloc0(sizeof(Datum) * target->ninsert);
	out->nulls = palloc(sizeof(bool) * target->ninsert);
	out->given = palloc0(sizeof(bool) * target->ninsert);
	out->next = NULL;
	memset(out->nulls, true, sizeof(bool) * target->ninsert);
	for (int i = 0; i < target->schema.ncolumns; i++)
	{
		const TargetColumn *column = &target->columns[i];

		if (column->position < 0 || column->position == target->id_position ||
			column->position == target->call_id_position)
			continue;
		if (!ConvertColumn(rec, line, row, i, column, out))
			return NULL;
	}
	return out;
}

/* Sets a uuid column of a typed row. */
static void
SetUuid(TypedRow *row, int position, const pg_uuid_t *uuid)
{
	pg_uuid_t  *copy = palloc(sizeof(pg_uuid_t));

	*copy = *uuid;
	row->values[position] = UUIDPGetDatum(copy);
	row->nulls[position] = false;
}

/* Typed rows of those that go with a call; false if the line is refused. */
static bool
ConvertRows(Recording *rec, Line *line, Target *target, RecordRows *rows,
			TypedRow **out)
{
	TypedRow  **link = out;

	for (RecordRow *row = rows->first; row; row = row->next)
	{
		const JsonNode *id = RecordGet(row, "id");
		TypedRow   *typed = ConvertRow(rec, line, target, row);
		pg_uuid_t	uuid;

		if (typed == NULL)
			return false;
		if (id == NULL)
			uuid = *DatumGetUUIDP(LedgerUuid());
		else if (id->type != JSON_STRING || !UuidParse(id->text, id->len, &uuid))
		{
			LineRefuseKey(rec, line, ERRCODE_INVALID_PARAMETER_VALUE, "id", 2,
						  "must be a UUID");
			return false;
		}
		SetUuid(typed, target->id_position, &uuid);
		if (target->call_id_position >= 0)
			SetUuid(typed, target->call_id_position, &line->id);
		*link = typed;
		link = &typed->next;
	}
	return true;
}

/*
 * What a call needs beyond NOT NULL, where a key says it better than a
 * constraint.
 */
static bool
CheckCall(Recording *rec, Line *line, RecordRow *row)
{
	static const char *const needed[] = {
		"actor_id", "provider_name", "request_model"
	};
	bool		blocked = JsonIs(RecordGet(row, "status"), "blocked");
	bool		tool = JsonIs(RecordGet(row, "operation_name"), "execute_tool");

	for (int i = 0; i < lengthof(needed); i++)
	{
		if (RecordGet(row, needed[i]) || (i > 0 && blocked))
			continue;
		if (i > 0 && tool)
		{
			/* a tool that was called by no model of ours */
			RecordPut(&line->doc, row, needed[i],
					  JsonMakeString(line->doc.arena, "none"));
			continue;
		}
		LineRefuseKey(rec, line, ERRCODE_NOT_NULL_VIOLATION, needed[i],
					  strlen(needed[i]), "is missing");
		return false;
	}
	return true;
}

/* The known_values of the call, or NULL. */
static const Datum *
KnownValuesOf(const Recording *rec, const Line *line)
{
	const RecordSchema *schema = &rec->main->schema;
	int			i = RecordColumnFind(schema, "known_values",
									 strlen("known_values"));
	int			p = i < 0 ? -1 : rec->main->columns[i].position;

	return p < 0 || line->main->nulls[p] ? NULL : &line->main->values[p];
}

/*
 * Looks through the text of a call, stored or not, so that the call's row
 * says what is in it.
 */
static void
ExamineContent(const Recording *rec, const Line *line)
{
	PolicyFindings findings = {0};
	const Datum *known = KnownValuesOf(rec, line);

	if (!llm_audit_masking)
		return;
	for (const RecordRow *row = line->doc.content.first; row; row = row->next)
	{
		const JsonNode *body = RecordGet(row, "body");

		if (body && body->type == JSON_STRING)
			PolicyExamine(body->text, body->len, known, &findings);
	}
	if (findings.examined)
		PolicyAttach(&line->id, &findings);
}

/* The rows of a call that go with it. */
static bool
PrepareCall(Recording *rec, Line *line)
{
	RecordDoc  *doc = &line->doc;

	for (RecordRow *row = doc->tool_calls.first; row; row = row->next)
	{
		if (!CheckCall(rec, line, row))
			return false;
	}
	if (!ConvertRows(rec, line, rec->main, &doc->tool_calls,
					 &line->tool_calls) ||
		!ConvertRows(rec, line, rec->token, &doc->tokens, &line->tokens) ||
		!ConvertRows(rec, line, rec->usage, &doc->usage, &line->usage))
		return false;
	ExamineContent(rec, line);
	if (ContentIsRecorded(RecordGet(doc->row, "environment"),
						  RecordGet(doc->row, "service_name")))
		return ConvertRows(rec, line, rec->content, &doc->content,
						   &line->content);
	return true;
}

/*
 * The attributes last: they say what was left out on the way.  A note of
 * what could not be kept in the main row comes too late for its own
 * conversion, so that column is converted by itself.
 */
static void
PutAttributes(Recording *rec, Line *line)
{
	int			i = TargetColumnNumber(rec->main, "attributes");
	int			p = rec->main->columns[i].position;
	JsonNode   *text = RecordFitAttributes(&line->doc);
	ValueSlot	slot;
	JsonNode   *tree;
	JsonError	error;

	if (text == NULL)
		return;
	tree = JsonParse(line->doc.arena, text->text, text->len, &error);
	slot.column = &rec->main->columns[i];
	slot.zone = NULL;
	if (tree == NULL || !ValueConvert(&slot, tree, line->doc.arena))
		elog(ERROR, "could not write the attributes of a call");
	line->main->values[p] = slot.value;
	line->main->nulls[p] = false;
	line->main->given[p] = true;
}

/* Values that were made up here are no part of what the writer said. */
static void
ForgetMade(Recording *rec, Line *line)
{
	const struct
	{
		const char *column;
		bool		made;
	}			columns[] = {
		{"occurred_at", line->time_made},
		{"utc_offset_minutes", line->time_made},
		{"request_id", line->request_id_made},
		{"span_id", line->span_id_made}
	};

	for (int i = 0; i < lengthof(columns); i++)
	{
		int			c = RecordColumnFind(&rec->main->schema, columns[i].column,
										 strlen(columns[i].column));

		if (columns[i].made && c >= 0)
			line->main->given[rec->main->columns[c].position] = false;
	}
}

/*
 * An environment that another system named and that is none of ours becomes
 * an attribute, so that the defaults can say which log the record belongs to.
 */
static void
SettleEnvironment(Line *line)
{
	RecordRow  *row = line->doc.row;
	int			i = RecordColumnFind(row->schema, "environment", 11);
	JsonNode   *node = row->values[i];

	if (!line->doc.lenient || node == NULL || EnvironmentIsKnown(node))
		return;
	row->values[i] = NULL;
	node->key = "deployment.environment.name";
	node->key_len = strlen(node->key);
	RecordAttribute(&line->doc, "", node);
}

void
LinePrepare(Recording *rec, Line *line)
{
	RecordDoc  *doc = &line->doc;

	line->state = LINE_READY;
	if (!RecordDocInit(doc, &rec->arena, &rec->schemas) ||
		!RecordMap(doc, line->node))
	{
		RefuseFault(rec, line);
		return;
	}
	SettleEnvironment(line);
	if (!SettleTime(rec, line) || !SettleId(rec, line))
		return;
	RecordApplyDefaults(doc, rec->defaults);
	SettleRequestId(rec, line);
	SettleSpan(line);
	RecordComplete(doc);
	if (rec->content && !CheckCall(rec, line, doc->row))
		return;
	if (doc->text_withheld)
		RecordPut(doc, doc->row, "masking_status",
				  JsonMakeString(doc->arena, "withheld"));
	line->main = ConvertRow(rec, line, rec->main, doc->row);
	if (line->main == NULL)
		return;
	SetUuid(line->main, rec->main->id_position, &line->id);
	ForgetMade(rec, line);
	if (rec->content)
	{
		if (!PrepareCall(rec, line))
			return;
		PutAttributes(rec, line);
	}
	DigestLine(rec, line);
}
