-- Roles, scopes and views: who sees what, with two organizations present.
\set ON_ERROR_STOP 1
\set origin :DBNAME
SET client_min_messages = warning;
CREATE DATABASE access_roles TEMPLATE template0 ENCODING 'UTF8';
\c access_roles
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
-- a setting of the session does not count: below, who needs a reason says it
SET llm_audit.reason = '';
SELECT count(*) > 0 AS made FROM llm_audit.setup();

-- a login for each role: of bank A, of bank B, of all, and of none
CREATE FUNCTION public.make_logins() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	task text;
	suffix text;
BEGIN
	FOREACH task IN ARRAY '{member,oncall,developer,service_owner,security,compliance,auditor,approver,writer,admin}'::text[] LOOP
		FOREACH suffix IN ARRAY '{a,b,all,none}'::text[] LOOP
			EXECUTE format('CREATE ROLE %I LOGIN IN ROLE %I', 'la_' || task || '_' || suffix, 'llm_audit_' || task);
			CONTINUE WHEN suffix = 'none' OR task = 'admin';
			PERFORM llm_audit.set_scope(('la_' || task || '_' || suffix)::regrole,
				CASE suffix WHEN 'all' THEN '{*}' ELSE ARRAY['bank-' || suffix] END,
				CASE suffix WHEN 'all' THEN '{*}' ELSE '{prod}' END::text[], '{*}',
				CASE WHEN task = 'member' THEN '{clerk}'::text[] END);
		END LOOP;
	END LOOP;
	CREATE ROLE la_nobody LOGIN;
END
$$;
SELECT public.make_logins();
SELECT llm_audit.set_content_recording('*', '*', true, 'test');

-- one row of every ledger for each bank in prod and test
CREATE FUNCTION public.fill() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(*) FROM (VALUES ('bank-a'), ('bank-b')) AS o (organization),
		(VALUES ('prod'), ('test')) AS e (environment),
		LATERAL (SELECT
			llm_audit.record_call(jsonb_build_object('request_id', organization || '-' || environment,
				'organization_id', organization, 'environment', environment, 'service_name', 'chat',
				'actor_id', 'clerk', 'actor_type', 'human', 'end_user_id', 'eu-1', 'customer_key', 'cu-1',
				'client_address', '10.1.2.3', 'operation_name', 'chat', 'provider_name', 'openai',
				'request_model', 'm', 'status', 'ok', 'occurred_at', now(), 'tokens', jsonb_build_array('test:x'),
				'content', jsonb_build_array(jsonb_build_object('kind', 'prompt', 'body', 'text of ' || organization)))::text),
			llm_audit.record_admin_event(jsonb_build_object('organization_id', organization,
				'environment', environment, 'action', 'quota.exceeded', 'occurred_at', now(), 'actor_id', 'root',
				'actor_type', 'human', 'target_type', 'quota', 'outcome', 'success')::text),
			llm_audit.record_usage(jsonb_build_object('organization_id', organization,
				'environment', environment, 'request_id', organization || '-' || environment, 'unit', 'token', 'occurred_at', now(),
				'quantity', 1, 'cost', 1, 'currency', 'USD')::text),
			llm_audit.record_settlement(jsonb_build_object('organization_id', organization,
				'environment', environment, 'kind', 'charge', 'original_request_id', organization || '-' || environment,
				'amount', 1, 'currency', 'USD')::text)) AS made
$$;
SELECT public.fill();

-- every view as every login: what it shows of which bank and environment
CREATE FUNCTION public.look(login name, relation text, reason text DEFAULT 'test') RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	answer text;
	columns text[];
BEGIN
	columns := ARRAY(SELECT attname FROM pg_attribute WHERE attrelid = relation::regclass AND attnum > 0);
	PERFORM set_config('llm_audit.reason', reason, true);
	EXECUTE format('SET LOCAL SESSION AUTHORIZATION %I', login);
	BEGIN
		EXECUTE format('SELECT coalesce(string_agg(DISTINCT %s, '' ''), ''-'') FROM %s AS v %s',
			CASE WHEN 'organization_id' = ANY (columns) THEN 'organization_id || ''/'' || environment'
				WHEN 'environment' = ANY (columns) THEN 'nullif(environment, '''')'
				ELSE '''rows''' END, relation,
			CASE WHEN 'organization_id' = ANY (columns) THEN 'WHERE organization_id <> ''default'''
				-- refusals are written some time later
				|| CASE WHEN 'refusal' = ANY (columns) THEN ' AND event = ''read''' ELSE '' END ELSE '' END)
			INTO answer;
	EXCEPTION WHEN insufficient_privilege THEN
		answer := CASE WHEN SQLERRM LIKE 'permission denied for %' THEN 'denied' ELSE SQLERRM END;
	END;
	RESET SESSION AUTHORIZATION;
	RETURN answer;
END
$$;
CREATE TABLE public.seen AS
	SELECT v.relname AS view, r.rolname AS login, public.look(r.rolname, 'llm_audit.' || v.relname) AS sees
	FROM pg_class v, pg_roles r
	WHERE v.relkind = 'v' AND v.relnamespace = 'llm_audit'::regnamespace AND v.relname <> 'verify_progress'
		AND r.rolname LIKE 'la\_%';
SELECT count(DISTINCT view) AS views, count(DISTINCT login) AS logins FROM public.seen;
SELECT view, replace(login, 'la_', '') AS login, sees FROM public.seen
	WHERE sees <> 'denied' ORDER BY view COLLATE "C", login COLLATE "C";
-- nobody of one bank sees the other, nor another environment
SELECT * FROM public.seen WHERE login LIKE '%\_a' AND sees ~ 'bank-b|test' OR login LIKE '%\_b' AND sees ~ 'bank-a|test';
-- without a scope nothing that belongs to a bank
SELECT * FROM public.seen WHERE login ~ '_none$|nobody' AND sees ~ 'bank';

-- the tables themselves are for nobody, writers included
SELECT r.rolname, c.relname, x AS may
	FROM pg_class c, pg_roles r, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS x
	WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'llm_audit'::regnamespace
		AND r.rolname LIKE 'la\_%' AND has_table_privilege(r.oid, c.oid, x)
		AND (c.relispartition OR c.relname IN (SELECT relation_name FROM llm_audit.ledger)
			OR c.relname LIKE 'disclosure%')
		AND NOT (r.rolname LIKE 'la\_writer\_%' AND x = 'INSERT' AND NOT c.relispartition
			AND c.relname NOT IN ('access_log', 'access_record'));
SELECT r.login, public.look(r.login, 'llm_audit.llm_call') AS llm_call, public.look(r.login, 'llm_audit.disclosure') AS disclosure
	FROM unnest('{la_writer_all,la_security_all,la_auditor_all,la_nobody}'::name[]) AS r (login);

-- columns that a role must never see
SELECT v.view, c.column_name FROM (VALUES
		('oncall_calls'), ('developer_calls'), ('service_owner_calls'), ('auditor_calls'), ('compliance_calls'), ('oncall_fragments')) AS v (view),
	(VALUES ('actor_id'), ('end_user_id'), ('customer_key'), ('operation_number'), ('client_address'), ('user_agent'),
		('country'), ('api_key_id'), ('body'), ('attributes'), ('known_values'), ('salt'), ('erased')) AS c (column_name)
	WHERE EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = ('llm_audit.' || v.view)::regclass AND a.attname = c.column_name);
SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
	WHERE c.relkind = 'v' AND c.relnamespace = 'llm_audit'::regnamespace AND a.attname IN ('body', 'actor_ip', 'client_address')
	ORDER BY 1, 2;

-- which views need a reason
SELECT string_agg(v.relname, ' ' ORDER BY v.relname COLLATE "C") AS need_a_reason
	FROM pg_class v JOIN llm_audit.builtin_views() b ON b.view_name = v.relname
	WHERE b.needs_reason AND b.readers <> '{}';
\set ON_ERROR_STOP 0
SET SESSION AUTHORIZATION la_security_a;
SELECT count(*) FROM llm_audit.security_calls;
SET llm_audit.reason = 'of the session';
SELECT count(*) FROM llm_audit.security_calls;
SET llm_audit.reason = '';
RESET SESSION AUTHORIZATION;
\set ON_ERROR_STOP 1

-- all are barriers, belong to the views' owner, and say what they are for
SELECT c.relname, c.reloptions, c.relowner::regrole, obj_description(c.oid)
	FROM pg_class c WHERE c.relkind = 'v' AND c.relnamespace = 'llm_audit'::regnamespace AND c.relname <> 'verify_progress'
		AND (c.reloptions IS DISTINCT FROM '{security_barrier=true}' OR c.relowner <> 'llm_audit_view_owner'::regrole
			OR obj_description(c.oid) IS NULL OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid
				AND a.attnum > 0 AND col_description(c.oid, a.attnum) IS NULL));

-- a leaky function is not pushed below the view's conditions
GRANT CREATE ON SCHEMA public TO la_developer_a;
SET SESSION AUTHORIZATION la_developer_a;
CREATE FUNCTION public.leak(value text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
	$$ BEGIN RAISE WARNING 'saw %', value; RETURN true; END $$;
SELECT request_id FROM llm_audit.developer_calls WHERE public.leak(request_id);
SELECT request_id FROM llm_audit.developer_calls WHERE 1 / (organization_id <> 'bank-b')::int = 1;
RESET SESSION AUTHORIZATION;

-- row security asks once per statement: no function in what is asked per row
CREATE FUNCTION public.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS
	$$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query; END $$;
GRANT EXECUTE ON FUNCTION public.plan(text) TO PUBLIC;
SET SESSION AUTHORIZATION la_security_a;
SELECT count(*) FILTER (WHERE line ~ 'Filter: .*environment = ANY \(+(\$|InitPlan)') > 0 AS filters,
		count(*) FILTER (WHERE line ~ 'Filter:' AND line ~ 'llm_audit\.[a-z_]+\(') AS calls_per_row,
		count(*) FILTER (WHERE line ~ 'Index Cond: .*request_id = ''x''') > 0 AS by_index
	FROM public.plan('SELECT * FROM llm_audit.security_calls WHERE request_id = ''x''') AS line;
-- segments of other times are left out
SELECT count(DISTINCT m[1]) FILTER (WHERE m[1] LIKE 'llm_call_prod_2%') AS segments
	FROM public.plan(format('SELECT * FROM llm_audit.security_calls WHERE request_id = ''x'' AND recorded_at >= %L AND recorded_at < %L AND environment = ''prod''',
		date_trunc('month', now() + interval '1 month', 'UTC'), date_trunc('month', now() + interval '2 months', 'UTC'))) AS line,
	regexp_matches(line, 'llm_audit\.(llm_call_\w+)') AS m;
-- pseudonyms are found by hash indexes
SET enable_seqscan = off;
SELECT column_name, (SELECT count(*) > 0 FROM public.plan(format('SELECT * FROM llm_audit.security_calls WHERE %I = ''x'' AND actor_type = ''human''', column_name)) AS line
		WHERE line ~ format('Index Cond: .*%s', column_name)) AS by_index
	FROM unnest('{end_user_id,customer_key,operation_number,actor_id,occurred_at}'::text[]) AS column_name
	WHERE column_name <> 'occurred_at';
RESET enable_seqscan;
RESET SESSION AUTHORIZATION;

-- ---------------- scopes ----------------
\set ON_ERROR_STOP 0
SELECT llm_audit.set_scope('la_nobody', '{}', '{prod}');
SELECT llm_audit.set_scope('la_nobody', '{*,bank-a}', '{prod}');
SELECT llm_audit.set_scope('la_nobody', '{bank-a}', '{nowhere}');
SELECT llm_audit.set_scope('la_nobody', '{bank-a}', NULL);
SELECT llm_audit.set_scope('la_nobody', NULL, NULL);
SELECT llm_audit.set_scope('llm_audit_definer', '{*}', '{*}');
SELECT llm_audit.scope('everything');
SET SESSION AUTHORIZATION la_admin_a;
SELECT llm_audit.set_scope('la_admin_a', '{*}', '{*}');
SELECT llm_audit.set_scope('llm_audit_admin', '{*}', '{*}');
SELECT llm_audit.set_scope('la_admin_b', '{*}', '{prod}');
SELECT count(*) FROM llm_audit.role_scope WHERE role_name = 'la_admin_b';
SELECT llm_audit.set_scope('la_admin_b', NULL, NULL);
INSERT INTO llm_audit.role_scope VALUES ('la_admin_a', '{*}', '{*}');
SET SESSION AUTHORIZATION la_developer_a;
SELECT llm_audit.set_scope('la_developer_a', '{*}', '{*}');
RESET SESSION AUTHORIZATION;
\set ON_ERROR_STOP 1
BEGIN;
SET LOCAL llm_audit.reason = 'test';
SELECT action, target_id, actor_id, reason, "after" - 'actors' AS after FROM llm_audit.admin_event
	WHERE action = 'scope.changed' AND target_id LIKE 'la_admin%' ORDER BY occurred_at;
COMMIT;

-- Two groups: scopes add up where that is exact, and are for their own task.
CREATE ROLE la_group_1 IN ROLE llm_audit_developer;
CREATE ROLE la_group_2 IN ROLE llm_audit_developer;
CREATE ROLE la_group_3 IN ROLE llm_audit_security;
CREATE ROLE la_two LOGIN IN ROLE la_group_1, la_group_2;
CREATE ROLE la_mixed LOGIN IN ROLE la_group_1, la_group_3;
SELECT llm_audit.set_scope('la_group_1', '{bank-a}', '{prod}'), llm_audit.set_scope('la_group_2', '{bank-b}', '{prod}'),
	llm_audit.set_scope('la_group_3', '{bank-b}', '{test}');
SELECT public.look('la_two', 'llm_audit.developer_calls') AS two,
	public.look('la_mixed', 'llm_audit.developer_calls') AS developer, public.look('la_mixed', 'llm_audit.security_calls') AS security;
SELECT llm_audit.set_scope('la_group_2', '{bank-b}', '{test}');
SELECT public.look('la_two', 'llm_audit.developer_calls') AS two;
SET SESSION AUTHORIZATION la_two;
SET ROLE la_group_2;
SELECT request_id FROM llm_audit.developer_calls;
RESET ROLE;
RESET SESSION AUTHORIZATION;
-- a login's own scope holds after SET ROLE
CREATE ROLE la_noinherit LOGIN NOINHERIT IN ROLE llm_audit_developer;
SELECT llm_audit.set_scope('la_noinherit', '{bank-b}', '{prod}');
SET SESSION AUTHORIZATION la_noinherit;
SET ROLE llm_audit_developer;
SELECT request_id FROM llm_audit.developer_calls;
RESET SESSION AUTHORIZATION;
-- a change is in force at once, and so is a membership
SELECT llm_audit.set_scope('la_developer_a', '{bank-b}', '{prod}');
SELECT public.look('la_developer_a', 'llm_audit.developer_calls');
SELECT llm_audit.set_scope('la_developer_a', '{bank-a}', '{prod}');
REVOKE la_group_2 FROM la_two;
SELECT public.look('la_two', 'llm_audit.developer_calls') AS two;
-- a service
SELECT llm_audit.set_scope('la_service_owner_a', '{bank-a}', '{prod}', '{mail}');
SELECT public.look('la_service_owner_a', 'llm_audit.service_owner_calls') AS mail;

-- ---------------- writers ----------------
\set ON_ERROR_STOP 0
CREATE FUNCTION public.write(organization text, environment text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO llm_audit.llm_call (request_id, occurred_at, environment, organization_id, service_name,
			actor_id, actor_type, operation_name, provider_name, request_model, status)
		VALUES ('w', now(), environment, organization, 's', 'a', 'service', 'chat', 'p', 'm', 'ok');
	RETURN 'written';
EXCEPTION WHEN insufficient_privilege THEN
	RETURN SQLERRM;
END
$$;
SET SESSION AUTHORIZATION la_writer_a;
SELECT public.write('bank-a', 'prod'), public.write('bank-b', 'prod'), public.write('bank-a', 'test');
SELECT public.write('bank-a', 'prod') FROM generate_series(1, 2);
SELECT count(*) FROM llm_audit.llm_call;
SELECT request_id FROM llm_audit.oncall_calls;
INSERT INTO llm_audit.llm_call (request_id, occurred_at, environment, organization_id, service_name,
		actor_id, actor_type, operation_name, provider_name, request_model, status)
	VALUES ('w', now(), 'prod', 'bank-a', 's', 'a', 'service', 'chat', 'p', 'm', 'ok') RETURNING id;
INSERT INTO llm_audit.access_log (environment) VALUES ('prod');
SELECT result, message FROM llm_audit.record_calls('{"request_id": "w2", "environment": "prod", "organization_id": "bank-b",
	"service_name": "s", "actor_id": "a", "actor_type": "service", "operation_name": "chat", "provider_name": "p",
	"request_model": "m", "status": "ok", "occurred_at": "2026-01-01T00:00:00Z"}', NULL, 'report');
SET SESSION AUTHORIZATION la_writer_all;
SELECT public.write('bank-b', 'test');
SET SESSION AUTHORIZATION la_writer_none;
SELECT public.write('bank-b', 'test') AS no_scope_is_no_limit;
RESET SESSION AUTHORIZATION;
\set ON_ERROR_STOP 1

-- ---------------- from a request to its money ----------------
WITH approved AS (SELECT llm_audit.uuid7() AS event, llm_audit.uuid7() AS charge)
	SELECT llm_audit.record_admin_event(jsonb_build_object('id', event, 'organization_id', 'bank-a',
			'environment', 'prod', 'action', 'refund.issued', 'occurred_at', now(), 'actor_id', 'root',
			'actor_type', 'human', 'target_type', 'settlement', 'reason', 'a complaint', 'outcome', 'success')::text) IS NOT NULL AS event,
		llm_audit.record_settlement(jsonb_build_object('id', charge, 'organization_id', 'bank-a',
			'environment', 'prod', 'kind', 'charge', 'original_request_id', 'bank-a-prod',
			'amount', 2, 'currency', 'USD')::text) IS NOT NULL AS charge,
		llm_audit.record_settlement(jsonb_build_object('organization_id', 'bank-a',
			'environment', 'prod', 'kind', 'refund', 'corrects_id', charge, 'approving_event_id', event,
			'amount', -2, 'currency', 'USD')::text) IS NOT NULL AS refund
	FROM approved;
CREATE FUNCTION public.trail(login name, request text, why text DEFAULT 'test') RETURNS SETOF text
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('llm_audit.reason', why, true);
	EXECUTE format('SET LOCAL SESSION AUTHORIZATION %I', login);
	RETURN QUERY SELECT format('%s %s %s %s %s %s', t.step, t.what, t.amount, t.currency,
			t.refers_to IS NOT NULL, octet_length(t.row_hash))
		FROM llm_audit.billing_trail(request) t;
	RESET SESSION AUTHORIZATION;
END
$$;
SELECT * FROM public.trail('la_auditor_a', 'bank-a-prod');
SELECT count(*) AS of_another_bank FROM public.trail('la_auditor_a', 'bank-b-prod');
SELECT count(*) AS of_another_environment FROM public.trail('la_auditor_a', 'bank-a-test');
SELECT count(*) > 0 AS of_every_bank FROM public.trail('la_auditor_all', 'bank-b-test');
\set ON_ERROR_STOP 0
SELECT * FROM public.trail('la_auditor_a', 'bank-a-prod', '');
SELECT * FROM public.trail('la_oncall_a', 'bank-a-prod');
SELECT * FROM public.trail('la_auditor_a', NULL);
\set ON_ERROR_STOP 1

-- ---------------- catalogs ----------------
SELECT count(*) AS ledgers, bool_and(relrowsecurity AND relforcerowsecurity) AS forced
	FROM pg_class c JOIN llm_audit.ledger l ON l.builtin AND c.oid = ('llm_audit.' || l.relation_name)::regclass;
SELECT finding, detail FROM llm_audit.verify();
BEGIN;
CREATE POLICY llm_audit_more ON llm_audit.llm_call TO llm_audit_view_owner USING (true);
CREATE OR REPLACE VIEW llm_audit.compliance_recording WITH (security_barrier) AS
	SELECT environment, service_name, enabled FROM llm_audit.content_recording;
GRANT SELECT ON llm_audit.security_calls TO la_nobody;
GRANT UPDATE ON llm_audit.my_disclosures TO llm_audit_developer;
SELECT finding, detail FROM llm_audit.verify() ORDER BY 2;
ROLLBACK;
DROP VIEW llm_audit.auditor_usage;
SELECT finding, detail FROM llm_audit.verify() ORDER BY 2;
SELECT * FROM llm_audit.setup();
SELECT finding, detail FROM llm_audit.verify() ORDER BY 2;

\c :origin
SET client_min_messages = warning;
DROP DATABASE access_roles WITH (FORCE);
SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE rolname LIKE 'la\_%' ORDER BY oid \gexec
