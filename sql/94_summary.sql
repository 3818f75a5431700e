-- Summaries: what is left of calls when their metadata has gone.  Counts by
-- day, organization, service, provider, model and route, with nothing of a
-- person in them: groups of fewer than 5 calls are merged.

CREATE TABLE llm_audit.usage_summary (
	day date NOT NULL,
	environment text NOT NULL,
	organization_id text NOT NULL,
	service_name text NOT NULL,
	provider_name text NOT NULL,
	request_model text NOT NULL,
	route_id text NOT NULL,
	currency text NOT NULL,
	calls bigint NOT NULL,
	errors bigint NOT NULL,
	blocked bigint NOT NULL,
	limits_hit bigint NOT NULL,
	cache_hits bigint NOT NULL,
	input_tokens numeric,
	output_tokens numeric,
	cache_read_input_tokens numeric,
	cache_creation_input_tokens numeric,
	reasoning_output_tokens numeric,
	cost numeric,
	duration_p50 double precision,
	duration_p95 double precision,
	duration_p99 double precision,
	first_chunk_p50 double precision,
	first_chunk_p95 double precision,
	PRIMARY KEY (day, environment, organization_id, service_name,
		provider_name, request_model, route_id, currency)
);
COMMENT ON TABLE llm_audit.usage_summary IS
	'calls by day, anonymised and kept when their metadata has gone; * stands for groups of fewer than 5 calls, merged';
COMMENT ON COLUMN llm_audit.usage_summary.day IS 'day of recording, in UTC';
COMMENT ON COLUMN llm_audit.usage_summary.environment IS 'environment of the calls';
COMMENT ON COLUMN llm_audit.usage_summary.organization_id IS 'organization; *: merged';
COMMENT ON COLUMN llm_audit.usage_summary.service_name IS 'service; *: merged';
COMMENT ON COLUMN llm_audit.usage_summary.provider_name IS
	'provider; *: merged; empty: none, the calls were blocked';
COMMENT ON COLUMN llm_audit.usage_summary.request_model IS
	'model that was asked for; *: merged; empty: none';
COMMENT ON COLUMN llm_audit.usage_summary.route_id IS 'route; *: merged; empty: none';
COMMENT ON COLUMN llm_audit.usage_summary.currency IS 'currency of cost; empty: none';
COMMENT ON COLUMN llm_audit.usage_summary.calls IS 'attempts of calls and tool calls';
COMMENT ON COLUMN llm_audit.usage_summary.errors IS
	'those with status error or timeout';
COMMENT ON COLUMN llm_audit.usage_summary.blocked IS 'those with status blocked';
COMMENT ON COLUMN llm_audit.usage_summary.limits_hit IS 'those that hit a limit';
COMMENT ON COLUMN llm_audit.usage_summary.cache_hits IS
	'those that the gateway''s cache answered';
COMMENT ON COLUMN llm_audit.usage_summary.input_tokens IS 'sum; NULL: none was reported';
COMMENT ON COLUMN llm_audit.usage_summary.output_tokens IS 'sum';
COMMENT ON COLUMN llm_audit.usage_summary.cache_read_input_tokens IS 'sum';
COMMENT ON COLUMN llm_audit.usage_summary.cache_creation_input_tokens IS 'sum';
COMMENT ON COLUMN llm_audit.usage_summary.reasoning_output_tokens IS 'sum';
COMMENT ON COLUMN llm_audit.usage_summary.cost IS 'sum, in currency';
COMMENT ON COLUMN llm_audit.usage_summary.duration_p50 IS
	'median of duration_ms; NULL where the merged group has fewer than 5 calls';
COMMENT ON COLUMN llm_audit.usage_summary.duration_p95 IS '95 % took at most so long';
COMMENT ON COLUMN llm_audit.usage_summary.duration_p99 IS '99 % took at most so long';
COMMENT ON COLUMN llm_audit.usage_summary.first_chunk_p50 IS
	'median of time_to_first_chunk_ms';
COMMENT ON COLUMN llm_audit.usage_summary.first_chunk_p95 IS
	'95 % had their first chunk by then';
SELECT pg_catalog.pg_extension_config_dump('llm_audit.usage_summary', '');

CREATE TABLE llm_audit.summarised_day (
	environment text NOT NULL,
	day date NOT NULL,
	final boolean NOT NULL,
	calls bigint NOT NULL,
	summarised_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	expired_at timestamptz,
	PRIMARY KEY (environment, day)
);
COMMENT ON TABLE llm_audit.summarised_day IS 'days that usage_summary has';
COMMENT ON COLUMN llm_audit.summarised_day.environment IS 'the environment';
COMMENT ON COLUMN llm_audit.summarised_day.day IS 'the day, in UTC';
COMMENT ON COLUMN llm_audit.summarised_day.final IS
	'true: the day''s segments were closed, and it is not calculated again';
COMMENT ON COLUMN llm_audit.summarised_day.calls IS 'calls of the day';
COMMENT ON COLUMN llm_audit.summarised_day.summarised_at IS 'when it was calculated';
COMMENT ON COLUMN llm_audit.summarised_day.expired_at IS
	'when its period had passed and its rows in usage_summary went; NULL: they are there';
SELECT pg_catalog.pg_extension_config_dump('llm_audit.summarised_day', '');

GRANT SELECT ON llm_audit.usage_summary, llm_audit.summarised_day
	TO llm_audit_compliance, llm_audit_auditor;

CREATE FUNCTION llm_audit.is_final(for_environment text, for_day date)
	RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (SELECT FROM llm_audit.summarised_day d
		WHERE d.environment = for_environment AND d.day = for_day AND d.final)
$$;
COMMENT ON FUNCTION llm_audit.is_final(text, date) IS
	'whether usage_summary has a day for good';
REVOKE EXECUTE ON FUNCTION llm_audit.is_final(text, date) FROM PUBLIC;

-- Default segments are never closed.  A row that comes late into one was
-- inserted by a transaction that began on its day and holds its lock; of a
-- prepared one nothing says when it began.
CREATE FUNCTION llm_audit.has_late_writer(for_environment text, for_day date)
	RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (SELECT FROM llm_audit.ledger_segment s
		JOIN llm_audit.ledger l USING (ledger_id)
		JOIN pg_locks k ON k.relation = llm_audit.leaf_of(s)
		LEFT JOIN pg_stat_activity a ON a.pid = k.pid
		WHERE l.role = 'llm_call' AND s.environment = for_environment AND s.is_default
			AND k.locktype = 'relation' AND k.granted AND k.mode = 'RowExclusiveLock'
			AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
			AND (a.xact_start IS NULL
				OR a.xact_start < (for_day + 1)::timestamp AT TIME ZONE 'UTC'))
$$;
COMMENT ON FUNCTION llm_audit.has_late_writer(text, date) IS
	'whether a transaction under way may have recorded calls of a day in the default segment; part of summarise_day()';
REVOKE EXECUTE ON FUNCTION llm_audit.has_late_writer(text, date) FROM PUBLIC;

-- No row can come into a closed segment, nor can one come into the default
-- segment with a time that lies behind by more than a transaction's length.
CREATE FUNCTION llm_audit.day_is_final(for_environment text, for_day date)
	RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT (for_day + 2)::timestamp AT TIME ZONE 'UTC'
			+ llm_audit.setting('seal_grace')::interval <= clock_timestamp()
		AND NOT EXISTS (SELECT FROM llm_audit.ledger_segment s
			JOIN llm_audit.ledger l USING (ledger_id)
			WHERE l.role = 'llm_call' AND s.environment = for_environment
				AND s.state = 'open' AND NOT s.is_default
				AND s.lower < (for_day + 1)::timestamp AT TIME ZONE 'UTC'
				AND s.upper > for_day::timestamp AT TIME ZONE 'UTC')
$$;
COMMENT ON FUNCTION llm_audit.day_is_final(text, date) IS
	'whether no call can be recorded any more that belongs to a day';
REVOKE EXECUTE ON FUNCTION llm_audit.day_is_final(text, date) FROM PUBLIC;

CREATE FUNCTION llm_audit.summarise_day(for_environment text, for_day date)
	RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	is_final boolean;
	total bigint;
BEGIN
	PERFORM llm_audit.require_superuser();
	PERFORM llm_audit.require_read_committed();
	PERFORM 1 FROM llm_audit.environment e WHERE e.name = for_environment;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'environment is not known'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF for_day IS NULL OR for_day >= (clock_timestamp() AT TIME ZONE 'UTC')::date THEN
		RAISE EXCEPTION 'day has not ended yet'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	LOCK TABLE llm_audit.usage_summary IN SHARE ROW EXCLUSIVE MODE;
	-- its calls may have gone since
	SELECT d.calls INTO total FROM llm_audit.summarised_day d
		WHERE d.environment = for_environment AND d.day = for_day AND d.final;
	IF FOUND THEN
		RETURN total;
	END IF;
	is_final := llm_audit.day_is_final(for_environment, for_day)
		AND NOT llm_audit.has_late_writer(for_environment, for_day);
	DELETE FROM llm_audit.usage_summary u
		WHERE u.environment = for_environment AND u.day = for_day;
	WITH call AS (
		SELECT c.organization_id, c.service_name, coalesce(c.provider_name, '') AS provider,
			coalesce(c.request_model, '') AS model, coalesce(c.route_id, '') AS route,
			coalesce(c.currency::text, '') AS money, c.status, c.limit_id, c.cache_hit,
			c.input_tokens, c.output_tokens, c.cache_read_input_tokens,
			c.cache_creation_input_tokens, c.reasoning_output_tokens, c.cost,
			c.duration_ms, c.time_to_first_chunk_ms
		FROM llm_audit.llm_call c
		WHERE c.environment = for_environment
			AND c.recorded_at >= for_day::timestamp AT TIME ZONE 'UTC'
			AND c.recorded_at < (for_day + 1)::timestamp AT TIME ZONE 'UTC'
	), counted AS (
		SELECT call.*, count(*) OVER (PARTITION BY organization_id, service_name,
			provider, model, route, money) AS n
		FROM call
	), merged AS (
		SELECT counted.*, CASE WHEN n < 5
			THEN count(*) OVER (PARTITION BY organization_id, money, n < 5) ELSE n END AS m
		FROM counted
	), final AS (
		SELECT CASE WHEN m < 5 THEN '*' ELSE organization_id END AS organization,
			CASE WHEN n < 5 THEN '*' ELSE service_name END AS service,
			CASE WHEN n < 5 THEN '*' ELSE provider END AS to_provider,
			CASE WHEN n < 5 THEN '*' ELSE model END AS of_model,
			CASE WHEN n < 5 THEN '*' ELSE route END AS by_route, merged.*
		FROM merged
	)
	INSERT INTO llm_audit.usage_summary
		SELECT for_day, for_environment, organization, service, to_provider, of_model,
			by_route, money, count(*),
			count(*) FILTER (WHERE status IN ('error', 'timeout')),
			count(*) FILTER (WHERE status = 'blocked'),
			count(limit_id), count(*) FILTER (WHERE cache_hit),
			sum(input_tokens), sum(output_tokens), sum(cache_read_input_tokens),
			sum(cache_creation_input_tokens), sum(reasoning_output_tokens), sum(cost),
			CASE WHEN count(*) >= 5 THEN percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_ms::float8) END,
			CASE WHEN count(*) >= 5 THEN percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms::float8) END,
			CASE WHEN count(*) >= 5 THEN percentile_cont(0.99) WITHIN GROUP (ORDER BY duration_ms::float8) END,
			CASE WHEN count(*) >= 5 THEN percentile_cont(0.5) WITHIN GROUP (ORDER BY time_to_first_chunk_ms::float8) END,
			CASE WHEN count(*) >= 5 THEN percentile_cont(0.95) WITHIN GROUP (ORDER BY time_to_first_chunk_ms::float8) END
		FROM final
		GROUP BY organization, service, to_provider, of_model, by_route, money;
	SELECT coalesce(sum(u.calls), 0) INTO total FROM llm_audit.usage_summary u
		WHERE u.environment = for_environment AND u.day = for_day;
	INSERT INTO llm_audit.summarised_day AS d (environment, day, final, calls)
		VALUES (for_environment, for_day, is_final, total)
		ON CONFLICT ON CONSTRAINT summarised_day_pkey DO UPDATE
		SET final = excluded.final, calls = excluded.calls,
			summarised_at = excluded.summarised_at;
	RETURN total;
END
$$;
COMMENT ON FUNCTION llm_audit.summarise_day(text, date) IS
	'calculates usage_summary for a day of an environment, again unless that was final; returns the number of calls';
REVOKE EXECUTE ON FUNCTION llm_audit.summarise_day(text, date) FROM PUBLIC;

-- Each day is calculated twice: when it has ended, and when no call can be
-- added to it any more.
CREATE FUNCTION llm_audit.days_to_summarise()
	RETURNS TABLE (environment text, day date)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH first AS (
		SELECT e.name AS environment, date_trunc('day', least(e.added_at,
			(SELECT min(s.lower) FROM llm_audit.ledger_segment s
				JOIN llm_audit.ledger l USING (ledger_id)
				WHERE l.role = 'llm_call' AND s.environment = e.name AND NOT s.is_default)),
			'UTC') AS at
		FROM llm_audit.environment e
	)
	SELECT f.environment, d.day::date
	FROM first f
	CROSS JOIN generate_series(f.at AT TIME ZONE 'UTC',
		clock_timestamp() AT TIME ZONE 'UTC' - interval '1 day', interval '1 day') AS d (day)
	LEFT JOIN llm_audit.summarised_day s ON s.environment = f.environment
		AND s.day = d.day::date
	WHERE d.day::date < (clock_timestamp() AT TIME ZONE 'UTC')::date
		AND (s.day IS NULL OR NOT s.final
			AND llm_audit.day_is_final(f.environment, d.day::date))
	ORDER BY 2, 1
$$;
COMMENT ON FUNCTION llm_audit.days_to_summarise() IS
	'days that usage_summary lacks, or has not in their final form though it could';
REVOKE EXECUTE ON FUNCTION llm_audit.days_to_summarise() FROM PUBLIC;

CREATE FUNCTION llm_audit.is_summarised(leaf regclass) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT l.role <> 'llm_call' OR s.upper < 'infinity' AND NOT EXISTS (
		SELECT FROM generate_series(date_trunc('day', s.lower AT TIME ZONE 'UTC'),
			s.upper AT TIME ZONE 'UTC' - interval '1 microsecond', interval '1 day') AS d (day)
		WHERE NOT llm_audit.is_final(s.environment, d.day::date))
	FROM llm_audit.segment_of(leaf) s JOIN llm_audit.ledger l USING (ledger_id)
$$;
COMMENT ON FUNCTION llm_audit.is_summarised(regclass) IS
	'whether usage_summary has what a segment''s calls add to it, in final form; true for other ledgers; NULL if the table is no segment';
REVOKE EXECUTE ON FUNCTION llm_audit.is_summarised(regclass) FROM PUBLIC;

-- ---------------- their own period ----------------

-- Summaries outlive what they summarise, so that a day that has gone is never
-- asked for by calls that are still there.
CREATE FUNCTION llm_audit.outlived_by_calls(for_environment text, for_period interval)
	RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT NOT EXISTS (SELECT FROM llm_audit.retention_policy p
			JOIN llm_audit.ledger l USING (ledger_id)
			WHERE l.role = 'llm_call' AND p.data_class = '*'
				AND p.environment IN (for_environment, '*'))
		OR EXISTS (SELECT FROM llm_audit.retention_policy p
			JOIN llm_audit.ledger l USING (ledger_id)
			WHERE l.role = 'llm_call' AND p.environment IN (for_environment, '*')
				AND llm_audit.period_shorter(for_period, p.period))
$$;
COMMENT ON FUNCTION llm_audit.outlived_by_calls(text, interval) IS
	'whether calls of an environment can be kept longer than its summaries would be; part of set_summary_period()';
REVOKE EXECUTE ON FUNCTION llm_audit.outlived_by_calls(text, interval) FROM PUBLIC;

CREATE FUNCTION llm_audit.set_summary_period(environment text, period interval,
		bypass boolean DEFAULT false, reason text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET IntervalStyle = 'postgres'
AS $$
#variable_conflict use_variable
DECLARE
	old interval;
	shorter boolean;
BEGIN
	SELECT e.summary_period INTO old FROM llm_audit.environment e
		WHERE e.name = environment FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'environment is not known'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF period <= interval '0' OR llm_audit.outlived_by_calls(environment, period) THEN
		RAISE EXCEPTION 'summaries are kept at least as long as calls are'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'See llm_audit.retention_policy of llm_audit.llm_call; no policy is for ever.';
	END IF;
	shorter := llm_audit.period_shorter(period, old);
	IF shorter AND NOT coalesce(bypass, false) THEN
		RAISE EXCEPTION 'summaries would be kept less long than now'
			USING ERRCODE = 'insufficient_privilege',
				HINT = 'If that is meant, say bypass => true and give a reason.';
	ELSIF shorter THEN
		PERFORM llm_audit.require_reason(reason, 'keep summaries less long');
	END IF;
	UPDATE llm_audit.environment e SET summary_period = period WHERE e.name = environment;
	PERFORM llm_audit.record_own_event(
		CASE WHEN shorter THEN 'retention_policy.shortened'
			WHEN old IS NOT DISTINCT FROM period THEN 'retention_policy.changed'
			ELSE 'retention_policy.extended' END,
		'retention_policy', 'llm_audit.usage_summary', reason,
		jsonb_build_object('environment', environment, 'was', old, 'period', period));
END
$$;
COMMENT ON FUNCTION llm_audit.set_summary_period(text, interval, boolean, text) IS
	'sets how long usage_summary keeps the days of an environment, not less than its calls are kept; period NULL: for ever; shortening needs bypass and a reason; recorded; for llm_audit_admin';
REVOKE EXECUTE ON FUNCTION llm_audit.set_summary_period(text, interval, boolean, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.set_summary_period(text, interval, boolean, text)
	TO llm_audit_admin;

-- A hold that could concern a day's calls keeps the day: a day is recorded up
-- to a day away from when it happened, and summaries name neither requests nor
-- persons that could tell more.
CREATE FUNCTION llm_audit.expired_summaries()
	RETURNS TABLE (environment text, day date)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT d.environment, d.day
	FROM llm_audit.summarised_day d JOIN llm_audit.environment e ON e.name = d.environment
	WHERE d.final AND d.expired_at IS NULL
		AND (d.day + 1)::timestamp AT TIME ZONE 'UTC' + e.summary_period <= clock_timestamp()
		AND NOT llm_audit.outlived_by_calls(d.environment, e.summary_period)
		AND NOT EXISTS (SELECT FROM llm_audit.active_holds() h
			WHERE coalesce(h.environment, d.environment) = d.environment
				AND tstzrange(h.occurred_from, h.occurred_to)
					&& tstzrange((d.day - 1)::timestamp AT TIME ZONE 'UTC',
						(d.day + 2)::timestamp AT TIME ZONE 'UTC'))
	ORDER BY 2, 1
$$;
COMMENT ON FUNCTION llm_audit.expired_summaries() IS
	'days in usage_summary whose period has passed and that no hold keeps; part of expire_summaries()';
REVOKE EXECUTE ON FUNCTION llm_audit.expired_summaries() FROM PUBLIC;

CREATE FUNCTION llm_audit.expire_summaries() RETURNS int
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	r record;
	days int := 0;
BEGIN
	PERFORM llm_audit.require_superuser();
	PERFORM llm_audit.require_read_committed();
	LOCK TABLE llm_audit.usage_summary IN SHARE ROW EXCLUSIVE MODE;
	-- a hold is in force for whoever looks after this
	LOCK TABLE llm_audit.legal_hold IN SHARE MODE;
	FOR r IN SELECT x.environment, array_agg(x.day ORDER BY x.day) AS gone
		FROM llm_audit.expired_summaries() x GROUP BY 1
	LOOP
		DELETE FROM llm_audit.usage_summary u
			WHERE u.environment = r.environment AND u.day = ANY (r.gone);
		UPDATE llm_audit.summarised_day d SET expired_at = clock_timestamp()
			WHERE d.environment = r.environment AND d.day = ANY (r.gone);
		PERFORM llm_audit.record_own_event('usage_summary.expired', 'environment',
			r.environment, NULL, jsonb_build_object('days', cardinality(r.gone),
				'from', r.gone[1], 'to', r.gone[cardinality(r.gone)]));
		days := days + cardinality(r.gone);
	END LOOP;
	RETURN days;
END
$$;
COMMENT ON FUNCTION llm_audit.expire_summaries() IS
	'removes the days from usage_summary whose period has passed and that no hold keeps; returns their number; recorded; part of run_maintenance()';
REVOKE EXECUTE ON FUNCTION llm_audit.expire_summaries() FROM PUBLIC;

CREATE FUNCTION llm_audit.cost_report(since timestamptz, until timestamptz)
	RETURNS TABLE (environment text, organization_id text, project_id text,
		actor_type text, actor_id text, currency text, calls bigint,
		input_tokens numeric, output_tokens numeric, cost numeric)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
	SELECT c.environment, c.organization_id, c.project_id, c.actor_type, c.actor_id,
		c.currency::text, count(*), sum(c.input_tokens), sum(c.output_tokens), sum(c.cost)
	FROM llm_audit.llm_call c
	WHERE c.occurred_at >= since AND c.occurred_at < until
	GROUP BY 1, 2, 3, 4, 5, 6
	ORDER BY 1, 2, 3, 10 DESC NULLS LAST, 5
$$;
COMMENT ON FUNCTION llm_audit.cost_report(timestamptz, timestamptz) IS
	'calls, tokens and cost by project and actor (people by pseudonym) for a time, since inclusive, until exclusive, as long as the metadata is there; for security, compliance and auditors';
REVOKE EXECUTE ON FUNCTION llm_audit.cost_report(timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.cost_report(timestamptz, timestamptz)
	TO llm_audit_security, llm_audit_compliance, llm_audit_auditor;
