/*
 * key.c
 *	  Keys from outside the database, and the keyed hashes made with them.
 *
 * llm_audit.key_file names a file with one key a line, "keyid base64key" or
 * "keyid uri" with the URI of a private key in an OpenSSL store, the current
 * one first; the others are live too, for looking up what was hashed before
 * a rotation.  It is read when a key is first needed and again when it has
 * changed, which is looked at once per transaction: within one the keys stay
 * the same.  Keys, and the file's text while it is read, are in memory that is
 * left out of core dumps, and nowhere else.
 */
#include "postgres.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xact.h"
#include "core/base64.h"
#include "core/hmac.h"
#include "core/secret.h"
#include "policy/scan.h"
#include "policy/store.h"
#include "storage/fd.h"
#include "utils/builtins.h"

#define KEY_SIZE 32
#define KEY_ID_MAX 16
#define KEYS_MAX 64
#define KEY_FILE_MAX (256 * 1024)

/* Bytes of a hash that a pseudonym shows; 32 characters. */
#define PSEUDONYM_SIZE 24

typedef struct PolicyKey
{
	char		id[KEY_ID_MAX + 1];
	uint8		key[KEY_SIZE];
} PolicyKey;

bool		llm_audit_masking = true;
char	   *llm_audit_key_file = NULL;

/* Room for KEYS_MAX and the one being read, when it is not NULL. */
static PolicyKey *keys = NULL;
static int	key_count = 0;

#define KEYS_SIZE ((KEYS_MAX + 1) * sizeof(PolicyKey))

/* The file's text while it is read. */
static char *key_text = NULL;

/* What keys[] was read from. */
static char key_path[MAXPGPATH];
static struct stat key_stat;
static TimestampTz key_checked = 0;

/* The error for a file that cannot be used; why never quotes from it. */
static void
RefuseKeyFile(const char *path, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONFIG_FILE_ERROR),
			 errmsg("key file \"%s\" cannot be used", path),
			 errdetail_internal("%s", why),
			 errhint("Each line of the file that \"%s\" names is a key's id (up to 16 letters, digits, _ and -), a space, and 32 bytes in base64 or the URI of a private key; the first key is the current one.",
					 "llm_audit.key_file")));
}

void
RefuseWithoutKey(const char *message)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONFIG_FILE_ERROR),
			 errmsg_internal("%s", message),
			 errhint("Make a key as the server's operating-system user, for example: "
					 "umask 077; echo \"k1 $(head -c 32 /dev/urandom | base64)\" > /etc/postgresql/llm_audit.keys. "
					 "Then set \"%s\" to that file and reload; docs/masking.md says more.",
					 "llm_audit.key_file")));
}

static bool
IsKeyIdCharacter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* Reads one line into key; false if the line holds none. */
static bool
ReadKeyLine(char *line, PolicyKey *key)
{
	char	   *at = line + strspn(line, " \t\r\n");
	size_t		id_len = 0;
	size_t		len;

	if (*at == '\0' || *at == '#')
		return false;
	while (IsKeyIdCharacter(at[id_len]))
		id_len++;
	if (id_len == 0 || id_len > KEY_ID_MAX ||
		(at[id_len] != ' ' && at[id_len] != '\t'))
		RefuseKeyFile(key_path, "A line does not begin with the id of a key.");
	memset(key->id, 0, sizeof(key->id));
	memcpy(key->id, at, id_len);
	at += id_len + strspn(at + id_len, " \t");
	if (StoreIsUri(at))
	{
		const char *why;

		at[strcspn(at, " \t\r\n")] = '\0';
		why = StoreReadKey(at, key->key);
		if (why != NULL)
			RefuseKeyFile(key_path, why);
		return true;
	}
	if (!Base64Decode(at, strcspn(at, " \t\r\n"), key->key, KEY_SIZE, &len) ||
		len != KEY_SIZE)
		RefuseKeyFile(key_path, "A key is not 32 bytes in base64.");
	return true;
}

/* Keeps the key behind the last; ids are unique, or a pseudonym would not say which. */
static void
AddKey(void)
{
	for (int i = 0; i < key_count; i++)
	{
		if (strcmp(keys[i].id, keys[key_count].id) == 0)
			RefuseKeyFile(key_path, "Two keys have the same id.");
	}
	if (key_count == KEYS_MAX)
		RefuseKeyFile(key_path, "It holds more than 64 keys.");
	key_count++;
}

/* Forgets the file's text. */
static void
ForgetText(void)
{
	SecretFree(key_text, KEY_FILE_MAX);
	key_text = NULL;
}

/* Forgets all keys. */
static void
ForgetKeys(void)
{
	ForgetText();
	if (keys != NULL)
		OPENSSL_cleanse(keys, KEYS_SIZE);
	key_count = 0;
	key_path[0] = '\0';
}

/* Memory for keys, or an error. */
static void *
SecretMemory(size_t size)
{
	void	   *memory = SecretAlloc(size);

	if (memory == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Failed while making memory for keys.")));
	return memory;
}

/* Reads the file's text, which must be left unread by others. */
static void
ReadText(const char *path)
{
	int			fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	size_t		len = 0;
	ssize_t		got = 1;

	if (fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open key file \"%s\": %m", path)));
	if (fstat(fd, &key_stat) != 0 || !S_ISREG(key_stat.st_mode))
		RefuseKeyFile(path, "It is not a regular file.");
	if (key_stat.st_mode & (S_IRWXO | S_IWGRP))
		RefuseKeyFile(path, "Others may read or write it; its mode must be 0600, or 0640 if root owns it.");
	key_text = SecretMemory(KEY_FILE_MAX);
	while (got > 0 && len < KEY_FILE_MAX - 1)
	{
		got = read(fd, key_text + len, KEY_FILE_MAX - 1 - len);
		if (got < 0 && errno == EINTR)
			got = 1;
		else if (got < 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not read key file \"%s\": %m", path)));
		else
			len += got;
	}
	if (got > 0)
		RefuseKeyFile(path, "It is longer than 256 kB.");
	CloseTransientFile(fd);
}

/* Reads the file; on error no key is known. */
static void
ReadKeyFile(const char *path)
{
	char	   *next;

	ForgetKeys();
	if (keys == NULL)
		keys = SecretMemory(KEYS_SIZE);
	strlcpy(key_path, path, MAXPGPATH);
	ReadText(path);
	for (char *line = key_text; line != NULL; line = next)
	{
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		if (ReadKeyLine(line, &keys[key_count]))
			AddKey();
	}
	ForgetText();
	if (key_count == 0)
		RefuseKeyFile(path, "It holds no key.");
}

/* True if the file is still the one that was read. */
static bool
KeysAreFresh(const char *path)
{
	TimestampTz transaction = GetCurrentTransactionStartTimestamp();
	struct stat now;

	if (key_count == 0 || strcmp(path, key_path) != 0)
		return false;
	if (transaction == key_checked)
		return true;
	key_checked = transaction;
	return stat(path, &now) == 0 && now.st_ino == key_stat.st_ino &&
		now.st_dev == key_stat.st_dev && now.st_size == key_stat.st_size &&
		now.st_mtim.tv_sec == key_stat.st_mtim.tv_sec &&
		now.st_mtim.tv_nsec == key_stat.st_mtim.tv_nsec;
}

/* Makes the keys known; false if none are configured. */
static bool
KeysReady(void)
{
	const char *path = llm_audit_key_file;

	if (path == NULL || *path == '\0')
		return false;
	if (KeysAreFresh(path))
		return true;
	PG_TRY();
	{
		ReadKeyFile(path);
	}
	PG_CATCH();
	{
		ForgetKeys();
		PG_RE_THROW();
	}
	PG_END_TRY();
	key_checked = GetCurrentTransactionStartTimestamp();
	return true;
}

int
PolicyKeyCount(void)
{
	return KeysReady() ? key_count : 0;
}

const char *
PolicyKeyId(int which)
{
	return KeysReady() && which < key_count ? keys[which].id : NULL;
}

/* The keyed hash of a value of some kind, with a purpose of its own. */
static void
KeyedHash(const PolicyKey *key, const HmacPiece *pieces, int count,
		  uint8 *out)
{
	HmacPiece	secret = {key->key, KEY_SIZE};

	if (!HmacSha256(&secret, pieces, count, out))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute an HMAC")));
}

/* "keyid:hash" of the pieces under a key, or NULL if there is no such key. */
static char *
KeyedName(int which, const HmacPiece *pieces, int count)
{
	uint8		hash[SHA256_SIZE];
	char	   *result;
	int			id_len;

	if (!KeysReady() || which >= key_count)
		return NULL;
	KeyedHash(&keys[which], pieces, count, hash);
	id_len = strlen(keys[which].id);
	result = palloc0(id_len + 1 + BASE64_LENGTH(PSEUDONYM_SIZE) + 1);
	memcpy(result, keys[which].id, id_len);
	result[id_len] = ':';
	Base64UrlEncode(hash, PSEUDONYM_SIZE, result + id_len + 1);
	return result;
}

char *
PolicyPseudonym(int which, const char *kind, const char *value, size_t len)
{
	static const char purpose[] = "llm_audit pseudonym 1";
	HmacPiece	pieces[] = {
		{purpose, sizeof(purpose)},
		{kind, strlen(kind) + 1},
		{value, len}
	};

	return KeyedName(which, pieces, lengthof(pieces));
}

char *
PolicyToken(int which, const char *normal, size_t len)
{
	static const char purpose[] = "llm_audit token 1";
	HmacPiece	pieces[] = {{purpose, sizeof(purpose)}, {normal, len}};

	return KeyedName(which, pieces, lengthof(pieces));
}

bool
PolicyIsPseudonym(const char *value, size_t len)
{
	if (len <= BASE64_LENGTH(PSEUDONYM_SIZE) + 1 || !KeysReady())
		return false;
	for (int i = 0; i < key_count; i++)
	{
		size_t		id_len = strlen(keys[i].id);

		if (len != id_len + 1 + BASE64_LENGTH(PSEUDONYM_SIZE) ||
			value[id_len] != ':' || memcmp(value, keys[i].id, id_len) != 0)
			continue;
		for (size_t j = id_len + 1; j < len; j++)
		{
			if (!IsKeyIdCharacter(value[j]))
				return false;
		}
		return true;
	}
	return false;
}

Datum
PolicyDigest(const char *data, size_t len)
{
	static const char purpose[] = "llm_audit digest 1";
	HmacPiece	pieces[] = {{purpose, sizeof(purpose)}, {data, len}};
	bytea	   *result;
	size_t		id_len;

	if (!KeysReady())
		return (Datum) 0;
	id_len = strlen(keys[0].id);
	result = palloc(VARHDRSZ + id_len + 1 + SHA256_SIZE);
	SET_VARSIZE(result, VARHDRSZ + id_len + 1 + SHA256_SIZE);
	memcpy(VARDATA(result), keys[0].id, id_len);
	VARDATA(result)[id_len] = ':';
	KeyedHash(&keys[0], pieces, lengthof(pieces),
			  (uint8 *) VARDATA(result) + id_len + 1);
	return PointerGetDatum(result);
}

bool
PolicyInputHash(int which, const void *data, size_t len, uint8 *out)
{
	static const char purpose[] = "llm_audit input 1";
	HmacPiece	pieces[] = {{purpose, sizeof(purpose)}, {data, len}};

	if (!KeysReady() || which >= key_count)
		return false;
	KeyedHash(&keys[which], pieces, lengthof(pieces), out);
	return true;
}

bool
PolicyDeriveKey(const char *id, const char *purpose, char *id_out, uint8 *out)
{
	HmacPiece	piece = {purpose, strlen(purpose) + 1};

	if (!KeysReady())
		return false;
	for (int i = 0; i < key_count; i++)
	{
		if (id != NULL && strcmp(keys[i].id, id) != 0)
			continue;
		strlcpy(id_out, keys[i].id, KEY_ID_MAX + 1);
		KeyedHash(&keys[i], &piece, 1, out);
		return true;
	}
	return false;
}
