/*
 * record_ledger.c
 *	  The ledgers as targets of recording: columns, defaults, statements.
 *
 * The cache is the backend's own.  A relcache invalidation of a table marks
 * its entry invalid; it is built anew when it is next asked for and nobody
 * uses it.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "ledger/ledger.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "record/record.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

static const char *const target_names[TARGET_COUNT] = {
	"llm_call", "llm_content", "match_token", "usage_event", "admin_event",
	"settlement"
};

static Target *targets[TARGET_COUNT];

/* Rows of content_recording, as read at a generation of the configuration. */
typedef struct ContentRule
{
	char	   *environment;
	char	   *service_name;
	bool		enabled;
} ContentRule;

static List *content_rules = NIL;
static List *environments = NIL;
static MemoryContext content_rules_context = NULL;
static uint64 content_rules_generation = 0;

/* ---------------- building ---------------- */

/* Columns that only the insert trigger sets. */
static bool
IsStamped(const char *name)
{
	static const char *const stamped[] = {
		"recorded_at", "recorded_by", "retain_until", "chain_lane", "chain_seq",
		"prev_hash", "row_hash", "salt", "erased"
	};

	for (int i = 0; i < lengthof(stamped); i++)
	{
		if (strcmp(name, stamped[i]) == 0)
			return true;
	}
	return false;
}

/* How values of a type are made. */
static ValueKind
KindOf(Oid type)
{
	switch (type)
	{
		case TEXTOID:
			return VALUE_TEXT;
		case BPCHAROID:
			return VALUE_CHAR;
		case TEXTARRAYOID:
			return VALUE_TEXT_ARRAY;
		case JSONBOID:
			return VALUE_JSONB;
		case INT2OID:
			return VALUE_INT2;
		case INT4OID:
			return VALUE_INT4;
		case INT8OID:
			return VALUE_INT8;
		case NUMERICOID:
			return VALUE_NUMERIC;
		case BOOLOID:
			return VALUE_BOOL;
		case TIMESTAMPTZOID:
			return VALUE_TIME;
		case UUIDOID:
			return VALUE_UUID;
		case INETOID:
			return VALUE_INET;
		default:
			return VALUE_OTHER;
	}
}

/* Reads a column's default: a constant is evaluated once for all rows. */
static void
ReadDefault(TargetColumn *column, Relation rel, AttrNumber attnum)
{
	Expr	   *expr = (Expr *) build_column_default(rel, attnum);

	if (expr == NULL)
		return;
	expr = expression_planner(expr);
	if (IsA(expr, Const))
	{
		Const	   *con = (Const *) expr;

		if (con->constisnull)
			return;
		column->has_constant = true;
		column->constant = datumCopy(con->constvalue, con->constbyval,
									 con->constlen);
	}
	else
		column->expression = expr;
}

/* What recording itself fills in where a document has no value. */
static bool
IsFilledIn(TargetId id, const char *name)
{
	return strcmp(name, "id") == 0 || strcmp(name, "call_id") == 0 ||
		(id == TARGET_ADMIN && strcmp(name, "category") == 0);
}

/* Fills one column of the target from the table's. */
static void
ReadColumn(Target *target, RecordColumn *name, TargetColumn *column,
		   Relation rel, Form_pg_attribute att)
{
	name->name = pstrdup(NameStr(att->attname));
	name->len = strlen(name->name);
	name->stamped = IsStamped(name->name);
	column->type = getBaseType(att->atttypid);
	column->typmod = att->atttypmod;
	column->kind = column->type == att->atttypid ? KindOf(att->atttypid) :
		VALUE_OTHER;
	column->byval = att->attbyval;
	column->len = att->attlen;
	if (column->kind == VALUE_OTHER)
		column->type = att->atttypid;
	column->position = -1;
	if (name->stamped || att->attgenerated)
	{
		name->stamped = true;
		return;
	}
	name->stamped = strcmp(name->name, INPUT_DIGEST) == 0;
	column->position = target->ninsert++;
	if (strcmp(name->name, "id") == 0)
		target->id_position = column->position;
	else if (strcmp(name->name, "call_id") == 0)
		target->call_id_position = column->position;
	else if (att->atthasdef)
		ReadDefault(column, rel, att->attnum);
	column->required = att->attnotnull && !att->atthasdef &&
		!IsFilledIn(target->id, name->name);
}

/* Builds the target in its own context, which is current. */
static void
BuildTarget(Target *target, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	RecordColumn *names = palloc0(sizeof(RecordColumn) * desc->natts);
	int			n = 0;

	target->columns = palloc0(sizeof(TargetColumn) * desc->natts);
	target->ninsert = 0;
	target->id_position = -1;
	target->call_id_position = -1;
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped)
			continue;
		ReadColumn(target, &names[n], &target->columns[n], rel, att);
		n++;
	}
	target->schema.ledger = target_names[target->id];
	target->schema.ncolumns = n;
	target->schema.columns = names;
	target->schema.nbuckets = 64;
	while (target->schema.nbuckets < 4 * n)
		target->schema.nbuckets *= 2;
	target->schema.buckets = palloc0(sizeof(uint16) * target->schema.nbuckets);
	RecordSchemaIndex(&target->schema);

	target->desc = CreateTemplateTupleDesc(target->ninsert);
	for (int i = 0; i < n; i++)
	{
		TargetColumn *column = &target->columns[i];

		if (column->position >= 0)
			TupleDescInitEntry(target->desc, column->position + 1,
							   names[i].name, column->type, column->typmod, 0);
	}
}

/* ---------------- the cache ---------------- */

static void
TargetInvalidate(Datum arg, Oid relid)
{
	for (int i = 0; i < TARGET_COUNT; i++)
	{
		if (targets[i] && (relid == InvalidOid || targets[i]->relid == relid))
			targets[i]->valid = false;
	}
}

/* Frees a target and its statements. */
static void
DropTarget(Target *target)
{
	for (int i = 0; i < lengthof(target->plans); i++)
	{
		if (target->plans[i])
			SPI_freeplan(target->plans[i]);
	}
	MemoryContextDelete(target->context);
}

/* A new target; the cache has it only once it is complete. */
static Target *
MakeTarget(TargetId id)
{
	static bool registered = false;
	MemoryContext context;
	MemoryContext old;
	Relation	rel;
	Target	   *target;
	Oid			relid = get_relname_relid(target_names[id],
										  get_namespace_oid(LLM_AUDIT_SCHEMA,
															false));

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("ledger \"%s\" does not exist", target_names[id]),
				 errhint("Run SELECT llm_audit.setup().")));
	if (!registered)
		CacheRegisterRelcacheCallback(TargetInvalidate, (Datum) 0);
	registered = true;

	context = AllocSetContextCreate(CurrentMemoryContext,
									"llm_audit target", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	target = palloc0(sizeof(Target));
	target->id = id;
	target->relid = relid;
	target->valid = true;
	target->context = context;
	rel = table_open(relid, AccessShareLock);
	BuildTarget(target, rel);
	table_close(rel, AccessShareLock);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, CacheMemoryContext);
	return target;
}

Target *
TargetGet(TargetId id)
{
	Target	   *target = targets[id];

	if (target == NULL || !target->valid)
	{
		Target	   *fresh = MakeTarget(id);

		/* one in use is left to whoever uses it: it is small and rare */
		if (target && target->busy == 0)
			DropTarget(target);
		targets[id] = target = fresh;
	}
	target->busy++;
	return target;
}

void
TargetRelease(Target *target)
{
	if (target)
		target->busy--;
}

int
TargetColumnNumber(const Target *target, const char *name)
{
	int			i = RecordColumnFind(&target->schema, name, strlen(name));

	if (i < 0)
		elog(ERROR, "ledger \"%s\" has no column \"%s\"",
			 target->schema.ledger, name);
	return i;
}

Datum
TargetEvaluateDefault(const TargetColumn *column, bool *isnull)
{
	EState	   *estate = CreateExecutorState();
	ExprState  *state = ExecPrepareExpr(column->expression, estate);
	Datum		value = ExecEvalExprSwitchContext(state,
												  GetPerTupleExprContext(estate),
												  isnull);

	if (!*isnull)
		value = datumCopy(value, column->byval, column->len);
	FreeExecutorState(estate);
	return value;
}

/* ---------------- configuration ---------------- */

/* ConfigScan's visitor: keeps a row. */
static void
KeepRule(HeapTuple tuple, TupleDesc desc, void *arg)
{
	ContentRule *rule = palloc(sizeof(ContentRule));
	bool		isnull;

	rule->environment = TextDatumGetCString(heap_getattr(tuple, 1, desc, &isnull));
	rule->service_name = TextDatumGetCString(heap_getattr(tuple, 2, desc, &isnull));
	rule->enabled = DatumGetBool(heap_getattr(tuple, 3, desc, &isnull));
	content_rules = lappend(content_rules, rule);
}

/* ConfigScan's visitor: keeps the name of an environment. */
static void
KeepEnvironment(HeapTuple tuple, TupleDesc desc, void *arg)
{
	bool		isnull;
	Datum		name = heap_getattr(tuple, 1, desc, &isnull);

	environments = lappend(environments, TextDatumGetCString(name));
}

/* Reads both tables again if the configuration has changed since. */
static void
RefreshRules(void)
{
	MemoryContext old;

	if (content_rules_context &&
		content_rules_generation == ConfigGeneration())
		return;
	if (content_rules_context == NULL)
		content_rules_context = AllocSetContextCreate(TopMemoryContext,
													  "llm_audit content rules",
													  ALLOCSET_SMALL_SIZES);
	content_rules = environments = NIL;
	content_rules_generation = 0;
	MemoryContextReset(content_rules_context);
	old = MemoryContextSwitchTo(content_rules_context);
	ConfigScan("content_recording", NULL, 0, KeepRule, NULL);
	ConfigScan("environment", NULL, 0, KeepEnvironment, NULL);
	MemoryContextSwitchTo(old);
	content_rules_generation = ConfigGeneration();
}

bool
EnvironmentIsKnown(const JsonNode *environment)
{
	ListCell   *lc;

	RefreshRules();
	foreach(lc, environments)
	{
		if (JsonIs(environment, (const char *) lfirst(lc)))
			return true;
	}
	return false;
}

/* 2 if the pattern names the value, 1 if it stands for all, else 0. */
static int
Matches(const char *pattern, const JsonNode *value)
{
	if (strcmp(pattern, "*") == 0)
		return 1;
	return JsonIs(value, pattern) ? 2 : 0;
}

bool
ContentIsRecorded(const JsonNode *environment, const JsonNode *service_name)
{
	ListCell   *lc;
	int			best = 0;
	bool		enabled = false;

	RefreshRules();
	foreach(lc, content_rules)
	{
		const ContentRule *rule = lfirst(lc);
		int			env = Matches(rule->environment, environment);
		int			service = Matches(rule->service_name, service_name);

		/* the more specific row wins, service before environment */
		if (env > 0 && service > 0 && service * 4 + env > best)
		{
			best = service * 4 + env;
			enabled = rule->enabled;
		}
	}
	return enabled;
}
