/*
 * plan.c
 *	  What to do with each column of a segment, as field_policy says.
 *
 * Plans are cached per backend by leaf, and made again when the
 * configuration has changed.  A plan that was replaced lives on until the
 * end of the transaction, because a caller up the stack may be using it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/skey.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "pgtime.h"
#include "policy/encrypt.h"
#include "regex/regex.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* Column numbers of field_policy, as sql/35_policy.sql. */
#define POLICY_LEDGER_ATT		1
#define POLICY_COLUMN_ATT		2
#define POLICY_ON_WRITE_ATT		3
#define POLICY_PATTERN_ATT		4
#define POLICY_VIOLATION_ATT	5
#define POLICY_ENCRYPT_ATT		7
#define POLICY_HUMANS_ATT		8
#define POLICY_CHANGED_ATT		9

/* Bytes that a constraint lets llm_call.attributes have. */
#define ATTRIBUTES_MAX 8192

static HTAB *plans = NULL;

static const struct
{
	const char *name;
	FieldAction action;
}			action_names[] = {
	{"mask", FIELD_MASK},
	{"keep", FIELD_KEEP},
	{"hash", FIELD_HASH},
	{"truncate_ip", FIELD_TRUNCATE_IP},
	{"redact", FIELD_REDACT},
	{"drop", FIELD_DROP},
	{"reject", FIELD_REJECT}
};

/* What the visitor of field_policy fills in. */
typedef struct PlanBuild
{
	LedgerPlan *plan;
	const Segment *seg;
	TimestampTz changed;
} PlanBuild;

/* The action of that name; false if there is none. */
static bool
FieldActionByName(const char *name, FieldAction *action)
{
	for (int i = 0; i < lengthof(action_names); i++)
	{
		if (strcmp(action_names[i].name, name) == 0)
		{
			*action = action_names[i].action;
			return true;
		}
	}
	return false;
}

/* A text of a configuration row, or NULL. */
static char *
ConfigText(HeapTuple tuple, TupleDesc desc, int attnum)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, attnum, desc, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* The named action, or the safest where the name is none of ours. */
static FieldAction
ActionOf(const char *name)
{
	FieldAction action;

	if (name == NULL || !FieldActionByName(name, &action))
		return FIELD_MASK;
	return action;
}

static FieldPlan *
FieldByName(LedgerPlan *plan, const char *name)
{
	for (int i = 0; i < plan->nfields; i++)
	{
		if (strcmp(NameStr(plan->fields[i].name), name) == 0)
			return &plan->fields[i];
	}
	return NULL;
}

/*
 * Refuses a pattern that is no regular expression, in words that are ours:
 * PostgreSQL's come when a value is tried, and are withheld.
 */
static void
CheckPattern(const Segment *seg, const char *column, const char *pattern)
{
	int			len = strlen(pattern);
	pg_wchar   *wide = palloc(sizeof(pg_wchar) * (len + 1));
	regex_t		re;
	int			result;
	char		words[100];

	len = pg_mb2wchar_with_len(pattern, wide, len);
	result = pg_regcomp(&re, wide, len, REG_ADVANCED | REG_NOSUB, C_COLLATION_OID);
	pfree(wide);
	if (result == REG_OKAY)
	{
		pg_regfree(&re);
		return;
	}
	pg_regerror(result, &re, words, sizeof(words));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_REGULAR_EXPRESSION),
			 errmsg("the pattern of the field policy of column \"%s\" of ledger \"%s\" cannot be used",
					column, NameStr(seg->ledger_name)),
			 errdetail("The regular expression is invalid: %s.", words),
			 errhint("Set another one with llm_audit.set_field_policy().")));
}

/* Visitor: the rows of field_policy. */
static void
PolicyRowRead(HeapTuple tuple, TupleDesc desc, void *arg)
{
	PlanBuild  *build = arg;
	bool		isnull;
	TimestampTz changed = DatumGetTimestampTz(heap_getattr(tuple, POLICY_CHANGED_ATT,
														   desc, &isnull));
	Name		column = DatumGetName(heap_getattr(tuple, POLICY_COLUMN_ATT,
												   desc, &isnull));
	FieldPlan  *field = FieldByName(build->plan, NameStr(*column));
	char	   *pattern = ConfigText(tuple, desc, POLICY_PATTERN_ATT);

	build->changed = Max(build->changed, changed);
	if (field == NULL)
		return;
	field->action = ActionOf(ConfigText(tuple, desc, POLICY_ON_WRITE_ATT));
	field->on_violation = ActionOf(ConfigText(tuple, desc, POLICY_VIOLATION_ATT));
	field->humans_only = DatumGetBool(heap_getattr(tuple, POLICY_HUMANS_ATT,
												   desc, &isnull));
	build->plan->humans_only |= field->humans_only;
	field->encrypt = DatumGetBool(heap_getattr(tuple, POLICY_ENCRYPT_ATT,
											   desc, &isnull));
	if (pattern == NULL)
		return;
	field->pattern = PatternByName(pattern);
	/* staff stay readable, though the dictionary may list them */
	if (strcmp(pattern, "login") == 0)
		field->terms = false;
	if (field->pattern == NULL)
	{
		char	   *whole = psprintf("^(?:%s)$", pattern);

		CheckPattern(build->seg, NameStr(field->name), whole);
		field->regex = cstring_to_text(whole);
	}
}

/* How values of a base type are masked. */
static FieldKind
KindOfType(Oid type)
{
	switch (type)
	{
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			return KIND_TEXT;
		case JSONOID:
			return KIND_JSON;
		case JSONBOID:
			return KIND_JSONB;
		case INETOID:
		case CIDROID:
			return KIND_INET;
		case BYTEAOID:
			return KIND_BYTEA;
		default:
			return KIND_OTHER;
	}
}

/* Columns that a constraint of ours requires, though they are not NOT NULL. */
static bool
IsRequired(LedgerRole role, const char *name)
{
	static const char *const required[] = {
		"actor_id", "reason", "provider_name", "request_model"
	};

	for (int i = 0; i < lengthof(required) && role != ROLE_PLAIN; i++)
	{
		if (strcmp(required[i], name) == 0)
			return true;
	}
	return false;
}

/*
 * Columns of built-in ledgers whose values a constraint lists, and those by
 * which tenants are told apart.  A name that somebody bears must not make
 * another word of them, or a customer called "Ok" would have no records.
 */
static bool
IsFixed(const Segment *seg, const char *name)
{
	static const char *const fixed[] = {
		"actor_type", "attempt_kind", "status", "masking_status", "data_class",
		"kind", "category", "outcome", "action", "event", "currency", "entity",
		"organization_id", "service_name"
	};

	for (int i = 0; i < lengthof(fixed); i++)
	{
		if (strcmp(NameStr(seg->ledger_schema), LLM_AUDIT_SCHEMA) == 0 &&
			strcmp(fixed[i], name) == 0)
			return true;
	}
	return false;
}

/*
 * What kind of thing a column's pseudonyms stand for: columns of the same
 * name have the same, and so has a column that refers to another's.
 */
static const char *
HashKind(const char *name)
{
	if (strncmp(name, "original_", 9) == 0)
		return name + 9;
	return name;
}

/* True for the column that decided the partition: it has to stay. */
static bool
IsPartitionKey(const Segment *seg, const LedgerColumn *col)
{
	return NameStr(seg->environment)[0] != '\0' &&
		strcmp(NameStr(col->name), "environment") == 0;
}

/*
 * True for what segment_event says of columns and of the installation: our own
 * functions alone write it, and verify needs every digit.
 */
static bool
IsFacts(const Segment *seg, const LedgerColumn *col)
{
	return seg->role == ROLE_SEGMENT_EVENT &&
		strcmp(NameStr(col->name), "facts") == 0;
}

/*
 * Fills in a field with its defaults; false for a column in which there is
 * nothing to mask.
 */
static bool
FieldInit(FieldPlan *field, const Segment *seg, const LedgerColumn *col)
{
	HeapTuple	tuple;
	Form_pg_attribute att;

	memset(field, 0, sizeof(*field));
	field->is_array = (col->kind == ENCODE_ARRAY);
	field->base_type = field->is_array ? col->element_type : col->type;
	field->kind = KindOfType(field->base_type);
	if (field->kind == KIND_OTHER || col->attnum == InvalidAttrNumber ||
		IsPartitionKey(seg, col) || IsFacts(seg, col))
		return false;

	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(seg->relid),
							Int16GetDatum(col->attnum));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for column %d", col->attnum);
	att = (Form_pg_attribute) GETSTRUCT(tuple);
	field->name = col->name;
	field->attnum = col->attnum;
	field->type = att->atttypid;
	field->typmod = att->atttypmod;
	field->required = att->attnotnull ||
		IsRequired(seg->role, NameStr(col->name));
	ReleaseSysCache(tuple);

	field->column = col;
	field->fixed = IsFixed(seg, NameStr(col->name));
	field->sensitive = MaskKeyIsSensitive(NameStr(field->name),
										  strlen(NameStr(field->name)));
	field->terms = !field->fixed;
	field->action = field->kind == KIND_INET ? FIELD_TRUNCATE_IP :
		field->kind == KIND_BYTEA ? FIELD_KEEP : FIELD_MASK;
	field->on_violation = FIELD_MASK;
	if (strcmp(NameStr(seg->ledger_schema), LLM_AUDIT_SCHEMA) == 0 &&
		strcmp(NameStr(col->name), "attributes") == 0)
		field->max_len = ATTRIBUTES_MAX;
	field->hash_kind = pstrdup(HashKind(NameStr(field->name)));
	field->last_len = -1;
	return true;
}

/* The attribute number of a column, or InvalidAttrNumber. */
static AttrNumber
AttrOf(const LedgerPlan *plan, int ncolumns, const char *name)
{
	for (int i = 0; i < ncolumns; i++)
	{
		if (strcmp(NameStr(plan->columns[i].name), name) == 0)
			return plan->columns[i].attnum;
	}
	return InvalidAttrNumber;
}

/* Finds the columns in which a built-in ledger says what was found. */
static void
OutcomeInit(LedgerPlan *plan, const Segment *seg)
{
	OutcomeAttrs *outcome = &plan->outcome;

	/* usage_event has no role of its own, but says who the actor is */
	for (int i = 0; plan->humans_only && i < seg->ncolumns; i++)
	{
		if (strcmp(NameStr(plan->columns[i].name), "actor_type") == 0 &&
			plan->columns[i].type == TEXTOID)
			outcome->actor_type = plan->columns[i].attnum;
	}
	if (seg->role != ROLE_LLM_CALL && seg->role != ROLE_LLM_CONTENT)
		return;
	outcome->masking_status = AttrOf(plan, seg->ncolumns, "masking_status");
	outcome->masking_version = AttrOf(plan, seg->ncolumns, "masking_version");
	outcome->pii_found = AttrOf(plan, seg->ncolumns, "pii_found");
	outcome->pii_counts = AttrOf(plan, seg->ncolumns, "pii_counts");
	outcome->data_class = AttrOf(plan, seg->ncolumns, "data_class");
	outcome->call_id = AttrOf(plan, seg->ncolumns,
							  seg->role == ROLE_LLM_CALL ? "id" : "call_id");
	outcome->environment = AttrOf(plan, seg->ncolumns, "environment");
	outcome->organization_id = AttrOf(plan, seg->ncolumns, "organization_id");
	outcome->request_id = AttrOf(plan, seg->ncolumns, "request_id");
	outcome->service_name = AttrOf(plan, seg->ncolumns, "service_name");
	if (seg->role != ROLE_LLM_CONTENT)
		return;
	outcome->body = AttrOf(plan, seg->ncolumns, "body");
	outcome->body_digest = AttrOf(plan, seg->ncolumns, "body_digest");
}

/*
 * masking_version: that of the scanner, and when what is configured last
 * changed; sql/38_masking_history.sql says what it stands for.
 */
static char *
MakeVersion(TimestampTz changed)
{
	char		when[32];
	pg_time_t	time;

	if (TIMESTAMP_NOT_FINITE(changed))
		return psprintf("%d", MASK_VERSION);
	time = timestamptz_to_time_t(changed);
	pg_strftime(when, sizeof(when), "%Y%m%dT%H%M%S", pg_gmtime(&time));
	return psprintf("%d-%s.%06dZ", MASK_VERSION, when,
					(int) (changed % USECS_PER_SEC));
}

/* The rules and dictionaries that are for each field. */
static void
FindRules(LedgerPlan *plan, const Segment *seg)
{
	plan->rules = RulesCurrent();
	for (int i = 0; i < plan->nfields; i++)
	{
		FieldPlan  *field = &plan->fields[i];

		if (!field->fixed)
			field->rules = RulesForColumn(plan->rules, seg->ledger_id,
										  NameStr(field->name));
		field->terms &= RulesHaveTerms(plan->rules);
	}
}

/* Builds the plan in the current context. */
static void
PlanBuildFor(LedgerPlan *plan, const Segment *seg)
{
	PlanBuild	build = {plan, seg, DT_NOBEGIN};
	ScanKeyData key;
	pg_uuid_t	ledger_id;

	plan->natts = seg->natts;
	plan->nfields = 0;
	plan->humans_only = false;
	plan->columns = palloc(Max(seg->ncolumns, 1) * sizeof(LedgerColumn));
	memcpy(plan->columns, seg->columns, seg->ncolumns * sizeof(LedgerColumn));
	plan->fields = palloc(Max(seg->ncolumns, 1) * sizeof(FieldPlan));
	plan->attnums = palloc(Max(seg->ncolumns, 1) * sizeof(AttrNumber));
	for (int i = 0; i < seg->ncolumns; i++)
	{
		if (!FieldInit(&plan->fields[plan->nfields], seg, &plan->columns[i]))
			continue;
		plan->attnums[plan->nfields++] = plan->columns[i].attnum;
	}
	memcpy(ledger_id.data, seg->ledger_id, LEDGER_ID_SIZE);
	ScanKeyInit(&key, POLICY_LEDGER_ATT, BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(&ledger_id));
	ConfigScan("field_policy", &key, 1, PolicyRowRead, &build);
	OutcomeInit(plan, seg);
	EncryptFind(plan, seg);
	FindRules(plan, seg);
	plan->version = MakeVersion(Max(build.changed, RulesChanged(plan->rules)));
}

/*
 * The cached plan of a leaf, made empty if there is none.  Most often it is
 * that of the row before.
 */
static LedgerPlan *
PlanEntry(Oid relid)
{
	static LedgerPlan *plan = NULL;
	bool		found;

	if (plan != NULL && plan->relid == relid)
		return plan;
	if (plans == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(LedgerPlan);
		ctl.hcxt = CacheMemoryContext;
		plans = hash_create("llm_audit field policies", 64, &ctl,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	plan = hash_search(plans, &relid, HASH_ENTER, &found);
	if (!found)
	{
		memset(plan, 0, sizeof(*plan));
		plan->relid = relid;
	}
	return plan;
}

LedgerPlan *
PlanFor(const Segment *seg)
{
	LedgerPlan *plan = PlanEntry(seg->relid);
	LedgerPlan	fresh = {0};
	uint64		before = ConfigGeneration();
	MemoryContext old;

	if (plan->generation == before && plan->natts == seg->natts)
		return plan;

	/* built aside, so that an error leaves the old one, which is not valid */
	fresh.relid = seg->relid;
	fresh.context = AllocSetContextCreate(TopTransactionContext,
										  "llm_audit field policy",
										  ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(fresh.context);
	PlanBuildFor(&fresh, seg);
	MemoryContextSwitchTo(old);
	if (plan->context != NULL)
		MemoryContextSetParent(plan->context, TopTransactionContext);
	MemoryContextSetParent(fresh.context, CacheMemoryContext);
	fresh.generation = before;
	*plan = fresh;
	return plan;
}
