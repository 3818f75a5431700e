/*
 * record_schemas.h
 *	  The ledgers' columns as the mappers' tests and fuzzers see them: those
 *	  that formats map to, and a few that only the server sets.
 */
#ifndef RECORD_SCHEMAS_H
#define RECORD_SCHEMAS_H

#include "record_tap.h"

#define SCHEMA_BUCKETS 512

static const char *const call_columns[] = {
	"id", "recorded_at", "row_hash", "known_values", "environment",
	"organization_id", "project_id", "team_id", "request_id", "trace_id",
	"span_id", "parent_span_id", "correlation_id", "conversation_id",
	"session_id", "batch_id", "response_id", "source_id", "source_epoch",
	"source_seq", "occurred_at", "time_zone", "utc_offset_minutes", "ended_at",
	"region", "service_name", "service_version", "channel", "server_address",
	"actor_id", "actor_type", "end_user_id", "api_key_id", "agent_id",
	"agent_name", "agent_version", "client_address", "user_agent",
	"operation_name", "provider_name", "request_model", "response_model",
	"route_id", "prompt_name", "request_params", "is_stream", "tool_name",
	"tool_type", "tool_call_id", "tool_call_count", "attempt", "attempt_kind",
	"status", "http_status", "error_code", "error_type", "error_message",
	"finish_reasons", "duration_ms", "time_to_first_chunk_ms", "input_tokens",
	"output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
	"reasoning_output_tokens", "cost", "currency", "cost_breakdown",
	"cache_hit", "data_class", "guardrails", "policies_triggered",
	"attributes", NULL
};

static const char *const content_columns[] = {
	"id", "row_hash", "environment", "organization_id", "service_name",
	"call_id", "request_id", "occurred_at", "ordinal", "message_index", "role",
	"kind", "content_type", "tool_call_id", "body", "body_bytes", "data_class",
	NULL
};

static const char *const token_columns[] = {
	"id", "environment", "organization_id", "token", "entity", "call_id",
	"request_id", NULL
};

static const char *const usage_columns[] = {
	"id", "environment", "call_id", "request_id", "occurred_at", "unit",
	"quantity", "cost", "currency", NULL
};

static const char *const admin_columns[] = {
	"id", "environment", "occurred_at", "category", "action", "actor_id",
	"actor_type", "actor_ip", "user_agent", "target_type", "target_id", "after",
	"outcome", "project_id", "correlation_id", NULL
};

/* Schema number i over the columns; each has storage of its own. */
static inline const RecordSchema *
SchemaOf(int i, const char *ledger, const char *const *names)
{
	static RecordSchema schemas[5];
	static RecordColumn columns[5][100];
	static uint16_t buckets[5][SCHEMA_BUCKETS];
	RecordSchema *schema = &schemas[i];

	if (schema->ledger)
		return schema;
	schema->ledger = ledger;
	schema->columns = columns[i];
	schema->buckets = buckets[i];
	schema->nbuckets = SCHEMA_BUCKETS;
	for (int n = 0; names[n]; n++)
	{
		columns[i][n].name = names[n];
		columns[i][n].len = (uint32_t) strlen(names[n]);
		columns[i][n].stamped = strcmp(names[n], "recorded_at") == 0 ||
			strcmp(names[n], "row_hash") == 0;
		schema->ncolumns = n + 1;
	}
	RecordSchemaIndex(schema);
	return schema;
}

static inline RecordSchemas
CallSchemas(void)
{
	RecordSchemas schemas;

	schemas.main = SchemaOf(0, "llm_call", call_columns);
	schemas.content = SchemaOf(1, "llm_content", content_columns);
	schemas.token = SchemaOf(2, "match_token", token_columns);
	schemas.usage = SchemaOf(3, "usage_event", usage_columns);
	return schemas;
}

static inline RecordSchemas
AdminSchemas(void)
{
	RecordSchemas schemas;

	memset(&schemas, 0, sizeof(schemas));
	schemas.main = SchemaOf(4, "admin_event", admin_columns);
	return schemas;
}

#endif
