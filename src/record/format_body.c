/*
 * format_body.c
 *	  Request and response bodies of the providers' APIs.
 *
 * OpenAI (chat, completions, responses, embeddings, assistants) and what
 * follows it, Anthropic, Bedrock, Cohere, Gemini, Ollama, Hugging Face,
 * watsonx, Replicate.  A body that is none of them becomes one fragment.
 */
#include "record/format.h"

#include <string.h>

/* Longest error message that is kept, in bytes. */
#define ERROR_MESSAGE_MAX 4000

/* Largest value of an unknown key of a request that counts as a parameter. */
#define PARAMETER_MAX 256

static bool
KeyIn(const JsonNode *member, const char *const *names)
{
	for (; *names; names++)
	{
		if (member->key_len == strlen(*names) &&
			memcmp(member->key, *names, member->key_len) == 0)
			return true;
	}
	return false;
}

/* The first of the paths that leads to something. */
static const JsonNode *
FirstOf(const JsonNode *node, const char *const *paths)
{
	for (; *paths; paths++)
	{
		const JsonNode *found = JsonPath (node, *paths);

		if (JsonHasValue(found))
			return found;
	}
	return NULL;
}

static RecordFragment
Plain(const char *kind, const char *role)
{
	RecordFragment fragment;

	memset(&fragment, 0, sizeof(fragment));
	fragment.kind = kind;
	fragment.role_name = role;
	fragment.message_index = -1;
	return fragment;
}

/* Adds text, an array of texts, or JSON. */
static void
AddTexts(RecordDoc *doc, const JsonNode *value, const char *kind,
		 const char *role)
{
	RecordFragment fragment = Plain(kind, role);

	if (!JsonHasValue(value))
		return;
	if (value->type == JSON_ARRAY && value->child->type == JSON_STRING)
	{
		for (const JsonNode *e = value->child; e; e = e->next)
			RecordAddFragment(doc, &fragment, e);
	}
	else
		RecordAddFragment(doc, &fragment, value);
}

/* ---------------- requests ---------------- */

/*
 * Texts of a request by key; "input" may be texts, messages or an object.
 * Returns true if the body holds any.
 */
static bool
MapRequestTexts(RecordDoc *doc, const JsonNode *body)
{
	static const char *const messages[] = {
		"chat_history", "messages", "contents", "additional_messages", NULL
	};
	static const char *const texts[] = {
		"prompt", "inputs", "inputText", "message", "query", "suffix", "text",
		NULL
	};
	static const char *const instructions[] = {
		"system", "instructions", "preamble", "systemInstruction",
		"system_instruction", "additional_instructions", NULL
	};
	RecordFragment system = Plain("system_instructions", "system");
	const JsonNode *input = JsonGet(body, "input");
	const JsonNode *value;
	int			before = doc->content.count;

	for (size_t i = 0; instructions[i]; i++)
	{
		value = JsonGet(body, instructions[i]);
		if (JsonGet(value, "parts"))
			value = JsonGet(value, "parts");
		RecordAddParts(doc, &system, value);
	}
	for (size_t i = 0; messages[i]; i++)
		RecordAddMessages(doc, JsonGet(body, messages[i]), "prompt");
	if (JsonGet(body, "role") && JsonGet(body, "content"))
		RecordAddMessage(doc, body, "prompt", 0);
	for (size_t i = 0; texts[i]; i++)
		AddTexts(doc, JsonGet(body, texts[i]), "prompt", "user");
	if (input && input->type == JSON_ARRAY && input->child &&
		input->child->type == JSON_OBJECT)
		RecordAddMessages(doc, input, "prompt");
	else
		AddTexts(doc, input, "prompt", "user");
	AddTexts(doc, JsonGet(body, "documents"), "retrieved_context", NULL);
	AddTexts(doc, JsonGet(body, "tool_outputs"), "tool_result", "tool");
	AddTexts(doc, JsonGet(body, "tools"), "system_instructions",
			 "tool_definitions");
	AddTexts(doc, JsonGet(body, "toolConfig"), "system_instructions",
			 "tool_definitions");
	AddTexts(doc, JsonGet(body, "functions"), "system_instructions",
			 "tool_definitions");
	return doc->content.count > before;
}

/* True if the value is short enough to be a parameter. */
static bool
IsParameter(const JsonNode *member)
{
	return member->len <= PARAMETER_MAX && !member->deep;
}

void
RecordMapRequest(RecordDoc *doc, const JsonNode *body)
{
	static const char *const text_keys[] = {
		"messages", "contents", "chat_history", "additional_messages", "prompt",
		"input", "inputs", "inputText", "message", "query", "suffix", "text",
		"system", "instructions", "preamble", "systemInstruction",
		"system_instruction", "additional_instructions", "documents",
		"tool_outputs", "tools", "toolConfig", "functions", "model", "model_id",
		"modelId", "stream", "user", "content", "role", NULL
	};
	RecordFragment whole = Plain("prompt", NULL);
	JsonNode   *params;

	if (body == NULL || body->type != JSON_OBJECT || body->deep)
	{
		RecordAddFragment(doc, &whole, body);
		return;
	}
	RecordSet(doc, "request_model", JsonGet(body, "model"));
	RecordSet(doc, "request_model", JsonGet(body, "model_id"));
	RecordSet(doc, "request_model", JsonGet(body, "modelId"));
	RecordSet(doc, "is_stream", JsonGet(body, "stream"));
	RecordSet(doc, "end_user_id", JsonGet(body, "user"));
	RecordSet(doc, "end_user_id", JsonPath (body, "metadata/user_id"));
	if (!MapRequestTexts(doc, body))
	{
		RecordAddFragment(doc, &whole, body);
		return;
	}
	params = JsonMake(doc->arena, JSON_OBJECT);
	for (const JsonNode *m = body->child; m && params; m = m->next)
	{
		if (!JsonHasValue(m) || KeyIn(m, text_keys))
			continue;
		if (IsParameter(m))
			JsonAppendMember(params, m->key, m->key_len,
							 JsonShare(doc->arena, m));
		else
			RecordAttribute(doc, "request.", m);
	}
	if (params)
		RecordClean(doc, params);
	RecordSet(doc, "request_params", params);
}

/* ---------------- usage and errors ---------------- */

typedef struct UsageNames
{
	const char *column;
	const char *paths[12];
} UsageNames;

static const UsageNames usage_names[] = {
	{"input_tokens",
		{"prompt_tokens", "input_tokens", "inputTokens", "promptTokenCount",
			"prompt_token_count", "inputTextTokenCount", "input_token_count",
	"prompt_eval_count", "tokens/input_tokens", "billed_units/input_tokens"}},
	{"output_tokens",
		{"completion_tokens", "output_tokens", "outputTokens",
			"candidatesTokenCount", "generation_token_count",
			"generated_token_count", "eval_count", "tokens/output_tokens",
	"billed_units/output_tokens", "tokenCount"}},
	{"cache_read_input_tokens",
		{"prompt_tokens_details/cached_tokens",
			"input_tokens_details/cached_tokens",
			"prompt_token_details/cached_tokens", "cache_read_input_tokens",
			"cacheReadInputTokens", "cachedContentTokenCount",
	"prompt_cache_hit_tokens", "cached_tokens"}},
	{"cache_creation_input_tokens",
		{"cache_creation_input_tokens", "cacheWriteInputTokens",
	"cacheWriteInputTokenCount"}},
	{"reasoning_output_tokens",
		{"completion_tokens_details/reasoning_tokens",
			"output_tokens_details/reasoning_tokens",
	"completion_token_details/reasoning_tokens", "thoughtsTokenCount"}}
};

/*
 * Anthropic and Bedrock leave cached tokens out of the input tokens; here
 * they are part of them, as in OpenTelemetry.
 */
static bool
SumInputTokens(RecordDoc *doc, const JsonNode *usage)
{
	static const char *const spellings[][3] = {
		{"input_tokens", "cache_read_input_tokens",
		"cache_creation_input_tokens"},
		{"inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"}
	};

	for (int s = 0; s < 2; s++)
	{
		double		sum = 0;
		double		value;
		int			found = 0;

		if (!RecordNumber(JsonGet(usage, spellings[s][0]), &sum))
			continue;
		for (int i = 1; i < 3; i++)
		{
			if (RecordNumber(JsonGet(usage, spellings[s][i]), &value))
			{
				sum += value;
				found++;
			}
		}
		if (found > 0 && sum >= 0 && sum < 9e15)
			return RecordSetInt(doc, "input_tokens", (int64_t) sum);
	}
	return false;
}

void
RecordMapUsage(RecordDoc *doc, const JsonNode *usage)
{
	if (usage == NULL || usage->type != JSON_OBJECT)
		return;
	SumInputTokens(doc, usage);
	for (size_t i = 0; i < sizeof(usage_names) / sizeof(usage_names[0]); i++)
		RecordSet(doc, usage_names[i].column,
				  FirstOf(usage, usage_names[i].paths));
	if (RecordGet(doc->row, "output_tokens") == NULL)
		RecordSet(doc, "input_tokens", JsonGet(usage, "total_tokens"));
}

void
RecordMapError(RecordDoc *doc, const JsonNode *error)
{
	static const char *const messages[] = {
		"message", "error_message", "detail", "msg", "error/message", NULL
	};
	const JsonNode *message = error;

	error = RecordUnpack(doc, error);
	if (!JsonHasValue(error))
		return;
	if (error->type == JSON_OBJECT)
	{
		message = FirstOf(error, messages);
		RecordSet(doc, "error_code", JsonGet(error, "code"));
		RecordSet(doc, "error_type", JsonGet(error, "type"));
		RecordSet(doc, "error_type", JsonGet(error, "status"));
		RecordSet(doc, "error_type", JsonGet(error, "__type"));
	}
	if (!JsonHasValue(message) || message->type != JSON_STRING)
		return;
	if (message->len > ERROR_MESSAGE_MAX)
	{
		RecordNote(doc, &doc->dropped, "error_message", 13);
		message = JsonMakeText(doc->arena, message->text,
							   Utf8Clip(message->text, message->len,
										ERROR_MESSAGE_MAX));
	}
	RecordSet(doc, "error_message", message);
}

/* ---------------- responses ---------------- */

/* What a response's parts add up to. */
typedef struct Outcome
{
	JsonNode   *reasons;		/* finish reasons */
	int			tool_calls;
} Outcome;

static void
AddReason(RecordDoc *doc, Outcome *outcome, const JsonNode *reason)
{
	if (JsonHasValue(reason) && reason->type == JSON_STRING && outcome->reasons)
		JsonAppend(outcome->reasons, JsonShare(doc->arena, reason));
}

/* Elements of an array; 0 if it is none. */
static int
CountOf(const JsonNode *array)
{
	return array && array->type == JSON_ARRAY ? (int) array->count : 0;
}

/* Tool calls among the parts of a message. */
static int
CountToolParts(const JsonNode *parts)
{
	int			count = 0;

	if (parts == NULL || parts->type != JSON_ARRAY)
		return 0;
	for (const JsonNode *p = parts->child; p; p = p->next)
	{
		const JsonNode *type = JsonGet(p, "type");

		if (JsonIs(type, "tool_use") || JsonIs(type, "function_call") ||
			JsonIs(type, "tool_call") || JsonIs(type, "custom_tool_call") ||
			JsonIs(type, "mcp_call") || JsonGet(p, "toolUse") ||
			JsonGet(p, "functionCall"))
			count++;
	}
	return count;
}

/* OpenAI's choices and Gemini's candidates. */
static bool
MapChoices(RecordDoc *doc, const JsonNode *choices, Outcome *outcome)
{
	int			index = 0;

	if (choices == NULL || choices->type != JSON_ARRAY)
		return false;
	for (const JsonNode *c = choices->child; c; c = c->next, index++)
	{
		RecordFragment fragment = Plain("response", "assistant");
		const JsonNode *message = JsonGet(c, "message");

		fragment.message_index = index;
		AddReason(doc, outcome, JsonGet(c, "finish_reason"));
		AddReason(doc, outcome, JsonGet(c, "finishReason"));
		if (message == NULL && JsonGet(JsonGet(c, "content"), "parts"))
			message = JsonGet(c, "content");
		if (message)
		{
			RecordAddMessage(doc, message, "response", index);
			outcome->tool_calls += CountOf(JsonGet(message, "tool_calls")) +
				CountToolParts(JsonGet(message, "parts"));
		}
		else if (JsonHasValue(JsonGet(c, "text")))
			RecordAddFragment(doc, &fragment, JsonGet(c, "text"));
	}
	return true;
}

/* Items of an OpenAI response; reasoning without text is left out. */
static void
MapOutputItems(RecordDoc *doc, const JsonNode *items, Outcome *outcome)
{
	int			index = 0;

	for (const JsonNode *item = items->child; item; item = item->next, index++)
	{
		RecordFragment reasoning = Plain("response", "reasoning");

		reasoning.message_index = index;
		if (JsonIs(JsonGet(item, "type"), "reasoning"))
			RecordAddParts(doc, &reasoning, JsonGet(item, "summary"));
		else
			RecordAddMessage(doc, item, "response", index);
	}
	outcome->tool_calls += CountToolParts(items);
}

/* Titan, watsonx, Mistral on Bedrock, Hugging Face: an array of results. */
static bool
MapResults(RecordDoc *doc, const JsonNode *results, Outcome *outcome)
{
	static const char *const texts[] = {
		"outputText", "generated_text", "text", NULL
	};
	static const char *const reasons[] = {
		"completionReason", "stop_reason", "finish_reason",
		"details/finish_reason", NULL
	};
	bool		found = false;

	if (results == NULL || results->type != JSON_ARRAY)
		return false;
	for (const JsonNode *r = results->child; r; r = r->next)
	{
		const JsonNode *text = FirstOf(r, texts);

		if (text == NULL)
			continue;
		AddTexts(doc, text, "response", "assistant");
		AddReason(doc, outcome, FirstOf(r, reasons));
		RecordMapUsage(doc, r);
		RecordSet(doc, "output_tokens", JsonPath (r, "details/generated_tokens"));
		found = true;
	}
	return found;
}

/* The text of a response, wherever its API puts it; true if it was found. */
static bool
MapResponseText(RecordDoc *doc, const JsonNode *body, Outcome *outcome)
{
	static const char *const texts[] = {
		"completion", "generation", "generated_text", "text", "response",
		"answer", NULL
	};
	const JsonNode *output = JsonGet(body, "output");
	const JsonNode *content = JsonGet(body, "content");
	const JsonNode *message = JsonGet(body, "message");
	const JsonNode *data = JsonGet(body, "data");

	if (MapChoices(doc, JsonGet(body, "choices"), outcome) ||
		MapChoices(doc, JsonGet(body, "candidates"), outcome) ||
		MapResults(doc, JsonGet(body, "results"), outcome) ||
		MapResults(doc, JsonGet(body, "outputs"), outcome) ||
		MapResults(doc, JsonGet(body, "generations"), outcome))
		return true;
	if (JsonGet(output, "message"))
		message = JsonGet(output, "message");
	if (output && output->type == JSON_ARRAY && output->child &&
		output->child->type == JSON_OBJECT)
		MapOutputItems(doc, output, outcome);
	else if (message && message->type == JSON_OBJECT)
	{
		RecordAddMessage(doc, message, "response", 0);
		outcome->tool_calls += CountOf(JsonGet(message, "tool_calls")) +
			CountToolParts(JsonGet(message, "content"));
	}
	else if (JsonGet(body, "role") && content && content->type == JSON_ARRAY)
	{
		RecordAddMessage(doc, body, "response", 0);
		outcome->tool_calls += CountToolParts(content);
	}
	else if (data && JsonGet(data->child, "embedding"))
		RecordNote(doc, &doc->dropped, "response.data.embedding", 23);
	else if (JsonGet(body, "embedding") || JsonGet(body, "embeddings"))
		RecordNote(doc, &doc->dropped, "response.embedding", 18);
	else if (JsonHasValue(output))
		AddTexts(doc, output, "response", "assistant");
	else if (FirstOf(body, texts))
	{
		AddTexts(doc, FirstOf(body, texts), "response", "assistant");
		outcome->tool_calls += CountOf(JsonGet(body, "tool_calls"));
	}
	else
		return false;
	return true;
}

/* What a guardrail of Bedrock did. */
static void
MapGuardrails(RecordDoc *doc, const JsonNode *body)
{
	const JsonNode *action = JsonGet(body, "amazon-bedrock-guardrailAction");
	bool		stopped = JsonIs(JsonGet(body, "stopReason"),
								 "guardrail_intervened");
	JsonNode   *list;
	JsonNode   *entry;

	if (action == NULL && !stopped)
		return;
	list = JsonMake(doc->arena, JSON_ARRAY);
	entry = JsonMake(doc->arena, JSON_OBJECT);
	if (list == NULL || entry == NULL)
		return;
	JsonAppendMember(entry, "name", 4,
					 JsonMakeString(doc->arena, "amazon-bedrock-guardrail"));
	JsonAppendMember(entry, "status", 6,
					 JsonMakeString(doc->arena,
									stopped || JsonIs(action, "INTERVENED") ?
									"guardrail_intervened" : "success"));
	JsonAppend(list, entry);
	RecordSet(doc, "guardrails", list);
}

/* Ids, model, time and durations of a response. */
static void
MapResponseFacts(RecordDoc *doc, const JsonNode *body)
{
	static const char *const models[] = {
		"model", "model_id", "modelVersion", NULL
	};
	static const char *const times[] = {
		"created", "created_at", "createTime", NULL
	};
	const JsonNode *id = JsonGet(body, "id");

	if (id && id->type == JSON_STRING)
		RecordSet(doc, "response_id", id);
	RecordSet(doc, "response_id", JsonGet(body, "response_id"));
	RecordSet(doc, "response_id", JsonGet(body, "generation_id"));
	RecordSet(doc, "response_id", JsonGet(body, "responseId"));
	for (const char *const *key = models; *key; key++)
	{
		const JsonNode *value = JsonGet(body, *key);

		if (value && value->type == JSON_STRING)
			RecordSet(doc, "response_model", value);
	}
	for (const char *const *key = times; *key; key++)
		RecordSetTime(doc, "occurred_at", JsonGet(body, *key));
	RecordSetTime(doc, "ended_at", JsonGet(body, "completed_at"));
	RecordSetMillis(doc, "duration_ms", JsonPath (body, "metrics/latencyMs"), 1);
	RecordSetMillis(doc, "duration_ms", JsonGet(body, "total_duration"), 1e6);
	RecordMapUsage(doc, JsonGet(body, "usage"));
	RecordMapUsage(doc, JsonPath (body, "x_groq/usage"));
	RecordMapUsage(doc, JsonGet(body, "usageMetadata"));
	RecordMapUsage(doc, JsonGet(body, "meta"));
	RecordMapUsage(doc, body);
	MapGuardrails(doc, body);
}

/* Members of a response that were not used become attributes. */
static void
MapResponseRest(RecordDoc *doc, const JsonNode *body)
{
	static const char *const used[] = {
		"id", "response_id", "generation_id", "responseId", "model", "model_id",
		"modelVersion", "created", "created_at", "createTime", "completed_at",
		"usage", "usageMetadata", "meta", "choices", "candidates", "results",
		"outputs", "generations", "output", "content", "message", "data",
		"completion", "generation", "generated_text", "text", "response",
		"answer", "embedding", "embeddings", "error", "stop_reason",
		"stopReason", "finish_reason", "finishReason", "done_reason", "role",
		"prompt_token_count", "generation_token_count", "inputTextTokenCount",
		"prompt_eval_count", "eval_count", "tool_calls", "total_duration",
		"amazon-bedrock-guardrailAction", "amazon-bedrock-trace", "trace",
		"logs",
		/* what only repeats the request */
		"instructions", "tools", "tool_choice", "input", "prompt",
		"temperature", "top_p", "reasoning", "truncation", "chat_history",
		"parallel_tool_calls", "max_output_tokens", "logprobs", "context",
		NULL
	};

	for (const JsonNode *m = body->child; m; m = m->next)
	{
		if (!KeyIn(m, used) && JsonHasValue(m))
			RecordAttribute(doc, "response.", m);
	}
}

void
RecordMapResponse(RecordDoc *doc, const JsonNode *body)
{
	static const char *const reasons[] = {
		"stop_reason", "stopReason", "finish_reason", "finishReason",
		"done_reason", "incomplete_details/reason", NULL
	};
	Outcome		outcome = {NULL, 0};
	RecordFragment whole = Plain("response", NULL);

	if (!JsonHasValue(body))
		return;
	outcome.reasons = JsonMake(doc->arena, JSON_ARRAY);
	if (body->deep || (body->type != JSON_OBJECT && body->type != JSON_ARRAY))
		RecordAddFragment(doc, &whole, body);
	else if (body->type == JSON_ARRAY)
	{
		if (!MapResults(doc, body, &outcome))
			RecordAddFragment(doc, &whole, body);
	}
	else
	{
		RecordMapError(doc, JsonGet(body, "error"));
		MapResponseFacts(doc, body);
		AddReason(doc, &outcome, FirstOf(body, reasons));
		if (MapResponseText(doc, body, &outcome) ||
			JsonHasValue(JsonGet(body, "error")))
		{
			RecordAddFragment(doc, &whole, JsonGet(body, "amazon-bedrock-trace"));
			RecordAddFragment(doc, &whole, JsonGet(body, "trace"));
			RecordAddFragment(doc, &whole, JsonGet(body, "logs"));
			MapResponseRest(doc, body);
		}
		else
			RecordAddFragment(doc, &whole, body);
	}
	RecordSet(doc, "finish_reasons", outcome.reasons);
	if (outcome.tool_calls > 0)
		RecordSetInt(doc, "tool_call_count", outcome.tool_calls);
}
