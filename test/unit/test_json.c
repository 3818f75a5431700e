/*
 * test_json.c
 *	  The JSON reader and writer: what it takes, keeps, refuses, and how much
 *	  work and memory hostile text can make it spend.
 */
/* links: src/record/json.c */
#include "record_tap.h"

#include <time.h>

static Heap heap;
static JsonArena arena;
static JsonError error;

static JsonNode *
Parse(const char *text)
{
	HeapFree(&heap);
	arena = ArenaOver(&heap);
	return JsonParse(&arena, text, strlen(text), &error);
}

static bool
Fails(const char *text, JsonStatus status, size_t position)
{
	return Parse(text) == NULL && error.status == status &&
		error.position == position;
}

/* True if text, parsed and written again, gives expected. */
static bool
Writes(const char *text, const char *expected, JsonStyle style)
{
	JsonNode   *node = Parse(text);
	JsonBuffer	buf;

	if (node == NULL)
		return false;
	JsonBufferInit(&buf, &arena);
	JsonWrite(&buf, node, style);
	return buf.len == strlen(expected) &&
		memcmp(buf.data, expected, buf.len) == 0;
}

static void
TestScalars(void)
{
	OK(TextIs(Parse(" \"a\" "), "a"), "string");
	OK(Parse("null") && Parse("null")->type == JSON_NULL, "null");
	OK(Parse("true")->type == JSON_TRUE, "true");
	OK(Parse("false")->type == JSON_FALSE, "false");
	OK(TextIs(Parse("-12.50e+300"), "-12.50e+300"), "number keeps its text");
	OK(TextIs(Parse("123456789012345678901234567890.000"),
			  "123456789012345678901234567890.000"),
	   "big number keeps its digits");
	OK(Fails("01", JSON_ERROR_SYNTAX, 1), "leading zero");
	OK(Fails("1.", JSON_ERROR_END, 2), "number that ends in a point");
	OK(Fails("+1", JSON_ERROR_SYNTAX, 0), "plus sign");
	OK(Fails("nul", JSON_ERROR_END, 3), "half a literal");
	OK(Fails("nulx", JSON_ERROR_SYNTAX, 0), "wrong literal");
	OK(Fails("", JSON_ERROR_END, 0), "nothing");
	OK(Fails("1 2", JSON_ERROR_TRAILING, 2), "two values");
	OK(Fails("NaN", JSON_ERROR_SYNTAX, 0), "NaN");
}

static void
TestStrings(void)
{
	OK(TextIs(Parse("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), "\"\\/\b\f\n\r\t"),
	   "short escapes");
	OK(TextIs(Parse("\"\\u00e9\\u20AC\\uD83D\\uDE00\""),
			  "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
	   "Unicode escapes, surrogate pair");
	OK(TextIs(Parse("\"a\\u0000b\""), "a\\u0000b"), "NUL is kept as its escape");
	OK(TextIs(Parse("\"\\ud800\""), "\\ud800"), "lone high surrogate is kept");
	OK(TextIs(Parse("\"\\uDC00x\""), "\\uDC00x"), "lone low surrogate is kept");
	OK(TextIs(Parse("\"\\ud800\\u0041\""), "\\ud800A"),
	   "high surrogate before another character");
	OK(TextIs(Parse("\"\\ud800\\ud83d\\ude00\""), "\\ud800\xf0\x9f\x98\x80"),
	   "high surrogate before a pair");
	OK(Fails("\"\\x\"", JSON_ERROR_SYNTAX, 1), "unknown escape");
	OK(Fails("\"\\u12g4\"", JSON_ERROR_SYNTAX, 1), "bad hexadecimal digit");
	OK(Fails("\"abc", JSON_ERROR_END, 4), "no closing quote");
	OK(Fails("\"abc\\", JSON_ERROR_END, 5), "ends in an escape");
	OK(Fails("\"abc\nd\"", JSON_ERROR_SYNTAX, 4), "line end in a string");
	OK(TextIs(Parse("\"a\tb\001\""), "a\tb\001"), "control characters are taken");
	OK(Fails("\"\xc0\xaf\"", JSON_ERROR_UTF8, 1), "overlong UTF-8");
	OK(Fails("\"ab\xed\xa0\x80\"", JSON_ERROR_UTF8, 3), "surrogate in UTF-8");
	OK(Fails("\"\xf4\x90\x80\x80\"", JSON_ERROR_UTF8, 1), "beyond U+10FFFF");
	OK(Fails("\"abcdefghijklmnop\xe2\x82\"", JSON_ERROR_UTF8, 17),
	   "character cut short");
}

static void
TestContainers(void)
{
	JsonNode   *node = Parse("{\"a\": [1, {\"b\": \"c\"}, []], \"d\": {}}");

	OK(node && node->count == 2 && JsonGet(node, "a")->count == 3, "counts");
	OK(TextIs(JsonGet(JsonElement(JsonGet(node, "a"), 1), "b"), "c"), "access");
	OK(JsonPath (node, "d/x") == NULL && JsonPath (node, "a/b") == NULL,
	   "paths that lead nowhere");
	OK(TextIs(JsonPath (Parse("{\"x\":{\"y\":{\"z\":7}}}"), "x/y/z"), "7"), "path");
	OK(TextIs(JsonGet(Parse("{\"a\":1,\"b\":2,\"a\":3}"), "a"), "3") &&
	   Parse("{\"a\":1,\"b\":2,\"a\":3}")->count == 2,
	   "of the same name the last wins");
	OK(TextIs(JsonGet(Parse("{\"a\":1,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,"
							"\"g\":0,\"h\":0,\"i\":0,\"j\":0,\"k\":0,\"l\":0,"
							"\"m\":0,\"\\u0061\":2,\"n\":0}"), "a"), "2"),
	   "among many members too, however it is written");
	OK(Parse("[1,2,]")->count == 2 && Parse("{\"a\":1,}")->count == 1,
	   "trailing commas are forgiven");
	OK(Fails("[1 2]", JSON_ERROR_SYNTAX, 3), "missing comma");
	OK(Fails("[1}", JSON_ERROR_SYNTAX, 2), "wrong bracket");
	OK(Fails("{1:2}", JSON_ERROR_SYNTAX, 1), "name that is no string");
	OK(Fails("{\"a\" 1}", JSON_ERROR_SYNTAX, 5), "no colon");
	OK(Fails("{\"a\":}", JSON_ERROR_SYNTAX, 5), "no value");
	OK(Fails("[", JSON_ERROR_END, 1), "open array");
	OK(Fails("{\"a\":[1,{\"b\":2}", JSON_ERROR_END, 15), "open object");
}

static void
TestWriting(void)
{
	OK(Writes("{ \"a\" : [ 1 , null , true ] }", "{\"a\":[1,null,true]}",
			  JSON_COMPACT), "compact");
	OK(Writes("{\"a\":[1,\"x\"]}", "{\"a\": [1, \"x\"]}", JSON_SPACED), "spaced");
	OK(Writes("\"q\\\"\\\\\\u0001\\n\\u0000\"", "\"q\\\"\\\\\\u0001\\n\\\\u0000\"",
			  JSON_COMPACT), "escapes");
	OK(Writes("[1e400,1e5]", "[\"1e400\", 1e5]", JSON_SPACED),
	   "a number that jsonb cannot hold becomes a string");
}

/* A text of n opening brackets, a value, and n closing ones. */
static char *
Nested(size_t n, char open, char close)
{
	char	   *text = malloc(n * 2 + 8);

	memset(text, open, n);
	memcpy(text +n, "\"]\\\"\"", 5);
	memset(text +n + 5, close, n);
	text[		n * 2 + 5] = '\0';
	return text;
}

static void
TestDepth(void)
{
	char	   *text = Nested(JSON_MAX_DEPTH, '[', ']');
	JsonNode   *node = Parse(text);

	OK(node && !node->deep, "as deep as allowed");
	free(text);
	text = Nested(1000000, '[', ']');

	node = Parse(text);
	OK(node && node->deep, "a million arrays are read");
	for (int i = 1; i < JSON_MAX_DEPTH && node; i++)
		node = node->child;
	OK(node && node->child->type == JSON_TOO_DEEP &&
	   node->child->len == strlen(text) - 2 * JSON_MAX_DEPTH,
	   "what is too deep is one piece");
	text[		strlen(text) - 1] = '\0';

	OK(Parse(text) == NULL && error.status == JSON_ERROR_END,
	   "too deep and not closed");
	free(text);
}

/* Seconds that parsing takes. */
static double
Seconds(const char *text)
{
	clock_t		start = clock();

	Parse(text);
	return (double) (clock() - start) / CLOCKS_PER_SEC;
}

/* A text of n times piece between start and end. */
static char *
Repeat(const char *start, const char *piece, size_t n, const char *end)
{
	size_t		len = strlen(piece);
	char	   *text = malloc(strlen(start) + len * n + strlen(end) + 1);
	char	   *p = text +strlen(start);

	strcpy(text, start);
	for (size_t i = 0; i < n; i++, p += len)
		memcpy(p, piece, len);
	strcpy(p, end);
	return text;
}

static void
TestCost(void)
{
	static const char *const pieces[][3] = {
		{"[", "[],", "0]"},
		{"{", "\"a\":{},", "\"b\":0}"},
		{"\"", "\\u0000", "\""},
		{"[", "\"\",", "0]"},
		{"", "[", ""}
	};
	bool		linear = true;

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
	{
		char	   *small = Repeat(pieces[i][0], pieces[i][1], 50000, pieces[i][2]);
		char	   *big = Repeat(pieces[i][0], pieces[i][1], 800000, pieces[i][2]);
		double		base = Seconds(small) + 0.005;

		linear = linear && Seconds(big) < base * 16 * 6;
		free(small);
		free(big);
	}
	OK(linear, "sixteen times the text takes no more than its share of time");
}

static void
TestMemory(void)
{
	char	   *text = Repeat("[", "\"ab\\n\",", 100000, "0]");
	bool		fine;

	Parse(text);
	OK(heap.bytes < strlen(text) * 20, "memory is a multiple of the text");
	HeapFree(&heap);
	heap.limit = 100000;
	arena = ArenaOver(&heap);
	fine = JsonParse(&arena, text, strlen(text), &error) == NULL &&
		error.status == JSON_ERROR_MEMORY;
	OK(fine, "an allocator that gives up is an error");
	heap.limit = 0;
	free(text);
}

static void
TestClip(void)
{
	OK(Utf8Clip("abc", 3, 5) == 3 && Utf8Clip("abc", 3, 2) == 2, "ASCII");
	OK(Utf8Clip("a\xe2\x82\xac", 4, 3) == 1 && Utf8Clip("a\xe2\x82\xac", 4, 4) == 4,
	   "no character is cut");
}

int
main(void)
{
	TestScalars();
	TestStrings();
	TestContainers();
	TestWriting();
	TestDepth();
	TestCost();
	TestMemory();
	TestClip();
	HeapFree(&heap);
	return TapDone();
}
