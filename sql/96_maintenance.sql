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
	'segments, close, summarise, expire, archive, purge, drop or rewrite';
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
	SELECT '{segments,close,summarise,expire,archive,purge,drop,rewrite}'::text[]
$$;
COMMENT ON FUNCTION llm_audit.maintenance_steps() IS
	'the steps of run_maintenance(), in their order';

-- Of segments that let rows go one by one only purge() knows which have
-- expired.
CREATE FUNCTION llm_audit.is_due(s llm_audit.ledger_segment, leaf regclass,
		archived boolean) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found_some boolean;
BEGIN
	IF archived THEN
		IF llm_audit.purge_obstacle(s) IS NOT NULL THEN
			RETURN false;
		END IF;
	ELSIF s.state <> 'closed' OR llm_audit.was_archived(s)
		OR NOT EXISTS (SELECT FROM llm_audit.segment_policies(s) p WHERE p.archive_before_purge)
	THEN
		RETURN false;
	END IF;
	found_some := llm_audit.segment_expiry(leaf) <= clock_timestamp();
	IF NOT found_some AND llm_audit.purges_rows(s) THEN
		EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s WHERE retain_until <= clock_timestamp())', leaf)
			INTO found_some;
	END IF;
	RETURN found_some;
END
$$;
COMMENT ON FUNCTION llm_audit.is_due(llm_audit.ledger_segment, regclass, boolean) IS
	'whether purge() may take something from a segment (archived true), or it has to be archived before (false); part of run_maintenance()';
REVOKE EXECUTE ON FUNCTION llm_audit.is_due(llm_audit.ledger_segment, regclass, boolean)
	FROM PUBLIC;

-- In one order, so that each segment is looked at once in a run.  One that
-- cannot be looked at is due: whoever does it meets the error, and the run goes
-- on behind it.
CREATE FUNCTION llm_audit.due_purge(after text, archived boolean)
	RETURNS regclass
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
DECLARE
	e record;
	last llm_audit.ledger_segment;
	due boolean;
BEGIN
	SELECT * INTO last FROM llm_audit.ledger_segment s
		WHERE format('%I.%I', s.schema_name, s.relation_name) = after;
	FOR e IN SELECT x.leaf, s FROM llm_audit.ended_segments(NULL) x
		CROSS JOIN LATERAL llm_audit.segment_of(x.leaf) s
		WHERE after IS NULL OR (s.ledger_id, s.segment) > (last.ledger_id, last.segment)
		ORDER BY s.ledger_id, s.segment
	LOOP
		BEGIN
			due := llm_audit.is_due(e.s, e.leaf, archived);
		EXCEPTION WHEN OTHERS THEN
			due := true;
		END;
		IF due THEN
			RETURN e.leaf;
		END IF;
	END LOOP;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION llm_audit.due_purge(text, boolean) IS
	'the next segment after that one, NULL: the first, that is_due() finds due or fails for; part of run_maintenance()';
REVOKE EXECUTE ON FUNCTION llm_audit.due_purge(text, boolean) FROM PUBLIC;

-- What a step would do next, but for what this run has tried already.
CREATE FUNCTION llm_audit.maintenance_unit(step text, tried text[])
	RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
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
			unit := llm_audit.closable_segment(ARRAY(SELECT r.leaf
				FROM unnest(tried) t CROSS JOIN to_regclass(t) AS r (leaf)
				WHERE r.leaf IS NOT NULL));
		WHEN 'summarise' THEN
			SELECT d.environment || ' ' || to_char(d.day, 'YYYY-MM-DD') INTO unit
				FROM llm_audit.days_to_summarise() d
				WHERE d.environment || ' ' || to_char(d.day, 'YYYY-MM-DD') <> ALL (tried) LIMIT 1;
		WHEN 'expire' THEN
			SELECT f.leaf INTO unit FROM llm_audit.expired_fields() f
				WHERE f.leaf::text <> ALL (tried) LIMIT 1;
			IF unit IS NULL AND 'summaries' <> ALL (tried)
				AND EXISTS (SELECT FROM llm_audit.expired_summaries())
			THEN
				unit := 'summaries';
			END IF;
		WHEN 'archive' THEN
			IF 'unfinished' <> ALL (tried) THEN
				unit := llm_audit.due_purge(tried[cardinality(tried)], false);
				IF unit IS NULL AND EXISTS (SELECT FROM llm_audit.unknown_archives() a WHERE a.unfinished) THEN
					unit := 'unfinished';
				END IF;
			END IF;
		WHEN 'purge' THEN
			unit := llm_audit.due_purge(tried[cardinality(tried)], true);
		WHEN 'drop' THEN
			unit := llm_audit.purged_segment(tried)::oid;
			IF unit IS NULL AND 'keys' <> ALL (tried) AND EXISTS (SELECT FROM llm_audit.keys_left()) THEN
				unit := 'keys';
			END IF;
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

-- Each archive has a name of its own: after an erasure there is a newer one.
CREATE FUNCTION llm_audit.archive_path(leaf regclass) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	directory text := llm_audit.setting('archive_directory');
BEGIN
	IF directory = '' THEN
		RAISE EXCEPTION 'segment "%" has to be archived before it is purged, and llm_audit.archive_directory is not set', leaf
			USING ERRCODE = 'config_file_error',
				HINT = 'Set llm_audit.archive_directory, or archive the segment with llm_audit.archive().';
	END IF;
	RETURN (SELECT format('%s/%s_%s_%s_%s', rtrim(directory, '/'),
			regexp_replace(s.relation_name, '[^A-Za-z0-9_]', '_', 'g'), s.ledger_id, s.segment,
			to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISS"Z"'))
		FROM llm_audit.segment_of(leaf) s);
END
$$;
COMMENT ON FUNCTION llm_audit.archive_path(regclass) IS
	'where run_maintenance() writes the archive of a segment; raises F0000 without llm_audit.archive_directory';
REVOKE EXECUTE ON FUNCTION llm_audit.archive_path(regclass) FROM PUBLIC;

-- A batch of purge(), so that nobody waits for more than one.
CREATE FUNCTION llm_audit.purge_batch(leaf regclass) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	batch CONSTANT bigint := 200000;
	gone bigint;
	busy text;
BEGIN
	SELECT sum(p.row_count) FILTER (WHERE p.action = 'delete'),
			min(p.why_not) FILTER (WHERE p.action = 'keep' AND p.row_count IS NULL)
		INTO gone, busy
		FROM llm_audit.purge(leaf, false, 'scheduled: run_maintenance()', batch) p;
	IF busy IS NOT NULL THEN
		RAISE EXCEPTION '%', busy USING ERRCODE = 'object_in_use';
	END IF;
	RETURN coalesce(gone >= batch, false);
END
$$;
COMMENT ON FUNCTION llm_audit.purge_batch(regclass) IS
	'purges at most 200,000 rows of a segment one by one, or all of it as a whole; true if there may be more; raises 55006 if the segment is in use; part of run_maintenance()';
REVOKE EXECUTE ON FUNCTION llm_audit.purge_batch(regclass) FROM PUBLIC;

CREATE FUNCTION llm_audit.maintain(step text, unit text) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	d record;
	more boolean := false;
BEGIN
	CASE step
		WHEN 'segments' THEN
			PERFORM llm_audit.lock_registry();
			SELECT * INTO d FROM llm_audit.due_segment(interval '3 months') x
				WHERE x.line || ' ' || x.from_time = unit;
			IF FOUND THEN
				PERFORM llm_audit.append_created(d.ledger_id,
					llm_audit.make_segment(d.ledger_id, d.environment, d.from_time, d.to_time));
			END IF;
		WHEN 'close' THEN
			PERFORM llm_audit.close_segment(unit::regclass);
		WHEN 'summarise' THEN
			PERFORM llm_audit.summarise_day(split_part(unit, ' ', 1),
				split_part(unit, ' ', 2)::date);
		WHEN 'expire' THEN
			IF unit = 'summaries' THEN
				PERFORM llm_audit.expire_summaries();
				RETURN false;
			END IF;
			PERFORM llm_audit.expire_fields(unit::regclass);
		WHEN 'archive' THEN
			IF unit = 'unfinished' THEN
				PERFORM llm_audit.discard_unfinished_archives();
				RETURN false;
			END IF;
			-- what could not be looked at may not be due
			IF llm_audit.is_due(s, unit::regclass, false) FROM llm_audit.segment_of(unit::regclass) s THEN
				PERFORM llm_audit.archive(unit::regclass, llm_audit.archive_path(unit::regclass));
			END IF;
		WHEN 'purge' THEN
			more := llm_audit.purge_batch(unit::regclass);
		WHEN 'drop' THEN
			IF unit = 'keys' THEN
				PERFORM llm_audit.destroy_keys_left('scheduled: run_maintenance()');
				RETURN false;
			END IF;
			more := llm_audit.destroy_purged_keys(unit::oid, 'scheduled: run_maintenance()');
			IF NOT more
				AND NOT llm_audit.drop_purged_segment(unit::oid, 'scheduled: run_maintenance()')
			THEN
				RAISE EXCEPTION 'the table of purged segment "%" stays for now', unit::oid::regclass
					USING ERRCODE = 'object_in_use';
			END IF;
		WHEN 'rewrite' THEN
			PERFORM llm_audit.rewrite_segment(unit::regclass);
	END CASE;
	RETURN more;
END
$$;
COMMENT ON FUNCTION llm_audit.maintain(text, text) IS
	'does one unit of a step of maintenance, or a part of it; true if there is more of it; part of run_maintenance()';
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
				HINT = 'The steps are segments, close, summarise, expire, archive, purge, drop and rewrite.';
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

CREATE FUNCTION llm_audit.lock_maintenance() RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_lock_maintenance';
COMMENT ON FUNCTION llm_audit.lock_maintenance() IS
	'takes the lock of maintenance for the session; false if it is taken; part of run_maintenance()';
REVOKE EXECUTE ON FUNCTION llm_audit.lock_maintenance() FROM PUBLIC;

CREATE FUNCTION llm_audit.unlock_maintenance() RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_unlock_maintenance';
COMMENT ON FUNCTION llm_audit.unlock_maintenance() IS
	'releases the lock of maintenance; part of run_maintenance()';
REVOKE EXECUTE ON FUNCTION llm_audit.unlock_maintenance() FROM PUBLIC;

-- Another run will do what is to be done, unless it hangs: then the scheduler
-- has to hear of it.
CREATE FUNCTION llm_audit.begin_maintenance() RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	other record;
BEGIN
	IF llm_audit.lock_maintenance() THEN
		RETURN true;
	END IF;
	SELECT a.pid, a.query_start AS since INTO other
		FROM pg_locks k JOIN pg_stat_activity a USING (pid)
		WHERE k.locktype = 'object' AND k.granted AND k.mode = 'ExclusiveLock'
			AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
			AND k.classid = 'pg_extension'::regclass AND k.objsubid = 19521
		LIMIT 1;
	IF other.since < clock_timestamp() - interval '1 day' THEN
		RAISE EXCEPTION 'maintenance has been running for more than a day'
			USING ERRCODE = 'object_in_use',
				DETAIL = format('Process %s runs it since %s UTC.', other.pid,
					to_char(other.since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')),
				HINT = 'See pg_stat_activity for what it waits for; pg_terminate_backend() ends it, and the next run goes on from there.';
	END IF;
	RAISE NOTICE 'maintenance is running already'
		USING DETAIL = coalesce(format('Process %s runs it since %s UTC.', other.pid,
			to_char(other.since AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')), 'It has just ended.');
	RETURN false;
END
$$;
COMMENT ON FUNCTION llm_audit.begin_maintenance() IS
	'takes the lock of maintenance for the session; false, with a notice, if another session has it; raises 55006 if it has had it for more than a day; part of run_maintenance()';
REVOKE EXECUTE ON FUNCTION llm_audit.begin_maintenance() FROM PUBLIC;

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
	more pg_catalog.bool;
	unit_began pg_catalog.timestamptz;
BEGIN
	steps := llm_audit.check_steps(steps);
	-- held by the session, over its transactions: two runs would do each
	-- other's work
	IF NOT llm_audit.begin_maintenance() THEN
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
			more := false;
			unit_began := pg_catalog.clock_timestamp();
			BEGIN
				unit := llm_audit.maintenance_unit(step, tried);
				IF unit IS NOT NULL THEN
					more := llm_audit.maintain(step, unit);
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
			IF more THEN
				PERFORM llm_audit.pause_purge(unit_began);
				COMMIT;
				CONTINUE;
			END IF;
			counts[what] := counts[what] OPERATOR(pg_catalog.+) 1;
			EXIT WHEN unit IS NULL;
			tried := pg_catalog.array_append(tried, unit);
		END LOOP;
		failures := failures OPERATOR(pg_catalog.+) counts[3];
		PERFORM llm_audit.log_maintenance(run, step, began, counts, problems);
		COMMIT;
	END LOOP;
	PERFORM llm_audit.unlock_maintenance();
	IF failures OPERATOR(pg_catalog.>) 0 THEN
		RAISE EXCEPTION 'maintenance failed in % cases', failures
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'All else was done. llm_audit.maintenance_log says what failed and why.';
	END IF;
END
$$;
COMMENT ON PROCEDURE llm_audit.run_maintenance(text[]) IS
	'makes segments ahead, closes those that have ended, summarises days, erases fields whose period has passed, archives and purges rows that have expired, drops the tables of purged segments, and rewrites those in which values were erased; NULL: all steps, else those that are named; each step is logged in maintenance_log; raises 55000 in the end if something failed, 55006 if another run has been going on for more than a day; schedule it daily';
REVOKE EXECUTE ON PROCEDURE llm_audit.run_maintenance(text[]) FROM PUBLIC;
