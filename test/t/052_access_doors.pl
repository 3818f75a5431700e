# COPY FROM of writers under row-level security, pg_dump, logins, and who is
# given what.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use LlmAccess;
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('node', 'llm_audit.databases' => 'audit, bare');
$node->start;
make_database($node, 'audit');
make_reader($node, 'audit');
await_writer($node, 'audit');

sub refused { return refused_is($node, @_); }

sub events
{
	my ($condition, $expression) = @_;
	return $node->safe_psql('audit',
		"SELECT string_agg($expression, ',' ORDER BY recorded_at, id) FROM llm_audit.admin_event WHERE $condition");
}

# ---------------- COPY FROM under row-level security ----------------

$node->safe_psql('audit', q{
	CREATE ROLE gateway LOGIN;
	GRANT llm_audit_writer TO gateway;
	CREATE ROLE half LOGIN;
	GRANT INSERT (request_id) ON llm_audit.match_token TO half;
	CREATE TABLE own (a int);
	ALTER TABLE own ENABLE ROW LEVEL SECURITY;
	GRANT INSERT ON own TO gateway;
	});
my $has_rls = $node->safe_psql('audit',
	"SELECT relrowsecurity FROM pg_class WHERE oid = 'llm_audit.llm_call'::regclass");
$node->safe_psql('audit', 'SET allow_system_table_mods = on;'
	  . " UPDATE pg_class SET relrowsecurity = true WHERE oid = 'llm_audit.llm_call'::regclass")
  unless $has_rls eq 't';
my $line = join "\t", 'copied-1', '2026-01-01 12:00+05', 300, 'prod', 'gateway', 'default', 'clerk', 'human',
  'chat', 'openai', 'gpt-4o', 1, 't', 'ok', 'internal';
my $copy = 'COPY llm_audit.llm_call (' . call_columns() . ") FROM STDIN;\n$line\n\\.\n";
my ($status, $out, $err) = run_as($node, 'audit', 'gateway', $copy);
is($status, 0, 'a writer may COPY into a ledger under row-level security') or diag $err;
is($node->safe_psql('audit', "SELECT recorded_by || ' ' || count(*) FROM llm_audit.llm_call"
		  . " WHERE request_id = 'copied-1' GROUP BY recorded_by"),
	'gateway 1', 'the row is recorded as the writer\'s own');
($status, $out, $err) = run_as($node, 'audit', 'gateway', "$copy SELECT current_user;");
is($out, 'gateway', 'the writer is the writer again afterwards');
($status, $out, $err) = run_as($node, 'audit', 'gateway',
	"\\set ON_ERROR_STOP off\nCOPY llm_audit.llm_call (request_id) FROM STDIN;\nx\n\\.\nSELECT current_user;");
is($out, 'gateway', 'after an error too');
refused('audit', $copy, qr/permission denied/, 'who may not insert may not COPY');
$node->safe_psql('audit', "SELECT llm_audit.set_scope('gateway', '{other}', '{prod}')");
refused('audit', $copy, qr/outside the scope of role "gateway"/, 'nor whose scope is another', 'gateway');
$node->safe_psql('audit', "SELECT llm_audit.set_scope('gateway', '{default}', '{prod}')");
($status, $out, $err) = run_as($node, 'audit', 'gateway', $copy);
is($status, 0, 'COPY within the scope') or diag $err;
refused('audit', "COPY llm_audit.match_token (request_id, token) FROM STDIN;\nx\ty\n\\.\n",
	qr/permission denied/, 'nor who may insert other columns only', 'half');
refused('audit', "COPY llm_audit.llm_call FROM '/etc/passwd'", qr/permission denied|must be|not supported/,
	'files are not read as anybody else', 'gateway');
refused('audit', "COPY own FROM STDIN;\n1\n\\.\n", qr/not supported with row-level security/,
	"a table of somebody's own is as ever", 'gateway');
refused('audit', 'SET ROLE llm_audit_copier', qr/permission denied/, 'nobody becomes the copier', 'gateway');
is($node->safe_psql('audit', q{
	SELECT string_agg(privilege_type, ',' ) FROM (SELECT DISTINCT x.privilege_type
	FROM pg_class c, aclexplode(c.relacl) x
	WHERE x.grantee = 'llm_audit_copier'::regrole) y}), 'INSERT', 'who may do nothing but INSERT');
refused('audit', "COPY llm_audit.access_log (environment) FROM STDIN;\nprod\n\\.\n",
	qr/permission denied|written by/, 'not into the access log', 'gateway');

# ---------------- pg_dump ----------------

{
	local $ENV{PGAPPNAME} = 'dump';
	local $ENV{PGOPTIONS} = '';
	my @dump = ('pg_dump', '-h', $node->host, '-p', $node->port, '-f', $node->basedir . '/dump.sql', 'audit');
	my ($o, $e);
	ok(!IPC::Run::run(\@dump, '>', \$o, '2>', \$e), 'pg_dump without a reason fails');
	like($e, qr/a reason is needed/, 'and says why');
	$ENV{PGOPTIONS} = '-c llm_audit.reason=backup';
	ok(IPC::Run::run(\@dump, '>', \$o, '2>', \$e), 'with a reason in PGOPTIONS it works') or diag $e;
}
is($node->safe_psql('audit', q{
	SELECT bool_and(exported) || ' ' || bool_and(reason = 'backup') || ' ' || bool_or(relations::text LIKE '%llm_call_prod%')
	FROM llm_audit.access_log WHERE application_name IN ('dump', 'pg_dump') AND event = 'read'}),
	'true true true', 'and each table that it read is recorded as an export');

# ---------------- who is given what ----------------

$node->safe_psql('audit', q{
	BEGIN;
	SET LOCAL llm_audit.reason = 'joined the team';
	SET LOCAL llm_audit.ticket = 'HR-5';
	CREATE ROLE anna LOGIN;
	GRANT llm_audit_auditor TO anna;
	COMMIT;
	REVOKE llm_audit_auditor FROM anna;
	CREATE ROLE bert LOGIN IN ROLE llm_audit_security;
	ALTER GROUP llm_audit_oncall ADD USER bert;
	CREATE ROLE desk;
	GRANT llm_audit_developer TO desk;
	GRANT desk TO bert;
	CREATE ROLE carl IN ROLE desk;
	DROP ROLE carl;
	SET llm_audit.restore = on;
	GRANT llm_audit_approver TO anna;
	RESET llm_audit.restore;
	GRANT SELECT, INSERT ON llm_audit.llm_call TO anna;
	REVOKE ALL ON llm_audit.llm_call FROM anna;
	GRANT EXECUTE ON FUNCTION llm_audit.mask(text) TO anna;
	CREATE POLICY p ON llm_audit.llm_call USING (true);
	DROP POLICY p ON llm_audit.llm_call;
	CREATE VIEW llm_audit.mine AS SELECT 1 AS a;
	DROP VIEW llm_audit.mine;
	BEGIN;
	GRANT llm_audit_admin TO anna;
	ROLLBACK;
	});
is(events("action IN ('role.granted', 'role.revoked') AND target_id <> 'llm_audit_writer'"
		  . " AND NOT \"after\" -> 'members' ? 'reader'",
		"action || ' ' || target_id || ' ' || (\"after\" -> 'members' ->> 0)"),
	'role.granted llm_audit_auditor anna,role.revoked llm_audit_auditor anna,'
	  . 'role.granted llm_audit_security bert,role.granted llm_audit_oncall bert,'
	  . 'role.granted llm_audit_developer desk,role.granted desk bert,role.granted desk carl,'
	  . 'role.revoked llm_audit_developer carl,role.granted llm_audit_approver anna',
	'memberships are admin events, but for those that are rolled back');
is(events("target_id = 'llm_audit_auditor' AND action = 'role.granted'", "reason || ' ' || ticket || ' ' || actor_id"),
	'joined the team HR-5 ' . $node->safe_psql('audit', 'SELECT session_user'), 'with reason and ticket');
is(events("action LIKE 'privilege.%' AND \"after\" -> 'grantees' ? 'anna'", "action || ' ' || target_id"),
	'privilege.granted llm_audit.llm_call,privilege.revoked llm_audit.llm_call,privilege.granted llm_audit.mask()',
	'privileges on ledgers and functions too');
is(events("action LIKE 'policy.%'", "action || ' ' || target_id"),
	'policy.created llm_audit.llm_call,policy.deleted llm_audit.llm_call', 'and policies');
is(events("action = 'ledger.changed' AND target_type = 'view'", 'target_id'), 'llm_audit.mine,llm_audit.mine',
	'and views');
refused('postgres', 'GRANT llm_audit_auditor TO anna', qr/cannot be changed in this database.*llm_audit.databases/s,
	'in a database without a ledger a role of ours cannot be granted', 'postgres');
refused('postgres', 'GRANT desk TO anna', qr/cannot be changed/, 'nor through a group', 'postgres');
refused('postgres', 'REVOKE llm_audit_oncall FROM bert', qr/cannot be changed/, 'nor revoked', 'postgres');
refused('postgres', 'ALTER ROLE llm_audit_auditor LOGIN', qr/cannot be changed/, 'nor altered', 'postgres');
refused('postgres', 'DROP ROLE llm_audit_approver', qr/cannot be changed/, 'nor dropped', 'postgres');
refused('postgres', 'CREATE ROLE eve IN ROLE llm_audit_admin', qr/cannot be changed/, 'nor given at birth', 'postgres');
refused('postgres', 'ALTER GROUP llm_audit_admin ADD USER anna', qr/cannot be changed/, 'nor by ALTER GROUP', 'postgres');
refused('postgres', 'ALTER ROLE llm_audit_auditor SET search_path = public', qr/cannot be changed/, 'nor its settings', 'postgres');
is($node->safe_psql('postgres', 'CREATE ROLE other; GRANT other TO anna; SELECT 1'), '1',
	'other roles are as ever');
$node->safe_psql('postgres', 'CREATE DATABASE bare');
refused('bare', 'GRANT llm_audit_auditor TO anna', qr/cannot be changed in this database/,
	'nor in a listed database without llm_audit', 'postgres');

# DDL on ledgers and views, and rights that come by a way of their own.
my @changes = (
	[ 'CREATE STATISTICS llm_audit.s ON status, attempt FROM llm_audit.llm_call', 'ledger.changed llm_audit.llm_call' ],
	[ 'DROP STATISTICS llm_audit.s', 'ledger.changed llm_audit.llm_call' ],
	[ 'ALTER TABLE llm_audit.llm_call ALTER COLUMN status SET STATISTICS 50', 'ledger.changed llm_audit.llm_call' ],
	[ 'CREATE VIEW llm_audit.moved AS SELECT 1 AS a', 'ledger.changed llm_audit.moved' ],
	[ 'CREATE RULE r AS ON INSERT TO llm_audit.moved DO INSTEAD NOTHING', 'ledger.changed llm_audit.moved' ],
	[ 'ALTER VIEW llm_audit.moved SET SCHEMA public', 'ledger.changed llm_audit.moved' ],
	[ 'GRANT SELECT ON llm_audit.oncall_calls TO llm_audit_writer', 'privilege.granted llm_audit.oncall_calls' ],
	[ 'REVOKE SELECT ON llm_audit.oncall_calls FROM llm_audit_writer', 'privilege.revoked llm_audit.oncall_calls' ],
	[ 'GRANT SET ON PARAMETER "llm_audit.restore" TO anna', 'privilege.granted llm_audit.restore' ],
	[ 'REVOKE SET ON PARAMETER "llm_audit.restore" FROM anna', 'privilege.revoked llm_audit.restore' ],
	[ 'GRANT SET ON PARAMETER work_mem TO anna', undef ],
	[ 'ALTER DEFAULT PRIVILEGES IN SCHEMA llm_audit GRANT SELECT ON TABLES TO anna', 'privilege.granted default privileges' ],
	[ 'ALTER DEFAULT PRIVILEGES IN SCHEMA llm_audit REVOKE SELECT ON TABLES FROM anna', 'privilege.revoked default privileges' ],
	[ 'ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO anna', undef ],
	[ 'ALTER ROLE llm_audit_auditor SET statement_timeout = 0', 'role.updated llm_audit_auditor' ],
	[ 'ALTER ROLE llm_audit_auditor RESET statement_timeout', 'role.updated llm_audit_auditor' ],
	[ 'ALTER SYSTEM SET llm_audit.access_timeout = 21000', 'setting.changed llm_audit.access_timeout' ],
	[ 'ALTER SYSTEM RESET llm_audit.access_timeout', 'setting.changed llm_audit.access_timeout' ],
	[ 'ALTER SYSTEM SET Full_Page_Writes = on', 'setting.changed full_page_writes' ],
	[ 'ALTER SYSTEM RESET full_page_writes', 'setting.changed full_page_writes' ],
	[ q{ALTER SYSTEM SET work_mem = '4MB'}, undef ],
	[ 'ALTER SYSTEM RESET work_mem', undef ],
	[ 'ALTER DATABASE audit SET llm_audit.row_records = strict', 'setting.changed llm_audit.row_records' ],
	[ 'ALTER DATABASE audit RESET ALL', 'setting.changed ALL' ],
	[ 'ALTER ROLE anna SET session_replication_role = replica', 'setting.changed session_replication_role' ],
	[ 'ALTER ROLE anna RESET session_replication_role', 'setting.changed session_replication_role' ],
	[ 'ALTER ROLE ALL IN DATABASE audit SET row_security = on', 'setting.changed row_security' ],
	[ 'ALTER ROLE ALL IN DATABASE audit RESET row_security', 'setting.changed row_security' ],
	[ 'GRANT SELECT ON llm_audit.oncall_calls TO anna', 'privilege.granted llm_audit.oncall_calls' ],
	[ 'DROP OWNED BY anna', 'privilege.revoked anna' ],
	[ 'CREATE STATISTICS sp ON a, b FROM pair', undef ]);
$node->safe_psql('audit', 'CREATE TABLE pair (a int, b int)');
for my $change (@changes)
{
	my ($command, $event) = @$change;
	my $mark = $node->safe_psql('audit', 'SELECT clock_timestamp()');
	$node->safe_psql('audit', $command);
	is(events("occurred_at > '$mark'", "action || ' ' || target_id"), $event // '',
		$event ? "$command: is an event" : "$command: is none");
}
is(events("target_id = 'llm_audit.row_records' AND action = 'setting.changed'", '"after"::text'),
	'{"value": "strict", "database": "audit"}', 'with the value and where it is set');
is(events("target_id = 'row_security'", '"after"::text'),
	'{"role": "ALL", "value": "on", "database": "audit"},{"role": "ALL", "database": "audit"}', 'for whom, too');
($status, $out, $err) = $node->psql('audit', q{ALTER SYSTEM SET llm_audit.access_timeout = 'never'});
is(events("target_id = 'llm_audit.access_timeout'", q{coalesce("after" ->> 'value', '-')}), '21000,-', 'ALTER SYSTEM that failed is no event');
# what keeps a record from being written may be a setting: it can be changed all the same
my $locker = $node->background_psql('audit');
$locker->query_safe('BEGIN; LOCK TABLE llm_audit.admin_event');
($status, $out, $err) = $node->psql('audit', qq{SET lock_timeout = '200ms';\nALTER SYSTEM SET llm_audit.access_timeout = 22000});
is($status, 0, 'ALTER SYSTEM is possible where no record is');
like($err, qr/WARNING: +the change of a setting could not be recorded/, 'and says so');
isnt($node->psql('audit', qq{SET lock_timeout = '200ms';\nALTER ROLE anna SET row_security = off}), 0,
	'what can be rolled back is not possible without');
$locker->query_safe('ROLLBACK');
$locker->quit;
$node->safe_psql('audit', 'DROP VIEW public.moved');

# ---------------- logins ----------------

is(events("action LIKE 'login.%'", 'action'), '', 'logins are not recorded unless that is wanted');
$node->append_conf('postgresql.conf', "llm_audit.log_logins = on\n");
my $hba = $node->data_dir . '/pg_hba.conf';
my $rules = slurp_file($hba);
open(my $file, '>', $hba) or die "$hba: $!";
print $file "local all bert scram-sha-256\n$rules";
close($file);
$node->reload;
$node->poll_query_until('audit', "SELECT setting = 'on' FROM pg_settings WHERE name = 'llm_audit.log_logins'");
$node->psql('audit', 'SELECT 1', extra_params => [ '-U', 'anna' ]);
{
	local $ENV{PGPASSWORD} = 'wrong';
	$node->psql('audit', 'SELECT 1', extra_params => [ '-U', 'bert' ]);
}
# who is asked for a password and hangs up has not tried
$node->psql('audit', 'SELECT 1', extra_params => [ '-w', '-U', 'bert' ]);
$node->psql('postgres', 'SELECT 1', extra_params => [ '-U', 'anna' ]);
$node->poll_query_until('audit', "SELECT count(*) >= 3 FROM llm_audit.admin_event WHERE action LIKE 'login.%' AND actor_id IN ('anna', 'bert')");
is(events("action LIKE 'login.%' AND actor_id IN ('anna', 'bert')", "action || ' ' || actor_id || ' ' || target_id || ' ' || outcome"),
	'login.succeeded anna audit success,login.failed bert audit denied,login.succeeded anna postgres success',
	'logins and failures are, to any database');

# A login waits for nothing: not for the writer, not for room.
my $pid = $node->safe_psql('audit', "SELECT worker_pid FROM llm_audit.access_status() WHERE database = 'audit'");
kill 'STOP', $pid;
is($node->safe_psql('audit', 'SELECT 1'), '1', 'a writer that stands still delays no login');
kill 'CONT', $pid;
# verify tells of a grant that was not made by llm_audit
$node->safe_psql('audit', 'REVOKE INSERT (request_id) ON llm_audit.match_token FROM half');
check_verify($node, 'audit', 'at the end') if $has_rls eq 't';

# ---------------- commands side by side ----------------

# What they change is written to ledgers that are being changed themselves.
my @sides = ('CREATE POLICY side ON llm_audit.admin_event USING (true); DROP POLICY side ON llm_audit.admin_event',
	'CREATE POLICY side ON llm_audit.segment_event USING (true); DROP POLICY side ON llm_audit.segment_event',
	'ALTER TABLE llm_audit.segment_event_pilot ENABLE ROW LEVEL SECURITY',
	'ALTER TABLE llm_audit.admin_event_prod ENABLE ROW LEVEL SECURITY');
my ($ran, $said, $errors) = run_pgbench($node, 'audit',
	join("\n", map { "\\if :client_id = $_\n" . join(";\n", split /; /, $sides[$_]) . ";\n\\endif" } 0 .. 3) . "\n",
	'-c', '4', '-j', '2', '-t', '40');
ok($ran && $said =~ m{actually processed: 160/160}, 'commands on ledgers of events take turns') or diag $errors;
check_verify($node, 'audit', 'after these commands') if $has_rls eq 't';

# A restore comes to parts that have their ledger, but no guard yet.
sub exchange_guard
{
	my ($from, $to) = @_;
	$node->safe_psql('audit', "SET allow_system_table_mods = on;
		UPDATE pg_trigger SET tgfoid = 'llm_audit.$to()'::regprocedure
			WHERE tgrelid = 'llm_audit.admin_event_prod'::regclass
			AND tgname = 'llm_audit_guard' AND tgfoid = 'llm_audit.$from()'::regprocedure");
	return;
}
exchange_guard('ledger_guard', 'ledger_guard_row');
($ran, $said, $errors) = run_pgbench($node, 'audit',
	"\\if :client_id % 2 = 0\nALTER TABLE llm_audit.admin_event ENABLE ROW LEVEL SECURITY;\n"
	  . "\\else\nALTER TABLE llm_audit.admin_event_prod ENABLE ROW LEVEL SECURITY;\n\\endif\n",
	'-c', '4', '-j', '2', '-t', '40');
ok($ran && $said =~ m{actually processed: 160/160}, 'also those on a part that is not guarded yet') or diag $errors;
exchange_guard('ledger_guard_row', 'ledger_guard');
check_verify($node, 'audit', 'after those, too') if $has_rls eq 't';

$node->stop;
done_testing();
