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
