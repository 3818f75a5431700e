/*
 * guard.c
 *	  The triggers that keep a ledger append-only.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"
#include "ledger/ledger.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(llm_audit_ledger_guard);

void
GuardInit(void)
{
}

/* Unknown: every row is looked for before the next one follows it. */
bool
StatementStoresEveryRow(void)
{
	return false;
}

/*
 * llm_audit.ledger_guard(), llm_audit.ledger_guard_row(): triggers
 *		Refuse UPDATE, DELETE and TRUNCATE on a ledger.
 */
Datum
llm_audit_ledger_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function was not called as a trigger")));
	if (PermitCurrent() == PERMIT_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("ledger \"%s\" is append-only",
						RelationGetRelationName(trigdata->tg_relation))));
	if (TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
		return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ?
							   trigdata->tg_newtuple : trigdata->tg_trigtuple);
	return PointerGetDatum(NULL);
}
