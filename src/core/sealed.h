/*
 * sealed.h
 *	  Values encrypted at rest: AES-256-GCM, and the format in which a value
 *	  is stored.
 *
 *		0x01 || key id u32 || nonce 12 || ciphertext || tag 16
 *
 * Integers are big-endian.  What authenticates the value beyond its bytes is
 * where it stands: ledger id 16 || segment u32 || column number u16 || row
 * id 16.  A value that was moved to another row or column does not open.
 */
#ifndef LLM_AUDIT_CORE_SEALED_H
#define LLM_AUDIT_CORE_SEALED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AEAD_KEY_SIZE 32
#define AEAD_NONCE_SIZE 12
#define AEAD_TAG_SIZE 16

#define SEALED_VERSION 1
#define SEALED_HEADER_SIZE (1 + 4 + AEAD_NONCE_SIZE)
#define SEALED_OVERHEAD (SEALED_HEADER_SIZE + AEAD_TAG_SIZE)
#define SEALED_PLACE_SIZE 38
#define SEALED_MAX_TEXT 0x3fffff00

/* Bytes, and how many. */
typedef struct AeadBytes
{
	const void *data;
	size_t		len;
} AeadBytes;

/* A key and the number under which a value may be used with it. */
typedef struct AeadKey
{
	const uint8_t *key;			/* AEAD_KEY_SIZE bytes */
	const uint8_t *nonce;		/* AEAD_NONCE_SIZE bytes */
} AeadKey;

/*
 * AeadSeal: the ciphertext of plain and its tag into out, which has room for
 * plain.len + AEAD_TAG_SIZE bytes.  extra is authenticated only.  False if
 * OpenSSL failed or plain is longer than SEALED_MAX_TEXT.
 */
extern bool AeadSeal(const AeadKey *key, const AeadBytes *extra,
					 const AeadBytes *plain, uint8_t *out);

/*
 * AeadOpen: the plain text of sealed (ciphertext and tag) into out, which
 * has room for sealed.len - AEAD_TAG_SIZE bytes.  False, and out is all
 * zero, if anything of it is not what was sealed.
 */
extern bool AeadOpen(const AeadKey *key, const AeadBytes *extra,
					 const AeadBytes *sealed, uint8_t *out);

/* Where a value stands. */
typedef struct SealedPlace
{
	uint8_t		ledger_id[16];
	uint32_t	segment;
	uint16_t	column;			/* its number in the ledger's registry */
	uint8_t		row_id[16];
} SealedPlace;

/* A data key and its id. */
typedef struct SealedKey
{
	uint32_t	id;
	const uint8_t *key;			/* AEAD_KEY_SIZE bytes */
} SealedKey;

typedef enum SealedStatus
{
	SEALED_OK = 0,
	SEALED_TRUNCATED,			/* shorter than an empty value */
	SEALED_UNKNOWN,				/* of a version that is not ours */
	SEALED_FORGED				/* not what was encrypted for this place */
} SealedStatus;

/*
 * SealedMake: encrypts plain for its place into out, which has room for
 * plain.len + SEALED_OVERHEAD bytes.  False if OpenSSL failed.
 */
extern bool SealedMake(const SealedKey *key, const SealedPlace *place,
					   const AeadBytes *plain, uint8_t *out);

/* SealedKeyId: under which key a stored value is. */
extern SealedStatus SealedKeyId(const AeadBytes *value, uint32_t *key_id);

/*
 * SealedOpen: decrypts a stored value into out, which has room for value.len
 * - SEALED_OVERHEAD bytes.  On failure nothing is left in out.
 */
extern SealedStatus SealedOpen(const SealedKey *key,
							   const SealedPlace *place,
							   const AeadBytes *value, uint8_t *out);

#endif
