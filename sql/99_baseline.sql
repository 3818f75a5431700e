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

-- The digests say nothing about who may call what: GRANT does, and is
-- compared with what is built in.
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
			FROM llm_audit.installed_object o)]
$$;
COMMENT ON FUNCTION llm_audit.baseline() IS
	'version of llm_audit, of the server, and digests of installed_function and installed_object, as segment_event has them of the installation';
REVOKE EXECUTE ON FUNCTION llm_audit.baseline() FROM PUBLIC;

CREATE FUNCTION llm_audit.record_installed_functions() RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
	DELETE FROM llm_audit.installed_function;
	INSERT INTO llm_audit.installed_function
		SELECT signature, kind, digest FROM llm_audit.current_function();
$$;
COMMENT ON FUNCTION llm_audit.record_installed_functions() IS
	'notes the functions as they are; the last statement of every install and upgrade script';
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

SELECT llm_audit.record_installed_functions();
