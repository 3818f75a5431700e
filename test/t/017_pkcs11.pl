# Keys that follow from a private key on a PKCS#11 token, which never leaves
# it: made by softhsm2, reached by OpenSSL's engine or provider for such URIs.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($module) = grep { -e $_ } glob('/usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so');
my ($bridge) = grep { -e $_ } glob('/usr/lib/*/engines-3/pkcs11.so /usr/lib/*/ossl-modules/pkcs11.so');
plan skip_all => 'softhsm2 is not installed' unless defined $module && `which softhsm2-util` ne '';
plan skip_all => 'OpenSSL has neither engine nor provider for PKCS#11 (libengine-pkcs11-openssl)' unless defined $bridge;

my $node = make_node('node');
my $base = $node->basedir;
my $keys = "$base/keys";
my $pin = '735519';

# The token, and where the server's OpenSSL finds it
mkdir("$base/tokens", 0700) or die;
append_to_file("$base/softhsm2.conf", "directories.tokendir = $base/tokens\nobjectstore.backend = file\nlog.level = ERROR\n");
$ENV{SOFTHSM2_CONF} = "$base/softhsm2.conf";
$ENV{PKCS11_MODULE_PATH} = $module;
if ($bridge =~ /ossl-modules/)
{
	append_to_file("$base/openssl.cnf", "openssl_conf = i\n[i]\nproviders = p\n[p]\ndefault = d\npkcs11 = t\n[d]\nactivate = 1\n"
		  . "[t]\nmodule = $bridge\npkcs11-module-path = $module\nactivate = 1\n");
	$ENV{OPENSSL_CONF} = "$base/openssl.cnf";
}
system_or_bail('softhsm2-util', '--init-token', '--free', '--label', 'audit', '--pin', $pin, '--so-pin', '1234567');
sub import_key
{
	my ($label, $id) = @_;
	system_or_bail('openssl', 'genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', "$base/$label.pem");
	system_or_bail('softhsm2-util', '--import', "$base/$label.pem", '--token', 'audit', '--label', $label, '--id', $id, '--pin', $pin);
	return;
}
import_key('masking', 'aa');
import_key('newer', 'bb');

# set_keys(LINE...): the key file
sub set_keys
{
	unlink($keys);
	umask(077);
	append_to_file($keys, join("\n", @_) . "\n");
	return;
}
append_to_file("$base/pin", $pin);
chmod(0600, "$base/pin");
my $token = "hsm1 pkcs11:token=audit;object=masking;type=private?pin-value=$pin";
my $newer = "hsm2 pkcs11:token=audit;object=newer;type=private?pin-source=file:$base/pin";
my $names = "SELECT llm_audit.pseudonym('somebody', 'actor_id')";
set_keys($token);
$node->start;
make_database($node, 'audit');

my $first = $node->safe_psql('audit', $names);
like($first, qr/^\{hsm1:.{32}\}$/, 'a pseudonym under a key of the token');
is($node->safe_psql('audit', $names), $first, 'another session makes the same');

# The same private key in a file gives the same: it is the key that counts,
# and an escrowed copy of it serves if the token is lost.
chmod(0600, "$base/masking.pem");
set_keys("hsm1 file:$base/masking.pem");
is($node->safe_psql('audit', $names), $first, 'and so does an escrowed copy in a file');

set_keys($newer, $token);
my ($of_newer) = $node->safe_psql('audit', $names) =~ /^\{(hsm2:.{32}),hsm1:/;
ok(defined $of_newer, 'rotated to another key of the token, its PIN in a file');
is($node->safe_psql('audit', $names), "{$of_newer," . substr($first, 1), 'under both keys');

# Rows are written with it
$node->safe_psql('audit', 'INSERT INTO llm_audit.llm_call (' . call_columns() . ', end_user_id) SELECT '
	  . call_values("'hsm'") . ", 'somebody'");
like($node->safe_psql('audit', 'SELECT end_user_id FROM llm_audit.llm_call'), qr/^hsm2:/, 'a row is hashed with it');

# What fails, fails closed, and tells neither PIN nor URI
my %broken = (
	'no such object' => 'x pkcs11:token=audit;object=none;type=private?pin-value=735519',
	'no such token' => 'x pkcs11:token=none;object=masking;type=private?pin-value=735519',
	'no PIN' => 'x pkcs11:token=audit;object=masking;type=private',
	'a wrong PIN' => 'x pkcs11:token=audit;object=masking;type=private?pin-value=9999');
for my $name (sort keys %broken)
{
	set_keys($broken{$name});
	my ($status, $out, $err) = $node->psql('audit', 'INSERT INTO llm_audit.llm_call (' . call_columns()
		  . ', end_user_id) SELECT ' . call_values("'broken'") . ", 'somebody'");
	like($err, qr/cannot be used.*OpenSSL finds no private key/s, "$name: the insert fails");
}
set_keys($newer);
is($node->safe_psql('audit', "SELECT count(*) FROM llm_audit.llm_call WHERE request_id = 'broken'"), '0', 'nothing is stored');
$node->stop;
my $log = slurp_file($node->logfile);
unlike($log, qr/$pin|9999|pin-value|pkcs11:/, 'the log has neither PIN nor URI');
done_testing();
