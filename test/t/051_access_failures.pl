# No log, no row: whatever keeps a record from being written keeps the rows
# from being read, and nothing that was read is missing afterwards.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use IPC::Run;
use LlmAccess;
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = make_node('node', 'llm_audit.databases' => 'audit, other, third',
	'llm_audit.access_queue' => '256kB', 'llm_audit.access_timeout' => '20s',
	fsync => 'on', wal_level => 'replica', max_wal_senders => 5,
	hot_standby => 'on', restart_after_crash => 'on');
$node->start;
for my $database ('audit', 'other', 'unlisted')
{
	make_database($node, $database);
	make_reader($node, $database) unless $database eq 'unlisted';
}
await_writer($node, $_) for 'audit', 'other';

my $read = "BEGIN; SET LOCAL llm_audit.reason = 'test'; SELECT count(*) FROM calls";

sub refused { return refused_is($node, @_); }

sub works
{
	my ($database, $name) = @_;
	my ($status, $out, $err, $tag) = run_as($node, $database, 'reader', $read);
	is($out, '20', "$name: rows come") or diag $err;
	is(reads_of($node, $database, $tag), 1, "$name: recorded in its own database");
	return;
}

sub worker_pid
{
	my ($database) = @_;
	return $node->safe_psql('audit',
		"SELECT worker_pid FROM llm_audit.access_status() WHERE database = '$database'");
}

sub set_timeout
{
	my ($value) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET llm_audit.access_timeout = '$value'");
	$node->reload;
	usleep(200_000);
	return;
}

# ---------------- several databases ----------------

works('audit', 'one database');
works('other', 'another');
$node->safe_psql('unlisted', q{CREATE VIEW calls WITH (security_barrier) AS
	SELECT request_id FROM llm_audit.llm_call
	WHERE (SELECT llm_audit.access_guard('public.calls'::text::regclass, true));
	GRANT SELECT ON calls TO PUBLIC});
refused('unlisted', $read, qr/not listed in "llm_audit.databases".*HINT/s, 'a database that is not listed');
refused('unlisted', 'SELECT * FROM llm_audit.llm_call', qr/not listed in "llm_audit.databases"/,
	'a superuser there', 'postgres');
is($node->safe_psql('unlisted', insert_calls(3, 'x') . '; SELECT detail FROM llm_audit.verify()'),
	'database unlisted is not in llm_audit.databases: no read is recorded', 'writing and verifying work there');

# ---------------- load, and what is left of it ----------------

# Starts four sessions that read one statement after the other.
sub start_load
{
	my ($name, $count) = @_;
	my @loads;
	for my $n (1 .. 4)
	{
		my $load = { tag => "$name$n", out => '', err => '' };
		my $file = PostgreSQL::Test::Utils::tempdir() . "/$load->{tag}.sql";
		append_to_file($file, join('', map { "SELECT 'ack $_' FROM free LIMIT 1;\n" } 1 .. $count));
		local $ENV{PGAPPNAME} = $load->{tag};
		$load->{run} = IPC::Run::start(
			[ 'psql', '-XqAt', '-U', 'reader', '-h', $node->host, '-p', $node->port, '-f', $file, 'audit' ],
			'>', \$load->{out}, '2>', \$load->{err}, IPC::Run::timeout(120));
		push @loads, $load;
	}
	return @loads;
}

sub finish_load
{
	my (@loads) = @_;
	eval { $_->{run}->finish } for @loads;
	$_->{acks} = () = $_->{out} =~ /^ack \d+$/mg for @loads;
	return;
}

# Every row that came has its record; at most the last one has no row.
sub load_is_recorded
{
	my ($name, @loads) = @_;
	for my $load (@loads)
	{
		my $records = reads_of($node, 'audit', $load->{tag});
		ok($load->{acks} > 0 && $records >= $load->{acks} && $records <= $load->{acks} + 1,
			"$name: $load->{acks} reads, $records records");
	}
	return;
}

my @loads = start_load('term', 1500);
usleep(700_000);
my $old = worker_pid('audit');
kill 'TERM', $old;
finish_load(@loads);
is(join(',', map { $_->{err} } @loads), ',,,', 'the writer is terminated: readers wait for the next one');
is($_->{acks}, 1500, 'and read everything') for @loads;
load_is_recorded('terminated', @loads);
isnt(worker_pid('audit'), $old, 'there is another writer');
is($node->safe_psql('audit', 'SELECT count(*) - count(DISTINCT boot_ticket) FROM llm_audit.access_log'), '0',
	'nothing is recorded twice');

@loads = start_load('kill', 20000);
usleep(700_000);
kill 'KILL', worker_pid('audit');
finish_load(@loads);
$node->poll_query_until('audit', 'SELECT true') or die 'no recovery';
await_writer($node, 'audit');
load_is_recorded('killed', @loads);
works('audit', 'after the crash');

@loads = start_load('crash', 20000);
usleep(700_000);
$node->stop('immediate');
finish_load(@loads);
$node->start;
await_writer($node, 'audit');
load_is_recorded('server crashed', @loads);
works('audit', 'after the restart');
is($node->safe_psql('audit', 'SELECT count(DISTINCT boot_id) > 2 FROM llm_audit.access_log'), 't',
	'each start of the server counts by itself');

# ---------------- the writer stands still ----------------

set_timeout('1s');
my $pid = worker_pid('audit');
kill 'STOP', $pid;
my $began = time();
refused('audit', $read, qr/not written in time.*access_timeout/s, 'a writer that stands still');
ok(time() - $began < 10, 'is not waited for longer than the setting says');
refused('audit', 'SELECT * FROM llm_audit.llm_call', qr/not written in time|a reason/, 'not by a superuser either', 'postgres');
my ($status, $out, $err) = run_as($node, 'audit', 'reader',
	"SET statement_timeout = '300ms'; BEGIN; SET LOCAL llm_audit.reason = 'x'; SELECT * FROM calls");
like($err, qr/statement timeout/, 'a reader who waits can be cancelled');
works('other', 'another database does not notice');
is($node->safe_psql('audit', "INSERT INTO plain (n) VALUES (1); SELECT 'written'"), 'written', 'nor do writers');

# the queue fills up
my $text = join '', map { sprintf '%08x', rand(2**32) } 1 .. 900;
set_timeout('100ms');
my $full = '';
for (1 .. 60)
{
	(undef, $out, $err) = run_as($node, 'audit', 'reader', "SELECT * FROM free WHERE request_id = '$text'");
	$full = $err if $err =~ /queue/;
	last if $full ne '';
}
like($full, qr/queue of the access log is full.*llm_audit.access_queue/s, 'a full queue refuses reads');
is($out, '', 'and gives no row');
set_timeout('20s');
kill 'CONT', $pid;
works('audit', 'when it goes on');
is($node->safe_psql('audit', "SELECT count(*) FROM llm_audit.access_log WHERE event = 'read' AND query LIKE '%$text%'"),
	'0', 'reads that were refused are not recorded as reads');

# ---------------- the record cannot be written ----------------

set_timeout('5s');
($status, $out, $err) = run_as($node, 'audit', 'postgres',
	"BEGIN; SET LOCAL llm_audit.reason = 'x'; LOCK TABLE llm_audit.access_log; SELECT count(*) FROM calls");
like($err, qr/could not be written|not written in time/, 'the reader holds a lock on the log: refused, not for ever');
works('audit', 'when the lock is gone');

my $locker = $node->background_psql('audit');
$locker->query_safe('BEGIN; LOCK TABLE llm_audit.access_log');
refused('audit', $read, qr/could not be written/, 'somebody else does');
$locker->query_safe('ROLLBACK');
$locker->quit;
works('audit', 'when that lock is gone');

# ---------------- pauses ----------------

is($node->safe_psql('other', "SELECT llm_audit.pause_workers('1 minute')"), '1', 'the writer lets go');
refused('other', $read, qr/is paused.*HINT/s, 'a paused writer');
is($node->safe_psql('other', "SELECT state FROM llm_audit.access_status() WHERE database = 'other'"), 'paused',
	'the status says so');
$node->safe_psql('other', "SELECT llm_audit.pause_workers('0')");
await_writer($node, 'other');
works('other', 'when the pause is ended');
is($node->safe_psql('other', "SELECT count(*) FROM llm_audit.admin_event WHERE action = 'workers.paused'"), '2',
	'pauses are recorded');
refused('other', "SELECT llm_audit.pause_workers('1 minute')", qr/permission denied/, 'a reader who pauses');

# the writer may be asleep, at work or in the nap after a read, just as it comes
my $gone = 0;
for my $wait (0, 60, 120, 180, 300)
{
	(undef, $out, $err) = run_as($node, 'other', 'reader', $read);
	usleep($wait * 1000);
	$gone += $node->safe_psql('other', "SELECT llm_audit.pause_workers('1 minute')");
	$node->safe_psql('other', "SELECT llm_audit.pause_workers('0')");
	await_writer($node, 'other');
}
is($gone, '5', 'the writer lets go whatever it is at');

$node->safe_psql('other', "BEGIN; SELECT llm_audit.pause_workers('1 minute'); ROLLBACK");
await_writer($node, 'other');
$node->safe_psql('other', q{DO $$ BEGIN PERFORM llm_audit.pause_workers('1 minute'); RAISE 'x'; EXCEPTION WHEN OTHERS THEN END $$});
await_writer($node, 'other');
works('other', 'when pauses are rolled back, and so not on record');

is($node->safe_psql('other', "SELECT llm_audit.pause_workers('30 s')"), '1', 'it lets go again');
is($node->safe_psql('audit', 'ALTER DATABASE other RENAME TO renamed; ALTER DATABASE renamed RENAME TO other;'
		  . ' CREATE DATABASE copied TEMPLATE other; DROP DATABASE copied; SELECT 1'), '1',
	'a paused database can be renamed and copied');
await_writer($node, 'other');
works('other', 'when the pause is over');

# whoever reads before the writer is back waits for it, however long it was away
set_timeout('4s');
is($node->safe_psql('other', "SELECT llm_audit.pause_workers('5 s')"), '1', 'it lets go for longer than a record may take');
usleep(5_100_000);
works('other', 'at once after the pause');
is($node->safe_psql('other', "SELECT llm_audit.pause_workers('1 minute')"), '1', 'and for a pause cut short');
usleep(5_100_000);
$node->safe_psql('audit', 'CREATE DATABASE third TEMPLATE other');
works('third', 'at once in a database just made');
$node->safe_psql('other', "SELECT llm_audit.pause_workers('0')");
works('other', 'at once when the pause is cut short');
set_timeout('20s');
is($node->safe_psql('other', "SELECT llm_audit.pause_workers('30 s')"), '1', 'and once more');
$node->safe_psql('audit', 'DROP DATABASE other');
ok($node->poll_query_until('audit',
		"SELECT state = 'absent' FROM llm_audit.access_status() WHERE database = 'other'"),
	'a database that was dropped');
make_database($node, 'other');
make_reader($node, 'other');
works('other', 'one of the same name later');

# ---------------- a worker of a parallel plan ----------------

$node->safe_psql('audit', q{
	CREATE FUNCTION sneak(int) RETURNS text LANGUAGE plpgsql PARALLEL SAFE COST 100000 AS
		'BEGIN RETURN (SELECT max(request_id) FROM free); END';
	CREATE TABLE many AS SELECT i FROM generate_series(1, 1000) i;
	ALTER TABLE many SET (parallel_workers = 2);
	ANALYZE many;
	GRANT SELECT ON many TO PUBLIC;
	});
refused('audit', 'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;'
	  . ' SET parallel_leader_participation = off; SELECT max(sneak(i)) FROM many',
	qr/cannot be read in a parallel worker/, 'a function that lies about being PARALLEL SAFE');

# ---------------- a standby, and no preloading ----------------

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay');
refused_is($standby, 'audit', $read, qr/cannot be read on a standby.*HINT.*primary/s, 'a standby');
refused_is($standby, 'audit', 'SELECT * FROM llm_audit.llm_call', qr/a reason is needed|on a standby/,
	'a superuser on a standby', 'postgres');
$standby->promote;
$node->stop;
await_writer($standby, 'audit');
{
	my ($s, $o, $e, $t) = run_as($standby, 'audit', 'reader', $read);
	is($o, '20', 'after its promotion it reads') or diag $e;
	is(reads_of($standby, 'audit', $t), 1, 'and records');
}
$standby->stop;

$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->start;
refused('audit', $read, qr/not preloaded.*shared_preload_libraries/s, 'not preloaded: a sensitive view');
refused('audit', "BEGIN; SET LOCAL llm_audit.reason = 'x'; SELECT body FROM texts", qr/not preloaded/,
	'not preloaded: texts');
$node->safe_psql('audit', insert_calls(2, 'z'));
like($node->safe_psql('audit', 'SELECT detail FROM llm_audit.verify()'),
	qr/^llm_audit is not in shared_preload_libraries: [^\n]*$/, 'not preloaded: writing and verifying work');
$node->stop;

# ---------------- a full disk ----------------

# A limit on the size of files stands for a disk that is full.
my $limited = make_node('limited', 'llm_audit.databases' => 'audit', 'llm_audit.access_timeout' => '5s');
$limited->start;
make_database($limited, 'audit');
make_reader($limited, 'audit');
await_writer($limited, 'audit');
my $writer = $limited->safe_psql('audit', "SELECT worker_pid FROM llm_audit.access_status()");
SKIP:
{
	skip 'prlimit is not installed', 6
	  unless IPC::Run::run([ 'prlimit', '--version' ], '>', '/dev/null', '2>', '/dev/null');
	# more than a file of WAL, which the writer writes too
	system('prlimit', '--pid', $writer, '--fsize=17000000:') == 0 or die 'prlimit';
	my ($s, $o, $refusal) = run_as($limited, 'audit', 'reader', q{
		DO $$
		BEGIN
			FOR i IN 1 .. 6000 LOOP
				EXECUTE format('SELECT count(*) FROM free WHERE request_id = %L',
					(SELECT string_agg(md5(random()::text), '')
					FROM generate_series(1, 250)));
			END LOOP;
		END
		$$;
		SELECT 'not full' FROM free;});
	is($o, '', 'a full disk: no row');
	like($refusal, qr/could not be written.*SQLSTATE/s, 'a full disk: says that the record could not be written');
	is($limited->safe_psql('audit', "SELECT last_error IS NOT NULL FROM llm_audit.access_status()"), 't',
		'the status has the error');
	system('prlimit', '--pid', $writer, '--fsize=unlimited:') == 0 or die 'prlimit';
	my ($e, $t);
	for (1 .. 100)
	{
		($s, $o, $e, $t) = run_as($limited, 'audit', 'reader', $read);
		last if $s == 0;
		usleep(100_000);
	}
	is($o, '20', 'with room again, reads work') or diag $e;
	is(reads_of($limited, 'audit', $t), 1, 'and are recorded');
	check_verify($limited, 'audit', 'after the full disk');
}
$limited->stop;
done_testing();
