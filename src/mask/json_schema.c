/*
 * json_schema.c
 *	  What members of an object say of each other: schemas that describe a
 *	  secret and hold none, what counts and measures, what a model has signed.
 */
#include "mask/json.h"

/*
 * True for a number that measures something: it has a fraction, or, if it is
 * the key's own value, at most three digits.
 */
bool
JsonIsMeasure(const char *text, size_t len, bool own)
{
	size_t		whole = 0;

	while (whole < len && (IsDigit((unsigned char) text[whole]) ||
						   text[whole] == '-'))
		whole++;
	if (whole + 1 < len && (text[whole] | 0x20) == 'e')
		return text[whole + 1] == '-';

	if (whole == len || text[whole] != '.')
		return own && whole <= 3;
	for (size_t i = whole + 1; i < len; i++)
		if (text[i] != '0')
			return true;
	return whole <= 3;
}

/* Where in a schema the value is that the walk has come to, by its key. */
SchemaPlace
JsonEnterSchema(const JsonWalk *walk, const char *key, size_t len)
{
	static const char holders[] =
	"|properties|patternProperties|$defs|definitions|dependentSchemas|"
	"parameter_definitions|schemas|securitySchemes|"
	"securityDefinitions|flows|";
	static const char carriers[] =
	"|items|prefixItems|anyOf|oneOf|allOf|not|if|then|else|schema|"
	"additionalProperties|discriminator|";
	char		next = Peek(walk);

	if (next != '{' && next != '[')
		return SCHEMA_NOT;
	if (walk->schema == SCHEMA_NAMES)
		return next == '{' ? SCHEMA_WITHIN : SCHEMA_NOT;
	if (next == '{' && IsListed(holders, key, len))
		return SCHEMA_NAMES;
	return walk->schema == SCHEMA_WITHIN && IsListed(carriers, key, len) ?
		SCHEMA_WITHIN : SCHEMA_NOT;
}

/*
 * True if a member of a schema says what a value is, and is none: a default or
 * an example may be a secret, and so may one word with digits.
 */
bool
JsonOnlyDescribes(const JsonWalk *walk, const char *key, size_t len)
{
	static const char says[] =
	"|type|title|description|$ref|format|pattern|enum|required|nullable|"
	"minLength|maxLength|minimum|maximum|minItems|maxItems|uniqueItems|"
	"propertyOrdering|propertyName|mapping|in|name|scheme|bearerFormat|"
	"tokenUrl|authorizationUrl|refreshUrl|scopes|";
	const char *text = walk->text +walk->pos;
	size_t		left = walk->len - walk->pos;
	const char *end;

	if (left == 0 || !IsListed(says, key, len))
		return false;
	if (*text !='"' && (*text !='[' || len != 4))
		return true;
	end = memchr(text +1, *text == '[' ? ']' : '"', left - 1);
	if (end == NULL)
		return false;
	left = (size_t) (end - text);
	if (*text == '"' && (text[1] == '#' || text[1] == '^' ||
						 memchr(text, ' ', left) != NULL))
		return true;
	for (size_t i = 0; i < left; i++)
		if (IsDigit((unsigned char) text[i]))
			return false;
	return true;
}

/* True if a string begins, at the walk's place, with one of these. */
static bool
BeginsThought(const JsonWalk *walk)
{
	static const char *const types[] =
	{"\"thinking", "\"signature_delta", "\"reasoning"};

	for (int i = 0; i < 3; i++)
	{
		size_t		n = strlen(types[i]);

		if (walk->len - walk->pos > n &&
			memcmp(walk->text +walk->pos, types[i], n) == 0)
			return true;
	}
	return false;
}

/* True if one of the nearest keys has a word of small letters. */
static bool
IsAmong(const JsonContext *context, const char *word)
{
	size_t		n = strlen(word);

	for (size_t i = 0; i + n <= context->len; i++)
		if (memcmp(context->words + i, word, n) == 0)
			return true;
	return false;
}

/* True if the string at the walk's place is long and of base64 alone. */
static bool
IsLongBase64(const JsonWalk *walk)
{
	size_t		at = walk->pos + 1;

	while (at < walk->len && (IsAlnum((unsigned char) walk->text[at]) ||
							  memchr("+/-_=", walk->text[at], 5) != NULL))
		at++;
	return at < walk->len && walk->text[at] == '"' && at - walk->pos > 80;
}

/*
 * What a member's own key says of its value, where its object or the value
 * says more than the key does.
 */
KeyKind
JsonKindOfMember(JsonWalk *walk, KeyKind kind, const char *key, size_t len)
{
	char		next = Peek(walk);

	if (next == '"' && len == 4 && memcmp(key, "type", 4) == 0)
		walk->thinks = BeginsThought(walk);
	else if (len == 8 && memcmp(key, "thinking", 8) == 0)
		walk->thinks = true;
	else if (next == '"' && len == 5 && memcmp(key, "token", 5) == 0)
		walk->spelt = true;
	/* the bytes of a piece of text tell what its token would */
	else if (next == '[' && len == 5 && memcmp(key, "bytes", 5) == 0 &&
			 (walk->spelt || IsAmong(&walk->context, "ogprob")))
		return KEY_SECRET;
	if (kind != KEY_SECRET)
		return kind;
	/* what a model signs its thoughts with opens nothing */
	if (next == '"' && len == 9 && memcmp(key, "signature", 9) == 0 &&
		(walk->thinks || IsAmong(&walk->context, "reasoning") ||
		 IsAmong(&walk->context, "anthropic")) &&
		IsLongBase64(walk))
		return KEY_PLAIN;
	if (IsDigit((unsigned char) next) || next == '-')
	{
		size_t		end = JsonNumberEnd(walk);

		return end == JsonBareEnd(walk, end) &&
			(JsonIsMeasure(walk->text +walk->pos, end - walk->pos, true) ||
			 KeyCountsTokens(key, len)) ? KEY_PLAIN : kind;
	}
	return kind;
}
