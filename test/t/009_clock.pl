# The clock steps backwards, over a segment's end, past what was made ahead and
# past a segment that was closed: no row is lost, none enters a closed segment.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $hour = 3600;
my $day = 24 * $hour;

my $node = make_node('clock', 'llm_audit.seal_grace' => '1min',
	'llm_audit.databases' => 'audit, restored');
fake_clock($node);
start_faked($node);
make_database($node, 'audit');
my $rows = 0;

sub write_rows
{
	my ($name, $count) = @_;
	my ($status, $out, $err) = $node->psql('audit', insert_calls($count, $name));
	is($status, 0, "$name: rows are taken") or diag($err);
	$rows += $count;
	check_chain($node, 'audit', 'llm_audit.llm_call', $rows, $name);
	return;
}

sub leaf_of
{
	my ($name) = @_;
	return $node->safe_psql('audit',
		"SELECT DISTINCT tableoid::regclass FROM llm_audit.llm_call WHERE request_id LIKE '$name-%'");
}

write_rows('start', 5);
set_clock($node, -2 * $hour);
write_rows('backwards', 5);
is( $node->safe_psql(
		'audit',
		q{SELECT max(recorded_at) FILTER (WHERE request_id LIKE 'backwards-%')
			   < min(recorded_at) FILTER (WHERE request_id LIKE 'start-%')
		  FROM llm_audit.llm_call}),
	't', 'the clock did go backwards');
check_verify($node, 'audit', 'after a step back');

# An insert of several rows over a segment's end: the clock moves within it.
my $end = $node->safe_psql('audit',
	q{SELECT extract(epoch FROM s.upper)::bigint
	  FROM llm_audit.ledger_segment s WHERE format('%I.%I', schema_name, relation_name) = '}
	  . current_leaf($node, 'audit', 'prod') . "'");
set_clock_at($node, $end - 2);
my $insert = insert_calls(40, 'boundary');
$insert =~ s/\bFROM generate_series/FROM (SELECT pg_sleep(0.1)) AS nap, generate_series/;
$insert =~ s/AS i$/AS i, LATERAL (SELECT pg_sleep(0.1 + 0 * i)) AS pause/;
$node->safe_psql('audit', $insert);
$rows += 40;
my @leaves = split /\n/, leaf_of('boundary');
is(scalar(@leaves), 2, 'one statement wrote into two segments');
check_chain($node, 'audit', 'llm_audit.llm_call', $rows, 'over the boundary');
check_verify($node, 'audit', 'over the boundary');

# A transaction that is open while the segment ends.
set_clock_at($node, $end - 2);
my $open = $node->background_psql('audit');
$open->query_safe('BEGIN; ' . insert_calls(3, 'early'));
set_clock_at($node, $end + $hour);
$open->query_safe(insert_calls(3, 'late') . '; COMMIT');
$open->quit;
$rows += 6;
isnt(leaf_of('early'), leaf_of('late'), 'one transaction wrote into two segments');
check_chain($node, 'audit', 'llm_audit.llm_call', $rows, 'a transaction over the boundary');

# Close what has ended; then the clock steps back behind it.
my $old = leaf_of('early');
set_clock_at($node, $end + 2 * $hour);
$node->safe_psql('audit', 'CALL llm_audit.close_segments()');
is( $node->safe_psql('audit',
		"SELECT state FROM llm_audit.ledger_segment WHERE format('%I.%I', schema_name, relation_name) = '$old'"),
	'closed', 'the old segment is closed');
check_verify($node, 'audit', 'after closing');
set_clock_at($node, $end - $hour);
write_rows('behind', 5);
isnt(leaf_of('behind'), $old, 'rows after a step back behind the closing go to the next segment');
check_verify($node, 'audit', 'after a step back behind the closing');

# Maintenance slept: the default segment takes the rows.
set_clock($node, 200 * $day);
write_rows('asleep', 10);
like(leaf_of('asleep'), qr/default/, 'rows that no segment covers go to the default segment');
check_verify($node, 'audit', 'with rows in the default segment');
$node->safe_psql('audit', 'CALL llm_audit.make_segments()');
$node->safe_psql('audit', 'SELECT count(*) FROM llm_audit.setup()');
write_rows('awake', 3);
set_clock($node, 202 * $day);
write_rows('covered', 3);
unlike(leaf_of('covered'), qr/default/, 'the next segment starts after the rows in the default segment');
check_verify($node, 'audit', 'after segments were made late');

# A dump carries rows of the first, a run-time made and the default segment.
my $dir = PostgreSQL::Test::Utils::tempdir();
my @connect = ('-h', $node->host, '-p', $node->port);
my $digest = 'SELECT tableoid::regclass, count(*), md5(string_agg(row_hash::text, chr(44) ORDER BY chain_lane, chain_seq))'
  . ' FROM llm_audit.llm_call GROUP BY tableoid ORDER BY tableoid::regclass::text';
$node->command_ok([ 'pg_dump', @connect, '-Fc', '-f', "$dir/dump", 'audit' ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', @connect, '--exit-on-error', '-j', 4, '-d', 'restored', "$dir/dump" ], 'restore');
is($node->safe_psql('restored', $digest), $node->safe_psql('audit', $digest),
	'rows of every kind of segment come back');
is($node->safe_psql('restored', 'SELECT ledger_id FROM llm_audit.ledger ORDER BY 1'),
	$node->safe_psql('audit', 'SELECT ledger_id FROM llm_audit.ledger ORDER BY 1'),
	'with the ledgers\' identity');
check_verify($node, 'restored', 'restored');

# A retry that crosses the end of a segment is stored again, and told.
my $id = '00000000-0000-4000-8000-000000000001';
my $columns = call_columns();
my $values = call_values("'retry'");
my $again = "INSERT INTO llm_audit.llm_call (id, $columns) VALUES ('$id', $values) ON CONFLICT DO NOTHING";
$node->safe_psql('audit', "$again; $again");
is($node->safe_psql('audit', "SELECT count(*) FROM llm_audit.llm_call WHERE id = '$id'"),
	'1', 'a retry within a segment is dropped');
set_clock($node, 240 * $day);
$node->safe_psql('audit', "$again; $again");
is($node->safe_psql('audit', "SELECT count(*) FROM llm_audit.llm_call WHERE id = '$id'"),
	'2', 'a retry in the next segment is stored again');
is(chain_faults($node, 'audit', 'llm_audit.llm_call'), '0', 'retries leave no gap');
like( $node->safe_psql('audit', 'SELECT DISTINCT finding, id FROM llm_audit.verify()'),
	qr/^duplicate_id\|$id$/, 'verify tells of the duplicate, and of nothing else');

$node->stop;
done_testing();
