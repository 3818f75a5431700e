-- Changes of configuration tables by hand are events, as those are that
-- functions make.  Retention policies and holds have triggers of their own,
-- which say more.

CREATE FUNCTION llm_audit.set_action_type(action text, category text,
		high_risk boolean, description text, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	old llm_audit.action_type;
BEGIN
	PERFORM llm_audit.require_reason(reason, 'change which actions are accepted');
	IF category IS NULL OR high_risk IS NULL OR coalesce(description, '') !~ '\S' THEN
		RAISE EXCEPTION 'category, high_risk and description must not be empty'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF NOT EXISTS (SELECT FROM llm_audit.builtin_action_types() b WHERE b.category = category) THEN
		RAISE EXCEPTION 'category is none of those that admin_event has'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT * INTO old FROM llm_audit.action_type t WHERE t.action = set_action_type.action FOR UPDATE;
	INSERT INTO llm_audit.action_type AS t (action, category, high_risk, description)
		VALUES (set_action_type.action, set_action_type.category,
			set_action_type.high_risk, set_action_type.description)
		ON CONFLICT ON CONSTRAINT action_type_pkey DO UPDATE
		SET category = excluded.category, high_risk = excluded.high_risk,
			description = excluded.description;
	PERFORM llm_audit.record_own_event('action_type.changed', 'action_type', action, reason,
		jsonb_build_object('category', category, 'high_risk', high_risk,
			'category_before', old.category, 'high_risk_before', old.high_risk));
END
$$;
COMMENT ON FUNCTION llm_audit.set_action_type(text, text, boolean, text, text) IS
	'adds an action that admin_event accepts, or changes its category, risk (a high-risk event needs a reason) and description; needs a reason itself (22023); recorded in admin_event; for llm_audit_admin';
REVOKE EXECUTE ON FUNCTION llm_audit.set_action_type(text, text, boolean, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.set_action_type(text, text, boolean, text, text)
	TO llm_audit_admin;

-- Arguments: the action, then the functions that record by themselves.
CREATE FUNCTION llm_audit.record_configuration() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	stack text;
	before jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
	after jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
BEGIN
	GET DIAGNOSTICS stack = PG_CONTEXT;
	IF before IS DISTINCT FROM after AND NOT llm_audit.setting('restore')::boolean
		AND (TG_OP <> 'INSERT' OR NOT llm_audit.nothing_happened())
		AND llm_audit.changed_by_hand(stack, TG_ARGV[1:])
	THEN
		PERFORM llm_audit.record_own_event(TG_ARGV[0], TG_TABLE_NAME, NULL,
			coalesce(llm_audit.reader_setting('reason'), 'changed by hand'),
			jsonb_build_object('by_hand', true, 'operation', TG_OP, 'row', coalesce(after, before),
				'was', CASE WHEN TG_OP = 'UPDATE' THEN before END));
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION llm_audit.record_configuration() IS
	'trigger of configuration tables: records what was changed by hand';
REVOKE EXECUTE ON FUNCTION llm_audit.record_configuration() FROM PUBLIC;

DO $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT * FROM (VALUES
		('environment', 'setting.changed', '{add_environment,setup,set_summary_period}'::text[]),
		('ledger', 'ledger.changed', '{enroll,set_segment_interval,drop_ledger,uninstall}'),
		('ledger_environment', 'segment_interval.changed', '{set_segment_interval,drop_ledger,uninstall}'),
		('ledger_column', 'ledger.changed', '{register_columns,enroll,prepare_encryption,drop_ledger,uninstall}'),
		('action_type', 'action_type.changed', '{install_action_types,set_action_type}'),
		('content_recording', 'content_recording.changed', '{set_content_recording}'),
		('call_source', 'source.changed', '{register_source}'),
		('role_scope', 'scope.changed', '{set_scope}'),
		('sensitive_relation', 'sensitivity.changed', '{set_sensitive,setup,drop_ledger,uninstall}'))
		AS v (name, action, doors)
	LOOP
		EXECUTE pg_catalog.format('CREATE TRIGGER llm_audit_record AFTER INSERT OR UPDATE OR DELETE
			ON llm_audit.%I FOR EACH ROW EXECUTE FUNCTION llm_audit.record_configuration(%L, %s)',
			r.name, r.action, (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(d), ', ')
				FROM pg_catalog.unnest(r.doors) AS d));
		EXECUTE pg_catalog.format('ALTER TABLE llm_audit.%I ENABLE ALWAYS TRIGGER llm_audit_record', r.name);
	END LOOP;
END
$$;
