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

-- Calls are looked for by the names and within the times of all holds together,
-- unless one of them has no end or knows a person by a later key.
INSERT INTO llm_audit.usage_event (environment, organization_id, request_id, unit, quantity, cost, currency, occurred_at, actor_id)
	VALUES ('prod', 'o1', 'plain-1', 'bill', 1, 1, 'EUR', '2024-06-01', 'eve'), ('prod', 'o1', 'plain-1', 'late', 1, 1, 'EUR', '2027-06-01', 'eve');
SELECT llm_audit.place_hold('ONE', 'test', '{"occurred_from": "2026-03-01", "occurred_to": "2026-03-02"}') AS hold \gset
SELECT held(s, 'llm_audit.usage_event', 'unit') FROM unnest(ARRAY['{"occurred_to": "2026-01-02"}', '{"occurred_from": "2026-01-01", "occurred_to": "2026-01-02"}',
	'{"occurred_from": "2026-01-02", "occurred_to": "2026-01-03"}']::jsonb[]) s;
SELECT llm_audit.release_hold(:'hold', 'test');
SELECT llm_audit.place_hold('ONE', 'test', '{"occurred_from": "2025-03-01", "occurred_to": "2025-03-02"}') AS hold \gset
SELECT held(s, 'llm_audit.usage_event', 'unit') FROM unnest(ARRAY['{"occurred_from": "2026-01-01"}', '{"occurred_from": "2026-01-02"}']::jsonb[]) s;
SELECT llm_audit.release_hold(:'hold', 'test');
INSERT INTO llm_audit.legal_hold (hold_id, ticket, reason, scope, actor_ids, key_ids, placed_at)
	VALUES (gen_random_uuid(), 'LATER', 'test', '{}', '{nobody}', '{old}', '2026-01-01');
SELECT held('{"ledger": "mine"}', 'llm_audit.llm_content', 'request_id') AS by_later_key;
SELECT count(llm_audit.release_hold(hold_id, 'test')) FROM llm_audit.legal_hold WHERE ticket = 'LATER';

-- Many holds at once cover what each of them by itself does, row by row.
SELECT setseed(0.5);
CREATE FUNCTION any_of(VARIADIC text[]) RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT $1[1 + floor(random() * cardinality($1))::int] $$;
CREATE FUNCTION some_time() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
	SELECT '2026-02-01Z'::timestamptz + floor(random() * 20) * interval '1 hour' $$;
CREATE TABLE other (n text, request_id text, actor_id text, end_user_id text, customer_key text, organization_id text, environment text, occurred_at timestamptz);
SELECT llm_audit.create_ledger('other');
SELECT llm_audit.set_field_policy('other', c, 'keep', pattern => 'identifier', reason => 'test')
	FROM unnest('{request_id,actor_id,end_user_id,customer_key}'::text[]) c;
SELECT count(*) FROM llm_audit.record_calls((SELECT jsonb_agg(jsonb_build_object('request_id', 'q' || i, 'occurred_at', some_time(),
		'actor_id', any_of('a1', 'a2', 'a3'), 'service_name', any_of('s1', 's2'), 'organization_id', any_of('o1', 'o2', 'o3')))::text FROM generate_series(1, 60) i),
	'{"actor_type": "service", "environment": "prod", "operation_name": "chat", "provider_name": "openai", "request_model": "gpt", "status": "ok", "attempt": 1, "is_final": true, "utc_offset_minutes": 0}');
INSERT INTO llm_audit.llm_content (call_id, request_id, environment, organization_id, ordinal, kind, body, body_bytes, occurred_at)
	SELECT id, request_id, environment, organization_id, 0, any_of('prompt', 'response'), 'hello', 5, occurred_at FROM llm_audit.llm_call WHERE request_id LIKE 'q%';
INSERT INTO llm_audit.usage_event (environment, organization_id, request_id, unit, quantity, cost, currency, occurred_at, actor_id)
	SELECT 'prod', any_of('o1', 'o2', 'o3'), any_of('q' || i, 'z'), 'request', 1, 1, 'EUR', some_time(), any_of('a1', 'a2', NULL) FROM generate_series(1, 60) i;
INSERT INTO other SELECT i, any_of('q' || i, 'z', NULL), any_of('a1', 'a2', 'new:1', NULL), any_of('u1', 'new:2', 'u2'), any_of('k1', 'k2', 'new:3', NULL),
	any_of('o1', 'o2', 'o3'), any_of('prod', 'test'), CASE WHEN random() < 0.8 THEN some_time() END FROM generate_series(1, 60) i;
INSERT INTO llm_audit.seen_key (key_id, first_seen) VALUES ('new', clock_timestamp());

-- whether a row, as JSON, is one that a hold by itself names
CREATE FUNCTION named(j jsonb, h llm_audit.legal_hold) RETURNS boolean LANGUAGE sql STABLE AS $$
	SELECT (h.request_ids IS NULL OR j ->> 'request_id' = ANY (h.request_ids))
		AND (h.actor_ids IS NULL OR j ->> 'actor_id' = ANY (h.actor_ids) OR split_part(j ->> 'actor_id', ':', 1) = ANY (llm_audit.later_keys(h)))
		AND (h.end_user_ids IS NULL OR j ->> 'end_user_id' = ANY (h.end_user_ids) OR split_part(j ->> 'end_user_id', ':', 1) = ANY (llm_audit.later_keys(h)))
		AND (h.customer_keys IS NULL OR j ->> 'customer_key' = ANY (h.customer_keys) OR split_part(j ->> 'customer_key', ':', 1) = ANY (llm_audit.later_keys(h)))
		AND (h.organization_id IS NULL OR j ->> 'organization_id' = h.organization_id)
		AND (h.service_name IS NULL OR j ->> 'service_name' = h.service_name)
		AND (h.environment IS NULL OR j ->> 'environment' = h.environment)
		AND (h.occurred_from IS NULL OR coalesce((j ->> 'occurred_at')::timestamptz, (j ->> 'recorded_at')::timestamptz) >= h.occurred_from)
		AND (h.occurred_to IS NULL OR coalesce((j ->> 'occurred_at')::timestamptz, (j ->> 'recorded_at')::timestamptz) < h.occurred_to)
		AND (h.kinds IS NULL OR NOT j ? 'kind' OR j ->> 'kind' = ANY (h.kinds)) $$;
CREATE FUNCTION one_by_one(leaf regclass) RETURNS TABLE (lane int, seq bigint) LANGUAGE plpgsql AS $$
DECLARE
	s llm_audit.ledger_segment := llm_audit.segment_of(leaf);
	is_calls boolean := EXISTS (SELECT FROM llm_audit.ledger l WHERE l.ledger_id = s.ledger_id AND l.relation_name = 'llm_call');
	empty_columns text[];
BEGIN
	EXECUTE format('SELECT array_agg(DISTINCT c) FROM unnest(''{actor_id,end_user_id,service_name,organization_id}''::text[]) c
		WHERE EXISTS (SELECT FROM ONLY %s r WHERE to_jsonb(r) ->> c IS NULL)', leaf) INTO empty_columns;
	RETURN QUERY EXECUTE format('WITH h AS MATERIALIZED (SELECT * FROM llm_audit.segment_holds($1)), row AS MATERIALIZED (SELECT chain_lane, chain_seq, to_jsonb(r) AS j FROM ONLY %s r)
		SELECT DISTINCT r.chain_lane, r.chain_seq FROM row r, h WHERE named(r.j, h)
		UNION
		SELECT DISTINCT r.chain_lane, r.chain_seq FROM row r JOIN llm_audit.llm_call q ON q.request_id = r.j ->> ''request_id'' AND $1.environment IN ('''', q.environment), h
		WHERE NOT $2 AND named(to_jsonb(q) - ''kind'', h) AND (h.kinds IS NULL OR NOT r.j ? ''kind'' OR r.j ->> ''kind'' = ANY (h.kinds))
			AND (h.customer_keys IS NOT NULL OR h.occurred_from IS NOT NULL OR h.occurred_to IS NOT NULL
				OR h.actor_ids IS NOT NULL AND ''actor_id'' = ANY ($3) OR h.end_user_ids IS NOT NULL AND ''end_user_id'' = ANY ($3)
				OR h.service_name IS NOT NULL AND ''service_name'' = ANY ($3) OR h.organization_id IS NOT NULL AND ''organization_id'' = ANY ($3))', leaf)
		USING s, is_calls, coalesce(empty_columns, '{}');
END
$$;
CREATE FUNCTION same(ledgers text[]) RETURNS TABLE (ledger text, number_of_rows bigint, number_held bigint, wrong bigint) LANGUAGE plpgsql AS $$
DECLARE
	leaf regclass;
BEGIN
	FOR ledger, leaf IN SELECT l.relation_name, llm_audit.leaf_of(s) FROM llm_audit.ledger_segment s JOIN llm_audit.ledger l USING (ledger_id)
		WHERE l.relation_name::text = ANY (ledgers) ORDER BY 1
	LOOP
		EXECUTE format('SELECT count(*) FROM ONLY %s', leaf) INTO number_of_rows;
		CONTINUE WHEN number_of_rows = 0;
		EXECUTE format('SELECT count(h), count(*) FILTER (WHERE h IS DISTINCT FROM o) FROM (SELECT r.lane, seq FROM llm_audit.held_rows(%1$L) r CROSS JOIN generate_series(first_seq, last_seq) seq) h
			FULL JOIN one_by_one(%1$L) o USING (lane, seq)', leaf) INTO number_held, wrong;
		RETURN NEXT;
	END LOOP;
END
$$;
CREATE FUNCTION holds(how_many int, parts int, seldom float) RETURNS SETOF uuid LANGUAGE sql VOLATILE AS $$
	INSERT INTO llm_audit.legal_hold (hold_id, ticket, reason, scope, request_ids, actor_ids, end_user_ids, customer_keys, organization_id, service_name, environment, occurred_from, occurred_to, kinds, key_ids, ledger_id, placed_at)
	SELECT gen_random_uuid(), 'RANDOM', 'test', '{}',
		CASE WHEN i % parts = 0 THEN ARRAY[any_of('q1', 'q2', 'q3', 'z'), any_of('q1', 'q2')] END,
		CASE WHEN random() < seldom THEN ARRAY[any_of('a1', 'a2'), any_of('a3', 'x')] END,
		CASE WHEN random() < seldom / 4 THEN ARRAY[any_of('u1', 'x')] END,
		CASE WHEN random() < seldom / 4 THEN ARRAY[any_of('k1', 'x')] END,
		CASE WHEN random() < seldom THEN any_of('o1', 'o2', 'x') END,
		CASE WHEN random() < seldom / 2 THEN any_of('s1', 's2', 'x') END,
		CASE WHEN random() < seldom THEN any_of('prod', 'test') END,
		CASE WHEN random() < 0.7 THEN t END, CASE WHEN random() < 0.7 THEN t + any_of('-1 hour', '1 hour', '10 minutes')::interval END,
		CASE WHEN random() < seldom THEN ARRAY[any_of('prompt', 'response')] END,
		CASE WHEN random() < seldom / 2 THEN '{old}'::text[] END,
		CASE WHEN random() < seldom THEN (SELECT ledger_id FROM llm_audit.ledger WHERE relation_name = (ARRAY['llm_call', 'llm_content', 'other'])[1 + i % 3]) END,
		'2026-01-01'
	FROM (SELECT i, some_time() AS t FROM generate_series(1, how_many) i) AS holds RETURNING hold_id $$;
CREATE FUNCTION compare(how_many int, parts int, seldom float) RETURNS TABLE (some_held boolean, some_free boolean, wrong numeric) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM holds(how_many, parts, seldom);
	RETURN QUERY SELECT sum(number_held) > 0, sum(number_of_rows - number_held) > 0, sum(s.wrong) FROM same('{llm_call,llm_content,usage_event,other}') s;
	UPDATE llm_audit.legal_hold SET released_at = now(), released_by = 'x', release_reason = 'over' WHERE released_at IS NULL;
END
$$;
SELECT n, seldom, c.* FROM (VALUES (3, 1000, 0.3), (5, 2, 0.5), (10, 1000, 0.8), (120, 4, 1)) AS v (n, parts, seldom)
	CROSS JOIN LATERAL compare(n, parts, seldom) c;
-- many of one shape, and a window that ends before it begins
INSERT INTO llm_audit.legal_hold (hold_id, ticket, reason, scope, actor_ids, organization_id, occurred_from, occurred_to)
	SELECT gen_random_uuid(), 'SHAPE', 'test', '{}', ARRAY['a' || i % 2], 'o' || i % 4, t, t + CASE WHEN i % 7 = 0 THEN -1 ELSE 1 END * interval '1 hour'
	FROM (SELECT i, some_time() AS t FROM generate_series(1, 150) i) AS holds;
SELECT * FROM compare(0, 1, 0);

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
