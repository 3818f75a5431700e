# Retention over the years, by a fake clock: what may be purged, what may not,
# what verify says before, during and after, and when somebody is in the way.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $day = 86400;
my $node = make_node('purge', 'llm_audit.seal_grace' => '1min');
fake_clock($node);
set_clock($node, -1200 * $day);
start_faked($node);
make_database($node, 'audit');

my $purge = 'SELECT segment, action, row_count, why_not FROM llm_audit.purge';

# Moves the clock, and has maintenance run as it should have.
sub move_to
{
	my ($days) = @_;
	set_clock($node, $days * $day);
	$node->safe_psql('audit', $_) for 'CALL llm_audit.make_segments()', 'CALL llm_audit.close_segments()';
	return;
}

# The n-th dated segment of llm_call in prod.
sub segment
{
	my ($n) = @_;
	return $node->safe_psql('audit',
		    "SELECT format('llm_audit.%I', s.relation_name) FROM llm_audit.ledger_segment s JOIN llm_audit.ledger l USING (ledger_id)"
		  . " WHERE l.relation_name = 'llm_call' AND s.environment = 'prod' AND NOT s.is_default ORDER BY s.lower OFFSET $n LIMIT 1");
}

sub plan_of
{
	my ($leaf) = @_;
	return $node->safe_psql('audit', "$purge('$leaf')");
}

sub purge_now
{
	my ($leaf) = @_;
	return $node->safe_psql('audit', "$purge('$leaf', false, 'it is time')");
}

my $first = segment(0);
$node->safe_psql('audit', insert_calls(30, 'first'));
is(plan_of($first), '', 'a segment that has not ended is left alone');

move_to(-1160);
my $second = segment(1);
$node->safe_psql('audit', insert_calls(30, 'second'));
my $number = $node->safe_psql('audit', "SELECT segment FROM llm_audit.segment_of('$first')");
like(plan_of($first), qr/^$number\|keep\|30\|not expired before 20\d\d-/, 'nor is one that has not expired');
is($node->safe_psql('audit', "SELECT lane_digests[1] = (SELECT sha256(string_agg(row_hash, '' ORDER BY chain_seq)) FROM $first WHERE chain_lane = lanes[1])"
	  . " FROM llm_audit.segment_event WHERE event = 'closed' AND leaf = '$first'"), 't', 'closing keeps a digest of each lane');

move_to(-1120);
my $third = segment(2);
$node->safe_psql('audit', insert_calls(30, 'third'));
move_to(-1080);
$node->safe_psql('audit', insert_calls(30, 'fourth'));

# Almost expired, then a policy that keeps longer what is stamped already.
move_to(-40);
is(plan_of($first), "$number|truncate|30|", 'expired after three years');
$node->safe_psql('audit', "SELECT llm_audit.set_retention('llm_audit.llm_call', 'prod', NULL, '4 years')");
like(plan_of($first), qr/keep\|30\|not expired before/, 'a later policy that is longer keeps it');
my ($status, $out, $err) =
  $node->psql('audit', "SELECT llm_audit.set_retention('llm_audit.llm_call', 'prod', NULL, '3 years')");
like($err, qr/kept less long than now/, 'shortening needs bypass');
$node->safe_psql('audit',
	"SELECT llm_audit.set_retention('llm_audit.llm_call', 'prod', NULL, '3 years', bypass => true, reason => 'was a mistake')");
is(plan_of($first), "$number|truncate|30|", 'and then what was stamped counts');

# Not archived.
$node->safe_psql('audit',
	"SELECT llm_audit.set_retention('llm_audit.llm_call', 'prod', NULL, '3 years', archive_before_purge => true)");
like(purge_now($first), qr/keep\|30\|the segment has not been archived/, 'not before it is archived');
$node->safe_psql('audit',
	"SELECT llm_audit.set_retention('llm_audit.llm_call', 'prod', NULL, '3 years', archive_before_purge => false, bypass => true, reason => 'no archive here')");

# An open incident freezes its window.
my $window = $node->safe_psql('audit',
	"SELECT jsonb_build_object('occurred_from', min(occurred_at) - interval '1 hour', 'occurred_to', max(occurred_at) + interval '1 hour') FROM $first");
sub incident
{
	my ($action, $id) = @_;
	$node->safe_psql('audit',
		    'INSERT INTO llm_audit.admin_event (occurred_at, action, actor_id, actor_type, environment, target_type, incident_id, "after", outcome, reason)'
		  . " VALUES (now(), 'incident.$action', 'oncall', 'human', 'prod', 'incident', '$id', '$window', 'success', 'test')");
	return;
}
incident('reported', 'INC-1');
is($node->safe_psql('audit', "SELECT source, ticket, held_rows >= 30 FROM llm_audit.hold_report(count_rows => true)"),
	'incident|INC-1|t', 'an incident is reported as a hold');
is(plan_of($first), "$number|keep|30|under a legal hold", 'an open incident freezes what its window covers');
incident('closed', 'INC-1');
is(plan_of($first), "$number|truncate|30|", 'until it is closed');

# Holds: overlapping, in the middle of a segment, after expiry.
my $one = $node->safe_psql('audit', q{SELECT llm_audit.place_hold('CASE-1', 'court', '{"request_ids": ["first-3", "first-7"]}')});
my $two = $node->safe_psql('audit', q{SELECT llm_audit.place_hold('CASE-2', 'court', '{"organization_id": "bank", "request_ids": ["first-7", "first-8"], "ledger": "llm_call"}')});
is(plan_of($first), "$number|delete|27|\n$number|keep|3|under a legal hold", 'the dry run tells apart');
check_verify($node, 'audit', 'before a purge');
is(purge_now($first), "$number|delete|27|\n$number|keep|3|under a legal hold", 'rows that are not held go');
is($node->safe_psql('audit', "SELECT string_agg(request_id, ' ' ORDER BY request_id) FROM $first"),
	'first-3 first-7 first-8', 'rows that are held stay');
is( $node->safe_psql('audit', "SELECT count(*), sum(row_count) FROM llm_audit.purge_receipt WHERE segment = $number"),
	'1|27', 'one receipt for the lane');
check_verify($node, 'audit', 'after rows were purged');
$node->safe_psql('audit', "SELECT llm_audit.release_hold('$one', 'over')");
is(purge_now($first), "$number|delete|1|\n$number|keep|2|under a legal hold", 'what another hold covers stays');
check_verify($node, 'audit', 'after one hold was released');
$node->safe_psql('audit', "SELECT llm_audit.release_hold('$two', 'over')");
is(purge_now($first), "$number|truncate|2|", 'the rest goes as a whole');
is($node->safe_psql('audit', "SELECT count(*) FROM $first"), '0', 'and is gone');
is( $node->safe_psql('audit', "SELECT sum(row_count) FROM llm_audit.purge_receipt WHERE segment = $number"),
	'30', 'receipts account for all of it');
check_verify($node, 'audit', 'after the segment was purged');
is(plan_of($first), '', 'a purged segment is done with');

# The whole segment at once; its receipt has the digest of its closing.
my $digest = $node->safe_psql('audit',
	"SELECT sha256(string_agg(row_hash, '' ORDER BY chain_seq)) FROM $second");
my $hold_later = "SELECT llm_audit.place_hold('CASE-3', 'later', '{\"environment\": \"prod\", \"service_name\": \"other\"}')";
$node->safe_psql('audit', $hold_later);

# A purge waits for verify and for readers, and nobody is cancelled.
my $reader = $node->background_psql('audit') if $node->can('background_psql');
SKIP:
{
	skip 'no background sessions in this version', 2 unless $reader;
	$reader->query_safe("BEGIN; SELECT count(*) FROM $second");
	like(purge_now($second), qr/keep\|\|somebody goes on reading/, 'a purge does not wait for a reader for long');
	is($reader->query_safe('SELECT 1; COMMIT'), '1', 'and does not cancel it');
	$reader->quit;
}
like(purge_now($second), qr/^\d+\|truncate\|30\|$/, 'a whole segment goes at once');
is( $node->safe_psql('audit', "SELECT row_digest FROM llm_audit.purge_receipt WHERE ledger LIKE '%llm_call' ORDER BY recorded_at DESC LIMIT 1"),
	$digest, 'the receipt has the digest of all row hashes');
check_verify($node, 'audit', 'after a whole segment was purged');
is($node->safe_psql('audit', 'SELECT sum(u.calls), bool_and(d.final) FROM llm_audit.usage_summary u JOIN llm_audit.summarised_day d USING (environment, day)'),
	'60|t', 'what went was summed up before, though nobody had asked for it');

# Nobody but purge() gets through, whoever and however.
for my $statement ("DELETE FROM $third", "TRUNCATE $third",
	"INSERT INTO llm_audit.purge_receipt (environment, purge_id, ledger, ledger_id, segment, lane, first_seqs, last_seqs, row_count, row_digest, policy, reason, actor)"
	  . " SELECT 'prod', gen_random_uuid(), 'x', ledger_id, 1, 0, '{1}', '{5}', 5, '', '', '', '' FROM llm_audit.ledger LIMIT 1")
{
	my ($status, $out, $err) = $node->psql('audit', $statement);
	isnt($status, 0, "refused: $statement");
}
for my $role (qw(llm_audit_compliance llm_audit_writer llm_audit_auditor))
{
	my ($status, $out, $err) = $node->psql('audit', "SET ROLE $role; SELECT * FROM llm_audit.purge(NULL, false, 'because')");
	like($err, qr/permission denied/, "$role may not purge");
}

# What waits for whom.  A verify that waits for a table goes on for as long as
# somebody has it locked.
move_to(-5);

# Starts a statement; ended() waits for it and returns what it said.
sub start_sql
{
	my ($sql) = @_;
	my %job = (out => '', err => '');
	$job{run} = IPC::Run::start([ 'psql', '-X', '-Atq', '-h', $node->host, '-p', $node->port, '-c', "SET client_min_messages = warning; $sql", 'audit' ],
		'>', \$job{out}, '2>', \$job{err});
	return \%job;
}

sub ended
{
	my ($job) = @_;
	$job->{run}->finish;
	chomp($job->{out});
	return $job->{out} . $job->{err};
}

sub wait_for_lock
{
	my ($what) = @_;
	$node->poll_query_until('audit', "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%$what%' AND pid <> pg_backend_pid()")
	  or die "$what does not wait";
	return;
}

$node->safe_psql('audit', q{CREATE TABLE endless (n int); SELECT llm_audit.create_ledger('endless', retention => '1 microsecond')});
$node->safe_psql('audit', 'INSERT INTO endless SELECT generate_series(1, 10)');
my $verify = 'SELECT count(*) FROM llm_audit.verify()';
my $other = $node->background_psql('audit');
$other->query_safe('BEGIN; LOCK TABLE llm_audit.settlement_prod IN ACCESS EXCLUSIVE MODE');
my $verifying = start_sql($verify);
wait_for_lock('llm_audit.verify()');
my $purging = start_sql("SELECT action, row_count, why_not FROM llm_audit.purge('endless', false, 'test') ORDER BY 1");
my $dropping = start_sql("SELECT llm_audit.drop_purged_segment('$second', 'test')");
sleep(2);
is($node->safe_psql('audit', 'SELECT count(*) FROM endless'), '10', 'a purge waits for a verify that is running');
is($node->safe_psql('audit', "SET statement_timeout = '5s'; SELECT count(*) FROM $second"), '0', 'whoever waits to drop a table has not locked it');
$other->query_safe('COMMIT');
is(ended($verifying), '0', 'the verify is not disturbed');
is(ended($purging), "delete|9|\nkeep|1|the ledger goes on from them", 'the purge goes on when it has ended');
is(ended($dropping), 't', 'so does the drop');

my $timeout = $node->safe_psql('audit', 'SHOW llm_audit.ddl_lock_timeout');
$other->query_safe('BEGIN');
like($other->query_safe("SELECT action, row_count FROM llm_audit.purge('$third', false, 'test')"), qr/truncate\|30/, 'a purge that is not committed yet');
$verifying = start_sql($verify);
wait_for_lock('llm_audit.verify()');
is($node->safe_psql('audit', "SET statement_timeout = '$timeout'; " . insert_calls(1, 'meanwhile') . "; SELECT 'written'"), 'written', 'keeps no writer waiting');
is( $node->safe_psql('audit', "SET statement_timeout = '$timeout'; SELECT length(llm_audit.record_call(json_build_object('request_id', 'recorded', 'environment', 'prod', 'occurred_at', llm_audit.now(), 'service_name', 'gateway',"
		  . " 'organization_id', 'bank', 'actor_id', 'clerk', 'actor_type', 'human', 'operation_name', 'chat', 'provider_name', 'openai', 'request_model', 'gpt-4o', 'status', 'ok')::text)::text)"),
	'36', 'nor one that has its calls recorded');
$other->query_safe('ROLLBACK');
is(ended($verifying), '0', 'a verify waits for it');
$other->query_safe('BEGIN');
$other->query_safe("SELECT count(*) FROM llm_audit.purge('$third', false, 'test', 5)") for 1 .. 2;
$other->query_safe('ROLLBACK');

$node->safe_psql('audit', 'INSERT INTO endless SELECT generate_series(11, 15)');
$other->query_safe('BEGIN; INSERT INTO endless VALUES (16)');
like($node->safe_psql('audit', "$purge('endless', false, 'test')"), qr/keep\|5\|somebody writes to the lane/, 'a lane that somebody writes to is left alone');
$other->query_safe('COMMIT');
is($node->safe_psql('audit', "$purge('endless', false, 'test') ORDER BY 2"), "1|delete|6|\n1|keep|1|the ledger goes on from them", 'until then');
# Rows in several lanes, and a number of rows that ends within the second one.
$other->query_safe('BEGIN; INSERT INTO endless SELECT generate_series(21, 26)');
$node->safe_psql('audit', 'INSERT INTO endless SELECT generate_series(31, 36)');
$other->query_safe('COMMIT');
is($node->safe_psql('audit', 'SELECT count(DISTINCT chain_lane) FROM endless'), '2', 'rows are in two lanes');
is( $node->safe_psql('audit', "$purge('endless', false, 'test', 8) ORDER BY 2, 3"),
	"1|delete|8|\n1|keep|2|the ledger goes on from them\n1|keep|3|more than max_rows", 'of both lanes no more than that go');
is($node->safe_psql('audit', "$purge('endless', false, 'test') ORDER BY 2, 3"), "1|delete|3|\n1|keep|2|the ledger goes on from them", 'the rest next time');
check_verify($node, 'audit', 'after waiting');

# Dropping the empty table needs a lock that stops writers: it is tried for a
# moment, again and again, and they get through in between.
my $impatient = "SET statement_timeout = '5s'; ";
$other->query_safe('BEGIN; LOCK TABLE ONLY llm_audit.llm_call_prod IN ACCESS SHARE MODE');
$dropping = start_sql("SET llm_audit.ddl_lock_timeout = '500ms'; SELECT llm_audit.drop_purged_segment('$first', 'test')");
wait_for_lock('drop_purged_segment');
my ($slowest, $waited) = (0, 0);
for my $round (1 .. 12)
{
	my $took = $node->safe_psql('audit', $impatient . 'SELECT clock_timestamp() AS began \\gset' . "\n" . insert_calls(1, "round-$round") . ";\nSELECT extract(epoch FROM clock_timestamp() - :'began')");
	$slowest = $took if $took > $slowest;
	$waited++ if $took > 0.1;
}
cmp_ok($waited, '>', 0, 'writers wait for a lock that the drop waits for');
cmp_ok($slowest, '<', 1.5, 'none for much longer than llm_audit.ddl_lock_timeout');
is(ended($dropping), 'f', 'the drop gives up');
$other->query_safe('COMMIT');
$other->quit;
is($node->safe_psql('audit', "SELECT count(*) FROM $first"), '0', 'the empty table stays for now');

# run_purge(): what is left, in batches, and the empty tables.
$node->safe_psql('audit', "SELECT llm_audit.place_hold('CASE-4', 'court', '{\"request_ids\": [\"third-1\"]}')");
$node->safe_psql('audit', "SET ROLE llm_audit_admin; CALL llm_audit.run_purge('monthly', batch => 7)");
is($node->safe_psql('audit', "SELECT to_regclass('$first'), to_regclass('$second'), to_regclass('$third')"), "||$third",
	'tables of purged segments are dropped');
is($node->safe_psql('audit', "SELECT count(*) FROM $third"), '1', 'what is held is there');
is($node->safe_psql('audit', "SELECT count(*) FROM llm_audit.llm_call WHERE request_id LIKE 'fourth%'"), '30',
	'what has not expired is there');
check_verify($node, 'audit', 'after run_purge()');
is($node->safe_psql('audit', "SELECT count(*) FROM llm_audit.setup()"), '0', 'setup() does not make them again');
$node->safe_psql('audit', insert_calls(3, 'now'));

$node->stop;
done_testing();
