-- Recording: documents of gateways as rows of the ledgers.

CREATE FUNCTION llm_audit.record_rows() RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
	AS 'MODULE_PATHNAME', 'llm_audit_record_rows';
COMMENT ON FUNCTION llm_audit.record_rows() IS
	'rows that record_calls() is inserting; fails anywhere else';

CREATE FUNCTION llm_audit.record_call(document text,
		defaults text DEFAULT NULL) RETURNS uuid
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_record_call';
COMMENT ON FUNCTION llm_audit.record_call(text, text) IS
	'records one call with its fragments, tool calls, tokens and usage, as the caller; document is JSON in one of the formats of docs/writing.md, defaults an object of columns for what it lacks; returns the id of the row in llm_call';

CREATE FUNCTION llm_audit.record_calls(documents text,
		defaults text DEFAULT NULL, on_error text DEFAULT 'abort')
	RETURNS TABLE (line int, id uuid, result text, sqlstate text, message text)
	LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
	AS 'MODULE_PATHNAME', 'llm_audit_record_calls';
COMMENT ON FUNCTION llm_audit.record_calls(text, text, text) IS
	'records many calls, given as JSON Lines, an array or one object; result of each line is stored, duplicate, conflict, withheld or refused; on_error: abort, or report to leave out what cannot be recorded';

CREATE FUNCTION llm_audit.record_admin_event(document text,
		defaults text DEFAULT NULL) RETURNS uuid
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_record_admin_event';
COMMENT ON FUNCTION llm_audit.record_admin_event(text, text) IS
	'records one event of the control plane: an object of the columns of admin_event, or of OpenAI''s audit log; returns its id';

CREATE FUNCTION llm_audit.record_usage(document text,
		defaults text DEFAULT NULL) RETURNS uuid
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_record_usage';
COMMENT ON FUNCTION llm_audit.record_usage(text, text) IS
	'records one usage event: an object of the columns of usage_event; returns its id';

CREATE FUNCTION llm_audit.record_settlement(document text,
		defaults text DEFAULT NULL) RETURNS uuid
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_record_settlement';
COMMENT ON FUNCTION llm_audit.record_settlement(text, text) IS
	'records one settlement: an object of the columns of settlement; returns its id';

CREATE FUNCTION llm_audit.set_content_recording(environment text,
		service_name text, enabled boolean, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	before boolean;
BEGIN
	IF set_content_recording.environment IS NULL
		OR set_content_recording.environment <> '*' AND NOT EXISTS (
			SELECT FROM llm_audit.environment e
			WHERE e.name = set_content_recording.environment)
	THEN
		RAISE EXCEPTION 'environment is not known'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'The environments are in llm_audit.environment; * stands for all.';
	ELSIF coalesce(set_content_recording.service_name, '') = '' OR enabled IS NULL THEN
		RAISE EXCEPTION 'service_name and enabled must not be empty'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF reason IS NULL OR reason !~ '\S' THEN
		RAISE EXCEPTION 'a change of what is recorded needs a reason'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT r.enabled INTO before FROM llm_audit.content_recording r
		WHERE r.environment = set_content_recording.environment
			AND r.service_name = set_content_recording.service_name
		FOR UPDATE;
	INSERT INTO llm_audit.content_recording AS r (environment, service_name, enabled)
		VALUES (set_content_recording.environment,
			set_content_recording.service_name, set_content_recording.enabled)
		ON CONFLICT ON CONSTRAINT content_recording_pkey
			DO UPDATE SET enabled = excluded.enabled;
	PERFORM llm_audit.record_own_event('content_recording.changed',
		'content_recording',
		set_content_recording.environment || '/' || set_content_recording.service_name,
		reason, jsonb_build_object('enabled', enabled, 'enabled_before', before));
END
$$;
COMMENT ON FUNCTION llm_audit.set_content_recording(text, text, boolean, text) IS
	'says whether the text of calls is stored for an environment and a service, each * for all; the more specific rule wins, service before environment; recorded in admin_event';
REVOKE EXECUTE ON FUNCTION
	llm_audit.set_content_recording(text, text, boolean, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
	llm_audit.set_content_recording(text, text, boolean, text) TO llm_audit_admin;

CREATE FUNCTION llm_audit.register_source(source_id text, service_name text,
		entry_point text, owner text, expect_every interval) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	known boolean;
BEGIN
	IF coalesce(register_source.source_id, '') = '' THEN
		RAISE EXCEPTION 'source_id must not be empty'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF expect_every <= interval '0' THEN
		RAISE EXCEPTION 'expect_every must be positive'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	known := EXISTS (SELECT FROM llm_audit.call_source s
		WHERE s.source_id = register_source.source_id);
	INSERT INTO llm_audit.call_source AS s
			(source_id, service_name, entry_point, owner, expect_every)
		VALUES (register_source.source_id, register_source.service_name,
			register_source.entry_point, register_source.owner,
			register_source.expect_every)
		ON CONFLICT ON CONSTRAINT call_source_pkey
			DO UPDATE SET service_name = excluded.service_name,
				entry_point = excluded.entry_point, owner = excluded.owner,
				expect_every = excluded.expect_every;
	PERFORM llm_audit.record_own_event(
		CASE WHEN known THEN 'source.changed' ELSE 'source.registered' END,
		'source', register_source.source_id, NULL,
		jsonb_build_object('service_name', service_name,
			'entry_point', entry_point, 'owner', owner,
			'expect_every', expect_every));
END
$$;
COMMENT ON FUNCTION llm_audit.register_source(text, text, text, text, interval) IS
	'makes a writer known, or changes what is known of it, so that gap_report() notices when it is silent for longer than expect_every (NULL: any time) or has never written; recorded in admin_event';
REVOKE EXECUTE ON FUNCTION
	llm_audit.register_source(text, text, text, text, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
	llm_audit.register_source(text, text, text, text, interval) TO llm_audit_admin;

-- A record that arrives up to a day late closes its gap: rows are read from a
-- day before to a day after, and a gap belongs to the row that follows it.
CREATE FUNCTION llm_audit.gap_report(since timestamptz, until timestamptz)
	RETURNS TABLE (source_id text, source_epoch text, first_missing bigint,
		last_missing bigint, silent_since timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
	WITH numbered AS (
		SELECT c.source_id, coalesce(c.source_epoch, '') AS epoch, c.source_seq,
			c.recorded_at
		FROM llm_audit.llm_call c
		WHERE c.recorded_at >= since - interval '1 day'
			AND c.recorded_at < until + interval '1 day'
			AND c.source_id IS NOT NULL
		UNION ALL
		SELECT a.source_id, coalesce(a.source_epoch, ''), a.source_seq,
			a.recorded_at
		FROM llm_audit.admin_event a
		WHERE a.recorded_at >= since - interval '1 day'
			AND a.recorded_at < until + interval '1 day'
			AND a.source_id IS NOT NULL
	), followed AS (
		SELECT n.source_id, n.epoch, n.source_seq, n.recorded_at,
			lag(n.source_seq) OVER (PARTITION BY n.source_id, n.epoch
				ORDER BY n.source_seq) AS before
		FROM numbered n WHERE n.source_seq IS NOT NULL
	), gaps AS (
		SELECT f.source_id, f.epoch, coalesce(f.before, 0) + 1 AS first_missing,
			f.source_seq - 1 AS last_missing
		FROM followed f
		WHERE f.recorded_at >= since AND f.recorded_at < until
			AND f.source_seq - 1 > coalesce(f.before, 0)
			-- an epoch that began earlier has its beginning there
			AND (f.before IS NOT NULL OR NOT EXISTS (
				SELECT FROM llm_audit.llm_call c
				WHERE c.recorded_at < since - interval '1 day'
					AND c.source_id = f.source_id
					AND coalesce(c.source_epoch, '') = f.epoch))
	), silent AS (
		SELECT s.source_id, s.registered_at, s.expect_every,
			greatest((SELECT max(c.recorded_at) FROM llm_audit.llm_call c
					WHERE c.source_id = s.source_id AND c.recorded_at < until),
				(SELECT max(a.recorded_at) FROM llm_audit.admin_event a
					WHERE a.source_id = s.source_id AND a.recorded_at < until))
				AS last_seen
		FROM llm_audit.call_source s
	)
	SELECT g.source_id, nullif(g.epoch, ''), g.first_missing, g.last_missing,
		NULL::timestamptz
	FROM gaps g
	UNION ALL
	SELECT s.source_id, NULL, NULL, NULL, coalesce(s.last_seen, s.registered_at)
	FROM silent s
	WHERE s.last_seen IS NULL
		OR s.last_seen + s.expect_every < least(until, pg_catalog.now())
	ORDER BY 1, 2, 3
$$;
COMMENT ON FUNCTION llm_audit.gap_report(timestamptz, timestamptz) IS
	'numbers missing from what writers recorded between since and until, by source_id, source_epoch and source_seq; and registered writers that have never written or are silent for longer than expected, with the time of their last record or of their registration';
REVOKE EXECUTE ON FUNCTION llm_audit.gap_report(timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.gap_report(timestamptz, timestamptz)
	TO llm_audit_auditor, llm_audit_compliance;
