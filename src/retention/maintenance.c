/*
 * maintenance.c
 *	  The lock of run_maintenance(), so that two runs do not do each other's
 *	  work.
 *
 * run_maintenance() commits after each unit, so the lock is the session's and
 * not a transaction's.  An advisory lock would not do: everybody who can
 * connect could take the same one, and maintenance would sleep.  So it is a
 * lock on the extension, with a number of a part of it that no command knows.
 *
 * The end of a transaction by an error releases it with all other locks.  What
 * is left is an error that an exception block of the caller catches, and the
 * end of the session: callbacks see to these.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lock.h"

PG_FUNCTION_INFO_V1(llm_audit_lock_maintenance);
PG_FUNCTION_INFO_V1(llm_audit_unlock_maintenance);

/* objsubid of the lock; sql/96_maintenance.sql looks for it in pg_locks. */
#define MAINTENANCE_LOCK_PART	0x4C41

/* Whether this session has the lock; level: the nesting in which it came. */
static bool held = false;
static LOCKTAG held_tag;
static int	held_level = 0;

/* Releases the lock if this session has it. */
static void
MaintenanceUnlock(void)
{
	if (!held)
		return;
	held = false;
	(void) LockRelease(&held_tag, ExclusiveLock, true);
}

/* An aborting transaction releases every lock, those of the session too. */
static void
MaintenanceXact(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		held = false;
}

/* A subtransaction releases its own locks only, and ours is the session's. */
static void
MaintenanceSubXact(SubXactEvent event, SubTransactionId mine,
				   SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB &&
		GetCurrentTransactionNestLevel() <= held_level)
		MaintenanceUnlock();
}

/* Nothing else releases such a lock where no transaction is under way. */
static void
MaintenanceExit(int code, Datum arg)
{
	MaintenanceUnlock();
}

static void
RegisterCallbacks(void)
{
	static bool done = false;

	if (done)
		return;
	RegisterXactCallback(MaintenanceXact, NULL);
	RegisterSubXactCallback(MaintenanceSubXact, NULL);
	before_shmem_exit(MaintenanceExit, (Datum) 0);
	done = true;
}

/* Refuses whoever could keep maintenance from running. */
static void
RequireSuperuser(void)
{
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for maintenance of llm_audit"),
				 errhint("Only a superuser may run it.")));
}

/*
 * llm_audit.lock_maintenance() -> boolean
 *		Takes the lock for this session, to be released by
 *		unlock_maintenance(), by an error or with the session; false if it is
 *		taken, here or elsewhere.  Raises 42501 for all but superusers.
 */
Datum
llm_audit_lock_maintenance(PG_FUNCTION_ARGS)
{
	LOCKTAG		tag;

	RequireSuperuser();
	if (held)
		PG_RETURN_BOOL(false);
	RegisterCallbacks();
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ExtensionRelationId,
					   get_extension_oid("llm_audit", false),
					   MAINTENANCE_LOCK_PART);
	if (LockAcquire(&tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		PG_RETURN_BOOL(false);
	held_tag = tag;
	held_level = GetCurrentTransactionNestLevel();
	held = true;
	PG_RETURN_BOOL(true);
}

/*
 * llm_audit.unlock_maintenance() -> void
 *		Releases the lock, if this session has it.
 */
Datum
llm_audit_unlock_maintenance(PG_FUNCTION_ARGS)
{
	RequireSuperuser();
	MaintenanceUnlock();
	PG_RETURN_VOID();
}
