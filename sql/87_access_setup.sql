-- What setup() does for access: policies, views, and what our own owners of
-- views and functions may reach.

CREATE FUNCTION llm_audit.install_access() RETURNS TABLE (object text, action text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	l record;
	made int;
BEGIN
	FOR l IN SELECT format('llm_audit.%I', b.relation_name) AS name
		FROM llm_audit.builtin_ledgers() b
	LOOP
		EXECUTE format('GRANT SELECT ON %s TO llm_audit_view_owner', l.name);
	END LOOP;
	GRANT SELECT, INSERT ON llm_audit.admin_event TO llm_audit_definer;
	GRANT SELECT ON llm_audit.access_log, llm_audit.access_record TO llm_audit_definer;

	made := llm_audit.install_policies();
	IF made > 0 THEN
		RETURN QUERY SELECT 'policies', made || ' made';
	END IF;
	RETURN QUERY SELECT 'view llm_audit.' || v, 'made' FROM llm_audit.install_views() v;
END
$$;
COMMENT ON FUNCTION llm_audit.install_access() IS
	'makes policies, views and grants that are missing, and returns what it made; part of setup()';
REVOKE EXECUTE ON FUNCTION llm_audit.install_access() FROM PUBLIC;
