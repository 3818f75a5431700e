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

SELECT llm_audit.record_installed_functions();
