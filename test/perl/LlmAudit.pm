# LlmAudit.pm
#	  What the TAP tests share: servers with llm_audit, rows to insert, and
#	  checks of chains that do not depend on verify.
package LlmAudit;

use strict;
use warnings;
use Exporter 'import';
use MIME::Base64 qw(encode_base64);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(make_keys make_node make_database call_columns call_values
  insert_calls chain_faults check_chain check_verify run_pgbench
  current_leaf fake_clock set_clock
  set_clock_at start_faked);

# Tests read ledgers as superusers, who need a reason like anybody else.
$ENV{PGOPTIONS} = '-c llm_audit.reason=tests';

# make_keys(FILE, ID...): a key file, with a random key for each id.
sub make_keys
{
	my ($file, @ids) = @_;
	open(my $random, '<:raw', '/dev/urandom') or die "/dev/urandom: $!";
	my $mask = umask(077);
	open(my $keys, '>', $file) or die "$file: $!";
	umask($mask);
	for my $id (@ids)
	{
		read($random, my $bytes, 32) == 32 or die "/dev/urandom: $!";
		print $keys "$id ", encode_base64($bytes, ''), "\n";
	}
	close($keys) or die "$file: $!";
	close($random);
	return;
}

# make_node(NAME, SETTING => VALUE...): an initialized server, not started,
# with a key file and without checksums, which are on by default since 18.
# Durability is left on where a test says fsync => 'on'.
sub make_node
{
	my ($name, %settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	my ($help) = run_command([ 'initdb', '--help' ]);
	my @extra = ('--encoding=UTF8', '--no-locale');
	push @extra, '--no-data-checksums' if $help =~ /--no-data-checksums/;
	$node->init(
		allows_streaming => $settings{wal_level} // 1,
		extra => \@extra);
	make_keys($node->basedir . '/keys', 'test');
	my %all = (
		shared_preload_libraries => 'llm_audit',
		'llm_audit.databases' => 'audit',
		max_worker_processes => 16,
		'llm_audit.key_file' => $node->basedir . '/keys',
		max_connections => 100,
		max_prepared_transactions => 20,
		timezone => 'UTC',
		log_min_messages => 'warning',
		%settings);
	$node->append_conf('postgresql.conf', "$_ = '$all{$_}'\n")
	  for sort keys %all;
	return $node;
}

# make_database(NODE, NAME): a database with the extension set up, and a table
# "plain" enrolled as an unpartitioned ledger.
sub make_database
{
	my ($node, $name) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name")
	  unless $name eq 'postgres';
	$node->safe_psql(
		$name, q{
		CREATE EXTENSION llm_audit;
		SELECT count(*) FROM llm_audit.setup();
		CREATE TABLE plain (n bigint, note text);
		SELECT llm_audit.create_ledger('plain');
		});
	return;
}

# Columns of llm_audit.llm_call that a minimal row needs, and their values;
# tag is an SQL expression of type text, for the request_id.
sub call_columns
{
	return 'request_id, occurred_at, utc_offset_minutes, environment,'
	  . ' service_name, organization_id, actor_id, actor_type,'
	  . ' operation_name, provider_name, request_model, attempt, is_final,'
	  . ' status, data_class';
}

sub call_values
{
	my ($tag, $environment) = @_;
	$environment //= 'prod';
	return "$tag, now(), 300, '$environment', 'gateway', 'bank', 'clerk',"
	  . " 'human', 'chat', 'openai', 'gpt-4o', 1, true, 'ok', 'internal'";
}

# insert_calls(COUNT, TAG, ENVIRONMENT): a statement that inserts rows.
sub insert_calls
{
	my ($count, $tag, $environment) = @_;
	return
	    'INSERT INTO llm_audit.llm_call ('
	  . call_columns()
	  . ') SELECT '
	  . call_values("'$tag-' || i", $environment)
	  . " FROM generate_series(1, $count) AS i";
}

# Rows that are not the next of their lane, by the chain columns alone: a gap,
# a fork or a link to another row than the one before.
sub chain_faults
{
	my ($node, $database, $table) = @_;
	return $node->safe_psql(
		$database, qq{
		SELECT count(*) FROM (
			SELECT chain_seq, prev_hash,
				   row_number() OVER lane AS position,
				   lag(row_hash) OVER lane AS before
			  FROM $table
			WINDOW lane AS (PARTITION BY tableoid, chain_lane
							ORDER BY chain_seq)) AS row
		 WHERE chain_seq <> position
			OR (position > 1 AND prev_hash IS DISTINCT FROM before)});
}

# check_chain(NODE, DATABASE, TABLE, ROWS, NAME): the table has that many rows
# in unbroken lanes.
sub check_chain
{
	my ($node, $database, $table, $rows, $name) = @_;
	is($node->safe_psql($database, "SELECT count(*) FROM $table"),
		$rows, "$name: number of rows");
	is(chain_faults($node, $database, $table),
		'0', "$name: every row follows the one before it");
	return;
}

# check_verify(NODE, DATABASE, NAME): verify finds nothing.
sub check_verify
{
	my ($node, $database, $name) = @_;
	is( $node->safe_psql(
			$database,
			'SELECT ledger, segment, lane, seq, finding, detail'
			  . ' FROM llm_audit.verify()'),
		'',
		"$name: verify finds nothing");
	return;
}

# run_pgbench(NODE, DATABASE, SCRIPT, OPTIONS...): output of pgbench; the test
# fails if pgbench does.
sub run_pgbench
{
	my ($node, $database, $script, @options) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/script.sql';
	append_to_file($file, $script);
	my ($stdout, $stderr);
	my $done = IPC::Run::run(
		[
			'pgbench', '-n', '-f', $file, '-h', $node->host, '-p',
			$node->port, @options, $database
		],
		'>', \$stdout, '2>', \$stderr);
	return ($done, $stdout, $stderr);
}

# current_leaf(NODE, DATABASE, ENVIRONMENT): the segment of llm_call that takes
# rows of the environment now.
sub current_leaf
{
	my ($node, $database, $environment) = @_;
	return $node->safe_psql(
		$database, qq{
		SELECT format('%I.%I', s.schema_name, s.relation_name)
		  FROM llm_audit.ledger_segment s JOIN llm_audit.ledger l USING (ledger_id)
		 WHERE l.relation_name = 'llm_call' AND s.environment = '$environment'
		 ORDER BY s.is_default,
			   NOT (llm_audit.now() >= s.lower AND llm_audit.now() < s.upper)
		 LIMIT 1});
}

# fake_clock(NODE): from its next start by start_faked, the server's clock is
# what set_clock says.
sub fake_clock
{
	my ($node) = @_;
	my $library = $node->basedir . '/fake_clock.so';
	my ($source) = map { "$_/fake_clock.c" } grep { -e "$_/fake_clock.c" } @INC;
	system('cc', '-shared', '-fPIC', '-O1', '-o', $library, $source) == 0
	  or die "cannot compile $source";
	set_clock($node, 0);
	$node->{fake_clock_library} = $library;
	return;
}

# set_clock(NODE, SECONDS): that many seconds from the true time.  The file is
# mapped by every process, so it is changed in place.
sub set_clock
{
	my ($node, $seconds) = @_;
	my $file = $node->basedir . '/clock';
	open(my $clock, (-e $file ? '+<:raw' : '>:raw'), $file) or die "$file: $!";
	syswrite($clock, pack('q', $seconds)) == 8 or die "$file: $!";
	close($clock);
	return;
}

# set_clock_at(NODE, EPOCH): the clock goes on from there.
sub set_clock_at
{
	my ($node, $epoch) = @_;
	set_clock($node, $epoch - time());
	return;
}

# start_faked(NODE): starts the server, and only it, under the fake clock.
sub start_faked
{
	my ($node) = @_;
	local $ENV{LLM_AUDIT_TEST_CLOCK} = $node->basedir . '/clock';
	local $ENV{LD_PRELOAD} = $node->{fake_clock_library};
	$node->start;
	return;
}

1;
