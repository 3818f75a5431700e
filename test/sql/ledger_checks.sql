-- CHECK constraints of a ledger hold for every row, though they are planned
-- once for a session: also after what they call has changed, in a session
-- that has used them before, and when one of them inserts in turn.
\set VERBOSITY terse
\set origin :DBNAME
CREATE DATABASE ledger_checks TEMPLATE template0 ENCODING 'UTF8';
\c ledger_checks
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();
SET llm_audit.masking = off;

-- Inlined in the constraint, so that a change of it has to be noticed
CREATE FUNCTION public.fits(n int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT n < 100';
CREATE TABLE plain (n int, note text, CONSTRAINT fits CHECK (public.fits(n)),
	CONSTRAINT named CHECK (note <> 'bad' OR n IS NULL));
SELECT llm_audit.create_ledger('plain');
CREATE TABLE parted (environment text NOT NULL, n int, CONSTRAINT low CHECK (n < 10), CONSTRAINT high CHECK (n > 0))
	PARTITION BY LIST (environment);
SELECT llm_audit.create_ledger('parted');

INSERT INTO plain (n, note) VALUES (1, 'good');
INSERT INTO plain (n, note) VALUES (100, 'good');
INSERT INTO plain (n, note) VALUES (1, 'bad');
INSERT INTO plain (n, note) VALUES (1, 'good'), (2, 'good'), (100, 'good');
INSERT INTO plain (n, note) VALUES (NULL, 'bad');
-- Segments are named after days: only the constraint is shown
CREATE FUNCTION pg_temp.broken(value int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	name text;
BEGIN
	INSERT INTO parted (environment, n) VALUES ('prod', value);
	RETURN 'none';
EXCEPTION WHEN check_violation THEN
	GET STACKED DIAGNOSTICS name = CONSTRAINT_NAME;
	RETURN name;
END
$$;
SELECT n, pg_temp.broken(n) FROM unnest(ARRAY[5, 10, 0, 6]) AS n;

-- The function changes, in a transaction that is rolled back and then for good
BEGIN;
CREATE OR REPLACE FUNCTION public.fits(n int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT n < 1000';
INSERT INTO plain (n, note) VALUES (100, 'good');
INSERT INTO plain (n, note) VALUES (1000, 'good');
ROLLBACK;
INSERT INTO plain (n, note) VALUES (100, 'good');
CREATE OR REPLACE FUNCTION public.fits(n int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT n < 5';
INSERT INTO plain (n, note) VALUES (5, 'good');
INSERT INTO plain (n, note) VALUES (4, 'good');

-- A constraint that changes what the other one calls and inserts in turn,
-- while the statement around it is using both
CREATE FUNCTION public.again(n int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF n = 1 THEN
		CREATE OR REPLACE FUNCTION public.small(n int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT n < 50';
		INSERT INTO nested (n) VALUES (60);
	END IF;
	RETURN true;
END
$$;
CREATE FUNCTION public.small(n int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT n < 100';
CREATE TABLE nested (n int, CONSTRAINT a CHECK (public.again(n)), CONSTRAINT b CHECK (public.small(n)));
SELECT llm_audit.create_ledger('nested');
INSERT INTO nested (n) VALUES (60);
INSERT INTO nested (n) VALUES (1);
CREATE OR REPLACE FUNCTION public.again(n int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF n = 1 THEN
		CREATE OR REPLACE FUNCTION public.small(n int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT n < 50';
		INSERT INTO nested (n) VALUES (40);
	END IF;
	RETURN true;
END
$$;
INSERT INTO nested (n) VALUES (1), (2), (3);
INSERT INTO nested (n) VALUES (60);

-- A session does not keep what belonged to ledgers that are gone
CREATE TABLE kept (n int);
DO $$
BEGIN
	FOR i IN 1 .. 4 LOOP
		EXECUTE format('CREATE TABLE gone_%s (n int CHECK (n > 0))', i);
		PERFORM llm_audit.create_ledger(format('gone_%s', i)::regclass);
	END LOOP;
END
$$;
INSERT INTO gone_1 (n) VALUES (1);
SELECT llm_audit.drop_ledger('gone_1', 'test');
INSERT INTO gone_2 (n) VALUES (1);
INSERT INTO kept SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'CachedExpression';
SELECT llm_audit.drop_ledger('gone_2', 'test');
INSERT INTO gone_3 (n) VALUES (1);
SELECT llm_audit.drop_ledger('gone_3', 'test');
INSERT INTO gone_4 (n) VALUES (1);
SELECT count(*) > 2 AS kept, count(*) - (SELECT n FROM kept) AS more FROM pg_backend_memory_contexts WHERE name = 'CachedExpression';
SELECT llm_audit.drop_ledger('gone_4', 'test');

SET llm_audit.reason = 'test';
SELECT * FROM llm_audit.verify();
SELECT 'plain' AS ledger, max(chain_seq) FROM plain UNION ALL SELECT 'parted', max(chain_seq) FROM parted
	UNION ALL SELECT 'nested', max(chain_seq) FROM nested;

\c :origin
DROP DATABASE ledger_checks WITH (FORCE);
