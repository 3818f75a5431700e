/*
 * hold.c
 *	  Legal holds, as the triggers ask for them.
 *
 * Which rows of a segment are held is found by one query for all holds
 * (held_rows() in sql/91_hold.sql) and kept as sorted runs of positions, so a
 * row costs a search among them, however many holds there are.
 *
 * Lock: legal_hold is locked in SHARE mode before the query, so that no hold
 * is placed until the rows are gone for good or still there.  The lock and
 * what was found belong to the current (sub)transaction together.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "retention/hold.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(llm_audit_is_held);

/* Held positions of one lane, without a gap. */
typedef struct HoldRun
{
	int32		lane;
	int64		first;
	int64		last;
} HoldRun;

/* What is held in one segment. */
typedef struct HoldSet
{
	Oid			leaf;
	uint64		generation;		/* ConfigGeneration of when it was read */
	bool		locked;			/* and no hold can be placed meanwhile */
	uint64		nruns;
	HoldRun    *runs;			/* by lane and first */
	MemoryContextCallback gone;
} HoldSet;

static HoldSet *current = NULL;

/* The (sub)transaction that holds the lock has ended. */
static void
HoldSetGone(void *arg)
{
	if (current == arg)
		current = NULL;
}

/*
 * Runs a query as the bootstrap superuser, since whoever purges or erases may
 * not read holds; with a snapshot of its own.  SPI is connected and stays so.
 */
static void
RunQuery(const char *sql)
{
	FormerUser	former;

	BecomeSuperuser(&former);
	if (SPI_execute(sql, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "a query about holds failed");
	BecomeFormer(&former);
}

/* A column of a row of the query's result; it is never NULL. */
static Datum
ResultValue(uint64 row, int column)
{
	bool		isnull;

	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
						 column, &isnull);
}

/* Copies the runs out of SPI's result. */
static void
HoldSetFill(HoldSet *set, MemoryContext context)
{
	set->nruns = SPI_processed;
	set->runs = MemoryContextAllocHuge(context,
									   Max(set->nruns, 1) * sizeof(HoldRun));
	for (uint64 i = 0; i < set->nruns; i++)
	{
		set->runs[i].lane = DatumGetInt32(ResultValue(i, 1));
		set->runs[i].first = DatumGetInt64(ResultValue(i, 2));
		set->runs[i].last = DatumGetInt64(ResultValue(i, 3));
	}
}

/*
 * What is held in the segment, read once in a transaction; with lock, what
 * will be held until its end.
 */
static const HoldSet *
HoldSetOf(const Segment *seg, bool lock)
{
	MemoryContext context = CurTransactionContext;
	HoldSet    *set;

	if (current != NULL && current->leaf == seg->relid &&
		current->generation == ConfigGeneration() &&
		(current->locked || !lock))
		return current;
	if (lock && IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("rows of ledgers can be removed in a READ COMMITTED transaction only"),
				 errhint("Holds that were placed since its snapshot was taken would be overlooked.")));
	if (lock)
		LockRelationOid(ConfigTableOid("legal_hold"), ShareLock);

	set = MemoryContextAllocZero(context, sizeof(HoldSet));
	set->leaf = seg->relid;
	set->locked = lock;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	RunQuery(psprintf("SELECT * FROM llm_audit.held_rows(%u)", seg->relid));
	HoldSetFill(set, context);
	SPI_finish();
	set->generation = ConfigGeneration();
	set->gone.func = HoldSetGone;
	set->gone.arg = set;
	MemoryContextRegisterResetCallback(context, &set->gone);
	current = set;
	return set;
}

/* True if the position is in one of the runs. */
static bool
HoldSetHas(const HoldSet *set, int32 lane, int64 seq)
{
	uint64		low = 0;
	uint64		high = set->nruns;

	/* the last run that begins at or before the position */
	while (low < high)
	{
		uint64		middle = low + (high - low) / 2;
		const HoldRun *run = &set->runs[middle];

		if (run->lane < lane || (run->lane == lane && run->first <= seq))
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && set->runs[low - 1].lane == lane &&
		set->runs[low - 1].last >= seq;
}

bool
HoldCovers(const Segment *seg, int32 lane, int64 seq)
{
	return HoldSetHas(HoldSetOf(seg, true), lane, seq);
}

bool
HoldCoversAny(const Segment *seg)
{
	return HoldSetOf(seg, true)->nruns > 0;
}

/*
 * llm_audit.is_held(leaf regclass, lane int, seq bigint) -> boolean
 *		Whether the row at this position of a segment is held.  The held rows
 *		of the segment are found once in a transaction; nothing is locked.
 */
Datum
llm_audit_is_held(PG_FUNCTION_ARGS)
{
	const Segment *seg = SegmentLookup(PG_GETARG_OID(0));

	if (seg == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("relation with OID %u is not a ledger segment",
						PG_GETARG_OID(0))));
	PG_RETURN_BOOL(HoldSetHas(HoldSetOf(seg, false), PG_GETARG_INT32(1),
							  PG_GETARG_INT64(2)));
}

bool
SegmentExpired(const Segment *seg)
{
	bool		expired;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	RunQuery(psprintf("SELECT llm_audit.segment_expiry(%u) <= clock_timestamp()",
					  seg->relid));
	expired = DatumGetBool(ResultValue(0, 1));
	SPI_finish();
	return expired;
}
