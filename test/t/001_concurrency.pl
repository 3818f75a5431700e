# Many writers at once, at every isolation level: no row lost, no fork, no
# writer that waits for another or fails where a plain table would not.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $clients = 64;
my $transactions = 40;

my $node = make_node('concurrency');
$node->start;
make_database($node, 'audit');
$node->safe_psql('audit',
	'CREATE ROLE gateway LOGIN; GRANT llm_audit_writer TO gateway');

my $rows = 0;
for my $level ('read committed', 'repeatable read', 'serializable')
{
	my $insert = insert_calls(1, $level);
	my ($done, $out, $err) =
	  run_pgbench($node, 'audit',
		"BEGIN ISOLATION LEVEL $level;\n$insert;\nCOMMIT;\n",
		'-c', $clients, '-j', 2, '-t', $transactions, '-U', 'gateway');
	ok($done, "$clients writers at $level") or diag($err);
	unlike($err, qr/deadlock|serializ/i, "no deadlock or serialization failure at $level");
	$rows += $clients * $transactions;
	check_chain($node, 'audit', 'llm_audit.llm_call', $rows, $level);
}
check_verify($node, 'audit', 'after single rows');

# Several rows in a transaction, some of them rolled back, some in a
# savepoint, with think time in between: lanes are held across statements.
my $mixed = join "\n",
  'BEGIN;',
  insert_calls(3, 'mixed') . ';',
  'SAVEPOINT s;',
  insert_calls(2, 'lost') . ';',
  'ROLLBACK TO s;',
  '\sleep 2 ms',
  insert_calls(1, 'mixed') . ';',
  'COMMIT;',
  'BEGIN;',
  insert_calls(5, 'lost') . ';',
  'ROLLBACK;', '';
my ($done, $out, $err) =
  run_pgbench($node, 'audit', $mixed, '-c', $clients, '-j', 2, '-t', 10,
	'-U', 'gateway');
ok($done, 'writers with savepoints and rollbacks') or diag($err);
$rows += $clients * 10 * 4;
check_chain($node, 'audit', 'llm_audit.llm_call', $rows, 'savepoints');
is( $node->safe_psql(
		'audit',
		"SELECT count(*) FROM llm_audit.llm_call WHERE request_id LIKE 'lost%'"),
	'0', 'nothing of what was rolled back');
check_verify($node, 'audit', 'after savepoints');

# An enrolled table and a writer that sits idle in a transaction: nobody waits.
my $idle = $node->background_psql('audit');
$idle->query_safe("BEGIN; INSERT INTO plain VALUES (0, 'idle')");
($done, $out, $err) =
  run_pgbench($node, 'audit',
	"INSERT INTO plain SELECT i, 'busy' FROM generate_series(1, 10) AS i;\n",
	'-c', $clients, '-j', 2, '-t', 10);
ok($done, 'writers beside an idle transaction') or diag($err);
$idle->query_safe('COMMIT');
$idle->quit;
check_chain($node, 'audit', 'plain', $clients * 100 + 1, 'plain table');
cmp_ok(
	$node->safe_psql('audit', 'SELECT count(DISTINCT chain_lane) FROM plain'),
	'<=', $clients + 1, 'not more lanes than writers');
check_verify($node, 'audit', 'plain table');

# No more lanes than the limit: an error at once, not a wait.
$node->append_conf('postgresql.conf', 'llm_audit.max_lanes = 2');
$node->restart;
my @holders = map { $node->background_psql('audit') } 1 .. 2;
$_->query_safe("BEGIN; INSERT INTO plain VALUES (1, 'holder')") for @holders;
my ($status, $stdout, $stderr) =
  $node->psql('audit', "\\set VERBOSITY verbose\nINSERT INTO plain VALUES (2, 'one too many')");
like($stderr, qr/53300/, 'no lane left: too many connections');
$_->query_safe('COMMIT') for @holders;
$_->quit for @holders;
$node->safe_psql('audit', "INSERT INTO plain VALUES (3, 'free again')");
check_chain($node, 'audit', 'plain', $clients * 100 + 4, 'after the limit');
check_verify($node, 'audit', 'after the limit');
is(scalar($node->safe_psql('audit', "SELECT count(*) FROM pg_locks WHERE locktype = 'userlock'")),
	'0', 'no lane lock is left');

$node->stop;
done_testing();
