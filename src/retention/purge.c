/*
 * purge.c
 *	  The door through which expired rows go.
 *
 * purge() in sql/92_purge.sql decides what goes; here is what needs a permit.
 * The triggers check every row again, and a segment that is truncated as a
 * whole.  Rows go as llm_audit_owner, who owns every ledger, so that code
 * which somebody has attached to a table runs with no more power than that.
 *
 * Locks: purge() holds the readers' lock and SHARE ROW EXCLUSIVE on
 * legal_hold.  A closed segment that goes as a whole is locked ACCESS
 * EXCLUSIVE, in attempts of llm_audit.ddl_lock_timeout; nobody writes to it.
 * In a segment that never closes rows go one lane at a time, under the lock
 * that writers take of a lane: they take another one meanwhile.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "ledger/ledger.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "retention/expiry.h"
#include "storage/latch.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

PG_FUNCTION_INFO_V1(llm_audit_purge_condition);
PG_FUNCTION_INFO_V1(llm_audit_lock_readers);
PG_FUNCTION_INFO_V1(llm_audit_lock_holds);
PG_FUNCTION_INFO_V1(llm_audit_lock_purged);
PG_FUNCTION_INFO_V1(llm_audit_purge_rows);
PG_FUNCTION_INFO_V1(llm_audit_require_unaltered);
PG_FUNCTION_INFO_V1(llm_audit_purge_whole);
PG_FUNCTION_INFO_V1(llm_audit_drop_purged);

/* How often to try, and how long to pause in between. */
#define READERS_ATTEMPTS	600
#define HOLDS_ATTEMPTS		300
#define LOCK_ATTEMPTS		20
#define PAUSE_MS			100

/* What the caller says of a purge, for its receipts; see ReceiptRead. */
typedef struct Receipt
{
	char	   *environment;
	char	   *ledger;
	char	   *purge_id;
	char	   *policy;
	char	   *reason;
} Receipt;

/* Waits a little, and for a cancel. */
static void
Pause(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 PAUSE_MS, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * The segment of a leaf; an error if it is none.  These functions are called
 * by purge() only, which runs as a superuser.
 */
static const Segment *
SegmentToPurge(Oid leaf)
{
	const Segment *seg;

	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to purge"),
				 errhint("Call llm_audit.purge().")));
	seg = SegmentLookup(leaf);
	if (seg == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("relation with OID %u is not a ledger segment", leaf)));
	return seg;
}

static char *
LeafName(Oid leaf)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(leaf)),
									  get_rel_name(leaf));
}

/* ---------------- which rows have expired ---------------- */

/* A time as a literal. */
static char *
TimeLiteral(TimestampTz at)
{
	return psprintf("(timestamptz '2000-01-01 00:00:00+00' + interval '1 microsecond' * "
					INT64_FORMAT ")", at);
}

/*
 * Appends the latest recorded_at of rows of a class that have expired now by
 * the policies of now.  Going back by a period never goes too little back:
 * rows of a month's last days may stay some days longer.
 */
static void
AppendCutoff(StringInfo sql, const RetentionRule *rule, TimestampTz now)
{
	TimestampTz cutoff = now;

	if (rule->forever)
	{
		appendStringInfoString(sql, "timestamptz '-infinity'");
		return;
	}
	for (int i = 0; i < rule->nperiods; i++)
	{
		Datum		at = DirectFunctionCall2(timestamp_mi_interval,
											 TimestampGetDatum((Timestamp) now),
											 IntervalPGetDatum(&rule->periods[i]));

		cutoff = Min(cutoff, DatumGetTimestamp(at));
	}
	appendStringInfoString(sql, TimeLiteral(cutoff));
}

/* The condition that rows r of the segment have expired. */
static void
AppendExpired(StringInfo sql, const Segment *seg, TimestampTz now)
{
	appendStringInfo(sql, "r.retain_until <= %s AND r.recorded_at <= ",
					 TimeLiteral(now));
	if (seg->attrs.data_class == InvalidAttrNumber)
	{
		AppendCutoff(sql, &seg->retention[0], now);
		return;
	}
	appendStringInfoString(sql, "CASE r.data_class");
	for (int i = 1; i < RETENTION_CLASSES; i++)
	{
		appendStringInfo(sql, " WHEN '%s' THEN ", RetentionClassName(i));
		AppendCutoff(sql, &seg->retention[i], now);
	}
	appendStringInfoString(sql, " ELSE ");
	AppendCutoff(sql, &seg->retention[0], now);
	appendStringInfoString(sql, " END");
}

/*
 * llm_audit.purge_condition(leaf regclass, at timestamptz) -> text
 *		The condition, in SQL, that rows r of a segment have expired then.
 */
Datum
llm_audit_purge_condition(PG_FUNCTION_ARGS)
{
	const Segment *seg = SegmentToPurge(PG_GETARG_OID(0));
	StringInfoData sql;

	initStringInfo(&sql);
	AppendExpired(&sql, seg, PG_GETARG_TIMESTAMPTZ(1));
	PG_RETURN_TEXT_P(cstring_to_text_with_len(sql.data, sql.len));
}

/* ---------------- locks ---------------- */

/*
 * llm_audit.lock_readers() -> boolean
 *		Waits for verify, up to a minute, and keeps it away until the
 *		transaction ends; false if it goes on.
 */
Datum
llm_audit_lock_readers(PG_FUNCTION_ARGS)
{
	for (int attempt = 0; attempt < READERS_ATTEMPTS; attempt++)
	{
		if (ReadersLock(ExclusiveLock, false))
			PG_RETURN_BOOL(true);
		Pause();
	}
	PG_RETURN_BOOL(false);
}

/*
 * llm_audit.lock_holds() -> boolean
 *		Waits for whoever places or releases a hold, in attempts of
 *		llm_audit.ddl_lock_timeout, so that a prepared transaction does not
 *		keep verify away for ever; false if somebody goes on.
 */
Datum
llm_audit_lock_holds(PG_FUNCTION_ARGS)
{
	bool		done = false;

	SPI_connect();
	for (int attempt = 0; attempt < HOLDS_ATTEMPTS && !done; attempt++)
	{
		done = SegmentTry(PERMIT_NONE,
						  "LOCK TABLE llm_audit.legal_hold IN SHARE ROW EXCLUSIVE MODE");
		if (!done)
			Pause();
	}
	SPI_finish();
	PG_RETURN_BOOL(done);
}

/*
 * llm_audit.lock_purged(leaf regclass) -> boolean
 *		Locks a closed segment that is to be truncated, in attempts that wait
 *		llm_audit.ddl_lock_timeout each; false if somebody goes on using it.
 */
Datum
llm_audit_lock_purged(PG_FUNCTION_ARGS)
{
	const Segment *seg = SegmentToPurge(PG_GETARG_OID(0));
	char	   *sql = psprintf("LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE",
							   LeafName(seg->relid));
	bool		done = false;

	SPI_connect();
	for (int attempt = 0; attempt < LOCK_ATTEMPTS && !done; attempt++)
	{
		done = SegmentTry(PERMIT_PURGE, sql);
		if (!done)
			Pause();
	}
	SPI_finish();
	PG_RETURN_BOOL(done);
}

/* ---------------- purging ---------------- */

/* Reads {environment, ledger, purge id, policy, reason}. */
static void
ReceiptRead(ArrayType *array, Receipt *receipt)
{
	char	  **fields[] = {
		&receipt->environment, &receipt->ledger, &receipt->purge_id,
		&receipt->policy, &receipt->reason
	};
	Datum	   *values;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls,
					  &n);
	if (n != lengthof(fields))
		elog(ERROR, "a receipt has %d fields", n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			elog(ERROR, "field %d of a receipt is null", i + 1);
		*fields[i] = TextDatumGetCString(values[i]);
	}
}

/* The part of a receipt's INSERT that is the same for all. */
static void
AppendReceiptHead(StringInfo sql, const Segment *seg, const Receipt *receipt)
{
	pg_uuid_t	ledger_id;

	memcpy(ledger_id.data, seg->ledger_id, LEDGER_ID_SIZE);
	appendStringInfo(sql, "INSERT INTO llm_audit.purge_receipt (environment, ledger,"
					 " purge_id, policy, reason, ledger_id, segment, actor,"
					 " lane, first_seqs, last_seqs, row_count, row_digest)"
					 " SELECT %s, %s, %s, %s, %s, '%s', %u, session_user, ",
					 quote_literal_cstr(receipt->environment),
					 quote_literal_cstr(receipt->ledger),
					 quote_literal_cstr(receipt->purge_id),
					 quote_literal_cstr(receipt->policy),
					 quote_literal_cstr(receipt->reason),
					 DatumGetCString(DirectFunctionCall1(uuid_out,
														 UUIDPGetDatum(&ledger_id))),
					 seg->number);
}

/*
 * Appends the receipts of the rows that the query "gone" returns: runs of
 * positions, their number and a digest of their hashes, for each lane.  The
 * rows are sorted once; runs_agg sees to it that they come in that order, so
 * that it is the digest's too.
 */
static void
AppendReceipts(StringInfo sql, const Segment *seg, const Receipt *receipt)
{
	appendStringInfoString(sql,
						   ", sums AS (SELECT chain_lane,"
						   " llm_audit.runs_agg(chain_seq) AS runs, count(*) AS n,"
						   " llm_audit.sha256_agg(row_hash) AS digest"
						   " FROM (SELECT * FROM gone ORDER BY chain_lane, chain_seq) AS r"
						   " GROUP BY chain_lane) ");
	AppendReceiptHead(sql, seg, receipt);
	appendStringInfoString(sql,
						   "chain_lane, runs[:cardinality(runs) / 2],"
						   " runs[cardinality(runs) / 2 + 1:], n, digest"
						   " FROM sums RETURNING row_count");
}

/* Runs a statement with the permit and adds up the receipts it returns. */
static int64
RunForReceipts(const char *sql)
{
	int64		total = 0;
	bool		isnull;

	if (PermitRun(PERMIT_PURGE, sql) != SPI_OK_INSERT_RETURNING)
		elog(ERROR, "a purge failed");
	for (uint64 i = 0; i < SPI_processed; i++)
		total += DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i],
											 SPI_tuptable->tupdesc, 1,
											 &isnull));
	return total;
}

/*
 * Takes the lane of a segment that never closes and says where to stop:
 * before its last row.  False if somebody writes to the lane, or if its first
 * row would stay, from which the end of the lane is sought.
 */
static bool
LanePrepare(const Segment *seg, int32 lane, int64 *last)
{
	Relation	leaf;
	uint64		end;

	if (!ChainLockLane(seg->relid, (uint32) lane))
		return false;
	leaf = table_open(seg->relid, RowExclusiveLock);
	end = ChainLaneEnd(leaf, seg, (uint32) lane);
	table_close(leaf, NoLock);
	*last = Min(*last, (int64) end - 1);
	return *last > 0;
}

/* After the fact: an error if the first row of the lane is still there. */
static void
LaneCheckBeginning(const Segment *seg, int32 lane)
{
	char	   *sql = psprintf("SELECT FROM ONLY %s WHERE chain_lane = %d AND chain_seq = 1",
							   LeafName(seg->relid), lane);

	if (SPI_execute(sql, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "a purge failed");
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the first row of lane %d of \"%s\" stays, so the others have to",
						lane, get_rel_name(seg->relid))));
}

/*
 * llm_audit.purge_rows(leaf regclass, lane int, last bigint,
 *						receipt text[]) -> bigint
 *		Deletes the expired rows of a lane up to a position that are not held,
 *		and writes the receipt; returns how many went, or NULL if somebody
 *		writes to the lane.
 */
Datum
llm_audit_purge_rows(PG_FUNCTION_ARGS)
{
	const Segment *seg = SegmentToPurge(PG_GETARG_OID(0));
	int32		lane = PG_GETARG_INT32(1);
	int64		last = PG_GETARG_INT64(2);
	bool		open = (seg->state == SEGMENT_OPEN);
	Receipt		receipt;
	FormerUser	former;
	StringInfoData sql;
	int64		count;

	ReceiptRead(PG_GETARG_ARRAYTYPE_P(3), &receipt);
	if (open && !LanePrepare(seg, lane, &last))
		PG_RETURN_NULL();
	initStringInfo(&sql);
	appendStringInfo(&sql, "WITH gone AS (DELETE FROM ONLY %s r WHERE r.chain_lane = %d"
					 " AND r.chain_seq <= " INT64_FORMAT
					 " AND NOT llm_audit.is_held(%u, r.chain_lane, r.chain_seq) AND ",
					 LeafName(seg->relid), lane, last, seg->relid);
	AppendExpired(&sql, seg, GetCurrentTimestamp());
	appendStringInfoString(&sql, " RETURNING r.chain_lane, r.chain_seq, r.row_hash)");
	AppendReceipts(&sql, seg, &receipt);

	SPI_connect();
	/* row security on leaves lets the owner see no rows either */
	BecomeSuperuser(&former);
	count = RunForReceipts(sql.data);
	if (open && count > 0)
		LaneCheckBeginning(seg, lane);
	BecomeFormer(&former);
	SPI_finish();
	PG_RETURN_INT64(count);
}

/*
 * llm_audit.require_unaltered(leaf regclass) -> void
 *		Reads a segment that is to go as a whole, under the caller's lock on
 *		it.  Raises XX001 for a row that does not match its hash.
 */
Datum
llm_audit_require_unaltered(PG_FUNCTION_ARGS)
{
	const Segment *seg = SegmentToPurge(PG_GETARG_OID(0));
	Relation	leaf = table_open(seg->relid, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(leaf, NULL);
	TableScanDesc scan = table_beginscan(leaf, GetActiveSnapshot(), 0, NULL);
	MemoryContext per_row = AllocSetContextCreate(CurrentMemoryContext,
												  "llm_audit row to purge",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(per_row);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		RowRequireHash(seg, slot->tts_values, slot->tts_isnull);
		MemoryContextReset(per_row);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(per_row);
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(leaf, NoLock);
	PG_RETURN_VOID();
}

/*
 * Receipts of a segment that goes as a whole.  What segment_event said when it
 * was closed is enough, however many rows there are, if none has gone since.
 */
static int64
WholeReceipts(const Segment *seg, const Receipt *receipt, bool intact)
{
	StringInfoData sql;
	pg_uuid_t	ledger_id;

	initStringInfo(&sql);
	memcpy(ledger_id.data, seg->ledger_id, LEDGER_ID_SIZE);
	if (intact)
	{
		AppendReceiptHead(&sql, seg, receipt);
		appendStringInfo(&sql, "u.lane, ARRAY[u.first], ARRAY[u.last],"
						 " u.last - u.first + 1, u.digest"
						 " FROM llm_audit.segment_event e CROSS JOIN LATERAL"
						 " unnest(e.lanes, e.first_seqs, e.last_seqs, e.lane_digests)"
						 " AS u (lane, first, last, digest)"
						 " WHERE e.event = 'closed' AND e.ledger_id = '%s'"
						 " AND e.segment = %u RETURNING row_count",
						 DatumGetCString(DirectFunctionCall1(uuid_out,
															 UUIDPGetDatum(&ledger_id))),
						 seg->number);
	}
	else
	{
		appendStringInfo(&sql, "WITH gone AS MATERIALIZED (SELECT chain_lane,"
						 " chain_seq, row_hash FROM ONLY %s)",
						 LeafName(seg->relid));
		AppendReceipts(&sql, seg, receipt);
	}
	return RunForReceipts(sql.data);
}

/*
 * llm_audit.purge_whole(leaf regclass, intact boolean, receipt text[])
 *		-> bigint
 *		Writes the receipts of a closed segment and truncates it; returns the
 *		number of its rows.  intact: no row has gone since it was closed.
 */
Datum
llm_audit_purge_whole(PG_FUNCTION_ARGS)
{
	const Segment *seg = SegmentToPurge(PG_GETARG_OID(0));
	Receipt		receipt;
	FormerUser	former;
	int64		count;
	char	   *sql;

	ReceiptRead(PG_GETARG_ARRAYTYPE_P(2), &receipt);
	SPI_connect();
	BecomeSuperuser(&former);
	count = WholeReceipts(seg, &receipt, PG_GETARG_BOOL(1));
	sql = psprintf("TRUNCATE TABLE ONLY %s", LeafName(seg->relid));
	if (PermitRun(PERMIT_PURGE, sql) != SPI_OK_UTILITY)
		elog(ERROR, "a purge failed");
	BecomeFormer(&former);
	SPI_finish();
	PG_RETURN_INT64(count);
}

/*
 * llm_audit.drop_purged(leaf regclass) -> boolean
 *		Drops the empty leaf of a purged segment.  That locks its branch, so
 *		each attempt waits llm_audit.ddl_lock_timeout; false if all failed.
 */
Datum
llm_audit_drop_purged(PG_FUNCTION_ARGS)
{
	const Segment *seg = SegmentToPurge(PG_GETARG_OID(0));
	char	   *sql = psprintf("DROP TABLE %s", LeafName(seg->relid));
	bool		done = false;

	if (seg->state != SEGMENT_PURGED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("segment \"%s\" was not purged",
						get_rel_name(seg->relid))));
	SPI_connect();
	for (int attempt = 0; attempt < LOCK_ATTEMPTS && !done; attempt++)
	{
		done = SegmentTry(PERMIT_DDL, sql);
		if (!done)
			Pause();
	}
	SPI_finish();
	PG_RETURN_BOOL(done);
}
