-- record_file.sql
--	  Records the documents on standard input, one on each line, and says what
--	  became of them.  Set "defaults" on psql's command line; see writing.md.
--	  Errors say which line by its number in this batch, never what it holds.
\if :{?defaults}
\else
\set defaults '{}'
\endif
\set docs `cat`
SELECT result, sqlstate, message, count(*) AS lines, min(line) AS first_line
FROM llm_audit.record_calls(:'docs', :'defaults', 'report')
GROUP BY result, sqlstate, message
ORDER BY result;
