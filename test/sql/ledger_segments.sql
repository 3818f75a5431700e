-- Periods, making segments ahead and late, closing them, lanes.
\set VERBOSITY terse
\set origin :DBNAME
CREATE DATABASE ledger_segments TEMPLATE template0 ENCODING 'UTF8';
\c ledger_segments
SET client_min_messages = warning;
SET TIME ZONE 'UTC';
SET DateStyle = 'ISO';
SET IntervalStyle = 'postgres';
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();
CREATE FUNCTION try(statement text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	message text;
	result text;
BEGIN
	EXECUTE statement INTO result;
	RETURN coalesce(result, 'done');
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
	RETURN SQLSTATE || ' ' || regexp_replace(message, '_\d{8,10}', '_*', 'g');
END
$$;

-- the period that a time is in, whatever the session's zone and style
SELECT width, llm_audit.segment_start(at, width) AS lower, llm_audit.segment_end(at, width) AS upper
	FROM (VALUES (timestamptz '2026-03-29 01:30+00')) v (at),
		unnest('{1 hour,36 hours,1 day,7 days,90 days,1 month,3 months,1 year,10 years}'::interval[]) width;
SELECT width, llm_audit.segment_start(at, width) AS lower, llm_audit.segment_end(at, width) AS upper
	FROM (VALUES (timestamptz '1999-12-31 23:59:59.999999+00')) v (at),
		unnest('{36 hours,7 days,90 days,1 month,5 months,1 year}'::interval[]) width;
SET TIME ZONE 'America/New_York';
SET DateStyle = 'SQL, DMY';
SET IntervalStyle = 'iso_8601';
SELECT width, llm_audit.segment_start(at, width) AT TIME ZONE 'UTC' AS lower, llm_audit.segment_end(at, width) AT TIME ZONE 'UTC' AS upper
	FROM (VALUES (timestamptz '2026-03-29T01:30Z')) v (at),
		unnest('{36 hours,90 days,1 month,1 year}'::interval[]) width;
-- A ledger made in such a session has the same bounds.
CREATE TABLE styled (environment text, n int) PARTITION BY LIST (environment);
SELECT llm_audit.create_ledger('styled');
SET DateStyle = 'ISO';
SET IntervalStyle = 'postgres';
SET TIME ZONE 'UTC';
SELECT bool_and(pg_get_expr(c.relpartbound, c.oid) = format('FOR VALUES FROM (%L) TO (%L)', s.lower, s.upper)) AS bounds,
		bool_and(s.lower = date_trunc('month', s.lower)) AS months
	FROM llm_audit.ledger_segment s JOIN pg_class c ON c.relname = s.relation_name
	WHERE s.relation_name LIKE 'styled%' AND NOT s.is_default;
-- Periods follow each other without a gap.
SELECT width, bool_and(llm_audit.segment_start(llm_audit.segment_end(at, width), width)
		= llm_audit.segment_end(at, width)) AS follow,
		bool_and(llm_audit.segment_start(at, width) <= at AND llm_audit.segment_end(at, width) > at) AS contain
	FROM unnest('{1 hour,36 hours,7 days,90 days,1 month,7 months,1 year}'::interval[]) width,
		generate_series(timestamptz '1998-01-01', '2032-01-01', '11 days 7 hours') at
	GROUP BY width ORDER BY width;

-- What a ledger gets: numbers without gaps, three months ahead, an event each
SELECT l.relation_name, count(*) = max(segment) AS no_gaps,
		count(*) FILTER (WHERE is_default) AS defaults,
		min(s.upper) FILTER (WHERE NOT is_default) > now() AS from_now,
		max(s.upper) FILTER (WHERE NOT is_default) > now() + interval '3 months' AS ahead,
		count(*) = (SELECT count(*) FROM llm_audit.segment_event e
			WHERE e.ledger_id = l.ledger_id AND e.event = 'created') AS events
	FROM llm_audit.ledger_segment s JOIN llm_audit.ledger l USING (ledger_id)
	GROUP BY l.ledger_id, l.relation_name ORDER BY 1;
CALL llm_audit.make_segments();
SELECT count(*) FROM llm_audit.setup();
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM llm_audit.setup();
ROLLBACK;

-- Another width, from the next segment on, which ends where a period does
CREATE TABLE widths (environment text, n int) PARTITION BY LIST (environment);
SELECT llm_audit.create_ledger('widths');
SELECT try('SELECT llm_audit.set_segment_interval(''widths'', ''moon'', ''1 day'')');
SELECT try('SELECT llm_audit.set_segment_interval(''widths'', ''test'', ''1 month 1 hour'')');
SELECT try('SELECT llm_audit.set_segment_interval(''widths'', ''test'', NULL)');
SELECT try('SELECT llm_audit.set_segment_interval(''pg_class'', ''test'', ''1 day'')');
SELECT try('SELECT llm_audit.set_segment_interval(''widths_test'', ''test'', ''1 day'')');
SELECT llm_audit.set_segment_interval('widths', 'test', '36 hours');
SELECT llm_audit.set_segment_interval('widths', 'test', '10 days');
SELECT e."after" FROM llm_audit.admin_event e WHERE action = 'segment_interval.changed' ORDER BY occurred_at;
CALL llm_audit.make_segments('4 months');
SELECT environment, bool_and(lower = before) AS follow,
		count(*) FILTER (WHERE upper - lower <= interval '10 days') > 2 AS narrow,
		count(*) FILTER (WHERE upper - lower < interval '10 days') <= 1 AS first_may_be_shorter
	FROM (SELECT *, lag(upper) OVER (PARTITION BY environment ORDER BY segment) AS before FROM llm_audit.ledger_segment
		WHERE relation_name LIKE 'widths\_%' AND NOT is_default) s
	WHERE before IS NOT NULL GROUP BY 1 ORDER BY 1;
SELECT count(*) = max(segment) AS no_gaps FROM llm_audit.ledger_segment WHERE relation_name LIKE 'widths%';
SELECT * FROM llm_audit.verify('widths');

-- Maintenance slept: the last segment has ended, rows go to the default one
-- and stay there; the next begins with a whole day after now.
CREATE TABLE late (environment text, n int) PARTITION BY LIST (environment);
DO $$
DECLARE
	ledger uuid := llm_audit.enroll('late', 'plain', false, NULL, '{}', '1 month');
BEGIN
	PERFORM llm_audit.create_branch('late', 'late_test', 'test');
	PERFORM llm_audit.append_created(ledger, llm_audit.make_segment(ledger, 'test', NULL, NULL));
	PERFORM llm_audit.append_created(ledger, llm_audit.make_segment(ledger, 'test',
		date_trunc('hour', now() - interval '2 hours'), date_trunc('hour', now() - interval '1 hour')));
	PERFORM llm_audit.append_columns(ledger), llm_audit.append_definition(ledger);
END
$$;
INSERT INTO late SELECT 'test', generate_series(1, 5);
SELECT tableoid::regclass AS leaf, count(*) FROM late GROUP BY 1;
SET TIME ZONE 'America/New_York';
SELECT environment, from_time > clock_timestamp() + interval '10 minutes' AS later,
		from_time <= clock_timestamp() + interval '24 hours 10 minutes' AS soon,
		date_trunc('day', from_time, 'UTC') = from_time AS whole_day,
		llm_audit.segment_end(from_time, '1 month') = to_time AS to_month_end
	FROM llm_audit.due_segment('3 months') d
	JOIN llm_audit.ledger USING (ledger_id) WHERE relation_name = 'late' AND environment = 'test';
SET TIME ZONE 'UTC';
-- The other environments have no partition yet: their segments fail, this
-- one's are made, and other ledgers' too.
CREATE TABLE other (environment text, n int) PARTITION BY LIST (environment);
SELECT llm_audit.create_ledger('other');
CALL llm_audit.make_segments('5 months');
SELECT count(*) FILTER (WHERE relation_name ~ '^late_test') > 4 AS late,
		count(*) FILTER (WHERE relation_name ~ '^other_test_2') > 5 AS other
	FROM llm_audit.ledger_segment;
-- setup() completes them
SELECT object, action ~ 'segments made' AS made FROM llm_audit.setup();
CALL llm_audit.make_segments('5 months');
INSERT INTO late VALUES ('prod', 6), ('test', 7);
SELECT leaf, count(*) FROM late, regexp_replace(tableoid::regclass::text, '\d+', '*') AS leaf
	GROUP BY leaf ORDER BY leaf COLLATE "C";
SELECT * FROM llm_audit.verify('late');

-- A statement whose rows fall into two segments
CREATE TABLE quick (environment text, n int, data_class text DEFAULT 'of its own') PARTITION BY LIST (environment);
DO $$
DECLARE
	ledger uuid := llm_audit.enroll('quick', 'plain', false, '1 year', '{}', '1 month');
	stop timestamptz := clock_timestamp() + interval '1.5 seconds';
BEGIN
	PERFORM llm_audit.create_branch('quick', 'quick_test', 'test');
	PERFORM llm_audit.append_created(ledger, llm_audit.make_segment(ledger, 'test', stop - interval '1 hour', stop));
	PERFORM llm_audit.append_created(ledger, llm_audit.make_segment(ledger, 'test', stop, stop + interval '2 days'));
	PERFORM llm_audit.append_columns(ledger), llm_audit.append_definition(ledger);
END
$$;
INSERT INTO quick SELECT 'test', i FROM generate_series(1, 25) i WHERE pg_sleep(0.1) IS NOT NULL;
SELECT s.segment, count(*) > 0 AS rows, count(*) = max(q.chain_seq) AS no_gaps,
		bool_and(q.recorded_at >= s.lower AND q.recorded_at < s.upper) AS within
	FROM quick q JOIN pg_class c ON c.oid = q.tableoid
	JOIN llm_audit.ledger_segment s ON s.relation_name = c.relname GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM quick;
SELECT s.relation_name AS ended FROM llm_audit.ledger_segment s
	WHERE relation_name LIKE 'quick_test%' AND segment = 1 \gset
SELECT s.relation_name AS current FROM llm_audit.ledger_segment s
	WHERE relation_name LIKE 'quick_test%' AND segment = 2 \gset

-- Closing: what has ended, and long enough ago
SELECT try(format('SELECT llm_audit.close_segment(%L)', leaf)) FROM unnest(ARRAY[:'ended', :'current',
	'quick', 'quick_test', 'late_test_default', 'pg_class']) leaf;
SELECT try('SELECT llm_audit.close_segment(NULL)');
SET llm_audit.seal_grace = 0;
SELECT try(format('SELECT llm_audit.close_segment(%L)', :'current'));
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT try(format('SELECT llm_audit.close_segment(%L)', :'ended'));
ROLLBACK;
-- A prepared transaction has rows in it: closing waits no longer than it may.
BEGIN;
DO $$ BEGIN EXECUTE format('LOCK TABLE %I IN ROW EXCLUSIVE MODE', (SELECT relation_name
	FROM llm_audit.ledger_segment WHERE relation_name LIKE 'quick_test%' AND segment = 1)); END $$;
PREPARE TRANSACTION 'writer';
SELECT try(format('SELECT llm_audit.close_segment(%L)', :'ended'));
SET client_min_messages = error;
CALL llm_audit.close_segments();
SET client_min_messages = warning;
SHOW lock_timeout;
SELECT state FROM llm_audit.ledger_segment WHERE relation_name = :'ended';
ROLLBACK PREPARED 'writer';
BEGIN;
SELECT llm_audit.close_segment(:'ended');
SHOW lock_timeout;
SELECT llm_audit.close_segment(:'ended');
ROLLBACK;
CALL llm_audit.close_segments();
CALL llm_audit.close_segments();
SELECT llm_audit.close_segment(:'ended');
SELECT state, closed_at IS NOT NULL AS at FROM llm_audit.ledger_segment WHERE relation_name = :'ended';
SELECT e.row_count = q.rows AS row_count, e.max_retain_until = q.retained AS retained, e.data_classes, e.lanes = ARRAY[q.lane] AS lanes,
		e.first_seqs, e.last_seqs = ARRAY[q.last] AS last_seqs, e.last_hashes = ARRAY[q.hash] AS last_hashes,
		e.actor = session_user AS by_me
	FROM llm_audit.segment_event e, (SELECT count(*) AS rows, max(retain_until) AS retained, max(chain_seq) AS last, max(chain_lane) AS lane,
		(array_agg(row_hash ORDER BY chain_seq DESC))[1] AS hash FROM quick WHERE tableoid = :'ended'::regclass) q
	WHERE e.event = 'closed' AND e.leaf LIKE '%quick%';
RESET llm_audit.seal_grace;
INSERT INTO quick VALUES ('test', 26);
SELECT tableoid = :'current'::regclass AS in_current FROM quick WHERE n = 26;
SELECT * FROM llm_audit.verify('quick');
-- No row is recorded before the end of what is closed, even if the clock is.
SELECT relation_name AS month, upper AS month_end FROM llm_audit.ledger_segment
	WHERE relation_name LIKE 'styled_test\_2%' AND now() BETWEEN lower AND upper \gset
BEGIN;
UPDATE llm_audit.ledger_segment SET state = 'closed' WHERE relation_name = :'month';
SELECT llm_audit.now() = :'month_end' AS moved;
INSERT INTO styled VALUES ('test', 1) RETURNING recorded_at = :'month_end' AS at_end, tableoid = :'month'::regclass AS in_closed;
ROLLBACK;
SELECT llm_audit.now() <= clock_timestamp() AS moved_back;
-- A closed segment takes nothing.
CREATE TABLE plain (n int);
SELECT llm_audit.create_ledger('plain');
BEGIN;
UPDATE llm_audit.ledger_segment SET state = 'closed' WHERE relation_name = 'plain';
SELECT try('INSERT INTO plain VALUES (1)');
ROLLBACK;

-- Lanes: one for each open transaction, no more than the limit.  A session
-- begins with the first.
\c
SET client_min_messages = warning;
INSERT INTO plain VALUES (1);
BEGIN;
INSERT INTO plain VALUES (2);
PREPARE TRANSACTION 'lane0';
BEGIN;
INSERT INTO plain VALUES (3);
PREPARE TRANSACTION 'lane1';
SET llm_audit.max_lanes = 2;
SELECT try('INSERT INTO plain VALUES (4)');
SET llm_audit.max_lanes = 3;
INSERT INTO plain VALUES (5);
COMMIT PREPARED 'lane0';
SET llm_audit.max_lanes = 1;
INSERT INTO plain VALUES (6);
RESET llm_audit.max_lanes;
COMMIT PREPARED 'lane1';
SELECT n, chain_lane, chain_seq FROM plain ORDER BY n;

-- A new environment: every partitioned ledger has it.
SELECT llm_audit.add_environment('canary');
SELECT count(DISTINCT s.ledger_id) = (SELECT count(*) FROM llm_audit.ledger WHERE partitioned) AS everywhere,
		count(*) FILTER (WHERE is_default) = count(DISTINCT s.ledger_id) AS defaults
	FROM llm_audit.ledger_segment s WHERE environment = 'canary';
INSERT INTO other VALUES ('canary', 1);
SELECT action, target_id FROM llm_audit.admin_event WHERE action = 'environment.added';
SELECT * FROM llm_audit.verify();

\c :origin
DROP DATABASE ledger_segments WITH (FORCE);
