/*
 * compat.h
 *	  Every difference between PostgreSQL versions that we support (15 to 18).
 *
 * No other file tests PG_VERSION_NUM.
 */
#ifndef LLM_AUDIT_COMPAT_H
#define LLM_AUDIT_COMPAT_H

#include "postgres.h"

#include "access/genam.h"
#include "nodes/parsenodes.h"

#if PG_VERSION_NUM < 150000
#error "llm_audit needs PostgreSQL 15 or later"
#endif

/* 16 took these out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 18 replaced this by pg_noreturn, which stands before the declaration. */
#if PG_VERSION_NUM >= 180000
#define pg_attribute_noreturn() __attribute__((noreturn))
#endif

/* 18 added the instrumentation of index searches to the arguments. */
#if PG_VERSION_NUM >= 180000
#define IndexBeginScan(heap, index, snapshot, nkeys, norderbys) \
	index_beginscan(heap, index, snapshot, NULL, nkeys, norderbys)
#else
#define IndexBeginScan(heap, index, snapshot, nkeys, norderbys) \
	index_beginscan(heap, index, snapshot, nkeys, norderbys)
#endif

/* 18 dropped the last argument of ExecutorRun. */
#if PG_VERSION_NUM >= 180000
#define EXECUTOR_RUN_PARAMS \
	QueryDesc *queryDesc, ScanDirection direction, uint64 count
#define EXECUTOR_RUN_ARGS queryDesc, direction, count
#else
#define EXECUTOR_RUN_PARAMS \
	QueryDesc *queryDesc, ScanDirection direction, uint64 count, \
	bool execute_once
#define EXECUTOR_RUN_ARGS queryDesc, direction, count, execute_once
#endif

/* 17 took the process number out of PGPROC. */
#if PG_VERSION_NUM >= 170000
#define MyProcNumberOf(proc) GetNumberFromPGProc(proc)
#define VirtualBackendNumber(proc) ((proc)->vxid.procNumber)
#define VirtualLocalXid(proc) ((proc)->vxid.lxid)
#else
#define MyProcNumberOf(proc) ((proc)->pgprocno)
#define VirtualBackendNumber(proc) ((proc)->backendId)
#define VirtualLocalXid(proc) ((proc)->lxid)
#endif

/* A setting's descriptor, or NULL; 16 made the look-up public. */
#if PG_VERSION_NUM >= 160000
#define FindSetting(name) find_option(name, false, true, 0)
#else
#define COMPAT_SETTING_SCAN
#define FindSetting(name) FindSettingByScan(name)
struct config_generic;
extern struct config_generic *FindSettingByScan(const char *name);
#endif

/* 16 moved what authentication has found out of Port. */
#if PG_VERSION_NUM >= 160000
#define AuthenticatedId(port) ((void) (port), MyClientConnectionInfo.authn_id)
#else
#define AuthenticatedId(port) ((port)->authn_id)
#endif

/* 16 moved what has to be permitted out of range table entries. */
#if PG_VERSION_NUM >= 160000
#define CHECK_PERMS_PARAMS \
	List *rangeTable, List *permissions, bool ereport_on_violation
#define CHECK_PERMS_ARGS rangeTable, permissions, ereport_on_violation
#define PLAN_PERMISSIONS(stmt) ((stmt)->permInfos)
typedef RTEPermissionInfo RelationPermission;
#else
#define CHECK_PERMS_PARAMS List *rangeTable, bool ereport_on_violation
#define CHECK_PERMS_ARGS rangeTable, ereport_on_violation
#define COMPAT_PERMISSIONS_IN_RTABLE
#define PLAN_PERMISSIONS(stmt) ((stmt)->rtable)
typedef RangeTblEntry RelationPermission;
#endif

/*
 * The compiled CHECK constraints of a result relation: 18 renamed them, and
 * has constraints that are not enforced and columns that are not stored.
 */
#if PG_VERSION_NUM >= 180000
#define CheckStatesOf(info) ((info)->ri_CheckConstraintExprs)
#define CheckIsEnforced(check) ((check)->ccenforced)
#define HasVirtualColumns(constr) ((constr)->has_generated_virtual)
#else
#define CheckStatesOf(info) ((info)->ri_ConstraintExprs)
#define CheckIsEnforced(check) ((void) (check), true)
#define HasVirtualColumns(constr) ((void) (constr), false)
#endif

/* The hook's arguments, the same since 14 but too many to repeat. */
#define UTILITY_PARAMS \
	PlannedStmt *pstmt, const char *queryString, bool readOnlyTree, \
	ProcessUtilityContext context, ParamListInfo params, \
	QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc
#define UTILITY_ARGS \
	pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc

#endif
