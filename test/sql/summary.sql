-- usage_summary and cost_report().
\set VERBOSITY terse
\set origin :DBNAME
CREATE DATABASE summary TEMPLATE template0 ENCODING 'UTF8';
\c summary
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();
-- Calls of yesterday cannot be recorded today; the clock of the summary is
-- moved instead: what it asks is a function of ours.
CREATE FUNCTION calls(n int, organization text, model text, status text, cost numeric, actor text) RETURNS void
LANGUAGE sql AS $$
	INSERT INTO llm_audit.llm_call (request_id, occurred_at, environment, service_name, organization_id, actor_id,
			actor_type, operation_name, provider_name, request_model, status, project_id, duration_ms,
			input_tokens, output_tokens, cost, currency, limit_id)
		SELECT 'req-' || i, now(), 'prod', 'gateway', organization, actor, 'human', 'chat', 'openai', model, status,
			'project-' || i % 2, 100 * i, 10, 20, cost, 'USD', CASE WHEN status = 'blocked' THEN 'rpm' END
		FROM generate_series(1, n) i
$$;
SELECT calls(10, 'bank', 'gpt-4o', 'ok', 0.5, 'ann'), calls(5, 'bank', 'gpt-4o', 'error', 0.5, 'bob'),
	calls(4, 'bank', 'o1', 'ok', 1, 'ann'), calls(2, 'bank', 'o3', 'blocked', NULL, 'bob'),
	calls(2, 'shop', 'gpt-4o', 'ok', 0.5, 'eve'), calls(1, 'mill', 'gpt-4o', 'timeout', 0.5, 'kim');
SELECT llm_audit.summarise_day('prod', (clock_timestamp() AT TIME ZONE 'UTC')::date);
SELECT llm_audit.summarise_day('prod', NULL);
SELECT llm_audit.summarise_day('nowhere', '2020-01-01');
SELECT llm_audit.summarise_day('prod', '2020-01-01');
SELECT environment, day, final, calls FROM llm_audit.summarised_day;
SELECT count(*) AS summaries FROM llm_audit.usage_summary;
SELECT organization_id, project_id, actor_type, actor_id = (llm_audit.pseudonym(who, 'actor_id'))[1] AS by_pseudonym,
		currency, calls, input_tokens, output_tokens, cost
	FROM llm_audit.cost_report(now() - interval '1 day', now() + interval '1 day'),
		LATERAL (SELECT w FROM unnest('{ann,bob,eve,kim}'::text[]) w
			WHERE actor_id = (llm_audit.pseudonym(w, 'actor_id'))[1]) AS p (who)
	ORDER BY organization_id, project_id, who;
SELECT count(*) FROM llm_audit.cost_report(now() + interval '1 day', now() + interval '2 days');
-- a period of their own
SELECT llm_audit.set_summary_period('prod', '100 days', true, 'x');
SELECT llm_audit.set_summary_period('nowhere', '10 years', true, 'x');
SELECT llm_audit.set_summary_period('prod', '12 years');
SELECT llm_audit.set_summary_period('prod', '12 years', bypass => true);
SELECT llm_audit.set_summary_period('prod', '12 years', bypass => true, reason => 'plan of records');
INSERT INTO llm_audit.summarised_day (environment, day, final, calls)
	SELECT e, d::date, d < timestamp '2010-02-01', 7 FROM unnest('{prod,test}'::text[]) e,
		generate_series(timestamp '2010-01-01', timestamp '2010-02-02', interval '1 day') d;
INSERT INTO llm_audit.usage_summary (environment, day, organization_id, service_name, provider_name, request_model,
		route_id, currency, calls, errors, blocked, limits_hit, cache_hits)
	SELECT environment, day, 'bank', 's', 'p', 'm', '', '', calls, 0, 0, 0, 0 FROM llm_audit.summarised_day WHERE day >= '2010-01-01';
SELECT llm_audit.place_hold('C-1', 'court', '{"organization_id": "bank", "occurred_from": "2010-01-10T12:00:00Z", "occurred_to": "2010-01-11T12:00:00Z"}') AS hold \gset
SELECT environment, count(*), min(day), max(day) FROM llm_audit.expired_summaries() GROUP BY 1;
CALL llm_audit.run_maintenance('{expire}');
SELECT environment, day FROM llm_audit.usage_summary WHERE environment = 'prod' ORDER BY day;
SELECT count(*) AS of_test FROM llm_audit.usage_summary WHERE environment = 'test';
SELECT llm_audit.release_hold(:'hold', 'closed');
SELECT llm_audit.expire_summaries();
SELECT llm_audit.expire_summaries() AS again, count(*) AS left_open FROM llm_audit.usage_summary WHERE environment = 'prod';
SELECT count(*) AS still_known, count(expired_at) AS expired FROM llm_audit.summarised_day WHERE environment = 'prod' AND day >= '2010-01-01';
SELECT count(*) AS asked_for_again FROM llm_audit.days_to_summarise() d WHERE d.day < '2011-01-01' AND d.environment = 'prod';
-- calls that are kept longer from now on keep their days
SELECT llm_audit.set_retention('llm_audit.llm_call', 'test', NULL, '20 years');
SELECT llm_audit.set_summary_period('test', '12 years', true, 'x');
BEGIN;
SET LOCAL llm_audit.reason = 'tests';
SELECT action, "after" - 'row' AS what FROM llm_audit.admin_event
	WHERE target_id = 'llm_audit.usage_summary' OR action IN ('usage_summary.expired', 'setting.changed') ORDER BY recorded_at, id;
COMMIT;
-- by hand it is an event, too
UPDATE llm_audit.environment SET summary_period = '13 years' WHERE name = 'pilot';
BEGIN;
SET LOCAL llm_audit.reason = 'tests';
SELECT action, "after" -> 'by_hand' AS by_hand FROM llm_audit.admin_event WHERE action = 'setting.changed' ORDER BY recorded_at, id;
COMMIT;
-- rights
SET ROLE llm_audit_admin;
SELECT llm_audit.set_summary_period('prod', '14 years');
SELECT llm_audit.expire_summaries();
RESET ROLE;
SET ROLE llm_audit_auditor;
SELECT llm_audit.set_summary_period('prod', '15 years');
SELECT count(*) FROM llm_audit.usage_summary;
SELECT count(*) > 0 AS some FROM llm_audit.cost_report('-infinity', 'infinity');
SELECT llm_audit.summarise_day('prod', '2020-01-02');
SET ROLE llm_audit_writer;
SELECT count(*) FROM llm_audit.usage_summary;
SELECT count(*) FROM llm_audit.cost_report('-infinity', 'infinity');
RESET ROLE;
\c :origin
DROP DATABASE summary WITH (FORCE);
