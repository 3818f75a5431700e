-- The built-in ledgers' tables, as data: their columns, constraints and
-- indexes are rows of the functions below, and create_builtin_tables() makes
-- of them what is missing.  setup() calls it, so that the tables are ordinary
-- objects, not members of the extension: pg_dump carries them whole.
--
-- docs/schema.md is generated from what is said here.

CREATE FUNCTION llm_audit.builtin_ledgers()
	RETURNS TABLE (relation_name name, role text, retention interval,
		segment_width interval, erasable text[], description text)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
VALUES
	('llm_call'::name, 'llm_call', '3 years'::interval, '1 month'::interval,
		'{actor_id,end_user_id,customer_key,operation_number,client_address,user_agent,country,error_message,request_params,guardrails,attributes}'::text[],
		'one row per attempt of a call to a model or of a tool call, failed and blocked ones included; no text of prompts or responses'),
	('llm_content', 'llm_content', '90 days', '7 days',
		'{body,body_digest,original_encrypted,body_encrypted}',
		'text of calls, one row per fragment, only where content_recording enables it'),
	('match_token', 'plain', '3 years', '1 month', '{}',
		'keyed hashes of identifiers found in calls: finds the calls of a number that the investigator already has'),
	('admin_event', 'admin_event', '7 years', '1 month',
		'{before,after,reason,actor_ip,user_agent}',
		'the control plane: who changed, granted, exported or decided what, and why'),
	('usage_event', 'plain', '7 years', '1 month', '{actor_id}',
		'metered usage of a request, as it is charged for'),
	('settlement', 'plain', '7 years', '1 month', '{reason}',
		'money that moved: charges, credits, refunds, voids, adjustments and invoice lines'),
	('segment_event', 'segment_event', NULL, '1 month', '{}',
		'creation, closing and purging of segments; kept for ever'),
	('erase_receipt', 'plain', NULL, '1 year', '{}',
		'values that were erased because their period had passed or on request, by position in their chains; kept for ever'),
	('purge_receipt', 'purge_receipt', NULL, '1 month', '{}',
		'rows that were purged: which, how many, by which policy, by whom and why; kept for ever')
$$;
COMMENT ON FUNCTION llm_audit.builtin_ledgers() IS
	'the ledgers that setup() makes: role, default retention (NULL: for ever) and segment width, columns that can be erased one by one';
REVOKE EXECUTE ON FUNCTION llm_audit.builtin_ledgers() FROM PUBLIC;

-- In table order; a NULL ledger stands for every one of them.  Columns that
-- the trigger stamps come first, then those of the ledger itself.
--
-- actor_id of llm_call is required by a constraint instead of NOT NULL,
-- because it can be erased; the same holds for reason in admin_event.
CREATE FUNCTION llm_audit.builtin_columns()
	RETURNS TABLE (relation_name name, column_name name, definition text,
		description text)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
VALUES
	(NULL::name, 'id'::name, 'uuid NOT NULL DEFAULT llm_audit.uuid7()',
		'identity of the row, given by the writer or else a UUIDv7; unique within a segment'),
	(NULL, 'recorded_at', 'timestamptz NOT NULL DEFAULT llm_audit.now()',
		'when the row was recorded, by the clock of the server; decides the segment'),
	(NULL, 'recorded_by', 'text NOT NULL',
		'session user who recorded it, stamped by the trigger'),
	(NULL, 'retain_until', 'timestamptz',
		'the row is kept until then, stamped from the retention policy; NULL: for ever'),
	(NULL, 'chain_lane', 'int4 NOT NULL',
		'lane of the segment, a hash chain of its own, from 0; stamped by the trigger'),
	(NULL, 'chain_seq', 'int8 NOT NULL',
		'position in the lane, from 1 without gaps; stamped by the trigger'),
	(NULL, 'prev_hash', 'bytea NOT NULL',
		'row_hash of the row before it in the lane (32 bytes); stamped by the trigger'),
	(NULL, 'row_hash', 'bytea NOT NULL',
		'SHA-256 of the preimage of the row (32 bytes); stamped by the trigger'),
	(NULL, 'salt', 'bytea',
		'per erasable value its column number (2 bytes) and salt (16 bytes); stamped by the trigger'),
	(NULL, 'erased', 'bytea',
		'per erased value its column number (2 bytes) and commitment (32 bytes); NULL: nothing was erased'),

	('llm_call', 'known_values', 'text[]',
		'names and numbers that the writer knows, to be masked wherever they occur in the row; never stored'),
	('llm_call', 'environment', 'text NOT NULL',
		'environment whose log it is in, e.g. prod, pilot or test'),
	('llm_call', 'organization_id', 'text NOT NULL DEFAULT ''default''',
		'organization (tenant) that made the call'),
	('llm_call', 'project_id', 'text',
		'project that the call is attributed to'),
	('llm_call', 'team_id', 'text',
		'team that the call is attributed to'),
	('llm_call', 'request_id', 'text NOT NULL',
		'identifier that the gateway gave to the request, the same for all attempts; never that of the provider'),
	('llm_call', 'trace_id', 'text',
		'W3C and OpenTelemetry trace identifier, 32 hexadecimal digits'),
	('llm_call', 'span_id', 'text',
		'OpenTelemetry span identifier of this attempt, 16 hexadecimal digits'),
	('llm_call', 'parent_span_id', 'text',
		'span_id of the caller; of a tool call, that of the model call which asked for it'),
	('llm_call', 'correlation_id', 'text',
		'identifier that the caller uses across its own systems'),
	('llm_call', 'conversation_id', 'text',
		'conversation or thread; OpenTelemetry gen_ai.conversation.id'),
	('llm_call', 'session_id', 'text',
		'session of the user; OpenTelemetry session.id'),
	('llm_call', 'batch_id', 'text',
		'batch that the call belongs to'),
	('llm_call', 'response_id', 'text',
		'identifier that the provider gave to the response, which may repeat; OpenTelemetry gen_ai.response.id'),
	('llm_call', 'source_id', 'text',
		'name of the writer; gap_report() finds what it failed to write'),
	('llm_call', 'source_epoch', 'text',
		'start of the writer: source_seq counts anew in each'),
	('llm_call', 'source_seq', 'int8',
		'running number of the record within source_id and source_epoch'),
	('llm_call', 'occurred_at', 'timestamptz NOT NULL',
		'when the attempt began, by the clock of the writer'),
	('llm_call', 'time_zone', 'text',
		'IANA name of the local time zone where it occurred, e.g. Asia/Almaty'),
	('llm_call', 'utc_offset_minutes', 'int2 NOT NULL DEFAULT 0',
		'minutes that local time was ahead of UTC at that moment; the default says that the writer reports in UTC'),
	('llm_call', 'ended_at', 'timestamptz',
		'when the attempt ended, by the clock of the writer'),
	('llm_call', 'region', 'text',
		'region in which the gateway ran; OpenTelemetry cloud.region'),
	('llm_call', 'service_name', 'text NOT NULL',
		'service that made the call; OpenTelemetry service.name'),
	('llm_call', 'service_version', 'text',
		'version of that service; OpenTelemetry service.version'),
	('llm_call', 'channel', 'text',
		'how the request came in, e.g. web, mobile, branch, batch'),
	('llm_call', 'server_address', 'text',
		'host that the request was sent to; OpenTelemetry server.address'),
	('llm_call', 'provider_country', 'text',
		'country in which the provider processed it, ISO 3166-1 alpha-2'),
	('llm_call', 'provider_region', 'text',
		'region of the provider in which it was processed'),
	('llm_call', 'actor_id', 'text',
		'who made the call: a stable pseudonym of a person, or the name of a service, job, policy or agent; required until erased'),
	('llm_call', 'actor_type', 'text NOT NULL',
		'human, service, job, policy or agent'),
	('llm_call', 'actor_role', 'text',
		'role in which the actor acted'),
	('llm_call', 'end_user_id', 'text',
		'pseudonym of the person on whose behalf the actor called; OpenTelemetry user.id'),
	('llm_call', 'customer_key', 'text',
		'pseudonym of the customer whom the call is about'),
	('llm_call', 'operation_number', 'text',
		'pseudonym of the business operation, e.g. an application or a payment'),
	('llm_call', 'api_key_id', 'text',
		'label of the API key that was used, never a key'),
	('llm_call', 'agent_id', 'text',
		'agent that ran; OpenTelemetry gen_ai.agent.id'),
	('llm_call', 'agent_name', 'text',
		'name of the agent; OpenTelemetry gen_ai.agent.name'),
	('llm_call', 'agent_version', 'text',
		'version of the agent; OpenTelemetry gen_ai.agent.version'),
	('llm_call', 'client_address', 'inet',
		'network address that the request came from, truncated; OpenTelemetry client.address'),
	('llm_call', 'country', 'text',
		'country that the request came from, ISO 3166-1 alpha-2'),
	('llm_call', 'user_agent', 'text',
		'client software; OpenTelemetry user_agent.original'),
	('llm_call', 'operation_name', 'text NOT NULL',
		'what was done, e.g. chat, embeddings, execute_tool; OpenTelemetry gen_ai.operation.name'),
	('llm_call', 'provider_name', 'text',
		'provider that was called, e.g. openai, anthropic, aws.bedrock; NULL only if blocked; OpenTelemetry gen_ai.provider.name'),
	('llm_call', 'request_model', 'text',
		'model that was asked for; NULL only if blocked; OpenTelemetry gen_ai.request.model'),
	('llm_call', 'response_model', 'text',
		'model that answered; OpenTelemetry gen_ai.response.model'),
	('llm_call', 'route_id', 'text',
		'route that the gateway chose'),
	('llm_call', 'route_version', 'text',
		'version of the route policy that chose it'),
	('llm_call', 'route_reason', 'text',
		'why that route, e.g. default, fallback, cost, residency'),
	('llm_call', 'budget_policy_version', 'text',
		'version of the budget and quota policy in force'),
	('llm_call', 'prompt_id', 'text',
		'prompt template that was used'),
	('llm_call', 'prompt_name', 'text',
		'name of the prompt template; OpenTelemetry gen_ai.prompt.name'),
	('llm_call', 'prompt_version', 'text',
		'version of the prompt template'),
	('llm_call', 'request_params', 'jsonb',
		'parameters of the request by name, e.g. temperature, max_tokens; OpenTelemetry gen_ai.request.* without the prefix'),
	('llm_call', 'is_stream', 'boolean',
		'the response was streamed; OpenTelemetry gen_ai.request.stream'),
	('llm_call', 'tool_name', 'text',
		'of a tool call: the tool; OpenTelemetry gen_ai.tool.name'),
	('llm_call', 'tool_type', 'text',
		'of a tool call: function, extension or datastore; OpenTelemetry gen_ai.tool.type'),
	('llm_call', 'tool_call_id', 'text',
		'of a tool call: its identifier in the response of the model; OpenTelemetry gen_ai.tool.call.id'),
	('llm_call', 'tool_call_count', 'int4',
		'tool calls that the response asked for'),
	('llm_call', 'attempt', 'int2 NOT NULL DEFAULT 1',
		'number of the attempt within the request, from 1'),
	('llm_call', 'attempt_kind', 'text',
		'first, retry or fallback'),
	('llm_call', 'is_final', 'boolean NOT NULL DEFAULT true',
		'no further attempt of this request followed'),
	('llm_call', 'max_attempts', 'int2',
		'attempts that the policy allowed'),
	('llm_call', 'fallback_from_model', 'text',
		'of a fallback: the model that failed'),
	('llm_call', 'fallback_from_provider', 'text',
		'of a fallback: the provider that failed'),
	('llm_call', 'status', 'text NOT NULL',
		'ok, error, timeout, blocked or cancelled'),
	('llm_call', 'http_status', 'int2',
		'HTTP status that the provider answered with; OpenTelemetry http.response.status_code'),
	('llm_call', 'error_code', 'text',
		'error code of the provider or gateway'),
	('llm_call', 'error_type', 'text',
		'class of the error; OpenTelemetry error.type'),
	('llm_call', 'error_message', 'text',
		'error message, masked'),
	('llm_call', 'limit_id', 'text',
		'limit that was hit'),
	('llm_call', 'limit_scope', 'text',
		'what that limit counts by, e.g. key, user, team, organization, provider'),
	('llm_call', 'finish_reasons', 'text[]',
		'why the model stopped, one per choice; OpenTelemetry gen_ai.response.finish_reasons'),
	('llm_call', 'duration_ms', 'numeric(14,3)',
		'duration of the attempt in milliseconds'),
	('llm_call', 'time_to_first_chunk_ms', 'numeric(14,3)',
		'milliseconds to the first chunk of a stream; OpenTelemetry gen_ai.response.time_to_first_chunk is in seconds'),
	('llm_call', 'step_durations', 'jsonb',
		'milliseconds by step: received, authorized, routed, forwarded, first_chunk, completed, cached, recorded'),
	('llm_call', 'input_tokens', 'int8',
		'input tokens, cached ones included; OpenTelemetry gen_ai.usage.input_tokens'),
	('llm_call', 'output_tokens', 'int8',
		'output tokens, those for reasoning included; OpenTelemetry gen_ai.usage.output_tokens'),
	('llm_call', 'cache_read_input_tokens', 'int8',
		'input tokens served from the cache of the provider; OpenTelemetry gen_ai.usage.cache_read.input_tokens'),
	('llm_call', 'cache_creation_input_tokens', 'int8',
		'input tokens written to the cache of the provider; OpenTelemetry gen_ai.usage.cache_creation.input_tokens'),
	('llm_call', 'reasoning_output_tokens', 'int8',
		'output tokens used for reasoning; OpenTelemetry gen_ai.usage.reasoning.output_tokens'),
	('llm_call', 'cost', 'numeric(20,10)',
		'cost of the attempt, in currency'),
	('llm_call', 'currency', 'char(3)',
		'currency of cost and cost_breakdown, ISO 4217'),
	('llm_call', 'cost_breakdown', 'jsonb',
		'parts of the cost by name, in currency'),
	('llm_call', 'cache_hit', 'boolean',
		'the cache of the gateway answered, not the provider'),
	('llm_call', 'masking_status', 'text NOT NULL DEFAULT ''not_examined''',
		'masked: something was; clean: nothing was found; withheld: text could not be masked and was not stored; not_examined'),
	('llm_call', 'masking_version', 'text',
		'version of the masking policy and detectors; NULL where no text was examined'),
	('llm_call', 'pii_found', 'boolean',
		'personal data or secrets were found; NULL where no text was examined'),
	('llm_call', 'pii_counts', 'jsonb',
		'how often each kind of entity was found, by the name of the entity'),
	('llm_call', 'prompt_masked_upstream', 'boolean',
		'the provider received the prompt masked'),
	('llm_call', 'data_class', 'text NOT NULL DEFAULT ''internal''',
		'public, internal, personal or banking_secrecy'),
	('llm_call', 'guardrails', 'jsonb',
		'array of guardrails that ran, each an object whose status is success, guardrail_intervened, guardrail_failed_to_respond or not_run'),
	('llm_call', 'policies_triggered', 'text[]',
		'policies that took effect on the call'),
	('llm_call', 'attributes', 'jsonb',
		'anything else by name, masked, at most 8192 bytes as text; content never lands here'),

	('llm_content', 'known_values', 'text[]',
		'names and numbers that the writer knows, to be masked wherever they occur in the row; never stored'),
	('llm_content', 'environment', 'text NOT NULL',
		'environment whose log it is in; that of the call'),
	('llm_content', 'organization_id', 'text NOT NULL DEFAULT ''default''',
		'organization (tenant) that made the call'),
	('llm_content', 'service_name', 'text',
		'service that made the call; OpenTelemetry service.name'),
	('llm_content', 'call_id', 'uuid NOT NULL',
		'id of the row in llm_call'),
	('llm_content', 'request_id', 'text NOT NULL',
		'request_id of the call'),
	('llm_content', 'occurred_at', 'timestamptz',
		'occurred_at of the call'),
	('llm_content', 'ordinal', 'int4 NOT NULL',
		'position of the fragment within the call, from 0'),
	('llm_content', 'message_index', 'int4',
		'position of the message that it belongs to, from 0'),
	('llm_content', 'role', 'text',
		'role of the message, e.g. system, user, assistant, tool; as in the OpenTelemetry GenAI message schemas'),
	('llm_content', 'kind', 'text NOT NULL',
		'system_instructions, prompt, response, tool_call, tool_result or retrieved_context'),
	('llm_content', 'content_type', 'text',
		'media type of the fragment, e.g. text/plain, application/json, image/png'),
	('llm_content', 'tool_call_id', 'text',
		'tool call that it belongs to; OpenTelemetry gen_ai.tool.call.id'),
	('llm_content', 'body', 'text',
		'the text, masked; NULL if it was withheld, binary or erased'),
	('llm_content', 'body_bytes', 'int8 NOT NULL',
		'length of the original in bytes'),
	('llm_content', 'body_digest', 'bytea',
		'keyed digest of the original'),
	('llm_content', 'pii_counts', 'jsonb',
		'how often each kind of entity was found, by the name of the entity'),
	('llm_content', 'data_class', 'text NOT NULL DEFAULT ''internal''',
		'public, internal, personal or banking_secrecy; the highest of the call and its fragments counts'),
	('llm_content', 'original_encrypted', 'bytea',
		'the original as an OpenPGP message to the compliance officer, only where the policy asks for it; the server cannot open it'),
	('llm_content', 'body_encrypted', 'bytea',
		'the text, masked, then encrypted under a data key of the segment, in place of body where the policy says so'),

	('match_token', 'environment', 'text NOT NULL',
		'environment whose log it is in; that of the call'),
	('match_token', 'organization_id', 'text NOT NULL DEFAULT ''default''',
		'organization (tenant) that made the call'),
	('match_token', 'token', 'text NOT NULL',
		'keyed hash of the identifier, with the id of the key; search for it by equality'),
	('match_token', 'entity', 'text',
		'kind of identifier, as detect() names it, e.g. CREDIT_CARD'),
	('match_token', 'call_id', 'uuid NOT NULL',
		'id of the row in llm_call'),
	('match_token', 'request_id', 'text',
		'request_id of the call'),

	('admin_event', 'known_values', 'text[]',
		'names and numbers that the writer knows, to be masked wherever they occur in the row; never stored'),
	('admin_event', 'environment', 'text NOT NULL',
		'environment whose log it is in, e.g. prod, pilot or test'),
	('admin_event', 'organization_id', 'text NOT NULL DEFAULT ''default''',
		'organization (tenant) that it concerns'),
	('admin_event', 'project_id', 'text',
		'project that it concerns'),
	('admin_event', 'source_id', 'text',
		'name of the writer; gap_report() finds what it failed to write'),
	('admin_event', 'source_epoch', 'text',
		'start of the writer: source_seq counts anew in each'),
	('admin_event', 'source_seq', 'int8',
		'running number of the record within source_id and source_epoch'),
	('admin_event', 'occurred_at', 'timestamptz NOT NULL',
		'when it happened, by the clock of the writer'),
	('admin_event', 'time_zone', 'text',
		'IANA name of the local time zone where it happened, e.g. Asia/Almaty'),
	('admin_event', 'utc_offset_minutes', 'int2 NOT NULL DEFAULT 0',
		'minutes that local time was ahead of UTC at that moment; the default says that the writer reports in UTC'),
	('admin_event', 'category', 'text NOT NULL',
		'api_key, quota, routing, model, prompt, billing, access, data_export, authentication, authorization, data_access, configuration, incident, retention or disclosure; what action_type says of the action, if that is listed there'),
	('admin_event', 'action', 'text NOT NULL',
		'what was done, noun.verb in the past tense, listed in action_type'),
	('admin_event', 'actor_id', 'text NOT NULL',
		'who did it: a member of staff, or the name of the service, job, policy or agent that did'),
	('admin_event', 'actor_type', 'text NOT NULL',
		'human, service, job, policy or agent'),
	('admin_event', 'actor_role', 'text',
		'role in which the actor acted'),
	('admin_event', 'on_behalf_of', 'text',
		'whom the actor stood in for: impersonation, support session'),
	('admin_event', 'actor_ip', 'inet',
		'network address of the actor'),
	('admin_event', 'user_agent', 'text',
		'client software of the actor; OpenTelemetry user_agent.original'),
	('admin_event', 'session_id', 'text',
		'session of the actor; OpenTelemetry session.id'),
	('admin_event', 'target_type', 'text NOT NULL',
		'kind of thing that was acted on, e.g. api_key, quota, route_policy'),
	('admin_event', 'target_id', 'text',
		'which one; a label or identifier, never a secret'),
	('admin_event', 'target_version', 'text',
		'its version after the event'),
	('admin_event', 'before', 'jsonb',
		'values before the change, secrets redacted'),
	('admin_event', 'after', 'jsonb',
		'values after the change, secrets redacted'),
	('admin_event', 'reason', 'text',
		'why, masked; required for a high-risk event until erased'),
	('admin_event', 'request_id', 'text',
		'request that it concerns, as in llm_call'),
	('admin_event', 'correlation_id', 'text',
		'identifier that the caller uses across its own systems'),
	('admin_event', 'ticket', 'text',
		'ticket under which it was done'),
	('admin_event', 'incident_id', 'text',
		'incident that it belongs to'),
	('admin_event', 'route_version', 'text',
		'version of the route policy that it concerns'),
	('admin_event', 'budget_policy_version', 'text',
		'version of the budget and quota policy that it concerns'),
	('admin_event', 'settlement_id', 'uuid',
		'id of the row in settlement that it led to'),
	('admin_event', 'approval_id', 'text',
		'identifier of the approval'),
	('admin_event', 'approved_by', 'text[]',
		'who approved it'),
	('admin_event', 'outcome', 'text NOT NULL',
		'success, failure or denied'),
	('admin_event', 'high_risk', 'boolean NOT NULL DEFAULT false',
		'the event needs a reason; raised where action_type says so'),

	('usage_event', 'environment', 'text NOT NULL',
		'environment whose log it is in; that of the call'),
	('usage_event', 'organization_id', 'text NOT NULL DEFAULT ''default''',
		'organization (tenant) that is charged'),
	('usage_event', 'project_id', 'text',
		'project that is charged'),
	('usage_event', 'actor_id', 'text',
		'who used it: a pseudonym of a person, or the name of a service, job, policy or agent'),
	('usage_event', 'actor_type', 'text',
		'human, service, job, policy or agent; without it actor_id is taken for a person'),
	('usage_event', 'api_key_id', 'text',
		'label of the API key that was used, never a key'),
	('usage_event', 'call_id', 'uuid',
		'id of the row in llm_call'),
	('usage_event', 'request_id', 'text NOT NULL',
		'request_id of the call'),
	('usage_event', 'occurred_at', 'timestamptz NOT NULL',
		'when the usage occurred, by the clock of the writer'),
	('usage_event', 'unit', 'text NOT NULL',
		'what is counted, e.g. input_token, output_token, request, second'),
	('usage_event', 'quantity', 'numeric(20,10) NOT NULL',
		'how many units'),
	('usage_event', 'unit_price', 'numeric(20,10)',
		'price of one unit, in currency'),
	('usage_event', 'price_version', 'text',
		'version of the price list'),
	('usage_event', 'cost', 'numeric(20,10) NOT NULL',
		'what is charged, in currency'),
	('usage_event', 'currency', 'char(3) NOT NULL',
		'currency of cost and unit_price, ISO 4217'),

	('settlement', 'environment', 'text NOT NULL',
		'environment whose log it is in'),
	('settlement', 'organization_id', 'text NOT NULL DEFAULT ''default''',
		'organization (tenant) that is charged or credited'),
	('settlement', 'occurred_at', 'timestamptz',
		'when it took effect, by the clock of the writer; NULL: when it was recorded'),
	('settlement', 'kind', 'text NOT NULL',
		'charge, credit, refund, void, adjustment or invoice_line'),
	('settlement', 'original_request_id', 'text',
		'request_id of the call that it is about'),
	('settlement', 'usage_event_id', 'uuid',
		'id of the row in usage_event that it settles'),
	('settlement', 'corrects_id', 'uuid',
		'id of the row in settlement that it corrects'),
	('settlement', 'approving_event_id', 'uuid',
		'id of the row in admin_event that approved it'),
	('settlement', 'invoice_id', 'text',
		'invoice that it appears on'),
	('settlement', 'budget_policy_version', 'text',
		'version of the budget and quota policy in force'),
	('settlement', 'amount', 'numeric(20,10) NOT NULL',
		'amount, in currency; positive: the organization owes it'),
	('settlement', 'currency', 'char(3) NOT NULL',
		'currency of amount, ISO 4217'),
	('settlement', 'reason', 'text',
		'why, masked'),

	('segment_event', 'environment', 'text NOT NULL',
		'environment of the segment, whose log it is in; of a segment that has none, that whose log keeps the event'),
	('segment_event', 'event', 'text NOT NULL',
		'created, closed, rows_purged (some of its rows are gone) or purged (all are)'),
	('segment_event', 'ledger', 'text NOT NULL',
		'ledger that the segment belongs to, with its schema'),
	('segment_event', 'ledger_id', 'uuid NOT NULL',
		'identity of that ledger, part of its rows'' preimages'),
	('segment_event', 'segment', 'int4 NOT NULL',
		'number of the segment in its ledger, from 1 without gaps'),
	('segment_event', 'leaf', 'text NOT NULL',
		'table that holds the segment, with its schema'),
	('segment_event', 'lower', 'timestamptz NOT NULL',
		'first recorded_at of the segment, inclusive; -infinity: unbounded'),
	('segment_event', 'upper', 'timestamptz NOT NULL',
		'last recorded_at of the segment, exclusive; infinity: unbounded'),
	('segment_event', 'is_default', 'boolean NOT NULL',
		'the segment holds what no other covers'),
	('segment_event', 'row_count', 'int8',
		'of a closed segment: its rows; of a purge: the rows removed'),
	('segment_event', 'max_retain_until', 'timestamptz',
		'of a closed segment: the latest retain_until; NULL: some row is kept for ever, or there is none'),
	('segment_event', 'data_classes', 'text[]',
		'of a closed segment: the data classes that occur in it'),
	('segment_event', 'lanes', 'int4[]',
		'of a closed segment: its lanes; the next three columns go with it, element by element'),
	('segment_event', 'first_seqs', 'int8[]',
		'first chain_seq of each lane'),
	('segment_event', 'last_seqs', 'int8[]',
		'last chain_seq of each lane'),
	('segment_event', 'last_hashes', 'bytea[]',
		'row_hash of the last row of each lane'),
	('segment_event', 'lane_digests', 'bytea[]',
		'SHA-256 over the concatenated row_hashes of each lane, as in purge_receipt'),
	('segment_event', 'actor', 'text NOT NULL',
		'who asked for it: a login, or the maintenance that ran'),

	('erase_receipt', 'environment', 'text NOT NULL',
		'environment of the segment; of a segment that has none, that whose log keeps the receipt'),
	('erase_receipt', 'erasure_id', 'uuid NOT NULL',
		'the erasure: one request, or one run over a segment'),
	('erase_receipt', 'stage', 'text NOT NULL',
		'erased: the values were emptied; completed: the segment was rewritten, no old version of its rows is left'),
	('erase_receipt', 'cause', 'text NOT NULL',
		'period: the period of the field had passed; subject: on request of a person'),
	('erase_receipt', 'ledger', 'text NOT NULL',
		'ledger that the segment belongs to, with its schema'),
	('erase_receipt', 'ledger_id', 'uuid NOT NULL',
		'identity of that ledger'),
	('erase_receipt', 'segment', 'int4 NOT NULL',
		'number of the segment in its ledger'),
	('erase_receipt', 'leaf', 'text NOT NULL',
		'table that holds the segment, with its schema'),
	('erase_receipt', 'columns', 'int4[] NOT NULL',
		'numbers of the columns, as the rows'' erased column has them'),
	('erase_receipt', 'column_names', 'text[] NOT NULL',
		'names of these columns'),
	('erase_receipt', 'lanes', 'int4[]',
		'lanes in which rows were changed; the next two columns go with it, element by element'),
	('erase_receipt', 'first_seqs', 'int8[]',
		'first chain_seq of a run of changed rows'),
	('erase_receipt', 'last_seqs', 'int8[]',
		'last chain_seq of that run'),
	('erase_receipt', 'row_count', 'int8 NOT NULL',
		'rows that were changed'),
	('erase_receipt', 'transaction_id', 'int8',
		'transaction that emptied the values'),
	('erase_receipt', 'ticket', 'text',
		'ticket of the request'),
	('erase_receipt', 'basis', 'text',
		'legal basis of the request, masked'),
	('erase_receipt', 'actor', 'text NOT NULL',
		'who asked for it: a login, or the maintenance that ran'),
	('purge_receipt', 'environment', 'text NOT NULL',
		'environment of the segment, whose log it is in; of a segment that has none, that whose log keeps the receipt'),
	('purge_receipt', 'purge_id', 'uuid NOT NULL',
		'the purge; it has one receipt for each lane of a segment'),
	('purge_receipt', 'ledger', 'text NOT NULL',
		'ledger that the rows were in, with its schema'),
	('purge_receipt', 'ledger_id', 'uuid NOT NULL',
		'identity of that ledger'),
	('purge_receipt', 'segment', 'int4 NOT NULL',
		'number of the segment'),
	('purge_receipt', 'lane', 'int4 NOT NULL',
		'lane of the rows'),
	('purge_receipt', 'first_seqs', 'int8[] NOT NULL',
		'chain_seq of the first row of each unbroken run that is gone, ascending'),
	('purge_receipt', 'last_seqs', 'int8[] NOT NULL',
		'chain_seq of the last row of each run'),
	('purge_receipt', 'row_count', 'int8 NOT NULL',
		'number of rows'),
	('purge_receipt', 'row_digest', 'bytea NOT NULL',
		'SHA-256 over the concatenated row_hashes of the rows, by chain_seq'),
	('purge_receipt', 'policy', 'text NOT NULL',
		'policies by which they had expired'),
	('purge_receipt', 'reason', 'text NOT NULL',
		'why they were purged'),
	('purge_receipt', 'actor', 'text NOT NULL',
		'who purged them: a login')
$$;
COMMENT ON FUNCTION llm_audit.builtin_columns() IS
	'columns of the built-in ledgers, in table order; a NULL relation_name stands for every ledger';
REVOKE EXECUTE ON FUNCTION llm_audit.builtin_columns() FROM PUBLIC;

-- Each statement that inserts has to read all of these again, so bounds that
-- are alike share one constraint, and what would be long is a function of
-- ours.  least() and greatest() pass over NULLs; a constraint accepts NULL.
-- NaN is refused because it would spoil every sum for ever, as infinite
-- times would every difference.
CREATE FUNCTION llm_audit.builtin_constraints()
	RETURNS TABLE (relation_name name, constraint_name name, expression text)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
VALUES
	('llm_call'::name, 'llm_call_request_id_check'::name,
		'request_id <> '''''),
	('llm_call', 'llm_call_times_check',
		'isfinite(occurred_at) AND isfinite(ended_at)'),
	('llm_call', 'llm_call_utc_offset_minutes_check',
		'utc_offset_minutes BETWEEN -1080 AND 1080'),
	('llm_call', 'llm_call_actor_id_check',
		'actor_id IS NOT NULL OR erased IS NOT NULL'),
	('llm_call', 'llm_call_actor_type_check',
		'actor_type = ANY (''{human,service,job,policy,agent}'')'),
	('llm_call', 'llm_call_model_check',
		'provider_name IS NOT NULL AND request_model IS NOT NULL OR status = ''blocked'''),
	('llm_call', 'llm_call_attempt_check',
		'least(attempt, max_attempts) >= 1'),
	('llm_call', 'llm_call_attempt_kind_check',
		'attempt_kind = ANY (''{first,retry,fallback}'')'),
	('llm_call', 'llm_call_status_check',
		'status = ANY (''{ok,error,timeout,blocked,cancelled}'')'),
	('llm_call', 'llm_call_counts_check',
		'least(source_seq, http_status, tool_call_count) >= 0'),
	('llm_call', 'llm_call_tokens_check',
		'least(input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens, reasoning_output_tokens) >= 0'),
	('llm_call', 'llm_call_durations_check',
		'least(duration_ms, time_to_first_chunk_ms) >= 0 AND greatest(duration_ms, time_to_first_chunk_ms) <> ''NaN'''),
	('llm_call', 'llm_call_step_durations_check',
		'llm_audit.are_step_durations(step_durations)'),
	('llm_call', 'llm_call_cost_check',
		'cost <> ''NaN'''),
	('llm_call', 'llm_call_masking_status_check',
		'masking_status = ANY (''{masked,clean,withheld,not_examined}'')'),
	('llm_call', 'llm_call_data_class_check',
		'data_class = ANY (''{public,internal,personal,banking_secrecy}'')'),
	('llm_call', 'llm_call_guardrails_check',
		'llm_audit.are_guardrails(guardrails)'),
	('llm_call', 'llm_call_objects_check',
		'jsonb_typeof(request_params) = ''object'' AND jsonb_typeof(cost_breakdown) = ''object'' AND jsonb_typeof(pii_counts) = ''object'''),
	('llm_call', 'llm_call_attributes_check',
		'llm_audit.are_attributes(attributes)'),

	('llm_content', 'llm_content_request_id_check',
		'request_id <> '''''),
	('llm_content', 'llm_content_occurred_at_check',
		'isfinite(occurred_at)'),
	('llm_content', 'llm_content_kind_check',
		'kind = ANY (''{system_instructions,prompt,response,tool_call,tool_result,retrieved_context}'')'),
	('llm_content', 'llm_content_counts_check',
		'least(ordinal, message_index, body_bytes) >= 0'),
	('llm_content', 'llm_content_pii_counts_check',
		'jsonb_typeof(pii_counts) = ''object'''),
	('llm_content', 'llm_content_data_class_check',
		'data_class = ANY (''{public,internal,personal,banking_secrecy}'')'),

	('match_token', 'match_token_token_check',
		'token <> '''''),
	('match_token', 'match_token_request_id_check',
		'request_id <> '''''),

	('admin_event', 'admin_event_request_id_check',
		'request_id <> '''''),
	('admin_event', 'admin_event_occurred_at_check',
		'isfinite(occurred_at)'),
	('admin_event', 'admin_event_utc_offset_minutes_check',
		'utc_offset_minutes BETWEEN -1080 AND 1080'),
	('admin_event', 'admin_event_source_seq_check',
		'source_seq >= 0'),
	('admin_event', 'admin_event_category_check',
		'category = ANY (''{api_key,quota,routing,model,prompt,billing,access,data_export,authentication,authorization,data_access,configuration,incident,retention,disclosure}'')'),
	('admin_event', 'admin_event_action_check',
		'action ~ ''^[a-z0-9_]+(\.[a-z0-9_]+)+$'''),
	('admin_event', 'admin_event_actor_type_check',
		'actor_type = ANY (''{human,service,job,policy,agent}'')'),
	('admin_event', 'admin_event_outcome_check',
		'outcome = ANY (''{success,failure,denied}'')'),
	('admin_event', 'admin_event_reason_check',
		'NOT high_risk OR reason IS NOT NULL OR erased IS NOT NULL'),

	('usage_event', 'usage_event_actor_type_check',
		'actor_type = ANY (''{human,service,job,policy,agent}'')'),
	('usage_event', 'usage_event_request_id_check',
		'request_id <> '''''),
	('usage_event', 'usage_event_occurred_at_check',
		'isfinite(occurred_at)'),
	('usage_event', 'usage_event_unit_check',
		'unit <> '''''),
	('usage_event', 'usage_event_quantity_check',
		'quantity >= 0 AND quantity <> ''NaN'''),
	('usage_event', 'usage_event_cost_check',
		'cost <> ''NaN'' AND unit_price <> ''NaN'''),
	('usage_event', 'usage_event_currency_check',
		'currency ~ ''^[A-Z]{3}$'''),

	('settlement', 'settlement_original_request_id_check',
		'original_request_id <> '''''),
	('settlement', 'settlement_occurred_at_check',
		'isfinite(occurred_at)'),
	('settlement', 'settlement_kind_check',
		'kind = ANY (''{charge,credit,refund,void,adjustment,invoice_line}'')'),
	('settlement', 'settlement_amount_check',
		'amount <> ''NaN'''),
	('settlement', 'settlement_currency_check',
		'currency ~ ''^[A-Z]{3}$'''),

	('segment_event', 'segment_event_event_check',
		'event = ANY (''{created,closed,rows_purged,purged}'')'),
	('segment_event', 'segment_event_segment_check',
		'segment >= 1'),
	('segment_event', 'segment_event_row_count_check',
		'row_count >= 0'),
	('segment_event', 'segment_event_bounds_check',
		'lower <= upper'),
	('segment_event', 'segment_event_data_classes_check',
		'data_classes <@ ''{public,internal,personal,banking_secrecy}'''),
	('segment_event', 'segment_event_lanes_check',
		'cardinality(lanes) = cardinality(first_seqs) AND cardinality(lanes) = cardinality(last_seqs) AND cardinality(lanes) = cardinality(last_hashes)'),

	('erase_receipt', 'erase_receipt_stage_check',
		'stage = ANY (''{erased,completed}'') AND (stage = ''completed'' OR num_nulls(lanes, first_seqs, last_seqs, transaction_id) = 0)'),
	('erase_receipt', 'erase_receipt_cause_check',
		'cause = ANY (''{period,subject}'')'),
	('erase_receipt', 'erase_receipt_counts_check',
		'segment >= 1 AND row_count >= 0 AND cardinality(columns) >= 1'),
	('erase_receipt', 'erase_receipt_lanes_check',
		'cardinality(lanes) = cardinality(first_seqs) AND cardinality(lanes) = cardinality(last_seqs)'),
	('purge_receipt', 'purge_receipt_runs_check',
		'cardinality(first_seqs) = cardinality(last_seqs)'),
	('purge_receipt', 'purge_receipt_row_count_check',
		'row_count >= 1')
$$;
COMMENT ON FUNCTION llm_audit.builtin_constraints() IS
	'check constraints of the built-in ledgers';
REVOKE EXECUTE ON FUNCTION llm_audit.builtin_constraints() FROM PUBLIC;

-- The checks of jsonb columns.  They are called for values, not for NULL, and
-- are functions to keep the constraints short.

CREATE FUNCTION llm_audit.are_step_durations(value jsonb) RETURNS boolean
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF jsonb_typeof(value) <> 'object' THEN
		RETURN false;
	END IF;
	RETURN value - '{received,authorized,routed,forwarded,first_chunk,completed,cached,recorded}'::text[] = '{}'
		AND NOT jsonb_path_exists(value,
			'strict $.* ? (@.type() != "number" || @ < 0)');
END
$$;
COMMENT ON FUNCTION llm_audit.are_step_durations(jsonb) IS
	'whether value is an object of step durations in milliseconds, with the steps that llm_call.step_durations knows; NULL for NULL';

CREATE FUNCTION llm_audit.are_guardrails(value jsonb) RETURNS boolean
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF jsonb_typeof(value) <> 'array' THEN
		RETURN false;
	END IF;
	RETURN NOT EXISTS (SELECT FROM jsonb_array_elements(value) AS guardrail
		WHERE coalesce(guardrail ->> 'status', '') NOT IN ('success',
			'guardrail_intervened', 'guardrail_failed_to_respond', 'not_run'));
END
$$;
COMMENT ON FUNCTION llm_audit.are_guardrails(jsonb) IS
	'whether value is an array of objects, each with a status that llm_call.guardrails knows; NULL for NULL';

CREATE FUNCTION llm_audit.are_attributes(value jsonb) RETURNS boolean
	LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN jsonb_typeof(value) = 'object'
		AND NOT value ?| '{messages,prompt,input,output,request,response,proxy_server_request,completion,choices,content,gen_ai.input.messages,gen_ai.output.messages,gen_ai.system_instructions,gen_ai.tool.call.arguments,gen_ai.tool.call.result,gen_ai.retrieval.documents,gen_ai.retrieval.query.text}'::text[]
		AND octet_length(value::text) <= 8192;
END
$$;
COMMENT ON FUNCTION llm_audit.are_attributes(jsonb) IS
	'whether value is an object of at most 8192 bytes as text, none of whose keys stands for content of a call; NULL for NULL';

CREATE FUNCTION llm_audit.builtin_indexes()
	RETURNS TABLE (relation_name name, index_name name, definition text,
		description text)
	LANGUAGE sql IMMUTABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
VALUES
	('llm_call'::name, 'llm_call_request_id_idx'::name, '(request_id)',
		'finds the attempts and tool calls of a request'),
	('llm_call', 'llm_call_occurred_at_idx', '(occurred_at)',
		'finds the calls of a time'),
	('llm_content', 'llm_content_call_id_idx', '(call_id)',
		'finds the text of an attempt'),
	('llm_content', 'llm_content_request_id_idx', '(request_id)',
		'finds the text of a request'),
	('match_token', 'match_token_token_idx', '(token)',
		'finds the calls that an identifier occurs in'),
	('match_token', 'match_token_call_id_idx', '(call_id)',
		'finds the tokens of a call'),
	('admin_event', 'admin_event_occurred_at_idx', '(occurred_at)',
		'finds the events of a time'),
	('admin_event', 'admin_event_request_id_idx',
		'(request_id) WHERE request_id IS NOT NULL',
		'finds the events that concern a request'),
	('usage_event', 'usage_event_request_id_idx', '(request_id)',
		'finds the usage of a request'),
	('settlement', 'settlement_original_request_id_idx',
		'(original_request_id)',
		'finds the settlements of a request'),
	('admin_event', 'admin_event_incident_idx',
		'(incident_id) WHERE category = ''incident''',
		'finds the incidents that are open'),
	('segment_event', 'segment_event_segment_idx', '(ledger_id, segment)',
		'finds the life of a segment'),
	('erase_receipt', 'erase_receipt_segment_idx', '(ledger_id, segment)',
		'finds the erasures in a segment'),
	('purge_receipt', 'purge_receipt_segment_idx', '(ledger_id, segment)',
		'finds what was purged from a segment')
$$;
COMMENT ON FUNCTION llm_audit.builtin_indexes() IS
	'indexes of the built-in ledgers; few, since each one slows every insert down, and none on a column that can be erased';
REVOKE EXECUTE ON FUNCTION llm_audit.builtin_indexes() FROM PUBLIC;

-- Makes one built-in ledger's table.  Erasable columns get no statistics,
-- which would keep copies of erased values.
CREATE FUNCTION llm_audit.create_builtin_table(target name) RETURNS void
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	elements text;
	ledger record;
	part record;
BEGIN
	SELECT * INTO STRICT ledger FROM llm_audit.builtin_ledgers() AS b
		WHERE b.relation_name = target;

	SELECT string_agg(e.element, ', ' ORDER BY e.kind, e.n) INTO elements
		FROM (SELECT 1, c.n, format('%I %s', c.column_name, c.definition)
				FROM llm_audit.builtin_columns() WITH ORDINALITY AS
					c (relation_name, column_name, definition, description, n)
				WHERE coalesce(c.relation_name, target) = target
			UNION ALL
			SELECT 2, k.n,
					format('CONSTRAINT %I CHECK (%s)', k.constraint_name, k.expression)
				FROM llm_audit.builtin_constraints() WITH ORDINALITY AS
					k (relation_name, constraint_name, expression, n)
				WHERE k.relation_name = target) AS e (kind, n, element);

	EXECUTE format('CREATE TABLE llm_audit.%I (%s) PARTITION BY LIST (environment)',
		target, elements);
	EXECUTE format('COMMENT ON TABLE llm_audit.%I IS %L', target, ledger.description);

	FOR part IN SELECT * FROM llm_audit.builtin_columns() AS c
		WHERE coalesce(c.relation_name, target) = target
	LOOP
		EXECUTE format('COMMENT ON COLUMN llm_audit.%I.%I IS %L',
			target, part.column_name, part.description);
		IF part.column_name = ANY (ledger.erasable) THEN
			EXECUTE format('ALTER TABLE llm_audit.%I ALTER COLUMN %I SET STATISTICS 0',
				target, part.column_name);
		END IF;
	END LOOP;

	FOR part IN SELECT * FROM llm_audit.builtin_indexes() AS i
		WHERE i.relation_name = target
	LOOP
		EXECUTE format('CREATE INDEX %I ON llm_audit.%I %s',
			part.index_name, target, part.definition);
		EXECUTE format('COMMENT ON INDEX llm_audit.%I IS %L',
			part.index_name, part.description);
	END LOOP;
END
$$;
COMMENT ON FUNCTION llm_audit.create_builtin_table(name) IS
	'makes the table, comments and indexes of the built-in ledger of that name';
REVOKE EXECUTE ON FUNCTION llm_audit.create_builtin_table(name) FROM PUBLIC;

CREATE FUNCTION llm_audit.create_builtin_tables() RETURNS SETOF text
	LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	ledger name;
BEGIN
	FOR ledger IN SELECT b.relation_name FROM llm_audit.builtin_ledgers() AS b
	LOOP
		CONTINUE WHEN to_regclass(format('llm_audit.%I', ledger)) IS NOT NULL;
		PERFORM llm_audit.create_builtin_table(ledger);
		RETURN NEXT ledger;
	END LOOP;
END
$$;
COMMENT ON FUNCTION llm_audit.create_builtin_tables() IS
	'makes those tables of built-in ledgers that are missing, and returns their names; setup() turns them into ledgers';
REVOKE EXECUTE ON FUNCTION llm_audit.create_builtin_tables() FROM PUBLIC;
