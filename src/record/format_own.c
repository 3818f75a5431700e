/*
 * format_own.c
 *	  Documents whose keys are the ledgers' column names.
 *
 * A call may also hold "content", "tokens", "usage" and "tool_calls", arrays
 * of rows that go with it.  Here nothing is guessed: a value that does not
 * fit its column, or a key that another ledger than llm_call does not have,
 * refuses the document.
 */
#include "record/format.h"

#include <string.h>

/* What a key of a document's own rows may not be. */
static bool
CheckKey(RecordDoc *doc, const RecordSchema *schema, int column,
		 const JsonNode *member)
{
	if (column < 0)
		return RecordFail(doc, RECORD_FAULT_UNKNOWN, member,
						  "is not a column of the ledger");
	if (schema->columns[column].stamped)
		return RecordFail(doc, RECORD_FAULT_STAMPED, member,
						  "is set by the server only");
	if (member->type == JSON_STRING && member->key_len == 10 &&
		memcmp(member->key, "api_key_id", 10) == 0 &&
		RecordValueIsSecret(member->text, member->len))
		return RecordFail(doc, RECORD_FAULT_SECRET, member,
						  "must be a label, not a key");
	return true;
}

/* Sets columns of a row below the call from an object. */
static bool
FillRow(RecordDoc *doc, RecordRow *row, const JsonNode *object)
{
	for (const JsonNode *m = object->child; m; m = m->next)
	{
		int			i = RecordColumnFind(row->schema, m->key, m->key_len);

		if (!CheckKey(doc, row->schema, i, m))
			return false;
		if (m->type != JSON_NULL)
			row->values[i] = JsonShare(doc->arena, m);
	}
	return true;
}

/* Kind of a fragment that names none, by its role. */
static const char *
KindByRole(const JsonNode *role)
{
	if (JsonIs(role, "system") || JsonIs(role, "developer"))
		return "system_instructions";
	if (JsonIs(role, "assistant"))
		return "response";
	if (JsonIs(role, "tool"))
		return "tool_result";
	return "prompt";
}

/* One element of "content": a string, or columns of llm_content. */
static bool
AddContent(RecordDoc *doc, const JsonNode *element)
{
	RecordFragment fragment;
	RecordRow  *row;
	const JsonNode *body = NULL;
	const JsonNode *m;
	JsonNode	rest;

	memset(&fragment, 0, sizeof(fragment));
	fragment.message_index = -1;
	fragment.kind = "prompt";
	if (element->type != JSON_OBJECT)
	{
		RecordAddFragment(doc, &fragment, element);
		return true;
	}
	fragment.kind = KindByRole(JsonGet(element, "role"));
	memset(&rest, 0, sizeof(rest));
	rest.type = JSON_OBJECT;
	for (m = element->child; m; m = m->next)
	{
		bool		is_body = (m->key_len == 4 && memcmp(m->key, "body", 4) == 0) ||
		(m->key_len == 4 && memcmp(m->key, "text", 4) == 0) ||
		(m->key_len == 7 && memcmp(m->key, "content", 7) == 0);

		if (is_body && m->type != JSON_NULL)
			body = m;
		else if (!is_body)
		{
			JsonNode   *copy = JsonShare(doc->arena, m);

			if (copy == NULL)
				return false;
			JsonAppendMember(&rest, m->key, m->key_len, copy);
		}
	}
	if (JsonHasValue(body))
	{
		RecordAddFragment(doc, &fragment, body);
		row = doc->content.last;
	}
	else
	{
		row = RecordAddRow(doc, &doc->content, doc->schemas.content);
		if (row == NULL)
			return false;
		RecordPut(doc, row, "ordinal",
				  JsonMakeInt(doc->arena, doc->content.count - 1));
		RecordPut(doc, row, "kind", JsonMakeString(doc->arena, fragment.kind));
		RecordPut(doc, row, "body_bytes", JsonMakeInt(doc->arena, 0));
	}
	return row != NULL && FillRow(doc, row, &rest);
}

/* One element of "tokens": a string, or columns of match_token. */
static bool
AddToken(RecordDoc *doc, const JsonNode *element)
{
	RecordRow  *row = RecordAddRow(doc, &doc->tokens, doc->schemas.token);

	if (row == NULL)
		return false;
	if (element->type != JSON_STRING)
		return FillRow(doc, row, element);
	RecordPut(doc, row, "token", element);
	return true;
}

/* One element of "usage" or "tool_calls". */
static bool
AddPlainRow(RecordDoc *doc, RecordRows *rows, const JsonNode *element)
{
	bool		is_call = rows == &doc->tool_calls;
	RecordRow  *row = RecordAddRow(doc, rows, is_call ? doc->schemas.main :
								   doc->schemas.usage);

	if (row == NULL || !FillRow(doc, row, element))
		return false;
	if (is_call && RecordGet(row, "operation_name") == NULL)
		RecordPut(doc, row, "operation_name",
				  JsonMakeString(doc->arena, "execute_tool"));
	if (is_call && RecordGet(row, "status") == NULL)
		RecordPut(doc, row, "status", JsonMakeString(doc->arena, "ok"));
	return true;
}

/* An array of rows that go with the call; an object stands for one row. */
static bool
AddRows(RecordDoc *doc, const JsonNode *member, RecordRows *rows)
{
	const JsonNode *element = member;

	if (member->type == JSON_NULL)
		return true;
	if (member->type == JSON_ARRAY)
		element = member->child;
	for (; element; element = member->type == JSON_ARRAY ? element->next : NULL)
	{
		bool		fine;

		if (element->type != JSON_OBJECT &&
			!(rows == &doc->content && element->type != JSON_NULL) &&
			!(rows == &doc->tokens && element->type == JSON_STRING))
			return RecordFail(doc, RECORD_FAULT_TYPE, member,
							  "must be an array of objects");
		if (rows == &doc->content)
			fine = AddContent(doc, element);
		else if (rows == &doc->tokens)
			fine = AddToken(doc, element);
		else
			fine = AddPlainRow(doc, rows, element);
		if (!fine)
			return false;
	}
	return true;
}

/* Rows that go with a call under this key, or NULL. */
static RecordRows *
RowsByKey(RecordDoc *doc, const JsonNode *member)
{
	const struct
	{
		const char *key;
		RecordRows *rows;
	}			keys[] = {
		{"content", &doc->content}, {"tokens", &doc->tokens},
		{"usage", &doc->usage}, {"tool_calls", &doc->tool_calls}
	};

	if (doc->schemas.content == NULL)
		return NULL;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
	{
		if (member->key_len == strlen(keys[i].key) &&
			memcmp(member->key, keys[i].key, member->key_len) == 0)
			return keys[i].rows;
	}
	return NULL;
}

/* Sets a column of the main row. */
static bool
SetColumn(RecordDoc *doc, int column, const JsonNode *member)
{
	JsonNode   *value;

	if (!CheckKey(doc, doc->row->schema, column, member))
		return false;
	if (member->type == JSON_NULL)
		return true;
	value = JsonShare(doc->arena, member);
	if (value == NULL)
		return false;
	if (value->type == JSON_OBJECT || value->type == JSON_ARRAY)
	{
		if (doc->schemas.content)
			RecordClean(doc, value);
		else if (value->deep)
			return RecordFail(doc, RECORD_FAULT_TYPE, member,
							  "is nested too deeply");
	}
	doc->row->values[column] = value;
	return true;
}

bool
RecordMapOwn(RecordDoc *doc, const JsonNode *root)
{
	JsonNode   *generated;
	bool		tools;

	for (const JsonNode *m = root->child; m; m = m->next)
	{
		int			i = RecordColumnFind(doc->row->schema, m->key, m->key_len);
		RecordRows *rows = i < 0 ? RowsByKey(doc, m) : NULL;

		if (doc->schemas.content && m->key_len == 10 &&
			memcmp(m->key, "attributes", 10) == 0)
		{
			if (m->type != JSON_OBJECT && m->type != JSON_NULL)
				return RecordFail(doc, RECORD_FAULT_TYPE, m,
								  "must be an object");
			for (const JsonNode *a = m->child; a; a = a->next)
				RecordAttribute(doc, "", a);
		}
		else if (rows)
		{
			if (!AddRows(doc, m, rows))
				return false;
		}
		else if (i < 0 && doc->schemas.content)
			RecordAttribute(doc, "", m);
		else if (!SetColumn(doc, i, m))
			return false;
	}

	/* Tool calls hang on the span of their call. */
	tools = doc->tool_calls.count > 0;
	if (tools && RecordGet(doc->row, "span_id") == NULL &&
		(generated = RecordGet(doc->tool_calls.first, "parent_span_id")) != NULL)
		RecordPut(doc, doc->row, "span_id", generated);
	return !doc->arena->failed;
}
