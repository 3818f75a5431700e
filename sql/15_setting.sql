-- Settings, as the library knows them.

CREATE FUNCTION llm_audit.setting(name text) RETURNS text
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'llm_audit_setting';
COMMENT ON FUNCTION llm_audit.setting(text) IS
	'value of the setting llm_audit.<name> as current_setting() shows it, also in a session that has not loaded the library yet; raises 42704 if there is none';
REVOKE EXECUTE ON FUNCTION llm_audit.setting(text) FROM PUBLIC;
