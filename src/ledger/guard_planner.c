/*
 * guard_planner.c
 *	  Planner hook: what fails while a statement on a ledger is planned.
 *
 * The planner evaluates constants, parameters among them: a value that does
 * not fit its type may be quoted there, before any executor has started, and
 * the statement that the client sent (EXECUTE) need not name the ledger.
 */
#include "postgres.h"

#include "ledger/guard.h"
#include "nodes/parsenodes.h"
#include "optimizer/planner.h"
#include "policy/policy.h"

static planner_hook_type prev_planner = NULL;

/* True if the query, or a part of it, reads or writes a ledger. */
static bool
QueryIsOnLedger(const Query *query)
{
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);

		if (rte->rtekind == RTE_SUBQUERY ? QueryIsOnLedger(rte->subquery) :
			(rte->rtekind == RTE_RELATION && GuardIsLedger(rte->relid)))
			return true;
	}
	foreach(lc, query->cteList)
	{
		CommonTableExpr *cte = lfirst(lc);

		if (IsA(cte->ctequery, Query) &&
			QueryIsOnLedger((Query *) cte->ctequery))
			return true;
	}
	return false;
}

static PlannedStmt *
CallPlanner(Query *parse, const char *query_string, int cursorOptions,
			ParamListInfo boundParams)
{
	if (prev_planner)
		return prev_planner(parse, query_string, cursorOptions, boundParams);
	return standard_planner(parse, query_string, cursorOptions, boundParams);
}

/* The hook: takes the values out of what the planner says of them. */
static PlannedStmt *
GuardPlanner(Query *parse, const char *query_string, int cursorOptions,
			 ParamListInfo boundParams)
{
	MemoryContext context = CurrentMemoryContext;
	PlannedStmt *result;

	if (!QueryIsOnLedger(parse))
		return CallPlanner(parse, query_string, cursorOptions, boundParams);
	PolicyStatementIsOnLedger();
	PG_TRY();
	{
		result = CallPlanner(parse, query_string, cursorOptions, boundParams);
	}
	PG_CATCH();
	{
		GuardThrowOn(true, context);
	}
	PG_END_TRY();
	return result;
}

void
GuardPlannerInit(void)
{
	prev_planner = planner_hook;
	planner_hook = GuardPlanner;
}
