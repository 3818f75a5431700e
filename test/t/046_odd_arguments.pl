# Every function of ours answers or raises an error of its own, whatever it is
# given: NULL, nothing, extremes, objects that are not there or no ledgers.
# None of them ends the server or is at a loss (an internal error).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('node', autovacuum => 'off');
$node->start;
make_database($node, 'audit');
my $started = $node->safe_psql('audit', 'SELECT pg_postmaster_start_time()');

# Five values of each type; an array has five of its own.
my %odd = (
	'text' => [ 'NULL', q{''}, q{repeat('x', 100000)}, q{E'%s%n\x01'}, q['{"a":'] ],
	'name' => [ 'NULL', q{''}, q{repeat('y', 63)}, q{'llm_audit_auditor'}, q{'%s'} ],
	'integer' => [ 'NULL', '0', '-1', '2147483647', '(-2147483648)' ],
	'smallint' => [ 'NULL', '0', '-1', '32767', '(-32768)' ],
	'bigint' => [ 'NULL', '0', '-1', '9223372036854775807', '(-9223372036854775808)' ],
	'numeric' => [ 'NULL', '0', '-1', q{'NaN'}, '1e400' ],
	'double precision' => [ 'NULL', '0', '-1', q{'NaN'}, '1e300' ],
	'boolean' => [ 'NULL', 'false', 'true', 'false', 'true' ],
	'interval' => [ 'NULL', q{'0'}, q{'-1 day'}, q{'170000000 years'}, q{'1 month -31 days'} ],
	'timestamp with time zone' =>
	  [ 'NULL', q{'-infinity'}, q{'infinity'}, q{'4713-01-01 BC'}, q{'294276-12-31'} ],
	'date' => [ 'NULL', q{'-infinity'}, q{'infinity'}, q{'4713-01-01 BC'}, q{'5874897-12-31'} ],
	'uuid' => [ 'NULL', q{'00000000-0000-0000-0000-000000000000'},
		q{'ffffffff-ffff-ffff-ffff-ffffffffffff'}, 'llm_audit.uuid7()', 'llm_audit.uuid7()' ],
	'bytea' => [ 'NULL', q{''}, q{'\x00'}, q{decode(repeat('ff', 40000), 'hex')}, q{'\x0102'} ],
	'json' => [ 'NULL', q{'null'}, q{'[]'}, q{'{"a": null}'}, q{'[[[{}]]]'} ],
	'jsonb' => [ 'NULL', q{'null'}, q{'[]'}, q{'{"a": null}'}, q{'{"request_ids": [null, 1]}'} ],
	'regclass' => [ 'NULL', '0', q{'pg_class'}, q{'llm_audit.llm_call'},
		q{(SELECT relid FROM pg_partition_tree('llm_audit.llm_call') WHERE isleaf LIMIT 1)} ],
	'oid' => [ 'NULL', '0', '1259', '4294967295', '16384' ],
	'regprocedure' => [ 'NULL', '0', '1259', '0', '0' ]);

# The odd value number $n of a type, or NULL of a type that has none.
sub odd_value
{
	my ($type, $n) = @_;
	my $of = $odd{$type};
	return "$of->[$n]::$type" if $of;
	if ($type =~ /^(.*)\[\]$/ && $odd{$1})
	{
		my @of = @{ $odd{$1} };
		return ('NULL', q{'{}'}, q{'{NULL}'}, "ARRAY[$of[2], NULL]", "ARRAY[[$of[3]], [$of[4]]]")[$n] . "::$type";
	}
	return "NULL::$type";
}

# pause_purge() sleeps for as long as it is told to
my @functions = split /\n/, $node->safe_psql('audit', q{
	SELECT concat_ws('|', proname, prokind, (SELECT string_agg(format_type(t, NULL), ',' ORDER BY n)
			FROM unnest(proargtypes::oid[]) WITH ORDINALITY AS a (t, n)))
	FROM pg_proc
	WHERE pronamespace = 'llm_audit'::regnamespace AND prokind IN ('f', 'p') AND pronargs > 0
		AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
		AND NOT 'internal'::regtype = ANY (proargtypes::oid[]) AND proname <> 'pause_purge'
	ORDER BY proname, oid});
cmp_ok(scalar @functions, '>', 150, 'there are functions to call');

my $script = "\\set VERBOSITY verbose\nSET llm_audit.reason = 'odd';\n";
my $calls = 0;
for my $function (@functions)
{
	my ($name, $kind, $types) = split /\|/, $function;
	my @types = split /,/, $types;
	# all of them of one kind, and one of each kind beside another
	for my $shift (0, 1)
	{
		next if $shift && @types == 1;
		for my $first (0 .. 4)
		{
			my $arguments = join ', ',
			  map { odd_value($types[$_], ($first + $shift * $_) % 5) } 0 .. $#types;
			$script .= "\\echo call $name($first, $shift)\nBEGIN; "
			  . ($kind eq 'p' ? 'CALL' : 'SELECT count(*) FROM')
			  . " llm_audit.$name($arguments); ROLLBACK;\n";
			$calls++;
		}
	}
}
my ($status, $out, $err) = $node->psql('audit', "$script\\echo the end\n", on_error_stop => 0);
like($out, qr/^the end$/m, 'the session lives to the end');
my @made = $out =~ /^call /mg;
is(scalar @made, $calls, "$calls calls were made");
unlike($err, qr/server closed the connection|connection to server was lost/, 'no call ends it');
is($node->safe_psql('audit', 'SELECT pg_postmaster_start_time()'), $started, 'nor the server');
unlike(slurp_file($node->logfile), qr/terminated by signal|TRAP:|PANIC/, 'the log knows of no crash');
my @errors = $err =~ /ERROR:  ([0-9A-Z]{5}: .*)/g;
cmp_ok(scalar @errors, '>', $calls / 10, 'odd arguments are refused');
# what PostgreSQL says of a table that is gone; a number of a segment is never 0
my @lost = grep { /^XX000/ && !/could not open relation with OID 0$|a segment's number is not 0$/ } @errors;
is_deeply(\@lost, [], 'by errors of ours');
$node->stop;
done_testing();
