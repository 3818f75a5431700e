/*
 * reference.c
 *	  The server's own checks of foreign keys, which are not recorded.
 *
 * They compare keys and return none of what they find.  What runs in their
 * guise (triggers of a cascade, functions that a restored dump calls, event
 * triggers) is told apart by what it could learn: a check calls no function
 * of somebody's own and names no column but those of keys.
 */
#include "postgres.h"

#include "access/access.h"
#include "access/relation.h"
#include "nodes/bitmapset.h"
#include "utils/acl.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "miscadmin.h"

/* Columns of unique keys and of foreign keys, as in selectedCols. */
static Bitmapset *
KeyColumns(Oid relid)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	Bitmapset  *columns = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_KEY);
	ListCell   *lc;

	foreach(lc, RelationGetFKeyList(rel))
	{
		const ForeignKeyCacheInfo *key = lfirst(lc);

		for (int i = 0; i < key->nkeys; i++)
			columns = bms_add_member(columns, key->conkey[i] -
									 FirstLowInvalidHeapAttributeNumber);
	}
	relation_close(rel, AccessShareLock);
	return columns;
}

/* True if the plan reads nothing but keys, with functions of the server. */
static bool
ReadsKeysOnly(const PlannedStmt *stmt)
{
	ListCell   *lc;

	/* the plan cache must hear of changes of any other function */
	if (stmt->invalItems != NIL)
		return false;
	foreach(lc, PLAN_PERMISSIONS(stmt))
	{
		const RelationPermission *perm = lfirst(lc);

		if (PermissionIsRead(perm) &&
			!bms_is_subset(perm->selectedCols, KeyColumns(perm->relid)))
			return false;
	}
	return true;
}

/* True if the plan locks rows and returns a constant for each. */
static bool
ReturnsConstant(const PlannedStmt *stmt)
{
	TargetEntry *tle;

	if (stmt->planTree == NULL || stmt->planTree->targetlist == NIL)
		return false;
	tle = linitial(stmt->planTree->targetlist);
	return stmt->rowMarks != NIL && IsA(tle->expr, Const) && !tle->resjunk;
}

/*
 * True for the query of a foreign key's check, which the server runs in a
 * mode that nothing else begins.
 */
bool
IsReferentialCheck(const PlannedStmt *stmt)
{
	return InNoForceRLSOperation() && ReturnsConstant(stmt) &&
		ReadsKeysOnly(stmt);
}

/*
 * True for the check of a foreign key that a restored dump adds, at a time
 * when the access log itself may not be restored yet.
 */
bool
IsRestoredCheck(const PlannedStmt *stmt, const Node *command)
{
	return RestoreMode() && command != NULL &&
		IsA(command, AlterTableStmt) && ReadsKeysOnly(stmt);
}
