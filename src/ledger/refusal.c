/*
 * refusal.c
 *	  The error that refuses a change, and the record that it was tried.
 *
 * The attempt's own transaction rolls back, so the event is written by a
 * dynamic background worker in a transaction of its own, which the attempt
 * does not wait for.  Each backend starts one worker per second at most, and
 * none where no slot is free: the line in the server log is always there.
 * Neither the line nor the event has anything of the statement but names.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "ledger/guard.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PGDLLEXPORT void llm_audit_refusal_main(Datum arg);

#define WORKER_INTERVAL_MS	1000

/*
 * What is refused.  Names only, never values: object_type and name make the
 * message, target is what the event names (NULL: the same).
 */
typedef struct Refusal
{
	GuardAction action;
	const char *object_type;
	const char *name;
	const char *target;
	const char *detail;
	const char *hint;			/* NULL: the one of the action */
} Refusal;

/* What the worker needs, small enough for bgw_extra. */
typedef struct RefusalRecord
{
	Oid			database;
	Oid			session_user;
	int			action;			/* a GuardAction */
	char		target[BGW_EXTRALEN - 2 * sizeof(Oid) - sizeof(int)];
} RefusalRecord;

/* What each action is called, and the door that exists for it. */
static const struct
{
	const char *verb;
	const char *hint;
}			actions[] =

{
	[GUARD_UPDATE] = {
		"update",
		"Record a correction as a new row. Values of erasable columns go through llm_audit.erase_subject() and by their periods, a ledger as a whole through llm_audit.drop_ledger() or llm_audit.uninstall()."
	},
	[GUARD_DELETE] = {
		"delete from",
		"Rows that have expired go through llm_audit.purge(), a ledger as a whole through llm_audit.drop_ledger() or llm_audit.uninstall()."
	},
	[GUARD_TRUNCATE] = {
		"truncate",
		"Rows that have expired go through llm_audit.purge(), a ledger as a whole through llm_audit.drop_ledger() or llm_audit.uninstall()."
	},
	[GUARD_MERGE] = {
		"merge into",
		"Use INSERT, with ON CONFLICT DO NOTHING for retries."
	},
	[GUARD_UPSERT] = {
		"update",
		"Use ON CONFLICT DO NOTHING without a conflict target."
	},
	[GUARD_DROP] = {
		"drop",
		"The only doors are llm_audit.drop_ledger() and llm_audit.uninstall()."
	},
	[GUARD_DROP_PART] = {
		"drop a part of",
		"It goes with the ledger; the only doors are llm_audit.drop_ledger() and llm_audit.uninstall()."
	},
	[GUARD_ALTER] = {
		"alter",
		"Allowed on a ledger are SET STATISTICS, storage parameters, SET TABLESPACE, VALIDATE CONSTRAINT, SET or DROP DEFAULT of its own columns, and ADD COLUMN without a default. It goes away through llm_audit.drop_ledger() or llm_audit.uninstall() only."
	},
	[GUARD_RULE] = {
		"create a rule on",
		"Nothing may change what is recorded. A ledger goes away through llm_audit.drop_ledger() or llm_audit.uninstall() only."
	},
	[GUARD_TRIGGER] = {
		"create a trigger on",
		"AFTER triggers with names and functions of their own are allowed; those of llm_audit are made by it and by a restored dump."
	},
	[GUARD_UNIQUE] = {
		"create a unique index on",
		"A key that contains id, or chain_lane and chain_seq, is allowed. A superuser who restores a dump may set \"llm_audit.restore\"."
	},
	[GUARD_REPLACE] = {
		"replace",
		"Functions of llm_audit change by ALTER EXTENSION llm_audit UPDATE only; llm_audit.uninstall() takes it away."
	},
	[GUARD_COPY] = {
		"copy an erasable column of",
		"Index or sample other columns, or the match tokens; SET STATISTICS 0 is allowed. The whole ledger goes away through llm_audit.drop_ledger() only."
	},
	[GUARD_RUN] = {
		"run a function on the rows of",
		"Functions of PostgreSQL and those in C are allowed; queries may call any, since they are recorded. A superuser who restores a dump may set \"llm_audit.restore\"."
	}
};

static TimestampTz last_worker = 0;

/* True if llm_audit.admin_event is there to record in. */
static bool
CanRecord(void)
{
	Oid			schema = get_namespace_oid(LLM_AUDIT_SCHEMA, true);
	Oid			relid;

	if (!OidIsValid(schema) || RecoveryInProgress())
		return false;
	relid = get_relname_relid("admin_event", schema);
	return OidIsValid(relid) && GuardKind(relid) == LEDGER_REL_ROOT;
}

/*
 * Starts a worker that records the refusal, if one may be started now.  It
 * waits for nothing and raises nothing.
 */
static void
StartRecorder(GuardAction action, const char *target)
{
	BackgroundWorker worker = {0};
	RefusalRecord record = {0};
	TimestampTz now = GetCurrentTimestamp();

	StaticAssertStmt(sizeof(RefusalRecord) <= BGW_EXTRALEN,
					 "RefusalRecord does not fit");
	if (!TimestampDifferenceExceeds(last_worker, now, WORKER_INTERVAL_MS) ||
		!CanRecord())
		return;
	last_worker = now;

	record.database = MyDatabaseId;
	record.session_user = GetSessionUserId();
	record.action = action;
	memcpy(record.target, target,
		   pg_mbcliplen(target, strlen(target), sizeof(record.target) - 1));

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "llm_audit", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "llm_audit_refusal_main", BGW_MAXLEN);
	strlcpy(worker.bgw_name, "llm_audit refusal recorder", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "llm_audit refusal recorder", BGW_MAXLEN);
	memcpy(worker.bgw_extra, &record, sizeof(record));
	(void) RegisterDynamicBackgroundWorker(&worker, NULL);
}

static void RefusalRaise(const Refusal *refusal) pg_attribute_noreturn();

/* Raises what was refused, after its record was asked for. */
static void
RefusalRaise(const Refusal *refusal)
{
	const char *verb = actions[refusal->action].verb;
	const char *target = refusal->target ? refusal->target : refusal->name;

	ereport(LOG,
			(errmsg("llm_audit: session user \"%s\" was refused to %s %s \"%s\"",
					GetUserNameFromId(GetSessionUserId(), true),
					verb, refusal->object_type, target),
			 errhidestmt(true), errhidecontext(true)));
	StartRecorder(refusal->action, target);

	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("cannot %s %s \"%s\"", verb, refusal->object_type,
					refusal->name),
			 refusal->detail ? errdetail("%s", refusal->detail) : 0,
			 errhint("%s", refusal->hint ? refusal->hint :
					 actions[refusal->action].hint),
			 errhidestmt(true)));
}

void
RefuseObject(GuardAction action, const char *object_type, const char *name)
{
	Refusal		refusal = {
		.action = action,.object_type = object_type,.name = name ? name : "?"
	};

	RefusalRaise(&refusal);
}

void
RefuseRelation(GuardAction action, Oid relid, const char *detail)
{
	Refusal		refusal = {.action = action};
	LedgerRelationKind kind = GuardKind(relid);
	char	   *name = get_rel_name(relid);
	char	   *schema = get_namespace_name(get_rel_namespace(relid));

	refusal.object_type = kind == LEDGER_REL_CONFIG ? "configuration table" :
		kind == LEDGER_REL_INDEX ? "index of a ledger" : "ledger";
	refusal.name = name ? name : "?";
	refusal.target = schema ? psprintf("%s.%s", schema, refusal.name) : NULL;
	refusal.detail = detail ? detail :
		kind == LEDGER_REL_CONFIG ? NULL :
		"Its rows are evidence: they can be added, not changed or removed.";
	RefusalRaise(&refusal);
}

/* ---------------- the worker ---------------- */

/* Inserts the event; the transaction is the caller's. */
static void
InsertEvent(const RefusalRecord *record)
{
	Oid			types[3] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		values[3];
	char	   *user = GetUserNameFromId(record->session_user, true);

	if (user == NULL)
		user = psprintf("%u", record->session_user);
	values[0] = CStringGetTextDatum(user);
	values[1] = CStringGetTextDatum(record->target);
	values[2] = CStringGetTextDatum(actions[record->action].verb);

	/* a database role says who connected, not which person that was */
	if (SPI_execute_with_args("INSERT INTO llm_audit.admin_event"
							  " (occurred_at, action, actor_id, actor_type,"
							  " organization_id, environment, target_type,"
							  " target_id, \"after\", outcome)"
							  " SELECT pg_catalog.clock_timestamp(),"
							  " 'ledger.change_refused', $1, 'service', 'default',"
							  " (SELECT coalesce(min(name) FILTER (WHERE name = 'prod'),"
							  " min(name)) FROM llm_audit.environment),"
							  " 'ledger', $2,"
							  " pg_catalog.jsonb_build_object('attempted', $3),"
							  " 'denied'",
							  3, types, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not record a refused change");
}

/*
 * The worker: records one refusal and ends.  Whatever fails is an error in
 * the server log.
 */
void
llm_audit_refusal_main(Datum arg)
{
	RefusalRecord record;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	memcpy(&record, MyBgworkerEntry->bgw_extra, sizeof(record));
	record.target[sizeof(record.target) - 1] = '\0';

	BackgroundWorkerInitializeConnectionByOid(record.database, InvalidOid, 0);
	SetConfigOption("lock_timeout", "10s", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("statement_timeout", "30s", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_read_only", "off", PGC_SUSET,
					PGC_S_OVERRIDE);
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_USERSET,
					PGC_S_OVERRIDE);
	SetConfigOption("synchronous_commit", "on", PGC_USERSET, PGC_S_OVERRIDE);

	StartTransactionCommand();
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, "recording a refused change");
	if (ExtensionInstalled() && CanRecord())
		InsertEvent(&record);
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_activity(STATE_IDLE, NULL);
}
