# Many segments: 120 and more leaves of one ledger, with rows in several, are
# written, closed to strangers, and verified.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('segments', max_locks_per_transaction => 256);
$node->start;
make_database($node, 'audit');
$node->safe_psql(
	'audit', q{
	CREATE TABLE events (environment text NOT NULL, n int, note text)
		PARTITION BY LIST (environment);
	SELECT llm_audit.create_ledger('events', segment_width => '1 day');
	CALL llm_audit.make_segments('130 days');
	});
my $segments = $node->safe_psql('audit',
	q{SELECT count(*) FROM llm_audit.ledger_segment s JOIN llm_audit.ledger l USING (ledger_id)
	  WHERE l.relation_name = 'events' AND s.environment = 'prod'});
cmp_ok($segments, '>=', 120, 'more than 120 segments in one environment');
is( $node->safe_psql('audit',
		q{SELECT count(*) FROM (SELECT segment, row_number() OVER (ORDER BY segment) AS n
			FROM llm_audit.ledger_segment s JOIN llm_audit.ledger l USING (ledger_id)
			WHERE l.relation_name = 'events') AS s WHERE segment <> n}),
	'0', 'numbered without gaps');

my ($done, $out, $err) = run_pgbench(
	$node, 'audit',
	"INSERT INTO events (environment, n, note) SELECT e, i, 'x' FROM unnest('{prod,pilot,test}'::text[]) AS e, generate_series(1, 5) AS i;\n",
	'-c', 16, '-j', 2, '-t', 20);
ok($done, 'writers into three environments') or diag($err);
check_chain($node, 'audit', 'events', 16 * 20 * 15, 'many segments');
check_verify($node, 'audit', 'many segments');

my ($status, $stdout, $stderr) = $node->psql('audit',
	"INSERT INTO events (environment, n) VALUES ('nowhere', 1)");
isnt($status, 0, 'an unknown environment is refused');
like($stderr, qr/environment/, 'in words about environments');

# Making segments while others write: nobody fails, nobody waits long.
my $script = PostgreSQL::Test::Utils::tempdir() . '/load.sql';
append_to_file($script, "INSERT INTO events (environment, n, note) VALUES ('prod', 1, 'busy');\n");
my ($load_out, $load_err) = ('', '');
my $load = IPC::Run::start(
	[ 'pgbench', '-n', '-c', 8, '-T', 6, '-f', $script, '-h', $node->host, '-p', $node->port, 'audit' ],
	'>', \$load_out, '2>', \$load_err);
$node->safe_psql('audit', "CALL llm_audit.make_segments('140 days')");
ok($load->finish, 'segments are made while others write') or diag($load_err);
cmp_ok(
	$node->safe_psql('audit',
		q{SELECT count(*) FROM llm_audit.ledger_segment s JOIN llm_audit.ledger l USING (ledger_id)
		  WHERE l.relation_name = 'events' AND s.environment = 'prod'}),
	'>=', $segments + 10, 'the new segments are there');
is(chain_faults($node, 'audit', 'events'), '0', 'the chains are whole');
check_verify($node, 'audit', 'after making segments under load');

# A partition that somebody attaches by hand is not a segment.
($status, $stdout, $stderr) = $node->psql('audit',
	"CREATE TABLE strange PARTITION OF events FOR VALUES IN ('strange')");
isnt($status, 0, 'a hand-made partition is refused');

$node->stop;
done_testing();
