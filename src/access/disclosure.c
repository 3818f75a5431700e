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
