-- Segments: bounds, making them ahead, closing them.

CREATE FUNCTION llm_audit.segment_of(leaf regclass)
	RETURNS SETOF llm_audit.ledger_segment
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT s.* FROM llm_audit.ledger_segment s
	JOIN pg_class c ON c.relname = s.relation_name
		AND c.relnamespace = to_regnamespace(quote_ident(s.schema_name))
	WHERE c.oid = leaf
$$;
COMMENT ON FUNCTION llm_audit.segment_of(regclass) IS
	'the registry''s row of a segment; no row if the table is none';
REVOKE EXECUTE ON FUNCTION llm_audit.segment_of(regclass) FROM PUBLIC;

-- The leaf of a registered segment, or NULL.
CREATE FUNCTION llm_audit.leaf_of(s llm_audit.ledger_segment) RETURNS regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT to_regclass(format('%I.%I', s.schema_name, s.relation_name))
$$;
COMMENT ON FUNCTION llm_audit.leaf_of(llm_audit.ledger_segment) IS
	'the table of a segment; NULL if there is none';
REVOKE EXECUTE ON FUNCTION llm_audit.leaf_of(llm_audit.ledger_segment) FROM PUBLIC;

CREATE FUNCTION llm_audit.segment_start(at timestamptz, width interval)
	RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE
		WHEN extract(year FROM width) * 12 + extract(month FROM width) > 0
			AND width = make_interval(months => (extract(year FROM width) * 12
				+ extract(month FROM width))::int)
		THEN (timestamp '2000-01-01' + make_interval(months => (
			floor((extract(year FROM at AT TIME ZONE 'UTC') * 12
				+ extract(month FROM at AT TIME ZONE 'UTC') - 1 - 24000)
				/ (extract(year FROM width) * 12 + extract(month FROM width)))
			* (extract(year FROM width) * 12 + extract(month FROM width)))::int))
			AT TIME ZONE 'UTC'
		ELSE (timestamp '2000-01-03' + make_interval(secs => (
			floor(extract(epoch FROM (at AT TIME ZONE 'UTC') - timestamp '2000-01-03')
				/ extract(epoch FROM width)) * extract(epoch FROM width))::float8))
			AT TIME ZONE 'UTC'
	END
$$;
COMMENT ON FUNCTION llm_audit.segment_start(timestamptz, interval) IS
	'start of the period of this width that contains a time: months by the calendar, weeks from Monday, in UTC';

CREATE FUNCTION llm_audit.segment_end(at timestamptz, width interval)
	RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT ((llm_audit.segment_start(at, width) AT TIME ZONE 'UTC') + width)
		AT TIME ZONE 'UTC'
$$;
COMMENT ON FUNCTION llm_audit.segment_end(timestamptz, interval) IS
	'end, exclusive, of the period of this width that contains a time';

CREATE FUNCTION llm_audit.register_segment(for_ledger uuid, leaf_schema name,
		leaf name, for_environment text, from_time timestamptz,
		to_time timestamptz, as_default boolean) RETURNS int
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	number int;
BEGIN
	-- The ledger's row is the lock that keeps the numbers without gaps.
	PERFORM 1 FROM llm_audit.ledger WHERE ledger_id = for_ledger FOR UPDATE;
	SELECT coalesce(max(segment), 0) + 1 INTO number
		FROM llm_audit.ledger_segment WHERE ledger_id = for_ledger;
	INSERT INTO llm_audit.ledger_segment (ledger_id, segment, schema_name,
			relation_name, environment, lower, upper, is_default)
		VALUES (for_ledger, number, leaf_schema, leaf, for_environment,
			from_time, to_time, as_default);
	RETURN number;
END
$$;
COMMENT ON FUNCTION llm_audit.register_segment(uuid, name, name, text, timestamptz, timestamptz, boolean) IS
	'gives a leaf its segment number; part of make_segment()';
REVOKE EXECUTE ON FUNCTION llm_audit.register_segment(uuid, name, name, text, timestamptz, timestamptz, boolean)
	FROM PUBLIC;

-- What became of segments.  Nobody says it, these functions find it out.
CREATE FUNCTION llm_audit.append_created(ledger_id uuid, segment int) RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	-- names are recorded as verify() writes them, whatever the session's setting
	SET quote_all_identifiers = off
	AS 'MODULE_PATHNAME', 'llm_audit_append_created';
COMMENT ON FUNCTION llm_audit.append_created(uuid, int) IS
	'appends the creation of a segment to segment_event, as the registry has it; part of make_segments()';
REVOKE EXECUTE ON FUNCTION llm_audit.append_created(uuid, int) FROM PUBLIC;

CREATE FUNCTION llm_audit.append_closed(leaf regclass) RETURNS boolean
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	-- names are recorded as verify() writes them, whatever the session's setting
	SET quote_all_identifiers = off
	AS 'MODULE_PATHNAME', 'llm_audit_append_closed';
COMMENT ON FUNCTION llm_audit.append_closed(regclass) IS
	'closes an open segment that ended llm_audit.seal_grace ago and appends what it holds to segment_event; false if it is no such segment; part of close_segment()';
REVOKE EXECUTE ON FUNCTION llm_audit.append_closed(regclass) FROM PUBLIC;

CREATE FUNCTION llm_audit.append_purged(leaf regclass) RETURNS boolean
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	-- names are recorded as verify() writes them, whatever the session's setting
	SET quote_all_identifiers = off
	AS 'MODULE_PATHNAME', 'llm_audit_append_purged';
COMMENT ON FUNCTION llm_audit.append_purged(regclass) IS
	'appends to segment_event what receipts say was purged of a segment since the last time; false if there is nothing; part of purge()';
REVOKE EXECUTE ON FUNCTION llm_audit.append_purged(regclass) FROM PUBLIC;

-- The name of a leaf, by the start of its period.
CREATE FUNCTION llm_audit.leaf_name(ledger name, environment text,
		from_time timestamptz) RETURNS name
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT (ledger || '_' || environment || '_' || CASE
		WHEN from_time IS NULL THEN 'default'
		WHEN date_trunc('day', from_time, 'UTC') = from_time
			THEN to_char(from_time AT TIME ZONE 'UTC', 'YYYYMMDD')
		ELSE to_char(from_time AT TIME ZONE 'UTC', 'YYYYMMDDHH24') END)::name
$$;
COMMENT ON FUNCTION llm_audit.leaf_name(name, text, timestamptz) IS
	'name of the leaf that begins at a time; NULL: of the default one';

-- pg_statistic would keep copies of what has been erased.  What ANALYZE learns
-- of a partitioned table is kept for each of its levels.
CREATE FUNCTION llm_audit.forgo_statistics(l llm_audit.ledger, relation name)
	RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	c name;
BEGIN
	FOR c IN SELECT column_name FROM llm_audit.ledger_column k
		WHERE k.ledger_id = l.ledger_id AND k.erasable
	LOOP
		EXECUTE format('ALTER TABLE ONLY %I.%I ALTER COLUMN %I SET STATISTICS 0',
			l.schema_name, relation, c);
		-- what it learned before would stay for good
		DELETE FROM pg_catalog.pg_statistic s
			USING pg_catalog.pg_attribute a
			WHERE s.starelid = a.attrelid AND s.staattnum = a.attnum AND a.attname = c
				AND a.attrelid = format('%I.%I', l.schema_name, relation)::regclass;
	END LOOP;
END
$$;
COMMENT ON FUNCTION llm_audit.forgo_statistics(llm_audit.ledger, name) IS
	'keeps ANALYZE from sampling the erasable columns of a ledger''s table, and forgets what it knows of them';
REVOKE EXECUTE ON FUNCTION llm_audit.forgo_statistics(llm_audit.ledger, name) FROM PUBLIC;

-- Builds and attaches a leaf that has or will have a row in the registry.
CREATE FUNCTION llm_audit.build_leaf(l llm_audit.ledger, environment text,
		leaf name, from_time timestamptz, to_time timestamptz) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM llm_audit.attach_segment(
		format('%I.%I', l.schema_name, l.relation_name || '_' || environment)::regclass,
		leaf, from_time, to_time);
	PERFORM llm_audit.forgo_statistics(l, leaf);
	EXECUTE format('COMMENT ON TABLE %I.%I IS %L', l.schema_name, leaf,
		CASE WHEN from_time IS NULL
			THEN format('rows of %s in %s that no other segment covers',
				l.relation_name, environment)
			ELSE format('rows of %s in %s recorded from %s to %s',
				l.relation_name, environment,
				to_char(from_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
				to_char(to_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) END);
END
$$;
COMMENT ON FUNCTION llm_audit.build_leaf(llm_audit.ledger, text, name, timestamptz, timestamptz) IS
	'builds and attaches a leaf; NULL bounds: the default one; part of make_segment() and setup()';
REVOKE EXECUTE ON FUNCTION llm_audit.build_leaf(llm_audit.ledger, text, name, timestamptz, timestamptz)
	FROM PUBLIC;

-- Makes a leaf and registers it; bounds NULL: the default one.
CREATE FUNCTION llm_audit.make_segment(for_ledger uuid, for_environment text,
		from_time timestamptz, to_time timestamptz) RETURNS int
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	l llm_audit.ledger;
	leaf name;
BEGIN
	SELECT * INTO l FROM llm_audit.ledger WHERE ledger_id = for_ledger FOR UPDATE;
	leaf := llm_audit.leaf_name(l.relation_name, for_environment, from_time);
	PERFORM llm_audit.build_leaf(l, for_environment, leaf, from_time, to_time);
	RETURN llm_audit.register_segment(for_ledger, l.schema_name, leaf, for_environment,
		coalesce(from_time, '-infinity'), coalesce(to_time, 'infinity'), from_time IS NULL);
END
$$;
COMMENT ON FUNCTION llm_audit.make_segment(uuid, text, timestamptz, timestamptz) IS
	'makes and registers one segment of a partitioned ledger; NULL bounds: the default one';
REVOKE EXECUTE ON FUNCTION llm_audit.make_segment(uuid, text, timestamptz, timestamptz)
	FROM PUBLIC;

-- Where rows lie in the default segment, no other can be attached.  A clock
-- that was ahead for a while leaves some there that are of the future: the
-- segment then ends before their day, or starts after it.
CREATE FUNCTION llm_audit.free_period(branch regclass, width interval,
		INOUT from_time timestamptz, OUT to_time timestamptz)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	taken timestamptz;
BEGIN
	LOOP
		to_time := llm_audit.segment_end(from_time, width);
		BEGIN
			taken := date_trunc('day',
				llm_audit.first_in_default(branch, from_time, to_time), 'UTC');
		EXCEPTION WHEN OTHERS THEN
			-- other ledgers are asked about too: whoever attaches meets the error
			taken := NULL;
		END;
		EXIT WHEN taken IS NULL;
		IF taken > from_time THEN
			to_time := taken;
			EXIT;
		END IF;
		-- hours, since a day depends on the session's time zone
		from_time := taken + interval '24 hours';
	END LOOP;
END
$$;
COMMENT ON FUNCTION llm_audit.free_period(regclass, interval, timestamptz) IS
	'the next period from this time on that no row in the default segment of an environment is in; part of due_segment()';
REVOKE EXECUTE ON FUNCTION llm_audit.free_period(regclass, interval, timestamptz) FROM PUBLIC;

CREATE FUNCTION llm_audit.due_segment(ahead interval, failed jsonb DEFAULT '[]',
		OUT ledger_id uuid, OUT environment text, OUT from_time timestamptz,
		OUT to_time timestamptz, OUT line text) RETURNS SETOF record
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
	-- the time that rows get, which is not before what has been closed
	WITH clock AS MATERIALIZED (
		SELECT llm_audit.now() AS now
	), line AS (
		SELECT l.ledger_id, e.name AS environment,
			format('%I.%I', l.schema_name, l.relation_name || '_' || e.name) AS branch,
			coalesce(le.segment_width, l.segment_width) AS width,
			max(s.upper) FILTER (WHERE NOT s.is_default) AS last_end
		FROM llm_audit.ledger l
		CROSS JOIN llm_audit.environment e
		LEFT JOIN llm_audit.ledger_environment le
			ON le.ledger_id = l.ledger_id AND le.environment = e.name
		LEFT JOIN llm_audit.ledger_segment s
			ON s.ledger_id = l.ledger_id AND s.environment = e.name
		WHERE l.partitioned
		GROUP BY l.ledger_id, e.name, le.segment_width, l.segment_width
	), next AS (
		-- Where maintenance slept, rows may lie in the default segment up to
		-- now; they stay there, and the next segment starts after today.
		SELECT line.*, CASE
			WHEN last_end IS NULL THEN llm_audit.segment_start(now, width)
			WHEN last_end > now THEN last_end
			-- hours, since a day depends on the session's time zone, and ten
			-- minutes, since rows go on arriving while the segment is made
			ELSE date_trunc('day', now + interval '10 minutes', 'UTC')
				+ interval '24 hours'
		END AS start
		FROM line, clock
	), due AS MATERIALIZED (
		SELECT n.* FROM next n, clock WHERE n.start < now + ahead
			AND NOT failed ? (n.ledger_id || ' ' || n.environment)
	)
	SELECT d.ledger_id, d.environment, p.from_time, p.to_time,
		d.ledger_id || ' ' || d.environment
	FROM due d, clock, llm_audit.free_period(to_regclass(d.branch), d.width, d.start) p
	WHERE p.from_time < now + ahead
$$;
COMMENT ON FUNCTION llm_audit.due_segment(interval, jsonb) IS
	'the next segment of each ledger and environment that lacks segments within this time from now, but for the lines in failed';
REVOKE EXECUTE ON FUNCTION llm_audit.due_segment(interval, jsonb) FROM PUBLIC;

CREATE FUNCTION llm_audit.make_due_segments(only_ledger uuid, ahead interval)
	RETURNS int
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	d record;
	number int;
	numbers int[];
	made int := 0;
BEGIN
	LOOP
		numbers := '{}';
		FOR d IN SELECT * FROM llm_audit.due_segment(ahead) x
			WHERE x.ledger_id = only_ledger
		LOOP
			numbers := numbers
				|| llm_audit.make_segment(d.ledger_id, d.environment, d.from_time, d.to_time);
		END LOOP;
		EXIT WHEN numbers = '{}';
		made := made + cardinality(numbers);
		-- after the round: segment_event records its own segments too
		FOREACH number IN ARRAY numbers LOOP
			PERFORM llm_audit.append_created(only_ledger, number);
		END LOOP;
	END LOOP;
	RETURN made;
END
$$;
COMMENT ON FUNCTION llm_audit.make_due_segments(uuid, interval) IS
	'makes the segments of a ledger that are due, in one transaction; returns how many';
REVOKE EXECUTE ON FUNCTION llm_audit.make_due_segments(uuid, interval) FROM PUBLIC;

-- Names are made of two parts that may both hold underscores: what has the
-- name of a branch may be something else.
CREATE FUNCTION llm_audit.branch_exists(ledger regclass, branch text)
	RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	schema name;
	other oid;
BEGIN
	SELECT n.nspname INTO schema FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ledger;
	other := to_regclass(format('%I.%I', schema, branch));
	IF other IS NULL THEN
		RETURN false;
	ELSIF EXISTS (SELECT FROM pg_catalog.pg_inherits
		WHERE inhrelid = other AND inhparent = ledger)
	THEN
		RETURN true;
	END IF;
	RAISE EXCEPTION 'relation "%" exists and is not a partition of ledger "%"', branch, ledger
		USING ERRCODE = 'duplicate_table',
			HINT = 'The partition of an environment needs this name: rename the relation, or choose another name for ledger or environment.';
END
$$;
COMMENT ON FUNCTION llm_audit.branch_exists(regclass, text) IS
	'whether a ledger has the partition of that name; raises 42P07 if something else has it';
REVOKE EXECUTE ON FUNCTION llm_audit.branch_exists(regclass, text) FROM PUBLIC;

-- Makes branches and default segments that are missing, then what is due.
CREATE FUNCTION llm_audit.make_all_segments(relation regclass) RETURNS int
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	l llm_audit.ledger;
	s llm_audit.ledger_segment;
	e text;
	made int := 0;
	number int;
	defaults int[] := '{}';
BEGIN
	SELECT * INTO l FROM llm_audit.ledger_of(relation);
	IF NOT l.partitioned THEN
		IF EXISTS (SELECT FROM llm_audit.ledger_segment r WHERE r.ledger_id = l.ledger_id) THEN
			RETURN 0;
		END IF;
		number := llm_audit.register_segment(l.ledger_id, l.schema_name, l.relation_name,
			'', '-infinity', 'infinity', true);
		PERFORM llm_audit.append_created(l.ledger_id, number);
		RETURN 1;
	END IF;

	IF NOT llm_audit.branch_exists(relation, l.relation_name || '_unknown') THEN
		PERFORM llm_audit.create_branch(relation, (l.relation_name || '_unknown')::name, NULL);
		EXECUTE format('COMMENT ON TABLE %I.%I IS %L', l.schema_name,
			l.relation_name || '_unknown',
			'refuses rows of ' || l.relation_name || ' with an unknown environment; always empty');
	END IF;
	FOR e IN SELECT name FROM llm_audit.environment ORDER BY name LOOP
		IF NOT llm_audit.branch_exists(relation, l.relation_name || '_' || e) THEN
			PERFORM llm_audit.create_branch(relation, (l.relation_name || '_' || e)::name, e);
			PERFORM llm_audit.forgo_statistics(l, (l.relation_name || '_' || e)::name);
			EXECUTE format('COMMENT ON TABLE %I.%I IS %L', l.schema_name,
				l.relation_name || '_' || e,
				format('rows of %s in %s', l.relation_name, e));
		END IF;
		-- Segments that a publisher's registry names keep their numbers.
		FOR s IN SELECT * FROM llm_audit.ledger_segment r
			WHERE r.ledger_id = l.ledger_id AND r.environment = e AND r.state <> 'purged'
				AND llm_audit.leaf_of(r) IS NULL
			ORDER BY r.segment
		LOOP
			PERFORM llm_audit.build_leaf(l, e, s.relation_name,
				CASE WHEN NOT s.is_default THEN s.lower END,
				CASE WHEN NOT s.is_default THEN s.upper END);
			made := made + 1;
		END LOOP;
		IF NOT EXISTS (SELECT FROM llm_audit.ledger_segment r
			WHERE r.ledger_id = l.ledger_id AND r.environment = e AND r.is_default)
		THEN
			number := llm_audit.make_segment(l.ledger_id, e, NULL, NULL);
			defaults := defaults || number;
			made := made + 1;
		END IF;
	END LOOP;
	made := made + llm_audit.make_due_segments(l.ledger_id, interval '3 months');
	-- Not before segment_event itself has a segment for today: a row in its
	-- default segment would stand in the way of attaching that.
	FOREACH number IN ARRAY defaults LOOP
		PERFORM llm_audit.append_created(l.ledger_id, number);
	END LOOP;
	RETURN made;
END
$$;
COMMENT ON FUNCTION llm_audit.make_all_segments(regclass) IS
	'makes all that a ledger lacks: environments, default segments, segments ahead; returns how many segments';
REVOKE EXECUTE ON FUNCTION llm_audit.make_all_segments(regclass) FROM PUBLIC;

-- A procedure, to commit after each segment: the lock on the default segment
-- beside it is then held for that one attach only.  No SET clause, since a
-- procedure that has one cannot commit; every name is qualified instead.
CREATE PROCEDURE llm_audit.make_segments(ahead interval DEFAULT '3 months')
LANGUAGE plpgsql
AS $$
DECLARE
	d record;
	number pg_catalog.int4;
	failed pg_catalog.jsonb := '[]';
	tries pg_catalog.int4 := 0;
BEGIN
	LOOP
		PERFORM llm_audit.lock_registry();
		SELECT * INTO d FROM llm_audit.due_segment(ahead, failed) LIMIT 1;
		EXIT WHEN NOT FOUND;
		BEGIN
			number := llm_audit.make_segment(d.ledger_id, d.environment, d.from_time, d.to_time);
			PERFORM llm_audit.append_created(d.ledger_id, number);
			tries := 0;
		EXCEPTION WHEN OTHERS THEN
			tries := tries OPERATOR(pg_catalog.+) 1;
			-- a row has come into the default segment since we looked
			CONTINUE WHEN SQLSTATE OPERATOR(pg_catalog.=) '23514'
				AND tries OPERATOR(pg_catalog.<) 10;
			-- the other ledgers' segments are due all the same
			tries := 0;
			failed := failed OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_array(d.line);
			RAISE WARNING 'a segment of environment "%" could not be made: %', d.environment, SQLERRM;
		END;
		COMMIT;
	END LOOP;
	IF failed OPERATOR(pg_catalog.<>) '[]'::pg_catalog.jsonb THEN
		RAISE EXCEPTION 'segments could not be made in % cases', pg_catalog.jsonb_array_length(failed)
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'The warnings say why; rows go to the default segments meanwhile.';
	END IF;
END
$$;
COMMENT ON PROCEDURE llm_audit.make_segments(interval) IS
	'makes the segments that begin within this time from now; schedule it daily';
REVOKE EXECUTE ON PROCEDURE llm_audit.make_segments(interval) FROM PUBLIC;

CREATE FUNCTION llm_audit.close_segment(segment regclass) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- names are recorded as verify() writes them, whatever the session's setting
SET quote_all_identifiers = off
AS $$
DECLARE
	s llm_audit.ledger_segment;
	timeout text := current_setting('lock_timeout');
BEGIN
	PERFORM llm_audit.require_superuser();
	PERFORM llm_audit.require_read_committed();
	SELECT * INTO s FROM llm_audit.segment_of(close_segment.segment);
	IF NOT FOUND THEN
		RAISE EXCEPTION '"%" is not a ledger segment', close_segment.segment
			USING ERRCODE = 'wrong_object_type';
	ELSIF s.upper = 'infinity' THEN
		RAISE EXCEPTION 'segment "%" has no end', close_segment.segment
			USING ERRCODE = 'wrong_object_type',
				HINT = 'Default segments and unpartitioned ledgers stay open.';
	ELSIF s.state <> 'open' THEN
		RETURN false;
	ELSIF s.upper + llm_audit.setting('seal_grace')::interval > clock_timestamp() THEN
		RAISE EXCEPTION 'segment "%" has not ended long enough ago', close_segment.segment
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'It can be closed llm_audit.seal_grace after its end.';
	END IF;

	-- No writer that has begun, nor a prepared one, can be left behind this.
	PERFORM set_config('lock_timeout', llm_audit.setting('ddl_lock_timeout'), true);
	EXECUTE format('LOCK TABLE ONLY %s IN SHARE MODE', close_segment.segment);
	PERFORM set_config('lock_timeout', timeout, true);
	SELECT * INTO s FROM llm_audit.ledger_segment r
		WHERE r.ledger_id = s.ledger_id AND r.segment = s.segment FOR UPDATE;
	IF s.state <> 'open' THEN
		RETURN false;
	END IF;
	PERFORM llm_audit.note_keys();
	RETURN llm_audit.append_closed(close_segment.segment);
END
$$;
COMMENT ON FUNCTION llm_audit.close_segment(regclass) IS
	'closes a segment that has ended: no row can enter, and segment_event holds its counts and heads; false if it is closed already';
REVOKE EXECUTE ON FUNCTION llm_audit.close_segment(regclass) FROM PUBLIC;

-- Closing writes to segment_event, so its own segments come last.
CREATE FUNCTION llm_audit.closable_segment(done regclass[]) RETURNS regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT x.leaf FROM llm_audit.ledger_segment s
	JOIN llm_audit.ledger l USING (ledger_id)
	CROSS JOIN llm_audit.leaf_of(s) AS x (leaf)
	WHERE s.state = 'open' AND s.upper < 'infinity'
		AND s.upper + llm_audit.setting('seal_grace')::interval <= clock_timestamp()
		AND x.leaf <> ALL (done)
	ORDER BY l.role = 'segment_event', s.upper, s.segment LIMIT 1
$$;
COMMENT ON FUNCTION llm_audit.closable_segment(regclass[]) IS
	'the next segment that can be closed and is not among done; part of close_segments()';
REVOKE EXECUTE ON FUNCTION llm_audit.closable_segment(regclass[]) FROM PUBLIC;

CREATE PROCEDURE llm_audit.close_segments()
LANGUAGE plpgsql
AS $$
DECLARE
	leaf pg_catalog.regclass;
	done pg_catalog.regclass[] := '{}';
BEGIN
	PERFORM llm_audit.require_superuser();
	LOOP
		leaf := llm_audit.closable_segment(done);
		EXIT WHEN leaf IS NULL;
		done := pg_catalog.array_append(done, leaf);
		BEGIN
			PERFORM llm_audit.close_segment(leaf);
		EXCEPTION WHEN lock_not_available THEN
			RAISE WARNING 'segment "%" is in use and stays open for now', leaf;
		END;
		COMMIT;
	END LOOP;
END
$$;
COMMENT ON PROCEDURE llm_audit.close_segments() IS
	'closes every segment that ended llm_audit.seal_grace ago; run VACUUM (FREEZE) on them afterwards';
REVOKE EXECUTE ON PROCEDURE llm_audit.close_segments() FROM PUBLIC;

CREATE FUNCTION llm_audit.add_environment(name text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	l record;
BEGIN
	PERFORM llm_audit.lock_registry();
	IF name IS NULL OR name !~ '^[a-z][a-z0-9_]{0,20}$'
		OR name ~ '(^|_)(unknown|default|[0-9]{8}|[0-9]{10})$'
	THEN
		RAISE EXCEPTION 'an environment''s name is a lower-case letter and up to 20 letters, digits or underscores, and does not end like the name of a segment'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Names of segments end in a date, "default" or "unknown".';
	ELSIF EXISTS (SELECT FROM llm_audit.environment e WHERE e.name = add_environment.name) THEN
		RAISE EXCEPTION 'environment "%" exists already', name
			USING ERRCODE = 'duplicate_object';
	END IF;
	INSERT INTO llm_audit.environment (name) VALUES (add_environment.name);
	-- segment_event first: the others' creation is recorded there
	FOR l IN SELECT format('%I.%I', schema_name, relation_name)::regclass AS relation
		FROM llm_audit.ledger WHERE partitioned
		ORDER BY role = 'segment_event' DESC, relation_name
	LOOP
		PERFORM llm_audit.make_all_segments(l.relation);
	END LOOP;
	PERFORM llm_audit.record_own_event('environment.added', 'environment', name, NULL);
END
$$;
COMMENT ON FUNCTION llm_audit.add_environment(text) IS
	'adds an environment, with segments of its own in every partitioned ledger';
REVOKE EXECUTE ON FUNCTION llm_audit.add_environment(text) FROM PUBLIC;

CREATE FUNCTION llm_audit.set_segment_interval(ledger regclass,
		environment text, width interval) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	l llm_audit.ledger;
BEGIN
	PERFORM llm_audit.require_superuser();
	SELECT * INTO l FROM llm_audit.ledger_of(set_segment_interval.ledger);
	IF NOT FOUND OR NOT l.partitioned THEN
		RAISE EXCEPTION '"%" is not a partitioned ledger', ledger
			USING ERRCODE = 'wrong_object_type';
	ELSIF NOT EXISTS (SELECT FROM llm_audit.environment e
			WHERE e.name = set_segment_interval.environment) THEN
		RAISE EXCEPTION 'environment is not known'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'The environments are in llm_audit.environment.';
	END IF;
	PERFORM llm_audit.check_width(width);
	INSERT INTO llm_audit.ledger_environment AS le (ledger_id, environment, segment_width)
		VALUES (l.ledger_id, set_segment_interval.environment, width)
		ON CONFLICT ON CONSTRAINT ledger_environment_pkey
			DO UPDATE SET segment_width = excluded.segment_width;
	PERFORM llm_audit.record_own_event('segment_interval.changed', 'ledger',
		set_segment_interval.ledger::text, NULL,
		jsonb_build_object('environment', environment, 'width', width));
END
$$;
COMMENT ON FUNCTION llm_audit.set_segment_interval(regclass, text, interval) IS
	'sets the width of segments made from now on in one environment';
REVOKE EXECUTE ON FUNCTION llm_audit.set_segment_interval(regclass, text, interval)
	FROM PUBLIC;
