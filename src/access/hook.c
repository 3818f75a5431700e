/*
 * hook.c
 *	  Executor and utility hooks: every statement that reads, whoever runs it.
 *
 * ExecutorStart decides, because only it knows EXPLAIN, and because no row has
 * been read when it returns; what a guard answers for is recorded when the
 * guard is called.  COPY of a table without the executor is found by the
 * check of permissions, at which COPY holds its lock already.
 *
 * Every statement is counted while it runs, so that the guard's function
 * finds the one that it is part of.
 */
#include "postgres.h"

#include "access/access.h"
#include "access/parallel.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "executor/executor.h"
#include "ledger/guard.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
#include "optimizer/cost.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"
#include "replication/walsender.h"
#include "tcop/cmdtag.h"
#include "tcop/utility.h"
#include "utils/rls.h"

static planner_hook_type prev_planner = NULL;
static ExecutorStart_hook_type prev_ExecutorStart = NULL;
static ExecutorRun_hook_type prev_ExecutorRun = NULL;
static ExecutorFinish_hook_type prev_ExecutorFinish = NULL;
static ExecutorEnd_hook_type prev_ExecutorEnd = NULL;
static ExecutorCheckPerms_hook_type prev_ExecutorCheckPerms = NULL;
static ProcessUtility_hook_type prev_ProcessUtility = NULL;

/* A statement in ExecutorRun; lives on the C stack. */
typedef struct RunFrame
{
	struct RunFrame *outer;
	const QueryDesc *query;
} RunFrame;

/* The utility command that runs, and how deep the executor was then. */
typedef struct UtilityFrame
{
	struct UtilityFrame *outer;
	Node	   *stmt;
	int			depth;
	bool		copy_checked;
	Oid			copied;			/* table of a COPY TO */
	AccessStatement *copy;		/* record of a COPY without the executor */
} UtilityFrame;

static int	run_depth = 0;
static RunFrame *running = NULL;
static UtilityFrame *utility = NULL;

int
ExecutorDepth(void)
{
	return run_depth;
}

AccessStatement *
StatementRunning(void)
{
	for (RunFrame *frame = running; frame != NULL; frame = frame->outer)
	{
		AccessStatement *statement = StatementOf(frame->query);

		if (statement != NULL)
			return statement;
	}
	return NULL;
}

/* ---------------- what kind of statement ---------------- */

/* The command that started a statement at this depth, or NULL. */
static Node *
StartingCommand(void)
{
	return utility != NULL && utility->depth == run_depth ? utility->stmt : NULL;
}

/* True for commands that put the rows of a query somewhere else. */
static bool
TakesRowsOut(const Node *command)
{
	switch (nodeTag(command))
	{
		case T_CopyStmt:
			return !((const CopyStmt *) command)->is_from;
		case T_CreateTableAsStmt:
		case T_RefreshMatViewStmt:
			return true;
		default:
			return false;
	}
}

/* True if what starts now is a part of something that takes rows out. */
static bool
IsPartOfExport(void)
{
	for (UtilityFrame *frame = utility; frame != NULL; frame = frame->outer)
	{
		if (TakesRowsOut(frame->stmt))
			return true;
	}
	for (RunFrame *frame = running; frame != NULL; frame = frame->outer)
	{
		if (frame->query->operation != CMD_SELECT)
			return true;
	}
	return false;
}

/* What the statement is called, and whether its rows go out in bulk. */
static const char *
CommandOf(const QueryDesc *query, bool *exported)
{
	Node	   *command = StartingCommand();

	*exported = true;
	switch (command == NULL ? T_Invalid : nodeTag(command))
	{
		case T_CopyStmt:
			return "COPY TO";
		case T_CreateTableAsStmt:
			return "CREATE TABLE AS";
		case T_RefreshMatViewStmt:
			return "REFRESH MATERIALIZED VIEW";
		case T_DeclareCursorStmt:
			*exported = IsPartOfExport();
			return "DECLARE CURSOR";
		default:
			break;
	}
	*exported = (query->operation != CMD_SELECT ||
				 query->plannedstmt->hasModifyingCTE || IsPartOfExport());
	switch (query->operation)
	{
		case CMD_INSERT:
			return "INSERT";
		case CMD_UPDATE:
			return "UPDATE";
		case CMD_DELETE:
			return "DELETE";
		case CMD_MERGE:
			return "MERGE";
		default:
			return "SELECT";
	}
}

/* True for a worker's part of a plan whose leader has seen to the record. */
static bool
IsWorkersPart(const PlannedStmt *stmt)
{
	return IsParallelWorker() && run_depth == 0 && stmt->relationOids == NIL;
}

/* True if the statement has to be looked at. */
static bool
IsOfInterest(const QueryDesc *query, int eflags)
{
	const PlannedStmt *stmt = query->plannedstmt;

	return (eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0 && AccessInForce() &&
		!LedgerMayWriteAccessLog && PlanIsSensitive(stmt) &&
		!IsWorkersPart(stmt) && !ReadIsExempt() && !IsReferentialCheck(stmt) &&
		!IsRestoredCheck(stmt, StartingCommand()) && !(LedgerIsOwnWorker && run_depth == 0);
}

/* ---------------- the planner ---------------- */

/* True if the query reads a sensitive table that has partitions. */
static bool
ReadsSegments(const Query *query)
{
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);

		if (rte->rtekind == RTE_SUBQUERY ? ReadsSegments(rte->subquery) :
			(rte->rtekind == RTE_RELATION &&
			 rte->relkind == RELKIND_PARTITIONED_TABLE &&
			 OidIsValid(SensitiveRoot(rte->relid, NULL))))
			return true;
	}
	return false;
}

/* Walker: does the query read another table that has children? */
static bool
ReadsOtherParents(Node *node, void *context)
{
	ListCell   *lc;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, ReadsOtherParents, context);
	foreach(lc, ((Query *) node)->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);

		if (rte->rtekind == RTE_RELATION && rte->inh &&
			(rte->relkind == RELKIND_RELATION ||
			 rte->relkind == RELKIND_PARTITIONED_TABLE) &&
			has_subclass(rte->relid) &&
			!OidIsValid(SensitiveRoot(rte->relid, NULL)))
			return true;
	}
	return query_tree_walker((Query *) node, ReadsOtherParents, context, 0);
}

static PlannedStmt *
CallPlanner(Query *parse, const char *query_string, int cursorOptions,
			ParamListInfo boundParams)
{
	if (prev_planner)
		return prev_planner(parse, query_string, cursorOptions, boundParams);
	return standard_planner(parse, query_string, cursorOptions, boundParams);
}

/*
 * Planner hook: a ledger has many CHECK constraints, none of which tells one
 * segment from another.  By default the planner reads them all anew for each
 * segment, a fifth of the time that planning takes; segments are told apart by
 * their bounds, which is another matter.  Where other tables with children are
 * in the query, whose constraints may tell them apart, it stays as it is.
 */
static PlannedStmt *
AccessPlanner(Query *parse, const char *query_string, int cursorOptions,
			  ParamListInfo boundParams)
{
	int			before = constraint_exclusion;
	PlannedStmt *result;

	if (before != CONSTRAINT_EXCLUSION_PARTITION || !ReadsSegments(parse) ||
		ReadsOtherParents((Node *) parse, NULL))
		return CallPlanner(parse, query_string, cursorOptions, boundParams);
	constraint_exclusion = CONSTRAINT_EXCLUSION_OFF;
	PG_TRY();
	{
		result = CallPlanner(parse, query_string, cursorOptions, boundParams);
	}
	PG_FINALLY();
	{
		constraint_exclusion = before;
	}
	PG_END_TRY();
	return result;
}

/* ---------------- the executor ---------------- */

static void
CallExecutorStart(QueryDesc *queryDesc, int eflags)
{
	if (prev_ExecutorStart)
		prev_ExecutorStart(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
}

/* Starts the executor; a missing permission is recorded as a refusal. */
static void
StartSensitive(QueryDesc *queryDesc, int eflags, AccessStatement *statement)
{
	PG_TRY();
	{
		CallExecutorStart(queryDesc, eflags);
	}
	PG_CATCH();
	{
		if (geterrcode() == ERRCODE_INSUFFICIENT_PRIVILEGE)
			StatementRefused(statement, ERRCODE_INSUFFICIENT_PRIVILEGE,
							 "permission denied");
		StatementForget(queryDesc);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/*
 * ExecutorStart hook: records what no guard answers for.  No row has been read
 * when it returns.
 */
static void
AccessExecutorStart(QueryDesc *queryDesc, int eflags)
{
	AccessStatement *statement;

	StatementForget(queryDesc);
	if (!IsOfInterest(queryDesc, eflags))
	{
		CallExecutorStart(queryDesc, eflags);
		return;
	}
	statement = StatementBegin(queryDesc);
	statement->command = CommandOf(queryDesc, &statement->exported);
	StartSensitive(queryDesc, eflags, statement);
	if (statement->examined.unguarded && statement->examined.reads)
		StatementRecord(statement, statement->examined.needs_reason &&
						!am_walsender && !ReadNeedsNoReason(), NIL);
}

static void
CallExecutorRun(EXECUTOR_RUN_PARAMS)
{
	if (prev_ExecutorRun)
		prev_ExecutorRun(EXECUTOR_RUN_ARGS);
	else
		standard_ExecutorRun(EXECUTOR_RUN_ARGS);
}

/* After a run that failed: what was seen is recorded, the error kept. */
static void
NoteFailedRun(const QueryDesc *query)
{
	AccessStatement *statement = StatementOf(query);

	if (statement == NULL)
		return;
	statement->error = geterrcode();
	statement->running = false;
	if (statement->seen_count > 0)
		StatementFlushSeen(statement, false);
}

/* After a run: counts rows, and waits for the records of those seen. */
static void
NoteRun(const QueryDesc *query)
{
	AccessStatement *statement = StatementOf(query);

	if (statement == NULL)
		return;
	statement->running = false;
	if (query->estate != NULL)
		statement->rows += query->estate->es_processed;
	if (statement->seen_count > 0)
		StatementFlushSeen(statement, true);
}

/* ExecutorRun hook: keeps track of what runs, and of what was seen. */
static void
AccessExecutorRun(EXECUTOR_RUN_PARAMS)
{
	RunFrame	frame = {running, queryDesc};
	AccessStatement *statement = StatementOf(queryDesc);

	if (statement != NULL)
		statement->running = true;
	running = &frame;
	run_depth++;
	PG_TRY();
	{
		CallExecutorRun(EXECUTOR_RUN_ARGS);
	}
	PG_CATCH();
	{
		running = frame.outer;
		run_depth--;
		NoteFailedRun(queryDesc);
		PG_RE_THROW();
	}
	PG_END_TRY();
	running = frame.outer;
	run_depth--;
	NoteRun(queryDesc);
}

static void
CallExecutorFinish(QueryDesc *queryDesc)
{
	if (prev_ExecutorFinish)
		prev_ExecutorFinish(queryDesc);
	else
		standard_ExecutorFinish(queryDesc);
}

/* AFTER triggers run here: what they do is one level deeper too. */
static void
AccessExecutorFinish(QueryDesc *queryDesc)
{
	run_depth++;
	PG_TRY();
	{
		CallExecutorFinish(queryDesc);
	}
	PG_FINALLY();
	{
		run_depth--;
	}
	PG_END_TRY();
}

static void
AccessExecutorEnd(QueryDesc *queryDesc)
{
	StatementForget(queryDesc);
	if (prev_ExecutorEnd)
		prev_ExecutorEnd(queryDesc);
	else
		standard_ExecutorEnd(queryDesc);
}

/* ---------------- COPY and other commands ---------------- */

/* COPY of a table under row-level security is a query. */
static bool
CopyRunsExecutor(Oid relid)
{
	return check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED;
}

/* COPY of a table without the executor asks for permission here. */
static bool
AccessCheckPerms(CHECK_PERMS_PARAMS)
{
	Node	   *command = StartingCommand();
	ListCell   *lc;

	if (prev_ExecutorCheckPerms &&
		!prev_ExecutorCheckPerms(CHECK_PERMS_ARGS))
		return false;
	if (command == NULL || !IsA(command, CopyStmt) ||
		((CopyStmt *) command)->is_from || ((CopyStmt *) command)->relation == NULL ||
		utility->copy_checked || LedgerMayWriteAccessLog || !AccessInForce() ||
		ReadIsExempt())
		return true;
	utility->copy_checked = true;
	foreach(lc, rangeTable)
	{
		RangeTblEntry *rte = lfirst(lc);

		if (rte->rtekind == RTE_RELATION && !CopyRunsExecutor(rte->relid))
			utility->copy = RecordOtherRead(rte->relid, "COPY TO", true);
	}
	return true;
}

static void
CallProcessUtility(UTILITY_PARAMS)
{
	if (prev_ProcessUtility)
		prev_ProcessUtility(UTILITY_ARGS);
	else
		standard_ProcessUtility(UTILITY_ARGS);
}

/* Commands that start statements of their own kind. */
static bool
IsNoted(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_CopyStmt:
		case T_CreateTableAsStmt:
		case T_RefreshMatViewStmt:
		case T_DeclareCursorStmt:
		case T_AlterTableStmt:
			return true;
		default:
			return false;
	}
}

/*
 * Runs a command; what it grants or changes is recorded when it is done.  What
 * it sets for all is recorded before: ALTER SYSTEM could not be taken back.
 */
static void
RunWatched(UTILITY_PARAMS)
{
	Node	   *stmt = pstmt->utilityStmt;
	List	   *events = GrantsMatter(stmt) ? GrantsBefore(stmt) : NIL;

	if (events != NIL &&
		(IsA(stmt, AlterSystemStmt) || IsA(stmt, AlterDatabaseSetStmt)))
	{
		AdminEventsRecordOrWarn(events);
		events = NIL;
	}
	CopyFromAsCopier(UTILITY_ARGS, CallProcessUtility);
	AdminEventsRecord(events);
	GrantsAfter(events);
}

/* The table that COPY TO names, or InvalidOid. */
static Oid
CopiedTable(const Node *command)
{
	const CopyStmt *copy = (const CopyStmt *) command;

	if (!IsA(command, CopyStmt) || copy->is_from || copy->relation == NULL ||
		!AccessInForce())
		return InvalidOid;
	return RangeVarGetRelid(copy->relation, NoLock, true);
}

/* After a command that failed: how a COPY ended, or that it was refused. */
static void
NoteFailedCommand(const UtilityFrame *frame)
{
	if (frame->copy != NULL)
		frame->copy->error = geterrcode();
	else if (OidIsValid(frame->copied) &&
			 geterrcode() == ERRCODE_INSUFFICIENT_PRIVILEGE)
		OtherReadRefused(frame->copied, "COPY TO", "permission denied");
}

/* Runs a command with a frame, so that what it starts is told apart. */
static void
RunNoted(UTILITY_PARAMS)
{
	UtilityFrame frame = {utility, pstmt->utilityStmt, run_depth, false,
	CopiedTable(pstmt->utilityStmt), NULL};

	utility = &frame;
	PG_TRY();
	{
		RunWatched(UTILITY_ARGS);
	}
	PG_CATCH();
	{
		utility = frame.outer;
		NoteFailedCommand(&frame);
		PG_RE_THROW();
	}
	PG_END_TRY();
	utility = frame.outer;
	if (frame.copy != NULL)
	{
		frame.copy->rows = qc != NULL ? qc->nprocessed : 0;
		StatementEnd(frame.copy);
	}
}

/* ProcessUtility hook. */
static void
AccessProcessUtility(UTILITY_PARAMS)
{
	if (IsNoted(pstmt->utilityStmt))
		RunNoted(UTILITY_ARGS);
	else
		RunWatched(UTILITY_ARGS);
}

void
HookInit(void)
{
	prev_planner = planner_hook;
	planner_hook = AccessPlanner;
	prev_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = AccessExecutorStart;
	prev_ExecutorRun = ExecutorRun_hook;
	ExecutorRun_hook = AccessExecutorRun;
	prev_ExecutorFinish = ExecutorFinish_hook;
	ExecutorFinish_hook = AccessExecutorFinish;
	prev_ExecutorEnd = ExecutorEnd_hook;
	ExecutorEnd_hook = AccessExecutorEnd;
	prev_ExecutorCheckPerms = ExecutorCheckPerms_hook;
	ExecutorCheckPerms_hook = AccessCheckPerms;
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = AccessProcessUtility;
}
