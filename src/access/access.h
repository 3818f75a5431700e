/*
 * access.h
 *	  The access room: no log, no row.
 *
 * ring.c			queue of records in shared memory, one for each database
 * writer.c			the worker that commits them, and the watcher of databases
 * insert.c			one record as a row of the ledger
 * search.c			searches by identifier, recorded and counted
 * record.c			what a record says: session, statement, masked text
 * examine.c		what a plan reads, and what of it a guard answers for
 * sensitive.c		which relations are sensitive, cached
 * statement.c		statements that read, from start to outcome
 * hook.c			executor and utility hooks
 * reference.c		the server's checks of foreign keys
 * view_guard.c		the functions that sensitive views are made of
 * exempt.c			functions of ours that may read without a record
 * setting.c		settings; which of them count
 * copy.c			COPY FROM of writers under row-level security
 * login.c			logins
 * grants.c			GRANT, roles and DDL as admin events
 *
 * A record travels as one entry of the ring: a header and packed fields.
 * Whatever has to be known about the reader is put into it by the reader's
 * own backend; the worker adds the time, the environment and the chain.
 */
#ifndef LLM_AUDIT_ACCESS_H
#define LLM_AUDIT_ACCESS_H

#include "postgres.h"

#include "compat.h"
#include "executor/execdesc.h"
#include "executor/spi.h"
#include "ledger/ledger.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "storage/latch.h"
#include "tcop/utility.h"
#include "utils/uuid.h"

/* ---------------- setting.c ---------------- */

extern char *access_databases;	/* llm_audit.databases */
extern int	access_queue_size;	/* kB, of each database */
extern int	access_timeout;		/* ms that a read waits for its record */
extern int	access_export_rows;
extern bool access_row_records_strict;
extern bool access_log_logins;

extern void AccessDefineSettings(void);

typedef enum ReaderSetting
{
	READER_REASON = 0,
	READER_TICKET,
	READER_READER
} ReaderSetting;

/*
 * The value of llm_audit.reason, .ticket or .reader if it counts: SET LOCAL
 * in this transaction, or given by the client in its startup packet.  Else,
 * and if it is blank, NULL.
 */
extern const char *ReaderSettingGet(ReaderSetting which);

/* True if the client's address is in llm_audit.trusted_proxies. */
extern bool ReaderIsTrusted(void);

/* ---------------- ring.c ---------------- */

#define RINGS_MAX 32
#define ENTRY_PAYLOAD_MAX (48 * 1024)

typedef enum EntryKind
{
	ENTRY_PAD = 0,				/* to the end of the buffer */
	ENTRY_STATEMENT,			/* a row of access_log */
	ENTRY_ROWS,					/* rows of access_record */
	ENTRY_LOGIN,				/* an admin event */
	ENTRY_SEARCH				/* the same, unless there are too many */
} EntryKind;

typedef enum EntryState
{
	ENTRY_PENDING = 0,
	ENTRY_TAKEN,				/* the worker is at it, or was when it died */
	ENTRY_ABANDONED,			/* its reader has given up */
	ENTRY_DONE
} EntryState;

typedef struct RingEntry
{
	uint32		size;			/* with header and padding */
	uint32		length;			/* of the payload */
	EntryKind	kind;
	pg_atomic_uint32 state;
	int			waiter;			/* process number, or -1 */
	uint32		attempts;
	uint64		ticket;
	pg_uuid_t	id;
} RingEntry;

#define ENTRY_PAYLOAD(entry) ((char *) (entry) + MAXALIGN(sizeof(RingEntry)))

/* What RingPut needs to know. */
typedef struct RingMessage
{
	EntryKind	kind;
	pg_uuid_t	id;
	const char *payload;
	size_t		length;
} RingMessage;

typedef struct AccessRing AccessRing;

/* Asks for shared memory and a lock for each database; when preloading. */
extern void RingInit(void);

/* The ring of a database, or NULL. */
extern AccessRing *RingOf(const char *database);

/* The ring of this backend's database, or NULL if it is not listed. */
extern AccessRing *RingMine(void);

/* The ring with this number, or NULL; and how many there are. */
extern AccessRing *RingByNumber(int number);
extern int	RingCount(void);

/* How many databases are listed; before there is shared memory. */
extern int	RingNameCount(void);

/*
 * RingRecord: puts a message into the ring and returns when it is committed
 * and flushed.  Raises an error otherwise: then *written says whether it may
 * have been written all the same.
 */
extern void RingRecord(AccessRing *ring, const RingMessage *message,
					   bool *written);

/*
 * RingAsk: the same; false if the worker has refused the message, which is no
 * error.
 */
extern bool RingAsk(AccessRing *ring, const RingMessage *message);

/*
 * RingPost: puts a message into the ring and does not wait for its commit.
 * Waits for room at most as long as wait_ms, never raises an error; false if
 * there was no room.
 */
extern bool RingPost(AccessRing *ring, const RingMessage *message,
					 int wait_ms);

/* The same for a process that may not even wait for a lock. */
extern bool RingPostLogin(AccessRing *ring, const RingMessage *message);

/* ---- the worker's side ---- */

/* A batch of entries, in place: they stay until RingFinish. */
typedef struct RingBatch
{
	int			count;
	RingEntry **entries;
	int		   *errors;			/* SQLSTATE of each, 0 if written or refused */
	bool	   *refused;
	bool	   *keep;			/* not written, to be tried again */
	int		   *waiters;		/* who has been answered, or -1 */
	bool		waited;			/* somebody waits for each of them */
	bool		recovered;		/* taken before this worker began */
} RingBatch;

extern const char *RingDatabase(AccessRing *ring);
extern void RingAskWatcher(AccessRing *ring);
extern void RingAttach(AccessRing *ring);
extern bool RingTake(AccessRing *ring, bool waited, RingBatch *batch);
extern void RingFinish(AccessRing *ring, RingBatch *batch, int commits);

/* True if something waits, and whether a reader does. */
extern bool RingPending(AccessRing *ring, bool *urgent);

/*
 * Says that the worker is about to sleep and wants to hear of any entry; false
 * if there is one already.
 */
extern bool RingSleep(AccessRing *ring);

/* Whether the database is there, as the watcher has found. */
extern bool RingDatabaseExists(AccessRing *ring);
extern void RingSetDatabase(AccessRing *ring, bool exists);
extern TimestampTz RingPausedUntil(AccessRing *ring);

/*
 * Wants the worker to let go of the database until then; whether there is one.
 * It goes when it has written what it was at.
 */
extern bool RingPause(AccessRing *ring, TimestampTz until);
extern bool RingHasWorker(AccessRing *ring);
extern void RingSetWatcher(void);

/* Random number of this start of the server. */
extern const pg_uuid_t *RingBoot(void);

/* ---------------- writer.c, insert.c ---------------- */

extern void WriterRegister(void);

/* The environment of what belongs to the server as a whole. */
#define ENVIRONMENT_SQL \
	"(SELECT coalesce(min(name) FILTER (WHERE name = 'prod'), min(name))" \
	" FROM llm_audit.environment)"

/*
 * Inserts one entry; raises an error if it cannot.  False if it is one to be
 * refused.
 */
extern bool InsertEntry(const RingEntry *entry);

/* Prepares a statement for the life of the worker; runs it. */
extern SPIPlanPtr PrepareInsert(const char *sql, int count, Oid *types);
extern void ExecuteInsert(SPIPlanPtr plan, Datum *values, const char *nulls);

/* Unpacks count fields into texts; returns what follows them. */
extern const char *UnpackTexts(const RingEntry *entry, int count,
							   Datum *values, char *nulls);

/* True if a row with the entry's id is in the log. */
extern bool EntryIsWritten(const RingEntry *entry);

/* ---------------- search.c ---------------- */

/* Inserts the row of a search; false, and none, if there are too many. */
extern bool InsertSearch(const RingEntry *entry);

/* What has been counted may not have been committed. */
extern void ForgetSearches(void);

/* ---------------- record.c ---------------- */

/* Fields of a row of access_log, in the order of the payload. */
typedef enum LogField
{
	LOG_EVENT = 0,
	LOG_STATEMENT_ID,
	LOG_OCCURRED_AT,
	LOG_ORGANIZATION_ID,
	LOG_LOGIN,
	LOG_EFFECTIVE_ROLE,
	LOG_ROLES,
	LOG_AUTHENTICATION_ID,
	LOG_ASSERTED_READER,
	LOG_READER_TRUSTED,
	LOG_APPLICATION_NAME,
	LOG_CLIENT_ADDRESS,
	LOG_CLIENT_PORT,
	LOG_TLS_VERSION,
	LOG_TLS_CIPHER,
	LOG_BACKEND_PID,
	LOG_BACKEND_STARTED,
	LOG_TRANSACTION_ID,
	LOG_TRANSACTION_STARTED,
	LOG_COMMAND,
	LOG_NESTED,
	LOG_EXPORTED,
	LOG_RELATIONS,
	LOG_COLUMNS_READ,
	LOG_FILTERED_COLUMNS,
	LOG_SEARCH_TOKENS,
	LOG_QUERY,
	LOG_QUERY_TRUNCATED,
	LOG_QUERY_DIGEST,
	LOG_QUERY_ID,
	LOG_REASON,
	LOG_TICKET,
	LOG_DISCLOSURE_IDS,
	LOG_OUTCOME,
	LOG_ROW_COUNT,
	LOG_DURATION_MS,
	LOG_ERROR_CODE,
	LOG_REFUSAL,
	LOG_FIELD_COUNT
} LogField;

/* Fields of a batch of rows, before the rows themselves. */
typedef enum RowsField
{
	ROWS_STATEMENT_ID = 0,
	ROWS_OCCURRED_AT,
	ROWS_LOGIN,
	ROWS_AUTHENTICATION_ID,
	ROWS_ASSERTED_READER,
	ROWS_EXPORTED,
	ROWS_ORGANIZATION_ID,
	ROWS_FIELD_COUNT
} RowsField;

typedef enum LoginField
{
	LOGIN_USER = 0,
	LOGIN_DATABASE,
	LOGIN_OCCURRED_AT,
	LOGIN_ADDRESS,
	LOGIN_SESSION,
	LOGIN_AUTHENTICATION_ID,
	LOGIN_TLS_VERSION,
	LOGIN_OK,
	LOGIN_FIELD_COUNT
} LoginField;

#define FIELDS_MAX LOG_FIELD_COUNT

extern void PackFields(StringInfo buf, char *const *values, int count);
extern const char *UnpackField(const char *at, const char *end,
							   char **value);

/* A time as text that does not depend on settings. */
extern char *TimeText(TimestampTz time);

/*
 * "method:identity" of the session's authentication, or NULL; the method as
 * noted while the session was authenticated.
 */
struct Port;
extern void NoteAuthenticationMethod(const struct Port *port);
extern char *SessionIdentity(void);

/* The client's address in numbers, or NULL; and its port. */
extern char *ClientAddress(const struct Port *port, char **service);

/* The roles of llm_audit, by name, that a role is a member of or is. */
extern List *OurRolesOf(Oid role);

/* A fresh id for a record. */
extern void RecordId(pg_uuid_t *id);

/* ---------------- examine.c ---------------- */

/* What a statement reads of sensitive relations. */
typedef struct Examined
{
	List	   *relations;		/* char *, qualified; views too */
	List	   *columns;		/* char * */
	List	   *filtered;		/* char * */
	bool		unguarded;		/* reads one that no guard answers for */
	bool		needs_reason;	/* one of those needs a reason */
	bool		reads;			/* a scan of one is in the plan */
	List	   *guards;			/* Oid of guarded views that it names */
} Examined;

/* True if the plan names a sensitive relation or a guarded view. */
extern bool PlanIsSensitive(const PlannedStmt *stmt);

/* True if the view cannot be read without its own guard. */
extern bool ViewIsGuarded(Oid view);

extern void ExaminePlan(const PlannedStmt *stmt, Examined *result);

/* True if what has to be permitted includes reading a relation. */
extern bool PermissionIsRead(const RelationPermission *perm);

/* ---------------- reference.c ---------------- */

/* True for a foreign key's check; command is what started the statement. */
extern bool IsReferentialCheck(const PlannedStmt *stmt);
extern bool IsRestoredCheck(const PlannedStmt *stmt, const Node *command);

/* ---------------- sensitive.c ---------------- */

/* The sensitive root that a relation belongs to, or InvalidOid. */
extern Oid	SensitiveRoot(Oid relid, bool *needs_reason);

/* Columns of a relation by number, as "relation.column"; 0 means all. */
extern char *QualifiedName(Oid relid);

/* OID of llm_audit.access_guard(), or InvalidOid. */
extern Oid	GuardFunctionOid(void);

/* True if the library can say anything about reads here. */
extern bool AccessInForce(void);

/* ---------------- statement.c ---------------- */

/* A row that reveal() has shown. */
typedef struct SeenRow
{
	pg_uuid_t	id;
	char	   *request_id;
} SeenRow;

/* A statement that reads sensitive relations, from its start to its end. */
typedef struct AccessStatement
{
	struct AccessStatement *next;
	MemoryContext context;
	const QueryDesc *query;		/* NULL: COPY of a table */
	const PlannedStmt *plan;
	const char *text;
	int			location;
	int			length;
	const char *command;
	bool		exported;
	bool		nested;
	SubTransactionId subid;
	Examined	examined;
	List	   *disclosures;	/* pg_uuid_t *, as recorded */
	bool		recorded;		/* or may be: the worker had it in hand */
	bool		acknowledged;	/* flushed, as the worker has said */
	bool		running;		/* in ExecutorRun */
	pg_uuid_t	id;				/* of the record */
	char	   *login;			/* as recorded: an outcome may come when */
	char	   *reader;			/* catalogs can't be read any more */
	char	   *organization;
	TimestampTz started;
	uint64		rows;
	int			error;			/* SQLSTATE, 0 if none */
	int			seen_first;		/* of those that are not written yet */
	int			seen_count;
	int			seen_size;
	SeenRow    *seen;
	MemoryContext seen_context;
} AccessStatement;

extern AccessStatement *StatementBegin(QueryDesc *query);
extern AccessStatement *StatementOf(const QueryDesc *query);
extern void StatementForget(const QueryDesc *query);
extern void StatementEnd(AccessStatement *statement);

/*
 * StatementRecord: makes sure that the statement is recorded before it goes
 * on; raises an error if it cannot be, or may not be read.
 */
extern void StatementRecord(AccessStatement *statement, bool needs_reason,
							List *disclosures);

/* Records that a row was seen, at once or with the statement's others. */
extern void StatementSaw(AccessStatement *statement, const pg_uuid_t *id,
						 const char *request_id);

/* Writes what StatementSaw has kept; waits for the flush if wait is set. */
extern void StatementFlushSeen(AccessStatement *statement, bool wait);

/* Records that a statement was refused, without waiting. */
extern void StatementRefused(AccessStatement *statement, int sqlstate,
							 const char *why);

/* The innermost running statement that reads, or NULL. */
extern AccessStatement *StatementRunning(void);

/* A read that is no statement of the executor; ended by the caller. */
extern AccessStatement *RecordOtherRead(Oid relid, const char *command,
										bool exported);

extern void OtherReadRefused(Oid relid, const char *command, const char *why);

/* Records that a function of ours refused its caller, without waiting. */
extern void RecordRefusal(Oid relid, const char *command, int sqlstate,
						  const char *why);

/* The ring to record in, or an error that says why there is none. */
extern AccessRing *RequireRing(void);

/* A message of the packed fields, with a fresh id. */
extern RingMessage MakeMessage(EntryKind kind, const StringInfoData *buf);

extern void StatementInit(void);

/* record.c: the payload of a statement's record. */
extern void PackStatement(StringInfo buf, const AccessStatement *statement,
						  const char *why, int sqlstate);
extern void PackOutcome(StringInfo buf, const AccessStatement *statement);
extern void PackSeen(StringInfo buf, const AccessStatement *statement,
					 int first, int count);

/* ---------------- hook.c, exempt.c and the others ---------------- */

/* How many statements are running inside each other. */
extern int	ExecutorDepth(void);

/* True if what starts now is a query of a function of ours. */
extern bool ReadIsExempt(void);

/* True if what starts now is in a function of ours, in SQL or PL/pgSQL. */
extern bool OwnFunctionRuns(void);

/* True if it is one that is recorded, but needs no reason. */
extern bool ReadNeedsNoReason(void);

extern void ExemptInit(void);
extern void HookInit(void);
extern void LoginInit(void);
extern void PauseInit(void);
extern void AccessInit(void);

/*
 * copy.c: runs the command; COPY FROM of a writer who is subject to row-level
 * security as llm_audit_copier.
 */
typedef ProcessUtility_hook_type UtilityRunner;
extern void CopyFromAsCopier(UTILITY_PARAMS, UtilityRunner run);

/* grants.c */
extern bool GrantsMatter(Node *stmt);

/* What the command will have changed, as AdminEvents. */
extern List *GrantsBefore(Node *stmt);

/* After it: appends what it has changed of the ledgers that they name. */
extern void GrantsAfter(List *events);

/* settings_event.c: adds the settings of ours that the command changes. */
extern void SettingsNote(Node *stmt, List **events);

/* event.c */
typedef struct AdminEvent
{
	const char *action;
	const char *target_type;
	char	   *target;
	char	   *details;		/* JSON, or NULL */
	Oid			root;			/* of the relation that it is about, or 0 */
	Oid			ledger;			/* the same if it is guarded as a ledger, or 0 */
	char	   *definition;		/* its definition before, or NULL */
} AdminEvent;

extern void AdminEventAdd(List **events, const char *action,
						  const char *target_type, char *target,
						  char *details);

/*
 * Inserts the events into admin_event, in the current transaction.  The other
 * one does it where the command must not fail for want of a record: a setting
 * may be what is missing to write one.  It warns instead.
 */
extern void AdminEventsRecord(List *events);
extern void AdminEventsRecordOrWarn(List *events);

#endif
