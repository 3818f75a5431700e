-- Erasing: fields whose period has passed, people, receipts, and what verify
-- says of all that.
\set VERBOSITY terse
\set origin :DBNAME
CREATE DATABASE erase TEMPLATE template0 ENCODING 'UTF8';
\c erase
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();
CREATE TABLE entry (a int, name text, kept text, born date, tags text[], doc jsonb);
SELECT llm_audit.create_ledger('entry', erasable => '{name,born,tags,doc}');
INSERT INTO entry (a, name, kept, born, tags, doc)
	SELECT i, 'name ' || i, 'k', '2000-01-01', '{a,b}', '{"x": 1}' FROM generate_series(1, 6) i;
INSERT INTO entry (a, name) VALUES (7, repeat('long text here ', 5000));

-- The door is for our own functions; what it changes leaves a receipt.
SELECT llm_audit.erase_rows('entry', '{name,born}', 't.a IN (2, 3, 5, 7)',
	'00000000-0000-0000-0000-000000000001', 'subject', 'T-1', 'art. 17');
SELECT a, name, born, length(salt) / 18 AS salts, length(erased) / 34 AS commitments FROM entry ORDER BY a;
SELECT stage, cause, columns, column_names, lanes, first_seqs, last_seqs, row_count, ticket, basis, ledger, leaf
	FROM llm_audit.erase_receipt;
SELECT * FROM llm_audit.verify();
-- again: nothing is left to erase in these columns
SELECT llm_audit.erase_rows('entry', '{name,born}', 't.a IN (2, 3, 5, 7)',
	'00000000-0000-0000-0000-000000000001', 'subject', 'T-1', 'art. 17');
-- a column that is hashed as it stands keeps its value; another one goes
SELECT llm_audit.erase_rows('entry', '{kept,doc}', 't.a <= 2',
	'00000000-0000-0000-0000-000000000002', 'subject', 'T-1', 'art. 17');
SELECT a, kept, doc FROM entry WHERE a <= 3 ORDER BY a;
SELECT * FROM llm_audit.verify();
SELECT llm_audit.rewrite_segment('entry');
SELECT llm_audit.rewrite_segment('entry');
SELECT erasure_id, cause, ticket, row_count, completed_at >= erased_at AS completed FROM llm_audit.erasure_report();
SELECT * FROM llm_audit.verify();
SELECT status, findings FROM llm_audit.verify_summary('entry');
-- bad input
SELECT llm_audit.erase_rows('entry', '{nothing}', 'true', gen_random_uuid(), 'subject', 'T', 'b');
SELECT llm_audit.erase_rows('entry', '{}', 'true', gen_random_uuid(), 'subject', 'T', 'b');
DO $$ BEGIN PERFORM llm_audit.erase_rows('llm_audit.llm_call', '{actor_id}', 'true', gen_random_uuid(), 'subject', 'T', 'b');
EXCEPTION WHEN wrong_object_type THEN RAISE EXCEPTION 'only a segment'; END $$;
SELECT llm_audit.erase_rows('entry', NULL, 'true', gen_random_uuid(), 'subject', 'T', 'b');
SELECT llm_audit.rewrite_segment('llm_audit.environment');
SELECT llm_audit.expire_fields('llm_audit.environment');
-- the door is shut otherwise
UPDATE entry SET name = NULL;
CREATE ROLE erase_writer IN ROLE llm_audit_writer;
SET ROLE erase_writer;
SELECT llm_audit.erase_rows('entry', '{name}', 'true', gen_random_uuid(), 'subject', 'T', 'b');
INSERT INTO llm_audit.erase_receipt (environment, erasure_id, stage, cause, ledger, ledger_id, segment, leaf, columns, column_names, row_count, actor)
	VALUES ('prod', gen_random_uuid(), 'completed', 'subject', 'x', gen_random_uuid(), 1, 'x', '{1}', '{x}', 1, 'x');
SELECT * FROM llm_audit.erase_subject('ivan', 'b', 'T');
SELECT llm_audit.subject_report('ivan');
RESET ROLE;

-- People: found by pseudonym in every ledger, the text of their calls too.
SELECT llm_audit.set_content_recording('*', '*', true, 'test');
CREATE FUNCTION call(n int, actor text, customer text) RETURNS void
LANGUAGE sql AS $$
	SELECT llm_audit.record_call(json_build_object('request_id', 'req-' || n, 'occurred_at', '2026-01-01T00:00:00Z',
		'environment', 'prod', 'service_name', 'gateway', 'organization_id', 'bank', 'actor_id', actor,
		'actor_type', 'human', 'end_user_id', customer, 'operation_name', 'chat', 'provider_name', 'openai',
		'request_model', 'gpt-4o', 'status', 'ok', 'user_agent', 'curl',
		'content', json_build_array(json_build_object('kind', 'prompt', 'body', 'the words of ' || customer)))::text);
$$;
SELECT call(1, 'clerk', 'ivan'), call(2, 'clerk', 'olga'), call(3, 'ivan', 'olga'), call(4, 'ivan', 'ivan');
SELECT count(*) AS fragments FROM llm_audit.llm_content;
SELECT ledger, action, row_count, why_not FROM llm_audit.erase_subject('ivan', 'GDPR art. 17', 'DSR-7');
SELECT count(*) AS erased FROM llm_audit.llm_call WHERE erased IS NOT NULL;
SELECT ledger, action, row_count, why_not FROM llm_audit.erase_subject('ivan', 'GDPR art. 17', 'DSR-7', dry_run => false);
SELECT request_id, actor_id IS NOT NULL AS actor, end_user_id IS NOT NULL AS customer, user_agent
	FROM llm_audit.llm_call ORDER BY 1;
SELECT request_id, body FROM llm_audit.llm_content ORDER BY 1;
SELECT ledger, action, row_count, why_not FROM llm_audit.erase_subject('ivan', 'GDPR art. 17', 'DSR-7', dry_run => false);
SELECT action, target_type, reason, "after" - 'erasure' AS details FROM llm_audit.admin_event WHERE action LIKE 'subject.%' ORDER BY recorded_at;
SELECT finding, detail FROM llm_audit.verify('llm_audit.llm_call') UNION ALL SELECT finding, detail FROM llm_audit.verify('llm_audit.llm_content');
-- what is known of a person, without text; by pseudonym as well
BEGIN;
SET LOCAL llm_audit.reason = '';
SELECT llm_audit.subject_report('olga');
ROLLBACK;
BEGIN;
SET LOCAL llm_audit.reason = 'access request DSR-8';
SELECT r ->> 'ledger' AS ledger, r ->> 'named_as' AS named_as, r #>> '{row,request_id}' AS request_id, r -> 'row' ? 'body' AS body
	FROM llm_audit.subject_report('olga') r ORDER BY 1, 3;
SELECT count(*) FROM llm_audit.subject_report((SELECT (llm_audit.pseudonym('olga', 'end_user_id'))[1]));
COMMIT;
SELECT llm_audit.subject_report('');
SELECT * FROM llm_audit.erase_subject('olga', ' ', 'DSR-8');
SELECT * FROM llm_audit.erase_subject('olga', 'art. 17', NULL);
SELECT * FROM llm_audit.erase_subject(NULL, 'art. 17', 'DSR-8');
-- compliance may, by that role alone
SET ROLE llm_audit_compliance;
SELECT ledger, action, row_count FROM llm_audit.erase_subject('olga', 'art. 17', 'DSR-9');
RESET ROLE;

-- Fields: by their own period, in segments without an end row by row.
SELECT llm_audit.set_field_policy('entry', 'doc', 'mask', period => '1 hour');
SELECT llm_audit.expire_fields('entry');
SELECT llm_audit.set_field_policy('entry', 'doc', 'mask', period => '1 microsecond');
SELECT llm_audit.expire_fields('entry'), llm_audit.expire_fields('entry') AS again;
SELECT finding, detail FROM llm_audit.verify('entry');
SELECT count(*) AS rows, count(doc) AS docs, count(tags) AS tags FROM entry;
SELECT cause, column_names, row_count FROM llm_audit.erase_receipt WHERE cause = 'period';
SELECT action, "after" -> 'rows' AS rows FROM llm_audit.admin_event WHERE action = 'field.erased';
\c :origin
DROP DATABASE erase WITH (FORCE);
DROP ROLE erase_writer;
