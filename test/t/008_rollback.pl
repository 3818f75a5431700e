# A big insert that is rolled back leaves its dead rows at the end of a lane;
# the next insert into that lane must not have to walk over them.  Pages that
# an insert touches are counted, not its time, which other processes disturb.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dead = $ENV{ROLLBACK_ROWS} || 200_000;
my $rows = 0;

my $node = make_node('rollback', autovacuum => 'off');
$node->start;
make_database($node, 'audit');
my $session = $node->background_psql('audit');

# Pages that the trigger and the insert of one row touch.
sub pages_of_insert
{
	$rows++;
	my $plan = $session->query_safe(
		"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, SUMMARY OFF, COSTS OFF)"
		  . " INSERT INTO plain VALUES (1, 'counted')");
	my ($insert) = $plan =~ /^Insert on plain.*\n((?:  .*\n)?)/;
	my $pages = 0;
	$pages += $1 while ($insert // '') =~ /(?:hit|read|dirtied|written)=(\d+)/g;
	return $pages;
}

sub greatest_of_inserts
{
	my ($times) = @_;
	my $greatest = 0;
	for (1 .. $times)
	{
		my $pages = pages_of_insert();
		$greatest = $pages if $pages > $greatest;
	}
	return $greatest;
}

greatest_of_inserts(5);
my $before = greatest_of_inserts(20);
cmp_ok($before, '>', 0, "an insert touches pages ($before)");

$session->query_safe(
	"BEGIN; INSERT INTO plain SELECT i, 'dead' FROM generate_series(1, $dead) AS i; ROLLBACK");
my $first = pages_of_insert();
cmp_ok($first, '<=', $before + 200, "the first insert after $dead dead rows touches few pages");
my $after = greatest_of_inserts(50);
cmp_ok($after, '<=', 2 * $before + 20, 'those after it as few as before');

# The same for a savepoint, and for a backend that never wrote there.
$session->query_safe(
	"BEGIN; SAVEPOINT s; INSERT INTO plain SELECT i, 'dead' FROM generate_series(1, 20000) AS i; ROLLBACK TO s; COMMIT");
pages_of_insert();
cmp_ok(greatest_of_inserts(20), '<=', 2 * $before + 20, 'after a rolled back savepoint');
$session->quit;
$session = $node->background_psql('audit');
greatest_of_inserts(2);
cmp_ok(greatest_of_inserts(50), '<=', 2 * $before + 20, 'from another backend');
$session->quit;

check_chain($node, 'audit', 'plain', $rows, 'after rollbacks');
check_verify($node, 'audit', 'after rollbacks');
$node->safe_psql('audit', 'VACUUM plain');
$node->safe_psql('audit', "INSERT INTO plain VALUES (1, 'after vacuum')");
is(chain_faults($node, 'audit', 'plain'), '0', 'after VACUUM');
check_verify($node, 'audit', 'after VACUUM');

# A million rows that stay.
$node->safe_psql(
	'audit', q{
	CREATE TABLE million (n bigint);
	SELECT llm_audit.create_ledger('million');
	INSERT INTO million SELECT generate_series(1, 1000000)});
check_chain($node, 'audit', 'million', 1000000, 'a million rows in one statement');
check_verify($node, 'audit', 'a million rows in one statement');

$node->stop;
done_testing();
