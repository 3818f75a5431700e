/*
 * sensitive.c
 *	  Which relations are sensitive, cached in this backend.
 *
 * A ledger is, whether built in or enrolled, and so are its partitions; a
 * built-in one needs a reason.  sensitive_relation says otherwise, and adds
 * other tables.  Everything that this asks is also asked for relations that
 * have nothing to do with us, in every statement: an answer is one look-up
 * in a hash table, and lives until the relation or the configuration changes.
 */
#include "postgres.h"

#include "access/access.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/skey.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "ledger/guard.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

/* Column numbers, as sql/20_registry.sql and sql/80_access_log.sql. */
#define LEDGER_SCHEMA_ATT		2
#define LEDGER_RELATION_ATT		3
#define LEDGER_BUILTIN_ATT		5
#define SENSITIVE_SCHEMA_ATT	1
#define SENSITIVE_RELATION_ATT	2
#define SENSITIVE_SENSITIVE_ATT 3
#define SENSITIVE_REASON_ATT	4

typedef struct SensitiveEntry
{
	Oid			relid;			/* hash key */
	Oid			root;			/* InvalidOid: not sensitive */
	bool		needs_reason;
} SensitiveEntry;

static HTAB *cache = NULL;
static uint64 cache_generation = 0;
static uint64 invalidations = 0;

/* Relcache callback: forgets one relation, or all. */
static void
ForgetSensitive(Datum arg, Oid relid)
{
	invalidations++;
	if (cache == NULL)
		return;
	if (OidIsValid(relid))
		(void) hash_search(cache, &relid, HASH_REMOVE, NULL);
	else
		cache_generation = 0;
}

/* An empty cache if what is in it may be wrong. */
static void
PrepareCache(void)
{
	HASHCTL		ctl = {0};

	if (cache != NULL && cache_generation == ConfigGeneration())
		return;
	if (cache != NULL)
		hash_destroy(cache);
	else
		CacheRegisterRelcacheCallback(ForgetSensitive, (Datum) 0);
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(SensitiveEntry);
	ctl.hcxt = CacheMemoryContext;
	cache = hash_create("llm_audit sensitive relations", 64, &ctl,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	cache_generation = ConfigGeneration();
}

/* Visitor: the row of ledger. */
static void
LedgerVisit(HeapTuple tuple, TupleDesc desc, void *arg)
{
	SensitiveEntry *entry = arg;
	bool		isnull;

	entry->root = entry->relid;
	entry->needs_reason = DatumGetBool(heap_getattr(tuple, LEDGER_BUILTIN_ATT,
													desc, &isnull));
}

/* Visitor: the row of sensitive_relation. */
static void
SensitiveVisit(HeapTuple tuple, TupleDesc desc, void *arg)
{
	SensitiveEntry *entry = arg;
	bool		isnull;
	bool		sensitive = DatumGetBool(heap_getattr(tuple, SENSITIVE_SENSITIVE_ATT,
													  desc, &isnull));

	entry->root = sensitive ? entry->relid : InvalidOid;
	entry->needs_reason = DatumGetBool(heap_getattr(tuple, SENSITIVE_REASON_ATT,
													desc, &isnull));
}

/* Looks a root up by its name in both tables. */
static void
ReadRoot(SensitiveEntry *entry)
{
	char	   *name = get_rel_name(entry->relid);
	char	   *schema = name ? get_namespace_name(get_rel_namespace(entry->relid)) : NULL;
	ScanKeyData keys[2];

	entry->root = InvalidOid;
	entry->needs_reason = false;
	if (schema == NULL)
		return;
	ScanKeyInit(&keys[0], LEDGER_SCHEMA_ATT, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(schema));
	ScanKeyInit(&keys[1], LEDGER_RELATION_ATT, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(name));
	ConfigScan("ledger", keys, 2, LedgerVisit, entry);
	keys[0].sk_attno = SENSITIVE_SCHEMA_ATT;
	keys[1].sk_attno = SENSITIVE_RELATION_ATT;
	ConfigScan("sensitive_relation", keys, 2, SensitiveVisit, entry);
}

/*
 * Reads what holds for a relation: what its root says.  A table that has
 * lost its place in the registry, but still has the trigger of a ledger, is
 * sensitive too.
 */
static void
ReadSensitive(SensitiveEntry *entry)
{
	SensitiveEntry root = {.relid = entry->relid};
	List	   *ancestors = NIL;

	if (get_rel_relispartition(entry->relid))
		ancestors = get_partition_ancestors(entry->relid);
	if (ancestors != NIL)
		root.relid = llast_oid(ancestors);
	ReadRoot(&root);
	entry->root = root.root;
	entry->needs_reason = root.needs_reason;
	if (!OidIsValid(root.root) && GuardKind(root.relid) == LEDGER_REL_LEAF)
	{
		entry->root = root.relid;
		entry->needs_reason = true;
	}
}

/* The table whose long values a TOAST table keeps, or InvalidOid. */
static Oid
TableOfToast(Oid toast)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[3];
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			table = InvalidOid;

	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(toast));
	ScanKeyInit(&keys[2], Anum_pg_depend_objsubid, BTEqualStrategyNumber,
				F_INT4EQ, Int32GetDatum(0));
	scan = systable_beginscan(depend, DependDependerIndexId, true, NULL, 3, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->refclassid == RelationRelationId &&
			form->deptype == DEPENDENCY_INTERNAL)
			table = form->refobjid;
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return table;
}

/* Long values are as sensitive as the table that they belong to. */
static void
ReadToast(SensitiveEntry *entry)
{
	SensitiveEntry table = {.relid = TableOfToast(entry->relid)};

	if (!OidIsValid(table.relid))
		return;
	ReadSensitive(&table);
	entry->root = table.root;
	entry->needs_reason = table.needs_reason;
}

/*
 * Reads what holds for a relation of any kind.  A view is sensitive if it has
 * a guard, whatever it shows.
 */
static void
ReadRelation(SensitiveEntry *entry)
{
	switch (get_rel_relkind(entry->relid))
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			ReadSensitive(entry);
			break;
		case RELKIND_TOASTVALUE:
			ReadToast(entry);
			break;
		case RELKIND_VIEW:
			if (ViewIsGuarded(entry->relid))
				entry->root = entry->relid;
			break;
		default:
			break;
	}
}

Oid
SensitiveRoot(Oid relid, bool *needs_reason)
{
	SensitiveEntry *found;
	SensitiveEntry entry = {.relid = relid};
	uint64		before;

	if (relid < FirstNormalObjectId)
		return InvalidOid;
	PrepareCache();
	found = hash_search(cache, &relid, HASH_FIND, NULL);
	if (found == NULL)
	{
		before = invalidations;
		ReadRelation(&entry);
		if (before == invalidations)
		{
			PrepareCache();
			found = hash_search(cache, &relid, HASH_ENTER, NULL);
			*found = entry;
		}
		else
			found = &entry;
	}
	if (needs_reason != NULL)
		*needs_reason = found->needs_reason;
	return found->root;
}

char *
QualifiedName(Oid relid)
{
	char	   *name = get_rel_name(relid);
	char	   *schema = get_namespace_name(get_rel_namespace(relid));

	if (name == NULL || schema == NULL)
		return psprintf("%u", relid);
	return pstrdup(quote_qualified_identifier(schema, name));
}

Oid
GuardFunctionOid(void)
{
	static Oid	cached = InvalidOid;
	static uint64 cached_at = 0;
	Oid			types[3] = {REGCLASSOID, BOOLOID, UUIDARRAYOID};
	Oid			schema;

	if (cached_at == ConfigGeneration() && OidIsValid(cached) &&
		SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(cached)))
		return cached;
	schema = get_namespace_oid(LLM_AUDIT_SCHEMA, true);
	cached = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
							 CStringGetDatum("access_guard"),
							 PointerGetDatum(buildoidvector(types, 3)),
							 ObjectIdGetDatum(schema));
	cached_at = ConfigGeneration();
	return cached;
}

bool
AccessInForce(void)
{
	return Preloaded() && !IsBinaryUpgrade && IsTransactionState() &&
		OidIsValid(MyDatabaseId) && ExtensionInstalled();
}
