/*
 * verify_plan.c
 *	  What there is to verify: segments, and units of work in them.
 *
 * Segments come from the registry and are compared with what the ledger
 * segment_event says: a segment that one of them knows and the other does
 * not is a finding.  Units are found by skipping through the lane index, one
 * probe for every 100,000 rows, so planning costs next to nothing.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/itup.h"
#include "access/nbtree.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "ledger/verify.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* ---------------- segments ---------------- */

/*
 * Registered segments with what segment_event says of each.  Without
 * segment_event (setup() has not run) nothing is known of any.
 */
static const char *const segments_sql =
"SELECT l.ledger_id, l.schema_name, l.relation_name,"
" s.segment, s.schema_name, s.relation_name, s.state,"
" e.created, e.closed, e.purged, e.repeated"
" FROM llm_audit.ledger l"
" LEFT JOIN llm_audit.ledger_segment s USING (ledger_id)"
" LEFT JOIN (SELECT ledger_id, segment,"
"  bool_or(event = 'created') AS created,"
"  bool_or(event = 'closed') AS closed,"
"  bool_or(event = 'purged') AS purged,"
"  CASE WHEN count(*) FILTER (WHERE event = 'created') > 1 THEN 'created'"
"  WHEN count(*) FILTER (WHERE event = 'closed') > 1 THEN 'closed'"
"  WHEN count(*) FILTER (WHERE event = 'purged') > 1 THEN 'purged'"
"  END AS repeated"
"  FROM llm_audit.segment_event GROUP BY 1, 2) e"
"  ON e.ledger_id = s.ledger_id AND e.segment = s.segment"
" ORDER BY 2, 3, 4";

static const char *const segments_without_events_sql =
"SELECT l.ledger_id, l.schema_name, l.relation_name,"
" s.segment, s.schema_name, s.relation_name, s.state,"
" NULL, NULL, NULL, NULL"
" FROM llm_audit.ledger l"
" LEFT JOIN llm_audit.ledger_segment s USING (ledger_id)"
" ORDER BY 2, 3, 4";

/* What the registry lacks: numbers left out, segments known by their event. */
static const char *const gaps_sql =
"SELECT l.schema_name, l.relation_name, g.number"
" FROM llm_audit.ledger l,"
" LATERAL generate_series(1, (SELECT max(segment)"
"  FROM llm_audit.ledger_segment s WHERE s.ledger_id = l.ledger_id))"
"  AS g (number)"
" WHERE NOT EXISTS (SELECT FROM llm_audit.ledger_segment s"
"  WHERE s.ledger_id = l.ledger_id AND s.segment = g.number)";

static const char *const unregistered_sql =
"SELECT l.schema_name, l.relation_name, e.segment, e.ledger"
" FROM llm_audit.segment_event e"
" JOIN llm_audit.ledger l USING (ledger_id)"
" WHERE e.event = 'created'"
" AND NOT EXISTS (SELECT FROM llm_audit.ledger_segment s"
"  WHERE s.ledger_id = e.ledger_id AND s.segment = e.segment)"
" UNION ALL"
" SELECT NULL, NULL, NULL, e.ledger"
" FROM llm_audit.segment_event e"
" WHERE e.event = 'created'"
" AND NOT EXISTS (SELECT FROM llm_audit.ledger l"
"  WHERE l.ledger_id = e.ledger_id)"
" AND NOT EXISTS (SELECT FROM llm_audit.admin_event a"
"  WHERE a.action = 'ledger.dropped' AND a.target_id = e.ledger"
"  AND a.recorded_at >= e.recorded_at)"
" GROUP BY e.ledger_id, e.ledger";

/* Segments that are registered otherwise than they were created. */
static const char *const bounds_sql =
"SELECT l.schema_name, l.relation_name, s.segment"
" FROM llm_audit.segment_event e"
" JOIN llm_audit.ledger l USING (ledger_id)"
" JOIN llm_audit.ledger_segment s USING (ledger_id, segment)"
" WHERE e.event = 'created'"
" AND (s.lower, s.upper, s.is_default) IS DISTINCT FROM"
"  (e.lower, e.upper, e.is_default)"
" OR e.event = 'created' AND e.leaf IS DISTINCT FROM"
"  format('%I.%I', s.schema_name, s.relation_name)";

/*
 * The ends of lanes in closed segments.  A segment is closed once: of several
 * events the first counts, whatever a later one says.
 */
static const char *const closed_sql =
"SELECT e.ledger_id, e.segment, e.row_count, u.lane, u.last_seq,"
" encode(u.last_hash, 'hex')"
" FROM (SELECT DISTINCT ON (ledger_id, segment) *"
"  FROM llm_audit.segment_event WHERE event = 'closed'"
"  ORDER BY ledger_id, segment, recorded_at, id) e"
" LEFT JOIN LATERAL unnest(e.lanes, e.last_seqs, e.last_hashes)"
"  AS u (lane, last_seq, last_hash) ON true"
" ORDER BY 1, 2, 4";

typedef struct SegmentsVisit
{
	bool		have_events;
	Oid			last_root;
	char	   *last_ledger;
} SegmentsVisit;

static bool
IsTrue(const char *value)
{
	return value != NULL && value[0] == 't';
}

/* OID of a table given by names, or InvalidOid. */
static Oid
TableByNames(const char *schema, const char *name)
{
	Oid			nspid = get_namespace_oid(schema, true);

	return OidIsValid(nspid) ? get_relname_relid(name, nspid) : InvalidOid;
}

/* True if findings about the ledger were asked for. */
static bool
LedgerInScope(const VerifyRun *run, Oid root)
{
	return !OidIsValid(run->scope.ledger) || run->scope.ledger == root;
}

static bool
SegmentInScope(const VerifyRun *run, Oid root, const char *number)
{
	return LedgerInScope(run, root) &&
		(!run->scope.has_segment || number == NULL ||
		 atoi(number) == run->scope.segment);
}

/* Adds a segment to the run; its arrays grow together. */
static int
SegmentAdd(VerifyRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->context);
	int			at = run->job.nsegments++;

	if (run->size_segments == 0)
	{
		run->size_segments = 64;
		run->segments = palloc(sizeof(VerifySegment) * run->size_segments);
		run->accounts = palloc(sizeof(SegmentAccount) * run->size_segments);
	}
	else if (at == run->size_segments)
	{
		run->size_segments *= 2;
		run->segments = repalloc(run->segments, sizeof(VerifySegment) *
								 run->size_segments);
		run->accounts = repalloc(run->accounts, sizeof(SegmentAccount) *
								 run->size_segments);
	}
	memset(&run->segments[at], 0, sizeof(VerifySegment));
	memset(&run->accounts[at], 0, sizeof(SegmentAccount));
	run->accounts[at].closed_rows = -1;
	MemoryContextSwitchTo(old);
	return at;
}

/* Judges what the registry and segment_event say of a segment's life. */
static void
LifeCheck(VerifyRun *run, Oid root, const char *const *values)
{
	const char *state = values[6];
	int64		number = atoi(values[3]);

	if (!IsTrue(values[7]))
		RunReportObject(run, FINDING_CATALOG_DRIFT, root, number,
						"segment_event does not know that the segment was created");
	if (strcmp(state, "open") == 0 && (IsTrue(values[8]) || IsTrue(values[9])))
		RunReportObject(run, FINDING_CATALOG_DRIFT, root, number,
						"the segment was closed, but the registry says open");
	if (strcmp(state, "closed") == 0 && !IsTrue(values[8]))
		RunReportObject(run, FINDING_CHAIN_TRUNCATED, root, number,
						"no segment_event says where the closed segment ended");
	if (strcmp(state, "purged") == 0 && !IsTrue(values[9]))
		RunReportObject(run, FINDING_PURGED_WITHOUT_RECEIPT, root, number,
						"no segment_event says that the segment was purged");
	if ((strcmp(state, "purged") == 0 || IsTrue(values[9])) &&
		!IsTrue(values[8]))
		RunReportObject(run, FINDING_PURGED_WITHOUT_RECEIPT, root, number,
						"the segment is said to be purged, but was never closed, which comes first");
	if (values[10] != NULL)
		RunReportObject(run, FINDING_ROW_INSERTED, root, number,
						"segment_event says more than once that the segment was %s: the first time counts",
						values[10]);
}

/* Notes a registered segment, or that its table is gone. */
static void
SegmentNote(VerifyRun *run, Oid root, const char *const *values)
{
	Oid			relid = TableByNames(values[4], values[5]);
	bool		purged = strcmp(values[6], "purged") == 0;
	int			at;

	if (!OidIsValid(relid))
	{
		/* one that was never closed cannot have been dropped by us */
		if (!purged || (values[9] != NULL && !IsTrue(values[8])))
			RunReportObject(run, FINDING_SEGMENT_MISSING, root,
							atoi(values[3]), "table %s.%s is gone",
							values[4], values[5]);
		return;
	}
	at = SegmentAdd(run);
	run->segments[at].relid = relid;
	run->segments[at].root = root;
	run->segments[at].number = atoi(values[3]);
	run->segments[at].closed = strcmp(values[6], "open") != 0 ||
		IsTrue(values[8]) || IsTrue(values[9]);
	if (IsTrue(values[9]))
		run->accounts[at].closed_rows = 0;
	run->accounts[at].ledger_id = MemoryContextStrdup(run->context, values[0]);
	run->accounts[at].name = MemoryContextStrdup(run->context,
												 quote_qualified_identifier(values[4],
																			values[5]));
}

/* Visitor of segments_sql. */
static void
SegmentVisit(VerifyRun *run, const char *const *values, void *arg)
{
	SegmentsVisit *visit = arg;
	Oid			root = TableByNames(values[1], values[2]);
	bool		first = visit->last_ledger == NULL ||
	strcmp(visit->last_ledger, values[0]) != 0;

	if (!LedgerInScope(run, root))
		return;
	if (first)
	{
		run->nledgers++;
		visit->last_ledger = MemoryContextStrdup(run->context, values[0]);
		if (!OidIsValid(root))
			RunReportObject(run, FINDING_SEGMENT_MISSING, InvalidOid, -1,
							"ledger %s.%s is registered, but the table is gone",
							values[1], values[2]);
		if (values[3] == NULL)
			RunReportObject(run, FINDING_CATALOG_DRIFT, root, -1,
							"ledger %s.%s has no registered segment",
							values[1], values[2]);
	}
	if (values[3] == NULL || !SegmentInScope(run, root, values[3]))
		return;
	if (visit->have_events)
		LifeCheck(run, root, values);
	SegmentNote(run, root, values);
}

/* Visitor of gaps_sql. */
static void
GapVisit(VerifyRun *run, const char *const *values, void *arg)
{
	Oid			root = TableByNames(values[0], values[1]);

	if (SegmentInScope(run, root, values[2]))
		RunReportObject(run, FINDING_SEGMENT_MISSING, root, atoi(values[2]),
						"the registry of %s.%s leaves this number out",
						values[0], values[1]);
}

/* Visitor of unregistered_sql: a segment, or a ledger with all of its own. */
static void
UnregisteredVisit(VerifyRun *run, const char *const *values, void *arg)
{
	Oid			root;

	if (values[0] == NULL)
	{
		if (!OidIsValid(run->scope.ledger))
			RunReportObject(run, FINDING_SEGMENT_MISSING, InvalidOid, -1,
							"segment_event knows ledger %s, the registry does not, and no event says that it was dropped",
							values[3]);
		return;
	}
	root = TableByNames(values[0], values[1]);
	if (SegmentInScope(run, root, values[2]))
		RunReportObject(run, FINDING_SEGMENT_MISSING, root, atoi(values[2]),
						"segment_event knows this segment of %s, the registry does not",
						values[3]);
}

/* Visitor of bounds_sql. */
static void
BoundsVisit(VerifyRun *run, const char *const *values, void *arg)
{
	Oid			root = TableByNames(values[0], values[1]);

	if (SegmentInScope(run, root, values[2]))
		RunReportObject(run, FINDING_CATALOG_DRIFT, root, atoi(values[2]),
						"the segment was created with another table or other bounds than the registry has");
}

/* Index of a segment by its ledger's id and its number, or -1. */
static int
SegmentFind(const VerifyRun *run, const char *ledger_id, const char *number)
{
	for (int i = 0; i < run->job.nsegments; i++)
	{
		if (run->segments[i].number == (uint32) atoi(number) &&
			strcmp(run->accounts[i].ledger_id, ledger_id) == 0)
			return i;
	}
	return -1;
}

/* Visitor of closed_sql. */
static void
ClosedVisit(VerifyRun *run, const char *const *values, void *arg)
{
	int			at = SegmentFind(run, values[0], values[1]);
	SegmentAccount *account;
	ClosedLane *lane;

	if (at < 0 || run->accounts[at].closed_rows == 0)
		return;
	account = &run->accounts[at];
	if (values[2] != NULL)
		account->closed_rows = strtoll(values[2], NULL, 10);
	if (values[3] == NULL || values[4] == NULL || values[5] == NULL ||
		strlen(values[5]) != 2 * SHA256_SIZE)
		return;
	if (account->closed == NULL)
		account->closed = MemoryContextAlloc(run->context, sizeof(ClosedLane));
	else
		account->closed = repalloc(account->closed, sizeof(ClosedLane) *
								   (account->nclosed + 1));
	lane = &account->closed[account->nclosed++];
	lane->lane = atoi(values[3]);
	lane->last_seq = strtoll(values[4], NULL, 10);
	lane->reached = 0;
	hex_decode(values[5], 2 * SHA256_SIZE, (char *) lane->last_hash);
}

/* What VerifyAttempt runs: everything that reads segment_event. */
static void
SegmentsWithEvents(void *arg)
{
	VerifyRun  *run = arg;
	SegmentsVisit visit = {.have_events = true};

	VerifyQuery(run, segments_sql, SegmentVisit, &visit);
	VerifyQuery(run, unregistered_sql, UnregisteredVisit, NULL);
	VerifyQuery(run, bounds_sql, BoundsVisit, NULL);
	VerifyQuery(run, closed_sql, ClosedVisit, NULL);
	PurgedRead(run);
	ErasedRead(run);
}

/* Lists the segments in scope and reports what is missing. */
void
PlanSegments(VerifyRun *run)
{
	SegmentsVisit visit = {.have_events = false};
	const char *why = "it does not exist";

	if (OidIsValid(TableByNames(LLM_AUDIT_SCHEMA, "segment_event")) &&
		OidIsValid(TableByNames(LLM_AUDIT_SCHEMA, "admin_event")))
		why = VerifyAttempt(SegmentsWithEvents, run);
	if (why != NULL)
	{
		UnitSourceReset(&run->own);
		run->job.nsegments = 0;
		run->nledgers = 0;
		VerifyQuery(run, segments_without_events_sql, SegmentVisit, &visit);
		if (run->nledgers > 0)
			RunReportObject(run, FINDING_CATALOG_DRIFT, InvalidOid, -1,
							"segment_event cannot be read: %s", why);
	}
	VerifyQuery(run, gaps_sql, GapVisit, NULL);
	run->job.segments = run->segments;
}

/*
 * Lists the segments in scope, for somebody who looks for a row and does not
 * judge: reading segment_event would take longer than all the rest.
 */
void
PlanSegmentsOnly(VerifyRun *run)
{
	SegmentsVisit visit = {.have_events = false};

	VerifyQuery(run, segments_without_events_sql, SegmentVisit, &visit);
	run->job.segments = run->segments;
}

/* ---------------- units ---------------- */

/* Adds a unit of the segment; chain units know how their lane has to end. */
static VerifyUnit *
UnitAdd(VerifyRun *run, UnitKind kind, int segment, int64 first, int64 last)
{
	MemoryContext old = MemoryContextSwitchTo(run->context);
	VerifyUnit *unit;

	if (run->size_units == 0)
	{
		run->size_units = 256;
		run->units = palloc(sizeof(VerifyUnit) * run->size_units);
	}
	else if (run->job.nunits == run->size_units)
	{
		run->size_units *= 2;
		run->units = repalloc_huge(run->units,
								   sizeof(VerifyUnit) * run->size_units);
	}
	unit = &run->units[run->job.nunits++];
	memset(unit, 0, sizeof(*unit));
	unit->kind = kind;
	unit->segment = segment;
	unit->first = first;
	unit->last = last;
	unit->closed_seq = -1;
	MemoryContextSwitchTo(old);
	return unit;
}

/*
 * The first entry of the lane index at or after (lane, seq), whether its row
 * is visible or not; in the lanes after this one if next_lane.  False if
 * there is none.
 */
static bool
LaneProbe(IndexScanDesc scan, bool next_lane, int32 *lane, int64 *seq)
{
	ScanKeyData keys[2];
	bool		isnull[2];

	if (next_lane)
		ScanKeyInit(&keys[0], 1, BTGreaterStrategyNumber, F_INT4GT,
					Int32GetDatum(*lane));
	else
		ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ,
					Int32GetDatum(*lane));
	ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT8GE,
				Int64GetDatum(*seq));
	index_rescan(scan, keys, 2, NULL, 0);
	if (index_getnext_tid(scan, ForwardScanDirection) == NULL)
		return false;
	*lane = DatumGetInt32(index_getattr(scan->xs_itup, 1, scan->xs_itupdesc,
										&isnull[0]));
	*seq = DatumGetInt64(index_getattr(scan->xs_itup, 2, scan->xs_itupdesc,
									   &isnull[1]));
	return true;
}

/* How the lane ended when the segment was closed. */
static void
UnitSetEnd(VerifyRun *run, VerifyUnit *unit)
{
	const SegmentAccount *account = &run->accounts[unit->segment];

	if (!run->segments[unit->segment].closed)
		return;
	if (account->closed_rows < 0)
		return;					/* reported: nothing says how it ended */
	unit->closed_seq = 0;
	for (int i = 0; i < account->nclosed; i++)
	{
		if (account->closed[i].lane == unit->lane)
		{
			unit->closed_seq = account->closed[i].last_seq;
			memcpy(unit->closed_hash, account->closed[i].last_hash,
				   SHA256_SIZE);
		}
	}
}

/* Makes units of one lane whose first position is seq. */
static void
LaneUnits(VerifyRun *run, int segment, IndexScanDesc scan, int32 lane,
		  int64 seq)
{
	run->nlanes++;
	do
	{
		int64		last = seq > PG_INT64_MAX - VERIFY_UNIT_SEQS ?
		PG_INT64_MAX : seq + VERIFY_UNIT_SEQS - 1;
		VerifyUnit *unit = UnitAdd(run, UNIT_CHAIN, segment, seq, last);

		CHECK_FOR_INTERRUPTS();
		unit->lane = lane;
		UnitSetEnd(run, unit);
		if (last == PG_INT64_MAX)
			break;
		seq = last + 1;
	} while (LaneProbe(scan, false, &lane, &seq));
}

/* Makes the units of all lanes of a segment. */
static void
ChainUnits(VerifyRun *run, int segment, Relation leaf)
{
	Relation	index = LeafIndexOpen(run->segments[segment].relid, true);
	IndexScanDesc scan = IndexBeginScan(leaf, index, run->job.snapshot, 2, 0);
	int32		lane = PG_INT32_MIN;
	int64		seq = PG_INT64_MIN;

	scan->xs_want_itup = true;
	while (LaneProbe(scan, true, &lane, &seq))
	{
		LaneUnits(run, segment, scan, lane, seq);
		seq = PG_INT64_MIN;
	}
	index_endscan(scan);
	index_close(index, AccessShareLock);
}

/* Makes the units of a heap. */
static void
HeapUnits(VerifyRun *run, int segment)
{
	BlockNumber blocks = run->segments[segment].blocks;

	for (int64 block = 0; block < blocks; block += VERIFY_UNIT_BLOCKS)
		UnitAdd(run, UNIT_HEAP, segment, block,
				Min(block + VERIFY_UNIT_BLOCKS, (int64) blocks) - 1);
}

typedef struct PlanAttempt
{
	VerifyRun  *run;
	int			segment;
	bool		wanted;
	bool		ready;
} PlanAttempt;

/*
 * What VerifyAttempt runs for each segment: is it in the times asked for,
 * can its rows be read, which units does it have.
 */
static void
SegmentUnits(void *arg)
{
	PlanAttempt *attempt = arg;
	VerifyRun  *run = attempt->run;
	VerifySegment *vseg = &run->segments[attempt->segment];
	RowReader	reader;

	attempt->ready = RowReaderOpen(&reader, &run->job, vseg, &run->own.sink);
	if (!attempt->ready)
		return;
	attempt->wanted = !run->job.has_range ||
		(reader.seg->lower < run->job.until &&
		 reader.seg->upper > run->job.since);
	if (attempt->wanted)
	{
		vseg->has_lane_index = OidIsValid(reader.seg->lane_index);
		vseg->has_id_index = OidIsValid(reader.seg->id_index);
		vseg->blocks = RelationGetNumberOfBlocks(reader.leaf);
		HeapUnits(run, attempt->segment);
		if (vseg->has_lane_index)
			ChainUnits(run, attempt->segment, reader.leaf);
	}
	RowReaderClose(&reader);
}

/* Plans a segment; what cannot be planned is a finding. */
static void
SegmentPlan(VerifyRun *run, int segment)
{
	PlanAttempt attempt = {.run = run,.segment = segment};
	VerifySegment *vseg = &run->segments[segment];
	int			nunits = run->job.nunits;
	uint64		nlanes = run->nlanes;
	const char *why = VerifyAttempt(SegmentUnits, &attempt);

	if (why == NULL && attempt.ready)
	{
		if (attempt.wanted && !vseg->has_lane_index)
			RunReportObject(run, FINDING_INDEX_MISMATCH, vseg->root,
							vseg->number,
							"there is no usable lane index: the rows of %s were not verified",
							run->accounts[segment].name);
		run->accounts[segment].unread = !attempt.wanted ||
			!vseg->has_lane_index;
		return;
	}
	run->job.nunits = nunits;
	run->nlanes = nlanes;
	run->accounts[segment].unread = true;
	if (why == NULL)
		RunReportObject(run, FINDING_CATALOG_DRIFT, vseg->root, vseg->number,
						"columns differ from the registry: the rows of %s were not verified",
						run->accounts[segment].name);
	else
		RunReportObject(run, FINDING_INDEX_MISMATCH, vseg->root, vseg->number,
						"the rows of %s were not verified: %s",
						run->accounts[segment].name, why);
}

/* One unit for the ids of each ledger; they come first, being the longest. */
static void
IdUnits(VerifyRun *run)
{
	int			first = 0;

	for (int i = 1; i <= run->job.nsegments; i++)
	{
		if (i < run->job.nsegments &&
			run->segments[i].root == run->segments[first].root)
			continue;
		UnitAdd(run, UNIT_IDS, first, 0, 0)->count = i - first;
		first = i;
	}
}

/*
 * Units in the order in which they are handed out: ids first, then by
 * position in the lanes, so that units which share heap pages run close
 * together.
 */
static int
UnitCompare(const void *a, const void *b)
{
	const VerifyUnit *x = a;
	const VerifyUnit *y = b;

	if ((x->kind == UNIT_IDS) != (y->kind == UNIT_IDS))
		return x->kind == UNIT_IDS ? -1 : 1;
	if (x->segment != y->segment)
		return x->segment < y->segment ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->first / VERIFY_UNIT_SEQS != y->first / VERIFY_UNIT_SEQS)
		return x->first < y->first ? -1 : 1;
	if (x->lane != y->lane)
		return x->lane < y->lane ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

/* Finds all units of the planned segments. */
void
PlanUnits(VerifyRun *run)
{
	for (int i = 0; i < run->job.nsegments; i++)
		SegmentPlan(run, i);
	IdUnits(run);
	qsort(run->units, run->job.nunits, sizeof(VerifyUnit), UnitCompare);
	run->job.units = run->units;
	run->done = MemoryContextAllocZero(run->context,
									   Max(run->job.nunits, 1));
}
