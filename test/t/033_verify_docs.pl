# Every SQL command in the auditors' documents runs, and shows what it says.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = "$FindBin::Bin/../..";
my $node = make_node('docs');
$node->start;
make_database($node, 'audit');
$node->safe_psql('audit', 'CREATE ROLE auditor_of_docs');

# The SQL blocks of a document, in order.
sub sql_blocks
{
	my ($document) = @_;
	my $text = slurp_file("$top/docs/$document");
	my @blocks = $text =~ /^```sql\n(.*?)^```$/msg;
	s/\bAUDITOR\b/auditor_of_docs/g, s!\\i docs/!\\i $top/docs/!g for @blocks;
	return @blocks;
}

for my $document ('hash-format.md', 'verify.md', 'purge.md')
{
	my @blocks = sql_blocks($document);
	cmp_ok(scalar(@blocks), '>=', 4, "$document has examples");
	my ($ret, $out, $err) = $node->psql('audit',
		join("\n", map { "$_\n\\echo ----" } @blocks), on_error_stop => 1);
	is($ret, 0, "$document: every command runs") or diag($err);
	my @results = split /^----\n?/m, $out;
	is(scalar(() = $out =~ /^----$/mg), scalar(@blocks), "$document: to the end");
	if ($document eq 'hash-format.md')
	{
		like($results[0], qr/(^[0-9a-f-]{36}\|t\n){3}/m, 'the hash of a row');
		like($results[1], qr/^\d\d+\|t\|t\nt$/m, 'every row, without our code');
		like($results[2], qr/^event\|text\|f\|7\|\\x63726561746564$/m, 'the parts of a preimage');
		is($results[3], "t\n", 'the header by hand');
		is($results[4], "t\n", 'the genesis hash by hand');
	}
	elsif ($document eq 'verify.md')
	{
		like($results[1], qr/^self_consistent\|.*\|self-consistent only:/, 'the summary');
		like($results[1], qr/row_missing\|no row has this id/, 'and a row that is not there');
	}
}

# All findings that the code knows are explained, and no others.
my %known = map { $_ => 1 } slurp_file("$top/src/ledger/verify.c") =~ /^\t\[FINDING_\w+\] = "(\w+)"/mg;
my %explained = map { $_ => 1 } slurp_file("$top/docs/verify.md") =~ /^\| `(\w+)` \| \w.*\|.*\|$/mg;
cmp_ok(scalar(keys %known), '>=', 11, 'there are findings');
is(join(' ', sort keys %explained), join(' ', sort keys %known), 'verify.md explains every finding');

$node->stop;
done_testing();
