/*
 * verify.c
 *	  verify(), verify_summary(), row_preimage(): the leader's side.
 *
 * A run lists segments and units (verify_plan.c), has the units done by
 * workers and itself, and then compares what they counted: the heap with the
 * indexes, closed segments with what segment_event says of their end.
 *
 * Everything is read by direct scans: EXECUTE on these functions is the only
 * right that is checked.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/itup.h"
#include "access/nbtree.h"
#include "access/parallel.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "ledger/verify.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "postmaster/bgworker_internals.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

PG_FUNCTION_INFO_V1(llm_audit_verify);
PG_FUNCTION_INFO_V1(llm_audit_verify_summary);
PG_FUNCTION_INFO_V1(llm_audit_row_preimage);

#define FINDING_COLUMNS 7
#define SUMMARY_COLUMNS 10

/* Errors of a parallel phase after which the leader goes on alone. */
#define PARALLEL_ATTEMPTS 8

/*
 * A run of fewer units, or of fewer blocks, than this is not worth starting
 * workers for.
 */
#define PARALLEL_MIN_UNITS 4
#define PARALLEL_MIN_BLOCKS 1024

static const char *const finding_names[] = {
	[FINDING_ROW_ALTERED] = "row_altered",
	[FINDING_ROW_MISSING] = "row_missing",
	[FINDING_ROW_INSERTED] = "row_inserted",
	[FINDING_LINK_BROKEN] = "link_broken",
	[FINDING_DUPLICATE_ID] = "duplicate_id",
	[FINDING_INDEX_MISMATCH] = "index_mismatch",
	[FINDING_ERASED_WITHOUT_EVENT] = "erased_without_event",
	[FINDING_PURGED_WITHOUT_RECEIPT] = "purged_without_receipt",
	[FINDING_CATALOG_DRIFT] = "catalog_drift",
	[FINDING_CHAIN_TRUNCATED] = "chain_truncated",
	[FINDING_SEGMENT_MISSING] = "segment_missing"
};

/* ---------------- results ---------------- */

/* Turns a finding into a row of the result. */
static void
FindingStore(VerifyRun *run, Tuplestorestate *store, const Finding *finding)
{
	Datum		values[FINDING_COLUMNS];
	bool		nulls[FINDING_COLUMNS];

	values[0] = ObjectIdGetDatum(finding->ledger);
	nulls[0] = !OidIsValid(finding->ledger);
	values[1] = Int32GetDatum((int32) finding->segment);
	nulls[1] = !finding->has_segment;
	values[2] = Int32GetDatum(finding->lane);
	nulls[2] = !finding->has_lane;
	values[3] = Int64GetDatum(finding->seq);
	nulls[3] = !finding->has_position;
	values[4] = UUIDPGetDatum(&finding->id);
	nulls[4] = !finding->has_id;
	values[5] = CStringGetTextDatum(finding_names[finding->kind]);
	nulls[5] = false;
	values[6] = CStringGetTextDatum(finding->detail);
	nulls[6] = false;
	tuplestore_putvalues(store, run->desc, values, nulls);
	pfree(DatumGetPointer(values[5]));
	pfree(DatumGetPointer(values[6]));
}

/* Keeps a finding until its unit is finished. */
static void
FindingKeep(UnitSource *source, const Finding *finding)
{
	source->nfindings++;
	FindingStore(source->run, source->pending, finding);
}

/*
 * Rows are missing from a lane: those that a receipt of a purge accounts for
 * are no finding, each run of others is.
 */
static void
GapKeep(UnitSource *source, const Finding *gap)
{
	VerifyRun  *run = source->run;
	int			segment = PurgedSegment(run, gap->ledger, gap->segment);
	const SegmentAccount *account;
	Finding		finding = *gap;
	int64		end;

	if (segment < 0)
	{
		FindingKeep(source, gap);
		return;
	}
	account = &run->accounts[segment];
	finding.kind = PurgedFinding(account);
	while (PurgedUncovered(account, gap->lane, &finding.seq, gap->gap_last,
						   &end))
	{
		snprintf(finding.detail, sizeof(finding.detail),
				 "missing from the lane: " INT64_FORMAT
				 " rows, seq " INT64_FORMAT " to " INT64_FORMAT "%s",
				 end - finding.seq + 1, finding.seq, end,
				 finding.seq == 1 ? ", its beginning" : "");
		FindingKeep(source, &finding);
		if (end == gap->gap_last)
			break;
		finding.seq = end + 1;
	}
}

/* Sink callback: a finding of a unit. */
static void
SourceFinding(VerifySink *sink, const Finding *finding)
{
	UnitSource *source = (UnitSource *) sink;

	if (finding->gap_last > 0)
		GapKeep(source, finding);
	else
		FindingKeep(source, finding);
}

/* Sink callback: keeps the tally until its unit is finished. */
static void
SourceTally(VerifySink *sink, const UnitTally *tally)
{
	UnitSource *source = (UnitSource *) sink;
	MemoryContext old = MemoryContextSwitchTo(source->run->context);
	UnitTally  *copy = palloc(sizeof(UnitTally));

	*copy = *tally;
	source->tallies = lappend(source->tallies, copy);
	MemoryContextSwitchTo(old);
}

/* Sink callback: progress. */
static void
SourceRows(VerifySink *sink, uint64 rows)
{
	UnitSource *source = (UnitSource *) sink;

	source->run->told_rows += rows;
	if (source->run->poll != NULL && source == &source->run->own)
		source->run->poll(source->run);
	ProgressUpdate(source->run);
}

/* Makes a source of results: the leader has one, and one for each worker. */
void
UnitSourceInit(UnitSource *source, VerifyRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->context);

	memset(source, 0, sizeof(*source));
	source->sink.finding = SourceFinding;
	source->sink.tally = SourceTally;
	source->sink.rows = SourceRows;
	source->run = run;
	source->pending = tuplestore_begin_heap(false, false, work_mem);
	MemoryContextSwitchTo(old);
}

/* Forgets what an unfinished unit has sent. */
void
UnitSourceReset(UnitSource *source)
{
	if (source->nfindings > 0)
		tuplestore_clear(source->pending);
	list_free_deep(source->tallies);
	source->tallies = NIL;
	source->nfindings = 0;
}

/* Moves findings to the result. */
static void
FindingsMove(VerifyRun *run, UnitSource *source)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(run->desc,
													&TTSOpsMinimalTuple);

	tuplestore_rescan(source->pending);
	while (tuplestore_gettupleslot(source->pending, true, false, slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (run->result != NULL)
			tuplestore_puttupleslot(run->result, slot);
	}
	ExecDropSingleTupleTableSlot(slot);
}

/* Notes how far a lane of a closed segment reaches. */
static void
ClosedLaneReached(SegmentAccount *account, const UnitTally *tally)
{
	for (int i = 0; i < account->nclosed; i++)
	{
		if (account->closed[i].lane == tally->lane)
			account->closed[i].reached = Max(account->closed[i].reached,
											 tally->last_seq);
	}
}

/* Adds what a unit counted to its segment's account. */
static void
TallyApply(VerifyRun *run, const UnitTally *tally)
{
	SegmentAccount *account = &run->accounts[tally->segment];

	account->damaged |= tally->damaged;
	switch (tally->kind)
	{
		case UNIT_CHAIN:
			account->chain_rows += tally->rows;
			account->chain_sum += tally->hash_sum;
			account->chain_place_sum += tally->place_sum;
			account->chain_ids += tally->ids;
			account->chain_id_sum += tally->id_sum;
			run->nrows += tally->rows;
			ClosedLaneReached(account, tally);
			break;
		case UNIT_HEAP:
			account->heap_places += tally->rows;
			account->heap_place_sum += tally->place_sum;
			break;
		case UNIT_HEAP_ROWS:
			account->heap_rows += tally->rows;
			account->heap_sum += tally->hash_sum;
			account->heap_ids += tally->ids;
			account->heap_id_sum += tally->id_sum;
			break;
		case UNIT_IDS:
			account->ids += tally->ids;
			account->id_sum += tally->id_sum;
			break;
	}
}

/* A unit is finished (-1: what belongs to none): its results count. */
void
UnitSourceCommit(UnitSource *source, int unit)
{
	VerifyRun  *run = source->run;
	ListCell   *lc;

	if (source->nfindings > 0)
		FindingsMove(run, source);
	run->nfindings += source->nfindings;
	foreach(lc, source->tallies)
		TallyApply(run, lfirst(lc));
	UnitSourceReset(source);
	if (unit >= 0)
	{
		run->done[unit] = true;
		run->nunits_done++;
	}
	ProgressUpdate(run);
}

/* Reports a finding that is not about a row; segment -1: about none. */
void
RunReportObject(VerifyRun *run, FindingKind kind, Oid ledger, int64 segment,
				const char *fmt,...)
{
	Finding		finding;
	va_list		args;

	memset(&finding, 0, sizeof(finding));
	finding.kind = kind;
	finding.ledger = ledger;
	finding.has_segment = segment >= 0;
	finding.segment = (uint32) segment;
	va_start(args, fmt);
	vsnprintf(finding.detail, sizeof(finding.detail), fmt, args);
	va_end(args);
	run->own.sink.finding(&run->own.sink, &finding);
}

/* ---------------- units ---------------- */

void
VerifyUnitRun(const VerifyJob *job, const VerifyUnit *unit, VerifySink *sink)
{
	switch (unit->kind)
	{
		case UNIT_CHAIN:
			VerifyChainUnit(job, unit, sink);
			break;
		case UNIT_HEAP:
		case UNIT_HEAP_ROWS:
			VerifyHeapUnit(job, unit, sink);
			break;
		case UNIT_IDS:
			VerifyIdsUnit(job, unit, sink);
			break;
	}
}

/* True if there is enough to read for workers. */
static bool
WorkersAreWorthIt(const VerifyRun *run)
{
	uint64		blocks = 0;

	for (int i = 0; i < run->job.nsegments; i++)
		blocks += run->segments[i].blocks;
	return run->job.nunits >= PARALLEL_MIN_UNITS &&
		blocks >= PARALLEL_MIN_BLOCKS;
}

/* How many workers to ask for. */
static int
WorkersWanted(const VerifyRun *run)
{
	if (IsInParallelMode())
		return 0;
	if (run->scope.workers >= 0)
		return Min(run->scope.workers, run->job.nunits - 1);
	if (!WorkersAreWorthIt(run))
		return 0;
	return Min(max_parallel_maintenance_workers, run->job.nunits - 1);
}

/*
 * Does all units: in parallel as long as that does not fail, then whatever
 * is left alone, surviving any damage.
 */
static void
RunUnits(VerifyRun *run, int nworkers)
{
	for (int i = 0; i < PARALLEL_ATTEMPTS && nworkers > 0 &&
		 run->nunits_done < run->job.nunits; i++)
		RunUnitsInParallel(run, nworkers);
	for (int i = 0; i < run->job.nunits; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!run->done[i])
			VerifyUnitCarefully(run, i);
	}
}

/* ---------------- comparisons ---------------- */

typedef struct MissesAttempt
{
	VerifyRun  *run;
	int			segment;
	bool		by_lane;
	uint64		misses;
} MissesAttempt;

static void
MissesWork(void *arg)
{
	MissesAttempt *attempt = arg;

	attempt->misses = IndexMissesReport(&attempt->run->job,
										&attempt->run->segments[attempt->segment],
										attempt->by_lane,
										&attempt->run->own.sink);
}

/* The heap and one of its indexes differ: says where. */
static void
IndexDiffers(VerifyRun *run, int segment, bool by_lane)
{
	const SegmentAccount *account = &run->accounts[segment];
	MissesAttempt attempt = {.run = run,.segment = segment,.by_lane = by_lane};

	if (VerifyAttempt(MissesWork, &attempt) != NULL)
	{
		UnitSourceReset(&run->own);
		attempt.misses = 0;
	}
	if (attempt.misses == 0)
		RunReportObject(run, FINDING_INDEX_MISMATCH,
						run->segments[segment].root,
						run->segments[segment].number,
						"the heap has " UINT64_FORMAT " rows, the %s index leads to "
						UINT64_FORMAT "%s",
						by_lane ? account->heap_rows : account->heap_ids,
						by_lane ? "lane" : "id",
						by_lane ? account->chain_rows : account->ids,
						by_lane ? "" : " by their ids");
	UnitSourceCommit(&run->own, -1);
}

typedef struct RecountAttempt
{
	VerifyRun  *run;
	int			segment;
	bool		readable;
	UnitTally	heap;
	UnitTally	lanes;
	UnitTally	ids;
} RecountAttempt;

static void
RecountWork(void *arg)
{
	RecountAttempt *attempt = arg;

	attempt->readable = SegmentCount(&attempt->run->job,
									 &attempt->run->segments[attempt->segment],
									 &attempt->heap, &attempt->lanes,
									 &attempt->ids);
}

/*
 * Counts a segment again under one lock.  Units take the lock for a while
 * each, so a VACUUM FULL or CLUSTER between two of them can have moved rows
 * from blocks that were still to be counted to others, or the leaf can be
 * gone.  Whoever differs after this does so in truth.
 */
static void
Recount(VerifyRun *run, int segment)
{
	SegmentAccount *account = &run->accounts[segment];
	RecountAttempt attempt = {.run = run,.segment = segment};

	if (account->recounted)
		return;
	account->recounted = true;
	if (VerifyAttempt(RecountWork, &attempt) != NULL)
		return;
	if (!attempt.readable)
	{
		account->unread = true;
		RunReportObject(run, FINDING_SEGMENT_MISSING,
						run->segments[segment].root,
						run->segments[segment].number,
						"table %s has gone or changed while verify ran",
						account->name);
		return;
	}
	account->damaged |= attempt.heap.damaged;
	account->heap_rows = attempt.heap.rows;
	account->heap_sum = attempt.heap.hash_sum;
	account->heap_ids = attempt.heap.ids;
	account->heap_id_sum = attempt.heap.id_sum;
	account->chain_rows = attempt.lanes.rows;
	account->chain_sum = attempt.lanes.hash_sum;
	account->ids = attempt.ids.ids;
	account->id_sum = attempt.ids.id_sum;
}

/* True if the lane index leads to other rows than the heap has. */
static bool
LanesDiffer(const SegmentAccount *account)
{
	return account->heap_rows != account->chain_rows ||
		account->heap_sum != account->chain_sum;
}

/* True if the id index has other ids than the heap. */
static bool
IdsDiffer(const VerifyRun *run, int segment)
{
	const SegmentAccount *account = &run->accounts[segment];

	return run->segments[segment].has_id_index &&
		(account->heap_ids != account->ids ||
		 account->heap_id_sum != account->id_sum);
}

/*
 * Sums up what the heap's rows hold.  If the lane index has led to the very
 * rows that are there, that has been read from them already.
 */
static void
HeapAccount(VerifyRun *run, int segment)
{
	SegmentAccount *account = &run->accounts[segment];

	if (account->damaged || account->heap_places != account->chain_rows ||
		account->heap_place_sum != account->chain_place_sum)
	{
		VerifyHeapRows(run, segment);
		return;
	}
	account->heap_rows = account->chain_rows;
	account->heap_sum = account->chain_sum;
	account->heap_ids = account->chain_ids;
	account->heap_id_sum = account->chain_id_sum;
}

/* Compares the heap with both indexes. */
static void
IndexesCheck(VerifyRun *run, int segment)
{
	const SegmentAccount *account = &run->accounts[segment];

	if (account->damaged || account->unread)
		return;
	if (LanesDiffer(account) || IdsDiffer(run, segment))
		Recount(run, segment);
	if (account->damaged || account->unread)
		return;
	if (LanesDiffer(account))
		IndexDiffers(run, segment, true);
	if (!run->segments[segment].has_id_index)
		RunReportObject(run, FINDING_INDEX_MISMATCH,
						run->segments[segment].root,
						run->segments[segment].number,
						"there is no usable id index");
	else if (IdsDiffer(run, segment))
		IndexDiffers(run, segment, false);
}

/* Compares a closed segment with what segment_event says of it. */
static void
ClosedSegmentCheck(VerifyRun *run, int segment)
{
	const SegmentAccount *account = &run->accounts[segment];
	const VerifySegment *vseg = &run->segments[segment];

	int64		expected = account->closed_rows - account->purged_rows;

	if (account->unread)
		return;
	if (account->closed_rows >= 0 && !account->damaged &&
		account->chain_rows != (uint64) expected)
		Recount(run, segment);
	if (account->unread)
		return;
	for (int i = 0; i < account->nclosed; i++)
	{
		const ClosedLane *lane = &account->closed[i];
		int64		first = lane->reached + 1;
		int64		end;

		if (lane->reached < lane->last_seq &&
			PurgedUncovered(account, lane->lane, &first, lane->last_seq,
							&end))
			RunReportObject(run, account->purged_events > 0 ?
							FINDING_PURGED_WITHOUT_RECEIPT :
							FINDING_CHAIN_TRUNCATED, vseg->root,
							vseg->number, "lane %d ends at seq " INT64_FORMAT
							", but ended at " INT64_FORMAT
							" when the segment was closed",
							lane->lane, lane->reached, lane->last_seq);
	}
	if (account->closed_rows >= 0 && !account->damaged &&
		account->chain_rows != (uint64) expected)
		RunReportObject(run, account->purged_events > account->purged_rows ?
						FINDING_PURGED_WITHOUT_RECEIPT :
						FINDING_CHAIN_TRUNCATED, vseg->root, vseg->number,
						"the segment has " UINT64_FORMAT " rows, but had "
						INT64_FORMAT " when it was closed%s",
						account->chain_rows, expected,
						account->purged_rows == 0 ? "" :
						", less what was purged with receipts");
}

/* ---------------- one row ---------------- */

/* Keeps what concerns one row: its own findings and its successor's link. */
typedef struct RowFilter
{
	VerifySink	sink;			/* first: callbacks cast back */
	VerifyRun  *run;
	int64		seq;
} RowFilter;

static void
RowFilterFinding(VerifySink *sink, const Finding *finding)
{
	RowFilter  *filter = (RowFilter *) sink;

	if (finding->seq == filter->seq ||
		finding->kind == FINDING_LINK_BROKEN ||
		finding->kind == FINDING_ROW_MISSING)
		filter->run->own.sink.finding(&filter->run->own.sink, finding);
}

static void
RowFilterTally(VerifySink *sink, const UnitTally *tally)
{
}

static void
RowFilterRows(VerifySink *sink, uint64 rows)
{
}

typedef struct RowAttempt
{
	VerifyRun  *run;
	int			segment;
	int			nfound;
	int			size;
	RowFacts   *found;			/* rows with the id */
	int64	   *next;			/* the position after each, or its own */
} RowAttempt;

/* The position that follows the row in its lane, or its own at the end. */
static int64
SuccessorSeq(RowReader *reader, const RowFacts *facts)
{
	Relation	index;
	IndexScanDesc scan;
	ScanKeyData keys[2];
	TupleTableSlot *slot;
	int64		seq = facts->seq;

	if (!reader->vseg->has_lane_index || !facts->has_position)
		return seq;
	index = LeafIndexOpen(reader->vseg->relid, true);
	slot = table_slot_create(reader->leaf, NULL);
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(facts->lane));
	ScanKeyInit(&keys[1], 2, BTGreaterStrategyNumber, F_INT8GT,
				Int64GetDatum(seq));
	scan = IndexBeginScan(reader->leaf, index, reader->job->snapshot, 2, 0);
	scan->xs_want_itup = true;
	index_rescan(scan, keys, 2, NULL, 0);
	if (IndexNextRow(scan, ForwardScanDirection, slot))
	{
		bool		isnull;

		seq = DatumGetInt64(index_getattr(scan->xs_itup, 2, scan->xs_itupdesc,
										  &isnull));
	}
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	return seq;
}

/* Adds a row with the id that was asked for. */
static void
RowFoundAdd(RowAttempt *attempt, const RowFacts *facts, int64 next)
{
	if (attempt->nfound == attempt->size)
	{
		attempt->size *= 2;
		attempt->found = repalloc(attempt->found,
								  sizeof(RowFacts) * attempt->size);
		attempt->next = repalloc(attempt->next, sizeof(int64) * attempt->size);
	}
	attempt->found[attempt->nfound] = *facts;
	attempt->next[attempt->nfound++] = next;
}

/* What VerifyAttempt runs: finds rows with the id in a segment. */
static void
RowFindWork(void *arg)
{
	RowAttempt *attempt = arg;
	VerifyRun  *run = attempt->run;
	VerifySegment *vseg = &run->segments[attempt->segment];
	RowReader	reader;
	Relation	index;
	IndexScanDesc scan;
	ScanKeyData key;

	if (!RowReaderOpen(&reader, &run->job, vseg, &run->own.sink))
		return;
	vseg->has_lane_index = OidIsValid(reader.seg->lane_index);
	vseg->has_id_index = OidIsValid(reader.seg->id_index);
	if (!vseg->has_id_index)
	{
		RowReaderClose(&reader);
		return;
	}
	index = LeafIndexOpen(vseg->relid, false);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(&run->scope.id));
	scan = IndexBeginScan(reader.leaf, index, run->job.snapshot, 1, 0);
	index_rescan(scan, &key, 1, NULL, 0);
	while (IndexNextRow(scan, ForwardScanDirection, reader.slot))
	{
		RowFacts	facts;

		RowReadFacts(&reader, false, &facts);
		RowFoundAdd(attempt, &facts,
					SuccessorSeq(&reader, &facts));
	}
	index_endscan(scan);
	index_close(index, AccessShareLock);
	RowReaderClose(&reader);
}

typedef struct RowUnitAttempt
{
	VerifyRun  *run;
	VerifyUnit	unit;
	RowFilter	filter;
} RowUnitAttempt;

static void
RowUnitWork(void *arg)
{
	RowUnitAttempt *attempt = arg;

	VerifyChainUnit(&attempt->run->job, &attempt->unit, &attempt->filter.sink);
}

/* Verifies one found row with its links. */
static void
RowFoundVerify(VerifyRun *run, int segment, const RowFacts *facts, int64 next)
{
	const VerifySegment *vseg = &run->segments[segment];
	RowUnitAttempt attempt = {.run = run};
	const char *why = "it has no position";

	attempt.unit = (VerifyUnit)
	{
		.kind = UNIT_CHAIN,.segment = segment,.lane = facts->lane,
			.first = facts->seq,.last = next,.closed_seq = -1
	};
	attempt.filter = (RowFilter)
	{
		.sink =
		{
			RowFilterFinding, RowFilterTally, RowFilterRows
		},
			.run = run,.seq = facts->seq
	};
	if (!vseg->has_lane_index)
		why = "there is no usable lane index";
	else if (facts->has_position)
		why = VerifyAttempt(RowUnitWork, &attempt);
	if (why != NULL)
	{
		UnitSourceReset(&run->own);
		RunReportObject(run, FINDING_ROW_ALTERED, vseg->root, vseg->number,
						"the row cannot be verified: %s", why);
	}
	UnitSourceCommit(&run->own, -1);
	run->nrows++;
}

/* Verifies the row, or rows, with the id that was asked for. */
static void
RunOneRow(VerifyRun *run)
{
	RowAttempt	attempt = {.run = run,.size = 4};
	int			before = 0;

	attempt.found = palloc(sizeof(RowFacts) * attempt.size);
	attempt.next = palloc(sizeof(int64) * attempt.size);
	for (int i = 0; i < run->job.nsegments; i++)
	{
		const VerifySegment *vseg = &run->segments[i];
		const char *why;

		CHECK_FOR_INTERRUPTS();
		attempt.segment = i;
		attempt.nfound = 0;
		why = VerifyAttempt(RowFindWork, &attempt);
		if (why != NULL)
			RunReportObject(run, FINDING_INDEX_MISMATCH, vseg->root,
							vseg->number, "ids could not be searched: %s", why);
		for (int j = 0; j < attempt.nfound; j++)
		{
			RowFoundVerify(run, i, &attempt.found[j], attempt.next[j]);
			if (before++ > 0)
				RunReportObject(run, FINDING_DUPLICATE_ID, vseg->root,
								vseg->number, "another row has the same id");
		}
	}
	if (before == 0)
		RunReportObject(run, FINDING_ROW_MISSING, run->scope.ledger, -1,
						"no row has this id");
	UnitSourceCommit(&run->own, -1);
}

/* ---------------- a run ---------------- */

/* Verifies everything in scope. */
static void
RunAll(VerifyRun *run)
{
	int			nworkers;

	VerifyCatalogAlone(run);
	PlanUnits(run);
	UnitSourceCommit(&run->own, -1);
	nworkers = WorkersWanted(run);
	if (nworkers == 0)
		VerifyCatalogRest(run);
	RunUnits(run, nworkers);
	VerifyCatalogRest(run);
	VerifyGenerated(run);
	for (int i = 0; i < run->job.nsegments; i++)
	{
		CHECK_FOR_INTERRUPTS();
		HeapAccount(run, i);
		IndexesCheck(run, i);
		ClosedSegmentCheck(run, i);
	}
	UnitSourceCommit(&run->own, -1);
}

/*
 * Runs verify; findings go to run->result if there is one, and are counted.
 * It sees what is committed when it begins, whatever the caller's snapshot:
 * a purge that has truncated a segment since is not undone by an older one.
 */
static void
RunVerify(VerifyRun *run)
{
	(void) ReadersLock(ShareLock, true);
	PushActiveSnapshot(GetLatestSnapshot());
	run->job.snapshot = RegisterSnapshot(GetActiveSnapshot());
	run->job.has_range = run->scope.has_range;
	run->job.since = run->scope.since;
	run->job.until = run->scope.until;
	run->started = run->noticed = GetCurrentTimestamp();
	UnitSourceInit(&run->own, run);
	ProgressBegin(run);
	PG_TRY();
	{
		PlanSegments(run);
		UnitSourceCommit(&run->own, -1);
		if (run->scope.has_id)
			RunOneRow(run);
		else
			RunAll(run);
	}
	PG_FINALLY();
	{
		ProgressEnd();
	}
	PG_END_TRY();
	tuplestore_end(run->own.pending);
	UnregisterSnapshot(run->job.snapshot);
	PopActiveSnapshot();
	ReadersUnlock(ShareLock);
}

/* ---------------- SQL functions ---------------- */

/* A relation's name, or its OID if it has none. */
static const char *
RelationLabel(Oid relid)
{
	const char *name = get_rel_name(relid);

	return name != NULL ? name : psprintf("%u", relid);
}

/* Refuses what verify does not do (yet) rather than to ignore it. */
static void
ScopeCheck(FunctionCallInfo fcinfo, const VerifyScope *scope)
{
	if (!PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("this version cannot verify against a checkpoint"),
				 errhint("Leave trusted_checkpoint out: the ledgers are then only checked for being consistent in themselves.")));
	if (scope->has_segment && !OidIsValid(scope->ledger))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a segment can only be verified of a given ledger")));
	if (OidIsValid(scope->ledger) &&
		LedgerRelationClassify(scope->ledger) != LEDGER_REL_ROOT)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a ledger", RelationLabel(scope->ledger)),
				 errhint("Name the ledger itself, not one of its partitions; the ledgers are in llm_audit.ledger.")));
	if (scope->has_range && scope->since >= scope->until)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("since must be before until")));
	if (scope->workers > MAX_PARALLEL_WORKER_LIMIT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("workers must be at most %d",
						MAX_PARALLEL_WORKER_LIMIT)));
}

/* Reads the arguments that verify and verify_summary share. */
static void
ScopeRead(FunctionCallInfo fcinfo, VerifyScope *scope)
{
	memset(scope, 0, sizeof(*scope));
	scope->ledger = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0);
	scope->has_segment = !PG_ARGISNULL(2);
	if (scope->has_segment)
		scope->segment = PG_GETARG_INT32(2);
	scope->has_range = !PG_ARGISNULL(3) || !PG_ARGISNULL(4);
	TIMESTAMP_NOBEGIN(scope->since);
	TIMESTAMP_NOEND(scope->until);
	if (!PG_ARGISNULL(3))
		scope->since = PG_GETARG_TIMESTAMPTZ(3);
	if (!PG_ARGISNULL(4))
		scope->until = PG_GETARG_TIMESTAMPTZ(4);
	scope->has_id = !PG_ARGISNULL(5);
	if (scope->has_id)
		scope->id = *PG_GETARG_UUID_P(5);
	scope->workers = PG_ARGISNULL(6) ? -1 : Max(PG_GETARG_INT32(6), 0);
	ScopeCheck(fcinfo, scope);
}

/* The row type of findings. */
static TupleDesc
FindingDesc(void)
{
	TupleDesc	desc = CreateTemplateTupleDesc(FINDING_COLUMNS);

	TupleDescInitEntry(desc, 1, "ledger", REGCLASSOID, -1, 0);
	TupleDescInitEntry(desc, 2, "segment", INT4OID, -1, 0);
	TupleDescInitEntry(desc, 3, "lane", INT4OID, -1, 0);
	TupleDescInitEntry(desc, 4, "seq", INT8OID, -1, 0);
	TupleDescInitEntry(desc, 5, "id", UUIDOID, -1, 0);
	TupleDescInitEntry(desc, 6, "finding", TEXTOID, -1, 0);
	TupleDescInitEntry(desc, 7, "detail", TEXTOID, -1, 0);
	return desc;
}

/*
 * llm_audit.verify(ledger, trusted_checkpoint, segment, since, until, id,
 *					workers)
 *		Returns all findings, one row each; none when all is well.
 */
Datum
llm_audit_verify(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	VerifyRun  *run = palloc0(sizeof(VerifyRun));

	InitMaterializedSRF(fcinfo, 0);
	ScopeRead(fcinfo, &run->scope);
	run->context = CurrentMemoryContext;
	run->desc = FindingDesc();
	run->result = rsinfo->setResult;
	RunVerify(run);
	return (Datum) 0;
}

/* What a run without a trusted checkpoint can say at best. */
static char *
StatementMake(const VerifyRun *run)
{
	if (run->nfindings == 0)
		return "self-consistent only: the end of open lanes is not covered without a trusted checkpoint";
	return psprintf(UINT64_FORMAT " findings: what was read does not agree with itself; the end of open lanes is not covered without a trusted checkpoint",
					run->nfindings);
}

/*
 * llm_audit.verify_summary(same arguments) -> one row
 *		What verify read and found, and what that does not prove.
 */
Datum
llm_audit_verify_summary(PG_FUNCTION_ARGS)
{
	VerifyRun  *run = palloc0(sizeof(VerifyRun));
	Interval   *duration = palloc0(sizeof(Interval));
	TupleDesc	desc;
	Datum		values[SUMMARY_COLUMNS];
	bool		nulls[SUMMARY_COLUMNS] = {0};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	ScopeRead(fcinfo, &run->scope);
	run->context = CurrentMemoryContext;
	run->desc = FindingDesc();
	RunVerify(run);

	duration->time = GetCurrentTimestamp() - run->started;
	values[0] = CStringGetTextDatum(run->nfindings == 0 ?
									"self_consistent" : "inconsistent");
	values[1] = Int32GetDatum(run->nledgers);
	values[2] = Int32GetDatum(run->job.nsegments);
	values[3] = Int64GetDatum((int64) run->nlanes);
	values[4] = Int64GetDatum((int64) run->nrows);
	values[5] = Int64GetDatum((int64) run->nfindings);
	values[6] = (Datum) 0;
	nulls[6] = true;			/* no checkpoint was given */
	values[7] = CStringGetTextDatum(StatementMake(run));
	values[8] = Int32GetDatum(run->nworkers);
	values[9] = IntervalPGetDatum(duration);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values,
											 nulls));
}

/* ---------------- row_preimage ---------------- */

/* The preimage of the first row with the id in a segment, or NULL. */
static bytea *
SegmentPreimage(VerifyRun *run, int segment)
{
	VerifySegment *vseg = &run->segments[segment];
	RowReader	reader;
	Relation	index;
	IndexScanDesc scan;
	ScanKeyData key;
	bytea	   *result = NULL;

	if (!RowReaderOpen(&reader, &run->job, vseg, &run->own.sink))
		return NULL;
	index = LeafIndexOpen(vseg->relid, false);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(&run->scope.id));
	scan = IndexBeginScan(reader.leaf, index, run->job.snapshot, 1, 0);
	index_rescan(scan, &key, 1, NULL, 0);
	if (IndexNextRow(scan, ForwardScanDirection, reader.slot))
		result = RowPreimageCopy(&reader);
	index_endscan(scan);
	index_close(index, AccessShareLock);
	RowReaderClose(&reader);
	return result;
}

/*
 * llm_audit.row_preimage(ledger regclass, id uuid) -> bytea
 *		The bytes whose SHA-256 is the row's row_hash if nobody has altered
 *		the row; NULL if the ledger has no row with this id.  If the id
 *		stands in several segments, the row of the first one.
 */
Datum
llm_audit_row_preimage(PG_FUNCTION_ARGS)
{
	VerifyRun  *run = palloc0(sizeof(VerifyRun));
	bytea	   *result = NULL;

	run->scope.ledger = PG_GETARG_OID(0);
	run->scope.id = *PG_GETARG_UUID_P(1);
	run->scope.has_id = true;
	if (LedgerRelationClassify(run->scope.ledger) != LEDGER_REL_ROOT)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a ledger",
						RelationLabel(run->scope.ledger))));
	if (ledger_read_hook)
		ledger_read_hook(run->scope.ledger, "row_preimage");
	run->context = CurrentMemoryContext;
	run->desc = FindingDesc();
	run->job.snapshot = GetActiveSnapshot();
	UnitSourceInit(&run->own, run);
	PlanSegmentsOnly(run);
	for (int i = 0; i < run->job.nsegments && result == NULL; i++)
		result = SegmentPreimage(run, i);
	tuplestore_end(run->own.pending);
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(result);
}
