# A streaming standby verifies what it has replayed, also while the primary
# writes; after promotion the chain goes on.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = make_node('primary', hot_standby_feedback => 'on');
$primary->start;
make_database($primary, 'audit');
$primary->safe_psql('audit',
	insert_calls(500, 'first') . "; INSERT INTO plain SELECT i, 'first' FROM generate_series(1, 500) AS i");
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);
check_verify($standby, 'audit', 'on the standby');
is( $standby->safe_psql('audit', 'SELECT rows >= 1000 FROM llm_audit.verify_summary()'),
	't', 'which had rows to read')
  or diag($standby->safe_psql('audit', 'SELECT * FROM llm_audit.verify_summary()'));

my $script = PostgreSQL::Test::Utils::tempdir() . '/load.sql';
append_to_file($script, insert_calls(5, 'busy') . ";\n");
my ($out, $err) = ('', '');
my $load = IPC::Run::start(
	[ 'pgbench', '-n', '-c', 4, '-T', 8, '-f', $script, '-h', $primary->host, '-p', $primary->port, 'audit' ],
	'>', \$out, '2>', \$err);
for my $round (1 .. 3)
{
	check_verify($standby, 'audit', "while the primary writes, round $round");
}
ok($load->finish, 'the writers') or diag($err);
$primary->wait_for_catchup($standby);
# counted by verify: on a standby nothing can be read, since no read can be recorded
is( $standby->safe_psql('audit', "SELECT rows FROM llm_audit.verify_summary('llm_audit.llm_call')"),
	$primary->safe_psql('audit', "SELECT rows FROM llm_audit.verify_summary('llm_audit.llm_call')"),
	'the standby has every row');
my ($refused, undef, $why) = $standby->psql('audit', 'SELECT count(*) FROM llm_audit.llm_call');
isnt($refused, 0, 'a standby shows none');
like($why, qr/cannot be read on a standby/, 'and says why');
check_verify($standby, 'audit', 'at rest');

my ($status, $stdout, $stderr) = $standby->psql('audit', insert_calls(1, 'refused'));
isnt($status, 0, 'a standby takes no rows');

$primary->stop('immediate');
$standby->promote;
$standby->poll_query_until('audit', "SELECT state = 'running' FROM llm_audit.access_status() WHERE database = 'audit'")
  or die 'the access writer does not start';
$standby->safe_psql('audit', insert_calls(10, 'promoted'));
is(chain_faults($standby, 'audit', 'llm_audit.llm_call'), '0', 'the chain goes on after promotion');
check_verify($standby, 'audit', 'after promotion');

$standby->stop;
done_testing();
