-- Verification, for auditors.  The functions read ledgers by direct scans, so
-- the right to execute them is all that is checked.

CREATE FUNCTION llm_audit.verify(ledger regclass DEFAULT NULL,
		trusted_checkpoint text DEFAULT NULL, segment int DEFAULT NULL,
		since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
		id uuid DEFAULT NULL, workers int DEFAULT NULL)
	RETURNS TABLE (ledger regclass, segment int, lane int, seq bigint,
		id uuid, finding text, detail text)
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_verify';
COMMENT ON FUNCTION llm_audit.verify(regclass, text, int, timestamptz, timestamptz, uuid, int) IS
	'reads ledgers again, recomputes every hash and link, and returns all findings, none when all is well; NULL ledger: all ledgers; workers NULL: max_parallel_maintenance_workers';

CREATE FUNCTION llm_audit.verify_summary(ledger regclass DEFAULT NULL,
		trusted_checkpoint text DEFAULT NULL, segment int DEFAULT NULL,
		since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
		id uuid DEFAULT NULL, workers int DEFAULT NULL,
		OUT status text, OUT ledgers int, OUT segments int, OUT lanes bigint,
		OUT rows bigint, OUT findings bigint, OUT checkpoint text,
		OUT statement text, OUT workers_used int, OUT duration interval)
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_verify_summary';
COMMENT ON FUNCTION llm_audit.verify_summary(regclass, text, int, timestamptz, timestamptz, uuid, int) IS
	'verifies as verify() does and returns one row: what was read, how many findings, and what that does and does not prove';

CREATE FUNCTION llm_audit.row_preimage(ledger regclass, id uuid)
	RETURNS bytea
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_row_preimage';
COMMENT ON FUNCTION llm_audit.row_preimage(regclass, uuid) IS
	'the bytes whose SHA-256 is the row''s row_hash (docs/hash-format.md); NULL if the ledger has no such row';

CREATE FUNCTION llm_audit.verify_progress(OUT pid int, OUT ledger regclass,
		OUT started_at timestamptz, OUT units int, OUT units_done int,
		OUT rows bigint, OUT findings bigint, OUT workers int)
	RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'llm_audit_verify_progress';
COMMENT ON FUNCTION llm_audit.verify_progress() IS
	'runs of verify in this database and how far they are; empty unless the library is preloaded';

CREATE VIEW llm_audit.verify_progress AS
	SELECT p.pid, p.ledger, p.started_at,
		pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) p.started_at AS running_for,
		p.units, p.units_done, p.rows, p.findings, p.workers
	FROM llm_audit.verify_progress() p;
COMMENT ON VIEW llm_audit.verify_progress IS
	'runs of verify in this database; ledger NULL: all; units are pieces of work of up to 100,000 rows';
COMMENT ON COLUMN llm_audit.verify_progress.pid IS 'process that runs verify';
COMMENT ON COLUMN llm_audit.verify_progress.ledger IS
	'ledger being verified; NULL: all';
COMMENT ON COLUMN llm_audit.verify_progress.started_at IS 'when it began';
COMMENT ON COLUMN llm_audit.verify_progress.running_for IS
	'time since it began';
COMMENT ON COLUMN llm_audit.verify_progress.units IS
	'pieces of work, each of up to 100,000 rows or 16,384 blocks';
COMMENT ON COLUMN llm_audit.verify_progress.units_done IS
	'pieces of work that are finished';
COMMENT ON COLUMN llm_audit.verify_progress.rows IS 'rows rehashed so far';
COMMENT ON COLUMN llm_audit.verify_progress.findings IS 'findings so far';
COMMENT ON COLUMN llm_audit.verify_progress.workers IS
	'parallel workers that help';

DO $$
DECLARE
	f text;
BEGIN
	FOREACH f IN ARRAY ARRAY[
		'verify(regclass, text, int, timestamptz, timestamptz, uuid, int)',
		'verify_summary(regclass, text, int, timestamptz, timestamptz, uuid, int)',
		'row_preimage(regclass, uuid)',
		'verify_progress()']
	LOOP
		EXECUTE 'REVOKE EXECUTE ON FUNCTION llm_audit.' || f || ' FROM PUBLIC';
		EXECUTE 'GRANT EXECUTE ON FUNCTION llm_audit.' || f
			|| ' TO llm_audit_auditor, llm_audit_compliance';
	END LOOP;
END
$$;
GRANT SELECT ON llm_audit.verify_progress TO llm_audit_auditor, llm_audit_compliance;
