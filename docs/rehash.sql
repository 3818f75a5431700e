-- rehash.sql: recomputes row preimages and hashes with pgcrypto alone.
--
-- For an auditor who does not want to trust llm_audit's own code: nothing
-- here calls it.  The format is in hash-format.md.  Run it with psql, as a
-- superuser (base tables are readable to nobody else) or on a restored copy:
--
--	CREATE EXTENSION IF NOT EXISTS pgcrypto;
--	\i rehash.sql
--	SELECT * FROM pg_temp.lar1_check('llm_audit.llm_call') WHERE NOT ok;
--
-- The functions are temporary and go with the session.

-- u16 and u32, big-endian.
CREATE FUNCTION pg_temp.u16(v int) RETURNS bytea LANGUAGE sql IMMUTABLE AS
$$ SELECT substr(int4send(v), 3, 2) $$;
CREATE FUNCTION pg_temp.u32(v bigint) RETURNS bytea LANGUAGE sql IMMUTABLE AS
$$ SELECT substr(int8send(v), 5, 4) $$;

-- The group of a column in salt (width 16) or erased (width 32), or NULL.
CREATE FUNCTION pg_temp.lar1_group(groups bytea, width int, number int)
RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
	SELECT substr(groups, i * (2 + width) + 3, width)
	FROM generate_series(0, length(groups) / (2 + width) - 1) AS i
	WHERE substr(groups, i * (2 + width) + 1, 2) = pg_temp.u16(number)
$$;

-- An SQL expression for the bytes of a value that is not NULL.
CREATE FUNCTION pg_temp.lar1_bytes(value text, type oid)
RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
	element oid := (SELECT typelem FROM pg_type
		WHERE oid = type AND typcategory = 'A');
	name text := (SELECT typname FROM pg_type WHERE oid = type);
BEGIN
	IF element IS NOT NULL THEN
		RETURN format($f$(
			pg_temp.u32(coalesce(array_ndims(%1$s), 0))
			|| coalesce((SELECT string_agg(pg_temp.u32(array_length(%1$s, d))
					|| pg_temp.u32(array_lower(%1$s, d)), '' ORDER BY d)
				FROM generate_series(1, array_ndims(%1$s)) AS d), '')
			|| coalesce((SELECT string_agg(CASE
					WHEN e.v IS NULL THEN '\x0100000000'::bytea
					ELSE '\x00'::bytea || pg_temp.u32(length(b.bytes)) || b.bytes
					END, '' ORDER BY e.n)
				FROM unnest(%1$s) WITH ORDINALITY AS e (v, n)
				CROSS JOIN LATERAL (SELECT %2$s AS bytes) AS b), ''))$f$,
			value, pg_temp.lar1_bytes('e.v', element));
	END IF;
	RETURN CASE
		-- concat() gives text as it is stored, bpchar with its padding
		WHEN name IN ('text', 'varchar', 'bpchar', 'json')
			THEN format('convert_to(concat(%s), ''UTF8'')', value)
		WHEN name IN ('jsonb', 'numeric')
			THEN format('convert_to((%s)::text, ''UTF8'')', value)
		WHEN name = 'bool'
			THEN format('CASE WHEN %s THEN ''\x01''::bytea ELSE ''\x00'' END', value)
		WHEN name = 'float4'
			THEN format('CASE WHEN %1$s = ''NaN'' THEN ''\x7fc00000''::bytea ELSE float4send(%1$s) END', value)
		WHEN name = 'float8'
			THEN format('CASE WHEN %1$s = ''NaN'' THEN ''\x7ff8000000000000''::bytea ELSE float8send(%1$s) END', value)
		WHEN name = 'bytea' THEN format('(%s)', value)
		WHEN name IN ('int2', 'int4', 'int8')
			THEN format('%ssend(%s)', name, value)
		WHEN name IN ('uuid', 'date', 'time', 'timestamp', 'timestamptz', 'interval')
			THEN format('%s_send(%s)', name, value)
		-- the send function puts the address's length before the address
		WHEN name IN ('inet', 'cidr')
			THEN format('(substr(%1$s_send(%2$s), 1, 3) || substr(%1$s_send(%2$s), 5))',
				name, value)
	END;
END
$$;

-- An SQL expression for the entry of a column: empty if it has none.
CREATE FUNCTION pg_temp.lar1_entry(column_name name, number int, type oid)
RETURNS text LANGUAGE sql STABLE AS $$
	SELECT format($f$(SELECT CASE
		WHEN g.commitment IS NOT NULL THEN %2$L || '\x0100000020'::bytea || g.commitment
		WHEN t.%1$I IS NULL THEN ''
		WHEN g.salt IS NOT NULL THEN %2$L || '\x0100000020'::bytea
			|| digest('\x02'::bytea || g.salt || %2$L || pg_temp.u32(length(v.bytes)) || v.bytes, 'sha256')
		ELSE %2$L || '\x00'::bytea || pg_temp.u32(length(v.bytes)) || v.bytes END
		FROM (SELECT pg_temp.lar1_group(t.salt, 16, %3$s) AS salt,
			pg_temp.lar1_group(t.erased, 32, %3$s) AS commitment) AS g
		CROSS JOIN LATERAL (SELECT CASE WHEN t.%1$I IS NOT NULL THEN %4$s END AS bytes) AS v)$f$,
		column_name,
		pg_temp.u16(number) || pg_temp.u32(type::bigint),
		number,
		pg_temp.lar1_bytes(format('t.%I', column_name), type))
$$;

-- Every row of a ledger with its preimage.
CREATE FUNCTION pg_temp.lar1_preimages(ledger regclass)
RETURNS TABLE (segment int, lane int, seq bigint, id uuid, prev_hash bytea,
	row_hash bytea, preimage bytea)
LANGUAGE plpgsql AS $$
DECLARE
	s record;
	entries text;
BEGIN
	FOR s IN
		SELECT l.ledger_id, g.segment AS number, format('%I.%I', g.schema_name, g.relation_name) AS leaf
		FROM llm_audit.ledger AS l
		JOIN llm_audit.ledger_segment AS g USING (ledger_id)
		WHERE format('%I.%I', l.schema_name, l.relation_name)::regclass = ledger
			AND to_regclass(format('%I.%I', g.schema_name, g.relation_name)) IS NOT NULL
		ORDER BY g.segment
	LOOP
		SELECT string_agg(format('(%s, %s)', c.column_number,
				pg_temp.lar1_entry(c.column_name, c.column_number, c.type_oid)), ', ')
			INTO entries
			FROM llm_audit.ledger_column AS c WHERE c.ledger_id = s.ledger_id;
		RETURN QUERY EXECUTE format($f$
			SELECT %1$s, t.chain_lane, t.chain_seq, t.id, t.prev_hash, t.row_hash,
				'LAR1'::bytea || uuid_send(%2$L) || pg_temp.u32(%1$s)
				|| pg_temp.u32(t.chain_lane) || int8send(t.chain_seq)
				|| t.prev_hash || pg_temp.u16(e.n::int) || coalesce(e.bytes, '')
			FROM ONLY %3$s AS t
			CROSS JOIN LATERAL (
				SELECT count(*) AS n, string_agg(v.entry, '' ORDER BY v.number) AS bytes
				FROM (VALUES %4$s) AS v (number, entry)
				WHERE v.entry <> '') AS e
			ORDER BY t.chain_lane, t.chain_seq$f$,
			s.number, s.ledger_id, s.leaf, entries);
	END LOOP;
END
$$;

-- Every row of a ledger: does its hash match its content, and is it linked to
-- the row before it (the first of a lane: to the lane's genesis hash)?
CREATE FUNCTION pg_temp.lar1_check(ledger regclass)
RETURNS TABLE (segment int, lane int, seq bigint, id uuid, hash_ok boolean,
	link_ok boolean, ok boolean)
LANGUAGE sql AS $$
	SELECT q.segment, q.lane, q.seq, q.id, q.hash_ok, q.link_ok,
		q.hash_ok AND q.link_ok
	FROM (
		SELECT p.segment, p.lane, p.seq, p.id,
			digest(p.preimage, 'sha256') = p.row_hash AS hash_ok,
			p.prev_hash = CASE WHEN p.seq = 1
				THEN digest('LAG1'::bytea || substr(p.preimage, 5, 24), 'sha256')
				ELSE coalesce(lag(p.row_hash) OVER w, '') END
			AND p.seq = coalesce(lag(p.seq) OVER w, 0) + 1 AS link_ok
		FROM pg_temp.lar1_preimages(ledger) AS p
		WINDOW w AS (PARTITION BY p.segment, p.lane ORDER BY p.seq)) AS q
$$;

-- A preimage taken apart: the entries after its 70 bytes of header.
CREATE FUNCTION pg_temp.lar1_entries(preimage bytea)
RETURNS TABLE (column_number int, type regtype, erasable boolean, bytes bytea)
LANGUAGE sql IMMUTABLE AS $$
	WITH RECURSIVE entry AS (
		SELECT 71 AS at, substr(preimage, 71, 11) AS head
		UNION ALL
		SELECT at + 11 + length, substr(preimage, at + 11 + length, 11)
		FROM entry
		CROSS JOIN LATERAL (SELECT ('x' || encode(substr(head, 8, 4), 'hex'))::bit(32)::int AS length) AS l
		WHERE head <> '')
	SELECT ('x' || encode(substr(head, 1, 2), 'hex'))::bit(16)::int,
		('x' || encode(substr(head, 3, 4), 'hex'))::bit(32)::int::oid::regtype,
		get_byte(head, 6) = 1,
		substr(preimage, at + 11, ('x' || encode(substr(head, 8, 4), 'hex'))::bit(32)::int)
	FROM entry WHERE head <> ''
$$;
