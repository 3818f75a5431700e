# What was encrypted and purged cannot be opened any more, wherever a copy of it
# lies; and no key goes before the rows that need it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use Cwd ();
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $day = 86400;
my $directory = PostgreSQL::Test::Utils::tempdir() . '/keys';
mkdir($directory, 0700) or die "$directory: $!";
my $node = make_node('encrypted', wal_level => 'replica', 'llm_audit.seal_grace' => '1min', 'llm_audit.key_directory' => $directory);
fake_clock($node);
set_clock($node, -200 * $day);
start_faked($node);
make_database($node, 'audit');

sub query
{
	return $node->safe_psql('audit', $_[0]);
}

sub destroyed
{
	return query(q{SELECT count(*) FILTER (WHERE state = 'destroyed') || ' of ' || count(*) FROM llm_audit.data_keys()});
}

# After a start the access writer needs a moment before anything can be read.
sub wait_for_reads
{
	$_[0]->poll_query_until('audit', q{SELECT state = 'running' FROM llm_audit.access_status() WHERE database = 'audit'})
	  or die 'the access writer does not start';
	return;
}

query("SELECT llm_audit.set_content_recording('prod', '*', true, 'test')");
query("SELECT llm_audit.set_field_policy('llm_audit.llm_content', 'body', 'mask', encrypt => true)");

sub record
{
	my ($tag) = @_;
	query(qq{
		INSERT INTO llm_audit.llm_content (call_id, request_id, environment, organization_id, ordinal, kind, body, body_bytes)
			SELECT gen_random_uuid(), '$tag-' || i, 'prod', 'bank', 0, 'prompt', '$tag text ' || i, 20
			FROM generate_series(1, 10) AS i});
	return;
}
record('old');
my $leaf = query('SELECT DISTINCT tableoid::regclass FROM llm_audit.llm_content');
my $read = qq{SELECT llm_audit.decrypt_value(tableoid, 'body', id, body_encrypted) FROM ONLY $leaf ORDER BY request_id LIMIT 1};
is(query($read), 'old text 1', 'a key opens the text');
is(query("SELECT count(*) FROM $leaf WHERE body IS NOT NULL"), '0', 'which is encrypted');
$node->backup('base');

set_clock($node, -150 * $day);
record('new');
set_clock($node, -100 * $day);
query('CALL llm_audit.close_segments()');
query(q{SELECT llm_audit.place_hold('CASE', 'court', '{"request_ids": ["old-3"], "ledger": "llm_content"}')});
query(q{CALL llm_audit.run_purge('time')});
is(query("SELECT request_id, llm_audit.decrypt_value(tableoid, 'body', id, body_encrypted) FROM $leaf"), 'old-3|old text 3',
	'what is held can still be opened');
is(destroyed(), '0 of 2', 'no key goes while a row is held');

query(q{SELECT llm_audit.release_hold(hold_id, 'over') FROM llm_audit.hold_report()});
query(qq{BEGIN; SELECT action FROM llm_audit.purge('$leaf', false, 'time'); ROLLBACK});
is(destroyed(), '0 of 2', 'nor with a purge that is rolled back');
for my $destroy ("CALL llm_audit.run_purge('time', '$leaf')", "SELECT llm_audit.destroy_purged_keys('$leaf', 'time')",
	"SELECT llm_audit.drop_purged_segment('$leaf', 'time'); SELECT llm_audit.destroy_keys_left('time')")
{
	my ($ret, $out, $err) = $node->psql('audit', "BEGIN; SELECT action FROM llm_audit.purge('$leaf', false, 'time'); $destroy; COMMIT",
		on_error_stop => 1, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	like($err, qr/25001: data keys are destroyed in a transaction of its own/, 'nor in the transaction of the purge');
	is(destroyed(), '0 of 2', 'which can be rolled back');
}
is(query("SELECT action FROM llm_audit.purge('$leaf', false, 'time')"), 'truncate', 'the rest goes');
is(destroyed(), '0 of 2', 'the key goes after the rows are gone for good');
$node->stop('immediate');
# its backends may still be ending
my $data = Cwd::abs_path($node->data_dir);
for my $try (1 .. 300)
{
	last unless grep { (readlink("$_/cwd") // '') eq $data } glob('/proc/[0-9]*');
	select(undef, undef, undef, 0.1);
}
start_faked($node);
wait_for_reads($node);
query(q{CALL llm_audit.run_purge('time')});
is(destroyed(), '1 of 2', 'also when the server was killed in between');
is(query("SELECT to_regclass('$leaf')"), '', 'with the empty table');
is(query(q{SELECT count(*) FROM llm_audit.admin_event WHERE action LIKE '%key%destroyed%'}), '1', 'that is recorded');
is( query(q{SELECT llm_audit.decrypt_value(tableoid, 'body', id, body_encrypted) FROM llm_audit.llm_content WHERE request_id = 'new-1'}),
	'new text 1', 'the other segment can be read');
check_verify($node, 'audit', 'after the purge');

# Every run goes on where there is something left, and a key that was not at
# hand goes when it is.
set_clock($node, -20 * $day);
query('CALL llm_audit.close_segments()');
query(q{ALTER SYSTEM SET llm_audit.key_directory = ''});
$node->reload;
$node->poll_query_until('audit', q{SELECT current_setting('llm_audit.key_directory') = ''}) or die;
query(q{CALL llm_audit.run_purge('time')});
is(query('SELECT count(*) FROM llm_audit.llm_content'), '0', 'a second run purges the rest');
is(query(q{SELECT count(*) FROM llm_audit.ledger_segment s WHERE state = 'purged' AND llm_audit.leaf_of(s) IS NOT NULL}), '0',
	'and drops its tables');
query(q{ALTER SYSTEM RESET llm_audit.key_directory});
$node->reload;
$node->poll_query_until('audit', q{SELECT current_setting('llm_audit.key_directory') <> ''}) or die;
is(destroyed(), '1 of 2', 'a key was away');
query(q{CALL llm_audit.run_purge('time')});
is(destroyed(), '2 of 2', 'it goes with the next run');

# The copy from before has the rows, and the keys are where they were.
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($node, 'base');
fake_clock($copy);
set_clock($copy, -100 * $day);
start_faked($copy);
wait_for_reads($copy);
is($copy->safe_psql('audit', "SELECT count(body_encrypted) FROM $leaf"), '10', 'an old base copy has the rows');
my ($status, $out, $err) = $copy->psql('audit', $read);
like($err, qr/data key \w+ of segment \d+ was destroyed/, 'and nobody can open them');
$copy->stop;

$node->stop;
done_testing();
