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

-- The conditions of a filter on search_calls c, $1 being the filter.  Each
-- key that an index serves stands alone, so that the planner can use it.
CREATE FUNCTION llm_audit.filter_conditions(wanted llm_audit.call_filter)
	RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT concat_ws(' AND ', 'true',
		CASE WHEN wanted.request_ids IS NOT NULL THEN 'c.request_id = ANY ($1)' END,
		CASE WHEN wanted.end_users IS NOT NULL THEN 'c.end_user_id = ANY ($3)' END,
		CASE WHEN wanted.operations IS NOT NULL THEN 'c.operation_number = ANY ($6)' END,
		CASE WHEN wanted.organization_id IS NOT NULL THEN 'c.organization_id = $7' END,
		CASE WHEN wanted.environment IS NOT NULL THEN 'c.environment = $8' END,
		CASE WHEN wanted.service_name IS NOT NULL THEN 'c.service_name = $9' END,
		CASE WHEN wanted.occurred_from IS NOT NULL
			THEN 'c.occurred_at >= $10 AND c.recorded_at >= $10 - $12' END,
		CASE WHEN wanted.occurred_to IS NOT NULL
			THEN 'c.occurred_at < $11 AND c.recorded_at < $11 + $12' END,
		CASE WHEN coalesce(wanted.actors, wanted.end_users, wanted.customers,
				wanted.tokens, wanted.operations) IS NOT NULL THEN 'c.may_search' END)
$$;
COMMENT ON FUNCTION llm_audit.filter_conditions(llm_audit.call_filter) IS
	'SQL condition for a filter; part of select_calls()';
REVOKE EXECUTE ON FUNCTION llm_audit.filter_conditions(llm_audit.call_filter) FROM PUBLIC;

-- Ways to a call by a person: each is a query of its own, since an OR over
-- tables or columns would read every segment.
CREATE FUNCTION llm_audit.filter_query(wanted llm_audit.call_filter)
	RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH base (conditions) AS (SELECT llm_audit.filter_conditions(wanted)),
	actor (condition) AS (
		SELECT 'true' WHERE wanted.actors IS NULL
		UNION ALL
		SELECT c FROM unnest(ARRAY[
			'c.actor_type = ''human'' AND c.actor_id = ANY ($2)',
			'c.actor_type <> ''human'' AND c.actor_id = ANY ($2)']) AS c
			WHERE wanted.actors IS NOT NULL),
	customer (source, condition) AS (
		SELECT '', 'true' WHERE wanted.customers IS NULL AND wanted.tokens IS NULL
		UNION ALL
		SELECT '', c FROM unnest(ARRAY['c.customer_key = ANY ($4)',
			'c.end_user_id = ANY ($4)']) AS c WHERE wanted.customers IS NOT NULL
		UNION ALL
		SELECT 'llm_audit.search_tokens t JOIN ', 't.token = ANY ($5)'
			WHERE cardinality(wanted.tokens) > 0)
	SELECT string_agg(format('(SELECT c.* FROM %sllm_audit.search_calls c%s WHERE %s AND %s AND %s ORDER BY c.occurred_at DESC LIMIT $13)',
			customer.source,
			CASE WHEN customer.source <> '' THEN ' ON c.id = t.call_id
				AND c.environment = t.environment
				AND c.recorded_at >= t.recorded_at - interval ''1 day''
				AND c.recorded_at <= t.recorded_at + interval ''1 day''' ELSE '' END,
			base.conditions, actor.condition, customer.condition), ' UNION ALL ')
		FROM base, actor, customer
$$;
COMMENT ON FUNCTION llm_audit.filter_query(llm_audit.call_filter) IS
	'SQL query for a filter; part of select_calls()';
REVOKE EXECUTE ON FUNCTION llm_audit.filter_query(llm_audit.call_filter) FROM PUBLIC;

CREATE FUNCTION llm_audit.select_calls(wanted llm_audit.call_filter)
	RETURNS SETOF llm_audit.found_call
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY EXECUTE format($q$
		SELECT DISTINCT ON (f.occurred_at, f.id) f.id, f.request_id, f.trace_id,
			f.correlation_id, f.environment, f.organization_id, f.service_name,
			f.channel, f.recorded_at, f.occurred_at, f.local_time, f.operation_name,
			f.provider_name, f.request_model, f.response_model, f.route_id,
			f.route_version, f.prompt_id, f.prompt_version, f.attempt, f.attempt_kind,
			f.is_final, f.status, f.http_status, f.error_code, f.error_type,
			f.error_message, f.duration_ms::numeric, f.input_tokens, f.output_tokens,
			f.cost::numeric, f.currency::text, f.masking_status, f.pii_found,
			f.data_class,
			CASE WHEN f.shows_session THEN f.session_id END,
			CASE WHEN f.shows_session THEN f.actor_type END,
			CASE WHEN f.shows_identity THEN f.actor_id END,
			CASE WHEN f.shows_identity THEN f.end_user_id END,
			CASE WHEN f.shows_identity THEN f.customer_key END,
			CASE WHEN f.shows_identity THEN f.operation_number END,
			CASE WHEN f.shows_identity THEN f.api_key_id END,
			CASE WHEN f.shows_identity THEN f.client_address END
		FROM (%s) AS f
		ORDER BY f.occurred_at DESC, f.id, f.recorded_at LIMIT $13
		$q$, llm_audit.filter_query(wanted))
		USING wanted.request_ids, wanted.actors, wanted.end_users, wanted.customers,
			wanted.tokens, wanted.operations, wanted.organization_id,
			wanted.environment, wanted.service_name, wanted.occurred_from,
			wanted.occurred_to, wanted.max_lag, wanted.max_rows;
END
$$;
COMMENT ON FUNCTION llm_audit.select_calls(llm_audit.call_filter) IS
	'calls of a filter in the caller''s scope, with the columns that the caller may see; part of find_calls() and request_disclosure()';
REVOKE EXECUTE ON FUNCTION llm_audit.select_calls(llm_audit.call_filter) FROM PUBLIC;

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
		RAISE EXCEPTION 'a reason is needed to search for a person or an operation'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'SET LOCAL llm_audit.reason = ''...'' in the same transaction.';
	ELSIF num_nonnulls(customer, operation_number, actor_id) > 0
		AND NOT llm_audit.may_search_persons()
	THEN
		RAISE EXCEPTION 'permission denied to search for a person or an operation'
			USING ERRCODE = 'insufficient_privilege',
				HINT = 'Developers search by request and time; ask on-call or security.';
	END IF;
	IF request_id IS NOT NULL THEN
		wanted.request_ids := llm_audit.known_as(request_id, 'request_id');
	END IF;
	IF customer IS NOT NULL THEN
		wanted.customers := llm_audit.known_as(customer, 'customer_key')
			|| llm_audit.known_as(customer, 'end_user_id');
		wanted.tokens := llm_audit.match_token(customer);
	END IF;
	wanted.operations := llm_audit.known_as(operation_number, 'operation_number');
	wanted.actors := llm_audit.known_as(actor_id, 'actor_id');
	wanted.occurred_from := occurred_from;
	wanted.occurred_to := occurred_to;
	wanted.max_lag := max_lag;
	wanted.max_rows := max_rows;
	RETURN QUERY SELECT * FROM llm_audit.select_calls(wanted);
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
