-- Disclosure: full text only by request.  Somebody asks, somebody else
-- approves, a second one too where the data need it; then disclosed_content
-- shows the rows to the one who asked, until the grant ends by itself.
--
-- Which calls a request covers is found when it is made and kept beside it:
-- what is approved is a list, not a condition that may come to mean more.

CREATE TABLE llm_audit.disclosure (
	id uuid PRIMARY KEY,
	state text NOT NULL DEFAULT 'pending'
		CHECK (state IN ('pending', 'approved_once', 'granted', 'denied', 'revoked', 'expired')),
	requested_at timestamptz NOT NULL,
	requester name NOT NULL,
	requester_authentication_id text,
	reason text NOT NULL,
	ticket text NOT NULL,
	scope jsonb NOT NULL,
	kinds text[],
	duration interval NOT NULL,
	allow_export boolean NOT NULL,
	organizations text[] NOT NULL,
	environments text[] NOT NULL,
	services text[] NOT NULL,
	call_count bigint NOT NULL,
	subject_count bigint NOT NULL,
	data_class text NOT NULL,
	needs_second boolean NOT NULL,
	approvals int NOT NULL DEFAULT 0,
	expires_at timestamptz
);
COMMENT ON TABLE llm_audit.disclosure IS
	'requests to see text, and the grants that became of them; the evidence is in admin_event';
COMMENT ON COLUMN llm_audit.disclosure.id IS 'identity of the request and of the grant';
COMMENT ON COLUMN llm_audit.disclosure.state IS
	'pending, approved_once: waits for a second approver; granted until expires_at; denied, revoked, expired';
COMMENT ON COLUMN llm_audit.disclosure.requested_at IS 'when it was asked for';
COMMENT ON COLUMN llm_audit.disclosure.requester IS 'session user who asked';
COMMENT ON COLUMN llm_audit.disclosure.requester_authentication_id IS
	'method and identity under which the requester was authenticated';
COMMENT ON COLUMN llm_audit.disclosure.reason IS 'why, masked';
COMMENT ON COLUMN llm_audit.disclosure.ticket IS 'ticket under which it was asked for';
COMMENT ON COLUMN llm_audit.disclosure.scope IS
	'what was asked for; a customer is replaced by tokens';
COMMENT ON COLUMN llm_audit.disclosure.kinds IS 'kinds of fragments; NULL: all';
COMMENT ON COLUMN llm_audit.disclosure.duration IS 'for how long from the approval';
COMMENT ON COLUMN llm_audit.disclosure.allow_export IS 'whether rows may be taken out in bulk';
COMMENT ON COLUMN llm_audit.disclosure.organizations IS 'organizations of the calls';
COMMENT ON COLUMN llm_audit.disclosure.environments IS 'environments of the calls';
COMMENT ON COLUMN llm_audit.disclosure.services IS 'services of the calls';
COMMENT ON COLUMN llm_audit.disclosure.call_count IS 'calls that it covers';
COMMENT ON COLUMN llm_audit.disclosure.subject_count IS 'different persons whom these calls name';
COMMENT ON COLUMN llm_audit.disclosure.data_class IS 'highest class of the calls and their fragments';
COMMENT ON COLUMN llm_audit.disclosure.needs_second IS 'two different approvers are needed';
COMMENT ON COLUMN llm_audit.disclosure.approvals IS 'how many have approved';
COMMENT ON COLUMN llm_audit.disclosure.expires_at IS 'when the grant ends; NULL: it has not begun';

CREATE TABLE llm_audit.disclosure_decision (
	disclosure_id uuid NOT NULL REFERENCES llm_audit.disclosure,
	n int NOT NULL,
	decided_at timestamptz NOT NULL,
	decided_by name NOT NULL,
	authentication_id text,
	decision text NOT NULL
		CHECK (decision IN ('approved', 'denied', 'revoked')),
	comment text,
	PRIMARY KEY (disclosure_id, n)
);
COMMENT ON TABLE llm_audit.disclosure_decision IS 'who decided what about a disclosure';
COMMENT ON COLUMN llm_audit.disclosure_decision.disclosure_id IS 'the disclosure';
COMMENT ON COLUMN llm_audit.disclosure_decision.n IS 'number of the decision, from 1';
COMMENT ON COLUMN llm_audit.disclosure_decision.decided_at IS 'when';
COMMENT ON COLUMN llm_audit.disclosure_decision.decided_by IS 'session user who decided';
COMMENT ON COLUMN llm_audit.disclosure_decision.authentication_id IS
	'method and identity under which that user was authenticated';
COMMENT ON COLUMN llm_audit.disclosure_decision.decision IS 'approved, denied or revoked';
COMMENT ON COLUMN llm_audit.disclosure_decision.comment IS 'what was said about it, masked';

CREATE TABLE llm_audit.disclosure_call (
	disclosure_id uuid NOT NULL REFERENCES llm_audit.disclosure,
	call_id uuid NOT NULL,
	environment text NOT NULL,
	PRIMARY KEY (disclosure_id, call_id)
);
COMMENT ON TABLE llm_audit.disclosure_call IS 'calls that a disclosure covers';
COMMENT ON COLUMN llm_audit.disclosure_call.disclosure_id IS 'the disclosure';
COMMENT ON COLUMN llm_audit.disclosure_call.call_id IS 'id of the row in llm_call';
COMMENT ON COLUMN llm_audit.disclosure_call.environment IS 'environment of the call';

SELECT pg_catalog.pg_extension_config_dump('llm_audit.disclosure', '');
SELECT pg_catalog.pg_extension_config_dump('llm_audit.disclosure_decision', '');
SELECT pg_catalog.pg_extension_config_dump('llm_audit.disclosure_call', '');

CREATE FUNCTION llm_audit.authentication_id() RETURNS text
	LANGUAGE c STABLE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'llm_audit_authentication_id';
COMMENT ON FUNCTION llm_audit.authentication_id() IS
	'method and identity under which the session was authenticated, e.g. cert:CN=anna; NULL: by none that has an identity';

-- ---------------- who may ask and decide ----------------

-- Behind a shared login there is no telling who it is.
CREATE FUNCTION llm_audit.require_person() RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF llm_audit.reader_setting('reader') IS NOT NULL
		OR EXISTS (SELECT FROM llm_audit.staff_roster s
			WHERE s.login = session_user AND s.kind <> 'person')
	THEN
		PERFORM llm_audit.refuse('llm_audit.disclosure', 'insufficient_privilege',
			'a shared login can neither ask for a disclosure nor decide on one',
			'Connect as yourself.');
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.require_person() IS
	'raises 42501 unless the session is that of one person; part of the disclosure functions';
REVOKE EXECUTE ON FUNCTION llm_audit.require_person() FROM PUBLIC;

-- The same person by login, by authentication, or by the roster.
CREATE FUNCTION llm_audit.is_same_person(login name, authentication_id text)
	RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT login = session_user
		OR coalesce(authentication_id = llm_audit.authentication_id(), false)
		OR EXISTS (SELECT FROM llm_audit.staff_roster a
			JOIN llm_audit.staff_roster b ON b.person = a.person
			WHERE a.login = is_same_person.login AND b.login = session_user)
$$;
COMMENT ON FUNCTION llm_audit.is_same_person(name, text) IS
	'whether a login, authenticated so, is the person of this session; part of approve_disclosure()';
REVOKE EXECUTE ON FUNCTION llm_audit.is_same_person(name, text) FROM PUBLIC;

-- Whether all of these are in the caller's scope.
CREATE FUNCTION llm_audit.covers_scope(organizations text[], environments text[],
		services text[], tasks name[]) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT (llm_audit.scope_is_all('organizations', tasks)
			OR organizations <@ llm_audit.scope('organizations', tasks))
		AND environments <@ llm_audit.scope('environments', tasks)
		AND (llm_audit.scope_is_all('services', tasks)
			OR services <@ llm_audit.scope('services', tasks))
$$;
COMMENT ON FUNCTION llm_audit.covers_scope(text[], text[], text[], name[]) IS
	'whether organizations, environments and services are all in the caller''s scope for some roles';

-- ---------------- what is asked for ----------------

CREATE FUNCTION llm_audit.scope_text(scope jsonb, key text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT scope ? key THEN
		RETURN NULL;
	ELSIF jsonb_typeof(scope -> key) <> 'string' OR btrim(scope ->> key) = '' THEN
		RAISE EXCEPTION 'key "%" of the scope must be a string that is not empty', key
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	RETURN scope ->> key;
END
$$;
COMMENT ON FUNCTION llm_audit.scope_text(jsonb, text) IS
	'a string of a scope, or NULL if it has none; part of read_scope()';
REVOKE EXECUTE ON FUNCTION llm_audit.scope_text(jsonb, text) FROM PUBLIC;

CREATE FUNCTION llm_audit.scope_list(scope jsonb, key text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT scope ? key THEN
		RETURN NULL;
	ELSIF jsonb_typeof(scope -> key) <> 'array' OR jsonb_array_length(scope -> key) = 0
		OR jsonb_path_exists(scope -> key, '$[*] ? (@.type() != "string" || @ == "")')
	THEN
		RAISE EXCEPTION 'key "%" of the scope must be an array of strings that are not empty', key
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	RETURN ARRAY(SELECT jsonb_array_elements_text(scope -> key));
END
$$;
COMMENT ON FUNCTION llm_audit.scope_list(jsonb, text) IS
	'a list of a scope, or NULL if it has none; part of read_scope()';
REVOKE EXECUTE ON FUNCTION llm_audit.scope_list(jsonb, text) FROM PUBLIC;

CREATE FUNCTION llm_audit.scope_time(scope jsonb, key text) RETURNS timestamptz
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	value timestamptz;
BEGIN
	value := llm_audit.scope_text(scope, key)::timestamptz;
	IF NOT isfinite(value) THEN
		RAISE datetime_field_overflow;
	END IF;
	RETURN value;
EXCEPTION WHEN invalid_datetime_format OR datetime_field_overflow
	OR invalid_time_zone_displacement_value
THEN
	RAISE EXCEPTION 'key "%" of the scope must be a time', key
		USING ERRCODE = 'invalid_parameter_value';
END
$$;
COMMENT ON FUNCTION llm_audit.scope_time(jsonb, text) IS
	'a time of a scope, or NULL if it has none; part of read_scope()';
REVOKE EXECUTE ON FUNCTION llm_audit.scope_time(jsonb, text) FROM PUBLIC;

CREATE FUNCTION llm_audit.check_scope(scope jsonb) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	unknown text;
BEGIN
	IF scope IS NULL OR jsonb_typeof(scope) <> 'object' THEN
		RAISE EXCEPTION 'the scope must be an object'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT min(k) INTO unknown FROM jsonb_object_keys(scope) AS k
		WHERE k <> ALL ('{request_ids,actor_id,end_user_id,customer,organization_id,environment,service_name,ledger,occurred_from,occurred_to,kinds}');
	IF unknown IS NOT NULL THEN
		RAISE EXCEPTION 'the scope has the unknown key "%"', left(unknown, 40)
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'It may have request_ids, actor_id, end_user_id, customer, organization_id, environment, service_name, ledger, occurred_from, occurred_to and kinds.';
	ELSIF NOT scope ?| '{request_ids,actor_id,end_user_id,customer}'
		AND NOT scope ?& '{occurred_from,occurred_to}'
	THEN
		RAISE EXCEPTION 'the scope names neither requests, nor a person, nor a time from and to'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Nobody approves a disclosure of everything.';
	ELSIF coalesce(scope ->> 'ledger', 'llm_content') NOT IN ('llm_content', 'llm_audit.llm_content') THEN
		RAISE EXCEPTION 'only text of ledger "llm_content" can be disclosed'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF scope ? 'environment' AND NOT EXISTS (SELECT FROM llm_audit.environment e
		WHERE e.name = scope ->> 'environment')
	THEN
		RAISE EXCEPTION 'key "environment" of the scope is not an environment'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'The environments are in llm_audit.environment.';
	ELSIF NOT coalesce(llm_audit.scope_list(scope, 'kinds'), '{}')
		<@ '{system_instructions,prompt,response,tool_call,tool_result,retrieved_context}'
	THEN
		RAISE EXCEPTION 'key "kinds" of the scope has an unknown kind'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Kinds are system_instructions, prompt, response, tool_call, tool_result and retrieved_context.';
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.check_scope(jsonb) IS
	'raises 22023 for a scope that cannot be one; part of request_disclosure()';
REVOKE EXECUTE ON FUNCTION llm_audit.check_scope(jsonb) FROM PUBLIC;

CREATE FUNCTION llm_audit.read_scope(scope jsonb) RETURNS llm_audit.call_filter
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	wanted llm_audit.call_filter;
	customer text;
BEGIN
	PERFORM llm_audit.check_scope(scope);
	wanted.request_ids := llm_audit.scope_list(scope, 'request_ids');
	wanted.actors := llm_audit.known_as(llm_audit.scope_text(scope, 'actor_id'), 'actor_id');
	wanted.end_users := llm_audit.known_as(llm_audit.scope_text(scope, 'end_user_id'), 'end_user_id');
	customer := llm_audit.scope_text(scope, 'customer');
	IF customer IS NOT NULL THEN
		wanted.customers := llm_audit.known_as(customer, 'customer_key')
			|| llm_audit.known_as(customer, 'end_user_id');
		wanted.tokens := llm_audit.compute_tokens(customer, NULL);
	END IF;
	wanted.organization_id := llm_audit.scope_text(scope, 'organization_id');
	wanted.environment := llm_audit.scope_text(scope, 'environment');
	wanted.service_name := llm_audit.scope_text(scope, 'service_name');
	wanted.occurred_from := llm_audit.scope_time(scope, 'occurred_from');
	wanted.occurred_to := llm_audit.scope_time(scope, 'occurred_to');
	wanted.max_lag := interval '31 days';
	wanted.max_rows := current_setting('llm_audit.disclosure_max_calls')::int + 1;
	IF wanted.occurred_from >= wanted.occurred_to THEN
		RAISE EXCEPTION 'occurred_from of the scope must be before occurred_to'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	RETURN wanted;
END
$$;
COMMENT ON FUNCTION llm_audit.read_scope(jsonb) IS
	'what a scope looks for; part of request_disclosure()';
REVOKE EXECUTE ON FUNCTION llm_audit.read_scope(jsonb) FROM PUBLIC;

-- The scope as it is kept: no identifier of a person in it but pseudonyms.
CREATE FUNCTION llm_audit.kept_scope(scope jsonb, wanted llm_audit.call_filter)
	RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT (scope - '{customer,actor_id,end_user_id}'::text[])
		|| CASE WHEN scope ? 'customer' THEN jsonb_build_object('customer_tokens',
			to_jsonb(coalesce(nullif(wanted.tokens, '{}'), wanted.customers[2:2]))) ELSE '{}' END
		|| CASE WHEN scope ? 'actor_id' THEN jsonb_build_object('actor_ids',
			to_jsonb(coalesce(nullif(wanted.actors[2:], '{}'), wanted.actors))) ELSE '{}' END
		|| CASE WHEN scope ? 'end_user_id' THEN jsonb_build_object('end_user_ids',
			to_jsonb(coalesce(nullif(wanted.end_users[2:], '{}'), wanted.end_users))) ELSE '{}' END
$$;
COMMENT ON FUNCTION llm_audit.kept_scope(jsonb, llm_audit.call_filter) IS
	'a scope without identifiers as they were given; part of request_disclosure()';
REVOKE EXECUTE ON FUNCTION llm_audit.kept_scope(jsonb, llm_audit.call_filter) FROM PUBLIC;

-- ---------------- asking ----------------

CREATE TYPE llm_audit.disclosure_extent AS (
	calls uuid[],
	call_environments text[],
	organizations text[],
	environments text[],
	services text[],
	call_count bigint,
	subject_count bigint,
	data_class text
);
COMMENT ON TYPE llm_audit.disclosure_extent IS 'what a scope covers; part of request_disclosure()';

CREATE FUNCTION llm_audit.class_rank(data_class text) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(array_position('{public,internal,personal,banking_secrecy}', data_class), 4)
$$;
COMMENT ON FUNCTION llm_audit.class_rank(text) IS
	'orders data classes: public 1 to banking_secrecy 4; anything else counts as the highest';
REVOKE EXECUTE ON FUNCTION llm_audit.class_rank(text) FROM PUBLIC;

-- Runs as the owner of the views: what the caller cannot reach is not in it.
CREATE FUNCTION llm_audit.measure_disclosure(wanted llm_audit.call_filter)
	RETURNS llm_audit.disclosure_extent
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	result llm_audit.disclosure_extent;
	fragments int;
BEGIN
	SELECT array_agg(f.id), array_agg(f.environment),
			array_agg(DISTINCT f.organization_id), array_agg(DISTINCT f.environment),
			array_agg(DISTINCT f.service_name), count(*), count(DISTINCT f.subject),
			max(llm_audit.class_rank(f.data_class))::text
		INTO result
		FROM (SELECT DISTINCT ON ((s.found).id) (s.found).*, s.subject
			FROM llm_audit.select_calls(wanted) s ORDER BY (s.found).id) AS f;
	SELECT max(llm_audit.class_rank(t.data_class)) INTO fragments
		FROM llm_audit.search_fragments t WHERE t.call_id = ANY (result.calls);
	result.data_class := ('{public,internal,personal,banking_secrecy}'::text[])
		[greatest(result.data_class::int, fragments)];
	RETURN result;
END
$$;
COMMENT ON FUNCTION llm_audit.measure_disclosure(llm_audit.call_filter) IS
	'calls in the caller''s scope that a filter finds, whom they concern, and the highest class of them and their fragments; part of request_disclosure()';
REVOKE EXECUTE ON FUNCTION llm_audit.measure_disclosure(llm_audit.call_filter) FROM PUBLIC;

CREATE FUNCTION llm_audit.check_request(reason text, ticket text,
		duration interval, allow_export boolean) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	longest interval := current_setting('llm_audit.disclosure_max_duration')::interval;
BEGIN
	PERFORM llm_audit.require_person();
	IF coalesce(btrim(reason), '') = '' THEN
		PERFORM llm_audit.refuse('llm_audit.disclosure', 'invalid_parameter_value',
			'a reason is needed to ask for a disclosure',
			'Say what happened and why the text is needed.');
	ELSIF coalesce(btrim(ticket), '') = '' THEN
		RAISE EXCEPTION 'a ticket is needed to ask for a disclosure'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF duration IS NULL OR duration <= interval '0' OR duration > longest THEN
		RAISE EXCEPTION 'duration of a disclosure must be positive and at most %', longest
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'The longest is "llm_audit.disclosure_max_duration".';
	ELSIF allow_export IS NULL THEN
		RAISE EXCEPTION 'allow_export must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.check_request(text, text, interval, boolean) IS
	'raises an error for a disclosure that cannot be asked for; part of request_disclosure()';
REVOKE EXECUTE ON FUNCTION llm_audit.check_request(text, text, interval, boolean) FROM PUBLIC;

CREATE FUNCTION llm_audit.record_disclosure_event(action text,
		d llm_audit.disclosure, reason text, details jsonb) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM llm_audit.record_access_event(ROW(action, 'disclosure', d.id, reason,
		NULL, jsonb_build_object('requester', d.requester, 'calls', d.call_count,
			'data_class', d.data_class) || coalesce(details, '{}'),
		d.organizations[1], d.environments[1], left(d.ticket, 100), d.id,
		ARRAY(SELECT x.decided_by::text FROM llm_audit.disclosure_decision x
			WHERE x.disclosure_id = d.id AND x.decision = 'approved' ORDER BY x.n),
		'success')::llm_audit.access_event);
END
$$;
COMMENT ON FUNCTION llm_audit.record_disclosure_event(text, llm_audit.disclosure, text, jsonb) IS
	'writes an admin_event about a disclosure, in the log of its calls';
REVOKE EXECUTE ON FUNCTION llm_audit.record_disclosure_event(text, llm_audit.disclosure, text, jsonb)
	FROM PUBLIC;

CREATE FUNCTION llm_audit.request_disclosure(reason text, ticket text, scope jsonb,
		duration interval DEFAULT '4 hours', allow_export boolean DEFAULT false)
	RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	wanted llm_audit.call_filter;
	extent llm_audit.disclosure_extent;
	d llm_audit.disclosure;
	most int := current_setting('llm_audit.disclosure_max_calls')::int;
BEGIN
	PERFORM llm_audit.check_request(reason, ticket, duration, allow_export);
	PERFORM llm_audit.expire_disclosures();
	wanted := llm_audit.read_scope(scope);
	extent := llm_audit.measure_disclosure(wanted);
	IF coalesce(extent.call_count, 0) = 0 THEN
		RAISE EXCEPTION 'the scope covers no call that you may reach'
			USING ERRCODE = 'no_data_found',
				HINT = 'Look with llm_audit.find_calls(); what a role may reach is set by llm_audit.set_scope().';
	ELSIF extent.call_count > most THEN
		RAISE EXCEPTION 'the scope covers more than % calls', most
			USING ERRCODE = 'program_limit_exceeded',
				HINT = 'Narrow it; the limit is "llm_audit.disclosure_max_calls".';
	END IF;
	INSERT INTO llm_audit.disclosure (id, requested_at, requester,
			requester_authentication_id, reason, ticket, scope, kinds, duration,
			allow_export, organizations, environments, services, call_count,
			subject_count, data_class, needs_second)
		VALUES (llm_audit.uuid7(), clock_timestamp(), session_user,
			llm_audit.authentication_id(), llm_audit.mask(reason),
			llm_audit.mask(ticket), llm_audit.kept_scope(scope, wanted),
			llm_audit.scope_list(scope, 'kinds'), duration, allow_export,
			extent.organizations, extent.environments,
			extent.services, extent.call_count, extent.subject_count,
			extent.data_class, llm_audit.class_rank(extent.data_class) > 2)
		RETURNING * INTO d;
	INSERT INTO llm_audit.disclosure_call (disclosure_id, call_id, environment)
		SELECT d.id, c.id, c.environment
		FROM unnest(extent.calls, extent.call_environments) AS c (id, environment);
	PERFORM llm_audit.record_disclosure_event('disclosure.requested', d, reason,
		jsonb_build_object('scope', d.scope, 'duration', d.duration,
			'allow_export', d.allow_export, 'needs_second', d.needs_second));
	RETURN d.id;
END
$$;
COMMENT ON FUNCTION llm_audit.request_disclosure(text, text, jsonb, interval, boolean) IS
	'asks to see the text of calls in the caller''s scope; scope is an object of request_ids, actor_id, end_user_id, customer, organization_id, environment, service_name, ledger, occurred_from, occurred_to and kinds, duration counts from the approval; returns the id to approve; recorded';
REVOKE EXECUTE ON FUNCTION llm_audit.request_disclosure(text, text, jsonb, interval, boolean)
	FROM PUBLIC;

-- ---------------- deciding ----------------

-- The disclosure for an approver who may decide on it, locked.
CREATE FUNCTION llm_audit.disclosure_to_decide(id uuid, states text[])
	RETURNS llm_audit.disclosure
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	d llm_audit.disclosure;
BEGIN
	SELECT r.* INTO d FROM llm_audit.disclosure r WHERE r.id = id FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no such disclosure'
			USING ERRCODE = 'no_data_found';
	ELSIF d.state = 'granted' AND d.expires_at <= clock_timestamp() THEN
		d.state := 'expired';
	END IF;
	IF d.state <> ALL (states) THEN
		RAISE EXCEPTION 'the disclosure is %', replace(d.state, '_', ' ')
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'What was decided is final; ask again with llm_audit.request_disclosure().';
	END IF;
	RETURN d;
END
$$;
COMMENT ON FUNCTION llm_audit.disclosure_to_decide(uuid, text[]) IS
	'the disclosure, locked, or an error if it is in none of these states; part of approve_disclosure() and its like';
REVOKE EXECUTE ON FUNCTION llm_audit.disclosure_to_decide(uuid, text[]) FROM PUBLIC;

CREATE FUNCTION llm_audit.require_approver(d llm_audit.disclosure) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT llm_audit.is_member(session_user, 'llm_audit_approver') THEN
		PERFORM llm_audit.refuse('llm_audit.disclosure', 'insufficient_privilege',
			'only members of llm_audit_approver decide on disclosures',
			'Being a superuser is not enough.');
	ELSIF NOT llm_audit.covers_scope(d.organizations, d.environments, d.services, '{llm_audit_approver}') THEN
		PERFORM llm_audit.refuse('llm_audit.disclosure', 'insufficient_privilege',
			'the disclosure reaches beyond your scope',
			'What an approver may reach is set by llm_audit.set_scope().');
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.require_approver(llm_audit.disclosure) IS
	'raises 42501 unless this session may decide on the disclosure; part of approve_disclosure() and its like';
REVOKE EXECUTE ON FUNCTION llm_audit.require_approver(llm_audit.disclosure) FROM PUBLIC;

CREATE FUNCTION llm_audit.add_decision(d llm_audit.disclosure, decision text,
		comment text) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
	INSERT INTO llm_audit.disclosure_decision
		SELECT d.id, 1 + count(*), clock_timestamp(), session_user,
			llm_audit.authentication_id(), add_decision.decision,
			llm_audit.mask(add_decision.comment)
		FROM llm_audit.disclosure_decision x WHERE x.disclosure_id = d.id
$$;
COMMENT ON FUNCTION llm_audit.add_decision(llm_audit.disclosure, text, text) IS
	'notes who decided what about a disclosure; part of approve_disclosure() and its like';
REVOKE EXECUTE ON FUNCTION llm_audit.add_decision(llm_audit.disclosure, text, text) FROM PUBLIC;

CREATE FUNCTION llm_audit.preview_disclosure(id uuid)
	RETURNS TABLE (calls bigint, data_class text, subjects bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	d llm_audit.disclosure;
BEGIN
	SELECT r.* INTO d FROM llm_audit.disclosure r WHERE r.id = id;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no such disclosure'
			USING ERRCODE = 'no_data_found';
	ELSIF NOT llm_audit.is_same_person(d.requester, d.requester_authentication_id) THEN
		PERFORM llm_audit.require_approver(d);
	END IF;
	PERFORM llm_audit.record_disclosure_event('disclosure.previewed', d, NULL, NULL);
	RETURN QUERY SELECT d.call_count, d.data_class, d.subject_count;
END
$$;
COMMENT ON FUNCTION llm_audit.preview_disclosure(uuid) IS
	'how many calls a disclosure covers, the highest class of data in them and how many persons they name, before it is decided; for approvers and for who asked; recorded';
REVOKE EXECUTE ON FUNCTION llm_audit.preview_disclosure(uuid) FROM PUBLIC;

-- Nobody approves what they asked for themselves, nor twice.
CREATE FUNCTION llm_audit.require_other_eyes(d llm_audit.disclosure) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF llm_audit.is_same_person(d.requester, d.requester_authentication_id) THEN
		PERFORM llm_audit.refuse('llm_audit.disclosure', 'insufficient_privilege',
			'nobody approves a disclosure that they asked for',
			'Another member of llm_audit_approver has to.');
	ELSIF EXISTS (SELECT FROM llm_audit.disclosure_decision x
		WHERE x.disclosure_id = d.id AND x.decision = 'approved'
			AND llm_audit.is_same_person(x.decided_by, x.authentication_id))
	THEN
		PERFORM llm_audit.refuse('llm_audit.disclosure', 'insufficient_privilege',
			'the second approver must be somebody else than the first',
			'Another member of llm_audit_approver has to.');
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.require_other_eyes(llm_audit.disclosure) IS
	'raises 42501 if this session asked for the disclosure or has approved it; part of approve_disclosure()';
REVOKE EXECUTE ON FUNCTION llm_audit.require_other_eyes(llm_audit.disclosure) FROM PUBLIC;

CREATE FUNCTION llm_audit.approve_disclosure(id uuid, comment text DEFAULT NULL)
	RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	d llm_audit.disclosure;
	missing boolean;
BEGIN
	PERFORM llm_audit.require_person();
	PERFORM llm_audit.expire_disclosures();
	d := llm_audit.disclosure_to_decide(id, '{pending,approved_once}');
	PERFORM llm_audit.require_other_eyes(d);
	PERFORM llm_audit.require_approver(d);
	PERFORM llm_audit.add_decision(d, 'approved', comment);
	missing := d.needs_second AND d.approvals = 0;
	UPDATE llm_audit.disclosure r SET approvals = r.approvals + 1,
			state = CASE WHEN missing THEN 'approved_once' ELSE 'granted' END,
			expires_at = CASE WHEN NOT missing THEN clock_timestamp() + r.duration END
		WHERE r.id = d.id RETURNING r.* INTO d;
	PERFORM llm_audit.record_disclosure_event(
		CASE WHEN d.approvals > 1 THEN 'disclosure.second_approved'
			ELSE 'disclosure.approved' END, d, comment,
		jsonb_build_object('second_needed', missing, 'expires_at', d.expires_at,
			'allow_export', d.allow_export));
	RETURN CASE WHEN missing THEN 'second_needed' ELSE 'approved' END;
END
$$;
COMMENT ON FUNCTION llm_audit.approve_disclosure(uuid, text) IS
	'approves a disclosure that somebody else asked for, in whose scope it is; returns approved, and the time runs, or second_needed: personal data and banking secrecy need a second, different approver; recorded';
REVOKE EXECUTE ON FUNCTION llm_audit.approve_disclosure(uuid, text) FROM PUBLIC;

CREATE FUNCTION llm_audit.deny_disclosure(id uuid, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	d llm_audit.disclosure;
BEGIN
	PERFORM llm_audit.require_person();
	PERFORM llm_audit.require_reason(reason, 'deny a disclosure');
	d := llm_audit.disclosure_to_decide(id, '{pending,approved_once}');
	PERFORM llm_audit.require_approver(d);
	PERFORM llm_audit.add_decision(d, 'denied', reason);
	UPDATE llm_audit.disclosure r SET state = 'denied' WHERE r.id = d.id
		RETURNING r.* INTO d;
	DELETE FROM llm_audit.disclosure_call c WHERE c.disclosure_id = d.id;
	PERFORM llm_audit.record_disclosure_event('disclosure.denied', d, reason, NULL);
END
$$;
COMMENT ON FUNCTION llm_audit.deny_disclosure(uuid, text) IS
	'refuses a disclosure for good; for approvers; recorded';
REVOKE EXECUTE ON FUNCTION llm_audit.deny_disclosure(uuid, text) FROM PUBLIC;

-- Taking away is easier than giving: who asked may, security may.
CREATE FUNCTION llm_audit.revoke_disclosure(id uuid, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	d llm_audit.disclosure;
BEGIN
	PERFORM llm_audit.require_reason(reason, 'revoke a disclosure');
	d := llm_audit.disclosure_to_decide(id, '{pending,approved_once,granted}');
	IF NOT llm_audit.is_same_person(d.requester, d.requester_authentication_id)
		AND NOT (llm_audit.is_member(session_user, 'llm_audit_security')
			AND llm_audit.covers_scope(d.organizations, d.environments, d.services, '{llm_audit_security}'))
	THEN
		PERFORM llm_audit.require_approver(d);
	END IF;
	PERFORM llm_audit.add_decision(d, 'revoked', reason);
	UPDATE llm_audit.disclosure r SET state = 'revoked' WHERE r.id = d.id
		RETURNING r.* INTO d;
	DELETE FROM llm_audit.disclosure_call c WHERE c.disclosure_id = d.id;
	PERFORM llm_audit.record_disclosure_event('disclosure.revoked', d, reason, NULL);
END
$$;
COMMENT ON FUNCTION llm_audit.revoke_disclosure(uuid, text) IS
	'ends a request or a grant at once, for statements that begin from now on; for approvers, security and who asked; recorded';
REVOKE EXECUTE ON FUNCTION llm_audit.revoke_disclosure(uuid, text) FROM PUBLIC;

-- A grant ends by the clock; this records that it did and forgets its calls.
CREATE FUNCTION llm_audit.expire_disclosures() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	d llm_audit.disclosure;
	ended int := 0;
BEGIN
	FOR d IN SELECT r.* FROM llm_audit.disclosure r
		WHERE r.state = 'granted' AND r.expires_at <= clock_timestamp()
		FOR UPDATE SKIP LOCKED
	LOOP
		UPDATE llm_audit.disclosure r SET state = 'expired' WHERE r.id = d.id;
		DELETE FROM llm_audit.disclosure_call c WHERE c.disclosure_id = d.id;
		PERFORM llm_audit.record_disclosure_event('disclosure.expired', d, NULL,
			jsonb_build_object('expires_at', d.expires_at));
		ended := ended + 1;
	END LOOP;
	RETURN ended;
END
$$;
COMMENT ON FUNCTION llm_audit.expire_disclosures() IS
	'records grants that have reached their end and returns how many; schedule it, or leave it to the next request or approval: a grant ends by the clock whether this runs or not';
REVOKE EXECUTE ON FUNCTION llm_audit.expire_disclosures() FROM PUBLIC;

-- ---------------- reading ----------------

-- By session user and authentication, never by the current role.
CREATE FUNCTION llm_audit.live_disclosures() RETURNS uuid[]
LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN (SELECT array_agg(d.id ORDER BY d.id) FROM llm_audit.disclosure d
		WHERE d.requester = session_user
			AND d.requester_authentication_id IS NOT DISTINCT FROM llm_audit.authentication_id()
			AND d.state = 'granted' AND d.expires_at > clock_timestamp()
			AND (d.allow_export OR NOT llm_audit.is_export()));
END
$$;
COMMENT ON FUNCTION llm_audit.live_disclosures() IS
	'disclosures under which this session may read now, and export if that is what the statement does; NULL if there is none';

CREATE FUNCTION llm_audit.require_disclosure(id uuid DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	live uuid[] := llm_audit.live_disclosures();
	d llm_audit.disclosure;
BEGIN
	IF live IS NOT NULL AND (id IS NULL OR id = ANY (live)) THEN
		RETURN true;
	END IF;
	SELECT r.* INTO d FROM llm_audit.disclosure r
		WHERE r.requester = session_user AND (id IS NULL OR r.id = id)
		ORDER BY r.state = 'granted' AND r.expires_at > clock_timestamp() DESC,
			r.requested_at DESC LIMIT 1;
	PERFORM llm_audit.refuse('llm_audit.disclosed_content', 'insufficient_privilege', CASE
			WHEN NOT FOUND THEN 'no disclosure was granted to you'
			WHEN d.state = 'granted' AND d.expires_at > clock_timestamp() AND llm_audit.is_export()
				THEN 'the disclosure does not allow to export'
			WHEN d.state = 'granted' AND d.expires_at > clock_timestamp()
				THEN 'the disclosure was granted to another identity'
			WHEN d.state IN ('granted', 'expired') THEN 'the disclosure has expired'
			WHEN d.state = 'approved_once' THEN 'the disclosure waits for a second approver'
			WHEN d.state = 'pending' THEN 'the disclosure has not been approved yet'
			ELSE format('the disclosure was %s', d.state) END,
		'Ask with llm_audit.request_disclosure(); another person approves.');
	RETURN false;
END
$$;
COMMENT ON FUNCTION llm_audit.require_disclosure(uuid) IS
	'raises 42501, saying why, unless this session has a live disclosure, or that one; part of disclosed_content';

-- Views run functions as the reader, so that everybody may call this one; it
-- decrypts for whoever has a live disclosure of the call.
CREATE FUNCTION llm_audit.disclosed_text(segment regclass, id uuid, call_id uuid,
		body_encrypted bytea) RETURNS text
LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL RESTRICTED COST 1000
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
	IF NOT EXISTS (SELECT FROM llm_audit.disclosure_call c WHERE c.call_id = call_id
		AND c.disclosure_id = ANY (llm_audit.live_disclosures()))
	THEN
		PERFORM llm_audit.refuse('llm_audit.disclosed_content', 'insufficient_privilege',
			'no disclosure of this text was granted to you',
			'Ask with llm_audit.request_disclosure(); another person approves.');
	END IF;
	RETURN llm_audit.decrypt_value(segment, 'body_encrypted', id, body_encrypted);
END
$$;
COMMENT ON FUNCTION llm_audit.disclosed_text(regclass, uuid, uuid, bytea) IS
	'the text of a fragment that is stored encrypted, for a session with a live disclosure of its call; errors as decrypt_value(); part of disclosed_content';

DO $$
BEGIN
	GRANT EXECUTE ON FUNCTION
		llm_audit.request_disclosure(text, text, jsonb, interval, boolean),
		llm_audit.preview_disclosure(uuid), llm_audit.revoke_disclosure(uuid, text)
		TO llm_audit_oncall, llm_audit_developer, llm_audit_service_owner,
			llm_audit_security, llm_audit_compliance, llm_audit_auditor;
	GRANT EXECUTE ON FUNCTION llm_audit.preview_disclosure(uuid),
		llm_audit.approve_disclosure(uuid, text), llm_audit.deny_disclosure(uuid, text),
		llm_audit.revoke_disclosure(uuid, text)
		TO llm_audit_approver;
	GRANT EXECUTE ON FUNCTION llm_audit.expire_disclosures()
		TO llm_audit_admin, llm_audit_compliance;
END
$$;
