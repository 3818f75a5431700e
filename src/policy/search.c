/*
 * search.c
 *	  Recording that somebody computes match tokens, before they are told.
 *
 * Whoever can compute tokens can test guesses, so each search is recorded in
 * a transaction that the searcher cannot roll back: by a dynamic background
 * worker, for which the search waits.  The worker also counts what the same
 * login has searched within the hour.  It is handed the request in a dynamic
 * shared memory segment, and answers there; nobody else writes to it, and
 * the searcher reads the answer after the worker has ended.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "policy/scan.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(llm_audit_record_search);

PGDLLEXPORT void llm_audit_search_main(Datum arg);

#define REASON_MAX 1024

typedef enum SearchAnswer
{
	SEARCH_NONE = 0,			/* the worker has failed */
	SEARCH_RECORDED,
	SEARCH_TOO_MANY
} SearchAnswer;

typedef struct SearchRequest
{
	Oid			database;
	Oid			session_user;
	int			limit;
	int			answer;			/* a SearchAnswer */
	char		entity[NAMEDATALEN];
	char		reason[REASON_MAX];
} SearchRequest;

/* Copies a text into room bytes, cut between characters. */
static void
CopyText(char *to, const text *from, size_t room)
{
	size_t		len = VARSIZE_ANY_EXHDR(from);

	len = pg_mbcliplen(VARDATA_ANY(from), len, room - 1);
	memcpy(to, VARDATA_ANY(from), len);
	to[len] = '\0';
}

/* Starts the worker and waits until it has ended; false if none can start. */
static bool
RunWorker(dsm_handle request)
{
	BackgroundWorker worker = {0};
	BackgroundWorkerHandle *handle;

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_main_arg = UInt32GetDatum(request);
	worker.bgw_notify_pid = MyProcPid;
	strlcpy(worker.bgw_library_name, "llm_audit", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "llm_audit_search_main", BGW_MAXLEN);
	strlcpy(worker.bgw_name, "llm_audit search recorder", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "llm_audit search recorder", BGW_MAXLEN);
	return RegisterDynamicBackgroundWorker(&worker, &handle) &&
		WaitForBackgroundWorkerShutdown(handle) == BGWH_STOPPED;
}

/*
 * llm_audit.record_search(entity text, reason text, most int) → void
 *		Records a search by identifier.  Errors: 42501 if the login has made
 *		as many within the hour, 55000 if it cannot be recorded.
 */
Datum
llm_audit_record_search(PG_FUNCTION_ARGS)
{
	dsm_segment *segment;
	SearchRequest *request;
	int			answer = SEARCH_NONE;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("searches by identifier cannot be recorded on a standby"),
				 errhint("Search on the primary.")));
	segment = dsm_create(sizeof(SearchRequest), 0);
	request = dsm_segment_address(segment);
	memset(request, 0, sizeof(*request));
	request->database = MyDatabaseId;
	request->session_user = GetSessionUserId();
	request->limit = PG_GETARG_INT32(2);
	if (!PG_ARGISNULL(0))
		CopyText(request->entity, PG_GETARG_TEXT_PP(0), sizeof(request->entity));
	CopyText(request->reason, PG_GETARG_TEXT_PP(1), sizeof(request->reason));
	if (RunWorker(dsm_segment_handle(segment)))
		answer = request->answer;
	dsm_detach(segment);
	if (answer == SEARCH_TOO_MANY)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("too many searches by identifier within an hour"),
				 errhint("The limit is \"%s\".", "llm_audit.match_token_limit")));
	if (answer != SEARCH_RECORDED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a search by identifier could not be recorded, so it is refused"),
				 errhint("The server log says why, or \"%s\" leaves no background worker.",
						 "max_worker_processes")));
	PG_RETURN_VOID();
}

/* ---------------- the worker ---------------- */

/* The value of the only row and column of a query about the login. */
static int64
CountSearches(Datum user)
{
	Oid			types[1] = {TEXTOID};
	bool		isnull;

	if (SPI_execute_with_args("SELECT count(*) FROM llm_audit.admin_event"
							  " WHERE recorded_at > pg_catalog.clock_timestamp() - interval '1 hour'"
							  " AND action = 'token.matched' AND actor_id = $1",
							  1, types, &user, NULL, true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not count searches");
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
									   SPI_tuptable->tupdesc, 1, &isnull));
}

/* One search of a login at a time, or a limit could be overrun. */
static void
LockLogin(Oid user)
{
	char		sql[100];

	snprintf(sql, sizeof(sql),
			 "SELECT pg_catalog.pg_advisory_xact_lock(%u, %u)",
			 hash_bytes_uint32(0x6C6D6173) >> 1, user >> 1);
	if (SPI_execute(sql, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not take a lock");
}

/* Inserts the event; the transaction is the caller's. */
static void
InsertSearch(const SearchRequest *request, Datum user)
{
	Oid			types[3] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		values[3];
	char		nulls[4] = "   ";

	values[0] = user;
	values[1] = CStringGetTextDatum(request->entity);
	values[2] = CStringGetTextDatum(request->reason);
	nulls[1] = request->entity[0] == '\0' ? 'n' : ' ';
	if (SPI_execute_with_args("INSERT INTO llm_audit.admin_event"
							  " (occurred_at, action, actor_id, actor_type,"
							  " organization_id, environment, target_type,"
							  " target_id, reason, outcome)"
							  " SELECT pg_catalog.clock_timestamp(),"
							  " 'token.matched', $1, 'human', 'default',"
							  " (SELECT coalesce(min(name) FILTER (WHERE name = 'prod'),"
							  " min(name)) FROM llm_audit.environment),"
							  " 'match_token', $2, $3, 'success'",
							  3, types, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not record a search");
}

/* Settings of the worker, whatever the database or role has. */
static void
SetWorkerOptions(void)
{
	SetConfigOption("lock_timeout", "10s", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("statement_timeout", "30s", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_read_only", "off", PGC_SUSET,
					PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_isolation", "read committed",
					PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_USERSET,
					PGC_S_OVERRIDE);
	SetConfigOption("synchronous_commit", "on", PGC_USERSET, PGC_S_OVERRIDE);
}

/*
 * The worker: records one search, or says that there were too many, and ends.
 */
void
llm_audit_search_main(Datum arg)
{
	dsm_segment *segment;
	SearchRequest *request;
	char	   *name;
	Datum		user;
	SearchAnswer answer = SEARCH_TOO_MANY;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	CurrentResourceOwner = ResourceOwnerCreate(NULL, "llm_audit search");
	segment = dsm_attach(DatumGetUInt32(arg));
	if (segment == NULL)
		elog(ERROR, "the search has been given up");
	dsm_pin_mapping(segment);
	request = dsm_segment_address(segment);
	BackgroundWorkerInitializeConnectionByOid(request->database, InvalidOid, 0);
	SetWorkerOptions();
	LedgerIsOwnWorker = true;
	StartTransactionCommand();
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, "recording a search by identifier");
	name = GetUserNameFromId(request->session_user, true);
	user = CStringGetTextDatum(name ? name : psprintf("%u", request->session_user));
	LockLogin(request->session_user);
	PopActiveSnapshot();
	PushActiveSnapshot(GetLatestSnapshot());
	if (CountSearches(user) < request->limit)
	{
		InsertSearch(request, user);
		answer = SEARCH_RECORDED;
	}
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	request->answer = answer;
	pgstat_report_activity(STATE_IDLE, NULL);
}
