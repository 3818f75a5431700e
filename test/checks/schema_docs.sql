-- The generated part of docs/schema.md: every built-in ledger and its columns,
-- constraints and indexes as the catalogs have them, and the actions.
SET search_path = pg_catalog;

CREATE TEMP VIEW builtin AS
	SELECT l.*, b.retention, c.oid, row_number() OVER (ORDER BY b.n) AS n
	FROM llm_audit.builtin_ledgers() WITH ORDINALITY AS
		b (relation_name, role, retention, width, erasable, description, n)
	JOIN llm_audit.ledger l ON l.builtin AND l.schema_name = 'llm_audit'
		AND l.relation_name = b.relation_name
	JOIN pg_class c ON c.relname = l.relation_name
		AND c.relnamespace = 'llm_audit'::regnamespace;

-- A column as a line of a Markdown table.
CREATE TEMP VIEW line AS
	SELECT b.n, b.relation_name, a.attnum, a.attname,
		a.attname IN (SELECT column_name FROM llm_audit.ledger_attributes())
			AS common,
		format('| `%s` | %s | %s | %s | %s |',
			a.attname,
			replace(replace(format_type(a.atttypid, a.atttypmod),
				'timestamp with time zone', 'timestamptz'), 'character(', 'char('),
			CASE WHEN a.attnotnull THEN 'yes' ELSE '' END,
			coalesce('`' || pg_get_expr(d.adbin, d.adrelid) || '`', ''),
			CASE WHEN k.erasable THEN 'erasable: ' ELSE '' END
				|| replace(coalesce(col_description(b.oid, a.attnum),
					'**not described**'), '|', '\|')) AS text
	FROM builtin b
	JOIN pg_attribute a ON a.attrelid = b.oid AND a.attnum > 0
		AND NOT a.attisdropped
	LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
	LEFT JOIN llm_audit.ledger_column k ON k.ledger_id = b.ledger_id
		AND k.column_name = a.attname;

CREATE TEMP VIEW heading AS
	SELECT E'| column | type | required | default | |\n|---|---|---|---|---|' AS text;

-- Columns that all ledgers have, in the same form
SELECT E'## Columns of every ledger\n\n' || (SELECT text FROM heading) || E'\n'
		|| string_agg(common.text, E'\n' ORDER BY common.attnum) || E'\n'
	FROM (SELECT min(attnum) AS attnum, text FROM line WHERE common
		GROUP BY attname, text) AS common;

SELECT format(E'## `%s`\n\n%s. %s, in segments of %s.\n\n%s\n%s\n\n%s\n\n%s\n',
		b.relation_name,
		coalesce(obj_description(b.oid, 'pg_class'), '**not described**'),
		CASE WHEN b.retention IS NULL THEN 'Kept for ever'
			ELSE 'Kept for ' || b.retention END,
		replace(b.segment_width::text, 'mon', 'month'),
		(SELECT text FROM heading),
		(SELECT string_agg(text, E'\n' ORDER BY attnum) FROM line
			WHERE line.n = b.n AND NOT common),
		(SELECT E'Constraints:\n\n' || string_agg(
				format('- `%s`: `%s`', k.conname,
					regexp_replace(pg_get_expr(k.conbin, k.conrelid), '^\((.*)\)$', '\1')),
				E'\n' ORDER BY k.conname)
			FROM pg_constraint k WHERE k.conrelid = b.oid AND k.contype = 'c'),
		(SELECT E'Indexes, beside those on `id` and on `chain_lane, chain_seq` that every segment has:\n\n'
				|| string_agg(format('- `%s`: %s', c.relname,
						coalesce(obj_description(c.oid, 'pg_class'), '**not described**')),
					E'\n' ORDER BY c.relname)
			FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
			WHERE i.indrelid = b.oid))
	FROM builtin b ORDER BY b.n;

SELECT E'## Actions\n\nWhat `action_type` holds after `setup()`. A DBA can add actions of their own there.\n\n| action | category | high risk | meaning |\n|---|---|---|---|\n'
		|| string_agg(format('| `%s` | %s | %s | %s |', action, category,
				CASE WHEN high_risk THEN 'yes' ELSE '' END, description),
			E'\n' ORDER BY category COLLATE "C", action COLLATE "C")
	FROM llm_audit.action_type WHERE builtin;
