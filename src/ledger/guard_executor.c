/*
 * guard_executor.c
 *	  Executor hooks: which statements are running, and an early refusal.
 *
 * Every statement that may change rows has a frame while it is in
 * ExecutorRun or ExecutorFinish; so the innermost frame is the statement
 * that fires a trigger, also below nested SPI and beside suspended portals.
 * Frames are on the C stack and are popped on error too.  Statements that
 * only read have none: they cost a comparison.
 *
 * When a statement that writes to a ledger fails, what PostgreSQL says of
 * constraints and of values that do not fit their type is thrown on without
 * the values, so that no client, no exception block and no log has them.
 */
#include "postgres.h"

#include "compat.h"
#include "executor/executor.h"
#include "ledger/guard.h"
#include "nodes/execnodes.h"
#include "nodes/plannodes.h"
#include "parser/parsetree.h"
#include "policy/policy.h"

static ExecutorStart_hook_type prev_ExecutorStart = NULL;
static ExecutorRun_hook_type prev_ExecutorRun = NULL;
static ExecutorFinish_hook_type prev_ExecutorFinish = NULL;

static GuardFrame *innermost = NULL;

int
GuardDepth(void)
{
	return innermost ? innermost->depth : 0;
}

void
GuardPush(GuardFrame *frame)
{
	frame->outer = innermost;
	frame->depth = GuardDepth() + 1;
	frame->context = CurrentMemoryContext;
	innermost = frame;
}

void
GuardPop(GuardFrame *frame)
{
	innermost = frame->outer;
}

void
GuardThrowOn(bool on_ledger, MemoryContext context)
{
	ErrorData  *error;

	if (!on_ledger || !PolicyMayQuote(geterrcode()))
		PG_RE_THROW();
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	PolicyWithhold(error);
	ReThrowError(error);
}

void
GuardFail(GuardFrame *frame)
{
	GuardPop(frame);
	GuardThrowOn(frame->on_ledger, frame->context);
}

const GuardFrame *
GuardUtilityFrame(void)
{
	const GuardFrame *frame = innermost;

	while (frame != NULL && !frame->is_utility)
		frame = frame->outer;
	return frame;
}

bool
StatementStoresEveryRow(void)
{
	return innermost != NULL && innermost->stores_every_row;
}

/* The compiled form of a check that always passes. */
static Datum
CheckPasses(ExprState *expression, ExprContext *econtext, bool *isNull)
{
	*isNull = false;
	return BoolGetDatum(true);
}

/*
 * The executor checks a row that it has routed against the partition's bounds
 * again if there is a BEFORE trigger.  Preparing that check costs a tenth of
 * a statement that inserts one row, so it is given one that is ready.  Not
 * where it has its own already: for a default partition routing itself needs
 * it, since a new partition may have been attached meanwhile.
 */
void
StatementSkipsPartitionCheck(Relation leaf)
{
	static ExprState passes = {.type = T_ExprState,.evalfunc = CheckPasses};
	ListCell   *lc;

	if (innermost == NULL || innermost->estate == NULL)
		return;
	foreach(lc, innermost->estate->es_tuple_routing_result_relations)
	{
		ResultRelInfo *info = lfirst(lc);

		if (info->ri_RelationDesc == leaf &&
			info->ri_PartitionCheckExpr == NULL)
			info->ri_PartitionCheckExpr = &passes;
	}
}

/* Prepares the checks of those of the relations that are the leaf. */
static void
PrepareChecksIn(List *infos, Relation leaf)
{
	ListCell   *lc;

	foreach(lc, infos)
	{
		ResultRelInfo *info = lfirst(lc);

		if (info->ri_RelationDesc == leaf)
			ConstraintsPrepare(info, innermost->estate);
	}
}

void
StatementPreparesChecks(Relation leaf)
{
	if (innermost == NULL || innermost->estate == NULL)
		return;
	PrepareChecksIn(innermost->estate->es_tuple_routing_result_relations,
					leaf);
	PrepareChecksIn(innermost->estate->es_opened_result_relations, leaf);
}

/* True if the plan changes rows anywhere. */
static bool
PlanModifies(const PlannedStmt *stmt)
{
	return stmt->commandType != CMD_UTILITY &&
		(stmt->commandType != CMD_SELECT || stmt->hasModifyingCTE);
}

typedef void (*ModifyVisitor) (const PlannedStmt *stmt,
							   const ModifyTable *node, void *arg);

/*
 * Calls visit for every ModifyTable of a plan.  There is one at the top of
 * the main plan and one at the top of each modifying CTE, nowhere else.
 */
static void
VisitModifyTables(const PlannedStmt *stmt, ModifyVisitor visit, void *arg)
{
	ListCell   *lc;

	if (stmt->planTree != NULL && IsA(stmt->planTree, ModifyTable))
		visit(stmt, (const ModifyTable *) stmt->planTree, arg);
	if (!stmt->hasModifyingCTE)
		return;
	foreach(lc, stmt->subplans)
	{
		Plan	   *plan = lfirst(lc);

		if (plan != NULL && IsA(plan, ModifyTable))
			visit(stmt, (const ModifyTable *) plan, arg);
	}
}

/*
 * Visitor: an ON CONFLICT clause may drop rows after the trigger; the table
 * may be a ledger.
 */
static void
NoteStatement(const PlannedStmt *stmt, const ModifyTable *node, void *arg)
{
	GuardFrame *frame = arg;

	if (node->onConflictAction != ONCONFLICT_NONE)
		frame->stores_every_row = false;
	if (GuardIsLedger(rt_fetch(node->nominalRelation, stmt->rtable)->relid))
		frame->on_ledger = true;
}

/* The action that a ModifyTable is, or -1 if it only inserts. */
static int
ActionOf(const ModifyTable *node)
{
	switch (node->operation)
	{
		case CMD_UPDATE:
			return GUARD_UPDATE;
		case CMD_DELETE:
			return GUARD_DELETE;
		case CMD_MERGE:
			return GUARD_MERGE;
		default:
			return node->onConflictAction == ONCONFLICT_UPDATE ?
				GUARD_UPSERT : -1;
	}
}

/* True if the permit in force is for this kind of statement. */
static bool
ActionPermitted(GuardAction action)
{
	PermitKind	kind = PermitCurrent();

	return (action == GUARD_DELETE && kind == PERMIT_PURGE) ||
		(action == GUARD_UPDATE && kind == PERMIT_ERASE);
}

/* Visitor: refuses a change of a ledger, even if it would touch no row. */
static void
RefuseChange(const PlannedStmt *stmt, const ModifyTable *node, void *arg)
{
	int			action = ActionOf(node);
	ListCell   *lc;
	Oid			relid;

	if (action < 0 || ActionPermitted((GuardAction) action))
		return;
	relid = rt_fetch(node->nominalRelation, stmt->rtable)->relid;
	if (GuardIsLedger(relid))
		RefuseRelation((GuardAction) action, relid, NULL);
	foreach(lc, node->resultRelations)
	{
		relid = rt_fetch(lfirst_int(lc), stmt->rtable)->relid;
		if (GuardIsLedger(relid))
			RefuseRelation((GuardAction) action, relid, NULL);
	}
}

/* Refuses a statement that changes a ledger, before anything of it runs. */
static void
CheckStatement(const PlannedStmt *stmt)
{
	GuardFrame	frame = {0};

	/* a permit is counted as it will be when the statement runs */
	GuardPush(&frame);
	PG_TRY();
	{
		VisitModifyTables(stmt, RefuseChange, NULL);
	}
	PG_FINALLY();
	{
		GuardPop(&frame);
	}
	PG_END_TRY();
}

/* EXPLAIN without ANALYZE changes nothing and may show the plan. */
static void
GuardExecutorStart(QueryDesc *queryDesc, int eflags)
{
	if (PlanModifies(queryDesc->plannedstmt) &&
		(eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0 && GuardInForce())
		CheckStatement(queryDesc->plannedstmt);

	if (prev_ExecutorStart)
		prev_ExecutorStart(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
}

/* Pushes the frame of a statement that changes rows. */
static void
PushStatement(GuardFrame *frame, const QueryDesc *queryDesc)
{
	memset(frame, 0, sizeof(*frame));
	frame->stores_every_row = true;
	frame->estate = queryDesc->estate;
	VisitModifyTables(queryDesc->plannedstmt, NoteStatement, frame);
	if (frame->on_ledger)
		PolicyStatementIsOnLedger();
	GuardPush(frame);
}

static void
CallExecutorRun(EXECUTOR_RUN_PARAMS)
{
	if (prev_ExecutorRun)
		prev_ExecutorRun(EXECUTOR_RUN_ARGS);
	else
		standard_ExecutorRun(EXECUTOR_RUN_ARGS);
}

/* Keeps the frame of a statement that changes rows while it runs. */
static void
GuardExecutorRun(EXECUTOR_RUN_PARAMS)
{
	GuardFrame	frame;

	if (!PlanModifies(queryDesc->plannedstmt))
	{
		CallExecutorRun(EXECUTOR_RUN_ARGS);
		return;
	}
	PushStatement(&frame, queryDesc);
	PG_TRY();
	{
		CallExecutorRun(EXECUTOR_RUN_ARGS);
	}
	PG_CATCH();
	{
		GuardFail(&frame);
	}
	PG_END_TRY();
	GuardPop(&frame);
}

/* Match tokens of rows that ON CONFLICT may have dropped: now it is known. */
static void
SettleTokens(const GuardFrame *frame)
{
	if (frame->stores_every_row || !PolicyTokensWait())
		return;
	ChainResolvePending();
	PolicySettleTokens();
}

static void
CallExecutorFinish(QueryDesc *queryDesc)
{
	if (prev_ExecutorFinish)
		prev_ExecutorFinish(queryDesc);
	else
		standard_ExecutorFinish(queryDesc);
}

/* The same for modifying CTEs that finish here, and AFTER triggers. */
static void
GuardExecutorFinish(QueryDesc *queryDesc)
{
	GuardFrame	frame;

	if (!PlanModifies(queryDesc->plannedstmt))
	{
		CallExecutorFinish(queryDesc);
		return;
	}
	PushStatement(&frame, queryDesc);
	PG_TRY();
	{
		CallExecutorFinish(queryDesc);
		SettleTokens(&frame);
	}
	PG_CATCH();
	{
		GuardFail(&frame);
	}
	PG_END_TRY();
	GuardPop(&frame);
}

void
GuardExecutorInit(void)
{
	prev_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = GuardExecutorStart;
	prev_ExecutorRun = ExecutorRun_hook;
	ExecutorRun_hook = GuardExecutorRun;
	prev_ExecutorFinish = ExecutorFinish_hook;
	ExecutorFinish_hook = GuardExecutorFinish;
	ConstraintInit();
}
