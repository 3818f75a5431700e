-- Maintenance: everything that has to happen by itself, in steps.  A step is
-- a row of small units, each in a transaction of its own, so that no lock is
-- held for longer than one of them takes, and one that fails stops no other.

CREATE TABLE llm_audit.maintenance_log (
	run_id uuid NOT NULL,
	step text NOT NULL,
	started_at timestamptz NOT NULL,
	finished_at timestamptz NOT NULL,
	done int NOT NULL,
	postponed int NOT NULL,
	failed int NOT NULL,
	problems text[] NOT NULL,
	run_by name NOT NULL DEFAULT session_user,
	PRIMARY KEY (run_id, step)
);
COMMENT ON TABLE llm_audit.maintenance_log IS
	'what run_maintenance() did, one row for each step of a run';
COMMENT ON COLUMN llm_audit.maintenance_log.run_id IS 'the run';
COMMENT ON COLUMN llm_audit.maintenance_log.step IS
	'segments, close, summarise, expire or rewrite';
COMMENT ON COLUMN llm_audit.maintenance_log.started_at IS 'when the step began';
COMMENT ON COLUMN llm_audit.maintenance_log.finished_at IS 'when it ended';
COMMENT ON COLUMN llm_audit.maintenance_log.done IS
	'units that were done: segments, or days';
COMMENT ON COLUMN llm_audit.maintenance_log.postponed IS
	'units that were in use; the next run tries them again';
COMMENT ON COLUMN llm_audit.maintenance_log.failed IS 'units that failed';
COMMENT ON COLUMN llm_audit.maintenance_log.problems IS
	'what was postponed or failed, and why; the first 100';
COMMENT ON COLUMN llm_audit.maintenance_log.run_by IS 'session user';
GRANT SELECT ON llm_audit.maintenance_log
	TO llm_audit_admin, llm_audit_compliance, llm_audit_auditor;

CREATE FUNCTION llm_audit.maintenance_steps() RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT '{segments,close,summarise,expire,rewrite}'::text[]
$$;
COMMENT ON FUNCTION llm_audit.maintenance_steps() IS
	'the steps of run_maintenance(), in their order';

-- What a step would do next, but for what this run has tried already.
CREATE FUNCTION llm_audit.maintenance_unit(step text, tried text[])
	RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	unit text;
BEGIN
	CASE step
		WHEN 'segments' THEN
			SELECT d.line || ' ' || d.from_time INTO unit
				FROM llm_audit.due_segment(interval '3 months') d
				WHERE d.line || ' ' || d.from_time <> ALL (tried) LIMIT 1;
		WHEN 'close' THEN
			unit := llm_audit.closable_segment(ARRAY(
				SELECT t::regclass FROM unnest(tried) t));
		WHEN 'summarise' THEN
			SELECT d.environment || ' ' || to_char(d.day, 'YYYY-MM-DD') INTO unit
				FROM llm_audit.days_to_summarise() d
				WHERE d.environment || ' ' || to_char(d.day, 'YYYY-MM-DD') <> ALL (tried) LIMIT 1;
		WHEN 'expire' THEN
			SELECT f.leaf INTO unit FROM llm_audit.expired_fields() f
				WHERE f.leaf::text <> ALL (tried) LIMIT 1;
		WHEN 'rewrite' THEN
			-- an open segment would lock its writers out
			SELECT u.leaf INTO unit FROM llm_audit.unfinished_erasures() u
				JOIN llm_audit.ledger_segment s USING (ledger_id, segment)
				WHERE s.state <> 'open' AND u.leaf::text <> ALL (tried) LIMIT 1;
	END CASE;
	RETURN unit;
END
$$;
COMMENT ON FUNCTION llm_audit.maintenance_unit(text, text[]) IS
	'the next thing to do in a step of maintenance that was not tried yet; NULL: there is none';
REVOKE EXECUTE ON FUNCTION llm_audit.maintenance_unit(text, text[]) FROM PUBLIC;

CREATE FUNCTION llm_audit.maintain(step text, unit text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	d record;
BEGIN
	CASE step
		WHEN 'segments' THEN
			PERFORM llm_audit.lock_registry();
			SELECT * INTO d FROM llm_audit.due_segment(interval '3 months') x
				WHERE x.line || ' ' || x.from_time = unit;
			IF FOUND THEN
				PERFORM llm_audit.record_segment_event('created', d.ledger_id,
					llm_audit.make_segment(d.ledger_id, d.environment, d.from_time, d.to_time));
			END IF;
		WHEN 'close' THEN
			PERFORM llm_audit.close_segment(unit::regclass);
		WHEN 'summarise' THEN
			PERFORM llm_audit.summarise_day(split_part(unit, ' ', 1),
				split_part(unit, ' ', 2)::date);
		WHEN 'expire' THEN
			PERFORM llm_audit.expire_fields(unit::regclass);
		WHEN 'rewrite' THEN
			PERFORM llm_audit.rewrite_segment(unit::regclass);
	END CASE;
END
$$;
COMMENT ON FUNCTION llm_audit.maintain(text, text) IS
	'does one unit of a step of maintenance; part of run_maintenance()';
REVOKE EXECUTE ON FUNCTION llm_audit.maintain(text, text) FROM PUBLIC;

CREATE FUNCTION llm_audit.check_steps(steps text[]) RETURNS text[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM llm_audit.require_superuser();
	IF NOT coalesce(steps, '{}') <@ llm_audit.maintenance_steps() THEN
		RAISE EXCEPTION 'a step of maintenance is not known'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'The steps are segments, close, summarise, expire and rewrite.';
	END IF;
	RETURN ARRAY(SELECT s FROM unnest(llm_audit.maintenance_steps()) WITH ORDINALITY AS m (s, n)
		WHERE steps IS NULL OR s = ANY (steps) ORDER BY n);
END
$$;
COMMENT ON FUNCTION llm_audit.check_steps(text[]) IS
	'steps of maintenance in their order, NULL: all; raises 22023 for one that is not known';
REVOKE EXECUTE ON FUNCTION llm_audit.check_steps(text[]) FROM PUBLIC;

CREATE FUNCTION llm_audit.log_maintenance(run uuid, step text,
		began timestamptz, counts int[], problems text[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	INSERT INTO llm_audit.maintenance_log (run_id, step, started_at, finished_at,
			done, postponed, failed, problems)
		VALUES (run, step, began, clock_timestamp(), counts[1], counts[2], counts[3],
			problems[1:100]);
	IF counts[3] > 0 THEN
		PERFORM llm_audit.record_own_event('maintenance.failed', 'maintenance', step, NULL,
			jsonb_build_object('run', run, 'done', counts[1], 'failed', counts[3]));
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.log_maintenance(uuid, text, timestamptz, int[], text[]) IS
	'notes a finished step of maintenance, and in admin_event if something failed';
REVOKE EXECUTE ON FUNCTION llm_audit.log_maintenance(uuid, text, timestamptz, int[], text[])
	FROM PUBLIC;

-- A procedure, to commit after each unit.  No SET clause, since a procedure
-- that has one cannot commit; every name is qualified instead.
CREATE PROCEDURE llm_audit.run_maintenance(steps text[] DEFAULT NULL)
LANGUAGE plpgsql
AS $$
DECLARE
	run pg_catalog.uuid := pg_catalog.gen_random_uuid();
	step pg_catalog.text;
	unit pg_catalog.text;
	tried pg_catalog.text[];
	problems pg_catalog.text[];
	counts pg_catalog.int4[];
	began pg_catalog.timestamptz;
	failures pg_catalog.int4 := 0;
	what pg_catalog.int4;
BEGIN
	steps := llm_audit.check_steps(steps);
	-- held by the session, over its transactions: two runs would do each
	-- other's work
	IF NOT pg_catalog.pg_try_advisory_lock(1279869004, 1) THEN
		RAISE NOTICE 'maintenance is running already';
		RETURN;
	END IF;
	FOREACH step IN ARRAY steps LOOP
		began := pg_catalog.clock_timestamp();
		tried := '{}';
		problems := '{}';
		counts := '{0,0,0}';
		LOOP
			what := 1;
			unit := NULL;
			BEGIN
				unit := llm_audit.maintenance_unit(step, tried);
				IF unit IS NOT NULL THEN
					PERFORM llm_audit.maintain(step, unit);
				END IF;
			EXCEPTION
				WHEN lock_not_available OR object_in_use THEN
					what := 2;
					problems := pg_catalog.array_append(problems,
						pg_catalog.concat(unit, ': ', SQLERRM));
				WHEN OTHERS THEN
					what := 3;
					problems := pg_catalog.array_append(problems,
						pg_catalog.concat(unit, ': ', SQLERRM));
					RAISE WARNING 'maintenance step "%" failed: %', step, SQLERRM;
			END;
			COMMIT;
			EXIT WHEN unit IS NULL AND what OPERATOR(pg_catalog.=) 1;
			counts[what] := counts[what] OPERATOR(pg_catalog.+) 1;
			EXIT WHEN unit IS NULL;
			tried := pg_catalog.array_append(tried, unit);
		END LOOP;
		failures := failures OPERATOR(pg_catalog.+) counts[3];
		PERFORM llm_audit.log_maintenance(run, step, began, counts, problems);
		COMMIT;
	END LOOP;
	PERFORM pg_catalog.pg_advisory_unlock(1279869004, 1);
	IF failures OPERATOR(pg_catalog.>) 0 THEN
		RAISE EXCEPTION 'maintenance failed in % cases', failures
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'All else was done. llm_audit.maintenance_log says what failed and why.';
	END IF;
END
$$;
COMMENT ON PROCEDURE llm_audit.run_maintenance(text[]) IS
	'makes segments ahead, closes those that have ended, summarises days, erases fields whose period has passed and rewrites their segments; NULL: all steps, else those that are named; each step is logged in maintenance_log; raises 55000 in the end if something failed; schedule it daily';
REVOKE EXECUTE ON PROCEDURE llm_audit.run_maintenance(text[]) FROM PUBLIC;
