-- Ledgers: the clock, the trigger, making and unmaking a ledger.

CREATE FUNCTION llm_audit.now() RETURNS timestamptz
	LANGUAGE c VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'llm_audit_now';
COMMENT ON FUNCTION llm_audit.now() IS
	'time of recording: the clock, but never before the end of the newest closed segment';

CREATE FUNCTION llm_audit.uuid7() RETURNS uuid
	LANGUAGE c VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'llm_audit_uuid7';
COMMENT ON FUNCTION llm_audit.uuid7() IS
	'a version 7 UUID (RFC 9562), ascending within a session';

CREATE FUNCTION llm_audit.ledger_insert() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'llm_audit_ledger_insert';
COMMENT ON FUNCTION llm_audit.ledger_insert() IS
	'BEFORE INSERT trigger of every ledger: validates, stamps and chains the row';
REVOKE EXECUTE ON FUNCTION llm_audit.ledger_insert() FROM PUBLIC;

CREATE FUNCTION llm_audit.encodable(type oid) RETURNS boolean
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'llm_audit_encodable';
COMMENT ON FUNCTION llm_audit.encodable(oid) IS
	'whether values of this base type can stand in a row preimage';

CREATE FUNCTION llm_audit.create_branch(ledger regclass, branch name,
		environment text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'llm_audit_create_branch';
COMMENT ON FUNCTION llm_audit.create_branch(regclass, name, text) IS
	'makes the partition of an environment; part of setup() and add_environment()';
REVOKE EXECUTE ON FUNCTION llm_audit.create_branch(regclass, name, text)
	FROM PUBLIC;

CREATE FUNCTION llm_audit.attach_segment(branch regclass, leaf name,
		lower timestamptz, upper timestamptz) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'llm_audit_attach_segment';
COMMENT ON FUNCTION llm_audit.attach_segment(regclass, name, timestamptz, timestamptz) IS
	'makes a leaf and attaches it; part of make_segments()';
REVOKE EXECUTE ON FUNCTION llm_audit.attach_segment(regclass, name, timestamptz, timestamptz)
	FROM PUBLIC;

CREATE FUNCTION llm_audit.drop_relation(relation regclass, reason text)
	RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'llm_audit_drop_relation';
COMMENT ON FUNCTION llm_audit.drop_relation(regclass, text) IS
	'drops a ledger and records it; part of drop_ledger() and uninstall()';
REVOKE EXECUTE ON FUNCTION llm_audit.drop_relation(regclass, text) FROM PUBLIC;

CREATE FUNCTION llm_audit.require_superuser() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
		RAISE EXCEPTION 'only a superuser may change what is a ledger'
			USING ERRCODE = 'insufficient_privilege';
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.require_superuser() IS
	'raises 42501 unless the current user is a superuser';

CREATE FUNCTION llm_audit.record_own_event(action text, target_type text,
		target_id text, reason text, details jsonb DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF to_regclass('llm_audit.admin_event') IS NULL
		OR NOT EXISTS (SELECT FROM llm_audit.ledger
			WHERE schema_name = 'llm_audit' AND relation_name = 'admin_event')
	THEN
		RETURN;
	END IF;
	INSERT INTO llm_audit.admin_event (occurred_at, action, actor_id, actor_type,
			organization_id, environment, target_type, target_id, reason,
			"after", outcome)
		VALUES (clock_timestamp(), action, session_user,
			CASE WHEN current_setting('application_name') = 'pg_cron'
				THEN 'job' ELSE 'human' END,
			'default',
			(SELECT coalesce(min(name) FILTER (WHERE name = 'prod'), min(name))
				FROM llm_audit.environment),
			target_type, target_id, reason, details, 'success');
END
$$;
COMMENT ON FUNCTION llm_audit.record_own_event(text, text, text, text, jsonb) IS
	'writes an admin_event about llm_audit''s own configuration';
REVOKE EXECUTE ON FUNCTION llm_audit.record_own_event(text, text, text, text, jsonb)
	FROM PUBLIC;

-- Columns that every ledger has, as create_ledger() adds them.
CREATE FUNCTION llm_audit.ledger_attributes()
	RETURNS TABLE (column_name name, type oid, definition text)
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
	VALUES ('id'::name, 'uuid'::regtype::oid, 'uuid NOT NULL'),
		('recorded_at', 'timestamptz'::regtype, 'timestamptz NOT NULL'),
		('recorded_by', 'text'::regtype, 'text NOT NULL'),
		('retain_until', 'timestamptz'::regtype, 'timestamptz'),
		('chain_lane', 'int4'::regtype, 'int4 NOT NULL'),
		('chain_seq', 'int8'::regtype, 'int8 NOT NULL'),
		('prev_hash', 'bytea'::regtype, 'bytea NOT NULL'),
		('row_hash', 'bytea'::regtype, 'bytea NOT NULL'),
		('salt', 'bytea'::regtype, 'bytea'),
		('erased', 'bytea'::regtype, 'bytea')
$$;
COMMENT ON FUNCTION llm_audit.ledger_attributes() IS
	'columns that every ledger has, with their types';

CREATE FUNCTION llm_audit.check_enrollable(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	c pg_catalog.pg_class;
	found name;
	filled boolean;
BEGIN
	SELECT * INTO c FROM pg_catalog.pg_class WHERE oid = relation;
	IF c.relkind NOT IN ('r', 'p') THEN
		RAISE EXCEPTION '"%" is not a table', c.relname
			USING ERRCODE = 'wrong_object_type';
	ELSIF c.relpersistence <> 'p' THEN
		RAISE EXCEPTION 'table "%" is not permanent', c.relname
			USING ERRCODE = 'wrong_object_type',
				HINT = 'A temporary or unlogged table can lose its rows.';
	ELSIF c.relispartition THEN
		RAISE EXCEPTION 'table "%" is a partition', c.relname
			USING ERRCODE = 'wrong_object_type';
	ELSIF EXISTS (SELECT FROM pg_catalog.pg_inherits
			WHERE inhrelid = relation OR inhparent = relation) THEN
		RAISE EXCEPTION 'table "%" has partitions, parents or children', c.relname
			USING ERRCODE = 'wrong_object_type',
				HINT = 'Partitions are made by create_ledger() itself.';
	ELSIF c.relkind = 'r' AND c.relam <> (SELECT oid FROM pg_catalog.pg_am WHERE amname = 'heap') THEN
		RAISE EXCEPTION 'table "%" does not use access method heap', c.relname
			USING ERRCODE = 'wrong_object_type';
	ELSIF c.relnamespace = 'pg_catalog'::regnamespace
		OR EXISTS (SELECT FROM pg_catalog.pg_depend WHERE classid = 'pg_class'::regclass
			AND objid = relation AND deptype = 'e') THEN
		RAISE EXCEPTION 'table "%" belongs to the system or to an extension', c.relname
			USING ERRCODE = 'wrong_object_type';
	ELSIF EXISTS (SELECT FROM llm_audit.ledger l
			JOIN pg_catalog.pg_namespace n ON n.nspname = l.schema_name
			WHERE n.oid = c.relnamespace AND l.relation_name = c.relname) THEN
		RAISE EXCEPTION 'table "%" is a ledger already', c.relname
			USING ERRCODE = 'duplicate_object';
	END IF;

	SELECT rulename INTO found FROM pg_catalog.pg_rewrite WHERE ev_class = relation;
	IF FOUND THEN
		RAISE EXCEPTION 'table "%" has rule "%"', c.relname, found
			USING ERRCODE = 'wrong_object_type';
	END IF;
	SELECT tgname INTO found FROM pg_catalog.pg_trigger
		WHERE tgrelid = relation AND NOT tgisinternal AND tgtype & 66 <> 0;
	IF FOUND THEN
		RAISE EXCEPTION 'table "%" has BEFORE trigger "%"', c.relname, found
			USING ERRCODE = 'wrong_object_type',
				HINT = 'It could change or drop a row after it was chained.';
	END IF;
	SELECT i.indexrelid::regclass::text INTO found FROM pg_catalog.pg_index i
		WHERE i.indrelid = relation AND (i.indisunique OR i.indisexclusion)
			AND NOT (i.indnatts = 1 AND i.indpred IS NULL AND EXISTS (
				SELECT FROM pg_catalog.pg_attribute a
				WHERE a.attrelid = relation AND a.attnum = i.indkey[0] AND a.attname = 'id'));
	IF FOUND THEN
		RAISE EXCEPTION 'table "%" has unique index "%"', c.relname, found
			USING ERRCODE = 'wrong_object_type',
				HINT = 'A ledger can be unique on (id) only.';
	END IF;
	SELECT conname INTO found FROM pg_catalog.pg_constraint
		WHERE conrelid = relation AND contype = 'f'
			AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'));
	IF FOUND THEN
		RAISE EXCEPTION 'foreign key "%" of table "%" would change its rows', found, c.relname
			USING ERRCODE = 'wrong_object_type',
				HINT = 'Use NO ACTION or RESTRICT.';
	END IF;
	EXECUTE format('SELECT EXISTS (SELECT FROM ONLY %s)', relation) INTO filled;
	IF filled THEN
		RAISE EXCEPTION 'table "%" is not empty', c.relname
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Make an empty table a ledger, then copy the rows into it: a chain can only vouch for rows from when they were chained.';
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.check_enrollable(regclass) IS
	'raises an error that says why a table cannot become a ledger, if it cannot';
REVOKE EXECUTE ON FUNCTION llm_audit.check_enrollable(regclass) FROM PUBLIC;

CREATE FUNCTION llm_audit.check_columns(relation regclass, erasable text[])
	RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	found name;
	partitioned boolean;
BEGIN
	SELECT relkind = 'p' INTO partitioned FROM pg_catalog.pg_class WHERE oid = relation;

	SELECT a.attname INTO found FROM pg_catalog.pg_attribute a
		JOIN llm_audit.ledger_attributes() l ON l.column_name = a.attname
		WHERE a.attrelid = relation AND NOT a.attisdropped AND a.atttypid <> l.type;
	IF FOUND THEN
		RAISE EXCEPTION 'column "%" of table "%" has another type than a ledger needs', found, relation
			USING ERRCODE = 'datatype_mismatch',
				HINT = 'See llm_audit.ledger_attributes().';
	END IF;

	SELECT a.attname INTO found FROM pg_catalog.pg_attribute a
		WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
			AND a.attgenerated = '' AND a.attname <> 'known_values'
			AND NOT llm_audit.encodable(llm_audit.base_type(a.atttypid));
	IF FOUND THEN
		RAISE EXCEPTION 'column "%" of table "%" has a type that cannot be hashed', found, relation
			USING ERRCODE = 'feature_not_supported',
				HINT = 'Use text, a number, boolean, uuid, bytea, json, jsonb, a date or time, interval, inet, cidr, or an array of these.';
	END IF;

	SELECT e INTO found FROM unnest(erasable) e
		WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
			WHERE a.attrelid = relation AND a.attname = e AND a.attnum > 0
				AND NOT a.attisdropped AND a.attgenerated = '' AND NOT a.attnotnull)
			OR e IN (SELECT column_name FROM llm_audit.ledger_attributes())
			OR e IN ('environment', 'known_values');
	IF FOUND THEN
		RAISE EXCEPTION 'column "%" of table "%" cannot be erasable', found, relation
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'An erasable column exists, can be null, and is neither generated nor one of the ledger''s own.';
	END IF;

	IF partitioned AND NOT EXISTS (
		SELECT FROM pg_catalog.pg_partitioned_table p
		JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
		WHERE p.partrelid = relation AND p.partstrat = 'l' AND p.partnatts = 1
			AND a.attname = 'environment' AND a.atttypid = 'text'::regtype)
	THEN
		RAISE EXCEPTION 'table "%" is not partitioned by LIST (environment)', relation
			USING ERRCODE = 'wrong_object_type',
				HINT = 'A ledger is PARTITION BY LIST (environment), a text column, or not partitioned.';
	END IF;
	IF partitioned AND EXISTS (SELECT FROM pg_catalog.pg_attribute
		WHERE attrelid = relation AND attidentity <> '')
	THEN
		RAISE EXCEPTION 'table "%" has an identity column', relation
			USING ERRCODE = 'feature_not_supported',
				HINT = 'Give the column a default from a sequence instead.';
	END IF;
	IF partitioned AND (SELECT length(relname) FROM pg_catalog.pg_class WHERE oid = relation) > 30 THEN
		RAISE EXCEPTION 'name of table "%" is longer than 30 bytes', relation
			USING ERRCODE = 'name_too_long',
				HINT = 'Its segments are named after it.';
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.check_columns(regclass, text[]) IS
	'raises an error that names a column that a ledger cannot have, if there is one';
REVOKE EXECUTE ON FUNCTION llm_audit.check_columns(regclass, text[]) FROM PUBLIC;

CREATE FUNCTION llm_audit.base_type(type oid) RETURNS oid
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
	WITH RECURSIVE up AS (
		SELECT t.oid, t.typtype, t.typbasetype FROM pg_catalog.pg_type t WHERE t.oid = type
		UNION ALL
		SELECT t.oid, t.typtype, t.typbasetype FROM pg_catalog.pg_type t
			JOIN up ON up.typtype = 'd' AND t.oid = up.typbasetype)
	SELECT oid FROM up WHERE typtype <> 'd'
$$;
COMMENT ON FUNCTION llm_audit.base_type(oid) IS
	'the type itself, or what a domain is over in the end';

CREATE FUNCTION llm_audit.register_columns(ledger regclass) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	l llm_audit.ledger;
	a record;
	added int := 0;
BEGIN
	SELECT r.* INTO l FROM llm_audit.ledger r
		JOIN pg_catalog.pg_class c ON c.relname = r.relation_name
			AND c.relnamespace = to_regnamespace(quote_ident(r.schema_name))
		WHERE c.oid = ledger
		FOR UPDATE OF r;
	IF NOT FOUND THEN
		RAISE EXCEPTION '"%" is not a ledger', ledger
			USING ERRCODE = 'wrong_object_type';
	END IF;
	FOR a IN
		SELECT t.attname, llm_audit.base_type(t.atttypid) AS type, t.atthasmissing
		FROM pg_catalog.pg_attribute t
		WHERE t.attrelid = ledger AND t.attnum > 0 AND NOT t.attisdropped
			AND t.attgenerated = ''
			AND t.attname NOT IN ('chain_lane', 'chain_seq', 'prev_hash', 'row_hash',
				'salt', 'erased', 'known_values')
			AND NOT EXISTS (SELECT FROM llm_audit.ledger_column k
				WHERE k.ledger_id = l.ledger_id AND k.column_name = t.attname)
		ORDER BY t.attnum
	LOOP
		IF NOT llm_audit.encodable(a.type) THEN
			RAISE EXCEPTION 'column "%" of ledger "%" has a type that cannot be hashed', a.attname, ledger
				USING ERRCODE = 'feature_not_supported',
					HINT = 'Use text, a number, boolean, uuid, bytea, json, jsonb, a date or time, interval, inet, cidr, or an array of these.';
		ELSIF a.atthasmissing THEN
			RAISE EXCEPTION 'column "%" of ledger "%" was added with a default', a.attname, ledger
				USING ERRCODE = 'feature_not_supported',
					HINT = 'Older rows would show a value that they were never hashed with: ADD COLUMN first, then SET DEFAULT.';
		END IF;
		INSERT INTO llm_audit.ledger_column (ledger_id, column_number, column_name, type_oid)
			SELECT l.ledger_id, coalesce(max(column_number), 0) + 1, a.attname, a.type
			FROM llm_audit.ledger_column WHERE ledger_id = l.ledger_id;
		added := added + 1;
	END LOOP;
	RETURN added;
END
$$;
COMMENT ON FUNCTION llm_audit.register_columns(regclass) IS
	'gives numbers to columns of a ledger that have none yet; returns how many';
REVOKE EXECUTE ON FUNCTION llm_audit.register_columns(regclass) FROM PUBLIC;

-- ADD COLUMN on a ledger registers the column, in whatever session.
CREATE FUNCTION llm_audit.on_ddl_end() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	r record;
BEGIN
	FOR r IN
		SELECT DISTINCT d.objid FROM pg_event_trigger_ddl_commands() d
		JOIN pg_catalog.pg_class c ON c.oid = d.objid
		JOIN llm_audit.ledger l ON l.relation_name = c.relname
			AND l.schema_name = d.schema_name
		WHERE d.command_tag = 'ALTER TABLE' AND d.classid = 'pg_class'::regclass
			-- while a restore has not brought the columns, it brings them itself
			AND EXISTS (SELECT FROM llm_audit.ledger_column k
				WHERE k.ledger_id = l.ledger_id)
	LOOP
		PERFORM llm_audit.register_columns(r.objid::regclass);
	END LOOP;
END
$$;
COMMENT ON FUNCTION llm_audit.on_ddl_end() IS
	'event trigger function: registers columns that ALTER TABLE added to a ledger';
REVOKE EXECUTE ON FUNCTION llm_audit.on_ddl_end() FROM PUBLIC;
CREATE EVENT TRIGGER llm_audit_ddl_end ON ddl_command_end
	WHEN TAG IN ('ALTER TABLE')
	EXECUTE FUNCTION llm_audit.on_ddl_end();
ALTER EVENT TRIGGER llm_audit_ddl_end ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER llm_audit_ddl_end IS
	'registers columns that ALTER TABLE added to a ledger';

-- What makes a table behave as a ledger: columns, defaults, indexes,
-- triggers, owner and grants, but no place in the registry.
CREATE FUNCTION llm_audit.install_ledger(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	c pg_catalog.pg_class;
	a record;
BEGIN
	SELECT * INTO c FROM pg_catalog.pg_class WHERE oid = relation;
	FOR a IN
		SELECT l.*, t.attname IS NOT NULL AS present FROM llm_audit.ledger_attributes() l
		LEFT JOIN pg_catalog.pg_attribute t ON t.attrelid = relation
			AND t.attname = l.column_name AND NOT t.attisdropped
	LOOP
		IF NOT a.present THEN
			EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s', relation, a.column_name, a.definition);
		ELSIF a.definition LIKE '% NOT NULL' THEN
			EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', relation, a.column_name);
		END IF;
	END LOOP;
	EXECUTE format('ALTER TABLE %s ALTER COLUMN id SET DEFAULT llm_audit.uuid7(),
		ALTER COLUMN recorded_at SET DEFAULT llm_audit.now()', relation);

	IF c.relkind = 'r' THEN
		IF NOT EXISTS (SELECT FROM pg_catalog.pg_index i
			JOIN pg_catalog.pg_attribute t ON t.attrelid = relation AND t.attnum = i.indkey[0]
			WHERE i.indrelid = relation AND i.indisunique AND i.indnatts = 1
				AND t.attname = 'id' AND i.indpred IS NULL)
		THEN
			EXECUTE format('CREATE UNIQUE INDEX ON %s (id)', relation);
		END IF;
		EXECUTE format('CREATE UNIQUE INDEX %I ON %s (chain_lane, chain_seq)',
			left(c.relname, 54) || '_lane_idx', relation);
		EXECUTE format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I',
			relation, left(c.relname, 54) || '_lane_idx');
	END IF;
	EXECUTE format('CREATE TRIGGER llm_audit_insert BEFORE INSERT ON %s
		FOR EACH ROW EXECUTE FUNCTION llm_audit.ledger_insert()', relation);
	EXECUTE format('CREATE TRIGGER llm_audit_guard_row BEFORE UPDATE OR DELETE ON %s
		FOR EACH ROW EXECUTE FUNCTION llm_audit.ledger_guard_row()', relation);
	EXECUTE format('CREATE TRIGGER llm_audit_guard BEFORE UPDATE OR DELETE OR TRUNCATE ON %s
		FOR EACH STATEMENT EXECUTE FUNCTION llm_audit.ledger_guard()', relation);
	EXECUTE format('ALTER TABLE %1$s ENABLE ALWAYS TRIGGER llm_audit_insert,
		ENABLE ALWAYS TRIGGER llm_audit_guard_row,
		ENABLE ALWAYS TRIGGER llm_audit_guard', relation);

	-- The former owner may go on reading and writing it, nothing else.
	EXECUTE format('ALTER TABLE %s OWNER TO llm_audit_owner', relation);
	IF c.relowner <> (SELECT oid FROM pg_catalog.pg_authid WHERE rolname = current_user)
		AND NOT (SELECT rolsuper FROM pg_catalog.pg_authid WHERE oid = c.relowner)
	THEN
		EXECUTE format('GRANT SELECT, INSERT ON %s TO %I', relation, c.relowner::regrole::name);
	END IF;
	EXECUTE format('GRANT INSERT ON %s TO llm_audit_writer', relation);
END
$$;
COMMENT ON FUNCTION llm_audit.install_ledger(regclass) IS
	'gives a table the columns, indexes, triggers, owner and grants of a ledger; part of create_ledger() and setup()';
REVOKE EXECUTE ON FUNCTION llm_audit.install_ledger(regclass) FROM PUBLIC;

CREATE FUNCTION llm_audit.enroll(relation regclass, ledger_role text,
		is_builtin boolean, retention interval, erasable text[],
		segment_width interval) RETURNS uuid
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	new_id uuid := gen_random_uuid();
BEGIN
	PERFORM llm_audit.require_superuser();
	IF segment_width IS NULL OR segment_width < interval '1 hour' THEN
		RAISE EXCEPTION 'segment_width must be at least one hour'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF retention <= interval '0' THEN
		RAISE EXCEPTION 'retention must be positive, or null for ever'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', relation);
	PERFORM llm_audit.check_enrollable(relation);
	PERFORM llm_audit.check_columns(relation, erasable);
	PERFORM llm_audit.install_ledger(relation);

	INSERT INTO llm_audit.ledger (ledger_id, schema_name, relation_name, role,
			builtin, partitioned, retention, segment_width)
		SELECT new_id, n.nspname, c.relname, ledger_role, is_builtin,
			c.relkind = 'p', enroll.retention, enroll.segment_width
		FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid = relation;
	PERFORM llm_audit.register_columns(relation);
	UPDATE llm_audit.ledger_column k SET erasable = true
		WHERE k.ledger_id = new_id AND k.column_name = ANY (enroll.erasable);
	RETURN new_id;
END
$$;
COMMENT ON FUNCTION llm_audit.enroll(regclass, text, boolean, interval, text[], interval) IS
	'makes an empty table a ledger, without segments; part of create_ledger() and setup()';
REVOKE EXECUTE ON FUNCTION llm_audit.enroll(regclass, text, boolean, interval, text[], interval)
	FROM PUBLIC;

CREATE FUNCTION llm_audit.create_ledger(relation regclass,
		retention interval DEFAULT NULL, erasable text[] DEFAULT '{}',
		segment_width interval DEFAULT '1 month') RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM llm_audit.require_superuser();
	IF to_regclass('llm_audit.segment_event') IS NULL THEN
		RAISE EXCEPTION 'llm_audit has not been set up in this database'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Run SELECT llm_audit.setup();';
	END IF;
	PERFORM llm_audit.enroll(relation, 'plain', false, retention, erasable, segment_width);
	PERFORM llm_audit.make_all_segments(relation);
	PERFORM llm_audit.record_own_event('ledger.created', 'ledger', relation::text, NULL,
		jsonb_build_object('retention', retention, 'erasable', erasable,
			'segment_width', segment_width));
END
$$;
COMMENT ON FUNCTION llm_audit.create_ledger(regclass, interval, text[], interval) IS
	'turns an empty table into a ledger: adds its columns, triggers and segments; retention NULL keeps rows for ever';
REVOKE EXECUTE ON FUNCTION llm_audit.create_ledger(regclass, interval, text[], interval)
	FROM PUBLIC;

CREATE FUNCTION llm_audit.drop_ledger(relation regclass, reason text)
	RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	l llm_audit.ledger;
BEGIN
	PERFORM llm_audit.require_superuser();
	IF reason IS NULL OR btrim(reason) = '' THEN
		RAISE EXCEPTION 'a reason is needed to drop a ledger'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT r.* INTO l FROM llm_audit.ledger r
		JOIN pg_catalog.pg_class c ON c.relname = r.relation_name
			AND c.relnamespace = to_regnamespace(quote_ident(r.schema_name))
		WHERE c.oid = relation;
	IF NOT FOUND THEN
		RAISE EXCEPTION '"%" is not a ledger', relation
			USING ERRCODE = 'wrong_object_type';
	ELSIF l.builtin THEN
		RAISE EXCEPTION '"%" is a built-in ledger', relation
			USING ERRCODE = 'wrong_object_type',
				HINT = 'Built-in ledgers go with llm_audit.uninstall() only.';
	END IF;
	PERFORM llm_audit.drop_relation(relation, reason);
	DELETE FROM llm_audit.ledger_segment WHERE ledger_id = l.ledger_id;
	DELETE FROM llm_audit.ledger_column WHERE ledger_id = l.ledger_id;
	DELETE FROM llm_audit.ledger_environment WHERE ledger_id = l.ledger_id;
	DELETE FROM llm_audit.ledger WHERE ledger_id = l.ledger_id;
END
$$;
COMMENT ON FUNCTION llm_audit.drop_ledger(regclass, text) IS
	'drops a ledger that create_ledger() made, with its rows; recorded in admin_event';
REVOKE EXECUTE ON FUNCTION llm_audit.drop_ledger(regclass, text) FROM PUBLIC;

CREATE FUNCTION llm_audit.uninstall(reason text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	l llm_audit.ledger;
BEGIN
	PERFORM llm_audit.require_superuser();
	IF reason IS NULL OR btrim(reason) = '' THEN
		RAISE EXCEPTION 'a reason is needed to uninstall llm_audit'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	PERFORM llm_audit.record_own_event('extension.uninstalled', 'extension', 'llm_audit', reason);
	-- admin_event last, so that each drop is recorded while it stands
	FOR l IN SELECT * FROM llm_audit.ledger
		ORDER BY relation_name IN ('admin_event', 'segment_event') AND builtin,
			relation_name = 'admin_event'
	LOOP
		PERFORM llm_audit.drop_relation(
			format('%I.%I', l.schema_name, l.relation_name)::regclass, reason);
		DELETE FROM llm_audit.ledger_segment WHERE ledger_id = l.ledger_id;
		DELETE FROM llm_audit.ledger_column WHERE ledger_id = l.ledger_id;
		DELETE FROM llm_audit.ledger_environment WHERE ledger_id = l.ledger_id;
		DELETE FROM llm_audit.ledger WHERE ledger_id = l.ledger_id;
	END LOOP;
END
$$;
COMMENT ON FUNCTION llm_audit.uninstall(text) IS
	'drops every ledger with all rows, each noted in the server log; DROP EXTENSION works afterwards';
REVOKE EXECUTE ON FUNCTION llm_audit.uninstall(text) FROM PUBLIC;
