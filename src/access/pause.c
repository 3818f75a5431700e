/*
 * pause.c
 *	  pause_workers(): has the access writer let go of its database for a while,
 *	  so that it can be renamed, dropped or copied.
 *
 * A pause works at once and is recorded in the calling transaction.  If that
 * is rolled back there is no record, so the pause ends with it.
 */
#include "postgres.h"

#include "access/access.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define DEPARTURE_MS	5000	/* how long a writer may take to go */

PG_FUNCTION_INFO_V1(llm_audit_pause_workers);

/* The subtransaction that paused the writer, until it has an end. */
static SubTransactionId paused_in = InvalidSubTransactionId;

/* The pause as an admin event of the calling transaction. */
static void
RecordPause(int64 length)
{
	Oid			types[1] = {INT8OID};
	Datum		values[1] = {Int64GetDatum(length / USECS_PER_SEC)};

	if (!ExtensionInstalled())
		return;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	SPI_execute_with_args("SELECT llm_audit.record_own_event('workers.paused',"
						  " 'database', pg_catalog.current_database(),"
						  " llm_audit.reader_setting('reason'),"
						  " pg_catalog.jsonb_build_object('seconds', $1))",
						  1, types, values, NULL, false, 0);
	SPI_finish();
}

/* An interval from 0 to a day, as microseconds; an error for any other. */
static int64
PauseLength(const Interval *span)
{
	int64		length = span->time + (int64) span->day * USECS_PER_DAY;

	if (span->month != 0 || length < 0 || length > USECS_PER_DAY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a pause can last from 0 to 24 hours")));
	return length;
}

/* Waits for the worker to go, but not for ever. */
static void
AwaitDeparture(AccessRing *ring)
{
	for (int waited = 0; waited < DEPARTURE_MS && RingHasWorker(ring); waited += 10)
	{
		CHECK_FOR_INTERRUPTS();
		pg_usleep(10000L);
	}
}

/*
 * llm_audit.pause_workers(duration interval) -> int
 *		Lets the access writer go of the database; the number of workers that
 *		have gone.  42501 for others than superusers, 55000 where there is no
 *		worker.
 */
Datum
llm_audit_pause_workers(PG_FUNCTION_ARGS)
{
	int64		length = PauseLength(PG_GETARG_INTERVAL_P(0));
	AccessRing *ring = RingMine();
	bool		had_worker;

	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to pause the workers of llm_audit")));
	if (ring == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no worker of llm_audit serves this database"),
				 errhint("\"%s\" names the databases that have workers.",
						 "llm_audit.databases")));
	RecordPause(length);
	if (paused_in == InvalidSubTransactionId)
		paused_in = GetCurrentSubTransactionId();
	had_worker = RingPause(ring, GetCurrentTimestamp() + length);
	if (length > 0)
		AwaitDeparture(ring);
	PG_RETURN_INT32(length > 0 && had_worker && !RingHasWorker(ring) ? 1 : 0);
}

/* At the end of a transaction: a pause that has no record ends. */
static void
TransactionEnds(XactEvent event, void *arg)
{
	if (paused_in == InvalidSubTransactionId)
		return;
	switch (event)
	{
		case XACT_EVENT_ABORT:
			RingPause(RingMine(), 0);
			paused_in = InvalidSubTransactionId;
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			paused_in = InvalidSubTransactionId;
			break;
		default:
			break;
	}
}

/* Likewise of a subtransaction; what it paused is its parent's if it ends well. */
static void
SubTransactionEnds(SubXactEvent event, SubTransactionId id,
				   SubTransactionId parent, void *arg)
{
	if (paused_in != id)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		RingPause(RingMine(), 0);
		paused_in = InvalidSubTransactionId;
	}
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		paused_in = parent;
}

void
PauseInit(void)
{
	RegisterXactCallback(TransactionEnds, NULL);
	RegisterSubXactCallback(SubTransactionEnds, NULL);
}
