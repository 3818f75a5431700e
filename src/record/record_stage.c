/*
 * record_stage.c
 *	  Inserting rows that are in memory by one ordinary INSERT.
 *
 * INSERT ... SELECT ... FROM llm_audit.record_rows() goes through privileges,
 * row-level security, routing and triggers like any other insert, at the cost
 * of one executor run for many rows.  The function hands over what was staged
 * by this backend for the statement that runs it, and nothing to anybody
 * else.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "llm_audit.h"
#include "miscadmin.h"
#include "policy/policy.h"
#include "record/record.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(llm_audit_record_rows);

typedef struct Stage
{
	Target	   *target;
	TypedRow  **rows;
	int			count;
} Stage;

static Stage *staged = NULL;

/*
 * llm_audit.record_rows() -> setof record
 *		The staged rows.  Errors: 55000 unless called by the statement that
 *		StageInsert runs.
 */
Datum
llm_audit_record_rows(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Tuplestorestate *store;
	MemoryContext old;
	Stage	   *stage = staged;

	staged = NULL;
	if (stage == NULL || rsinfo == NULL || !IsA(rsinfo, ReturnSetInfo) ||
		!(rsinfo->allowedModes & SFRM_Materialize) ||
		rsinfo->expectedDesc == NULL ||
		rsinfo->expectedDesc->natts != stage->target->ninsert)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("function \"%s\" has no rows to return",
						"llm_audit.record_rows"),
				 errhint("It is part of llm_audit.record_calls().")));

	old = MemoryContextSwitchTo(rsinfo->econtext->ecxt_per_query_memory);
	/* in memory, where the rows are: not masked yet, they must not spill */
	store = tuplestore_begin_heap(false, false, MAX_KILOBYTES);
	for (int i = 0; i < stage->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		tuplestore_putvalues(store, stage->target->desc,
							 stage->rows[i]->values, stage->rows[i]->nulls);
	}
	rsinfo->returnMode = SFRM_Materialize;
	rsinfo->setResult = store;
	rsinfo->setDesc = CreateTupleDescCopy(stage->target->desc);
	MemoryContextSwitchTo(old);
	return (Datum) 0;
}

/* The text of the target's INSERT. */
static char *
InsertText(const Target *target, bool on_conflict)
{
	StringInfoData columns;
	StringInfoData types;
	StringInfoData sql;

	initStringInfo(&columns);
	initStringInfo(&types);
	for (int i = 0; i < target->ninsert; i++)
	{
		Form_pg_attribute att = TupleDescAttr(target->desc, i);
		const char *name = quote_identifier(NameStr(att->attname));
		const char *separator = i > 0 ? ", " : "";

		appendStringInfo(&columns, "%s%s", separator, name);
		appendStringInfo(&types, "%s%s %s", separator, name,
						 format_type_extended(att->atttypid, att->atttypmod,
											  FORMAT_TYPE_TYPEMOD_GIVEN |
											  FORMAT_TYPE_FORCE_QUALIFY));
	}
	initStringInfo(&sql);
	appendStringInfo(&sql,
					 "INSERT INTO llm_audit.%s (%s) SELECT %s FROM llm_audit.record_rows() AS r (%s)%s",
					 quote_identifier(target->schema.ledger), columns.data,
					 columns.data, types.data,
					 on_conflict ? " ON CONFLICT DO NOTHING" : "");
	return sql.data;
}

/* The prepared statement, kept with the target. */
static SPIPlanPtr
InsertPlan(Target *target, bool on_conflict)
{
	SPIPlanPtr	plan = target->plans[on_conflict];

	if (plan == NULL)
	{
		plan = SPI_prepare(InsertText(target, on_conflict), 0, NULL);
		if (plan == NULL)
			elog(ERROR, "SPI_prepare failed: %s",
				 SPI_result_code_string(SPI_result));
		SPI_keepplan(plan);
		target->plans[on_conflict] = plan;
	}
	return plan;
}

/* Runs the statement while its rows are staged. */
static int
RunStaged(Stage *stage, SPIPlanPtr plan)
{
	volatile int result = 0;

	bool		outer = PolicyTakesInputDigest;

	staged = stage;
	PolicyTakesInputDigest = true;
	PG_TRY();
	{
		result = SPI_execute_plan(plan, NULL, NULL, false, 0);
	}
	PG_FINALLY();
	{
		staged = NULL;
		PolicyTakesInputDigest = outer;
	}
	PG_END_TRY();
	return result;
}

void
StageInsert(Target *target, TypedRow **rows, int count, bool on_conflict)
{
	Stage		stage;
	int			result;

	if (count == 0)
		return;
	stage.target = target;
	stage.rows = rows;
	stage.count = count;
	result = RunStaged(&stage, InsertPlan(target, on_conflict));
	if (result != SPI_OK_INSERT)
		elog(ERROR, "SPI_execute_plan failed: %s",
			 SPI_result_code_string(result));
}
