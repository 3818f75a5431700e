-- Which rows a hold covers: names as they are given and as they are stored,
-- rows that do not say whose they are, windows of incidents.
\set VERBOSITY terse
\set origin :DBNAME
CREATE DATABASE hold TEMPLATE template0 ENCODING 'UTF8';
\c hold
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();

-- places a hold, says which rows of a table it covers by this column, releases it
CREATE FUNCTION held(scope jsonb, root regclass, shown name) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	id uuid := llm_audit.place_hold('T', 'test', scope);
	leaf regclass;
	part text;
	result text;
BEGIN
	FOR leaf IN EXECUTE format('SELECT DISTINCT tableoid::regclass FROM %s', root) LOOP
		EXECUTE format('SELECT string_agg(r.%I, %L ORDER BY r.%I COLLATE "C") FROM %s r
			JOIN llm_audit.held_rows(%L) h ON h.lane = r.chain_lane AND r.chain_seq BETWEEN h.first_seq AND h.last_seq',
			shown, ' ', shown, leaf, leaf) INTO part;
		result := concat_ws(' ', result, part);
	END LOOP;
	PERFORM llm_audit.release_hold(id, 'tested');
	RETURN coalesce(nullif(result, ''), '-');
END
$$;

-- What a column keeps as it is, mask() may change all the same.
INSERT INTO llm_audit.content_recording VALUES ('*', '*', true);
CREATE TABLE given (n serial, request_id text);
INSERT INTO given (request_id) VALUES ('gw-10.1.2.3-000123'), ('10.20.30.40:8080-17'),
	('00-1A-2B-3C-4D-5E'), ('bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq'), ('plain-1'),
	('02fcf8ed-e692-4825-af44-016772104dea'), ('ann@bank.example'), ('970740000838');
SELECT count(*) AS recorded FROM given CROSS JOIN LATERAL llm_audit.record_calls(format('[{"request_id": %s, "occurred_at": "2026-01-01T10:00:00Z", "actor_id": "svc", "actor_type": "service", "service_name": "chat", "organization_id": "o1"}]', to_json(request_id)),
	'{"environment": "prod", "operation_name": "chat", "provider_name": "openai", "request_model": "gpt", "status": "ok", "attempt": 1, "is_final": true, "utc_offset_minutes": 0}');
SELECT g.request_id, llm_audit.mask(g.request_id) <> g.request_id AS would_be_masked,
	held(jsonb_build_object('request_ids', jsonb_build_array(g.request_id)), 'llm_audit.llm_call', 'request_id') = coalesce(c.request_id, c2.request_id) AS held
	FROM given g LEFT JOIN llm_audit.llm_call c USING (request_id)
	LEFT JOIN llm_audit.llm_call c2 ON c2.request_id = ANY (llm_audit.pseudonym(g.request_id, 'request_id')) ORDER BY g.n;
SELECT bool_and(held(jsonb_build_object('request_ids', jsonb_build_array(request_id)), 'llm_audit.llm_call', 'request_id') = request_id) AS by_what_is_stored
	FROM llm_audit.llm_call;
INSERT INTO llm_audit.admin_event (occurred_at, action, actor_id, actor_type, environment, target_type, outcome)
	SELECT now(), 'api_key.created', a, 'human', 'prod', 'api_key', 'success'
	FROM unnest('{ivan.petrov@bank.kz,+77011234567,ivan.petrov,970740000838}'::text[]) a;
SELECT a, held(jsonb_build_object('actor_id', a), 'llm_audit.admin_event', 'actor_id') = coalesce(e.actor_id, llm_audit.mask(a)) AS held
	FROM unnest('{ivan.petrov@bank.kz,+77011234567,ivan.petrov,970740000838}'::text[]) a
	LEFT JOIN llm_audit.admin_event e ON e.actor_id = a ORDER BY 1;

-- Tables of one's own have no pseudonyms unless they are asked for.
CREATE TABLE mine (n text, end_user_id text, customer_key text, request_id text);
SELECT llm_audit.create_ledger('mine', erasable => '{end_user_id,customer_key}');
SELECT llm_audit.set_field_policy('mine', 'request_id', 'keep', pattern => 'identifier', reason => 'test');
INSERT INTO mine VALUES ('a', 'user-17', 'KZ-1', '02fcf8ed-e692-4825-af44-016772104dea'),
	('b', 'user-18', 'KZ-1', 'r'), ('c', 'user-17', 'KZ-2', 'r');
SET llm_audit.masking = off;
INSERT INTO mine VALUES ('d', 'eve@bank.kz', 'KZ-1', '77:10.0.0.1');
RESET llm_audit.masking;
SELECT llm_audit.set_field_policy('mine', 'customer_key', 'hash');
INSERT INTO mine VALUES ('e', 'user-19', 'KZ-2', 'r');
INSERT INTO mine VALUES ('f', 'eve@bank.kz', 'KZ-3', 'r');
SELECT s AS scope, held(s || '{"ledger": "mine"}', 'mine', 'n') FROM unnest(ARRAY['{"end_user_id": "user-17"}', '{"end_user_id": "eve@bank.kz"}',
	'{"customer": "KZ-1"}', '{"customer": "KZ-2"}', '{"customer": "KZ-1", "end_user_id": "user-17"}', '{"request_ids": ["77:10.0.0.1"]}',
	'{"request_ids": ["02fcf8ed-e692-4825-af44-016772104dea"]}', '{"end_user_id": "nobody"}']::jsonb[]) s;
SELECT action, row_count FROM llm_audit.erase_subject('user-17', 'art. 17', 'T') WHERE ledger = 'mine'::regclass;
-- names stand in the books for as long as they are looked for
SELECT llm_audit.place_hold('NAME', 'test', '{"end_user_id": "user-17", "customer": "KZ-1"}') AS hold \gset
SELECT 'user-17' = ANY (end_user_ids) AS looked_for, scope::text ~ 'user-17|KZ-1' AS shown FROM llm_audit.legal_hold WHERE hold_id = :'hold';
UPDATE llm_audit.legal_hold SET end_user_ids = '{}' WHERE hold_id = :'hold';
UPDATE llm_audit.legal_hold SET end_user_ids = end_user_ids || 'x'::text, released_at = now(), released_by = 'x', release_reason = 'x' WHERE hold_id = :'hold';
SELECT llm_audit.release_hold(:'hold', 'over');
SELECT count(*) FILTER (WHERE h::text ~ 'user-17|KZ-1') AS names, count(*) > 20 AS holds FROM llm_audit.legal_hold h;

-- A hold beats erasure too: what it covers is spared, and goes when it is over.
SELECT llm_audit.place_hold('SPARED', 'test', '{"end_user_id": "user-17", "customer": "KZ-1", "ledger": "mine"}') AS hold \gset
SELECT action, row_count, why_not FROM llm_audit.erase_subject('user-17', 'art. 17', 'T', false) WHERE ledger = 'mine'::regclass ORDER BY 1;
SELECT n, end_user_id FROM mine ORDER BY 1;
INSERT INTO llm_audit.field_policy (ledger_id, column_name, on_write, period)
	SELECT ledger_id, 'end_user_id', 'mask', '1 microsecond' FROM llm_audit.ledger WHERE relation_name = 'mine';
SELECT llm_audit.expire_fields('mine');
SELECT n, end_user_id FROM mine ORDER BY 1;
SELECT llm_audit.release_hold(:'hold', 'over');
SELECT action, row_count, why_not FROM llm_audit.erase_subject('user-17', 'art. 17', 'T', false) WHERE ledger = 'mine'::regclass ORDER BY 1;
SELECT count(*) FILTER (WHERE end_user_id IS NOT NULL) AS left_over FROM mine;

-- Rows that leave a column empty are held with their call.
SELECT count(*) FROM llm_audit.record_calls('[
	{"request_id": "r1", "actor_id": "ann", "service_name": "chat"}, {"request_id": "r2", "actor_id": "bob", "service_name": "mail"}]',
	'{"occurred_at": "2026-01-01T10:00:00Z", "actor_type": "human", "organization_id": "o1", "environment": "prod", "operation_name": "chat", "provider_name": "openai", "request_model": "gpt", "status": "ok", "attempt": 1, "is_final": true, "utc_offset_minutes": 0}');
INSERT INTO llm_audit.llm_content (call_id, request_id, environment, organization_id, ordinal, kind, body, body_bytes, occurred_at)
	SELECT id, request_id, environment, organization_id, 0, 'prompt', 'hello', 5, occurred_at FROM llm_audit.llm_call WHERE request_id LIKE 'r_';
INSERT INTO llm_audit.usage_event (environment, organization_id, request_id, unit, quantity, cost, currency, occurred_at)
	SELECT environment, organization_id, request_id, 'request', 1, 1, 'EUR', occurred_at FROM llm_audit.llm_call WHERE request_id LIKE 'r_';
INSERT INTO llm_audit.usage_event (environment, organization_id, request_id, unit, quantity, cost, currency, occurred_at, actor_id)
	VALUES ('prod', 'o1', 'r3', 'request', 1, 1, 'EUR', now(), 'ann');
SELECT s AS scope, held(s, 'llm_audit.llm_content', 'request_id') AS content, held(s, 'llm_audit.usage_event', 'request_id') AS usage
	FROM unnest(ARRAY['{"service_name": "chat"}', '{"actor_id": "ann"}', '{"actor_id": "ann", "service_name": "chat"}', '{"actor_id": "ann", "service_name": "mail"}',
	'{"service_name": "chat", "ledger": "llm_content"}', '{"organization_id": "o1", "service_name": "mail"}']::jsonb[]) s;

-- What an incident freezes: a window that cannot be read for certain has no
-- end, and what masking took from the scope does not limit it.
CREATE FUNCTION incident(action text, id text, details jsonb DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
	INSERT INTO llm_audit.admin_event (occurred_at, action, actor_id, actor_type, environment, target_type, incident_id, outcome, reason, "after")
		VALUES ('2026-01-01T10:00:00Z', 'incident.' || action, 'oncall', 'human', 'prod', 'incident', id, 'success', 'test', details)
$$;
SELECT incident('reported', 'INC-' || o, d) FROM unnest(ARRAY[NULL, '{"organization_id": "970740000838"}',
	'{"organization_id": "o1", "service_name": "chat", "occurred_from": "2025-12-01T00:00:00Z", "occurred_to": "2025-12-02 10:00+05"}',
	'{"occurred_from": "13.10.2026 10:00", "occurred_to": "2026-10-14"}', '{"occurred_from": "01.10.2026"}', '{"occurred_from": 1760000000, "occurred_to": 1760003600}',
	'{"occurred_from": "2026-02-02", "occurred_to": "2026-02-01"}', '{"occurred_from": "2026-03-01"}', '{"occurred_to": "2025-03-01"}',
	'{"occurred_from": "today", "occurred_to": "now"}', '{"occurred_from": "2026-13-45"}']::jsonb[]) WITH ORDINALITY AS u (d, o);
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, DMY';
SELECT incident_id, organization_id, service_name, occurred_from, occurred_to FROM llm_audit.open_incidents() ORDER BY substring(incident_id FROM 5)::int;
RESET DateStyle;
RESET TimeZone;
-- who writes events cannot end a freeze
CREATE ROLE hold_writer LOGIN;
GRANT llm_audit_writer TO hold_writer;
GRANT USAGE ON SCHEMA public TO hold_writer;
CREATE ROLE hold_officer LOGIN;
GRANT llm_audit_compliance TO hold_officer;
SET SESSION AUTHORIZATION hold_writer;
SELECT incident('closed', 'INC-1'), incident('resolved', 'INC-2');
SELECT llm_audit.close_incident('INC-1', 'prod', 'to be rid of it');
RESET SESSION AUTHORIZATION;
SELECT count(*) FROM llm_audit.open_incidents() WHERE incident_id IN ('INC-1', 'INC-2');
SET SESSION AUTHORIZATION hold_officer;
SELECT llm_audit.close_incident('INC-1', 'prod', ' ');
SELECT llm_audit.close_incident('INC-1', 'test', 'over');
SELECT llm_audit.close_incident('INC-1', 'prod', 'over');
SELECT llm_audit.close_incident('INC-1', 'prod', 'again');
SELECT llm_audit.release_hold('00000000-0000-0000-0000-000000000000', 'nothing');
RESET SESSION AUTHORIZATION;
SELECT string_agg(incident_id, ' ' ORDER BY incident_id) FROM llm_audit.open_incidents() WHERE incident_id IN ('INC-1', 'INC-2');
SELECT actor_id, recorded_by, reason FROM llm_audit.admin_event WHERE action = 'incident.closed' AND reason <> 'test';
\c :origin
DROP DATABASE hold WITH (FORCE);
DROP ROLE hold_writer, hold_officer;
