# A backend remembers where the lanes end that it wrote itself.  Whatever it
# and others do meanwhile (rows of other backends in the same lane, rolled-back
# transactions and savepoints, retries), the next row goes behind the last one.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $steps = 120;
my $node = make_node('lane_ends');
$node->start;
make_database($node, 'audit');
my @sessions = map { $node->background_psql('audit') } 1 .. 3;

# Each way to write, with the number of rows that it leaves.
my %insert = (
	plain => sub { "INSERT INTO plain SELECT i, 'x' FROM generate_series(1, $_[0]) AS i" },
	'llm_audit.llm_call' => sub { insert_calls($_[0], 'lane') });
my @ways = (
	sub { ($_[0]->(1), 1) },
	sub { ($_[0]->(3), 3) },
	sub { ("BEGIN; " . $_[0]->(2) . "; ROLLBACK", 0) },
	sub { ("BEGIN; SAVEPOINT s; " . $_[0]->(2) . "; ROLLBACK TO s; COMMIT", 0) },
	sub {
		("BEGIN; " . $_[0]->(1) . "; SAVEPOINT s; " . $_[0]->(2)
			  . "; ROLLBACK TO s; " . $_[0]->(1) . "; COMMIT", 2);
	},
	sub {
		("BEGIN; " . $_[0]->(1) . "; SAVEPOINT s; " . $_[0]->(1)
			  . "; ROLLBACK TO s; " . $_[0]->(1) . "; ROLLBACK", 0);
	});

srand(20260101);
for my $table (sort keys %insert)
{
	my $rows = 0;
	for (1 .. $steps)
	{
		my ($statement, $left) = $ways[ rand @ways ]->($insert{$table});
		$sessions[ rand @sessions ]->query_safe($statement);
		$rows += $left;
	}
	check_chain($node, 'audit', $table, $rows, "$table, three sessions in turn");
	is($node->safe_psql('audit', "SELECT count(DISTINCT chain_lane) FROM $table"),
		'1', "$table: they shared one lane");
}

# The same lane after its index was replaced under the session.
$node->safe_psql('audit', 'REINDEX TABLE CONCURRENTLY plain');
$sessions[0]->query_safe($insert{plain}->(1));
is( $node->safe_psql('audit', 'SELECT count(*) - max(chain_seq) FROM plain'),
	'0', 'a row after REINDEX has the next position');

# Retries that ON CONFLICT drops leave nothing behind.
$sessions[1]->query_safe("INSERT INTO plain (n, id) VALUES (1, '00000000-0000-7000-8000-000000000001')");
$sessions[1]->query_safe(
	"INSERT INTO plain (n, id) VALUES (1, '00000000-0000-7000-8000-000000000001') ON CONFLICT DO NOTHING");
$sessions[1]->query_safe($insert{plain}->(1));
is( $node->safe_psql('audit', 'SELECT count(*) - max(chain_seq) FROM plain'),
	'0', 'a row after a dropped retry has the next position');
check_verify($node, 'audit', 'after all that');

# Rows that are restored with their place take no lane.  Whoever has written
# to their lane before goes on behind them, as soon as they are there.
$node->safe_psql('audit', q{CREATE TABLE solo (n int); SELECT llm_audit.create_ledger('solo');});
$sessions[0]->query_safe('INSERT INTO solo (n) VALUES (1)');
my $copies = $sessions[1]->query_safe(q{
	BEGIN; SET LOCAL llm_audit.reason = 'test';
	INSERT INTO solo (n) VALUES (2), (3), (4);
	SELECT format('INSERT INTO solo SELECT (%L::solo).*;', s) FROM solo AS s WHERE chain_seq > 2 ORDER BY chain_seq;
	ROLLBACK});
$sessions[0]->query_safe('INSERT INTO solo (n) VALUES (5)');
$sessions[1]->query_safe("BEGIN; SET LOCAL llm_audit.restore = on; $copies; COMMIT");
is($node->safe_psql('audit', 'SELECT max(chain_seq) FROM solo'), '4', 'two rows were restored');
$sessions[0]->query_safe('INSERT INTO solo (n) VALUES (6)');
is( $node->safe_psql('audit', 'SELECT n, chain_lane, chain_seq FROM solo ORDER BY chain_seq DESC LIMIT 1'),
	'6|0|5', 'the next row stands behind them');

# The check of a routed row against its partition is spared; that is right
# only while nothing on the way to the heap changes the partition key.
$node->safe_psql('audit', q{
	CREATE TABLE routed (environment text NOT NULL, note text) PARTITION BY LIST (environment);
	SELECT llm_audit.create_ledger('routed');});
my ($status, $stdout, $stderr) = $node->psql('audit', q{
	SELECT llm_audit.set_field_policy('routed', 'environment', 'redact', reason => 'test');
	INSERT INTO routed VALUES ('prod', 'x');}, on_error_stop => 1);
isnt($status, 0, 'a policy that changes the environment stores no row');
is($node->safe_psql('audit', 'SELECT count(*) FROM routed'), '0', 'there is none');
like($stderr, qr{column "environment"}, 'the error names the column');

$_->quit for @sessions;
$node->stop;
done_testing();
