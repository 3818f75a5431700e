-- Encryption at rest: data keys, and encrypted originals.  Data keys are
-- files in llm_audit.key_directory; nothing of them is in the database.

CREATE TABLE llm_audit.original_recipient (
	environment text NOT NULL,
	service_name text NOT NULL,
	public_key bytea,
	openpgp_key_id text,
	changed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	changed_by name NOT NULL DEFAULT session_user,
	PRIMARY KEY (environment, service_name),
	CHECK ((public_key IS NULL) = (openpgp_key_id IS NULL))
);
COMMENT ON TABLE llm_audit.original_recipient IS
	'to whose OpenPGP key the originals of fragments are encrypted; the more specific row wins, service before environment; no row: originals are not kept';
COMMENT ON COLUMN llm_audit.original_recipient.environment IS
	'environment, or * for all';
COMMENT ON COLUMN llm_audit.original_recipient.service_name IS
	'service, or * for all';
COMMENT ON COLUMN llm_audit.original_recipient.public_key IS
	'the public key; NULL: originals are not kept';
COMMENT ON COLUMN llm_audit.original_recipient.openpgp_key_id IS
	'id of the key that messages are encrypted to, as OpenPGP programs show it';
COMMENT ON COLUMN llm_audit.original_recipient.changed_at IS
	'when it was last changed';
COMMENT ON COLUMN llm_audit.original_recipient.changed_by IS
	'session user who changed it';

CREATE TRIGGER llm_audit_config AFTER INSERT OR UPDATE OR DELETE
	ON llm_audit.original_recipient FOR EACH ROW
	EXECUTE FUNCTION llm_audit.config_changed();
ALTER TABLE llm_audit.original_recipient ENABLE ALWAYS TRIGGER llm_audit_config;
SELECT pg_catalog.pg_extension_config_dump('llm_audit.original_recipient', '');

-- Decrypting.  Nobody but the owners of views and definer functions may: what
-- shows text to people goes through them, with its own checks and records.
CREATE FUNCTION llm_audit.decrypt_value(segment regclass, column_name name,
		id uuid, value bytea) RETURNS text
	LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 100
	AS 'MODULE_PATHNAME', 'llm_audit_decrypt_value';
COMMENT ON FUNCTION llm_audit.decrypt_value(regclass, name, uuid, bytea) IS
	'text that is encrypted in a column of a row (segment: the row''s tableoid); XX001 if it was altered or moved, 58P01 if its data key is missing, 55000 if that was destroyed; for functions of the extension''s owners';
REVOKE EXECUTE ON FUNCTION llm_audit.decrypt_value(regclass, name, uuid, bytea)
	FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.decrypt_value(regclass, name, uuid, bytea)
	TO llm_audit_definer, llm_audit_view_owner;

CREATE FUNCTION llm_audit.decrypt_bytes(ledger_id uuid, segment int,
		column_number int, id uuid, value bytea) RETURNS bytea
	LANGUAGE c STABLE STRICT PARALLEL RESTRICTED COST 100
	AS 'MODULE_PATHNAME', 'llm_audit_decrypt_bytes';
COMMENT ON FUNCTION llm_audit.decrypt_bytes(uuid, int, int, uuid, bytea) IS
	'the same by number, for rows that are not in a ledger any more, such as those of an archive';
REVOKE EXECUTE ON FUNCTION llm_audit.decrypt_bytes(uuid, int, int, uuid, bytea)
	FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.decrypt_bytes(uuid, int, int, uuid, bytea)
	TO llm_audit_definer, llm_audit_view_owner;

-- Data keys.
CREATE FUNCTION llm_audit.init_key_directory() RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_init_key_directory';
COMMENT ON FUNCTION llm_audit.init_key_directory() IS
	'makes llm_audit.key_directory ready for data keys; a directory that is ready stays as it is';
REVOKE EXECUTE ON FUNCTION llm_audit.init_key_directory() FROM PUBLIC;

CREATE FUNCTION llm_audit.key_directory_problem() RETURNS text
	LANGUAGE c VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'llm_audit_key_directory_problem';
COMMENT ON FUNCTION llm_audit.key_directory_problem() IS
	'why the directory of data keys cannot be used; NULL: it can';
REVOKE EXECUTE ON FUNCTION llm_audit.key_directory_problem() FROM PUBLIC;

CREATE FUNCTION llm_audit.data_keys()
	RETURNS TABLE (ledger_id uuid, segment int, key_id text, state text,
		created_at timestamptz, destroyed_at timestamptz, values_reserved bigint,
		wrapped_by text, unwraps boolean)
	LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 100
	AS 'MODULE_PATHNAME', 'llm_audit_data_keys';
COMMENT ON FUNCTION llm_audit.data_keys() IS
	'data keys in llm_audit.key_directory, those of other databases of the cluster too: state live, destroyed or damaged; how many values each may have encrypted; id of the key that wraps it, and whether that is here';
REVOKE EXECUTE ON FUNCTION llm_audit.data_keys() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.data_keys()
	TO llm_audit_admin, llm_audit_auditor, llm_audit_compliance;

CREATE FUNCTION llm_audit.wrap_data_keys() RETURNS int
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_wrap_data_keys';
COMMENT ON FUNCTION llm_audit.wrap_data_keys() IS
	'wraps data keys under the current wrapping key where they are not yet; part of rewrap_data_keys()';
REVOKE EXECUTE ON FUNCTION llm_audit.wrap_data_keys() FROM PUBLIC;

CREATE FUNCTION llm_audit.remove_data_keys(ledger_id uuid, segment int)
	RETURNS text[]
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_remove_data_keys';
COMMENT ON FUNCTION llm_audit.remove_data_keys(uuid, int) IS
	'destroys data keys, unchecked and unrecorded; part of destroy_data_keys()';
REVOKE EXECUTE ON FUNCTION llm_audit.remove_data_keys(uuid, int) FROM PUBLIC;

CREATE FUNCTION llm_audit.rewrap_data_keys(reason text) RETURNS int
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	wrapped int;
BEGIN
	PERFORM llm_audit.require_reason(reason, 'wrap data keys anew');
	wrapped := llm_audit.wrap_data_keys();
	PERFORM llm_audit.record_own_event('data_key.rewrapped', 'data_key', NULL, reason,
		jsonb_build_object('keys', wrapped));
	RETURN wrapped;
END
$$;
COMMENT ON FUNCTION llm_audit.rewrap_data_keys(text) IS
	'after the wrapping key has changed, wraps every data key of the directory under the current one; returns how many; takes effect at once, whatever becomes of the transaction; recorded; can be repeated; for superusers';
REVOKE EXECUTE ON FUNCTION llm_audit.rewrap_data_keys(text) FROM PUBLIC;

CREATE FUNCTION llm_audit.destroy_data_keys(ledger regclass, segment int, reason text)
	RETURNS text[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	l llm_audit.ledger;
	state text;
	destroyed text[];
BEGIN
	SELECT * INTO l FROM llm_audit.ledger_of(ledger);
	SELECT s.state INTO state FROM llm_audit.ledger_segment s
		WHERE s.ledger_id = l.ledger_id AND s.segment = destroy_data_keys.segment
		FOR SHARE;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'ledger "%" has no segment %', ledger, segment
			USING ERRCODE = 'undefined_object';
	ELSIF state = 'open' THEN
		RAISE EXCEPTION 'segment % of ledger "%" is open', segment, ledger
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Close it with llm_audit.close_segments() first.';
	END IF;
	PERFORM llm_audit.require_reason(reason, 'destroy data keys');
	destroyed := llm_audit.remove_data_keys(l.ledger_id, segment);
	PERFORM llm_audit.record_own_event('data_key.destroyed', 'segment',
		ledger::text || ' ' || segment, reason,
		jsonb_build_object('keys', destroyed, 'segment', segment));
	RETURN destroyed;
END
$$;
COMMENT ON FUNCTION llm_audit.destroy_data_keys(regclass, int, text) IS
	'destroys the data keys of a closed or purged segment, and with them every copy of what they encrypted; returns the ids of those that are destroyed now; takes effect at once and for good, whatever becomes of the transaction, and leaves in each file when; recorded; can be repeated; for superusers and retention';
REVOKE EXECUTE ON FUNCTION llm_audit.destroy_data_keys(regclass, int, text) FROM PUBLIC;

-- What set_field_policy() asks and does where encrypt is true.
CREATE FUNCTION llm_audit.encrypted_column(ledger regclass, column_name name)
	RETURNS name
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT t.attname FROM pg_catalog.pg_attribute a
	JOIN pg_catalog.pg_attribute t ON t.attrelid = a.attrelid
		AND t.attname::text = CASE WHEN a.atttypid = 'bytea'::regtype
			THEN a.attname::text ELSE a.attname || '_encrypted' END
	WHERE a.attrelid = ledger AND a.attname = encrypted_column.column_name
		AND a.attnum > 0 AND NOT a.attisdropped
		AND t.attnum > 0 AND NOT t.attisdropped AND NOT t.attnotnull
		AND t.attgenerated = '' AND t.atttypid = 'bytea'::regtype
$$;
COMMENT ON FUNCTION llm_audit.encrypted_column(regclass, name) IS
	'the column that takes the ciphertext of another: NAME_encrypted of type bytea, or a bytea column itself; NULL: there is none';
REVOKE EXECUTE ON FUNCTION llm_audit.encrypted_column(regclass, name) FROM PUBLIC;

CREATE FUNCTION llm_audit.check_encryption(ledger regclass,
		policy llm_audit.field_policy, is_builtin boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	a pg_catalog.pg_attribute;
	problem text;
	advice text := 'Only free text is encrypted, and bytea columns of ledgers of your own.';
BEGIN
	SELECT * INTO a FROM pg_catalog.pg_attribute
		WHERE attrelid = ledger AND attname = policy.column_name;
	problem := CASE
		WHEN policy.on_write NOT IN ('mask', 'keep')
			THEN 'only values to mask or keep can be encrypted'
		WHEN llm_audit.base_type(a.atttypid) NOT IN ('text'::regtype, 'varchar'::regtype,
				'json'::regtype, 'jsonb'::regtype, 'bytea'::regtype)
			THEN 'values of its type cannot be encrypted'
		WHEN is_builtin AND NOT EXISTS (SELECT FROM llm_audit.builtin_field_policies() p
				JOIN llm_audit.ledger l ON l.relation_name = p.relation_name
				WHERE l.ledger_id = policy.ledger_id AND p.column_name = policy.column_name
					AND p.on_write = 'mask')
			THEN 'llm_audit relies on its values'
		WHEN a.attnotnull OR is_builtin AND policy.column_name = 'reason'
			THEN 'it must not be null'
		WHEN EXISTS (SELECT FROM llm_audit.field_policy p
				WHERE p.ledger_id = policy.ledger_id AND p.encrypt
					AND p.column_name || '_encrypted' = policy.column_name::text)
			THEN 'it holds the ciphertext of another column'
		END;
	IF problem IS NULL AND llm_audit.encrypted_column(ledger, policy.column_name) IS NULL THEN
		problem := 'there is no column for the ciphertext';
		advice := format('ALTER TABLE %s ADD COLUMN %I bytea.', ledger,
			policy.column_name || '_encrypted');
	END IF;
	IF problem IS NOT NULL THEN
		RAISE EXCEPTION 'column "%" of ledger "%" cannot be encrypted',
				policy.column_name, ledger
			USING ERRCODE = 'invalid_parameter_value', DETAIL = problem || '.',
				HINT = advice;
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.check_encryption(regclass, llm_audit.field_policy, boolean) IS
	'raises an error that says why the values of a column cannot be encrypted, if they cannot';
REVOKE EXECUTE ON FUNCTION llm_audit.check_encryption(regclass, llm_audit.field_policy, boolean)
	FROM PUBLIC;

-- The ciphertext of a column that can be erased can be erased too.
CREATE FUNCTION llm_audit.prepare_encryption(ledger regclass,
		policy llm_audit.field_policy) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	problem text := llm_audit.key_directory_problem();
BEGIN
	IF problem IS NOT NULL THEN
		PERFORM llm_audit.init_key_directory();
	END IF;
	UPDATE llm_audit.ledger_column k SET erasable = true
		WHERE k.ledger_id = policy.ledger_id AND NOT k.erasable
			AND k.column_name = llm_audit.encrypted_column(ledger, policy.column_name)
			AND EXISTS (SELECT FROM llm_audit.ledger_column b
				WHERE b.ledger_id = k.ledger_id AND b.erasable
					AND b.column_name = policy.column_name);
	IF FOUND THEN
		PERFORM llm_audit.forgo_statistics(l, c.relname)
			FROM llm_audit.ledger l, pg_catalog.pg_class c
			WHERE l.ledger_id = policy.ledger_id
				AND (c.oid = ledger OR c.oid IN (SELECT relid FROM pg_partition_tree(ledger)));
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.prepare_encryption(regclass, llm_audit.field_policy) IS
	'sees to it that values of a column can be encrypted from now on; part of set_field_policy()';
REVOKE EXECUTE ON FUNCTION llm_audit.prepare_encryption(regclass, llm_audit.field_policy)
	FROM PUBLIC;

-- Encrypted originals.
CREATE FUNCTION llm_audit.read_openpgp_key(armored text, OUT public_key bytea,
		OUT openpgp_key_id text)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	place name;
BEGIN
	SELECT n.nspname INTO place FROM pg_catalog.pg_extension e
		JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
		WHERE e.extname = 'pgcrypto';
	IF NOT FOUND THEN
		RAISE EXCEPTION 'extension "pgcrypto" is missing'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'CREATE EXTENSION pgcrypto.';
	END IF;
	BEGIN
		EXECUTE format('SELECT %I.dearmor($1)', place) INTO public_key USING armored;
		EXECUTE format('SELECT %I.pgp_key_id($1), %1$I.pgp_pub_encrypt(''a trial'', $1) IS NULL', place)
			INTO openpgp_key_id USING public_key;
	EXCEPTION WHEN external_routine_invocation_exception OR external_routine_exception THEN
		RAISE EXCEPTION 'that is not a public key that pgcrypto can encrypt to'
			USING ERRCODE = 'invalid_parameter_value', DETAIL = SQLERRM || '.',
				HINT = 'It wants an ASCII-armored public key with an RSA or ElGamal subkey for encryption, as gpg --armor --export writes it.';
	END;
END
$$;
COMMENT ON FUNCTION llm_audit.read_openpgp_key(text) IS
	'the bytes and the id of an ASCII-armored public key; 22023 if pgcrypto cannot encrypt to it; part of set_original_key()';
REVOKE EXECUTE ON FUNCTION llm_audit.read_openpgp_key(text) FROM PUBLIC;

CREATE FUNCTION llm_audit.set_original_key(public_key text, reason text,
		environment text DEFAULT '*', service_name text DEFAULT '*') RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
	key_bytes bytea;
	key_id text;
	before text;
BEGIN
	IF environment IS NULL OR environment <> '*' AND NOT EXISTS (
		SELECT FROM llm_audit.environment e WHERE e.name = environment)
	THEN
		RAISE EXCEPTION 'environment is not known'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'The environments are in llm_audit.environment; * stands for all.';
	ELSIF coalesce(service_name, '') = '' THEN
		RAISE EXCEPTION 'service_name must not be empty'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	PERFORM llm_audit.require_reason(reason, 'change who can open originals');
	IF public_key IS NOT NULL THEN
		SELECT k.public_key, k.openpgp_key_id INTO key_bytes, key_id
			FROM llm_audit.read_openpgp_key(public_key) k;
	END IF;
	SELECT r.openpgp_key_id INTO before FROM llm_audit.original_recipient r
		WHERE r.environment = set_original_key.environment
			AND r.service_name = set_original_key.service_name
		FOR UPDATE;
	INSERT INTO llm_audit.original_recipient AS r
			(environment, service_name, public_key, openpgp_key_id)
		VALUES (environment, service_name, key_bytes, key_id)
		ON CONFLICT ON CONSTRAINT original_recipient_pkey
			DO UPDATE SET public_key = excluded.public_key,
				openpgp_key_id = excluded.openpgp_key_id,
				changed_at = excluded.changed_at, changed_by = excluded.changed_by;
	PERFORM llm_audit.record_own_event('original_recipient.changed',
		'original_recipient', environment || '/' || service_name, reason,
		jsonb_build_object('openpgp_key_id', key_id, 'openpgp_key_id_before', before));
END
$$;
COMMENT ON FUNCTION llm_audit.set_original_key(text, text, text, text) IS
	'from now on the text of fragments of an environment and a service, each * for all, is also kept unmasked, as an OpenPGP message to this ASCII-armored public key; NULL: it is not; needs extension pgcrypto; recorded as high-risk; for superusers';
REVOKE EXECUTE ON FUNCTION llm_audit.set_original_key(text, text, text, text) FROM PUBLIC;

-- What readiness() says about it.  A look at a thousand rows of each segment
-- tells whether data keys were lost; decrypting tells the rest.
CREATE FUNCTION llm_audit.missing_data_keys() RETURNS text[]
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	c record;
	found text[];
	missing text[] := '{}';
	present text[] := ARRAY(SELECT concat_ws('-', k.ledger_id, k.segment, k.key_id)
		FROM llm_audit.data_keys() k);
BEGIN
	FOR c IN SELECT s.ledger_id, s.segment, llm_audit.leaf_of(s) AS leaf, s.relation_name, e.name
		FROM llm_audit.ledger l
		JOIN llm_audit.ledger_segment s USING (ledger_id)
		JOIN llm_audit.field_policy p ON p.ledger_id = l.ledger_id AND p.encrypt
		CROSS JOIN LATERAL llm_audit.encrypted_column(to_regclass(
			format('%I.%I', l.schema_name, l.relation_name)), p.column_name) AS e (name)
		WHERE s.state <> 'purged' AND e.name IS NOT NULL
			AND llm_audit.leaf_of(s) IS NOT NULL
	LOOP
		EXECUTE format('SELECT array_agg(DISTINCT encode(substr(v, 2, 4), ''hex''))
			FROM (SELECT %I AS v FROM ONLY %s LIMIT 1000) AS r
			WHERE length(v) >= 33 AND get_byte(v, 0) = 1',
			c.name, c.leaf) INTO found;
		missing := missing || ARRAY(SELECT c.relation_name || ' ' || f
			FROM unnest(found) AS f
			WHERE concat_ws('-', c.ledger_id, c.segment, f) <> ALL (present));
	END LOOP;
	RETURN missing;
END
$$;
COMMENT ON FUNCTION llm_audit.missing_data_keys() IS
	'segments and data keys that some of the first thousand rows of each segment need and that are not in the directory';
REVOKE EXECUTE ON FUNCTION llm_audit.missing_data_keys() FROM PUBLIC;

CREATE FUNCTION llm_audit.readiness_encryption()
	RETURNS TABLE (item text, ok boolean, hint text)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
	used boolean := EXISTS (SELECT FROM llm_audit.field_policy WHERE encrypt);
	problem text := llm_audit.key_directory_problem();
	lost text;
BEGIN
	IF used OR llm_audit.setting('key_directory') <> '' THEN
		RETURN QUERY SELECT 'key directory', problem IS NULL, format(
			'Look after llm_audit.key_directory and run SELECT llm_audit.init_key_directory(): %s%s',
			problem, CASE WHEN used THEN ' Rows with values to encrypt are refused.' END);
	END IF;
	IF problem IS NULL THEN
		BEGIN
			SELECT string_agg(DISTINCT CASE k.state WHEN 'live' THEN 'no key ' || k.wrapped_by
					|| ' unwraps a data key' ELSE 'a data key is damaged' END, '; ') INTO lost
				FROM llm_audit.data_keys() k
				JOIN llm_audit.ledger l USING (ledger_id)
				WHERE k.state = 'damaged' OR NOT k.unwraps;
			lost := concat_ws('; ', lost, (SELECT 'missing are '
				|| string_agg(m, ', ') FROM unnest(llm_audit.missing_data_keys()) AS m
				HAVING count(*) > 0));
		EXCEPTION WHEN OTHERS THEN
			lost := SQLERRM;
		END;
		RETURN QUERY SELECT 'data keys', coalesce(lost, '') = '', format(
			'Restore llm_audit.key_directory and the keys that wrap it from their backups: %s.', lost);
	END IF;
	IF EXISTS (SELECT FROM llm_audit.original_recipient WHERE public_key IS NOT NULL) THEN
		RETURN QUERY SELECT 'pgcrypto', EXISTS (SELECT FROM pg_catalog.pg_extension
				WHERE extname = 'pgcrypto'),
			'CREATE EXTENSION pgcrypto: originals are to be encrypted, so fragments are refused without it.';
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.readiness_encryption() IS
	'the part of readiness() that looks at encryption at rest and encrypted originals';
REVOKE EXECUTE ON FUNCTION llm_audit.readiness_encryption() FROM PUBLIC;
