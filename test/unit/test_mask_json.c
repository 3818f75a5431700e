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

/* Masks a document and compares; true if all is as expected. */
static bool
IsMasked(const MaskOptions *options, const char *text, const char *expect)
{
	/* without a byte behind it that might be read */
	char	   *copy = malloc(strlen(text));
	MaskResult	result;
	const char *got = text;
	bool		good;

	memcpy(copy, text, strlen(text));
	MaskDocument(options, copy, strlen(text), &result);
	free(copy);
	if (result.status == MASK_MASKED)
		got = result.text;
	good = result.status <= MASK_MASKED && strcmp(got, expect) == 0;
	if (!good)
		printf("# expected %s\n# got      %s\n", expect, got);
	if (result.status == MASK_MASKED)
		free(result.text);
	return good;
}

static void
Masks(const MaskOptions *options, const char *text, const char *expect)
{
	Ok(IsMasked(options, text, expect), text);
}

static void
Stays(const char *text)
{
	Masks(&plain, text, text);
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
	/* what providers say of usage */
	Masks(&plain, "{\"prompt_tokens\": 7, \"prompt_tokens_details\": {\"cached_tokens\": 0}, "
		  "\"outputTokensDetails\": [{\"modality\": \"TEXT\", \"tokenCount\": 5}]}",
		  "{\"prompt_tokens\": 7, \"prompt_tokens_details\": {\"cached_tokens\": 0}, "
		  "\"outputTokensDetails\": [{\"modality\": \"TEXT\", \"tokenCount\": 5}]}");
	Masks(&plain, "{\"passwords\": [\"x\"], \"passwordss\": \"x\", \"passwords_file\": \"x\"}",
		  "{\"passwords\": [\"<PASSWORD>\"], \"passwordss\": \"<PASSWORD>\", \"passwords_file\": \"x\"}");
}

/* What a schema says of a secret is none; its default and examples may be. */
static void
TestSchemas(void)
{
	Masks(&plain, "{\"properties\":{\"token\":{\"type\":[\"string\",\"null\"],"
		  "\"description\":\"Bearer token\",\"default\":\"x1\"},\"token2\":\"x1\"}}",
		  "{\"properties\":{\"token\":{\"type\":[\"string\",\"null\"],"
		  "\"description\":\"Bearer token\",\"default\":\"<SECRET>\"},\"token2\":\"<SECRET>\"}}");
	Masks(&plain, "{\"properties\":{\"password\":{\"type\":\"string\",\"minLength\":8,"
		  "\"examples\":[\"q\"],\"description\":\"hunter2\",\"value\":\"x\"}}}",
		  "{\"properties\":{\"password\":{\"type\":\"string\",\"minLength\":8,"
		  "\"examples\":[\"<PASSWORD>\"],\"description\":\"<PASSWORD>\",\"value\":\"<PASSWORD>\"}}}");
	Masks(&plain, "{\"$defs\":{\"Secret\":{\"anyOf\":[{\"type\":\"string\"},{\"const\":\"x\"}],"
		  "\"$ref\":\"#/$defs/A\"}}}",
		  "{\"$defs\":{\"Secret\":{\"anyOf\":[{\"type\":\"string\"},{\"const\":\"<SECRET>\"}],"
		  "\"$ref\":\"#/$defs/A\"}}}");
	Masks(&plain, "{\"properties\":{\"creds\":{\"properties\":{\"id\":{\"type\":\"string\"}},"
		  "\"required\":[\"id\"],\"enum\":[\"basic\"]},\"auth\":{\"enum\":[\"basic\",\"x1\"]}}}",
		  "{\"properties\":{\"creds\":{\"properties\":{\"id\":{\"type\":\"string\"}},"
		  "\"required\":[\"id\"],\"enum\":[\"basic\"]},\"auth\":{\"enum\":[\"<SECRET>\",\"<SECRET>\"]}}}");
	Masks(&plain, "{\"securitySchemes\":{\"apiKey\":{\"type\":\"apiKey\",\"name\":\"X-API-Key\"}}}",
		  "{\"securitySchemes\":{\"apiKey\":{\"type\":\"apiKey\",\"name\":\"X-API-Key\"}}}");
	/* outside of one, and a value where a description would be */
	Masks(&plain, "{\"token\":{\"type\":\"bearer\"},\"properties\":{\"a\":{\"token\":{\"type\":\"x\"}}}}",
		  "{\"token\":{\"type\":\"<SECRET>\"},\"properties\":{\"a\":{\"token\":{\"type\":\"<SECRET>\"}}}}");
	Masks(&plain, "{\"properties\":{\"token\":[{\"type\":\"x\"}],\"note\":{\"description\":\"ab@b.kz\"}}}",
		  "{\"properties\":{\"token\":[{\"type\":\"<SECRET>\"}],"
		  "\"note\":{\"description\":\"<EMAIL_ADDRESS:a***@b.kz>\"}}}");
}

/* Tokens of a model, measures, and names of things about a secret. */
static void
TestMeasures(void)
{
	Stays("{\"input_cost_per_token\": 5e-07, \"cost_per_audio_token\": 0, \"token_accuracy\": 0.93, "
		  "\"tokens_evaluated\": 1034, \"max_tokens_to_sample\": 2048, \"tokenizer_class\": \"Llama\", "
		  "\"llm.token_count.prompt\": 1200, \"time_to_first_token\": 1312, \"secret_recall\": 1.0}");
	Stays("{\"bos_token\": {\"content\": \"x1\"}, \"padToken\": \"x1\", \"image_token\": \"<|image_pad|>\", "
		  "\"mask_token\": \"[MASK]\", \"fim_token\": \"</s>\"}");
	Stays("{\"nextPageToken\": \"x1\", \"page_token\": \"x1\", \"_meta\": {\"progressToken\": \"x1\"}, "
		  "\"NextToken\": \"x1\", \"continuation_token\": \"x1\"}");
	Stays("{\"user_api_key_alias\": \"x1\", \"user_api_key_team_id\": \"x1\", \"apiKeyUserId\": \"x1\", "
		  "\"user_api_key_spend\": 0.0, \"user_api_key_request_route\": \"/x\", "
		  "\"password_last_changed\": \"2024-01-01\", \"api_key.created\": {\"id\": \"x\"}}");
	Stays("{\"valueFrom\": {\"secretKeyRef\": {\"name\": \"db\", \"key\": \"password\"}}, "
		  "\"last_token_time\": 1725.0}");
	/* their neighbours */
	Masks(&plain, "{\"token\": 738291, \"secret\": [1.5, 7], \"token_secret\": \"x\", \"tokens_value\": \"x\", "
		  "\"page_access_token\": \"x\", \"ipad_token\": \"x\", \"helper_token\": \"x\", "
		  "\"token\": 738291.0, \"user_api_key\": \"x\", \"token_corporate\": \"x\", \"token\": \"<x1>\"}",
		  "{\"token\": \"<SECRET>\", \"secret\": [1.5, \"<SECRET>\"], \"token_secret\": \"<SECRET>\", "
		  "\"tokens_value\": \"<SECRET>\", \"page_access_token\": \"<SECRET>\", \"ipad_token\": \"<SECRET>\", "
		  "\"helper_token\": \"<SECRET>\", \"token\": \"<SECRET>\", \"user_api_key\": \"<SECRET>\", "
		  "\"token_corporate\": \"<SECRET>\", \"token\": \"<SECRET>\"}");
	Masks(&plain, "{\"password\": 7, \"password\": 1.5, \"password_id_value\": \"x\"}",
		  "{\"password\": \"<PASSWORD>\", \"password\": \"<PASSWORD>\", \"password_id_value\": \"<PASSWORD>\"}");
}

/* Where a secret is, instead of the secret. */
static void
TestReferences(void)
{
	Stays("{\"api_key\": \"{{OPENAI_KEY}}\", \"token\": \"${input:gh_token}\", \"password\": \"${DB_PASSWORD}\", "
		  "\"api_key\": \"os.environ/AZURE_API_KEY\", \"token\": \"${{ secrets.PAT }}\", "
		  "\"secret\": \"#/components/schemas/OAuth2\", \"api_key\": [\"OPENAI_API_KEY\"]}");
	Masks(&plain, "{\"password\": \"${DB:-hunter}\", \"token\": \"{{a1}}\", \"password\": \"<abc>\", "
		  "\"api_key\": \"MAIN\", \"password\": \"MY_PASSWORD\", \"token\": \"os.environ/x1\"}",
		  "{\"password\": \"<PASSWORD>\", \"token\": \"<SECRET>\", \"password\": \"<PASSWORD>\", "
		  "\"api_key\": \"<SECRET>\", \"password\": \"<PASSWORD>\", \"token\": \"<SECRET>\"}");
}

#define BASE64_90 \
	"EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds" \
	"41OyuaAz7WD7BtHWJsX9UGncFcYhC3+0/4Kzvrt"

/* What a model signs its thoughts with, and pieces of what it said. */
static void
TestThoughts(void)
{
	Stays("{\"type\": \"thinking\", \"thinking\": \"x\", \"signature\": \"" BASE64_90 "\"}");
	Stays("{\"delta\": {\"type\": \"signature_delta\", \"signature\": \"" BASE64_90 "\"}}");
	Stays("{\"reasoningText\": {\"text\": \"x\", \"signature\": \"" BASE64_90 "\"}, "
		  "\"thoughtSignature\": \"" BASE64_90 "\"}");
	Stays("{\"anthropic\": {\"signature\": \"" BASE64_90 "\"}}");
	Masks(&plain, "{\"type\": \"thinking\", \"signature\": \"4f1c\", \"token\": \"" BASE64_90 "\", "
		  "\"b\": {\"signature\": \"" BASE64_90 "\"}}",
		  "{\"type\": \"thinking\", \"signature\": \"<SECRET>\", \"token\": \"<SECRET>\", "
		  "\"b\": {\"signature\": \"<SECRET>\"}}");
	Masks(&plain, "[{\"token\": \"He\", \"logprob\": -1, \"bytes\": [72, 101]}, {\"bytes\": [72]}, {\"bytes\": 72}]",
		  "[{\"token\": \"<SECRET>\", \"logprob\": -1, \"bytes\": [\"<SECRET>\", \"<SECRET>\"]}, "
		  "{\"bytes\": [72]}, {\"bytes\": 72}]");
	/* as jsonb orders them */
	Masks(&plain, "{\"logprobs\": {\"content\": [{\"bytes\": [72], \"token\": \"H\", \"logprob\": -1.25}]}}",
		  "{\"logprobs\": {\"content\": [{\"bytes\": [\"<SECRET>\"], \"token\": \"<SECRET>\", \"logprob\": -1.25}]}}");
	/* headers of a response that are a card's digits together */
	Stays("{\"openai-version\": \"2020-10-01\", \"openai-processing-ms\": \"547\", "
		  "\"x-ratelimit-limit-requests\": \"30000\"}");
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

/*
 * The same twice: at the end of what can be read, where a short string is
 * looked at in a copy, and with blanks behind, where it is looked at in place.
 */
static bool
IsMaskedBoth(const char *text, const char *expect)
{
	char		room[2][1200];

	snprintf(room[0], sizeof(room[0]), "%s%100s", text, "");
	snprintf(room[1], sizeof(room[1]), "%s%100s", expect, "");
	return IsMasked(&plain, text, expect) &&
		IsMasked(&plain, room[0], room[1]);
}

static void
MasksBoth(const char *text, const char *expect)
{
	Ok(IsMaskedBoth(text, expect), text);
}

/* A string of n letters, with something before and behind. */
static const char *
Filled(char *out, const char *before, int n, const char *behind)
{
	size_t		len = strlen(before);

	strcpy(out, before);
	memset(out + len, 'x', (size_t) n);
	strcpy(out + len + n, behind);
	return out;
}

/*
 * Strings of all lengths around 8, 16, 32 and 64 bytes: with a finding at
 * their end, at their beginning, and behind an escape.
 */
static void
TestLengths(void)
{
	static const struct
	{
		const char *before;
		const char *behind;
		const char *expect_before;
		const char *expect_behind;
	}			cases[] =
	{
		{"[\"", " i@b.kz\",1]", "[\"", " <EMAIL_ADDRESS:***@b.kz>\",1]"},
		{"[\"ii@b.kz ", "\",1]", "[\"<EMAIL_ADDRESS:i***@b.kz> ", "\",1]"},
		{"[\"", "\\\" i@b.kz\",1]",
		"[\"", "\\\" <EMAIL_ADDRESS:***@b.kz>\",1]"},
		{"[\"", "\",\"\\u0069@b.kz\"]",
		"[\"", "\",\"<EMAIL_ADDRESS:***@b.kz>\"]"},
		{"[\"", " i%40b.kz\"]", "[\"", " <EMAIL_ADDRESS>\"]"},
		{"{\"a\":\"", " 830717350867\"}",
		"{\"a\":\"", " <KZ_IIN:**67>\"}"},
		{"{\"", " i@b.kz\":1}", "{\"", " <EMAIL_ADDRESS:***@b.kz>\":1}"},
		{"{\"", "-password\":\"y\"}",
		"{\"", "-password\":\"<PASSWORD>\"}"},
		{"{\"", "_phone\":\"329 7730\"}",
		"{\"", "_phone\":\"<PHONE_NUMBER:**30>\"}"},
		{"[\"", "\",\"4111\",\"11111111\",\"1111\"]", "[\"",
		"\",\"<CREDIT_CARD>\",\"<CREDIT_CARD>\",\"<CREDIT_CARD>\"]"},
	};
	char		doc[500];
	char		expect[500];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		bool		good = true;

		/* of a longer key the end is no context */
		for (int n = 0; n < 72; n++)
			good &= IsMaskedBoth(Filled(doc, cases[i].before, n,
										cases[i].behind),
								 Filled(expect, cases[i].expect_before, n,
										cases[i].expect_behind));
		Ok(good, cases[i].behind);
	}
}

#define LONG_KEY "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" \
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

/* What gives a string its meaning, beside the same string without. */
static void
TestMeaning(void)
{
	MasksBoth("{\"a\":\"5 1990\",\"birth\":\"5 1990\",\"b\":\"5 1990\"}",
			  "{\"a\":\"5 1990\",\"birth\":\"<DATE_OF_BIRTH>\",\"b\":\"5 1990\"}");
	MasksBoth("{\"birth\":{\"5 1990\":1},\"a\":{\"5 1990\":1}}",
			  "{\"birth\":{\"<DATE_OF_BIRTH>\":1},\"a\":{\"5 1990\":1}}");
	MasksBoth("{\"a\":{\"5 1990\":1},\"birth\":{\"5 1990\":1}}",
			  "{\"a\":{\"5 1990\":1},\"birth\":{\"<DATE_OF_BIRTH>\":1}}");
	MasksBoth("[\"5 1990\",\"born 5 1990\",\"5 1990\"]",
			  "[\"5 1990\",\"born <DATE_OF_BIRTH>\",\"5 1990\"]");
	MasksBoth("{\"a\":\"329 7730\",\"phone\":\"329 7730\",\"b\":\"329 7730\"}",
			  "{\"a\":\"329 7730\",\"phone\":\"<PHONE_NUMBER:**30>\",\"b\":\"329 7730\"}");
	MasksBoth("{\"a\":3297730,\"phone\":3297730,\"b\":3297730}",
			  "{\"a\":3297730,\"phone\":\"<PHONE_NUMBER:**30>\",\"b\":3297730}");
	/* left and entered again */
	MasksBoth("{\"phone\":[{\"b\":1},\"329 7730\"],\"n\":[\"329 7730\"]}",
			  "{\"phone\":[{\"b\":1},\"<PHONE_NUMBER:**30>\"],\"n\":[\"329 7730\"]}");
	MasksBoth("[{\"phone\":{}},\"329 7730\",{\"phone\":\"329 7730\"},\"329 7730\"]",
			  "[{\"phone\":{}},\"329 7730\",{\"phone\":\"<PHONE_NUMBER:**30>\"},\"329 7730\"]");
	MasksBoth("{\"phone\":{\"n\":\"329 7730\"},\"x\":{\"n\":\"329 7730\"},"
			  "\"home\":{\"phone\":{\"n\":\"329 7730\"}}}",
			  "{\"phone\":{\"n\":\"<PHONE_NUMBER:**30>\"},\"x\":{\"n\":\"329 7730\"},"
			  "\"home\":{\"phone\":{\"n\":\"<PHONE_NUMBER:**30>\"}}}");
	MasksBoth("{\"phone\":{\"329 7730\":1},\"x\":{\"329 7730\":1},\"tel\":{\"329 7730\":1}}",
			  "{\"phone\":{\"<PHONE_NUMBER:**30>\":1},\"x\":{\"329 7730\":1},"
			  "\"tel\":{\"<PHONE_NUMBER:**30>\":1}}");
	MasksBoth("{\"card\":[4111,1111,1111,1111],\"n\":[4111,1111,1111,1111],"
			  "\"card_\":[4111,1111,1111,1111]}",
			  "{\"card\":[\"<CREDIT_CARD>\",\"<CREDIT_CARD>\",\"<CREDIT_CARD>\","
			  "\"<CREDIT_CARD>\"],\"n\":[4111,1111,1111,1111],"
			  "\"card_\":[\"<CREDIT_CARD>\",\"<CREDIT_CARD>\",\"<CREDIT_CARD>\","
			  "\"<CREDIT_CARD>\"]}");
	MasksBoth("{\"phone\":[{\"b\":\"329 7730\"},\"329 7730\"]}",
			  "{\"phone\":[{\"b\":\"<PHONE_NUMBER:**30>\"},\"<PHONE_NUMBER:**30>\"]}");
	MasksBoth("{\"phone\":{\"n\":\"329 7730\"},\"ohone\":{\"n\":\"329 7730\"}}",
			  "{\"phone\":{\"n\":\"<PHONE_NUMBER:**30>\"},\"ohone\":{\"n\":\"329 7730\"}}");
	/* a key too long for what is above it to be kept for the next level */
	Masks(&plain, "{\"phone\":{\"" LONG_KEY "\":[\"329 7730\",{\"a\":1},\"329 7730\"]}}",
		  "{\"phone\":{\"" LONG_KEY "\":[\"<PHONE_NUMBER:**30>\",{\"a\":1},\"329 7730\"]}}");
	MasksBoth("{\"n\":[1,2,{\"card\":[4111,1111,1111,1111]}]}",
			  "{\"n\":[1,2,{\"card\":[\"<CREDIT_CARD>\",\"<CREDIT_CARD>\",\"<CREDIT_CARD>\","
			  "\"<CREDIT_CARD>\"]}]}");
	MasksBoth("{\"card\":[\"4111\",1111,\"1111\",1111]}",
			  "{\"card\":[\"<CREDIT_CARD>\",\"<CREDIT_CARD>\",\"<CREDIT_CARD>\",\"<CREDIT_CARD>\"]}");
	/* what was clean is a secret under its key, and a secret one is not */
	MasksBoth("{\"a\":\"x1\",\"token\":\"x1\",\"b\":\"x1\",\"token\":\"x1\"}",
			  "{\"a\":\"x1\",\"token\":\"<SECRET>\",\"b\":\"x1\",\"token\":\"<SECRET>\"}");
	MasksBoth("[{\"name\":\"token\",\"value\":\"x\"},{\"value\":\"x\",\"name\":\"token\"},"
			  "{\"name\":\"a\",\"value\":\"x\"}]",
			  "[{\"name\":\"token\",\"value\":\"<SECRET>\"},{\"value\":\"x\",\"name\":\"token\"},"
			  "{\"name\":\"a\",\"value\":\"x\"}]");
	/* a key that is JSON, and one that is not */
	MasksBoth("{\"[830717350867]\":1,\"[830717350867\":1}",
			  "{\"[\\\"<KZ_IIN:**67>\\\"]\":1,\"[<KZ_IIN:**67>\":1}");
}

/* Short strings of few digits that are something, and their likes. */
static void
TestFewDigits(void)
{
	MasksBoth("[\"8.8.8.8\",\"8.8.8\",\"8-8-8-8\"]",
			  "[\"<IP_ADDRESS>\",\"8.8.8\",\"8-8-8-8\"]");
	MasksBoth("{\"passport\":\"AB12345\",\"b\":\"AB12345\"}",
			  "{\"passport\":\"<NATIONAL_ID:**45>\",\"b\":\"AB12345\"}");
	MasksBoth("[\"PIN 12345\",\"theCvv 123\",\"the 123\",\"12345\"]",
			  "[\"PIN <SECRET>\",\"theCvv <SECRET>\",\"the 123\",\"12345\"]");
	MasksBoth("[\"\u0440\u043e\u0434\u0438\u043b\u0441\u044f 5 1990\",\"\u0433\u043e\u0434 5 1990\"]",
			  "[\"\u0440\u043e\u0434\u0438\u043b\u0441\u044f <DATE_OF_BIRTH>\",\"\u0433\u043e\u0434 5 1990\"]");
	MasksBoth("[\"Dear Mr Smith\",\"Dear Sir\"]", "[\"Dear Mr <PERSON>\",\"Dear Sir\"]");
	MasksBoth("[\"111111\",\"1111\",\"11 1 11\"]", "[\"111111\",\"1111\",\"11 1 11\"]");
}

/* More different keys than are kept in mind, each of them twice. */
static void
TestManyKeys(void)
{
	static char doc[200000];
	static char expect[200000];
	char	   *t = doc;
	char	   *e = expect;

	for (int round = 0; round < 4; round++)
		for (int i = 0; i < 500; i++)
		{
			const char *same = round < 2 ? "" : "xxxxxxxxxxxxxxxxxxxxxxx_";
			const char *kind = i % 3 == 0 ? "phone" : i % 3 == 1 ? "token" : "a";

			t += sprintf(t, "%s{\"%s%s%d\":\"329 7730\"}",
						 t == doc ? "[" : ",", same, kind, i);
			e += sprintf(e, "%s{\"%s%s%d\":\"%s\"}",
						 e == expect ? "[" : ",", same, kind, i, i % 3 == 0 ? "<PHONE_NUMBER:**30>" :
						 i % 3 == 1 ? "<SECRET>" : "329 7730");
		}
	strcpy(t, "]");
	strcpy(e, "]");
	Ok(IsMasked(&plain, doc, expect), "two thousand keys");
}

/* A card split over strings behind any number of others, of any parity. */
static void
TestLongTrail(void)
{
	static const char card[] =
	"\"<CREDIT_CARD>\",\"<CREDIT_CARD>\",\"<CREDIT_CARD>\"]";
	char		doc[1200];
	char		expect[1200];
	bool		good = true;

	for (int n = 0; n < 150; n++)
		for (int two = 0; two < 2; two++)
		{
			char	   *t = doc + sprintf(doc, "[");

			for (int i = 0; i < n; i++)
				t += sprintf(t, two && i % 7 == 0 ? "\"00\"," : "\"0\",");
			memcpy(expect, doc, sizeof(doc));
			strcpy(t, "\"4000\",\"056655\",\"665556\"]");
			strcpy(expect + (t - doc), card);
			good &= IsMasked(&plain, doc, expect);
		}
	Ok(good, "a card behind any number of digits");
	Masks(&plain, "[\"4000056655665\",\"556\",\"4 0-00\",\"0566-55 665556\"]",
		  "[\"4000056655665\",\"556\",\"<CREDIT_CARD>\",\"<CREDIT_CARD>\"]");
}

/* Numbers of all lengths, the meaning of zeros behind a point, blanks. */
static void
TestNumbers(void)
{
	char		doc[500];
	char		expect[500];
	bool		good = true;

	for (int n = 0; n < 40; n++)
	{
		sprintf(doc, "[0.%0*d,830717350867.%0*d,-1.5e+%0*d,true]", n + 1, 0,
				n + 1, 0, n + 1, 7);
		sprintf(expect, "[0.%0*d,\"<KZ_IIN:**67>\",-1.5e+%0*d,true]", n + 1, 0,
				n + 1, 7);
		good &= IsMaskedBoth(doc, expect);
		sprintf(doc, "[\n%*s830717350867\r\n\t%*s,\t%*s1,[830717350867]]", n, "",
				n, "", n, "");
		sprintf(expect, "[\n%*s\"<KZ_IIN:**67>\"\r\n\t%*s,\t%*s1,[\"<KZ_IIN:**67>\"]]",
				n, "", n, "", n, "");
		good &= IsMaskedBoth(doc, expect);
	}
	for (int n = 25; n < 140; n++)
	{
		sprintf(doc, "[%0*d,2]", n, 1);
		good &= IsMaskedBoth(doc, doc);
	}
	Ok(good, "numbers and blanks of all lengths");
	MasksBoth("[830717350867,1,12/3]", "[<KZ_IIN:**67>,1,12/3]");
}

/* What is made as numbers of JSON are, and is none, may be anything. */
static void
TestNoNumbers(void)
{
	static const char *const numbers[] = {"0", "-0", "10", "-1.50", "1e5",
		"0.5E+10", "12345678.25e-3", "-123456789.123456789E123456789", "12345678",
		"1234567812345678.1234567812345678", "+1", "-", "1.", ".5", "01", "-01",
		"1e", "1e+", "1.e5", "--1", "1-2", "1.2.3", "12345678x", "12345678-",
	"0x1F", "0a0123456789.abcdef-1"};
	char		doc[100];
	char		expect[100];
	bool		good = true;

	Masks(&plain, "[4403-1234-1234-4298]", "[\"4403****4298\"]");
	Masks(&plain, "[+77012345678]", "[\"<PHONE_NUMBER:**78>\"]");
	Masks(&plain, "{\"phone\": 8-701-234-56-78}",
		  "{\"phone\": \"<PHONE_NUMBER:**78>\"}");
	Masks(&plain, "{\"ip\": 192.168.10.20, \"card\": 1}",
		  "{\"ip\": \"<IP_ADDRESS>\", \"card\": 1}");
	Masks(&plain, "{\"content\": \"[078-05-1120]\", \"card\": 1}",
		  "{\"content\": \"[\\\"<US_SSN:**20>\\\"]\", \"card\": 1}");
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		for (int n = 0; n < 10; n++)
		{
			sprintf(doc, "{\"password\": %s,\"a\": [%s]}%*s", numbers[i],
					numbers[i], n, "");
			sprintf(expect, "{\"password\": \"<PASSWORD>\",\"a\": [%s]}%*s",
					numbers[i], n, "");
			good &= IsMasked(&plain, doc, expect);
		}
	Ok(good, "what is nothing of that stays");
}

/*
 * A document that ends anywhere is none, and nothing behind it is read, which
 * a sanitizer notices.
 */
static void
TestEnds(void)
{
	static const char doc[] = "{\"properties\" : {\"password\" : {\"type\" : [\"a\"], "
	"\"title\" : \"b\"}}, \"name\" : \"token\", \"value\" : \"x\\u0031\", "
	"\"token\" : -1.5e+3, \"type\" : \"thinking\", \"signature\" : \"c\", \"bytes\" : [1]}";
	int			whole = 0;

	for (size_t len = 0; len < sizeof(doc) - 1; len++)
	{
		char	   *copy = malloc(len + (len == 0));
		MaskResult	result;

		memcpy(copy, doc, len);
		whole += MaskJson(&plain, copy, len, &result) != MASK_WITHHELD;
		free(copy);
	}
	Ok(whole == 0, "a document that ends too early is none");
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
	Ok(MaskDocument(&options, "{\"[[[[[[[[[[]]]]]]]]]]\":1}", 26, &result) ==
	   MASK_WITHHELD, "the levels within a key count");
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

/* A time in one of the forms in which programs write it. */
static size_t
PutTime(char *out)
{
	static const char *const zones[] = {"", "Z", "+05:00", "-03:30"};
	size_t		n = (size_t) sprintf(out, "%d-%02u-%02u", 1900 + (int) Random(200),
									 1 + Random(12), 1 + Random(31));
	unsigned	form = Random(5);

	if (form > 0)
		n += (size_t) sprintf(out + n, "%c%02u:%02u", form == 1 ? ' ' : 'T',
							  Random(24), Random(60));
	if (form > 2)
		n += (size_t) sprintf(out + n, ":%02u", Random(61));
	if (form > 3)
		n += (size_t) sprintf(out + n, ".%0*u", 1 + (int) Random(9), Random(10));
	return n + (form > 0 ? (size_t) sprintf(out + n, "%s", zones[Random(4)]) : 0);
}

/* A UUID, now and then of digits alone. */
static size_t
PutUuid(char *out)
{
	const char *form = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	const char *digits = Random(3) > 0 ? "0123456789abcdef" : "0123456789ABCDEF";
	unsigned	count = Random(4) > 0 ? 16 : 10;
	size_t		n = 0;

	for (; form[n]; n++)
		out[n] = form[n] == '-' ? '-' : digits[Random(count)];
	out[n] = '\0';
	return n;
}

/*
 * Times and UUIDs are told at a glance to be nothing: so they are to the
 * detectors, unless a word says otherwise, and then they are asked.
 */
static void
TestShapes(void)
{
	static const char *const keys[] = {"at", "born", "phone", "card", "iin",
	"passport", "account", "ssn", "password", "inn", "number"};
	int			wrong = 0;
	int			masked = 0;
	int			found = 0;

	for (int i = 0; i < 100000; i++)
	{
		const char *key = keys[i % 11];
		char		value[80];
		char		doc[160];
		size_t		len = i % 2 ? PutTime(value) : PutUuid(value);
		MaskOptions options = plain;
		MaskHit    *hits;
		size_t		count;
		MaskResult	result;

		found += MaskFind(&plain, value, len, &hits, &count) != MASK_CLEAN;
		free(hits);
		options.context = key;
		options.context_len = strlen(key);
		MaskFind(&options, value, len, &hits, &count);
		free(hits);
		snprintf(doc, sizeof(doc), "{\"%s\": \"%s\"}", key, value);
		MaskJson(&plain, doc, strlen(doc), &result);
		wrong += (result.status == MASK_MASKED) !=
			(count > 0 || strcmp(key, "password") == 0);
		masked += result.status == MASK_MASKED;
		free(result.text);
	}
	Ok(found == 0, "a time or UUID is nothing to the detectors");
	Ok(wrong == 0 && masked > 15000, "unless a key says otherwise");
	/* what only looks like one, or has more beside it */
	Masks(&plain, "[\"2026-11-03 830717350867\",\"1990-13-01\"]",
		  "[\"2026-11-03 <KZ_IIN:**67>\",\"1990-13-01\"]");
	Masks(&plain, "[\"2026-11-03 i@b.kz\",\"2026-11-03T10:00Z i@b.kz\"]",
		  "[\"2026-11-03 <EMAIL_ADDRESS:***@b.kz>\",\"2026-11-03T10:00Z <EMAIL_ADDRESS:***@b.kz>\"]");
	Masks(&plain, "[\"44031234-5678-1298-0000-12345678901g\"]",
		  "[\"44031234-5678-1298-0000-12345678901g\"]");
	Masks(&plain, "a4a09c40-ea3a-6f74-fbb7-788710359143 and 7887103591",
		  "a4a09c40-ea3a-6f74-fbb7-788710359143 and 7887103591");
	Masks(&plain, "a4a09c40-ea3a-6f74-fbb7-788710359143, 8 (701) 123-45-67",
		  "a4a09c40-ea3a-6f74-fbb7-788710359143, <PHONE_NUMBER:**67>");
}

int
main(void)
{
	TestKeys();
	TestShapes();
	TestSchemas();
	TestMeasures();
	TestReferences();
	TestThoughts();
	TestFound();
	TestContent();
	TestLengths();
	TestMeaning();
	TestFewDigits();
	TestManyKeys();
	TestLongTrail();
	TestNumbers();
	TestNoNumbers();
	TestDepth();
	TestEnds();
	TestKnown();
	TestMemory();
	printf("1..%d\n", number);
	return failed != 0;
}
