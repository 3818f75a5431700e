/*
 * record_value.c
 *	  JSON values as values of columns.
 *
 * Values are checked here before PostgreSQL's input functions see them, so
 * that a value which does not fit is refused by the name of its key, without
 * an error to recover from and without being quoted.
 */
#include "postgres.h"

#include <math.h>
#include <sys/socket.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "record/record.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/inet.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#define MICROS_TO_2000 \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

/* Longest JSON text that is made a jsonb. */
#define LARGEST_JSON (64 * 1024 * 1024)

#define LONGEST_NUMBER 200

/* ---------------- times ---------------- */

pg_tz *
ZoneFind(const JsonNode *name)
{
	char		buf[64];
	pg_tz	   *zone;

	if (name == NULL || name->type != JSON_STRING || name->len == 0 ||
		name->len >= sizeof(buf) || memchr(name->text, '\0', name->len))
		return NULL;
	memcpy(buf, name->text, name->len);
	buf[name->len] = '\0';
	/* only names of the database; pg_tzset takes POSIX rules as well */
	if (strchr(buf, '/') == NULL && strcmp(buf, "UTC") != 0 &&
		strcmp(buf, "GMT") != 0)
		return NULL;
	zone = pg_tzset(buf);
	return zone && pg_tz_acceptable(zone) ? zone : NULL;
}

int
ZoneOffset(pg_tz *zone, TimestampTz time)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			tz;

	if (timestamp2tm(time, &tz, &tm, &fsec, NULL, zone) != 0)
		return 0;
	return -tz / 60;
}

/* The time at which clocks in the zone showed micros since 1970. */
static TimestampTz
FromLocal(int64 micros, pg_tz *zone)
{
	Timestamp	local = micros - MICROS_TO_2000;
	struct pg_tm tm;
	fsec_t		fsec;
	int			tz;

	if (timestamp2tm(local, NULL, &tm, &fsec, NULL, NULL) != 0)
		return local;
	tz = DetermineTimeZoneOffset(&tm, zone);
	return local + (int64) tz * USECS_PER_SEC;
}

bool
TimeParse(const JsonNode *node, pg_tz *zone, TimestampTz *time,
		  int *offset_minutes, bool *has_offset)
{
	RecordTime	parsed;
	int64		micros;

	*offset_minutes = 0;
	*has_offset = false;
	if (node->type != JSON_STRING && node->type != JSON_NUMBER)
		return false;
	if (RecordParseEpoch(node->text, node->len, &micros))
		*time = micros - MICROS_TO_2000;
	else if (!RecordParseTime(node->text, node->len, &parsed))
		return false;
	else if (parsed.has_zone || zone == NULL)
	{
		*time = parsed.micros - MICROS_TO_2000;
		*offset_minutes = parsed.offset_minutes;
		*has_offset = parsed.has_zone && parsed.offset_minutes != 0;
	}
	else
		*time = FromLocal(parsed.micros, zone);
	return IS_VALID_TIMESTAMP(*time);
}

/* ---------------- numbers ---------------- */

/* Reads an integer, with a fraction of zeros at most, within the bounds. */
static bool
ParseInteger(const JsonNode *node, int64 min, int64 max, int64 *value)
{
	const char *p = node->text;
	const char *end = p + node->len;
	bool		negative = false;
	uint64		n = 0;

	if (node->type != JSON_NUMBER && node->type != JSON_STRING)
		return false;
	if (p < end && *p == '-')
	{
		negative = true;
		p++;
	}
	if (p == end)
		return false;
	for (; p < end && *p >= '0' && *p <= '9'; p++)
	{
		if (n > PG_INT64_MAX / 10)
			return false;
		n = n * 10 + (*p - '0');
		if (n > (uint64) PG_INT64_MAX)
			return false;
	}
	if (p < end && *p == '.')
	{
		for (p++; p < end && *p == '0';)
			p++;
	}
	if (p != end || node->text[negative] < '0' || node->text[negative] > '9')
		return false;
	*value = negative ? -(int64) n : (int64) n;
	return *value >= min && *value <= max;
}

/* True if text is a decimal number that numeric_in takes. */
static bool
IsDecimal(const char *p, const char *end)
{
	const char *digits;

	if (p < end && *p == '-')
		p++;
	digits = p;
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	if (p == digits)
		return false;
	if (p < end && *p == '.')
	{
		for (p++; p < end && *p >= '0' && *p <= '9';)
			p++;
	}
	if (p < end && (*p == 'e' || *p == 'E'))
	{
		p++;
		if (p < end && (*p == '+' || *p == '-'))
			p++;
		digits = p;
		while (p < end && *p >= '0' && *p <= '9')
			p++;
		if (p == digits || p - digits > 3)
			return false;
	}
	return p == end;
}

/* A number within the precision of its column; its scale is rounded to. */
static bool
ConvertNumeric(ValueSlot *slot, const JsonNode *node)
{
	int32		typmod = slot->column->typmod;
	double		value;

	slot->problem = "must be a number";
	if ((node->type != JSON_NUMBER && node->type != JSON_STRING) ||
		node->len > LONGEST_NUMBER ||
		!IsDecimal(node->text, node->text +node->len))
		return false;
	value = strtod(pnstrdup(node->text, node->len), NULL);
	slot->problem = "is out of range";
	if (!isfinite(value))
		return false;
	if (typmod >= (int32) VARHDRSZ)
	{
		int			precision = ((typmod - VARHDRSZ) >> 16) & 0xffff;
		int			scale = (typmod - VARHDRSZ) & 0x7ff;

		if (fabs(value) >= pow(10, precision - scale) - 0.5)
			return false;
	}
	slot->value = DirectFunctionCall3(numeric_in,
									  CStringGetDatum(pnstrdup(node->text, node->len)),
									  ObjectIdGetDatum(InvalidOid),
									  Int32GetDatum(typmod));
	return true;
}

/* An int2, int4 or int8. */
static bool
ConvertInteger(ValueSlot *slot, const JsonNode *node)
{
	int64		value;

	slot->problem = "must be an integer within the range of its column";
	switch (slot->column->kind)
	{
		case VALUE_INT2:
			if (!ParseInteger(node, PG_INT16_MIN, PG_INT16_MAX, &value))
				return false;
			slot->value = Int16GetDatum((int16) value);
			return true;
		case VALUE_INT4:
			if (!ParseInteger(node, PG_INT32_MIN, PG_INT32_MAX, &value))
				return false;
			slot->value = Int32GetDatum((int32) value);
			return true;
		default:
			if (!ParseInteger(node, -PG_INT64_MAX, PG_INT64_MAX, &value))
				return false;
			slot->value = Int64GetDatum(value);
			return true;
	}
}

/* ---------------- texts ---------------- */

/* A scalar as text: strings decoded, the rest as written. */
static bool
ConvertText(ValueSlot *slot, const JsonNode *node)
{
	slot->problem = "must be a string";
	if (node->type == JSON_ARRAY || node->type == JSON_OBJECT ||
		node->type == JSON_TOO_DEEP)
		return false;
	slot->value = PointerGetDatum(cstring_to_text_with_len(node->text,
														   node->len));
	return true;
}

static bool
ConvertChar(ValueSlot *slot, const JsonNode *node)
{
	slot->problem = "must be a string that fits its column";
	if (node->type != JSON_STRING ||
		(slot->column->typmod >= (int32) VARHDRSZ &&
		 pg_mbstrlen_with_len(node->text, node->len) >
		 slot->column->typmod - VARHDRSZ))
		return false;
	slot->value = DirectFunctionCall3(bpcharin,
									  CStringGetDatum(pnstrdup(node->text, node->len)),
									  ObjectIdGetDatum(InvalidOid),
									  Int32GetDatum(slot->column->typmod));
	return true;
}

/* An array of scalars; a single one stands for itself. */
static bool
ConvertTextArray(ValueSlot *slot, const JsonNode *node)
{
	ValueSlot	element = *slot;
	Datum	   *values;
	int			n = 0;

	slot->problem = "must be an array of strings";
	if (node->type != JSON_ARRAY)
	{
		if (!ConvertText(&element, node))
			return false;
		slot->value = PointerGetDatum(construct_array(&element.value, 1, TEXTOID,
													  -1, false, TYPALIGN_INT));
		return true;
	}
	values = palloc(sizeof(Datum) * (node->count + 1));
	for (const JsonNode *e = node->child; e; e = e->next)
	{
		if (e->type == JSON_NULL)
			continue;
		if (!ConvertText(&element, e))
			return false;
		values[n++] = element.value;
	}
	slot->value = PointerGetDatum(construct_array(values, n, TEXTOID, -1, false,
												  TYPALIGN_INT));
	return true;
}

static bool
ConvertJsonb(ValueSlot *slot, const JsonNode *node, JsonArena *arena)
{
	JsonBuffer	buf;

	slot->problem = node->deep ? "is nested too deeply" : "is too long";
	if (node->deep)
		return false;
	JsonBufferInit(&buf, arena);
	JsonWrite(&buf, node, JSON_SPACED);
	JsonBufferAdd(&buf, "", 1);
	if (buf.len > LARGEST_JSON)
		return false;
	slot->value = DirectFunctionCall1(jsonb_in, CStringGetDatum(buf.data));
	return true;
}

static bool
ConvertBool(ValueSlot *slot, const JsonNode *node)
{
	slot->problem = "must be true or false";
	if (node->type == JSON_TRUE || JsonIs(node, "true"))
		slot->value = BoolGetDatum(true);
	else if (node->type == JSON_FALSE || JsonIs(node, "false"))
		slot->value = BoolGetDatum(false);
	else
		return false;
	return true;
}

/* ---------------- identifiers and addresses ---------------- */

bool
UuidParse(const char *text, size_t len, pg_uuid_t *uuid)
{
	size_t		p = 0;

	if (len != 36 && len != 32)
		return false;
	for (int i = 0; i < UUID_LEN; i++)
	{
		int			byte = 0;

		if (len == 36 && (i == 4 || i == 6 || i == 8 || i == 10) &&
			text[p++] != '-')
			return false;
		for (int half = 0; half < 2; half++)
		{
			char		c = text[p++];

			byte <<= 4;
			if (c >= '0' && c <= '9')
				byte |= c - '0';
			else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
				byte |= (c | 0x20) - 'a' + 10;
			else
				return false;
		}
		uuid->data[i] = byte;
	}
	return true;
}

static bool
ConvertUuid(ValueSlot *slot, const JsonNode *node)
{
	pg_uuid_t  *uuid = palloc(sizeof(pg_uuid_t));

	slot->problem = "must be a UUID";
	if (node->type != JSON_STRING || !UuidParse(node->text, node->len, uuid))
		return false;
	slot->value = UUIDPGetDatum(uuid);
	return true;
}

/* An address; checked first by the function that inet_in itself uses. */
static bool
ConvertInet(ValueSlot *slot, const JsonNode *node)
{
	char	   *text;
	unsigned char address[32];

	slot->problem = "must be a network address";
	if (node->type != JSON_STRING || node->len > 64 ||
		memchr(node->text, '\0', node->len))
		return false;
	text = pnstrdup(node->text, node->len);

	if (pg_inet_net_pton(strchr(text, ':') ? PGSQL_AF_INET6 : PGSQL_AF_INET,
						 text, address, -1) < 0)
		return false;
	slot->value = DirectFunctionCall1(inet_in, CStringGetDatum(text));
	return true;
}

static bool
ConvertTime(ValueSlot *slot, const JsonNode *node)
{
	TimestampTz time;
	int			offset;
	bool		has_offset;

	slot->problem = "must be a time in ISO 8601 form";
	if (!TimeParse(node, slot->zone, &time, &offset, &has_offset))
		return false;
	slot->value = TimestampTzGetDatum(time);
	return true;
}

/* ---------------- other types ---------------- */

/*
 * Any other type, in a column that a DBA has added: by its input function,
 * in a subtransaction because that may raise an error.
 */
static bool
ConvertOther(ValueSlot *slot, const JsonNode *node, JsonArena *arena)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool fine = true;
	JsonBuffer	buf;
	Oid			input;
	Oid			ioparam;

	slot->problem = "is not valid for the type of its column";
	if (node->deep)
		return false;
	JsonBufferInit(&buf, arena);
	if (node->type == JSON_ARRAY || node->type == JSON_OBJECT)
		JsonWrite(&buf, node, JSON_COMPACT);
	else
		JsonBufferAdd(&buf, node->text, node->len);
	JsonBufferAdd(&buf, "", 1);
	getTypeInputInfo(slot->column->type, &input, &ioparam);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		slot->value = OidInputFunctionCall(input, buf.data, ioparam,
										   slot->column->typmod);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		fine = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return fine;
}

bool
ValueConvert(ValueSlot *slot, const JsonNode *node, JsonArena *arena)
{
	switch (slot->column->kind)
	{
		case VALUE_TEXT:
			return ConvertText(slot, node);
		case VALUE_CHAR:
			return ConvertChar(slot, node);
		case VALUE_TEXT_ARRAY:
			return ConvertTextArray(slot, node);
		case VALUE_JSONB:
			return ConvertJsonb(slot, node, arena);
		case VALUE_INT2:
		case VALUE_INT4:
		case VALUE_INT8:
			return ConvertInteger(slot, node);
		case VALUE_NUMERIC:
			return ConvertNumeric(slot, node);
		case VALUE_BOOL:
			return ConvertBool(slot, node);
		case VALUE_TIME:
			return ConvertTime(slot, node);
		case VALUE_UUID:
			return ConvertUuid(slot, node);
		case VALUE_INET:
			return ConvertInet(slot, node);
		case VALUE_OTHER:
			return ConvertOther(slot, node, arena);
	}
	return false;
}
