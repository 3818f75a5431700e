-- Which tables can become ledgers, and what that makes of them.
\set VERBOSITY terse
\set origin :DBNAME
CREATE DATABASE ledger_enroll TEMPLATE template0 ENCODING 'UTF8';
\c ledger_enroll
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
CREATE FUNCTION try(statement text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	message text;
BEGIN
	EXECUTE statement;
	RETURN 'done';
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
	RETURN SQLSTATE || ' ' || message;
END
$$;
CREATE TABLE early (n int);
SELECT try('SELECT llm_audit.create_ledger(''early'')');
SELECT count(*) > 0 AS made FROM llm_audit.setup();

-- what is refused, and why
CREATE VIEW a_view AS SELECT 1 AS n;
CREATE MATERIALIZED VIEW a_matview AS SELECT 1 AS n;
CREATE SEQUENCE a_sequence;
CREATE TEMP TABLE a_temp (n int);
CREATE UNLOGGED TABLE an_unlogged (n int);
CREATE TABLE a_parent (n int);
CREATE TABLE a_child () INHERITS (a_parent);
CREATE TABLE a_partitioned (environment text, n int) PARTITION BY LIST (environment);
CREATE TABLE a_partition PARTITION OF a_partitioned FOR VALUES IN ('prod');
CREATE TABLE filled (n int);
INSERT INTO filled VALUES (1);
CREATE TABLE with_rule (n int);
CREATE RULE loud AS ON INSERT TO with_rule DO ALSO NOTIFY loud;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
CREATE TABLE with_before (n int);
CREATE TRIGGER "Early Bird" BEFORE INSERT ON with_before FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TABLE with_unique (n int UNIQUE);
CREATE TABLE with_exclusion (n int, EXCLUDE USING btree (n WITH =));
CREATE TABLE with_partial (id uuid, n int);
CREATE UNIQUE INDEX ON with_partial (id) WHERE n > 1;
CREATE TABLE with_deferred (id uuid PRIMARY KEY DEFERRABLE, n int);
CREATE TABLE target (n int PRIMARY KEY);
CREATE TABLE with_cascade (n int REFERENCES target ON DELETE CASCADE);
CREATE TABLE with_set_null (n int REFERENCES target ON UPDATE SET NULL);
CREATE TABLE with_point (n int, place point);
CREATE TYPE mood AS ENUM ('ok');
CREATE TABLE with_enum (m mood);
CREATE TABLE with_money (m money);
CREATE TABLE with_range (r int4range[]);
CREATE TABLE with_id (id int);
CREATE TABLE with_time (recorded_at timestamp);
CREATE TABLE with_known_int (n int, known_values int);
CREATE TABLE with_known_text (n int, known_values text);
CREATE TABLE with_known_varchars (n int, known_values varchar[]);
CREATE TABLE with_known_generated (n int, known_values text[] GENERATED ALWAYS AS ('{}') STORED);
CREATE TABLE with_known_required (n int, known_values text[] NOT NULL);
CREATE TABLE by_hash (environment text, n int) PARTITION BY HASH (environment);
CREATE TABLE by_other (env text, n int) PARTITION BY LIST (env);
CREATE TABLE by_expression (environment text, n int) PARTITION BY LIST (lower(environment));
CREATE TABLE by_varchar (environment varchar(10), n int) PARTITION BY LIST (environment);
CREATE TABLE "a_table_with_a_name_of_31_letters" (environment text) PARTITION BY LIST (environment);
CREATE TABLE "журнал_событий_шлюза" (environment text) PARTITION BY LIST (environment);
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER nowhere FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE a_foreign (n int) SERVER nowhere;
SELECT t, try(format('SELECT llm_audit.create_ledger(%L)', t)) FROM unnest('{a_view,
	a_matview,a_sequence,a_temp,an_unlogged,a_parent,a_child,a_partitioned,a_partition,
	filled,with_rule,with_before,with_unique,with_exclusion,with_partial,with_deferred,
	with_cascade,with_set_null,with_point,with_enum,with_money,with_range,with_id,with_time,
	with_known_int,with_known_text,with_known_varchars,with_known_generated,with_known_required,
	by_hash,by_other,by_expression,by_varchar,a_table_with_a_name_of_31_letters,журнал_событий_шлюза,
	a_foreign,llm_audit.environment,pg_catalog.pg_statistic,llm_audit.settlement,
	llm_audit.settlement_prod}'::text[]) t;
SELECT try('SELECT llm_audit.create_ledger(NULL)');
-- a refused table is as it was
SELECT attname FROM pg_attribute WHERE attrelid = 'with_id'::regclass AND attnum > 0;
SELECT count(*) FROM llm_audit.ledger WHERE NOT builtin;

-- arguments
CREATE TABLE plain (n int NOT NULL, note text, twice int GENERATED ALWAYS AS (2) STORED, "Odd ""name""" text);
CREATE INDEX ON plain (note);
CREATE INDEX ON plain (lower("Odd ""name"""));
SELECT width, try(format('SELECT llm_audit.create_ledger(''plain'', segment_width => %L)', width))
	FROM unnest('{0,-1 day,59 minutes,90 minutes,1 hour 0.5 seconds,1 month 1 day,1 month -1 day,11 years,1000 years}'::text[]) width;
SELECT try('SELECT llm_audit.create_ledger(''plain'', segment_width => NULL)');
SELECT try('SELECT llm_audit.create_ledger(''plain'', retention => ''0'')');
SELECT try('SELECT llm_audit.create_ledger(''plain'', retention => ''-1 day'')');
SELECT c, try(format('SELECT llm_audit.create_ledger(''plain'', erasable => ARRAY[%L])', c))
	FROM unnest('{nothing,n,twice,id,salt,recorded_at,environment,note,"Odd \"name\""}'::text[]) c;
CREATE ROLE enroll_user;
GRANT llm_audit_admin TO enroll_user;
CREATE SCHEMA theirs AUTHORIZATION enroll_user;
SET ROLE enroll_user;
CREATE TABLE theirs.own (n int);
SELECT llm_audit.create_ledger('theirs.own');
SELECT llm_audit.enroll('theirs.own', 'plain', false, NULL, '{}', '1 month');
SELECT llm_audit.attach_segment('theirs.own', 'x', NULL, NULL);
SELECT llm_audit.setup();
SELECT llm_audit.add_environment('mine');
SELECT llm_audit.drop_ledger('llm_audit.settlement', 'because');
SELECT llm_audit.uninstall('because');
SELECT llm_audit.release_relation('llm_audit.settlement', 'because', 'enroll_user');
CALL llm_audit.make_segments();
RESET ROLE;

-- A table of somebody's: its owner may go on using it, nothing more, and
-- what others could do to it is gone.
CREATE ROLE enroll_other;
GRANT ALL ON theirs.own TO enroll_other WITH GRANT OPTION;
GRANT UPDATE (n), SELECT (n), REFERENCES (n) ON theirs.own TO enroll_user;
GRANT SELECT, TRIGGER ON theirs.own TO PUBLIC;
SELECT llm_audit.create_ledger('theirs.own');
SELECT relowner::regrole FROM pg_class WHERE oid = 'theirs.own'::regclass;
SELECT CASE WHEN x.grantee = 0 THEN 'public' ELSE x.grantee::regrole::text END AS grantee,
		string_agg(x.privilege_type, ', ' ORDER BY x.privilege_type) AS privileges
	FROM pg_class c, aclexplode(c.relacl) x WHERE c.oid = 'theirs.own'::regclass
		AND x.grantee <> c.relowner GROUP BY 1 ORDER BY 1;
SELECT attname, attacl FROM pg_attribute WHERE attrelid = 'theirs.own'::regclass AND attacl IS NOT NULL;
SET ROLE enroll_user;
INSERT INTO theirs.own (n) VALUES (1);
SELECT n, chain_seq FROM theirs.own;
ALTER TABLE theirs.own ADD COLUMN mine int;
CREATE TRIGGER mine BEFORE INSERT ON theirs.own FOR EACH ROW EXECUTE FUNCTION nothing();
DROP TABLE theirs.own;
RESET ROLE;

-- A plain one: what is added and what stays
DROP INDEX plain_note_idx, plain_lower_idx;
CREATE INDEX plain_lane_idx ON plain (n);
ALTER TABLE plain ADD COLUMN before int DEFAULT 5;
ALTER TABLE plain DROP COLUMN note;
SELECT llm_audit.create_ledger('plain', erasable => '{"Odd \"name\""}');
SELECT attname, format_type(atttypid, atttypmod) AS type, attnotnull AS required, attstattarget IS NOT DISTINCT FROM 0 AS no_statistics
	FROM pg_attribute WHERE attrelid = 'plain'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'plain'::regclass ORDER BY 1;
SELECT indexrelid::regclass, indisreplident, pg_get_indexdef(indexrelid) FROM pg_index
	WHERE indrelid = 'plain'::regclass ORDER BY 1;
SELECT column_number, column_name, type_oid::regtype, erasable FROM llm_audit.ledger_column
	JOIN llm_audit.ledger l USING (ledger_id) WHERE l.relation_name = 'plain' ORDER BY 1;
SELECT try('SELECT llm_audit.create_ledger(''plain'')');
INSERT INTO plain (n, "Odd ""name""") VALUES (1, 'x');
SELECT n, twice, "Odd ""name""", before, chain_seq FROM plain;

-- Every type, domains over them, in a table of an awkward name, in another
-- schema, with dropped columns, made with search_path pointing elsewhere
CREATE SCHEMA "Odd ""schema""";
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE DOMAIN very_positive AS positive CHECK (value > 10);
CREATE TABLE "Odd ""schema""". "Select ""this"" é" (gone int, environment text, also_gone text,
	d very_positive, c char(3), v varchar(10), n numeric(10, 2), f real, ts timestamp, t time, i interval, a inet[],
	j json, jb jsonb, u uuid, b bytea)
	PARTITION BY LIST (environment);
ALTER TABLE "Odd ""schema""". "Select ""this"" é" DROP COLUMN gone, DROP COLUMN also_gone;
SET search_path = theirs, pg_temp;
SELECT llm_audit.create_ledger('"Odd ""schema""". "Select ""this"" é"', erasable => '{v}');
RESET search_path;
INSERT INTO "Odd ""schema""". "Select ""this"" é"
	VALUES ('prod', 11, 'x', 'v', 1.5, 'NaN', '2026-01-01', '12:00', '1 day', '{10.0.0.1,NULL}', '{"a": 1}', '{"b":  2}', llm_audit.uuid7(), '\x00');
SELECT try($$INSERT INTO "Odd ""schema""". "Select ""this"" é" (environment) VALUES ('Prod')$$);
SELECT d, c, v, n, f, length(salt), chain_seq FROM "Odd ""schema""". "Select ""this"" é";
SELECT leaf, count(*) AS tables, count(DISTINCT i.relname) AS indexes, bool_and(c.relowner = 'llm_audit_owner'::regrole) AS owned,
		bool_and(has_table_privilege('llm_audit_writer', c.oid, 'INSERT')) AS direct
	FROM pg_class c CROSS JOIN regexp_replace(c.relname, '_2\d+', '_*') AS leaf
	LEFT JOIN pg_index x ON x.indrelid = c.oid AND x.indisreplident
	LEFT JOIN pg_class i ON i.oid = x.indexrelid
	WHERE c.relnamespace = '"Odd ""schema"""'::regnamespace AND c.relkind IN ('r', 'p')
	GROUP BY leaf ORDER BY leaf COLLATE "C";
SELECT attname, attnotnull FROM pg_attribute
	WHERE attrelid = '"Odd ""schema""". "Select ""this"" é"'::regclass AND attname = 'environment';
SELECT * FROM llm_audit.verify();

-- What the trigger reads values to mask from has to be an array of text: in a
-- column that is added later, and where the catalogs were changed by hand.
CREATE TABLE hearing (n int, other int, noted text[]);
SELECT llm_audit.create_ledger('hearing');
SELECT t, try(format('ALTER TABLE hearing ADD COLUMN known_values %s', t))
	FROM unnest('{int8,text,varchar[],text[] NOT NULL,text[]}'::text[]) t;
INSERT INTO hearing (n, known_values) VALUES (1, '{Ospanova}');
SELECT n, other, noted, known_values FROM hearing;
SELECT * FROM llm_audit.verify('hearing');
CREATE TABLE deaf (n int, other int);
SELECT llm_audit.create_ledger('deaf');
SET allow_system_table_mods = on;
UPDATE pg_attribute SET attname = 'known_values' WHERE attrelid = 'deaf'::regclass AND attname = 'other';
RESET allow_system_table_mods;
SELECT try('INSERT INTO deaf (n, known_values) VALUES (1, 42)');
DELETE FROM llm_audit.ledger_column WHERE column_name = 'other'
	AND ledger_id = (SELECT ledger_id FROM llm_audit.ledger WHERE relation_name = 'deaf');
SELECT try('INSERT INTO deaf (n, known_values) VALUES (1, 42)');
SELECT n FROM deaf;

-- names of segments that are as long as a name can be
CREATE TABLE "a_table_with_a_name_of_30_lette" (environment text, n int) PARTITION BY LIST (environment);
ALTER TABLE "a_table_with_a_name_of_30_lette" RENAME TO a_table_with_a_name_of_30_char;
SELECT llm_audit.create_ledger('a_table_with_a_name_of_30_char', segment_width => '10 days');
SELECT llm_audit.add_environment('environment_of_21_let');
INSERT INTO a_table_with_a_name_of_30_char (environment, n) VALUES ('environment_of_21_let', 1);
SELECT max(length(relation_name)) AS longest, count(*) > 9 AS many, count(DISTINCT relation_name) = count(*) AS distinct
	FROM llm_audit.ledger_segment WHERE environment = 'environment_of_21_let'
		AND relation_name LIKE 'a_table%';
-- names that two ledgers or environments would share
CREATE TABLE trail (environment text) PARTITION BY LIST (environment);
CREATE TABLE trail_prod (n int);
SELECT try('SELECT llm_audit.create_ledger(''trail'')');
DROP TABLE trail_prod;
SELECT llm_audit.create_ledger('trail');
SELECT llm_audit.add_environment('eu_west');
CREATE TABLE trail_eu (environment text) PARTITION BY LIST (environment);
SELECT llm_audit.create_ledger('trail_eu');
SELECT try('SELECT llm_audit.add_environment(''west'')');
SELECT e, try(format('SELECT llm_audit.add_environment(%L)', e))
	FROM unnest('{prod,Prod,"",1st,a-b,unknown,default,prod_default,prod_20260101,prod_2026010112,an_environment_of_22_ch}'::text[]) e;
SELECT try('SELECT llm_audit.add_environment(NULL)');
SELECT name FROM llm_audit.environment ORDER BY 1;

\c :origin
DROP DATABASE ledger_enroll WITH (FORCE);
DROP ROLE enroll_user, enroll_other;
