/*
 * encrypt_key.c
 *	  Data keys in use: made on first use, cached, counted.
 *
 * Each segment of a ledger has a data key of its own, and another once 2^32
 * values may have been encrypted with it.  A backend takes the right to
 * encrypt values in blocks, from the count in the key's file, so that no
 * crash can make the same key serve too many; what it does not use of a
 * block is lost.
 *
 * Plain keys stay in this backend, for KEY_LIFETIME at most while it runs
 * transactions, in memory that is left out of core dumps and swap where the
 * system allows.  Once per transaction the key's file is looked at: a key
 * that was destroyed is not used any more.
 */
#include "postgres.h"

#include <openssl/crypto.h>

#include "access/xact.h"
#include "core/secret.h"
#include "core/sha256.h"
#include "miscadmin.h"
#include "policy/encrypt.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

#define CACHE_SIZE 64
#define KEY_LIFETIME_MS (5 * 60 * 1000)
#define BLOCK_FIRST 256
#define BLOCK_MAX 65536

typedef struct CachedKey
{
	bool		valid;
	bool		writing;		/* new values of the segment are under it */
	DataKeyRef	ref;
	struct stat st;
	uint64		settings;		/* llm_audit_key_settings when it was read */
	TimestampTz loaded;
	TimestampTz checked;		/* start of the transaction that did */
	uint64		used;			/* when, by the clock below */
	uint64		left;			/* values that it may still encrypt here */
	uint64		block;			/* how many it took last */
} CachedKey;

/* What looking for a segment's current key has found. */
typedef struct CurrentSearch
{
	uint32		segment;
	bool		found;
	bool		damaged;
	DataKeyFile file;
} CurrentSearch;

uint64		llm_audit_key_settings = 1;

static CachedKey cache[CACHE_SIZE];

/* Of the same index, and behind them one that is being made. */
static uint8 (*secrets)[AEAD_KEY_SIZE] = NULL;
static uint64 cache_clock = 0;

/* ---------------- the cache ---------------- */

static void
ForgetKey(CachedKey *entry)
{
	OPENSSL_cleanse(secrets[entry - cache], AEAD_KEY_SIZE);
	memset(entry, 0, sizeof(*entry));
}

void
DataKeysForget(void)
{
	for (int i = 0; i < CACHE_SIZE && secrets != NULL; i++)
	{
		if (cache[i].valid)
			ForgetKey(&cache[i]);
	}
}

static void
ForgetAtExit(int code, Datum arg)
{
	DataKeysForget();
}

/* True if the key has been here too long, or settings have changed. */
static bool
IsStale(const CachedKey *entry)
{
	return entry->settings != llm_audit_key_settings ||
		TimestampDifferenceExceeds(entry->loaded, GetCurrentTimestamp(),
								   KEY_LIFETIME_MS);
}

/* Keys that are too old do not wait for their next use. */
static void
ForgetStale(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	for (int i = 0; i < CACHE_SIZE && secrets != NULL; i++)
	{
		if (cache[i].valid && IsStale(&cache[i]))
			ForgetKey(&cache[i]);
	}
}

/* Memory for plain keys: neither swapped nor dumped, if that can be had. */
static void
SecretsInit(void)
{
	if (secrets != NULL)
		return;
	secrets = SecretAlloc((CACHE_SIZE + 1) * AEAD_KEY_SIZE);
	if (secrets == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Failed while making memory for keys.")));
	on_proc_exit(ForgetAtExit, (Datum) 0);
	RegisterXactCallback(ForgetStale, NULL);
}

/* True if the entry's key may still be used. */
static bool
IsFresh(CachedKey *entry)
{
	TimestampTz transaction = GetCurrentTransactionStartTimestamp();

	if (IsStale(entry))
		return false;
	if (entry->checked == transaction)
		return true;
	entry->checked = transaction;
	return KeyDirUnchanged(&entry->ref, &entry->st);
}

static bool
IsOfSegment(const DataKeyRef *ref, const uint8 *ledger_id, uint32 segment)
{
	return ref->segment == segment &&
		memcmp(ref->ledger_id, ledger_id, LEDGER_ID_SIZE) == 0;
}

/* The entry of that key, or NULL. */
static CachedKey *
FindKey(const DataKeyRef *ref)
{
	for (int i = 0; i < CACHE_SIZE; i++)
	{
		if (cache[i].valid && cache[i].ref.key_id == ref->key_id &&
			IsOfSegment(&cache[i].ref, ref->ledger_id, ref->segment))
			return &cache[i];
	}
	return NULL;
}

/* The entry that new values of the segment use, or NULL. */
static CachedKey *
FindWriting(const uint8 *ledger_id, uint32 segment)
{
	for (int i = 0; i < CACHE_SIZE; i++)
	{
		if (cache[i].valid && cache[i].writing &&
			IsOfSegment(&cache[i].ref, ledger_id, segment))
			return &cache[i];
	}
	return NULL;
}

/* An entry to fill: a free one, or the one not used for the longest time. */
static CachedKey *
TakeEntry(void)
{
	CachedKey  *oldest = &cache[0];

	for (int i = 0; i < CACHE_SIZE; i++)
	{
		if (!cache[i].valid)
			return &cache[i];
		if (cache[i].used < oldest->used)
			oldest = &cache[i];
	}
	ForgetKey(oldest);
	return oldest;
}

/* Unwraps a key that was read, into the cache. */
static CachedKey *
CacheKey(const DataKeyRef *ref, const DataKeyFile *file, const struct stat *st)
{
	CachedKey  *entry = FindKey(ref);

	if (entry == NULL)
		entry = TakeEntry();
	entry->valid = false;
	UnwrapDataKey(file, secrets[entry - cache]);
	entry->valid = true;
	entry->ref = *ref;
	entry->st = *st;
	entry->settings = llm_audit_key_settings;
	entry->loaded = GetCurrentTimestamp();
	entry->checked = GetCurrentTransactionStartTimestamp();
	return entry;
}

/* What a caller gets of an entry. */
static SealedKey
UseKey(CachedKey *entry)
{
	SealedKey	result = {entry->ref.key_id, secrets[entry - cache]};

	entry->used = ++cache_clock;
	return result;
}

/* ---------------- reading ---------------- */

/* When a key was destroyed, as text. */
static const char *
DestroyedWhen(const DataKeyFile *file)
{
	return timestamptz_to_str(time_t_to_timestamptz((pg_time_t) file->destroyed));
}

SealedKey
DataKeyForReading(const DataKeyRef *ref)
{
	CachedKey  *entry;
	DataKeyFile file;
	struct stat st;

	SecretsInit();
	entry = FindKey(ref);
	if (entry != NULL && IsFresh(entry))
		return UseKey(entry);
	if (entry != NULL)
		ForgetKey(entry);
	KeyDirRequire(true);
	if (!KeyDirRead(ref, &file, &st))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FILE),
				 errmsg("data key %08x of segment %u is missing",
						ref->key_id, ref->segment),
				 errhint("Restore its file from the backup of the directory that \"%s\" names.",
						 "llm_audit.key_directory")));
	if (file.state == DATAKEY_DESTROYED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("data key %08x of segment %u was destroyed",
						ref->key_id, ref->segment),
				 errdetail("What it encrypted cannot be read any more, since %s.",
						   DestroyedWhen(&file))));
	return UseKey(CacheKey(ref, &file, &st));
}

/* ---------------- writing ---------------- */

/* KeyDirVisit's visitor: the newest live key of the segment with room left. */
static void
ConsiderKey(const DataKeyRef *ref, const DataKeyFile *file, void *arg)
{
	CurrentSearch *search = arg;

	if (ref->segment != search->segment)
		return;
	if (file == NULL)
	{
		search->damaged = true;
		return;
	}
	if (file->state != DATAKEY_LIVE || file->count >= DATAKEY_VALUES_MAX)
		return;
	if (search->found && (search->file.created > file->created ||
						  (search->file.created == file->created &&
						   search->file.key_id > file->key_id)))
		return;
	search->file = *file;
	search->found = true;
}

/* Makes a new data key; the directory is locked. */
static void
MakeKey(const uint8 *ledger_id, uint32 segment, DataKeyFile *file)
{
	uint8	   *key = secrets[CACHE_SIZE];
	uint32		key_id;

	memset(file, 0, sizeof(*file));
	if (!StrongRandom(key, AEAD_KEY_SIZE) ||
		!StrongRandom(&key_id, sizeof(key_id)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	file->state = DATAKEY_LIVE;
	memcpy(file->ledger_id, ledger_id, LEDGER_ID_SIZE);
	file->segment = segment;
	file->key_id = key_id;
	file->created = (uint64) time(NULL);
	PG_TRY();
	{
		WrapDataKey(file, key);
	}
	PG_FINALLY();
	{
		OPENSSL_cleanse(key, AEAD_KEY_SIZE);
	}
	PG_END_TRY();
	KeyDirSweep();
	KeyDirWrite(file, false);
}

/*
 * Takes a block of values from the segment's current key, or from a new one.
 * The count is on disk before the first value of the block is encrypted.
 */
static uint64
ReserveBlock(const uint8 *ledger_id, uint32 segment, uint64 wanted,
			 DataKeyFile *file)
{
	CurrentSearch search = {0};
	uint64		block;
	int			lock = KeyDirLock();

	search.segment = segment;
	KeyDirVisit(ledger_id, ConsiderKey, &search);
	if (search.found)
		*file = search.file;
	else if (search.damaged)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("a data key file of segment %u is damaged", segment),
				 errhint("Restore it from the backup of the directory that \"%s\" names.",
						 "llm_audit.key_directory")));
	else
		MakeKey(ledger_id, segment, file);
	block = Min(wanted, DATAKEY_VALUES_MAX - file->count);
	file->count += block;
	KeyDirWriteCount(file);
	KeyDirUnlock(lock);
	return block;
}

/* The entry of the segment's current key, with a fresh block of values. */
static CachedKey *
TakeBlock(const uint8 *ledger_id, uint32 segment, uint64 wanted)
{
	DataKeyFile file;
	DataKeyRef	ref;
	struct stat st;
	CachedKey  *entry;
	uint64		block;

	KeyDirRequire(true);
	block = ReserveBlock(ledger_id, segment, wanted, &file);
	memcpy(ref.ledger_id, ledger_id, LEDGER_ID_SIZE);
	ref.segment = segment;
	ref.key_id = file.key_id;
	if (!KeyDirRead(&ref, &file, &st) || file.state != DATAKEY_LIVE)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("data key %08x of segment %u was destroyed",
						ref.key_id, ref.segment)));
	entry = CacheKey(&ref, &file, &st);
	entry->writing = true;
	entry->left = block;
	entry->block = wanted;
	return entry;
}

/*
 * Reads a segment's current key again that is too old, or whose file was
 * replaced; the block that was taken from it is still ours.  NULL if it is
 * no longer there to be used.
 */
static CachedKey *
RenewWriting(CachedKey *entry)
{
	CachedKey	before = *entry;
	DataKeyFile file;
	struct stat st;

	ForgetKey(entry);
	KeyDirRequire(true);
	if (!KeyDirRead(&before.ref, &file, &st) || file.state != DATAKEY_LIVE)
		return NULL;
	entry = CacheKey(&before.ref, &file, &st);
	entry->writing = true;
	entry->left = before.left;
	entry->block = before.block;
	return entry;
}

SealedKey
DataKeyForWriting(const uint8 *ledger_id, uint32 segment)
{
	CachedKey  *entry;
	uint64		wanted = BLOCK_FIRST;

	SecretsInit();
	entry = FindWriting(ledger_id, segment);
	if (entry != NULL && !IsFresh(entry))
		entry = RenewWriting(entry);
	if (entry != NULL && entry->left == 0)
	{
		wanted = Min(entry->block * 2, BLOCK_MAX);
		entry->writing = false;
		entry = NULL;
	}
	if (entry == NULL)
		entry = TakeBlock(ledger_id, segment, wanted);
	entry->left--;
	return UseKey(entry);
}
