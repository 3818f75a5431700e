/*
 * fuzz_sealed.c
 *	  Any bytes as a stored value and as a data key's file: they never open,
 *	  and a file that is read writes back as it was.
 */
/* links: src/core/sealed.c src/core/datakey.c src/core/sha256.c */
#include "core/datakey.h"

#include <stdlib.h>
#include <string.h>

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t secret[AEAD_KEY_SIZE] = {1, 2, 3};

/* As a value: it was not made with the key, so it must not open. */
static void
TryValue(const uint8_t *data, size_t size)
{
	SealedPlace place = {{0}, 1, 1, {0}};
	AeadBytes	value = {data, size};
	SealedKey	key = {0, secret};
	uint8_t    *out = malloc(size + 1);

	if (SealedKeyId(&value, &key.id) != SEALED_OK && size >= SEALED_OVERHEAD &&
		data[0] == SEALED_VERSION)
		abort();
	if (SealedOpen(&key, &place, &value, out) == SEALED_OK)
		abort();
	free(out);
}

/* As a file: what is understood of it must stand in it. */
static void
TryFile(const uint8_t *data, size_t size)
{
	DataKeyFile file;
	uint8_t		bytes[DATAKEY_FILE_MAX];
	uint8_t		key[AEAD_KEY_SIZE];
	size_t		len;

	if (!DataKeyGet(data, size, &file))
		return;
	len = DataKeyPut(&file, bytes);
	if (len > size || memcmp(bytes, data, len) != 0)
		abort();
	if (DataKeyUnwrap(&file, secret, key))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	TryValue(data, size);
	TryFile(data, size);
	return 0;
}
