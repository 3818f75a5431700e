\echo Use "CREATE EXTENSION llm_audit" to load this file. \quit

-- A plain CREATE SCHEMA, to fail where the schema exists already: whoever
-- owned a schema made beforehand could drop everything in it.
CREATE SCHEMA llm_audit;
COMMENT ON SCHEMA llm_audit IS
	'append-only, hash-chained audit trail for LLM gateways';
GRANT USAGE ON SCHEMA llm_audit TO PUBLIC;

-- Until the end of this script, everybody may call what it does not revoke,
-- wherever ALTER DEFAULT PRIVILEGES has taken that away: views, defaults and
-- checks of rows call functions as whoever reads or writes.
ALTER DEFAULT PRIVILEGES IN SCHEMA llm_audit GRANT EXECUTE ON FUNCTIONS TO PUBLIC;

DO $$
BEGIN
	IF pg_catalog.getdatabaseencoding() <> 'UTF8' THEN
		RAISE EXCEPTION 'llm_audit needs a database with encoding UTF8'
			USING ERRCODE = 'feature_not_supported',
				HINT = 'Create the database with ENCODING ''UTF8'' TEMPLATE template0.';
	END IF;
END
$$;
