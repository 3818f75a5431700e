# A purge that is killed, raced by holds, or tampered with afterwards: what was
# committed has its receipts, the rest is still there, and it goes on.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = make_node('purge_crash', fsync => 'on', restart_after_crash => 'on', allow_system_table_mods => 'on');
$node->start;
make_database($node, 'audit');
$node->safe_psql(
	'audit', q{
	CREATE TABLE brief (n int, organization_id text);
	SELECT llm_audit.create_ledger('brief', retention => '1 microsecond');
	INSERT INTO brief SELECT i, 'o' || i % 10 FROM generate_series(1, 20000) AS i;
	});

my $left = 'SELECT count(*) FROM brief';
my $accounted = 'SELECT coalesce(sum(row_count), 0) FROM llm_audit.purge_receipt';
my @connect = ('-h', $node->host, '-p', $node->port, '-X', '-q', 'audit');

# After a start the access writer needs a moment before anything can be read.
sub wait_for_reads
{
	$node->poll_query_until('audit', q{SELECT state = 'running' FROM llm_audit.access_status() WHERE database = 'audit'})
	  or die 'the access writer does not start';
	return;
}

# The server dies while it purges.
for my $round (1 .. 2)
{
	my $before = $node->safe_psql('audit', $accounted);
	my $errors = '';
	my $purge = IPC::Run::start([ 'psql', @connect, '-c', "CALL llm_audit.run_purge('round $round', 'brief', 500)" ],
		'2>', \$errors);
	$node->poll_query_until('audit', "SELECT ($accounted) > $before + 1000")
	  or die 'the purge does not purge';
	$node->stop('immediate');
	eval { $purge->finish };
	$node->start;
	wait_for_reads();
	my $gone = 20000 - $node->safe_psql('audit', $left);
	ok($gone > $before && $gone < 20000, "round $round: killed in the middle");
	is($node->safe_psql('audit', $accounted), $gone, "round $round: each row that is gone has its receipt");
	check_verify($node, 'audit', "round $round: after the crash");
}
my $killed = IPC::Run::start(
	[ 'psql', @connect, '-c', "SELECT sum(row_count), pg_sleep(60) FROM llm_audit.purge('brief', false, 'killed')" ],
	'2>', \my $errors, '>', \my $output);
$node->poll_query_until('audit', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')")
  or die 'the purge does not come to an end';
my $gone = 20000 - $node->safe_psql('audit', $left);
my ($status, $out, $err) = $node->psql('audit',
	q{SET lock_timeout = '200ms'; SELECT llm_audit.place_hold('T', 'r', '{"ledger": "brief"}')});
like($err, qr/lock timeout/, 'a hold waits for a purge that is under way');
$node->safe_psql('audit', "INSERT INTO brief VALUES (0, 'meanwhile')");
pass('a writer does not');
my $pid = $node->safe_psql('audit', "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
kill 'KILL', $pid;
eval { $killed->finish };
usleep(500_000);
wait_for_reads();
is($node->safe_psql('audit', $left), 20001 - $gone, 'a backend killed in the middle has purged nothing');
check_verify($node, 'audit', 'after a backend was killed');

# A hold that is being placed is waited for, and counts.
my $placing = IPC::Run::start(
	[ 'psql', @connect, '-c', 'BEGIN', '-c', q{SELECT llm_audit.place_hold('T', 'r', '{"ledger": "brief", "organization_id": "o3"}')},
		'-c', 'SELECT pg_sleep(3)', '-c', 'COMMIT' ], '>', \$output, '2>', \$errors);
$node->poll_query_until('audit', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')");
my $held = $node->safe_psql('audit', "SELECT count(*) FROM brief WHERE organization_id = 'o3'");
$node->safe_psql('audit', "CALL llm_audit.run_purge('beside a hold', 'brief')");
$placing->finish;
ok($held > 0, 'there was something to hold');
is($node->safe_psql('audit', "SELECT count(*) FROM brief WHERE organization_id = 'o3'"), $held,
	'a purge waits for a hold that is being placed, and keeps what it covers');
check_verify($node, 'audit', 'with a hold');
$node->safe_psql('audit', "INSERT INTO brief SELECT i, 'after' FROM generate_series(1, 100) AS i");
check_verify($node, 'audit', 'after writing on');
($status, $out, $err) = $node->psql('audit',
	"BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM llm_audit.purge('brief', false, 'old snapshot')");
like($err, qr/READ COMMITTED/, 'an old snapshot would overlook holds');

# What is missing without a word, and words that are missing.
sub tampered
{
	my ($name, $table, $statement) = @_;
	return $node->safe_psql(
		'audit', qq{
		BEGIN;
		UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = '$table'::regclass;
		SET LOCAL llm_audit.ddl_lock_timeout = '1s';
		$statement;
		UPDATE pg_trigger SET tgenabled = 'A' WHERE tgrelid = '$table'::regclass;
		SELECT string_agg(DISTINCT finding, ' ') FROM llm_audit.verify('brief');
		ROLLBACK;});
}
my $receipts = $node->safe_psql('audit', 'SELECT DISTINCT tableoid::regclass FROM llm_audit.purge_receipt');
my $events = $node->safe_psql('audit', "SELECT DISTINCT tableoid::regclass FROM llm_audit.segment_event WHERE event = 'rows_purged'");
my ($found) = tampered('a receipt', $receipts, "DELETE FROM ONLY $receipts WHERE chain_seq = 1");
is($found, 'purged_without_receipt', 'a receipt was removed');
($found) = tampered('an event', $events, "DELETE FROM ONLY $events WHERE event = 'rows_purged'");
is($found, 'catalog_drift', 'the events of purges were removed');
($found) = tampered('rows', 'brief', "DELETE FROM ONLY brief WHERE n BETWEEN 90 AND 92 AND organization_id = 'after'");
like($found, qr/purged_without_receipt|row_missing/, 'rows went without a purge');
check_verify($node, 'audit', 'untampered');

$node->stop;
done_testing();
