/*
 * encrypt_function.c
 *	  SQL functions that look after data keys: listing, wrapping anew,
 *	  destroying.  What they did is recorded by their callers, in SQL.
 */
#include "postgres.h"

#include <openssl/crypto.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "policy/encrypt.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(llm_audit_init_key_directory);
PG_FUNCTION_INFO_V1(llm_audit_key_directory_problem);
PG_FUNCTION_INFO_V1(llm_audit_data_keys);
PG_FUNCTION_INFO_V1(llm_audit_wrap_data_keys);
PG_FUNCTION_INFO_V1(llm_audit_remove_data_keys);

/*
 * llm_audit.init_key_directory(): void
 *		Makes the key directory ready; one that is stays as it is.  Errors:
 *		F0000 if none is set, or it cannot be used.
 */
Datum
llm_audit_init_key_directory(PG_FUNCTION_ARGS)
{
	KeyDirInit();
	PG_RETURN_VOID();
}

/*
 * llm_audit.key_directory_problem() → text
 *		Why the key directory cannot be used; NULL if it can.
 */
Datum
llm_audit_key_directory_problem(PG_FUNCTION_ARGS)
{
	const char *problem = KeyDirProblem(true);

	if (problem == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(problem));
}

/* Whether the key of a live file can be had; nothing of it is kept. */
static bool
CanUnwrap(const DataKeyFile *file)
{
	uint8		key[AEAD_KEY_SIZE];
	bool		done = TryUnwrapDataKey(file, key);

	OPENSSL_cleanse(key, sizeof(key));
	return done;
}

static Datum
SecondsToDatum(uint64 seconds)
{
	return TimestampTzGetDatum(time_t_to_timestamptz((pg_time_t) seconds));
}

/* KeyDirVisit's visitor: a row for each data key. */
static void
PutDataKey(const DataKeyRef *ref, const DataKeyFile *file, void *arg)
{
	ReturnSetInfo *rsinfo = arg;
	Datum		values[9];
	bool		nulls[9] = {false};
	pg_uuid_t	id;
	bool		live = file != NULL && file->state == DATAKEY_LIVE;

	memcpy(id.data, ref->ledger_id, LEDGER_ID_SIZE);
	values[0] = UUIDPGetDatum(&id);
	values[1] = Int32GetDatum((int32) ref->segment);
	values[2] = CStringGetTextDatum(psprintf("%08x", ref->key_id));
	values[3] = CStringGetTextDatum(file == NULL ? "damaged" :
									live ? "live" : "destroyed");
	for (int i = 4; i < lengthof(values); i++)
		nulls[i] = true;
	if (file != NULL)
	{
		values[4] = SecondsToDatum(file->created);
		values[6] = Int64GetDatum((int64) Min(file->count, PG_INT64_MAX));
		nulls[4] = nulls[6] = false;
	}
	if (file != NULL && !live)
	{
		values[5] = SecondsToDatum(file->destroyed);
		nulls[5] = false;
	}
	if (live)
	{
		values[7] = CStringGetTextDatum(file->wrapper);
		values[8] = BoolGetDatum(CanUnwrap(file));
		nulls[7] = nulls[8] = false;
	}
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * llm_audit.data_keys() → TABLE (ledger_id uuid, segment int, key_id text,
 *		state text, created_at timestamptz, destroyed_at timestamptz,
 *		value_limit bigint, wrapped_by text, unwraps boolean)
 *		The data keys of the key directory, those of other databases too.
 */
Datum
llm_audit_data_keys(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	KeyDirRequire(true);
	KeyDirVisit(NULL, PutDataKey, fcinfo->resultinfo);
	return (Datum) 0;
}

/* What CollectRef gathers: keys, of one segment only if it is not 0. */
typedef struct RefList
{
	uint32		segment;
	List	   *refs;
} RefList;

static void
CollectRef(const DataKeyRef *ref, const DataKeyFile *file, void *arg)
{
	RefList    *list = arg;
	DataKeyRef *copy;

	if (list->segment != 0 && ref->segment != list->segment)
		return;
	copy = palloc(sizeof(DataKeyRef));
	*copy = *ref;
	list->refs = lappend(list->refs, copy);
}

/* Puts an unwrapped data key under the current wrapping key, in its file. */
static void
WrapAgain(DataKeyFile *file, uint8 *key)
{
	PG_TRY();
	{
		WrapDataKey(file, key);
		KeyDirWrite(file, true);
	}
	PG_CATCH();
	{
		OPENSSL_cleanse(key, AEAD_KEY_SIZE);
		PG_RE_THROW();
	}
	PG_END_TRY();
	OPENSSL_cleanse(key, AEAD_KEY_SIZE);
}

/* Wraps one data key anew; false if there was no need, or it cannot be had. */
static bool
RewrapKey(const DataKeyRef *ref)
{
	DataKeyFile file;
	uint8		key[AEAD_KEY_SIZE];
	int			lock = KeyDirLock();
	DataKeyRead read = KeyDirReadAny(ref, &file);
	bool		needed = read == KEY_READ_OK && file.state == DATAKEY_LIVE &&
	!WrappedUnderCurrent(&file);
	bool		had = needed && TryUnwrapDataKey(&file, key);

	if (read == KEY_READ_DAMAGED || (needed && !had))
		ereport(WARNING,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("data key %08x of segment %u stays as it is",
						ref->key_id, ref->segment),
				 errdetail_internal("%s", had || read == KEY_READ_DAMAGED ?
									"Its file is damaged." :
									"The key that wraps it is not there.")));
	if (had)
		WrapAgain(&file, key);
	KeyDirUnlock(lock);
	return had;
}

/*
 * llm_audit.wrap_data_keys() → int
 *		Wraps the data keys of the directory under the current wrapping key,
 *		where they are not yet; how many.  Each is replaced at once and for
 *		good, whatever becomes of the transaction.  A warning names each that
 *		is damaged or cannot be unwrapped.  Errors: F0000 if there is no
 *		directory or no wrapping key.
 */
Datum
llm_audit_wrap_data_keys(PG_FUNCTION_ARGS)
{
	RefList		list = {0, NIL};
	ListCell   *lc;
	int			count = 0;

	KeyDirRequire(true);
	KeyDirVisit(NULL, CollectRef, &list);
	foreach(lc, list.refs)
	{
		CHECK_FOR_INTERRUPTS();
		if (RewrapKey(lfirst(lc)))
			count++;
	}
	PG_RETURN_INT32(count);
}

/* Destroys one data key, a damaged one too; false if it is not there. */
static bool
DestroyKey(const DataKeyRef *ref)
{
	DataKeyFile file;
	int			lock = KeyDirLock();
	DataKeyRead read = KeyDirReadAny(ref, &file);

	if (read == KEY_READ_DAMAGED)
		memset(&file, 0, sizeof(file));
	if (read != KEY_READ_NONE && file.state != DATAKEY_DESTROYED)
	{
		memcpy(file.ledger_id, ref->ledger_id, LEDGER_ID_SIZE);
		file.segment = ref->segment;
		file.key_id = ref->key_id;
		file.state = DATAKEY_DESTROYED;
		memset(file.wrapper, 0, sizeof(file.wrapper));
		file.destroyed = (uint64) time(NULL);
		KeyDirWrite(&file, true);
		ereport(LOG,
				(errmsg("data key %08x of segment %u was destroyed",
						ref->key_id, ref->segment)));
	}
	KeyDirUnlock(lock);
	return read != KEY_READ_NONE;
}

/*
 * llm_audit.remove_data_keys(ledger_id uuid, segment int) → text[]
 *		Destroys the data keys of a segment, at once and for good, whatever
 *		becomes of the transaction; the ids of all that are destroyed now, so
 *		that a repetition tells what a rolled-back transaction has done.  Part
 *		of destroy_data_keys(), which checks and records.
 */
Datum
llm_audit_remove_data_keys(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *ledger_id = PG_GETARG_UUID_P(0);
	RefList		list = {(uint32) PG_GETARG_INT32(1), NIL};
	ArrayBuildState *result = initArrayResult(TEXTOID, CurrentMemoryContext, true);
	ListCell   *lc;

	if (list.segment == 0)
		elog(ERROR, "a segment's number is not 0");
	KeyDirRequire(true);
	KeyDirVisit(ledger_id->data, CollectRef, &list);
	foreach(lc, list.refs)
	{
		DataKeyRef *ref = lfirst(lc);

		if (DestroyKey(ref))
			result = accumArrayResult(result,
									  CStringGetTextDatum(psprintf("%08x", ref->key_id)),
									  false, TEXTOID, CurrentMemoryContext);
	}
	DataKeysForget();
	PG_RETURN_DATUM(makeArrayResult(result, CurrentMemoryContext));
}
