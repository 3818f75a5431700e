/*
 * format_raw.c
 *	  A recorded HTTP exchange: method, uri, status, headers, request and
 *	  response, the bodies as JSON or as text.
 *
 * Any exchange is a call, one with something else than a model too: what
 * cannot be known has a stand-in, and the columns that the format lacks come
 * from the defaults.  Only a few headers are read; none is stored as it is,
 * and the query part of the URI is left out, because both carry credentials.
 */
#include "record/format.h"

#include <string.h>

/* Names of providers by the end of the host. */
static const char *const providers[][2] = {
	{"api.openai.com", "openai"},
	{".openai.azure.com", "azure.ai.openai"},
	{".cognitiveservices.azure.com", "azure.ai.openai"},
	{".services.ai.azure.com", "azure.ai.inference"},
	{".inference.ai.azure.com", "azure.ai.inference"},
	{"api.anthropic.com", "anthropic"},
	{".amazonaws.com", "aws.bedrock"},
	{"api.cohere.com", "cohere"},
	{"api.cohere.ai", "cohere"},
	{".mistral.ai", "mistral_ai"},
	{"api.groq.com", "groq"},
	{"api.deepseek.com", "deepseek"},
	{"generativelanguage.googleapis.com", "gcp.gemini"},
	{"aiplatform.googleapis.com", "gcp.vertex_ai"},
	{"api.perplexity.ai", "perplexity"},
	{"api.x.ai", "x_ai"},
	{".ml.cloud.ibm.com", "ibm.watsonx.ai"},
	{".together.xyz", "together_ai"},
	{"api.replicate.com", "replicate"},
	{".huggingface.cloud", "huggingface"},
	{".huggingface.co", "huggingface"},
	{"api.writer.com", "writer"},
	{"api.voyageai.com", "voyage_ai"},
	{"openrouter.ai", "openrouter"},
	{"api.fireworks.ai", "fireworks_ai"},
	{"api.cerebras.ai", "cerebras"},
	{NULL, NULL}
};

/* Operations by a part of the path, the first that matches. */
static const char *const operations[][2] = {
	{"/chat/completions", "chat"},
	{"/chat", "chat"},
	{"/converse", "chat"},
	{"/embeddings", "embeddings"},
	{"/embed", "embeddings"},
	{":embedContent", "embeddings"},
	{"enerateContent", "generate_content"},
	{"/completions", "text_completion"},
	{"/complete", "text_completion"},
	{"/api/generate", "text_completion"},
	{"/generation", "text_completion"},
	{"/predictions", "text_completion"},
	{"/rerank", "rerank"},
	{"/images/", "generate_content"},
	{"/audio/", "generate_content"},
	{"/assistants", "create_agent"},
	{"/responses", "chat"},
	{NULL, NULL}
};

/* Where the parts of a URI are. */
typedef struct Uri
{
	const JsonNode *host;
	const char *path;
	size_t		path_len;
	bool		ollama;			/* by its port */
} Uri;

static bool
EndsWith(const JsonNode *text, const char *end)
{
	size_t		n = strlen(end);

	return text->len >= n && memcmp(text->text +text->len - n, end, n) == 0;
}

/* Position of needle in the path, or -1. */
static int
FindInPath(const Uri *uri, const char *needle)
{
	size_t		n = strlen(needle);

	for (size_t i = 0; i + n <= uri->path_len; i++)
	{
		if (memcmp(uri->path + i, needle, n) == 0)
			return (int) i;
	}
	return -1;
}

/* Finds host and path; a text that is no URI has neither. */
static void
SplitUri(RecordDoc *doc, const JsonNode *text, Uri *uri)
{
	const char *p;
	const char *end;

	memset(uri, 0, sizeof(*uri));
	uri->path = "";
	uri->host = RecordUrlHost(doc, text);
	if (uri->host == NULL)
		return;
	p = uri->host->text +uri->host->len;
	end = text->text +text->len;

	uri->ollama = end - p >= 6 && memcmp(p, ":11434", 6) == 0;
	while (p < end && *p != '/' && *p != '?' && *p != '#')
		p++;
	uri->path = p;
	while (p < end && *p != '?' && *p != '#')
		p++;
	uri->path_len = p - uri->path;
}

/* Provider, address and path. */
static void
MapUri(RecordDoc *doc, const Uri *uri)
{
	JsonNode   *path;

	if (uri->host == NULL)
		return;
	RecordSet(doc, "server_address", uri->host);
	for (size_t i = 0; providers[i][0]; i++)
	{
		if (EndsWith(uri->host, providers[i][0]))
			RecordSetString(doc, "provider_name", providers[i][1]);
	}
	if (uri->ollama)
		RecordSetString(doc, "provider_name", "ollama");
	RecordSet(doc, "provider_name", uri->host);
	path = JsonMakeText(doc->arena, uri->path, uri->path_len);
	if (path && uri->path_len > 0)
	{
		path->key = "url.path";
		path->key_len = 8;
		RecordAttribute(doc, "", path);
	}
}

/* A segment of the path, its %XX decoded. */
static JsonNode *
DecodeSegment(RecordDoc *doc, const char *p, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	char	   *out = JsonAlloc(doc->arena, len + 1);
	size_t		n = 0;
	size_t		flaw;

	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < len; i++)
	{
		const char *high = NULL;
		const char *low = NULL;

		if (p[i] == '%' && i + 2 < len + 0)
		{
			high = p[i + 1] ? strchr(hex, p[i + 1] | 0x20) : NULL;
			low = p[i + 2] ? strchr(hex, p[i + 2] | 0x20) : NULL;
		}
		if (high && low)
		{
			out[n++] = (char) ((high - hex) * 16 + (low - hex));
			i += 2;
		}
		else
			out[n++] = p[i];
	}
	if (memchr(out, '\0', n) || !Utf8Valid(out, n, &flaw))
		return JsonMakeText(doc->arena, p, len);
	return JsonMakeText(doc->arena, out, n);
}

/* The model where only the path names it. */
static void
MapModelFromPath(RecordDoc *doc, const Uri *uri)
{
	static const char *const before[] = {
		"/model/", "/deployments/", "/models/", NULL
	};

	for (const char *const *b = before; *b; b++)
	{
		int			at = FindInPath(uri, *b);
		const char *p;
		const char *end = uri->path + uri->path_len;
		const char *s;
		int			slashes = 0;

		if (at < 0)
			continue;
		p = uri->path + at + strlen(*b);
		/* Replicate's and Hugging Face's models are owner/name. */
		for (s = p; s < end && *s != ':'; s++)
		{
			if (*s == '/' && (strcmp(*b, "/models/") != 0 || ++slashes == 2 ||
							  EndsWith(uri->host, "googleapis.com")))
				break;
		}
		if (s > p)
			RecordSet(doc, "request_model", DecodeSegment(doc, p, s - p));
		return;
	}
}

/* What was done, by the path, or else the HTTP method. */
static void
MapOperation(RecordDoc *doc, const Uri *uri, const JsonNode *method,
			 const JsonNode *request)
{
	bool		post = method == NULL || JsonIs(method, "POST") ||
	JsonIs(method, "post");
	char		name[16];
	size_t		n = 0;

	if (post)
	{
		if (FindInPath(uri, "/messages") >= 0 && FindInPath(uri, "/threads") < 0)
			RecordSetString(doc, "operation_name", "chat");
		if (FindInPath(uri, "/threads/") >= 0 && FindInPath(uri, "/runs") >= 0)
			RecordSetString(doc, "operation_name", "invoke_agent");
		if (FindInPath(uri, "/invoke") >= 0)
			RecordSetString(doc, "operation_name",
							JsonGet(request, "messages") ? "chat" :
							"text_completion");
		for (size_t i = 0; operations[i][0]; i++)
		{
			if (FindInPath(uri, operations[i][0]) >= 0)
				RecordSetString(doc, "operation_name", operations[i][1]);
		}
		if (JsonGet(request, "inputs"))
			RecordSetString(doc, "operation_name", "text_completion");
	}
	for (; method && method->type == JSON_STRING && n < method->len && n < 15; n++)
	{
		char		c = method->text[n];

		if (c >= 'A' && c <= 'Z')
			c = (char) (c - 'A' + 'a');
		if (c < 'a' || c > 'z')
			break;
		name[n] = c;
	}
	RecordSet(doc, "operation_name",
			  n > 0 ? RecordFormatText(doc, "%.*s", (int) n, name) :
			  JsonMakeString(doc->arena, "http"));
}

/* A header by its lower-case name, whatever its case; a list's first value. */
static const JsonNode *
Header(const JsonNode *headers, const char *name)
{
	size_t		n = strlen(name);

	for (const JsonNode *h = headers ? headers->child : NULL; h; h = h->next)
	{
		size_t		i = 0;

		while (h->key && h->key_len == n && i < n &&
			   (h->key[i] | 0x20) == (name[i] | 0x20))
			i++;
		if (i == n && h->key_len == n)
			return h->type == JSON_ARRAY ? h->child : h;
	}
	return NULL;
}

/* The few headers that say something about the call. */
static void
MapHeaders(RecordDoc *doc, const JsonNode *sent, const JsonNode *received)
{
	static const char *const ids[] = {
		"x-request-id", "request-id", "x-amzn-requestid", "apim-request-id",
		NULL
	};
	const JsonNode *retries = Header(sent, "x-stainless-retry-count");
	double		count;

	RecordSet(doc, "user_agent", Header(sent, "user-agent"));
	if (RecordNumber(retries, &count) && count >= 0 && count < 1000)
	{
		RecordSetInt(doc, "attempt", (int64_t) count + 1);
		RecordSetString(doc, "attempt_kind", count > 0 ? "retry" : "first");
	}
	RecordSetMillis(doc, "duration_ms", Header(received, "openai-processing-ms"),
					1);
	for (const char *const *name = ids; *name; name++)
	{
		const JsonNode *id = Header(received, *name);
		JsonNode   *copy;

		if (!JsonHasValue(id) || (copy = JsonShare(doc->arena, id)) == NULL)
			continue;
		copy->key = "provider_request_id";
		copy->key_len = 19;
		RecordAttribute(doc, "", copy);
		RecordSet(doc, "response_id", id);
		break;
	}
}

/* Status and, of a failed exchange, the error. */
static void
MapHttpStatus(RecordDoc *doc, const JsonNode *status, const JsonNode *response)
{
	double		code = 0;

	if (!RecordNumber(status, &code) || code < 100 || code > 999)
		code = 0;
	if (code > 0)
		RecordSet(doc, "http_status", status);
	if (code == 408 || code == 504)
		RecordSetString(doc, "status", "timeout");
	else if (code == 499)
		RecordSetString(doc, "status", "cancelled");
	else if (code >= 400)
		RecordSetString(doc, "status", "error");
	if (code >= 400)
	{
		const JsonNode *body = RecordUnpack(doc, response);

		if (JsonGet(body, "error"))
			RecordMapError(doc, JsonGet(body, "error"));
		else
			RecordMapError(doc, body);
		RecordSet(doc, "error_code", RecordFormatText(doc, "%d", (int) code));
	}
	else if (JsonIs(JsonGet(response, "status"), "failed") ||
			 JsonHasValue(JsonGet(response, "error")))
		RecordSetString(doc, "status", "error");
	else
		RecordSetString(doc, "status", "ok");
}

/* Replaces values of credentials in name=value&... by a constant. */
static const JsonNode *
RedactForm(RecordDoc *doc, const JsonNode *text)
{
	JsonBuffer	buf;
	const char *p = text->text;
	const char *end = p + text->len;

	if (text->len > 100000 || !memchr(p, '=', text->len) ||
		memchr(p, '{', text->len) || memchr(p, ' ', text->len))
		return text;

	JsonBufferInit(&buf, doc->arena);
	while (p < end)
	{
		const char *next = memchr(p, '&', end - p);
		const char *equals;

		if (next == NULL)
			next = end;
		equals = memchr(p, '=', next - p);
		if (equals && RecordKeyIsSecret(p, equals - p))
		{
			RecordNote(doc, &doc->redacted, p, equals - p);
			JsonBufferAdd(&buf, p, equals - p + 1);
			JsonBufferAddString(&buf, "[redacted]");
		}
		else
			JsonBufferAdd(&buf, p, next - p);
		p = next;
		if (p < end)
			JsonBufferAdd(&buf, p++, 1);
	}
	return JsonMakeText(doc->arena, buf.data, buf.len);
}

/* The body of the request, parsed if it is JSON in a string. */
static JsonNode *
RequestBody(RecordDoc *doc, const JsonNode *root)
{
	JsonNode   *body = RecordUnpack(doc, JsonGet(root, "request"));

	if (body && !body->deep)
		RecordRedact(doc, body);
	return body;
}

bool
RecordMapRaw(RecordDoc *doc, const JsonNode *root)
{
	static const char *const used[] = {
		"uri", "url", "method", "status", "request", "response",
		"request_headers", "response_headers", "stream", NULL
	};
	const JsonNode *method = JsonGet(root, "method");
	const JsonNode *response = JsonGet(root, "response");
	JsonNode   *request = RequestBody(doc, root);
	RecordFragment prompt;
	Uri			uri;

	SplitUri(doc, JsonGet(root, "uri") ? JsonGet(root, "uri") :
			 JsonGet(root, "url"), &uri);
	RecordMapRest(doc, root, used, "");
	MapUri(doc, &uri);
	MapOperation(doc, &uri, method, request);
	if (request && request->type == JSON_STRING)
	{
		memset(&prompt, 0, sizeof(prompt));
		prompt.kind = "prompt";
		prompt.message_index = -1;
		RecordAddFragment(doc, &prompt, RedactForm(doc, request));
	}
	else if (JsonHasValue(request))
		RecordMapRequest(doc, request);
	MapModelFromPath(doc, &uri);
	if (response && response->type == JSON_STRING)
		RecordMapResponseText(doc, response);
	else if (JsonHasValue(response))
	{
		if (!response->deep)
			RecordRedact(doc, (JsonNode *) response);
		RecordMapResponse(doc, response);
	}
	MapHeaders(doc, JsonGet(root, "request_headers"),
			   JsonGet(root, "response_headers"));
	MapHttpStatus(doc, JsonGet(root, "status"), response);
	if (JsonGet(root, "stream"))
		RecordSet(doc, "is_stream", JsonGet(root, "stream"));
	if (FindInPath(&uri, "-stream") >= 0)
		RecordSet(doc, "is_stream", JsonMake(doc->arena, JSON_TRUE));
	RecordSet(doc, "request_model", RecordGet(doc->row, "response_model"));
	return !doc->arena->failed;
}
