/*
 * verify_definition.c
 *	  Checks of what decides which rows a ledger takes and shows: CHECK
 *	  constraints, row security policies, unique indexes, foreign keys,
 *	  triggers of others, defaults.
 *
 * Like those of verify_catalog.c, each is a query that returns what differs:
 * root of the ledger (or NULL), number of the segment (or NULL), what is
 * wrong.  Constraints of built-in ledgers are compared with what the
 * extension's functions say; constraints and policies of enrolled ones, and
 * all else, with what segment_event has of the day on which they were made, and
 * of recorded commands since then.  Conditions are
 * compared as the server shows them: the text that is known is read by the
 * server's own parser first, so that it makes no difference which version
 * shows it, or how often it was dumped and restored.
 */
#include "postgres.h"

#include "access/table.h"
#include "fmgr.h"
#include "ledger/verify.h"
#include "nodes/parsenodes.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(llm_audit_stored_form);

/*
 * Which ledgers are built in is known without the registry.  Of events that
 * say what a ledger was made with the first counts; of those that say what a
 * recorded command changed, the last.  Constraints can refuse rows, so no
 * command may add any.
 */
#define DEFINITION_CTE \
", ours AS MATERIALIZED (SELECT r.root, r.ledger_id, r.relation_name, r.nspname," \
"  r.relname, r.nspname = 'llm_audit' AND r.relation_name IN" \
"   (SELECT b.relation_name FROM llm_audit.builtin_ledgers() b) AS known" \
"  FROM part r WHERE r.level = 0)," \
" said AS MATERIALIZED (SELECT o.root, o.known, e.event, e.facts, e.recorded_at," \
"  e.chain_seq, e.id FROM ours o JOIN llm_audit.segment_event e USING (ledger_id)" \
"  WHERE e.event IN ('definition', 'changed'))," \
" fact AS MATERIALIZED (SELECT DISTINCT ON (x.root, u.fact::jsonb -> 0, u.fact::jsonb -> 1)" \
"   x.root, x.known, u.fact::jsonb AS f" \
"  FROM (SELECT * FROM (SELECT DISTINCT ON (d.root) d.* FROM said d" \
"    WHERE d.event = 'definition' ORDER BY d.root, d.recorded_at, d.id) d" \
"   UNION ALL SELECT c.* FROM said c WHERE c.event = 'changed') x" \
"  CROSS JOIN LATERAL unnest(x.facts) AS u (fact)" \
"  WHERE NOT (x.known AND u.fact::jsonb ->> 0 IN ('check', 'policy', 'row security'))" \
"  AND NOT (x.event = 'changed' AND u.fact::jsonb ->> 0 IN ('check', 'foreign key'))" \
"  ORDER BY x.root, u.fact::jsonb -> 0, u.fact::jsonb -> 1, x.event = 'definition'," \
"   x.recorded_at DESC, x.chain_seq DESC)"

const char *const verify_checks_sql = DEFINITION_CTE
", known AS MATERIALIZED (SELECT k.root, k.name, k.valid,"
"  llm_audit.stored_forms(k.root, k.expression) AS forms"
"  FROM (SELECT o.root, b.constraint_name AS name, true AS valid, b.expression"
"   FROM ours o JOIN llm_audit.builtin_constraints() b USING (relation_name)"
"   WHERE o.known"
"   UNION ALL"
"   SELECT f.root, f.f ->> 1, (f.f ->> 3)::boolean, f.f ->> 2"
"   FROM fact f WHERE f.f ->> 0 = 'check') k),"
" held AS MATERIALIZED (SELECT part.oid, k.conname, k.convalidated,"
"  pg_get_expr(k.conbin, k.conrelid) AS form"
"  FROM part JOIN pg_constraint k ON k.conrelid = part.oid AND k.contype = 'c')"
" SELECT part.root, part.segment, format('constraint %s of %s %s',"
"  quote_ident(k.name), part.oid::regclass,"
"  CASE WHEN h.oid IS NULL THEN 'is gone' ELSE 'was changed' END)"
" FROM part JOIN known k USING (root)"
" LEFT JOIN held h ON h.oid = part.oid AND h.conname = k.name"
" WHERE h.oid IS NULL OR h.form <> ALL (k.forms)"
" OR (k.valid AND NOT h.convalidated)"
" UNION ALL"
" SELECT part.root, part.segment, format('%s has the constraint %s, which it was not made with',"
"  part.oid::regclass, quote_ident(h.conname))"
" FROM part JOIN held h USING (oid)"
" WHERE NOT EXISTS (SELECT FROM known k WHERE k.root = part.root"
"  AND k.name = h.conname)";

/*
 * Policies on the roots of enrolled ledgers; those of built-in ones are
 * compared with what setup() made, and below a root there are none.
 */
const char *const verify_policies_sql = DEFINITION_CTE
", known AS (SELECT f.root, f.f ->> 1 AS name, (f.f) - 5 - 5 AS head,"
"  f.f ->> 5 AS qual, f.f ->> 6 AS checks"
"  FROM fact f WHERE f.f ->> 0 = 'policy' AND jsonb_array_length(f.f) > 2),"
" held AS (SELECT o.root, d.name, (d.fact::jsonb) - 5 - 5 AS head,"
"  d.fact::jsonb ->> 5 AS qual, d.fact::jsonb ->> 6 AS checks"
"  FROM ours o CROSS JOIN LATERAL llm_audit.current_definition(o.root) d"
"  WHERE NOT o.known AND d.kind = 'policy')"
" SELECT coalesce(k.root, h.root), NULL, format('policy %s of %s %s',"
"  quote_ident(coalesce(k.name, h.name)), coalesce(k.root, h.root)::regclass,"
"  CASE WHEN h.root IS NULL THEN 'is gone'"
"  WHEN k.root IS NULL THEN 'is on no record'"
"  ELSE 'was changed' END)"
" FROM known k FULL JOIN held h ON h.root = k.root AND h.name = k.name"
" WHERE h.root IS NULL OR k.root IS NULL OR h.head <> k.head"
" OR (h.qual IS NULL) <> (k.qual IS NULL)"
" OR (h.checks IS NULL) <> (k.checks IS NULL)"
" OR h.qual <> ALL (llm_audit.stored_forms(k.root, k.qual))"
" OR h.checks <> ALL (llm_audit.stored_forms(k.root, k.checks))"
" UNION ALL"
" SELECT f.root, NULL, format('row security of %s was switched off',"
"  f.root::regclass)"
" FROM fact f JOIN pg_class c ON c.oid = f.root AND f.f ->> 0 = 'row security'"
" WHERE (f.f ->> 2)::boolean AND NOT c.relrowsecurity"
" OR (f.f ->> 3)::boolean AND NOT c.relforcerowsecurity";

/*
 * An index that lets a value in only once refuses rows.  What is unique with
 * its id, or its place in a lane, is so anyway.
 */
const char *const verify_unique_sql =
" SELECT part.root, part.segment, format('%s has the unique index %s',"
"  part.oid::regclass, quote_ident(c.relname))"
" FROM part JOIN pg_index i ON i.indrelid = part.oid"
" JOIN pg_class c ON c.oid = i.indexrelid"
" CROSS JOIN LATERAL (SELECT array_agg(a.attname) AS names"
"  FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, n)"
"  JOIN pg_attribute a ON a.attrelid = part.oid AND a.attnum = k.attnum"
"  WHERE k.n <= i.indnkeyatts) k"
" WHERE i.indisexclusion OR (i.indisunique"
"  AND coalesce(NOT ('id' = ANY (k.names)"
"   OR ('chain_lane' = ANY (k.names) AND 'chain_seq' = ANY (k.names))), true))";

/*
 * What else can refuse rows or keep them from being purged, or is run by those
 * that come: foreign keys of ledgers and to ledgers, triggers of others.  That
 * a reference or a trigger is gone is no harm.  BEFORE triggers are reported
 * whatever is on record.
 */
const char *const verify_parts_sql = DEFINITION_CTE
", known AS (SELECT f.root, f.f ->> 0 AS kind, f.f ->> 1 AS name, f.f FROM fact f"
"  WHERE f.f ->> 0 IN ('foreign key', 'reference', 'trigger')"
"  AND jsonb_array_length(f.f) > 2),"
/* most have none of these, and are not asked */
" touched AS MATERIALIZED (SELECT part.root FROM part JOIN pg_constraint k"
"   ON k.conrelid = part.oid AND k.contype = 'f'"
"  UNION SELECT part.root FROM part JOIN pg_constraint k"
"   ON k.confrelid = part.oid AND k.contype = 'f'"
"  UNION SELECT part.root FROM part JOIN pg_trigger t ON t.tgrelid = part.oid"
"   AND t.tgname NOT IN ('llm_audit_insert', 'llm_audit_guard_row', 'llm_audit_guard')),"
" held AS (SELECT o.root, d.kind, d.name, d.fact::jsonb AS f"
"  FROM touched o CROSS JOIN LATERAL llm_audit.current_definition(o.root) d"
"  WHERE d.kind IN ('foreign key', 'reference', 'trigger')"
"  AND NOT (d.kind = 'trigger' AND (d.fact::jsonb ->> 3)::int & 66 <> 0))"
" SELECT root, NULL, format(CASE WHEN kind = 'reference'"
"   THEN 'foreign key %1$s, which refers to %2$s, %4$s'"
"   WHEN name ~ ' of ' THEN '%3$s %1$s %4$s' ELSE '%3$s %1$s of %2$s %4$s' END,"
"  name, root::regclass, kind,"
"  CASE WHEN h.f IS NULL THEN 'is gone' WHEN k.f IS NOT NULL THEN 'was changed'"
"  WHEN kind = 'foreign key' THEN 'is not one that it was made with'"
"  ELSE 'is on no record' END)"
" FROM known k FULL JOIN held h USING (root, kind, name)"
" WHERE h.f IS DISTINCT FROM k.f AND (h.f IS NOT NULL OR kind = 'foreign key')";

/*
 * What columns get and demand.  Writers insert into roots, whose defaults
 * count; what is NOT NULL or generated is so in each table for itself.
 */
const char *const verify_defaults_sql = DEFINITION_CTE
", known AS (SELECT f.root, f.f ->> 1 AS name, (f.f ->> 2)::boolean AS needed,"
"  f.f ->> 3 AS identity, f.f ->> 4 AS generated, f.f ->> 5 AS expression"
"  FROM fact f WHERE f.f ->> 0 = 'column' AND jsonb_array_length(f.f) > 2),"
" held AS MATERIALIZED (SELECT part.root, part.segment, part.oid, part.level,"
"  a.attname, a.attnotnull, a.attidentity, a.attgenerated,"
"  CASE WHEN part.level = 0 OR a.attgenerated <> '' THEN"
"   (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d"
"    WHERE a.atthasdef AND d.adrelid = part.oid AND d.adnum = a.attnum) END AS expression"
"  FROM part CROSS JOIN LATERAL (SELECT x.attname, x.attnum, x.attnotnull,"
"   x.attidentity, x.attgenerated, x.atthasdef FROM pg_attribute x"
"   WHERE x.attrelid = part.oid AND x.attnum > 0 AND NOT x.attisdropped OFFSET 0) a"
"  WHERE EXISTS (SELECT FROM said"
"   WHERE said.root = part.root AND said.event = 'definition')),"
/* below the root it is the root's that counts, so that one change is one finding */
" judged AS (SELECT h.*, CASE WHEN h.attnotnull <> w.needed"
/* which is reported as such */
"   THEN CASE WHEN h.attnotnull OR h.attname NOT IN ('id', 'recorded_at', 'recorded_by',"
"    'chain_lane', 'chain_seq', 'prev_hash', 'row_hash') THEN 'NOT NULL' END"
"   WHEN h.attgenerated <> w.generated THEN 'generation'"
"   WHEN h.level = 0 AND h.attidentity <> coalesce(k.identity, '') THEN 'identity'"
"   WHEN h.level > 0 AND h.attgenerated = '' THEN NULL"
"   WHEN h.expression IS NOT DISTINCT FROM w.expression THEN NULL"
"   WHEN h.expression = ANY (llm_audit.stored_forms(h.root, w.expression)) THEN NULL"
"   WHEN h.attgenerated <> '' THEN 'generation' ELSE 'default' END AS what"
"  FROM held h LEFT JOIN known k ON k.root = h.root AND k.name = h.attname"
"  LEFT JOIN (SELECT * FROM held WHERE level = 0) r ON r.oid = h.root"
"   AND r.attname = h.attname AND h.level > 0"
"  CROSS JOIN LATERAL (SELECT coalesce(r.attnotnull, k.needed, false) AS needed,"
"   coalesce(r.attgenerated::text, k.generated, '') AS generated,"
"   CASE WHEN r.oid IS NULL THEN k.expression ELSE r.expression END AS expression) w)"
" SELECT root, segment, format('%s of column %s of %s was changed', what,"
"  quote_ident(attname), oid::regclass)"
" FROM judged WHERE what IS NOT NULL"
" UNION ALL"
" SELECT o.root, NULL, format('no segment_event says what %s was made with',"
"  o.root::regclass)"
" FROM ours o WHERE NOT EXISTS (SELECT FROM said"
"  WHERE said.root = o.root AND said.event = 'definition')";

/* What a text is as an expression on the relation's columns. */
static Node *
ParseCondition(Relation rel, const char *expression)
{
	ParseState *pstate = make_parsestate(NULL);
	List	   *parsed = raw_parser(psprintf("SELECT %s", expression),
									RAW_PARSE_DEFAULT);
	ParseNamespaceItem *nsitem;
	SelectStmt *select;
	Node	   *condition;

	select = list_length(parsed) == 1 ?
		(SelectStmt *) linitial_node(RawStmt, parsed)->stmt : NULL;
	if (select == NULL || !IsA(select, SelectStmt) ||
		list_length(select->targetList) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("a condition cannot be read")));
	nsitem = addRangeTableEntryForRelation(pstate, rel, AccessShareLock, NULL,
										   false, true);
	addNSItemToQuery(pstate, nsitem, false, true, true);
	condition = transformExpr(pstate,
							  linitial_node(ResTarget, select->targetList)->val,
							  EXPR_KIND_POLICY);
	assign_expr_collations(pstate, condition);
	free_parsestate(pstate);
	return condition;
}

/*
 * llm_audit.stored_form(relation regclass, expression text) -> text
 *		A condition or another expression on the relation's columns as the
 *		server shows it when it has been stored.  Raises what the parser raises.
 *		Takes and releases AccessShareLock on the relation.
 */
Datum
llm_audit_stored_form(PG_FUNCTION_ARGS)
{
	Relation	rel = table_open(PG_GETARG_OID(0), AccessShareLock);
	Node	   *condition = ParseCondition(rel,
										   text_to_cstring(PG_GETARG_TEXT_PP(1)));
	Datum		stored = CStringGetTextDatum(nodeToString(condition));

	table_close(rel, AccessShareLock);
	return DirectFunctionCall2(pg_get_expr, stored, PG_GETARG_DATUM(0));
}
