-- Retention policies: how long rows are kept.  The table is part of the
-- registry, since the insert trigger reads it; who changes it, and how, is
-- here.  Semantics are S3 Object Lock's.

CREATE FUNCTION llm_audit.retention_expiry(for_ledger uuid, environment text,
		data_class text, recorded_at timestamptz) RETURNS timestamptz
	LANGUAGE c STABLE STRICT
	AS 'MODULE_PATHNAME', 'llm_audit_retention_expiry';
COMMENT ON FUNCTION llm_audit.retention_expiry(uuid, text, text, timestamptz) IS
	'until when the policies of now keep a row that was recorded then; infinity: for ever; environment empty: of a ledger without environments; data_class *: none';
REVOKE EXECUTE ON FUNCTION llm_audit.retention_expiry(uuid, text, text, timestamptz)
	FROM PUBLIC;

-- Months differ in length, so periods are compared over four years of days.
CREATE FUNCTION llm_audit.period_shorter(new interval, old interval)
	RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE WHEN new IS NULL THEN false WHEN old IS NULL THEN true
		ELSE EXISTS (SELECT FROM generate_series(timestamp '2023-01-01',
				timestamp '2026-12-31', interval '1 day') AS d
			WHERE d + new < d + old) END
$$;
COMMENT ON FUNCTION llm_audit.period_shorter(interval, interval) IS
	'whether the first period ends before the second from some day on; NULL: for ever';
REVOKE EXECUTE ON FUNCTION llm_audit.period_shorter(interval, interval) FROM PUBLIC;

CREATE FUNCTION llm_audit.below_minimum(l llm_audit.ledger, period interval)
	RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT l.builtin AND l.role IS DISTINCT FROM 'llm_content'
		AND llm_audit.period_shorter(period, interval '90 days')
$$;
COMMENT ON FUNCTION llm_audit.below_minimum(llm_audit.ledger, interval) IS
	'whether a period is too short for a ledger: built-in ones keep everything but content for at least 90 days';
REVOKE EXECUTE ON FUNCTION llm_audit.below_minimum(llm_audit.ledger, interval) FROM PUBLIC;

-- Compliance mode and the minimum are kept here, and not in set_retention()
-- only, so that statements by hand meet them too.
CREATE FUNCTION llm_audit.guard_retention_policy() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF TG_OP = 'TRUNCATE' THEN
		IF EXISTS (SELECT FROM llm_audit.retention_policy p WHERE p.mode = 'compliance') THEN
			RAISE EXCEPTION 'a retention policy in compliance mode cannot be removed'
				USING ERRCODE = 'insufficient_privilege';
		END IF;
		RETURN NULL;
	ELSIF TG_OP <> 'DELETE' AND (SELECT llm_audit.below_minimum(l, NEW.period)
		FROM llm_audit.ledger l WHERE l.ledger_id = NEW.ledger_id)
	THEN
		RAISE EXCEPTION 'rows of this ledger are kept for at least 90 days'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF TG_OP = 'INSERT' THEN
		RETURN NEW;
	ELSIF OLD.mode <> 'compliance' THEN
		RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
	ELSIF TG_OP = 'DELETE' THEN
		RAISE EXCEPTION 'a retention policy in compliance mode cannot be removed'
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = 'Nobody can, until the rows that it protects have expired and the database is given up.';
	ELSIF NEW.mode <> 'compliance' THEN
		RAISE EXCEPTION 'a retention policy in compliance mode stays in it'
			USING ERRCODE = 'insufficient_privilege',
				HINT = 'To lengthen it, say mode => ''compliance''.';
	ELSIF (NEW.ledger_id, NEW.environment, NEW.data_class)
			IS DISTINCT FROM (OLD.ledger_id, OLD.environment, OLD.data_class)
		OR llm_audit.period_shorter(NEW.period, OLD.period)
		OR OLD.archive_before_purge AND NOT NEW.archive_before_purge
	THEN
		RAISE EXCEPTION 'a retention policy in compliance mode can only be made stricter'
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION llm_audit.guard_retention_policy() IS
	'trigger of retention_policy: nobody weakens a policy in compliance mode, or keeps rows of a built-in ledger for less than the minimum';
REVOKE EXECUTE ON FUNCTION llm_audit.guard_retention_policy() FROM PUBLIC;

CREATE TRIGGER llm_audit_compliance BEFORE INSERT OR UPDATE OR DELETE
	ON llm_audit.retention_policy FOR EACH ROW
	EXECUTE FUNCTION llm_audit.guard_retention_policy();
CREATE TRIGGER llm_audit_compliance_truncate BEFORE TRUNCATE
	ON llm_audit.retention_policy FOR EACH STATEMENT
	EXECUTE FUNCTION llm_audit.guard_retention_policy();
ALTER TABLE llm_audit.retention_policy
	ENABLE ALWAYS TRIGGER llm_audit_compliance,
	ENABLE ALWAYS TRIGGER llm_audit_compliance_truncate;

-- The ledger that a policy in compliance mode is for keeps its identity: under
-- another one nothing would protect it.
CREATE FUNCTION llm_audit.guard_ledger() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF (TG_OP = 'DELETE' OR (NEW.ledger_id, NEW.schema_name, NEW.relation_name)
			IS DISTINCT FROM (OLD.ledger_id, OLD.schema_name, OLD.relation_name))
		AND EXISTS (SELECT FROM llm_audit.retention_policy p
			WHERE p.ledger_id = OLD.ledger_id AND p.mode = 'compliance')
	THEN
		RAISE EXCEPTION 'a retention policy in compliance mode cannot be removed'
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = 'Its ledger keeps its place in the registry.';
	END IF;
	RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;
COMMENT ON FUNCTION llm_audit.guard_ledger() IS
	'trigger of ledger: a ledger with a policy in compliance mode stays registered as what it is';
REVOKE EXECUTE ON FUNCTION llm_audit.guard_ledger() FROM PUBLIC;

CREATE TRIGGER llm_audit_compliance BEFORE UPDATE OR DELETE
	ON llm_audit.ledger FOR EACH ROW EXECUTE FUNCTION llm_audit.guard_ledger();
ALTER TABLE llm_audit.ledger ENABLE ALWAYS TRIGGER llm_audit_compliance;

-- So do its segments: as one of another environment, or of another time, a
-- segment would be under another policy.
CREATE FUNCTION llm_audit.guard_ledger_segment() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF TG_OP = 'UPDATE' AND (NEW.ledger_id, NEW.segment, NEW.schema_name, NEW.relation_name,
			NEW.environment, NEW.lower, NEW.upper, NEW.is_default)
			IS NOT DISTINCT FROM (OLD.ledger_id, OLD.segment, OLD.schema_name, OLD.relation_name,
			OLD.environment, OLD.lower, OLD.upper, OLD.is_default)
	THEN
		RETURN NEW;
	ELSIF EXISTS (SELECT FROM llm_audit.retention_policy p WHERE p.mode = 'compliance'
		AND (TG_OP = 'TRUNCATE' OR p.ledger_id = OLD.ledger_id))
	THEN
		RAISE EXCEPTION '%', CASE TG_OP WHEN 'UPDATE'
				THEN 'segments under a retention policy in compliance mode stay registered as what they are'
				ELSE 'a retention policy in compliance mode cannot be removed' END
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = 'The segments of its ledger keep their place in the registry.';
	END IF;
	RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;
COMMENT ON FUNCTION llm_audit.guard_ledger_segment() IS
	'trigger of ledger_segment: segments of a ledger with a policy in compliance mode stay registered as what they are';
REVOKE EXECUTE ON FUNCTION llm_audit.guard_ledger_segment() FROM PUBLIC;

CREATE TRIGGER llm_audit_compliance BEFORE UPDATE OR DELETE
	ON llm_audit.ledger_segment FOR EACH ROW
	EXECUTE FUNCTION llm_audit.guard_ledger_segment();
CREATE TRIGGER llm_audit_compliance_truncate BEFORE TRUNCATE
	ON llm_audit.ledger_segment FOR EACH STATEMENT
	EXECUTE FUNCTION llm_audit.guard_ledger_segment();
ALTER TABLE llm_audit.ledger_segment
	ENABLE ALWAYS TRIGGER llm_audit_compliance,
	ENABLE ALWAYS TRIGGER llm_audit_compliance_truncate;

-- Whether a change of a configuration table was made by hand: not by one of
-- the functions that record what they do, not by replication, which brings the
-- publisher's event too, and not while a whole dump is restored.
CREATE FUNCTION llm_audit.changed_by_hand(stack text, doors text[])
	RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT NOT EXISTS (SELECT FROM unnest(doors) AS d WHERE strpos(stack, 'llm_audit.' || d || '(') > 0)
		AND NOT EXISTS (SELECT FROM pg_stat_get_activity(pg_backend_pid()) AS a
			WHERE a.backend_type LIKE 'logical replication%')
		AND EXISTS (SELECT FROM pg_trigger t
			WHERE t.tgrelid = to_regclass('llm_audit.admin_event') AND t.tgname = 'llm_audit_insert')
$$;
COMMENT ON FUNCTION llm_audit.changed_by_hand(text, text[]) IS
	'whether a change is due to none of these functions, by the call stack of its trigger; part of the triggers that record changes';
REVOKE EXECUTE ON FUNCTION llm_audit.changed_by_hand(text, text[]) FROM PUBLIC;

-- A change by hand may bear any time.  It is taken for a part of a dump only
-- while nothing has happened yet in this database, not even a segment made;
-- size tells, since a read would be recorded.
CREATE FUNCTION llm_audit.nothing_happened() RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT NOT EXISTS (SELECT FROM pg_partition_tree(to_regclass('llm_audit.segment_event')) AS t
		WHERE t.isleaf AND pg_relation_size(t.relid) > 0)
$$;
COMMENT ON FUNCTION llm_audit.nothing_happened() IS
	'whether segment_event is still without a row, as in a database into which data alone are being restored; part of the triggers that record changes';
REVOKE EXECUTE ON FUNCTION llm_audit.nothing_happened() FROM PUBLIC;

-- ---------------- periods of fields ----------------

CREATE FUNCTION llm_audit.in_compliance(for_ledger uuid) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (SELECT FROM llm_audit.retention_policy p
		WHERE p.ledger_id = for_ledger AND p.mode = 'compliance')
$$;
COMMENT ON FUNCTION llm_audit.in_compliance(uuid) IS
	'whether a ledger has a retention policy in compliance mode';
REVOKE EXECUTE ON FUNCTION llm_audit.in_compliance(uuid) FROM PUBLIC;

-- Periods of fields are not stamped: a shorter one erases what is there.
CREATE FUNCTION llm_audit.check_field_period(l llm_audit.ledger,
		p llm_audit.field_policy, was interval, bypass boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	name text := format('%I.%I', l.schema_name, l.relation_name);
BEGIN
	IF NOT EXISTS (SELECT FROM llm_audit.ledger_column k WHERE k.ledger_id = p.ledger_id
		AND k.column_name = p.column_name AND k.erasable)
	THEN
		RAISE EXCEPTION 'column "%" of ledger "%" cannot have a period of its own', p.column_name, name
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'It is not erasable: its values go with their rows.';
	ELSIF llm_audit.below_minimum(l, p.period) THEN
		RAISE EXCEPTION 'values of ledger "%" are kept for at least 90 days', name
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF NOT llm_audit.period_shorter(p.period, was) THEN
		RETURN;
	ELSIF llm_audit.in_compliance(p.ledger_id) THEN
		RAISE EXCEPTION 'values of column "%" of ledger "%" would be kept less long than now', p.column_name, name
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = 'The ledger has a retention policy in compliance mode.';
	ELSIF NOT coalesce(bypass, false) THEN
		RAISE EXCEPTION 'values of column "%" of ledger "%" would be kept less long than now', p.column_name, name
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = 'That erases values which are there already.',
				HINT = 'If that is meant, say bypass => true and give a reason.';
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.check_field_period(llm_audit.ledger, llm_audit.field_policy, interval, boolean) IS
	'raises an error that says why a column cannot have a period of its own, if it cannot; part of set_field_policy()';
REVOKE EXECUTE ON FUNCTION llm_audit.check_field_period(llm_audit.ledger, llm_audit.field_policy, interval, boolean)
	FROM PUBLIC;

-- What set_field_policy() checks, for statements by hand.  An INSERT that is to
-- become an UPDATE meets it as that; one of setup() is for a new column.
CREATE FUNCTION llm_audit.guard_field_period() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	p llm_audit.field_policy := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
	stack text;
BEGIN
	GET DIAGNOSTICS stack = PG_CONTEXT;
	IF TG_OP = 'UPDATE' THEN
		IF llm_audit.in_compliance(OLD.ledger_id) AND (llm_audit.period_shorter(NEW.period, OLD.period)
			OR (NEW.ledger_id, NEW.column_name) IS DISTINCT FROM (OLD.ledger_id, OLD.column_name))
		THEN
			RAISE EXCEPTION 'a column''s period in compliance mode can only be made longer'
				USING ERRCODE = 'insufficient_privilege';
		END IF;
	ELSIF TG_OP = 'DELETE' THEN
		IF llm_audit.in_compliance(OLD.ledger_id) THEN
			RAISE EXCEPTION 'field policies of a ledger in compliance mode cannot be removed'
				USING ERRCODE = 'insufficient_privilege';
		END IF;
		RETURN OLD;
	ELSIF NEW.period IS NOT NULL AND llm_audit.in_compliance(NEW.ledger_id)
		AND NOT EXISTS (SELECT FROM llm_audit.field_policy f
			WHERE f.ledger_id = NEW.ledger_id AND f.column_name = NEW.column_name)
		AND llm_audit.changed_by_hand(stack, '{install_field_policies}')
		AND NOT llm_audit.nothing_happened()
	THEN
		RAISE EXCEPTION 'a column''s period in compliance mode can only be made longer'
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	IF (SELECT llm_audit.below_minimum(l, p.period) FROM llm_audit.ledger l WHERE l.ledger_id = p.ledger_id) THEN
		RAISE EXCEPTION 'values of this ledger are kept for at least 90 days'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION llm_audit.guard_field_period() IS
	'trigger of field_policy: nobody shortens a column''s period where a retention policy is in compliance mode, or below the minimum of built-in ledgers';
REVOKE EXECUTE ON FUNCTION llm_audit.guard_field_period() FROM PUBLIC;

CREATE TRIGGER llm_audit_compliance BEFORE INSERT OR UPDATE OR DELETE
	ON llm_audit.field_policy FOR EACH ROW
	EXECUTE FUNCTION llm_audit.guard_field_period();
ALTER TABLE llm_audit.field_policy ENABLE ALWAYS TRIGGER llm_audit_compliance;

-- ---------------- changes of policies ----------------

-- Changes by hand are events too.  set_retention() records its own, with what
-- it means in effect.
CREATE FUNCTION llm_audit.record_retention_policy() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET IntervalStyle = 'postgres'
AS $$
DECLARE
	p llm_audit.retention_policy := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
	shorter boolean := TG_OP <> 'UPDATE' OR llm_audit.period_shorter(NEW.period, OLD.period);
	stack text;
BEGIN
	GET DIAGNOSTICS stack = PG_CONTEXT;
	IF (TG_OP <> 'INSERT' OR NEW.changed_at >= now() OR NOT llm_audit.nothing_happened())
		AND EXISTS (SELECT FROM llm_audit.ledger l WHERE l.ledger_id = p.ledger_id)
		AND llm_audit.changed_by_hand(stack, '{set_retention,enroll}')
	THEN
		PERFORM llm_audit.record_own_event(
			CASE WHEN shorter THEN 'retention_policy.shortened' ELSE 'retention_policy.changed' END,
			'retention_policy', (SELECT format('%I.%I', l.schema_name, l.relation_name)
				FROM llm_audit.ledger l WHERE l.ledger_id = p.ledger_id),
			'changed by hand, without set_retention()',
			jsonb_build_object('environment', p.environment, 'data_class', p.data_class,
				'was', CASE WHEN TG_OP <> 'INSERT' THEN OLD.period END,
				'period', CASE WHEN TG_OP <> 'DELETE' THEN NEW.period END));
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION llm_audit.record_retention_policy() IS
	'trigger of retention_policy: records what was changed by hand';
REVOKE EXECUTE ON FUNCTION llm_audit.record_retention_policy() FROM PUBLIC;

CREATE TRIGGER llm_audit_record AFTER INSERT OR UPDATE OR DELETE
	ON llm_audit.retention_policy FOR EACH ROW
	EXECUTE FUNCTION llm_audit.record_retention_policy();
ALTER TABLE llm_audit.retention_policy ENABLE ALWAYS TRIGGER llm_audit_record;

-- When rows of each environment and data class would expire that were
-- recorded at either end of a month: to see what a change does in effect.
CREATE FUNCTION llm_audit.retention_effect(for_ledger uuid) RETURNS timestamptz[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT array_agg(llm_audit.retention_expiry(for_ledger, e.name, c.name, d.at)
			ORDER BY e.name, c.name, d.at)
		FROM (SELECT name FROM llm_audit.environment UNION ALL SELECT '') AS e
		CROSS JOIN unnest('{*,public,internal,personal,banking_secrecy}'::text[]) AS c (name)
		CROSS JOIN (SELECT (m + o) AT TIME ZONE 'UTC' FROM generate_series(timestamp '2023-01-01',
				timestamp '2024-12-01', interval '1 month') AS m
			CROSS JOIN (VALUES (interval '0'), (interval '1 month -1 day')) AS v (o)) AS d (at)
$$;
COMMENT ON FUNCTION llm_audit.retention_effect(uuid) IS
	'until when rows of all kinds are kept by the policies of now, to compare with before; part of set_retention()';
REVOKE EXECUTE ON FUNCTION llm_audit.retention_effect(uuid) FROM PUBLIC;

CREATE FUNCTION llm_audit.check_retention(l llm_audit.ledger,
		p llm_audit.retention_policy) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	name text := format('%I.%I', l.schema_name, l.relation_name);
BEGIN
	IF l.builtin AND l.relation_name IN ('segment_event', 'purge_receipt', 'erase_receipt') THEN
		RAISE EXCEPTION 'ledger "%" is kept for ever', name
			USING ERRCODE = 'invalid_parameter_value',
				DETAIL = 'Without it nobody could tell a purge from a loss.';
	ELSIF p.environment <> '*' AND (NOT l.partitioned OR NOT EXISTS (
			SELECT FROM llm_audit.environment e WHERE e.name = p.environment))
	THEN
		RAISE EXCEPTION 'ledger "%" has no such environment', name
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'The environments are in llm_audit.environment; null stands for all.';
	ELSIF p.data_class NOT IN ('*', 'public', 'internal', 'personal', 'banking_secrecy') THEN
		RAISE EXCEPTION 'data_class must be public, internal, personal or banking_secrecy, or null for all'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF p.mode IS NULL OR p.mode NOT IN ('governance', 'compliance') THEN
		RAISE EXCEPTION 'mode must be governance or compliance'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF p.purge_unit NOT IN ('segment', 'row') THEN
		RAISE EXCEPTION 'purge_unit must be segment or row'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF NOT llm_audit.valid_period(p.period) THEN
		RAISE EXCEPTION 'period must be positive in all of its parts and at most 1000 years, or null for ever'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF llm_audit.below_minimum(l, p.period) THEN
		RAISE EXCEPTION 'rows of ledger "%" are kept for at least 90 days', name
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.check_retention(llm_audit.ledger, llm_audit.retention_policy) IS
	'raises an error that says why a ledger cannot have a retention policy, if it cannot';
REVOKE EXECUTE ON FUNCTION llm_audit.check_retention(llm_audit.ledger, llm_audit.retention_policy)
	FROM PUBLIC;

-- Data keys go with the segment, so an archive's encrypted values cannot be
-- read when it would be needed.
CREATE FUNCTION llm_audit.warn_of_sealed_archives(l llm_audit.ledger)
	RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	columns text := (SELECT string_agg(format('"%s"', p.column_name), ', ' ORDER BY p.column_name)
		FROM llm_audit.field_policy p WHERE p.ledger_id = l.ledger_id AND p.encrypt);
BEGIN
	IF columns IS NOT NULL AND EXISTS (SELECT FROM llm_audit.retention_policy p
		WHERE p.ledger_id = l.ledger_id AND p.archive_before_purge)
	THEN
		RAISE WARNING 'encrypted values in archives of ledger "%" cannot be read after the purge', l.relation_name
			USING DETAIL = format('Encrypted at rest: %s. A purge destroys the data keys of its segment, and archives do not have them.', columns),
				HINT = 'Keep rows for as long as their text may be needed, or do not encrypt what archives have to show.';
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.warn_of_sealed_archives(llm_audit.ledger) IS
	'warns if rows of a ledger are archived before a purge while some of its columns are encrypted at rest; part of set_retention() and set_field_policy()';
REVOKE EXECUTE ON FUNCTION llm_audit.warn_of_sealed_archives(llm_audit.ledger) FROM PUBLIC;

CREATE FUNCTION llm_audit.set_retention(ledger regclass, environment text,
		data_class text, period interval, mode text DEFAULT 'governance',
		bypass boolean DEFAULT false, reason text DEFAULT NULL,
		purge_unit text DEFAULT NULL, archive_before_purge boolean DEFAULT NULL)
	RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET IntervalStyle = 'postgres'
AS $$
#variable_conflict use_variable
DECLARE
	l llm_audit.ledger;
	old llm_audit.retention_policy;
	new llm_audit.retention_policy;
	before timestamptz[];
	after timestamptz[];
	weaker boolean;
BEGIN
	SELECT r.* INTO l FROM llm_audit.ledger r
		WHERE r.ledger_id = (SELECT o.ledger_id FROM llm_audit.ledger_of(ledger) o)
		FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION '"%" is not a ledger', ledger
			USING ERRCODE = 'wrong_object_type';
	END IF;
	SELECT p.* INTO old FROM llm_audit.retention_policy p
		WHERE p.ledger_id = l.ledger_id AND p.environment = coalesce(set_retention.environment, '*')
			AND p.data_class = coalesce(set_retention.data_class, '*');
	new := ROW(l.ledger_id, coalesce(environment, '*'), coalesce(data_class, '*'), period, mode,
		coalesce(purge_unit, old.purge_unit, 'segment'),
		coalesce(archive_before_purge, old.archive_before_purge, false),
		reason, clock_timestamp(), session_user);
	PERFORM llm_audit.check_retention(l, new);

	before := llm_audit.retention_effect(l.ledger_id);
	INSERT INTO llm_audit.retention_policy VALUES (new.*)
		ON CONFLICT ON CONSTRAINT retention_policy_pkey DO UPDATE
		SET period = EXCLUDED.period, mode = EXCLUDED.mode, purge_unit = EXCLUDED.purge_unit,
			archive_before_purge = EXCLUDED.archive_before_purge, reason = EXCLUDED.reason,
			changed_at = EXCLUDED.changed_at, changed_by = EXCLUDED.changed_by;
	after := llm_audit.retention_effect(l.ledger_id);
	weaker := coalesce(old.archive_before_purge, false) AND NOT new.archive_before_purge
		OR EXISTS (SELECT FROM unnest(before, after) AS u (b, a) WHERE u.a < u.b);
	IF weaker AND NOT coalesce(bypass, false) THEN
		RAISE EXCEPTION 'rows of ledger "%" would be kept less long than now', ledger
			USING ERRCODE = 'insufficient_privilege',
				HINT = 'If that is meant, say bypass => true and give a reason.';
	ELSIF weaker THEN
		PERFORM llm_audit.require_reason(reason, format('keep rows of ledger "%s" less long', ledger));
	END IF;
	PERFORM llm_audit.record_own_event(
		CASE WHEN weaker THEN 'retention_policy.shortened'
			WHEN after <> before THEN 'retention_policy.extended'
			ELSE 'retention_policy.changed' END,
		'retention_policy', ledger::text, reason,
		jsonb_build_object('environment', new.environment, 'data_class', new.data_class,
			'was', old.period, 'period', new.period, 'mode', new.mode,
			'purge_unit', new.purge_unit, 'archive_before_purge', new.archive_before_purge));
	IF new.archive_before_purge THEN
		PERFORM llm_audit.warn_of_sealed_archives(l);
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.set_retention(regclass, text, text, interval, text, boolean, text, text, boolean) IS
	'sets how long rows are kept that are recorded from now on, and keeps older ones longer if that is later; environment and data_class NULL: all; period NULL: for ever; shortening needs bypass and a reason, and is refused in compliance mode; recorded; for llm_audit_admin';
REVOKE EXECUTE ON FUNCTION llm_audit.set_retention(regclass, text, text, interval, text, boolean, text, text, boolean)
	FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.set_retention(regclass, text, text, interval, text, boolean, text, text, boolean)
	TO llm_audit_admin;

CREATE FUNCTION llm_audit.retention_report()
	RETURNS TABLE (ledger text, environment text, data_class text,
		period interval, mode text, purge_unit text,
		archive_before_purge boolean, reason text, changed_at timestamptz,
		changed_by name)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('%I.%I', l.schema_name, l.relation_name), p.environment, p.data_class,
		p.period, p.mode, p.purge_unit, p.archive_before_purge, p.reason, p.changed_at,
		p.changed_by
	FROM llm_audit.retention_policy p JOIN llm_audit.ledger l USING (ledger_id)
	ORDER BY 1, 2, 3
$$;
COMMENT ON FUNCTION llm_audit.retention_report() IS
	'retention policies in force; period NULL: for ever; * stands for all';
REVOKE EXECUTE ON FUNCTION llm_audit.retention_report() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.retention_report()
	TO llm_audit_admin, llm_audit_compliance, llm_audit_auditor;
