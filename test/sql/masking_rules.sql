-- Custom rules and dictionaries: what they find, in what, and what is refused
-- and recorded.  A database of its own.
\set VERBOSITY terse
\set origin :DBNAME
SET client_min_messages = warning;
CREATE DATABASE masking_rules TEMPLATE template0 ENCODING 'UTF8';
\c masking_rules
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();
CREATE TABLE note (n int, a text, b text, j jsonb, tags text[]);
SELECT llm_audit.create_ledger('note');
CREATE TEMP VIEW newest AS SELECT a, b, j, tags FROM note ORDER BY recorded_at DESC, chain_seq DESC LIMIT 1;

-- A rule runs where its keyword stands, in any case.
SELECT llm_audit.mask('Contract 123456-KZ') AS before;
SELECT llm_audit.add_mask_rule('contract', 'Договор', '\m[0-9]{6}-[A-Z]{2}\M', 'CONTRACT', 'last2');
SELECT llm_audit.mask(t) FROM unnest(ARRAY['По ДОГОВОРУ №123456-KZ', 'договор 123456-kz', '123456-KZ']) AS t;
-- near is 1,024 bytes; every keyword counts
SELECT right(llm_audit.mask(t), 24) FROM unnest(ARRAY['Договор ' || repeat('x', 900) || ' 123456-KZ',
	'Договор ' || repeat('x', 1100) || ' 123456-KZ', repeat('договор ', 500) || '123456-KZ',
	'123456-KZ' || repeat(' x', 100) || ' договор ' || repeat('y', 2000) || ' договор 123456-KZ',
	repeat('договор 123456-KZ ', 500)]) AS t;
SELECT count(*) FROM llm_audit.detect(repeat('договор 123456-KZ ', 500));
-- also where the name of the key has it, at any depth, in strings of JSON
SELECT llm_audit.mask('{"договор": {"no": ["123456-KZ", 7]}, "other": "123456-KZ", "s": "{\"договор\": \"654321-KZ\"}"}');
SELECT * FROM llm_audit.detect('мой договор 123456-KZ');
-- digits of other scripts, spaces of no width
SELECT llm_audit.mask(E'договор \uFF11\uFF12\uFF13\uFF14\uFF15\uFF16-KZ, 12\u200B3456-KZ');
-- what is masked is a group, if there is one; a kind of the scanner's
SELECT llm_audit.add_mask_rule('branch-card', 'card', 'card no\. (\d{6})\M', 'CREDIT_CARD', 'ends');
SELECT llm_audit.mask('card no. 987654, card 987654');
SELECT llm_audit.add_mask_rule('style-last4', 'polis', '\d{8}', 'POLICY_NUMBER', 'last4', data_class => 'banking_secrecy');
INSERT INTO note (n, a, j, tags) VALUES (1, 'polis 12345678', '{"x": {"polis": "12345678"}}', '{polis 12345678,x}');
SELECT * FROM newest;

-- For one ledger, or one column of it
SELECT llm_audit.add_mask_rule('only-b', 'ticket', 'T-\d+', 'TICKET', ledger => 'note', column_name => 'b');
INSERT INTO note (n, a, b) VALUES (2, 'ticket T-17', 'ticket T-17');
SELECT * FROM newest;
SELECT llm_audit.mask('ticket T-17') AS of_no_column;
SELECT llm_audit.add_mask_rule('content', 'ref', 'R-\d+', 'REFERENCE', ledger => 'llm_audit.llm_content', column_name => 'body');

-- Calls say what was found; tokens find it again; the class follows.
SELECT llm_audit.record_call('{"request_id": "rule-1", "environment": "test", "occurred_at": "2026-01-01T12:00:00Z",
	"service_name": "s", "actor_id": "svc", "actor_type": "service", "operation_name": "chat", "provider_name": "p",
	"request_model": "m", "status": "ok", "prompt": "ref R-55 and polis 12345678", "note": "ref R-55"}') IS NOT NULL AS recorded;
SELECT attributes, masking_status, pii_counts, data_class FROM llm_audit.llm_call WHERE request_id = 'rule-1';
BEGIN;
SET LOCAL llm_audit.reason = 'a test';
SELECT request_id, entity FROM llm_audit.match_token WHERE token = ANY ((SELECT llm_audit.match_token('12345678', 'POLICY_NUMBER'))::text[]);
SELECT request_id, entity FROM llm_audit.match_token WHERE token = ANY ((SELECT llm_audit.match_token('r-55'))::text[]);
COMMIT;

-- Refused: bad names, patterns that are broken, slow or without bound
\set VERBOSITY default
SELECT llm_audit.add_mask_rule('contract', 'abc', 'x', 'X_Y');
SELECT llm_audit.add_mask_rule('Bad', 'abc', 'x', 'X_Y');
SELECT llm_audit.add_mask_rule('bad', 'ab', 'x', 'X_Y');
SELECT llm_audit.add_mask_rule('bad', ' abc', 'x', 'X_Y');
SELECT llm_audit.add_mask_rule('bad', 'abc', '', 'X_Y');
SELECT llm_audit.add_mask_rule('bad', 'abc', 'x', 'x-y');
SELECT llm_audit.add_mask_rule('bad', 'abc', 'x', 'X_Y', 'all');
SELECT llm_audit.add_mask_rule('bad', 'abc', 'x', 'X_Y', data_class => 'secret');
SELECT llm_audit.add_mask_rule('bad', 'abc', 'x', 'KZ_IIN', data_class => 'public');
SELECT llm_audit.add_mask_rule('bad', 'abc', 'x', 'X_Y', ledger => 'pg_class');
SELECT llm_audit.add_mask_rule('bad', 'abc', 'x', 'X_Y', ledger => 'note', column_name => 'z');
SELECT llm_audit.add_mask_rule('bad', 'abc', '(a', 'X_Y');
SELECT llm_audit.add_mask_rule('bad', 'abc', '(a+)b\1', 'X_Y');
SELECT llm_audit.add_mask_rule('bad', 'abc', '[a-z]*', 'X_Y');
\set VERBOSITY terse
SELECT llm_audit.add_mask_rule('slow', 'abc', '(.{1,50}){1,10}q', 'X_Y');
SELECT llm_audit.add_mask_rule('slow', 'abc', '(?=.*\d)(?=.*[a-z])[a-z\d]{8,}', 'X_Y');
SELECT llm_audit.check_mask_rule('fast', 'abc', '(a+)+b') < 2000 AS linear;

-- A value that takes too long is withheld; its row stays.
SELECT llm_audit.add_mask_rule('dear', 'dear', '(\w+ ?)*[$]', 'X_Y');
SET llm_audit.mask_rule_budget = 1;
INSERT INTO note (n, a, j) VALUES (3, repeat('dear aaaaaaaaaaaaaa ', 100000),
	jsonb_build_object('k', repeat('dear aaaaaaaaaaaaaa ', 100000)));
SELECT * FROM newest;
INSERT INTO note (n, a) VALUES (4, 'dear aaa');
SELECT * FROM newest;
RESET llm_audit.mask_rule_budget;
SELECT llm_audit.drop_mask_rule('dear', 'it was a test');

-- Dropping needs a reason and is high-risk; versions tell every change.
CREATE TEMP TABLE version AS SELECT 0 AS n, ''::text AS v;
CREATE FUNCTION pg_temp.note_version() RETURNS void LANGUAGE sql AS $$
	SELECT pg_sleep(1.1);
	INSERT INTO llm_audit.llm_call (request_id, environment, occurred_at, service_name, actor_id, actor_type,
		operation_name, provider_name, request_model, status, error_message)
		VALUES ('v', 'test', now(), 's', 'svc', 'service', 'chat', 'p', 'm', 'ok', 'x');
	INSERT INTO version SELECT count(*), (SELECT masking_version FROM llm_audit.llm_call WHERE request_id = 'v'
		ORDER BY recorded_at DESC, chain_seq DESC LIMIT 1) FROM version $$;
SELECT pg_temp.note_version();
SELECT llm_audit.drop_mask_rule('only-b', ' ');
SELECT llm_audit.drop_mask_rule('nothing', 'r');
SELECT llm_audit.drop_mask_rule('only-b', 'T-numbers are public');
SELECT pg_temp.note_version();
SELECT count(DISTINCT v) FROM version WHERE n > 0;
INSERT INTO note (n, b) VALUES (5, 'ticket T-17');
SELECT * FROM newest;
SELECT llm_audit.add_mask_rule('only-b', 'ticket', 'T-\d+', 'TICKET', 'tag', 'note', 'b');
BEGIN;
SELECT llm_audit.drop_mask_rule('only-b', 'undone');
INSERT INTO note (n, b) VALUES (6, 'ticket T-17');
SELECT b FROM newest;
ROLLBACK;
INSERT INTO note (n, b) VALUES (7, 'ticket T-17');
SELECT b FROM newest;

-- Dictionaries
SELECT llm_audit.create_dictionary('people');
SELECT llm_audit.add_dictionary_terms('people', '{Айгерим Садыкова,Иванов,John Smith,KZ-7781,Вера}');
SELECT llm_audit.add_dictionary_terms('people', '{Иванов,ИВАНОВА,Нурлан Әбдіков}') AS new_ones;
SELECT llm_audit.mask(t) FROM unnest(ARRAY['с Айгерим Садыковой и ИВАНОВЫМ', 'у Ивановых, без Иванова', 'Нурлан Әбдіковтың',
	'JOHN  smith''s, Johns Smith, kz 7781', 'ивановский вер верить версия вере', 'John. Or Smith', 'xJohn Smith',
	E'John\u00A0Smith, Ива\u200Bнов']) AS t;
SELECT * FROM llm_audit.detect('от Айгерим Садыковой');
INSERT INTO note (n, a, j, tags) VALUES (8, 'Иванову', '{"Иванов": [{"k": "с Ивановым"}], "s": "{\"x\": \"John Smith\"}"}', '{john smith}');
SELECT * FROM newest;
-- staff stay readable where the policy says so; fixed words are not touched
SELECT llm_audit.create_dictionary('words', 'CODE_NAME', data_class => 'internal');
SELECT llm_audit.add_dictionary_terms('words', '{ok,service,chat,bank,Project Nightjar}');
INSERT INTO llm_audit.llm_call (request_id, environment, occurred_at, service_name, organization_id, actor_id, actor_type,
	operation_name, provider_name, request_model, status, project_id, request_params)
	VALUES ('dict-1', 'test', now(), 'bank', 'bank', 'svc', 'service', 'chat', 'p', 'm', 'ok', 'Project Nightjar', '{"k": "ok"}');
SELECT status, actor_type, service_name, organization_id, operation_name, project_id, request_params, pii_counts, data_class
	FROM llm_audit.llm_call WHERE request_id = 'dict-1';
INSERT INTO llm_audit.admin_event (environment, occurred_at, action, actor_id, actor_type, target_type, target_id, outcome)
	VALUES ('test', now(), 'environment.added', 'Иванов', 'human', 'x', 'Иванов', 'success');
SELECT actor_id, target_id FROM llm_audit.admin_event WHERE environment = 'test';

-- Sealed: nothing that could be read or tested is stored.
SELECT llm_audit.create_dictionary('codes', 'CODE_NAME', true, 'internal');
SELECT llm_audit.add_dictionary_terms('codes', '{Операция Снегирь,Project Heron}');
SELECT llm_audit.mask('об операции снегирь и PROJECT HERONS');
SELECT dictionary, term, key_id FROM llm_audit.dictionary_term WHERE dictionary = 'codes';
SELECT count(*) FROM llm_audit.dictionary_term WHERE dictionary = 'codes'
	AND hashes = ANY (ARRAY[llm_audit.term_hashes('Project Heron', ''), llm_audit.term_hashes('Операция Снегирь', '')]);
SELECT llm_audit.remove_dictionary_terms('codes', '{Project Heron,never there}', '');
SELECT llm_audit.remove_dictionary_terms('codes', '{project heron,never there}', 'it is public now');
SELECT llm_audit.mask('об операции снегирь и PROJECT HERONS');
-- without its key nothing is stored
\c
SET llm_audit.key_file = '';
INSERT INTO note (n, a) VALUES (9, 'операция снегирь');
SELECT llm_audit.create_dictionary('more', sealed => true);
RESET llm_audit.key_file;
SELECT count(*) FROM note WHERE n = 9;
SELECT llm_audit.drop_dictionary('codes', NULL);
SELECT llm_audit.drop_dictionary('codes', 'over');
SELECT llm_audit.mask('об операции снегирь');
SELECT count(*) FROM llm_audit.dictionary_term WHERE dictionary = 'codes';

-- Refused
\set VERBOSITY default
SELECT llm_audit.create_dictionary('people');
SELECT llm_audit.create_dictionary('Bad');
SELECT llm_audit.create_dictionary('bad', 'bad');
SELECT llm_audit.add_dictionary_terms('nobody', '{x}');
SELECT llm_audit.add_dictionary_terms('people', ARRAY['secret person', NULL, '', '   ', 'x', '123', repeat('x', 300), 'a b c d e f g h i']);
\set VERBOSITY terse
-- 16 kinds of one's own, and no more
SELECT count(llm_audit.create_dictionary('d' || i, 'KIND_' || i)) FROM generate_series(1, 10) AS i;
SELECT llm_audit.create_dictionary('one-more', 'KIND_11');
SELECT llm_audit.create_dictionary('too-many', 'KIND_12');
SELECT llm_audit.create_dictionary('same-kind', 'KIND_1');

-- Who may, and who may know who is in a dictionary
CREATE ROLE regress_rules_nobody;
CREATE ROLE regress_rules_admin;
GRANT llm_audit_admin TO regress_rules_admin;
SET ROLE regress_rules_nobody;
SELECT llm_audit.mask('Иванов, договор 123456-KZ');
SELECT count(*) FROM llm_audit.detect('Иванов');
SELECT * FROM llm_audit.dictionary_term;
SELECT llm_audit.term_hashes('x', '');
SELECT llm_audit.add_mask_rule('mine', 'abc', 'x', 'X_Y');
SELECT llm_audit.drop_mask_rule('contract', 'r');
SELECT llm_audit.add_dictionary_terms('people', '{Somebody}');
SELECT llm_audit.drop_dictionary('people', 'r');
RESET ROLE;
SET ROLE llm_audit_admin;
SELECT llm_audit.mask('Иванов');
SELECT count(*) FROM llm_audit.dictionary_term;
SELECT llm_audit.add_dictionary_terms('people', '{Somebody Else}');
RESET ROLE;
DROP ROLE regress_rules_nobody, regress_rules_admin;

-- What is recorded: no term, and high risk where something is weakened
SELECT action, target_id, reason, high_risk, "after" - 'worst_microseconds' AS details FROM llm_audit.admin_event
	WHERE action ~ '^(mask_rule|dictionary)\.' AND target_id !~ '^d\d' ORDER BY recorded_at, chain_seq;
SELECT count(*) FROM llm_audit.admin_event WHERE "after"::text ~ 'Садыков|Снегирь|Heron|Else' OR target_id ~ 'Садыков|Снегирь|Heron|Else';
-- a ledger that goes takes its rules along

SELECT llm_audit.drop_ledger('note', 'tested');
SELECT count(*) FROM llm_audit.mask_rule WHERE name = 'only-b';
SELECT count(*) FROM llm_audit.verify();
-- somebody has broken a rule behind our back: nothing is stored
UPDATE llm_audit.mask_rule SET pattern = '(' WHERE name = 'contract';
SELECT llm_audit.mask('x');
INSERT INTO llm_audit.llm_call (request_id, environment, occurred_at, service_name, actor_id, actor_type,
	operation_name, provider_name, request_model, status, error_message)
	VALUES ('broken', 'test', now(), 's', 'svc', 'service', 'chat', 'p', 'm', 'ok', 'x');
-- nor is anything read, whose record could not be masked
SELECT count(*) FROM llm_audit.llm_call WHERE request_id = 'broken';
DELETE FROM llm_audit.mask_rule WHERE name = 'contract';
SELECT count(*) FROM llm_audit.llm_call WHERE request_id = 'broken';
\c :origin
DROP DATABASE masking_rules WITH (FORCE);
