/*
 * erase.c
 *	  Erasing values in place: the door, its receipt, and when old row
 *	  versions can be rewritten away.
 *
 * erase_rows() is one statement: an UPDATE that empties columns, whose
 * RETURNING list becomes rows of erase_receipt.  So nothing is erased without
 * a receipt, and no receipt claims more than what was matched.  The guard's
 * row trigger (guard_trigger.c) replaces the salts by commitments and checks
 * each row.
 *
 * No lock but the UPDATE's own: row locks, and RowExclusiveLock on the leaf.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/transam.h"
#include "access/xlog.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "ledger/ledger.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(llm_audit_erase_rows);
PG_FUNCTION_INFO_V1(llm_audit_salt_has_column);
PG_FUNCTION_INFO_V1(llm_audit_own_system_identifier);
PG_FUNCTION_INFO_V1(llm_audit_transaction_settled);

/* Most ranges of positions in one receipt: keeps its row at a sane size. */
#define RECEIPT_RANGES	10000

/* What erase_rows() is asked to do. */
typedef struct EraseRequest
{
	Oid			leaf;
	const Segment *seg;
	char	   *table;			/* quoted, with its schema */
	const LedgerColumn **columns;
	int			ncolumns;
	char	   *condition;		/* SQL about t, the leaf's row */
	char	   *erasure;		/* literals from here on */
	char	   *cause;
	char	   *ticket;
	char	   *basis;
} EraseRequest;

/* The segment's column of that name, or an error. */
static const LedgerColumn *
ColumnByName(const Segment *seg, const char *name)
{
	for (int i = 0; i < seg->ncolumns; i++)
	{
		if (strcmp(NameStr(seg->columns[i].name), name) == 0)
			return &seg->columns[i];
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" of segment \"%s\" is not registered",
					name, get_rel_name(seg->relid))));
}

/* Looks up the columns that are named. */
static void
ReadColumns(EraseRequest *request, ArrayType *names)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(names, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR,
					  &elements, &nulls, &count);
	request->columns = palloc(sizeof(LedgerColumn *) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			request->columns[request->ncolumns++] =
				ColumnByName(request->seg, NameStr(*DatumGetName(elements[i])));
	}
	if (request->ncolumns == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("no columns to erase")));
}

/* An argument as a literal, NULL if it is. */
static char *
LiteralArg(FunctionCallInfo fcinfo, int n)
{
	if (PG_ARGISNULL(n))
		return "NULL";
	return quote_literal_cstr(text_to_cstring(PG_GETARG_TEXT_PP(n)));
}

/*
 * Reads the arguments of erase_rows(); the segment stays valid for the
 * transaction.
 */
static void
ReadRequest(FunctionCallInfo fcinfo, EraseRequest *request)
{
	Datum		uuid;

	memset(request, 0, sizeof(*request));
	for (int i = 0; i <= 4; i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("segment, columns, condition, erasure and cause must not be null")));
	}
	request->leaf = PG_GETARG_OID(0);
	request->seg = SegmentLookup(request->leaf);
	if (request->seg == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("relation with OID %u is not a ledger segment",
						request->leaf)));
	request->table =
		quote_qualified_identifier(get_namespace_name(get_rel_namespace(request->leaf)),
								   get_rel_name(request->leaf));
	ReadColumns(request, PG_GETARG_ARRAYTYPE_P(1));
	request->condition = text_to_cstring(PG_GETARG_TEXT_PP(2));
	uuid = DirectFunctionCall1(uuid_out, PG_GETARG_DATUM(3));
	request->erasure = quote_literal_cstr(DatumGetCString(uuid));
	request->cause = LiteralArg(fcinfo, 4);
	request->ticket = LiteralArg(fcinfo, 5);
	request->basis = LiteralArg(fcinfo, 6);
}

/* The UPDATE; columns that a row hashes plainly keep their values. */
static void
AppendUpdate(StringInfo sql, const EraseRequest *request)
{
	appendStringInfo(sql, "UPDATE ONLY %s AS t SET ", request->table);
	for (int i = 0; i < request->ncolumns; i++)
	{
		const LedgerColumn *col = request->columns[i];
		const char *name = quote_identifier(NameStr(col->name));

		appendStringInfo(sql,
						 "%s%s = CASE WHEN NOT llm_audit.salt_has_column(t.salt, %d) THEN t.%s END",
						 i > 0 ? ", " : "", name, col->number, name);
	}
	appendStringInfo(sql, " WHERE (%s) AND (", request->condition);
	for (int i = 0; i < request->ncolumns; i++)
		appendStringInfo(sql, "%sllm_audit.salt_has_column(t.salt, %d)",
						 i > 0 ? " OR " : "", request->columns[i]->number);
	appendStringInfoString(sql,
						   ") RETURNING t.chain_lane AS lane, t.chain_seq AS seq");
}

/* The columns' numbers or names, as an array literal without quotes. */
static char *
ColumnList(const EraseRequest *request, bool names)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < request->ncolumns; i++)
	{
		const LedgerColumn *col = request->columns[i];

		appendStringInfoString(&list, i > 0 ? ", " : "");
		if (names)
			appendStringInfoString(&list,
								   quote_literal_cstr(NameStr(col->name)));
		else
			appendStringInfo(&list, "%d", col->number);
	}
	return list.data;
}

/* The whole statement: what the UPDATE returns becomes receipts. */
static char *
MakeStatement(const EraseRequest *request)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "WITH emptied AS (");
	AppendUpdate(&sql, request);
	appendStringInfo(&sql,
					 "), island AS ("
					 "SELECT lane, pg_catalog.min(seq) AS f, pg_catalog.max(seq) AS l, pg_catalog.count(*) AS n"
					 " FROM (SELECT lane, seq, seq - pg_catalog.row_number() OVER (PARTITION BY lane ORDER BY seq) AS g FROM emptied) x"
					 " GROUP BY lane, g), numbered AS ("
					 "SELECT *, (pg_catalog.row_number() OVER (ORDER BY lane, f) - 1) / %d AS part FROM island) "
					 "INSERT INTO llm_audit.erase_receipt (environment, erasure_id, stage, cause, ledger, ledger_id,"
					 " segment, leaf, columns, column_names, lanes, first_seqs, last_seqs, row_count,"
					 " transaction_id, system_identifier, ticket, basis, actor) "
					 "SELECT coalesce(nullif(s.environment, ''), (SELECT coalesce(pg_catalog.min(name) FILTER (WHERE name = 'prod'),"
					 " pg_catalog.min(name)) FROM llm_audit.environment)), %s, 'erased', %s,"
					 " pg_catalog.format('%%I.%%I', l.schema_name, l.relation_name), l.ledger_id, s.segment,"
					 " pg_catalog.format('%%I.%%I', s.schema_name, s.relation_name),"
					 " ARRAY[%s]::int4[], ARRAY[%s]::text[], r.lanes, r.firsts, r.lasts, r.n,"
					 " pg_catalog.pg_current_xact_id()::pg_catalog.text::int8, '" INT64_FORMAT "'::int8, %s, %s, session_user"
					 " FROM (SELECT pg_catalog.array_agg(lane ORDER BY lane, f) AS lanes, pg_catalog.array_agg(f ORDER BY lane, f) AS firsts,"
					 " pg_catalog.array_agg(l ORDER BY lane, f) AS lasts, pg_catalog.sum(n) AS n FROM numbered GROUP BY part) r,"
					 " llm_audit.ledger_segment s JOIN llm_audit.ledger l USING (ledger_id)"
					 " WHERE s.schema_name = %s AND s.relation_name = %s RETURNING row_count",
					 RECEIPT_RANGES, request->erasure, request->cause,
					 ColumnList(request, false), ColumnList(request, true),
					 (int64) GetSystemIdentifier(), request->ticket, request->basis,
					 quote_literal_cstr(get_namespace_name(get_rel_namespace(request->leaf))),
					 quote_literal_cstr(get_rel_name(request->leaf)));
	return sql.data;
}

/* The sum of the receipts' row counts. */
static int64
CountRows(void)
{
	int64		rows = 0;

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[i],
										  SPI_tuptable->tupdesc, 1, &isnull);

		rows += isnull ? 0 : DatumGetInt64(value);
	}
	return rows;
}

/*
 * llm_audit.erase_rows(segment regclass, columns name[], condition text,
 *						erasure uuid, cause text, ticket text, basis text)
 *		Empties the columns, where they are erasable, in the segment's rows
 *		that fulfil an SQL condition about t; returns how many rows changed.
 *		The receipt has the erasure's id, its cause, ticket and basis.  For
 *		our own functions, which check who asks and what is held; raises 42501
 *		for anybody but a superuser.
 */
Datum
llm_audit_erase_rows(PG_FUNCTION_ARGS)
{
	EraseRequest request;
	int64		rows;

	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for function %s", "erase_rows")));
	ReadRequest(fcinfo, &request);
	SPI_connect();
	if (PermitRun(PERMIT_ERASE, MakeStatement(&request)) !=
		SPI_OK_INSERT_RETURNING)
		elog(ERROR, "an erasure failed");
	rows = CountRows();
	SPI_finish();
	PG_RETURN_INT64(rows);
}

/*
 * llm_audit.salt_has_column(salt bytea, column_number int)
 *		Whether a row with this salt still has an erasable value in the
 *		column; false for NULL.
 */
Datum
llm_audit_salt_has_column(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_BOOL(false);
	PG_RETURN_BOOL(SaltHasColumn(PG_GETARG_DATUM(0),
								 (uint16) PG_GETARG_INT32(1)));
}

/*
 * llm_audit.own_system_identifier()
 *		Which cluster this is: transactions of others never run here.
 */
Datum
llm_audit_own_system_identifier(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) GetSystemIdentifier());
}

/*
 * llm_audit.transaction_settled(relation regclass, id bigint)
 *		Whether nobody can see the relation any more as it was before the
 *		transaction with this id, so that a rewrite leaves nothing of it.
 */
Datum
llm_audit_transaction_settled(PG_FUNCTION_ARGS)
{
	Relation	rel = table_open(PG_GETARG_OID(0), AccessShareLock);
	uint64		next = U64FromFullTransactionId(ReadNextFullTransactionId());
	TransactionId horizon = GetOldestNonRemovableTransactionId(rel);
	uint64		full = (next & ~(uint64) PG_UINT32_MAX) | horizon;

	table_close(rel, NoLock);
	if (full > next)
		full -= UINT64CONST(1) << 32;	/* of the epoch before */
	PG_RETURN_BOOL((uint64) PG_GETARG_INT64(1) < full);
}
