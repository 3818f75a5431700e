# run_maintenance(): every step, what fails and what is in use, a month in
# which nobody ran it, and the real pg_cron.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $day = 86400;
my $calls = insert_calls(20, 'call');
my $state = q{
	SELECT string_agg(step || ' ' || done || ' ' || postponed || ' ' || failed, ', ' ORDER BY n)
	  FROM llm_audit.maintenance_log, unnest(llm_audit.maintenance_steps()) WITH ORDINALITY AS s (s, n)
	 WHERE s.s = step AND run_id = (SELECT run_id FROM llm_audit.maintenance_log ORDER BY started_at DESC LIMIT 1)};

# A server whose clock is true: steps, locks, failures, pg_cron.
my ($cron) = glob(PostgreSQL::Test::Utils::run_command([ 'pg_config', '--pkglibdir' ]) . '/pg_cron.so');
my $node = make_node('maintain',
	shared_preload_libraries => $cron ? 'llm_audit,pg_cron' : 'llm_audit',
	$cron ? ('cron.database_name' => 'audit') : ());
$node->append_conf('postgresql.conf', "cron.host = '" . $node->host . "'\n") if $cron;
$node->start;
make_database($node, 'audit');
$node->safe_psql('audit', q{
	CREATE TABLE secrets (n int, secret text);
	SELECT llm_audit.create_ledger('secrets', erasable => '{secret}');
	INSERT INTO secrets SELECT i, 'word ' || i FROM generate_series(1, 10) i;
	SELECT llm_audit.set_field_policy('secrets', 'secret', 'mask', period => '1 microsecond', bypass => true, reason => 'a test')});

$node->safe_psql('audit', 'CALL llm_audit.run_maintenance()');
like($node->safe_psql('audit', $state), qr/^segments 0 0 0, close 0 0 0, summarise \d+ 0 0, expire 1 0 0, archive 0 0 0, purge \d+ 0 0, drop 0 0 0, rewrite 0 0 0$/,
	'a first run does what is due; an open segment is not rewritten');
is($node->safe_psql('audit', 'SELECT count(secret) FROM secrets'), '0', 'values have expired');
$node->safe_psql('audit', 'CALL llm_audit.run_maintenance()');
like($node->safe_psql('audit', $state), qr/^segments 0 0 0, close 0 0 0, summarise 0 0 0, expire 1 0 0, archive 0 0 0, purge \d+ 0 0, drop 0 0 0, rewrite 0 0 0$/,
	'a second one finds nothing left');
$node->safe_psql('audit', q{CALL llm_audit.run_maintenance('{close,segments}')});
is($node->safe_psql('audit', $state), 'segments 0 0 0, close 0 0 0', 'steps can be called by name');
my ($status, $out, $err) = $node->psql('audit', q{CALL llm_audit.run_maintenance('{dance}')});
like($err, qr/a step of maintenance is not known/, 'but for unknown ones');
($status, $out, $err) = $node->psql('audit', 'SET ROLE llm_audit_admin; CALL llm_audit.run_maintenance()');
like($err, qr/permission denied/, 'superusers only');

# Two runs at once: the second leaves it to the first.  Nobody else can have
# the lock, and no run leaves it behind.
my $runs = 'SELECT count(DISTINCT run_id) FROM llm_audit.maintenance_log';
my $locked = q{SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND classid = 'pg_extension'::regclass AND objsubid <> 0};
my $other = $node->background_psql('audit', on_error_stop => 0);
my $before = $node->safe_psql('audit', $runs);
$other->query_safe('SELECT pg_advisory_lock(1279869004, 1); SELECT pg_advisory_lock(oid::int, 0) FROM pg_extension');
$other->query_safe(q{BEGIN; COMMENT ON EXTENSION llm_audit IS 'mine'});
$node->safe_psql('audit', q{CALL llm_audit.run_maintenance('{close}')});
is($node->safe_psql('audit', $runs), ++$before, 'locks that anybody can take do not keep it from running');
$other->query_safe('ROLLBACK');
($status, $out, $err) = $node->psql('audit', 'SET ROLE llm_audit_admin; SELECT llm_audit.lock_maintenance()');
like($err, qr/permission denied/, 'its own lock is for superusers');
is($other->query_safe('SELECT llm_audit.lock_maintenance()'), 't', 'a session has the lock');
my $pid = $other->query_safe('SELECT pg_backend_pid()');
($status, $out, $err) = $node->psql('audit', 'CALL llm_audit.run_maintenance()');
like($err, qr/NOTICE:  maintenance is running already\nDETAIL:  Process $pid /, 'not twice at once');
is("$status " . $node->safe_psql('audit', $runs), "0 $before", 'which is no failure, and nothing is logged');
is($other->query_safe('SELECT llm_audit.unlock_maintenance()'), '', 'the lock is released');
is($node->safe_psql('audit', $locked), '0', 'so nobody has it');
my $blocker = $node->background_psql('audit');
$blocker->query_safe('BEGIN; LOCK llm_audit.maintenance_log');
$other->query(q{SET lock_timeout = '100ms'});
$other->query(q{CALL llm_audit.run_maintenance('{close}')});
like($other->{stderr}, qr/canceling statement due to lock timeout/, 'a run that ends with an error');
$other->{stderr} = '';
is($node->safe_psql('audit', $locked), '0', 'leaves no lock to its session');
$blocker->quit;
$other->query_safe(q{DO $$ BEGIN PERFORM llm_audit.lock_maintenance(); PERFORM 1 / 0;
	EXCEPTION WHEN division_by_zero THEN NULL; END $$});
is($node->safe_psql('audit', $locked), '0', 'nor does one whose error is caught');
$other->query_safe('SELECT llm_audit.lock_maintenance()');
$other->quit;
ok($node->poll_query_until('audit', "SELECT ($locked) = 0"), 'nor does a session that ends');

# A segment that can be closed but is in use.
my $leaf = $node->safe_psql('audit', q{
	UPDATE llm_audit.ledger_segment SET upper = now() - interval '2 hours', lower = now() - interval '9 hours'
	 WHERE relation_name = (SELECT min(relation_name) FROM llm_audit.ledger_segment
							 WHERE relation_name LIKE 'match_token_test_2%')
	RETURNING relation_name});
$other = $node->background_psql('audit');
$other->query_safe("BEGIN; LOCK TABLE llm_audit.$leaf IN ROW EXCLUSIVE MODE");
($status, $out, $err) = $node->psql('audit', 'CALL llm_audit.run_maintenance()');
is($status, 0, 'what is in use is no failure') or diag($err);
like($node->safe_psql('audit', $state), qr/close 0 1 0/, 'it is postponed');
$other->query_safe('COMMIT');
$other->quit;
$node->safe_psql('audit', 'CALL llm_audit.run_maintenance()');
like($node->safe_psql('audit', $state), qr/close 1 0 0/, 'and done by the next run');

# A step that fails stops no other and is reported.
$node->safe_psql('audit', q{UPDATE pg_proc SET proname = 'hidden' WHERE oid = 'llm_audit.days_to_summarise'::regproc});
$node->safe_psql('audit', q{INSERT INTO secrets VALUES (11, 'late')});
($status, $out, $err) = $node->psql('audit', 'CALL llm_audit.run_maintenance()');
like($err, qr/maintenance step "summarise" failed.*maintenance failed in 1 cases/s, 'a step that fails is reported');
like($node->safe_psql('audit', $state), qr/summarise 0 0 1, expire 1 0 0/, 'and logged, and stops no other');
is($node->safe_psql('audit', 'SELECT count(secret) FROM secrets'), '0', 'which has done its work');
is($node->safe_psql('audit', q{SELECT count(*) FROM llm_audit.admin_event WHERE action = 'maintenance.failed'}),
	'1', 'and is an event');
$node->safe_psql('audit', q{UPDATE pg_proc SET proname = 'days_to_summarise' WHERE oid = 'llm_audit.hidden'::regproc});

SKIP:
{
	skip 'pg_cron is not installed for this version of PostgreSQL', 6 unless $cron;
	$node->safe_psql('audit', q{
		CREATE EXTENSION pg_cron;
		SELECT cron.schedule('llm_audit', '* * * * *', 'CALL llm_audit.run_maintenance()')});
	is($node->safe_psql('audit', q{SELECT ok FROM llm_audit.readiness() WHERE item = 'scheduler'}),
		't', 'readiness sees the schedule');
	is($node->safe_psql('audit', q{SELECT ok FROM llm_audit.readiness() WHERE item = 'maintenance ran'}),
		't', 'and complains about nothing in a fresh database');
	my $runs = $node->safe_psql('audit', 'SELECT count(DISTINCT run_id) FROM llm_audit.maintenance_log');
	ok($node->poll_query_until('audit',
			"SELECT count(*) > 0 FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')"),
		'pg_cron has run it');
	is( $node->safe_psql('audit', q{SELECT DISTINCT status FROM cron.job_run_details WHERE status <> 'running'})
		  . ($node->safe_psql('audit', 'SELECT count(DISTINCT run_id) FROM llm_audit.maintenance_log') > $runs),
		'succeeded1', 'with success, to its end');
	is($node->safe_psql('audit', 'SELECT * FROM llm_audit.scheduled_failure()'), 't|', 'which readiness() knows');
	$node->safe_psql('audit', q{
		INSERT INTO cron.job_run_details (jobid, runid, database, username, command, status, return_message, start_time)
			SELECT jobid, (SELECT max(runid) + 1000 FROM cron.job_run_details), database, username, command, 'failed',
				'connection failed', '2026-11-22 01:10Z' FROM cron.job});
	is($node->safe_psql('audit', 'SELECT problem FROM llm_audit.scheduled_failure()'),
		q{pg_cron's last run of 2026-11-22 01:10 UTC failed: connection failed}, 'as it knows of a failure');
	$node->safe_psql('audit', q{SELECT cron.unschedule('llm_audit')});
}
$node->stop;

# Five months pass without maintenance: nothing is lost, and one run makes up
# for all of it.
{
	my $slept = make_node('slept');
	fake_clock($slept);
	start_faked($slept);
	make_database($slept, 'audit');
	$slept->safe_psql('audit', $calls);
	# due by then: rows of an own ledger, the text of a call, a field of it
	$slept->safe_psql('audit', q{
		CREATE TABLE short (environment text NOT NULL, n int) PARTITION BY LIST (environment);
		SELECT llm_audit.create_ledger('short', retention => '20 days');
		INSERT INTO short SELECT 'prod', i FROM generate_series(1, 9) i;
		SELECT llm_audit.set_field_policy('llm_audit.llm_call', 'user_agent', 'mask', period => '91 days', bypass => true, reason => 'a test');
		SELECT llm_audit.set_content_recording('*', '*', true, 'a test');
		SELECT llm_audit.record_call(json_build_object('request_id', 'req-1', 'environment', 'prod',
			'occurred_at', llm_audit.now(), 'service_name', 'gateway', 'organization_id', 'bank', 'actor_id', 'clerk',
			'actor_type', 'human', 'operation_name', 'chat', 'provider_name', 'openai', 'request_model', 'gpt-4o',
			'status', 'ok', 'user_agent', 'curl', 'content', json_build_array(json_build_object('kind', 'prompt', 'body', 'words')))::text);
		SELECT llm_audit.record_call(json_build_object('request_id', 'req-2', 'environment', 'pilot',
			'occurred_at', llm_audit.now(), 'service_name', 'gateway', 'organization_id', 'bank', 'actor_id', 'clerk',
			'actor_type', 'human', 'operation_name', 'chat', 'provider_name', 'openai', 'request_model', 'gpt-4o',
			'status', 'ok', 'user_agent', 'curl')::text)});
	set_clock($slept, 150 * $day);
	$slept->safe_psql('audit', insert_calls(7, 'late'));
	is( $slept->safe_psql('audit', 'SELECT count(*) FROM llm_audit.llm_call_prod_default'),
		'7', 'rows go to the default segment');
	$slept->safe_psql('audit', 'CALL llm_audit.run_maintenance()');
	like($slept->safe_psql('audit', $state), qr/^segments [1-9]\d* 0 0, close [1-9]\d* 0 0, summarise [1-9]\d* 0 0,/,
		'one run makes and closes segments and sums up');
	like($slept->safe_psql('audit', $state), qr/expire [1-9]\d* 0 0, archive 0 0 0, purge [1-9]\d* 0 0, drop [1-9]\d* 0 0, rewrite [1-9]\d* 0 0$/,
		'and expires, purges, drops and rewrites');
	is( $slept->safe_psql('audit', q{SELECT count(user_agent) FROM llm_audit.llm_call WHERE request_id LIKE 'req-%'}),
		'0', 'a field has gone');
	is( $slept->safe_psql('audit', q{SELECT count(*), count(completed_at) FROM llm_audit.erasure_report() WHERE ledger LIKE '%llm_call'}),
		'2|2', 'to the last byte, in each segment');
	is( $slept->safe_psql('audit', q{SELECT count(*) FROM llm_audit.llm_content}), '0', 'so has the text');
	is( $slept->safe_psql('audit', q{SELECT count(*) FROM short}), '0', 'and what was to be kept for days');
	is( $slept->safe_psql('audit', q{SELECT sum(row_count) FROM llm_audit.purge_receipt}), '10', 'with receipts');
	is( $slept->safe_psql('audit', q{SELECT sum(calls) FROM llm_audit.usage_summary}),
		'22', 'the calls of five months ago are in the summary');
	is( $slept->safe_psql('audit', q{SELECT bool_or(ok) FROM llm_audit.readiness() WHERE item = 'segments ahead'}),
		't', 'segments are there again');
	set_clock($slept, 152 * $day);
	$slept->safe_psql('audit', insert_calls(3, 'after'));
	is( $slept->safe_psql('audit', 'SELECT count(*) FROM llm_audit.llm_call_prod_default'),
		'7', 'new rows have a segment');
	$slept->safe_psql('audit', 'CALL llm_audit.run_maintenance()');
	is( $slept->safe_psql('audit', q{SELECT sum(calls) FROM llm_audit.usage_summary}),
		'29', 'what came late is summed up too');
	check_verify($slept, 'audit', 'after five months');

	# readiness() looks at what was done, and not only at a schedule.
	my $ran = sub {
		return $slept->safe_psql('audit', q{SELECT ok, hint FROM llm_audit.readiness() WHERE item = 'maintenance ran'});
	};
	is($ran->(), 't|', 'maintenance ran');
	set_clock($slept, int(153.9 * $day));
	is($ran->(), 't|', 'a day or two ago');
	set_clock($slept, int(154.1 * $day));
	like($ran->(), qr/^f\|.*step "segments" was last run at 20\d\d-\d\d-\d\d \d\d:\d\d UTC; .*step "rewrite" was last run/, 'not longer ago');
	$slept->safe_psql('audit', 'ALTER TABLE llm_audit.summarised_day RENAME TO hidden');
	$slept->psql('audit', 'CALL llm_audit.run_maintenance()');
	like($ran->(), qr/^f\|[^"]*step "summarise" has not been done without a failure since 20\d\d-\S+ \S+ UTC: .*summarised_day.*\.$/,
		'nor with a step that fails');
	unlike($ran->(), qr/"segments"/, 'the others are well');
	$slept->safe_psql('audit', 'ALTER TABLE llm_audit.hidden RENAME TO summarised_day');
	$slept->safe_psql('audit', 'CALL llm_audit.run_maintenance()');
	is($ran->(), 't|', 'until it has been done');

	# A run that never ends.
	my $other = $slept->background_psql('audit');
	$other->query_safe('SELECT llm_audit.lock_maintenance()');
	my $pid = $slept->safe_psql('audit', q{SELECT pid FROM pg_locks WHERE locktype = 'object' AND objsubid = 19521});
	set_clock($slept, int(155.2 * $day));
	my ($status, $out, $err) = $slept->psql('audit', 'CALL llm_audit.run_maintenance()');
	like($err, qr/maintenance has been running for more than a day\nDETAIL:  Process $pid /, 'a run that hangs is an error for the next one');
	$other->quit;
	$slept->stop;
}

# Rows expire: archived where the policy says so, purged, and their tables
# dropped; what is held or in use stays.
{
	# where nothing is encrypted, keys are not looked for in a directory that is not ready
	my $keys = PostgreSQL::Test::Utils::tempdir() . '/keys';
	mkdir($keys, 0700) or die "$keys: $!";
	my $expires = make_node('expires', 'llm_audit.key_directory' => $keys);
	fake_clock($expires);
	my $archives = PostgreSQL::Test::Utils::tempdir();
	start_faked($expires);
	make_database($expires, 'audit');
	# The clock goes to so many days after the end of a segment.
	my $after_end = sub {
		my ($leaf, $days) = @_;
		set_clock($expires, $expires->safe_psql('audit',
			"SELECT extract(epoch FROM upper - clock_timestamp())::bigint FROM llm_audit.segment_of('$leaf')") + $days * $day);
		return;
	};
	$expires->safe_psql('audit', q{
		SELECT llm_audit.set_retention('llm_audit.llm_call', 'prod', NULL, '100 days',
			archive_before_purge => true, bypass => true, reason => 'a test')});
	$expires->safe_psql('audit', insert_calls(20, 'old'));
	my $old = $expires->safe_psql('audit', q{SELECT DISTINCT tableoid::regclass FROM llm_audit.llm_call});
	set_clock($expires, 32 * $day);
	$expires->safe_psql('audit', 'CALL llm_audit.run_maintenance()');
	$expires->safe_psql('audit', insert_calls(5, 'next'));
	set_clock($expires, 0);
	$after_end->($old, 101);
	my ($status, $out, $err) = $expires->psql('audit', 'CALL llm_audit.run_maintenance()');
	like($err, qr/maintenance failed in 1 cases/, 'without a directory for archives maintenance fails');
	like($expires->safe_psql('audit', q{SELECT problems[1] FROM llm_audit.maintenance_log WHERE step = 'archive' ORDER BY started_at DESC LIMIT 1}),
		qr/llm_audit\.archive_directory is not set/, 'and says why');
	is($expires->safe_psql('audit', "SELECT count(*) FROM $old"), '20', 'and what was to be archived stays');
	$expires->append_conf('postgresql.conf', "llm_audit.archive_directory = '$archives'\n");
	$expires->reload;
	ok($expires->poll_query_until('audit', "SELECT llm_audit.setting('archive_directory') = '$archives'"), 'a directory is set');

	# A hold, and somebody who reads.
	my $hold = $expires->safe_psql('audit', q{SELECT llm_audit.place_hold('CASE-1', 'court', '{"request_ids": ["old-3"]}')});
	$expires->safe_psql('audit', 'CALL llm_audit.run_maintenance()');
	like($expires->safe_psql('audit', $state), qr/archive 1 0 0, purge [1-9]\d* 0 0, drop 0 0 0/, 'then it is archived and purged');
	is($expires->safe_psql('audit', "SELECT string_agg(request_id, ' ') FROM $old"), 'old-3', 'but for what is held');
	is($expires->safe_psql('audit', "SELECT row_count FROM llm_audit.archive_file WHERE path = llm_audit.archive_of('$old')"), '20',
		'the archive has all rows');
	$expires->safe_psql('audit', "SELECT llm_audit.release_hold('$hold', 'over')");
	my $reader = $expires->background_psql('audit');
	$reader->query_safe("BEGIN; SELECT count(*) FROM $old");
	$expires->safe_psql('audit', 'CALL llm_audit.run_maintenance()');
	like($expires->safe_psql('audit', $state), qr/purge \d+ 1 0/, 'a segment that is read is postponed');
	$reader->query_safe('COMMIT');
	$reader->quit;
	$expires->safe_psql('audit', 'CALL llm_audit.run_maintenance()');
	like($expires->safe_psql('audit', $state), qr/purge \d+ 0 0, drop 1 0 0/, 'then it goes, and its table');
	is($expires->safe_psql('audit', "SELECT to_regclass('$old')"), '', 'the table is gone');
	is($expires->safe_psql('audit', q{SELECT sum(r.row_count) FROM llm_audit.purge_receipt r WHERE r.ledger = 'llm_audit.llm_call'}),
		'20', 'receipts account for all of its rows');
	is( $expires->safe_psql('audit', q{SELECT DISTINCT reason FROM llm_audit.purge_receipt}),
		'scheduled: run_maintenance()', 'and say who did it');
	check_verify($expires, 'audit', 'after rows expired');

	# A segment that cannot even be looked at is its own trouble.
	my $broken = 'llm_audit.llm_call_test_default';
	my $rename = sub {
		my ($from, $to) = @_;
		$expires->safe_psql('audit', qq{UPDATE pg_attribute SET attname = '$to' WHERE attrelid = '$broken'::regclass AND attname = '$from'});
		return;
	};
	$expires->safe_psql('audit', q{CREATE TABLE brief (n int); SELECT llm_audit.create_ledger('brief', retention => '1 microsecond');
		INSERT INTO brief VALUES (1), (2)});
	$rename->('retain_until', 'hidden');
	($status, $out, $err) = $expires->psql('audit', 'CALL llm_audit.run_maintenance()');
	like($expires->safe_psql('audit', $state), qr/purge [1-9]\d* 0 1, drop/, 'a step goes on behind a segment that is broken');
	like($expires->safe_psql('audit', q{SELECT problems FROM llm_audit.maintenance_log WHERE step = 'purge' ORDER BY started_at DESC LIMIT 1}),
		qr/^\{"$broken: [^,]*retain_until[^,]*"\}$/, 'and says which one it is');
	is($expires->safe_psql('audit', q{SELECT count(*), min(ledger::text), min(segment) - (SELECT segment FROM llm_audit.segment_of('llm_audit.llm_call_test_default'))
		  FROM llm_audit.purge(NULL, false, 'by hand') WHERE action = 'failed' AND why_not ~ 'retain_until'}),
		'1|llm_audit.llm_call|0', 'so does purge()');
	($status, $out, $err) = $expires->psql('audit', q{CALL llm_audit.run_purge('by hand')});
	like($err, qr/segment "$broken" could not be purged.*ERROR:  purging failed in 1 cases/s, 'and run_purge()');
	is($expires->safe_psql('audit', q{SELECT count(*), min(target_id) FROM llm_audit.admin_event WHERE action = 'purge.failed'}),
		"2|$broken", 'which are events');
	$rename->('hidden', 'retain_until');
	$expires->safe_psql('audit', 'CALL llm_audit.run_maintenance()');

	# A segment of which a row is missing is not archived.
	my $next = $expires->safe_psql('audit', q{SELECT DISTINCT tableoid::regclass FROM llm_audit.llm_call});
	set_clock($expires, 0);
	$after_end->($next, 101);
	$expires->safe_psql('audit', q{CALL llm_audit.run_maintenance('{segments,close}')});
	$expires->safe_psql('audit', qq{
		BEGIN;
		UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = '$next'::regclass;
		DELETE FROM ONLY $next WHERE request_id = 'next-5';
		COMMIT});
	($status, $out, $err) = $expires->psql('audit', 'CALL llm_audit.run_maintenance()');
	like($expires->safe_psql('audit', q{SELECT problems[1] FROM llm_audit.maintenance_log WHERE step = 'archive' ORDER BY started_at DESC LIMIT 1}),
		qr/does not verify and is not archived/, 'a segment that lacks a row is not archived');
	is($expires->safe_psql('audit', "SELECT count(*) FROM $next"), '4', 'nor purged');
	is(() = glob("$archives/*"), 1, 'and no file is left of it');
	$expires->stop;
}
done_testing();
