-- Purging: what goes row by row and what waits, why, and what nobody can have
-- go by changing the registry or the rows.  By the clock: test/t/050_purge.pl.
\set VERBOSITY terse
\set origin :DBNAME
CREATE DATABASE purge TEMPLATE template0 ENCODING 'UTF8';
\c purge
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();

-- a ledger whose rows expire at once, and the end of its segment
CREATE FUNCTION make(name name) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %I (environment text, n int, organization_id text, request_id text, data_class text) PARTITION BY LIST (environment)', name);
	PERFORM llm_audit.create_ledger(name::text::regclass, retention => '1 microsecond');
	PERFORM llm_audit.set_field_policy(name::text::regclass, 'data_class', 'keep', reason => 'test');
END
$$;
CREATE FUNCTION add(name regclass, first int, last int, class text DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO %s (environment, n, organization_id, request_id, data_class)
		SELECT ''prod'', i, ''o'' || i %% 2, ''r'' || i, $1 FROM generate_series($2, $3) i', name) USING class, first, last;
END
$$;
CREATE FUNCTION leaf(name regclass) RETURNS regclass LANGUAGE plpgsql AS $$
DECLARE
	leaf regclass;
BEGIN
	EXECUTE format('SELECT DISTINCT tableoid::regclass FROM %s', name) INTO leaf;
	RETURN leaf;
END
$$;
CREATE FUNCTION finish(name regclass) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	UPDATE llm_audit.ledger_segment SET lower = now() - interval '9 hours', upper = now() - interval '2 hours'
		WHERE relation_name = leaf(name)::text;
	RETURN llm_audit.close_segment(leaf(name));
END
$$;
CREATE FUNCTION purged(name regclass, dry_run boolean DEFAULT false, max_rows bigint DEFAULT NULL)
	RETURNS TABLE (action text, row_count bigint, why_not text) LANGUAGE sql AS $$
	SELECT p.action, p.row_count, regexp_replace(p.why_not, '\d{4}-\d\d-\d\d \d\d:\d\d', 'some day')
		FROM llm_audit.purge(name, dry_run, 'test', max_rows) p ORDER BY 1, 2
$$;

-- Row by row: nothing before the segment has ended, then what has expired.
SELECT make('by_row');
SELECT llm_audit.set_retention('by_row', NULL, NULL, '1 microsecond', purge_unit => 'row');
SELECT llm_audit.set_retention('by_row', NULL, 'internal', '11 months', purge_unit => 'row');
SELECT add('by_row', 1, 3, 'public'), add('by_row', 4, 5, 'internal'), add('by_row', 6, 6);
SELECT * FROM purged('by_row', true);
SELECT * FROM purged('by_row');
CALL llm_audit.run_purge('test', 'by_row');
SELECT count(*) FROM by_row;
SELECT finish('by_row');
SELECT * FROM purged('by_row', true);
SELECT * FROM purged('by_row', true, 3);
SELECT * FROM purged('by_row', false, 3);
SELECT string_agg(n::text, ' ' ORDER BY n) FROM by_row;
SELECT llm_audit.set_retention('by_row', NULL, 'internal', '2 years', mode => 'compliance');
SELECT * FROM purged('by_row');
SELECT * FROM purged('by_row', true);
SELECT string_agg(n::text, ' ' ORDER BY n) FROM by_row;

-- Whole segments: they wait for their last row, but not for more than a year.
SELECT make('whole');
SELECT llm_audit.set_retention('whole', NULL, 'internal', '11 months');
SELECT add('whole', 1, 3, 'public'), add('whole', 4, 5, 'internal'), finish('whole');
SELECT * FROM purged('whole');
SELECT llm_audit.set_retention('whole', NULL, 'internal', '13 months');
SELECT * FROM purged('whole', true);
SELECT llm_audit.set_retention('whole', NULL, 'internal', NULL, mode => 'compliance');
SELECT * FROM purged('whole', true);
SELECT * FROM purged('whole');
SELECT * FROM purged('whole');

-- Where they have to stay, it says by which mode.
SELECT make('ever'), make('later');
SELECT add('ever', 1, 3), add('later', 1, 3);
SELECT finish('ever'), finish('later');
SELECT llm_audit.set_retention('ever', NULL, NULL, NULL, mode => 'compliance');
SELECT llm_audit.set_retention('later', NULL, NULL, '1 year', mode => 'compliance');
SELECT t, p.* FROM unnest('{ever,later}'::regclass[]) t CROSS JOIN LATERAL purged(t) p;

-- So many at most: of those that can go, in all segments together; what goes
-- as a whole after that does not.
SELECT make('few');
SELECT llm_audit.set_retention('few', NULL, 'internal', '11 months', purge_unit => 'row');
SELECT add('few', 1, 8, 'public'), add('few', 9, 9, 'internal');
INSERT INTO few SELECT 'pilot', i, 'o1', 'r' || i, 'public' FROM generate_series(11, 14) i;
INSERT INTO few SELECT 'pilot', i, 'o1', 'r' || i, 'internal' FROM generate_series(15, 15) i;
INSERT INTO few SELECT 'test', i, 'o1', 'r' || i, 'public' FROM generate_series(21, 24) i;
UPDATE llm_audit.ledger_segment s SET lower = now() - interval '9 hours', upper = now() - interval '2 hours'
	FROM (SELECT DISTINCT tableoid::regclass::text AS leaf FROM few) f WHERE s.relation_name = f.leaf;
SELECT count(*) FILTER (WHERE llm_audit.close_segment(f.leaf)) AS closed FROM (SELECT DISTINCT tableoid::regclass AS leaf FROM few) f;
SELECT llm_audit.place_hold('FEW', 'test', '{"ledger": "few", "request_ids": ["r2", "r3", "r6"]}') AS hold \gset
CREATE FUNCTION took(max_rows bigint, dry_run boolean DEFAULT false) RETURNS TABLE (environment text, action text, row_count bigint, why_not text) LANGUAGE sql AS $$
	SELECT s.environment, p.action, p.row_count, p.why_not FROM llm_audit.purge('few', dry_run, 'test', max_rows) p
		JOIN llm_audit.ledger l ON l.relation_name = 'few' JOIN llm_audit.ledger_segment s ON s.ledger_id = l.ledger_id AND s.segment = p.segment
		ORDER BY s.segment, 2, 3
$$;
SELECT * FROM took(3, true);
SELECT * FROM took(3);
SELECT string_agg(n::text, ' ' ORDER BY n) FROM few;
SELECT * FROM took(4);
SELECT string_agg(n::text, ' ' ORDER BY n) FROM few;
SELECT * FROM took(100);
SELECT string_agg(n::text, ' ' ORDER BY n) FROM few;
SELECT r.environment, r.first_seqs, r.last_seqs, r.row_count FROM llm_audit.purge_receipt r WHERE r.ledger = 'public.few' ORDER BY r.recorded_at, r.chain_seq;
SELECT seq, finding FROM llm_audit.verify('few') WHERE finding NOT IN ('row_inserted', 'catalog_drift') ORDER BY 1, 2;
SELECT llm_audit.release_hold(:'hold', 'test');

-- Nor for what was stamped when the policy was another one.
SELECT make('stamped'), make('stamped_less');
SELECT llm_audit.set_retention('stamped', NULL, 'personal', NULL);
SELECT llm_audit.set_retention('stamped_less', NULL, 'personal', '300 days');
SELECT add(t, 1, 5, 'public'), add(t, 6, 6, 'personal') FROM unnest('{stamped,stamped_less}'::regclass[]) t;
SELECT llm_audit.set_retention(t, NULL, 'personal', '1 microsecond', bypass => true, reason => 'test') FROM unnest('{stamped,stamped_less}'::regclass[]) t;
SELECT finish('stamped'), finish('stamped_less');
SELECT t, p.* FROM unnest('{stamped,stamped_less}'::regclass[]) t CROSS JOIN LATERAL purged(t) p;
SELECT n FROM stamped;

-- A table that never ends goes on from its last row, and from the first.
CREATE TABLE endless (n int, organization_id text, request_id text);
SELECT llm_audit.create_ledger('endless', retention => '1 microsecond');
INSERT INTO endless SELECT i, 'o' || i % 2, 'r' || i FROM generate_series(1, 6) i;
SELECT llm_audit.place_hold('FIRST', 'test', '{"ledger": "endless", "request_ids": ["r1"]}') AS hold \gset
SELECT * FROM purged('endless');
SELECT llm_audit.release_hold(:'hold', 'test');
SELECT llm_audit.place_hold('MIDDLE', 'test', '{"ledger": "endless", "organization_id": "o1"}') AS hold \gset
SELECT * FROM purged('endless');
SELECT llm_audit.release_hold(:'hold', 'test');
CREATE INDEX ON endless (organization_id);
SELECT llm_audit.place_hold('INDEXED', 'test', '{"ledger": "endless", "organization_id": "o2"}') AS hold \gset
SELECT * FROM purged('endless', false, 1);
SELECT * FROM purged('endless');
INSERT INTO endless VALUES (7);
SELECT * FROM purged('endless');
SELECT string_agg(n::text, ' ' ORDER BY n) FROM endless;

-- Who takes a held row by force is found out after the purge too.
SELECT make('forced'), make('unforced');
SELECT add('forced', 1, 5), add('unforced', 1, 5), finish('forced'), finish('unforced');
SELECT llm_audit.place_hold('FORCE', 'test', '{"request_ids": ["r3"]}') AS hold \gset
SET allow_system_table_mods = on;
BEGIN;
UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = leaf('forced');
UPDATE pg_class SET reltuples = reltuples WHERE oid = leaf('forced');
DO $$BEGIN EXECUTE 'DELETE FROM ' || leaf('forced') || ' WHERE n = 3'; END$$;
UPDATE pg_trigger SET tgenabled = 'A' WHERE tgrelid = leaf('forced');
UPDATE pg_class SET reltuples = reltuples WHERE oid = leaf('forced');
COMMIT;
-- the bounds that finish() has moved are found too
SELECT seq, finding FROM llm_audit.verify('forced') WHERE finding NOT IN ('row_inserted', 'catalog_drift') ORDER BY 1, 2;
SELECT * FROM purged('forced');
SELECT seq, finding, detail FROM llm_audit.verify('forced') WHERE finding NOT IN ('row_inserted', 'catalog_drift') ORDER BY 1, 2;
SELECT llm_audit.release_hold(:'hold', 'test');
SELECT llm_audit.place_hold('OTHER', 'test', '{"request_ids": ["r9"]}') AS hold \gset
SELECT * FROM purged('unforced');
SELECT u.first, u.last FROM llm_audit.purge_receipt r CROSS JOIN LATERAL unnest(first_seqs, last_seqs) AS u (first, last)
	WHERE r.ledger = 'public.unforced';
SELECT seq, finding FROM llm_audit.verify('unforced') WHERE finding NOT IN ('row_inserted', 'catalog_drift') ORDER BY 1, 2;

-- A held row that is altered, lest the hold find it, is not purged away: not in
-- a segment that would go as a whole, nor row by row.
SELECT make('altered'), make('altered_rows');
SELECT llm_audit.set_retention('altered_rows', NULL, 'internal', '1 year', purge_unit => 'row');
SELECT add('altered', 1, 5), add('altered_rows', 1, 5, 'public'), add('altered_rows', 6, 6, 'internal'), finish('altered'), finish('altered_rows');
SELECT llm_audit.place_hold('ALTERED', 'test', '{"request_ids": ["r4"]}') AS altered_hold \gset
BEGIN;
UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid IN (leaf('altered'), leaf('altered_rows'));
UPDATE pg_class SET reltuples = reltuples WHERE oid IN (leaf('altered'), leaf('altered_rows'));
DO $$BEGIN
	EXECUTE 'UPDATE ' || leaf('altered') || ' SET request_id = ''x'' WHERE n = 4';
	EXECUTE 'UPDATE ' || leaf('altered_rows') || ' SET request_id = ''x'' WHERE n = 4';
END$$;
UPDATE pg_trigger SET tgenabled = 'A' WHERE tgrelid IN (leaf('altered'), leaf('altered_rows'));
UPDATE pg_class SET reltuples = reltuples WHERE oid IN (leaf('altered'), leaf('altered_rows'));
COMMIT;
SET client_min_messages = error;
SELECT p.action, p.why_not FROM unnest('{altered,altered_rows}'::regclass[]) t CROSS JOIN LATERAL llm_audit.purge(t, false, 'test') p;
SELECT (SELECT count(*) FROM altered) AS altered, (SELECT count(*) FROM altered_rows) AS altered_rows,
	(SELECT count(*) FROM llm_audit.admin_event WHERE action = 'purge.failed' AND target_id LIKE 'public.altered%') AS events;
SET client_min_messages = warning;
SELECT t, seq, finding FROM unnest('{altered,altered_rows}'::regclass[]) t CROSS JOIN LATERAL llm_audit.verify(t)
	WHERE finding NOT IN ('row_inserted', 'catalog_drift') ORDER BY 1, 2, 3;
SELECT llm_audit.release_hold(:'altered_hold', 'test');

-- The registry cannot be told that a segment is under another policy.
SELECT make('strict'), make('free');
SELECT llm_audit.set_retention('strict', 'prod', NULL, '7 years', mode => 'compliance');
SELECT add('strict', 1, 3), add('free', 1, 3), finish('free');
SELECT llm_audit.set_retention('free', 'prod', NULL, '7 years');
UPDATE llm_audit.ledger_segment SET environment = 'test' WHERE relation_name = leaf('strict')::text;
UPDATE llm_audit.ledger_segment SET upper = '2000-02-01' WHERE relation_name = leaf('strict')::text;
UPDATE llm_audit.ledger_segment SET relation_name = 'x' || relation_name WHERE relation_name = leaf('strict')::text;
DELETE FROM llm_audit.ledger_segment WHERE relation_name = leaf('strict')::text;
TRUNCATE llm_audit.ledger_segment;
SET session_replication_role = replica;
UPDATE llm_audit.ledger_segment SET environment = 'test' WHERE relation_name = leaf('strict')::text;
RESET session_replication_role;
ALTER TABLE llm_audit.ledger_segment DISABLE TRIGGER llm_audit_compliance;
BEGIN;
UPDATE pg_trigger SET tgenabled = 'D' WHERE tgname = 'llm_audit_compliance' AND tgrelid = 'llm_audit.ledger_segment'::regclass;
SELECT finding, detail FROM llm_audit.verify('free') WHERE detail ~ 'trigger';
ROLLBACK;
BEGIN;
UPDATE llm_audit.ledger_segment SET environment = 'test' WHERE relation_name = leaf('free')::text;
SELECT * FROM purged('free');
ROLLBACK;
BEGIN;
UPDATE llm_audit.ledger_segment SET upper = '2000-02-01', lower = '2000-01-01' WHERE relation_name = leaf('free')::text;
SELECT * FROM purged('free');
ROLLBACK;
SELECT * FROM purged('free');
SELECT count(*) FROM strict;
\c :origin
DROP DATABASE purge WITH (FORCE);
