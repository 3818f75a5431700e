# Prepared transactions: a lane stays taken while one is prepared, over a
# restart and a crash too, and chains are whole after COMMIT or ROLLBACK.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('prepared', max_prepared_transactions => 10);
$node->start;
make_database($node, 'audit');

my $rows = 0;

sub prepare_rows
{
	my ($name, $count) = @_;
	$node->safe_psql('audit',
		    "BEGIN; INSERT INTO plain SELECT i, '$name' FROM generate_series(1, $count) AS i; "
		  . insert_calls($count, $name)
		  . "; PREPARE TRANSACTION '$name'");
	return;
}

sub write_rows
{
	my ($count) = @_;
	$node->safe_psql('audit',
		"INSERT INTO plain SELECT i, 'between' FROM generate_series(1, $count) AS i; "
		  . insert_calls($count, 'between'));
	$rows += $count;
	return;
}

sub check_both
{
	my ($name) = @_;
	check_chain($node, 'audit', 'plain', $rows, "$name, plain");
	check_chain($node, 'audit', 'llm_audit.llm_call', $rows, "$name, llm_call");
	check_verify($node, 'audit', $name);
	return;
}

write_rows(3);
prepare_rows('committed', 5);
write_rows(4);
check_both('while one is prepared');
$node->safe_psql('audit', "COMMIT PREPARED 'committed'");
$rows += 5;
check_both('after COMMIT PREPARED');

prepare_rows('rolled_back', 5);
write_rows(4);
$node->safe_psql('audit', "ROLLBACK PREPARED 'rolled_back'");
write_rows(2);
check_both('after ROLLBACK PREPARED');

for my $stop (qw(fast immediate))
{
	prepare_rows("keep_$stop", 6);
	prepare_rows("drop_$stop", 7);
	write_rows(1);
	$node->stop($stop);
	$node->start;
	cmp_ok(
		$node->safe_psql('audit', "SELECT count(*) FROM pg_locks WHERE locktype = 'userlock' AND pid IS NULL"),
		'>=', 4, "lanes are still held after a restart ($stop)");
	write_rows(3);
	check_both("prepared over a restart ($stop)");
	$node->safe_psql('audit', "COMMIT PREPARED 'keep_$stop'");
	$rows += 6;
	check_both("committed after a restart ($stop)");
	$node->safe_psql('audit', "ROLLBACK PREPARED 'drop_$stop'");
	write_rows(2);
	check_both("rolled back after a restart ($stop)");
}

# A row that ON CONFLICT drops last in a transaction that is prepared.
$node->safe_psql(
	'audit', q{
	BEGIN;
	INSERT INTO plain (id, n) VALUES ('00000000-0000-4000-8000-000000000001', 1);
	INSERT INTO plain (id, n) VALUES ('00000000-0000-4000-8000-000000000001', 1)
		ON CONFLICT DO NOTHING;
	PREPARE TRANSACTION 'retry';
	COMMIT PREPARED 'retry'});
is($node->safe_psql('audit', 'SELECT count(*) FROM plain'), $rows + 1, 'a dropped retry leaves no row');
is(chain_faults($node, 'audit', 'plain'), '0', 'and no gap');
$node->safe_psql('audit', "INSERT INTO plain VALUES (2, 'next')");
is(chain_faults($node, 'audit', 'plain'), '0', 'the next row follows');
check_verify($node, 'audit', 'after a dropped retry');

$node->stop;
done_testing();
