-- Legal holds: what is kept whatever its policy says.  Which rows of a
-- segment are held is answered for all holds at once, by joins that lead
-- from the holds to the rows.

CREATE FUNCTION llm_audit.parse_time(value text) RETURNS timestamptz
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN value::timestamptz;
EXCEPTION WHEN data_exception THEN
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION llm_audit.parse_time(text) IS
	'the time that a text says; NULL if it says none';
REVOKE EXECUTE ON FUNCTION llm_audit.parse_time(text) FROM PUBLIC;

-- The window of an incident.  A time that cannot be read for certain (not ISO,
-- a number, masked) must not make the freeze miss what it is meant for: there
-- the window has no end, as if its ends are the wrong way round.
CREATE FUNCTION llm_audit.incident_window(scope jsonb, occurred_at timestamptz,
		OUT occurred_from timestamptz, OUT occurred_to timestamptz)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
-- what is frozen must not depend on who asks, nor on when
SET TimeZone = 'UTC'
SET DateStyle = 'ISO, MDY'
AS $$
DECLARE
	iso text := '^(\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?)? ?(Z|UTC|[+-]\d\d(:?\d\d)?)?)$';
BEGIN
	occurred_from := coalesce(llm_audit.parse_time(substring(scope ->> 'occurred_from' FROM iso)), '-infinity');
	occurred_to := coalesce(llm_audit.parse_time(substring(scope ->> 'occurred_to' FROM iso)), 'infinity');
	IF scope ->> 'occurred_from' IS NULL THEN
		occurred_from := least(occurred_to, occurred_at) - interval '1 day';
	END IF;
	IF scope ->> 'occurred_to' IS NULL THEN
		occurred_to := greatest(occurred_from, occurred_at) + interval '1 day';
	END IF;
	IF occurred_from >= occurred_to THEN
		occurred_from := '-infinity';
		occurred_to := 'infinity';
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.incident_window(jsonb, timestamptz) IS
	'the window that an incident names, else a day before and after it; no end where a time cannot be read or both are the wrong way round; part of open_incidents()';
REVOKE EXECUTE ON FUNCTION llm_audit.incident_window(jsonb, timestamptz) FROM PUBLIC;

-- An incident is open until its last word in its environment is that it was
-- resolved or closed, by somebody who could release a hold.  Where masking has
-- taken what was to limit the freeze, it is not limited.
CREATE FUNCTION llm_audit.open_incidents()
	RETURNS TABLE (event_id uuid, incident_id text, environment text,
		organization_id text, service_name text, occurred_from timestamptz,
		occurred_to timestamptz, reported_at timestamptz, reported_by text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
-- over years of segments, compiling takes longer than looking
SET jit = off
AS $$
	SELECT e.id, e.incident_id, e.environment,
		CASE WHEN e."after" ->> 'organization_id' !~ '[<>]' THEN e."after" ->> 'organization_id' END,
		CASE WHEN e."after" ->> 'service_name' !~ '[<>]' THEN e."after" ->> 'service_name' END,
		w.occurred_from, w.occurred_to, e.recorded_at, e.actor_id
	FROM llm_audit.admin_event e
	CROSS JOIN LATERAL llm_audit.incident_window(e."after", e.occurred_at) w
	WHERE e.category = 'incident' AND e.incident_id IS NOT NULL
		AND e.action = 'incident.reported'
		AND (SELECT s.action IN ('incident.reported', 'incident.reopened')
			FROM llm_audit.admin_event s
			WHERE s.category = 'incident' AND s.incident_id = e.incident_id
				AND s.environment = e.environment
				AND (s.action IN ('incident.reported', 'incident.reopened')
					OR s.action IN ('incident.resolved', 'incident.closed')
					AND EXISTS (SELECT FROM pg_roles r WHERE r.rolname = s.recorded_by
						AND pg_has_role(r.oid, 'llm_audit_compliance', 'MEMBER')))
			ORDER BY s.recorded_at DESC, s.id DESC LIMIT 1)
$$;
COMMENT ON FUNCTION llm_audit.open_incidents() IS
	'reported incidents that nobody with llm_audit_compliance has resolved or closed, with the window that each freezes';
REVOKE EXECUTE ON FUNCTION llm_audit.open_incidents() FROM PUBLIC;

CREATE FUNCTION llm_audit.close_incident(incident_id text, environment text,
		reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
BEGIN
	IF coalesce(btrim(reason), '') = '' THEN
		RAISE EXCEPTION 'a reason is needed to close an incident'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF NOT EXISTS (SELECT FROM llm_audit.open_incidents() i
		WHERE i.incident_id = close_incident.incident_id AND i.environment = close_incident.environment)
	THEN
		RAISE EXCEPTION 'there is no such open incident'
			USING ERRCODE = 'undefined_object', HINT = 'See llm_audit.hold_report().';
	END IF;
	INSERT INTO llm_audit.admin_event (occurred_at, action, actor_id, actor_type,
			environment, target_type, target_id, incident_id, outcome, reason)
		VALUES (clock_timestamp(), 'incident.closed', session_user, 'human', environment,
			'incident', incident_id, incident_id, 'success', reason);
END
$$;
COMMENT ON FUNCTION llm_audit.close_incident(text, text, text) IS
	'closes an open incident in an environment, which ends its freeze; reason: why; raises 22023 without a reason and 42704 if there is none; recorded; for llm_audit_compliance';
REVOKE EXECUTE ON FUNCTION llm_audit.close_incident(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.close_incident(text, text, text) TO llm_audit_compliance;

-- Holds in force, and incidents as holds.
CREATE FUNCTION llm_audit.active_holds() RETURNS SETOF llm_audit.legal_hold
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT h.* FROM llm_audit.legal_hold h
	WHERE h.released_at IS NULL AND (h.until IS NULL OR h.until > clock_timestamp())
	UNION ALL
	SELECT i.event_id, i.incident_id, 'open incident',
		jsonb_strip_nulls(jsonb_build_object('environment', i.environment,
			'organization_id', i.organization_id, 'service_name', i.service_name,
			'occurred_from', i.occurred_from, 'occurred_to', i.occurred_to)),
		NULL, NULL, NULL, NULL, NULL, NULL, i.organization_id, i.environment, i.service_name,
		NULL, i.occurred_from, i.occurred_to, NULL, i.reported_at, i.reported_by::name,
		NULL, NULL, NULL, NULL
	FROM llm_audit.open_incidents() i
$$;
COMMENT ON FUNCTION llm_audit.active_holds() IS
	'legal holds in force now, and the freezes around open incidents';
REVOKE EXECUTE ON FUNCTION llm_audit.active_holds() FROM PUBLIC;

-- What a name can stand as in a ledger.  A column's policy may keep more than
-- mask() leaves, it may have been another one when a row was written, and
-- masking may have been off; a name too many only holds more.
CREATE FUNCTION llm_audit.hold_names(value text, kind text) RETURNS text[]
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	masked text;
BEGIN
	IF value IS NULL THEN
		RETURN NULL;
	ELSIF llm_audit.key_problem() IS NULL THEN
		masked := llm_audit.mask(value);
		RETURN ARRAY(SELECT DISTINCT n FROM unnest(llm_audit.pseudonym(value, kind)
			|| ARRAY[value, nullif(masked, '<WITHHELD>')]) AS n WHERE n IS NOT NULL);
	ELSIF llm_audit.setting('masking')::boolean THEN
		RAISE EXCEPTION 'a person cannot be held without a key: rows have pseudonyms'
			USING ERRCODE = 'config_file_error', HINT = llm_audit.key_problem();
	END IF;
	RETURN ARRAY[value];
END
$$;
COMMENT ON FUNCTION llm_audit.hold_names(text, text) IS
	'what a value can stand as in a column of this name: pseudonyms under all live keys, itself, and what masking makes of it';
REVOKE EXECUTE ON FUNCTION llm_audit.hold_names(text, text) FROM PUBLIC;

-- What the scope of a hold, and the event of its placing, say of a person.
CREATE FUNCTION llm_audit.shown_names(names text[], value text, hashed boolean)
	RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE WHEN cardinality(names) > 1 AND (hashed OR llm_audit.mask(value) <> value)
			AND split_part(value, ':', 1) <> ALL (llm_audit.key_ids())
		THEN to_jsonb(array_remove(names, value)) ELSE to_jsonb(names) END
$$;
COMMENT ON FUNCTION llm_audit.shown_names(text[], text, boolean) IS
	'names for which a hold looks without the person''s own, where rows do not have it either; part of place_hold()';
REVOKE EXECUTE ON FUNCTION llm_audit.shown_names(text[], text, boolean) FROM PUBLIC;

-- A key that is gone again when somebody asks would be forgotten, so the keys
-- are noted wherever holds matter.
CREATE FUNCTION llm_audit.note_keys() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF llm_audit.key_problem() IS NULL THEN
		INSERT INTO llm_audit.seen_key (key_id)
			SELECT k FROM unnest(llm_audit.key_ids()) AS k
			WHERE NOT EXISTS (SELECT FROM llm_audit.seen_key s WHERE s.key_id = k)
			ON CONFLICT DO NOTHING;
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.note_keys() IS
	'notes in seen_key which keys are live; part of place_hold(), close_segment() and purge()';
REVOKE EXECUTE ON FUNCTION llm_audit.note_keys() FROM PUBLIC;

-- Under a key that came after the hold nobody can tell whose a pseudonym is.
CREATE FUNCTION llm_audit.later_keys(h llm_audit.legal_hold) RETURNS text[]
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE WHEN h.key_ids IS NULL THEN '{}' ELSE
		ARRAY(SELECT k.key_id FROM llm_audit.seen_key k
			WHERE k.first_seen >= h.placed_at AND k.key_id <> ALL (h.key_ids)) END
$$;
COMMENT ON FUNCTION llm_audit.later_keys(llm_audit.legal_hold) IS
	'keys that came after a hold that names a person: all pseudonyms under these are held until the hold is placed anew';
REVOKE EXECUTE ON FUNCTION llm_audit.later_keys(llm_audit.legal_hold) FROM PUBLIC;

CREATE FUNCTION llm_audit.check_hold_scope(scope jsonb) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	known jsonb := '{"request_ids": "array", "actor_id": "string", "end_user_id": "string",
		"customer": "string", "organization_id": "string", "environment": "string",
		"service_name": "string", "ledger": "string", "occurred_from": "string",
		"occurred_to": "string", "kinds": "array"}';
	k text;
BEGIN
	IF jsonb_typeof(scope) IS DISTINCT FROM 'object' OR scope = '{}' THEN
		RAISE EXCEPTION 'scope must be an object that names what it covers'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'Its keys are request_ids, actor_id, end_user_id, customer, organization_id, environment, service_name, ledger, occurred_from, occurred_to and kinds.';
	END IF;
	FOR k IN SELECT jsonb_object_keys(scope) LOOP
		IF NOT known ? k THEN
			RAISE EXCEPTION 'scope has an unknown key "%"', left(k, 64)
				USING ERRCODE = 'invalid_parameter_value';
		ELSIF jsonb_typeof(scope -> k) <> known ->> k
			OR scope -> k IN ('""', '[]')
			OR jsonb_typeof(scope -> k) = 'array' AND jsonb_path_exists(scope -> k,
				'strict $[*] ? (@.type() != "string" || @ == "")')
		THEN
			RAISE EXCEPTION 'key "%" of scope must be a % that is not empty', k,
					CASE known ->> k WHEN 'array' THEN 'list of strings' ELSE 'string' END
				USING ERRCODE = 'invalid_parameter_value';
		ELSIF k LIKE 'occurred_%' AND llm_audit.parse_time(scope ->> k) IS NULL THEN
			RAISE EXCEPTION 'key "%" of scope must be a time', k
				USING ERRCODE = 'invalid_parameter_value';
		END IF;
	END LOOP;
	IF llm_audit.parse_time(scope ->> 'occurred_from') >= llm_audit.parse_time(scope ->> 'occurred_to') THEN
		RAISE EXCEPTION 'occurred_from of scope must be before occurred_to'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF scope ? 'environment' AND NOT EXISTS (SELECT FROM llm_audit.environment e
			WHERE e.name = scope ->> 'environment') THEN
		RAISE EXCEPTION 'environment of scope is not known'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'The environments are in llm_audit.environment.';
	ELSIF scope ? 'kinds' AND NOT (scope -> 'kinds')
			<@ '["system_instructions", "prompt", "response", "tool_call", "tool_result", "retrieved_context"]' THEN
		RAISE EXCEPTION 'kinds of scope are those of llm_content'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.check_hold_scope(jsonb) IS
	'raises an error that names the key of a scope which is wrong, if one is';
REVOKE EXECUTE ON FUNCTION llm_audit.check_hold_scope(jsonb) FROM PUBLIC;

-- A ledger by name, with or without its schema.
CREATE FUNCTION llm_audit.ledger_by_name(name text) RETURNS llm_audit.ledger
LANGUAGE plpgsql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	l llm_audit.ledger;
BEGIN
	SELECT r.* INTO l FROM llm_audit.ledger r
		WHERE name IN (r.schema_name || '.' || r.relation_name,
			format('%I.%I', r.schema_name, r.relation_name))
			OR r.schema_name IN ('llm_audit', 'public') AND r.relation_name::text = name
		ORDER BY r.schema_name LIMIT 1;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'ledger of scope is not known'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'The ledgers are in llm_audit.ledger; name the schema too.';
	END IF;
	RETURN l;
END
$$;
COMMENT ON FUNCTION llm_audit.ledger_by_name(text) IS
	'the registry''s row of a ledger by its name; raises 22023 if there is none';
REVOKE EXECUTE ON FUNCTION llm_audit.ledger_by_name(text) FROM PUBLIC;

-- The names of a ledger's columns that a scope can be compared with; NULL
-- where it has none.
CREATE FUNCTION llm_audit.hold_columns(l llm_audit.ledger, OUT request name,
		OUT actor name, OUT end_user name, OUT customer name, OUT token name,
		OUT organization name, OUT environment name, OUT service name,
		OUT occurred name, OUT kind name)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT max(a.attname) FILTER (WHERE a.attname = CASE
			WHEN l.builtin AND l.role = 'plain' AND l.relation_name = 'settlement'
			THEN 'original_request_id' ELSE 'request_id' END),
		max(a.attname) FILTER (WHERE a.attname = 'actor_id'),
		max(a.attname) FILTER (WHERE a.attname = 'end_user_id'),
		max(a.attname) FILTER (WHERE a.attname = 'customer_key'),
		max(a.attname) FILTER (WHERE a.attname = 'token' AND l.builtin AND l.relation_name = 'match_token'),
		max(a.attname) FILTER (WHERE a.attname = 'organization_id'),
		max(a.attname) FILTER (WHERE a.attname = 'environment'),
		max(a.attname) FILTER (WHERE a.attname = 'service_name'),
		max(t.attname),
		max(a.attname) FILTER (WHERE a.attname = 'kind' AND l.role = 'llm_content')
	FROM pg_class c
	JOIN pg_namespace n ON n.oid = c.relnamespace
	LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		AND llm_audit.base_type(a.atttypid) IN ('text'::regtype, 'varchar'::regtype)
	LEFT JOIN pg_attribute t ON t.attrelid = c.oid AND t.attname = 'occurred_at'
		AND NOT t.attisdropped AND t.atttypid = 'timestamptz'::regtype
	WHERE n.nspname = l.schema_name AND c.relname = l.relation_name
$$;
COMMENT ON FUNCTION llm_audit.hold_columns(llm_audit.ledger) IS
	'columns of a ledger that the scope of a hold is compared with';
REVOKE EXECUTE ON FUNCTION llm_audit.hold_columns(llm_audit.ledger) FROM PUBLIC;

CREATE FUNCTION llm_audit.place_hold(ticket text, reason text, scope jsonb,
		until timestamptz DEFAULT NULL) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	h llm_audit.legal_hold;
	l llm_audit.ledger;
	c record;
BEGIN
	IF coalesce(btrim(ticket), '') = '' OR coalesce(btrim(reason), '') = '' THEN
		RAISE EXCEPTION 'a hold needs a ticket and a reason'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF until <= clock_timestamp() THEN
		RAISE EXCEPTION 'until must be in the future, or null'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	PERFORM llm_audit.check_hold_scope(scope);
	l := llm_audit.ledger_by_name(scope ->> 'ledger');
	IF l.ledger_id IS NOT NULL AND NOT l.builtin THEN
		-- of the built-in ones the calls know what a ledger itself does not
		c := llm_audit.hold_columns(l);
		IF scope ? 'request_ids' AND c.request IS NULL OR scope ? 'actor_id' AND c.actor IS NULL
			OR scope ? 'end_user_id' AND c.end_user IS NULL OR scope ? 'customer' AND c.customer IS NULL
			OR scope ? 'organization_id' AND c.organization IS NULL
			OR scope ? 'environment' AND c.environment IS NULL
			OR scope ? 'service_name' AND c.service IS NULL
		THEN
			RAISE EXCEPTION 'ledger "%" lacks a column that the scope names', l.relation_name
				USING ERRCODE = 'invalid_parameter_value',
					HINT = 'Hold the ledger by what it has, or as a whole.';
		END IF;
	END IF;

	PERFORM llm_audit.note_keys();
	h.hold_id := llm_audit.uuid7();
	h.ticket := ticket;
	h.reason := reason;
	h.request_ids := (SELECT array_agg(DISTINCT n) FROM jsonb_array_elements_text(scope -> 'request_ids') AS r
		CROSS JOIN unnest(llm_audit.hold_names(r, 'request_id')) AS n);
	h.actor_ids := llm_audit.hold_names(scope ->> 'actor_id', 'actor_id');
	h.end_user_ids := llm_audit.hold_names(scope ->> 'end_user_id', 'end_user_id');
	h.customer_keys := llm_audit.hold_names(scope ->> 'customer', 'customer_key');
	IF scope ? 'customer' AND llm_audit.key_problem() IS NULL THEN
		h.customer_tokens := ARRAY(SELECT DISTINCT t
			FROM unnest(llm_audit.compute_tokens(scope ->> 'customer', NULL)) AS t);
	END IF;
	IF scope ?| '{actor_id,end_user_id,customer}' AND llm_audit.key_problem() IS NULL THEN
		h.key_ids := llm_audit.key_ids();
	END IF;
	h.organization_id := scope ->> 'organization_id';
	h.environment := scope ->> 'environment';
	h.service_name := scope ->> 'service_name';
	h.ledger_id := l.ledger_id;
	h.occurred_from := llm_audit.parse_time(scope ->> 'occurred_from');
	h.occurred_to := llm_audit.parse_time(scope ->> 'occurred_to');
	h.kinds := (SELECT array_agg(k) FROM jsonb_array_elements_text(scope -> 'kinds') AS k);
	h.scope := scope || jsonb_strip_nulls(jsonb_build_object('request_ids', to_jsonb(h.request_ids),
		'actor_id', llm_audit.shown_names(h.actor_ids, scope ->> 'actor_id', false),
		'end_user_id', llm_audit.shown_names(h.end_user_ids, scope ->> 'end_user_id', true),
		'customer', llm_audit.shown_names(h.customer_keys, scope ->> 'customer', true)));
	h.placed_at := clock_timestamp();
	h.placed_by := session_user;
	h.until := until;
	INSERT INTO llm_audit.legal_hold VALUES (h.*);
	PERFORM llm_audit.record_own_event('legal_hold.placed', 'legal_hold', h.hold_id::text, reason,
		jsonb_build_object('ticket', ticket, 'scope', h.scope, 'until', until));
	RETURN h.hold_id;
END
$$;
COMMENT ON FUNCTION llm_audit.place_hold(text, text, jsonb, timestamptz) IS
	'keeps what the scope covers, all its keys at once, whatever policies say, from the commit on, rows that arrive later too; persons are found under all live keys and their names kept only as long as it stands; until NULL: until release_hold(); waits for a purge that is under way; returns the hold''s id; recorded; for llm_audit_compliance';
REVOKE EXECUTE ON FUNCTION llm_audit.place_hold(text, text, jsonb, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.place_hold(text, text, jsonb, timestamptz)
	TO llm_audit_compliance;

CREATE FUNCTION llm_audit.release_hold(id uuid, reason text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	h llm_audit.legal_hold;
BEGIN
	PERFORM llm_audit.require_reason(reason, 'release a hold');
	SELECT * INTO h FROM llm_audit.legal_hold x WHERE x.hold_id = id FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'there is no such hold'
			USING ERRCODE = 'undefined_object',
				HINT = 'See llm_audit.hold_report(). The freeze of an incident ends with llm_audit.close_incident().';
	ELSIF h.released_at IS NOT NULL THEN
		RAISE EXCEPTION 'the hold was released already'
			USING ERRCODE = 'object_not_in_prerequisite_state';
	END IF;
	UPDATE llm_audit.legal_hold x SET released_at = clock_timestamp(),
			released_by = session_user, release_reason = reason,
			-- a name was needed for as long as somebody looked for it
			end_user_ids = CASE WHEN end_user_ids IS NOT NULL THEN
				ARRAY(SELECT jsonb_array_elements_text(x.scope -> 'end_user_id')) END,
			customer_keys = CASE WHEN customer_keys IS NOT NULL THEN
				ARRAY(SELECT jsonb_array_elements_text(x.scope -> 'customer')) END
		WHERE x.hold_id = id;
END
$$;
COMMENT ON FUNCTION llm_audit.release_hold(uuid, text) IS
	'ends a hold; rows that another one covers stay held; recorded; for llm_audit_compliance';
REVOKE EXECUTE ON FUNCTION llm_audit.release_hold(uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.release_hold(uuid, text) TO llm_audit_compliance;

-- A hold stays in the books when it is over, and what it covers is never
-- made less, also by hand.
CREATE FUNCTION llm_audit.guard_legal_hold() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	free text[] := CASE WHEN TG_OP = 'UPDATE' AND NEW.released_at IS NOT NULL
		THEN '{released_at,released_by,release_reason,end_user_ids,customer_keys}'
		ELSE '{released_at,released_by,release_reason}' END;
BEGIN
	IF TG_OP <> 'UPDATE' THEN
		RAISE EXCEPTION 'holds are released with llm_audit.release_hold(), not removed'
			USING ERRCODE = 'insufficient_privilege';
	ELSIF OLD.released_at IS NOT NULL OR to_jsonb(NEW) - free <> to_jsonb(OLD) - free
		-- names go with the release, none comes
		OR NOT coalesce(NEW.end_user_ids <@ OLD.end_user_ids, NEW.end_user_ids IS NULL AND OLD.end_user_ids IS NULL)
		OR NOT coalesce(NEW.customer_keys <@ OLD.customer_keys, NEW.customer_keys IS NULL AND OLD.customer_keys IS NULL)
	THEN
		RAISE EXCEPTION 'a hold can be released and not be changed otherwise'
			USING ERRCODE = 'insufficient_privilege';
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION llm_audit.guard_legal_hold() IS
	'trigger of legal_hold: a hold is released, and not changed or removed otherwise';
REVOKE EXECUTE ON FUNCTION llm_audit.guard_legal_hold() FROM PUBLIC;

CREATE TRIGGER llm_audit_hold BEFORE UPDATE OR DELETE
	ON llm_audit.legal_hold FOR EACH ROW
	EXECUTE FUNCTION llm_audit.guard_legal_hold();
CREATE TRIGGER llm_audit_hold_truncate BEFORE TRUNCATE
	ON llm_audit.legal_hold FOR EACH STATEMENT
	EXECUTE FUNCTION llm_audit.guard_legal_hold();
ALTER TABLE llm_audit.legal_hold
	ENABLE ALWAYS TRIGGER llm_audit_hold,
	ENABLE ALWAYS TRIGGER llm_audit_hold_truncate;

-- Each release is an event, and so is a hold that somebody places by hand.
CREATE FUNCTION llm_audit.record_legal_hold() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	stack text;
BEGIN
	GET DIAGNOSTICS stack = PG_CONTEXT;
	IF TG_OP = 'INSERT' AND NEW.placed_at < now() AND llm_audit.nothing_happened()
		OR NOT llm_audit.changed_by_hand(stack, CASE WHEN TG_OP = 'INSERT' THEN '{place_hold}'::text[] ELSE '{}' END) THEN
		RETURN NULL;
	ELSIF TG_OP = 'INSERT' THEN
		PERFORM llm_audit.record_own_event('legal_hold.placed', 'legal_hold', NEW.hold_id::text,
			NEW.reason, jsonb_build_object('ticket', NEW.ticket, 'scope', NEW.scope, 'by_hand', true));
	ELSE
		PERFORM llm_audit.record_own_event('legal_hold.released', 'legal_hold', NEW.hold_id::text,
			NEW.release_reason, jsonb_build_object('ticket', NEW.ticket, 'released_by', NEW.released_by));
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION llm_audit.record_legal_hold() IS
	'trigger of legal_hold: records that a hold was released, or placed by hand';
REVOKE EXECUTE ON FUNCTION llm_audit.record_legal_hold() FROM PUBLIC;

CREATE TRIGGER llm_audit_record AFTER INSERT OR UPDATE ON llm_audit.legal_hold
	FOR EACH ROW EXECUTE FUNCTION llm_audit.record_legal_hold();
ALTER TABLE llm_audit.legal_hold ENABLE ALWAYS TRIGGER llm_audit_record;

-- ---------------- which rows are held ----------------

-- A hold leads to rows by the first of these that it names.
CREATE FUNCTION llm_audit.hold_lead(h llm_audit.legal_hold) RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE WHEN h.request_ids IS NOT NULL THEN 'request'
		WHEN h.actor_ids IS NOT NULL THEN 'actor'
		WHEN h.end_user_ids IS NOT NULL THEN 'end_user'
		WHEN h.customer_keys IS NOT NULL THEN 'customer'
		WHEN h.organization_id IS NOT NULL THEN 'organization'
		WHEN h.service_name IS NOT NULL THEN 'service'
		ELSE 'rest' END
$$;
COMMENT ON FUNCTION llm_audit.hold_lead(llm_audit.legal_hold) IS
	'by which part of its scope a hold leads to rows; part of hold_scans()';
REVOKE EXECUTE ON FUNCTION llm_audit.hold_lead(llm_audit.legal_hold) FROM PUBLIC;

-- Holds of one shape are joined to rows together, by all that they name.
CREATE FUNCTION llm_audit.hold_shape(h llm_audit.legal_hold, later_keys text[])
	RETURNS text[]
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT array_remove(ARRAY[CASE WHEN h.request_ids IS NOT NULL THEN 'request' END,
		CASE WHEN h.actor_ids IS NOT NULL THEN 'actor' END,
		CASE WHEN h.end_user_ids IS NOT NULL THEN 'end_user' END,
		CASE WHEN h.customer_keys IS NOT NULL THEN 'customer' END,
		CASE WHEN h.organization_id IS NOT NULL THEN 'organization' END,
		CASE WHEN h.service_name IS NOT NULL THEN 'service' END,
		CASE WHEN h.environment IS NOT NULL THEN 'environment' END,
		CASE WHEN h.occurred_from IS NOT NULL OR h.occurred_to IS NOT NULL THEN 'timed' END,
		CASE WHEN later_keys <> '{}' THEN 'later' END], NULL)
$$;
COMMENT ON FUNCTION llm_audit.hold_shape(llm_audit.legal_hold, text[]) IS
	'which parts of a scope a hold names, and whether there are keys that came after it';
REVOKE EXECUTE ON FUNCTION llm_audit.hold_shape(llm_audit.legal_hold, text[]) FROM PUBLIC;

-- The ways in which a part of a scope leads to rows r of a table: where the
-- hold has the names, what has to be joined too, and the condition; none if
-- the table has not what it takes.  wrap: lest an index leads from each hold
-- to rows that most of them do not cover.
CREATE FUNCTION llm_audit.hold_ways(part text, later boolean, r text, c record,
		wrap boolean) RETURNS TABLE (names text, other text, condition text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	col name := CASE part WHEN 'request' THEN c.request WHEN 'actor' THEN c.actor
		WHEN 'end_user' THEN c.end_user WHEN 'customer' THEN c.customer
		WHEN 'organization' THEN c.organization WHEN 'service' THEN c.service
		WHEN 'environment' THEN c.environment END;
	equal text := CASE WHEN wrap THEN '%s.%I || '''' = h.%I' ELSE '%s.%I = h.%I' END;
BEGIN
	RETURN QUERY SELECT CASE part WHEN 'request' THEN 'h.request_ids' WHEN 'actor' THEN 'h.actor_ids'
			WHEN 'end_user' THEN 'h.end_user_ids' WHEN 'customer' THEN 'h.customer_keys'
			WHEN 'organization' THEN 'ARRAY[h.organization_id]' WHEN 'service' THEN 'ARRAY[h.service_name]'
			ELSE 'ARRAY[h.environment]' END,
		'', format(equal, r, col, part) WHERE col IS NOT NULL;
	IF part = 'customer' THEN
		RETURN QUERY SELECT 'h.customer_tokens', '', format(equal, r, c.token, part) WHERE c.token IS NOT NULL
			UNION ALL
			SELECT 'h.customer_tokens', ', llm_audit.match_token t',
				format('t.token = h.customer AND t.request_id = %s.%I', r, c.request) WHERE c.request IS NOT NULL;
	END IF;
	IF later AND part IN ('actor', 'end_user', 'customer') THEN
		RETURN QUERY SELECT 'h.later_keys', '', format('split_part(%s.%I, '':'', 1) = h.%I', r, x, part)
			FROM unnest(ARRAY[col, CASE WHEN part = 'customer' THEN c.token END]) AS x WHERE x IS NOT NULL;
		RETURN QUERY SELECT 'h.later_keys', ', llm_audit.match_token t',
				format('split_part(t.token, '':'', 1) = h.customer AND t.request_id = %s.%I', r, c.request)
			WHERE part = 'customer' AND c.request IS NOT NULL;
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.hold_ways(text, boolean, text, record, boolean) IS
	'ways in which a part of a scope leads to rows of a table; part of hold_joins()';
REVOKE EXECUTE ON FUNCTION llm_audit.hold_ways(text, boolean, text, record, boolean) FROM PUBLIC;

-- What joins the holds of one shape to rows of a table: FROM and WHERE of
-- queries, none where the table has not what they name.  Holds that name the
-- same are one here, with all their times, so that each row finds its holds by
-- one look at a hash table, and its time by one search.
CREATE FUNCTION llm_audit.hold_joins(shape text[], source text, r text, c record,
		each boolean, many boolean) RETURNS SETOF text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	parts text[] := array_remove(array_remove(shape, 'timed'), 'later');
	wrap boolean := many AND cardinality(parts) > 1 AND NOT 'request' = ANY (parts);
	keys text := CASE WHEN each THEN 'h.hold_id, h.kinds' ELSE 'h.kinds' END;
	ways jsonb := '[["", "", ""]]';
	part text;
	condition text := '';
BEGIN
	FOREACH part IN ARRAY parts LOOP
		keys := keys || format(', %I.v', part);
		SELECT jsonb_agg(jsonb_build_array(
				(x ->> 0) || format(' CROSS JOIN LATERAL unnest(%s) AS %I (v)', w.names, part),
				(x ->> 1) || w.other, (x ->> 2) || ' AND ' || w.condition)) INTO ways
			FROM jsonb_array_elements(ways) AS x
			CROSS JOIN llm_audit.hold_ways(part, 'later' = ANY (shape), r, c, wrap) AS w;
		IF ways IS NULL THEN
			RETURN;
		END IF;
	END LOOP;
	IF 'timed' = ANY (shape) THEN
		condition := format(' AND %s <@ h.times', CASE WHEN c.occurred IS NULL THEN r || '.recorded_at'
			ELSE format('coalesce(%1$s.%2$I, %1$s.recorded_at)', r, c.occurred) END);
	END IF;
	IF c.kind IS NOT NULL THEN
		condition := condition || format(' AND (h.kinds IS NULL OR %s.%I = ANY (h.kinds))', r, c.kind);
	END IF;
	RETURN QUERY SELECT format(' FROM (SELECT %s, range_agg(h.times) AS times FROM h%s WHERE h.shape = %L GROUP BY %s) AS h, %s %s%s WHERE true%s',
			regexp_replace(keys, '(\w+)\.v', '\1.v AS \1', 'g'), x ->> 0, shape, keys, source, r, x ->> 1,
			(x ->> 2) || condition)
		FROM jsonb_array_elements(ways) AS x;
END
$$;
COMMENT ON FUNCTION llm_audit.hold_joins(text[], text, text, record, boolean, boolean) IS
	'FROM and WHERE that join holds of one shape to the rows that they cover, each: each by itself; part of hold_query()';
REVOKE EXECUTE ON FUNCTION llm_audit.hold_joins(text[], text, text, record, boolean, boolean)
	FROM PUBLIC;

-- Holds that can concern a segment.  One of another ledger concerns calls and
-- tokens too if it is by them that it leads to its rows.
CREATE FUNCTION llm_audit.segment_holds(s llm_audit.ledger_segment)
	RETURNS SETOF llm_audit.legal_hold
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT h.* FROM llm_audit.active_holds() h
	WHERE (h.ledger_id IS NULL OR h.ledger_id = s.ledger_id
			OR EXISTS (SELECT FROM llm_audit.ledger l
				JOIN llm_audit.ledger o ON o.ledger_id = h.ledger_id AND o.builtin
				WHERE l.ledger_id = s.ledger_id AND l.builtin
					AND (l.relation_name = 'llm_call' AND (h.actor_ids IS NOT NULL
							OR h.end_user_ids IS NOT NULL OR h.customer_keys IS NOT NULL
							OR h.organization_id IS NOT NULL OR h.service_name IS NOT NULL
							OR h.occurred_from IS NOT NULL OR h.occurred_to IS NOT NULL)
						OR l.relation_name = 'match_token' AND h.customer_tokens IS NOT NULL)))
		AND (h.environment IS NULL OR s.environment IN ('', h.environment))
$$;
COMMENT ON FUNCTION llm_audit.segment_holds(llm_audit.ledger_segment) IS
	'holds in force that can concern rows of a segment';
REVOKE EXECUTE ON FUNCTION llm_audit.segment_holds(llm_audit.ledger_segment) FROM PUBLIC;

-- A window that ends before it begins covers nothing, and the environment of a
-- segment needs no look at its rows.
CREATE FUNCTION llm_audit.shaped_holds(for_ledger uuid, for_environment text)
	RETURNS TABLE (hold_id uuid, request_ids text[], actor_ids text[],
		end_user_ids text[], customer_keys text[], customer_tokens text[],
		organization_id text, service_name text, environment text, kinds text[],
		times tstzrange, later_keys text[], shape text[])
LANGUAGE sql STABLE ROWS 10000
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT h.hold_id, h.request_ids, h.actor_ids, h.end_user_ids, h.customer_keys,
		h.customer_tokens, h.organization_id, h.service_name, h.environment, h.kinds,
		CASE WHEN h.occurred_from > h.occurred_to THEN 'empty'
			ELSE tstzrange(h.occurred_from, h.occurred_to) END,
		k.later, array_remove(llm_audit.hold_shape(h, k.later),
			CASE WHEN for_environment <> '' THEN 'environment' END)
	FROM llm_audit.segment_holds(jsonb_populate_record(NULL::llm_audit.ledger_segment,
		jsonb_build_object('ledger_id', for_ledger, 'environment', coalesce(for_environment, '')))) h
	CROSS JOIN LATERAL (SELECT CASE WHEN h.key_ids IS NULL THEN '{}' ELSE llm_audit.later_keys(h) END AS later) k
$$;
COMMENT ON FUNCTION llm_audit.shaped_holds(uuid, text) IS
	'holds in force that can concern rows of a ledger in an environment (NULL: any), with what joins them to rows; part of hold_query()';
REVOKE EXECUTE ON FUNCTION llm_audit.shaped_holds(uuid, text) FROM PUBLIC;

-- Rows that do not have what holds ask for (the text of a call does not say
-- who made it, usage need not) are held with the call of their request.  A
-- column that some rows leave empty is as good as none.
CREATE FUNCTION llm_audit.hold_lacks(shape text[], source text, c record)
	RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	k record;
	empty text[] := '{}';
BEGIN
	IF shape && '{customer,timed}' THEN
		RETURN 'true';
	END IF;
	FOR k IN SELECT * FROM (VALUES ('actor', c.actor), ('end_user', c.end_user),
			('service', c.service), ('organization', c.organization)) AS v (part, col)
		WHERE v.part = ANY (shape)
	LOOP
		IF k.col IS NULL THEN
			RETURN 'true';
		END IF;
		empty := empty || format('EXISTS (SELECT FROM %s n WHERE n.%I IS NULL)', source, k.col);
	END LOOP;
	RETURN nullif(array_to_string(empty, ' OR '), '');
END
$$;
COMMENT ON FUNCTION llm_audit.hold_lacks(text[], text, record) IS
	'the condition that a table lacks something by which holds of a shape lead to calls; NULL: it does not; part of hold_query()';
REVOKE EXECUTE ON FUNCTION llm_audit.hold_lacks(text[], text, record) FROM PUBLIC;

-- What is true of every call to which holds of a shape can lead, so that an
-- index finds them among all calls of the environment: few names, and the span
-- of all times.  Nothing where a later key or a customer's token may lead there.
-- It reads the same holds as the query that it becomes a part of: both look at
-- one snapshot.
CREATE FUNCTION llm_audit.hold_bounds(for_ledger uuid, for_environment text,
		shape text[], r text, c record) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
-- times are read back as they were written, whatever the session's settings
SET TimeZone = 'UTC'
SET DateStyle = 'ISO'
AS $$
DECLARE
	most CONSTANT int := 1000;
	h record;
	bounds text := '';
BEGIN
	SELECT array_agg(DISTINCT n.name) FILTER (WHERE n.part = 'request') AS request,
			array_agg(DISTINCT n.name) FILTER (WHERE n.part = 'actor') AS actor,
			array_agg(DISTINCT n.name) FILTER (WHERE n.part = 'end_user') AS end_user INTO h
		FROM llm_audit.shaped_holds(for_ledger, for_environment) x
		CROSS JOIN LATERAL (SELECT 'request', unnest(x.request_ids)
			UNION ALL SELECT 'actor', unnest(x.actor_ids)
			UNION ALL SELECT 'end_user', unnest(x.end_user_ids)) AS n (part, name)
		WHERE x.shape = hold_bounds.shape AND NOT 'later' = ANY (x.shape);
	IF cardinality(h.request) <= most THEN
		bounds := bounds || format(' AND %s.%I = ANY (%L)', r, c.request, h.request);
	END IF;
	IF cardinality(h.actor) <= most THEN
		bounds := bounds || format(' AND %s.%I = ANY (%L)', r, c.actor, h.actor);
	END IF;
	IF cardinality(h.end_user) <= most THEN
		bounds := bounds || format(' AND %s.%I = ANY (%L)', r, c.end_user, h.end_user);
	END IF;
	SELECT min(coalesce(lower(x.times), '-infinity')) AS first,
			max(coalesce(upper(x.times), 'infinity')) AS last INTO h
		FROM llm_audit.shaped_holds(for_ledger, for_environment) x
		WHERE x.shape = hold_bounds.shape AND NOT isempty(x.times);
	IF 'timed' = ANY (shape) AND c.occurred IS NOT NULL AND h.first IS NOT NULL THEN
		bounds := bounds || format(' AND %s.%I BETWEEN %L AND %L', r, c.occurred, h.first, h.last);
	END IF;
	RETURN bounds;
END
$$;
COMMENT ON FUNCTION llm_audit.hold_bounds(uuid, text, text[], text, record) IS
	'conditions, each after AND, that all calls fulfil to which holds of a shape lead, for the sake of indexes; part of hold_query()';
REVOKE EXECUTE ON FUNCTION llm_audit.hold_bounds(uuid, text, text[], text, record) FROM PUBLIC;

-- The query for the rows of a table that are held, a segment or (environment
-- NULL) a ledger with environments; NULL if no hold can concern any.
CREATE FUNCTION llm_audit.hold_query(l llm_audit.ledger, environment text,
		source text, each boolean) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	calls llm_audit.ledger;
	c record := llm_audit.hold_columns(l);
	cc record;
	k record;
	parts text[] := '{}';
	linked text[] := '{}';
	lacks text;
	shown text := CASE WHEN each THEN 'h.hold_id, r.tableoid, ' ELSE '' END || 'r.chain_lane, r.chain_seq';
BEGIN
	SELECT * INTO calls FROM llm_audit.ledger r
		WHERE r.schema_name = 'llm_audit' AND r.relation_name = 'llm_call';
	cc := llm_audit.hold_columns(calls);
	FOR k IN SELECT h.shape, count(*) > 100 AS many
		FROM llm_audit.shaped_holds(l.ledger_id, environment) h GROUP BY 1 ORDER BY 1
	LOOP
		parts := parts || ARRAY(SELECT 'SELECT ' || shown || j
			FROM llm_audit.hold_joins(k.shape, source, 'r', c, each, k.many) j);
		IF c.request IS NOT NULL AND l.ledger_id <> calls.ledger_id THEN
			lacks := llm_audit.hold_lacks(k.shape, source, c);
			linked := linked || ARRAY(SELECT 'SELECT ' || CASE WHEN each THEN 'h.hold_id, ' ELSE '' END
					|| CASE WHEN environment IS NULL THEN 'q.environment, ' ELSE '' END
					|| 'h.kinds, q.request_id' || j || ' AND (' || lacks || ')'
					|| CASE WHEN environment <> '' THEN format(' AND q.environment = %L', environment) ELSE '' END
					|| llm_audit.hold_bounds(l.ledger_id, environment, k.shape, 'q', cc)
				FROM llm_audit.hold_joins(k.shape, 'llm_audit.llm_call', 'q', cc, each, k.many) j
				WHERE lacks IS NOT NULL);
		END IF;
	END LOOP;
	IF NOT FOUND THEN
		RETURN NULL;
	END IF;
	IF linked <> '{}' THEN
		parts := parts || format('SELECT %s FROM (SELECT DISTINCT * FROM (%s) AS x) AS m JOIN %s r ON r.%I = m.request_id%s%s',
			replace(shown, 'h.', 'm.'), array_to_string(linked, ' UNION ALL '), source, c.request,
			CASE WHEN environment IS NULL THEN ' AND r.environment = m.environment' ELSE '' END,
			CASE WHEN c.kind IS NULL THEN '' ELSE format(' WHERE m.kinds IS NULL OR r.%I = ANY (m.kinds)', c.kind) END);
	END IF;
	IF l.builtin AND l.relation_name = 'admin_event' THEN
		-- else a freeze would end with the event that it is from
		parts := parts || format('SELECT %s FROM h JOIN %s r ON r.id = h.hold_id', shown, source);
	END IF;
	IF parts = '{}' THEN
		RETURN NULL;
	END IF;
	RETURN format('WITH h AS MATERIALIZED (SELECT * FROM llm_audit.shaped_holds(%L, %L)) SELECT * FROM (%s) AS held',
		l.ledger_id, environment, array_to_string(parts, ' UNION ALL '));
END
$$;
COMMENT ON FUNCTION llm_audit.hold_query(llm_audit.ledger, text, text, boolean) IS
	'the query that finds all rows of a segment, or of a ledger, which holds cover, at once, each: one row for each hold too; NULL: no hold can concern them';
REVOKE EXECUTE ON FUNCTION llm_audit.hold_query(llm_audit.ledger, text, text, boolean)
	FROM PUBLIC;

CREATE FUNCTION llm_audit.held_rows(leaf regclass)
	RETURNS TABLE (lane int, first_seq bigint, last_seq bigint)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
-- compiling the query takes longer than running it
SET jit = off
AS $$
DECLARE
	query text := llm_audit.hold_query(l, s.environment, format('ONLY %s', leaf), false)
		FROM llm_audit.segment_of(leaf) s JOIN llm_audit.ledger l USING (ledger_id);
BEGIN
	IF query IS NULL THEN
		RETURN;
	END IF;
	RETURN QUERY EXECUTE format(
		'WITH held AS (SELECT DISTINCT * FROM (%s) AS x),
		run AS (SELECT chain_lane, chain_seq,
			chain_seq - row_number() OVER (PARTITION BY chain_lane ORDER BY chain_seq) AS run FROM held)
		SELECT chain_lane, min(chain_seq), max(chain_seq) FROM run GROUP BY chain_lane, run ORDER BY 1, 2', query);
END
$$;
COMMENT ON FUNCTION llm_audit.held_rows(regclass) IS
	'rows of a segment that are held, as runs of positions in each lane';
REVOKE EXECUTE ON FUNCTION llm_audit.held_rows(regclass) FROM PUBLIC;

CREATE FUNCTION llm_audit.is_held(leaf regclass, lane int, seq bigint)
	RETURNS boolean
	LANGUAGE c STABLE STRICT
	AS 'MODULE_PATHNAME', 'llm_audit_is_held';
COMMENT ON FUNCTION llm_audit.is_held(regclass, int, bigint) IS
	'whether a row of a segment is held; finds all held rows of the segment at the first call in a transaction';
REVOKE EXECUTE ON FUNCTION llm_audit.is_held(regclass, int, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.is_held(regclass, int, bigint) TO llm_audit_owner;

-- A hold without a request leads to rows by reading the segment.
CREATE FUNCTION llm_audit.hold_scans(leaf regclass) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT EXISTS (SELECT FROM llm_audit.segment_of(leaf) s
		JOIN llm_audit.ledger l USING (ledger_id)
		CROSS JOIN LATERAL llm_audit.hold_columns(l) c
		CROSS JOIN LATERAL llm_audit.segment_holds(s) h
		CROSS JOIN LATERAL (SELECT CASE llm_audit.hold_lead(h) WHEN 'request' THEN c.request
			WHEN 'actor' THEN c.actor WHEN 'end_user' THEN c.end_user WHEN 'customer' THEN c.customer
			WHEN 'organization' THEN c.organization WHEN 'service' THEN c.service
			ELSE CASE WHEN h.occurred_from IS NOT NULL OR h.occurred_to IS NOT NULL THEN c.occurred END END) AS lead (col)
		WHERE NOT EXISTS (SELECT FROM pg_index i
			JOIN pg_attribute a ON a.attrelid = leaf AND a.attnum = i.indkey[0]
			WHERE i.indrelid = leaf AND i.indisvalid AND a.attname = lead.col))
$$;
COMMENT ON FUNCTION llm_audit.hold_scans(regclass) IS
	'whether a hold leads to rows of a segment by no index, so that the segment has to be read';
REVOKE EXECUTE ON FUNCTION llm_audit.hold_scans(regclass) FROM PUBLIC;

-- The other doors through which rows go: drop_ledger() and uninstall().
CREATE FUNCTION llm_audit.require_unheld(l llm_audit.ledger) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	leaf regclass;
BEGIN
	LOCK TABLE llm_audit.legal_hold IN SHARE MODE;
	FOR leaf IN SELECT llm_audit.leaf_of(s)
		FROM llm_audit.ledger_segment s WHERE s.ledger_id = l.ledger_id AND s.state <> 'purged'
	LOOP
		IF leaf IS NOT NULL AND EXISTS (SELECT FROM llm_audit.held_rows(leaf)) THEN
			RAISE EXCEPTION 'rows of ledger "%" are under a legal hold', l.relation_name
				USING ERRCODE = 'insufficient_privilege',
					HINT = 'See llm_audit.hold_report().';
		END IF;
	END LOOP;
END
$$;
COMMENT ON FUNCTION llm_audit.require_unheld(llm_audit.ledger) IS
	'raises 42501 if a row of a ledger is held; keeps holds away until the transaction ends';
REVOKE EXECUTE ON FUNCTION llm_audit.require_unheld(llm_audit.ledger) FROM PUBLIC;

-- One query for a ledger, however many segments and holds there are.
CREATE FUNCTION llm_audit.count_held() RETURNS TABLE (hold_id uuid, row_count bigint)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
	l llm_audit.ledger;
	query text;
BEGIN
	FOR l IN SELECT * FROM llm_audit.ledger r
		WHERE to_regclass(format('%I.%I', r.schema_name, r.relation_name)) IS NOT NULL
	LOOP
		query := llm_audit.hold_query(l, CASE WHEN EXISTS (SELECT FROM llm_audit.ledger_segment s
				WHERE s.ledger_id = l.ledger_id AND s.environment <> '') THEN NULL ELSE '' END,
			format('%I.%I', l.schema_name, l.relation_name), true);
		CONTINUE WHEN query IS NULL;
		RETURN QUERY EXECUTE format('SELECT x.hold_id, count(*) FROM (SELECT DISTINCT * FROM (%s) AS y) AS x GROUP BY 1', query);
	END LOOP;
END
$$;
COMMENT ON FUNCTION llm_audit.count_held() IS
	'how many rows of each ledger each hold in force covers now; part of hold_report()';
REVOKE EXECUTE ON FUNCTION llm_audit.count_held() FROM PUBLIC;

CREATE FUNCTION llm_audit.hold_report(released boolean DEFAULT false,
		count_rows boolean DEFAULT false)
	RETURNS TABLE (hold_id uuid, source text, ticket text, reason text,
		scope jsonb, placed_at timestamptz, placed_by name, until timestamptz,
		released_at timestamptz, released_by name, release_reason text,
		held_rows bigint, later_keys text[])
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
	PERFORM llm_audit.record_own_event('legal_hold.listed', 'legal_hold', NULL, NULL,
		jsonb_build_object('released', released, 'count_rows', count_rows));
	RETURN QUERY
		SELECT h.hold_id, CASE WHEN o.hold_id IS NULL THEN 'incident' ELSE 'hold' END, h.ticket,
			h.reason, h.scope, h.placed_at, h.placed_by, h.until, h.released_at, h.released_by,
			h.release_reason, CASE WHEN count_rows THEN coalesce(n.held, 0) END,
			llm_audit.later_keys(h)
		FROM llm_audit.active_holds() h LEFT JOIN llm_audit.legal_hold o USING (hold_id)
		LEFT JOIN (SELECT c.hold_id, sum(c.row_count)::bigint AS held FROM llm_audit.count_held() c
			WHERE count_rows GROUP BY 1) n USING (hold_id)
		UNION ALL
		SELECT h.hold_id, 'hold', h.ticket, h.reason, h.scope, h.placed_at, h.placed_by, h.until,
			h.released_at, h.released_by, h.release_reason, NULL, '{}'
		FROM llm_audit.legal_hold h
		WHERE hold_report.released AND NOT (h.released_at IS NULL
			AND (h.until IS NULL OR h.until > clock_timestamp()))
		ORDER BY 6, 1;
END
$$;
COMMENT ON FUNCTION llm_audit.hold_report(boolean, boolean) IS
	'holds in force and freezes around open incidents, with released true those that are over too; count_rows: how many rows each covers now, 0 for a hold on nothing, which reads the ledgers; later_keys: keys that came after it, under which every person is held until it is placed anew; recorded; for llm_audit_compliance, llm_audit_auditor and llm_audit_admin';
REVOKE EXECUTE ON FUNCTION llm_audit.hold_report(boolean, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.hold_report(boolean, boolean)
	TO llm_audit_compliance, llm_audit_auditor, llm_audit_admin;
