/*
 * encrypt.c
 *	  Values encrypted at rest: the step of the insert trigger after masking,
 *	  and the way back.
 *
 * A text of column "x" goes, masked, to column "x_encrypted" of type bytea,
 * and x stays NULL; a bytea column with such a policy holds its own
 * ciphertext.  The row's hash covers what is stored.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "policy/encrypt.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

#define ENCRYPTED_SUFFIX "_encrypted"

PG_FUNCTION_INFO_V1(llm_audit_decrypt_value);
PG_FUNCTION_INFO_V1(llm_audit_decrypt_bytes);

/* ---------------- which columns ---------------- */

/* The column of that name among those that are hashed, or NULL. */
static const LedgerColumn *
ColumnByName(const LedgerColumn *columns, int ncolumns, const char *name)
{
	for (int i = 0; i < ncolumns; i++)
	{
		if (strcmp(NameStr(columns[i].name), name) == 0)
			return &columns[i];
	}
	return NULL;
}

/* The column that holds the ciphertext of another, or NULL. */
static const LedgerColumn *
SealedColumn(const LedgerColumn *columns, int ncolumns,
			 const LedgerColumn *plain)
{
	const LedgerColumn *result = plain;

	if (plain->type != BYTEAOID)
	{
		char	   *name = psprintf("%s%s", NameStr(plain->name), ENCRYPTED_SUFFIX);

		result = ColumnByName(columns, ncolumns, name);
		pfree(name);
	}
	return result != NULL && result->type == BYTEAOID &&
		result->attnum != InvalidAttrNumber ? result : NULL;
}

void
EncryptFind(LedgerPlan *plan, const Segment *seg)
{
	plan->encrypts = false;
	plan->body_encrypted = plan->original_encrypted = NULL;
	plan->input_digest =
		strcmp(NameStr(seg->ledger_schema), LLM_AUDIT_SCHEMA) != 0 ? NULL :
		ColumnByName(plan->columns, seg->ncolumns, "input_digest");
	for (int i = 0; i < plan->nfields; i++)
	{
		FieldPlan  *field = &plan->fields[i];

		if (!field->encrypt)
			continue;
		plan->encrypts = true;
		field->sealed = SealedColumn(plan->columns, seg->ncolumns,
									 field->column);
	}
	if (seg->role != ROLE_LLM_CONTENT)
		return;
	plan->body_encrypted = ColumnByName(plan->columns, seg->ncolumns,
										"body_encrypted");
	plan->original_encrypted = ColumnByName(plan->columns, seg->ncolumns,
											"original_encrypted");
}

/* Refuses a value for a column that is ours alone. */
static void
RefuseSupplied(const Segment *seg, const LedgerColumn *column,
			   const bool *nulls)
{
	if (column == NULL || column->attnum == InvalidAttrNumber ||
		nulls[column->attnum - 1])
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("column \"%s\" of ledger \"%s\" is set by llm_audit and cannot be supplied",
					NameStr(column->name), NameStr(seg->ledger_name))));
}

void
EncryptCheck(const Segment *seg, const LedgerPlan *plan, const bool *nulls)
{
	if (!PolicyTakesInputDigest)
		RefuseSupplied(seg, plan->input_digest, nulls);
	RefuseSupplied(seg, plan->body_encrypted, nulls);
	RefuseSupplied(seg, plan->original_encrypted, nulls);
	for (int i = 0; i < plan->nfields && plan->encrypts; i++)
	{
		const FieldPlan *field = &plan->fields[i];

		if (!field->encrypt)
			continue;
		if (field->sealed == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_CONFIG_FILE_ERROR),
					 errmsg("column \"%s\" of ledger \"%s\" must be encrypted, but there is no column for it",
							NameStr(field->name), NameStr(seg->ledger_name)),
					 errhint("Add column \"%s%s\" of type bytea.",
							 NameStr(field->name), ENCRYPTED_SUFFIX)));
		if (field->sealed->attnum != field->attnum)
			RefuseSupplied(seg, field->sealed, nulls);
	}
}

/* ---------------- encrypting ---------------- */

/* Where a value of a row stands. */
static SealedPlace
PlaceOf(const Segment *seg, const LedgerColumn *column, Datum id)
{
	SealedPlace place;

	memcpy(place.ledger_id, seg->ledger_id, LEDGER_ID_SIZE);
	place.segment = seg->number;
	place.column = column->number;
	memcpy(place.row_id, DatumGetUUIDP(id)->data, UUID_LEN);
	return place;
}

/* The bytes of a text, json, jsonb or bytea value. */
static AeadBytes
BytesOf(const FieldPlan *field, Datum value)
{
	AeadBytes	bytes;

	if (field->kind == KIND_JSONB)
	{
		Jsonb	   *jsonb = DatumGetJsonbP(value);

		bytes.data = JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
		bytes.len = strlen(bytes.data);
	}
	else
	{
		struct varlena *data = PG_DETOAST_DATUM_PACKED(value);

		bytes.data = VARDATA_ANY(data);
		bytes.len = VARSIZE_ANY_EXHDR(data);
	}
	return bytes;
}

/* Encrypts one value for its place. */
static Datum
EncryptBytes(const SealedPlace *place, const AeadBytes *plain)
{
	SealedKey	key;
	bytea	   *result;

	if (plain->len > SEALED_MAX_TEXT - SEALED_OVERHEAD)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("value is too long to be encrypted")));
	result = palloc(VARHDRSZ + plain->len + SEALED_OVERHEAD);
	SET_VARSIZE(result, VARHDRSZ + plain->len + SEALED_OVERHEAD);
	key = DataKeyForWriting(place->ledger_id, place->segment);
	if (!SealedMake(&key, place, plain, (uint8 *) VARDATA(result)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not encrypt a value")));
	return PointerGetDatum(result);
}

void
EncryptRow(const Segment *seg, const LedgerPlan *plan, Datum *values,
		   bool *nulls)
{
	AttrNumber	id = seg->attrs.id;

	for (int i = 0; i < plan->nfields && plan->encrypts; i++)
	{
		const FieldPlan *field = &plan->fields[i];
		const LedgerColumn *sealed = field->sealed;
		SealedPlace place;
		AeadBytes	plain;

		if (!field->encrypt || nulls[field->attnum - 1])
			continue;
		if (nulls[id - 1])
		{
			values[id - 1] = LedgerUuid();
			nulls[id - 1] = false;
		}
		place = PlaceOf(seg, sealed, values[id - 1]);
		plain = BytesOf(field, values[field->attnum - 1]);
		nulls[field->attnum - 1] = true;
		values[sealed->attnum - 1] = EncryptBytes(&place, &plain);
		nulls[sealed->attnum - 1] = false;
	}
}

/* ---------------- decrypting ---------------- */

/* The error for a stored value that does not open. */
static void
RaiseSealed(SealedStatus status)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("encrypted value cannot be decrypted"),
			 errdetail_internal("%s",
								status == SEALED_TRUNCATED ?
								"It is too short to be an encrypted value." :
								status == SEALED_UNKNOWN ?
								"It does not begin as an encrypted value of this version does." :
								"It was altered, or was encrypted for another row, column or segment.")));
}

/* Decrypts a stored value; every failure is an error. */
static bytea *
DecryptBytes(const SealedPlace *place, const bytea *value)
{
	AeadBytes	sealed = {VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};
	DataKeyRef	ref;
	SealedKey	key;
	SealedStatus status;
	bytea	   *result;

	status = SealedKeyId(&sealed, &ref.key_id);
	if (status != SEALED_OK)
		RaiseSealed(status);
	memcpy(ref.ledger_id, place->ledger_id, LEDGER_ID_SIZE);
	ref.segment = place->segment;
	key = DataKeyForReading(&ref);
	result = palloc(VARHDRSZ + sealed.len - SEALED_OVERHEAD);
	SET_VARSIZE(result, VARHDRSZ + sealed.len - SEALED_OVERHEAD);
	status = SealedOpen(&key, place, &sealed, (uint8 *) VARDATA(result));
	if (status != SEALED_OK)
		RaiseSealed(status);
	return result;
}

/* A datum of a base type from what was encrypted of it. */
static Datum
FromBytes(Oid type, bytea *plain)
{
	if (type != JSONBOID)
		return PointerGetDatum(plain);
	return DirectFunctionCall1(jsonb_in,
							   CStringGetDatum(text_to_cstring((text *) plain)));
}

/* The data key that a stored value is under is there; or it is lost. */
static bool
KeyIsThere(const Segment *seg, const bytea *value)
{
	AeadBytes	sealed = {VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};
	DataKeyRef	ref;
	DataKeyFile file;
	struct stat st;

	if (SealedKeyId(&sealed, &ref.key_id) != SEALED_OK ||
		KeyDirProblem(true) != NULL)
		return false;
	memcpy(ref.ledger_id, seg->ledger_id, LEDGER_ID_SIZE);
	ref.segment = seg->number;
	return KeyDirRead(&ref, &file, &st) && file.state == DATAKEY_LIVE;
}

bool
PolicyStoredPlain(const Segment *seg, AttrNumber attnum, const Datum *values,
				  const bool *nulls, Datum *plain, bool *lost)
{
	LedgerPlan *plan = PlanFor(seg);
	const LedgerColumn *column = NULL;
	const LedgerColumn *sealed;
	SealedPlace place;
	bytea	   *value;

	*lost = false;
	for (int i = 0; i < plan->nfields; i++)
	{
		if (plan->fields[i].attnum == attnum &&
			(plan->fields[i].kind != KIND_BYTEA || plan->fields[i].encrypt))
			column = plan->fields[i].column;
	}
	sealed = column == NULL ? NULL :
		SealedColumn(plan->columns, seg->ncolumns, column);
	if (sealed == NULL || nulls[sealed->attnum - 1] ||
		(sealed->attnum != attnum && !nulls[attnum - 1]))
		return false;
	value = DatumGetByteaPP(values[sealed->attnum - 1]);
	*lost = !KeyIsThere(seg, value);
	if (*lost)
		return false;
	place = PlaceOf(seg, sealed, values[seg->attrs.id - 1]);
	*plain = FromBytes(column->type, DecryptBytes(&place, value));
	return true;
}

/*
 * llm_audit.decrypt_value(segment regclass, column_name name, id uuid,
 *		value bytea) → text
 *		What was encrypted in the column of the row with that id.  Errors:
 *		42809 if the table is no segment of a ledger, 42703 for a column that
 *		it does not have or that holds no ciphertext, XX001 if the value was
 *		altered or belongs elsewhere, 58P01 if its data key is missing, 55000
 *		if that was destroyed, F0000 if keys cannot be used.
 */
Datum
llm_audit_decrypt_value(PG_FUNCTION_ARGS)
{
	const Segment *seg = SegmentLookup(PG_GETARG_OID(0));
	const char *name = NameStr(*PG_GETARG_NAME(1));
	const LedgerColumn *column;
	SealedPlace place;
	bytea	   *plain;

	if (seg == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table is not a segment of a ledger")));
	column = ColumnByName(seg->columns, seg->ncolumns, name);
	if (column != NULL)
		column = SealedColumn(seg->columns, seg->ncolumns, column);
	if (column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of ledger \"%s\" holds no encrypted values",
						name, NameStr(seg->ledger_name))));
	place = PlaceOf(seg, column, PG_GETARG_DATUM(2));
	plain = DecryptBytes(&place, PG_GETARG_BYTEA_PP(3));
	if (!pg_verify_mbstr(PG_UTF8, VARDATA(plain), VARSIZE(plain) - VARHDRSZ, true) ||
		memchr(VARDATA(plain), '\0', VARSIZE(plain) - VARHDRSZ) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("encrypted value is not a text"),
				 errhint("Use llm_audit.decrypt_bytes().")));
	PG_RETURN_TEXT_P((text *) plain);
}

/*
 * llm_audit.decrypt_bytes(ledger_id uuid, segment int, column_number int,
 *		id uuid, value bytea) → bytea
 *		The same for a place that the caller names, such as that of a row of
 *		an archive.  Errors: 22023 for a number out of range, else as
 *		decrypt_value.
 */
Datum
llm_audit_decrypt_bytes(PG_FUNCTION_ARGS)
{
	int32		segment = PG_GETARG_INT32(1);
	int32		column = PG_GETARG_INT32(2);
	SealedPlace place;

	if (segment < 1 || column < 1 || column > PG_UINT16_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of segment or column is out of range")));
	memcpy(place.ledger_id, PG_GETARG_UUID_P(0)->data, LEDGER_ID_SIZE);
	place.segment = segment;
	place.column = column;
	memcpy(place.row_id, PG_GETARG_UUID_P(3)->data, UUID_LEN);
	PG_RETURN_BYTEA_P(DecryptBytes(&place, PG_GETARG_BYTEA_PP(4)));
}
