/*
 * format_audit.c
 *	  Objects of OpenAI's audit log, as admin events.
 *
 * The event's own object lies under a key that is the event's type.
 */
#include "record/format.h"

#include <string.h>

/* Categories by the beginning of a type, the first that matches. */
static const char *const categories[][2] = {
	{"api_key.", "api_key"},
	{"admin_api_key.", "api_key"},
	{"login.", "authentication"},
	{"logout.", "authentication"},
	{"rate_limit.", "quota"},
	{"role.", "authorization"},
	{"user.", "access"},
	{"group.", "access"},
	{"invite.", "access"},
	{"service_account.", "access"},
	{"scim.", "access"},
	{"certificate", "configuration"},
	{"checkpoint.", "model"},
	{"tenant.admin_api_key", "api_key"},
	{"tenant.project_api_key", "api_key"},
	{NULL, NULL}
};

static bool
Starts(const JsonNode *text, const char *prefix)
{
	size_t		n = strlen(prefix);

	return text->len >= n && memcmp(text->text, prefix, n) == 0;
}

/* A string of its own, so that it can be changed. */
static char *
CopyText(RecordDoc *doc, const char *text, size_t len)
{
	char	   *copy = JsonAlloc(doc->arena, len + 1);

	if (copy)
		memcpy(copy, text, len);
	return copy;
}

/*
 * The type as an action of action_type: a leading "tenant." goes, and every
 * dot but the last becomes an underscore.
 */
static JsonNode *
ActionOf(RecordDoc *doc, const JsonNode *type)
{
	const char *start = type->text;
	size_t		len = type->len;
	size_t		last = 0;
	char	   *copy;

	if (Starts(type, "tenant."))
	{
		start += 7;
		len -= 7;
	}
	copy = CopyText(doc, start, len);
	if (copy == NULL)
		return NULL;
	for (size_t i = 0; i < len; i++)
		last = copy[i] == '.' ? i : last;
	for (size_t i = 0; i < last; i++)
		copy[i] = copy[i] == '.' ? '_' : copy[i];
	return JsonMakeText(doc->arena, copy, len);
}

/* Action, category, outcome and target from the type. */
static void
MapType(RecordDoc *doc, const JsonNode *root, const JsonNode *type)
{
	const JsonNode *detail = NULL;
	const char *dot = NULL;
	bool		failed;

	for (const char *p = type->text; p < type->text +type->len; p++)
		dot = *p == '.' ? p : dot;
	failed = type->len > 7 &&
		memcmp(type->text +type->len - 7, ".failed", 7) == 0;
	RecordSet(doc, "action", ActionOf(doc, type));
	for (size_t i = 0; categories[i][0]; i++)
	{
		if (Starts(type, categories[i][0]))
			RecordSetString(doc, "category", categories[i][1]);
	}
	RecordSetString(doc, "category", "configuration");
	RecordSetString(doc, "outcome", failed ? "failure" : "success");
	if (dot)
	{
		char	   *noun = CopyText(doc, type->text, dot - type->text);

		if (noun)
			RecordSet(doc, "target_type",
					  JsonMakeText(doc->arena, noun, dot - type->text));
	}
	RecordSet(doc, "target_type", type);
	for (const JsonNode *m = root->child; m; m = m->next)
	{
		if (m->key_len == type->len &&
			memcmp(m->key, type->text, type->len) == 0)
			detail = m;
	}
	RecordSet(doc, "target_id", JsonGet(detail, "id"));
	if (JsonHasValue(JsonGet(detail, "changes_requested")))
		detail = JsonGet(detail, "changes_requested");
	else if (JsonHasValue(JsonGet(detail, "data")))
		detail = JsonGet(detail, "data");
	if (JsonHasValue(detail) && !detail->deep)
	{
		RecordRedact(doc, (JsonNode *) detail);
		RecordSet(doc, "after", detail);
	}
}

/* Who did it: a user in a session or through an API key, or an account. */
static void
MapActor(RecordDoc *doc, const JsonNode *actor)
{
	static const char *const people[] = {
		"session/user/id", "api_key/user/id", "user/id", NULL
	};
	static const char *const accounts[] = {
		"api_key/service_account/id", "service_account/id", "api_key/id", NULL
	};

	for (const char *const *path = people; *path; path++)
	{
		if (RecordSet(doc, "actor_id", JsonPath (actor, *path)))
			RecordSetString(doc, "actor_type", "human");
	}
	for (const char *const *path = accounts; *path; path++)
	{
		if (RecordSet(doc, "actor_id", JsonPath (actor, *path)))
			RecordSetString(doc, "actor_type", "service");
	}
	RecordSetString(doc, "actor_id", "unknown");
	RecordSetString(doc, "actor_type", "service");
	RecordSet(doc, "actor_ip", JsonPath (actor, "session/ip_address"));
	RecordSet(doc, "user_agent", JsonPath (actor, "session/user_agent"));
}

bool
RecordMapOpenaiAudit(RecordDoc *doc, const JsonNode *root)
{
	const JsonNode *type = JsonGet(root, "type");

	if (type->type != JSON_STRING)
		return RecordFail(doc, RECORD_FAULT_TYPE, type, "must be a string");
	RecordSet(doc, "correlation_id", JsonGet(root, "id"));
	RecordSetTime(doc, "occurred_at", JsonGet(root, "effective_at"));
	RecordSet(doc, "project_id", JsonPath (root, "project/id"));
	MapType(doc, root, type);
	MapActor(doc, JsonGet(root, "actor"));
	return !doc->arena->failed;
}
