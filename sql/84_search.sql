-- Searching for calls by what a view cannot be asked for: a customer, the
-- number of an operation, several at once.  The functions belong to
-- llm_audit_view_owner and read through guarded views, so row security, the
-- caller's scope and the access log apply as they do to any view.

CREATE TYPE llm_audit.found_call AS (
	id uuid,
	request_id text,
	trace_id text,
	correlation_id text,
	environment text,
	organization_id text,
	service_name text,
	channel text,
	recorded_at timestamptz,
	occurred_at timestamptz,
	local_time timestamp,
	operation_name text,
	provider_name text,
	request_model text,
	response_model text,
	route_id text,
	route_version text,
	prompt_id text,
	prompt_version text,
	attempt int2,
	attempt_kind text,
	is_final boolean,
	status text,
	http_status int2,
	error_code text,
	error_type text,
	error_message text,
	duration_ms numeric,
	input_tokens int8,
	output_tokens int8,
	cost numeric,
	currency text,
	masking_status text,
	pii_found boolean,
	data_class text,
	session_id text,
	actor_type text,
	actor_id text,
	end_user_id text,
	customer_key text,
	operation_number text,
	api_key_id text,
	client_address inet
);
COMMENT ON TYPE llm_audit.found_call IS
	'a call as find_calls() returns it, columns named as in llm_call; session_id and actor_type are NULL unless the caller is on call, owns the service or is security, what follows them unless the caller is security';

CREATE TYPE llm_audit.call_filter AS (
	request_ids text[],
	actors text[],
	end_users text[],
	customers text[],
	tokens text[],
	operations text[],
	organization_id text,
	environment text,
	service_name text,
	occurred_from timestamptz,
	occurred_to timestamptz,
	max_lag interval,
	max_rows int
);
COMMENT ON TYPE llm_audit.call_filter IS
	'what select_calls() looks for; NULL elements do not count; identifiers as they stand in llm_call';

-- What a column may hold for a value: the value itself, if it was recorded
-- without masking, and its pseudonyms under all live keys.
CREATE FUNCTION llm_audit.known_as(value text, kind text) RETURNS text[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF value IS NULL THEN
		RETURN NULL;
	END IF;
	RETURN array_prepend(value, llm_audit.pseudonym(value, kind));
EXCEPTION WHEN object_not_in_prerequisite_state THEN
	RETURN ARRAY[value];		-- no key: nothing was hashed
END
$$;
COMMENT ON FUNCTION llm_audit.known_as(text, text) IS
	'what a hashed column of that name may hold for a value; part of find_calls()';
REVOKE EXECUTE ON FUNCTION llm_audit.known_as(text, text) FROM PUBLIC;

-- One statement for each way to a call, so that each has one plan, made once
-- per session and kept: planning sixty segments takes longer than looking
-- into them.  Erasable columns have no statistics, so the planner is told that
-- an index is right.  A way drives by keys that an index serves; the other elements
-- of the filter are conditions beside it, the time too, which without statistics
-- would seem to tell more than a customer (of a service's account it does).  With a time from and to it is the
-- other way round: a plan of its own has the few segments of that time only,
-- and a kept one would lock all of them first.  What the caller may see of a
-- call is decided once the calls are found: in a view it would be prepared for
-- each segment.
DO $do$
DECLARE
	statement text := $$
		RETURN QUERY SELECT ROW(c.id, c.request_id, c.trace_id, c.correlation_id,
				c.environment, c.organization_id, c.service_name, c.channel, c.recorded_at,
				c.occurred_at,
				c.occurred_at AT TIME ZONE 'UTC' + make_interval(mins => c.utc_offset_minutes),
				c.operation_name, c.provider_name, c.request_model, c.response_model,
				c.route_id, c.route_version, c.prompt_id, c.prompt_version, c.attempt,
				c.attempt_kind, c.is_final, c.status, c.http_status, c.error_code,
				c.error_type, c.error_message, c.duration_ms::numeric, c.input_tokens,
				c.output_tokens, c.cost::numeric, c.currency::text, c.masking_status,
				c.pii_found, c.data_class,
				CASE WHEN c.shows_session THEN c.session_id END,
				CASE WHEN c.shows_session THEN c.actor_type END,
				CASE WHEN c.shows_identity THEN c.actor_id END,
				CASE WHEN c.shows_identity THEN c.end_user_id END,
				CASE WHEN c.shows_identity THEN c.customer_key END,
				CASE WHEN c.shows_identity THEN c.operation_number END,
				CASE WHEN c.shows_identity THEN c.api_key_id END,
				CASE WHEN c.shows_identity THEN c.client_address END)::llm_audit.found_call,
			coalesce(c.end_user_id, c.customer_key,
				CASE WHEN c.actor_type = 'human' THEN c.actor_id END)
		FROM (SELECT f.*, {identity} AS shows_identity, {session} AS shows_session
			FROM (SELECT c.* FROM llm_audit.{view} c
				WHERE {key}
					AND {time}
					AND c.recorded_at >= first_call
					AND c.recorded_at <= last_call
					AND (wanted.organization_id IS NULL OR c.organization_id = wanted.organization_id)
					AND (wanted.environment IS NULL OR c.environment = wanted.environment)
					AND (wanted.service_name IS NULL OR c.service_name = wanted.service_name)
					AND (wanted.request_ids IS NULL OR c.request_id = ANY (wanted.request_ids))
					AND (wanted.end_users IS NULL OR c.end_user_id = ANY (wanted.end_users))
					AND (wanted.operations IS NULL OR c.operation_number = ANY (wanted.operations))
					AND (wanted.actors IS NULL OR c.actor_id = ANY (wanted.actors))
					AND {customer}
				ORDER BY c.occurred_at DESC, c.recorded_at LIMIT wanted.max_rows) AS f
			OFFSET 0) AS c;
$$;
	of_time text := $$c.occurred_at >= coalesce(wanted.occurred_from, '-infinity')
					AND c.occurred_at < coalesce(wanted.occurred_to, 'infinity')$$;
	of_customer text := $$(c.customer_key = ANY (wanted.customers)
					OR c.end_user_id = ANY (wanted.customers)
					OR c.id = ANY (ARRAY(SELECT t.call_id FROM llm_audit.search_tokens t
						WHERE t.token = ANY (wanted.tokens)
							AND t.recorded_at >= first_token
							AND t.recorded_at <= last_token)))$$;
	body text := $$
#variable_conflict use_column
DECLARE
	-- values, which a plan can leave out segments by; sums of times are not
	first_call timestamptz := coalesce(wanted.occurred_from - wanted.max_lag, '-infinity');
	last_call timestamptz := coalesce(wanted.occurred_to + wanted.max_lag, 'infinity');
	first_token timestamptz := first_call - interval '1 day';
	last_token timestamptz := last_call + interval '1 day';
	of_person boolean := num_nonnulls(wanted.actors, wanted.end_users,
		wanted.customers, wanted.operations) > 0;
BEGIN$$;
	search text;
	way record;
BEGIN
	FOR way IN SELECT * FROM (VALUES
		('wanted.request_ids IS NOT NULL AND of_person', 'search_persons', 'c.request_id = ANY (wanted.request_ids)', NULL, true),
		('wanted.request_ids IS NOT NULL', 'search_calls', 'c.request_id = ANY (wanted.request_ids)', NULL, false),
		('wanted.operations IS NOT NULL', 'search_persons', 'c.operation_number = ANY (wanted.operations)', NULL, true),
		('wanted.customers IS NOT NULL', 'search_persons', of_customer, NULL, false),
		('wanted.end_users IS NOT NULL', 'search_persons', 'c.end_user_id = ANY (wanted.end_users)', NULL, false),
		('wanted.actors IS NOT NULL', 'search_persons', 'c.actor_type = ''human'' AND c.actor_id = ANY (wanted.actors)',
			'c.actor_type <> ''human'' AND c.actor_id = ANY (wanted.actors)', false),
		('true', 'search_calls', 'true', NULL, false)) AS v (condition, relation, key, otherwise, and_customer)
	LOOP
		search := replace(replace(statement, '{view}', way.relation), '{customer}',
			CASE WHEN way.and_customer THEN '(wanted.customers IS NULL OR ' || of_customer || ')' ELSE 'true' END);
		body := body || format('
	IF %s THEN', way.condition)
			|| replace(replace(search, '{key}', way.key), '{time}',
				CASE WHEN way.key = 'true' THEN of_time ELSE '(' || of_time || ') IS TRUE' END)
			|| coalesce('		IF FOUND THEN RETURN; END IF;'
				|| replace(replace(search, '{key}', way.otherwise), '{time}', of_time), '')
			|| '		RETURN;
	END IF;';
	END LOOP;
	body := replace(replace(body, '{identity}', seen.identity), '{session}', seen.session)
		FROM (SELECT string_agg(llm_audit.scope_clause(d.column_name, d.dimension, '{llm_audit_security}'), ' AND '),
			string_agg(llm_audit.scope_clause(d.column_name, d.dimension, '{llm_audit_security,llm_audit_oncall,llm_audit_service_owner}'), ' AND ')
			FROM (VALUES ('environment'::name, 'environments'), ('organization_id', 'organizations'),
				('service_name', 'services')) AS d (column_name, dimension)) AS seen (identity, session);
	FOR way IN SELECT * FROM (VALUES ('select_calls', 'force_generic_plan'),
		('select_calls_between', 'force_custom_plan')) AS v (name, mode)
	LOOP
		EXECUTE format($f$
CREATE FUNCTION llm_audit.%I(wanted llm_audit.call_filter)
	RETURNS TABLE (found llm_audit.found_call, subject text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = %s
SET enable_seqscan = off
SET max_parallel_workers_per_gather = 0
SET jit = off
AS %L$f$, way.name, way.mode, body || '
END
');
	END LOOP;
END
$do$;
COMMENT ON FUNCTION llm_audit.select_calls(llm_audit.call_filter) IS
	'calls of a filter in the caller''s scope, with the columns that the caller may see and the person whom each concerns; part of find_calls() and request_disclosure()';
REVOKE EXECUTE ON FUNCTION llm_audit.select_calls(llm_audit.call_filter) FROM PUBLIC;
COMMENT ON FUNCTION llm_audit.select_calls_between(llm_audit.call_filter) IS
	'select_calls() for filters with a time from and to';
REVOKE EXECUTE ON FUNCTION llm_audit.select_calls_between(llm_audit.call_filter) FROM PUBLIC;

-- The arguments are on one line each way: a search that reads everything is
-- a mistake, and one that asks for a person is a read of identities.
CREATE FUNCTION llm_audit.find_calls(request_id text DEFAULT NULL,
		occurred_from timestamptz DEFAULT NULL, occurred_to timestamptz DEFAULT NULL,
		customer text DEFAULT NULL, operation_number text DEFAULT NULL,
		actor_id text DEFAULT NULL, max_lag interval DEFAULT '1 day',
		max_rows int DEFAULT 200) RETURNS SETOF llm_audit.found_call
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	wanted llm_audit.call_filter;
BEGIN
	IF num_nonnulls(request_id, customer, operation_number, actor_id) = 0
		AND (occurred_from IS NULL OR occurred_to IS NULL)
	THEN
		RAISE EXCEPTION 'a search needs a request, a customer, an operation, an actor, or a time from and to'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF occurred_from >= occurred_to THEN
		RAISE EXCEPTION 'occurred_from must be before occurred_to'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF max_rows IS NULL OR max_rows NOT BETWEEN 1 AND 10000 THEN
		RAISE EXCEPTION 'max_rows must be from 1 to 10000'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF max_lag IS NULL OR max_lag < interval '0' THEN
		RAISE EXCEPTION 'max_lag must not be negative or null'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF num_nonnulls(customer, operation_number, actor_id) > 0
		AND llm_audit.reader_setting('reason') IS NULL
	THEN
		PERFORM llm_audit.refuse('llm_audit.llm_call', 'invalid_parameter_value',
			'a reason is needed to search for a person or an operation',
			'SET LOCAL llm_audit.reason = ''...'' in the same transaction.');
	ELSIF num_nonnulls(customer, operation_number, actor_id) > 0
		AND NOT llm_audit.may_search_persons()
	THEN
		PERFORM llm_audit.refuse('llm_audit.llm_call', 'insufficient_privilege',
			'permission denied to search for a person or an operation',
			'Developers search by request and time; ask on-call or security.');
	END IF;
	IF request_id IS NOT NULL THEN
		wanted.request_ids := llm_audit.known_as(request_id, 'request_id');
	END IF;
	IF customer IS NOT NULL THEN
		wanted.customers := ARRAY(
			SELECT unnest(llm_audit.known_as(customer, 'customer_key'))
			UNION SELECT unnest(llm_audit.known_as(customer, 'end_user_id')));
		wanted.tokens := llm_audit.match_token(customer);
	END IF;
	wanted.operations := llm_audit.known_as(operation_number, 'operation_number');
	wanted.actors := llm_audit.known_as(actor_id, 'actor_id');
	wanted.occurred_from := occurred_from;
	wanted.occurred_to := occurred_to;
	wanted.max_lag := max_lag;
	wanted.max_rows := max_rows;
	-- a retry that was recorded twice is shown once
	RETURN QUERY SELECT (f.found).* FROM (
		SELECT DISTINCT ON ((s.found).occurred_at, (s.found).id) s.found
			FROM (SELECT * FROM llm_audit.select_calls(wanted)
					WHERE wanted.occurred_from IS NULL OR wanted.occurred_to IS NULL
				UNION ALL
				SELECT * FROM llm_audit.select_calls_between(wanted)
					WHERE wanted.occurred_from IS NOT NULL AND wanted.occurred_to IS NOT NULL) AS s
			ORDER BY (s.found).occurred_at DESC, (s.found).id, (s.found).recorded_at) AS f;
END
$$;
COMMENT ON FUNCTION llm_audit.find_calls(text, timestamptz, timestamptz, text, text, text, interval, int) IS
	'calls in the caller''s scope by request, time (from inclusive, to exclusive), customer (an identifier as the customer gives it), operation number or actor, newest first, at most max_rows; calls recorded later than max_lag after they occurred are not found by time; persons and operations need llm_audit.reason and are not for developers; recorded in the access log';
REVOKE EXECUTE ON FUNCTION llm_audit.find_calls(text, timestamptz, timestamptz, text, text, text, interval, int)
	FROM PUBLIC;

CREATE FUNCTION llm_audit.may_search_persons() RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT bool_or(llm_audit.is_member(llm_audit.caller(), t))
			OR (SELECT rolsuper FROM pg_roles WHERE rolname = llm_audit.caller())
		FROM unnest('{llm_audit_oncall,llm_audit_service_owner,llm_audit_security,llm_audit_compliance,llm_audit_auditor}'::name[]) AS t
$$;
COMMENT ON FUNCTION llm_audit.may_search_persons() IS
	'whether the caller may search for calls by customer, operation or actor; part of find_calls()';
REVOKE EXECUTE ON FUNCTION llm_audit.may_search_persons() FROM PUBLIC;

CREATE TYPE llm_audit.found_content AS (
	id uuid,
	call_id uuid,
	request_id text,
	environment text,
	organization_id text,
	service_name text,
	recorded_at timestamptz,
	occurred_at timestamptz,
	ordinal int4,
	role text,
	kind text,
	data_class text,
	rank real,
	body text
);
COMMENT ON TYPE llm_audit.found_content IS
	'a fragment of text as search_content() returns it; rank says how well it fits';

-- There is no full-text index: a search stays within the calls of a
-- disclosure, which an index on call_id finds.  An index on words would cost
-- two thirds of the write rate and keep the words of text that was erased.
CREATE FUNCTION llm_audit.search_content(query text, disclosure_id uuid,
		max_rows int DEFAULT 200) RETURNS SETOF llm_audit.found_content
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
	wanted tsquery;
BEGIN
	wanted := websearch_to_tsquery('simple', query);
	IF wanted IS NULL OR numnode(wanted) = 0 THEN
		RAISE EXCEPTION 'there is no word to search for'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Words, "a phrase", or, and -without are understood.';
	ELSIF max_rows IS NULL OR max_rows NOT BETWEEN 1 AND 10000 THEN
		RAISE EXCEPTION 'max_rows must be from 1 to 10000'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	PERFORM llm_audit.require_disclosure(disclosure_id);
	-- only what is returned counts as seen
	RETURN QUERY
		SELECT f.id, f.call_id, f.request_id, f.environment, f.organization_id,
			f.service_name, f.recorded_at, f.occurred_at, f.ordinal, f.role, f.kind,
			f.data_class, f.rank, llm_audit.reveal(f.id, f.request_id, f.body)
		FROM (SELECT s.*, ts_rank(to_tsvector('simple', s.body), wanted) AS rank
			FROM llm_audit.search_texts s
			WHERE s.disclosure_id = search_content.disclosure_id
				AND to_tsvector('simple', s.body) @@ wanted
			ORDER BY rank DESC, s.recorded_at, s.ordinal LIMIT max_rows) AS f;
END
$$;
COMMENT ON FUNCTION llm_audit.search_content(text, uuid, int) IS
	'fragments among those that a live disclosure of the caller covers whose text has the words, best first, at most max_rows; the text is the masked one, encrypted text has no words';
REVOKE EXECUTE ON FUNCTION llm_audit.search_content(text, uuid, int) FROM PUBLIC;

CREATE TYPE llm_audit.billing_step AS (
	step text,
	id uuid,
	refers_to uuid,
	recorded_at timestamptz,
	occurred_at timestamptz,
	environment text,
	organization_id text,
	what text,
	quantity numeric,
	amount numeric,
	currency text,
	actor_id text,
	reason text,
	chain_lane int4,
	chain_seq int8,
	row_hash bytea
);
COMMENT ON TYPE llm_audit.billing_step IS
	'a row of billing_trail(): step says which ledger it is of, id and row_hash which row; refers_to is the row of the step before, or the settlement that it corrects';

CREATE FUNCTION llm_audit.billing_trail(request_id text)
	RETURNS SETOF llm_audit.billing_step
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	wanted text[] := llm_audit.known_as(billing_trail.request_id, 'request_id');
	usages uuid[];
	settlements uuid[];
	approvals uuid[];
BEGIN
	IF billing_trail.request_id IS NULL THEN
		RAISE EXCEPTION 'request_id must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	usages := ARRAY(SELECT u.id FROM llm_audit.auditor_usage u WHERE u.request_id = ANY (wanted));
	-- what corrects a settlement need not name the request again
	WITH RECURSIVE money AS (
		SELECT s.id, s.approving_event_id FROM llm_audit.auditor_settlements s
			WHERE s.original_request_id = ANY (wanted) OR s.usage_event_id = ANY (usages)
		UNION
		SELECT s.id, s.approving_event_id FROM llm_audit.auditor_settlements s
			JOIN money m ON s.corrects_id = m.id)
	SELECT array_agg(m.id), array_agg(m.approving_event_id) INTO settlements, approvals
		FROM money m;

	RETURN QUERY
		SELECT 'call', c.id, NULL::uuid, c.recorded_at, c.occurred_at, c.environment,
				c.organization_id, c.operation_name || ' ' || c.status, NULL::numeric, c.cost::numeric,
				c.currency::text, NULL::text, NULL::text, c.chain_lane, c.chain_seq, c.row_hash
			FROM llm_audit.auditor_calls c WHERE c.request_id = ANY (wanted)
			ORDER BY c.occurred_at, c.attempt;
	RETURN QUERY
		SELECT 'usage', u.id, u.call_id, u.recorded_at, u.occurred_at, u.environment,
				u.organization_id, u.unit, u.quantity::numeric, u.cost::numeric, u.currency::text,
				NULL::text, NULL::text, u.chain_lane, u.chain_seq, u.row_hash
			FROM llm_audit.auditor_usage u WHERE u.id = ANY (usages)
			ORDER BY u.occurred_at, u.unit;
	RETURN QUERY
		SELECT 'settlement', s.id, coalesce(s.corrects_id, s.usage_event_id), s.recorded_at,
				s.occurred_at, s.environment, s.organization_id, s.kind, NULL::numeric,
				s.amount::numeric, s.currency::text, NULL::text, s.reason, s.chain_lane,
				s.chain_seq, s.row_hash
			FROM llm_audit.auditor_settlements s WHERE s.id = ANY (settlements)
			ORDER BY s.recorded_at;
	RETURN QUERY
		SELECT 'admin_event', e.id, (SELECT s.id FROM llm_audit.auditor_settlements s
					WHERE s.id = ANY (settlements) AND s.approving_event_id = e.id LIMIT 1),
				e.recorded_at, e.occurred_at, e.environment, e.organization_id, e.action,
				NULL::numeric, NULL::numeric, NULL::text, e.actor_id, e.reason, e.chain_lane,
				e.chain_seq, e.row_hash
			FROM llm_audit.auditor_admin_events e
			WHERE e.request_id = ANY (wanted) OR e.id = ANY (approvals)
				OR e.settlement_id = ANY (settlements)
			ORDER BY e.occurred_at;
END
$$;
COMMENT ON FUNCTION llm_audit.billing_trail(text) IS
	'from a request to its money: calls, usage, settlements with what corrects them, and the admin events that approved them or name them, each with its place in the chain and its hash; in the caller''s scope, needs llm_audit.reason, recorded in the access log';
REVOKE EXECUTE ON FUNCTION llm_audit.billing_trail(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.billing_trail(text) TO llm_audit_auditor;

DO $$
DECLARE
	f text;
BEGIN
	FOREACH f IN ARRAY ARRAY[
		'find_calls(text, timestamptz, timestamptz, text, text, text, interval, int)',
		'search_content(text, uuid, int)']
	LOOP
		EXECUTE 'GRANT EXECUTE ON FUNCTION llm_audit.' || f || ' TO llm_audit_oncall,
			llm_audit_developer, llm_audit_service_owner, llm_audit_security,
			llm_audit_compliance, llm_audit_auditor';
	END LOOP;
END
$$;
