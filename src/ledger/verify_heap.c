/*
 * verify_heap.c
 *	  A unit of work: a range of a leaf's blocks, read as they lie.
 *
 * verify reads rows through the indexes, so a row that an index does not
 * lead to would go unseen.  This pass counts what is really there and sums
 * the places; verify.c compares that with the places of the rows that came
 * through the lane index.  Where they are not the same rows, it has this pass
 * repeated with what the rows hold: the first bytes of the row hashes and the
 * hashes of the ids.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/itup.h"
#include "access/nbtree.h"
#include "access/tableam.h"
#include "ledger/verify.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"

/* Rows between two calls of the sink. */
#define TELL_ROWS	1024

/* Adds a row to the tally; one without a position belongs to no chain. */
static void
HeapTallyRow(const RowReader *reader, const RowFacts *facts,
			 UnitTally *tally)
{
	if (facts->has_id)
	{
		tally->ids++;
		tally->id_sum += IdWord(&facts->id);
	}
	if (facts->readable && !facts->has_position)
	{
		if (facts->in_range)
			RowReport(reader, facts, FINDING_ROW_INSERTED,
					  "chain_lane or chain_seq is NULL: the row is in no chain");
		return;
	}
	tally->rows++;
	tally->damaged |= !facts->readable;
	if (facts->has_hash)
		tally->hash_sum += HashWord(facts->row_hash);
}

/* Begins a scan of the unit's blocks with the run's snapshot. */
static TableScanDesc
HeapScanBegin(const RowReader *reader, BlockNumber first, BlockNumber last)
{
	ItemPointerData low;
	ItemPointerData high;

	ItemPointerSet(&low, first, FirstOffsetNumber);
	ItemPointerSet(&high, last, MaxOffsetNumber);
	return table_beginscan_tidrange(reader->leaf, reader->job->snapshot,
									&low, &high);
}

/* Verifies one range of blocks; raises what damaged pages raise. */
void
VerifyHeapUnit(const VerifyJob *job, const VerifyUnit *unit,
			   VerifySink *sink)
{
	RowReader	reader;
	TableScanDesc scan;
	UnitTally	tally = {.kind = unit->kind,.segment = unit->segment};
	uint64		visited = 0;

	if (!RowReaderOpen(&reader, job, &job->segments[unit->segment], sink))
		return;
	scan = HeapScanBegin(&reader, (BlockNumber) unit->first,
						 (BlockNumber) unit->last);
	while (table_scan_getnextslot_tidrange(scan, ForwardScanDirection,
										   reader.slot))
	{
		RowFacts	facts;

		CHECK_FOR_INTERRUPTS();
		if (++visited % TELL_ROWS == 0)
			sink->rows(sink, 0);
		if (unit->kind == UNIT_HEAP)
		{
			tally.rows++;
			tally.place_sum += PlaceWord(&reader.slot->tts_tid);
			continue;
		}
		RowReadFacts(&reader, false, &facts);
		HeapTallyRow(&reader, &facts, &tally);
	}
	table_endscan(scan);
	sink->tally(sink, &tally);
	RowReaderClose(&reader);
}

/* True if the index leads to the row in the reader's slot. */
static bool
IndexLeadsTo(RowReader *reader, IndexScanDesc scan, bool by_lane,
			 const RowFacts *facts, TupleTableSlot *found)
{
	ItemPointerData tid = reader->slot->tts_tid;
	ScanKeyData keys[2];

	if (by_lane)
	{
		ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ,
					Int32GetDatum(facts->lane));
		ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT8EQ,
					Int64GetDatum(facts->seq));
	}
	else
		ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_UUID_EQ,
					UUIDPGetDatum(&facts->id));
	index_rescan(scan, keys, by_lane ? 2 : 1, NULL, 0);
	while (IndexNextRow(scan, ForwardScanDirection, found))
	{
		CHECK_FOR_INTERRUPTS();
		if (ItemPointerEquals(&found->tts_tid, &tid))
			return true;
	}
	return false;
}

/* Probes the index for each row of the reader's leaf. */
static uint64
IndexMissesScan(RowReader *reader, IndexScanDesc scan, bool by_lane,
				TupleTableSlot *found)
{
	TableScanDesc rows = HeapScanBegin(reader, 0, MaxBlockNumber);
	uint64		misses = 0;

	while (table_scan_getnextslot_tidrange(rows, ForwardScanDirection,
										   reader->slot))
	{
		RowFacts	facts;

		CHECK_FOR_INTERRUPTS();
		RowReadFacts(reader, false, &facts);
		if (!(by_lane ? facts.has_position : facts.has_id) ||
			IndexLeadsTo(reader, scan, by_lane, &facts, found))
			continue;
		misses++;
		RowReport(reader, &facts, FINDING_INDEX_MISMATCH,
				  "the %s index does not lead to this row",
				  by_lane ? "lane" : "id");
	}
	table_endscan(rows);
	return misses;
}

uint64
IndexMissesReport(const VerifyJob *job, const VerifySegment *vseg,
				  bool by_lane, VerifySink *sink)
{
	RowReader	reader;
	Relation	index;
	IndexScanDesc scan;
	TupleTableSlot *found;
	uint64		misses;

	if (!RowReaderOpen(&reader, job, vseg, sink))
		return 0;
	index = LeafIndexOpen(vseg->relid, by_lane);
	found = table_slot_create(reader.leaf, NULL);
	scan = IndexBeginScan(reader.leaf, index, job->snapshot,
						  by_lane ? 2 : 1, 0);
	misses = IndexMissesScan(&reader, scan, by_lane, found);
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(found);
	index_close(index, AccessShareLock);
	RowReaderClose(&reader);
	return misses;
}

/* Adds the id that the index has for the row it has led to. */
static void
IndexCountId(IndexScanDesc scan, UnitTally *tally)
{
	bool		isnull;
	Datum		id = index_getattr(scan->xs_itup, 1, scan->xs_itupdesc, &isnull);

	if (isnull)
		return;
	tally->ids++;
	tally->id_sum += IdWord(DatumGetUUIDP(id));
}

/* Counts the rows that an index leads to, but for those without a key. */
static void
IndexCount(RowReader *reader, bool by_lane, UnitTally *tally)
{
	Relation	index = LeafIndexOpen(reader->vseg->relid, by_lane);
	IndexScanDesc scan = IndexBeginScan(reader->leaf, index,
										reader->job->snapshot, 0, 0);

	scan->xs_want_itup = true;
	index_rescan(scan, NULL, 0, NULL, 0);
	while (IndexNextRow(scan, ForwardScanDirection, reader->slot))
	{
		RowFacts	facts;

		RowReadFacts(reader, false, &facts);
		if (by_lane && facts.has_position)
		{
			tally->rows++;
			if (facts.has_hash)
				tally->hash_sum += HashWord(facts.row_hash);
		}
		if (!by_lane)
			IndexCountId(scan, tally);
	}
	index_endscan(scan);
	index_close(index, AccessShareLock);
}

/* Counts the rows of the heap; findings have been reported before. */
static void
HeapCount(RowReader *reader, UnitTally *tally)
{
	TableScanDesc rows = HeapScanBegin(reader, 0, MaxBlockNumber);

	while (table_scan_getnextslot_tidrange(rows, ForwardScanDirection,
										   reader->slot))
	{
		RowFacts	facts;

		CHECK_FOR_INTERRUPTS();
		RowReadFacts(reader, false, &facts);
		facts.in_range = false;
		HeapTallyRow(reader, &facts, tally);
	}
	table_endscan(rows);
}

bool
SegmentCount(const VerifyJob *job, const VerifySegment *vseg,
			 UnitTally *heap, UnitTally *lanes, UnitTally *ids)
{
	RowReader	reader;

	if (!RowReaderOpen(&reader, job, vseg, NULL))
		return false;
	HeapCount(&reader, heap);
	if (vseg->has_lane_index)
		IndexCount(&reader, true, lanes);
	if (vseg->has_id_index)
		IndexCount(&reader, false, ids);
	RowReaderClose(&reader);
	return true;
}
