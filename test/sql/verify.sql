-- verify(): arguments, rights, and every kind of finding.  test/t/*tamper*
-- does the same to files.
\set VERBOSITY terse
CREATE DATABASE verify_test TEMPLATE template0 ENCODING 'UTF8';
\c verify_test
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();

-- nothing is wrong, and the summary still does not say simply OK
SELECT * FROM llm_audit.verify();
SELECT status, ledgers, segments = (SELECT count(*) FROM llm_audit.ledger_segment) AS all_segments,
	rows > 100 AS some_rows, findings, checkpoint, statement, duration > '0' AS took_time
FROM llm_audit.verify_summary();

-- arguments
SELECT * FROM llm_audit.verify(trusted_checkpoint => 'x');
SELECT * FROM llm_audit.verify_summary(trusted_checkpoint => '');
SELECT * FROM llm_audit.verify('pg_class');
SELECT * FROM llm_audit.verify('llm_audit.llm_call_prod');
SELECT * FROM llm_audit.verify(segment => 1);
SELECT * FROM llm_audit.verify(since => '2020-01-02', until => '2020-01-01');
SELECT * FROM llm_audit.verify(workers => 100000);
SELECT llm_audit.row_preimage('pg_class', llm_audit.uuid7());
SELECT llm_audit.row_preimage('llm_audit.llm_call', llm_audit.uuid7()) IS NULL AS no_such_row;
SELECT finding, detail FROM llm_audit.verify(id => llm_audit.uuid7());

-- rights: auditors and compliance may, without any right to read the tables
CREATE ROLE verify_nobody;
CREATE ROLE verify_auditor;
GRANT llm_audit_auditor TO verify_auditor;
CREATE ROLE verify_compliance;
GRANT llm_audit_compliance TO verify_compliance;
SET ROLE verify_nobody;
SELECT * FROM llm_audit.verify();
SELECT * FROM llm_audit.verify_summary();
SELECT llm_audit.row_preimage('llm_audit.admin_event', llm_audit.uuid7());
SELECT * FROM llm_audit.verify_progress;
SELECT * FROM llm_audit.verify_progress();
SET ROLE llm_audit_writer;
SELECT * FROM llm_audit.verify();
SET ROLE verify_auditor;
SELECT * FROM llm_audit.verify();
SELECT status FROM llm_audit.verify_summary();
SELECT count(*) FROM llm_audit.verify_progress;
SELECT * FROM llm_audit.segment_event;
SET ROLE verify_compliance;
SELECT * FROM llm_audit.verify();
RESET ROLE;

-- Without workers, with workers, in a subtransaction, in a read-only and a
-- serializable transaction.
SELECT * FROM llm_audit.verify(workers => 0);
SELECT * FROM llm_audit.verify(workers => 2);
SET max_parallel_workers = 0;
SELECT * FROM llm_audit.verify(workers => 2);
RESET max_parallel_workers;
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;
SAVEPOINT s;
SELECT * FROM llm_audit.verify(workers => 2);
ROLLBACK TO s;
SELECT * FROM llm_audit.verify();
COMMIT;

-- It holds no lock on what it has read: nobody waits for its transaction.
BEGIN;
SELECT count(*) FROM llm_audit.verify();
SELECT relation::regclass, mode FROM pg_locks
	WHERE pid = pg_backend_pid() AND locktype = 'relation'
	AND relation NOT IN (SELECT oid FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace);
ROLLBACK;

-- A ledger to do harm to, and a way to do it: change() switches the triggers
-- off behind the server's back, does something, tells what verify finds and
-- takes it all back.
CREATE TABLE entry (a int, b text, secret text, doubled int GENERATED ALWAYS AS (a * 2) STORED);
SELECT llm_audit.create_ledger('entry', erasable => '{secret}');
INSERT INTO entry (a, b, secret)
	SELECT i, 'row ' || i, CASE WHEN i % 2 = 0 THEN 'secret ' || i END
	FROM generate_series(1, 10) i;
CREATE TABLE other (LIKE entry INCLUDING GENERATED);
ALTER TABLE other DROP COLUMN id, DROP COLUMN recorded_at;
SELECT llm_audit.create_ledger('other');
INSERT INTO other (a) VALUES (1), (2);
SET allow_system_table_mods = on;

CREATE PROCEDURE triggers_off(relation regclass) LANGUAGE plpgsql AS $$
BEGIN
	UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = relation
		OR tgrelid IN (SELECT relid FROM pg_partition_tree(relation));
	UPDATE pg_class SET reltuples = reltuples WHERE oid = relation
		OR oid IN (SELECT relid FROM pg_partition_tree(relation));
END
$$;
CREATE PROCEDURE triggers_on(relation regclass) LANGUAGE plpgsql AS $$
BEGIN
	UPDATE pg_trigger SET tgenabled = 'A' WHERE tgrelid = relation
		OR tgrelid IN (SELECT relid FROM pg_partition_tree(relation));
	UPDATE pg_class SET reltuples = reltuples WHERE oid = relation
		OR oid IN (SELECT relid FROM pg_partition_tree(relation));
END
$$;
CREATE FUNCTION change(harm text, VARIADIC of regclass[] DEFAULT '{entry}')
RETURNS TABLE (ledger regclass, segment int, lane int, seq bigint, finding text, detail text)
LANGUAGE plpgsql AS $$
DECLARE
	found jsonb[];
	serial jsonb[];
	r regclass;
BEGIN
	BEGIN
		FOREACH r IN ARRAY of LOOP
			CALL triggers_off(r);
		END LOOP;
		EXECUTE harm;
		FOREACH r IN ARRAY of LOOP
			CALL triggers_on(r);
		END LOOP;
		found := ARRAY(SELECT to_jsonb(v) - 'id' FROM llm_audit.verify() v ORDER BY v);
		serial := ARRAY(SELECT to_jsonb(v) - 'id' FROM llm_audit.verify(workers => 0) v ORDER BY v);
		RAISE EXCEPTION 'undo' USING ERRCODE = 'ZZ999';
	EXCEPTION WHEN SQLSTATE 'ZZ999' THEN
		NULL;
	END;
	IF found <> serial THEN
		RAISE EXCEPTION 'workers change the findings: %, %', found, serial;
	END IF;
	RETURN QUERY SELECT v.ledger, v.segment, v.lane, v.seq, v.finding, v.detail
		FROM unnest(found) f, jsonb_to_record(f) AS v (ledger regclass,
			segment int, lane int, seq bigint, finding text, detail text);
END
$$;

SELECT * FROM change('SELECT 1');

-- one column at a time
SELECT * FROM change('UPDATE entry SET a = 99 WHERE chain_seq = 3');
SELECT * FROM change('UPDATE entry SET b = ''Row 3'' WHERE chain_seq = 3');
SELECT * FROM change('UPDATE entry SET b = NULL WHERE chain_seq = 3');
SELECT * FROM change('UPDATE entry SET secret = ''Secret 4'' WHERE chain_seq = 4');
SELECT * FROM change('UPDATE entry SET secret = NULL WHERE chain_seq = 4');
SELECT * FROM change('UPDATE entry SET secret = ''new'' WHERE chain_seq = 3');
SELECT * FROM change('UPDATE entry SET salt = NULL WHERE chain_seq = 4');
SELECT * FROM change('UPDATE entry SET salt = ''\x00'' WHERE chain_seq = 4');
SELECT * FROM change('UPDATE entry SET salt = set_byte(salt, 2, get_byte(salt, 2) # 1) WHERE chain_seq = 4');
SELECT * FROM change('UPDATE entry SET salt = salt || ''\x0001'' || substr(salt, 3) WHERE chain_seq = 4');
SELECT * FROM change('UPDATE entry SET erased = ''\x'' WHERE chain_seq = 3');
SELECT * FROM change('UPDATE entry SET id = llm_audit.uuid7() WHERE chain_seq = 3');
SELECT * FROM change('UPDATE entry SET recorded_at = recorded_at + interval ''1 us'' WHERE chain_seq = 3');
SELECT * FROM change('UPDATE entry SET recorded_by = ''mallory'' WHERE chain_seq = 3');
SELECT * FROM change('UPDATE entry SET retain_until = ''2020-01-01'' WHERE chain_seq = 3');
SELECT * FROM change('UPDATE entry SET prev_hash = set_byte(prev_hash, 0, get_byte(prev_hash, 0) # 1) WHERE chain_seq = 3');
SELECT * FROM change('UPDATE entry SET prev_hash = ''\x00'' WHERE chain_seq = 3');
SELECT * FROM change('UPDATE entry SET row_hash = set_byte(row_hash, 31, get_byte(row_hash, 31) # 128) WHERE chain_seq = 3');
SELECT * FROM change('UPDATE entry SET row_hash = ''\x'' WHERE chain_seq = 3');
SELECT * FROM change('UPDATE entry SET chain_lane = 7 WHERE chain_seq = 3');
SELECT * FROM change('UPDATE entry SET chain_seq = 30 WHERE chain_seq = 3');
SELECT * FROM change('UPDATE entry SET chain_lane = -1 WHERE chain_seq = 3');
SELECT * FROM change('UPDATE entry SET chain_seq = 0 WHERE chain_seq = 3');

-- generated columns are not hashed but computed again
SELECT * FROM change($$
	DO $do$ BEGIN
	UPDATE pg_attribute SET attgenerated = '' WHERE attrelid = 'entry'::regclass AND attname = 'doubled';
	UPDATE pg_class SET reltuples = reltuples WHERE oid = 'entry'::regclass;
	UPDATE entry SET doubled = 7 WHERE chain_seq = 3;
	UPDATE entry SET doubled = NULL WHERE chain_seq = 4;
	UPDATE pg_attribute SET attgenerated = 's' WHERE attrelid = 'entry'::regclass AND attname = 'doubled';
	UPDATE pg_class SET reltuples = reltuples WHERE oid = 'entry'::regclass;
	END $do$ $$);

-- a row whose hash was recomputed: its successor gives it away
CREATE FUNCTION rehash(at bigint) RETURNS void LANGUAGE sql AS $$
	UPDATE entry SET row_hash = sha256(llm_audit.row_preimage('entry', id)) WHERE chain_seq = at
$$;
SELECT * FROM change('UPDATE entry SET a = 99 WHERE chain_seq = 3; SELECT rehash(3)');
SELECT * FROM change('UPDATE entry SET a = 99 WHERE chain_seq = 1; SELECT rehash(1)');
-- the last row of an open lane, and a recomputed tail: not without a checkpoint
SELECT * FROM change('UPDATE entry SET a = 99 WHERE chain_seq = 10; SELECT rehash(10)');
SELECT * FROM change($$
	DO $do$ BEGIN
		UPDATE entry SET a = 99 WHERE chain_seq = 9; PERFORM rehash(9);
		UPDATE entry SET prev_hash = (SELECT row_hash FROM entry WHERE chain_seq = 9)
			WHERE chain_seq = 10; PERFORM rehash(10);
	END $do$ $$);
SELECT * FROM change('DELETE FROM entry WHERE chain_seq > 8');
SELECT statement FROM llm_audit.verify_summary('entry');
-- deleted rows
SELECT * FROM change('DELETE FROM entry WHERE chain_seq IN (4, 5, 8)');
SELECT * FROM change('DELETE FROM entry WHERE chain_seq = 1');
SELECT * FROM change('DELETE FROM entry WHERE chain_seq < 10');
-- two rows swapped, two values swapped
SELECT * FROM change($$
	UPDATE entry SET chain_seq = 100 WHERE chain_seq = 3;
	UPDATE entry SET chain_seq = 3 WHERE chain_seq = 4;
	UPDATE entry SET chain_seq = 4 WHERE chain_seq = 100 $$);
SELECT * FROM change($$
	UPDATE entry e SET b = o.b FROM entry o
	WHERE e.chain_seq + o.chain_seq = 7 AND e.chain_seq IN (3, 4) $$);
-- forged rows: at the end, in a lane of their own
SELECT * FROM change($$
	INSERT INTO entry (id, recorded_by, chain_lane, chain_seq, prev_hash, row_hash, a)
	SELECT llm_audit.uuid7(), 'mallory', 0, 11, row_hash, sha256('x'), 11
	FROM entry WHERE chain_seq = 10 $$);
SELECT * FROM change($$
	INSERT INTO entry (id, recorded_by, chain_lane, chain_seq, prev_hash, row_hash, a)
	SELECT llm_audit.uuid7(), 'mallory', 0, 11, sha256('x'), row_hash, 11
	FROM entry WHERE chain_seq = 10; SELECT rehash(11) $$);
SELECT * FROM change($$
	INSERT INTO entry (id, recorded_by, chain_lane, chain_seq, prev_hash, row_hash, a)
	SELECT llm_audit.uuid7(), 'mallory', 1, 1, sha256('x'), row_hash, 11
	FROM entry WHERE chain_seq = 10;
	UPDATE entry SET row_hash = sha256(llm_audit.row_preimage('entry', id)) WHERE chain_lane = 1 $$);
-- a row of another ledger
SELECT * FROM change($$
	INSERT INTO other (id, recorded_at, recorded_by, chain_lane, chain_seq, prev_hash, row_hash, a)
	SELECT id, recorded_at, recorded_by, 0, 3, prev_hash, row_hash, a
	FROM entry WHERE chain_seq = 3 $$, 'entry', 'other');

-- rows that an index does not lead to: forged ones, then hidden ones
CREATE FUNCTION set_index(index regclass, usable boolean) RETURNS void
LANGUAGE sql AS $$
	UPDATE pg_index SET indisready = usable, indislive = usable WHERE indexrelid = index;
	UPDATE pg_class SET reltuples = reltuples
		WHERE oid = (SELECT indrelid FROM pg_index WHERE indexrelid = index)
$$;
SELECT * FROM change($$
	DO $do$ BEGIN
	PERFORM set_index('entry_lane_idx', false);
	INSERT INTO entry (id, recorded_by, chain_lane, chain_seq, prev_hash, row_hash, a)
		SELECT llm_audit.uuid7(), 'mallory', 0, 5, prev_hash, row_hash, 5
		FROM entry WHERE chain_seq = 5;
	PERFORM set_index('entry_lane_idx', true);
	END $do$ $$);
SELECT * FROM change($$
	DO $do$ BEGIN
	PERFORM set_index('entry_id_idx', false);
	UPDATE entry SET id = '00000000-0000-7000-8000-000000000000' WHERE chain_seq = 5;
	PERFORM set_index('entry_id_idx', true);
	END $do$ $$);
-- two rows at one position: the one that the next row links to is genuine
SELECT * FROM change($$
	DO $do$ BEGIN
	UPDATE pg_index SET indisunique = false WHERE indexrelid = 'entry_lane_idx'::regclass;
	UPDATE pg_class SET reltuples = reltuples WHERE oid = 'entry'::regclass;
	INSERT INTO entry (id, recorded_by, chain_lane, chain_seq, prev_hash, row_hash, a)
		SELECT '00000000-0000-7000-8000-000000000000', 'mallory', 0, 5, prev_hash, row_hash, 5
		FROM entry WHERE chain_seq = 5;
	UPDATE entry SET row_hash = sha256(llm_audit.row_preimage('entry', id))
		WHERE id = '00000000-0000-7000-8000-000000000000';
	UPDATE pg_index SET indisunique = true WHERE indexrelid = 'entry_lane_idx'::regclass;
	UPDATE pg_class SET reltuples = reltuples WHERE oid = 'entry'::regclass;
	END $do$ $$);
-- two rows with one id
SELECT * FROM change($$
	DO $do$ BEGIN
	UPDATE pg_index SET indisunique = false WHERE indexrelid = 'entry_id_idx'::regclass;
	UPDATE pg_class SET reltuples = reltuples WHERE oid = 'entry'::regclass;
	UPDATE entry SET id = (SELECT id FROM entry WHERE chain_seq = 2) WHERE chain_seq = 10;
	UPDATE pg_index SET indisunique = true WHERE indexrelid = 'entry_id_idx'::regclass;
	UPDATE pg_class SET reltuples = reltuples WHERE oid = 'entry'::regclass;
	END $do$ $$);
-- no index at all
SELECT * FROM change('UPDATE pg_index SET indisvalid = false WHERE indexrelid = ''entry_lane_idx''::regclass');
SELECT * FROM change('UPDATE pg_index SET indisvalid = false WHERE indexrelid = ''entry_id_idx''::regclass');

-- the catalogs
SELECT * FROM change('UPDATE pg_trigger SET tgenabled = ''O'' WHERE tgrelid = ''other''::regclass');
SELECT * FROM change('DELETE FROM pg_trigger WHERE tgrelid = ''other''::regclass AND tgname = ''llm_audit_insert''');
SELECT * FROM change('UPDATE pg_trigger SET tgfoid = ''suppress_redundant_updates_trigger''::regproc WHERE tgrelid = ''other''::regclass AND tgname = ''llm_audit_guard_row''');
SELECT * FROM change('UPDATE pg_trigger SET tgname = ''innocent'' WHERE tgrelid = ''other''::regclass AND tgname = ''llm_audit_guard_row''');
SELECT * FROM change('UPDATE pg_class SET relowner = ''verify_nobody''::regrole WHERE relname = ''other''');
SELECT * FROM change('UPDATE pg_class SET relacl = ''{llm_audit_owner=arwd/llm_audit_owner,verify_nobody=w/llm_audit_owner,=r/llm_audit_owner}'' WHERE relname = ''other''');
SELECT * FROM change('UPDATE pg_class SET relacl = ''{llm_audit_owner=arwd/llm_audit_owner,verify_nobody=r/llm_audit_owner}'' WHERE relname = ''llm_call_prod''');
SELECT * FROM change('UPDATE pg_attribute SET attacl = ''{verify_nobody=w/llm_audit_owner}'' WHERE attrelid = ''other''::regclass AND attname = ''a''');
SELECT * FROM change('UPDATE pg_class SET relpersistence = ''u'' WHERE relname = ''other''');
SELECT * FROM change('UPDATE pg_class SET relreplident = ''n'' WHERE relname = ''other''');
SELECT * FROM change('UPDATE pg_attribute SET attnotnull = false WHERE attrelid = ''other''::regclass AND attname = ''row_hash''');
SELECT * FROM change('UPDATE pg_attribute SET attname = ''aa'' WHERE attrelid = ''other''::regclass AND attname = ''a''');
SELECT * FROM change('UPDATE pg_attribute SET atttypid = ''int8''::regtype, attlen = 8 WHERE attrelid = ''other''::regclass AND attname = ''a''');
SELECT * FROM change('UPDATE pg_attribute SET atttypid = ''int8''::regtype, attlen = 8 WHERE attrelid = ''other''::regclass AND attname = ''row_hash''');
-- later versions warn
SET client_min_messages = error;
SELECT * FROM change('DELETE FROM pg_constraint WHERE conrelid = ''llm_audit.llm_call_prod_default''::regclass AND conname = ''llm_call_cost_check''');
SET client_min_messages = warning;
SELECT * FROM change('UPDATE pg_proc SET prosrc = ''llm_audit_config_changed'' WHERE oid = ''llm_audit.ledger_guard''::regproc');
SELECT * FROM change('CREATE FUNCTION llm_audit.sneak() RETURNS int LANGUAGE sql AS ''SELECT 1''');
SELECT * FROM change('UPDATE pg_proc SET proowner = ''verify_nobody''::regrole WHERE proname = ''register_columns''');
SELECT * FROM change('UPDATE pg_event_trigger SET evtenabled = ''D'' WHERE evtname = ''llm_audit_ddl_end''');
SELECT * FROM change('UPDATE pg_trigger SET tgenabled = ''D'' WHERE tgrelid = ''llm_audit.ledger_segment''::regclass');
SELECT * FROM change('ALTER ROLE llm_audit_owner BYPASSRLS');
SELECT * FROM change('GRANT llm_audit_owner TO verify_nobody');

SELECT * FROM change('CREATE TABLE loose (LIKE other); CREATE TRIGGER llm_audit_insert BEFORE INSERT ON loose FOR EACH ROW EXECUTE FUNCTION llm_audit.ledger_insert()');
SELECT * FROM change('UPDATE pg_class SET relnamespace = ''pg_catalog''::regnamespace WHERE relname = ''other''');

-- the registry
SELECT * FROM change('DELETE FROM llm_audit.ledger_segment WHERE relation_name = ''other''');
SELECT * FROM change('DELETE FROM llm_audit.ledger_segment WHERE relation_name = ''usage_event_prod_default''');
SELECT * FROM change('UPDATE llm_audit.ledger_segment SET segment = 2 WHERE relation_name = ''other''');
SELECT * FROM change('UPDATE llm_audit.ledger SET ledger_id = llm_audit.uuid7() WHERE relation_name = ''other''', 'llm_audit.ledger');
SELECT * FROM change('DELETE FROM llm_audit.ledger WHERE relation_name = ''other''');
SELECT * FROM change('UPDATE llm_audit.ledger SET relation_name = ''otter'' WHERE relation_name = ''other''', 'llm_audit.ledger');
SELECT * FROM change('DELETE FROM llm_audit.ledger_column WHERE column_name = ''secret''');
SELECT * FROM change('UPDATE llm_audit.ledger_column SET column_number = 99 WHERE column_name = ''secret'' AND column_number = 3', 'llm_audit.ledger_column');
SELECT * FROM change('UPDATE llm_audit.ledger_segment SET state = ''purged'' WHERE relation_name = ''other''');
SELECT * FROM change('UPDATE llm_audit.ledger_segment SET state = ''closed'' WHERE relation_name = ''other''');

-- What a row of the registry stands for cannot be changed; with the triggers
-- out of the way it can, and neither lets anybody write receipts nor goes
-- unnoticed.
SELECT * FROM change('UPDATE llm_audit.ledger SET role = ''plain'' WHERE relation_name = ''purge_receipt''');
SELECT * FROM change('UPDATE llm_audit.ledger SET builtin = false WHERE relation_name = ''llm_call''');
SELECT * FROM change('UPDATE llm_audit.ledger SET relation_name = ''purge_receipt_2'' WHERE relation_name = ''purge_receipt''');
SELECT * FROM change('UPDATE llm_audit.ledger_column SET column_name = ''c'' WHERE column_name = ''b''');
SELECT * FROM change('UPDATE llm_audit.ledger_column SET type_oid = 25 WHERE column_name = ''a''');
SELECT * FROM change('UPDATE llm_audit.ledger SET role = ''plain'', builtin = false WHERE relation_name = ''purge_receipt''',
	'llm_audit.ledger');
SELECT * FROM change('UPDATE llm_audit.ledger SET role = ''admin_event'', builtin = true WHERE relation_name = ''other''',
	'llm_audit.ledger');
BEGIN;
CALL triggers_off('llm_audit.ledger');
UPDATE llm_audit.ledger SET role = 'plain', builtin = false WHERE relation_name IN ('purge_receipt', 'admin_event', 'access_log');
CALL triggers_on('llm_audit.ledger');
SAVEPOINT s;
INSERT INTO llm_audit.purge_receipt (environment, ledger, ledger_id, segment, lane) VALUES ('prod', 'x', llm_audit.uuid7(), 1, 0);
ROLLBACK TO s;
INSERT INTO llm_audit.access_log (environment) VALUES ('prod');
ROLLBACK TO s;
INSERT INTO llm_audit.admin_event (environment, action) VALUES ('prod', 'nobody.knows');
ROLLBACK;
SELECT * FROM change('UPDATE pg_trigger SET tgenabled = ''D'' WHERE tgrelid = ''llm_audit.ledger''::regclass AND tgname = ''llm_audit_identity''');
SELECT * FROM change('UPDATE pg_trigger SET tgargs = ''role\000'' WHERE tgrelid = ''llm_audit.ledger''::regclass AND tgname = ''llm_audit_identity''');
-- Two columns of a built-in ledger that change names, wherever names are
SELECT * FROM change($$
	DO $do$ DECLARE
		of uuid := (SELECT ledger_id FROM llm_audit.ledger WHERE relation_name = 'settlement');
	BEGIN
	UPDATE pg_attribute SET attname = 'swapped' WHERE attname = 'kind'
		AND attrelid IN (SELECT relid FROM pg_partition_tree('llm_audit.settlement'));
	UPDATE pg_attribute SET attname = 'kind' WHERE attname = 'invoice_id'
		AND attrelid IN (SELECT relid FROM pg_partition_tree('llm_audit.settlement'));
	UPDATE pg_attribute SET attname = 'invoice_id' WHERE attname = 'swapped';
	UPDATE llm_audit.ledger_column SET column_name = 'swapped' WHERE column_name = 'kind' AND ledger_id = of;
	UPDATE llm_audit.ledger_column SET column_name = 'kind' WHERE column_name = 'invoice_id' AND ledger_id = of;
	UPDATE llm_audit.ledger_column SET column_name = 'invoice_id' WHERE column_name = 'swapped';
	END $do$ $$, 'llm_audit.ledger_column')
	WHERE detail NOT LIKE 'constraint %';

-- and of one that was enrolled
SELECT * FROM change($$
	DO $do$ BEGIN
	UPDATE pg_attribute SET attname = 'swapped' WHERE attname = 'b' AND attrelid = 'entry'::regclass;
	UPDATE pg_attribute SET attname = 'b' WHERE attname = 'secret' AND attrelid = 'entry'::regclass;
	UPDATE pg_attribute SET attname = 'secret' WHERE attname = 'swapped';
	UPDATE llm_audit.ledger_column SET column_name = 'swapped' WHERE column_name = 'b' AND column_number = 2;
	UPDATE llm_audit.ledger_column SET column_name = 'b' WHERE column_name = 'secret' AND column_number = 3;
	UPDATE llm_audit.ledger_column SET column_name = 'secret' WHERE column_name = 'swapped';
	END $do$ $$, 'llm_audit.ledger_column');
-- What functions, views and policies are compared with cannot be written anew.
SELECT * FROM change($$
	CREATE FUNCTION llm_audit.sneak() RETURNS int LANGUAGE sql AS 'SELECT 1';
	SELECT llm_audit.record_installed_functions() $$);
SELECT * FROM change($$
	UPDATE pg_proc SET prosrc = 'llm_audit_config_changed' WHERE oid = 'llm_audit.ledger_guard'::regproc;
	SELECT llm_audit.record_installed_functions() $$);
SELECT * FROM change($$
	CREATE POLICY evil ON llm_audit.llm_call USING (true);
	SELECT llm_audit.note_object('policy', 'llm_call evil', 'x') $$);
SELECT * FROM change('UPDATE llm_audit.installed_object SET server_version = 9');
SELECT * FROM change('SELECT llm_audit.append_installed(); SELECT * FROM llm_audit.setup()');
SELECT * FROM change('DELETE FROM llm_audit.segment_event WHERE event = ''installed''', 'llm_audit.segment_event')
	WHERE finding = 'catalog_drift';

-- modes: the harm is in one place
CREATE FUNCTION modes() RETURNS TABLE (mode text, findings bigint) LANGUAGE plpgsql AS $$
DECLARE
	at timestamptz := (SELECT recorded_at FROM entry WHERE chain_seq = 5);
	v_id uuid := (SELECT e.id FROM entry e WHERE chain_seq = 5);
	before uuid := (SELECT e.id FROM entry e WHERE chain_seq = 4);
	after uuid := (SELECT e.id FROM entry e WHERE chain_seq = 6);
BEGIN
	RETURN QUERY SELECT 'database', count(*) FROM llm_audit.verify();
	RETURN QUERY SELECT 'ledger', count(*) FROM llm_audit.verify('entry');
	RETURN QUERY SELECT 'other ledger', count(*) FROM llm_audit.verify('other');
	RETURN QUERY SELECT 'segment', count(*) FROM llm_audit.verify('entry', segment => 1);
	RETURN QUERY SELECT 'range', count(*) FROM llm_audit.verify('entry', since => at, until => at + interval '1 us');
	RETURN QUERY SELECT 'before', count(*) FROM llm_audit.verify('entry', until => at);
	RETURN QUERY SELECT 'after', count(*) FROM llm_audit.verify('entry', since => at + interval '1 us');
	RETURN QUERY SELECT 'row', count(*) FROM llm_audit.verify('entry', id => v_id);
	RETURN QUERY SELECT 'row, any ledger', count(*) FROM llm_audit.verify(id => v_id);
	RETURN QUERY SELECT 'row before', count(*) FROM llm_audit.verify('entry', id => before);
	RETURN QUERY SELECT 'row after', count(*) FROM llm_audit.verify('entry', id => after);
END
$$;
BEGIN;
CALL triggers_off('entry');
UPDATE entry SET a = 99 WHERE chain_seq = 5;
CALL triggers_on('entry');
SELECT * FROM modes();
CALL triggers_off('entry');
SELECT rehash(5);
CALL triggers_on('entry');
SELECT * FROM modes();
ROLLBACK;
SELECT * FROM modes();
SELECT * FROM llm_audit.verify('entry', segment => 2);

-- A row that is altered to be of another time keeps its place: it is found by
-- who looks at the times that it was of, be they in the middle of the lane, its
-- beginning, its end or all of it; rows far outside of the times are not.
CREATE FUNCTION moved(seqs int[], by interval, from_seq int, to_seq int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	since timestamptz := (SELECT recorded_at FROM entry WHERE chain_seq = from_seq);
	until timestamptz := (SELECT recorded_at + interval '1 us' FROM entry WHERE chain_seq = to_seq);
	found text;
BEGIN
	BEGIN
		CALL triggers_off('entry');
		UPDATE entry SET recorded_at = recorded_at + by, b = 'forged' WHERE chain_seq = ANY (seqs);
		CALL triggers_on('entry');
		found := (SELECT string_agg(v.seq || ' ' || v.finding, ', ' ORDER BY v.seq)
			FROM llm_audit.verify('entry', since => since, until => until) v);
		RAISE EXCEPTION 'undo' USING ERRCODE = 'ZZ999';
	EXCEPTION WHEN SQLSTATE 'ZZ999' THEN
		NULL;
	END;
	RETURN found;
END
$$;
SELECT by, moved('{5}', by, 4, 6) AS "5 of 4-6", moved('{5}', by, 5, 5) AS "5 of 5",
	moved('{4,5,6,7}', by, 3, 8) AS "4-7 of 3-8", moved('{1}', by, 1, 3) AS "1 of 1-3",
	moved('{10}', by, 8, 10) AS "10 of 8-10"
	FROM unnest('{-3 days,3 days}'::interval[]) AS by;
SELECT by, cardinality(string_to_array(moved('{1,2,3,4,5,6,7,8,9,10}', by, 1, 10), ',')) > 0 AS "1-10 of 1-10",
	moved('{2}', by, 6, 7) AS "2 of 6-7", moved('{9}', by, 4, 5) AS "9 of 4-5"
	FROM unnest('{-3 days,3 days}'::interval[]) AS by;

-- A ledger with a segment that can be closed: made by hand, because setup()
-- and create_ledger() only make segments that have not ended.
CREATE TABLE ended (environment text NOT NULL, a int) PARTITION BY LIST (environment);
DO $$
DECLARE
	ledger uuid := llm_audit.enroll('ended', 'plain', false, NULL, '{}', '1 month');
	start timestamptz := clock_timestamp() - interval '1 hour';
	stop timestamptz := clock_timestamp() + interval '2 seconds';
BEGIN
	PERFORM llm_audit.create_branch('ended', 'ended_test', 'test');
	PERFORM llm_audit.append_created(ledger,
		llm_audit.make_segment(ledger, 'test', start, stop));
	PERFORM llm_audit.append_created(ledger,
		llm_audit.make_segment(ledger, 'test', stop, 'infinity'));
	PERFORM llm_audit.append_columns(ledger), llm_audit.append_definition(ledger);
END
$$;
INSERT INTO ended (environment, a) SELECT 'test', i FROM generate_series(1, 10) i;
SELECT pg_sleep(extract(epoch FROM upper - clock_timestamp()) + 0.01) IS NOT NULL AS waited
FROM llm_audit.ledger_segment WHERE relation_name LIKE 'ended_test%' AND segment = 1;
SET llm_audit.seal_grace = 0;
SELECT relation_name AS leaf FROM llm_audit.ledger_segment
	WHERE relation_name LIKE 'ended_test%' AND segment = 1 \gset
SELECT llm_audit.close_segment(:'leaf');
INSERT INTO ended (environment, a) SELECT 'test', i FROM generate_series(11, 15) i;
SELECT * FROM llm_audit.verify();
-- now the end of a lane is covered
SELECT segment, lane, seq, finding, detail FROM change('DELETE FROM ended WHERE a IN (9, 10)', 'ended');
SELECT segment, lane, seq, finding, detail FROM change('DELETE FROM ended WHERE a <= 10', 'ended');
SELECT segment, lane, seq, finding, detail FROM change($$
	UPDATE ended SET a = 99 WHERE a = 10;
	UPDATE ended SET row_hash = sha256(llm_audit.row_preimage('ended', id)) WHERE a = 99 $$, 'ended');
SELECT segment, lane, seq, finding, detail FROM change($$
	INSERT INTO ended (environment, recorded_at, id, recorded_by, chain_lane, chain_seq, prev_hash, row_hash, a)
		SELECT environment, recorded_at, llm_audit.uuid7(), 'mallory', 0, 11, row_hash, row_hash, 99
		FROM ended WHERE a = 10;
	UPDATE ended SET row_hash = sha256(llm_audit.row_preimage('ended', id)) WHERE a = 99 $$, 'ended');
SELECT segment, lane, seq, finding, detail FROM change($$
	INSERT INTO ended (environment, recorded_at, id, recorded_by, chain_lane, chain_seq, prev_hash, row_hash, a)
		SELECT environment, recorded_at, llm_audit.uuid7(), 'mallory', 1, 1,
			sha256('LAG1'::bytea || substr(llm_audit.row_preimage('ended', id), 5, 20) || '\x00000001'),
			row_hash, 99
		FROM ended WHERE a = 10;
	UPDATE ended SET row_hash = sha256(llm_audit.row_preimage('ended', id)) WHERE a = 99 $$, 'ended');
-- the segment as a whole
SELECT segment, lane, seq, finding, replace(detail, :'leaf', 'LEAF') AS detail
	FROM change(format('DELETE FROM pg_inherits WHERE inhrelid = %L::regclass', :'leaf'));
SELECT segment, lane, seq, finding, replace(detail, :'leaf', 'LEAF') AS detail
	FROM change(format('UPDATE pg_class SET relname = ''gone'' WHERE oid = %L::regclass', :'leaf'))
	ORDER BY 1, 2, 3, 4, 5;
SELECT segment, lane, seq, finding, replace(detail, :'leaf', 'LEAF') AS detail
	FROM change('DELETE FROM llm_audit.ledger_segment WHERE relation_name = ' || quote_literal(:'leaf'));
SELECT segment, lane, seq, finding, detail FROM change(
	'UPDATE llm_audit.ledger_segment SET state = ''open'' WHERE relation_name = ' || quote_literal(:'leaf'));
SELECT segment, lane, seq, finding, detail FROM change(
	'UPDATE llm_audit.ledger_segment SET state = ''purged'' WHERE relation_name = ' || quote_literal(:'leaf'));
-- What segment_event is made to say of it: the first closing counts, and what
-- was never closed was never purged.
CREATE FUNCTION forge_event(of name, changes text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	forged uuid := llm_audit.uuid7();
BEGIN
	CREATE TEMP TABLE forgery AS SELECT e.* FROM llm_audit.segment_event e
		WHERE e.leaf LIKE '%' || of ORDER BY e.event = 'closed' DESC, e.event = 'created' DESC LIMIT 1;
	EXECUTE 'UPDATE forgery SET ' || changes;
	UPDATE forgery f SET id = forged, recorded_at = clock_timestamp(), chain_seq = e.chain_seq + 1,
			prev_hash = e.row_hash
		FROM (SELECT DISTINCT ON (chain_lane) chain_lane, chain_seq, row_hash FROM llm_audit.segment_event
			WHERE environment = 'test' ORDER BY chain_lane, chain_seq DESC) e
		WHERE e.chain_lane = f.chain_lane;
	INSERT INTO llm_audit.segment_event SELECT * FROM forgery;
	UPDATE llm_audit.segment_event SET row_hash = sha256(llm_audit.row_preimage('llm_audit.segment_event', forged))
		WHERE id = forged;
	DROP TABLE forgery;
END
$$;
SELECT segment, lane, seq, finding, detail FROM change(format($$
	UPDATE ended SET a = 99 WHERE a = 10;
	UPDATE ended SET row_hash = sha256(llm_audit.row_preimage('ended', id)) WHERE a = 99;
	SELECT forge_event(%L, 'last_hashes[1] = (SELECT row_hash FROM ended WHERE a = 99)') $$, :'leaf'),
	'ended', 'llm_audit.segment_event');
SELECT relation_name AS open_leaf FROM llm_audit.ledger_segment
	WHERE relation_name LIKE 'ended_test%' AND segment = 2 \gset
SELECT segment, lane, seq, finding, replace(detail, :'open_leaf', 'LEAF') AS detail FROM change(format($$
	UPDATE pg_class SET relname = 'gone' WHERE oid = %1$L::regclass;
	UPDATE llm_audit.ledger_segment SET state = 'purged' WHERE relation_name = %1$L;
	SELECT forge_event(%1$L, 'event = ''purged'', row_count = 0') $$, :'open_leaf'),
	'ended', 'llm_audit.segment_event') ORDER BY 1, 2, 3, 4, 5;
-- rows in the segment where they do not belong
SELECT segment, lane, seq, finding, detail FROM change(
	'UPDATE llm_audit.ledger_segment SET upper = lower WHERE relation_name = ' || quote_literal(:'leaf'))
	WHERE coalesce(seq, 1) = 1 AND ledger = 'ended'::regclass;

-- an id that stands in two segments
SELECT segment, lane, seq, finding, detail FROM change($$
	UPDATE ended SET id = (SELECT id FROM ended WHERE a = 2) WHERE a = 15;
	UPDATE ended e SET row_hash = sha256(set_byte('\x00', 0, 0)) WHERE a = 15 $$, 'ended')
	WHERE finding = 'duplicate_id';

-- the view is there for auditors, and empty when nobody verifies
SELECT * FROM llm_audit.verify_progress;
SELECT * FROM llm_audit.verify();
\c postgres
DROP DATABASE verify_test WITH (FORCE);
DROP ROLE verify_nobody, verify_auditor, verify_compliance;
