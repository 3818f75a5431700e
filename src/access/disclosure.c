/*
 * disclosure.c
 *	  What the disclosure workflow needs of C: settings, and who the session
 *	  was authenticated as.  The workflow itself is SQL.
 */
#include "postgres.h"

#include <limits.h>

#include "access/access.h"
#include "access/disclosure.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"

PG_FUNCTION_INFO_V1(llm_audit_authentication_id);
PG_FUNCTION_INFO_V1(llm_audit_refuse);

/* Read by SQL functions, as settings. */
static int	disclosure_max_calls = 100000;
static int	disclosure_max_duration = 86400;

/*
 * llm_audit.authentication_id() → text
 *		Method and identity under which the session was authenticated; NULL if
 *		by none that has an identity.
 */
Datum
llm_audit_authentication_id(PG_FUNCTION_ARGS)
{
	char	   *identity = SessionIdentity();

	if (identity == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(identity));
}

/*
 * llm_audit.refuse(relation regclass, condition text, message text, hint text)
 *		Raises an error for the caller of a function of ours, of the condition
 *		insufficient_privilege or invalid_parameter_value, after it was put
 *		into the access log, where no rollback undoes it.
 */
Datum
llm_audit_refuse(PG_FUNCTION_ARGS)
{
	char	   *condition = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *message = text_to_cstring(PG_GETARG_TEXT_PP(2));
	char	   *hint = text_to_cstring(PG_GETARG_TEXT_PP(3));
	int			code = strcmp(condition, "insufficient_privilege") == 0 ?
	ERRCODE_INSUFFICIENT_PRIVILEGE : ERRCODE_INVALID_PARAMETER_VALUE;

	RecordRefusal(PG_GETARG_OID(0), "SELECT", code, message);
	ereport(ERROR,
			(errcode(code), errmsg_internal("%s", message),
			 errhint("%s", hint)));
	PG_RETURN_VOID();
}

void
DisclosureInit(void)
{
	DefineCustomIntVariable("llm_audit.disclosure_max_calls",
							"How many calls a disclosure may cover.",
							NULL,
							&disclosure_max_calls, 100000, 1, 10000000,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("llm_audit.disclosure_max_duration",
							"For how long a disclosure may be granted.",
							NULL,
							&disclosure_max_duration, 86400, 60, INT_MAX,
							PGC_SUSET, GUC_UNIT_S, NULL, NULL, NULL);
}
