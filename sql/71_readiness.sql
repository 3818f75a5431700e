-- readiness(): what an administrator has to see to, before and while ledgers
-- are in use.  Every item is a function of its own kind of fact; ok is NULL
-- where the database cannot know.

-- Settings of llm_audit are asked for with missing_ok: a session that has not
-- loaded the library yet does not know them.
CREATE FUNCTION llm_audit.readiness_settings()
	RETURNS TABLE (item text, ok boolean, hint text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT * FROM (VALUES
		('encoding', getdatabaseencoding() = 'UTF8',
			'Create the database with ENCODING ''UTF8'' TEMPLATE template0.'),
		('library preloaded',
			EXISTS (SELECT FROM regexp_split_to_table(
				current_setting('shared_preload_libraries'), '\s*,\s*') AS l
				WHERE btrim(l, '" ') ~ '(^|/)llm_audit(\.so)?$'),
			'Add llm_audit to shared_preload_libraries and restart: without it ledgers are guarded by triggers only, and nothing records who reads.'),
		('data checksums', current_setting('data_checksums')::boolean,
			'Stop the server and run pg_checksums --enable: damaged pages are then noticed when they are read.'),
		('durable commits', current_setting('fsync')::boolean
			AND current_setting('full_page_writes')::boolean
			AND current_setting('synchronous_commit') <> 'off',
			'Set fsync and full_page_writes to on, and synchronous_commit to anything but off: a crash loses or damages rows otherwise.'),
		('WAL level', current_setting('wal_level') <> 'minimal',
			'Set wal_level to replica or logical: with minimal there are no online backups and no standbys.'),
		('autovacuum', current_setting('autovacuum')::boolean,
			'Set autovacuum to on.'),
		('no repair settings', NOT (current_setting('zero_damaged_pages')::boolean
			OR current_setting('ignore_checksum_failure')::boolean
			OR current_setting('ignore_system_indexes')::boolean
			OR current_setting('allow_system_table_mods')::boolean),
			'Set zero_damaged_pages, ignore_checksum_failure, ignore_system_indexes and allow_system_table_mods to off: they hide damage or open the catalogs.'),
		('restore mode off', NOT coalesce(current_setting('llm_audit.restore', true), 'off')::boolean,
			'Set llm_audit.restore to off when the restore is done: new rows are refused meanwhile.'),
		('lanes', coalesce(current_setting('llm_audit.max_lanes', true), '-1')::int = -1
			OR current_setting('llm_audit.max_lanes', true)::int >=
				current_setting('max_connections')::int
				+ current_setting('max_prepared_transactions')::int,
			'Set llm_audit.max_lanes to -1, or to at least max_connections + max_prepared_transactions: an insert that finds no free lane fails.'),
		('masking', coalesce(current_setting('llm_audit.masking', true), 'on')::boolean,
			'Set llm_audit.masking to on: rows are stored as they are written.'),
		('reads recorded', current_database() IN (SELECT btrim(d, '" ')
				FROM regexp_split_to_table(
					coalesce(current_setting('llm_audit.databases', true), ''), ',') AS d),
			'Add the database to llm_audit.databases and restart: nobody can read audit data here, since no read can be recorded.')
	) AS v (item, ok, hint)
$$;
COMMENT ON FUNCTION llm_audit.readiness_settings() IS
	'the part of readiness() that looks at settings; the hint says what to do if an item is not ok';
REVOKE EXECUTE ON FUNCTION llm_audit.readiness_settings() FROM PUBLIC;

CREATE FUNCTION llm_audit.readiness_keys()
	RETURNS TABLE (item text, ok boolean, hint text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'keys', problem IS NULL,
		'Rows that name a person are refused while masking is on: ' || problem
	FROM llm_audit.key_problem() AS problem
$$;
COMMENT ON FUNCTION llm_audit.readiness_keys() IS
	'the part of readiness() that reads the key file';
REVOKE EXECUTE ON FUNCTION llm_audit.readiness_keys() FROM PUBLIC;

CREATE FUNCTION llm_audit.readiness_ledgers()
	RETURNS TABLE (item text, ok boolean, hint text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'set up', count(*) = 0, format(
			'Run SELECT llm_audit.setup(): %s.',
			coalesce('missing are ' || string_agg(b.relation_name, ', '), ''))
		FROM llm_audit.builtin_ledgers() b
		WHERE NOT EXISTS (SELECT FROM llm_audit.ledger l
			WHERE l.schema_name = 'llm_audit' AND l.relation_name = b.relation_name)
	UNION ALL
	SELECT 'segments ahead', count(*) = 0 AND EXISTS (SELECT FROM llm_audit.ledger), format(
			'Run CALL llm_audit.make_segments(), and schedule it: segments end within a month in %s.',
			coalesce(string_agg(x.relation_name || ' (' || x.environment || ')', ', '), 'none, because there is no ledger'))
		FROM (SELECT l.relation_name, e.name AS environment
			FROM llm_audit.ledger l
			CROSS JOIN llm_audit.environment e
			LEFT JOIN llm_audit.ledger_segment s ON s.ledger_id = l.ledger_id
				AND s.environment = e.name AND NOT s.is_default
			WHERE l.partitioned
			GROUP BY l.relation_name, e.name
			HAVING coalesce(max(s.upper), '-infinity') < now() + interval '1 month'
			ORDER BY 1, 2) AS x
	UNION ALL
	SELECT 'closed in time', count(*) = 0 AND EXISTS (SELECT FROM llm_audit.ledger), format(
			'Run CALL llm_audit.close_segments(), and schedule it: %s segments ended more than a day ago and are still open (%s).',
			count(*), coalesce('one is ' || min(s.relation_name), 'there is no ledger'))
		FROM llm_audit.ledger_segment s
		WHERE s.state = 'open' AND s.upper + interval '1 day'
			+ coalesce(current_setting('llm_audit.seal_grace', true), '1h')::interval < now()
	UNION ALL
	SELECT 'columns registered', count(*) = 0 AND EXISTS (SELECT FROM llm_audit.ledger), format(
			'Run SELECT llm_audit.register_columns(ledger): rows are refused because of %s.',
			coalesce(string_agg(DISTINCT l.relation_name || '.' || a.attname, ', '), 'there being no ledger'))
		FROM llm_audit.ledger l
		JOIN pg_namespace n ON n.nspname = l.schema_name
		JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = l.relation_name
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
			AND NOT a.attisdropped AND a.attgenerated = ''
		WHERE a.attname NOT IN ('chain_lane', 'chain_seq', 'prev_hash', 'row_hash',
				'salt', 'erased', 'known_values')
			AND NOT EXISTS (SELECT FROM llm_audit.ledger_column k
				WHERE k.ledger_id = l.ledger_id AND k.column_name = a.attname)
$$;
COMMENT ON FUNCTION llm_audit.readiness_ledgers() IS
	'the part of readiness() that looks at ledgers and segments';
REVOKE EXECUTE ON FUNCTION llm_audit.readiness_ledgers() FROM PUBLIC;

-- Rows land in a default segment when maintenance slept; they stay there.
CREATE FUNCTION llm_audit.readiness_defaults()
	RETURNS TABLE (item text, ok boolean, hint text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	s record;
	filled boolean;
	names text[] := '{}';
BEGIN
	FOR s IN SELECT g.relation_name, llm_audit.leaf_of(g) AS leaf
		FROM llm_audit.ledger_segment g JOIN llm_audit.ledger l USING (ledger_id)
		WHERE g.is_default AND l.partitioned AND g.state <> 'purged'
	LOOP
		CONTINUE WHEN s.leaf IS NULL OR pg_relation_size(s.leaf) = 0;
		EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s)', s.leaf) INTO filled;
		IF filled THEN
			names := names || s.relation_name::text;
		END IF;
	END LOOP;
	RETURN QUERY SELECT 'default segments empty', names = '{}', format(
		'Schedule CALL llm_audit.make_segments(): rows came in when there was no segment for their time, and stay in %s for good.',
		array_to_string(names, ', '));
END
$$;
COMMENT ON FUNCTION llm_audit.readiness_defaults() IS
	'the part of readiness() that looks for rows in default segments';
REVOKE EXECUTE ON FUNCTION llm_audit.readiness_defaults() FROM PUBLIC;

CREATE FUNCTION llm_audit.has_login_member(group_name name) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE member AS (
		SELECT m.member FROM pg_auth_members m
			JOIN pg_roles r ON r.oid = m.roleid WHERE r.rolname = group_name
		UNION
		SELECT m.member FROM member JOIN pg_auth_members m ON m.roleid = member.member)
	SELECT EXISTS (SELECT FROM member JOIN pg_roles r ON r.oid = member.member
		WHERE r.rolcanlogin)
$$;
COMMENT ON FUNCTION llm_audit.has_login_member(name) IS
	'whether somebody who can log in is a member of a role, directly or not';
REVOKE EXECUTE ON FUNCTION llm_audit.has_login_member(name) FROM PUBLIC;

CREATE FUNCTION llm_audit.readiness_people()
	RETURNS TABLE (item text, ok boolean, hint text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT 'somebody can write', llm_audit.has_login_member('llm_audit_writer'),
		'GRANT llm_audit_writer TO the gateway''s login.'
	UNION ALL
	SELECT 'somebody can verify', llm_audit.has_login_member('llm_audit_auditor')
			OR llm_audit.has_login_member('llm_audit_compliance'),
		'GRANT llm_audit_auditor TO an auditor''s login: a superuser should not be the only one who checks.'
	UNION ALL
	SELECT 'WAL leaves the server',
		(current_setting('archive_mode') <> 'off'
			AND coalesce(a.last_archived_time, '-infinity')
				>= coalesce(a.last_failed_time, '-infinity')
			AND a.archived_count > 0)
		OR EXISTS (SELECT FROM pg_stat_replication),
		'Set up archive_mode and archive_command, or a standby. Base backups cannot be seen from here.'
	FROM pg_stat_archiver a
$$;
COMMENT ON FUNCTION llm_audit.readiness_people() IS
	'the part of readiness() that looks at roles and at copies outside the server';
REVOKE EXECUTE ON FUNCTION llm_audit.readiness_people() FROM PUBLIC;

CREATE FUNCTION llm_audit.readiness_schedule()
	RETURNS TABLE (item text, ok boolean, hint text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	needed text;
	found boolean;
	missing text[] := '{}';
BEGIN
	IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron')
		OR to_regclass('cron.job') IS NULL
	THEN
		RETURN QUERY SELECT 'scheduler', NULL::boolean,
			'pg_cron is not in this database. If another scheduler calls make_segments() and close_segments() daily, all is well; that cannot be seen from here.';
		RETURN;
	END IF;
	FOREACH needed IN ARRAY '{make_segments,close_segments}'::text[] LOOP
		EXECUTE 'SELECT EXISTS (SELECT FROM cron.job WHERE active
				AND database = current_database()
				AND command ~ (''llm_audit\.(run_maintenance|'' || $1 || '')\M''))'
			INTO found USING needed;
		IF NOT found THEN
			missing := missing || needed;
		END IF;
	END LOOP;
	RETURN QUERY SELECT 'scheduler', missing = '{}', format(
		'Schedule with pg_cron, daily: CALL llm_audit.%s().',
		array_to_string(missing, '() and CALL llm_audit.'));
END
$$;
COMMENT ON FUNCTION llm_audit.readiness_schedule() IS
	'the part of readiness() that looks for jobs of pg_cron; ok NULL: there may be another scheduler';
REVOKE EXECUTE ON FUNCTION llm_audit.readiness_schedule() FROM PUBLIC;

-- What pg_cron says of its last run of maintenance; NULL: that all is well, or
-- nothing.
CREATE FUNCTION llm_audit.scheduled_failure(OUT scheduled boolean, OUT problem text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	last record;
BEGIN
	scheduled := false;
	IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron') OR to_regclass('cron.job') IS NULL THEN
		RETURN;
	END IF;
	EXECUTE 'SELECT EXISTS (SELECT FROM cron.job WHERE active AND database = current_database()
			AND command ~ ''llm_audit\.run_maintenance\M'')' INTO scheduled;
	-- older versions of pg_cron do not have it
	IF scheduled AND to_regclass('cron.job_run_details') IS NOT NULL THEN
		EXECUTE 'SELECT d.status, d.return_message, d.start_time FROM cron.job_run_details d
			WHERE d.database = current_database() AND d.command ~ ''llm_audit\.run_maintenance\M''
				AND d.status IN (''succeeded'', ''failed'')
			ORDER BY d.runid DESC LIMIT 1' INTO last;
		IF last.status = 'failed' THEN
			problem := format('pg_cron''s last run%s failed: %s',
				to_char(last.start_time AT TIME ZONE 'UTC', '" of" YYYY-MM-DD HH24:MI "UTC"'),
				left(last.return_message, 200));
		END IF;
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.scheduled_failure() IS
	'whether pg_cron has a job that runs maintenance, and why its last run failed, if it did; part of readiness()';
REVOKE EXECUTE ON FUNCTION llm_audit.scheduled_failure() FROM PUBLIC;

-- A job that is there may fail every night, or never be run.  Each step that
-- has been run is asked about by itself: some are left out on purpose.
CREATE FUNCTION llm_audit.readiness_maintenance()
	RETURNS TABLE (item text, ok boolean, hint text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	job record;
	problems text[];
	fresh boolean := coalesce((SELECT min(l.created_at) > clock_timestamp() - interval '2 days'
		FROM llm_audit.ledger l), true);
	ran boolean := EXISTS (SELECT FROM llm_audit.maintenance_log);
BEGIN
	SELECT * INTO job FROM llm_audit.scheduled_failure();
	IF NOT ran AND NOT job.scheduled THEN
		RETURN;					-- who schedules it, if anybody, cannot be seen
	END IF;
	SELECT array_agg(format('step "%s" %s', s.step, CASE
			WHEN s.last_run < clock_timestamp() - interval '2 days' THEN
				format('was last run at %s UTC', to_char(s.last_run AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'))
			ELSE format('has not been done without a failure %s%s',
				coalesce('since ' || to_char(s.last_good AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC', 'yet'),
				(SELECT ': ' || left(m.problems[1], 200) FROM llm_audit.maintenance_log m
					WHERE m.step = s.step AND m.failed > 0 ORDER BY m.finished_at DESC LIMIT 1)) END)
			ORDER BY array_position(llm_audit.maintenance_steps(), s.step)) INTO problems
		FROM (SELECT m.step, max(m.finished_at) AS last_run,
				max(m.finished_at) FILTER (WHERE m.failed = 0) AS last_good
			FROM llm_audit.maintenance_log m GROUP BY m.step) AS s
		WHERE coalesce(s.last_good, '-infinity') < clock_timestamp() - interval '2 days';
	IF NOT ran THEN
		problems := coalesce(problems, '{}') || 'it is scheduled and has never been run'::text;
	END IF;
	problems := array_remove(coalesce(problems, '{}') || job.problem, NULL);
	RETURN QUERY SELECT 'maintenance ran', fresh OR problems = '{}',
		format('See llm_audit.maintenance_log and to whatever calls run_maintenance() daily: %s.',
			array_to_string(problems, '; '));
END
$$;
COMMENT ON FUNCTION llm_audit.readiness_maintenance() IS
	'the part of readiness() that looks whether each step of maintenance that is ever run was done without a failure in the last two days; no row: it was never run, and pg_cron has no job for it';
REVOKE EXECUTE ON FUNCTION llm_audit.readiness_maintenance() FROM PUBLIC;

-- Maintenance rewrites closed segments with its next run; those without an end
-- have to be rewritten on request, within the month that the law gives.
CREATE FUNCTION llm_audit.readiness_erasures()
	RETURNS TABLE (item text, ok boolean, hint text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	leaves text;
	files bigint;
BEGIN
	IF to_regclass('llm_audit.erase_receipt') IS NULL THEN
		RETURN;					-- "set up" says so
	END IF;
	SELECT string_agg(DISTINCT u.leaf::text, ', ') INTO leaves
		FROM llm_audit.unfinished_erasures() u
		JOIN llm_audit.ledger_segment s USING (ledger_id, segment)
		WHERE u.erased_at < clock_timestamp() - CASE s.state WHEN 'open' THEN interval '28 days' ELSE interval '2 days' END;
	RETURN QUERY SELECT 'erasures complete', leaves IS NULL, format(
		'Old versions of erased values still lie in the files of %s. See maintenance_log for why they are not rewritten; of an open segment, call llm_audit.rewrite_segment() when nobody writes.', leaves);
	SELECT count(*) INTO files FROM llm_audit.unknown_archives();
	RETURN QUERY SELECT 'archives known', files = 0, format(
		'%s files in llm_audit.archive_directory are not in archive_file, so no erasure knows of them: see llm_audit.unknown_archives().', files);
EXCEPTION
	WHEN insufficient_privilege OR io_error OR undefined_file THEN
		RETURN QUERY SELECT 'archives known', false, 'llm_audit.archive_directory cannot be read: ' || SQLERRM || '.';
END
$$;
COMMENT ON FUNCTION llm_audit.readiness_erasures() IS
	'the part of readiness() that looks for erased values that are still in some file';
REVOKE EXECUTE ON FUNCTION llm_audit.readiness_erasures() FROM PUBLIC;

CREATE FUNCTION llm_audit.readiness()
	RETURNS TABLE (item text, ok boolean, hint text)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT r.item, r.ok, CASE WHEN r.ok IS NOT TRUE THEN r.hint END
	FROM (SELECT * FROM llm_audit.readiness_settings()
		UNION ALL SELECT * FROM llm_audit.readiness_keys()
		UNION ALL SELECT * FROM llm_audit.readiness_ledgers()
		UNION ALL SELECT * FROM llm_audit.readiness_defaults()
		UNION ALL SELECT * FROM llm_audit.readiness_encryption()
		UNION ALL SELECT * FROM llm_audit.readiness_people()
		UNION ALL SELECT * FROM llm_audit.readiness_erasures()
		UNION ALL SELECT * FROM llm_audit.readiness_schedule()
		UNION ALL SELECT * FROM llm_audit.readiness_maintenance()) AS r
$$;
COMMENT ON FUNCTION llm_audit.readiness() IS
	'what is in order and what is not, with what to do about it; ok NULL: cannot be known from here';
REVOKE EXECUTE ON FUNCTION llm_audit.readiness() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.readiness()
	TO llm_audit_admin, llm_audit_auditor, llm_audit_compliance;
