-- What sensitive views are made of.  They run as the reader, so everybody may
-- call them: what they do is recorded.

CREATE FUNCTION llm_audit.access_guard(view regclass, needs_reason boolean,
		disclosure_ids uuid[] DEFAULT NULL) RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'llm_audit_access_guard';
COMMENT ON FUNCTION llm_audit.access_guard(regclass, boolean, uuid[]) IS
	'stands in every sensitive view as WHERE (SELECT llm_audit.access_guard(''VIEW'', ...)): true once the read is recorded and flushed; raises an error otherwise: 22023 without llm_audit.reason where it is needed, 25006 on a standby, 55000 where reads cannot be recorded, 57P03, 53400 or 55P03 if the record is not written in time';

CREATE FUNCTION llm_audit.reveal(id uuid, request_id text, body text)
	RETURNS text
	LANGUAGE c VOLATILE PARALLEL RESTRICTED COST 1000
	AS 'MODULE_PATHNAME', 'llm_audit_reveal';
COMMENT ON FUNCTION llm_audit.reveal(uuid, text, text) IS
	'stands around text in content views: returns body, and records in access_record that the row with this id was seen; NULL bodies are not recorded';

CREATE FUNCTION llm_audit.is_export() RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'llm_audit_is_export';
COMMENT ON FUNCTION llm_audit.is_export() IS
	'for content views: whether the statement that reads takes rows out in bulk, as access_log.exported says';

CREATE FUNCTION llm_audit.reader_setting(name text) RETURNS text
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'llm_audit_reader_setting';
COMMENT ON FUNCTION llm_audit.reader_setting(text) IS
	'reason, ticket or reader as they count: by SET LOCAL, or given by the client when it connected; NULL otherwise';

-- For functions with rights of their own only: what it writes is trusted.
CREATE FUNCTION llm_audit.refuse(relation regclass, condition text, message text, hint text)
	RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'llm_audit_refuse';
COMMENT ON FUNCTION llm_audit.refuse(regclass, text, text, text) IS
	'raises an error, 42501 for the condition insufficient_privilege and 22023 otherwise, that the access log keeps as a refusal of the relation; part of the functions that search and disclose';
REVOKE EXECUTE ON FUNCTION llm_audit.refuse(regclass, text, text, text) FROM PUBLIC;
