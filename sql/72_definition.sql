-- What a ledger was made with, for verify() to compare the catalogs with.  CHECK
-- constraints, policies and row security of built-in ledgers are known without.

CREATE FUNCTION llm_audit.stored_form(relation regclass, expression text)
	RETURNS text
	LANGUAGE c STABLE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_stored_form';
COMMENT ON FUNCTION llm_audit.stored_form(regclass, text) IS
	'how a condition on a table''s columns, or another expression, reads when it is stored and shown again; part of stored_forms()';
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
	'a condition on a table''s columns, or another expression, as it can read after it was stored, dumped and restored; part of verify()';
REVOKE EXECUTE ON FUNCTION llm_audit.stored_forms(regclass, text) FROM PUBLIC;

-- Each fact begins with its kind and its name, which are its key.  The parts of
-- a ledger are found in the catalogs and not locked: this runs before commands
-- that lock more.
CREATE FUNCTION llm_audit.current_definition(relation regclass)
	RETURNS TABLE (kind text, name text, fact text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
	WITH RECURSIVE part AS (
		SELECT relation::oid AS oid
		UNION
		SELECT i.inhrelid FROM part JOIN pg_inherits i ON i.inhparent = part.oid)
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
	UNION ALL
	-- a column that is not here is one that may be NULL and has no default
	SELECT 'column', a.attname::text, jsonb_build_array('column', a.attname, a.attnotnull,
			a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid))::text
		FROM pg_attribute a
		LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
			AND (a.attnotnull OR a.attidentity <> '' OR d.oid IS NOT NULL)
	UNION ALL
	-- of the tables below only what did not come from above
	SELECT 'foreign key', n.name, jsonb_build_array('foreign key', n.name, n.definition)::text
		FROM part JOIN pg_constraint k ON k.conrelid = part.oid AND k.contype = 'f' AND k.conparentid = 0
		CROSS JOIN LATERAL (SELECT quote_ident(k.conname) || CASE WHEN part.oid = relation THEN ''
				ELSE ' of ' || part.oid::regclass END,
			regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', '')) AS n (name, definition)
	UNION ALL
	SELECT 'reference', n.name, jsonb_build_array('reference', n.name, n.definition)::text
		FROM part JOIN pg_constraint k ON k.confrelid = part.oid AND k.contype = 'f' AND k.conparentid = 0
		CROSS JOIN LATERAL (SELECT quote_ident(k.conname) || ' of ' || k.conrelid::regclass,
			regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', '')) AS n (name, definition)
	UNION ALL
	-- those of the server itself are part of a constraint and call its functions
	SELECT 'trigger', n.name, jsonb_build_array('trigger', n.name, t.tgfoid::regproc, t.tgtype,
			t.tgenabled, encode(t.tgargs, 'hex'), t.tgattr::text, t.tgdeferrable, t.tginitdeferred,
			t.tgqual IS NOT NULL)::text
		FROM part JOIN pg_trigger t ON t.tgrelid = part.oid
		JOIN pg_proc f ON f.oid = t.tgfoid
		CROSS JOIN LATERAL (SELECT quote_ident(t.tgname) || CASE WHEN part.oid = relation THEN ''
			ELSE ' of ' || part.oid::regclass END) AS n (name)
		WHERE t.tgname NOT IN ('llm_audit_insert', 'llm_audit_guard_row', 'llm_audit_guard')
			AND NOT (t.tgisinternal AND f.pronamespace = 'pg_catalog'::regnamespace
				AND EXISTS (SELECT FROM pg_constraint k WHERE k.oid = t.tgconstraint))
			AND NOT EXISTS (SELECT FROM pg_trigger o JOIN part r ON r.oid = o.tgrelid
				WHERE o.oid = t.tgparentid AND o.tgfoid = t.tgfoid AND o.tgtype = t.tgtype)
$$;
COMMENT ON FUNCTION llm_audit.current_definition(regclass) IS
	'what decides which rows a ledger takes and shows and what happens then: CHECK constraints, policies, row security, defaults, NOT NULL and generation of columns, foreign keys of it and to it, triggers of others; as segment_event has them of when it was made';
REVOKE EXECUTE ON FUNCTION llm_audit.current_definition(regclass) FROM PUBLIC;

CREATE FUNCTION llm_audit.append_definition(ledger_id uuid) RETURNS boolean
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	-- names are recorded as verify() writes them, whatever the session's setting
	SET quote_all_identifiers = off
	AS 'MODULE_PATHNAME', 'llm_audit_append_definition';
COMMENT ON FUNCTION llm_audit.append_definition(uuid) IS
	'appends what decides which rows a ledger takes and shows to segment_event, once; false if an event has it; part of create_ledger() and setup()';
REVOKE EXECUTE ON FUNCTION llm_audit.append_definition(uuid) FROM PUBLIC;
