/*
 * registry.c
 *	  Which relations are ledgers, as the configuration tables say.
 *
 * The trigger runs as the writer, who may read nothing, so configuration is
 * read here by direct scans.  What is read is cached per backend.  A row
 * trigger on every configuration table sends a relcache invalidation for
 * that table, and whatever happens to a leaf (an index rebuilt, a column
 * added) invalidates the leaf itself: both reach RegistryInvalidate.
 *
 * Invalidated entries are not freed while the transaction lasts, because a
 * caller up the stack may still be reading one.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/relation.h"
#include "access/skey.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "ledger/ledger.h"
#include "nodes/pg_list.h"
#include "retention/expiry.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(llm_audit_config_changed);

/* Column numbers of the configuration tables, as sql/20_registry.sql. */
#define LEDGER_ID_ATT				1
#define LEDGER_SCHEMA_ATT			2
#define LEDGER_RELATION_ATT			3
#define COLUMN_LEDGER_ATT			1
#define COLUMN_NUMBER_ATT			2
#define COLUMN_NAME_ATT				3
#define COLUMN_TYPE_ATT				4
#define COLUMN_ERASABLE_ATT			5
#define SEGMENT_LEDGER_ATT			1
#define SEGMENT_NUMBER_ATT			2
#define SEGMENT_SCHEMA_ATT			3
#define SEGMENT_RELATION_ATT		4
#define SEGMENT_ENVIRONMENT_ATT		5
#define SEGMENT_LOWER_ATT			6
#define SEGMENT_UPPER_ATT			7
#define SEGMENT_DEFAULT_ATT			8
#define SEGMENT_STATE_ATT			9
#define ACTION_NAME_ATT				1
#define ACTION_CATEGORY_ATT			2
#define ACTION_RISK_ATT				3

#define LEDGER_TABLE				1	/* its place in the list */

static const char *const config_tables[] = {
	"environment", "ledger", "ledger_environment", "ledger_column",
	"ledger_segment", "action_type", "content_recording", "call_source",
	"retention_policy", "legal_hold", "field_policy", "original_recipient",
	"mask_rule", "dictionary", "sensitive_relation", "role_scope",
	"archive_file", "seen_key"
};

typedef struct SegmentEntry
{
	Oid			relid;			/* hash key */
	bool		valid;
	Segment    *segment;		/* in its own context */
	MemoryContext context;
} SegmentEntry;

static HTAB *segment_cache = NULL;
static Oid	config_oids[lengthof(config_tables)];
static bool config_named[lengthof(config_tables)];	/* still have their names */
static uint64 renames = 0;		/* invalidations of any name */
static uint64 generation = 1;
static uint64 invalidations = 0;	/* of anything */

static TimestampTz closed_end;
static uint64 closed_end_generation = 0;

/* Syscache callback: a table or its schema may have another name. */
static void
RegistryForgetNames(Datum arg, int cacheid, uint32 hashvalue)
{
	renames++;
	memset(config_named, 0, sizeof(config_named));
}

/*
 * Relcache callback: forgets what may have changed.  It may run at any point
 * where a lock is taken, so it only sets flags.
 */
static void
RegistryInvalidate(Datum arg, Oid relid)
{
	bool		all = (relid == InvalidOid);
	SegmentEntry *entry;

	invalidations++;
	for (int i = 0; i < lengthof(config_tables) && !all; i++)
		all = (config_oids[i] == relid);

	if (all)
		RegistryForgetNames((Datum) 0, 0, 0);
	else
	{
		if (segment_cache == NULL)
			return;
		entry = hash_search(segment_cache, &relid, HASH_FIND, NULL);
		if (entry != NULL)
			entry->valid = false;
		return;
	}

	generation++;
	if (segment_cache != NULL)
	{
		HASH_SEQ_STATUS status;

		hash_seq_init(&status, segment_cache);
		while ((entry = hash_seq_search(&status)) != NULL)
			entry->valid = false;
	}
}

void
RegistryInit(void)
{
	CacheRegisterRelcacheCallback(RegistryInvalidate, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, RegistryForgetNames,
								  (Datum) 0);
}

uint64
ConfigGeneration(void)
{
	return generation;
}

/*
 * llm_audit.config_changed(): row trigger on the configuration tables.
 * Invalidates the table in all sessions when the transaction commits, and
 * the leaf too where a segment's row changed.
 */
Datum
llm_audit_config_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called as an AFTER ROW trigger",
						"config_changed")));

	CacheInvalidateRelcache(trigdata->tg_relation);
	return PointerGetDatum(NULL);
}

/*
 * A table of that name in a schema of that name is ours only if it belongs
 * to the extension: anyone can make a schema llm_audit where the extension
 * does not exist, and we read the table's rows without further checks.
 * known is what that has been found out about before, or InvalidOid.
 */
static Oid
FindConfigTable(const char *name, Oid known)
{
	Oid			nspid = get_namespace_oid(LLM_AUDIT_SCHEMA, true);
	Oid			relid;
	Oid			extension;

	if (!OidIsValid(nspid))
		return InvalidOid;
	relid = get_relname_relid(name, nspid);
	if (!OidIsValid(relid) || relid == known)
		return relid;
	extension = get_extension_oid("llm_audit", true);
	if (!OidIsValid(extension) ||
		getExtensionOfObject(RelationRelationId, relid) != extension)
		return InvalidOid;
	return relid;
}

/* The OID of one of config_tables, looked up once; every statement asks. */
static Oid
ListedTableOid(int i)
{
	uint64		before = renames;
	Oid			relid;

	if (config_named[i])
		return config_oids[i];
	relid = FindConfigTable(config_tables[i], config_oids[i]);
	if (OidIsValid(relid))
	{
		config_oids[i] = relid;
		config_named[i] = (before == renames);
	}
	return relid;
}

Oid
ConfigTableOid(const char *name)
{
	for (int i = 0; i < lengthof(config_tables); i++)
	{
		if (strcmp(config_tables[i], name) == 0)
			return ListedTableOid(i);
	}
	return FindConfigTable(name, InvalidOid);
}

bool
ExtensionInstalled(void)
{
	return OidIsValid(ListedTableOid(LEDGER_TABLE));
}

/*
 * A unique index of rel whose leading columns are the keys', or InvalidOid.
 * Unique, because those are ours: an index that a DBA has added may leave
 * rows out.
 */
static Oid
IndexForKeys(Relation rel, ScanKey keys, int nkeys)
{
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *lc;
	Oid			found = InvalidOid;

	foreach(lc, indexes)
	{
		Oid			indexid = lfirst_oid(lc);
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
		Form_pg_index form;
		bool		match;

		if (!HeapTupleIsValid(tuple))
			continue;
		form = (Form_pg_index) GETSTRUCT(tuple);
		match = form->indisunique && form->indisvalid &&
			form->indnkeyatts >= nkeys &&
			heap_attisnull(tuple, Anum_pg_index_indpred, NULL);
		for (int i = 0; match && i < nkeys; i++)
			match = (form->indkey.values[i] == keys[i].sk_attno);
		ReleaseSysCache(tuple);
		if (match)
		{
			found = indexid;
			break;
		}
	}
	list_free(indexes);
	return found;
}

/*
 * Configuration counts as of now, not as of the transaction's snapshot; a
 * parallel operation cannot take a new one and works with what it has.
 */
static Snapshot
ConfigSnapshot(void)
{
	return RegisterSnapshot(IsInParallelMode() ? GetActiveSnapshot() :
							GetLatestSnapshot());
}

void
ConfigScan(const char *table, ScanKey keys, int nkeys,
		   ConfigVisitor visit, void *arg)
{
	Oid			relid = ConfigTableOid(table);
	Relation	rel;
	Oid			index;
	SysScanDesc scan;
	Snapshot	snapshot;
	HeapTuple	tuple;

	if (!OidIsValid(relid))
		return;
	rel = table_open(relid, AccessShareLock);
	index = nkeys > 0 ? IndexForKeys(rel, keys, nkeys) : InvalidOid;
	snapshot = ConfigSnapshot();
	scan = systable_beginscan(rel, index, OidIsValid(index), snapshot,
							  nkeys, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		visit(tuple, RelationGetDescr(rel), arg);
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
}

/* ---------------- building a segment ---------------- */

/* What the visitors fill in; columns grow in the entry's context. */
typedef struct SegmentBuild
{
	Segment    *seg;
	bool		found_segment;
	bool		found_ledger;
	int			size;
} SegmentBuild;

/*
 * The built-in ledgers, as builtin_ledgers() in sql/30_tables.sql.  What the
 * registry says of a role is for people: here it would be a switch for the
 * rules about who writes receipts.
 */
static const struct
{
	const char *name;
	LedgerRole	role;
}			builtin_roles[] = {
	{"match_token", ROLE_PLAIN},
	{"usage_event", ROLE_PLAIN},
	{"settlement", ROLE_PLAIN},
	{"llm_call", ROLE_LLM_CALL},
	{"llm_content", ROLE_LLM_CONTENT},
	{"admin_event", ROLE_ADMIN_EVENT},
	{"segment_event", ROLE_SEGMENT_EVENT},
	{"access_log", ROLE_ACCESS_LOG},
	{"access_record", ROLE_ACCESS_LOG},
	{"purge_receipt", ROLE_PURGE_RECEIPT},
	{"erase_receipt", ROLE_ERASE_RECEIPT}
};

/* Columns of built-in ledgers that the trigger knows, by RoleAttr. */
static const struct
{
	const char *name;
	Oid			type;
}			role_attr_list[ROLE_ATTR_COUNT] = {
	{"masking_status", TEXTOID},
	{"masking_version", TEXTOID},
	{"pii_found", BOOLOID},
	{"pii_counts", JSONBOID},
	{"pii_fields", JSONBOID},
	{"action", TEXTOID},
	{"category", TEXTOID},
	{"high_risk", BOOLOID},
	{"reason", TEXTOID},
	{"stage", TEXTOID}
};

/* A not-null attribute of a configuration row. */
static Datum
ConfigAttr(HeapTuple tuple, TupleDesc desc, int attnum)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, attnum, desc, &isnull);

	if (isnull)
		elog(ERROR, "null in configuration column %d", attnum);
	return value;
}

/* Visitor: the row of ledger_segment. */
static void
SegmentRowRead(HeapTuple tuple, TupleDesc desc, void *arg)
{
	SegmentBuild *build = arg;
	Segment    *seg = build->seg;
	char	   *environment;

	build->found_segment = true;
	memcpy(seg->ledger_id,
		   DatumGetUUIDP(ConfigAttr(tuple, desc, SEGMENT_LEDGER_ATT))->data,
		   LEDGER_ID_SIZE);
	seg->number = DatumGetInt32(ConfigAttr(tuple, desc, SEGMENT_NUMBER_ATT));
	environment = TextDatumGetCString(ConfigAttr(tuple, desc,
												 SEGMENT_ENVIRONMENT_ATT));
	namestrcpy(&seg->environment, environment);
	seg->lower = DatumGetTimestampTz(ConfigAttr(tuple, desc, SEGMENT_LOWER_ATT));
	seg->upper = DatumGetTimestampTz(ConfigAttr(tuple, desc, SEGMENT_UPPER_ATT));
	seg->is_default = DatumGetBool(ConfigAttr(tuple, desc, SEGMENT_DEFAULT_ATT));
	seg->state = (SegmentState)
		*TextDatumGetCString(ConfigAttr(tuple, desc, SEGMENT_STATE_ATT));
}

/* Visitor: the row of ledger. */
static void
LedgerRowRead(HeapTuple tuple, TupleDesc desc, void *arg)
{
	SegmentBuild *build = arg;
	Segment    *seg = build->seg;

	build->found_ledger = true;
	seg->ledger_schema = *DatumGetName(ConfigAttr(tuple, desc, LEDGER_SCHEMA_ATT));
	seg->ledger_name = *DatumGetName(ConfigAttr(tuple, desc, LEDGER_RELATION_ATT));
}

/* Visitor: the rows of ledger_column. */
static void
ColumnRowRead(HeapTuple tuple, TupleDesc desc, void *arg)
{
	SegmentBuild *build = arg;
	Segment    *seg = build->seg;
	LedgerColumn *col;

	if (seg->ncolumns >= build->size)
	{
		build->size *= 2;
		seg->columns = repalloc(seg->columns,
								build->size * sizeof(LedgerColumn));
	}
	col = &seg->columns[seg->ncolumns++];
	memset(col, 0, sizeof(*col));
	col->number = DatumGetInt32(ConfigAttr(tuple, desc, COLUMN_NUMBER_ATT));
	col->name = *DatumGetName(ConfigAttr(tuple, desc, COLUMN_NAME_ATT));
	col->type = DatumGetObjectId(ConfigAttr(tuple, desc, COLUMN_TYPE_ATT));
	col->erasable = DatumGetBool(ConfigAttr(tuple, desc, COLUMN_ERASABLE_ATT));
}

static int
ColumnCompare(const void *a, const void *b)
{
	return (int) ((const LedgerColumn *) a)->number -
		(int) ((const LedgerColumn *) b)->number;
}

/* How the column is encoded; the element's properties for an array. */
static void
ColumnResolveType(LedgerColumn *col)
{
	col->kind = EncodeKindOf(col->type);
	if (col->kind != ENCODE_ARRAY)
		return;
	col->element_type = get_element_type(col->type);
	col->element_kind = EncodeKindOf(col->element_type);
	get_typlenbyvalalign(col->element_type, &col->element_len,
						 &col->element_byval, &col->element_align);
}

/* True for the columns that are in the header, beside it, or recomputed. */
static bool
ColumnIsUnhashed(Form_pg_attribute att)
{
	static const char *const unhashed[] = {
		"chain_lane", "chain_seq", "prev_hash", "row_hash",
		"salt", "erased", "known_values"
	};

	if (att->attgenerated != '\0')
		return true;
	for (int i = 0; i < lengthof(unhashed); i++)
	{
		if (strcmp(NameStr(att->attname), unhashed[i]) == 0)
			return true;
	}
	return false;
}

/* The registered column of that name, or NULL. */
static LedgerColumn *
ColumnByName(Segment *seg, const char *name)
{
	for (int i = 0; i < seg->ncolumns; i++)
	{
		if (strcmp(NameStr(seg->columns[i].name), name) == 0)
			return &seg->columns[i];
	}
	return NULL;
}

/* Matches the registry's columns with the leaf's, noting what disagrees. */
static void
SegmentMatchColumns(Segment *seg, TupleDesc desc)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		LedgerColumn *col;

		if (att->attisdropped || ColumnIsUnhashed(att))
			continue;
		col = ColumnByName(seg, NameStr(att->attname));
		if (col == NULL || getBaseType(att->atttypid) != col->type)
		{
			seg->mismatch = att->attname;
			continue;
		}
		col->attnum = att->attnum;
	}

	for (int i = 0; i < seg->ncolumns; i++)
	{
		LedgerColumn *col = &seg->columns[i];

		if (col->attnum == InvalidAttrNumber || col->kind == ENCODE_NONE)
			seg->mismatch = col->name;
		if (col->erasable)
			seg->nerasable++;
	}
}

/* Sums up for encoding what is known of the columns. */
static void
SegmentMakeSteps(Segment *seg)
{
	seg->steps = palloc0(Max(seg->ncolumns, 1) * sizeof(EncodeStep));
	for (int i = 0; i < seg->ncolumns; i++)
	{
		const LedgerColumn *col = &seg->columns[i];
		EncodeStep *step = &seg->steps[i];

		step->attnum = col->kind == ENCODE_NONE ? InvalidAttrNumber :
			col->attnum;
		step->number = col->number;
		step->kind = (uint8) col->kind;
		step->erasable = col->erasable;
		EntryHeaderPut(step->entry_head, col->number, col->type,
					   ENTRY_PLAIN, 0);
	}
}

/*
 * Lists the columns that must have a value before the row is chained.  Those
 * that are generated get theirs later.
 */
static void
SegmentFindRequired(Segment *seg, TupleDesc desc)
{
	seg->required = palloc(desc->natts * sizeof(AttrNumber));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attnotnull && !att->attisdropped &&
			att->attgenerated == '\0' &&
			att->attnum != seg->attrs.chain_lane &&
			att->attnum != seg->attrs.chain_seq &&
			att->attnum != seg->attrs.prev_hash &&
			att->attnum != seg->attrs.row_hash)
			seg->required[seg->nrequired++] = att->attnum;
	}
}

/* The leaf's attribute of that name, or InvalidAttrNumber. */
static AttrNumber
AttrByName(TupleDesc desc, const char *name)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return att->attnum;
	}
	return InvalidAttrNumber;
}

/*
 * The column that tells what masking found, which any ledger may have; one of
 * another type is somebody's own.
 */
static AttrNumber
FindingsAttr(TupleDesc desc)
{
	AttrNumber	attnum = AttrByName(desc,
									role_attr_list[ROLE_ATTR_PII_FIELDS].name);

	if (attnum != InvalidAttrNumber &&
		TupleDescAttr(desc, attnum - 1)->atttypid != JSONBOID)
		return InvalidAttrNumber;
	return attnum;
}

/*
 * The leaf's attribute of that name, which the trigger will take for a value
 * of this type: one of another type is noted as what disagrees.
 */
static AttrNumber
AttrOfType(Segment *seg, TupleDesc desc, const char *name, Oid type)
{
	AttrNumber	attnum = AttrByName(desc, name);

	if (attnum == InvalidAttrNumber)
		return InvalidAttrNumber;
	if (TupleDescAttr(desc, attnum - 1)->atttypid != type ||
		TupleDescAttr(desc, attnum - 1)->attgenerated != '\0')
	{
		namestrcpy(&seg->mismatch, name);
		return InvalidAttrNumber;
	}
	return attnum;
}

/* Fills in the attribute numbers of columns that built-in ledgers have. */
static void
SegmentMatchRoleAttrs(Segment *seg, TupleDesc desc)
{
	for (int i = 0; i < ROLE_ATTR_COUNT; i++)
		seg->role_attrs[i] = AttrOfType(seg, desc, role_attr_list[i].name,
										role_attr_list[i].type);
}

/* Fills in the attribute numbers of the columns that every ledger has. */
static void
SegmentMatchLedgerAttrs(Segment *seg, TupleDesc desc)
{
	struct
	{
		const char *name;
		Oid			type;
		AttrNumber *attnum;
	}			wanted[] = {
		{"id", UUIDOID, &seg->attrs.id},
		{"recorded_at", TIMESTAMPTZOID, &seg->attrs.recorded_at},
		{"recorded_by", TEXTOID, &seg->attrs.recorded_by},
		{"retain_until", TIMESTAMPTZOID, &seg->attrs.retain_until},
		{"chain_lane", INT4OID, &seg->attrs.chain_lane},
		{"chain_seq", INT8OID, &seg->attrs.chain_seq},
		{"prev_hash", BYTEAOID, &seg->attrs.prev_hash},
		{"row_hash", BYTEAOID, &seg->attrs.row_hash},
		{"salt", BYTEAOID, &seg->attrs.salt},
		{"erased", BYTEAOID, &seg->attrs.erased}
	};

	for (int i = 0; i < lengthof(wanted); i++)
	{
		AttrNumber	attnum = AttrByName(desc, wanted[i].name);

		*wanted[i].attnum = attnum;
		if (attnum == InvalidAttrNumber ||
			TupleDescAttr(desc, attnum - 1)->atttypid != wanted[i].type)
			namestrcpy(&seg->mismatch, wanted[i].name);
	}
	seg->attrs.known_values = AttrOfType(seg, desc, "known_values",
										 TEXTARRAYOID);
	if (NameStr(seg->environment)[0] != '\0')
		seg->attrs.environment = AttrOfType(seg, desc, "environment", TEXTOID);
	seg->attrs.data_class = AttrByName(desc, "data_class");
	if (seg->attrs.data_class != InvalidAttrNumber &&
		TupleDescAttr(desc, seg->attrs.data_class - 1)->atttypid != TEXTOID)
		seg->attrs.data_class = InvalidAttrNumber;
	if (NameStr(seg->environment)[0] != '\0' &&
		seg->attrs.environment == InvalidAttrNumber)
		namestrcpy(&seg->mismatch, "environment");
	seg->attrs.organization_id = AttrByName(desc, "organization_id");
	if (seg->attrs.organization_id != InvalidAttrNumber &&
		TupleDescAttr(desc, seg->attrs.organization_id - 1)->atttypid != TEXTOID)
		seg->attrs.organization_id = InvalidAttrNumber;
	if (seg->role != ROLE_PLAIN)
		SegmentMatchRoleAttrs(seg, desc);
	else
		seg->role_attrs[ROLE_ATTR_PII_FIELDS] = FindingsAttr(desc);
}

/* True if the index is unique, usable and exactly on these columns. */
static bool
IndexIsOn(Oid indexid, const AttrNumber *attnums, int nattnums)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	Form_pg_index form;
	bool		match;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_index) GETSTRUCT(tuple);
	match = form->indisunique && form->indimmediate &&
		form->indisvalid && form->indislive &&
		form->indnkeyatts == nattnums && form->indnatts == nattnums &&
		heap_attisnull(tuple, Anum_pg_index_indpred, NULL);
	for (int i = 0; match && i < nattnums; i++)
		match = (form->indkey.values[i] == attnums[i]);
	ReleaseSysCache(tuple);
	return match;
}

/*
 * Notes a BEFORE trigger that is not ours: it could change the row after it
 * was hashed, or drop it after it was given its place.
 */
static void
SegmentFindTriggers(Segment *seg, Relation leaf)
{
	TriggerDesc *triggers = leaf->trigdesc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		Trigger    *trigger = &triggers->triggers[i];

		if (TRIGGER_FOR_ROW(trigger->tgtype) &&
			TRIGGER_FOR_BEFORE(trigger->tgtype) &&
			TRIGGER_FOR_INSERT(trigger->tgtype) &&
			strcmp(trigger->tgname, "llm_audit_insert") != 0)
			namestrcpy(&seg->foreign_trigger, trigger->tgname);
	}
}

/* Finds the two unique indexes that chaining needs. */
static void
SegmentFindIndexes(Segment *seg, Relation leaf)
{
	AttrNumber	lane_key[2] = {seg->attrs.chain_lane, seg->attrs.chain_seq};
	List	   *indexes = RelationGetIndexList(leaf);
	ListCell   *lc;

	foreach(lc, indexes)
	{
		Oid			indexid = lfirst_oid(lc);

		if (IndexIsOn(indexid, lane_key, 2))
			seg->lane_index = indexid;
		else if (IndexIsOn(indexid, &seg->attrs.id, 1))
			seg->id_index = indexid;
	}
	list_free(indexes);
}

/*
 * Reads the segment whose leaf has these names; false if there is none.
 * Allocates in the current context.
 */
static bool
SegmentRead(SegmentBuild *build, const char *schema, const char *name)
{
	Segment    *seg = build->seg;
	ScanKeyData keys[2];
	pg_uuid_t	ledger_id;

	ScanKeyInit(&keys[0], SEGMENT_SCHEMA_ATT, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(schema));
	ScanKeyInit(&keys[1], SEGMENT_RELATION_ATT, BTEqualStrategyNumber,
				F_NAMEEQ, CStringGetDatum(name));
	ConfigScan("ledger_segment", keys, 2, SegmentRowRead, build);
	if (!build->found_segment)
		return false;

	memcpy(ledger_id.data, seg->ledger_id, LEDGER_ID_SIZE);
	ScanKeyInit(&keys[0], LEDGER_ID_ATT, BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(&ledger_id));
	ConfigScan("ledger", keys, 1, LedgerRowRead, build);
	if (!build->found_ledger)
		return false;

	build->size = 32;
	seg->columns = palloc(build->size * sizeof(LedgerColumn));
	ConfigScan("ledger_column", keys, 1, ColumnRowRead, build);
	seg->retention = RetentionRulesRead(&ledger_id, NameStr(seg->environment));
	qsort(seg->columns, seg->ncolumns, sizeof(LedgerColumn), ColumnCompare);
	for (int i = 0; i < seg->ncolumns; i++)
		ColumnResolveType(&seg->columns[i]);
	return true;
}

/* Sets role and builtin if a table of these names is a built-in ledger. */
static void
SegmentSetRole(Segment *seg, const char *schema, const char *name)
{
	if (schema == NULL || name == NULL ||
		strcmp(schema, LLM_AUDIT_SCHEMA) != 0)
		return;
	for (int i = 0; i < lengthof(builtin_roles); i++)
	{
		if (strcmp(builtin_roles[i].name, name) == 0)
		{
			seg->role = builtin_roles[i].role;
			seg->builtin = true;
		}
	}
}

/*
 * The root that the catalogs know counts, and that of the registry where the
 * leaf is in no tree (yet): to be taken for an ordinary ledger, a built-in
 * one would have to have another name in both.
 */
static void
SegmentFindRole(Segment *seg, Oid relid)
{
	SegmentSetRole(seg, NameStr(seg->ledger_schema),
				   NameStr(seg->ledger_name));
	if (get_rel_relispartition(relid))
	{
		List	   *ancestors = get_partition_ancestors(relid);
		Oid			root = ancestors == NIL ? relid : llast_oid(ancestors);

		SegmentSetRole(seg, get_namespace_name(get_rel_namespace(root)),
					   get_rel_name(root));
	}
}

/* Builds the segment of a leaf in the current context, or returns NULL. */
static Segment *
SegmentBuildFor(Oid relid)
{
	SegmentBuild build = {0};
	Segment    *seg = palloc0(sizeof(Segment));
	char	   *name = get_rel_name(relid);
	char	   *schema;
	Relation	leaf;

	if (name == NULL)
		return NULL;
	schema = get_namespace_name(get_rel_namespace(relid));
	if (schema == NULL)
		return NULL;

	build.seg = seg;
	if (!SegmentRead(&build, schema, name))
		return NULL;

	leaf = try_relation_open(relid, AccessShareLock);
	if (leaf == NULL)
		return NULL;
	seg->relid = relid;
	seg->root = get_relname_relid(NameStr(seg->ledger_name),
								  get_namespace_oid(NameStr(seg->ledger_schema), true));
	seg->natts = RelationGetDescr(leaf)->natts;
	SegmentFindRole(seg, relid);
	SegmentMatchLedgerAttrs(seg, RelationGetDescr(leaf));
	SegmentMatchColumns(seg, RelationGetDescr(leaf));
	SegmentMakeSteps(seg);
	SegmentFindRequired(seg, RelationGetDescr(leaf));
	SegmentFindIndexes(seg, leaf);
	SegmentFindTriggers(seg, leaf);
	relation_close(leaf, AccessShareLock);
	return seg;
}

/* The cache entry for relid, made if it is not there. */
static SegmentEntry *
SegmentEntryFor(Oid relid)
{
	SegmentEntry *entry;
	bool		found;

	if (segment_cache == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(SegmentEntry);
		ctl.hcxt = CacheMemoryContext;
		segment_cache = hash_create("llm_audit segments", 64, &ctl,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	entry = hash_search(segment_cache, &relid, HASH_ENTER, &found);
	if (!found)
	{
		entry->valid = false;
		entry->segment = NULL;
		entry->context = NULL;
	}
	return entry;
}

const Segment *
SegmentLookup(Oid relid)
{
	static SegmentEntry *last = NULL;	/* entries stay where they are */
	SegmentEntry *entry;
	MemoryContext context;
	MemoryContext old;
	Segment    *seg;
	uint64		before;

	if (last != NULL && last->relid == relid && last->valid)
		return last->segment;
	if (segment_cache != NULL)
	{
		entry = hash_search(segment_cache, &relid, HASH_FIND, NULL);
		if (entry != NULL && entry->valid)
		{
			last = entry;
			return entry->segment;
		}
	}
	if (!ExtensionInstalled())
		return NULL;

	/*
	 * An invalidation that arrives while we read makes the result good for
	 * this call only.
	 */
	before = invalidations;
	context = AllocSetContextCreate(TopTransactionContext, "llm_audit segment",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	seg = SegmentBuildFor(relid);
	MemoryContextSwitchTo(old);
	if (seg == NULL)
	{
		MemoryContextDelete(context);
		return NULL;
	}

	entry = SegmentEntryFor(relid);
	if (entry->context != NULL)
		MemoryContextSetParent(entry->context, TopTransactionContext);
	MemoryContextSetParent(context, CacheMemoryContext);
	entry->context = context;
	entry->segment = seg;
	entry->valid = (before == invalidations);
	return seg;
}

/* ---------------- other questions to the configuration ---------------- */

/* Visitor that only notes that there is a row. */
static void
NoteFound(HeapTuple tuple, TupleDesc desc, void *arg)
{
	*(bool *) arg = true;
}

/* True if table has a row with these names in the given columns. */
static bool
NamesRegistered(const char *table, int schema_att, Oid relid)
{
	char	   *name = get_rel_name(relid);
	char	   *schema = name ? get_namespace_name(get_rel_namespace(relid)) : NULL;
	ScanKeyData keys[2];
	bool		found = false;

	if (schema == NULL)
		return false;
	ScanKeyInit(&keys[0], schema_att, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(schema));
	ScanKeyInit(&keys[1], schema_att + 1, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(name));
	ConfigScan(table, keys, 2, NoteFound, &found);
	return found;
}

/* What LedgerColumnIsErasable looks for. */
typedef struct ErasableSearch
{
	bool		found;			/* the ledger */
	pg_uuid_t	ledger_id;
	const char *column;
	bool		erasable;
} ErasableSearch;

/* Visitor: the row of ledger. */
static void
NoteLedgerId(HeapTuple tuple, TupleDesc desc, void *arg)
{
	ErasableSearch *search = arg;

	search->found = true;
	search->ledger_id = *DatumGetUUIDP(ConfigAttr(tuple, desc, LEDGER_ID_ATT));
}

/* Visitor: the rows of ledger_column. */
static void
NoteErasable(HeapTuple tuple, TupleDesc desc, void *arg)
{
	ErasableSearch *search = arg;

	if (namestrcmp(DatumGetName(ConfigAttr(tuple, desc, COLUMN_NAME_ATT)),
				   search->column) == 0)
		search->erasable = DatumGetBool(ConfigAttr(tuple, desc,
												   COLUMN_ERASABLE_ATT));
}

bool
LedgerColumnIsErasable(Oid root, const char *column)
{
	ErasableSearch search = {.column = column};
	char	   *name = get_rel_name(root);
	char	   *schema = get_namespace_name(get_rel_namespace(root));
	ScanKeyData keys[2];

	if (name == NULL || schema == NULL || column == NULL)
		return false;
	ScanKeyInit(&keys[0], LEDGER_SCHEMA_ATT, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(schema));
	ScanKeyInit(&keys[1], LEDGER_SCHEMA_ATT + 1, BTEqualStrategyNumber,
				F_NAMEEQ, CStringGetDatum(name));
	ConfigScan("ledger", keys, 2, NoteLedgerId, &search);
	if (!search.found)
		return false;
	ScanKeyInit(&keys[0], LEDGER_ID_ATT, BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(&search.ledger_id));
	ConfigScan("ledger_column", keys, 1, NoteErasable, &search);
	return search.erasable;
}

/* True if relid is one of the configuration tables. */
static bool
IsConfigTable(Oid relid)
{
	char	   *name = get_rel_name(relid);

	for (int i = 0; name != NULL && i < lengthof(config_tables); i++)
	{
		if (strcmp(config_tables[i], name) == 0 &&
			ConfigTableOid(name) == relid)
			return true;
	}
	return false;
}

LedgerRelationKind
LedgerRelationClassify(Oid relid)
{
	char		relkind = get_rel_relkind(relid);
	LedgerRelationKind kind;

	if (relkind == '\0' || !ExtensionInstalled())
		return LEDGER_REL_NONE;
	if (relkind == RELKIND_INDEX || relkind == RELKIND_PARTITIONED_INDEX)
	{
		kind = LedgerRelationClassify(IndexGetRelation(relid, true));
		return kind == LEDGER_REL_NONE || kind == LEDGER_REL_CONFIG ?
			kind : LEDGER_REL_INDEX;
	}
	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		return LEDGER_REL_NONE;

	if (IsConfigTable(relid))
		return LEDGER_REL_CONFIG;
	if (NamesRegistered("ledger", LEDGER_SCHEMA_ATT, relid))
		return LEDGER_REL_ROOT;
	if (NamesRegistered("ledger_segment", SEGMENT_SCHEMA_ATT, relid))
		return LEDGER_REL_LEAF;
	if (get_rel_relispartition(relid))
	{
		List	   *ancestors = get_partition_ancestors(relid);

		if (ancestors != NIL &&
			NamesRegistered("ledger", LEDGER_SCHEMA_ATT, llast_oid(ancestors)))
			return LEDGER_REL_BRANCH;
	}
	return LEDGER_REL_NONE;
}

/* Visitor: the latest end among closed segments. */
static void
ClosedEndVisit(HeapTuple tuple, TupleDesc desc, void *arg)
{
	TimestampTz *newest = arg;
	TimestampTz upper = DatumGetTimestampTz(ConfigAttr(tuple, desc,
													   SEGMENT_UPPER_ATT));
	char	   *state = TextDatumGetCString(ConfigAttr(tuple, desc,
													   SEGMENT_STATE_ATT));

	if (*state != SEGMENT_OPEN && !TIMESTAMP_NOT_FINITE(upper) &&
		upper > *newest)
		*newest = upper;
	pfree(state);
}

TimestampTz
NewestClosedEnd(void)
{
	TimestampTz newest;
	uint64		before = generation;

	if (closed_end_generation == generation)
		return closed_end;
	TIMESTAMP_NOBEGIN(newest);
	ConfigScan("ledger_segment", NULL, 0, ClosedEndVisit, &newest);
	closed_end = newest;
	closed_end_generation = before;
	return newest;
}

typedef struct ActionFound
{
	bool		found;
	bool		high_risk;
	char	   *category;
} ActionFound;

/* Visitor: the row of action_type. */
static void
ActionVisit(HeapTuple tuple, TupleDesc desc, void *arg)
{
	ActionFound *result = arg;

	result->found = true;
	result->category = TextDatumGetCString(ConfigAttr(tuple, desc,
													  ACTION_CATEGORY_ATT));
	result->high_risk = DatumGetBool(ConfigAttr(tuple, desc, ACTION_RISK_ATT));
}

bool
ActionTypeLookup(const char *action, size_t len,
				 char **category, bool *high_risk)
{
	ActionFound result = {0};
	ScanKeyData key;

	ScanKeyInit(&key, ACTION_NAME_ATT, BTEqualStrategyNumber, F_TEXTEQ,
				PointerGetDatum(cstring_to_text_with_len(action, len)));
	key.sk_collation = DEFAULT_COLLATION_OID;
	ConfigScan("action_type", &key, 1, ActionVisit, &result);
	*category = result.category;
	*high_risk = result.high_risk;
	return result.found;
}
