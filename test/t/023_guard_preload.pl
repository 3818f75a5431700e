# What holds without shared_preload_libraries, and what only preloading gives.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('preload', shared_preload_libraries => '');
$node->start;

# Roles that somebody made beforehand, to be let in by them: whoever may make
# roles, and a table that depends on one, as the roles of an llm_audit would.
$node->safe_psql('postgres',
	'CREATE ROLE maker LOGIN CREATEROLE; CREATE ROLE attacker LOGIN; CREATE ROLE friend;'
	  . ' CREATE DATABASE audit; CREATE DATABASE second; GRANT CREATE ON DATABASE audit TO maker');
my @as_maker = (extra_params => [ '-U', 'maker' ]);
$node->safe_psql('audit',
	'CREATE ROLE llm_audit_admin; GRANT llm_audit_admin TO attacker; CREATE SCHEMA theirs;'
	  . ' CREATE TABLE theirs.t (); GRANT SELECT ON theirs.t TO llm_audit_admin', @as_maker);
my ($made, $said, $why) = $node->psql('audit', 'CREATE EXTENSION llm_audit');
like($why, qr/role "llm_audit_admin" exists and has members\nDETAIL: .*"attacker"/,
	'a role that somebody made and let himself into is refused');
# what one role has granted another cannot take back from PostgreSQL 16 on
$node->safe_psql('postgres', 'REVOKE llm_audit_admin FROM attacker', @as_maker);
$node->safe_psql('postgres', 'GRANT llm_audit_admin TO friend');
$node->safe_psql('second', 'SET llm_audit.accept_members = on; CREATE EXTENSION llm_audit');
$node->safe_psql('postgres', 'GRANT llm_audit_auditor TO maker WITH ADMIN OPTION');
$node->safe_psql('postgres', 'GRANT llm_audit_auditor TO attacker', @as_maker);
($made, $said, $why) = $node->psql('audit', 'CREATE EXTENSION llm_audit');
like($why, qr/role "llm_audit_auditor" exists and has members\nDETAIL: .*"attacker"/,
	'so is one of another database into which no superuser let him');
$node->safe_psql('postgres', 'REVOKE llm_audit_auditor FROM attacker', @as_maker);
$node->safe_psql('postgres', 'REVOKE llm_audit_auditor FROM maker');
$node->safe_psql('audit', 'DROP SCHEMA theirs CASCADE; CREATE EXTENSION llm_audit; DROP EXTENSION llm_audit');
pass('members whom a superuser let in, for the llm_audit of another database, are not');
$node->safe_psql('second', 'DROP EXTENSION llm_audit');
($made, $said, $why) = $node->psql('audit', 'CREATE EXTENSION llm_audit');
like($why, qr/role "llm_audit_admin" exists and has members\nDETAIL: .*"friend"/,
	'but without any llm_audit all members are');
# from PostgreSQL 16 on who makes a role is a member of it
$node->safe_psql('postgres', 'DROP DATABASE second; DROP DATABASE audit; REVOKE llm_audit_admin FROM friend, maker');
make_database($node, 'audit');
$node->safe_psql('audit',
	insert_calls(5, 'x') . "; INSERT INTO plain VALUES (1, 'note')");

sub refused
{
	my ($statement, $name) = @_;
	my ($status, $stdout, $stderr) = $node->psql('audit', $statement);
	return like($stderr, qr/ERROR:  cannot \w.* (ledger|extension)/, $name // $statement);
}

# Rows are guarded by triggers in every session.
my $leaf = current_leaf($node, 'audit', 'prod');
refused($_)
  for (
	'UPDATE plain SET note = NULL',
	'DELETE FROM plain',
	'TRUNCATE plain',
	"MERGE INTO plain USING (SELECT 1) AS s ON true WHEN MATCHED THEN DELETE",
	'DELETE FROM llm_audit.llm_call',
	'TRUNCATE llm_audit.llm_call',
	"DELETE FROM $leaf",
	"TRUNCATE $leaf",
	'SET session_replication_role = replica; DELETE FROM plain',
	'SET session_replication_role = replica; TRUNCATE plain');

# The HINT names every door.
for my $try ([ 'UPDATE plain SET note = NULL', qr/erase_subject\(\).*drop_ledger\(\)/ ],
	[ 'DELETE FROM plain', qr/purge\(\).*drop_ledger\(\)/ ],
	[ 'TRUNCATE plain', qr/purge\(\).*drop_ledger\(\)/ ])
{
	my ($statement, $doors) = @$try;
	my ($status, $stdout, $stderr) = $node->psql('audit', $statement);
	like($stderr, qr/HINT: .*$doors/, "$statement: the doors that there are");
}

# Match tokens of rows that may be dropped wait for the end of a statement that
# nobody watched from its beginning.
my $columns = call_columns();
for my $tokens (
	[ 'INSERT INTO llm_audit.llm_call (' . $columns . ', error_message) SELECT ' . call_values("'first-insert'")
		  . ", 'a\@planted.kz' ON CONFLICT DO NOTHING", 'first-insert' ],
	[ 'COPY llm_audit.llm_call (request_id, occurred_at, environment, service_name, actor_id, actor_type, operation_name,'
		  . " provider_name, request_model, status, error_message) FROM STDIN;\nfirst-copy\t2026-01-01\tprod\ts\tsvc"
		  . "\tservice\tchat\tp\tm\terror\tb\@planted.kz\n\\.\n", 'first-copy' ])
{
	my ($statement, $request) = @$tokens;
	$node->safe_psql('audit', $statement);
	is($node->safe_psql('audit', "SELECT entity FROM llm_audit.match_token WHERE request_id = '$request'"),
		'EMAIL_ADDRESS', "$request: its token is kept");
}

# Errors quote no value, be it in the session's first statement, which loads
# the library while it runs.
$node->safe_psql('audit', q{
	CREATE TABLE checked (n int CHECK (n < 100), note text, id uuid);
	SELECT llm_audit.create_ledger('checked');
	INSERT INTO checked (n, id) VALUES (1, '00000000-0000-7000-8000-0000000000aa')});
for (
	[ "INSERT INTO checked (n, note) VALUES (555, 'quoted')", 'first statement' ],
	[
		"INSERT INTO checked (note, id) VALUES ('quoted', '00000000-0000-7000-8000-0000000000aa')",
		'duplicate in the first statement'
	],
	[
		"INSERT INTO checked (n) VALUES (1); INSERT INTO checked (n, note) VALUES (555, 'quoted')",
		'second statement'
	],
	[
		"LOAD 'llm_audit'; COPY checked (n, note) FROM STDIN;\n555\tquoted\n\\.\n",
		'COPY'
	])
{
	my ($statement, $name) = @$_;
	my ($status, $stdout, $stderr) = $node->psql('audit', $statement);
	like($stderr, qr/violates/, "a violation, $name");
	unlike($stderr, qr/quoted|555|\bDETAIL\b.*aa/, "is reported without values, $name");
}

# The hooks are there as soon as the session has loaded the library.
refused("LOAD 'llm_audit'; $_", "after LOAD: $_")
  for (
	'DROP TABLE plain',
	'ALTER TABLE plain DISABLE TRIGGER ALL',
	'DROP EXTENSION llm_audit CASCADE');
refused(
	"INSERT INTO plain VALUES (2, 'x'); DROP TABLE plain",
	'after an insert: DROP TABLE plain');

# Settings are known to functions in a session that has not loaded it yet.
$node->safe_psql('audit', q{
	CREATE TABLE late (environment text, n int) PARTITION BY LIST (environment);
	DO $$
	DECLARE
		ledger uuid := llm_audit.enroll('late', 'plain', false, NULL, '{}', '1 month');
		number int;
	BEGIN
		PERFORM llm_audit.create_branch('late', 'late_test', 'test');
		FOR hours IN 3..4 LOOP
			number := llm_audit.make_segment(ledger, 'test',
				date_trunc('hour', now()) - make_interval(hours => hours),
				date_trunc('hour', now()) - make_interval(hours => hours - 1));
			PERFORM llm_audit.append_created(ledger, number);
		END LOOP;
		PERFORM llm_audit.append_columns(ledger), llm_audit.append_definition(ledger);
	END
	$$});
my $closed = q{SELECT count(*) FROM llm_audit.ledger_segment
	WHERE relation_name LIKE 'late\_%' AND state = 'closed'};
my $one = $node->safe_psql('audit',
	q{SELECT min(relation_name) FROM llm_audit.ledger_segment WHERE relation_name LIKE 'late\_%'});
is($node->safe_psql('audit', "SELECT llm_audit.close_segment('$one')"),
	't', 'close_segment() in a fresh session');
is($node->safe_psql('audit', $closed), '1', 'closes one segment');
$node->safe_psql('audit', 'CALL llm_audit.close_segments()');
is($node->safe_psql('audit', $closed),
	'2', 'close_segments() in a fresh session closes the other');
is($node->safe_psql('audit', "SELECT llm_audit.setting('seal_grace')"),
	'1h', 'the setting as it would be shown');
my ($status, $stdout, $stderr) = do
{
	local $ENV{PGOPTIONS} = '';
	$node->psql('audit', "SELECT llm_audit.match_token('a')");
};
like($stderr, qr/a reason is needed/, 'match_token() in a fresh session');
($status, $stdout, $stderr) =
  $node->psql('audit', "SELECT llm_audit.setting('no_such_setting')");
like($stderr, qr/unrecognized configuration parameter/, 'no such setting');

# Before that nothing can be refused but the change of rows.
$node->safe_psql('audit', 'ALTER TABLE plain DISABLE TRIGGER llm_audit_guard;'
	  . ' ALTER TABLE plain ENABLE ALWAYS TRIGGER llm_audit_guard');
pass('without preloading, DDL of a session that has not loaded it passes');

is($node->safe_psql('audit', 'SELECT count(*) FROM llm_audit.llm_call'),
	'7', 'the rows are there');

# Nothing refuses or records this, but verify tells of each.
my $findings = q{SELECT detail FROM llm_audit.verify() WHERE detail !~ 'trigger|shared_preload' ORDER BY detail COLLATE "C"};
is($node->safe_psql('audit', $findings), '', 'verify finds nothing but triggers before');
$node->safe_psql('audit', q{
	CREATE ROLE drift;
	GRANT EXECUTE ON FUNCTION llm_audit.setting(text) TO drift;
	GRANT UPDATE ON llm_audit.legal_hold TO drift;
	GRANT CREATE ON SCHEMA llm_audit TO drift;
	REVOKE SELECT ON llm_audit.approver_requests FROM llm_audit_approver;
	ALTER TABLE checked DROP CONSTRAINT checked_n_check, ADD CONSTRAINT checked_n_check CHECK (n < 1000);
	ALTER TABLE llm_audit.settlement ADD CONSTRAINT nothing CHECK (false) NOT VALID;
	CREATE UNIQUE INDEX once ON checked (note);
	CREATE POLICY hide ON checked AS RESTRICTIVE USING (false);
	CREATE POLICY show ON late USING (true)});
my $drifted = $node->safe_psql('audit', $findings);
for my $detail ('CREATE TO drift on schema llm_audit was not given by llm_audit',
	'EXECUTE TO drift on function llm_audit.setting(name text) was not given by llm_audit',
	'UPDATE TO drift on table llm_audit.legal_hold was not given by llm_audit',
	'SELECT on view approver_requests is not granted to llm_audit_approver any more',
	'constraint checked_n_check of public.checked was changed',
	'llm_audit.settlement has the constraint nothing, which it was not made with',
	'llm_audit.settlement_prod_default has the constraint nothing, which it was not made with',
	'public.checked has the unique index once',
	'policy hide of public.checked is on no record',
	'policy show of public.late is on no record')
{
	like($drifted, qr/^\Q$detail\E$/m, "verify: $detail");
}
unlike($drifted, qr/^(?!CREATE TO|EXECUTE TO|UPDATE TO|SELECT on|(?:constraint|policy) \w+ of public|llm_audit\.settlement\w* has|public\.checked has)/m,
	'verify: and of nothing else');
$node->safe_psql('audit', q{
	REVOKE EXECUTE ON FUNCTION llm_audit.setting(text) FROM drift;
	REVOKE UPDATE ON llm_audit.legal_hold FROM drift;
	REVOKE CREATE ON SCHEMA llm_audit FROM drift;
	GRANT SELECT ON llm_audit.approver_requests TO llm_audit_approver;
	ALTER TABLE checked DROP CONSTRAINT checked_n_check, ADD CONSTRAINT checked_n_check CHECK (n < 100);
	ALTER TABLE llm_audit.settlement DROP CONSTRAINT nothing;
	DROP INDEX once; DROP POLICY hide ON checked; DROP POLICY show ON late; DROP ROLE drift});
is($node->safe_psql('audit', $findings), '', 'nor of anything when all of it is taken back');
$node->append_conf('postgresql.conf',
	"shared_preload_libraries = 'llm_audit'\n");
$node->restart;
refused('ALTER TABLE plain DISABLE TRIGGER ALL',
	'preloaded: ALTER TABLE plain DISABLE TRIGGER ALL');
refused('DROP TABLE plain', 'preloaded: DROP TABLE plain');
is($node->safe_psql('audit', 'SELECT count(*) FROM plain'),
	'2', 'the rows are there still');
$node->stop;
done_testing();
