-- Recording: record_call, record_calls and the others, as a writer.
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
CREATE DATABASE record TEMPLATE template0 ENCODING 'UTF8';
\c record
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();
CREATE ROLE record_gateway LOGIN IN ROLE llm_audit_writer;
SELECT llm_audit.set_content_recording('test', '*', true, 'test');
\set ON_ERROR_STOP 0
\set defaults '{"environment":"test","service_name":"svc","actor_id":"job-1","actor_type":"job","operation_name":"chat","provider_name":"p","request_model":"m","status":"ok"}'

-- what each test looks at
CREATE VIEW call AS SELECT * FROM llm_audit.llm_call ORDER BY recorded_at, chain_seq;
CREATE VIEW fragment AS
	SELECT c.request_id, t.ordinal, t.kind, t.role, t.content_type,
		left(t.body, 30) AS body, t.body_bytes
	FROM llm_audit.llm_content t JOIN llm_audit.llm_call c ON c.id = t.call_id
	ORDER BY c.request_id, t.ordinal;

SET ROLE record_gateway;

-- one call with all that goes with it
SELECT llm_audit.record_call('{"id":"01930000-0000-7000-8000-000000000001",
	"request_id":"r1", "occurred_at":"2026-07-01T12:00:00.123456Z",
	"time_zone":"Asia/Almaty", "input_tokens":12, "cost":"0.000225000000000000002",
	"currency":"USD", "finish_reasons":["stop","length"], "cache_hit":false,
	"client_address":"10.1.2.3", "http_status":200,
	"request_params":{"temperature":0.5},
	"content":["hello \u0000 \ud800", {"role":"assistant","body":"hi"}],
	"tokens":["k1:a",{"token":"k1:b","entity":"IBAN_CODE"}],
	"usage":[{"unit":"input_token","quantity":12,"cost":0.1,"currency":"USD"}],
	"tool_calls":[{"tool_name":"search","tool_call_id":"t1"}],
	"attributes":{"colour":"red","messages":[{"role":"user","content":"smuggled"}]},
	"shape":{"sides":3,"prompt":"hidden"}}', :'defaults');
-- a writer cannot read
SELECT count(*) FROM llm_audit.llm_call;
RESET ROLE;
SELECT request_id, occurred_at, time_zone, utc_offset_minutes, environment,
	recorded_by = session_user AS recorded_by, actor_type, cost, finish_reasons, cache_hit, client_address,
	request_params, attributes, masking_status, tool_name, tool_call_id,
	(parent_span_id IS NOT NULL) AS hangs, length(span_id) AS span
	FROM call WHERE request_id = 'r1' ORDER BY tool_name NULLS FIRST \gx
SELECT * FROM fragment WHERE request_id = 'r1';
SELECT token, entity, request_id FROM llm_audit.match_token ORDER BY token;
SELECT unit, quantity, cost, request_id, occurred_at FROM llm_audit.usage_event;

-- what is refused, and how it is said: keys only, never values
SET ROLE record_gateway;
SELECT llm_audit.record_call('{"request_id":"x"');
SELECT llm_audit.record_call('"x"');
SELECT llm_audit.record_call('{"request_id":"x"}', '{"environment":');
SELECT llm_audit.record_call('{"request_id":"x"}', '[]');
SELECT llm_audit.record_call('{"request_id":"x"}', '{"nonsense":1}');
SELECT llm_audit.record_call('{"request_id":"x"}', '{"row_hash":"x"}');
SELECT llm_audit.record_call('{"request_id":"x"}', '{"request_params":{}}');
SELECT llm_audit.record_call(NULL);
SELECT llm_audit.record_call('{"request_id":"x"}', '{"environment":"test"}');
SELECT llm_audit.record_call('{"environment":"secret"}', :'defaults');
SELECT llm_audit.record_call('{"input_tokens":"secret"}', :'defaults');
SELECT llm_audit.record_call('{"input_tokens":1.5}', :'defaults');
SELECT llm_audit.record_call('{"tokens":["secret"]}', :'defaults');
SELECT llm_audit.record_call('{"service_name":"card 4403123412344298"}', :'defaults');
SELECT llm_audit.record_call('{"attempt":70000}', :'defaults');
SELECT llm_audit.record_call('{"cost":1e11,"currency":"USD"}', :'defaults');
SELECT llm_audit.record_call('{"cost":"NaN","currency":"USD"}', :'defaults');
SELECT llm_audit.record_call('{"currency":"USDT"}', :'defaults');
SELECT llm_audit.record_call('{"occurred_at":"secret"}', :'defaults');
SELECT llm_audit.record_call('{"occurred_at":"infinity"}', :'defaults');
SELECT llm_audit.record_call('{"time_zone":"secret"}', :'defaults');
SELECT llm_audit.record_call('{"id":"secret"}', :'defaults');
SELECT llm_audit.record_call('{"client_address":"secret"}', :'defaults');
SELECT llm_audit.record_call('{"is_stream":"secret"}', :'defaults');
SELECT llm_audit.record_call('{"finish_reasons":[["secret"]]}', :'defaults');
SELECT llm_audit.record_call('{"status":"secret"}', :'defaults');
SELECT llm_audit.record_call('{"chain_seq":1}', :'defaults');
SELECT llm_audit.record_call('{"attributes":"secret"}', :'defaults');
SELECT llm_audit.record_call('{"content":[{"kind":"secret","body":"x"}]}', :'defaults');
SELECT llm_audit.record_call('{"content":[{"secret key\n":1}]}', :'defaults');
SELECT llm_audit.record_call('{"api_key_id":"sk-0123456789abcdefghijklmn"}', :'defaults');
SELECT * FROM llm_audit.record_calls('{}', :'defaults', 'perhaps');
SELECT * FROM llm_audit.record_rows() AS r (a int);
RESET ROLE;
SELECT count(*) FROM llm_audit.llm_call WHERE request_id IS DISTINCT FROM 'r1';

-- every line has a fate
SET ROLE record_gateway;
SELECT line, id IS NOT NULL AS has_id, result, sqlstate, message
FROM llm_audit.record_calls(E'{"id":"01930000-0000-7000-8000-000000000002","request_id":"r2","content":["once"]}\n\n'
	'{"request_id":"r3"}\r\n'
	'{"request_id":"broken"\n'
	'{"id":"01930000-0000-7000-8000-000000000002","request_id":"r2","content":["once"]}\n'
	'{"id":"01930000-0000-7000-8000-000000000002","request_id":"r2","input_tokens":7}\n'
	'{"request_id":"bad","status":"secret"}\n'
	'{"request_id":"bad","environment":"secret"}\n'
	'   \n'
	'{"request_id":"r4","content":[{"role":"user","body":' || repeat('[', 10000)
	|| repeat(']', 10000) || E'},"text after"]}\n'
	'[1]\n'
	'{"request_id":"r5"}', :'defaults', 'report');
-- the same ones again: nothing new but what has no id
SELECT line, result FROM llm_audit.record_calls(
	'[{"id":"01930000-0000-7000-8000-000000000002","request_id":"r2"},
	  {"id":"01930000-0000-7000-8000-000000000001","request_id":"r2"},
	  {"id":"01930000-0000-7000-8000-000000000003","request_id":"r6",
	   "tokens":["k1:c"]}]', :'defaults', 'report');
SELECT line, result FROM llm_audit.record_calls(
	'{
		"id": "01930000-0000-7000-8000-000000000003",
		"request_id": "r6",
		"tokens": ["k1:c"]
	}', :'defaults', 'report');
SELECT llm_audit.record_call('{"id":"01930000-0000-7000-8000-000000000003",
	"request_id":"r6"}', :'defaults');
SELECT llm_audit.record_call('{"id":"01930000-0000-7000-8000-000000000003",
	"request_id":"other"}', :'defaults');
-- abort names the line and stores nothing
SELECT line, result FROM llm_audit.record_calls(E'{"request_id":"r7"}\n'
	'{"request_id":"r8","status":"secret"}\n{"request_id":"r9"}', :'defaults');
SELECT line, result FROM llm_audit.record_calls(E'{"request_id":"r7"}\n'
	'{"request_id":"r8","cost":"secret"}', :'defaults', 'abort');
SELECT * FROM llm_audit.record_calls(E'\n \n', :'defaults');
SELECT * FROM llm_audit.record_calls('[]', :'defaults');
SELECT line, result, message FROM llm_audit.record_calls('[{"a":1},', :'defaults', 'report');
RESET ROLE;
SELECT request_id, count(*), min(masking_status) AS masking_status
	FROM llm_audit.llm_call GROUP BY request_id ORDER BY request_id;
SELECT * FROM fragment WHERE request_id IN ('r2', 'r4');
SELECT count(*) FROM llm_audit.match_token WHERE token = 'k1:c';

-- no line is lost among 300, wherever the bad ones are
SET ROLE record_gateway;
SELECT result, count(*), array_agg(line ORDER BY line) FILTER (WHERE result = 'refused')
FROM llm_audit.record_calls((SELECT string_agg(format('{"request_id":"b%s","status":"%s","content":["x"]}',
		i, CASE WHEN i IN (1, 77, 150, 151, 300) THEN 'bad' ELSE 'ok' END), E'\n' ORDER BY i)
	FROM generate_series(1, 300) AS i), :'defaults', 'report')
GROUP BY result ORDER BY result;
RESET ROLE;
SELECT count(*) FROM llm_audit.llm_call WHERE request_id LIKE 'b%';
SELECT count(*) FROM fragment WHERE request_id LIKE 'b%';

-- local time
SET ROLE record_gateway;
SET timezone = 'America/New_York';
SELECT count(*) FROM llm_audit.record_calls(E'
{"request_id":"z1","occurred_at":"2026-07-01 12:00:00"}
{"request_id":"z2","occurred_at":"2026-01-01 12:00:00","time_zone":"Europe/Berlin"}
{"request_id":"z3","occurred_at":"2026-07-01 12:00:00","time_zone":"Europe/Berlin","ended_at":"2026-07-01 12:00:05"}
{"request_id":"z4","occurred_at":"2026-07-01T12:00:00+05:30"}
{"request_id":"z5","occurred_at":"2026-07-01T12:00:00Z","utc_offset_minutes":120}
{"request_id":"z6","occurred_at":1782907200.5}
', :'defaults');
SELECT count(*) FROM llm_audit.record_calls(E'
{"request_id":"z7","occurred_at":"2026-07-01 12:00:00"}
{"request_id":"z8","occurred_at":"2026-07-01T12:00:00+05:30"}
{"request_id":"z9","occurred_at":"2026-07-01T12:00:00Z"}
', (:'defaults'::jsonb || '{"time_zone":"Asia/Tokyo"}')::text);
RESET timezone;
RESET ROLE;
SELECT request_id, occurred_at AT TIME ZONE 'UTC' AS utc, time_zone,
	utc_offset_minutes, ended_at - occurred_at AS took
	FROM llm_audit.llm_call WHERE request_id LIKE 'z%' ORDER BY request_id;

-- other formats; what they lack comes from the defaults
SET ROLE record_gateway;
SELECT line, result FROM llm_audit.record_calls(E'
{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"otel-svc"}},{"key":"deployment.environment.name","value":{"stringValue":"staging"}}]},"scopeSpans":[{"spans":[{"traceId":"t1","spanId":"s1","name":"chat","startTimeUnixNano":"1782907200000000000","endTimeUnixNano":"1782907201500000000","attributes":[{"key":"gen_ai.request.model","value":{"stringValue":"m1"}},{"key":"gen_ai.usage.input_tokens","value":{"intValue":"3"}}]},{"traceId":"t1","spanId":"s2","parentSpanId":"s1","attributes":[{"key":"gen_ai.tool.name","value":{"stringValue":"search"}}]}]}]}]}
{"gen_ai.operation.name":"chat","gen_ai.provider.name":"openai","gen_ai.request.model":"m2","gen_ai.input.messages":[{"role":"user","parts":[{"type":"text","content":"otel prompt"}]}]}
{"id":"resp-1","litellm_call_id":"lite-1","call_type":"acompletion","startTime":"2026-07-01 10:00:00","endTime":"2026-07-01 10:00:02","response_cost":0.002,"model":"m3","custom_llm_provider":"azure","status":"success","prompt_tokens":5,"completion_tokens":7,"messages":[{"role":"user","content":"lite prompt"}],"response":{"choices":[{"message":{"role":"assistant","content":"lite answer"}}]},"metadata":{"user_api_key_alias":"lite-key"}}
{"request_id":"resp-2","call_type":"aembedding","startTime":"2026-07-01 10:00:00","spend":0.1,"model":"m4","metadata":"{\\"requester_ip_address\\":\\"not an address\\"}","messages":"{}","response":"{}"}
{"method":"POST","uri":"https://api.openai.com/v1/chat/completions","status":429,"request":{"model":"m5","messages":[{"role":"user","content":"raw prompt"}]},"response":{"error":{"type":"rate_limit","code":"limit","message":"slow down"}},"request_headers":{"authorization":"Bearer sk-1"},"response_headers":{}}
{"method":"GET","uri":"http://localhost:8000/health","status":200,"request":null,"response":""}
', '{"environment":"test"}', 'report');
RESET ROLE;
SELECT service_name, operation_name, provider_name, request_model, status, actor_id,
	input_tokens, cost, duration_ms, span_id, parent_span_id, error_code, http_status,
	client_address, request_id LIKE 'gen-%' AS generated, response_id, attributes
	FROM call WHERE service_name IN ('otel-svc', 'unknown', 'litellm', 'gateway') \gx
SELECT kind, role, body FROM llm_audit.llm_content WHERE service_name IN ('otel-svc', 'unknown', 'litellm', 'gateway')
	ORDER BY recorded_at, chain_seq;

-- content only where it is recorded; the more specific row wins
SELECT llm_audit.set_content_recording('test', 'quiet', false, 'test');
SELECT llm_audit.set_content_recording('*', 'loud', true, 'test');
SELECT llm_audit.set_content_recording('nowhere', '*', true, 'test');
SELECT llm_audit.set_content_recording('test', 'x', true, ' ');
SET ROLE record_gateway;
SELECT llm_audit.set_content_recording('test', 'x', true, 'not mine');
SELECT count(*) FROM llm_audit.record_calls(E'{"request_id":"q1","service_name":"quiet"}\n'
	'{"request_id":"q2","service_name":"loud","environment":"prod","content":["x"]}\n'
	'{"request_id":"q3","service_name":"quiet","content":["x"]}\n'
	'{"request_id":"q4","environment":"prod","content":["x"]}\n'
	'{"request_id":"q5","content":["x"]}', :'defaults');
RESET ROLE;
SELECT request_id FROM fragment WHERE request_id LIKE 'q%';
SELECT action, category, target_id, after, reason FROM llm_audit.admin_event
	WHERE action = 'content_recording.changed' ORDER BY recorded_at, chain_seq;

-- the control plane and billing
SET ROLE record_gateway;
SELECT llm_audit.record_admin_event('{"id":"01930000-0000-7000-8000-00000000000a",
	"action":"quota.raised","actor_id":"alice","actor_type":"human",
	"target_type":"quota","target_id":"q1","before":{"limit":1},"after":{"limit":2},
	"reason":"launch","outcome":"success","occurred_at":"2026-07-01T00:00:00Z"}', :'defaults');
SELECT llm_audit.record_admin_event('{"action":"quota.raised","colour":1}', :'defaults');
SELECT llm_audit.record_admin_event('{"id":"audit-1","type":"api_key.created",
	"effective_at":1782907200,"actor":{"type":"session","session":{"user":{"id":"u1"},
	"ip_address":"10.0.0.1"}},"api_key.created":{"id":"key_1","data":{"scopes":["a"],
	"secret":"s3cr3t"}}}', '{"environment":"test","reason":"imported"}') IS NOT NULL AS recorded;
SELECT llm_audit.record_usage('{"request_id":"r1","unit":"output_token","quantity":3,
	"cost":0.01,"currency":"USD","occurred_at":"2026-07-01T00:00:00Z"}', :'defaults') IS NOT NULL AS recorded;
SELECT llm_audit.record_usage('{"request_id":"r1"}', :'defaults');
SELECT llm_audit.record_settlement('{"kind":"refund","original_request_id":"r1",
	"amount":-0.01,"currency":"USD","reason":"outage"}', :'defaults') IS NOT NULL AS recorded;
SELECT llm_audit.record_settlement('{"kind":"gift","amount":1,"currency":"USD"}', :'defaults');
RESET ROLE;
SELECT action, category, actor_id, actor_type, target_type, target_id, before, after,
	outcome, occurred_at AT TIME ZONE 'UTC' AS utc
	FROM llm_audit.admin_event WHERE environment = 'test'
	ORDER BY recorded_at, chain_seq \gx
SELECT kind, amount, reason FROM llm_audit.settlement;
SELECT unit, quantity FROM llm_audit.usage_event ORDER BY unit;

-- entry points and gaps
SELECT llm_audit.register_source('gw-1', 'svc', 'chat', 'team', '1 hour');
SELECT llm_audit.register_source('gw-2', 'svc', 'batch', 'team', NULL);
SELECT llm_audit.register_source('gw-2', 'svc', 'batch', 'team-2', '1 day');
SELECT source_id, owner, expect_every FROM llm_audit.call_source ORDER BY 1;
SET ROLE record_gateway;
SELECT llm_audit.register_source('gw-3', 'svc', 'chat', 'me', NULL);
SELECT count(*) FROM llm_audit.record_calls((SELECT string_agg(format(
		'{"source_id":"gw-1","source_epoch":"%s","source_seq":%s}', e, n), E'\n')
	FROM (VALUES ('a', 1), ('a', 2), ('a', 5), ('a', 6), ('a', 9), ('b', 1), ('b', 1), ('b', 3)) AS v (e, n)),
	:'defaults');
SELECT * FROM llm_audit.gap_report('-infinity', 'infinity');
RESET ROLE;
SELECT source_id, source_epoch, first_missing, last_missing, silent_since IS NOT NULL AS silent
	FROM llm_audit.gap_report(now() - interval '1 hour', now() + interval '1 hour');
SELECT source_id, source_epoch, first_missing, last_missing, silent_since IS NOT NULL AS silent
	FROM llm_audit.gap_report(now() - interval '2 hours', now() + interval '2 hours')
	WHERE first_missing IS NULL;

-- all of it is chained
SELECT count(*) FROM llm_audit.verify();
\c postgres
SET client_min_messages = warning;
DROP DATABASE record WITH (FORCE);
DROP ROLE record_gateway;
