/*
 * encode.c
 *	  From a row's values to the bytes that are hashed.
 *
 * The encoding is ours and not the send functions', which depend on the
 * client's encoding, on array bounds and on the bits of a NaN.  Nothing here
 * may depend on a setting, a locale, the server version or the machine.
 */
#include "postgres.h"

#include <math.h>
#include <sys/socket.h>

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "ledger/ledger.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/inet.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#define BUFFER_START	4096

/* After a huge row the buffer goes back to a modest size. */
#define BUFFER_KEEP		(1024 * 1024)

EncodeKind
EncodeKindOf(Oid type)
{
	switch (type)
	{
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case JSONOID:
			return ENCODE_TEXT;
		case JSONBOID:
			return ENCODE_JSONB;
		case BOOLOID:
			return ENCODE_BOOL;
		case INT2OID:
			return ENCODE_INT2;
		case INT4OID:
			return ENCODE_INT4;
		case INT8OID:
			return ENCODE_INT8;
		case NUMERICOID:
			return ENCODE_NUMERIC;
		case FLOAT4OID:
			return ENCODE_FLOAT4;
		case FLOAT8OID:
			return ENCODE_FLOAT8;
		case UUIDOID:
			return ENCODE_UUID;
		case BYTEAOID:
			return ENCODE_BYTEA;
		case DATEOID:
			return ENCODE_DATE;
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return ENCODE_TIME;
		case INTERVALOID:
			return ENCODE_INTERVAL;
		case INETOID:
		case CIDROID:
			return ENCODE_INET;
		default:
			break;
	}

	/* An array type of one of the above, by its element. */
	if (type < FirstGenbkiObjectId)
	{
		Oid			element = get_element_type(type);

		if (OidIsValid(element) && get_array_type(element) == type &&
			EncodeKindOf(element) != ENCODE_NONE)
			return ENCODE_ARRAY;
	}
	return ENCODE_NONE;
}

void
EncodeBufferInit(EncodeBuffer *buf)
{
	buf->data = palloc(BUFFER_START);
	buf->size = BUFFER_START;
	buf->len = 0;
}

/* Empties the buffer, giving back what a huge row has made it take. */
static void
BufferReset(EncodeBuffer *buf)
{
	if (buf->size > BUFFER_KEEP)
	{
		buf->data = repalloc_huge(buf->data, BUFFER_START);
		buf->size = BUFFER_START;
	}
	buf->len = 0;
}

/* Makes room for more bytes and returns where they go. */
static inline uint8 *
BufferRoom(EncodeBuffer *buf, size_t more)
{
	if (buf->len + more > buf->size)
	{
		size_t		size = buf->size;

		while (buf->len + more > size)
			size *= 2;
		buf->data = repalloc_huge(buf->data, size);
		buf->size = size;		/* only now: there may be no such memory */
	}
	return buf->data + buf->len;
}

static inline void
BufferPut(EncodeBuffer *buf, const void *bytes, size_t len)
{
	memcpy(BufferRoom(buf, len), bytes, len);
	buf->len += len;
}

static inline void
BufferPutU8(EncodeBuffer *buf, uint8 v)
{
	*BufferRoom(buf, 1) = v;
	buf->len += 1;
}

static inline void
BufferPutU16(EncodeBuffer *buf, uint16 v)
{
	PutU16(BufferRoom(buf, 2), v);
	buf->len += 2;
}

static inline void
BufferPutU32(EncodeBuffer *buf, uint32 v)
{
	PutU32(BufferRoom(buf, 4), v);
	buf->len += 4;
}

static inline void
BufferPutU64(EncodeBuffer *buf, uint64 v)
{
	PutU64(BufferRoom(buf, 8), v);
	buf->len += 8;
}

/* The payload of a varlena: text as it is stored, or bytea. */
static void
PutVarlena(EncodeBuffer *buf, Datum value)
{
	struct varlena *v = (struct varlena *) DatumGetPointer(value);

	if (VARATT_IS_COMPRESSED(v) || VARATT_IS_EXTERNAL(v))
		v = pg_detoast_datum_packed(v);

	BufferPut(buf, VARDATA_ANY(v), VARSIZE_ANY_EXHDR(v));
	if ((Pointer) v != DatumGetPointer(value))
		pfree(v);
}

/* How a numeric is stored, see the server's numeric.c. */
#define NUMERIC_KIND		0xC000
#define NUMERIC_KIND_SHORT	0x8000
#define NUMERIC_KIND_MINUS	0x4000	/* of the long form */
#define NUMERIC_BASE		10000
#define NUMERIC_DIGIT_CHARS	4	/* decimal ones in a digit of that base */

/* A numeric taken apart; its digits need not be aligned. */
typedef struct NumericParts
{
	bool		minus;
	int			weight;			/* of the first digit, to that base */
	int			scale;			/* decimal digits after the point */
	int			ndigits;
	const char *digits;
} NumericParts;

/* False for what is not plainly stored here, and for NaN and infinities. */
static bool
NumericTakeApart(const struct varlena *v, NumericParts *parts)
{
	const char *data = VARDATA_ANY(v);
	size_t		len;
	uint16		head;
	int16		weight;

	if (VARATT_IS_COMPRESSED(v) || VARATT_IS_EXTERNAL(v))
		return false;
	len = VARSIZE_ANY_EXHDR(v);
	if (len < sizeof(head))
		return false;
	memcpy(&head, data, sizeof(head));
	if ((head & NUMERIC_KIND) == NUMERIC_KIND_SHORT)
	{
		parts->minus = (head & 0x2000) != 0;
		parts->scale = (head >> 7) & 0x3f;
		parts->weight = (int) (head & 0x3f) - ((head & 0x40) != 0 ? 0x40 : 0);
		parts->digits = data + sizeof(head);
	}
	else
	{
		if ((head & NUMERIC_KIND) == NUMERIC_KIND ||
			len < sizeof(head) + sizeof(weight))
			return false;
		memcpy(&weight, data + sizeof(head), sizeof(weight));
		parts->minus = (head & NUMERIC_KIND) == NUMERIC_KIND_MINUS;
		parts->scale = head & 0x3fff;
		parts->weight = weight;
		parts->digits = data + sizeof(head) + sizeof(weight);
	}
	parts->ndigits = (int) ((data + len - parts->digits) / sizeof(int16));
	return true;
}

/* A digit of the number; those that are not stored are 0. */
static inline unsigned int
NumericDigit(const NumericParts *parts, int i)
{
	uint16		digit = 0;

	if (i >= 0 && i < parts->ndigits)
		memcpy(&digit, parts->digits + i * sizeof(digit), sizeof(digit));
	return digit;
}

/* Writes a digit as four decimal ones. */
static inline void
PutDigit(uint8 *p, unsigned int digit)
{
	p[0] = '0' + digit / 1000;
	p[1] = '0' + digit / 100 % 10;
	p[2] = '0' + digit / 10 % 10;
	p[3] = '0' + digit % 10;
}

/*
 * Puts what the server's function prints, which takes several times as long.
 * False, with nothing put, if the number is not one of the kind that it takes
 * apart, or has digits that no number has.
 */
static bool
PutPlainNumeric(EncodeBuffer *buf, const struct varlena *v)
{
	NumericParts parts;
	uint8	   *p;
	uint8	   *start;
	int			i;

	if (!NumericTakeApart(v, &parts))
		return false;
	for (i = 0; i < parts.ndigits; i++)
	{
		if (NumericDigit(&parts, i) >= NUMERIC_BASE)
			return false;
	}
	/* sign, point, and what is cut off again at either end */
	start = p = BufferRoom(buf, (Max(parts.weight, 0) + 3) * NUMERIC_DIGIT_CHARS +
						   parts.scale);
	if (parts.minus)
		*p++ = '-';
	if (parts.weight < 0)
		*p++ = '0';
	for (i = 0; i <= parts.weight; i++)
	{
		PutDigit(p, NumericDigit(&parts, i));
		if (i == 0)
		{
			int			zeros = 0;

			while (zeros < NUMERIC_DIGIT_CHARS - 1 && p[zeros] == '0')
				zeros++;
			memmove(p, p + zeros, NUMERIC_DIGIT_CHARS - zeros);
			p -= zeros;
		}
		p += NUMERIC_DIGIT_CHARS;
	}
	if (parts.scale > 0)
	{
		*p++ = '.';
		for (int done = 0; done < parts.scale; done += NUMERIC_DIGIT_CHARS)
			PutDigit(p + done, NumericDigit(&parts, parts.weight + 1 +
											done / NUMERIC_DIGIT_CHARS));
		p += parts.scale;
	}
	buf->len += p - start;
	return true;
}

static void
PutNumeric(EncodeBuffer *buf, Datum value)
{
	char	   *text;

	if (PutPlainNumeric(buf, (const struct varlena *) DatumGetPointer(value)))
		return;
	text = DatumGetCString(DirectFunctionCall1(numeric_out, value));

	BufferPut(buf, text, strlen(text));
	pfree(text);
}

/* Puts what stands for a character that a JSON string cannot hold. */
static void
PutJsonEscape(EncodeBuffer *buf, uint8 c)
{
	static const char names[] = {
		['\b'] = 'b',['\f'] = 'f',['\n'] = 'n',['\r'] = 'r',['\t'] = 't',
		['"'] = '"',['\\'] = '\\'
	};
	char		escaped[8];

	if (c < sizeof(names) && names[c] != '\0')
		snprintf(escaped, sizeof(escaped), "\\%c", names[c]);
	else
		snprintf(escaped, sizeof(escaped), "\\u%04x", c);
	BufferPut(buf, escaped, strlen(escaped));
}

/* True for what stands in a JSON string as it is. */
static inline bool
JsonPlain(uint8 c)
{
	return c >= ' ' && c != '"' && c != '\\';
}

/* Puts a string of a document in quotes. */
static void
PutJsonString(EncodeBuffer *buf, const char *string, size_t len)
{
	uint8	   *p = BufferRoom(buf, len + 2);
	size_t		done = 0;

	while (done < len && JsonPlain((uint8) string[done]))
		done++;
	*p = '"';
	memcpy(p + 1, string, done);
	buf->len += 1 + done;
	for (size_t i = done; i < len; i++)
	{
		uint8		c = (uint8) string[i];

		if (JsonPlain(c))
			continue;
		BufferPut(buf, string + done, i - done);
		PutJsonEscape(buf, c);
		done = i + 1;
	}
	BufferPut(buf, string + done, len - done);
	BufferPutU8(buf, '"');
}

static void PutJsonContainer(EncodeBuffer *buf, const JsonbContainer *jc);

/* Puts an element or a value, whose bytes are from off to end. */
static void
PutJsonChild(EncodeBuffer *buf, JEntry entry, const char *base, uint32 off,
			 uint32 end)
{
	if (JBE_ISSTRING(entry))
		PutJsonString(buf, base + off, end - off);
	else if (JBE_ISNUMERIC(entry))
		PutNumeric(buf, PointerGetDatum(base + INTALIGN(off)));
	else if (JBE_ISCONTAINER(entry))
		PutJsonContainer(buf, (const JsonbContainer *) (base + INTALIGN(off)));
	else if (JBE_ISBOOL_TRUE(entry))
		BufferPut(buf, "true", 4);
	else if (JBE_ISBOOL_FALSE(entry))
		BufferPut(buf, "false", 5);
	else
		BufferPut(buf, "null", 4);
}

/*
 * Puts an object, an array or a lone scalar.  The keys of an object stand
 * before its values, each kind with its bytes one after the other.
 */
static void
PutJsonContainer(EncodeBuffer *buf, const JsonbContainer *jc)
{
	uint32		count = JsonContainerSize(jc);
	bool		is_object = JsonContainerIsObject(jc);
	uint32		first = is_object ? count : 0;
	const char *base = (const char *) &jc->children[first + count];
	uint32		key_at = 0;
	uint32		at = is_object ? getJsonbOffset(jc, count) : 0;

	check_stack_depth();
	if (!JsonContainerIsScalar(jc))
		BufferPutU8(buf, is_object ? '{' : '[');
	for (uint32 i = 0; i < count; i++)
	{
		JEntry		entry = jc->children[first + i];
		uint32		begin = at;

		if (i > 0)
			BufferPut(buf, ", ", 2);
		if (is_object)
		{
			uint32		key_begin = key_at;

			JBE_ADVANCE_OFFSET(key_at, jc->children[i]);
			PutJsonString(buf, base + key_begin, key_at - key_begin);
			BufferPut(buf, ": ", 2);
		}
		JBE_ADVANCE_OFFSET(at, entry);
		PutJsonChild(buf, entry, base, begin, at);
	}
	if (!JsonContainerIsScalar(jc))
		BufferPutU8(buf, is_object ? '}' : ']');
}

/*
 * The canonical text of a jsonb, which is the one that the server prints: keys
 * in its own order, one space.  The server's own function takes several times
 * as long for the small documents that most rows have.
 */
static void
PutJsonb(EncodeBuffer *buf, Datum value)
{
	Jsonb	   *jb = DatumGetJsonbP(value);

	PutJsonContainer(buf, &jb->root);
	if ((Pointer) jb != DatumGetPointer(value))
		pfree(jb);
}

static void
PutFloat4(EncodeBuffer *buf, float4 value)
{
	uint32		bits;

	memcpy(&bits, &value, sizeof(bits));
	BufferPutU32(buf, isnan(value) ? 0x7fc00000 : bits);
}

static void
PutFloat8(EncodeBuffer *buf, float8 value)
{
	uint64		bits;

	memcpy(&bits, &value, sizeof(bits));
	BufferPutU64(buf, isnan(value) ? UINT64CONST(0x7ff8000000000000) : bits);
}

static void
PutInterval(EncodeBuffer *buf, Datum value)
{
	Interval   *span = DatumGetIntervalP(value);

	BufferPutU64(buf, (uint64) span->time);
	BufferPutU32(buf, (uint32) span->day);
	BufferPutU32(buf, (uint32) span->month);
}

/* family (2 IPv4, 3 IPv6), bits, is_cidr, address in network order */
static void
PutInet(EncodeBuffer *buf, Datum value, Oid type)
{
	inet	   *ip = DatumGetInetPP(value);

	BufferPutU8(buf, ip_family(ip) == PGSQL_AF_INET ? 2 : 3);
	BufferPutU8(buf, ip_bits(ip));
	BufferPutU8(buf, type == CIDROID ? 1 : 0);
	BufferPut(buf, ip_addr(ip), ip_family(ip) == PGSQL_AF_INET ? 4 : 16);
}

/* A value of any kind but an array. */
static void
PutScalar(EncodeBuffer *buf, EncodeKind kind, Oid type, Datum value)
{
	switch (kind)
	{
		case ENCODE_TEXT:
		case ENCODE_BYTEA:
			PutVarlena(buf, value);
			break;
		case ENCODE_JSONB:
			PutJsonb(buf, value);
			break;
		case ENCODE_BOOL:
			BufferPutU8(buf, DatumGetBool(value) ? 1 : 0);
			break;
		case ENCODE_INT2:
			BufferPutU16(buf, (uint16) DatumGetInt16(value));
			break;
		case ENCODE_INT4:
		case ENCODE_DATE:
			BufferPutU32(buf, (uint32) DatumGetInt32(value));
			break;
		case ENCODE_INT8:
		case ENCODE_TIME:
			BufferPutU64(buf, (uint64) DatumGetInt64(value));
			break;
		case ENCODE_NUMERIC:
			PutNumeric(buf, value);
			break;
		case ENCODE_FLOAT4:
			PutFloat4(buf, DatumGetFloat4(value));
			break;
		case ENCODE_FLOAT8:
			PutFloat8(buf, DatumGetFloat8(value));
			break;
		case ENCODE_UUID:
			BufferPut(buf, DatumGetUUIDP(value)->data, UUID_LEN);
			break;
		case ENCODE_INTERVAL:
			PutInterval(buf, value);
			break;
		case ENCODE_INET:
			PutInet(buf, value, type);
			break;
		default:
			elog(ERROR, "type %u has no encoding", type);
	}
}

/*
 * ndim, then length and lower bound of each dimension, then for each element
 * whether it is null, its length and its bytes.
 */
static void
PutArray(EncodeBuffer *buf, const LedgerColumn *col, Datum value)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	BufferPutU32(buf, ARR_NDIM(array));
	for (int i = 0; i < ARR_NDIM(array); i++)
	{
		BufferPutU32(buf, ARR_DIMS(array)[i]);
		BufferPutU32(buf, (uint32) ARR_LBOUND(array)[i]);
	}
	deconstruct_array(array, col->element_type, col->element_len,
					  col->element_byval, col->element_align,
					  &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		size_t		length_at;

		BufferPutU8(buf, nulls[i] ? 1 : 0);
		length_at = buf->len;
		BufferPutU32(buf, 0);
		if (nulls[i])
			continue;
		PutScalar(buf, col->element_kind, col->element_type, elements[i]);
		PutU32(buf->data + length_at, buf->len - length_at - 4);
	}
	pfree(elements);
	pfree(nulls);
}

/* salt or erased of a row, detoasted, and how far it has been read */
typedef struct RowGroups
{
	const uint8 *next;
	const uint8 *end;
	size_t		width;			/* of what follows the column's number */
} RowGroups;

/*
 * Begins reading the groups of a bytea attribute, none if it is NULL.  True
 * if they are whole and stand by ascending column number: neither salts nor
 * commitments are hashed as they stand, so there must be only one way to
 * write them.
 */
static bool
GroupsBegin(RowGroups *groups, Datum value, bool isnull, size_t width)
{
	struct varlena *v;
	size_t		step = 2 + width;

	groups->next = groups->end = NULL;
	groups->width = width;
	if (isnull)
		return true;
	v = PG_DETOAST_DATUM_PACKED(value);
	groups->next = (const uint8 *) VARDATA_ANY(v);
	groups->end = groups->next + VARSIZE_ANY_EXHDR(v);
	if (VARSIZE_ANY_EXHDR(v) % step != 0)
		return false;
	for (const uint8 *at = groups->next + step; at < groups->end; at += step)
	{
		if (GetU16(at) <= GetU16(at - step))
			return false;
	}
	return true;
}

/*
 * The column's group, or NULL.  Columns are asked for by ascending number,
 * so it is the next one or there is none.
 */
static inline const uint8 *
GroupsTake(RowGroups *groups, uint16 number)
{
	const uint8 *group = groups->next;

	if (group == groups->end || GetU16(group) != number)
		return NULL;
	groups->next += 2 + groups->width;
	return group + 2;
}

/* Puts an erased column's entry: its commitment is all that is left. */
static void
PutErased(EncodeBuffer *buf, const LedgerColumn *col, const uint8 *commitment)
{
	EntryHeaderPut(BufferRoom(buf, ENTRY_HEADER_SIZE), col->number, col->type,
				   ENTRY_ERASABLE, SHA256_SIZE);
	buf->len += ENTRY_HEADER_SIZE;
	BufferPut(buf, commitment, SHA256_SIZE);
}

/*
 * Puts a column's entry.  The value is encoded where it would stand; for an
 * erasable column the commitment to these bytes then takes their place.
 */
static void
PutEntry(EncodeBuffer *buf, const LedgerColumn *col, Datum value,
		 const uint8 *salt)
{
	size_t		header_at = buf->len;
	size_t		length;
	uint8		commitment[SHA256_SIZE];

	BufferRoom(buf, ENTRY_HEADER_SIZE);
	buf->len += ENTRY_HEADER_SIZE;
	if (col->kind == ENCODE_ARRAY)
		PutArray(buf, col, value);
	else
		PutScalar(buf, col->kind, col->type, value);
	length = buf->len - header_at - ENTRY_HEADER_SIZE;

	if (salt != NULL)
	{
		if (!CommitmentMake(salt, col->number, col->type,
							buf->data + header_at + ENTRY_HEADER_SIZE,
							length, commitment))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not compute a SHA-256 hash")));
		buf->len = header_at + ENTRY_HEADER_SIZE;
		BufferPut(buf, commitment, SHA256_SIZE);
		length = SHA256_SIZE;
	}
	EntryHeaderPut(buf->data + header_at, col->number, col->type,
				   salt != NULL ? ENTRY_ERASABLE : ENTRY_PLAIN, length);
}

/*
 * Puts the entry of a column that is not erasable: what PutEntry does, at
 * once for the kinds that most columns have.
 */
static inline void
PutPlainEntry(EncodeBuffer *buf, const EncodeStep *step,
			  const LedgerColumn *col, Datum value)
{
	struct varlena *v;
	uint8	   *p;
	size_t		length;

	switch (step->kind)
	{
		case ENCODE_TEXT:
		case ENCODE_BYTEA:
			v = (struct varlena *) DatumGetPointer(value);
			if (VARATT_IS_COMPRESSED(v) || VARATT_IS_EXTERNAL(v))
			{
				PutEntry(buf, col, value, NULL);
				return;
			}
			length = VARSIZE_ANY_EXHDR(v);
			p = BufferRoom(buf, ENTRY_HEADER_SIZE + length);
			memcpy(p + ENTRY_HEADER_SIZE, VARDATA_ANY(v), length);
			break;
		case ENCODE_BOOL:
			length = 1;
			p = BufferRoom(buf, ENTRY_HEADER_SIZE + length);
			p[ENTRY_HEADER_SIZE] = DatumGetBool(value) ? 1 : 0;
			break;
		case ENCODE_INT2:
			length = 2;
			p = BufferRoom(buf, ENTRY_HEADER_SIZE + length);
			PutU16(p + ENTRY_HEADER_SIZE, (uint16) DatumGetInt16(value));
			break;
		case ENCODE_UUID:
			length = UUID_LEN;
			p = BufferRoom(buf, ENTRY_HEADER_SIZE + length);
			memcpy(p + ENTRY_HEADER_SIZE, DatumGetUUIDP(value)->data, UUID_LEN);
			break;
		case ENCODE_INT4:
		case ENCODE_DATE:
			length = 4;
			p = BufferRoom(buf, ENTRY_HEADER_SIZE + length);
			PutU32(p + ENTRY_HEADER_SIZE, (uint32) DatumGetInt32(value));
			break;
		case ENCODE_INT8:
		case ENCODE_TIME:
			length = 8;
			p = BufferRoom(buf, ENTRY_HEADER_SIZE + length);
			PutU64(p + ENTRY_HEADER_SIZE, (uint64) DatumGetInt64(value));
			break;
		default:
			PutEntry(buf, col, value, NULL);
			return;
	}
	memcpy(p, step->entry_head, ENTRY_HEADER_SIZE);
	PutU32(p + ENTRY_HEADER_SIZE - 4, length);
	buf->len += ENTRY_HEADER_SIZE + length;
}

/*
 * Puts the entry of one column, if it has one.  Returns NULL, or why the
 * row's salt or erased column cannot be right.
 */
static const char *
PutColumn(EncodeBuffer *buf, const Segment *seg, int i, RowGroups *salts,
		  RowGroups *erased, NullableDatum value)
{
	const EncodeStep *step = &seg->steps[i];
	const LedgerColumn *col = &seg->columns[i];
	const uint8 *salt = GroupsTake(salts, step->number);
	const uint8 *commitment = GroupsTake(erased, step->number);

	if (commitment != NULL)
	{
		if (salt != NULL || !value.isnull)
			return "an erased column still has a value or a salt";
		PutErased(buf, col, commitment);
		return NULL;
	}
	if (value.isnull)
		return salt != NULL ? "a column with a salt has no value" : NULL;
	if (salt != NULL)
		PutEntry(buf, col, value.value, salt);
	else
		PutPlainEntry(buf, step, col, value.value);
	return NULL;
}

/*
 * Puts the entries of a row without salts and commitments, as most are;
 * returns how many there are.
 */
static uint16
PutPlainColumns(EncodeBuffer *buf, const Segment *seg, const Datum *values,
				const bool *nulls)
{
	uint16		entries = 0;

	for (int i = 0; i < seg->ncolumns; i++)
	{
		const EncodeStep *step = &seg->steps[i];
		int			at = step->attnum - 1;

		if (at < 0 || nulls[at])
			continue;
		PutPlainEntry(buf, step, &seg->columns[i], values[at]);
		entries++;
	}
	return entries;
}

bool
RowPreimage(EncodeBuffer *buf, const Segment *seg, const RowPosition *pos,
			const Datum *values, const bool *nulls, const char **why)
{
	RowGroups	salts;
	RowGroups	erased;
	uint16		entries = 0;
	AttrNumber	salt_att = seg->attrs.salt;
	AttrNumber	erased_att = seg->attrs.erased;

	BufferReset(buf);
	BufferRoom(buf, ROW_HEADER_SIZE);
	buf->len = ROW_HEADER_SIZE;
	if (!GroupsBegin(&salts, values[salt_att - 1], nulls[salt_att - 1],
					 SALT_SIZE) ||
		!GroupsBegin(&erased, values[erased_att - 1], nulls[erased_att - 1],
					 SHA256_SIZE))
	{
		*why = "salt or erased is malformed";
		return false;
	}

	if (salts.next == salts.end && erased.next == erased.end)
	{
		entries = PutPlainColumns(buf, seg, values, nulls);
		RowHeaderPut(buf->data, pos, entries);
		return true;
	}
	for (int i = 0; i < seg->ncolumns; i++)
	{
		int			at = seg->steps[i].attnum - 1;
		size_t		before = buf->len;
		NullableDatum value;

		if (at < 0)
			continue;
		value.value = values[at];
		value.isnull = nulls[at];
		*why = PutColumn(buf, seg, i, &salts, &erased, value);
		if (*why != NULL)
			return false;
		if (buf->len > before)
			entries++;
	}

	if (salts.next != salts.end || erased.next != erased.end)
	{
		*why = "salt or erased names a column that the row does not have";
		return false;
	}
	RowHeaderPut(buf->data, pos, entries);
	return true;
}

/* ---------------- erasing ---------------- */

/* Appends a group: a column's number and what belongs to it. */
static void
PutGroup(EncodeBuffer *buf, uint16 number, const uint8 *bytes, size_t width)
{
	BufferPutU16(buf, number);
	BufferPut(buf, bytes, width);
}

/* The groups as a bytea, or NULL if there are none. */
static bytea *
GroupsFinish(const EncodeBuffer *buf)
{
	bytea	   *result;

	if (buf->len == 0)
		return NULL;
	result = palloc(VARHDRSZ + buf->len);
	SET_VARSIZE(result, VARHDRSZ + buf->len);
	memcpy(VARDATA(result), buf->data, buf->len);
	return result;
}

/* The commitment to a column's value, as its entry in the preimage has it. */
static void
CommitValue(EncodeBuffer *scratch, const LedgerColumn *col, Datum value,
			const uint8 *salt, uint8 *commitment)
{
	BufferReset(scratch);
	PutEntry(scratch, col, value, salt);
	memcpy(commitment, scratch->data + scratch->len - SHA256_SIZE,
		   SHA256_SIZE);
}

bool
RowErase(const Segment *seg, const Datum *values, const bool *nulls,
		 const bool *emptied, ErasedGroups *out)
{
	AttrNumber	salt_att = seg->attrs.salt;
	AttrNumber	erased_att = seg->attrs.erased;
	RowGroups	salts;
	RowGroups	erased;
	EncodeBuffer new_salts;
	EncodeBuffer new_erased;
	EncodeBuffer scratch;

	EncodeBufferInit(&new_salts);
	EncodeBufferInit(&new_erased);
	EncodeBufferInit(&scratch);
	if (!GroupsBegin(&salts, values[salt_att - 1], nulls[salt_att - 1],
					 SALT_SIZE) ||
		!GroupsBegin(&erased, values[erased_att - 1], nulls[erased_att - 1],
					 SHA256_SIZE))
		return false;
	for (int i = 0; i < seg->ncolumns; i++)
	{
		const LedgerColumn *col = &seg->columns[i];
		const uint8 *salt = GroupsTake(&salts, col->number);
		const uint8 *commitment = GroupsTake(&erased, col->number);
		uint8		made[SHA256_SIZE];

		if (col->attnum != InvalidAttrNumber && emptied[col->attnum - 1])
		{
			if (salt == NULL || commitment != NULL)
				return false;	/* hashed as it stands, or gone before */
			CommitValue(&scratch, col, values[col->attnum - 1], salt, made);
			commitment = made;
			salt = NULL;
		}
		if (salt != NULL)
			PutGroup(&new_salts, col->number, salt, SALT_SIZE);
		if (commitment != NULL)
			PutGroup(&new_erased, col->number, commitment, SHA256_SIZE);
	}
	out->salt = GroupsFinish(&new_salts);
	out->erased = GroupsFinish(&new_erased);
	return salts.next == salts.end && erased.next == erased.end;
}

bool
SaltHasColumn(Datum salt, uint16 number)
{
	RowGroups	salts;

	if (!GroupsBegin(&salts, salt, false, SALT_SIZE))
		return false;
	for (; salts.next < salts.end; salts.next += 2 + SALT_SIZE)
	{
		if (GetU16(salts.next) == number)
			return true;
	}
	return false;
}
