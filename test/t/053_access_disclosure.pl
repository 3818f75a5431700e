# Disclosure of text that is stored encrypted, and four eyes where one person
# has several roles: sessions are told apart by how they were authenticated.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use LlmAccess;
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $directory = PostgreSQL::Test::Utils::tempdir() . '/keys';
mkdir($directory, 0700) or die "$directory: $!";
my $node = make_node('node', 'llm_audit.key_directory' => $directory,
	password_encryption => 'scram-sha-256', 'llm_audit.access_timeout' => '2s');
$node->start;
make_database($node, 'audit');
await_writer($node, 'audit');

# ---------------- roles, calls, authentication ----------------

my @same = qw(ann ann_approver carl carl_too);
my @others = qw(ned bob eve);
my $roles = join '; ', map { "CREATE ROLE $_ LOGIN PASSWORD 'pw'" } @same, @others;
$node->safe_psql('audit', qq{
	$roles;
	GRANT llm_audit_developer TO ann, ned, eve;
	GRANT llm_audit_approver TO ann_approver, carl, carl_too, bob;
	SELECT llm_audit.set_scope(r, '{bank-a}', '{prod}') FROM unnest('{ann,ann_approver,carl,carl_too,ned,bob,eve}'::regrole[]) AS r;
	SELECT llm_audit.set_content_recording('*', '*', true, 'test');
	SELECT llm_audit.set_field_policy('llm_audit.llm_content', 'body', 'mask', encrypt => true);
	} . q{
	SELECT count(*) FROM llm_audit.record_calls('
{"request_id": "plain", "content": [{"kind": "prompt", "body": "the plain words"}]}
{"request_id": "other", "content": [{"kind": "prompt", "body": "the other words"}]}
{"request_id": "personal", "content": [{"kind": "prompt", "body": "the personal words", "data_class": "personal"}]}',
	'{"environment": "prod", "organization_id": "bank-a", "service_name": "chat", "actor_id": "svc", "actor_type": "service",
	"operation_name": "chat", "provider_name": "openai", "request_model": "m", "status": "ok", "occurred_at": "2026-05-05T10:00:00Z"}')});
is($node->safe_psql('audit', 'SELECT count(*), count(body), count(body_encrypted) FROM llm_audit.llm_content'),
	'3|0|3', 'text is stored encrypted only');

# The sessions of @same are authenticated as one person, the user who runs this
# test; those of @others each by a password of their own.
my $me = getpwuid($<);
sub set_authentication
{
	my ($others) = @_;
	unlink($node->data_dir . '/pg_hba.conf', $node->data_dir . '/pg_ident.conf');
	$node->append_conf('pg_hba.conf', "local audit $others scram-sha-256\nlocal audit all peer map=people\nlocal all all trust\n");
	$node->append_conf('pg_ident.conf', join '', map { "people $me $_\n" } $me, @same, @others);
	$node->reload;
	return;
}
set_authentication(join ',', @others);
$ENV{PGPASSWORD} = 'pw';
for my $try (1 .. 100)
{
	my ($status, $out) = run_as($node, 'audit', 'ann', 'SELECT llm_audit.authentication_id() IS NOT NULL');
	last if $status == 0 && $out eq 't';
	select(undef, undef, undef, 0.1);
}
for my $who (@same)
{
	my ($status, $out, $err) = run_as($node, 'audit', $who, 'SELECT session_user, llm_audit.authentication_id()');
	is($out, "$who|peer:$me", "$who is authenticated as the one who runs this test") or diag $err;
}
for my $who (@others)
{
	my ($status, $out, $err) = run_as($node, 'audit', $who, 'SELECT session_user, llm_audit.authentication_id()');
	is($out, "$who|scram-sha-256:$who", "$who is authenticated as such") or diag $err;
}

sub asks
{
	my ($who, $request, $duration) = @_;
	my ($status, $out, $err) = run_as($node, 'audit', $who,
		"SELECT llm_audit.request_disclosure('test', 'T-1', '{\"request_ids\": [\"$request\"]}', '$duration')");
	is($status, 0, "$who asks for $request") or diag $err;
	return $out;
}

sub approves
{
	my ($who, $id) = @_;
	my ($status, $out, $err) = run_as($node, 'audit', $who, "SELECT llm_audit.approve_disclosure('$id')");
	is($status, 0, "$who approves") or diag $err;
	return;
}

sub may_not_approve
{
	my ($who, $id, $pattern, $name) = @_;
	my ($status, $out, $err) = run_as($node, 'audit', $who, "\\set VERBOSITY verbose\nSELECT llm_audit.approve_disclosure('$id')");
	like($err, qr/42501: $pattern/, $name);
	is($node->safe_psql('audit', "SELECT count(*) FROM llm_audit.disclosure_decision d WHERE disclosure_id = '$id' AND decided_by = '$who'"),
		'0', "$name: no decision is kept");
	return;
}

my $text = 'SELECT request_id, body FROM llm_audit.disclosed_content;';
my $with_reason = "BEGIN;\nSET LOCAL llm_audit.reason = 'test';\n";
sub reads { return $with_reason . $text; }

# ---------------- four eyes by authentication ----------------

my $own = asks('ann', 'plain', '1 hour');
may_not_approve('ann_approver', $own, 'nobody approves a disclosure that they asked for', 'another role of the one who asked');
my ($status, $out, $err) = run_as($node, 'audit', 'ann_approver', "SET ROLE llm_audit_approver; SELECT llm_audit.approve_disclosure('$own')");
like($err, qr/nobody approves a disclosure that they asked for/, 'nor after SET ROLE');
refused_is($node, 'audit', reads(), qr/has not been approved yet/, 'it stays unapproved', 'ann');
approves('bob', $own);

my $personal = asks('ned', 'personal', '1 hour');
approves('carl', $personal);
refused_is($node, 'audit', reads(), qr/waits for a second approver/, 'one approval is not enough', 'ned');
may_not_approve('carl_too', $personal, 'the second approver must be somebody else', 'the first approver by another role');
refused_is($node, 'audit', reads(), qr/waits for a second approver/, 'it waits still', 'ned');
approves('bob', $personal);
is($node->safe_psql('audit', "SELECT string_agg(decided_by || ' ' || authentication_id, ', ' ORDER BY n) FROM llm_audit.disclosure_decision WHERE disclosure_id = '$personal'"),
	"carl peer:$me, bob scram-sha-256:bob", 'decisions are kept with their identities');

# ---------------- encrypted text ----------------

my ($rows, $tag) = read_is($node, 'audit', $text, 1, 'an approved disclosure opens encrypted text', 'ann');
is($rows, 'plain|the plain words', 'exactly the text that was asked for');
is(log_of($node, 'audit', $tag, q{event || ' ' || coalesce(disclosure_ids::text, '-')}) =~ s/,outcome.*//r,
	"read {$own}", 'the read is recorded with the grant');
is($node->safe_psql('audit', "SELECT string_agg(r.request_id, ',') FROM llm_audit.access_record r JOIN llm_audit.access_log l ON l.id = r.statement_id WHERE l.application_name = '$tag'"),
	'plain', 'so is the fragment');
($rows, $tag) = read_is($node, 'audit', q{SELECT c.request_id, d.body FROM llm_audit.developer_calls c
	LEFT JOIN LATERAL (SELECT x.body FROM llm_audit.disclosed_content x WHERE x.call_id = c.id OFFSET 0) d ON true
	WHERE c.request_id = 'plain';}, 2, 'a statement that comes to text after it was recorded', 'ann');
is($rows, 'plain|the plain words', 'and reads it');
like(log_of($node, 'audit', $tag, q{event || ' ' || coalesce(disclosure_ids::text, '-')}), qr/^read -,read \{$own\}/,
	'is recorded anew, with the grant');
($rows) = read_is($node, 'audit', $text, 1, 'a second approval opens personal text', 'ned');
is($rows, 'personal|the personal words', 'that and no more');

# Recorded before: while it cannot be recorded, nothing is decrypted.
$node->safe_psql('audit', "SELECT llm_audit.pause_workers('1 minute')");
refused_is($node, 'audit', reads(), qr/access writer of database "audit" is paused/, 'no record, no text', 'ann');
$node->safe_psql('audit', "SELECT llm_audit.pause_workers('0')");
await_writer($node, 'audit');
read_is($node, 'audit', $text, 1, 'afterwards it is read again', 'ann');

# The function behind the view, with the stored bytes at hand.
my %call = map { my ($request, $sql) = split /=/, $_, 2; ($request => $sql) } split /\n/, $node->safe_psql('audit', q{
	SELECT request_id || '=' || format('SELECT llm_audit.disclosed_text(%L, %L, %L, %L)', tableoid::regclass, id, call_id, body_encrypted)
		FROM llm_audit.llm_content});
my $not_yours = qr/no disclosure of this text was granted to you/;
refused_is($node, 'audit', $call{plain}, $not_yours, 'a foreign grant decrypts nothing', 'ned');
refused_is($node, 'audit', $call{other}, $not_yours, 'nor does a grant for another call', 'ann');
refused_is($node, 'audit', $call{plain}, $not_yours, 'nor an approver\'s role', 'bob');
refused_is($node, 'audit', $call{plain}, $not_yours, 'nor no grant at all', 'eve');
refused_is($node, 'audit', $call{plain} =~ s/disclosed_text\(('[^']*'), /decrypt_value($1, 'body', /r =~ s/(body', '[^']*'), '[^']*'/$1/r,
	qr/permission denied/, 'nobody decrypts by hand', 'ann');
refused_is($node, 'audit', reads(), qr/no disclosure was granted to you/, 'the view shows nothing without a grant', 'eve');
refused_is($node, 'audit', "SET SESSION AUTHORIZATION ann;\n" . reads(), qr/permission denied/, 'a session stays who it is', 'eve');
my $as_ann = "SET SESSION AUTHORIZATION ann;\n" . reads();
($status, $out, $err) = run_as($node, 'audit', $me, $as_ann);
is($status . $out, '0plain|the plain words', 'a superuser of the same identity may stand in for ann, which is recorded');

# The same login, authenticated as somebody else.
set_authentication('bob,eve');
$node->poll_query_until('audit', q{SELECT count(*) = 0 FROM pg_hba_file_rules WHERE 'ned' = ANY (user_name)});
for my $try (1 .. 100)
{
	($status, $out) = run_as($node, 'audit', 'ned', 'SELECT llm_audit.authentication_id()');
	last if $out eq "peer:$me";
	select(undef, undef, undef, 0.1);
}
refused_is($node, 'audit', reads(), qr/was granted to another identity/, 'a grant is for the identity that asked', 'ned');
refused_is($node, 'audit', $call{personal}, $not_yours, 'and so is the text', 'ned');

# Revoked, and ended by the clock.
($status, $out, $err) = run_as($node, 'audit', 'bob', "SELECT llm_audit.revoke_disclosure('$own', 'enough')");
is($status, 0, 'an approver revokes') or diag $err;
refused_is($node, 'audit', reads(), qr/the disclosure was revoked/, 'a revoked grant shows nothing', 'ann');
refused_is($node, 'audit', $call{plain}, $not_yours, 'nor does it decrypt', 'ann');
my $short = asks('ann', 'other', '3 seconds');
approves('bob', $short);
($rows) = read_is($node, 'audit', $text, 1, 'a short grant', 'ann');
is($rows, 'other|the other words', 'shows its text');
$node->poll_query_until('audit', "SELECT clock_timestamp() > expires_at FROM llm_audit.disclosure WHERE id = '$short'");
refused_is($node, 'audit', reads(), qr/the disclosure has expired/, 'and nothing when it has ended', 'ann');
refused_is($node, 'audit', $call{other}, $not_yours, 'nor does it decrypt', 'ann');
# ---------------- what was refused is on record ----------------

# posted without waiting, and kept although every one of them was rolled back
my $refused = q{SELECT count(*) FROM llm_audit.access_log
	WHERE event = 'refused' AND login = '%s' AND refusal LIKE '%s'};
for my $refusal ([ 'ann_approver', 'nobody approves%' ], [ 'ned', '%waits for a second approver' ],
	[ 'eve', 'no disclosure was granted to you' ], [ 'ned', '%another identity' ],
	[ 'ann', 'the disclosure has expired' ], [ 'bob', 'no disclosure of this text%' ])
{
	ok($node->poll_query_until('audit', 'SELECT (' . sprintf($refused, @$refusal) . ') > 0'),
		"on record: $refusal->[0], $refusal->[1]");
}
refused_is($node, 'audit', "DO \$\$ BEGIN PERFORM llm_audit.find_calls(customer => 'c-1'); EXCEPTION WHEN OTHERS THEN END \$\$;"
	  . " SELECT llm_audit.find_calls(customer => 'c-1')", qr/a reason is needed/, 'a search without a reason', 'eve');
ok($node->poll_query_until('audit', 'SELECT (' . sprintf($refused, 'eve', 'a reason is needed to search%') . ') = 2'),
	'both tries are on record, the one that was caught too');
refused_is($node, 'audit', "SELECT llm_audit.refuse('llm_audit.llm_call', 'x', 'y', 'z')", qr/permission denied for function/,
	'refusals cannot be forged', 'eve');

$node->stop;
done_testing();
