/*
 * hmac.c
 *	  HMAC-SHA-256 (RFC 2104) over OpenSSL.
 *
 * The algorithm is fetched once per process; not for use in threads.
 */
#include "core/hmac.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

static EVP_MAC_CTX *mac_ctx = NULL;

/*
 * Fetches the algorithm and makes a context, the first time.  The context
 * keeps its hash: naming it again for each MAC would fetch it again.
 */
static bool
MacReady(void)
{
	char		digest[] = "SHA256";
	OSSL_PARAM	params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end()
	};
	EVP_MAC    *mac;

	if (mac_ctx != NULL)
		return true;
	mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	if (mac == NULL)
		return false;
	mac_ctx = EVP_MAC_CTX_new(mac);
	EVP_MAC_free(mac);
	if (mac_ctx == NULL)
		return false;
	if (EVP_MAC_CTX_set_params(mac_ctx, params) == 1)
		return true;
	EVP_MAC_CTX_free(mac_ctx);
	mac_ctx = NULL;
	return false;
}

bool
HmacSha256(const HmacPiece *key, const HmacPiece *pieces, int count,
		   uint8_t *out)
{
	size_t		len = 0;

	if (!MacReady() ||
		EVP_MAC_init(mac_ctx, key->data, key->len, NULL) != 1)
		return false;
	for (int i = 0; i < count; i++)
	{
		if (EVP_MAC_update(mac_ctx, pieces[i].data, pieces[i].len) != 1)
			return false;
	}
	return EVP_MAC_final(mac_ctx, out, &len, SHA256_SIZE) == 1 &&
		len == SHA256_SIZE;
}
