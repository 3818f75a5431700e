-- Erasable columns: salts, and commitments made again from what is documented.
\set VERBOSITY terse
\set origin :DBNAME
CREATE DATABASE ledger_erasable TEMPLATE template0 ENCODING 'UTF8';
\c ledger_erasable
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();
CREATE TABLE entry (a int, name text, kept text, born date, tags text[]);
SELECT llm_audit.create_ledger('entry', erasable => '{name,born,tags}');
INSERT INTO entry (a, name, kept, born, tags) VALUES
	(1, 'Ada', 'x', '1815-12-10', '{a,NULL}'),
	(2, NULL, 'x', NULL, NULL),
	(3, '', 'x', NULL, '{}'),
	(4, repeat('long ', 5000), NULL, 'infinity', NULL);
SELECT column_number, column_name, erasable FROM llm_audit.ledger_column
	JOIN llm_audit.ledger USING (ledger_id) WHERE relation_name = 'entry' ORDER BY 1;

-- The groups of a salt: column number and 16 bytes, ascending, for the values
-- that the row has.
CREATE VIEW salts AS
	SELECT e.a, e.id, get_byte(salt, i * 18) * 256 + get_byte(salt, i * 18 + 1) AS number,
		substr(salt, i * 18 + 3, 16) AS bytes
	FROM entry e, generate_series(0, length(salt) / 18 - 1) i;
SELECT a, length(salt) % 18 AS rest, (SELECT array_agg(number) FROM salts s WHERE s.a = e.a) AS numbers,
		erased IS NULL AS complete
	FROM entry e ORDER BY a;
SELECT count(*), count(DISTINCT bytes) AS distinct, min(length(bytes)), max(length(bytes)) FROM salts;

-- What is hashed for an erasable value is its commitment; the value itself is
-- nowhere in the preimage.
CREATE FUNCTION commitment(number int, type oid, salt bytea, value bytea) RETURNS bytea
LANGUAGE sql AS $$
	SELECT sha256('\x02'::bytea || salt || int2send(number::int2) || int4send(type::int)
		|| int4send(length(value)) || value)
$$;
CREATE FUNCTION entry_of(number int, type oid, flag int, value bytea) RETURNS bytea
LANGUAGE sql AS $$
	SELECT int2send(number::int2) || int4send(type::int) || set_byte('\x00', 0, flag)
		|| int4send(length(value)) || value
$$;
SELECT e.a, s.number,
		position(entry_of(s.number, k.type_oid, 1, commitment(s.number, k.type_oid, s.bytes, v.value))
			IN llm_audit.row_preimage('entry', e.id)) > 0 AS committed,
		length(v.value) > 0 AND v.value <> '\x00000000' AND position(v.value IN llm_audit.row_preimage('entry', e.id)) > 0 AS shown
	FROM entry e JOIN salts s USING (a)
	JOIN llm_audit.ledger_column k ON k.column_number = s.number
	JOIN llm_audit.ledger l ON l.ledger_id = k.ledger_id AND l.relation_name = 'entry'
	CROSS JOIN LATERAL (SELECT CASE k.column_name
		WHEN 'name' THEN convert_to(e.name, 'UTF8')
		WHEN 'born' THEN int4send(CASE WHEN isfinite(e.born) THEN e.born - date '2000-01-01' ELSE 2147483647 END)
		-- {a,NULL}: one dimension of 2 from 1; not null, 1 byte; null, 0 bytes
		WHEN 'tags' THEN CASE WHEN e.tags = '{}' THEN '\x00000000'::bytea
			ELSE '\x00000001 00000002 00000001 00 00000001 61 01 00000000' END
		END) v (value)
	ORDER BY 1, 2;
SELECT a, position(entry_of(k.column_number, 25, 0, convert_to(kept, 'UTF8')) IN llm_audit.row_preimage('entry', id)) > 0 AS plain
	FROM entry, llm_audit.ledger_column k JOIN llm_audit.ledger USING (ledger_id)
	WHERE relation_name = 'entry' AND column_name = 'kept' AND kept IS NOT NULL ORDER BY 1;
SELECT bool_and(row_hash = sha256(llm_audit.row_preimage('entry', id))) AS hashed FROM entry;

-- A row is what it was when it came: columns that become erasable, or cease
-- to be, concern the rows from then on.
UPDATE llm_audit.ledger_column SET erasable = NOT erasable WHERE column_name IN ('kept', 'tags')
	AND ledger_id = (SELECT ledger_id FROM llm_audit.ledger WHERE relation_name = 'entry');
SELECT llm_audit.forgo_statistics(l, l.relation_name) FROM llm_audit.ledger l WHERE relation_name = 'entry';
INSERT INTO entry (a, name, kept, born, tags) VALUES (5, 'Ada', 'x', '1815-12-10', '{a,NULL}');
SELECT a, array_agg(number ORDER BY number) FROM salts WHERE a IN (1, 5) GROUP BY a ORDER BY a;
SELECT bool_and(row_hash = sha256(llm_audit.row_preimage('entry', id))) AS hashed FROM entry;
SELECT * FROM llm_audit.verify('entry');
-- The same in a partitioned ledger
INSERT INTO llm_audit.admin_event (environment, occurred_at, action, actor_id, actor_type, target_type, outcome, reason, "before")
	VALUES ('test', now(), 'login.failed', 'a', 'human', 'account', 'denied', 'why', '{"b": 1, "a": [1, 2.0]}');
SELECT length(salt) / 18 AS salts, row_hash = sha256(llm_audit.row_preimage('llm_audit.admin_event', id)) AS hashed
	FROM llm_audit.admin_event WHERE environment = 'test' AND action = 'login.failed';
-- No statistics of what can be erased
ANALYZE entry;
ANALYZE llm_audit.admin_event;
SELECT tablename, attname FROM pg_stats WHERE attname IN ('name', 'born', 'before', 'actor_ip');

-- No other copies either, of all that is erasable, at any level
CREATE FUNCTION try(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'done';
EXCEPTION WHEN others THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
CREATE FUNCTION shout(entry) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper($1.name)';
SELECT llm_audit.leaf_name('admin_event', 'test', llm_audit.segment_start(now(), '1 month')) AS leaf \gset
SELECT regexp_replace(s || ' -> ' || try(s), '_\d{8}', '_*', 'g') FROM unnest(ARRAY[
	'CREATE INDEX ON entry (name)',
	'CREATE INDEX ON entry (a) INCLUDE (name)',
	'CREATE INDEX ON entry (lower(name))',
	'CREATE INDEX ON entry (shout(entry))',
	'CREATE INDEX ON entry (a) WHERE name IS NOT NULL',
	'CREATE INDEX ON entry USING hash (name)',
	'CREATE STATISTICS st ON a, name FROM entry',
	'CREATE STATISTICS st ON a, lower(name) FROM entry',
	'ALTER TABLE entry ALTER COLUMN name SET STATISTICS 100',
	'ALTER TABLE entry ALTER COLUMN name SET STATISTICS -1',
	'ALTER TABLE entry ALTER COLUMN a SET STATISTICS 10, ALTER COLUMN name SET STATISTICS 1',
	'CREATE INDEX ON llm_audit.admin_event (reason)',
	'CREATE INDEX ON llm_audit.admin_event_test (reason)',
	'CREATE INDEX ON llm_audit.' || :'leaf' || ' (reason)',
	'ALTER TABLE llm_audit.admin_event_test ALTER COLUMN reason SET STATISTICS 100'
	]) AS s(s) \g (format=unaligned tuples_only=on)
CREATE INDEX entry_a ON entry (a, born) WHERE kept IS NULL;
CREATE INDEX entry_a ON entry (a) WHERE id IS NOT NULL;
CREATE INDEX entry_expression ON entry ((a + 1));
DROP INDEX entry_expression;
CREATE STATISTICS entry_statistics ON a, recorded_by FROM entry;
ALTER TABLE entry ALTER COLUMN name SET STATISTICS 0, ALTER COLUMN a SET STATISTICS 200;
REINDEX TABLE CONCURRENTLY entry;
SELECT * FROM llm_audit.verify('entry');
-- where they came in all the same, verify tells
BEGIN;
SET LOCAL llm_audit.restore = on;
CREATE INDEX entry_copy ON entry (a) INCLUDE (name);
CREATE STATISTICS entry_statistics_copy ON a, name FROM entry;
UPDATE pg_attribute SET attstattarget = 10 WHERE attrelid = 'entry'::regclass AND attname = 'name';
ANALYZE entry;
SELECT finding, detail FROM llm_audit.verify('entry') ORDER BY detail COLLATE "C";
ROLLBACK;
-- what was known of a table before it became a ledger is forgotten
CREATE TABLE used (a int, name text);
INSERT INTO used SELECT i % 2, 'name' || i % 2 FROM generate_series(1, 100) AS i;
ANALYZE used;
DELETE FROM used;
SELECT llm_audit.create_ledger('used', erasable => '{name}');
SELECT attname FROM pg_stats WHERE tablename = 'used' ORDER BY 1;

\c :origin
DROP DATABASE ledger_erasable WITH (FORCE);
