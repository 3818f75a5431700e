-- Encryption at rest and encrypted originals: what can be encrypted, what is
-- stored, and what does not open.  A database of its own.
\set VERBOSITY terse
\set origin :DBNAME
CREATE DATABASE encryption_test TEMPLATE template0 ENCODING 'UTF8';
ALTER DATABASE encryption_test SET llm_audit.masking = on;
\c encryption_test
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();
CREATE TABLE notes (a text, j jsonb, v varchar(20), raw bytea, must text NOT NULL DEFAULT '', list text[],
	n int, inet inet, a_encrypted bytea, j_encrypted bytea, v_encrypted bytea, must_encrypted bytea);
SELECT llm_audit.create_ledger('notes', erasable => '{a,raw}');

-- try(SQL): its error with SQLSTATE, or 'fine'
CREATE FUNCTION pg_temp.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
BEGIN
	EXECUTE statement;
	RETURN 'fine';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', SQLSTATE || ' ' || regexp_replace(message, 'key [0-9a-f]{8}', 'key ID'),
		nullif(detail, ''), nullif(hint, ''));
END
$$;

-- What can be encrypted, and what cannot
SELECT c, pg_temp.try(format('SELECT llm_audit.set_field_policy(''notes'', %L, ''mask'', encrypt => true)', c))
	FROM unnest('{a,j,v,raw,must,list,n,inet,id,row_hash,a_encrypted,nothing}'::name[]) AS c;
SELECT w, pg_temp.try(format('SELECT llm_audit.set_field_policy(''notes'', ''a'', %L, encrypt => true, reason => ''r'')', w))
	FROM unnest('{keep,hash,redact,drop,reject,mask}'::text[]) AS w;
SELECT pg_temp.try('SELECT llm_audit.set_field_policy(''notes'', ''raw'', ''mask'', reason => ''r'')') AS raw_as_text;
SELECT c, pg_temp.try(format('SELECT llm_audit.set_field_policy(''llm_audit.llm_call'', %L, ''mask'', encrypt => true)', c))
	FROM unnest('{error_message,service_name,request_id,client_address}'::name[]) AS c;
SELECT c, pg_temp.try(format('SELECT llm_audit.set_field_policy(''llm_audit.llm_content'', %L, ''mask'', encrypt => true)', c))
	FROM unnest('{service_name,body_digest,original_encrypted,body_encrypted,body}'::name[]) AS c;
SELECT column_name, encrypt FROM llm_audit.field_policy WHERE encrypt ORDER BY 1;
-- the ciphertext of what can be erased can be erased
SELECT column_name FROM llm_audit.ledger_column JOIN llm_audit.ledger USING (ledger_id)
	WHERE relation_name = 'notes' AND erasable ORDER BY 1;

-- What is stored: masked first, then encrypted, each value differently
INSERT INTO notes (a, j, v, raw) VALUES
	('mail a.b@bank.kz', '{"password": "hunter2", "n": 1}', 'plain words', convert_to('card 4403123412344298', 'UTF8')),
	('mail a.b@bank.kz', NULL, '', '\x00ff');
COPY notes (a) FROM STDIN;
by COPY
\.
SELECT a, j, v, length(a_encrypted), length(j_encrypted), length(v_encrypted), length(raw) AS raw FROM notes ORDER BY chain_seq;
SELECT count(DISTINCT a_encrypted) AS different, count(DISTINCT substr(a_encrypted, 1, 5)) AS headers,
	bool_and(get_byte(a_encrypted, 0) = 1) AS version FROM notes;
SELECT llm_audit.decrypt_value(tableoid, 'a', id, a_encrypted) AS a,
		llm_audit.decrypt_value(tableoid, 'j_encrypted', id, j_encrypted)::jsonb AS j,
		llm_audit.decrypt_value(tableoid, 'v', id, v_encrypted) AS v,
		llm_audit.decrypt_value(tableoid, 'raw', id, raw) AS raw
	FROM notes ORDER BY chain_seq;
SELECT convert_from(llm_audit.decrypt_bytes(l.ledger_id, 1, c.column_number, n.id, n.a_encrypted), 'UTF8') AS by_number
	FROM notes n, llm_audit.ledger l JOIN llm_audit.ledger_column c USING (ledger_id)
	WHERE l.relation_name = 'notes' AND c.column_name = 'a_encrypted' AND n.chain_seq = 1;
-- bytes that are kept, not taken for text
SELECT llm_audit.set_field_policy('notes', 'raw', 'keep', encrypt => true, reason => 'pictures');
INSERT INTO notes (raw) VALUES ('\x00ff');
SELECT pg_temp.try(format('SELECT llm_audit.decrypt_value(''notes'', ''raw'', %L, %L)', id, raw)) AS no_text,
	llm_audit.decrypt_bytes(ledger_id, 1, column_number, id, raw) AS raw
	FROM notes, llm_audit.ledger_column
	WHERE chain_seq = 4 AND column_name = 'raw';
SELECT count(*) FROM llm_audit.verify();
SELECT ledger_id = (SELECT ledger_id FROM llm_audit.ledger WHERE relation_name = 'notes') AS ours,
		segment, state, values_reserved, wrapped_by, unwraps
	FROM llm_audit.data_keys() WHERE ledger_id IN (SELECT ledger_id FROM llm_audit.ledger);

-- What does not open
CREATE FUNCTION pg_temp.open(place text, column_name name, id uuid, value bytea) RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.try(format('SELECT llm_audit.decrypt_value(%L, %L, %L, %L)', place, column_name, id, value))
$$;
CREATE TABLE others (a text, a_encrypted bytea);
SELECT llm_audit.create_ledger('others');
SELECT what, pg_temp.open(t.place, t.c, t.i, t.value) AS result
	FROM (SELECT * FROM notes WHERE chain_seq = 1) AS n,
	LATERAL (VALUES
		(1, 'as it is', 'notes', 'a', n.id, a_encrypted),
		(2, 'another row', 'notes', 'a', (SELECT o.id FROM notes o WHERE o.chain_seq = 2), a_encrypted),
		(3, 'another column', 'notes', 'v', n.id, a_encrypted),
		(4, 'another ledger', 'others', 'a', n.id, a_encrypted),
		(5, 'a bit flipped', 'notes', 'a', n.id, set_byte(a_encrypted, 20, get_byte(a_encrypted, 20) # 1)),
		(6, 'tag flipped', 'notes', 'a', n.id, set_byte(a_encrypted, length(a_encrypted) - 1, get_byte(a_encrypted, length(a_encrypted) - 1) # 128)),
		(7, 'nonce flipped', 'notes', 'a', n.id, set_byte(a_encrypted, 5, get_byte(a_encrypted, 5) # 1)),
		(8, 'a byte less', 'notes', 'a', n.id, substr(a_encrypted, 1, length(a_encrypted) - 1)),
		(9, 'a byte more', 'notes', 'a', n.id, a_encrypted || '\x00'),
		(10, 'cut off', 'notes', 'a', n.id, substr(a_encrypted, 1, 32)),
		(11, 'empty', 'notes', 'a', n.id, ''),
		(12, 'another version', 'notes', 'a', n.id, set_byte(a_encrypted, 0, 2)),
		(13, 'another key id', 'notes', 'a', n.id, set_byte(a_encrypted, 4, get_byte(a_encrypted, 4) # 1)),
		(14, 'no such column', 'notes', 'b', n.id, a_encrypted),
		(15, 'a column without', 'notes', 'list', n.id, a_encrypted),
		(16, 'no ledger', 'pg_class', 'relname', n.id, a_encrypted))
	AS t (number, what, place, c, i, value) ORDER BY number;
SELECT pg_temp.try('SELECT llm_audit.decrypt_bytes(gen_random_uuid(), 0, 1, gen_random_uuid(), '''')') AS segment_0,
	pg_temp.try('SELECT llm_audit.decrypt_bytes(gen_random_uuid(), 1, 65536, gen_random_uuid(), '''')') AS column_65536,
	llm_audit.decrypt_value('notes', 'a', NULL, NULL) IS NULL AS null_is_null;

-- Ciphertext is ours to set
SELECT c, pg_temp.try(format('INSERT INTO notes (%I) VALUES (''x'')', c)) FROM unnest('{a_encrypted,j_encrypted}'::name[]) AS c;
SELECT c, pg_temp.try(format('INSERT INTO llm_audit.llm_content (environment, call_id, request_id, ordinal, kind, body_bytes, %I)
	VALUES (''test'', gen_random_uuid(), ''r'', 0, ''prompt'', 1, ''x'')', c)) FROM unnest('{body_encrypted,original_encrypted}'::name[]) AS c;

-- Encryption does not depend on masking
SET llm_audit.masking = off;
INSERT INTO notes (a) VALUES ('mail a.b@bank.kz');
RESET llm_audit.masking;
SELECT a, llm_audit.decrypt_value(tableoid, 'a', id, a_encrypted) FROM notes ORDER BY chain_seq DESC LIMIT 1;

-- Who may
SELECT r, p.proname, has_function_privilege(r, p.oid, 'EXECUTE') FROM pg_proc p
	CROSS JOIN unnest('{llm_audit_definer,llm_audit_view_owner}'::name[]) AS r
	WHERE p.proname IN ('decrypt_value', 'decrypt_bytes') ORDER BY 2, 1;
SELECT p.proname, r.rolname FROM pg_proc p CROSS JOIN pg_roles r
	WHERE p.pronamespace = 'llm_audit'::regnamespace AND p.proname ~ '(decrypt|data_key|key_directory|original_key|openpgp)'
		AND r.rolname ~ '^llm_audit_' AND has_function_privilege(r.oid, p.oid, 'EXECUTE') ORDER BY 1, 2;

CREATE FUNCTION show_note(place regclass, id uuid, value bytea) RETURNS text
	LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
	AS 'SELECT llm_audit.decrypt_value(place, ''a'', id, value)';
ALTER FUNCTION show_note(regclass, uuid, bytea) OWNER TO llm_audit_definer;
CREATE ROLE regress_encryption_reader;
GRANT SELECT ON notes TO regress_encryption_reader;
SET ROLE regress_encryption_reader;
SELECT llm_audit.decrypt_value(tableoid, 'a', id, a_encrypted) FROM notes;
SELECT show_note(tableoid, id, a_encrypted) FROM notes WHERE chain_seq = 1;
RESET ROLE;
REVOKE SELECT ON notes FROM regress_encryption_reader;
DROP ROLE regress_encryption_reader;

-- A weaker policy needs a reason; both are recorded
SELECT pg_temp.try('SELECT llm_audit.set_field_policy(''notes'', ''a'', ''mask'')') AS off_without_reason,
	pg_temp.try('SELECT llm_audit.set_field_policy(''notes'', ''a'', ''mask'', reason => ''DPO-1'')') AS off;
INSERT INTO notes (a) VALUES ('plain words again');
SELECT a, a_encrypted IS NULL AS not_encrypted FROM notes ORDER BY chain_seq DESC LIMIT 1;
SELECT action, reason, "after" ->> 'encrypt' AS encrypt FROM llm_audit.admin_event
	WHERE target_id = 'public.notes.a' ORDER BY recorded_at DESC, id DESC LIMIT 2;

-- A retry of a call is known again, and one that says something else is too
ALTER TABLE llm_audit.llm_call ADD COLUMN error_message_encrypted bytea;
ALTER TABLE llm_audit.llm_call ADD COLUMN attributes_encrypted bytea;
SELECT llm_audit.set_field_policy('llm_audit.llm_call', 'error_message', 'mask', encrypt => true);
SELECT llm_audit.set_field_policy('llm_audit.llm_call', 'attributes', 'mask', encrypt => true);
-- archives do not have the keys that a purge destroys
SELECT llm_audit.set_retention('llm_audit.llm_content', NULL, NULL, '90 days', archive_before_purge => true);
SELECT llm_audit.set_retention('llm_audit.llm_content', 'test', NULL, '91 days');
SELECT llm_audit.set_retention('llm_audit.settlement', NULL, NULL, '7 years', archive_before_purge => true);
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT llm_audit.set_field_policy('llm_audit.llm_content', 'body', 'mask', encrypt => true, period => '90 days');
\set VERBOSITY terse
CREATE FUNCTION pg_temp.call(message text, note text) RETURNS text LANGUAGE sql AS $$
	SELECT result FROM llm_audit.record_calls(format('{"id": "00000000-0000-7000-8000-000000000001", "request_id": "r-1",
		"environment": "test", "occurred_at": "2026-01-01T12:00:00Z", "service_name": "s", "actor_id": "svc",
		"actor_type": "service", "operation_name": "chat", "provider_name": "p", "request_model": "m",
		"status": "error", "error_message": "%s", "note": "%s"}', message, note), on_error => 'report')
$$;
SELECT pg_temp.call('failed for a.b@bank.kz', 'one') AS first, pg_temp.call('failed for a.b@bank.kz', 'one') AS same;
SELECT pg_temp.call('failed for another reason', 'one') AS other_message, pg_temp.call('failed for a.b@bank.kz', 'two') AS other_note;
SELECT error_message, attributes, llm_audit.decrypt_value(tableoid, 'error_message', id, error_message_encrypted) AS message,
	llm_audit.decrypt_value(tableoid, 'attributes', id, attributes_encrypted) AS attributes
	FROM llm_audit.llm_call WHERE request_id = 'r-1';

-- Text of calls
SELECT llm_audit.set_content_recording('*', '*', true, 'a test');
SELECT llm_audit.record_call('{"request_id": "r-2", "environment": "test", "occurred_at": "2026-01-01T12:00:00Z",
	"service_name": "s", "actor_id": "svc", "actor_type": "service", "operation_name": "chat", "provider_name": "p",
	"request_model": "m", "status": "ok", "prompt": "ИИН 123456789012"}') IS NOT NULL AS recorded;
SELECT body, llm_audit.decrypt_value(tableoid, 'body', id, body_encrypted), pii_counts, data_class,
	original_encrypted IS NULL AS no_original FROM llm_audit.llm_content;

-- Destroying keys: of closed segments only, for a reason, and for good
SELECT s.segment AS number FROM llm_audit.ledger_segment s JOIN pg_class c ON c.relname = s.relation_name
	WHERE c.oid = (SELECT tableoid FROM llm_audit.llm_content) \gset
SELECT pg_temp.try(format('SELECT llm_audit.destroy_data_keys(''llm_audit.llm_content'', %s, ''r'')', 0)) AS no_such_segment,
	pg_temp.try(format('SELECT llm_audit.destroy_data_keys(''pg_class'', %s, ''r'')', 1)) AS no_ledger;
CREATE FUNCTION pg_temp.destroy(number int, reason text) RETURNS text LANGUAGE sql AS $$
	SELECT regexp_replace(pg_temp.try(format('SELECT llm_audit.destroy_data_keys(''llm_audit.llm_content'', %s, %L)', number, reason)),
		'segment \d+', 'segment N')
$$;
CREATE FUNCTION pg_temp.body() RETURNS text LANGUAGE sql AS $$
	SELECT regexp_replace(pg_temp.open(tableoid::regclass::text, 'body', id, body_encrypted), 'segment \d+|since .*\.$', '...', 'g')
		FROM llm_audit.llm_content LIMIT 1
$$;
SELECT pg_temp.destroy(:number, 'r') AS open;
UPDATE llm_audit.ledger_segment SET state = 'closed' WHERE relation_name = (SELECT relname
	FROM pg_class WHERE oid = (SELECT tableoid FROM llm_audit.llm_content));
SELECT pg_temp.destroy(:number, ' ') AS no_reason, pg_temp.body() AS readable;
-- at once: a rollback does not bring it back
BEGIN;
SELECT cardinality(llm_audit.destroy_data_keys('llm_audit.llm_content', :number, 'expired')) AS destroyed;
ROLLBACK;
SELECT pg_temp.body() AS not_readable;
SELECT cardinality(llm_audit.destroy_data_keys('llm_audit.llm_content', :number, 'expired')) AS still_destroyed;
SELECT action, category, high_risk, reason, jsonb_array_length("after" -> 'keys') AS keys FROM llm_audit.admin_event WHERE action = 'data_key.destroyed';
SELECT state, created_at IS NOT NULL AS made, destroyed_at >= created_at AS destroyed, wrapped_by, unwraps
	FROM llm_audit.data_keys() WHERE segment = :number AND ledger_id = (SELECT ledger_id FROM llm_audit.ledger WHERE relation_name = 'llm_content');
UPDATE llm_audit.ledger_segment SET state = 'open' WHERE segment = :number
	AND ledger_id = (SELECT ledger_id FROM llm_audit.ledger WHERE relation_name = 'llm_content');

-- Wrapping anew: nothing to do, but it is on record
SELECT pg_temp.try('SELECT llm_audit.rewrap_data_keys(NULL)') AS no_reason;
SELECT llm_audit.rewrap_data_keys('after the rotation of keys');
SELECT item, ok, hint FROM llm_audit.readiness() WHERE item IN ('key directory', 'data keys', 'pgcrypto');

-- Encrypted originals
\getenv abs_srcdir PG_ABS_SRCDIR
\set file :abs_srcdir '/data/openpgp_public_key.asc'
\set key `cat :'file'`
SELECT pg_temp.try(format('SELECT llm_audit.set_original_key(%L, ''DPO-2'')', :'key')) AS no_pgcrypto;
CREATE SCHEMA elsewhere;
CREATE EXTENSION pgcrypto SCHEMA elsewhere;
SELECT pg_temp.try('SELECT llm_audit.set_original_key(''nonsense'', ''DPO-2'')') AS nonsense,
	pg_temp.try(format('SELECT llm_audit.set_original_key(%L, '' '')', :'key')) AS no_reason,
	pg_temp.try(format('SELECT llm_audit.set_original_key(%L, ''DPO-2'', ''moon'')', :'key')) AS no_environment,
	pg_temp.try(format('SELECT llm_audit.set_original_key(%L, ''DPO-2'', ''test'', '''')', :'key')) AS no_service;
SELECT llm_audit.set_original_key(:'key', 'DPO-2', 'test');
SELECT llm_audit.set_original_key(NULL, 'DPO-3', 'test', 'quiet');
SELECT environment, service_name, openpgp_key_id FROM llm_audit.original_recipient ORDER BY 1, 2;
CREATE FUNCTION pg_temp.fragment(environment text, service text) RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.try(format('INSERT INTO llm_audit.llm_content (environment, service_name, call_id, request_id, ordinal, kind, body, body_bytes)
		VALUES (%L, %L, gen_random_uuid(), ''o'', 0, ''prompt'', ''card 4403123412344298'', 21)', environment, service))
$$;
SELECT pg_temp.fragment('test', 's'), pg_temp.fragment('test', 'quiet'), pg_temp.fragment('test', NULL), pg_temp.fragment('prod', 's');
SELECT environment, service_name, llm_audit.decrypt_value(tableoid, 'body', id, body_encrypted) AS body,
		elsewhere.pgp_key_id(original_encrypted) AS original_for
	FROM llm_audit.llm_content WHERE request_id = 'o' ORDER BY environment, service_name;
-- no other function gets the text, and without pgcrypto there is no row
DROP EXTENSION pgcrypto;
CREATE FUNCTION elsewhere.pgp_pub_encrypt(text, bytea, text) RETURNS bytea LANGUAGE sql AS 'SELECT convert_to($1, ''UTF8'')';
SELECT pg_temp.fragment('test', 's') AS no_pgcrypto, pg_temp.fragment('test', 'quiet') AS not_needed;
SELECT item, ok, hint FROM llm_audit.readiness() WHERE item = 'pgcrypto';
SELECT action, target_id, high_risk, reason, "after" FROM llm_audit.admin_event WHERE action = 'original_recipient.changed' ORDER BY id;
SELECT ledger, finding FROM llm_audit.verify();

\c :origin
DROP DATABASE encryption_test WITH (FORCE);
