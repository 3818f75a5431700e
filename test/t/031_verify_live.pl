# verify while the server is in use: under writers, on a standby, waiting for
# a lock, cancelled; and what DISABLE TRIGGER leaves behind where the library
# is not preloaded.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = make_node('live', max_parallel_workers => 4, max_worker_processes => 12);
$node->start;
make_database($node, 'audit');

#
# A snapshot sees a prefix of every lane, so no moment looks wrong.
#
my $script = PostgreSQL::Test::Utils::tempdir() . '/load.sql';
append_to_file($script, <<'SQL');
\set k random(1, 6)
BEGIN;
INSERT INTO plain SELECT i, 'row' FROM generate_series(1, :k) AS i;
SAVEPOINT s;
INSERT INTO plain VALUES (0, 'not kept');
ROLLBACK TO s;
INSERT INTO plain VALUES (7, 'kept');
\if :k = 6
ROLLBACK;
\else
COMMIT;
\endif
SQL
my ($out, $err) = ('', '');
my $load = IPC::Run::start(
	[
		'pgbench', '-n', '-c', 16, '-j', 2, '-T', 15, '-f', $script,
		'-h', $node->host, '-p', $node->port, 'audit'
	],
	'>', \$out, '2>', \$err);
$node->poll_query_until('audit', 'SELECT count(*) > 100 FROM plain')
  or die 'the writers do not write';
my ($runs, @found) = (0);
my $until = time() + 11;
while (time() < $until)
{
	for my $workers (0, 2)
	{
		push @found, $node->safe_psql('audit',
			"SELECT lane, seq, finding, detail FROM llm_audit.verify('plain', workers => $workers)");
		$runs++;
	}
}
$load->finish;
cmp_ok($runs, '>=', 2, "$runs runs under 16 writers");
is(join("\n", grep { $_ ne '' } @found), '', 'none of them found anything');
cmp_ok($node->safe_psql('audit', 'SELECT count(DISTINCT chain_lane) FROM plain'),
	'>', 5, 'there were several lanes');
check_verify($node, 'audit', 'after the writers');

# The rows that verify counts are the rows that are there.
is( $node->safe_psql('audit', q{
		SELECT s.rows = (SELECT count(*) FROM plain)
			AND s.lanes = (SELECT count(DISTINCT chain_lane) FROM plain)
		FROM llm_audit.verify_summary('plain') s}),
	't', 'every row of every lane was read');

#
# Maintenance that moves rows or exchanges indexes while verify runs.
#
$node->safe_psql('audit', q{
	CREATE TABLE moved (n int);
	SELECT llm_audit.create_ledger('moved');
	INSERT INTO moved SELECT generate_series(1, 150000);
});
my $chores = PostgreSQL::Test::Utils::tempdir() . '/chores.sql';
append_to_file($chores, <<'SQL');
INSERT INTO moved SELECT generate_series(1, 1000);
VACUUM FULL moved;
REINDEX TABLE CONCURRENTLY moved;
CLUSTER moved USING moved_id_idx;
VACUUM (FREEZE) moved;
SQL
$load = IPC::Run::start(
	[
		'pgbench', '-n', '-c', 1, '-T', 12, '-f', $chores,
		'-h', $node->host, '-p', $node->port, 'audit'
	],
	'>', \$out, '2>', \$err);
($runs, @found) = (0);
$until = time() + 10;
while (time() < $until)
{
	for my $workers (0, 2)
	{
		push @found, $node->safe_psql('audit',
			"SELECT lane, seq, finding, detail FROM llm_audit.verify('moved', workers => $workers)");
		$runs++;
	}
}
ok($load->finish, 'VACUUM FULL, REINDEX CONCURRENTLY and CLUSTER ran');
is(join("\n", grep { $_ ne '' } @found), '', "none of $runs runs beside them found anything");
unlike($err, qr/ERROR/, 'none of them failed');

#
# More rows than a unit has: the first row of a unit is linked to the last
# one of the unit before.
#
$node->safe_psql('audit', q{
	CREATE TABLE long (n int);
	SELECT llm_audit.create_ledger('long');
	INSERT INTO long SELECT generate_series(1, 250000);
	CREATE PROCEDURE triggers(relation regclass, state "char") LANGUAGE plpgsql AS $$
	BEGIN
		UPDATE pg_trigger SET tgenabled = state WHERE tgrelid = relation;
		UPDATE pg_class SET reltuples = reltuples WHERE oid = relation;
	END $$;
});
check_verify($node, 'audit', 'three units');
my $harm = q{
	SET allow_system_table_mods = on;
	BEGIN;
	CALL triggers('long', 'D');
	%s;
	CALL triggers('long', 'A');
	SELECT seq, finding FROM llm_audit.verify('long', workers => %d) ORDER BY 1, 2;
	ROLLBACK;
};
for my $workers (0, 3)
{
	my $rehash = 'UPDATE long SET n = -1 WHERE chain_seq = 100000;'
	  . q{UPDATE long SET row_hash = sha256(llm_audit.row_preimage('long', id)) WHERE n = -1};
	is($node->safe_psql('audit', sprintf($harm, $rehash, $workers)),
		'100001|link_broken', "the link between two units is checked, $workers workers");
	is( $node->safe_psql('audit', sprintf($harm,
				'DELETE FROM long WHERE chain_seq BETWEEN 99990 AND 200010', $workers)),
		'99990|row_missing', "a gap over three units is one finding, $workers workers");
	is( $node->safe_psql('audit', sprintf($harm,
				'UPDATE long SET n = n + 1 WHERE chain_seq % 1000 = 0', $workers)),
		join("\n", map { 1000 * $_ . '|row_altered' } 1 .. 250),
		"findings of all units arrive, $workers workers");
}

#
# Progress: a run that waits for a lock is seen, and speaks up afterwards.
#
my ($in, $bout, $berr) = ('', '', '');
my $holder = IPC::Run::start(
	[ 'psql', '-X', '-q', '-A', '-t', '-h', $node->host, '-p', $node->port, '-d', 'audit' ],
	'<', \$in, '>', \$bout, '2>', \$berr);
$in .= "BEGIN; LOCK TABLE long IN ACCESS EXCLUSIVE MODE; SELECT 'locked';\n";
$holder->pump until $bout =~ /locked/;
my ($vout, $verr) = ('', '');
my $waiting = IPC::Run::start(
	[
		'psql', '-X', '-q', '-A', '-t', '-h', $node->host, '-p', $node->port, '-d', 'audit',
		'-c', q{SELECT count(*) FROM llm_audit.verify(workers => 0)}
	],
	'>', \$vout, '2>', \$verr);
ok( $node->poll_query_until('audit',
		q{SELECT count(*) = 1 FROM llm_audit.verify_progress WHERE ledger IS NULL AND pid <> pg_backend_pid()}),
	'the run is in verify_progress');
is( $node->safe_psql('postgres', 'CREATE DATABASE elsewhere')
	  . $node->safe_psql('elsewhere', 'CREATE EXTENSION llm_audit; SELECT count(*) FROM llm_audit.verify_progress'),
	'0', 'but not in another database');
usleep(5_500_000);
$in .= "COMMIT;\n\\q\n";
$holder->finish;
$waiting->finish;
is($vout, "0\n", 'it waited for the lock and found nothing');
like($verr, qr/NOTICE: +verify: \d+ of \d+ units done, \d+ rows, 0 findings/, 'and told how far it was');
is($node->safe_psql('audit', 'SELECT count(*) FROM llm_audit.verify_progress'), '0', 'then it is gone from the view');

# A cancel ends it at once, workers or not, and leaves no slot behind.
for my $workers (0, 3)
{
	my ($ret, $sout, $serr) = $node->psql('audit',
		"SET statement_timeout = 50; SELECT * FROM llm_audit.verify(workers => $workers) CROSS JOIN generate_series(1, 100)");
	isnt($ret, 0, "cancelled, $workers workers");
	like($serr, qr/canceling statement due to statement timeout/, "by the timeout, $workers workers");
	is($node->safe_psql('audit', 'SELECT count(*) FROM llm_audit.verify_progress'), '0', "no slot is left, $workers workers");
}
check_verify($node, 'audit', 'after the cancels');

#
# A standby, with workers.
#
$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
$node->safe_psql('audit', 'INSERT INTO long VALUES (0)');
$node->wait_for_catchup($standby);
is($standby->safe_psql('audit', 'SELECT pg_is_in_recovery()'), 't', 'a standby');
is( $standby->safe_psql('audit', q{
		SELECT findings, workers_used > 0, rows > 250000
		FROM llm_audit.verify_summary(workers => 2)}),
	'0|t|t', 'verify runs on the standby, with workers');
$standby->stop;

#
# Not preloaded: there are no hooks, so a superuser can ALTER TABLE.
#
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->restart;
my ($ret, $sout, $serr) = $node->psql('audit', 'ALTER TABLE plain DISABLE TRIGGER ALL');
SKIP:
{
	skip 'triggers cannot be disabled without preloading either', 4 if $ret != 0;
	$node->safe_psql('audit', q{
		UPDATE plain SET note = 'forged' WHERE chain_lane = 0 AND chain_seq = 5;
		ALTER TABLE plain ENABLE TRIGGER ALL;
	});
	my $found = $node->safe_psql('audit', 'SELECT finding, lane, seq, detail FROM llm_audit.verify()');
	like($found, qr/^row_altered\|0\|5\|/m, 'the row is found');
	is(scalar(() = $found =~ /is not enabled always/g), 3, 'and the triggers that are no longer ENABLE ALWAYS');
	like($found, qr/^catalog_drift\|\|\|llm_audit is not in shared_preload_libraries/m, 'and that there is no preloading');
	is(scalar(split /\n/, $found), 5, 'and nothing else');
}
is($node->safe_psql('audit', 'SELECT count(*) FROM llm_audit.verify_progress'), '0', 'without preloading the view is empty');
like($node->safe_psql('audit', q{SELECT hint FROM llm_audit.readiness() WHERE item = 'library preloaded' AND NOT ok}),
	qr/shared_preload_libraries/, 'and readiness says so');

# Nor is a database guarded whose reads nothing records.
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'llm_audit'\nllm_audit.databases = 'other'\n");
$node->restart;
is($node->safe_psql('audit', q{SELECT finding || ' ' || detail FROM llm_audit.verify('moved')}),
	'catalog_drift database audit is not in llm_audit.databases: no read is recorded', 'a database that is not listed');
$node->append_conf('postgresql.conf', "llm_audit.databases = 'other, audit'\n");
$node->restart;
is($node->safe_psql('audit', q{SELECT detail FROM llm_audit.verify('moved')}), '', 'one that is');

done_testing();
