-- Who owns the functions that run with rights of their own, and what these
-- owners may reach.  Neither is a superuser nor bypasses row security:
-- llm_audit_view_owner reads what its caller may, llm_audit_definer keeps the
-- configuration and records events.

DO $$
DECLARE
	f text;
BEGIN
	FOREACH f IN ARRAY ARRAY[
		'select_calls(llm_audit.call_filter)', 'select_calls_between(llm_audit.call_filter)',
		'disclosed_text(regclass, uuid, uuid, bytea)',
		'find_calls(text, timestamptz, timestamptz, text, text, text, interval, int)',
		'search_content(text, uuid, int)', 'billing_trail(text)',
		'measure_disclosure(llm_audit.call_filter)',
		'fragment_ids(text)', 'places_of_request(text)', 'last_uses()', 'approval_events()',
		'gap_report(timestamptz, timestamptz)', 'masking_report(timestamptz, timestamptz)']
	LOOP
		EXECUTE 'ALTER FUNCTION llm_audit.' || f || ' OWNER TO llm_audit_view_owner';
		-- so that what the extension granted is on record with that owner
		EXECUTE 'GRANT EXECUTE ON FUNCTION llm_audit.' || f || ' TO llm_audit_view_owner';
	END LOOP;
	FOREACH f IN ARRAY ARRAY[
		'set_scope(regrole, text[], text[], text[], text[])',
		'request_disclosure(text, text, jsonb, interval, boolean)',
		'preview_disclosure(uuid)', 'approve_disclosure(uuid, text)',
		'deny_disclosure(uuid, text)', 'revoke_disclosure(uuid, text)',
		'expire_disclosures()', 'live_disclosures()', 'require_disclosure(uuid)',
		'load_staff_roster(text)', 'access_review(timestamptz)',
		'attest_access_review(daterange, jsonb, text)', 'who_saw(text)', 'who_may_see(text)',
		'match_token(text, text)',
		'set_content_recording(text, text, boolean, text)',
		'register_source(text, text, text, text, interval)']
	LOOP
		EXECUTE 'ALTER FUNCTION llm_audit.' || f || ' OWNER TO llm_audit_definer';
		EXECUTE 'GRANT EXECUTE ON FUNCTION llm_audit.' || f || ' TO llm_audit_definer';
	END LOOP;

	FOREACH f IN ARRAY ARRAY[
		'known_as(text, text)', 'may_search_persons()', 'setting(text)',
		'class_rank(text)', 'pseudonym(text, text)', 'match_token(text, text)',
		'masking_source(regclass, name)', 'refuse(regclass, text, text, text)']
	LOOP
		EXECUTE 'GRANT EXECUTE ON FUNCTION llm_audit.' || f || ' TO llm_audit_view_owner';
	END LOOP;
	FOREACH f IN ARRAY ARRAY[
		'record_own_event(text, text, text, text, jsonb)', 'refuse(regclass, text, text, text)',
		'require_reason(text, text)', 'setting(text)', 'record_search(text, text, int)',
		'record_access_event(llm_audit.access_event)',
		'record_disclosure_event(text, llm_audit.disclosure, text, jsonb)',
		'check_scope_list(text, text[], boolean)', 'known_as(text, text)',
		'pseudonym(text, text)', 'compute_tokens(text, text)',
		'record_search(text, text, int)', 'class_rank(text)',
		'require_person()', 'is_same_person(name, text)',
		'scope_text(jsonb, text)', 'scope_list(jsonb, text)', 'scope_time(jsonb, text)',
		'check_scope(jsonb)', 'read_scope(jsonb)',
		'kept_scope(jsonb, llm_audit.call_filter)',
		'measure_disclosure(llm_audit.call_filter)',
		'check_request(text, text, interval, boolean)',
		'disclosure_to_decide(uuid, text[])', 'require_approver(llm_audit.disclosure)',
		'require_other_eyes(llm_audit.disclosure)',
		'add_decision(llm_audit.disclosure, text, text)', 'check_roster(jsonb)',
		'memberships()', 'last_uses()', 'fragment_ids(text)',
		'sight_of_roles()', 'places_of_request(text)', 'approval_events()', 'searching_tasks()',
		'review_findings(name, name, llm_audit.staff_roster, timestamptz, timestamptz)']
	LOOP
		EXECUTE 'GRANT EXECUTE ON FUNCTION llm_audit.' || f || ' TO llm_audit_definer';
	END LOOP;
END
$$;

GRANT SELECT ON llm_audit.environment, llm_audit.ledger, llm_audit.ledger_environment,
	llm_audit.ledger_column, llm_audit.ledger_segment, llm_audit.field_policy,
	llm_audit.retention_policy, llm_audit.content_recording, llm_audit.call_source, llm_audit.disclosure, llm_audit.disclosure_decision,
	llm_audit.disclosure_call
	TO llm_audit_view_owner;
GRANT SELECT ON llm_audit.environment, llm_audit.ledger TO llm_audit_definer;
GRANT SELECT, INSERT, UPDATE ON llm_audit.content_recording, llm_audit.call_source
	TO llm_audit_definer;
GRANT SELECT, INSERT, UPDATE, DELETE ON llm_audit.role_scope, llm_audit.staff_roster,
	llm_audit.disclosure_call TO llm_audit_definer;
GRANT SELECT, INSERT, UPDATE ON llm_audit.disclosure TO llm_audit_definer;
GRANT SELECT, INSERT ON llm_audit.disclosure_decision TO llm_audit_definer;

-- Configuration is no secret to those who set it and those who check it.
GRANT SELECT ON llm_audit.environment, llm_audit.ledger, llm_audit.ledger_environment,
	llm_audit.ledger_column, llm_audit.ledger_segment, llm_audit.action_type,
	llm_audit.content_recording, llm_audit.call_source, llm_audit.field_policy,
	llm_audit.sensitive_relation, llm_audit.role_scope, llm_audit.staff_roster
	TO llm_audit_admin, llm_audit_compliance, llm_audit_auditor;
