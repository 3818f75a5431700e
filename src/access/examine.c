/*
 * examine.c
 *	  What a plan reads of sensitive relations, and whether a guard answers
 *	  for it.
 *
 * What has to be permitted for a plan says which relations the statement
 * names and which columns; the plan's scans say what is really read (of a
 * condition that is always false nothing is).  A base relation is left to a
 * guard only if it is read as the owner of views that are guarded by their own
 * definition, no view of that owner that is not reads it as well, and nothing
 * else does (a policy of a table that such a view reads would): it stands in
 * the plan no more often than in these views.
 */
#include "postgres.h"

#include "access/access.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "parser/parse_relation.h"
#include "rewrite/prs2lock.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#define FILTERED_MAX 100

/* Work that the walkers share. */
typedef struct Walk
{
	const PlannedStmt *stmt;
	Examined   *result;
	Index		scanned;		/* of the scan whose conditions are walked */
	List	   *index_columns;	/* of an index-only scan: what it returns */
} Walk;

/* A view that the statement reads. */
typedef struct NamedView
{
	Oid			relid;
	Oid			owner;
	bool		guarded;
} NamedView;

/* ---------------- walking the plan ---------------- */

static void WalkPlan(Plan *plan, Walk *walk);

static void
AddText(List **list, char *text)
{
	ListCell   *lc;

	foreach(lc, *list)
	{
		if (strcmp(lfirst(lc), text) == 0)
			return;
	}
	*list = lappend(*list, text);
}

/* Notes the columns of the scanned relation in its conditions. */
static bool
FindFiltered(Node *node, Walk *walk)
{
	if (node == NULL || list_length(walk->result->filtered) >= FILTERED_MAX)
		return false;
	if (IsA(node, Var) && ((Var *) node)->varno == INDEX_VAR)
	{
		TargetEntry *tle = get_tle_by_resno(walk->index_columns,
											((Var *) node)->varattno);

		return tle != NULL && FindFiltered((Node *) tle->expr, walk);
	}
	if (IsA(node, Var) && ((Var *) node)->varno == walk->scanned)
	{
		RangeTblEntry *rte = rt_fetch(walk->scanned, walk->stmt->rtable);
		AttrNumber	attnum = ((Var *) node)->varattno;

		if (attnum > 0 && rte->eref != NULL &&
			attnum <= list_length(rte->eref->colnames))
			AddText(&walk->result->filtered,
					pstrdup(strVal(list_nth(rte->eref->colnames, attnum - 1))));
		return false;
	}
	return expression_tree_walker(node, FindFiltered, (void *) walk);
}

/* The conditions of a scan, beside its qual. */
static Node *
ScanConditions(Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_IndexScan:
			return (Node *) ((IndexScan *) plan)->indexqualorig;
		case T_IndexOnlyScan:
			return (Node *) ((IndexOnlyScan *) plan)->indexqual;
		case T_BitmapHeapScan:
			return (Node *) ((BitmapHeapScan *) plan)->bitmapqualorig;
		case T_TidScan:
			return (Node *) ((TidScan *) plan)->tidquals;
		case T_TidRangeScan:
			return (Node *) ((TidRangeScan *) plan)->tidrangequals;
		default:
			return NULL;
	}
}

/* True for nodes that read a table's rows. */
static bool
ReadsRows(Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_SampleScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapHeapScan:
		case T_TidScan:
		case T_TidRangeScan:
		case T_ForeignScan:
		case T_CustomScan:
			return true;
		default:
			return false;
	}
}

/* Notes what a scan reads; its relation is a leaf, or the table itself. */
static void
WalkScan(Plan *plan, Walk *walk)
{
	Index		varno = ((Scan *) plan)->scanrelid;
	RangeTblEntry *rte;

	if (varno == 0)
	{
		/* a custom scan or a foreign join: of whatever is in the statement */
		walk->result->reads = true;
		return;
	}
	rte = rt_fetch(varno, walk->stmt->rtable);
	if (ReadsRows(plan))
	{
		if (rte->rtekind != RTE_RELATION ||
			!OidIsValid(SensitiveRoot(rte->relid, NULL)))
			return;
		walk->result->reads = true;
	}
	else if (!IsA(plan, SubqueryScan))
		return;
	walk->scanned = varno;
	walk->index_columns = IsA(plan, IndexOnlyScan) ?
		((IndexOnlyScan *) plan)->indextlist : NIL;
	FindFiltered((Node *) plan->qual, walk);
	FindFiltered(ScanConditions(plan), walk);
}

static void
WalkPlans(List *plans, Walk *walk)
{
	ListCell   *lc;

	foreach(lc, plans)
		WalkPlan(lfirst(lc), walk);
}

/* Children that are not in lefttree and righttree. */
static void
WalkOtherChildren(Plan *plan, Walk *walk)
{
	switch (nodeTag(plan))
	{
		case T_Append:
			WalkPlans(((Append *) plan)->appendplans, walk);
			break;
		case T_MergeAppend:
			WalkPlans(((MergeAppend *) plan)->mergeplans, walk);
			break;
		case T_BitmapAnd:
			WalkPlans(((BitmapAnd *) plan)->bitmapplans, walk);
			break;
		case T_BitmapOr:
			WalkPlans(((BitmapOr *) plan)->bitmapplans, walk);
			break;
		case T_SubqueryScan:
			WalkPlan(((SubqueryScan *) plan)->subplan, walk);
			break;
		case T_CustomScan:
			WalkPlans(((CustomScan *) plan)->custom_plans, walk);
			break;
		default:
			break;
	}
}

/* True for nodes that are a Scan with a relation of their own. */
static bool
IsScan(Plan *plan)
{
	return ReadsRows(plan) || IsA(plan, SubqueryScan);
}

/* ON CONFLICT DO UPDATE reads the row that it meets, without a scan. */
static void
WalkModify(const ModifyTable *modify, Walk *walk)
{
	RangeTblEntry *rte;

	if (modify->onConflictAction != ONCONFLICT_UPDATE)
		return;
	rte = rt_fetch(modify->nominalRelation, walk->stmt->rtable);
	if (OidIsValid(SensitiveRoot(rte->relid, NULL)))
		walk->result->reads = true;
}

static void
WalkPlan(Plan *plan, Walk *walk)
{
	if (plan == NULL)
		return;
	check_stack_depth();
	if (IsA(plan, ModifyTable))
		WalkModify((const ModifyTable *) plan, walk);
	if (IsScan(plan))
		WalkScan(plan, walk);
	WalkPlan(plan->lefttree, walk);
	WalkPlan(plan->righttree, walk);
	WalkOtherChildren(plan, walk);
}

/* ---------------- what the statement names ---------------- */

#ifdef COMPAT_PERMISSIONS_IN_RTABLE
#define IsPermission(perm) ((perm)->rtekind == RTE_RELATION)
#else
#define IsPermission(perm) true
#endif

/* True if what has to be permitted includes reading this relation. */
bool
PermissionIsRead(const RelationPermission *perm)
{
	return IsPermission(perm) && OidIsValid(perm->relid) &&
		(perm->requiredPerms & ACL_SELECT) != 0;
}

bool
PlanIsSensitive(const PlannedStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, PLAN_PERMISSIONS(stmt))
	{
		const RelationPermission *perm = lfirst(lc);

		if (PermissionIsRead(perm) &&
			OidIsValid(SensitiveRoot(perm->relid, NULL)))
			return true;
	}
	return false;
}

/* Adds the columns that the statement reads of a relation. */
static void
AddColumns(const RelationPermission *perm, Examined *result)
{
	char	   *name = get_rel_name(perm->relid);
	int			column = -1;

	while ((column = bms_next_member(perm->selectedCols, column)) >= 0)
	{
		AttrNumber	attnum = column + FirstLowInvalidHeapAttributeNumber;
		char	   *attname = attnum == InvalidAttrNumber ? pstrdup("*") :
		get_attname(perm->relid, attnum, true);

		if (name != NULL && attname != NULL)
			AddText(&result->columns, psprintf("%s.%s", name, attname));
	}
}

typedef struct CountContext
{
	Oid			relid;
	int			count;
} CountContext;

/* Walker: counts how often the query names this relation. */
static bool
CountNames(Node *node, CountContext *context)
{
	ListCell   *lc;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, CountNames, (void *) context);
	foreach(lc, ((Query *) node)->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);

		context->count += rte->rtekind == RTE_RELATION &&
			rte->relid == context->relid;
	}
	return query_tree_walker((Query *) node, CountNames, (void *) context, 0);
}

/* How often the view's own query names the relation. */
static int
NamesInView(Oid view, Oid relid)
{
	Relation	rel = relation_open(view, AccessShareLock);
	CountContext context = {relid, 0};

	for (int i = 0; rel->rd_rules != NULL && i < rel->rd_rules->numLocks; i++)
	{
		RewriteRule *rule = rel->rd_rules->rules[i];

		if (rule->event == CMD_SELECT)
			(void) CountNames(linitial(rule->actions), &context);
	}
	relation_close(rel, AccessShareLock);
	return context.count;
}

/*
 * The view that a guard is called for: a constant, or the qualified name in
 * a text that is cast, since a view cannot name itself before it is there.
 */
static Oid
GuardArgument(Node *node)
{
	Const	   *value;
	List	   *names;

	if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcid == F_REGCLASS)
		node = linitial(((FuncExpr *) node)->args);
	if (!IsA(node, Const) || ((Const *) node)->constisnull)
		return InvalidOid;
	value = (Const *) node;
	if (value->consttype == REGCLASSOID)
		return DatumGetObjectId(value->constvalue);
	if (value->consttype != TEXTOID)
		return InvalidOid;
	names = textToQualifiedNameList(DatumGetTextPP(value->constvalue));
	if (list_length(names) != 2)
		return InvalidOid;
	return RangeVarGetRelid(makeRangeVarFromNameList(names), NoLock, true);
}

/* True for SELECT access_guard(view, ...) without anything else. */
static bool
IsGuardCall(Node *node, Oid view)
{
	Query	   *query;
	TargetEntry *tle;
	FuncExpr   *call;

	if (!IsA(node, SubLink) || ((SubLink *) node)->subLinkType != EXPR_SUBLINK)
		return false;
	query = castNode(Query, ((SubLink *) node)->subselect);
	if (query->commandType != CMD_SELECT || query->setOperations != NULL ||
		query->jointree->fromlist != NIL || query->jointree->quals != NULL ||
		query->limitCount != NULL || query->limitOffset != NULL ||
		query->havingQual != NULL || list_length(query->targetList) != 1)
		return false;
	tle = linitial_node(TargetEntry, query->targetList);
	if (!IsA(tle->expr, FuncExpr))
		return false;
	call = (FuncExpr *) tle->expr;
	return call->funcid == GuardFunctionOid() &&
		GuardArgument(linitial(call->args)) == view;
}

/*
 * True if the view cannot be read without its own guard: a security barrier,
 * whose condition is the guard's call or has it among what AND connects.
 */
bool
ViewIsGuarded(Oid view)
{
	Relation	rel = relation_open(view, AccessShareLock);
	bool		guarded = false;

	for (int i = 0; rel->rd_rules != NULL && i < rel->rd_rules->numLocks; i++)
	{
		RewriteRule *rule = rel->rd_rules->rules[i];
		Query	   *query = linitial_node(Query, rule->actions);
		ListCell   *lc;

		if (rule->event != CMD_SELECT || !RelationIsSecurityView(rel) ||
			query->setOperations != NULL || query->jointree->quals == NULL)
			continue;
		foreach(lc, make_ands_implicit((Expr *) query->jointree->quals))
			guarded |= IsGuardCall(lfirst(lc), view);
	}
	relation_close(rel, AccessShareLock);
	return guarded;
}

/* The owner of a relation. */
static Oid
RelationOwner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* The views that the statement reads. */
static List *
NamedViews(const PlannedStmt *stmt, Examined *result)
{
	List	   *views = NIL;
	ListCell   *lc;

	foreach(lc, PLAN_PERMISSIONS(stmt))
	{
		const RelationPermission *perm = lfirst(lc);
		NamedView  *view;

		if (!PermissionIsRead(perm) ||
			get_rel_relkind(perm->relid) != RELKIND_VIEW)
			continue;
		view = palloc(sizeof(NamedView));
		view->relid = perm->relid;
		view->owner = RelationOwner(perm->relid);
		view->guarded = ViewIsGuarded(perm->relid);
		if (view->guarded)
			result->guards = list_append_unique_oid(result->guards, perm->relid);
		views = lappend(views, view);
	}
	return views;
}

/* How often the plan reads a relation as the same user. */
static int
ReadsAsUser(const PlannedStmt *stmt, const RelationPermission *wanted)
{
	int			count = 0;
	ListCell   *lc;

	foreach(lc, PLAN_PERMISSIONS(stmt))
	{
		const RelationPermission *perm = lfirst(lc);

		count += PermissionIsRead(perm) && perm->relid == wanted->relid &&
			perm->checkAsUser == wanted->checkAsUser;
	}
	return count;
}

/* True if guards in the plan answer for this reading of a relation. */
static bool
IsGuarded(const PlannedStmt *stmt, const RelationPermission *perm, List *views)
{
	int			guarded = 0;
	ListCell   *lc;

	if (!OidIsValid(perm->checkAsUser))
		return false;
	foreach(lc, views)
	{
		NamedView  *view = lfirst(lc);
		int			names;

		if (view->owner != perm->checkAsUser)
			continue;
		names = NamesInView(view->relid, perm->relid);
		if (names > 0 && !view->guarded)
			return false;
		guarded += names;
	}
	return guarded > 0 && ReadsAsUser(stmt, perm) <= guarded;
}

/* Notes what the statement names, and what no guard answers for. */
static void
ExamineNames(const PlannedStmt *stmt, Examined *result)
{
	List	   *views = NamedViews(stmt, result);
	ListCell   *lc;

	foreach(lc, PLAN_PERMISSIONS(stmt))
	{
		const RelationPermission *perm = lfirst(lc);
		bool		is_view;
		bool		guarded;
		bool		needs_reason;

		if (!PermissionIsRead(perm))
			continue;
		is_view = list_member_oid(result->guards, perm->relid);
		if (!is_view && !OidIsValid(SensitiveRoot(perm->relid, &needs_reason)))
			continue;
		AddText(&result->relations, QualifiedName(perm->relid));
		if (get_rel_relkind(perm->relid) == RELKIND_TOASTVALUE)
			AddText(&result->relations,
					QualifiedName(SensitiveRoot(perm->relid, NULL)));
		guarded = !is_view && IsGuarded(stmt, perm, views);
		if (!guarded)
			AddColumns(perm, result);
		if (!is_view && !guarded)
		{
			result->unguarded = true;
			result->needs_reason |= needs_reason;
		}
	}
}

/*
 * ExaminePlan: fills in result, in the current context.  Opens the views that
 * the statement names, which it has locked.
 */
void
ExaminePlan(const PlannedStmt *stmt, Examined *result)
{
	Walk		walk = {stmt, result, 0, NIL};

	memset(result, 0, sizeof(*result));
	ExamineNames(stmt, result);
	WalkPlan(stmt->planTree, &walk);
	WalkPlans(stmt->subplans, &walk);
}
