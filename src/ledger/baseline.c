/*
 * baseline.c
 *	  Chains what verify compares the catalogs and the registry with.
 *
 * What the extension installed, and which number each column of a ledger has,
 * stands in tables that a superuser can write to.  So it is said in
 * segment_event too, once: by functions that find it out for themselves.  What
 * a recorded command changes of a ledger is said there in full, since verify
 * takes no more for known than what the command has made.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "ledger/ledger.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(llm_audit_append_columns);
PG_FUNCTION_INFO_V1(llm_audit_append_definition);
PG_FUNCTION_INFO_V1(llm_audit_append_installed);

/* An event about a ledger as a whole stands with its first segment. */
#define FACTS_INSERT \
	"INSERT INTO llm_audit.segment_event (environment, event, ledger," \
	" ledger_id, segment, leaf, lower, upper, is_default, facts, actor)" \
	" SELECT coalesce(nullif(s.environment, ''), (SELECT coalesce(min(name)" \
	" FILTER (WHERE name = 'prod'), min(name)) FROM llm_audit.environment)), "
#define FACTS_VALUES \
	", format('%I.%I', l.schema_name, l.relation_name), l.ledger_id," \
	" s.segment, format('%I.%I', s.schema_name, s.relation_name), s.lower," \
	" s.upper, s.is_default, f.facts, session_user" \
	" FROM llm_audit.ledger l JOIN llm_audit.ledger_segment s USING (ledger_id)"
#define FACTS_FIRST \
	" s.segment = (SELECT min(x.segment) FROM llm_audit.ledger_segment x" \
	" WHERE x.ledger_id = l.ledger_id)"

/* Columns of a ledger that no event has named yet. */
static const char columns_insert[] =
FACTS_INSERT "'columns'" FACTS_VALUES
" CROSS JOIN LATERAL (SELECT array_agg(n.fact ORDER BY k.column_number) AS facts"
"  FROM llm_audit.ledger_column k"
"  CROSS JOIN LATERAL llm_audit.column_fact(k) AS n (fact)"
"  WHERE k.ledger_id = l.ledger_id AND NOT EXISTS (SELECT"
"   FROM llm_audit.segment_event e WHERE e.ledger_id = k.ledger_id"
"   AND e.event = 'columns' AND n.fact = ANY (e.facts))) f"
" WHERE f.facts IS NOT NULL AND" FACTS_FIRST " AND l.ledger_id = ";

/* What a ledger was made with, if no event says it yet. */
static const char definition_insert[] =
FACTS_INSERT "'definition'" FACTS_VALUES
" CROSS JOIN LATERAL (SELECT array_agg(d.fact ORDER BY d.kind, d.name) AS facts"
"  FROM llm_audit.current_definition(format('%I.%I', l.schema_name,"
"   l.relation_name)::regclass) d"
/* the functions of the extension say these */
"  WHERE NOT (l.builtin AND d.kind IN ('check', 'policy', 'row security'))) f"
" WHERE" FACTS_FIRST " AND NOT EXISTS (SELECT FROM llm_audit.segment_event e"
"  WHERE e.event = 'definition' AND e.ledger_id = l.ledger_id)"
" AND l.ledger_id = ";

/*
 * What is different after a command, and what is not there any more; comes
 * after changed_with.  A subscriber's segment_event is what its publisher
 * writes.
 */
static const char changed_insert[] =
FACTS_INSERT "'changed'" FACTS_VALUES
" JOIN command c ON c.schema_name = l.schema_name AND c.relation_name = l.relation_name"
" CROSS JOIN LATERAL (SELECT array_agg(x.fact ORDER BY x.fact) AS facts FROM ("
"  SELECT a FROM unnest(c.after) a EXCEPT SELECT b FROM unnest(c.before) b"
"  UNION ALL"
"  SELECT jsonb_build_array(b::jsonb -> 0, b::jsonb -> 1)::text"
"  FROM unnest(c.before) b WHERE NOT EXISTS (SELECT FROM unnest(c.after) a"
"   WHERE a::jsonb -> 0 = b::jsonb -> 0 AND a::jsonb -> 1 = b::jsonb -> 1)) x (fact)) f"
" WHERE f.facts IS NOT NULL AND" FACTS_FIRST
" AND NOT EXISTS (SELECT FROM pg_catalog.pg_subscription s WHERE s.subdbid ="
"  (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database()))";

/* The ledger, and its facts before and after the command. */
static const char changed_with[] =
"WITH command AS (SELECT %s::name AS schema_name, %s::name AS relation_name,"
" %s::text[] AS before, %s::text[] AS after) ";

/* What this version installed on this server, if no event says it yet. */
static const char installed_insert[] =
FACTS_INSERT "'installed'" FACTS_VALUES
" CROSS JOIN LATERAL (SELECT llm_audit.baseline() AS facts) f"
" WHERE l.schema_name = 'llm_audit' AND l.relation_name = 'segment_event'"
" AND" FACTS_FIRST " AND NOT EXISTS (SELECT FROM llm_audit.segment_event e"
"  WHERE e.event = 'installed' AND e.facts[1:2] = f.facts[1:2])";

/* Appends what a statement finds; true if that was anything. */
static bool
AppendFacts(const char *function, const char *sql)
{
	bool		appended;

	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function %s", function)));
	SPI_connect();
	if (PermitRun(PERMIT_SEGMENT_EVENT, sql) < 0)
		elog(ERROR, "could not append to segment_event");
	appended = SPI_processed > 0;
	SPI_finish();
	return appended;
}

/* Appends what a statement that ends with a ledger's id finds. */
static bool
AppendFactsOf(const char *function, const char *sql, Datum ledger_id)
{
	char	   *id = DatumGetCString(DirectFunctionCall1(uuid_out, ledger_id));

	return AppendFacts(function, psprintf("%s%s", sql, quote_literal_cstr(id)));
}

/*
 * llm_audit.append_columns(ledger_id uuid) -> boolean
 *		Appends the numbers, names and types of columns that the ledger's
 *		events do not have yet; false if they have all.
 */
Datum
llm_audit_append_columns(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(AppendFactsOf("append_columns", columns_insert,
								 PG_GETARG_DATUM(0)));
}

/*
 * llm_audit.append_definition(ledger_id uuid) -> boolean
 *		Appends what decides which rows the ledger takes and shows, as it is;
 *		false if an event has it: the first one counts.
 */
Datum
llm_audit_append_definition(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(AppendFactsOf("append_definition", definition_insert,
								 PG_GETARG_DATUM(0)));
}

/*
 * llm_audit.append_installed() -> boolean
 *		Appends what this version of llm_audit installed on this server;
 *		false if an event says it: the first one counts.
 */
Datum
llm_audit_append_installed(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(AppendFacts("append_installed", installed_insert));
}

/* ---------------- what commands change ---------------- */

/*
 * The facts of a ledger as the catalogs have them now, whatever the
 * transaction's snapshot: the text of an array.  Locks nothing.
 */
char *
DefinitionOf(Oid root)
{
	MemoryContext context = CurrentMemoryContext;
	FormerUser	former;
	char	   *facts;

	BecomeSuperuser(&former);
	SPI_connect();
	PushActiveSnapshot(GetLatestSnapshot());
	if (SPI_execute(psprintf("SELECT ARRAY(SELECT d.fact"
							 " FROM llm_audit.current_definition('%u') d)", root),
					true, 0) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not read the definition of a ledger");
	facts = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[0],
													  SPI_tuptable->tupdesc, 1));
	PopActiveSnapshot();
	SPI_finish();
	BecomeFormer(&former);
	return facts;
}

/* True if segment_event takes rows: not in the middle of a restore. */
static bool
EventsAreKept(void)
{
	Oid			relid = get_relname_relid("segment_event",
										  get_namespace_oid(LLM_AUDIT_SCHEMA, true));

	return OidIsValid(relid) &&
		OidIsValid(get_trigger_oid(relid, "llm_audit_insert", true));
}

/* Appends the event; it is new, also where old rows are restored. */
static void
AppendChanged(const char *sql)
{
	bool		restore = llm_audit_restore;
	FormerUser	former;

	BecomeSuperuser(&former);
	PG_TRY();
	{
		llm_audit_restore = false;
		(void) AppendFacts("append_changed", sql);
	}
	PG_FINALLY();
	{
		llm_audit_restore = restore;
	}
	PG_END_TRY();
	BecomeFormer(&former);
}

/*
 * Appends what is different from before, in the transaction of the command that
 * has changed it.
 */
void
DefinitionChanged(Oid root, const char *before)
{
	char	   *name = get_rel_name(root);
	char	   *after;
	StringInfoData sql;

	CommandCounterIncrement();
	if (name == NULL || !EventsAreKept())
		return;
	after = DefinitionOf(root);
	if (strcmp(before, after) == 0)
		return;
	initStringInfo(&sql);
	appendStringInfo(&sql, changed_with,
					 quote_literal_cstr(get_namespace_name(get_rel_namespace(root))),
					 quote_literal_cstr(name), quote_literal_cstr(before),
					 quote_literal_cstr(after));
	appendStringInfoString(&sql, changed_insert);
	AppendChanged(sql.data);
}
