/*
 * ring.c
 *	  The queue of records in shared memory, one for each database.
 *
 * A ring is a buffer of entries of any size between tail and head, two
 * counters of bytes that only grow; an entry never wraps, so that it can be
 * read in place.  Readers append at the head; the one worker of the database
 * reads on from where it stands, commits, and only then moves the tail: what
 * it had not committed when it died is still there for its successor.
 *
 * Locks.  The ring's LWLock is held exclusively to append, to move the tail
 * and to change the ring's other fields; nothing is done under it but copying
 * memory.  What is between tail and head changes no more,
 * but for the state of an entry, which is atomic: a reader that gives up
 * turns PENDING into ABANDONED, the worker PENDING into TAKEN, so that only
 * one of them succeeds.
 *
 * Answers.  Each process has one slot in which the worker says what became of
 * the entry that it waits for: the result first, then the ticket, which is
 * never used twice.  The slot's latch is set after that.
 */
#include "postgres.h"

#include "access/access.h"
#include "access/twophase.h"
#include "access/xlog.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "portability/instr_time.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"
#include "utils/varlena.h"

#define BATCH_BYTES		(1024 * 1024)
#define BATCH_ENTRIES	1000
#define ANSWER_REFUSED	(-1)	/* no SQLSTATE */

typedef struct Answer
{
	pg_atomic_uint64 ticket;
	int			sqlstate;		/* 0: flushed, or ANSWER_REFUSED */
} Answer;

struct AccessRing
{
	NameData	database;
	LWLock	   *lock;
	ConditionVariable room;		/* the tail has moved */

	uint64		head;
	uint64		tail;
	uint64		taken;			/* how far the worker has read */
	uint64		next_ticket;

	bool		exists;			/* the database, as the watcher has found */
	bool		absent;			/* it has not found it */
	int			worker;			/* its process number, or -1 */
	int			worker_pid;
	bool		asleep;			/* the worker wants to hear of any entry */
	bool		urgent;			/* a reader waits for what is not taken yet */
	TimestampTz worker_lost;	/* since when there is no worker */
	TimestampTz paused_until;

	uint64		recorded;
	uint64		commits;
	uint64		failed;
	uint64		abandoned;
	pg_atomic_uint64 lost_logins;	/* counted without the lock */
	int			last_error;

	Size		size;
	char	   *buffer;
	Answer	   *answers;		/* by process number */
};

typedef struct RingShared
{
	pg_uuid_t	boot;
	int			watcher;		/* its process number, or -1 */
	int			count;
	AccessRing	rings[RINGS_MAX];
} RingShared;

static RingShared *shared = NULL;
static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

PG_FUNCTION_INFO_V1(llm_audit_access_status);

/* ---------------- making them ---------------- */

/* Process numbers are below this. */
static int
ProcessCount(void)
{
	return MaxBackends + NUM_AUXILIARY_PROCS + max_prepared_xacts;
}

/* The names in llm_audit.databases; at most RINGS_MAX. */
static List *
DatabaseNames(void)
{
	List	   *names = NIL;
	char	   *copy = pstrdup(access_databases ? access_databases : "");

	/* the check hook has seen to it that this works */
	if (!SplitIdentifierString(copy, ',', &names))
		return NIL;
	return names;
}

int
RingNameCount(void)
{
	return list_length(DatabaseNames());
}

static Size
RingBytes(void)
{
	return MAXALIGN((Size) access_queue_size * 1024) +
		MAXALIGN(ProcessCount() * sizeof(Answer));
}

static void
RingShmemRequest(void)
{
	int			count = list_length(DatabaseNames());

	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(MAXALIGN(sizeof(RingShared)) +
						   count * RingBytes());
	RequestNamedLWLockTranche("llm_audit_access", Max(count, 1));
}

/* An empty ring whose buffer and answers begin at memory. */
static void
RingReset(AccessRing *ring, const char *database, LWLock *lock, char *memory)
{
	memset(ring, 0, sizeof(*ring));
	namestrcpy(&ring->database, database);
	ring->lock = lock;
	ConditionVariableInit(&ring->room);
	ring->next_ticket = 1;
	pg_atomic_init_u64(&ring->lost_logins, 0);
	ring->worker = -1;
	ring->worker_lost = GetCurrentTimestamp();
	ring->size = MAXALIGN((Size) access_queue_size * 1024);
	ring->buffer = memory;
	ring->answers = (Answer *) (memory + ring->size);
	for (int i = 0; i < ProcessCount(); i++)
	{
		pg_atomic_init_u64(&ring->answers[i].ticket, 0);
		ring->answers[i].sqlstate = 0;
	}
}

/* Makes the rings, or finds those of the postmaster. */
static void
RingShmemStartup(void)
{
	bool		found;
	List	   *names = DatabaseNames();
	LWLockPadded *locks = GetNamedLWLockTranche("llm_audit_access");
	char	   *memory;
	ListCell   *lc;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("llm_audit access",
							 MAXALIGN(sizeof(RingShared)) +
							 list_length(names) * RingBytes(), &found);
	if (!found)
	{
		memory = (char *) shared + MAXALIGN(sizeof(RingShared));
		shared->watcher = -1;
		shared->count = 0;
		if (!pg_strong_random(shared->boot.data, UUID_LEN))
			ereport(ERROR,
					(errmsg("could not generate random values")));
		shared->boot.data[6] = 0x40 | (shared->boot.data[6] & 0x0f);
		shared->boot.data[8] = 0x80 | (shared->boot.data[8] & 0x3f);
		foreach(lc, names)
		{
			RingReset(&shared->rings[shared->count], lfirst(lc),
					  &locks[shared->count].lock, memory);
			shared->count++;
			memory += RingBytes();
		}
	}
	LWLockRelease(AddinShmemInitLock);
}

void
RingInit(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = RingShmemRequest;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = RingShmemStartup;
}

int
RingCount(void)
{
	return shared == NULL ? 0 : shared->count;
}

AccessRing *
RingByNumber(int number)
{
	return number < RingCount() ? &shared->rings[number] : NULL;
}

AccessRing *
RingOf(const char *database)
{
	for (int i = 0; i < RingCount(); i++)
	{
		if (strcmp(NameStr(shared->rings[i].database), database) == 0)
			return &shared->rings[i];
	}
	return NULL;
}

const pg_uuid_t *
RingBoot(void)
{
	return &shared->boot;
}

const char *
RingDatabase(AccessRing *ring)
{
	return NameStr(ring->database);
}

/* ---------------- appending ---------------- */

/* The entry at a counter of bytes. */
static RingEntry *
EntryAt(AccessRing *ring, uint64 position)
{
	return (RingEntry *) (ring->buffer + position % ring->size);
}

/* Wakes a process by its number, if it is one. */
static void
WakeProcess(int number)
{
	if (number >= 0)
		SetLatch(&GetPGProcByNumber(number)->procLatch);
}

/* Fills up to the end of the buffer if an entry of this size would wrap. */
static void
PutPad(AccessRing *ring, uint32 size)
{
	uint64		left = ring->size - ring->head % ring->size;
	RingEntry  *pad = EntryAt(ring, ring->head);

	if (left >= size)
		return;

	/* what is too short for a header is passed over by whoever reads */
	if (left >= sizeof(RingEntry))
	{
		pad->size = left;
		pad->kind = ENTRY_PAD;
	}
	ring->head += left;
}

/*
 * Appends a message if there is room; returns its ticket, or 0.  Called with
 * the lock held; the caller wakes the process *wake when it has let go of it,
 * for whoever is woken wants the lock.
 */
static uint64
AppendEntry(AccessRing *ring, const RingMessage *message, int waiter,
			int *wake)
{
	uint32		size = MAXALIGN(sizeof(RingEntry)) + MAXALIGN(message->length);
	uint64		left = ring->size - ring->head % ring->size;
	RingEntry  *entry;

	if (ring->head - ring->tail + size + (left < size ? left : 0) > ring->size)
		return 0;
	PutPad(ring, size);
	entry = EntryAt(ring, ring->head);
	entry->size = size;
	entry->length = message->length;
	entry->kind = message->kind;
	pg_atomic_init_u32(&entry->state, ENTRY_PENDING);
	entry->waiter = waiter;
	entry->attempts = 0;
	entry->ticket = ring->next_ticket++;
	entry->id = message->id;
	memcpy(ENTRY_PAYLOAD(entry), message->payload, message->length);
	ring->head += size;

	/* an entry that nobody waits for wakes a worker only from deep sleep */
	if (waiter >= 0)
		ring->urgent = true;
	if (waiter >= 0 || ring->asleep)
		*wake = ring->worker;
	ring->asleep = false;
	return entry->ticket;
}

/* Appends under the lock; *position is where, to find the entry again. */
static uint64
TryAppend(AccessRing *ring, const RingMessage *message, int waiter,
		  uint64 *position)
{
	uint64		ticket;
	int			wake = -1;

	LWLockAcquire(ring->lock, LW_EXCLUSIVE);
	ticket = AppendEntry(ring, message, waiter, &wake);
	*position = ring->head - (MAXALIGN(sizeof(RingEntry)) +
							  MAXALIGN(message->length));
	LWLockRelease(ring->lock);
	WakeProcess(wake);
	return ticket;
}

/* The error for a ring without a worker. */
static void
RefuseWithoutWorker(AccessRing *ring)
{
	bool		paused = ring->paused_until > GetCurrentTimestamp();

	ereport(ERROR,
			(errcode(ERRCODE_CANNOT_CONNECT_NOW),
			 errmsg("audit data cannot be read: the access writer of database \"%s\" is %s",
					NameStr(ring->database), paused ? "paused" : "not running"),
			 paused ?
			 errhint("It comes back by itself when the time given to llm_audit.pause_workers() is over.") :
			 errhint("It is started again by itself; if it stays away, the server log says why (max_worker_processes may be too small).")));
}

/* The error for a ring that stays full. */
static void
RefuseFull(AccessRing *ring)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("audit data cannot be read: the queue of the access log is full"),
			 errhint("The access writer does not keep up, or cannot write; see llm_audit.access_status(). The size of the queue is \"%s\".",
					 "llm_audit.access_queue")));
}

/*
 * How much of the time that a record may take is left, in ms.  Not by the
 * time of day: that may step.
 */
static long
TimeLeft(instr_time since)
{
	instr_time	elapsed;

	INSTR_TIME_SET_CURRENT(elapsed);
	INSTR_TIME_SUBTRACT(elapsed, since);
	return access_timeout - (long) INSTR_TIME_GET_MILLISEC(elapsed);
}

/*
 * Appends, waiting for room for as long as a record may take.  Raises an
 * error if there is none by then.
 */
static uint64
AppendOrWait(AccessRing *ring, const RingMessage *message,
			 instr_time since, uint64 *position)
{
	uint64		ticket;

	ticket = TryAppend(ring, message, MyProcNumberOf(MyProc), position);
	if (ticket != 0)
		return ticket;
	ConditionVariablePrepareToSleep(&ring->room);
	while ((ticket = TryAppend(ring, message, MyProcNumberOf(MyProc),
							   position)) == 0)
	{
		if (TimeLeft(since) <= 0)
			break;
		ConditionVariableTimedSleep(&ring->room, 100, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
	if (ticket == 0)
		RefuseFull(ring);
	return ticket;
}

/* Gives up on an entry; false if the worker has it already. */
static bool
Abandon(AccessRing *ring, uint64 position, uint64 ticket)
{
	RingEntry  *entry;
	uint32		expected = ENTRY_PENDING;
	bool		abandoned = false;

	LWLockAcquire(ring->lock, LW_EXCLUSIVE);
	if (position >= ring->tail)
	{
		entry = EntryAt(ring, position);
		abandoned = entry->ticket == ticket &&
			pg_atomic_compare_exchange_u32(&entry->state, &expected,
										   ENTRY_ABANDONED);
	}
	ring->abandoned += abandoned;
	LWLockRelease(ring->lock);
	return abandoned;
}

/* Waits for the worker's answer; false if there is none in time. */
static bool
AwaitAnswer(AccessRing *ring, uint64 ticket, instr_time since,
			int *sqlstate)
{
	Answer	   *answer = &ring->answers[MyProcNumberOf(MyProc)];

	for (;;)
	{
		long		left;

		if (pg_atomic_read_u64(&answer->ticket) == ticket)
		{
			pg_read_barrier();
			*sqlstate = answer->sqlstate;
			return true;
		}
		left = TimeLeft(since);
		if (left <= 0)
			return false;
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 Min(left, 1000), PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* The error for a record that the worker could not write. */
static void
RefuseUnwritten(int sqlstate)
{
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("audit data cannot be read: the record of the read could not be written"),
			 errdetail("The access writer failed with SQLSTATE %s; the server log says more.",
					   unpack_sql_state(sqlstate))));
}

/* The error for a record that has not been written in time. */
static void
RefuseLate(AccessRing *ring)
{
	if (ring->worker < 0)
		RefuseWithoutWorker(ring);
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("audit data cannot be read: the record of the read was not written in time"),
			 errhint("The limit is \"%s\". A synchronous standby may be missing, or the disk be slow.",
					 "llm_audit.access_timeout")));
}

/*
 * Waits for the answer; on error, or without one in time, gives the entry up
 * and says in *written whether the worker has it already.
 */
static pg_noinline bool
AwaitOrAbandon(AccessRing *ring, uint64 position, uint64 ticket,
			   instr_time since, int *sqlstate, bool *written)
{
	bool		answered;

	PG_TRY();
	{
		answered = AwaitAnswer(ring, ticket, since, sqlstate);
	}
	PG_CATCH();
	{
		*written = !Abandon(ring, position, ticket);
		PG_RE_THROW();
	}
	PG_END_TRY();
	*written = answered ? *sqlstate == 0 : !Abandon(ring, position, ticket);
	return answered;
}

/*
 * True if a worker that is not there may come back in time.  Under the lock,
 * since one that leaves says so, and since when, in two steps.  The caller is
 * connected to the database, so a watcher that has not found it looked before
 * it was made.
 */
static bool
WorkerMayCome(AccessRing *ring)
{
	TimestampTz now;
	bool		absent;
	bool		comes;

	/* before the watcher has started there can be no worker */
	if (shared->watcher < 0)
		return true;
	LWLockAcquire(ring->lock, LW_SHARED);
	now = GetCurrentTimestamp();
	absent = ring->absent;
	comes = ring->worker >= 0 ||
		(ring->paused_until <= now &&
		 (absent ||
		  !TimestampDifferenceExceeds(Max(ring->worker_lost,
										  ring->paused_until),
									  now, access_timeout)));
	LWLockRelease(ring->lock);
	if (absent)
		WakeProcess(shared->watcher);
	return comes;
}

/* Puts a message into the ring and waits for what becomes of it. */
static int
PutAndAwait(AccessRing *ring, const RingMessage *message, bool *written)
{
	instr_time	since;
	uint64		ticket;
	uint64		position;
	int			sqlstate = 0;

	*written = false;
	INSTR_TIME_SET_CURRENT(since);
	if (ring->worker < 0 && !WorkerMayCome(ring))
		RefuseWithoutWorker(ring);
	ticket = AppendOrWait(ring, message, since, &position);
	if (!AwaitOrAbandon(ring, position, ticket, since, &sqlstate, written))
		RefuseLate(ring);
	if (sqlstate != 0 && sqlstate != ANSWER_REFUSED)
		RefuseUnwritten(sqlstate);
	return sqlstate;
}

void
RingRecord(AccessRing *ring, const RingMessage *message, bool *written)
{
	if (PutAndAwait(ring, message, written) == ANSWER_REFUSED)
		elog(ERROR, "the access writer has refused a record");
}

bool
RingAsk(AccessRing *ring, const RingMessage *message)
{
	bool		written;

	return PutAndAwait(ring, message, &written) != ANSWER_REFUSED;
}

bool
RingPost(AccessRing *ring, const RingMessage *message, int wait_ms)
{
	uint64		position;

	for (;;)
	{
		if (TryAppend(ring, message, -1, &position) != 0)
			return true;
		if (wait_ms <= 0)
			return false;
		pg_usleep(10000L);
		wait_ms -= 10;
	}
}

bool
RingPostLogin(AccessRing *ring, const RingMessage *message)
{
	bool		posted = false;
	int			wake = -1;

	for (int i = 0; i < 10; i++)
	{
		if (LWLockConditionalAcquire(ring->lock, LW_EXCLUSIVE))
		{
			posted = AppendEntry(ring, message, -1, &wake) != 0;
			LWLockRelease(ring->lock);
			WakeProcess(wake);
			break;
		}
		pg_usleep(100L);
	}
	if (!posted)
		pg_atomic_fetch_add_u64(&ring->lost_logins, 1);
	return posted;
}

/* ---------------- the worker ---------------- */

/* Says that the worker has gone; as it leaves shared memory. */
static void
RingDetach(int code, Datum arg)
{
	AccessRing *ring = (AccessRing *) DatumGetPointer(arg);

	LWLockAcquire(ring->lock, LW_EXCLUSIVE);
	ring->worker = -1;
	ring->worker_pid = 0;
	ring->worker_lost = GetCurrentTimestamp();
	LWLockRelease(ring->lock);
}

/* Has the watcher look for the database anew. */
void
RingAskWatcher(AccessRing *ring)
{
	LWLockAcquire(ring->lock, LW_EXCLUSIVE);
	ring->exists = false;
	LWLockRelease(ring->lock);
	WakeProcess(shared->watcher);
}

void
RingAttach(AccessRing *ring)
{
	before_shmem_exit(RingDetach, PointerGetDatum(ring));
	LWLockAcquire(ring->lock, LW_EXCLUSIVE);
	ring->worker = MyProcNumberOf(MyProc);
	ring->worker_pid = MyProcPid;
	ring->taken = ring->tail;
	LWLockRelease(ring->lock);
}

/* The position after padding, where the next entry is. */
static uint64
SkipPad(AccessRing *ring, uint64 position)
{
	uint64		left = ring->size - position % ring->size;

	if (left < sizeof(RingEntry))
		return position + left;
	if (EntryAt(ring, position)->kind == ENTRY_PAD)
		return position + EntryAt(ring, position)->size;
	return position;
}

/*
 * Takes an entry for the batch; false if it is done or abandoned.  One that
 * was taken already is from before, or to be tried again: it may have been
 * committed.
 */
static bool
TakeEntry(RingEntry *entry, bool *recovered)
{
	uint32		expected = ENTRY_PENDING;

	if (pg_atomic_compare_exchange_u32(&entry->state, &expected, ENTRY_TAKEN))
		return true;
	if (expected == ENTRY_TAKEN)
		*recovered = true;
	return expected == ENTRY_TAKEN;
}

/*
 * RingTake: fills batch with what is between tail and head, up to a limit: the
 * entries that somebody waits for, or the others; false if that is nothing.
 * Allocates in the current context.
 */
bool
RingTake(AccessRing *ring, bool waited, RingBatch *batch)
{
	uint64		head;
	uint64		position;
	uint64		limit;

	LWLockAcquire(ring->lock, LW_EXCLUSIVE);
	head = ring->head;
	position = ring->tail;
	if (waited)
		ring->urgent = false;
	LWLockRelease(ring->lock);

	memset(batch, 0, sizeof(*batch));
	batch->waited = waited;
	batch->entries = palloc(BATCH_ENTRIES * sizeof(RingEntry *));
	limit = position + BATCH_BYTES;
	while (position < head && position < limit &&
		   batch->count < BATCH_ENTRIES)
	{
		RingEntry  *entry;

		position = SkipPad(ring, position);
		if (position >= head)
			break;
		entry = EntryAt(ring, position);
		position += entry->size;
		if ((entry->waiter >= 0) == waited &&
			TakeEntry(entry, &batch->recovered))
			batch->entries[batch->count++] = entry;
	}
	ring->taken = position;
	if (position < head)
		SetLatch(MyLatch);		/* there is more */
	batch->errors = palloc0(Max(batch->count, 1) * sizeof(int));
	batch->waiters = palloc(Max(batch->count, 1) * sizeof(int));
	batch->refused = palloc0(Max(batch->count, 1) * sizeof(bool));
	batch->keep = palloc0(Max(batch->count, 1) * sizeof(bool));
	return batch->count > 0 || position > ring->tail;
}

/* Moves the tail over what is done; called with the lock held. */
static void
MoveTail(AccessRing *ring)
{
	while (ring->tail < ring->taken)
	{
		uint64		position = SkipPad(ring, ring->tail);
		RingEntry  *entry;
		uint32		state;

		if (position >= ring->taken)
		{
			ring->tail = position;
			break;
		}
		entry = EntryAt(ring, position);
		state = pg_atomic_read_u32(&entry->state);
		if (state != ENTRY_DONE && state != ENTRY_ABANDONED)
			break;
		ring->tail = position + entry->size;
	}
}

/* Tells the process that waits for an entry; returns which that is, or -1. */
static int
AnswerEntry(AccessRing *ring, RingEntry *entry, int sqlstate)
{
	int			waiter = entry->waiter;
	Answer	   *answer;

	if (waiter < 0)
		return -1;
	answer = &ring->answers[waiter];
	answer->sqlstate = sqlstate;
	pg_write_barrier();
	pg_atomic_write_u64(&answer->ticket, entry->ticket);
	entry->waiter = -1;
	return waiter;
}

/*
 * RingFinish: what is written or given up leaves the ring; whoever waits is
 * told.  commits says how many transactions it took.
 */
void
RingFinish(AccessRing *ring, RingBatch *batch, int commits)
{
	LWLockAcquire(ring->lock, LW_EXCLUSIVE);
	for (int i = 0; i < batch->count; i++)
	{
		RingEntry  *entry = batch->entries[i];

		batch->waiters[i] = AnswerEntry(ring, entry, batch->refused[i] ?
										ANSWER_REFUSED : batch->errors[i]);
		if (!batch->keep[i])
			pg_atomic_write_u32(&entry->state, ENTRY_DONE);
		if (batch->refused[i])
			ring->abandoned++;
		else if (batch->errors[i] == 0)
			ring->recorded++;
		else
		{
			ring->last_error = batch->errors[i];
			if (!batch->keep[i])
				ring->failed++;
		}
	}
	ring->commits += commits;
	MoveTail(ring);
	LWLockRelease(ring->lock);
	for (int i = 0; i < batch->count; i++)
		WakeProcess(batch->waiters[i]);
	ConditionVariableBroadcast(&ring->room);
}

bool
RingPending(AccessRing *ring, bool *urgent)
{
	bool		pending;

	LWLockAcquire(ring->lock, LW_SHARED);
	pending = ring->tail < ring->head;
	*urgent = ring->urgent;
	LWLockRelease(ring->lock);
	return pending;
}

bool
RingSleep(AccessRing *ring)
{
	bool		asleep;

	LWLockAcquire(ring->lock, LW_EXCLUSIVE);
	asleep = ring->head == ring->tail;
	ring->asleep = asleep;
	LWLockRelease(ring->lock);
	return asleep;
}

/* ---------------- the watcher, and whoever asks ---------------- */

/* Recovery may have taken long: it is from now on that workers are missing. */
void
RingSetWatcher(void)
{
	for (int i = 0; i < shared->count; i++)
	{
		AccessRing *ring = &shared->rings[i];

		LWLockAcquire(ring->lock, LW_EXCLUSIVE);
		if (ring->worker < 0)
			ring->worker_lost = GetCurrentTimestamp();
		LWLockRelease(ring->lock);
	}
	shared->watcher = MyProcNumberOf(MyProc);
}

bool
RingDatabaseExists(AccessRing *ring)
{
	return ring->exists;
}

/*
 * Called by the watcher.  The writer of a database that has appeared comes by
 * and by: only from now on is it missing.
 */
void
RingSetDatabase(AccessRing *ring, bool exists)
{
	LWLockAcquire(ring->lock, LW_EXCLUSIVE);
	if (exists && ring->absent)
		ring->worker_lost = GetCurrentTimestamp();
	ring->exists = exists;
	ring->absent = !exists;
	LWLockRelease(ring->lock);
}

TimestampTz
RingPausedUntil(AccessRing *ring)
{
	return ring->paused_until;
}

bool
RingPause(AccessRing *ring, TimestampTz until)
{
	bool		had_worker;

	LWLockAcquire(ring->lock, LW_EXCLUSIVE);
	/* where a pause is cut short, a worker is missing from now on only */
	ring->paused_until = Max(until, GetCurrentTimestamp());
	had_worker = ring->worker >= 0;
	WakeProcess(ring->worker);
	LWLockRelease(ring->lock);
	WakeProcess(shared->watcher);
	return had_worker;
}

bool
RingHasWorker(AccessRing *ring)
{
	return ring->worker >= 0;
}

AccessRing *
RingMine(void)
{
	static AccessRing *mine = NULL;
	static bool looked = false;
	char	   *name;

	if (looked || shared == NULL || !OidIsValid(MyDatabaseId))
		return mine;
	name = get_database_name(MyDatabaseId);
	if (name == NULL)
		return NULL;
	/* a database is not renamed while somebody is connected to it */
	mine = RingOf(name);
	looked = true;
	pfree(name);
	return mine;
}

/* The state that access_status() shows. */
static const char *
StateName(const AccessRing *ring)
{
	if (ring->paused_until > GetCurrentTimestamp())
		return "paused";
	if (ring->worker >= 0)
		return "running";
	return ring->exists ? "starting" : "absent";
}

/* One row of access_status(). */
static void
PutStatus(ReturnSetInfo *rsinfo, AccessRing *ring)
{
	Datum		values[10];
	bool		nulls[10] = {false};

	LWLockAcquire(ring->lock, LW_SHARED);
	values[0] = NameGetDatum(&ring->database);
	values[1] = CStringGetTextDatum(StateName(ring));
	values[2] = Int32GetDatum(ring->worker_pid);
	nulls[2] = ring->worker < 0;
	values[3] = Int32GetDatum((int32) (ring->next_ticket - 1 -
									   ring->recorded - ring->failed -
									   ring->abandoned));
	values[4] = Int64GetDatum((int64) ring->recorded);
	values[5] = Int64GetDatum((int64) ring->commits);
	values[6] = Int64GetDatum((int64) ring->failed);
	values[7] = Int64GetDatum((int64) pg_atomic_read_u64(&ring->lost_logins));
	values[8] = TimestampTzGetDatum(ring->paused_until);
	nulls[8] = ring->paused_until <= GetCurrentTimestamp();
	nulls[9] = ring->last_error == 0;
	values[9] = nulls[9] ? (Datum) 0 :
		CStringGetTextDatum(unpack_sql_state(ring->last_error));
	LWLockRelease(ring->lock);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * llm_audit.access_status() -> TABLE (...)
 *		One row for each database that has an access writer.
 */
Datum
llm_audit_access_status(PG_FUNCTION_ARGS)
{
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < RingCount(); i++)
		PutStatus((ReturnSetInfo *) fcinfo->resultinfo, &shared->rings[i]);
	return (Datum) 0;
}
