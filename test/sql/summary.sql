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
-- rights
SET ROLE llm_audit_auditor;
SELECT count(*) FROM llm_audit.usage_summary;
SELECT count(*) > 0 AS some FROM llm_audit.cost_report('-infinity', 'infinity');
SELECT llm_audit.summarise_day('prod', '2020-01-02');
SET ROLE llm_audit_writer;
SELECT count(*) FROM llm_audit.usage_summary;
SELECT count(*) FROM llm_audit.cost_report('-infinity', 'infinity');
RESET ROLE;
\c :origin
DROP DATABASE summary WITH (FORCE);
