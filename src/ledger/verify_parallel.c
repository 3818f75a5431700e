/*
 * verify_parallel.c
 *	  Workers: the same units, handed out by a counter in shared memory.
 *
 * The leader puts the plan (segments, units) into a DSM segment.  Workers,
 * and the leader between emptying their queues, take the next unit with an
 * atomic increment.  A worker sends findings and tallies through its own
 * shm_mq, then that the unit is finished; only then do they count, so an
 * error never leaves half of a unit behind.
 *
 * Damaged data raises an error in a worker, which ends the parallel phase.
 * The leader, who runs the phase in a subtransaction, keeps what has been
 * finished, does the units that had been taken row by row itself
 * (verify_careful.c), and starts workers for the rest.
 *
 * CreateParallelContext works on a standby too.  Locks: workers take what
 * units take, AccessShareLock on one leaf and its indexes.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "ledger/verify.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/latch.h"
#include "storage/shm_mq.h"
#include "storage/shm_toc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#define KEY_SHARED		UINT64CONST(0x6c6c6d0000000001)
#define KEY_SEGMENTS	UINT64CONST(0x6c6c6d0000000002)
#define KEY_UNITS		UINT64CONST(0x6c6c6d0000000003)
#define KEY_QUEUES		UINT64CONST(0x6c6c6d0000000004)

#define QUEUE_SIZE		65536

/* At most this long until the leader looks at its queues again. */
#define LEADER_NAP_MS	200

typedef struct VerifyShared
{
	bool		has_range;
	TimestampTz since;
	TimestampTz until;
	int			nsegments;
	int			nunits;
	pg_atomic_uint32 next;		/* unit to be taken next */
	bool		skip[FLEXIBLE_ARRAY_MEMBER];	/* units that are done */
} VerifyShared;

typedef enum MessageKind
{
	MESSAGE_FINDING = 0,
	MESSAGE_TALLY,
	MESSAGE_ROWS,
	MESSAGE_DONE
} MessageKind;

typedef struct Message
{
	MessageKind kind;
	union
	{
		Finding		finding;
		UnitTally	tally;
		uint64		rows;
		int			unit;
	}			body;
} Message;

/* The leader's side of a parallel phase. */
typedef struct ParallelPhase
{
	ParallelContext *pcxt;
	VerifyShared *shared;
	int			nqueues;
	shm_mq_handle **queues;		/* NULL once detached */
	UnitSource *sources;
} ParallelPhase;

/* ---------------- workers ---------------- */

typedef struct WorkerSink
{
	VerifySink	sink;			/* first: callbacks cast back */
	shm_mq_handle *queue;
} WorkerSink;

/* Sends a message; a leader that has gone needs no results. */
static void
WorkerSend(WorkerSink *sink, const Message *message, size_t body)
{
	if (shm_mq_send(sink->queue, offsetof(Message, body) + body, message,
					false, true) != SHM_MQ_SUCCESS)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the leader of verify has gone")));
}

static void
WorkerFinding(VerifySink *sink, const Finding *finding)
{
	Message		message = {.kind = MESSAGE_FINDING};

	message.body.finding = *finding;
	WorkerSend((WorkerSink *) sink, &message, sizeof(Finding));
}

static void
WorkerTally(VerifySink *sink, const UnitTally *tally)
{
	Message		message = {.kind = MESSAGE_TALLY};

	message.body.tally = *tally;
	WorkerSend((WorkerSink *) sink, &message, sizeof(UnitTally));
}

static void
WorkerRows(VerifySink *sink, uint64 rows)
{
	Message		message = {.kind = MESSAGE_ROWS};

	if (rows == 0)
		return;
	message.body.rows = rows;
	WorkerSend((WorkerSink *) sink, &message, sizeof(uint64));
}

/* Takes the next unit that is not done; -1 if there is none. */
static int
UnitTake(VerifyShared *shared)
{
	for (;;)
	{
		uint32		unit = pg_atomic_fetch_add_u32(&shared->next, 1);

		if (unit >= (uint32) shared->nunits)
			return -1;
		if (!shared->skip[unit])
			return (int) unit;
	}
}

extern PGDLLEXPORT void VerifyWorkerMain(dsm_segment *seg, shm_toc *toc);

/* Entry point of a worker; the name is given to CreateParallelContext. */
void
VerifyWorkerMain(dsm_segment *seg, shm_toc *toc)
{
	VerifyShared *shared = shm_toc_lookup(toc, KEY_SHARED, false);
	char	   *queues = shm_toc_lookup(toc, KEY_QUEUES, false);
	shm_mq	   *queue = (shm_mq *) (queues + ParallelWorkerNumber * QUEUE_SIZE);
	WorkerSink	sink = {{WorkerFinding, WorkerTally, WorkerRows}, NULL};
	VerifyJob	job = {0};
	int			unit;

	LedgerIsOwnWorker = true;	/* it lives for this verification only */
	shm_mq_set_sender(queue, MyProc);
	sink.queue = shm_mq_attach(queue, seg, NULL);
	job.snapshot = GetActiveSnapshot();
	job.has_range = shared->has_range;
	job.since = shared->since;
	job.until = shared->until;
	job.nsegments = shared->nsegments;
	job.segments = shm_toc_lookup(toc, KEY_SEGMENTS, false);
	job.nunits = shared->nunits;
	job.units = shm_toc_lookup(toc, KEY_UNITS, false);
	while ((unit = UnitTake(shared)) >= 0)
	{
		Message		message = {.kind = MESSAGE_DONE};

		CHECK_FOR_INTERRUPTS();
		VerifyUnitRun(&job, &job.units[unit], &sink.sink);
		message.body.unit = unit;
		WorkerSend(&sink, &message, sizeof(int));
	}
	shm_mq_detach(sink.queue);
}

/* ---------------- the leader ---------------- */

/* Acts on a worker's message. */
static void
MessageApply(UnitSource *source, const Message *message)
{
	switch (message->kind)
	{
		case MESSAGE_FINDING:
			source->sink.finding(&source->sink, &message->body.finding);
			break;
		case MESSAGE_TALLY:
			source->sink.tally(&source->sink, &message->body.tally);
			break;
		case MESSAGE_ROWS:
			source->sink.rows(&source->sink, message->body.rows);
			break;
		case MESSAGE_DONE:
			UnitSourceCommit(source, message->body.unit);
			break;
	}
}

/* Takes what the queues hold; true if one of them is still attached. */
static bool
QueuesDrain(ParallelPhase *phase)
{
	bool		attached = false;

	for (int i = 0; i < phase->nqueues; i++)
	{
		shm_mq_result result = SHM_MQ_DETACHED;
		Size		size;
		void	   *data;

		while (phase->queues[i] != NULL &&
			   (result = shm_mq_receive(phase->queues[i], &size, &data,
										true)) == SHM_MQ_SUCCESS)
		{
			Message		message;

			CHECK_FOR_INTERRUPTS();
			memcpy(&message, data, Min(size, sizeof(message)));
			MessageApply(&phase->sources[i], &message);
		}
		if (phase->queues[i] != NULL && result == SHM_MQ_DETACHED)
		{
			shm_mq_detach(phase->queues[i]);
			phase->queues[i] = NULL;
		}
		attached |= phase->queues[i] != NULL;
	}
	return attached;
}

/* Called now and then while the leader does a unit of its own. */
static void
LeaderPoll(VerifyRun *run)
{
	(void) QueuesDrain(run->poll_arg);
}

/* Reserves room in the DSM segment. */
static void
PhaseEstimate(ParallelPhase *phase, const VerifyJob *job, int nworkers)
{
	shm_toc_estimator *e = &phase->pcxt->estimator;

	shm_toc_estimate_chunk(e, offsetof(VerifyShared, skip) + job->nunits);
	shm_toc_estimate_chunk(e, mul_size(sizeof(VerifySegment), job->nsegments));
	shm_toc_estimate_chunk(e, mul_size(sizeof(VerifyUnit), job->nunits));
	shm_toc_estimate_chunk(e, mul_size(QUEUE_SIZE, nworkers));
	shm_toc_estimate_keys(e, 4);
}

/* Puts the plan into the DSM segment. */
static void
PhaseFill(ParallelPhase *phase, const VerifyRun *run)
{
	shm_toc    *toc = phase->pcxt->toc;
	const VerifyJob *job = &run->job;
	VerifyShared *shared;
	void	   *copy;

	shared = shm_toc_allocate(toc, offsetof(VerifyShared, skip) + job->nunits);
	shared->has_range = job->has_range;
	shared->since = job->since;
	shared->until = job->until;
	shared->nsegments = job->nsegments;
	shared->nunits = job->nunits;
	pg_atomic_init_u32(&shared->next, 0);
	memcpy(shared->skip, run->done, job->nunits);
	shm_toc_insert(toc, KEY_SHARED, shared);
	phase->shared = shared;

	copy = shm_toc_allocate(toc, mul_size(sizeof(VerifySegment),
										  job->nsegments));
	memcpy(copy, job->segments, sizeof(VerifySegment) * job->nsegments);
	shm_toc_insert(toc, KEY_SEGMENTS, copy);
	copy = shm_toc_allocate(toc, mul_size(sizeof(VerifyUnit), job->nunits));
	memcpy(copy, job->units, sizeof(VerifyUnit) * job->nunits);
	shm_toc_insert(toc, KEY_UNITS, copy);
}

/* Makes a queue for each worker. */
static void
PhaseMakeQueues(ParallelPhase *phase)
{
	ParallelContext *pcxt = phase->pcxt;
	char	   *space = shm_toc_allocate(pcxt->toc,
										 mul_size(QUEUE_SIZE, pcxt->nworkers));

	shm_toc_insert(pcxt->toc, KEY_QUEUES, space);
	phase->queues = palloc0(sizeof(shm_mq_handle *) * pcxt->nworkers);
	for (int i = 0; i < pcxt->nworkers; i++)
	{
		shm_mq	   *mq = shm_mq_create(space + i * QUEUE_SIZE, QUEUE_SIZE);

		shm_mq_set_receiver(mq, MyProc);
		phase->queues[i] = shm_mq_attach(mq, pcxt->seg, NULL);
	}
}

/* Starts the workers; those that the server cannot give have no queue. */
static void
PhaseLaunch(ParallelPhase *phase, VerifyRun *run)
{
	ParallelContext *pcxt = phase->pcxt;

	LaunchParallelWorkers(pcxt);
	phase->nqueues = pcxt->nworkers_launched;
	for (int i = 0; i < phase->nqueues; i++)
		shm_mq_set_handle(phase->queues[i], pcxt->worker[i].bgwhandle);
	run->nworkers = Max(run->nworkers, phase->nqueues);
}

/*
 * Checks the catalogs while the workers have begun, does units itself, then
 * waits for the workers to finish theirs.
 */
static void
PhaseRun(ParallelPhase *phase, VerifyRun *run)
{
	int			unit;

	VerifyCatalogBeside(run);
	run->poll = LeaderPoll;
	run->poll_arg = phase;
	while ((unit = UnitTake(phase->shared)) >= 0)
	{
		CHECK_FOR_INTERRUPTS();
		VerifyUnitRun(&run->job, &run->job.units[unit], &run->own.sink);
		UnitSourceCommit(&run->own, unit);
		(void) QueuesDrain(phase);
	}
	while (QueuesDrain(phase))
	{
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 LEADER_NAP_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		ProgressUpdate(run);
	}
	WaitForParallelWorkersToFinish(phase->pcxt);
}

typedef struct PhaseAttempt
{
	VerifyRun  *run;
	int			nworkers;
	uint32		taken;			/* units handed out before it failed */
	ParallelPhase phase;
} PhaseAttempt;

/* What VerifyAttempt runs: one parallel phase, from begin to end. */
static void
PhaseWork(void *arg)
{
	PhaseAttempt *attempt = arg;
	ParallelPhase *phase = &attempt->phase;

	EnterParallelMode();
	phase->pcxt = CreateParallelContext("$libdir/llm_audit",
										"VerifyWorkerMain",
										attempt->nworkers);
	PhaseEstimate(phase, &attempt->run->job, attempt->nworkers);
	InitializeParallelDSM(phase->pcxt);
	PhaseFill(phase, attempt->run);
	if (phase->pcxt->nworkers > 0)
	{
		PhaseMakeQueues(phase);
		PhaseLaunch(phase, attempt->run);
	}
	PG_TRY();
	{
		PhaseRun(phase, attempt->run);
	}
	PG_CATCH();
	{
		/* the plan is about to be unmapped */
		attempt->taken = pg_atomic_read_u32(&phase->shared->next);
		PG_RE_THROW();
	}
	PG_END_TRY();
	DestroyParallelContext(phase->pcxt);
	ExitParallelMode();
}

/*
 * Runs the units that are not done with up to nworkers workers.  If damage
 * ends the phase early, the units that had been taken are done carefully, so
 * that each call makes progress.  What belongs to the sources must outlive
 * the subtransaction, so they are made outside it.
 */
void
RunUnitsInParallel(VerifyRun *run, int nworkers)
{
	PhaseAttempt attempt = {.run = run,.nworkers = nworkers};
	UnitSource *sources = palloc0(sizeof(UnitSource) * nworkers);
	const char *why;

	for (int i = 0; i < nworkers; i++)
		UnitSourceInit(&sources[i], run);
	attempt.phase.sources = sources;
	why = VerifyAttempt(PhaseWork, &attempt);
	run->poll = NULL;
	UnitSourceReset(&run->own);
	for (int i = 0; i < nworkers; i++)
		tuplestore_end(sources[i].pending);
	pfree(sources);
	if (why == NULL)
		return;
	for (int i = 0; i < run->job.nunits && i < (int) attempt.taken; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!run->done[i])
			VerifyUnitCarefully(run, i);
	}
}
