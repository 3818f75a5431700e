/*
 * guard_alter.c
 *	  ALTER TABLE and ALTER INDEX on ledgers: refused unless named here.
 *
 * Three kinds of subcommand are allowed: those that touch neither rows nor
 * what protects them; those that only bring protection back, which is what a
 * dump being restored does; and, with llm_audit.restore set, any constraint
 * of a dump.  (Until a table has its guard trigger, it is not guarded at all;
 * a parallel restore may make the trigger first.)
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_index.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "ledger/guard.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* Columns that every ledger has; their defaults and values are ours. */
static const char *const ledger_columns[] = {
	"id", "recorded_at", "recorded_by", "retain_until", "chain_lane",
	"chain_seq", "prev_hash", "row_hash", "salt", "erased", "known_values"
};

static bool
IsLedgerColumn(const char *name)
{
	for (int i = 0; i < lengthof(ledger_columns); i++)
	{
		if (strcmp(name, ledger_columns[i]) == 0)
			return true;
	}
	return false;
}

/* True for serial and its kin, which are a default in disguise. */
static bool
IsSerial(const TypeName *type)
{
	static const char *const serials[] = {
		"serial", "serial2", "serial4", "serial8", "smallserial", "bigserial"
	};
	const char *name;

	if (list_length(type->names) != 1)
		return false;
	name = strVal(linitial(type->names));
	for (int i = 0; i < lengthof(serials); i++)
	{
		if (strcmp(name, serials[i]) == 0)
			return true;
	}
	return false;
}

/*
 * A column may be added if old rows then have NULL in it: without default,
 * constraint, identity or generation, and not of a domain with a default.
 * The trigger takes known_values for what masking reads, so it must be that.
 */
static bool
ColumnIsPlain(const ColumnDef *def)
{
	Type		type;
	bool		plain;
	ListCell   *lc;

	if (def->raw_default != NULL || def->cooked_default != NULL ||
		def->identity != '\0' || def->generated != '\0' || def->is_not_null)
		return false;
	foreach(lc, def->constraints)
	{
		if (((Constraint *) lfirst(lc))->contype != CONSTR_NULL)
			return false;
	}
	if (def->typeName == NULL || IsSerial(def->typeName))
		return false;
	type = LookupTypeName(NULL, def->typeName, NULL, true);
	if (type == NULL)
		return true;			/* the command will say so */
	plain = (get_typdefault(typeTypeId(type)) == NULL) &&
		(strcmp(def->colname, "known_values") != 0 ||
		 typeTypeId(type) == TEXTARRAYOID);
	ReleaseSysCache(type);
	return plain;
}

/* A trigger of somebody else's, not one of ours or of a constraint. */
static bool
TriggerIsForeign(Oid relid, const char *name)
{
	Oid			trigger = get_trigger_oid(relid, name, true);
	HeapTuple	tuple;
	Form_pg_trigger form;
	bool		foreign;

	if (!OidIsValid(trigger) || GuardTriggerNameIsOurs(name))
		return false;
	tuple = GuardCatalogRow(TriggerRelationId, TriggerOidIndexId,
							Anum_pg_trigger_oid, trigger, GUARD_NOW);
	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_trigger) GETSTRUCT(tuple);
	foreign = !form->tgisinternal && !GuardTriggerCallsUs(form->tgfoid);
	heap_freetuple(tuple);
	return foreign;
}

/* REPLICA IDENTITY USING INDEX, with our index on (lane, seq) only. */
static bool
IdentityIsLane(Oid relid, const ReplicaIdentityStmt *stmt)
{
	Oid			index;
	HeapTuple	tuple;
	Form_pg_index form;
	bool		match;

	if (stmt->identity_type != REPLICA_IDENTITY_INDEX)
		return false;
	index = get_relname_relid(stmt->name, get_rel_namespace(relid));
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_index) GETSTRUCT(tuple);
	match = form->indrelid == relid && form->indisunique &&
		form->indnkeyatts == 2 &&
		GuardKeyIsOurs(relid, form->indkey.values, 2);
	ReleaseSysCache(tuple);
	return match;
}

bool
GuardKeyIsOurs(Oid table, const AttrNumber *attnums, int n)
{
	if (n == 1)
		return attnums[0] == get_attnum(table, "id");
	return n == 2 && attnums[0] == get_attnum(table, "chain_lane") &&
		attnums[1] == get_attnum(table, "chain_seq");
}

bool
GuardKeyIsImplied(Oid table, const AttrNumber *attnums, int n)
{
	AttrNumber	id = get_attnum(table, "id");
	AttrNumber	lane = get_attnum(table, "chain_lane");
	AttrNumber	seq = get_attnum(table, "chain_seq");
	bool		has_id = false;
	bool		has_lane = false;
	bool		has_seq = false;

	for (int i = 0; i < n; i++)
	{
		if (attnums[i] == InvalidAttrNumber)
			continue;			/* an expression */
		has_id |= (attnums[i] == id);
		has_lane |= (attnums[i] == lane);
		has_seq |= (attnums[i] == seq);
	}
	return has_id || (has_lane && has_seq);
}

/* A constraint of a dump whose guard trigger has been restored before it. */
static bool
ConstraintIsAllowed(Oid relid, const Constraint *constraint)
{
	AttrNumber	attnums[INDEX_MAX_KEYS];
	int			n = 0;
	ListCell   *lc;

	if (RestoreMode())
		return true;
	if ((constraint->contype != CONSTR_UNIQUE &&
		 constraint->contype != CONSTR_PRIMARY) ||
		constraint->deferrable || constraint->indexname != NULL)
		return false;
	foreach(lc, constraint->keys)
	{
		if (n < INDEX_MAX_KEYS)
			attnums[n++] = get_attnum(relid, strVal(lfirst(lc)));
	}
	return GuardKeyIsImplied(relid, attnums, n);
}

/* ALTER COLUMN SET or DROP DEFAULT, of a column that is not ours. */
static bool
DefaultIsAllowed(Oid relid, const AlterTableCmd *cmd)
{
	return GuardIsLedger(relid) && cmd->name != NULL &&
		!IsLedgerColumn(cmd->name);
}

/* OWNER TO whoever owns it already, as some dumps do. */
static bool
OwnerIsSame(Oid relid, const RoleSpec *owner)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool		same;

	if (!HeapTupleIsValid(tuple))
		return false;
	same = ((Form_pg_class) GETSTRUCT(tuple))->relowner ==
		get_rolespec_oid(owner, true);
	ReleaseSysCache(tuple);
	return same;
}

/* True if the subcommand is harmless or only brings protection back. */
static bool
SubcommandIsAllowed(Oid relid, const AlterTableStmt *stmt,
					const AlterTableCmd *cmd)
{
	switch (cmd->subtype)
	{
		case AT_SetStatistics:
		case AT_SetOptions:
		case AT_ResetOptions:
		case AT_SetRelOptions:
		case AT_ResetRelOptions:
		case AT_SetTableSpace:
		case AT_ValidateConstraint:
		case AT_ClusterOn:
		case AT_DropCluster:
		case AT_EnableAlwaysTrig:
			return true;
		case AT_EnableRowSecurity:
		case AT_ForceRowSecurity:
			return GuardIsLedger(relid);
		case AT_ColumnDefault:
			return DefaultIsAllowed(relid, cmd);
		case AT_AddColumn:
			return GuardIsLedger(relid) &&
				ColumnIsPlain((const ColumnDef *) cmd->def);
		case AT_EnableTrig:
		case AT_EnableReplicaTrig:
		case AT_DisableTrig:
			return TriggerIsForeign(relid, cmd->name);
		case AT_ReplicaIdentity:
			return IdentityIsLane(relid,
								  (const ReplicaIdentityStmt *) cmd->def);
		case AT_AddConstraint:
			return GuardIsLedger(relid) &&
				ConstraintIsAllowed(relid, (const Constraint *) cmd->def);
		case AT_ChangeOwner:
			return OwnerIsSame(relid, cmd->newowner);
		case AT_AttachPartition:
			return stmt->objtype == OBJECT_INDEX;
		default:
			return false;
	}
}

void
GuardCheckAlter(Oid relid, AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		const AlterTableCmd *cmd = lfirst(lc);

		if (!SubcommandIsAllowed(relid, stmt, cmd))
			RefuseRelation(GUARD_ALTER, relid, NULL);
		if (cmd->subtype == AT_SetStatistics && GuardIsLedger(relid))
			GuardCheckStatisticsTarget(relid, cmd);
	}
}
