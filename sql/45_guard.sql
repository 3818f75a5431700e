-- Append-only: the triggers that refuse changes of rows.  create_ledger()
-- and setup() put them on every table of a ledger, ENABLE ALWAYS.

CREATE FUNCTION llm_audit.ledger_guard_row() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'llm_audit_ledger_guard_row';
COMMENT ON FUNCTION llm_audit.ledger_guard_row() IS
	'BEFORE UPDATE OR DELETE row trigger of every ledger: raises 42501 unless a door of llm_audit is open and the row may pass it';
REVOKE EXECUTE ON FUNCTION llm_audit.ledger_guard_row() FROM PUBLIC;

CREATE FUNCTION llm_audit.ledger_guard() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'llm_audit_ledger_guard';
COMMENT ON FUNCTION llm_audit.ledger_guard() IS
	'BEFORE UPDATE OR DELETE OR TRUNCATE statement trigger of every table of a ledger: raises 42501 unless a door of llm_audit is open';
REVOKE EXECUTE ON FUNCTION llm_audit.ledger_guard() FROM PUBLIC;
