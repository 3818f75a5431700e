/*
 * insert.c
 *	  One entry of the ring as rows of a ledger, through SPI: heap_insert
 *	  would pass by the trigger that chains it, and by the routing to its
 *	  segment.
 *
 * Only the worker runs this.  Whatever comes from a reader's session is text
 * that may be in no encoding at all (a name in a startup packet), so it is
 * checked first.
 */
#include "postgres.h"

#include "access/access.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

/* Columns of access_log, as LogField; and the type to read the text as. */
static const struct
{
	const char *column;
	const char *type;
}			log_columns[LOG_FIELD_COUNT] =

{
	[LOG_EVENT] = {"event", "text"},
	[LOG_STATEMENT_ID] = {"statement_id", "uuid"},
	[LOG_OCCURRED_AT] = {"occurred_at", "timestamptz"},
	[LOG_ORGANIZATION_ID] = {"organization_id", "text"},
	[LOG_LOGIN] = {"login", "text"},
	[LOG_EFFECTIVE_ROLE] = {"effective_role", "text"},
	[LOG_ROLES] = {"roles", "text[]"},
	[LOG_AUTHENTICATION_ID] = {"authentication_id", "text"},
	[LOG_ASSERTED_READER] = {"asserted_reader", "text"},
	[LOG_READER_TRUSTED] = {"reader_trusted", "bool"},
	[LOG_APPLICATION_NAME] = {"application_name", "text"},
	[LOG_CLIENT_ADDRESS] = {"client_address", "inet"},
	[LOG_CLIENT_PORT] = {"client_port", "int4"},
	[LOG_TLS_VERSION] = {"tls_version", "text"},
	[LOG_TLS_CIPHER] = {"tls_cipher", "text"},
	[LOG_BACKEND_PID] = {"backend_pid", "int4"},
	[LOG_BACKEND_STARTED] = {"backend_started", "timestamptz"},
	[LOG_TRANSACTION_ID] = {"transaction_id", "text"},
	[LOG_TRANSACTION_STARTED] = {"transaction_started", "timestamptz"},
	[LOG_COMMAND] = {"command", "text"},
	[LOG_NESTED] = {"nested", "bool"},
	[LOG_EXPORTED] = {"exported", "bool"},
	[LOG_RELATIONS] = {"relations", "text[]"},
	[LOG_COLUMNS_READ] = {"columns_read", "text[]"},
	[LOG_FILTERED_COLUMNS] = {"filtered_columns", "text[]"},
	[LOG_SEARCH_TOKENS] = {"search_tokens", "text[]"},
	[LOG_QUERY] = {"query", "text"},
	[LOG_QUERY_TRUNCATED] = {"query_truncated", "bool"},
	[LOG_QUERY_DIGEST] = {"query_digest", "bytea"},
	[LOG_QUERY_ID] = {"query_id", "int8"},
	[LOG_REASON] = {"reason", "text"},
	[LOG_TICKET] = {"ticket", "text"},
	[LOG_DISCLOSURE_IDS] = {"disclosure_ids", "uuid[]"},
	[LOG_OUTCOME] = {"outcome", "text"},
	[LOG_ROW_COUNT] = {"row_count", "int8"},
	[LOG_DURATION_MS] = {"duration_ms", "numeric"},
	[LOG_ERROR_CODE] = {"error_code", "text"},
	[LOG_REFUSAL] = {"refusal", "text"},
};

static SPIPlanPtr log_plan = NULL;
static SPIPlanPtr rows_plan = NULL;
static SPIPlanPtr login_plan = NULL;

SPIPlanPtr
PrepareInsert(const char *sql, int count, Oid *types)
{
	SPIPlanPtr	plan = SPI_prepare(sql, count, types);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed");
	return plan;
}

void
ExecuteInsert(SPIPlanPtr plan, Datum *values, const char *nulls)
{
	int			result = SPI_execute_plan(plan, values, nulls, false, 0);

	if (result != SPI_OK_INSERT)
		elog(ERROR, "SPI_execute_plan failed: %s",
			 SPI_result_code_string(result));
}

/* The text, or what can be shown of it. */
static Datum
CheckedText(const char *value)
{
	char	   *copy;

	if (pg_verify_mbstr(GetDatabaseEncoding(), value, strlen(value), true))
		return CStringGetTextDatum(value);
	copy = pstrdup(value);
	for (char *c = copy; *c != '\0'; c++)
	{
		if (IS_HIGHBIT_SET(*c))
			*c = '?';
	}
	return CStringGetTextDatum(copy);
}

const char *
UnpackTexts(const RingEntry *entry, int count, Datum *values, char *nulls)
{
	const char *at = ENTRY_PAYLOAD(entry);
	const char *end = at + entry->length;

	for (int i = 0; i < count; i++)
	{
		char	   *value;

		at = UnpackField(at, end, &value);
		nulls[i] = value == NULL ? 'n' : ' ';
		values[i] = value == NULL ? (Datum) 0 : CheckedText(value);
	}
	return at;
}

/* Appends the id, boot and ticket of the entry. */
static void
PutIdentity(const RingEntry *entry, Datum *values, char *nulls)
{
	values[0] = UUIDPGetDatum(&entry->id);
	values[1] = UUIDPGetDatum(RingBoot());
	values[2] = Int64GetDatum((int64) entry->ticket);
	nulls[0] = nulls[1] = nulls[2] = ' ';
}

/* The INSERT into access_log. */
static SPIPlanPtr
LogPlan(void)
{
	Oid			types[LOG_FIELD_COUNT + 3];
	StringInfoData columns;
	StringInfoData values;

	if (log_plan != NULL)
		return log_plan;
	initStringInfo(&columns);
	initStringInfo(&values);
	for (int i = 0; i < LOG_FIELD_COUNT; i++)
	{
		types[i] = TEXTOID;
		appendStringInfo(&columns, "%s, ", log_columns[i].column);
		appendStringInfo(&values, "$%d::pg_catalog.%s, ", i + 1,
						 log_columns[i].type);
	}
	types[LOG_FIELD_COUNT] = UUIDOID;
	types[LOG_FIELD_COUNT + 1] = UUIDOID;
	types[LOG_FIELD_COUNT + 2] = INT8OID;
	log_plan = PrepareInsert(psprintf("INSERT INTO llm_audit.access_log"
									  " (%senvironment, id, boot_id, boot_ticket)"
									  " VALUES (%s" ENVIRONMENT_SQL ", $%d, $%d, $%d)",
									  columns.data, values.data, LOG_FIELD_COUNT + 1,
									  LOG_FIELD_COUNT + 2, LOG_FIELD_COUNT + 3),
							 LOG_FIELD_COUNT + 3, types);
	return log_plan;
}

static void
InsertStatement(const RingEntry *entry)
{
	Datum		values[LOG_FIELD_COUNT + 3];
	char		nulls[LOG_FIELD_COUNT + 3];

	UnpackTexts(entry, LOG_FIELD_COUNT, values, nulls);
	PutIdentity(entry, values + LOG_FIELD_COUNT, nulls + LOG_FIELD_COUNT);
	ExecuteInsert(LogPlan(), values, nulls);
}

/* The INSERT into access_record. */
static SPIPlanPtr
RowsPlan(void)
{
	static Oid	types[ROWS_FIELD_COUNT + 6] = {
		TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
		UUIDOID, UUIDOID, INT8OID, UUIDARRAYOID, UUIDARRAYOID, TEXTARRAYOID
	};

	if (rows_plan == NULL)
		rows_plan = PrepareInsert("INSERT INTO llm_audit.access_record"
								  " (statement_id, occurred_at, login,"
								  " authentication_id, asserted_reader, exported,"
								  " organization_id, boot_id, boot_ticket, environment,"
								  " id, row_id, request_id)"
								  " SELECT $1::pg_catalog.uuid,"
								  " $2::pg_catalog.timestamptz, $3, $4, $5,"
								  " $6::pg_catalog.bool, $7, $9, $10, " ENVIRONMENT_SQL ","
								  " r.id, r.row_id, r.request_id"
								  " FROM ROWS FROM (pg_catalog.unnest($11),"
								  " pg_catalog.unnest($12), pg_catalog.unnest($13))"
								  " AS r (id, row_id, request_id)"
								  " WHERE $8 IS NOT NULL",
								  lengthof(types), types);
	return rows_plan;
}

/* An array of values, nulls included. */
static Datum
MakeArray(Datum *values, bool *nulls, int count, Oid type)
{
	int			dims[1] = {count};
	int			lbs[1] = {1};
	bool		is_uuid = (type == UUIDOID);

	return PointerGetDatum(construct_md_array(values, nulls, 1, dims, lbs, type,
											  is_uuid ? UUID_LEN : -1, false,
											  is_uuid ? TYPALIGN_CHAR : TYPALIGN_INT));
}

/* The id of a row of a batch: the same whenever it is tried again. */
static Datum
RowId(const RingEntry *entry, uint32 number)
{
	pg_uuid_t  *id = palloc(sizeof(pg_uuid_t));

	*id = entry->id;
	id->data[12] ^= (number >> 24) & 0xff;
	id->data[13] ^= (number >> 16) & 0xff;
	id->data[14] ^= (number >> 8) & 0xff;
	id->data[15] ^= number & 0xff;
	return UUIDPGetDatum(id);
}

/* Unpacks the rows that follow the fields, into three arrays. */
static void
UnpackRows(const RingEntry *entry, const char *at, Datum *arrays)
{
	const char *end = ENTRY_PAYLOAD(entry) + entry->length;
	int			count = 0;
	int			size = entry->length / UUID_LEN + 1;
	Datum	   *ids = palloc(size * sizeof(Datum));
	Datum	   *row_ids = palloc(size * sizeof(Datum));
	Datum	   *requests = palloc(size * sizeof(Datum));
	bool	   *nulls = palloc0(size * sizeof(bool));
	bool	   *none = palloc0(size * sizeof(bool));

	while (at + UUID_LEN < end)
	{
		pg_uuid_t  *row_id = palloc(sizeof(pg_uuid_t));
		char	   *request;

		memcpy(row_id->data, at, UUID_LEN);
		at = UnpackField(at + UUID_LEN, end, &request);
		ids[count] = RowId(entry, count);
		row_ids[count] = UUIDPGetDatum(row_id);
		nulls[count] = (request == NULL);
		requests[count] = request ? CheckedText(request) : (Datum) 0;
		count++;
	}
	arrays[0] = MakeArray(ids, none, count, UUIDOID);
	arrays[1] = MakeArray(row_ids, none, count, UUIDOID);
	arrays[2] = MakeArray(requests, nulls, count, TEXTOID);
}

static void
InsertRows(const RingEntry *entry)
{
	Datum		values[ROWS_FIELD_COUNT + 6];
	char		nulls[ROWS_FIELD_COUNT + 6];
	const char *at = UnpackTexts(entry, ROWS_FIELD_COUNT, values, nulls);

	memset(nulls + ROWS_FIELD_COUNT, ' ', 6);
	PutIdentity(entry, values + ROWS_FIELD_COUNT, nulls + ROWS_FIELD_COUNT);
	UnpackRows(entry, at, values + ROWS_FIELD_COUNT + 3);
	ExecuteInsert(RowsPlan(), values, nulls);
}

/* The INSERT of a login. */
static SPIPlanPtr
LoginPlan(void)
{
	static Oid	types[LOGIN_FIELD_COUNT + 1] = {
		TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
		UUIDOID
	};

	if (login_plan == NULL)
		login_plan = PrepareInsert("INSERT INTO llm_audit.admin_event"
								   " (id, occurred_at, action, actor_id, actor_type,"
								   " organization_id, environment, target_type,"
								   " target_id, actor_ip, session_id, \"after\","
								   " outcome)"
								   " SELECT $9, $3::pg_catalog.timestamptz,"
								   " CASE WHEN $8 = 'true' THEN 'login.succeeded'"
								   " ELSE 'login.failed' END, $1, 'service',"
								   " 'default', " ENVIRONMENT_SQL ", 'database', $2,"
								   " $4::pg_catalog.inet, $5,"
								   " pg_catalog.jsonb_strip_nulls("
								   "pg_catalog.jsonb_build_object("
								   "'authentication_id', $6, 'tls_version', $7)),"
								   " CASE WHEN $8 = 'true' THEN 'success'"
								   " ELSE 'denied' END",
								   lengthof(types), types);
	return login_plan;
}

static void
InsertLogin(const RingEntry *entry)
{
	Datum		values[LOGIN_FIELD_COUNT + 1];
	char		nulls[LOGIN_FIELD_COUNT + 1];

	UnpackTexts(entry, LOGIN_FIELD_COUNT, values, nulls);
	values[LOGIN_FIELD_COUNT] = UUIDPGetDatum(&entry->id);
	nulls[LOGIN_FIELD_COUNT] = ' ';
	ExecuteInsert(LoginPlan(), values, nulls);
}

bool
InsertEntry(const RingEntry *entry)
{
	bool		written = true;

	switch (entry->kind)
	{
		case ENTRY_STATEMENT:
			InsertStatement(entry);
			break;
		case ENTRY_ROWS:
			InsertRows(entry);
			break;
		case ENTRY_LOGIN:
			InsertLogin(entry);
			break;
		case ENTRY_SEARCH:
			written = InsertSearch(entry);
			break;
		case ENTRY_PAD:
			elog(ERROR, "padding among the records of the access log");
	}
	return written;
}

bool
EntryIsWritten(const RingEntry *entry)
{
	Oid			types[1] = {UUIDOID};
	Datum		values[1] = {UUIDPGetDatum(&entry->id)};
	const char *table = entry->kind == ENTRY_STATEMENT ? "access_log" :
	entry->kind == ENTRY_ROWS ? "access_record" : "admin_event";
	int			result;

	result = SPI_execute_with_args(psprintf("SELECT FROM llm_audit.%s WHERE id = $1",
											table),
								   1, types, values, NULL, true, 1);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not look into the access log");
	return SPI_processed > 0;
}
