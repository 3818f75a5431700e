/*
 * readers.c
 *	  Keeps verify and purge apart.
 *
 * One lock per database, a user lock with a magic of ours.  A verify that
 * began before a TRUNCATE would find the segment empty and, by its snapshot,
 * no word of a purge; so verify holds the lock shared while it runs and takes
 * its snapshot afterwards, and a purge waits for it.  Nobody who writes or
 * merely queries takes it.
 */
#include "postgres.h"

#include "ledger/ledger.h"
#include "miscadmin.h"
#include "storage/lock.h"

#define READERS_LOCK_MAGIC	0x4C42

static void
ReadersTag(LOCKTAG *tag)
{
	tag->locktag_field1 = MyDatabaseId;
	tag->locktag_field2 = 0;
	tag->locktag_field3 = 0;
	tag->locktag_field4 = READERS_LOCK_MAGIC;
	tag->locktag_type = LOCKTAG_USERLOCK;
	tag->locktag_lockmethodid = USER_LOCKMETHOD;
}

bool
ReadersLock(LOCKMODE mode, bool wait)
{
	LOCKTAG		tag;

	ReadersTag(&tag);
	return LockAcquire(&tag, mode, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

void
ReadersUnlock(LOCKMODE mode)
{
	LOCKTAG		tag;

	ReadersTag(&tag);
	(void) LockRelease(&tag, mode, false);
}
