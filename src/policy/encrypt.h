/*
 * encrypt.h
 *	  Inside of the policy room: encryption at rest.
 */
#ifndef LLM_AUDIT_POLICY_ENCRYPT_H
#define LLM_AUDIT_POLICY_ENCRYPT_H

#include "postgres.h"

#include <sys/stat.h>

#include "core/datakey.h"
#include "policy/scan.h"

/* A data key's name; key ids are random, so that none is made twice. */
typedef struct DataKeyRef
{
	uint8		ledger_id[LEDGER_ID_SIZE];
	uint32		segment;
	uint32		key_id;
} DataKeyRef;

/* ---------------- encrypt_dir.c: the key directory ---------------- */

extern char *llm_audit_key_directory;

/* Changes with the settings that name keys: what was read before is stale. */
extern uint64 llm_audit_key_settings;

/*
 * KeyDirProblem: why the key directory cannot be used, as a sentence
 * (palloc'd or static), or NULL if it can.  With initialized, it must have
 * been made one of ours.
 */
extern const char *KeyDirProblem(bool initialized);

/* Raises F0000 if there is no key directory, or none that can be used. */
extern void KeyDirRequire(bool initialized);

/* Makes a directory ours, if it is not yet; the same errors. */
extern void KeyDirInit(void);

/*
 * KeyDirLock: waits until nobody else changes the directory, and keeps
 * others from doing so until KeyDirUnlock or the end of the (sub)transaction
 * or of the process, however it ends.
 */
extern int	KeyDirLock(void);
extern void KeyDirUnlock(int lock);

/* Reads a data key's file; false if there is none.  F0000 if it is damaged. */
extern bool KeyDirRead(const DataKeyRef *ref, DataKeyFile *file,
					   struct stat *st);

typedef enum DataKeyRead
{
	KEY_READ_OK,
	KEY_READ_NONE,
	KEY_READ_DAMAGED
} DataKeyRead;

/* The same, but says what it met. */
extern DataKeyRead KeyDirReadAny(const DataKeyRef *ref, DataKeyFile *file);

/* True if the file is still the one that st is of. */
extern bool KeyDirUnchanged(const DataKeyRef *ref, const struct stat *st);

/* Writes a data key's file; the directory is locked.  Durable on return. */
extern void KeyDirWrite(const DataKeyFile *file, bool replace);

/* Writes the count in its place; the directory is locked.  Durable. */
extern void KeyDirWriteCount(const DataKeyFile *file);

/* Visits each data key, of one ledger or of all (NULL).  Damaged: NULL. */
typedef void (*KeyDirVisitor) (const DataKeyRef *ref, const DataKeyFile *file,
							   void *arg);
extern void KeyDirVisit(const uint8 *ledger_id, KeyDirVisitor visit, void *arg);

/* Deletes what a crash has left half-made; the directory is locked. */
extern void KeyDirSweep(void);

/* ---------------- encrypt_wrap.c: wrapping keys ---------------- */

/* Wraps a data key under the current wrapping key; F0000 if there is none. */
extern void WrapDataKey(DataKeyFile *file, const uint8 *key);

/* The data key of a live file; false if there is no key that opens it. */
extern bool TryUnwrapDataKey(const DataKeyFile *file, uint8 *key);

/* The same; F0000 if there is none. */
extern void UnwrapDataKey(const DataKeyFile *file, uint8 *key);

/*
 * True if the file is wrapped under the current wrapping key; F0000 if there
 * is none.
 */
extern bool WrappedUnderCurrent(const DataKeyFile *file);

/* ---------------- encrypt_key.c: data keys in use ---------------- */

/*
 * DataKeyForWriting: the key for one new value of a segment, made if there
 * is none; each call counts as a value.  The key stays valid until the next
 * call of this room.
 */
extern SealedKey DataKeyForWriting(const uint8 *ledger_id, uint32 segment);

/*
 * DataKeyForReading: 58P01 if it is missing, 55000 if it was destroyed,
 * F0000 if it cannot be unwrapped.
 */
extern SealedKey DataKeyForReading(const DataKeyRef *ref);

/* Forgets all keys. */
extern void DataKeysForget(void);

/* ---------------- encrypt.c: values ---------------- */

/*
 * EncryptFind: finds the columns into which the plan's fields are encrypted,
 * once the policies are read.
 */
extern void EncryptFind(LedgerPlan *plan, const Segment *seg);

/* Refuses values for columns that hold ciphertext. */
extern void EncryptCheck(const Segment *seg, const LedgerPlan *plan,
						 const bool *nulls);

/* Encrypts what the policies say, masked already, and empties its column. */
extern void EncryptRow(const Segment *seg, const LedgerPlan *plan,
					   Datum *values, bool *nulls);

/* ---------------- encrypt_original.c ---------------- */

/*
 * EncryptOriginal: encrypts the body of a fragment, not masked yet, to the
 * public key that is configured for its environment and service, if any.
 */
extern void EncryptOriginal(const Segment *seg, const LedgerPlan *plan,
							Datum *values, bool *nulls);

#endif
