-- Roles.  They are cluster-wide, so another database may have made them
-- already; one that exists is taken only if it gives nobody anything.

-- llm_audit_copier alone has BYPASSRLS: COPY FROM is not possible under RLS,
-- and llm_audit runs it as that role after checking the writer's own rights.
CREATE FUNCTION llm_audit.make_role(role_name name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	r pg_catalog.pg_authid;
	bypasses boolean := role_name = 'llm_audit_copier';
	members text;
BEGIN
	SELECT * INTO r FROM pg_catalog.pg_authid WHERE rolname = role_name;
	IF NOT FOUND THEN
		EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT %s', role_name,
			CASE WHEN bypasses THEN 'BYPASSRLS' ELSE '' END);
		RETURN;
	END IF;
	IF r.rolcanlogin OR r.rolsuper OR r.rolcreaterole OR r.rolcreatedb
		OR r.rolbypassrls <> bypasses OR r.rolreplication
	THEN
		RAISE EXCEPTION 'role "%" exists and has LOGIN, SUPERUSER, CREATEROLE, CREATEDB, REPLICATION or BYPASSRLS', role_name
			USING ERRCODE = 'duplicate_object',
				HINT = 'Drop the role, or take the attribute from it, before CREATE EXTENSION llm_audit.';
	END IF;
	IF role_name IN ('llm_audit_owner', 'llm_audit_view_owner', 'llm_audit_definer',
			'llm_audit_copier')
		AND EXISTS (SELECT FROM pg_catalog.pg_auth_members WHERE roleid = r.oid)
	THEN
		RAISE EXCEPTION 'role "%" exists and has members', role_name
			USING ERRCODE = 'duplicate_object',
				HINT = 'REVOKE the memberships before CREATE EXTENSION llm_audit.';
	END IF;
	IF coalesce(current_setting('llm_audit.accept_members', true), 'off')::boolean THEN
		RETURN;
	END IF;
	-- Made by hand, before any llm_audit: its members would be let in.  With an
	-- llm_audit in another database, those are as they should be whom a superuser
	-- let in, or whoever one did: who else may make roles could have done so
	-- where nothing recorded it.
	SELECT string_agg(DISTINCT format('"%s"', pg_get_userbyid(m.member)), ', ') INTO members
		FROM pg_catalog.pg_auth_members m
		WHERE m.roleid = r.oid AND (NOT EXISTS (
				SELECT FROM pg_catalog.pg_shdepend d
				JOIN pg_catalog.pg_database db ON db.oid = d.dbid
				WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass
					AND d.refobjid = r.oid)
			OR NOT coalesce((SELECT g.rolsuper FROM pg_catalog.pg_authid g
				WHERE g.oid = m.grantor), false));
	IF members IS NOT NULL THEN
		RAISE EXCEPTION 'role "%" exists and has members', role_name
			USING ERRCODE = 'duplicate_object',
				DETAIL = format('No superuser let in %s, or no database has llm_audit that they were let in for.', members),
				HINT = 'REVOKE the memberships before CREATE EXTENSION llm_audit, or SET llm_audit.accept_members = on to accept them.';
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.make_role(name) IS
	'makes one of the roles of llm_audit, or refuses one that exists with power or with members whom no superuser let in';
REVOKE EXECUTE ON FUNCTION llm_audit.make_role(name) FROM PUBLIC;

DO $$
DECLARE
	r record;
BEGIN
	FOR r IN
		SELECT * FROM (VALUES
			('llm_audit_owner', 'owns the ledgers of llm_audit; nobody is a member'),
			('llm_audit_view_owner', 'owns the views of llm_audit; nobody is a member'),
			('llm_audit_definer', 'owns security-definer functions of llm_audit; nobody is a member'),
			('llm_audit_copier', 'runs COPY FROM of writers; nobody is a member'),
			('llm_audit_writer', 'may record: INSERT into the ledgers of llm_audit, no SELECT'),
			('llm_audit_member', 'sees own activity'),
			('llm_audit_oncall', 'sees call metadata and errors'),
			('llm_audit_developer', 'sees anonymised technical fields'),
			('llm_audit_service_owner', 'sees metadata and errors of own services'),
			('llm_audit_security', 'sees event chains, addresses, admin events and access history'),
			('llm_audit_compliance', 'sees policies, holds, purges, disclosures and the access log'),
			('llm_audit_auditor', 'sees what compliance sees, and may verify'),
			('llm_audit_approver', 'decides disclosure requests'),
			('llm_audit_admin', 'configures llm_audit; every change is recorded')
		) AS v (name, purpose)
	LOOP
		PERFORM llm_audit.make_role(r.name);
		EXECUTE pg_catalog.format('COMMENT ON ROLE %I IS %L', r.name, r.purpose);
	END LOOP;
END
$$;
