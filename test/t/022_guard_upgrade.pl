# pg_upgrade takes ledgers along, and an update of the extension may change
# what nobody else may.
use strict;
use warnings;
use File::Copy;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = make_node('old');
$old->start;
make_database($old, 'audit');
$old->safe_psql(
	'audit', insert_calls(50, 'x') . q{;
	INSERT INTO plain SELECT i, 'note' FROM generate_series(1, 20) AS i;
	CREATE INDEX plain_n ON plain (n);
	ALTER TABLE plain ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
	CREATE POLICY everybody ON plain USING (true);
	});

sub state_of
{
	my ($node) = @_;
	return join "\n", map { $node->safe_psql('audit', $_) } (
		q{SELECT md5(string_agg(p::text, ',' ORDER BY n)) FROM plain AS p},
		q{SELECT md5(string_agg(c::text, ',' ORDER BY id))
			FROM llm_audit.llm_call AS c},
		q{SELECT tgrelid::regclass, tgname, tgenabled, tgtype FROM pg_trigger
			WHERE NOT tgisinternal ORDER BY tgrelid::regclass::text, tgname},
		q{SELECT oid::regclass, relreplident, relrowsecurity,
			relforcerowsecurity, relpersistence, relowner::regrole
			FROM pg_class WHERE relkind IN ('r', 'p') AND oid >= 16384
			ORDER BY oid::regclass::text});
}
my $before = state_of($old);
$old->stop;

my $new = make_node('new');
my @upgrade = (
	'pg_upgrade', '--no-sync',
	'-d', $old->data_dir, '-D', $new->data_dir,
	'-b', $old->config_data('--bindir'), '-B', $new->config_data('--bindir'),
	'-s', $new->host, '-p', $old->port, '-P', $new->port, '--link');
my $cwd = PostgreSQL::Test::Utils::tempdir();
chdir($cwd) or die "cannot enter $cwd: $!";
command_ok(\@upgrade, 'pg_upgrade --link, with the library preloaded');
$new->start;
is(state_of($new), $before, 'rows and what protects them come along');
check_verify($new, 'audit', 'after pg_upgrade');
for my $statement (
	'DELETE FROM plain',
	'DROP TABLE plain',
	'ALTER TABLE plain DISABLE TRIGGER ALL')
{
	my ($status, $stdout, $stderr) = $new->psql('audit', $statement);
	like($stderr, qr/cannot .* ledger "plain"/, "refused: $statement");
}
$new->safe_psql('audit', 'INSERT INTO plain VALUES (21, NULL)');
check_chain($new, 'audit', 'plain', 21, 'after an insert');

# An update script of the extension is what may replace its functions.
my $extdir = $new->config_data('--sharedir') . '/extension';
my $version = $new->safe_psql('audit',
	q{SELECT extversion FROM pg_extension WHERE extname = 'llm_audit'});
my $script = "$extdir/llm_audit--$version--guardtest.sql";
append_to_file(
	$script, q{
	CREATE OR REPLACE FUNCTION llm_audit.require_superuser() RETURNS void
		LANGUAGE sql SET search_path = pg_catalog, pg_temp AS 'SELECT';
	ALTER TABLE llm_audit.call_source ADD COLUMN remark text;
	ALTER TABLE llm_audit.call_source DROP COLUMN remark;
	});
my ($status, $stdout, $stderr) = $new->psql('audit',
	"ALTER EXTENSION llm_audit UPDATE TO 'guardtest'");
unlink $script;
is($status, 0, 'an update script may replace functions and alter tables');
($status, $stdout, $stderr) = $new->psql('audit',
	"CREATE OR REPLACE FUNCTION llm_audit.require_superuser() RETURNS void LANGUAGE sql AS 'SELECT'");
like($stderr, qr/cannot replace function/, 'nobody else may');

# The script of another extension may not.
my $control = "$extdir/guardthief.control";
append_to_file($control, "default_version = '1'\n");
append_to_file("$extdir/guardthief--1.sql",
	"ALTER TABLE plain DISABLE TRIGGER ALL; DELETE FROM plain;\n");
($status, $stdout, $stderr) =
  $new->psql('audit', 'SET search_path = public; CREATE EXTENSION guardthief');
unlink $control, "$extdir/guardthief--1.sql";
like($stderr, qr/cannot alter ledger "plain"/,
	'the script of another extension may not');
is($new->safe_psql('audit', 'SELECT count(*) FROM plain'),
	'21', 'the rows are there');
$new->stop;
done_testing();
