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

CREATE FUNCTION llm_audit.revoke_defaults(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	grantee oid;
BEGIN
	FOR grantee IN
		SELECT DISTINCT x.grantee FROM pg_catalog.pg_class c, aclexplode(c.relacl) x
		WHERE c.oid = relation AND x.grantee <> c.relowner
	LOOP
		EXECUTE format('REVOKE ALL ON %s FROM %s CASCADE', relation,
			CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END);
	END LOOP;
END
$$;
COMMENT ON FUNCTION llm_audit.revoke_defaults(regclass) IS
	'takes from everybody but its owner what ALTER DEFAULT PRIVILEGES gave them on a new table or view; part of setup() and make_segments()';
REVOKE EXECUTE ON FUNCTION llm_audit.revoke_defaults(regclass) FROM PUBLIC;

CREATE FUNCTION llm_audit.create_branch(ledger regclass, branch name,
		environment text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'llm_audit_create_branch';
COMMENT ON FUNCTION llm_audit.create_branch(regclass, name, text) IS
	'makes the partition of an environment; part of setup() and add_environment()';
REVOKE EXECUTE ON FUNCTION llm_audit.create_branch(regclass, name, text)
	FROM PUBLIC;

CREATE FUNCTION llm_audit.first_in_default(branch regclass, from_time timestamptz,
		to_time timestamptz) RETURNS timestamptz
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'llm_audit_first_in_default';
COMMENT ON FUNCTION llm_audit.first_in_default(regclass, timestamptz, timestamptz) IS
	'recorded_at of the first row of a time (to is exclusive) in the default partition of an environment''s branch; NULL if there is none; part of due_segment()';
REVOKE EXECUTE ON FUNCTION llm_audit.first_in_default(regclass, timestamptz, timestamptz)
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
	'drops a ledger; part of drop_ledger() and uninstall()';
REVOKE EXECUTE ON FUNCTION llm_audit.drop_relation(regclass, text) FROM PUBLIC;

CREATE FUNCTION llm_audit.release_relation(relation regclass, reason text,
		new_owner name) RETURNS void
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'llm_audit_release_relation';
COMMENT ON FUNCTION llm_audit.release_relation(regclass, text, name) IS
	'makes a ledger an ordinary table again, rows and all; part of uninstall()';
REVOKE EXECUTE ON FUNCTION llm_audit.release_relation(regclass, text, name)
	FROM PUBLIC;

CREATE FUNCTION llm_audit.ledger_of(relation regclass)
	RETURNS SETOF llm_audit.ledger
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT r.* FROM llm_audit.ledger r
	JOIN pg_catalog.pg_class c ON c.relname = r.relation_name
		AND c.relnamespace = to_regnamespace(quote_ident(r.schema_name))
	WHERE c.oid = relation
$$;
COMMENT ON FUNCTION llm_audit.ledger_of(regclass) IS
	'the registry''s row of a ledger''s root; no row if the table is none';
REVOKE EXECUTE ON FUNCTION llm_audit.ledger_of(regclass) FROM PUBLIC;

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

CREATE FUNCTION llm_audit.require_reason(reason text, purpose text) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF coalesce(reason, '') !~ '\S' THEN
		RAISE EXCEPTION 'a reason is needed to %', purpose
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.require_reason(text, text) IS
	'raises 22023 if no reason is given for what a function is to do';
REVOKE EXECUTE ON FUNCTION llm_audit.require_reason(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.require_reason(text, text) TO llm_audit_admin;

-- What changes the registry reads it first, and may do so only one at a time
-- and as it is now: two that make the same segments would get in each other's
-- way, and an environment added beside a new ledger would be missing there.
CREATE FUNCTION llm_audit.lock_registry() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM llm_audit.require_superuser();
	PERFORM llm_audit.require_read_committed();
	LOCK TABLE llm_audit.ledger_segment IN SHARE ROW EXCLUSIVE MODE;
END
$$;
COMMENT ON FUNCTION llm_audit.lock_registry() IS
	'waits for other changes of ledgers and segments to commit, and keeps new ones away until the transaction ends; writers do not notice';
REVOKE EXECUTE ON FUNCTION llm_audit.lock_registry() FROM PUBLIC;

CREATE FUNCTION llm_audit.require_read_committed() RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
		RAISE EXCEPTION 'ledgers can be changed in a READ COMMITTED transaction only'
			USING ERRCODE = 'active_sql_transaction',
				HINT = 'Rows committed since a snapshot was taken would be overlooked.';
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.require_read_committed() IS
	'raises 25001 in a transaction that keeps one snapshot';

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
	offender name;
	filled boolean;
BEGIN
	SELECT * INTO c FROM pg_catalog.pg_class WHERE oid = relation;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'relation does not exist'
			USING ERRCODE = 'undefined_table';
	ELSIF c.relkind NOT IN ('r', 'p') THEN
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

	SELECT rulename INTO offender FROM pg_catalog.pg_rewrite WHERE ev_class = relation;
	IF FOUND THEN
		RAISE EXCEPTION 'table "%" has rule "%"', c.relname, offender
			USING ERRCODE = 'wrong_object_type';
	END IF;
	SELECT tgname INTO offender FROM pg_catalog.pg_trigger
		WHERE tgrelid = relation AND NOT tgisinternal AND tgtype & 66 <> 0;
	IF FOUND THEN
		RAISE EXCEPTION 'table "%" has BEFORE trigger "%"', c.relname, offender
			USING ERRCODE = 'wrong_object_type',
				HINT = 'It could change or drop a row after it was chained.';
	END IF;
	SELECT i.indexrelid::regclass::text INTO offender FROM pg_catalog.pg_index i
		WHERE i.indrelid = relation AND (i.indisunique OR i.indisexclusion)
			AND NOT (i.indnatts = 1 AND i.indpred IS NULL AND i.indimmediate
				AND NOT i.indisexclusion AND EXISTS (
				SELECT FROM pg_catalog.pg_attribute a
				WHERE a.attrelid = relation AND a.attnum = i.indkey[0] AND a.attname = 'id'));
	IF FOUND THEN
		RAISE EXCEPTION 'table "%" has unique index "%"', c.relname, offender
			USING ERRCODE = 'wrong_object_type',
				HINT = 'A ledger can be unique on (id) only, and not deferrably.';
	END IF;
	SELECT conname INTO offender FROM pg_catalog.pg_constraint
		WHERE conrelid = relation AND contype = 'f'
			AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd'));
	IF FOUND THEN
		RAISE EXCEPTION 'foreign key "%" of table "%" would change its rows', offender, c.relname
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

-- Not hashed, so of no type that EncodeKindOf() checks.
CREATE FUNCTION llm_audit.check_known_values(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_catalog.pg_attribute a
		WHERE a.attrelid = relation AND a.attname = 'known_values' AND NOT a.attisdropped
			AND (a.atttypid <> 'text[]'::regtype OR a.attgenerated <> '' OR a.attnotnull))
	THEN
		RAISE EXCEPTION 'column "known_values" of table "%" is not one for values to mask', relation
			USING ERRCODE = 'datatype_mismatch',
				HINT = 'A column of this name is text[], can be null and is not generated: it is never stored.';
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.check_known_values(regclass) IS
	'raises 42804 if a table has a column known_values that is not the one of ledgers';
REVOKE EXECUTE ON FUNCTION llm_audit.check_known_values(regclass) FROM PUBLIC;

CREATE FUNCTION llm_audit.check_columns(relation regclass, erasable text[])
	RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	offender name;
	partitioned boolean;
BEGIN
	SELECT relkind = 'p' INTO partitioned FROM pg_catalog.pg_class WHERE oid = relation;

	SELECT a.attname INTO offender FROM pg_catalog.pg_attribute a
		JOIN llm_audit.ledger_attributes() l ON l.column_name = a.attname
		WHERE a.attrelid = relation AND NOT a.attisdropped AND a.atttypid <> l.type;
	IF FOUND THEN
		RAISE EXCEPTION 'column "%" of table "%" has another type than a ledger needs', offender, relation
			USING ERRCODE = 'datatype_mismatch',
				HINT = 'See llm_audit.ledger_attributes().';
	END IF;

	SELECT a.attname INTO offender FROM pg_catalog.pg_attribute a
		WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
			AND a.attgenerated = '' AND a.attname <> 'known_values'
			AND NOT llm_audit.encodable(llm_audit.base_type(a.atttypid));
	IF FOUND THEN
		RAISE EXCEPTION 'column "%" of table "%" has a type that cannot be hashed', offender, relation
			USING ERRCODE = 'feature_not_supported',
				HINT = 'Use text, a number, boolean, uuid, bytea, json, jsonb, a date or time, interval, inet, cidr, or an array of these.';
	END IF;

	PERFORM llm_audit.check_known_values(relation);
	SELECT e INTO offender FROM unnest(erasable) e
		WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
			WHERE a.attrelid = relation AND a.attname = e AND a.attnum > 0
				AND NOT a.attisdropped AND a.attgenerated = '' AND NOT a.attnotnull)
			OR e IN (SELECT column_name FROM llm_audit.ledger_attributes())
			OR e IN ('environment', 'known_values');
	IF FOUND THEN
		RAISE EXCEPTION 'column "%" of table "%" cannot be erasable', offender, relation
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'An erasable column exists, can be null, and is neither generated nor one of the ledger''s own.';
	END IF;

	SELECT a.attname INTO offender FROM pg_catalog.pg_attribute a
		JOIN pg_catalog.pg_index i ON i.indrelid = a.attrelid
		JOIN pg_catalog.pg_depend d ON d.classid = 'pg_class'::regclass
			AND d.objid = i.indexrelid AND d.refclassid = 'pg_class'::regclass
			AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
		JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
		JOIN pg_catalog.pg_am m ON m.oid = x.relam
		WHERE a.attrelid = relation AND a.attname = ANY (erasable)
			-- a hash index holds hash codes of 32 bits, not values
			AND m.amname <> 'hash';
	IF FOUND THEN
		RAISE EXCEPTION 'column "%" of table "%" is in an index and cannot be erasable', offender, relation
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'An index would keep what has been erased; a hash index would not.';
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
	IF partitioned AND (SELECT octet_length(relname::text) FROM pg_catalog.pg_class
			WHERE oid = relation) > 30 THEN
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

CREATE FUNCTION llm_audit.column_fact(c llm_audit.ledger_column) RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT c.column_number || ' ' || c.type_oid || ' ' || c.column_name
$$;
COMMENT ON FUNCTION llm_audit.column_fact(llm_audit.ledger_column) IS
	'what segment_event says of a column of a ledger';
REVOKE EXECUTE ON FUNCTION llm_audit.column_fact(llm_audit.ledger_column) FROM PUBLIC;

CREATE FUNCTION llm_audit.append_columns(ledger_id uuid) RETURNS boolean
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	-- names are recorded as verify() writes them, whatever the session's setting
	SET quote_all_identifiers = off
	AS 'MODULE_PATHNAME', 'llm_audit_append_columns';
COMMENT ON FUNCTION llm_audit.append_columns(uuid) IS
	'appends the numbers of columns to segment_event that are not there yet; false if all are; part of create_ledger(), setup() and register_columns()';
REVOKE EXECUTE ON FUNCTION llm_audit.append_columns(uuid) FROM PUBLIC;

CREATE FUNCTION llm_audit.append_installed() RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
	SET quote_all_identifiers = off
	AS 'MODULE_PATHNAME', 'llm_audit_append_installed';
COMMENT ON FUNCTION llm_audit.append_installed() IS
	'appends to segment_event what this version of llm_audit installed on this server; false if that is said already; part of setup()';
REVOKE EXECUTE ON FUNCTION llm_audit.append_installed() FROM PUBLIC;

CREATE FUNCTION llm_audit.register_columns(ledger regclass) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	l llm_audit.ledger;
	a record;
	enrolling boolean;
	added int := 0;
BEGIN
	SELECT r.* INTO l FROM llm_audit.ledger r
		WHERE r.ledger_id = (SELECT o.ledger_id FROM llm_audit.ledger_of(ledger) o)
		FOR UPDATE;
	IF NOT FOUND THEN
		RAISE EXCEPTION '"%" is not a ledger', ledger
			USING ERRCODE = 'wrong_object_type';
	END IF;
	PERFORM llm_audit.check_known_values(ledger);
	enrolling := NOT EXISTS (SELECT FROM llm_audit.ledger_column k
		WHERE k.ledger_id = l.ledger_id);
	FOR a IN
		SELECT t.attname, llm_audit.base_type(t.atttypid) AS type,
			-- the value that a default gave to older rows stands in the
			-- leaves, or nowhere if they were rewritten
			t.atthasdef OR t.attidentity <> '' OR y.typdefault IS NOT NULL
				OR EXISTS (SELECT FROM pg_catalog.pg_attribute u
					WHERE u.attname = t.attname AND u.atthasmissing
						AND (u.attrelid = ledger OR u.attrelid IN (
							SELECT relid FROM pg_partition_tree(ledger)))) AS has_default
		FROM pg_catalog.pg_attribute t
		JOIN pg_catalog.pg_type y ON y.oid = t.atttypid
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
		ELSIF a.has_default AND NOT enrolling THEN
			RAISE EXCEPTION 'column "%" of ledger "%" was added with a default', a.attname, ledger
				USING ERRCODE = 'feature_not_supported',
					HINT = 'Older rows would show a value that they were never hashed with: ADD COLUMN first, then SET DEFAULT.';
		END IF;
		INSERT INTO llm_audit.ledger_column (ledger_id, column_number, column_name, type_oid)
			SELECT l.ledger_id, coalesce(max(column_number), 0) + 1, a.attname, a.type
			FROM llm_audit.ledger_column WHERE ledger_id = l.ledger_id;
		added := added + 1;
	END LOOP;
	-- those of a new ledger when it has its segments
	IF added > 0 AND NOT enrolling THEN
		PERFORM llm_audit.append_columns(l.ledger_id);
	END IF;
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

-- The index on (chain_lane, chain_seq) of an unpartitioned ledger, or NULL.
CREATE FUNCTION llm_audit.lane_index(relation regclass) RETURNS regclass
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT i.indexrelid::regclass FROM pg_catalog.pg_index i
	WHERE i.indrelid = relation AND i.indisunique AND i.indpred IS NULL
		AND (SELECT array_agg(a.attname::text ORDER BY k.n)
			FROM unnest(i.indkey) WITH ORDINALITY AS k (attnum, n)
			JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid
				AND a.attnum = k.attnum) = '{chain_lane,chain_seq}'
	ORDER BY i.indexrelid LIMIT 1
$$;
COMMENT ON FUNCTION llm_audit.lane_index(regclass) IS
	'unique index on (chain_lane, chain_seq) of a table, or NULL';
REVOKE EXECUTE ON FUNCTION llm_audit.lane_index(regclass) FROM PUBLIC;

-- Columns, defaults and indexes.  The hashes are never stored out of line: a
-- lane's head is read with every insert, and at commit, where nothing can be
-- fetched from a TOAST table any more.
CREATE FUNCTION llm_audit.install_columns(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	c pg_catalog.pg_class;
	a record;
	lane_name text;
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
		ALTER COLUMN recorded_at SET DEFAULT llm_audit.now(),
		ALTER COLUMN prev_hash SET STORAGE PLAIN,
		ALTER COLUMN row_hash SET STORAGE PLAIN', relation);

	IF c.relkind = 'p' THEN
		EXECUTE format('ALTER TABLE %s ALTER COLUMN environment SET NOT NULL', relation);
		RETURN;
	END IF;
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_index i
		JOIN pg_catalog.pg_attribute t ON t.attrelid = relation AND t.attnum = i.indkey[0]
		WHERE i.indrelid = relation AND i.indisunique AND i.indnatts = 1
			AND t.attname = 'id' AND i.indpred IS NULL)
	THEN
		EXECUTE format('CREATE UNIQUE INDEX ON %s (id)', relation);
	END IF;
	IF EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = relation AND atthasmissing) THEN
		-- A rewrite of the empty table forgets what older rows would show.
		EXECUTE format('CLUSTER %s USING %I', relation, (SELECT x.relname
			FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
			WHERE i.indrelid = relation AND i.indisunique AND i.indisvalid LIMIT 1));
		EXECUTE format('ALTER TABLE %s SET WITHOUT CLUSTER', relation);
	END IF;
	IF llm_audit.lane_index(relation) IS NULL THEN
		lane_name := c.relname || '_lane_idx';
		IF octet_length(lane_name) > 63 OR to_regclass(format('%I.%I',
				c.relnamespace::regnamespace::name, lane_name)) IS NOT NULL THEN
			lane_name := '';		-- any other
		END IF;
		EXECUTE format('CREATE UNIQUE INDEX %s ON %s (chain_lane, chain_seq)',
			coalesce(quote_ident(nullif(lane_name, '')), ''), relation);
	END IF;
	EXECUTE format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', relation,
		(SELECT relname FROM pg_catalog.pg_class WHERE oid = llm_audit.lane_index(relation)));
END
$$;
COMMENT ON FUNCTION llm_audit.install_columns(regclass) IS
	'gives a table the columns, defaults and indexes of a ledger that it lacks; part of install_ledger()';
REVOKE EXECUTE ON FUNCTION llm_audit.install_columns(regclass) FROM PUBLIC;

-- Owner and grants.  The former owner may go on reading and writing it,
-- nothing else; nor may anybody whom the owner has allowed more: a trigger
-- of theirs would run as whoever writes.  What everybody may do, nobody may.
CREATE FUNCTION llm_audit.install_owner(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	c pg_catalog.pg_class;
	g record;
BEGIN
	SELECT * INTO c FROM pg_catalog.pg_class WHERE oid = relation;
	EXECUTE format('ALTER TABLE %s OWNER TO llm_audit_owner', relation);
	-- what foreign keys do, they do as the owner
	IF c.relnamespace <> 'llm_audit'::regnamespace THEN
		EXECUTE format('GRANT USAGE ON SCHEMA %s TO llm_audit_owner', c.relnamespace::regnamespace);
	END IF;
	FOR g IN
		SELECT DISTINCT x.grantee, x.privilege_type
		FROM pg_catalog.pg_class r, aclexplode(r.relacl) x
		WHERE r.oid = relation AND x.grantee <> r.relowner
			AND (x.privilege_type NOT IN ('SELECT', 'INSERT') OR x.grantee = 0)
	LOOP
		EXECUTE format('REVOKE %s ON %s FROM %s CASCADE', g.privilege_type, relation,
			CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END);
	END LOOP;
	FOR g IN
		SELECT DISTINCT x.grantee, x.privilege_type, t.attname
		FROM pg_catalog.pg_attribute t, aclexplode(t.attacl) x
		WHERE t.attrelid = relation AND NOT t.attisdropped
			AND (x.privilege_type NOT IN ('SELECT', 'INSERT') OR x.grantee = 0)
	LOOP
		EXECUTE format('REVOKE %s (%I) ON %s FROM %s CASCADE', g.privilege_type, g.attname, relation,
			CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END);
	END LOOP;
	IF NOT (SELECT rolsuper OR rolname = 'llm_audit_owner'
		FROM pg_catalog.pg_roles WHERE oid = c.relowner)
	THEN
		EXECUTE format('GRANT SELECT, INSERT ON %s TO %I', relation, pg_get_userbyid(c.relowner));
	END IF;
	-- what the access writer and our own functions alone write
	IF c.relnamespace <> 'llm_audit'::regnamespace
		OR c.relname NOT IN ('access_log', 'access_record', 'segment_event',
			'erase_receipt', 'purge_receipt')
	THEN
		EXECUTE format('GRANT INSERT ON %s TO llm_audit_writer', relation);
		IF c.relnamespace = 'llm_audit'::regnamespace THEN
			EXECUTE format('GRANT INSERT ON %s TO llm_audit_copier', relation);
		END IF;
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.install_owner(regclass) IS
	'takes a table over for a ledger: owner, and no more than SELECT and INSERT for others; part of install_ledger()';
REVOKE EXECUTE ON FUNCTION llm_audit.install_owner(regclass) FROM PUBLIC;

-- What makes a table behave as a ledger, but for its place in the registry.
CREATE FUNCTION llm_audit.install_ledger(relation regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	t record;
BEGIN
	PERFORM llm_audit.install_columns(relation);
	FOR t IN
		SELECT * FROM (VALUES
			('llm_audit_insert', 'INSERT', 'ROW', 'ledger_insert'),
			('llm_audit_guard_row', 'UPDATE OR DELETE', 'ROW', 'ledger_guard_row'),
			('llm_audit_guard', 'UPDATE OR DELETE OR TRUNCATE', 'STATEMENT', 'ledger_guard')
		) AS v (name, events, level, function)
		WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_trigger g
			WHERE g.tgrelid = relation AND g.tgname = v.name)
	LOOP
		EXECUTE format('CREATE TRIGGER %I BEFORE %s ON %s FOR EACH %s
			EXECUTE FUNCTION llm_audit.%I()', t.name, t.events, relation, t.level, t.function);
		EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', relation, t.name);
	END LOOP;
	PERFORM llm_audit.install_owner(relation);
END
$$;
COMMENT ON FUNCTION llm_audit.install_ledger(regclass) IS
	'gives a table the columns, indexes, triggers, owner and grants of a ledger that it lacks; part of create_ledger() and setup()';
REVOKE EXECUTE ON FUNCTION llm_audit.install_ledger(regclass) FROM PUBLIC;

CREATE FUNCTION llm_audit.check_width(width interval) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	months int := extract(year FROM width) * 12 + extract(month FROM width);
	rest interval := width - make_interval(months => months);
BEGIN
	-- Periods of months and of hours do not fit into each other, and names of
	-- segments go down to the hour.
	IF width IS NULL OR width < interval '1 hour' OR width > interval '10 years'
		OR (months <> 0 AND rest <> interval '0')
		OR extract(epoch FROM rest) % 3600 <> 0
	THEN
		RAISE EXCEPTION 'width of segments must be whole months, or whole hours, from 1 hour to 10 years'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.check_width(interval) IS
	'raises 22023 if segments cannot have this width';

CREATE FUNCTION llm_audit.enroll(relation regclass, ledger_role text,
		is_builtin boolean, retention interval, erasable text[],
		segment_width interval) RETURNS uuid
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	new_id uuid := gen_random_uuid();
BEGIN
	PERFORM llm_audit.lock_registry();
	PERFORM llm_audit.check_width(segment_width);
	IF NOT llm_audit.valid_period(retention) THEN
		RAISE EXCEPTION 'retention must be positive in all of its parts and at most 1000 years, or null for ever'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF relation IS NULL THEN
		RAISE EXCEPTION 'relation must not be null'
			USING ERRCODE = 'null_value_not_allowed';
	END IF;
	EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', relation);
	PERFORM llm_audit.check_enrollable(relation);
	PERFORM llm_audit.check_columns(relation, erasable);
	PERFORM llm_audit.install_ledger(relation);

	INSERT INTO llm_audit.ledger (ledger_id, schema_name, relation_name, role,
			builtin, partitioned, segment_width)
		SELECT new_id, n.nspname, c.relname, ledger_role, is_builtin,
			c.relkind = 'p', enroll.segment_width
		FROM pg_catalog.pg_class c
		JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid = relation;
	INSERT INTO llm_audit.retention_policy (ledger_id, environment, data_class, period, reason)
		VALUES (new_id, '*', '*', enroll.retention, 'the ledger was made');
	PERFORM llm_audit.register_columns(relation);
	UPDATE llm_audit.ledger_column k SET erasable = true
		WHERE k.ledger_id = new_id AND k.column_name = ANY (enroll.erasable);
	PERFORM llm_audit.forgo_statistics(r, r.relation_name)
		FROM llm_audit.ledger r WHERE r.ledger_id = new_id;
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
	PERFORM llm_audit.lock_registry();
	IF to_regclass('llm_audit.segment_event') IS NULL THEN
		RAISE EXCEPTION 'llm_audit has not been set up in this database'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Run SELECT llm_audit.setup();';
	END IF;
	PERFORM llm_audit.enroll(relation, 'plain', false, retention, erasable, segment_width);
	PERFORM llm_audit.make_all_segments(relation);
	PERFORM llm_audit.append_columns(l.ledger_id), llm_audit.append_definition(l.ledger_id)
		FROM llm_audit.ledger_of(relation) l;
	PERFORM llm_audit.record_own_event('ledger.created', 'ledger', relation::text, NULL,
		jsonb_build_object('retention', retention, 'erasable', erasable,
			'segment_width', segment_width));
END
$$;
COMMENT ON FUNCTION llm_audit.create_ledger(regclass, interval, text[], interval) IS
	'turns an empty table into a ledger: adds its columns, triggers and segments; retention NULL keeps rows for ever';
REVOKE EXECUTE ON FUNCTION llm_audit.create_ledger(regclass, interval, text[], interval)
	FROM PUBLIC;

-- What the registry says about a ledger, forgotten.
CREATE FUNCTION llm_audit.forget_ledger(for_ledger uuid) RETURNS void
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
	DELETE FROM llm_audit.ledger_segment WHERE ledger_id = for_ledger;
	DELETE FROM llm_audit.ledger_column WHERE ledger_id = for_ledger;
	DELETE FROM llm_audit.ledger_environment WHERE ledger_id = for_ledger;
	DELETE FROM llm_audit.field_policy WHERE ledger_id = for_ledger;
	DELETE FROM llm_audit.mask_rule WHERE ledger_id = for_ledger;
	DELETE FROM llm_audit.sensitive_relation s USING llm_audit.ledger l
		WHERE l.ledger_id = for_ledger AND s.schema_name = l.schema_name
			AND s.relation_name = l.relation_name;
	DELETE FROM llm_audit.ledger WHERE ledger_id = for_ledger;
	DELETE FROM llm_audit.retention_policy WHERE ledger_id = for_ledger;
$$;
COMMENT ON FUNCTION llm_audit.forget_ledger(uuid) IS
	'removes a ledger from the registry; part of drop_ledger() and uninstall()';
REVOKE EXECUTE ON FUNCTION llm_audit.forget_ledger(uuid) FROM PUBLIC;

-- The other half of install_owner()'s grant.
CREATE FUNCTION llm_audit.leave_schema(schema name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = schema)
		AND schema <> 'llm_audit'
		AND NOT EXISTS (SELECT FROM llm_audit.ledger l WHERE l.schema_name = schema)
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c
			JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = schema AND c.relowner = 'llm_audit_owner'::regrole)
	THEN
		EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM llm_audit_owner', schema);
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.leave_schema(name) IS
	'takes USAGE of a schema from llm_audit_owner, which has no ledger or other table in it any more; part of drop_ledger() and uninstall()';
REVOKE EXECUTE ON FUNCTION llm_audit.leave_schema(name) FROM PUBLIC;

CREATE FUNCTION llm_audit.drop_ledger(relation regclass, reason text)
	RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	l llm_audit.ledger;
BEGIN
	PERFORM llm_audit.lock_registry();
	PERFORM llm_audit.require_reason(reason, 'drop a ledger');
	SELECT * INTO l FROM llm_audit.ledger_of(relation);
	IF NOT FOUND THEN
		RAISE EXCEPTION '"%" is not a ledger', relation
			USING ERRCODE = 'wrong_object_type';
	ELSIF l.builtin THEN
		RAISE EXCEPTION '"%" is a built-in ledger', relation
			USING ERRCODE = 'wrong_object_type',
				HINT = 'Built-in ledgers go with llm_audit.uninstall() only.';
	END IF;
	PERFORM llm_audit.require_unheld(l);
	PERFORM llm_audit.record_own_event('ledger.dropped', 'ledger',
		format('%I.%I', l.schema_name, l.relation_name), reason,
		jsonb_build_object('ledger_id', l.ledger_id));
	PERFORM llm_audit.drop_relation(relation, reason);
	PERFORM llm_audit.forget_ledger(l.ledger_id);
	PERFORM llm_audit.leave_schema(l.schema_name);
END
$$;
COMMENT ON FUNCTION llm_audit.drop_ledger(regclass, text) IS
	'drops a ledger that create_ledger() made, with its rows; recorded in admin_event and in the server log';
REVOKE EXECUTE ON FUNCTION llm_audit.drop_ledger(regclass, text) FROM PUBLIC;

-- Tables that a DBA enrolled are not ours to drop: they stay, with their
-- rows, hashes included, but nothing protects them any more.
CREATE FUNCTION llm_audit.uninstall(reason text,
		new_owner name DEFAULT 'llm_audit_owner') RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	l llm_audit.ledger;
	relation regclass;
BEGIN
	PERFORM llm_audit.lock_registry();
	PERFORM llm_audit.require_reason(reason, 'uninstall llm_audit');
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = new_owner) THEN
		RAISE EXCEPTION 'role "%" does not exist', new_owner
			USING ERRCODE = 'undefined_object';
	END IF;
	PERFORM llm_audit.require_unheld(r) FROM llm_audit.ledger r;
	PERFORM llm_audit.record_own_event('extension.uninstalled', 'extension', 'llm_audit', reason);
	PERFORM llm_audit.drop_views();
	FOR l IN SELECT * FROM llm_audit.ledger ORDER BY builtin, schema_name, relation_name LOOP
		relation := to_regclass(format('%I.%I', l.schema_name, l.relation_name));
		IF relation IS NULL THEN
			NULL;				-- a publisher's ledger, never made here
		ELSIF l.builtin THEN
			PERFORM llm_audit.drop_relation(relation, reason);
		ELSE
			PERFORM llm_audit.release_relation(relation, reason, new_owner);
		END IF;
		PERFORM llm_audit.forget_ledger(l.ledger_id);
		PERFORM llm_audit.leave_schema(l.schema_name);
	END LOOP;
END
$$;
COMMENT ON FUNCTION llm_audit.uninstall(text, name) IS
	'drops the built-in ledgers with all rows, and makes enrolled tables ordinary ones of new_owner that keep theirs; noted in the server log; DROP EXTENSION works afterwards';
REVOKE EXECUTE ON FUNCTION llm_audit.uninstall(text, name) FROM PUBLIC;
