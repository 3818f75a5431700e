# LlmAccess.pm
#	  What the TAP tests of the access log share: a guarded view to read, and
#	  what the log says about it.
package LlmAccess;

use strict;
use warnings;
use Exporter 'import';
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(make_reader run_as reads_of read_is refused_is log_of
  await_writer await_log);

my $runs = 0;

# make_reader(NODE, DATABASE): calls, texts, guarded views over both and a
# login "reader" that may read these views and nothing else.
sub make_reader
{
	my ($node, $database) = @_;
	$node->safe_psql($database, insert_calls(20, 'call'));
	$node->safe_psql(
		$database, q{
		INSERT INTO llm_audit.content_recording VALUES ('*', '*', true);
		INSERT INTO llm_audit.llm_content (environment, call_id, request_id,
				ordinal, kind, body, body_bytes)
			SELECT 'prod', id, request_id, 0, 'prompt', 'text of ' || request_id, 10
			FROM llm_audit.llm_call;
		CREATE VIEW calls WITH (security_barrier) AS
			SELECT request_id, status, actor_id FROM llm_audit.llm_call
			WHERE (SELECT llm_audit.access_guard('public.calls'::text::regclass, true));
		CREATE VIEW free WITH (security_barrier) AS
			SELECT request_id, status FROM llm_audit.llm_call
			WHERE (SELECT llm_audit.access_guard('public.free'::text::regclass, false));
		CREATE VIEW over AS SELECT * FROM calls;
		CREATE VIEW texts WITH (security_barrier) AS
			SELECT id, request_id, llm_audit.reveal(id, request_id, body) AS body
			FROM llm_audit.llm_content
			WHERE (SELECT llm_audit.access_guard('public.texts'::text::regclass, true));
		CREATE VIEW unguarded AS SELECT request_id, status FROM llm_audit.llm_call;
		GRANT SELECT ON calls, free, over, texts, unguarded TO PUBLIC;
		GRANT CREATE ON SCHEMA public TO PUBLIC;
		DO $$
		BEGIN
			IF to_regrole('reader') IS NULL THEN
				CREATE ROLE reader LOGIN;
			END IF;
		END
		$$;
		});
	return;
}

# The server's superuser: "postgres", or whoever else runs the tests.
my $superuser = getpwuid($<);

# run_as(NODE, DATABASE, USER, SQL): status, output and errors of psql, and the
# name under which the log knows the session.  "postgres" stands for the
# superuser.
sub run_as
{
	my ($node, $database, $user, $sql) = @_;
	my $tag = 'run' . ++$runs;
	$user = $superuser if $user eq 'postgres';
	local $ENV{PGAPPNAME} = $tag;
	local $ENV{PGOPTIONS} = '';
	my ($status, $out, $err) = $node->psql($database, $sql,
		extra_params => [ '-U', $user ], timeout => 60);
	return ($status, $out, $err, $tag);
}

# log_of(NODE, DATABASE, TAG, EXPRESSION): what the records of a session's
# reads say, in order.
sub log_of
{
	my ($node, $database, $tag, $expression) = @_;
	return $node->safe_psql(
		$database, qq{
		SELECT string_agg(($expression)::text, ',' ORDER BY boot_ticket)
		  FROM llm_audit.access_log WHERE application_name = '$tag'});
}

# await_log(NODE, DATABASE, CONDITION, NAME): until a record is there that is
# written without anybody waiting for it.
sub await_log
{
	my ($node, $database, $condition, $name) = @_;
	ok( $node->poll_query_until($database,
			"SELECT EXISTS (SELECT FROM llm_audit.access_log WHERE $condition)"),
		$name);
	return;
}

# reads_of(NODE, DATABASE, TAG): how many reads a session has recorded.
sub reads_of
{
	my ($node, $database, $tag) = @_;
	return $node->safe_psql($database,
		"SELECT count(*) FROM llm_audit.access_log WHERE event = 'read' AND application_name = '$tag'");
}

# read_is(NODE, DATABASE, SQL, READS, NAME [, USER]): the statements succeed, in
# a transaction with a reason, and have recorded so many reads.
sub read_is
{
	my ($node, $database, $sql, $reads, $name, $user) = @_;
	my ($status, $out, $err, $tag) = run_as($node, $database, $user // 'reader',
		"BEGIN;\nSET LOCAL llm_audit.reason = 'test';\n$sql");
	is($status, 0, "$name: succeeds") or diag $err;
	is(reads_of($node, $database, $tag), $reads, "$name: $reads recorded");
	return ($out, $tag, $err);
}

# refused_is(NODE, DATABASE, SQL, PATTERN, NAME [, USER]): the statements fail
# with that error and return no row.
sub refused_is
{
	my ($node, $database, $sql, $pattern, $name, $user) = @_;
	my ($status, $out, $err, $tag) =
	  run_as($node, $database, $user // 'reader', $sql);
	isnt($status, 0, "$name: refused");
	is($out, '', "$name: no row");
	like($err, $pattern, "$name: says why");
	return $tag;
}

# await_writer(NODE, DATABASE): until the access writer serves the database.
sub await_writer
{
	my ($node, $database) = @_;
	$node->poll_query_until($database,
		"SELECT state = 'running' FROM llm_audit.access_status() WHERE database = current_database()"
	) or die "no access writer for $database";
	return;
}

1;
