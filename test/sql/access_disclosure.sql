-- Disclosure: full text only by request, four eyes, an end; searching; who saw.
\set ON_ERROR_STOP 1
\set origin :DBNAME
SET client_min_messages = warning;
CREATE DATABASE access_disclosure TEMPLATE template0 ENCODING 'UTF8';
\c access_disclosure
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
-- a setting of the session does not count: below, who needs a reason says it
SET llm_audit.reason = '';
SELECT count(*) > 0 AS made FROM llm_audit.setup();
CREATE ROLE ld_dev LOGIN IN ROLE llm_audit_developer;
CREATE ROLE ld_oncall LOGIN IN ROLE llm_audit_oncall;
CREATE ROLE ld_sec LOGIN IN ROLE llm_audit_security;
CREATE ROLE ld_comp LOGIN IN ROLE llm_audit_compliance;
CREATE ROLE ld_both LOGIN IN ROLE llm_audit_security, llm_audit_approver;
CREATE ROLE ld_both2 LOGIN IN ROLE llm_audit_security, llm_audit_approver;
CREATE ROLE ld_one LOGIN IN ROLE llm_audit_approver;
CREATE ROLE ld_two LOGIN IN ROLE llm_audit_approver;
CREATE ROLE ld_other LOGIN IN ROLE llm_audit_approver;
CREATE ROLE ld_shared LOGIN IN ROLE llm_audit_oncall, llm_audit_approver;
SELECT count(llm_audit.set_scope(r, '{bank-a}', '{prod}')) FROM unnest('{ld_dev,ld_oncall,ld_sec,ld_comp,ld_both,ld_both2,ld_one,ld_two,ld_shared}'::regrole[]) AS r;
SELECT llm_audit.set_scope('ld_other', '{bank-b}', '{prod}');
CREATE ROLE ld_mail LOGIN IN ROLE llm_audit_approver;
SELECT llm_audit.set_scope('ld_mail', '{bank-a}', '{prod}', '{mail}');
SELECT llm_audit.set_content_recording('*', '*', true, 'test');
SELECT count(*) FROM llm_audit.record_calls('
{"request_id": "plain", "occurred_at": "2026-05-05T10:00:00Z", "content": [{"kind": "prompt", "body": "how are you"}, {"kind": "response", "body": "fine words"}]}
{"request_id": "secret", "occurred_at": "2026-05-05T11:00:00Z", "data_class": "banking_secrecy", "customer_key": "cu-7", "operation_number": "op-9", "content": [{"kind": "prompt", "body": "my balance"}]}
{"request_id": "mixed", "customer_key": "cu-7", "actor_id": "anna", "actor_type": "human", "content": [{"kind": "prompt", "body": "hello"}, {"kind": "response", "body": "your name", "data_class": "personal"}]}
{"request_id": "foreign", "organization_id": "bank-b", "customer_key": "cu-7", "content": [{"kind": "prompt", "body": "of bank b"}]}',
	'{"environment": "prod", "organization_id": "bank-a", "service_name": "chat", "actor_id": "svc", "actor_type": "service",
	"operation_name": "chat", "provider_name": "openai", "request_model": "m", "status": "ok", "occurred_at": "2026-05-05T10:00:00Z"}');

-- ---------------- searching ----------------
\set ON_ERROR_STOP 0
SET SESSION AUTHORIZATION ld_oncall;
SELECT request_id FROM llm_audit.find_calls();
SELECT request_id FROM llm_audit.find_calls(occurred_from => '2026-05-06', occurred_to => '2026-05-05');
SELECT request_id FROM llm_audit.find_calls(customer => 'cu-7');
SELECT request_id FROM llm_audit.find_calls('plain', max_rows => 0);
SELECT request_id, actor_type, actor_id, customer_key FROM llm_audit.find_calls('secret');
SELECT request_id FROM llm_audit.find_calls(occurred_from => '2026-05-05', occurred_to => '2026-05-06', max_lag => '10 years');
SELECT request_id FROM llm_audit.find_calls(occurred_from => '2026-05-05', occurred_to => '2026-05-06');
BEGIN;
SET LOCAL llm_audit.reason = 'INC-1';
SELECT request_id, customer_key FROM llm_audit.find_calls(customer => 'cu-7') ORDER BY 1;
SELECT request_id FROM llm_audit.find_calls(operation_number => 'op-9');
SELECT request_id FROM llm_audit.find_calls(actor_id => 'anna');
SELECT count(*) FROM llm_audit.find_calls(actor_id => 'svc');
COMMIT;
SET SESSION AUTHORIZATION ld_sec;
BEGIN;
SET LOCAL llm_audit.reason = 'INC-1';
SELECT request_id, customer_key IS NOT NULL AS customer, operation_number IS NOT NULL AS operation FROM llm_audit.find_calls(customer => 'cu-7') ORDER BY 1;
COMMIT;
SET SESSION AUTHORIZATION ld_dev;
SELECT request_id, actor_type, actor_id FROM llm_audit.find_calls('secret');
BEGIN;
SET LOCAL llm_audit.reason = 'INC-1';
SELECT request_id FROM llm_audit.find_calls(customer => 'cu-7');
ROLLBACK;
SET SESSION AUTHORIZATION ld_one;
SELECT request_id FROM llm_audit.find_calls('plain');
RESET SESSION AUTHORIZATION;

-- ---------------- asking ----------------
SET SESSION AUTHORIZATION ld_dev;
SELECT llm_audit.request_disclosure(NULL, 'T-1', '{"request_ids": ["plain"]}');
SELECT llm_audit.request_disclosure('why', ' ', '{"request_ids": ["plain"]}');
SELECT llm_audit.request_disclosure('why', 'T-1', NULL);
SELECT llm_audit.request_disclosure('why', 'T-1', '["plain"]');
SELECT llm_audit.request_disclosure('why', 'T-1', '{}');
SELECT llm_audit.request_disclosure('why', 'T-1', '{"environment": "prod"}');
SELECT llm_audit.request_disclosure('why', 'T-1', '{"request_ids": "plain"}');
SELECT llm_audit.request_disclosure('why', 'T-1', '{"request_ids": [1]}');
SELECT llm_audit.request_disclosure('why', 'T-1', '{"request_ids": []}');
SELECT llm_audit.request_disclosure('why', 'T-1', '{"request_ids": ["plain"], "where": "all"}');
SELECT llm_audit.request_disclosure('why', 'T-1', '{"request_ids": ["plain"], "environment": "moon"}');
SELECT llm_audit.request_disclosure('why', 'T-1', '{"request_ids": ["plain"], "kinds": ["everything"]}');
SELECT llm_audit.request_disclosure('why', 'T-1', '{"request_ids": ["plain"], "ledger": "admin_event"}');
SELECT llm_audit.request_disclosure('why', 'T-1', '{"request_ids": ["plain"], "occurred_from": "yesterday evening"}');
SELECT llm_audit.request_disclosure('why', 'T-1', '{"occurred_from": "2026-05-06", "occurred_to": "2026-05-05"}');
SELECT llm_audit.request_disclosure('why', 'T-1', '{"request_ids": ["foreign"]}');
SELECT llm_audit.request_disclosure('why', 'T-1', '{"request_ids": ["nowhere"]}');
SELECT llm_audit.request_disclosure('why', 'T-1', '{"request_ids": ["plain"]}', '2 days');
SELECT llm_audit.request_disclosure('why', 'T-1', '{"request_ids": ["plain"]}', '-1 hour');
BEGIN;
SET LOCAL llm_audit.reason = 'early';
SELECT body FROM llm_audit.disclosed_content;
ROLLBACK;
SELECT llm_audit.request_disclosure('odd answer', 'T-1', '{"request_ids": ["plain"], "kinds": ["response"]}') AS plain \gset
SELECT state, call_count, subject_count, data_class, needs_second, allow_export, duration FROM llm_audit.my_disclosures;
SELECT * FROM llm_audit.preview_disclosure(:'plain');

-- ---------------- approving ----------------
SELECT llm_audit.approve_disclosure(:'plain');
SET SESSION AUTHORIZATION ld_other;
SELECT llm_audit.approve_disclosure(:'plain');
SELECT count(*) FROM llm_audit.approver_requests;
SELECT * FROM llm_audit.preview_disclosure(:'plain');
SET SESSION AUTHORIZATION ld_mail;
SELECT llm_audit.approve_disclosure(:'plain') AS of_another_service;
SELECT count(*) FROM llm_audit.approver_requests;
RESET SESSION AUTHORIZATION;
SELECT llm_audit.approve_disclosure(:'plain') AS superuser;
SET SESSION AUTHORIZATION ld_one;
SELECT llm_audit.approve_disclosure('00000000-0000-0000-0000-000000000000');
BEGIN;
SET LOCAL llm_audit.reader = 'anna';
SELECT llm_audit.approve_disclosure(:'plain') AS behind_a_portal;
ROLLBACK;
SELECT requester, reason, ticket, call_count FROM llm_audit.approver_requests;
SELECT llm_audit.approve_disclosure(:'plain', 'looked at the ticket');
SELECT llm_audit.approve_disclosure(:'plain');
SELECT llm_audit.deny_disclosure(:'plain', 'too late');
BEGIN;
SET LOCAL llm_audit.reason = 'not mine';
SELECT body FROM llm_audit.disclosed_content;
ROLLBACK;

-- exactly the rows, to exactly the one who asked
SET SESSION AUTHORIZATION ld_dev;
SELECT body FROM llm_audit.disclosed_content;
BEGIN;
SET LOCAL llm_audit.reason = 'T-1: odd answer';
SELECT request_id, kind, body FROM llm_audit.disclosed_content;
SELECT request_id, kind, body FROM llm_audit.search_content('words', :'plain');
SELECT count(*) FROM llm_audit.search_content('how', :'plain');
SELECT count(*) FROM llm_audit.search_content('', :'plain');
SELECT 1;
ROLLBACK;
BEGIN;
SET LOCAL llm_audit.reason = 'T-1: odd answer';
COPY (SELECT body FROM llm_audit.disclosed_content) TO STDOUT;
ROLLBACK;
BEGIN;
SET LOCAL llm_audit.reason = 'T-1: odd answer';
CREATE TEMP TABLE taken AS SELECT body FROM llm_audit.disclosed_content;
ROLLBACK;
SET SESSION AUTHORIZATION ld_oncall;
BEGIN;
SET LOCAL llm_audit.reason = 'not mine';
SELECT body FROM llm_audit.disclosed_content;
ROLLBACK;
BEGIN;
SET LOCAL llm_audit.reason = 'not mine';
SELECT count(*) FROM llm_audit.search_content('fine', :'plain');
ROLLBACK;
RESET SESSION AUTHORIZATION;

-- personal data and banking secrecy: two others; nobody twice, nobody their own
SET SESSION AUTHORIZATION ld_both;
SELECT llm_audit.request_disclosure('complaint', 'T-2', '{"customer": "cu-7"}', allow_export => true) AS both \gset
SELECT state, scope ? 'customer' AS kept, call_count, subject_count, data_class, needs_second FROM llm_audit.my_disclosures;
SELECT llm_audit.approve_disclosure(:'both') AS own;
SET ROLE llm_audit_approver;
SELECT llm_audit.approve_disclosure(:'both') AS own;
RESET ROLE;
SET SESSION AUTHORIZATION ld_one;
SELECT llm_audit.approve_disclosure(:'both');
SELECT llm_audit.approve_disclosure(:'both') AS twice;
SET SESSION AUTHORIZATION ld_both;
SELECT llm_audit.approve_disclosure(:'both') AS own;
BEGIN;
SET LOCAL llm_audit.reason = 'T-2';
SELECT body FROM llm_audit.disclosed_content;
ROLLBACK;
-- the same person by the roster
RESET SESSION AUTHORIZATION;
SELECT llm_audit.load_staff_roster('[{"login": "ld_one", "person": "P1"}, {"login": "ld_two", "person": "P1"},
	{"login": "ld_shared", "kind": "shared"}, {"login": "ld_both2", "person": "P2"}]');
SET SESSION AUTHORIZATION ld_two;
SELECT llm_audit.approve_disclosure(:'both') AS same_person;
SET SESSION AUTHORIZATION ld_shared;
SELECT llm_audit.approve_disclosure(:'both') AS shared;
SELECT llm_audit.request_disclosure('why', 'T-1', '{"request_ids": ["plain"]}') AS shared;
SET SESSION AUTHORIZATION ld_both2;
SELECT llm_audit.approve_disclosure(:'both');
SET SESSION AUTHORIZATION ld_both;
BEGIN;
SET LOCAL llm_audit.reason = 'T-2';
SELECT request_id, kind, body FROM llm_audit.disclosed_content ORDER BY 1, 2;
COPY (SELECT body FROM llm_audit.disclosed_content WHERE request_id = 'secret') TO STDOUT;
COMMIT;

-- late text of a higher class is not covered by one approval
RESET SESSION AUTHORIZATION;
INSERT INTO llm_audit.llm_content (environment, organization_id, service_name, call_id, request_id, ordinal, kind, body, body_bytes, data_class)
	SELECT 'prod', 'bank-a', 'chat', c.call_id, 'plain', 9, 'response', 'late and personal', 17, 'personal'
	FROM llm_audit.disclosure_call c WHERE c.disclosure_id = :'plain';
SET SESSION AUTHORIZATION ld_dev;
BEGIN;
SET LOCAL llm_audit.reason = 'T-1: odd answer';
SELECT request_id, kind, body FROM llm_audit.disclosed_content;
COMMIT;

-- ---------------- ends ----------------
SET SESSION AUTHORIZATION ld_sec;
SELECT llm_audit.revoke_disclosure(:'both', '');
SELECT llm_audit.revoke_disclosure(:'both', 'case closed');
SELECT llm_audit.revoke_disclosure(:'both', 'case closed');
SET SESSION AUTHORIZATION ld_both;
BEGIN;
SET LOCAL llm_audit.reason = 'T-2';
SELECT body FROM llm_audit.disclosed_content;
ROLLBACK;
-- a cursor that is open when the grant ends shows no more
SET SESSION AUTHORIZATION ld_dev;
SELECT llm_audit.request_disclosure('cursor', 'T-5', '{"request_ids": ["plain"]}', '2 seconds') AS open \gset
SET SESSION AUTHORIZATION ld_one;
SELECT llm_audit.approve_disclosure(:'open');
SET SESSION AUTHORIZATION ld_both2;
SELECT llm_audit.approve_disclosure(:'open');
SET SESSION AUTHORIZATION ld_dev;
BEGIN;
SET LOCAL llm_audit.reason = 'T-5';
DECLARE c CURSOR FOR SELECT body IS NOT NULL AS shown FROM llm_audit.disclosed_content WHERE disclosure_id = :'open';
FETCH 1 FROM c;
SELECT pg_sleep(2.1);
FETCH 1 FROM c;
ROLLBACK;
SELECT llm_audit.request_disclosure('short', 'T-3', '{"request_ids": ["plain"]}', '1 second') AS short \gset
SET SESSION AUTHORIZATION ld_one;
SELECT llm_audit.approve_disclosure(:'short');
SET SESSION AUTHORIZATION ld_both2;
SELECT llm_audit.approve_disclosure(:'short');
SELECT pg_sleep(1.1);
SET SESSION AUTHORIZATION ld_dev;
SELECT llm_audit.revoke_disclosure(:'plain', 'read it');
BEGIN;
SET LOCAL llm_audit.reason = 'T-3';
SELECT body FROM llm_audit.disclosed_content;
ROLLBACK;
BEGIN;
SET LOCAL llm_audit.reason = 'T-3';
SELECT body FROM llm_audit.search_content('fine', :'short');
ROLLBACK;
SELECT llm_audit.request_disclosure('again', 'T-4', '{"request_ids": ["plain"]}') AS denied \gset
SET SESSION AUTHORIZATION ld_one;
SELECT llm_audit.deny_disclosure(:'denied', '');
SELECT llm_audit.deny_disclosure(:'denied', 'no need');
SELECT llm_audit.approve_disclosure(:'denied');
RESET SESSION AUTHORIZATION;
\set ON_ERROR_STOP 1

-- ---------------- what is on record ----------------
SET SESSION AUTHORIZATION ld_comp;
BEGIN;
SET LOCAL llm_audit.reason = 'review';
SELECT state, requester, ticket, approvers, cardinality(decisions) AS decisions FROM llm_audit.compliance_disclosures ORDER BY requested_at;
SELECT action, actor_id, organization_id, reason, ticket, approved_by FROM llm_audit.compliance_admin_events
	WHERE category = 'disclosure' ORDER BY occurred_at, id;
SELECT login, asserted_user, reason, ticket, disclosure_id = :'both' AS by_that, exported FROM llm_audit.who_saw('secret');
SELECT DISTINCT login, reason, exported FROM llm_audit.who_saw('plain') ORDER BY 1, 2;
SELECT count(*) FROM llm_audit.who_saw('foreign');
SELECT login, event, outcome, relations[1] AS relation, exported, error_code FROM llm_audit.access_history
	WHERE 'llm_audit.disclosed_content' = ANY (relations) ORDER BY occurred_at, statement_id;
COMMIT;
-- no identifier of the customer is kept
RESET SESSION AUTHORIZATION;
SELECT count(*) FROM llm_audit.disclosure d WHERE d::text ~ '"cu-7"' AND current_setting('llm_audit.masking')::boolean;

-- ---------------- the access review ----------------
SELECT llm_audit.load_staff_roster('[{"login": "ld_dev", "person": "P3", "unit": "IT", "roles": ["llm_audit_developer"]},
	{"login": "ld_oncall", "person": "P4", "left_on": "2020-01-01"}, {"login": "ld_sec", "roles": ["llm_audit_oncall"]},
	{"login": "ld_comp", "active": false}, {"login": "ld_shared", "kind": "shared"}]');
CREATE ROLE ld_unscoped LOGIN IN ROLE llm_audit_auditor;
CREATE ROLE ld_mighty LOGIN IN ROLE llm_audit_admin, llm_audit_approver;
CREATE ROLE ld_scoped LOGIN;
SELECT llm_audit.set_scope('ld_scoped', '{bank-a}', '{prod}'), llm_audit.set_scope('ld_mighty', '{bank-a}', '{prod}');
\set ON_ERROR_STOP 0
SELECT llm_audit.load_staff_roster('nonsense');
SELECT llm_audit.load_staff_roster('[]');
SELECT llm_audit.load_staff_roster('[{"login": "x"}, {"name": "y"}]');
SELECT llm_audit.load_staff_roster('[{"login": "x"}, {"login": "x"}]');
SELECT llm_audit.load_staff_roster('[{"login": "x", "left_on": "soon"}]');
SET SESSION AUTHORIZATION ld_dev;
SELECT login FROM llm_audit.access_review();
SELECT llm_audit.load_staff_roster('[]');
SET SESSION AUTHORIZATION ld_comp;
SELECT login, role_name, findings, person, unit, last_use IS NOT NULL AS used FROM llm_audit.access_review()
	WHERE login LIKE 'ld\_%' ORDER BY login COLLATE "C", role_name COLLATE "C";
SELECT login, role_name, findings FROM llm_audit.access_review(now() + interval '1 year') WHERE login = 'ld_sec';
SELECT llm_audit.attest_access_review('[2026-07-01,)', '[]', 'fine');
SELECT llm_audit.attest_access_review('[2026-07-01,2026-10-01)', '[{"login": "x"}]', 'fine');
SELECT llm_audit.attest_access_review('[2026-07-01,2026-10-01)', NULL, ' ');
SELECT llm_audit.attest_access_review('[2026-07-01,2026-10-01)', '[{"login": "ld_shared", "reason": "until May"}]', 'reviewed with unit heads') IS NOT NULL AS attested;
RESET SESSION AUTHORIZATION;
\set ON_ERROR_STOP 1
BEGIN;
SET LOCAL llm_audit.reason = 'test';
SELECT actor_id, reason, "after" - '{digest,memberships,with_findings}'::text[] AS after, ("after" ->> 'memberships')::int > 10 AS many
	FROM llm_audit.admin_event WHERE action = 'access_review.attested';
SELECT actor_id = session_user AS by_us, "after" -> 'entries' AS entries FROM llm_audit.admin_event WHERE action = 'staff_roster.loaded' ORDER BY occurred_at;
COMMIT;

-- a grant that was made by hand shows in the review
UPDATE llm_audit.disclosure SET state = 'granted', approvals = 2, expires_at = now() + interval '1 day' WHERE ticket = 'T-4';
SET SESSION AUTHORIZATION ld_comp;
SELECT login, findings FROM llm_audit.access_review() WHERE 'disclosure_without_event' = ANY (findings);
RESET SESSION AUTHORIZATION;
SELECT finding, detail FROM llm_audit.verify();

\c :origin
SET client_min_messages = warning;
DROP DATABASE access_disclosure WITH (FORCE);
SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE rolname LIKE 'ld\_%' ORDER BY oid \gexec
