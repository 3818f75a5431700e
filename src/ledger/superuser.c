/*
 * superuser.c
 *	  Running constant queries of ours as the bootstrap superuser, for callers
 *	  who have no right to what these read or write themselves.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "ledger/ledger.h"
#include "miscadmin.h"
#include "utils/guc.h"

void
BecomeSuperuser(FormerUser *former)
{
	former->nest = NewGUCNestLevel();
	GetUserIdAndSecContext(&former->user, &former->security);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   former->security | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
}

void
BecomeFormer(const FormerUser *former)
{
	AtEOXact_GUC(true, former->nest);
	SetUserIdAndSecContext(former->user, former->security);
}
