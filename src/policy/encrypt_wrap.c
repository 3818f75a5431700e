/*
 * encrypt_wrap.c
 *	  Wrapping data keys under a key from outside: what is derived for the
 *	  purpose from a key of llm_audit.key_file, which may follow from a key
 *	  in an OpenSSL store.
 */
#include "postgres.h"

#include <openssl/crypto.h>

#include "policy/encrypt.h"

/* The wrapping key of that id, or the current one (NULL); false if none. */
static bool
WrappingKey(const char *id, char *id_out, uint8 *key)
{
	static const char purpose[] = "llm_audit data key 1";

	return PolicyDeriveKey(id, purpose, id_out, key);
}

/* The error where nothing can wrap. */
static void
RaiseNoKey(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONFIG_FILE_ERROR),
			 errmsg("there is no key to wrap data keys with"),
			 errhint("Set \"%s\" to a file with keys from outside the database.",
					 "llm_audit.key_file")));
}

void
WrapDataKey(DataKeyFile *file, const uint8 *key)
{
	uint8		wrapping[AEAD_KEY_SIZE];
	bool		done;

	memset(file->wrapper, 0, sizeof(file->wrapper));
	if (!WrappingKey(NULL, file->wrapper, wrapping))
		RaiseNoKey();
	done = DataKeyWrap(file, wrapping, key);
	OPENSSL_cleanse(wrapping, sizeof(wrapping));
	if (!done)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not wrap a data key")));
}

bool
TryUnwrapDataKey(const DataKeyFile *file, uint8 *key)
{
	uint8		wrapping[AEAD_KEY_SIZE];
	char		id[DATAKEY_WRAPPER_SIZE + 1];
	bool		done;

	done = WrappingKey(file->wrapper, id, wrapping) &&
		DataKeyUnwrap(file, wrapping, key);
	OPENSSL_cleanse(wrapping, sizeof(wrapping));
	return done;
}

void
UnwrapDataKey(const DataKeyFile *file, uint8 *key)
{
	if (TryUnwrapDataKey(file, key))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_CONFIG_FILE_ERROR),
			 errmsg("data key %08x of segment %u cannot be unwrapped",
					file->key_id, file->segment),
			 errdetail("It is wrapped under key \"%s\", which is not there or is another key of that name.",
					   file->wrapper),
			 errhint("Put the key back into the file that \"%s\" names.",
					 "llm_audit.key_file")));
}

bool
WrappedUnderCurrent(const DataKeyFile *file)
{
	char		id[DATAKEY_WRAPPER_SIZE + 1] = {0};
	uint8		wrapping[AEAD_KEY_SIZE];

	if (!WrappingKey(NULL, id, wrapping))
		RaiseNoKey();
	OPENSSL_cleanse(wrapping, sizeof(wrapping));
	return strcmp(id, file->wrapper) == 0;
}
