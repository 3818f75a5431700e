# Dump and restore: every row of the first, of a later and of the default
# segment comes back with its hash, and the ledgers keep their identity.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('dump', 'llm_audit.databases' => 'audit, restored_custom,'
	  . ' restored_custom_with_jobs, restored_directory_with_jobs, restored_plain, data_only');
$node->start;
make_database($node, 'audit');
my $dir = PostgreSQL::Test::Utils::tempdir();
my @connect = ('-h', $node->host, '-p', $node->port);

# An environment made at run time, a ledger with an erasable column and types
# of every kind.  009_clock.pl does the same with rows in a default segment.
$node->safe_psql(
	'audit', q{
	SELECT llm_audit.add_environment('canary');
	CREATE TABLE kinds (t text, j jsonb, b boolean, i2 smallint, i4 int,
		i8 bigint, n numeric, f4 real, f8 double precision, u uuid, y bytea,
		d date, tm time, ts timestamp, tz timestamptz, iv interval, ip inet,
		a text[], secret text);
	SELECT llm_audit.create_ledger('kinds', erasable => '{secret}');
	INSERT INTO kinds VALUES ('text', '{"a": [1, 2.50]}', true, 1, 2, 3, 4.500,
		'NaN', '-0', '00000000-0000-4000-8000-000000000001', '\x00ff',
		'infinity', '12:00', '2026-01-01', 'now', '1 mon 2 days', '10.0.0.1/8',
		'{a,NULL,"c d"}', 'hidden');
	INSERT INTO kinds DEFAULT VALUES;
	INSERT INTO plain SELECT i, 'note ' || i FROM generate_series(1, 1000) AS i;
	});
$node->safe_psql('audit', insert_calls(500, 'prod'));
$node->safe_psql('audit', insert_calls(300, 'canary', 'canary'));

my @tables = qw(llm_audit.llm_call llm_audit.admin_event plain kinds);

# What restoring makes anew is recorded in the copy, behind what it had.
my $upto = 'infinity';

sub state_of
{
	my ($database) = @_;
	my $state = '';
	for my $table (@tables)
	{
		$state .= "$table "
		  . $node->safe_psql(
			$database, qq{
			SELECT tableoid::regclass, count(*),
				   md5(string_agg(row_hash::text || prev_hash::text, ','
					   ORDER BY chain_lane, chain_seq))
			  FROM $table WHERE recorded_at <= '$upto'
			 GROUP BY tableoid ORDER BY tableoid::regclass::text}) . "\n";
	}
	$state .= $node->safe_psql($database,
		'SELECT * FROM llm_audit.ledger ORDER BY relation_name')
	  . $node->safe_psql($database,
		'SELECT ledger_id, column_number, column_name, type_oid, erasable'
		  . ' FROM llm_audit.ledger_column ORDER BY 1, 2')
	  . $node->safe_psql($database,
		'SELECT ledger_id, segment, relation_name, environment, lower, upper,'
		  . ' is_default, state FROM llm_audit.ledger_segment ORDER BY 1, 2');
	return $state;
}

$upto = $node->safe_psql('audit', 'SELECT clock_timestamp()');
my $before = state_of('audit');
like($before, qr/llm_call_prod/, 'rows in a first segment');
like($before, qr/llm_call_canary/, 'rows in a segment made at run time');
check_verify($node, 'audit', 'before');

# Every format, with and without jobs.
for my $way (
	[ 'custom', [ '-Fc', '-f', "$dir/custom" ], [ "$dir/custom" ] ],
	[ 'custom with jobs', [ '-Fc', '-f', "$dir/custom4" ], [ '-j', 4, "$dir/custom4" ] ],
	[ 'directory with jobs', [ '-Fd', '-j', 4, '-f', "$dir/directory" ], [ '-j', 4, "$dir/directory" ] ])
{
	my ($name, $dump, $restore) = @$way;
	(my $database = "restored_$name") =~ s/ /_/g;
	$node->command_ok([ 'pg_dump', @connect, @$dump, 'audit' ], "dump, $name");
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->command_ok(
		[ 'pg_restore', @connect, '--exit-on-error', '-d', $database, @$restore ],
		"restore, $name");
	is(state_of($database), $before, "$name: same rows, hashes and identity");
	check_verify($node, $database, $name);
	$node->safe_psql($database, insert_calls(5, 'later'));
	is(chain_faults($node, $database, 'llm_audit.llm_call'),
		'0', "$name: the chain goes on");
	check_verify($node, $database, "$name, after writing on");
	is( $node->safe_psql(
			$database, "SELECT count(*) FROM llm_audit.setup()"),
		'0', "$name: setup() has nothing left to make");
}

# Plain text through psql.
$node->command_ok([ 'pg_dump', @connect, '-f', "$dir/plain.sql", 'audit' ], 'dump, plain');
$node->safe_psql('postgres', 'CREATE DATABASE restored_plain');
$node->command_ok(
	[ 'psql', @connect, '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/plain.sql", 'restored_plain' ],
	'restore, plain');
is(state_of('restored_plain'), $before, 'plain: same rows, hashes and identity');
check_verify($node, 'restored_plain', 'plain');

# Data only: the schema first, then the registry, then the ledgers, which are
# accepted as they are in restore mode and refused without.
$node->safe_psql('postgres', 'CREATE DATABASE data_only');
$node->command_ok([ 'pg_dump', @connect, '-Fc', '-f', "$dir/all", 'audit' ], 'dump for data only');
$node->command_ok(
	[ 'pg_restore', @connect, '--exit-on-error', '--section=pre-data', '--section=post-data',
		'--schema-only', '-d', 'data_only', "$dir/all" ],
	'the schema of all');
my @registry = map { ('-t', $_) }
  qw(environment ledger ledger_environment ledger_column ledger_segment
  action_type content_recording call_source retention_policy legal_hold field_policy
  original_recipient mask_rule dictionary dictionary_term);
$node->command_ok(
	[ 'pg_restore', @connect, '--exit-on-error', '--data-only', '-n', 'llm_audit', @registry,
		'-d', 'data_only', "$dir/all" ],
	'the registry first');
my $rows = $node->safe_psql('audit', 'SELECT count(*) FROM plain');
$node->command_fails_like(
	[ 'pg_restore', @connect, '--exit-on-error', '--data-only', '-t', 'plain', '-d', 'data_only', "$dir/all" ],
	qr/llm_audit\.restore/,
	'data only without restore mode: refused, with a hint');
# not by reading it: the record of that would take the place of a restored one
is($node->safe_psql('data_only', "SELECT pg_relation_size('plain')"), '0', 'and nothing stored');

# What is not the registry's, by the archive's own list.
my ($list) = run_command([ 'pg_restore', '-l', "$dir/all" ]);
my $registry = join '|', grep { $_ ne '-t' } @registry;
append_to_file("$dir/list",
	join "\n", grep { / TABLE DATA / && !/ llm_audit (?:$registry) / } split /\n/, $list);
{
	local $ENV{PGOPTIONS} = '-c llm_audit.restore=on';
	$node->command_ok(
		[ 'pg_restore', @connect, '--exit-on-error', '--data-only', '-L', "$dir/list",
			'-d', 'data_only', "$dir/all" ],
		'data only in restore mode');
}
is($node->safe_psql('data_only', 'SELECT count(*) FROM plain'), $rows, 'every row is there');
is(chain_faults($node, 'data_only', 'plain'), '0', 'with its place in the chain');
is(state_of('data_only'), $before, 'data only: same rows, hashes and identity');
check_verify($node, 'data_only', 'data only');

# A row whose hash is wrong is refused in restore mode.
my ($status, $out, $err) = $node->psql(
	'data_only', q{
	SET llm_audit.restore = on;
	CREATE TEMP TABLE forged AS SELECT * FROM plain ORDER BY chain_lane, chain_seq DESC LIMIT 1;
	UPDATE forged SET chain_seq = chain_seq + 1, id = llm_audit.uuid7();
	INSERT INTO plain SELECT * FROM forged;
	});
isnt($status, 0, 'a forged row is refused in restore mode');
like($err, qr/hash/, 'because of its hash');

$node->stop;
done_testing();
