/*
 * exempt.c
 *	  Functions of ours that read ledgers for a purpose of their own.
 *
 * Maintenance returns counts and bounds, never a row: what it reads is not
 * recorded.  Reports are recorded like any read, but their arguments say what
 * they are for.  Which function runs is known from fmgr_hook, so that it
 * holds for the queries of that function itself and not for what these cause
 * in turn (triggers, functions of others): those run one level deeper.
 */
#include "postgres.h"

#include "access/access.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "ledger/guard.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

typedef enum Exemption
{
	EXEMPT_NOT = 0,
	EXEMPT_FROM_REASON,
	EXEMPT_FROM_RECORD
} Exemption;

static const struct
{
	const char *name;
	Exemption	exemption;
}			functions[] =

{
	{"close_segment", EXEMPT_FROM_RECORD},
	{"readiness_defaults", EXEMPT_FROM_RECORD},
	{"match_token", EXEMPT_FROM_RECORD},
	{"verify", EXEMPT_FROM_RECORD},
	{"verify_summary", EXEMPT_FROM_RECORD},
	{"gap_report", EXEMPT_FROM_REASON},
	{"masking_report", EXEMPT_FROM_REASON}
};

/* A function of the list that is running. */
typedef struct ExemptFrame
{
	struct ExemptFrame *outer;
	Exemption	exemption;
	int			depth;			/* of the executor when it was called */
} ExemptFrame;

static needs_fmgr_hook_type prev_needs_fmgr_hook = NULL;
static fmgr_hook_type prev_fmgr_hook = NULL;
static ExemptFrame *frames = NULL;

/* What the function is exempt from. */
static Exemption
ExemptionOf(Oid function)
{
	Oid			schema;
	char	   *name;
	Exemption	result = EXEMPT_NOT;

	if (function < FirstNormalObjectId)
		return EXEMPT_NOT;
	schema = get_namespace_oid(LLM_AUDIT_SCHEMA, true);
	if (!OidIsValid(schema) || get_func_namespace(function) != schema)
		return EXEMPT_NOT;
	name = get_func_name(function);
	for (int i = 0; name != NULL && i < lengthof(functions); i++)
	{
		if (strcmp(functions[i].name, name) == 0 &&
			GuardOwnObject(ProcedureRelationId, function))
			result = functions[i].exemption;
	}
	if (name != NULL)
		pfree(name);
	return result;
}

static bool
ExemptNeedsHook(Oid function)
{
	return (prev_needs_fmgr_hook && prev_needs_fmgr_hook(function)) ||
		ExemptionOf(function) != EXEMPT_NOT;
}

/* Takes off the frames of functions that ended in an error further up. */
static void
PopFrame(void)
{
	ExemptFrame *frame = frames;

	if (frame == NULL)
		return;
	frames = frame->outer;
	pfree(frame);
}

/* Keeps a frame while a function of the list runs. */
static void
ExemptCall(FmgrHookEventType event, FmgrInfo *flinfo, Datum *arg)
{
	Exemption	exemption = ExemptionOf(flinfo->fn_oid);

	if (prev_fmgr_hook)
		prev_fmgr_hook(event, flinfo, arg);
	if (exemption == EXEMPT_NOT)
		return;
	if (event == FHET_START)
	{
		ExemptFrame *frame = MemoryContextAlloc(TopMemoryContext,
												sizeof(ExemptFrame));

		frame->outer = frames;
		frame->exemption = exemption;
		frame->depth = ExecutorDepth();
		frames = frame;
	}
	else
		PopFrame();
}

/* True if what starts now is a query of the innermost such function. */
static bool
FrameHolds(Exemption exemption)
{
	return frames != NULL && frames->exemption == exemption &&
		frames->depth == ExecutorDepth();
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
}
