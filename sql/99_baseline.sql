-- What the extension installed, for verify() to compare the catalogs with.
-- This part comes last: it has to see all the others.

CREATE TABLE llm_audit.installed_function (
	signature text PRIMARY KEY,
	kind text NOT NULL,
	digest bytea NOT NULL
);
COMMENT ON TABLE llm_audit.installed_function IS
	'functions as the extension''s script made them; verify() reports any that differ';
COMMENT ON COLUMN llm_audit.installed_function.signature IS
	'name and types of the arguments';
COMMENT ON COLUMN llm_audit.installed_function.kind IS
	'f: function, p: procedure';
COMMENT ON COLUMN llm_audit.installed_function.digest IS
	'SHA-256 of language, source, library, result, owner''s power and options';

CREATE FUNCTION llm_audit.current_function(OUT signature text, OUT kind text,
		OUT digest bytea) RETURNS SETOF record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
-- defaults of arguments are shown by these
SET DateStyle = 'ISO'
SET IntervalStyle = 'postgres'
SET TimeZone = 'UTC'
SET bytea_output = 'hex'
SET extra_float_digits = 1
SET quote_all_identifiers = off
SET standard_conforming_strings = on
AS $$
	SELECT p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
		p.prokind::text,
		sha256(convert_to(jsonb_build_array(l.lanname, p.prosrc, p.probin,
			pg_get_function_result(p.oid), p.prosecdef, p.proisstrict,
			p.provolatile, p.proparallel, p.proleakproof, p.proretset,
			p.proconfig, pg_get_function_arguments(p.oid),
			r.rolsuper OR r.rolname = 'llm_audit_definer')::text, 'UTF8'))
	FROM pg_proc p
	JOIN pg_language l ON l.oid = p.prolang
	JOIN pg_roles r ON r.oid = p.proowner
	WHERE p.pronamespace = to_regnamespace('llm_audit')
$$;
COMMENT ON FUNCTION llm_audit.current_function() IS
	'functions in schema llm_audit as they are now, with a digest of all that decides what they do';
REVOKE EXECUTE ON FUNCTION llm_audit.current_function() FROM PUBLIC;

-- Who may do what: rights that DBAs give to roles of their own are not what the
-- extension installs, and those of owners and superusers are no grants.
CREATE TABLE llm_audit.installed_grant (
	kind text NOT NULL,
	object_name text NOT NULL,
	grants text[] NOT NULL,
	PRIMARY KEY (kind, object_name)
);
COMMENT ON TABLE llm_audit.installed_grant IS
	'rights on the extension''s schema, tables and functions as its script gave them; verify() reports any that differ';
COMMENT ON COLUMN llm_audit.installed_grant.kind IS
	'schema, table or function';
COMMENT ON COLUMN llm_audit.installed_grant.object_name IS
	'name of the schema or table, or name and types of arguments';
COMMENT ON COLUMN llm_audit.installed_grant.grants IS
	'each right and who has it, e.g. SELECT TO llm_audit_admin; of a schema or table also who owns it';

CREATE FUNCTION llm_audit.current_grant(OUT kind text, OUT object_name text,
		OUT grants text[]) RETURNS SETOF record
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
	WITH object (kind, object_name, owner, acl, columns) AS (
		SELECT 'function', p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
			p.proowner, coalesce(p.proacl, acldefault('f', p.proowner)), NULL::oid
		FROM pg_proc p WHERE p.pronamespace = to_regnamespace('llm_audit')
		UNION ALL
		SELECT 'table', c.relname::text, c.relowner, c.relacl, c.oid
		FROM pg_class c WHERE c.relnamespace = to_regnamespace('llm_audit')
			AND c.relkind IN ('r', 'v', 'm', 'S', 'p', 'f')
			AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
				AND d.objid = c.oid AND d.refclassid = 'pg_extension'::regclass
				AND d.deptype = 'e')
		UNION ALL
		SELECT 'schema', n.nspname::text, n.nspowner, n.nspacl, NULL
		FROM pg_namespace n WHERE n.nspname = 'llm_audit'
	)
	SELECT o.kind, o.object_name, ARRAY(
		SELECT format('%s TO %s%s', x.privilege_type,
			CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END,
			CASE WHEN bool_or(x.is_grantable) THEN ' WITH GRANT OPTION' ELSE '' END)
		FROM (SELECT g.privilege_type, g.grantee, g.is_grantable FROM aclexplode(o.acl) g
			UNION ALL
			SELECT format('%s (%I)', g.privilege_type, a.attname), g.grantee, g.is_grantable
			FROM pg_attribute a CROSS JOIN LATERAL aclexplode(a.attacl) g
			WHERE a.attrelid = o.columns AND a.attacl IS NOT NULL) x
		WHERE x.grantee <> o.owner
			-- who has every right anyway
			AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = x.grantee AND r.rolsuper)
		GROUP BY x.privilege_type, x.grantee
		UNION ALL
		-- the owner of a function is in its digest
		SELECT 'OWNER ' || CASE WHEN r.rolsuper THEN 'superuser' ELSE quote_ident(r.rolname) END
		FROM pg_roles r WHERE r.oid = o.owner AND o.kind <> 'function'
		ORDER BY 1)
	FROM object o
$$;
COMMENT ON FUNCTION llm_audit.current_grant() IS
	'rights on the extension''s schema, tables and functions as they are now, those of the owner and of superusers left out';
REVOKE EXECUTE ON FUNCTION llm_audit.current_grant() FROM PUBLIC;

CREATE FUNCTION llm_audit.baseline() RETURNS text[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT ARRAY['version ' || (SELECT extversion FROM pg_extension WHERE extname = 'llm_audit'),
		'server ' || current_setting('server_version_num')::int / 10000,
		'functions ' || (SELECT encode(sha256(convert_to(string_agg(f.signature || ' ' || f.kind
			|| ' ' || encode(f.digest, 'hex'), ';' ORDER BY f.signature COLLATE "C"), 'UTF8')), 'hex')
			FROM llm_audit.installed_function f),
		'objects ' || (SELECT encode(sha256(convert_to(string_agg(o.kind || ' ' || o.object_name
			|| ' ' || encode(o.made_from, 'hex') || ' ' || encode(o.definition, 'hex') || ' '
			|| o.server_version, ';' ORDER BY (o.kind || ' ' || o.object_name) COLLATE "C"), 'UTF8')), 'hex')
			FROM llm_audit.installed_object o),
		'grants ' || (SELECT encode(sha256(convert_to(string_agg(g.kind || ' ' || g.object_name
			|| ' ' || g.grants::text, ';' ORDER BY (g.kind || ' ' || g.object_name) COLLATE "C"), 'UTF8')), 'hex')
			FROM llm_audit.installed_grant g)]
$$;
COMMENT ON FUNCTION llm_audit.baseline() IS
	'version of llm_audit, of the server, and digests of installed_function, installed_object and installed_grant, as segment_event has them of the installation';
REVOKE EXECUTE ON FUNCTION llm_audit.baseline() FROM PUBLIC;

CREATE FUNCTION llm_audit.record_installed_functions() RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
	DELETE FROM llm_audit.installed_function;
	INSERT INTO llm_audit.installed_function
		SELECT signature, kind, digest FROM llm_audit.current_function();
	DELETE FROM llm_audit.installed_grant;
	INSERT INTO llm_audit.installed_grant
		SELECT c.kind, c.object_name, ARRAY(SELECT g FROM unnest(c.grants) g
			WHERE g ~ '^OWNER | TO (PUBLIC|llm_audit_[a-z_]+)( WITH GRANT OPTION)?$')
		FROM llm_audit.current_grant() c;
$$;
COMMENT ON FUNCTION llm_audit.record_installed_functions() IS
	'notes the functions, and who may do what, as they are; the last statement of every install and upgrade script';
REVOKE EXECUTE ON FUNCTION llm_audit.record_installed_functions() FROM PUBLIC;

-- What ALTER DEFAULT PRIVILEGES gave away of new tables and functions is not
-- ours to give: it would be for roles that nobody thought of here.
DO $$
DECLARE
	g record;
BEGIN
	FOR g IN
		SELECT DISTINCT 'TABLE ' || c.oid::regclass AS object, x.grantee
		FROM pg_catalog.pg_class c
		CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) x
		WHERE c.relnamespace = 'llm_audit'::regnamespace AND c.relkind IN ('r', 'v')
			AND x.grantee NOT IN (c.relowner, 0)
		UNION
		SELECT 'ROUTINE ' || p.oid::regprocedure, x.grantee
		FROM pg_catalog.pg_proc p
		CROSS JOIN LATERAL pg_catalog.aclexplode(p.proacl) x
		WHERE p.pronamespace = 'llm_audit'::regnamespace
			AND x.grantee NOT IN (p.proowner, 0)
		UNION
		SELECT 'SCHEMA ' || n.nspname, x.grantee
		FROM pg_catalog.pg_namespace n
		CROSS JOIN LATERAL pg_catalog.aclexplode(n.nspacl) x
		WHERE n.nspname = 'llm_audit' AND x.grantee NOT IN (n.nspowner, 0)
	LOOP
		CONTINUE WHEN pg_catalog.pg_get_userbyid(g.grantee) LIKE 'llm\_audit\_%';
		EXECUTE pg_catalog.format('REVOKE ALL ON %s FROM %I CASCADE', g.object,
			pg_catalog.pg_get_userbyid(g.grantee));
	END LOOP;
END
$$;

ALTER DEFAULT PRIVILEGES IN SCHEMA llm_audit REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

SELECT llm_audit.record_installed_functions();
