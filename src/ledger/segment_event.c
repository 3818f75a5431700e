/*
 * segment_event.c
 *	  The door through which rows come into segment_event.
 *
 * What became of a segment explains to verify why rows are not there, and to
 * purge that none can come any more.  So nobody says it: each function here
 * writes what the registry, the segment's rows and the receipts of purges tell
 * at that moment.  Who calls holds the locks (sql/41_segments.sql,
 * sql/92_purge.sql).
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "ledger/ledger.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(llm_audit_append_created);
PG_FUNCTION_INFO_V1(llm_audit_append_closed);
PG_FUNCTION_INFO_V1(llm_audit_append_purged);

/* The columns that every event has, and where they come from. */
#define EVENT_COLUMNS \
	"environment, event, ledger, ledger_id, segment, leaf, lower, upper," \
	" is_default, actor"
#define EVENT_VALUES \
	"coalesce(nullif(s.environment, ''), (SELECT coalesce(min(name)" \
	" FILTER (WHERE name = 'prod'), min(name)) FROM llm_audit.environment)), " \
	"%s, format('%%I.%%I', l.schema_name, l.relation_name), l.ledger_id," \
	" s.segment, format('%%I.%%I', s.schema_name, s.relation_name), s.lower," \
	" s.upper, s.is_default, session_user"
#define EVENT_SOURCE \
	" FROM llm_audit.ledger_segment s JOIN llm_audit.ledger l USING (ledger_id)"

/* What a closed segment holds, lane by lane; %s: its table, twice. */
#define CLOSED_LANES \
	"WITH lane AS (SELECT chain_lane, count(*) AS n, min(chain_seq) AS first_seq," \
	" llm_audit.sha256_agg(row_hash ORDER BY chain_seq) AS digest," \
	" max(chain_seq) AS last_seq, max(retain_until) AS retained," \
	" bool_or(retain_until IS NULL) AS forever FROM ONLY %s GROUP BY chain_lane)," \
	" ends AS (SELECT coalesce(sum(lane.n), 0)::int8 AS row_count," \
	" CASE WHEN bool_or(lane.forever) THEN NULL ELSE max(lane.retained) END AS retained," \
	" coalesce(array_agg(lane.chain_lane ORDER BY lane.chain_lane), '{}') AS lanes," \
	" coalesce(array_agg(lane.first_seq ORDER BY lane.chain_lane), '{}') AS firsts," \
	" coalesce(array_agg(lane.last_seq ORDER BY lane.chain_lane), '{}') AS lasts," \
	" coalesce(array_agg(r.row_hash ORDER BY lane.chain_lane), '{}') AS hashes," \
	" coalesce(array_agg(lane.digest ORDER BY lane.chain_lane), '{}') AS digests" \
	" FROM lane JOIN ONLY %s r ON r.chain_lane = lane.chain_lane" \
	" AND r.chain_seq = lane.last_seq)"

/* Data classes that occur; %s: the table. */
#define CLOSED_CLASSES \
	"(SELECT array_agg(DISTINCT data_class ORDER BY data_class) FROM ONLY %s" \
	" WHERE data_class IN ('public', 'internal', 'personal', 'banking_secrecy'))"

/* Rows that receipts say were purged, less those of events: int8. */
#define PURGED_SINCE \
	"(coalesce((SELECT sum(r.row_count) FROM llm_audit.purge_receipt r" \
	" WHERE r.ledger_id = s.ledger_id AND r.segment = s.segment), 0)" \
	" - coalesce((SELECT sum(e.row_count) FROM llm_audit.segment_event e" \
	" WHERE e.ledger_id = s.ledger_id AND e.segment = s.segment" \
	" AND e.event IN ('rows_purged', 'purged')), 0))::int8"

static void
RequireSuperuser(const char *function)
{
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function %s", function)));
}

/* schema.name of a leaf, quoted. */
static char *
LeafName(Oid leaf)
{
	char	   *name = get_rel_name(leaf);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", leaf)));
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(leaf)),
									  name);
}

/* Appends the condition that row s of the registry is that of the leaf. */
static void
AppendIsLeaf(StringInfo sql, Oid leaf)
{
	appendStringInfo(sql, " WHERE s.schema_name = %s AND s.relation_name = %s",
					 quote_literal_cstr(get_namespace_name(get_rel_namespace(leaf))),
					 quote_literal_cstr(get_rel_name(leaf)));
}

/* Runs a statement; returns how many rows it concerned. */
static uint64
Run(PermitKind kind, const char *sql)
{
	int			rc = PermitRun(kind, sql);

	if (rc < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(rc));
	return SPI_processed;
}

/*
 * llm_audit.append_created(ledger_id uuid, segment int) -> void
 *		Records that a segment was made, as the registry has it.
 */
Datum
llm_audit_append_created(PG_FUNCTION_ARGS)
{
	StringInfoData sql;
	char	   *id = DatumGetCString(DirectFunctionCall1(uuid_out,
														 PG_GETARG_DATUM(0)));

	RequireSuperuser("append_created");
	initStringInfo(&sql);
	appendStringInfo(&sql, "INSERT INTO llm_audit.segment_event (" EVENT_COLUMNS
					 ") SELECT " EVENT_VALUES EVENT_SOURCE, "'created'");
	appendStringInfo(&sql, " WHERE s.ledger_id = %s AND s.segment = %d",
					 quote_literal_cstr(id), PG_GETARG_INT32(1));
	SPI_connect();
	(void) Run(PERMIT_SEGMENT_EVENT, sql.data);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * llm_audit.append_closed(leaf regclass) -> boolean
 *		Closes an open segment that has ended and records what it holds;
 *		false if it is no such segment.  Locks it against writers.
 */
Datum
llm_audit_append_closed(PG_FUNCTION_ARGS)
{
	Oid			leaf = PG_GETARG_OID(0);
	char	   *name = LeafName(leaf);
	const Segment *seg;
	StringInfoData sql;
	uint64		closed;

	RequireSuperuser("append_closed");
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("segments can be closed in a READ COMMITTED transaction only"),
				 errhint("Rows committed since its snapshot was taken would be overlooked.")));
	SPI_connect();
	(void) Run(PERMIT_NONE, psprintf("LOCK TABLE ONLY %s IN SHARE MODE", name));
	seg = SegmentLookup(leaf);
	if (seg == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not a ledger segment", name)));
	initStringInfo(&sql);
	appendStringInfo(&sql, CLOSED_LANES, name, name);
	appendStringInfoString(&sql, " INSERT INTO llm_audit.segment_event ("
						   EVENT_COLUMNS ", row_count, max_retain_until,"
						   " data_classes, lanes, first_seqs, last_seqs,"
						   " last_hashes, lane_digests) SELECT ");
	appendStringInfo(&sql, EVENT_VALUES, "'closed'");
	appendStringInfoString(&sql, ", c.row_count, c.retained, ");
	/* an enrolled table may mean something else by a column of that name */
	if (seg->attrs.data_class == InvalidAttrNumber)
		appendStringInfoString(&sql, "NULL::text[]");
	else
		appendStringInfo(&sql, CLOSED_CLASSES, name);
	appendStringInfoString(&sql, ", c.lanes, c.firsts, c.lasts, c.hashes,"
						   " c.digests" EVENT_SOURCE " CROSS JOIN ends c");
	AppendIsLeaf(&sql, leaf);
	appendStringInfo(&sql, " AND s.state = 'open' AND s.upper + interval '%d s'"
					 " <= clock_timestamp()", llm_audit_seal_grace);
	closed = Run(PERMIT_SEGMENT_EVENT, sql.data);
	if (closed > 0)
	{
		resetStringInfo(&sql);
		appendStringInfoString(&sql, "UPDATE llm_audit.ledger_segment s SET"
							   " state = 'closed', closed_at = clock_timestamp()");
		AppendIsLeaf(&sql, leaf);
		(void) Run(PERMIT_NONE, sql.data);
	}
	SPI_finish();
	PG_RETURN_BOOL(closed > 0);
}

/*
 * llm_audit.append_purged(leaf regclass) -> boolean
 *		Records what receipts say was purged of a segment since the last time:
 *		as "purged" if the registry says that this was all, and nothing is
 *		left, else as "rows_purged"; false if there is nothing to record.
 */
Datum
llm_audit_append_purged(PG_FUNCTION_ARGS)
{
	Oid			leaf = PG_GETARG_OID(0);
	char	   *name = LeafName(leaf);
	StringInfoData sql;
	uint64		recorded;

	RequireSuperuser("append_purged");
	initStringInfo(&sql);
	appendStringInfoString(&sql, "INSERT INTO llm_audit.segment_event ("
						   EVENT_COLUMNS ", row_count) SELECT ");
	appendStringInfo(&sql, EVENT_VALUES,
					 "CASE WHEN s.state = 'purged' THEN 'purged' ELSE 'rows_purged' END");
	appendStringInfoString(&sql, ", " PURGED_SINCE EVENT_SOURCE);
	AppendIsLeaf(&sql, leaf);
	appendStringInfo(&sql, " AND CASE WHEN s.state = 'purged'"
					 " THEN NOT EXISTS (SELECT FROM ONLY %s)"
					 " AND NOT EXISTS (SELECT FROM llm_audit.segment_event e"
					 " WHERE e.ledger_id = s.ledger_id AND e.segment = s.segment"
					 " AND e.event = 'purged') ELSE " PURGED_SINCE " > 0 END",
					 name);
	SPI_connect();
	recorded = Run(PERMIT_SEGMENT_EVENT, sql.data);
	SPI_finish();
	PG_RETURN_BOOL(recorded > 0);
}
