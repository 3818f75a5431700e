/*
 * test_record_formats.c
 *	  Each format that the recording functions take, on documents made up for
 *	  the purpose.
 */
/* links: src/record/json.c src/record/format*.c */
#include "record_schemas.h"

static Heap heap;
static JsonArena arena;
static RecordDoc doc;

/* Maps a document of the given ledgers; false if it is refused. */
static bool
MapWith(const char *text, RecordSchemas schemas)
{
	JsonError	error;
	JsonNode   *root;

	HeapFree(&heap);
	arena = ArenaOver(&heap);
	root = JsonParse(&arena, text, strlen(text), &error);
	if (root == NULL)
	{
		printf("# %s at byte %zu\n", JsonStatusText(error.status), error.position);
		return false;
	}
	if (!RecordDocInit(&doc, &arena, &schemas) || !RecordMap(&doc, root))
		return false;
	RecordComplete(&doc);
	return true;
}

static bool
Map(const char *text)
{
	return MapWith(text, CallSchemas());
}

/* True if a column of the main row, written as JSON, is expected. */
static bool
Has(const char *column, const char *expected)
{
	const JsonNode *value = RecordGet(doc.row, column);
	JsonBuffer	buf;

	if (value == NULL)
		return expected == NULL;
	JsonBufferInit(&buf, &arena);
	JsonWrite(&buf, value, JSON_COMPACT);
	if (expected && buf.len == strlen(expected) &&
		memcmp(buf.data, expected, buf.len) == 0)
		return true;
	printf("# %s is %.*s\n", column, (int) buf.len, buf.data);
	return false;
}

/* True if there is a fragment of this kind with this body. */
static bool
HasFragment(const char *kind, const char *body)
{
	for (const RecordRow *row = doc.content.first; row; row = row->next)
	{
		if (TextIs(RecordGet(row, "kind"), kind) &&
			TextIs(RecordGet(row, "body"), body))
			return true;
	}
	for (const RecordRow *row = doc.content.first; row; row = row->next)
	{
		const JsonNode *text = RecordGet(row, "body");

		printf("# %.*s: %.*s\n", (int) RecordGet(row, "kind")->len,
			   RecordGet(row, "kind")->text, text ? (int) text->len : 0,
			   text ? text->text : "");
	}
	return false;
}

/* True if the attributes contain a piece of text. */
static bool
AttributesHave(const char *piece)
{
	JsonNode   *text = RecordFitAttributes(&doc);
	bool		found = false;

	for (size_t i = 0; text &&i + strlen(piece) <= text->len; i++)
		found = found || memcmp(text->text +i, piece, strlen(piece)) == 0;
	return found;
}

static void
TestOwn(void)
{
	OK(Map("{\"request_id\":\"r\",\"input_tokens\":5,\"is_stream\":null,"
		   "\"content\":[\"hello\",{\"role\":\"assistant\",\"body\":\"hi\"},"
		   "{\"kind\":\"tool_result\",\"text\":\"42\",\"tool_call_id\":\"t\"}],"
		   "\"tokens\":[\"k1:x\",{\"token\":\"k1:y\",\"entity\":\"IBAN_CODE\"}],"
		   "\"usage\":{\"unit\":\"token\",\"quantity\":5},"
		   "\"tool_calls\":[{\"tool_name\":\"f\"}],"
		   "\"attributes\":{\"a\":1},\"colour\":\"red\"}"), "own format");
	OK(doc.format == RECORD_OWN && !doc.lenient, "is told as such");
	OK(Has("request_id", "\"r\"") && Has("input_tokens", "5"), "columns");
	OK(Has("is_stream", NULL), "null is no value");
	OK(doc.content.count == 3 && HasFragment("prompt", "hello") &&
	   HasFragment("response", "hi") && HasFragment("tool_result", "42"),
	   "fragments");
	OK(doc.tokens.count == 2 &&
	   TextIs(RecordGet(doc.tokens.last, "entity"), "IBAN_CODE") &&
	   TextIs(RecordGet(doc.tokens.first, "request_id"), "r"), "tokens");
	OK(doc.usage.count == 1 && doc.tool_calls.count == 1 &&
	   TextIs(RecordGet(doc.tool_calls.first, "operation_name"), "execute_tool"),
	   "usage and tool calls");
	OK(AttributesHave("\"a\": 1") && AttributesHave("\"colour\": \"red\""),
	   "unknown keys become attributes");
	OK(!Map("{\"row_hash\":\"x\"}") && doc.fault == RECORD_FAULT_STAMPED,
	   "a column of the server's is refused");
	OK(!Map("{\"content\":[{\"nonsense\":1,\"body\":\"x\"}]}") &&
	   doc.fault == RECORD_FAULT_UNKNOWN, "so is an unknown key of a fragment");
	OK(!Map("{\"usage\":[1]}") && doc.fault == RECORD_FAULT_TYPE,
	   "and a row that is none");
	OK(!Map("{\"api_key_id\":\"sk-abcdefghijklmnopqrstuvwxyz\"}") &&
	   doc.fault == RECORD_FAULT_SECRET, "and a key in place of its label");
	OK(!Map("[]") && doc.fault == RECORD_FAULT_TYPE, "and what is no object");
}

static void
TestContentKeys(void)
{
	OK(Map("{\"request_id\":\"r\",\"attributes\":{\"a\":{\"Prompt\":\"p1\"},"
		   "\"proxy_server_request\":{\"x\":1},\"note\":\"{\\\"messages\\\":[1]}\","
		   "\"list\":[\"{\\\"output\\\":\\\"o\\\"}\"],\"keep\":{\"max_tokens\":3}},"
		   "\"request_params\":{\"temperature\":1,\"messages\":[{\"role\":\"user\","
		   "\"content\":\"p2\"}]}}"), "content-like keys at any depth");
	OK(Has("request_params", "{\"temperature\":1}"), "leave the parameters");
	OK(!AttributesHave("p1") && !AttributesHave("\"x\"") &&
	   !AttributesHave("[1]") && !AttributesHave("\"o\""), "and the attributes");
	OK(AttributesHave("\"keep\": {\"max_tokens\": 3}") &&
	   AttributesHave("moved_to_content"), "which say so");
	OK(HasFragment("prompt", "p1") && HasFragment("prompt", "p2"),
	   "and become fragments");
	OK(Map("{\"attributes\":{\"h\":{\"Authorization\":\"Bearer x\","
		   "\"api-key\":\"k\"}}}") && AttributesHave("redacted_keys") &&
	   !AttributesHave("Bearer"), "credentials are left out by name");
}

static void
TestAttributesFit(void)
{
	size_t		size = 40000;
	char	   *text = malloc(size);
	char	   *p = text +sprintf(text, "{\"attributes\":{\"small\":1");
	JsonNode   *attributes;

	for (int i = 0; i < 60; i++)
		p += sprintf(p, ",\"key_%d\":\"%0200d\"", i, i);
	sprintf(p, "}}");
	OK(Map(text), "more attributes than fit");
	attributes = RecordFitAttributes(&doc);
	OK(attributes && attributes->len <= RECORD_ATTRIBUTES_MAX &&
	   attributes->len > RECORD_ATTRIBUTES_MAX - 1500, "are cut to size");
	OK(AttributesHave("\"small\": 1") && AttributesHave("dropped_keys"),
	   "by whole keys, the biggest first, with a note");
	free(text);
}

static void
TestDeep(void)
{
	size_t		depth = 5000;
	char	   *text = malloc(depth * 2 + 200);
	char	   *p = text +sprintf(text, "{\"request_id\":\"r\",\"content\":[{\"body\":");

	memset(p, '[', depth);
	memset(p + depth, ']', depth);
	sprintf(p + depth * 2, "}]}");
	OK(Map(text) && doc.text_withheld, "text nested too deeply is withheld");
	OK(doc.content.count == 1 && RecordGet(doc.content.first, "body") == NULL &&
	   TextIs(RecordGet(doc.content.first, "body_bytes"), "10000"),
	   "of its fragment the length is kept");
	OK(Has("request_id", "\"r\""), "and the call stays");
	free(text);
}

static void
TestOtelSpan(void)
{
	OK(Map("{\"traceId\":\"4bf92f3577b34da6a3ce929d0e0e4736\","
		   "\"spanId\":\"00f067aa0ba902b7\",\"parentSpanId\":\"\","
		   "\"name\":\"chat m\",\"startTimeUnixNano\":\"1700000000123456789\","
		   "\"endTimeUnixNano\":\"1700000001123456789\",\"attributes\":["
		   "{\"key\":\"gen_ai.system\",\"value\":{\"stringValue\":\"vertex_ai\"}},"
		   "{\"key\":\"gen_ai.request.model\",\"value\":{\"stringValue\":\"m\"}},"
		   "{\"key\":\"gen_ai.request.temperature\",\"value\":{\"doubleValue\":0.5}},"
		   "{\"key\":\"gen_ai.usage.input_tokens\",\"value\":{\"intValue\":\"12\"}},"
		   "{\"key\":\"gen_ai.response.finish_reasons\",\"value\":{\"arrayValue\":"
		   "{\"values\":[{\"stringValue\":\"stop\"}]}}},"
		   "{\"key\":\"gen_ai.input.messages\",\"value\":{\"stringValue\":"
		   "\"[{\\\"role\\\":\\\"user\\\",\\\"parts\\\":[{\\\"type\\\":\\\"text\\\","
		   "\\\"content\\\":\\\"q\\\"}]}]\"}}],"
		   "\"resource\":{\"attributes\":{\"service.name\":\"svc\"}},"
		   "\"status\":{\"code\":2,\"message\":\"bad\"}}"), "a span as OTLP writes it");
	OK(doc.format == RECORD_OTEL, "is told as such");
	OK(Has("occurred_at", "\"2023-11-14T22:13:20.123456Z\"") &&
	   Has("duration_ms", "\"1000.000\""), "times");
	OK(Has("provider_name", "\"gcp.vertex_ai\"") && Has("request_model", "\"m\"") &&
	   Has("input_tokens", "\"12\"") && Has("finish_reasons", "[\"stop\"]") &&
	   Has("service_name", "\"svc\"") && Has("trace_id",
											 "\"4bf92f3577b34da6a3ce929d0e0e4736\""),
	   "attributes");
	OK(Has("request_params", "{\"temperature\":0.5}"), "parameters");
	OK(Has("status", "\"error\"") && Has("error_message", "\"bad\""), "status");
	OK(HasFragment("prompt", "q"), "messages in a string");
}

static void
TestOtelFlat(void)
{
	OK(Map("{\"gen_ai.operation.name\":\"chat\",\"gen_ai.provider.name\":\"openai\","
		   "\"gen_ai.output.messages\":[{\"role\":\"assistant\",\"finish_reason\":"
		   "\"tool_call\",\"parts\":[{\"type\":\"text\",\"content\":\"a\"},"
		   "{\"type\":\"tool_call\",\"id\":\"c1\",\"name\":\"f\",\"arguments\":{}}]}],"
		   "\"gen_ai.system_instructions\":[{\"type\":\"text\",\"content\":\"s\"}],"
		   "\"gen_ai.response.time_to_first_chunk\":0.25,"
		   "\"organization_id\":\"o\",\"custom.key\":1}"), "flat attributes");
	OK(Has("tool_call_count", "1") && Has("finish_reasons", "[\"tool_call\"]") &&
	   Has("time_to_first_chunk_ms", "\"250.000\"") &&
	   Has("organization_id", "\"o\"") && AttributesHave("custom.key"), "columns");
	OK(HasFragment("response", "a") && HasFragment("system_instructions", "s"),
	   "fragments");
	OK(Map("{\"gen_ai.prompt.0.role\":\"system\",\"gen_ai.prompt.0.content\":\"s\","
		   "\"gen_ai.prompt.1.role\":\"user\",\"gen_ai.prompt.1.content\":\"q\","
		   "\"gen_ai.completion.0.content\":\"a\","
		   "\"gen_ai.completion.0.finish_reason\":\"stop\","
		   "\"gen_ai.usage.prompt_tokens\":3,\"llm.request.type\":\"completion\"}"),
	   "older names");
	OK(HasFragment("system_instructions", "s") && HasFragment("prompt", "q") &&
	   HasFragment("response", "a") && Has("finish_reasons", "[\"stop\"]") &&
	   Has("input_tokens", "3") && Has("operation_name", "\"text_completion\""),
	   "are gathered");
}

static void
TestLitellm(void)
{
	OK(Map("{\"id\":\"resp-1\",\"litellm_call_id\":\"call-1\",\"call_type\":"
		   "\"acompletion\",\"startTime\":\"2025-03-01 10:00:00.5\",\"endTime\":"
		   "\"2025-03-01 10:00:02\",\"response_cost\":0.5,\"model\":\"m\","
		   "\"custom_llm_provider\":\"azure\",\"cache_hit\":null,\"status\":"
		   "\"failure\",\"error_information\":{\"error_code\":\"429\",\"error_class\":"
		   "\"RateLimitError\",\"error_message\":\"slow down\"},\"prompt_tokens\":7,"
		   "\"messages\":[{\"role\":\"user\",\"content\":\"q\"}],\"response\":{},"
		   "\"model_parameters\":{\"temperature\":0},\"metadata\":{"
		   "\"user_api_key_alias\":\"team-key\",\"requester_ip_address\":\"10.0.0.1\"},"
		   "\"hidden_params\":{\"api_base\":\"https://u:p@x.example/v1\"}}"),
	   "StandardLoggingPayload");
	OK(doc.format == RECORD_LITELLM_PAYLOAD && Has("request_id", "\"call-1\"") &&
	   Has("response_id", "\"resp-1\""), "ids");
	OK(Has("status", "\"error\"") && Has("error_code", "\"429\"") &&
	   Has("error_type", "\"RateLimitError\"") &&
	   Has("error_message", "\"slow down\""), "the error");
	OK(Has("provider_name", "\"azure.ai.openai\"") &&
	   Has("operation_name", "\"chat\"") && Has("cost", "0.5") &&
	   Has("currency", "\"USD\"") && Has("duration_ms", "\"1500.000\"") &&
	   Has("actor_id", "\"team-key\"") && Has("client_address", "\"10.0.0.1\"") &&
	   Has("server_address", "\"x.example\""), "columns");
	OK(HasFragment("prompt", "q"), "messages");
	OK(Map("{\"request_id\":\"resp-2\",\"call_type\":\"aembedding\",\"startTime\":"
		   "\"2025-03-01 10:00:00\",\"spend\":0.1,\"cache_hit\":\"True\",\"model\":"
		   "\"m\",\"user\":\"u\",\"metadata\":\"{\\\"status\\\":null,\\\"x\\\":"
		   "\\\"y\\\",\\\"user_api_key_team_id\\\":\\\"t\\\"}\",\"messages\":\"{}\","
		   "\"response\":\"{}\",\"proxy_server_request\":\"{\\\"messages\\\":"
		   "[{\\\"role\\\":\\\"user\\\",\\\"content\\\":\\\"p\\\"}]}\"}"),
	   "a row of SpendLogs");
	OK(doc.format == RECORD_LITELLM_SPEND && Has("response_id", "\"resp-2\"") &&
	   Has("request_id", NULL), "whose request_id is the provider's");
	OK(Has("cache_hit", "true") && Has("team_id", "\"t\"") &&
	   Has("actor_id", "\"u\"") && Has("operation_name", "\"embeddings\"") &&
	   AttributesHave("\"litellm.metadata.x\": \"y\""), "JSON inside JSON");
	OK(HasFragment("prompt", "p") && !AttributesHave("proxy_server_request\": {"),
	   "the proxied request is content");
}

/* A raw exchange with these parts. */
static bool
MapRaw(const char *uri, const char *status, const char *request,
	   const char *response)
{
	static char text[8192];		/* the document refers to it */

	snprintf(text, sizeof(text), "{\"method\":\"POST\",\"uri\":\"%s\",\"status\":%s,"
			 "\"request\":%s,\"response\":%s,\"request_headers\":{\"User-Agent\":"
			 "[\"ua\"],\"Authorization\":\"Bearer secret\"},\"response_headers\":{"
			 "\"x-request-id\":\"req-9\"}}", uri, status, request, response);
	return Map(text);
}

static void
TestRawChat(void)
{
	OK(MapRaw("https://api.openai.com/v1/chat/completions?key=abc", "200",
			  "{\"model\":\"m\",\"temperature\":0.1,\"messages\":[{\"role\":\"system\","
			  "\"content\":\"s\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\","
			  "\"text\":\"q\"},{\"type\":\"image_url\",\"image_url\":{\"url\":"
			  "\"data:image/png;base64,AAAA\"}}]}]}",
			  "{\"id\":\"c1\",\"model\":\"m-1\",\"created\":1700000000,\"choices\":["
			  "{\"finish_reason\":\"tool_calls\",\"message\":{\"role\":\"assistant\","
			  "\"content\":\"a\",\"tool_calls\":[{\"id\":\"t1\",\"function\":{\"name\":"
			  "\"f\"}}]}}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3,"
			  "\"prompt_tokens_details\":{\"cached_tokens\":4}}}"), "OpenAI chat");
	OK(doc.format == RECORD_RAW && Has("provider_name", "\"openai\"") &&
	   Has("operation_name", "\"chat\"") && Has("request_model", "\"m\"") &&
	   Has("response_model", "\"m-1\"") && Has("response_id", "\"c1\"") &&
	   Has("occurred_at", "\"2023-11-14T22:13:20.000000Z\"") &&
	   Has("input_tokens", "9") && Has("output_tokens", "3") &&
	   Has("cache_read_input_tokens", "4") && Has("tool_call_count", "1") &&
	   Has("finish_reasons", "[\"tool_calls\"]") && Has("status", "\"ok\"") &&
	   Has("http_status", "200") && Has("user_agent", "\"ua\"") &&
	   Has("request_params", "{\"temperature\":0.1}"), "columns");
	OK(HasFragment("system_instructions", "s") && HasFragment("prompt", "q") &&
	   HasFragment("response", "a"), "fragments");
	OK(!AttributesHave("secret") && !AttributesHave("abc") &&
	   AttributesHave("req-9"), "neither credentials nor the URI's query");
	OK(doc.content.count == 5 &&
	   TextIs(RecordGet(doc.content.first->next->next, "content_type"), "image/png") &&
	   TextIs(RecordGet(doc.content.first->next->next, "body_bytes"), "3"),
	   "an image keeps its type and length");
	OK(Has("service_name", "\"gateway\"") && Has("actor_id", "\"unknown\"") &&
	   Has("actor_type", "\"service\""), "stand-ins");
}

static void
TestUnfit(void)
{
	OK(Map("{\"gen_ai.request.model\":\"m\",\"status\":\"weird\",\"guardrails\":"
		   "[{\"status\":\"x\"}],\"input_tokens\":-5,\"attempt\":0,"
		   "\"data_class\":\"x\",\"actor_type\":\"robot\"}"),
	   "values that columns do not take");
	OK(Has("status", "\"ok\"") && Has("guardrails", NULL) &&
	   Has("input_tokens", NULL) && Has("attempt", NULL) &&
	   Has("data_class", NULL) && Has("actor_type", "\"service\""),
	   "do not cost the record");
	OK(AttributesHave("\"llm_audit.dropped_keys\": [\"actor_type\""), "and are noted");
}

static void
TestRawOthers(void)
{
	OK(MapRaw("https://api.anthropic.com/v1/messages", "200",
			  "{\"model\":\"c\",\"system\":\"s\",\"messages\":[{\"role\":\"user\","
			  "\"content\":\"q\"}]}",
			  "{\"id\":\"m1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":["
			  "{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"tool_use\",\"id\":\"t\","
			  "\"name\":\"f\",\"input\":{}}],\"stop_reason\":\"tool_use\",\"usage\":"
			  "{\"input_tokens\":5,\"cache_read_input_tokens\":100,\"output_tokens\":2}}") &&
	   Has("input_tokens", "105") && Has("finish_reasons", "[\"tool_use\"]") &&
	   Has("tool_call_count", "1") && HasFragment("response", "a"),
	   "Anthropic: cached tokens are part of the input");
	OK(MapRaw("https://api.openai.com/v1/responses", "200",
			  "{\"model\":\"m\",\"input\":\"q\",\"instructions\":\"i\"}",
			  "{\"id\":\"r1\",\"status\":\"completed\",\"output\":[{\"type\":\"message\","
			  "\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":"
			  "\"a\"}]}],\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}") &&
	   HasFragment("response", "a") && HasFragment("prompt", "q") &&
	   HasFragment("system_instructions", "i"), "OpenAI responses");
	OK(MapRaw("https://bedrock-runtime.eu-west-1.amazonaws.com/model/x.y-v1%3A0/converse",
			  "200", "{\"messages\":[{\"role\":\"user\",\"content\":[{\"text\":\"q\"}]}]}",
			  "{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[{\"text\":"
			  "\"a\"}]}},\"stopReason\":\"guardrail_intervened\",\"usage\":{"
			  "\"inputTokens\":1,\"outputTokens\":2},\"metrics\":{\"latencyMs\":7}}") &&
	   Has("request_model", "\"x.y-v1:0\"") && Has("provider_name", "\"aws.bedrock\"") &&
	   Has("guardrails", "[{\"name\":\"amazon-bedrock-guardrail\",\"status\":"
		   "\"guardrail_intervened\"}]") && Has("duration_ms", "\"7.000\"") &&
	   HasFragment("response", "a"), "Bedrock");
	OK(MapRaw("https://generativelanguage.googleapis.com/v1/models/gem-2:generateContent",
			  "200", "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"q\"}]}]}",
			  "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},"
			  "\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":4}}") &&
	   Has("request_model", "\"gem-2\"") && Has("operation_name",
												"\"generate_content\"") &&
	   Has("input_tokens", "4") && HasFragment("response", "a"), "Gemini");
	OK(MapRaw("https://res.openai.azure.com/openai/deployments/dep/embeddings", "401",
			  "{\"input\":[\"a\",\"b\"]}",
			  "{\"error\":{\"code\":\"denied\",\"message\":\"no\"}}") &&
	   Has("request_model", "\"dep\"") && Has("status", "\"error\"") &&
	   Has("error_code", "\"denied\"") && Has("error_message", "\"no\"") &&
	   Has("operation_name", "\"embeddings\""), "an error");
	OK(MapRaw("https://iam.example/token", "200", "\"apikey=abc&x=1\"",
			  "{\"access_token\":\"t0\"}") &&
	   HasFragment("prompt", "apikey=[redacted]&x=1") &&
	   HasFragment("response", "{\"access_token\":\"[redacted]\"}") &&
	   Has("operation_name", "\"post\"") && Has("request_model", "\"unknown\""),
	   "something else than a model, with credentials");
	OK(Map("{\"method\":\"DELETE\",\"uri\":\"http://h/x\",\"status\":200,"
		   "\"request\":null,\"response\":\"\"}") && doc.content.count == 0 &&
	   Has("operation_name", "\"delete\"") && Has("provider_name", "\"h\""),
	   "no bodies at all");
}

static void
TestStreams(void)
{
	OK(MapRaw("https://api.openai.com/v1/chat/completions", "200", "{\"model\":\"m\"}",
			  "\"data: {\\\"id\\\":\\\"c\\\",\\\"choices\\\":[{\\\"index\\\":0,"
			  "\\\"delta\\\":{\\\"content\\\":\\\"Hel\\\"}}]}\\n\\ndata: {\\\"choices\\\":"
			  "[{\\\"index\\\":0,\\\"delta\\\":{\\\"content\\\":\\\"lo\\\","
			  "\\\"tool_calls\\\":[{\\\"index\\\":0,\\\"id\\\":\\\"t\\\",\\\"function\\\":"
			  "{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":\\\"{\\\"}}]},"
			  "\\\"finish_reason\\\":\\\"stop\\\"}]}\\n\\ndata: {\\\"choices\\\":[{"
			  "\\\"index\\\":0,\\\"delta\\\":{\\\"tool_calls\\\":[{\\\"index\\\":0,"
			  "\\\"function\\\":{\\\"arguments\\\":\\\"}\\\"}}]}}]}\\n\\ndata: {"
			  "\\\"choices\\\":[],\\\"usage\\\":{\\\"prompt_tokens\\\":2,"
			  "\\\"completion_tokens\\\":1}}\\n\\ndata: [DONE]\\n\\n\"") &&
	   HasFragment("response", "Hello") && Has("is_stream", "true") &&
	   HasFragment("tool_call", "{\"id\":\"t\",\"name\":\"f\",\"arguments\":\"{}\"}") &&
	   Has("input_tokens", "2") && Has("finish_reasons", "[\"stop\"]") &&
	   Has("tool_call_count", "1"), "OpenAI's stream");
	OK(MapRaw("https://api.anthropic.com/v1/messages", "200", "{\"model\":\"c\"}",
			  "\"event: message_start\\ndata: {\\\"type\\\":\\\"message_start\\\","
			  "\\\"message\\\":{\\\"id\\\":\\\"m1\\\",\\\"usage\\\":{\\\"input_tokens\\\":3,"
			  "\\\"output_tokens\\\":1}}}\\n\\ndata: {\\\"type\\\":\\\"content_block_delta\\\","
			  "\\\"delta\\\":{\\\"type\\\":\\\"text_delta\\\",\\\"text\\\":\\\"a\\\"}}\\n\\n"
			  "data: {\\\"type\\\":\\\"message_delta\\\",\\\"delta\\\":{\\\"stop_reason\\\":"
			  "\\\"end_turn\\\"},\\\"usage\\\":{\\\"output_tokens\\\":8}}\\n\\n\"") &&
	   HasFragment("response", "a") && Has("output_tokens", "8") &&
	   Has("input_tokens", "3") && Has("finish_reasons", "[\"end_turn\"]") &&
	   Has("response_id", "\"m1\""), "Anthropic's stream");
	OK(MapRaw("http://localhost:11434/api/generate", "200", "{\"model\":\"l\",\"prompt\":\"q\"}",
			  "\"{\\\"response\\\":\\\"a\\\",\\\"done\\\":false}\\n{\\\"response\\\":\\\"b\\\","
			  "\\\"done\\\":true,\\\"done_reason\\\":\\\"stop\\\",\\\"eval_count\\\":2,"
			  "\\\"total_duration\\\":5000000}\\n\"") &&
	   HasFragment("response", "ab") && Has("provider_name", "\"ollama\"") &&
	   Has("output_tokens", "2") && Has("duration_ms", "\"5.000\"") &&
	   Has("operation_name", "\"text_completion\""), "Ollama's lines");
	OK(MapRaw("https://x.example/", "200", "{\"a\":1}", "\"plain words\"") &&
	   HasFragment("response", "plain words") && HasFragment("prompt", "{\"a\":1}"),
	   "what is no stream is text");
}

static void
TestOpenaiAudit(void)
{
	OK(MapWith("{\"id\":\"audit-1\",\"type\":\"api_key.updated\",\"effective_at\":"
			   "1700000000,\"actor\":{\"type\":\"session\",\"session\":{\"user\":{\"id\":"
			   "\"u1\",\"email\":\"e\"},\"ip_address\":\"10.0.0.1\"}},"
			   "\"api_key.updated\":{\"id\":\"key_1\",\"changes_requested\":{\"scopes\":"
			   "[\"a\"],\"secret\":\"x\"}}}", AdminSchemas()), "OpenAI's audit log");
	OK(Has("action", "\"api_key.updated\"") && Has("category", "\"api_key\"") &&
	   Has("actor_id", "\"u1\"") && Has("actor_type", "\"human\"") &&
	   Has("actor_ip", "\"10.0.0.1\"") && Has("target_type", "\"api_key\"") &&
	   Has("target_id", "\"key_1\"") && Has("outcome", "\"success\"") &&
	   Has("after", "{\"scopes\":[\"a\"],\"secret\":\"[redacted]\"}") &&
	   Has("occurred_at", "\"2023-11-14T22:13:20.000000Z\""), "columns");
	OK(!MapWith("{\"action\":\"a.b\",\"nonsense\":1}", AdminSchemas()) &&
	   doc.fault == RECORD_FAULT_UNKNOWN, "an unknown key is refused");
}

/* True if text is a time with these parts. */
static bool
TimeIs(const char *text, int64_t micros, bool has_zone, int offset)
{
	RecordTime	time;

	return RecordParseTime(text, strlen(text), &time) && time.micros == micros &&
		time.has_zone == has_zone && time.offset_minutes == offset;
}

static void
TestTimes(void)
{
	RecordTime	time;
	char text[	32];
	int64_t		micros;

	OK(TimeIs("1970-01-01T00:00:00Z", 0, true, 0), "the beginning");
	OK(TimeIs("2024-02-29 12:34:56.789", INT64_C(1709210096789000), false, 0),
	   "no zone, a leap day");
	OK(TimeIs("2024-02-29T12:34:56.123456789+05:30", INT64_C(1709190296123456),
			  true, 330), "an offset, nanoseconds");
	OK(TimeIs("1969-12-31T23:00-0100", 0, true, -60), "west of Greenwich");
	OK(!RecordParseTime("2023-02-29T00:00:00Z", 20, &time) &&
	   !RecordParseTime("2023-13-01T00:00:00Z", 20, &time) &&
	   !RecordParseTime("infinity", 8, &time) &&
	   !RecordParseTime("2023-01-01", 10, &time) &&
	   !RecordParseTime("2023-01-01T00:00:00 Mars", 24, &time),
	   "what is no time");
	OK(RecordFormatTime(-1, text) == 27 &&
	   strcmp(text, "1969-12-31T23:59:59.999999Z") == 0, "before 1970");
	OK(RecordParseEpoch("1700000000", 10, &micros) &&
	   micros == INT64_C(1700000000000000) &&
	   RecordParseEpoch("1700000000123", 13, &micros) &&
	   micros == INT64_C(1700000000123000) &&
	   RecordParseEpoch("1700000000123456789", 19, &micros) &&
	   micros == INT64_C(1700000000123456) &&
	   RecordParseEpoch("1700000000.5", 12, &micros) &&
	   micros == INT64_C(1700000000500000) &&
	   !RecordParseEpoch("99999999999999999999", 20, &micros),
	   "seconds, milli- and nanoseconds");
}

int
main(void)
{
	TestOwn();
	TestContentKeys();
	TestAttributesFit();
	TestDeep();
	TestOtelSpan();
	TestOtelFlat();
	TestLitellm();
	TestRawChat();
	TestUnfit();
	TestRawOthers();
	TestStreams();
	TestOpenaiAudit();
	TestTimes();
	HeapFree(&heap);
	return TapDone();
}
