/*
 * sealed.c
 *	  Values encrypted at rest, over OpenSSL's EVP.
 *
 * A context is made for each value and freed with it, which wipes the key
 * schedule: a key stays nowhere but where its owner keeps it.
 */
#include "core/sealed.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "core/rowenc.h"

static EVP_CIPHER *cipher = NULL;

/* A context for one value, or NULL; the algorithm is fetched once. */
static EVP_CIPHER_CTX *
CipherBegin(const AeadKey *key, int encrypt)
{
	EVP_CIPHER_CTX *ctx;

	if (cipher == NULL)
		cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	if (cipher == NULL)
		return NULL;
	ctx = EVP_CIPHER_CTX_new();
	if (ctx != NULL &&
		EVP_CipherInit_ex2(ctx, cipher, key->key, key->nonce, encrypt,
						   NULL) == 1)
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

/* Feeds what is authenticated only, then what is en- or decrypted. */
static bool
CipherFeed(EVP_CIPHER_CTX *ctx, const AeadBytes *extra,
		   const AeadBytes *text, uint8_t *out)
{
	int			len = 0;

	if (extra->len > 0 &&
		EVP_CipherUpdate(ctx, NULL, &len, extra->data, (int) extra->len) != 1)
		return false;
	if (text->len > 0 &&
		EVP_CipherUpdate(ctx, out, &len, text->data, (int) text->len) != 1)
		return false;
	return text->len == 0 || (size_t) len == text->len;
}

bool
AeadSeal(const AeadKey *key, const AeadBytes *extra, const AeadBytes *plain,
		 uint8_t *out)
{
	EVP_CIPHER_CTX *ctx;
	uint8_t		rest[AEAD_TAG_SIZE];
	int			len = 0;
	bool		done;

	if (plain->len > SEALED_MAX_TEXT || extra->len > SEALED_MAX_TEXT)
		return false;
	ctx = CipherBegin(key, 1);
	if (ctx == NULL)
		return false;
	done = CipherFeed(ctx, extra, plain, out) &&
		EVP_CipherFinal_ex(ctx, rest, &len) == 1 && len == 0 &&
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_SIZE,
							out + plain->len) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return done;
}

bool
AeadOpen(const AeadKey *key, const AeadBytes *extra, const AeadBytes *sealed,
		 uint8_t *out)
{
	EVP_CIPHER_CTX *ctx;
	AeadBytes text = {sealed->data, 0};
	uint8_t		rest[AEAD_TAG_SIZE];
	uint8_t		tag[AEAD_TAG_SIZE];
	int			len = 0;
	bool		done;

	if (sealed->len < AEAD_TAG_SIZE || extra->len > SEALED_MAX_TEXT ||
		sealed->len - AEAD_TAG_SIZE > SEALED_MAX_TEXT)
		return false;
	text.		len = sealed->len - AEAD_TAG_SIZE;

	memcpy(tag, (const uint8_t *) sealed->data + text.len, AEAD_TAG_SIZE);
	ctx = CipherBegin(key, 0);
	if (ctx == NULL)
		return false;
	done = CipherFeed(ctx, extra, &text, out) &&
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_SIZE, tag) == 1 &&
		EVP_CipherFinal_ex(ctx, rest, &len) == 1 && len == 0;
	EVP_CIPHER_CTX_free(ctx);
	if (!done)
		OPENSSL_cleanse(out, text.len);
	return done;
}

/* The bytes that stand for a place. */
static void
PlacePut(const SealedPlace *place, uint8_t *out)
{
	memcpy(out, place->ledger_id, 16);
	PutU16(PutU32(out + 16, place->segment), place->column);
	memcpy(out + 22, place->row_id, 16);
}

bool
SealedMake(const SealedKey *key, const SealedPlace *place,
		   const AeadBytes *plain, uint8_t *out)
{
	uint8_t		extra[SEALED_PLACE_SIZE];
	AeadBytes	extra_bytes = {extra, sizeof(extra)};
	AeadKey		aead = {key->key, out + 5};

	PlacePut(place, extra);
	out[0] = SEALED_VERSION;
	PutU32(out + 1, key->id);
	return StrongRandom(out + 5, AEAD_NONCE_SIZE) &&
		AeadSeal(&aead, &extra_bytes, plain, out + SEALED_HEADER_SIZE);
}

SealedStatus
SealedKeyId(const AeadBytes *value, uint32_t *key_id)
{
	const uint8_t *bytes = value->data;

	*key_id = 0;
	if (value->len > 0 && bytes[0] != SEALED_VERSION)
		return SEALED_UNKNOWN;
	if (value->len < SEALED_OVERHEAD)
		return SEALED_TRUNCATED;
	*key_id = GetU32(bytes + 1);
	return SEALED_OK;
}

SealedStatus
SealedOpen(const SealedKey *key, const SealedPlace *place,
		   const AeadBytes *value, uint8_t *out)
{
	const uint8_t *bytes = value->data;
	uint8_t		extra[SEALED_PLACE_SIZE];
	AeadBytes	extra_bytes = {extra, sizeof(extra)};
	AeadKey		aead;
	AeadBytes	sealed;
	uint32_t	key_id;
	SealedStatus status = SealedKeyId(value, &key_id);

	if (status != SEALED_OK)
		return status;
	if (key_id != key->id)
		return SEALED_FORGED;
	PlacePut(place, extra);
	aead.key = key->key;
	aead.nonce = bytes + 5;
	sealed.data = bytes + SEALED_HEADER_SIZE;
	sealed.len = value->len - SEALED_HEADER_SIZE;
	return AeadOpen(&aead, &extra_bytes, &sealed, out) ? SEALED_OK : SEALED_FORGED;
}
