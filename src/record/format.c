/*
 * format.c
 *	  What the mappers share: rows and columns, names that are content or
 *	  credentials, attributes and the notes about what was left out.
 */
#include "record/format.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest name that a list of ours has, squashed. */
#define SQUASHED_MAX 40

/* ---------------- schemas and rows ---------------- */

static uint32_t
HashName(const char *name, size_t len)
{
	uint32_t	hash = 2166136261u;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char) name[i]) * 16777619u;
	return hash ^ hash >> 15;
}

void
RecordSchemaIndex(RecordSchema *schema)
{
	for (int i = 0; i < schema->ncolumns; i++)
	{
		const RecordColumn *column = &schema->columns[i];
		uint32_t	slot = HashName(column->name, column->len);

		while (schema->buckets[slot & (schema->nbuckets - 1)] != 0)
			slot++;
		schema->buckets[slot & (schema->nbuckets - 1)] = (uint16_t) (i + 1);
	}
}

int
RecordColumnFind(const RecordSchema *schema, const char *name, size_t len)
{
	uint32_t	slot = HashName(name, len);

	for (;; slot++)
	{
		int			i = schema->buckets[slot & (schema->nbuckets - 1)] - 1;

		if (i < 0)
			return -1;
		if (schema->columns[i].len == len &&
			memcmp(schema->columns[i].name, name, len) == 0)
			return i;
	}
}

/* A row without values; NULL if memory is exhausted. */
static RecordRow *
MakeRow(JsonArena *arena, const RecordSchema *schema)
{
	RecordRow  *row = JsonAlloc(arena, sizeof(RecordRow));
	size_t		size = sizeof(JsonNode *) * schema->ncolumns;

	if (row == NULL)
		return NULL;
	row->schema = schema;
	row->next = NULL;
	row->values = JsonAlloc(arena, size);
	if (row->values == NULL)
		return NULL;
	memset(row->values, 0, size);
	return row;
}

bool
RecordDocInit(RecordDoc *doc, JsonArena *arena, const RecordSchemas *schemas)
{
	memset(doc, 0, sizeof(*doc));
	doc->arena = arena;
	doc->schemas = *schemas;
	doc->row = MakeRow(arena, schemas->main);
	doc->attributes = JsonMake(arena, JSON_OBJECT);
	return doc->row != NULL && doc->attributes != NULL;
}

RecordRow *
RecordAddRow(RecordDoc *doc, RecordRows *rows, const RecordSchema *schema)
{
	RecordRow  *row = MakeRow(doc->arena, schema);

	if (row == NULL)
		return NULL;
	if (rows->last)
		rows->last->next = row;
	else
		rows->first = row;
	rows->last = row;
	rows->count++;
	return row;
}

bool
RecordFail(RecordDoc *doc, RecordFault fault, const JsonNode *at,
		   const char *text)
{
	if (doc->fault == RECORD_FINE)
	{
		doc->fault = fault;
		doc->fault_key = at && at->key ? at->key : "";
		doc->fault_key_len = at && at->key ? at->key_len : 0;
		doc->fault_text = text;
	}
	return false;
}

JsonNode *
RecordGet(const RecordRow *row, const char *column)
{
	int			i = RecordColumnFind(row->schema, column, strlen(column));

	return i < 0 ? NULL : row->values[i];
}

void
RecordPut(RecordDoc *doc, RecordRow *row, const char *column,
		  const JsonNode *value)
{
	int			i = RecordColumnFind(row->schema, column, strlen(column));

	if (i >= 0 && value)
		row->values[i] = JsonShare(doc->arena, value);
}

bool
RecordSet(RecordDoc *doc, const char *column, const JsonNode *value)
{
	int			i = RecordColumnFind(doc->row->schema, column, strlen(column));

	if (i < 0 || !JsonHasValue(value) || doc->row->values[i])
		return false;
	doc->row->values[i] = JsonShare(doc->arena, value);
	return doc->row->values[i] != NULL;
}

bool
RecordSetString(RecordDoc *doc, const char *column, const char *value)
{
	return RecordSet(doc, column, JsonMakeString(doc->arena, value));
}

bool
RecordSetInt(RecordDoc *doc, const char *column, int64_t value)
{
	return RecordSet(doc, column, JsonMakeInt(doc->arena, value));
}

JsonNode *
RecordFormatText(RecordDoc *doc, const char *format,...)
{
	char text[	512];
	char	   *copy;
	va_list		args;
	int			len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (len < 0)
		return NULL;
	if ((size_t) len >= sizeof(text))
		len = (int) Utf8Clip(text, sizeof(text) - 1, sizeof(text) - 1);
	copy = JsonAlloc(doc->arena, (size_t) len + 1);
	if (copy == NULL)
		return NULL;
	memcpy(copy, text, (size_t) len);
	copy[len] = '\0';
	return JsonMakeText(doc->arena, copy, (size_t) len);
}

bool
RecordNumber(const JsonNode *node, double *value)
{
	char text[	64];
	char	   *end;

	if (node == NULL || (node->type != JSON_NUMBER && node->type != JSON_STRING))
		return false;
	if (node->len == 0 || node->len >= sizeof(text))
		return false;
	memcpy(text, node->text, node->len);
	text[		node->len] = '\0';

	if (strspn(text, "0123456789+-.eE") != node->len)
		return false;
	*value = strtod(text, &end);
	return *end == '\0' && *value > -1e300 && *value < 1e300;
}

bool
RecordSetTime(RecordDoc *doc, const char *column, const JsonNode *value)
{
	int64_t		micros;
	double		number;
	char text[	32];
	char	   *copy;
	size_t		len;

	if (!JsonHasValue(value) ||
		(value->type != JSON_NUMBER && value->type != JSON_STRING))
		return false;
	if (!RecordParseEpoch(value->text, value->len, &micros))
	{
		if (value->type == JSON_STRING || !RecordNumber(value, &number) ||
			number < 0 || number > 1e11)
			return RecordSet(doc, column, value);
		micros = (int64_t) (number * 1e6);
	}
	len = RecordFormatTime(micros, text);
	copy = JsonAlloc(doc->arena, len);
	if (copy == NULL)
		return false;
	memcpy(copy, text, len);
	return RecordSet(doc, column, JsonMakeText(doc->arena, copy, len));
}

bool
RecordSetMillis(RecordDoc *doc, const char *column, const JsonNode *value,
				double per_ms)
{
	double		number;

	if (!RecordNumber(value, &number))
		return false;
	number /= per_ms;
	if (number < 0 || number > 1e10)
		return false;
	value = RecordFormatText(doc, "%.3f", number);
	return RecordSet(doc, column, value);
}

JsonNode *
RecordUnpack(RecordDoc *doc, const JsonNode *node)
{
	JsonError	error;
	JsonNode   *inner;

	if (node && node->type == JSON_STRING && node->len >= 2 &&
		(node->text[0] == '{' || node->text[0] == '['))
	{
		inner = JsonParse(doc->arena, node->text, node->len, &error);
		if (inner)
		{
			inner->key = node->key;
			inner->key_len = node->key_len;
			return inner;
		}
	}
	return (JsonNode *) node;
}

JsonNode *
RecordUrlHost(RecordDoc *doc, const JsonNode *url)
{
	const char *p;
	const char *end;
	const char *at;

	if (!JsonHasValue(url) || url->type != JSON_STRING)
		return NULL;
	p = url->text;
	end = p + url->len;
	for (const char *s = p; s + 2 < end; s++)
	{
		if (s[0] == ':' && s[1] == '/' && s[2] == '/')
		{
			p = s + 3;
			break;
		}
	}
	for (const char *s = p; s < end; s++)
	{
		if (*s == '/' || *s == '?' || *s == '#')
			end = s;
	}
	while ((at = memchr(p, '@', end - p)) != NULL)
		p = at + 1;
	at = *p == '[' ? memchr(p, ']', end - p) : memchr(p, ':', end - p);
	if (p < end && *p == '[' && at)
		end = at + 1;
	else if (at)
		end = at;
	return p < end ? JsonMakeText(doc->arena, p, end - p) : NULL;
}

/* ---------------- names ---------------- */

/* Names of texts: never kept among attributes.  Squashed, sorted. */
static const char *const content_names[] = {
	"answer", "arguments", "body", "chathistory", "choices", "completion",
	"completions", "content", "contents", "conversation", "delta", "document",
	"documents", "finalresponse", "functioncall", "genaiinputmessages",
	"genaioutputmessages", "genaiprompt", "genaicompletion",
	"genairetrievaldocuments", "genairetrievalquerytext",
	"genaisysteminstructions", "genaitoolcallarguments", "genaitoolcallresult",
	"generatedtext", "generation", "generations", "history", "input",
	"inputmessages", "inputs", "inputtext", "instructions", "message",
	"messages", "originalresponse", "output", "outputmessages", "outputs",
	"outputtext", "parts", "preamble", "prompt", "prompts",
	"proxyserverrequest", "query", "question", "rawrequest", "rawresponse",
	"reasoningcontent", "request", "requestbody", "response", "responsebody",
	"responses", "suffix", "systeminstruction", "systeminstructions",
	"systemprompt", "text", "thinking", "toolcalls", "tooloutputs",
	"toolresult", "toolresults", "transcript", "userprompt", NULL
};

/* Names of credentials. */
static const char *const secret_names[] = {
	"accesstoken", "apikey", "apitoken", "authorization", "authtoken",
	"awsaccesskeyid", "awssecretaccesskey", "bearer", "bearertoken",
	"clientsecret", "connectionstring", "cookie", "credential", "credentials",
	"idtoken", "jwt", "masterkey", "openaiapikey", "passphrase", "passwd",
	"password", "privatekey", "proxyauthorization", "pwd", "refreshtoken",
	"secret", "secretaccesskey", "secretkey", "sessiontoken", "setcookie",
	"token", "userapikey", "virtualkey", "xapikey", "xgoogapikey", NULL
};

/*
 * Lower-case letters and digits of a name, so that spellings with other case
 * or separators compare alike.  Returns the length, 0 if it is too long.
 */
static size_t
Squash(const char *key, size_t len, char *out)
{
	size_t		n = 0;

	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) key[i];

		if (c >= 'A' && c <= 'Z')
			c = (unsigned char) (c - 'A' + 'a');
		if (c == '_' || c == '-' || c == ' ' || c == '.')
			continue;
		if (n == SQUASHED_MAX)
			return 0;
		out[n++] = (char) c;
	}
	return n;
}

/* True if the name, or its last dotted part, is in the list. */
static bool
NameInList(const char *key, size_t len, const char *const *list)
{
	char		squashed[SQUASHED_MAX];
	size_t		start = len;

	while (start > 0 && key[start - 1] != '.')
		start--;
	for (int part = 0; part < 2; part++)
	{
		size_t		from = part == 0 ? start : 0;
		size_t		n = Squash(key + from, len - from, squashed);

		for (const char *const *name = list; *name && n > 0; name++)
		{
			if ((*name)[0] == squashed[0] && strlen(*name) == n &&
				memcmp(*name, squashed, n) == 0)
				return true;
		}
		if (start == 0)
			break;
	}
	return false;
}

bool
RecordKeyIsContent(const char *key, size_t len)
{
	return NameInList(key, len, content_names);
}

bool
RecordKeyIsSecret(const char *key, size_t len)
{
	return NameInList(key, len, secret_names);
}

/* True if value starts with prefix and is at least min bytes long. */
static bool
HasPrefix(const char *value, size_t len, const char *prefix, size_t min)
{
	size_t		n = strlen(prefix);

	return len >= min && len >= n && memcmp(value, prefix, n) == 0;
}

bool
RecordValueIsSecret(const char *value, size_t len)
{
	static const char *const prefixes[] = {
		"sk-", "sk_", "pk-lf-", "rk_live_", "gsk_", "xai-", "hf_", "r8_", "AIza",
		"AKIA", "ASIA", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-",
		"xoxb-", "xoxp-", "eyJ", "ya29.", "pplx-", "nvapi-", "tgp_v1_", NULL
	};

	for (const char *const *prefix = prefixes; *prefix; prefix++)
	{
		if (HasPrefix(value, len, *prefix, 20))
			return true;
	}
	return HasPrefix(value, len, "Bearer ", 8) ||
		HasPrefix(value, len, "Basic ", 8) ||
		HasPrefix(value, len, "-----BEGIN", 10);
}

/* ---------------- notes ---------------- */

void
RecordNote(RecordDoc *doc, RecordNames *names, const char *name, size_t len)
{
	if (len > RECORD_NOTED_NAME_LENGTH)
		len = Utf8Clip(name, len, RECORD_NOTED_NAME_LENGTH);
	if (names->list == NULL)
		names->list = JsonMake(doc->arena, JSON_ARRAY);
	if (names->list == NULL)
		return;
	for (const JsonNode *n = names->list->child; n; n = n->next)
	{
		if (n->len == len && memcmp(n->text, name, len) == 0)
			return;
	}
	names->total++;
	if (names->list->count < RECORD_NOTED_NAMES)
		JsonAppend(names->list, JsonMakeText(doc->arena, name, len));
}

/* ---------------- cleaning ---------------- */

/* True if the string holds JSON in which a content-like name occurs. */
static bool
			HidesContent(RecordDoc *doc, const JsonNode *node);

/* True if a content-like name occurs in the value, at any depth. */
static bool
HoldsContent(RecordDoc *doc, const JsonNode *node)
{
	for (const JsonNode *m = node->child; m; m = m->next)
	{
		if (m->key && m->type != JSON_NULL &&
			RecordKeyIsContent(m->key, m->key_len))
			return true;
		if (HoldsContent(doc, m) || HidesContent(doc, m))
			return true;
	}
	return false;
}

static bool
HidesContent(RecordDoc *doc, const JsonNode *node)
{
	JsonNode   *inner = RecordUnpack(doc, node);

	return inner != node && HoldsContent(doc, inner);
}

/*
 * What is to become of a member of a value that is kept: true if it has been
 * dealt with and must go.
 */
static bool
TakeOut(RecordDoc *doc, JsonNode *member)
{
	if (member->key && RecordKeyIsSecret(member->key, member->key_len) &&
		member->type != JSON_NULL)
	{
		RecordNote(doc, &doc->redacted, member->key, member->key_len);
		return true;
	}
	if (member->type == JSON_TOO_DEEP)
	{
		RecordNote(doc, &doc->withheld, member->key ? member->key : "",
				   member->key_len);
		doc->text_withheld = true;
		return true;
	}
	if ((member->key && member->type != JSON_NULL &&
		 RecordKeyIsContent(member->key, member->key_len)) ||
		HidesContent(doc, member))
	{
		if (member->key)
			RecordNote(doc, &doc->moved, member->key, member->key_len);
		else
			RecordNote(doc, &doc->moved, "[]", 2);
		RecordAddContent(doc, member);
		return true;
	}
	return false;
}

void
RecordClean(RecordDoc *doc, JsonNode *node)
{
	JsonNode   *next;
	JsonNode   *m = node->child;

	if (node->type != JSON_OBJECT && node->type != JSON_ARRAY)
		return;
	node->child = node->last = NULL;
	node->count = 0;
	node->deep = false;
	for (; m; m = next)
	{
		next = m->next;
		m->next = NULL;
		if (TakeOut(doc, m))
			continue;
		RecordClean(doc, m);
		JsonAppend(node, m);
	}
}

void
RecordRedact(RecordDoc *doc, JsonNode *node)
{
	for (JsonNode *m = node->child; m; m = m->next)
	{
		if (m->key && m->type != JSON_NULL &&
			RecordKeyIsSecret(m->key, m->key_len))
		{
			RecordNote(doc, &doc->redacted, m->key, m->key_len);
			m->type = JSON_STRING;
			m->text = "[redacted]";
			m->len = strlen(m->text);
			m->child = m->last = NULL;
			m->count = 0;
			m->deep = false;
		}
		else
			RecordRedact(doc, m);
	}
}

/* ---------------- attributes ---------------- */

void
RecordAttribute(RecordDoc *doc, const char *prefix, const JsonNode *member)
{
	JsonNode   *copy;
	char	   *name;
	size_t		prefix_len = strlen(prefix);

	if (!JsonHasValue(member) || member->key == NULL)
		return;
	copy = JsonShare(doc->arena, member);
	if (copy == NULL)
		return;
	copy->key = member->key;
	copy->key_len = member->key_len;
	if (TakeOut(doc, copy))
		return;
	RecordClean(doc, copy);
	if (!JsonHasValue(copy))
		return;
	if (prefix_len > 0)
	{
		name = JsonAlloc(doc->arena, prefix_len + copy->key_len);
		if (name == NULL)
			return;
		memcpy(name, prefix, prefix_len);
		memcpy(name + prefix_len, copy->key, copy->key_len);
		copy->key = name;
		copy->key_len += (uint32_t) prefix_len;
	}
	JsonAppend(doc->attributes, copy);
}

/* A member of the attributes, written. */
typedef struct WrittenMember
{
	const JsonNode *node;
	const char *text;
	size_t		len;
} WrittenMember;

static int
CompareWritten(const void *a, const void *b)
{
	const WrittenMember *m = a;
	const WrittenMember *n = b;

	if (m->len != n->len)
		return m->len < n->len ? -1 : 1;
	return m->text <n->text ? -1 : m->text >n->text ? 1 : 0;
}

/* Appends a note to an object that is being written, if there is one. */
static void
WriteNames(JsonBuffer *buf, const RecordNames *names, const char *label)
{
	JsonBuffer	item;

	if (names->total == 0 || names->list == NULL)
		return;
	JsonBufferInit(&item, buf->arena);
	if (buf->len > 1)
		JsonBufferAddString(&item, ", ");
	JsonBufferAddString(&item, "\"llm_audit.");
	JsonBufferAddString(&item, label);
	JsonBufferAddString(&item, "\": ");
	JsonWrite(&item, names->list, JSON_SPACED);
	if (names->total > names->list->count)
	{
		char		count[64];

		snprintf(count, sizeof(count), ", \"llm_audit.%s_count\": %llu", label,
				 (unsigned long long) names->total);
		JsonBufferAddString(&item, count);
	}
	JsonBufferAdd(buf, item.data, item.len);
}

static void
WriteNotes(JsonBuffer *buf, const RecordDoc *doc)
{
	WriteNames(buf, &doc->dropped, "dropped_keys");
	WriteNames(buf, &doc->redacted, "redacted_keys");
	WriteNames(buf, &doc->moved, "moved_to_content");
	WriteNames(buf, &doc->withheld, "withheld_keys");
}

/*
 * Length of the notes as they are now, with a separator and room for counts
 * to grow.
 */
static size_t
NotesLength(const RecordDoc *doc)
{
	JsonBuffer	buf;

	JsonBufferInit(&buf, doc->arena);
	WriteNotes(&buf, doc);
	return buf.len + 40;
}

/* Writes each member of the attributes into buf and describes it in out. */
static bool
WriteMembers(const RecordDoc *doc, JsonBuffer *buf, WrittenMember *out)
{
	uint32_t	n = 0;

	for (JsonNode *m = doc->attributes->child; m; m = m->next)
	{
		JsonNode	name;

		memset(&name, 0, sizeof(name));
		name.type = JSON_STRING;
		name.text = m->key;
		name.len = m->key_len;
		JsonBufferInit(buf, doc->arena);
		JsonWrite(buf, &name, JSON_SPACED);
		JsonBufferAdd(buf, ": ", 2);
		JsonWrite(buf, m, JSON_SPACED);
		out[n].node = m;
		out[n].text = buf->data;
		out[n++].len = buf->len;
	}
	return !doc->arena->failed;
}

JsonNode *
RecordFitAttributes(RecordDoc *doc)
{
	JsonBuffer	buf;
	WrittenMember *members;
	uint32_t	n = doc->attributes->count;
	size_t		total = 0;
	size_t		notes = NotesLength(doc);

	members = JsonAlloc(doc->arena, sizeof(WrittenMember) * (n + 1));
	if (members == NULL || !WriteMembers(doc, &buf, members))
		return NULL;
	for (uint32_t i = 0; i < n; i++)
		total += members[i].len + 2;
	if (total + notes > RECORD_ATTRIBUTES_MAX)
		qsort(members, n, sizeof(WrittenMember), CompareWritten);
	while (n > 0 && total + notes > RECORD_ATTRIBUTES_MAX)
	{
		bool		grows = doc->dropped.total < RECORD_NOTED_NAMES + 2;

		n--;
		total -= members[n].len + 2;
		RecordNote(doc, &doc->dropped, members[n].node->key,
				   members[n].node->key_len);
		if (grows)
			notes = NotesLength(doc);
	}
	JsonBufferInit(&buf, doc->arena);
	JsonBufferAdd(&buf, "{", 1);
	for (uint32_t i = 0; i < n; i++)
	{
		if (i > 0)
			JsonBufferAdd(&buf, ", ", 2);
		JsonBufferAdd(&buf, members[i].text, members[i].len);
	}
	WriteNotes(&buf, doc);
	JsonBufferAdd(&buf, "}", 1);
	if (buf.len <= 2 || doc->arena->failed)
		return NULL;
	return JsonMakeText(doc->arena, buf.data, buf.len);
}

/* ---------------- documents ---------------- */

RecordFormat
RecordDetect(const JsonNode *root)
{
	if ((JsonGet(root, "uri") || JsonGet(root, "url")) &&
		(JsonGet(root, "method") || JsonGet(root, "request")) &&
		(JsonGet(root, "response") || JsonGet(root, "status")))
		return RECORD_RAW;
	if (JsonGet(root, "startTime") && JsonGet(root, "request_id") &&
		(JsonGet(root, "spend") || JsonGet(root, "call_type")))
		return RECORD_LITELLM_SPEND;
	if (JsonGet(root, "call_type") &&
		(JsonGet(root, "response_cost") || JsonGet(root, "hidden_params") ||
		 JsonGet(root, "model_parameters") || JsonGet(root, "startTime")))
		return RECORD_LITELLM_PAYLOAD;
	if (JsonGet(root, "traceId") || JsonGet(root, "spanId") ||
		JsonGet(root, "startTimeUnixNano") ||
		(JsonGet(root, "context") && JsonGet(root, "attributes")))
		return RECORD_OTEL;
	if (root->type == JSON_OBJECT)
	{
		for (const JsonNode *m = root->child; m; m = m->next)
		{
			if (m->key_len > 7 && memcmp(m->key, "gen_ai.", 7) == 0)
				return RECORD_OTEL;
		}
		for (const JsonNode *m = JsonGet(root, "attributes") ?
			 JsonGet(root, "attributes")->child : NULL; m; m = m->next)
		{
			if (m->key_len > 7 && m->key && memcmp(m->key, "gen_ai.", 7) == 0 &&
				!JsonGet(root, "request_model"))
				return RECORD_OTEL;
		}
	}
	return RECORD_OWN;
}

const char *
RecordFormatName(RecordFormat format)
{
	static const char *const names[] = {
		"own", "otel", "litellm_payload", "litellm_spend", "raw", "openai_audit"
	};

	return names[format];
}

bool
RecordMap(RecordDoc *doc, const JsonNode *root)
{
	if (root->type != JSON_OBJECT)
		return RecordFail(doc, RECORD_FAULT_TYPE, NULL, "must be an object");
	if (doc->schemas.content)
		doc->format = RecordDetect(root);
	else if (JsonGet(root, "effective_at") && JsonGet(root, "type"))
		doc->format = RECORD_OPENAI_AUDIT;
	doc->lenient = doc->format != RECORD_OWN;
	switch (doc->format)
	{
		case RECORD_OWN:
			return RecordMapOwn(doc, root);
		case RECORD_OTEL:
			return RecordMapOtel(doc, root);
		case RECORD_LITELLM_PAYLOAD:
		case RECORD_LITELLM_SPEND:
			return RecordMapLitellm(doc, root);
		case RECORD_RAW:
			return RecordMapRaw(doc, root);
		case RECORD_OPENAI_AUDIT:
			return RecordMapOpenaiAudit(doc, root);
	}
	return false;
}

/* Each member of an object as an attribute. */
static void
AddAttributes(RecordDoc *doc, const JsonNode *object)
{
	for (const JsonNode *m = object->child; m; m = m->next)
	{
		if (m->key)
			RecordAttribute(doc, "", m);
	}
}

void
RecordApplyDefaults(RecordDoc *doc, const JsonNode *defaults)
{
	if (defaults == NULL || defaults->type != JSON_OBJECT)
		return;
	for (const JsonNode *m = defaults->child; m; m = m->next)
	{
		int			i = RecordColumnFind(doc->row->schema, m->key, m->key_len);

		if (m->type == JSON_OBJECT)
			AddAttributes(doc, m);
		else if (i >= 0 && doc->row->values[i] == NULL && m->type != JSON_NULL)
			doc->row->values[i] = JsonShare(doc->arena, m);
	}
}

void
RecordMapRest(RecordDoc *doc, const JsonNode *root, const char *const *used,
			  const char *prefix)
{
	for (const JsonNode *m = root->child; m; m = m->next)
	{
		const char *const *name = used;
		int			i;

		while (*name && !(strlen(*name) == m->key_len &&
						  memcmp(*name, m->key, m->key_len) == 0))
			name++;
		if (*name || m->type == JSON_NULL)
			continue;
		i = RecordColumnFind(doc->row->schema, m->key, m->key_len);
		if (m->key_len == 10 && memcmp(m->key, "attributes", 10) == 0)
			AddAttributes(doc, m);
		else if (i < 0 || doc->row->schema->columns[i].stamped)
			RecordAttribute(doc, prefix, m);
		else if (doc->row->values[i] == NULL && JsonHasValue(m))
			doc->row->values[i] = JsonShare(doc->arena, m);
	}
}

/* Columns whose values the ledgers restrict. */
static const struct
{
	const char *column;
	const char *values[6];
}			restricted[] = {
	{"status", {"ok", "error", "timeout", "blocked", "cancelled"}},
	{"actor_type", {"human", "service", "job", "policy", "agent"}},
	{"attempt_kind", {"first", "retry", "fallback"}},
	{"data_class", {"public", "internal", "personal", "banking_secrecy"}},
	{NULL, {NULL}}
};

/* Takes a column's value away and notes it. */
static void
DropValue(RecordDoc *doc, const char *column)
{
	int			i = RecordColumnFind(doc->row->schema, column, strlen(column));

	if (i < 0 || doc->row->values[i] == NULL)
		return;
	doc->row->values[i] = NULL;
	RecordNote(doc, &doc->dropped, column, strlen(column));
}

/* True if every element is an object with a status that guardrails have. */
static bool
AreGuardrails(const JsonNode *list)
{
	if (list->type != JSON_ARRAY)
		return false;
	for (const JsonNode *e = list->child; e; e = e->next)
	{
		const JsonNode *status = JsonGet(e, "status");

		if (!JsonIs(status, "success") &&
			!JsonIs(status, "guardrail_intervened") &&
			!JsonIs(status, "guardrail_failed_to_respond") &&
			!JsonIs(status, "not_run"))
			return false;
	}
	return true;
}

/* True if every member is a step that step_durations knows, with a time. */
static bool
AreSteps(const JsonNode *object)
{
	static const char *const steps[] = {
		"received", "authorized", "routed", "forwarded", "first_chunk",
		"completed", "cached", "recorded", NULL
	};

	if (object->type != JSON_OBJECT)
		return false;
	for (const JsonNode *m = object->child; m; m = m->next)
	{
		const char *const *step = steps;

		while (*step && !(strlen(*step) == m->key_len &&
						  memcmp(*step, m->key, m->key_len) == 0))
			step++;
		if (*step == NULL || m->type != JSON_NUMBER || m->text[0] == '-')
			return false;
	}
	return true;
}

/*
 * What another system calls by the name of a column may still not be what
 * the column takes: it must not cost the record.
 */
static void
DropUnfit(RecordDoc *doc)
{
	static const char *const objects[] = {
		"request_params", "cost_breakdown", NULL
	};
	static const char *const counts[] = {
		"source_seq", "http_status", "tool_call_count", "input_tokens",
		"output_tokens", "cache_read_input_tokens",
		"cache_creation_input_tokens", "reasoning_output_tokens",
		"duration_ms", "time_to_first_chunk_ms", "attempt", "max_attempts", NULL
	};
	const JsonNode *value;
	double		number;

	for (size_t i = 0; restricted[i].column; i++)
	{
		const char *const *allowed = restricted[i].values;

		value = RecordGet(doc->row, restricted[i].column);
		while (value && *allowed && !JsonIs(value, *allowed))
			allowed++;
		if (value && *allowed == NULL)
			DropValue(doc, restricted[i].column);
	}
	for (const char *const *column = objects; *column; column++)
	{
		value = RecordGet(doc->row, *column);
		if (value && value->type != JSON_OBJECT)
			DropValue(doc, *column);
	}
	for (const char *const *column = counts; *column; column++)
	{
		bool		from_one = strstr(*column, "attempt") != NULL;

		if (RecordNumber(RecordGet(doc->row, *column), &number) &&
			number < (from_one ? 1 : 0))
			DropValue(doc, *column);
	}
	value = RecordGet(doc->row, "guardrails");
	if (value && !AreGuardrails(value))
		DropValue(doc, "guardrails");
	value = RecordGet(doc->row, "step_durations");
	if (value && !AreSteps(value))
		DropValue(doc, "step_durations");
}

/* Columns that the rows of one call have in common. */
static void
Inherit(RecordDoc *doc, RecordRow *row, const char *const *columns)
{
	for (; *columns; columns++)
	{
		if (RecordGet(row, *columns) == NULL)
			RecordPut(doc, row, *columns, RecordGet(doc->row, *columns));
	}
}

void
RecordComplete(RecordDoc *doc)
{
	static const char *const child_columns[] = {
		"environment", "organization_id", "service_name", "request_id",
		"occurred_at", "data_class", "project_id", "actor_id", "actor_type",
		"api_key_id", "known_values", NULL
	};
	static const char *const call_columns[] = {
		"environment", "organization_id", "project_id", "team_id", "request_id",
		"trace_id", "correlation_id", "conversation_id", "session_id",
		"batch_id", "source_id", "source_epoch", "occurred_at", "time_zone",
		"utc_offset_minutes", "region", "service_name", "service_version",
		"channel", "actor_id", "actor_type", "actor_role", "end_user_id",
		"customer_key", "operation_number", "api_key_id", "agent_id",
		"agent_name", "agent_version", "provider_name", "request_model",
		"data_class", "known_values", NULL
	};

	if (doc->lenient && doc->schemas.content)
		DropUnfit(doc);
	if (doc->format == RECORD_OTEL && RecordGet(doc->row, "service_name") == NULL)
		RecordSetString(doc, "service_name", "unknown");
	if (doc->lenient && doc->schemas.content)
	{
		RecordSetString(doc, "service_name",
						doc->format == RECORD_RAW ? "gateway" : "litellm");
		RecordSetString(doc, "actor_id", "unknown");
		RecordSetString(doc, "actor_type", "service");
		RecordSetString(doc, "operation_name", "unknown");
		RecordSetString(doc, "provider_name", "unknown");
		RecordSetString(doc, "request_model", "unknown");
		RecordSetString(doc, "status", "ok");
	}
	for (RecordRow *row = doc->tool_calls.first; row; row = row->next)
	{
		Inherit(doc, row, call_columns);
		if (RecordGet(row, "parent_span_id") == NULL)
			RecordPut(doc, row, "parent_span_id", RecordGet(doc->row, "span_id"));
	}
	for (RecordRow *row = doc->content.first; row; row = row->next)
		Inherit(doc, row, child_columns);
	for (RecordRow *row = doc->tokens.first; row; row = row->next)
		Inherit(doc, row, child_columns);
	for (RecordRow *row = doc->usage.first; row; row = row->next)
		Inherit(doc, row, child_columns);
}
