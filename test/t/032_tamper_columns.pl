# Every column of every built-in ledger, changed behind the triggers' back in
# one row: verify finds exactly that row.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('columns', allow_system_table_mods => 'on');
$node->start;
make_database($node, 'audit');

# Three rows of each ledger; segment_event and admin_event have theirs, or get
# them here too.
$node->safe_psql(
	'audit', insert_calls(3, 'call') . q{;
	INSERT INTO llm_audit.content_recording VALUES ('*', '*', true);
	INSERT INTO llm_audit.llm_content (call_id, request_id, organization_id,
			environment, service_name, ordinal, kind, body, body_bytes, data_class)
		SELECT llm_audit.uuid7(), 'call-' || i, 'bank', 'prod', 'gateway', 0,
			'prompt', 'text ' || i, 6, 'internal' FROM generate_series(1, 3) i;
	INSERT INTO llm_audit.match_token (token, entity, call_id, request_id,
			organization_id, environment)
		SELECT 'k1:' || md5(i::text), 'IBAN', llm_audit.uuid7(), 'call-' || i,
			'bank', 'prod' FROM generate_series(1, 3) i;
	INSERT INTO llm_audit.usage_event (call_id, request_id, occurred_at,
			organization_id, environment, unit, quantity, cost, currency)
		SELECT llm_audit.uuid7(), 'call-' || i, now(), 'bank', 'prod', 'token',
			100, 0.5, 'EUR' FROM generate_series(1, 3) i;
	INSERT INTO llm_audit.settlement (kind, original_request_id, occurred_at,
			organization_id, environment, amount, currency, reason)
		SELECT 'charge', 'call-' || i, now(), 'bank', 'prod', 0.5, 'EUR', 'use'
		FROM generate_series(1, 3) i;
	CREATE TABLE brief (n int);
	SELECT llm_audit.create_ledger('brief', retention => '1 microsecond');
	INSERT INTO brief SELECT generate_series(1, 4);
	SELECT llm_audit.purge('brief', false, 'test', 1) FROM generate_series(1, 3);
	INSERT INTO llm_audit.admin_event (occurred_at, action, actor_id, actor_type,
			organization_id, environment, target_type, outcome, reason)
		SELECT now(), 'environment.added', 'me', 'human', 'bank', 'prod', 'x',
			'success', 'test' FROM generate_series(1, 3) i;
	INSERT INTO llm_audit.erase_receipt (environment, erasure_id, stage, cause,
			ledger, ledger_id, segment, leaf, columns, column_names, row_count, actor)
		SELECT 'prod', llm_audit.uuid7(), 'completed', 'subject', 'llm_audit.gone',
			llm_audit.uuid7(), 1, 'llm_audit.gone_1', '{1}', '{a}', 1, 'me'
		FROM generate_series(1, 3) i;
	});

# The access log is written by its worker: three reads of texts.
$node->safe_psql(
	'audit', q{
	CREATE VIEW texts WITH (security_barrier) AS
		SELECT llm_audit.reveal(id, request_id, body) AS body FROM llm_audit.llm_content
		WHERE (SELECT llm_audit.access_guard('public.texts'::text::regclass, true));
	SELECT count(body) FROM texts;
	SELECT count(body) FROM texts;
	SELECT count(body) FROM texts;
	});

# change_column(LEDGER, LEAF, COLUMN): gives the second row of lane 0 another value,
# whatever constraints say; returns what verify finds, and undoes it all.
$node->safe_psql(
	'audit', q{
	CREATE FUNCTION other_value(type regtype, name text) RETURNS text
	LANGUAGE sql AS $$
		SELECT format(CASE type::text
			WHEN 'text' THEN 'coalesce(%1$I, '''') || ''x'''
			WHEN 'character' THEN 'CASE %1$I WHEN ''XXX'' THEN ''XXY'' ELSE ''XXX'' END'
			WHEN 'jsonb' THEN 'coalesce(%1$I, ''{}'') || ''{"x": 1}'''
			WHEN 'boolean' THEN 'NOT coalesce(%1$I, true)'
			WHEN 'smallint' THEN '(coalesce(%1$I, 0) + 1)::smallint'
			WHEN 'integer' THEN 'coalesce(%1$I, 0) + 1'
			WHEN 'bigint' THEN 'coalesce(%1$I, 0) + 1000'
			WHEN 'numeric' THEN 'coalesce(%1$I, 0) + 1'
			WHEN 'timestamp with time zone' THEN 'CASE WHEN isfinite(%1$I) THEN %1$I + interval ''1 us'' ELSE ''2020-01-01'' END'
			WHEN 'uuid' THEN 'llm_audit.uuid7()'
			WHEN 'bytea' THEN 'CASE WHEN length(%1$I) > 0 THEN set_byte(%1$I, 0, get_byte(%1$I, 0) # 1) ELSE ''\x01'' END'
			WHEN 'inet' THEN '''10.9.8.7'''
			WHEN 'text[]' THEN '%1$I || ''{x}''::text[]'
			WHEN 'integer[]' THEN '%1$I || ''{1}''::int[]'
			WHEN 'bigint[]' THEN '%1$I || ''{1}''::int8[]'
			WHEN 'uuid[]' THEN '%1$I || ARRAY[llm_audit.uuid7()]'
			WHEN 'bytea[]' THEN '%1$I || ''{x}''::bytea[]'
			END, name)
	$$;
	CREATE FUNCTION change_column(ledger regclass, leaf regclass, name text) RETURNS text
	LANGUAGE plpgsql AS $$
	DECLARE
		type regtype := (SELECT atttypid FROM pg_attribute WHERE attrelid = leaf AND attname = name);
		id uuid;
		changed int;
		result text;
	BEGIN
		BEGIN
			UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = leaf;
			DELETE FROM pg_constraint WHERE conrelid = leaf AND contype = 'c';
			UPDATE pg_class SET relchecks = 0 WHERE oid = leaf;
			EXECUTE format('UPDATE %s SET %I = %s WHERE chain_lane = 0 AND chain_seq = 2',
				leaf, name, other_value(type, name));
			GET DIAGNOSTICS changed = ROW_COUNT;
			result := (SELECT string_agg(DISTINCT v.lane || '/' || v.seq, ' ')
				FROM llm_audit.verify(ledger, workers => 0) v
				WHERE v.finding <> 'catalog_drift' AND v.lane IS NOT NULL);
			RAISE EXCEPTION 'undo' USING ERRCODE = 'ZZ999';
		EXCEPTION WHEN SQLSTATE 'ZZ999' THEN
			NULL;
		END;
		RETURN changed || ' changed: ' || coalesce(result, 'nothing');
	END
	$$;
	});

my @ledgers = split /\n/,
  $node->safe_psql('audit', 'SELECT relation_name FROM llm_audit.ledger WHERE builtin ORDER BY 1');
is(scalar(@ledgers), 11, 'all built-in ledgers');
is($node->safe_psql('audit', 'SELECT count(*) FROM llm_audit.verify()'), '0', 'all is well at first');

# Changes that show at another place too: where the row is now, and at its
# successor.
my %elsewhere = map { $_ => 1 } qw(chain_lane chain_seq row_hash);

for my $ledger (@ledgers)
{
	my $leaf = $node->safe_psql('audit', qq{
		SELECT tableoid::regclass FROM llm_audit.$ledger
		 WHERE chain_lane = 0 AND environment = 'prod'
		 GROUP BY 1 HAVING count(*) >= 3 ORDER BY max(chain_seq) LIMIT 1});
	isnt($leaf, '', "$ledger has rows");
	my @columns = split /\n/, $node->safe_psql('audit', qq{
		SELECT attname FROM pg_attribute WHERE attrelid = '$leaf'::regclass
		   AND attnum > 0 AND NOT attisdropped AND attname <> 'environment' ORDER BY attnum});
	my @missed;
	for my $column (@columns)
	{
		my $found = $node->safe_psql('audit', "SELECT change_column('llm_audit.$ledger', '$leaf', '$column')");
		push @missed, "$column: $found"
		  unless $elsewhere{$column}
		  ? $found =~ m{^1 changed: (\S+ )*0/2( |$)} && $found =~ m{/\d+ \d}
		  : $found eq '1 changed: 0/2';
	}
	is(join("\n", @missed), '', "$ledger: each of " . @columns . ' columns');
	# the environment decides the partition: a row cannot say another one
	my ($ret, $out, $err) = $node->psql('audit', "SELECT change_column('llm_audit.$ledger', '$leaf', 'environment')");
	like($err, qr/violates partition constraint/, "$ledger: environment");
}
is($node->safe_psql('audit', 'SELECT count(*) FROM llm_audit.verify()'), '0', 'all is well at the end');

$node->stop;
done_testing();
