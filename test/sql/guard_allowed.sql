-- Append-only: what must keep working on ledgers, and on everything else.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
CREATE DATABASE guard_allowed TEMPLATE template0 ENCODING 'UTF8';
\c guard_allowed
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();
CREATE SCHEMA app;
CREATE TABLE app.trail (n bigint, note text, secret text);
SELECT llm_audit.create_ledger('app.trail', erasable => '{secret}');
INSERT INTO app.trail (n, note) SELECT i, 'note' FROM generate_series(1, 3) AS i;
CREATE TABLE app.protection AS
	SELECT tgrelid, tgname, tgfoid, tgtype, tgenabled FROM pg_trigger WHERE NOT tgisinternal;

-- maintenance
VACUUM app.trail;
VACUUM (FULL, ANALYZE) app.trail;
VACUUM (FREEZE) llm_audit.llm_call;
VACUUM FULL llm_audit.llm_call_prod_default;
ANALYZE app.trail;
ANALYZE llm_audit.llm_call;
CREATE INDEX trail_n ON app.trail (n);
CREATE INDEX CONCURRENTLY trail_note ON app.trail (note);
CREATE INDEX trail_lower ON app.trail (lower(note));
DROP INDEX app.trail_lower;
CREATE INDEX ON llm_audit.llm_call (request_id, occurred_at);
CLUSTER app.trail USING trail_lane_idx;
CLUSTER app.trail;
ALTER TABLE app.trail CLUSTER ON trail_n;
ALTER TABLE app.trail SET WITHOUT CLUSTER;
REINDEX TABLE app.trail;
REINDEX INDEX app.trail_lane_idx;
REINDEX INDEX CONCURRENTLY app.trail_lane_idx;
REINDEX TABLE CONCURRENTLY app.trail;
REINDEX TABLE CONCURRENTLY llm_audit.llm_call_prod_default;
REINDEX SCHEMA app;
CREATE STATISTICS app.trail_stats ON n, note FROM app.trail;
DROP STATISTICS app.trail_stats;
DROP INDEX app.trail_n;
DROP INDEX CONCURRENTLY app.trail_note;
COMMENT ON TABLE app.trail IS 'a ledger';
GRANT SELECT ON app.trail TO llm_audit_auditor;
REVOKE SELECT ON app.trail FROM llm_audit_auditor;
BEGIN;
LOCK TABLE app.trail IN ACCESS EXCLUSIVE MODE NOWAIT;
COMMIT;
SELECT count(*) FROM (SELECT FROM app.trail FOR UPDATE) AS locked;
EXPLAIN (COSTS OFF) UPDATE app.trail SET n = 1 WHERE note = 'x';

-- the allowed subcommands
ALTER TABLE app.trail ALTER COLUMN n SET STATISTICS 10;
ALTER TABLE app.trail ALTER COLUMN n SET (n_distinct = 5);
ALTER TABLE app.trail ALTER COLUMN n RESET (n_distinct);
ALTER TABLE app.trail SET (fillfactor = 90, autovacuum_enabled = off);
ALTER TABLE app.trail RESET (fillfactor);
ALTER TABLE app.trail SET TABLESPACE pg_default;
ALTER TABLE ALL IN TABLESPACE pg_default OWNED BY llm_audit_owner SET TABLESPACE pg_default;
ALTER TABLE app.trail ALTER COLUMN note SET DEFAULT 'none';
ALTER TABLE app.trail ALTER COLUMN note DROP DEFAULT;
ALTER TABLE app.trail ADD COLUMN extra int;
ALTER TABLE app.trail ADD COLUMN IF NOT EXISTS more numeric NULL, ALTER COLUMN extra SET DEFAULT 7;
ALTER INDEX app.trail_lane_idx SET (fillfactor = 80);
ALTER TABLE llm_audit.llm_call ADD COLUMN bank_branch text;
SELECT column_number > 0 AS registered FROM llm_audit.ledger_column
	WHERE column_name = 'bank_branch';
ALTER TABLE app.trail ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY everybody ON app.trail USING (true) WITH CHECK (true);
ALTER POLICY everybody ON app.trail USING (n > 0);
DROP POLICY everybody ON app.trail;
CREATE POLICY llm_audit_all ON app.trail USING (true) WITH CHECK (true);
CREATE FUNCTION app.after() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER mine AFTER INSERT ON app.trail FOR EACH ROW EXECUTE FUNCTION app.after();
CREATE OR REPLACE TRIGGER mine AFTER INSERT ON app.trail FOR EACH STATEMENT EXECUTE FUNCTION app.after();
ALTER TABLE app.trail DISABLE TRIGGER mine;
ALTER TABLE app.trail ENABLE TRIGGER mine;
ALTER TABLE app.trail ENABLE ALWAYS TRIGGER mine;
ALTER TRIGGER mine ON app.trail RENAME TO mine2;
DROP TRIGGER mine2 ON app.trail;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON app.trail DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION app.after();
ALTER TRIGGER late ON app.trail RENAME TO later;
DROP TRIGGER later ON app.trail;
CREATE UNIQUE INDEX trail_implied ON app.trail (note, id);
DROP INDEX app.trail_implied;
ALTER TABLE app.trail REPLICA IDENTITY USING INDEX trail_lane_idx;
CREATE PUBLICATION everything FOR ALL TABLES;
CREATE PUBLICATION one FOR TABLE app.trail, llm_audit.llm_call;
DROP PUBLICATION one;
CREATE VIEW app.trail_view AS SELECT n FROM app.trail;
CREATE MATERIALIZED VIEW app.trail_copy AS SELECT n FROM app.trail;
REFRESH MATERIALIZED VIEW app.trail_copy;
DROP MATERIALIZED VIEW app.trail_copy;
DROP VIEW app.trail_view;
CREATE TABLE app.copy AS SELECT * FROM app.trail;
CREATE TABLE app.like_it (LIKE app.trail INCLUDING ALL);
DROP TABLE app.copy, app.like_it;

-- writing after all that
INSERT INTO app.trail (n, note) VALUES (4, 'four') ON CONFLICT DO NOTHING;
COPY app.trail (n, note) FROM stdin;
5	five
\.
SELECT count(*), sum(n), sum(extra), count(DISTINCT row_hash) FROM app.trail;
SELECT count(*) AS breaks FROM (
	SELECT chain_seq, prev_hash, row_number() OVER w AS position, lag(row_hash) OVER w AS before
	FROM app.trail WINDOW w AS (PARTITION BY chain_lane ORDER BY chain_seq)) AS t
	WHERE chain_seq <> position OR (position > 1 AND prev_hash IS DISTINCT FROM before);

-- nothing of the protection was lost on the way
SELECT count(*) AS lost FROM app.protection p WHERE NOT EXISTS (
	SELECT FROM pg_trigger t WHERE (t.tgrelid, t.tgname, t.tgfoid, t.tgtype, t.tgenabled)
		= (p.tgrelid, p.tgname, p.tgfoid, p.tgtype, p.tgenabled));
SELECT relpersistence, relreplident FROM pg_class WHERE oid = 'app.trail'::regclass;

-- other tables are not touched by any of this
CREATE TABLE app.other (id int PRIMARY KEY, note text UNIQUE);
INSERT INTO app.other VALUES (1, 'a'), (2, 'b');
INSERT INTO app.other VALUES (1, 'c') ON CONFLICT (id) DO UPDATE SET note = excluded.note;
UPDATE app.other SET note = 'd' WHERE id = 2;
MERGE INTO app.other o USING app.trail t ON t.n = o.id
	WHEN MATCHED THEN UPDATE SET note = 'n' || t.n WHEN NOT MATCHED THEN INSERT VALUES (t.n, 'm' || t.n);
SELECT * FROM app.other ORDER BY id;
CREATE TRIGGER own BEFORE INSERT ON app.other FOR EACH ROW EXECUTE FUNCTION app.after();
CREATE RULE own AS ON UPDATE TO app.other DO INSTEAD NOTHING;
ALTER TABLE app.other DISABLE TRIGGER ALL, ALTER COLUMN note TYPE varchar(100), SET UNLOGGED;
ALTER TABLE app.other RENAME TO another;
ALTER TABLE app.another RENAME COLUMN note TO remark;
ALTER TABLE app.another SET SCHEMA public;
TRUNCATE another;
DELETE FROM another;
CREATE TABLE part (id int) PARTITION BY LIST (id);
CREATE TABLE part1 PARTITION OF part FOR VALUES IN (1);
ALTER TABLE part DETACH PARTITION part1;
ALTER TABLE part ATTACH PARTITION part1 FOR VALUES IN (1);
DROP TABLE part, another;
CREATE SCHEMA empty;
ALTER SCHEMA empty RENAME TO emptied;
DROP SCHEMA emptied;
CREATE TEMP TABLE temporary (id int) ON COMMIT DROP;
CREATE FUNCTION app.mine() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE OR REPLACE FUNCTION app.mine() RETURNS int LANGUAGE sql AS 'SELECT 2';
ALTER FUNCTION app.mine() COST 5;
DROP FUNCTION app.mine();
DISCARD ALL;
BEGIN;
\set ON_ERROR_STOP 0
SELECT 1 / 0;
ROLLBACK;
\set ON_ERROR_STOP 1

-- the scripts of the extension may do what others may not
ALTER EXTENSION llm_audit UPDATE;

-- without the extension, and where the schema is somebody else's
CREATE DATABASE guard_foreign TEMPLATE template0 ENCODING 'UTF8';
\c guard_foreign
CREATE TABLE plain (id int PRIMARY KEY, n int);
INSERT INTO plain VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = 2;
UPDATE plain SET n = 3;
ALTER TABLE plain RENAME TO plainer;
DROP TABLE plainer;
CREATE SCHEMA llm_audit;
CREATE TABLE llm_audit.ledger (schema_name int, relation_name bytea);
CREATE TABLE llm_audit.ledger_segment (id int);
CREATE TABLE llm_audit.admin_event (id int);
INSERT INTO llm_audit.ledger VALUES (1, 'x');
UPDATE llm_audit.ledger SET schema_name = 2;
DELETE FROM llm_audit.admin_event;
TRUNCATE llm_audit.ledger_segment;
ALTER TABLE llm_audit.ledger ADD COLUMN x int DEFAULT 1;
CREATE FUNCTION llm_audit.ledger_guard() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER llm_audit_guard BEFORE INSERT ON llm_audit.ledger
	FOR EACH ROW EXECUTE FUNCTION llm_audit.ledger_guard();
CREATE OR REPLACE FUNCTION llm_audit.ledger_guard() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
DROP TABLE llm_audit.ledger;
ALTER SCHEMA llm_audit RENAME TO other;
DROP SCHEMA other CASCADE;
-- an installation without ledgers can go without a door
CREATE EXTENSION llm_audit;
DROP EXTENSION llm_audit;
\c postgres
-- a database goes with all that is in it; nothing in it can refuse that
DROP DATABASE guard_foreign WITH (FORCE);
DROP DATABASE guard_allowed WITH (FORCE);
