-- Texts that take too much work to look at: the rest is withheld, the row and
-- what was looked at stay.  A database of its own.
\set VERBOSITY terse
\set origin :DBNAME
SET client_min_messages = warning;
CREATE DATABASE masking_work TEMPLATE template0 ENCODING 'UTF8';
\c masking_work
SET client_min_messages = warning;
CREATE EXTENSION llm_audit;
SELECT count(*) > 0 AS made FROM llm_audit.setup();
CREATE TABLE note (n int, a text, j jsonb, tags text[]);
SELECT llm_audit.create_ledger('note');

-- Beginnings of what the scanner looks for, in disorder, with a card before
-- and behind them.
CREATE FUNCTION pg_temp.hostile(pieces int, separator text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg((ARRAY['password: ', 'sk-ant-', 'tel 1 ', 'api_key=', 'token', 'curl -u ', 'пароль ',
			'full name: ', 'card ', 'secret=x1 ', 'Bearer ', 'eyJ', 'iin ', 'AKIA', 'a:b@', '::'])
			[1 + (('x' || substr(md5(i::text), 1, 4))::bit(16)::int & 15)] || CASE separator WHEN '' THEN '' ELSE i::text END,
			separator ORDER BY i)
	FROM generate_series(1, pieces) AS i $$;
CREATE TEMP TABLE hostile AS SELECT 'card 4403123412344298, ' || pg_temp.hostile(900000, '') ||
	', card 5555555555554444' AS text;
SELECT length(text) BETWEEN 5000000 AND 8000000 AS long FROM hostile;

-- what is looked at is masked, the rest is one tag, and the same each time
CREATE TEMP TABLE masked AS SELECT llm_audit.mask(text) AS text FROM hostile;
SELECT left(text, 20) AS begins, right(text, 10) AS ends,
	length(text) BETWEEN 1000000 AND 4500000 AS part, text ~ '5555555555554444' AS shown FROM masked;
SELECT m.text = llm_audit.mask(h.text) AS again FROM hostile h, masked m;
SELECT entity, end_pos = (SELECT length(text) FROM hostile) AS to_the_end, score, masked,
	start_pos BETWEEN 1000000 AND 4500000 AS part
	FROM (SELECT * FROM llm_audit.detect((SELECT text FROM hostile)) ORDER BY start_pos DESC LIMIT 1) AS d;
-- a shorter text is looked at to its end
SELECT right(llm_audit.mask(left(text, 1000000) || ', card 5555555555554444'), 12) FROM hostile;

-- the row stays, and says so
INSERT INTO llm_audit.llm_call (request_id, environment, occurred_at, service_name, actor_id, actor_type,
	operation_name, provider_name, request_model, status, error_message)
	SELECT 'hostile', 'test', now(), 's', 'svc', 'service', 'chat', 'p', 'm', 'ok', text FROM hostile;
SELECT masking_status, pii_found, pii_fields->'error_message'->'withheld' AS withheld,
	(pii_counts->>'CREDIT_CARD')::int AS cards, right(error_message, 10) AS ends, error_message = m.text AS same
	FROM llm_audit.llm_call, masked m WHERE request_id = 'hostile';
SELECT column_name, outcome, entity, count(*) FROM llm_audit.masking_report('-infinity', 'infinity')
	WHERE ledger = 'llm_call' AND outcome IS NOT NULL GROUP BY 1, 2, 3;

-- JSON stays JSON: one string stands for the rest, and what is open is closed
-- (strings that come again are known, and hardly any work)
CREATE TEMP TABLE document AS SELECT ('{"card": "4403123412344298", "parts": ["' ||
	pg_temp.hostile(900000, '", "') || '", "5555555555554444"], "last": "5555555555554444"}')::jsonb AS j;
INSERT INTO note (n, a, j, tags) SELECT 1, j::text, j, ARRAY[j::text, 'card 5555555555554444'] FROM document;
SELECT jsonb_typeof(n.j) AS type, n.j->>'card' AS card, n.j->'parts'->>-1 AS last_part, n.j ? 'last' AS has_last,
	jsonb_array_length(n.j->'parts') BETWEEN 100000 AND 899999 AS part,
	n.j::text ~ '5555555555554444' AS shown, a::jsonb = n.j AS same_as_text,
	tags[1]::jsonb = n.j AS same_in_array, tags[2] FROM note n;

-- what people and programs write is not cut, however long
CREATE TEMP TABLE log AS SELECT string_agg(format('{"ts": "2026-11-%s", "level": "info", "trace_id": "%s", "path": '
	'"/v1/chat", "ms": %s, "msg": "request %s finished after the second try"}' || E'\n', i % 28 + 1, md5(i::text),
	i % 997, i), '' ORDER BY i) || 'card 5555555555554444' AS text FROM generate_series(1, 90000) AS i;
SELECT length(text) > 11000000 AS long, right(llm_audit.mask(text), 17) AS ends FROM log;

SELECT count(*) FROM llm_audit.verify();
\c :origin
DROP DATABASE masking_work WITH (FORCE);
