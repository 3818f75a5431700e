# What the README and the pages for DBAs and developers show can be run: every
# SQL block but those that are listed here with the reason, the commands that
# load a file, and the client.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::Bin/../..";
my $node = make_node('docs_commands', 'llm_audit.key_directory' => 'keydir');
my $keydir = $node->basedir . '/keydir';
mkdir($keydir, 0700) or die "$keydir: $!";
$node->append_conf('postgresql.conf', "llm_audit.key_directory = '$keydir'\n");
$node->start;
$node->safe_psql('postgres', "CREATE DATABASE audit ENCODING 'UTF8' TEMPLATE template0");

# blocks(DOCUMENT, LANGUAGE): its blocks in that language, in order.
sub blocks
{
	my ($document, $language) = @_;
	my @blocks = slurp_file("$top/$document") =~ /^```$language\n(.*?)^```$/msg;
	return @blocks;
}

# run_block(SQL, PSQL-OPTIONS...): in a session of its own, without the
# reason that tests have: a document has to say where one is needed.
sub run_block
{
	my ($sql, @options) = @_;
	local $ENV{PGOPTIONS};
	delete $ENV{PGOPTIONS};
	my ($status, $stdout, $stderr) = $node->psql('audit', $sql,
		on_error_stop => 1, extra_params => [ map { ('-v', $_) } @options ]);
	return ($status, $stdout, $stderr);
}

# ---- README ----
my @readme = blocks('README.md', 'sql');
is(scalar(@readme), 3, 'README.md has examples');
my ($status, $stdout, $stderr) = run_block($readme[0]);
is($status, 0, 'README.md: five minutes to a chain') or diag($stderr);
like($stdout, qr/\|stored\|/, 'the call is stored');
like($stdout, qr/^req-1\|gpt-4o-2024-08-06\|\d+\|1\|[0-9a-f]{12}\|[0-9a-f]{12}$/m, 'and shown with its place');
like($stdout, qr/^self_consistent\|/m, 'and verified');
($status, $stdout, $stderr) = run_block($readme[1]);
is($status, 0, 'README.md: a call that names somebody') or diag($stderr);
like($stdout, qr/^\w+:\S+\|\w+:\S+\|no loan for IIN <KZ_IIN:\*\*12>\|masked\|\{"KZ_IIN": 1\}\|personal$/m,
	'which is masked as shown');
($status, $stdout, $stderr) = run_block($readme[2]);
like($stderr, qr/cannot update ledger/, 'README.md: what is refused');

# ---- writing ----
my $call = '{"request_id": "%s", "actor_id": "batch-7", "actor_type": "job",'
  . ' "environment": "prod", "service_name": "chat", "operation_name": "chat", "provider_name": "openai",'
  . ' "request_model": "gpt-4o", "status": "ok", "occurred_at": "2026-07-01T12:00:00Z"}';
my %values = (
	document => q{'} . sprintf($call, 'w-1') . q{'},
	documents => q{'[} . sprintf($call, 'w-2') . ', ' . sprintf($call, 'w-3') . q{]'},
	defaults => q{'{"environment": "prod"}'});
my $ran = 0;
for my $block (blocks('docs/writing.md', 'sql'))
{
	next if $block =~ /\(id, …\)/;		# shows the form only
	$block =~ s/FROM STDIN \(FORMAT csv\);\n/FROM STDIN (FORMAT csv);\nprod,chat,r-3,batch-7,job,chat,openai,gpt-4o,ok,2026-07-01\n\\.\n/;
	$block =~ s/:($_)\b/$values{$_}/g for keys %values;
	($status, $stdout, $stderr) = run_block($block);
	is($status, 0, 'docs/writing.md: ' . substr($block, 0, 40) =~ s/\n.*//sr) or diag($stderr);
	unlike($stdout, qr/\|(refused|conflict)\|/, 'nothing is refused');
	$ran++;
}
cmp_ok($ran, '>=', 6, 'docs/writing.md has examples');
is( $node->safe_psql('audit',
		q{SELECT string_agg(request_id, ' ' ORDER BY request_id) FROM llm_audit.llm_call
		 WHERE tool_name IS NULL AND request_id ~ '^[rw]-'}),
	'r-1 r-2 r-3 w-1 w-2 w-3',
	'every call is there');

# The file: recorded traffic where it lies beside the project, else our own.
my ($load) = grep { /record_file\.sql/ } blocks('docs/writing.md', 'sh');
my ($file) = grep { -e } "$top/../shared/fixtures/openllmetry_calls.jsonl";
if (!defined $file)
{
	$file = $node->basedir . '/calls.jsonl';
	append_to_file($file, join('', map { sprintf($call, "file-$_") . "\n" } 1 .. 450));
}
my @lines = split /\n/, slurp_file($file);
my $before = $node->safe_psql('audit', 'SELECT count(*) FROM llm_audit.llm_call WHERE parent_span_id IS NULL OR tool_name IS NULL');
{
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	my $output;
	my $done = IPC::Run::run([ 'sh', '-ec', "cd '$top'\n" . $load =~ s/\bcalls\.jsonl\b/'$file'/r ], '>&', \$output);
	ok($done, 'docs/writing.md: a file is loaded') or diag($output);
	my $stored = 0;
	$stored += $1 while $output =~ /^ *stored +\|[^|]*\|[^|]*\| +(\d+) /mg;
	is($stored, scalar(grep { /\S/ } @lines), 'every line is stored') or diag($output);
}

# The client.
SKIP:
{
	my ($client) = blocks('docs/writing.md', 'python');
	my ($python) = grep { system("$_ -c 'import psycopg2' 2>/dev/null") == 0 } qw(python3 /usr/bin/python3);
	skip 'python3-psycopg2 is not installed', 2 if !defined $python;
	my $program = $node->basedir . '/client.py';
	append_to_file($program, $client . <<'PYTHON');

import sys
recorder = Recorder(sys.argv[1])
for i in range(250):
    recorder.add({"request_id": "py-%d" % i, "actor_id": "batch-7", "actor_type": "job",
                  "operation_name": "chat", "provider_name": "openai", "request_model": "gpt-4o",
                  "status": "ok", "occurred_at": "2026-07-01T12:00:00Z"})
recorder.add({"request_id": "py-bad", "status": "no such status"})
print([fate[1] for fate in recorder.flush()])
PYTHON
	my $output;
	my $done = IPC::Run::run([ $python, $program, $node->connstr('audit') ], '>&', \$output);
	is($output, "['refused']\n", 'docs/writing.md: the client runs, and says what was refused');
	is($node->safe_psql('audit', q{SELECT count(*) FROM llm_audit.llm_call WHERE request_id LIKE 'py-%'}),
		'250', 'and every other call is there');
}

# ---- for DBAs ----
my %elsewhere = (
	qr/^CREATE EXTENSION/ => 'README.md',
	qr/cron\.schedule/ => '061_maintenance_run.pl has pg_cron',
	qr/CREATE PUBLICATION/ => '005_logical.pl');
$node->safe_psql('audit', 'CREATE ROLE auditor; CREATE ROLE new_owner; SELECT llm_audit.init_key_directory()');
$ran = 0;
BLOCK: for my $block (blocks('docs/dba.md', 'sql'))
{
	for my $pattern (keys %elsewhere)
	{
		next BLOCK if $block =~ /$pattern/;
	}
	$block =~ s/^ALTER DATABASE.*\n//m;		# from another one: 051_access_failures.pl
	$block = "SET llm_audit.reason = 'tests';\n$block" if $block =~ /purge/;
	($status, $stdout, $stderr) = run_block($block);
	is($status, 0, 'docs/dba.md: ' . substr($block, 0, 60) =~ s/\n.*//sr) or diag($stderr);
	if ($block =~ /pause_workers/)
	{
		$node->safe_psql('audit', "SELECT llm_audit.pause_workers('0')");
	}
	$ran++;
}
cmp_ok($ran, '>=', 11, 'docs/dba.md has examples');
is( $node->safe_psql('audit', q{SELECT count(*) FROM pg_extension WHERE extname = 'llm_audit'}),
	'0',
	'the last of them have removed llm_audit');

$node->stop;
done_testing();
