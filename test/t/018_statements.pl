# What pg_stat_statements and pg_stat_activity keep of statements on ledgers:
# of bind parameters nothing, of literals what docs/masking.md says, whether
# the statement succeeds or fails; and no order of the two libraries matters.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use File::Find qw(find);
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('node', log_statement => 'none',
	shared_preload_libraries => 'pg_stat_statements, llm_audit',
	'pg_stat_statements.track' => 'all', 'pg_stat_statements.track_utility' => 'on',
	'pg_stat_statements.save' => 'on');
chomp(my $library = `pg_config --pkglibdir`);
unless (-e "$library/pg_stat_statements.so")
{
	plan skip_all => 'pg_stat_statements is not installed (postgresql-contrib)';
}
$node->start;
make_database($node, 'audit');
$node->safe_psql('audit', q{
	CREATE EXTENSION pg_stat_statements;
	SELECT llm_audit.set_content_recording('prod', '*', true, 'test');
	CREATE FUNCTION wrapper(line text) RETURNS void LANGUAGE plpgsql AS
		'BEGIN INSERT INTO llm_audit.llm_call (attributes) VALUES (line::jsonb); END'});

# No two statements of the test hold the same value: each is a card's number
# with a running mark, which nothing masks.
my $mark = 0;
sub value { return sprintf('4403123412344298 bank@planted.kz Mark%04dX', ++$mark) }
sub marks { return map { sprintf('Mark%04dX', $_) } @_ }

my $columns = call_columns();
my $row = call_values("'call'");
my $document = '{"request_id": "doc-%s", "environment": "prod", "occurred_at": "2026-01-01T00:00:00Z",'
  . ' "service_name": "s", "actor_id": "svc", "actor_type": "service", "operation_name": "chat",'
  . ' "provider_name": "p", "request_model": "m", "status": "ok", "error_message": "%s", "content": [{"body": "%s"}]}';

# By bind parameter, in the extended protocol with and without a name
sub bound
{
	my ($mode, $sql, @values) = @_;
	my ($done, $out, $err) = run_pgbench($node, 'audit', "$sql;\n", '-t', 1, '-M', $mode,
		map { ('-D', "v$_=$values[$_]") } 0 .. $#values);
	return ($done, "$out$err");
}

my %fine = (
	'an insert' => [ "INSERT INTO llm_audit.llm_call ($columns, error_message) SELECT $row, :v0" ],
	'a document' => [ 'SELECT llm_audit.record_call(:v0)', sub { my $v = value(); sprintf($document, $mark, $v, $v) } ],
	'documents' => [ 'SELECT * FROM llm_audit.record_calls(:v0)', sub { my $v = value(); sprintf($document, $mark, $v, $v) } ],
	'a table of one\'s own' => ['INSERT INTO plain VALUES (1, :v0)'],
	'known values' => ['SELECT llm_audit.set_known_values(:v0)'],
	'mask()' => ['SELECT llm_audit.mask(:v0)'],
	'a function that inserts' => [ 'SELECT wrapper(:v0)', sub { '{"x": "' . value() . '"}' }, 'fails' ],
	'a constraint' => [ "INSERT INTO llm_audit.llm_call ($columns, attempt_kind) SELECT $row, :v0", undef, 'fails' ],
	'a type' => [ 'INSERT INTO llm_audit.llm_call (attributes) VALUES (:v0)', undef, 'fails' ],
	'no document' => [ 'SELECT llm_audit.record_call(:v0)', undef, 'fails' ]);
for my $name (sort keys %fine)
{
	my ($sql, $make, $fails) = @{ $fine{$name} };
	for my $mode ('extended', 'prepared')
	{
		my ($done, $told) = bound($mode, $sql, ($make // \&value)->());
		is(!!$done, !$fails, "$name, $mode: " . ($fails ? 'fails' : 'succeeds'));
		unlike($told, qr/Mark\d|4403123412344298/, "$name, $mode: the client is not told");
	}
}
my @by_parameter = marks(1 .. $mark);

# Literals, which pg_stat_statements replaces by $1 where it plans
my %literal = (
	'an insert' => "INSERT INTO llm_audit.llm_call ($columns, error_message) SELECT $row, '%s'",
	'a document' => 'SELECT llm_audit.record_call($x$' . sprintf($document, 'x', '%s', 'y') . '$x$)',
	'a table of one\'s own' => q{INSERT INTO plain VALUES (1, '%s')},
	'a prepared statement' => q{PREPARE p AS INSERT INTO plain VALUES (1, '%s'); EXECUTE p},
	'an argument of EXECUTE' => q{PREPARE p (text) AS INSERT INTO plain VALUES (1, $1); EXECUTE p ('%s')},
	'dynamic SQL' => q{INSERT INTO plain SELECT 1, query_to_xml('SELECT 1', true, true, '')::text || '%s'});
my %failing = (
	'a constraint' => "INSERT INTO llm_audit.llm_call ($columns, attempt_kind) SELECT $row, '%s'",
	'a missing value' => q{INSERT INTO llm_audit.llm_call (error_message) VALUES ('%s')},
	'JSON that is none' => q~INSERT INTO llm_audit.llm_call (attributes) VALUES ('{"x": %s')~,
	'a number that is none' => q{INSERT INTO llm_audit.llm_call (input_tokens) VALUES ('%s')},
	'a syntax error' => q{INSERT INTO llm_audit.llm_call (error_message) VALUES ('%s' 1)},
	'a document that is none' => q{SELECT llm_audit.record_call('%s')},
	'a function that inserts' => q~SELECT wrapper('{"x": %s')~);
my $first_literal = $mark + 1;
my $session = $node->background_psql('audit', on_error_stop => 0);
my $pid = $session->query('SELECT pg_backend_pid()');
sub activity
{
	return $node->safe_psql('audit', "SELECT query FROM pg_stat_activity WHERE pid = $pid");
}
for my $name (sort keys %literal)
{
	my ($status, $out, $err) = $node->psql('audit', sprintf($literal{$name}, value()));
	is($status, 0, "$name succeeds");
}
for my $name (sort keys %failing)
{
	my ($status, $out, $err) = $node->psql('audit', sprintf($failing{$name}, value()));
	like($err, qr/ERROR/, "$name fails");
	$err =~ s/^.*LINE 1: .*$//mg;    # of psql's own, which knows what it sent
	unlike("$out$err", qr/Mark\d|4403123412344298/, "$name: the client is not told");
	$session->query(sprintf($failing{$name}, value()));
	$session->{stderr} = '';
	unlike(activity(), qr/Mark\d/, "$name: pg_stat_activity does not keep it");
}
my @planned = marks($first_literal .. $mark);

# What shows a literal: commands that PostgreSQL does not plan.  Newer versions
# replace some of theirs, too.
my $utility = 'MarkDoBlockX';
$node->safe_psql('audit', "DO \$\$ BEGIN INSERT INTO plain VALUES (1, 'card 4403123412344298 $utility'); END \$\$");

sub kept
{
	my ($text) = @_;
	return $node->safe_psql('audit', "SELECT count(*) FROM pg_stat_statements WHERE strpos(query, '$text') > 0");
}
cmp_ok(kept('INSERT INTO llm_audit.llm_call'), '>', 2, 'pg_stat_statements knows the statements');
cmp_ok(kept('record_rows()'), '>', 0, 'those inside of functions, too');
is(join(' ', grep { kept($_) } @by_parameter), '', 'of parameters it keeps nothing');
is(join(' ', grep { kept($_) } @planned), '', 'of literals in statements that are planned, neither');
cmp_ok(kept($utility), '>', 0, 'of DO it keeps the text, as the docs say');
$node->safe_psql('audit', 'SELECT pg_stat_statements_reset()');
$node->safe_psql('audit', 'ALTER SYSTEM SET pg_stat_statements.track_utility = off');
$node->reload;
$node->poll_query_until('audit', "SELECT current_setting('pg_stat_statements.track_utility') = 'off'");
$node->safe_psql('audit', "DO \$\$ BEGIN INSERT INTO plain VALUES (1, 'card 4403123412344298 MarkDoAgainX'); END \$\$");
cmp_ok(kept('INSERT INTO plain'), '>', 0, 'the insert inside of it is known');
is(kept('Mark' . 'DoAgainX'), '0', 'with track_utility off, nothing of DO');

# Which parameter it was, is said.
my ($bound, $none, $fault) = run_pgbench($node, 'audit',
	"INSERT INTO llm_audit.llm_call (environment, request_id, cost) VALUES ('prod', :a, :b);\n",
	'-t', 1, '-M', 'extended', '-D', 'a=r-9', '-D', 'b=MarkPlace');
like($fault, qr/ERROR:  invalid value or syntax in a statement on a ledger\n.*^CONTEXT:  unnamed portal parameter \$2$/ms,
	'a parameter that does not fit is told by its number');
like($fault, qr/^DETAIL:  It is the value for column "cost"\.$/m, 'and by the column that it was for');
unlike($fault, qr/MarkPlace/, 'and not by its value');

# EXECUTE names no ledger; values are looked at by the planner, or, with a plan
# for all values, by the executor.
my $size = -s $node->logfile;
for my $mode ('force_custom_plan', 'force_generic_plan')
{
	for my $statement (q{INSERT INTO llm_audit.llm_call (environment, cost) VALUES ('prod', $1::numeric)},
		q{WITH w AS (INSERT INTO plain VALUES ($1::int, 'x') RETURNING 1) SELECT * FROM w},
		q{INSERT INTO plain VALUES ($1::text::int, 'x')},
		q{SELECT count(*) FROM llm_audit.llm_call WHERE cost = $1::numeric})
	{
		(undef, undef, $fault) = $node->psql('audit', "SET plan_cache_mode = $mode;\n"
			  . "PREPARE x (text) AS $statement;\nEXECUTE x ('MarkPlanned')");
		like($fault, qr/ERROR:/, "$mode, $statement: fails");
		unlike($fault, qr/MarkPlanned/, 'and does not quote the value');
	}
}
unlike(slurp_file($node->logfile, $size), qr/MarkPlanned/, 'nor does the server log, in the message or in the statement');

# The other order
$session->quit;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'llm_audit, pg_stat_statements'\n");
$node->restart;
my $before = $mark + 1;
my ($done) = bound('prepared', $fine{'an insert'}[0], value());
ok($done, 'an insert with the libraries the other way round');
$node->psql('audit', sprintf($failing{'a constraint'}, value()));
cmp_ok(kept('INSERT INTO llm_audit.llm_call'), '>', 0, 'pg_stat_statements works');
is(join(' ', grep { kept($_) } marks($before .. $mark)), '', 'and keeps no value');
$node->stop;

# Its files, and everything else: the values themselves are masked where they
# are stored, so only the marks of stored texts may be in tables.
sub holds
{
	my ($file, @texts) = @_;
	my $data = slurp_file($file);
	return grep { index($data, $_) >= 0 } @texts;
}
my @files;
find({ no_chdir => 1, wanted => sub { push @files, $_ if -f $_ && m{/pg_stat|pgss} } }, $node->data_dir);
ok((grep { holds($_, 'INSERT INTO llm_audit.llm_call') } @files), 'its file is found');
is(join(' ', map { holds($_, @by_parameter, @planned) } @files), '', 'and has no value');
my $log = slurp_file($node->logfile);
is(join(' ', grep { index($log, $_) >= 0 } @by_parameter, @planned, '4403123412344298'), '', 'nor has the log');
done_testing();
