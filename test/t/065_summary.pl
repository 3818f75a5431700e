# usage_summary under attack: midnight and time zones, days that are summed up
# again, rows that come late, groups without a model, currencies, sums and
# quantiles against plain SQL, and who may change it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('summary');
fake_clock($node);

# Moves the clock to a time, in UTC.
sub move_to
{
	my ($time) = @_;
	my ($days, $h, $m, $s) = $time =~ /^\d\d\d\d-\d\d-(\d\d) (\d\d):(\d\d):(\d\d)$/ or die $time;
	my ($year, $month) = $time =~ /^(\d+)-(\d+)/;
	$year-- if $month <= 2;
	my $epoch_days = 365 * $year + int($year / 4) - int($year / 100) + int($year / 400)
	  + int((153 * ($month + ($month > 2 ? -3 : 9)) + 2) / 5) + $days - 719469;
	set_clock_at($node, (($epoch_days * 24 + $h) * 60 + $m) * 60 + $s);
	return;
}

sub query
{
	return $node->safe_psql('audit', $_[0]);
}

move_to('2026-10-20 12:00:00');
start_faked($node);
make_database($node, 'audit');
is(query(q{SELECT to_char(now(), 'YYYY-MM-DD HH24:MI')}), '2026-10-20 12:00', 'the clock is ours');

# insert(TAG, COUNT, MODEL, CURRENCY, COST, DURATION, STATUS): a statement; the
# last values are SQL, with i counting.
sub insert
{
	my ($tag, $count, $model, $currency, $cost, $duration, $status) = @_;
	my $provider = $model eq 'NULL' ? 'NULL' : q{'openai'};
	return qq{
		INSERT INTO llm_audit.llm_call (request_id, occurred_at, environment, service_name, organization_id, actor_id,
				actor_type, operation_name, provider_name, request_model, status, duration_ms, time_to_first_chunk_ms,
				input_tokens, output_tokens, cost, currency)
			SELECT '$tag-' || i, now(), 'prod', 'gateway', 'bank', 'clerk', 'human', 'chat', $provider, $model,
				'$status', $duration, NULL, i, 9223372036854775807, $cost, $currency FROM generate_series(1, $count) AS i};
}

sub put
{
	query(insert(@_));
	return;
}

my @plain = (q{'gpt-4o'}, q{'USD'}, '0.1', 'i', 'ok');

# A day is a day in UTC, on the day when summer time ends as well.
move_to('2026-10-24 23:59:30');
put('before', 5, @plain);
move_to('2026-10-25 00:00:10');
put('after', 7, @plain);
move_to('2026-10-25 23:59:30');
put('end', 6, @plain);
is(query(q{SELECT count(*) FROM llm_audit.llm_call WHERE request_id LIKE 'end-%' AND recorded_at < '2026-10-26Z'}), '6',
	'the rows lie where they were meant to');
move_to('2026-10-26 12:00:00');
for my $zone ('Europe/Berlin', 'Asia/Almaty', 'America/New_York', 'UTC')
{
	is( query("SET TimeZone = '$zone'; SET DateStyle = 'SQL, DMY'; SELECT llm_audit.summarise_day('prod', d::date) FROM unnest('{2026-10-24,2026-10-25}'::text[]) d"),
		"5\n13", "midnight in UTC, in a session in $zone");
}
is(query(q{SET TimeZone = 'America/New_York'; SELECT to_char(min(day), 'YYYY-MM-DD') FROM llm_audit.days_to_summarise() WHERE environment = 'prod' AND day >= '2026-10-24'}),
	'', 'and no day of these is left');

# What has no model, no currency, no duration, more than one currency.
for my $i (1 .. 3)
{
	# in three transactions, so in the lanes of three
	put("m$i", 33 + ($i == 1 ? 2 : 0), q{'o3'}, q{'USD'}, '0.0000000001', 'i * 7919 % 104729 / 3.0', 'ok');
}
put('e', 6, q{'o3'}, q{'EUR'}, '9999999999.9999999999', 'i', 'ok');
put('n', 5, q{'o3'}, 'NULL', 'NULL', 'NULL', 'error');
put('b', 5, 'NULL', 'NULL', 'NULL', '1', 'blocked');
put('s', 4, q{'o3-small'}, q{'USD'}, '1', '1', 'timeout');
put('t', 1, q{'o3-tiny'}, q{'EUR'}, '1', '1', 'ok');
move_to('2026-10-27 00:30:00');
query(q{CALL llm_audit.run_maintenance('{summarise}')});
my $day = q{day = '2026-10-26' AND environment = 'prod'};
is( query("SELECT organization_id, provider_name, request_model, currency, calls, errors, blocked, cost FROM llm_audit.usage_summary WHERE $day ORDER BY 1, 2, 3, 4"),
	"*|*|*|EUR|1|0|0|1.0000000000\n*|*|*|USD|4|4|0|4.0000000000\nbank||||5|0|5|\nbank|openai|o3||5|5|0|\n"
	  . "bank|openai|o3|EUR|6|0|0|59999999999.9999999994\nbank|openai|o3|USD|101|0|0|0.0000000101",
	'currencies stay apart, sums are exact, small groups are merged');
is( query("SELECT output_tokens FROM llm_audit.usage_summary WHERE $day AND currency = 'USD' AND calls = 101"),
	'931560575722332356507', 'sums of tokens do not overflow');
is( query("SELECT num_nonnulls(duration_p50, duration_p95, duration_p99, first_chunk_p50, first_chunk_p95) FROM llm_audit.usage_summary WHERE $day AND organization_id = '*'"),
	"0\n0", 'what is still small has no quantiles');

# Quantiles, by the definition: the value at place 1 + p (n - 1), between two.
is( query(qq{
		WITH d AS (SELECT duration_ms::float8 AS v, row_number() OVER (ORDER BY duration_ms) AS n FROM llm_audit.llm_call
				WHERE request_model = 'o3' AND currency = 'USD' AND recorded_at >= '2026-10-26Z'),
			q AS (SELECT p, 1 + p * (SELECT count(*) - 1 FROM d) AS place FROM unnest('{0.5,0.95,0.99}'::float8[]) AS p),
			expected AS (SELECT array_agg(a.v + (b.v - a.v) * (place - floor(place)) ORDER BY p) AS e
				FROM q JOIN d a ON a.n = floor(place) JOIN d b ON b.n = ceil(place))
		SELECT bool_and(abs(x - y) < 1e-6) AND count(*) = 3 AND min(x) > 0
			FROM expected, llm_audit.usage_summary, unnest(e, ARRAY[duration_p50, duration_p95, duration_p99]) AS u (x, y)
			WHERE $day AND request_model = 'o3' AND currency = 'USD'}),
	't', 'quantiles are those of plain SQL');
my $all = q{SELECT sum(u.calls) - (SELECT count(*) FROM llm_audit.llm_call WHERE recorded_at < '2026-10-27Z'), sum(u.cost) - (SELECT sum(cost) FROM llm_audit.llm_call WHERE recorded_at < '2026-10-27Z')
	FROM llm_audit.usage_summary u};
is(query($all), '0|0.0000000000', 'everything is counted, and once');

# Twice, and by two at once.
my $one = $node->background_psql('audit');
$one->query_safe(q{BEGIN; SELECT llm_audit.summarise_day('prod', '2026-10-26')});
my ($status, $out, $err) = $node->psql('audit', q{SET lock_timeout = '200ms'; SELECT llm_audit.summarise_day('prod', '2026-10-26')});
like($err, qr/lock timeout/, 'two at once wait for each other');
$one->query_safe('COMMIT');
$one->quit;
query(q{SELECT llm_audit.summarise_day('prod', d::date) FROM generate_series('2026-10-24'::timestamp, '2026-10-26', '1 day') d});
is(query($all), '0|0.0000000000', 'summed up again, nothing is counted twice');

# For good, once the segment is closed; then what is purged or added does not matter.
move_to('2026-11-04 12:00:00');
query('CALL llm_audit.run_maintenance()');
is(query(q{SELECT bool_and(final), count(*) FROM llm_audit.summarised_day WHERE environment = 'prod' AND day BETWEEN '2026-10-20' AND '2026-10-31'}), 't|12',
	'days are final when their segment is closed');
is(query($all), '0|0.0000000000', 'and have the same');

# A row that comes late into a default segment, which is never closed.
my $summarise = q{SELECT llm_audit.summarise_day('prod', '2027-06-15')};
my $final = q{SELECT calls, final FROM llm_audit.summarised_day WHERE environment = 'prod' AND day = '2027-06-15'};
move_to('2027-06-15 12:00:00');
my $late = $node->background_psql('audit');
$late->query_safe('BEGIN; ' . insert('late', 3, @plain));
query('BEGIN; ' . insert('prepared', 2, @plain) . q{; PREPARE TRANSACTION 'late'});
put('in time', 5, @plain);
is(query(q{SELECT count(*) FROM llm_audit.llm_call_prod_default}), '5', 'rows go to the default segment');
move_to('2027-06-18 12:00:00');
put('other', 5, @plain);
query($summarise);
is(query($final), '5|f', 'a day is not final while a transaction of that day goes on');
$late->query_safe('COMMIT');
$late->quit;
query($summarise);
is(query($final), '8|f', 'nor with one that is prepared');
is(query(q{SELECT count(*) FROM llm_audit.days_to_summarise() WHERE day = '2027-06-15' AND environment = 'prod'}), '1', 'it is due until then');
query(q{COMMIT PREPARED 'late'});
my $today = $node->background_psql('audit');
$today->query_safe('BEGIN; ' . insert('today', 1, @plain));
query($summarise);
is(query($final), '10|t', 'then it is final, whoever writes today');
$today->quit;
is(query(q{SELECT sum(calls) FROM llm_audit.usage_summary WHERE day = '2027-06-15'}), '10', 'and has every row');

# Who may change it: nobody who works with llm_audit.
for my $role (qw(writer admin compliance auditor security definer view_owner owner))
{
	for my $statement (q{UPDATE llm_audit.usage_summary SET calls = 0}, q{DELETE FROM llm_audit.summarised_day},
		q{INSERT INTO llm_audit.summarised_day VALUES ('prod', '2027-06-16', true, 0)}, q{TRUNCATE llm_audit.usage_summary},
		q{SELECT llm_audit.summarise_day('prod', '2027-06-16')})
	{
		($status, $out, $err) = $node->psql('audit', "SET ROLE llm_audit_$role; $statement");
		like($err, qr/permission denied/, "llm_audit_$role: $statement");
	}
}
$node->stop;
done_testing();
