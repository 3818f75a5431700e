-- Scopes: which organizations, environments, services and actors a role may
-- reach.  Policies and views ask for the caller's by scope(), in sub-selects
-- that do not depend on the row; the insert trigger asks for the writer's.

CREATE TABLE llm_audit.role_scope (
	role_name name PRIMARY KEY,
	organizations text[] NOT NULL,
	environments text[] NOT NULL,
	services text[] NOT NULL DEFAULT '{*}',
	actor_ids text[],
	changed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	changed_by name NOT NULL DEFAULT session_user
);
COMMENT ON TABLE llm_audit.role_scope IS
	'what a login, or a group that holds a role of llm_audit, may reach; a member without a row sees nothing';
COMMENT ON COLUMN llm_audit.role_scope.role_name IS 'the login or group';
COMMENT ON COLUMN llm_audit.role_scope.organizations IS
	'organizations (tenants); {*}: all';
COMMENT ON COLUMN llm_audit.role_scope.environments IS 'environments; {*}: all';
COMMENT ON COLUMN llm_audit.role_scope.services IS 'services; {*}: all';
COMMENT ON COLUMN llm_audit.role_scope.actor_ids IS
	'for llm_audit_member: the actors whose calls are the member''s own, by name or pseudonym';
COMMENT ON COLUMN llm_audit.role_scope.changed_at IS 'when it was last changed';
COMMENT ON COLUMN llm_audit.role_scope.changed_by IS
	'session user who changed it';

CREATE TRIGGER llm_audit_config AFTER INSERT OR UPDATE OR DELETE
	ON llm_audit.role_scope FOR EACH ROW
	EXECUTE FUNCTION llm_audit.config_changed();
ALTER TABLE llm_audit.role_scope ENABLE ALWAYS TRIGGER llm_audit_config;
SELECT pg_catalog.pg_extension_config_dump('llm_audit.role_scope', '');

CREATE FUNCTION llm_audit.scope(dimension text, tasks name[] DEFAULT NULL)
	RETURNS text[]
	LANGUAGE c STABLE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'llm_audit_scope';
COMMENT ON FUNCTION llm_audit.scope(text, name[]) IS
	'what the caller may reach of organizations, environments, services or actor_ids, by roles such as llm_audit_security or by any of them; {} for nothing; 42501 if scopes of several roles apply that cannot be combined';

CREATE FUNCTION llm_audit.scope_is_all(dimension text, tasks name[] DEFAULT NULL)
	RETURNS boolean
	LANGUAGE c STABLE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'llm_audit_scope_is_all';
COMMENT ON FUNCTION llm_audit.scope_is_all(text, name[]) IS
	'whether the caller may reach all organizations, environments, services or actor_ids; errors as scope()';

CREATE FUNCTION llm_audit.caller() RETURNS name
	LANGUAGE c STABLE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'llm_audit_caller';
COMMENT ON FUNCTION llm_audit.caller() IS
	'user whose rights count where scopes are tested: the current one, or the one who called a function of llm_audit';

CREATE FUNCTION llm_audit.is_member(member name, of name) RETURNS boolean
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'llm_audit_is_member';
COMMENT ON FUNCTION llm_audit.is_member(name, name) IS
	'whether the first role was granted the second, directly or not, or is it; a superuser is no member by being one';

-- Who is behind a login, as the organization's own records say.
CREATE TABLE llm_audit.staff_roster (
	login name PRIMARY KEY,
	person text NOT NULL,
	kind text NOT NULL DEFAULT 'person'
		CHECK (kind IN ('person', 'shared', 'service')),
	unit text,
	active boolean NOT NULL DEFAULT true,
	left_on date,
	roles text[],
	loaded_at timestamptz NOT NULL
);
COMMENT ON TABLE llm_audit.staff_roster IS
	'logins of staff, as load_staff_roster() was given them';
COMMENT ON COLUMN llm_audit.staff_roster.login IS 'login in this server';
COMMENT ON COLUMN llm_audit.staff_roster.person IS
	'who that is, e.g. a personnel number; one person may have several logins';
COMMENT ON COLUMN llm_audit.staff_roster.kind IS
	'person; shared by several; or of a service';
COMMENT ON COLUMN llm_audit.staff_roster.unit IS 'department';
COMMENT ON COLUMN llm_audit.staff_roster.active IS 'false: on leave or suspended';
COMMENT ON COLUMN llm_audit.staff_roster.left_on IS 'last day; NULL: none is set';
COMMENT ON COLUMN llm_audit.staff_roster.roles IS
	'roles of llm_audit that the job needs; NULL: not said';
COMMENT ON COLUMN llm_audit.staff_roster.loaded_at IS 'when the roster was loaded';
SELECT pg_catalog.pg_extension_config_dump('llm_audit.staff_roster', '');

-- An event about access, with more to say than record_own_event() takes.
CREATE TYPE llm_audit.access_event AS (
	action text,
	target_type text,
	target_id text,
	reason text,
	"before" jsonb,
	"after" jsonb,
	organization_id text,
	environment text,
	ticket text,
	approval_id text,
	approved_by text[],
	outcome text
);
COMMENT ON TYPE llm_audit.access_event IS
	'columns of admin_event that record_access_event() is given; NULL organization_id and environment: those of the audit itself';

CREATE FUNCTION llm_audit.record_access_event(event llm_audit.access_event)
	RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT EXISTS (SELECT FROM llm_audit.ledger
			WHERE schema_name = 'llm_audit' AND relation_name = 'admin_event')
	THEN
		RETURN;
	END IF;
	INSERT INTO llm_audit.admin_event (occurred_at, action, actor_id, actor_type,
			on_behalf_of, actor_ip, organization_id, environment, target_type,
			target_id, reason, "before", "after", ticket, approval_id, approved_by,
			outcome)
		VALUES (clock_timestamp(), event.action, session_user,
			CASE WHEN current_setting('application_name') = 'pg_cron'
				THEN 'job' ELSE 'human' END,
			llm_audit.reader_setting('reader'), inet_client_addr(),
			coalesce(event.organization_id, 'default'),
			coalesce(event.environment,
				(SELECT coalesce(min(name) FILTER (WHERE name = 'prod'), min(name))
					FROM llm_audit.environment)),
			event.target_type, event.target_id, event.reason, event."before",
			event."after", event.ticket, event.approval_id, event.approved_by,
			event.outcome);
END
$$;
COMMENT ON FUNCTION llm_audit.record_access_event(llm_audit.access_event) IS
	'writes an admin_event about scopes, disclosures or reviews; part of the functions that make them';
REVOKE EXECUTE ON FUNCTION llm_audit.record_access_event(llm_audit.access_event)
	FROM PUBLIC;

-- An empty list would hide everything and look like a mistake of the caller.
CREATE FUNCTION llm_audit.check_scope_list(what text, list text[], needed boolean)
	RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF list IS NULL AND NOT needed THEN
		RETURN;
	ELSIF coalesce(cardinality(list), 0) = 0 OR array_ndims(list) <> 1
		OR array_position(list, NULL) IS NOT NULL OR '' = ANY (list)
	THEN
		RAISE EXCEPTION 'a scope needs a list of % without empty or null elements', what
			USING ERRCODE = 'invalid_parameter_value',
				HINT = '{*} stands for all of them.';
	ELSIF '*' = ANY (list) AND cardinality(list) > 1 THEN
		RAISE EXCEPTION '* stands for all % and must be the only one', what
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.check_scope_list(text, text[], boolean) IS
	'raises 22023 for a list that cannot be part of a scope; part of set_scope()';
REVOKE EXECUTE ON FUNCTION llm_audit.check_scope_list(text, text[], boolean) FROM PUBLIC;

CREATE FUNCTION llm_audit.set_scope(role regrole, organizations text[],
		environments text[], services text[] DEFAULT '{*}',
		actor_ids text[] DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	target name;
	old llm_audit.role_scope;
	unknown text;
BEGIN
	SELECT r.rolname INTO target FROM pg_catalog.pg_roles r WHERE r.oid = role;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'role does not exist'
			USING ERRCODE = 'undefined_object';
	ELSIF target IN ('llm_audit_owner', 'llm_audit_view_owner', 'llm_audit_definer') THEN
		RAISE EXCEPTION 'role "%" cannot have a scope', target
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Set it for a login, or for a group that holds a role of llm_audit.';
	ELSIF llm_audit.is_member(session_user, target) AND NOT (SELECT r.rolsuper
		FROM pg_catalog.pg_roles r WHERE r.rolname = session_user)
	THEN
		RAISE EXCEPTION 'nobody sets a scope of their own'
			USING ERRCODE = 'insufficient_privilege',
				HINT = 'Another member of llm_audit_admin has to.';
	END IF;
	IF organizations IS NULL AND environments IS NULL THEN
		DELETE FROM llm_audit.role_scope s WHERE s.role_name = target
			RETURNING s.* INTO old;
		IF NOT FOUND THEN
			RAISE EXCEPTION 'role "%" has no scope', target
				USING ERRCODE = 'undefined_object';
		END IF;
	ELSE
		PERFORM llm_audit.check_scope_list('organizations', organizations, true);
		PERFORM llm_audit.check_scope_list('environments', environments, true);
		PERFORM llm_audit.check_scope_list('services', services, true);
		PERFORM llm_audit.check_scope_list('actor_ids', actor_ids, false);
		SELECT min(e) INTO unknown FROM unnest(environments) AS e
			WHERE e <> '*' AND NOT EXISTS (SELECT FROM llm_audit.environment k
				WHERE k.name = e);
		IF unknown IS NOT NULL THEN
			RAISE EXCEPTION 'environment is not known'
				USING ERRCODE = 'invalid_parameter_value',
					HINT = 'The environments are in llm_audit.environment; {*} stands for all.';
		END IF;
		SELECT s.* INTO old FROM llm_audit.role_scope s
			WHERE s.role_name = target FOR UPDATE;
		INSERT INTO llm_audit.role_scope
			VALUES (target, organizations, environments, services, actor_ids,
				clock_timestamp(), session_user)
			ON CONFLICT ON CONSTRAINT role_scope_pkey DO UPDATE
			SET organizations = EXCLUDED.organizations,
				environments = EXCLUDED.environments, services = EXCLUDED.services,
				actor_ids = EXCLUDED.actor_ids, changed_at = EXCLUDED.changed_at,
				changed_by = EXCLUDED.changed_by;
	END IF;
	-- how many actors, not which: they may be named as they are
	PERFORM llm_audit.record_access_event(ROW('scope.changed', 'role', target,
		coalesce(llm_audit.reader_setting('reason'), 'none given'),
		CASE WHEN old.role_name IS NOT NULL THEN jsonb_build_object(
			'organizations', old.organizations, 'environments', old.environments,
			'services', old.services, 'actors', cardinality(old.actor_ids)) END,
		CASE WHEN organizations IS NOT NULL THEN jsonb_build_object(
			'organizations', organizations, 'environments', environments,
			'services', services, 'actors', cardinality(actor_ids)) END,
		NULL, NULL, NULL, NULL, NULL, 'success')::llm_audit.access_event);
END
$$;
COMMENT ON FUNCTION llm_audit.set_scope(regrole, text[], text[], text[], text[]) IS
	'sets what a login or group may reach, {*} for all; NULL organizations and environments take the scope away; for llm_audit_admin, never for oneself; in force in all sessions from their next statement, recorded in admin_event';
REVOKE EXECUTE ON FUNCTION llm_audit.set_scope(regrole, text[], text[], text[], text[])
	FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.set_scope(regrole, text[], text[], text[], text[])
	TO llm_audit_admin;

-- The condition of a scope, as policies and views have it: sub-selects that
-- do not depend on the row, so that each is evaluated once per statement.  CASE
-- and not OR, for which the planner would look for indexes in every segment.
CREATE FUNCTION llm_audit.scope_clause(column_name name, dimension text, tasks name[])
	RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format(CASE WHEN dimension = 'environments'
		THEN '%1$I = ANY ((SELECT llm_audit.scope(%2$L%3$s))::text[])'
		ELSE 'CASE WHEN (SELECT llm_audit.scope_is_all(%2$L%3$s)) THEN true ELSE %1$I = ANY ((SELECT llm_audit.scope(%2$L%3$s))::text[]) END'
		END, column_name, dimension, coalesce(format(', %L', tasks), ''))
$$;
COMMENT ON FUNCTION llm_audit.scope_clause(name, text, name[]) IS
	'SQL condition that a column is in one dimension of the caller''s scope for tasks, or for any if tasks is NULL; part of setup()';
REVOKE EXECUTE ON FUNCTION llm_audit.scope_clause(name, text, name[]) FROM PUBLIC;

CREATE FUNCTION llm_audit.scope_condition(ledger name, tasks name[])
	RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT string_agg(llm_audit.scope_clause(d.column_name, d.dimension, tasks),
			' AND ' ORDER BY d.n)
		FROM (VALUES (1, 'environment'::name, 'environments'),
				(2, 'organization_id', 'organizations'),
				(3, 'service_name', 'services')) AS d (n, column_name, dimension)
		JOIN pg_catalog.pg_attribute a ON a.attname = d.column_name
			AND a.attrelid = (SELECT c.oid FROM pg_catalog.pg_class c
				WHERE c.relname = ledger AND c.relnamespace = to_regnamespace('llm_audit'))
			AND NOT a.attisdropped
$$;
COMMENT ON FUNCTION llm_audit.scope_condition(name, name[]) IS
	'SQL condition that a row of a built-in ledger is in the caller''s scope for tasks, or for any if tasks is NULL; part of setup()';
REVOKE EXECUTE ON FUNCTION llm_audit.scope_condition(name, name[]) FROM PUBLIC;

-- The policies of the built-in ledgers.  Nobody reads these tables but the
-- views, as llm_audit_view_owner, and functions of ours; everybody may insert
-- whom GRANT allows to, and the insert trigger checks a writer's scope.
CREATE FUNCTION llm_audit.builtin_policies()
	RETURNS TABLE (relation_name name, policy_name name, command text,
		roles text, condition text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT l.relation_name, p.policy_name::name, p.command, p.roles, p.condition
		FROM llm_audit.builtin_ledgers() l
		CROSS JOIN LATERAL (VALUES
			('llm_audit_own', 'ALL', 'llm_audit_owner, llm_audit_definer', 'true'),
			('llm_audit_write', 'INSERT', 'PUBLIC', 'true'),
			('llm_audit_read', 'SELECT', 'llm_audit_view_owner',
				llm_audit.scope_condition(l.relation_name, NULL)))
			AS p (policy_name, command, roles, condition)
$$;
COMMENT ON FUNCTION llm_audit.builtin_policies() IS
	'row security policies of the built-in ledgers, as setup() makes them';
REVOKE EXECUTE ON FUNCTION llm_audit.builtin_policies() FROM PUBLIC;

CREATE FUNCTION llm_audit.install_policies() RETURNS int
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	p record;
	made int := 0;
BEGIN
	FOR p IN SELECT b.*, format('llm_audit.%I', b.relation_name)::regclass AS ledger
		FROM llm_audit.builtin_policies() b
	LOOP
		IF NOT (SELECT relrowsecurity AND relforcerowsecurity
			FROM pg_catalog.pg_class WHERE oid = p.ledger)
		THEN
			EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY',
				p.ledger);
		END IF;
		CONTINUE WHEN EXISTS (SELECT FROM pg_catalog.pg_policy
			WHERE polrelid = p.ledger AND polname = p.policy_name);
		EXECUTE format('CREATE POLICY %I ON %s FOR %s TO %s %s',
			p.policy_name, p.ledger, p.command, p.roles,
			CASE p.command
				WHEN 'ALL' THEN format('USING (%1$s) WITH CHECK (%1$s)', p.condition)
				WHEN 'INSERT' THEN format('WITH CHECK (%s)', p.condition)
				ELSE format('USING (%s)', p.condition) END);
		EXECUTE format('COMMENT ON POLICY %I ON %s IS %L', p.policy_name, p.ledger,
			CASE p.policy_name
				WHEN 'llm_audit_own' THEN 'functions of llm_audit reach every row'
				WHEN 'llm_audit_write' THEN 'who may insert is for GRANT and the insert trigger to say'
				ELSE 'views show what is in the caller''s scope' END);
		PERFORM llm_audit.note_object('policy', p.relation_name || ' ' || p.policy_name,
			p.command || p.roles || p.condition);
		made := made + 1;
	END LOOP;
	RETURN made;
END
$$;
COMMENT ON FUNCTION llm_audit.install_policies() IS
	'enables and forces row security on the built-in ledgers and makes the policies that are missing; returns how many; part of setup()';
REVOKE EXECUTE ON FUNCTION llm_audit.install_policies() FROM PUBLIC;
