# A logical subscriber keeps the publisher's chain and verifies it there; what
# does not belong into a ledger is refused there too.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = make_node('publisher', wal_level => 'logical');
$publisher->append_conf('postgresql.conf', "wal_level = logical\n");
$publisher->start;
make_database($publisher, 'audit');
$publisher->safe_psql('audit', q{SELECT llm_audit.place_hold('CASE-1', 'court', '{"request_ids": ["before-1"]}')});
$publisher->safe_psql('audit',
	insert_calls(50, 'before') . "; INSERT INTO plain SELECT i, 'before' FROM generate_series(1, 50) AS i");

# The statement of the document, as it stands there.
my ($publish) = slurp_file("$FindBin::Bin/../../docs/dba.md") =~ /^(CREATE PUBLICATION registry .*?;)$/ms;
$publisher->safe_psql('audit', $publish);
$publisher->safe_psql('audit',
	'CREATE PUBLICATION ledgers FOR TABLE llm_audit.llm_call,'
	  . ' llm_audit.admin_event, llm_audit.segment_event, plain'
	  . ' WITH (publish_via_partition_root = true)');

# The subscriber: extension, registry, then the tables that it names.
my $subscriber = make_node('subscriber', 'llm_audit.databases' => 'audit, careless');
$subscriber->start;
$subscriber->safe_psql('postgres', 'CREATE DATABASE audit');
$subscriber->safe_psql('audit', 'CREATE EXTENSION llm_audit');
my $connection = $publisher->connstr . ' dbname=audit';
$subscriber->safe_psql('audit',
	"CREATE SUBSCRIPTION registry CONNECTION '$connection' PUBLICATION registry");
$subscriber->wait_for_subscription_sync($publisher, 'registry', 'audit');
is( $subscriber->safe_psql('audit', 'SELECT count(*) FROM llm_audit.ledger_segment'),
	$publisher->safe_psql('audit', 'SELECT count(*) FROM llm_audit.ledger_segment'),
	'the registry is replicated');
$subscriber->safe_psql('audit', 'CREATE TABLE plain (n bigint, note text)');
$subscriber->safe_psql('audit', 'SELECT count(*) FROM llm_audit.setup()');
# Since 16 rows are applied as the table's owner, who is under row security.
my $as_superuser = $subscriber->safe_psql('audit', 'SHOW server_version_num') >= 160000
  ? 'WITH (run_as_owner = true)' : '';
$subscriber->safe_psql('audit',
	"CREATE SUBSCRIPTION ledgers CONNECTION '$connection' PUBLICATION ledgers $as_superuser");
$subscriber->wait_for_subscription_sync($publisher, 'ledgers', 'audit');

sub same_rows
{
	my ($name) = @_;
	$publisher->wait_for_catchup('ledgers');
	for my $table (qw(llm_audit.llm_call llm_audit.admin_event llm_audit.segment_event plain))
	{
		my $digest = "SELECT count(*), md5(string_agg(tableoid::regclass::text || t::text, ','"
		  . " ORDER BY tableoid::regclass::text, chain_lane, chain_seq)) FROM $table AS t";
		is($subscriber->safe_psql('audit', $digest),
			$publisher->safe_psql('audit', $digest), "$name: $table is the same");
	}
	check_verify($subscriber, 'audit', "$name, on the subscriber");
	return;
}

same_rows('initial copy');
for my $table (qw(retention_policy legal_hold field_policy action_type))
{
	my $digest = "SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM llm_audit.$table AS t";
	is($subscriber->safe_psql('audit', $digest), $publisher->safe_psql('audit', $digest),
		"$table is the same");
}

$publisher->safe_psql('audit',
	insert_calls(100, 'after') . "; INSERT INTO plain SELECT i, 'after' FROM generate_series(1, 100) AS i");
my ($done, $out, $err) =
  run_pgbench($publisher, 'audit', insert_calls(2, 'busy') . ";\n", '-c', 8, '-t', 20);
ok($done, 'concurrent writers on the publisher') or diag($err);
same_rows('streamed');

# A segment made later reaches the subscriber by the registry and setup().
$publisher->safe_psql('audit', "SELECT llm_audit.add_environment('canary')");
$publisher->wait_for_catchup('registry');
$subscriber->safe_psql('audit', 'SELECT count(*) FROM llm_audit.setup()');
$publisher->safe_psql('audit', insert_calls(10, 'canary', 'canary'));
same_rows('new environment');

# What a trigger of the subscriber's records about replicated rows is new there.
$subscriber->safe_psql(
	'audit', q{
	CREATE TABLE arrived (n bigint);
	SELECT llm_audit.create_ledger('arrived');
	CREATE FUNCTION arrived() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN INSERT INTO public.arrived VALUES (new.n) ON CONFLICT DO NOTHING; RETURN NULL; END';
	CREATE TRIGGER arrived AFTER INSERT ON plain FOR EACH ROW EXECUTE FUNCTION arrived();
	ALTER TABLE plain ENABLE ALWAYS TRIGGER arrived});
$publisher->safe_psql('audit', "INSERT INTO plain SELECT i, 'heard' FROM generate_series(201, 210) AS i");
$publisher->wait_for_catchup('ledgers');
check_chain($subscriber, 'audit', 'arrived', 10, 'a ledger of the subscriber');
$subscriber->safe_psql('audit', 'DROP TRIGGER arrived ON plain');

# A replicated TRUNCATE must not empty a ledger.
my $rows = $subscriber->safe_psql('audit', 'SELECT count(*) FROM plain');
my $from = -s $subscriber->logfile;
$subscriber->safe_psql('audit', 'ALTER SUBSCRIPTION ledgers DISABLE');
$publisher->safe_psql('postgres', 'CREATE DATABASE careless');
$publisher->safe_psql('careless',
	'CREATE TABLE plain (n bigint, note text, id uuid); CREATE PUBLICATION careless FOR TABLE plain');
my $careless = $publisher->connstr . ' dbname=careless';
$subscriber->safe_psql('audit',
	"CREATE SUBSCRIPTION careless CONNECTION '$careless' PUBLICATION careless WITH (copy_data = false)");
$publisher->safe_psql('careless', 'TRUNCATE plain');
$subscriber->wait_for_log(qr/llm_audit|append-only|TRUNCATE/i, $from);
is($subscriber->safe_psql('audit', 'SELECT count(*) FROM plain'),
	$rows, 'a replicated TRUNCATE is refused');

# So must a replicated row without a chain, or with a wrong one.
$subscriber->safe_psql('audit', 'DROP SUBSCRIPTION careless');
$publisher->safe_psql('careless', 'ALTER TABLE plain REPLICA IDENTITY FULL');
$subscriber->safe_psql('audit',
	"CREATE SUBSCRIPTION careless CONNECTION '$careless' PUBLICATION careless WITH (copy_data = false)");
$from = -s $subscriber->logfile;
$publisher->safe_psql('careless', "INSERT INTO plain VALUES (1, 'no chain')");
$subscriber->wait_for_log(qr/ERROR/, $from);
is($subscriber->safe_psql('audit', 'SELECT count(*) FROM plain'),
	$rows, 'a replicated row without a chain is refused');
$subscriber->safe_psql('audit', 'DROP SUBSCRIPTION careless');
check_verify($subscriber, 'audit', 'at the end');

$subscriber->stop;
$publisher->stop;
done_testing();
