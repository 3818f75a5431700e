# views.pl
#	  What a role that is restricted to one organization waits for: calls by
#	  request and by customer among five million in sixty segments.
#
# Part of bench.pl, whose functions it uses.  Rows are put in with the triggers
# switched off in the catalog: what is measured is reading.
use strict;
use warnings;

# Segments of the past, so that there are sixty in prod with those ahead.
sub make_past_segments
{
	return sql(q{
SELECT llm_audit.lock_registry();
SELECT count(llm_audit.make_segment(l.ledger_id, 'prod', m.start - interval '1 month', m.start))
	FROM llm_audit.ledger l, LATERAL (SELECT min(s.lower) AS first, count(*) AS n FROM llm_audit.ledger_segment s
			WHERE s.ledger_id = l.ledger_id AND s.environment = 'prod' AND NOT s.is_default) AS s,
		LATERAL (SELECT s.first - make_interval(months => i) FROM generate_series(0, 59 - s.n::int) AS i) AS m (start)
	WHERE l.relation_name IN ('llm_call', 'match_token');
});
}

# Statements that fill one segment of llm_call, evenly over its time, and what
# belongs to it of match_token.  Segment by segment, so that the indexes that
# take the rows stay in memory.
sub fill_statements
{
	my ($leaf, $rows) = @_;
	return qq{
INSERT INTO llm_audit.$leaf (id, recorded_at, recorded_by, chain_lane, chain_seq, prev_hash, row_hash,
		environment, organization_id, request_id, occurred_at, service_name, actor_id, actor_type, end_user_id,
		customer_key, operation_name, provider_name, request_model, response_model, status, duration_ms)
	SELECT gen_random_uuid(), t.at, 'bench', 999999, n, h.p, h.p, 'prod',
		CASE n % 4 WHEN 0 THEN 'bank-b' ELSE 'bank-a' END, format('req-%s-%s', s.segment, n), t.at, 'chat',
		'clerk-' || n % 500, 'human', 'user-' || n % 50000, CASE WHEN n % 3 = 0 THEN 'customer-' || n / 3 % 400000 END,
		'chat', 'openai', 'gpt-4o', 'gpt-4o', 'ok', n % 1000
	FROM llm_audit.ledger_segment s, sha256('p') AS h (p), generate_series(1, $rows) AS n,
		LATERAL (SELECT s.lower + (s.upper - s.lower) * (n::float8 / ($rows + 1)) AS at) AS t
	WHERE s.relation_name = '$leaf';
INSERT INTO llm_audit.match_token (id, recorded_at, recorded_by, chain_lane, chain_seq, prev_hash, row_hash,
		environment, organization_id, token, entity, call_id, request_id)
	SELECT gen_random_uuid(), recorded_at, 'bench', chain_lane, chain_seq, prev_hash, row_hash, environment, organization_id,
		'k1:' || customer_key, 'ACCOUNT', id, request_id
	FROM llm_audit.$leaf WHERE recorded_by = 'bench' AND customer_key IS NOT NULL;
VACUUM (ANALYZE) llm_audit.$leaf;
};
}

# Fills every segment of llm_call in prod that has begun; returns how many
# there are.  Two loaders work side by side, each on every other segment.
sub fill_segments
{
	my ($total) = @_;
	my @leaves = split /\n/, sql(q{SELECT s.relation_name FROM llm_audit.ledger_segment s JOIN llm_audit.ledger l USING (ledger_id)
		WHERE l.relation_name = 'llm_call' AND s.environment = 'prod' AND NOT s.is_default AND s.lower < now() ORDER BY s.lower});
	my $rows = int($total / @leaves);
	my @loaders;
	for my $half (0, 1)
	{
		my $file = "$::work/fill$half.sql";
		spew($file, join '', map { fill_statements($leaves[$_], $rows) } grep { $_ % 2 == $half } 0 .. $#leaves);
		my $pid = fork() // die "fork: $!\n";
		exec("psql -Xq -v ON_ERROR_STOP=1 -h $::work -p 5432 -f $file bench") if !$pid;
		push @loaders, $pid;
	}
	my $failed = grep { waitpid($_, 0); $? != 0 } @loaders;
	die "loading failed\n" if $failed;
	sql('VACUUM (ANALYZE) llm_audit.match_token; CHECKPOINT');
	return (scalar(@leaves), $rows * @leaves);
}

sub restart_server
{
	my ($options) = @_;
	run_command("pg_ctl -s -w -D $::work/data -m fast stop");
	run_command("pg_ctl -s -w -D $::work/data -l $::work/server.log -o \"$options\" start");
	return;
}

# Milliseconds of statements as the reader, each once after some to warm up.
sub time_as_reader
{
	my (@statements) = @_;
	spew("$::work/reader.sql",
		"\\timing on\n\\o /dev/null\n" . join("\n", @statements) . "\n");
	my $out = `psql -Xq -v ON_ERROR_STOP=1 -h $::work -p 5432 -U bank_a -f $::work/reader.sql bench 2>&1`;
	die "failed: $out" if $?;
	my @ms = $out =~ /^Time: ([\d.]+) ms/mg;
	die "not timed: $out" if @ms != @statements;
	splice(@ms, 0, 10);
	return @ms;
}

sub bench_views
{
	make_past_segments();
	restart_server('-c shared_preload_libraries= -c allow_system_table_mods=on -c fsync=off -c wal_level=minimal -c max_wal_senders=0');
	sql(q{UPDATE pg_trigger SET tgenabled = 'D' WHERE tgname LIKE 'llm\_audit\_%' AND tgrelid IN (
		SELECT oid FROM pg_class WHERE relname ~ '^(llm_call|match_token)_prod');});
	my $began = time();
	my ($segments, $calls) = fill_segments($::quick ? 300_000 : 5_000_000);
	printf "# %d rows loaded in %.0f s\n", $calls, time() - $began;
	restart_server('-c fsync=off -c llm_audit.match_token_limit=1000000');
	sql(q{CREATE ROLE bank_a LOGIN IN ROLE llm_audit_oncall;
		SELECT llm_audit.set_scope('bank_a', '{bank-a}', '{prod}');});
	my $note = "$calls calls in $segments of 60 segments, fsync off";

	my $columns = 'request_id, occurred_at, service_name, route_id, response_model, status, error_code, duration_ms';
	my @segment = map { my $n = $_; sql("SELECT segment || '|' || lower FROM llm_audit.ledger_segment s JOIN llm_audit.ledger l USING (ledger_id)
		WHERE l.relation_name = 'llm_call' AND environment = 'prod' AND NOT is_default AND lower < now() ORDER BY lower DESC OFFSET $n LIMIT 1"); } 0, 20, 40;
	my @cases = map { my ($segment, $from) = split /\|/, $segment[ $_ % 3 ]; [ "req-$segment-" . (4 * $_ + 1), $from ] } 1 .. 40;

	my @view = time_as_reader(map { "SELECT $columns FROM llm_audit.oncall_calls WHERE request_id = '$_->[0]';" } @cases);
	result('views_request', median(@view), '<10', "ms, oncall_calls by request_id; $note");
	my @ranged = time_as_reader(map { "SELECT $columns FROM llm_audit.oncall_calls WHERE request_id = '$_->[0]'"
		. " AND recorded_at >= '$_->[1]' AND recorded_at < timestamptz '$_->[1]' + interval '2 days';" } @cases);
	result('views_request_range', median(@ranged), '<3', 'ms, with a range of recorded_at');
	my @customers = map { 'customer-' . (17 * $_) } 1 .. 40;
	my @customer = time_as_reader(map { "SELECT * FROM llm_audit.find_calls(customer => '$_');" } @customers);
	result('views_customer', median(@customer), '<10', 'ms, find_calls() by customer');
	my @customer_ranged = time_as_reader(map { "SELECT * FROM llm_audit.find_calls(customer => '$customers[$_]',"
		. " occurred_from => '$cases[$_][1]', occurred_to => timestamptz '$cases[$_][1]' + interval '2 days');" } 0 .. 39);
	result('views_customer_range', median(@customer_ranged), '<3', 'ms, with a range of occurred_at');
	restart_server('');
	return;
}

1;
