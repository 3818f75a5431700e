/*
 * exempt.c
 *	  Functions of ours that read ledgers for a purpose of their own.
 *
 * Maintenance returns counts and bounds, never a row: what it reads is not
 * recorded.  Parts of it that do tell something of rows are exempt where a
 * function of this list calls them, and are reads like any where somebody
 * does.  Reports are recorded, too, but their arguments say what they are for.
 * Which function runs is known from fmgr_hook, so that it
 * holds for the queries of that function itself and not for what these cause
 * in turn (triggers, functions of others): those run one level deeper.  All
 * our functions in SQL and PL/pgSQL are watched; they are called through the
 * same door anyway, since they set search_path.
 */
#include "postgres.h"

#include "access/access.h"
#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "ledger/guard.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

typedef enum Exemption
{
	EXEMPT_NOT = 0,
	EXEMPT_FROM_REASON,
	EXEMPT_FROM_RECORD,
	EXEMPT_INSIDE				/* like the one of ours that calls it */
} Exemption;

static const struct
{
	const char *name;
	Exemption	exemption;
}			functions[] =

{
	{"close_segment", EXEMPT_FROM_RECORD},
	{"append_closed", EXEMPT_FROM_RECORD},
	{"append_purged", EXEMPT_FROM_RECORD},
	{"readiness_defaults", EXEMPT_FROM_RECORD},
	{"match_token", EXEMPT_FROM_RECORD},
	{"row_preimage", EXEMPT_FROM_RECORD},	/* it records what it returns */
	{"verify", EXEMPT_FROM_RECORD},
	{"verify_summary", EXEMPT_FROM_RECORD},
	{"expired_fields", EXEMPT_FROM_RECORD},
	{"expire_fields", EXEMPT_FROM_RECORD},
	{"unfinished_erasures", EXEMPT_FROM_RECORD},
	{"rewrite_segment", EXEMPT_FROM_RECORD},
	{"forget_statistics", EXEMPT_FROM_RECORD},
	{"erasure_report", EXEMPT_FROM_RECORD},
	{"subject_parts", EXEMPT_INSIDE},
	{"subject_calls", EXEMPT_INSIDE},
	{"subject_rows", EXEMPT_INSIDE},
	{"erase_subject", EXEMPT_FROM_RECORD},
	{"day_is_final", EXEMPT_FROM_RECORD},
	{"summarise_day", EXEMPT_FROM_RECORD},
	{"days_to_summarise", EXEMPT_FROM_RECORD},
	{"is_summarised", EXEMPT_FROM_RECORD},
	{"describe_segment", EXEMPT_INSIDE},
	{"count_erasures", EXEMPT_FROM_RECORD},
	{"count_purged", EXEMPT_FROM_RECORD},
	{"archive_of", EXEMPT_FROM_RECORD},
	{"subject_loaded", EXEMPT_FROM_RECORD},
	{"subject_copies", EXEMPT_FROM_RECORD},
	{"maintenance_unit", EXEMPT_FROM_RECORD},
	{"open_incidents", EXEMPT_INSIDE},
	{"active_holds", EXEMPT_INSIDE},
	{"held_rows", EXEMPT_FROM_RECORD},
	{"segment_holds", EXEMPT_FROM_RECORD},
	{"hold_query", EXEMPT_FROM_RECORD},
	{"count_held", EXEMPT_FROM_RECORD},
	{"hold_report", EXEMPT_FROM_RECORD},
	{"require_unheld", EXEMPT_FROM_RECORD},
	{"segment_classes", EXEMPT_FROM_RECORD},
	{"segment_expiry", EXEMPT_FROM_RECORD},
	{"count_purgeable", EXEMPT_FROM_RECORD},
	{"receipt_of", EXEMPT_FROM_RECORD},
	{"record_purge", EXEMPT_FROM_RECORD},
	{"purge_lanes", EXEMPT_FROM_RECORD},
	{"purge_by_rows", EXEMPT_FROM_RECORD},
	{"purge_expired", EXEMPT_FROM_RECORD},
	{"purge_segment", EXEMPT_FROM_RECORD},
	{"purge_rows", EXEMPT_FROM_RECORD},
	{"purge_whole", EXEMPT_FROM_RECORD},
	{"purge", EXEMPT_FROM_RECORD},
	{"run_purge", EXEMPT_FROM_RECORD},
	{"begin_purge", EXEMPT_FROM_RECORD},
	{"drop_purged_segment", EXEMPT_FROM_RECORD},
	{"claim_purged", EXEMPT_FROM_RECORD},
	{"destroy_purged_keys", EXEMPT_FROM_RECORD},
	{"rows_to_archive", EXEMPT_FROM_RECORD},
	{"due_purge", EXEMPT_FROM_RECORD},
	{"is_due", EXEMPT_FROM_RECORD},
	{"summarise_segment", EXEMPT_FROM_RECORD},
	{"was_archived", EXEMPT_FROM_RECORD},
	{"place_hold", EXEMPT_FROM_RECORD},
	{"release_hold", EXEMPT_FROM_RECORD},
	{"retention_effect", EXEMPT_FROM_RECORD},
	{"purge_obstacle", EXEMPT_FROM_RECORD},
	{"ended_segments", EXEMPT_FROM_RECORD},
	{"gap_report", EXEMPT_FROM_REASON},
	{"cost_report", EXEMPT_FROM_REASON},
	{"subject_report", EXEMPT_FROM_REASON},
	{"masking_report", EXEMPT_FROM_REASON}
};

/* A function of the list that is running. */
typedef struct ExemptFrame
{
	struct ExemptFrame *outer;
	bool		ours;			/* not an event trigger of others */
	Exemption	exemption;
	int			depth;			/* of the executor when it was called */
} ExemptFrame;

static needs_fmgr_hook_type prev_needs_fmgr_hook = NULL;
static fmgr_hook_type prev_fmgr_hook = NULL;
static ExemptFrame *frames = NULL;

/*
 * Functions that are known not to be watched, by what their pg_proc row says:
 * every statement asks about those that it calls.
 */
static Oid	unwatched[64];
static uint64 changes = 0;		/* of any function or schema */

/* Syscache callback: functions may not be what they were. */
static void
ForgetFunctions(Datum arg, int cacheid, uint32 hashvalue)
{
	changes++;
	memset(unwatched, 0, sizeof(unwatched));
}

/* What a function of that name is exempt from. */
static Exemption
ExemptionByName(const char *name)
{
	for (int i = 0; i < lengthof(functions); i++)
	{
		if (strcmp(functions[i].name, name) == 0)
			return functions[i].exemption;
	}
	return EXEMPT_NOT;
}

/*
 * True for the functions of ours to watch: those in SQL and PL/pgSQL that are
 * called through a wrapper anyway, and those in C that run queries.
 */
static bool
RowIsWatched(Form_pg_proc proc, bool wrapped)
{
	const char *name = NameStr(proc->proname);

	if (proc->prolang != ClanguageId)
		return wrapped;
	return ExemptionByName(name) != EXEMPT_NOT;
}

/* True for functions that are to be watched if they are ours. */
static bool
LooksWatched(Oid function)
{
	Oid			schema = get_namespace_oid(LLM_AUDIT_SCHEMA, true);
	HeapTuple	tuple;
	Form_pg_proc proc;
	bool		watched;

	if (!OidIsValid(schema))
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return false;
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	watched = proc->prorettype == EVENT_TRIGGEROID ||
		(proc->pronamespace == schema &&
		 RowIsWatched(proc, !heap_attisnull(tuple, Anum_pg_proc_proconfig, NULL)));
	ReleaseSysCache(tuple);
	return watched;
}

/* True for functions whose calls are watched. */
static bool
IsWatched(Oid function)
{
	Oid		   *known = &unwatched[function % lengthof(unwatched)];
	uint64		before = changes;

	if (function < FirstNormalObjectId || *known == function)
		return false;
	if (LooksWatched(function))
		return GuardOwnObject(ProcedureRelationId, function) ||
			get_func_rettype(function) == EVENT_TRIGGEROID;
	if (before == changes)
		*known = function;
	return false;
}

/* What a function of ours is exempt from when it is called now. */
static Exemption
ExemptionOf(Oid function)
{
	char	   *name = get_func_name(function);
	Exemption	result = name == NULL ? EXEMPT_NOT : ExemptionByName(name);

	if (name != NULL)
		pfree(name);
	if (result != EXEMPT_INSIDE)
		return result;
	return frames != NULL && frames->exemption != EXEMPT_NOT ?
		EXEMPT_FROM_RECORD : EXEMPT_NOT;
}

static bool
ExemptNeedsHook(Oid function)
{
	return (prev_needs_fmgr_hook && prev_needs_fmgr_hook(function)) ||
		IsWatched(function);
}

/*
 * Keeps a frame while a watched function runs.  arg is the call's own: it is
 * what START leaves in it that says whether there is a frame to take off, so
 * that nothing is looked up after an error.
 */
static void
ExemptCall(FmgrHookEventType event, FmgrInfo *flinfo, Datum *arg)
{
	ExemptFrame *frame;

	if (prev_fmgr_hook)
	{
		/* one private value for all: only the innermost hook may use it */
		Datum		none = (Datum) 0;

		prev_fmgr_hook(event, flinfo, &none);
	}
	if (event == FHET_START)
	{
		*arg = (Datum) 0;
		if (!IsWatched(flinfo->fn_oid))
			return;
		frame = MemoryContextAlloc(TopMemoryContext, sizeof(ExemptFrame));
		frame->outer = frames;
		frame->ours = GuardOwnObject(ProcedureRelationId, flinfo->fn_oid);
		frame->exemption = frame->ours ? ExemptionOf(flinfo->fn_oid) :
			EXEMPT_NOT;
		frame->depth = ExecutorDepth();
		frames = frame;
		*arg = PointerGetDatum(frame);
		return;
	}
	frame = (ExemptFrame *) DatumGetPointer(*arg);
	if (frame == NULL)
		return;
	frames = frame->outer;
	pfree(frame);
	*arg = (Datum) 0;
}

/* True if what starts now is a query of the innermost such function. */
static bool
FrameHolds(Exemption exemption)
{
	return frames != NULL && frames->exemption == exemption &&
		frames->depth == ExecutorDepth();
}

bool
OwnFunctionRuns(void)
{
	return frames != NULL && frames->ours && frames->depth == ExecutorDepth();
}

bool
ReadIsExempt(void)
{
	return FrameHolds(EXEMPT_FROM_RECORD);
}

bool
ReadNeedsNoReason(void)
{
	return FrameHolds(EXEMPT_FROM_REASON);
}

void
ExemptInit(void)
{
	prev_needs_fmgr_hook = needs_fmgr_hook;
	needs_fmgr_hook = ExemptNeedsHook;
	prev_fmgr_hook = fmgr_hook;
	fmgr_hook = ExemptCall;
	CacheRegisterSyscacheCallback(PROCOID, ForgetFunctions, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, ForgetFunctions, (Datum) 0);
}
