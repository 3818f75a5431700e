/*
 * record_batch.c
 *	  Storing many prepared documents, and finding the ones that cannot be.
 *
 * All lines of a batch are inserted by one statement per ledger, in a
 * subtransaction.  If that fails for a reason that lies in a row, the batch
 * is halved until the row is found.  An error that is not any row's fault
 * (cancellation, a deadlock, no more lanes) is never taken for one.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "compat.h"
#include "executor/spi.h"
#include "ledger/ledger.h"
#include "miscadmin.h"
#include "policy/policy.h"
#include "record/record.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

/* The lines that are being inserted, for the collector of dropped rows. */
typedef struct Running
{
	Line	  **lines;
	int			count;
} Running;

/* ---------------- inserting ---------------- */

/*
 * A row with this id was dropped.  If several lines have the id, the last of
 * them was.
 */
static void
OnDropped(Oid leaf, Datum id, void *arg)
{
	Running    *running = arg;

	for (int i = running->count - 1; i >= 0; i--)
	{
		Line	   *line = running->lines[i];

		if (line->state == LINE_READY && line->id_given &&
			memcmp(&line->id, DatumGetUUIDP(id), UUID_LEN) == 0)
		{
			line->state = LINE_DROPPED;
			line->leaf = leaf;
			return;
		}
	}
}

/* Inserts the main rows; those that are there already are marked. */
static void
InsertMain(Recording *rec, Running *running)
{
	TypedRow  **rows = palloc(sizeof(TypedRow *) * running->count);
	bool		given = false;
	ChainCollector collector;
	ChainCollector old;

	for (int i = 0; i < running->count; i++)
	{
		rows[i] = running->lines[i]->main;
		given |= running->lines[i]->id_given;
	}
	if (!given)
	{
		StageInsert(rec->main, rows, running->count, false);
		return;
	}
	ChainResolvePending();
	collector.dropped = OnDropped;
	collector.arg = running;
	old = ChainSetCollector(collector);
	PG_TRY();
	{
		StageInsert(rec->main, rows, running->count, true);
		ChainResolvePending();
	}
	PG_FINALLY();
	{
		ChainSetCollector(old);
	}
	PG_END_TRY();
}

/* The list of a line's rows for one of the other ledgers. */
static TypedRow *
RowsOf(const Recording *rec, const Line *line, const Target *target)
{
	if (target == rec->main)
		return line->tool_calls;
	if (target == rec->content)
		return line->content;
	if (target == rec->token)
		return line->tokens;
	return line->usage;
}

/* Inserts what goes with the lines that were not dropped. */
static void
InsertOthers(Recording *rec, Running *running, Target *target)
{
	TypedRow  **rows;
	int			count = 0;

	for (int pass = 0; pass < 2; pass++)
	{
		rows = pass == 0 ? NULL : palloc(sizeof(TypedRow *) * count);
		if (pass == 1 && count == 0)
			return;
		count = 0;
		for (int i = 0; i < running->count; i++)
		{
			const Line *line = running->lines[i];
			TypedRow   *row = line->state == LINE_READY ?
			RowsOf(rec, line, target) : NULL;

			for (; row; row = row->next, count++)
			{
				if (rows)
					rows[count] = row;
			}
		}
	}
	StageInsert(target, rows, count, false);
}

static void
InsertLines(Recording *rec, Running *running)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	InsertMain(rec, running);
	if (rec->content)
	{
		InsertOthers(rec, running, rec->main);
		InsertOthers(rec, running, rec->content);
		InsertOthers(rec, running, rec->token);
		InsertOthers(rec, running, rec->usage);
	}
	SPI_finish();
}

/*
 * Inserts the lines in a subtransaction.  Returns NULL, or the error after
 * everything was undone.
 */
static ErrorData *
TryLines(Recording *rec, Running *running)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		InsertLines(rec, running);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		for (int i = 0; i < running->count; i++)
			running->lines[i]->state = LINE_READY;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

/* ---------------- errors ---------------- */

/* True if another row in its place might not have failed. */
static bool
IsRowError(const ErrorData *error)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_DATA_EXCEPTION:
		case ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION:
		case ERRCODE_WITH_CHECK_OPTION_VIOLATION:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
		case ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
		case ERRCODE_FEATURE_NOT_SUPPORTED:
		case ERRCODE_RAISE_EXCEPTION:
			return true;
		default:
			return false;
	}
}

/*
 * The message of an error, without what a row or document holds, and without
 * the names of segments, which tell a writer nothing.  Messages of the other
 * classes name objects only; of data exceptions only our own do.
 */
static char *
SafeMessage(const ErrorData *error)
{
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
	bool		ours = error->domain != NULL &&
	strcmp(error->domain, TEXTDOMAIN) == 0;

	if (error->sqlerrcode == ERRCODE_NOT_NULL_VIOLATION && error->column_name)
		return psprintf("column \"%s\" needs a value", error->column_name);
	if (error->sqlerrcode == ERRCODE_CHECK_VIOLATION && error->constraint_name)
		return psprintf("check constraint \"%s\" is not met",
						error->constraint_name);
	if (error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION)
		return pstrdup("a row with the same id is stored already");
	if (category == ERRCODE_RAISE_EXCEPTION ||
		(category == ERRCODE_DATA_EXCEPTION && !ours) ||
		error->message == NULL)
		return psprintf("a value is not accepted (SQLSTATE %s)",
						unpack_sql_state(error->sqlerrcode));
	return pstrdup(error->message);
}

/* ---------------- halving ---------------- */

/*
 * Stores the lines of running, halving them when one fails.  Recursion is as
 * deep as the logarithm of their number.
 */
static void
StoreLines(Recording *rec, Running *running)
{
	ErrorData  *error;
	Running		half;

	if (running->count == 0)
		return;
	CHECK_FOR_INTERRUPTS();
	error = TryLines(rec, running);
	if (error == NULL)
	{
		for (int i = 0; i < running->count; i++)
		{
			if (running->lines[i]->state == LINE_READY)
				running->lines[i]->state = LINE_STORED;
		}
		return;
	}
	if (!IsRowError(error))
	{
		error->context = NULL;	/* a statement of ours, long and no help */
		ReThrowError(error);
	}
	if (running->count == 1)
	{
		LineRefuse(rec, running->lines[0], error->sqlerrcode,
				   SafeMessage(error));
		FreeErrorData(error);
		return;
	}
	FreeErrorData(error);
	half.lines = running->lines;
	half.count = running->count / 2;
	StoreLines(rec, &half);
	half.lines = running->lines + running->count / 2;
	half.count = running->count - running->count / 2;
	StoreLines(rec, &half);
}

/* ---------------- duplicate or conflict ---------------- */

/* True if a column of the stored row may differ from what was written. */
static bool
IsRewritten(const char *name)
{
	return strncmp(name, "masking_", 8) == 0 || strncmp(name, "pii_", 4) == 0 ||
		strcmp(name, "known_values") == 0 || strcmp(name, "high_risk") == 0 ||
		strcmp(name, "category") == 0;
}

/* What a retry may have to be compared with, for one row. */
typedef struct Retry
{
	const Target *target;
	const TypedRow *row;
	const Segment *seg;
	int			key;			/* the live key to hash with */
} Retry;

/*
 * The values that the writer gave, by attribute number of the leaf and with
 * the field policies applied, as they would have been stored under the key.
 */
static void
WouldStore(const Retry *retry, TupleDesc desc, NullableDatum *result)
{
	const Target *target = retry->target;
	const TypedRow *row = retry->row;

	Datum	   *values = palloc0(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);

	for (int a = 0; a < desc->natts; a++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, a);
		int			i = att->attisdropped ? -1 :
		RecordColumnFind(&target->schema, NameStr(att->attname),
						 strlen(NameStr(att->attname)));
		int			p = i < 0 ? -1 : target->columns[i].position;

		nulls[a] = p < 0 || row->nulls[p];
		values[a] = nulls[a] ? (Datum) 0 : row->values[p];
		result[a].isnull = p < 0 || !row->given[p] ||
			IsRewritten(NameStr(att->attname));
	}
	PolicyPreview(retry->seg, retry->key, values, nulls);
	for (int a = 0; a < desc->natts; a++)
	{
		/* what its policy drops is not there to be compared */
		result[a].isnull |= nulls[a];
		result[a].value = values[a];
	}
}

/*
 * Compares one value that the writer gave with that of a stored row.  One
 * that was erased, or whose data key is gone, can no longer be told from
 * another.
 */
static bool
ValueMatches(const Segment *seg, TupleTableSlot *slot, int a, Datum given)
{
	Form_pg_attribute att = TupleDescAttr(slot->tts_tupleDescriptor, a);
	Datum		stored = slot->tts_values[a];
	bool		lost;

	if (PolicyStoredPlain(seg, a + 1, slot->tts_values, slot->tts_isnull,
						  &stored, &lost))
		return datum_image_eq(stored, given, att->attbyval, att->attlen);
	if (slot->tts_isnull[a])
		return lost || !slot->tts_isnull[seg->attrs.erased - 1];
	return lost || datum_image_eq(stored, given, att->attbyval, att->attlen);
}

/* Compares the values that the writer gave with a stored row. */
static bool
MatchesUnderKey(const Retry *retry, TupleTableSlot *slot)
{
	TupleDesc	desc = slot->tts_tupleDescriptor;
	NullableDatum *given = palloc(sizeof(NullableDatum) * desc->natts);

	WouldStore(retry, desc, given);
	for (int a = 0; a < desc->natts; a++)
	{
		if (!given[a].isnull &&
			!ValueMatches(retry->seg, slot, a, given[a].value))
			return false;
	}
	return true;
}

/*
 * Likewise under each live key: the row may have been stored before a
 * rotation.  All pseudonyms of a row are of one key.
 */
static bool
RowMatches(const Target *target, const TypedRow *row, const Segment *seg,
		   TupleTableSlot *slot)
{
	Retry		retry = {target, row, seg, 0};
	int			keys = llm_audit_masking ? Max(PolicyKeyCount(), 1) : 1;

	for (; retry.key < keys; retry.key++)
	{
		CHECK_FOR_INTERRUPTS();
		if (MatchesUnderKey(&retry, slot))
			return true;
	}
	return false;
}

/* True if the session user is who recorded the stored row. */
static bool
IsRecorder(const Segment *seg, const TupleTableSlot *slot)
{
	int			a = seg->attrs.recorded_by - 1;
	char	   *user = GetUserNameFromId(GetSessionUserId(), false);

	return !slot->tts_isnull[a] &&
		strcmp(TextDatumGetCString(slot->tts_values[a]), user) == 0;
}

/*
 * True if the stored row says the same as the line.  The digest of what was
 * given for it decides, whatever has become of it since or would become of it
 * now.  Where it does not, as there was no key, it was erased or the writer
 * gives other columns, the values are compared.
 *
 * Only to who gave them does the digest say whether values are the same ones:
 * others could try one after the other, and learn what was masked.
 */
static bool
SaysTheSame(Recording *rec, Line *line, const Segment *seg,
			TupleTableSlot *slot)
{
	DigestVerdict verdict = DIGEST_UNKNOWN;
	bool		mine;

	slot_getallattrs(slot);
	mine = IsRecorder(seg, slot);
	for (int a = 0; mine && a < slot->tts_tupleDescriptor->natts; a++)
	{
		Form_pg_attribute att = TupleDescAttr(slot->tts_tupleDescriptor, a);

		if (!att->attisdropped && !slot->tts_isnull[a] &&
			strcmp(NameStr(att->attname), INPUT_DIGEST) == 0)
			verdict = DigestCompare(rec, line, slot->tts_values[a]);
	}
	if (verdict == DIGEST_UNKNOWN)
		return RowMatches(rec->main, line->main, seg, slot);
	return verdict == DIGEST_SAME;
}

/*
 * Looks the row up through the segment's index on id, as it is now, whatever
 * the transaction's snapshot.  Only whether it is the same is told to the
 * writer, who may not read.
 */
bool
LineEqualsStored(Recording *rec, Line *line)
{
	const Segment *seg = SegmentLookup(line->leaf);
	Relation	leaf;
	Relation	index;
	IndexScanDesc scan;
	TupleTableSlot *slot;
	ScanKeyData key;
	bool		equal = false;

	if (seg == NULL)
		return false;
	leaf = table_open(line->leaf, AccessShareLock);
	index = index_open(seg->id_index, AccessShareLock);
	slot = table_slot_create(leaf, NULL);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(&line->id));
	scan = IndexBeginScan(leaf, index, SnapshotSelf, 1, 0);
	index_rescan(scan, &key, 1, NULL, 0);
	if (index_getnext_slot(scan, ForwardScanDirection, slot))
		equal = SaysTheSame(rec, line, seg, slot);
	index_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	index_close(index, AccessShareLock);
	table_close(leaf, AccessShareLock);
	return equal;
}

void
BatchRun(Recording *rec, Line **lines, int count)
{
	Running		running;

	running.lines = palloc(sizeof(Line *) * (count + 1));
	running.count = 0;
	for (int i = 0; i < count; i++)
	{
		if (lines[i]->state == LINE_READY)
			running.lines[running.count++] = lines[i];
	}
	StoreLines(rec, &running);
}
