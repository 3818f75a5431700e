-- The views that readers have instead of the ledgers.  Like the ledgers they
-- are data here and made by setup(), as ordinary objects.
--
-- Each is a security barrier, belongs to llm_audit_view_owner, and has two
-- conditions of its own: the guard, a sub-select that records the read before
-- the first row, and the caller's scope for the roles that the view is for.
-- The scope is there in addition to row security because a person can hold
-- two roles with different scopes: bank A's addresses for security are not to
-- be had because the same login is a developer for bank A and security for B.

-- Columns of llm_call by what they tell: {technical} is for everybody who
-- sees calls, the others are added where access.md (docs/access.md) says so.
CREATE FUNCTION llm_audit.view_columns(part text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE part
	WHEN 'technical' THEN 'id, request_id, trace_id, span_id, parent_span_id,
		correlation_id, batch_id, response_id, environment, organization_id,
		project_id, team_id, service_name, service_version, channel, region,
		server_address, provider_country, provider_region, recorded_at, occurred_at,
		occurred_at AT TIME ZONE ''UTC'' + make_interval(mins => utc_offset_minutes) AS local_time,
		time_zone, utc_offset_minutes, ended_at, operation_name, provider_name,
		request_model, response_model, route_id, route_version, route_reason,
		budget_policy_version, prompt_id, prompt_name, prompt_version, is_stream,
		agent_name, agent_version, tool_name, tool_type, tool_call_id,
		tool_call_count, attempt, attempt_kind, is_final, max_attempts,
		fallback_from_model, fallback_from_provider, status, http_status, error_code,
		error_type, error_message, limit_id, limit_scope, finish_reasons,
		duration_ms, time_to_first_chunk_ms, step_durations, input_tokens,
		output_tokens, cache_read_input_tokens, cache_creation_input_tokens,
		reasoning_output_tokens, cost, currency, cache_hit, masking_status,
		masking_version, pii_found, pii_counts, prompt_masked_upstream, data_class,
		policies_triggered'
	WHEN 'session' THEN 'session_id, conversation_id, actor_type'
	WHEN 'tuning' THEN 'request_params, guardrails, cost_breakdown'
	WHEN 'identity' THEN 'session_id, conversation_id, actor_id, actor_type,
		actor_role, end_user_id, customer_key, operation_number, api_key_id, agent_id,
		client_address, country, user_agent, attributes, source_id, source_epoch,
		source_seq'
	WHEN 'evidence' THEN 'recorded_by, retain_until, chain_lane, chain_seq,
		prev_hash, row_hash, erased IS NOT NULL AS is_erased'
	WHEN 'search' THEN 'id, request_id, trace_id, correlation_id, environment,
		organization_id, service_name, channel, recorded_at, occurred_at,
		utc_offset_minutes, operation_name, provider_name, request_model,
		response_model, route_id, route_version, prompt_id, prompt_version, attempt,
		attempt_kind, is_final, status, http_status, error_code, error_type,
		error_message, duration_ms, input_tokens, output_tokens, cost, currency,
		masking_status, pii_found, data_class, session_id, actor_type, actor_id,
		end_user_id, customer_key, operation_number, api_key_id, client_address'
	WHEN 'event' THEN 'id, environment, organization_id, project_id, recorded_at,
		occurred_at, time_zone, utc_offset_minutes, category, action, actor_id,
		actor_type, actor_role, on_behalf_of, session_id, target_type, target_id,
		target_version, "before", "after", reason, request_id, correlation_id, ticket,
		incident_id, route_version, budget_policy_version, settlement_id, approval_id,
		approved_by, outcome, high_risk'
	END
$$;
COMMENT ON FUNCTION llm_audit.view_columns(text) IS
	'columns of llm_call or admin_event that several views have; part of setup()';
REVOKE EXECUTE ON FUNCTION llm_audit.view_columns(text) FROM PUBLIC;

CREATE FUNCTION llm_audit.searching_tasks() RETURNS name[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT '{llm_audit_oncall,llm_audit_developer,llm_audit_service_owner,llm_audit_security,llm_audit_compliance,llm_audit_auditor}'::name[]
$$;
COMMENT ON FUNCTION llm_audit.searching_tasks() IS
	'roles that may search for calls and ask for disclosures';
REVOKE EXECUTE ON FUNCTION llm_audit.searching_tasks() FROM PUBLIC;

-- Developers search by request and time, not for a person or an operation.
CREATE FUNCTION llm_audit.person_searching_tasks() RETURNS name[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT array_remove(llm_audit.searching_tasks(), 'llm_audit_developer')
$$;
COMMENT ON FUNCTION llm_audit.person_searching_tasks() IS
	'roles that may search for calls by customer, operation or actor';
REVOKE EXECUTE ON FUNCTION llm_audit.person_searching_tasks() FROM PUBLIC;

-- The one place that says how the text of a fragment is come by; c is the row
-- of llm_content.
CREATE FUNCTION llm_audit.body_expression() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'CASE WHEN c.body_encrypted IS NULL THEN c.body
		ELSE llm_audit.disclosed_text(c.segment, c.id, c.call_id, c.body_encrypted) END'
$$;
COMMENT ON FUNCTION llm_audit.body_expression() IS
	'SQL expression for the readable text of a row c of llm_content; part of setup()';
REVOKE EXECUTE ON FUNCTION llm_audit.body_expression() FROM PUBLIC;

CREATE FUNCTION llm_audit.disclosed_columns() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'g.id AS disclosure_id, c.id, c.call_id, c.request_id, c.environment,
		c.organization_id, c.service_name, c.recorded_at, c.occurred_at, c.ordinal,
		c.message_index, c.role, c.kind, c.content_type, c.tool_call_id, c.body_bytes,
		c.pii_counts, c.data_class'
$$;
COMMENT ON FUNCTION llm_audit.disclosed_columns() IS
	'columns of disclosed_content but the text; part of setup()';
REVOKE EXECUTE ON FUNCTION llm_audit.disclosed_columns() FROM PUBLIC;

-- Exactly the rows in scope, to exactly the requester, until the grant ends.
-- A fragment that was classed higher after the approval needs a second one.
CREATE FUNCTION llm_audit.disclosed_from() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'FROM llm_audit.disclosure g
		JOIN llm_audit.disclosure_call d ON d.disclosure_id = g.id
		JOIN (SELECT *, tableoid::regclass AS segment FROM llm_audit.llm_content WHERE {scope}) AS c
			ON c.call_id = d.call_id AND c.environment = d.environment
		WHERE {guard} AND (SELECT llm_audit.require_disclosure())
		AND g.id = ANY ((SELECT llm_audit.live_disclosures())::uuid[])
		AND (g.kinds IS NULL OR c.kind = ANY (g.kinds))
		AND (g.approvals > 1 OR c.data_class <> ALL (''{personal,banking_secrecy}''))'
$$;
COMMENT ON FUNCTION llm_audit.disclosed_from() IS
	'where disclosed_content and search_texts come from; part of setup()';
REVOKE EXECUTE ON FUNCTION llm_audit.disclosed_from() FROM PUBLIC;

CREATE FUNCTION llm_audit.disclosure_columns() RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'g.id AS disclosure_id, CASE WHEN g.state = ''granted''
			AND g.expires_at <= clock_timestamp() THEN ''expired'' ELSE g.state END AS state,
		g.requested_at, g.requester, g.requester_authentication_id, g.reason, g.ticket,
		g.scope, g.duration, g.allow_export, g.organizations, g.environments,
		g.services, g.call_count, g.subject_count, g.data_class, g.needs_second,
		g.expires_at,
		ARRAY(SELECT x.decided_by::text FROM llm_audit.disclosure_decision x
			WHERE x.disclosure_id = g.id AND x.decision = ''approved'' ORDER BY x.n) AS approvers,
		ARRAY(SELECT format(''%s by %s at %s'', x.decision, x.decided_by,
				to_char(x.decided_at AT TIME ZONE ''UTC'', ''YYYY-MM-DD"T"HH24:MI:SS"Z"''))
			FROM llm_audit.disclosure_decision x
			WHERE x.disclosure_id = g.id ORDER BY x.n) AS decisions'
$$;
COMMENT ON FUNCTION llm_audit.disclosure_columns() IS
	'columns of the views over disclosures; part of setup()';
REVOKE EXECUTE ON FUNCTION llm_audit.disclosure_columns() FROM PUBLIC;

-- ledger is the one whose columns a view has; body is what stands after
-- SELECT, with {guard} and {scope} for the two conditions.  readers may select
-- from it; the scope is that for tasks, which are the readers where not said.
CREATE FUNCTION llm_audit.builtin_views()
	RETURNS TABLE (view_name name, ledger name, readers name[], tasks name[],
		needs_reason boolean, body text, description text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT v.view_name, v.ledger, v.readers, coalesce(v.tasks, v.readers),
	v.needs_reason, v.body, v.description || CASE WHEN v.readers = '{}' THEN ''
		WHEN v.needs_reason THEN ' A read needs llm_audit.reason.'
		ELSE ' A read needs no reason.' END
FROM (VALUES
	('member_calls'::name, 'llm_call'::name, '{llm_audit_member}'::name[], NULL::name[], false,
		llm_audit.view_columns('technical') || ', ' || llm_audit.view_columns('session')
		|| ', actor_id, api_key_id
		FROM llm_audit.llm_call WHERE {guard} AND {scope}
		AND actor_id = ANY ((SELECT llm_audit.scope(''actor_ids'', ''{llm_audit_member}''))::text[])',
		'For members: the calls that they made themselves, without text.'),
	('oncall_calls', 'llm_call', '{llm_audit_oncall}', NULL, false,
		llm_audit.view_columns('technical') || ', ' || llm_audit.view_columns('session')
		|| ' FROM llm_audit.llm_call WHERE {guard} AND {scope}',
		'For on-call: where a request broke, and whom to call next; metadata and errors, no text, addresses or identities.'),
	('oncall_fragments', 'llm_content', '{llm_audit_oncall}', NULL, false,
		'id, call_id, request_id, environment, organization_id, service_name,
		recorded_at, occurred_at, ordinal, message_index, role, kind, content_type,
		tool_call_id, body_bytes, pii_counts, data_class, body IS NOT NULL OR body_encrypted IS NOT NULL AS is_stored
		FROM llm_audit.llm_content WHERE {guard} AND {scope}',
		'For on-call: which fragments of text a call had, how long they were and what masking found in them, without the text.'),
	('developer_calls', 'llm_call', '{llm_audit_developer}', NULL, false,
		llm_audit.view_columns('technical') || ', ' || llm_audit.view_columns('tuning')
		|| ' FROM llm_audit.llm_call WHERE {guard} AND {scope}',
		'For developers: technical fields, traces, tokens and timings of calls that nobody is named in.'),
	('service_owner_calls', 'llm_call', '{llm_audit_service_owner}', NULL, false,
		llm_audit.view_columns('technical') || ', ' || llm_audit.view_columns('session')
		|| ' FROM llm_audit.llm_call WHERE {guard} AND {scope}',
		'For owners of services: metadata and errors of the services in their scope.'),
	('security_calls', 'llm_call', '{llm_audit_security}', NULL, true,
		llm_audit.view_columns('technical') || ', ' || llm_audit.view_columns('tuning')
		|| ', ' || llm_audit.view_columns('identity') || ', ' || llm_audit.view_columns('evidence')
		|| ' FROM llm_audit.llm_call WHERE {guard} AND {scope}',
		'For security: whole chains of events with service accounts, pseudonyms, addresses and labels, without text.'),
	('security_tokens', 'match_token', '{llm_audit_security}', NULL, true,
		'id, environment, organization_id, recorded_at, token, entity, call_id, request_id
		FROM llm_audit.match_token WHERE {guard} AND {scope}',
		'For security: which calls have an identifier in common, by match token.'),
	('security_admin_events', 'admin_event', '{llm_audit_security}', NULL, true,
		llm_audit.view_columns('event') || ', actor_ip, user_agent, '
		|| llm_audit.view_columns('evidence')
		|| ' FROM llm_audit.admin_event WHERE {guard} AND {scope}',
		'For security: who changed, granted, exported or decided what, with addresses.'),
	('access_history', 'access_log',
		'{llm_audit_security,llm_audit_compliance,llm_audit_auditor}', NULL, true,
		'r.id AS statement_id, r.environment, r.organization_id, r.recorded_at,
		r.occurred_at, r.event, r.login, r.effective_role, r.roles,
		r.authentication_id, r.asserted_reader, r.reader_trusted, r.application_name,
		r.client_address, r.tls_version, r.backend_pid, r.transaction_id, r.command,
		r.nested, r.exported OR coalesce(o.exported, false) AS exported, r.relations,
		r.columns_read, r.filtered_columns, r.search_tokens, r.query,
		r.query_truncated, r.reason, r.ticket, r.disclosure_ids,
		coalesce(o.outcome, r.outcome, ''unknown'') AS outcome, o.row_count,
		o.duration_ms, coalesce(o.error_code, r.error_code) AS error_code, r.refusal
		FROM (SELECT * FROM llm_audit.access_log WHERE {scope}
			AND event = ANY (''{read,refused}'')) AS r
		LEFT JOIN llm_audit.access_log AS o ON o.statement_id = r.id
			AND o.environment = r.environment AND o.recorded_at >= r.recorded_at
			AND o.recorded_at < r.recorded_at + interval ''31 days''
		WHERE {guard}',
		'For security, compliance and auditors: who read what, when and why, with the outcome; unknown: the server ended before the statement did.'),
	('access_records', 'access_record',
		'{llm_audit_security,llm_audit_compliance,llm_audit_auditor}', NULL, true,
		'id, environment, organization_id, recorded_at, occurred_at, statement_id,
		login, authentication_id, asserted_reader, row_id, request_id, exported
		FROM llm_audit.access_record WHERE {guard} AND {scope}',
		'For security, compliance and auditors: which texts were seen, one row for each.'),
	('compliance_overview', NULL, '{llm_audit_compliance,llm_audit_auditor}', NULL, false,
		'format(''%I.%I'', l.schema_name, l.relation_name) AS ledger,
		s.environment,
		(SELECT p.period FROM llm_audit.retention_policy p
			WHERE p.ledger_id = l.ledger_id AND p.data_class = ''*''
			AND p.environment IN (s.environment, ''*'')
			ORDER BY p.environment = ''*'' LIMIT 1) AS retention,
		coalesce((SELECT w.segment_width FROM llm_audit.ledger_environment w
			WHERE w.ledger_id = l.ledger_id AND w.environment = s.environment),
			l.segment_width) AS segment_width,
		count(*) FILTER (WHERE s.state = ''open'') AS open_segments,
		count(*) FILTER (WHERE s.state = ''closed'') AS closed_segments,
		count(*) FILTER (WHERE s.state = ''purged'') AS purged_segments,
		min(s.lower) FILTER (WHERE s.lower > ''-infinity'') AS first_from,
		max(s.upper) FILTER (WHERE s.upper < ''infinity'') AS last_until,
		(SELECT count(*) FROM llm_audit.ledger_column c
			WHERE c.ledger_id = l.ledger_id AND c.erasable) AS erasable_columns,
		(SELECT count(*) FROM llm_audit.field_policy p
			WHERE p.ledger_id = l.ledger_id AND p.on_write = ''keep'') AS kept_columns
		FROM llm_audit.ledger l JOIN llm_audit.ledger_segment s USING (ledger_id)
		WHERE {guard} AND (s.environment = '''' OR s.environment = ANY (
			(SELECT llm_audit.scope(''environments'', ''{llm_audit_compliance,llm_audit_auditor}''))::text[]))
		GROUP BY l.ledger_id, s.environment',
		'For compliance and auditors: retention and segments of each ledger and environment.'),
	('compliance_policies', NULL, '{llm_audit_compliance,llm_audit_auditor}', NULL, false,
		'format(''%I.%I'', l.schema_name, l.relation_name) AS ledger,
		c.column_name, coalesce(p.on_write, ''mask'') AS on_write, p.pattern,
		p.on_violation, p.period, p.encrypt, p.humans_only, c.erasable, p.changed_at,
		p.changed_by
		FROM llm_audit.ledger l JOIN llm_audit.ledger_column c USING (ledger_id)
		LEFT JOIN llm_audit.field_policy p USING (ledger_id, column_name)
		WHERE {guard} AND (SELECT cardinality(llm_audit.scope(''environments'',
			''{llm_audit_compliance,llm_audit_auditor}'')) > 0)',
		'For compliance and auditors: how each column is masked and kept, and who changed that last.'),
	('compliance_recording', NULL, '{llm_audit_compliance,llm_audit_auditor}', NULL, false,
		'r.environment, r.service_name, r.enabled FROM llm_audit.content_recording r
		WHERE {guard} AND (SELECT cardinality(llm_audit.scope(''environments'',
			''{llm_audit_compliance,llm_audit_auditor}'')) > 0)
		AND (r.environment = ''*'' OR r.environment = ANY (
			(SELECT llm_audit.scope(''environments'', ''{llm_audit_compliance,llm_audit_auditor}''))::text[]))',
		'For compliance and auditors: where the text of calls is stored.'),
	('compliance_calls', 'llm_call', '{llm_audit_compliance}', NULL, false,
		'id, request_id, environment, organization_id, service_name, recorded_at,
		occurred_at, status, provider_name, provider_country, provider_region,
		prompt_masked_upstream, masking_status, masking_version, pii_found,
		pii_counts, data_class, policies_triggered, guardrails, retain_until,
		erased IS NOT NULL AS is_erased
		FROM llm_audit.llm_call WHERE {guard} AND {scope}',
		'For compliance: whether the rules were kept for a call: class, masking, place, retention; nobody is named.'),
	('compliance_admin_events', 'admin_event', '{llm_audit_compliance}', NULL, true,
		llm_audit.view_columns('event')
		|| ' FROM llm_audit.admin_event WHERE {guard} AND {scope}',
		'For compliance: changes of policies, holds, purges, disclosures and rights, with who made and who approved them.'),
	('auditor_calls', 'llm_call', '{llm_audit_auditor}', NULL, false,
		llm_audit.view_columns('technical') || ', ' || llm_audit.view_columns('evidence')
		|| ' FROM llm_audit.llm_call WHERE {guard} AND {scope}',
		'For auditors: calls without identities, with their place in the chain to be verified.'),
	('auditor_admin_events', 'admin_event', '{llm_audit_auditor}', NULL, true,
		llm_audit.view_columns('event') || ', ' || llm_audit.view_columns('evidence')
		|| ' FROM llm_audit.admin_event WHERE {guard} AND {scope}',
		'For auditors: administrative events with their place in the chain, without addresses.'),
	('auditor_usage', 'usage_event', '{llm_audit_auditor}', NULL, false,
		'id, environment, organization_id, project_id, api_key_id, call_id, request_id,
		recorded_at, occurred_at, unit, quantity, unit_price, price_version, cost,
		currency, ' || llm_audit.view_columns('evidence')
		|| ' FROM llm_audit.usage_event WHERE {guard} AND {scope}',
		'For auditors: metered usage, as it is charged for.'),
	('auditor_settlements', 'settlement', '{llm_audit_auditor}', NULL, false,
		'id, environment, organization_id, recorded_at, occurred_at, kind,
		original_request_id, usage_event_id, corrects_id, approving_event_id,
		invoice_id, budget_policy_version, amount, currency, reason, '
		|| llm_audit.view_columns('evidence')
		|| ' FROM llm_audit.settlement WHERE {guard} AND {scope}',
		'For auditors: money that moved.'),
	('auditor_segments', 'segment_event', '{llm_audit_auditor}', NULL, false,
		'id, environment, recorded_at, event, ledger, ledger_id, segment, leaf, lower,
		upper, is_default, row_count, max_retain_until, data_classes, lanes,
		first_seqs, last_seqs, last_hashes, actor
		FROM llm_audit.segment_event WHERE {guard} AND {scope}',
		'For auditors: creation, closing and purging of segments.'),
	('compliance_purges', 'purge_receipt', '{llm_audit_compliance,llm_audit_auditor}', NULL, false,
		'id, environment, recorded_at, purge_id, ledger, ledger_id, segment, lane,
		first_seqs, last_seqs, row_count, row_digest, policy, reason, actor
		FROM llm_audit.purge_receipt WHERE {guard} AND {scope}',
		'For compliance and auditors: which rows were purged, by which policy, when, by whom and why.'),

	-- Behind functions of ours; nobody reads these directly.
	('search_calls', 'llm_call', '{}', llm_audit.searching_tasks(), false,
		llm_audit.view_columns('search') || ' FROM llm_audit.llm_call WHERE {guard} AND {scope}',
		'Behind find_calls() and request_disclosure(), by request and time; read by nobody directly.'),
	('search_persons', 'llm_call', '{}', llm_audit.person_searching_tasks(), false,
		llm_audit.view_columns('search') || ' FROM llm_audit.llm_call WHERE {guard} AND {scope}',
		'Behind find_calls() and request_disclosure(), by person and operation; read by nobody directly.'),
	('search_tokens', 'match_token', '{}', llm_audit.searching_tasks(), false,
		'token, call_id, environment, organization_id, recorded_at
		FROM llm_audit.match_token WHERE {guard} AND {scope}',
		'Behind find_calls() and request_disclosure(); read by nobody directly.'),
	('search_fragments', 'llm_content', '{}', llm_audit.searching_tasks(), false,
		'id, call_id, request_id, environment, organization_id, service_name, recorded_at,
		kind, data_class FROM llm_audit.llm_content WHERE {guard} AND {scope}',
		'Behind request_disclosure(); read by nobody directly.'),

	('disclosed_content', 'llm_content',
		'{llm_audit_service_owner,llm_audit_oncall,llm_audit_developer,llm_audit_security,llm_audit_compliance,llm_audit_auditor}',
		NULL, true,
		llm_audit.disclosed_columns() || ', llm_audit.reveal(c.id, c.request_id,
			CASE WHEN g.expires_at > clock_timestamp() OR llm_audit.require_disclosure(g.id)
				THEN ' || llm_audit.body_expression() || ' END) AS body
 ' || llm_audit.disclosed_from(),
		'For whoever has an approved disclosure: the text that it covers, until it ends. What is read is recorded row by row.'),
	('review_events', 'admin_event', '{}',
		'{llm_audit_security,llm_audit_compliance,llm_audit_auditor}', false,
		'occurred_at, recorded_at, action, actor_id, target_type, target_id, "after"
		FROM llm_audit.admin_event WHERE {guard} AND {scope}',
		'Behind access_review(); read by nobody directly.'),
	('review_reads', 'access_log', '{}',
		'{llm_audit_security,llm_audit_compliance,llm_audit_auditor}', false,
		'login, occurred_at, recorded_at, event
		FROM llm_audit.access_log WHERE {guard} AND {scope}',
		'Behind access_review(); read by nobody directly.'),

	('search_texts', 'llm_content', '{}', llm_audit.searching_tasks(), true,
		llm_audit.disclosed_columns() || ', c.body ' || llm_audit.disclosed_from(),
		'Behind search_content(); read by nobody directly.'),
	('compliance_disclosures', NULL, '{llm_audit_compliance,llm_audit_auditor}', NULL, true,
		llm_audit.disclosure_columns() || '
		FROM llm_audit.disclosure g WHERE {guard}
		AND llm_audit.covers_scope(g.organizations, g.environments, g.services, ''{llm_audit_compliance,llm_audit_auditor}'')',
		'For compliance and auditors: who asked to see text, why, who approved it, for how long.'),
	('approver_requests', NULL, '{llm_audit_approver}', NULL, false,
		llm_audit.disclosure_columns() || '
		FROM llm_audit.disclosure g WHERE {guard}
		AND g.state = ANY (''{pending,approved_once}'')
		AND llm_audit.covers_scope(g.organizations, g.environments, g.services, ''{llm_audit_approver}'')',
		'For approvers: requests to see text that wait for a decision.'),
	('my_disclosures', NULL,
		'{llm_audit_service_owner,llm_audit_oncall,llm_audit_developer,llm_audit_security,llm_audit_compliance,llm_audit_auditor}',
		NULL, false,
		llm_audit.disclosure_columns() || '
		FROM llm_audit.disclosure g WHERE {guard} AND g.requester = session_user',
		'For whoever has asked to see text: what became of it.')
) AS v (view_name, ledger, readers, tasks, needs_reason, body, description)
$$;
COMMENT ON FUNCTION llm_audit.builtin_views() IS
	'the views that setup() makes over the ledgers: who may read them, whether a read needs a reason, what they are';
REVOKE EXECUTE ON FUNCTION llm_audit.builtin_views() FROM PUBLIC;

-- What is behind CREATE VIEW ... AS.  The view is named as text in its guard:
-- a constant of type regclass would make it depend on itself.
CREATE FUNCTION llm_audit.view_query(body text, view_name name, ledger name,
		tasks name[], needs_reason boolean) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'SELECT ' || replace(replace(body, '{guard}',
			format('(SELECT llm_audit.access_guard(%L::text::regclass, %L::boolean%s))',
				'llm_audit.' || view_name, needs_reason,
				CASE WHEN view_name IN ('disclosed_content', 'search_texts')
					THEN ', (SELECT llm_audit.live_disclosures())' ELSE '' END)),
		'{scope}', coalesce(llm_audit.scope_condition(ledger, tasks), 'false'))
$$;
COMMENT ON FUNCTION llm_audit.view_query(text, name, name, name[], boolean) IS
	'the query of a view in builtin_views(), with its conditions filled in; part of setup()';
REVOKE EXECUTE ON FUNCTION llm_audit.view_query(text, name, name, name[], boolean)
	FROM PUBLIC;

CREATE TABLE llm_audit.installed_object (
	kind text NOT NULL,
	object_name text NOT NULL,
	made_from bytea NOT NULL,
	definition bytea NOT NULL,
	server_version int NOT NULL,
	PRIMARY KEY (kind, object_name)
);
COMMENT ON TABLE llm_audit.installed_object IS
	'views and policies as setup() made them; verify() reports any that differ';
COMMENT ON COLUMN llm_audit.installed_object.kind IS 'view or policy';
COMMENT ON COLUMN llm_audit.installed_object.object_name IS
	'name of the view, or of the table and the policy';
COMMENT ON COLUMN llm_audit.installed_object.made_from IS
	'SHA-256 of what it was made of';
COMMENT ON COLUMN llm_audit.installed_object.definition IS
	'SHA-256 of the definition as the catalogs show it';
COMMENT ON COLUMN llm_audit.installed_object.server_version IS
	'major version of the server that showed it so';
SELECT pg_catalog.pg_extension_config_dump('llm_audit.installed_object', '');

CREATE FUNCTION llm_audit.current_object()
	RETURNS TABLE (kind text, object_name text, definition bytea)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
-- constants are shown by these
SET DateStyle = 'ISO'
SET IntervalStyle = 'postgres'
SET TimeZone = 'UTC'
SET bytea_output = 'hex'
SET extra_float_digits = 1
SET quote_all_identifiers = off
SET standard_conforming_strings = on
AS $$
	SELECT 'view', c.relname::text, sha256(convert_to(jsonb_build_array(
			pg_get_viewdef(c.oid), c.reloptions, pg_get_userbyid(c.relowner))::text, 'UTF8'))
		FROM pg_class c
		WHERE c.relkind = 'v' AND c.relnamespace = to_regnamespace('llm_audit')
			AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
				AND d.objid = c.oid AND d.deptype = 'e')
	UNION ALL
	SELECT 'policy', format('%s %s', c.relname, p.polname), sha256(convert_to(
			jsonb_build_array(p.polcmd, p.polpermissive,
				ARRAY(SELECT CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r) END
					FROM unnest(p.polroles) AS r ORDER BY 1),
				pg_get_expr(p.polqual, p.polrelid),
				pg_get_expr(p.polwithcheck, p.polrelid))::text, 'UTF8'))
		FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
		WHERE c.relnamespace = to_regnamespace('llm_audit')
$$;
COMMENT ON FUNCTION llm_audit.current_object() IS
	'views and policies in schema llm_audit as they are now, with a digest of all that decides what they let through';
REVOKE EXECUTE ON FUNCTION llm_audit.current_object() FROM PUBLIC;

CREATE FUNCTION llm_audit.note_object(what text, which text, query text) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
	INSERT INTO llm_audit.installed_object
		SELECT o.kind, o.object_name, sha256(convert_to(query, 'UTF8')), o.definition,
			current_setting('server_version_num')::int / 10000
		FROM llm_audit.current_object() o WHERE o.kind = what AND o.object_name = which
		ON CONFLICT ON CONSTRAINT installed_object_pkey DO UPDATE
		SET made_from = EXCLUDED.made_from, definition = EXCLUDED.definition,
			server_version = EXCLUDED.server_version
$$;
COMMENT ON FUNCTION llm_audit.note_object(text, text, text) IS
	'notes a view or policy as setup() has just made it';
REVOKE EXECUTE ON FUNCTION llm_audit.note_object(text, text, text) FROM PUBLIC;

-- Columns are described as those of the ledgers that they come from.
CREATE FUNCTION llm_audit.describe_view(view regclass, description text)
	RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	c record;
BEGIN
	EXECUTE format('COMMENT ON VIEW %s IS %L', view, description);
	FOR c IN
		SELECT a.attname, coalesce(b.description, d.description) AS description
		FROM pg_catalog.pg_attribute a
		LEFT JOIN llm_audit.view_column_descriptions() d ON d.column_name = a.attname
		LEFT JOIN LATERAL (SELECT x.description FROM llm_audit.builtin_columns() x
			WHERE x.column_name = a.attname AND (x.relation_name IS NULL
				OR EXISTS (SELECT FROM pg_catalog.pg_depend p
					JOIN pg_catalog.pg_rewrite r ON r.oid = p.objid
					WHERE p.classid = 'pg_rewrite'::regclass AND r.ev_class = view
						AND p.refobjid = to_regclass(format('llm_audit.%I', x.relation_name))))
			LIMIT 1) b ON true
		WHERE a.attrelid = view AND a.attnum > 0
	LOOP
		EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', view, c.attname, c.description);
	END LOOP;
END
$$;
COMMENT ON FUNCTION llm_audit.describe_view(regclass, text) IS
	'puts comments on a view and its columns; part of setup()';
REVOKE EXECUTE ON FUNCTION llm_audit.describe_view(regclass, text) FROM PUBLIC;

CREATE FUNCTION llm_audit.view_column_descriptions()
	RETURNS TABLE (column_name name, description text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
VALUES
	('local_time'::name, 'occurred_at by the clock on the wall where it happened'),
	('is_stored', 'text was stored and has not been erased'),
	('is_erased', 'some value of the row was erased'),
	('statement_id', 'id of the row in access_log that recorded the statement'),
	('disclosure_id', 'grant by which the row is shown'),
	('body', 'the text, masked; that the row was seen is recorded'),
	('ledger', 'the ledger, with its schema'),
	('retention', 'how long rows of no special data class are kept; NULL: for ever'),
	('segment_width', 'width of segments made from now on'),
	('open_segments', 'segments that take rows'),
	('closed_segments', 'segments that have ended'),
	('purged_segments', 'segments whose rows have expired and gone'),
	('first_from', 'start of the first segment that has one'),
	('last_until', 'end of the last segment that has one'),
	('erasable_columns', 'columns that can be erased one by one'),
	('kept_columns', 'columns that are not masked'),
	('column_name', 'the column'),
	('on_write', 'what becomes of values when they are written'),
	('pattern', 'what a kept value looks like'),
	('on_violation', 'what becomes of a value to keep that looks otherwise'),
	('period', 'how long the value is kept; NULL: as long as the row'),
	('encrypt', 'whether values are encrypted'),
	('humans_only', 'on_write is for rows whose actor is a person'),
	('erasable', 'the value can be erased by itself'),
	('changed_at', 'when the policy was last changed'),
	('changed_by', 'who changed it'),
	('enabled', 'whether the text of calls is stored'),
	('reason', 'why, masked'),
	('ticket', 'ticket under which it was done'),
	('environment', 'environment, e.g. prod, pilot or test'),
	('service_name', 'a service; * stands for all'),
	('found', 'the call, with the columns that the caller may see'),
	('subject', 'pseudonym of the person whom the call concerns'),
	('may_search', 'the caller may look for persons among calls like this'),
	('state', 'pending, approved_once, granted, expired, denied or revoked'),
	('requested_at', 'when it was asked for'),
	('requester', 'login that asked'),
	('requester_authentication_id', 'method and identity under which that login was authenticated'),
	('scope', 'what was asked for; identifiers of customers as tokens'),
	('duration', 'for how long'),
	('allow_export', 'whether rows may be taken out in bulk'),
	('organizations', 'organizations of the calls'),
	('environments', 'environments of the calls'),
	('services', 'services of the calls'),
	('call_count', 'calls that it covers'),
	('subject_count', 'persons whom they concern'),
	('data_class', 'public, internal, personal or banking_secrecy'),
	('needs_second', 'two different approvers are needed'),
	('expires_at', 'when the grant ends by itself'),
	('approvers', 'who approved, in order'),
	('decisions', 'who decided what and when, in order')
$$;
COMMENT ON FUNCTION llm_audit.view_column_descriptions() IS
	'descriptions of columns that views have and ledgers have not';
REVOKE EXECUTE ON FUNCTION llm_audit.view_column_descriptions() FROM PUBLIC;

-- Makes a view; whoever may read it, nobody may do anything else.
CREATE FUNCTION llm_audit.create_view(view_name name, query text,
		readers name[], description text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	view regclass;
BEGIN
	EXECUTE format('CREATE VIEW llm_audit.%I WITH (security_barrier) AS %s',
		view_name, query);
	view := format('llm_audit.%I', view_name)::regclass;
	EXECUTE format('ALTER VIEW %s OWNER TO llm_audit_view_owner', view);
	PERFORM llm_audit.revoke_defaults(view);
	PERFORM llm_audit.describe_view(view, description);
	IF cardinality(readers) > 0 THEN
		EXECUTE format('GRANT SELECT ON %s TO %s', view, array_to_string(readers, ', '));
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.create_view(name, text, name[], text) IS
	'makes one of the views of builtin_views(); part of setup()';
REVOKE EXECUTE ON FUNCTION llm_audit.create_view(name, text, name[], text) FROM PUBLIC;

-- A view that somebody has changed stays as it is: verify() reports it.
CREATE FUNCTION llm_audit.install_views() RETURNS SETOF text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v record;
	source text;
BEGIN
	FOR v IN
		SELECT b.*, q.query, to_regclass(format('llm_audit.%I', b.view_name)) AS present
		FROM llm_audit.builtin_views() b
		CROSS JOIN LATERAL llm_audit.view_query(b.body, b.view_name, b.ledger,
			b.tasks, b.needs_reason) AS q (query)
	LOOP
		source := v.query || v.readers::text || v.description;
		CONTINUE WHEN v.present IS NOT NULL AND EXISTS (
			SELECT FROM llm_audit.installed_object i
			WHERE i.kind = 'view' AND i.object_name = v.view_name
				AND i.made_from = sha256(convert_to(source, 'UTF8'))
				AND i.server_version = current_setting('server_version_num')::int / 10000);
		IF v.present IS NOT NULL THEN
			EXECUTE format('DROP VIEW %s', v.present);
		END IF;
		PERFORM llm_audit.create_view(v.view_name, v.query, v.readers, v.description);
		PERFORM llm_audit.note_object('view', v.view_name, source);
		RETURN NEXT v.view_name;
	END LOOP;
END
$$;
COMMENT ON FUNCTION llm_audit.install_views() IS
	'makes the views that are missing or that another version made, and returns their names; part of setup()';
REVOKE EXECUTE ON FUNCTION llm_audit.install_views() FROM PUBLIC;

CREATE FUNCTION llm_audit.drop_views() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v record;
BEGIN
	FOR v IN SELECT i.object_name FROM llm_audit.installed_object i
		WHERE i.kind = 'view' AND to_regclass(format('llm_audit.%I', i.object_name)) IS NOT NULL
	LOOP
		EXECUTE format('DROP VIEW llm_audit.%I', v.object_name);
	END LOOP;
	DELETE FROM llm_audit.installed_object;
	DELETE FROM llm_audit.disclosure_call;
	DELETE FROM llm_audit.disclosure_decision;
	DELETE FROM llm_audit.disclosure;
END
$$;
COMMENT ON FUNCTION llm_audit.drop_views() IS
	'drops the views that setup() made and forgets disclosures; part of uninstall()';
REVOKE EXECUTE ON FUNCTION llm_audit.drop_views() FROM PUBLIC;
