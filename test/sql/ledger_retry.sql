-- Retries: ON CONFLICT DO NOTHING drops rows after the trigger has given them
-- a place, which must go to the next row.
\set VERBOSITY terse
\set origin :DBNAME
CREATE DATABASE ledger_retry TEMPLATE template0 ENCODING 'UTF8';
\c ledger_retry
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();
CREATE TABLE entry (n int);
SELECT llm_audit.create_ledger('entry');

CREATE FUNCTION uuid_of(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS
	$$ SELECT md5(n::text)::uuid $$;
-- put(N...): one statement with these rows; how many were stored
CREATE FUNCTION put(VARIADIC ns int[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	stored bigint;
BEGIN
	INSERT INTO entry (id, n) SELECT uuid_of(x), x FROM unnest(ns) x ON CONFLICT DO NOTHING;
	GET DIAGNOSTICS stored = ROW_COUNT;
	RETURN stored;
END
$$;
-- the state of the chain: its rows, the gaps in it, and links that are wrong
CREATE VIEW chain AS
	SELECT count(*) AS rows, count(*) FILTER (WHERE chain_seq <> place) AS gaps,
		count(*) FILTER (WHERE before IS NOT NULL AND prev_hash <> before) AS broken
	FROM (SELECT *, row_number() OVER lane AS place, lag(row_hash) OVER lane AS before
		FROM entry WINDOW lane AS (PARTITION BY chain_lane ORDER BY chain_seq)) x;

SELECT put(1, 2, 3);
-- first, middle, last, all, none, single
SELECT put(1, 4, 5), put(6, 2, 7), put(8, 9, 3), put(1, 2, 3), put(10, 11), put(5), put(12);
TABLE chain;
-- duplicates within a statement: side by side, apart, of stored rows
SELECT put(20, 20, 21), put(22, 23, 22), put(24, 24, 24), put(1, 25, 1, 25, 26);
TABLE chain;
-- each in a transaction of its own, a dropped row last before commit
BEGIN;
SELECT put(30, 1);
COMMIT;
BEGIN;
SELECT put(1);
SELECT put(2);
SELECT put(31);
SELECT put(31);
COMMIT;
SELECT put(32);
TABLE chain;

-- over subtransactions: pending when a savepoint is set, released, rolled back
BEGIN;
SELECT put(40, 1);
SAVEPOINT a;
SELECT put(41, 2);
RELEASE a;
SELECT put(42, 3);
SAVEPOINT b;
SELECT put(43, 1);
ROLLBACK TO b;
SELECT put(44, 4);
SAVEPOINT c;
SELECT put(1);
ROLLBACK TO c;
SELECT put(45);
COMMIT;
TABLE chain;
SELECT n FROM entry WHERE n BETWEEN 40 AND 49 ORDER BY n;
-- the first insert into the segment stands in a savepoint that is rolled back
BEGIN;
SAVEPOINT a;
SELECT put(1, 50);
ROLLBACK TO a;
SELECT put(1, 51);
COMMIT;
TABLE chain;

-- COPY after a savepoint, which cannot have ON CONFLICT and so repeats it all
BEGIN;
SELECT put(60, 1);
SAVEPOINT a;
COPY entry (id, n) FROM stdin;
00000000-0000-4000-8000-000000000061	61
c4ca4238-a0b9-2382-0dcc-509a6f75849b	1
\.
ROLLBACK TO a;
COPY entry (id, n) FROM stdin;
00000000-0000-4000-8000-000000000061	61
00000000-0000-4000-8000-000000000062	62
\.
SELECT put(62, 60);
COMMIT;
TABLE chain;

-- a cursor-like loop of nested exceptions
DO $$
BEGIN
	FOR i IN 1..30 LOOP
		BEGIN
			PERFORM put(i % 7, 1000 + i, 1000 + i / 2);
			IF i % 5 = 0 THEN
				RAISE EXCEPTION 'no';
			END IF;
			BEGIN
				PERFORM put(i % 3, 2000 + i);
				IF i % 4 = 0 THEN
					RAISE EXCEPTION 'no';
				END IF;
			EXCEPTION WHEN raise_exception THEN
				PERFORM put(3000 + i, 1);
			END;
		EXCEPTION WHEN raise_exception THEN
			PERFORM put(1, 4000 + i);
		END;
	END LOOP;
END
$$;
TABLE chain;
SELECT count(*) FILTER (WHERE n / 1000 = 2) AS inner_rows,
	count(*) FILTER (WHERE n / 1000 = 3) AS instead,
	count(*) FILTER (WHERE n / 1000 = 4) AS outer_instead FROM entry;

-- prepared transactions, with a dropped row last
BEGIN;
SELECT put(70, 1);
PREPARE TRANSACTION 'retry';
SELECT put(71, 1);
COMMIT PREPARED 'retry';
BEGIN;
SELECT put(72, 1);
PREPARE TRANSACTION 'retry';
ROLLBACK PREPARED 'retry';
SELECT put(73, 72);
SELECT bool_and(rows = last) AS no_gaps, sum(rows) AS rows FROM (
	SELECT count(*) AS rows, max(chain_seq) AS last FROM entry GROUP BY chain_lane) x;

-- Without ON CONFLICT, a repeated id fails, and the statement stores nothing.
INSERT INTO entry (id, n) VALUES (uuid_of(80), 80), (uuid_of(1), 1);
SELECT put(81);
SELECT n FROM entry WHERE n IN (80, 81);
-- Two ledgers in one statement and one transaction
CREATE TABLE other (n int);
SELECT llm_audit.create_ledger('other');
BEGIN;
WITH a AS (INSERT INTO entry (id, n) VALUES (uuid_of(90), 90), (uuid_of(1), 1) ON CONFLICT DO NOTHING RETURNING n),
	b AS (INSERT INTO other (id, n) VALUES (uuid_of(1), 1), (uuid_of(1), 1) ON CONFLICT DO NOTHING RETURNING n)
	SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b);
SELECT put(90, 91);
INSERT INTO other (id, n) VALUES (uuid_of(1), 1), (uuid_of(2), 2) ON CONFLICT DO NOTHING;
COMMIT;
SELECT n, chain_seq FROM other ORDER BY n;
SELECT bool_and(rows = last) AS no_gaps FROM (
	SELECT count(*) AS rows, max(chain_seq) AS last FROM entry GROUP BY chain_lane) x;
SELECT * FROM llm_audit.verify();

-- A trigger that could remove a row, put where none can be made: nothing is
-- stored, rather than a gap.
CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
SET allow_system_table_mods = on;
BEGIN;
CREATE TABLE decoy (n int);
CREATE TRIGGER zz_swallow BEFORE INSERT ON decoy FOR EACH ROW EXECUTE FUNCTION swallow();
UPDATE pg_trigger SET tgrelid = 'entry'::regclass WHERE tgname = 'zz_swallow';
UPDATE pg_class SET relname = relname WHERE oid = 'entry'::regclass;
SELECT put(95);
ROLLBACK;
SELECT put(95);

\c :origin
DROP DATABASE ledger_retry WITH (FORCE);
