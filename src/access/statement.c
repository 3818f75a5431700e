/*
 * statement.c
 *	  Statements that read sensitive relations, from their start to their
 *	  outcome.
 *
 * A statement is noted when its executor starts, recorded before its first
 * row (by the hook at once, or by the guard when it is called) and followed
 * until its executor ends, or its transaction does: a portal whose transaction
 * is rolled back never gets to ExecutorEnd.  Memory is the statement's own,
 * below TopMemoryContext, because outcomes are written when everything else
 * of the transaction has gone.  Outcomes wait for nobody.
 */
#include "postgres.h"

#include "access/access.h"
#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "ledger/scope.h"
#include "miscadmin.h"
#include "replication/walsender.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define POST_WAIT_MS	1000	/* for room in the ring, without a record */
#define SEEN_PER_ENTRY	500
#define SEEN_BYTES		(32 * 1024)
#define SEEN_MAX		5000	/* rows kept before they are written */

static AccessStatement *statements = NULL;

/* ---------------- finding them ---------------- */

AccessStatement *
StatementOf(const QueryDesc *query)
{
	for (AccessStatement *s = statements; s != NULL; s = s->next)
	{
		if (s->query == query)
			return s;
	}
	return NULL;
}

/* Takes a statement out of the list and frees it. */
static void
Unlink(AccessStatement *statement)
{
	AccessStatement **at = &statements;

	while (*at != NULL && *at != statement)
		at = &(*at)->next;
	if (*at != NULL)
		*at = statement->next;
	MemoryContextDelete(statement->context);
}

/* A new one in the list. */
static AccessStatement *
StatementCreate(void)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "llm_audit read",
												  ALLOCSET_SMALL_SIZES);
	AccessStatement *statement = MemoryContextAllocZero(context,
														sizeof(AccessStatement));

	statement->context = context;
	statement->subid = GetCurrentSubTransactionId();
	statement->started = GetCurrentTimestamp();
	statement->nested = ExecutorDepth() > 0;
	statement->next = statements;
	statements = statement;
	return statement;
}

/*
 * StatementBegin: notes a statement that names sensitive relations, whose
 * executor has started.
 */
AccessStatement *
StatementBegin(QueryDesc *query)
{
	AccessStatement *statement;
	MemoryContext old;

	StatementForget(query);
	statement = StatementCreate();
	statement->query = query;
	statement->plan = query->plannedstmt;
	statement->text = query->sourceText;
	statement->location = query->plannedstmt->stmt_location;
	statement->length = query->plannedstmt->stmt_len;
	old = MemoryContextSwitchTo(statement->context);
	ExaminePlan(query->plannedstmt, &statement->examined);
	MemoryContextSwitchTo(old);
	return statement;
}

/* An older statement at the same address was never ended. */
void
StatementForget(const QueryDesc *query)
{
	AccessStatement *old;

	while ((old = StatementOf(query)) != NULL)
		StatementEnd(old);
}

/* ---------------- putting records ---------------- */

/* The ring to record in, or an error that says why there is none. */
AccessRing *
RequireRing(void)
{
	AccessRing *ring;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("audit data cannot be read on a standby"),
				 errdetail("A read has to be recorded before its first row, and a standby cannot write."),
				 errhint("Read it on the primary.")));
	if (IsParallelWorker())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("audit data cannot be read in a parallel worker"),
				 errhint("A function that reads it must not be PARALLEL SAFE.")));
	if (!Preloaded())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("audit data cannot be read: llm_audit is not preloaded"),
				 errhint("Add llm_audit to \"%s\" and restart the server.",
						 "shared_preload_libraries")));
	ring = RingMine();
	if (ring == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("audit data cannot be read: this database is not listed in \"%s\"",
						"llm_audit.databases"),
				 errhint("Add the database to \"%s\" in postgresql.conf and restart the server.",
						 "llm_audit.databases")));
	return ring;
}

/* The ring, if there is one that can be used now, else NULL. */
static AccessRing *
PossibleRing(void)
{
	if (!Preloaded() || RecoveryInProgress() || IsParallelWorker())
		return NULL;
	return RingMine();
}

RingMessage
MakeMessage(EntryKind kind, const StringInfoData *buf)
{
	RingMessage message = {.kind = kind};

	RecordId(&message.id);
	message.payload = buf->data;
	message.length = buf->len;
	if (message.length > ENTRY_PAYLOAD_MAX)
		elog(ERROR, "record of the access log is too long");
	return message;
}

void
StatementRefused(AccessStatement *statement, int sqlstate, const char *why)
{
	AccessRing *ring = PossibleRing();
	StringInfoData buf;
	RingMessage message;

	if (ring == NULL)
		return;
	initStringInfo(&buf);
	PackStatement(&buf, statement, why, sqlstate);
	message = MakeMessage(ENTRY_STATEMENT, &buf);
	(void) RingPost(ring, &message, 0);
	pfree(buf.data);
}

/* Refuses a read that needs a reason and has none. */
static void
RequireReason(AccessStatement *statement)
{
	if (ReaderSettingGet(READER_REASON) != NULL)
		return;
	StatementRefused(statement, ERRCODE_INVALID_PARAMETER_VALUE, "no reason");
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a reason is needed to read audit data"),
			 errhint("SET LOCAL llm_audit.reason = '...' in the same transaction; SET without LOCAL does not count.")));
}

/* True if every grant is in the record already. */
static bool
DisclosuresAreRecorded(const AccessStatement *statement, List *disclosures)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, disclosures)
	{
		bool		found = false;

		foreach(lc2, statement->disclosures)
			found |= memcmp(lfirst(lc), lfirst(lc2), UUID_LEN) == 0;
		if (!found)
			return false;
	}
	return true;
}

/* Remembers what an outcome and rows seen have to repeat. */
static void
RememberReader(AccessStatement *statement)
{
	MemoryContext old = MemoryContextSwitchTo(statement->context);
	const char *reader = ReaderSettingGet(READER_READER);

	statement->login = GetUserNameFromId(GetSessionUserId(), false);
	statement->organization = ScopeOrganization(GetSessionUserId());
	statement->reader = reader ? pstrdup(reader) : NULL;
	MemoryContextSwitchTo(old);
}

/* Puts the record into the ring and waits for it. */
static void
WriteRecord(AccessStatement *statement, AccessRing *ring)
{
	StringInfoData buf;
	RingMessage message;
	bool		written = false;

	/* who catches the error below has nothing yet */
	statement->acknowledged = false;
	initStringInfo(&buf);
	PackStatement(&buf, statement, NULL, 0);
	message = MakeMessage(ENTRY_STATEMENT, &buf);
	PG_TRY();
	{
		RingRecord(ring, &message, &written);
	}
	PG_FINALLY();
	{
		/* later records of the statement belong to the first one */
		if (written && !statement->recorded)
		{
			statement->id = message.id;
			statement->recorded = true;
		}
	}
	PG_END_TRY();
	statement->acknowledged = true;
	pfree(buf.data);
}

void
StatementRecord(AccessStatement *statement, bool needs_reason,
				List *disclosures)
{
	AccessRing *ring = RequireRing();
	MemoryContext old;
	ListCell   *lc;

	if (needs_reason)
		RequireReason(statement);
	if (statement->acknowledged &&
		DisclosuresAreRecorded(statement, disclosures))
		return;
	old = MemoryContextSwitchTo(statement->context);
	foreach(lc, disclosures)
	{
		pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

		memcpy(id, lfirst(lc), sizeof(pg_uuid_t));
		statement->disclosures = lappend(statement->disclosures, id);
	}
	MemoryContextSwitchTo(old);
	RememberReader(statement);
	WriteRecord(statement, ring);
}

/* ---------------- rows that were seen ---------------- */

/* Puts a message with rows into the ring and waits; says if it is written. */
static void
RecordSeen(AccessStatement *statement, const RingMessage *message, int end)
{
	bool		written = false;

	PG_TRY();
	{
		RingRecord(RequireRing(), message, &written);
	}
	PG_FINALLY();
	{
		/* what was given up is put in again when the statement ends */
		if (written)
			statement->seen_first = end;
	}
	PG_END_TRY();
}

/* Puts the next count rows into the ring. */
static void
WriteSeen(AccessStatement *statement, int count, bool wait)
{
	AccessRing *ring = PossibleRing();
	int			end = statement->seen_first + count;
	StringInfoData buf;
	RingMessage message;

	initStringInfo(&buf);
	PackSeen(&buf, statement, statement->seen_first, count);
	message = MakeMessage(ENTRY_ROWS, &buf);
	if (wait)
		RecordSeen(statement, &message, end);
	else if (ring == NULL || !RingPost(ring, &message, POST_WAIT_MS))
		ereport(LOG,
				(errmsg("llm_audit: the queue of the access log is full, and %d rows that were seen are not recorded",
						count),
				 errhidestmt(true), errhidecontext(true)));
	statement->seen_first = end;
	pfree(buf.data);
}

/* How many of the rows that are left fit into one entry. */
static int
SeenThatFit(const AccessStatement *statement)
{
	int			first = statement->seen_first;
	int			bytes = 0;
	int			count = 0;

	while (first + count < statement->seen_count && count < SEEN_PER_ENTRY &&
		   bytes < SEEN_BYTES)
	{
		const char *request = statement->seen[first + count].request_id;

		bytes += UUID_LEN + sizeof(int32) + (request ? strlen(request) : 0);
		count++;
	}
	return count;
}

void
StatementFlushSeen(AccessStatement *statement, bool wait)
{
	while (statement->seen_first < statement->seen_count)
		WriteSeen(statement, SeenThatFit(statement), wait);
	statement->seen_count = 0;
	statement->seen_first = 0;
	if (statement->seen_context != NULL)
		MemoryContextReset(statement->seen_context);
	statement->seen = NULL;
	statement->seen_size = 0;
}

/* Makes room for one more row. */
static void
GrowSeen(AccessStatement *statement)
{
	if (statement->seen_context == NULL)
		statement->seen_context = AllocSetContextCreate(statement->context,
														"llm_audit rows seen",
														ALLOCSET_DEFAULT_SIZES);
	if (statement->seen_count < statement->seen_size)
		return;
	statement->seen_size = Max(64, statement->seen_size * 2);
	if (statement->seen == NULL)
		statement->seen = MemoryContextAlloc(statement->seen_context,
											 statement->seen_size * sizeof(SeenRow));
	else
		statement->seen = repalloc(statement->seen,
								   statement->seen_size * sizeof(SeenRow));
}

void
StatementSaw(AccessStatement *statement, const pg_uuid_t *id,
			 const char *request_id)
{
	SeenRow    *row;

	if (!statement->acknowledged)
		StatementRecord(statement, true, NIL);
	GrowSeen(statement);
	row = &statement->seen[statement->seen_count];
	row->id = *id;
	row->request_id = request_id == NULL ? NULL :
		MemoryContextStrdup(statement->seen_context, request_id);
	statement->seen_count++;
	if (access_row_records_strict || statement->seen_count >= SEEN_MAX)
		StatementFlushSeen(statement, true);
}

/* ---------------- the end ---------------- */

/* Posts the outcome, if there is a record that it belongs to. */
static void
PostOutcome(AccessStatement *statement)
{
	AccessRing *ring = PossibleRing();
	StringInfoData buf;
	RingMessage message;

	if (ring == NULL || !statement->recorded)
		return;
	initStringInfo(&buf);
	PackOutcome(&buf, statement);
	message = MakeMessage(ENTRY_STATEMENT, &buf);
	if (!RingPost(ring, &message, POST_WAIT_MS))
		ereport(LOG,
				(errmsg("llm_audit: the queue of the access log is full, and the outcome of a read is not recorded"),
				 errhidestmt(true), errhidecontext(true)));
}

/*
 * StatementEnd: the statement is over, well or not.  Works at the end of a
 * transaction, when no catalog can be read any more.
 */
void
StatementEnd(AccessStatement *statement)
{
	MemoryContext old = MemoryContextSwitchTo(statement->context);

	/* a session that is ended by force passes by every PG_CATCH */
	if (statement->running && statement->error == 0)
		statement->error = ERRCODE_ADMIN_SHUTDOWN;
	if (statement->seen_count > 0)
		StatementFlushSeen(statement, false);
	PostOutcome(statement);
	MemoryContextSwitchTo(old);
	Unlink(statement);
}

/* Ends what is left when the transaction does. */
static void
TransactionEnds(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_ABORT && event != XACT_EVENT_COMMIT &&
		event != XACT_EVENT_PREPARE)
		return;
	while (statements != NULL)
		StatementEnd(statements);
}

/* Ends what an aborted subtransaction has started. */
static void
SubTransactionEnds(SubXactEvent event, SubTransactionId subid,
				   SubTransactionId parent, void *arg)
{
	AccessStatement *next;

	for (AccessStatement *s = statements; s != NULL; s = next)
	{
		next = s->next;
		if (s->subid != subid)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			s->subid = parent;
		else if (event == SUBXACT_EVENT_ABORT_SUB)
			StatementEnd(s);
	}
}

/* ---------------- reads that are no statement of the executor ----------- */

/*
 * RecordOtherRead: records a read of a table that is no statement of the
 * executor.  The caller ends what this returns; NULL if there is nothing to
 * record.
 */
AccessStatement *
RecordOtherRead(Oid relid, const char *command, bool exported)
{
	bool		needs_reason;
	Oid			root = SensitiveRoot(relid, &needs_reason);
	AccessStatement *statement;
	MemoryContext old;

	if (!OidIsValid(root))
		return NULL;
	statement = StatementCreate();
	statement->text = debug_query_string;
	statement->command = command;
	statement->exported = exported;
	old = MemoryContextSwitchTo(statement->context);
	statement->examined.relations = list_make1(QualifiedName(relid));
	MemoryContextSwitchTo(old);
	StatementRecord(statement, needs_reason && !am_walsender &&
					!ReadNeedsNoReason(), NIL);
	return statement;
}

void
RecordRefusal(Oid relid, const char *command, int sqlstate, const char *why)
{
	AccessStatement *statement = StatementCreate();
	MemoryContext old = MemoryContextSwitchTo(statement->context);

	statement->text = debug_query_string;
	statement->command = command;
	statement->examined.relations = list_make1(QualifiedName(relid));
	StatementRefused(statement, sqlstate, why);
	MemoryContextSwitchTo(old);
	Unlink(statement);
}

/* Records that such a read was refused, without waiting. */
void
OtherReadRefused(Oid relid, const char *command, const char *why)
{
	if (OidIsValid(SensitiveRoot(relid, NULL)))
		RecordRefusal(relid, command, ERRCODE_INSUFFICIENT_PRIVILEGE, why);
}

/* True if the statement that runs is recorded as a reader of the ledger. */
static bool
RunningReads(Oid root)
{
	AccessStatement *statement = StatementRunning();
	char	   *name = QualifiedName(root);
	ListCell   *lc;

	if (statement == NULL || !statement->acknowledged)
		return false;
	foreach(lc, statement->examined.relations)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	}
	return false;
}

/* A function of the ledger room is about to return the data of a row. */
static void
LedgerIsRead(Oid root, const char *command)
{
	AccessStatement *statement;

	if (!AccessInForce() || RunningReads(root))
		return;
	statement = RecordOtherRead(root, command, false);
	if (statement == NULL)
		return;
	statement->rows = 1;
	StatementEnd(statement);
}

void
StatementInit(void)
{
	RegisterXactCallback(TransactionEnds, NULL);
	RegisterSubXactCallback(SubTransactionEnds, NULL);
	ledger_read_hook = LedgerIsRead;
}
