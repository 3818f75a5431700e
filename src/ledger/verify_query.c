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

#include "access/xact.h"
#include "executor/spi.h"
#include "ledger/verify.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

/* The rows of a result, as text, outside of the subtransaction. */
typedef struct QueryRows
{
	MemoryContext context;
	uint64		nrows;
	int			natts;
	char	  **values;			/* row by row */
} QueryRows;

/* Copies the result that SPI holds. */
static void
CopyRows(QueryRows *rows)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;
	MemoryContext old;

	rows->nrows = SPI_processed;
	rows->natts = desc->natts;
	rows->values = MemoryContextAllocHuge(rows->context,
										  sizeof(char *) *
										  Max(rows->nrows * rows->natts, 1));
	for (uint64 row = 0; row < rows->nrows; row++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < rows->natts; i++)
		{
			char	   *value = SPI_getvalue(SPI_tuptable->vals[row], desc, i + 1);

			old = MemoryContextSwitchTo(rows->context);
			rows->values[row * rows->natts + i] =
				value == NULL ? NULL : pstrdup(value);
			MemoryContextSwitchTo(old);
			if (value != NULL)
				pfree(value);
		}
	}
}

/*
 * Runs a query and copies its result.  An error leaves the user and the
 * settings changed until the (sub)transaction ends, which restores both.
 */
static void
RunQuery(const char *sql, QueryRows *rows)
{
	static const struct
	{
		const char *name;
		const char *value;
	}			settings[] =

	{
		{"quote_all_identifiers", "off"},
		{"standard_conforming_strings", "on"},
		/* what these queries read is small, whatever the planner thinks of it */
		{"max_parallel_workers_per_gather", "0"},
		{"jit", "off"}
	};
	FormerUser	former;

	BecomeSuperuser(&former);
	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i].name, settings[i].value,
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute(sql, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "a query of verify failed");
	CopyRows(rows);
	SPI_finish();
	BecomeFormer(&former);
}

/*
 * Runs a query in a subtransaction that is rolled back: it has changed nothing,
 * and so no lock on what it has read is held while the rest is verified, which
 * may take hours and must not keep anybody from making segments.
 */
static void
QueryWithoutTrace(const char *sql, QueryRows *rows)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		RunQuery(sql, rows);
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		ReThrowError(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

/*
 * Does the same beside parallel workers, when no subtransaction can begin: an
 * error ends the parallel phase, with the locks.
 */
static void
QueryReleasingLocks(const char *sql, QueryRows *rows)
{
	ResourceOwner owner = CurrentResourceOwner;
	ResourceOwner own = ResourceOwnerCreate(owner, "llm_audit query of verify");

	CurrentResourceOwner = own;
	RunQuery(sql, rows);
	CurrentResourceOwner = owner;
	ResourceOwnerRelease(own, RESOURCE_RELEASE_BEFORE_LOCKS, false, false);
	ResourceOwnerRelease(own, RESOURCE_RELEASE_LOCKS, false, false);
	ResourceOwnerRelease(own, RESOURCE_RELEASE_AFTER_LOCKS, false, false);
	ResourceOwnerDelete(own);
}

/* Runs a query and visits its rows, in the run's memory context. */
void
VerifyQuery(VerifyRun *run, const char *sql, QueryVisitor visit, void *arg)
{
	QueryRows	rows;

	rows.context = AllocSetContextCreate(CurrentMemoryContext,
										 "llm_audit query of verify",
										 ALLOCSET_DEFAULT_SIZES);
	if (IsInParallelMode())
		QueryReleasingLocks(sql, &rows);
	else
		QueryWithoutTrace(sql, &rows);
	for (uint64 row = 0; row < rows.nrows; row++)
	{
		CHECK_FOR_INTERRUPTS();
		visit(run, (const char *const *) &rows.values[row * rows.natts], arg);
	}
	MemoryContextDelete(rows.context);
}
