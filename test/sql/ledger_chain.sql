-- What the trigger stamps, what a writer may not supply, how rows follow each
-- other.
\set VERBOSITY terse
\set origin :DBNAME
CREATE DATABASE ledger_chain TEMPLATE template0 ENCODING 'UTF8';
\c ledger_chain
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();
CREATE TABLE entry (a int, b text);
SELECT llm_audit.create_ledger('entry', retention => '1 month 10 days');

-- try(SQL): what comes of a statement
CREATE FUNCTION try(statement text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	counted bigint;
BEGIN
	EXECUTE statement;
	GET DIAGNOSTICS counted = ROW_COUNT;
	RETURN counted || ' rows';
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
	RETURN SQLSTATE || ' ' || message || coalesce(' / ' || nullif(detail, ''), '');
END
$$;
-- faults(TABLE): rows that do not follow the one before them in their lane,
-- by the chain columns and by the genesis hash; some are hashed again
CREATE FUNCTION faults(ledger regclass) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
	result bigint;
BEGIN
	EXECUTE format($q$
		SELECT count(*) FROM (
			SELECT r.*, row_number() OVER lane AS place, lag(row_hash) OVER lane AS before,
				sha256('LAG1'::bytea || uuid_send(s.ledger_id) || int4send(s.segment)
					|| int4send(r.chain_lane)) AS genesis
			FROM %s r JOIN pg_class c ON c.oid = r.tableoid
			JOIN llm_audit.ledger_segment s ON s.relation_name = c.relname
				AND s.schema_name = c.relnamespace::regnamespace::name
			WINDOW lane AS (PARTITION BY r.tableoid, r.chain_lane ORDER BY r.chain_seq)) x
		WHERE chain_seq <> place
			OR prev_hash IS DISTINCT FROM CASE WHEN place = 1 THEN genesis ELSE before END
			OR length(row_hash) <> 32
			OR CASE WHEN chain_seq %% 40 = 1
				THEN row_hash <> sha256(llm_audit.row_preimage(%L, id)) END
		$q$, ledger, ledger) INTO result;
	RETURN result;
END
$$;

-- stamped columns
INSERT INTO entry (a) VALUES (1), (2);
INSERT INTO entry (id, a) VALUES ('00000000-0000-4000-8000-000000000003', 3), (NULL, 4);
SELECT a, substr(id::text, 15, 1) AS version, recorded_by = session_user AS by_me,
		recorded_at BETWEEN clock_timestamp() - interval '1 minute' AND clock_timestamp() AS now,
		chain_seq, length(prev_hash) AS prev, length(row_hash) AS hash, salt, erased
	FROM entry ORDER BY a;
SELECT count(*), faults('entry') FROM entry;
-- ids are in the order of the rows
SELECT bool_and(id > before) FROM (SELECT id, lag(id) OVER (ORDER BY chain_seq) AS before
	FROM entry WHERE a <> 3) x WHERE before IS NOT NULL;
-- by whom: the session's user, whoever the current one is
CREATE ROLE chain_writer;
GRANT llm_audit_writer TO chain_writer;
SET ROLE chain_writer;
INSERT INTO entry (a) VALUES (5);
SELECT * FROM entry;
UPDATE entry SET a = 6;
DELETE FROM entry;
RESET ROLE;
SET SESSION AUTHORIZATION chain_writer;
INSERT INTO entry (a) VALUES (6);
RESET SESSION AUTHORIZATION;
SELECT a, recorded_by = session_user AS by_me, recorded_by = 'chain_writer' AS by_writer
	FROM entry WHERE a IN (5, 6) ORDER BY a;
-- The end of retention is counted in UTC: in this zone, 10 days over the
-- change of the clocks in spring are an hour shorter.
SET TIME ZONE 'America/New_York';
INSERT INTO entry (a) VALUES (7);
SET TIME ZONE 'Asia/Almaty';
INSERT INTO entry (a) VALUES (8);
RESET TIME ZONE;
SELECT a, (retain_until AT TIME ZONE 'UTC') =
		(recorded_at AT TIME ZONE 'UTC') + interval '1 month 10 days' AS in_utc
	FROM entry ORDER BY a;

-- Columns that only the trigger sets, as writer and as superuser
CREATE TABLE supplied (column_name name, value text);
INSERT INTO supplied VALUES ('recorded_by', $$'me'$$), ('retain_until', 'now()'),
	('chain_lane', '0'), ('chain_seq', '9'), ('prev_hash', $$'\x00'$$),
	('row_hash', $$'\x00'$$), ('salt', $$'\x00'$$), ('erased', $$'\x00'$$),
	('recorded_at', 'now()'), ('recorded_at', 'clock_timestamp()'),
	('recorded_at', $$'infinity'$$), ('recorded_at', $$'2020-01-01'$$), ('recorded_at', 'NULL');
SELECT column_name, value, try(format('INSERT INTO entry (a, %I) VALUES (9, %s)', column_name, value))
	FROM supplied;
SELECT column_name, try(format('INSERT INTO entry (a, %I) VALUES (9, NULL)', column_name))
	FROM supplied WHERE column_name NOT IN ('recorded_at') ORDER BY 1;
SELECT count(*) AS supplied FROM entry WHERE a = 9;
SET SESSION AUTHORIZATION chain_writer;
INSERT INTO entry (a, chain_seq) VALUES (10, 1);
INSERT INTO entry (a, recorded_at) VALUES (10, now());
COPY entry (a, recorded_by) FROM stdin;
10	somebody
\.
RESET SESSION AUTHORIZATION;
-- Restore mode is for superusers: where the database has it on, it lets nobody
-- else supply them.
BEGIN;
SET LOCAL llm_audit.restore = on;
SET SESSION AUTHORIZATION chain_writer;
INSERT INTO entry (a, chain_seq) VALUES (10, 1);
ROLLBACK;
BEGIN;
SET LOCAL llm_audit.restore = on;
SET SESSION AUTHORIZATION chain_writer;
INSERT INTO entry (id, recorded_at, recorded_by, chain_lane, chain_seq, prev_hash, row_hash, a)
	VALUES (llm_audit.uuid7(), '2020-01-01', 'postgres', 900, 1, sha256(''), sha256(''), 10);
ROLLBACK;
BEGIN;
SET LOCAL llm_audit.restore = on;
SET SESSION AUTHORIZATION chain_writer;
INSERT INTO entry (a) VALUES (12);
RESET SESSION AUTHORIZATION;
SELECT recorded_by, length(row_hash), chain_seq > 0 AS chained FROM entry WHERE a = 12;
ROLLBACK;
-- A time that llm_audit.now() gave in this transaction passes; one from
-- before it, or from another transaction, does not.
BEGIN;
SELECT llm_audit.now() AS issued \gset
INSERT INTO entry (a, recorded_at) VALUES (11, :'issued');
SELECT try(format('INSERT INTO entry (a, recorded_at) VALUES (12, %L)',
	:'issued'::timestamptz - interval '1 microsecond'));
SELECT pg_sleep(0.01);
SELECT llm_audit.now() AS later \gset
SELECT try(format('INSERT INTO entry (a, recorded_at) VALUES (13, %L)',
	:'later'::timestamptz - interval '1 millisecond'));
INSERT INTO entry (a, recorded_at) VALUES (14, :'later'), (14, :'issued');
COMMIT;
-- Many that are taken before the first row is inserted come back in any order.
BEGIN;
INSERT INTO entry (a, recorded_at)
	SELECT * FROM (SELECT 15 - i % 2, llm_audit.now() FROM generate_series(1, 1000) AS i OFFSET 0) AS taken
	ORDER BY 1, 2 DESC;
ROLLBACK;
INSERT INTO entry (a, recorded_at) VALUES (12, :'issued');
SELECT count(*) FROM entry WHERE a IN (11, 12);

-- What is missing is named, and nothing of the row is quoted.
CREATE TABLE strict (a int NOT NULL, b text, c int GENERATED ALWAYS AS (a * 2) STORED NOT NULL);
SELECT llm_audit.create_ledger('strict');
SELECT try('INSERT INTO strict (b) VALUES (''secret'')');
INSERT INTO strict (a, b) VALUES (1, 'x');
SELECT a, b, c, chain_seq FROM strict;

-- One statement, many rows; COPY; INSERT ... SELECT from the ledger itself
INSERT INTO entry (a, b) SELECT i, repeat('x', 3000 * (i % 3)) FROM generate_series(101, 400) i;
COPY entry (a, b) FROM stdin;
501	one
502	two
\.
INSERT INTO entry (a, b) SELECT a + 1000, b FROM entry WHERE a > 100;
WITH stored AS (INSERT INTO entry (a) VALUES (601), (602) RETURNING a, chain_seq, row_hash)
	SELECT a, length(row_hash), chain_seq = max(chain_seq) OVER () AS last FROM stored;
SELECT count(*), faults('entry') FROM entry;
-- Many short columns: what is stored out of line are never the hashes.
DO $$
BEGIN
	EXECUTE 'CREATE TABLE wide (' || (SELECT string_agg(format('c%s text', i), ', ')
		FROM generate_series(1, 90) i) || ')';
	PERFORM llm_audit.create_ledger('wide');
	EXECUTE 'INSERT INTO wide SELECT ' || (SELECT string_agg(format('substr(md5(%L), 1, 30)', i), ', ')
		FROM generate_series(1, 90) i) || ' ON CONFLICT DO NOTHING';
END
$$;
SELECT attname, attstorage FROM pg_attribute WHERE attrelid = 'wide'::regclass
	AND attname IN ('prev_hash', 'row_hash') ORDER BY 1;
SELECT count(*) FROM pg_attribute a JOIN pg_partition_tree('llm_audit.llm_call') t ON t.relid = a.attrelid
	WHERE attname IN ('prev_hash', 'row_hash') AND attstorage <> 'p';
SELECT count(*), faults('wide'), min(pg_column_size(row_hash)) AS in_line FROM wide;

-- A partitioned ledger: every segment has chains of its own; an environment
-- that is not known, or missing, has none.
INSERT INTO llm_audit.settlement (environment, kind, amount, currency)
	SELECT e, 'charge', i, 'KZT' FROM unnest('{prod,test,pilot}'::text[]) e, generate_series(1, 5) i;
SELECT tableoid::regclass::text LIKE 'llm_audit.settlement\_' || environment || '\_20%' AS leaf,
		environment, count(*), min(chain_seq), max(chain_seq)
	FROM llm_audit.settlement GROUP BY 1, 2 ORDER BY 2;
SELECT faults('llm_audit.settlement');
SELECT try('INSERT INTO llm_audit.settlement (environment, kind, amount, currency)
	VALUES (''moon'', ''charge'', 1, ''KZT'')');
SELECT try('INSERT INTO llm_audit.settlement (kind, amount, currency) VALUES (''charge'', 1, ''KZT'')');
-- A leaf that the registry does not know takes nothing, nor does a ledger
-- whose columns it does not know.
CREATE TABLE stray (LIKE entry INCLUDING ALL);
CREATE TRIGGER llm_audit_insert BEFORE INSERT ON stray FOR EACH ROW EXECUTE FUNCTION llm_audit.ledger_insert();
SELECT try('INSERT INTO stray (a) VALUES (1)');
DROP TABLE stray;
BEGIN;
DELETE FROM llm_audit.ledger_column WHERE column_name = 'b'
	AND ledger_id = (SELECT ledger_id FROM llm_audit.ledger WHERE relation_name = 'entry');
SELECT try('INSERT INTO entry (a) VALUES (1)');
ROLLBACK;
INSERT INTO entry (a) VALUES (13);

-- New columns are numbered in the session that adds them and in others; with
-- a default they would show what was never hashed.
SELECT left(try('ALTER TABLE entry ADD COLUMN d int DEFAULT 5'), 5) AS refused;
ALTER TABLE entry ADD COLUMN c date;
INSERT INTO entry (a, c) VALUES (14, '2026-01-01');
ALTER TABLE llm_audit.settlement ADD COLUMN note text;
INSERT INTO llm_audit.settlement (environment, kind, amount, currency, note) VALUES ('test', 'charge', 1, 'KZT', 'n');
SELECT l.relation_name, k.column_name,
		k.column_number = max(k.column_number) OVER (PARTITION BY k.ledger_id) AS last
	FROM llm_audit.ledger_column k JOIN llm_audit.ledger l USING (ledger_id)
	WHERE (l.relation_name, k.column_name) IN (('entry', 'c'), ('settlement', 'note')) ORDER BY 1;
SELECT left(try('ALTER TABLE entry ADD COLUMN p point'), 5) AS refused;
SELECT faults('entry'), faults('llm_audit.settlement');

\c :origin
DROP DATABASE ledger_chain WITH (FORCE);
DROP ROLE chain_writer;
