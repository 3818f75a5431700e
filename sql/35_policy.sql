-- Field policies: what becomes of each column's values when they are
-- written.  The trigger reads them as it reads the registry; masking itself
-- is C.

CREATE TABLE llm_audit.field_policy (
	ledger_id uuid NOT NULL,
	column_name name NOT NULL,
	on_write text NOT NULL CHECK (on_write IN ('mask', 'keep', 'hash',
		'truncate_ip', 'redact', 'drop', 'reject')),
	pattern text,
	on_violation text NOT NULL DEFAULT 'mask'
		CHECK (on_violation IN ('mask', 'hash', 'reject')),
	period interval CHECK (llm_audit.valid_period(period)),
	encrypt boolean NOT NULL DEFAULT false
		CHECK (NOT encrypt OR on_write IN ('mask', 'keep')),
	humans_only boolean NOT NULL DEFAULT false,
	changed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	changed_by name NOT NULL DEFAULT session_user,
	PRIMARY KEY (ledger_id, column_name),
	CHECK (pattern IS NULL OR on_write = 'keep' OR humans_only)
);
COMMENT ON TABLE llm_audit.field_policy IS
	'what becomes of values when they are written; a text, jsonb or json column without a row is masked, an address truncated';
COMMENT ON COLUMN llm_audit.field_policy.ledger_id IS 'the ledger';
COMMENT ON COLUMN llm_audit.field_policy.column_name IS 'the column';
COMMENT ON COLUMN llm_audit.field_policy.on_write IS
	'mask: what is found in the text; keep: machine values that match the pattern; hash: keyed pseudonym; truncate_ip: /24 or /48; redact: a constant; drop: null; reject: no row with a value';
COMMENT ON COLUMN llm_audit.field_policy.pattern IS
	'what a kept value looks like: identifier, label, name, login, version, host, code, relation, token or a regular expression for all of it; NULL: anything in which nothing is found';
COMMENT ON COLUMN llm_audit.field_policy.on_violation IS
	'what becomes of a value to keep that does not match, or in which something is found: mask, hash or reject';
COMMENT ON COLUMN llm_audit.field_policy.period IS
	'how long the value is kept, if its column is erasable; NULL: as long as the row';
COMMENT ON COLUMN llm_audit.field_policy.encrypt IS
	'the value is encrypted at rest, under a data key of the segment, when on_write has been applied';
COMMENT ON COLUMN llm_audit.field_policy.humans_only IS
	'on_write is for rows whose actor_type is human; others keep the value, as the pattern and on_violation say';
COMMENT ON COLUMN llm_audit.field_policy.changed_at IS
	'when the policy was last changed; part of masking_version';
COMMENT ON COLUMN llm_audit.field_policy.changed_by IS
	'session user who changed it';

CREATE TRIGGER llm_audit_config AFTER INSERT OR UPDATE OR DELETE
	ON llm_audit.field_policy FOR EACH ROW
	EXECUTE FUNCTION llm_audit.config_changed();
ALTER TABLE llm_audit.field_policy ENABLE ALWAYS TRIGGER llm_audit_config;
SELECT pg_catalog.pg_extension_config_dump('llm_audit.field_policy', '');

CREATE FUNCTION llm_audit.mask(value text) RETURNS text
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'llm_audit_mask';
COMMENT ON FUNCTION llm_audit.mask(text) IS
	'the value as a masked column would store it; <WITHHELD> in place of text that cannot be masked, or of the rest of one that takes too much work';

CREATE FUNCTION llm_audit.detect(value text)
	RETURNS TABLE (entity text, start_pos int, end_pos int, score real,
		masked text)
	LANGUAGE c STABLE STRICT PARALLEL SAFE ROWS 10
	AS 'MODULE_PATHNAME', 'llm_audit_detect';
COMMENT ON FUNCTION llm_audit.detect(text) IS
	'what mask() finds in a plain text: kind, position in characters (from 0, end exclusive), score from 0 to 1, and the form in which it is stored; WITHHELD for what mask() withholds';

CREATE FUNCTION llm_audit.set_known_values(VARIADIC known text[]) RETURNS void
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_set_known_values';
COMMENT ON FUNCTION llm_audit.set_known_values(text[]) IS
	'names and numbers that the caller knows: masked wherever they occur until the transaction ends; several calls add up';

CREATE FUNCTION llm_audit.pseudonym(value text, kind text) RETURNS text[]
	LANGUAGE c STABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'llm_audit_pseudonym';
COMMENT ON FUNCTION llm_audit.pseudonym(text, text) IS
	'what a hashed column of that name holds for a value: one pseudonym for each live key, the current key''s first; F0000 without a key';
REVOKE EXECUTE ON FUNCTION llm_audit.pseudonym(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.pseudonym(text, text)
	TO llm_audit_security, llm_audit_compliance, llm_audit_auditor;

CREATE FUNCTION llm_audit.key_ids() RETURNS text[]
	LANGUAGE c STABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'llm_audit_key_ids';
COMMENT ON FUNCTION llm_audit.key_ids() IS
	'ids of the live keys that llm_audit.key_file holds, the current one first; F0000 if there is none';
REVOKE EXECUTE ON FUNCTION llm_audit.key_ids() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.key_ids()
	TO llm_audit_admin, llm_audit_security, llm_audit_compliance, llm_audit_auditor;

CREATE FUNCTION llm_audit.key_problem() RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	what text;
	why text;
	advice text;
BEGIN
	PERFORM llm_audit.key_ids();
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS what = MESSAGE_TEXT, why = PG_EXCEPTION_DETAIL,
		advice = PG_EXCEPTION_HINT;
	RETURN concat_ws(' ', what || '.', nullif(why, ''), advice);
END
$$;
COMMENT ON FUNCTION llm_audit.key_problem() IS
	'why there is no key to hash with and what to do about it; NULL if there is one';
REVOKE EXECUTE ON FUNCTION llm_audit.key_problem() FROM PUBLIC;

CREATE FUNCTION llm_audit.compute_tokens(value text, entity text) RETURNS text[]
	LANGUAGE c STABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'llm_audit_compute_tokens';
COMMENT ON FUNCTION llm_audit.compute_tokens(text, text) IS
	'match tokens of a value, unrecorded; part of match_token()';
REVOKE EXECUTE ON FUNCTION llm_audit.compute_tokens(text, text) FROM PUBLIC;

CREATE FUNCTION llm_audit.pattern_exists(name text) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'llm_audit_pattern_exists';
COMMENT ON FUNCTION llm_audit.pattern_exists(text) IS
	'whether a pattern of that name is built in; any other pattern is a regular expression';
REVOKE EXECUTE ON FUNCTION llm_audit.pattern_exists(text) FROM PUBLIC;

-- A column of a built-in ledger that is not listed is masked.
CREATE FUNCTION llm_audit.builtin_field_policies()
	RETURNS TABLE (relation_name name, column_name name, on_write text,
		pattern text, on_violation text, humans_only boolean, period interval)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
SELECT p.relation_name::name, unnest(p.columns)::name, p.on_write, p.pattern,
		p.on_violation, p.humans_only, p.period::interval
	FROM (VALUES
	('llm_call', 'keep', 'identifier', 'hash', false, '3 years', '{request_id,
		trace_id,span_id,parent_span_id,correlation_id,conversation_id,session_id,
		batch_id,response_id,tool_call_id}'::text[]),
	('llm_call', 'keep', 'label', 'mask', false, '3 years', '{project_id,
		team_id,channel,region,route_id,route_reason,
		prompt_id,prompt_name,request_model,response_model,provider_name,
		provider_country,provider_region,agent_id,agent_name,tool_name,tool_type,
		limit_id,limit_scope,actor_role,operation_name,fallback_from_model,
		fallback_from_provider,source_id,source_epoch,error_type,
		policies_triggered,finish_reasons}'),
	('llm_call', 'keep', 'name', 'reject', false, '3 years',
		'{organization_id}'),
	-- whose rows they are is decided by it, as by the organization
	('llm_call', 'keep', 'label', 'reject', false, '3 years', '{service_name}'),
	('llm_call', 'keep', 'version', 'mask', false, '3 years', '{service_version,
		agent_version,route_version,budget_policy_version,prompt_version}'),
	('llm_call', 'keep', 'code', 'mask', false, '3 years', '{time_zone,
		actor_type,attempt_kind,status,error_code,currency,masking_status,
		masking_version,data_class}'),
	('llm_call', 'keep', NULL, 'mask', false, '3 years',
		'{step_durations,pii_counts,pii_fields}'),
	('llm_call', 'keep', 'host', 'mask', false, '3 years', '{server_address}'),
	('llm_call', 'hash', 'label', 'hash', true, '3 years', '{actor_id}'),
	('llm_call', 'hash', NULL, 'mask', false, '3 years',
		'{end_user_id,customer_key,operation_number}'),
	('llm_call', 'keep', 'label', 'reject', false, '3 years', '{api_key_id}'),
	('llm_call', 'truncate_ip', NULL, 'mask', false, '1 year',
		'{client_address}'),
	('llm_call', 'mask', NULL, 'mask', false, '1 year', '{user_agent,
		error_message,request_params,guardrails,attributes}'),
	('llm_call', 'mask', NULL, 'mask', false, '3 years', '{cost_breakdown}'),
	('llm_call', 'keep', 'code', 'mask', false, '1 year', '{country}'),
	('llm_call', 'keep', NULL, 'mask', false, '1 year', '{input_digest}'),

	('llm_content', 'mask', NULL, 'mask', false, '90 days', '{body}'),
	('llm_content', 'keep', 'identifier', 'hash', false, '90 days',
		'{request_id,tool_call_id}'),
	('llm_content', 'keep', 'name', 'reject', false, '90 days',
		'{organization_id}'),
	('llm_content', 'keep', 'label', 'reject', false, '90 days', '{service_name}'),
	('llm_content', 'keep', 'label', 'mask', false, '90 days', '{role}'),
	('llm_content', 'keep', 'code', 'mask', false, '90 days',
		'{kind,data_class}'),
	('llm_content', 'keep', '[A-Za-z0-9!#$&^_.+-]{1,64}/[A-Za-z0-9!#$&^_.+-]{1,64}([; ]+[a-z-]{1,16}=[A-Za-z0-9"_.-]{1,64})*',
		'mask', false, '90 days', '{content_type}'),
	('llm_content', 'keep', NULL, 'mask', false, '90 days', '{pii_counts,pii_fields,
		body_digest,body_encrypted}'),
	('llm_content', 'keep', NULL, 'mask', false, '30 days',
		'{original_encrypted}'),

	('match_token', 'keep', 'token', 'reject', false, '3 years', '{token}'),
	('match_token', 'keep', 'name', 'reject', false, '3 years',
		'{organization_id}'),
	('match_token', 'keep', 'code', 'mask', false, '3 years', '{entity}'),
	('match_token', 'keep', 'identifier', 'hash', false, '3 years',
		'{request_id}'),

	('admin_event', 'keep', 'login', 'mask', false, '7 years', '{actor_id,
		actor_role,on_behalf_of,approved_by,project_id,source_id,
		source_epoch}'),
	('admin_event', 'keep', 'name', 'reject', false, '7 years',
		'{organization_id}'),
	('admin_event', 'keep', 'code', 'mask', false, '7 years', '{time_zone,
		action,category,actor_type,target_type,outcome}'),
	('admin_event', 'keep', 'version', 'mask', false, '7 years',
		'{target_version,route_version,budget_policy_version}'),
	('admin_event', 'keep', 'identifier', 'hash', false, '7 years',
		'{session_id,request_id,correlation_id}'),
	('admin_event', 'keep', 'label', 'mask', false, '7 years',
		'{ticket,incident_id,approval_id}'),
	('admin_event', 'mask', NULL, 'mask', false, '7 years',
		'{target_id,before,after,reason}'),
	('admin_event', 'keep', NULL, 'mask', false, '2 years',
		'{actor_ip,user_agent,input_digest}'),
	('admin_event', 'keep', NULL, 'mask', false, '7 years',
		'{pii_fields}'),

	('usage_event', 'keep', 'label', 'mask', false, '7 years',
		'{project_id,unit,price_version}'),
	('usage_event', 'keep', 'name', 'reject', false, '7 years',
		'{organization_id}'),
	('usage_event', 'hash', 'label', 'hash', true, '7 years', '{actor_id}'),
	('usage_event', 'keep', 'label', 'reject', false, '7 years',
		'{api_key_id}'),
	('usage_event', 'keep', 'identifier', 'hash', false, '7 years',
		'{request_id}'),
	('usage_event', 'keep', 'code', 'mask', false, '7 years',
		'{currency,actor_type}'),
	('usage_event', 'keep', NULL, 'mask', false, '7 years',
		'{input_digest,pii_fields}'),

	('settlement', 'keep', 'label', 'mask', false, '7 years',
		'{invoice_id}'),
	('settlement', 'keep', 'name', 'reject', false, '7 years',
		'{organization_id}'),
	('settlement', 'keep', 'identifier', 'hash', false, '7 years',
		'{original_request_id}'),
	('settlement', 'keep', 'version', 'mask', false, '7 years',
		'{budget_policy_version}'),
	('settlement', 'keep', 'code', 'mask', false, '7 years',
		'{kind,currency}'),
	('settlement', 'mask', NULL, 'mask', false, '7 years', '{reason}'),
	('settlement', 'keep', NULL, 'mask', false, '7 years',
		'{input_digest,pii_fields}'),

	('access_log', 'keep', 'login', 'mask', false, '7 years', '{organization_id,
		login,effective_role,roles,asserted_reader}'),
	('access_log', 'keep', '[^[:cntrl:]]{1,255}', 'mask', false, '7 years',
		'{authentication_id}'),
	('access_log', 'keep', 'code', 'mask', false, '7 years', '{event,command,
		outcome,error_code,transaction_id,tls_version,tls_cipher}'),
	('access_log', 'keep', 'relation', 'mask', false, '7 years', '{relations}'),
	('access_log', 'keep', '[A-Za-z0-9_.$*" -]{1,200}', 'mask', false, '7 years',
		'{columns_read,filtered_columns}'),
	('access_log', 'keep', 'label', 'mask', false, '7 years',
		'{ticket,refusal}'),
	('access_log', 'mask', NULL, 'mask', false, '7 years',
		'{reason,application_name}'),
	('access_log', 'mask', NULL, 'mask', false, '1 year', '{query}'),
	('access_log', 'keep', 'token', 'mask', false, '1 year', '{search_tokens}'),
	('access_log', 'keep', NULL, 'mask', false, '2 years', '{client_address}'),
	('access_log', 'keep', NULL, 'mask', false, '7 years', '{pii_fields}'),

	('access_record', 'keep', 'login', 'mask', false, '7 years',
		'{organization_id,login,asserted_reader}'),
	('access_record', 'keep', '[^[:cntrl:]]{1,255}', 'mask', false, '7 years',
		'{authentication_id}'),
	('access_record', 'keep', 'identifier', 'hash', false, '7 years',
		'{request_id}'),

	('segment_event', 'keep', 'relation', 'mask', false, NULL,
		'{ledger,leaf}'),
	('segment_event', 'keep', NULL, 'mask', false, NULL, '{facts}'),
	('segment_event', 'keep', 'login', 'mask', false, NULL,
		'{event,data_classes,actor}'),

	('erase_receipt', 'keep', 'relation', 'mask', false, NULL,
		'{ledger,leaf}'),
	('erase_receipt', 'keep', 'login', 'mask', false, NULL,
		'{stage,cause,actor}'),
	('erase_receipt', 'keep', NULL, 'mask', false, NULL,
		'{column_names}'),
	('erase_receipt', 'keep', 'label', 'mask', false, NULL, '{ticket}'),
	('erase_receipt', 'mask', NULL, 'mask', false, NULL, '{basis}'),
	('purge_receipt', 'keep', 'relation', 'mask', false, NULL, '{ledger}'),
	('purge_receipt', 'keep', 'login', 'mask', false, NULL, '{actor}'),
	('purge_receipt', 'mask', NULL, 'mask', false, NULL, '{policy,reason}')
	) AS p (relation_name, on_write, pattern, on_violation, humans_only, period,
		columns)
$$;
COMMENT ON FUNCTION llm_audit.builtin_field_policies() IS
	'field policies that setup() installs for the built-in ledgers';
REVOKE EXECUTE ON FUNCTION llm_audit.builtin_field_policies() FROM PUBLIC;

-- Policies that somebody has changed stay as they are.
CREATE FUNCTION llm_audit.install_field_policies() RETURNS int
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	added int;
BEGIN
	INSERT INTO llm_audit.field_policy (ledger_id, column_name, on_write, pattern,
			on_violation, humans_only, period)
		SELECT l.ledger_id, p.column_name, p.on_write, p.pattern, p.on_violation,
			p.humans_only, p.period
		FROM llm_audit.builtin_field_policies() AS p
		JOIN llm_audit.ledger AS l ON l.builtin AND l.schema_name = 'llm_audit'
			AND l.relation_name = p.relation_name
		ON CONFLICT DO NOTHING;
	GET DIAGNOSTICS added = ROW_COUNT;
	RETURN added;
END
$$;
COMMENT ON FUNCTION llm_audit.install_field_policies() IS
	'installs the field policies of built-in ledgers that are missing; returns how many; part of setup()';
REVOKE EXECUTE ON FUNCTION llm_audit.install_field_policies() FROM PUBLIC;

-- How much a policy protects; what is not listed masks.
CREATE FUNCTION llm_audit.policy_strength(on_write text) RETURNS int
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
	SELECT CASE on_write WHEN 'keep' THEN 0 WHEN 'truncate_ip' THEN 1
		WHEN 'hash' THEN 3 WHEN 'redact' THEN 4 WHEN 'drop' THEN 4
		WHEN 'reject' THEN 4 ELSE 2 END
$$;
COMMENT ON FUNCTION llm_audit.policy_strength(text) IS
	'orders what field policies do by how much of a value they leave: keep, truncate_ip, mask, hash, nothing';
REVOKE EXECUTE ON FUNCTION llm_audit.policy_strength(text) FROM PUBLIC;

CREATE FUNCTION llm_audit.policy_weakens(old llm_audit.field_policy,
		new llm_audit.field_policy) RETURNS boolean
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
	SELECT llm_audit.policy_strength(new.on_write) < llm_audit.policy_strength(old.on_write)
		OR old.pattern IS NOT NULL AND new.pattern IS DISTINCT FROM old.pattern
			AND new.on_write = 'keep'
		OR old.encrypt AND NOT new.encrypt
		OR old.on_write = 'keep' AND new.on_write = 'keep'
			AND llm_audit.policy_strength(new.on_violation) < llm_audit.policy_strength(old.on_violation)
$$;
COMMENT ON FUNCTION llm_audit.policy_weakens(llm_audit.field_policy, llm_audit.field_policy) IS
	'whether the second policy may store more of a value than the first; another pattern counts as weaker';
REVOKE EXECUTE ON FUNCTION llm_audit.policy_weakens(llm_audit.field_policy, llm_audit.field_policy)
	FROM PUBLIC;

-- In the C locale, as the trigger uses it.
CREATE FUNCTION llm_audit.check_field_pattern(column_name name, pattern text) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	why text;
BEGIN
	IF pattern IS NULL OR llm_audit.pattern_exists(pattern) THEN
		RETURN;
	END IF;
	PERFORM '' ~ (('^(?:' || pattern || ')$') COLLATE "C");
EXCEPTION WHEN invalid_regular_expression THEN
	GET STACKED DIAGNOSTICS why = MESSAGE_TEXT;
	RAISE EXCEPTION 'the pattern of the field policy of column "%" cannot be used', column_name
		USING ERRCODE = 'invalid_regular_expression',
			DETAIL = 'The regular expression is invalid' || coalesce(substring(why FROM ':.*'), '') || '.';
END
$$;
COMMENT ON FUNCTION llm_audit.check_field_pattern(name, text) IS
	'raises 2201B for a pattern that is neither built in nor a regular expression';
REVOKE EXECUTE ON FUNCTION llm_audit.check_field_pattern(name, text) FROM PUBLIC;

-- Columns on which the trigger, constraints or partitions of a ledger rely.
CREATE FUNCTION llm_audit.check_field_policy(ledger regclass,
		policy llm_audit.field_policy, is_builtin boolean) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	a pg_catalog.pg_attribute;
	base oid;
	problem text;
BEGIN
	IF policy.on_write IS NULL OR policy.on_write NOT IN ('mask', 'keep', 'hash',
		'truncate_ip', 'redact', 'drop', 'reject')
	THEN
		RAISE EXCEPTION 'on_write must be mask, keep, hash, truncate_ip, redact, drop or reject'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF policy.on_violation NOT IN ('mask', 'hash', 'reject') THEN
		RAISE EXCEPTION 'on_violation must be mask, hash or reject'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF policy.pattern IS NOT NULL AND policy.on_write <> 'keep' AND NOT policy.humans_only THEN
		RAISE EXCEPTION 'a pattern is for values to keep only'
			USING ERRCODE = 'invalid_parameter_value';
	ELSIF NOT llm_audit.valid_period(policy.period) THEN
		RAISE EXCEPTION 'period must be positive in all of its parts and at most 1000 years, or null to leave it as it is'
			USING ERRCODE = 'invalid_parameter_value';
	END IF;
	SELECT * INTO a FROM pg_catalog.pg_attribute
		WHERE attrelid = ledger AND attname = policy.column_name AND attnum > 0
			AND NOT attisdropped;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'column "%" of ledger "%" does not exist', policy.column_name, ledger
			USING ERRCODE = 'undefined_column';
	END IF;
	base := llm_audit.base_type(a.atttypid);
	base := coalesce((SELECT nullif(t.typelem, 0) FROM pg_catalog.pg_type t
		WHERE t.oid = base AND t.typcategory = 'A'), base);
	problem := CASE
		WHEN policy.column_name IN (SELECT column_name FROM llm_audit.ledger_attributes())
			OR policy.column_name IN ('environment', 'known_values')
			OR is_builtin AND policy.column_name IN ('organization_id', 'actor_type', 'status', 'action',
				'category', 'kind', 'outcome', 'data_class', 'masking_status',
				'masking_version', 'pii_counts', 'pii_fields', 'attempt_kind', 'event', 'ledger',
				'leaf', 'token')
			THEN 'llm_audit relies on its values'
		WHEN policy.on_write NOT IN ('keep', 'drop', 'reject')
			AND base NOT IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype,
				'json'::regtype, 'jsonb'::regtype, 'inet'::regtype, 'cidr'::regtype)
			AND NOT (policy.encrypt AND a.atttypid = 'bytea'::regtype)
			THEN 'there is nothing to mask in values of its type'
		WHEN policy.on_write IN ('drop', 'reject')
			AND base NOT IN ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype,
				'json'::regtype, 'jsonb'::regtype, 'inet'::regtype, 'cidr'::regtype)
			THEN 'its type is always kept'
		WHEN (policy.on_write = 'hash' OR policy.on_violation = 'hash')
			AND base NOT IN ('text'::regtype, 'varchar'::regtype)
			THEN 'only text can be hashed'
		WHEN policy.on_write = 'truncate_ip'
			AND base NOT IN ('inet'::regtype, 'cidr'::regtype)
			THEN 'only addresses can be truncated'
		WHEN policy.on_write IN ('mask', 'redact')
			AND base IN ('inet'::regtype, 'cidr'::regtype)
			THEN 'an address can be kept, truncated, dropped or rejected'
		WHEN policy.on_write = 'drop' AND (a.attnotnull
			OR is_builtin AND policy.column_name IN ('actor_id', 'reason'))
			THEN 'it must not be null'
		END;
	IF problem IS NOT NULL THEN
		RAISE EXCEPTION 'column "%" of ledger "%" cannot have policy "%"',
				policy.column_name, ledger, policy.on_write
			USING ERRCODE = 'invalid_parameter_value', DETAIL = problem || '.';
	END IF;
	IF policy.encrypt THEN
		PERFORM llm_audit.check_encryption(ledger, policy, is_builtin);
	END IF;
	PERFORM llm_audit.check_field_pattern(policy.column_name, policy.pattern);
END
$$;
COMMENT ON FUNCTION llm_audit.check_field_policy(regclass, llm_audit.field_policy, boolean) IS
	'raises an error that says why a column cannot have a policy, if it cannot';
REVOKE EXECUTE ON FUNCTION llm_audit.check_field_policy(regclass, llm_audit.field_policy, boolean)
	FROM PUBLIC;

CREATE FUNCTION llm_audit.set_field_policy(ledger regclass, column_name name,
		on_write text, period interval DEFAULT NULL, encrypt boolean DEFAULT false,
		pattern text DEFAULT NULL, on_violation text DEFAULT 'mask',
		reason text DEFAULT NULL, bypass boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET IntervalStyle = 'postgres'
AS $$
#variable_conflict use_variable
DECLARE
	l llm_audit.ledger;
	old llm_audit.field_policy;
	new llm_audit.field_policy;
	weaker boolean;
BEGIN
	SELECT r.* INTO l FROM llm_audit.ledger r
		JOIN pg_catalog.pg_class c ON c.relname = r.relation_name
			AND c.relnamespace = to_regnamespace(quote_ident(r.schema_name))
		WHERE c.oid = ledger
		FOR UPDATE OF r;
	IF NOT FOUND THEN
		RAISE EXCEPTION '"%" is not a ledger', ledger
			USING ERRCODE = 'wrong_object_type';
	END IF;
	SELECT p.* INTO old FROM llm_audit.field_policy p
		WHERE p.ledger_id = l.ledger_id AND p.column_name = set_field_policy.column_name;

	new := ROW(l.ledger_id, column_name, on_write, pattern,
		coalesce(on_violation, 'mask'), coalesce(period, old.period), coalesce(encrypt, false),
		coalesce(old.humans_only, false) AND on_write = 'hash',
		clock_timestamp(), session_user);
	IF new.humans_only AND pattern IS NULL THEN
		new.pattern := old.pattern;
		new.on_violation := old.on_violation;
	END IF;
	PERFORM llm_audit.check_field_policy(ledger, new, l.builtin);
	IF period IS NOT NULL THEN
		PERFORM llm_audit.check_field_period(l, new, old.period, bypass);
	END IF;
	old.on_write := coalesce(old.on_write, CASE WHEN (SELECT a.atttypid
		FROM pg_catalog.pg_attribute a WHERE a.attrelid = ledger
			AND a.attname = set_field_policy.column_name) = 'bytea'::regtype
		THEN 'keep' ELSE 'mask' END);
	weaker := llm_audit.policy_weakens(old, new)
		OR llm_audit.period_shorter(new.period, old.period);
	IF weaker THEN
		PERFORM llm_audit.require_reason(reason,
			format('weaken the policy of column "%s" of ledger "%s"', column_name, ledger));
	END IF;

	INSERT INTO llm_audit.field_policy VALUES (new.*)
		ON CONFLICT ON CONSTRAINT field_policy_pkey DO UPDATE
		SET on_write = EXCLUDED.on_write, pattern = EXCLUDED.pattern,
			on_violation = EXCLUDED.on_violation, period = EXCLUDED.period,
			humans_only = EXCLUDED.humans_only, encrypt = EXCLUDED.encrypt, changed_at = EXCLUDED.changed_at,
			changed_by = EXCLUDED.changed_by;
	IF new.encrypt THEN
		PERFORM llm_audit.prepare_encryption(ledger, new);
		PERFORM llm_audit.warn_of_sealed_archives(l);
	END IF;
	PERFORM llm_audit.record_own_event(
		CASE WHEN weaker THEN 'field_policy.weakened' ELSE 'field_policy.changed' END,
		'field_policy', ledger::text || '.' || quote_ident(column_name), reason,
		jsonb_build_object('on_write', new.on_write, 'was', old.on_write,
			'pattern', new.pattern, 'on_violation', new.on_violation,
			'period', new.period, 'period_was', old.period, 'encrypt', new.encrypt));
END
$$;
COMMENT ON FUNCTION llm_audit.set_field_policy(regclass, name, text, interval, boolean, text, text, text, boolean) IS
	'sets what becomes of a column''s values from the next statement on, in all sessions; one that weakens needs a reason and is recorded as high-risk; period NULL: as it is, at first as long as the row, 1000 years at most; a shorter one acts on the values that are there and needs bypass too, and is refused where a retention policy is in compliance mode; for llm_audit_admin';
REVOKE EXECUTE ON FUNCTION llm_audit.set_field_policy(regclass, name, text, interval, boolean, text, text, text, boolean)
	FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.set_field_policy(regclass, name, text, interval, boolean, text, text, text, boolean)
	TO llm_audit_admin;

CREATE FUNCTION llm_audit.record_search(entity text, reason text, most int)
	RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'llm_audit_record_search';
COMMENT ON FUNCTION llm_audit.record_search(text, text, int) IS
	'records a search by identifier in a transaction of its own; false, and nothing is recorded, if the login has made as many within the hour; part of match_token()';
REVOKE EXECUTE ON FUNCTION llm_audit.record_search(text, text, int) FROM PUBLIC;

-- Whoever can compute tokens can test guesses, so each use is recorded and
-- they are few.
CREATE FUNCTION llm_audit.match_token(value text, entity text DEFAULT NULL)
	RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	reason text := llm_audit.reader_setting('reason');
	tokens text[];
BEGIN
	IF reason IS NULL THEN
		RAISE EXCEPTION 'a reason is needed to search by an identifier'
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'SET LOCAL llm_audit.reason = ''...'' in the same transaction.';
	END IF;
	-- outside of this transaction: a ROLLBACK must not undo it
	IF NOT llm_audit.record_search(entity, reason,
		llm_audit.setting('match_token_limit')::int)
	THEN
		PERFORM llm_audit.refuse('llm_audit.match_token', 'insufficient_privilege',
			'too many searches by identifier within an hour',
			'The limit is "llm_audit.match_token_limit".');
	END IF;
	tokens := llm_audit.compute_tokens(value, entity);
	RETURN tokens;
END
$$;
COMMENT ON FUNCTION llm_audit.match_token(text, text) IS
	'tokens under which match_token has calls with this identifier, under all live keys; entity as detect() names it, or every kind; needs llm_audit.reason, is recorded, and limited by llm_audit.match_token_limit, so call it once: token = ANY ((SELECT llm_audit.match_token(...))::text[])';
REVOKE EXECUTE ON FUNCTION llm_audit.match_token(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.match_token(text, text)
	TO llm_audit_security, llm_audit_compliance, llm_audit_auditor;

-- One ledger's rows as masking_report() counts them; what a ledger does not
-- have is NULL.
CREATE FUNCTION llm_audit.masking_source(ledger regclass, label name) RETURNS text
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
	WITH c AS (
		SELECT coalesce(jsonb_object_agg(a.attname, quote_ident(a.attname)), '{}') AS has,
				max(CASE WHEN a.attname = 'occurred_at' THEN CASE WHEN a.attnotnull
					THEN 'occurred_at' ELSE 'coalesce(occurred_at, recorded_at)' END END) AS time
			FROM pg_catalog.pg_attribute AS a
			JOIN (VALUES ('occurred_at', 'timestamptz'::regtype), ('environment', 'text'),
				('service_name', 'text'), ('masking_status', 'text'), ('data_class', 'text'),
				('pii_counts', 'jsonb')) AS w (name, type)
				ON w.name = a.attname AND w.type = a.atttypid
			WHERE a.attrelid = ledger AND NOT a.attisdropped)
	SELECT format('SELECT %L::name AS ledger, %s AS occurred_at, %s AS environment,
			%s AS service_name, %s AS masking_status, %s AS data_class,
			%s AS pii_counts, pii_fields
		FROM %s WHERE %2$s >= $1 AND %2$s < $2',
			label, coalesce(c.time, 'recorded_at'),
			coalesce(c.has ->> 'environment', 'NULL::text'),
			coalesce(c.has ->> 'service_name', 'NULL::text'),
			coalesce(c.has ->> 'masking_status', 'NULL::text'),
			coalesce(c.has ->> 'data_class', 'NULL::text'),
			coalesce(c.has ->> 'pii_counts', 'NULL::jsonb'), ledger)
		FROM c
$$;
COMMENT ON FUNCTION llm_audit.masking_source(regclass, name) IS
	'the query by which masking_report() reads a ledger under a name, with since and until as $1 and $2';
REVOKE EXECUTE ON FUNCTION llm_audit.masking_source(regclass, name) FROM PUBLIC;

-- Compiling a plan takes tens of milliseconds for each segment in it: this
-- and other functions that read ledgers are better off without.
CREATE FUNCTION llm_audit.masking_report(since timestamptz, until timestamptz)
	RETURNS TABLE (day date, environment text, ledger name, service_name text,
		column_name text, masking_status text, data_class text, outcome text,
		entity text, row_count bigint, found numeric)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
	sources text;
BEGIN
	SELECT string_agg(llm_audit.masking_source(c.oid, CASE WHEN l.builtin THEN l.relation_name
			ELSE c.oid::regclass::text::name END), ' UNION ALL ' ORDER BY l.relation_name)
		INTO sources
		FROM llm_audit.ledger AS l
		JOIN pg_catalog.pg_class AS c ON c.relname = l.relation_name
			AND c.relnamespace = to_regnamespace(quote_ident(l.schema_name))
		JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
			AND a.attname = 'pii_fields' AND a.atttypid = 'jsonb'::regtype
		WHERE has_table_privilege(c.oid, 'SELECT');
	IF sources IS NULL THEN
		RETURN;
	END IF;
	RETURN QUERY EXECUTE format($query$
	SELECT (r.occurred_at AT TIME ZONE 'UTC')::date, r.environment, r.ledger,
			r.service_name, e.column_name, r.masking_status, r.data_class,
			CASE WHEN e.what IS NULL THEN NULL WHEN e.is_entity THEN 'masked'
				ELSE e.what END,
			CASE WHEN e.is_entity THEN e.what END, count(*), sum(e.found)
		FROM (%s) AS r
		CROSS JOIN LATERAL (
			SELECT NULL::text, NULL::boolean, NULL::text, NULL::numeric
			UNION ALL
			SELECT NULL, true, p.key, p.value::numeric
			FROM jsonb_each_text(r.pii_counts) AS p
			UNION ALL
			SELECT f.key, w.key NOT IN ('withheld', 'dropped', 'redacted'), w.key,
				w.value::numeric
			FROM jsonb_each(r.pii_fields) AS f, jsonb_each_text(f.value) AS w)
			AS e (column_name, is_entity, what, found)
		GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
		ORDER BY 1, 2, 3, 4, 5 NULLS FIRST, 6, 7, 8 NULLS FIRST, 9
	$query$, sources) USING since, until;
END
$$;
COMMENT ON FUNCTION llm_audit.masking_report(timestamptz, timestamptz) IS
	'rows of all ledgers that have the column pii_fields (llm_call, llm_content, admin_event, usage_event, settlement, access_log, and those of your own that llm_audit_view_owner may read) of a time (since inclusive, until exclusive) by day (UTC), environment, ledger, service, masking_status and data_class: how many rows; with an entity, in how many of them it was found and how often; with a column_name, the same of the column, and with outcome withheld, dropped or redacted how many of its values were not stored';
REVOKE EXECUTE ON FUNCTION llm_audit.masking_report(timestamptz, timestamptz)
	FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_audit.masking_report(timestamptz, timestamptz)
	TO llm_audit_security, llm_audit_compliance, llm_audit_auditor;
