/*
 * format_content.c
 *	  Text of calls as fragments: messages and their parts as the providers
 *	  and OpenTelemetry write them.
 *
 * Every fragment is one row of llm_content.  Binary parts keep only their
 * type and length; a part that is not understood is kept whole, as JSON.
 */
#include "record/format.h"

#include <string.h>

#define JSON_TYPE "application/json"

/* Bytes that base64 text of this length stands for. */
static int64_t
DecodedLength(const JsonNode *data)
{
	size_t		len = data->len;

	while (len > 0 && data->text[len - 1] == '=')
		len--;
	return (int64_t) (len * 3 / 4);
}

/* Adds a row with what every fragment has. */
static RecordRow *
AddRow(RecordDoc *doc, const RecordFragment *fragment)
{
	RecordRow  *row;

	if (doc->schemas.content == NULL)
		return NULL;
	row = RecordAddRow(doc, &doc->content, doc->schemas.content);
	if (row == NULL)
		return NULL;
	RecordPut(doc, row, "ordinal",
			  JsonMakeInt(doc->arena, doc->content.count - 1));
	RecordPut(doc, row, "kind", JsonMakeString(doc->arena, fragment->kind));
	if (fragment->role && fragment->role->type == JSON_STRING)
		RecordPut(doc, row, "role", fragment->role);
	else if (fragment->role_name)
		RecordPut(doc, row, "role",
				  JsonMakeString(doc->arena, fragment->role_name));
	if (fragment->tool_call_id && fragment->tool_call_id->type == JSON_STRING)
		RecordPut(doc, row, "tool_call_id", fragment->tool_call_id);
	if (fragment->message_index >= 0)
		RecordPut(doc, row, "message_index",
				  JsonMakeInt(doc->arena, fragment->message_index));
	return row;
}

/* A fragment of which only the type and the length are kept. */
static void
AddBinary(RecordDoc *doc, const RecordFragment *fragment,
		  const JsonNode *content_type, int64_t length)
{
	RecordRow  *row = AddRow(doc, fragment);

	if (row == NULL)
		return;
	RecordPut(doc, row, "body_bytes", JsonMakeInt(doc->arena, length));
	if (content_type && content_type->type == JSON_STRING &&
		content_type->len < 128)
		RecordPut(doc, row, "content_type", content_type);
	else
		RecordPut(doc, row, "content_type",
				  JsonMakeString(doc->arena, "application/octet-stream"));
}

void
RecordAddFragment(RecordDoc *doc, const RecordFragment *fragment,
				  const JsonNode *body)
{
	const char *content_type = fragment->content_type;
	RecordRow  *row;
	JsonBuffer	buf;

	if (!JsonHasValue(body) || (row = AddRow(doc, fragment)) == NULL)
		return;
	RecordPut(doc, row, "body_bytes",
			  JsonMakeInt(doc->arena, (int64_t) body->len));
	if (body->deep)
	{
		doc->text_withheld = true;
		content_type = JSON_TYPE;
	}
	else if (body->type == JSON_STRING)
		RecordPut(doc, row, "body", body);
	else
	{
		JsonBufferInit(&buf, doc->arena);
		JsonWrite(&buf, body, JSON_COMPACT);
		RecordPut(doc, row, "body", JsonMakeText(doc->arena, buf.data, buf.len));
		if (body->len == 0)
			RecordPut(doc, row, "body_bytes",
					  JsonMakeInt(doc->arena, (int64_t) buf.len));
		content_type = JSON_TYPE;
	}
	RecordPut(doc, row, "content_type",
			  JsonMakeString(doc->arena,
							 content_type ? content_type : "text/plain"));
}

/* ---------------- parts of messages ---------------- */

/* A URL of media: its data if it has them, else itself. */
static void
AddMediaUrl(RecordDoc *doc, const RecordFragment *fragment,
			const JsonNode *url)
{
	RecordFragment link = *fragment;
	const char *comma;
	size_t		type_len;
	JsonNode	data;

	if (url->type == JSON_OBJECT)
		url = JsonGet(url, "url");
	if (url == NULL || url->type != JSON_STRING)
		return;
	if (url->len > 5 && memcmp(url->text, "data:", 5) == 0 &&
		(comma = memchr(url->text, ',', url->len)) != NULL)
	{
		memset(&data, 0, sizeof(data));
		data.text = comma + 1;
		data.len = url->text +url->len - data.text;
		type_len = 0;
		while (url->text +5 + type_len < comma &&
			   url->text[5 + type_len] != ';')
			type_len++;
		AddBinary(doc, fragment,
				  JsonMakeText(doc->arena, url->text +5, type_len),
				  DecodedLength(&data));
		return;
	}
	link.content_type = "text/uri-list";
	RecordAddFragment(doc, &link, url);
}

/*
 * Media in a part: OpenAI image_url, input_audio and file, Anthropic source,
 * Bedrock image and document, Gemini inlineData, OpenTelemetry blob and uri.
 * True if the part was one.
 */
static bool
AddMedia(RecordDoc *doc, const RecordFragment *fragment, const JsonNode *part)
{
	static const char *const urls[] = {"image_url", "uri", "file_url", "url", NULL};
	static const char *const data_paths[] = {
		"source/data", "input_audio/data", "inlineData/data",
		"inline_data/data", "image/source/bytes", "document/source/bytes",
		"video/source/bytes", "file/file_data", "file_data", NULL
	};
	static const char *const type_paths[] = {
		"source/media_type", "inlineData/mimeType", "inline_data/mime_type",
		"mime_type", "media_type", "mimeType", NULL
	};
	const JsonNode *type = NULL;
	const JsonNode *data = NULL;

	for (const char *const *path = urls; *path; path++)
	{
		if (JsonHasValue(JsonGet(part, *path)))
		{
			AddMediaUrl(doc, fragment, JsonGet(part, *path));
			return true;
		}
	}
	if (JsonIs(JsonGet(part, "type"), "blob"))
		data = JsonGet(part, "content");
	for (const char *const *path = data_paths; *path && !data; path++)
		data = JsonPath (part, *path);

	if (data == NULL || data->type != JSON_STRING)
		return false;
	for (const char *const *path = type_paths; *path && !type; path++)
		type = JsonPath (part, *path);

	AddBinary(doc, fragment, type, DecodedLength(data));
	return true;
}

/* A tool call, or a tool's result, in a part; true if the part was one. */
static bool
AddToolPart(RecordDoc *doc, const RecordFragment *fragment,
			const JsonNode *part)
{
	static const char *const call_types[] = {
		"tool_use", "tool_call", "function_call", "server_tool_use",
		"custom_tool_call", "mcp_call", NULL
	};
	static const char *const result_types[] = {
		"tool_result", "tool_call_response", "function_call_output",
		"web_search_tool_result", "custom_tool_call_output", NULL
	};
	RecordFragment tool = *fragment;
	const JsonNode *type = JsonGet(part, "type");
	const JsonNode *body = part;
	const JsonNode *inner;

	tool.kind = NULL;
	for (const char *const *t = call_types; *t; t++)
		tool.kind = JsonIs(type, *t) ? "tool_call" : tool.kind;
	for (const char *const *t = result_types; *t; t++)
		tool.kind = JsonIs(type, *t) ? "tool_result" : tool.kind;
	if ((inner = JsonGet(part, "toolUse")) != NULL ||
		(inner = JsonGet(part, "functionCall")) != NULL)
	{
		tool.kind = "tool_call";
		body = inner;
	}
	else if ((inner = JsonGet(part, "toolResult")) != NULL ||
			 (inner = JsonGet(part, "functionResponse")) != NULL)
	{
		tool.kind = "tool_result";
		body = inner;
	}
	if (tool.kind == NULL)
		return false;
	if ((inner = JsonGet(body, "call_id")) != NULL ||
		(inner = JsonGet(body, "tool_use_id")) != NULL ||
		(inner = JsonGet(body, "toolUseId")) != NULL ||
		(inner = JsonGet(body, "id")) != NULL)
		tool.tool_call_id = inner;
	if (strcmp(tool.kind, "tool_result") == 0 &&
		((inner = JsonGet(body, "output")) != NULL ||
		 (inner = JsonGet(body, "response")) != NULL ||
		 (inner = JsonGet(body, "result")) != NULL ||
		 (inner = JsonGet(body, "content")) != NULL) && JsonHasValue(inner))
		body = inner;
	RecordAddFragment(doc, &tool, body);
	return true;
}

/* The text of a part, wherever it stands, or NULL. */
static const JsonNode *
PartText(const JsonNode *part)
{
	static const char *const paths[] = {
		"text/value", "text/text", "text", "guardContent/text/text",
		"output_text", "input_text", "thinking", "refusal", "reasoning",
		"transcript", "content", "value", NULL
	};

	for (const char *const *path = paths; *path; path++)
	{
		const JsonNode *text = JsonPath (part, *path);

		if (text &&text->type == JSON_STRING)
			return text;
	}
	return NULL;
}

/* One part of a message. */
static void
AddPart(RecordDoc *doc, const RecordFragment *fragment, const JsonNode *part)
{
	const JsonNode *text;

	if (part->type != JSON_OBJECT || part->deep)
	{
		RecordAddFragment(doc, fragment, part);
		return;
	}
	if (AddToolPart(doc, fragment, part))
		return;
	if (JsonIs(JsonGet(part, "type"), "blob") && AddMedia(doc, fragment, part))
		return;
	text = PartText(part);

	if (text)
		RecordAddFragment(doc, fragment, text);
	else if (!AddMedia(doc, fragment, part))
		RecordAddFragment(doc, fragment, part);
}

void
RecordAddParts(RecordDoc *doc, const RecordFragment *fragment,
			   const JsonNode *content)
{
	if (!JsonHasValue(content))
		return;
	if (content->type == JSON_ARRAY)
	{
		for (const JsonNode *part = content->child; part; part = part->next)
		{
			if (JsonHasValue(part))
				AddPart(doc, fragment, part);
		}
	}
	else
		AddPart(doc, fragment, content);
}

/* ---------------- messages ---------------- */

/* Kind of plain text in a message with this role. */
static const char *
KindByRole(const JsonNode *role, const char *kind)
{
	if (JsonIs(role, "system") || JsonIs(role, "developer") ||
		JsonIs(role, "SYSTEM"))
		return "system_instructions";
	if (JsonIs(role, "tool") || JsonIs(role, "function") ||
		JsonIs(role, "TOOL"))
		return "tool_result";
	return kind;
}

/* Tool calls that an assistant's message asks for. */
static void
AddToolCalls(RecordDoc *doc, const RecordFragment *fragment,
			 const JsonNode *calls)
{
	RecordFragment tool = *fragment;

	if (!JsonHasValue(calls))
		return;
	tool.kind = "tool_call";
	if (calls->type != JSON_ARRAY)
	{
		RecordAddFragment(doc, &tool, calls);
		return;
	}
	for (const JsonNode *call = calls->child; call; call = call->next)
	{
		tool.tool_call_id = JsonGet(call, "id");
		RecordAddFragment(doc, &tool, call);
	}
}

void
RecordAddMessage(RecordDoc *doc, const JsonNode *message, const char *kind,
				 int message_index)
{
	RecordFragment fragment;
	const JsonNode *content;

	memset(&fragment, 0, sizeof(fragment));
	fragment.kind = kind;
	fragment.message_index = message_index;
	if (message->type != JSON_OBJECT || message->deep)
	{
		RecordAddFragment(doc, &fragment, message);
		return;
	}
	fragment.role = JsonGet(message, "role");
	fragment.kind = KindByRole(fragment.role, kind);
	fragment.tool_call_id = JsonGet(message, "tool_call_id");
	if (AddToolPart(doc, &fragment, message))
		return;
	content = JsonGet(message, "content");
	if (content == NULL)
		content = JsonGet(message, "parts");
	if (content == NULL)
		content = JsonGet(message, "message");
	if (content == NULL && JsonGet(message, "tool_calls") == NULL &&
		JsonGet(message, "function_call") == NULL)
		AddPart(doc, &fragment, message);
	RecordAddParts(doc, &fragment, content);
	RecordAddParts(doc, &fragment, JsonGet(message, "reasoning_content"));
	RecordAddParts(doc, &fragment, JsonGet(message, "refusal"));
	AddToolCalls(doc, &fragment, JsonGet(message, "tool_calls"));
	AddToolCalls(doc, &fragment, JsonGet(message, "function_call"));
}

void
RecordAddMessages(RecordDoc *doc, const JsonNode *messages, const char *kind)
{
	int			index = 0;

	messages = RecordUnpack(doc, messages);
	if (!JsonHasValue(messages))
		return;
	if (messages->type != JSON_ARRAY)
	{
		RecordAddMessage(doc, messages, kind, 0);
		return;
	}
	for (const JsonNode *m = messages->child; m; m = m->next)
		RecordAddMessage(doc, m, kind, index++);
}

/* ---------------- by name ---------------- */

/* Kind of what stands under a content-like name. */
static const char *
KindByName(const char *key, size_t len)
{
	static const char *const responses[] = {
		"response", "output", "completion", "choices", "answer", "generat",
		"result", NULL
	};

	for (const char *const *word = responses; *word; word++)
	{
		size_t		n = strlen(*word);

		for (size_t i = 0; i + n <= len; i++)
		{
			if (memcmp(key + i, *word, n) == 0)
				return "response";
		}
	}
	if (len >= 6 && memcmp(key, "system", 6) == 0)
		return "system_instructions";
	if (len >= 8 && memcmp(key, "document", 8) == 0)
		return "retrieved_context";
	return "prompt";
}

void
RecordAddContent(RecordDoc *doc, const JsonNode *member)
{
	RecordFragment fragment;
	const JsonNode *value = RecordUnpack(doc, member);

	memset(&fragment, 0, sizeof(fragment));
	fragment.message_index = -1;
	fragment.kind = KindByName(member->key ? member->key : "", member->key_len);
	if (value->type == JSON_ARRAY &&
		JsonGet(value->child, "role") != NULL)
		RecordAddMessages(doc, value, fragment.kind);
	else
		RecordAddFragment(doc, &fragment, value);
}
