/*
 * guard_trigger.c
 *	  The triggers that keep a ledger's rows as they are.
 *
 * They are ENABLE ALWAYS, so they fire for replication too and whatever
 * session_replication_role is, and need no preloading.  Even with a permit
 * each row is checked again: the door's code alone cannot remove a row that
 * has not expired or change what was hashed.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "commands/trigger.h"
#include "core/sha256.h"
#include "fmgr.h"
#include "ledger/guard.h"
#include "retention/expiry.h"
#include "retention/hold.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(llm_audit_ledger_guard);
PG_FUNCTION_INFO_V1(llm_audit_ledger_guard_row);

/* A row as the executor gives it to a trigger, taken apart. */
typedef struct GuardedRow
{
	const Segment *seg;
	TupleDesc	desc;
	Datum	   *values;
	bool	   *nulls;
} GuardedRow;

/* Refuses calls that are not a trigger's of this kind. */
static TriggerData *
CheckCall(FunctionCallInfo fcinfo, const char *name, bool row)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		(bool) TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) != row ||
		TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as a BEFORE %s trigger for changes",
						name, row ? "ROW" : "STATEMENT")));
	return trigdata;
}

/* What the trigger's event is called when it is refused. */
static GuardAction
EventAction(TriggerEvent event)
{
	if (TRIGGER_FIRED_BY_UPDATE(event))
		return GUARD_UPDATE;
	if (TRIGGER_FIRED_BY_DELETE(event))
		return GUARD_DELETE;
	return GUARD_TRUNCATE;
}

/* The row's segment; without one nothing can be said about it. */
static const Segment *
SegmentOf(Relation leaf, GuardAction action)
{
	const Segment *seg = SegmentLookup(RelationGetRelid(leaf));

	if (seg == NULL)
		RefuseRelation(action, RelationGetRelid(leaf),
					   "The table is not a registered segment.");
	return seg;
}

/*
 * A segment gives up rows only when it is closed, or if it never closes: a
 * ledger without partitions, what no other segment covers.
 */
static void
CheckSegmentMayShrink(Relation leaf, const Segment *seg, GuardAction action)
{
	if (seg->state == SEGMENT_OPEN && !seg->is_default)
		RefuseRelation(action, RelationGetRelid(leaf),
					   "The segment is still open.");
}

/* A value of the row that is never NULL. */
static Datum
RowAttr		(Relation leaf, HeapTuple tuple, AttrNumber attnum)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, attnum, RelationGetDescr(leaf),
									 &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a row of \"%s\" lacks a value that every row has",
						RelationGetRelationName(leaf)),
				 errhint("Run llm_audit.verify() on the ledger.")));
	return value;
}

/* The row's data class, by its own value. */
static int
RowClass(Relation leaf, const Segment *seg, HeapTuple tuple)
{
	Datum		value;
	bool		isnull;

	if (seg->attrs.data_class == InvalidAttrNumber)
		return 0;
	value = heap_getattr(tuple, seg->attrs.data_class,
						 RelationGetDescr(leaf), &isnull);
	return isnull ? 0 : RetentionClassOfValue(value);
}

/*
 * Refuses to purge a row that has not expired: by what was stamped on it, and
 * by the policy of now, if that keeps it longer.
 */
static void
CheckRowExpired(Relation leaf, const Segment *seg, HeapTuple tuple)
{
	bool		isnull;
	Datum		until = heap_getattr(tuple, seg->attrs.retain_until,
									 RelationGetDescr(leaf), &isnull);
	TimestampTz recorded_at;
	TimestampTz policy;
	TimestampTz now = GetCurrentTimestamp();

	if (isnull)
		RefuseRelation(GUARD_DELETE, RelationGetRelid(leaf),
					   "The row is to be kept for ever.");
	if (DatumGetTimestampTz(until) > now)
		RefuseRelation(GUARD_DELETE, RelationGetRelid(leaf),
					   "The row has not expired.");
	recorded_at = DatumGetTimestampTz(RowAttr (leaf, tuple,
											   seg->attrs.recorded_at));
	if (!RetentionExpiry(seg, RowClass(leaf, seg, tuple), recorded_at,
						 &policy) || policy > now)
		RefuseRelation(GUARD_DELETE, RelationGetRelid(leaf),
					   "The row has not expired: its policy keeps it longer now.");
}

/* Refuses what a legal hold covers. */
static void
CheckRowFree(Relation leaf, const Segment *seg, HeapTuple tuple,
			 GuardAction action)
{
	int32		lane = DatumGetInt32(RowAttr (leaf, tuple,
											  seg->attrs.chain_lane));
	int64		seq = DatumGetInt64(RowAttr (leaf, tuple,
											 seg->attrs.chain_seq));

	if (HoldCovers(seg, lane, seq))
		RefuseRelation(action, RelationGetRelid(leaf),
					   "The row is under a legal hold.");
}

/* The end of a lane that this (sub)transaction has locked. */
typedef struct LockedLane
{
	Oid			leaf;
	uint32		lane;
	uint64		end;
	MemoryContextCallback gone;
} LockedLane;

static LockedLane *locked_lane = NULL;

/* The (sub)transaction that holds the lock has ended. */
static void
ForgetLockedLane(void *arg)
{
	if (locked_lane == arg)
		locked_lane = NULL;
}

/*
 * Locks a lane and finds its end, once for all rows that are removed from it.
 * Nobody else can add to it meanwhile, and what we add ourselves only makes it
 * longer.
 */
static uint64
LockedLaneEnd(Relation leaf, const Segment *seg, uint32 lane)
{
	LockedLane *found = locked_lane;

	if (found != NULL && found->leaf == RelationGetRelid(leaf) &&
		found->lane == lane)
		return found->end;
	if (!ChainLockLane(RelationGetRelid(leaf), lane))
		RefuseRelation(GUARD_DELETE, RelationGetRelid(leaf),
					   "Somebody writes to the row's lane.");
	found = MemoryContextAllocZero(CurTransactionContext, sizeof(LockedLane));
	found->leaf = RelationGetRelid(leaf);
	found->lane = lane;
	found->end = ChainLaneEnd(leaf, seg, lane);
	found->gone.func = ForgetLockedLane;
	found->gone.arg = found;
	MemoryContextRegisterResetCallback(CurTransactionContext, &found->gone);
	locked_lane = found;
	return found->end;
}

/*
 * In a segment that takes rows for ever the last row of a lane stays: the
 * next one links to it.
 */
static void
CheckRowInside(Relation leaf, const Segment *seg, HeapTuple tuple)
{
	int32		lane = DatumGetInt32(RowAttr (leaf, tuple,
											  seg->attrs.chain_lane));
	int64		seq = DatumGetInt64(RowAttr (leaf, tuple,
											 seg->attrs.chain_seq));

	if ((uint64) seq >= LockedLaneEnd(leaf, seg, (uint32) lane))
		RefuseRelation(GUARD_DELETE, RelationGetRelid(leaf),
					   "The row is the last one of its lane.");
}

/* Takes a row apart, in the current context. */
static void
DeformRow(GuardedRow *row, Relation leaf, const Segment *seg, HeapTuple tuple)
{
	row->seg = seg;
	row->desc = RelationGetDescr(leaf);
	row->values = palloc(row->desc->natts * sizeof(Datum));
	row->nulls = palloc(row->desc->natts * sizeof(bool));
	heap_deform_tuple(tuple, row->desc, row->values, row->nulls);
}

/*
 * Everything that a row must satisfy to be purged.  One that was altered may
 * have been held as what it was, and is evidence itself.
 */
static void
CheckPurge(Relation leaf, HeapTuple tuple)
{
	const Segment *seg = SegmentOf(leaf, GUARD_DELETE);
	GuardedRow	row;

	CheckSegmentMayShrink(leaf, seg, GUARD_DELETE);
	CheckRowExpired(leaf, seg, tuple);
	CheckRowFree(leaf, seg, tuple, GUARD_DELETE);
	if (seg->state == SEGMENT_OPEN)
		CheckRowInside(leaf, seg, tuple);
	DeformRow(&row, leaf, seg, tuple);
	RowRequireHash(seg, row.values, row.nulls);
}

/* ---------------- erasing ---------------- */

/* True if the attribute is the same in both rows, to the byte. */
static bool
AttrUnchanged(const GuardedRow *a, const GuardedRow *b, int i)
{
	Form_pg_attribute att = TupleDescAttr(a->desc, i);

	if (a->nulls[i] != b->nulls[i])
		return false;
	return a->nulls[i] || datum_image_eq(a->values[i], b->values[i],
										 att->attbyval, att->attlen);
}

/* True if the attribute is a hashed column of its segment. */
static bool
AttrIsHashed(const Segment *seg, int i)
{
	for (int c = 0; c < seg->ncolumns; c++)
	{
		if (seg->columns[c].attnum == i + 1)
			return true;
	}
	return false;
}

/* The row's hash at its own position; false if the row cannot be hashed. */
static bool
HashGuardedRow(const GuardedRow *row, uint8 *hash)
{
	const Segment *seg = row->seg;
	const LedgerAttrs *attrs = &seg->attrs;
	bytea	   *prev = DatumGetByteaPP(row->values[attrs->prev_hash - 1]);
	EncodeBuffer buf;
	RowPosition pos;
	const char *why;

	if (VARSIZE_ANY_EXHDR(prev) != SHA256_SIZE)
		return false;
	memcpy(pos.ledger_id, seg->ledger_id, LEDGER_ID_SIZE);
	pos.segment = seg->number;
	pos.lane = (uint32) DatumGetInt32(row->values[attrs->chain_lane - 1]);
	pos.seq = (uint64) DatumGetInt64(row->values[attrs->chain_seq - 1]);
	memcpy(pos.prev_hash, VARDATA_ANY(prev), SHA256_SIZE);

	EncodeBufferInit(&buf);
	return RowPreimage(&buf, seg, &pos, row->values, row->nulls, &why) &&
		Sha256Digest(buf.data, buf.len, hash);
}

/* True if the row's hash is the one that it carries. */
static bool
HashIsKept(const GuardedRow *row)
{
	Datum		value = row->values[row->seg->attrs.row_hash - 1];
	bytea	   *stored = DatumGetByteaPP(value);
	uint8		hash[SHA256_SIZE];

	return VARSIZE_ANY_EXHDR(stored) == SHA256_SIZE &&
		HashGuardedRow(row, hash) &&
		memcmp(hash, VARDATA_ANY(stored), SHA256_SIZE) == 0;
}

/* The attributes that the change empties; it may do nothing else. */
static bool *
EmptiedAttrs(Relation leaf, const GuardedRow *old_row,
			 const GuardedRow *new_row)
{
	int			natts = old_row->desc->natts;
	bool	   *emptied = palloc0(natts * sizeof(bool));

	for (int i = 0; i < natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(old_row->desc, i);

		if (att->attisdropped || att->attgenerated != '\0' ||
			AttrUnchanged(old_row, new_row, i))
			continue;
		if (!new_row->nulls[i] || !AttrIsHashed(old_row->seg, i))
			RefuseRelation(GUARD_UPDATE, RelationGetRelid(leaf),
						   "An erasure only empties erasable columns.");
		emptied[i] = true;
	}
	return emptied;
}

/* Puts a bytea, or NULL, into a row. */
static void
SetBytea(GuardedRow *row, AttrNumber attnum, bytea *value)
{
	row->values[attnum - 1] = PointerGetDatum(value);
	row->nulls[attnum - 1] = (value == NULL);
}

/*
 * An erasure empties columns that were erasable in this row and nothing
 * else.  It is this trigger that puts the commitment in the place of the salt
 * of each value that goes: a salt that stayed behind would let the value be
 * guessed.  The row as it will be stored has the hash that was chained.
 */
static HeapTuple
MakeErased(Relation leaf, HeapTuple old_tuple, HeapTuple new_tuple)
{
	const Segment *seg = SegmentOf(leaf, GUARD_UPDATE);
	GuardedRow	old_row;
	GuardedRow	new_row;
	ErasedGroups groups;

	DeformRow(&old_row, leaf, seg, old_tuple);
	DeformRow(&new_row, leaf, seg, new_tuple);
	if (!RowErase(seg, old_row.values, old_row.nulls,
				  EmptiedAttrs(leaf, &old_row, &new_row), &groups))
		RefuseRelation(GUARD_UPDATE, RelationGetRelid(leaf),
					   "An erasure only empties columns that were erasable when the row came.");
	SetBytea(&new_row, seg->attrs.salt, groups.salt);
	SetBytea(&new_row, seg->attrs.erased, groups.erased);
	if (!HashIsKept(&new_row))
		RefuseRelation(GUARD_UPDATE, RelationGetRelid(leaf),
					   "The erasure does not leave the row with the hash that was chained.");
	return heap_form_tuple(new_row.desc, new_row.values, new_row.nulls);
}

/* ---------------- the triggers ---------------- */

/*
 * The single place where a row's permit is spent.  Returns the row to go on
 * with.
 */
static HeapTuple
CheckRow(TriggerData *trigdata)
{
	Relation	leaf = trigdata->tg_relation;
	GuardAction action = EventAction(trigdata->tg_event);
	PermitKind	permit = PermitCurrent();

	if (permit == PERMIT_PURGE && action == GUARD_DELETE)
	{
		CheckPurge(leaf, trigdata->tg_trigtuple);
		return trigdata->tg_trigtuple;
	}
	if (permit == PERMIT_ERASE && action == GUARD_UPDATE)
	{
		CheckRowFree(leaf, SegmentOf(leaf, action), trigdata->tg_trigtuple,
					 action);
		return MakeErased(leaf, trigdata->tg_trigtuple,
						  trigdata->tg_newtuple);
	}
	RefuseRelation(action, RelationGetRelid(leaf), NULL);
}

/*
 * llm_audit.ledger_guard_row(): trigger
 *		BEFORE UPDATE OR DELETE FOR EACH ROW of every ledger.  Raises 42501
 *		unless a door of llm_audit is open and the row may pass it.
 */
Datum
llm_audit_ledger_guard_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = CheckCall(fcinfo, "ledger_guard_row", true);

	return PointerGetDatum(CheckRow(trigdata));
}

/*
 * TRUNCATE has no rows to check, but takes closed segments only, and those as
 * wholes: the last row has expired and none is held.
 */
static void
CheckTruncate(Relation rel)
{
	const Segment *seg = SegmentOf(rel, GUARD_TRUNCATE);

	if (seg->state == SEGMENT_OPEN)
		RefuseRelation(GUARD_TRUNCATE, RelationGetRelid(rel),
					   "The segment is still open.");
	if (!SegmentExpired(seg))
		RefuseRelation(GUARD_TRUNCATE, RelationGetRelid(rel),
					   "The segment has rows that have not expired.");
	if (HoldCoversAny(seg))
		RefuseRelation(GUARD_TRUNCATE, RelationGetRelid(rel),
					   "The segment has rows under a legal hold.");
}

/*
 * llm_audit.ledger_guard(): trigger
 *		BEFORE UPDATE OR DELETE OR TRUNCATE FOR EACH STATEMENT of every table
 *		of a ledger, so that nothing is tried in vain, and for TRUNCATE, which
 *		has no rows.  Raises 42501 unless a door is open.
 */
Datum
llm_audit_ledger_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = CheckCall(fcinfo, "ledger_guard", false);
	GuardAction action = EventAction(trigdata->tg_event);
	PermitKind	permit = PermitCurrent();

	if (permit == PERMIT_PURGE && action == GUARD_TRUNCATE)
		CheckTruncate(trigdata->tg_relation);
	else if (!(permit == PERMIT_PURGE && action == GUARD_DELETE) &&
			 !(permit == PERMIT_ERASE && action == GUARD_UPDATE))
		RefuseRelation(action, RelationGetRelid(trigdata->tg_relation), NULL);
	return PointerGetDatum(NULL);
}
