-- What PostgreSQL itself says when a row does not fit quotes no value of it,
-- to the client, to an exception block or in the log, with masking and without.
\set origin :DBNAME
CREATE DATABASE ledger_errors TEMPLATE template0 ENCODING 'UTF8';
\c ledger_errors
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();
CREATE SCHEMA hidden;
CREATE TABLE hidden.customer (iin text PRIMARY KEY);
CREATE DOMAIN hidden.short AS text CHECK (length(VALUE) < 5);
CREATE TABLE hidden.entry (n int CHECK (n < 100), note text NOT NULL, code varchar(4),
	short hidden.short, customer text REFERENCES hidden.customer,
	later text REFERENCES hidden.customer DEFERRABLE INITIALLY DEFERRED);
SELECT llm_audit.create_ledger('hidden.entry');
CREATE VIEW hidden.small AS SELECT n, note FROM hidden.entry WHERE n < 10 WITH CHECK OPTION;

-- All that a client or an exception block can get hold of
CREATE FUNCTION hidden.try(statement text) RETURNS TABLE (state text, message text, detail text, context text)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RAISE EXCEPTION 'stored';
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, context = PG_EXCEPTION_CONTEXT;
	state := SQLSTATE;
	RETURN NEXT;
END
$$;
CREATE TABLE statement (number int, masking boolean, statement text);
INSERT INTO statement SELECT row_number() OVER (), masking, s FROM unnest(ARRAY[
	'INSERT INTO hidden.entry (n, note) VALUES (555, ''secret'')',
	'INSERT INTO hidden.entry (n, note, code) VALUES (NULL, NULL, ''secr'')',
	'INSERT INTO hidden.entry (note, code) SELECT ''secret'', repeat(''secret'', i) FROM generate_series(1, 1) AS i',
	'INSERT INTO hidden.entry (note, n) SELECT ''secret'', (''secret'' || i)::int FROM generate_series(1, 1) AS i',
	'INSERT INTO hidden.entry (note, n) SELECT ''secret'', 10 / (i - 1) FROM generate_series(1, 1) AS i',
	'INSERT INTO hidden.entry (note, n) SELECT ''secret'', (i * 3000000000)::int FROM generate_series(1, 1) AS i',
	'INSERT INTO hidden.entry (note, short) SELECT ''secret'', ''secret'' || i FROM generate_series(1, 1) AS i',
	'INSERT INTO hidden.entry (note, customer) VALUES (''a'', ''secret'')',
	'INSERT INTO hidden.entry (note, id) SELECT ''secret'', ''00000000-0000-7000-8000-00000000005e'' FROM generate_series(1, 2)',
	'INSERT INTO hidden.small VALUES (50, ''secret'')',
	'WITH w AS (INSERT INTO hidden.entry (n, note) VALUES (555, ''secret'') RETURNING n) SELECT * FROM w',
	'DO $x$ BEGIN INSERT INTO hidden.entry (n, note) VALUES (555, ''secret''); END $x$',
	-- words that somebody chose stay
	'DO $x$ BEGIN RAISE check_violation USING MESSAGE = ''my words'', DETAIL = ''my detail''; END $x$',
	'INSERT INTO llm_audit.llm_call (environment) VALUES (''nowhere'')'
]) AS s, unnest('{false,true}'::boolean[]) AS masking;
SET llm_audit.masking = off;
CREATE TABLE without AS SELECT number, t.* FROM statement, hidden.try(statement) AS t WHERE NOT masking ORDER BY number;
SET llm_audit.masking = on;
SELECT llm_audit.set_field_policy('hidden.entry', c, 'keep', reason => 'test')
	FROM unnest('{note,code,short,customer,later}'::name[]) AS c;
CREATE TABLE with_masking AS SELECT number, t.* FROM statement, hidden.try(statement) AS t WHERE masking ORDER BY number;
SELECT s.statement, t.state, t.message, t.detail FROM without AS t JOIN statement AS s USING (number) ORDER BY number \g (format=unaligned tuples_only=on)
SELECT count(*) AS quoted FROM (TABLE without UNION ALL TABLE with_masking) AS t
	WHERE t.message || t.detail || t.context ~ 'secret|555|5e';
SELECT s.statement FROM statement AS s JOIN without AS w USING (number)
	JOIN statement AS o USING (statement) JOIN with_masking AS m ON m.number = o.number
	WHERE (w.state, w.message, w.detail) IS DISTINCT FROM (m.state, m.message, m.detail);
SET llm_audit.masking = off;

-- What is written into an INSERT is told by its column, if it lists any.
INSERT INTO hidden.entry (note, n) VALUES ('a', 'secret');
INSERT INTO hidden.entry (note, "n", code) VALUES ('a', 1, 'b'), ('c, (', 'secret', 'd');
INSERT INTO hidden.entry VALUES ('secret', 'a');
INSERT INTO hidden.entry (note, n) SELECT 'a', 'secret';
INSERT INTO hidden.entry (note, n) VALUES ('a', 'secret'::int + 1) ON CONFLICT DO NOTHING;
INSERT INTO hidden.entry (note, n) VALUES ('a', 99999999999999);
DO $$ BEGIN INSERT INTO hidden.entry (note, n) VALUES ('a', 'secret'); END $$;
SET standard_conforming_strings = off;
SET escape_string_warning = off;
INSERT INTO hidden.entry (note, n) VALUES ('a\', (', 'secret');
RESET standard_conforming_strings;
RESET escape_string_warning;
-- nothing that is looked up: no column, no table
INSERT INTO hidden.entry (note, secret) VALUES ('a', 'secret');
INSERT INTO hidden.entry (note, n) VALUES ('a', secret);

-- COPY says where, not what
COPY hidden.entry (n, note, code) FROM stdin;
1	fine	ok
secret	secret	no
\.
COPY hidden.entry (n, note, code) FROM stdin;
555	secret	no
\.
COPY hidden.entry (n, note, code) FROM stdin;
1	secret	secret
\.
COPY hidden.entry (n, note, code) FROM stdin;
1	secret
\.
COPY hidden.entry (n, note, code) FROM stdin;
1	secret	no	secret
\.
COPY hidden.entry (n, note, code) FROM stdin;
1	\N	secr
\.
-- A constraint that waits for COMMIT
BEGIN;
INSERT INTO hidden.entry (note, later) VALUES ('a', 'secret');
COMMIT;
-- Errors that the log does not have are no different.
SET log_min_messages = panic;
INSERT INTO hidden.entry (n, note) VALUES (555, 'secret');
RESET log_min_messages;
-- Nobody else's errors change.
CREATE TABLE hidden.other (n int CHECK (n < 100));
INSERT INTO hidden.other VALUES (100);
COPY hidden.other FROM stdin;
a
\.
SELECT count(*) FROM hidden.entry;

\c :origin
DROP DATABASE ledger_errors WITH (FORCE);
