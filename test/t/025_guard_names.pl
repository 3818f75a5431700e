# A command is judged by the relation that its name means while it waits for
# nothing; when it gets its lock the name may mean another.  Here the name is
# that of somebody's table until then, and the ledger's afterwards.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use RawProtocol;
use Test::More;
use Time::HiRes ();

my $node = make_node('names', 'llm_audit.databases' => 'postgres');
$node->start;
$node->safe_psql(
	'postgres', q{
	CREATE EXTENSION llm_audit;
	SELECT count(*) FROM llm_audit.setup();
	CREATE SCHEMA first;
	CREATE TABLE trail (n int, note text, secret text);
	SELECT llm_audit.create_ledger('trail', erasable => '{secret}');
	CREATE POLICY llm_audit_all ON trail USING (true) WITH CHECK (true);
	INSERT INTO trail SELECT i, 'note', 'secret' FROM generate_series(1, 5) AS i;
	CREATE TABLE parted (LIKE trail) PARTITION BY LIST (n);
	CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'});

# What must stay as it is.
my $fingerprint = q{SELECT md5(concat(
	(SELECT string_agg(t::text, ',' ORDER BY n) FROM public.trail AS t),
	(SELECT string_agg(concat_ws(' ', c.oid, relname, relnamespace, relowner, relpersistence,
		relreplident, relrowsecurity, relforcerowsecurity, relhasrules, relispartition, relhassubclass), ',' ORDER BY c.oid)
		FROM pg_class AS c WHERE oid = 'public.trail'::regclass
			OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'public.trail'::regclass)),
	(SELECT string_agg(a::text, ',' ORDER BY attnum) FROM pg_attribute AS a
		WHERE attrelid = 'public.trail'::regclass),
	(SELECT string_agg(concat_ws(' ', tgname, tgfoid, tgtype, tgenabled), ',' ORDER BY tgname)
		FROM pg_trigger WHERE tgrelid = 'public.trail'::regclass),
	(SELECT string_agg(d::text, ',' ORDER BY d::text) FROM pg_depend AS d WHERE deptype IN ('e', 'x')),
	(SELECT string_agg(polname, ',') FROM pg_policy WHERE polrelid = 'public.trail'::regclass),
	(SELECT string_agg(i::text, ',' ORDER BY indexrelid) FROM pg_index AS i WHERE indrelid = 'public.trail'::regclass)))};
my $admin = RawProtocol->new($node, 'postgres');
my $before = value($fingerprint);

sub value
{
	my ($query) = @_;
	$admin->query($query) eq '' or die $admin->{error};
	return $admin->{rows}[0];
}

my $command = RawProtocol->new($node, 'postgres');
$command->query('SET search_path = first, public');
$command->query('SELECT pg_backend_pid()');
my $pid = $command->{rows}[0];

# Runs a statement that has to wait for table first.trail, which is then gone.
sub swapped
{
	my ($statement) = @_;
	my $tries = 1000;
	$admin->query('CREATE TABLE first.trail (n int, note text, secret text)');
	$admin->query('CREATE INDEX trail_lane_idx ON first.trail (n)');
	$admin->query('BEGIN');
	$admin->query('LOCK TABLE first.trail IN ACCESS EXCLUSIVE MODE');
	$admin->query('REINDEX INDEX first.trail_lane_idx');
	$command->put('Q', "$statement\0");
	while (value("SELECT count(*) FROM pg_locks WHERE pid = $pid AND NOT granted") eq '0')
	{
		$tries-- or die "does not wait: $statement";
		Time::HiRes::usleep(20_000);
	}
	$admin->query('DROP TABLE first.trail');
	$admin->query('COMMIT');
	$command->read_until('Z');
	return $command->{error};
}

for my $statement (
	'DROP TABLE trail',
	'TRUNCATE trail',
	'UPDATE trail SET n = 0',
	'DELETE FROM trail',
	'MERGE INTO trail USING (SELECT 1) AS s ON true WHEN MATCHED THEN DELETE',
	'ALTER TABLE trail DISABLE TRIGGER ALL',
	'ALTER TABLE trail DISABLE TRIGGER llm_audit_guard',
	'ALTER TABLE trail ENABLE TRIGGER ALL',
	'ALTER TABLE trail SET UNLOGGED',
	"ALTER TABLE trail ADD COLUMN extra text DEFAULT 'x'",
	'ALTER TABLE trail ALTER COLUMN note TYPE varchar(100)',
	'ALTER TABLE trail ALTER COLUMN note SET STORAGE PLAIN',
	'ALTER TABLE trail ALTER COLUMN recorded_by DROP NOT NULL',
	'ALTER TABLE trail ALTER COLUMN recorded_at DROP DEFAULT',
	'ALTER TABLE trail ALTER COLUMN secret SET STATISTICS 100',
	'ALTER TABLE trail DROP COLUMN note',
	'ALTER TABLE trail RENAME COLUMN note TO remark',
	'ALTER TABLE trail RENAME TO other',
	'ALTER TABLE trail SET SCHEMA first',
	'ALTER TABLE trail OWNER TO CURRENT_USER',
	'ALTER TABLE trail REPLICA IDENTITY FULL',
	'ALTER TABLE trail NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY',
	'ALTER TABLE trail ADD CONSTRAINT never CHECK (false) NOT VALID',
	'ALTER TABLE trail ADD UNIQUE (note)',
	'ALTER TABLE parted ATTACH PARTITION trail DEFAULT',
	'ALTER TRIGGER llm_audit_guard ON trail RENAME TO other',
	'DROP TRIGGER llm_audit_guard ON trail',
	'CREATE RULE quiet AS ON INSERT TO trail DO INSTEAD NOTHING',
	'CREATE TRIGGER mine BEFORE INSERT ON trail FOR EACH ROW EXECUTE FUNCTION nothing()',
	'CREATE UNIQUE INDEX ON trail (note)',
	'CREATE UNIQUE INDEX CONCURRENTLY ON trail (note)',
	'CREATE INDEX ON trail (secret)',
	'CREATE STATISTICS copied ON n, secret FROM trail',
	'CREATE TABLE child () INHERITS (trail)',
	'DROP POLICY llm_audit_all ON trail',
	'ALTER POLICY llm_audit_all ON trail USING (false)',
	'ALTER EXTENSION plpgsql ADD TABLE trail',
	'ALTER TRIGGER llm_audit_guard ON trail DEPENDS ON EXTENSION plpgsql',
	'ALTER INDEX trail_lane_idx DEPENDS ON EXTENSION plpgsql',
	'ALTER INDEX trail_lane_idx RENAME TO other',
	'DROP INDEX trail_lane_idx',
	"INSERT INTO trail (id, n) SELECT id, 0 FROM public.trail ON CONFLICT (id) DO UPDATE SET n = 0")
{
	like(swapped($statement), qr/^42501 cannot/, $statement);
	is(value($fingerprint), $before, 'the ledger is what it was')
	  or BAIL_OUT('nothing that follows means anything');
}

# What is allowed on a ledger is allowed on what has become one.
is(swapped("INSERT INTO trail VALUES (6, 'note', 'secret')"), '', 'INSERT');
is(swapped('ALTER TABLE trail ALTER COLUMN n SET STATISTICS 50'),
	'42501 cannot alter ledger "trail"', 'what nobody has looked at is not allowed');
check_chain($node, 'postgres', 'trail', 6, 'afterwards');
check_verify($node, 'postgres', 'afterwards');
$_->finish for $command, $admin;

$node->stop;
done_testing();
