# Suspended portals: statements that stop in the middle while others run in the
# same session, and go on.  What belongs to a statement (its ON CONFLICT
# clause, a lane, a permit, verify's reading) must not leak into another.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawProtocol;
use Test::More;

my $node = make_node('portal');
$node->start;
make_database($node, 'audit');
$node->safe_psql(
	'audit', q{
	CREATE FUNCTION add(i bigint, what text) RETURNS bigint LANGUAGE sql VOLATILE
		AS 'INSERT INTO plain VALUES (i, what) RETURNING n';
	-- every second id stands already
	CREATE FUNCTION retry(i bigint) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
	BEGIN
		INSERT INTO plain (id, n, note)
			VALUES (('00000000-0000-7000-8000-' || lpad((i / 2 * 2)::text, 12, '0'))::uuid, i, 'retry')
			ON CONFLICT DO NOTHING;
		RETURN i;
	END $$;
	CREATE FUNCTION change() RETURNS void LANGUAGE plpgsql AS 'BEGIN UPDATE plain SET n = 0; END'});
my $rows = 0;

sub check_all
{
	my ($name) = @_;
	check_chain($node, 'audit', 'plain', $rows, $name);
	check_verify($node, 'audit', $name);
	return;
}

sub lanes_held
{
	return $node->safe_psql('audit',
		"SELECT count(*) FROM pg_locks WHERE locktype = 'userlock' AND granted");
}

my $client = RawProtocol->new($node, 'audit');

# INSERT ... RETURNING has stored all its rows when it hands out the first.
$client->query('BEGIN');
is($client->bind_portal('a', "INSERT INTO plain SELECT i, 'returning' FROM generate_series(1, 10) AS i RETURNING chain_seq"), '', 'INSERT ... RETURNING is bound');
is($client->execute('a', 3), 'suspended', 'and suspended after three rows');
is_deeply($client->{rows}, [ 1, 2, 3 ], 'which have their numbers');
is(lanes_held(), '1', 'the transaction holds one lane');
is($client->query("INSERT INTO plain VALUES (11, 'between')"), '', 'another INSERT');
$node->safe_psql('audit', "INSERT INTO plain VALUES (1, 'other session')");
is($client->execute('a', 3), 'suspended', 'three more rows');
is_deeply($client->{rows}, [ 4, 5, 6 ], 'follow');
is($client->execute('a', 0), 'complete', 'the rest');
is($client->query('COMMIT'), '', 'commit');
is(lanes_held(), '0', 'the lane is free');
$rows += 12;
check_all('INSERT ... RETURNING');
is( $node->safe_psql(
		'audit',
		"SELECT count(DISTINCT chain_lane) FROM plain WHERE note IN ('between', 'other session')"),
	'2', 'the other session took another lane');

# A query that inserts as its rows are fetched, with inserts in between.
$client->query('BEGIN');
$client->bind_portal('b', "SELECT add(i, 'fetched') FROM generate_series(1, 10) AS i");
is($client->execute('b', 4), 'suspended', 'a query that inserts is suspended');
# (The last of the four rows is not visible to queries yet: a suspended portal
# does not count as a command.  Chaining must see it nevertheless.)
$client->query("INSERT INTO plain SELECT i, 'between' FROM generate_series(1, 5) AS i");
$client->query('SAVEPOINT s');
$client->query("INSERT INTO plain SELECT i, 'undone' FROM generate_series(1, 5) AS i");
$client->query('ROLLBACK TO s');
is($client->execute('b', 0), 'complete', 'it goes on after a rollback to a savepoint');
$client->query('COMMIT');
$rows += 15;
check_all('a query that inserts');

# One whose rows ON CONFLICT drops, beside statements without that clause: a
# position that is not taken is given back whoever inserts next.
$client->query('BEGIN');
$client->bind_portal('c', 'SELECT retry(i) FROM generate_series(10, 19) AS i');
for my $round (1 .. 4)
{
	is($client->execute('c', 2), 'suspended', "retries, round $round");
	is($client->query("INSERT INTO plain VALUES ($round, 'after a retry')"), '', 'a row after a dropped one');
}
is($client->execute('c', 0), 'complete', 'the rest of the retries');
is($client->query('COMMIT'), '', 'commit after a dropped row');
$rows += 5 + 4;
check_all('retries');

# Two portals in turn, one closed unfinished; without BEGIN, up to Sync.
$client->bind_portal('d', "SELECT add(i, 'first of two') FROM generate_series(1, 10) AS i");
$client->bind_portal('e', "SELECT retry(i) FROM generate_series(30, 39) AS i");
is($client->execute($_->[0], $_->[1]), 'suspended', "portal $_->[0]")
  for ([ 'd', 1 ], [ 'e', 2 ], [ 'd', 2 ], [ 'e', 2 ], [ 'd', 3 ]);
$client->close_portal('d');
is($client->execute('e', 2), 'suspended', 'the other goes on');
is($client->sync, '', 'Sync commits');
$rows += 6 + 3;
check_all('two portals');

# An error while one is suspended undoes what both have done.
$client->query('BEGIN');
$client->bind_portal('f', "SELECT add(i, 'in vain') FROM generate_series(1, 10) AS i");
is($client->execute('f', 5), 'suspended', 'suspended before an error');
like($client->query('SELECT 1 / 0'), qr/^22012/, 'an error');
$client->query('ROLLBACK');
is(lanes_held(), '0', 'no lane is left locked');
check_all('an error');

# The guard tells statements apart, in both directions.
$client->query('BEGIN');
$client->bind_portal('g', "SELECT add(i, 'guarded') FROM generate_series(1, 10) AS i");
is($client->execute('g', 2), 'suspended', 'suspended before forbidden statements');
for my $statement (
	'UPDATE plain SET n = 0',
	'DELETE FROM plain',
	'SELECT change()',
	'TRUNCATE plain',
	'DROP TABLE plain',
	"INSERT INTO plain (n, chain_seq) VALUES (1, 1)")
{
	$client->query('SAVEPOINT s');
	like($client->query($statement), qr/^(42501|55006) /, "refused or in use: $statement");
	$client->query('ROLLBACK TO s');
}
is($client->execute('g', 2), 'suspended', 'goes on after them');
is($client->query('COMMIT'), '', 'commit after forbidden statements');
$rows += 4;
check_all('forbidden statements');
$client->bind_portal('h', 'UPDATE plain SET n = 0 RETURNING n');
like($client->execute('h', 1), qr/^42501/, 'UPDATE ... RETURNING with a limit');
$client->sync;
$client->bind_portal('h', 'WITH gone AS (DELETE FROM plain RETURNING n) SELECT * FROM gone');
like($client->execute('h', 1), qr/^42501/, 'DELETE in a CTE with a limit');
$client->sync;
check_all('limits');

# verify and row_preimage, suspended while their session writes.
$node->safe_psql(
	'audit', q{
	SET allow_system_table_mods = on;
	CREATE TABLE damaged (n int, note text);
	SELECT llm_audit.create_ledger('damaged');
	INSERT INTO damaged SELECT i, 'x' FROM generate_series(1, 20) AS i;
	UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = 'damaged'::regclass});
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->restart;
$node->safe_psql(
	'audit', q{
	SET allow_system_table_mods = on;
	UPDATE damaged SET note = 'y' WHERE n % 4 = 0;
	UPDATE pg_trigger SET tgenabled = 'A' WHERE tgrelid = 'damaged'::regclass});
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'llm_audit'\n");
$node->restart;
$client = RawProtocol->new($node, 'audit');
$client->query('BEGIN');
$client->bind_portal('v', "SELECT seq FROM llm_audit.verify('damaged') WHERE finding = 'row_altered' ORDER BY seq");
$client->bind_portal('w', q{SELECT n FROM damaged WHERE sha256(llm_audit.row_preimage('damaged', id)) <> row_hash ORDER BY chain_seq});
is($client->execute('v', 2), 'suspended', 'verify is suspended');
is_deeply($client->{rows}, [ 4, 8 ], 'after two findings');
is($client->execute('w', 1), 'suspended', 'row_preimage is suspended');
is($client->query("INSERT INTO damaged SELECT i, 'new' FROM generate_series(21, 30) AS i"), '', 'rows are added');
is($client->execute('v', 0), 'complete', 'verify goes on');
is_deeply($client->{rows}, [ 12, 16, 20 ], 'and finds the rest, nothing else');
is($client->execute('w', 0), 'complete', 'row_preimage goes on');
is_deeply($client->{rows}, [ 8, 12, 16, 20 ], 'and agrees');
is($client->query("SELECT count(*) FROM llm_audit.verify('damaged')"), '', 'verify in the transaction that wrote');
is_deeply($client->{rows}, [5], 'finds what it found');
$client->bind_portal('x', "SELECT seq FROM llm_audit.verify('damaged')");
is($client->execute('x', 1), 'suspended', 'another verify is suspended');
is($client->query('COMMIT'), '', 'and dropped by the commit');
$client->query('SELECT count(*) FROM llm_audit.verify_progress');
is_deeply($client->{rows}, [0], 'no run of verify is left behind');
$client->finish;
check_chain($node, 'audit', 'plain', $rows, 'at the end');
check_chain($node, 'audit', 'damaged', 30, 'the damaged ledger');

$node->stop;
done_testing();
