/*
 * verify.h
 *	  What the parts of verify share; nobody else includes it.
 *
 * verify.c			SQL functions, scope, the verdict
 * verify_plan.c	which segments and units of work there are
 * verify_chain.c	one unit: rows of a lane through the (lane, seq) index
 * verify_heap.c	one unit: a range of blocks, to compare with the indexes
 * verify_ids.c		one unit: all ids of a ledger in order
 * verify_row.c		one row: a deform that survives garbage, and its hash
 * verify_careful.c	units that raised errors, row by row
 * verify_parallel.c	workers
 * verify_catalog.c	triggers, functions, owners, grants, registry
 * verify_definition.c	constraints, policies, unique indexes, defaults, triggers
 * verify_generated.c	generated columns
 * verify_purge.c	gaps that a purge explains
 * verify_query.c	queries on catalogs and configuration
 * verify_progress.c	NOTICE and shared slots
 *
 * A unit never locks anything but one leaf and its index (AccessShareLock,
 * released at the unit's end) and reads with the one snapshot that was
 * active when verify was called.
 */
#ifndef LLM_AUDIT_LEDGER_VERIFY_H
#define LLM_AUDIT_LEDGER_VERIFY_H

#include "postgres.h"

#include "access/relscan.h"
#include "compat.h"
#include "executor/tuptable.h"
#include "ledger/ledger.h"
#include "nodes/pg_list.h"
#include "utils/snapshot.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"

#define VERIFY_UNIT_SEQS	100000	/* rows of one lane in a unit */
#define VERIFY_UNIT_BLOCKS	16384	/* heap blocks in a unit */
#define VERIFY_DETAIL_SIZE	192
#define CATALOG_CHECKS		20	/* see verify_catalog.c */

typedef enum FindingKind
{
	FINDING_ROW_ALTERED = 0,
	FINDING_ROW_MISSING,
	FINDING_ROW_INSERTED,
	FINDING_LINK_BROKEN,
	FINDING_DUPLICATE_ID,
	FINDING_INDEX_MISMATCH,
	FINDING_ERASED_WITHOUT_EVENT,
	FINDING_PURGED_WITHOUT_RECEIPT,
	FINDING_CATALOG_DRIFT,
	FINDING_CHAIN_TRUNCATED,
	FINDING_SEGMENT_MISSING
} FindingKind;

/* One finding; a plain block of bytes, so that workers can send it. */
typedef struct Finding
{
	FindingKind kind;
	Oid			ledger;			/* root, or InvalidOid */
	bool		has_segment;
	bool		has_position;	/* lane and seq */
	bool		has_lane;
	bool		has_id;
	uint32		segment;
	int32		lane;
	int64		seq;
	int64		gap_last;		/* rows are missing up to this seq; 0: no gap */
	pg_uuid_t	id;
	char		detail[VERIFY_DETAIL_SIZE];
} Finding;

/* What the caller asked for. */
typedef struct VerifyScope
{
	Oid			ledger;			/* InvalidOid: all */
	bool		has_segment;
	int32		segment;
	bool		has_range;
	TimestampTz since;			/* inclusive */
	TimestampTz until;			/* exclusive */
	bool		has_id;
	pg_uuid_t	id;
	int			workers;		/* -1: as many as the server gives */
} VerifyScope;

/* One segment to verify, as the plan found it. */
typedef struct VerifySegment
{
	Oid			relid;
	Oid			root;
	uint32		number;
	bool		closed;
	bool		has_lane_index; /* a usable one, when the plan was made */
	bool		has_id_index;
	bool		has_receipts;	/* of erasures, which say what is gone */
	BlockNumber blocks;
} VerifySegment;

typedef enum UnitKind
{
	UNIT_IDS = 0,				/* ids of segments [segment, segment + count) */
	UNIT_CHAIN,					/* seqs first..last of lane */
	UNIT_HEAP,					/* blocks first..last: which rows there are */
	UNIT_HEAP_ROWS				/* the same, with what the rows hold */
} UnitKind;

typedef struct VerifyUnit
{
	UnitKind	kind;
	int			segment;		/* index into the plan's segments */
	int			count;			/* UNIT_IDS: number of segments */
	int32		lane;
	int64		first;
	int64		last;
	int64		closed_seq;		/* last seq by segment_event; -1: open */
	uint8		closed_hash[SHA256_SIZE];
} VerifyUnit;

/* What a unit counted, for comparisons that span units. */
typedef struct UnitTally
{
	UnitKind	kind;
	int			segment;
	int32		lane;
	int64		last_seq;		/* last visible one of a chain unit, 0: none */
	bool		damaged;		/* rows were there that could not be read */
	uint64		rows;			/* that have a position */
	uint64		hash_sum;		/* of the first 8 bytes of row_hash */
	uint64		ids;			/* rows that have an id */
	uint64		id_sum;			/* of the ids' hashes */
	uint64		place_sum;		/* of the rows' places in the heap */
} UnitTally;

/*
 * Where a unit's results go: straight to the collector in the leader, into
 * a message queue in a worker.
 */
typedef struct VerifySink VerifySink;
struct VerifySink
{
	void		(*finding) (VerifySink *sink, const Finding *finding);
	void		(*tally) (VerifySink *sink, const UnitTally *tally);
	void		(*rows) (VerifySink *sink, uint64 rows);
};

/* What all units of a run share. */
typedef struct VerifyJob
{
	Snapshot	snapshot;
	bool		has_range;
	TimestampTz since;
	TimestampTz until;
	int			nsegments;
	const VerifySegment *segments;
	int			nunits;
	const VerifyUnit *units;
} VerifyJob;

/* ---------------- verify_row.c ---------------- */

/* How to walk the attributes of a leaf; made once per unit. */
typedef struct RowAttr
{
	int16		len;
	bool		byval;
	uint8		align;			/* 1, 2, 4 or 8 */
} RowAttr;

/* A hashed column of variable length. */
typedef struct RowVarlena
{
	AttrNumber	attnum;
	uint8		kind;			/* EncodeKind */
	int			column;			/* of the segment */
} RowVarlena;

/* A leaf opened for reading, and the buffers to take a row apart. */
typedef struct RowReader
{
	const VerifyJob *job;
	const VerifySegment *vseg;
	const Segment *seg;
	Relation	leaf;
	VerifySink *sink;
	TupleTableSlot *slot;
	int			natts;
	RowAttr    *atts;
	int			nvarlenas;
	RowVarlena *varlenas;
	int			prefix;			/* attributes up to the last ledger column */
	AttrNumber	environment;	/* or 0 */
	size_t		environment_len;	/* of the segment's; 0: any */
	AttrNumber	recorded_at;
	Datum	   *values;
	bool	   *nulls;
	EncodeBuffer preimage;
	struct ErasureRange *erasures;	/* NULL: not read yet; verify_erased.c */
	int			nerasures;
	MemoryContext unit_context;
	MemoryContext row_context;	/* reset for every row */
} RowReader;

/* What the chain needs to know of a row. */
typedef struct RowFacts
{
	bool		readable;		/* the tuple could be taken apart */
	bool		in_range;		/* of the times asked for */
	bool		has_id;
	bool		has_hash;		/* row_hash has 32 bytes */
	bool		has_prev;
	bool		has_position;
	bool		has_time;
	bool		matches;		/* its content gives its row_hash */
	int32		lane;
	int64		seq;
	TimestampTz recorded_at;
	int64		gap_last;		/* of missing rows: the last one's seq */
	pg_uuid_t	id;
	uint8		row_hash[SHA256_SIZE];
	uint8		prev_hash[SHA256_SIZE];
} RowFacts;

extern bool RowReaderOpen(RowReader *reader, const VerifyJob *job,
						  const VerifySegment *vseg, VerifySink *sink);
extern void RowReaderClose(RowReader *reader);
extern void RowReadFacts(RowReader *reader, bool whole, RowFacts *facts);
extern const char *RowVerify(RowReader *reader, const RowFacts *facts);
extern bytea *RowPreimageCopy(RowReader *reader);
extern bool RowHasErased(const RowReader *reader);
extern void RowReport(const RowReader *reader, const RowFacts *facts,
					  FindingKind kind, const char *fmt,...)
			pg_attribute_printf(4, 5);

/*
 * Opens the leaf's index on (lane, seq), or else on id, under
 * AccessShareLock; the caller has the leaf open.  The registry is asked each
 * time, because REINDEX CONCURRENTLY puts another index in its place.
 */
extern Relation LeafIndexOpen(Oid leaf, bool by_lane);

/*
 * The next row of an index scan that the run's snapshot sees, in slot.
 * Unlike index_getnext_slot it marks no index entry as dead: what looks dead
 * may be a tuple that somebody has damaged, and verify changes nothing.
 */
extern bool IndexNextRow(IndexScanDesc scan, ScanDirection direction,
						 TupleTableSlot *slot);
extern uint64 HashWord(const uint8 *hash);
extern uint64 IdWord(const pg_uuid_t *id);
extern uint64 PlaceWord(const ItemPointerData * place);

/* ---------------- verify_erased.c ---------------- */

/* True if the row has values that ErasedCheck has to look at. */
extern bool ErasedMatters(const RowReader *reader);

/*
 * Reports erased columns of the row that no erase_receipt explains, and values
 * that a receipt says were erased.
 */
extern void ErasedCheck(RowReader *reader, const VerifyUnit *unit,
						const RowFacts *facts);

/* ---------------- verify_chain.c ---------------- */

#define CHAIN_RIVALS	4

/* Rows that were passed by and are to be rehashed after all. */
#define CHAIN_REVISITS	16

typedef struct SeqRange
{
	int64		first;
	int64		last;
} SeqRange;

/* The lane as far as it has been walked. */
typedef struct ChainState
{
	RowReader  *reader;
	const VerifyUnit *unit;
	bool		started;		/* there is a row before */
	bool		linkable;		/* and its hash is known */
	bool		quiet;			/* it belongs to the unit before */
	int64		seq;			/* the position before; 0: the beginning */
	RowFacts	row;			/* the row there */
	int			nrivals;		/* others at the same position */
	RowFacts	rivals[CHAIN_RIVALS];
	UnitTally	tally;
	uint64		told;			/* rows told to the sink so far */
	int			times;			/* of the row before: -1 too early, 0 in the
								 * times asked for, 1 too late; 2 none yet */
	int			latest;			/* greatest of these so far, or -1 */
	SeqRange	passed;			/* rows since the last one rehashed */
	int			nrevisits;
	SeqRange	revisits[CHAIN_REVISITS];
} ChainState;

extern void ChainStateInit(ChainState *state, RowReader *reader,
						   const VerifyUnit *unit);
extern void ChainStatePredecessor(ChainState *state);
extern void ChainStateRow(ChainState *state, RowFacts *facts);
extern void ChainStateUnreadable(ChainState *state, int64 seq);
extern void ChainStateFinish(ChainState *state);
extern void VerifyChainUnit(const VerifyJob *job, const VerifyUnit *unit,
							VerifySink *sink);

/* ---------------- the other units ---------------- */

/* Both raise what damaged pages raise. */
extern void VerifyHeapUnit(const VerifyJob *job, const VerifyUnit *unit,
						   VerifySink *sink);
extern void VerifyIdsUnit(const VerifyJob *job, const VerifyUnit *unit,
						  VerifySink *sink);

/*
 * Counts the rows of a segment in the heap and through both indexes, under
 * one lock on the leaf.  False if the leaf cannot be read.
 */
extern bool SegmentCount(const VerifyJob *job, const VerifySegment *vseg,
						 UnitTally *heap, UnitTally *lanes, UnitTally *ids);

/* Runs a unit of any kind. */
extern void VerifyUnitRun(const VerifyJob *job, const VerifyUnit *unit,
						  VerifySink *sink);

/*
 * Reports every row of the segment that the index (lane index if by_lane,
 * else id index) does not lead to; returns how many there were.
 */
extern uint64 IndexMissesReport(const VerifyJob *job,
								const VerifySegment *vseg, bool by_lane,
								VerifySink *sink);

/* ---------------- verify.c: one run, in the leader ---------------- */

/* What segment_event says of a closed segment. */
typedef struct ClosedLane
{
	int32		lane;
	int64		last_seq;
	uint8		last_hash[SHA256_SIZE];
	int64		reached;		/* last seq that was met */
} ClosedLane;

/* Rows that were purged, by a receipt: positions of one lane. */
typedef struct PurgedRun
{
	int32		lane;
	int64		first;
	int64		last;
} PurgedRun;

/* A segment as the leader sees it: what it should be, what was counted. */
typedef struct SegmentAccount
{
	char	   *ledger_id;
	char	   *name;			/* of the leaf, with its schema */
	int64		closed_rows;	/* -1: not known */
	int			nclosed;
	ClosedLane *closed;
	int			npurged;
	int			size_purged;
	PurgedRun  *purged;			/* by lane and first */
	int64		purged_rows;	/* that receipts account for */
	int64		purged_events;	/* that segment_event says were purged */
	bool		damaged;
	bool		unread;			/* its rows could not be verified */
	bool		recounted;		/* under one lock, see RecountWork */
	uint64		chain_rows;
	uint64		chain_sum;
	uint64		heap_rows;
	uint64		heap_sum;
	uint64		heap_ids;
	uint64		heap_id_sum;
	uint64		ids;
	uint64		id_sum;
	uint64		heap_places;	/* rows that the heap has, by their places */
	uint64		heap_place_sum;
	uint64		chain_place_sum;	/* of the rows that the lane index leads
									 * to */
	uint64		chain_ids;
	uint64		chain_id_sum;
} SegmentAccount;

/* Findings and tallies of a unit that is not finished. */
typedef struct UnitSource
{
	VerifySink	sink;			/* first: callbacks cast back */
	struct VerifyRun *run;
	uint64		nfindings;
	Tuplestorestate *pending;
	List	   *tallies;
} UnitSource;

typedef struct VerifyRun
{
	VerifyScope scope;
	VerifyJob	job;
	MemoryContext context;
	TupleDesc	desc;			/* of findings */
	Tuplestorestate *result;
	VerifySegment *segments;
	SegmentAccount *accounts;
	int			size_segments;
	VerifyUnit *units;
	bool	   *done;			/* per unit */
	int			size_units;
	UnitSource	own;			/* the leader's */
	int			nledgers;
	uint64		nlanes;
	uint64		nrows;
	uint64		told_rows;		/* unfinished units included */
	uint64		nfindings;
	int			nunits_done;
	int			nworkers;		/* that were launched */
	bool		checked_beside; /* VerifyCatalogBeside has begun */
	bool		checked[CATALOG_CHECKS];	/* of the catalogs, that are done */
	void		(*poll) (struct VerifyRun *run);	/* empties the queues */
	void	   *poll_arg;
	TimestampTz started;
	TimestampTz noticed;
} VerifyRun;

extern void RunReportObject(VerifyRun *run, FindingKind kind, Oid ledger,
							int64 segment, const char *fmt,...)
			pg_attribute_printf(5, 6);
extern void UnitSourceInit(UnitSource *source, VerifyRun *run);
extern void UnitSourceCommit(UnitSource *source, int unit);
extern void UnitSourceReset(UnitSource *source);

/* ---------------- verify_careful.c ---------------- */

/*
 * VerifyHeapRows: reads the heap of a segment for what its rows hold, where
 * its units have only told which rows there are.
 */
extern void VerifyHeapRows(VerifyRun *run, int segment);

/* ---------------- verify_plan.c ---------------- */

extern void PlanSegments(VerifyRun *run);
extern void PlanSegmentsOnly(VerifyRun *run);
extern void PlanUnits(VerifyRun *run);

/* ---------------- verify_purge.c ---------------- */

/* Reads all receipts; the segments and their closing must be known. */
extern void PurgedRead(VerifyRun *run);

/* The segment of a ledger in the run, or -1. */
extern int	PurgedSegment(const VerifyRun *run, Oid root, uint32 number);

/*
 * Positions first to last of a lane are not there: the next run of them, from
 * *first on, that no receipt accounts for; false if there is none (left).
 */
extern bool PurgedUncovered(const SegmentAccount *account, int32 lane,
							int64 *first, int64 last, int64 *end);

/* What is missing there: rows, or receipts of a purge that is known. */
extern FindingKind PurgedFinding(const SegmentAccount *account);

/* verify_erased.c: finds out which segments have receipts of erasures. */
extern void ErasedRead(VerifyRun *run);

/* ---------------- verify_query.c: catalogs and configuration -------------- */

/* One row of a query: values are text or NULL, valid during the visit. */
typedef void (*QueryVisitor) (VerifyRun *run, const char *const *values,
							  void *arg);
extern void VerifyQuery(VerifyRun *run, const char *sql,
						QueryVisitor visit, void *arg);

/* ---------------- verify_catalog.c ---------------- */

/*
 * The checks that need subtransactions; those that can run in the leader while
 * its workers read rows, once: what it raises ends the parallel phase; all that
 * have not been done.
 */
extern void VerifyCatalogAlone(VerifyRun *run);
extern void VerifyCatalogBeside(VerifyRun *run);
extern void VerifyCatalogRest(VerifyRun *run);

/* verify_registry.c */

extern const char *const verify_registry_sql;
extern const char *const verify_columns_sql;
extern const char *const verify_numbers_sql;
extern const char *const verify_baseline_sql;

/* verify_access.c */

extern const char *const verify_leaves_sql;
extern const char *const verify_grants_sql;
extern const char *const verify_preload_sql;

/* verify_definition.c; each follows the relations of ledgers */

extern const char *const verify_checks_sql;
extern const char *const verify_policies_sql;
extern const char *const verify_unique_sql;
extern const char *const verify_parts_sql;
extern const char *const verify_defaults_sql;

/* ---------------- verify_generated.c ---------------- */

extern void VerifyGenerated(VerifyRun *run);

/* ---------------- verify_careful.c ---------------- */

/*
 * Runs work(arg) in a subtransaction.  NULL if it succeeded, else what a
 * damaged page, index or value made it raise (a static or palloc'd text);
 * any other error, a cancel for example, is raised again.
 */
typedef void (*AttemptWork) (void *arg);
extern const char *VerifyAttempt(AttemptWork work, void *arg);

/* Runs a unit whatever it meets. */
extern void VerifyUnitCarefully(VerifyRun *run, int unit);

/* ---------------- verify_parallel.c ---------------- */

extern void RunUnitsInParallel(VerifyRun *run, int nworkers);

/* ---------------- verify_progress.c ---------------- */

extern void VerifyShmemInit(void);
extern void ProgressBegin(const VerifyRun *run);
extern void ProgressUpdate(VerifyRun *run);
extern void ProgressEnd(void);

#endif
