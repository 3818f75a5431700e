# Erasing to the last byte: a field's period passes, its values are emptied,
# the segment is rewritten, and nothing of them is left in the data directory.
# Somebody who may still see them holds the rewrite up, not the erasure.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use File::Find qw(find);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $day = 86400;
my $node = make_node('erase', fsync => 'on');
fake_clock($node);
start_faked($node);
make_database($node, 'audit');
$node->safe_psql('audit', q{SELECT llm_audit.set_content_recording('*', '*', true, 'a test')});

# Files that hold a text, the log of changes aside: docs/retention.md says how
# long that keeps it.
sub files_with
{
	my ($text) = @_;
	my @found;
	my $data = $node->data_dir;
	find(
		{
			no_chdir => 1,
			wanted => sub {
				return unless -f;
				return if m{^\Q$data\E/pg_wal/};
				open(my $file, '<:raw', $_) or return;
				local $/ = undef;
				push @found, substr($_, length($data) + 1) if index(<$file>, $text) >= 0;
				close($file);
			}
		},
		$data);
	return @found;
}

sub query
{
	return $node->safe_psql('audit', $_[0]);
}

# Some text in line, some out of line.
query(q{SELECT llm_audit.record_call(json_build_object('request_id', 'req-' || i, 'environment', 'prod',
	'occurred_at', now(), 'service_name', 'gateway', 'organization_id', 'bank', 'actor_id', 'clerk',
	'actor_type', 'human', 'operation_name', 'chat', 'provider_name', 'openai', 'request_model', 'gpt-4o',
	'status', 'ok', 'user_agent', 'agent zanzibar',
	'content', json_build_array(json_build_object('kind', 'prompt', 'body',
		'the words of quetzalcoatl' || CASE WHEN i % 3 = 0 THEN (SELECT string_agg(' word ' || chr(97 + j % 26)
			|| chr(97 + j / 26 % 26) || chr(97 + (j * 7 + i) % 26), '') FROM generate_series(1, 3000) j) ELSE '' END)))::text)
	FROM generate_series(1, 30) i});
my $leaf = query('SELECT DISTINCT tableoid::regclass FROM llm_audit.llm_content');
query(qq{ANALYZE llm_audit.llm_content; CREATE INDEX ON $leaf (body_bytes); CHECKPOINT});
ok(scalar(files_with('quetzalcoatl')), 'the text is in the data directory');
ok(scalar(files_with('zanzibar')), 'so is a field of the call');
my $toast = "SELECT pg_relation_size(reltoastrelid) > 0 FROM pg_class WHERE oid = '$leaf'::regclass";
is(query($toast), 't', 'some text is stored out of line');

# Nothing expires before its time, nor in a segment that is open.
is(query("SELECT llm_audit.expire_fields('$leaf')"), '0', 'nothing has expired');
set_clock($node, 98 * $day);
is(query("SELECT llm_audit.expire_fields('$leaf')"), '0', 'the segment is still open');
query('CALL llm_audit.make_segments()');
query('CALL llm_audit.close_segments()');
is(query("SELECT count(*) FROM llm_audit.expired_fields() WHERE leaf = '$leaf'::regclass"),
	'4', 'now its erasable fields have expired');

# The day of the calls, in the summary that outlives them.
is(query(q{SELECT llm_audit.summarise_day('prod', (SELECT min(recorded_at AT TIME ZONE 'UTC')::date FROM llm_audit.llm_call))}),
	'30', 'the calls are summed up');
is( query('SELECT organization_id, service_name, request_model, calls, errors FROM llm_audit.usage_summary'),
	'bank|gateway|gpt-4o|30|0', 'by what they have in common');
is(query('SELECT final FROM llm_audit.summarised_day'), 't', 'for good, since the segment is closed');

# A reader with an old snapshot.
my $reader = $node->background_psql('audit');
$reader->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
$reader->query_safe('SELECT count(*) FROM llm_audit.environment');
is(query("SELECT llm_audit.expire_fields('$leaf')"), '30', 'values are emptied beside a reader');
is(query("SELECT count(*) || ' ' || count(body) || ' ' || count(body_digest) FROM $leaf"),
	'30 0 0', 'and read as empty');
is( query(q{SELECT cause, row_count, completed_at IS NULL FROM llm_audit.erasure_report()}),
	'period|30|t', 'the erasure is not complete');
check_verify($node, 'audit', 'between erasing and rewriting');
query('CHECKPOINT');
ok(scalar(files_with('quetzalcoatl')), 'old versions are still in the file');
my ($status, $out, $err) = $node->psql('audit', "SELECT llm_audit.rewrite_segment('$leaf')",
	on_error_stop => 1);
like($err, qr/cannot be rewritten yet.*may still read/s, 'a rewrite would leave them');
$reader->query_safe('COMMIT');
$reader->quit;

is(query("SELECT llm_audit.rewrite_segment('$leaf')"), 't', 'the segment is rewritten');
query('CHECKPOINT');
is(join(' ', files_with('quetzalcoatl')), '', 'nothing is left of the text');
is(query($toast), 'f', 'nor of what was out of line');
ok(scalar(files_with('zanzibar')), 'fields with a longer period stay');
is( query(q{SELECT row_count, completed_at > erased_at FROM llm_audit.erasure_report()}),
	'30|t', 'the erasure is complete, and says when');
is(query("SELECT llm_audit.rewrite_segment('$leaf')"), 'f', 'once');
is(query("SELECT llm_audit.expire_fields('$leaf')"), '0', 'there is no more to do');
is(query('SELECT count(*) FROM llm_audit.field_expiry'), '4', 'and that is known without looking');
check_verify($node, 'audit', 'after the rewrite');
my $tampered = query(qq{SELECT string_agg(DISTINCT finding, ' ') FROM llm_audit.verify('llm_audit.llm_content')});
is($tampered, '', 'llm_content verifies by itself');
my ($forged, $out, $err) = $node->psql('audit', q{
	INSERT INTO llm_audit.erase_receipt (environment, erasure_id, stage, cause, ledger, ledger_id, segment, leaf, columns, column_names, row_count, actor)
		SELECT environment, erasure_id, stage, cause, ledger, ledger_id, segment, leaf, columns, column_names, row_count, actor
		  FROM llm_audit.erase_receipt WHERE stage = 'erased' LIMIT 1});
like($err, qr/are written by functions of llm_audit that erase only/, 'who erases by hand has no receipt for it');

# A year on, the call's own field goes; a crash between the steps loses none.
set_clock($node, 420 * $day);
query('CALL llm_audit.make_segments()');
query('CALL llm_audit.close_segments()');
my $calls = query('SELECT DISTINCT tableoid::regclass FROM llm_audit.llm_call');
# A copy outside of the server, as a backup would be.
my $copied = $node->basedir . '/calls';
query("COPY (SELECT * FROM $calls) TO '$copied'");
my $samples = "SELECT count(*) FROM pg_statistic s JOIN pg_attribute a ON a.attrelid = s.starelid AND a.attnum = s.staattnum
	WHERE s.starelid IN ('llm_audit.llm_call'::regclass, '$calls'::regclass) AND a.attname = 'user_agent'";
# a sample that somebody has taken nevertheless, by catalog
my $target = sub { query("UPDATE pg_attribute SET attstattarget = $_[0] WHERE attrelid IN ('llm_audit.llm_call'::regclass, '$calls'::regclass) AND attname = 'user_agent'") };
$target->(100);
query("CREATE STATISTICS pairs (mcv) ON request_model, service_name FROM $calls; CREATE STATISTICS others (mcv) ON service_name, status FROM $calls");
query("UPDATE pg_statistic_ext SET stxkeys = (SELECT string_agg(attnum::text, ' ' ORDER BY attnum)::int2vector FROM pg_attribute WHERE attrelid = stxrelid AND attname IN ('user_agent', 'service_name')) WHERE stxname = 'pairs'");
query("ANALYZE $calls; ANALYZE llm_audit.llm_call");
$target->(0);
is(query($samples), '2', 'planner statistics have a sample');
my $pairs = q{SELECT coalesce(string_agg(stxname, ' ' ORDER BY stxname), '-') FROM pg_statistic_ext x JOIN pg_statistic_ext_data ON stxoid = x.oid WHERE stxdmcv IS NOT NULL};
is(query($pairs), 'others pairs', 'so have those over several columns');
is(query("SELECT llm_audit.expire_fields('$calls')"), '30', 'a year later fields of the call are emptied');
$node->stop('immediate');
start_faked($node);
# Restored elsewhere, the erasure can be completed: its transaction is of
# another cluster, however far the transactions of this one are.
query(q{CREATE TABLE many (n int);
	DO $$ BEGIN FOR i IN 1 .. 30000 LOOP BEGIN INSERT INTO many VALUES (i); EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$});
query(q{CREATE TABLE words (word text); SELECT llm_audit.create_ledger('words', erasable => '{word}'); INSERT INTO words VALUES ('a word');
	SELECT llm_audit.erase_rows('words', '{word}', 'true', gen_random_uuid(), 'subject', 'T', 'b')});
my $copy = make_node('restored');
fake_clock($copy);
set_clock($copy, 420 * $day);
start_faked($copy);
$copy->safe_psql('postgres', 'CREATE DATABASE audit');
my $dump = $node->basedir . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('audit') ], 'a dump with unfinished erasures');
$copy->command_ok([ 'pg_restore', '--exit-on-error', '-d', $copy->connstr('audit'), $dump ], 'is restored');
cmp_ok($copy->safe_psql('audit', 'SELECT pg_current_xact_id()'), '<',
	$copy->safe_psql('audit', q{SELECT max(transaction_id) FROM llm_audit.erase_receipt}), 'transactions of the new cluster are behind');
is($copy->safe_psql('audit', "SELECT llm_audit.rewrite_segment('words'), llm_audit.rewrite_segment('$calls')"), 't|t', 'the erasures are completed there');
is($copy->safe_psql('audit', 'SELECT count(*) FROM llm_audit.erasure_report() WHERE completed_at IS NULL'), '0', 'all of them');
$copy->safe_psql('audit', 'DROP STATISTICS pairs, others');
check_verify($copy, 'audit', 'restored');
$copy->stop;

my $ready = q{SELECT ok FROM llm_audit.readiness() WHERE item = 'erasures complete'};
is(query($ready), 't', 'a rewrite may wait for maintenance');
set_clock($node, 423 * $day);
is(query($ready), 'f', 'but not for days');
is(query("SELECT llm_audit.rewrite_segment('$calls')"), 't', 'after a crash the rewrite is still due');
is(query($ready), 't', 'then all is well');
is(query($samples), '0', 'the samples go with it');
is(query($pairs), 'others', 'of several columns too');
query('DROP STATISTICS pairs, others');
query('VACUUM FULL pg_statistic; VACUUM FULL pg_statistic_ext_data');
query('CHECKPOINT');
is(join(' ', files_with('zanzibar')), '', 'nothing is left of the field');
is(query("SELECT count(*) || ' ' || count(user_agent) || ' ' || count(actor_id) FROM $calls"),
	'30 0 30', 'what has longer to go is there');
check_verify($node, 'audit', 'in the end');

# Values that come back from the copy, with their salts: the rows hash as ever,
# but receipts say that they are gone.
my ($erased) = query("SELECT DISTINCT array_to_string(column_names, ' ') FROM llm_audit.erase_receipt WHERE leaf = '$calls' AND stage = 'erased'");
my @erased = split / /, $erased;
ok((grep { $_ eq 'user_agent' } @erased) > 0, 'the receipt names the column');
my $found = sub { query("SELECT finding || ' ' || seq || ' ' || detail FROM llm_audit.verify($_[0]) ORDER BY seq, detail") };
my $put_back = sub {
	my ($columns, $rows) = @_;
	query("CREATE TABLE before (LIKE $calls); COPY before FROM '$copied'");
	query(qq{
		BEGIN;
		UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = '$calls'::regclass;
		UPDATE ONLY $calls c SET } . join(', ', map { "$_ = b.$_" } @$columns, 'salt', 'erased') . qq{
			FROM before b WHERE b.id = c.id AND $rows;
		UPDATE pg_trigger SET tgenabled = 'A' WHERE tgrelid = '$calls'::regclass;
		COMMIT; DROP TABLE before});
};
query("CREATE TABLE emptied (LIKE $calls); INSERT INTO emptied SELECT * FROM $calls");
$put_back->(\@erased, 'c.chain_seq IN (3, 7) AND c.chain_lane = 0');
is($found->(), join("\n", map { my $seq = $_; map { "row_altered $seq column \"$_\" was erased, but its value is there again" } qw(user_agent) } (3, 7)),
	'values that come back are found, row by row');
is($found->("workers => 2"), $found->(), 'by workers too');
is($found->("'llm_audit.llm_call', segment => (SELECT segment FROM llm_audit.ledger_segment WHERE relation_name = '"
	  . ($calls =~ s/.*\.//r) . "')"), $found->(), 'and in their segment');
is(query("SELECT finding, detail FROM llm_audit.verify(id => (SELECT id FROM $calls WHERE chain_seq = 7 AND chain_lane = 0))"),
	'row_altered|column "user_agent" was erased, but its value is there again', 'and as one row');
query(qq{
	BEGIN;
	UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = '$calls'::regclass;
	UPDATE ONLY $calls c SET user_agent = NULL, salt = b.salt, erased = b.erased FROM emptied b WHERE b.id = c.id;
	UPDATE pg_trigger SET tgenabled = 'A' WHERE tgrelid = '$calls'::regclass;
	COMMIT; DROP TABLE emptied});
check_verify($node, 'audit', 'when they have gone again');

# Likewise what was erased of a person.
query(q{CREATE TABLE gone AS SELECT id, word, salt FROM words WHERE false;
	INSERT INTO words VALUES ('another word'); INSERT INTO gone SELECT id, word, salt FROM words WHERE word = 'another word';
	SELECT llm_audit.erase_rows('words', '{word}', 'true', gen_random_uuid(), 'subject', 'T', 'b')});
check_verify($node, 'audit', 'after another erasure');
query(q{
	BEGIN;
	UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = 'words'::regclass;
	UPDATE words w SET word = g.word, salt = g.salt, erased = NULL FROM gone g WHERE g.id = w.id;
	UPDATE pg_trigger SET tgenabled = 'A' WHERE tgrelid = 'words'::regclass;
	COMMIT});
is($found->("'words'"), 'row_altered 2 column "word" was erased, but its value is there again', 'of an enrolled ledger');

# A receipt that somebody removes: what it explained is found.
my $receipts = query('SELECT DISTINCT tableoid::regclass FROM llm_audit.erase_receipt WHERE recorded_at = (SELECT min(recorded_at) FROM llm_audit.erase_receipt)');
query(qq{
	BEGIN;
	UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = '$receipts'::regclass;
	DELETE FROM ONLY $receipts WHERE erasure_id = (SELECT erasure_id FROM llm_audit.erase_receipt WHERE leaf = '$leaf' LIMIT 1);
	UPDATE pg_trigger SET tgenabled = 'A' WHERE tgrelid = '$receipts'::regclass;
	COMMIT});
is( query(q{SELECT finding, count(*) FROM llm_audit.verify('llm_audit.llm_content') GROUP BY 1}),
	'erased_without_event|60', 'without its receipt an erasure is a finding, row by row and column by column');

$node->stop;
done_testing();
