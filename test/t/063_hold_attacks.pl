# What somebody might try so that held rows go, or a policy in compliance mode
# protects nothing, by way of what holds and policies depend on: other ledgers,
# keys, incidents, the registry, archives.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $day = 86400;
my $node = make_node('hold_attacks', 'llm_audit.seal_grace' => '1min');
fake_clock($node);
set_clock($node, -1200 * $day);
start_faked($node);
make_database($node, 'audit');

sub query
{
	return $node->safe_psql('audit', $_[0]);
}

sub refused
{
	my ($sql, $why, $name) = @_;
	my ($status, $out, $err) = $node->psql('audit', $sql);
	like($err, $why, $name);
	return;
}

sub leaf_of
{
	my ($ledger) = @_;
	return query(
		    "SELECT format('llm_audit.%I', s.relation_name) FROM llm_audit.ledger_segment s JOIN llm_audit.ledger l USING (ledger_id)"
		  . " WHERE l.relation_name = '$ledger' AND s.environment = 'prod' AND NOT s.is_default ORDER BY s.lower LIMIT 1");
}

# Calls of a clerk, with text.
sub record
{
	my ($tag, $actor) = @_;
	query(
		    'INSERT INTO llm_audit.llm_call ('
		  . call_columns()
		  . ') SELECT '
		  . (call_values("'$tag-' || i") =~ s/'clerk'/'$actor'/r)
		  . ' FROM generate_series(1, 5) AS i');
	query(qq{
		INSERT INTO llm_audit.llm_content (call_id, request_id, environment, organization_id, service_name, occurred_at,
				ordinal, kind, body, body_bytes)
			SELECT id, request_id, environment, organization_id, service_name, occurred_at, 0, 'prompt', 'text', 4
			FROM llm_audit.llm_call WHERE request_id LIKE '$tag-%'});
	return;
}

sub held
{
	my ($ticket) = @_;
	return query("SELECT held_rows FROM llm_audit.hold_report(count_rows => true) WHERE ticket = '$ticket'");
}

sub incident
{
	my ($action, $id, $environment) = @_;
	query(  'INSERT INTO llm_audit.admin_event (occurred_at, action, actor_id, actor_type, environment, target_type, incident_id, outcome, reason)'
		  . " VALUES (now(), 'incident.$action', 'oncall', 'human', '$environment', 'incident', '$id', 'success', 'test')");
	return;
}

query("SELECT llm_audit.set_content_recording('prod', '*', true, 'test')");
record('a', 'alice');
record('b', 'bob');
my $calls = leaf_of('llm_call');
my $texts = leaf_of('llm_content');

# A hold on the text of a person leads to it by the calls, so they stay too.
query(q{SELECT llm_audit.place_hold('TEXT', 'court', '{"actor_id": "alice", "ledger": "llm_content"}')});
is(held('TEXT'), '10', 'a hold on text covers the calls that lead to it');

# An incident is closed in its own environment only, and its event is kept.
incident('reported', 'INC-1', 'prod');
incident('closed', 'INC-1', 'test');
is(held('INC-1') > 20, 1, 'an incident stays open whatever another environment says');
is( query(q{SELECT count(*) FROM llm_audit.admin_event e CROSS JOIN LATERAL llm_audit.held_rows(e.tableoid) h
		WHERE e.action = 'incident.reported' AND e.chain_lane = h.lane AND e.chain_seq BETWEEN h.first_seq AND h.last_seq}),
	'1', 'the event of an incident is held as long as it is open');
incident('closed', 'INC-1', 'prod');
is(held('INC-1'), '', 'and until then only');

# A key that comes after a hold hides whose a pseudonym is.
query(q{SELECT llm_audit.place_hold('PERSON', 'court', '{"actor_id": "bob"}')});
query(q{SELECT llm_audit.place_hold('CUSTOMER', 'court', '{"customer": "KZ-1234"}')});
is(held('PERSON'), '10', 'a person is held under the live key');
my $keys = $node->basedir . '/keys';
my $old = slurp_file($keys);
unlink($keys);
make_keys($keys, 'second');
append_to_file($keys, $old);
$node->reload;
$node->poll_query_until('audit', q{SELECT (llm_audit.key_ids())[1] = 'second'}) or die 'the key does not come';
record('c', 'carol');
query("SELECT count(*) FROM llm_audit.purge(NULL, false, 'to note the key')");
is(held('PERSON'), '20', 'what has a pseudonym under a later key is held too');
is(held('CUSTOMER'), '0', 'where there is one');
is(query(q{SELECT later_keys FROM llm_audit.hold_report() WHERE ticket = 'PERSON'}), '{second}', 'the report says so');
query(q{SELECT llm_audit.place_hold('ANEW', 'court', '{"actor_id": "bob"}')});
query(q{SELECT llm_audit.release_hold(hold_id, 'placed anew') FROM llm_audit.hold_report() WHERE ticket = 'PERSON'});
is(held('ANEW'), '10', 'a new hold knows both keys');

# One that ends by itself; what it covers goes with the rest below.
query(q{SELECT llm_audit.place_hold('UNTIL', 'court', '{"request_ids": ["b-1"]}', now() + interval '10 days')});
is(held('UNTIL'), '2', 'a hold with an end holds until then');

# Three years later.
set_clock($node, -40 * $day);
query('CALL llm_audit.close_segments()');
check_verify($node, 'audit', 'before');
is(query("SELECT action, row_count FROM llm_audit.purge('$calls', false, 'time') ORDER BY 1"),
	"keep|15", 'calls that lead to what is held stay, and those of unknown persons');
query(q{SELECT llm_audit.release_hold(hold_id, 'over') FROM llm_audit.hold_report() WHERE ticket IN ('ANEW', 'CUSTOMER')});
query(q{SELECT llm_audit.place_hold('TEXT', 'court', '{"actor_id": "alice", "ledger": "llm_content"}')});
query(q{SELECT llm_audit.release_hold(hold_id, 'placed anew') FROM llm_audit.hold_report() WHERE ticket = 'TEXT' AND later_keys <> '{}'});

# A hold in a prepared transaction is waited for, and counts.
query(q{BEGIN; SELECT llm_audit.place_hold('PREPARED', 'court', '{"request_ids": ["c-1"]}'); PREPARE TRANSACTION 'hold'});
my ($out, $err) = ('', '');
my $purge = IPC::Run::start(
	[ 'psql', '-X', '-At', '-h', $node->host, '-p', $node->port, '-c', "SELECT action, row_count FROM llm_audit.purge('$calls', false, 'time') ORDER BY 1", 'audit' ],
	'>', \$out, '2>', \$err);
sleep(2);
query("COMMIT PREPARED 'hold'");
$purge->finish;
is(query(q{SELECT count(*) FROM llm_audit.hold_report() WHERE ticket = 'UNTIL'}), '0', 'and no longer');
is($out, "delete|9\nkeep|6\n", 'a purge waits for a hold in a prepared transaction');
is(query("SELECT string_agg(request_id, ' ' ORDER BY request_id) FROM $calls"), 'a-1 a-2 a-3 a-4 a-5 c-1', 'what is held is there');
like(query("SELECT string_agg(DISTINCT action, ' ') FROM llm_audit.purge('$texts', false, 'time')"), qr/delete keep/, 'text goes');
is(query("SELECT string_agg(request_id, ' ' ORDER BY request_id) FROM $texts"), 'a-1 a-2 a-3 a-4 a-5 c-1', 'but for what is held');
check_verify($node, 'audit', 'after');

# So is an incident, which waits for a purge in turn; other events do not.
my $report = q{INSERT INTO llm_audit.admin_event (occurred_at, action, actor_id, actor_type, environment, target_type, incident_id, outcome, reason)
	VALUES (now(), '%s', 'oncall', 'human', 'prod', 'incident', 'INC-2', 'success', 'test')};
query('BEGIN; ' . sprintf($report, 'incident.reported') . "; PREPARE TRANSACTION 'incident'");
$purge = IPC::Run::start(
	[ 'psql', '-X', '-At', '-h', $node->host, '-p', $node->port, '-c', "SELECT count(*) FROM llm_audit.purge('$calls', false, 'time')", 'audit' ],
	'>', \$out, '2>', \$err);
is( $node->poll_query_until('audit', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '%purge(%' AND pid <> pg_backend_pid() AND state = 'active'}),
	1, 'a purge begins');
sleep(2);
ok($purge->pumpable, 'it waits for an incident that is not committed');
query("ROLLBACK PREPARED 'incident'");
$purge->finish;
my $session = $node->background_psql('audit');
$session->query_safe("BEGIN; SELECT count(*) FROM llm_audit.purge('$calls', false, 'time')");
refused("SET lock_timeout = '1s'; " . sprintf($report, 'incident.reported'), qr/lock timeout/, 'who reports an incident waits for a purge');
query("SET lock_timeout = '1s'; " . sprintf($report, 'incident.updated'));
$session->query_safe('COMMIT');
$session->quit;

# What calls itself an archive.
my $archive = $node->basedir . '/archive';
query("SELECT llm_audit.set_retention('llm_audit.llm_call', 'prod', NULL, '3 years', archive_before_purge => true)");
query(q{SELECT llm_audit.release_hold(hold_id, 'over') FROM llm_audit.hold_report() WHERE ticket IN ('PREPARED', 'TEXT')});
query("SELECT llm_audit.archive('$calls', '$archive')");
like(query("SELECT action FROM llm_audit.purge('$calls')"), qr/^truncate$/, 'what was archived can go');
utime(time() + 50, time() + 50, $archive);
like(query("SET default_transaction_read_only = on; SELECT action FROM llm_audit.purge('$calls')"), qr/^truncate$/,
	'which can be asked where nothing can be written');
my $bytes = slurp_file($archive);
open(my $file, '+<:raw', $archive) or die "$archive: $!";
seek($file, 200, 0);
print $file 'X';
close($file);
utime(time() + 100, time() + 100, $archive);
like(query("SELECT why_not FROM llm_audit.purge('$calls', false, 'time')"), qr/gone or damaged/, 'not with a damaged archive');
is(query("SELECT count(*) FROM $calls"), '6', 'its rows are there');

# The registry says what is protected; it cannot be told otherwise.
query(q{SELECT llm_audit.set_retention('llm_audit.settlement', NULL, NULL, '7 years', mode => 'compliance')});
refused(q{UPDATE llm_audit.ledger SET ledger_id = gen_random_uuid() WHERE relation_name = 'settlement'},
	qr/cannot be removed/, 'a ledger in compliance mode keeps its identity');
refused(q{DELETE FROM llm_audit.ledger WHERE relation_name = 'settlement'}, qr/cannot be removed/, 'and its place');
refused(q{SELECT llm_audit.uninstall('to be rid of it')}, qr/cannot be removed/, 'llm_audit cannot be uninstalled either');
query(qq{UPDATE llm_audit.ledger_segment SET state = 'purged' WHERE format('llm_audit.%I', relation_name) = '$calls'});
my ($status, $none, $warning) = $node->psql('audit', "CALL llm_audit.run_purge('drop it')");
like($warning, qr/is registered as purged, but has rows/, 'a table with rows is not dropped');
is(query("SELECT count(*) FROM $calls"), '6', 'whatever the registry says');
query(qq{UPDATE llm_audit.ledger_segment SET state = 'closed' WHERE format('llm_audit.%I', relation_name) = '$calls'});

# Changes by hand are recorded, also where triggers are not meant to fire.
my $events = q{SELECT count(*) FROM llm_audit.admin_event WHERE action LIKE 'retention_policy.%' OR action LIKE 'legal_hold.%ed' AND action <> 'legal_hold.listed'};
my $before = query($events);
my $ledger = q{(SELECT ledger_id FROM llm_audit.ledger WHERE relation_name = 'llm_call')};
for my $change ("INSERT INTO llm_audit.retention_policy (ledger_id, environment, data_class, period) VALUES ($ledger, 'prod', 'public', '100 days')",
	"UPDATE llm_audit.retention_policy SET period = '95 days', changed_at = now() WHERE data_class = 'public'",
	"SET session_replication_role = replica; DELETE FROM llm_audit.retention_policy WHERE data_class = 'public'",
	"INSERT INTO llm_audit.legal_hold (hold_id, ticket, reason, scope) VALUES (gen_random_uuid(), 'HAND', 'by hand', '{}')",
	"SET session_replication_role = replica; UPDATE llm_audit.legal_hold SET released_at = now(), released_by = 'x', release_reason = 'x' WHERE ticket = 'HAND'")
{
	query($change);
	is(query($events), ++$before, "recorded: $change");
}
# Whatever time they bear.
for my $change ("INSERT INTO llm_audit.retention_policy (ledger_id, environment, data_class, period, changed_at) VALUES ($ledger, 'prod', 'public', '100 days', '2020-01-01')",
	"INSERT INTO llm_audit.legal_hold (hold_id, ticket, reason, scope, placed_at) VALUES (gen_random_uuid(), 'HAND', 'by hand', '{}', '2020-01-01')")
{
	query($change);
	is(query($events), ++$before, "recorded: $change");
}
query("DELETE FROM llm_audit.retention_policy WHERE data_class = 'public'");
refused("SET llm_audit.restore = on; INSERT INTO llm_audit.retention_policy (ledger_id, environment, data_class, period, changed_at) VALUES ($ledger, 'prod', 'public', '100 days', '2020-01-01')",
	qr/does not carry its chain columns/, 'restore mode is no way around it');

# What became of segments is not to be said by anybody.
my $event = 'INSERT INTO llm_audit.segment_event (environment, event, ledger, ledger_id, segment, leaf, lower, upper, is_default, row_count, actor)'
  . ' SELECT environment, %s, ledger, ledger_id, segment, leaf, lower, upper, is_default, %s, actor FROM llm_audit.segment_event WHERE event = %s LIMIT 1';
refused(sprintf($event, "'$_'", '5', "'created'"), qr/written by functions of llm_audit that make, close or purge segments only/, "no event: $_")
  for qw(created closed rows_purged purged);
refused(sprintf($event, "'created'", '5', "'created'") . '; SELECT 1', qr/written by functions/, "however it is inserted");
my $said = 'SELECT count(*) FROM llm_audit.segment_event';
my $sayings = query($said);
for my $state (qw(open closed))
{
	is( query(qq{SELECT count(*) FILTER (WHERE llm_audit.append_closed(l)), count(*) FILTER (WHERE llm_audit.append_purged(l)) FROM (
			SELECT llm_audit.leaf_of(s) AS l FROM llm_audit.ledger_segment s WHERE s.state = '$state'
			AND (s.upper > clock_timestamp() OR s.state = 'closed') AND llm_audit.leaf_of(s) IS NOT NULL OFFSET 0) AS x}),
		'0|0', "the doors find nothing to say of segments that are $state");
}
is(query($said), $sayings, 'and say nothing');
refused('SET ROLE llm_audit_admin; SELECT llm_audit.append_purged(0)', qr/permission denied/, 'nor are they for others');

# Where archives are, and which keys were seen, is kept.
refused($_, qr/are never changed or removed/, "refused: $_")
  for ('DELETE FROM llm_audit.archive_file', "UPDATE llm_audit.archive_file SET path = '/dev/null'",
	'SET session_replication_role = replica; DELETE FROM llm_audit.archive_file', 'DELETE FROM llm_audit.seen_key',
	"UPDATE llm_audit.seen_key SET first_seen = '2020-01-01'");
refused($_, qr/cannot (?:truncate|alter|change|drop).* configuration table/i, "refused: $_")
  for ('TRUNCATE llm_audit.archive_file', 'TRUNCATE llm_audit.seen_key', 'ALTER TABLE llm_audit.archive_file DISABLE TRIGGER ALL',
	'ALTER TABLE llm_audit.seen_key DISABLE TRIGGER llm_audit_kept', 'DROP TRIGGER llm_audit_kept ON llm_audit.seen_key');
is(query('SELECT count(*) > 0 FROM llm_audit.archive_file') . query('SELECT count(*) > 0 FROM llm_audit.seen_key'), 'tt', 'nothing went');
check_verify($node, 'audit', 'in the end');

# What an incident freezes depends neither on who asks nor on when.
is( query(q{
		BEGIN;
		INSERT INTO llm_audit.admin_event (occurred_at, action, actor_id, actor_type, environment, target_type, incident_id, "after", outcome, reason)
			VALUES (now(), 'incident.reported', 'oncall', 'human', 'prod', 'incident', 'INC-Z1',
					'{"occurred_from": "2026-02-03", "occurred_to": "2026-02-03 10:00"}', 'success', 'test'),
				(now(), 'incident.reported', 'oncall', 'human', 'prod', 'incident', 'INC-Z2',
					'{"occurred_from": "today", "occurred_to": "now"}', 'success', 'test');
		SET LOCAL TimeZone = 'Asia/Almaty';
		SELECT incident_id, CASE incident_id WHEN 'INC-Z1' THEN
				(occurred_from AT TIME ZONE 'UTC')::text || ' to ' || (occurred_to AT TIME ZONE 'UTC')::text
				ELSE occurred_from::text || ' to ' || occurred_to::text END
			FROM llm_audit.open_incidents() WHERE incident_id LIKE 'INC-Z%' ORDER BY 1;
		ROLLBACK}),
	"INC-Z1|2026-02-03 00:00:00 to 2026-02-03 10:00:00\nINC-Z2|-infinity to infinity",
	'the window of an incident is the same in every time zone, and stays where it is');

$node->stop;
done_testing();
