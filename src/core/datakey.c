/*
 * datakey.c
 *	  Reading and writing the file that holds a data key, and wrapping it.
 */
#include "core/datakey.h"

#include <string.h>

#include "core/rowenc.h"

#define DATAKEY_MAGIC "LAK1"

/* Writes the part that is authenticated, 54 bytes. */
static void
HeaderPut(const DataKeyFile *file, uint8_t *out)
{
	uint8_t    *p = out;

	memcpy(p, DATAKEY_MAGIC, 4);
	p[4] = (uint8_t) file->state;
	p[5] = file->state == DATAKEY_LIVE;
	memcpy(p + 6, file->ledger_id, 16);
	p = PutU32(p + 22, file->segment);
	p = PutU32(p, file->key_id);
	p = PutU64(p, file->created);
	memset(p, 0, DATAKEY_WRAPPER_SIZE);
	memcpy(p, file->wrapper, strnlen(file->wrapper, DATAKEY_WRAPPER_SIZE));
}

size_t
DataKeyPut(const DataKeyFile *file, uint8_t *out)
{
	uint8_t    *p = out + DATAKEY_COUNT_OFFSET;

	HeaderPut(file, out);
	p = PutU64(p, file->count);
	if (file->state == DATAKEY_DESTROYED)
	{
		PutU64(PutU16(p, 8), file->destroyed);
		return DATAKEY_FIXED_SIZE + 8;
	}
	memcpy(PutU16(p, DATAKEY_SEALED_SIZE), file->wrapped, DATAKEY_SEALED_SIZE);
	return DATAKEY_FIXED_SIZE + DATAKEY_SEALED_SIZE;
}

/* The id of the wrapping key: printable, then zero bytes only. */
static bool
WrapperGet(const uint8_t *data, char *wrapper)
{
	size_t		len = strnlen((const char *) data, DATAKEY_WRAPPER_SIZE);

	memset(wrapper, 0, DATAKEY_WRAPPER_SIZE + 1);
	for (size_t i = 0; i < DATAKEY_WRAPPER_SIZE; i++)
	{
		if (i < len ? data[i] <= ' ' || data[i] > '~' : data[i] != 0)
			return false;
	}
	memcpy(wrapper, data, len);
	return true;
}

bool
DataKeyGet(const uint8_t *data, size_t len, DataKeyFile *file)
{
	size_t		rest;

	memset(file, 0, sizeof(*file));
	if (len < DATAKEY_FIXED_SIZE || memcmp(data, DATAKEY_MAGIC, 4) != 0)
		return false;
	file->state = data[4];
	memcpy(file->ledger_id, data + 6, 16);
	file->segment = GetU32(data + 22);
	file->key_id = GetU32(data + 26);
	file->created = GetU64(data + 30);
	file->count = GetU64(data + DATAKEY_COUNT_OFFSET);
	rest = GetU16(data + 62);
	if (!WrapperGet(data + 38, file->wrapper) || rest > len - DATAKEY_FIXED_SIZE)
		return false;
	if (file->state == DATAKEY_DESTROYED && data[5] == 0 && rest == 8)
	{
		file->destroyed = GetU64(data + DATAKEY_FIXED_SIZE);
		return true;
	}
	memcpy(file->wrapped, data + DATAKEY_FIXED_SIZE,
		   rest == DATAKEY_SEALED_SIZE ? rest : 0);
	return file->state == DATAKEY_LIVE && data[5] == 1 &&
		rest == DATAKEY_SEALED_SIZE && file->wrapper[0] != '\0';
}

bool
DataKeyWrap(DataKeyFile *file, const uint8_t *wrapping, const uint8_t *key)
{
	uint8_t		header[DATAKEY_COUNT_OFFSET];
	AeadBytes	extra = {header, sizeof(header)};
	AeadBytes	plain = {key, AEAD_KEY_SIZE};
	AeadKey		aead = {wrapping, file->wrapped};

	HeaderPut(file, header);
	return StrongRandom(file->wrapped, AEAD_NONCE_SIZE) &&
		AeadSeal(&aead, &extra, &plain, file->wrapped + AEAD_NONCE_SIZE);
}

bool
DataKeyUnwrap(const DataKeyFile *file, const uint8_t *wrapping, uint8_t *key)
{
	uint8_t		header[DATAKEY_COUNT_OFFSET];
	AeadBytes	extra = {header, sizeof(header)};
	AeadBytes	sealed = {
		file->wrapped + AEAD_NONCE_SIZE, AEAD_KEY_SIZE + AEAD_TAG_SIZE
	};
	AeadKey		aead = {wrapping, file->wrapped};

	if (file->state != DATAKEY_LIVE)
		return false;
	HeaderPut(file, header);
	return AeadOpen(&aead, &extra, &sealed, key);
}
