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

# The hooks are there as soon as the session has loaded the library.
refused("LOAD 'llm_audit'; $_", "after LOAD: $_")
  for (
	'DROP TABLE plain',
	'ALTER TABLE plain DISABLE TRIGGER ALL',
	'DROP EXTENSION llm_audit CASCADE');
refused(
	"INSERT INTO plain VALUES (2, 'x'); DROP TABLE plain",
	'after an insert: DROP TABLE plain');

# Before that nothing can be refused but the change of rows.
$node->safe_psql('audit', 'ALTER TABLE plain DISABLE TRIGGER llm_audit_guard;'
	  . ' ALTER TABLE plain ENABLE ALWAYS TRIGGER llm_audit_guard');
pass('without preloading, DDL of a session that has not loaded it passes');

is($node->safe_psql('audit', 'SELECT count(*) FROM llm_audit.llm_call'),
	'5', 'the rows are there');
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
