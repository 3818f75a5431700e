/*
 * format_stream.c
 *	  Streamed responses: server-sent events and JSON lines.
 *
 * The pieces of text, of tool calls and of usage are put together again, so
 * that a streamed call leaves the same rows as one that was not.  Events of
 * OpenAI (chat, completions, responses), Anthropic, Cohere, Gemini, Ollama
 * and Writer are understood; a stream in which nothing is becomes one
 * fragment, as it came.
 */
#include "record/format.h"

#include <string.h>

/* Choices, and tool calls, that are told apart; later ones join the last. */
#define STREAM_CHOICES	8
#define STREAM_TOOLS	64

typedef struct StreamTool
{
	const JsonNode *id;
	const JsonNode *name;
	JsonBuffer	arguments;
} StreamTool;

typedef struct Stream
{
	RecordDoc  *doc;
	JsonBuffer text[STREAM_CHOICES];
	JsonBuffer	thinking;
	StreamTool	tools[STREAM_TOOLS];
	int			ntools;
	int			last_tool;		/* that a piece without number belongs to */
	JsonNode   *usage;			/* members of all usage objects */
	JsonNode   *reasons;
	const JsonNode *whole;		/* a complete response in the last event */
	int			understood;		/* events that were */
} Stream;

/* Sets members of to from those of from, replacing older values. */
static void
Merge(RecordDoc *doc, JsonNode *to, const JsonNode *from)
{
	if (from == NULL || from->type != JSON_OBJECT || to == NULL)
		return;
	for (const JsonNode *m = from->child; m; m = m->next)
	{
		JsonNode   *old = to->child;

		if (m->type == JSON_NULL)
			continue;
		while (old && !(old->key_len == m->key_len &&
						memcmp(old->key, m->key, m->key_len) == 0))
			old = old->next;
		if (old)
		{
			JsonNode   *next = old->next;

			*old = *m;
			old->next = next;
		}
		else
		{
			JsonNode   *copy = JsonShare(doc->arena, m);

			if (copy)
				JsonAppendMember(to, m->key, m->key_len, copy);
		}
	}
}

static void
AddReason(Stream *st, const JsonNode *reason)
{
	if (JsonHasValue(reason) && reason->type == JSON_STRING &&
		st->reasons && st->reasons->count < STREAM_CHOICES)
		JsonAppend(st->reasons, JsonShare(st->doc->arena, reason));
}

/* Appends a piece, a string or parts of text, to a buffer. */
static void
AddPiece(JsonBuffer *buf, const JsonNode *piece)
{
	if (piece == NULL)
		return;
	if (piece->type == JSON_STRING)
		JsonBufferAdd(buf, piece->text, piece->len);
	else if (piece->type == JSON_ARRAY)
	{
		for (const JsonNode *p = piece->child; p; p = p->next)
		{
			const JsonNode *text = JsonPath (p, "text/value");

			AddPiece(buf, text ? text : JsonGet(p, "text"));
		}
	}
}

/* The tool call with this number, made if new; NULL number: the last. */
static StreamTool *
ToolAt(Stream *st, const JsonNode *number)
{
	double		value;
	int			i = st->last_tool;

	if (RecordNumber(number, &value))
		i = value < 0 ? 0 : value >= STREAM_TOOLS ? STREAM_TOOLS - 1 : (int) value;
	while (st->ntools <= i)
	{
		memset(&st->tools[st->ntools], 0, sizeof(StreamTool));
		JsonBufferInit(&st->tools[st->ntools].arguments, st->doc->arena);
		st->ntools++;
	}
	st->last_tool = i;
	return &st->tools[i];
}

/* A piece of OpenAI's (or Cohere's) tool calls. */
static void
AddToolPieces(Stream *st, const JsonNode *calls)
{
	const JsonNode *call = calls;

	if (!JsonHasValue(calls))
		return;
	if (calls->type == JSON_ARRAY)
		call = calls->child;
	for (; call; call = calls->type == JSON_ARRAY ? call->next : NULL)
	{
		const JsonNode *number = JsonGet(call, "index");
		StreamTool *tool;

		if (number == NULL && JsonHasValue(JsonGet(call, "id")))
			st->last_tool = st->ntools < STREAM_TOOLS ? st->ntools :
				STREAM_TOOLS - 1;
		tool = ToolAt(st, number);
		if (JsonHasValue(JsonGet(call, "id")))
			tool->id = JsonGet(call, "id");
		if (JsonHasValue(JsonPath (call, "function/name")))
			tool->name = JsonPath (call, "function/name");

		AddPiece(&tool->arguments, JsonPath (call, "function/arguments"));
	}
}

/* OpenAI's choices and Gemini's candidates. */
static bool
OnChoices(Stream *st, const JsonNode *choices)
{
	if (choices == NULL || choices->type != JSON_ARRAY)
		return false;
	for (const JsonNode *c = choices->child; c; c = c->next)
	{
		const JsonNode *delta = JsonGet(c, "delta");
		double		number = 0;
		JsonBuffer *text;

		RecordNumber(JsonGet(c, "index"), &number);
		if (number < 0 || number >= STREAM_CHOICES)
			number = STREAM_CHOICES - 1;
		text = &st->text[(int) number];

		if (delta == NULL || delta->type != JSON_OBJECT)
			delta = JsonGet(c, "message");
		AddPiece(text, JsonGet(delta, "content"));
		AddPiece(text, JsonGet(delta, "refusal"));
		AddPiece(&st->thinking, JsonGet(delta, "reasoning_content"));
		AddPiece(text, JsonGet(c, "text"));
		AddPiece(text, JsonPath (c, "content/parts"));
		AddToolPieces(st, JsonGet(delta, "tool_calls"));
		AddReason(st, JsonGet(c, "finish_reason"));
		AddReason(st, JsonGet(c, "finishReason"));
	}
	return true;
}

/* Anthropic's events. */
static bool
OnAnthropic(Stream *st, const JsonNode *event, const JsonNode *type)
{
	const JsonNode *block = JsonGet(event, "content_block");
	const JsonNode *delta = JsonGet(event, "delta");
	const JsonNode *message = JsonGet(event, "message");
	StreamTool *tool;

	if (JsonIs(type, "message_start"))
	{
		RecordSet(st->doc, "response_id", JsonGet(message, "id"));
		RecordSet(st->doc, "response_model", JsonGet(message, "model"));
		Merge(st->doc, st->usage, JsonGet(message, "usage"));
	}
	else if (JsonIs(type, "content_block_start"))
	{
		AddPiece(&st->text[0], JsonGet(block, "text"));
		if (JsonGet(block, "name"))
		{
			st->last_tool = st->ntools < STREAM_TOOLS ? st->ntools :
				STREAM_TOOLS - 1;
			tool = ToolAt(st, NULL);
			tool->id = JsonGet(block, "id");
			tool->name = JsonGet(block, "name");
		}
	}
	else if (JsonIs(type, "content_block_delta"))
	{
		AddPiece(&st->text[0], JsonGet(delta, "text"));
		AddPiece(&st->thinking, JsonGet(delta, "thinking"));
		if (JsonGet(delta, "partial_json"))
			AddPiece(&ToolAt(st, NULL)->arguments, JsonGet(delta, "partial_json"));
	}
	else if (JsonIs(type, "message_delta"))
	{
		AddReason(st, JsonGet(delta, "stop_reason"));
		Merge(st->doc, st->usage, JsonGet(event, "usage"));
	}
	else
		return JsonIs(type, "content_block_stop") ||
			JsonIs(type, "message_stop") || JsonIs(type, "ping");
	return true;
}

/* Cohere's events. */
static bool
OnCohere(Stream *st, const JsonNode *event, const JsonNode *type)
{
	const JsonNode *delta = JsonGet(event, "delta");

	if (JsonIs(type, "message-start"))
		RecordSet(st->doc, "response_id", JsonGet(event, "id"));
	else if (JsonIs(type, "content-delta"))
		AddPiece(&st->text[0], JsonPath (delta, "message/content/text"));
	else if (JsonIs(type, "tool-plan-delta"))
		AddPiece(&st->thinking, JsonPath (delta, "message/tool_plan"));
	else if (JsonIs(type, "tool-call-start") || JsonIs(type, "tool-call-delta"))
		AddToolPieces(st, JsonPath (delta, "message/tool_calls"));
	else if (JsonIs(type, "message-end"))
	{
		AddReason(st, JsonGet(delta, "finish_reason"));
		Merge(st->doc, st->usage, JsonGet(delta, "usage"));
	}
	else if (JsonIs(JsonGet(event, "event_type"), "text-generation"))
		AddPiece(&st->text[0], JsonGet(event, "text"));
	else if (JsonIs(JsonGet(event, "event_type"), "stream-end"))
		st->whole = JsonGet(event, "response");
	else
		return false;
	return true;
}

/* Events of OpenAI's responses API. */
static bool
OnResponses(Stream *st, const JsonNode *event, const JsonNode *type)
{
	const JsonNode *response = JsonGet(event, "response");

	if (type == NULL || type->type != JSON_STRING || type->len < 9 ||
		memcmp(type->text, "response.", 9) != 0)
		return false;
	if (JsonIs(type, "response.completed") || JsonIs(type, "response.failed") ||
		JsonIs(type, "response.incomplete"))
		st->whole = response;
	else if (JsonIs(type, "response.output_text.delta") ||
			 JsonIs(type, "response.refusal.delta"))
		AddPiece(&st->text[0], JsonGet(event, "delta"));
	if (response)
	{
		RecordSet(st->doc, "response_id", JsonGet(response, "id"));
		RecordSet(st->doc, "response_model", JsonGet(response, "model"));
	}
	return true;
}

/* Ollama's and Writer's lines, and what is in any event. */
static bool
OnOther(Stream *st, const JsonNode *event)
{
	const JsonNode *response = JsonGet(event, "response");
	const JsonNode *value = JsonGet(event, "value");
	bool		found = false;

	if (response && response->type == JSON_STRING)
	{
		AddPiece(&st->text[0], response);
		found = true;
	}
	if (JsonGet(event, "done") && JsonGet(event, "message"))
	{
		AddPiece(&st->text[0], JsonPath (event, "message/content"));
		AddToolPieces(st, JsonPath (event, "message/tool_calls"));
		found = true;
	}
	if (value && value->type == JSON_STRING)
	{
		AddPiece(&st->text[0], value);
		found = true;
	}
	if (JsonPath (event, "delta/content"))
	{
		AddPiece(&st->text[0], JsonPath (event, "delta/content"));
		found = true;
	}
	AddReason(st, JsonGet(event, "done_reason"));
	if (JsonGet(event, "eval_count"))
		Merge(st->doc, st->usage, event);
	RecordSetMillis(st->doc, "duration_ms", JsonGet(event, "total_duration"), 1e6);
	return found || JsonGet(event, "error") != NULL;
}

/* One event's data. */
static void
OnEvent(Stream *st, const JsonNode *event)
{
	const JsonNode *type = JsonGet(event, "type");
	const JsonNode *id = JsonGet(event, "id");
	bool		known;

	if (event->type != JSON_OBJECT)
		return;
	known = OnAnthropic(st, event, type) || OnResponses(st, event, type) ||
		OnCohere(st, event, type);
	if (!known)
	{
		known = OnChoices(st, JsonGet(event, "choices")) ||
			OnChoices(st, JsonGet(event, "candidates")) || OnOther(st, event);
		if (id && id->type == JSON_STRING)
			RecordSet(st->doc, "response_id", id);
		RecordSet(st->doc, "response_model", JsonGet(event, "model"));
		RecordSet(st->doc, "response_model", JsonGet(event, "modelVersion"));
		RecordSetTime(st->doc, "occurred_at", JsonGet(event, "created"));
		RecordSetTime(st->doc, "occurred_at", JsonGet(event, "created_at"));
		Merge(st->doc, st->usage, JsonGet(event, "usage"));
		Merge(st->doc, st->usage, JsonPath (event, "x_groq/usage"));
		Merge(st->doc, st->usage, JsonGet(event, "usageMetadata"));
	}
	RecordMapError(st->doc, JsonGet(event, "error"));
	if (known)
		st->understood++;
}

/* Parses every line that holds JSON, with or without "data:". */
static void
ReadLines(Stream *st, const JsonNode *text)
{
	const char *p = text->text;
	const char *end = p + text->len;

	while (p < end)
	{
		const char *eol = memchr(p, '\n', end - p);
		const char *line = p;
		JsonError	error;
		JsonNode   *event;

		if (eol == NULL)
			eol = end;
		p = eol + 1;
		if (eol - line >= 5 && memcmp(line, "data:", 5) == 0)
			line += 5;
		while (line < eol && (*line == ' ' || *line == '\t'))
			line++;
		if (line == eol || *line != '{')
			continue;
		event = JsonParse(st->doc->arena, line, eol - line, &error);
		if (event && event->deep)
			st->doc->text_withheld = true;
		else if (event)
			OnEvent(st, event);
	}
}

/* The tool calls that were put together, as fragments. */
static void
AddTools(Stream *st)
{
	RecordDoc  *doc = st->doc;

	for (int i = 0; i < st->ntools; i++)
	{
		RecordFragment fragment;
		StreamTool *tool = &st->tools[i];
		JsonNode   *call = JsonMake(doc->arena, JSON_OBJECT);

		if (call == NULL || (tool->name == NULL && tool->arguments.len == 0))
			continue;
		memset(&fragment, 0, sizeof(fragment));
		fragment.kind = "tool_call";
		fragment.role_name = "assistant";
		fragment.tool_call_id = tool->id;
		if (tool->id)
			JsonAppendMember(call, "id", 2, JsonShare(doc->arena, tool->id));
		if (tool->name)
			JsonAppendMember(call, "name", 4, JsonShare(doc->arena, tool->name));
		JsonAppendMember(call, "arguments", 9,
						 JsonMakeText(doc->arena, tool->arguments.data,
									  tool->arguments.len));
		RecordAddFragment(doc, &fragment, call);
	}
	if (st->ntools > 0)
		RecordSetInt(doc, "tool_call_count", st->ntools);
}

/* Hands out what the events added up to. */
static void
Finish(Stream *st)
{
	RecordDoc  *doc = st->doc;
	RecordFragment fragment;

	RecordSet(doc, "is_stream", JsonMake(doc->arena, JSON_TRUE));
	if (st->whole)
	{
		RecordMapResponse(doc, st->whole);
		return;
	}
	memset(&fragment, 0, sizeof(fragment));
	fragment.kind = "response";
	fragment.role_name = "reasoning";
	fragment.message_index = -1;
	if (st->thinking.len > 0)
		RecordAddFragment(doc, &fragment,
						  JsonMakeText(doc->arena, st->thinking.data,
									   st->thinking.len));
	fragment.role_name = "assistant";
	for (int i = 0; i < STREAM_CHOICES; i++)
	{
		fragment.message_index = i;
		if (st->text[i].len > 0)
			RecordAddFragment(doc, &fragment,
							  JsonMakeText(doc->arena, st->text[i].data,
										   st->text[i].len));
	}
	AddTools(st);
	RecordMapUsage(doc, st->usage);
	RecordSet(doc, "finish_reasons", st->reasons);
}

void
RecordMapResponseText(RecordDoc *doc, const JsonNode *text)
{
	JsonError	error;
	JsonNode   *body;
	Stream	   *st;
	RecordFragment fragment;

	if (!JsonHasValue(text))
		return;
	body = JsonParse(doc->arena, text->text, text->len, &error);
	if (body && (body->type == JSON_OBJECT || body->type == JSON_ARRAY))
	{
		RecordRedact(doc, body);
		RecordMapResponse(doc, body);
		return;
	}
	st = JsonAlloc(doc->arena, sizeof(Stream));
	if (st == NULL)
		return;
	memset(st, 0, sizeof(*st));
	st->doc = doc;
	for (int i = 0; i < STREAM_CHOICES; i++)
		JsonBufferInit(&st->text[i], doc->arena);
	JsonBufferInit(&st->thinking, doc->arena);
	st->usage = JsonMake(doc->arena, JSON_OBJECT);
	st->reasons = JsonMake(doc->arena, JSON_ARRAY);
	ReadLines(st, text);
	if (st->understood > 0)
	{
		Finish(st);
		return;
	}
	memset(&fragment, 0, sizeof(fragment));
	fragment.kind = "response";
	fragment.message_index = -1;
	RecordAddFragment(doc, &fragment, text);
}
