/*
 * verify_row.c
 *	  Taking one row apart without trusting a byte of it, and its hash.
 *
 * verify meets tuples that somebody has edited with a hex editor.  The
 * server's own deforming follows whatever lengths it finds, so we walk the
 * attributes ourselves and check each length against the tuple's end, then
 * check the inner structure of values whose output functions trust it.
 * What remains (compressed data, TOAST chunks) raises errors, which
 * verify_careful.c catches.
 */
#include "postgres.h"

#include <sys/socket.h>

#include "access/detoast.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/toast_internals.h"
#include "access/tupmacs.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/tuptable.h"
#include "ledger/verify.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inet.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* A preimage buffer larger than this is not kept for the next row. */
#define KEEP_PREIMAGE_SIZE	(1024 * 1024)

/* Rows larger than this are not fetched into the cache ahead. */
#define FETCH_AHEAD_SIZE	2048

#ifdef __GNUC__
#define FETCH_LINE(p)	__builtin_prefetch(p)
#else
#define FETCH_LINE(p)	((void) (p))
#endif

static bool JsonbFits(const JsonbContainer *jc, size_t len);

/* Bytes of the alignment code of pg_type. */
static uint8
AlignBytes(char align)
{
	switch (align)
	{
		case TYPALIGN_CHAR:
			return 1;
		case TYPALIGN_SHORT:
			return sizeof(int16);
		case TYPALIGN_INT:
			return sizeof(int32);
		default:
			return MAXIMUM_ALIGNOF;
	}
}

/*
 * Size of the varlena at p of which only avail bytes exist, or 0 if it does
 * not fit or is of a kind that no stored tuple holds.
 */
static size_t
VarlenaFits(const char *p, size_t avail)
{
	size_t		size;

	if (avail < 1)
		return 0;
	if (VARATT_IS_1B_E(p))
	{
		if (avail < VARHDRSZ_EXTERNAL || VARTAG_EXTERNAL(p) != VARTAG_ONDISK)
			return 0;
		size = VARSIZE_EXTERNAL(p);
	}
	else if (VARATT_IS_1B(p))
		size = VARSIZE_1B(p);
	else
	{
		if (avail < VARHDRSZ)
			return 0;
		size = VARSIZE_4B(p);
		if (size < VARHDRSZ ||
			(VARATT_IS_4B_C(p) && size < VARHDRSZ_COMPRESSED))
			return 0;
	}
	return size <= avail ? size : 0;
}

/*
 * The size of the attribute at *off, which is moved over the padding before
 * it; 0 if it reaches beyond end.
 */
static inline size_t
AttrFits(const RowAttr *att, const char *base, size_t *off, size_t end)
{
	if (att->len == -1)
	{
		if (*off >= end)
			return 0;
		if (VARATT_IS_1B(base + *off) && !VARATT_IS_1B_E(base + *off))
		{
			size_t		size = VARSIZE_1B(base + *off);

			return size <= end - *off ? size : 0;
		}
		if (base[*off] == 0)
			*off = TYPEALIGN(att->align, *off);
		else if (VARATT_IS_4B(base + *off) &&
				 *off != TYPEALIGN(att->align, *off))
			return 0;
		return *off < end ? VarlenaFits(base + *off, end - *off) : 0;
	}
	*off = TYPEALIGN(att->align, *off);
	if (*off >= end)
		return 0;
	if (att->len > 0)
		return *off + att->len <= end ? (size_t) att->len : 0;
	{
		size_t		avail = end - *off;
		size_t		len = strnlen(base + *off, avail);

		return len < avail ? len + 1 : 0;
	}
}

/* True if the tuple's header describes a tuple of its length. */
static bool
HeaderFits(HeapTuple tuple)
{
	HeapTupleHeader td = tuple->t_data;
	uint32		need = SizeofHeapTupleHeader;

	if (tuple->t_len < SizeofHeapTupleHeader)
		return false;
	if (td->t_infomask & HEAP_HASNULL)
		need += BITMAPLEN(HeapTupleHeaderGetNatts(td));
	return td->t_hoff >= need && td->t_hoff <= tuple->t_len &&
		td->t_hoff == MAXALIGN(td->t_hoff);
}

/*
 * Fills the reader's values and nulls for the first upto attributes; false
 * if the tuple is damaged.  Values point into the tuple.
 */
static bool
TupleTakeApart(RowReader *reader, HeapTuple tuple, int upto)
{
	HeapTupleHeader td = tuple->t_data;
	const RowAttr *atts = reader->atts;
	Datum	   *values = reader->values;
	bool	   *nulls = reader->nulls;
	const char *base;
	size_t		off = 0;
	size_t		end;
	int			stored;
	bool		has_nulls;

	if (!HeaderFits(tuple))
		return false;
	has_nulls = (td->t_infomask & HEAP_HASNULL) != 0;
	stored = Min(HeapTupleHeaderGetNatts(td), upto);
	base = (const char *) td + td->t_hoff;
	end = tuple->t_len - td->t_hoff;
	for (int i = 0; i < stored; i++)
	{
		const RowAttr *att = &atts[i];
		size_t		size;

		nulls[i] = has_nulls && att_isnull(i, td->t_bits);
		if (nulls[i])
			continue;
		size = AttrFits(att, base, &off, end);
		if (size == 0)
			return false;
		values[i] = fetch_att(base + off, att->byval, att->len);
		off += size;
	}
	for (int i = stored; i < upto; i++)
		values[i] = getmissingattr(RelationGetDescr(reader->leaf), i + 1,
								   &nulls[i]);
	return true;
}

/* True if value is a numeric of a possible form. */
static bool
NumericFits(Datum value)
{
	size_t		len = VARSIZE_ANY_EXHDR(DatumGetPointer(value));
	uint16		header;

	if (len < sizeof(uint16) || len % 2 != 0)
		return false;
	memcpy(&header, VARDATA_ANY(DatumGetPointer(value)), sizeof(header));
	switch (header & 0xC000)
	{
		case 0xC000:			/* NaN, infinities */
			return len == 2;
		case 0x8000:			/* short form */
			return true;
		default:
			return len >= 4;
	}
}

/* True if value is an inet of a possible form. */
static bool
InetFits(Datum value)
{
	size_t		len = VARSIZE_ANY_EXHDR(DatumGetPointer(value));
	const uint8 *bytes = (const uint8 *) VARDATA_ANY(DatumGetPointer(value));

	if (len == 2 + 4)
		return bytes[0] == PGSQL_AF_INET && bytes[1] <= 32;
	if (len == 2 + 16)
		return bytes[0] == PGSQL_AF_INET6 && bytes[1] <= 128;
	return false;
}

/* True if the child of a jsonb container from off to end is well-formed. */
static bool
JsonbChildFits(JEntry entry, const char *data, size_t off, size_t end)
{
	size_t		start = INTALIGN(off);

	if (JBE_ISSTRING(entry))
		return true;
	if (JBE_ISBOOL(entry) || JBE_ISNULL(entry))
		return true;
	if (start > end)
		return false;
	if (JBE_ISNUMERIC(entry))
		return VarlenaFits(data + start, end - start) > 0 &&
			!VARATT_IS_EXTERNAL(data + start) &&
			!VARATT_IS_COMPRESSED(data + start) &&
			NumericFits(PointerGetDatum(data + start));
	if (JBE_ISCONTAINER(entry))
		return JsonbFits((const JsonbContainer *) (data + start), end - start);
	return false;
}

/* True if a detoasted value has a structure that can be walked. */
static bool
ScalarFits(EncodeKind kind, Datum value)
{
	struct varlena *p = (struct varlena *) DatumGetPointer(value);

	switch (kind)
	{
		case ENCODE_NUMERIC:
			return NumericFits(value);
		case ENCODE_INET:
			return InetFits(value);
		case ENCODE_JSONB:
			return VARATT_IS_4B_U(p) &&
				JsonbFits((const JsonbContainer *) VARDATA(p),
						  VARSIZE(p) - VARHDRSZ);
		default:
			return true;
	}
}

/* True if all of a jsonb container's children lie within its len bytes. */
static bool
JsonbFits(const JsonbContainer *jc, size_t len)
{
	size_t		nchildren;
	size_t		off = 0;
	size_t		avail;
	const char *data;

	check_stack_depth();
	if (len < sizeof(uint32))
		return false;
	nchildren = JsonContainerSize(jc);
	if (JsonContainerIsObject(jc) == JsonContainerIsArray(jc))
		return false;
	if (JsonContainerIsScalar(jc) && nchildren != 1)
		return false;
	if (JsonContainerIsObject(jc))
		nchildren *= 2;
	if (nchildren > (len - sizeof(uint32)) / sizeof(JEntry))
		return false;
	data = (const char *) &jc->children[nchildren];
	avail = len - sizeof(uint32) - nchildren * sizeof(JEntry);
	for (size_t i = 0; i < nchildren; i++)
	{
		size_t		start = off;
		JEntry		entry = jc->children[i];

		JBE_ADVANCE_OFFSET(off, entry);
		if (off < start || off > avail)
			return false;
		if (JsonContainerIsObject(jc) && i < nchildren / 2 &&
			!JBE_ISSTRING(entry))
			return false;
		if (!JsonbChildFits(entry, data, start, off))
			return false;
	}
	return true;
}

/* True if the array's elements, from its data area on, lie within it. */
static bool
ElementsFit(ArrayType *array, const LedgerColumn *column, int nitems)
{
	RowAttr		element = {
		.len = column->element_len,
		.byval = column->element_byval,
		.align = AlignBytes(column->element_align)
	};
	const bits8 *bitmap = ARR_NULLBITMAP(array);
	const char *base = (const char *) array;
	size_t		off = ARR_DATA_OFFSET(array);
	size_t		end = VARSIZE(array);

	for (int i = 0; i < nitems; i++)
	{
		size_t		size;

		if (bitmap != NULL && att_isnull(i, bitmap))
			continue;
		off = TYPEALIGN(element.align, off);
		size = AttrFits(&element, base, &off, end);
		if (size == 0 || !ScalarFits(column->element_kind,
									 fetch_att(base + off, element.byval,
											   element.len)))
			return false;
		off += size;
	}
	return true;
}

/* True if value is an array of the column's element type, whole in itself. */
static bool
ArrayFits(Datum value, const LedgerColumn *column)
{
	ArrayType  *array = (ArrayType *) DatumGetPointer(value);
	size_t		size = VARSIZE(array);
	int64		nitems = 1;

	if (size < sizeof(ArrayType) || ARR_NDIM(array) < 0 ||
		ARR_NDIM(array) > MAXDIM ||
		ARR_ELEMTYPE(array) != column->element_type)
		return false;
	if (ARR_NDIM(array) == 0)
		return true;
	if (ARR_OVERHEAD_NONULLS(ARR_NDIM(array)) > size)
		return false;
	for (int i = 0; i < ARR_NDIM(array); i++)
	{
		if (ARR_DIMS(array)[i] < 0)
			return false;
		nitems *= ARR_DIMS(array)[i];
		if (nitems > (int64) size * BITS_PER_BYTE)
			return false;
	}
	if (ARR_HASNULL(array) &&
		(array->dataoffset > (int64) size || array->dataoffset <
		 ARR_OVERHEAD_WITHNULLS(ARR_NDIM(array), (int) nitems)))
		return false;
	return ElementsFit(array, column, (int) nitems);
}

/* True if the TOAST pointer at p belongs to the leaf. */
static bool
ToastPointerFits(Relation leaf, const void *p)
{
	struct varatt_external pointer;

	VARATT_EXTERNAL_GET_POINTER(pointer, (const char *) p);
	return pointer.va_toastrelid == leaf->rd_rel->reltoastrelid &&
		OidIsValid(pointer.va_toastrelid);
}

/*
 * Brings a hashed varlena value into memory and checks its structure; false
 * if it is damaged.  May raise errors on damaged TOAST data.
 */
static bool
ValueMakeSafe(RowReader *reader, const LedgerColumn *column)
{
	int			i = column->attnum - 1;
	struct varlena *p = (struct varlena *) DatumGetPointer(reader->values[i]);

	if (VARATT_IS_EXTERNAL(p) && !ToastPointerFits(reader->leaf, p))
		return false;
	if (VARATT_IS_EXTERNAL(p) || VARATT_IS_COMPRESSED(p))
		p = detoast_attr(p);
	else if (VARATT_IS_SHORT(p) &&
			 (column->kind == ENCODE_JSONB || column->kind == ENCODE_ARRAY))
		p = detoast_attr(p);
	reader->values[i] = PointerGetDatum(p);
	return column->kind == ENCODE_ARRAY ?
		ArrayFits(reader->values[i], column) :
		ScalarFits(column->kind, reader->values[i]);
}

/* Fills the attribute descriptions of the leaf. */
static void
RowAttrsFill(RowReader *reader)
{
	TupleDesc	desc = RelationGetDescr(reader->leaf);

	for (int i = 0; i < reader->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		reader->atts[i].len = att->attlen;
		reader->atts[i].byval = att->attbyval;
		reader->atts[i].align = AlignBytes(att->attalign);
		if (!att->attisdropped &&
			strcmp(NameStr(att->attname), "environment") == 0 &&
			getBaseType(att->atttypid) == TEXTOID)
			reader->environment = att->attnum;
	}
}

/* True if the attribute exists and has this base type. */
static bool
AttrHasType(TupleDesc desc, AttrNumber attnum, Oid type)
{
	Form_pg_attribute att;

	if (attnum < 1 || attnum > desc->natts)
		return false;
	att = TupleDescAttr(desc, attnum - 1);
	return !att->attisdropped && getBaseType(att->atttypid) == type;
}

/* Notes which hashed columns are of variable length. */
static void
RowVarlenasFill(RowReader *reader)
{
	const Segment *seg = reader->seg;

	reader->varlenas = palloc(sizeof(RowVarlena) * Max(seg->ncolumns, 1));
	for (int i = 0; i < seg->ncolumns; i++)
	{
		AttrNumber	attnum = seg->columns[i].attnum;
		RowVarlena *varlena = &reader->varlenas[reader->nvarlenas];

		if (reader->atts[attnum - 1].len != -1)
			continue;
		varlena->attnum = attnum;
		varlena->kind = seg->columns[i].kind;
		varlena->column = i;
		reader->nvarlenas++;
	}
}

/*
 * True if the leaf's columns still have the types that the registry says:
 * reading them as anything else could crash us.  verify_catalog.c says
 * which one differs.
 */
static bool
LeafTypesFit(Relation leaf, const Segment *seg)
{
	TupleDesc	desc = RelationGetDescr(leaf);
	const LedgerAttrs *attrs = &seg->attrs;

	if (seg->natts != desc->natts ||
		!AttrHasType(desc, attrs->id, UUIDOID) ||
		!AttrHasType(desc, attrs->recorded_at, TIMESTAMPTZOID) ||
		!AttrHasType(desc, attrs->chain_lane, INT4OID) ||
		!AttrHasType(desc, attrs->chain_seq, INT8OID) ||
		!AttrHasType(desc, attrs->prev_hash, BYTEAOID) ||
		!AttrHasType(desc, attrs->row_hash, BYTEAOID) ||
		!AttrHasType(desc, attrs->salt, BYTEAOID) ||
		!AttrHasType(desc, attrs->erased, BYTEAOID))
		return false;
	for (int i = 0; i < seg->ncolumns; i++)
	{
		if (!AttrHasType(desc, seg->columns[i].attnum, seg->columns[i].type))
			return false;
	}
	return true;
}

/* The last attribute that a heap pass needs. */
static int
PrefixOf(const LedgerAttrs *attrs)
{
	int			last = Max(attrs->id, attrs->row_hash);

	last = Max(last, attrs->recorded_at);
	last = Max(last, attrs->prev_hash);
	return Max(last, Max(attrs->chain_lane, attrs->chain_seq));
}

/*
 * Opens the segment's leaf under AccessShareLock and makes ready to read its
 * rows.  False, with nothing held, if the leaf is gone or its columns cannot
 * be read; the plan and the catalog check report those.
 */
bool
RowReaderOpen(RowReader *reader, const VerifyJob *job,
			  const VerifySegment *vseg, VerifySink *sink)
{
	MemoryContext old;

	memset(reader, 0, sizeof(*reader));
	reader->job = job;
	reader->vseg = vseg;
	reader->sink = sink;
	reader->leaf = try_table_open(vseg->relid, AccessShareLock);
	if (reader->leaf == NULL)
		return false;
	reader->seg = SegmentLookup(vseg->relid);
	if (reader->seg == NULL || !LeafTypesFit(reader->leaf, reader->seg))
	{
		table_close(reader->leaf, AccessShareLock);
		return false;
	}
	reader->unit_context = AllocSetContextCreate(CurrentMemoryContext,
												 "llm_audit verify unit",
												 ALLOCSET_DEFAULT_SIZES);
	reader->row_context = AllocSetContextCreate(reader->unit_context,
												"llm_audit verify row",
												ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(reader->unit_context);
	reader->natts = RelationGetDescr(reader->leaf)->natts;
	reader->atts = palloc0(sizeof(RowAttr) * reader->natts);
	reader->values = palloc0(sizeof(Datum) * reader->natts);
	reader->nulls = palloc0(sizeof(bool) * reader->natts);
	reader->prefix = PrefixOf(&reader->seg->attrs);
	reader->environment_len = strlen(NameStr(reader->seg->environment));
	RowAttrsFill(reader);
	RowVarlenasFill(reader);
	EncodeBufferInit(&reader->preimage);
	reader->slot = table_slot_create(reader->leaf, NULL);
	MemoryContextSwitchTo(old);
	return true;
}

/* Closes the leaf and gives up the lock: the next unit may be another's. */
void
RowReaderClose(RowReader *reader)
{
	ExecDropSingleTupleTableSlot(reader->slot);
	table_close(reader->leaf, AccessShareLock);
	MemoryContextDelete(reader->unit_context);
}

/* Copies a 32-byte bytea; false if it is NULL or has another length. */
static bool
HashCopy(const RowReader *reader, AttrNumber attnum, uint8 *out)
{
	const void *p = DatumGetPointer(reader->values[attnum - 1]);

	if (reader->nulls[attnum - 1] || VARATT_IS_EXTERNAL(p) ||
		VARATT_IS_COMPRESSED(p) || VARSIZE_ANY_EXHDR(p) != SHA256_SIZE)
		return false;
	memcpy(out, VARDATA_ANY(p), SHA256_SIZE);
	return true;
}

/* True if the row belongs to the times asked for. */
static bool
TimeInRange(const VerifyJob *job, const RowFacts *facts)
{
	if (!job->has_range || !facts->has_time)
		return true;
	return facts->recorded_at >= job->since && facts->recorded_at < job->until;
}

/*
 * Has the row's bytes fetched into the cache all at once, and those of the row
 * that was stored after it: taking a row apart waits for one line after the
 * other, and hashing leaves time enough.
 */
static pg_attribute_always_inline void
RowFetchAhead(HeapTuple tuple)
{
	const char *row = (const char *) tuple->t_data;
	const char *end = row + tuple->t_len;

	if (tuple->t_len > FETCH_AHEAD_SIZE)
		return;
	for (const char *p = row - tuple->t_len; p < end; p += 64)
		FETCH_LINE(p);
}

/*
 * Takes the row in the reader's slot apart: all of it if whole, else only
 * what facts hold.  Values stay valid until the next row.
 */
void
RowReadFacts(RowReader *reader, bool whole, RowFacts *facts)
{
	const LedgerAttrs *attrs = &reader->seg->attrs;
	HeapTuple	tuple = ExecFetchSlotHeapTuple(reader->slot, false, NULL);
	const Datum *values = reader->values;
	const bool *nulls = reader->nulls;

	RowFetchAhead(tuple);
	MemoryContextReset(reader->row_context);
	memset(facts, 0, offsetof(RowFacts, row_hash));
	facts->in_range = true;
	facts->readable = TupleTakeApart(reader, tuple,
									 whole ? reader->natts : reader->prefix);
	if (!facts->readable)
		return;
	facts->has_position = !nulls[attrs->chain_lane - 1] &&
		!nulls[attrs->chain_seq - 1];
	if (facts->has_position)
	{
		facts->lane = DatumGetInt32(values[attrs->chain_lane - 1]);
		facts->seq = DatumGetInt64(values[attrs->chain_seq - 1]);
	}
	facts->has_time = !nulls[attrs->recorded_at - 1];
	if (facts->has_time)
		facts->recorded_at =
			DatumGetTimestampTz(values[attrs->recorded_at - 1]);
	facts->has_id = !nulls[attrs->id - 1];
	if (facts->has_id)
		facts->id = *DatumGetUUIDP(values[attrs->id - 1]);
	facts->has_hash = HashCopy(reader, attrs->row_hash, facts->row_hash);
	facts->has_prev = HashCopy(reader, attrs->prev_hash, facts->prev_hash);
	facts->in_range = TimeInRange(reader->job, facts);
}

/* True if one of the row's columns has been erased. */
bool
RowHasErased(const RowReader *reader)
{
	return !reader->nulls[reader->seg->attrs.erased - 1];
}

/* Brings an unhashed bytea column (salt, erased) into memory. */
static bool
GroupsMakeSafe(RowReader *reader, AttrNumber attnum)
{
	struct varlena *p;

	if (reader->nulls[attnum - 1])
		return true;
	p = (struct varlena *) DatumGetPointer(reader->values[attnum - 1]);
	if (VARATT_IS_EXTERNAL(p) && !ToastPointerFits(reader->leaf, p))
		return false;
	if (VARATT_IS_EXTERNAL(p) || VARATT_IS_COMPRESSED(p))
		reader->values[attnum - 1] = PointerGetDatum(detoast_attr(p));
	return true;
}

/* True for text and bytes that are whole in the tuple: nothing trusts them. */
static inline bool
ValueIsPlain(uint8 kind, Datum value)
{
	const char *p = DatumGetPointer(value);

	return (kind == ENCODE_TEXT || kind == ENCODE_BYTEA) &&
		!VARATT_IS_EXTERNAL(p) && !VARATT_IS_COMPRESSED(p);
}

/* Brings all values that enter the preimage into memory, checked. */
static const char *
RowMakeSafe(RowReader *reader)
{
	const Segment *seg = reader->seg;
	const Datum *values = reader->values;
	const bool *nulls = reader->nulls;

	for (int i = 0; i < reader->nvarlenas; i++)
	{
		int			at = reader->varlenas[i].attnum - 1;

		if (nulls[at] || ValueIsPlain(reader->varlenas[i].kind, values[at]))
			continue;
		if (!ValueMakeSafe(reader, &seg->columns[reader->varlenas[i].column]))
			return "a value is damaged";
	}
	if (!GroupsMakeSafe(reader, seg->attrs.salt) ||
		!GroupsMakeSafe(reader, seg->attrs.erased))
		return "salt or erased is damaged";
	return NULL;
}

/* Makes the preimage of the row whose values are safe. */
static const char *
PreimageMake(RowReader *reader, const RowFacts *facts)
{
	RowPosition pos;
	const char *why = NULL;

	memcpy(pos.ledger_id, reader->seg->ledger_id, LEDGER_ID_SIZE);
	pos.segment = reader->seg->number;
	pos.lane = (uint32) facts->lane;
	pos.seq = (uint64) facts->seq;
	memcpy(pos.prev_hash, facts->prev_hash, SHA256_SIZE);
	if (!RowPreimage(&reader->preimage, reader->seg, &pos,
					 reader->values, reader->nulls, &why))
		return why;
	return NULL;
}

/* Hashes the row whose values are safe and compares. */
static const char *
RowRehash(RowReader *reader, const RowFacts *facts)
{
	uint8		hash[SHA256_SIZE];
	const char *why = PreimageMake(reader, facts);

	if (why != NULL)
		return why;
	if (!Sha256Digest(reader->preimage.data, reader->preimage.len, hash))
		elog(ERROR, "could not compute SHA-256");
	if (memcmp(hash, facts->row_hash, SHA256_SIZE) != 0)
		return "the row does not match its row_hash";
	return NULL;
}

/*
 * Recomputes the hash of the row that was last read whole.  NULL if it
 * matches, else a static text that says why it cannot.
 */
const char *
RowVerify(RowReader *reader, const RowFacts *facts)
{
	MemoryContext old;
	const char *why;

	if (!facts->readable)
		return "the tuple is damaged";
	if (!facts->has_position)
		return "chain_lane or chain_seq is NULL";
	if (!facts->has_id || !facts->has_time)
		return "id or recorded_at is NULL";
	if (!facts->has_hash)
		return "row_hash does not have 32 bytes";
	if (!facts->has_prev)
		return "prev_hash does not have 32 bytes";
	old = MemoryContextSwitchTo(reader->row_context);
	why = RowMakeSafe(reader);
	if (why == NULL)
		why = RowRehash(reader, facts);
	MemoryContextSwitchTo(old);
	if (reader->preimage.size > KEEP_PREIMAGE_SIZE)
	{
		old = MemoryContextSwitchTo(reader->unit_context);
		pfree(reader->preimage.data);
		EncodeBufferInit(&reader->preimage);
		MemoryContextSwitchTo(old);
	}
	return why;
}

/*
 * The preimage of the row in the reader's slot, in the caller's memory
 * context; an error if it has none.
 */
bytea *
RowPreimageCopy(RowReader *reader)
{
	RowFacts	facts;
	bytea	   *copy;
	const char *why = "the tuple is damaged";

	RowReadFacts(reader, true, &facts);
	if (facts.readable)
		why = RowMakeSafe(reader);
	if (why == NULL && !(facts.has_position && facts.has_prev))
		why = "it has no position or no prev_hash";
	if (why == NULL)
		why = PreimageMake(reader, &facts);
	if (why != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the row has no preimage: %s", why)));
	if (reader->preimage.len > MaxAllocSize - VARHDRSZ)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the preimage is too large for a bytea")));
	copy = palloc(reader->preimage.len + VARHDRSZ);
	SET_VARSIZE(copy, reader->preimage.len + VARHDRSZ);
	memcpy(VARDATA(copy), reader->preimage.data, reader->preimage.len);
	return copy;
}

/* Sends a finding about a row; fmt names no values of the row's columns. */
void
RowReport(const RowReader *reader, const RowFacts *facts, FindingKind kind,
		  const char *fmt,...)
{
	Finding		finding;
	va_list		args;

	memset(&finding, 0, sizeof(finding));
	finding.kind = kind;
	finding.ledger = reader->vseg->root;
	finding.has_segment = true;
	finding.segment = reader->vseg->number;
	finding.has_lane = finding.has_position = facts->has_position;
	finding.lane = facts->lane;
	finding.seq = facts->seq;
	finding.gap_last = facts->gap_last;
	finding.has_id = facts->has_id;
	finding.id = facts->id;
	va_start(args, fmt);
	vsnprintf(finding.detail, sizeof(finding.detail), fmt, args);
	va_end(args);
	reader->sink->finding(reader->sink, &finding);
}

Relation
LeafIndexOpen(Oid leaf, bool by_lane)
{
	const Segment *seg = SegmentLookup(leaf);
	Oid			index = InvalidOid;

	if (seg != NULL)
		index = by_lane ? seg->lane_index : seg->id_index;
	if (!OidIsValid(index))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("there is no usable %s index", by_lane ? "lane" : "id")));
	return index_open(index, AccessShareLock);
}

bool
IndexNextRow(IndexScanDesc scan, ScanDirection direction,
			 TupleTableSlot *slot)
{
	while (index_getnext_tid(scan, direction) != NULL)
	{
		bool		visible = index_fetch_heap(scan, slot);

		scan->kill_prior_tuple = false;
		CHECK_FOR_INTERRUPTS();
		if (visible)
			return true;
	}
	return false;
}

/* The number by which a row counts in a sum over row hashes. */
uint64
HashWord(const uint8 *hash)
{
	uint64		word;

	memcpy(&word, hash, sizeof(word));
	return word;
}

/* The number by which a row counts in a sum over ids. */
uint64
IdWord(const pg_uuid_t *id)
{
	return hash_bytes_extended(id->data, UUID_LEN, 0);
}

/* The number by which a row counts in a sum over places. */
uint64
PlaceWord(const ItemPointerData * place)
{
	return hash_bytes_uint32_extended(ItemPointerGetBlockNumberNoCheck(place),
									  ItemPointerGetOffsetNumberNoCheck(place));
}
