/*
 * record_digest.c
 *	  The keyed digest of what a writer gave, by which a retry is told from
 *	  another record with the same id.
 *
 * What is stored does not tell: it depends on the field policies, rules and
 * keys of its time, and two numbers may be masked alike.  The digest is of the
 * values before they are masked, and of the texts that go with them.  Its form
 * is the key's id, a colon, 8 bytes for which values and how many texts there
 * were, and 32 for these themselves.  A retry may leave values out; then only
 * comparing the others tells.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "compat.h"
#include "core/rowenc.h"
#include "lib/stringinfo.h"
#include "policy/policy.h"
#include "record/record.h"

#define SHAPE_SIZE 8
#define DIGEST_SIZE (SHAPE_SIZE + SHA256_SIZE)

/* What was given: which values, and the values. */
typedef struct GivenInput
{
	StringInfoData shape;
	StringInfoData values;
} GivenInput;

/* Appends the length of something and its bytes. */
static void
AppendBytes(StringInfo buf, const void *data, size_t len)
{
	uint8		size[8];

	PutU64(size, len);
	appendBinaryStringInfo(buf, (const char *) size, sizeof(size));
	appendBinaryStringInfo(buf, data, len);
}

/* Appends a value as it is in memory, which is how retries are compared. */
static void
AppendValue(StringInfo buf, const TargetColumn *column, Datum value)
{
	if (column->byval)
		AppendBytes(buf, &value, sizeof(value));
	else if (column->len == -1)
	{
		struct varlena *data = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value));

		AppendBytes(buf, VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data));
	}
	else
		AppendBytes(buf, DatumGetPointer(value), column->len);
}

/* Appends each value that the writer gave for the row, and its name. */
static void
AppendRow(GivenInput *given, const Target *target, const TypedRow *row)
{
	for (int i = 0; i < target->schema.ncolumns; i++)
	{
		const TargetColumn *column = &target->columns[i];
		const RecordColumn *name = &target->schema.columns[i];
		int			p = column->position;

		if (p < 0 || !row->given[p] || row->nulls[p])
			continue;
		AppendBytes(&given->shape, name->name, name->len);
		AppendValue(&given->values, column, row->values[p]);
	}
}

/* Appends the texts that go with a call. */
static void
AppendTexts(GivenInput *given, const RecordDoc *doc)
{
	for (const RecordRow *row = doc->content.first; row; row = row->next)
	{
		const JsonNode *body = RecordGet(row, "body");

		if (body == NULL || body->type != JSON_STRING)
			continue;
		AppendBytes(&given->shape, NULL, 0);
		AppendBytes(&given->values, body->text, body->len);
	}
}

/* The hashes of what was given, under a live key; false if it is none. */
static bool
HashLine(const Recording *rec, const Line *line, int which, uint8 *out)
{
	GivenInput	given;
	uint8		shape[SHA256_SIZE];
	bool		done;

	initStringInfo(&given.shape);
	initStringInfo(&given.values);
	appendStringInfoString(&given.shape, rec->main->schema.ledger);
	AppendRow(&given, rec->main, line->main);
	if (rec->content)
		AppendTexts(&given, &line->doc);
	done = PolicyInputHash(which, given.shape.data, given.shape.len, shape);
	memcpy(out, shape, SHAPE_SIZE);
	AppendBytes(&given.values, shape, done ? sizeof(shape) : 0);
	done = done && PolicyInputHash(which, given.values.data, given.values.len,
								   out + SHAPE_SIZE);
	pfree(given.shape.data);
	pfree(given.values.data);
	return done;
}

/* The position of the digest in the target's INSERT, or -1. */
static int
DigestPosition(const Target *target)
{
	int			i = RecordColumnFind(&target->schema, INPUT_DIGEST,
									 strlen(INPUT_DIGEST));

	return i < 0 ? -1 : target->columns[i].position;
}

void
DigestLine(const Recording *rec, Line *line)
{
	int			p = DigestPosition(rec->main);
	const char *id = PolicyKeyId(0);
	size_t		id_len = id ? strlen(id) : 0;
	bytea	   *digest;

	/* a new id can meet no other */
	if (!line->id_given || p < 0 || id == NULL || !llm_audit_masking)
		return;
	digest = palloc(VARHDRSZ + id_len + 1 + DIGEST_SIZE);
	SET_VARSIZE(digest, VARHDRSZ + id_len + 1 + DIGEST_SIZE);
	memcpy(VARDATA(digest), id, id_len);
	VARDATA(digest)[id_len] = ':';
	if (!HashLine(rec, line, 0, (uint8 *) VARDATA(digest) + id_len + 1))
		return;
	line->main->values[p] = PointerGetDatum(digest);
	line->main->nulls[p] = false;
}

/* The live key of a stored digest, or -1. */
static int
KeyOfDigest(const bytea *digest)
{
	const char *data = VARDATA_ANY(digest);
	size_t		len = VARSIZE_ANY_EXHDR(digest);

	for (int i = 0; i < PolicyKeyCount(); i++)
	{
		const char *id = PolicyKeyId(i);

		if (len == strlen(id) + 1 + DIGEST_SIZE &&
			memcmp(data, id, strlen(id)) == 0 && data[strlen(id)] == ':')
			return i;
	}
	return -1;
}

DigestVerdict
DigestCompare(const Recording *rec, const Line *line, Datum stored)
{
	bytea	   *digest = DatumGetByteaPP(stored);
	int			which = KeyOfDigest(digest);
	uint8		given[DIGEST_SIZE];
	const char *before;

	if (which < 0 || !HashLine(rec, line, which, given))
		return DIGEST_UNKNOWN;
	before = VARDATA_ANY(digest) + VARSIZE_ANY_EXHDR(digest) - DIGEST_SIZE;
	if (memcmp(before, given, DIGEST_SIZE) == 0)
		return DIGEST_SAME;
	return memcmp(before, given, SHAPE_SIZE) == 0 ? DIGEST_OTHER : DIGEST_UNKNOWN;
}
