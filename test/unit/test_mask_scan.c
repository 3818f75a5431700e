/*
 * test_mask_scan.c
 *	  What is found in texts and how it is written: each kind of finding,
 *	  context words, disguises, and what has to stay as it is.
 */
/* links: src/mask/[c-k]*.c src/mask/[nrstvw][aceho-u]*.c src/core/sha256.c */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mask/mask.h"
#include "mask_tap.h"

/* Masks a text and compares; on failure tells what came out. */
static void
Masks(const char *text, const char *expect)
{
	MaskResult	result;
	const char *got = text;
	bool		good;

	MaskText(&plain, text, strlen(text), &result);
	if (result.status == MASK_MASKED)
		got = result.text;
	good = result.status <= MASK_MASKED && strcmp(got, expect) == 0;
	Ok(good, text);
	if (!good)
		printf("# expected %s\n# got      %s\n", expect, got);
	if (result.status == MASK_MASKED)
	{
		MaskResult	again;

		if (MaskText(&plain, result.text, result.len, &again) != MASK_CLEAN)
		{
			Ok(false, "a masked text stays as it is");
			printf("# %s became %s\n", result.text, again.text);
			free(again.text);
		}
		free(result.text);
	}
}

static void
Stays(const char *text)
{
	Masks(text, text);
}

static void
TestNumbers(void)
{
	Masks("card 4403123456781298", "card 4403****1298");
	Masks("4111111111111111", "4111****1111");
	Masks("4111 1111 1111 1111 exp 12/27", "4111****1111 exp 12/27");
	Masks("4111-1111-1111-1111", "4111****1111");
	Masks("3714 496353 98431", "3714****8431");
	Masks("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "4111****1111");
	Stays("4111111111111112");
	Stays("order 1748503543012");
	Masks("IIN 123456789012", "IIN <KZ_IIN:**12>");
	Masks("830717350867", "<KZ_IIN:**67>");
	Masks("\u0418\u0418\u041d: 830717 350867", "\u0418\u0418\u041d: <KZ_IIN:**67>");
	Masks("\u0416\u0421\u041d 111111111111", "\u0416\u0421\u041d <KZ_IIN:**11>");
	Masks("\u0411\u0418\u041d 940140000385", "\u0411\u0418\u041d <KZ_BIN:**85>");
	Masks("940140000385", "<KZ_BIN:**85>");
	Masks("\u0418\u041d\u041d 7707083893", "\u0418\u041d\u041d <RU_INN:**93>");
	Masks("500100732259", "<RU_INN:**59>");
	Masks("\u0421\u041d\u0418\u041b\u0421 112-233-445 95",
		  "\u0421\u041d\u0418\u041b\u0421 <RU_SNILS:**95>");
	Masks("11223344595", "<RU_SNILS:**95>");
	Masks("my SSN is 078-05-1121", "my SSN is <US_SSN:**21>");
	Masks("078-05-1121", "<US_SSN:**21>");
	Masks("ssn 078051121", "ssn <US_SSN:**21>");
	Stays("666-05-1121");
	Stays("000813159890");
	Stays("123456789012");
	Stays("version 10.2.33.4");
	Stays("total 1 048 576 rows, 3.14159265358979 and 1716000001");
	Stays("550e8400-e29b-41d4-a716-446655440000");
	Stays("2024-05-17T12:30:45.123456Z");
	Stays("commit 9fceb02d0ae598e95dc970b74767f19372d61af8");
	Stays("llm_call_prod_20261101");
	Stays("call llm_audit 20261101");
	Masks("call me on 272-02-02", "call me on <PHONE_NUMBER:**02>");
	Masks("phone_2025550123", "phone_<PHONE_NUMBER:**23>");
	Masks("+421 2/212 345 67", "<PHONE_NUMBER:**67>");
}

static void
TestAddresses(void)
{
	Masks("write to ivan@bank.kz.", "write to <EMAIL_ADDRESS:i***@bank.kz>.");
	Masks("<john.smith+tag@mail.example.com>",
		  "<<EMAIL_ADDRESS:j***@mail.example.com>>");
	Stays("icon@2x.png and user@localhost");
	Masks("\u0438\u0432\u0430\u043d@\u043f\u043e\u0447\u0442\u0430.\u0440\u0444",
		  "<EMAIL_ADDRESS:***@\u043f\u043e\u0447\u0442\u0430.\u0440\u0444>");
	Masks("from 10.1.2.3:8080", "from <IP_ADDRESS>:8080");
	Masks("net 192.168.1.0/24 up", "net <IP_ADDRESS> up");
	Stays("256.1.1.1 and 1.2.3 and 1.2.3.4.5");
	Masks("[2001:db8::1]:443", "[<IP_ADDRESS>]:443");
	Masks("::1 is home", "<IP_ADDRESS> is home");
	Stays("std::vector a::b at 12:30:45");
	Masks("mac 00:1A:2B:3C:4D:5E", "mac <MAC_ADDRESS>");
	Masks("00-1a-2b-3c-4d-5e", "<MAC_ADDRESS>");
	Masks("GB82 WEST 1234 5698 7654 32 please",
		  "GB82****5432 please");
	Masks("KZ86125KZT5004100100", "KZ86****0100");
	Stays("GB82 WEST 1234 5698 7654 33");
	Masks("IBAN GB82WEST12345698765433", "IBAN GB82****5433");
	Masks("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "1A1z****vfNa");
	Masks("https://joe:pa55@db.example.com/x",
		  "https://<URL_CREDENTIALS>@db.example.com/x");
	Masks("postgres://app:s3cret@10.0.0.5/app",
		  "postgres://<URL_CREDENTIALS>@<IP_ADDRESS>/app");
	Stays("https://example.com:8000/ @home");
}

static void
TestPhones(void)
{
	Masks("+7 (701) 123-45-67", "<PHONE_NUMBER:**67>");
	Masks("87011234567", "<PHONE_NUMBER:**67>");
	Masks("8 701 123 45 67", "<PHONE_NUMBER:**67>");
	Masks("+442071838750", "<PHONE_NUMBER:**50>");
	Masks("call (415) 555-0132 x12", "call <PHONE_NUMBER:**32>");
	Masks("\u0442\u0435\u043b. 25-36-87", "\u0442\u0435\u043b. <PHONE_NUMBER:**87>");
	Masks("555 1234 office", "<PHONE_NUMBER:**34> office");
	Stays("the phone costs 1299");
	Stays("12 34 56 78");
}

static void
TestSecrets(void)
{
	Masks("sk-ant-api03-Zx9Yw8Vu7Ts6Rq5Po4Nm3Lk2",
		  "sk-ant-api03-****3Lk2");
	Masks("AKIAIOSFODNN7XZKQWER", "AKIA****QWER");
	Masks("password=hunter2", "password=<PASSWORD>");
	Masks("password: \"correct horse\"", "password: \"<PASSWORD>\"");
	Stays("password: please choose a new one");
	Stays("password = ${DB_PASSWORD}");
	Stays("max_tokens: 4096, total_tokens=123456789");
	Masks("api_key := 'a8f5f167f44f4964e6c998dee827110c'",
		  "api_key := '<SECRET>'");
	Masks("Authorization: Bearer a8f5f167f44f4964e6c998",
		  "Authorization: Bearer <AUTHORIZATION>");
	Masks("\u043f\u0430\u0440\u043e\u043b\u044c: Qwerty123",
		  "\u043f\u0430\u0440\u043e\u043b\u044c: <PASSWORD>");
	Masks("-----BEGIN RSA PRIVATE KEY-----\nMIIEow==\n"
		  "-----END RSA PRIVATE KEY-----\nnext",
		  "<PRIVATE_KEY>\nnext");
	Stays("-----BEGIN PUBLIC KEY-----\nMIIEow==\n-----END PUBLIC KEY-----");
	Masks("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
		  "<JWT>");
	Stays("ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	Masks("curl -u joe:s3cret http://x", "curl -u <PASSWORD> http://x");
}

/* What looks like an assignment and is none, beside one that is. */
static void
TestNoSecrets(void)
{
	Masks("properties:\n  password:\n    type: string\n  token: abcd1234\n",
		  "properties:\n  password:\n    type: string\n  token: <SECRET>\n");
	Masks("password:\n  hunter\n", "password:\n  <PASSWORD>\n");
	Stays("DB_PASSWORD: ${DB_PASSWORD:?not set}");
	Masks("DB_PASSWORD: ${DB_PASSWORD:?h4nter}", "DB_PASSWORD: ${DB_PASSWORD:<PASSWORD>}");
	Stays("model ft:open-mistral-7b:587a6b29:20240514:7e773925");
	Masks("mistral:587a6b29:20240514:7e773925", "mistral:<SECRET>");
	Stays("see test_vision/test_vision_base64_with_no_content.yaml");
	Masks("test_a8f5f167f44f4964e6c998dee827110c381", "test_****c381");
	Stays("data: {\"delta\":{\"type\":\"signature_delta\",\"signature\":\"EqQBCgIYAhIM1gbcDa9G\"}}");
	Masks("data: {\"type\":\"x\",\"signature\":\"EqQBCgIYAhIM1gbcDa9G\"}",
		  "data: {\"type\":\"x\",\"signature\":\"<SECRET>\"}");
}

static void
TestWords(void)
{
	Masks("Hello, my name is John Smith and I work.",
		  "Hello, my name is <PERSON> and I work.");
	Masks("\u041c\u0435\u043d\u044f \u0437\u043e\u0432\u0443\u0442 \u0418\u0432\u0430\u043d \u041f\u0435\u0442\u0440\u043e\u0432.",
		  "\u041c\u0435\u043d\u044f \u0437\u043e\u0432\u0443\u0442 <PERSON>.");
	Masks("\u041c\u0435\u043d\u0456\u04a3 \u0430\u0442\u044b\u043c \u0410\u0439\u0433\u04af\u043b", "\u041c\u0435\u043d\u0456\u04a3 \u0430\u0442\u044b\u043c <PERSON>");
	Masks("Dear Mr. Brown,", "Dear Mr. <PERSON>,");
	Stays("The function name is not set");
	Masks("born on 2/25/1998", "born on <DATE_OF_BIRTH>");
	Masks("12.1.90 birthday, 1.1.90 birthday",
		  "<DATE_OF_BIRTH> birthday, <DATE_OF_BIRTH> birthday");
	Masks("\u0434\u0430\u0442\u0430 \u0440\u043e\u0436\u0434\u0435\u043d\u0438\u044f 12.05.1990",
		  "\u0434\u0430\u0442\u0430 \u0440\u043e\u0436\u0434\u0435\u043d\u0438\u044f <DATE_OF_BIRTH>");
	Stays("due on 2/25/2026");
	Masks("passport A12803456", "passport <US_PASSPORT:**56>");
	Masks("\u043f\u0430\u0441\u043f\u043e\u0440\u0442 4509 123456",
		  "\u043f\u0430\u0441\u043f\u043e\u0440\u0442 <RU_PASSPORT:**56>");
	Masks("driver's license U62928788557186",
		  "driver's license <US_DRIVER_LICENSE:**86>");
}

#define XS_10 "xxxxxxxxx "
#define XS_100 XS_10 XS_10 XS_10 XS_10 XS_10 XS_10 XS_10 XS_10 XS_10 XS_10

/* What is found from afar hides nothing between, and cuts nothing longer. */
static void
TestFar(void)
{
	Masks("MAC a@b.kz 00aa11bb22cc", "MAC <EMAIL_ADDRESS:***@b.kz> 00aa11bb22cc");
	Masks("Mac: 219-09-9999 00aa11bb22cc", "Mac: <US_SSN:**99> 00aa11bb22cc");
	Masks("MAC address is 00aa11bb22cc", "MAC address is <MAC_ADDRESS>");
	Masks("On my Mac, IIN 840904639866", "On my Mac, IIN <KZ_IIN:**66>");
	Masks("FA-AD-AC-CC-20-53", "<MAC_ADDRESS>");
	Masks("the pwd for 8 701 680 57 28 is Zx9kQ2mLp81",
		  "the pwd for <PHONE_NUMBER:**28> is <PASSWORD>");
	Masks("pwd for IBAN KZ84977PQ0DSWQJ1QS65 is hunter2",
		  "pwd for IBAN KZ84****QS65 is <PASSWORD>");
	Masks("- name: CARD_PASSWORD\n  value: 4276 5616 5789 4626",
		  "- name: CARD_PASSWORD\n  value: <PASSWORD>");
	Masks("docker login -u a -p (212) 277-0874", "docker login -u a -p <PASSWORD>");
	Masks("IIN or card 6200 1234 5678 9012 345", "IIN or card 6200****2345");
	Masks("date of birth: 6 1990-05-06", "date of birth: 6 <DATE_OF_BIRTH>");
	Masks("password: `correct horse 9` ", "password: `<PASSWORD>` ");
	Masks("password = qwerty;", "password = <PASSWORD>;");
	Stays("password = userPassword;");
	Masks("\"mysql -pabc12345\". See \"Authorization: Bearer abcdef1234567890\"",
		  "\"mysql -p<PASSWORD>\". See \"Authorization: Bearer <AUTHORIZATION>\"");
	/* a value that begins where reading ends */
	{
		char text[	700];
		char		expect[700];

		snprintf(text, sizeof(text), "mysql %s -pabc12345678901234567890 x",
				 XS_100 XS_100 XS_100 "xxxxxxxxxx xxxxxxxxxx xxxxxxxxxx "
				 "xxxxxxxxxx xxxxxxxxxx xxxxxxxxxx xxxxxxxxxx xxxxxxxxxx");
		snprintf(expect, sizeof(expect), "mysql %s -p<PASSWORD> x",
				 XS_100 XS_100 XS_100 "xxxxxxxxxx xxxxxxxxxx xxxxxxxxxx "
				 "xxxxxxxxxx xxxxxxxxxx xxxxxxxxxx xxxxxxxxxx xxxxxxxxxx");
		Masks(text, expect);
	}
	/* cut off within the value, and behind a word at the end */
	Masks("{\"kty\":\"oct\",\"k\":\"GawgguFyGrWKav7AX4VKUgabcdefgh",
		  "{\"kty\":\"oct\",\"k\":\"<SECRET>");
	Stays("what is a PIN");
}

static void
TestDisguises(void)
{
	Masks("\uff14\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11", "4111****1111");
	Masks("\u0664\u0661\u0661\u0661 \u0661\u0661\u0661\u0661 \u0661\u0661\u0661\u0661 \u0661\u0661\u0661\u0661", "4111****1111");
	Masks("4111\u00a01111\u202f1111\u20111111", "4111****1111");
	Masks("4111\u00a01111\u202f1111\u20091111", "4111****1111");
	Masks("4111\u20111111\u20121111\u20131111", "4111****1111");
	Masks("4111\u200b1111\ufeff1111\u00ad1111!", "4111****1111!");
	Masks("\u200b830717350867\u200b.", "\u200b<KZ_IIN:**67>\u200b.");
	Masks("p\u0430ypal: x@b\u0430nk.kz", "p\u0430ypal: <EMAIL_ADDRESS:***@b\u0430nk.kz>");
}

/* Escapes, fillers and separators that are meant to hide a number. */
static void
TestEscapes(void)
{
	Masks("%34403123456781298", "4403****1298");
	Masks("4403%201234%205678%201298", "4403****1298");
	Masks("ivan.petrov%40bank.kz", "<EMAIL_ADDRESS>");
	Masks("ivan.petrov&#64;bank.kz, ivan&commat;bank.kz",
		  "<EMAIL_ADDRESS>, <EMAIL_ADDRESS>");
	Masks("\\u0034403123456781298", "4403****1298");
	Masks("\\x34403123456781298.", "4403****1298.");
	Stays("100% sure & \\path\\x, 50%20");
	Masks("4403_1234_5678_1298", "4403****1298");
	Masks("4403  1234  5678  1298", "4403****1298");
	Masks("4403\u034f1234\ufe0f56781298", "4403****1298");
	Masks("\u2463\u2463\u24ea\u2462123456781298", "4403****1298");
	Stays("4403, 1234, 5678, 1298");
	Masks("card 4403, 1234, 5678, 1298", "card 4403****1298");
	Masks("\u0418\u0418\u041d 8 3 0 7 1 7 3 5 0 8 6 7", "\u0418\u0418\u041d <KZ_IIN:**67>");
	Stays("830 717 350 867");
	Masks("\u041aZ86125KZT5004100100", "Z861****0100");
	Masks("0044 20 7946 0958", "<PHONE_NUMBER:**58>");
}

/* Secrets without '=' or ':', and what only speaks of secrets. */
static void
TestSpoken(void)
{
	Masks("my password is hunter2x", "my password is <PASSWORD>");
	Masks("\u043f\u0430\u0440\u043e\u043b\u044c qwerty12", "\u043f\u0430\u0440\u043e\u043b\u044c <PASSWORD>");
	Masks("tool --password hunter2 run", "tool --password <PASSWORD> run");
	Masks("**Password:** hunter2", "**Password:** <PASSWORD>");
	Masks("{\"name\": \"api_token\",\n  \"value\": \"x7Kq2mP9vL4n\"}",
		  "{\"name\": \"api_token\",\n  \"value\": \"<SECRET>\"}");
	Masks("api_token: |\n  x7Kq2mP9vL4n8R", "api_token: |\n  <SECRET>");
	Masks("CVV 123, PIN: 4821", "CVV <SECRET>, PIN: <SECRET>");
	Stays("my password is wrong");
	Stays("the password must be 12 characters");
	Stays("password SHA256 hashing");
	Stays("the key is the longest one");
	Stays("sk-your-api-key-here");
	Stays("max tokens 4096, token limit 8192");
}

static void
TestEdges(void)
{
	MaskResult	result;

	Ok(MaskText(&plain, "", 0, &result) == MASK_CLEAN, "no text");
	Ok(MaskText(&plain, "1", 1, &result) == MASK_CLEAN, "one byte");
	Ok(MaskText(&plain, "iin \xff\xf0\x80", 7, &result) == MASK_WITHHELD,
	   "what is not UTF-8 is withheld");
	Ok(MaskDocument(&plain, "{\"a\": \"\xed\xa0\x80\"}", 12, &result) ==
	   MASK_WITHHELD, "surrogates are not UTF-8");
	Ok(MaskText(&plain, "\xc0\xb1", 2, &result) == MASK_WITHHELD,
	   "digits in a longer form are not UTF-8");
	Ok(MaskText(&plain, "\xd0\x98 \xf0\x9f\x98\x80", 7, &result) == MASK_CLEAN,
	   "UTF-8 is read");
	Ok(MaskText(&plain, "iin\0 830717350867", 17, &result) == MASK_MASKED &&
	   result.len == 18, "a text that holds NUL");
	free(result.text);
	Ok(strcmp(MaskEntityName(MASK_CREDIT_CARD), "CREDIT_CARD") == 0,
	   "names of entities");
	Ok(MaskKeyIsSensitive("X-Api-Key", 9) &&
	   MaskKeyIsSensitive("db_password", 11) &&
	   !MaskKeyIsSensitive("max_tokens", 10) &&
	   !MaskKeyIsSensitive("content", 7), "names of keys");
}

static void
TestNormalize(void)
{
	static const struct
	{
		MaskEntity	entity;
		const char *value;
		const char *expect;
	}			cases[] =
	{
		{MASK_PHONE_NUMBER, "+7 (701) 123-45-67", "77011234567"},
		{MASK_PHONE_NUMBER, "8 701 1234567", "77011234567"},
		{MASK_CREDIT_CARD, "4403 1234\u00a05678 1298", "4403123456781298"},
		{MASK_EMAIL_ADDRESS, " Ivan@Bank.KZ ", "ivan@bank.kz"},
		{MASK_IBAN_CODE, "gb82 west 1234", "GB82WEST1234"},
		{MASK_PERSON, "\u0418\u0412\u0410\u041d  \u041f\u0435\u0442\u0440\u043e\u0432", "\u0438\u0432\u0430\u043d \u043f\u0435\u0442\u0440\u043e\u0432"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		char		out[64];
		size_t		n = MaskNormalize(cases[i].entity, cases[i].value,
									  strlen(cases[i].value), out);

		Ok(n == strlen(cases[i].expect) &&
		   memcmp(out, cases[i].expect, n) == 0, cases[i].value);
	}
}

/*
 * What the detectors' tables are filled for has to be there for the first
 * text of a process too: this stands before all other tests.
 */
static void
TestFirst(void)
{
	Masks("-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA04up8hoqzS1\n"
		  "-----END RSA PRIVATE KEY-----\nfirst of all", "<PRIVATE_KEY>\nfirst of all");
}

int
main(void)
{
	TestFirst();
	TestNumbers();
	TestAddresses();
	TestPhones();
	TestSecrets();
	TestNoSecrets();
	TestWords();
	TestFar();
	TestDisguises();
	TestEscapes();
	TestSpoken();
	TestEdges();
	TestNormalize();
	printf("1..%d\n", number);
	return failed != 0;
}
