/*
 * token.c
 *	  The ledger of match tokens: keyed hashes of identifiers found in calls,
 *	  by which an investigator who has a number finds the calls it was in.
 *
 * Rows are inserted as the owner of the ledger, since a writer of calls need
 * not be one of tokens.  The id of a row follows from call and token, so that
 * a text that is looked at twice adds nothing.
 *
 * The trigger runs for a row that ON CONFLICT DO NOTHING then drops, too.
 * Tokens of rows that may be dropped wait in memory until the statement ends
 * and it is known which rows are in; those of a (sub)transaction that aborts
 * are forgotten with it, and no sooner are they written in one further down.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "core/sha256.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "policy/scan.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

/* So many rows wait at most before those that are in are settled. */
#define WAITING_MAX 1000

/* Tokens of a row that may yet be dropped. */
typedef struct WaitingTokens
{
	Oid			leaf;
	pg_uuid_t	row_id;
	SubTransactionId made_in;
	TokenOwner	owner;
	List	   *tokens;			/* FoundToken */
} WaitingTokens;

static SPIPlanPtr insert_plan = NULL;

/* WaitingTokens, in the order of their rows, in memory of their own. */
static List *waiting = NIL;
static MemoryContext waiting_context = NULL;

/* The owner of match_token, or InvalidOid where setup() has not made it. */
static Oid
TokenLedgerOwner(void)
{
	Oid			relid = get_relname_relid("match_token",
										  get_namespace_oid(LLM_AUDIT_SCHEMA, true));
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* Prepares the INSERT, once per session; SPI is connected. */
static SPIPlanPtr
InsertPlan(void)
{
	static Oid	types[] = {
		TEXTOID, TEXTOID, UUIDOID, TEXTOID, UUIDARRAYOID, TEXTARRAYOID,
		TEXTARRAYOID
	};

	if (insert_plan != NULL)
		return insert_plan;
	insert_plan = SPI_prepare("INSERT INTO llm_audit.match_token"
							  " (id, environment, organization_id, token, entity, call_id, request_id)"
							  " SELECT t.id, $1, $2, t.token, t.entity, $3, $4"
							  " FROM ROWS FROM (pg_catalog.unnest($5), pg_catalog.unnest($6),"
							  " pg_catalog.unnest($7)) AS t (id, token, entity)"
							  " ON CONFLICT DO NOTHING",
							  lengthof(types), types);
	if (insert_plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	if (SPI_keepplan(insert_plan) != 0)
		elog(ERROR, "SPI_keepplan failed");
	return insert_plan;
}

/* A version 8 UUID (RFC 9562) of call and token. */
static Datum
TokenId(Datum call_id, const char *token)
{
	uint8		hash[SHA256_SIZE];
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	if (!Sha256Digest2(DatumGetUUIDP(call_id)->data, UUID_LEN,
					   token, strlen(token), hash))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a SHA-256 hash")));
	memcpy(id->data, hash, UUID_LEN);
	id->data[6] = (id->data[6] & 0x0F) | 0x80;
	id->data[8] = (id->data[8] & 0x3F) | 0x80;
	return UUIDPGetDatum(id);
}

/*
 * All rows in one statement: starting one costs more than a row does.  SPI is
 * connected.
 */
static void
InsertTokens(const TokenOwner *owner, List *tokens)
{
	int			count = list_length(tokens);
	Datum	   *ids = palloc(sizeof(Datum) * count);
	Datum	   *names = palloc(sizeof(Datum) * count);
	Datum	   *entities = palloc(sizeof(Datum) * count);
	Datum		values[7];
	int			result;

	for (int i = 0; i < count; i++)
	{
		FoundToken *found = list_nth(tokens, i);

		ids[i] = TokenId(owner->call_id, found->token);
		names[i] = CStringGetTextDatum(found->token);
		entities[i] = CStringGetTextDatum(EntityName(found->entity));
	}
	values[0] = owner->environment;
	values[1] = owner->organization_id;
	values[2] = owner->call_id;
	values[3] = owner->request_id;
	values[4] = PointerGetDatum(construct_array(ids, count, UUIDOID, UUID_LEN,
												false, TYPALIGN_CHAR));
	values[5] = PointerGetDatum(construct_array(names, count, TEXTOID, -1,
												false, TYPALIGN_INT));
	values[6] = PointerGetDatum(construct_array(entities, count, TEXTOID, -1,
												false, TYPALIGN_INT));
	result = SPI_execute_plan(InsertPlan(), values, NULL, false, 0);
	if (result != SPI_OK_INSERT)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
}

/* Inserts the tokens of rows (WaitingTokens), as the owner of the ledger. */
static void
WriteAll(List *rows)
{
	Oid			ledger_owner = TokenLedgerOwner();
	Oid			user;
	int			security;
	ListCell   *lc;

	if (!OidIsValid(ledger_owner))
		return;
	/* an error puts the user back by ending the (sub)transaction */
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(ledger_owner,
						   security | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	foreach(lc, rows)
	{
		WaitingTokens *row = lfirst(lc);

		InsertTokens(&row->owner, row->tokens);
	}
	SPI_finish();
	SetUserIdAndSecContext(user, security);
}

/* ---------------- tokens that wait ---------------- */

/* Forgets what waits; its memory goes with the transaction at the latest. */
static void
ForgetWaiting(void)
{
	waiting = NIL;
	if (waiting_context != NULL)
		MemoryContextDelete(waiting_context);
	waiting_context = NULL;
}

/*
 * Before the transaction ends, for a statement whose end went unseen: the one
 * that has loaded the library, where that is not preloaded.
 */
static void
SettleBeforeEnd(void)
{
	if (waiting == NIL)
		return;
	PushActiveSnapshot(GetTransactionSnapshot());
	ChainResolvePending();
	PolicySettleTokens();
	ChainResolvePending();
	PopActiveSnapshot();
}

/* What waits is settled at the end at the latest, or forgotten. */
static void
TokensXactCallback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			SettleBeforeEnd();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			waiting = NIL;
			waiting_context = NULL; /* is gone already, or goes now */
			break;
		default:
			break;
	}
}

/* Rows of a subtransaction that aborts are gone, others are its parent's. */
static void
TokensSubXactCallback(SubXactEvent event, SubTransactionId mine,
					  SubTransactionId parent, void *arg)
{
	ListCell   *lc;

	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	foreach(lc, waiting)
	{
		WaitingTokens *row = lfirst(lc);

		if (row->made_in != mine)
			continue;
		if (event == SUBXACT_EVENT_ABORT_SUB)
			waiting = foreach_delete_current(waiting, lc);
		else
			row->made_in = parent;
	}
}

/* Memory for what waits, and callbacks the first time. */
static void
PrepareWaiting(void)
{
	static bool registered = false;

	if (!registered)
	{
		RegisterXactCallback(TokensXactCallback, NULL);
		RegisterSubXactCallback(TokensSubXactCallback, NULL);
		registered = true;
	}
	if (waiting_context == NULL)
		waiting_context = AllocSetContextCreate(TopTransactionContext,
												"llm_audit match tokens",
												ALLOCSET_DEFAULT_SIZES);
}

/* A copy of a uuid. */
static Datum
CopyUuid(Datum value)
{
	pg_uuid_t  *copy = palloc(sizeof(pg_uuid_t));

	*copy = *DatumGetUUIDP(value);
	return UUIDPGetDatum(copy);
}

/* Has tokens wait for the row. */
static void
AddWaiting(const Segment *seg, const pg_uuid_t *row_id,
		   const TokenOwner *owner, List *tokens)
{
	MemoryContext old;
	WaitingTokens *row;
	ListCell   *lc;

	PrepareWaiting();
	old = MemoryContextSwitchTo(waiting_context);
	row = palloc0(sizeof(WaitingTokens));
	row->leaf = seg->relid;
	row->row_id = *row_id;
	row->made_in = GetCurrentSubTransactionId();
	row->owner.call_id = CopyUuid(owner->call_id);
	row->owner.environment = PointerGetDatum(DatumGetTextPCopy(owner->environment));
	row->owner.organization_id = PointerGetDatum(DatumGetTextPCopy(owner->organization_id));
	row->owner.request_id = PointerGetDatum(DatumGetTextPCopy(owner->request_id));
	foreach(lc, tokens)
	{
		FoundToken *found = palloc(sizeof(FoundToken));

		*found = *(FoundToken *) lfirst(lc);
		found->token = pstrdup(found->token);
		row->tokens = lappend(row->tokens, found);
	}
	waiting = lappend(waiting, row);
	MemoryContextSwitchTo(old);
}

void
PolicyRowDropped(Oid leaf, const pg_uuid_t *id)
{
	for (int i = list_length(waiting) - 1; i >= 0; i--)
	{
		WaitingTokens *row = list_nth(waiting, i);

		if (row->leaf == leaf && memcmp(&row->row_id, id, UUID_LEN) == 0)
		{
			waiting = list_delete_nth_cell(waiting, i);
			return;
		}
	}
}

bool
PolicyTokensWait(void)
{
	return waiting != NIL;
}

/*
 * Takes the rows out of those that wait that are of this subtransaction.
 * Those of statements further up stay: what is inserted now goes if this
 * subtransaction aborts, and they do not.
 */
static List *
TakeWaiting(void)
{
	SubTransactionId mine = GetCurrentSubTransactionId();
	List	   *rows = NIL;
	ListCell   *lc;

	foreach(lc, waiting)
	{
		WaitingTokens *row = lfirst(lc);

		if (row->made_in != mine)
			continue;
		rows = lappend(rows, row);
		waiting = foreach_delete_current(waiting, lc);
	}
	return rows;
}

void
PolicySettleTokens(void)
{
	List	   *rows = TakeWaiting();

	if (rows == NIL)
		return;
	WriteAll(rows);				/* which runs statements, too */
	if (waiting == NIL)
		ForgetWaiting();
	list_free(rows);
}

void
TokensKeep(const Segment *seg, const pg_uuid_t *row_id,
		   const TokenOwner *owner, List *tokens)
{
	WaitingTokens now = {.owner = *owner,.tokens = tokens};

	if (StatementStoresEveryRow() || row_id == NULL)
	{
		WriteAll(list_make1(&now));
		return;
	}
	if (list_length(waiting) >= WAITING_MAX)
	{
		ChainResolvePending();
		PolicySettleTokens();
	}
	AddWaiting(seg, row_id, owner, tokens);
}
