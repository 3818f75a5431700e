-- The access log: which relations are sensitive, and the workers that write
-- it.  The tables access_log and access_record are in 30_tables.sql, with the
-- other built-in ledgers.

CREATE TABLE llm_audit.sensitive_relation (
	schema_name name NOT NULL,
	relation_name name NOT NULL,
	sensitive boolean NOT NULL,
	needs_reason boolean NOT NULL,
	PRIMARY KEY (schema_name, relation_name)
);
COMMENT ON TABLE llm_audit.sensitive_relation IS
	'tables whose reads are recorded, beside ledgers, and ledgers that differ from the rule: a built-in ledger is recorded and needs a reason, an enrolled one is recorded';
COMMENT ON COLUMN llm_audit.sensitive_relation.schema_name IS 'schema of the table';
COMMENT ON COLUMN llm_audit.sensitive_relation.relation_name IS
	'name of the table; of a partitioned one its root';
COMMENT ON COLUMN llm_audit.sensitive_relation.sensitive IS
	'each statement that reads it is recorded before its first row';
COMMENT ON COLUMN llm_audit.sensitive_relation.needs_reason IS
	'and refused without llm_audit.reason';
CREATE TRIGGER llm_audit_config AFTER INSERT OR UPDATE OR DELETE
	ON llm_audit.sensitive_relation FOR EACH ROW
	EXECUTE FUNCTION llm_audit.config_changed();
ALTER TABLE llm_audit.sensitive_relation ENABLE ALWAYS TRIGGER llm_audit_config;
SELECT pg_catalog.pg_extension_config_dump('llm_audit.sensitive_relation', '');

CREATE FUNCTION llm_audit.set_sensitive(relation regclass, sensitive boolean,
		needs_reason boolean, reason text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	c pg_catalog.pg_class;
	schema name;
BEGIN
	PERFORM llm_audit.require_superuser();
	SELECT * INTO c FROM pg_catalog.pg_class WHERE oid = relation;
	IF NOT FOUND OR c.relkind NOT IN ('r', 'p') OR c.relispartition THEN
		RAISE EXCEPTION 'only a table, or the root of a partitioned one, can be sensitive'
			USING ERRCODE = 'wrong_object_type',
				HINT = 'Reads through views are recorded as reads of the tables below.';
	ELSIF sensitive IS NULL OR needs_reason IS NULL THEN
		RAISE EXCEPTION 'sensitive and needs_reason must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	PERFORM llm_audit.require_reason(reason, 'change which reads are recorded');
	schema := (SELECT nspname FROM pg_catalog.pg_namespace WHERE oid = c.relnamespace);
	INSERT INTO llm_audit.sensitive_relation VALUES (schema, c.relname, sensitive, needs_reason)
		ON CONFLICT ON CONSTRAINT sensitive_relation_pkey DO UPDATE
		SET sensitive = EXCLUDED.sensitive, needs_reason = EXCLUDED.needs_reason;
	PERFORM llm_audit.record_own_event('sensitivity.changed', 'table',
		format('%I.%I', schema, c.relname), reason,
		jsonb_build_object('sensitive', sensitive, 'needs_reason', needs_reason));
END
$$;
COMMENT ON FUNCTION llm_audit.set_sensitive(regclass, boolean, boolean, text) IS
	'says whether reads of a table are recorded, and refused without llm_audit.reason; from the next statement on, in all sessions; recorded as high-risk';
REVOKE EXECUTE ON FUNCTION llm_audit.set_sensitive(regclass, boolean, boolean, text)
	FROM PUBLIC;

-- segment_event says when segments were made and closed, nothing of what is
-- in them.  Whoever has changed its row keeps it.
CREATE FUNCTION llm_audit.install_sensitivity() RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
	INSERT INTO llm_audit.sensitive_relation VALUES ('llm_audit', 'segment_event', false, false)
		ON CONFLICT DO NOTHING
$$;
COMMENT ON FUNCTION llm_audit.install_sensitivity() IS
	'adds what differs from the rule for built-in ledgers; part of setup()';
REVOKE EXECUTE ON FUNCTION llm_audit.install_sensitivity() FROM PUBLIC;

CREATE FUNCTION llm_audit.access_status()
	RETURNS TABLE (database name, state text, worker_pid int, pending int,
		recorded bigint, commits bigint, failed bigint, lost_logins bigint,
		paused_until timestamptz, last_error text)
	LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 4
	AS 'MODULE_PATHNAME', 'llm_audit_access_status';
COMMENT ON FUNCTION llm_audit.access_status() IS
	'the access writer of each database in llm_audit.databases: state (absent: no such database, starting, running, paused), records waiting, records and commits since the start of the server, records that could not be written, logins that were not recorded, SQLSTATE of its last error; no rows if the library is not preloaded';
REVOKE EXECUTE ON FUNCTION llm_audit.access_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.access_status()
	TO llm_audit_security, llm_audit_auditor, llm_audit_admin;

CREATE FUNCTION llm_audit.pause_workers(duration interval) RETURNS int
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_pause_workers';
COMMENT ON FUNCTION llm_audit.pause_workers(interval) IS
	'lets the workers of llm_audit go of this database for so long (at most a day; 0 ends a pause), so that it can be renamed, dropped or used as a template; sensitive reads are refused meanwhile; returns how many workers have gone; for superusers';
REVOKE EXECUTE ON FUNCTION llm_audit.pause_workers(interval) FROM PUBLIC;
