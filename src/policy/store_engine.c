/*
 * store_engine.c
 *	  Private keys of a PKCS#11 token through OpenSSL's engine "pkcs11", as
 *	  libp11 has it.
 *
 * OpenSSL 3.0 reads "pkcs11:" URIs through its store only where a provider
 * for them is installed.  Debian 12 has none, but the engine, which OpenSSL
 * calls deprecated and still has.  Only the child process of store.c calls
 * this.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "policy/store.h"

#include <openssl/opensslconf.h>
#include <string.h>
#if !defined(OPENSSL_NO_ENGINE) && OPENSSL_VERSION_MAJOR < 4
#include <openssl/engine.h>
#include <openssl/ui.h>
#endif

EVP_PKEY *
StoreEngineKey(const char *uri)
{
	EVP_PKEY   *result = NULL;

#if !defined(OPENSSL_NO_ENGINE) && OPENSSL_VERSION_MAJOR < 4
	ENGINE	   *engine;

	if (strncmp(uri, "pkcs11:", strlen("pkcs11:")) != 0)
		return NULL;
	engine = ENGINE_by_id("pkcs11");
	if (engine == NULL)
		return NULL;
	if (ENGINE_init(engine))
	{
		result = ENGINE_load_private_key(engine, uri, (UI_METHOD *) UI_null(),
										 NULL);
		ENGINE_finish(engine);
	}
	ENGINE_free(engine);
#endif
	return result;
}
