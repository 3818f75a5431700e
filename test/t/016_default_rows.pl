# Rows in default segments do not stand in the way of new segments: after
# maintenance has slept, after a clock that was ahead, and while others go on
# reading (which writes the access log) and writing.
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
my $node = make_node('defaults', 'llm_audit.seal_grace' => '1min');
fake_clock($node);
start_faked($node);
make_database($node, 'audit');

# What each segment of a ledger holds besides what belongs into it.
sub misplaced
{
	my ($ledger) = @_;
	my @leaves = split /\n/, $node->safe_psql('audit',
		qq{SELECT format('(SELECT count(*) FROM %I.%I WHERE recorded_at < %L OR recorded_at >= %L)', s.schema_name, relation_name, lower, upper)
		FROM llm_audit.ledger_segment s JOIN llm_audit.ledger l USING (ledger_id) WHERE l.relation_name = '$ledger'} =~ s/relation_name, lower/s.relation_name, lower/r);
	return $node->safe_psql('audit', 'SELECT ' . join(' + ', @leaves));
}

# Whether rows of a time have a segment that is not the default one.
sub has_segment
{
	my ($ledger, $days) = @_;
	return $node->safe_psql('audit',
		qq{SELECT count(*) FROM llm_audit.ledger_segment s JOIN llm_audit.ledger l USING (ledger_id)
		WHERE l.relation_name = '$ledger' AND s.environment = 'prod' AND NOT s.is_default
			AND s.lower <= llm_audit.now() + interval '$days days' AND s.upper > llm_audit.now() + interval '$days days'});
}

sub make_segments
{
	my ($name, $ahead) = @_;
	my ($status, $out, $err) = $node->psql('audit', "CALL llm_audit.make_segments('" . ($ahead // '3 months') . "')");
	is($err, '', "$name: all segments are made");
	return;
}

# A clock that is a year ahead, then right again: the rows of that time are
# where segments are going to be.
$node->safe_psql('audit', insert_calls(3, 'now'));
set_clock($node, 365 * $day);
$node->safe_psql('audit', insert_calls(5, 'ahead') . '; SELECT count(*) FROM llm_audit.llm_call');
$node->safe_psql('audit', 'SELECT count(*) FROM llm_audit.access_log_prod_default');
set_clock($node, 0);
is($node->safe_psql('audit', 'SELECT count(*) FROM llm_audit.llm_call_prod_default'),
	'5', 'rows of the future are in the default segment');
make_segments('the clock was ahead', '14 months');
is($node->safe_psql('audit', 'SELECT count(*) FROM llm_audit.llm_call_prod_default'), '5', 'they stay there');
for my $ledger (qw(llm_call access_log))
{
	is(has_segment($ledger, $_), '1', "$ledger has a segment for $_ days from now") for 0, 340, 363, 367, 390;
	is(has_segment($ledger, 365), '0', "$ledger has none for the day that was skipped");
	is(misplaced($ledger), '0', "$ledger: no row is in the wrong segment");
}
make_segments('again', '14 months');
is( $node->safe_psql('audit',
		q{SELECT count(*) FROM llm_audit.ledger_segment a JOIN llm_audit.ledger_segment b
			ON a.ledger_id = b.ledger_id AND a.environment = b.environment AND a.segment < b.segment
			WHERE NOT a.is_default AND NOT b.is_default AND a.lower < b.upper AND b.lower < a.upper}),
	'0', 'segments do not overlap');
check_verify($node, 'audit', 'after a clock that was ahead');

# A segment is closed while the clock is ahead: then rows get its end as their
# time, and segments begin after that.
set_clock($node, 500 * $day);
$node->safe_psql('audit', 'CALL llm_audit.close_segments()');
set_clock($node, 0);
$node->safe_psql('audit', insert_calls(4, 'after'));
make_segments('segments of the future are closed', '14 months');
is(has_segment('llm_call', 2), '1', 'there are segments after what was closed');
is(misplaced('llm_call'), '0', 'no row is in the wrong segment');
check_verify($node, 'audit', 'after closing the future');

# Maintenance sleeps for longer than there are segments, several times, while
# readers and writers go on.
my $script = PostgreSQL::Test::Utils::tempdir() . '/load.sql';
append_to_file($script, "SELECT count(*) FROM llm_audit.access_log;\nSELECT count(*) FROM llm_audit.llm_call;\n"
	. insert_calls(1, 'busy') . ";\n");
my ($load_out, $load_err) = ('', '');
my $load = IPC::Run::start(
	[ 'pgbench', '-n', '-c', 4, '-T', 20, '-f', $script, '-h', $node->host, '-p', $node->port, 'audit' ],
	'>', \$load_out, '2>', \$load_err);
my $years = 3;
for my $round (1 .. 3)
{
	$years += 1;
	set_clock($node, $years * 365 * $day);
	$node->poll_query_until('audit', q{SELECT count(*) > 0 FROM llm_audit.access_log_prod_default WHERE recorded_at > llm_audit.now() - interval '1 day'})
	  or die 'nobody reads';
	make_segments("sleep $round");
	is(has_segment($_, 2), '1', "sleep $round: $_ has segments again") for qw(llm_call access_log segment_event);
}
ok($load->finish, 'readers and writers have not been disturbed') or diag($load_err);
is(misplaced($_), '0', "$_: no row is in the wrong segment") for qw(llm_call access_log segment_event);
is(chain_faults($node, 'audit', 'llm_audit.access_log'), '0', 'the chain of the access log is whole');
check_verify($node, 'audit', 'in the end');
$node->stop;
done_testing();
