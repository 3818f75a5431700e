-- A second computation of every hash, by docs/rehash.sql and pgcrypto alone,
-- against what the trigger stored and row_preimage() returns; and the same
-- rows under every setting that changes how values are shown.
\set VERBOSITY terse
CREATE DATABASE verify_pgcrypto TEMPLATE template0 ENCODING 'UTF8';
-- what is hashed is what is stored: here, what was written
ALTER DATABASE verify_pgcrypto SET llm_audit.masking = off;
\c verify_pgcrypto
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
CREATE EXTENSION pgcrypto;
SELECT count(*) > 0 AS made FROM llm_audit.setup();
\getenv srcdir PG_ABS_SRCDIR
\set rehash :srcdir '/../docs/rehash.sql'
\set ECHO none
\i :rehash
\set ECHO all

CREATE DOMAIN amount AS numeric;
CREATE TABLE every_type (
	a_text text, a_varchar varchar(10), a_bpchar char(8), a_json json,
	a_jsonb jsonb, a_bool boolean, an_int2 int2, an_int4 int4, an_int8 int8,
	a_numeric numeric, a_float4 float4, a_float8 float8, a_uuid uuid,
	a_bytea bytea, a_date date, a_time time, a_timestamp timestamp,
	a_timestamptz timestamptz, an_interval interval, an_inet inet,
	a_cidr cidr, a_domain amount, texts text[], ints int[], numerics numeric[],
	jsonbs jsonb[], byteas bytea[], bpchars char(3)[], inets inet[],
	floats float8[], times timestamptz[], bools boolean[], uuids uuid[],
	secret text, secret_number numeric, secrets text[],
	generated int GENERATED ALWAYS AS (an_int4 * 2) STORED);
SELECT llm_audit.create_ledger('every_type',
	erasable => '{secret,secret_number,secrets}');

-- every supported base type stands in the table, and in an array if it can
SELECT string_agg(t.typname, ' ') AS untested FROM pg_type t
WHERE llm_audit.encodable(t.oid) AND t.typelem = 0 AND NOT EXISTS (
	SELECT FROM llm_audit.ledger_column c WHERE c.type_oid = t.oid);

INSERT INTO every_type (a_text) VALUES ('x'), (''), (NULL), (E'\u00fcn\u00ef \U0001f389');
INSERT INTO every_type VALUES ('text', 'vc', 'bp', '{"b": 1,  "a":2}',
	'{"b": 1,  "a":2, "n":[1.50, null, true, "x\n"]}', true, -2, 3, -8,
	'12.3400', 'NaN', '-0', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
	'\xdeadbeef', '2020-02-29', '23:59:59.999999', 'infinity', '-infinity',
	'1 year 2 mons -3 days 04:05:06.7', '192.168.0.1/24', '2001:db8::/32',
	'1.10', '{a,NULL,"c d"}', '[2:3][-1:0]={{1,2},{3,4}}',
	'{1.10,NaN,Infinity}', ARRAY['{"x": 1}'::jsonb, NULL],
	ARRAY['\x00'::bytea], '{a,bc}', '{::1,10.0.0.0/8}', '{NaN,-0,Infinity}',
	'{2020-01-01 00:00+00,infinity}', '{t,NULL,f}',
	'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}', 'secret', '0.10', '{s1,s2}');
INSERT INTO every_type (a_numeric, a_float8, texts, a_date, an_interval, a_bool) VALUES
	('NaN', 'Infinity', '{}', 'infinity', '-1 day', false),
	('-Infinity', '-Infinity', '{NULL}', '-infinity', '178000000 years', NULL),
	('0.000', 'NaN', '{""}', NULL, '0', true),
	(-1e-20, 1e308, NULL, '4000-01-01 BC', NULL, true),
	(0, '-0', '{{a},{b}}', '5874897-12-31', '1 month', true);
INSERT INTO every_type (a_numeric) VALUES (1), (1.0), (1.00), ('1e131071'), ('1e-16383');
-- compressed, out of line, neither
INSERT INTO every_type (a_text, a_bytea, a_jsonb)
	VALUES (repeat('abc', 1000000), decode(repeat('00ff', 500000), 'hex'),
		jsonb_build_object('k', repeat('z', 100000)));
-- documents of every shape: their text is the server's to the byte
INSERT INTO every_type (a_jsonb) VALUES ('{}'), ('[]'), ('null'), ('"x"'), ('1.50'), ('true'), ('false'), ('""'),
	('[[]]'), ('[{}, [], {"a": {}}]'), ('{"a": {"b": [1, 2, {"c": null}]}, "aa": true, "": "e", "k\"ey\n": 1e400,
		"b": [false, "q\"\\\/\b\f\n\r\t\u0001\u001f\u007f\u00e9\u4e2d", -0.0, 1e-5]}');
INSERT INTO every_type (a_jsonb)
	SELECT jsonb_object_agg('k' || i || repeat('z', i % 7), CASE i % 9
		WHEN 0 THEN to_jsonb(i) WHEN 1 THEN to_jsonb(repeat(chr(1 + (i * 7) % 200), i % 50))
		WHEN 2 THEN 'null' WHEN 3 THEN to_jsonb(i % 2 = 0) WHEN 4 THEN to_jsonb(ARRAY[i, i + 1])
		WHEN 5 THEN jsonb_build_object('n', i::numeric / 7, 's', repeat(E'"\\', i % 5))
		WHEN 6 THEN '[]' WHEN 7 THEN '{}' ELSE to_jsonb(-i * 1.5e10) END)
	FROM generate_series(1, 60) AS g, generate_series(1, g * 2) AS i GROUP BY g;
INSERT INTO every_type (a_jsonb)
	SELECT jsonb_agg(md5((g * i)::text) ORDER BY i) FROM generate_series(1, 5) AS g, generate_series(1, g * 100) AS i
	GROUP BY g;
-- numbers of every shape
INSERT INTO every_type (a_numeric, numerics, secret_number, a_jsonb)
	SELECT v, ARRAY[v, -v, NULL], v, to_jsonb(v)
	FROM generate_series(1, 1100, 5) AS i CROSS JOIN LATERAL (SELECT CASE i % 11
		WHEN 0 THEN i::numeric / 7 WHEN 1 THEN i - 500
		WHEN 2 THEN round(1000000 / i::numeric, i % 30) WHEN 3 THEN -('1e' || (i % 400))::numeric
		WHEN 4 THEN ('1.5e-' || (i % 300))::numeric WHEN 5 THEN ('0.' || repeat('0', i % 40))::numeric
		WHEN 6 THEN (repeat('9', 1 + i % 90) || '.' || repeat('7', i % 33))::numeric
		WHEN 7 THEN -(repeat('1', 1 + i % 20) || repeat('0', i % 50) || '.' || repeat('0', i % 21) || '5')::numeric
		WHEN 8 THEN ('0.' || repeat('0', i % 77) || '123450000')::numeric
		WHEN 9 THEN i * 10000 ELSE ('-0.' || repeat('1', i % 900 + 1))::numeric END AS v) AS x;
INSERT INTO every_type (a_text, secret)
	SELECT string_agg(md5(i::text), ''), string_agg(md5(i::text), '')
	FROM generate_series(1, 3000) i;

-- a value of 100 MB
CREATE TABLE huge (a_text text);
SELECT llm_audit.create_ledger('huge');
INSERT INTO huge (a_text) VALUES (repeat('0123456789', 10000000));
SELECT bool_and(ok) AS ok, count(*) FROM pg_temp.lar1_check('huge');
SELECT sha256(llm_audit.row_preimage('huge', id)) = row_hash AS ok FROM huge;
SELECT * FROM llm_audit.verify('huge');
SELECT llm_audit.drop_ledger('huge', 'tested');

CREATE VIEW recomputed AS
	SELECT count(*) AS rows,
		count(DISTINCT p.row_hash) AS hashes,
		bool_and(digest(p.preimage, 'sha256') = p.row_hash) AS hash_matches,
		bool_and(p.preimage = llm_audit.row_preimage('every_type', p.id)) AS preimage_matches
	FROM pg_temp.lar1_preimages('every_type') p;
SELECT * FROM recomputed;
SELECT count(*) AS rows, bool_and(ok) AS ok FROM pg_temp.lar1_check('every_type');
SELECT * FROM llm_audit.verify();

-- the built-in ledgers too
SELECT count(*) > 100 AS some_rows, bool_and(c.ok) AS ok
FROM llm_audit.ledger l, pg_temp.lar1_check(format('%I.%I', l.schema_name, l.relation_name)) c;

-- the check can fail
BEGIN;
SET LOCAL allow_system_table_mods = on;
UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = 'every_type'::regclass;
UPDATE pg_class SET reltuples = reltuples WHERE oid = 'every_type'::regclass;
UPDATE every_type SET a_numeric = 1.000 WHERE chain_seq = 11;
UPDATE every_type SET secret = 'Secret' WHERE secret = 'secret';
DELETE FROM every_type WHERE chain_seq = 3;
SELECT seq, hash_ok, link_ok FROM pg_temp.lar1_check('every_type') WHERE NOT ok ORDER BY seq;
SELECT seq, finding FROM llm_audit.verify('every_type')
	WHERE finding <> 'catalog_drift' ORDER BY seq, finding;
ROLLBACK;

-- values that look alike are not the same
SELECT trim_scale(a_numeric) AS a_numeric, count(DISTINCT row_hash) FROM every_type
	WHERE a_numeric = 1 GROUP BY 1;
SELECT a_text = '' AS empty, count(*) FROM every_type
	WHERE a_text = '' OR a_text IS NULL AND chain_seq < 4 GROUP BY 1 ORDER BY 1;

-- the bytes of a preimage do not depend on any setting
CREATE TABLE before AS
	SELECT id, sha256(llm_audit.row_preimage('every_type', id)) AS hash FROM every_type;
CREATE FUNCTION unchanged() RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN count(*) = (SELECT count(*) FROM before) THEN 'same'
		ELSE 'CHANGED' END
	FROM before b WHERE hash = sha256(llm_audit.row_preimage('every_type', id))
$$;
-- and it changes nothing which of them wrote a row
CREATE FUNCTION written() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	copied int;
BEGIN
	INSERT INTO every_type (a_text, a_bpchar, a_json, a_jsonb, a_numeric, a_float4,
			a_float8, a_bytea, a_date, a_timestamp, a_timestamptz, an_interval,
			texts, floats, times)
		SELECT a_text, a_bpchar, a_json, a_jsonb, a_numeric, a_float4, a_float8,
			a_bytea, a_date, a_timestamp, a_timestamptz, an_interval,
			texts, floats, times
		FROM every_type WHERE chain_seq = 5;
	GET DIAGNOSTICS copied = ROW_COUNT;
	RETURN (SELECT copied || ' ' || count(*)
		FROM llm_audit.verify('every_type'));
END
$$;
SELECT unchanged(), written();
SET DateStyle = 'SQL, DMY';
SELECT unchanged(), written();
SET DateStyle = 'German';
SET TimeZone = 'Asia/Kathmandu';
SELECT unchanged(), written();
SET IntervalStyle = 'sql_standard';
SELECT unchanged(), written();
SET IntervalStyle = 'iso_8601';
SET bytea_output = 'escape';
SELECT unchanged(), written();
SET extra_float_digits = -15;
SELECT unchanged(), written();
SET extra_float_digits = 3;
SET xmloption = document;
SET lc_numeric = 'C';
SET lc_monetary = 'C';
SET array_nulls = off;
SET standard_conforming_strings = on;
SELECT unchanged(), written();
SET client_encoding = 'LATIN1';
SELECT unchanged(), written();
SET client_encoding = 'SJIS';
SELECT unchanged(), written();
RESET ALL;
SET client_min_messages = warning;
SELECT bool_and(ok) AS ok, count(*) FROM pg_temp.lar1_check('every_type');
SELECT * FROM llm_audit.verify();

-- text that is not valid UTF-8 does not come in
INSERT INTO every_type (a_text) VALUES (E'\xff');

-- Golden vectors: a row of every type with the hash that it got once, under
-- PostgreSQL 15.  The registry is given the ledger's identity, as a restored or
-- replicated one is, and restore mode takes a row only if its hash is right:
-- whatever the version or architecture, the bytes that are hashed are the same.
CREATE TABLE golden (t text, v varchar(20), c char(6), j json, jb jsonb, b boolean, i2 smallint, i4 int,
	i8 bigint, n numeric, f4 real, f8 double precision, u uuid, y bytea, d date, tm time, ts timestamp,
	tz timestamptz, iv interval, ip inet, net cidr, a text[], m int[], nothing text, secret text, hidden numeric);
INSERT INTO llm_audit.ledger (ledger_id, schema_name, relation_name, role, builtin, partitioned, segment_width)
	VALUES ('344eff79-ce33-4470-8b1b-9eece824bbcd', 'public', 'golden', 'plain', false, false, '1 month');
INSERT INTO llm_audit.ledger_column (ledger_id, column_number, column_name, type_oid, erasable)
	SELECT '344eff79-ce33-4470-8b1b-9eece824bbcd'::uuid, a.attnum, a.attname, a.atttypid, a.attname IN ('secret', 'hidden')
	FROM pg_attribute a WHERE a.attrelid = 'golden'::regclass AND a.attnum > 0
	UNION ALL
	SELECT '344eff79-ce33-4470-8b1b-9eece824bbcd'::uuid, 26 + x.n, x.name, x.type::oid, false
	FROM (VALUES (1, 'id', 'uuid'::regtype), (2, 'recorded_at', 'timestamptz'), (3, 'recorded_by', 'text'),
		(4, 'retain_until', 'timestamptz')) AS x (n, name, type);
INSERT INTO llm_audit.ledger_segment (ledger_id, segment, schema_name, relation_name, environment, lower, upper, is_default)
	VALUES ('344eff79-ce33-4470-8b1b-9eece824bbcd', 1, 'public', 'golden', '', '-infinity', 'infinity', true);
SELECT object, action FROM llm_audit.setup();
BEGIN;
SET LOCAL llm_audit.restore = on;
SET LOCAL intervalstyle = postgres;
SET LOCAL datestyle = ISO;
SET LOCAL standard_conforming_strings = on;
INSERT INTO public.golden (t, v, c, j, jb, b, i2, i4, i8, n, f4, f8, u, y, d, tm, ts, tz, iv, ip, net, a, m, nothing, secret, hidden, id, recorded_at, recorded_by, retain_until, chain_lane, chain_seq, prev_hash, row_hash, salt, erased)
	VALUES ('Schlüssel ключ 🔑', 'v', 'ab    ', '{"b": 1,  "a": [2]}', '{"a": [null, true], "b": 1.50}', true, -2, 2147483647, -9223372036854775808, -12345678901234567890.1234500, 'NaN', '-0', '00000000-0000-4000-8000-000000000001', '\x00ff', 'infinity', '23:59:59.999999', '0044-03-15 00:00:00 BC', '2025-12-31 18:30:00.000001+00', '1 mon -2 days +00:00:03.5', '10.0.0.0/8', '2001:db8::/32', '[2:3]={a,NULL}', '{{1,2},{3,NULL}}', NULL, '<REDACTED>', 42.0, '01a2048c-0f0b-77a9-bdd7-5dcd7c7c1c2f', '2026-11-22 18:36:57.483481+00', 'postgres', NULL, 0, 1, '\xdf6651e0e1c32bad510567dbdb644e25abdcd752eb899576f6d4e9bf2fbc7170', '\x01808db1a75bb87900107cd9787f796da25a866a0efca0bda20319c8bb99d2e5', '\x0019057cd3f78602fa6ea1f8549d1e4c9da3001a6ea0540a0ad766f97d36aaf71ea7556b', NULL);
COMMIT;
SELECT row_hash, sha256(llm_audit.row_preimage('golden', id)) = row_hash AS rehashed FROM golden;
SELECT * FROM pg_temp.lar1_check('golden');
-- but for the segment, of which no event tells
SELECT finding, detail FROM llm_audit.verify('golden', id => '01a2048c-0f0b-77a9-bdd7-5dcd7c7c1c2f') WHERE finding <> 'catalog_drift';
-- one bit of it, and it is refused
BEGIN;
SET LOCAL llm_audit.restore = on;
CREATE TEMP TABLE other AS SELECT * FROM golden;
UPDATE other SET i4 = i4 - 1, id = llm_audit.uuid7();
INSERT INTO golden SELECT * FROM other;
ROLLBACK;
SELECT llm_audit.drop_ledger('golden', 'the test is over');

-- a dropped ledger leaves nothing to complain about
DROP VIEW recomputed;
SELECT llm_audit.drop_ledger('every_type', 'the test is over');
SELECT * FROM llm_audit.verify();
