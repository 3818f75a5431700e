-- Who has seen a record, and whether those who may see records should.

-- Fragments of a request in the caller's scope.
CREATE FUNCTION llm_audit.fragment_ids(request_id text) RETURNS uuid[]
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
	SELECT array_agg(f.id) FROM llm_audit.search_fragments f
		WHERE f.request_id = ANY (llm_audit.known_as(fragment_ids.request_id, 'request_id'))
$$;
COMMENT ON FUNCTION llm_audit.fragment_ids(text) IS
	'ids of the texts of a request that are in the caller''s scope; part of who_saw()';
REVOKE EXECUTE ON FUNCTION llm_audit.fragment_ids(text) FROM PUBLIC;

-- The records are found by the texts, not by the readers' organization: who
-- answers for a text has to see every reader of it.
CREATE FUNCTION llm_audit.who_saw(request_id text)
	RETURNS TABLE (seen_at timestamptz, login name, authn_id text,
		asserted_user text, reason text, ticket text, disclosure_id uuid,
		columns text[], exported boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	fragments uuid[] := llm_audit.fragment_ids(who_saw.request_id);
BEGIN
	RETURN QUERY
	SELECT r.occurred_at, r.login::name, r.authentication_id, r.asserted_reader,
		h.reason, h.ticket, h.disclosure_ids[1], h.columns_read,
		r.exported OR coalesce(h.exported, false) OR coalesce(o.exported, false)
	FROM llm_audit.access_record r
	LEFT JOIN llm_audit.access_log h ON h.id = r.statement_id
		AND h.recorded_at >= r.recorded_at - interval '31 days'
		AND h.recorded_at <= r.recorded_at + interval '1 hour'
	LEFT JOIN llm_audit.access_log o ON o.statement_id = r.statement_id
		AND o.recorded_at >= r.recorded_at - interval '1 hour'
		AND o.recorded_at <= r.recorded_at + interval '31 days'
	WHERE r.row_id = ANY (fragments)
	ORDER BY r.occurred_at, r.id;
END
$$;
COMMENT ON FUNCTION llm_audit.who_saw(text) IS
	'who has seen text of a request, one row for each fragment and time, with the reason and the disclosure; needs llm_audit.reason, is recorded, for security, compliance and auditors';
REVOKE EXECUTE ON FUNCTION llm_audit.who_saw(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.who_saw(text)
	TO llm_audit_security, llm_audit_compliance, llm_audit_auditor;

-- ---------------- the roster ----------------

CREATE FUNCTION llm_audit.check_roster(staff jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	bad bigint;
	what text;
BEGIN
	IF jsonb_typeof(staff) <> 'array' OR jsonb_array_length(staff) = 0 THEN
		RAISE EXCEPTION 'the roster must be an array of objects, and not empty'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT e.n, CASE
			WHEN jsonb_typeof(e.entry) <> 'object' THEN 'is not an object'
			WHEN coalesce(btrim(e.entry ->> 'login'), '') = '' THEN 'has no login'
			WHEN octet_length(e.entry ->> 'login') > 63 THEN 'has a login longer than 63 bytes'
			WHEN e.entry - '{login,person,kind,unit,active,left_on,roles}'::text[] <> '{}'
				THEN 'has a key other than login, person, kind, unit, active, left_on and roles'
			WHEN coalesce(e.entry ->> 'kind', 'person') NOT IN ('person', 'shared', 'service')
				THEN 'has a kind other than person, shared and service'
			WHEN jsonb_typeof(coalesce(e.entry -> 'active', 'true')) <> 'boolean'
				THEN 'has an active that is neither true nor false'
			WHEN coalesce(e.entry ->> 'left_on', '2000-01-01') !~ '^\d{4}-\d\d-\d\d$'
				THEN 'has a left_on that is not a date'
			WHEN jsonb_typeof(coalesce(e.entry -> 'roles', '[]')) NOT IN ('array', 'null')
				THEN 'has roles that are not an array'
			END
		INTO bad, what
		FROM jsonb_array_elements(staff) WITH ORDINALITY AS e (entry, n)
		WHERE jsonb_typeof(e.entry) <> 'object'
			OR coalesce(btrim(e.entry ->> 'login'), '') = ''
			OR octet_length(e.entry ->> 'login') > 63
			OR e.entry - '{login,person,kind,unit,active,left_on,roles}'::text[] <> '{}'
			OR coalesce(e.entry ->> 'kind', 'person') NOT IN ('person', 'shared', 'service')
			OR jsonb_typeof(coalesce(e.entry -> 'active', 'true')) <> 'boolean'
			OR coalesce(e.entry ->> 'left_on', '2000-01-01') !~ '^\d{4}-\d\d-\d\d$'
			OR jsonb_typeof(coalesce(e.entry -> 'roles', '[]')) NOT IN ('array', 'null')
		ORDER BY e.n LIMIT 1;
	IF bad IS NOT NULL THEN
		RAISE EXCEPTION 'entry % of the roster %', bad, what
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT max(e.n) INTO bad FROM jsonb_array_elements(staff) WITH ORDINALITY AS e (entry, n)
		GROUP BY e.entry ->> 'login' HAVING count(*) > 1 LIMIT 1;
	IF bad IS NOT NULL THEN
		RAISE EXCEPTION 'entry % of the roster has the login of another one', bad
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.check_roster(jsonb) IS
	'raises 22023 for a roster that cannot be loaded; part of load_staff_roster()';
REVOKE EXECUTE ON FUNCTION llm_audit.check_roster(jsonb) FROM PUBLIC;

CREATE FUNCTION llm_audit.load_staff_roster(document text) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	staff jsonb;
	before int;
	loaded int;
BEGIN
	BEGIN
		staff := document::jsonb;
	EXCEPTION WHEN data_exception THEN
		RAISE EXCEPTION 'the roster is not JSON'
			USING ERRCODE = 'invalid_parameter_value';
	END;
	IF staff IS NULL THEN
		RAISE EXCEPTION 'the roster must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	PERFORM llm_audit.check_roster(staff);
	DELETE FROM llm_audit.staff_roster;
	GET DIAGNOSTICS before = ROW_COUNT;
	INSERT INTO llm_audit.staff_roster
		SELECT e ->> 'login', coalesce(nullif(btrim(e ->> 'person'), ''), e ->> 'login'),
			coalesce(e ->> 'kind', 'person'), e ->> 'unit',
			coalesce((e ->> 'active')::boolean, true), (e ->> 'left_on')::date,
			CASE WHEN jsonb_typeof(e -> 'roles') = 'array'
				THEN ARRAY(SELECT jsonb_array_elements_text(e -> 'roles')) END,
			clock_timestamp()
		FROM jsonb_array_elements(staff) AS e;
	GET DIAGNOSTICS loaded = ROW_COUNT;
	PERFORM llm_audit.record_access_event(ROW('staff_roster.loaded', 'staff_roster', NULL,
		llm_audit.reader_setting('reason'), jsonb_build_object('entries', before),
		jsonb_build_object('entries', loaded,
			'digest', encode(sha256(convert_to(document, 'UTF8')), 'hex')),
		NULL, NULL, llm_audit.reader_setting('ticket'), NULL, NULL, 'success')::llm_audit.access_event);
	RETURN loaded;
END
$$;
COMMENT ON FUNCTION llm_audit.load_staff_roster(text) IS
	'replaces the roster by a JSON array of objects with login, person, kind (person, shared, service), unit, active, left_on and roles, and returns how many; recorded; for llm_audit_admin and compliance';
REVOKE EXECUTE ON FUNCTION llm_audit.load_staff_roster(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.load_staff_roster(text)
	TO llm_audit_admin, llm_audit_compliance;

-- ---------------- the review ----------------

-- Logins and the roles of ours that they hold, by whatever way.
CREATE FUNCTION llm_audit.memberships()
	RETURNS TABLE (login name, role_name name, granted_through name, granted_by name,
		can_login boolean, valid_until timestamptz)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE held AS (
		SELECT m.member, r.rolname AS role_name, m.roleid AS through, m.grantor
			FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
			WHERE r.rolname IN ('llm_audit_writer', 'llm_audit_member', 'llm_audit_oncall',
				'llm_audit_developer', 'llm_audit_service_owner', 'llm_audit_security',
				'llm_audit_compliance', 'llm_audit_auditor', 'llm_audit_approver',
				'llm_audit_admin')
		UNION
		SELECT m.member, h.role_name, m.roleid, m.grantor
			FROM held h JOIN pg_auth_members m ON m.roleid = h.member)
	SELECT l.rolname, h.role_name, pg_get_userbyid(h.through),
			pg_get_userbyid(h.grantor), l.rolcanlogin, l.rolvaliduntil
		FROM held h JOIN pg_roles l ON l.oid = h.member
$$;
COMMENT ON FUNCTION llm_audit.memberships() IS
	'who holds which role of llm_audit, directly or through a group, and who granted that; part of access_review()';
REVOKE EXECUTE ON FUNCTION llm_audit.memberships() FROM PUBLIC;

-- When a login was last seen to use what it was given.
CREATE FUNCTION llm_audit.last_uses()
	RETURNS TABLE (login text, last_use timestamptz)
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
	SELECT u.login, max(u.used_at)
		FROM (SELECT r.login, r.occurred_at FROM llm_audit.review_reads r
				WHERE r.event <> 'refused'
			UNION ALL
			SELECT e.actor_id, e.occurred_at FROM llm_audit.review_events e)
			AS u (login, used_at)
		GROUP BY u.login
$$;
COMMENT ON FUNCTION llm_audit.last_uses() IS
	'last read or administrative event of each login in the caller''s scope; part of access_review()';
REVOKE EXECUTE ON FUNCTION llm_audit.last_uses() FROM PUBLIC;

-- What is wrong with one login's role, in the order of how bad it is.
CREATE FUNCTION llm_audit.review_findings(m name, role_name name,
		s llm_audit.staff_roster, last_use timestamptz, as_of timestamptz)
	RETURNS text[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT array_remove(ARRAY[
		CASE WHEN s.login IS NULL THEN 'not_in_roster' END,
		CASE WHEN s.left_on < as_of::date THEN 'has_left' END,
		CASE WHEN NOT s.active THEN 'not_active' END,
		CASE WHEN s.kind = 'shared' THEN 'shared_login' END,
		CASE WHEN role_name::text <> ALL (s.roles) THEN 'role_not_expected' END,
		CASE WHEN role_name NOT IN ('llm_audit_admin') AND NOT EXISTS (
			SELECT FROM llm_audit.role_scope c
			WHERE llm_audit.is_member(m, c.role_name)
				AND llm_audit.is_member(c.role_name, role_name))
			THEN 'no_scope' END,
		CASE WHEN role_name = 'llm_audit_approver' AND llm_audit.is_member(m, 'llm_audit_admin')
			THEN 'approver_and_admin' END,
		CASE WHEN role_name = 'llm_audit_admin' AND bool_or(llm_audit.is_member(m, t))
			THEN 'admin_and_reader' END,
		CASE WHEN role_name <> 'llm_audit_writer' AND last_use IS NULL THEN 'never_used'
			WHEN role_name <> 'llm_audit_writer' AND last_use < as_of - interval '90 days'
			THEN 'dormant' END], NULL)
	FROM unnest(llm_audit.searching_tasks()) AS t
$$;
COMMENT ON FUNCTION llm_audit.review_findings(name, name, llm_audit.staff_roster, timestamptz, timestamptz) IS
	'what is to be questioned about a login''s role; part of access_review()';
REVOKE EXECUTE ON FUNCTION llm_audit.review_findings(name, name, llm_audit.staff_roster, timestamptz, timestamptz)
	FROM PUBLIC;

CREATE FUNCTION llm_audit.access_review(as_of timestamptz DEFAULT pg_catalog.now())
	RETURNS TABLE (login name, role_name name, findings text[], person text,
		unit text, granted_through name, granted_by name, last_use timestamptz,
		live_disclosures bigint, scope jsonb)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	IF as_of IS NULL OR NOT isfinite(as_of) THEN
		RAISE EXCEPTION 'as_of must be a time'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	RETURN QUERY
	WITH used AS MATERIALIZED (SELECT * FROM llm_audit.last_uses()),
	live AS MATERIALIZED (
		SELECT d.requester, count(*) AS n FROM llm_audit.disclosure d
		WHERE d.state = 'granted' AND d.expires_at > as_of GROUP BY d.requester)
	SELECT m.login, m.role_name,
		llm_audit.review_findings(m.login, m.role_name, s, u.last_use, as_of)
			|| CASE WHEN m.valid_until < as_of THEN '{password_expired}'::text[] ELSE '{}' END,
		s.person, s.unit, m.granted_through, m.granted_by, u.last_use,
		coalesce(live.n, 0),
		(SELECT jsonb_agg(jsonb_build_object('of', c.role_name,
				'organizations', c.organizations, 'environments', c.environments,
				'services', c.services, 'actors', cardinality(c.actor_ids)) ORDER BY c.role_name)
			FROM llm_audit.role_scope c WHERE llm_audit.is_member(m.login, c.role_name)
				AND llm_audit.is_member(c.role_name, m.role_name))
	FROM llm_audit.memberships() m
	LEFT JOIN llm_audit.staff_roster s ON s.login = m.login
	LEFT JOIN used u ON u.login = m.login
	LEFT JOIN live ON live.requester = m.login
	WHERE m.can_login
	UNION ALL
	SELECT r.rolname, NULL, '{superuser}', s.person, s.unit, NULL, NULL, u.last_use,
		coalesce(live.n, 0), NULL
	FROM pg_catalog.pg_roles r
	LEFT JOIN llm_audit.staff_roster s ON s.login = r.rolname
	LEFT JOIN used u ON u.login = r.rolname
	LEFT JOIN live ON live.requester = r.rolname
	WHERE r.rolsuper AND r.rolcanlogin
	UNION ALL
	SELECT c.role_name, NULL, '{scope_without_role}', s.person, s.unit, NULL, NULL,
		u.last_use, coalesce(live.n, 0), NULL
	FROM llm_audit.role_scope c
	LEFT JOIN llm_audit.staff_roster s ON s.login = c.role_name
	LEFT JOIN used u ON u.login = c.role_name
	LEFT JOIN live ON live.requester = c.role_name
	WHERE NOT EXISTS (SELECT FROM unnest(llm_audit.searching_tasks()
			|| '{llm_audit_writer,llm_audit_member,llm_audit_approver}'::name[]) AS t
		WHERE llm_audit.is_member(c.role_name, t))
	UNION ALL
	SELECT d.requester, NULL, '{disclosure_without_event}', s.person, s.unit, NULL, NULL,
		NULL, count(*), NULL
	FROM llm_audit.disclosure d
	LEFT JOIN llm_audit.staff_roster s ON s.login = d.requester
	WHERE d.state = 'granted' AND d.expires_at > as_of
		AND NOT EXISTS (SELECT FROM llm_audit.approval_events() a WHERE a.target_id = d.id::text)
	GROUP BY d.requester, s.person, s.unit
	ORDER BY 1, 2 NULLS FIRST;
END
$$;
COMMENT ON FUNCTION llm_audit.access_review(timestamptz) IS
	'who holds which role, compared with the roster: findings are not_in_roster, has_left, not_active, shared_login, role_not_expected, no_scope, approver_and_admin, admin_and_reader, never_used, dormant (90 days), password_expired, superuser, scope_without_role and disclosure_without_event; none: in order; for security, compliance and auditors, last uses are those in their scope';
REVOKE EXECUTE ON FUNCTION llm_audit.access_review(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.access_review(timestamptz)
	TO llm_audit_security, llm_audit_compliance, llm_audit_auditor;

-- Approvals on record: a grant without one was made by hand.
CREATE FUNCTION llm_audit.approval_events() RETURNS TABLE (target_id text)
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
	SELECT e.target_id FROM llm_audit.review_events e
		WHERE e.action IN ('disclosure.approved', 'disclosure.second_approved')
$$;
COMMENT ON FUNCTION llm_audit.approval_events() IS
	'disclosures whose approval is in admin_event, in the caller''s scope; part of access_review()';
REVOKE EXECUTE ON FUNCTION llm_audit.approval_events() FROM PUBLIC;

CREATE FUNCTION llm_audit.attest_access_review(period daterange, exceptions jsonb,
		statement text) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	attestation uuid := llm_audit.uuid7();
	review jsonb;
BEGIN
	PERFORM llm_audit.require_person();
	IF period IS NULL OR isempty(period) OR lower_inf(period) OR upper_inf(period) THEN
		RAISE EXCEPTION 'the period of a review must have a first and a last day'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF coalesce(btrim(statement), '') = '' THEN
		RAISE EXCEPTION 'a review is attested by a statement'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF jsonb_typeof(coalesce(exceptions, '[]')) <> 'array'
		OR jsonb_path_exists(coalesce(exceptions, '[]'),
			'$[*] ? (@.type() != "object" || !exists (@.login) || !exists (@.reason))')
	THEN
		RAISE EXCEPTION 'exceptions must be an array of objects, each with a login and a reason'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT jsonb_agg(jsonb_build_object('login', r.login, 'role', r.role_name,
			'findings', r.findings) ORDER BY r.login, r.role_name)
		INTO review FROM llm_audit.access_review() r;
	PERFORM llm_audit.record_access_event(ROW('access_review.attested', 'access_review',
		attestation, statement, NULL,
		jsonb_build_object('period', period, 'exceptions', coalesce(exceptions, '[]'),
			'memberships', jsonb_array_length(coalesce(review, '[]')),
			'with_findings', (SELECT count(*) FROM jsonb_array_elements(review) AS e
				WHERE e -> 'findings' <> '[]'),
			'digest', encode(sha256(convert_to(coalesce(review, '[]')::text, 'UTF8')), 'hex')),
		NULL, NULL, llm_audit.reader_setting('ticket'), attestation, NULL,
		'success')::llm_audit.access_event);
	RETURN attestation;
END
$$;
COMMENT ON FUNCTION llm_audit.attest_access_review(daterange, jsonb, text) IS
	'signs an access review off for a period, with exceptions (objects with login and reason) and a statement; what the review found is recorded by number and digest in admin_event, whose approval_id this returns';
REVOKE EXECUTE ON FUNCTION llm_audit.attest_access_review(daterange, jsonb, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.attest_access_review(daterange, jsonb, text)
	TO llm_audit_security, llm_audit_compliance, llm_audit_auditor;

-- ---------------- who may ----------------

-- What each role sees of a call in its scope; its views say it in columns.
CREATE FUNCTION llm_audit.sight_of_roles()
	RETURNS TABLE (role_name name, may_see text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
VALUES ('llm_audit_oncall'::name, 'metadata, errors, lengths and classes of text'),
	('llm_audit_developer', 'technical fields, traces, timings'),
	('llm_audit_service_owner', 'metadata, errors'),
	('llm_audit_security', 'metadata, identities, addresses'),
	('llm_audit_compliance', 'masking, class, place, retention'),
	('llm_audit_auditor', 'metadata, place in the chain')
$$;
COMMENT ON FUNCTION llm_audit.sight_of_roles() IS
	'what each role sees of a call in its scope, in words; part of who_may_see()';
REVOKE EXECUTE ON FUNCTION llm_audit.sight_of_roles() FROM PUBLIC;

-- Calls of a request in the caller's scope: where they belong.
CREATE FUNCTION llm_audit.places_of_request(request_id text)
	RETURNS TABLE (call_id uuid, environment text, organization_id text,
		service_name text, data_class text)
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
	SELECT c.id, c.environment, c.organization_id, c.service_name, c.data_class
		FROM llm_audit.search_calls c
		WHERE c.request_id = ANY (llm_audit.known_as(places_of_request.request_id, 'request_id'))
$$;
COMMENT ON FUNCTION llm_audit.places_of_request(text) IS
	'calls of a request in the caller''s scope, with what scopes are made of; part of who_may_see()';
REVOKE EXECUTE ON FUNCTION llm_audit.places_of_request(text) FROM PUBLIC;

CREATE FUNCTION llm_audit.who_may_see(request_id text)
	RETURNS TABLE (login name, role_name name, may_see text, until timestamptz,
		approved_by text[])
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	RETURN QUERY
	WITH place AS MATERIALIZED (
		SELECT * FROM llm_audit.places_of_request(who_may_see.request_id))
	SELECT DISTINCT m.login, m.role_name, s.may_see, NULL::timestamptz, NULL::text[]
	FROM llm_audit.memberships() m
	JOIN llm_audit.sight_of_roles() s ON s.role_name = m.role_name
	WHERE m.can_login AND EXISTS (
		SELECT FROM place p, llm_audit.role_scope c
		WHERE llm_audit.is_member(m.login, c.role_name)
			AND llm_audit.is_member(c.role_name, m.role_name)
			AND (p.organization_id = ANY (c.organizations) OR '*' = ANY (c.organizations))
			AND (p.environment = ANY (c.environments) OR '*' = ANY (c.environments))
			AND (p.service_name = ANY (c.services) OR '*' = ANY (c.services)))
	UNION ALL
	SELECT DISTINCT d.requester, NULL::name, 'text', d.expires_at,
		ARRAY(SELECT x.decided_by::text FROM llm_audit.disclosure_decision x
			WHERE x.disclosure_id = d.id AND x.decision = 'approved' ORDER BY x.n)
	FROM place p JOIN llm_audit.disclosure_call c ON c.call_id = p.call_id
	JOIN llm_audit.disclosure d ON d.id = c.disclosure_id
	WHERE d.state = 'granted' AND d.expires_at > clock_timestamp()
	ORDER BY 4 NULLS FIRST, 2, 1;
END
$$;
COMMENT ON FUNCTION llm_audit.who_may_see(text) IS
	'who has the right to see a request in the caller''s scope, and what of it: logins by their roles and scopes, and those with a live disclosure of its text, until when and by whose approval; for every role that reads calls; recorded';
REVOKE EXECUTE ON FUNCTION llm_audit.who_may_see(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.who_may_see(text)
	TO llm_audit_oncall, llm_audit_developer, llm_audit_service_owner,
		llm_audit_security, llm_audit_compliance, llm_audit_auditor;
