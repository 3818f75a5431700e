/*
 * view_guard.c
 *	  The functions that sensitive views are made of.
 *
 * They run as the reader, who may also call them by hand; so none of them
 * does anything but record, and each refuses to work for a view that the
 * running statement does not read.
 */
#include "postgres.h"

#include "access/access.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(llm_audit_access_guard);
PG_FUNCTION_INFO_V1(llm_audit_reveal);
PG_FUNCTION_INFO_V1(llm_audit_is_export);

/* The statement that runs, if it reads this view. */
static AccessStatement *
StatementOfView(Oid view)
{
	AccessStatement *statement = StatementRunning();

	if (statement == NULL ||
		!list_member_oid(statement->examined.guards, view))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("llm_audit.access_guard() works in the view that it is called for only"),
				 errdetail("The view must be a security barrier, with WHERE (SELECT llm_audit.access_guard(...)) as its condition or joined to it by AND."),
				 errhint("The first argument is the view itself, as a constant.")));
	return statement;
}

/* The elements of a uuid[] that are not null. */
static List *
UuidList(ArrayType *array)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	List	   *list = NIL;

	deconstruct_array(array, UUIDOID, UUID_LEN, false, TYPALIGN_CHAR,
					  &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			list = lappend(list, DatumGetUUIDP(elements[i]));
	}
	return list;
}

/*
 * llm_audit.access_guard(view regclass, needs_reason boolean,
 *		disclosure_ids uuid[]) -> boolean
 *		True once the statement that reads the view is recorded and flushed.
 *		Errors: 22023 without a reason where one is needed, 25006 on a
 *		standby, 25000 in a parallel worker, 42809 outside its view, 55000
 *		where reads cannot be recorded, 57P03 without a worker, 53400 with a
 *		full queue, 55P03 if the record takes too long, or the SQLSTATE with
 *		which it could not be written.
 */
Datum
llm_audit_access_guard(PG_FUNCTION_ARGS)
{
	bool		needs_reason = PG_ARGISNULL(1) || PG_GETARG_BOOL(1);
	List	   *disclosures = NIL;

	(void) RequireRing();
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("view must not be null")));
	if (!PG_ARGISNULL(2))
		disclosures = UuidList(PG_GETARG_ARRAYTYPE_P(2));
	StatementRecord(StatementOfView(PG_GETARG_OID(0)), needs_reason,
					disclosures);
	PG_RETURN_BOOL(true);
}

/*
 * llm_audit.reveal(id uuid, request_id text, body text) -> text
 *		body, after noting that the row was seen.  A NULL body shows nothing
 *		and is not noted.  Errors as access_guard().
 */
Datum
llm_audit_reveal(PG_FUNCTION_ARGS)
{
	AccessStatement *statement;
	char	   *request_id;

	(void) RequireRing();
	if (PG_ARGISNULL(2))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("id must not be null")));
	statement = StatementRunning();
	if (statement == NULL || !statement->acknowledged)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("llm_audit.reveal() works in guarded views only")));
	request_id = PG_ARGISNULL(1) ? NULL :
		text_to_cstring(PG_GETARG_TEXT_PP(1));
	StatementSaw(statement, PG_GETARG_UUID_P(0), request_id);
	PG_RETURN_DATUM(PG_GETARG_DATUM(2));
}

/* llm_audit.is_export() -> boolean: does the statement take rows out? */
Datum
llm_audit_is_export(PG_FUNCTION_ARGS)
{
	AccessStatement *statement = StatementRunning();

	PG_RETURN_BOOL(statement != NULL && statement->exported);
}

void
AccessInit(void)
{
	RingInit();
	StatementInit();
	ExemptInit();
	HookInit();
	LoginInit();
	PauseInit();
	WriterRegister();
}
