/*
 * test_keyed.c
 *	  HMAC-SHA-256 against RFC 4231, base64 against RFC 4648.
 */
/* links: src/core/hmac.c src/core/sha256.c src/core/base64.c */
#include "core/base64.h"
#include "core/hmac.h"

#include <stdio.h>
#include <string.h>

static int	tests = 0;
static int	failed = 0;

static void
Ok(bool good, const char *name)
{
	tests++;
	failed += !good;
	printf("%s %d - %s\n", good ? "ok" : "not ok", tests, name);
}

/* True if the HMAC of two pieces is the hexadecimal digits expected. */
static bool
HmacIs(const HmacPiece *key, const char *first, const char *second,
	   const char *expected)
{
	HmacPiece	pieces[] = {{first, strlen(first)}, {second, strlen(second)}};
	uint8_t		out[SHA256_SIZE];
	char		hex[2 * SHA256_SIZE + 1];

	if (!HmacSha256(key, pieces, 2, out))
		return false;
	for (int i = 0; i < SHA256_SIZE; i++)
		snprintf(hex + 2 * i, 3, "%02x", out[i]);
	return strcmp(hex, expected) == 0;
}

static void
TestHmac(void)
{
	char		bytes[131];
	HmacPiece	key = {bytes, 20};

	memset(bytes, 0x0b, sizeof(bytes));
	Ok(HmacIs(&key, "Hi ", "There",
			  "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
	   "RFC 4231 case 1, in two pieces");
	key.data = "Jefe";
	key.len = 4;
	Ok(HmacIs(&key, "what do ya want ", "for nothing?",
			  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
	   "case 2, with the context used again");
	memset(bytes, 0xaa, sizeof(bytes));
	key.data = bytes;
	key.len = sizeof(bytes);
	Ok(HmacIs(&key, "Test Using Larger Than Block-Size Key - Hash Key First", "",
			  "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
	   "case 6, a key longer than a block");
}

/* True if text decodes to the bytes of expected, NULL: to none at all. */
static bool
DecodesTo(const char *coded, const char *expected)
{
	uint8_t		out[8];
	size_t		len;

	if (!Base64Decode(coded, strlen(coded), out, sizeof(out), &len))
		return expected == NULL;
	return expected != NULL && len == strlen(expected) &&
		memcmp(out, expected, len) == 0;
}

static void
TestBase64(void)
{
	static const char *const plain[] = {
		"", "f", "fo", "foo", "foob", "fooba", "foobar"
	};
	static const char *const padded[] = {
		"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"
	};
	static const char *const wrong[] = {
		"Z", "Zg=", "Zg===", "Zh==", "Zm9*", "Zm9vYmFyZm9v", "Zm=v"
	};
	char		out[16];

	for (int i = 0; i < 7; i++)
	{
		size_t		len = strlen(plain[i]);

		Ok(DecodesTo(padded[i], plain[i]), "RFC 4648 vector, decoded");
		memset(out, 0, sizeof(out));
		Base64UrlEncode((const uint8_t *) plain[i], len, out);
		Ok(strlen(out) == BASE64_LENGTH(len) &&
		   strncmp(out, padded[i], strlen(out)) == 0 &&
		   DecodesTo(out, plain[i]), "encoded without padding, and back");
		Ok(DecodesTo(wrong[i], NULL), "not base64, or too long");
	}
	memset(out, 0, sizeof(out));
	Base64UrlEncode((const uint8_t *) "\xfb\xff", 2, out);
	Ok(strcmp(out, "-_8") == 0, "the URL-safe alphabet");
}

int
main(void)
{
	TestHmac();
	TestBase64();
	printf("1..%d\n", tests);
	return failed != 0;
}
