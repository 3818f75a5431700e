# A read is acknowledged when its record is flushed and replicated: not when
# the wait for that is broken off, nor when a reader catches the error.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use LlmAccess;
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = make_node('node', 'llm_audit.access_timeout' => '2s',
	fsync => 'on', autovacuum => 'off', checkpoint_timeout => '1h',
	wal_level => 'replica', max_wal_senders => 5);
$node->start;
make_database($node, 'audit');
make_reader($node, 'audit');
await_writer($node, 'audit');

my $read = "BEGIN; SET LOCAL llm_audit.reason = 'test'; SELECT count(*) FROM calls";

sub set_standby
{
	my ($name) = @_;
	$node->append_conf('postgresql.conf', "synchronous_standby_names = '$name'\n");
	$node->reload;
	# the checkpointer is the one to say so
	usleep(500_000);
	return;
}

# The next record is the one that the writer waits with.
sub without_standby
{
	set_standby('');
	$node->poll_query_until('audit', "SELECT state = 'running' AND pending = 0 FROM llm_audit.access_status()")
	  or die 'no writer';
	set_standby('nobody');
	return;
}

sub worker_pid
{
	return $node->safe_psql('audit', 'SELECT worker_pid FROM llm_audit.access_status()');
}

# Starts a read that goes on waiting while something is done to the writer.
sub read_meanwhile
{
	my ($do) = @_;
	my ($out, $err) = ('', '');
	local $ENV{PGOPTIONS} = '';
	my $run = IPC::Run::start(
		[ 'psql', '-XqAt', '-U', 'reader', '-h', $node->host, '-p', $node->port, '-d', 'audit', '-c', $read ],
		'>', \$out, '2>', \$err, IPC::Run::timeout(60));
	usleep(700_000);
	$do->();
	$run->finish;
	return ($out, $err);
}

# ---------------- no standby ----------------

# Nobody can catch the error and read all the same.
$node->safe_psql('audit', q{
	CREATE FUNCTION catches() RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM llm_audit.access_guard('public.calls', true);
		RETURN 'recorded';
	EXCEPTION WHEN OTHERS OR query_canceled THEN
		RETURN 'caught';
	END $$;
	ALTER DATABASE audit SET synchronous_commit = 'off'});
my $catching = 'SELECT x, c.request_id FROM catches() AS f (x) LEFT JOIN calls AS c ON true LIMIT 1';
my ($out) = read_is($node, 'audit', $catching, 1, 'a function that asks the guard itself');
like($out, qr/^recorded\|call-\d+$/, 'is part of the read');

without_standby();
my $old = worker_pid();
refused_is($node, 'audit', $read, qr/not written in time.*synchronous standby/s, 'no standby');
without_standby();
my ($status, $err);
($status, $out, $err) = run_as($node, 'audit', 'reader', "BEGIN; SET LOCAL llm_audit.reason = 'test'; $catching");
is($out, '', 'a reader who catches the error: no row');
like($err, qr/not written in time/, 'and the next error');
without_standby();
($status, $out, $err) = run_as($node, 'audit', 'reader',
	"SET statement_timeout = '500ms'; BEGIN; SET LOCAL llm_audit.reason = 'test'; $catching");
is($out, '', 'a reader who catches a timeout: no row');

# What waits for the standby goes on waiting.
without_standby();
($out, $err) = read_meanwhile(sub {
	$node->safe_psql('postgres', "SELECT pg_cancel_backend($old), pg_sleep(0.2), pg_cancel_backend($old)") });
is($out, '', 'the writer is cancelled: no row');
like($err, qr/not written in time/, 'and says why');
is(worker_pid(), $old, 'it is still there');
without_standby();
($out, $err) = read_meanwhile(sub { kill 'TERM', $old });
is($out, '', 'the writer is terminated: no row');
like($err, qr/not written in time|is not running/, 'and says why');
$node->poll_query_until('audit', "SELECT worker_pid <> $old FROM llm_audit.access_status() WHERE worker_pid IS NOT NULL")
  or die 'no new writer';
my $next = worker_pid();
refused_is($node, 'audit', $read, qr/not written in time/, 'the next writer waits as well');
is(worker_pid(), $next, 'and does not fall');
without_standby();

# ---------------- a record that ends where a page of the WAL does ----------

# What the writer has committed before it is terminated, its successor finds.
# The end of the WAL is put on the boundary of a page meanwhile.
sub insert_position
{
	return $node->safe_psql('postgres', "SELECT pg_current_wal_insert_lsn() - '0/0'");
}
my $page = $node->safe_psql('postgres', 'SHOW wal_block_size');
my $emit = sub {
	my ($bytes) = @_;
	$node->safe_psql('postgres', "SET synchronous_commit = off;"
		  . " SELECT pg_logical_emit_message(false, 'x', repeat('x', $bytes))");
};
my $before = insert_position();
$emit->(1000);
my $overhead = insert_position() - $before - 1000;
if ($overhead > 70)
{
	# it went over the end of a page
	$before = insert_position();
	$emit->(1000);
	$overhead = insert_position() - $before - 1000;
}
my $onto_boundary = sub {
	for (1 .. 50)
	{
		my $at = insert_position();
		# 24 bytes are the header of a page, of which none is behind its end
		return 1 if $at % $page == 24;
		my $left = $page - $at % $page;
		$emit->($left > $overhead + 300 ? $left - $overhead : 1000);
	}
	return 0;
};
my $aligned = 0;
($out, $err) = read_meanwhile(sub {
	kill 'TERM', $next;
	$aligned = $onto_boundary->();
	$node->append_conf('postgresql.conf', "llm_audit.access_timeout = '20s'\n"); });
ok($aligned, 'the end of the WAL is that of a page');
set_standby('');
$node->poll_query_until('audit', "SELECT state = 'running' AND pending = 0 FROM llm_audit.access_status()")
  or die 'no writer';
is($node->safe_psql('audit', 'SELECT count(*) FROM llm_audit.access_status() WHERE failed > 0 OR last_error IS NOT NULL'),
	'0', 'what a writer finds committed is no failure');
unlike(slurp_file($node->logfile), qr/flush past end of generated WAL|is not satisfied/, 'nor is its flush');
read_is($node, 'audit', 'SELECT count(*) FROM calls', 1, 'without the standby');
is($node->safe_psql('audit', 'SELECT count(*) - count(DISTINCT boot_ticket) FROM llm_audit.access_log'), '0',
	'nothing is recorded twice');
check_verify($node, 'audit', 'at the end');
$node->stop;
done_testing();
