# Statements that end in the middle: a timeout, a cancel, a terminated backend,
# a client that goes away, an error in the last row.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

my $node = make_node('cancel');
$node->start;
make_database($node, 'audit');
$node->safe_psql('audit', "INSERT INTO plain VALUES (0, 'first')");
my $rows = 1;

sub check_all
{
	my ($name) = @_;
	$node->safe_psql('audit', "INSERT INTO plain VALUES (1, 'next')");
	$rows++;
	check_chain($node, 'audit', 'plain', $rows, $name);
	check_verify($node, 'audit', $name);
	is($node->safe_psql('audit', "SELECT count(*) FROM pg_locks WHERE locktype = 'userlock'"),
		'0', "$name: no lane is left locked");
	return;
}

my $endless = "INSERT INTO plain SELECT i, 'endless' FROM generate_series(1, 100000000) AS i";

my ($status, $out, $err) = $node->psql('audit', "SET statement_timeout = '300ms'; $endless");
like($err, qr/statement timeout/, 'a statement times out');
check_all('statement timeout');

# In a transaction that goes on after the savepoint.
($status, $out, $err) = $node->psql(
	'audit', "BEGIN;
	INSERT INTO plain VALUES (2, 'kept');
	SAVEPOINT s;
	SET LOCAL statement_timeout = '300ms';
	$endless;
	ROLLBACK TO s;
	INSERT INTO plain VALUES (3, 'kept');
	COMMIT;", on_error_stop => 0);
like($err, qr/statement timeout/, 'a statement times out after a savepoint');
$rows += 2;
check_all('statement timeout after a savepoint');

for my $end (qw(pg_cancel_backend pg_terminate_backend))
{
	my $pid_of = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'INSERT INTO plain SELECT%' AND state = 'active'";
	my ($in, $stdout, $stderr) = ('', '', '');
	my $client = IPC::Run::start(
		[ 'psql', '-X', '-h', $node->host, '-p', $node->port, '-c', $endless, 'audit' ],
		'<', \$in, '>', \$stdout, '2>', \$stderr);
	$node->poll_query_until('audit', "SELECT EXISTS ($pid_of)") or die 'it does not start';
	Time::HiRes::usleep(200_000);
	is($node->safe_psql('audit', "SELECT count($end(pid)) FROM ($pid_of) AS p"), '1', $end);
	eval { $client->finish; };
	$node->poll_query_until('audit', "SELECT NOT EXISTS ($pid_of)") or die 'it does not end';
	check_all($end);
}

# COPY: an error in a late line, and a client that is killed in between.
my $file = PostgreSQL::Test::Utils::tempdir() . '/copy';
append_to_file($file, join('', map { "$_\tcopied\n" } 1 .. 5000) . "x\tnot a number\n");
($status, $out, $err) = $node->psql('audit', "\\copy plain (n, note) FROM '$file'");
isnt($status, 0, 'COPY fails in its last line');
check_all('failed COPY');

my ($in, $stdout, $stderr) = ("1\tcopied\n" x 20000, '', '');
my $copy = IPC::Run::start(
	[ 'psql', '-X', '-h', $node->host, '-p', $node->port, '-c', 'COPY plain (n, note) FROM STDIN', 'audit' ],
	'<', \$in, '>', \$stdout, '2>', \$stderr);
$node->poll_query_until('audit', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'COPY plain%')");
$copy->kill_kill;
$node->poll_query_until('audit', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'COPY plain%')");
my $copied = $node->safe_psql('audit', "SELECT count(*) FROM plain WHERE note = 'copied'");
ok($copied == 0 || $copied == 20000, 'a killed COPY leaves all or nothing');
$rows += $copied;
check_all('killed COPY');

# COPY that meets a row that is there already, after a savepoint; then the rest.
$node->safe_psql(
	'audit', q{INSERT INTO plain (id, n) VALUES ('00000000-0000-4000-8000-000000000001', 1)});
my $retry = PostgreSQL::Test::Utils::tempdir() . '/retry';
append_to_file($retry, "00000000-0000-4000-8000-00000000000$_\t$_\n") for 2, 3, 1;
($status, $out, $err) = $node->psql(
	'audit', "BEGIN;
	INSERT INTO plain VALUES (5, 'before the copy');
	SAVEPOINT s;
	\\copy plain (id, n) FROM '$retry'
	ROLLBACK TO s;
	INSERT INTO plain (id, n) VALUES ('00000000-0000-4000-8000-000000000002', 2),
		('00000000-0000-4000-8000-000000000001', 1), ('00000000-0000-4000-8000-000000000003', 3)
		ON CONFLICT DO NOTHING;
	COMMIT;", on_error_stop => 0);
like($err, qr/duplicate key/, 'COPY meets a row that is there already');
$rows += 1 + 1 + 2;
check_all('COPY after a savepoint, then a retry');

# Exceptions in PL/pgSQL, nested, after rows were chained.
$node->safe_psql(
	'audit', q{
	DO $$
	BEGIN
		INSERT INTO plain VALUES (10, 'outer');
		FOR i IN 1 .. 50 LOOP
			BEGIN
				INSERT INTO plain VALUES (i, 'inner');
				BEGIN
					INSERT INTO plain VALUES (i, 'innermost');
					IF i % 2 = 0 THEN
						RAISE EXCEPTION 'undo the innermost';
					END IF;
				EXCEPTION WHEN raise_exception THEN
					INSERT INTO plain VALUES (i, 'instead');
				END;
				IF i % 5 = 0 THEN
					PERFORM 1 / 0;
				END IF;
			EXCEPTION WHEN division_by_zero THEN
				NULL;
			END;
		END LOOP;
	END $$});
$rows += 1 + 2 * 40;
check_all('nested exceptions');

$node->stop;
done_testing();
