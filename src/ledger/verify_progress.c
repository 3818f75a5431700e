/*
 * verify_progress.c
 *	  How far a run has come: a NOTICE every five seconds, and a slot in
 *	  shared memory that llm_audit.verify_progress shows.
 *
 * Slots exist if the library was preloaded.  A slot belongs to the backend
 * whose pid it holds; claiming, writing and reading one happens under its
 * spinlock.  A backend that exits in the middle of a run gives its slot back
 * before it leaves shared memory.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "funcapi.h"
#include "ledger/verify.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(llm_audit_verify_progress);

#define PROGRESS_SLOTS		32
#define PROGRESS_COLUMNS	8
#define NOTICE_INTERVAL_MS	5000

/* What a slot shows; plain data, copied under the spinlock. */
typedef struct ProgressFacts
{
	int			pid;			/* 0: free */
	Oid			database;
	Oid			ledger;			/* InvalidOid: all */
	TimestampTz started;
	int			units;
	int			units_done;
	uint64		rows;
	uint64		findings;
	int			workers;
} ProgressFacts;

typedef struct ProgressSlot
{
	slock_t		mutex;
	ProgressFacts facts;
} ProgressSlot;

static ProgressSlot *slots = NULL;
static ProgressSlot *own_slot = NULL;
static int	depth = 0;			/* runs of this backend, one inside another */
static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static void
ProgressShmemRequest(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(MAXALIGN(sizeof(ProgressSlot) * PROGRESS_SLOTS));
}

static void
ProgressShmemStartup(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	slots = ShmemInitStruct("llm_audit verify progress",
							sizeof(ProgressSlot) * PROGRESS_SLOTS, &found);
	for (int i = 0; i < PROGRESS_SLOTS && !found; i++)
	{
		SpinLockInit(&slots[i].mutex);
		memset(&slots[i].facts, 0, sizeof(ProgressFacts));
	}
	LWLockRelease(AddinShmemInitLock);
}

/* Called when the library is loaded; without preloading there are no slots. */
void
VerifyShmemInit(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = ProgressShmemRequest;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = ProgressShmemStartup;
}

/* Gives the slot back; also when the backend exits. */
static void
SlotRelease(int code, Datum arg)
{
	if (own_slot == NULL)
		return;
	SpinLockAcquire(&own_slot->mutex);
	own_slot->facts.pid = 0;
	SpinLockRelease(&own_slot->mutex);
	own_slot = NULL;
}

/* Takes a free slot, if there is one: progress is no reason to fail. */
static void
SlotClaim(const ProgressFacts *facts)
{
	static bool registered = false;

	if (slots == NULL || own_slot != NULL)
		return;
	if (!registered)
		before_shmem_exit(SlotRelease, (Datum) 0);
	registered = true;
	for (int i = 0; i < PROGRESS_SLOTS && own_slot == NULL; i++)
	{
		SpinLockAcquire(&slots[i].mutex);
		if (slots[i].facts.pid == 0)
		{
			slots[i].facts = *facts;
			own_slot = &slots[i];
		}
		SpinLockRelease(&slots[i].mutex);
	}
}

/* What there is to show of the run now. */
static ProgressFacts
FactsOf(const VerifyRun *run)
{
	ProgressFacts facts = {
		.pid = MyProcPid,
		.database = MyDatabaseId,
		.ledger = run->scope.ledger,
		.started = run->started,
		.units = run->job.nunits,
		.units_done = run->nunits_done,
		.rows = Max(run->nrows, run->told_rows),
		.findings = run->nfindings,
		.workers = run->nworkers
	};

	return facts;
}

/* A run begins. */
void
ProgressBegin(const VerifyRun *run)
{
	ProgressFacts facts = FactsOf(run);

	if (depth++ == 0)
		SlotClaim(&facts);
}

/* Shows how far the run is, at most a few times a second. */
void
ProgressUpdate(VerifyRun *run)
{
	TimestampTz now = GetCurrentTimestamp();

	if (own_slot != NULL && depth == 1)
	{
		ProgressFacts facts = FactsOf(run);

		SpinLockAcquire(&own_slot->mutex);
		own_slot->facts = facts;
		SpinLockRelease(&own_slot->mutex);
	}
	if (!TimestampDifferenceExceeds(run->noticed, now, NOTICE_INTERVAL_MS))
		return;
	run->noticed = now;
	ereport(NOTICE,
			(errmsg("verify: %d of %d units done, " UINT64_FORMAT " rows, "
					UINT64_FORMAT " findings",
					run->nunits_done, run->job.nunits,
					Max(run->nrows, run->told_rows), run->nfindings)));
}

/* A run has ended, well or not. */
void
ProgressEnd(void)
{
	if (--depth == 0)
		SlotRelease(0, (Datum) 0);
}

/* Puts one slot into the result. */
static void
ProgressRow(ReturnSetInfo *rsinfo, const ProgressFacts *facts)
{
	Datum		values[PROGRESS_COLUMNS];
	bool		nulls[PROGRESS_COLUMNS] = {0};

	values[0] = Int32GetDatum(facts->pid);
	values[1] = ObjectIdGetDatum(facts->ledger);
	nulls[1] = !OidIsValid(facts->ledger);
	values[2] = TimestampTzGetDatum(facts->started);
	values[3] = Int32GetDatum(facts->units);
	values[4] = Int32GetDatum(facts->units_done);
	values[5] = Int64GetDatum((int64) facts->rows);
	values[6] = Int64GetDatum((int64) facts->findings);
	values[7] = Int32GetDatum(facts->workers);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * llm_audit.verify_progress() -> one row for each run of verify in this
 * database; none if the library was not preloaded.
 */
Datum
llm_audit_verify_progress(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; slots != NULL && i < PROGRESS_SLOTS; i++)
	{
		ProgressFacts facts;

		SpinLockAcquire(&slots[i].mutex);
		facts = slots[i].facts;
		SpinLockRelease(&slots[i].mutex);
		if (facts.pid != 0 && facts.database == MyDatabaseId)
			ProgressRow(rsinfo, &facts);
	}
	return (Datum) 0;
}
