/*
 * token.c
 *	  The ledger of match tokens: keyed hashes of identifiers found in calls,
 *	  by which an investigator who has a number finds the calls it was in.
 *
 * Rows are inserted as the owner of the ledger, since a writer of calls need
 * not be one of tokens.  The id of a row follows from call and token, so that
 * a text that is looked at twice, or a retried call, adds nothing.
 */
#include "postgres.h"

#include "access/htup_details.h"
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
#include "utils/syscache.h"

static SPIPlanPtr insert_plan = NULL;

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

void
TokensWrite(const TokenOwner *owner, List *tokens)
{
	Oid			ledger_owner = TokenLedgerOwner();
	Oid			user;
	int			security;

	if (!OidIsValid(ledger_owner))
		return;
	/* an error puts the user back by ending the (sub)transaction */
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(ledger_owner,
						   security | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	InsertTokens(owner, tokens);
	SPI_finish();
	SetUserIdAndSecContext(user, security);
}
