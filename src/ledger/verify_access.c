/*
 * verify_access.c
 *	  Checks of who may reach what, in addition to those of verify_catalog.c.
 *
 * Like there, each is a query on the catalogs that returns what differs: root
 * of the ledger (or NULL), number of the segment (or NULL), what is wrong.
 * They lock no ledger.
 */
#include "postgres.h"

#include "ledger/verify.h"

/* What lies below the roots of ledgers: branches and leaves. */
#define BELOW_CTE \
"WITH RECURSIVE below AS (" \
" SELECT l.ledger_id, l.builtin, r.oid AS root, i.inhrelid AS oid" \
" FROM llm_audit.ledger l" \
" JOIN pg_namespace n ON n.nspname = l.schema_name" \
" JOIN pg_class r ON r.relnamespace = n.oid AND r.relname = l.relation_name" \
" JOIN pg_inherits i ON i.inhparent = r.oid" \
" UNION ALL" \
" SELECT below.ledger_id, below.builtin, below.root, i.inhrelid" \
" FROM below JOIN pg_inherits i ON i.inhparent = below.oid)," \
" leaf AS (" \
" SELECT below.*, c.relrowsecurity, c.relforcerowsecurity, c.relacl," \
"  c.relowner, s.segment" \
" FROM below JOIN pg_class c ON c.oid = below.oid" \
" JOIN pg_namespace n ON n.oid = c.relnamespace" \
" LEFT JOIN llm_audit.ledger_segment s ON s.ledger_id = below.ledger_id" \
"  AND s.schema_name = n.nspname AND s.relation_name = c.relname" \
" WHERE c.relkind IN ('r', 'p')) "

/*
 * A leaf that can be read by itself shows the rows that the policies of its
 * root hide.
 */
const char *const verify_leaves_sql = BELOW_CTE
" SELECT leaf.root, leaf.segment, format('row security of %s is not enabled and forced',"
"  leaf.oid::regclass)"
" FROM leaf WHERE NOT (relrowsecurity AND relforcerowsecurity)"
" UNION ALL"
" SELECT leaf.root, leaf.segment, format('%s has the policy %s', leaf.oid::regclass,"
"  quote_ident(p.polname))"
" FROM leaf JOIN pg_policy p ON p.polrelid = leaf.oid"
" UNION ALL"
" SELECT leaf.root, leaf.segment, format('%s on %s is granted to %s beside its ledger',"
"  x.privilege_type, leaf.oid::regclass,"
"  CASE WHEN x.grantee = 0 THEN 'PUBLIC'"
"  ELSE quote_ident(pg_get_userbyid(x.grantee)) END)"
" FROM leaf CROSS JOIN LATERAL aclexplode(leaf.relacl) x"
" WHERE leaf.builtin AND x.grantee <> leaf.relowner"
/* anybody else's is reported for whatever it is */
" AND pg_get_userbyid(x.grantee) IN ('llm_audit_writer', 'llm_audit_copier',"
"  'llm_audit_view_owner', 'llm_audit_definer')";

/*
 * Rights on the extension's own schema, tables and functions, against what its
 * script gave.  What somebody was given or lost by a GRANT or REVOKE that is an
 * admin event is no finding; the last event about a right counts.
 */
const char *const verify_grants_sql =
" WITH now AS MATERIALIZED (SELECT c.kind, c.object_name, c.grants"
"  FROM llm_audit.current_grant() c),"
" made AS MATERIALIZED (SELECT i.kind, i.object_name, i.grants"
"  FROM llm_audit.installed_grant i),"
" differs AS (SELECT n.kind, n.object_name, false AS gone, g.what"
"  FROM now n JOIN made m USING (kind, object_name)"
"  CROSS JOIN LATERAL unnest(n.grants) AS g (what)"
"  WHERE n.grants <> m.grants AND g.what <> ALL (m.grants)"
"  UNION ALL"
"  SELECT n.kind, n.object_name, true, g.what"
"  FROM now n JOIN made m USING (kind, object_name)"
"  CROSS JOIN LATERAL unnest(m.grants) AS g (what)"
"  WHERE n.grants <> m.grants AND g.what <> ALL (n.grants)),"
" event AS MATERIALIZED (SELECT e.action, e.target_type, e.target_id,"
"  e.\"after\", e.recorded_at, e.id"
"  FROM llm_audit.admin_event e"
"  WHERE e.action IN ('privilege.granted', 'privilege.revoked')),"
" asked AS (SELECT d.*, p[1] AS privilege, p[2] AS grantee"
"  FROM differs d LEFT JOIN LATERAL regexp_match(d.what,"
"   '^([A-Z]+).* TO \"?(.*?)\"?( WITH GRANT OPTION)?$') AS r (p)"
"   ON d.what !~ '^OWNER ')"
" SELECT NULL, NULL, format(CASE WHEN a.what ~ '^OWNER '"
"   THEN CASE WHEN a.gone THEN '%s of %s %s: not any more'"
"    ELSE '%s of %s %s: not when it was installed' END"
"  WHEN a.gone THEN '%s on %s %s is gone'"
"  ELSE '%s on %s %s was not given by llm_audit' END, a.what, a.kind,"
"  CASE a.kind WHEN 'schema' THEN '' ELSE 'llm_audit.' END"
"   || left(a.object_name, 90))"
" FROM asked a WHERE coalesce((SELECT e.action FROM event e"
"   WHERE (e.target_type = 'object' AND e.target_id IN ("
"     CASE a.kind WHEN 'schema' THEN 'llm_audit'"
"      WHEN 'table' THEN 'llm_audit.' || quote_ident(a.object_name)"
"      ELSE 'llm_audit.' || split_part(a.object_name, '(', 1) || '()' END,"
"     CASE a.kind WHEN 'table' THEN 'llm_audit.*'"
"      WHEN 'function' THEN 'llm_audit.*()' END)"
"    AND e.\"after\" -> 'grantees' ? a.grantee"
"    AND e.\"after\" -> 'privileges' ?| ARRAY[lower(a.privilege), 'ALL'])"
"   OR (e.target_type = 'owned' AND e.target_id = a.grantee)"
"   ORDER BY e.recorded_at DESC, e.id DESC LIMIT 1), '')"
"  <> CASE WHEN a.gone THEN 'privilege.revoked' ELSE 'privilege.granted' END"
" UNION ALL"
" SELECT NULL, NULL, format('table llm_audit.%s is gone', m.object_name)"
" FROM made m WHERE m.kind = 'table' AND NOT EXISTS (SELECT FROM now n"
"  WHERE n.kind = m.kind AND n.object_name = m.object_name)"
" UNION ALL"
" SELECT NULL, NULL, format('table llm_audit.%s was not installed by the extension',"
"  n.object_name)"
" FROM now n WHERE n.kind = 'table' AND NOT EXISTS (SELECT FROM made m"
"  WHERE n.kind = m.kind AND n.object_name = m.object_name)"
" UNION ALL"
" SELECT NULL, NULL, format('SELECT on view %s is not granted to %s any more',"
"  b.view_name, quote_ident(r))"
" FROM llm_audit.builtin_views() b CROSS JOIN LATERAL unnest(b.readers) r"
" JOIN pg_class c ON c.relname = b.view_name"
"  AND c.relnamespace = to_regnamespace('llm_audit')"
" WHERE NOT EXISTS (SELECT FROM aclexplode(c.relacl) g"
"  WHERE g.privilege_type = 'SELECT' AND pg_get_userbyid(g.grantee) = r)"
" AND NOT EXISTS (SELECT FROM event e WHERE e.action = 'privilege.revoked'"
"  AND (e.target_id = r OR (e.target_id IN ('llm_audit.*', 'llm_audit.' ||"
"   quote_ident(b.view_name)) AND e.\"after\" -> 'grantees' ? r::text)))";

/* What readiness() looks at too: without these ledgers are guarded less. */
const char *const verify_preload_sql =
" SELECT NULL, NULL, CASE r.item WHEN 'library preloaded'"
"  THEN 'llm_audit is not in shared_preload_libraries: ledgers are guarded by triggers alone, and no read is recorded'"
"  ELSE format('database %I is not in llm_audit.databases: no read is recorded',"
"   current_database()) END"
" FROM llm_audit.readiness_settings() r"
" WHERE NOT r.ok AND r.item = CASE WHEN EXISTS (SELECT"
"   FROM llm_audit.readiness_settings() p"
"   WHERE p.item = 'library preloaded' AND NOT p.ok)"
"  THEN 'library preloaded' ELSE 'reads recorded' END";
