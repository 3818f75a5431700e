/*
 * hmac.c
 *	  HMAC-SHA-256 (RFC 2104), of two digests over OpenSSL.
 *
 * OpenSSL's own HMAC keeps the key, and the digests that begin with it, in
 * ordinary memory for as long as its context lives, and making a context for
 * each message costs more than the message.  A digest's context holds nothing
 * of the key once the digest is finished, so it can be kept.  Not for use in
 * threads.
 */
#include "core/hmac.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#define BLOCK_SIZE 64

static EVP_MD_CTX *digest_ctx = NULL;

/* Begins a digest with a block; the first time the algorithm is fetched. */
static bool
BeginWith(const uint8_t *block)
{
	if (digest_ctx == NULL)
	{
		EVP_MD	   *md = EVP_MD_fetch(NULL, "SHA256", NULL);

		digest_ctx = EVP_MD_CTX_new();
		if (md == NULL || digest_ctx == NULL ||
			EVP_DigestInit_ex2(digest_ctx, md, NULL) != 1)
		{
			EVP_MD_CTX_free(digest_ctx);
			digest_ctx = NULL;
		}
		EVP_MD_free(md);
		if (digest_ctx == NULL)
			return false;
	}
	else if (EVP_DigestInit_ex2(digest_ctx, NULL, NULL) != 1)
		return false;
	return EVP_DigestUpdate(digest_ctx, block, BLOCK_SIZE) == 1;
}

/* The key as a block; one that is longer is hashed first. */
static bool
KeyBlock(const HmacPiece *key, uint8_t *block)
{
	memset(block, 0, BLOCK_SIZE);
	if (key->len > BLOCK_SIZE)
		return Sha256Digest(key->data, key->len, block);
	memcpy(block, key->data, key->len);
	return true;
}

static void
XorBlock(uint8_t *block, uint8_t with)
{
	for (int i = 0; i < BLOCK_SIZE; i++)
		block[i] ^= with;
}

bool
HmacSha256(const HmacPiece *key, const HmacPiece *pieces, int count,
		   uint8_t *out)
{
	uint8_t		block[BLOCK_SIZE];
	bool		fine = KeyBlock(key, block);

	XorBlock(block, 0x36);
	fine = fine && BeginWith(block);
	for (int i = 0; i < count; i++)
		fine = fine && EVP_DigestUpdate(digest_ctx, pieces[i].data,
										pieces[i].len) == 1;
	fine = fine && EVP_DigestFinal_ex(digest_ctx, out, NULL) == 1;
	XorBlock(block, 0x36 ^ 0x5c);
	fine = fine && BeginWith(block) &&
		EVP_DigestUpdate(digest_ctx, out, SHA256_SIZE) == 1 &&
		EVP_DigestFinal_ex(digest_ctx, out, NULL) == 1;
	OPENSSL_cleanse(block, sizeof(block));
	return fine;
}
