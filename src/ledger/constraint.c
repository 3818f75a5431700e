/*
 * constraint.c
 *	  CHECK constraints of segments, planned once and not for each statement.
 *
 * For each statement that inserts, the executor reads a relation's CHECK
 * constraints from their text and plans them again: for a table with as many
 * as llm_call half of what an insert of one row costs.  A trigger has run
 * before they are looked at, so ours leaves them ready for the executor, who
 * checks every row as before.
 *
 * What is kept is the planned expression, which the server's plan cache marks
 * invalid when a function that was inlined in it changes.  It is used only for
 * a constraint that reads exactly the same.
 */
#include "postgres.h"

#include "access/xact.h"
#include "compat.h"
#include "executor/executor.h"
#include "ledger/guard.h"
#include "nodes/execnodes.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* A constraint as it is stored, and its planned form. */
typedef struct PlannedCheck
{
	char	   *source;			/* in CacheMemoryContext, like the array */
	CachedExpression *planned;
} PlannedCheck;

typedef struct LeafChecks
{
	Oid			leaf;			/* hash key */
	int			count;
	PlannedCheck *checks;
} LeafChecks;

static HTAB *leaves = NULL;

/*
 * Planned expressions that are no longer used.  A statement further up may
 * still be running one, so they go when the transaction does.
 */
static List *discarded = NIL;

/* Puts a planned expression aside, to be freed later. */
static void
Discard(PlannedCheck *check)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	discarded = lappend(discarded, check->planned);
	check->planned = NULL;
	MemoryContextSwitchTo(old);
}

/*
 * Forgets leaves that are no more.  Done when there is a new one, so that a
 * session keeps no more of them than there are at a time.
 */
static void
ForgetDropped(void)
{
	HASH_SEQ_STATUS seq;
	LeafChecks *entry;

	hash_seq_init(&seq, leaves);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(entry->leaf)))
			continue;
		for (int i = 0; i < entry->count; i++)
		{
			if (entry->checks[i].planned != NULL)
				Discard(&entry->checks[i]);
			if (entry->checks[i].source != NULL)
				pfree(entry->checks[i].source);
		}
		if (entry->checks != NULL)
			pfree(entry->checks);
		(void) hash_search(leaves, &entry->leaf, HASH_REMOVE, NULL);
	}
}

/* The leaf's entry, with room for so many constraints. */
static LeafChecks *
EntryFor(Oid leaf, int count)
{
	LeafChecks *entry;
	bool		found;

	if (leaves == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(LeafChecks);
		ctl.hcxt = CacheMemoryContext;
		leaves = hash_create("llm_audit constraints", 64, &ctl,
							 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	if (hash_search(leaves, &leaf, HASH_FIND, NULL) == NULL)
		ForgetDropped();
	entry = hash_search(leaves, &leaf, HASH_ENTER, &found);
	if (!found)
	{
		entry->count = 0;
		entry->checks = NULL;
	}
	if (entry->count < count)
	{
		Size		size = count * sizeof(PlannedCheck);

		entry->checks = entry->checks == NULL ?
			MemoryContextAlloc(CacheMemoryContext, size) :
			repalloc(entry->checks, size);
		memset(entry->checks + entry->count, 0,
			   (count - entry->count) * sizeof(PlannedCheck));
		entry->count = count;
	}
	return entry;
}

/* The planned form of a constraint that is stored as source. */
static Expr *
PlannedFor(PlannedCheck *check, const char *source)
{
	if (check->planned != NULL &&
		(!check->planned->is_valid || strcmp(check->source, source) != 0))
		Discard(check);
	if (check->planned == NULL)
	{
		if (check->source != NULL)
			pfree(check->source);
		check->source = NULL;
		check->source = MemoryContextStrdup(CacheMemoryContext, source);
		check->planned = GetCachedExpression(stringToNode(source));
	}
	return (Expr *) check->planned->expr;
}

void
ConstraintsPrepare(ResultRelInfo *info, EState *estate)
{
	Relation	leaf = info->ri_RelationDesc;
	const TupleConstr *constr = RelationGetDescr(leaf)->constr;
	LeafChecks *entry;
	ExprState **states;
	MemoryContext old;

	if (constr == NULL || constr->num_check == 0 ||
		CheckStatesOf(info) != NULL || HasVirtualColumns(constr))
		return;
	entry = EntryFor(RelationGetRelid(leaf), constr->num_check);
	old = MemoryContextSwitchTo(estate->es_query_cxt);
	states = palloc0(constr->num_check * sizeof(ExprState *));
	for (int i = 0; i < constr->num_check; i++)
	{
		const ConstrCheck *check = &constr->check[i];

		if (CheckIsEnforced(check))
			states[i] = ExecInitExpr(PlannedFor(&entry->checks[i],
												check->ccbin), NULL);
	}
	CheckStatesOf(info) = states;
	MemoryContextSwitchTo(old);
}

/* At the end of a transaction nothing runs that was put aside. */
static void
FreeDiscarded(XactEvent event, void *arg)
{
	ListCell   *lc;

	if (discarded == NIL ||
		(event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		 event != XACT_EVENT_PREPARE))
		return;
	foreach(lc, discarded)
		FreeCachedExpression(lfirst(lc));
	list_free(discarded);
	discarded = NIL;
}

void
ConstraintInit(void)
{
	RegisterXactCallback(FreeDiscarded, NULL);
}
