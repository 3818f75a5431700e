/*
 * digest.c
 *	  The aggregate sha256_agg: SHA-256 over values put one after another,
 *	  without keeping them.
 */
#include "postgres.h"

#include <openssl/evp.h>

#include "compat.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(llm_audit_sha256_add);
PG_FUNCTION_INFO_V1(llm_audit_sha256_end);

typedef struct DigestState
{
	EVP_MD_CTX *ctx;
	MemoryContextCallback gone;
} DigestState;

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
