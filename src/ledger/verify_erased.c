/*
 * verify_erased.c
 *	  Erased values against the receipts that explain them.
 *
 * A row's erased column says which values are gone.  Each must be covered by
 * an erase_receipt of its segment that names the column and the position.
 * The other way round, no value may be there that a receipt covers: somebody
 * has put it back, with its salt, and the row's hash cannot tell.  The
 * receipts of a unit's lane are read when the unit meets its first row with
 * erased values, or with erasable ones in a segment that has receipts, as
 * sorted ranges, so that segments without erasures pay nothing.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "ledger/verify.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/uuid.h"

/* Positions of one lane in which a column was erased. */
typedef struct ErasureRange
{
	int			column;
	int64		first;
	int64		last;
} ErasureRange;

typedef struct RangesVisit
{
	RowReader  *reader;
	int			size;
} RangesVisit;

static const char *const ranges_sql =
"SELECT c, pg_catalog.lower(r), pg_catalog.upper(r) - 1"
" FROM (SELECT c, pg_catalog.unnest(pg_catalog.range_agg("
"   pg_catalog.int8range(u.f, u.l, '[]'))) AS r"
"  FROM llm_audit.erase_receipt e, pg_catalog.unnest(e.columns) c,"
"   LATERAL ROWS FROM (pg_catalog.unnest(e.lanes),"
"    pg_catalog.unnest(e.first_seqs), pg_catalog.unnest(e.last_seqs))"
"    AS u (lane, f, l)"
"  WHERE e.stage = 'erased' AND e.ledger_id = '%s' AND e.segment = %u"
"   AND u.lane = %d AND u.f <= u.l AND u.l >= " INT64_FORMAT
"   AND u.f <= " INT64_FORMAT
"  GROUP BY c) x ORDER BY 1, 2";

/* Keeps a range; they come sorted by column and position, not overlapping. */
static void
RangeVisit(VerifyRun *run, const char *const *values, void *arg)
{
	RangesVisit *visit = arg;
	RowReader  *reader = visit->reader;
	ErasureRange *range;

	if (reader->nerasures == visit->size)
	{
		visit->size *= 2;
		reader->erasures = repalloc_huge(reader->erasures,
										 sizeof(ErasureRange) * visit->size);
	}
	range = &reader->erasures[reader->nerasures++];
	range->column = atoi(values[0]);
	range->first = strtoll(values[1], NULL, 10);
	range->last = strtoll(values[2], NULL, 10);
}

/* Reads the receipts of the unit's lane. */
static void
RangesRead(RowReader *reader, const VerifyUnit *unit)
{
	RangesVisit visit = {.reader = reader,.size = 16};
	pg_uuid_t	ledger_id;
	char	   *id;

	reader->nerasures = 0;
	reader->erasures = MemoryContextAlloc(reader->unit_context,
										  sizeof(ErasureRange) * visit.size);
	if (!OidIsValid(get_relname_relid("erase_receipt",
									  get_namespace_oid(LLM_AUDIT_SCHEMA,
														true))))
		return;
	memcpy(ledger_id.data, reader->seg->ledger_id, LEDGER_ID_SIZE);
	id = DatumGetCString(DirectFunctionCall1(uuid_out,
											 UUIDPGetDatum(&ledger_id)));
	VerifyQuery(NULL, psprintf(ranges_sql, id, reader->seg->number, unit->lane,
							   unit->first, unit->last), RangeVisit, &visit);
}

/* True if a receipt covers the column at the position. */
static bool
RangesCover(const RowReader *reader, int column, int64 seq)
{
	int			low = 0;
	int			high = reader->nerasures - 1;

	while (low <= high)
	{
		int			middle = low + (high - low) / 2;
		const ErasureRange *range = &reader->erasures[middle];

		if (range->column < column ||
			(range->column == column && range->last < seq))
			low = middle + 1;
		else if (range->column > column || range->first > seq)
			high = middle - 1;
		else
			return true;
	}
	return false;
}

/* The name of the column with this number. */
static const char *
ColumnName(const Segment *seg, int number)
{
	for (int i = 0; i < seg->ncolumns; i++)
	{
		if (seg->columns[i].number == number)
			return NameStr(seg->columns[i].name);
	}
	return "unknown";
}

static const char *const segments_sql =
"SELECT DISTINCT c.oid, e.segment FROM llm_audit.erase_receipt e"
" JOIN llm_audit.ledger l USING (ledger_id)"
" JOIN pg_catalog.pg_namespace n ON n.nspname = l.schema_name"
" JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid"
"  AND c.relname = l.relation_name"
" WHERE e.stage = 'erased'";

/* Visitor of segments_sql. */
static void
SegmentVisit(VerifyRun *run, const char *const *values, void *arg)
{
	int			segment = PurgedSegment(run,
										(Oid) strtoul(values[0], NULL, 10),
										(uint32) strtoul(values[1], NULL, 10));

	if (segment >= 0)
		run->segments[segment].has_receipts = true;
}

void
ErasedRead(VerifyRun *run)
{
	if (OidIsValid(get_relname_relid("erase_receipt",
									 get_namespace_oid(LLM_AUDIT_SCHEMA,
													   true))))
		VerifyQuery(run, segments_sql, SegmentVisit, NULL);
}

bool
ErasedMatters(const RowReader *reader)
{
	return RowHasErased(reader) || (reader->vseg->has_receipts &&
									!reader->nulls[reader->seg->attrs.salt - 1]);
}

/* The groups of the row's erased or salt column. */
static const uint8 *
GroupsOf(const RowReader *reader, AttrNumber attnum, size_t *size)
{
	const struct varlena *groups;

	*size = 0;
	if (reader->nulls[attnum - 1])
		return NULL;
	groups = (const struct varlena *)
		DatumGetPointer(reader->values[attnum - 1]);
	*size = VARSIZE_ANY_EXHDR(groups);
	return (const uint8 *) VARDATA_ANY(groups);
}

/* Values that are there although a receipt says that they are not. */
static void
ReturnedCheck(RowReader *reader, const RowFacts *facts)
{
	size_t		size;
	const uint8 *groups = GroupsOf(reader, reader->seg->attrs.salt, &size);

	for (size_t at = 0; at + 2 + SALT_SIZE <= size; at += 2 + SALT_SIZE)
	{
		int			number = GetU16(groups + at);

		if (RangesCover(reader, number, facts->seq))
			RowReport(reader, facts, FINDING_ROW_ALTERED,
					  "column \"%s\" was erased, but its value is there again",
					  ColumnName(reader->seg, number));
	}
}

/*
 * The row has been hashed, or it has been reported that it cannot be; its
 * salt and erased columns are in memory in the first case.
 */
void
ErasedCheck(RowReader *reader, const VerifyUnit *unit, const RowFacts *facts)
{
	const uint8 *groups;
	size_t		size;

	if (!facts->matches)
		return;
	if (reader->erasures == NULL)
		RangesRead(reader, unit);
	if (reader->nerasures > 0)
		ReturnedCheck(reader, facts);
	groups = GroupsOf(reader, reader->seg->attrs.erased, &size);
	if (groups != NULL && size == 0)
		RowReport(reader, facts, FINDING_ERASED_WITHOUT_EVENT,
				  "a column was erased and no event says so");
	for (size_t at = 0; at + 2 + SHA256_SIZE <= size; at += 2 + SHA256_SIZE)
	{
		int			number = GetU16(groups + at);

		if (!RangesCover(reader, number, facts->seq))
			RowReport(reader, facts, FINDING_ERASED_WITHOUT_EVENT,
					  "column \"%s\" was erased and no event says so",
					  ColumnName(reader->seg, number));
	}
}
