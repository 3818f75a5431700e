/*
 * verify_query.c
 *	  Queries of verify on catalogs and configuration tables.
 *
 * An auditor may run verify but not read the configuration, so the queries
 * run as the bootstrap superuser, with a fixed search_path and as a security
 * restricted operation.  They are constants of ours, without anything from
 * the caller in them, and see the snapshot that verify was called with.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "executor/spi.h"
#include "ledger/verify.h"
#include "miscadmin.h"
#include "utils/guc.h"

/* Visits each row of the result that SPI holds. */
static void
QueryVisit(VerifyRun *run, QueryVisitor visit, void *arg)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;
	const char **values = palloc(sizeof(char *) * desc->natts);

	for (uint64 row = 0; row < SPI_processed; row++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < desc->natts; i++)
			values[i] = SPI_getvalue(SPI_tuptable->vals[row], desc, i + 1);
		visit(run, values, arg);
	}
}

/*
 * Runs a query and visits its rows, in the run's memory context.  An error
 * leaves the user and the settings changed until the (sub)transaction ends,
 * which restores both.
 */
void
VerifyQuery(VerifyRun *run, const char *sql, QueryVisitor visit, void *arg)
{
	Oid			user;
	int			security;
	int			nest = NewGUCNestLevel();

	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   security | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	(void) set_config_option("quote_all_identifiers", "off",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	/* what these queries read is small, whatever the planner thinks of it */
	(void) set_config_option("max_parallel_workers_per_gather", "0",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	(void) set_config_option("jit", "off",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute(sql, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "a query of verify failed");
	QueryVisit(run, visit, arg);
	SPI_finish();
	AtEOXact_GUC(true, nest);
	SetUserIdAndSecContext(user, security);
}
