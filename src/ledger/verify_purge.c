/*
 * verify_purge.c
 *	  Rows that are not there because they were purged.
 *
 * purge_receipt says which, segment_event how many; both are ledgers that are
 * verified themselves.  What a receipt accounts for is no gap; where events
 * know of more purged rows than receipts do, receipts are missing.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "ledger/verify.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

static const char *const runs_sql =
"SELECT l.schema_name, l.relation_name, r.segment, r.lane, u.first, u.last"
" FROM llm_audit.purge_receipt r JOIN llm_audit.ledger l USING (ledger_id)"
" CROSS JOIN LATERAL unnest(r.first_seqs, r.last_seqs) AS u (first, last)"
" ORDER BY 1, 2, 3, 4, 5";

static const char *const sums_sql =
"SELECT l.schema_name, l.relation_name, s.segment, s.state,"
" coalesce(e.gone, 0), coalesce(r.gone, 0), coalesce(e.closed, 0)"
" FROM llm_audit.ledger_segment s JOIN llm_audit.ledger l USING (ledger_id)"
" LEFT JOIN (SELECT ledger_id, segment,"
"  sum(row_count) FILTER (WHERE event IN ('rows_purged', 'purged')) AS gone,"
"  max(row_count) FILTER (WHERE event = 'closed') AS closed"
"  FROM llm_audit.segment_event GROUP BY 1, 2) e USING (ledger_id, segment)"
" LEFT JOIN (SELECT ledger_id, segment, sum(row_count) AS gone"
"  FROM llm_audit.purge_receipt GROUP BY 1, 2) r USING (ledger_id, segment)"
" WHERE e.gone > 0 OR r.gone > 0 OR s.state = 'purged'";

int
PurgedSegment(const VerifyRun *run, Oid root, uint32 number)
{
	for (int i = 0; i < run->job.nsegments; i++)
	{
		if (run->segments[i].root == root &&
			run->segments[i].number == number)
			return i;
	}
	return -1;
}

/* The ledger of a row of one of our queries. */
static Oid
RootOf(const char *const *values)
{
	Oid			nspid = get_namespace_oid(values[0], true);

	return OidIsValid(nspid) ? get_relname_relid(values[1], nspid) :
		InvalidOid;
}

/* Visitor of runs_sql; arg is the segment of the row before. */
static void
RunVisit(VerifyRun *run, const char *const *values, void *arg)
{
	int		   *last = arg;
	Oid			root = RootOf(values);
	uint32		number = (uint32) atoi(values[2]);
	SegmentAccount *account;
	PurgedRun  *purged;

	if (*last < 0 || run->segments[*last].root != root ||
		run->segments[*last].number != number)
		*last = PurgedSegment(run, root, number);
	if (*last < 0)
		return;
	account = &run->accounts[*last];
	if (account->npurged == account->size_purged)
	{
		account->size_purged = Max(16, 2 * account->size_purged);
		if (account->purged == NULL)
			account->purged = MemoryContextAllocHuge(run->context,
													 account->size_purged *
													 sizeof(PurgedRun));
		else
			account->purged = repalloc_huge(account->purged,
											account->size_purged *
											sizeof(PurgedRun));
	}
	purged = &account->purged[account->npurged++];
	purged->lane = atoi(values[3]);
	purged->first = strtoll(values[4], NULL, 10);
	purged->last = strtoll(values[5], NULL, 10);
}

/* Visitor of sums_sql: do receipts account for all that was purged? */
static void
SumVisit(VerifyRun *run, const char *const *values, void *arg)
{
	Oid			root = RootOf(values);
	int64		number = strtoll(values[2], NULL, 10);
	int64		events = strtoll(values[4], NULL, 10);
	int64		receipts = strtoll(values[5], NULL, 10);
	int64		closed = strtoll(values[6], NULL, 10);
	int			segment = PurgedSegment(run, root, (uint32) number);

	if ((OidIsValid(run->scope.ledger) && run->scope.ledger != root) ||
		(run->scope.has_segment && run->scope.segment != number))
		return;
	if (segment >= 0)
	{
		run->accounts[segment].purged_events = events;
		if (strcmp(values[3], "purged") != 0)
			run->accounts[segment].purged_rows = receipts;
	}
	if (receipts < events ||
		(strcmp(values[3], "purged") == 0 && receipts < closed))
		RunReportObject(run, FINDING_PURGED_WITHOUT_RECEIPT, root, number,
						"receipts account for " INT64_FORMAT " rows of "
						INT64_FORMAT " that were purged",
						receipts, Max(events, closed));
	else if (receipts > events)
		RunReportObject(run, FINDING_CATALOG_DRIFT, root, number,
						"receipts account for " INT64_FORMAT
						" purged rows, but segment_event knows of "
						INT64_FORMAT, receipts, events);
}

void
PurgedRead(VerifyRun *run)
{
	int			last = -1;

	VerifyQuery(run, runs_sql, RunVisit, &last);
	VerifyQuery(run, sums_sql, SumVisit, NULL);
}

FindingKind
PurgedFinding(const SegmentAccount *account)
{
	return account->purged_events > 0 ? FINDING_PURGED_WITHOUT_RECEIPT :
		FINDING_ROW_MISSING;
}

bool
PurgedUncovered(const SegmentAccount *account, int32 lane, int64 *first,
				int64 last, int64 *end)
{
	int			low = 0;
	int			high = account->npurged;

	/* the first run of the lane that reaches *first or lies behind it */
	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		const PurgedRun *purged = &account->purged[middle];

		if (purged->lane < lane ||
			(purged->lane == lane && purged->last < *first))
			low = middle + 1;
		else
			high = middle;
	}
	for (; *first <= last && low < account->npurged &&
		 account->purged[low].lane == lane &&
		 account->purged[low].first <= *first; low++)
		*first = Max(*first, account->purged[low].last + 1);
	if (*first > last)
		return false;
	*end = last;
	if (low < account->npurged && account->purged[low].lane == lane)
		*end = Min(last, account->purged[low].first - 1);
	return true;
}
