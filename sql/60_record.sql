-- Recording: documents of gateways as rows of the ledgers.

CREATE FUNCTION llm_audit.record_rows() RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
	AS 'MODULE_PATHNAME', 'llm_audit_record_rows';
COMMENT ON FUNCTION llm_audit.record_rows() IS
	'rows that record_calls() is inserting; fails anywhere else';

CREATE FUNCTION llm_audit.record_call(document text,
		defaults text DEFAULT NULL) RETURNS uuid
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_record_call';
COMMENT ON FUNCTION llm_audit.record_call(text, text) IS
	'records one call with its fragments, tool calls, tokens and usage, as the caller; document is JSON in one of the formats of docs/writing.md, defaults an object of columns for what it lacks; returns the id of the row in llm_call';

CREATE FUNCTION llm_audit.record_calls(documents text,
		defaults text DEFAULT NULL, on_error text DEFAULT 'abort')
	RETURNS TABLE (line int, id uuid, result text, sqlstate text, message text)
	LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
	AS 'MODULE_PATHNAME', 'llm_audit_record_calls';
COMMENT ON FUNCTION llm_audit.record_calls(text, text, text) IS
	'records many calls, given as JSON Lines, an array or one object; result of each line is stored, duplicate, conflict, withheld or refused; on_error: abort, or report to leave out what cannot be recorded';

CREATE FUNCTION llm_audit.record_admin_event(document text,
		defaults text DEFAULT NULL) RETURNS uuid
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_record_admin_event';
COMMENT ON FUNCTION llm_audit.record_admin_event(text, text) IS
	'records one event of the control plane: an object of the columns of admin_event, or of OpenAI''s audit log; returns its id';

CREATE FUNCTION llm_audit.record_usage(document text,
		defaults text DEFAULT NULL) RETURNS uuid
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_record_usage';
COMMENT ON FUNCTION llm_audit.record_usage(text, text) IS
	'records one usage event: an object of the columns of usage_event; returns its id';

CREATE FUNCTION llm_audit.record_settlement(document text,
		defaults text DEFAULT NULL) RETURNS uuid
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_record_settlement';
COMMENT ON FUNCTION llm_audit.record_settlement(text, text) IS
	'records one settlement: an object of the columns of settlement; returns its id';
