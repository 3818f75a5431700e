-- What masking_version stands for: every state that field policies, rules and
-- dictionaries have had, so that of each row it can be told what was in force
-- when it was written.

CREATE TABLE llm_audit.masking_history (
	relation_name name NOT NULL,
	key text NOT NULL,
	changed_at timestamptz NOT NULL,
	changed_by name NOT NULL,
	definition jsonb
);
COMMENT ON TABLE llm_audit.masking_history IS
	'states of field_policy, mask_rule and dictionary; rows are only added, by triggers of these';
COMMENT ON COLUMN llm_audit.masking_history.relation_name IS
	'field_policy, mask_rule or dictionary';
COMMENT ON COLUMN llm_audit.masking_history.key IS
	'which: ledger id and column, or name';
COMMENT ON COLUMN llm_audit.masking_history.changed_at IS
	'from when on; the latest one that a row was under is in its masking_version';
COMMENT ON COLUMN llm_audit.masking_history.changed_by IS
	'session user who changed it';
COMMENT ON COLUMN llm_audit.masking_history.definition IS
	'the columns of its row from then on; NULL: there was none any more';
CREATE INDEX masking_history_key ON llm_audit.masking_history (relation_name, key, changed_at);
SELECT pg_catalog.pg_extension_config_dump('llm_audit.masking_history', '');

-- A row that a dump or replication brings keeps its time, and has its history
-- with it.  One that somebody inserts by hand may bear any time.
CREATE FUNCTION llm_audit.was_restored(changed_at timestamptz) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT changed_at < transaction_timestamp()
		AND (NOT llm_audit.changed_by_hand('', '{}') OR llm_audit.nothing_happened())
$$;
COMMENT ON FUNCTION llm_audit.was_restored(timestamptz) IS
	'whether a row of this time comes from a dump or by replication; part of masking_config_stamp() and masking_config_keep()';
REVOKE EXECUTE ON FUNCTION llm_audit.was_restored(timestamptz) FROM PUBLIC;

-- Changes take effect one after the other, and their times are in that order:
-- else a version could stand for a change that was not in force yet.
CREATE FUNCTION llm_audit.masking_config_stamp() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF TG_OP = 'INSERT' AND llm_audit.was_restored(NEW.changed_at) THEN
		RETURN NEW;				-- of a dump
	END IF;
	IF TG_TABLE_NAME = 'field_policy' THEN
		PERFORM llm_audit.check_field_pattern(NEW.column_name, NEW.pattern);
	END IF;
	LOCK TABLE llm_audit.masking_history IN SHARE ROW EXCLUSIVE MODE;
	NEW.changed_at := clock_timestamp();
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION llm_audit.masking_config_stamp() IS
	'trigger of field_policy, mask_rule and dictionary: when it was changed; a field policy whose pattern would fail every insert is refused';
REVOKE EXECUTE ON FUNCTION llm_audit.masking_config_stamp() FROM PUBLIC;

CREATE FUNCTION llm_audit.masking_config_keep() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	r jsonb := to_jsonb(CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END);
BEGIN
	IF TG_OP = 'INSERT' AND llm_audit.was_restored(NEW.changed_at) THEN
		RETURN NULL;			-- of a dump, which has its history too
	END IF;
	INSERT INTO llm_audit.masking_history
		SELECT TG_TABLE_NAME,
			coalesce(r ->> 'name', concat(r ->> 'ledger_id', '.', r ->> 'column_name')),
			CASE WHEN TG_OP = 'DELETE' THEN clock_timestamp() ELSE NEW.changed_at END,
			CASE WHEN TG_OP = 'DELETE' THEN session_user ELSE NEW.changed_by END,
			CASE WHEN TG_OP <> 'DELETE' THEN r - '{changed_at,changed_by}'::text[] END;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION llm_audit.masking_config_keep() IS
	'trigger of field_policy, mask_rule and dictionary: adds the new state to masking_history';
REVOKE EXECUTE ON FUNCTION llm_audit.masking_config_keep() FROM PUBLIC;

CREATE TRIGGER llm_audit_history AFTER INSERT OR UPDATE OR DELETE
	ON llm_audit.field_policy FOR EACH ROW EXECUTE FUNCTION llm_audit.masking_config_keep();
CREATE TRIGGER llm_audit_history AFTER INSERT OR UPDATE OR DELETE
	ON llm_audit.mask_rule FOR EACH ROW EXECUTE FUNCTION llm_audit.masking_config_keep();
CREATE TRIGGER llm_audit_history AFTER INSERT OR UPDATE OR DELETE
	ON llm_audit.dictionary FOR EACH ROW EXECUTE FUNCTION llm_audit.masking_config_keep();
ALTER TABLE llm_audit.field_policy ENABLE ALWAYS TRIGGER llm_audit_history;
ALTER TABLE llm_audit.mask_rule ENABLE ALWAYS TRIGGER llm_audit_history;
ALTER TABLE llm_audit.dictionary ENABLE ALWAYS TRIGGER llm_audit_history;
CREATE TRIGGER llm_audit_stamp BEFORE INSERT OR UPDATE
	ON llm_audit.field_policy FOR EACH ROW EXECUTE FUNCTION llm_audit.masking_config_stamp();
CREATE TRIGGER llm_audit_stamp BEFORE INSERT OR UPDATE
	ON llm_audit.mask_rule FOR EACH ROW EXECUTE FUNCTION llm_audit.masking_config_stamp();
CREATE TRIGGER llm_audit_stamp BEFORE INSERT OR UPDATE
	ON llm_audit.dictionary FOR EACH ROW EXECUTE FUNCTION llm_audit.masking_config_stamp();

-- Without a state that was, a version would stand for another one.
CREATE TRIGGER llm_audit_guard BEFORE UPDATE OR DELETE OR TRUNCATE
	ON llm_audit.masking_history FOR EACH STATEMENT
	EXECUTE FUNCTION llm_audit.guard_kept_rows();
ALTER TABLE llm_audit.masking_history ENABLE ALWAYS TRIGGER llm_audit_guard;

CREATE FUNCTION llm_audit.masking_in_force(masking_version text,
		ledger regclass DEFAULT NULL)
	RETURNS TABLE (kind text, ledger_name text, name text, since timestamptz,
		changed_by name, definition jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	parts text[] := regexp_match(masking_version, '^(\d+)(?:-(\d{8}T\d{6}\.\d{6}Z))?$');
	at timestamptz := coalesce(parts[2]::timestamptz, '-infinity');
BEGIN
	IF parts IS NULL THEN
		RAISE EXCEPTION 'masking_version is not one that a row could have'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	RETURN QUERY
	SELECT 'scanner', NULL::text, parts[1], NULL::timestamptz, NULL::name, NULL::jsonb
	UNION ALL
	(SELECT h.relation_name::text, CASE WHEN l.ledger_id IS NOT NULL THEN format('%I.%I', l.schema_name, l.relation_name) END,
			coalesce(h.definition ->> 'name', h.definition ->> 'column_name'),
			h.changed_at, h.changed_by, h.definition - '{ledger_id,name}'::text[]
		FROM (SELECT DISTINCT ON (m.relation_name, m.key) m.*
			FROM llm_audit.masking_history AS m WHERE m.changed_at <= at
			ORDER BY m.relation_name, m.key, m.changed_at DESC) AS h
		LEFT JOIN llm_audit.ledger AS l ON l.ledger_id = (h.definition ->> 'ledger_id')::uuid
		WHERE h.definition IS NOT NULL
			AND coalesce((h.definition ->> 'active')::boolean, true)
			AND (masking_in_force.ledger IS NULL OR h.definition ->> 'ledger_id' IS NULL
				OR l.ledger_id = (SELECT o.ledger_id FROM llm_audit.ledger_of(masking_in_force.ledger) AS o))
		ORDER BY 1, 2, 3);
END
$$;
COMMENT ON FUNCTION llm_audit.masking_in_force(text, regclass) IS
	'what a masking_version stands for: the scanner''s version, and the field policies, mask rules and dictionaries that were in force, of one ledger or (NULL) of all, since when and by whom; for llm_audit_admin, _security, _compliance and _auditor';
REVOKE EXECUTE ON FUNCTION llm_audit.masking_in_force(text, regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.masking_in_force(text, regclass)
	TO llm_audit_admin, llm_audit_security, llm_audit_compliance, llm_audit_auditor;
