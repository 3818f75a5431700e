/*
 * chain.c
 *	  Lanes: which chain of a segment a transaction appends to, where that
 *	  chain ends, and which positions are taken.
 *
 * Locking protocol.  A lane is owned through a transaction-level lock on
 * (database, leaf, lane), taken conditionally, so nobody ever waits for one.
 * It is held to the end of the transaction, or of the subtransaction that
 * took it, and moves to the prepared transaction at PREPARE.  Whoever holds
 * the lock is the only one who can append to the lane, and everything that
 * earlier holders appended is committed or aborted; so the lane's last
 * visible row, read through the index with SnapshotSelf after the lock has
 * been taken, is its head.  The transaction's own snapshot does not matter:
 * under REPEATABLE READ it may be older than the lock.
 *
 * The head is known in memory only while the lock is held in the same
 * (sub)transaction that learnt it.  A subtransaction's abort forgets what it
 * touched, and the head is read again.
 *
 * A BEFORE trigger also runs for a row that ON CONFLICT DO NOTHING then
 * drops, so a new position is pending until its row has been seen; see
 * PendingResolve.
 */
#include "postgres.h"

#include "access/itup.h"
#include "access/relscan.h"
#include "access/skey.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "compat.h"
#include "executor/tuptable.h"
#include "ledger/ledger.h"
#include "miscadmin.h"
#include "policy/policy.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

/* Marks our locks among LOCKTAG_USERLOCK's, in the last field of the tag. */
#define LANE_LOCK_MAGIC		0x4C41

/*
 * So many invisible index entries are skipped before the end of the lane is
 * sought by bisection instead: a rolled-back bulk insert leaves millions.
 */
#define MAX_INVISIBLE		16

/*
 * So many entries are read onwards from where the lane was last seen to end,
 * before it is read from its end instead: others may have added millions.
 */
#define MAX_FORWARD			64

/* A lane that this transaction holds. */
typedef struct LaneHold
{
	Oid			leaf;
	uint32		lane;
	uint64		turn;			/* in which it was taken; see lane_turn.c */
	struct LaneHint *hint;
	SubTransactionId locked_in; /* the subtransaction that took the lock */
	SubTransactionId touched_in;	/* the last one that changed what follows */
	Oid			index;			/* on (chain_lane, chain_seq) */
	uint8		ledger_id[LEDGER_ID_SIZE];
	bool		head_known;
	uint64		seq;			/* of the last row, 0 before the first */
	uint8		hash[SHA256_SIZE];	/* its hash, or the genesis hash */

	bool		pending;		/* the row at seq has not been seen yet */
	uint8		base_hash[SHA256_SIZE]; /* hash of the row before it */
	pg_uuid_t	pending_id;
} LaneHold;

/* A lane's chain while its index is being read. */
typedef struct LaneReader
{
	Relation	leaf;
	const Segment *seg;
	uint32		lane;
	Relation	index;
	LOCKMODE	lockmode;		/* taken on the index */
	TupleTableSlot *slot;		/* made on first use */
} LaneReader;

/* A visible row of a lane. */
typedef struct LaneRow
{
	uint64		seq;
	uint8		hash[SHA256_SIZE];
} LaneRow;

/*
 * Where a lane ended when this backend last looked.  Others may have added
 * rows since, so it is a place to begin looking at.  If this backend's own
 * transaction wrote that row and committed, and nobody has taken the lane
 * since or at least nothing stands behind it, it is the end: the row itself
 * need not be read.
 */
typedef struct LaneHint
{
	Oid			leaf;			/* hash key */
	uint32		lane;
	uint64		seq;
	uint64		turn;			/* in which we wrote it */
	bool		committed;		/* row_hash is what we committed at seq */
	Oid			index;			/* in this index */
	uint8		ledger_id[LEDGER_ID_SIZE];	/* of this ledger */
	uint8		hash[SHA256_SIZE];
} LaneHint;

/*
 * The holds of this transaction, few and mostly one: an array that is kept
 * from one transaction to the next, since every insert would pay for making
 * it.
 */
static LaneHold *holds = NULL;
static int	nholds = 0;
static int	holds_size = 0;

static HTAB *hints = NULL;
static uint32 last_lane = 0;
static bool copied = false;		/* this transaction has stored such rows */
static ChainCollector collector = {NULL, NULL};

/* ---------------- reading a lane through its index ---------------- */

/* lockmode is NoLock in a trigger, whose caller has locked the indexes. */
static void
ReaderOpen(LaneReader *reader, Relation leaf, const Segment *seg, uint32 lane,
		   LOCKMODE lockmode)
{
	reader->leaf = leaf;
	reader->seg = seg;
	reader->lane = lane;
	reader->lockmode = lockmode;
	reader->index = index_open(seg->lane_index, lockmode);
	reader->slot = NULL;
}

static void
ReaderClose(LaneReader *reader)
{
	if (reader->slot != NULL)
		ExecDropSingleTupleTableSlot(reader->slot);
	index_close(reader->index, reader->lockmode);
}

/* The slot for the lane's rows. */
static TupleTableSlot *
ReaderSlot(LaneReader *reader)
{
	if (reader->slot == NULL)
		reader->slot = table_slot_create(reader->leaf, NULL);
	return reader->slot;
}

/*
 * Begins a scan of the lane's entries: all of them, or those whose seq
 * stands in this relation (a btree strategy) to the one given.  A scan for
 * more than one seq returns the entries' own keys, and entries marked dead
 * too: skipping those unseen could go on for as many pages as a rolled-back
 * insert has left.
 */
static IndexScanDesc
ReaderScan(LaneReader *reader, StrategyNumber strategy, uint64 seq)
{
	IndexScanDesc scan;
	ScanKeyData keys[2];
	int			nkeys = (strategy == InvalidStrategy) ? 1 : 2;

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum((int32) reader->lane));
	if (nkeys == 2)
		ScanKeyInit(&keys[1], 2, strategy,
					strategy == BTEqualStrategyNumber ? F_INT8EQ : F_INT8GE,
					Int64GetDatum((int64) seq));
	scan = IndexBeginScan(reader->leaf, reader->index, SnapshotSelf, nkeys, 0);
	if (strategy != BTEqualStrategyNumber)
	{
		scan->xs_want_itup = true;
		scan->ignore_killed_tuples = false;
	}
	index_rescan(scan, keys, nkeys, NULL, 0);
	return scan;
}

/* Copies seq and hash out of the slot. */
static void
RowFromSlot(LaneReader *reader, LaneRow *row)
{
	const LedgerAttrs *attrs = &reader->seg->attrs;
	bool		isnull;
	Datum		value;
	bytea	   *hash = NULL;

	row->seq = DatumGetInt64(slot_getattr(reader->slot, attrs->chain_seq,
										  &isnull));
	value = slot_getattr(reader->slot, attrs->row_hash, &isnull);
	if (!isnull)
		hash = DatumGetByteaPP(value);
	if (hash == NULL || VARSIZE_ANY_EXHDR(hash) != SHA256_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("row_hash at the end of lane %u of \"%s\" is malformed",
						reader->lane, RelationGetRelationName(reader->leaf)),
				 errhint("Run llm_audit.verify() on the ledger.")));
	memcpy(row->hash, VARDATA_ANY(hash), SHA256_SIZE);
}

/* Is there a visible row at seq?  Fills row if so. */
static bool
ReaderProbe(LaneReader *reader, uint64 seq, LaneRow *row)
{
	IndexScanDesc scan = ReaderScan(reader, BTEqualStrategyNumber, seq);
	bool		found;

	found = index_getnext_slot(scan, ForwardScanDirection, ReaderSlot(reader));
	if (found)
		RowFromSlot(reader, row);
	index_endscan(scan);
	return found;
}

/*
 * Finds the last visible row below the invisible entries at seq top and
 * above.  The visible rows of the lane are 1 to H without a gap, so
 * strides that double find a visible row and bisection finds the last one.
 */
static bool
ReaderBisect(LaneReader *reader, uint64 top, LaneRow *row)
{
	uint64		visible = 0;
	uint64		invisible = top + 1;
	uint64		stride = 1;
	LaneRow		probe;

	for (uint64 at = top; at >= 1; at = (at > stride) ? at - stride : 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (ReaderProbe(reader, at, &probe))
		{
			visible = at;
			*row = probe;
			break;
		}
		invisible = at;
		stride *= 2;
	}

	while (visible + 1 < invisible)
	{
		uint64		middle = visible + (invisible - visible) / 2;

		CHECK_FOR_INTERRUPTS();
		if (ReaderProbe(reader, middle, &probe))
		{
			visible = middle;
			*row = probe;
		}
		else
			invisible = middle;
	}
	return visible > 0;
}

/* The seq in the index entry that the scan is at. */
static uint64
EntrySeq(LaneReader *reader, IndexScanDesc scan)
{
	bool		isnull;

	return DatumGetInt64(index_getattr(scan->xs_itup, 2,
									   RelationGetDescr(reader->index),
									   &isnull));
}

/*
 * True if the lane may lack rows in its middle.  Rows are purged from closed
 * segments, which nobody appends to, and from those that never close: default
 * ones and unpartitioned ledgers.  Expired rows go there while the first one
 * of the lane stands only if that is held.
 */
static bool
ReaderMayHaveGaps(LaneReader *reader)
{
	LaneRow		first;

	return reader->seg->is_default &&
		!ReaderProbe(reader, 1, &first);
}

/*
 * True if the row at seq, which stands, is the lane's last.  Where the
 * visible rows have no gap, looking at the next seq is enough, and what
 * rolled-back inserts have left behind it does not matter; else there must
 * be no entry at all.
 */
static bool
ReaderEndsAt(LaneReader *reader, uint64 seq)
{
	bool		gaps = reader->seg->is_default;
	IndexScanDesc scan = ReaderScan(reader,
									gaps ? BTGreaterEqualStrategyNumber :
									BTEqualStrategyNumber, seq + 1);
	bool		ended = true;

	while (ended && index_getnext_tid(scan, ForwardScanDirection) != NULL)
		ended = !gaps && !index_fetch_heap(scan, ReaderSlot(reader));
	index_endscan(scan);
	return ended;
}

/*
 * Reads the lane's last visible row, looking from a seq on where it may be.
 * False if that does not settle it: nothing visible is there, or too much.
 * This is quicker than looking backwards, because the index reads a page's
 * entries up to the end of the range at once.
 *
 * Where the visible rows have no gap, the last of them is found as soon as
 * the entries of the seq after it have all been seen to be invisible.
 */
static bool
ReaderHeadFrom(LaneReader *reader, uint64 seq, LaneRow *row)
{
	IndexScanDesc scan = ReaderScan(reader, BTGreaterEqualStrategyNumber, seq);
	int			entries = 0;
	bool		found = false;
	bool		passed = false;
	bool		ended = false;

	while (!passed && !ended && entries < MAX_FORWARD)
	{
		entries++;
		if (index_getnext_tid(scan, ForwardScanDirection) == NULL)
			ended = true;
		else if (index_fetch_heap(scan, ReaderSlot(reader)))
		{
			RowFromSlot(reader, row);
			found = true;
		}
		else
			passed = found && EntrySeq(reader, scan) > row->seq + 1;
	}
	index_endscan(scan);
	return found && (ended || (passed && !ReaderMayHaveGaps(reader)));
}

/*
 * Reads the lane's last visible row among its last entries, backwards; false
 * if there is none.  entries says how many it looked at, seq is that of the
 * last one.
 */
static bool
ReaderHeadBackward(LaneReader *reader, uint64 limit, LaneRow *row,
				   uint64 *entries, uint64 *seq)
{
	IndexScanDesc scan = ReaderScan(reader, InvalidStrategy, 0);
	bool		found = false;

	*entries = 0;
	while (!found && *entries < limit &&
		   index_getnext_tid(scan, BackwardScanDirection) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		(*entries)++;
		*seq = EntrySeq(reader, scan);
		found = index_fetch_heap(scan, ReaderSlot(reader));
		if (found)
			RowFromSlot(reader, row);
	}
	index_endscan(scan);
	return found;
}

/*
 * Reads the lane's last visible row; false if it has none.  Normally the last
 * entry is it.
 */
static bool
ReaderHead(LaneReader *reader, LaneRow *row)
{
	uint64		entries;
	uint64		seq = 0;

	if (ReaderHeadBackward(reader, MAX_INVISIBLE, row, &entries, &seq))
		return true;
	if (entries < MAX_INVISIBLE)
		return false;			/* that was the whole lane */
	if (ReaderMayHaveGaps(reader))
		return ReaderHeadBackward(reader, PG_UINT64_MAX, row, &entries, &seq);
	return ReaderBisect(reader, seq, row);
}

/* Is there a visible row with this id in the segment? */
static bool
IdIsVisible(Relation leaf, const Segment *seg, const pg_uuid_t *id)
{
	Relation	index;
	TupleTableSlot *slot;
	IndexScanDesc scan;
	ScanKeyData key;
	bool		found;

	index = index_open(seg->id_index, AccessShareLock);
	slot = table_slot_create(leaf, NULL);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(id));
	scan = IndexBeginScan(leaf, index, SnapshotSelf, 1, 0);
	index_rescan(scan, &key, 1, NULL, 0);
	found = index_getnext_slot(scan, ForwardScanDirection, slot);
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	return found;
}

/* ---------------- taking a lane ---------------- */

/*
 * True if we now own the lane.  The lock goes to the current subtransaction,
 * as LaneHold has it, and not to the portal that may be running: a portal
 * that fails in a subtransaction gives up all its locks there, those that an
 * outer one took through it as well.
 */
static bool
LaneTryLock(Oid leaf, uint32 lane)
{
	ResourceOwner owner = CurrentResourceOwner;
	LockAcquireResult result;
	LOCKTAG		tag;

	tag.locktag_field1 = MyDatabaseId;
	tag.locktag_field2 = leaf;
	tag.locktag_field3 = lane;
	tag.locktag_field4 = LANE_LOCK_MAGIC;
	tag.locktag_type = LOCKTAG_USERLOCK;
	tag.locktag_lockmethodid = USER_LOCKMETHOD;
	CurrentResourceOwner = CurTransactionResourceOwner;
	result = LockAcquire(&tag, ExclusiveLock, false, true);
	CurrentResourceOwner = owner;
	return result != LOCKACQUIRE_NOT_AVAIL;
}

/* Takes a lane that nobody holds: the one held last, else the lowest. */
static uint32
LaneTake(Relation leaf)
{
	uint32		limit = MaxLanes();

	if (last_lane < limit && LaneTryLock(RelationGetRelid(leaf), last_lane))
		return last_lane;
	for (uint32 lane = 0; lane < limit; lane++)
	{
		if (lane != last_lane && LaneTryLock(RelationGetRelid(leaf), lane))
		{
			last_lane = lane;
			return lane;
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_TOO_MANY_CONNECTIONS),
			 errmsg("all %u lanes of ledger segment \"%s\" are in use",
					limit, RelationGetRelationName(leaf)),
			 errhint("Raise \"%s\", or look for idle and prepared transactions that have written to the ledger.",
					 "llm_audit.max_lanes")));
	return 0;
}

/* Only who holds a lane can know where it ends, or take rows from it. */
bool
ChainLockLane(Oid leaf, uint32 lane)
{
	if (!LaneTryLock(leaf, lane))
		return false;
	(void) LaneTurnTake(leaf, lane);
	return true;
}

void
ChainRowCopied(void)
{
	copied = true;
	LaneTurnCopied();
}

uint64
ChainLaneEnd(Relation leaf, const Segment *seg, uint32 lane)
{
	LaneReader	reader;
	LaneRow		row;
	bool		found;

	ReaderOpen(&reader, leaf, seg, lane, AccessShareLock);
	found = ReaderHead(&reader, &row);
	ReaderClose(&reader);
	return found ? row.seq : 0;
}

/* The hold on the leaf's lane, or NULL. */
static LaneHold *
HoldFind(Oid leaf)
{
	for (int i = 0; i < nholds; i++)
	{
		if (holds[i].leaf == leaf)
			return &holds[i];
	}
	return NULL;
}

/* The hint about the leaf, made if it is not there. */
static LaneHint *
HintGet(Oid leaf)
{
	LaneHint   *hint;
	bool		found;

	if (hints == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(LaneHint);
		ctl.hcxt = TopMemoryContext;
		hints = hash_create("llm_audit lane hints", 64, &ctl,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	hint = hash_search(hints, &leaf, HASH_ENTER, &found);
	if (!found)
	{
		hint->seq = 0;
		hint->turn = 0;
		hint->committed = false;
	}
	return hint;
}

/* The hold on the leaf's lane, taken if there is none. */
static LaneHold *
HoldGet(Relation leaf)
{
	LaneHold   *hold = HoldFind(RelationGetRelid(leaf));
	LaneHint   *hint;
	uint32		lane;

	if (hold != NULL)
		return hold;

	hint = HintGet(RelationGetRelid(leaf));
	if (nholds >= holds_size)
	{
		int			size = Max(16, holds_size * 2);

		if (holds == NULL)
			holds = MemoryContextAlloc(TopMemoryContext,
									   size * sizeof(LaneHold));
		else
			holds = repalloc(holds, size * sizeof(LaneHold));
		holds_size = size;
	}
	lane = LaneTake(leaf);
	hold = &holds[nholds++];
	hold->leaf = RelationGetRelid(leaf);
	hold->lane = lane;
	hold->turn = LaneTurnTake(hold->leaf, lane);
	hold->hint = hint;
	hold->locked_in = GetCurrentSubTransactionId();
	hold->touched_in = hold->locked_in;
	hold->head_known = false;
	hold->pending = false;
	return hold;
}

/* Keeps where each lane ends now for this backend's next transaction. */
static void
HintsRemember(void)
{
	for (int i = 0; i < nholds; i++)
	{
		LaneHint   *hint = holds[i].hint;

		if (!holds[i].head_known)
			continue;
		hint->lane = holds[i].lane;
		hint->seq = holds[i].seq;
		hint->turn = holds[i].turn;
		hint->committed = true;
		hint->index = holds[i].index;
		memcpy(hint->ledger_id, holds[i].ledger_id, LEDGER_ID_SIZE);
		memcpy(hint->hash, holds[i].hash, SHA256_SIZE);
	}
}

/* True if the hint is about this lane as it is now. */
static bool
HintApplies(const LaneHint *hint, const LaneHold *hold, const Segment *seg)
{
	return hint->committed && hint->seq > 0 && hint->lane == hold->lane &&
		hint->index == seg->lane_index &&
		memcmp(hint->ledger_id, seg->ledger_id, LEDGER_ID_SIZE) == 0;
}

/* True if nobody has taken the lane since the hint's row was written. */
static bool
HintIsLatest(const LaneHint *hint, const LaneHold *hold)
{
	return hint->turn > 0 && hold->turn == hint->turn + 1;
}

/* Looks for the lane's last row; false if it has none. */
static bool
HoldSeekHead(const LaneHold *hold, Relation leaf, const Segment *seg,
			 LaneRow *row)
{
	const LaneHint *hint = hold->hint;
	LaneReader	reader;
	bool		found = false;

	ReaderOpen(&reader, leaf, seg, hold->lane, NoLock);
	if (HintApplies(hint, hold, seg) && ReaderEndsAt(&reader, hint->seq))
	{
		row->seq = hint->seq;
		memcpy(row->hash, hint->hash, SHA256_SIZE);
		found = true;
	}
	else if (hint->seq > 0 && hint->lane == hold->lane)
		found = ReaderHeadFrom(&reader, hint->seq, row);
	if (!found)
		found = ReaderHead(&reader, row);
	ReaderClose(&reader);
	return found;
}

/* Learns the head of a lane that we hold. */
static void
HoldReadHead(LaneHold *hold, Relation leaf, const Segment *seg)
{
	LaneHint   *hint = hold->hint;
	LaneRow		row;

	if (HintIsLatest(hint, hold) && HintApplies(hint, hold, seg))
	{
		hold->seq = hint->seq;
		memcpy(hold->hash, hint->hash, SHA256_SIZE);
	}
	else if (HoldSeekHead(hold, leaf, seg, &row))
	{
		hold->seq = row.seq;
		memcpy(hold->hash, row.hash, SHA256_SIZE);
	}
	else
	{
		hold->seq = 0;
		if (!GenesisHash(seg->ledger_id, seg->number, hold->lane, hold->hash))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not compute a SHA-256 hash")));
	}
	hold->pending = false;
	hold->head_known = true;
	hold->touched_in = GetCurrentSubTransactionId();
	hold->index = seg->lane_index;
	memcpy(hold->ledger_id, seg->ledger_id, LEDGER_ID_SIZE);
	hint->lane = hold->lane;
	hint->seq = hold->seq;
	hint->committed = false;	/* the row may be our own, and we may abort */
}

/* ---------------- pending positions ---------------- */

/*
 * Finds out what became of the row at the pending position.  It is there:
 * confirmed.  It is not, but its id is: the row was a retry that ON CONFLICT
 * DO NOTHING dropped, and the position is free again.  Neither: something
 * has removed a row that was to be stored, and we stop.
 */
static void
PendingResolve(LaneHold *hold, Relation leaf, const Segment *seg,
			   LOCKMODE lockmode)
{
	LaneReader	reader;
	LaneRow		row;
	bool		stored;

	ReaderOpen(&reader, leaf, seg, hold->lane, lockmode);
	stored = ReaderProbe(&reader, hold->seq, &row);
	ReaderClose(&reader);

	if (stored && memcmp(row.hash, hold->hash, SHA256_SIZE) == 0)
		hold->pending = false;
	else if (!stored && IdIsVisible(leaf, seg, &hold->pending_id))
	{
		hold->pending = false;
		hold->seq--;
		memcpy(hold->hash, hold->base_hash, SHA256_SIZE);
		PolicyRowDropped(seg->relid, &hold->pending_id);
		if (collector.dropped != NULL)
			collector.dropped(seg->relid, UUIDPGetDatum(&hold->pending_id),
							  collector.arg);
	}
	else
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
				 errmsg("a row of ledger segment \"%s\" has vanished after it was chained",
						RelationGetRelationName(leaf)),
				 errdetail("Lane %u, seq " UINT64_FORMAT ".",
						   hold->lane, hold->seq),
				 errhint("A trigger or rule that is not part of llm_audit may have removed it.")));
	hold->touched_in = GetCurrentSubTransactionId();
}

void
ChainResolvePending(void)
{
	for (int i = 0; i < nholds; i++)
	{
		const Segment *seg;
		Relation	leaf;

		if (!holds[i].pending)
			continue;
		seg = SegmentLookup(holds[i].leaf);
		leaf = try_table_open(holds[i].leaf, AccessShareLock);
		if (leaf == NULL)
			continue;			/* dropped since, through one of our doors */
		if (seg != NULL)
			PendingResolve(&holds[i], leaf, seg, AccessShareLock);
		table_close(leaf, NoLock);
	}
}

ChainCollector
ChainSetCollector(ChainCollector new_collector)
{
	ChainCollector old = collector;

	collector = new_collector;
	return old;
}

/* ---------------- what the trigger calls ---------------- */

void
ChainNextPosition(Relation leaf, const Segment *seg, RowPosition *pos)
{
	LaneHold   *hold = HoldGet(leaf);

	if (!hold->head_known)
		HoldReadHead(hold, leaf, seg);
	else if (hold->pending)
		PendingResolve(hold, leaf, seg, NoLock);

	memcpy(pos->ledger_id, seg->ledger_id, LEDGER_ID_SIZE);
	pos->segment = seg->number;
	pos->lane = hold->lane;
	pos->seq = hold->seq + 1;
	memcpy(pos->prev_hash, hold->hash, SHA256_SIZE);
}

void
ChainAdvance(const Segment *seg, const RowPosition *pos,
			 const uint8_t *row_hash, Datum id)
{
	LaneHold   *hold = HoldFind(seg->relid);

	if (hold == NULL)
		elog(ERROR, "no lane is held");
	memcpy(hold->base_hash, hold->hash, SHA256_SIZE);
	memcpy(hold->hash, row_hash, SHA256_SIZE);
	hold->seq = pos->seq;
	hold->pending = !StatementStoresEveryRow();
	if (hold->pending)
		hold->pending_id = *DatumGetUUIDP(id);
	hold->touched_in = GetCurrentSubTransactionId();
}

/* ---------------- transaction ends ---------------- */

/*
 * What is pending must be settled while the transaction can still fail; what
 * is held in memory goes with it.
 */
static void
ChainXactCallback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			ChainResolvePending();
			break;
		case XACT_EVENT_COMMIT:
			HintsRemember();
			if (copied)
				LaneTurnCopied();	/* now they can be seen */
			/* FALLTHROUGH */
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			nholds = 0;
			copied = false;
			collector.dropped = NULL;
			LedgerTimeReset();
			break;
		default:
			break;
	}
}

/*
 * A subtransaction that aborts has released the locks that it took, and its
 * rows are gone; one that commits leaves both to its parent.
 */
static void
ChainSubXactCallback(SubXactEvent event, SubTransactionId mine,
					 SubTransactionId parent, void *arg)
{
	int			kept = 0;

	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	for (int i = 0; i < nholds; i++)
	{
		LaneHold   *hold = &holds[i];

		if (event == SUBXACT_EVENT_ABORT_SUB && hold->locked_in == mine)
			continue;			/* its lock is gone */
		if (hold->locked_in == mine)
			hold->locked_in = parent;
		if (hold->touched_in == mine)
		{
			hold->touched_in = parent;
			if (event == SUBXACT_EVENT_ABORT_SUB)
			{
				hold->head_known = false;
				hold->pending = false;
			}
		}
		holds[kept++] = *hold;
	}
	nholds = kept;
}

void
ChainInit(void)
{
	RegisterXactCallback(ChainXactCallback, NULL);
	RegisterSubXactCallback(ChainSubXactCallback, NULL);
}
