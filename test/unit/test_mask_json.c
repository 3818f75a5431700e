/*
 * test_mask_json.c
 *	  JSON: by key and by content, nested, escaped, too deep; known values.
 */
/* links: src/mask/[c-k]*.c src/mask/[nrstvw][aceho-u]*.c src/core/sha256.c */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mask/mask.h"
#include "mask_tap.h"

/* Masks a document and compares. */
static void
Masks(const MaskOptions *options, const char *text, const char *expect)
{
	MaskResult	result;
	const char *got = text;
	bool		good;

	MaskDocument(options, text, strlen(text), &result);
	if (result.status == MASK_MASKED)
		got = result.text;
	good = result.status <= MASK_MASKED && strcmp(got, expect) == 0;
	Ok(good, text);
	if (!good)
		printf("# expected %s\n# got      %s\n", expect, got);
	if (result.status == MASK_MASKED)
		free(result.text);
}

static void
TestKeys(void)
{
	Masks(&plain, "{\"a\": 1, \"password\" : \"x\"}",
		  "{\"a\": 1, \"password\" : \"<PASSWORD>\"}");
	Masks(&plain, "{\"headers\":{\"Authorization\":\"Bearer abc\"}}",
		  "{\"headers\":{\"Authorization\":\"<AUTHORIZATION>\"}}");
	Masks(&plain, "{\"secret\":{\"a\":[1,\"b\",null,true]}}",
		  "{\"secret\":{\"a\":[\"<SECRET>\",\"<SECRET>\",null,true]}}");
	Masks(&plain, "{\"max_tokens\": 100, \"model\": \"gpt-4\"}",
		  "{\"max_tokens\": 100, \"model\": \"gpt-4\"}");
	Masks(&plain, "{\"pass\\u0077ord\": \"x\"}",
		  "{\"pass\\u0077ord\": \"<PASSWORD>\"}");
	Masks(&plain, "[{\"name\": \"API_TOKEN\", \"value\": \"abc\"}, {\"name\": \"a\", \"value\": \"abc\"}]",
		  "[{\"name\": \"API_TOKEN\", \"value\": \"<SECRET>\"}, {\"name\": \"a\", \"value\": \"abc\"}]");
	Masks(&plain, "{\"n\": 830717350867.0}", "{\"n\": \"<KZ_IIN:**67>\"}");
	Masks(&plain, "{\"password\": \"\", \"token\": null}",
		  "{\"password\": \"\", \"token\": null}");
}

static char told[200];

/* Notes what the scanner tells of. */
static void
Tell(void *arg, MaskEntity entity, const char *value, size_t len)
{
	(void) arg;
	snprintf(told + strlen(told), sizeof(told) - strlen(told), "%s=%.*s;",
			 MaskEntityName(entity), (int) len, value);
}

/* Counts, and values as they were before escapes. */
static void
TestFound(void)
{
	MaskOptions options = plain;
	const char *text = "{\"a\": \"x@b.kz y\\u0040b.kz\", \"n\": 830717350867,"
	" \"password\": \"q\"}";
	MaskResult	result;

	options.found = Tell;
	MaskDocument(&options, text, strlen(text), &result);
	Ok(result.counts[MASK_EMAIL_ADDRESS] == 2 &&
	   result.counts[MASK_KZ_IIN] == 1 && result.counts[MASK_PASSWORD] == 1 &&
	   result.hit_count == 4, "findings are counted");
	Ok(strcmp(told, "EMAIL_ADDRESS=x@b.kz;EMAIL_ADDRESS=y@b.kz;"
			  "KZ_IIN=830717350867;PASSWORD=q;") == 0, "findings are told");
	free(result.text);
}

static void
TestContent(void)
{
	Masks(&plain, "[\"card 4111111111111111\", 1.50, true]",
		  "[\"card 4111****1111\", 1.50, true]");
	Masks(&plain, "{\"iin\": 123456789012}", "{\"iin\": \"<KZ_IIN:**12>\"}");
	Masks(&plain, "{\"phone\": \"329 7730\"}",
		  "{\"phone\": \"<PHONE_NUMBER:**30>\"}");
	Masks(&plain, "{\"phone\": {\"number\": \"329 7730\"}}",
		  "{\"phone\": {\"number\": \"<PHONE_NUMBER:**30>\"}}");
	Masks(&plain, "{\"t\": \"\\u0034111 1111 1111 111\\u0031\"}",
		  "{\"t\": \"4111****1111\"}");
	Masks(&plain, "{\"ivan@bank.kz\": 1}",
		  "{\"<EMAIL_ADDRESS:i***@bank.kz>\": 1}");
	Masks(&plain, "{\"x\": \"{\\\"password\\\": \\\"y\\\"}\"}",
		  "{\"x\": \"{\\\"password\\\": \\\"<PASSWORD>\\\"}\"}");
	Masks(&plain, "{\"a\":\"tab\\tand \\u00e9\",  \"b\" :[ ]}",
		  "{\"a\":\"tab\\tand \\u00e9\",  \"b\" :[ ]}");
	Masks(&plain, "{\"a\": \"4111\\u00001111\\u200b11111111\"}",
		  "{\"a\": \"4111****1111\"}");
	Masks(&plain, "[\"4111\", \"1111\", \"1111\", \"1111\"]",
		  "[\"<CREDIT_CARD>\", \"<CREDIT_CARD>\", \"<CREDIT_CARD>\", "
		  "\"<CREDIT_CARD>\"]");
	Masks(&plain, "{\"a\":\"830717\",\"b\":\"350867\",\"c\":1}",
		  "{\"a\":\"<KZ_IIN>\",\"b\":\"<KZ_IIN>\",\"c\":1}");
	Masks(&plain, "{\"card\": [4111, 1111, 1111, 1111]}",
		  "{\"card\": [\"<CREDIT_CARD>\", \"<CREDIT_CARD>\", "
		  "\"<CREDIT_CARD>\", \"<CREDIT_CARD>\"]}");
	Masks(&plain, "{\"tokens\": [4111, 1111, 1111, 1111]}",
		  "{\"tokens\": [4111, 1111, 1111, 1111]}");
	Masks(&plain, "{not json, password=hunter2}",
		  "{not json, password=<PASSWORD>}");
	Masks(&plain, "[1,2", "[1,2");
}

static void
TestDepth(void)
{
	size_t		n = 10000;
	char	   *text = malloc(2 * n);
	MaskOptions options = plain;
	MaskResult	result;

	memset(text, '[', n);
	memset(text +n, ']', n);
	Ok(MaskDocument(&plain, text, 2 * n, &result) == MASK_WITHHELD &&
	   result.text == NULL && result.reason != NULL,
	   "ten thousand levels are withheld");
	Ok(MaskDocument(&plain, text +n - 200, 400, &result) == MASK_CLEAN,
	   "two hundred levels are read");
	options.max_depth = 10;
	Ok(MaskDocument(&options, text +n - 11, 22, &result) == MASK_WITHHELD,
	   "the limit can be set");
	free(text);
}

static void
TestKnown(void)
{
	const MaskValue values[] =
	{
		{"\u0418\u0432\u0430\u043d\u043e\u0432 \u0418\u0432\u0430\u043d", sizeof("\u0418\u0432\u0430\u043d\u043e\u0432 \u0418\u0432\u0430\u043d") - 1},
		{"D-12345/KZ", 10},
		{"Li", 2},
	};
	MaskOptions options = plain;

	options.known = values;
	options.known_count = 3;
	Masks(&options, "contract d-12345/kz of IVAN", "contract <KNOWN_VALUE> of IVAN");
	Masks(&options, "\u0418\u0412\u0410\u041d\u041e\u0412 \u0418\u0412\u0410\u041d", "<KNOWN_VALUE>");
	Masks(&options, "\u0441 \u0418\u0432\u0430\u043d\u043e\u0432\u044b\u043c \u0438 \u043e \u0418\u0432\u0430\u043d\u0435",
		  "\u0441 <KNOWN_VALUE> \u0438 \u043e <KNOWN_VALUE>");
	Masks(&options, "Mrs Li likes lilies", "Mrs <KNOWN_VALUE> likes lilies");
	Masks(&options, "ask li today", "ask <KNOWN_VALUE> today");
	Masks(&options, "{\"who\": \"\u0438\u0432\u0430\u043d\u043e\u0432\", \"n\": 5}",
		  "{\"who\": \"<KNOWN_VALUE>\", \"n\": 5}");
	options.known_count = 0;
	Masks(&options, "ask li today", "ask li today");
}

/* A second and a third of memory requests fail: no fault, no leak. */
static int	allowed;

static void *
Scarce(void *arg, size_t size)
{
	(void) arg;
	return allowed-- > 0 ? malloc(size) : NULL;
}

static void
TestMemory(void)
{
	const char *text = "{\"a\": \"\\u0034111 1111 1111 1111\", \"password\":"
	" \"x\", \"b\": \"{\\\"token\\\": \\\"y\\\"}\"}";
	const MaskValue value = {"Smith", 5};
	MaskOptions options = plain;
	MaskResult	result;
	bool		good = true;

	options.allocator.alloc = Scarce;
	options.known = &value;
	options.known_count = 1;
	for (int i = 0; i < 200; i++)
	{
		allowed = i;
		MaskJson(&options, text, strlen(text), &result);
		if (result.status == MASK_MASKED)
		{
			free(result.text);
			good &= allowed >= 0;
		}
		else
			good &= result.status == MASK_NO_MEMORY && result.text == NULL;
	}
	Ok(good, "every request for memory may fail");
	Ok(result.status == MASK_MASKED, "and in the end none did");
}

int
main(void)
{
	TestKeys();
	TestFound();
	TestContent();
	TestDepth();
	TestKnown();
	TestMemory();
	printf("1..%d\n", number);
	return failed != 0;
}
