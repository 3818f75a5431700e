/*
 * llm_audit.c
 *	  Loading: settings and hooks, in the order in which they depend on each
 *	  other.  Reading a setting, which has to load us first.
 */
#include "postgres.h"

#include <limits.h>

#include "access/access.h"
#include "access/disclosure.h"
#include "access/twophase.h"
#include "fmgr.h"
#include "ledger/ledger.h"
#include "ledger/scope.h"
#include "ledger/verify.h"
#include "llm_audit.h"
#include "miscadmin.h"
#include "policy/policy.h"
#include "utils/builtins.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(llm_audit_setting);

int			llm_audit_max_lanes = -1;
int			llm_audit_seal_grace = 3600;
int			llm_audit_ddl_lock_timeout = 100;
bool		llm_audit_restore = false;
bool		llm_audit_allow_unknown_actions = false;
static bool llm_audit_accept_members = false;
static char *llm_audit_archive_directory = NULL;
static int	llm_audit_purge_load = 25;

static bool preloaded = false;

void		_PG_init(void);

bool
RestoreMode(void)
{
	return llm_audit_restore &&
		(superuser() || superuser_arg(GetSessionUserId()));
}

int
MaxLanes(void)
{
	if (llm_audit_max_lanes > 0)
		return llm_audit_max_lanes;
	return 4 * MaxConnections + max_prepared_xacts;
}

bool
Preloaded(void)
{
	return preloaded;
}

/* Defines the settings; docs/dba.md says more about each. */
static void
DefineSettings(void)
{
	DefineCustomIntVariable("llm_audit.max_lanes",
							"Most lanes that a ledger segment may have.",
							"An insert that finds all of them in use fails. -1 means 4 * max_connections + max_prepared_transactions.",
							&llm_audit_max_lanes, -1, -1, INT_MAX,
							PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("llm_audit.seal_grace",
							"How long after its end a segment may be closed.",
							NULL,
							&llm_audit_seal_grace, 3600, 0, INT_MAX,
							PGC_SUSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("llm_audit.ddl_lock_timeout",
							"How long making or closing a segment waits for a lock before it retries.",
							"No writer waits longer than this behind maintenance.",
							&llm_audit_ddl_lock_timeout, 100, 1, INT_MAX,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomBoolVariable("llm_audit.restore",
							 "Accepts rows that carry their chain columns, after checking their hash.",
							 "For pg_restore --data-only; new rows are refused while it is on.",
							 &llm_audit_restore, false,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("llm_audit.allow_unknown_actions",
							 "Accepts admin events whose action is not in llm_audit.action_type.",
							 NULL,
							 &llm_audit_allow_unknown_actions, false,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("llm_audit.accept_members",
							 "Lets CREATE EXTENSION take roles of llm_audit over whose members no superuser let in.",
							 NULL,
							 &llm_audit_accept_members, false,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("llm_audit.archive_directory",
							   "Directory in which run_maintenance() writes archives.",
							   "An absolute path outside the data directory. Without it, what has to be archived before it is purged stays.",
							   &llm_audit_archive_directory, "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY,
							   NULL, NULL, NULL);
	DefineCustomIntVariable("llm_audit.purge_load",
							"Share of the time that run_purge() and run_maintenance() spend on deleting rows one by one.",
							"In percent; they pause between batches for the rest, so that writers go on. 100: no pauses.",
							&llm_audit_purge_load, 25, 1, 100,
							PGC_USERSET, 0, NULL, NULL, NULL);
	PolicyInit();
	AccessDefineSettings();
	MarkGUCPrefixReserved("llm_audit");
}

void
_PG_init(void)
{
	preloaded = process_shared_preload_libraries_in_progress;
	DefineSettings();
	RegistryInit();
	ScopeInit();
	DisclosureInit();
	ChainInit();
	LaneTurnInit();
	VerifyShmemInit();
	GuardInit();
	AccessInit();
}

/*
 * llm_audit.setting(name text) -> text
 *		The value of llm_audit.<name>, with its unit.  In a session that has
 *		not loaded the library, current_setting() would fail; calling this
 *		has loaded it.  Raises 42704 for a setting that does not exist.
 */
Datum
llm_audit_setting(PG_FUNCTION_ARGS)
{
	char	   *name = psprintf("llm_audit.%s",
								text_to_cstring(PG_GETARG_TEXT_PP(0)));
	char	   *value = GetConfigOptionByName(name, NULL, false);

	PG_RETURN_TEXT_P(cstring_to_text(value));
}
