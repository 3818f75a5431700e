/*
 * event.c
 *	  Admin events of commands: what the hook has noted goes into admin_event
 *	  in the command's own transaction, as the owner of that ledger.
 */
#include "postgres.h"

#include "access/access.h"
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "ledger/guard.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

void
AdminEventAdd(List **events, const char *action, const char *target_type,
			  char *target, char *details)
{
	AdminEvent *event = palloc0(sizeof(AdminEvent));

	event->action = action;
	event->target_type = target_type;
	event->target = target;
	event->details = details;
	*events = lappend(*events, event);
}

/* The owner of llm_audit.admin_event, or InvalidOid without setup(). */
static Oid
EventOwner(void)
{
	Oid			relid = get_relname_relid("admin_event",
										  get_namespace_oid(LLM_AUDIT_SCHEMA, true));
	HeapTuple	tuple;
	Oid			owner;

	if (!OidIsValid(relid) || GuardKind(relid) != LEDGER_REL_ROOT)
		return InvalidOid;
	if (!OidIsValid(get_trigger_oid(relid, "llm_audit_insert", true)))
		return InvalidOid;		/* a dump is being restored */
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* Visitor: keeps prod, or the first environment by name. */
static void
EnvironmentVisit(HeapTuple tuple, TupleDesc desc, void *arg)
{
	char	  **kept = arg;
	bool		isnull;
	char	   *name = TextDatumGetCString(heap_getattr(tuple, 1, desc, &isnull));

	if (*kept == NULL || strcmp(name, "prod") == 0 ||
		(strcmp(*kept, "prod") != 0 && strcmp(name, *kept) < 0))
		*kept = name;
}

/* Inserts one event; the current user may do so. */
static void
InsertEvent(const AdminEvent *event)
{
	Oid			types[7] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[7];
	char		nulls[] = "       ";
	char	   *environment = NULL;
	const char *reason = ReaderSettingGet(READER_REASON);
	const char *ticket = ReaderSettingGet(READER_TICKET);

	ConfigScan("environment", NULL, 0, EnvironmentVisit, &environment);
	values[6] = CStringGetTextDatum(environment ? environment : "");
	values[0] = CStringGetTextDatum(event->action);
	values[1] = CStringGetTextDatum(event->target_type);
	values[2] = CStringGetTextDatum(event->target);
	values[3] = CStringGetTextDatum(reason ? reason : "no reason given");
	nulls[4] = event->details == NULL ? 'n' : ' ';
	values[4] = event->details == NULL ? (Datum) 0 :
		CStringGetTextDatum(event->details);
	nulls[5] = ticket == NULL ? 'n' : ' ';
	values[5] = ticket == NULL ? (Datum) 0 : CStringGetTextDatum(ticket);
	if (SPI_execute_with_args("INSERT INTO llm_audit.admin_event"
							  " (occurred_at, action, actor_id, actor_type,"
							  " organization_id, environment, target_type,"
							  " target_id, reason, \"after\", ticket, outcome)"
							  " SELECT pg_catalog.clock_timestamp(), $1,"
							  " session_user, 'human', 'default',"
							  " $7, $2, $3, $4, $5::pg_catalog.jsonb, $6, 'success'",
							  7, types, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not record an event");
}

/* Inserts the events; they are new, also where old rows are restored. */
static void
InsertEvents(List *events)
{
	bool		restore = llm_audit_restore;
	ListCell   *lc;

	PG_TRY();
	{
		llm_audit_restore = false;
		foreach(lc, events)
			InsertEvent(lfirst(lc));
	}
	PG_FINALLY();
	{
		llm_audit_restore = restore;
	}
	PG_END_TRY();
}

void
AdminEventsRecord(List *events)
{
	Oid			owner;
	Oid			user;
	int			security;

	if (events == NIL)
		return;
	CommandCounterIncrement();
	owner = EventOwner();
	if (!OidIsValid(owner))
		return;
	/* an error puts the user back by ending the (sub)transaction */
	GetUserIdAndSecContext(&user, &security);
	/* pg_restore turns row security on before all of its policies are there */
	SetUserIdAndSecContext(owner, security | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	PushActiveSnapshot(GetTransactionSnapshot());
	InsertEvents(events);
	PopActiveSnapshot();
	SPI_finish();
	SetUserIdAndSecContext(user, security);
}

void
AdminEventsRecordOrWarn(List *events)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		AdminEventsRecord(events);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		int			error = geterrcode();

		MemoryContextSwitchTo(context);
		/* not what asks the command itself to stop */
		if (ERRCODE_TO_CATEGORY(error) == ERRCODE_OPERATOR_INTERVENTION)
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		ereport(WARNING,
				(errcode(error),
				 errmsg("the change of a setting could not be recorded in \"%s\"",
						"admin_event")));
	}
	PG_END_TRY();
}
