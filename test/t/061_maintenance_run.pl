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
	SELECT llm_audit.set_field_policy('secrets', 'secret', 'mask', period => '1 microsecond')});

$node->safe_psql('audit', 'CALL llm_audit.run_maintenance()');
like($node->safe_psql('audit', $state), qr/^segments 0 0 0, close 0 0 0, summarise \d+ 0 0, expire 1 0 0, rewrite 0 0 0$/,
	'a first run does what is due; an open segment is not rewritten');
is($node->safe_psql('audit', 'SELECT count(secret) FROM secrets'), '0', 'values have expired');
$node->safe_psql('audit', 'CALL llm_audit.run_maintenance()');
like($node->safe_psql('audit', $state), qr/^segments 0 0 0, close 0 0 0, summarise 0 0 0, expire 1 0 0, rewrite 0 0 0$/,
	'a second one finds nothing left');
$node->safe_psql('audit', q{CALL llm_audit.run_maintenance('{close,segments}')});
is($node->safe_psql('audit', $state), 'segments 0 0 0, close 0 0 0', 'steps can be called by name');
my ($status, $out, $err) = $node->psql('audit', q{CALL llm_audit.run_maintenance('{dance}')});
like($err, qr/a step of maintenance is not known/, 'but for unknown ones');
($status, $out, $err) = $node->psql('audit', 'SET ROLE llm_audit_admin; CALL llm_audit.run_maintenance()');
like($err, qr/permission denied/, 'superusers only');
my $other = $node->background_psql('audit');
$other->query_safe('SELECT pg_advisory_lock(1279869004, 1)');
($status, $out, $err) = $node->psql('audit', 'CALL llm_audit.run_maintenance()');
like($err, qr/running already/, 'not twice at once');
$other->quit;

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
$node->safe_psql('audit', 'ALTER TABLE llm_audit.summarised_day RENAME TO hidden');
$node->safe_psql('audit', q{INSERT INTO secrets VALUES (11, 'late')});
($status, $out, $err) = $node->psql('audit', 'CALL llm_audit.run_maintenance()');
like($err, qr/maintenance step "summarise" failed.*maintenance failed in 1 cases/s, 'a step that fails is reported');
like($node->safe_psql('audit', $state), qr/summarise 0 0 1, expire 1 0 0/, 'and logged, and stops no other');
is($node->safe_psql('audit', 'SELECT count(secret) FROM secrets'), '0', 'which has done its work');
is($node->safe_psql('audit', q{SELECT count(*) FROM llm_audit.admin_event WHERE action = 'maintenance.failed'}),
	'1', 'and is an event');
$node->safe_psql('audit', 'ALTER TABLE llm_audit.hidden RENAME TO summarised_day');

SKIP:
{
	skip 'pg_cron is not installed for this version of PostgreSQL', 3 unless $cron;
	$node->safe_psql('audit', q{
		CREATE EXTENSION pg_cron;
		SELECT cron.schedule('llm_audit', '* * * * *', 'CALL llm_audit.run_maintenance()')});
	is($node->safe_psql('audit', q{SELECT ok FROM llm_audit.readiness() WHERE item = 'scheduler'}),
		't', 'readiness sees the schedule');
	my $runs = $node->safe_psql('audit', 'SELECT count(DISTINCT run_id) FROM llm_audit.maintenance_log');
	ok($node->poll_query_until('audit',
			"SELECT count(*) > 0 FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')"),
		'pg_cron has run it');
	is( $node->safe_psql('audit', q{SELECT DISTINCT status FROM cron.job_run_details WHERE status <> 'running'})
		  . ($node->safe_psql('audit', 'SELECT count(DISTINCT run_id) FROM llm_audit.maintenance_log') > $runs),
		'succeeded1', 'with success, to its end');
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
	set_clock($slept, 150 * $day);
	$slept->safe_psql('audit', insert_calls(7, 'late'));
	is( $slept->safe_psql('audit', 'SELECT count(*) FROM llm_audit.llm_call_prod_default'),
		'7', 'rows go to the default segment');
	$slept->safe_psql('audit', 'CALL llm_audit.run_maintenance()');
	like($slept->safe_psql('audit', $state), qr/^segments [1-9]\d* 0 0, close [1-9]\d* 0 0, summarise [1-9]\d* 0 0,/,
		'one run makes and closes segments and sums up');
	is( $slept->safe_psql('audit', q{SELECT sum(calls) FROM llm_audit.usage_summary}),
		'20', 'the calls of five months ago are in the summary');
	is( $slept->safe_psql('audit', q{SELECT bool_or(ok) FROM llm_audit.readiness() WHERE item = 'segments ahead'}),
		't', 'segments are there again');
	set_clock($slept, 152 * $day);
	$slept->safe_psql('audit', insert_calls(3, 'after'));
	is( $slept->safe_psql('audit', 'SELECT count(*) FROM llm_audit.llm_call_prod_default'),
		'7', 'new rows have a segment');
	$slept->safe_psql('audit', 'CALL llm_audit.run_maintenance()');
	is( $slept->safe_psql('audit', q{SELECT sum(calls) FROM llm_audit.usage_summary}),
		'27', 'what came late is summed up too');
	check_verify($slept, 'audit', 'after five months');
	$slept->stop;
}
done_testing();
