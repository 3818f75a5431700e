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
	  . ' restored_custom_with_jobs, restored_directory_with_jobs, restored_plain, restored, target');
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

# What a restore must not lose: holds, policies, scopes, recording of text.
$node->safe_psql(
	'audit', q{
	CREATE ROLE reader_of_dump LOGIN IN ROLE llm_audit_oncall;
	SELECT llm_audit.set_scope('reader_of_dump', '{bank}', '{prod}');
	SELECT llm_audit.place_hold('CASE-1', 'court', '{"request_ids": ["prod-1"]}');
	SELECT llm_audit.set_retention('llm_audit.llm_call', 'prod', NULL, '4 years');
	SELECT llm_audit.set_content_recording('prod', '*', true, 'test');
	});

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
	# each state of a policy or rule once, as it was
	$state .= $node->safe_psql($database,
		'SELECT h FROM llm_audit.masking_history h ORDER BY relation_name, key, changed_at');
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

# A time of long ago does not make a change by hand one that a dump has brought.
is( $node->safe_psql(
		'restored_custom', q{
		INSERT INTO llm_audit.mask_rule (name, keyword, pattern, entity, style, data_class, changed_at)
			VALUES ('by_hand', 'XX-', 'XX-[0-9]{4}', 'CASE_NUMBER', 'tag', 'internal', '2020-01-01');
		SELECT count(*) FROM llm_audit.masking_history WHERE key = 'by_hand' AND changed_at > now() - interval '1 hour'}),
	'1', 'masking_history tells of a rule that was inserted with an old time');

# Plain text through psql.
$node->command_ok([ 'pg_dump', @connect, '-f', "$dir/plain.sql", 'audit' ], 'dump, plain');
$node->safe_psql('postgres', 'CREATE DATABASE restored_plain');
$node->command_ok(
	[ 'psql', @connect, '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/plain.sql", 'restored_plain' ],
	'restore, plain');
is(state_of('restored_plain'), $before, 'plain: same rows, hashes and identity');
check_verify($node, 'restored_plain', 'plain');

# The document's own commands: a dump, a restore, and data only: the schema
# first, then the extension's own tables, then the rows, which are accepted as
# they are in restore mode and refused without.
my ($chapter) = slurp_file("$FindBin::Bin/../../docs/dba.md") =~ /^## Backup, dump and restore\n(.*?)^## /ms;
my ($whole, $data_only) = $chapter =~ /^```sh\n(.*?)^```$/msg;
like($data_only, qr/--data-only/, 'the document says how');

# run_shell(COMMANDS): with the server's own programs, in a directory of ours.
sub run_shell
{
	my ($commands) = @_;
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGOPTIONS};
	delete $ENV{PGOPTIONS};
	my $output;
	my $done = IPC::Run::run([ 'sh', '-ec', "cd '$dir'\n$commands" ], '>&', \$output);
	return ($done, $output);
}
my ($done, $output) = run_shell($whole);
ok($done, 'the commands to dump and restore') or diag($output);
is(state_of('restored'), $before, 'restored: same rows, hashes and identity');

my ($refused) = run_shell($data_only =~ s/^export PGOPTIONS.*\n//mr =~ s/\btarget\b/careless/gr);
ok(!$refused, 'data only without restore mode: refused');
# not by reading it: the record of that would take the place of a restored one
is($node->safe_psql('careless', "SELECT pg_relation_size('plain')"), '0', 'and nothing stored');

($done, $output) = run_shell($data_only);
ok($done, 'the commands for data only') or diag($output);
is( $node->safe_psql('target', 'SELECT count(*) FROM plain'),
	$node->safe_psql('audit', 'SELECT count(*) FROM plain'), 'every row is there');
is(chain_faults($node, 'target', 'plain'), '0', 'with its place in the chain');
is(state_of('target'), $before, 'data only: same rows, hashes and identity');

# own_tables(DATABASE): what is in each of the extension's own tables.
sub own_tables
{
	my ($database) = @_;
	my $state = '';
	for my $table (split /\n/, $node->safe_psql($database, q{
		SELECT c.relname FROM pg_extension e JOIN pg_class c ON c.oid = ANY (e.extconfig)
		 WHERE e.extname = 'llm_audit' AND c.relkind = 'r' ORDER BY 1}))
	{
		$state .= "$table " . $node->safe_psql($database,
			"SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) FROM llm_audit.$table AS t") . "\n";
	}
	return $state;
}
my $own = own_tables('audit');
like($own, qr/^legal_hold [1-9].*^retention_policy [1-9].*^role_scope [1-9]/ms, 'there are holds, policies and scopes');
is(own_tables('restored'), $own, 'restored: holds, policies, scopes and the rest');
is(own_tables('target'), $own, 'data only: holds, policies, scopes and the rest');
check_verify($node, 'target', 'data only');

# A row whose hash is wrong is refused in restore mode.
my ($status, $out, $err) = $node->psql(
	'target', q{
	SET llm_audit.restore = on;
	CREATE TEMP TABLE forged AS SELECT * FROM plain ORDER BY chain_lane, chain_seq DESC LIMIT 1;
	UPDATE forged SET chain_seq = chain_seq + 1, id = llm_audit.uuid7();
	INSERT INTO plain SELECT * FROM forged;
	});
isnt($status, 0, 'a forged row is refused in restore mode');
like($err, qr/hash/, 'because of its hash');

$node->stop;
done_testing();
