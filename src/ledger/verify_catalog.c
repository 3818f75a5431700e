/*
 * verify_catalog.c
 *	  Whether the catalogs still are what setup() and create_ledger() made.
 *
 * Each check is one query that returns what differs: root of the ledger (or
 * NULL), number of the segment (or NULL), what is wrong.  They look at
 * catalogs only and lock no ledger.  Nothing here proves that the server
 * itself is honest: a superuser can replace verify too.  What counts is that
 * the ordinary ways of switching a ledger's protection off leave a trace.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "ledger/verify.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

/*
 * All relations of ledgers: roots, branches, leaves.  A condition that leaves
 * one ledger of them can stand between the two parts.
 */
static const char *const roots_sql =
"WITH RECURSIVE rel AS ("
" SELECT l.ledger_id, l.builtin, l.relation_name, r.oid AS root, r.oid,"
"  0 AS level"
" FROM llm_audit.ledger l"
" JOIN pg_namespace n ON n.nspname = l.schema_name"
" JOIN pg_class r ON r.relnamespace = n.oid AND r.relname = l.relation_name";

static const char *const parts_sql =
" UNION ALL"
" SELECT rel.ledger_id, rel.builtin, rel.relation_name, rel.root, i.inhrelid,"
"  rel.level + 1"
" FROM rel JOIN pg_inherits i ON i.inhparent = rel.oid),"
" part AS ("
" SELECT rel.*, c.relkind, c.relname, n.nspname, c.relowner, c.relacl,"
"  c.relpersistence, c.relam, c.relreplident, c.relrowsecurity,"
"  rel.level = 1 AND c.relkind = 'r'"
"   AND c.relname = rel.relation_name || '_unknown' AS is_unknown,"
"  s.segment"
" FROM rel JOIN pg_class c ON c.oid = rel.oid"
" JOIN pg_namespace n ON n.oid = c.relnamespace"
" LEFT JOIN llm_audit.ledger_segment s ON s.ledger_id = rel.ledger_id"
"  AND s.schema_name = n.nspname AND s.relation_name = c.relname) ";

static const char *const triggers_sql =
", wanted (name, function, type) AS (VALUES"
" ('llm_audit_insert', to_regprocedure('llm_audit.ledger_insert()'), 7),"
" ('llm_audit_guard_row', to_regprocedure('llm_audit.ledger_guard_row()'), 27),"
" ('llm_audit_guard', to_regprocedure('llm_audit.ledger_guard()'), 58))"
" SELECT part.root, part.segment, format('trigger %s of %s %s', w.name,"
"  part.oid::regclass, CASE WHEN t.oid IS NULL THEN 'is gone'"
"  WHEN t.tgenabled <> 'A' THEN 'is not enabled always'"
"  ELSE 'was changed' END)"
" FROM part CROSS JOIN wanted w"
" LEFT JOIN pg_trigger t ON t.tgrelid = part.oid AND t.tgname = w.name"
" WHERE t.oid IS NULL OR t.tgenabled <> 'A'"
" OR t.tgfoid IS DISTINCT FROM w.function OR t.tgtype <> w.type"
" OR t.tgqual IS NOT NULL OR t.tgnargs <> 0 OR t.tgattr::text <> ''"
" UNION ALL"
" SELECT part.root, part.segment, format('%s has another BEFORE trigger, %s',"
"  part.oid::regclass, quote_ident(t.tgname))"
" FROM part JOIN pg_trigger t ON t.tgrelid = part.oid"
" WHERE t.tgtype & 66 <> 0"
" AND t.tgname NOT IN (SELECT name FROM wanted)"
" UNION ALL"
" SELECT part.root, part.segment, format('%s has the rule %s',"
"  part.oid::regclass, quote_ident(r.rulename))"
" FROM part JOIN pg_rewrite r ON r.ev_class = part.oid";

static const char *const relations_sql =
" SELECT root, segment, format('%s does not belong to llm_audit_owner',"
"  oid::regclass)"
" FROM part WHERE relowner IS DISTINCT FROM to_regrole('llm_audit_owner')"
" UNION ALL"
" SELECT root, segment, format('%s is not permanent', oid::regclass)"
" FROM part WHERE relpersistence <> 'p'"
" UNION ALL"
" SELECT root, segment, format('%s does not use access method heap',"
"  oid::regclass)"
" FROM part WHERE relkind = 'r'"
" AND relam <> (SELECT oid FROM pg_am WHERE amname = 'heap')"
" UNION ALL"
" SELECT root, segment, format('%s is not identified by its lane index in replication',"
"  oid::regclass)"
" FROM part WHERE relkind = 'r' AND NOT is_unknown AND (relreplident <> 'i'"
"  OR NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = part.oid"
"   AND i.indisreplident AND i.indisvalid AND i.indisunique"
"   AND ARRAY(SELECT a.attname FROM unnest(i.indkey) WITH ORDINALITY k (n, o)"
"    JOIN pg_attribute a ON a.attrelid = part.oid AND a.attnum = k.n"
"    ORDER BY k.o) = ARRAY['chain_lane', 'chain_seq']::name[]))"
" UNION ALL"
" SELECT root, NULL, format('%s lies below the ledger but is not a registered segment',"
"  oid::regclass)"
" FROM part WHERE relkind NOT IN ('p', 'I') AND segment IS NULL"
" AND NOT is_unknown"
" UNION ALL"
/* who reads that one reads these rows, beside their own rights and policies */
" SELECT part.root, part.segment, format('%s inherits from %s', part.oid::regclass,"
"  i.inhparent::regclass)"
" FROM part JOIN pg_inherits i ON i.inhrelid = part.oid"
" WHERE part.relkind <> 'I' AND NOT EXISTS (SELECT FROM part p"
"  WHERE p.oid = i.inhparent AND p.root = part.root)"
" UNION ALL"
" SELECT NULL, NULL, format('%s has the triggers of a ledger but is not registered',"
"  t.tgrelid::regclass)"
" FROM pg_trigger t WHERE t.tgname = 'llm_audit_insert'"
" AND t.tgfoid = to_regprocedure('llm_audit.ledger_insert()')"
" AND t.tgparentid = 0"
" AND NOT EXISTS (SELECT FROM part WHERE part.oid = t.tgrelid)"
" UNION ALL"
" SELECT root, NULL, format('%s should always be empty but holds data',"
"  oid::regclass)"
" FROM part WHERE is_unknown AND pg_relation_size(oid) > 0"
" UNION ALL"
" SELECT r.oid, s.segment, format('%I.%I is not a partition of its ledger',"
"  s.schema_name, s.relation_name)"
" FROM llm_audit.ledger_segment s JOIN llm_audit.ledger l USING (ledger_id)"
" JOIN pg_namespace n ON n.nspname = l.schema_name"
" JOIN pg_class r ON r.relnamespace = n.oid AND r.relname = l.relation_name"
" WHERE s.state <> 'purged'"
" AND to_regclass(format('%I.%I', s.schema_name, s.relation_name)) IS NOT NULL"
" AND NOT EXISTS (SELECT FROM part WHERE part.root = r.oid"
"  AND part.segment = s.segment)";

/* The attributes are fetched through their index, once, not by scanning all. */
static const char *const columns_sql =
", att AS MATERIALIZED (SELECT part.root, part.segment, part.oid AS relation,"
"  part.ledger_id, a.*"
" FROM part CROSS JOIN LATERAL (SELECT x.attname, x.attnum, x.atttypid,"
"  x.attisdropped, x.attgenerated, x.atthasmissing, x.attnotnull"
"  FROM pg_attribute x WHERE x.attrelid = part.oid OFFSET 0) a)"
" SELECT part.root, part.segment, format('column %s of %s %s',"
"  quote_ident(k.column_name), part.oid::regclass,"
"  CASE WHEN a.attname IS NULL THEN 'is gone'"
"  ELSE 'does not have its registered type' END)"
" FROM part JOIN llm_audit.ledger_column k USING (ledger_id)"
" LEFT JOIN att a ON a.relation = part.oid"
"  AND a.attname = k.column_name AND a.attnum > 0 AND NOT a.attisdropped"
" LEFT JOIN pg_type y ON y.oid = a.atttypid AND y.typtype <> 'd'"
" WHERE a.attname IS NULL OR y.oid IS DISTINCT FROM k.type_oid AND k.type_oid <>"
"  coalesce((WITH RECURSIVE up AS (SELECT t.oid, t.typtype, t.typbasetype"
"   FROM pg_type t WHERE t.oid = a.atttypid UNION ALL"
"   SELECT t.oid, t.typtype, t.typbasetype FROM pg_type t"
"   JOIN up ON up.typtype = 'd' AND t.oid = up.typbasetype)"
"   SELECT up.oid FROM up WHERE up.typtype <> 'd'), 0)"
" UNION ALL"
" SELECT a.root, a.segment, format('column %s of %s is not registered',"
"  quote_ident(a.attname), a.relation::regclass)"
" FROM att a WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''"
" AND a.attname NOT IN ('chain_lane', 'chain_seq', 'prev_hash', 'row_hash',"
"  'salt', 'erased', 'known_values')"
" AND NOT EXISTS (SELECT FROM llm_audit.ledger_column k"
"  WHERE k.ledger_id = a.ledger_id AND k.column_name = a.attname)"
" UNION ALL"
" SELECT a.root, a.segment,"
"  format('column %s of %s shows a default in rows that were never hashed with it',"
"  quote_ident(a.attname), a.relation::regclass)"
" FROM att a WHERE a.atthasmissing"
" UNION ALL"
" SELECT a.root, a.segment, format('column %s of %s may be NULL',"
"  quote_ident(a.attname), a.relation::regclass)"
" FROM att a WHERE a.attname IN ('id', 'recorded_at', 'recorded_by', 'chain_lane',"
"  'chain_seq', 'prev_hash', 'row_hash') AND NOT a.attnotnull";

/* Where values of erasable columns would outlive their erasure. */
static const char *const copies_sql =
", erasable AS (SELECT part.root, part.oid, part.segment, a.attnum,"
"  a.attname, a.attstattarget"
" FROM part JOIN llm_audit.ledger_column k USING (ledger_id)"
" JOIN pg_attribute a ON a.attrelid = part.oid AND a.attname = k.column_name"
" WHERE k.erasable AND NOT part.is_unknown)"
" SELECT root, segment, format('the statistics target of erasable column %s of %s is not 0',"
"  quote_ident(attname), oid::regclass)"
" FROM erasable WHERE attstattarget IS DISTINCT FROM 0"
" UNION ALL"
" SELECT root, segment, format('pg_statistic has values of erasable column %s of %s',"
"  quote_ident(attname), oid::regclass)"
" FROM erasable WHERE EXISTS (SELECT FROM pg_statistic s"
"  WHERE s.starelid = erasable.oid AND s.staattnum = erasable.attnum)"
" UNION ALL"
" SELECT e.root, e.segment, format('%s has values of erasable column %s of %s',"
"  pg_describe_object(d.classid, d.objid, 0), quote_ident(e.attname),"
"  e.oid::regclass)"
" FROM erasable e JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass"
"  AND d.refobjid = e.oid AND d.refobjsubid = e.attnum"
" LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid"
" WHERE c.relkind IN ('i', 'I')"
/* a hash index holds hash codes of 32 bits, not values */
"  AND c.relam <> (SELECT oid FROM pg_am WHERE amname = 'hash')"
" OR d.classid = 'pg_statistic_ext'::regclass";

/*
 * Who may do what.  The owner of a table that became a ledger keeps SELECT
 * and INSERT, and a DBA may grant these; nothing else can be right.
 */
static const char *const grants_sql =
" SELECT part.root, part.segment, format('%s on %s is granted to %s',"
"  g.privilege_type, part.oid::regclass,"
"  CASE WHEN g.grantee = 0 THEN 'PUBLIC'"
"  ELSE quote_ident(pg_get_userbyid(g.grantee)) END)"
" FROM part CROSS JOIN LATERAL (SELECT x.grantee, x.privilege_type"
"  FROM aclexplode(part.relacl) x UNION"
"  SELECT x.grantee, x.privilege_type FROM pg_attribute a"
"  CROSS JOIN LATERAL aclexplode(a.attacl) x WHERE a.attrelid = part.oid) g"
" LEFT JOIN pg_roles r ON r.oid = g.grantee"
" WHERE g.grantee <> part.relowner"
" AND r.rolname IS DISTINCT FROM 'llm_audit_owner'"
" AND (g.privilege_type NOT IN ('SELECT', 'INSERT') OR g.grantee = 0"
"  OR (part.builtin AND (r.rolname, g.privilege_type) NOT IN ("
"   ('llm_audit_writer', 'INSERT'), ('llm_audit_copier', 'INSERT'),"
"   ('llm_audit_view_owner', 'SELECT'),"
"   ('llm_audit_definer', 'SELECT'), ('llm_audit_definer', 'INSERT'))))"
" UNION ALL"
" SELECT NULL, NULL, format('role %s has a power that it must not have',"
"  rolname)"
" FROM pg_roles WHERE rolname LIKE 'llm\\_audit\\_%'"
" AND (rolsuper OR rolcanlogin OR rolcreaterole OR rolcreatedb"
"  OR rolreplication OR rolbypassrls <> (rolname = 'llm_audit_copier'))"
" AND rolname IN ('llm_audit_owner', 'llm_audit_view_owner',"
"  'llm_audit_definer', 'llm_audit_copier', 'llm_audit_writer', 'llm_audit_member',"
"  'llm_audit_oncall', 'llm_audit_developer', 'llm_audit_service_owner',"
"  'llm_audit_security', 'llm_audit_compliance', 'llm_audit_auditor',"
"  'llm_audit_approver', 'llm_audit_admin')"
" UNION ALL"
" SELECT NULL, NULL, format('role %s has the member %s', r.rolname,"
"  quote_ident(pg_get_userbyid(m.member)))"
" FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid"
" WHERE r.rolname IN ('llm_audit_owner', 'llm_audit_view_owner',"
"  'llm_audit_definer', 'llm_audit_copier')"
" AND NOT (SELECT rolsuper FROM pg_roles x WHERE x.oid = m.member)";

static const char *const configuration_sql =
" SELECT NULL, NULL, format('configuration table llm_audit.%s %s', c.relname,"
"  CASE WHEN t.oid IS NULL THEN 'has no trigger llm_audit_config'"
"  ELSE 'has a trigger llm_audit_config that was changed' END)"
" FROM unnest(ARRAY['environment', 'ledger', 'ledger_environment',"
"  'ledger_column', 'ledger_segment', 'action_type', 'content_recording',"
"  'call_source', 'retention_policy', 'legal_hold', 'field_policy',"
"  'original_recipient', 'mask_rule', 'dictionary',"
"  'sensitive_relation', 'role_scope']) w (name)"
" JOIN pg_class c ON c.relname = w.name"
"  AND c.relnamespace = to_regnamespace('llm_audit')"
" LEFT JOIN pg_trigger t ON t.tgrelid = c.oid"
"  AND t.tgname = 'llm_audit_config'"
" WHERE t.oid IS NULL OR t.tgenabled <> 'A' OR t.tgtype <> 29"
" OR t.tgfoid IS DISTINCT FROM to_regprocedure('llm_audit.config_changed()')"
" UNION ALL"
" SELECT NULL, NULL, format('trigger %s of llm_audit.%s is gone or was changed',"
"  w.name, w.relation)"
" FROM (VALUES ('retention_policy', 'llm_audit_compliance', 31),"
"  ('retention_policy', 'llm_audit_compliance_truncate', 34),"
"  ('retention_policy', 'llm_audit_record', 29),"
"  ('field_policy', 'llm_audit_compliance', 31),"
"  ('ledger', 'llm_audit_compliance', 27),"
"  ('legal_hold', 'llm_audit_record', 21),"
"  ('ledger_segment', 'llm_audit_compliance', 27),"
"  ('ledger_segment', 'llm_audit_compliance_truncate', 34),"
"  ('legal_hold', 'llm_audit_hold', 27),"
"  ('legal_hold', 'llm_audit_hold_truncate', 34),"
"  ('archive_file', 'llm_audit_kept', 58),"
"  ('seen_key', 'llm_audit_kept', 58)) w (relation, name, type)"
" WHERE NOT EXISTS (SELECT FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
"  WHERE c.relname = w.relation AND t.tgname = w.name"
"  AND c.relnamespace = to_regnamespace('llm_audit')"
"  AND t.tgenabled = 'A' AND t.tgtype = w.type)"
" UNION ALL"
" SELECT NULL, NULL, 'event trigger llm_audit_ddl_end is gone or was changed'"
" WHERE NOT EXISTS (SELECT FROM pg_event_trigger"
"  WHERE evtname = 'llm_audit_ddl_end' AND evtenabled = 'A'"
"  AND evtevent = 'ddl_command_end'"
"  AND evtfoid = to_regprocedure('llm_audit.on_ddl_end()'))";

/*
 * Row security and views, which decide who sees whose rows.  What setup()
 * made them of and how the catalogs showed them then is in installed_object;
 * another major version of the server may show them differently.
 */
static const char *const access_sql =
" SELECT c.oid, NULL, format('row security of llm_audit.%I is not enabled and forced',"
"  b.relation_name)"
" FROM llm_audit.builtin_ledgers() b"
" JOIN pg_class c ON c.relname = b.relation_name"
"  AND c.relnamespace = to_regnamespace('llm_audit')"
" WHERE NOT (c.relrowsecurity AND c.relforcerowsecurity)"
" UNION ALL"
" SELECT NULL, NULL, format('%s %s', coalesce(o.kind || ' ' || o.object_name,"
"   i.kind || ' ' || i.object_name),"
"  CASE WHEN o.object_name IS NULL THEN 'is gone'"
"  WHEN i.object_name IS NULL THEN 'was not made by llm_audit'"
"  ELSE 'is not what llm_audit made' END)"
" FROM llm_audit.current_object() o"
" FULL JOIN llm_audit.installed_object i USING (kind, object_name)"
" WHERE i.object_name IS NULL OR o.object_name IS NULL"
" OR (i.definition <> o.definition"
"  AND i.server_version = current_setting('server_version_num')::int / 10000)"
" UNION ALL"
" SELECT NULL, NULL, format('%s on view %s is granted to %s', x.privilege_type,"
"  b.view_name, CASE WHEN x.grantee = 0 THEN 'PUBLIC'"
"  ELSE quote_ident(pg_get_userbyid(x.grantee)) END)"
" FROM llm_audit.builtin_views() b"
" JOIN pg_class c ON c.relname = b.view_name"
"  AND c.relnamespace = to_regnamespace('llm_audit')"
" CROSS JOIN LATERAL (SELECT g.grantee, g.privilege_type"
"  FROM aclexplode(c.relacl) g UNION"
"  SELECT g.grantee, g.privilege_type FROM pg_attribute a"
"  CROSS JOIN LATERAL aclexplode(a.attacl) g WHERE a.attrelid = c.oid) x"
" WHERE x.grantee <> c.relowner AND (x.privilege_type <> 'SELECT'"
"  OR x.grantee = 0 OR pg_get_userbyid(x.grantee) <> ALL (b.readers))";

/* Functions against what the extension script installed. */
static const char *const functions_sql =
" SELECT NULL, NULL, format('%s llm_audit.%s %s',"
"  CASE WHEN coalesce(f.kind, i.kind) = 'p' THEN 'procedure'"
"  ELSE 'function' END, coalesce(f.signature, i.signature),"
"  CASE WHEN f.signature IS NULL THEN 'is gone'"
"  WHEN i.signature IS NULL THEN 'was not installed by the extension'"
"  ELSE 'is not what the extension installed' END)"
" FROM llm_audit.current_function() f"
" FULL JOIN llm_audit.installed_function i ON i.signature = f.signature"
" WHERE i.digest IS DISTINCT FROM f.digest";

/* Visitor: values are root, segment, what is wrong. */
static void
DriftVisit(VerifyRun *run, const char *const *values, void *arg)
{
	Oid			root = values[0] == NULL ? InvalidOid : (Oid) strtoul(values[0], NULL, 10);
	int64		segment = values[1] == NULL ? -1 : strtoll(values[1], NULL, 10);

	if (OidIsValid(root) && OidIsValid(run->scope.ledger) &&
		root != run->scope.ledger)
		return;
	if (run->scope.has_segment && segment >= 0 &&
		segment != run->scope.segment)
		return;
	RunReportObject(run, FINDING_CATALOG_DRIFT, root, segment, "%s", values[2]);
}

/* Which relations a check is about. */
typedef enum DriftScope
{
	DRIFT_NO_LEDGER,
	DRIFT_EVENTS,				/* likewise, and it reads ledgers of ours */
	DRIFT_ONE_LEDGER,			/* of one ledger, if one is verified */
	DRIFT_ONE_LEDGER_EVENTS,	/* likewise, and it reads segment_event */
	DRIFT_ALL_LEDGERS			/* it looks for what belongs to none */
} DriftScope;

typedef struct DriftCheck
{
	DriftScope	scope;
	bool		alone;			/* it calls stored_forms(), which cannot run
								 * beside workers: it catches errors */
	const char *const *sql;
} DriftCheck;

static const DriftCheck checks[CATALOG_CHECKS] = {
	{DRIFT_ONE_LEDGER, false, &triggers_sql},
	{DRIFT_ALL_LEDGERS, false, &relations_sql},
	{DRIFT_ONE_LEDGER, false, &columns_sql},
	{DRIFT_ONE_LEDGER_EVENTS, true, &verify_checks_sql},
	{DRIFT_ONE_LEDGER_EVENTS, true, &verify_policies_sql},
	{DRIFT_ONE_LEDGER, false, &verify_unique_sql},
	{DRIFT_ONE_LEDGER_EVENTS, false, &verify_parts_sql},
	{DRIFT_ONE_LEDGER_EVENTS, true, &verify_defaults_sql},
	{DRIFT_ONE_LEDGER, false, &copies_sql},
	{DRIFT_ONE_LEDGER, false, &grants_sql},
	{DRIFT_NO_LEDGER, false, &configuration_sql},
	{DRIFT_NO_LEDGER, false, &access_sql},
	{DRIFT_NO_LEDGER, false, &functions_sql},
	{DRIFT_EVENTS, false, &verify_grants_sql},
	{DRIFT_NO_LEDGER, false, &verify_preload_sql},
	{DRIFT_NO_LEDGER, false, &verify_leaves_sql},
	{DRIFT_NO_LEDGER, false, &verify_registry_sql},
	{DRIFT_NO_LEDGER, false, &verify_columns_sql},
	{DRIFT_EVENTS, false, &verify_numbers_sql},
	{DRIFT_EVENTS, false, &verify_baseline_sql}
};

typedef struct DriftAttempt
{
	VerifyRun  *run;
	const DriftCheck *check;
} DriftAttempt;

/* Runs one check. */
static void
DriftRun(VerifyRun *run, const DriftCheck *check)
{
	Oid			ledger = run->scope.ledger;
	StringInfoData sql;

	if ((check->scope == DRIFT_EVENTS ||
		 check->scope == DRIFT_ONE_LEDGER_EVENTS) &&
		!OidIsValid(get_relname_relid("segment_event",
									  get_namespace_oid(LLM_AUDIT_SCHEMA, true))))
		return;					/* that setup() has not run is said elsewhere */
	initStringInfo(&sql);
	if (check->scope >= DRIFT_ONE_LEDGER)
	{
		appendStringInfoString(&sql, roots_sql);
		if (check->scope != DRIFT_ALL_LEDGERS && OidIsValid(ledger))
			appendStringInfo(&sql, " WHERE r.oid = %u", ledger);
		appendStringInfoString(&sql, parts_sql);
	}
	appendStringInfoString(&sql, *check->sql);
	VerifyQuery(run, sql.data, DriftVisit, NULL);
	pfree(sql.data);
}

/* What VerifyAttempt runs: one check. */
static void
DriftWork(void *arg)
{
	DriftAttempt *attempt = arg;

	DriftRun(attempt->run, attempt->check);
}

/* Does a check that has not been done; one that cannot run is a finding too. */
static void
CheckAttempt(VerifyRun *run, int i, const DriftCheck *check)
{
	DriftAttempt attempt = {.run = run,.check = check};
	const char *why;

	if (run->checked[i])
		return;
	why = VerifyAttempt(DriftWork, &attempt);
	if (why != NULL)
	{
		UnitSourceReset(&run->own);
		RunReportObject(run, FINDING_CATALOG_DRIFT, InvalidOid, -1,
						"the catalogs cannot be checked: %s", why);
	}
	UnitSourceCommit(&run->own, -1);
	run->checked[i] = true;
}

void
VerifyCatalogAlone(VerifyRun *run)
{
	for (int i = 0; i < CATALOG_CHECKS; i++)
	{
		if (checks[i].alone)
			CheckAttempt(run, i, &checks[i]);
	}
}

void
VerifyCatalogBeside(VerifyRun *run)
{
	if (run->checked_beside)
		return;
	run->checked_beside = true;
	for (int i = 0; i < CATALOG_CHECKS; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (run->checked[i])
			continue;
		DriftRun(run, &checks[i]);
		UnitSourceCommit(&run->own, -1);
		run->checked[i] = true;
	}
}

void
VerifyCatalogRest(VerifyRun *run)
{
	for (int i = 0; i < CATALOG_CHECKS; i++)
		CheckAttempt(run, i, &checks[i]);
}
