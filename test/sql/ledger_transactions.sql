-- Rows that are rolled back, in whatever way, leave no trace in a chain.
\set VERBOSITY terse
\set origin :DBNAME
CREATE DATABASE ledger_transactions TEMPLATE template0 ENCODING 'UTF8';
\c ledger_transactions
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();
CREATE TABLE entry (n int);
SELECT llm_audit.create_ledger('entry');
CREATE VIEW chain AS
	SELECT sum(rows) AS rows, bool_and(rows = ends) AS no_gaps, sum(broken) AS broken
	FROM (SELECT chain_lane, count(*) AS rows, max(chain_seq) AS ends,
			count(*) FILTER (WHERE before IS NOT NULL AND prev_hash <> before) AS broken
		FROM (SELECT *, lag(row_hash) OVER (PARTITION BY chain_lane ORDER BY chain_seq) AS before
			FROM entry) x GROUP BY chain_lane) y;
-- lanes that this transaction holds
CREATE VIEW held AS
	SELECT count(*) AS lanes FROM pg_locks
	WHERE pid = pg_backend_pid() AND locktype = 'userlock' AND objsubid = x'4C41'::int;

INSERT INTO entry VALUES (1);
-- ROLLBACK, savepoints, levels of them
BEGIN;
INSERT INTO entry SELECT generate_series(10, 20);
ROLLBACK;
INSERT INTO entry VALUES (2);
BEGIN;
INSERT INTO entry VALUES (3);
SAVEPOINT a;
INSERT INTO entry VALUES (4);
SAVEPOINT b;
INSERT INTO entry VALUES (5);
ROLLBACK TO b;
INSERT INTO entry VALUES (6);
RELEASE b;
INSERT INTO entry VALUES (7);
TABLE held;
ROLLBACK TO a;
INSERT INTO entry VALUES (8);
COMMIT;
TABLE held;
SELECT n, chain_seq FROM entry ORDER BY n;
TABLE chain;
-- The lane is taken in a savepoint that is rolled back: it is let go.
BEGIN;
SAVEPOINT a;
INSERT INTO entry VALUES (30);
TABLE held;
ROLLBACK TO a;
TABLE held;
INSERT INTO entry VALUES (31);
COMMIT;
-- in one that is released, and then in an outer one that is not
BEGIN;
SAVEPOINT a;
SAVEPOINT b;
INSERT INTO entry VALUES (32);
RELEASE b;
TABLE held;
ROLLBACK TO a;
TABLE held;
ROLLBACK;
TABLE chain;

-- statements that fail in their last row
INSERT INTO entry SELECT 100 / (10 - i) FROM generate_series(1, 10) i;
INSERT INTO entry VALUES (33);
-- nested exceptions
DO $$
BEGIN
	INSERT INTO entry VALUES (40);
	FOR i IN 41..60 LOOP
		BEGIN
			INSERT INTO entry VALUES (i);
			BEGIN
				INSERT INTO entry VALUES (i + 100);
				PERFORM 1 / (i % 3);
			EXCEPTION WHEN division_by_zero THEN
				INSERT INTO entry VALUES (i + 200);
			END;
			PERFORM 1 / (i % 4);
		EXCEPTION WHEN division_by_zero THEN
			INSERT INTO entry VALUES (i + 300);
		END;
	END LOOP;
END
$$;
TABLE chain;
SELECT n / 100 AS hundreds, count(*) FROM entry WHERE n > 40 GROUP BY 1 ORDER BY 1;
-- procedures that commit and roll back
CREATE PROCEDURE steps() LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 501..510 LOOP
		INSERT INTO entry VALUES (i);
		IF i % 3 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
	END LOOP;
END
$$;
CALL steps();
SELECT count(*) FROM entry WHERE n BETWEEN 501 AND 510;
TABLE chain;

-- A cursor whose function inserts, run and failing in subtransactions: the
-- lane belongs to the transaction that has rows in it, not to the cursor.
CREATE FUNCTION put(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO entry VALUES (n);
	RETURN 100 / (n - 604);
END
$$;
BEGIN;
DECLARE c CURSOR FOR SELECT put(n) FROM generate_series(601, 610) n;
FETCH 2 FROM c;
SAVEPOINT a;
FETCH 1 FROM c;
FETCH 1 FROM c;
ROLLBACK TO a;
TABLE held;
INSERT INTO entry VALUES (620);
COMMIT;
BEGIN;
SAVEPOINT a;
DECLARE c CURSOR FOR SELECT put(n) FROM generate_series(631, 640) n;
FETCH 2 FROM c;
RELEASE a;
FETCH 1 FROM c;
SAVEPOINT b;
FETCH 1 FROM c;
ROLLBACK TO b;
CLOSE c;
TABLE held;
INSERT INTO entry VALUES (650);
COMMIT;
SELECT n FROM entry WHERE n BETWEEN 601 AND 650 ORDER BY n;
TABLE chain;

-- prepared transactions
BEGIN;
INSERT INTO entry VALUES (701), (702);
PREPARE TRANSACTION 'one';
INSERT INTO entry VALUES (703);
BEGIN;
INSERT INTO entry VALUES (704);
PREPARE TRANSACTION 'two';
INSERT INTO entry VALUES (705);
COMMIT PREPARED 'two';
ROLLBACK PREPARED 'one';
INSERT INTO entry VALUES (706);
SELECT n, chain_lane = lag(chain_lane) OVER (ORDER BY n) AS same_lane FROM entry
	WHERE n BETWEEN 701 AND 706 ORDER BY n;
TABLE chain;

-- AFTER triggers that insert into the same ledger, at once and at commit
CREATE TABLE echo (n int, depth int);
CREATE FUNCTION echo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF new.depth > 0 THEN
		INSERT INTO echo (id, n, depth) VALUES (md5(random()::text)::uuid, new.n + 1, new.depth - 1)
			ON CONFLICT DO NOTHING;
		INSERT INTO entry VALUES (new.n + 800);
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER echo AFTER INSERT ON echo FOR EACH ROW EXECUTE FUNCTION echo();
CREATE CONSTRAINT TRIGGER echo_late AFTER INSERT ON echo DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION echo();
SELECT llm_audit.create_ledger('echo');
INSERT INTO echo (n, depth) VALUES (1, 3), (11, 0), (21, 2);
SELECT count(*) = max(chain_seq) AS no_gaps, count(*) FROM echo;
BEGIN;
INSERT INTO echo (id, n, depth) SELECT id, n, depth FROM echo WHERE depth > 1 ON CONFLICT DO NOTHING;
INSERT INTO echo (n, depth) VALUES (31, 1);
SAVEPOINT a;
INSERT INTO echo (n, depth) VALUES (41, 3);
ROLLBACK TO a;
COMMIT;
SELECT count(*) = max(chain_seq) AS no_gaps, count(*) FROM echo;
TABLE chain;
-- Functions in the statement itself: defaults and values that insert
CREATE FUNCTION also(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO entry VALUES (n + 1000) ON CONFLICT DO NOTHING;
	RETURN n;
END
$$;
INSERT INTO entry SELECT also(i) FROM generate_series(900, 904) i;
INSERT INTO entry SELECT also(i) FROM generate_series(905, 909) i ON CONFLICT DO NOTHING;
SELECT count(*) FROM entry WHERE n BETWEEN 900 AND 909 OR n BETWEEN 1900 AND 1909;
TABLE chain;

-- other isolation levels, with a snapshot from before others' rows
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) > 0 AS snapshot FROM entry;
INSERT INTO entry VALUES (951);
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*) > 0 AS snapshot FROM entry;
INSERT INTO entry VALUES (952) ON CONFLICT DO NOTHING;
COMMIT;
TABLE chain;

-- The end of a lane is found behind many rolled-back rows, and far from where
-- it was last seen.
BEGIN;
INSERT INTO entry SELECT generate_series(10001, 13000);
ROLLBACK;
INSERT INTO entry VALUES (961);
INSERT INTO entry SELECT generate_series(10001, 13000);
INSERT INTO entry VALUES (962);
TABLE chain;
-- also where rows of the lane have gone, as a purge of expired ones leaves it
SELECT * FROM llm_audit.verify();
\c
SET client_min_messages = warning;
INSERT INTO entry VALUES (963);
SELECT chain_lane AS lane, chain_seq AS ends FROM entry WHERE n = 963 \gset
SET allow_system_table_mods = on;
CREATE PROCEDURE triggers(enabled "char") LANGUAGE plpgsql AS $$
BEGIN
	UPDATE pg_trigger SET tgenabled = enabled WHERE tgrelid = 'entry'::regclass;
	UPDATE pg_class SET reltuples = reltuples WHERE oid = 'entry'::regclass;
END
$$;
BEGIN;
CALL triggers('D');
WITH gone AS (DELETE FROM entry WHERE chain_lane = :lane AND chain_seq < :ends AND chain_seq <> 40
	RETURNING 1) SELECT count(*) > 40 AS many FROM gone;
CALL triggers('A');
COMMIT;
BEGIN;
INSERT INTO entry SELECT generate_series(20001, 20100);
ROLLBACK;
INSERT INTO entry VALUES (964);
\c
BEGIN;
INSERT INTO entry SELECT generate_series(20001, 20100);
ROLLBACK;
INSERT INTO entry VALUES (965);
SELECT n, chain_lane = :lane AS same_lane, chain_seq - :ends AS further
	FROM entry WHERE n IN (963, 964, 965) ORDER BY n;

-- The end of a lane has been spoilt: nothing is chained to it by a session that
-- did not write it.
\c
SET allow_system_table_mods = on;
BEGIN;
CALL triggers('D');
UPDATE entry SET row_hash = '\x00' WHERE n = 965;
CALL triggers('A');
INSERT INTO entry VALUES (966);
ROLLBACK;
BEGIN;
UPDATE pg_attribute SET attnotnull = false WHERE attrelid = 'entry'::regclass AND attname = 'row_hash';
CALL triggers('D');
UPDATE entry SET row_hash = NULL WHERE n = 965;
CALL triggers('A');
INSERT INTO entry VALUES (966);
ROLLBACK;
INSERT INTO entry VALUES (966);

\c :origin
DROP DATABASE ledger_transactions WITH (FORCE);
