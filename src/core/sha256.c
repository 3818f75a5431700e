/*
 * sha256.c
 *	  SHA-256 and random bytes, both OpenSSL's.
 *
 * Fetching an algorithm and allocating a context cost more than hashing one
 * row, so both are made once per process and kept.  The context is not
 * shared between threads or over a fork in mid-digest: every digest begins
 * with an Init.
 */
#include "core/sha256.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

static EVP_MD_CTX *digest_ctx = NULL;
static EVP_MD *digest_md = NULL;

/* Makes the context on first use; false if OpenSSL cannot give SHA-256. */
static bool
DigestReady(void)
{
	if (digest_md == NULL)
		digest_md = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (digest_ctx == NULL)
		digest_ctx = EVP_MD_CTX_new();
	return digest_md != NULL && digest_ctx != NULL;
}

bool
Sha256Digest(const void *data, size_t len, uint8_t *out)
{
	return DigestReady() &&
		EVP_DigestInit_ex2(digest_ctx, digest_md, NULL) == 1 &&
		EVP_DigestUpdate(digest_ctx, data, len) == 1 &&
		EVP_DigestFinal_ex(digest_ctx, out, NULL) == 1;
}

bool
Sha256Digest2(const void *first, size_t first_len,
			  const void *second, size_t second_len, uint8_t *out)
{
	return DigestReady() &&
		EVP_DigestInit_ex2(digest_ctx, digest_md, NULL) == 1 &&
		EVP_DigestUpdate(digest_ctx, first, first_len) == 1 &&
		EVP_DigestUpdate(digest_ctx, second, second_len) == 1 &&
		EVP_DigestFinal_ex(digest_ctx, out, NULL) == 1;
}

bool
StrongRandom(void *out, size_t len)
{
	return RAND_bytes(out, (int) len) == 1;
}
