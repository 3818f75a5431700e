# Documents that are generated from the catalogs say what the catalogs say:
# every program in test/checks agrees, and notices a change.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('docs');
$node->start;
make_database($node, 'audit');
local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;
local $ENV{PGDATABASE} = 'audit';

my @checks = grep { -x } glob("$FindBin::Bin/../checks/*");
cmp_ok(scalar(@checks), '>', 0, 'there are checks');
for my $check (@checks)
{
	my ($name) = $check =~ m!([^/]+)$!;
	command_ok([$check], $name);
}

# A ledger's comments may be changed; they are nothing that is hashed.
$node->safe_psql('audit',
	q{COMMENT ON COLUMN llm_audit.llm_call.cost IS 'something else'});
command_fails_like(
	["$FindBin::Bin/../checks/schema_docs"],
	qr/differs from the catalogs/,
	'schema_docs notices a changed comment');

$node->stop;
done_testing();
