# Searches by identifier are few and recorded, whatever the searcher does: the
# limit holds over rollbacks, sessions, writers and servers that end.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use LlmAccess;
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('node', 'llm_audit.match_token_limit' => 3);
fake_clock($node);
start_faked($node);
make_database($node, 'audit');
await_writer($node, 'audit');
$node->safe_psql('audit', join '', map { "CREATE ROLE $_ LOGIN IN ROLE llm_audit_security;" } qw(ann bob cho dan));

my $search = "SELECT cardinality(llm_audit.match_token('87771234567')) > 0;";
my $with_reason = "BEGIN; SET LOCAL llm_audit.reason = 'INC-7';";

# How many searches of a login are on record.
sub searches_of
{
	my ($login) = @_;
	return $node->safe_psql('audit',
		"SELECT count(*) FROM llm_audit.admin_event WHERE action = 'token.matched' AND actor_id = '$login'");
}

sub searches
{
	my ($login, $name) = @_;
	my ($status, $out, $err) = run_as($node, 'audit', $login, "$with_reason $search ROLLBACK;");
	is($status, 0, "$name: searches") or diag $err;
	is($out, 't', "$name: is told tokens");
	return;
}

sub refused
{
	my ($login, $name) = @_;
	my $tag = refused_is($node, 'audit', "$with_reason $search COMMIT;",
		qr/too many searches by identifier within an hour.*match_token_limit/s, $name, $login);
	await_log($node, 'audit', "application_name = '$tag' AND event = 'refused' AND error_code = '42501' AND refusal LIKE 'too many%'",
		"$name: the refusal is in the access log");
	return;
}

# ---------------- rolled back, caught ----------------

searches('ann', "search $_, rolled back") for 1 .. 2;
my ($status, $out, $err) = run_as($node, 'audit', 'ann', qq{$with_reason
	DO \$\$ BEGIN
		PERFORM llm_audit.match_token('87771234567');
		RAISE EXCEPTION 'no';
	EXCEPTION WHEN raise_exception THEN NULL;
	END \$\$; ROLLBACK;});
is($status, 0, 'a search in a block that fails') or diag $err;
is(searches_of('ann'), 3, 'all are on record');
refused('ann', 'the fourth');
is(searches_of('ann'), 3, 'which is no search');
searches('bob', 'somebody else');
refused_is($node, 'audit', $search, qr/a reason is needed/, 'without a reason', 'bob');
is(searches_of('bob'), 1, 'a search without a reason does not count');

# ---------------- many at once ----------------

my $script = "BEGIN;\nSET LOCAL llm_audit.reason = 'INC-8';\nSELECT llm_audit.match_token('87771234567');\nCOMMIT;\n";
{
	local $ENV{PGOPTIONS} = '';
	run_pgbench($node, 'audit', $script, '-U', 'cho', '-c', '12', '-j', '2', '-t', '1');
}
is(searches_of('cho'), 3, 'of twelve at once three may');
refused('cho', 'one after them');

# ---------------- another writer, another server ----------------

my $writer = $node->safe_psql('audit', 'SELECT worker_pid FROM llm_audit.access_status() WHERE database = current_database()');
$node->safe_psql('audit', "SELECT pg_terminate_backend($writer, 10000)");
ok($node->poll_query_until('audit', "SELECT worker_pid <> $writer AND state = 'running' FROM llm_audit.access_status() WHERE database = current_database()"),
	'another writer has come');
refused('ann', 'with another writer');
searches('bob', 'the second, with another writer');
$node->stop('immediate');
start_faked($node);
await_writer($node, 'audit');
refused('cho', 'after a crash of the server');
searches('bob', 'the third, after a crash');
refused('bob', 'the fourth, after a crash');

# ---------------- a writer that fails ----------------

# What a failed transaction has counted is counted anew.
$node->safe_psql('audit', q{
	CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'disk full' USING ERRCODE = '53100'; END $$});
$node->stop;
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\nallow_system_table_mods = on\n");
$node->start;
$node->safe_psql('audit', q{CREATE TRIGGER fails BEFORE INSERT ON llm_audit.admin_event FOR EACH ROW
	WHEN (NEW.action = 'token.matched') EXECUTE FUNCTION fails()});
$node->stop;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'llm_audit'\n");
start_faked($node);
await_writer($node, 'audit');
refused_is($node, 'audit', "$with_reason $search COMMIT;", qr/could not be written/, "search $_, that cannot be recorded", 'dan') for 1 .. 4;
is(searches_of('dan'), 0, 'none of them is on record');
$node->stop;
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->start;
$node->safe_psql('audit', 'DROP TRIGGER fails ON llm_audit.admin_event');
$node->stop;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'llm_audit'\n");
start_faked($node);
await_writer($node, 'audit');
searches('dan', 'when it can be recorded again');

# ---------------- no writer, no search ----------------

$node->safe_psql('audit', "SET llm_audit.reason = 'x'; SELECT llm_audit.pause_workers('20 s')");
refused_is($node, 'audit', "$with_reason $search COMMIT;", qr/access writer of database "audit" is paused/,
	'while the writer is paused', 'dan');
$node->safe_psql('audit', "SET llm_audit.reason = 'x'; SELECT llm_audit.pause_workers('0')");
await_writer($node, 'audit');
is(searches_of('dan'), 1, 'one that was refused is not on record');

# ---------------- an hour later ----------------

set_clock($node, 3700);
searches('ann', 'an hour later');
is(searches_of('ann'), 4, 'which is on record with the others');
check_verify($node, 'audit', 'the ledgers');

$node->stop;
done_testing();
