-- The registry: which tables are ledgers, their columns and segments.  The
-- trigger reads it by direct scans, cached per backend; any change to a row
-- invalidates all caches through the trigger at the end of this file.
--
-- Relations are kept by name, not by OID: names survive dump and restore and
-- can be replicated, and renaming a ledger is refused.

CREATE TABLE llm_audit.environment (
	name text PRIMARY KEY
		CHECK (name ~ '^[a-z][a-z0-9_]{0,20}$'),
	added_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	summary_period interval CHECK (summary_period > interval '0')
);
COMMENT ON TABLE llm_audit.environment IS
	'environments, each with a log of its own in every partitioned ledger';
COMMENT ON COLUMN llm_audit.environment.name IS
	'value of the environment column, e.g. prod, pilot, test';
COMMENT ON COLUMN llm_audit.environment.added_at IS 'when it was added';
COMMENT ON COLUMN llm_audit.environment.summary_period IS
	'how long usage_summary keeps a day; NULL: for ever; set_summary_period() writes it';

CREATE TABLE llm_audit.ledger (
	ledger_id uuid PRIMARY KEY,
	schema_name name NOT NULL,
	relation_name name NOT NULL,
	role text NOT NULL DEFAULT 'plain',
	builtin boolean NOT NULL DEFAULT false,
	partitioned boolean NOT NULL,
	segment_width interval NOT NULL,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	created_by name NOT NULL DEFAULT session_user,
	UNIQUE (schema_name, relation_name)
);
COMMENT ON TABLE llm_audit.ledger IS 'tables that are ledgers';
COMMENT ON COLUMN llm_audit.ledger.ledger_id IS
	'random identity of the ledger, part of every row''s preimage';
COMMENT ON COLUMN llm_audit.ledger.schema_name IS 'schema of the ledger';
COMMENT ON COLUMN llm_audit.ledger.relation_name IS 'name of the ledger';
COMMENT ON COLUMN llm_audit.ledger.role IS
	'plain, or the built-in ledger whose rules the trigger applies';
COMMENT ON COLUMN llm_audit.ledger.builtin IS 'made by setup()';
COMMENT ON COLUMN llm_audit.ledger.partitioned IS
	'false: one segment, the table itself';
COMMENT ON COLUMN llm_audit.ledger.segment_width IS
	'width of a segment where the environment has none of its own';
COMMENT ON COLUMN llm_audit.ledger.created_at IS 'when it became a ledger';
COMMENT ON COLUMN llm_audit.ledger.created_by IS 'session user who made it one';

CREATE TABLE llm_audit.ledger_environment (
	ledger_id uuid NOT NULL,
	environment text NOT NULL,
	segment_width interval NOT NULL,
	PRIMARY KEY (ledger_id, environment)
);
COMMENT ON TABLE llm_audit.ledger_environment IS
	'segment widths that differ from the ledger''s own';
COMMENT ON COLUMN llm_audit.ledger_environment.ledger_id IS 'the ledger';
COMMENT ON COLUMN llm_audit.ledger_environment.environment IS 'the environment';
COMMENT ON COLUMN llm_audit.ledger_environment.segment_width IS
	'width of segments made from now on';

CREATE TABLE llm_audit.ledger_column (
	ledger_id uuid NOT NULL,
	column_number int NOT NULL CHECK (column_number BETWEEN 1 AND 65535),
	column_name name NOT NULL,
	type_oid oid NOT NULL,
	erasable boolean NOT NULL DEFAULT false,
	added_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	PRIMARY KEY (ledger_id, column_number),
	UNIQUE (ledger_id, column_name)
);
COMMENT ON TABLE llm_audit.ledger_column IS
	'hashed columns of each ledger; numbers are never reused';
COMMENT ON COLUMN llm_audit.ledger_column.ledger_id IS 'the ledger';
COMMENT ON COLUMN llm_audit.ledger_column.column_number IS
	'number of the column in preimages';
COMMENT ON COLUMN llm_audit.ledger_column.column_name IS 'the column';
COMMENT ON COLUMN llm_audit.ledger_column.type_oid IS
	'built-in base type that enters the preimage';
COMMENT ON COLUMN llm_audit.ledger_column.erasable IS
	'rows inserted from now on commit to the value instead of hashing it plain';
COMMENT ON COLUMN llm_audit.ledger_column.added_at IS 'when it was registered';

CREATE TABLE llm_audit.ledger_segment (
	ledger_id uuid NOT NULL,
	segment int NOT NULL CHECK (segment >= 1),
	schema_name name NOT NULL,
	relation_name name NOT NULL,
	environment text NOT NULL,
	lower timestamptz NOT NULL,
	upper timestamptz NOT NULL,
	is_default boolean NOT NULL DEFAULT false,
	state text NOT NULL DEFAULT 'open'
		CHECK (state IN ('open', 'closed', 'purged')),
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	closed_at timestamptz,
	PRIMARY KEY (ledger_id, segment),
	UNIQUE (schema_name, relation_name)
);
COMMENT ON TABLE llm_audit.ledger_segment IS
	'segments of each ledger, numbered without gaps';
COMMENT ON COLUMN llm_audit.ledger_segment.ledger_id IS 'the ledger';
COMMENT ON COLUMN llm_audit.ledger_segment.segment IS
	'number of the segment, part of every row''s preimage';
COMMENT ON COLUMN llm_audit.ledger_segment.schema_name IS 'schema of the leaf';
COMMENT ON COLUMN llm_audit.ledger_segment.relation_name IS 'name of the leaf';
COMMENT ON COLUMN llm_audit.ledger_segment.environment IS
	'environment whose rows it holds; empty for an unpartitioned ledger';
COMMENT ON COLUMN llm_audit.ledger_segment.lower IS
	'first recorded_at, inclusive; -infinity: unbounded';
COMMENT ON COLUMN llm_audit.ledger_segment.upper IS
	'last recorded_at, exclusive; infinity: unbounded';
COMMENT ON COLUMN llm_audit.ledger_segment.is_default IS
	'holds what no other segment covers';
COMMENT ON COLUMN llm_audit.ledger_segment.state IS
	'open: takes rows; closed: ended and summed up in segment_event; purged: its rows have expired and gone';
COMMENT ON COLUMN llm_audit.ledger_segment.created_at IS 'when it was made';
COMMENT ON COLUMN llm_audit.ledger_segment.closed_at IS 'when it was closed';

CREATE TABLE llm_audit.action_type (
	action text PRIMARY KEY CHECK (action ~ '^[a-z0-9_]+\.[a-z0-9_]+$'),
	category text NOT NULL,
	high_risk boolean NOT NULL DEFAULT false,
	description text NOT NULL,
	builtin boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE llm_audit.action_type IS
	'actions that admin_event accepts, with category and risk';
COMMENT ON COLUMN llm_audit.action_type.action IS 'noun.verb in the past tense';
COMMENT ON COLUMN llm_audit.action_type.category IS
	'api_key, quota, routing, model, prompt, billing, access, data_export, authentication, authorization, data_access, configuration, incident, retention or disclosure';
COMMENT ON COLUMN llm_audit.action_type.high_risk IS
	'an event with this action needs a reason';
COMMENT ON COLUMN llm_audit.action_type.description IS 'what the action means';
COMMENT ON COLUMN llm_audit.action_type.builtin IS
	'installed by setup(), not by a DBA';

CREATE TABLE llm_audit.content_recording (
	environment text NOT NULL,
	service_name text NOT NULL,
	enabled boolean NOT NULL,
	PRIMARY KEY (environment, service_name)
);
COMMENT ON TABLE llm_audit.content_recording IS
	'where llm_content is written; no row: nowhere';
COMMENT ON COLUMN llm_audit.content_recording.environment IS
	'an environment, or * for all';
COMMENT ON COLUMN llm_audit.content_recording.service_name IS
	'a service, or * for all; the more specific row wins, service before environment';
COMMENT ON COLUMN llm_audit.content_recording.enabled IS
	'whether record_call stores fragments';

CREATE TABLE llm_audit.call_source (
	source_id text PRIMARY KEY,
	service_name text,
	entry_point text,
	owner text,
	expect_every interval,
	registered_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE llm_audit.call_source IS
	'writers that are expected to report, for gap_report()';
COMMENT ON COLUMN llm_audit.call_source.source_id IS 'the writer''s name';
COMMENT ON COLUMN llm_audit.call_source.service_name IS 'service it belongs to';
COMMENT ON COLUMN llm_audit.call_source.entry_point IS
	'where requests enter: chat, batch, agent, ...';
COMMENT ON COLUMN llm_audit.call_source.owner IS 'who answers for it';
COMMENT ON COLUMN llm_audit.call_source.expect_every IS
	'longest silence that is normal; NULL: any';
COMMENT ON COLUMN llm_audit.call_source.registered_at IS 'when it was registered';

-- Periods whose parts point in different directions would end on other days
-- counted forward from a row than counted back from now.
CREATE FUNCTION llm_audit.valid_period(period interval) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT period > interval '0' AND period <= interval '1000 years'
		AND least(extract(year FROM period), extract(month FROM period),
			extract(day FROM period), extract(hour FROM period),
			extract(minute FROM period), extract(second FROM period)) >= 0
$$;
COMMENT ON FUNCTION llm_audit.valid_period(interval) IS
	'whether something can be kept for a period: it is positive in all of its parts and at most 1000 years';
REVOKE EXECUTE ON FUNCTION llm_audit.valid_period(interval) FROM PUBLIC;

CREATE TABLE llm_audit.retention_policy (
	ledger_id uuid NOT NULL,
	environment text NOT NULL,
	data_class text NOT NULL
		CHECK (data_class IN ('*', 'public', 'internal', 'personal', 'banking_secrecy')),
	period interval CHECK (llm_audit.valid_period(period)),
	mode text NOT NULL DEFAULT 'governance'
		CHECK (mode IN ('governance', 'compliance')),
	purge_unit text NOT NULL DEFAULT 'segment'
		CHECK (purge_unit IN ('segment', 'row')),
	archive_before_purge boolean NOT NULL DEFAULT false,
	reason text,
	changed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	changed_by name NOT NULL DEFAULT session_user,
	PRIMARY KEY (ledger_id, environment, data_class)
);
COMMENT ON TABLE llm_audit.retention_policy IS
	'how long rows are kept; the most specific row counts, environment before data class, and no row less than each that is in compliance mode; change it with set_retention()';
COMMENT ON COLUMN llm_audit.retention_policy.ledger_id IS 'the ledger';
COMMENT ON COLUMN llm_audit.retention_policy.environment IS
	'an environment, or * for all';
COMMENT ON COLUMN llm_audit.retention_policy.data_class IS
	'a data class, or * for all, and for rows that have none';
COMMENT ON COLUMN llm_audit.retention_policy.period IS
	'how long a row is kept from recorded_at, stamped into retain_until; NULL: for ever';
COMMENT ON COLUMN llm_audit.retention_policy.mode IS
	'governance: can be shortened with bypass and a reason; compliance: by nobody';
COMMENT ON COLUMN llm_audit.retention_policy.purge_unit IS
	'segment: rows stay until the last one of their segment has expired; row: each goes when it has';
COMMENT ON COLUMN llm_audit.retention_policy.archive_before_purge IS
	'a segment is purged only after it was archived';
COMMENT ON COLUMN llm_audit.retention_policy.reason IS 'why it was last changed';
COMMENT ON COLUMN llm_audit.retention_policy.changed_at IS
	'when it was last changed';
COMMENT ON COLUMN llm_audit.retention_policy.changed_by IS
	'session user who changed it';

CREATE TABLE llm_audit.legal_hold (
	hold_id uuid PRIMARY KEY,
	ticket text NOT NULL CHECK (ticket ~ '\S'),
	reason text NOT NULL CHECK (reason ~ '\S'),
	scope jsonb NOT NULL,
	request_ids text[],
	actor_ids text[],
	end_user_ids text[],
	customer_keys text[],
	customer_tokens text[],
	key_ids text[],
	organization_id text,
	environment text,
	service_name text,
	ledger_id uuid,
	occurred_from timestamptz,
	occurred_to timestamptz,
	kinds text[],
	placed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	placed_by name NOT NULL DEFAULT session_user,
	until timestamptz,
	released_at timestamptz,
	released_by name,
	release_reason text CHECK (release_reason ~ '\S'),
	CHECK ((released_at IS NULL) = (released_by IS NULL)),
	CHECK ((released_at IS NULL) = (release_reason IS NULL))
);
COMMENT ON TABLE llm_audit.legal_hold IS
	'rows that are kept whatever their policy says; place_hold() and release_hold() write it';
COMMENT ON COLUMN llm_audit.legal_hold.hold_id IS 'identity of the hold';
COMMENT ON COLUMN llm_audit.legal_hold.ticket IS 'case that it serves';
COMMENT ON COLUMN llm_audit.legal_hold.reason IS 'why it was placed';
COMMENT ON COLUMN llm_audit.legal_hold.scope IS
	'what it covers, as it was asked for, persons as pseudonyms; the following columns, all that are not NULL at once';
COMMENT ON COLUMN llm_audit.legal_hold.request_ids IS 'any of these requests';
COMMENT ON COLUMN llm_audit.legal_hold.actor_ids IS
	'the actor, under every live key';
COMMENT ON COLUMN llm_audit.legal_hold.end_user_ids IS
	'the end user, under every live key';
COMMENT ON COLUMN llm_audit.legal_hold.customer_keys IS
	'the customer, as customer_key has it, under every live key';
COMMENT ON COLUMN llm_audit.legal_hold.customer_tokens IS
	'the customer, as match_token has it, under every live key';
COMMENT ON COLUMN llm_audit.legal_hold.key_ids IS
	'keys under which a person that it names was looked for: those that were live when it was placed';
COMMENT ON COLUMN llm_audit.legal_hold.organization_id IS 'the organization';
COMMENT ON COLUMN llm_audit.legal_hold.environment IS 'the environment';
COMMENT ON COLUMN llm_audit.legal_hold.service_name IS 'the service';
COMMENT ON COLUMN llm_audit.legal_hold.ledger_id IS 'the ledger; NULL: every one';
COMMENT ON COLUMN llm_audit.legal_hold.occurred_from IS
	'what occurred from then on, inclusive';
COMMENT ON COLUMN llm_audit.legal_hold.occurred_to IS
	'what occurred before then, exclusive';
COMMENT ON COLUMN llm_audit.legal_hold.kinds IS
	'of llm_content only fragments of these kinds';
COMMENT ON COLUMN llm_audit.legal_hold.placed_at IS 'when it was placed';
COMMENT ON COLUMN llm_audit.legal_hold.placed_by IS 'session user who placed it';
COMMENT ON COLUMN llm_audit.legal_hold.until IS
	'when it ends by itself; NULL: when it is released';
COMMENT ON COLUMN llm_audit.legal_hold.released_at IS
	'when it was released; NULL: it stands';
COMMENT ON COLUMN llm_audit.legal_hold.released_by IS
	'session user who released it';
COMMENT ON COLUMN llm_audit.legal_hold.release_reason IS 'why it was released';

CREATE TABLE llm_audit.seen_key (
	key_id text PRIMARY KEY,
	first_seen timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE llm_audit.seen_key IS
	'keys that were live at some time: a hold that names a person does not know those that came later';
COMMENT ON COLUMN llm_audit.seen_key.key_id IS 'id of the key';
COMMENT ON COLUMN llm_audit.seen_key.first_seen IS
	'when a hold was placed, a segment closed or a purge begun with it for the first time';
SELECT pg_catalog.pg_extension_config_dump('llm_audit.seen_key', '');

-- A key that was forgotten would be live for holds that do not know it.
CREATE FUNCTION llm_audit.guard_kept_rows() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RAISE EXCEPTION 'rows of % are never changed or removed', TG_TABLE_NAME
		USING ERRCODE = 'insufficient_privilege';
END
$$;
COMMENT ON FUNCTION llm_audit.guard_kept_rows() IS
	'statement trigger of tables whose rows stay: refuses what does not add rows';
REVOKE EXECUTE ON FUNCTION llm_audit.guard_kept_rows() FROM PUBLIC;

CREATE TRIGGER llm_audit_kept BEFORE UPDATE OR DELETE OR TRUNCATE
	ON llm_audit.seen_key FOR EACH STATEMENT
	EXECUTE FUNCTION llm_audit.guard_kept_rows();
ALTER TABLE llm_audit.seen_key ENABLE ALWAYS TRIGGER llm_audit_kept;

-- What a row of the registry stands for is settled when it is made.
CREATE FUNCTION llm_audit.guard_identity() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF to_jsonb(NEW) - TG_ARGV::text[] IS DISTINCT FROM to_jsonb(OLD) - TG_ARGV::text[] THEN
		RAISE EXCEPTION 'what a row of llm_audit.% stands for cannot be changed', TG_TABLE_NAME
			USING ERRCODE = 'insufficient_privilege',
				HINT = format('Of its columns these can: %s.', array_to_string(TG_ARGV, ', '));
	END IF;
	RETURN NEW;
END
$$;
COMMENT ON FUNCTION llm_audit.guard_identity() IS
	'row trigger of the registry: lets only the columns change that its arguments name';
REVOKE EXECUTE ON FUNCTION llm_audit.guard_identity() FROM PUBLIC;

CREATE TRIGGER llm_audit_identity BEFORE UPDATE ON llm_audit.ledger
	FOR EACH ROW EXECUTE FUNCTION llm_audit.guard_identity('segment_width');
CREATE TRIGGER llm_audit_identity BEFORE UPDATE ON llm_audit.ledger_column
	FOR EACH ROW EXECUTE FUNCTION llm_audit.guard_identity('erasable');
ALTER TABLE llm_audit.ledger ENABLE ALWAYS TRIGGER llm_audit_identity;
ALTER TABLE llm_audit.ledger_column ENABLE ALWAYS TRIGGER llm_audit_identity;

CREATE FUNCTION llm_audit.config_changed() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'llm_audit_config_changed';
COMMENT ON FUNCTION llm_audit.config_changed() IS
	'trigger on configuration tables: makes all sessions read them again';

DO $$
DECLARE
	t text;
BEGIN
	FOREACH t IN ARRAY ARRAY['environment', 'ledger', 'ledger_environment',
		'ledger_column', 'ledger_segment', 'action_type',
		'content_recording', 'call_source', 'retention_policy', 'legal_hold']
	LOOP
		EXECUTE pg_catalog.format(
			'CREATE TRIGGER llm_audit_config AFTER INSERT OR UPDATE OR DELETE
				ON llm_audit.%I FOR EACH ROW
				EXECUTE FUNCTION llm_audit.config_changed()', t);
		EXECUTE pg_catalog.format(
			'ALTER TABLE llm_audit.%I ENABLE ALWAYS TRIGGER llm_audit_config', t);
		PERFORM pg_catalog.pg_extension_config_dump(
			('llm_audit.' || t)::pg_catalog.regclass, '');
	END LOOP;
END
$$;
