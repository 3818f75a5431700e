# Files of recorded traffic, of every form that gateways write, go in by the
# command that docs/writing.md shows: no line is lost, and verify is clean.  The
# input is the project's own; real recordings are loaded too where they lie
# beside the project.
use strict;
use warnings;
use FindBin;
use JSON::PP;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $top = "$FindBin::Bin/../..";
my $node = make_node('load_files');
$node->start;
$node->safe_psql('postgres', "CREATE DATABASE audit ENCODING 'UTF8' TEMPLATE template0");
$node->safe_psql('audit', 'CREATE EXTENSION llm_audit; SELECT count(*) FROM llm_audit.setup();'
	  . " SELECT llm_audit.set_content_recording('*', '*', true, 'a test')");
my $json = JSON::PP->new->canonical;

my ($load) = grep { /record_file\.sql/ } slurp_file("$top/docs/writing.md") =~ /^```sh\n(.*?)^```$/msg;
ok(defined $load, 'docs/writing.md shows how to load a file');

# Calls, without their tool calls, which are rows of their own.
sub calls
{
	return $node->safe_psql('audit', 'SELECT count(*) FROM llm_audit.llm_call WHERE tool_name IS NULL');
}

# load_file(FILE, DOCUMENTS, NAME): by the command shown; all of the documents
# are stored, and as many calls are there afterwards.
sub load_file
{
	my ($file, $documents, $name) = @_;
	my $before = calls();
	my $output;
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	my $done = IPC::Run::run([ 'sh', '-ec', "cd '$top'\n" . $load =~ s/\bcalls\.jsonl\b/'$file'/r ], '>&', \$output);
	ok($done, "$name: the command succeeds") or diag(substr($output, -2000));
	my %fates;
	$fates{$1} += $2 while $output =~ /^ *(\w+) +\|[^|]*\|[^|]*\| +(\d+) +\| +\d+$/mg;
	is(join(' ', map { "$_ $fates{$_}" } sort keys %fates), "stored $documents", "$name: every document is stored")
	  or diag(substr($output, -2000));
	is(calls() - $before, $documents, "$name: as many calls are there");
	return;
}

# write_file(NAME, LINES...): a file of them.
sub write_file
{
	my ($name, @lines) = @_;
	my $file = $node->basedir . "/$name.jsonl";
	open(my $out, '>:raw', $file) or die "$file: $!";
	print $out "$_\n" for @lines;
	close($out) or die "$file: $!";
	return $file;
}

# The forms, as the real recordings have them: the raw exchange; a row of
# LiteLLM's spend log, whose metadata is a JSON string; its logging payload;
# spans of OpenTelemetry; our own.
my @exchanges = map { $json->decode($_) } split /\n/, slurp_file("$top/test/demo_data/calls.jsonl");
my %forms = (
	exchange => sub {
		my ($i) = @_;
		my %call = %{ $exchanges[ $i % @exchanges ] };
		$call{response_headers} = { %{ $call{response_headers} }, 'x-request-id' => "req_$i" };
		return \%call;
	},
	litellm_spend => sub {
		my ($i) = @_;
		return {
			request_id => "chatcmpl-spend-$i", session_id => "s-$i", call_type => 'acompletion', api_key => '',
			cache_hit => 'None', startTime => '2026-01-24 09:20:46.847371', endTime => '2026-01-24 09:20:46.851954',
			completionStartTime => '2026-01-24 09:20:46.851954', model => 'gpt-4o', user => '', team_id => '',
			organization_id => '', cache_key => 'Cache OFF', spend => 0.000225, total_tokens => 30,
			prompt_tokens => 10, completion_tokens => 20, request_tags => '[]', end_user => '', api_base => '',
			model_group => '', model_id => '', requester_ip_address => undef, custom_llm_provider => 'openai',
			messages => '{}', response => '{}', proxy_server_request => '{}', status => 'success',
			metadata => $json->encode({ applied_guardrails => [], attempted_retries => undef,
				usage_object => { completion_tokens => 20, prompt_tokens => 10, total_tokens => 30 } }) };
	},
	litellm_payload => sub {
		my ($i) = @_;
		return {
			id => "chatcmpl-payload-$i", trace_id => "t-$i", call_type => 'completion', stream => JSON::PP::false,
			response_cost => 0.0001, status => 'success', custom_llm_provider => 'openai', total_tokens => 30,
			prompt_tokens => 10, completion_tokens => 20, startTime => 1769246446.847, endTime => 1769246447.1,
			completionStartTime => 1769246447.0, model => 'gpt-4o', model_group => 'gpt-4o', api_base => '',
			metadata => { user_api_key_hash => undef, user_api_key_alias => 'branch' },
			messages => [ { role => 'user', content => 'What is the daily limit?' } ],
			response => { choices => [ { finish_reason => 'stop', index => 0,
				message => { role => 'assistant', content => 'It is in your tariff plan.' } } ] },
			model_parameters => { temperature => 0.2 }, hidden_params => {}, cache_hit => JSON::PP::false,
			error_str => undef, request_tags => [] };
	},
	otel => sub {
		my ($i) = @_;
		return {
			traceId => sprintf('%032x', $i), spanId => sprintf('%016x', $i), name => 'chat gpt-4o',
			startTimeUnixNano => '1769246446847000000', endTimeUnixNano => '1769246447100000000',
			attributes => { 'gen_ai.operation.name' => 'chat', 'gen_ai.provider.name' => 'openai',
				'gen_ai.request.model' => 'gpt-4o', 'gen_ai.usage.input_tokens' => 10, 'gen_ai.usage.output_tokens' => 20,
				'gen_ai.input.messages' => [ { role => 'user', parts => [ { type => 'text', content => 'What is the daily limit?' } ] } ] } };
	},
	own => sub {
		my ($i) = @_;
		return {
			request_id => "own-$i", actor_id => 'batch-7', actor_type => 'job', operation_name => 'chat',
			provider_name => 'openai', request_model => 'gpt-4o', status => 'ok', input_tokens => 10,
			output_tokens => 20, occurred_at => '2026-01-24T09:20:46Z',
			content => [ { role => 'user', body => 'What is the daily limit?' } ] };
	});

for my $form (sort keys %forms)
{
	load_file(write_file($form, map { $json->encode($forms{$form}->($_)) } 1 .. 450), 450, $form);
}
load_file("$top/test/demo_data/calls.jsonl", scalar(@exchanges), 'test/demo_data/calls.jsonl');

# Real recordings.  The files of LiteLLM have one document each, over many lines.
SKIP:
{
	my $fixtures = "$top/../shared/fixtures";
	skip 'recordings of real traffic (../shared/fixtures) are not there', 9 if !-d $fixtures;
	my $recorded = "$fixtures/openllmetry_calls.jsonl";
	load_file($recorded, scalar(grep { /\S/ } split /\n/, slurp_file($recorded)), 'openllmetry_calls.jsonl');
	load_file("$fixtures/litellm/$_.json", 1, "litellm/$_.json") for qw(spend_logs_payload standard_logging_payload);
}
check_verify($node, 'audit', 'files of every form');

# A hundred thousand lines of all forms, where no text of calls is recorded.
$node->safe_psql('audit', "SELECT llm_audit.set_content_recording('*', '*', false, 'the test goes on')");
my $lines = 100_000;
my @names = sort keys %forms;
my $big = write_file('big', map { $json->encode($forms{ $names[ $_ % @names ] }->(1000 + $_)) } 1 .. $lines);
my $started = time();
load_file($big, $lines, "$lines lines");
note(sprintf('%d lines in %.1f s', $lines, time() - $started));
check_verify($node, 'audit', "$lines lines");

$node->stop;
done_testing();
