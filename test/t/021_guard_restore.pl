# A dump brings back all that a ledger has around it, into a server where the
# library is preloaded, whatever order a parallel restore takes; and a restore
# is no way to replace a ledger that is there.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('restore', 'llm_audit.databases' =>
	  'audit, jobs, one_job, single, plain, again, sections, foreign_key');
$node->start;
make_database($node, 'audit');
my $dir = PostgreSQL::Test::Utils::tempdir();
my @connect = ('-h', $node->host, '-p', $node->port);

# Everything that a dump has statements of its own for.  (CLUSTER ON another
# index than that of the replica identity makes parallel restores of any table
# deadlock now and then, guarded or not.)
$node->safe_psql(
	'audit', insert_calls(50, 'x') . q{;
	CREATE TABLE account (id int PRIMARY KEY);
	INSERT INTO account VALUES (1);
	CREATE TABLE keyed (id uuid PRIMARY KEY, n int, account int,
		note text CHECK (note <> ''), twice int GENERATED ALWAYS AS (n * 2) STORED,
		kind varchar(9) DEFAULT CASE WHEN random() BETWEEN 0.1 AND 0.2 THEN 'x' ELSE 'y' END
			CONSTRAINT reworded CHECK (kind IN ('x', 'y')));
	ALTER TABLE keyed ENABLE ROW LEVEL SECURITY;
	CREATE POLICY reworded ON keyed USING (kind IN ('x', 'y'));
	SELECT llm_audit.create_ledger('keyed');
	INSERT INTO keyed (n, account, note) VALUES (1, 1, 'a'), (2, 1, 'b');
	CREATE INDEX keyed_n ON keyed (n);
	CLUSTER keyed USING keyed_lane_idx;
	CREATE INDEX ON llm_audit.llm_call (request_id);
	CREATE STATISTICS stats ON n, note FROM keyed;
	ALTER TABLE keyed ALTER COLUMN n SET STATISTICS 77;
	ALTER TABLE keyed ALTER COLUMN note SET DEFAULT 'none';
	ALTER TABLE keyed SET (fillfactor = 90);
	CREATE FUNCTION quiet() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
	CREATE TRIGGER a_quiet AFTER INSERT ON keyed FOR EACH ROW EXECUTE FUNCTION quiet();
	CREATE TRIGGER z_quiet AFTER INSERT ON keyed FOR EACH ROW EXECUTE FUNCTION quiet();
	CREATE TRIGGER a_quiet AFTER INSERT ON llm_audit.llm_call FOR EACH ROW EXECUTE FUNCTION quiet();
	ALTER TABLE keyed DISABLE TRIGGER a_quiet, ENABLE REPLICA TRIGGER z_quiet;
	ALTER TABLE keyed ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
	CREATE POLICY everybody ON keyed USING (true);
	CREATE POLICY nobody ON keyed AS RESTRICTIVE FOR SELECT TO llm_audit_auditor USING (false);
	ALTER TABLE llm_audit.llm_call ENABLE ROW LEVEL SECURITY;
	CREATE POLICY everybody ON llm_audit.llm_call USING (true);
	CREATE PUBLICATION selected FOR TABLE keyed, llm_audit.llm_call;
	GRANT SELECT ON keyed TO llm_audit_auditor;
	COMMENT ON TABLE keyed IS 'a ledger with a key';
	CREATE VIEW keyed_view AS SELECT n FROM keyed;
	CREATE MATERIALIZED VIEW keyed_copy AS SELECT n FROM keyed;
	});

# What a dump has to bring back, by name.
sub state_of
{
	my ($database) = @_;
	return join "\n", map { $node->safe_psql($database, $_) } (
		q{SELECT md5(string_agg(k::text, ',' ORDER BY n)) FROM keyed AS k},
		q{SELECT md5(string_agg(c::text, ',' ORDER BY id))
			FROM llm_audit.llm_call AS c},
		q{SELECT tgrelid::regclass, tgname, tgfoid::regprocedure, tgenabled, tgtype
			FROM pg_trigger WHERE NOT tgisinternal
			ORDER BY tgrelid::regclass::text, tgname},
		q{SELECT oid::regclass, relkind, relreplident, relrowsecurity,
			relforcerowsecurity, relpersistence, relowner::regrole, reloptions
			FROM pg_class WHERE relkind IN ('r', 'p') AND oid >= 16384
			ORDER BY oid::regclass::text},
		q{SELECT indexrelid::regclass, indrelid::regclass, indkey, indisunique,
			indisprimary, indisreplident, indisclustered, indisvalid
			FROM pg_index WHERE indrelid >= 16384 AND indrelid::regclass::text !~ 'pg_toast'
			ORDER BY indexrelid::regclass::text},
		q{SELECT polrelid::regclass, polname, polcmd, polpermissive FROM pg_policy
			ORDER BY polrelid::regclass::text, polname},
		q{SELECT conrelid::regclass, conname, contype FROM pg_constraint
			WHERE conrelid >= 16384 ORDER BY conrelid::regclass::text, conname});
}
# Conditions that a dump words otherwise, of what the ledger was made with.
sub conditions
{
	my ($database) = @_;
	return $node->safe_psql($database, q{
		SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint
			WHERE conrelid = 'keyed'::regclass AND conname = 'reworded'
		UNION ALL
		SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polname = 'reworded'});
}

# What verify() says but for the policy of a DBA on a built-in ledger.
sub findings
{
	my ($database) = @_;
	return $node->safe_psql($database, q{SELECT detail FROM llm_audit.verify()
		WHERE detail <> 'policy llm_call everybody was not made by llm_audit'});
}

my $before = state_of('audit');
is(findings('audit'), '', 'nothing is found before');
like($before, qr/keyed\|llm_audit_guard\|.*\|A\|/, 'there is something to lose');

$node->command_ok([ 'pg_dump', @connect, '-Fc', '-f', "$dir/custom", 'audit' ],
	'dump, custom');
$node->command_ok([ 'pg_dump', @connect, '-Fp', '-f', "$dir/plain", 'audit' ],
	'dump, plain');
my %restores = (
	jobs => [ 'pg_restore', @connect, '-j', '4', '--exit-on-error' ],
	one_job => [ 'pg_restore', @connect, '--exit-on-error' ],
	single => [ 'pg_restore', @connect, '--single-transaction' ],
	plain => [ 'psql', @connect, '-Xq', '-v', 'ON_ERROR_STOP=1' ]);
for my $how (sort keys %restores)
{
	$node->safe_psql('postgres', "CREATE DATABASE $how");
	$node->command_ok(
		[ @{ $restores{$how} }, '-d', $how,
			$how eq 'plain' ? ('-f', "$dir/plain") : "$dir/custom" ],
		"restore, $how");
	is(state_of($how), $before, "$how: all as it was");
	is( $node->safe_psql($how, 'SELECT detail FROM llm_audit.verify()'),
		'policy llm_call everybody was not made by llm_audit', "$how: verify tells of the policy that a DBA has added");
	my ($check, $policy) = split /\n/, conditions($how);
	my ($old_check, $old_policy) = split /\n/, conditions('audit');
	isnt($check, $old_check, "$how: a CHECK constraint reads otherwise");
	isnt($policy, $old_policy, "$how: so does a policy");
	$node->safe_psql($how, 'DROP POLICY everybody ON llm_audit.llm_call');
	check_verify($node, $how, $how);
	for my $statement (
		'DELETE FROM keyed',
		'TRUNCATE llm_audit.llm_call',
		'DROP TABLE keyed CASCADE',
		'ALTER TABLE keyed DISABLE TRIGGER ALL',
		'CREATE UNIQUE INDEX ON keyed (note)')
	{
		my ($status, $stdout, $stderr) = $node->psql($how, $statement);
		like($stderr, qr/ERROR:  cannot .* ledger /, "$how, refused: $statement");
	}
}

# A dump of what was restored is worded once more.
$node->command_ok([ 'pg_dump', @connect, '-Fc', '-f', "$dir/again", 'jobs' ],
	'dump of what was restored');
$node->safe_psql('postgres', 'CREATE DATABASE again');
$node->command_ok(
	[ 'pg_restore', @connect, '--exit-on-error', '-d', 'again', "$dir/again" ],
	'restored once more');
is(findings('again'), '', 'and nothing is found');
# But another condition is.
$node->safe_psql('again', q{SET allow_system_table_mods = on;
	CREATE TABLE scratch (LIKE keyed);
	ALTER TABLE scratch ADD CONSTRAINT reworded CHECK (kind IN ('x', 'z'));
	UPDATE pg_constraint k SET conbin = s.conbin FROM pg_constraint s
		WHERE s.conrelid = 'scratch'::regclass AND s.contype = 'c'
			AND k.conrelid = 'keyed'::regclass AND k.conname = 'reworded';
	DROP TABLE scratch});
is(findings('again'), 'constraint reworded of public.keyed was changed',
	'but that a condition is another one');

# Sections restored one by one, as a migration does it.
$node->safe_psql('postgres', 'CREATE DATABASE sections');
for my $section (qw(pre-data data post-data))
{
	$node->command_ok(
		[ 'pg_restore', @connect, '--exit-on-error', '-j', '2',
			'--section', $section, '-d', 'sections', "$dir/custom" ],
		"restore section $section");
}
is(state_of('sections'), $before, 'sections: all as it was');

# A restore with --clean would drop the ledgers first.
my ($stdout, $stderr) = run_command(
	[ 'pg_restore', @connect, '--clean', '--if-exists', '--single-transaction',
		'-d', 'audit', "$dir/custom" ]);
like($stderr, qr/cannot .* ledger/, 'restoring over a ledger is refused');
is(state_of('audit'), $before, 'which is as it was');

# A foreign key comes after the triggers, so it needs restore mode.
$node->safe_psql('audit', q{SET llm_audit.restore = on;
	ALTER TABLE keyed ADD FOREIGN KEY (account) REFERENCES account});
$node->command_ok([ 'pg_dump', @connect, '-Fc', '-f', "$dir/key", 'audit' ],
	'dump with a foreign key');
$node->safe_psql('postgres', 'CREATE DATABASE foreign_key');
{
	local $ENV{PGOPTIONS} = '-c llm_audit.restore=on';
	$node->command_ok(
		[ 'pg_restore', @connect, '-j', '2', '--exit-on-error',
			'-d', 'foreign_key', "$dir/key" ],
		'restored in restore mode');
}
is(state_of('foreign_key'), state_of('audit'), 'foreign key: all as it was');
for my $database (qw(audit foreign_key))
{
	is( findings($database),
		'foreign key keyed_account_fkey of public.keyed is not one that it was made with',
		"$database: verify tells of the foreign key");
}
$node->stop;
done_testing();
