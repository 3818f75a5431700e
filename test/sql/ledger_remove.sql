-- drop_ledger(), uninstall(), DROP EXTENSION, and all of it again.
\set VERBOSITY terse
\set origin :DBNAME
CREATE DATABASE ledger_remove TEMPLATE template0 ENCODING 'UTF8';
\c ledger_remove
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();
SELECT count(*) FROM llm_audit.setup();
CREATE TABLE plain (n int, note text DEFAULT 'none');
SELECT llm_audit.create_ledger('plain');
CREATE TABLE parted (environment text, n int, secret text) PARTITION BY LIST (environment);
SELECT llm_audit.create_ledger('parted', erasable => '{secret}');
SELECT llm_audit.set_field_policy('parted', 'secret', 'keep', reason => 'holds none here');
CREATE TABLE short_lived (environment text, n int) PARTITION BY LIST (environment);
SELECT llm_audit.create_ledger('short_lived');
INSERT INTO plain (n) SELECT generate_series(1, 10);
INSERT INTO parted (environment, n, secret) SELECT e, 1, 's' FROM unnest('{prod,test}'::text[]) e;
INSERT INTO short_lived VALUES ('test', 1);

-- drop_ledger: with a reason, an enrolled one
SELECT llm_audit.drop_ledger('short_lived', NULL);
SELECT llm_audit.drop_ledger('short_lived', E' \t');
SELECT llm_audit.drop_ledger('llm_audit.settlement', 'not needed');
SELECT llm_audit.drop_ledger('pg_class', 'not needed');
SELECT llm_audit.drop_ledger('parted_prod', 'not needed');
SELECT llm_audit.drop_ledger(NULL, 'not needed');
CREATE VIEW in_use AS SELECT n FROM short_lived;
SELECT llm_audit.drop_ledger('short_lived', 'not needed');
DROP VIEW in_use;
BEGIN;
SELECT llm_audit.drop_ledger('short_lived', 'not yet');
ROLLBACK;
INSERT INTO short_lived VALUES ('test', 2);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT llm_audit.drop_ledger('short_lived', 'not so');
ROLLBACK;
SELECT llm_audit.drop_ledger('short_lived', 'the trial is over');
SELECT to_regclass('short_lived'), to_regclass('short_lived_test_default');
SELECT action, target_id, reason, outcome, "after" ? 'ledger_id' AS identified
	FROM llm_audit.admin_event WHERE action = 'ledger.dropped';
SELECT count(*) FROM llm_audit.ledger_segment WHERE relation_name LIKE 'short%';
SELECT count(*) FROM llm_audit.ledger_column k LEFT JOIN llm_audit.ledger USING (ledger_id)
	WHERE relation_name IS NULL;
SELECT * FROM llm_audit.verify();
-- a new one of the same name is another ledger
CREATE TABLE short_lived (environment text, n int) PARTITION BY LIST (environment);
SELECT llm_audit.create_ledger('short_lived');
INSERT INTO short_lived VALUES ('test', 1);
SELECT chain_seq FROM short_lived;
SELECT * FROM llm_audit.verify();

-- The owner of ledgers may look into their schema, which foreign keys need in
-- both directions, as long as there are any.
CREATE SCHEMA fenced;
CREATE TABLE fenced.account (id int PRIMARY KEY);
CREATE TABLE fenced.trail (account int REFERENCES fenced.account);
CREATE TABLE fenced.second (n int);
SELECT llm_audit.create_ledger('fenced.trail'), llm_audit.create_ledger('fenced.second');
CREATE TABLE fenced.remark (trail uuid REFERENCES fenced.trail (id));
INSERT INTO fenced.account VALUES (1), (2);
INSERT INTO fenced.trail VALUES (1);
INSERT INTO fenced.remark SELECT id FROM fenced.trail;
INSERT INTO fenced.remark VALUES (llm_audit.uuid7());
DELETE FROM fenced.account WHERE id = 2;
DELETE FROM fenced.account WHERE id = 1;
DROP TABLE fenced.remark;
SELECT llm_audit.drop_ledger('fenced.trail', 'not needed');
SELECT has_schema_privilege('llm_audit_owner', 'fenced', 'USAGE') AS may_look;
SELECT llm_audit.drop_ledger('fenced.second', 'not needed');
SELECT has_schema_privilege('llm_audit_owner', 'fenced', 'USAGE') AS may_look;
CREATE TABLE fenced.second (n int);
SELECT llm_audit.create_ledger('fenced.second');

-- The extension cannot go while it has ledgers.
DROP EXTENSION llm_audit;
DROP SCHEMA llm_audit;
-- uninstall: with a reason; what was enrolled stays with its rows
SELECT llm_audit.uninstall(NULL);
SELECT llm_audit.uninstall('  ');
SELECT llm_audit.uninstall('moving house', 'remove_nobody');
CREATE ROLE remove_keeper;
BEGIN;
SELECT llm_audit.uninstall('not yet');
SELECT has_schema_privilege('llm_audit_owner', 'fenced', 'USAGE') AS may_look;
ROLLBACK;
INSERT INTO plain (n) VALUES (11);
CREATE TABLE before AS SELECT n, id, chain_seq, row_hash FROM plain;
SELECT llm_audit.uninstall('moving house', 'remove_keeper');
SELECT count(*) FROM llm_audit.ledger;
SELECT to_regclass('llm_audit.llm_call'), to_regclass('llm_audit.admin_event');
SELECT has_schema_privilege('llm_audit_owner', 'fenced', 'USAGE') AS may_look;
DROP EXTENSION llm_audit;
SELECT to_regnamespace('llm_audit');
SELECT count(*) FROM plain JOIN before USING (n, id, chain_seq, row_hash);
SELECT environment, n, secret, tableoid::regclass::text ~ ('^parted_' || environment || '_\d{8}$') AS leaf
	FROM parted ORDER BY 1;
SELECT c.relname, c.relowner::regrole, has_table_privilege('llm_audit_writer', c.oid, 'INSERT') AS writers
	FROM pg_class c WHERE c.relname IN ('plain', 'parted', 'parted_test_default') ORDER BY 1;
SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE NOT tgisinternal;
SELECT adrelid::regclass, pg_get_expr(adbin, adrelid) FROM pg_attrdef;
-- They are ordinary tables now.
SET ROLE remove_keeper;
UPDATE plain SET note = 'changed' WHERE n = 1;
DELETE FROM plain WHERE n = 2;
TRUNCATE parted;
ALTER TABLE plain ALTER COLUMN row_hash DROP NOT NULL;
DROP TABLE plain;
RESET ROLE;

-- again, in the same session, and in a fresh one
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();
SELECT llm_audit.create_ledger('before');
CREATE TABLE plain (n int);
SELECT llm_audit.create_ledger('plain');
INSERT INTO plain VALUES (1), (2) ON CONFLICT DO NOTHING;
SELECT n, chain_seq FROM plain;
\c
INSERT INTO plain VALUES (3);
SELECT count(*) FROM plain;
SELECT * FROM llm_audit.verify();
-- in one transaction
BEGIN;
SELECT llm_audit.uninstall('all at once');
DROP EXTENSION llm_audit;
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();
INSERT INTO llm_audit.settlement (environment, kind, amount, currency) VALUES ('test', 'charge', 1, 'KZT');
ROLLBACK;
INSERT INTO plain VALUES (4);
SELECT count(*) FROM plain;

-- A schema or a role made before it: neither may hand anything to others.
SELECT llm_audit.uninstall('the last time');
DROP EXTENSION llm_audit;
CREATE SCHEMA llm_audit;
CREATE EXTENSION llm_audit;
DROP SCHEMA llm_audit;
-- no database with llm_audit is left that could record this
ALTER ROLE llm_audit_owner LOGIN;
SET llm_audit.restore = on;
BEGIN;
ALTER ROLE llm_audit_owner LOGIN;
CREATE EXTENSION llm_audit;
ROLLBACK;
BEGIN;
ALTER ROLE llm_audit_view_owner BYPASSRLS;
CREATE EXTENSION llm_audit;
ROLLBACK;
BEGIN;
GRANT llm_audit_owner TO remove_keeper;
CREATE EXTENSION llm_audit;
ROLLBACK;
RESET llm_audit.restore;
CREATE DATABASE ledger_latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C';
\c ledger_latin
CREATE EXTENSION llm_audit;

\c :origin
DROP DATABASE ledger_latin WITH (FORCE);
DROP DATABASE ledger_remove WITH (FORCE);
DROP ROLE remove_keeper;
