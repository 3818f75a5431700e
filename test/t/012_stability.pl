# A row's preimage is the same bytes under every setting that changes how
# values look, in every client encoding, and verifies under each.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('stability');
$node->start;
make_database($node, 'audit');
$node->safe_psql(
	'audit', q{
	CREATE TYPE pair AS (a int, b int);
	CREATE DOMAIN code AS varchar(20) CHECK (VALUE <> '');
	CREATE TABLE kinds (label text, c code, ch char(8), j json, jb jsonb,
		b boolean, i2 smallint, i4 int, i8 bigint, n numeric, ns numeric(12,4),
		f4 real, f8 double precision, u uuid, y bytea, d date, tm time,
		ts timestamp, tz timestamptz, iv interval, ip inet, net cidr,
		texts text[], numbers numeric[], grid int[]);
	SELECT llm_audit.create_ledger('kinds', erasable => '{j,texts}');
	INSERT INTO kinds VALUES
		('plain', 'code', 'padded', '{"b": 1,  "a": 2}', '{"b": 1,  "a": 2.50}',
		 true, -1, 2, 3, 1.500, 1.5, 0.1, 0.1, 'a8098c1a-f86e-41da-bd1a-00112444be1e',
		 '\xdeadbeef', '2026-01-05', '10:00:00.123456', '2026-01-05 10:00',
		 '2026-01-05 10:00+05', '1 year 2 mons -3 days 04:05:06.7', '10.0.0.1/8', '10.0.0.0/8',
		 '{a,NULL,"quoted \"text\"",""}', '{1.10,NULL,NaN}', '[0:1][2:3]={{1,2},{3,4}}'),
		('extremes', 'x', '', 'null', 'null', false, -32768, -2147483648, -9223372036854775808,
		 'NaN', 99999999.9999, '-0', 'NaN', '00000000-0000-0000-0000-000000000000', '',
		 'infinity', '24:00', '-infinity', 'infinity', '-178000000 years', '::1', '2001:db8::/32',
		 '{}', '{}', '{}'),
		('more', 'y', 'ы', '"ы"', '"ы"', NULL, 32767, 2147483647, 9223372036854775807,
		 '-Infinity', 0.0000, '-Infinity', '1e308', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '\x00',
		 '4713-01-01 BC', '00:00', '0001-01-01', '294276-12-31 23:59:59.999999Z', '0', '0.0.0.0/0',
		 '0.0.0.0/0', '{{x,y},{z,NULL}}', '{1e100}', '{1}'),
		('empty text is not null', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
		 NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{""}', NULL, NULL);
	INSERT INTO kinds (label) VALUES ('');
	INSERT INTO kinds (label, y) SELECT 'long ' || repeat('абв', 200000), decode(repeat('00ff', 500000), 'hex');
	INSERT INTO kinds (label) SELECT string_agg(md5(i::text), '') FROM generate_series(1, 100000) AS i;
	});

my $digest = q{
	SELECT md5(string_agg(encode(llm_audit.row_preimage('kinds', id), 'hex'), '' ORDER BY chain_lane, chain_seq))
	  FROM kinds};
my $is = $node->safe_psql('audit', $digest);
like($is, qr/^[0-9a-f]{32}$/, 'preimages can be asked for');
is( $node->safe_psql(
		'audit',
		q{SELECT count(*) FROM kinds WHERE sha256(llm_audit.row_preimage('kinds', id)) = row_hash}),
	'7', 'and are what the hashes are of');
check_verify($node, 'audit', 'values of every type');

for my $setting (
	q{DateStyle = 'SQL, DMY'}, q{DateStyle = 'German'}, q{IntervalStyle = 'iso_8601'},
	q{IntervalStyle = 'sql_standard'}, q{TimeZone = 'Asia/Almaty'},
	q{TimeZone = 'America/St_Johns'}, q{extra_float_digits = -15},
	q{bytea_output = 'escape'}, q{client_encoding = 'WIN1251'},
	q{client_encoding = 'SQL_ASCII'}, q{xmlbinary = 'hex'}, q{array_nulls = off},
	q{quote_all_identifiers = on}, q{standard_conforming_strings = off},
	q{search_path = ''}, q{jit = off}, q{enable_indexscan = off},
	q{default_transaction_isolation = 'serializable'}, q{lc_numeric = 'C'},
	q{lc_monetary = 'C'}, q{session_replication_role = replica},
	q{row_security = off}, q{default_transaction_read_only = on})
{
	(my $qualified = $digest) =~ s/\bkinds\b/public.kinds/g;
	is($node->safe_psql('audit', "SET $setting; $qualified"), $is, "the same bytes with $setting");
	is( $node->safe_psql('audit', "SET $setting; SELECT count(*) FROM llm_audit.verify('public.kinds')"),
		'0', "verifies with $setting");
}

# What is written under such settings verifies without them.
for my $setting (q{DateStyle = 'SQL, DMY'}, q{TimeZone = 'Asia/Almaty'}, q{extra_float_digits = -15},
	q{session_replication_role = replica}, q{bytea_output = 'escape'})
{
	$node->safe_psql('audit', "SET $setting; INSERT INTO kinds (label, n, f8, tz, y) VALUES ('written', 1.50, 0.1, now(), 'x')");
}
check_verify($node, 'audit', 'written under settings');
$node->safe_psql('audit', "SET client_encoding = 'WIN1251'; INSERT INTO kinds (label) VALUES ('\xcf\xf0')");
is($node->safe_psql('audit', "SELECT count(*) FROM kinds WHERE label = U&'\\041f\\0440'"), '1', 'is the text that was meant');
check_verify($node, 'audit', 'written in another encoding');

# Bytes that are not text in the database's encoding do not get in.
for my $bytes (q{E'\xff'}, q{E'\xc3'}, q{E'\xed\xa0\x80'}, q{convert_from('\x00', 'UTF8')})
{
	my ($status, $out, $err) = $node->psql('audit', "INSERT INTO kinds (label) VALUES ($bytes)");
	isnt($status, 0, "refused: $bytes");
}

# Types without an encoding of ours are refused when the table is enrolled.
for my $type (qw(pair point xml tsvector money bit(3) int4range oid macaddr))
{
	my ($status, $out, $err) = $node->psql(
		'audit', "BEGIN; CREATE TABLE strange (x $type); SELECT llm_audit.create_ledger('strange'); ROLLBACK");
	like($err, qr/column "x" of table "public.strange" has a type that cannot be hashed/, "type $type is refused by name");
}

# Adding and dropping columns leaves old rows' bytes alone.
$node->safe_psql('audit', "ALTER TABLE kinds ADD COLUMN later text");
$node->safe_psql('audit', "INSERT INTO kinds (label, later) VALUES ('with the new column', 'x')");
is( $node->safe_psql(
		'audit',
		q{SELECT count(*) FROM kinds WHERE sha256(llm_audit.row_preimage('kinds', id)) <> row_hash}),
	'0', 'old and new rows after ADD COLUMN');
check_verify($node, 'audit', 'after ADD COLUMN');

$node->stop;
done_testing();
