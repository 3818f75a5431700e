/*
 * digest.c
 *	  Aggregates of receipts: sha256_agg, SHA-256 over values put one after
 *	  another, without keeping them, and runs_agg, the runs of numbers that
 *	  follow one another.
 */
#include "postgres.h"

#include <openssl/evp.h>

#include "catalog/pg_type.h"
#include "compat.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(llm_audit_sha256_add);
PG_FUNCTION_INFO_V1(llm_audit_sha256_end);
PG_FUNCTION_INFO_V1(llm_audit_runs_add);
PG_FUNCTION_INFO_V1(llm_audit_runs_end);

typedef struct DigestState
{
	EVP_MD_CTX *ctx;
	MemoryContextCallback gone;
} DigestState;

/* The runs so far: the first and the last number of each. */
typedef struct RunsState
{
	int64	   *bounds;			/* pairs */
	int			nruns;
	int			size;			/* room for so many runs */
} RunsState;

static void
DigestFree(void *arg)
{
	EVP_MD_CTX_free(((DigestState *) arg)->ctx);
}

/* Begins a digest, which ends with the aggregate's memory. */
static DigestState *
DigestBegin(MemoryContext context)
{
	DigestState *state = MemoryContextAllocZero(context, sizeof(DigestState));

	state->gone.func = DigestFree;
	state->gone.arg = state;
	state->ctx = EVP_MD_CTX_new();
	MemoryContextRegisterResetCallback(context, &state->gone);
	if (state->ctx == NULL ||
		EVP_DigestInit_ex(state->ctx, EVP_sha256(), NULL) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a SHA-256 hash")));
	return state;
}

/*
 * llm_audit.sha256_add(state internal, value bytea) -> internal
 *		Transition function of sha256_agg; NULLs are passed over.
 */
Datum
llm_audit_sha256_add(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	DigestState *state;
	bytea	   *value;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "sha256_add called outside an aggregate");
	state = PG_ARGISNULL(0) ? DigestBegin(context) :
		(DigestState *) PG_GETARG_POINTER(0);
	if (!PG_ARGISNULL(1))
	{
		value = PG_GETARG_BYTEA_PP(1);
		if (EVP_DigestUpdate(state->ctx, VARDATA_ANY(value),
							 VARSIZE_ANY_EXHDR(value)) != 1)
			elog(ERROR, "could not compute a SHA-256 hash");
	}
	PG_RETURN_POINTER(state);
}

/*
 * llm_audit.sha256_end(state internal) -> bytea
 *		Final function of sha256_agg; NULL if there were no rows.
 */
Datum
llm_audit_sha256_end(PG_FUNCTION_ARGS)
{
	bytea	   *result = palloc(VARHDRSZ + EVP_MAX_MD_SIZE);
	unsigned int len = 0;
	DigestState *state;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (DigestState *) PG_GETARG_POINTER(0);
	if (EVP_DigestFinal_ex(state->ctx, (unsigned char *) VARDATA(result),
						   &len) != 1)
		elog(ERROR, "could not compute a SHA-256 hash");
	SET_VARSIZE(result, VARHDRSZ + len);
	PG_RETURN_BYTEA_P(result);
}

/* Appends a run of one number. */
static void
RunsBegin(RunsState *state, int64 number)
{
	if (state->nruns >= state->size)
	{
		state->size *= 2;
		state->bounds = repalloc_huge(state->bounds,
									  sizeof(int64) * 2 * state->size);
	}
	state->bounds[2 * state->nruns] = number;
	state->bounds[2 * state->nruns + 1] = number;
	state->nruns++;
}

/*
 * llm_audit.runs_add(state internal, number bigint) -> internal
 *		Transition function of runs_agg; NULLs are passed over.  22023 if the
 *		numbers do not ascend.
 */
Datum
llm_audit_runs_add(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	RunsState  *state;
	int64		number;
	int64	   *last;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "runs_add called outside an aggregate");
	if (PG_ARGISNULL(0))
	{
		state = MemoryContextAlloc(context, sizeof(RunsState));
		state->nruns = 0;
		state->size = 16;
		state->bounds = MemoryContextAlloc(context,
										   sizeof(int64) * 2 * state->size);
	}
	else
		state = (RunsState *) PG_GETARG_POINTER(0);
	if (PG_ARGISNULL(1))
		PG_RETURN_POINTER(state);
	number = PG_GETARG_INT64(1);
	last = state->nruns > 0 ? &state->bounds[2 * state->nruns - 1] : NULL;
	if (last != NULL && number <= *last)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("numbers of runs must ascend")));
	if (last != NULL && number == *last + 1)
		*last = number;
	else
		RunsBegin(state, number);
	PG_RETURN_POINTER(state);
}

/*
 * llm_audit.runs_end(state internal) -> bigint[]
 *		Final function of runs_agg: the first numbers of all runs, then the
 *		last ones; NULL if there were no rows.
 */
Datum
llm_audit_runs_end(PG_FUNCTION_ARGS)
{
	RunsState  *state;
	Datum	   *values;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (RunsState *) PG_GETARG_POINTER(0);
	values = palloc_extended(sizeof(Datum) * 2 * Max(state->nruns, 1),
							 MCXT_ALLOC_HUGE);
	for (int i = 0; i < state->nruns; i++)
	{
		values[i] = Int64GetDatum(state->bounds[2 * i]);
		values[state->nruns + i] = Int64GetDatum(state->bounds[2 * i + 1]);
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(values, 2 * state->nruns, INT8OID,
										  sizeof(int64), FLOAT8PASSBYVAL,
										  TYPALIGN_DOUBLE));
}
