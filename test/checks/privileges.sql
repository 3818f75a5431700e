-- The privilege matrix: what every role of llm_audit may do to every object in
-- its schema, as the catalogs have it.  docs/privileges.md is made of it.
\set QUIET on
\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on
SET search_path = pg_catalog, pg_temp;

CREATE TEMP TABLE r (n int, role name, short text);
INSERT INTO r VALUES (0, 'public', 'everybody'), (1, 'llm_audit_writer', 'writer'),
	(2, 'llm_audit_member', 'member'), (3, 'llm_audit_oncall', 'oncall'),
	(4, 'llm_audit_developer', 'developer'), (5, 'llm_audit_service_owner', 'service owner'),
	(6, 'llm_audit_security', 'security'), (7, 'llm_audit_compliance', 'compliance'),
	(8, 'llm_audit_auditor', 'auditor'), (9, 'llm_audit_approver', 'approver'),
	(10, 'llm_audit_admin', 'admin'), (11, 'llm_audit_view_owner', 'view owner'),
	(12, 'llm_audit_definer', 'definer'), (13, 'llm_audit_copier', 'copier');

-- A cell: the first letters of what is allowed; - for nothing.
CREATE FUNCTION pg_temp.table_cell(role name, relation oid) RETURNS text LANGUAGE sql AS $$
	SELECT coalesce(string_agg(letter, '' ORDER BY n), '·')
		FROM (VALUES (1, 'SELECT', 'r'), (2, 'INSERT', 'a'), (3, 'UPDATE', 'w'), (4, 'DELETE', 'd'),
			(5, 'TRUNCATE', 'D'), (6, 'REFERENCES', 'x'), (7, 'TRIGGER', 't')) AS v (n, privilege, letter)
		WHERE has_table_privilege(role, relation, privilege)
			OR privilege IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES')
				AND has_any_column_privilege(role, relation, privilege)
$$;

CREATE FUNCTION pg_temp.row_of(label text, cells text[]) RETURNS text LANGUAGE sql AS
	$$ SELECT format('| `%s` | %s |', label, array_to_string(cells, ' | ')) $$;

CREATE TEMP VIEW heading AS
	SELECT '| | ' || string_agg(short, ' | ' ORDER BY n) || E' |\n|---|' || string_agg('---|', '' ORDER BY n) AS text FROM r;

CREATE FUNCTION pg_temp.tables(wanted text) RETURNS text LANGUAGE sql AS $$
	SELECT (SELECT text FROM heading) || E'\n' || string_agg(pg_temp.row_of(x.label, x.cells), E'\n' ORDER BY x.label COLLATE "C")
		FROM (SELECT c.relname || CASE WHEN c.relkind = 'p' THEN ' and partitions' ELSE '' END AS label,
				ARRAY(SELECT pg_temp.table_cell(r.role, c.oid) FROM r ORDER BY r.n) AS cells
			FROM pg_class c
			WHERE c.relnamespace = 'llm_audit'::regnamespace AND NOT c.relispartition
				AND CASE wanted WHEN 'views' THEN c.relkind = 'v'
					WHEN 'ledgers' THEN c.relkind = 'p' ELSE c.relkind = 'r' END) AS x
$$;

\qecho '## Views'
\qecho
SELECT pg_temp.tables('views');
\qecho
\qecho '## Ledgers'
\qecho
SELECT pg_temp.tables('ledgers');
\qecho
\qecho 'Partitions on which anybody but the owner may do anything:'
\qecho
SELECT coalesce(string_agg(format('- `%s`: %s', c.relname, r.short), E'\n'), 'none.')
	FROM pg_class c, r WHERE c.relispartition AND c.relkind IN ('r', 'p')
		AND c.relnamespace = 'llm_audit'::regnamespace AND pg_temp.table_cell(r.role, c.oid) <> '·';
\qecho
\qecho '## Configuration and state'
\qecho
SELECT pg_temp.tables('configuration');
\qecho
\qecho '## Functions'
\qecho
\qecho 'Those that only the owner may execute are not listed. *Runs as*: whose rights'
\qecho 'the function has; empty: its caller''s.'
\qecho
SELECT '| | runs as | ' || string_agg(short, ' | ' ORDER BY n) || E' |\n|---|---|' || string_agg('---|', '' ORDER BY n) FROM r;
SELECT string_agg(pg_temp.row_of(x.label, x.cells), E'\n' ORDER BY x.label COLLATE "C")
	FROM (SELECT format('%s(%s)', p.proname, pg_get_function_identity_arguments(p.oid)) AS label,
			(CASE WHEN NOT p.prosecdef THEN '' WHEN o.rolsuper THEN 'superuser' ELSE o.rolname END)::text
				|| ARRAY(SELECT CASE WHEN has_function_privilege(r.role, p.oid, 'EXECUTE') THEN 'X' ELSE '·' END
					FROM r ORDER BY r.n) AS cells
		FROM pg_proc p JOIN pg_roles o ON o.oid = p.proowner
		WHERE p.pronamespace = 'llm_audit'::regnamespace
			AND EXISTS (SELECT FROM r WHERE r.role NOT IN (o.rolname, 'llm_audit_view_owner', 'llm_audit_definer', 'llm_audit_copier')
				AND has_function_privilege(r.role, p.oid, 'EXECUTE'))) AS x;
\qecho
\qecho '## Types, schema and everything else'
\qecho
SELECT (SELECT text FROM heading) || E'\n' || string_agg(pg_temp.row_of(x.label, x.cells), E'\n' ORDER BY x.label COLLATE "C")
	FROM (SELECT 'type ' || t.typname AS label,
			ARRAY(SELECT CASE WHEN has_type_privilege(r.role, t.oid, 'USAGE') THEN 'U' ELSE '·' END FROM r ORDER BY r.n) AS cells
		FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid AND c.relkind = 'c'
		WHERE t.typnamespace = 'llm_audit'::regnamespace
		UNION ALL
		SELECT 'schema llm_audit',
			ARRAY(SELECT CASE WHEN has_schema_privilege(r.role, 'llm_audit', 'USAGE') THEN 'U' ELSE '' END
				|| CASE WHEN has_schema_privilege(r.role, 'llm_audit', 'CREATE') THEN 'C' ELSE '' END FROM r ORDER BY r.n)
		UNION ALL
		SELECT 'sequence ' || c.relname,
			ARRAY(SELECT CASE WHEN has_sequence_privilege(r.role, c.oid, 'USAGE') THEN 'U' ELSE '·' END FROM r ORDER BY r.n)
		FROM pg_class c WHERE c.relkind = 'S' AND c.relnamespace = 'llm_audit'::regnamespace) AS x;
\qecho
\qecho '## Row security'
\qecho
\qecho 'Enabled and forced on every built-in ledger; the policies, by what they say:'
\qecho
\qecho '| policy | for | to | on | rows |'
\qecho '|---|---|---|---|---|'
SELECT string_agg(format('| `%s` | %s | %s | %s | `%s` |', x.policyname, x.cmd, x.roles, x.tables, x.condition), E'\n'
		ORDER BY x.policyname COLLATE "C", x.tables COLLATE "C")
	FROM (SELECT p.policyname, p.cmd, array_to_string(p.roles, ', ') AS roles,
			string_agg(p.tablename, ', ' ORDER BY p.tablename COLLATE "C") AS tables,
			replace(regexp_replace(coalesce(p.qual, p.with_check), '\s+', ' ', 'g'), '|', '\|') AS condition
		FROM pg_policies p WHERE p.schemaname = 'llm_audit' GROUP BY 1, 2, 3, 5) AS x;
