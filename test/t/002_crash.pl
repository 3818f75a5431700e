# Writers, a backend and the postmaster are killed under load: what was
# committed is there, in unbroken chains, and writing goes on.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use Cwd ();
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = make_node('crash', fsync => 'on', restart_after_crash => 'on');
$node->start;
make_database($node, 'audit');
$node->safe_psql('audit', 'CREATE TABLE acknowledged (n bigint)');

my $script = PostgreSQL::Test::Utils::tempdir() . '/load.sql';
append_to_file($script,
	    "BEGIN;\n"
	  . insert_calls(3, 'load')
	  . ";\nINSERT INTO plain VALUES (1, 'load');\n"
	  . "INSERT INTO acknowledged VALUES (1);\nCOMMIT;\n");

# Starts writers, calls kill once they have written, waits for their end.
sub under_load
{
	my ($kill) = @_;
	my $before = $node->safe_psql('audit', 'SELECT count(*) FROM acknowledged');
	my ($out, $err) = ('', '');
	my $load = IPC::Run::start(
		[
			'pgbench', '-n', '-c', 8, '-j', 2, '-T', 60, '-f', $script,
			'-h', $node->host, '-p', $node->port, 'audit'
		],
		'>', \$out, '2>', \$err);
	$node->poll_query_until('audit',
		"SELECT count(*) > $before + 200 FROM acknowledged")
	  or die 'the writers do not write';
	$kill->();
	eval { $load->finish; };
	return;
}

sub check_all
{
	my ($name) = @_;
	$node->poll_query_until('audit', "SELECT state = 'running' FROM llm_audit.access_status() WHERE database = 'audit'")
	  or die 'the access writer does not start';
	my $transactions = $node->safe_psql('audit', 'SELECT count(*) FROM acknowledged');
	check_chain($node, 'audit', 'llm_audit.llm_call', 3 * $transactions, "$name, llm_call");
	check_chain($node, 'audit', 'plain', $transactions, "$name, plain");
	check_verify($node, 'audit', $name);
	return;
}

# Waits until the killed postmaster is gone and its backends have noticed.
sub wait_for_end
{
	my $dir = Cwd::abs_path($node->data_dir);
	my ($pid) = slurp_file("$dir/postmaster.pid") =~ /\A(\d+)/;
	for my $try (1 .. 300)
	{
		return 1 unless kill(0, $pid) || grep { (readlink("$_/cwd") // '') eq $dir } glob('/proc/[0-9]*');
		usleep(100_000);
	}
	return 0;
}

sub wait_for_start
{
	for my $try (1 .. 300)
	{
		return 1
		  if IPC::Run::run([ 'pg_isready', '-q', '-h', $node->host, '-p', $node->port ]);
		usleep(100_000);
	}
	return 0;
}

under_load(
	sub {
		my $pid = $node->safe_psql('audit',
			"SELECT pid FROM pg_stat_activity WHERE datname = 'audit' AND backend_type = 'client backend' AND pid <> pg_backend_pid() LIMIT 1");
		kill 'KILL', $pid;
	});
ok(wait_for_start(), 'the server recovers');
check_all('backend killed');

under_load(sub { $node->kill9; });
ok(wait_for_end(), 'every backend ends with the postmaster');
$node->start;
check_all('postmaster killed');

under_load(sub { $node->stop('immediate'); });
$node->start;
check_all('immediate stop');

$node->safe_psql('audit', insert_calls(10, 'after') . ';'
	  . "INSERT INTO acknowledged SELECT 1 FROM generate_series(1, 1)");
is(chain_faults($node, 'audit', 'llm_audit.llm_call'), '0', 'writing goes on');
check_verify($node, 'audit', 'after writing on');

$node->stop;
done_testing();
