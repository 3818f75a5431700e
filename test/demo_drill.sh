# demo_drill.sh
#	  The drill of test/demo: three requests (failed, successful, with personal
#	  data), three roles (developer, security, audit), two questions each (what
#	  happened, who may see the details), answered through the views; at the
#	  end the access log of exactly these queries.

# As LOGIN STATEMENT: shows a statement as that login, with a reason, and
# counts it.
As()
{
	printf '%s\n' "$2" | sed "s/^/    $1> /"
	{
		printf "BEGIN;\nSET LOCAL llm_audit.reason = 'drill: INC-2026-17';\n"
		printf '%s\nCOMMIT;\n' "$2"
	} | PGOPTIONS= PGAPPNAME=drill Sql -U "$1" -P footer=off || Fail "this statement should have succeeded"
	asked=$((asked + 1))
}

# The three requests, as the gateway records them.
DrillCalls()
{
	PGOPTIONS= Sql -U gateway -At <<-'SQL' || Fail "cannot record the calls of the drill"
		SELECT count(*) || ' calls recorded' FROM llm_audit.record_calls('
		{"request_id": "drill-failed", "occurred_at": "2026-01-05T15:00:00.100+05:00", "status": "error", "http_status": 429, "error_code": "rate_limit", "error_message": "too many tokens per minute", "attempt": 1, "attempt_kind": "first", "is_final": false, "limit_id": "tpm-90k", "limit_scope": "organization", "duration_ms": 41}
		{"request_id": "drill-failed", "occurred_at": "2026-01-05T15:00:01.200+05:00", "status": "timeout", "error_code": "deadline", "request_model": "gpt-4o-mini", "attempt": 2, "attempt_kind": "fallback", "fallback_from_model": "gpt-4o", "duration_ms": 30000}
		{"request_id": "drill-ok", "occurred_at": "2026-01-05T15:02:10.000+05:00", "status": "ok", "http_status": 200, "response_model": "gpt-4o-2026-01-05", "input_tokens": 812, "output_tokens": 96, "cost": "0.0031", "currency": "USD", "duration_ms": 934, "content": [{"kind": "prompt", "body": "Summarise the tariff for a deposit."}, {"kind": "response", "body": "The rate is fixed for a year."}]}
		{"request_id": "drill-personal", "occurred_at": "2026-01-05T15:07:31.500+05:00", "status": "ok", "http_status": 200, "actor_id": "teller-12", "actor_type": "human", "customer_key": "client-4711", "operation_number": "loan-17", "data_class": "personal", "duration_ms": 1210, "content": [{"kind": "prompt", "body": "Client asks why the loan was refused."}, {"kind": "response", "body": "The income was not confirmed."}]}',
		'{"environment": "prod", "organization_id": "demo-bank", "service_name": "branch-chat", "time_zone": "Asia/Almaty",
		  "actor_id": "branch-assistant", "actor_type": "service",
		  "api_key_id": "key-branch", "client_address": "10.20.30.40", "operation_name": "chat", "provider_name": "openai",
		  "request_model": "gpt-4o", "route_id": "default", "route_version": "17", "prompt_id": "branch", "prompt_version": "42"}');
	SQL
}

# Two questions to each of three roles.
DrillQuestions()
{
	Step "Developer: what happened?"
	As dana "SELECT request_id, attempt, request_model, route_version AS route, prompt_version AS prompt, status,
       error_code, limit_id, duration_ms AS ms, input_tokens AS tokens
  FROM llm_audit.developer_calls WHERE request_id IN ('drill-failed', 'drill-ok', 'drill-personal')
 ORDER BY request_id, attempt;"
	Step "Developer: who may see the details?"
	As dana "SELECT * FROM llm_audit.who_may_see('drill-failed');"

	Step "Security: what happened?"
	As sara "SELECT request_id, attempt, actor_type, actor_id, api_key_id, client_address, status, data_class, customer_key
  FROM llm_audit.security_calls WHERE request_id IN ('drill-failed', 'drill-ok', 'drill-personal')
 ORDER BY request_id, attempt;"
	Step "Security: who may see the details?"
	As sara "SELECT * FROM llm_audit.who_may_see('drill-ok');"

	Step "Audit: what happened?"
	As aida "SELECT request_id, attempt, local_time, status, masking_status, data_class, retain_until::date,
       chain_lane AS lane, chain_seq AS seq, left(encode(row_hash, 'hex'), 12) AS hash
  FROM llm_audit.auditor_calls WHERE request_id IN ('drill-failed', 'drill-ok', 'drill-personal')
 ORDER BY request_id, attempt;"
	Step "Audit: who may see the details?"
	As aida "SELECT * FROM llm_audit.who_may_see('drill-personal');"
}

# The text, by request and two approvals.
DrillDisclosure()
{
	Step "The text itself: asked for by one, approved by two others, for an hour"
	disclosure=$(PGOPTIONS= Sql -U sara -At -c "SELECT llm_audit.request_disclosure('complaint of the client', 'INC-2026-17', '{\"request_ids\": [\"drill-personal\"]}', '1 hour')") ||
		Fail "cannot ask for a disclosure"
	LaSay "    sara> SELECT llm_audit.request_disclosure('complaint of the client', 'INC-2026-17',"
	LaSay "            '{\"request_ids\": [\"drill-personal\"]}', '1 hour');"
	LaSay "  $disclosure"
	for approver in boris bella; do
		LaSay "    $approver> SELECT llm_audit.approve_disclosure('$disclosure');"
		PGOPTIONS= Sql -U $approver -At -c "SELECT '  ' || llm_audit.approve_disclosure('$disclosure')" ||
			Fail "cannot approve"
	done
	As sara "SELECT kind, body FROM llm_audit.disclosed_content ORDER BY ordinal;"
	As aida "SELECT login, reason, ticket IS NOT NULL AS ticket, exported, cardinality(columns) AS columns FROM llm_audit.who_saw('drill-personal');"
	As aida "SELECT * FROM llm_audit.who_may_see('drill-personal') WHERE may_see = 'text';"
}

# The log of these queries: as many as were asked, and nothing else.
DrillLog()
{
	Step "The access log of exactly these queries"
	sleep 2
	PGOPTIONS= PGAPPNAME=other Sql -U aida -P footer=off <<-'SQL' || Fail "cannot read the access log"
		\set QUIET on
		BEGIN;
		SET LOCAL llm_audit.reason = 'drill: INC-2026-17';
		-- a function reads several times: its first read stands for the question
		SELECT to_char(occurred_at, 'HH24:MI:SS.MS') AS at, login, nested, left(regexp_replace(query, '\s+', ' ', 'g'), 50) AS query,
				regexp_replace(array_to_string(relations, ' '), 'llm_audit\.', '', 'g') AS relations, reason, outcome, row_count AS rows
			FROM (SELECT DISTINCT ON (backend_pid, transaction_id) * FROM llm_audit.access_history
				WHERE application_name = 'drill' ORDER BY backend_pid, transaction_id, occurred_at) AS question
			ORDER BY occurred_at;
		COMMIT;
	SQL
	logged=$(Value "SELECT count(DISTINCT (transaction_id, backend_pid)) FROM llm_audit.access_log
		WHERE event = 'read' AND application_name = 'drill' AND login IN ('dana', 'sara', 'aida') AND reason = 'drill: INC-2026-17'")
	[ "$logged" = "$asked" ] || Fail "$asked questions were asked and $logged are in the log"
	LaSay "  $asked questions were asked, and as many are in the log, each with its reason"
}

Drill()
{
	asked=0
	Step "The drill: three requests, three roles, two questions each"
	Show "CREATE ROLE dana LOGIN IN ROLE llm_audit_developer;
CREATE ROLE sara LOGIN IN ROLE llm_audit_security;
CREATE ROLE aida LOGIN IN ROLE llm_audit_auditor;
CREATE ROLE boris LOGIN IN ROLE llm_audit_approver;
CREATE ROLE bella LOGIN IN ROLE llm_audit_approver;"
	LaSay "    SELECT llm_audit.set_scope(login, organizations => '{demo-bank}', environments => '{prod}');  -- each"
	Value "SELECT '  ' || count(llm_audit.set_scope(r, '{demo-bank}', '{prod}')) || ' scopes set'
		FROM unnest('{dana,sara,aida,boris,bella,gateway}'::regrole[]) AS r;"
	Value "SELECT llm_audit.set_content_recording('prod', 'branch-chat', true, 'drill')" >/dev/null
	DrillCalls
	DrillQuestions
	DrillDisclosure
	DrillLog
}
