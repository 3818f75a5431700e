/*
 * verify_registry.c
 *	  Checks of the registry against what llm_audit makes.
 *
 * Like those of verify_catalog.c, each is a query that returns what differs:
 * root of the ledger (or NULL), number of the segment (or NULL), what is
 * wrong.  The registry is ordinary tables, and a superuser can write to them;
 * what decides who may write receipts, and which value a column's number
 * stands for, is known without them.
 */
#include "postgres.h"

#include "ledger/verify.h"

/* Columns that rows are not hashed with, and so have no number. */
#define UNHASHED \
"('chain_lane', 'chain_seq', 'prev_hash', 'row_hash', 'salt', 'erased'," \
" 'known_values')"

/*
 * Built-in ledgers are registered as what they are, and nothing else is; the
 * triggers that keep the registry so are there; a column known_values is one
 * that masking can read.
 */
const char *const verify_registry_sql =
" SELECT c.oid, NULL, format('llm_audit.%I is not registered as the built-in ledger that it is',"
"  b.relation_name)"
" FROM llm_audit.builtin_ledgers() b"
" JOIN pg_class c ON c.relname = b.relation_name AND c.relkind IN ('r', 'p')"
"  AND c.relnamespace = to_regnamespace('llm_audit')"
" LEFT JOIN llm_audit.ledger l ON l.relation_name = b.relation_name"
"  AND l.schema_name = 'llm_audit'"
" WHERE (l.role, l.builtin, l.partitioned) IS DISTINCT FROM (b.role, true, true)"
" UNION ALL"
" SELECT c.oid, NULL, format('%I.%I is registered as a built-in ledger, which it is not',"
"  l.schema_name, l.relation_name)"
" FROM llm_audit.ledger l"
" LEFT JOIN pg_class c ON c.relname = l.relation_name"
"  AND c.relnamespace = to_regnamespace(quote_ident(l.schema_name))"
" WHERE (l.builtin OR l.role <> 'plain') AND NOT (l.schema_name = 'llm_audit'"
"  AND l.relation_name IN (SELECT b.relation_name"
"   FROM llm_audit.builtin_ledgers() b))"
" UNION ALL"
" SELECT NULL, NULL, format('trigger llm_audit_identity of llm_audit.%s is gone or was changed',"
"  w.relation)"
" FROM (VALUES ('ledger', 'segment_width'), ('ledger_column', 'erasable'))"
"  w (relation, free)"
" WHERE NOT EXISTS (SELECT FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
"  WHERE c.relname = w.relation AND t.tgname = 'llm_audit_identity'"
"  AND c.relnamespace = to_regnamespace('llm_audit')"
"  AND t.tgenabled = 'A' AND t.tgtype = 19"
"  AND t.tgfoid = to_regprocedure('llm_audit.guard_identity()')"
"  AND t.tgargs = convert_to(w.free, 'UTF8') || '\\x00')"
" UNION ALL"
" SELECT NULL, NULL, format('trigger llm_audit_record of llm_audit.%s is gone or was changed',"
"  w.relation)"
" FROM unnest(ARRAY['environment', 'ledger', 'ledger_environment',"
"  'ledger_column', 'action_type', 'content_recording', 'call_source',"
"  'role_scope', 'sensitive_relation']) w (relation)"
" WHERE NOT EXISTS (SELECT FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
"  WHERE c.relname = w.relation AND t.tgname = 'llm_audit_record'"
"  AND c.relnamespace = to_regnamespace('llm_audit')"
"  AND t.tgenabled = 'A' AND t.tgtype = 29"
"  AND t.tgfoid = to_regprocedure('llm_audit.record_configuration()'))"
" UNION ALL"
" SELECT c.oid, NULL, format('column known_values of %s is not one for values to mask',"
"  c.oid::regclass)"
" FROM llm_audit.ledger l"
" JOIN pg_class c ON c.relname = l.relation_name"
"  AND c.relnamespace = to_regnamespace(quote_ident(l.schema_name))"
" JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'known_values'"
"  AND NOT a.attisdropped"
" WHERE a.atttypid <> 'text[]'::regtype OR a.attgenerated <> ''";

/*
 * The columns of built-in ledgers have the numbers in which builtin_columns()
 * lists them: two that had changed names, in the catalogs and in the registry,
 * would still verify row by row, and each value would read as the other.
 */
const char *const verify_columns_sql =
" WITH wanted AS (SELECT l.ledger_id, l.relation_name, b.column_name,"
"  row_number() OVER (PARTITION BY l.ledger_id ORDER BY b.n) AS number"
" FROM llm_audit.ledger l"
" JOIN llm_audit.builtin_ledgers() x USING (relation_name)"
" CROSS JOIN llm_audit.builtin_columns() WITH ORDINALITY"
"  AS b (relation_name, column_name, definition, description, n)"
" WHERE l.schema_name = 'llm_audit'"
" AND coalesce(b.relation_name, l.relation_name) = l.relation_name"
" AND b.column_name NOT IN " UNHASHED ")"
" SELECT c.oid, NULL, format('column number %s of llm_audit.%I is registered as %s and not as %s',"
"  w.number, w.relation_name, coalesce(quote_ident(k.column_name), 'nothing'),"
"  quote_ident(w.column_name))"
" FROM wanted w"
" LEFT JOIN pg_class c ON c.relname = w.relation_name"
"  AND c.relnamespace = to_regnamespace('llm_audit')"
" LEFT JOIN llm_audit.ledger_column k ON k.ledger_id = w.ledger_id"
"  AND k.column_number = w.number"
" WHERE k.column_name IS DISTINCT FROM w.column_name";

/* The columns of each ledger have the numbers that its events gave them. */
const char *const verify_numbers_sql =
" WITH said AS (SELECT e.ledger_id, f.fact FROM llm_audit.segment_event e"
"  CROSS JOIN LATERAL unnest(e.facts) AS f (fact) WHERE e.event = 'columns'),"
" registered AS (SELECT k.ledger_id, llm_audit.column_fact(k) AS fact"
"  FROM llm_audit.ledger_column k)"
" SELECT c.oid, NULL, format('column \"%s\" (number, type, name) of %I.%I %s',"
"  coalesce(r.fact, d.fact), l.schema_name, l.relation_name,"
"  CASE WHEN d.fact IS NULL THEN 'is registered, but no segment_event gave it that number'"
"  ELSE 'is not registered any more' END)"
" FROM said d FULL JOIN registered r ON r.ledger_id = d.ledger_id"
"  AND r.fact = d.fact"
" JOIN llm_audit.ledger l ON l.ledger_id = coalesce(r.ledger_id, d.ledger_id)"
" LEFT JOIN pg_class c ON c.relname = l.relation_name"
"  AND c.relnamespace = to_regnamespace(quote_ident(l.schema_name))"
" WHERE d.fact IS NULL OR r.fact IS NULL";

/*
 * What functions, views, policies and grants are compared with is what setup() said
 * of this version first, on this major version of the server or, until setup()
 * has run there, on the one that the views were made on.
 */
const char *const verify_baseline_sql =
" WITH first AS (SELECT DISTINCT ON (e.facts[1], e.facts[2]) e.facts"
"  FROM llm_audit.segment_event e WHERE e.event = 'installed'"
"  ORDER BY e.facts[1], e.facts[2], e.recorded_at, e.id),"
" now AS (SELECT llm_audit.baseline() AS facts),"
" of_version AS (SELECT f.facts FROM first f JOIN now n ON n.facts[1] = f.facts[1])"
" SELECT NULL, NULL, w.why FROM now n CROSS JOIN LATERAL (VALUES"
"  (NOT EXISTS (SELECT FROM of_version),"
"   'no segment_event says what this version of llm_audit installed: run llm_audit.setup()'),"
"  (EXISTS (SELECT FROM of_version) AND NOT EXISTS (SELECT FROM of_version f"
"   WHERE f.facts[3] = n.facts[3]),"
"   'installed_function is not what setup() found installed'),"
"  (EXISTS (SELECT FROM of_version) AND NOT EXISTS (SELECT FROM of_version f"
"   WHERE f.facts[4] = n.facts[4]),"
"   'installed_object is not what setup() found installed'),"
"  (EXISTS (SELECT FROM of_version) AND NOT EXISTS (SELECT FROM of_version f"
"   WHERE f.facts[5] = n.facts[5]),"
"   'installed_grant is not what setup() found installed')) w (wrong, why)"
" WHERE w.wrong";
