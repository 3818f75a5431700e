/*
 * guard_object.c
 *	  Object access hook: changes of ledgers and of what protects them,
 *	  whatever command they come from.
 *
 * CASCADE, DROP OWNED, REASSIGN OWNED, a partition made by hand: all reach
 * this hook with the object itself.  What is altered is refused unless the
 * running command was approved for the ledger (guard_utility.c) or the
 * server says that it does it for reasons of its own (VACUUM FULL, CLUSTER,
 * REINDEX).  Rows of catalogs are read with SnapshotSelf, since the hook runs
 * before the command counter moves on.
 *
 * Locks: none is taken but AccessShareLock on catalogs; whoever changes an
 * object has locked it already.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_event_trigger.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "ledger/guard.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static object_access_hook_type prev_object_access_hook = NULL;

/* The trigger of configuration tables; only the extension makes it. */
#define CONFIG_TRIGGER "llm_audit_config"

/* Names of the policies that llm_audit makes on ledgers begin with this. */
#define POLICY_PREFIX "llm_audit_"

/* The triggers that every ledger has, as create_ledger() makes them. */
static const struct
{
	const char *name;
	const char *function;
	int16		type;
}			own_triggers[] =

{
	{
		"llm_audit_insert", "ledger_insert",
		TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_INSERT
	},
	{
		"llm_audit_guard_row", "ledger_guard_row",
		TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE |
		TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE
	},
	{
		"llm_audit_guard", "ledger_guard",
		TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_UPDATE |
		TRIGGER_TYPE_DELETE | TRIGGER_TYPE_TRUNCATE
	}
};

bool
GuardTriggerNameIsOurs(const char *name)
{
	for (int i = 0; i < lengthof(own_triggers); i++)
	{
		if (strcmp(name, own_triggers[i].name) == 0)
			return true;
	}
	return strcmp(name, CONFIG_TRIGGER) == 0;
}

bool
GuardTriggerCallsUs(Oid function)
{
	return GuardOwnObject(ProcedureRelationId, function);
}

/* The trigger's definition is exactly one of ours. */
static bool
GuardTriggerIsOurs(HeapTuple trigger)
{
	Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(trigger);
	char	   *function = get_func_name(form->tgfoid);

	if (function == NULL || !GuardTriggerCallsUs(form->tgfoid) ||
		form->tgnargs != 0 || form->tgattr.dim1 != 0 ||
		OidIsValid(form->tgconstraint) || form->tgdeferrable ||
		!heap_attisnull(trigger, Anum_pg_trigger_tgqual, NULL))
		return false;
	for (int i = 0; i < lengthof(own_triggers); i++)
	{
		if (strcmp(NameStr(form->tgname), own_triggers[i].name) == 0 &&
			strcmp(function, own_triggers[i].function) == 0 &&
			form->tgtype == own_triggers[i].type)
			return true;
	}
	return false;
}

/* True if the running command was approved for this ledger. */
static bool
IsApproved(Oid relid)
{
	const GuardFrame *frame = GuardUtilityFrame();

	if (frame == NULL)
		return false;
	return frame->approved_all ||
		(OidIsValid(frame->approved_root) &&
		 frame->approved_root == GuardRoot(relid));
}

/* True if the running command has this tag. */
static bool
CommandIs(NodeTag tag)
{
	const GuardFrame *frame = GuardUtilityFrame();

	return frame != NULL && frame->tag == tag;
}

/* ---------------- what a row of a catalog belongs to ---------------- */

/*
 * The table of a trigger, policy, constraint or rule; InvalidOid if it is
 * gone.  A constraint trigger is judged as the trigger that it is.
 */
static Oid
TableOf(Oid class_id, Oid object_id)
{
	HeapTuple	tuple = NULL;
	Oid			table = InvalidOid;

	if (class_id == TriggerRelationId)
		tuple = GuardCatalogRow(class_id, TriggerOidIndexId,
								Anum_pg_trigger_oid, object_id, GUARD_NOW);
	else if (class_id == PolicyRelationId)
		tuple = GuardCatalogRow(class_id, PolicyOidIndexId,
								Anum_pg_policy_oid, object_id, GUARD_NOW);
	else if (class_id == ConstraintRelationId)
		tuple = GuardCatalogRow(class_id, ConstraintOidIndexId,
								Anum_pg_constraint_oid, object_id, GUARD_NOW);
	else if (class_id == RewriteRelationId)
		tuple = GuardCatalogRow(class_id, RewriteOidIndexId,
								Anum_pg_rewrite_oid, object_id, GUARD_NOW);
	if (!HeapTupleIsValid(tuple))
		return InvalidOid;

	if (class_id == TriggerRelationId)
		table = ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid;
	else if (class_id == PolicyRelationId)
		table = ((Form_pg_policy) GETSTRUCT(tuple))->polrelid;
	else if (class_id == ConstraintRelationId)
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		if (form->contype != CONSTRAINT_TRIGGER)
			table = form->conrelid;
	}
	else
		table = ((Form_pg_rewrite) GETSTRUCT(tuple))->ev_class;
	heap_freetuple(tuple);
	return table;
}

/* True if the trigger calls one of our functions. */
static bool
TriggerIsProtected(Oid trigger)
{
	HeapTuple	tuple = GuardCatalogRow(TriggerRelationId, TriggerOidIndexId,
										Anum_pg_trigger_oid, trigger, GUARD_NOW);
	bool		ours;

	if (!HeapTupleIsValid(tuple))
		return false;
	ours = GuardTriggerCallsUs(((Form_pg_trigger) GETSTRUCT(tuple))->tgfoid);
	heap_freetuple(tuple);
	return ours;
}

/*
 * True if the running command has made the trigger fire always, which only
 * protects better.  A restore does so on a root when a leaf is guarded already.
 */
static bool
TriggerIsStrengthened(Oid trigger)
{
	HeapTuple	tuple;
	bool		always;

	if (!CommandIs(T_AlterTableStmt))
		return false;
	tuple = GuardCatalogRow(TriggerRelationId, TriggerOidIndexId,
							Anum_pg_trigger_oid, trigger, GUARD_NOW);
	if (!HeapTupleIsValid(tuple))
		return false;
	always = ((Form_pg_trigger) GETSTRUCT(tuple))->tgenabled ==
		TRIGGER_FIRES_ALWAYS;
	heap_freetuple(tuple);
	return always;
}

/*
 * The indexes that must stay: those on (id) and (chain_lane, chain_seq).
 * What REINDEX CONCURRENTLY left behind is not valid and may go.
 */
static bool
IndexIsProtected(Oid index)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	Form_pg_index form;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_index) GETSTRUCT(tuple);
	result = form->indisreplident ||
		(form->indisunique && form->indisvalid &&
		 GuardKeyIsOurs(form->indrelid, form->indkey.values,
						form->indnkeyatts));
	ReleaseSysCache(tuple);
	return result;
}

/* Policies that llm_audit has made; others may be taken back. */
static bool
PolicyIsProtected(Oid policy)
{
	HeapTuple	tuple = GuardCatalogRow(PolicyRelationId, PolicyOidIndexId,
										Anum_pg_policy_oid, policy, GUARD_BEFORE);
	bool		ours;

	if (!HeapTupleIsValid(tuple))
		return false;
	ours = strncmp(NameStr(((Form_pg_policy) GETSTRUCT(tuple))->polname),
				   POLICY_PREFIX, strlen(POLICY_PREFIX)) == 0;
	heap_freetuple(tuple);
	return ours;
}

/* ---------------- creation ---------------- */

/*
 * True if the trigger stood before the running command, which replaces it:
 * the command's own changes are not visible to a catalog snapshot yet.
 */
static bool
TriggerIsReplaced(Form_pg_trigger trigger)
{
	return get_trigger_oid(trigger->tgrelid, NameStr(trigger->tgname), true)
		== trigger->oid;
}

/*
 * No BEFORE trigger but ours, and ours exactly as they should be.  Not even
 * the same again: CREATE OR REPLACE would turn ENABLE ALWAYS into ORIGIN.
 */
static void
CheckTriggerCreated(Oid trigger)
{
	HeapTuple	tuple = GuardCatalogRow(TriggerRelationId, TriggerOidIndexId,
										Anum_pg_trigger_oid, trigger, GUARD_NOW);
	Form_pg_trigger form;

	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_trigger) GETSTRUCT(tuple);
	if (GuardKind(form->tgrelid) == LEDGER_REL_NONE || form->tgisinternal ||
		(GuardTriggerIsOurs(tuple) && !TriggerIsReplaced(form)))
		return;
	if (TRIGGER_FOR_BEFORE(form->tgtype) || TRIGGER_FOR_INSTEAD(form->tgtype))
		RefuseRelation(GUARD_TRIGGER, form->tgrelid,
					   "A BEFORE trigger could change or drop a row after it was chained.");
	if (GuardTriggerNameIsOurs(NameStr(form->tgname)) ||
		GuardTriggerCallsUs(form->tgfoid))
		RefuseRelation(GUARD_TRIGGER, form->tgrelid,
					   "It has the name or the function of a trigger that protects the table.");
	heap_freetuple(tuple);
}

/*
 * No unique index or exclusion that could refuse rows, no index that copies
 * what can be erased.
 */
static void
CheckIndexCreated(Oid index)
{
	HeapTuple	tuple = GuardCatalogRow(IndexRelationId, IndexRelidIndexId,
										Anum_pg_index_indexrelid, index, GUARD_NOW);
	Form_pg_index form;

	if (!HeapTupleIsValid(tuple))
		return;					/* not an index */
	form = (Form_pg_index) GETSTRUCT(tuple);
	if (!GuardIsLedger(form->indrelid))
	{
		heap_freetuple(tuple);
		return;
	}
	if (!RestoreMode())
		GuardCheckIndexCopies(form->indrelid, tuple);
	if ((form->indisunique || form->indisexclusion) && !RestoreMode() &&
		(form->indisexclusion ||
		 !GuardKeyIsImplied(form->indrelid, form->indkey.values,
							form->indnkeyatts)))
		RefuseRelation(GUARD_UNIQUE, form->indrelid,
					   "A unique index or exclusion constraint could refuse rows that are to be recorded.");
	heap_freetuple(tuple);
}

/* After something was created, or replaced, which looks the same. */
static void
CheckCreated(Oid class_id, Oid object_id, int sub_id)
{
	Oid			table;

	switch (class_id)
	{
		case TriggerRelationId:
			CheckTriggerCreated(object_id);
			break;
		case RelationRelationId:
			if (sub_id == 0)
				CheckIndexCreated(object_id);
			else if (GuardKind(object_id) != LEDGER_REL_NONE &&
					 !IsApproved(object_id))
				RefuseRelation(GUARD_ALTER, object_id, NULL);
			break;
		case RewriteRelationId:
			table = TableOf(class_id, object_id);
			if (GuardKind(table) != LEDGER_REL_NONE)
				RefuseRelation(GUARD_RULE, table, NULL);
			break;
		case ConstraintRelationId:
			table = TableOf(class_id, object_id);
			if (GuardIsLedger(table) && !IsApproved(table))
				RefuseRelation(GUARD_ALTER, table, NULL);
			break;
		case StatisticExtRelationId:
			if (!RestoreMode())
				GuardCheckStatisticsObject(object_id);
			break;
		case ProcedureRelationId:
			if (GuardOwnObject(class_id, object_id))
				RefuseObject(GUARD_REPLACE, "function", get_func_name(object_id));
			break;
		default:
			break;
	}
}

/* ---------------- alteration ---------------- */

typedef struct SchemaSearch
{
	const char *name;
	bool		found;
} SchemaSearch;

/* Visitor: a ledger in the schema. */
static void
CompareSchema(HeapTuple tuple, TupleDesc desc, void *arg)
{
	SchemaSearch *search = arg;
	bool		isnull;
	Datum		schema = heap_getattr(tuple, 2, desc, &isnull);

	if (!isnull && strcmp(NameStr(*DatumGetName(schema)), search->name) == 0)
		search->found = true;
}

/*
 * Ours stays as it is: its owner could drop everything in it.  The registry
 * knows ledgers by name, so another schema with a ledger keeps its name.
 */
static void
CheckSchemaAltered(Oid schema)
{
	SchemaSearch search = {NULL, false};

	search.name = get_namespace_name(schema);
	if (search.name == NULL)
		return;
	if (strcmp(search.name, LLM_AUDIT_SCHEMA) == 0)
		search.found = true;
	else if (CommandIs(T_RenameStmt))
		ConfigScan("ledger", NULL, 0, CompareSchema, &search);
	if (search.found)
		RefuseObject(GUARD_ALTER, "schema", search.name);
}

/* ATTACH, DETACH, INHERIT, CREATE TABLE ... PARTITION OF or INHERITS. */
static void
CheckInheritance(Oid child, Oid parent)
{
	Oid			relid = InvalidOid;

	if (GuardKind(parent) != LEDGER_REL_NONE)
		relid = parent;
	else if (GuardKind(child) != LEDGER_REL_NONE)
		relid = child;
	if (OidIsValid(relid))
		RefuseRelation(GUARD_ALTER, relid,
					   "Partitions of a ledger are made and taken away by llm_audit only.");
}

/* Before the change of something can be seen by others. */
static void
CheckAltered(Oid class_id, Oid object_id, const ObjectAccessPostAlter *arg)
{
	Oid			table;

	if (arg->is_internal)
		return;
	switch (class_id)
	{
		case RelationRelationId:
			if (GuardKind(object_id) != LEDGER_REL_NONE &&
				!IsApproved(object_id))
				RefuseRelation(GUARD_ALTER, object_id, NULL);
			break;
		case TriggerRelationId:
			table = TableOf(class_id, object_id);
			if (GuardKind(table) != LEDGER_REL_NONE &&
				TriggerIsProtected(object_id) && !IsApproved(table) &&
				!TriggerIsStrengthened(object_id))
				RefuseRelation(GUARD_ALTER, table,
							   "The trigger protects the ledger.");
			break;
		case PolicyRelationId:
			table = TableOf(class_id, object_id);
			if (GuardIsLedger(table) && PolicyIsProtected(object_id))
				RefuseRelation(GUARD_ALTER, table,
							   "The policy was made by llm_audit.");
			break;
		case ConstraintRelationId:
		case RewriteRelationId:
			table = TableOf(class_id, object_id);
			if (GuardKind(table) != LEDGER_REL_NONE && !IsApproved(table))
				RefuseRelation(GUARD_ALTER, table, NULL);
			break;
		case InheritsRelationId:
			CheckInheritance(object_id, arg->auxiliary_id);
			break;
		case NamespaceRelationId:
			CheckSchemaAltered(object_id);
			break;
		case ProcedureRelationId:
			if (GuardOwnObject(class_id, object_id))
				RefuseObject(GUARD_ALTER, "function", get_func_name(object_id));
			break;
		case EventTriggerRelationId:
			if (GuardOwnObject(class_id, object_id))
				RefuseObject(GUARD_ALTER, "event trigger", "llm_audit_ddl_end");
			break;
		case ExtensionRelationId:
			if (object_id == get_extension_oid("llm_audit", true) &&
				!CommandIs(T_AlterExtensionStmt))
				RefuseObject(GUARD_ALTER, "extension", "llm_audit");
			break;
		default:
			break;
	}
}

/* ---------------- dropping ---------------- */

/* A table, a column of one, or an index. */
static void
CheckRelationDropped(Oid relid, int sub_id, bool internal)
{
	LedgerRelationKind kind = GuardKind(relid);
	Oid			table = GuardTable(relid);

	if (kind == LEDGER_REL_NONE)
		return;
	if (table != relid)
	{
		if (!internal && kind == LEDGER_REL_INDEX && IndexIsProtected(relid))
			RefuseRelation(GUARD_DROP, relid,
						   "The ledger cannot take rows without the index.");
		return;
	}
	if (kind == LEDGER_REL_CONFIG && !GuardHasLedgers())
		return;
	if (sub_id != 0)
		RefuseRelation(GUARD_DROP_PART, relid,
					   "Its columns are part of what was hashed.");
	RefuseRelation(GUARD_DROP, relid, NULL);
}

/* What is ours goes only when there is no ledger any more. */
static void
CheckOwnDropped(Oid class_id, Oid object_id)
{
	if (class_id == ExtensionRelationId)
	{
		if (object_id == get_extension_oid("llm_audit", true) &&
			GuardHasLedgers())
			RefuseObject(GUARD_DROP, "extension", "llm_audit");
	}
	else if (class_id == NamespaceRelationId)
	{
		char	   *name = get_namespace_name(object_id);

		if (name != NULL && strcmp(name, LLM_AUDIT_SCHEMA) == 0 &&
			GuardHasLedgers())
			RefuseObject(GUARD_DROP, "schema", name);
	}
	else if (GuardOwnObject(class_id, object_id) && GuardHasLedgers())
		RefuseObject(GUARD_DROP,
					 class_id == ProcedureRelationId ? "function" : "event trigger",
					 class_id == ProcedureRelationId ?
					 get_func_name(object_id) : "llm_audit_ddl_end");
}

/* Before something is dropped, by whatever cascade. */
static void
CheckDropped(Oid class_id, Oid object_id, int sub_id, int flags)
{
	bool		internal = (flags & PERFORM_DELETION_INTERNAL) != 0;
	Oid			table;

	switch (class_id)
	{
		case RelationRelationId:
			CheckRelationDropped(object_id, sub_id, internal);
			break;
		case TriggerRelationId:
			table = TableOf(class_id, object_id);
			if (!internal && TriggerIsProtected(object_id) &&
				(GuardIsLedger(table) ||
				 (GuardKind(table) == LEDGER_REL_CONFIG && GuardHasLedgers())))
				RefuseRelation(GUARD_DROP_PART, table,
							   "The trigger protects the ledger.");
			break;
		case PolicyRelationId:
			table = TableOf(class_id, object_id);
			if (!internal && GuardIsLedger(table) &&
				PolicyIsProtected(object_id))
				RefuseRelation(GUARD_DROP_PART, table,
							   "The policy was made by llm_audit.");
			break;
		case ConstraintRelationId:
			table = TableOf(class_id, object_id);
			if (!internal && GuardIsLedger(table))
				RefuseRelation(GUARD_DROP_PART, table,
							   "Its constraints stay with it.");
			break;
		case ProcedureRelationId:
		case EventTriggerRelationId:
		case NamespaceRelationId:
		case ExtensionRelationId:
			CheckOwnDropped(class_id, object_id);
			break;
		default:
			break;
	}
}

/* ---------------- the hook ---------------- */

/* True for the catalogs that any check looks at. */
static bool
ClassMatters(Oid class_id)
{
	switch (class_id)
	{
		case RelationRelationId:
		case TriggerRelationId:
		case RewriteRelationId:
		case PolicyRelationId:
		case ConstraintRelationId:
		case InheritsRelationId:
		case NamespaceRelationId:
		case ProcedureRelationId:
		case EventTriggerRelationId:
		case ExtensionRelationId:
		case StatisticExtRelationId:
			return true;
		default:
			return false;
	}
}

/* Refuses what is refused; permits for rows are checked by the triggers. */
static void
CheckAccess(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id,
			void *arg)
{
	PermitKind	permit = PermitCurrent();

	if (permit == PERMIT_DDL || permit == PERMIT_DROP || !GuardInForce())
		return;
	if (access == OAT_POST_CREATE)
	{
		if (arg == NULL || !((ObjectAccessPostCreate *) arg)->is_internal)
			CheckCreated(class_id, object_id, sub_id);
	}
	else if (access == OAT_POST_ALTER)
		CheckAltered(class_id, object_id, (ObjectAccessPostAlter *) arg);
	else if (access == OAT_DROP)
		CheckDropped(class_id, object_id, sub_id,
					 ((ObjectAccessDrop *) arg)->dropflags);
	else if (access == OAT_TRUNCATE && permit != PERMIT_PURGE)
	{
		if (GuardIsLedger(object_id) ||
			(GuardKind(object_id) == LEDGER_REL_CONFIG && GuardHasLedgers()))
			RefuseRelation(GUARD_TRUNCATE, object_id, NULL);
	}
}

/* Called for every object that any command touches: decides quickly. */
static void
GuardObjectAccess(ObjectAccessType access, Oid class_id, Oid object_id,
				  int sub_id, void *arg)
{
	if (prev_object_access_hook)
		prev_object_access_hook(access, class_id, object_id, sub_id, arg);
	if (access != OAT_NAMESPACE_SEARCH && access != OAT_FUNCTION_EXECUTE &&
		ClassMatters(class_id))
		CheckAccess(access, class_id, object_id, sub_id, arg);
}

void
GuardObjectInit(void)
{
	prev_object_access_hook = object_access_hook;
	object_access_hook = GuardObjectAccess;
}
