/*
 * settings_event.c
 *	  ALTER SYSTEM, ALTER DATABASE and ALTER ROLE of the settings that the audit
 *	  rests on, as admin events.
 *
 * Somebody who edits postgresql.conf, or who is connected to a database
 * without ledgers, is not seen here: readiness() looks at what is in force.
 */
#include "postgres.h"

#include "access/access.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/json.h"

/* Settings of PostgreSQL's that guarantees of ours depend on. */
static const char *const watched[] = {
	"allow_system_table_mods",
	"archive_mode",
	"event_triggers",
	"fsync",
	"full_page_writes",
	"ignore_checksum_failure",
	"local_preload_libraries",
	"row_security",
	"session_preload_libraries",
	"session_replication_role",
	"shared_preload_libraries",
	"synchronous_commit",
	"synchronous_standby_names",
	"wal_level",
	"zero_damaged_pages"
};

static bool
IsWatched(const char *name)
{
	if (pg_strncasecmp(name, "llm_audit.", 10) == 0)
		return true;
	for (int i = 0; i < lengthof(watched); i++)
	{
		if (pg_strcasecmp(name, watched[i]) == 0)
			return true;
	}
	return false;
}

static void
AppendMember(StringInfo json, const char *key, const char *value)
{
	if (value == NULL)
		return;
	appendStringInfo(json, "%s\"%s\":", json->len > 1 ? "," : "", key);
	escape_json(json, value);
}

/* Adds the event of one command, whose names may be NULL: then for all. */
static void
NoteSetting(VariableSetStmt *set, const char *database, const char *role,
			List **events)
{
	bool		all = set->kind == VAR_RESET_ALL;
	StringInfoData json;

	if (!all && (set->name == NULL || !IsWatched(set->name)))
		return;
	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	AppendMember(&json, "database", database);
	AppendMember(&json, "role", role);
	AppendMember(&json, "value", set->kind == VAR_SET_VALUE ?
				 ExtractSetVariableArgs(set) : NULL);
	if (set->kind == VAR_SET_CURRENT)
		AppendMember(&json, "value", GetConfigOptionByName(set->name, NULL, true));
	appendStringInfoChar(&json, '}');
	AdminEventAdd(events, "setting.changed", "setting",
				  all ? "ALL" : pstrdup(set->name), json.data);
}

void
SettingsNote(Node *stmt, List **events)
{
	if (IsA(stmt, AlterSystemStmt))
		NoteSetting(((AlterSystemStmt *) stmt)->setstmt, NULL, NULL, events);
	else if (IsA(stmt, AlterDatabaseSetStmt))
		NoteSetting(((AlterDatabaseSetStmt *) stmt)->setstmt,
					((AlterDatabaseSetStmt *) stmt)->dbname, NULL, events);
	else if (IsA(stmt, AlterRoleSetStmt))
	{
		AlterRoleSetStmt *alter = (AlterRoleSetStmt *) stmt;

		NoteSetting(alter->setstmt, alter->database,
					alter->role == NULL ? "ALL" :
					get_rolespec_name(alter->role), events);
	}
}
