-- Append-only: every statement that must be refused, as superuser.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
CREATE DATABASE guard_refused TEMPLATE template0 ENCODING 'UTF8';
\c guard_refused
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();

CREATE SCHEMA app;
GRANT USAGE ON SCHEMA app TO PUBLIC;
CREATE DOMAIN app.label AS text;
CREATE FUNCTION app.is_fine(text) RETURNS boolean LANGUAGE sql IMMUTABLE
	AS 'SELECT $1 IS DISTINCT FROM ''bad''';
CREATE TABLE app.account (id int PRIMARY KEY);
INSERT INTO app.account VALUES (1);
CREATE TABLE app.trail (
	n bigint, note app.label, secret text, account int REFERENCES app.account,
	CONSTRAINT fine CHECK (app.is_fine(secret)));
SELECT llm_audit.create_ledger('app.trail', erasable => '{secret}');
INSERT INTO app.trail (n, note, secret, account)
	SELECT i, 'note', 'secret', 1 FROM generate_series(1, 3) AS i;
-- functions that pass on what they are given
CREATE FUNCTION app.tell(told text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	RAISE NOTICE 'told %', told;
	RETURN told;
END
$$;
CREATE DOMAIN app.telling AS text CHECK (app.tell(value) IS NOT NULL);
CREATE FUNCTION app.compare(a text, b text) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT bttextcmp(app.tell(a), b)';
CREATE OPERATOR CLASS app.telling_ops FOR TYPE text USING btree AS
	OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 app.compare(text, text);
CREATE INDEX trail_n ON app.trail (n);
CREATE VIEW app.trail_view AS SELECT * FROM app.trail;
CREATE FUNCTION app.after_insert() RETURNS trigger LANGUAGE plpgsql
	AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER app_after AFTER INSERT ON app.trail
	FOR EACH ROW EXECUTE FUNCTION app.after_insert();
CREATE POLICY llm_audit_all ON app.trail USING (true) WITH CHECK (true);
CREATE TABLE app.other (id int, org text);
CREATE TABLE app.parent (LIKE app.trail);

-- What every attempt must leave as it is.
CREATE FUNCTION app.fingerprint() RETURNS text LANGUAGE sql AS $$
	SELECT md5(concat(
		(SELECT string_agg(t::text, ',' ORDER BY n) FROM app.trail t),
		(SELECT string_agg(t::text, ',' ORDER BY id) FROM llm_audit.admin_event t
			WHERE action <> 'ledger.change_refused'),
		(SELECT string_agg(concat_ws(' ', c.oid, relname, relnamespace, relowner,
				relpersistence, relkind, relam, relrowsecurity,
				relforcerowsecurity, relreplident, relispartition,
				relhasrules, relhassubclass, reltablespace), ',' ORDER BY c.oid)
			FROM pg_class c WHERE relnamespace IN ('app'::regnamespace, 'llm_audit'::regnamespace)),
		(SELECT string_agg(concat_ws(' ', tgrelid, tgname, tgfoid, tgtype, tgenabled), ',' ORDER BY oid)
			FROM pg_trigger),
		(SELECT string_agg(a::text, ',' ORDER BY attrelid, attnum) FROM pg_attribute a
			WHERE attrelid IN ('app.trail'::regclass, 'llm_audit.llm_call'::regclass)),
		(SELECT string_agg(i::text, ',' ORDER BY indexrelid) FROM pg_index i
			WHERE indrelid >= 16384),
		(SELECT string_agg(i::text, ',' ORDER BY inhrelid) FROM pg_inherits i),
		(SELECT string_agg(r.oid::text, ',' ORDER BY oid) FROM pg_rewrite r WHERE oid >= 16384),
		(SELECT string_agg(concat_ws(' ', oid, conname, conrelid, convalidated), ',' ORDER BY oid)
			FROM pg_constraint),
		(SELECT string_agg(concat_ws(' ', p.oid, proname, pronamespace, proowner, prosrc, probin), ',' ORDER BY oid)
			FROM pg_proc p WHERE oid >= 16384),
		(SELECT string_agg(n::text, ',' ORDER BY oid) FROM pg_namespace n),
		(SELECT string_agg(e::text, ',' ORDER BY oid) FROM pg_extension e),
		(SELECT string_agg(e::text, ',' ORDER BY oid) FROM pg_event_trigger e)));
$$;
-- SQLSTATE and message of a statement, or that it was let through; it is
-- rolled back either way.
CREATE FUNCTION app.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
	message text;
BEGIN
	EXECUTE statement;
	RAISE EXCEPTION USING ERRCODE = 'ZZ999';
EXCEPTION
	WHEN SQLSTATE 'ZZ999' THEN
		RETURN 'LET THROUGH';
	WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT, message = MESSAGE_TEXT;
		message := regexp_replace(message, '_20[0-9]{6}"', '_<month>"');
		-- which of all is met first depends on where their rows lie
		message := regexp_replace(message, CASE WHEN statement LIKE 'DROP OWNED%' THEN '"[a-z_]+"$' ELSE '$.' END, '<any>');
		RETURN SQLSTATE || ' ' || message ||
			CASE WHEN hint LIKE '%llm\_audit.%' OR hint LIKE '%INSERT%'
				OR hint LIKE '%DO NOTHING%' THEN '' ELSE ' (names no door)' END;
END
$$;
CREATE TABLE app.before AS SELECT app.fingerprint();

\pset format unaligned
\pset tuples_only on
\pset fieldsep ' -> '

-- rows
SELECT s, app.try(s) FROM unnest(ARRAY[
	'UPDATE app.trail SET note = ''x''',
	'UPDATE app.trail SET note = ''x'' WHERE false',
	'UPDATE ONLY app.trail SET note = note',
	'DELETE FROM app.trail',
	'DELETE FROM app.trail WHERE n = 0',
	'TRUNCATE app.trail',
	'TRUNCATE app.other, app.trail',
	'TRUNCATE app.account CASCADE',
	'INSERT INTO app.trail (id, n) SELECT id, n FROM app.trail ON CONFLICT (id) DO UPDATE SET note = ''x''',
	'INSERT INTO app.trail (n) SELECT 1 WHERE false ON CONFLICT (id) DO UPDATE SET note = ''x''',
	'MERGE INTO app.trail t USING app.account a ON a.id = t.account WHEN MATCHED THEN DELETE',
	'MERGE INTO app.trail t USING app.account a ON a.id = t.account WHEN MATCHED THEN UPDATE SET n = 0',
	'MERGE INTO app.trail t USING app.account a ON a.id = t.account WHEN MATCHED THEN DO NOTHING',
	'WITH gone AS (DELETE FROM app.trail RETURNING 1) SELECT count(*) FROM gone',
	'WITH gone AS (UPDATE app.trail SET n = 0 RETURNING 1) INSERT INTO app.other SELECT 1 FROM gone',
	'EXPLAIN ANALYZE DELETE FROM app.trail',
	'UPDATE app.trail_view SET note = ''x''',
	'DELETE FROM app.trail_view',
	'DELETE FROM app.account',
	'UPDATE llm_audit.llm_call SET status = ''ok''',
	'DELETE FROM llm_audit.llm_call',
	'TRUNCATE llm_audit.llm_call',
	'TRUNCATE llm_audit.llm_call_prod',
	'TRUNCATE llm_audit.llm_call_prod_default',
	'UPDATE llm_audit.llm_call_prod SET status = ''ok''',
	'DELETE FROM llm_audit.llm_call_prod_default',
	'DELETE FROM llm_audit.llm_call_unknown',
	'MERGE INTO llm_audit.llm_call t USING app.account a ON false WHEN NOT MATCHED THEN DO NOTHING'
]) AS s;
EXPLAIN (COSTS OFF) DELETE FROM app.trail;

-- the same from inside functions, prepared statements and replication roles
CREATE FUNCTION app.evil() RETURNS void LANGUAGE sql SECURITY DEFINER
	AS 'DELETE FROM app.trail';
CREATE FUNCTION app.evil_loop() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM app.trail WHERE n = 1;
EXCEPTION WHEN insufficient_privilege THEN
	RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM, HINT = 'llm_audit.';
END
$$;
PREPARE evil_prepared AS DELETE FROM app.trail;
CREATE FUNCTION app.evil_trigger() RETURNS trigger LANGUAGE plpgsql
	AS 'BEGIN DELETE FROM app.trail; RETURN NULL; END';
CREATE TRIGGER evil AFTER INSERT ON app.other
	FOR EACH ROW EXECUTE FUNCTION app.evil_trigger();
CREATE RULE evil AS ON UPDATE TO app.other DO ALSO DELETE FROM app.trail;
DROP TABLE app.before;
CREATE TABLE app.before AS SELECT app.fingerprint();
SELECT s, app.try(s) FROM unnest(ARRAY[
	'SELECT app.evil()',
	'SELECT app.evil_loop()',
	'EXECUTE evil_prepared',
	'INSERT INTO app.other VALUES (1)',
	'UPDATE app.other SET id = 2',
	'DO $x$ BEGIN TRUNCATE app.trail; END $x$'
]) AS s;
SET session_replication_role = replica;
SELECT s, app.try(s) FROM unnest(ARRAY[
	'UPDATE app.trail SET note = ''x''',
	'DELETE FROM app.trail',
	'DELETE FROM app.account',
	'TRUNCATE app.trail',
	'TRUNCATE llm_audit.llm_call_prod_default'
]) AS s WHERE s <> 'DELETE FROM app.account';
RESET session_replication_role;

-- dropping
SELECT s, app.try(s) FROM unnest(ARRAY[
	'DROP TABLE app.trail',
	'DROP TABLE app.trail CASCADE',
	'DROP TABLE IF EXISTS app.other, app.trail CASCADE',
	'DROP TABLE llm_audit.llm_call',
	'DROP TABLE llm_audit.llm_call_prod CASCADE',
	'DROP TABLE llm_audit.llm_call_prod_default',
	'DROP TABLE llm_audit.llm_call_unknown',
	'DROP SCHEMA app CASCADE',
	'DROP SCHEMA llm_audit CASCADE',
	'DROP EXTENSION llm_audit',
	'DROP EXTENSION llm_audit CASCADE',
	'DROP OWNED BY llm_audit_owner',
	'DROP OWNED BY llm_audit_owner CASCADE',
	'DROP INDEX app.trail_lane_idx',
	'DROP INDEX app.trail_id_idx',
	'DROP INDEX llm_audit.llm_call_prod_default_lane_idx',
	'DROP TRIGGER llm_audit_guard ON app.trail',
	'DROP TRIGGER llm_audit_guard_row ON app.trail',
	'DROP TRIGGER llm_audit_insert ON app.trail',
	'DROP TRIGGER llm_audit_insert ON llm_audit.llm_call CASCADE',
	'DROP TRIGGER llm_audit_guard ON llm_audit.llm_call_prod_default',
	'DROP FUNCTION llm_audit.ledger_guard() CASCADE',
	'DROP FUNCTION app.is_fine(text) CASCADE',
	'DROP DOMAIN app.label CASCADE',
	'DROP TYPE app.label CASCADE',
	'DROP POLICY llm_audit_all ON app.trail',
	'DROP EVENT TRIGGER llm_audit_ddl_end',
	'DROP TABLE llm_audit.ledger',
	'DROP TABLE llm_audit.ledger CASCADE',
	'DROP TRIGGER llm_audit_config ON llm_audit.ledger',
	'TRUNCATE llm_audit.ledger_segment'
]) AS s;

SELECT s, left(app.try(s), 18) FROM unnest(ARRAY[
	'DROP EXTENSION plpgsql CASCADE',
	'REASSIGN OWNED BY llm_audit_owner TO CURRENT_USER'
]) AS s;

-- ALTER TABLE
SELECT s, app.try('ALTER TABLE app.trail ' || s) FROM unnest(ARRAY[
	'ALTER COLUMN n TYPE text',
	'ALTER COLUMN note TYPE varchar(10)',
	'ALTER COLUMN n SET NOT NULL',
	'ALTER COLUMN chain_seq DROP NOT NULL',
	'ALTER COLUMN n ADD GENERATED ALWAYS AS IDENTITY',
	'ALTER COLUMN n SET STORAGE PLAIN',
	'ALTER COLUMN note SET COMPRESSION pglz',
	'ALTER COLUMN id SET DEFAULT gen_random_uuid()',
	'ALTER COLUMN recorded_at DROP DEFAULT',
	'ALTER COLUMN recorded_at SET DEFAULT ''2000-01-01''',
	'ALTER COLUMN chain_lane SET DEFAULT 1',
	'ADD COLUMN extra text DEFAULT ''x''',
	'ADD COLUMN extra serial',
	'ADD COLUMN extra bigserial',
	'ADD COLUMN extra text NOT NULL',
	'ADD COLUMN extra text CHECK (extra <> '''')',
	'ADD COLUMN extra text UNIQUE',
	'ADD COLUMN extra text GENERATED ALWAYS AS (note || ''x'') STORED',
	'ADD COLUMN extra int GENERATED ALWAYS AS IDENTITY',
	'ADD COLUMN extra int REFERENCES app.account',
	'ADD COLUMN fine text, ADD COLUMN extra text DEFAULT ''x''',
	'DROP COLUMN note',
	'DROP COLUMN salt CASCADE',
	'RENAME COLUMN note TO remark',
	'RENAME TO trail2',
	'RENAME CONSTRAINT fine TO finer',
	'SET SCHEMA public',
	'OWNER TO CURRENT_USER',
	'SET UNLOGGED',
	'SET LOGGED',
	'SET ACCESS METHOD heap',
	'SET WITHOUT OIDS',
	'ADD CONSTRAINT u UNIQUE (note)',
	'ADD CONSTRAINT u UNIQUE USING INDEX trail_n',
	'ADD CONSTRAINT u UNIQUE (id) DEFERRABLE',
	'ADD PRIMARY KEY (n)',
	'ADD CONSTRAINT never CHECK (false) NOT VALID',
	'ADD CONSTRAINT x EXCLUDE USING btree (n WITH =)',
	'ADD FOREIGN KEY (account) REFERENCES app.account ON DELETE CASCADE',
	'DROP CONSTRAINT fine',
	'ALTER CONSTRAINT trail_account_fkey DEFERRABLE',
	'DISABLE TRIGGER llm_audit_insert',
	'DISABLE TRIGGER ALL',
	'DISABLE TRIGGER USER',
	'ENABLE TRIGGER ALL',
	'ENABLE TRIGGER USER',
	'ENABLE TRIGGER llm_audit_guard',
	'ENABLE REPLICA TRIGGER llm_audit_guard_row',
	'DISABLE RULE x',
	'ENABLE ALWAYS RULE x',
	'INHERIT app.parent',
	'NO INHERIT app.parent',
	'OF app.label',
	'NOT OF',
	'REPLICA IDENTITY NOTHING',
	'REPLICA IDENTITY DEFAULT',
	'REPLICA IDENTITY FULL',
	'REPLICA IDENTITY USING INDEX trail_id_idx',
	'DISABLE ROW LEVEL SECURITY',
	'NO FORCE ROW LEVEL SECURITY',
	'ALTER COLUMN n SET STATISTICS 10, DROP COLUMN note'
]) AS s;
SELECT s, app.try(s) FROM unnest(ARRAY[
	'ALTER TABLE llm_audit.llm_call DETACH PARTITION llm_audit.llm_call_prod',
	'ALTER TABLE llm_audit.llm_call_prod DETACH PARTITION llm_audit.llm_call_prod_default',
	'ALTER TABLE llm_audit.llm_call_prod DETACH PARTITION llm_audit.llm_call_prod_default FINALIZE',
	'CREATE TABLE app.forged PARTITION OF llm_audit.llm_call FOR VALUES IN (''forged'')',
	'CREATE TABLE app.forged PARTITION OF llm_audit.llm_call_prod FOR VALUES FROM (''2000-01-01'') TO (''2000-02-01'')',
	'CREATE TABLE app.forged () INHERITS (app.trail)',
	'CREATE TABLE app.forged (LIKE llm_audit.llm_call INCLUDING ALL);
		ALTER TABLE llm_audit.llm_call ATTACH PARTITION app.forged FOR VALUES IN (''forged'')',
	'ALTER TABLE app.other INHERIT app.trail',
	'CREATE TABLE app.thief (LIKE app.trail) PARTITION BY LIST (n);
		ALTER TABLE app.thief ATTACH PARTITION app.trail DEFAULT',
	'ALTER TABLE llm_audit.llm_call_prod_default DISABLE TRIGGER ALL',
	'ALTER TABLE ONLY llm_audit.llm_call DISABLE TRIGGER llm_audit_insert',
	'ALTER TABLE llm_audit.llm_call_prod_default SET UNLOGGED',
	'ALTER TABLE llm_audit.llm_call ADD COLUMN extra text DEFAULT ''x''',
	'ALTER TABLE llm_audit.llm_call_prod RENAME TO x',
	'ALTER VIEW app.trail RENAME TO x',
	'ALTER INDEX app.trail_lane_idx RENAME TO x',
	'ALTER INDEX app.trail_n RENAME TO x',
	'ALTER TABLE app.trail_lane_idx RENAME TO x',
	'ALTER TRIGGER llm_audit_guard ON app.trail RENAME TO x',
	'ALTER TRIGGER llm_audit_guard ON app.trail DEPENDS ON EXTENSION plpgsql',
	'ALTER INDEX app.trail_lane_idx DEPENDS ON EXTENSION plpgsql',
	'ALTER SCHEMA app RENAME TO app2',
	'ALTER SCHEMA llm_audit RENAME TO app2',
	'ALTER SCHEMA llm_audit OWNER TO llm_audit_owner',
	'ALTER EXTENSION llm_audit SET SCHEMA app',
	'ALTER EXTENSION llm_audit DROP FUNCTION llm_audit.ledger_guard()',
	'ALTER EXTENSION llm_audit DROP TABLE llm_audit.ledger',
	'ALTER EXTENSION llm_audit ADD TABLE app.trail',
	'ALTER EXTENSION plpgsql ADD TABLE app.trail',
	'ALTER FUNCTION llm_audit.ledger_guard() RENAME TO x',
	'ALTER FUNCTION llm_audit.ledger_guard() OWNER TO llm_audit_owner',
	'ALTER FUNCTION llm_audit.ledger_guard() SET SCHEMA app',
	'ALTER FUNCTION llm_audit.ledger_guard() COST 7',
	'ALTER FUNCTION llm_audit.now() IMMUTABLE',
	'ALTER FUNCTION llm_audit.ledger_guard() DEPENDS ON EXTENSION plpgsql',
	'CREATE OR REPLACE FUNCTION llm_audit.ledger_guard() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NULL; END''',
	'CREATE OR REPLACE FUNCTION llm_audit.require_superuser() RETURNS void LANGUAGE sql AS ''''',
	'ALTER EVENT TRIGGER llm_audit_ddl_end DISABLE',
	'ALTER EVENT TRIGGER llm_audit_ddl_end RENAME TO x',
	'ALTER POLICY llm_audit_all ON app.trail USING (false)',
	'ALTER POLICY llm_audit_all ON app.trail RENAME TO x',
	'ALTER TABLE llm_audit.ledger DISABLE TRIGGER ALL',
	'ALTER TABLE llm_audit.ledger ENABLE ROW LEVEL SECURITY',
	'ALTER TABLE llm_audit.ledger ADD COLUMN extra text',
	'ALTER TABLE llm_audit.ledger RENAME TO ledger2',
	'ALTER TABLE llm_audit.ledger OWNER TO llm_audit_owner',
	'ALTER TYPE app.trail RENAME ATTRIBUTE note TO remark',
	'ALTER TYPE app.trail OWNER TO llm_audit_owner',
	'ALTER TYPE app.trail SET SCHEMA public'
]) AS s;

SELECT app.try(format('ALTER TABLE app.trail DISABLE TRIGGER %I', tgname))
	FROM pg_trigger WHERE tgrelid = 'app.trail'::regclass AND tgisinternal;

-- rules, triggers, unique indexes
SELECT s, app.try(s) FROM unnest(ARRAY[
	'CREATE RULE quiet AS ON INSERT TO app.trail DO INSTEAD NOTHING',
	'CREATE OR REPLACE RULE quiet AS ON DELETE TO app.trail DO ALSO SELECT 1',
	'CREATE RULE "_RETURN" AS ON SELECT TO llm_audit.llm_call_prod_default DO INSTEAD SELECT * FROM app.parent',
	'CREATE RULE quiet AS ON INSERT TO llm_audit.llm_call DO INSTEAD NOTHING',
	'CREATE RULE quiet AS ON INSERT TO llm_audit.ledger DO INSTEAD NOTHING',
	'CREATE TRIGGER mine BEFORE INSERT ON app.trail FOR EACH ROW EXECUTE FUNCTION app.after_insert()',
	'CREATE TRIGGER mine BEFORE INSERT ON app.trail FOR EACH STATEMENT EXECUTE FUNCTION app.after_insert()',
	'CREATE TRIGGER mine BEFORE INSERT ON llm_audit.llm_call FOR EACH ROW EXECUTE FUNCTION app.after_insert()',
	'CREATE TRIGGER mine BEFORE UPDATE ON llm_audit.llm_call_prod_default FOR EACH ROW EXECUTE FUNCTION app.after_insert()',
	'CREATE TRIGGER mine BEFORE INSERT ON app.trail FOR EACH ROW EXECUTE FUNCTION llm_audit.ledger_insert()',
	'CREATE TRIGGER mine AFTER INSERT ON app.trail FOR EACH ROW EXECUTE FUNCTION llm_audit.ledger_insert()',
	'CREATE OR REPLACE TRIGGER llm_audit_guard AFTER INSERT ON app.trail FOR EACH STATEMENT EXECUTE FUNCTION app.after_insert()',
	'CREATE OR REPLACE TRIGGER llm_audit_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON app.trail FOR EACH STATEMENT EXECUTE FUNCTION llm_audit.ledger_guard()',
	'CREATE OR REPLACE TRIGGER llm_audit_insert BEFORE INSERT ON llm_audit.llm_call FOR EACH ROW EXECUTE FUNCTION llm_audit.ledger_insert()',
	'CREATE OR REPLACE TRIGGER llm_audit_guard_row BEFORE UPDATE ON app.trail FOR EACH ROW WHEN (false) EXECUTE FUNCTION llm_audit.ledger_guard_row()',
	'CREATE OR REPLACE TRIGGER llm_audit_guard_row BEFORE UPDATE OF n ON app.trail FOR EACH ROW EXECUTE FUNCTION llm_audit.ledger_guard_row()',
	'CREATE OR REPLACE TRIGGER llm_audit_config AFTER INSERT ON llm_audit.ledger FOR EACH ROW EXECUTE FUNCTION app.after_insert()',
	'CREATE TRIGGER mine BEFORE INSERT ON llm_audit.ledger FOR EACH ROW EXECUTE FUNCTION app.after_insert()',
	'CREATE UNIQUE INDEX ON app.trail (note)',
	'CREATE UNIQUE INDEX ON app.trail (n, account)',
	'CREATE UNIQUE INDEX ON app.trail ((id::text))',
	'CREATE UNIQUE INDEX ON app.trail (chain_seq)',
	'CREATE UNIQUE INDEX ON app.trail (n) INCLUDE (id)',
	'CREATE UNIQUE INDEX ON llm_audit.llm_call_prod_default (request_id)',
	'CREATE UNIQUE INDEX ON llm_audit.llm_call (environment, recorded_at)',
	'CREATE INDEX ON app.trail (app.tell(note))',
	'CREATE INDEX ON app.trail USING hash (app.tell(note))',
	'CREATE INDEX ON app.trail (n) WHERE app.tell(note) IS NOT NULL',
	'CREATE INDEX ON app.trail ((note::app.telling))',
	'CREATE INDEX ON app.trail (note app.telling_ops)',
	'CREATE INDEX ON llm_audit.llm_call (app.tell(request_id))',
	'CREATE STATISTICS app.told ON (app.tell(note)), n FROM app.trail'
]) AS s;

SELECT 'everything as before: ' || (app.fingerprint() = fingerprint) FROM app.before;
SELECT count(*), sum(n), min(note), min(secret) FROM app.trail;

-- a foreign key that cascades, as a dump could bring it back
SET llm_audit.restore = on;
CREATE TABLE app.payer (id int PRIMARY KEY);
INSERT INTO app.payer VALUES (1);
ALTER TABLE app.trail ADD CONSTRAINT cascading FOREIGN KEY (account)
	REFERENCES app.payer ON DELETE CASCADE ON UPDATE CASCADE;
RESET llm_audit.restore;
SELECT s, app.try(s) FROM unnest(ARRAY[
	'DELETE FROM app.payer',
	'UPDATE app.payer SET id = 2'
]) AS s;

-- as owner and as writer
CREATE TABLE app.outsider (id int);
ALTER TABLE app.outsider OWNER TO llm_audit_owner;
SET ROLE llm_audit_owner;
SELECT s, app.try(s) FROM unnest(ARRAY[
	'UPDATE app.trail SET note = ''x''',
	'DELETE FROM app.trail',
	'TRUNCATE app.trail',
	'DROP TABLE app.trail',
	'ALTER TABLE app.trail DISABLE TRIGGER ALL',
	'ALTER TABLE app.trail SET UNLOGGED',
	'CREATE RULE quiet AS ON INSERT TO app.trail DO INSTEAD NOTHING',
	'ALTER TABLE app.outsider ADD COLUMN x text DEFAULT ''y''',
	'DROP TABLE app.outsider'
]) AS s;
SET ROLE llm_audit_writer;
SELECT s, app.try(s) FROM unnest(ARRAY[
	'UPDATE app.trail SET note = ''x''',
	'DELETE FROM app.trail',
	'TRUNCATE app.trail',
	'INSERT INTO app.trail (n) VALUES (1) ON CONFLICT (id) DO UPDATE SET note = ''x''',
	'DROP TABLE app.trail',
	'ALTER TABLE app.trail DISABLE TRIGGER ALL',
	'DELETE FROM llm_audit.llm_call'
]) AS s;
RESET ROLE;
SELECT count(*), sum(n), min(note), min(secret) FROM app.trail;

-- a registry that has lost its ledgers leaves them guarded
SELECT s, app.try('DELETE FROM llm_audit.ledger_segment; DELETE FROM llm_audit.ledger; ' || s)
	FROM unnest(ARRAY[
	'SELECT 1',
	'DROP TABLE app.trail CASCADE',
	'DROP TABLE llm_audit.llm_call',
	'DROP SCHEMA app CASCADE',
	'DROP EXTENSION llm_audit CASCADE',
	'DROP TRIGGER llm_audit_guard_row ON app.trail',
	'ALTER TABLE app.trail DISABLE TRIGGER ALL',
	'DELETE FROM app.trail',
	'TRUNCATE app.trail'
]) AS s;

-- an open door is open for its own statement only, not for what others have
-- attached to it
CREATE TABLE app.bystander (n int);
SELECT llm_audit.create_ledger('app.bystander');
INSERT INTO app.bystander (n) VALUES (1);
CREATE FUNCTION app.lurk() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION '%', app.try('DROP TABLE app.trail CASCADE') || '; ' || app.try('DELETE FROM app.trail')
		|| '; ' || app.try('ALTER TABLE app.trail DISABLE TRIGGER ALL');
END
$$;
CREATE EVENT TRIGGER lurk ON sql_drop EXECUTE FUNCTION app.lurk();
SELECT app.try('SELECT llm_audit.drop_ledger(''app.bystander'', ''why not'')');
DROP EVENT TRIGGER lurk;

-- the doors open
DROP VIEW app.trail_view;
DROP TABLE app.other;
SELECT llm_audit.drop_ledger('app.trail', 'test is over');
SELECT to_regclass('app.trail') IS NULL;
SELECT llm_audit.uninstall('test is over');
DROP EXTENSION llm_audit CASCADE;
\c postgres
DROP DATABASE guard_refused WITH (FORCE);
