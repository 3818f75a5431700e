# bench.pl
#	  The benchmarks that test/bench/run starts, in its private server.
#
# A twin is a table with a ledger's columns, partitions, defaults and indexes,
# but for the index on (chain_lane, chain_seq), and without triggers.  What the
# trigger would fill in, the twin's defaults do, so that rows are as wide.
use strict;
use warnings;
use Time::HiRes qw(time usleep);

our $work = $ENV{LA_WORK} or die "started by test/bench/run only\n";
our $quick = grep { $_ eq '--quick' } @ARGV;
my %wanted = map { $_ => 1 } grep { !/^--/ } @ARGV;
my $seconds = $quick ? 2 : 6;
my $rounds = $quick ? 3 : 5;
my $million = $quick ? 100_000 : 1_000_000;
my @connect = ('-h', $work, '-p', 5432);
my @results;
$| = 1;				# shown as it is measured

# ---------------- the server ----------------

sub run_command
{
	my @command = @_;
	system(@command) == 0 or die "failed: @command\n";
	return;
}

# Runs SQL; returns what psql prints.
sub sql
{
	my ($text, @options) = @_;
	my $file = "$work/statement.sql";
	spew($file, $text);
	my $out = `psql -XqAt -v ON_ERROR_STOP=1 -h $work -p 5432 @options -f $file bench 2>&1`;
	die "failed: " . substr($text, 0, 500) . "\n$out" if $?;
	chomp $out;
	return $out;
}

sub spew
{
	my ($path, $text) = @_;
	open(my $file, '>', $path) or die "$path: $!\n";
	print $file $text;
	close($file) or die "$path: $!\n";
	return;
}

sub start_server
{
	run_command("initdb -D $work/data -A trust -U postgres --encoding=UTF8 --no-locale >$work/initdb.log");
	run_command("umask 077; echo \"k1 \$(head -c 32 /dev/urandom | base64)\" >$work/keys");
	open(my $conf, '>>', "$work/data/postgresql.conf") or die;
	print $conf <<"CONF";
listen_addresses = ''
unix_socket_directories = '$work'
shared_preload_libraries = 'llm_audit'
llm_audit.key_file = '$work/keys'
llm_audit.databases = 'bench'
shared_buffers = 1GB
max_wal_size = 16GB
checkpoint_timeout = 1h
maintenance_work_mem = 256MB
autovacuum = off
max_locks_per_transaction = 512
fsync = on
# what masking costs beside the chain is measured by itself
llm_audit.masking = off
CONF
	close($conf);
	run_command("pg_ctl -s -w -D $work/data -l $work/server.log start");
	run_command("createdb -h $work -U postgres bench");
	$ENV{PGUSER} = 'postgres';
	# ledgers are read with a reason only
	$ENV{PGOPTIONS} = '-c llm_audit.reason=benchmark';
	sql('CREATE EXTENSION llm_audit; SELECT count(*) FROM llm_audit.setup(); CREATE EXTENSION pgcrypto;');
	return;
}

sub stop_server
{
	system("pg_ctl -s -D $work/data -m immediate stop");
	return;
}

# ---------------- tables ----------------

# The 25 columns that an enrolled table has of its own.
my @wide = (
	[ 'environment', 'text NOT NULL', "'prod'" ],
	[ 'account_id', 'uuid', "'a8098c1a-f86e-41da-bd1a-00112444be1e'" ],
	[ 'request_id', 'text', "'req-' || :n" ],
	[ 'occurred_at', 'timestamptz', "'2026-01-05 10:00:00+05'" ],
	[ 'service', 'text', "'gateway'" ],
	[ 'region', 'text', "'almaty'" ],
	[ 'actor', 'text', "'branch-assistant'" ],
	[ 'model', 'text', "'gpt-4o-mini-2026-01-05'" ],
	[ 'provider', 'text', "'openai'" ],
	[ 'attempt', 'smallint', '1' ],
	[ 'is_final', 'boolean', 'true' ],
	[ 'status', 'text', "'ok'" ],
	[ 'http_status', 'int', '200' ],
	[ 'input_tokens', 'bigint', '812' ],
	[ 'output_tokens', 'bigint', '96' ],
	[ 'cached_tokens', 'bigint', '0' ],
	[ 'duration_ms', 'numeric(14,3)', '934.512' ],
	[ 'cost', 'numeric(20,10)', '0.0031000000' ],
	[ 'currency', 'text', "'USD'" ],
	[ 'route', 'text', "'default'" ],
	[ 'route_version', 'text', "'17'" ],
	[ 'prompt', 'text', "'loan-advice'" ],
	[ 'prompt_version', 'int', '42' ],
	[ 'attributes', 'jsonb', q('{"channel": "mobile", "retries": 0}') ],
	[ 'note', 'text', "'a remark of some length, as people write them'" ]);
my $wide_columns = join ', ', map { $_->[0] } @wide;
my $wide_values = join ', ', map { $_->[2] } @wide;

my $call_columns =
    'request_id, trace_id, span_id, source_id, source_epoch, source_seq,'
  . ' occurred_at, time_zone, utc_offset_minutes, environment, region,'
  . ' service_name, organization_id, project_id, actor_id, actor_type,'
  . ' api_key_id, operation_name, provider_name, request_model,'
  . ' response_model, response_id, route_id, route_version, prompt_id,'
  . ' prompt_version, is_stream, attempt, attempt_kind, is_final, status,'
  . ' http_status, finish_reasons, duration_ms, input_tokens,'
  . ' output_tokens, cost, currency, data_class';
my $call_values =
    "'req-' || :n, '4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7',"
  . " 'gw-1', '2026-01-05', :n, '2026-01-05 10:00:00+05', 'Asia/Almaty', 300,"
  . " 'prod', 'almaty', 'gateway', 'retail', 'cards', 'branch-assistant',"
  . " 'service', 'key-7', 'chat', 'openai', 'gpt-4o-mini',"
  . " 'gpt-4o-mini-2026-01-05', 'chatcmpl-0123456789abcdef', 'default', '17',"
  . " 'loan-advice', '42', false, 1, 'first', true, 'ok', 200, '{stop}',"
  . " 934.512, 812, 96, 0.0031, 'USD', 'internal'";

# What rows of a twin hold where the trigger would have filled something in.
my $fill = q{
	id DEFAULT llm_audit.uuid7(), recorded_at DEFAULT llm_audit.now(),
	recorded_by DEFAULT 'postgres', retain_until DEFAULT '2029-01-05 10:00:00+05',
	chain_lane DEFAULT 7, chain_seq DEFAULT 1234567,
	prev_hash DEFAULT '\x0000000000000000000000000000000000000000000000000000000000000000',
	row_hash DEFAULT '\x0000000000000000000000000000000000000000000000000000000000000000'};

sub create_twin_function
{
	sql(q{
CREATE FUNCTION twin_indexes(original regclass, twin regclass) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	i record;
BEGIN
	FOR i IN SELECT x.indexrelid, c.relname, pg_get_indexdef(x.indexrelid) AS definition
		FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid
		WHERE x.indrelid = original AND NOT c.relispartition
			AND pg_get_indexdef(x.indexrelid) NOT LIKE '%(chain_lane, chain_seq)'
	LOOP
		EXECUTE regexp_replace(
			regexp_replace(i.definition, 'INDEX \S+ ON', 'INDEX ON'),
			' ON (ONLY )?\S+ USING', format(' ON %s USING', twin));
	END LOOP;
END $$;

-- Makes the partitions of one table below another, and below those.
CREATE FUNCTION twin_partitions(original regclass, twin regclass) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	p record;
	name text;
BEGIN
	FOR p IN SELECT c.oid::regclass AS part, c.relkind, row_number() OVER () AS n,
			pg_get_expr(c.relpartbound, c.oid) AS bound, pg_get_partkeydef(c.oid) AS key
		FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
		WHERE h.inhparent = original
	LOOP
		name := format('%s_%s', twin, p.n);
		EXECUTE format('CREATE TABLE %I PARTITION OF %s %s %s', name, twin, p.bound,
			CASE WHEN p.relkind = 'p' THEN 'PARTITION BY ' || p.key ELSE '' END);
		PERFORM twin_indexes(p.part, name::regclass);
		PERFORM twin_partitions(p.part, name::regclass);
	END LOOP;
END $$;

CREATE FUNCTION make_twin(original regclass, twin text, fill text, plain boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
	f text;
	c record;
BEGIN
	EXECUTE format('CREATE TABLE %I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION) %s',
		twin, original,
		CASE WHEN NOT plain AND (SELECT relkind = 'p' FROM pg_class WHERE oid = original)
			THEN 'PARTITION BY ' || pg_get_partkeydef(original) ELSE '' END);
	FOR f IN SELECT btrim(x, E' \n\t') FROM regexp_split_to_table(fill, ',') AS x LOOP
		EXECUTE format('ALTER TABLE %I ALTER COLUMN %s', twin, regexp_replace(f, ' DEFAULT ', ' SET DEFAULT '));
	END LOOP;
	-- Columns with masking status and the like, which the trigger forces.
	FOR c IN SELECT attname FROM pg_attribute WHERE attrelid = twin::regclass
			AND attname = 'masking_status' LOOP
		EXECUTE format('ALTER TABLE %I ALTER COLUMN masking_status SET DEFAULT %L', twin, 'not_examined');
	END LOOP;
	IF NOT plain THEN
		PERFORM twin_indexes(original, twin::regclass);
		PERFORM twin_partitions(original, twin::regclass);
	END IF;
END $$;});
	return;
}

sub make_tables
{
	create_twin_function();
	my $definition = join ', ', map { "$_->[0] $_->[1]" } @wide;
	sql("CREATE TABLE wide ($definition) PARTITION BY LIST (environment);
		 SELECT llm_audit.create_ledger('wide', retention => '3 years');");
	for my $pair ([ 'wide', 'twin_wide' ], [ 'llm_audit.llm_call', 'twin_call' ])
	{
		my ($ledger, $twin) = @$pair;
		(my $text = $fill) =~ s/'/''/g;
		sql("SELECT make_twin('$ledger', '$twin', '$text');
			 SELECT make_twin('$ledger', 'bare_$twin', '$text', true);");
	}
	return;
}

# Statements that insert so many rows into a table; with a table of llm_call's
# columns or the wide one's.
sub insert_statement
{
	my ($table, $rows) = @_;
	my $is_call = $table =~ /call/;
	my ($columns, $values) =
	  $is_call ? ($call_columns, $call_values) : ($wide_columns, $wide_values);
	my @rows;
	for my $n (1 .. $rows)
	{
		(my $row = $values) =~ s/:n\b/$n/g;
		push @rows, "($row)";
	}
	return "INSERT INTO $table ($columns) VALUES " . join(', ', @rows) . ';';
}

# ---------------- measuring ----------------

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	return @sorted % 2
	  ? $sorted[ @sorted / 2 ]
	  : ($sorted[ @sorted / 2 - 1 ] + $sorted[ @sorted / 2 ]) / 2;
}

# Transactions per second of a pgbench run.
sub pgbench
{
	my ($script, $clients, $mode, $time) = @_;
	$time //= $seconds;
	my $out = `pgbench -n -h $work -p 5432 -c $clients -j 2 -M $mode -T $time -f $script bench 2>&1`;
	my ($tps) = $out =~ /^tps = ([\d.]+)/m;
	die "pgbench failed:\n$out" if $? || !$tps || $out =~ /aborted/;
	return $tps;
}

# Runs two scripts in turn; returns the median of the rounds' ratios and the
# two medians.
sub compare
{
	my ($ours, $theirs, $clients, $mode) = @_;
	my ($script1, $script2) = ("$work/ours.sql", "$work/theirs.sql");
	spew($script1, $ours);
	spew($script2, $theirs);
	my (@ratios, @one, @two);
	for my $round (1 .. $rounds)
	{
		my ($a, $b);
		if ($round % 2)
		{
			$a = pgbench($script1, $clients, $mode);
			$b = pgbench($script2, $clients, $mode);
		}
		else
		{
			$b = pgbench($script2, $clients, $mode);
			$a = pgbench($script1, $clients, $mode);
		}
		push @ratios, $a / $b;
		push @one, $a;
		push @two, $b;
	}
	return (median(@ratios), median(@one), median(@two));
}

sub timed
{
	my ($text) = @_;
	my $began = time();
	sql($text);
	return time() - $began;
}

# result(NAME, MEASURED, TARGET, NOTE): a target is a least value, or with "<"
# before it a greatest one.
sub result
{
	my ($name, $measured, $target, $note) = @_;
	my $met = $target =~ /^<(.*)/ ? $measured <= $1 : $measured >= $target;
	push @results, [ $name, $measured, $target, $met ];
	printf "%-28s %8.2f %8s %4s  %s\n", $name, $measured, $target,
	  ($met ? 'yes' : 'NO'), $note // '';
	return;
}

# Empties the tables that a benchmark has filled, so that the next begins with
# small indexes too.  A ledger cannot be emptied: it is dropped and made again.
sub fresh_tables
{
	sql("DROP TABLE IF EXISTS twin_wide, twin_call, bare_twin_wide, bare_twin_call;
		 SELECT llm_audit.drop_ledger('wide', 'benchmark') WHERE to_regclass('wide') IS NOT NULL;
		 DROP FUNCTION IF EXISTS make_twin, twin_partitions, twin_indexes;");
	make_tables();
	sql('CHECKPOINT');
	return;
}

# ---------------- benchmarks ----------------

my @pairs = ([ 'wide', 'twin_wide' ], [ 'llm_audit.llm_call', 'twin_call' ]);

sub short_name
{
	my ($table) = @_;
	return $table =~ /call/ ? 'llm_call' : '25_columns';
}

# One row per transaction, 16 clients.
sub bench_single
{
	for my $pair (@pairs)
	{
		for my $mode (qw(simple prepared))
		{
			my ($ratio, $a, $b) = compare(insert_statement($pair->[0], 1),
				insert_statement($pair->[1], 1), 16, $mode);
			result("single_16_$mode " . short_name($pair->[0]), $ratio, 0.88,
				sprintf('%.0f : %.0f tps', $a, $b));
		}
	}
	return;
}

# One row per transaction, 32 clients, commits gathered.
sub bench_grouped
{
	sql('ALTER SYSTEM SET commit_delay = 1000; ');
	sql('ALTER SYSTEM SET commit_siblings = 0;');
	sql('SELECT pg_reload_conf()');
	for my $pair (@pairs)
	{
		for my $mode (qw(simple prepared))
		{
			my ($ratio, $a, $b) = compare(insert_statement($pair->[0], 1),
				insert_statement($pair->[1], 1), 32, $mode);
			result("grouped_32_$mode " . short_name($pair->[0]), $ratio, 0.90,
				sprintf('%.0f : %.0f tps', $a, $b));
		}
	}
	sql('ALTER SYSTEM RESET commit_delay;');
	sql('ALTER SYSTEM RESET commit_siblings;');
	sql('SELECT pg_reload_conf()');
	return;
}

# A hundred rows in a statement, 16 clients.
sub bench_hundred
{
	for my $pair (@pairs)
	{
		my ($ratio, $a, $b) = compare(insert_statement($pair->[0], 100),
			insert_statement($pair->[1], 100), 16, 'prepared');
		result('hundred_16 ' . short_name($pair->[0]), $ratio, 0.70,
			sprintf('%.0f : %.0f rows/s', 100 * $a, 100 * $b));
	}
	return;
}

# COPY of a million rows.
sub bench_copy
{
	for my $pair (@pairs)
	{
		my ($ledger, $twin) = @$pair;
		my $is_call = $ledger =~ /call/;
		my $columns = $is_call ? $call_columns : $wide_columns;
		my $values = $is_call ? $call_values : $wide_values;
		$values =~ s/:n\b/i/g;
		my $file = "$work/copy.dat";
		sql("COPY (SELECT $values FROM generate_series(1, $million) AS i) TO '$file'");
		my (%time, @ratios, @bare);
		for my $round (1 .. ($quick ? 3 : 3))
		{
			my %now = map { $_ => timed("COPY $_ ($columns) FROM '$file'") }
			  $round % 2 ? ($ledger, $twin, "bare_$twin") : ("bare_$twin", $twin, $ledger);
			push @ratios, $now{$twin} / $now{$ledger};
			push @bare, $now{"bare_$twin"} / $now{$ledger};
			push @{ $time{$_} }, $now{$_} for keys %now;
		}
		result('copy ' . short_name($ledger), median(@ratios), 0.60,
			sprintf('%.0f : %.0f rows/s; to a bare unpartitioned table %.2f',
				$million / median(@{ $time{$ledger} }),
				$million / median(@{ $time{$twin} }), median(@bare)));
		unlink $file;
	}
	return;
}

# The chain that users write themselves: PL/pgSQL, pgcrypto, a head row.
sub bench_by_hand
{
	sql(q{
CREATE TABLE by_hand (LIKE bare_twin_wide INCLUDING DEFAULTS);
CREATE UNIQUE INDEX ON by_hand (id);
CREATE TABLE head (one boolean PRIMARY KEY, seq bigint, hash bytea);
INSERT INTO head VALUES (true, 0, '\x00');
CREATE FUNCTION chain_by_hand() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	h head;
BEGIN
	SELECT * INTO h FROM head WHERE one FOR UPDATE;
	NEW.chain_seq := h.seq + 1;
	NEW.prev_hash := h.hash;
	NEW.row_hash := NULL;
	NEW.row_hash := digest(convert_to(NEW::text, 'UTF8') || h.hash, 'sha256');
	UPDATE head SET seq = NEW.chain_seq, hash = NEW.row_hash WHERE one;
	RETURN NEW;
END $$;
CREATE TRIGGER chain BEFORE INSERT ON by_hand FOR EACH ROW EXECUTE FUNCTION chain_by_hand();});
	for my $case ([ 'single', 1, 3 ], [ 'hundred', 100, 12 ])
	{
		my ($name, $rows, $target) = @$case;
		my ($ratio, $a, $b) = compare(insert_statement('wide', $rows),
			insert_statement('by_hand', $rows), 16, 'prepared');
		result("by_hand_$name", $ratio, $target,
			sprintf('%.0f : %.0f rows/s', $rows * $a, $rows * $b));
	}
	sql('DROP TABLE by_hand, head; DROP FUNCTION chain_by_hand');
	return;
}

# Columns of a table that the writer decides and that hold something in the
# rows of a batch, and those rows as literals.
sub batch_literals
{
	my ($table, $since) = @_;
	my @all = split /\n/, sql(qq{
		SELECT quote_ident(attname) FROM pg_attribute
		WHERE attrelid = '$table'::regclass AND attnum > 0 AND NOT attisdropped
			AND attname NOT IN ('recorded_at', 'recorded_by', 'retain_until', 'chain_lane',
				'chain_seq', 'prev_hash', 'row_hash', 'salt', 'erased', 'known_values', 'id')
		ORDER BY attnum});
	my @counts = split /\|/,
	  sql('SELECT ' . join(', ', map { "count($_)" } @all)
		  . " FROM $table WHERE recorded_at > '$since'");
	my @used = map { $all[$_] } grep { $counts[$_] } 0 .. $#all;
	return unless @used;
	my $literals = join q{ || ', ' || }, map { "quote_nullable($_)" } @used;
	return (join(', ', @used),
		sql("SELECT string_agg('(' || $literals || ')', ', ') FROM $table WHERE recorded_at > '$since'"));
}

# A call as gateways send it: four fragments of a kilobyte, three tokens, and
# what is billed.
sub realistic_call
{
	my ($n) = @_;
	my $body = substr('The client asks whether the card that was reissued in spring can be used abroad. ' x 20, 0, 1024);
	my $content = join ', ', map {
		sprintf '{"role": "%s", "body": "%s"}', $_ % 2 ? 'assistant' : 'user', $body
	} 0 .. 3;
	my $tokens = join ', ', map {
		sprintf '{"token": "k1:%064x", "entity": "KZ_IIN"}', 3 * $n + $_
	} 0 .. 2;
	return qq({"request_id": "req-$n", "operation_name": "chat", "provider_name": "openai",)
	  . qq( "request_model": "gpt-4o-mini", "response_model": "gpt-4o-mini-2026-01-05",)
	  . qq( "route_id": "default", "route_version": "17", "prompt_id": "loan-advice", "prompt_version": "42",)
	  . qq( "status": "ok", "input_tokens": 812, "output_tokens": 96, "cost": "0.0031", "currency": "USD",)
	  . qq( "duration_ms": 934.5, "content": [$content], "tokens": [$tokens],)
	  . qq( "usage": [{"unit": "input_token", "quantity": 812, "cost": "0.0031", "currency": "USD"}]});
}

# record_calls with a hundred calls, texts included, to plain inserts of the
# rows that it makes.
sub bench_record_calls
{
	my $text = join ', ', map { realistic_call($_) } 1 .. 100;
	my $defaults = '{"environment": "prod", "service_name": "gateway", "organization_id": "retail",'
	  . ' "time_zone": "Asia/Almaty", "actor_id": "branch-assistant", "actor_type": "service",'
	  . ' "occurred_at": "2026-01-05T15:00:00+05:00"}';
	my $ours = "SELECT count(*) FROM llm_audit.record_calls('[$text]', '$defaults');";

	sql("SELECT llm_audit.set_content_recording('*', '*', true, 'benchmark')");
	sql($ours);
	my $since = sql('SELECT pg_sleep(0.1)') . sql('SELECT clock_timestamp()');
	my %expected = (llm_call => 100, llm_content => 400, match_token => 300, usage_event => 100);
	sql($ours);
	my @theirs;
	my $rows = '';
	(my $defaults_of_twin = $fill) =~ s/'/''/g;
	for my $ledger (sort keys %expected)
	{
		my $count = sql("SELECT count(*) FROM llm_audit.$ledger WHERE recorded_at > '$since'");
		die "$count rows of $ledger instead of $expected{$ledger}\n" if $count != $expected{$ledger};
		my ($columns, $literals) = batch_literals("llm_audit.$ledger", $since);
		sql("SELECT make_twin('llm_audit.$ledger', 'batch_$ledger', '$defaults_of_twin')");
		push @theirs, "INSERT INTO batch_$ledger ($columns) VALUES $literals";
		$rows .= " $ledger $count";
	}
	my ($ratio, $a, $b) = compare($ours, join("\\;\n", @theirs) . ";\n", 16, 'simple');
	result('record_calls', $ratio, 0.60,
		sprintf('%.0f : %.0f calls/s; rows of a batch:%s', 100 * $a, 100 * $b, $rows));
	return;
}

# A million rows rolled back, then one insert, each a transaction.
sub bench_rollback
{
	sql(q{
CREATE PROCEDURE time_inserts(times int, INOUT median float8) LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz;
	taken float8[] := '{}';
BEGIN
	FOR i IN 1 .. times LOOP
		began := clock_timestamp();
		INSERT INTO wide (environment, note) VALUES ('prod', 'timed');
		COMMIT;
		taken := taken || extract(epoch FROM clock_timestamp() - began)::float8 * 1000;
	END LOOP;
	SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t) INTO median FROM unnest(taken) AS t;
END $$;});
	(my $values = $wide_values) =~ s/:n\b/i/g;
	my $out = sql("
		CALL time_inserts(100, NULL);
		CALL time_inserts(1001, NULL);
		BEGIN;
		INSERT INTO wide ($wide_columns) SELECT $values FROM generate_series(1, $million) AS i;
		ROLLBACK;
		CALL time_inserts(1, NULL);
		CALL time_inserts(1001, NULL);");
	my (undef, $before, $first, $after) = split /\n/, $out;
	my $fresh = sql('CALL time_inserts(1, NULL); CALL time_inserts(1001, NULL);');
	(undef, $fresh) = split /\n/, $fresh;
	result('after_rollback', $after / $before, '<2',
		sprintf('%.3f : %.3f ms, the first %.3f ms, from a new session %.3f ms',
			$after, $before, $first, $fresh));
	sql('DROP PROCEDURE time_inserts');
	return;
}

# ---------------- verify ----------------

# What a statement returns, and the greatest private memory of its backend and
# its workers, in MB, sampled while it runs.
sub run_watched
{
	my ($statement) = @_;
	my $file = "$work/watched.sql";
	spew($file, "SET application_name = 'watched';\n$statement\n");
	my $child = fork();
	if ($child == 0)
	{
		open(STDOUT, '>', "$work/watched.out");
		exec('psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', @connect, '-f', $file, 'bench');
	}
	my $greatest = 0;
	my @pids;
	my $asked = 0;
	while (waitpid($child, 1) == 0)
	{
		usleep(20_000);
		if (!@pids || time() - $asked > 1)
		{
			@pids = split /\n/,
			  `psql -XqAt -h $work -p 5432 -c "SELECT pid FROM pg_stat_activity WHERE application_name = 'watched' OR backend_type = 'parallel worker' OR backend_type LIKE 'llm_audit%'" bench`;
			$asked = time();
		}
		for my $pid (@pids)
		{
			open(my $status, '<', "/proc/$pid/status") or next;
			my ($kb) = join('', <$status>) =~ /^RssAnon:\s+(\d+)/m;
			$greatest = $kb if $kb && $kb > $greatest;
		}
	}
	die "verify failed\n" if $?;
	open(my $answer, '<', "$work/watched.out") or die "no answer\n";
	chomp(my $value = <$answer>);
	return ($value, $greatest / 1024);
}

# The same check in SQL, from the format that docs describe: every row's
# preimage put together and hashed by pgcrypto, every link and place compared,
# ids counted.
sub check_in_sql
{
	my ($table) = @_;
	my %encode = (
		25 => 'convert_to(%s, \'UTF8\')',
		16 => 'boolsend(%s)', 21 => 'int2send(%s)', 23 => 'int4send(%s)',
		20 => 'int8send(%s)', 1700 => 'convert_to(%s::text, \'UTF8\')',
		2950 => 'uuid_send(%s)', 1184 => 'timestamptz_send(%s)',
		3802 => 'convert_to(%s::text, \'UTF8\')');
	my @columns = map { [ split /\|/ ] } split /\n/, sql(qq{
		SELECT c.column_number, c.column_name, c.type_oid
		FROM llm_audit.ledger_column c JOIN llm_audit.ledger l USING (ledger_id)
		WHERE l.relation_name = '$table' ORDER BY 1});
	my $entries = join "\n || ", map {
		my ($number, $column, $type) = @$_;
		my $name = "t.$column";
		my $bytes = sprintf($encode{$type} // die("no encoding for type $type\n"), $name);
		"CASE WHEN $name IS NULL THEN '' ELSE int2send(${number}::int2) || int4send($type)"
		  . " || '\\x00'::bytea || int4send(length($bytes)) || $bytes END"
	} @columns;
	my $count = join ' + ', map { "(t.$_->[1] IS NOT NULL)::int" } @columns;
	return qq{
SELECT count(*) FILTER (WHERE recomputed <> row_hash OR before <> prev_hash
		OR chain_seq <> position) + count(*) - count(DISTINCT id) FROM (
	SELECT t.id, digest('LAR1'::bytea || uuid_send(l.ledger_id) || int4send(s.segment)
		|| int4send(t.chain_lane) || int8send(t.chain_seq) || t.prev_hash
		|| int2send(($count)::int2)
		|| $entries, 'sha256') AS recomputed, row_hash, prev_hash,
		chain_seq, row_number() OVER lane AS position, lag(row_hash) OVER lane AS before
	FROM $table t
	JOIN llm_audit.ledger l ON l.relation_name = '$table'
	JOIN llm_audit.ledger_segment s ON s.ledger_id = l.ledger_id
		AND s.relation_name = (SELECT relname FROM pg_class WHERE oid = t.tableoid)
	WINDOW lane AS (PARTITION BY t.tableoid, chain_lane ORDER BY chain_seq)) AS r;};
}

# Sees to it that a ledger has at least so many rows; returns how many.
sub fill
{
	my ($table, $rows) = @_;
	my $is_call = $table =~ /call/;
	my ($columns, $values) =
	  $is_call ? ($call_columns, $call_values) : ($wide_columns, $wide_values);
	$values =~ s/:n\b/i/g;
	my $have = sql("SELECT count(*) FROM $table");
	while ($have < $rows)
	{
		my $step = $rows - $have;
		$step = 1_000_000 if $step > 1_000_000;
		sql("INSERT INTO $table ($columns) SELECT $values FROM generate_series(1, $step) AS i");
		$have += $step;
	}
	sql("VACUUM ANALYZE $table");
	return $have;
}

# Rows per second of verify, the median of some runs, and its memory.
sub verify_rate
{
	my ($table, $rows, $times) = @_;
	my (@rates, $memory);
	for my $round (1 .. $times)
	{
		my ($time, $mb) = run_watched(
			"SELECT extract(epoch FROM duration) / (1 - sign(findings)) FROM llm_audit.verify_summary('$table');");
		push @rates, $rows / $time;
		$memory = $mb if !defined $memory || $mb > $memory;
	}
	return (median(@rates), $memory);
}

# Rows per second of a check in SQL, which must return 0.
sub sql_rate
{
	my ($check, $rows, $times) = @_;
	my @rates;
	for my $round (1 .. $times)
	{
		my $began = time();
		my ($wrong) = sql($check) =~ /(\d+)\s*\z/;
		die "the check in SQL finds $wrong rows\n" if $wrong != 0;
		push @rates, $rows / (time() - $began);
	}
	return median(@rates);
}

sub bench_verify
{
	fresh_tables();
	my $small = 10_000;
	my $middle = $quick ? 500_000 : 1_000_000;
	my $large = $quick ? 1_000_000 : 5_000_000;
	my (%rate, $greatest);
	for my $rows ($small, $middle, $large)
	{
		fill('wide', $rows);
		my $memory;
		($rate{$rows}, $memory) = verify_rate('wide', $rows, 3);
		$greatest = $memory if !defined $greatest || $memory > $greatest;
		$rate{sql} = sql_rate(check_in_sql('wide'), $rows, 3) if $rows == $middle;
	}
	result('verify_to_sql 25_columns', $rate{$middle} / $rate{sql}, 10,
		sprintf('%.0f : %.0f rows/s, to a statement written for this table', $rate{$middle}, $rate{sql}));

	my $calls = fill('llm_audit.llm_call', $quick ? 30_000 : 200_000);
	my ($ours) = verify_rate('llm_audit.llm_call', $calls, 3);
	my $theirs = sql_rate(
		"\\set QUIET on\n\\i docs/rehash.sql\nSELECT count(*) FROM pg_temp.lar1_check('llm_audit.llm_call') WHERE NOT ok;",
		$calls, 1);
	result('verify_to_sql llm_call', $ours / $theirs, 10,
		sprintf('%.0f : %.0f rows/s, to docs/rehash.sql', $ours, $theirs));

	result('verify_large_to_small', $rate{$large} / $rate{$small}, 1.0,
		sprintf('%.0f rows/s at %d, %.0f at %d, %.0f at %d', $rate{$large}, $large,
			$rate{$middle}, $middle, $rate{$small}, $small));
	result('verify_memory_mb', $greatest, '<64', 'private memory of the largest process');
	fresh_tables();
	return;
}

# 120 segments take rows as fast as 2.
sub bench_segments
{
	my $definition = join ', ', map { "$_->[0] $_->[1]" } @wide;
	for my $case ([ 'few', '10 years' ], [ 'many', '1 day' ])
	{
		sql("CREATE TABLE segments_$case->[0] ($definition) PARTITION BY LIST (environment)");
		sql("SELECT llm_audit.create_ledger('segments_$case->[0]', segment_width => '$case->[1]')");
	}
	sql("CALL llm_audit.make_segments('130 days')");
	my $many = sql(q{SELECT count(*) FROM llm_audit.ledger_segment s JOIN llm_audit.ledger l USING (ledger_id)
		WHERE l.relation_name = 'segments_many' AND s.environment = 'prod'});
	my $few = sql(q{SELECT count(*) FROM llm_audit.ledger_segment s JOIN llm_audit.ledger l USING (ledger_id)
		WHERE l.relation_name = 'segments_few' AND s.environment = 'prod'});
	for my $mode (qw(simple prepared))
	{
		my ($ratio, $a, $b) = compare(insert_statement('segments_many', 1),
			insert_statement('segments_few', 1), 16, $mode);
		result("segments_$mode", $ratio, 0.95,
			sprintf('%d segments to %d; %.0f : %.0f tps', $many, $few, $a, $b));
	}
	sql("SELECT llm_audit.drop_ledger('segments_few', 'benchmark'), llm_audit.drop_ledger('segments_many', 'benchmark')");
	return;
}

# What an access log adds to reads: one flush that all who wait share, and
# nothing where nothing is sensitive.
sub bench_access
{
	sql(q{
CREATE TABLE calls_copy AS SELECT i AS id, 'ok' AS status FROM generate_series(1, 1000) AS i;
CREATE UNIQUE INDEX ON calls_copy (id);
CREATE TABLE calls_sensitive AS TABLE calls_copy;
CREATE UNIQUE INDEX ON calls_sensitive (id);
SELECT llm_audit.set_sensitive('calls_sensitive', true, false, 'benchmark');
CREATE VIEW calls_guarded WITH (security_barrier) AS SELECT * FROM calls_sensitive
	WHERE (SELECT llm_audit.access_guard('public.calls_guarded'::text::regclass, true));
CREATE TABLE one_row (id bigint, note text);
CREATE TABLE log_by_dblink (at timestamptz, who text, query text);
VACUUM ANALYZE calls_copy, calls_sensitive;
});
	my %script = (
		guarded => "\\set i random(1, 1000)\nSELECT * FROM calls_guarded WHERE id = :i;",
		plain => "\\set i random(1, 1000)\nSELECT * FROM calls_copy WHERE id = :i;",
		insert => "INSERT INTO one_row VALUES (1, 'a note of some length, as people write');",
		dblink => "SELECT dblink_exec('host=$work port=5432 dbname=bench user=postgres',"
		  . " 'INSERT INTO log_by_dblink VALUES (now(), ''postgres'', ''SELECT 1'')');");
	spew("$work/access_$_.sql", $script{$_}) for keys %script;
	my $run = sub { return pgbench("$work/access_$_[0].sql", $_[1], 'simple'); };

	my (@ratios, @added, @insert);
	for my $round (1 .. $rounds)
	{
		my %ms = map { $_ => 1000 / $run->($_, 1) } qw(guarded plain insert);
		push @added, $ms{guarded} - $ms{plain};
		push @insert, $ms{insert};
		push @ratios, $added[-1] / $insert[-1];
	}
	result('access_latency_1', median(@ratios), '<2.5',
		sprintf('a recorded read adds %.3f ms; a one-row insert takes %.3f ms', median(@added), median(@insert)));

	my (@grouped, @speedup, @rate);
	my $dblink = eval { sql('CREATE EXTENSION IF NOT EXISTS dblink'); 1 };
	for my $round (1 .. $rounds)
	{
		my $status = 'SELECT recorded, commits FROM llm_audit.access_status()';
		my ($records, $commits) = split /\|/, sql($status);
		my $tps = $run->('guarded', 32);
		my ($records2, $commits2) = split /\|/, sql($status);
		push @grouped, ($records2 - $records) / (($commits2 - $commits) || 1);
		push @rate, $tps;
		push @speedup, $tps / $run->('dblink', 32) if $dblink;
	}
	result('access_records_per_commit_32', median(@grouped), 10,
		sprintf('%.0f reads/s; outcomes are records too', median(@rate)));
	result('access_to_dblink_32', median(@speedup), 5, 'reads/s to one dblink connection per record')
	  if $dblink;
	return;
}

# Reads of what is not sensitive, of a server with the library and of one
# without: many short rounds in turn, each pair close together, since the two
# differ by less than a machine does from one minute to the next.
sub bench_unprotected
{
	my $bare = "$work/bare";
	run_command("initdb -D $bare -A trust -U postgres --encoding=UTF8 --no-locale >$work/initdb.log");
	open(my $conf, '>>', "$bare/postgresql.conf") or die;
	print $conf "listen_addresses = ''\nunix_socket_directories = '$work'\nport = 5433\nautovacuum = off\n"
	  . "shared_buffers = 1GB\nmax_locks_per_transaction = 512\n";
	close($conf);
	run_command("pg_ctl -s -w -D $bare -l $work/bare.log start");
	run_command("createdb -h $work -p 5433 bench");
	my $table = q{CREATE TABLE unprotected AS SELECT i AS id, 'ok' AS status FROM generate_series(1, 1000) AS i;
		CREATE UNIQUE INDEX ON unprotected (id); ANALYZE unprotected;};
	sql($table);
	spew("$work/bare.sql", $table);
	run_command("psql -Xq -v ON_ERROR_STOP=1 -h $work -p 5433 -f $work/bare.sql bench");
	spew("$work/unprotected.sql", "\\set i random(1, 1000)\nSELECT * FROM unprotected WHERE id = :i;");
	my $run = sub {
		my ($port, $mode) = @_;
		my $out = `pgbench -n -h $work -p $port -c 1 -M $mode -T 1 -f $work/unprotected.sql bench 2>&1`;
		my ($tps) = $out =~ /^tps = ([\d.]+)/m;
		die "pgbench failed:\n$out" if $? || !$tps || $out =~ /aborted/;
		return $tps;
	};
	for my $mode (qw(simple prepared))
	{
		my (@ratios, @with);
		for my $round (1 .. ($quick ? 20 : 60))
		{
			my %tps = map { $_ => $run->($_, $mode) } $round % 2 ? (5432, 5433) : (5433, 5432);
			next if $round <= 2;	# to warm up
			push @ratios, $tps{5432} / $tps{5433};
			push @with, $tps{5432};
		}
		my @sorted = sort { $a <=> $b } @ratios;
		result("unprotected_$mode", median(@ratios), 0.98,
			sprintf('reads by key, with the library to without; quartiles %.3f and %.3f; %.0f tps',
				$sorted[ $#sorted / 4 ], $sorted[ $#sorted * 3 / 4 ], median(@with)));
	}
	system("pg_ctl -s -D $bare -m immediate stop");
	return;
}

# ---------------- masking ----------------

# Milliseconds of a statement with masking and without, in turn within one
# session; the median of the rounds' ratios and both medians.
sub compare_masking
{
	my ($statement) = @_;
	my $script = "$work/masking.sql";
	my (@ratios, @on, @off);

	# the disk's part differs too much from one commit to the next; in an order
	# that gives neither the better place
	spew($script, join "\n", 'SET synchronous_commit = off;',
		map { ("SET llm_audit.masking = $_;", $statement) } qw(on off off on));
	for my $round (1 .. $rounds)
	{
		my $out = `pgbench -n -r -h $work -p 5432 -c 1 -M prepared -T $seconds -f $script bench 2>&1`;
		my @times = $out =~ /^\s+([\d.]+)\s+\d+\s+INSERT/mg;
		die "pgbench failed:\n$out" if $? || @times != 4 || $out =~ /aborted/;
		my ($on, $off) = (($times[0] + $times[3]) / 2, ($times[1] + $times[2]) / 2);
		push @ratios, $on / $off;
		push @on, $on;
		push @off, $off;
	}
	return (median(@ratios), median(@on), median(@off));
}

# Prose of so many bytes.
sub prose
{
	my ($bytes) = @_;
	my @sentences = (
		'Summarise the attached report in five points and keep it neutral. ',
		'What is the difference between an annuity and a bullet loan? ',
		'The user asked to block a card after a trip; explain the steps. ',
		'Please rewrite this letter so that it sounds friendlier. ',
		'The committee agreed that the migration should wait for the audit. ',
		'Nobody expected the second proposal to be cheaper after taxes. ');
	my $text = '';

	$text .= $sentences[ rand @sentences ] while length $text < $bytes;
	return substr($text, 0, $bytes);
}

# Inserts so many fragments of 4 kB each, with identifiers or without.
sub content_statement
{
	my ($rows, $identifiers) = @_;
	my @rows = map {
		my $text = prose(4096 - length $identifiers) . $identifiers;
		"('prod', 'retail', 'gateway', gen_random_uuid(), 'req-$_', $_, 'user', 'prompt', '$text', 4096)"
	} 1 .. $rows;
	return 'INSERT INTO llm_audit.llm_content (environment, organization_id,'
	  . ' service_name, call_id, request_id, ordinal, role, kind, body, body_bytes) VALUES '
	  . join(', ', @rows) . ';';
}

# The same findings by PostgreSQL's regular expressions, one for each kind.
my @regexes = (
	'[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}', '\m3[47][0-9]{13}\M',
	'\m[A-Z]{2}[0-9]{2}[ ]?([A-Z0-9]{4}[ ]?){3,7}[A-Z0-9]{0,3}\M',
	'\m[0-9]{12}\M', '\m[0-9]{3}-[0-9]{2}-[0-9]{4}\M',
	'\m[0-9]{3}-[0-9]{3}-[0-9]{3} [0-9]{2}\M', '\m[0-9]{10}\M',
	'[+][0-9][0-9 ()-]{7,18}[0-9]', '\m8 ?[(]?7[0-9]{2}[)]? ?[0-9]{3}-?[0-9]{2}-?[0-9]{2}\M',
	'[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+[.][A-Za-z]{2,}',
	'\m([0-9]{1,3}[.]){3}[0-9]{1,3}\M', '\m([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\M',
	'\m([0-9A-F]{2}[:-]){5}[0-9A-F]{2}\M', '\m(bc1|[13])[a-zA-Z0-9]{25,39}\M',
	'://[^/:@ ]+:[^/@ ]+@', '\msk-[A-Za-z0-9_-]{20,}', '\mgh[pousr]_[A-Za-z0-9]{36}',
	'\mAKIA[A-Z0-9]{16}\M', '\mxox[bpars]-[A-Za-z0-9-]{10,}', '\mAIza[A-Za-z0-9_-]{35}',
	'\meyJ[A-Za-z0-9_-]+[.]eyJ[A-Za-z0-9_-]+', '-----BEGIN [A-Z ]*PRIVATE KEY-----',
	'[Bb]earer [A-Za-z0-9._-]{20,}', '(?i)(password|passwd|pwd|secret|token|api_?key)["]?\s*[:=]\s*\S+');

# The scanner beside PostgreSQL's own regular expressions, on one text.
sub bench_scanner
{
	my $kilobytes = $quick ? 100 : 400;
	my $text = prose($kilobytes * 1024);
	my (@ours, @theirs);

	sql("CREATE TABLE texts (t text); INSERT INTO texts VALUES ('$text');"
		  . " ALTER TABLE texts ALTER t SET STORAGE PLAIN;"
		  . " CREATE TABLE regexes (r text); INSERT INTO regexes VALUES "
		  . join(', ', map { my $r = s/'/''/gr; "('$r')" } @regexes));
	for (1 .. 3)
	{
		push @ours, timed('SELECT count(llm_audit.mask(t)) FROM texts, generate_series(1, 1000)') / 1000;
		push @theirs, timed('SELECT count(*) FROM texts, regexes, regexp_matches(t, r, \'g\')');
	}
	result('mask_to_regexes', median(@theirs) / median(@ours), 100,
		sprintf('%.3f : %.4f GB/s, %d expressions', $kilobytes * 1024 / median(@ours) / 1e9,
			$kilobytes * 1024 / median(@theirs) / 1e9, scalar @regexes));
	sql('DROP TABLE texts, regexes');
	return;
}

# What masking adds to an insert: of calls without text, of 4 kB of text
# without findings, and with three identifiers, each of which is a row of
# match_token too.
sub bench_masking
{
	my $identifiers = ' My IIN is 871008401427, phone +7 777 123 4567, card 4403 1234 5678 1290.';

	bench_scanner();
	sql("SELECT llm_audit.set_content_recording('*', '*', true, 'benchmark')");
	for my $rows (1, 100)
	{
		my @cases = (
			[ 'call', insert_statement('llm_audit.llm_call', $rows), '<1.05' ],
			[ 'text_4kB', content_statement($rows, ''), '<1.15' ],
			[ 'text_4kB_tokens', content_statement($rows, $identifiers), '<9.99' ]);

		for my $case (@cases)
		{
			my ($name, $statement, $target) = @$case;
			my ($ratio, $on, $off) = compare_masking($statement);

			result("masking_$name $rows", $ratio, $target,
				sprintf('%.3f : %.3f ms', $on, $off));
		}
	}
	return;
}

# ---------------- archives ----------------

# Archiving a segment beside COPY of the same rows to a file, both flushed to
# the cache alike, and loading it beside COPY into a table with its indexes.
sub bench_archive
{
	my $rows = $quick ? 100_000 : 500_000;
	my (@write, @load);

	fill('llm_audit.llm_call', $rows);
	my $leaf = sql('SELECT tableoid::regclass FROM llm_audit.llm_call LIMIT 1');
	sql("SET llm_audit.seal_grace = 0;
		UPDATE llm_audit.ledger_segment SET upper = clock_timestamp()
			WHERE format('%I.%I', schema_name, relation_name) = '$leaf';
		SELECT llm_audit.close_segment('$leaf');");
	sql("CREATE TABLE copied (LIKE $leaf INCLUDING INDEXES)");
	for my $round (1 .. 5)
	{
		unlink("$work/archive", "$work/copied");
		my $archive = timed("SELECT count(llm_audit.archive('$leaf', '$work/archive'))");
		my $copy = timed("COPY (SELECT * FROM ONLY $leaf) TO '$work/copied'");
		push @write, $copy / $archive;
		my $load = timed("SELECT llm_audit.load_archive('$work/archive', 'benchmark', 'loaded')");
		$copy = timed("COPY copied FROM '$work/copied'");
		push @load, $copy / $load;
		sql('TRUNCATE copied; DROP SCHEMA loaded CASCADE');
	}
	result('archive_write', median(@write), 0.5, "$rows rows, speed beside COPY TO");
	result('archive_load', median(@load), 0.5, "$rows rows, speed beside COPY FROM");
	sql('DROP TABLE copied');
	return;
}

# A ledger of one closed segment with so many rows, all of which have expired.
# The registry's end of the segment is moved, to have it closed today.
sub expired_segment
{
	my ($table, $rows) = @_;
	sql("CREATE TABLE $table (environment text NOT NULL, n int, note text) PARTITION BY LIST (environment);
		SELECT llm_audit.create_ledger('$table', retention => '1 microsecond');
		INSERT INTO $table SELECT 'prod', i, 'a note' FROM generate_series(1, $rows) AS i;");
	my $leaf = sql("SELECT tableoid::regclass FROM $table LIMIT 1");
	sql("SET llm_audit.seal_grace = 0;
		UPDATE llm_audit.ledger_segment SET upper = clock_timestamp() WHERE relation_name = '$leaf';
		SELECT llm_audit.close_segment('$leaf');");
	return $leaf;
}

# Writes a table's files and indexes out and has the kernel forget them: what
# has expired was written long ago, and is in nobody's cache.
sub forget_files
{
	my ($leaf) = @_;
	my @paths = split /\n/, sql("SELECT pg_relation_filepath(c) FROM (SELECT '$leaf'::regclass
		UNION ALL SELECT indexrelid FROM pg_index WHERE indrelid = '$leaf'::regclass) AS r (c)");
	sql('CHECKPOINT');
	for my $file (map { glob("$work/data/$_ $work/data/$_.*") } @paths)
	{
		run_command("dd if=$file iflag=nocache count=0 status=none") if -e $file;
	}
	return;
}

# Seconds that TRUNCATE takes for an ordinary table with the rows and indexes
# of a segment: what the file system takes to remove its files.
sub time_truncate
{
	my ($leaf) = @_;
	sql("CREATE TABLE twin (LIKE $leaf INCLUDING INDEXES); INSERT INTO twin SELECT * FROM $leaf");
	forget_files('twin');
	my $began = time();
	sql('TRUNCATE twin');
	my $took = time() - $began;
	sql('DROP TABLE twin');
	return $took;
}

# What the file system of the data directory does with freed space.  ext4
# without a journal, mounted with discard, tells the device of each freed
# gigabyte before truncate() returns: 0.1 s each where this was seen; otherwise
# it takes the same for a page as for a terabyte.  LA_TMP names another place.
sub note_discard
{
	my $options = `findmnt -no FSTYPE,OPTIONS -T '$work' 2>/dev/null`;
	print "# the data directory is mounted with discard, which may take time for each freed gigabyte: see LA_TMP\n"
		if $options =~ /\bdiscard\b/;
	return;
}

# A whole segment goes in the same time, however many rows it has, but for what
# the file system takes.
sub bench_purge_whole
{
	note_discard();
	my $large = $quick ? 200_000 : 5_000_000;
	my (%time, %truncate);
	for my $rows (1000, $large)
	{
		my (@times, @truncates);
		for my $round (1 .. 3)
		{
			my $leaf = expired_segment("gone_${rows}_$round", $rows);
			push @truncates, time_truncate($leaf);
			forget_files($leaf);
			my $began = time();
			my $did = sql("SELECT action, row_count FROM llm_audit.purge('$leaf', false, 'benchmark')");
			push @times, time() - $began;
			die "purged otherwise: $did\n" if $did ne "truncate|$rows";
		}
		$time{$rows} = median(@times);
		$truncate{$rows} = median(@truncates);
	}
	result('purge_whole_less_truncate', ($time{$large} - $truncate{$large}) / ($time{1000} - $truncate{1000}), '<2',
		sprintf('without what TRUNCATE takes for such a table: %.0f and %.0f ms', 1000 * $truncate{$large}, 1000 * $truncate{1000}));
	result('purge_whole_large_to_small', $time{$large} / $time{1000}, '<2',
		sprintf('%.0f ms for %d rows, %.0f ms for 1000', 1000 * $time{$large}, $large, 1000 * $time{1000}));
	return;
}

# Holds on that many requests, and how long one took to be placed.
sub place_holds
{
	my ($ledger, $count, $every) = @_;
	return sql("SELECT round(1000 * extract(epoch FROM clock_timestamp() - statement_timestamp()) / $count, 3)
		FROM (SELECT count(llm_audit.place_hold('BENCH', 'benchmark',
			jsonb_build_object('ledger', '$ledger', 'request_ids', jsonb_build_array('r' || i * $every))))
			FROM generate_series(1, $count) AS i) AS placed");
}

# Rows are deleted around 100 held ones while others write elsewhere.
sub bench_purge_rows
{
	sql("CREATE TABLE brief (n int, request_id text, note text);
		SELECT llm_audit.create_ledger('brief', retention => '1 microsecond');
		INSERT INTO brief SELECT i, 'r' || i, 'a note' FROM generate_series(1, $million) AS i;");
	place_holds('brief', 100, $million / 100);
	my $script = "$work/write.sql";
	spew($script, insert_statement('wide', 1));
	my $purge_began = time();
	my ($beside, $slices) = (0, 0);
	my $purge = fork();
	if ($purge == 0)
	{
		eval { sql("CALL llm_audit.run_purge('benchmark', 'brief', $million / 5)"); };
		exec('true');
	}
	# only slices in which rows went from the first moment to the last count
	while (1)
	{
		my $tps = pgbench($script, 4, 'simple', 1);
		last if waitpid($purge, 1) != 0;
		$beside += $tps;
		$slices++;
	}
	die "the purge was over at once\n" unless $slices;
	$beside /= $slices;
	my $paced = $million / (time() - $purge_began);
	my $normal = median(map { pgbench($script, 4, 'simple', 1) } 1 .. 5);
	sql("SELECT 1 / (count(*) = 0)::int FROM llm_audit.purge('brief') WHERE action = 'delete'");
	result('purge_rows_beside_writers', $beside / $normal, 0.9,
		sprintf('%.0f : %.0f tps; meanwhile %.0f rows/s went', $beside, $normal, $paced));

	sql("INSERT INTO brief SELECT i, 's' || i, 'a note' FROM generate_series(1, $million) AS i; CHECKPOINT;");
	my $time = timed("SELECT 1 / (row_count > $million - 10)::int FROM llm_audit.purge('brief', false, 'benchmark') WHERE action = 'delete'");
	result('purge_rows_per_second', $million / $time, 100_000,
		sprintf('%d rows with 100 held among them', $million));
	sql("SELECT llm_audit.release_hold(hold_id, 'benchmark') FROM llm_audit.hold_report() WHERE ticket = 'BENCH'");
	return;
}

# What holds cost a purge's decision, and to place: on requests, and on times in
# organizations, which lead to rows by reading all of them.
sub bench_holds
{
	my $rows = $million / 10;
	sql("CREATE TABLE held (n int, request_id text, organization_id text, occurred_at timestamptz);
		SELECT llm_audit.create_ledger('held', retention => '1 microsecond');
		INSERT INTO held SELECT i, 'r' || i, 'o' || i % 10, timestamptz '2026-01-01Z' + i * interval '1 minute'
			FROM generate_series(1, $rows) AS i; ANALYZE held;");
	my $plan = "SELECT sum(row_count) FROM llm_audit.purge('held')";
	place_holds('held', 10, 1);
	my $few = timed($plan);
	my $each = place_holds('held', 10_000, 1);
	my $many = timed($plan);
	result('place_hold_ms', $each, '<10', 'with up to 10,000 in force');
	result('holds_10000_to_10', $many / $few, '<10',
		sprintf('%.0f ms : %.0f ms to decide on %d rows', 1000 * $many, 1000 * $few, $rows));
	my $release = "SELECT llm_audit.release_hold(hold_id, 'benchmark') FROM llm_audit.hold_report() WHERE ticket = 'BENCH'";
	sql($release);
	sql("SELECT count(llm_audit.place_hold('BENCH', 'benchmark', jsonb_build_object('ledger', 'held', 'organization_id', 'o' || i % 10,
			'occurred_from', timestamptz '2026-01-01Z' + i * interval '5 minutes', 'occurred_to', timestamptz '2026-01-01Z' + i * interval '5 minutes' + interval '2 minutes')))
		FROM generate_series(1, 10000) AS i");
	my $windows = timed($plan);
	result('windows_10000_to_10', $windows / $few, '<10',
		sprintf('%.0f ms : %.0f ms, holds on a time in an organization', 1000 * $windows, 1000 * $few));
	sql("$release; SELECT llm_audit.drop_ledger('held', 'benchmark')");
	return;
}

require './test/bench/views.pl';

# ---------------- main ----------------

my @benches = (
	[ verify => \&bench_verify ],
	[ single => \&bench_single ],
	[ grouped => \&bench_grouped ],
	[ hundred => \&bench_hundred ],
	[ copy => \&bench_copy ],
	[ by_hand => \&bench_by_hand ],
	[ record_calls => \&bench_record_calls ],
	[ rollback => \&bench_rollback ],
	[ segments => \&bench_segments ],
	[ purge_whole => \&bench_purge_whole ],
	[ purge_rows => \&bench_purge_rows ],
	[ holds => \&bench_holds ],
	[ masking => \&bench_masking ],
	[ access => \&bench_access ],
	[ unprotected => \&bench_unprotected ],
	[ views => \&bench_views ],
	[ archive => \&bench_archive ]);

if ($wanted{list})
{
	print "$_->[0]\n" for @benches;
	exit 0;
}
my %known = map { $_->[0] => 1 } @benches;
for my $name (keys %wanted)
{
	die "no benchmark $name; try list\n" unless $known{$name};
}

start_server();
my $failed = 0;
eval {
	make_tables();
	printf "%-28s %8s %8s %4s  %s\n", 'name', 'measured', 'target', 'met', 'on the way';
	for my $bench (@benches)
	{
		next if %wanted && !$wanted{ $bench->[0] };
		eval { $bench->[1]->(); 1 } or do { $failed++; print "$bench->[0] failed: $@"; };
	}
	1;
} or do { $failed++; print $@; };
stop_server();

printf "\n%-28s %8s %8s %4s\n", 'name', 'measured', 'target', 'met';
printf "%-28s %8.2f %8s %4s\n", @$_[ 0 .. 2 ], ($_->[3] ? 'yes' : 'NO') for @results;
exit($failed || !@results ? 1 : 0);
