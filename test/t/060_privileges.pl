# The privilege matrix in the docs is the catalogs'; functions that run with
# rights of their own cannot be led astray; views and policies survive a dump.
use strict;
use warnings;
use Cwd 'abs_path';
use File::Basename;
use FindBin;
use lib "$FindBin::RealBin/../perl";
use LlmAudit;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = dirname(dirname(abs_path($FindBin::RealBin)));
$top = dirname(abs_path($FindBin::RealBin))
  if !-e "$top/test/checks/privileges";
my $node = make_node('privileges',
	'llm_audit.databases' => 'postgres, restored');
$node->start;
# What default privileges give away is not for llm_audit's objects: the matrix
# and verify below would show it.
$node->safe_psql(
	'postgres', q{
	CREATE ROLE readonly LOGIN;
	CREATE ROLE readall LOGIN IN ROLE pg_read_all_data;
	ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO readonly;
	ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO readonly;
	ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO readonly});
$node->safe_psql('postgres',
	'CREATE EXTENSION llm_audit; SELECT count(*) FROM llm_audit.setup()');

# ---- the matrix ----
{
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	local $ENV{PGDATABASE} = 'postgres';
	my ($stdout, $stderr);
	my $same = IPC::Run::run([ 'sh', "$top/test/checks/privileges" ],
		'>', \$stdout, '2>', \$stderr);
	ok($same, 'docs/privileges.md says what the catalogs say')
	  or diag("$stdout$stderr");
}

# ---- leaves ----
# Nobody reads beside the policies of a ledger's root what these hide.
$node->safe_psql(
	'postgres', insert_calls(3, 'leaf', 'test') . q{;
	CREATE TABLE enrolled (environment text NOT NULL, n int) PARTITION BY LIST (environment);
	SELECT llm_audit.create_ledger('enrolled');
	INSERT INTO enrolled VALUES ('prod', 1);
	SELECT llm_audit.add_environment('stage')});
my $leaf = current_leaf($node, 'postgres', 'test');
for my $table ('llm_audit.llm_call', 'llm_audit.llm_call_test', $leaf)
{
	is( $node->safe_psql(
			'postgres', "SELECT count(*) FROM $table",
			extra_params => [ '-U', 'readall' ]),
		'0',
		"who may read all tables sees no row of " . ($table eq $leaf ? 'a leaf' : $table));
}
is( $node->safe_psql(
		'postgres', q{
	SELECT c.oid::regclass FROM pg_class c
	JOIN pg_partition_ancestors(c.oid) a ON a <> c.oid
	JOIN llm_audit.ledger l ON l.relation_name = (SELECT relname FROM pg_class WHERE oid = a)
	WHERE c.relkind IN ('r', 'p') AND NOT (c.relrowsecurity AND c.relforcerowsecurity)}),
	'',
	'every branch and leaf has row security, those of a new environment too');
is( $node->safe_psql(
		'postgres', q{
	SELECT c.oid::regclass::text FROM pg_class c
	WHERE c.relnamespace = 'llm_audit'::regnamespace AND c.relkind IN ('r', 'p', 'v')
		AND has_table_privilege('readonly', c.oid, 'SELECT')
		AND NOT has_table_privilege('public', c.oid, 'SELECT')
	UNION ALL
	SELECT p.oid::regprocedure::text FROM pg_proc p
	WHERE p.pronamespace = 'llm_audit'::regnamespace
		AND has_function_privilege('readonly', p.oid, 'EXECUTE')
		AND NOT has_function_privilege('public', p.oid, 'EXECUTE')
	UNION ALL
	SELECT 'schema' WHERE has_schema_privilege('readonly', 'llm_audit', 'CREATE')}),
	'',
	'default privileges give nothing of llm_audit to anybody');
is($node->safe_psql('postgres', 'SELECT finding, detail FROM llm_audit.verify()'),
	'', 'verify finds nothing');
$node->safe_psql('postgres',
	"SET allow_system_table_mods = on;
	UPDATE pg_class SET relrowsecurity = false WHERE oid = '$leaf'::regclass;
	GRANT SELECT ON $leaf TO readonly; GRANT INSERT ON $leaf TO llm_audit_writer");
is( $node->safe_psql(
		'postgres', 'SELECT detail FROM llm_audit.verify() ORDER BY detail'),
	"INSERT on $leaf is granted to llm_audit_writer beside its ledger\n"
	  . "SELECT on $leaf is granted to readonly\n"
	  . "row security of $leaf is not enabled and forced",
	'verify finds a leaf without row security, and a grant on one');
$node->safe_psql('postgres',
	"SET allow_system_table_mods = on;
	UPDATE pg_class SET relrowsecurity = true WHERE oid = '$leaf'::regclass;
	REVOKE ALL ON $leaf FROM readonly, llm_audit_writer");

# ---- functions with rights of their own ----
is( $node->safe_psql(
		'postgres', q{
	SELECT p.oid::regprocedure FROM pg_proc p
	WHERE p.pronamespace = 'llm_audit'::regnamespace AND p.prosecdef
		AND (p.proconfig IS NULL OR NOT 'search_path=pg_catalog, pg_temp' = ANY (p.proconfig))}),
	'',
	'every SECURITY DEFINER function has a fixed search_path');
is( $node->safe_psql(
		'postgres', q{
	SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
	WHERE p.pronamespace = 'llm_audit'::regnamespace AND p.prosecdef AND r.rolsuper
		AND p.proname NOT LIKE 'readiness%'
		AND p.proname NOT IN ('on_ddl_end', 'register_columns', 'set_field_policy', 'set_action_type', 'record_configuration',
			'add_mask_rule', 'drop_mask_rule', 'create_dictionary', 'drop_dictionary',
			'add_dictionary_terms', 'remove_dictionary_terms',
			'erase_subject', 'subject_report', 'erasure_report', 'cost_report',
			'masking_in_force', 'archive_report', 'set_retention', 'set_summary_period', 'retention_report', 'place_hold', 'release_hold', 'close_incident',
			'hold_report', 'ended_segments', 'purge', 'record_failed_purge', 'purged_segment', 'destroy_purged_keys', 'destroy_keys_left',
			'drop_purged_segment')}),
	'',
	'none runs as a superuser but readiness(), what administers columns and masking, and what erases, holds, purges and reports');
is( $node->safe_psql(
		'postgres', q{
	SELECT p.oid::regprocedure FROM pg_proc p
	WHERE p.pronamespace = 'llm_audit'::regnamespace AND p.prosecdef
		AND has_function_privilege('public', p.oid, 'EXECUTE')
		AND p.proname NOT IN ('live_disclosures', 'require_disclosure', 'disclosed_text')}),
	'',
	'none is for everybody but those that a view asks who may read');
is( $node->safe_psql(
		'postgres', q{
	SELECT rolname FROM pg_roles WHERE rolname LIKE 'llm\_audit\_%'
		AND (rolsuper OR rolcanlogin OR rolcreaterole OR rolcreatedb OR rolreplication
			OR rolbypassrls AND rolname <> 'llm_audit_copier')}),
	'',
	'no role has a power of its own but the copier');

# What a caller can put in the way: functions, operators, casts and tables of
# the same names, in a schema in front and among temporary objects.
$node->safe_psql(
	'postgres', q{
	CREATE ROLE eve LOGIN;
	GRANT llm_audit_security, llm_audit_approver, llm_audit_admin, llm_audit_compliance,
		llm_audit_auditor, llm_audit_oncall TO eve;
	SELECT llm_audit.set_scope('eve', '{*}', '{*}');
	CREATE SCHEMA evil AUTHORIZATION eve;
	CREATE TABLE evil.caught (who name, what text);
	GRANT INSERT ON evil.caught TO PUBLIC;
	GRANT USAGE ON SCHEMA evil TO PUBLIC});
my $traps = q{
	SET search_path = evil, pg_catalog, public;
};
my @trapped = (
	[ 'btrim(text)', 'text', 'pg_catalog.btrim($1)' ],
	[ 'lower(text)', 'text', 'pg_catalog.lower($1)' ],
	[ 'now()', 'timestamptz', 'pg_catalog.now()' ],
	[ 'clock_timestamp()', 'timestamptz', 'pg_catalog.clock_timestamp()' ],
	[ 'current_setting(text)', 'text', 'pg_catalog.current_setting($1)' ],
	[ 'to_regclass(text)', 'regclass', 'pg_catalog.to_regclass($1)' ],
	[ 'array_ndims(anyarray)', 'int', 'pg_catalog.array_ndims($1)' ],
	[ 'jsonb_typeof(jsonb)', 'text', 'pg_catalog.jsonb_typeof($1)' ],
	[ 'websearch_to_tsquery(regconfig, text)', 'tsquery',
		'pg_catalog.websearch_to_tsquery($1, $2)' ],
	[ 'format(text, text)', 'text', 'pg_catalog.format($1, $2)' ],
	[ 'isfinite(timestamptz)', 'boolean', 'pg_catalog.isfinite($1)' ]);
for my $schema ('evil', 'pg_temp')
{
	for my $trap (@trapped)
	{
		my ($signature, $result, $body) = @$trap;
		$traps .= qq{
			CREATE FUNCTION $schema.$signature RETURNS $result LANGUAGE plpgsql AS
			\$\$ BEGIN INSERT INTO evil.caught VALUES (current_user, '$signature');
			RETURN $body; END \$\$;};
	}
	$traps .= qq{
		CREATE FUNCTION $schema.text_same(text, text) RETURNS boolean LANGUAGE plpgsql AS
		\$\$ BEGIN INSERT INTO evil.caught VALUES (current_user, '='); RETURN true; END \$\$;
		CREATE OPERATOR $schema.= (FUNCTION = $schema.text_same, LEFTARG = text, RIGHTARG = text);
		CREATE OPERATOR $schema.<> (FUNCTION = $schema.text_same, LEFTARG = text, RIGHTARG = text);
	} if $schema eq 'evil';
}
$traps .= q{
	CREATE TEMP TABLE pg_roles AS SELECT * FROM pg_catalog.pg_roles;
	CREATE TEMP TABLE pg_class AS SELECT * FROM pg_catalog.pg_class;
	CREATE TEMP TABLE disclosure (id uuid);
	CREATE TEMP TABLE role_scope (role_name name);
};

# As eve: calls everything that she may, with nulls and with something in it.
my $calls = q{
	DO $do$
	DECLARE
		f record;
		tried int := 0;
	BEGIN
		PERFORM pg_catalog.set_config('llm_audit.reason', 'an attack', true);
		FOR f IN SELECT p.oid::pg_catalog.regprocedure AS name,
				pg_catalog.array_to_string(ARRAY(SELECT 'NULL::' || pg_catalog.format_type(t, NULL)
					FROM pg_catalog.unnest(p.proargtypes) AS t), ', ') AS nulls,
				pg_catalog.array_to_string(ARRAY(SELECT CASE pg_catalog.format_type(t, NULL)
						WHEN 'text' THEN '''x''' WHEN 'interval' THEN '''1 hour'''
						WHEN 'jsonb' THEN '''{"request_ids": ["x"]}''' WHEN 'text[]' THEN '''{x}'''
						WHEN 'integer' THEN '10' WHEN 'boolean' THEN 'true' WHEN 'name' THEN '''x'''
						WHEN 'uuid' THEN '''00000000-0000-0000-0000-000000000000'''
						WHEN 'regrole' THEN '''llm_audit_member''' WHEN 'regclass' THEN '''llm_audit.llm_call'''
						WHEN 'daterange' THEN '''[2026-01-01,2026-02-01)'''
						WHEN 'timestamp with time zone' THEN 'pg_catalog.now()' ELSE 'NULL' END
						|| '::' || pg_catalog.format_type(t, NULL)
					FROM pg_catalog.unnest(p.proargtypes) AS t), ', ') AS some
			FROM pg_catalog.pg_proc p
			WHERE p.pronamespace OPERATOR(pg_catalog.=) 'llm_audit'::pg_catalog.regnamespace AND p.prosecdef
				AND pg_catalog.has_function_privilege('eve', p.oid, 'EXECUTE')
		LOOP
			BEGIN
				EXECUTE pg_catalog.format('SELECT * FROM %s(%s)', f.name::pg_catalog.regproc, f.nulls);
			EXCEPTION WHEN OTHERS THEN NULL;
			END;
			BEGIN
				EXECUTE pg_catalog.format('SELECT * FROM %s(%s)', f.name::pg_catalog.regproc, f.some);
			EXCEPTION WHEN OTHERS THEN NULL;
			END;
			tried := tried OPERATOR(pg_catalog.+) 1;
		END LOOP;
		RAISE NOTICE 'tried % functions', tried;
	END
	$do$;
	SELECT * FROM llm_audit.find_calls('x');
};
my ($status, $stdout, $stderr);
$node->psql(
	'postgres', $traps . $calls,
	stdout => \$stdout,
	stderr => \$stderr,
	extra_params => [ '-U', 'eve' ]);
like($stderr, qr/tried (?:2\d|[3-9]\d) functions/,
	'the functions were tried behind traps');
unlike($stderr, qr/ERROR/, 'and the traps were set');
is( $node->safe_psql(
		'postgres',
		q{SELECT DISTINCT who, what FROM evil.caught WHERE who <> 'eve'}),
	'',
	'no trap was run with rights of llm_audit');
# The trap works: a function without a fixed search_path would be caught.
$node->safe_psql(
	'postgres', q{
	CREATE FUNCTION evil.careless() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS
		$$ BEGIN RETURN btrim('x'::text); END $$;
	ALTER FUNCTION evil.careless() OWNER TO CURRENT_USER;
	GRANT EXECUTE ON FUNCTION evil.careless() TO eve});
$node->psql('postgres',
	'SET search_path = evil, pg_catalog; SELECT evil.careless()',
	extra_params => [ '-U', 'eve' ]);
isnt( $node->safe_psql(
		'postgres',
		q{SELECT count(*) FROM evil.caught WHERE who <> 'eve'}),
	'0',
	'the trap catches what is careless');

# ---- dump and restore ----
$node->safe_psql(
	'postgres', q{
	DROP SCHEMA evil CASCADE;
	CREATE ROLE bank_a LOGIN IN ROLE llm_audit_oncall;
	SELECT llm_audit.set_scope('bank_a', '{bank}', '{prod}')});
$node->safe_psql('postgres', insert_calls(3, 'r'));
my $dump = $node->basedir . '/dump';
$node->command_ok(
	[
		'pg_dump', '-h', $node->host, '-p', $node->port, '-Fc', '-f', $dump,
		'postgres'
	],
	'dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
{
	local $ENV{PGOPTIONS} = '-c llm_audit.restore=on';
	$node->command_ok(
		[
			'pg_restore', '-h', $node->host, '-p', $node->port, '-d',
			'restored', '--exit-on-error', $dump
		],
		'restore');
}
is( $node->safe_psql('restored', 'SELECT finding, detail FROM llm_audit.verify()'),
	'',
	'verify finds nothing: views, policies and grants are as they were');
is($node->safe_psql('restored', 'SELECT * FROM llm_audit.setup()'),
	'', 'setup() has nothing to do');
is( $node->safe_psql(
		'restored', 'SELECT count(*) FROM llm_audit.oncall_calls',
		extra_params => [ '-U', 'bank_a' ]),
	'3',
	'the reader of a bank reads on');
is( $node->safe_psql(
		'restored', q{SELECT count(*) FROM llm_audit.role_scope WHERE role_name = 'bank_a'}),
	'1', 'scopes are in the dump');

$node->stop;
done_testing();
