-- The built-in ledgers: what setup() makes, and what their constraints refuse.
-- A database of its own, so that other tests find nothing of it.
\set VERBOSITY terse
\set origin :DBNAME
CREATE DATABASE schema_test TEMPLATE template0 ENCODING 'UTF8';
\c schema_test
CREATE EXTENSION llm_audit;
SELECT object FROM llm_audit.setup() GROUP BY object ORDER BY object COLLATE "C";
-- the second time there is nothing left to do
SELECT * FROM llm_audit.setup();

CREATE TEMP VIEW builtin AS
	SELECT b.*, format('llm_audit.%I', b.relation_name)::regclass AS root
	FROM llm_audit.builtin_ledgers() AS b;
SELECT relation_name, role, retention, segment_width FROM builtin;

-- They are ordinary objects: a dump carries the rows of a member of the
-- extension only if told to.
SELECT d.objid::regclass FROM pg_depend AS d JOIN builtin AS b ON d.objid = b.root
	WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'e';

-- What says nothing about itself: columns of ledgers, and of the registry
SELECT c.relname, a.attname
	FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
	WHERE c.relnamespace = 'llm_audit'::regnamespace
		AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
		AND a.attnum > 0 AND NOT a.attisdropped
		AND coalesce(col_description(c.oid, a.attnum), '') = ''
	ORDER BY 1, 2;
-- relations, partitions included, and indexes of ledgers
SELECT c.relname, c.relkind
	FROM pg_class AS c
	WHERE c.relnamespace = 'llm_audit'::regnamespace
		AND (c.relkind IN ('r', 'p', 'v', 'm', 'S')
			OR c.relkind = 'I' AND NOT c.relispartition)
		AND coalesce(obj_description(c.oid, 'pg_class'), '') = ''
	ORDER BY 1;
-- functions and types in the schema, and every member of the extension
SELECT p.oid::regprocedure FROM pg_proc AS p
	WHERE p.pronamespace = 'llm_audit'::regnamespace
		AND coalesce(obj_description(p.oid, 'pg_proc'), '') = ''
	ORDER BY 1;
SELECT t.typname FROM pg_type AS t
	WHERE t.typnamespace = 'llm_audit'::regnamespace AND t.typelem = 0
		AND (t.typrelid = 0 OR EXISTS (SELECT FROM pg_class AS c
			WHERE c.oid = t.typrelid AND c.relkind = 'c'))
		AND coalesce(obj_description(t.oid, 'pg_type'), '') = ''
	ORDER BY 1;
SELECT pg_describe_object(d.classid, d.objid, 0)
	FROM pg_depend AS d
	WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
		AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'llm_audit')
		AND coalesce(obj_description(d.objid, d.classid::regclass::name), '') = ''
		-- tables' row types are members too since 17
		AND NOT EXISTS (SELECT FROM pg_type AS t
			WHERE d.classid = 'pg_type'::regclass AND t.oid = d.objid
				AND (t.typrelid <> 0 OR t.typelem <> 0))
	ORDER BY 1;
SELECT rolname FROM pg_roles WHERE rolname LIKE 'llm\_audit\_%'
		AND coalesce(shobj_description(oid, 'pg_authid'), '') = ''
	ORDER BY 1;
-- and the extension, its schema and the number of what was looked at
SELECT obj_description(e.oid, 'pg_extension') <> '' AS extension,
		obj_description('llm_audit'::regnamespace, 'pg_namespace') <> '' AS schema,
		(SELECT count(*) > 50 FROM pg_depend AS d
			WHERE d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid)
			AS members
	FROM pg_extension AS e WHERE extname = 'llm_audit';

-- Required columns, beside those that the trigger stamps
SELECT b.relation_name, string_agg(a.attname, ', ' ORDER BY a.attname)
	FROM builtin AS b JOIN pg_attribute AS a ON a.attrelid = b.root
	WHERE a.attnum > 0 AND a.attnotnull
		AND a.attname NOT IN (SELECT column_name FROM llm_audit.ledger_attributes())
	GROUP BY b.relation_name ORDER BY 1;
SELECT b.relation_name, string_agg(format('%s %s', a.attname,
		pg_get_expr(d.adbin, d.adrelid)), ', ' ORDER BY a.attname)
	FROM builtin AS b JOIN pg_attribute AS a ON a.attrelid = b.root
	JOIN pg_attrdef AS d ON d.adrelid = b.root AND d.adnum = a.attnum
	WHERE a.attname NOT IN (SELECT column_name FROM llm_audit.ledger_attributes())
	GROUP BY b.relation_name ORDER BY 1;
-- Every ledger has the ledger's own columns, with their types.
SELECT b.relation_name, l.column_name
	FROM builtin AS b CROSS JOIN llm_audit.ledger_attributes() AS l
	LEFT JOIN pg_attribute AS a ON a.attrelid = b.root
		AND a.attname = l.column_name AND a.atttypid = l.type
	WHERE a.attname IS NULL;

-- What can be erased is registered so, gets no statistics anywhere in the
-- tree, stands in no index, and may be NULL.
SELECT b.relation_name, b.erasable FROM builtin AS b
	WHERE b.erasable <> '{}';
SELECT b.relation_name, k.column_name, k.erasable
	FROM builtin AS b
	JOIN llm_audit.ledger AS l ON l.schema_name = 'llm_audit'
		AND l.relation_name = b.relation_name
	JOIN llm_audit.ledger_column AS k USING (ledger_id)
	WHERE k.erasable IS DISTINCT FROM (k.column_name = ANY (b.erasable));
SELECT t.relid, a.attname, a.attstattarget, a.attnotnull
	FROM builtin AS b CROSS JOIN pg_partition_tree(b.root) AS t
	JOIN pg_attribute AS a ON a.attrelid = t.relid
	JOIN pg_class AS c ON c.oid = t.relid
		AND c.relname <> b.relation_name || '_unknown'
	WHERE a.attname = ANY (b.erasable)
		AND (a.attstattarget IS DISTINCT FROM 0 OR a.attnotnull);
SELECT i.indexrelid::regclass, a.attname
	FROM builtin AS b CROSS JOIN pg_partition_tree(b.root) AS t
	JOIN pg_index AS i ON i.indrelid = t.relid
	JOIN pg_attribute AS a ON a.attrelid = i.indexrelid
	JOIN pg_class AS c ON c.oid = i.indexrelid
	WHERE a.attname = ANY (b.erasable)
		-- which hold hash codes, not values
		AND c.relam <> (SELECT oid FROM pg_am WHERE amname = 'hash');
-- The indexes; each costs every insert.
SELECT b.relation_name, d.definition
	FROM builtin AS b JOIN pg_index AS i ON i.indrelid = b.root
	CROSS JOIN pg_get_indexdef(i.indexrelid) AS d (definition)
	ORDER BY b.relation_name, d.definition COLLATE "C";

-- Actions: every category, nothing but the categories, and what llm_audit
-- records itself
SELECT category, count(*) > 1 AS actions, bool_or(high_risk) AS some_high_risk,
		bool_and(high_risk) AS all_high_risk
	FROM llm_audit.action_type GROUP BY category ORDER BY category COLLATE "C";
SELECT action FROM llm_audit.action_type WHERE NOT builtin OR btrim(description) = '';
SELECT DISTINCT m[1] AS unlisted FROM pg_proc AS p
	CROSS JOIN regexp_matches(p.prosrc,
		'record_own_event\(\s*''([a-z_.]+)''', 'g') AS m
	WHERE p.pronamespace = 'llm_audit'::regnamespace
		AND NOT EXISTS (SELECT FROM llm_audit.action_type AS t WHERE t.action = m[1]);

-- put(LEDGER, CHANGES): tries to insert a row that is fine but for these
-- values, and says what came of it.
CREATE FUNCTION pg_temp.put(ledger text, changes jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	fine jsonb := CASE ledger
		WHEN 'llm_call' THEN '{"request_id": "r", "environment": "test",
			"occurred_at": "2026-01-01 12:00+05", "service_name": "s",
			"actor_id": "a", "actor_type": "service", "operation_name": "chat",
			"provider_name": "p", "request_model": "m", "status": "ok"}'
		WHEN 'llm_content' THEN '{"request_id": "r", "environment": "test",
			"call_id": "00000000-0000-4000-8000-000000000001", "ordinal": 0,
			"kind": "prompt", "body_bytes": 5}'
		WHEN 'match_token' THEN '{"environment": "test", "token": "1:00ff",
			"call_id": "00000000-0000-4000-8000-000000000001"}'
		WHEN 'admin_event' THEN '{"environment": "test",
			"occurred_at": "2026-01-01 12:00+05", "action": "login.failed",
			"actor_id": "a", "actor_type": "human", "target_type": "account",
			"outcome": "denied"}'
		WHEN 'usage_event' THEN '{"request_id": "r", "environment": "test",
			"occurred_at": "2026-01-01 12:00+05", "unit": "token",
			"quantity": 1, "cost": 1, "currency": "KZT"}'
		WHEN 'settlement' THEN '{"environment": "test", "kind": "charge",
			"amount": 1, "currency": "KZT"}'
		WHEN 'access_log' THEN '{"environment": "test", "event": "read",
			"boot_id": "00000000-0000-4000-8000-000000000001", "boot_ticket": 1,
			"occurred_at": "2026-01-01 12:00+05", "login": "l"}'
		WHEN 'access_record' THEN '{"environment": "test", "login": "l",
			"boot_id": "00000000-0000-4000-8000-000000000001", "boot_ticket": 1,
			"occurred_at": "2026-01-01 12:00+05",
			"row_id": "00000000-0000-4000-8000-000000000001",
			"statement_id": "00000000-0000-4000-8000-000000000001"}'
		WHEN 'segment_event' THEN '{"environment": "test", "event": "created",
			"ledger": "l", "ledger_id": "00000000-0000-4000-8000-000000000001",
			"segment": 1, "leaf": "l_1", "lower": "-infinity",
			"upper": "infinity", "is_default": true, "actor": "a"}'
		WHEN 'erase_receipt' THEN '{"environment": "test", "stage": "completed",
			"erasure_id": "00000000-0000-4000-8000-000000000002",
			"cause": "subject", "ledger": "l", "segment": 1, "leaf": "l_1",
			"ledger_id": "00000000-0000-4000-8000-000000000001",
			"columns": [1], "column_names": ["c"], "row_count": 1, "actor": "a"}'
		WHEN 'purge_receipt' THEN '{"environment": "test", "ledger": "l",
			"purge_id": "00000000-0000-4000-8000-000000000002",
			"ledger_id": "00000000-0000-4000-8000-000000000001", "segment": 1,
			"lane": 0, "first_seqs": [1], "last_seqs": [1], "row_count": 1,
			"row_digest": "\\x00", "policy": "p", "reason": "r", "actor": "a"}'
		END;
	columns text;
	message text;
BEGIN
	fine := fine || changes;
	SELECT string_agg(quote_ident(k), ', ') INTO columns
		FROM jsonb_object_keys(fine) AS k;
	EXECUTE format('INSERT INTO llm_audit.%1$I (%2$s) SELECT %2$s
		FROM jsonb_populate_record(NULL::llm_audit.%1$I, $1)', ledger, columns)
		USING fine;
	RETURN 'stored';
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
	RETURN SQLSTATE || ' ' || regexp_replace(message, '_test_\w+', '_test_*');
END
$$;
CREATE FUNCTION pg_temp.try(ledger text, VARIADIC changes text[])
	RETURNS TABLE (change text, result text)
LANGUAGE sql AS $$
	SELECT c, pg_temp.put(ledger, c::jsonb) FROM unnest(changes) AS c
$$;

-- Rows that are fine; two ledgers are written by the access writer only
SELECT ledger, pg_temp.put(ledger, '{}') FROM unnest('{llm_call,llm_content,
	match_token,admin_event,usage_event,settlement,access_log,access_record,
	segment_event,erase_receipt}'::text[]) AS ledger;
SELECT organization_id, utc_offset_minutes, attempt, is_final, masking_status,
		masking_version, pii_found, data_class, currency, recorded_by = session_user AS by_me,
		retain_until - recorded_at > interval '2 years' AS kept
	FROM llm_audit.llm_call;

-- Without a required column
SELECT b.relation_name, a.attname,
		pg_temp.put(b.relation_name, jsonb_build_object(a.attname, NULL))
	FROM builtin AS b JOIN pg_attribute AS a ON a.attrelid = b.root
	WHERE a.attnum > 0 AND a.attnotnull
		AND a.attname NOT IN (SELECT column_name FROM llm_audit.ledger_attributes())
	ORDER BY b.relation_name, a.attname;

-- An environment that does not exist, in each ledger
SELECT b.relation_name, pg_temp.put(b.relation_name, '{"environment": "moon"}')
	FROM builtin AS b;

SELECT * FROM pg_temp.try('llm_call',
	'{"request_id": ""}',
	'{"occurred_at": "infinity"}',
	'{"ended_at": "-infinity"}',
	'{"ended_at": "2026-01-01"}',
	'{"utc_offset_minutes": -1081}',
	'{"utc_offset_minutes": -1080}',
	'{"utc_offset_minutes": 1080}',
	'{"utc_offset_minutes": 1081}',
	'{"source_seq": -1}',
	'{"actor_id": null}',
	'{"actor_type": "robot"}',
	'{"actor_type": "policy"}',
	'{"provider_name": null}',
	'{"request_model": null}',
	'{"provider_name": null, "request_model": null, "status": "blocked"}',
	'{"status": "fine"}',
	'{"status": "cancelled"}',
	'{"http_status": -1}',
	'{"attempt": 0}',
	'{"max_attempts": 0}',
	'{"attempt": 3, "max_attempts": 3, "attempt_kind": "fallback"}',
	'{"attempt_kind": "third"}',
	'{"tool_call_count": -1}');
SELECT * FROM pg_temp.try('llm_call',
	'{"input_tokens": -1}',
	'{"output_tokens": -1}',
	'{"cache_read_input_tokens": -1}',
	'{"cache_creation_input_tokens": -1}',
	'{"reasoning_output_tokens": -1}',
	'{"input_tokens": 0, "output_tokens": 9223372036854775807}',
	'{"duration_ms": -0.001}',
	'{"duration_ms": "NaN"}',
	'{"time_to_first_chunk_ms": -1}',
	'{"time_to_first_chunk_ms": "NaN", "duration_ms": 1}',
	'{"duration_ms": 12.3456}',
	'{"cost": "NaN"}',
	'{"cost": -0.0000000001, "currency": "USD"}',
	'{"cost": 10000000000}',
	'{"currency": "EURO"}',
	'{"data_class": "secret"}',
	'{"data_class": "banking_secrecy"}',
	'{"masking_status": "withheld"}',
	'{"request_params": []}',
	'{"request_params": {"temperature": 0}}',
	'{"cost_breakdown": 1}');
SELECT * FROM pg_temp.try('llm_call',
	'{"step_durations": {}}',
	'{"step_durations": {"received": 0, "authorized": 1.5, "routed": 2, "forwarded": 3, "first_chunk": 4, "completed": 5, "cached": 6, "recorded": 7}}',
	'{"step_durations": {"invented": 1}}',
	'{"step_durations": {"received": -1}}',
	'{"step_durations": {"received": "1"}}',
	'{"step_durations": {"received": [1]}}',
	'{"step_durations": {"received": null}}',
	'{"step_durations": ["received"]}',
	'{"step_durations": 1}',
	'{"guardrails": []}',
	'{"guardrails": [{"status": "success", "name": "pii"}, {"status": "guardrail_intervened"}, {"status": "guardrail_failed_to_respond"}, {"status": "not_run"}]}',
	'{"guardrails": [{"status": "success"}, {"status": "fine"}]}',
	'{"guardrails": [{"name": "pii"}]}',
	'{"guardrails": [{"status": 1}]}',
	'{"guardrails": [["success"]]}',
	'{"guardrails": ["success"]}',
	'{"guardrails": {"status": "success"}}',
	'{"attributes": {"team": {"prompt": "nested keys are not looked at"}}}',
	'{"attributes": {"prompt": "x"}}',
	'{"attributes": {"messages": []}}',
	'{"attributes": {"proxy_server_request": {}}}',
	'{"attributes": {"gen_ai.input.messages": []}}',
	'{"attributes": []}');
-- 8192 bytes and not one more, counted as text and not as stored
SELECT n, pg_temp.put('llm_call', jsonb_build_object('attributes',
		jsonb_build_object('a', repeat('x', n))))
	FROM unnest('{8183,8184}'::int[]) AS n;
SELECT n, pg_temp.put('llm_call', jsonb_build_object('attributes',
		jsonb_build_object('a', repeat('ж', n))))
	FROM unnest('{4091,4092}'::int[]) AS n;

SELECT * FROM pg_temp.try('llm_content',
	'{"request_id": ""}',
	'{"occurred_at": "infinity"}',
	'{"ordinal": -1}',
	'{"message_index": -1}',
	'{"body_bytes": -1}',
	'{"kind": "poem"}',
	'{"kind": "retrieved_context"}',
	'{"data_class": "secret"}');
-- masking sets it by itself
SET llm_audit.masking = off;
SELECT * FROM pg_temp.try('llm_content', '{"pii_counts": 3}');
RESET llm_audit.masking;
SELECT * FROM pg_temp.try('match_token',
	'{"token": ""}',
	'{"request_id": ""}');
SELECT * FROM pg_temp.try('admin_event',
	'{"request_id": ""}',
	'{"occurred_at": "-infinity"}',
	'{"utc_offset_minutes": 1081}',
	'{"source_seq": -1}',
	'{"actor_type": "robot"}',
	'{"outcome": "maybe"}',
	'{"action": "coffee.made"}',
	'{"action": "quota.raised"}',
	'{"action": "quota.raised", "reason": ""}',
	'{"action": "quota.raised", "reason": " \t "}',
	'{"action": "quota.raised", "reason": "\u00a0\u3000\u200b"}',
	'{"action": "quota.raised", "reason": "temporary_quota_raise_for_launch"}',
	'{"action": "quota.updated", "high_risk": false}',
	'{"high_risk": true}',
	'{"high_risk": true, "reason": "customer_requested"}');
SELECT action, category, high_risk, reason FROM llm_audit.admin_event
	WHERE environment = 'test' ORDER BY action COLLATE "C", high_risk;
-- What llm_audit does is recorded by llm_audit; a gateway cannot say it.
CREATE ROLE schema_gateway;
GRANT llm_audit_writer TO schema_gateway;
SET ROLE schema_gateway;
SELECT * FROM pg_temp.try('admin_event',
	'{"action": "ledger.dropped", "reason": "to explain that it is gone"}',
	'{"action": "legal_hold.released", "reason": "never"}',
	'{"action": "disclosure.approved"}',
	'{"action": "disclosure.approved,disclosure.denied"}',
	'{"action": "quota.raised", "reason": "temporary_quota_raise_for_launch"}');
RESET ROLE;
SET llm_audit.allow_unknown_actions = on;
SET ROLE schema_gateway;
SELECT llm_audit.record_admin_event('{"occurred_at": "2026-01-01T00:00:00Z", "actor_id": "me", "actor_type": "service",
	"target_type": "t", "outcome": "success", "environment": "test", "action": "ledger.dropped", "reason": "so"}');
RESET ROLE;
RESET llm_audit.allow_unknown_actions;
DROP ROLE schema_gateway;
-- Each action that a function of llm_audit records is one of those.
SELECT DISTINCT m[1] AS not_reserved FROM pg_proc p, regexp_matches(p.prosrc,
	'record_own_event\(\s*''([a-z_.]+)''', 'g') AS m
	WHERE p.pronamespace = 'llm_audit'::regnamespace AND NOT llm_audit.is_own_action(m[1]);
-- With unknown actions allowed, their form and category are still checked.
SET llm_audit.allow_unknown_actions = on;
SELECT * FROM pg_temp.try('admin_event',
	'{"action": "coffee.made"}',
	'{"action": "coffee.made", "category": "kitchen"}',
	'{"action": "coffee.made", "category": "billing"}',
	'{"action": "make coffee", "category": "billing"}',
	'{"action": "coffee.made", "category": "billing", "high_risk": true}');
RESET llm_audit.allow_unknown_actions;
SELECT * FROM pg_temp.try('usage_event',
	'{"request_id": ""}',
	'{"occurred_at": "infinity"}',
	'{"unit": ""}',
	'{"quantity": -1}',
	'{"quantity": "NaN"}',
	'{"unit_price": "NaN"}',
	'{"cost": "NaN"}',
	'{"cost": -1}',
	'{"actor_type": "robot"}',
	'{"currency": "kzt"}');
SELECT * FROM pg_temp.try('settlement',
	'{"kind": "gift"}',
	'{"kind": "refund", "amount": -1, "original_request_id": "r"}',
	'{"original_request_id": ""}',
	'{"occurred_at": "infinity"}',
	'{"amount": "NaN"}',
	'{"currency": "K"}');
SELECT * FROM pg_temp.try('erase_receipt',
	'{"stage": "begun"}', '{"cause": "whim"}', '{"columns": []}', '{"segment": 0}',
	'{"row_count": -1}', '{"stage": "erased"}', '{"lanes": [0]}',
	'{"stage": "erased", "lanes": [0], "first_seqs": [1], "last_seqs": [2]}',
	'{"stage": "erased", "lanes": [0], "first_seqs": [1], "last_seqs": [2], "transaction_id": 1}',
	'{"lanes": [0], "first_seqs": [1, 2], "last_seqs": [2]}');
SELECT * FROM pg_temp.try('segment_event',
	'{"event": "moved"}',
	'{"segment": 0}',
	'{"row_count": -1}',
	'{"lower": "2026-02-01", "upper": "2026-01-01"}',
	'{"data_classes": ["secret"]}',
	'{"lanes": [0, 1], "first_seqs": [1]}',
	'{"lanes": [0], "first_seqs": [1], "last_seqs": [2], "last_hashes": ["\\x00"]}');

-- Configuration that is changed by hand is an event; what a function of
-- llm_audit changes it records itself, once.
CREATE TEMP TABLE earlier AS SELECT id FROM llm_audit.admin_event;
UPDATE llm_audit.action_type SET high_risk = false WHERE action = 'quota.raised';
UPDATE llm_audit.action_type SET high_risk = false WHERE action = 'quota.raised';
INSERT INTO llm_audit.content_recording VALUES ('*', 'by_hand', true);
DELETE FROM llm_audit.call_source;
INSERT INTO llm_audit.call_source (source_id) VALUES ('by_hand');
UPDATE llm_audit.ledger_column SET erasable = true WHERE column_name = 'unit';
UPDATE llm_audit.ledger SET segment_width = '2 months' WHERE relation_name = 'settlement';
INSERT INTO llm_audit.environment VALUES ('by_hand');
DELETE FROM llm_audit.environment WHERE name = 'by_hand';
DELETE FROM llm_audit.sensitive_relation WHERE relation_name = 'segment_event';
INSERT INTO llm_audit.role_scope (role_name, organizations, environments, services) VALUES ('nobody', '{*}', '{*}', '{*}');
BEGIN;
SET LOCAL llm_audit.restore = on;
INSERT INTO llm_audit.content_recording VALUES ('*', 'restored', true);
COMMIT;
SELECT llm_audit.set_content_recording('*', 'by_function', true, 'to see');
SELECT llm_audit.set_action_type('coffee.made', 'billing', true, 'coffee was made', 'to see');
SELECT llm_audit.set_action_type('coffee.made', 'billing', true, 'coffee was made', ' ');
SELECT llm_audit.set_action_type('coffee.made', 'kitchen', true, 'coffee was made', 'to see');
SELECT action, target_type, coalesce("after" ->> 'operation', 'function') AS operation, high_risk, count(*)
	FROM llm_audit.admin_event WHERE id NOT IN (SELECT id FROM earlier) GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3;
SELECT * FROM llm_audit.verify() WHERE finding <> 'catalog_drift';

-- Plans over many segments are not compiled: each of these would wait for it.
SELECT string_agg(proname, ' ' ORDER BY proname COLLATE "C") AS without_jit FROM pg_proc
	WHERE pronamespace = 'llm_audit'::regnamespace AND 'jit=off' = ANY (proconfig);

\c :origin
DROP DATABASE schema_test WITH (FORCE);
