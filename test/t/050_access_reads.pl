# Every read of audit data is recorded before its first row, whatever way it
# takes, and nothing else is.
use strict;
use warnings;
use FindBin;
use IO::Socket::UNIX;
use lib "$FindBin::RealBin/../perl";
use LlmAccess;
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('node', 'llm_audit.databases' => 'audit',
	'llm_audit.masking' => 'on', min_parallel_table_scan_size => 0,
	parallel_setup_cost => 0, parallel_tuple_cost => 0,
	compute_query_id => 'on');
$node->start;
make_database($node, 'audit');
make_reader($node, 'audit');

sub reads { return read_is($node, 'audit', @_); }
sub refused { return refused_is($node, 'audit', @_); }

# ---------------- what is recorded, once each ----------------

my ($out, $tag) = reads('SELECT count(*) FROM calls;', 1, 'a guarded view');
is($out, '20', 'and its rows come');
await_log($node, 'audit', "event = 'outcome' AND statement_id ="
	  . " (SELECT id FROM llm_audit.access_log WHERE application_name = '$tag')"
	  . " AND outcome = 'ok' AND row_count = 1 AND duration_ms > 0",
	'its outcome follows');

reads('SELECT * FROM over;', 1, 'a view over the view');
reads('WITH c AS MATERIALIZED (SELECT * FROM calls) SELECT count(*) FROM c a, c b;',
	1, 'a CTE read twice');
reads('SELECT count(*) FROM calls a, calls b;', 1, 'a join with itself');
reads('SELECT count(*) FROM calls WHERE false;', 0, 'WHERE false');
reads('SELECT count(*) FROM generate_series(1, 3) WHERE EXISTS (SELECT FROM calls);',
	1, 'a subquery');
reads('SELECT 1 FROM pg_class c LEFT JOIN (SELECT DISTINCT request_id FROM calls) d'
	  . ' ON d.request_id = c.relname LIMIT 1;',
	0, 'a subquery that the planner removes');
reads('EXPLAIN SELECT * FROM calls;', 0, 'EXPLAIN');
reads('EXPLAIN ANALYZE SELECT * FROM calls;', 1, 'EXPLAIN ANALYZE');
reads('SELECT count(*) FROM calls; ROLLBACK;', 1, 'a transaction that is rolled back');
reads('SAVEPOINT s; SELECT count(*) FROM calls; ROLLBACK TO s;', 1,
	'a savepoint that is rolled back');
reads('SET TRANSACTION READ ONLY; SELECT count(*) FROM calls;', 1,
	'a READ ONLY transaction');
reads('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY; SELECT count(*) FROM calls;',
	1, 'a SERIALIZABLE transaction');
($out, $tag) = reads('DECLARE c CURSOR FOR SELECT * FROM calls; FETCH 3 FROM c; ROLLBACK;',
	1, 'a cursor fetched in part and rolled back');
await_log($node, 'audit', "event = 'outcome' AND row_count = 3 AND statement_id ="
	  . " (SELECT id FROM llm_audit.access_log WHERE application_name = '$tag')",
	'its outcome counts the rows that were fetched');
reads('PREPARE p AS SELECT * FROM calls WHERE request_id = $1;'
	  . " EXECUTE p('call-1'); EXECUTE p('call-2'); EXECUTE p('call-3');",
	3, 'a prepared statement, each time');
reads('CREATE TABLE copied AS SELECT * FROM calls;', 1, 'CREATE TABLE AS');
reads('SELECT * INTO copied2 FROM calls;', 1, 'SELECT INTO');
reads('CREATE MATERIALIZED VIEW m AS SELECT * FROM unguarded;', 1,
	'CREATE MATERIALIZED VIEW', 'postgres');
reads('CREATE TEMP TABLE t AS SELECT 1; COPY (SELECT * FROM calls) TO STDOUT;', 1,
	'COPY of a query');
reads('CREATE TEMP TABLE t (r text); INSERT INTO t SELECT request_id FROM calls;', 1,
	'INSERT ... SELECT');
reads('DO $$ DECLARE r record; BEGIN FOR r IN SELECT * FROM calls LOOP'
	  . ' NULL; END LOOP; END $$;',
	1, 'a loop in PL/pgSQL');
reads('SET LOCAL force_parallel_mode = on; SELECT count(*) FROM calls;', 1,
	'a plan that may be parallel')
  if $node->safe_psql('audit', 'SHOW server_version_num') < 160000;
is($node->safe_psql('audit',
		"SELECT string_agg(DISTINCT command, ',' ORDER BY command)"
	  . " FROM llm_audit.access_log WHERE exported AND event = 'read'"),
	'COPY TO,CREATE TABLE AS,INSERT', 'what leaves in bulk is an export');

# Functions, whoever they belong to
$node->safe_psql('audit', q{
	CREATE FUNCTION definer() RETURNS bigint LANGUAGE sql SECURITY DEFINER
		AS 'SELECT count(*) FROM llm_audit.llm_call';
	CREATE FUNCTION definer_view() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
		AS 'BEGIN RETURN (SELECT count(*) FROM calls); END';
	CREATE FUNCTION twice() RETURNS bigint LANGUAGE plpgsql
		AS 'BEGIN PERFORM 1 FROM calls; RETURN (SELECT count(*) FROM calls); END';
	});
($out, $tag) = reads('SELECT definer();', 1,
	'a SECURITY DEFINER function that reads the ledger');
is(log_of($node, 'audit', $tag, "login || ' ' || effective_role || ' ' || nested"),
	'reader ' . getpwuid($<) . ' true', 'the log names who called it, not its owner');
reads('SELECT definer_view();', 1, 'a SECURITY DEFINER function that reads the view');
reads('SELECT twice();', 2, 'a function that reads twice');
reads('SELECT definer() FROM generate_series(1, 3);', 3, 'a function called for each row');

# Past the guard: a view without one, the ledger itself, a leaf of it
reads('SELECT count(*) FROM unguarded;', 1, 'a view without a guard');
reads("SELECT count(*), (SELECT llm_audit.access_guard('public.calls', true) WHERE false)"
	  . ' FROM unguarded;',
	1, "another view's guard in the query");
reads('SELECT count(*) FROM llm_audit.llm_call;', 1, 'a superuser', 'postgres');
reads('SELECT count(*) FROM ONLY ' . current_leaf($node, 'audit', 'prod') . ';', 1,
	'a leaf of the ledger', 'postgres');
reads('COPY ' . current_leaf($node, 'audit', 'prod') . ' TO STDOUT;', 1,
	'COPY of a leaf, which has no plan', 'postgres');
reads('SELECT count(*) FROM calls;', 1, 'a superuser through the view', 'postgres');
reads('SELECT count(*) FROM pg_class, llm_audit.segment_event;', 0,
	'what is not sensitive', 'postgres');
reads("SELECT length(llm_audit.row_preimage('llm_audit.llm_call',"
	  . ' (SELECT id FROM llm_audit.llm_call LIMIT 1)));',
	1, 'row_preimage() of what the statement reads anyway', 'postgres');
my $id = $node->safe_psql('audit', 'SELECT id FROM llm_audit.llm_call LIMIT 1');
reads("SELECT length(llm_audit.row_preimage('llm_audit.llm_call', '$id'));", 1,
	'row_preimage() alone', 'postgres');
reads('SELECT count(*) FROM llm_audit.access_log;', 1, 'the access log itself', 'postgres');
reads("SELECT query_to_xml('SELECT request_id FROM calls', true, false, '') IS NOT NULL;",
	1, 'query_to_xml()');
reads('SELECT count(*) FROM llm_audit.llm_call TABLESAMPLE SYSTEM (100);', 1,
	'a sample', 'postgres');
reads("SELECT count(*) FROM llm_audit.verify('llm_audit.llm_call');", 0, 'verify()', 'postgres');

# Who it was
$node->safe_psql('audit', 'CREATE ROLE task; GRANT task TO reader;'
	  . ' GRANT llm_audit_auditor TO reader');
($out, $tag) = reads('SET LOCAL ROLE task; SELECT count(*) FROM calls;', 1, 'SET ROLE');
is(log_of($node, 'audit', $tag, "login || ' ' || effective_role || ' ' || roles::text"),
	'reader task {llm_audit_auditor}', 'login, role in force and tasks are recorded');
($out, $tag) = reads('SET LOCAL SESSION AUTHORIZATION reader; SELECT count(*) FROM calls;',
	1, 'SET SESSION AUTHORIZATION', 'postgres');
is(log_of($node, 'audit', $tag, 'login'), 'reader', 'the session user is recorded');

# ---------------- a read that fails, a client that leaves ----------------

my ($status, $err);
($status, $out, $err, $tag) = run_as($node, 'audit', 'reader',
	"BEGIN; SET LOCAL llm_audit.reason = 'test'; SELECT 1 / (request_id <> 'call-15')::int FROM calls;");
is(reads_of($node, 'audit', $tag), 1, 'a query that fails after some rows is recorded');
await_log($node, 'audit', "event = 'outcome' AND outcome = 'error' AND error_code = '22012'"
	  . " AND statement_id = (SELECT id FROM llm_audit.access_log WHERE application_name = '$tag')",
	'its outcome is the error');
{
	local $ENV{PGAPPNAME} = 'leaver';
	my $leaver = $node->background_psql('audit', extra_params => [ '-U', 'reader' ]);
	$leaver->query_safe("BEGIN; SET LOCAL llm_audit.reason = 'test';"
		  . ' DECLARE c CURSOR FOR SELECT * FROM calls; FETCH 1 FROM c');
	my $pid = $leaver->query_safe('SELECT pg_backend_pid()');
	$node->safe_psql('audit', "SELECT pg_terminate_backend($pid)");
	await_log($node, 'audit', "event = 'outcome' AND row_count = 1 AND backend_pid = $pid",
		'a session that is ended after one row leaves its outcome');
	is($node->safe_psql('audit', "SELECT count(*) FROM llm_audit.access_log WHERE event = 'read' AND backend_pid = $pid"),
		1, 'and had been recorded');
	eval { $leaver->quit };
}

# A leaky function is pushed below no guard: it sees nothing that is refused.
refused(q{CREATE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001
	AS 'BEGIN RAISE NOTICE ''leaked %'', $1; RETURN true; END';
	SELECT * FROM calls WHERE pg_temp.leak(request_id);},
	qr/^(?!.*leaked).*a reason is needed to read audit data/s, 'a leaky function without a reason');

# ---------------- reasons ----------------

$tag = refused('SELECT count(*) FROM calls', qr/a reason is needed.*SET LOCAL/s, 'no reason');
await_log($node, 'audit', "event = 'refused' AND application_name = '$tag' AND error_code = '22023'"
	  . " AND refusal = 'no reason' AND relations @> '{public.calls}'",
	'the refused attempt is recorded');
refused("SET llm_audit.reason = 'mine'; SELECT count(*) FROM calls", qr/a reason is needed/,
	'SET of a session');
refused("SELECT set_config('llm_audit.reason', 'mine', false) WHERE false;"
	  . " SET llm_audit.reason = 'x'; BEGIN; SELECT count(*) FROM calls",
	qr/a reason is needed/, 'SET of a session before a transaction');
refused("BEGIN; SET LOCAL llm_audit.reason = '  '; SELECT count(*) FROM calls",
	qr/a reason is needed/, 'a blank reason');
refused("BEGIN; SET LOCAL llm_audit.reason = 'x'; SET llm_audit.reason = 'y'; SELECT count(*) FROM calls",
	qr/a reason is needed/, 'SET after SET LOCAL');
refused("BEGIN; SET LOCAL llm_audit.reason = 'x'; COMMIT; SELECT count(*) FROM calls",
	qr/a reason is needed/, "another transaction's reason");
$node->safe_psql('audit', "ALTER ROLE reader SET llm_audit.reason = 'for ever'");
refused('SELECT count(*) FROM calls', qr/a reason is needed/, "a role's setting");
$node->safe_psql('audit', 'ALTER ROLE reader RESET llm_audit.reason');
refused('SELECT count(*) FROM llm_audit.llm_call', qr/a reason is needed/,
	'a superuser without one', 'postgres');
refused('COPY ' . current_leaf($node, 'audit', 'prod') . ' TO STDOUT',
	qr/a reason is needed/, 'COPY without one', 'postgres');
{
	my ($s, $o, $e, $t) = run_as($node, 'audit', 'reader', 'SELECT count(*) FROM free');
	is($o, '20', 'a view that needs none');
	is(reads_of($node, 'audit', $t), 1, 'is recorded all the same');
	($s, $o, $e, $t) = run_as($node, 'audit', 'reader',
		"BEGIN; SELECT set_config('llm_audit.reason', 'INC-1', true), set_config('llm_audit.ticket', 'T-9', true),"
		  . " set_config('llm_audit.reader', 'anna', true); SELECT count(*) FROM calls");
	is(log_of($node, 'audit', $t, "reason || ' ' || ticket || ' ' || asserted_reader || ' ' || reader_trusted"),
		'INC-1 T-9 anna false', 'set_config() for the transaction counts; the reader is not trusted');
	$node->append_conf('postgresql.conf', "llm_audit.trusted_proxies = '10.0.0.0/8, local'\n");
	$node->reload;
	($s, $o, $e, $t) = run_as($node, 'audit', 'reader',
		"BEGIN; SET LOCAL llm_audit.reader = 'anna'; SELECT count(*) FROM free");
	is(log_of($node, 'audit', $t, 'reader_trusted'), 'true', 'from a trusted proxy it is');
}

# ---------------- the text ----------------

($out, $tag) = reads("SELECT count(*) FROM calls WHERE actor_id = '4000 0566 5566 5556'"
	  . " AND request_id <> 'card 4000 0566 5566 5556';", 1, 'a search for a card');
is(log_of($node, 'audit', $tag, "query ~ '0566 ?5566|5665566'"), 'false',
	'the card is not in the text');
like(log_of($node, 'audit', $tag, 'query'), qr/SELECT count\(\*\) FROM calls/, 'the rest is');
is(log_of($node, 'audit', $tag, "search_tokens && llm_audit.compute_tokens('4000056655665556', 'CREDIT_CARD')"),
	'true', 'its token is');
is(log_of($node, 'audit', $tag, "filtered_columns @> '{actor_id,request_id}'"), 'true',
	'and the columns of the condition');
is(log_of($node, 'audit', $tag, "columns_read @> '{calls.actor_id}' AND query_id <> 0"), 'true',
	'the columns that it reads, and the query id');
($out, $tag) = reads("PREPARE p AS SELECT count(*) FROM calls WHERE actor_id = \$1;"
	  . " EXECUTE p('4000 0566 5566 5556');", 1, 'a search by parameter');
is(log_of($node, 'audit', $tag, "search_tokens && llm_audit.compute_tokens('4000056655665556', 'CREDIT_CARD')"),
	'true', 'the token of a parameter is recorded');
($out, $tag) = reads("SELECT count(*) FROM calls WHERE request_id <> '" . ('x' x 20000) . "';", 1,
	'a long text');
is(log_of($node, 'audit', $tag, "query_truncated::text || octet_length(query) || ' ' || octet_length(query_digest)"),
	'true8192 37', 'is cut, with a digest of the whole');

# ---------------- rows seen ----------------

sub seen
{
	my ($t) = @_;
	return $node->safe_psql('audit', "SELECT count(*) || ' ' || count(DISTINCT r.row_id)"
		  . ' FROM llm_audit.access_record r JOIN llm_audit.access_log l ON l.id = r.statement_id'
		  . " WHERE l.application_name = '$t'");
}
($out, $tag) = reads("SELECT body FROM texts WHERE request_id = 'call-3';", 1, 'a text');
is($out, 'text of call-3', 'comes');
is(seen($tag), '1 1', 'and is recorded as seen');
($out, $tag) = reads("SELECT count(*) FROM texts WHERE body LIKE '%3';", 1, 'a search through texts');
is(seen($tag), '20 20', 'has seen every text that it looked at');
($out, $tag) = reads('SELECT count(*) FROM texts;', 1, 'a count');
is(seen($tag), '20 20', 'computes them all, so all are recorded');
($out, $tag) = reads("SELECT count(*) FROM texts WHERE request_id = 'none';", 1, 'a search that finds nothing');
is(seen($tag), '0 0', 'has seen none');
($out, $tag) = reads('DECLARE c CURSOR FOR SELECT body FROM texts; FETCH 2 FROM c; ROLLBACK;', 1,
	'a cursor over texts');
is(seen($tag), '2 2', 'has seen what was fetched');
# A portal that the client suspends, which takes the protocol itself.
sub send_message
{
	my ($socket, $type, $body) = @_;
	print $socket $type . pack('N', 4 + length $body) . $body;
	return;
}

sub read_until
{
	my ($socket, $wanted) = @_;
	my $types = '';
	while ($types !~ /$wanted$/)
	{
		read($socket, my $head, 5) == 5 or die 'connection closed';
		my ($type, $length) = unpack 'aN', $head;
		read($socket, my $body, $length - 4) == $length - 4 or die 'connection closed';
		die "error: $body" if $type eq 'E';
		$types .= $type;
	}
	return $types;
}
my $socket = IO::Socket::UNIX->new($node->host . '/.s.PGSQL.' . $node->port) or die "socket: $!";
$socket->autoflush(1);
send_message($socket, '', pack('N', 196608)
	  . "user\0reader\0database\0audit\0application_name\0suspended\0\0");
read_until($socket, 'Z');
send_message($socket, 'Q', "BEGIN; SET LOCAL llm_audit.reason = 'test'\0");
read_until($socket, 'Z');
send_message($socket, 'P', "\0SELECT body FROM texts\0" . pack('n', 0));
send_message($socket, 'B', "\0\0" . pack('nnn', 0, 0, 0));
send_message($socket, 'E', "\0" . pack('N', 3));
send_message($socket, 'H', '');
like(read_until($socket, 's'), qr/DDDs$/, 'a portal is suspended after three rows');
is(seen('suspended'), '3 3', 'what it has shown is recorded before it is left');
send_message($socket, 'E', "\0" . pack('N', 2));
send_message($socket, 'H', '');
read_until($socket, 's');
is(seen('suspended'), '5 5', 'and what it shows when it goes on');
is(reads_of($node, 'audit', 'suspended'), 1, 'all that is one read');
close($socket);

($status, $out, $err, $tag) = run_as($node, 'audit', 'reader',
	"BEGIN; SET LOCAL llm_audit.reason = 't'; SELECT 1 / (body <> 'text of call-20')::int FROM texts");
ok($node->poll_query_until('audit', "SELECT count(*) >= 1 FROM llm_audit.access_record r"
		  . " JOIN llm_audit.access_log l ON l.id = r.statement_id WHERE l.application_name = '$tag'"),
	'a query that fails has seen what came before');
$node->safe_psql('audit', "ALTER DATABASE audit SET llm_audit.row_records = 'strict'");
($out, $tag) = reads("SELECT count(body) FROM texts;", 1, 'texts with strict records');
is(seen($tag), '20 20', 'each is recorded');
refused("SET llm_audit.row_records = 'deferred'; SELECT 1 FROM calls", qr/permission denied/,
	'a reader who makes them deferred');
refused("SELECT llm_audit.reveal('$id', 'r', 'b')", qr/guarded views only/, 'reveal() by hand');
refused("SELECT llm_audit.access_guard('public.calls', true)", qr/in the view that it is called for/,
	'access_guard() by hand');

# ---------------- nobody else writes it ----------------

for my $table ('access_log', 'access_record')
{
	refused("INSERT INTO llm_audit.$table (environment) VALUES ('prod')",
		$table eq 'access_log' ? qr/written by the access writer/ : qr/written by the access writer/,
		"INSERT into $table by a superuser", 'postgres');
	refused("UPDATE llm_audit.$table SET login = 'x'", qr/cannot update ledger/, "UPDATE of $table", 'postgres');
	refused("INSERT INTO llm_audit.$table (environment) VALUES ('prod')", qr/permission denied/,
		"INSERT into $table by a reader");
}
$tag = refused('SELECT * FROM llm_audit.llm_call', qr/permission denied/, 'a reader on the ledger');
await_log($node, 'audit', "event = 'refused' AND application_name = '$tag' AND refusal = 'permission denied'",
	'what PostgreSQL refuses is recorded too');

# Foreign keys are checked without a record, and nothing else in their guise is.
$node->safe_psql('audit', q{
	CREATE TABLE parent (id uuid, n int);
	SELECT llm_audit.create_ledger('parent');
	CREATE TABLE child (parent_id uuid REFERENCES parent (id));
	INSERT INTO parent (n) VALUES (1);
	});
my $parent = $node->safe_psql('audit', 'SELECT id FROM parent');
reads("INSERT INTO child VALUES ('$parent');", 0, 'the check of a foreign key', 'postgres');
reads('SELECT * FROM parent;', 1, 'an enrolled ledger', 'postgres');
$node->safe_psql('audit', 'CREATE TABLE copied AS SELECT 1 AS n; GRANT SELECT ON copied TO reader');
$node->safe_psql('audit', "SELECT llm_audit.set_sensitive('parent', false, false, 'test');"
	  . " SELECT llm_audit.set_sensitive('copied', true, true, 'test')");
reads('SELECT * FROM parent;', 0, 'one that was declared harmless', 'postgres');
reads('SELECT count(*) FROM copied;', 1, 'a table that was declared sensitive');

# The log is complete: no number is missing, and it verifies.
$node->poll_query_until('audit', "SELECT pending <= 2 FROM llm_audit.access_status() WHERE database = 'audit'");
is($node->safe_psql('audit', q{
	SELECT count(*) FROM (SELECT t - lag(t) OVER (ORDER BY t) AS step FROM (
		SELECT boot_ticket AS t FROM llm_audit.access_log
		UNION SELECT boot_ticket FROM llm_audit.access_record) x) y WHERE step <> 1}),
	'0', 'records are numbered without gaps');
check_verify($node, 'audit', 'the access log');
$node->stop;
done_testing();
