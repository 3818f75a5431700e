/*
 * format_otel.c
 *	  OpenTelemetry: GenAI attributes, flat or in a span.
 *
 * Spans come as OTLP/JSON writes them (attributes as an array of key and
 * value), with attributes as an object, or as the SDKs print them.  The
 * older gen_ai.prompt.N.* names and llm.* are understood too.
 */
#include "record/format.h"

#include <stdlib.h>
#include <string.h>

typedef enum How
{
	AS_IS,
	AS_TIME,
	FROM_SECONDS,				/* to milliseconds */
	AS_PROVIDER,
	AS_ENVIRONMENT,
	AS_OPERATION
} How;

typedef struct Mapping
{
	const char *name;
	const char *column;
	How			how;
} Mapping;

static const Mapping mappings[] = {
	{"gen_ai.operation.name", "operation_name", AS_OPERATION},
	{"llm.request.type", "operation_name", AS_OPERATION},
	{"gen_ai.provider.name", "provider_name", AS_PROVIDER},
	{"gen_ai.system", "provider_name", AS_PROVIDER},
	{"gen_ai.request.model", "request_model", AS_IS},
	{"gen_ai.response.model", "response_model", AS_IS},
	{"gen_ai.response.id", "response_id", AS_IS},
	{"gen_ai.response.finish_reasons", "finish_reasons", AS_IS},
	{"gen_ai.response.time_to_first_chunk", "time_to_first_chunk_ms", FROM_SECONDS},
	{"gen_ai.request.stream", "is_stream", AS_IS},
	{"llm.is_streaming", "is_stream", AS_IS},
	{"gen_ai.conversation.id", "conversation_id", AS_IS},
	{"gen_ai.agent.id", "agent_id", AS_IS},
	{"gen_ai.agent.name", "agent_name", AS_IS},
	{"gen_ai.agent.version", "agent_version", AS_IS},
	{"gen_ai.tool.name", "tool_name", AS_IS},
	{"gen_ai.tool.type", "tool_type", AS_IS},
	{"gen_ai.tool.call.id", "tool_call_id", AS_IS},
	{"gen_ai.prompt.name", "prompt_name", AS_IS},
	{"gen_ai.usage.input_tokens", "input_tokens", AS_IS},
	{"gen_ai.usage.prompt_tokens", "input_tokens", AS_IS},
	{"gen_ai.usage.output_tokens", "output_tokens", AS_IS},
	{"gen_ai.usage.completion_tokens", "output_tokens", AS_IS},
	{"gen_ai.usage.cache_read.input_tokens", "cache_read_input_tokens", AS_IS},
	{"gen_ai.usage.cache_read_input_tokens", "cache_read_input_tokens", AS_IS},
	{"gen_ai.usage.cache_creation.input_tokens", "cache_creation_input_tokens", AS_IS},
	{"gen_ai.usage.cache_creation_input_tokens", "cache_creation_input_tokens", AS_IS},
	{"gen_ai.usage.reasoning.output_tokens", "reasoning_output_tokens", AS_IS},
	{"gen_ai.usage.reasoning_tokens", "reasoning_output_tokens", AS_IS},
	{"gen_ai.usage.cost", "cost", AS_IS},
	{"error.type", "error_type", AS_IS},
	{"error.message", "error_message", AS_IS},
	{"server.address", "server_address", AS_IS},
	{"http.response.status_code", "http_status", AS_IS},
	{"http.status_code", "http_status", AS_IS},
	{"service.name", "service_name", AS_IS},
	{"service.version", "service_version", AS_IS},
	{"deployment.environment.name", "environment", AS_ENVIRONMENT},
	{"deployment.environment", "environment", AS_ENVIRONMENT},
	{"cloud.region", "region", AS_IS},
	{"user.id", "end_user_id", AS_IS},
	{"enduser.id", "end_user_id", AS_IS},
	{"session.id", "session_id", AS_IS},
	{"client.address", "client_address", AS_IS},
	{"user_agent.original", "user_agent", AS_IS},
	{"traceId", "trace_id", AS_IS},
	{"trace_id", "trace_id", AS_IS},
	{"spanId", "span_id", AS_IS},
	{"span_id", "span_id", AS_IS},
	{"parentSpanId", "parent_span_id", AS_IS},
	{"parent_span_id", "parent_span_id", AS_IS},
	{"parent_id", "parent_span_id", AS_IS},
	{"startTimeUnixNano", "occurred_at", AS_TIME},
	{"start_time", "occurred_at", AS_TIME},
	{"endTimeUnixNano", "ended_at", AS_TIME},
	{"end_time", "ended_at", AS_TIME},
	{NULL, NULL, AS_IS}
};

/* Fragments: attribute name, kind, role. */
static const struct
{
	const char *name;
	const char *kind;
	const char *role;
}			contents[] = {
	{"gen_ai.input.messages", "prompt", NULL},
	{"gen_ai.output.messages", "response", NULL},
	{"gen_ai.system_instructions", "system_instructions", "system"},
	{"gen_ai.tool.definitions", "system_instructions", "tool_definitions"},
	{"gen_ai.tool.call.arguments", "tool_call", NULL},
	{"gen_ai.tool.call.result", "tool_result", "tool"},
	{"gen_ai.retrieval.documents", "retrieved_context", NULL},
	{"gen_ai.retrieval.query.text", "prompt", "user"},
	{"traceloop.entity.input", "prompt", NULL},
	{"traceloop.entity.output", "response", NULL},
	{"gen_ai.prompt", "prompt", NULL},
	{"gen_ai.completion", "response", NULL},
	{NULL, NULL, NULL}
};

static bool
KeyIs(const JsonNode *member, const char *name)
{
	return member->key_len == strlen(name) &&
		memcmp(member->key, name, member->key_len) == 0;
}

static bool
KeyStarts(const JsonNode *member, const char *prefix)
{
	size_t		n = strlen(prefix);

	return member->key_len > n && memcmp(member->key, prefix, n) == 0;
}

/* Number of tool calls and finish reasons that output messages show. */
static void
CountOutputs(RecordDoc *doc, const JsonNode *messages)
{
	JsonNode   *reasons = JsonMake(doc->arena, JSON_ARRAY);
	int			calls = 0;

	if (messages == NULL || messages->type != JSON_ARRAY || reasons == NULL)
		return;
	for (const JsonNode *m = messages->child; m; m = m->next)
	{
		const JsonNode *reason = JsonGet(m, "finish_reason");
		const JsonNode *parts = JsonGet(m, "parts");

		if (reason && reason->type == JSON_STRING)
			JsonAppend(reasons, JsonShare(doc->arena, reason));
		for (const JsonNode *p = parts ? parts->child : NULL; p; p = p->next)
			calls += JsonIs(JsonGet(p, "type"), "tool_call") ? 1 : 0;
	}
	RecordSet(doc, "finish_reasons", reasons);
	if (calls > 0)
		RecordSetInt(doc, "tool_call_count", calls);
}

/* An attribute that is text; true if it was one. */
static bool
MapContent(RecordDoc *doc, const JsonNode *member)
{
	for (size_t i = 0; contents[i].name; i++)
	{
		RecordFragment fragment;
		JsonNode   *value;

		if (!KeyIs(member, contents[i].name))
			continue;
		value = RecordUnpack(doc, member);
		if (strstr(contents[i].name, "messages"))
		{
			RecordAddMessages(doc, value, contents[i].kind);
			if (contents[i].kind[0] == 'r')
				CountOutputs(doc, value);
			return true;
		}
		memset(&fragment, 0, sizeof(fragment));
		fragment.kind = contents[i].kind;
		fragment.role_name = contents[i].role;
		fragment.message_index = -1;
		if (strcmp(contents[i].name, "gen_ai.system_instructions") == 0)
			RecordAddParts(doc, &fragment, value);
		else
			RecordAddFragment(doc, &fragment, value);
		return true;
	}
	return false;
}

/* Names that older instrumentations gave to providers. */
static const JsonNode *
Provider(RecordDoc *doc, const JsonNode *value)
{
	static const char *const names[][2] = {
		{"az.ai.openai", "azure.ai.openai"},
		{"azure", "azure.ai.openai"},
		{"az.ai.inference", "azure.ai.inference"},
		{"AWS", "aws.bedrock"},
		{"bedrock", "aws.bedrock"},
		{"vertex_ai", "gcp.vertex_ai"},
		{"gemini", "gcp.gemini"},
		{"mistral", "mistral_ai"},
		{"xai", "x_ai"},
		{"watsonx", "ibm.watsonx.ai"},
		{"Langchain", "langchain"},
		{NULL, NULL}
	};

	for (size_t i = 0; names[i][0]; i++)
	{
		if (JsonIs(value, names[i][0]))
			return JsonMakeString(doc->arena, names[i][1]);
	}
	return value;
}

/* A known attribute; true if the member was used. */
static bool
MapKnown(RecordDoc *doc, const JsonNode *member)
{
	const Mapping *m = mappings;

	while (m->name && !KeyIs(member, m->name))
		m++;
	if (m->name == NULL)
		return false;
	switch (m->how)
	{
		case AS_IS:
			if (member->type == JSON_STRING && member->len > 2 &&
				member->text[0] == '0' && member->text[1] == 'x' &&
				strstr(m->column, "_id"))
				return RecordSet(doc, m->column,
								 JsonMakeText(doc->arena, member->text +2,
											  member->len - 2));
			return RecordSet(doc, m->column, member);
		case AS_TIME:
			return RecordSetTime(doc, m->column, member);
		case FROM_SECONDS:
			return RecordSetMillis(doc, m->column, member, 0.001);
		case AS_PROVIDER:
			return RecordSet(doc, m->column, Provider(doc, member));
		case AS_ENVIRONMENT:
			if (JsonIs(member, "production"))
				return RecordSetString(doc, m->column, "prod");
			return RecordSet(doc, m->column, member);
		case AS_OPERATION:
			if (JsonIs(member, "completion"))
				return RecordSetString(doc, m->column, "text_completion");
			if (JsonIs(member, "embedding"))
				return RecordSetString(doc, m->column, "embeddings");
			return RecordSet(doc, m->column, member);
	}
	return false;
}

/*
 * The older gen_ai.prompt.N.role and gen_ai.completion.N.content: gathers
 * the members of each N into one message under "prompt" or "completion".
 */
static bool
GatherIndexed(RecordDoc *doc, JsonNode *gathered, const JsonNode *member)
{
	const char *prefix = KeyStarts(member, "gen_ai.prompt.") ?
	"gen_ai.prompt." : "gen_ai.completion.";
	const char *rest = member->key + strlen(prefix);
	const char *end = member->key + member->key_len;
	const char *dot;
	JsonNode   *message;
	JsonNode   *copy;

	if (!KeyStarts(member, prefix) || *rest < '0' || *rest > '9')
		return false;
	dot = memchr(rest, '.', end - rest);
	if (dot == NULL)
		return false;
	message = gathered->last;
	if (message == NULL || message->key_len != (uint32_t) (dot - member->key) ||
		memcmp(message->key, member->key, message->key_len) != 0)
	{
		for (message = gathered->child; message; message = message->next)
		{
			if (message->key_len == (uint32_t) (dot - member->key) &&
				memcmp(message->key, member->key, message->key_len) == 0)
				break;
		}
	}
	if (message == NULL)
	{
		message = JsonMake(doc->arena, JSON_OBJECT);
		if (message == NULL)
			return true;
		JsonAppendMember(gathered, member->key, dot - member->key, message);
	}
	copy = JsonShare(doc->arena, member);
	if (copy)
		JsonAppendMember(message, dot + 1, end - dot - 1, copy);
	return true;
}

/* Turns what was gathered into fragments. */
static void
MapGathered(RecordDoc *doc, const JsonNode *gathered)
{
	JsonNode   *reasons = JsonMake(doc->arena, JSON_ARRAY);

	for (const JsonNode *g = gathered->child; g; g = g->next)
	{
		bool		response = g->key_len > 8 && g->key[7] == 'c';
		long		index = strtol(g->key + (response ? 18 : 14), NULL, 10);
		const JsonNode *reason = JsonGet(g, "finish_reason");
		JsonNode	message = *g;
		JsonNode   *content = JsonGet(&message, "content");

		if (response && reason && reason->type == JSON_STRING && reasons)
			JsonAppend(reasons, JsonShare(doc->arena, reason));
		if (content && RecordUnpack(doc, content) != content)
			*content = *RecordUnpack(doc, content);
		RecordAddMessage(doc, &message, response ? "response" : "prompt",
						 index < 1000000 ? (int) index : 1000000);
	}
	RecordSet(doc, "finish_reasons", reasons);
}

/* The value of an OTLP attribute: {"stringValue": ...} and so on. */
static JsonNode *
OtlpValue(RecordDoc *doc, const JsonNode *value)
{
	const JsonNode *inner = value ? value->child : NULL;
	const JsonNode *list;
	JsonNode   *result;

	if (value == NULL || value->type != JSON_OBJECT || inner == NULL)
		return value ? JsonShare(doc->arena, value) : NULL;
	if (KeyIs(inner, "arrayValue") || KeyIs(inner, "kvlistValue"))
	{
		bool		object = KeyIs(inner, "kvlistValue");

		list = JsonGet(inner, "values");
		result = JsonMake(doc->arena, object ? JSON_OBJECT : JSON_ARRAY);
		for (const JsonNode *e = list ? list->child : NULL; e && result; e = e->next)
		{
			const JsonNode *key = object ? JsonGet(e, "key") : NULL;

			if (!object)
				JsonAppend(result, OtlpValue(doc, e));
			else if (key && key->type == JSON_STRING)
				JsonAppendMember(result, key->text, key->len,
								 OtlpValue(doc, JsonGet(e, "value")));
		}
		return result;
	}
	return JsonShare(doc->arena, inner);
}

/* Attributes as an object, whichever way they were written. */
static const JsonNode *
Attributes(RecordDoc *doc, const JsonNode *node)
{
	JsonNode   *object;

	if (node == NULL || node->type != JSON_ARRAY)
		return node;
	object = JsonMake(doc->arena, JSON_OBJECT);
	for (const JsonNode *e = node->child; e && object; e = e->next)
	{
		const JsonNode *key = JsonGet(e, "key");

		if (key && key->type == JSON_STRING)
			JsonAppendMember(object, key->text, key->len,
							 OtlpValue(doc, JsonGet(e, "value")));
	}
	return object;
}

/* Attributes of a span, its resource or an event. */
static void
MapAttributes(RecordDoc *doc, const JsonNode *attributes, JsonNode *params)
{
	JsonNode   *gathered = JsonMake(doc->arena, JSON_OBJECT);

	if (attributes == NULL || attributes->type != JSON_OBJECT || gathered == NULL)
		return;
	for (const JsonNode *m = attributes->child; m; m = m->next)
	{
		int			column;

		if (!JsonHasValue(m) || GatherIndexed(doc, gathered, m) ||
			MapContent(doc, m) || MapKnown(doc, m))
			continue;
		column = RecordColumnFind(doc->row->schema, m->key, m->key_len);
		if (KeyStarts(m, "gen_ai.request."))
			JsonAppendMember(params, m->key + 15, m->key_len - 15,
							 JsonShare(doc->arena, m));
		else if (column >= 0 && !doc->row->schema->columns[column].stamped &&
				 doc->row->values[column] == NULL && !KeyIs(m, "attributes"))
			doc->row->values[column] = JsonShare(doc->arena, m);
		else
			RecordAttribute(doc, "", m);
	}
	MapGathered(doc, gathered);
}

/* Status of a span, given as a code, a name or an object of both. */
static void
MapStatus(RecordDoc *doc, const JsonNode *root)
{
	const JsonNode *status = JsonGet(root, "status");
	const JsonNode *code = status;

	if (status && status->type == JSON_OBJECT)
	{
		code = JsonGet(status, "code");
		if (code == NULL)
			code = JsonGet(status, "status_code");
		RecordSet(doc, "error_message", JsonGet(status, "message"));
		RecordSet(doc, "error_message", JsonGet(status, "description"));
	}
	if (JsonIs(code, "ERROR") || JsonIs(code, "STATUS_CODE_ERROR") ||
		JsonIs(code, "error") ||
		(code && code->type == JSON_NUMBER && code->len == 1 && *code->text == '2') ||
		JsonHasValue(RecordGet(doc->row, "error_type")))
		RecordSetString(doc, "status",
						JsonIs(RecordGet(doc->row, "error_type"), "timeout") ?
						"timeout" : "error");
	else
		RecordSetString(doc, "status", "ok");
}

/* Events of a span: exceptions, and attributes with the texts. */
static void
MapEvents(RecordDoc *doc, const JsonNode *events, JsonNode *params)
{
	if (events == NULL || events->type != JSON_ARRAY)
		return;
	for (const JsonNode *e = events->child; e; e = e->next)
	{
		const JsonNode *attributes = Attributes(doc, JsonGet(e, "attributes"));

		RecordSet(doc, "error_type", JsonGet(attributes, "exception.type"));
		RecordSet(doc, "error_message", JsonGet(attributes, "exception.message"));
		if (!JsonIs(JsonGet(e, "name"), "exception"))
			MapAttributes(doc, attributes, params);
		else
			RecordNote(doc, &doc->dropped, "exception.stacktrace", 20);
	}
}

/* Duration from start and end where the span has both. */
static void
MapDuration(RecordDoc *doc)
{
	const JsonNode *start = RecordGet(doc->row, "occurred_at");
	const JsonNode *end = RecordGet(doc->row, "ended_at");
	RecordTime	from;
	RecordTime	to;

	if (start && end && start->type == JSON_STRING && end->type == JSON_STRING &&
		RecordParseTime(start->text, start->len, &from) &&
		RecordParseTime(end->text, end->len, &to) && to.micros >= from.micros)
		RecordSet(doc, "duration_ms",
				  RecordFormatText(doc, "%.3f",
								   (double) (to.micros - from.micros) / 1000));
}

/* Adds the spans of one scope, each with its resource. */
static void
GatherSpans(JsonArena *arena, JsonNode *out, const JsonNode *spans,
			const JsonNode *resource)
{
	if (spans == NULL || spans->type != JSON_ARRAY)
		return;
	for (const JsonNode *s = spans->child; s; s = s->next)
	{
		JsonNode   *span = JsonShare(arena, s);

		if (span == NULL)
			return;
		if (resource && span->type == JSON_OBJECT)
			JsonAppendMember(span, "resource", 8, JsonShare(arena, resource));
		JsonAppend(out, span);
	}
}

JsonNode *
RecordOtlpSpans(JsonArena *arena, const JsonNode *root)
{
	const JsonNode *resources = JsonGet(root, "resourceSpans");
	JsonNode   *out;

	if (resources == NULL || resources->type != JSON_ARRAY)
		return NULL;
	out = JsonMake(arena, JSON_ARRAY);
	for (const JsonNode *r = resources->child; r && out; r = r->next)
	{
		const JsonNode *scopes = JsonGet(r, "scopeSpans");

		if (scopes == NULL || scopes->type != JSON_ARRAY)
			continue;
		for (const JsonNode *s = scopes->child; s; s = s->next)
			GatherSpans(arena, out, JsonGet(s, "spans"), JsonGet(r, "resource"));
	}
	return out;
}

bool
RecordMapOtel(RecordDoc *doc, const JsonNode *root)
{
	static const char *const used[] = {
		"traceId", "trace_id", "spanId", "span_id", "parentSpanId",
		"parent_span_id", "parent_id", "startTimeUnixNano", "start_time",
		"endTimeUnixNano", "end_time", "attributes", "resource", "status",
		"events", "context", NULL
	};
	JsonNode   *params = JsonMake(doc->arena, JSON_OBJECT);
	JsonNode	rest;

	if (params == NULL)
		return false;
	memset(&rest, 0, sizeof(rest));
	rest.type = JSON_OBJECT;
	for (const JsonNode *m = root->child; m; m = m->next)
	{
		const char *const *name = used;
		JsonNode   *copy;

		while (*name && !KeyIs(m, *name))
			name++;
		if (*name && !KeyIs(m, "status"))
			MapKnown(doc, m);
		else if (*name == NULL && (copy = JsonShare(doc->arena, m)) != NULL)
			JsonAppendMember(&rest, m->key, m->key_len, copy);
	}
	for (const JsonNode *m = JsonGet(root, "context") ?
		 JsonGet(root, "context")->child : NULL; m; m = m->next)
		MapKnown(doc, m);
	MapAttributes(doc, Attributes(doc, JsonGet(root, "attributes")), params);
	MapAttributes(doc, &rest, params);
	MapAttributes(doc, Attributes(doc, JsonPath (root, "resource/attributes")),
				  params);
	MapEvents(doc, JsonGet(root, "events"), params);
	RecordClean(doc, params);
	RecordSet(doc, "request_params", params);
	MapStatus(doc, root);
	MapDuration(doc);
	if (RecordGet(doc->row, "operation_name") == NULL)
		RecordSetString(doc, "operation_name",
						RecordGet(doc->row, "tool_name") ? "execute_tool" :
						"chat");
	return !doc->arena->failed;
}
