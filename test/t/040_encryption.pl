# Encryption at rest: data keys are made once, whoever races and whatever is
# killed; they rotate, are destroyed, go missing; text is nowhere on disk.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use Cwd ();
use File::Copy qw(copy);
use File::Find qw(find);
use IPC::Run ();
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $directory = PostgreSQL::Test::Utils::tempdir() . '/keys';
mkdir($directory, 0700) or die "$directory: $!";
my $node = make_node('node', wal_level => 'logical', log_statement => 'none', 'llm_audit.masking' => 'on',
	'llm_audit.key_directory' => $directory);
my $keys = $node->basedir . '/keys';
$node->start;
make_database($node, 'audit');

# error(SQL): the error of a statement, with SQLSTATE, or nothing.
sub error
{
	my ($sql) = @_;
	my ($status, $out, $err) = $node->psql('audit', "\\set VERBOSITY verbose\n$sql");
	return $status == 0 ? '' : $err;
}

# setting(NAME, VALUE): changes a setting of the server, waiting until it holds.
sub setting
{
	my ($name, $value) = @_;
	$node->safe_psql('audit', "ALTER SYSTEM SET $name = '$value'");
	$node->reload;
	$node->poll_query_until('audit', "SELECT current_setting('$name') = '$value'")
	  or die "$name is not $value";
	return;
}

# start_again(): starts the server when every backend of a killed postmaster
# has ended.
sub start_again
{
	my $dir = Cwd::abs_path($node->data_dir);
	my ($pid) = slurp_file("$dir/postmaster.pid") =~ /\A(\d+)/;
	for my $try (1 .. 300)
	{
		last unless kill(0, $pid) || grep { (readlink("$_/cwd") // '') eq $dir } glob('/proc/[0-9]*');
		select(undef, undef, undef, 0.1);
	}
	$node->start;
	return;
}

sub key_files
{
	return grep { -f } glob("$directory/*.key");
}

sub decrypt_all
{
	my ($table, $column) = @_;
	return $node->safe_psql('audit',
		"SELECT llm_audit.decrypt_value(tableoid, '$column', id, ${column}_encrypted) FROM $table"
		  . " WHERE ${column}_encrypted IS NOT NULL ORDER BY 1");
}

$node->safe_psql('audit', 'ALTER TABLE plain ADD COLUMN note_encrypted bytea');

# A directory that cannot be used is refused, and rows with it.
my $set = q{SELECT llm_audit.set_field_policy('plain', 'note', 'mask', encrypt => true)};
setting('llm_audit.key_directory', '');
like(error($set), qr/ERROR:  F0000: there is no directory.*HINT:.*llm_audit\.key_directory/s, 'no directory');
my %bad = (
	$node->data_dir => qr/within the data directory/,
	$node->data_dir . '/pg_wal' => qr/within the data directory/,
	"$directory/nowhere" => qr/cannot be opened/,
	$keys => qr/not a directory/);
for my $path (sort keys %bad)
{
	setting('llm_audit.key_directory', $path);
	like(error($set), qr/ERROR:  F0000: key directory .*$bad{$path}/s, "not $path");
}
symlink($node->data_dir, "$directory.link") or die;
setting('llm_audit.key_directory', "$directory.link");
like(error($set), qr/within the data directory/, 'nor by a symbolic link');
my $space = PostgreSQL::Test::Utils::tempdir() . '/space';
mkdir($space, 0700) or die;
$node->safe_psql('audit', "CREATE TABLESPACE space LOCATION '$space'");
mkdir("$space/keys", 0700) or die;
setting('llm_audit.key_directory', "$space/keys");
like(error($set), qr/tablespace/, 'nor in a tablespace');
rmdir("$space/keys") or die;
$node->safe_psql('audit', 'DROP TABLESPACE space');
chmod(0750, $directory) or die;
setting('llm_audit.key_directory', $directory);
like(error($set), qr/mode must be 0700/, 'nor one that others can enter');
chmod(0700, $directory) or die;
$node->safe_psql('audit', $set);
is(scalar(key_files()), 0, 'no key before its first use');
ok(-f "$directory/llm_audit.lock", 'the directory is ours');

# Sixteen backends race for the first key of a segment.
my ($done, $out, $err) = run_pgbench($node, 'audit',
	"INSERT INTO plain VALUES (:client_id, 'racer ' || :client_id);\n", '-c', 16, '-j', 2, '-t', 5);
ok($done, 'racers insert') or diag($err);
is(scalar(key_files()), 1, 'one key is made');
is(scalar(split /\n/, decrypt_all('plain', 'note')), 80, 'and opens what they stored');
is($node->safe_psql('audit', q{SELECT count(DISTINCT substr(note_encrypted, 6, 12)) FROM plain}), '80',
	'every nonce is another');
check_verify($node, 'audit', 'encrypted rows');

# The server is killed over and over while new segments get their first keys.
$node->safe_psql('audit', qq{
	CREATE TABLE crash_$_ (note text, note_encrypted bytea);
	SELECT llm_audit.create_ledger('crash_$_');
	SELECT llm_audit.set_field_policy('crash_$_', 'note', 'mask', encrypt => true)}) for 1 .. 12;
for my $round (1 .. 12)
{
	my $script = PostgreSQL::Test::Utils::tempdir() . "/crash_$round.sql";
	append_to_file($script, "INSERT INTO crash_$round VALUES ('crash ' || :client_id);\n");
	my $text = '';
	my $load = IPC::Run::start([ 'pgbench', '-n', '-c', 4, '-t', 50, '-f', $script, '-h', $node->host,
			'-p', $node->port, 'audit' ], '>', \$text, '2>&1');
	select(undef, undef, undef, 0.02 * $round);
	if ($round % 3 == 0)
	{
		$node->kill9;
		$load->finish;
		start_again();
	}
	elsif ($round % 3 == 1)
	{
		kill('KILL', split(/\n/, $node->safe_psql('audit',
			q{SELECT pid FROM pg_stat_activity WHERE application_name = 'pgbench'})));
		$load->finish;
		$node->poll_query_until('postgres', 'SELECT true');
	}
	else
	{
		$node->stop('immediate');
		$load->finish;
		$node->start;
	}
	$node->safe_psql('audit', "INSERT INTO crash_$round VALUES ('after')");
	like(decrypt_all("crash_$round", 'note'), qr/^after$/m, "round $round: what is stored opens");
	is($node->safe_psql('audit', "SELECT count(*) FROM llm_audit.data_keys() k JOIN llm_audit.ledger l"
			  . " USING (ledger_id) WHERE relation_name = 'crash_$round'"), '1', "round $round: with one key");
}
is(scalar(glob("$directory/tmp.*")) // '', '', 'nothing half-made is left');
is($node->safe_psql('audit', q{SELECT count(*) FROM llm_audit.data_keys() WHERE state <> 'live' OR NOT unwraps}), '0',
	'every key is whole');

# A temporary file of a crash goes; what it holds is no key.
append_to_file("$directory/tmp.99999", 'half');
$node->safe_psql('audit', q{CREATE TABLE swept (note text, note_encrypted bytea);
	SELECT llm_audit.create_ledger('swept');
	SELECT llm_audit.set_field_policy('swept', 'note', 'mask', encrypt => true);
	INSERT INTO swept VALUES ('swept')});
ok(!-e "$directory/tmp.99999", 'the next key sweeps up');

# key_path(TABLE): the file of a table's only key
sub key_path
{
	my ($table) = @_;
	return $node->safe_psql('audit', "SELECT '$directory/' || ledger_id || '-' || segment || '-' || key_id || '.key'"
		  . " FROM llm_audit.data_keys() JOIN llm_audit.ledger USING (ledger_id) WHERE relation_name = '$table'");
}

# 2^32 values: the count is in the file, and the next value gets another key.
my $full = key_path('swept');
open(my $file, '+<:raw', $full) or die "$full: $!";
seek($file, 54, 0);
print $file pack('Q>', 2**32 - 3);
close($file);
$node->safe_psql('audit', "INSERT INTO swept SELECT 'value ' || i FROM generate_series(1, 5) AS i");
is($node->safe_psql('audit', q{SELECT string_agg(n::text, ' ' ORDER BY n) FROM (SELECT count(*) AS n
	FROM swept GROUP BY substr(note_encrypted, 2, 4)) AS s}), '2 4', 'a full key is followed by another');
is($node->safe_psql('audit', q{SELECT max(values_reserved) FROM llm_audit.data_keys()}), 2**32,
	'and is never used for more');
is(scalar(split /\n/, decrypt_all('swept', 'note')), 6, 'both open');

# Who waits for the directory can be cancelled, and leaves nothing behind.
open(my $lock, '+<', "$directory/llm_audit.lock") or die;
flock($lock, 2) or die;
$node->safe_psql('audit', q{CREATE TABLE waits (note text, note_encrypted bytea);
	SELECT llm_audit.create_ledger('waits');
	SELECT llm_audit.set_field_policy('waits', 'note', 'mask', encrypt => true)});
like(error(q{SET statement_timeout = '300ms'; INSERT INTO waits VALUES ('x')}), qr/ERROR:  57014/, 'a wait is cancelled');
close($lock);
is(error(q{INSERT INTO waits VALUES ('x')}), '', 'and over when the lock is free');
$node->safe_psql('audit', q{BEGIN; INSERT INTO waits VALUES ('gone'); ROLLBACK;
	SELECT llm_audit.set_field_policy('waits', 'note', 'mask', reason => 'enough')});

# The wrapping key rotates while others write.
my $old_keys = slurp_file($keys);
make_keys($keys, 'newer');
append_to_file($keys, $old_keys);
my $script = PostgreSQL::Test::Utils::tempdir() . '/rotation.sql';
append_to_file($script, "INSERT INTO plain VALUES (0, 'in rotation');\n"
	  . "SELECT count(llm_audit.decrypt_value(tableoid, 'note', id, note_encrypted)) FROM (SELECT tableoid, * FROM plain LIMIT 20) AS p;\n");
my $text = '';
my $load = IPC::Run::start([ 'pgbench', '-n', '-C', '-c', 4, '-T', 3, '-f', $script, '-h', $node->host, '-p', $node->port,
		'audit' ], '>', \$text, '2>&1');
my $count = scalar(key_files());
is($node->safe_psql('audit', q{SELECT llm_audit.rewrap_data_keys('a test')}), $count, 'every key is wrapped anew');
ok($load->finish, 'nobody notices') or diag($text);
is($node->safe_psql('audit', q{SELECT string_agg(DISTINCT wrapped_by, ' ') FROM llm_audit.data_keys()}), 'newer',
	'under the new key');
my ($newer) = slurp_file($keys) =~ /^(newer .*\n)/;
my $both = slurp_file($keys);
replace_file($keys, $newer);
like(decrypt_all('swept', 'note'), qr/^swept$/m, 'the old wrapping key is not needed');
replace_file($keys, $old_keys);
like(error(q{SELECT llm_audit.decrypt_value(tableoid, 'note', id, note_encrypted) FROM swept}),
	qr/ERROR:  F0000: data key \w+ of segment 1 cannot be unwrapped.*"newer".*HINT:.*llm_audit\.key_file/s,
	'without the new one nothing opens');
like(error(q{INSERT INTO swept VALUES ('no key')}), qr/ERROR:  F0000/, 'nor is stored');
like($node->safe_psql('audit', q{SELECT hint FROM llm_audit.readiness() WHERE item = 'data keys' AND NOT ok}),
	qr/no key newer unwraps/, 'and readiness says so');
$node->psql('audit', q{SELECT llm_audit.rewrap_data_keys('too early')}, stderr => \my $warned, stdout => \my $none);
is($none, '0', 'nothing is wrapped anew without it');
like($warned, qr/WARNING:  data key \w+ of segment 1 stays as it is.*not there/s, 'and that is told');
replace_file($keys, $both);

sub replace_file
{
	my ($path, $content) = @_;
	my $mask = umask(077);
	append_to_file("$path.new", $content);
	umask($mask);
	rename("$path.new", $path) or die;
	return;
}

# A key that is missing, one that is damaged, one that was destroyed: each is
# told; and a session that had it in use does not go on with it.
my $session = $node->background_psql('audit', on_error_stop => 0);
my $read = q{SELECT llm_audit.decrypt_value(tableoid, 'note', id, note_encrypted) FROM plain LIMIT 1};
like($session->query($read), qr/rac|in rotation/, 'a session has a key in use');
my $plain_key = key_path('plain');
rename($plain_key, "$plain_key.away") or die;
like(error($read), qr/ERROR:  58P01: data key \w+ of segment 1 is missing.*HINT:.*llm_audit\.key_directory/s, 'missing');
$session->query($read);
like($session->{stderr}, qr/is missing/, 'also where it was in use');
$session->{stderr} = '';
like($node->safe_psql('audit', q{SELECT hint FROM llm_audit.readiness() WHERE item = 'data keys' AND NOT ok}),
	qr/missing are plain \w+/, 'and readiness says so');
append_to_file($plain_key, 'LAK1 and nothing');
like(error($read), qr/ERROR:  F0000: data key file .* is damaged/, 'damaged');
like(error(q{INSERT INTO plain VALUES (1, 'x')}), qr/ERROR:  F0000: .*damaged/, 'and no row is stored by guess');
unlink($plain_key);
rename("$plain_key.away", $plain_key) or die;
like($session->query($read), qr/rac|in rotation/, 'restored');
copy($plain_key, "$plain_key.copy") or die;
$node->safe_psql('audit', q{UPDATE llm_audit.ledger_segment SET state = 'closed' WHERE relation_name = 'plain'});
open(my $handle, '<:raw', $plain_key) or die;
$node->safe_psql('audit', q{SELECT llm_audit.destroy_data_keys('plain', 1, 'expired')});
like(error($read), qr/ERROR:  55000: data key \w+ of segment 1 was destroyed.*since 20/s, 'destroyed');
$session->query($read);
like($session->{stderr}, qr/was destroyed/, 'also where it was in use');
$session->quit;
{
	local $/ = undef;
	my $left = <$handle>;
	my $wrapped = substr(slurp_file("$plain_key.copy"), 64);
	is(index($left, substr($wrapped, 2, 32)), -1, 'the file that was there is overwritten');
	is(index(slurp_file($plain_key), substr($wrapped, 2, 32)), -1, 'and what is there holds no key');
	unlink("$plain_key.copy");
}
like(slurp_file($node->logfile), qr/LOG:  data key \w+ of segment 1 was destroyed/, 'the log tells');
$node->safe_psql('audit', q{UPDATE llm_audit.ledger_segment SET state = 'open' WHERE relation_name = 'plain'});
check_verify($node, 'audit', 'without the key');

# An empty directory in its place is refused, not filled.
rename($directory, "$directory.unmounted") or die;
mkdir($directory, 0700) or die;
like(error(q{INSERT INTO swept VALUES ('not mounted')}), qr/F0000: .*another one is mounted.*init_key_directory/s,
	'a directory that is not ours');
is(scalar(() = glob("$directory/*")), 0, 'stays empty');
rmdir($directory) or die;
like(error(q{INSERT INTO swept VALUES ('gone')}), qr/F0000: .*cannot be opened/s, 'no directory at all');
like($node->safe_psql('audit', q{SELECT hint FROM llm_audit.readiness() WHERE item = 'key directory' AND NOT ok}),
	qr/cannot be opened.*Rows with values to encrypt are refused/, 'and readiness says so');
rename("$directory.unmounted", $directory) or die;
like(decrypt_all('swept', 'note'), qr/^swept$/m, 'back again');

# A standby has the directory too, for the day when it is promoted.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
like(($standby->psql('audit', 'SELECT count(*) FROM swept'))[2], qr/cannot be read on a standby/,
	'a standby shows nothing');
$standby->promote;
$standby->poll_query_until('audit', "SELECT state = 'running' FROM llm_audit.access_status() WHERE database = 'audit'")
  or die 'the access writer does not start';
like($standby->safe_psql('audit',
		q{SELECT llm_audit.decrypt_value(tableoid, 'note', id, note_encrypted) FROM swept ORDER BY 1}),
	qr/^swept$/m, 'one that was promoted opens it with the directory');
$standby->stop;

# What was encrypted is nowhere in plain, after inserts that fail as well.
my $marker = 'marker-of-nothing-7741';
($done, $out, $err) = run_pgbench($node, 'audit',
	"INSERT INTO swept VALUES (:marker);\n", '-t', 1, '-M', 'prepared', '-D', "marker=$marker");
ok($done, 'a value by a parameter') or diag($err);
chmod(0755, $directory);
($done, $out, $err) = run_pgbench($node, 'audit',
	"INSERT INTO swept VALUES (:marker);\n", '-t', 1, '-M', 'prepared', '-D', "marker=$marker");
ok(!$done && $err =~ /cannot be used/ && $err !~ /$marker/, 'and one that is refused');
chmod(0700, $directory);
$node->safe_psql('audit', 'CHECKPOINT');
$node->stop;
my (@found, @held);
find({ no_chdir => 1, wanted => sub {
	return unless -f $_;
	my $data = slurp_file($_);
	push @found, $_ if index($data, $marker) >= 0;
	push @held, $_ if index($data, 'crash_1') >= 0 } }, $node->data_dir, $node->logfile, $directory);
is("@found", '', 'the text is not in tables, indexes, WAL, log or keys');
cmp_ok(scalar(@held), '>', 1, 'where other things are');
ok(!grep({ (stat($_))[2] & 077 } key_files()), 'nobody else can read a key file');

done_testing();
