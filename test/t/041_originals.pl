# Encrypted originals: gpg opens with the private key what was written, the
# server holds nothing but the message; the text as it came is nowhere.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use File::Find qw(find);
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'gpg is not installed'
  unless grep { -x "$_/gpg" } split /:/, $ENV{PATH};

# gpg's sockets need a short path.
my $home = PostgreSQL::Test::Utils::tempdir_short();
chmod(0700, $home);
$ENV{GNUPGHOME} = $home;
my @gpg = ('gpg', '--batch', '--quiet', '--no-tty', '--pinentry-mode', 'loopback', '--passphrase', '');

# make_pair(NAME, ALGORITHM, SUBKEY): the public key of a new pair, armored.
sub make_pair
{
	my ($name, $algorithm, $subkey) = @_;
	system_or_bail(@gpg, '--quick-generate-key', "$name\@bank.example", $algorithm, 'sign', 'never');
	my ($list) = run_command([ @gpg, '--with-colons', '--list-keys', "$name\@bank.example" ]);
	my ($fingerprint) = $list =~ /^fpr:+([0-9A-F]+):/m;
	system_or_bail(@gpg, '--quick-add-key', $fingerprint, $subkey, 'encrypt', 'never');
	my ($armored) = run_command([ @gpg, '--armor', '--export', "$name\@bank.example" ]);
	return "$armored\n";
}

my $node = make_node('node', 'llm_audit.databases' => 'audit, restored',
	wal_level => 'logical', log_statement => 'none',
	'llm_audit.masking' => 'on', log_temp_files => 0, work_mem => '64kB');
$node->start;
make_database($node, 'audit');
$node->safe_psql('audit', q{
	CREATE EXTENSION pgcrypto;
	SELECT llm_audit.set_content_recording('*', '*', true, 'a test')});

# set_key(KEY, ARGUMENT...): the error, or nothing
sub set_key
{
	my ($key, $arguments) = @_;
	my ($status, $out, $err) = $node->psql('audit',
		"\\set VERBOSITY verbose\nSELECT llm_audit.set_original_key(\$key\$$key\$key\$, $arguments)");
	return $status == 0 ? '' : $err;
}

my $officer = make_pair('officer', 'rsa2048', 'rsa2048');
my $curve = make_pair('curve', 'ed25519', 'cv25519');
is(set_key($officer, q{'DPO-1'}), '', 'a public key of gpg');
like(set_key($curve, q{'DPO-1'}), qr/ERROR:  22023: that is not a public key that pgcrypto can encrypt to.*HINT:.*RSA/s,
	'one of a kind that pgcrypto does not know');
my ($private) = run_command([ @gpg, '--armor', '--export-secret-keys', 'officer@bank.example' ]);
like(set_key("$private\n", q{'DPO-1'}), qr/ERROR:  22023/, 'a private key does not belong here');

# Everything in it is unlike anything else in the cluster.
my $text = "Мой ИИН 870419301123, карта 4403123412344298,\nq.zhaksylykova\@plantedbank.kz 'quoted' \\ end";
my @secrets = ('870419301123', '4403123412344298', 'q.zhaksylykova', 'Мой ИИН 87');
my $long = join(' ', map { "слово$_" } 1 .. 20000) . ' 4403123412344298';

# insert(TEXT, REQUEST): stores a fragment by a bind parameter
sub insert
{
	my ($body, $request) = @_;
	my ($done, $out, $err) = run_pgbench($node, 'audit',
		'INSERT INTO llm_audit.llm_content (environment, service_name, call_id, request_id, ordinal, kind, body, body_bytes)'
		  . " VALUES ('prod', 'chat', gen_random_uuid(), '$request', 1, 'prompt', :v, 1);\n",
		'-t', 1, '-M', 'prepared', '-D', "v=$body");
	return $done ? '' : $err;
}
is(insert($text, 'direct'), '', 'a fragment');
is($node->safe_psql('audit', q{SELECT count(*) FROM (SELECT llm_audit.set_original_key(NULL, 'DPO-2', 'test')) AS s}), '1',
	'not in test');
my ($done, $out, $err) = run_pgbench($node, 'audit', "SELECT llm_audit.record_call(:v);\n", '-t', 1, '-M', 'prepared', '-D',
	'v={"request_id": "doc", "environment": "prod", "occurred_at": "2026-01-01T00:00:00Z", "service_name": "s",'
	  . ' "actor_id": "svc", "actor_type": "service", "operation_name": "chat", "provider_name": "p", "request_model": "m",'
	  . ' "status": "ok", "content": [{"role": "user", "body": "card 4403123412344298"}]}');
ok($done, 'a document') or diag($err);

# opened(REQUEST): what gpg makes of the original
sub opened
{
	my ($request) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . "/$request.gpg";
	open(my $message, '>:raw', $file) or die;
	print $message pack('H*', $node->safe_psql('audit',
		"SELECT encode(original_encrypted, 'hex') FROM llm_audit.llm_content WHERE request_id = '$request'"));
	close($message);
	my ($plain, $said) = ('', '');
	IPC::Run::run([ @gpg, '--decrypt', $file ], '>', \$plain, '2>', \$said) or diag($said);
	return $plain;
}
is(opened('direct'), $text, 'gpg opens it, to the byte');
is(opened('doc'), 'card 4403123412344298', 'also of a document');
unlike($node->safe_psql('audit', 'SELECT body FROM llm_audit.llm_content'), qr/4403123412344298|870419301123/,
	'what stands beside it is masked');
$node->safe_psql('audit',
	q{INSERT INTO llm_audit.llm_content (environment, call_id, request_id, ordinal, kind, body, body_bytes)}
	  . " VALUES ('prod', gen_random_uuid(), 'long', 1, 'prompt', '$long', 1)");
is(opened('long'), $long, 'a long one');
is($node->safe_psql('audit', q{SELECT count(DISTINCT original_encrypted) = count(*) FROM llm_audit.llm_content}), 't',
	'each message has a key of its own');

# A document that is larger than work_mem does not spill either.
my $seen = -s $node->logfile;
$node->safe_psql('audit', q{SELECT llm_audit.record_call(format('{"request_id": "huge", "environment": "prod",
	"occurred_at": "2026-01-01T00:00:00Z", "service_name": "s", "actor_id": "svc", "actor_type": "service",
	"operation_name": "chat", "provider_name": "p", "request_model": "m", "status": "ok",
	"content": [{"role": "user", "body": "%s"}]}', repeat('word ', 1000000)))});
is(length(opened('huge')), 4_999_999 + 1, 'a huge one');
unlike(slurp_file($node->logfile, $seen), qr/temporary file/, 'makes no temporary file');
$node->safe_psql('audit', 'SELECT count(*) FROM (SELECT i FROM generate_series(1, 100000) AS i ORDER BY random()) AS s');
like(slurp_file($node->logfile, $seen), qr/temporary file/, 'which would be told');

# Other keys for other services; and rows that fail leave nothing.
my $other = make_pair('other', 'rsa2048', 'rsa2048');
is(set_key($other, q{'DPO-3', 'prod', 'chat'}), '', 'another officer for a service');
is(insert($text, 'theirs'), '', 'a fragment for them');
is($node->safe_psql('audit', q{SELECT count(DISTINCT pgp_key_id(original_encrypted)) FROM llm_audit.llm_content}), '2',
	'goes to their key');
like(insert($text, ''), qr/ERROR/, 'a row that a constraint refuses');
$node->safe_psql('audit', 'DROP EXTENSION pgcrypto');
like(insert($text, 'without'), qr/extension "pgcrypto" is missing/, 'without pgcrypto no fragment is stored');
is($node->safe_psql('audit', q{SELECT count(*) FROM llm_audit.llm_content WHERE request_id = 'without'}), '0',
	'nor a part of it');
check_verify($node, 'audit', 'originals');

# a dump carries them, and who they are for
$node->safe_psql('postgres', 'CREATE DATABASE restored');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-h', $node->host, '-p', $node->port, 'audit' ], 'dump');
$node->command_ok([ 'pg_restore', '-h', $node->host, '-p', $node->port, '-d', 'restored', $dump ], 'restore');
is($node->safe_psql('restored', q{SELECT string_agg(md5(original_encrypted), ',' ORDER BY id) FROM llm_audit.llm_content}),
	$node->safe_psql('audit', q{SELECT string_agg(md5(original_encrypted), ',' ORDER BY id) FROM llm_audit.llm_content}),
	'the messages are the same');
is($node->safe_psql('restored', 'SELECT count(*) FROM llm_audit.original_recipient'), '3', 'and so are the keys');

$node->safe_psql('audit', 'CHECKPOINT');
$node->stop;
my %found;
find({ no_chdir => 1, wanted => sub {
	return unless -f $_;
	my $data = slurp_file($_);
	for my $secret (@secrets)
	{
		my $at = index($data, $secret);
		push @{ $found{$secret} }, $_ if $at >= 0;
	}
	push @{ $found{log} }, $_ if index($data, 'is missing') >= 0;
	push @{ $found{control} }, $_ if index($data, 'direct') >= 0 } }, $node->data_dir, $node->logfile);
ok((grep { m{/base/} } @{ $found{control} }), 'the search finds what is in a table');
ok((grep { m{/pg_wal/} } @{ $found{control} }), 'and in WAL');
ok((grep { $_ eq $node->logfile } @{ $found{log} }), 'and in the log');
is("@{ $found{$_} // [] }", '', "$_ is nowhere") for @secrets;

done_testing();
