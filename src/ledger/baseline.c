/*
 * baseline.c
 *	  Chains what verify compares the catalogs and the registry with.
 *
 * What the extension installed, and which number each column of a ledger has,
 * stands in tables that a superuser can write to.  So it is said in
 * segment_event too, once: by functions that find it out for themselves.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "ledger/ledger.h"
#include "miscadmin.h"
#include "utils/builtins.h"
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
"   l.relation_name)::regclass) d) f"
" WHERE" FACTS_FIRST " AND NOT EXISTS (SELECT FROM llm_audit.segment_event e"
"  WHERE e.event = 'definition' AND e.ledger_id = l.ledger_id)"
" AND l.ledger_id = ";

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
 *		Appends the CHECK constraints, policies and row security of the
 *		ledger's root as they are; false if an event has them: the first one
 *		counts.
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
