/*
 * store.h
 *	  Inside of the policy room: key material from an OpenSSL store.
 */
#ifndef LLM_AUDIT_POLICY_STORE_H
#define LLM_AUDIT_POLICY_STORE_H

#include <openssl/evp.h>

#include "core/sha256.h"

/* A URI such as "file:/etc/audit.pem" or "pkcs11:object=audit". */
extern bool StoreIsUri(const char *text);

/*
 * StoreReadKey: a symmetric key that follows from the private key at a URI,
 * always the same for the same key.  Returns NULL, or a static text saying
 * why there is none.
 */
extern const char *StoreReadKey(const char *uri, uint8_t key[SHA256_SIZE]);

/*
 * StoreEngineKey: the private key at a "pkcs11:" URI by way of OpenSSL's
 * engine of that name, or NULL; the caller frees it.
 */
extern EVP_PKEY *StoreEngineKey(const char *uri);

#endif
