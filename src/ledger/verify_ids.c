/*
 * verify_ids.c
 *	  A unit of work: all ids of a ledger in order, to find duplicates.
 *
 * The leaves' id indexes are merged.  Each leaf is opened for a few thousand
 * ids at a time and closed again, so that memory does not grow with the
 * table and never more than one leaf is locked.  Rows on all-visible pages
 * are not visited.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/itup.h"
#include "access/nbtree.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/visibilitymap.h"
#include "ledger/verify.h"
#include "lib/binaryheap.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

#define IDS_MEMORY		(4 * 1024 * 1024)	/* for all streams */
#define IDS_CHUNK_MIN	64
#define IDS_CHUNK_MAX	8192

/* The ids of one segment, read chunk by chunk. */
typedef struct IdStream
{
	const VerifyJob *job;
	const VerifySegment *vseg;
	VerifySink *sink;
	UnitTally	tally;
	int			capacity;
	int			count;
	int			at;
	bool		started;
	bool		exhausted;
	pg_uuid_t	last;			/* last id read, if started */
	bool		repeated;		/* and it has been reported */
	pg_uuid_t  *ids;
} IdStream;

/* Reports the segment's rows with this id, but for the first skip. */
static void
DuplicatesReport(const IdStream *stream, const pg_uuid_t *id, int skip,
				 const char *detail)
{
	RowReader	reader;
	Relation	index;
	IndexScanDesc scan;
	ScanKeyData key;

	if (!RowReaderOpen(&reader, stream->job, stream->vseg, stream->sink))
		return;
	index = LeafIndexOpen(stream->vseg->relid, false);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(id));
	scan = IndexBeginScan(reader.leaf, index, stream->job->snapshot, 1, 0);
	index_rescan(scan, &key, 1, NULL, 0);
	while (IndexNextRow(scan, ForwardScanDirection, reader.slot))
	{
		RowFacts	facts;

		CHECK_FOR_INTERRUPTS();
		RowReadFacts(&reader, false, &facts);
		if (skip-- <= 0 && facts.in_range)
			RowReport(&reader, &facts, FINDING_DUPLICATE_ID, "%s", detail);
	}
	index_endscan(scan);
	index_close(index, AccessShareLock);
	RowReaderClose(&reader);
}

/* Takes the next id of the index; one met before is reported. */
static void
IdStreamAdd(IdStream *stream, const pg_uuid_t *id)
{
	stream->tally.ids++;
	stream->tally.id_sum += IdWord(id);
	if (stream->started && memcmp(id->data, stream->last.data, UUID_LEN) == 0)
	{
		if (!stream->repeated)
			DuplicatesReport(stream, id, 1,
							 "another row of the segment has the same id");
		stream->repeated = true;
		return;
	}
	stream->started = true;
	stream->repeated = false;
	stream->last = *id;
	stream->ids[stream->count++] = *id;
}

/*
 * Reads ids through an open scan until the chunk is full and all rows with
 * its last id have been met.
 */
static void
IdStreamRead(IdStream *stream, IndexScanDesc scan, Relation leaf,
			 TupleTableSlot *slot)
{
	Buffer		map = InvalidBuffer;
	ItemPointer tid;

	stream->exhausted = true;
	while ((tid = index_getnext_tid(scan, ForwardScanDirection)) != NULL)
	{
		bool		isnull;
		Datum		id;

		CHECK_FOR_INTERRUPTS();
		if (!VM_ALL_VISIBLE(leaf, ItemPointerGetBlockNumber(tid), &map))
		{
			bool		visible = index_fetch_heap(scan, slot);

			scan->kill_prior_tuple = false;
			if (!visible)
				continue;
		}
		id = index_getattr(scan->xs_itup, 1, scan->xs_itupdesc, &isnull);
		if (isnull)
			continue;
		if (stream->count == stream->capacity &&
			memcmp(DatumGetUUIDP(id)->data, stream->last.data, UUID_LEN) != 0)
		{
			stream->exhausted = false;
			break;
		}
		IdStreamAdd(stream, DatumGetUUIDP(id));
	}
	if (BufferIsValid(map))
		ReleaseBuffer(map);
}

/* Fills the stream's next chunk; false when there are no more ids. */
static bool
IdStreamFill(IdStream *stream)
{
	Relation	leaf;
	Relation	index;
	IndexScanDesc scan;
	ScanKeyData key;
	TupleTableSlot *slot;

	stream->sink->rows(stream->sink, 0);
	stream->count = stream->at = 0;
	if (stream->exhausted)
		return false;
	stream->exhausted = true;
	leaf = try_table_open(stream->vseg->relid, AccessShareLock);
	if (leaf == NULL)
		return false;
	index = LeafIndexOpen(stream->vseg->relid, false);
	slot = table_slot_create(leaf, NULL);
	ScanKeyInit(&key, 1, BTGreaterStrategyNumber, F_UUID_GT,
				UUIDPGetDatum(&stream->last));
	scan = IndexBeginScan(leaf, index, stream->job->snapshot,
						  stream->started ? 1 : 0, 0);
	scan->xs_want_itup = true;
	index_rescan(scan, &key, stream->started ? 1 : 0, NULL, 0);
	IdStreamRead(stream, scan, leaf, slot);
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	table_close(leaf, AccessShareLock);
	return stream->count > 0;
}

/* Orders streams by their next id, then by segment, smallest on top. */
static int
IdStreamCompare(Datum a, Datum b, void *arg)
{
	const IdStream *x = (const IdStream *) DatumGetPointer(a);
	const IdStream *y = (const IdStream *) DatumGetPointer(b);
	int			cmp;

	cmp = memcmp(y->ids[y->at].data, x->ids[x->at].data, UUID_LEN);
	if (cmp != 0)
		return cmp;
	return x->vseg->number < y->vseg->number ? 1 : -1;
}

/* Merges the streams; an id that two of them have is reported. */
static void
IdStreamsMerge(binaryheap *heap)
{
	bool		started = false;
	pg_uuid_t	last;
	uint32		owner = 0;

	while (!binaryheap_empty(heap))
	{
		IdStream   *stream =
		(IdStream *) DatumGetPointer(binaryheap_first(heap));
		const pg_uuid_t *id = &stream->ids[stream->at];

		if (started && memcmp(id->data, last.data, UUID_LEN) == 0)
		{
			char		detail[64];

			snprintf(detail, sizeof(detail),
					 "segment %u has a row with the same id", owner);
			DuplicatesReport(stream, id, 0, detail);
		}
		else
			owner = stream->vseg->number;
		started = true;
		last = *id;
		if (++stream->at < stream->count || IdStreamFill(stream))
			binaryheap_replace_first(heap, PointerGetDatum(stream));
		else
			binaryheap_remove_first(heap);
	}
}

/* How many ids of each stream are kept. */
static int
ChunkSize(int nstreams)
{
	int			size = IDS_MEMORY / (int) sizeof(pg_uuid_t) / nstreams;

	return Min(Max(size, IDS_CHUNK_MIN), IDS_CHUNK_MAX);
}

/* Verifies the ids of a ledger's segments; raises what damaged pages raise. */
void
VerifyIdsUnit(const VerifyJob *job, const VerifyUnit *unit,
			  VerifySink *sink)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "llm_audit verify ids",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	IdStream   *streams = palloc0(sizeof(IdStream) * unit->count);
	binaryheap *heap = binaryheap_allocate(unit->count, IdStreamCompare, NULL);

	for (int i = 0; i < unit->count; i++)
	{
		IdStream   *stream = &streams[i];

		stream->job = job;
		stream->vseg = &job->segments[unit->segment + i];
		stream->sink = sink;
		stream->tally.kind = UNIT_IDS;
		stream->tally.segment = unit->segment + i;
		if (!stream->vseg->has_id_index)
			continue;
		stream->capacity = ChunkSize(unit->count);
		stream->ids = palloc(sizeof(pg_uuid_t) * stream->capacity);
		if (IdStreamFill(stream))
			binaryheap_add_unordered(heap, PointerGetDatum(stream));
	}
	binaryheap_build(heap);
	IdStreamsMerge(heap);
	for (int i = 0; i < unit->count; i++)
		sink->tally(sink, &streams[i].tally);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
