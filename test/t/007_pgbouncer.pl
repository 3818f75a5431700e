# PgBouncer in transaction mode: many clients over few servers, each
# transaction on another connection, by INSERT and by record_call.
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

my ($program) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';
plan skip_all => 'pgbouncer is not installed' unless $program;

my $node = make_node('pooled');
$node->start;
make_database($node, 'audit');
$node->safe_psql('audit', 'CREATE ROLE gateway LOGIN; GRANT llm_audit_writer TO gateway; GRANT INSERT ON plain TO gateway');

my $dir = PostgreSQL::Test::Utils::tempdir_short();
my $port = PostgreSQL::Test::Cluster::get_free_port();
append_to_file("$dir/users", "\"gateway\" \"\"\n");
append_to_file(
	"$dir/pgbouncer.ini", "[databases]
audit = host=@{[$node->host]} port=@{[$node->port]} dbname=audit
[pgbouncer]
listen_addr =
unix_socket_dir = $dir
listen_port = $port
auth_type = trust
auth_file = $dir/users
pool_mode = transaction
default_pool_size = 10
max_client_conn = 200
logfile = $dir/log
pidfile = $dir/pid
ignore_startup_parameters = extra_float_digits
");
my ($log, $errors) = ('', '');
my $pooler = IPC::Run::start([ $program, '-q', "$dir/pgbouncer.ini" ], '>', \$log, '2>', \$errors);
my $tries = 0;
usleep(100_000) until -S "$dir/.s.PGSQL.$port" || $tries++ > 100;
ok(-S "$dir/.s.PGSQL.$port", 'pgbouncer runs') or diag($errors . slurp_file("$dir/log"));

sub pooled_bench
{
	my ($name, $script, @options) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/script.sql';
	append_to_file($file, $script);
	my ($out, $err) = ('', '');
	delete local $ENV{PGOPTIONS};	# the pooler takes none
	ok( IPC::Run::run(
			[ 'pgbench', '-n', '-c', 100, '-j', 2, '-f', $file, '-h', $dir, '-p', $port,
				'-U', 'gateway', @options, 'audit' ],
			'>', \$out, '2>', \$err),
		$name) or diag($err);
	return;
}

my $rows = 0;
for my $protocol (qw(simple extended))
{
	pooled_bench("single rows, $protocol protocol", insert_calls(1, 'pooled') . ";\n", '-M', $protocol, '-t', 10);
	$rows += 1000;
}
pooled_bench('transactions', "BEGIN;\n" . insert_calls(2, 'pooled') . ";\n" . insert_calls(1, 'pooled') . ";\nCOMMIT;\n", '-t', 10);
$rows += 3000;
check_chain($node, 'audit', 'llm_audit.llm_call', $rows, 'through the pooler');

my $document = '{"request_id": "recorded", "occurred_at": "2026-01-05T10:00:00Z", "environment": "prod",'
  . ' "service_name": "gateway", "organization_id": "bank", "time_zone": "UTC", "actor_id": "clerk", "actor_type": "human",'
  . ' "operation_name": "chat", "provider_name": "openai", "request_model": "gpt-4o", "attempt": 1,'
  . ' "is_final": true, "status": "ok", "data_class": "internal"}';
pooled_bench('record_call', "SELECT llm_audit.record_call('$document');\n", '-t', 10);
is( $node->safe_psql('audit', "SELECT count(*) FROM llm_audit.llm_call WHERE request_id = 'recorded'"),
	'1000', 'every call is recorded');
is(chain_faults($node, 'audit', 'llm_audit.llm_call'), '0', 'in unbroken chains');
cmp_ok($node->safe_psql('audit', 'SELECT count(DISTINCT chain_lane) FROM llm_audit.llm_call'),
	'<=', 10, 'with no more lanes than servers');
check_verify($node, 'audit', 'through the pooler');

$pooler->signal('INT');
$pooler->finish;
$node->stop;
done_testing();
