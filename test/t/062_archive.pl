# Archives: written, checked, refused when damaged, and read back the same.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('archive');
my $dir = $node->basedir . '/bundles';
mkdir($dir, 0700) or die "$dir: $!";
$node->append_conf('postgresql.conf', "llm_audit.archive_directory = '$dir/'\n");
$node->start;
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

# copy_with(FROM, TO, CHANGE): a file whose bytes CHANGE has changed.
sub copy_with
{
	my ($from, $to, $change) = @_;
	my $bytes = slurp_file($from);
	open(my $in, '<:raw', $from) or die "$from: $!";
	{ local $/ = undef; $bytes = <$in>; }
	close($in);
	$change->(\$bytes);
	open(my $out, '>:raw', $to) or die "$to: $!";
	print $out $bytes;
	close($out) or die "$to: $!";
	return;
}

# A table with every kind of value, a column that was dropped before it became
# a ledger, and rows in several lanes; and the built-in calls.
query(q{
	CREATE TYPE mood AS ENUM ('calm', 'cross');
	CREATE TABLE kinds (gone int, environment text NOT NULL, t text, v varchar(20), c char(3), b boolean, i2 int2,
		i4 int4, i8 int8, n numeric, f4 float4, f8 float8, u uuid, y bytea, d date, ti time, ts timestamp,
		tz timestamptz, iv interval, a inet, ci cidr, j json, jb jsonb, ta text[], na numeric[],
		g mood GENERATED ALWAYS AS (CASE WHEN i4 % 3 = 0 THEN 'cross'::mood ELSE 'calm' END) STORED)
		PARTITION BY LIST (environment);
	ALTER TABLE kinds DROP COLUMN gone;
	SELECT llm_audit.create_ledger('kinds', erasable => '{t}');
	SELECT llm_audit.set_field_policy('kinds', c, 'keep', reason => 'a test')
		FROM unnest('{v,c,j,ta}'::text[]) c});
query(q{INSERT INTO kinds (environment, t, v, c, b, i2, i4, i8, n, f4, f8, u, y, d, ti, ts, tz, iv, a, ci, j, jb, ta, na)
	SELECT 'prod', 'text ' || i || E' \u0436', 'v', 'c', i % 2 = 0, i, i, i, i / 3.0, 'NaN', '-0', gen_random_uuid(), '\x00ff',
		'infinity', '12:00', '-infinity', now(), '1 mon 2 days 3.5 s', '10.0.0.1/8', '10.0.0.0/8', '{"b":  1}',
		'{"b": 1, "a": [1.50]}', '{a,NULL}', '[0:1]={1.0,NaN}' FROM generate_series(1, 500) i});
query("INSERT INTO kinds (environment, t) VALUES ('prod', NULL)");
query(insert_calls(300, 'call'));
my $kinds = query('SELECT DISTINCT tableoid::regclass FROM kinds');
my $calls = current_leaf($node, 'audit', 'prod');
refused("SELECT llm_audit.archive('$kinds', '$dir/kinds')", qr/is not closed/, 'only closed segments');
query(qq{UPDATE llm_audit.ledger_segment SET lower = now() - interval '9 hours', upper = now() - interval '2 hours'
	WHERE format('%I.%I', schema_name, relation_name) IN ('public.$kinds', '$calls')});
query(qq{SELECT llm_audit.close_segment('$_')}) for $kinds, $calls;
query(qq{SELECT llm_audit.erase_rows('$kinds', '{t}', 't.i4 < 10', gen_random_uuid(), 'subject', 'T', 'b')});

# What is rolled back leaves no file.
refused("BEGIN; SELECT llm_audit.archive('$kinds', '$dir/never'); SELECT 1 / 0", qr/division by zero/, 'a transaction fails after it archived');
query(qq{BEGIN; SAVEPOINT s; SELECT llm_audit.archive('$kinds', '$dir/never'); ROLLBACK TO s; COMMIT});
is(join(' ', glob("$dir/*")), '', 'and no file is left of it');
is(query(qq{BEGIN; SAVEPOINT s; SELECT llm_audit.archive('$kinds', '$dir/kinds') #>> '{rows,count}'; RELEASE s; COMMIT}), '501', 'an archive is written');
is((stat("$dir/kinds"))[2] & 0777, 0600, 'for the server alone');
is(query(qq{SELECT llm_audit.archive_of('$kinds')}), "$dir/kinds", 'and known');
is(query(qq{SET client_encoding = 'LATIN1'; SELECT count(llm_audit.archive('$calls', '$dir/calls'))}), '1', 'another');
my $manifest = query(qq{SELECT llm_audit.archive_manifest('$dir/kinds')::jsonb});
like($manifest, qr/"signature": null/, 'the manifest has room for a signature');
is(query(qq{SELECT jsonb_array_length('$manifest'::jsonb #> '{segment,erase_receipts}')}), '1', 'and the receipts');
is(join(' ', sort map { s{.*/}{}r } glob("$dir/*")), 'calls kinds', 'nothing else is left in the directory');

# The rows are, to the byte, what COPY makes of them.
for my $archived ([ $kinds, 'kinds' ], [ $calls, 'calls' ])
{
	my ($leaf, $name) = @$archived;
	my $columns = query(qq{SELECT string_agg(CASE WHEN atttypid = 'mood'::regtype THEN 'g::text' ELSE quote_ident(attname) END, ', ' ORDER BY attnum)
		FROM pg_attribute WHERE attrelid = '$leaf'::regclass AND attnum > 0 AND NOT attisdropped});
	query(qq{COPY (SELECT $columns FROM ONLY $leaf ORDER BY chain_lane, chain_seq) TO '$dir/$name.copy' (FORMAT binary)});
	my %bytes;
	for my $file ($name, "$name.copy")
	{
		open(my $in, '<:raw', "$dir/$file") or die "$file: $!";
		local $/ = undef;
		$bytes{$file} = <$in>;
		close($in);
	}
	my $copied = $bytes{"$name.copy"};
	cmp_ok(length($copied), '>', 10_000, "$name: there is something to compare");
	ok(substr($bytes{$name}, 19, length($copied)) eq $copied, "$name: the rows are as COPY writes them");
	unlink("$dir/$name.copy");
}

# Back again
is(query(qq{SELECT llm_audit.load_archive('$dir/kinds', 'a drill', 'old')}), '501', 'it is loaded');
is(query(qq{SELECT llm_audit.load_archive('$dir/calls', 'a drill', 'old')}), '300', 'so is the other');
is(query('SELECT count(*) FROM (SELECT kinds::text FROM kinds EXCEPT ALL SELECT kinds::text FROM old.kinds) x'),
	'0', 'with the same rows');
is(query('SELECT count(*) FROM (SELECT c::text FROM llm_audit.llm_call c EXCEPT ALL SELECT c::text FROM old.llm_call c) x'),
	'0', 'of calls too');
is(query(q{SET search_path = old; SELECT count(*) FROM llm_call WHERE request_id = 'call-7'}), '1',
	'the same query answers');
like(query(q{SET search_path = old; SET enable_seqscan = off; EXPLAIN SELECT FROM llm_call WHERE request_id = 'call-7'}),
	qr/Index/, 'by an index');
for my $change ('DELETE FROM old.kinds', 'UPDATE old.kinds SET i4 = 1', 'TRUNCATE old.kinds',
	'INSERT INTO old.kinds SELECT * FROM old.kinds')
{
	refused($change, qr/cannot be changed/, $change);
}
is( query(q{SELECT string_agg(action, ' ' ORDER BY recorded_at) FROM llm_audit.admin_event WHERE action LIKE 'archive.%'}),
	'archive.created archive.created archive.loaded archive.loaded', 'all of it is recorded');

# What an erasure does not reach.
my $copies = q{SELECT ledger, segment, action, row_count, why_not FROM llm_audit.erase_subject('clerk', 'art. 17', 'T-1') WHERE action NOT LIKE '% erased'};
my $number = query("SELECT segment FROM llm_audit.segment_of('$calls')");
is(query($copies), "old.llm_call||loaded|300|rows of a loaded archive cannot be changed: drop the table\n"
	  . "llm_audit.llm_call|$number|archived||in file $dir/calls",
	'an erasure says where copies are that it does not reach');
is(query(q{SELECT count(*), count(r ->> 'loaded_archive') FROM llm_audit.subject_report('clerk') r}), '600|300',
	'a report on a person has what is loaded, too');

# The roles see of it what they see of the live ledger, and are recorded.
query(q{
	CREATE ROLE anna LOGIN IN ROLE llm_audit_oncall; CREATE ROLE boris LOGIN IN ROLE llm_audit_oncall;
	CREATE ROLE vera LOGIN IN ROLE llm_audit_security; CREATE ROLE nobody LOGIN;
	SELECT llm_audit.set_scope('anna', '{bank}', '{prod}'), llm_audit.set_scope('boris', '{other}', '{*}'),
		llm_audit.set_scope('vera', '{*}', '{*}')});

sub as_user
{
	my ($user, $sql, $reason) = @_;
	local $ENV{PGOPTIONS} = $reason ? "-c llm_audit.reason=$reason" : '';
	my ($status, $out, $err) = $node->psql('audit', $sql, extra_params => [ '-U', $user ]);
	return $status == 0 ? $out : $err;
}
my @views = split(/\n/, query(q{SELECT relname FROM pg_class WHERE relnamespace = 'old'::regnamespace AND relkind = 'v' ORDER BY 1}));
is("@views", query(q{SELECT string_agg(view_name, ' ' ORDER BY view_name COLLATE "C") FROM llm_audit.builtin_views() WHERE ledger = 'llm_call' AND readers <> '{}'}),
	'the archive has the views of its ledger');
for my $view (@views)
{
	is(query("SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'old.$view'::regclass"),
		query("SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'llm_audit.$view'::regclass"),
		"$view: the same columns");
	is(query("SELECT string_agg(x::text, ' ' ORDER BY x::text) FROM pg_class, unnest(relacl) x WHERE oid = 'old.$view'::regclass"),
		query("SELECT string_agg(x::text, ' ' ORDER BY x::text) FROM pg_class, unnest(relacl) x WHERE oid = 'llm_audit.$view'::regclass"),
		"$view: the same readers");
}
for my $schema ('llm_audit', 'old')
{
	is(as_user('anna', "SELECT count(*) FROM $schema.oncall_calls"), '300', "$schema: a role sees its scope");
	is(as_user('boris', "SELECT count(*) FROM $schema.oncall_calls"), '0', "$schema: and nothing else");
	like(as_user('anna', "SELECT * FROM $schema.security_calls"), qr/permission denied/, "$schema: nor another role's view");
	like(as_user('anna', "SELECT * FROM $schema.llm_call", 'curious'), qr/permission denied/, "$schema: nor the table");
	like(as_user('nobody', "SELECT * FROM $schema.oncall_calls"), qr/permission denied/, "$schema: nobody else sees anything");
	like(as_user('vera', "SELECT count(*) FROM $schema.security_calls"), qr/reason/, "$schema: a reason is needed where it is");
	is(as_user('vera', "SELECT count(DISTINCT actor_id) FROM $schema.security_calls", 'case'), '1', "$schema: identities with a reason");
}
like(as_user($node->connstr =~ /user=(\S+)/ ? $1 : query('SELECT current_user'), 'SELECT count(*) FROM old.llm_call'),
	qr/reason/, 'a superuser needs a reason for the table');
is(query(q{SELECT count(*) FROM llm_audit.access_log WHERE event = 'read' AND login IN ('anna', 'boris', 'vera')
		AND relations && '{old.oncall_calls,old.security_calls}'}), '3', 'what is read of an archive is recorded');

# Every built-in ledger can come back, with all of its views.
# Those of next month, since closing one of segment_event is an event of today.
my $some = query(q{
	SELECT string_agg(format('%s %I.%I', l.relation_name, s.schema_name, s.relation_name), ',')
	FROM (SELECT DISTINCT ON (ledger_id) * FROM llm_audit.ledger_segment
		WHERE environment = 'test' AND NOT is_default AND lower > now() ORDER BY ledger_id, lower) s
	JOIN llm_audit.ledger l USING (ledger_id) WHERE l.builtin});
for my $each (split(/,/, $some))
{
	my ($name, $leaf) = split(/ /, $each);
	query("UPDATE llm_audit.ledger_segment SET lower = now() - interval '9 hours', upper = now() - interval '2 hours' WHERE format('%I.%I', schema_name, relation_name) = '$leaf'");
	query("SELECT llm_audit.close_segment('$leaf')");
	query("SELECT llm_audit.archive('$leaf', '$dir/all_$name'); SELECT llm_audit.load_archive('$dir/all_$name', 'a drill', 'everything')");
}
is( query(q{SELECT count(*), string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'everything'::regnamespace AND relkind = 'v'}),
	query(q{SELECT count(*), string_agg(view_name, ' ' ORDER BY view_name COLLATE "C") FROM llm_audit.builtin_views() WHERE ledger IS NOT NULL AND readers <> '{}'}),
	'all views of all ledgers');
is( query(q{SELECT count(*) FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid JOIN pg_class v ON v.oid = w.ev_class
		JOIN pg_class t ON t.oid = d.refobjid WHERE v.relnamespace = 'everything'::regnamespace AND t.relnamespace = 'llm_audit'::regnamespace
		AND t.relkind = 'p'}),
	'0', 'none of which reads a live ledger');
like(as_user('vera', "SELECT count(*) FROM everything.disclosed_content", 'case'), qr/disclosure/, 'text needs a disclosure');

# Who can make tables in a schema could read what is loaded into it.
query('CREATE SCHEMA trap AUTHORIZATION nobody; CREATE SCHEMA open; GRANT CREATE ON SCHEMA open TO PUBLIC');
for my $schema ('trap', 'open')
{
	refused("SELECT llm_audit.load_archive('$dir/kinds', 'x', '$schema')", qr/cannot be loaded into schema/, "not into schema $schema");
}

# Refused
refused("SELECT llm_audit.load_archive('$dir/kinds', 'a drill', 'old')", qr/already/, 'not twice into one schema');
refused("SELECT llm_audit.load_archive('$dir/kinds', ' ', 'other')", qr/a reason/, 'not without a reason');
refused("SELECT llm_audit.load_archive('$dir/kinds', 'x', 'llm_audit')", qr/cannot be loaded into schema/, 'not into our schema');
refused("CREATE SCHEMA taken; CREATE TABLE taken.kinds (n int); SELECT llm_audit.load_archive('$dir/kinds', 'x', 'taken')",
	qr/is not one for rows of this archive/, 'not into a table of something else');
refused("SELECT llm_audit.archive('$kinds', '$dir/kinds')", qr/exists already/, 'no file is overwritten');
refused("SELECT llm_audit.archive('$kinds', '../kinds')", qr/must be absolute/, 'no relative path');
refused("SELECT llm_audit.archive('$kinds', '" . $node->data_dir . "/base/kinds')", qr/data directory/, 'not in the data directory');
symlink($node->data_dir, "$dir/link") or die "$dir/link: $!";
refused("SELECT llm_audit.archive('$kinds', '$dir/link/base/kinds')", qr/data directory/, 'nor where a link leads there');
unlink("$dir/link");
refused("SELECT llm_audit.archive('$kinds', '$dir/none/kinds')", qr/could not create file/, 'no such directory');
refused("SELECT llm_audit.archive('kinds', '$dir/x')", qr/is not a ledger segment/, 'a ledger is no segment');
for my $role ('llm_audit_admin', 'llm_audit_auditor')
{
	refused("SET ROLE $role; SELECT llm_audit.archive('$kinds', '$dir/x')", qr/permission denied/, "$role may not archive");
	refused("SET ROLE $role; SELECT llm_audit.load_archive('$dir/kinds', 'x')", qr/permission denied/, "$role may not load");
}

# Two ledgers of one name.
query(q{
	CREATE SCHEMA a; CREATE SCHEMA b;
	CREATE TABLE a.twin (environment text NOT NULL, n int) PARTITION BY LIST (environment);
	CREATE TABLE b.twin (environment text NOT NULL, n int) PARTITION BY LIST (environment);
	SELECT llm_audit.create_ledger('a.twin'), llm_audit.create_ledger('b.twin');
	INSERT INTO a.twin VALUES ('prod', 1);
	INSERT INTO b.twin VALUES ('prod', 2);
	UPDATE llm_audit.ledger_segment SET lower = now() - interval '9 hours', upper = now() - interval '2 hours'
		WHERE relation_name = (SELECT relname FROM pg_class WHERE oid = (SELECT tableoid FROM a.twin))});
for my $schema ('a', 'b')
{
	my $leaf = query("SELECT tableoid::regclass FROM $schema.twin");
	query(qq{SELECT llm_audit.close_segment('$leaf'); SELECT llm_audit.archive('$leaf', '$dir/twin_$schema')});
}
query("SELECT llm_audit.load_archive('$dir/twin_a', 'a drill', 'twins')");
refused("SELECT llm_audit.load_archive('$dir/twin_b', 'a drill', 'twins')", qr/has rows of another ledger/, 'rows of two ledgers are not mixed');

# Damage: one byte anywhere, an end cut off, something added.
my $size = -s "$dir/kinds";
for my $at (0, 25, int($size / 2), $size - 300, $size - 60, $size - 45, $size - 20, $size - 1)
{
	unlink("$dir/bad");
	copy_with("$dir/kinds", "$dir/bad", sub { substr(${ $_[0] }, $at, 1) ^= "\x01" });
	refused("SELECT llm_audit.load_archive('$dir/bad', 'x', 'bad')", qr/is not a whole archive/, "a changed byte at $at");
}
for my $keep (0, 10, 60, $size - 1)
{
	copy_with("$dir/kinds", "$dir/bad", sub { ${ $_[0] } = substr(${ $_[0] }, 0, $keep) });
	refused("SELECT llm_audit.archive_manifest('$dir/bad')", qr/is not a whole archive/, "cut off at $keep");
}
copy_with("$dir/kinds", "$dir/bad", sub { ${ $_[0] } .= 'x' });
refused("SELECT llm_audit.archive_manifest('$dir/bad')", qr/is not a whole archive/, 'something added');
is(query(q{SELECT to_regnamespace('bad') IS NULL}), 't', 'nothing came of it');

# A row that is missing, and one that nobody has purged.
refused(qq{BEGIN; UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = '$kinds'::regclass;
	DELETE FROM ONLY $kinds WHERE i4 = 30; SELECT llm_audit.archive('$kinds', '$dir/less')},
	qr/does not verify and is not archived.*It has 500 rows and should have 501/s, 'a segment without one of its rows');
is(() = glob("$dir/less*"), 0, 'and no file is left');

# What is erased after it was archived: the archive counts no more.
query(qq{SELECT llm_audit.erase_rows('$kinds', '{t}', 't.i4 = 20', gen_random_uuid(), 'subject', 'T', 'b')});
is(query(qq{SELECT llm_audit.archive_of('$kinds') IS NULL}), 't', 'an archive from before an erasure is none');
is(query(q{SELECT action, why_not FROM llm_audit.erase_subject('somebody', 'art. 17', 'T-1')}),
	'not searched|1 archives of purged segments or from before an erasure: see llm_audit.archive_report()',
	'and may hold whom nobody can find');
query(qq{SELECT llm_audit.archive('$kinds', '$dir/again')});
is(query(qq{SELECT llm_audit.archive_of('$kinds')}), "$dir/again", 'a new one is');
unlink("$dir/again");
is(query(qq{SELECT llm_audit.archive_of('$kinds') IS NULL}), 't', 'nor is one that is gone');

# Rows that were purged are in the earlier archive only: both count together.
query(q{
	CREATE TABLE letters (environment text NOT NULL, request_id text, words text) PARTITION BY LIST (environment);
	SELECT llm_audit.create_ledger('letters', retention => '1 second', erasable => '{words}');
	SELECT llm_audit.set_field_policy('letters', 'request_id', 'keep', pattern => 'identifier', reason => 'a test');
	SELECT llm_audit.set_retention('letters', NULL, NULL, '1 second', archive_before_purge => true);
	INSERT INTO letters SELECT 'prod', 'letter-' || i, 'words ' || i FROM generate_series(1, 20) i});
my $letters = query('SELECT DISTINCT tableoid::regclass FROM letters');
query(qq{UPDATE llm_audit.ledger_segment SET lower = now() - interval '9 hours', upper = now() - interval '2 hours' WHERE relation_name = '$letters';
	SELECT llm_audit.close_segment('$letters'); SELECT llm_audit.archive('$letters', '$dir/letters_1')});
my $hold = query(q{SELECT llm_audit.place_hold('CASE-1', 'court', '{"request_ids": ["letter-7"]}') FROM pg_sleep(1.1)});
my $purge = "SELECT action, row_count, why_not FROM llm_audit.purge('$letters', false, 'it is time')";
my $states = "SELECT string_agg(regexp_replace(path, '.*/', '') || ' ' || row_count || ' ' || state, ', ') FROM llm_audit.archive_report('$letters')";
is(query($purge), "delete|19|\nkeep|1|under a legal hold (found by a scan)", 'rows are purged when they are archived');
is(query($states), 'letters_1 20 counts', 'the archive has all rows');
query(qq{SELECT llm_audit.release_hold('$hold', 'over');
	SELECT llm_audit.erase_rows('$letters', '{words}', 'true', gen_random_uuid(), 'subject', 'T', 'b')});
is(query($states), 'letters_1 20 has purged rows', 'after an erasure it does not count, and is needed');
like(query($purge), qr/keep\|20\|the segment has not been archived/, 'alone it is not enough');
query(qq{SELECT llm_audit.archive('$letters', '$dir/letters_2')});
is(query($states), 'letters_1 20 has purged rows, letters_2 1 counts', 'a later archive has what is left');
rename("$dir/letters_1", "$dir/elsewhere") or die "$dir/letters_1: $!";
is(query($states), 'letters_1 20 gone, letters_2 1 counts', 'an archive that is gone is seen');
like(query($purge), qr/keep\|20\|the archive that has the rows which were purged is gone or damaged/, 'and missed');
copy_with("$dir/elsewhere", "$dir/letters_1", sub { substr(${ $_[0] }, 100, 1) ^= "\x01" });
like(query($purge), qr/keep\|20\|the archive that has the rows which were purged/, 'a damaged one is none');
rename("$dir/elsewhere", "$dir/letters_1") or die "$dir/letters_1: $!";
is(query($purge), 'truncate|1|', 'with both the rest can go');
is(query(qq{SELECT llm_audit.load_archive('$dir/letters_1', 'a drill', 'before'), llm_audit.load_archive('$dir/letters_2', 'a drill', 'after')}),
	'20|1', 'and comes back');
is(query(q{SELECT request_id, words FROM after.letters}), 'letter-7|', 'what was left');
is( query(qq{SELECT jsonb_agg(jsonb_build_array(r -> 'row_count', r -> 'first_seqs', r -> 'last_seqs')) FROM jsonb_array_elements(llm_audit.archive_manifest('$dir/letters_2')::jsonb #> '{segment,purge_receipts}') r}),
	'[[19, [1, 8], [6, 20]]]', 'with the receipts of what was not');
is(query(q{SELECT count(*), count(words) FROM before.letters}), '20|20', 'and what was purged');
is(query(q{SELECT finding, detail FROM llm_audit.verify('letters') WHERE finding NOT IN ('row_inserted', 'catalog_drift')}), '', 'receipts account for all of it');

# What a crash leaves.
my $name = query(q{SELECT format('x_%s_1_20260101T000000Z', ledger_id) FROM llm_audit.ledger WHERE relation_name = 'letters'});
for my $file ($name, "$name.123.tmp", "mine.tmp", "${name}x", 'x_00000000-0000-0000-0000-000000000000_1_20260101T000000Z.1.tmp')
{
	append_to_file("$dir/$file", 'half of an archive');
	utime(time() - 90000, time() - 90000, "$dir/$file");
}
append_to_file("$dir/$name.124.tmp", 'being written');
is(query(q{SELECT string_agg(regexp_replace(path, '.*/', '') || ' ' || unfinished, ' ' ORDER BY path) FROM llm_audit.unknown_archives()}),
	"$name false $name.123.tmp true", 'files that nothing knows of are found');
is(query(q{SELECT ok FROM llm_audit.readiness() WHERE item = 'archives known'}), 'f', 'readiness says so');
query("CALL llm_audit.run_maintenance('{archive}')");
is(query(q{SELECT string_agg(regexp_replace(path, '.*/', ''), ' ' ORDER BY path) FROM llm_audit.unknown_archives('-1 day')}),
	"$name $name.124.tmp", 'maintenance removes what was never finished');
ok(-e "$dir/mine.tmp", 'and nothing else');
refused("SELECT llm_audit.archive_discard('$dir/letters_1')", qr/is not an unfinished archive/, 'no archive is removed');
$node->stop;
done_testing();
