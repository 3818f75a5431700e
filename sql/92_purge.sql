-- Purge: expired rows go, with receipts; what is held stays.

CREATE FUNCTION llm_audit.sha256_add(state internal, value bytea)
	RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'llm_audit_sha256_add';
COMMENT ON FUNCTION llm_audit.sha256_add(internal, bytea) IS
	'transition function of sha256_agg';

CREATE FUNCTION llm_audit.sha256_end(state internal) RETURNS bytea
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'llm_audit_sha256_end';
COMMENT ON FUNCTION llm_audit.sha256_end(internal) IS
	'final function of sha256_agg';

CREATE AGGREGATE llm_audit.sha256_agg(bytea) (
	SFUNC = llm_audit.sha256_add,
	STYPE = internal,
	FINALFUNC = llm_audit.sha256_end,
	FINALFUNC_MODIFY = READ_WRITE
);
COMMENT ON AGGREGATE llm_audit.sha256_agg(bytea) IS
	'SHA-256 over the values one after another: say in which order';

CREATE FUNCTION llm_audit.runs_add(state internal, number bigint)
	RETURNS internal
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'llm_audit_runs_add';
COMMENT ON FUNCTION llm_audit.runs_add(internal, bigint) IS
	'transition function of runs_agg';

CREATE FUNCTION llm_audit.runs_end(state internal) RETURNS bigint[]
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'llm_audit_runs_end';
COMMENT ON FUNCTION llm_audit.runs_end(internal) IS
	'final function of runs_agg';

CREATE AGGREGATE llm_audit.runs_agg(bigint) (
	SFUNC = llm_audit.runs_add,
	STYPE = internal,
	FINALFUNC = llm_audit.runs_end,
	FINALFUNC_MODIFY = READ_ONLY
);
COMMENT ON AGGREGATE llm_audit.runs_agg(bigint) IS
	'runs of numbers that follow one another, out of ascending numbers: the first numbers of all runs, then the last ones; raises 22023 if they do not ascend';

CREATE FUNCTION llm_audit.purge_condition(leaf regclass, at timestamptz)
	RETURNS text
	LANGUAGE c STABLE STRICT
	AS 'MODULE_PATHNAME', 'llm_audit_purge_condition';
COMMENT ON FUNCTION llm_audit.purge_condition(regclass, timestamptz) IS
	'the condition that rows r of a segment have expired at a time; part of purge()';
REVOKE EXECUTE ON FUNCTION llm_audit.purge_condition(regclass, timestamptz) FROM PUBLIC;

CREATE FUNCTION llm_audit.lock_readers() RETURNS boolean
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'llm_audit_lock_readers';
COMMENT ON FUNCTION llm_audit.lock_readers() IS
	'waits up to a minute for verify to end and keeps it away until the transaction ends; false if it goes on; part of purge()';
REVOKE EXECUTE ON FUNCTION llm_audit.lock_readers() FROM PUBLIC;

CREATE FUNCTION llm_audit.lock_holds() RETURNS boolean
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'llm_audit_lock_holds';
COMMENT ON FUNCTION llm_audit.lock_holds() IS
	'waits for whoever places or releases a hold, and keeps holds as they are until the transaction ends; false if that takes more than a minute or two; part of purge()';
REVOKE EXECUTE ON FUNCTION llm_audit.lock_holds() FROM PUBLIC;

CREATE FUNCTION llm_audit.lock_purged(leaf regclass) RETURNS boolean
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'llm_audit_lock_purged';
COMMENT ON FUNCTION llm_audit.lock_purged(regclass) IS
	'locks a closed segment that is to be truncated; false if somebody goes on using it; part of purge()';
REVOKE EXECUTE ON FUNCTION llm_audit.lock_purged(regclass) FROM PUBLIC;

CREATE FUNCTION llm_audit.purge_rows(leaf regclass, lane int, last bigint,
		receipt text[]) RETURNS bigint
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'llm_audit_purge_rows';
COMMENT ON FUNCTION llm_audit.purge_rows(regclass, int, bigint, text[]) IS
	'deletes expired rows of a lane that are not held and writes the receipt; NULL: somebody writes to the lane; part of purge()';
REVOKE EXECUTE ON FUNCTION llm_audit.purge_rows(regclass, int, bigint, text[])
	FROM PUBLIC;

CREATE FUNCTION llm_audit.require_unaltered(leaf regclass) RETURNS void
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'llm_audit_require_unaltered';
COMMENT ON FUNCTION llm_audit.require_unaltered(regclass) IS
	'reads a segment and raises XX001 if a row does not match its hash; part of purge()';
REVOKE EXECUTE ON FUNCTION llm_audit.require_unaltered(regclass) FROM PUBLIC;

CREATE FUNCTION llm_audit.purge_whole(leaf regclass, intact boolean,
		receipt text[]) RETURNS bigint
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'llm_audit_purge_whole';
COMMENT ON FUNCTION llm_audit.purge_whole(regclass, boolean, text[]) IS
	'truncates a segment all of whose rows have expired and are not held, and writes the receipts; part of purge()';
REVOKE EXECUTE ON FUNCTION llm_audit.purge_whole(regclass, boolean, text[]) FROM PUBLIC;

CREATE FUNCTION llm_audit.drop_purged(leaf regclass) RETURNS boolean
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'llm_audit_drop_purged';
COMMENT ON FUNCTION llm_audit.drop_purged(regclass) IS
	'drops the empty leaf of a purged segment; false if a lock could not be had; part of drop_purged_segment()';
REVOKE EXECUTE ON FUNCTION llm_audit.drop_purged(regclass) FROM PUBLIC;

-- ---------------- what may go ----------------

-- Data classes that occur in a closed segment; * where rows may have another.
CREATE FUNCTION llm_audit.segment_classes(s llm_audit.ledger_segment)
	RETURNS text[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE WHEN l.builtin AND e.data_classes IS NOT NULL THEN e.data_classes
		ELSE coalesce(e.data_classes, '{}') || '*'::text END
	FROM llm_audit.ledger l
	LEFT JOIN llm_audit.segment_event e ON e.ledger_id = s.ledger_id
		AND e.segment = s.segment AND e.event = 'closed'
	WHERE l.ledger_id = s.ledger_id LIMIT 1
$$;
COMMENT ON FUNCTION llm_audit.segment_classes(llm_audit.ledger_segment) IS
	'data classes of the rows of a segment, as its closing recorded them';
REVOKE EXECUTE ON FUNCTION llm_audit.segment_classes(llm_audit.ledger_segment) FROM PUBLIC;

CREATE FUNCTION llm_audit.segment_expiry(leaf regclass) RETURNS timestamptz
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(max(CASE WHEN s.state = 'open' THEN 'infinity'
		WHEN e.row_count > 0 THEN greatest(coalesce(e.max_retain_until, 'infinity'), p.expiry)
		ELSE p.expiry END), 'infinity')
	FROM llm_audit.segment_of(leaf) s
	JOIN llm_audit.segment_event e ON e.ledger_id = s.ledger_id
		AND e.segment = s.segment AND e.event = 'closed'
	CROSS JOIN LATERAL (SELECT max(llm_audit.retention_expiry(s.ledger_id, s.environment, c, s.upper)) AS expiry
		FROM unnest(llm_audit.segment_classes(s)) AS c) AS p
$$;
COMMENT ON FUNCTION llm_audit.segment_expiry(regclass) IS
	'when the last row of a closed segment expires, by what was stamped and by the policies of now; infinity: never, or not known';
REVOKE EXECUTE ON FUNCTION llm_audit.segment_expiry(regclass) FROM PUBLIC;

-- The policies that can apply to rows of a segment.
CREATE FUNCTION llm_audit.segment_policies(s llm_audit.ledger_segment)
	RETURNS SETOF llm_audit.retention_policy
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT p.* FROM llm_audit.retention_policy p
	WHERE p.ledger_id = s.ledger_id AND p.environment IN ('*', s.environment)
		AND (s.is_default OR p.data_class = '*'
			OR p.data_class = ANY (llm_audit.segment_classes(s)))
$$;
COMMENT ON FUNCTION llm_audit.segment_policies(llm_audit.ledger_segment) IS
	'retention policies that can apply to rows of a segment';
REVOKE EXECUTE ON FUNCTION llm_audit.segment_policies(llm_audit.ledger_segment) FROM PUBLIC;

-- When the first row of a segment can expire, by the policies of now.
CREATE FUNCTION llm_audit.first_expiry(s llm_audit.ledger_segment)
	RETURNS timestamptz
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT min(llm_audit.retention_expiry(s.ledger_id, s.environment, c, s.lower))
		FROM unnest('{*,public,internal,personal,banking_secrecy}'::text[]) AS c
		WHERE s.lower > '-infinity'
$$;
COMMENT ON FUNCTION llm_audit.first_expiry(llm_audit.ledger_segment) IS
	'before when no row of a segment expires by the policies of now; NULL: not known';
REVOKE EXECUTE ON FUNCTION llm_audit.first_expiry(llm_audit.ledger_segment) FROM PUBLIC;

-- A segment waits for its last row, unless that would keep some rows of it
-- for more than a year longer than asked for: by the policies of now, or by
-- what was stamped under others.
CREATE FUNCTION llm_audit.purges_rows(s llm_audit.ledger_segment) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	latest timestamptz;
	found_some boolean := false;
BEGIN
	IF s.is_default OR EXISTS (SELECT FROM llm_audit.segment_policies(s) p WHERE p.purge_unit = 'row')
		OR (SELECT max(x.expiry) > min(x.expiry) + interval '12 months'
			FROM (SELECT llm_audit.retention_expiry(s.ledger_id, s.environment, c, s.upper) AS expiry
				FROM unnest(llm_audit.segment_classes(s)) AS c) AS x
			WHERE s.upper < 'infinity')
	THEN
		RETURN true;
	END IF;
	SELECT coalesce(e.max_retain_until, 'infinity') INTO latest FROM llm_audit.segment_event e
		WHERE e.ledger_id = s.ledger_id AND e.segment = s.segment AND e.event = 'closed'
			AND e.row_count > 0;
	IF latest > clock_timestamp() AND llm_audit.first_expiry(s) <= clock_timestamp() THEN
		EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s r WHERE r.retain_until < $1 AND %s)',
			llm_audit.leaf_of(s), llm_audit.purge_condition(llm_audit.leaf_of(s), clock_timestamp()))
			INTO found_some USING latest - interval '12 months';
	END IF;
	RETURN found_some;
END
$$;
COMMENT ON FUNCTION llm_audit.purges_rows(llm_audit.ledger_segment) IS
	'whether rows of a segment go one by one as they expire, and not with the last of them';
REVOKE EXECUTE ON FUNCTION llm_audit.purges_rows(llm_audit.ledger_segment) FROM PUBLIC;

CREATE FUNCTION llm_audit.was_archived(s llm_audit.ledger_segment) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN EXISTS (SELECT FROM llm_audit.archive_file a
		JOIN llm_audit.archive_states(s.ledger_id, s.segment) x USING (archive_id)
		WHERE x.state = 'counts' AND llm_audit.archive_is_whole(a));
END
$$;
COMMENT ON FUNCTION llm_audit.was_archived(llm_audit.ledger_segment) IS
	'whether a segment has an archive that counts and is still there, whole, and this segment''s';
REVOKE EXECUTE ON FUNCTION llm_audit.was_archived(llm_audit.ledger_segment) FROM PUBLIC;

-- A later archive lacks them.
CREATE FUNCTION llm_audit.purged_rows_archived(s llm_audit.ledger_segment)
	RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	least_purged bigint := (SELECT min(a.purged) FROM llm_audit.archive_file a
		WHERE a.ledger_id = s.ledger_id AND a.segment = s.segment);
BEGIN
	RETURN coalesce(llm_audit.count_purged(s.ledger_id, s.segment) <= least_purged, true)
		OR EXISTS (SELECT FROM llm_audit.archive_file a
			WHERE a.ledger_id = s.ledger_id AND a.segment = s.segment
				AND a.purged = least_purged AND llm_audit.archive_is_whole(a));
END
$$;
COMMENT ON FUNCTION llm_audit.purged_rows_archived(llm_audit.ledger_segment) IS
	'whether rows of a segment that were purged after it was archived are in an archive that is still there and whole';
REVOKE EXECUTE ON FUNCTION llm_audit.purged_rows_archived(llm_audit.ledger_segment) FROM PUBLIC;

-- The one place for what has to be done with a segment before it is purged.
CREATE FUNCTION llm_audit.purge_obstacle(s llm_audit.ledger_segment) RETURNS text
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE
		WHEN s.state = 'open' AND NOT s.is_default
			THEN 'the segment has not been closed: CALL llm_audit.close_segments()'
		WHEN NOT s.is_default AND NOT EXISTS (SELECT FROM llm_audit.segment_event e
				WHERE e.ledger_id = s.ledger_id AND e.segment = s.segment AND e.event = 'closed')
			THEN 'no segment_event says how the segment ended: run llm_audit.verify()'
		-- or another policy would decide than the one that is for its rows
		WHEN EXISTS (SELECT FROM llm_audit.segment_event e
				WHERE e.ledger_id = s.ledger_id AND e.segment = s.segment AND e.event = 'closed'
					AND (e.environment, e.lower, e.upper) IS DISTINCT FROM (s.environment, s.lower, s.upper))
			THEN 'the registry says otherwise of the segment than segment_event when it was closed'
		WHEN EXISTS (SELECT FROM llm_audit.segment_policies(s) p WHERE p.archive_before_purge)
			AND NOT llm_audit.was_archived(s)
			THEN 'the segment has not been archived, which its policy asks for, or its archive is gone or damaged'
		WHEN EXISTS (SELECT FROM llm_audit.segment_policies(s) p WHERE p.archive_before_purge)
			AND NOT llm_audit.purged_rows_archived(s)
			THEN 'the archive that has the rows which were purged is gone or damaged: see llm_audit.archive_report()'
		END
$$;
COMMENT ON FUNCTION llm_audit.purge_obstacle(llm_audit.ledger_segment) IS
	'why nothing of a segment can be purged yet, whatever has expired; NULL: nothing is in the way';
REVOKE EXECUTE ON FUNCTION llm_audit.purge_obstacle(llm_audit.ledger_segment) FROM PUBLIC;

-- Rows of a segment by lane: how many can go, are held, have not expired, or
-- stay because a lane that goes on needs them.
CREATE FUNCTION llm_audit.count_purgeable(s llm_audit.ledger_segment,
		leaf regclass) RETURNS TABLE (lane int, free bigint, held bigint,
		unexpired bigint, needed bigint)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN QUERY EXECUTE format($q$
		WITH n AS (SELECT r.chain_lane, max(r.chain_seq) AS last,
				max(r.chain_seq) FILTER (WHERE x.expired AND NOT x.held) AS last_free,
				count(*) FILTER (WHERE x.expired AND NOT x.held) AS free,
				count(*) FILTER (WHERE x.expired AND x.held) AS held,
				count(*) FILTER (WHERE NOT x.expired) AS unexpired,
				bool_or(r.chain_seq = 1 AND NOT (x.expired AND NOT x.held)) AS begins
				FROM ONLY %1$s r
				CROSS JOIN LATERAL (SELECT coalesce(%2$s, false) AS expired,
					llm_audit.is_held(%3$s, r.chain_lane, r.chain_seq) AS held OFFSET 0) AS x
				GROUP BY r.chain_lane),
			z AS (SELECT n.*, (coalesce(last_free, 0) = last)::int AS ends FROM n)
		SELECT chain_lane, CASE WHEN NOT $1 THEN free WHEN begins THEN 0 ELSE free - ends END,
			held, unexpired,
			CASE WHEN NOT $1 THEN 0 WHEN begins THEN free ELSE ends END
			FROM z ORDER BY 1$q$,
		leaf, llm_audit.purge_condition(leaf, clock_timestamp()), leaf::oid) USING s.is_default;
END
$$;
COMMENT ON FUNCTION llm_audit.count_purgeable(llm_audit.ledger_segment, regclass) IS
	'rows of a segment by lane: that can go, are held, have not expired, or are needed by a lane that goes on';
REVOKE EXECUTE ON FUNCTION llm_audit.count_purgeable(llm_audit.ledger_segment, regclass)
	FROM PUBLIC;

-- ---------------- purging ----------------

CREATE FUNCTION llm_audit.receipt_of(s llm_audit.ledger_segment, purge_id uuid,
		reason text) RETURNS text[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
SET IntervalStyle = 'postgres'
AS $$
	SELECT ARRAY[coalesce(nullif(s.environment, ''),
			(SELECT coalesce(min(name) FILTER (WHERE name = 'prod'), min(name)) FROM llm_audit.environment)),
		format('%I.%I', l.schema_name, l.relation_name), receipt_of.purge_id::text,
		(SELECT string_agg(format('%s/%s: %s, %s', p.environment, p.data_class,
				coalesce(p.period::text, 'for ever'), p.mode), '; ' ORDER BY p.environment, p.data_class)
			FROM llm_audit.segment_policies(s) p),
		receipt_of.reason]
	FROM llm_audit.ledger l WHERE l.ledger_id = s.ledger_id
$$;
COMMENT ON FUNCTION llm_audit.receipt_of(llm_audit.ledger_segment, uuid, text) IS
	'what all receipts of a purge of a segment say; part of purge()';
REVOKE EXECUTE ON FUNCTION llm_audit.receipt_of(llm_audit.ledger_segment, uuid, text)
	FROM PUBLIC;

CREATE FUNCTION llm_audit.record_purge(s llm_audit.ledger_segment, what text,
		gone bigint, purge_id uuid, reason text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
BEGIN
	PERFORM llm_audit.append_purged(llm_audit.leaf_of(s));
	PERFORM llm_audit.record_own_event('purge.run', 'segment',
		format('%I.%I', s.schema_name, s.relation_name), reason,
		jsonb_build_object('purge_id', purge_id, 'segment', s.segment, 'rows', gone, 'event', what));
END
$$;
COMMENT ON FUNCTION llm_audit.record_purge(llm_audit.ledger_segment, text, bigint, uuid, text) IS
	'records what was purged of a segment in segment_event and admin_event; part of purge()';
REVOKE EXECUTE ON FUNCTION llm_audit.record_purge(llm_audit.ledger_segment, text, bigint, uuid, text)
	FROM PUBLIC;

-- Takes rows of a segment one lane after the other.
CREATE FUNCTION llm_audit.purge_lanes(s llm_audit.ledger_segment, leaf regclass,
		purge_id uuid, reason text, max_rows bigint) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	n record;
	last bigint;
	gone bigint := 0;
BEGIN
	FOR n IN SELECT * FROM llm_audit.count_purgeable(s, leaf) c WHERE c.free > 0 LOOP
		EXIT WHEN gone >= max_rows;
		last := 9223372036854775807;
		IF n.free > max_rows - gone THEN
			EXECUTE format('SELECT max(x.chain_seq) FROM (SELECT r.chain_seq FROM ONLY %s r
				WHERE r.chain_lane = $1 AND NOT llm_audit.is_held(%s, r.chain_lane, r.chain_seq) AND %s
				ORDER BY r.chain_seq LIMIT $2) AS x', leaf, leaf::oid,
				llm_audit.purge_condition(leaf, clock_timestamp()))
				INTO last USING n.lane, max_rows - gone;
		END IF;
		gone := gone + coalesce(llm_audit.purge_rows(leaf, n.lane, last,
			llm_audit.receipt_of(s, purge_id, reason)), 0);
	END LOOP;
	IF gone > 0 THEN
		PERFORM llm_audit.record_purge(s, 'rows_purged', gone, purge_id, reason);
	END IF;
	RETURN gone;
END
$$;
COMMENT ON FUNCTION llm_audit.purge_lanes(llm_audit.ledger_segment, regclass, uuid, text, bigint) IS
	'deletes expired rows of a segment that are not held, at most so many; part of purge()';
REVOKE EXECUTE ON FUNCTION llm_audit.purge_lanes(llm_audit.ledger_segment, regclass, uuid, text, bigint)
	FROM PUBLIC;

CREATE FUNCTION llm_audit.compliance_note(s llm_audit.ledger_segment) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE WHEN EXISTS (SELECT FROM llm_audit.segment_policies(s) p WHERE p.mode = 'compliance')
		THEN ', in compliance mode' ELSE '' END
$$;
COMMENT ON FUNCTION llm_audit.compliance_note(llm_audit.ledger_segment) IS
	'what is added to a reason for keeping rows; part of purge()';
REVOKE EXECUTE ON FUNCTION llm_audit.compliance_note(llm_audit.ledger_segment) FROM PUBLIC;

CREATE FUNCTION llm_audit.purge_by_rows(s llm_audit.ledger_segment,
		leaf regclass, dry_run boolean, purge_id uuid, reason text,
		max_rows bigint) RETURNS TABLE (action text, row_count bigint, why_not text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	gone bigint := 0;
	n record;
	scans text := CASE WHEN llm_audit.hold_scans(leaf) THEN ' (found by a scan)' ELSE '' END;
	mode text := llm_audit.compliance_note(s);
BEGIN
	IF NOT dry_run THEN
		gone := llm_audit.purge_lanes(s, leaf, purge_id, reason, max_rows);
	END IF;
	SELECT sum(c.free)::bigint AS free, sum(c.held)::bigint AS held,
			sum(c.unexpired)::bigint AS unexpired, sum(c.needed)::bigint AS needed INTO n
		FROM llm_audit.count_purgeable(s, leaf) c;
	IF dry_run AND n.free > 0 OR gone > 0 THEN
		RETURN QUERY SELECT 'delete', CASE WHEN dry_run THEN least(n.free, max_rows) ELSE gone END, NULL::text;
	END IF;
	RETURN QUERY SELECT 'keep', v.n, v.why FROM (VALUES
		(n.held, 'under a legal hold' || scans),
		(n.needed, 'the ledger goes on from them'),
		(CASE WHEN dry_run THEN greatest(n.free - max_rows, 0) ELSE n.free END,
			CASE WHEN dry_run OR gone >= max_rows THEN 'more than max_rows' ELSE 'somebody writes to the lane' END),
		(n.unexpired, 'not expired' || mode)) AS v (n, why)
		WHERE v.n > 0;
END
$$;
COMMENT ON FUNCTION llm_audit.purge_by_rows(llm_audit.ledger_segment, regclass, boolean, uuid, text, bigint) IS
	'purges rows of a segment one by one, or says what it would do; part of purge()';
REVOKE EXECUTE ON FUNCTION llm_audit.purge_by_rows(llm_audit.ledger_segment, regclass, boolean, uuid, text, bigint)
	FROM PUBLIC;

-- Whether all rows are there that were when a segment was closed.
CREATE FUNCTION llm_audit.is_complete(s llm_audit.ledger_segment, leaf regclass)
	RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	complete boolean;
BEGIN
	EXECUTE format('SELECT NOT EXISTS (SELECT FROM (SELECT chain_lane AS lane, min(chain_seq) AS first,
				max(chain_seq) AS last, count(*) AS n FROM ONLY %s GROUP BY 1) AS is_there
			NATURAL FULL JOIN (SELECT u.lane, u.first, u.last, u.last - u.first + 1 AS n
				FROM llm_audit.segment_event e
				CROSS JOIN LATERAL unnest(e.lanes, e.first_seqs, e.last_seqs) AS u (lane, first, last)
				WHERE e.event = ''closed'' AND e.ledger_id = $1 AND e.segment = $2) AS was_there
			WHERE is_there IS NULL OR was_there IS NULL)', leaf)
		INTO complete USING s.ledger_id, s.segment;
	RETURN complete;
END
$$;
COMMENT ON FUNCTION llm_audit.is_complete(llm_audit.ledger_segment, regclass) IS
	'whether a segment has as many rows in each lane as when it was closed; part of purge()';
REVOKE EXECUTE ON FUNCTION llm_audit.is_complete(llm_audit.ledger_segment, regclass) FROM PUBLIC;

-- A segment all of whose rows have expired: at once if none is held.  Where a
-- hold could have been on what is not there any more, receipts are for what is;
-- and on what is there no longer as it was, nothing goes.
CREATE FUNCTION llm_audit.purge_expired(s llm_audit.ledger_segment,
		leaf regclass, dry_run boolean, purge_id uuid, reason text,
		max_rows bigint) RETURNS TABLE (action text, row_count bigint, why_not text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	purged bigint;
	total bigint;
	intact boolean;
BEGIN
	IF NOT dry_run AND NOT llm_audit.lock_purged(leaf) THEN
		RETURN QUERY SELECT 'keep', NULL::bigint, 'somebody goes on reading the segment';
		RETURN;
	END IF;
	IF EXISTS (SELECT FROM llm_audit.held_rows(leaf)) THEN
		RETURN QUERY SELECT * FROM llm_audit.purge_by_rows(s, leaf, dry_run, purge_id, reason, max_rows);
		RETURN;
	END IF;
	SELECT coalesce(sum(r.row_count), 0) INTO purged FROM llm_audit.purge_receipt r
		WHERE r.ledger_id = s.ledger_id AND r.segment = s.segment;
	IF dry_run THEN
		SELECT e.row_count - purged INTO total FROM llm_audit.segment_event e
			WHERE e.ledger_id = s.ledger_id AND e.segment = s.segment AND e.event = 'closed';
	ELSE
		intact := purged = 0;
		IF EXISTS (SELECT FROM llm_audit.segment_holds(s)) THEN
			PERFORM llm_audit.require_unaltered(leaf);
			intact := intact AND llm_audit.is_complete(s, leaf);
		END IF;
		total := llm_audit.purge_whole(leaf, intact, llm_audit.receipt_of(s, purge_id, reason));
		UPDATE llm_audit.ledger_segment x SET state = 'purged'
			WHERE x.ledger_id = s.ledger_id AND x.segment = s.segment;
		PERFORM llm_audit.record_purge(s, 'purged', total, purge_id, reason);
	END IF;
	RETURN QUERY SELECT 'truncate', total, NULL::text;
END
$$;
COMMENT ON FUNCTION llm_audit.purge_expired(llm_audit.ledger_segment, regclass, boolean, uuid, text, bigint) IS
	'purges a segment that has expired as a whole, or says what it would do; part of purge()';
REVOKE EXECUTE ON FUNCTION llm_audit.purge_expired(llm_audit.ledger_segment, regclass, boolean, uuid, text, bigint)
	FROM PUBLIC;

-- What has gone cannot be summed up any more.  Maintenance has done so long
-- before; this is for whoever purges without it.
CREATE FUNCTION llm_audit.summarise_segment(s llm_audit.ledger_segment,
		leaf regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	days date[];
	day date;
BEGIN
	IF NOT EXISTS (SELECT FROM llm_audit.ledger l
		WHERE l.ledger_id = s.ledger_id AND l.role = 'llm_call')
	THEN
		RETURN;
	ELSIF s.upper < 'infinity' THEN
		days := ARRAY(SELECT d::date FROM generate_series(date_trunc('day', s.lower AT TIME ZONE 'UTC'),
			s.upper AT TIME ZONE 'UTC' - interval '1 microsecond', interval '1 day') AS d);
	ELSE
		EXECUTE format('SELECT array_agg(DISTINCT (r.recorded_at AT TIME ZONE ''UTC'')::date)
			FROM ONLY %s r WHERE %s', leaf, llm_audit.purge_condition(leaf, clock_timestamp()))
			INTO days;
	END IF;
	FOREACH day IN ARRAY coalesce(days, '{}') LOOP
		CONTINUE WHEN llm_audit.is_final(s.environment, day);
		PERFORM llm_audit.summarise_day(s.environment, day);
		IF NOT llm_audit.is_final(s.environment, day) THEN
			RAISE EXCEPTION 'the calls of % cannot be summed up for good yet', to_char(day, 'YYYY-MM-DD')
				USING ERRCODE = 'object_in_use',
					HINT = 'Another segment of that day is still open, or a transaction of that day goes on.';
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION llm_audit.summarise_segment(llm_audit.ledger_segment, regclass) IS
	'sees to it that usage_summary has, for good, what a segment''s calls add to it; raises 55006 if that cannot be yet; part of purge()';
REVOKE EXECUTE ON FUNCTION llm_audit.summarise_segment(llm_audit.ledger_segment, regclass)
	FROM PUBLIC;

CREATE FUNCTION llm_audit.purge_segment(s llm_audit.ledger_segment,
		leaf regclass, dry_run boolean, purge_id uuid, reason text,
		max_rows bigint) RETURNS TABLE (action text, row_count bigint, why_not text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	obstacle text := llm_audit.purge_obstacle(s);
	expiry timestamptz := llm_audit.segment_expiry(leaf);
	by_rows boolean := expiry > clock_timestamp() AND llm_audit.purges_rows(s);
	closed bigint;
BEGIN
	IF obstacle IS NULL AND NOT dry_run AND (by_rows OR expiry <= clock_timestamp()) THEN
		PERFORM llm_audit.summarise_segment(s, leaf);
	END IF;
	SELECT e.row_count INTO closed FROM llm_audit.segment_event e
		WHERE e.ledger_id = s.ledger_id AND e.segment = s.segment AND e.event = 'closed';
	IF s.state = 'open' AND NOT s.is_default AND s.upper > clock_timestamp() THEN
		RETURN QUERY EXECUTE format('SELECT ''keep'', count(*), ''the segment has not ended'' FROM ONLY %s r
			WHERE %s HAVING count(*) > 0', leaf, llm_audit.purge_condition(leaf, clock_timestamp()));
	ELSIF obstacle IS NOT NULL THEN
		RETURN QUERY SELECT 'keep', closed, obstacle;
	ELSIF by_rows THEN
		RETURN QUERY SELECT * FROM llm_audit.purge_by_rows(s, leaf, dry_run, purge_id, reason, max_rows);
	ELSIF expiry <= clock_timestamp() THEN
		RETURN QUERY SELECT * FROM llm_audit.purge_expired(s, leaf, dry_run, purge_id, reason, max_rows);
	ELSE
		RETURN QUERY SELECT 'keep', closed, CASE WHEN expiry = 'infinity' THEN 'kept for ever'
			ELSE 'not expired before ' || to_char(expiry AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC' END
			|| llm_audit.compliance_note(s);
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.purge_segment(llm_audit.ledger_segment, regclass, boolean, uuid, text, bigint) IS
	'purges a segment, or says what it would do and why not; part of purge()';
REVOKE EXECUTE ON FUNCTION llm_audit.purge_segment(llm_audit.ledger_segment, regclass, boolean, uuid, text, bigint)
	FROM PUBLIC;

-- Segments that can have rows to purge: those that have ended and those that
-- never do; and those in which rows have expired that have to wait for its end,
-- to say so.
CREATE FUNCTION llm_audit.ended_segments(target regclass)
	RETURNS TABLE (leaf regclass, root regclass)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT c.oid::regclass, r.oid::regclass
	FROM llm_audit.ledger_segment s
	JOIN llm_audit.ledger l USING (ledger_id)
	JOIN pg_class c ON c.relname = s.relation_name
		AND c.relnamespace = to_regnamespace(quote_ident(s.schema_name))
	JOIN pg_class r ON r.relname = l.relation_name
		AND r.relnamespace = to_regnamespace(quote_ident(l.schema_name))
	WHERE s.state <> 'purged' AND (s.upper <= clock_timestamp() OR s.is_default
			OR llm_audit.first_expiry(s) <= clock_timestamp())
		AND NOT (l.builtin AND l.relation_name IN ('segment_event', 'purge_receipt', 'erase_receipt'))
		AND (target IS NULL OR target IN (c.oid, r.oid)
			OR target IN (SELECT p.relid FROM pg_partition_ancestors(c.oid) p))
	ORDER BY l.schema_name, l.relation_name, s.segment
$$;
COMMENT ON FUNCTION llm_audit.ended_segments(regclass) IS
	'segments at or below a table that have ended, or never do, or in which rows can have expired before that, and were not purged; NULL: all';
REVOKE EXECUTE ON FUNCTION llm_audit.ended_segments(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.ended_segments(regclass)
	TO llm_audit_admin, llm_audit_compliance, llm_audit_auditor;

CREATE FUNCTION llm_audit.begin_purge(reason text) RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM llm_audit.require_read_committed();
	PERFORM llm_audit.require_reason(reason, 'purge');
	IF NOT llm_audit.lock_readers() THEN
		RETURN 'verify is reading the ledgers, or another purge is under way';
	-- one purge at a time, and no hold is placed until it is done
	ELSIF NOT llm_audit.lock_holds() THEN
		RETURN 'somebody is placing or releasing a hold';
	END IF;
	PERFORM llm_audit.note_keys();
	-- data keys go after the commit, and for good: a crash must not undo it
	IF current_setting('synchronous_commit') = 'off' THEN
		PERFORM set_config('synchronous_commit', 'local', true);
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION llm_audit.begin_purge(text) IS
	'takes the locks of a purge; why it cannot, NULL if it can; part of purge()';
REVOKE EXECUTE ON FUNCTION llm_audit.begin_purge(text) FROM PUBLIC;

CREATE FUNCTION llm_audit.record_failed_purge(leaf regclass, problem text)
	RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM llm_audit.record_own_event('purge.failed', 'segment', leaf::text, NULL,
		jsonb_build_object('problem', left(problem, 200)));
	RAISE WARNING 'segment "%" could not be purged: %', leaf, problem;
END
$$;
COMMENT ON FUNCTION llm_audit.record_failed_purge(regclass, text) IS
	'warns and records that a segment could not be purged; part of purge() and run_purge()';
REVOKE EXECUTE ON FUNCTION llm_audit.record_failed_purge(regclass, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.record_failed_purge(regclass, text) TO llm_audit_admin;

CREATE FUNCTION llm_audit.purge(target regclass DEFAULT NULL,
		dry_run boolean DEFAULT true, reason text DEFAULT NULL,
		max_rows bigint DEFAULT NULL)
	RETURNS TABLE (ledger regclass, segment int, action text,
		row_count bigint, why_not text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- it asks many small questions of ledgers with years of segments
SET jit = off
AS $$
#variable_conflict use_variable
DECLARE
	t record;
	r record;
	s llm_audit.ledger_segment;
	purge_id uuid := llm_audit.uuid7();
	budget bigint := coalesce(max_rows, 9223372036854775807);
	why text;
BEGIN
	IF max_rows <= 0 THEN
		RAISE EXCEPTION 'max_rows must be positive, or null'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF target IS NOT NULL AND NOT EXISTS (SELECT FROM llm_audit.ledger_of(target))
		AND NOT EXISTS (SELECT FROM llm_audit.segment_of(target))
	THEN
		RAISE EXCEPTION '"%" is neither a ledger nor a segment of one', target
			USING ERRCODE = 'wrong_object_type';
	END IF;
	dry_run := coalesce(dry_run, true);
	IF NOT dry_run THEN
		why := llm_audit.begin_purge(reason);
		IF why IS NOT NULL THEN
			RETURN QUERY SELECT target, NULL::int, 'keep', NULL::bigint, why;
			RETURN;
		END IF;
	END IF;
	FOR t IN SELECT * FROM llm_audit.ended_segments(target) LOOP
		EXIT WHEN budget <= 0;
		SELECT * INTO s FROM llm_audit.segment_of(t.leaf);
		BEGIN
			FOR r IN SELECT * FROM llm_audit.purge_segment(s, t.leaf, dry_run, purge_id, reason, budget) LOOP
				IF r.action = 'delete' THEN
					budget := budget - r.row_count;
				END IF;
				RETURN QUERY SELECT t.root, s.segment, r.action, r.row_count, r.why_not;
			END LOOP;
		EXCEPTION WHEN OTHERS THEN
			-- one segment's trouble is not the others'
			IF t.leaf = target THEN
				RAISE;
			END IF;
			RETURN QUERY SELECT t.root, s.segment, 'failed', NULL::bigint, SQLERRM;
			IF NOT dry_run THEN
				PERFORM llm_audit.record_failed_purge(t.leaf, SQLERRM);
			END IF;
		END;
	END LOOP;
END
$$;
COMMENT ON FUNCTION llm_audit.purge(regclass, boolean, text, bigint) IS
	'removes rows that have expired and are not held, of a ledger, a segment, or all (target NULL), with receipts, in one transaction; a dry run by default, which says what it would do, and why not where not; otherwise needs a reason; max_rows: at most so many row by row; action failed: with why_not, of a segment among several that could not be purged; of one alone that is an error; recorded; for llm_audit_admin';
REVOKE EXECUTE ON FUNCTION llm_audit.purge(regclass, boolean, text, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.purge(regclass, boolean, text, bigint) TO llm_audit_admin;

-- Where nothing was ever encrypted, a directory that is not ready yet has no
-- keys to look for.  Where something was, whoever looks has to hear of it.
CREATE FUNCTION llm_audit.may_have_keys() RETURNS boolean
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(llm_audit.setting('key_directory'), '') <> ''
		AND (llm_audit.key_directory_problem() IS NULL
			OR EXISTS (SELECT FROM llm_audit.masking_history h
				WHERE h.relation_name = 'field_policy'
					AND (h.definition ->> 'encrypt')::boolean))
$$;
COMMENT ON FUNCTION llm_audit.may_have_keys() IS
	'whether there can be data keys: a directory for them is ready, or one is set and some column was encrypted at some time; part of keys_left() and destroy_purged_keys()';
REVOKE EXECUTE ON FUNCTION llm_audit.may_have_keys() FROM PUBLIC;

-- Keys of segments that are gone, which were not at hand then.
CREATE FUNCTION llm_audit.keys_left(OUT ledger_id uuid, OUT segment int)
	RETURNS SETOF record
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	IF llm_audit.may_have_keys() THEN
		RETURN QUERY SELECT DISTINCT s.ledger_id, s.segment FROM llm_audit.data_keys() k
			JOIN llm_audit.ledger_segment s USING (ledger_id, segment)
			WHERE k.state <> 'destroyed' AND s.state = 'purged' AND llm_audit.leaf_of(s) IS NULL;
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.keys_left() IS
	'purged segments whose tables have been dropped, but whose data keys are still there';
REVOKE EXECUTE ON FUNCTION llm_audit.keys_left() FROM PUBLIC;

-- Keys are gone at once: a transaction that could still bring the rows back
-- must not destroy them.
CREATE FUNCTION llm_audit.require_committed_purge() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF pg_current_xact_id_if_assigned() IS NOT NULL THEN
		RAISE EXCEPTION 'data keys are destroyed in a transaction of its own'
			USING ERRCODE = 'active_sql_transaction',
				DETAIL = 'What this transaction has done could be rolled back, and the keys would be gone.',
				HINT = 'Commit first.';
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.require_committed_purge() IS
	'raises 25001 in a transaction that has changed anything; part of destroy_purged_keys() and destroy_keys_left()';
REVOKE EXECUTE ON FUNCTION llm_audit.require_committed_purge() FROM PUBLIC;

CREATE FUNCTION llm_audit.destroy_segment_keys(s llm_audit.ledger_segment,
		reason text) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT llm_audit.destroy_data_keys(to_regclass(format('%I.%I', l.schema_name, l.relation_name)),
			s.segment, reason)
		FROM llm_audit.ledger l WHERE l.ledger_id = s.ledger_id
$$;
COMMENT ON FUNCTION llm_audit.destroy_segment_keys(llm_audit.ledger_segment, text) IS
	'destroys the data keys of a segment; part of destroy_purged_keys() and destroy_keys_left()';
REVOKE EXECUTE ON FUNCTION llm_audit.destroy_segment_keys(llm_audit.ledger_segment, text)
	FROM PUBLIC;

CREATE FUNCTION llm_audit.destroy_keys_left(reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM llm_audit.require_reason(reason, 'purge');
	IF NOT EXISTS (SELECT FROM llm_audit.keys_left()) THEN
		RETURN;
	END IF;
	PERFORM llm_audit.require_committed_purge();
	PERFORM llm_audit.destroy_segment_keys(s, reason)
		FROM llm_audit.keys_left() k
		JOIN llm_audit.ledger_segment s USING (ledger_id, segment);
END
$$;
COMMENT ON FUNCTION llm_audit.destroy_keys_left(text) IS
	'destroys the data keys of purged segments whose tables have been dropped; raises 25001 in a transaction that has changed anything; part of run_purge() and run_maintenance()';
REVOKE EXECUTE ON FUNCTION llm_audit.destroy_keys_left(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.destroy_keys_left(text) TO llm_audit_admin;

CREATE FUNCTION llm_audit.purged_segment(tried text[]) RETURNS regclass
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT llm_audit.leaf_of(s) FROM llm_audit.ledger_segment s
	WHERE s.state = 'purged' AND llm_audit.leaf_of(s) IS NOT NULL
		AND llm_audit.leaf_of(s)::oid::text <> ALL (tried)
	ORDER BY s.ledger_id, s.segment LIMIT 1
$$;
COMMENT ON FUNCTION llm_audit.purged_segment(text[]) IS
	'a purged segment whose empty table is still there, but for those with these OIDs; NULL: there is none';
REVOKE EXECUTE ON FUNCTION llm_audit.purged_segment(text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.purged_segment(text[]) TO llm_audit_admin;

-- Who has changed the registry must not have evidence dropped by us.
CREATE FUNCTION llm_audit.claim_purged(leaf regclass, reason text)
	RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	filled boolean;
BEGIN
	PERFORM llm_audit.require_reason(reason, 'purge');
	IF NOT EXISTS (SELECT FROM llm_audit.segment_of(leaf) x WHERE x.state = 'purged') THEN
		RAISE EXCEPTION '"%" is not the table of a purged segment', leaf
			USING ERRCODE = 'wrong_object_type';
	ELSIF NOT llm_audit.lock_purged(leaf) THEN
		RAISE WARNING 'the empty table of purged segment "%" is in use and stays for now', leaf;
		RETURN false;
	END IF;
	EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s)', leaf) INTO filled;
	IF filled THEN
		RAISE WARNING 'segment "%" is registered as purged, but has rows: it stays', leaf
			USING HINT = 'Run llm_audit.verify().';
	END IF;
	RETURN NOT filled;
END
$$;
COMMENT ON FUNCTION llm_audit.claim_purged(regclass, text) IS
	'locks the empty table of a purged segment; false, with a warning, if it is in use or not empty; raises 42809 for other tables and 22023 without a reason; part of drop_purged_segment()';
REVOKE EXECUTE ON FUNCTION llm_audit.claim_purged(regclass, text) FROM PUBLIC;

-- Its rows are gone already.  In a transaction of its own, since it takes
-- effect at once, whatever becomes of the transaction.
CREATE FUNCTION llm_audit.destroy_purged_keys(leaf regclass, reason text)
	RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	s llm_audit.ledger_segment;
BEGIN
	SELECT * INTO s FROM llm_audit.segment_of(leaf);
	IF NOT llm_audit.may_have_keys() THEN
		RETURN false;
	ELSIF NOT EXISTS (SELECT FROM llm_audit.data_keys() k
		WHERE k.ledger_id = s.ledger_id AND k.segment = s.segment AND k.state <> 'destroyed')
	THEN
		RETURN false;
	END IF;
	PERFORM llm_audit.require_committed_purge();
	IF NOT llm_audit.claim_purged(leaf, reason) THEN
		RETURN false;
	END IF;
	PERFORM llm_audit.destroy_segment_keys(s, reason);
	RETURN true;
END
$$;
COMMENT ON FUNCTION llm_audit.destroy_purged_keys(regclass, text) IS
	'destroys the data keys of a purged segment; true if there were any; raises 25001 in a transaction that has changed anything; part of run_purge() and run_maintenance()';
REVOKE EXECUTE ON FUNCTION llm_audit.destroy_purged_keys(regclass, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.destroy_purged_keys(regclass, text) TO llm_audit_admin;

CREATE FUNCTION llm_audit.drop_purged_segment(leaf regclass, reason text)
	RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	-- waiting for verify with the table locked would stop its readers, and verify
	RETURN llm_audit.lock_readers() AND llm_audit.claim_purged(leaf, reason)
		AND llm_audit.drop_purged(leaf);
END
$$;
COMMENT ON FUNCTION llm_audit.drop_purged_segment(regclass, text) IS
	'drops the empty table of a purged segment; false if it is in use or not empty, and stays for now; part of run_purge() and run_maintenance()';
REVOKE EXECUTE ON FUNCTION llm_audit.drop_purged_segment(regclass, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.drop_purged_segment(regclass, text) TO llm_audit_admin;

-- Commits after each batch: whoever places a hold, verifies or reads waits no
-- longer than for one.  No SET clause, since it could not commit then.
-- Deleting takes a processor for itself; writers have theirs most of the time.
CREATE FUNCTION llm_audit.pause_purge(began timestamptz) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT pg_sleep(least(extract(epoch FROM clock_timestamp() - began)
			* (100 - load) / load, 60))
	FROM CAST(current_setting('llm_audit.purge_load') AS int) AS load
$$;
COMMENT ON FUNCTION llm_audit.pause_purge(timestamptz) IS
	'sleeps for so long that a batch which began then took llm_audit.purge_load percent of the time, a minute at most; part of run_purge() and run_maintenance()';
REVOKE EXECUTE ON FUNCTION llm_audit.pause_purge(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.pause_purge(timestamptz) TO llm_audit_admin;

CREATE PROCEDURE llm_audit.run_purge(reason text, target regclass DEFAULT NULL,
		batch bigint DEFAULT 200000)
LANGUAGE plpgsql
AS $$
DECLARE
	leaf pg_catalog.regclass;
	leaves pg_catalog.regclass[];
	tried pg_catalog.text[] := '{}';
	gone pg_catalog.int8;
	total pg_catalog.int8 := 0;
	failures pg_catalog.int4 := 0;
	began pg_catalog.timestamptz;
BEGIN
	PERFORM llm_audit.require_reason(reason, 'purge');
	SELECT pg_catalog.array_agg(e.leaf) INTO leaves FROM llm_audit.ended_segments(target) e;
	FOREACH leaf IN ARRAY coalesce(leaves, '{}') LOOP
		LOOP
			gone := NULL;
			began := pg_catalog.clock_timestamp();
			BEGIN
				SELECT pg_catalog.sum(p.row_count) FILTER (WHERE p.action OPERATOR(pg_catalog.=) 'delete') INTO gone
					FROM llm_audit.purge(leaf, false, reason, batch) p;
			EXCEPTION WHEN OTHERS THEN
				failures := failures OPERATOR(pg_catalog.+) 1;
				PERFORM llm_audit.record_failed_purge(leaf, SQLERRM);
			END;
			COMMIT;
			EXIT WHEN gone IS NULL;
			total := total OPERATOR(pg_catalog.+) gone;
			RAISE NOTICE '% rows of % have gone, % in all', gone, leaf, total;
			PERFORM llm_audit.pause_purge(began);
			COMMIT;
		END LOOP;
	END LOOP;
	LOOP
		leaf := llm_audit.purged_segment(tried);
		EXIT WHEN leaf IS NULL;
		tried := pg_catalog.array_append(tried, leaf::pg_catalog.oid::pg_catalog.text);
		BEGIN
			PERFORM llm_audit.destroy_purged_keys(leaf, reason);
		EXCEPTION WHEN active_sql_transaction THEN
			RAISE;
		WHEN OTHERS THEN
			failures := failures OPERATOR(pg_catalog.+) 1;
			PERFORM llm_audit.record_failed_purge(leaf, SQLERRM);
			leaf := NULL;
		END;
		COMMIT;
		CONTINUE WHEN leaf IS NULL;
		BEGIN
			PERFORM llm_audit.drop_purged_segment(leaf, reason);
		EXCEPTION WHEN OTHERS THEN
			failures := failures OPERATOR(pg_catalog.+) 1;
			PERFORM llm_audit.record_failed_purge(leaf, SQLERRM);
		END;
		COMMIT;
	END LOOP;
	PERFORM llm_audit.destroy_keys_left(reason);
	IF failures OPERATOR(pg_catalog.>) 0 THEN
		COMMIT;
		RAISE EXCEPTION 'purging failed in % cases', failures
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'All else was done. The warnings say what failed and why, and so do admin events purge.failed.';
	END IF;
END
$$;
COMMENT ON PROCEDURE llm_audit.run_purge(text, regclass, bigint) IS
	'purges all that purge() would, in batches of so many rows that are committed one by one, with pauses between them (llm_audit.purge_load), then drops the tables of purged segments; a segment that fails is recorded and stops no other; raises 55000 in the end if one did; can be stopped and called again; for llm_audit_admin';
REVOKE EXECUTE ON PROCEDURE llm_audit.run_purge(text, regclass, bigint) FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE llm_audit.run_purge(text, regclass, bigint) TO llm_audit_admin;
