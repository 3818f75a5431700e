/*
 * test_mask_version.c
 *	  What the scanner finds and shows does not change under one
 *	  MASK_VERSION: a digest of what it makes of a fixed set of texts is
 *	  compared with the one noted for the version.
 */
/* links: src/mask/[c-k]*.c src/mask/[nrstvw][aceho-u]*.c src/core/sha256.c */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/sha256.h"
#include "mask/lexicon.h"
#include "mask/scan.h"
#include "mask/validate.h"

/*
 * What each version makes of the texts below.  A line is added with a
 * version, and never changed once a release has it.
 */
static const struct
{
	int			version;
	const char *digest;
}			versions[] =

{
	{1, "2d7cd32d02350d24e5547d46c099ebb0653954b363bd4a3dcdcc5f18edf4ed7a"},
	{2, "075d3060ade31ae4432de900356d99360a7859096403f1be319423b840a41549"},
	{3, "1364a39c092ed0679b591b4ce48d73397d04cdb056c86aa8a639baab9777ca88"},
	{4, "8fe4804bf90ef8514cc37987bdfdc30a219d2ffc1e7575610846e2f711710e51"},
};

#define VERSIONS ((int) (sizeof(versions) / sizeof(versions[0])))

static void *
Alloc(void *arg, size_t size)
{
	(void) arg;
	return malloc(size);
}

static void
Release(void *arg, void *chunk)
{
	(void) arg;
	free(chunk);
}

static uint64_t total[4];
static int	texts = 0;
static int	masked = 0;

/* Adds a digest to the total, which is the same in any order of texts. */
static void
Add(const uint8_t *digest)
{
	for (int i = 0; i < 4; i++)
	{
		uint64_t	part;

		memcpy(&part, digest + 8 * i, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
		part = __builtin_bswap64(part);
#endif
		total[i] += part;
	}
}

/* Puts what was found after n bytes of a report; their number then. */
static size_t
PutCounts(char *report, size_t room, const MaskResult *result)
{
	size_t		n = 0;

	for (int i = 0; i < MASK_ENTITY_COUNT; i++)
		if (result->counts[i] > 0)
			n += (size_t) snprintf(report + n, room - n, "|%s %u",
								   MaskEntityName((MaskEntity) i),
								   result->counts[i]);
	return n;
}

/* Adds what becomes of a text, as a document in a column of that name. */
static void
Take(const char *text, size_t len, const char *column)
{
	MaskOptions options = {.allocator = {Alloc, Release, NULL}};
	MaskResult	result;
	char		report[2000];
	size_t		n;
	uint8_t		digest[SHA256_SIZE];

	options.context = column;
	options.context_len = strlen(column);
	MaskDocument(&options, text, len, &result);
	n = (size_t) snprintf(report, sizeof(report), "%s|%d", column,
						  result.status);
	n += PutCounts(report + n, sizeof(report) - n, &result);
	if (!Sha256Digest2(report, n, text, len, digest))
		exit(2);
	Add(digest);
	texts++;
	if (result.status != MASK_MASKED)
		return;
	masked++;
	if (!Sha256Digest2(digest, sizeof(digest), result.text, result.len,
					   digest))
		exit(2);
	Add(digest);
	free(result.text);
}

/* What stands behind words: numbers, documents, dates, keys, names, prose. */
static const char *const values[] =
{
	"4403 1234 5678 1298", "123456789012", "871008401427", "8 (701) 123-45-67",
	"555 0132", "AB1234567", "12.05.1990", "12 May 1990", "123-45-6789",
	"KZ86125KZT5004100100", "hunter2!", "John Smith", "is 4711", "of the house",
	"0f1e2d3c4b5a69788796a5b4c3d2e1f0",
	"Zm9vYmFyQmF6MTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1u",
	"A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0U1v2W3x4Y5z6",
};

#define VALUES ((int) (sizeof(values) / sizeof(values[0])))

/* Every word of the dictionary with every value, joined in the usual ways. */
static void
TakeWords(void)
{
	static const char *const joins[] = {" ", ": ", "", "=\"", " 1 "};
	const char *word;
	size_t		len;
	bool		context;

	for (int n = 0; (word = WordsNth(n, &len, &context)) != NULL; n++)
		for (int v = 0; v < VALUES; v++)
			for (int j = 0; j < 5; j++)
			{
				char text[	400];
				int			size = snprintf(text, sizeof(text),
											"the %.*s%s%s, and so on",
											(int) len, word, joins[j],
											values[v]);

				if (!context || (len + (size_t) v + (size_t) j) % 4 == 0)
					Take(text, (size_t) size, "body");
			}
}

/* Texts by themselves, and pieces of longer ones. */
static const char *const pieces[] =
{
	"4111111111111111", "4403_1234_5678_1298", "4403 1234 5678 129", "5500.0000",
	"2200-1234-5678-9012", "378282246310005", "6011 0009 9013 9424",
	"870419301123", "990740002348", "7707083893", "500100732259",
	"112-233-445 95", "078-05-1120", "9 1 2 7 0 1 2 3 4", "912-70-1234",
	"+7 701 123 45 67", "87771234567", "(415) 555-0132", "+49 30 901820",
	"00 44 20 7946 0958", "09-7625400", "ivan.petrov@bank.kz", "a@b", "x@y.png",
	"192.168.10.20", "10.0.0.0/8", "fe80::1", "2001:db8::8a2e:370:7334", "12:30",
	"00:1a:2b:3c:4d:5e", "00-1A-2B-3C-4D-5E", "001A.2B3C.4D5E",
	"https://user:secret@host.kz/x", "https://4f3c2b1a0f9e8d7c6b5a@host",
	"1BoatSLRHtKNngkdXEeobR76b53LETtpyT",
	"bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
	"0x52908400098527886E0F7030069857D2E4169EE7", "GB82WEST12345698765432",
	"DE89 3704 0044 0532 0130 00", "12345678Z", "X1234567L", "S1234567D",
	"AB123456C", "ABCPE1234F", "RSSMRA85T10A562S", "my name is Anna Lee",
	"Mr. Smith", "full name: Van Gogh", "name: Anna Maria", "born 1990-01-31",
	"password=hunter2", "\"apiKey\": \"f3Kd82mXq01Zp\"", "password is qwerty12",
	"--token a1b2c3d4e5f6a1b2", "<secret>a1b2c3d4e5f6</secret>", "curl -u me:pass9",
	"Authorization: Bearer a1b2c3d4e5f6g7h8", "Basic dXNlcjpwYXNzd29yZDE=",
	"sk-ant-api03-a1b2c3d4e5f6g7h8i9j0k1l2", "ghp_a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6q7r8",
	"AKIAIOSFODNN7EXAMPLE", "xoxb-123456789012-abcdefGHIJKL", "AIzaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
	"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "SG.a.b", "YC",
	"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
	"123456789:AAa1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6q", "pin 4711", "cvv: 123",
	" ", " ", ", ", ". ", "\n", "-", "/", "(", ")", "+", "_", "|", ":", "=", "\"",
	"{", "}", "[1, 2]", "card ", "\xd0\xb8\xd0\xb8\xd0\xbd ", "phone ", "tel. ",
	"account ", "passport ", "the sum of ", "order no. ", "version 1.2.3.4",
	"%31%32", "&#52;", "\\u0034", "\xd9\xa1\xd9\xa2", "\xe2\x80\x8b", "\xc2\xa0",
	"\xef\xbc\x94\xef\xbc\x94", "4", "40", "440", "2024", "100 200 300 ", "1.1.1",
};

#define PIECES ((unsigned) (sizeof(pieces) / sizeof(pieces[0])))

static uint64_t state = 88172645463325252u;

/* xorshift: the same texts on every run. */
static unsigned
Random(unsigned below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned) (state % below);
}

/* Every piece alone, in prose, in JSON, and mixed with others. */
static void
TakePieces(void)
{
	static const char *const columns[] = {"body", "phone", "card_no", "iin"};

	for (unsigned i = 0; i < PIECES; i++)
	{
		char text[	400];
		int			len = snprintf(text, sizeof(text), "{\"v\": \"%s\"}",
								   pieces[i]);

		Take(text, (size_t) len, "body");
		Take(pieces[i], strlen(pieces[i]), columns[i % 4]);
	}
	for (int i = 0; i < 3000; i++)
	{
		char text[	4000];
		size_t		len = 0;

		for (unsigned n = 1 + Random(30); n > 0; n--)
			len += (size_t) snprintf(text +len, sizeof(text) - len, "%s",
									 pieces[Random(PIECES)]);
		Take(text, len, columns[i % 4]);
	}
}

/* Every prefix of keys, with as many characters as it may have, or one off. */
static void
TakePrefixes(void)
{
	static const char letters[] = "a7Kf3X9bQ2zM5dT8wE1c0R6hV4gY";

	for (int d = 0; d < DetectorCount; d++)
	{
		const MaskDetector *detector = &DetectorTable[d];
		int			lens[] = {detector->min_len - 1, detector->min_len,
		detector->max_len, detector->max_len + 1};

		if (detector->max_len == 0)
			continue;
		for (const char *word = detector->words; *word; word += *word == '|')
		{
			size_t		size = strcspn(word, "|");

			for (int i = 0; i < 4; i++)
			{
				char text[	20000];
				size_t		n = size;

				memcpy(text, word, size);
				while (n < size + (size_t) lens[i])
				{
					char		c = letters[(n * n / 3 + size) % 28];

					text[		n++] = detector->charset[0] == 'h' ?
					"0123456789abcdef"[c % 16] :
					detector->charset[0] == 'u' && c >= 'a' ?
					(char) (c - 32) : c;
				}
				Take(text, n, "body");
			}
			word += size;
		}
	}
}

/* Issuers of cards, countries of IBANs, and names of keys. */
static void
TakeTables(void)
{
	static const char names[] = "password|passwd|passphrase|passcode|passwort|"
	"motdepasse|contrasena|secret|token|apikey|accesskey|privatekey|authkey|"
	"signingkey|masterkey|sshkey|credential|creds|bearer|sessionkey|"
	"connectionstring|mnemonic|cookie|signature|hmackey|publickeytoken|"
	"sessionid|auth|sig|xauth|key|access|dbpwd|userpass|bypass|compass|"
	"tokencount|passwordhint|apikeyid|github|stripe|slacklimit|authorization|"
	"page_token|cost_per_image_token|user_api_key_team_id|thoughtSignature|"
	LEX_PASSWORD "|" LEX_SECRET;
	static char known[1000000];

	for (int len = 12; len <= 19; len++)
	{
		for (int prefix = 0; prefix < 1000000; prefix++)
		{
			char		digits[20];

			snprintf(digits, sizeof(digits), "%06d", prefix);
			known[prefix] = (char) CardPrefixKnown(digits, len);
		}
		Take(known, sizeof(known), "issuers");
	}
	for (int i = 0; i < 26 * 26; i++)
	{
		char		country[3] = {(char) ('A' + i / 26), (char) ('A' + i % 26), 0};

		known[i] = (char) IbanLength(country);
	}
	Take(known, 26 * 26, "countries");
	for (const char *name = names; *name; name += *name == '|')
	{
		size_t		len = strcspn(name, "|");
		char text[	200];
		int			n = snprintf(text, sizeof(text), "%.*s %d", (int) len, name,
								 KindOfKey((const unsigned char *) name, len));

		Take(text, (size_t) n, "keys");
		name += len;
	}
}

/* Where a text of all words is cut that may take so much work. */
static void
TakeWork(void)
{
	MaskOptions options = {.allocator = {Alloc, Release, NULL}};
	size_t		room = 400000;
	char	   *text = malloc(room);
	size_t		size = 0;
	const char *word;
	size_t		len;
	bool		context;
	MaskWork	work;

	for (int n = 0; (word = WordsNth(n, &len, &context)) != NULL; n++)
		size += (size_t) snprintf(text +size, room - size, "the %.*s: %s,%s @ %s. ",
								  (int) len, word, values[n % VALUES],
								  n % 3 == 0 ? "/" : " of ",
								  values[n * 7 % VALUES]);
	options.work = &work;
	for (int tenths = 1; tenths < 10; tenths++)
	{
		MaskHit    *hits;
		size_t		count;
		char		report[100];
		int			n;

		WorkAllow(&work, 100000000);
		n = snprintf(report, sizeof(report), "%llu ",
					 (unsigned long long) work.allowed);
		work.allowed = (uint64_t) size * tenths / 2;
		MaskFind(&options, text, size, &hits, &count);
		n += snprintf(report + n, sizeof(report) - (size_t) n, "%zu %d",
					  hits[count - 1].start, hits[count - 1].entity);
		Take(report, (size_t) n, "work");
		free(hits);
	}
	free(text);
}

int
main(void)
{
	char		hex[65];
	const char *noted = "";

	TakeWords();
	TakePieces();
	TakePrefixes();
	TakeTables();
	TakeWork();
	for (int i = 0; i < 4; i++)
		snprintf(hex + 16 * i, 17, "%016llx", (unsigned long long) total[i]);
	printf("# %d texts, %d of them masked\n", texts, masked);
	printf("%sok 1 - enough was found to tell versions apart\n",
		   masked > 10000 ? "" : "not ");
	printf("%sok 2 - MASK_VERSION is the last that is noted\n",
		   versions[VERSIONS - 1].version == MASK_VERSION ? "" : "not ");
	for (int i = 0; i < VERSIONS; i++)
		if (versions[i].version == MASK_VERSION)
			noted = versions[i].digest;
	printf("%sok 3 - the scanner does what version %d did\n",
		   strcmp(noted, hex) == 0 ? "" : "not ", MASK_VERSION);
	if (strcmp(noted, hex) != 0)
		printf("# What is found or shown has changed: raise MASK_VERSION in"
			   " src/mask/mask.h to %d,\n# and add {%d, \"%s\"} to %s.\n",
			   MASK_VERSION + 1, MASK_VERSION + 1, hex, __FILE__);
	printf("1..3\n");
	return strcmp(noted, hex) != 0 || masked <= 10000 ||
		versions[VERSIONS - 1].version != MASK_VERSION;
}
