-- setup(): makes the built-in ledgers as ordinary objects.  They are not
-- members of the extension, so that pg_dump carries them whole: a member's
-- table would be dumped without its rows, or its rows without their place.

CREATE FUNCTION llm_audit.setup() RETURNS TABLE (object text, action text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	r record;
	relation regclass;
	made int;
	problem text;
	enrolled uuid[] := '{}';
BEGIN
	PERFORM llm_audit.lock_registry();
	IF NOT EXISTS (SELECT FROM llm_audit.environment) THEN
		INSERT INTO llm_audit.environment (name) VALUES ('prod'), ('pilot'), ('test');
		RETURN QUERY SELECT 'environment ' || e.name, 'added' FROM llm_audit.environment e;
	END IF;
	made := llm_audit.install_action_types();
	IF made > 0 THEN
		RETURN QUERY SELECT 'action types', made || ' added';
	END IF;

	RETURN QUERY SELECT 'table llm_audit.' || t, 'created'
		FROM llm_audit.create_builtin_tables() t;
	-- segment_event first: the others' segments are recorded there.
	FOR r IN SELECT b.* FROM llm_audit.builtin_ledgers() b
		ORDER BY b.role = 'segment_event' DESC, b.relation_name
	LOOP
		relation := format('llm_audit.%I', r.relation_name)::regclass;
		IF NOT EXISTS (SELECT FROM llm_audit.ledger l
			WHERE l.schema_name = 'llm_audit' AND l.relation_name = r.relation_name)
		THEN
			enrolled := enrolled || llm_audit.enroll(relation, r.role, true, r.retention,
				r.erasable, r.segment_width);
			RETURN QUERY SELECT 'ledger ' || relation::text, 'made';
		END IF;
	END LOOP;
	PERFORM llm_audit.install_sensitivity();
	made := llm_audit.install_field_policies();
	IF made > 0 THEN
		RETURN QUERY SELECT 'field policies', made || ' added';
	END IF;
	-- Where the registry came first, from a publisher, its ids are kept.
	FOR r IN SELECT format('%I.%I', l.schema_name, l.relation_name) AS name
		FROM llm_audit.ledger l
		ORDER BY l.role = 'segment_event' DESC, l.relation_name
	LOOP
		relation := to_regclass(r.name);
		IF relation IS NULL THEN
			-- An enrolled table of a publisher, which only its owner can make.
			RETURN QUERY SELECT 'ledger ' || r.name, 'table is missing';
			CONTINUE;
		ELSIF NOT EXISTS (SELECT FROM pg_catalog.pg_trigger
			WHERE tgrelid = relation AND tgname = 'llm_audit_insert')
		THEN
			PERFORM llm_audit.install_ledger(relation);
			RETURN QUERY SELECT 'ledger ' || r.name, 'completed';
		END IF;
		made := llm_audit.make_all_segments(relation);
		IF made > 0 THEN
			RETURN QUERY SELECT 'ledger ' || r.name, made || ' segments made';
		END IF;
	END LOOP;
	RETURN QUERY SELECT * FROM llm_audit.install_access();
	PERFORM llm_audit.append_columns(e), llm_audit.append_definition(e)
		FROM unnest(enrolled) WITH ORDINALITY AS u (e, n) ORDER BY n;
	-- A subscriber's segment_event is what its publisher writes.
	IF cardinality(enrolled) > 0 OR NOT EXISTS (SELECT FROM pg_catalog.pg_subscription
		WHERE subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
	THEN
		PERFORM llm_audit.append_installed();
	END IF;
	IF llm_audit.setting('masking')::boolean THEN
		problem := llm_audit.key_problem();
		IF problem IS NOT NULL THEN
			RETURN QUERY SELECT 'keys', 'MISSING, rows that name a person are refused: ' || problem;
		END IF;
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.setup() IS
	'makes ledgers, segments and grants that are missing, and returns what it made, and whether keys are missing; run it after CREATE EXTENSION and ALTER EXTENSION UPDATE';
REVOKE EXECUTE ON FUNCTION llm_audit.setup() FROM PUBLIC;
