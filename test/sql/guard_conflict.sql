-- Which statements may drop a row after it was chained: positions stay
-- without gaps whatever is nested in what.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
CREATE DATABASE guard_conflict TEMPLATE template0 ENCODING 'UTF8';
\c guard_conflict
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();
CREATE TABLE a (n int, note text);
CREATE TABLE b (n int, note text);
SELECT llm_audit.create_ledger('a');
SELECT llm_audit.create_ledger('b');

-- An id for every number, so that the same number is the same row.
CREATE FUNCTION id_of(n int) RETURNS uuid LANGUAGE sql IMMUTABLE
	AS $$ SELECT lpad(n::text, 32, '0')::uuid $$;
-- Rows, and breaks in their chains.
CREATE FUNCTION state() RETURNS TABLE (ledger text, row_count bigint, breaks bigint)
LANGUAGE sql AS $$
	SELECT ledger, count(*), count(*) FILTER (WHERE chain_seq <> place
			OR (place > 1 AND prev_hash IS DISTINCT FROM before))
	FROM (SELECT ledger, chain_seq, prev_hash, row_number() OVER w AS place, lag(row_hash) OVER w AS before
		FROM (SELECT 'a' AS ledger, a.* FROM a UNION ALL SELECT 'b', b.* FROM b) AS r
		WINDOW w AS (PARTITION BY ledger, chain_lane ORDER BY chain_seq)) AS t
	GROUP BY ledger ORDER BY ledger
$$;

-- alone
INSERT INTO a (id, n) SELECT id_of(i), i FROM generate_series(1, 10) AS i;
INSERT INTO a (id, n) SELECT id_of(i), i FROM generate_series(1, 20, 2) AS i ON CONFLICT DO NOTHING;
INSERT INTO a (id, n) VALUES (id_of(1), 1), (id_of(30), 30), (id_of(2), 2) ON CONFLICT DO NOTHING;
SELECT * FROM state();

-- a statement without the clause inside one with it, and the other way round
CREATE FUNCTION plain_insert(i int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO a (n, note) VALUES (i, 'inner');
	RETURN i;
END
$$;
CREATE FUNCTION retry_insert(i int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO a (id, n) VALUES (id_of(i), i) ON CONFLICT DO NOTHING;
	RETURN i;
END
$$;
INSERT INTO a (id, n) SELECT id_of(plain_insert(i)), i FROM generate_series(1, 5) AS i ON CONFLICT DO NOTHING;
INSERT INTO a (n, note) SELECT retry_insert(i), 'outer' FROM generate_series(1, 5) AS i;
SELECT plain_insert(6), retry_insert(6);
SELECT * FROM state();

-- modifying CTEs: read in the run, or left to its end
WITH one AS (INSERT INTO a (id, n) SELECT id_of(i), i FROM generate_series(1, 4) AS i ON CONFLICT DO NOTHING RETURNING n)
	INSERT INTO b (n) SELECT coalesce(max(n), 0) FROM one;
WITH one AS (INSERT INTO a (id, n) VALUES (id_of(3), 3), (id_of(100), 100), (id_of(4), 4) ON CONFLICT DO NOTHING)
	SELECT 1 AS unread;
WITH one AS (INSERT INTO b (n) VALUES (1))
	INSERT INTO a (id, n) VALUES (id_of(3), 3), (id_of(101), 101), (id_of(5), 5) ON CONFLICT DO NOTHING;
WITH one AS (INSERT INTO a (n) VALUES (7), (8)), two AS (INSERT INTO a (id, n) VALUES (id_of(7), 7), (id_of(7), 7) ON CONFLICT DO NOTHING)
	SELECT 1 AS two_ctes;
SELECT * FROM state();

-- a trigger that writes the other ledger
CREATE FUNCTION echo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO b (id, n) VALUES (id_of(NEW.n), NEW.n) ON CONFLICT DO NOTHING;
	INSERT INTO b (n, note) VALUES (NEW.n, 'again');
	RETURN NULL;
END
$$;
CREATE TRIGGER echo AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION echo();
INSERT INTO a (n) SELECT i % 3 FROM generate_series(1, 9) AS i;
INSERT INTO a (id, n) SELECT id_of(i), i FROM generate_series(1, 9) AS i ON CONFLICT DO NOTHING;
COPY a (id, n) FROM stdin;
00000000-0000-0000-0000-000000000200	200
00000000-0000-0000-0000-000000000201	1
\.
SELECT * FROM state();

-- errors leave nothing behind that a later statement would believe
DO $$
BEGIN
	FOR i IN 1..3 LOOP
		BEGIN
			INSERT INTO a (id, n) SELECT id_of(1000 + j), 1 / (3 - j) FROM generate_series(1, 5) AS j ON CONFLICT DO NOTHING;
		EXCEPTION WHEN division_by_zero THEN
			INSERT INTO a (n, note) VALUES (i, 'handled');
			INSERT INTO a (id, n) VALUES (id_of(1), 1) ON CONFLICT DO NOTHING;
			INSERT INTO a (n, note) VALUES (i, 'handled');
		END;
	END LOOP;
END
$$;
SELECT * FROM state();

-- a cursor that writes as it is fetched, beside statements of both kinds
BEGIN;
DECLARE c CURSOR FOR SELECT retry_insert(i) FROM generate_series(1, 6) AS i;
FETCH 2 FROM c;
INSERT INTO a (n) VALUES (1);
INSERT INTO a (id, n) VALUES (id_of(1), 1), (id_of(300), 300) ON CONFLICT DO NOTHING;
FETCH 2 FROM c;
SAVEPOINT s;
INSERT INTO a (id, n) VALUES (id_of(1), 1), (id_of(301), 301) ON CONFLICT DO NOTHING;
ROLLBACK TO s;
FETCH 2 FROM c;
INSERT INTO a (n) VALUES (2);
COMMIT;
SELECT * FROM state();
SELECT count(*) AS findings FROM llm_audit.verify();
\c postgres
DROP DATABASE guard_conflict WITH (FORCE);
