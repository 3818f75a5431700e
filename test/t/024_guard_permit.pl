# An open door is not enough: the triggers check each row again.  No SQL
# function gives a permit away, so a library made here asks for one.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();
append_to_file(
	"$dir/permit.c", <<'SOURCE');
#include "postgres.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "ledger/ledger.h"
#include "utils/builtins.h"

PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(permit_run);

Datum
permit_run(PG_FUNCTION_ARGS)
{
	int			result;

	SPI_connect();
	result = PermitRun((PermitKind) PG_GETARG_INT32(0),
					   text_to_cstring(PG_GETARG_TEXT_PP(1)));
	if (result < 0)
		elog(ERROR, "SPI_execute failed: %d", result);
	result = SPI_processed;
	SPI_finish();
	PG_RETURN_INT32(result);
}
SOURCE

my $node = make_node('permit');
my $compiler = $ENV{CC} || 'gcc';
my $source = "$FindBin::Bin/../../src";
my $built = run_log(
	[ $compiler, '-shared', '-fPIC', '-I', $node->config_data('--includedir-server'),
		'-I', $source, '-o', "$dir/permit.so", "$dir/permit.c" ]);
plan skip_all => "no C compiler" unless $built;
$node->start;
make_database($node, 'audit');
my ($status, $stdout, $stderr) = $node->psql(
	'audit', qq{
	CREATE FUNCTION permit_run(kind int, statement text) RETURNS int
		LANGUAGE c STRICT AS '$dir/permit', 'permit_run'});
if ($status != 0 && $stderr =~ /undefined symbol/)
{
	$node->stop;
	plan skip_all => 'this PostgreSQL hides symbols of other libraries';
}
is($status, 0, 'the library is there') or diag($stderr);

$node->safe_psql(
	'audit', q{
	CREATE FUNCTION permit(kind text, statement text) RETURNS int LANGUAGE sql AS $$
		SELECT permit_run(CASE kind WHEN 'none' THEN 0 WHEN 'ddl' THEN 1
			WHEN 'drop' THEN 2 WHEN 'purge' THEN 3 WHEN 'erase' THEN 4 END, statement)
	$$;
	CREATE TABLE sealed (n int, secret text, other text, remark text);
	SELECT llm_audit.create_ledger('sealed', erasable => '{secret,other}');
	INSERT INTO sealed VALUES (1, 'a secret', 'another', 'plain'),
		(2, 'b secret', NULL, 'plain'), (3, 'c secret', 'more', 'plain');
	CREATE TABLE expired (n int);
	SELECT llm_audit.create_ledger('expired', retention => '1 microsecond');
	INSERT INTO expired SELECT generate_series(1, 5);
	CREATE TABLE kept (n int);
	SELECT llm_audit.create_ledger('kept', retention => '1 day');
	INSERT INTO kept VALUES (1);
	CREATE TABLE parted (environment text NOT NULL, n int) PARTITION BY LIST (environment);
	SELECT llm_audit.create_ledger('parted', retention => '1 microsecond');
	INSERT INTO parted SELECT 'prod', generate_series(1, 5);
	});

sub allowed
{
	my ($kind, $statement, $rows) = @_;
	my ($status, $stdout, $stderr) =
	  $node->psql('audit', "SELECT permit('$kind', \$permit\$$statement\$permit\$)");
	is($stdout, $rows, "$kind: $statement") or diag($stderr);
	return;
}

sub refused
{
	my ($kind, $statement, $why) = @_;
	my ($status, $stdout, $stderr) =
	  $node->psql('audit', "SELECT permit('$kind', \$permit\$$statement\$permit\$)");
	like($stderr, qr/ERROR:  cannot .*\n(.*\n)?.*\Q$why\E/, "$kind refused: $statement");
	return;
}

# What erases column secret of a row as the format says.
my $commitment = q{sha256('\x02' || substr(salt, 3, 16) || substr(salt, 1, 2) || int4send(25)
	|| int4send(octet_length(secret)) || convert_to(secret, 'UTF8'))};
my $erased = "erased = substr(salt, 1, 2) || $commitment";
my $salt = "salt = nullif(substr(salt, 19), '')";

refused('erase', "UPDATE sealed SET $_ WHERE n = 1", 'only empties')
  for ("secret = NULL, $erased", "secret = NULL, $salt", "secret = NULL, $salt, $erased",
	"secret = NULL, salt = NULL, $erased", "$salt, $erased", "secret = 'other'", 'secret = NULL, n = 7',
	'salt = NULL');
refused('erase', "UPDATE sealed SET $_ = NULL WHERE n = 1", 'were erasable when the row came')
  for qw(remark n);
refused('erase', "UPDATE sealed SET $_ WHERE n = 1", 'only empties')
  for ('id = llm_audit.uuid7()', "recorded_by = 'me'", 'chain_seq = 9', 'chain_lane = 9',
	"row_hash = sha256('x')", "prev_hash = sha256('x')");
refused('erase', 'UPDATE sealed SET recorded_at = now() WHERE n = 1', 'only empties');
refused('erase', 'DELETE FROM sealed WHERE n = 1', 'evidence');
refused('erase', 'TRUNCATE sealed', 'evidence');
refused($_, "UPDATE sealed SET secret = NULL WHERE n = 1", 'evidence')
  for qw(none ddl drop purge);
is($node->safe_psql('audit', 'SELECT count(secret), count(salt), count(erased) FROM sealed'),
	'3|3|0', 'nothing was erased');
$node->safe_psql('audit',
	"CREATE TABLE committed AS SELECT n, substr(salt, 1, 2) || $commitment AS erased FROM sealed");
allowed('erase', "UPDATE sealed SET secret = NULL WHERE n IN (1, 2)", '2');
is( $node->safe_psql('audit', 'SELECT count(*) FROM sealed JOIN committed USING (n, erased)'),
	'2', 'the trigger has put the commitments that the format says');
is( $node->safe_psql('audit',
		'SELECT n, secret, other, length(salt), length(erased) FROM sealed ORDER BY n'),
	"1||another|18|34\n2||||34\n3|<REDACTED>|more|36|", 'two rows were erased');
is( $node->safe_psql('audit',
		q{SELECT count(*) FROM llm_audit.verify('sealed') WHERE finding <> 'erased_without_event'}),
	'0', 'and verify with their hashes');
is( $node->safe_psql('audit',
		q{SELECT string_agg(seq || ' ' || detail, ', ' ORDER BY seq) FROM llm_audit.verify('sealed')
		   WHERE finding = 'erased_without_event'}),
	'1 column "secret" was erased and no event says so, 2 column "secret" was erased and no event says so',
	'verify finds that no receipt explains them');
refused('erase', "UPDATE sealed SET erased = NULL WHERE n = 1", 'only empties');

# Purging.
refused($_, 'DELETE FROM expired', 'evidence') for qw(none ddl drop erase);
refused('purge', 'UPDATE expired SET n = 0', 'evidence');
refused('purge', 'TRUNCATE expired', 'still open');
refused('purge', 'DELETE FROM sealed WHERE n = 3', 'kept for ever');
refused('purge', 'DELETE FROM kept', 'has not expired');
refused('purge', 'DELETE FROM parted', 'still open');
allowed('purge', 'DELETE FROM expired WHERE n IN (1, 2)', '2');
refused('purge', 'DELETE FROM expired', 'the last one of its lane');
my $leaf = $node->safe_psql('audit', 'SELECT DISTINCT tableoid::regclass FROM parted');
refused('purge', "TRUNCATE $leaf", 'still open');
$node->safe_psql('audit',
	"UPDATE llm_audit.ledger_segment SET state = 'closed' WHERE relation_name = '$leaf'");
allowed('purge', 'DELETE FROM parted WHERE n = 1', '1');
refused('purge', "TRUNCATE $leaf", 'have not expired');
is($node->safe_psql('audit', 'SELECT count(*) FROM parted'), '4', 'a segment whose end nobody has recorded does not go as a whole');
refused('purge', 'DROP TABLE expired', 'evidence');
refused('erase', 'ALTER TABLE expired DISABLE TRIGGER ALL', 'evidence');

# The permit ends with its statement, an error included, and does not reach
# what the statement sets off.
$node->safe_psql(
	'audit', q{
	DO $$
	BEGIN
		BEGIN
			PERFORM permit('purge', 'DELETE FROM expired WHERE n < 5; SELECT 1 / 0');
		EXCEPTION WHEN division_by_zero THEN
		END;
		BEGIN
			DELETE FROM expired WHERE n < 5;
			RAISE EXCEPTION 'the permit is left over';
		EXCEPTION WHEN insufficient_privilege THEN
		END;
		PERFORM permit('purge', 'SELECT 1');
		BEGIN
			DELETE FROM expired WHERE n < 5;
			RAISE EXCEPTION 'the permit is left over';
		EXCEPTION WHEN insufficient_privilege THEN
		END;
	END
	$$;
	CREATE TABLE bystander (n int);
	SELECT llm_audit.create_ledger('bystander', retention => '1 microsecond');
	INSERT INTO bystander VALUES (1);
	CREATE FUNCTION spread() RETURNS trigger LANGUAGE plpgsql
		AS 'BEGIN DELETE FROM bystander; RETURN NULL; END';
	CREATE TRIGGER spread AFTER DELETE ON expired FOR EACH ROW EXECUTE FUNCTION spread();
	});
refused('purge', 'DELETE FROM expired WHERE n = 3', 'evidence');
is( $node->safe_psql('audit',
		'SELECT (SELECT count(*) FROM expired), (SELECT count(*) FROM bystander)'),
	'3|1', 'nothing else went');
$node->stop;
done_testing();
