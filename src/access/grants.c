/*
 * grants.c
 *	  Who is given or loses what: GRANT, REVOKE, roles, policies, views and
 *	  DDL on ledgers, as admin events of the same transaction.
 *
 * What a command is about is noted before it runs, while names still have
 * their meaning, and recorded when it has succeeded.  Roles belong to the
 * cluster: a change of a role of llm_audit in a database without a ledger
 * would be recorded nowhere, so it is refused there.  What functions of ours
 * do (setup(), create_ledger()) is theirs to record.
 */
#include "postgres.h"

#include "access/access.h"
#include "access/xlog.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_statistic_ext.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "ledger/guard.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "parser/parse_func.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* Beside the part that maintenance.c locks. */
#define EVENTS_LOCK_PART	0x4C42

/* ---------------- what is ours ---------------- */

static bool
IsOurRoleName(const char *name)
{
	return name != NULL && strncmp(name, "llm_audit_", 10) == 0;
}

/*
 * True if whoever is given the role gets something of ours: it is one of our
 * roles, or a member of one.
 */
static bool
RoleGivesOurs(const char *name)
{
	Oid			role;

	if (IsOurRoleName(name))
		return true;
	role = name ? get_role_oid(name, true) : InvalidOid;
	return OidIsValid(role) && OurRolesOf(role) != NIL;
}

/* The name of a role as a command gives it; NULL for PUBLIC. */
static char *
RoleSpecName(const RoleSpec *role)
{
	if (role->roletype == ROLESPEC_PUBLIC)
		return "PUBLIC";
	return get_rolespec_name(role);
}

/* True if the relation is a ledger, sensitive, or in our schema. */
static bool
IsOurRelation(Oid relid)
{
	return OidIsValid(relid) &&
		(get_rel_namespace(relid) == get_namespace_oid(LLM_AUDIT_SCHEMA, true) ||
		 GuardIsLedger(relid) || OidIsValid(SensitiveRoot(relid, NULL)));
}

static Oid
Resolve(const RangeVar *rv)
{
	return rv == NULL ? InvalidOid : RangeVarGetRelid(rv, NoLock, true);
}

/* ---------------- building events ---------------- */

/* Appends "key": ["a", "b"] to a JSON object that is being written. */
static void
AppendList(StringInfo json, const char *key, List *values)
{
	ListCell   *lc;

	appendStringInfo(json, "%s\"%s\":[", json->len > 1 ? "," : "", key);
	foreach(lc, values)
	{
		if (lc != list_head(values))
			appendStringInfoChar(json, ',');
		escape_json(json, lfirst(lc));
	}
	appendStringInfoChar(json, ']');
}

/* The names of roles, of RoleSpec or AccessPriv nodes. */
static List *
Names(List *nodes)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, nodes)
	{
		Node	   *node = lfirst(lc);

		if (IsA(node, RoleSpec))
			names = lappend(names, RoleSpecName((RoleSpec *) node));
		else if (IsA(node, AccessPriv) && ((AccessPriv *) node)->priv_name)
			names = lappend(names, ((AccessPriv *) node)->priv_name);
	}
	return names;
}

/* {"privileges": [...], "grantees": [...]} */
static char *
GrantDetails(List *privileges, List *grantees)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	if (privileges == NIL)
		privileges = list_make1("ALL");
	AppendList(&json, "privileges", privileges);
	AppendList(&json, "grantees", grantees);
	appendStringInfoChar(&json, '}');
	return json.data;
}

/* {"key": [...]} */
static char *
ListDetails(const char *key, List *names)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	AppendList(&json, key, names);
	appendStringInfoChar(&json, '}');
	return json.data;
}

/* The name of an object of a GRANT that is ours, or NULL. */
static char *
OurObject(const GrantStmt *stmt, Node *object)
{
	Oid			function;

	if (stmt->objtype == OBJECT_PARAMETER_ACL)
		return pg_strncasecmp(strVal(object), "llm_audit.", 10) == 0 ?
			strVal(object) : NULL;
	if (stmt->targtype == ACL_TARGET_ALL_IN_SCHEMA ||
		stmt->objtype == OBJECT_SCHEMA)
	{
		if (strcmp(strVal(object), LLM_AUDIT_SCHEMA) != 0)
			return NULL;
		if (stmt->targtype != ACL_TARGET_ALL_IN_SCHEMA)
			return strVal(object);
		return stmt->objtype == OBJECT_TABLE ? LLM_AUDIT_SCHEMA ".*" :
			LLM_AUDIT_SCHEMA ".*()";
	}
	if (IsA(object, RangeVar))
	{
		Oid			relid = Resolve((RangeVar *) object);

		return IsOurRelation(relid) ? QualifiedName(relid) : NULL;
	}
	if (!IsA(object, ObjectWithArgs))
		return NULL;
	function = LookupFuncWithArgs(stmt->objtype, (ObjectWithArgs *) object, true);
	if (!OidIsValid(function) || get_func_namespace(function) !=
		get_namespace_oid(LLM_AUDIT_SCHEMA, true))
		return NULL;
	return psprintf("%s.%s()", LLM_AUDIT_SCHEMA, get_func_name(function));
}

/* True for a role to whom setup() grants what it needs. */
static bool
IsServiceRole(const char *name)
{
	return name != NULL && (strcmp(name, "llm_audit_writer") == 0 ||
							strcmp(name, "llm_audit_copier") == 0 ||
							strcmp(name, "llm_audit_owner") == 0 ||
							strcmp(name, "llm_audit_view_owner") == 0 ||
							strcmp(name, "llm_audit_definer") == 0);
}

/* GRANT or REVOKE of privileges on objects. */
static void
NoteGrant(const GrantStmt *stmt, List **events)
{
	List	   *grantees = Names(stmt->grantees);
	ListCell   *lc;

	/* a dump that is restored brings them back as setup() made them */
	if (RestoreMode() && list_length(grantees) == 1 && IsServiceRole(linitial(grantees)))
		return;
	foreach(lc, stmt->objects)
	{
		char	   *name = OurObject(stmt, lfirst(lc));

		if (name != NULL)
			AdminEventAdd(events,
						  stmt->is_grant ? "privilege.granted" : "privilege.revoked",
						  "object", name,
						  GrantDetails(Names(stmt->privileges), grantees));
	}
}

/* GRANT or REVOKE of roles; AccessPriv holds a role's name here. */
static void
NoteGrantRole(const GrantRoleStmt *stmt, List **events)
{
	ListCell   *lc;

	foreach(lc, stmt->granted_roles)
	{
		char	   *name = ((AccessPriv *) lfirst(lc))->priv_name;

		if (RoleGivesOurs(name))
			AdminEventAdd(events, stmt->is_grant ? "role.granted" : "role.revoked",
						  "role", pstrdup(name),
						  ListDetails("members", Names(stmt->grantee_roles)));
	}
}

/* CREATE ROLE ... IN ROLE, or of a role with a name like ours. */
static void
NoteCreateRole(const CreateRoleStmt *stmt, List **events)
{
	ListCell   *lc;
	ListCell   *lc2;

	if (IsOurRoleName(stmt->role))
		AdminEventAdd(events, "role.created", "role", pstrdup(stmt->role), NULL);
	foreach(lc, stmt->options)
	{
		DefElem    *option = lfirst(lc);

		if (strcmp(option->defname, "addroleto") != 0)
			continue;
		foreach(lc2, (List *) option->arg)
		{
			char	   *name = RoleSpecName(lfirst(lc2));

			if (RoleGivesOurs(name))
				AdminEventAdd(events, "role.granted", "role", name,
							  ListDetails("members", list_make1(stmt->role)));
		}
	}
}

/* ALTER ROLE or GROUP of ours: the members it adds or drops, or a change. */
static void
NoteAlterRole(const AlterRoleStmt *stmt, List **events)
{
	char	   *name = RoleSpecName(stmt->role);
	ListCell   *lc;

	foreach(lc, stmt->options)
	{
		DefElem    *option = lfirst(lc);

		if (strcmp(option->defname, "rolemembers") == 0 && RoleGivesOurs(name))
		{
			AdminEventAdd(events, stmt->action > 0 ? "role.granted" : "role.revoked",
						  "role", name, ListDetails("members", Names((List *) option->arg)));
			return;
		}
	}
	if (IsOurRoleName(name))
		AdminEventAdd(events, "role.updated", "role", name, NULL);
}

/* What a role that is dropped was a member of, if that is ours. */
static void
NoteLostMemberships(const char *name, List **events)
{
	Oid			role = get_role_oid(name, true);
	ListCell   *lc;

	if (!OidIsValid(role))
		return;
	foreach(lc, OurRolesOf(role))
		AdminEventAdd(events, "role.revoked", "membership", lfirst(lc),
					  ListDetails("members", list_make1(pstrdup(name))));
}

/* DROP ROLE: of ours, or of a member. */
static void
NoteDropRole(const DropRoleStmt *stmt, List **events)
{
	ListCell   *lc;

	foreach(lc, stmt->roles)
	{
		RoleSpec   *role = lfirst(lc);

		if (role->roletype != ROLESPEC_CSTRING)
			continue;
		if (IsOurRoleName(role->rolename))
			AdminEventAdd(events, "role.deleted", "role", pstrdup(role->rolename),
						  NULL);
		else
			NoteLostMemberships(role->rolename, events);
	}
}

/* Adds an event about a relation, and of which ledger it is a part. */
static void
AddRelation(Oid relid, const char *action, const char *target_type,
			List **events)
{
	AdminEvent *event;

	AdminEventAdd(events, action, target_type, QualifiedName(relid), NULL);
	event = llast(*events);
	event->root = GuardRoot(relid);
	if (GuardIsLedger(relid))
		event->ledger = event->root;
}

/* A change of a relation that is ours. */
static void
NoteRelation(const RangeVar *relation, const char *action,
			 const char *target_type, List **events)
{
	Oid			relid = Resolve(relation);
	const char *schema = relation->schemaname;

	if (IsOurRelation(relid))
		AddRelation(relid, action, target_type, events);
	else if (!OidIsValid(relid) && schema != NULL &&
			 strcmp(schema, LLM_AUDIT_SCHEMA) == 0)
		AdminEventAdd(events, action, target_type,
					  pstrdup(quote_qualified_identifier(schema, relation->relname)),
					  NULL);
}

/*
 * A foreign key to a ledger, which keeps rows from being purged, among what a
 * command adds to a table.  CREATE TABLE adds its foreign keys by ALTER TABLE.
 */
static void
NoteReference(const Node *added, List **events)
{
	ListCell   *lc;

	if (added != NULL && IsA(added, ColumnDef))
	{
		foreach(lc, ((const ColumnDef *) added)->constraints)
			NoteReference(lfirst(lc), events);
	}
	else if (added != NULL && IsA(added, Constraint) &&
			 ((const Constraint *) added)->contype == CONSTR_FOREIGN)
	{
		Oid			referenced = Resolve(((const Constraint *) added)->pktable);

		if (GuardIsLedger(referenced))
			AddRelation(referenced, "ledger.changed", "table", events);
	}
}

/* ALTER TABLE and the like: of the table, and of those that it refers to. */
static void
NoteAlterTable(const AlterTableStmt *stmt, List **events)
{
	ListCell   *lc;

	NoteRelation(stmt->relation, "ledger.changed", "relation", events);
	foreach(lc, stmt->cmds)
		NoteReference(((AlterTableCmd *) lfirst(lc))->def, events);
}

/* A change of policies on a relation that is ours. */
static void
NotePolicy(const RangeVar *relation, const char *action, List *names,
		   List **events)
{
	int			before = list_length(*events);

	NoteRelation(relation, action, "table", events);
	if (list_length(*events) > before)
		((AdminEvent *) llast(*events))->details = ListDetails("policies", names);
}

/* True for a policy that setup() makes, or a dump of what it made. */
static bool
IsBuiltinPolicy(const CreatePolicyStmt *stmt)
{
	return IsOurRoleName(stmt->policy_name) &&
		get_rel_namespace(Resolve(stmt->table)) ==
		get_namespace_oid(LLM_AUDIT_SCHEMA, true);
}

/* DROP STATISTICS of one of our relations. */
static void
NoteDropStatistics(List *name, List **events)
{
	Oid			object = get_statistics_object_oid(name, true);
	HeapTuple	tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(object));
	Oid			relid;

	if (!HeapTupleIsValid(tuple))
		return;
	relid = ((Form_pg_statistic_ext) GETSTRUCT(tuple))->stxrelid;
	ReleaseSysCache(tuple);
	if (IsOurRelation(relid))
		AdminEventAdd(events, "ledger.changed", "table", QualifiedName(relid), NULL);
}

/* CREATE STATISTICS: the values that are common will stand in the catalogs. */
static void
NoteStatistics(const CreateStatsStmt *stmt, List **events)
{
	ListCell   *lc;

	foreach(lc, stmt->relations)
	{
		if (IsA(lfirst(lc), RangeVar))
			NoteRelation(lfirst(lc), "ledger.changed", "table", events);
	}
}

/* DROP OWNED BY takes every right of the roles away, too. */
static void
NoteDropOwned(const DropOwnedStmt *stmt, List **events)
{
	ListCell   *lc;

	foreach(lc, stmt->roles)
		AdminEventAdd(events, "privilege.revoked", "owned", RoleSpecName(lfirst(lc)),
					  NULL);
}

/* True if the rights that are given by default concern what setup() makes. */
static bool
DefaultsAreOurs(const AlterDefaultPrivilegesStmt *stmt)
{
	ListCell   *lc;
	ListCell   *lc2;
	bool		has_schemas = false;

	foreach(lc, stmt->options)
	{
		DefElem    *option = lfirst(lc);

		if (strcmp(option->defname, "schemas") != 0)
			continue;
		has_schemas = true;
		foreach(lc2, (List *) option->arg)
		{
			if (strcmp(strVal(lfirst(lc2)), LLM_AUDIT_SCHEMA) == 0)
				return true;
		}
	}
	return !has_schemas && superuser();
}

/* ALTER DEFAULT PRIVILEGES: views that are made later come with them. */
static void
NoteDefaults(const AlterDefaultPrivilegesStmt *stmt, List **events)
{
	const GrantStmt *grant = stmt->action;

	if (DefaultsAreOurs(stmt))
		AdminEventAdd(events,
					  grant->is_grant ? "privilege.granted" : "privilege.revoked",
					  "object", "default privileges",
					  GrantDetails(Names(grant->privileges), Names(grant->grantees)));
}

/* ALTER ROLE ... SET of a role of ours. */
static void
NoteRoleSetting(const AlterRoleSetStmt *stmt, List **events)
{
	char	   *name = stmt->role ? RoleSpecName(stmt->role) : NULL;

	if (IsOurRoleName(name))
		AdminEventAdd(events, "role.updated", "role", name, NULL);
}

/* DROP of views, policies, triggers or rules that are ours. */
static void
NoteDrop(const DropStmt *stmt, List **events)
{
	bool		part = stmt->removeType == OBJECT_POLICY ||
	stmt->removeType == OBJECT_TRIGGER || stmt->removeType == OBJECT_RULE;
	ListCell   *lc;

	if (!part && stmt->removeType != OBJECT_VIEW &&
		stmt->removeType != OBJECT_TABLE && stmt->removeType != OBJECT_INDEX &&
		stmt->removeType != OBJECT_STATISTIC_EXT)
		return;
	foreach(lc, stmt->objects)
	{
		List	   *name = list_copy((List *) lfirst(lc));

		if (stmt->removeType == OBJECT_STATISTIC_EXT)
		{
			NoteDropStatistics(name, events);
			continue;
		}
		if (part)
			name = list_truncate(name, list_length(name) - 1);
		if (name != NIL && stmt->removeType == OBJECT_POLICY)
			NotePolicy(makeRangeVarFromNameList(name), "policy.deleted",
					   list_make1(strVal(llast((List *) lfirst(lc)))), events);
		else if (name != NIL)
			NoteRelation(makeRangeVarFromNameList(name),
						 "ledger.changed",
						 stmt->removeType == OBJECT_VIEW ? "view" : "table",
						 events);
	}
}

static void
NoteRename(const RenameStmt *stmt, List **events)
{
	if (stmt->renameType == OBJECT_ROLE)
	{
		if (IsOurRoleName(stmt->subname) || IsOurRoleName(stmt->newname))
			AdminEventAdd(events, "role.updated", "role", pstrdup(stmt->subname),
						  NULL);
	}
	else if (stmt->relation != NULL && stmt->renameType == OBJECT_POLICY)
		NotePolicy(stmt->relation, "policy.updated",
				   list_make2(stmt->subname, stmt->newname), events);
	else if (stmt->relation != NULL)
		NoteRelation(stmt->relation, "ledger.changed", "relation", events);
}

/*
 * True for what pg_restore does to a ledger that setup() made before: the
 * triggers and policies that protect it would not be there without.
 */
static bool
IsOwnRestore(const AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		switch (((AlterTableCmd *) lfirst(lc))->subtype)
		{
			case AT_EnableAlwaysTrig:
			case AT_EnableRowSecurity:
			case AT_ForceRowSecurity:
			case AT_AttachPartition:
			case AT_ReplicaIdentity:
			case AT_SetStatistics:
				break;
			default:
				return false;
		}
	}
	return true;
}

/* What the command is about, if it is ours. */
static void
NoteStatement(Node *stmt, List **events)
{
	switch (nodeTag(stmt))
	{
		case T_GrantStmt:
			NoteGrant((GrantStmt *) stmt, events);
			break;
		case T_GrantRoleStmt:
			NoteGrantRole((GrantRoleStmt *) stmt, events);
			break;
		case T_CreateRoleStmt:
			NoteCreateRole((CreateRoleStmt *) stmt, events);
			break;
		case T_AlterRoleStmt:
			NoteAlterRole((AlterRoleStmt *) stmt, events);
			break;
		case T_DropRoleStmt:
			NoteDropRole((DropRoleStmt *) stmt, events);
			break;
		case T_RenameStmt:
			NoteRename((RenameStmt *) stmt, events);
			break;
		case T_CreatePolicyStmt:
			if (!IsBuiltinPolicy((CreatePolicyStmt *) stmt))
				NotePolicy(((CreatePolicyStmt *) stmt)->table,
						   "policy.created",
						   list_make1(((CreatePolicyStmt *) stmt)->policy_name),
						   events);
			break;
		case T_AlterPolicyStmt:
			NotePolicy(((AlterPolicyStmt *) stmt)->table, "policy.updated",
					   list_make1(((AlterPolicyStmt *) stmt)->policy_name),
					   events);
			break;
		case T_ViewStmt:
			NoteRelation(((ViewStmt *) stmt)->view, "ledger.changed", "view",
						 events);
			break;
		case T_AlterTableStmt:
			if (!RestoreMode() || !IsOwnRestore((AlterTableStmt *) stmt))
				NoteAlterTable((AlterTableStmt *) stmt, events);
			break;
		case T_CreateTrigStmt:
			if (!GuardTriggerNameIsOurs(((CreateTrigStmt *) stmt)->trigname))
				NoteRelation(((CreateTrigStmt *) stmt)->relation,
							 "ledger.changed", "table", events);
			break;
		case T_IndexStmt:
			if (!RestoreMode())
				NoteRelation(((IndexStmt *) stmt)->relation, "ledger.changed",
							 "table", events);
			break;
		case T_CreateStatsStmt:
			if (!RestoreMode())
				NoteStatistics((CreateStatsStmt *) stmt, events);
			break;
		case T_RuleStmt:
			NoteRelation(((RuleStmt *) stmt)->relation, "ledger.changed",
						 "relation", events);
			break;
		case T_AlterObjectSchemaStmt:
			if (((AlterObjectSchemaStmt *) stmt)->relation != NULL)
				NoteRelation(((AlterObjectSchemaStmt *) stmt)->relation,
							 "ledger.changed", "relation", events);
			break;
		case T_DropStmt:
			NoteDrop((DropStmt *) stmt, events);
			break;
		case T_DropOwnedStmt:
			NoteDropOwned((DropOwnedStmt *) stmt, events);
			break;
		case T_AlterDefaultPrivilegesStmt:
			NoteDefaults((AlterDefaultPrivilegesStmt *) stmt, events);
			break;
		case T_AlterRoleSetStmt:
			NoteRoleSetting((AlterRoleSetStmt *) stmt, events);
			break;
		default:
			break;
	}
}

/* ---------------- the hook's part ---------------- */

/* True in CREATE or ALTER EXTENSION of ours. */
static bool
InOwnScript(void)
{
	return creating_extension &&
		CurrentExtensionObject == get_extension_oid("llm_audit", true);
}

bool
GrantsMatter(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_GrantStmt:
		case T_GrantRoleStmt:
		case T_CreateRoleStmt:
		case T_AlterRoleStmt:
		case T_DropRoleStmt:
		case T_RenameStmt:
		case T_CreatePolicyStmt:
		case T_AlterPolicyStmt:
		case T_ViewStmt:
		case T_AlterTableStmt:
		case T_CreateTrigStmt:
		case T_IndexStmt:
		case T_CreateStatsStmt:
		case T_RuleStmt:
		case T_AlterObjectSchemaStmt:
		case T_DropStmt:
		case T_DropOwnedStmt:
		case T_AlterDefaultPrivilegesStmt:
		case T_AlterRoleSetStmt:
		case T_AlterDatabaseSetStmt:
		case T_AlterSystemStmt:
			return Preloaded() && !IsBinaryUpgrade && !InOwnScript() &&
				!RecoveryInProgress() && IsTransactionState() &&
				!OwnFunctionRuns() && PermitCurrent() == PERMIT_NONE;
		default:
			return false;
	}
}

/* Refuses a change of our roles where it would be recorded nowhere. */
static void
RefuseElsewhere(List *events)
{
	ListCell   *lc;

	if ((RingMine() != NULL && ExtensionInstalled()) || RestoreMode())
		return;
	foreach(lc, events)
	{
		AdminEvent *event = lfirst(lc);

		if (strcmp(event->target_type, "role") == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("role \"%s\" cannot be changed in this database",
							event->target),
					 errdetail("The change would be recorded in no ledger."),
					 errhint("Connect to a database with llm_audit that \"%s\" lists. A superuser who restores a dump may set \"%s\".",
							 "llm_audit.databases", "llm_audit.restore")));
	}
}

/* True for the root of a ledger that commands are written to. */
static bool
IsEventLedger(Oid root)
{
	Oid			schema = get_namespace_oid(LLM_AUDIT_SCHEMA, true);

	return OidIsValid(root) &&
		(root == get_relname_relid("admin_event", schema) ||
		 root == get_relname_relid("segment_event", schema));
}

/*
 * What a command changes is written to two ledgers when it is done: commands
 * on these, or parts of them, would wait for each other then, each with its
 * own locked (pg_restore -j runs such side by side, some of them before a part
 * is guarded).  So they take turns; CREATE TRIGGER too, since a dump makes our
 * triggers, which is no event, and enables them in one transaction.
 */
static void
TakeTurns(const Node *stmt, List *events)
{
	bool		turn = false;
	ListCell   *lc;

	if (IsA(stmt, CreateTrigStmt))
		turn = IsEventLedger(GuardRoot(Resolve(((const CreateTrigStmt *) stmt)->relation)));
	foreach(lc, events)
		turn |= IsEventLedger(((AdminEvent *) lfirst(lc))->root);
	if (turn)
		LockDatabaseObject(ExtensionRelationId,
						   get_extension_oid("llm_audit", false),
						   EVENTS_LOCK_PART, ExclusiveLock);
}

/* Reads what the command may change of ledgers, of each one once. */
static void
ReadDefinitions(const Node *stmt, List *events)
{
	List	   *done = NIL;
	ListCell   *lc;

	if (IsA(stmt, IndexStmt) || IsA(stmt, CreateStatsStmt))
		return;
	foreach(lc, events)
	{
		AdminEvent *event = lfirst(lc);

		if (!OidIsValid(event->ledger) || list_member_oid(done, event->ledger))
			continue;
		event->definition = DefinitionOf(event->ledger);
		done = lappend_oid(done, event->ledger);
	}
}

List *
GrantsBefore(Node *stmt)
{
	List	   *events = NIL;

	NoteStatement(stmt, &events);
	SettingsNote(stmt, &events);
	if (events == NIL && !IsA(stmt, CreateTrigStmt))
		return NIL;
	RefuseElsewhere(events);
	if (!ExtensionInstalled())
		return NIL;
	TakeTurns(stmt, events);
	ReadDefinitions(stmt, events);
	return events;
}

void
GrantsAfter(List *events)
{
	ListCell   *lc;

	foreach(lc, events)
	{
		const AdminEvent *event = lfirst(lc);

		if (event->definition != NULL)
			DefinitionChanged(event->ledger, event->definition);
	}
}
