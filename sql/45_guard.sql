-- Append-only: the triggers of every ledger.

CREATE FUNCTION llm_audit.ledger_guard() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'llm_audit_ledger_guard';
COMMENT ON FUNCTION llm_audit.ledger_guard() IS
	'statement trigger of every ledger: refuses UPDATE, DELETE and TRUNCATE';
REVOKE EXECUTE ON FUNCTION llm_audit.ledger_guard() FROM PUBLIC;

CREATE FUNCTION llm_audit.ledger_guard_row() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'llm_audit_ledger_guard';
COMMENT ON FUNCTION llm_audit.ledger_guard_row() IS
	'row trigger of every ledger: refuses UPDATE and DELETE';
REVOKE EXECUTE ON FUNCTION llm_audit.ledger_guard_row() FROM PUBLIC;
