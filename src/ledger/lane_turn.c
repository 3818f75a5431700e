/*
 * lane_turn.c
 *	  How often each lane has been taken, in shared memory: a backend that
 *	  takes a lane again, and nobody else in between, knows where it ends.
 *
 * Who takes a lane counts that while it holds the lane's lock, so the counter
 * stands still as long as nobody can append.  Lanes share counters by their
 * hash; a shared one only makes a backend look at the index that need not.
 * Rows that come with their place, from a dump or from a publisher, take no
 * lane: they count in a counter that belongs to all lanes.
 *
 * The counters exist if the library was preloaded, and begin anew with the
 * server, when nobody remembers an older turn.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "ledger/ledger.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#define TURN_COUNTERS	8192	/* a power of 2 */

typedef struct LaneTurns
{
	pg_atomic_uint64 copies;	/* counts for every lane */
	pg_atomic_uint64 taken[TURN_COUNTERS];
} LaneTurns;

static LaneTurns *turns = NULL;
static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static void
TurnShmemRequest(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(MAXALIGN(sizeof(LaneTurns)));
}

static void
TurnShmemStartup(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	turns = ShmemInitStruct("llm_audit lane turns", sizeof(LaneTurns), &found);
	if (!found)
	{
		pg_atomic_init_u64(&turns->copies, 0);
		for (int i = 0; i < TURN_COUNTERS; i++)
			pg_atomic_init_u64(&turns->taken[i], 0);
	}
	LWLockRelease(AddinShmemInitLock);
}

uint64
LaneTurnTake(Oid leaf, uint32 lane)
{
	uint32		hash;

	if (turns == NULL)
		return 0;
	hash = hash_combine(hash_combine(murmurhash32(leaf), murmurhash32(lane)),
						MyDatabaseId);
	return pg_atomic_add_fetch_u64(&turns->taken[hash % TURN_COUNTERS], 1) +
		pg_atomic_read_u64(&turns->copies);
}

void
LaneTurnCopied(void)
{
	if (turns != NULL)
		(void) pg_atomic_fetch_add_u64(&turns->copies, 1);
}

void
LaneTurnInit(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = TurnShmemRequest;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = TurnShmemStartup;
}
