/*
 * guard_copy.c
 *	  Erasable columns are not copied to where an erasure does not reach.
 *
 * An index keeps values (a hash index does not: it keeps codes of 32 bits),
 * and pg_statistic and the data of CREATE STATISTICS
 * keep the most common ones.  create_ledger() refuses such indexes and sets
 * the statistics target to 0; here are the commands that would bring copies
 * back.  Where the library is not loaded verify() finds them afterwards.
 *
 * Locks: none is taken but AccessShareLock on catalogs and configuration
 * tables.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/indexing.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_statistic_ext.h"
#include "ledger/guard.h"
#include "nodes/bitmapset.h"
#include "nodes/pathnodes.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
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
