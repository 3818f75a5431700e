/*
 * search.c
 *	  Recording that somebody computes match tokens, before they are told.
 *
 * Whoever can compute tokens can test guesses, so each search is an admin
 * event that the searcher cannot roll back: the access writer inserts it, and
 * the search waits for that.  The writer also counts what the same login has
 * searched within the hour, and inserts nothing if that is too much.  It has
 * the counts in memory, and reads them from the ledger when it meets a login
 * for the first time, or when a transaction of its own has failed.
 */
#include "postgres.h"

#include "access/access.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(llm_audit_record_search);

#define REASON_MAX 1024

typedef enum SearchField
{
	SEARCH_LOGIN = 0,
	SEARCH_OCCURRED_AT,
	SEARCH_ENTITY,
	SEARCH_REASON,
	SEARCH_TEXTS,				/* those above go into the row */
	SEARCH_LIMIT = SEARCH_TEXTS,
	SEARCH_FIELD_COUNT
} SearchField;

/* ---------------- the searcher ---------------- */

/* A text cut between characters, or NULL. */
static char *
CutText(const text *from, size_t room)
{
	size_t		len = VARSIZE_ANY_EXHDR(from);

	len = pg_mbcliplen(VARDATA_ANY(from), len, room - 1);
	return pnstrdup(VARDATA_ANY(from), len);
}

/*
 * llm_audit.record_search(entity text, reason text, most int) → boolean
 *		Records a search by identifier; false if the login has made as many
 *		as "most" within the hour.  Returns when the record is flushed.
 *		Errors: 22004 without a reason or limit, and those of a read that
 *		cannot be recorded.
 */
Datum
llm_audit_record_search(PG_FUNCTION_ARGS)
{
	AccessRing *ring = RequireRing();
	char	   *values[SEARCH_FIELD_COUNT] = {NULL};
	StringInfoData buf;
	RingMessage message;
	bool		recorded;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("reason and limit of a search must not be null")));
	values[SEARCH_LOGIN] = GetUserNameFromId(GetSessionUserId(), true);
	if (values[SEARCH_LOGIN] == NULL)
		values[SEARCH_LOGIN] = psprintf("%u", GetSessionUserId());
	values[SEARCH_OCCURRED_AT] = TimeText(GetCurrentTimestamp());
	if (!PG_ARGISNULL(0))
		values[SEARCH_ENTITY] = CutText(PG_GETARG_TEXT_PP(0), NAMEDATALEN);
	values[SEARCH_REASON] = CutText(PG_GETARG_TEXT_PP(1), REASON_MAX);
	values[SEARCH_LIMIT] = psprintf("%d", PG_GETARG_INT32(2));
	initStringInfo(&buf);
	PackFields(&buf, values, SEARCH_FIELD_COUNT);
	message = MakeMessage(ENTRY_SEARCH, &buf);
	recorded = RingAsk(ring, &message);
	pfree(buf.data);
	PG_RETURN_BOOL(recorded);
}

/* ---------------- the writer: counting ---------------- */

/* What a login has searched within the hour, oldest first. */
typedef struct Searcher
{
	char		login[NAMEDATALEN];
	int			count;
	int			size;
	TimestampTz *times;
} Searcher;

static MemoryContext searches_context = NULL;
static HTAB *searchers = NULL;

void
ForgetSearches(void)
{
	if (searches_context != NULL)
		MemoryContextDelete(searches_context);
	searches_context = NULL;
	searchers = NULL;
}

static void
MakeSearchers(void)
{
	HASHCTL		control = {0};

	searches_context = AllocSetContextCreate(TopMemoryContext,
											 "llm_audit searches",
											 ALLOCSET_DEFAULT_SIZES);
	control.keysize = NAMEDATALEN;
	control.entrysize = sizeof(Searcher);
	control.hcxt = searches_context;
	searchers = hash_create("llm_audit searches", 64, &control,
							HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
}

/* Adds a search to those of a login. */
static void
AddSearch(Searcher *searcher, TimestampTz time)
{
	if (searcher->count == searcher->size)
	{
		int			size = Max(16, searcher->size * 2);

		if (searcher->times == NULL)
			searcher->times = MemoryContextAlloc(searches_context,
												 size * sizeof(TimestampTz));
		else
			searcher->times = repalloc_huge(searcher->times,
											(Size) size * sizeof(TimestampTz));
		searcher->size = size;
	}
	searcher->times[searcher->count++] = time;
}

/* Forgets what is older than an hour. */
static void
DropOldSearches(Searcher *searcher, TimestampTz since)
{
	int			old = 0;

	while (old < searcher->count && searcher->times[old] <= since)
		old++;
	searcher->count -= old;
	memmove(searcher->times, searcher->times + old,
			searcher->count * sizeof(TimestampTz));
}

/* Reads from the ledger what a login has searched. */
static void
LoadSearches(Searcher *searcher, TimestampTz since)
{
	Oid			types[2] = {TEXTOID, TIMESTAMPTZOID};
	Datum		values[2];

	values[0] = CStringGetTextDatum(searcher->login);
	values[1] = TimestampTzGetDatum(since);
	if (SPI_execute_with_args("SELECT occurred_at FROM llm_audit.admin_event"
							  " WHERE action = 'token.matched'"
							  " AND actor_id = $1 AND occurred_at > $2"
							  " AND recorded_at > $2 ORDER BY 1",
							  2, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not count searches");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Datum		time = SPI_getbinval(SPI_tuptable->vals[i],
										 SPI_tuptable->tupdesc, 1, &isnull);

		AddSearch(searcher, DatumGetTimestampTz(time));
	}
}

/* The login's searches within the hour. */
static Searcher *
SearcherOf(const char *login, TimestampTz since)
{
	char		name[NAMEDATALEN] = {0};
	Searcher   *searcher;
	bool		found;

	if (searchers == NULL)
		MakeSearchers();
	strlcpy(name, login, sizeof(name));
	searcher = hash_search(searchers, name, HASH_ENTER, &found);
	if (!found)
	{
		searcher->count = searcher->size = 0;
		searcher->times = NULL;
		LoadSearches(searcher, since);
	}
	DropOldSearches(searcher, since);
	return searcher;
}

/* ---------------- the writer: the row ---------------- */

/* The INSERT of a search. */
static SPIPlanPtr
SearchPlan(void)
{
	static SPIPlanPtr plan = NULL;
	static Oid	types[SEARCH_TEXTS + 1] = {
		TEXTOID, TEXTOID, TEXTOID, TEXTOID, UUIDOID
	};

	if (plan == NULL)
		plan = PrepareInsert("INSERT INTO llm_audit.admin_event"
							 " (id, occurred_at, action, actor_id, actor_type,"
							 " organization_id, environment, target_type,"
							 " target_id, reason, outcome)"
							 " SELECT $5, $2::pg_catalog.timestamptz,"
							 " 'token.matched', $1, 'human', 'default',"
							 " " ENVIRONMENT_SQL ", 'match_token', $3, $4,"
							 " 'success'",
							 lengthof(types), types);
	return plan;
}

/*
 * InsertSearch: the entry's row; false, and none, if the login has made too
 * many searches.
 */
bool
InsertSearch(const RingEntry *entry)
{
	Datum		values[SEARCH_FIELD_COUNT];
	char		nulls[SEARCH_FIELD_COUNT];
	TimestampTz now = GetCurrentTimestamp();
	Searcher   *searcher;

	UnpackTexts(entry, SEARCH_FIELD_COUNT, values, nulls);
	searcher = SearcherOf(TextDatumGetCString(values[SEARCH_LOGIN]),
						  now - USECS_PER_HOUR);
	if (searcher->count >= pg_strtoint32(TextDatumGetCString(values[SEARCH_LIMIT])))
		return false;
	values[SEARCH_TEXTS] = UUIDPGetDatum(&entry->id);
	nulls[SEARCH_TEXTS] = ' ';
	ExecuteInsert(SearchPlan(), values, nulls);
	AddSearch(searcher, now);
	return true;
}
