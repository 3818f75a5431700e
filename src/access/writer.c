/*
 * writer.c
 *	  The access writer: the one process that writes the access log of a
 *	  database; and the watcher, which tells the writers of databases that
 *	  come and go.
 *
 * Each database of llm_audit.databases has a writer of its own for as long as
 * the server runs, so that its place among max_worker_processes is never
 * taken by somebody else.  It connects when the watcher has seen its database
 * and serves it for life; it lets go of it (by ending, and being started
 * again without connecting) for pause_workers().
 *
 * A transaction takes all that somebody waits for, so that one flush serves
 * all of them; what nobody waits for follows in one of its own, which does
 * not wait for its flush either, while readers go on.  A batch that fails is
 * tried entry by entry, unless the error is one of the machine's, which would
 * hit each of them.  Nobody who waits for an entry is told of success before
 * the commit is flushed.  What nobody waits for (outcomes, rows seen) is tried
 * again a few times.
 */
#include "postgres.h"

#include "access/access.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_database.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "replication/syncrep.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

PGDLLEXPORT void llm_audit_writer_main(Datum arg);
PGDLLEXPORT void llm_audit_watcher_main(Datum arg);

#define LAZY_MS			200		/* how long what nobody waits for may wait */
#define RETRY_MS		1000
#define ATTEMPTS_MAX	30
#define WATCH_MS		1000
#define WATCH_IDLE_MS	30000

/* ---------------- writing a batch ---------------- */

/*
 * Until the last commit, and with it every one before, is flushed and, where
 * synchronous_standby_names says so, replicated.  The commit has waited for
 * that already, unless its transaction wrote no row.  A wait that the end of
 * this process breaks off is no wait: then nobody is told of success.
 */
static void
AwaitDurability(void)
{
	XLogFlush(XactLastCommitEnd);
	HOLD_INTERRUPTS();
	SyncRepWaitForLSN(XactLastCommitEnd, true);
	RESUME_INTERRUPTS();
	CHECK_FOR_INTERRUPTS();
}

/* Commits; without waiting for the flush if nobody else does. */
static void
CommitEntries(bool waited)
{
	int			level = synchronous_commit;

	if (!waited)
		synchronous_commit = SYNCHRONOUS_COMMIT_OFF;
	PG_TRY();
	{
		CommitTransactionCommand();
	}
	PG_FINALLY();
	{
		synchronous_commit = level;
	}
	PG_END_TRY();
}

/* The work of one transaction. */
static void
WriteEntries(RingBatch *batch, int first, int count)
{
	StartTransactionCommand();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, "recording reads");
	/* with a place in the WAL after what a worker that died has committed */
	if (batch->recovered && batch->waited)
		(void) GetTopTransactionId();
	if (ExtensionInstalled())
	{
		for (int i = first; i < first + count; i++)
		{
			if (!batch->recovered || !EntryIsWritten(batch->entries[i]))
				batch->refused[i] = !InsertEntry(batch->entries[i]);
		}
	}
	SPI_finish();
	PopActiveSnapshot();
	CommitEntries(batch->waited);
	if (batch->waited)
		AwaitDurability();
	pgstat_report_activity(STATE_IDLE, NULL);
}

/*
 * Writes some entries in a transaction; returns 0, or the SQLSTATE of what
 * went wrong, which is in the server log.
 */
static int
TryEntries(RingBatch *batch, int first, int count)
{
	MemoryContext context = CurrentMemoryContext;
	volatile int sqlstate = 0;

	PG_TRY();
	{
		WriteEntries(batch, first, count);
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		sqlstate = geterrcode();
		EmitErrorReport();
		AbortCurrentTransaction();
		FlushErrorState();
		ForgetSearches();
		pgstat_report_activity(STATE_IDLE, NULL);
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	return sqlstate;
}

/* True for errors that come from the machine, not from an entry. */
static bool
ErrorIsGeneral(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_INSUFFICIENT_RESOURCES:	/* 53: disk full */
		case ERRCODE_OPERATOR_INTERVENTION: /* 57 */
		case ERRCODE_SYSTEM_ERROR:	/* 58 */
			return true;
		default:
			return sqlstate == ERRCODE_LOCK_NOT_AVAILABLE ||
				sqlstate == ERRCODE_T_R_DEADLOCK_DETECTED;
	}
}

/*
 * Notes the failure of an entry.  A reader who waits is told, and reads
 * nothing; the record of what was read already stays to be tried again.
 */
static void
NoteFailure(RingBatch *batch, int i, int sqlstate)
{
	RingEntry  *entry = batch->entries[i];

	batch->errors[i] = sqlstate;
	batch->keep[i] = (entry->waiter < 0 || entry->kind == ENTRY_ROWS) &&
		ErrorIsGeneral(sqlstate) && ++entry->attempts < ATTEMPTS_MAX;
}

/* Writes a batch; returns how many transactions have been committed. */
static int
WriteBatch(RingBatch *batch)
{
	int			sqlstate;
	int			commits = 0;

	if (batch->count == 0)
		return 0;
	sqlstate = TryEntries(batch, 0, batch->count);
	if (sqlstate == 0)
		return 1;
	for (int i = 0; i < batch->count; i++)
	{
		int			own = sqlstate;

		if (batch->count > 1 && !ErrorIsGeneral(sqlstate))
			own = TryEntries(batch, i, 1);
		if (own == 0)
			commits++;
		else
			NoteFailure(batch, i, own);
	}
	return commits;
}

/* True if an entry was left to be tried again. */
static bool
BatchHasKept(const RingBatch *batch)
{
	for (int i = 0; i < batch->count; i++)
	{
		if (batch->keep[i])
			return true;
	}
	return false;
}

/* ---------------- the writer's loop ---------------- */

/*
 * What the log needs whatever the configuration, the database's and the
 * superuser's own included.
 */
static void
ForceSettings(void)
{
	static const char *const forced[][2] = {
		{"default_transaction_read_only", "off"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_deferrable", "off"},
		{"search_path", "pg_catalog, pg_temp"},
		{"session_replication_role", "origin"},
		{"row_security", "on"},
		{"lock_timeout", "1s"},
		{"statement_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
		{"llm_audit.restore", "off"},
		{"DateStyle", "ISO"},
		{"IntervalStyle", "postgres"}
	};

	for (int i = 0; i < lengthof(forced); i++)
		SetConfigOption(forced[i][0], forced[i][1], PGC_SUSET, PGC_S_OVERRIDE);
	if (synchronous_commit < SYNCHRONOUS_COMMIT_REMOTE_FLUSH)
		SetConfigOption("synchronous_commit", "on", PGC_USERSET, PGC_S_OVERRIDE);
}

/*
 * A lock that takes too long comes as SIGINT.  From anybody else that would
 * end a wait for replication as if it were over.
 */
static void
HandleSigint(SIGNAL_ARGS)
{
	if (get_timeout_indicator(LOCK_TIMEOUT, false))
		StatementCancelHandler(postgres_signal_arg);
}

/* Sleeps until the latch is set or time is up; handles signals. */
static void
WriterSleep(long ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		ForceSettings();
	}
}

/* True while pause_workers() wants the database for itself. */
static bool
IsPaused(AccessRing *ring)
{
	return RingPausedUntil(ring) > GetCurrentTimestamp();
}

/* Waits until the watcher has seen the database and no pause is on. */
static void
AwaitDatabase(AccessRing *ring)
{
	RingAskWatcher(ring);
	while (!RingDatabaseExists(ring) || IsPaused(ring))
		WriterSleep(WATCH_MS);
}

/*
 * Sleeps until there is something to write.  What nobody waits for does not
 * wake the writer from a nap, in which it gathers; only a writer that has had
 * nothing to do for as long as that asks to be told of it.
 */
static void
AwaitEntries(AccessRing *ring)
{
	bool		urgent;

	if (IsPaused(ring) || (RingPending(ring, &urgent) && urgent))
		return;
	WriterSleep(LAZY_MS);
	/* a pause that began during the nap has used up its wake */
	if (RingPending(ring, &urgent) || !RingSleep(ring) || IsPaused(ring))
		return;
	WriterSleep(60 * 1000L);
	if (RingPending(ring, &urgent) && !urgent)
		WriterSleep(LAZY_MS);
}

/* Writes one batch; true if some of it was left to be tried again. */
static bool
ServeBatch(AccessRing *ring, bool waited)
{
	RingBatch	batch;
	int			commits;

	if (!RingTake(ring, waited, &batch))
		return false;
	commits = WriteBatch(&batch);
	RingFinish(ring, &batch, commits);
	return BatchHasKept(&batch);
}

/* Serves the database until it is told to let go of it. */
static void
Serve(AccessRing *ring)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "llm_audit access writer",
												  ALLOCSET_DEFAULT_SIZES);

	for (;;)
	{
		bool		kept;

		AwaitEntries(ring);
		if (IsPaused(ring))
			proc_exit(1);
		MemoryContextSwitchTo(context);
		kept = ServeBatch(ring, true);
		kept |= ServeBatch(ring, false);
		MemoryContextReset(context);
		if (kept)
			WriterSleep(RETRY_MS);
	}
}

/* The access writer of the database with this number. */
void
llm_audit_writer_main(Datum arg)
{
	AccessRing *ring = RingByNumber(DatumGetInt32(arg));

	pqsignal(SIGTERM, die);
	pqsignal(SIGINT, HandleSigint);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	if (ring == NULL)
		proc_exit(0);

	/* a latch of its own before there is a database to connect to */
	AwaitDatabase(ring);
	BackgroundWorkerInitializeConnection(RingDatabase(ring), NULL, 0);
	ForceSettings();
	LedgerMayWriteAccessLog = true;
	RingAttach(ring);
	Serve(ring);
}

/* ---------------- the watcher ---------------- */

/* True if a row of pg_database has this name; allows connections. */
static bool
DatabaseIsThere(Relation databases, const char *name)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found;

	ScanKeyInit(&key, Anum_pg_database_datname, BTEqualStrategyNumber,
				F_NAMEEQ, CStringGetDatum(name));
	/* without a database of one's own there is no index of any catalog */
	scan = systable_beginscan(databases, InvalidOid, false, NULL, 1, &key);
	tuple = systable_getnext(scan);
	found = HeapTupleIsValid(tuple) &&
		((Form_pg_database) GETSTRUCT(tuple))->datallowconn;
	systable_endscan(scan);
	return found;
}

/* Looks which databases are there; true if each has its writer. */
static bool
LookForDatabases(void)
{
	Relation	databases = NULL;

	StartTransactionCommand();
	for (int i = 0; i < RingCount(); i++)
	{
		AccessRing *ring = RingByNumber(i);

		if (RingHasWorker(ring))
			continue;
		if (databases == NULL)
			databases = table_open(DatabaseRelationId, AccessShareLock);
		RingSetDatabase(ring, DatabaseIsThere(databases, RingDatabase(ring)));
	}
	if (databases != NULL)
		table_close(databases, AccessShareLock);
	CommitTransactionCommand();
	return databases == NULL;
}

/* The watcher: connected to no database, it sees the names of all. */
void
llm_audit_watcher_main(Datum arg)
{
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	RingSetWatcher();
	for (;;)
	{
		bool		all = LookForDatabases();

		pgstat_report_stat(true);
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 all ? WATCH_IDLE_MS : WATCH_MS, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Registers one worker that the postmaster keeps running. */
static void
RegisterWorker(const char *name, const char *type, const char *function,
			   int number)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 1;
	worker.bgw_main_arg = Int32GetDatum(number);
	strlcpy(worker.bgw_library_name, "llm_audit", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, function, BGW_MAXLEN);
	strlcpy(worker.bgw_name, name, BGW_MAXLEN);
	strlcpy(worker.bgw_type, type, BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}

void
WriterRegister(void)
{
	int			count;

	if (!process_shared_preload_libraries_in_progress)
		return;
	count = RingNameCount();
	for (int i = 0; i < count; i++)
		RegisterWorker(psprintf("llm_audit access writer %d", i + 1),
					   "llm_audit access writer", "llm_audit_writer_main", i);
	if (count > 0)
		RegisterWorker("llm_audit database watcher",
					   "llm_audit database watcher", "llm_audit_watcher_main",
					   0);
}
