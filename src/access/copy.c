/*
 * copy.c
 *	  COPY FROM of writers who are subject to row-level security.
 *
 * PostgreSQL refuses COPY FROM a table whose row-level security applies to
 * the user, because it could not check the rows.  The insert trigger of a
 * ledger can: it knows what the writer may write, whoever the current user
 * is.  So the command runs as llm_audit_copier, which may insert and is not
 * subject to row-level security, once we have seen that the writer holds
 * INSERT on the columns.  Only COPY FROM STDIN of a built-in ledger: neither
 * files nor programs are read as anybody but the writer.
 */
#include "postgres.h"

#include "access/access.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "ledger/guard.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"

/* True if the role holds INSERT on the column, or on the whole table. */
static bool
MayInsert(Oid relid, AttrNumber attnum, Oid user)
{
	return pg_class_aclcheck(relid, user, ACL_INSERT) == ACLCHECK_OK ||
		pg_attribute_aclcheck(relid, attnum, user, ACL_INSERT) == ACLCHECK_OK;
}

/* True if the role may insert what the command names, or all columns. */
static bool
MayInsertColumns(Relation rel, List *columns, Oid user)
{
	ListCell   *lc;

	if (columns == NIL)
		return pg_class_aclcheck(RelationGetRelid(rel), user,
								 ACL_INSERT) == ACLCHECK_OK;
	foreach(lc, columns)
	{
		AttrNumber	attnum = get_attnum(RelationGetRelid(rel),
										strVal(lfirst(lc)));

		/* a name that is none is COPY's own to complain about */
		if (attnum != InvalidAttrNumber &&
			!MayInsert(RelationGetRelid(rel), attnum, user))
			return false;
	}
	return true;
}

/* True if the writer sees the table under row-level security. */
static bool
IsUnderPolicies(Oid relid)
{
	return check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED;
}

/* True if the role may insert, and is not subject to policies. */
static bool
CopierIsFit(Oid copier)
{
	return OidIsValid(copier) && has_bypassrls_privilege(copier) &&
		!superuser_arg(copier);
}

/*
 * The role to run the command as, or InvalidOid: as it comes.  On success the
 * table is locked, so that its name cannot come to mean another.
 */
static Oid
CopierFor(const CopyStmt *stmt)
{
	Oid			copier = get_role_oid("llm_audit_copier", true);
	Oid			relid;
	Relation	rel;
	bool		fit;

	if (!stmt->is_from || stmt->filename != NULL || stmt->is_program ||
		stmt->relation == NULL || stmt->whereClause != NULL ||
		!CopierIsFit(copier) || !AccessInForce())
		return InvalidOid;
	relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	if (!OidIsValid(relid) || GuardKind(relid) != LEDGER_REL_ROOT ||
		get_rel_namespace(relid) != get_namespace_oid(LLM_AUDIT_SCHEMA, true) ||
		!IsUnderPolicies(relid))
		return InvalidOid;
	rel = table_openrv(stmt->relation, RowExclusiveLock);
	fit = RelationGetRelid(rel) == relid &&
		MayInsertColumns(rel, stmt->attlist, GetUserId()) &&
		pg_class_aclcheck(relid, copier, ACL_INSERT) == ACLCHECK_OK;
	table_close(rel, NoLock);
	return fit ? copier : InvalidOid;
}

/* Runs the command as another role, whatever happens changing back. */
static void
RunAs(Oid role, UTILITY_PARAMS, UtilityRunner run)
{
	Oid			user;
	int			security;
	Oid			outer;

	GetUserIdAndSecContext(&user, &security);
	outer = LedgerSetCopyWriter(user);
	SetUserIdAndSecContext(role, security | SECURITY_LOCAL_USERID_CHANGE);
	PG_TRY();
	{
		run(UTILITY_ARGS);
	}
	PG_FINALLY();
	{
		(void) LedgerSetCopyWriter(outer);
		SetUserIdAndSecContext(user, security);
	}
	PG_END_TRY();
}

void
CopyFromAsCopier(UTILITY_PARAMS, UtilityRunner run)
{
	Oid			copier = InvalidOid;

	if (IsA(pstmt->utilityStmt, CopyStmt))
		copier = CopierFor((CopyStmt *) pstmt->utilityStmt);
	if (OidIsValid(copier))
		RunAs(copier, UTILITY_ARGS, run);
	else
		run(UTILITY_ARGS);
}
