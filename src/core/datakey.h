/*
 * datakey.h
 *	  The file that holds a data key, wrapped.
 *
 *		0	"LAK1"
 *		4	state u8: 1 live, 2 destroyed
 *		5	wrapped how, u8: 1 as below; 0 if it is destroyed
 *		6	ledger id 16
 *		22	segment u32
 *		26	key id u32
 *		30	created u64, seconds since 1970
 *		38	id of the wrapping key 16, filled up with zero bytes
 *		54	values that it may have encrypted so far u64
 *		62	length of what follows u16
 *		64	live: nonce 12, data key 32, tag 16, AES-256-GCM under the
 *				wrapping key
 *			destroyed: when u64
 *
 * Bytes 0 to 53 authenticate the data key.  The count is outside, because it
 * is written over in place.  Bytes after the end are passed over.
 */
#ifndef LLM_AUDIT_CORE_DATAKEY_H
#define LLM_AUDIT_CORE_DATAKEY_H

#include "core/sealed.h"

#define DATAKEY_FIXED_SIZE 64
#define DATAKEY_COUNT_OFFSET 54
#define DATAKEY_SEALED_SIZE (AEAD_NONCE_SIZE + AEAD_KEY_SIZE + AEAD_TAG_SIZE)
#define DATAKEY_FILE_MAX (DATAKEY_FIXED_SIZE + DATAKEY_SEALED_SIZE)
#define DATAKEY_WRAPPER_SIZE 16

/* Random nonces collide after more values than that (NIST SP 800-38D). */
#define DATAKEY_VALUES_MAX UINT64_C(0x100000000)

typedef enum DataKeyState
{
	DATAKEY_LIVE = 1,
	DATAKEY_DESTROYED = 2
} DataKeyState;

typedef struct DataKeyFile
{
	DataKeyState state;
	uint8_t		ledger_id[16];
	uint32_t	segment;
	uint32_t	key_id;
	uint64_t	created;
	char		wrapper[DATAKEY_WRAPPER_SIZE + 1];	/* with a NUL */
	uint64_t	count;
	uint64_t	destroyed;		/* when; 0 if it is live */
	uint8_t		wrapped[DATAKEY_SEALED_SIZE];
} DataKeyFile;

/* Writes the file's bytes, at most DATAKEY_FILE_MAX; returns how many. */
extern size_t DataKeyPut(const DataKeyFile *file, uint8_t *out);

/* Reads a file's bytes.  False if they are not those of a data key. */
extern bool DataKeyGet(const uint8_t *data, size_t len, DataKeyFile *file);

/*
 * DataKeyWrap: wraps a data key under a wrapping key, both AEAD_KEY_SIZE
 * bytes.  All but wrapped must be set before, since it is authenticated.
 * False if OpenSSL failed.
 */
extern bool DataKeyWrap(DataKeyFile *file, const uint8_t *wrapping,
						const uint8_t *key);

/* The data key; false if that is not the key, or the file was altered. */
extern bool DataKeyUnwrap(const DataKeyFile *file, const uint8_t *wrapping,
						  uint8_t *key);

#endif
