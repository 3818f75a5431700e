-- Masking on write: what the scanner finds, what each field policy does, and
-- that nothing is stored that should not be.  A database of its own.
\set VERBOSITY terse
\set origin :DBNAME
CREATE DATABASE masking_test TEMPLATE template0 ENCODING 'UTF8';
\c masking_test
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();
-- the second time no policy is missing, and no column names one in vain
SELECT llm_audit.install_field_policies();
SELECT p.relation_name, p.column_name FROM llm_audit.builtin_field_policies() AS p
	WHERE NOT EXISTS (SELECT FROM llm_audit.builtin_columns() AS c
		WHERE c.relation_name = p.relation_name AND c.column_name = p.column_name);
SELECT relation_name, column_name, count(*) FROM llm_audit.builtin_field_policies()
	GROUP BY 1, 2 HAVING count(*) > 1;
-- every text of a built-in ledger has a policy of its own
SELECT c.relation_name, c.column_name FROM llm_audit.builtin_columns() AS c
	WHERE c.relation_name IS NOT NULL AND c.definition ~ '^(text|jsonb|inet|char)'
		AND c.column_name NOT IN ('known_values', 'environment')
		AND NOT EXISTS (SELECT FROM llm_audit.builtin_field_policies() AS p
			WHERE c.relation_name = p.relation_name AND c.column_name = p.column_name);

-- The sentence of the requirements, in three languages
SELECT llm_audit.mask(t) FROM (VALUES
	('My IIN is 123456789012, phone 87771234567, reissue card 4403123412344298, please'),
	('Мой ИИН 123456789012, телефон 87771234567, перевыпустите карту 4403123412344298'),
	('Менің ЖСН 123456789012, телефоным 87771234567, 4403123412344298 картасын қайта шығарыңыз'))
	AS s (t);
SELECT * FROM llm_audit.detect('Мой ИИН 123456789012, почта a.b@bank.kz');
SELECT count(*) FROM llm_audit.detect('The meeting starts at noon on Monday.');
SELECT llm_audit.mask(NULL) IS NULL AS null_stays, llm_audit.mask('') = '' AS empty_stays;

-- JSON by key at any depth, JSON inside of strings, what is not personal
SELECT llm_audit.mask('{"a": {"b": [{"api_key": "anything at all"}, {"password": "hunter2"}]}, "n": 42}');
SELECT llm_audit.mask('{"a": "{\"authorization\": \"Bearer abcdefghijklmnop\", \"x\": \"{\\\"token\\\": \\\"qwertyuiop12345\\\"}\"}"}');
SELECT llm_audit.mask('{"temperature": 0.2, "max_tokens": 100, "stop": ["\n"], "n": 1}');
-- too deep to be looked at
SELECT llm_audit.mask(repeat('[', 10000) || '"4403123412344298"' || repeat(']', 10000));

-- Values that the caller knows, until the transaction ends
BEGIN;
SELECT llm_audit.set_known_values('Aigerim Sadykova', NULL);
SELECT llm_audit.set_known_values('KZ-7781');
SELECT llm_audit.mask('Call aigerim sadykova about contract KZ-7781.');
COMMIT;
SELECT llm_audit.mask('Call aigerim sadykova about contract KZ-7781.');

-- add_call(CHANGES) inserts a call that is fine but for these values.
CREATE FUNCTION pg_temp.add_call(changes jsonb DEFAULT '{}') RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	fine jsonb := '{"request_id": "r", "environment": "test",
		"occurred_at": "2026-01-01 12:00+05", "service_name": "s",
		"actor_id": "job-1", "actor_type": "service", "operation_name": "chat",
		"provider_name": "p", "request_model": "m", "status": "ok"}' || changes;
	columns text;
	message text;
BEGIN
	SELECT string_agg(quote_ident(k), ', ') INTO columns FROM jsonb_object_keys(fine) AS k;
	EXECUTE format('INSERT INTO llm_audit.llm_call (%1$s) SELECT %1$s
		FROM jsonb_populate_record(NULL::llm_audit.llm_call, $1)', columns) USING fine;
	RETURN 'stored';
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
	RETURN SQLSTATE || ' ' || message;
END
$$;
CREATE TEMP VIEW newest AS SELECT * FROM llm_audit.llm_call ORDER BY id DESC LIMIT 1;

-- What a row says about its text
SELECT pg_temp.add_call();
SELECT masking_status, masking_version, pii_found, pii_counts, data_class FROM newest;
SELECT pg_temp.add_call('{"error_message": "the model is overloaded", "masking_status": "masked",
	"pii_found": true, "pii_counts": {"CREDIT_CARD": 7}, "masking_version": "mine"}');
SELECT masking_status, masking_version ~ '^\d+-\d{8}T\d{6}\.\d{6}Z$' AS version, pii_found, pii_counts,
	data_class, error_message FROM newest;
SELECT pg_temp.add_call('{"error_message": "no user a.b@bank.kz nor c.d@bank.kz, phone 87771234567"}');
SELECT masking_status, pii_found, pii_counts, data_class, error_message FROM newest;
SELECT pg_temp.add_call('{"attributes": {"note": ["card 4403123412344298"], "api_key": "12345678"},
	"data_class": "public"}');
SELECT masking_status, pii_counts, data_class, attributes FROM newest;
SELECT pg_temp.add_call('{"error_message": "card 4403123412344298", "data_class": "banking_secrecy"}');
SELECT data_class FROM newest;
SELECT pg_temp.add_call('{"error_message": "key sk-proj-abcdefghijklmnopqrstuvwx12345678"}');
SELECT pii_found, data_class, error_message FROM newest;
SELECT pg_temp.add_call(jsonb_build_object('error_message',
	repeat('[', 10000) || '"4403123412344298"' || repeat(']', 10000)));
SELECT masking_status, pii_found, error_message FROM newest;
SELECT pg_temp.add_call('{"masking_status": "withheld"}');
SELECT masking_status, pii_found FROM newest;
-- known values, in the row and of the transaction; never stored
SELECT pg_temp.add_call('{"error_message": "Sadykova has left", "team_id": "team Sadykova",
	"known_values": ["Sadykova"]}');
SELECT error_message, team_id, known_values, pii_counts FROM newest;
SELECT pg_temp.add_call('{"error_message": "Sadykova has left", "team_id": "team Sadykova"}');
SELECT error_message, team_id FROM newest;

-- People are pseudonyms, machines are not; a pseudonym is not hashed again.
SELECT pg_temp.add_call('{"actor_id": "a.ospanova", "actor_type": "human", "end_user_id": "u-1",
	"customer_key": "c-1", "operation_number": "op-1"}');
SELECT actor_id = (llm_audit.pseudonym('a.ospanova', 'actor_id'))[1] AS actor,
	end_user_id = (llm_audit.pseudonym('u-1', 'end_user_id'))[1] AS end_user,
	customer_key ~ '^test:[A-Za-z0-9_-]{32}$' AS customer,
	operation_number <> (llm_audit.pseudonym('op-1', 'customer_key'))[1] AS other_kind,
	masking_status, data_class FROM newest;
SELECT pg_temp.add_call(jsonb_build_object('actor_type', 'human',
	'actor_id', (llm_audit.pseudonym('a.ospanova', 'actor_id'))[1]));
SELECT actor_id = (llm_audit.pseudonym('a.ospanova', 'actor_id'))[1] AS same FROM newest;
SELECT pg_temp.add_call('{"actor_id": "87771234567"}');
SELECT actor_id = (llm_audit.pseudonym('87771234567', 'actor_id'))[1] AS hashed FROM newest;
SELECT pg_temp.add_call('{"request_id": "4403123412344298", "trace_id": "two words"}');
SELECT request_id = (llm_audit.pseudonym('4403123412344298', 'request_id'))[1] AS request,
	trace_id = (llm_audit.pseudonym('two words', 'trace_id'))[1] AS trace FROM newest;
SELECT pg_temp.add_call('{"api_key_id": "key of branch 7"}');
SELECT api_key_id FROM newest;
SELECT pg_temp.add_call('{"api_key_id": "sk-proj-abcdefghijklmnopqrstuvwx12345678"}');
SELECT pg_temp.add_call(jsonb_build_object('client_address', a))
	FROM unnest('{10.20.30.40,10.20.30.0/23,2001:db8:1:2:3:4:5:6}'::text[]) AS a;
SELECT client_address FROM llm_audit.llm_call WHERE client_address IS NOT NULL
	ORDER BY client_address;
-- Machine values that are like something else stay.
SELECT pg_temp.add_call('{"request_model": "claude-3-5-sonnet-v2@20241022", "service_version": "10.0.4.1",
	"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "server_address": "10.0.0.7",
	"response_id": "chatcmpl-3169afd89b245c1716d2ea01", "organization_id": "Банк «Дала»",
	"agent_version": "2026.11.22", "finish_reasons": ["stop", "tool_calls"]}');
SELECT request_model, service_version, trace_id, server_address, response_id, agent_version,
	finish_reasons, masking_status FROM newest;

SELECT pg_temp.add_call('{"request_id": "gen-0193000a-0000-7000-8000-870419301123"}');
SELECT request_id FROM newest;
-- No key, no hash: such values are refused, others are not.
SET llm_audit.key_file = '';
SELECT pg_temp.add_call('{"end_user_id": "u-1"}');
SELECT pg_temp.add_call('{"trace_id": "two words"}');
SELECT pg_temp.add_call();
SELECT llm_audit.pseudonym('a', 'actor_id');
SET llm_audit.key_file = 'no_such_file';
SELECT pg_temp.add_call('{"end_user_id": "u-1"}');
SET llm_audit.key_file = 'postgresql.conf';
SELECT pg_temp.add_call('{"end_user_id": "u-1"}');
RESET llm_audit.key_file;

-- A secret in every column that takes text: none of it is stored.
CREATE TEMP TABLE planted AS
	SELECT c.column_name,
		CASE WHEN c.definition LIKE 'jsonb%' THEN CASE c.column_name
				WHEN 'guardrails' THEN '[{"status": "success", "x": "sk-proj-abcdefghijklmnopqrstuvwx12345678"}]'
				ELSE '{"x": "sk-proj-abcdefghijklmnopqrstuvwx12345678", "4403123412344298": 4403123412344298}' END::jsonb
			WHEN c.definition LIKE 'text[]%' THEN '["sk-proj-abcdefghijklmnopqrstuvwx12345678", "4403123412344298"]'
			ELSE to_jsonb(v) END AS value
	FROM llm_audit.builtin_columns() AS c
	CROSS JOIN unnest('{sk-proj-abcdefghijklmnopqrstuvwx12345678,4403123412344298,a.b@bank.kz}'::text[]) AS v
	WHERE c.relation_name = 'llm_call' AND c.definition ~ '^(text|jsonb)'
		AND c.column_name NOT IN ('environment', 'known_values');
SELECT count(*) > 150 AS many, count(DISTINCT column_name) > 60 AS columns FROM planted;
SELECT DISTINCT column_name, regexp_replace(result, 'llm_call_test_\w+', '*') AS result FROM (
	SELECT column_name, pg_temp.add_call(jsonb_build_object(column_name, value)) AS result
	FROM planted) AS s
	WHERE result <> 'stored' ORDER BY 1, 2;
SELECT count(*) FROM llm_audit.llm_call AS c
	WHERE to_jsonb(c)::text ~ 'abcdefghijklmnopqrstuvwx|4403123412344298|a\.b@bank';

-- The other ledgers
INSERT INTO llm_audit.llm_content (environment, call_id, request_id, ordinal, kind, body, body_bytes,
		body_digest, known_values)
	VALUES ('test', gen_random_uuid(), 'r', 0, 'prompt',
		'Мой ИИН 123456789012, зовите Айгерим', 10, '\x00', '{Айгерим}');
SELECT body, pii_counts, data_class, known_values, convert_from(substr(body_digest, 1, 5), 'UTF8') AS key,
	length(body_digest) FROM llm_audit.llm_content;
INSERT INTO llm_audit.admin_event (environment, occurred_at, action, actor_id, actor_type, target_type,
		target_id, outcome, before, after, reason, approved_by, actor_ip)
	VALUES ('test', now(), 'quota.raised', 'a.ospanova@bank.kz', 'human', 'quota',
		'sk-proj-abcdefghijklmnopqrstuvwx12345678', 'success', '{"limit": 10}',
		'{"limit": 20, "password": "hunter2", "iin": 123456789012}', 'asked by phone 87771234567',
		'{b.serikov@bank.kz}', '10.20.30.40');
SELECT actor_id, target_id, before, after, reason, approved_by, actor_ip FROM llm_audit.admin_event
	WHERE environment = 'test';

-- Tokens of what was found lead back to the call, whoever wrote it.
CREATE ROLE regress_masking_caller;
GRANT INSERT ON llm_audit.llm_call TO regress_masking_caller;
SET ROLE regress_masking_caller;
INSERT INTO llm_audit.llm_call (id, request_id, environment, occurred_at, service_name, actor_id, actor_type,
		operation_name, provider_name, request_model, status, error_message)
	SELECT '01930000-0000-7000-8000-0000000000aa', 'tokens', 'test', now(), 's', 'svc', 'service', 'chat',
		'p', 'm', 'error', 'phone 8 (777) 123-45-67, again +7 777 1234567, key sk-proj-abcdefghijklmnopqrstuvwx12345678'
	FROM generate_series(1, 2)
	ON CONFLICT DO NOTHING;
RESET ROLE;
DROP OWNED BY regress_masking_caller;
DROP ROLE regress_masking_caller;
SELECT count(*) FROM llm_audit.llm_call WHERE request_id = 'tokens';
-- A row that ON CONFLICT drops leaves none, in whatever order; a row that a
-- subtransaction takes back neither; of the rest none is missing.
CREATE FUNCTION pg_temp.offer(ids int[], texts text[]) RETURNS void LANGUAGE sql AS $$
	INSERT INTO llm_audit.llm_call (id, request_id, environment, occurred_at, service_name, actor_id, actor_type,
			operation_name, provider_name, request_model, status, error_message)
		SELECT format('01930000-0000-7000-8000-%s', lpad(i::text, 12, '0'))::uuid, 'offer-' || i, 'test', now(), 's', 'svc',
			'service', 'chat', 'p', 'm', 'error', t
		FROM unnest(ids, texts) AS o (i, t)
		ON CONFLICT DO NOTHING
$$;
SELECT pg_temp.offer('{1,1,2}', '{a1@planted.kz,dropped1@planted.kz,b2@planted.kz}');
SELECT pg_temp.offer('{2,3,1}', '{dropped2@planted.kz,c3@planted.kz,dropped3@planted.kz}');
BEGIN;
SELECT pg_temp.offer('{4}', '{d4@planted.kz}');
SAVEPOINT s;
SELECT pg_temp.offer('{5}', '{undone5@planted.kz}');
ROLLBACK TO s;
SELECT pg_temp.offer('{5,4}', '{e5@planted.kz,dropped4@planted.kz}');
DO $$
BEGIN
	PERFORM pg_temp.offer('{6}', '{undone6@planted.kz}');
	RAISE EXCEPTION 'taken back';
EXCEPTION WHEN raise_exception THEN
	PERFORM pg_temp.offer('{6,1}', '{f6@planted.kz,dropped5@planted.kz}');
END
$$;
-- in its own transaction a token is there once the statement has ended
SELECT request_id FROM llm_audit.match_token WHERE request_id LIKE 'offer-%' ORDER BY 1;
COMMIT;
-- nor of rows whose statement a subtransaction interrupts, which takes back its own
CREATE FUNCTION pg_temp.interrupt(i int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_temp.offer(ARRAY[i + 10], '{undone7@planted.kz}');
	RAISE EXCEPTION 'taken back';
EXCEPTION WHEN raise_exception THEN
	RETURN format('g%s@planted.kz', i);
END
$$;
INSERT INTO llm_audit.llm_call (id, request_id, environment, occurred_at, service_name, actor_id, actor_type,
		operation_name, provider_name, request_model, status, error_message)
	SELECT format('01930000-0000-7000-8000-%s', lpad(i::text, 12, '0'))::uuid, 'offer-' || i, 'test', now(), 's', 'svc',
		'service', 'chat', 'p', 'm', 'error', pg_temp.interrupt(i)
	FROM generate_series(7, 9) AS i
	ON CONFLICT DO NOTHING;
SELECT t.request_id, t.token = (llm_audit.compute_tokens(v.value, 'EMAIL_ADDRESS'))[1] AS right_token
	FROM llm_audit.match_token AS t
	LEFT JOIN (VALUES (1, 'a1@planted.kz'), (2, 'b2@planted.kz'), (3, 'c3@planted.kz'), (4, 'd4@planted.kz'),
		(5, 'e5@planted.kz'), (6, 'f6@planted.kz'), (7, 'g7@planted.kz'), (8, 'g8@planted.kz'),
		(9, 'g9@planted.kz')) AS v (i, value) ON t.request_id = 'offer-' || v.i
	WHERE t.request_id LIKE 'offer-%' ORDER BY 1;
-- more rows than wait at once, every second one there already
SELECT pg_temp.offer(array_agg(i), array_agg(format('u%s@planted.kz', i))) FROM generate_series(1002, 5000, 2) AS i;
SELECT pg_temp.offer(array_agg(i), array_agg(format('v%s@planted.kz', i))) FROM generate_series(1001, 5000) AS i;
SELECT count(*), count(DISTINCT request_id) FROM llm_audit.match_token WHERE request_id ~ '^offer-\d{4}$';
SELECT count(*) FROM llm_audit.llm_call AS c WHERE c.request_id ~ '^offer-\d{4}$' AND NOT EXISTS (
	SELECT FROM llm_audit.match_token AS t WHERE t.call_id = c.id AND t.token = (llm_audit.compute_tokens(
		CASE WHEN substr(c.request_id, 7)::int % 2 = 0 THEN 'u' ELSE 'v' END || substr(c.request_id, 7) || '@planted.kz', 'EMAIL_ADDRESS'))[1]);
SELECT entity, request_id, organization_id, token ~ '^test:[A-Za-z0-9_-]{32}$' AS token,
		recorded_by = session_user AS by_me FROM llm_audit.match_token
	WHERE call_id = '01930000-0000-7000-8000-0000000000aa';
SET llm_audit.reason = 'a session''s own, which does not count';
SELECT llm_audit.match_token('+77771234567');
RESET llm_audit.reason;
BEGIN;
SET LOCAL llm_audit.reason = 'INC-7: complaint of the customer';
SELECT DISTINCT request_id FROM llm_audit.match_token
	WHERE token = ANY ((SELECT llm_audit.match_token('+77771234567'))::text[]) AND request_id = 'tokens';
SELECT request_id FROM llm_audit.match_token
	WHERE token = ANY ((SELECT llm_audit.match_token('8-777-123-45-67', 'PHONE_NUMBER'))::text[]) AND request_id = 'tokens';
SELECT count(*) FROM llm_audit.match_token
	WHERE token = ANY ((SELECT llm_audit.match_token('8-777-123-45-68'))::text[]);
SAVEPOINT s;
SELECT llm_audit.match_token('x', 'PASSWORD');
ROLLBACK TO s;
SET LOCAL llm_audit.match_token_limit = 4;
SELECT llm_audit.match_token('8-777-123-45-68');
ROLLBACK TO s;
COMMIT;
-- neither a rollback nor a transaction that may not write undoes the record
BEGIN READ ONLY;
SET LOCAL llm_audit.reason = 'rolled back, card 4403123412344298';
SELECT cardinality(llm_audit.match_token('8-777-123-45-68', 'PHONE_NUMBER'));
ROLLBACK;
SELECT action, actor_id = session_user AS me, target_id, reason, high_risk FROM llm_audit.admin_event
	WHERE action = 'token.matched' ORDER BY recorded_at;
SELECT count(*) FROM llm_audit.verify();

-- A value that a constraint lists is never somebody's name; nor is a tenant.
SELECT pg_temp.add_call('{"known_values": ["ok", "service", "default", "internal", "s"], "error_message": "ok, s"}');
SELECT status, actor_type, organization_id, service_name, error_message FROM newest;
SELECT pg_temp.add_call('{"organization_id": "card 4403123412344298"}');
SELECT pg_temp.add_call('{"organization_id": "АО «Дала» (2-й филиал) / №7"}');
SELECT organization_id FROM newest;
-- Forms may be longer than what they stand for: the call stays.
SELECT pg_temp.add_call(jsonb_build_object('attributes', jsonb_build_object('m', repeat('a@b.kz ', 1100))));
SELECT attributes, masking_status, pii_counts FROM newest;

-- Usage is joined to calls by the actor: both keep the name of a service and
-- hash that of a person.
SELECT llm_audit.record_call(format('{"request_id": "use-%s", "environment": "test", "occurred_at": "2026-01-01T12:00:00Z",
	"service_name": "s", "actor_id": "%s", "actor_type": "%s", "operation_name": "chat", "provider_name": "p",
	"request_model": "m", "status": "ok", "end_user_id": "7-end-user",
	"usage": [{"unit": "token", "quantity": 1, "cost": 1, "currency": "USD"}]}', t, a, t)) IS NOT NULL AS recorded
	FROM (VALUES ('svc-1', 'service'), ('b.ospanov', 'human')) AS v (a, t);
SELECT c.actor_type, u.actor_type AS same_type, c.actor_id = u.actor_id AS same,
		c.actor_id = 'svc-1' AS kept, c.actor_id = (llm_audit.pseudonym('b.ospanov', 'actor_id'))[1] AS hashed,
		c.end_user_id = (llm_audit.pseudonym('7-end-user', 'end_user_id'))[1] AS end_user
	FROM llm_audit.llm_call AS c JOIN llm_audit.usage_event AS u ON u.call_id = c.id
	WHERE c.request_id LIKE 'use-%' ORDER BY 1;
-- without a type, it may be a person
SELECT llm_audit.record_usage('{"request_id": "use-x", "environment": "test",
	"occurred_at": "2026-01-01T12:00:00Z", "unit": "token", "quantity": 1, "cost": 1,
	"currency": "USD", "actor_id": "svc-1"}') IS NOT NULL AS recorded;
SELECT actor_id = (llm_audit.pseudonym('svc-1', 'actor_id'))[1] AS hashed FROM llm_audit.usage_event
	WHERE request_id = 'use-x';
-- without a key: said plainly, by the first insert, setup() and readiness()
SET llm_audit.key_file = '';
\set VERBOSITY default
SELECT llm_audit.record_usage('{"request_id": "use-x", "environment": "test",
	"occurred_at": "2026-01-01T12:00:00Z", "unit": "token", "quantity": 1, "cost": 1,
	"currency": "USD", "actor_id": "svc-1"}');
INSERT INTO llm_audit.llm_call (request_id, environment, occurred_at, service_name, actor_id, actor_type,
		operation_name, provider_name, request_model, status)
	VALUES ('no-key', 'test', now(), 's', 'a', 'human', 'chat', 'p', 'm', 'ok');
\set VERBOSITY terse
SELECT * FROM llm_audit.setup();
SELECT item, ok, hint LIKE '%umask 077; echo "k1 $(head -c 32 /dev/urandom | base64)" >%llm_audit.key_file%' AS says_how
	FROM llm_audit.readiness() WHERE item = 'keys';
SET llm_audit.key_file = '/nonexistent/keys';
SELECT * FROM llm_audit.setup();
RESET llm_audit.key_file;
SELECT * FROM llm_audit.setup();

-- Values that the caller knows: as keys and values of JSON, in every ledger
-- with text, in fragments; for the row or until the transaction ends.
SELECT pg_temp.add_call('{"known_values": ["Ospanova", "KZ-99 12"], "attributes": {"Ospanova": [{"x": "of OSPANOVA"}, "KZ-99 12"],
	"s": "{\"Ospanova\": 1}"}, "policies_triggered": ["Ospanova", "fine"], "request_id": "ospanova-1"}');
SELECT attributes, policies_triggered, request_id ~ '^test:' AS hashed, known_values, pii_counts, masking_status FROM newest;
BEGIN;
SELECT llm_audit.set_known_values('Ospanova');
SAVEPOINT s;
SELECT llm_audit.set_known_values('Zhumabek');
ROLLBACK TO s;
SELECT llm_audit.record_settlement('{"kind": "refund", "original_request_id": "r-1", "amount": -1, "currency": "USD",
	"reason": "Ospanova and Zhumabek complained", "environment": "test"}') IS NOT NULL AS recorded;
SELECT llm_audit.record_admin_event('{"action": "quota.raised", "actor_id": "alice", "actor_type": "human", "target_type": "quota",
	"target_id": "of Ospanova", "before": {"Ospanova": "Ospanova"}, "reason": "for Ospanova", "outcome": "success",
	"environment": "test", "known_values": ["quota"]}') IS NOT NULL AS recorded;
COMMIT;
SELECT reason FROM llm_audit.settlement;
SELECT action, actor_id, target_type, target_id, before, reason, known_values FROM llm_audit.admin_event WHERE environment = 'test';
-- a document's own count in fragments that are not stored, and mask those that are
SELECT llm_audit.record_call(format('{"request_id": "kv-%s", "environment": "%s", "occurred_at": "2026-01-01T12:00:00Z",
	"service_name": "s", "actor_id": "svc", "actor_type": "service", "operation_name": "chat", "provider_name": "p",
	"request_model": "m", "status": "ok", "known_values": ["Ospanova"],
	"content": ["dear Ospanova \u0000 4403123412344298", "{\"q\": \"Ospanova\"}"]}', e, e)) IS NOT NULL AS recorded
	FROM unnest('{test,pilot}'::text[]) AS e, llm_audit.set_content_recording('pilot', '*', true, 'a test');
SELECT request_id, masking_status, pii_counts, data_class, known_values FROM llm_audit.llm_call WHERE request_id LIKE 'kv-%' ORDER BY 1;
SELECT ordinal, body, pii_counts, data_class, known_values, body_digest IS NOT NULL AS digest FROM llm_audit.llm_content
	WHERE request_id = 'kv-pilot' ORDER BY ordinal;

-- Text that is meant to delete its own record: the call stays.
SELECT llm_audit.record_call(format('{"request_id": "deep", "environment": "pilot", "occurred_at": "2026-01-01T12:00:00Z",
	"service_name": "s", "actor_id": "svc", "actor_type": "service", "operation_name": "chat", "provider_name": "p",
	"request_model": "m", "status": "ok", "content": [%s, "card 4403123412344298"],
	"extra": {"a": {"messages": [{"content": "card 4403123412344298"}]}, "b": "4403123412344298"}}',
	to_json(repeat('[', 10000) || '"4403123412344298"' || repeat(']', 10000)))) IS NOT NULL AS recorded;
SELECT masking_status, pii_counts, data_class, attributes FROM llm_audit.llm_call WHERE request_id = 'deep';
SELECT ordinal, left(body, 40) AS body, body_bytes FROM llm_audit.llm_content WHERE request_id = 'deep' ORDER BY ordinal;

-- Policies of an own ledger: every action, the types it is for
CREATE TABLE notes (n int, a text, b varchar(12), c text[], d json, e inet, iin text, password text);
SELECT llm_audit.create_ledger('notes');
INSERT INTO notes VALUES (1, 'mail a.b@bank.kz', 'a.b@bank.kz', '{x,a.b@bank.kz,NULL}',
	'{"m" :  "a.b@bank.kz", "k":1}', '10.20.30.40', '123456789012', 'hunter2');
SELECT n, a, b, c, d, e, iin, password FROM notes;
CREATE FUNCTION pg_temp.set_policy(column_name name, on_write text, pattern text DEFAULT NULL,
	on_violation text DEFAULT 'mask') RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
BEGIN
	PERFORM llm_audit.set_field_policy('notes', column_name, on_write, pattern => pattern,
		on_violation => on_violation, reason => 'a test of it');
	INSERT INTO notes (n, a, b, c, d, e) VALUES (2, 'mail a.b@bank.kz', 'short', '{x,y}', '[1]', '10.20.30.40');
	RETURN (SELECT to_jsonb(s) ->> column_name FROM notes AS s ORDER BY id DESC LIMIT 1);
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
	RETURN concat_ws(' ', SQLSTATE, message, detail);
END
$$;
SELECT w, pg_temp.set_policy('a', w) AS a
	FROM unnest('{mask,keep,redact,drop,reject,truncate_ip,nonsense}'::text[]) AS w;
SELECT pg_temp.set_policy('a', 'hash') = (llm_audit.pseudonym('mail a.b@bank.kz', 'a'))[1] AS hashed;
SELECT pg_temp.set_policy('a', 'keep', '[a-z]+'), pg_temp.set_policy('a', 'keep', '[a-z @.]+'),
	pg_temp.set_policy('a', 'keep', '[a-z]+', 'reject'), pg_temp.set_policy('a', 'keep', '[a-z');
SELECT pg_temp.set_policy('a', 'keep', 'login'), pg_temp.set_policy('a', 'mask', 'login'),
	pg_temp.set_policy('a', 'keep', NULL, 'drop');
SELECT w, pg_temp.set_policy('b', w) AS b, pg_temp.set_policy('c', w) AS c,
		pg_temp.set_policy('d', w) AS d, pg_temp.set_policy('e', w) AS e
	FROM unnest('{mask,keep,redact,drop,truncate_ip}'::text[]) AS w;
SELECT pg_temp.set_policy('d', 'hash'), pg_temp.set_policy('n', 'mask'), pg_temp.set_policy('n', 'keep'),
	pg_temp.set_policy('z', 'mask'), pg_temp.set_policy('recorded_by', 'drop');
SELECT count(*) FROM llm_audit.verify();

-- Who may, and what is recorded
SELECT llm_audit.set_field_policy('notes', 'a', 'hash');
SELECT llm_audit.set_field_policy('notes', 'a', 'mask');
SELECT llm_audit.set_field_policy('notes', 'a', 'mask', reason => '  ');
SELECT llm_audit.set_field_policy('notes', 'a', 'mask', reason => 'reviewed by compliance');
SELECT llm_audit.set_field_policy('pg_class', 'relname', 'mask');
SELECT llm_audit.set_field_policy('llm_audit.llm_call', 'environment', 'hash', reason => 'r');
SELECT llm_audit.set_field_policy('llm_audit.llm_call', 'masking_status', 'keep', reason => 'r');
SELECT llm_audit.set_field_policy('llm_audit.llm_call', 'actor_id', 'drop', reason => 'r');
SELECT llm_audit.set_field_policy('llm_audit.llm_call', 'request_id', 'keep', pattern => '.*', reason => 'r');
SELECT action, target_id, reason, high_risk, "after" ->> 'on_write' AS on_write FROM llm_audit.admin_event
	WHERE action LIKE 'field_policy.%' AND reason IS DISTINCT FROM 'a test of it' ORDER BY id;
CREATE ROLE regress_masking_writer;
CREATE ROLE regress_masking_admin;
GRANT llm_audit_writer TO regress_masking_writer;
GRANT llm_audit_admin TO regress_masking_admin;
SET ROLE regress_masking_writer;
SELECT llm_audit.set_field_policy('notes', 'a', 'keep', reason => 'r');
SELECT llm_audit.pseudonym('a', 'actor_id');
SELECT llm_audit.mask('a.b@bank.kz');
UPDATE llm_audit.field_policy SET on_write = 'keep';
RESET ROLE;
SET ROLE llm_audit_admin;
SELECT llm_audit.set_field_policy('notes', 'a', 'redact');
RESET ROLE;
DROP ROLE regress_masking_writer, regress_masking_admin;
-- a new column is masked without anybody asking, whatever its type
ALTER TABLE notes ADD COLUMN late text, ADD COLUMN late_json jsonb[], ADD COLUMN late_at inet, ADD COLUMN token text;
INSERT INTO notes (late, late_json, late_at, token) VALUES ('a.b@bank.kz', ARRAY['{"k": "a.b@bank.kz"}'::jsonb, '"4403123412344298"', NULL],
	'10.20.30.40', 'x');
SELECT late, late_json, late_at, token FROM notes ORDER BY id DESC LIMIT 1;
-- a change that is rolled back is none
BEGIN;
SELECT llm_audit.set_field_policy('notes', 'a', 'keep', reason => 'undone');
INSERT INTO notes (a) VALUES ('plain words');
ROLLBACK;
INSERT INTO notes (a) VALUES ('plain words');
SELECT a FROM notes ORDER BY id DESC LIMIT 1;

-- Recorded calls: their text is looked at even where it is not stored.
SELECT count(*) FROM (SELECT llm_audit.record_call('{"request_id": "rec-1", "environment": "test",
	"occurred_at": "2026-01-01T12:00:00Z", "service_name": "s", "actor_id": "svc", "actor_type": "service",
	"operation_name": "chat", "provider_name": "p", "request_model": "m", "status": "ok",
	"prompt": "Мой ИИН 123456789012, карта 4403123412344298"}')) AS s;
SELECT masking_status, pii_found, pii_counts, data_class FROM llm_audit.llm_call WHERE request_id = 'rec-1';
SELECT entity FROM llm_audit.match_token WHERE request_id = 'rec-1' ORDER BY entity;
SELECT count(*) FROM llm_audit.llm_content WHERE request_id = 'rec-1';

-- what was found, by service
SELECT llm_audit.record_call(format('{"request_id": "rep-%s", "environment": "pilot",
	"occurred_at": "2026-02-01T12:00:00Z", "service_name": "s", "actor_id": "svc", "actor_type": "service",
	"operation_name": "chat", "provider_name": "p", "request_model": "m", "status": "ok", "prompt": "%s"}',
	i, p)) IS NOT NULL AS recorded
FROM (VALUES (1, 'ИИН 870419301123 и a.b@bank.kz'), (2, 'a.b@bank.kz, c.d@bank.kz'), (3, 'good morning'))
	AS v (i, p);
SELECT llm_audit.set_scope('llm_audit_compliance', '{*}', '{*}');
SET ROLE llm_audit_compliance;
SELECT * FROM llm_audit.masking_report('2026-02-01', '2026-02-02');
SELECT * FROM llm_audit.masking_report('2026-02-02', '2026-02-03');
RESET ROLE;
-- and by column, with what was not stored; of stored fragments and of admin
-- events too; the writer has no say in it
SELECT llm_audit.set_content_recording('pilot', 'columns', true, 'a test');
SELECT llm_audit.set_field_policy('llm_audit.llm_call', 'user_agent', 'drop');
SELECT llm_audit.set_field_policy('llm_audit.llm_call', 'country', 'redact');
SELECT llm_audit.record_call(format('{"request_id": "col-1", "environment": "pilot", "occurred_at": "2026-02-03T12:00:00Z",
	"service_name": "columns", "actor_id": "svc", "actor_type": "service", "operation_name": "chat", "provider_name": "p",
	"request_model": "m", "status": "ok", "error_message": "a.b@bank.kz, c.d@bank.kz, 87771234567",
	"finish_reasons": ["stop", "e.f@bank.kz", "g.h@bank.kz"], "user_agent": "curl", "country": "KZ", "request_params": {"a": 1},
	"pii_fields": {"mine": {"x": 1}}, "content": [{"kind": "prompt", "body": "mail i.j@bank.kz"}, {"kind": "prompt", "body": %s}]}',
	to_json(repeat('[', 10000) || '"4403123412344298"' || repeat(']', 10000)))) IS NOT NULL AS recorded;
SELECT llm_audit.record_call('{"request_id": "col-2", "environment": "pilot", "occurred_at": "2026-02-03T12:00:00Z",
	"service_name": "columns", "actor_id": "svc", "actor_type": "service", "operation_name": "chat", "provider_name": "p",
	"request_model": "m", "status": "ok", "error_message": "k.l@bank.kz"}') IS NOT NULL AS recorded;
INSERT INTO llm_audit.admin_event (environment, occurred_at, action, actor_id, actor_type, target_type,
		target_id, outcome, before, reason, pii_fields)
	VALUES ('pilot', '2026-02-03', 'quota.raised', 'a.ospanova@bank.kz', 'human', 'quota', 'q', 'success',
		'{"limit": 10, "mail": "m.n@bank.kz"}', 'asked by phone 87771234567', '{"mine": {"x": 1}}');
SELECT request_id, pii_counts, pii_fields FROM llm_audit.llm_call WHERE request_id LIKE 'col-%' ORDER BY 1;
SELECT ordinal, pii_fields FROM llm_audit.llm_content WHERE request_id = 'col-1' ORDER BY 1;
SELECT pii_fields FROM llm_audit.admin_event WHERE environment = 'pilot' AND action = 'quota.raised';
SELECT ledger, column_name, outcome, entity, sum(row_count) AS row_count, sum(found) AS found
	FROM llm_audit.masking_report('2026-02-03', '2026-02-04') GROUP BY 1, 2, 3, 4 ORDER BY 1, 2 NULLS FIRST, 3 NULLS FIRST, 4;
-- of every ledger that has the column; of one's own that the owner of views may read
INSERT INTO llm_audit.settlement (environment, occurred_at, kind, amount, currency, reason, pii_fields)
	VALUES ('pilot', '2026-02-06', 'credit', 1, 'USD', 'asked by phone 87771234567', '{"mine": {"x": 1}}');
INSERT INTO llm_audit.usage_event (environment, occurred_at, request_id, unit, quantity, cost, currency, price_version)
	VALUES ('pilot', '2026-02-06', 'use-1', 'request', 1, 1, 'USD', 'by n.o@bank.kz');
CREATE TABLE letters (note text, occurred_at timestamptz, pii_fields jsonb);
CREATE TABLE postcards (note text, pii_fields text);
SELECT llm_audit.create_ledger('letters'), llm_audit.create_ledger('postcards');
INSERT INTO letters VALUES ('to p.q@bank.kz', '2026-02-06', '{"mine": {"x": 1}}'), ('to all', '2026-02-06', '{"mine": {"x": 1}}');
INSERT INTO postcards VALUES ('to p.q@bank.kz', 'mine');
SELECT note, pii_fields FROM letters ORDER BY chain_seq;
SELECT note, pii_fields FROM postcards;
SELECT DISTINCT ledger FROM llm_audit.masking_report('2026-02-06', '2026-02-07') ORDER BY 1;
GRANT SELECT ON letters TO llm_audit_view_owner;
SELECT ledger, environment, column_name, outcome, entity, row_count, found
	FROM llm_audit.masking_report('2026-02-06', '2026-02-07') ORDER BY 1, 2, 3 NULLS FIRST;
SET llm_audit.masking = off;
INSERT INTO letters VALUES ('nothing is looked at', '2026-02-06', '{"mine": {"x": 1}}') RETURNING pii_fields;
RESET llm_audit.masking;
-- the sum over its columns is what the row says of itself
SELECT count(*) FROM llm_audit.llm_call AS c CROSS JOIN jsonb_each_text(c.pii_counts) AS p
	WHERE p.value::int IS DISTINCT FROM (SELECT sum((f.value ->> p.key)::int) FROM jsonb_each(c.pii_fields) AS f);
SELECT count(*) FROM llm_audit.verify();

-- A retry is one whatever has become of policies, rules and dictionaries since;
-- what is not the same is a conflict, though it were masked alike.
CREATE FUNCTION pg_temp.offer_call(error_message text, body text, end_user_id text DEFAULT 'u-1') RETURNS text LANGUAGE sql AS $$
	SELECT result FROM llm_audit.record_calls(jsonb_build_object('id', '01930000-0000-7000-8000-00000000cafe',
		'request_id', 'again', 'environment', 'pilot', 'occurred_at', '2026-02-05T12:00:00Z', 'service_name', 'columns',
		'actor_id', 'a.ospanova', 'actor_type', 'human', 'operation_name', 'chat', 'provider_name', 'p', 'request_model', 'm',
		'status', 'error', 'error_message', error_message, 'end_user_id', end_user_id,
		'content', jsonb_build_array(jsonb_build_object('kind', 'prompt', 'body', body)))::text, NULL, 'report')
$$;
CREATE FUNCTION pg_temp.offer_again() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT v.what || ': ' || pg_temp.offer_call(v.message, v.body, v.end_user)
	FROM (VALUES ('the same', 'agreement 123456-KZ, phone 87771234567', 'see Falcon', 'u-1'),
		('a number that is masked alike', 'agreement 123456-KZ, phone 87779999967', 'see Falcon', 'u-1'),
		('another message', 'agreement 654321-KZ, phone 87771234567', 'see Falcon', 'u-1'),
		('another text', 'agreement 123456-KZ, phone 87771234567', 'see Eagle', 'u-1'),
		('another person', 'agreement 123456-KZ, phone 87771234567', 'see Falcon', 'u-2'),
		('without the person', 'agreement 123456-KZ, phone 87771234567', 'see Falcon', NULL)) AS v (what, message, body, end_user)
$$;
SELECT pg_temp.offer_call('agreement 123456-KZ, phone 87771234567', 'see Falcon');
SELECT pg_temp.offer_again();
-- to another login the digest says nothing: who could read it, too, would learn
-- by trying which number it was that is masked
CREATE ROLE regress_masking_other;
GRANT llm_audit_writer TO regress_masking_other;
SET SESSION AUTHORIZATION regress_masking_other;
SELECT pg_temp.offer_again();
RESET SESSION AUTHORIZATION;
DROP ROLE regress_masking_other;
SELECT llm_audit.add_mask_rule('agreement', keyword => 'agreement', pattern => '\m\d{6}-[A-Z]{2}\M', entity => 'AGREEMENT');
SELECT llm_audit.create_dictionary('birds');
SELECT llm_audit.add_dictionary_terms('birds', '{falcon}');
SELECT pg_temp.offer_again();
SELECT llm_audit.set_field_policy('llm_audit.llm_call', 'error_message', 'redact');
SELECT llm_audit.set_field_policy('llm_audit.llm_call', 'end_user_id', 'drop', reason => 'a test');
SELECT pg_temp.offer_again();
SELECT llm_audit.set_field_policy('llm_audit.llm_call', 'error_message', 'mask', reason => 'a test');
SELECT llm_audit.set_field_policy('llm_audit.llm_call', 'end_user_id', 'hash', reason => 'a test');
SELECT llm_audit.drop_mask_rule('agreement', 'a test');
SELECT llm_audit.drop_dictionary('birds', 'a test');
SELECT pg_temp.offer_again();
SELECT count(*), min(error_message) AS message FROM llm_audit.llm_call WHERE request_id = 'again';
-- administration and billing, too
CREATE FUNCTION pg_temp.offer_event(reason text) RETURNS boolean LANGUAGE sql AS $$
	SELECT llm_audit.record_admin_event(jsonb_build_object('id', '01930000-0000-7000-8000-00000000cafe',
		'environment', 'pilot', 'occurred_at', '2026-02-05T12:00:00Z', 'action', 'quota.raised', 'actor_id', 'a.ospanova',
		'actor_type', 'human', 'target_type', 'quota', 'target_id', 'q', 'outcome', 'success', 'reason', reason)::text) IS NOT NULL
$$;
SELECT pg_temp.offer_event('by phone 87771234567');
SELECT llm_audit.set_field_policy('llm_audit.admin_event', 'reason', 'redact');
SELECT pg_temp.offer_event('by phone 87771234567');
SELECT pg_temp.offer_event('by phone 87771234568');
-- the digest is nobody's to supply, and there is none without a key or an id
SELECT pg_temp.add_call('{"input_digest": "\\x00"}');
SELECT llm_audit.record_call('{"input_digest": "x", "request_id": "dig-1", "environment": "pilot", "occurred_at": "2026-02-05T12:00:00Z",
	"service_name": "s", "actor_id": "svc", "actor_type": "service", "operation_name": "chat", "provider_name": "p",
	"request_model": "m", "status": "ok"}');
SELECT length(input_digest), convert_from(substr(input_digest, 1, 5), 'UTF8') AS key FROM llm_audit.llm_call WHERE request_id = 'again';
SELECT count(*) FROM llm_audit.llm_call WHERE request_id = 'col-1' AND input_digest IS NULL;
SET llm_audit.key_file = '';
SELECT result FROM llm_audit.record_calls('{"id": "01930000-0000-7000-8000-00000000beef", "request_id": "dig-2",
	"environment": "pilot", "occurred_at": "2026-02-05T12:00:00Z", "service_name": "s", "actor_id": "svc", "actor_type": "service",
	"operation_name": "chat", "provider_name": "p", "request_model": "m", "status": "ok"}', NULL, 'report');
SELECT result FROM llm_audit.record_calls('{"id": "01930000-0000-7000-8000-00000000beef", "request_id": "dig-2",
	"environment": "pilot", "occurred_at": "2026-02-05T12:00:00Z", "service_name": "s", "actor_id": "svc", "actor_type": "service",
	"operation_name": "chat", "provider_name": "p", "request_model": "m", "status": "ok"}', NULL, 'report');
RESET llm_audit.key_file;
SELECT count(*) FROM llm_audit.llm_call WHERE request_id = 'dig-2' AND input_digest IS NULL;
SELECT count(*) FROM llm_audit.verify();

-- A masking_version tells what was in force when the row was written, though
-- all of it has changed within the same second.
CREATE FUNCTION pg_temp.version_of(i int) RETURNS text LANGUAGE sql AS $$
	SELECT masking_version FROM llm_audit.llm_call WHERE request_id = 'ver-' || i
$$;
CREATE FUNCTION pg_temp.write_version(i int) RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.add_call(jsonb_build_object('request_id', 'ver-' || i, 'error_message', 'overloaded'))
$$;
SELECT pg_temp.write_version(1);
SELECT llm_audit.set_field_policy('llm_audit.llm_call', 'user_agent', 'redact');
SELECT pg_temp.write_version(2);
SELECT llm_audit.add_mask_rule('version', keyword => 'version', pattern => '\m\d{9}\M', entity => 'VERSION_NUMBER');
SELECT pg_temp.write_version(3);
SELECT llm_audit.create_dictionary('versions');
SELECT llm_audit.add_dictionary_terms('versions', '{Kestrel}');
SELECT pg_temp.write_version(4);
SELECT llm_audit.drop_mask_rule('version', 'a test');
SELECT llm_audit.drop_dictionary('versions', 'a test');
-- by hand, too; a policy of another ledger is no matter of this one's version
UPDATE llm_audit.field_policy SET on_write = 'mask' WHERE column_name = 'user_agent';
SELECT pg_temp.write_version(5);
SELECT llm_audit.set_field_policy('notes', 'a', 'drop');
SELECT pg_temp.write_version(6);
SELECT i, f.kind, f.name, f.definition ->> 'on_write' AS on_write, f.definition ->> 'pattern' AS pattern, f.definition ->> 'terms' AS terms
	FROM generate_series(1, 6) AS i CROSS JOIN llm_audit.masking_in_force(pg_temp.version_of(i), 'llm_audit.llm_call') AS f
	WHERE f.kind = 'scanner' OR f.name IN ('user_agent', 'version', 'versions') ORDER BY 1, 2, 3;
SELECT pg_temp.version_of(5) = pg_temp.version_of(6) AS same, count(DISTINCT pg_temp.version_of(i)) AS versions FROM generate_series(1, 6) AS i;
SELECT count(*) = (SELECT count(*) FROM llm_audit.field_policy JOIN llm_audit.ledger USING (ledger_id) WHERE relation_name = 'llm_call') AS whole
	FROM llm_audit.masking_in_force(pg_temp.version_of(6), 'llm_audit.llm_call') WHERE kind = 'field_policy';
SELECT count(*) FROM llm_audit.masking_in_force('1', 'llm_audit.llm_call') WHERE kind <> 'scanner';
SELECT * FROM llm_audit.masking_in_force('yesterday');
SET ROLE llm_audit_writer;
SELECT * FROM llm_audit.masking_in_force('1');
INSERT INTO llm_audit.masking_history VALUES ('field_policy', 'x', now(), 'x', '{}');
RESET ROLE;
UPDATE llm_audit.masking_history SET definition = '{}';
DELETE FROM llm_audit.masking_history;
TRUNCATE llm_audit.masking_history;

-- A pattern that would fail every insert is refused, by hand too; one that came
-- with a dump fails them in clear words.
CREATE TABLE broken (a text);
SELECT llm_audit.create_ledger('broken');
SELECT llm_audit.set_field_policy('broken', 'a', 'keep', pattern => '[a-z]+', reason => 'a test');
\set VERBOSITY default
SELECT llm_audit.set_field_policy('broken', 'a', 'keep', pattern => 'x(', reason => 'a test');
UPDATE llm_audit.field_policy SET pattern = '(' WHERE pattern = '[a-z]+' AND column_name = 'a';
INSERT INTO llm_audit.field_policy (ledger_id, column_name, on_write, pattern)
	SELECT ledger_id, 'no_such', 'keep', '[z' FROM llm_audit.ledger WHERE relation_name = 'broken';
DELETE FROM llm_audit.field_policy WHERE pattern = '[a-z]+' AND column_name = 'a';
-- a dump brings configuration before admin_event has its trigger
BEGIN;
UPDATE pg_trigger SET tgname = 'to_come'
	WHERE tgrelid = 'llm_audit.admin_event'::regclass AND tgname = 'llm_audit_insert';
INSERT INTO llm_audit.field_policy (ledger_id, column_name, on_write, pattern, changed_at)
	SELECT ledger_id, 'a', 'keep', '(', '2026-01-01' FROM llm_audit.ledger WHERE relation_name = 'broken';
UPDATE pg_trigger SET tgname = 'llm_audit_insert'
	WHERE tgrelid = 'llm_audit.admin_event'::regclass AND tgname = 'to_come';
COMMIT;
INSERT INTO broken VALUES ('x');
INSERT INTO broken VALUES (NULL);
\set VERBOSITY terse
SELECT llm_audit.set_field_policy('broken', 'a', 'mask');
INSERT INTO broken VALUES ('x');
SELECT a FROM broken;

\c :origin
DROP DATABASE masking_test WITH (FORCE);
