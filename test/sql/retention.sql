-- Retention policies and legal holds: what is accepted, what it does, what is
-- refused.  Purging by the clock is tested in test/t/050_purge.pl.
\set VERBOSITY terse
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();
CREATE TABLE entry (n int, organization_id text, data_class text);
SELECT llm_audit.create_ledger('entry', retention => '1 year');
CREATE FUNCTION kept(class text) RETURNS interval LANGUAGE sql AS $$
	INSERT INTO entry VALUES (1, 'o1', class);
	SELECT (retain_until AT TIME ZONE 'UTC') - (recorded_at AT TIME ZONE 'UTC') FROM entry
		ORDER BY chain_seq DESC LIMIT 1
$$;
CREATE FUNCTION days(period interval) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN period IS NULL THEN 'for ever' WHEN period BETWEEN '364 days' AND '367 days' THEN 'a year'
		WHEN period BETWEEN '1826 days' AND '1828 days' THEN 'five years'
		ELSE extract(day FROM period) || ' days' END
$$;

-- the defaults, and that a policy is for each data class
SELECT ledger, environment, data_class, period, mode, purge_unit, archive_before_purge
	FROM llm_audit.retention_report() ORDER BY ledger COLLATE "C";
SELECT days(kept(NULL)), days(kept('personal'));
SELECT llm_audit.set_retention('entry', NULL, 'personal', '40 days', bypass => true, reason => 'test');
SELECT days(kept(NULL)), days(kept('personal')), days(kept('internal'));
SELECT llm_audit.set_retention('entry', NULL, 'banking_secrecy', NULL);
SELECT days(kept('banking_secrecy')), days(kept('something else'));

-- shortening
SELECT llm_audit.set_retention('entry', NULL, NULL, '364 days');
SELECT llm_audit.set_retention('entry', NULL, NULL, '364 days', bypass => true);
SELECT llm_audit.set_retention('entry', NULL, NULL, '12 months');
SELECT llm_audit.set_retention('entry', NULL, 'banking_secrecy', '100 years');
SELECT llm_audit.set_retention('entry', NULL, 'public', '30 days');

-- compliance mode: nobody, whoever, however
SELECT llm_audit.set_retention('entry', NULL, NULL, '5 years', mode => 'compliance');
SELECT days(kept('personal')) AS a_shorter_exception_does_not_count;
SELECT llm_audit.set_retention('entry', NULL, NULL, '4 years', mode => 'compliance', bypass => true, reason => 'please');
SELECT llm_audit.set_retention('entry', NULL, NULL, '6 years', bypass => true, reason => 'please');
SELECT llm_audit.set_retention('entry', NULL, NULL, NULL, bypass => true, reason => 'please');
UPDATE llm_audit.retention_policy SET period = '1 day' WHERE mode = 'compliance';
UPDATE llm_audit.retention_policy SET data_class = 'public' WHERE mode = 'compliance';
UPDATE llm_audit.retention_policy SET mode = 'governance';
DELETE FROM llm_audit.retention_policy;
TRUNCATE llm_audit.retention_policy;
ALTER TABLE llm_audit.retention_policy DISABLE TRIGGER llm_audit_compliance;
DROP TRIGGER llm_audit_compliance ON llm_audit.retention_policy;
SET session_replication_role = replica;
DELETE FROM llm_audit.retention_policy;
RESET session_replication_role;
SELECT llm_audit.drop_ledger('entry', 'to be rid of it');
SELECT llm_audit.set_retention('entry', NULL, NULL, '61 months', mode => 'compliance');
SELECT llm_audit.set_retention('entry', NULL, 'personal', '1 day', bypass => true, reason => 'no effect');
SELECT days(kept('personal')) <> 'for ever' AS longer;

-- what cannot be said
SELECT llm_audit.set_retention('pg_class', NULL, NULL, '1 year');
SELECT llm_audit.set_retention('llm_audit.llm_call', NULL, NULL, '89 days', bypass => true, reason => 'test');
SELECT llm_audit.set_retention('llm_audit.llm_call', 'moon', NULL, '9 years');
SELECT llm_audit.set_retention('entry', 'prod', NULL, '9 years');
SELECT llm_audit.set_retention('llm_audit.llm_call', NULL, 'secret', '9 years');
SELECT llm_audit.set_retention('llm_audit.llm_call', NULL, NULL, '9 years', mode => 'strict');
SELECT llm_audit.set_retention('llm_audit.llm_call', NULL, NULL, '-9 years');
SELECT llm_audit.set_retention('llm_audit.llm_call', NULL, NULL, '9 years -1 day');
SELECT llm_audit.set_retention('llm_audit.llm_call', NULL, NULL, '1001 years');
SELECT llm_audit.set_retention('llm_audit.llm_call', NULL, NULL, '9 years', purge_unit => 'week');
SELECT llm_audit.set_retention('llm_audit.purge_receipt', NULL, NULL, '9 years');
SELECT llm_audit.set_retention('llm_audit.llm_content', NULL, NULL, '30 days', bypass => true, reason => 'contents go early');
SET ROLE llm_audit_compliance;
SELECT llm_audit.set_retention('llm_audit.llm_call', NULL, NULL, '9 years');
RESET ROLE;
SET ROLE llm_audit_admin;
SELECT llm_audit.set_retention('llm_audit.llm_call', 'prod', 'personal', '9 years', reason => 'a new law');
RESET ROLE;
UPDATE llm_audit.retention_policy SET period = '8 years' WHERE environment = 'prod';
SELECT action, high_risk, target_id, reason, "after" - 'changed_at' AS details FROM llm_audit.admin_event
	WHERE action LIKE 'retention_policy.%' ORDER BY recorded_at, chain_seq;

-- holds
SELECT llm_audit.place_hold(' ', 'r', '{"environment": "prod"}');
SELECT llm_audit.place_hold('t', NULL, '{"environment": "prod"}');
SELECT llm_audit.place_hold('t', 'r', '{}');
SELECT llm_audit.place_hold('t', 'r', NULL);
SELECT llm_audit.place_hold('t', 'r', '["x"]');
SELECT llm_audit.place_hold('t', 'r', '{"who": "x"}');
SELECT llm_audit.place_hold('t', 'r', '{"request_ids": "r1"}');
SELECT llm_audit.place_hold('t', 'r', '{"request_ids": []}');
SELECT llm_audit.place_hold('t', 'r', '{"request_ids": [1]}');
SELECT llm_audit.place_hold('t', 'r', '{"actor_id": ""}');
SELECT llm_audit.place_hold('t', 'r', '{"environment": "moon"}');
SELECT llm_audit.place_hold('t', 'r', '{"ledger": "moon"}');
SELECT llm_audit.place_hold('t', 'r', '{"ledger": "entry", "service_name": "s"}');
SELECT llm_audit.place_hold('t', 'r', '{"kinds": ["letter"]}');
SELECT llm_audit.place_hold('t', 'r', '{"occurred_from": "soon"}');
SELECT llm_audit.place_hold('t', 'r', '{"occurred_from": "2026-02-01", "occurred_to": "2026-01-01"}');
SELECT llm_audit.place_hold('t', 'r', '{"environment": "prod"}', '2020-01-01');
SET ROLE llm_audit_admin;
SELECT llm_audit.place_hold('t', 'r', '{"environment": "prod"}');
RESET ROLE;

-- every scope finds its rows, and those of other ledgers that belong to them
INSERT INTO llm_audit.content_recording VALUES ('*', '*', true);
SELECT count(*) FROM llm_audit.record_calls('[
	{"request_id": "r1", "occurred_at": "2026-01-01T10:00:00Z", "actor_id": "ann", "actor_type": "human", "end_user_id": "eve", "service_name": "chat", "organization_id": "o1", "customer_key": "c-1"},
	{"request_id": "r2", "occurred_at": "2026-01-01T10:00:00Z", "actor_id": "bob", "actor_type": "human", "end_user_id": "eve", "service_name": "mail", "organization_id": "o1"},
	{"request_id": "r3", "occurred_at": "2026-01-01T10:00:00Z", "actor_id": "bob", "actor_type": "human", "service_name": "chat", "organization_id": "o2"}]',
	'{"environment": "prod", "operation_name": "chat", "provider_name": "openai", "request_model": "gpt", "status": "ok", "attempt": 1, "is_final": true, "utc_offset_minutes": 0}');
INSERT INTO llm_audit.llm_content (call_id, request_id, environment, organization_id, service_name, ordinal, kind, body, body_bytes, occurred_at)
	SELECT id, request_id, environment, organization_id, service_name, 0, 'prompt', 'hello', 5, occurred_at FROM llm_audit.llm_call;
INSERT INTO llm_audit.settlement (environment, organization_id, kind, original_request_id, amount, currency)
	SELECT environment, organization_id, 'charge', request_id, 1, 'EUR' FROM llm_audit.llm_call;
CREATE FUNCTION held(scope jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	id uuid := llm_audit.place_hold('T', 'test', scope);
	leaf regclass;
	query text;
	result text := '';
	part text;
BEGIN
	FOR leaf IN SELECT tableoid::regclass FROM llm_audit.llm_call UNION SELECT tableoid::regclass FROM llm_audit.llm_content
		UNION SELECT tableoid::regclass FROM llm_audit.settlement ORDER BY 1
	LOOP
		SELECT llm_audit.hold_query(l, s.environment, format('ONLY %s', leaf), false) INTO query
			FROM llm_audit.segment_of(leaf) s JOIN llm_audit.ledger l USING (ledger_id);
		CONTINUE WHEN query IS NULL;
		EXECUTE format('SELECT string_agg(coalesce(to_jsonb(r) ->> ''request_id'', to_jsonb(r) ->> ''original_request_id''), '' '' ORDER BY 1)
			FROM %s r WHERE (chain_lane, chain_seq) IN (%s)', leaf, query) INTO part;
		result := result || substring(leaf::text FROM '(llm_call|llm_content|settlement)') || ': ' || coalesce((SELECT string_agg(x, ' ' ORDER BY x) FROM regexp_split_to_table(part, ' ') x), '-') || '  ';
	END LOOP;
	PERFORM llm_audit.release_hold(id, 'tested');
	RETURN result;
END
$$;
SELECT held('{"request_ids": ["r1", "r9"]}');
SELECT held('{"actor_id": "bob"}');
SELECT held(jsonb_build_object('actor_id', (SELECT actor_id FROM llm_audit.llm_call WHERE request_id = 'r1'))) AS by_pseudonym;
SELECT held('{"end_user_id": "eve"}');
SELECT held('{"customer": "c-1"}');
SELECT held('{"organization_id": "o1"}');
SELECT held('{"service_name": "chat"}');
SELECT held('{"environment": "prod"}');
SELECT held('{"environment": "test"}');
SELECT held('{"ledger": "llm_content"}');
SELECT held('{"ledger": "llm_audit.llm_content", "actor_id": "ann"}');
SELECT held('{"occurred_from": "2026-01-01", "occurred_to": "2026-01-01T10:00:01Z"}');
SELECT held('{"occurred_to": "2026-01-01T10:00:00Z"}');
SELECT held('{"actor_id": "bob", "organization_id": "o1"}');
SELECT held('{"actor_id": "bob", "end_user_id": "eve", "service_name": "mail", "occurred_from": "2025-12-31"}');
SELECT held('{"actor_id": "bob", "customer": "c-1"}');
SELECT held('{"organization_id": "o2", "kinds": ["response"]}');
SELECT held('{"organization_id": "nobody"}') AS a_hold_on_nothing;
SELECT count(*) FILTER (WHERE scope::text ~ '"(eve|c-1)"') AS names_stored, count(*) AS holds FROM llm_audit.legal_hold;

-- changed by hand; released
SELECT llm_audit.place_hold('T-1', 'first', '{"organization_id": "o1"}') AS hold \gset
SET ROLE llm_audit_compliance;
SELECT llm_audit.place_hold('T-2', 'second', '{"organization_id": "o1"}', 'infinity') AS other \gset
RESET ROLE;
UPDATE llm_audit.legal_hold SET scope = '{}' WHERE hold_id = :'hold';
DELETE FROM llm_audit.legal_hold WHERE hold_id = :'hold';
TRUNCATE llm_audit.legal_hold;
ALTER TABLE llm_audit.legal_hold DISABLE TRIGGER ALL;
SELECT ticket, reason, until, held_rows > 0 AS holds FROM llm_audit.hold_report(count_rows => true) ORDER BY ticket;
CREATE TABLE other (organization_id text);
SELECT llm_audit.create_ledger('other');
INSERT INTO other VALUES ('o1');
SELECT llm_audit.drop_ledger('other', 'to be rid of it');
SELECT llm_audit.uninstall('to be rid of it');
SELECT llm_audit.release_hold(:'hold', ' ');
SELECT llm_audit.release_hold(:'hold', 'settled');
SELECT llm_audit.release_hold(:'hold', 'again');
SELECT llm_audit.release_hold('00000000-0000-0000-0000-000000000000', 'nothing');
UPDATE llm_audit.legal_hold SET released_at = NULL, released_by = NULL, release_reason = NULL WHERE hold_id = :'hold';
SELECT ticket, released_by IS NOT NULL AS released, release_reason FROM llm_audit.hold_report(released => true)
	WHERE ticket LIKE 'T-%' ORDER BY ticket;
SELECT action, high_risk, reason FROM llm_audit.admin_event
	WHERE action LIKE 'legal_hold.%' AND reason IS DISTINCT FROM 'test' AND reason IS DISTINCT FROM 'tested' ORDER BY recorded_at, chain_seq;

-- purge: what it refuses
SELECT * FROM llm_audit.purge('pg_class');
SELECT * FROM llm_audit.purge(max_rows => 0);
SELECT * FROM llm_audit.purge('entry', false);
SELECT * FROM llm_audit.purge('entry', false, ' ');
SELECT segment, action, row_count > 0 AS rows, why_not FROM llm_audit.purge('entry');
SELECT * FROM llm_audit.verify();
SELECT llm_audit.sha256_agg(b ORDER BY n) = sha256('abc') AS same, llm_audit.sha256_agg(b) FILTER (WHERE false) IS NULL AS none
	FROM (VALUES (1, 'a'::bytea), (2, NULL), (3, 'bc')) v (n, b);
SELECT llm_audit.runs_agg(n ORDER BY n) AS runs, llm_audit.runs_agg(n) FILTER (WHERE false) IS NULL AS none
	FROM (VALUES (1), (2), (3), (7), (NULL), (9), (10)) v (n);
SELECT llm_audit.runs_agg(n ORDER BY n DESC) FROM generate_series(1, 2) AS n;
SET llm_audit.purge_load = 0;
SET llm_audit.purge_load = 50;
SELECT clock_timestamp() AS began \gset
SELECT llm_audit.pause_purge(clock_timestamp() - interval '200 ms');
SELECT clock_timestamp() - :'began' >= interval '200 ms' AS paused, clock_timestamp() AS began \gset it_
\echo :it_paused
SET llm_audit.purge_load = 100;
SELECT llm_audit.pause_purge(clock_timestamp() - interval '1 hour');
SELECT clock_timestamp() - :'it_began' < interval '30 s' AS at_once;
RESET llm_audit.purge_load;
