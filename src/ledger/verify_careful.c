/*
 * verify_careful.c
 *	  Units that raised an error, read piece by piece.
 *
 * A damaged page, index, commit log or TOAST chunk makes the server raise an
 * error.  One bad row must not hide the findings about all others, so the
 * leader runs such a unit again in a subtransaction for each piece: rows of
 * a lane one by one through the positions that the index gives, blocks of a
 * heap one by one, ids segment by segment.  Workers cannot have
 * subtransactions, so none of this runs in parallel.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/itup.h"
#include "access/nbtree.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "ledger/verify.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

/* Index entries that are read ahead of their rows. */
#define ENTRIES_CHUNK	1024

/* True for errors that damaged data can raise. */
static bool
ErrorIsDamage(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_INTERNAL_ERROR:	/* also data and index corruption */
		case ERRCODE_DATA_EXCEPTION:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION: /* no such object */
			return true;
		default:
			return false;
	}
}

/*
 * What to say about an error.  Messages of the storage layer name blocks and
 * files; others could quote data, so only their SQLSTATE is given.
 */
static char *
ErrorDescribe(const ErrorData *error)
{
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	if (category == ERRCODE_INTERNAL_ERROR || category == ERRCODE_SYSTEM_ERROR)
		return pstrdup(error->message);
	return psprintf("SQLSTATE %s", unpack_sql_state(error->sqlerrcode));
}

/* Ends the failed subtransaction; raises what is not damage. */
static const char *
AttemptFailed(MemoryContext context, ResourceOwner owner)
{
	ErrorData  *error;
	const char *why;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (!ErrorIsDamage(error->sqlerrcode))
		ReThrowError(error);
	why = ErrorDescribe(error);
	FreeErrorData(error);
	return why;
}

const char *
VerifyAttempt(AttemptWork work, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	const char *volatile why = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(arg);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		why = AttemptFailed(context, owner);
	}
	PG_END_TRY();
	return why;
}

/* ---------------- a whole unit ---------------- */

typedef struct UnitAttempt
{
	VerifyRun  *run;
	const VerifyUnit *unit;
} UnitAttempt;

static void
UnitAttemptWork(void *arg)
{
	UnitAttempt *attempt = arg;

	VerifyUnitRun(&attempt->run->job, attempt->unit, &attempt->run->own.sink);
}

/* Tries a unit as it is. */
static const char *
UnitTry(VerifyRun *run, const VerifyUnit *unit)
{
	UnitAttempt attempt = {run, unit};

	return VerifyAttempt(UnitAttemptWork, &attempt);
}

/* ---------------- a lane, row by row ---------------- */

typedef struct LaneEntry
{
	ItemPointerData tid;
	int64		seq;
} LaneEntry;

typedef struct LaneAttempt
{
	VerifyRun  *run;
	const VerifyUnit *unit;
	int64		from;			/* next seq to read entries for */
	bool		more;
	int			nentries;
	LaneEntry  *entries;
	const LaneEntry *entry;		/* the row to read */
	RowReader	reader;
	TupleTableSlot *slot;		/* the reader's, between attempts */
	ChainState	state;
} LaneAttempt;

/* Reads the next index entries, without looking at their rows. */
static void
LaneEntriesRead(void *arg)
{
	LaneAttempt *attempt = arg;
	const VerifySegment *vseg = &attempt->run->segments[attempt->unit->segment];
	Relation	leaf = table_open(vseg->relid, AccessShareLock);
	Relation	index = LeafIndexOpen(vseg->relid, true);
	IndexScanDesc scan;
	ScanKeyData keys[3];

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(attempt->unit->lane));
	ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT8GE,
				Int64GetDatum(attempt->from));
	ScanKeyInit(&keys[2], 2, BTLessEqualStrategyNumber, F_INT8LE,
				Int64GetDatum(attempt->unit->last));
	scan = IndexBeginScan(leaf, index, attempt->run->job.snapshot, 3, 0);
	scan->xs_want_itup = true;
	index_rescan(scan, keys, 3, NULL, 0);
	attempt->nentries = 0;
	attempt->more = false;
	while (index_getnext_tid(scan, ForwardScanDirection) != NULL)
	{
		bool		isnull;
		int64		seq = DatumGetInt64(index_getattr(scan->xs_itup, 2,
													  scan->xs_itupdesc,
													  &isnull));

		CHECK_FOR_INTERRUPTS();
		if (attempt->nentries == ENTRIES_CHUNK)
		{
			/* all entries of one seq go into the same chunk */
			while (attempt->nentries > 1 &&
				   attempt->entries[attempt->nentries - 1].seq == seq)
				attempt->nentries--;
			attempt->more = seq > attempt->from;
			break;
		}
		attempt->entries[attempt->nentries].tid = scan->xs_heaptid;
		attempt->entries[attempt->nentries++].seq = seq;
	}
	index_endscan(scan);
	index_close(index, AccessShareLock);
	table_close(leaf, AccessShareLock);
}

/*
 * Reads and checks the row of one index entry.  The slot is the attempt's
 * own: one that held a page when the attempt failed cannot be used again.
 */
static void
LaneRowRead(void *arg)
{
	LaneAttempt *attempt = arg;
	RowReader  *reader = &attempt->reader;
	IndexFetchTableData *fetch = table_index_fetch_begin(reader->leaf);
	ItemPointerData tid = attempt->entry->tid;
	bool		again = false;

	reader->slot = table_slot_create(reader->leaf, NULL);
	if (table_index_fetch_tuple(fetch, &tid, attempt->run->job.snapshot,
								reader->slot, &again, NULL))
	{
		RowFacts	facts;

		RowReadFacts(reader, true, &facts);
		if (!facts.readable)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("the tuple is damaged")));
		if (facts.has_position && facts.lane == attempt->unit->lane &&
			facts.seq == attempt->entry->seq)
			ChainStateRow(&attempt->state, &facts);
		else
			RowReport(reader, &facts, FINDING_INDEX_MISMATCH,
					  "the lane index has this row at lane %d, seq "
					  INT64_FORMAT, attempt->unit->lane, attempt->entry->seq);
	}
	table_index_fetch_end(fetch);
	ExecDropSingleTupleTableSlot(reader->slot);
	reader->slot = attempt->slot;
}

/* Makes the reader fit for use after an attempt that failed. */
static void
LaneReaderReset(LaneAttempt *attempt)
{
	MemoryContext old = MemoryContextSwitchTo(attempt->reader.unit_context);

	attempt->reader.slot = attempt->slot;
	EncodeBufferInit(&attempt->reader.preimage);
	MemoryContextSwitchTo(old);
}

/* Reports the row of an entry that could not be read. */
static void
LaneRowUnreadable(LaneAttempt *attempt, const char *why)
{
	RowFacts	facts;

	LaneReaderReset(attempt);
	memset(&facts, 0, sizeof(facts));
	facts.has_position = true;
	facts.lane = attempt->unit->lane;
	facts.seq = attempt->entry->seq;
	RowReport(&attempt->reader, &facts, FINDING_ROW_ALTERED,
			  "cannot be read: %s", why);
	ChainStateUnreadable(&attempt->state, facts.seq);
}

static void
LanePredecessorRead(void *arg)
{
	LaneAttempt *attempt = arg;

	attempt->reader.slot = table_slot_create(attempt->reader.leaf, NULL);
	ChainStatePredecessor(&attempt->state);
	ExecDropSingleTupleTableSlot(attempt->reader.slot);
	attempt->reader.slot = attempt->slot;
}

/* Walks the unit's entries; a row that fails does not stop the walk. */
static void
LaneWalk(LaneAttempt *attempt)
{
	attempt->from = attempt->unit->first;
	do
	{
		const char *why = VerifyAttempt(LaneEntriesRead, attempt);

		if (why != NULL)
		{
			RunReportObject(attempt->run, FINDING_INDEX_MISMATCH,
							attempt->reader.vseg->root,
							attempt->reader.vseg->number,
							"the lane index cannot be read from lane %d, seq "
							INT64_FORMAT ": %s", attempt->unit->lane,
							attempt->from, why);
			return;
		}
		for (int i = 0; i < attempt->nentries; i++)
		{
			CHECK_FOR_INTERRUPTS();
			attempt->entry = &attempt->entries[i];
			why = VerifyAttempt(LaneRowRead, attempt);
			if (why != NULL)
				LaneRowUnreadable(attempt, why);
		}
		if (attempt->nentries > 0)
			attempt->from = attempt->entries[attempt->nentries - 1].seq + 1;
	} while (attempt->more);
}

/* A unit of a lane, row by row. */
static void
LaneCarefully(VerifyRun *run, const VerifyUnit *unit)
{
	LaneAttempt *attempt = palloc0(sizeof(LaneAttempt));

	attempt->run = run;
	attempt->unit = unit;
	if (!RowReaderOpen(&attempt->reader, &run->job,
					   &run->segments[unit->segment], &run->own.sink))
		return;
	attempt->slot = attempt->reader.slot;
	attempt->entries = palloc(sizeof(LaneEntry) * ENTRIES_CHUNK);
	ChainStateInit(&attempt->state, &attempt->reader, unit);
	if (VerifyAttempt(LanePredecessorRead, attempt) != NULL)
	{
		/* its own unit reports it; the first link cannot be checked */
		LaneReaderReset(attempt);
		attempt->state.started = true;
		attempt->state.linkable = false;
		attempt->state.seq = unit->first - 1;
	}
	LaneWalk(attempt);
	attempt->state.tally.damaged = true;
	ChainStateFinish(&attempt->state);
	RowReaderClose(&attempt->reader);
	pfree(attempt->entries);
	pfree(attempt);
}

/* ---------------- a heap, block by block ---------------- */

/*
 * Blocks that cannot be read are reported, the first time they are met, and
 * make the segment damaged.
 */
static void
HeapCarefully(VerifyRun *run, const VerifyUnit *unit)
{
	const VerifySegment *vseg = &run->segments[unit->segment];
	UnitTally	damaged = {.kind = unit->kind,.segment = unit->segment,
	.damaged = true};

	for (int64 block = unit->first; block <= unit->last; block++)
	{
		VerifyUnit	one = *unit;
		const char *why;

		CHECK_FOR_INTERRUPTS();
		one.first = one.last = block;
		why = UnitTry(run, &one);
		if (why == NULL)
			continue;
		if (unit->kind == UNIT_HEAP)
			RunReportObject(run, FINDING_ROW_ALTERED, vseg->root, vseg->number,
							"block " INT64_FORMAT " cannot be read: %s",
							block, why);
		run->own.sink.tally(&run->own.sink, &damaged);
	}
}

void
VerifyHeapRows(VerifyRun *run, int segment)
{
	for (int i = 0; i < run->job.nunits; i++)
	{
		VerifyUnit	unit = run->units[i];

		if (unit.kind != UNIT_HEAP || unit.segment != segment)
			continue;
		CHECK_FOR_INTERRUPTS();
		unit.kind = UNIT_HEAP_ROWS;
		if (UnitTry(run, &unit) != NULL)
		{
			UnitSourceReset(&run->own);
			HeapCarefully(run, &unit);
		}
		UnitSourceCommit(&run->own, -1);
	}
}

/* ---------------- ids, segment by segment ---------------- */

/*
 * Segments whose ids cannot be read are left out of the comparison, and
 * reported.
 */
static void
IdsCarefully(VerifyRun *run, const VerifyUnit *unit)
{
	bool	   *had = palloc(sizeof(bool) * unit->count);
	UnitTally	damaged = {.kind = UNIT_IDS,.damaged = true};
	const char *why;

	for (int i = 0; i < unit->count; i++)
	{
		VerifySegment *vseg = &run->segments[unit->segment + i];
		VerifyUnit	one = *unit;

		one.segment = unit->segment + i;
		one.count = 1;
		had[i] = vseg->has_id_index;
		why = UnitTry(run, &one);
		UnitSourceReset(&run->own);
		if (why == NULL)
			continue;
		RunReportObject(run, FINDING_INDEX_MISMATCH, vseg->root, vseg->number,
						"ids could not be compared: %s", why);
		vseg->has_id_index = false;
	}
	why = UnitTry(run, unit);
	if (why != NULL)
		elog(ERROR, "ids could not be compared: %s", why);
	for (int i = 0; i < unit->count; i++)
	{
		if (run->segments[unit->segment + i].has_id_index != had[i])
		{
			damaged.segment = unit->segment + i;
			run->own.sink.tally(&run->own.sink, &damaged);
			run->segments[unit->segment + i].has_id_index = had[i];
		}
	}
	pfree(had);
}

void
VerifyUnitCarefully(VerifyRun *run, int unit)
{
	const VerifyUnit *work = &run->units[unit];

	if (UnitTry(run, work) != NULL)
	{
		UnitSourceReset(&run->own);
		switch (work->kind)
		{
			case UNIT_CHAIN:
				LaneCarefully(run, work);
				break;
			case UNIT_HEAP:
			case UNIT_HEAP_ROWS:
				HeapCarefully(run, work);
				break;
			case UNIT_IDS:
				IdsCarefully(run, work);
				break;
		}
	}
	UnitSourceCommit(&run->own, unit);
}
