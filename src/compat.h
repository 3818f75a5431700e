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

/* The hook's arguments, the same since 14 but too many to repeat. */
#define UTILITY_PARAMS \
	PlannedStmt *pstmt, const char *queryString, bool readOnlyTree, \
	ProcessUtilityContext context, ParamListInfo params, \
	QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc
#define UTILITY_ARGS \
	pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc

#endif
