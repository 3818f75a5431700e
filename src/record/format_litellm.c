/*
 * format_litellm.c
 *	  LiteLLM's StandardLoggingPayload and rows of its SpendLogs table.
 *
 * Both carry the same facts under different names; SpendLogs keeps JSON in
 * strings.  Their "request_id" and "id" are the provider's and become
 * response_id; request_id is LiteLLM's call id where the record has one.
 */
#include "record/format.h"

#include <string.h>

/* LiteLLM's names of providers where OpenTelemetry has another. */
static const char *const providers[][2] = {
	{"azure", "azure.ai.openai"},
	{"azure_ai", "azure.ai.inference"},
	{"bedrock", "aws.bedrock"},
	{"bedrock_converse", "aws.bedrock"},
	{"vertex_ai", "gcp.vertex_ai"},
	{"vertex_ai_beta", "gcp.vertex_ai"},
	{"gemini", "gcp.gemini"},
	{"mistral", "mistral_ai"},
	{"watsonx", "ibm.watsonx.ai"},
	{"xai", "x_ai"},
	{"cohere_chat", "cohere"},
	{NULL, NULL}
};

static const char *const operations[][2] = {
	{"completion", "chat"},
	{"acompletion", "chat"},
	{"responses", "chat"},
	{"aresponses", "chat"},
	{"anthropic_messages", "chat"},
	{"text_completion", "text_completion"},
	{"atext_completion", "text_completion"},
	{"embedding", "embeddings"},
	{"aembedding", "embeddings"},
	{"call_mcp_tool", "execute_tool"},
	{"image_generation", "generate_content"},
	{"aimage_generation", "generate_content"},
	{"agenerate_content", "generate_content"},
	{NULL, NULL}
};

/* Sets a column to value, or to what a table says for it. */
static void
SetTranslated(RecordDoc *doc, const char *column, const JsonNode *value,
			  const char *const(*table)[2])
{
	for (; (*table)[0]; table++)
	{
		if (JsonIs(value, (*table)[0]))
			RecordSetString(doc, column, (*table)[1]);
	}
	RecordSet(doc, column, value);
}

/* "True", "False" and "None" in strings, too. */
static void
SetBoolean(RecordDoc *doc, const char *column, const JsonNode *value)
{
	if (JsonIs(value, "True") || JsonIs(value, "true"))
		RecordSet(doc, column, JsonMake(doc->arena, JSON_TRUE));
	else if (JsonIs(value, "False") || JsonIs(value, "false"))
		RecordSet(doc, column, JsonMake(doc->arena, JSON_FALSE));
	else if (value && value->type != JSON_STRING)
		RecordSet(doc, column, value);
}

/* LiteLLM's own call id, and the provider's response id. */
static void
MapIds(RecordDoc *doc, const JsonNode *root, const JsonNode *metadata)
{
	static const char *const paths[] = {
		"litellm_call_id", "hidden_params/litellm_call_id",
		"hidden_params/additional_headers/x-litellm-call-id", NULL
	};

	for (const char *const *path = paths; *path; path++)
		RecordSet(doc, "request_id", JsonPath (root, *path));
	RecordSet(doc, "request_id", JsonGet(metadata, "litellm_call_id"));
	RecordSet(doc, "response_id",
			  doc->format == RECORD_LITELLM_SPEND ?
			  JsonGet(root, "request_id") : JsonGet(root, "id"));
	RecordSet(doc, "trace_id", JsonGet(root, "trace_id"));
	RecordSet(doc, "session_id", JsonGet(root, "session_id"));
}

/* Actor, key, team, organization, end user and address. */
static void
MapWho(RecordDoc *doc, const JsonNode *root, const JsonNode *metadata)
{
	static const char *const keys[][2] = {
		{"actor_id", "user_api_key_user_id"},
		{"actor_id", "user_api_key_alias"},
		{"api_key_id", "user_api_key_alias"},
		{"api_key_id", "user_api_key_hash"},
		{"team_id", "user_api_key_team_id"},
		{"project_id", "user_api_key_project_id"},
		{"organization_id", "user_api_key_org_id"},
		{"end_user_id", "user_api_key_end_user_id"},
		{"client_address", "requester_ip_address"},
		{"user_agent", "user_agent"},
		{NULL, NULL}
	};

	RecordSet(doc, "actor_id", JsonGet(root, "user"));
	RecordSet(doc, "team_id", JsonGet(root, "team_id"));
	RecordSet(doc, "organization_id", JsonGet(root, "organization_id"));
	RecordSet(doc, "end_user_id", JsonGet(root, "end_user"));
	RecordSet(doc, "client_address", JsonGet(root, "requester_ip_address"));
	RecordSet(doc, "agent_id", JsonGet(root, "agent_id"));
	for (size_t i = 0; keys[i][0]; i++)
		RecordSet(doc, keys[i][0], JsonGet(metadata, keys[i][1]));
	if (JsonHasValue(JsonGet(root, "api_key")) &&
		!RecordValueIsSecret(JsonGet(root, "api_key")->text,
							 JsonGet(root, "api_key")->len))
		RecordSet(doc, "api_key_id", JsonGet(root, "api_key"));
}

/* Milliseconds between two times, if both can be read. */
static void
MapSpan(RecordDoc *doc, const char *column, const JsonNode *from,
		const JsonNode *to)
{
	RecordTime	a;
	RecordTime	b;

	double		x;
	double		y;

	if (RecordNumber(from, &x) && RecordNumber(to, &y) && y >= x)
		RecordSet(doc, column, RecordFormatText(doc, "%.3f", (y - x) * 1000));
	else if (from && to && from->type == JSON_STRING &&
			 to->type == JSON_STRING &&
			 RecordParseTime(from->text, from->len, &a) &&
			 RecordParseTime(to->text, to->len, &b) && b.micros >= a.micros)
		RecordSet(doc, column,
				  RecordFormatText(doc, "%.3f",
								   (double) (b.micros - a.micros) / 1000));
}

/* Start, end and what lies between them. */
static void
MapTimes(RecordDoc *doc, const JsonNode *root)
{
	const JsonNode *start = JsonGet(root, "startTime");
	const JsonNode *end = JsonGet(root, "endTime");

	RecordSetTime(doc, "occurred_at", start);
	RecordSetTime(doc, "ended_at", end);
	MapSpan(doc, "duration_ms", start, end);
	RecordSetMillis(doc, "duration_ms", JsonGet(root, "response_time"), 0.001);
	if (doc->format == RECORD_LITELLM_PAYLOAD &&
		JsonGet(root, "stream") && JsonGet(root, "stream")->type == JSON_TRUE)
		MapSpan(doc, "time_to_first_chunk_ms", start,
				JsonGet(root, "completionStartTime"));
}

/* Cost, tokens, cache and streaming. */
static void
MapUsage(RecordDoc *doc, const JsonNode *root, const JsonNode *metadata)
{
	const JsonNode *cost = JsonGet(root, "response_cost");

	if (cost == NULL)
		cost = JsonGet(root, "spend");
	if (RecordSet(doc, "cost", cost))
		RecordSetString(doc, "currency", "USD");
	RecordMapUsage(doc, JsonGet(metadata, "usage_object"));
	RecordMapUsage(doc, root);
	RecordSet(doc, "cost_breakdown", JsonGet(root, "cost_breakdown"));
	SetBoolean(doc, "cache_hit", JsonGet(root, "cache_hit"));
	SetBoolean(doc, "is_stream", JsonGet(root, "stream"));
}

/* Guardrails that ran, if their entries have statuses that we know. */
static void
MapGuardrails(RecordDoc *doc, const JsonNode *list)
{
	JsonNode   *array = JsonMake(doc->arena, JSON_ARRAY);
	const JsonNode *entry = list;

	if (!JsonHasValue(list) || array == NULL)
		return;
	if (list->type == JSON_ARRAY)
		entry = list->child;
	for (; entry; entry = list->type == JSON_ARRAY ? entry->next : NULL)
	{
		const JsonNode *status = JsonGet(entry, "guardrail_status");
		const JsonNode *name = JsonGet(entry, "guardrail_name");
		JsonNode   *out = JsonMake(doc->arena, JSON_OBJECT);

		if (out == NULL)
			return;
		if (JsonHasValue(name))
			JsonAppendMember(out, "name", 4, JsonShare(doc->arena, name));
		if (JsonIs(status, "blocked") || JsonIs(status, "intervened"))
			status = JsonMakeString(doc->arena, "guardrail_intervened");
		else if (!JsonIs(status, "guardrail_intervened") &&
				 !JsonIs(status, "guardrail_failed_to_respond") &&
				 !JsonIs(status, "not_run"))
			status = JsonMakeString(doc->arena,
									JsonIs(status, "failure") ?
									"guardrail_failed_to_respond" : "success");
		JsonAppendMember(out, "status", 6, JsonShare(doc->arena, status));
		JsonAppend(array, out);
	}
	RecordSet(doc, "guardrails", array);
}

/* Status, error, retries and guardrails. */
static void
MapOutcome(RecordDoc *doc, const JsonNode *root, const JsonNode *metadata)
{
	const JsonNode *error = JsonGet(root, "error_information");
	const JsonNode *status = JsonGet(root, "status");
	double		retries;

	if (!JsonHasValue(error))
		error = JsonGet(metadata, "error_information");
	RecordSet(doc, "error_code", JsonGet(error, "error_code"));
	RecordSet(doc, "error_type", JsonGet(error, "error_class"));
	RecordMapError(doc, JsonGet(error, "error_message"));
	RecordMapError(doc, JsonGet(root, "error_str"));
	if (JsonIs(JsonGet(error, "error_class"), "Timeout"))
		RecordSetString(doc, "status", "timeout");
	else if (JsonIs(status, "failure") ||
			 JsonHasValue(JsonGet(error, "error_class")))
		RecordSetString(doc, "status", "error");
	else
		RecordSetString(doc, "status", "ok");
	if (RecordNumber(JsonGet(metadata, "attempted_retries"), &retries) &&
		retries > 0 && retries < 1000)
	{
		RecordSetInt(doc, "attempt", (int64_t) retries + 1);
		RecordSetString(doc, "attempt_kind", "retry");
	}
	MapGuardrails(doc, JsonGet(root, "guardrail_information"));
	MapGuardrails(doc, JsonGet(metadata, "guardrail_information"));
	RecordSet(doc, "policies_triggered", JsonGet(metadata, "applied_guardrails"));
}

/* Model, route, provider, operation and host. */
static void
MapModel(RecordDoc *doc, const JsonNode *root)
{
	const JsonNode *group = JsonGet(root, "model_group");

	if (RecordSet(doc, "request_model", group))
		RecordSet(doc, "response_model", JsonGet(root, "model"));
	RecordSet(doc, "request_model", JsonGet(root, "model"));
	RecordSet(doc, "route_id", JsonGet(root, "model_id"));
	SetTranslated(doc, "provider_name", JsonGet(root, "custom_llm_provider"),
				  providers);
	SetTranslated(doc, "operation_name", JsonGet(root, "call_type"), operations);
	RecordSet(doc, "server_address",
			  RecordUrlHost(doc, JsonGet(root, "api_base")));
	RecordSet(doc, "server_address",
			  RecordUrlHost(doc, JsonPath (root, "hidden_params/api_base")));
	RecordSet(doc, "tool_name", JsonGet(root, "mcp_namespaced_tool_name"));
}

/* Texts; the proxied request only where the messages are not given. */
static void
MapTexts(RecordDoc *doc, const JsonNode *root)
{
	JsonNode   *request = RecordUnpack(doc, JsonGet(root, "proxy_server_request"));
	JsonNode   *response = RecordUnpack(doc, JsonGet(root, "response"));
	RecordFragment plain;

	RecordAddMessages(doc, JsonGet(root, "messages"), "prompt");
	if (JsonHasValue(request))
	{
		if (!request->deep)
			RecordRedact(doc, request);
		if (doc->content.count == 0)
			RecordMapRequest(doc, JsonGet(request, "body") ?
							 JsonGet(request, "body") : request);
		else
			RecordNote(doc, &doc->dropped, "proxy_server_request", 20);
	}
	memset(&plain, 0, sizeof(plain));
	plain.kind = "response";
	plain.message_index = -1;
	if (JsonHasValue(response) && response->type == JSON_STRING)
		RecordAddFragment(doc, &plain, response);
	else if (JsonHasValue(response))
		RecordMapResponse(doc, response);
}

bool
RecordMapLitellm(RecordDoc *doc, const JsonNode *root)
{
	static const char *const used[] = {
		"id", "request_id", "litellm_call_id", "trace_id", "session_id", "user",
		"team_id", "organization_id", "end_user", "requester_ip_address",
		"agent_id", "api_key", "startTime", "endTime", "completionStartTime",
		"response_time", "response_cost", "spend", "cost_breakdown",
		"prompt_tokens", "completion_tokens", "total_tokens", "cache_hit",
		"stream", "error_information", "error_str", "status",
		"guardrail_information", "model_group", "model", "model_id",
		"custom_llm_provider", "call_type", "api_base",
		"mcp_namespaced_tool_name", "messages", "response",
		"proxy_server_request", "metadata", "model_parameters", NULL
	};
	static const char *const used_metadata[] = {
		"user_api_key_user_id", "user_api_key_alias", "user_api_key_hash",
		"user_api_key_team_id", "user_api_key_project_id",
		"user_api_key_org_id", "user_api_key_end_user_id",
		"requester_ip_address", "user_agent", "usage_object",
		"error_information", "attempted_retries", "guardrail_information",
		"applied_guardrails", "litellm_call_id", NULL
	};
	JsonNode   *metadata = RecordUnpack(doc, JsonGet(root, "metadata"));
	JsonNode   *params = RecordUnpack(doc, JsonGet(root, "model_parameters"));

	MapIds(doc, root, metadata);
	MapModel(doc, root);
	MapWho(doc, root, metadata);
	MapTimes(doc, root);
	MapUsage(doc, root, metadata);
	MapOutcome(doc, root, metadata);
	if (JsonHasValue(params) && params->type == JSON_OBJECT)
	{
		RecordClean(doc, params);
		RecordSet(doc, "request_params", params);
	}
	MapTexts(doc, root);
	RecordMapRest(doc, root, used, "litellm.");
	for (const JsonNode *m = metadata && metadata->type == JSON_OBJECT ?
		 metadata->child : NULL; m; m = m->next)
	{
		const char *const *name = used_metadata;

		while (*name && !(m->key_len == strlen(*name) &&
						  memcmp(m->key, *name, m->key_len) == 0))
			name++;
		if (*name == NULL)
			RecordAttribute(doc, "litellm.metadata.", m);
	}
	return !doc->arena->failed;
}
