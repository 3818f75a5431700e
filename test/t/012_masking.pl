# Values that must not be stored are nowhere in the data directory, in WAL, in
# the server's log or in its messages, after inserts that succeed and inserts
# that fail; and a changed policy is in force in other sessions at their next statement.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use File::Find qw(find);
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = make_node('node', wal_level => 'logical', log_statement => 'none');
$node->start;
make_database($node, 'audit');
$node->safe_psql('audit', "SELECT llm_audit.set_content_recording('prod', '*', true, 'test')");

# Every value is unlike anything else in the cluster.
my %planted = (
	key => 'sk-proj-Zq8vWm3xKd7Rt2Lp9Yc4Nb6H',
	card => '4403123412344298',
	iin => 'ИИН 870419301123',
	mail => 'q.zhaksylykova@plantedbank.kz',
	password => 'password=Vx7-planted-Kq2',
	end_user => 'planted-end-user-5531');
my @secrets = (
	'Zq8vWm3xKd7Rt2Lp9Yc4Nb6H', '4403123412344298', '870419301123',
	'q.zhaksylykova', 'Vx7-planted-Kq2', 'planted-end-user-5531');
my $all = join(', ', @planted{qw(key card iin mail password)});
my $kept = 'kept-marker-90417';

# run(SQL, VALUE...): a statement with bind parameters :v0, :v1, ...; returns
# whether it succeeded.
sub run
{
	my ($sql, @values) = @_;
	my ($done, $out, $err) = run_pgbench($node, 'audit', "$sql;\n", '-t', 1, '-M', 'prepared',
		map { ('-D', "v$_=$values[$_]") } 0 .. $#values);
	return $done;
}

my $insert = 'INSERT INTO llm_audit.llm_call (' . call_columns() . ', %s) SELECT '
  . call_values("'call'") . ', %s';
ok(run(sprintf($insert, 'error_message, user_agent, end_user_id, prompt_name, project_id',
			":v0, :v0, :v1, :v0, '$kept'"), $all, $planted{end_user}),
	'a row with everything');
ok(run(sprintf($insert, 'attributes, request_params, policies_triggered',
			"json_build_object('x', json_build_array(:v0::text))::jsonb,"
			  . " json_build_object('y', :v1::text)::jsonb, ARRAY[:v0::text]"), $all, $planted{key}),
	'in JSON and in an array');
ok(run('INSERT INTO llm_audit.llm_content (environment, call_id, request_id, ordinal, kind, body, body_bytes)'
		  . " VALUES ('prod', gen_random_uuid(), :v0, 1, 'prompt', repeat(md5('x'), 500) || ' ' || :v0::text, 1)", $all),
	'in a text that is toasted');
ok(run(q{SELECT llm_audit.record_call(:v0)},
		'{"request_id": "doc-1", "environment": "prod", "occurred_at": "2026-01-01T00:00:00Z",'
		  . ' "service_name": "s", "actor_id": "svc", "actor_type": "service", "operation_name": "chat",'
		  . ' "provider_name": "p", "request_model": "m", "status": "ok",'
		  . ' "content": [{"role": "user", "body": "' . $all . '"}], "note": "' . $all . '"}'),
	'in a document');
is($node->safe_psql('audit', "SELECT count(*) FROM llm_audit.llm_call WHERE project_id = '$kept'"),
	'1', 'the marker is stored');
is($node->safe_psql('audit', 'SELECT count(*) FROM llm_audit.llm_content'), '2', 'the texts are stored');

# Inserts that fail once the row is formed
ok(!run(sprintf($insert, 'attempt_kind, error_message', ':v0, :v1'), $planted{key}, $all),
	'refused by a constraint');
ok(!run(sprintf($insert, 'api_key_id', ':v0'), $planted{key}), 'refused by a policy');
ok(!run(sprintf($insert, 'error_message, id', ":v0, (SELECT id FROM llm_audit.llm_call LIMIT 1)"), $all),
	'refused as a duplicate');
ok(!run(q{SELECT llm_audit.record_call(:v0)}, '{"request_id": "doc-2", "note": "' . $all . '"}'),
	'refused as incomplete');
ok(!run(q{SELECT llm_audit.record_call(:v0)}, '{"request_id": "doc-3", ' . $all),
	'refused as no JSON');

# Statements that fail with the values in their text: neither the client nor
# the log is told them.
$node->safe_psql('audit', q{
	CREATE FUNCTION wrapper(line text) RETURNS void LANGUAGE plpgsql AS
		'BEGIN INSERT INTO llm_audit.llm_call (attributes) VALUES (line::jsonb); END'});
my $columns = call_columns();
my $row = call_values("'call'");
my %failing = (
	'broken JSON' => qq~INSERT INTO llm_audit.llm_call ($columns, attributes) SELECT $row, '{"x": $all'~,
	'a constraint' => qq~INSERT INTO llm_audit.llm_call ($columns, attempt_kind) SELECT $row, '$planted{key}'~,
	'a missing value' => qq~INSERT INTO llm_audit.llm_call (error_message) VALUES ('$all')~,
	'a number that is none' => qq~INSERT INTO llm_audit.llm_call (input_tokens) VALUES ('$planted{card}x')~,
	'a syntax error' => qq~INSERT INTO llm_audit.llm_call (error_message) VALUES (4403123412344298x)~,
	'COPY' => qq~COPY llm_audit.llm_call (environment, attempt) FROM STDIN;\nprod\t$planted{card}\n\\.\n~,
	'a function' => qq~SELECT wrapper('{"x": $all')~,
	'a table of one\'s own' => qq~INSERT INTO plain VALUES (1, '$all'), (2, (SELECT '$planted{card}' FROM plain)::int::text)~);
$node->safe_psql('audit', q{INSERT INTO plain VALUES (0, 'unchanged')});
for my $name (sort keys %failing)
{
	my ($status, $out, $err) = $node->psql('audit', "\\set VERBOSITY verbose\n$failing{$name}");
	like($err, qr/ERROR/, "$name fails");
	unlike("$out$err", qr/\Q$_\E/, "$name does not tell $_") for grep { $failing{$name} =~ /\Q$_\E/ } @secrets;
}
my ($bad, $none, $word) = $node->psql('audit', "SELECT llm_audit.create_ledger('plain')");
like($word, qr/is a ledger already/, 'our own messages are told');

# What a session runs is not shown once it is on a ledger.
my $shown = $node->background_psql('audit');
$shown->query_safe("BEGIN; INSERT INTO plain VALUES (0, '$all')");
is( $node->safe_psql('audit',
		q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%text withheld by llm_audit%' AND pid <> pg_backend_pid()}),
	'1', 'pg_stat_activity shows that something is withheld');
is( $node->safe_psql('audit',
		q{SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%Vx7%' AND pid <> pg_backend_pid()}),
	'0', 'and not what');
$shown->query_safe('ROLLBACK');
$shown->quit;

# A policy changed in one session is in force in another at its next statement.
my $other = $node->background_psql('audit');
$other->query_safe("INSERT INTO plain VALUES (1, 'as it is')");
$node->safe_psql('audit', "SELECT llm_audit.set_field_policy('plain', 'note', 'redact')");
$other->query_safe("INSERT INTO plain VALUES (2, 'changed')");
$other->quit;
is($node->safe_psql('audit', 'SELECT note FROM plain ORDER BY n'), "unchanged\nas it is\n<REDACTED>",
	'a policy reaches other sessions');

# So do rules and dictionaries; terms are in no log and no activity.
$node->safe_psql('audit', "SELECT llm_audit.set_field_policy('plain', 'note', 'mask', reason => 'a test')");
$other = $node->background_psql('audit');
$other->query_safe("INSERT INTO plain VALUES (10, 'contract 123456 of Planted Person')");
$node->safe_psql('audit', q{
	SELECT llm_audit.add_mask_rule('contract', 'contract', '\\d{6}', 'CONTRACT');
	SELECT llm_audit.create_dictionary('people');
	SELECT llm_audit.create_dictionary('sealed', sealed => true);});
ok(run(q{SELECT llm_audit.add_dictionary_terms('people', ARRAY[:v0])}, 'Planted Person'), 'a term');
ok(run(q{SELECT llm_audit.add_dictionary_terms('sealed', ARRAY[:v0])}, 'Planted Sealed-Xq771'), 'a sealed term');
$other->query_safe("INSERT INTO plain VALUES (11, 'contract 123456 of Planted Person')");
$node->safe_psql('audit', "SELECT llm_audit.drop_mask_rule('contract', 'a test')");
$node->safe_psql('audit', "SELECT llm_audit.drop_dictionary('people', 'a test')");
$other->query_safe("INSERT INTO plain VALUES (12, 'contract 123456 of Planted Person')");
is($node->safe_psql('audit', 'SELECT note FROM plain WHERE n >= 10 ORDER BY n'),
	"contract 123456 of Planted Person\ncontract <CONTRACT> of <PERSON>\ncontract 123456 of Planted Person",
	'rules and terms reach other sessions');
$other->query_safe("BEGIN; SELECT llm_audit.add_dictionary_terms('sealed', ARRAY['Planted Open-Xq772'])");
is($node->safe_psql('audit', "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%Xq772%' AND pid <> pg_backend_pid()"),
	'0', 'a term is not in pg_stat_activity');
$other->query_safe('COMMIT');
$other->quit;
push @secrets, 'Sealed-Xq771', 'Open-Xq772';

# Keys rotate: what was hashed under the old key is found under it.
my $old = $node->safe_psql('audit', "SELECT (llm_audit.pseudonym('somebody', 'actor_id'))[1]");
my $keys = $node->basedir . '/keys';
my $old_keys = slurp_file($keys);
my $id = '01930000-0000-7000-8000-00000000abcd';
my $document = qq({"id": "$id", "request_id": "retry-1", "environment": "prod", "occurred_at": "2026-01-01T00:00:00Z",)
  . ' "service_name": "s", "actor_id": "d.human", "actor_type": "human", "operation_name": "chat", "provider_name": "p",'
  . ' "request_model": "m", "status": "ok", "end_user_id": "%s", "error_message": "phone 87771234567"}';
my $record = sub {
	my ($end_user) = @_;
	return $node->safe_psql('audit',
		sprintf(q{SELECT result FROM llm_audit.record_calls($_$%s$_$, NULL, 'report')}, sprintf($document, $end_user)));
};
is($record->('u-1'), 'stored', 'a call before the rotation');
is($record->('u-1'), 'duplicate', 'its retry is recognised');
make_keys($keys, 'newer');
append_to_file($keys, $old_keys);

# A retry is recognised after it; another record with the same id is not
# taken for one.
is($record->('u-1'), 'duplicate', 'a retry after a rotation is a duplicate');
is($record->('u-2'), 'conflict', 'another end user is a conflict');
is($node->safe_psql('audit', "SELECT count(*), min(end_user_id) ~ '^test:' FROM llm_audit.llm_call WHERE request_id = 'retry-1'"),
	'1|t', 'stored once, under the old key');
is($node->safe_psql('audit', "SELECT count(*) FROM llm_audit.match_token WHERE request_id = 'retry-1'"),
	'1', 'and its token, for a retry adds none');
my $both = $node->safe_psql('audit', "SELECT unnest(llm_audit.pseudonym('somebody', 'actor_id'))");
like($both, qr/^newer:.{32}\n\Q$old\E$/, 'a new key first, the old one still there');
chmod(0644, $keys);
my ($status, $out, $err) =
  $node->psql('audit', "SELECT llm_audit.pseudonym('somebody', 'actor_id')");
like($err, qr/cannot be used/, 'a key file that others can read is refused');
chmod(0600, $keys);

# A private key in an OpenSSL store, here a PEM file, serves as well.
my $pem = $node->basedir . '/audit.pem';
for my $type ([ 'ED25519' ], [ 'X25519' ], [ 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048' ])
{
	my ($algorithm, @options) = @$type;
	unlink($pem);
	system_or_bail('openssl', 'genpkey', '-algorithm', $algorithm, @options, '-out', $pem);
	chmod(0600, $pem);
	my $lines = slurp_file($keys);
	$lines =~ s/^stored-?\w* .*\n//mg;
	unlink($keys);
	umask(077);
	append_to_file($keys, "stored-$algorithm file:$pem\n$lines");
	my $one = $node->safe_psql('audit', "SELECT (llm_audit.pseudonym('somebody', 'actor_id'))[1]");
	like($one, qr/^stored-$algorithm:.{32}$/, "$algorithm: a pseudonym");
	is($node->safe_psql('audit', "SELECT (llm_audit.pseudonym('somebody', 'actor_id'))[1]"), $one, "$algorithm: the same again");
	is($node->safe_psql('audit', "SELECT '$old' = ANY (llm_audit.pseudonym('somebody', 'actor_id'))"), 't',
		"$algorithm: the older keys stay");
}
chmod(0644, $pem);
append_to_file($keys, "\n");
my ($refused, $nothing, $message) = $node->psql('audit', "SELECT llm_audit.key_ids()");
like($message, qr/cannot be used.*Others may read or write the file of a URI/s, 'a PEM file that others can read is refused');
chmod(0600, $pem);
unlink($pem);
append_to_file($keys, "\n");
($refused, $nothing, $message) = $node->psql('audit', 'INSERT INTO llm_audit.llm_call (' . call_columns() . ') SELECT ' . call_values("'lost'"));
like($message, qr/cannot be used.*OpenSSL finds no private key/s, 'a key that is gone fails the insert');
like(($node->psql('audit', 'SELECT count(*) FROM llm_audit.llm_call'))[2], qr/cannot be used/,
	'and every read, whose record could not be made');
make_keys($keys, 'mended');
is($node->safe_psql('audit', "SELECT count(*) FROM llm_audit.llm_call WHERE request_id = 'lost'"), '0', 'nothing is stored');

check_verify($node, 'audit', 'masked rows');
$node->stop;

# files_with(TEXT): files of the cluster, its WAL and its log that hold it
sub files_with
{
	my ($text) = @_;
	my @found;
	find(
		{
			no_chdir => 1,
			wanted => sub {
				return unless -f $_;
				open(my $file, '<:raw', $_) or die "$_: $!";
				local $/ = undef;
				my $data = <$file>;
				push @found, $_ if index($data, $text) >= 0;
			}
		},
		$node->data_dir, $node->logfile);
	return @found;
}

my @marked = files_with($kept);
ok((grep { m{/base/} } @marked), 'the search finds what is in a table');
ok((grep { m{/pg_wal/} } @marked), 'and in WAL');
ok((grep { $_ eq $node->logfile } files_with('is refused by its field policy')), 'and in the log');
is(join(' ', files_with($_)), '', "$_ is nowhere") for @secrets;

done_testing();
