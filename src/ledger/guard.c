/*
 * guard.c
 *	  Append-only: what is guarded.
 *
 * The triggers of guard_trigger.c guard the rows of every ledger, whether
 * the library is preloaded or not.  The hooks guard what triggers cannot
 * see: DROP, ALTER, rules, other triggers.  They act in every session that
 * has loaded the library, for owners and superusers too.
 *
 * The hooks see every command of every database of the server, so they do
 * nothing where the extension is not installed, and ask the registry once
 * per relation: the answers are cached in this backend until the registry or
 * the relation changes.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "commands/extension.h"
#include "ledger/guard.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

typedef struct KindEntry
{
	Oid			relid;			/* hash key */
	LedgerRelationKind kind;
} KindEntry;

static HTAB *kinds = NULL;
static uint64 kinds_generation = 0; /* ConfigGeneration of what is in it */
static Oid	kinds_registry = InvalidOid;	/* table "ledger" of then */
static uint64 invalidations = 0;

/* Relcache callback: forgets one relation, or all. */
static void
ForgetKind(Datum arg, Oid relid)
{
	invalidations++;
	if (kinds == NULL)
		return;
	if (OidIsValid(relid))
		(void) hash_search(kinds, &relid, HASH_REMOVE, NULL);
	else
		kinds_generation = 0;
}

/* True in CREATE or ALTER EXTENSION of ours. */
static bool
InOwnScript(void)
{
	return creating_extension &&
		CurrentExtensionObject == get_extension_oid("llm_audit", true);
}

bool
GuardInForce(void)
{
	return !IsBinaryUpgrade && IsTransactionState() &&
		OidIsValid(MyDatabaseId) && ExtensionInstalled() && !InOwnScript();
}

bool
GuardOwnObject(Oid class_id, Oid object_id)
{
	Oid			extension = get_extension_oid("llm_audit", true);

	return OidIsValid(extension) &&
		getExtensionOfObject(class_id, object_id) == extension;
}

HeapTuple
GuardCatalogRow(Oid catalog, Oid index, AttrNumber key, Oid value,
				GuardWhen when)
{
	Relation	rel = table_open(catalog, AccessShareLock);
	ScanKeyData skey;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&skey, key, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(value));
	scan = systable_beginscan(rel, index, true,
							  when == GUARD_NOW ? SnapshotSelf : NULL,
							  1, &skey);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return tuple;
}

/* llm_audit.ledger_guard(), or InvalidOid. */
static Oid
GuardFunction(void)
{
	Oid			nspid = get_namespace_oid(LLM_AUDIT_SCHEMA, true);
	oidvector  *noargs = buildoidvector(NULL, 0);

	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
						   CStringGetDatum("ledger_guard"),
						   PointerGetDatum(noargs),
						   ObjectIdGetDatum(nspid));
}

typedef enum GuardState
{
	GUARD_ABSENT = 0,
	GUARD_NEW,					/* made by this very transaction */
	GUARD_SETTLED
} GuardState;

/* Whether the table has its guard trigger, and since when. */
static GuardState
ReadGuardState(Oid relid)
{
	Oid			function = GuardFunction();
	Relation	rel = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	GuardState	state = GUARD_ABSENT;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(rel, TriggerRelidNameIndexId, true, NULL,
							  1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		TransactionId xmin = HeapTupleHeaderGetXmin(tuple->t_data);

		if (((Form_pg_trigger) GETSTRUCT(tuple))->tgfoid != function)
			continue;
		if (!TransactionIdIsCurrentTransactionId(xmin))
			state = GUARD_SETTLED;
		else if (state == GUARD_ABSENT)
			state = GUARD_NEW;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return state;
}

/*
 * The kind of a table.  What the registry calls a ledger is guarded from the
 * commit that put the guard trigger on it: before, setup(), create_ledger()
 * or a restored dump are still at work.  What has the trigger is guarded even
 * if the registry has lost it.
 */
static LedgerRelationKind
ReadKind(Oid relid, bool *may_cache)
{
	LedgerRelationKind kind = LedgerRelationClassify(relid);
	char		relkind;
	GuardState	state;

	*may_cache = true;
	if (kind == LEDGER_REL_CONFIG)
		return kind;
	relkind = get_rel_relkind(relid);
	if (relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE)
		return LEDGER_REL_NONE;
	state = ReadGuardState(relid);
	*may_cache = (state != GUARD_NEW);
	if (state != GUARD_SETTLED)
		return LEDGER_REL_NONE;
	return kind == LEDGER_REL_NONE ? LEDGER_REL_LEAF : kind;
}

/* An empty cache if what is in it may be wrong. */
static void
PrepareKinds(void)
{
	Oid			registry = ConfigTableOid("ledger");

	if (kinds != NULL && kinds_generation == ConfigGeneration() &&
		kinds_registry == registry)
		return;
	if (kinds != NULL)
		hash_destroy(kinds);
	else
		CacheRegisterRelcacheCallback(ForgetKind, (Datum) 0);
	kinds = NULL;
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(KindEntry);
		ctl.hcxt = CacheMemoryContext;
		kinds = hash_create("llm_audit guard", 64, &ctl,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	kinds_generation = ConfigGeneration();
	kinds_registry = registry;
}

/* The kind of a table, from the cache if it is there. */
static LedgerRelationKind
TableKind(Oid relid)
{
	KindEntry  *entry;
	LedgerRelationKind kind;
	bool		may_cache;
	uint64		before;

	PrepareKinds();
	entry = hash_search(kinds, &relid, HASH_FIND, NULL);
	if (entry != NULL)
		return entry->kind;

	before = invalidations;
	kind = ReadKind(relid, &may_cache);
	if (may_cache && before == invalidations)
	{
		PrepareKinds();
		entry = hash_search(kinds, &relid, HASH_ENTER, NULL);
		entry->kind = kind;
	}
	return kind;
}

LedgerRelationKind
GuardKind(Oid relid)
{
	Oid			table;
	LedgerRelationKind kind;

	if (!OidIsValid(relid) || relid < FirstNormalObjectId)
		return LEDGER_REL_NONE;
	table = GuardTable(relid);
	if (!OidIsValid(table))
		return LEDGER_REL_NONE;
	kind = TableKind(table);
	if (table == relid || kind == LEDGER_REL_NONE || kind == LEDGER_REL_CONFIG)
		return kind;
	return LEDGER_REL_INDEX;
}

bool
GuardIsLedger(Oid relid)
{
	LedgerRelationKind kind = GuardKind(relid);

	return kind != LEDGER_REL_NONE && kind != LEDGER_REL_CONFIG;
}

Oid
GuardTable(Oid relid)
{
	char		relkind = get_rel_relkind(relid);

	if (relkind == RELKIND_INDEX || relkind == RELKIND_PARTITIONED_INDEX)
		return IndexGetRelation(relid, true);
	return relid;
}

Oid
GuardRoot(Oid relid)
{
	Oid			table = GuardTable(relid);
	List	   *ancestors;

	if (!get_rel_relispartition(table))
		return table;
	ancestors = get_partition_ancestors(table);
	return ancestors == NIL ? table : llast_oid(ancestors);
}

/* Visitor: there is a row. */
static void
NoteRow(HeapTuple tuple, TupleDesc desc, void *arg)
{
	*(bool *) arg = true;
}

bool
GuardHasLedgers(void)
{
	bool		found = false;

	ConfigScan("ledger", NULL, 0, NoteRow, &found);
	return found;
}

void
GuardInit(void)
{
	GuardExecutorInit();
	GuardPlannerInit();
	GuardUtilityInit();
	GuardObjectInit();
}
