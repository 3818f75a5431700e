/*
 * guard_copy.c
 *	  Erasable columns are not copied to where an erasure does not reach, and
 *	  indexes and statistics are no way to read rows without a record.
 *
 * An index keeps values (a hash index does not: it keeps codes of 32 bits),
 * and pg_statistic and the data of CREATE STATISTICS
 * keep the most common ones.  create_ledger() refuses such indexes and sets
 * the statistics target to 0; here are the commands that would bring copies
 * back.  Where the library is not loaded verify() finds them afterwards.
 *
 * Building an index or ANALYZE is no statement that reads, and so not
 * recorded, but runs the functions of expressions and operator classes on
 * every row.  Functions in SQL or a procedural language could pass the rows
 * on; those in C come from who could read memory anyway.
 *
 * Locks: none is taken but AccessShareLock on catalogs and configuration
 * tables.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/transam.h"
#include "catalog/indexing.h"
#include "catalog/pg_am.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic_ext.h"
#include "ledger/guard.h"
#include "nodes/bitmapset.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* True if one of the columns is erasable; a whole row holds all of them. */
static bool
AnyIsErasable(Oid table, const AttrNumber *attnums, int n)
{
	Oid			root = GuardRoot(table);

	for (int i = 0; i < n; i++)
	{
		if (attnums[i] > 0 &&
			LedgerColumnIsErasable(root, get_attname(table, attnums[i], true)))
			return true;
	}
	return false;
}

/* The same for the columns that stored expressions use. */
static bool
ExpressionReadsErasable(Oid table, int catalog_cache, HeapTuple tuple,
						AttrNumber attnum)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(catalog_cache, tuple, attnum, &isnull);
	Bitmapset  *used = NULL;
	int			bit = -1;

	if (isnull)
		return false;
	pull_varattnos(stringToNode(TextDatumGetCString(value)), 1, &used);
	while ((bit = bms_next_member(used, bit)) >= 0)
	{
		AttrNumber	column = bit + FirstLowInvalidHeapAttributeNumber;

		if (column == InvalidAttrNumber)
		{
			for (AttrNumber a = 1; get_attname(table, a, true) != NULL; a++)
			{
				if (AnyIsErasable(table, &a, 1))
					return true;
			}
		}
		else if (AnyIsErasable(table, &column, 1))
			return true;
	}
	return false;
}

/* True if the function is somebody's own, in a language other than C. */
static bool
IsOfOthers(Oid function, void *context)
{
	HeapTuple	tuple;
	Oid			language;

	if (function < FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return true;
	language = ((Form_pg_proc) GETSTRUCT(tuple))->prolang;
	ReleaseSysCache(tuple);
	return language != INTERNALlanguageId && language != ClanguageId;
}

/* Walker: such a function, or a domain or type that may have one. */
static bool
RunsOthers(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, CoerceToDomain) ||
		(IsA(node, CoerceViaIO) &&
		 ((CoerceViaIO *) node)->resulttype >= FirstNormalObjectId) ||
		check_functions_in_node(node, IsOfOthers, context))
		return true;
	return expression_tree_walker(node, RunsOthers, context);
}

/* The same for expressions that a catalog row holds. */
static bool
StoredRunsOthers(int catalog_cache, HeapTuple tuple, AttrNumber attnum)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(catalog_cache, tuple, attnum, &isnull);

	return !isnull && RunsOthers(stringToNode(TextDatumGetCString(value)), NULL);
}

/* The same for the functions that build an index of this operator class. */
static bool
OpclassRunsOthers(Oid opclass)
{
	CatCList   *functions;
	bool		found = false;

	if (opclass < FirstNormalObjectId)
		return false;
	functions = SearchSysCacheList1(AMPROCNUM,
									ObjectIdGetDatum(get_opclass_family(opclass)));
	for (int i = 0; i < functions->n_members; i++)
	{
		Form_pg_amproc form = (Form_pg_amproc) GETSTRUCT(&functions->members[i]->tuple);

		found |= IsOfOthers(form->amproc, NULL);
	}
	ReleaseSysCacheList(functions);
	return found;
}

/* True if building the index runs functions of others. */
static bool
IndexRunsOthers(HeapTuple index)
{
	bool		isnull;
	oidvector  *classes = (oidvector *)
	DatumGetPointer(SysCacheGetAttr(INDEXRELID, index, Anum_pg_index_indclass, &isnull));

	for (int i = 0; i < classes->dim1; i++)
	{
		if (OpclassRunsOthers(classes->values[i]))
			return true;
	}
	return StoredRunsOthers(INDEXRELID, index, Anum_pg_index_indexprs) ||
		StoredRunsOthers(INDEXRELID, index, Anum_pg_index_indpred);
}

/* True if the index keeps hash codes of 32 bits instead of values. */
static bool
KeepsHashCodes(Oid index)
{
	HeapTuple	tuple = GuardCatalogRow(RelationRelationId, ClassOidIndexId,
										Anum_pg_class_oid, index, GUARD_NOW);
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_class) GETSTRUCT(tuple))->relam == HASH_AM_OID;
	heap_freetuple(tuple);
	return result;
}

void
GuardCheckIndexCopies(Oid table, HeapTuple index)
{
	Form_pg_index form = (Form_pg_index) GETSTRUCT(index);
	bool		hashed = KeepsHashCodes(form->indexrelid);

	if ((!hashed && AnyIsErasable(table, form->indkey.values, form->indnatts)) ||
		(!hashed && ExpressionReadsErasable(table, INDEXRELID, index, Anum_pg_index_indexprs)) ||
		ExpressionReadsErasable(table, INDEXRELID, index, Anum_pg_index_indpred))
		RefuseRelation(GUARD_COPY, table,
					   "An index would keep what is to be erased.");
	/* a new segment has the indexes that its ledger was enrolled with */
	if (PermitCurrent() == PERMIT_NONE && IndexRunsOthers(index))
		RefuseRelation(GUARD_RUN, table,
					   "Building an index would show it every row, without a record of the read.");
}

void
GuardCheckStatisticsObject(Oid object)
{
	HeapTuple	tuple = GuardCatalogRow(StatisticExtRelationId,
										StatisticExtOidIndexId,
										Anum_pg_statistic_ext_oid, object,
										GUARD_NOW);
	Form_pg_statistic_ext form;

	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_statistic_ext) GETSTRUCT(tuple);
	if (GuardIsLedger(form->stxrelid) &&
		(AnyIsErasable(form->stxrelid, form->stxkeys.values,
					   form->stxkeys.dim1) ||
		 ExpressionReadsErasable(form->stxrelid, STATEXTOID, tuple,
								 Anum_pg_statistic_ext_stxexprs)))
		RefuseRelation(GUARD_COPY, form->stxrelid,
					   "Statistics would keep what is to be erased.");
	if (GuardIsLedger(form->stxrelid) &&
		StoredRunsOthers(STATEXTOID, tuple, Anum_pg_statistic_ext_stxexprs))
		RefuseRelation(GUARD_RUN, form->stxrelid,
					   "ANALYZE would show it rows, without a record of the read.");
	heap_freetuple(tuple);
}

/* ALTER COLUMN SET STATISTICS, where the column may be given by number. */
void
GuardCheckStatisticsTarget(Oid table, const AlterTableCmd *cmd)
{
	const char *column = cmd->name;

	if (cmd->def != NULL && IsA(cmd->def, Integer) && intVal(cmd->def) == 0)
		return;
	if (get_rel_relkind(table) == RELKIND_INDEX ||
		get_rel_relkind(table) == RELKIND_PARTITIONED_INDEX)
		return;					/* it has no erasable column */
	if (column == NULL)
		column = get_attname(table, cmd->num, true);
	if (LedgerColumnIsErasable(GuardRoot(table), column))
		RefuseRelation(GUARD_COPY, table,
					   "Statistics would keep what is to be erased.");
}
