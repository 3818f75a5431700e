-- Archives: a closed segment in a file of its own, and back from there into
-- tables that can be read and not changed.

CREATE TABLE llm_audit.archive_file (
	archive_id uuid PRIMARY KEY,
	ledger_id uuid NOT NULL,
	segment int NOT NULL,
	path text NOT NULL,
	row_count bigint NOT NULL,
	bytes bigint NOT NULL,
	erasures bigint NOT NULL,
	purged bigint NOT NULL,
	modified_at timestamptz,
	checked_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	created_by name NOT NULL DEFAULT session_user
);
COMMENT ON TABLE llm_audit.archive_file IS 'archives that archive() has written';
COMMENT ON COLUMN llm_audit.archive_file.archive_id IS 'the archive';
COMMENT ON COLUMN llm_audit.archive_file.ledger_id IS 'the ledger';
COMMENT ON COLUMN llm_audit.archive_file.segment IS 'the segment';
COMMENT ON COLUMN llm_audit.archive_file.path IS 'where the server wrote it';
COMMENT ON COLUMN llm_audit.archive_file.row_count IS 'rows in it';
COMMENT ON COLUMN llm_audit.archive_file.bytes IS 'size of the file';
COMMENT ON COLUMN llm_audit.archive_file.erasures IS
	'receipts of erasures that the segment had then';
COMMENT ON COLUMN llm_audit.archive_file.purged IS
	'rows that the segment had lost to purges then, which are not in it';
COMMENT ON COLUMN llm_audit.archive_file.modified_at IS
	'when the file had last been changed, as it was checked before a purge';
COMMENT ON COLUMN llm_audit.archive_file.checked_at IS
	'when it was last read as a whole before a purge';
COMMENT ON COLUMN llm_audit.archive_file.created_at IS 'when it was written';
COMMENT ON COLUMN llm_audit.archive_file.created_by IS 'session user';
SELECT pg_catalog.pg_extension_config_dump('llm_audit.archive_file', '');
GRANT SELECT ON llm_audit.archive_file
	TO llm_audit_admin, llm_audit_compliance, llm_audit_auditor;

-- What has a file and what had one is evidence of a purge; only that a file
-- was checked again is noted.
CREATE TRIGGER llm_audit_kept BEFORE UPDATE OF archive_id, ledger_id, segment, path,
		row_count, bytes, erasures, purged, created_at, created_by OR DELETE OR TRUNCATE
	ON llm_audit.archive_file FOR EACH STATEMENT
	EXECUTE FUNCTION llm_audit.guard_kept_rows();
ALTER TABLE llm_audit.archive_file ENABLE ALWAYS TRIGGER llm_audit_kept;

CREATE FUNCTION llm_audit.archive_write(segment regclass, path text, manifest text,
		expected bigint) RETURNS text
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	-- texts are sent in the encoding of the client
	SET client_encoding = 'UTF8'
	AS 'MODULE_PATHNAME', 'llm_audit_archive_write';
COMMENT ON FUNCTION llm_audit.archive_write(regclass, text, text, bigint) IS
	'writes a segment, which must have so many rows, to a new file, reads it again, and returns its manifest; part of archive()';
REVOKE EXECUTE ON FUNCTION llm_audit.archive_write(regclass, text, text, bigint) FROM PUBLIC;

CREATE FUNCTION llm_audit.archive_manifest(path text) RETURNS text
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_archive_manifest';
COMMENT ON FUNCTION llm_audit.archive_manifest(text) IS
	'checks that a file is a whole archive and returns its manifest (JSON); raises XX001 with the reason if it is not; for superusers';
REVOKE EXECUTE ON FUNCTION llm_audit.archive_manifest(text) FROM PUBLIC;

CREATE FUNCTION llm_audit.archive_rows(path text, relation regclass) RETURNS bigint
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_archive_rows';
COMMENT ON FUNCTION llm_audit.archive_rows(text, regclass) IS
	'copies the rows of an archive into a table with its columns; part of load_archive()';
REVOKE EXECUTE ON FUNCTION llm_audit.archive_rows(text, regclass) FROM PUBLIC;

-- What an archive says of its segment, so that it needs no database.
CREATE FUNCTION llm_audit.describe_segment(leaf regclass) RETURNS jsonb
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
	SELECT jsonb_build_object(
		'ledger', format('%I.%I', l.schema_name, l.relation_name),
		'name', l.relation_name, 'builtin', l.builtin, 'ledger_id', l.ledger_id,
		'segment', s.segment, 'environment', s.environment,
		'leaf', format('%I.%I', s.schema_name, s.relation_name),
		'lower', s.lower, 'upper', s.upper, 'archived_at', clock_timestamp(),
		'archived_by', session_user,
		'columns', (SELECT jsonb_agg(jsonb_build_object('name', a.attname,
				'number', k.column_number, 'type', format_type(t.oid, t.modifier),
				'type_oid', t.oid::int8, 'type_modifier', t.modifier)
				ORDER BY a.attnum)
			FROM pg_attribute a LEFT JOIN llm_audit.ledger_column k
				ON k.ledger_id = l.ledger_id AND k.column_name = a.attname
			-- as archive_write() sends them: what is not built in as text
			CROSS JOIN LATERAL (SELECT CASE WHEN b.oid < 10000 THEN b.oid ELSE 'text'::regtype END,
					CASE WHEN b.oid < 10000 THEN a.atttypmod ELSE -1 END
				FROM llm_audit.base_type(a.atttypid) AS b (oid)) AS t (oid, modifier)
			WHERE a.attrelid = leaf AND a.attnum > 0 AND NOT a.attisdropped),
		'segment_events', (SELECT jsonb_agg(to_jsonb(e) ORDER BY e.recorded_at)
			FROM llm_audit.segment_event e
			WHERE e.ledger_id = l.ledger_id AND e.segment = s.segment),
		'erase_receipts', (SELECT jsonb_agg(to_jsonb(e) ORDER BY e.recorded_at)
			FROM llm_audit.erase_receipt e
			WHERE e.ledger_id = l.ledger_id AND e.segment = s.segment),
		'purge_receipts', (SELECT jsonb_agg(to_jsonb(e) ORDER BY e.recorded_at)
			FROM llm_audit.purge_receipt e
			WHERE e.ledger_id = l.ledger_id AND e.segment = s.segment))
	FROM llm_audit.segment_of(leaf) s JOIN llm_audit.ledger l USING (ledger_id)
$$;
COMMENT ON FUNCTION llm_audit.describe_segment(regclass) IS
	'the part of an archive''s manifest that describes its segment: columns, bounds, what segment_event, erase_receipt and purge_receipt have of it';
REVOKE EXECUTE ON FUNCTION llm_audit.describe_segment(regclass) FROM PUBLIC;

CREATE FUNCTION llm_audit.count_erasures(for_ledger uuid, number int) RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT count(*) FROM llm_audit.erase_receipt e
	WHERE e.ledger_id = for_ledger AND e.segment = number AND e.stage = 'erased'
$$;
COMMENT ON FUNCTION llm_audit.count_erasures(uuid, int) IS
	'receipts of erasures that a segment has: more than an archive of it knew mean that it holds what was erased since';
REVOKE EXECUTE ON FUNCTION llm_audit.count_erasures(uuid, int) FROM PUBLIC;

CREATE FUNCTION llm_audit.count_purged(for_ledger uuid, number int) RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(sum(r.row_count), 0)::bigint FROM llm_audit.purge_receipt r
	WHERE r.ledger_id = for_ledger AND r.segment = number
$$;
COMMENT ON FUNCTION llm_audit.count_purged(uuid, int) IS
	'rows of a segment that receipts of purges account for';
REVOKE EXECUTE ON FUNCTION llm_audit.count_purged(uuid, int) FROM PUBLIC;

-- Each row that is written is hashed and linked to the one before it; that
-- none is missing says the count.
CREATE FUNCTION llm_audit.rows_to_archive(s llm_audit.ledger_segment) RETURNS bigint
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT max(e.row_count) - llm_audit.count_purged(s.ledger_id, s.segment)
	FROM llm_audit.segment_event e
	WHERE e.ledger_id = s.ledger_id AND e.segment = s.segment AND e.event = 'closed'
$$;
COMMENT ON FUNCTION llm_audit.rows_to_archive(llm_audit.ledger_segment) IS
	'rows that a closed segment must have: those of its closing less those that purge_receipt accounts for; NULL: nothing says how it was closed';
REVOKE EXECUTE ON FUNCTION llm_audit.rows_to_archive(llm_audit.ledger_segment) FROM PUBLIC;

CREATE FUNCTION llm_audit.archive(segment regclass, path text) RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET quote_all_identifiers = off
AS $$
DECLARE
	s llm_audit.ledger_segment;
	manifest jsonb;
	size bigint;
	expected bigint;
	new_id uuid := gen_random_uuid();
	sealed name[];
	timeout text := current_setting('lock_timeout');
BEGIN
	PERFORM llm_audit.require_superuser();
	PERFORM llm_audit.require_read_committed();
	IF archive.path IS NULL THEN
		RAISE EXCEPTION 'path must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	SELECT * INTO s FROM llm_audit.segment_of(archive.segment);
	IF NOT FOUND THEN
		RAISE EXCEPTION '"%" is not a ledger segment', archive.segment
			USING ERRCODE = 'wrong_object_type';
	ELSIF s.state <> 'closed' THEN
		RAISE EXCEPTION 'segment "%" is not closed', archive.segment
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'An archive holds a segment for good: close it first.';
	END IF;
	-- neither erasing nor purging may get in between
	PERFORM set_config('lock_timeout', llm_audit.setting('ddl_lock_timeout'), true);
	EXECUTE format('LOCK TABLE ONLY %s IN SHARE MODE', archive.segment);
	PERFORM set_config('lock_timeout', timeout, true);
	expected := llm_audit.rows_to_archive(s);
	IF expected IS NULL THEN
		RAISE EXCEPTION 'nothing says with how many rows segment "%" was closed', archive.segment
			USING ERRCODE = 'data_corrupted', HINT = 'Run llm_audit.verify().';
	END IF;
	manifest := llm_audit.archive_write(archive.segment, archive.path,
		llm_audit.describe_segment(archive.segment)::text, expected);
	size := (pg_stat_file(archive.path)).size;
	INSERT INTO llm_audit.archive_file (archive_id, ledger_id, segment, path, row_count, bytes,
			erasures, purged)
		VALUES (new_id, s.ledger_id, s.segment, archive.path,
			(manifest #>> '{rows,count}')::bigint, size,
			llm_audit.count_erasures(s.ledger_id, s.segment),
			llm_audit.count_purged(s.ledger_id, s.segment));
	PERFORM llm_audit.record_own_event('archive.created', 'segment',
		format('%I.%I', s.schema_name, s.relation_name), NULL,
		jsonb_build_object('ledger_id', s.ledger_id, 'segment', s.segment,
			'archive', new_id, 'rows', manifest #> '{rows,count}', 'bytes', size));
	sealed := ARRAY(SELECT p.column_name FROM llm_audit.field_policy p
		WHERE p.ledger_id = s.ledger_id AND p.encrypt ORDER BY 1);
	IF sealed <> '{}' THEN
		manifest := manifest || jsonb_build_object('encrypted_columns', sealed);
		RAISE NOTICE 'the archive has encrypted values, which can be read for as long as the data keys of segment "%" are there', archive.segment
			USING DETAIL = format('Encrypted at rest: %s.', array_to_string(sealed, ', '));
	END IF;
	RETURN manifest || jsonb_build_object('archive_id', new_id, 'bytes', size);
END
$$;
COMMENT ON FUNCTION llm_audit.archive(regclass, text) IS
	'writes a closed segment to a new file of the server, as a bundle that needs no database, and reads it again before it gets its name; returns the manifest, its id and size, and encrypted_columns if values in it are encrypted at rest; raises XX001 if the segment does not verify; for superusers';
REVOKE EXECUTE ON FUNCTION llm_audit.archive(regclass, text) FROM PUBLIC;

-- The newest file alone has no rows that were purged before it was written;
-- those are in the one that was written first, or in another that lacks none
-- of them.  Rows that went before any archive was written are in none.
CREATE FUNCTION llm_audit.archive_states(for_ledger uuid, number int)
	RETURNS TABLE (archive_id uuid, state text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH f AS MATERIALIZED (
		SELECT a.archive_id, a.created_at, a.purged, a.erasures < e.now AS stale,
			a.purged = min(a.purged) OVER () AS whole, p.now > min(a.purged) OVER () AS purged_since,
			coalesce((pg_stat_file(a.path, true)).size = a.bytes, false) AS is_there
		FROM llm_audit.archive_file a
		CROSS JOIN llm_audit.count_erasures(for_ledger, number) AS e (now)
		CROSS JOIN llm_audit.count_purged(for_ledger, number) AS p (now)
		WHERE a.ledger_id = for_ledger AND a.segment = number
	), ranked AS (
		SELECT f.*, row_number() OVER (PARTITION BY is_there, stale ORDER BY created_at DESC) = 1 AS is_newest,
			row_number() OVER (PARTITION BY is_there, whole ORDER BY created_at DESC) = 1 AS is_newest_whole
		FROM f
	)
	SELECT r.archive_id, CASE WHEN NOT r.is_there THEN 'gone'
			WHEN r.is_newest AND NOT r.stale THEN 'counts'
			WHEN r.is_newest_whole AND r.whole AND r.purged_since THEN 'has purged rows'
			WHEN r.stale THEN 'has erased values'
			ELSE 'superseded' END
	FROM ranked r
$$;
COMMENT ON FUNCTION llm_audit.archive_states(uuid, int) IS
	'what each archive of a segment is good for: counts: the newest, with nothing in it that was erased since; has purged rows: it alone has rows that were purged; has erased values, superseded: needed no more; gone: the file is not there, or not of its size';
REVOKE EXECUTE ON FUNCTION llm_audit.archive_states(uuid, int) FROM PUBLIC;

-- What was erased since is still in the file: such an archive counts no more.
CREATE FUNCTION llm_audit.archive_of(segment regclass) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT a.path FROM llm_audit.segment_of(archive_of.segment) s
	JOIN LATERAL llm_audit.archive_states(s.ledger_id, s.segment) x ON x.state = 'counts'
	JOIN llm_audit.archive_file a USING (archive_id)
$$;
COMMENT ON FUNCTION llm_audit.archive_of(regclass) IS
	'path of the newest archive of a segment that is still there and holds nothing that was erased since; NULL if there is none; for superusers';
REVOKE EXECUTE ON FUNCTION llm_audit.archive_of(regclass) FROM PUBLIC;

CREATE FUNCTION llm_audit.archive_report(segment regclass DEFAULT NULL)
	RETURNS TABLE (ledger text, number int, leaf text, path text, row_count bigint,
		bytes bigint, created_at timestamptz, state text, erased_since boolean)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('%I.%I', l.schema_name, l.relation_name), a.segment,
		format('%I.%I', s.schema_name, s.relation_name), a.path, a.row_count, a.bytes,
		a.created_at, x.state, a.erasures < llm_audit.count_erasures(a.ledger_id, a.segment)
	FROM llm_audit.archive_file a
	JOIN LATERAL llm_audit.archive_states(a.ledger_id, a.segment) x USING (archive_id)
	LEFT JOIN llm_audit.ledger_segment s USING (ledger_id, segment)
	LEFT JOIN llm_audit.ledger l USING (ledger_id)
	WHERE archive_report.segment IS NULL
		OR llm_audit.leaf_of(s) = archive_report.segment
	ORDER BY 1, 2, a.created_at
$$;
COMMENT ON FUNCTION llm_audit.archive_report(regclass) IS
	'archives of a segment, or of all (NULL), oldest first, and what each is good for: keep those of state counts and has purged rows; erased_since: it holds values that were erased after it was written';
REVOKE EXECUTE ON FUNCTION llm_audit.archive_report(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.archive_report(regclass)
	TO llm_audit_admin, llm_audit_compliance, llm_audit_auditor;

-- That a file is there is not enough: it is read as a whole, and again if it
-- was changed or an hour has passed.
CREATE FUNCTION llm_audit.archive_is_whole(a llm_audit.archive_file) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	manifest jsonb;
	modified timestamptz;
BEGIN
	modified := (pg_stat_file(a.path)).modification;
	IF modified = a.modified_at AND a.checked_at > clock_timestamp() - interval '1 hour'
		AND a.checked_at <= clock_timestamp()
	THEN
		RETURN true;
	END IF;
	manifest := llm_audit.archive_manifest(a.path);
	IF (manifest #>> '{segment,ledger_id}')::uuid IS DISTINCT FROM a.ledger_id
		OR (manifest #>> '{segment,segment}')::int IS DISTINCT FROM a.segment
		OR (manifest #>> '{rows,count}')::bigint IS DISTINCT FROM a.row_count
	THEN
		RETURN false;
	END IF;
	IF NOT current_setting('transaction_read_only')::boolean THEN
		UPDATE llm_audit.archive_file f SET modified_at = modified, checked_at = clock_timestamp()
			WHERE f.archive_id = a.archive_id;
	END IF;
	RETURN true;
EXCEPTION
	-- damaged, no JSON, not to be read
	WHEN data_corrupted OR data_exception OR io_error OR undefined_file OR insufficient_privilege THEN
		RETURN false;
END
$$;
COMMENT ON FUNCTION llm_audit.archive_is_whole(llm_audit.archive_file) IS
	'whether the file of an archive is there, undamaged, and the segment''s that it was written for';
REVOKE EXECUTE ON FUNCTION llm_audit.archive_is_whole(llm_audit.archive_file) FROM PUBLIC;

CREATE FUNCTION llm_audit.archive_discard(path text) RETURNS boolean
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_archive_discard';
COMMENT ON FUNCTION llm_audit.archive_discard(text) IS
	'removes a file that was left while an archive was written; part of discard_unfinished_archives()';
REVOKE EXECUTE ON FUNCTION llm_audit.archive_discard(text) FROM PUBLIC;

-- A file gets its name before the transaction is committed, so a crash in
-- between leaves one that nothing knows of.  Files of this database are told
-- by the ledger's id in their names.
CREATE FUNCTION llm_audit.unknown_archives(settled interval DEFAULT '1 day')
	RETURNS TABLE (path text, bytes bigint, modified_at timestamptz, unfinished boolean)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH d AS (SELECT rtrim(llm_audit.setting('archive_directory'), '/') AS directory
		WHERE llm_audit.setting('archive_directory') <> '')
	SELECT d.directory || '/' || f.name, x.size, x.modification, f.name LIKE '%.tmp'
	FROM d CROSS JOIN LATERAL pg_ls_dir(d.directory, true, false) AS f (name)
	CROSS JOIN LATERAL regexp_match(f.name,
		'_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})_[0-9]+_[0-9]{8}T[0-9]{6}Z(?:\.[0-9]+\.tmp)?$') AS m (part)
	JOIN llm_audit.ledger l ON l.ledger_id::text = m.part[1]
	CROSS JOIN LATERAL pg_stat_file(d.directory || '/' || f.name, true) AS x
	WHERE x.modification < clock_timestamp() - settled
		AND NOT EXISTS (SELECT FROM llm_audit.archive_file a
			WHERE regexp_replace(a.path, '^.*/', '') = f.name)
$$;
COMMENT ON FUNCTION llm_audit.unknown_archives(interval) IS
	'files in llm_audit.archive_directory that have the name of an archive of this database, were last changed so long ago, and are not in archive_file: left by a crash, or another database''s that is a copy of this one; for superusers';
REVOKE EXECUTE ON FUNCTION llm_audit.unknown_archives(interval) FROM PUBLIC;

CREATE FUNCTION llm_audit.discard_unfinished_archives() RETURNS bigint
LANGUAGE sql
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT count(*) FILTER (WHERE llm_audit.archive_discard(u.path))
	FROM llm_audit.unknown_archives() u WHERE u.unfinished
$$;
COMMENT ON FUNCTION llm_audit.discard_unfinished_archives() IS
	'removes files in llm_audit.archive_directory that a crash left while they were written, a day ago or longer; returns how many; part of run_maintenance()';
REVOKE EXECUTE ON FUNCTION llm_audit.discard_unfinished_archives() FROM PUBLIC;

-- ------------------------------------------------------------------ loading

CREATE TABLE llm_audit.loaded_archive (
	schema_name name NOT NULL,
	relation_name name NOT NULL,
	ledger_id uuid NOT NULL,
	segment int NOT NULL,
	row_count bigint NOT NULL,
	loaded_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	loaded_by name NOT NULL DEFAULT session_user,
	PRIMARY KEY (schema_name, ledger_id, segment)
);
COMMENT ON TABLE llm_audit.loaded_archive IS 'segments that load_archive() has brought back to be read';
COMMENT ON COLUMN llm_audit.loaded_archive.schema_name IS 'schema of the table';
COMMENT ON COLUMN llm_audit.loaded_archive.relation_name IS 'table that holds them';
COMMENT ON COLUMN llm_audit.loaded_archive.ledger_id IS 'the ledger';
COMMENT ON COLUMN llm_audit.loaded_archive.segment IS 'the segment';
COMMENT ON COLUMN llm_audit.loaded_archive.row_count IS 'its rows';
COMMENT ON COLUMN llm_audit.loaded_archive.loaded_at IS 'when it was loaded';
COMMENT ON COLUMN llm_audit.loaded_archive.loaded_by IS 'session user';
-- its tables are dumped too
SELECT pg_catalog.pg_extension_config_dump('llm_audit.loaded_archive', '');

CREATE FUNCTION llm_audit.refuse_archive_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE EXCEPTION 'rows of a loaded archive cannot be changed'
		USING ERRCODE = 'insufficient_privilege',
			HINT = 'Drop the table when it is not needed any more: the archive stays.';
END
$$;
COMMENT ON FUNCTION llm_audit.refuse_archive_change() IS
	'statement trigger of the tables that load_archive() makes: refuses every change';
REVOKE EXECUTE ON FUNCTION llm_audit.refuse_archive_change() FROM PUBLIC;

-- Rows go into a table of a superuser's in a schema where only superusers make
-- tables: whoever else could have made it would read them, or run code.
CREATE FUNCTION llm_audit.check_archive_schema(schema name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF schema LIKE 'pg\_%' OR schema IN ('llm_audit', 'information_schema') THEN
		RAISE EXCEPTION 'archives cannot be loaded into schema "%"', schema
			USING ERRCODE = 'invalid_schema_name';
	ELSIF EXISTS (SELECT FROM pg_namespace n
		LEFT JOIN LATERAL aclexplode(n.nspacl) AS a ON a.privilege_type = 'CREATE'
		WHERE n.nspname = schema
			AND NOT (SELECT rolsuper FROM pg_roles WHERE oid = n.nspowner)
			OR n.nspname = schema AND a.grantee IS NOT NULL
			AND NOT coalesce((SELECT rolsuper FROM pg_roles WHERE oid = a.grantee), false))
	THEN
		RAISE EXCEPTION 'archives cannot be loaded into schema "%"', schema
			USING ERRCODE = 'invalid_schema_name',
				DETAIL = 'Others than superusers can make tables in it.',
				HINT = 'Load them into a schema that does not exist yet.';
	END IF;
END
$$;
COMMENT ON FUNCTION llm_audit.check_archive_schema(name) IS
	'raises 3F000 unless a schema is absent or superusers alone can make tables in it; part of load_archive()';
REVOKE EXECUTE ON FUNCTION llm_audit.check_archive_schema(name) FROM PUBLIC;

-- What the roles of llm_audit may see of the live ledger they may see of an
-- archive: the same views, over its table, recorded and limited in the same way.
CREATE FUNCTION llm_audit.make_archive_views(relation regclass, schema name,
		ledger name) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v record;
	view text;
BEGIN
	EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', relation);
	EXECUTE format('CREATE POLICY llm_audit_read ON %s FOR SELECT TO llm_audit_view_owner USING (%s)',
		relation, llm_audit.scope_condition(ledger, NULL));
	EXECUTE format('GRANT SELECT ON %s TO llm_audit_view_owner', relation);
	EXECUTE format('GRANT USAGE ON SCHEMA %I TO llm_audit_view_owner', schema);
	FOR v IN SELECT b.*, llm_audit.view_query(replace(b.body, llm_audit.body_expression(), 'c.body'),
			b.view_name, b.ledger, b.tasks, b.needs_reason) AS query
		FROM llm_audit.builtin_views() b
		WHERE b.ledger = make_archive_views.ledger AND cardinality(b.readers) > 0
	LOOP
		view := format('%I.%I', schema, v.view_name);
		EXECUTE format('CREATE VIEW %s WITH (security_barrier) AS %s', view,
			regexp_replace(replace(v.query, quote_literal('llm_audit.' || v.view_name), quote_literal(view)),
				'\mllm_audit\.' || ledger || '\M', replace(relation::text, '\', '\\'), 'g'));
		EXECUTE format('ALTER VIEW %s OWNER TO llm_audit_view_owner', view);
		EXECUTE format('COMMENT ON VIEW %s IS %L', view, v.description);
		EXECUTE format('GRANT SELECT ON %s TO %s', view, array_to_string(v.readers, ', '));
		EXECUTE format('GRANT USAGE ON SCHEMA %I TO %s', schema, array_to_string(v.readers, ', '));
	END LOOP;
END
$$;
COMMENT ON FUNCTION llm_audit.make_archive_views(regclass, name, name) IS
	'makes row security and the views of builtin_views() over the table of a loaded archive; part of load_archive()';
REVOKE EXECUTE ON FUNCTION llm_audit.make_archive_views(regclass, name, name) FROM PUBLIC;

-- The manifest is a file's word: of it only names, quoted, and numbers of
-- built-in types become part of a statement.
CREATE FUNCTION llm_audit.archive_columns(manifest jsonb) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF EXISTS (SELECT FROM jsonb_array_elements(manifest #> '{segment,columns}') c
		WHERE (c ->> 'type_oid')::oid >= 10000 OR (c ->> 'name') IS NULL
			OR format_type((c ->> 'type_oid')::oid, (c ->> 'type_modifier')::int) = '???')
		OR jsonb_array_length(manifest #> '{segment,columns}') = 0
		OR coalesce(manifest #>> '{segment,name}', '') = ''
	THEN
		RAISE EXCEPTION 'the archive has a column of an unknown type, or no name'
			USING ERRCODE = 'data_corrupted';
	END IF;
	RETURN (SELECT string_agg(format('%I %s', c ->> 'name',
			format_type((c ->> 'type_oid')::oid, (c ->> 'type_modifier')::int)), ', ' ORDER BY n)
		FROM jsonb_array_elements(manifest #> '{segment,columns}') WITH ORDINALITY AS x (c, n));
END
$$;
COMMENT ON FUNCTION llm_audit.archive_columns(jsonb) IS
	'columns and types of an archive''s rows, as a table has them; raises XX001 for a manifest that cannot be; part of load_archive()';
REVOKE EXECUTE ON FUNCTION llm_audit.archive_columns(jsonb) FROM PUBLIC;

CREATE FUNCTION llm_audit.make_archive_table(manifest jsonb, schema name)
	RETURNS regclass
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	ledger name := manifest #>> '{segment,name}';
	relation text := format('%I.%I', schema, ledger);
	elements text := llm_audit.archive_columns(manifest);
	known boolean := (manifest #>> '{segment,builtin}')::boolean
		AND EXISTS (SELECT FROM llm_audit.builtin_ledgers() b WHERE b.relation_name = ledger);
	found text;
	i record;
BEGIN
	PERFORM llm_audit.check_archive_schema(schema);
	IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = schema) THEN
		EXECUTE format('CREATE SCHEMA %I', schema);
	END IF;
	IF to_regclass(relation) IS NULL THEN
		EXECUTE format('CREATE TABLE %s (%s)', relation, elements);
		EXECUTE format('COMMENT ON TABLE %s IS %L', relation, 'loaded from archives by llm_audit.load_archive(), to be read');
		EXECUTE format('CREATE INDEX ON %s (id)', relation);
		FOR i IN SELECT b.definition FROM llm_audit.builtin_indexes() b
			WHERE b.relation_name = ledger AND known
		LOOP
			EXECUTE format('CREATE INDEX ON %s %s', relation, i.definition);
		END LOOP;
		EXECUTE format('CREATE TRIGGER llm_audit_archive BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE
			ON %s FOR EACH STATEMENT EXECUTE FUNCTION llm_audit.refuse_archive_change()', relation);
		-- who reads it is recorded, and has to say why where it is a built-in one
		INSERT INTO llm_audit.sensitive_relation VALUES (schema, ledger, true, known)
			ON CONFLICT ON CONSTRAINT sensitive_relation_pkey DO UPDATE
			SET sensitive = true, needs_reason = EXCLUDED.needs_reason;
		IF known THEN
			PERFORM llm_audit.make_archive_views(relation::regclass, schema, ledger);
		END IF;
		RETURN relation;
	END IF;
	SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
		INTO found FROM pg_attribute a
		WHERE a.attrelid = relation::regclass AND a.attnum > 0 AND NOT a.attisdropped;
	IF found IS DISTINCT FROM elements OR NOT EXISTS (SELECT FROM pg_trigger t
		JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_roles r ON r.oid = c.relowner AND r.rolsuper
		WHERE t.tgrelid = relation::regclass AND t.tgname = 'llm_audit_archive'
			AND t.tgfoid = 'llm_audit.refuse_archive_change()'::regprocedure)
	THEN
		RAISE EXCEPTION 'table "%" is not one for rows of this archive', relation
			USING ERRCODE = 'duplicate_table',
				HINT = 'Load the archive into another schema.';
	END IF;
	RETURN relation;
END
$$;
COMMENT ON FUNCTION llm_audit.make_archive_table(jsonb, name) IS
	'makes or finds the table for an archive''s rows; part of load_archive()';
REVOKE EXECUTE ON FUNCTION llm_audit.make_archive_table(jsonb, name) FROM PUBLIC;

CREATE FUNCTION llm_audit.load_archive(path text, reason text,
		schema name DEFAULT 'llm_audit_archive') RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	manifest jsonb;
	relation regclass;
	loaded bigint;
	ledger uuid;
	number int;
BEGIN
	PERFORM llm_audit.require_superuser();
	IF path IS NULL OR schema IS NULL OR coalesce(btrim(reason), '') = '' THEN
		RAISE EXCEPTION 'a path, a reason and a schema are needed to load an archive'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	manifest := llm_audit.archive_manifest(path);
	IF manifest ->> 'format' IS DISTINCT FROM 'llm_audit archive 1' THEN
		RAISE EXCEPTION 'the archive has a format that is not known here'
			USING ERRCODE = 'feature_not_supported';
	END IF;
	ledger := manifest #>> '{segment,ledger_id}';
	number := manifest #>> '{segment,segment}';
	-- of tables that were dropped
	DELETE FROM llm_audit.sensitive_relation r USING llm_audit.loaded_archive l
		WHERE r.schema_name = l.schema_name AND r.relation_name = l.relation_name
			AND to_regclass(format('%I.%I', l.schema_name, l.relation_name)) IS NULL;
	DELETE FROM llm_audit.loaded_archive l
		WHERE to_regclass(format('%I.%I', l.schema_name, l.relation_name)) IS NULL;
	IF EXISTS (SELECT FROM llm_audit.loaded_archive l
		WHERE l.schema_name = schema AND l.ledger_id = ledger AND l.segment = number)
	THEN
		RAISE EXCEPTION 'the segment of this archive has been loaded into schema "%" already', schema
			USING ERRCODE = 'duplicate_object';
	END IF;
	IF EXISTS (SELECT FROM llm_audit.loaded_archive l
		WHERE l.schema_name = schema AND l.relation_name = manifest #>> '{segment,name}'
			AND l.ledger_id <> ledger)
	THEN
		RAISE EXCEPTION 'table "%" has rows of another ledger', format('%I.%I', schema, manifest #>> '{segment,name}')
			USING ERRCODE = 'duplicate_table',
				HINT = 'Load the archive into another schema.';
	END IF;
	relation := llm_audit.make_archive_table(manifest, schema);
	EXECUTE format('ALTER TABLE %s DISABLE TRIGGER llm_audit_archive', relation);
	loaded := llm_audit.archive_rows(path, relation);
	EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER llm_audit_archive', relation);
	IF loaded IS DISTINCT FROM (manifest #>> '{rows,count}')::bigint THEN
		RAISE EXCEPTION 'the archive does not have as many rows as it says'
			USING ERRCODE = 'data_corrupted';
	END IF;
	INSERT INTO llm_audit.loaded_archive (schema_name, relation_name, ledger_id, segment, row_count)
		VALUES (schema, manifest #>> '{segment,name}', ledger, number, loaded);
	PERFORM llm_audit.record_own_event('archive.loaded', 'segment',
		manifest #>> '{segment,leaf}', reason,
		jsonb_build_object('ledger_id', ledger, 'segment', number, 'rows', loaded, 'schema', schema));
	RETURN loaded;
END
$$;
COMMENT ON FUNCTION llm_audit.load_archive(text, text, name) IS
	'brings an archive back into a table of that schema with the ledger''s name, columns and indexes, to be read and not changed; of a built-in ledger with its views, through which the roles of llm_audit see what they may see of the live one; needs a reason; returns the number of rows; recorded; raises XX001 for a file that is not a whole archive';
REVOKE EXECUTE ON FUNCTION llm_audit.load_archive(text, text, name) FROM PUBLIC;
