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
-- What is held stays, with what leads to it, until the hold ends.
SELECT call(5, 'clerk', 'vera'), call(6, 'clerk', 'vera'), call(7, 'vera', 'pavel');
SELECT llm_audit.place_hold('CASE-1', 'court', '{"request_ids": ["req-5"], "ledger": "llm_content"}') AS hold \gset
SELECT ledger, action, row_count, why_not FROM llm_audit.erase_subject('vera', 'GDPR art. 17', 'DSR-9', dry_run => false);
SELECT request_id, body IS NOT NULL AS body FROM llm_audit.llm_content WHERE request_id IN ('req-5', 'req-6', 'req-7') ORDER BY 1;
SELECT request_id, end_user_id IS NOT NULL AS customer, user_agent FROM llm_audit.llm_call WHERE request_id IN ('req-5', 'req-6', 'req-7') ORDER BY 1;
SELECT llm_audit.release_hold(:'hold', 'over');
SELECT ledger, action, row_count, why_not FROM llm_audit.erase_subject('vera', 'GDPR art. 17', 'DSR-9', dry_run => false);
SELECT request_id, body FROM llm_audit.llm_content WHERE request_id = 'req-5';
SELECT ledger, action, row_count, why_not FROM llm_audit.erase_subject('vera', 'GDPR art. 17', 'DSR-9', dry_run => false);
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
-- A first period and a shorter one erase what is there: said twice, with a reason.
SELECT llm_audit.set_field_policy('entry', 'doc', 'mask', period => '1 hour');
SELECT llm_audit.set_field_policy('entry', 'doc', 'mask', period => '1 hour', reason => 'a test');
SELECT llm_audit.set_field_policy('entry', 'doc', 'mask', period => '1 hour', bypass => true);
SELECT llm_audit.set_field_policy('entry', 'doc', 'mask', period => '1 hour', bypass => true, reason => 'a test');
SELECT llm_audit.set_field_policy('entry', 'doc', 'mask', period => '59 minutes');
SELECT llm_audit.expire_fields('entry');
-- whatever the session makes of times
SET DateStyle = 'SQL, DMY';
SET TimeZone = 'Asia/Kolkata';
SELECT llm_audit.expire_fields('entry');
RESET DateStyle;
RESET TimeZone;
BEGIN;
SELECT llm_audit.set_field_policy('entry', 'doc', 'mask', period => '1 day');
-- where that day had 23 hours
SET TimeZone = 'America/New_York';
SELECT cutoff AT TIME ZONE 'UTC' AS cutoff FROM llm_audit.expired_fields('2026-03-08 12:00+00') WHERE leaf = 'entry'::regclass;
ROLLBACK;
SELECT llm_audit.set_field_policy('entry', 'doc', 'mask', period => '1 microsecond', bypass => true, reason => 'a test');
-- what is not said stays
SELECT llm_audit.set_field_policy('entry', 'doc', 'mask');
SELECT period FROM llm_audit.field_policy WHERE column_name = 'doc';
SELECT llm_audit.place_hold('CASE-2', 'court', '{"ledger": "entry"}') AS hold \gset
SELECT llm_audit.expire_fields('entry') AS held;
SELECT llm_audit.release_hold(:'hold', 'over');
SELECT llm_audit.expire_fields('entry'), llm_audit.expire_fields('entry') AS again;
SELECT finding, detail FROM llm_audit.verify('entry');
SELECT count(*) AS rows, count(doc) AS docs, count(tags) AS tags FROM entry;
SELECT cause, column_names, row_count FROM llm_audit.erase_receipt WHERE cause = 'period';
SELECT action, "after" -> 'rows' AS rows FROM llm_audit.admin_event WHERE action = 'field.erased';
SELECT action, high_risk, "after" -> 'period' AS period, "after" -> 'period_was' AS was
	FROM llm_audit.admin_event WHERE action LIKE 'field_policy.%' ORDER BY recorded_at, chain_seq;
-- periods that cannot be
SELECT llm_audit.set_field_policy('entry', 'kept', 'mask', period => '1 year', bypass => true, reason => 'a test');
SELECT llm_audit.set_field_policy('entry', 'doc', 'mask', period => '1001 years');
SELECT llm_audit.set_field_policy('entry', 'doc', 'mask', period => '3 mons -1 day');
SELECT llm_audit.set_field_policy('entry', 'doc', 'mask', period => '-1 day');
SELECT llm_audit.set_field_policy('llm_audit.admin_event', 'after', 'mask', period => '89 days', bypass => true, reason => 'a test');
UPDATE llm_audit.field_policy SET period = '89 days' WHERE column_name = 'after';
UPDATE llm_audit.retention_policy p SET period = '89 days' FROM llm_audit.ledger l
	WHERE p.ledger_id = l.ledger_id AND l.relation_name = 'admin_event';
SELECT llm_audit.set_field_policy('entry', 'doc', 'mask', period => '1000 years');
SELECT count(*) FROM llm_audit.expired_fields();
-- what is encrypted goes with what it was made of, at the earlier of both periods
ALTER TABLE entry ADD COLUMN name_encrypted bytea;
SELECT llm_audit.set_field_policy('entry', 'name', 'mask', encrypt => true);
INSERT INTO entry (a, name) VALUES (8, 'name 8');
SELECT count(name) AS names, count(name_encrypted) AS encrypted FROM entry WHERE a = 8;
SELECT llm_audit.set_field_policy('entry', 'name', 'mask', period => '1 microsecond', encrypt => true, bypass => true, reason => 'a test');
SELECT llm_audit.expire_fields('entry') > 0 AS expired;
SELECT count(name) AS names, count(name_encrypted) AS encrypted FROM entry;
SELECT finding, detail FROM llm_audit.verify('entry');
SELECT llm_audit.set_field_policy('llm_audit.llm_content', 'body', 'mask', period => '7 days', encrypt => true, bypass => true, reason => 'a test');
SELECT column_name, period FROM llm_audit.field_periods() f JOIN llm_audit.ledger USING (ledger_id)
	WHERE relation_name = 'llm_content' AND column_name IN ('body', 'body_encrypted', 'body_digest') ORDER BY 1;
-- in compliance mode: nobody, whoever, however
SELECT llm_audit.set_retention('entry', NULL, NULL, '7 years', mode => 'compliance', bypass => true, reason => 'a test');
SELECT llm_audit.set_field_policy('entry', 'doc', 'mask', period => '1 year', bypass => true, reason => 'please');
SELECT llm_audit.set_field_policy('entry', 'tags', 'mask', period => '1 year', bypass => true, reason => 'please');
SELECT llm_audit.set_field_policy('entry', 'name', 'mask', period => '1 year', encrypt => true);
UPDATE llm_audit.field_policy SET period = '1 day' WHERE column_name = 'doc';
UPDATE llm_audit.field_policy SET column_name = 'tags' WHERE column_name = 'doc';
DELETE FROM llm_audit.field_policy WHERE column_name = 'doc';
INSERT INTO llm_audit.field_policy (ledger_id, column_name, on_write, period)
	SELECT ledger_id, 'tags', 'mask', '1 day' FROM llm_audit.field_policy WHERE column_name = 'doc';
\c :origin
DROP DATABASE erase WITH (FORCE);
DROP ROLE erase_writer;
