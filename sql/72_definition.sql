-- What an enrolled ledger was made with, for verify() to compare the catalogs
-- with: its CHECK constraints, policies and row security.  Those of built-in
-- ledgers are known without.

CREATE FUNCTION llm_audit.stored_form(relation regclass, expression text)
	RETURNS text
	LANGUAGE c STABLE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_stored_form';
COMMENT ON FUNCTION llm_audit.stored_form(regclass, text) IS
	'how a condition on a table''s columns reads when it is stored and shown again; part of stored_forms()';
REVOKE EXECUTE ON FUNCTION llm_audit.stored_form(regclass, text) FROM PUBLIC;

-- Some conditions read otherwise each time that they are dumped and restored,
-- until they read as before.
CREATE FUNCTION llm_audit.stored_forms(relation regclass, expression text)
	RETURNS text[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	forms text[] := ARRAY[expression];
	form text := expression;
BEGIN
	FOR i IN 1..4 LOOP
		form := llm_audit.stored_form(relation, form);
		EXIT WHEN form = ANY (forms);
		forms := forms || form;
	END LOOP;
	RETURN forms;
EXCEPTION WHEN OTHERS THEN
	RETURN forms;			-- of columns that are not there any more
END
$$;
COMMENT ON FUNCTION llm_audit.stored_forms(regclass, text) IS
	'a condition on a table''s columns as it can read after it was stored, dumped and restored; part of verify()';
REVOKE EXECUTE ON FUNCTION llm_audit.stored_forms(regclass, text) FROM PUBLIC;

CREATE FUNCTION llm_audit.current_definition(relation regclass)
	RETURNS TABLE (kind text, name text, fact text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
	SELECT 'check', k.conname::text, jsonb_build_array('check', k.conname,
			pg_get_expr(k.conbin, k.conrelid), k.convalidated)::text
		FROM pg_constraint k WHERE k.conrelid = relation AND k.contype = 'c'
	UNION ALL
	SELECT 'policy', p.polname::text, jsonb_build_array('policy', p.polname, p.polcmd,
			p.polpermissive, ARRAY(SELECT CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r) END
				FROM unnest(p.polroles) AS r ORDER BY 1),
			pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))::text
		FROM pg_policy p WHERE p.polrelid = relation
	UNION ALL
	SELECT 'row security', '', jsonb_build_array('row security', '', c.relrowsecurity,
			c.relforcerowsecurity)::text
		FROM pg_class c WHERE c.oid = relation
$$;
COMMENT ON FUNCTION llm_audit.current_definition(regclass) IS
	'CHECK constraints, policies and row security of a ledger, as segment_event has them of when it was made';
REVOKE EXECUTE ON FUNCTION llm_audit.current_definition(regclass) FROM PUBLIC;

CREATE FUNCTION llm_audit.append_definition(ledger_id uuid) RETURNS boolean
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	-- names are recorded as verify() writes them, whatever the session's setting
	SET quote_all_identifiers = off
	AS 'MODULE_PATHNAME', 'llm_audit_append_definition';
COMMENT ON FUNCTION llm_audit.append_definition(uuid) IS
	'appends the CHECK constraints, policies and row security of a ledger to segment_event, once; false if an event has them; part of create_ledger()';
REVOKE EXECUTE ON FUNCTION llm_audit.append_definition(uuid) FROM PUBLIC;
