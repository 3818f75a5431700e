# What a DBA does to tables, done to ledgers while others write: rows move,
# indexes are replaced under the writers' feet, chains stay whole.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('maintenance');
$node->start;
make_database($node, 'audit');
$node->safe_psql('audit',
	"INSERT INTO plain SELECT i, 'before' FROM generate_series(1, 2000) AS i; " . insert_calls(500, 'before'));
my $leaf = current_leaf($node, 'audit', 'prod');
my ($leaf_name) = $leaf =~ /\.(.*)/;

my $script = PostgreSQL::Test::Utils::tempdir() . '/load.sql';
append_to_file($script,
	"BEGIN;\nINSERT INTO plain VALUES (1, 'busy');\n" . insert_calls(2, 'busy') . ";\nCOMMIT;\n");
my ($out, $err) = ('', '');
my $load = IPC::Run::start(
	[ 'pgbench', '-n', '-c', 8, '-T', 12, '-f', $script, '-h', $node->host, '-p', $node->port, 'audit' ],
	'>', \$out, '2>', \$err);
$node->poll_query_until('audit', "SELECT count(*) > 0 FROM plain WHERE note = 'busy'");

for my $command (
	'VACUUM plain', 'VACUUM (FULL) plain', 'VACUUM (FREEZE, ANALYZE) ' . $leaf, "VACUUM (FULL) $leaf",
	'CLUSTER plain USING plain_lane_idx', 'REINDEX TABLE plain', 'REINDEX TABLE CONCURRENTLY plain',
	"REINDEX TABLE CONCURRENTLY $leaf", 'REINDEX INDEX CONCURRENTLY plain_lane_idx',
	'CREATE INDEX CONCURRENTLY plain_note ON plain (note)', 'DROP INDEX CONCURRENTLY plain_note',
	'ANALYZE plain', 'CREATE STATISTICS plain_stats ON n, note FROM plain',
	'ALTER TABLE plain SET (fillfactor = 90)', 'ALTER TABLE plain ADD COLUMN added int', 'CHECKPOINT')
{
	my ($status, $stdout, $stderr) = $node->psql('audit', $command);
	is($status, 0, $command) or diag($stderr);
}
ok($load->finish, 'nobody who wrote meanwhile has failed') or diag($err);
is(chain_faults($node, 'audit', 'plain'), '0', 'chains of the plain table');
is(chain_faults($node, 'audit', 'llm_audit.llm_call'), '0', 'chains of llm_call');
check_verify($node, 'audit', 'after maintenance under load');

# Verify while others write and the index is replaced.
$load = IPC::Run::start(
	[ 'pgbench', '-n', '-c', 4, '-T', 6, '-f', $script, '-h', $node->host, '-p', $node->port, 'audit' ],
	'>', \$out, '2>', \$err);
for my $round (1 .. 3)
{
	check_verify($node, 'audit', "under load, round $round");
	$node->safe_psql('audit', 'REINDEX TABLE CONCURRENTLY plain');
}
ok($load->finish, 'nobody who wrote during verify has failed') or diag($err);
check_verify($node, 'audit', 'at rest');

$node->stop;
done_testing();
