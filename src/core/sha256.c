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

/*
 * Begins a digest; false if OpenSSL cannot give SHA-256.  A context that has
 * its algorithm is only reset, which is cheaper than setting it again.
 */
static bool
DigestBegin(void)
{
	if (digest_ctx != NULL)
		return EVP_DigestInit_ex2(digest_ctx, NULL, NULL) == 1;

	if (digest_md == NULL)
		digest_md = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (digest_md == NULL)
		return false;
	digest_ctx = EVP_MD_CTX_new();
	if (digest_ctx != NULL &&
		EVP_DigestInit_ex2(digest_ctx, digest_md, NULL) == 1)
		return true;
	EVP_MD_CTX_free(digest_ctx);
	digest_ctx = NULL;
	return false;
}

bool
Sha256Digest(const void *data, size_t len, uint8_t *out)
{
	return DigestBegin() &&
		EVP_DigestUpdate(digest_ctx, data, len) == 1 &&
		EVP_DigestFinal_ex(digest_ctx, out, NULL) == 1;
}

bool
Sha256Digest2(const void *first, size_t first_len,
			  const void *second, size_t second_len, uint8_t *out)
{
	return DigestBegin() &&
		EVP_DigestUpdate(digest_ctx, first, first_len) == 1 &&
		EVP_DigestUpdate(digest_ctx, second, second_len) == 1 &&
		EVP_DigestFinal_ex(digest_ctx, out, NULL) == 1;
}

bool
StrongRandom(void *out, size_t len)
{
	return RAND_bytes(out, (int) len) == 1;
}
