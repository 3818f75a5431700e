# Refused changes are recorded: a line in the log and an admin event, written
# by somebody else than the transaction that rolls back, without its data.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('records', log_statement => 'none',
	log_min_error_statement => 'error');
$node->start;
make_database($node, 'audit');
$node->safe_psql(
	'audit', q{
	CREATE ROLE clerk LOGIN;
	GRANT SELECT, INSERT ON plain TO clerk;
	INSERT INTO plain SELECT i, 'note' FROM generate_series(1, 10) AS i;
	});

my $events = q{
	SELECT count(*) FROM llm_audit.admin_event
	 WHERE action = 'ledger.change_refused'};

# The text of the attempt has what must not be found anywhere.
my ($status, $stdout, $stderr) = $node->psql(
	'audit',
	"UPDATE plain SET note = 'hunter2' WHERE note = 'iban-4711'",
	extra_params => [ '-U', 'clerk' ]);
isnt($status, 0, 'an update is refused');
like($stderr, qr/cannot update ledger "plain"/, 'by name');
$node->poll_query_until('audit', "SELECT ($events) = 1")
  or die 'no event was recorded';
is( $node->safe_psql(
		'audit', q{
	SELECT category, actor_id, actor_type, environment, target_type,
		   target_id, outcome, high_risk, "after", recorded_by = current_user
	  FROM llm_audit.admin_event WHERE action = 'ledger.change_refused'}),
	'configuration|clerk|service|prod|ledger|public.plain|denied|f|'
	  . '{"attempted": "update"}|t',
	'the event says who tried what on which ledger');
my $log = slurp_file($node->logfile);
like(
	$log,
	qr/llm_audit: session user "clerk" was refused to update ledger "public\.plain"/,
	'so does the log');
unlike($log, qr/hunter2|iban-4711/, 'without the data of the statement');
is( $node->safe_psql(
		'audit', q{
	SELECT count(*) FROM llm_audit.admin_event AS e
	 WHERE e::text ~ 'hunter2|iban-4711'}),
	'0',
	'and so does the event');
check_verify($node, 'audit', 'with a refused attempt');

# Many attempts of one session: each is in the log, few start a worker.
my $before = () = $log =~ /was refused to/g;
my $rows = $node->safe_psql('audit', $events);
$node->safe_psql(
	'audit', q{
	DO $$
	BEGIN
		FOR i IN 1 .. 50 LOOP
			BEGIN
				DELETE FROM plain;
			EXCEPTION WHEN insufficient_privilege THEN
			END;
		END LOOP;
	END
	$$});
$node->poll_query_until('audit', "SELECT ($events) > $rows")
  or die 'no event was recorded';
my $after = () = slurp_file($node->logfile) =~ /was refused to/g;
is($after - $before, 50, 'every attempt is in the log');
cmp_ok($node->safe_psql('audit', $events) - $rows,
	'<=', 5, 'a burst of attempts starts few workers');

# Kinds of attempts: read-only and rolled-back transactions, DDL, superusers.
sub recorded
{
	my ($statement, $attempted, $target) = @_;
	my $found = "SELECT count(*) FROM llm_audit.admin_event
		WHERE action = 'ledger.change_refused' AND actor_id <> 'clerk'
		AND \"after\"->>'attempted' = '$attempted' AND target_id = '$target'";
	$node->psql('audit', $statement);
	return ok($node->poll_query_until('audit', "SELECT ($found) > 0"),
		"recorded: $statement");
}
recorded('BEGIN; TRUNCATE plain; ROLLBACK', 'truncate', 'public.plain');
recorded('BEGIN READ ONLY; DROP TABLE plain; COMMIT', 'drop', 'public.plain');
recorded('ALTER TABLE plain DISABLE TRIGGER ALL', 'alter', 'public.plain');
recorded('DROP EXTENSION llm_audit CASCADE', 'drop', 'llm_audit');
recorded('SET session_replication_role = replica; DELETE FROM plain',
	'delete from', 'public.plain');
recorded('CREATE RULE r AS ON INSERT TO plain DO INSTEAD NOTHING',
	'create a rule on', 'public.plain');

# The refusal waits for nothing: not for a lock on admin_event, and the event
# is not lost by that.
$rows = $node->safe_psql('audit', $events);
my $locker = $node->background_psql('audit');
$locker->query_safe('BEGIN; LOCK TABLE llm_audit.admin_event');
my $started = time;
($status, $stdout, $stderr) = $node->psql('audit', 'DELETE FROM plain');
like($stderr, qr/cannot delete from ledger/,
	'refused while admin_event is locked');
cmp_ok(time - $started, '<', 5, 'at once');
$locker->query_safe('COMMIT');
$locker->quit;
ok($node->poll_query_until('audit', "SELECT ($events) > $rows"),
	'recorded when the lock is gone');

# No slot for a worker: refused and logged all the same.
# but for the access writer, its watcher and replication's launcher
$node->append_conf('postgresql.conf', "max_worker_processes = 3\n");
$node->restart;
$rows = $node->safe_psql('audit', $events);
my $offset = -s $node->logfile;
($status, $stdout, $stderr) = $node->psql('audit', 'DELETE FROM plain');
like($stderr, qr/cannot delete from ledger/, 'refused without worker slots');
ok($node->log_contains('was refused to delete from', $offset), 'and logged');
sleep 1;
is($node->safe_psql('audit', $events), $rows, 'and nothing else');

is($node->safe_psql('audit', 'SELECT count(*), min(note) FROM plain'),
	'10|note', 'the rows are what they were');
check_verify($node, 'audit', 'at the end');
$node->stop;
done_testing();
