-- Erasing values: fields whose period has passed, and people.
--
-- A value goes in two steps.  First it is emptied with its salt, in one
-- transaction with its receipt; the old row version still lies in the file.
-- Then the segment is rewritten, and a second receipt says that this is
-- complete.  The steps are two transactions, since what a running transaction
-- may still read cannot be rewritten away.

CREATE FUNCTION llm_audit.erase_rows(segment regclass, columns name[],
		condition text, erasure uuid, cause text, ticket text, basis text)
	RETURNS bigint
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_erase_rows';
COMMENT ON FUNCTION llm_audit.erase_rows(regclass, name[], text, uuid, text, text, text) IS
	'empties erasable columns of a segment''s rows that fulfil a condition, with a receipt; returns how many rows; part of expire_fields() and erase_subject()';
REVOKE EXECUTE ON FUNCTION llm_audit.erase_rows(regclass, name[], text, uuid, text, text, text)
	FROM PUBLIC;

CREATE FUNCTION llm_audit.salt_has_column(salt bytea, column_number int)
	RETURNS boolean
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'llm_audit_salt_has_column';
COMMENT ON FUNCTION llm_audit.salt_has_column(bytea, int) IS
	'whether a row with this salt has a value in the column that can be erased';
REVOKE EXECUTE ON FUNCTION llm_audit.salt_has_column(bytea, int) FROM PUBLIC;

CREATE FUNCTION llm_audit.own_system_identifier() RETURNS bigint
	LANGUAGE c STABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'llm_audit_own_system_identifier';
COMMENT ON FUNCTION llm_audit.own_system_identifier() IS
	'the cluster in which this is called, as receipts of erasures have it';
REVOKE EXECUTE ON FUNCTION llm_audit.own_system_identifier() FROM PUBLIC;

CREATE FUNCTION llm_audit.transaction_settled(relation regclass, id bigint)
	RETURNS boolean
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_transaction_settled';
COMMENT ON FUNCTION llm_audit.transaction_settled(regclass, bigint) IS
	'whether nobody can see a relation any more as it was before a transaction';
REVOKE EXECUTE ON FUNCTION llm_audit.transaction_settled(regclass, bigint) FROM PUBLIC;

CREATE TABLE llm_audit.field_expiry (
	ledger_id uuid NOT NULL,
	segment int NOT NULL,
	column_name name NOT NULL,
	expired_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	PRIMARY KEY (ledger_id, segment, column_name)
);
COMMENT ON TABLE llm_audit.field_expiry IS
	'closed segments in which a column''s period has passed and nothing is left to erase, so that maintenance need not look again';
COMMENT ON COLUMN llm_audit.field_expiry.ledger_id IS 'the ledger';
COMMENT ON COLUMN llm_audit.field_expiry.segment IS 'the segment';
COMMENT ON COLUMN llm_audit.field_expiry.column_name IS 'the column';
COMMENT ON COLUMN llm_audit.field_expiry.expired_at IS
	'when its last values were erased';
SELECT pg_catalog.pg_extension_config_dump('llm_audit.field_expiry', '');

-- What an SQL condition about a row t of a leaf must say for it to be free of
-- legal holds.
CREATE FUNCTION llm_audit.free_of_holds(leaf regclass) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('NOT llm_audit.is_held(%s, t.chain_lane, t.chain_seq)', leaf::oid)
$$;
COMMENT ON FUNCTION llm_audit.free_of_holds(regclass) IS
	'an SQL condition about row t of a segment that is true unless a legal hold covers the row; part of erasing';
REVOKE EXECUTE ON FUNCTION llm_audit.free_of_holds(regclass) FROM PUBLIC;

-- ------------------------------------------------------------------ fields

-- A closed segment is taken when its last row is old enough, so that it is
-- rewritten once for each period; one without an end row by row.
CREATE FUNCTION llm_audit.field_periods()
	RETURNS TABLE (ledger_id uuid, column_name name, period interval)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT f.ledger_id, f.column_name, min(f.period)
	FROM (SELECT p.ledger_id, p.column_name, p.period FROM llm_audit.field_policy p
		UNION ALL
		-- what is encrypted goes with what it was made of
		SELECT p.ledger_id, llm_audit.encrypted_column(to_regclass(format('%I.%I',
			l.schema_name, l.relation_name)), p.column_name), p.period
		FROM llm_audit.field_policy p JOIN llm_audit.ledger l USING (ledger_id)) f
	WHERE f.period IS NOT NULL AND f.column_name IS NOT NULL
	GROUP BY f.ledger_id, f.column_name
$$;
COMMENT ON FUNCTION llm_audit.field_periods() IS
	'columns whose values have a period of their own, that of the column whose ciphertext they take included';
REVOKE EXECUTE ON FUNCTION llm_audit.field_periods() FROM PUBLIC;

CREATE FUNCTION llm_audit.expired_fields(at timestamptz DEFAULT pg_catalog.clock_timestamp())
	RETURNS TABLE (ledger_id uuid, segment int, leaf regclass,
		column_name name, column_number int, period interval, cutoff timestamptz)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
-- months and days are those of UTC, as when a row's expiry is stamped
SET TimeZone = 'UTC'
AS $$
	SELECT s.ledger_id, s.segment, llm_audit.leaf_of(s), k.column_name,
		k.column_number, p.period, at - p.period
	FROM llm_audit.ledger_segment s
	JOIN llm_audit.ledger_column k USING (ledger_id)
	JOIN llm_audit.field_periods() p USING (ledger_id, column_name)
	WHERE s.state <> 'purged'
		AND llm_audit.leaf_of(s) IS NOT NULL
		AND (s.upper = 'infinity' AND pg_relation_size(llm_audit.leaf_of(s)) > 0
			OR s.state = 'closed' AND s.upper <= at - p.period)
		AND NOT EXISTS (SELECT FROM llm_audit.field_expiry e
			WHERE e.ledger_id = s.ledger_id AND e.segment = s.segment
				AND e.column_name = k.column_name)
		AND k.erasable
	ORDER BY s.ledger_id, s.segment, p.period, k.column_number
$$;
COMMENT ON FUNCTION llm_audit.expired_fields(timestamptz) IS
	'columns of segments whose period has passed at a time and whose values may not be erased yet; cutoff: rows recorded before it have expired';
REVOKE EXECUTE ON FUNCTION llm_audit.expired_fields(timestamptz) FROM PUBLIC;

CREATE FUNCTION llm_audit.expire_fields(leaf regclass) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
-- names are recorded as verify() writes them, and times are read back as they
-- were written, whatever the session's settings
SET quote_all_identifiers = off
SET TimeZone = 'UTC'
SET DateStyle = 'ISO'
AS $$
DECLARE
	s llm_audit.ledger_segment;
	f record;
	moved bigint;
	rest boolean;
	erasure uuid := gen_random_uuid();
	total bigint := 0;
BEGIN
	PERFORM llm_audit.require_superuser();
	PERFORM llm_audit.require_read_committed();
	SELECT * INTO s FROM llm_audit.segment_of(expire_fields.leaf);
	IF NOT FOUND THEN
		RAISE EXCEPTION '"%" is not a ledger segment', expire_fields.leaf
			USING ERRCODE = 'wrong_object_type';
	END IF;
	FOR f IN
		SELECT x.cutoff, array_agg(x.column_name) AS columns,
			array_agg(x.column_number) AS numbers
		FROM llm_audit.expired_fields() x
		WHERE x.ledger_id = s.ledger_id AND x.segment = s.segment
		GROUP BY x.cutoff
	LOOP
		moved := llm_audit.erase_rows(expire_fields.leaf, f.columns,
			format('t.recorded_at < %L AND (%s)', f.cutoff, llm_audit.free_of_holds(leaf)),
			erasure, 'period', NULL, NULL);
		total := total + moved;
		IF s.upper < 'infinity' THEN
			EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s t WHERE EXISTS (
				SELECT FROM unnest($1) n WHERE llm_audit.salt_has_column(t.salt, n)))', leaf)
				INTO rest USING f.numbers;
			IF NOT rest THEN
				INSERT INTO llm_audit.field_expiry (ledger_id, segment, column_name)
					SELECT s.ledger_id, s.segment, c FROM unnest(f.columns) c;
			END IF;
		END IF;
	END LOOP;
	IF total > 0 THEN
		PERFORM llm_audit.record_own_event('field.erased', 'segment',
			expire_fields.leaf::text, NULL,
			jsonb_build_object('erasure', erasure, 'rows', total));
	END IF;
	RETURN total;
END
$$;
COMMENT ON FUNCTION llm_audit.expire_fields(regclass) IS
	'erases the values of a segment whose own period (field_policy.period) has passed; returns how many rows it changed; rewrite_segment() completes it';
REVOKE EXECUTE ON FUNCTION llm_audit.expire_fields(regclass) FROM PUBLIC;

-- ----------------------------------------------------------------- rewriting

CREATE FUNCTION llm_audit.unfinished_erasures()
	RETURNS TABLE (ledger_id uuid, segment int, leaf regclass, erasure_id uuid,
		erased_at timestamptz, transaction_id bigint)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT s.ledger_id, s.segment, llm_audit.leaf_of(s), e.erasure_id,
		max(e.recorded_at), max(e.transaction_id) FILTER (WHERE
			coalesce(e.system_identifier = llm_audit.own_system_identifier(), true))
	FROM llm_audit.erase_receipt e
	JOIN llm_audit.ledger_segment s USING (ledger_id, segment)
	WHERE e.stage = 'erased' AND s.state <> 'purged'
		AND llm_audit.leaf_of(s) IS NOT NULL
	GROUP BY s.*, s.ledger_id, s.segment, e.erasure_id
	HAVING NOT EXISTS (SELECT FROM llm_audit.erase_receipt c
		WHERE c.stage = 'completed' AND c.ledger_id = s.ledger_id
			AND c.segment = s.segment AND c.erasure_id = e.erasure_id)
$$;
COMMENT ON FUNCTION llm_audit.unfinished_erasures() IS
	'erasures whose bytes may still lie in the segment''s file, because it has not been rewritten since; transaction_id NULL: it ran in another cluster, from which this one was restored';
REVOKE EXECUTE ON FUNCTION llm_audit.unfinished_erasures() FROM PUBLIC;

-- What ANALYZE may have kept of columns, on every level of the ledger.
CREATE FUNCTION llm_audit.forget_statistics(leaf regclass, columns name[])
	RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
	DELETE FROM pg_catalog.pg_statistic st
		USING pg_catalog.pg_attribute a
		WHERE a.attrelid = st.starelid AND a.attnum = st.staattnum
			AND a.attname = ANY (columns)
			AND st.starelid IN (SELECT relid FROM pg_partition_ancestors(leaf));
	DELETE FROM pg_catalog.pg_statistic_ext_data d
		USING pg_catalog.pg_statistic_ext x, pg_catalog.pg_attribute a
		WHERE x.oid = d.stxoid AND a.attrelid = x.stxrelid
			AND (a.attnum = ANY (x.stxkeys) OR x.stxexprs IS NOT NULL)
			AND a.attname = ANY (columns)
			AND x.stxrelid IN (SELECT relid FROM pg_partition_ancestors(leaf));
$$;
COMMENT ON FUNCTION llm_audit.forget_statistics(regclass, name[]) IS
	'removes samples of columns of a segment from the catalogs; part of rewrite_segment()';
REVOKE EXECUTE ON FUNCTION llm_audit.forget_statistics(regclass, name[]) FROM PUBLIC;

CREATE FUNCTION llm_audit.rewrite_segment(leaf regclass) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
DECLARE
	s llm_audit.ledger_segment;
	pending uuid[];
	newest bigint;
	columns name[];
	timeout text := current_setting('lock_timeout');
BEGIN
	PERFORM llm_audit.require_superuser();
	PERFORM llm_audit.require_read_committed();
	SELECT * INTO s FROM llm_audit.segment_of(rewrite_segment.leaf);
	IF NOT FOUND THEN
		RAISE EXCEPTION '"%" is not a ledger segment', rewrite_segment.leaf
			USING ERRCODE = 'wrong_object_type';
	END IF;
	PERFORM set_config('lock_timeout', llm_audit.setting('ddl_lock_timeout'), true);
	EXECUTE format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', leaf);
	PERFORM set_config('lock_timeout', timeout, true);

	SELECT array_agg(u.erasure_id), max(u.transaction_id) INTO pending, newest
		FROM llm_audit.unfinished_erasures() u
		WHERE u.ledger_id = s.ledger_id AND u.segment = s.segment;
	IF pending IS NULL THEN
		RETURN false;
	ELSIF newest IS NOT NULL AND NOT llm_audit.transaction_settled(leaf, newest) THEN
		RAISE EXCEPTION 'segment "%" cannot be rewritten yet', leaf
			USING ERRCODE = 'object_in_use',
				DETAIL = 'A transaction, a replication slot or a standby may still read values that were erased.',
				HINT = 'Try again when it has ended; pg_stat_activity, pg_prepared_xacts and pg_replication_slots show the oldest.';
	END IF;
	SELECT array_agg(DISTINCT c::name) INTO columns
		FROM llm_audit.erase_receipt e, unnest(e.column_names) c
		WHERE e.ledger_id = s.ledger_id AND e.segment = s.segment
			AND e.erasure_id = ANY (pending);

	EXECUTE format('CLUSTER %s USING %I', leaf, (SELECT relname
		FROM pg_catalog.pg_class WHERE oid = llm_audit.lane_index(leaf)));
	PERFORM llm_audit.forget_statistics(leaf, columns);
	INSERT INTO llm_audit.erase_receipt (environment, erasure_id, stage, cause,
			ledger, ledger_id, segment, leaf, columns, column_names, row_count, actor)
		SELECT e.environment, e.erasure_id, 'completed', e.cause, e.ledger,
			e.ledger_id, e.segment, e.leaf, e.columns, e.column_names, sum(e.row_count),
			session_user
		FROM llm_audit.erase_receipt e
		WHERE e.stage = 'erased' AND e.ledger_id = s.ledger_id
			AND e.segment = s.segment AND e.erasure_id = ANY (pending)
		GROUP BY e.environment, e.erasure_id, e.cause, e.ledger, e.ledger_id,
			e.segment, e.leaf, e.columns, e.column_names;
	RETURN true;
END
$$;
COMMENT ON FUNCTION llm_audit.rewrite_segment(regclass) IS
	'rewrites a segment in which values were erased, so that no old version of a row is left in its files, and completes the erasures'' receipts; false if there was nothing to complete; raises 55006 while a transaction may still see the values, 55P03 while somebody reads the segment';
REVOKE EXECUTE ON FUNCTION llm_audit.rewrite_segment(regclass) FROM PUBLIC;

CREATE FUNCTION llm_audit.erasure_report()
	RETURNS TABLE (erasure_id uuid, cause text, ticket text, ledger text,
		segment int, row_count numeric, erased_at timestamptz, completed_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
	SELECT e.erasure_id, e.cause, max(e.ticket), e.ledger, e.segment,
		sum(e.row_count) FILTER (WHERE e.stage = 'erased'),
		max(e.recorded_at) FILTER (WHERE e.stage = 'erased'),
		max(e.recorded_at) FILTER (WHERE e.stage = 'completed')
	FROM llm_audit.erase_receipt e
	GROUP BY e.erasure_id, e.cause, e.ledger, e.ledger_id, e.segment
	ORDER BY 7, 4, 5
$$;
COMMENT ON FUNCTION llm_audit.erasure_report() IS
	'erasures by segment: why, how many rows, when values were emptied, and when their bytes were gone (NULL: not yet)';
REVOKE EXECUTE ON FUNCTION llm_audit.erasure_report() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.erasure_report()
	TO llm_audit_compliance, llm_audit_auditor, llm_audit_admin;

-- ------------------------------------------------------------------ people

-- Where a person can stand, and what goes with it.  A row may name several
-- people: the clerk who asked (actor_id) and the customer whom it is about.
-- The erasure of one leaves the other's name alone, and takes everything else
-- that can be erased.
CREATE FUNCTION llm_audit.subject_parts(subject text)
	RETURNS TABLE (ledger_id uuid, part text, condition text, columns name[],
		plain_condition text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH erasable AS (
		SELECT l.ledger_id, k.column_name, k.column_number,
			p.on_write = 'hash' OR k.column_name IN ('actor_id', 'end_user_id', 'customer_key')
				AS is_subject,
			CASE WHEN l.builtin AND k.column_name IN
				('end_user_id', 'customer_key', 'operation_number')
				THEN 'customer' ELSE k.column_name::text END AS part
		FROM llm_audit.ledger l
		JOIN llm_audit.ledger_column k USING (ledger_id)
		LEFT JOIN llm_audit.field_policy p USING (ledger_id, column_name)
		WHERE k.erasable
	), named AS (
		SELECT e.*, format('t.%I::text = ANY (%L)', e.column_name,
			-- as given too: a policy may have kept it, or there was none
			llm_audit.pseudonym(subject, e.column_name::text) || subject) AS test
		FROM erasable e WHERE e.is_subject
	)
	SELECT n.ledger_id, n.part, '(' || string_agg(n.test, ' OR ' ORDER BY n.column_number) || ')',
		(SELECT array_agg(e.column_name ORDER BY e.column_number) FROM erasable e
			WHERE e.ledger_id = n.ledger_id
				AND (NOT coalesce(e.is_subject, false) OR e.part = n.part)),
		'(' || string_agg(format('%s AND NOT llm_audit.salt_has_column(t.salt, %s)',
			n.test, n.column_number), ' OR ' ORDER BY n.column_number) || ')'
	FROM named n
	GROUP BY n.ledger_id, n.part
$$;
COMMENT ON FUNCTION llm_audit.subject_parts(text) IS
	'for each ledger and way to name a person: SQL conditions about row t that find them by pseudonym under all live keys, and the columns that go with them';
REVOKE EXECUTE ON FUNCTION llm_audit.subject_parts(text) FROM PUBLIC;

CREATE FUNCTION llm_audit.subject_calls(subject text) RETURNS uuid[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	condition text;
	calls uuid[];
BEGIN
	SELECT string_agg(p.condition, ' OR ') INTO condition
		FROM llm_audit.subject_parts(subject) p
		JOIN llm_audit.ledger l USING (ledger_id) WHERE l.role = 'llm_call';
	IF condition IS NOT NULL THEN
		EXECUTE format('SELECT array_agg(t.id) FROM llm_audit.llm_call t WHERE %s', condition)
			INTO calls;
	END IF;
	RETURN coalesce(calls, '{}');
END
$$;
COMMENT ON FUNCTION llm_audit.subject_calls(text) IS
	'ids of the calls that a person made or that are about them; part of erase_subject()';
REVOKE EXECUTE ON FUNCTION llm_audit.subject_calls(text) FROM PUBLIC;

-- Every segment with a condition that finds the person's rows in it.  Text of
-- calls names nobody: it is found by the calls.
CREATE FUNCTION llm_audit.subject_rows(subject text)
	RETURNS TABLE (ledger regclass, segment int, leaf regclass, part text,
		condition text, columns name[], plain_condition text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH content AS MATERIALIZED (
		SELECT l.ledger_id, 'content'::text AS part,
			format('t.call_id = ANY (%L::uuid[])', llm_audit.subject_calls(subject)) AS condition,
			(SELECT array_agg(k.column_name ORDER BY k.column_number)
				FROM llm_audit.ledger_column k
				WHERE k.ledger_id = l.ledger_id AND k.erasable) AS columns,
			'false'::text AS plain_condition
		FROM llm_audit.ledger l WHERE l.role = 'llm_content'
	), found AS (
		SELECT p.* FROM llm_audit.subject_parts(subject) p
		UNION ALL SELECT * FROM content
	)
	SELECT to_regclass(format('%I.%I', l.schema_name, l.relation_name)),
		s.segment, llm_audit.leaf_of(s), f.part, f.condition, f.columns, f.plain_condition
	FROM found f
	JOIN llm_audit.ledger l USING (ledger_id)
	JOIN llm_audit.ledger_segment s USING (ledger_id)
	WHERE s.state <> 'purged' AND llm_audit.leaf_of(s) IS NOT NULL
		AND f.columns IS NOT NULL
		-- the text first: its calls are found by what goes with them
	ORDER BY f.part <> 'content', l.relation_name, s.segment, f.part
$$;
COMMENT ON FUNCTION llm_audit.subject_rows(text) IS
	'segments in which a person may stand, with an SQL condition about row t that finds their rows; part of erase_subject() and subject_report()';
REVOKE EXECUTE ON FUNCTION llm_audit.subject_rows(text) FROM PUBLIC;

-- Tables that load_archive() has filled.  Text is found by its calls, which may
-- be in a ledger or in such a table.
CREATE FUNCTION llm_audit.subject_loaded(subject text)
	RETURNS TABLE (relation regclass, part text, condition text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	t record;
	calls uuid[] := llm_audit.subject_calls(subject);
	more uuid[];
BEGIN
	FOR t IN SELECT DISTINCT to_regclass(format('%I.%I', a.schema_name, a.relation_name)) AS found,
			l.role, p.part, p.condition, l.role = 'llm_content' AS is_content
		FROM llm_audit.loaded_archive a
		JOIN llm_audit.ledger l USING (ledger_id)
		LEFT JOIN llm_audit.subject_parts(subject) p USING (ledger_id)
		WHERE p.condition IS NOT NULL OR l.role = 'llm_content'
		ORDER BY is_content, found, part
	LOOP
		CONTINUE WHEN t.found IS NULL;
		relation := t.found;
		part := coalesce(t.part, 'content');
		condition := coalesce(t.condition, format('t.call_id = ANY (%L::uuid[])', calls));
		BEGIN
			IF t.role = 'llm_call' THEN
				EXECUTE format('SELECT array_agg(t.id) FROM %s t WHERE %s', relation, condition) INTO more;
				calls := calls || more;
			ELSE
				EXECUTE format('SELECT FROM %s t WHERE %s LIMIT 0', relation, condition);
			END IF;
		EXCEPTION WHEN undefined_column THEN
			condition := NULL;
		END;
		RETURN NEXT;
	END LOOP;
END
$$;
COMMENT ON FUNCTION llm_audit.subject_loaded(text) IS
	'tables of loaded archives in which a person may stand, with an SQL condition about row t that finds their rows, NULL if it lacks a column for that; part of erase_subject() and subject_report()';
REVOKE EXECUTE ON FUNCTION llm_audit.subject_loaded(text) FROM PUBLIC;

-- What an erasure does not reach.
CREATE FUNCTION llm_audit.subject_copies(subject text, leaves regclass[])
	RETURNS TABLE (ledger regclass, segment int, action text, row_count bigint,
		why_not text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	t record;
	n bigint;
BEGIN
	FOR t IN SELECT * FROM llm_audit.subject_loaded(subject) LOOP
		n := NULL;
		IF t.condition IS NOT NULL THEN
			EXECUTE format('SELECT count(*) FROM %s t WHERE %s', t.relation, t.condition) INTO n;
			CONTINUE WHEN n = 0;
		END IF;
		RETURN QUERY SELECT t.relation, NULL::int, CASE WHEN n IS NULL THEN 'not searched' ELSE 'loaded' END, n,
			CASE WHEN n IS NULL THEN 'a loaded archive without the columns that name people'
				ELSE 'rows of a loaded archive cannot be changed: drop the table' END;
	END LOOP;
	RETURN QUERY SELECT to_regclass(r.ledger), r.number, 'archived', NULL::bigint, 'in file ' || r.path
		FROM unnest(leaves) AS f (leaf) CROSS JOIN LATERAL llm_audit.archive_report(f.leaf) r
		WHERE r.state <> 'gone';
	SELECT count(*) INTO n FROM llm_audit.archive_report() r
		WHERE r.state <> 'gone' AND (r.erased_since OR to_regclass(r.leaf) IS NULL
			OR EXISTS (SELECT FROM llm_audit.segment_of(to_regclass(r.leaf)) s WHERE s.state = 'purged'));
	IF n > 0 THEN
		RETURN QUERY SELECT NULL::regclass, NULL::int, 'not searched', NULL::bigint,
			format('%s archives of purged segments or from before an erasure: see llm_audit.archive_report()', n);
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.subject_copies(text, regclass[]) IS
	'copies that an erasure does not reach: rows of a person in loaded archives, archives of the segments in which they were found, and how many archives could not be searched; part of erase_subject()';
REVOKE EXECUTE ON FUNCTION llm_audit.subject_copies(text, regclass[]) FROM PUBLIC;

CREATE FUNCTION llm_audit.erase_subject(subject text, basis text, ticket text,
		dry_run boolean DEFAULT true)
	RETURNS TABLE (ledger regclass, segment int, action text, row_count bigint,
		why_not text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
SET quote_all_identifiers = off
AS $$
#variable_conflict use_variable
DECLARE
	r record;
	n record;
	numbers int[];
	erasure uuid := gen_random_uuid();
	erased bigint := 0;
	held bigint := 0;
	spared uuid[] := '{}';
	more uuid[];
	leaves regclass[] := '{}';
BEGIN
	IF coalesce(btrim(subject), '') = '' THEN
		RAISE EXCEPTION 'subject must not be empty'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF coalesce(btrim(basis), '') = '' OR coalesce(btrim(ticket), '') = '' THEN
		RAISE EXCEPTION 'a legal basis and a ticket are needed to erase a person''s data'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	PERFORM llm_audit.require_read_committed();
	FOR r IN SELECT * FROM llm_audit.subject_rows(subject) LOOP
		-- text that is held is found by its call, when the hold has ended
		IF spared <> '{}' AND r.ledger = to_regclass('llm_audit.llm_call') THEN
			r.condition := r.condition || format(' AND t.id <> ALL (%L::uuid[])', spared);
		END IF;
		SELECT array_agg(k.column_number) INTO numbers
			FROM llm_audit.segment_of(r.leaf) s
			JOIN llm_audit.ledger_column k USING (ledger_id)
			WHERE k.column_name = ANY (r.columns);
		EXECUTE format('SELECT count(*) FILTER (WHERE x.can AND x.free) AS free,
				count(*) FILTER (WHERE x.can AND NOT x.free) AS held,
				count(*) FILTER (WHERE x.plain) AS plain
			FROM (SELECT EXISTS (SELECT FROM unnest($1) n
					WHERE llm_audit.salt_has_column(t.salt, n)) AS can,
				coalesce(%s, false) AS free, coalesce(%s, false) AS plain
				FROM ONLY %s t WHERE %s) x',
			llm_audit.free_of_holds(r.leaf), r.plain_condition, r.leaf, r.condition)
			INTO n USING numbers;
		ledger := r.ledger;
		segment := r.segment;
		IF n.free + n.held + n.plain > 0 AND r.leaf <> ALL (leaves) THEN
			leaves := leaves || r.leaf;
		END IF;
		IF n.held > 0 THEN
			held := held + n.held;
			IF r.part = 'content' THEN
				EXECUTE format('SELECT array_agg(t.call_id) FROM ONLY %s t WHERE %s AND NOT (%s)',
					r.leaf, r.condition, llm_audit.free_of_holds(r.leaf)) INTO more;
				spared := spared || more;
			END IF;
			action := 'held';
			row_count := n.held;
			why_not := 'a legal hold covers them';
			RETURN NEXT;
		END IF;
		IF n.plain > 0 THEN
			action := 'kept';
			row_count := n.plain;
			why_not := 'the pseudonym was not erasable when these rows came: it goes with them';
			RETURN NEXT;
		END IF;
		CONTINUE WHEN n.free = 0;
		action := 'would be erased';
		row_count := n.free;
		why_not := NULL;
		IF NOT dry_run THEN
			action := 'erased';
			row_count := llm_audit.erase_rows(r.leaf, r.columns,
				r.condition || ' AND (' || llm_audit.free_of_holds(r.leaf) || ')',
				erasure, 'subject', ticket, basis);
		END IF;
		erased := erased + row_count;
		RETURN NEXT;
	END LOOP;
	RETURN QUERY SELECT * FROM llm_audit.subject_copies(subject, leaves);
	PERFORM llm_audit.record_own_event(
		CASE WHEN dry_run THEN 'subject.erasure_previewed' ELSE 'subject.erased' END,
		'erasure', erasure::text, basis,
		jsonb_build_object('ticket', ticket, 'rows', erased, 'held', held));
	IF held > 0 AND NOT dry_run THEN
		PERFORM llm_audit.record_own_event('subject.erasure_refused', 'erasure',
			erasure::text, basis, jsonb_build_object('ticket', ticket, 'held', held));
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.erase_subject(text, text, text, boolean) IS
	'erases what can be erased of a person, given by number or pseudonym, in all ledgers, text of calls included, and says what is held and where copies are that it does not reach (loaded: rows in a table of load_archive(); archived: the segment''s files; not searched: other archives); dry_run (the default) only counts; run_maintenance() then rewrites the segments; for llm_audit_compliance';
REVOKE EXECUTE ON FUNCTION llm_audit.erase_subject(text, text, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.erase_subject(text, text, text, boolean)
	TO llm_audit_compliance;

CREATE FUNCTION llm_audit.subject_report(subject text) RETURNS SETOF jsonb
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	r record;
	reason text := coalesce(llm_audit.reader_setting('reason'), '');
	found bigint := 0;
	n bigint;
	hidden CONSTANT text[] := '{salt,erased,prev_hash,row_hash,chain_lane,chain_seq,recorded_by,body}';
BEGIN
	IF coalesce(btrim(subject), '') = '' THEN
		RAISE EXCEPTION 'subject must not be empty'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF btrim(reason) = '' THEN
		RAISE EXCEPTION 'a reason is needed to report on a person'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'SET LOCAL llm_audit.reason = ''...'' in the same transaction.';
	END IF;
	FOR r IN SELECT * FROM llm_audit.subject_rows(subject) LOOP
		RETURN QUERY EXECUTE format(
			'SELECT jsonb_build_object(''ledger'', %L, ''segment'', %s, ''named_as'', %L,
				''row'', jsonb_strip_nulls(to_jsonb(t) - $1))
			FROM ONLY %s t WHERE %s ORDER BY t.recorded_at, t.id',
			r.ledger::text, r.segment, r.part, r.leaf, r.condition)
			-- what is encrypted, and digests
			USING hidden || ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
				WHERE a.attrelid = r.leaf AND a.attnum > 0 AND a.atttypid = 'bytea'::regtype);
		GET DIAGNOSTICS n = ROW_COUNT;
		found := found + n;
	END LOOP;
	FOR r IN SELECT * FROM llm_audit.subject_loaded(subject) x WHERE x.condition IS NOT NULL LOOP
		RETURN QUERY EXECUTE format(
			'SELECT jsonb_build_object(''loaded_archive'', %L, ''named_as'', %L,
				''row'', jsonb_strip_nulls(to_jsonb(t) - $1))
			FROM %s t WHERE %s ORDER BY t.recorded_at, t.id',
			r.relation::text, r.part, r.relation, r.condition)
			USING hidden || ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
				WHERE a.attrelid = r.relation AND a.attnum > 0 AND a.atttypid = 'bytea'::regtype);
		GET DIAGNOSTICS n = ROW_COUNT;
		found := found + n;
	END LOOP;
	PERFORM llm_audit.record_own_event('subject.reported', 'subject', NULL, reason,
		jsonb_build_object('rows', found));
END
$$;
COMMENT ON FUNCTION llm_audit.subject_report(text) IS
	'what is stored of a person, given by number or pseudonym, one object for each row, those of loaded archives included; the text of calls is listed without its body, which is seen by disclosure only; needs llm_audit.reason and is recorded; for llm_audit_compliance';
REVOKE EXECUTE ON FUNCTION llm_audit.subject_report(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.subject_report(text) TO llm_audit_compliance;
