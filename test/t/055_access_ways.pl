# Ways to read that look like something else, each tried by a superuser, whom
# nothing but the record holds.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use LlmAccess;
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('node', min_parallel_table_scan_size => 0,
	parallel_setup_cost => 0, parallel_tuple_cost => 0);
$node->start;
make_database($node, 'audit');
make_reader($node, 'audit');
await_writer($node, 'audit');
my $leaf = $node->safe_psql('audit',
	"SELECT tableoid::regclass FROM llm_audit.llm_content LIMIT 1");

sub reads { return read_is($node, 'audit', @_); }

# ---------------- long values ----------------

$node->safe_psql('audit', q{
	INSERT INTO llm_audit.llm_content (environment, call_id, request_id, ordinal, kind, body, body_bytes)
		SELECT 'prod', id, request_id, 1, 'prompt', (SELECT string_agg(md5(i::text), ' ') FROM generate_series(1, 400) i), 13199
		FROM llm_audit.llm_call LIMIT 1});
my $toast = $node->safe_psql('audit', "SELECT reltoastrelid::regclass FROM pg_class WHERE oid = '$leaf'::regclass");
my ($out, $tag) = reads("SELECT count(*) > 0 FROM $toast;", 1, 'a TOAST table', 'postgres');
is($out, 't', 'which has rows');
is(log_of($node, 'audit', $tag, "relations @> ARRAY['$toast', 'llm_audit.llm_content']"), 'true',
	'recorded as what it belongs to');
refused_is($node, 'audit', "SELECT * FROM $toast", qr/a reason is needed/, 'a TOAST table without a reason', 'postgres');
$node->safe_psql('audit', q{CREATE TABLE harmless (t text); INSERT INTO harmless SELECT string_agg(md5(i::text), ' ') FROM generate_series(1, 400) i});
my $other = $node->safe_psql('audit', "SELECT reltoastrelid::regclass FROM pg_class WHERE relname = 'harmless'");
reads("SELECT * FROM $other;", 0, "another table's long values", 'postgres');

# ---------------- rows that no scan reads ----------------

$node->safe_psql('audit', q{
	CREATE TABLE watched (id int PRIMARY KEY, secret text);
	INSERT INTO watched VALUES (1, 'a secret');
	SELECT llm_audit.set_sensitive('watched', true, true, 'test')});
($out) = reads("INSERT INTO watched VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET secret = watched.secret RETURNING secret;",
	1, 'ON CONFLICT DO UPDATE', 'postgres');
is($out, 'a secret', 'which returns the row that was there');
reads("INSERT INTO watched VALUES (2, 'x') RETURNING secret;", 0, 'a row of one\'s own', 'postgres');

# ---------------- beside a guard that never runs ----------------

# A policy is checked as the owner of the view that reads its table, who may be
# the owner of guarded views too.
$node->safe_psql('audit', q{
	CREATE ROLE oncall LOGIN IN ROLE llm_audit_oncall;
	SELECT llm_audit.set_scope('oncall', '{*}', '{*}');
	CREATE SCHEMA beside;
	GRANT ALL ON SCHEMA beside TO llm_audit_view_owner, oncall;
	CREATE TABLE beside.guesses (guess text);
	INSERT INTO beside.guesses VALUES ('call-1'), ('no call');
	GRANT SELECT ON beside.guesses TO llm_audit_view_owner;
	ALTER TABLE beside.guesses ENABLE ROW LEVEL SECURITY;
	CREATE POLICY guess ON beside.guesses USING (EXISTS (SELECT FROM llm_audit.llm_call c WHERE c.request_id = guess));
	CREATE VIEW beside.right_guesses AS SELECT guess FROM beside.guesses;
	ALTER VIEW beside.right_guesses OWNER TO llm_audit_view_owner;
	GRANT SELECT ON beside.right_guesses TO oncall});
for my $case (['alone', ''],
	['beside a guarded view', ' UNION ALL SELECT request_id FROM llm_audit.oncall_calls WHERE false'],
	['beside two', ' UNION ALL SELECT request_id FROM llm_audit.oncall_calls WHERE false UNION ALL SELECT request_id FROM llm_audit.oncall_calls WHERE random() > 2'])
{
	($out) = reads("SELECT guess FROM beside.right_guesses$case->[1];", 1, "a policy that reads a ledger, $case->[0]", 'oncall');
	is($out, 'call-1', 'which tells');
}
reads('SELECT a.request_id FROM llm_audit.oncall_calls a JOIN llm_audit.oncall_calls b USING (id);', 1,
	'a guarded view twice is one record', 'oncall');

# ---------------- in the guise of a foreign key's check ----------------

# What triggers of a cascade do looks like the check itself.
$node->safe_psql('audit', q{
	CREATE TABLE stolen (what text);
	CREATE FUNCTION steal(text) RETURNS boolean LANGUAGE plpgsql AS
		'BEGIN INSERT INTO public.stolen VALUES ($1); RETURN true; END';
	CREATE TABLE up (id int PRIMARY KEY);
	CREATE TABLE down (id int REFERENCES up ON DELETE CASCADE);
	CREATE FUNCTION peek() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM 1 FROM llm_audit.llm_content x WHERE steal(x.body) FOR KEY SHARE OF x;
		RETURN OLD;
	END $$;
	CREATE FUNCTION guess() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM 1 FROM llm_audit.llm_content x WHERE x.body = 'text of call-3' FOR KEY SHARE OF x;
		RETURN OLD;
	END $$;
	CREATE TRIGGER t BEFORE DELETE ON down FOR EACH ROW EXECUTE FUNCTION peek();
	INSERT INTO up VALUES (1), (2);
	INSERT INTO down VALUES (1), (2)});
reads('DELETE FROM up WHERE id = 1;', 1, 'a trigger of a cascade', 'postgres');
$node->safe_psql('audit', 'DROP TRIGGER t ON down; CREATE TRIGGER t BEFORE DELETE ON down FOR EACH ROW EXECUTE FUNCTION guess()');
reads('DELETE FROM up WHERE id = 2;', 1, 'one that guesses a text', 'postgres');
# A real one is a check still, of a key that a ledger has or refers to.
$node->safe_psql('audit', q{
	CREATE TABLE place (code text PRIMARY KEY);
	INSERT INTO place VALUES ('a'), ('b');
	CREATE TABLE visits (place text REFERENCES place, note text);
	SELECT llm_audit.create_ledger('visits');
	SELECT llm_audit.set_sensitive('visits', true, true, 'test');
	INSERT INTO visits VALUES ('a', 'secret')});
reads("DELETE FROM place WHERE code = 'b';", 0, 'a check that looks into a ledger', 'postgres');

# What runs while a dump is restored.
$node->safe_psql('audit', q{
	CREATE FUNCTION take() RETURNS text LANGUAGE sql VOLATILE AS
		'SELECT max(body) FROM llm_audit.llm_content';
	CREATE TABLE taker (a int);
	INSERT INTO taker VALUES (1)});
($out) = reads('SET LOCAL llm_audit.restore = on; ALTER TABLE taker ADD COLUMN b text DEFAULT public.take(); SELECT b FROM taker;',
	1, 'a default that is computed by ALTER TABLE', 'postgres');
like($out, qr/^text of call/, 'which takes a text');

# ---------------- in the wake of our own commands ----------------

$node->safe_psql('audit', q{
	CREATE FUNCTION on_end() RETURNS event_trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF current_setting('test.peek', true) = 'on' THEN
			PERFORM max(body) FROM llm_audit.llm_content;
			GRANT SELECT ON llm_audit.oncall_calls TO reader;
		END IF;
	END $$;
	CREATE EVENT TRIGGER on_end ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'CREATE TRIGGER') EXECUTE FUNCTION on_end();
	CREATE SCHEMA fake;
	CREATE FUNCTION fake.purge() RETURNS event_trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF current_setting('test.peek', true) = 'on' THEN
			PERFORM max(body) FROM llm_audit.llm_content;
		END IF;
	END $$;
	CREATE EVENT TRIGGER on_index ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION fake.purge()});
reads("SET LOCAL test.peek = on; CREATE TABLE made (a int); CREATE INDEX ON made (a); COMMIT;", 2, 'event triggers', 'postgres');
my $granted = "SELECT count(*) FROM llm_audit.admin_event WHERE action = 'privilege.granted' AND target_id = 'llm_audit.oncall_calls'";
my $before = $node->safe_psql('audit', $granted);
is($before, '1', 'what they grant is an event');
$node->safe_psql('audit', "CREATE TABLE ours (a int); SET test.peek = on; SELECT llm_audit.create_ledger('ours')");
cmp_ok($node->safe_psql('audit', $granted), '>', $before, 'what they grant when a function of ours fires them is one too');
$node->safe_psql('audit', 'DROP EVENT TRIGGER on_end; DROP EVENT TRIGGER on_index; REVOKE SELECT ON llm_audit.oncall_calls FROM reader');

# Parts of maintenance that tell something of rows.
$node->safe_psql('audit', q{
	SELECT llm_audit.record_admin_event('{"action": "incident.reported", "occurred_at": "2026-05-05T10:00:00Z", "actor_id": "eve",
		"actor_type": "human", "target_type": "incident", "incident_id": "INC-9", "reason": "test", "outcome": "success",
		"organization_id": "bank", "environment": "prod"}')});
for my $function ('open_incidents()', 'active_holds()', "subject_calls('clerk')", "subject_rows('clerk')")
{
	my ($status, $o, $e, $t) = run_as($node, 'audit', 'postgres',
		"BEGIN; SET LOCAL llm_audit.reason = 'test'; SELECT count(*) FROM llm_audit.$function");
	is($status, 0, "$function by hand succeeds") or diag $e;
	cmp_ok(reads_of($node, 'audit', $t), '>=', 1, 'and is recorded');
}
reads('SELECT count(*) FROM llm_audit.hold_report();', 0, 'hold_report(), which counts', 'postgres');

# An AFTER trigger that a function of ours fires, whose own reads are exempt.
$node->safe_psql('audit', q{
	CREATE FUNCTION peek_after() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
	BEGIN
		INSERT INTO public.stolen SELECT max(body) FROM llm_audit.llm_content;
		RETURN NULL;
	END $$;
	CREATE TRIGGER peek_after AFTER INSERT ON llm_audit.legal_hold FOR EACH ROW EXECUTE FUNCTION peek_after();
	TRUNCATE stolen});
reads(q{SELECT llm_audit.place_hold('T-1', 'test', '{"actor_id": "ann"}') IS NOT NULL; COMMIT;}, 1,
	'an AFTER trigger that a function of ours fires', 'postgres');
like($node->safe_psql('audit', 'SELECT what FROM stolen'), qr/^text of call/, 'which takes a text');
$node->safe_psql('audit', 'DROP TRIGGER peek_after ON llm_audit.legal_hold');

# Reports count and name nobody: no reason is needed, the read is recorded.
$node->safe_psql('audit', q{
	CREATE ROLE compliance LOGIN IN ROLE llm_audit_compliance;
	SELECT llm_audit.set_scope('compliance', '{*}', '{*}')});
for my $report ('gap_report', 'cost_report', 'masking_report')
{
	my ($status, $o, $e, $t) = run_as($node, 'audit', 'compliance',
		"SELECT count(*) FROM llm_audit.$report(now() - interval '1 day', now())");
	is($status, 0, "$report() without a reason succeeds") or diag $e;
	cmp_ok(reads_of($node, 'audit', $t), '>=', 1, 'and is recorded');
}
refused_is($node, 'audit', 'SELECT count(*) FROM llm_audit.compliance_admin_events', qr/a reason is needed/,
	'the same role reads a view that needs a reason', 'compliance');

# ---------------- exports in disguise ----------------

$node->safe_psql('audit', q{
	CREATE FUNCTION hand_over() RETURNS SETOF text LANGUAGE plpgsql AS
		'BEGIN RETURN QUERY SELECT request_id FROM calls; END';
	GRANT EXECUTE ON FUNCTION hand_over() TO PUBLIC});
for my $way ('COPY (SELECT * FROM hand_over()) TO STDOUT;', 'CREATE TABLE taken AS SELECT * FROM hand_over();',
	'CREATE TEMP TABLE kept (t text); INSERT INTO kept SELECT * FROM hand_over();')
{
	($out, $tag) = reads($way, 1, "a function in: $way");
	is(log_of($node, 'audit', $tag, 'exported'), 'true', 'is part of an export');
}
($out, $tag) = reads('SELECT count(*) FROM hand_over();', 1, 'the function alone');
is(log_of($node, 'audit', $tag, 'exported'), 'false', 'is none');

# ---------------- workers of a parallel plan ----------------

$node->safe_psql('audit', insert_calls(3000, 'many'));
$node->safe_psql('audit', 'ANALYZE llm_audit.llm_call');
($out, $tag) = reads("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT count(*) FROM llm_audit.llm_call WHERE status = 'ok';", 1,
	'a parallel plan', 'postgres');
like($out, qr/Workers Launched: [1-9]/, 'is carried out by workers');
($out, $tag) = reads("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT count(*) FROM unguarded WHERE status = 'ok';", 1,
	'one through a view without a guard');

# ---------------- refused attempts ----------------

for my $attempt (
	[ "COPY $leaf TO STDOUT", 'COPY of a table' ],
	[ "SELECT * FROM $leaf", 'SELECT' ],
	[ "COPY (SELECT * FROM llm_audit.llm_content) TO STDOUT", 'COPY of a query' ])
{
	$tag = refused_is($node, 'audit', $attempt->[0], qr/permission denied/, $attempt->[1]);
	await_log($node, 'audit', "event = 'refused' AND application_name = '$tag' AND refusal = 'permission denied' AND error_code = '42501'",
		'is recorded as refused');
	is($node->safe_psql('audit', "SELECT count(*) FROM llm_audit.access_log WHERE application_name = '$tag'"), '1', 'once');
}

# ---------------- what the planner does with other tables ----------------

$node->safe_psql('audit', q{
	CREATE TABLE parent (k int);
	CREATE TABLE child_1 (CHECK (k = 1)) INHERITS (parent);
	CREATE TABLE child_2 (CHECK (k = 2)) INHERITS (parent)});
for my $query ('SELECT * FROM parent p, llm_audit.llm_call c WHERE p.k = 2', 'SELECT (SELECT min(k) FROM parent WHERE k = 2) FROM llm_audit.llm_call')
{
	my $plan = $node->safe_psql('audit', "EXPLAIN (COSTS OFF) $query");
	like($plan, qr/child_2/, 'another table in a query with a ledger');
	unlike($plan, qr/child_1/, 'is told apart by its constraints');
}
check_verify($node, 'audit', 'at the end');
$node->stop;
done_testing();
