/*
 * test_sealed.c
 *	  Values encrypted at rest and the files of data keys: published vectors,
 *	  the bytes of the formats, and that nothing altered or moved opens.
 */
/* links: src/core/sealed.c src/core/datakey.c src/core/sha256.c */
#include "core/datakey.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
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

/* True if the bytes are those of the hexadecimal digits. */
static bool
IsHex(const uint8_t *data, size_t len, const char *hex)
{
	for (size_t i = 0; i < len; i++)
	{
		unsigned int byte;

		if (sscanf(hex + 2 * i, "%2x", &byte) != 1 || byte != data[i])
			return false;
	}
	return strlen(hex) == 2 * len;
}

/* Cases 13, 14 and 16 of the GCM specification, key of 256 bits. */
static void
TestVectors(void)
{
	static const uint8_t zero[32] = {0};
	static const char key16[] =
	"\xfe\xff\xe9\x92\x86\x65\x73\x1c\x6d\x6a\x8f\x94\x67\x30\x83\x08"
	"\xfe\xff\xe9\x92\x86\x65\x73\x1c\x6d\x6a\x8f\x94\x67\x30\x83\x08";
	static const char nonce16[] =
	"\xca\xfe\xba\xbe\xfa\xce\xdb\xad\xde\xca\xf8\x88";
	static const char extra16[] =
	"\xfe\xed\xfa\xce\xde\xad\xbe\xef\xfe\xed\xfa\xce\xde\xad\xbe\xef"
	"\xab\xad\xda\xd2";
	static const char plain16[] =
	"\xd9\x31\x32\x25\xf8\x84\x06\xe5\xa5\x59\x09\xc5\xaf\xf5\x26\x9a"
	"\x86\xa7\xa9\x53\x15\x34\xf7\xda\x2e\x4c\x30\x3d\x8a\x31\x8a\x72"
	"\x1c\x3c\x0c\x95\x95\x68\x09\x53\x2f\xcf\x0e\x24\x49\xa6\xb5\x25"
	"\xb1\x6a\xed\xf5\xaa\x0d\xe6\x57\xba\x63\x7b\x39";
	AeadKey		key = {zero, zero};
	AeadBytes	none = {zero, 0};
	AeadBytes	plain = {zero, 0};
	AeadBytes	extra = {extra16, 20};
	uint8_t		out[128];

	Ok(AeadSeal(&key, &none, &plain, out) &&
	   IsHex(out, 16, "530f8afbc74536b9a963b4f1c4cb738b"),
	   "AES-256-GCM, nothing to encrypt");
	plain.len = 16;
	Ok(AeadSeal(&key, &none, &plain, out) &&
	   IsHex(out, 32, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"),
	   "AES-256-GCM, one block");
	key.key = (const uint8_t *) key16;
	key.nonce = (const uint8_t *) nonce16;
	plain.data = plain16;
	plain.len = 60;
	Ok(AeadSeal(&key, &extra, &plain, out) &&
	   IsHex(out, 76, "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
			 "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
			 "76fc6ece0f4e1768cddf8853bb2d551b"),
	   "AES-256-GCM, with bytes that are authenticated only");
}

static const SealedPlace place = {
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, 7, 300,
	{255, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 254}
};

/* True if the value opens there with the key, to the text. */
static bool
Opens(const SealedKey *key, const SealedPlace *where, const AeadBytes *value,
	  const char *text)
{
	size_t		room = value->len > SEALED_OVERHEAD ? value->len - SEALED_OVERHEAD : 0;
	uint8_t    *out = calloc(1, room + 1);
	bool		result = SealedOpen(key, where, value, out) == SEALED_OK &&
	room == strlen(text) && memcmp(out, text, room) == 0;

	if (!result)
	{
		for (size_t i = 0; i < room; i++)
			Ok(out[i] == 0, "nothing is left of what does not open");
	}
	free(out);
	return result;
}

/* The format, checked with OpenSSL alone, as somebody without us would. */
static void
TestFormat(const SealedKey *key, const uint8_t *value)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t		extra[38] = {
		0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
		0, 0, 0, 7, 1, 44,
		255, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 254
	};
	uint8_t		out[16];
	uint8_t		tag[16];
	int			len;

	memcpy(tag, value + 17 + 5, 16);
	Ok(value[0] == 1 && IsHex(value + 1, 4, "89abcdef"), "version and key id");
	Ok(EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->key, value + 5) == 1 &&
	   EVP_DecryptUpdate(ctx, NULL, &len, extra, 38) == 1 &&
	   EVP_DecryptUpdate(ctx, out, &len, value + 17, 5) == 1 && len == 5 &&
	   EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, 16, tag) == 1 &&
	   EVP_DecryptFinal_ex(ctx, out + 5, &len) == 1 &&
	   memcmp(out, "plain", 5) == 0, "the documented format, by hand");
	EVP_CIPHER_CTX_free(ctx);
}

/* Nothing that was altered opens. */
static void
TestAltered(const SealedKey *key, uint8_t *value, size_t len)
{
	AeadBytes	bytes = {value, len};
	SealedPlace other;
	uint8_t		wrong[AEAD_KEY_SIZE] = {0};
	SealedKey	wrong_key = {key->id, wrong};
	int			opened = 0;

	for (size_t i = 0; i < 8 * len; i++)
	{
		value[i / 8] ^= 1 << i % 8;
		opened += SealedOpen(key, &place, &bytes, wrong) == SEALED_OK;
		value[i / 8] ^= 1 << i % 8;
	}
	Ok(opened == 0, "no bit can be flipped");
	for (bytes.len = 0; bytes.len < len; bytes.len++)
		opened += SealedOpen(key, &place, &bytes, wrong) == SEALED_OK;
	Ok(opened == 0, "nothing can be cut off");
	memset(wrong, 0, sizeof(wrong));
	Ok(!Opens(&wrong_key, &place, &bytes, "plain"), "another key does not open it");
	other = place;
	other.ledger_id[3] ^= 1;
	Ok(!Opens(key, &other, &bytes, "plain"), "nor in another ledger");
	other = place;
	other.segment++;
	Ok(!Opens(key, &other, &bytes, "plain"), "nor in another segment");
	other = place;
	other.column++;
	Ok(!Opens(key, &other, &bytes, "plain"), "nor in another column");
	other = place;
	other.row_id[15] ^= 1;
	Ok(!Opens(key, &other, &bytes, "plain"), "nor in another row");
}

static void
TestSealed(void)
{
	uint8_t		secret[AEAD_KEY_SIZE];
	SealedKey	key = {0x89abcdef, secret};
	AeadBytes	plain = {"plain", 5};
	AeadBytes	value;
	uint8_t		first[64];
	uint8_t		second[64];
	uint32_t	key_id;

	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t) i;
	Ok(SealedMake(&key, &place, &plain, first) &&
	   SealedMake(&key, &place, &plain, second), "encrypts");
	Ok(memcmp(first + 5, second + 5, 12) != 0, "each value has a nonce of its own");
	value.data = first;
	value.len = 5 + SEALED_OVERHEAD;
	Ok(Opens(&key, &place, &value, "plain"), "and decrypts");
	TestFormat(&key, first);
	TestAltered(&key, first, value.len);

	value.len = SEALED_OVERHEAD - 1;
	Ok(SealedKeyId(&value, &key_id) == SEALED_TRUNCATED, "too short is told");
	value.len = 0;
	Ok(SealedKeyId(&value, &key_id) == SEALED_TRUNCATED, "and nothing at all");
	first[0] = 2;
	value.len = 5 + SEALED_OVERHEAD;
	Ok(SealedKeyId(&value, &key_id) == SEALED_UNKNOWN, "another version is told");
	plain.len = 0;
	value.len = SEALED_OVERHEAD;
	Ok(SealedMake(&key, &place, &plain, first) && Opens(&key, &place, &value, ""),
	   "an empty value is one");
}

/* A file of a live key, wrapped under 32 bytes of 9. */
static DataKeyFile
MakeFile(const uint8_t *secret, const uint8_t *key)
{
	DataKeyFile file = {0};

	file.state = DATAKEY_LIVE;
	memcpy(file.ledger_id, place.ledger_id, 16);
	file.segment = 7;
	file.key_id = 0x89abcdef;
	file.created = 1700000000;
	file.count = 256;
	strcpy(file.wrapper, "k1");
	Ok(DataKeyWrap(&file, secret, key), "wraps a data key");
	return file;
}

static void
TestDataKey(void)
{
	uint8_t		secret[AEAD_KEY_SIZE];
	uint8_t		key[AEAD_KEY_SIZE];
	uint8_t		found[AEAD_KEY_SIZE];
	uint8_t		bytes[DATAKEY_FILE_MAX];
	DataKeyFile file;
	DataKeyFile read;
	size_t		len;
	int			opened = 0;

	memset(secret, 9, sizeof(secret));
	memset(key, 5, sizeof(key));
	file = MakeFile(secret, key);
	len = DataKeyPut(&file, bytes);
	Ok(len == 124 && memcmp(bytes, "LAK1\1\1", 6) == 0 &&
	   IsHex(bytes + 22, 8, "0000000789abcdef"), "the file begins as documented");
	Ok(DataKeyGet(bytes, len, &read) && DataKeyUnwrap(&read, secret, found) &&
	   memcmp(found, key, sizeof(key)) == 0 && read.count == 256 &&
	   strcmp(read.wrapper, "k1") == 0 && read.created == 1700000000,
	   "and is read again");
	for (size_t i = 0; i < 8 * len; i++)
	{
		if (i / 8 >= DATAKEY_COUNT_OFFSET && i / 8 < DATAKEY_COUNT_OFFSET + 8)
			continue;
		bytes[i / 8] ^= 1 << i % 8;
		opened += DataKeyGet(bytes, len, &read) && DataKeyUnwrap(&read, secret, found);
		bytes[i / 8] ^= 1 << i % 8;
	}
	Ok(opened == 0, "no bit but the count's can be flipped");
	for (size_t i = 0; i < len; i++)
		opened += DataKeyGet(bytes, i, &read);
	Ok(opened == 0, "nothing can be cut off");
	secret[0]++;
	Ok(DataKeyGet(bytes, len, &read) && !DataKeyUnwrap(&read, secret, found),
	   "another wrapping key does not open it");

	file.state = DATAKEY_DESTROYED;
	file.destroyed = 1800000000;
	len = DataKeyPut(&file, bytes);
	memset(bytes + len, 0, sizeof(bytes) - len);
	Ok(DataKeyGet(bytes, 124, &read) && read.state == DATAKEY_DESTROYED &&
	   read.destroyed == 1800000000 && !DataKeyUnwrap(&read, secret, found),
	   "a destroyed one says when, and holds no key");
}

int
main(void)
{
	TestVectors();
	TestSealed();
	TestDataKey();
	printf("1..%d\n", tests);
	return failed > 0;
}
