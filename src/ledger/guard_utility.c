/*
 * guard_utility.c
 *	  ProcessUtility hook: what can only be judged from the command itself.
 *
 * Most changes of ledgers are caught by the object access hook, which knows
 * the object for certain.  Here are those that it does not see (subcommands
 * of ALTER TABLE, which are default deny) and those that deserve a better
 * message.  Names are resolved without a lock, so that a command on
 * somebody else's table waits for nothing new; should a name come to mean
 * another table in between, the object access hook finds that the frame
 * approves of a different ledger, and refuses.  What has no such hook is
 * checked once more when the command is done.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "commands/extension.h"
#include "compat.h"
#include "ledger/guard.h"
#include "nodes/value.h"
#include "parser/parse_func.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static ProcessUtility_hook_type prev_ProcessUtility = NULL;

/* The relation of a command, or InvalidOid if there is none. */
static Oid
ResolveRelation(const RangeVar *rv)
{
	return rv == NULL ? InvalidOid : RangeVarGetRelid(rv, NoLock, true);
}

/* ALTER TABLE, INDEX and so on: vetted, then approved for this ledger. */
static void
CheckAlterTable(AlterTableStmt *stmt, GuardFrame *frame)
{
	Oid			relid = ResolveRelation(stmt->relation);

	frame->vetted = true;
	frame->altered = relid;
	if (GuardKind(relid) == LEDGER_REL_NONE)
		return;
	GuardCheckAlter(relid, stmt);
	frame->approved_root = GuardRoot(relid);
}

/*
 * Some subcommands reach no hook, so see that the name did not come to mean
 * another table while the command waited for its lock.
 */
static void
RecheckAlterTable(const AlterTableStmt *stmt, const GuardFrame *frame)
{
	Oid			relid = ResolveRelation(stmt->relation);

	if (relid != frame->altered && GuardKind(relid) != LEDGER_REL_NONE)
		RefuseRelation(GUARD_ALTER, relid, NULL);
}

/* TRUNCATE: before it takes its lock. */
static void
CheckTruncate(const TruncateStmt *stmt)
{
	ListCell   *lc;

	if (PermitCurrent() == PERMIT_PURGE)
		return;
	foreach(lc, stmt->relations)
	{
		Oid			relid = ResolveRelation((const RangeVar *) lfirst(lc));

		if (GuardIsLedger(relid))
			RefuseRelation(GUARD_TRUNCATE, relid, NULL);
	}
}

/*
 * DROP TABLE, EXTENSION, SCHEMA: before it takes its lock, and naming what
 * was to be dropped instead of what the cascade comes upon first.
 */
static void
CheckDrop(const DropStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->objects)
	{
		Node	   *object = lfirst(lc);
		Oid			relid;

		if (stmt->removeType == OBJECT_TABLE)
		{
			relid = ResolveRelation(makeRangeVarFromNameList((List *) object));
			if (GuardIsLedger(relid))
				RefuseRelation(GUARD_DROP, relid, NULL);
		}
		else if ((stmt->removeType == OBJECT_EXTENSION ||
				  stmt->removeType == OBJECT_SCHEMA) &&
				 strcmp(strVal(object), LLM_AUDIT_SCHEMA) == 0 &&
				 GuardHasLedgers())
			RefuseObject(GUARD_DROP,
						 stmt->removeType == OBJECT_SCHEMA ?
						 "schema" : "extension", strVal(object));
	}
}

/* CREATE RULE: also one that would turn an empty table into a view. */
static void
CheckRule(const RuleStmt *stmt)
{
	Oid			relid = ResolveRelation(stmt->relation);

	if (GuardKind(relid) != LEDGER_REL_NONE)
		RefuseRelation(GUARD_RULE, relid, NULL);
}

/*
 * ALTER EXTENSION ... ADD or DROP: a ledger that belonged to an extension
 * would not be in a dump, and what leaves our extension is unguarded.
 */
static void
CheckExtensionContents(const AlterExtensionContentsStmt *stmt)
{
	Oid			relid;

	if (strcmp(stmt->extname, "llm_audit") == 0)
		RefuseObject(GUARD_ALTER, "extension", stmt->extname);
	if (stmt->objtype != OBJECT_TABLE)
		return;
	relid = ResolveRelation(makeRangeVarFromNameList(castNode(List,
															  stmt->object)));
	if (GuardKind(relid) != LEDGER_REL_NONE)
		RefuseRelation(GUARD_ALTER, relid,
					   "A table that belongs to an extension is dropped with it and left out of dumps.");
}

/* ALTER TRIGGER, INDEX or FUNCTION ... DEPENDS ON EXTENSION. */
static void
CheckDepends(const AlterObjectDependsStmt *stmt)
{
	Oid			object;

	if (stmt->relation == NULL)
	{
		if (!IsA(stmt->object, ObjectWithArgs))
			return;
		object = LookupFuncWithArgs(stmt->objectType,
									(ObjectWithArgs *) stmt->object, true);
		if (OidIsValid(object) && GuardOwnObject(ProcedureRelationId, object))
			RefuseObject(GUARD_ALTER, "function", get_func_name(object));
		return;
	}
	object = ResolveRelation(stmt->relation);
	if (GuardKind(object) != LEDGER_REL_NONE)
		RefuseRelation(GUARD_ALTER, object,
					   "What depends on an extension is dropped with it.");
}

/* True for the commands that CheckUtility judges. */
static bool
IsJudged(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
		case T_AlterTableMoveAllStmt:
		case T_TruncateStmt:
		case T_DropStmt:
		case T_RuleStmt:
		case T_AlterExtensionContentsStmt:
		case T_AlterObjectDependsStmt:
			return true;
		default:
			return false;
	}
}

/* Refuses or approves a command. */
static void
CheckUtility(Node *stmt, GuardFrame *frame)
{
	PermitKind	permit = PermitCurrent();

	if (!IsJudged(stmt) || permit == PERMIT_DDL || permit == PERMIT_DROP ||
		!GuardInForce())
		return;
	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
			CheckAlterTable((AlterTableStmt *) stmt, frame);
			break;
		case T_AlterTableMoveAllStmt:
			frame->approved_all = true; /* like SET TABLESPACE */
			break;
		case T_TruncateStmt:
			CheckTruncate((TruncateStmt *) stmt);
			break;
		case T_DropStmt:
			CheckDrop((DropStmt *) stmt);
			break;
		case T_RuleStmt:
			CheckRule((RuleStmt *) stmt);
			break;
		case T_AlterExtensionContentsStmt:
			frame->vetted = true;
			CheckExtensionContents((AlterExtensionContentsStmt *) stmt);
			break;
		case T_AlterObjectDependsStmt:
			frame->vetted = true;
			CheckDepends((AlterObjectDependsStmt *) stmt);
			break;
		default:
			break;
	}
}

/* After a command that was vetted, but does things that reach no hook. */
static void
RecheckUtility(Node *stmt, const GuardFrame *frame)
{
	if (IsA(stmt, AlterTableStmt))
		RecheckAlterTable((AlterTableStmt *) stmt, frame);
	else if (IsA(stmt, AlterExtensionContentsStmt))
		CheckExtensionContents((AlterExtensionContentsStmt *) stmt);
	else
		CheckDepends((AlterObjectDependsStmt *) stmt);
}

/*
 * Commands that get a frame: those that define or drop something, and those
 * that change rows without the executor.  The others run other statements,
 * or nothing of interest, and may be all that is allowed in an aborted
 * transaction.
 */
static bool
NeedsFrame(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_TransactionStmt:
		case T_VariableSetStmt:
		case T_VariableShowStmt:
		case T_DeclareCursorStmt:
		case T_FetchStmt:
		case T_ClosePortalStmt:
		case T_PrepareStmt:
		case T_ExecuteStmt:
		case T_DeallocateStmt:
		case T_ExplainStmt:
		case T_DoStmt:
		case T_CallStmt:
		case T_LockStmt:
		case T_NotifyStmt:
		case T_ListenStmt:
		case T_UnlistenStmt:
		case T_DiscardStmt:
		case T_CheckPointStmt:
		case T_LoadStmt:
			return false;
		default:
			return true;
	}
}

static void
CallProcessUtility(UTILITY_PARAMS)
{
	if (prev_ProcessUtility)
		prev_ProcessUtility(UTILITY_ARGS);
	else
		standard_ProcessUtility(UTILITY_ARGS);
}

/*
 * COPY FROM writes without the executor.  It has no ON CONFLICT clause: its
 * rows are stored, or it fails.
 */
static void
NoteCopy(const CopyStmt *stmt, GuardFrame *frame)
{
	if (!stmt->is_from)
		return;
	frame->stores_every_row = true;
	frame->on_ledger = GuardInForce() &&
		GuardIsLedger(ResolveRelation(stmt->relation));
}

/*
 * A part of a command (PROCESS_UTILITY_SUBCOMMAND) is judged by itself, but
 * is no deeper than the command for a permit.
 */
static void
GuardProcessUtility(UTILITY_PARAMS)
{
	Node	   *stmt = pstmt->utilityStmt;
	GuardFrame	frame = {0};

	if (!NeedsFrame(stmt))
	{
		CallProcessUtility(UTILITY_ARGS);
		return;
	}

	frame.is_utility = true;
	frame.tag = nodeTag(stmt);
	if (IsA(stmt, CopyStmt))
		NoteCopy((const CopyStmt *) stmt, &frame);
	GuardPush(&frame);
	if (context == PROCESS_UTILITY_SUBCOMMAND && frame.outer != NULL)
		frame.depth = frame.outer->depth;
	PG_TRY();
	{
		CheckUtility(stmt, &frame);
		CallProcessUtility(UTILITY_ARGS);
		if (frame.vetted)
			RecheckUtility(stmt, &frame);
	}
	PG_CATCH();
	{
		GuardFail(&frame);
	}
	PG_END_TRY();
	GuardPop(&frame);
}

void
GuardUtilityInit(void)
{
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = GuardProcessUtility;
}
