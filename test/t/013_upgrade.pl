# pg_upgrade and pg_basebackup carry ledgers whole.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = make_node('old');
$old->start;
make_database($old, 'audit');
$old->safe_psql('audit',
	insert_calls(200, 'old') . "; INSERT INTO plain SELECT i, 'old' FROM generate_series(1, 200) AS i");
my $state = q{SELECT (SELECT md5(string_agg(row_hash::text, '' ORDER BY tableoid::regclass::text, chain_lane, chain_seq)) FROM llm_audit.llm_call),
	(SELECT md5(string_agg(row_hash::text, '' ORDER BY chain_lane, chain_seq)) FROM plain),
	(SELECT string_agg(ledger_id::text, ',' ORDER BY 1) FROM llm_audit.ledger)};
my $before = $old->safe_psql('audit', $state);

$old->backup('copy');
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($old, 'copy');
$copy->start;
is($copy->safe_psql('audit', $state), $before, 'pg_basebackup: same rows and identity');
check_verify($copy, 'audit', 'pg_basebackup');
$copy->safe_psql('audit', insert_calls(5, 'copy'));
is(chain_faults($copy, 'audit', 'llm_audit.llm_call'), '0', 'pg_basebackup: the chain goes on');
$copy->stop;

$old->stop;
my $new = make_node('new');
chdir(PostgreSQL::Test::Utils::tempdir());
my ($bindir) = split /\n/, (run_command([ $ENV{PG_CONFIG} || 'pg_config', '--bindir' ]))[0];
command_ok(
	[
		'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir,
		'-b', $bindir, '-B', $bindir, '-s', $new->host,
		'-p', $old->port, '-P', $new->port
	],
	'pg_upgrade');
$new->start;
is($new->safe_psql('audit', $state), $before, 'pg_upgrade: same rows and identity');
check_verify($new, 'audit', 'pg_upgrade');
$new->safe_psql('audit', insert_calls(5, 'new') . "; INSERT INTO plain VALUES (1, 'new')");
check_chain($new, 'audit', 'plain', 201, 'pg_upgrade, writing on');
is(chain_faults($new, 'audit', 'llm_audit.llm_call'), '0', 'pg_upgrade: the chain goes on');
check_verify($new, 'audit', 'pg_upgrade, writing on');
my ($status, $out, $err) = $new->psql('audit', 'DELETE FROM plain');
isnt($status, 0, 'pg_upgrade: still append-only');
is($new->safe_psql('audit', 'SELECT count(*) FROM llm_audit.setup()'), '0', 'pg_upgrade: setup() has nothing left to make');

$new->stop;
done_testing();
