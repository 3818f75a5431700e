/*
 * verify_generated.c
 *	  Generated columns: computed again and compared.
 *
 * They are not hashed, since what they hold follows from what is.  The
 * leader computes them outside any parallel phase, because an expression may
 * call functions of the table's former owner; they run as the table's owner,
 * who has no power, in a security-restricted operation.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "executor/executor.h"
#include "ledger/verify.h"
#include "miscadmin.h"
#include "rewrite/rewriteHandler.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/rel.h"

/* Rows between two calls of the sink. */
#define TELL_ROWS	1024

typedef struct GeneratedColumn
{
	AttrNumber	attnum;
	bool		byval;
	int16		len;
	const char *name;
	ExprState  *expression;
} GeneratedColumn;

typedef struct GeneratedScan
{
	VerifyRun  *run;
	int			segment;
	RowReader	reader;
	EState	   *estate;
	int			ncolumns;
	GeneratedColumn *columns;
} GeneratedScan;

/* True if the leaf has a stored generated column. */
static bool
HasGenerated(TupleDesc desc)
{
	return desc->constr != NULL && desc->constr->has_generated_stored;
}

/* Prepares the expressions of the leaf's generated columns. */
static void
ColumnsPrepare(GeneratedScan *scan)
{
	TupleDesc	desc = RelationGetDescr(scan->reader.leaf);

	scan->columns = palloc0(sizeof(GeneratedColumn) * desc->natts);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		GeneratedColumn *column = &scan->columns[scan->ncolumns];
		Node	   *expression;

		if (att->attisdropped ||
			att->attgenerated != ATTRIBUTE_GENERATED_STORED)
			continue;
		expression = build_column_default(scan->reader.leaf, i + 1);
		if (expression == NULL)
			elog(ERROR, "no generation expression for a column");
		column->attnum = i + 1;
		column->byval = att->attbyval;
		column->len = att->attlen;
		column->name = NameStr(att->attname);
		column->expression = ExecPrepareExpr((Expr *) expression,
											 scan->estate);
		scan->ncolumns++;
	}
}

/* Computes the columns of the row in the slot; reports those that differ. */
static void
RowCompute(GeneratedScan *scan, TupleTableSlot *slot)
{
	ExprContext *context = GetPerTupleExprContext(scan->estate);
	RowFacts	facts;

	RowReadFacts(&scan->reader, true, &facts);
	if (!facts.readable || !facts.in_range)
		return;
	slot_getallattrs(slot);
	context->ecxt_scantuple = slot;
	for (int i = 0; i < scan->ncolumns; i++)
	{
		const GeneratedColumn *column = &scan->columns[i];
		bool		isnull;
		Datum		value = ExecEvalExprSwitchContext(column->expression,
													  context, &isnull);
		bool		stored_null = slot->tts_isnull[column->attnum - 1];

		if (isnull != stored_null ||
			(!isnull && !datum_image_eq(value,
										slot->tts_values[column->attnum - 1],
										column->byval, column->len)))
			RowReport(&scan->reader, &facts, FINDING_ROW_ALTERED,
					  "generated column \"%s\" is not what its expression gives",
					  column->name);
	}
	ResetExprContext(context);
}

/* Computes the columns of all rows that the run's snapshot sees. */
static void
RowsCompute(GeneratedScan *scan)
{
	RowReader  *reader = &scan->reader;
	TableScanDesc rows = table_beginscan(reader->leaf,
										 scan->run->job.snapshot, 0, NULL);
	uint64		visited = 0;

	while (table_scan_getnextslot(rows, ForwardScanDirection, reader->slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (++visited % TELL_ROWS == 0)
			reader->sink->rows(reader->sink, 0);
		RowCompute(scan, reader->slot);
	}
	table_endscan(rows);
}

/* What VerifyAttempt runs: all generated columns of one segment. */
static void
GeneratedWork(void *arg)
{
	GeneratedScan *scan = arg;
	VerifyRun  *run = scan->run;
	Oid			user;
	int			security;
	int			nest;

	if (!RowReaderOpen(&scan->reader, &run->job,
					   &run->segments[scan->segment], &run->own.sink))
		return;
	if (HasGenerated(RelationGetDescr(scan->reader.leaf)))
	{
		GetUserIdAndSecContext(&user, &security);
		SetUserIdAndSecContext(scan->reader.leaf->rd_rel->relowner,
							   security | SECURITY_RESTRICTED_OPERATION);
		nest = NewGUCNestLevel();
		(void) set_config_option("search_path", "pg_catalog, pg_temp",
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
		scan->estate = CreateExecutorState();
		ColumnsPrepare(scan);
		RowsCompute(scan);
		FreeExecutorState(scan->estate);
		AtEOXact_GUC(false, nest);
		SetUserIdAndSecContext(user, security);
	}
	RowReaderClose(&scan->reader);
}

/*
 * Computes generated columns again where there are any.  Segments with
 * damaged rows are left out, as the executor would not survive them; what is
 * wrong there has been reported.
 */
void
VerifyGenerated(VerifyRun *run)
{
	for (int i = 0; i < run->job.nsegments; i++)
	{
		GeneratedScan scan = {.run = run,.segment = i};
		const char *why;

		CHECK_FOR_INTERRUPTS();
		if (run->accounts[i].unread || run->accounts[i].damaged)
			continue;
		why = VerifyAttempt(GeneratedWork, &scan);
		if (why != NULL)
		{
			UnitSourceReset(&run->own);
			RunReportObject(run, FINDING_CATALOG_DRIFT, run->segments[i].root,
							run->segments[i].number,
							"generated columns were not verified: %s", why);
		}
		UnitSourceCommit(&run->own, -1);
	}
}
