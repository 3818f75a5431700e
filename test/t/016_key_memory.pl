# Keys are in no core dump of a backend that has used them: neither those of
# the key file, nor what is derived from them, nor data keys, nor private keys
# of an OpenSSL store.  What a dump would hold is read from the running
# process, and from a real one where the system writes it to a file.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use Digest::SHA qw(hmac_sha256);
use LlmAudit;
use MIME::Base64 qw(decode_base64);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'what a core dump holds is told by Linux only' unless $^O eq 'linux';

my $node = make_node('node', restart_after_crash => 'on');
my $directory = $node->basedir . '/datakeys';
mkdir($directory, 0700) or die "$directory: $!";
$node->append_conf('postgresql.conf', "llm_audit.key_directory = '$directory'\n");
my $keys = $node->basedir . '/keys';
my $pem = $node->basedir . '/audit.pem';
umask(077);
system_or_bail('openssl', 'genpkey', '-algorithm', 'ed25519', '-out', $pem);
append_to_file($keys, "stored file:$pem\n");
$node->start;
make_database($node, 'audit');
$node->safe_psql('audit', q{
	ALTER TABLE plain ADD COLUMN note_encrypted bytea;
	SELECT llm_audit.set_field_policy('plain', 'note', 'mask', encrypt => true);
	SELECT llm_audit.create_dictionary('people', sealed => true);
	SELECT llm_audit.add_dictionary_terms('people', ARRAY['Falcon Nine']);});

# The session uses every kind of key, and stays in its transaction.
my $session = $node->background_psql('audit');
my $pid = $session->query_safe("SET test.marker = 'in-the-dump-5521'; SELECT pg_backend_pid()");
is($session->query_safe("SELECT cardinality(llm_audit.pseudonym('somebody', 'actor_id'))"), '2', 'both keys are used');
$session->query_safe('BEGIN');
is($session->query_safe("INSERT INTO plain VALUES (1, 'falcon nine, card 4403123412344298')"
		  . ' RETURNING llm_audit.decrypt_value(tableoid, $$note$$, id, note_encrypted)'),
	'<PERSON>, card 4403****4298', 'so are the data key and the sealed dictionary');

# What must not be found, by name
my %secret = key_material();
is(length($secret{$_}) >= 16, 1, "$_ is known to the test") for sort keys %secret;

# key_material(): keys as the test knows them
sub key_material
{
	my ($line) = slurp_file($keys) =~ /^test (\S+)$/m;
	my $key = decode_base64($line);
	my $wrapping = hmac_sha256("llm_audit data key 1\0", $key);
	my ($file) = grep { slurp_file($_) =~ /^LAK1/ } glob("$directory/*"), glob("$directory/*/*"), glob("$directory/*/*/*");
	my $data = slurp_file($file);
	my $hex = unpack('H*', substr($data, 64, 12)) . '00000002';
	my $wrapped = $node->basedir . '/wrapped';
	append_to_file($wrapped, substr($data, 76, 32));
	my $plain = $node->basedir . '/unwrapped';
	system_or_bail('openssl', 'enc', '-d', '-aes-256-ctr', '-nopad', '-K', unpack('H*', $wrapping), '-iv', $hex,
		'-in', $wrapped, '-out', $plain);
	my ($private) = slurp_file($pem) =~ /^(MC\S+)$/m;
	return (
		'a key' => $key,
		'its line in the key file' => substr($line, 0, 40),
		'the key that wraps' => $wrapping,
		'the data key' => slurp_file($plain),
		'the key of the dictionary' => hmac_sha256("llm_audit dictionary 1\0", $key),
		'the private key' => substr(decode_base64($private), -32),
		'the private key as text' => substr($private, -32));
}

# memory(PID): what a core dump of the process would hold; how much of it is
# for keys is left out.
sub memory
{
	my ($process) = @_;
	my (@ranges, $range);
	my $left_out = 0;
	open(my $maps, '<', "/proc/$process/smaps") or return;
	while (<$maps>)
	{
		if (/^([0-9a-f]+)-([0-9a-f]+) (\S+)/)
		{
			no warnings 'portable';
			$range = { start => hex($1), size => hex($2) - hex($1), access => $3 };
			push @ranges, $range;
		}
		$range->{locked} = $1 if /^Locked:\s+(\d+)/;
		if (/^VmFlags:.*\bdd\b/ && $range->{access} =~ /^rw-p/)
		{
			$range->{skip} = 1;
			$left_out += $range->{size};
		}
	}
	open(my $mem, '<:raw', "/proc/$process/mem") or return;
	my $all = '';
	for my $each (grep { $_->{access} =~ /^r/ && !$_->{skip} } @ranges)
	{
		sysseek($mem, $each->{start}, 0) or next;
		my $left = $each->{size};
		while ($left > 0)
		{
			my $got = sysread($mem, $all, $left, length($all));
			last unless $got;
			$left -= $got;
		}
	}
	return ($all, $left_out);
}

# check_dump(WHERE, DUMP): the session's own text is in it, no key is.
sub check_dump
{
	my ($where, $dump) = @_;
	ok(index($dump, 'in-the-dump-5521') >= 0, "$where: the search finds what the session has set");
	ok(index($dump, $secret{$_}) < 0, "$where: $_ is not there") for sort keys %secret;
	return;
}

my ($dump, $left_out) = memory($pid);
SKIP:
{
	skip 'the memory of a backend cannot be read here', 1 unless defined $dump && length($dump) > 0;
	ok($left_out > 0, 'memory is left out of dumps');
	check_dump('memory', $dump);
}
undef $dump;

my $pattern = slurp_file('/proc/sys/kernel/core_pattern');
SKIP:
{
	skip "core dumps do not go to a file of the server's ($pattern)", 1 unless $pattern =~ /^core/;
	skip 'core dumps cannot be switched on here', 1
	  unless system('prlimit', '--core=unlimited:unlimited', "--pid=$pid") == 0
	  || system('prlimit', '--core=1000000000:', "--pid=$pid") == 0;
	kill('ABRT', $pid);
	ok($node->poll_query_until('audit', 'SELECT true'), 'the server is back');
	my ($core) = glob($node->data_dir . '/core*');
	skip 'the system has written no core dump', 1 unless defined $core && -s $core;
	check_dump('core dump', slurp_file($core));
	unlink($core);
}

eval { $session->quit };
$node->stop;
done_testing();
