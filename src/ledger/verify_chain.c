/*
 * verify_chain.c
 *	  A unit of work: up to 100,000 rows of one lane, in order.
 *
 * The rows come through the (lane, seq) index.  Each is rehashed and linked
 * to the row before it; the first one of a unit is linked to the last one of
 * the unit before, which is fetched for that, so that units are independent.
 * A snapshot sees a prefix of each lane, because a lane is locked until its
 * transaction has ended: a gap is never a transaction in flight.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/itup.h"
#include "access/nbtree.h"
#include "access/table.h"
#include "access/tableam.h"
#include "ledger/verify.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

/* Rows between two reports of progress. */
#define TELL_ROWS	1024

/* Makes the state for a unit; nothing is known of the rows before it. */
void
ChainStateInit(ChainState *state, RowReader *reader, const VerifyUnit *unit)
{
	memset(state, 0, sizeof(*state));
	state->reader = reader;
	state->unit = unit;
	state->tally.kind = UNIT_CHAIN;
	state->tally.segment = unit->segment;
	state->tally.lane = unit->lane;
	state->times = 2;
	state->latest = -1;
	state->passed.first = 1;
}

/*
 * Decides which of several rows at one position belongs to the chain: the
 * one that the next row links to, else the first that matches its own hash.
 * The others are reported as inserted.
 */
static void
RivalsSettle(ChainState *state, const RowFacts *next)
{
	int			genuine = -1;

	if (state->nrivals == 0)
		return;
	for (int pass = 0; pass < 2 && genuine < 0; pass++)
	{
		for (int i = -1; i < state->nrivals && genuine < 0; i++)
		{
			RowFacts   *row = i < 0 ? &state->row : &state->rivals[i];

			if (pass == 0 ? (next != NULL && next->has_prev && row->has_hash &&
							 memcmp(next->prev_hash, row->row_hash,
									SHA256_SIZE) == 0)
				: row->matches)
				genuine = i + 1;
		}
	}
	genuine = Max(genuine, 0);
	if (genuine > 0)
	{
		RowFacts	swap = state->row;

		state->row = state->rivals[genuine - 1];
		state->rivals[genuine - 1] = swap;
	}
	state->linkable = state->row.has_hash;
	for (int i = 0; i < state->nrivals && !state->quiet; i++)
	{
		if (state->rivals[i].in_range)
			RowReport(state->reader, &state->rivals[i], FINDING_ROW_INSERTED,
					  "another row holds the same lane and seq");
	}
	state->nrivals = 0;
}

/* Adds a row at the position of the row before. */
static void
RivalAdd(ChainState *state, const RowFacts *facts)
{
	if (state->nrivals < CHAIN_RIVALS)
		state->rivals[state->nrivals++] = *facts;
	else if (facts->in_range && !state->quiet)
		RowReport(state->reader, facts, FINDING_ROW_INSERTED,
				  "another row holds the same lane and seq");
}

/* Makes facts the row before. */
static void
StateAdvance(ChainState *state, const RowFacts *facts)
{
	state->started = true;
	state->quiet = false;
	state->linkable = facts->has_hash;
	state->seq = facts->seq;
	state->row = *facts;
	state->nrivals = 0;
}

/* True if rows missing between the row before and facts can be in range. */
static bool
GapInRange(const ChainState *state, const RowFacts *facts)
{
	const VerifyJob *job = state->reader->job;

	if (!job->has_range)
		return true;
	if (facts->has_time && facts->recorded_at < job->since)
		return false;
	return !state->started || !state->row.has_time ||
		state->row.recorded_at < job->until;
}

/* Reports the positions between the row before and facts as missing. */
static void
GapReport(const ChainState *state, const RowFacts *facts)
{
	RowFacts	missing;
	int64		first = state->seq + 1;
	int64		last = facts->seq - 1;

	if (!GapInRange(state, facts))
		return;
	memset(&missing, 0, sizeof(missing));
	missing.has_position = true;
	missing.lane = state->unit->lane;
	missing.seq = first;
	missing.gap_last = last;
	RowReport(state->reader, &missing, FINDING_ROW_MISSING,
			  "missing from the lane: " INT64_FORMAT
			  " rows, seq " INT64_FORMAT " to " INT64_FORMAT "%s",
			  last - first + 1, first, last,
			  state->started ? "" : ", its beginning");
}

/* Checks the row's prev_hash against the row before or the lane's genesis. */
static void
LinkCheck(const ChainState *state, const RowFacts *facts)
{
	const Segment *seg = state->reader->seg;
	uint8		genesis[SHA256_SIZE];
	const uint8 *expected = state->row.row_hash;

	if (facts->seq == 1)
	{
		if (!GenesisHash(seg->ledger_id, seg->number, (uint32) facts->lane,
						 genesis))
			elog(ERROR, "could not compute SHA-256");
		expected = genesis;
	}
	else if (!state->linkable)
		return;
	if (!facts->has_prev || (!facts->in_range && !state->row.in_range) ||
		memcmp(expected, facts->prev_hash, SHA256_SIZE) == 0)
		return;
	if (facts->seq == 1)
		RowReport(state->reader, facts, FINDING_LINK_BROKEN,
				  "prev_hash is not the genesis hash of the lane");
	else
		RowReport(state->reader, facts, FINDING_LINK_BROKEN,
				  "prev_hash is not the row_hash of seq " INT64_FORMAT
				  ": one of the two rows was replaced", state->seq);
}

/* Compares the row with what segment_event says of a closed lane's end. */
static void
ClosedCheck(const ChainState *state, const RowFacts *facts)
{
	const VerifyUnit *unit = state->unit;

	if (unit->closed_seq < 0)
		return;
	if (facts->seq > unit->closed_seq)
		RowReport(state->reader, facts, FINDING_ROW_INSERTED,
				  "the lane ended at seq " INT64_FORMAT
				  " when the segment was closed", unit->closed_seq);
	else if (facts->seq == unit->closed_seq && facts->has_hash &&
			 memcmp(facts->row_hash, unit->closed_hash, SHA256_SIZE) != 0)
		RowReport(state->reader, facts, FINDING_CHAIN_TRUNCATED,
				  "the lane ended in another row when the segment was closed");
}

/* True if the row's environment is not its segment's. */
static bool
EnvironmentDiffers(const RowReader *reader)
{
	const Segment *seg = reader->seg;
	const char *p;
	size_t		len = reader->environment_len;
	int			at = reader->environment - 1;

	if (at < 0 || len == 0)
		return false;
	if (reader->nulls[at])
		return true;
	p = DatumGetPointer(reader->values[at]);
	if (VARATT_IS_EXTERNAL(p) || VARATT_IS_COMPRESSED(p))
		return true;
	return VARSIZE_ANY_EXHDR(p) != len ||
		memcmp(VARDATA_ANY(p), NameStr(seg->environment), len) != 0;
}

/* Checks what the row is, wherever it stands. */
static void
ContentCheck(const ChainState *state, RowFacts *facts)
{
	RowReader  *reader = state->reader;
	const Segment *seg = reader->seg;
	const char *why;

	why = RowVerify(reader, facts);
	facts->matches = (why == NULL);
	if (why != NULL)
		RowReport(reader, facts, FINDING_ROW_ALTERED, "%s", why);
	if (facts->readable && facts->has_position && ErasedMatters(reader))
		ErasedCheck(reader, state->unit, facts);
	if (facts->readable && seg->attrs.known_values != InvalidAttrNumber &&
		!reader->nulls[seg->attrs.known_values - 1])
		RowReport(reader, facts, FINDING_ROW_ALTERED,
				  "known_values is not hashed and has to be NULL");
	if (facts->has_time && (facts->recorded_at < seg->lower ||
							facts->recorded_at >= seg->upper))
		RowReport(reader, facts, FINDING_ROW_INSERTED,
				  "recorded_at lies outside the segment");
	else if (EnvironmentDiffers(reader))
		RowReport(reader, facts, FINDING_ROW_INSERTED,
				  "environment is not the segment's");
}

/*
 * Notes rows that were passed by for a second visit.  Where there is no room
 * the last range grows: more is rehashed than need be.
 */
static void
RevisitAdd(ChainState *state, int64 first, int64 last)
{
	SeqRange   *range;

	if (first > last)
		return;
	if (state->nrevisits == CHAIN_REVISITS)
	{
		range = &state->revisits[CHAIN_REVISITS - 1];
		range->first = Min(range->first, first);
		range->last = Max(range->last, last);
		return;
	}
	range = &state->revisits[state->nrevisits++];
	range->first = first;
	range->last = last;
}

/*
 * When a row was recorded is one of its values: whoever alters a row can take
 * it out of the times asked for.  It keeps its place, though, and a lane's
 * times ascend but for seconds.  So rows outside of the times are rehashed
 * too where they are out of order, where the lane begins or ends, and on
 * either side of where it enters or leaves the times or passes over them.
 */
static void
RangeCheck(ChainState *state, RowFacts *facts)
{
	const VerifyJob *job = state->reader->job;
	int			times = 0;

	if (!job->has_range || !facts->has_position)
		return;
	if (!facts->in_range)
		times = facts->recorded_at < job->since ? -1 : 1;
	if (times != state->times)
	{
		/* of a run that came too late for what follows, each one */
		if (state->times == 1)
			RevisitAdd(state, state->passed.first, state->passed.last);
		else
			RevisitAdd(state, Max(state->passed.first, state->passed.last),
					   state->passed.last);
		facts->in_range = true;
	}
	else if (times < state->latest)
		facts->in_range = true;
	if (facts->in_range)
		state->passed.first = facts->seq + 1;
	state->passed.last = facts->seq;
	state->times = times;
	state->latest = Max(state->latest, times);
}

/* Counts the row, and tells the sink now and then. */
static void
RowCount(ChainState *state, const RowFacts *facts)
{
	state->tally.rows++;
	state->tally.place_sum += PlaceWord(&state->reader->slot->tts_tid);
	if (facts->has_hash)
		state->tally.hash_sum += HashWord(facts->row_hash);
	if (facts->has_id)
	{
		state->tally.ids++;
		state->tally.id_sum += IdWord(&facts->id);
	}
	if (state->tally.rows - state->told >= TELL_ROWS)
	{
		state->reader->sink->rows(state->reader->sink,
								  state->tally.rows - state->told);
		state->told = state->tally.rows;
	}
}

/* The next row of the lane, read whole by the state's reader. */
void
ChainStateRow(ChainState *state, RowFacts *facts)
{
	RowCount(state, facts);
	RangeCheck(state, facts);
	if (facts->in_range)
		ContentCheck(state, facts);
	if (facts->lane < 0 || facts->seq < 1)
	{
		RowReport(state->reader, facts, FINDING_ROW_INSERTED,
				  "no chain has such a position");
		return;
	}
	ClosedCheck(state, facts);
	state->tally.last_seq = facts->seq;
	if (state->started && facts->seq == state->seq)
	{
		RivalAdd(state, facts);
		return;
	}
	if (facts->seq == state->seq + 1)
	{
		RivalsSettle(state, facts);
		LinkCheck(state, facts);
	}
	else
	{
		RivalsSettle(state, NULL);
		GapReport(state, facts);
	}
	StateAdvance(state, facts);
}

/* The row at seq exists but cannot be read; it has been reported. */
void
ChainStateUnreadable(ChainState *state, int64 seq)
{
	RowFacts	facts;

	memset(&facts, 0, sizeof(facts));
	facts.in_range = true;
	facts.has_position = true;
	facts.lane = state->unit->lane;
	facts.seq = seq;
	RowCount(state, &facts);
	state->tally.damaged = true;
	if (seq < 1 || (state->started && seq == state->seq))
		return;
	RivalsSettle(state, NULL);
	if (seq > state->seq + 1)
		GapReport(state, &facts);
	state->tally.last_seq = seq;
	StateAdvance(state, &facts);
}

/* Settles what is left and sends the unit's tally. */
void
ChainStateFinish(ChainState *state)
{
	VerifySink *sink = state->reader->sink;

	RivalsSettle(state, NULL);
	sink->rows(sink, state->tally.rows - state->told);
	sink->tally(sink, &state->tally);
}

/*
 * Fetches the rows at the last position before the unit into the state, so
 * that the unit's first row is linked to them.
 */
void
ChainStatePredecessor(ChainState *state)
{
	RowReader  *reader = state->reader;
	Relation	index = LeafIndexOpen(reader->vseg->relid, true);
	IndexScanDesc scan;
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(state->unit->lane));
	ScanKeyInit(&keys[1], 2, BTLessStrategyNumber, F_INT8LT,
				Int64GetDatum(state->unit->first));
	scan = IndexBeginScan(reader->leaf, index, reader->job->snapshot, 2, 0);
	index_rescan(scan, keys, 2, NULL, 0);
	while (IndexNextRow(scan, BackwardScanDirection, reader->slot))
	{
		RowFacts	facts;

		RowReadFacts(reader, true, &facts);
		if (!facts.has_position || facts.lane != state->unit->lane ||
			facts.seq >= state->unit->first || facts.seq < 1)
			continue;			/* reported by its own unit */
		if (state->started && facts.seq != state->seq)
			break;
		facts.matches = RowVerify(reader, &facts) == NULL;
		if (state->started)
			RivalAdd(state, &facts);
		else
			StateAdvance(state, &facts);
		state->quiet = true;
	}
	index_endscan(scan);
	index_close(index, AccessShareLock);
}

/*
 * Checks the index entry that led to the row against the row.  False if the
 * row does not belong where the index says, which is reported.
 */
static bool
IndexEntryFits(ChainState *state, IndexScanDesc scan, RowFacts *facts)
{
	bool		isnull;
	int32		lane;
	int64		seq;

	lane = DatumGetInt32(index_getattr(scan->xs_itup, 1, scan->xs_itupdesc,
									   &isnull));
	seq = DatumGetInt64(index_getattr(scan->xs_itup, 2, scan->xs_itupdesc,
									  &isnull));
	if (facts->has_position && facts->lane == lane && facts->seq == seq)
		return true;
	if (facts->has_position)
	{
		RowReport(state->reader, facts, FINDING_INDEX_MISMATCH,
				  "the lane index has this row at lane %d, seq " INT64_FORMAT,
				  lane, seq);
		RowCount(state, facts);
		return false;
	}
	facts->has_position = true;
	facts->lane = lane;
	facts->seq = seq;
	RowReport(state->reader, facts, FINDING_ROW_ALTERED,
			  facts->readable ? "chain_lane or chain_seq is NULL"
			  : "the tuple is damaged");
	ChainStateUnreadable(state, seq);
	return false;
}

/* Walks the unit's rows in the order of the lane index. */
static void
ChainWalk(ChainState *state)
{
	RowReader  *reader = state->reader;
	Relation	index = LeafIndexOpen(reader->vseg->relid, true);
	IndexScanDesc scan;
	ScanKeyData keys[3];

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(state->unit->lane));
	ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT8GE,
				Int64GetDatum(state->unit->first));
	ScanKeyInit(&keys[2], 2, BTLessEqualStrategyNumber, F_INT8LE,
				Int64GetDatum(state->unit->last));
	scan = IndexBeginScan(reader->leaf, index, reader->job->snapshot, 3, 0);
	scan->xs_want_itup = true;
	index_rescan(scan, keys, 3, NULL, 0);
	while (IndexNextRow(scan, ForwardScanDirection, reader->slot))
	{
		RowFacts	facts;

		RowReadFacts(reader, true, &facts);
		if (IndexEntryFits(state, scan, &facts))
			ChainStateRow(state, &facts);
	}
	index_endscan(scan);
	index_close(index, AccessShareLock);
}

/* Rehashes the rows of a range that were not when the lane was walked. */
static void
ChainRevisit(ChainState *state, Relation index, const SeqRange *range)
{
	RowReader  *reader = state->reader;
	IndexScanDesc scan;
	ScanKeyData keys[3];

	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(state->unit->lane));
	ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT8GE,
				Int64GetDatum(range->first));
	ScanKeyInit(&keys[2], 2, BTLessEqualStrategyNumber, F_INT8LE,
				Int64GetDatum(range->last));
	scan = IndexBeginScan(reader->leaf, index, reader->job->snapshot, 3, 0);
	index_rescan(scan, keys, 3, NULL, 0);
	while (IndexNextRow(scan, ForwardScanDirection, reader->slot))
	{
		RowFacts	facts;

		RowReadFacts(reader, true, &facts);
		if (!facts.in_range && facts.has_position &&
			facts.lane == state->unit->lane)
			ContentCheck(state, &facts);
	}
	index_endscan(scan);
}

/* Visits again what RangeCheck() has noted, and the last row. */
static void
ChainRevisits(ChainState *state)
{
	Relation	index;

	RevisitAdd(state, Max(state->passed.first, state->passed.last),
			   state->passed.last);
	if (state->nrevisits == 0)
		return;
	index = LeafIndexOpen(state->reader->vseg->relid, true);
	for (int i = 0; i < state->nrevisits; i++)
		ChainRevisit(state, index, &state->revisits[i]);
	index_close(index, AccessShareLock);
}

/* Verifies one unit of a lane; raises what damaged pages raise. */
void
VerifyChainUnit(const VerifyJob *job, const VerifyUnit *unit,
				VerifySink *sink)
{
	RowReader	reader;
	ChainState	state;

	if (!RowReaderOpen(&reader, job, &job->segments[unit->segment], sink))
		return;
	ChainStateInit(&state, &reader, unit);
	ChainStatePredecessor(&state);
	ChainWalk(&state);
	ChainRevisits(&state);
	ChainStateFinish(&state);
	RowReaderClose(&reader);
}
