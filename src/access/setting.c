/*
 * setting.c
 *	  Settings of the access room, and which values of the readers' settings
 *	  count.
 *
 * A reason that a session has SET would be the next user's behind a pooler,
 * so only SET LOCAL counts (set_config() with is_local likewise), or what the
 * client gave when it connected, as pg_dump does through PGOPTIONS.  Whether a
 * value is local stands on the top of the variable's stack.
 */
#include "postgres.h"

#include <limits.h>

#include "access/access.h"
#include "access/client.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/inet.h"
#include "utils/varlena.h"

PG_FUNCTION_INFO_V1(llm_audit_reader_setting);

char	   *access_databases = NULL;
int			access_queue_size = 4096;
int			access_timeout = 10000;
int			access_export_rows = 10000;
bool		access_row_records_strict = false;
bool		access_log_logins = false;

static char *trusted_proxies = NULL;
static char *reader_ticket = NULL;
static char *reader_reader = NULL;
static int	row_records = 0;

static const struct config_enum_entry row_record_options[] = {
	{"deferred", 0, false},
	{"strict", 1, false},
	{NULL, 0, false}
};

static const char *const reader_names[] = {
	"llm_audit.reason", "llm_audit.ticket", "llm_audit.reader"
};

/* ---------------- defining them ---------------- */

/* A list of at most RINGS_MAX names. */
static bool
CheckDatabases(char **newval, void **extra, GucSource source)
{
	char	   *copy = pstrdup(*newval);
	List	   *names = NIL;
	bool		valid = SplitIdentifierString(copy, ',', &names);

	if (!valid)
		GUC_check_errdetail("List syntax is invalid.");
	else if (list_length(names) > RINGS_MAX)
	{
		GUC_check_errdetail("At most %d databases can be listed.", RINGS_MAX);
		valid = false;
	}
	list_free(names);
	pfree(copy);
	return valid;
}

/* True if the text is an address or a network. */
static bool
IsNetwork(const char *text)
{
	inet_struct address;
	char		buffer[64];
	char	   *slash;
	int			family = strchr(text, ':') ? PGSQL_AF_INET6 : PGSQL_AF_INET;
	int			bits;

	if (strcmp(text, "local") == 0)
		return true;
	if (strlcpy(buffer, text, sizeof(buffer)) >= sizeof(buffer))
		return false;
	slash = strchr(buffer, '/');
	bits = pg_inet_net_pton(family, buffer, address.ipaddr,
							slash ? -1 : sizeof(address.ipaddr));
	return bits >= 0;
}

/* A list of addresses and networks. */
static bool
CheckProxies(char **newval, void **extra, GucSource source)
{
	char	   *copy = pstrdup(*newval);
	char	   *rest = copy;
	char	   *word;

	while ((word = strsep(&rest, ", \t")) != NULL)
	{
		if (*word == '\0' || IsNetwork(word))
			continue;
		GUC_check_errdetail("\"%s\" is neither an address, a network nor \"local\".", word);
		pfree(copy);
		return false;
	}
	pfree(copy);
	return true;
}

static void
AssignRowRecords(int newval, void *extra)
{
	access_row_records_strict = (newval == 1);
}

/*
 * Settings of the server as a whole: they cannot change while it runs.  A
 * library that is loaded later knows them, without any effect.
 */
static void
DefineServerSettings(void)
{
	GucContext	context = process_shared_preload_libraries_in_progress ?
	PGC_POSTMASTER : PGC_SIGHUP;

	DefineCustomStringVariable("llm_audit.databases",
							   "Databases whose audit data can be read: each has an access writer.",
							   "A list of names; in any other database sensitive reads are refused.",
							   &access_databases, "",
							   context, GUC_LIST_INPUT,
							   CheckDatabases, NULL, NULL);
	DefineCustomIntVariable("llm_audit.access_queue",
							"Size of the queue of the access log, for each database.",
							NULL,
							&access_queue_size, 4096, 256, 1024 * 1024,
							context, GUC_UNIT_KB, NULL, NULL, NULL);
}

void
AccessDefineSettings(void)
{
	DefineServerSettings();
	DefineCustomIntVariable("llm_audit.access_timeout",
							"How long a read waits for its record to be written before it is refused.",
							NULL,
							&access_timeout, 10000, 100, INT_MAX / 2,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("llm_audit.export_rows",
							"A statement that returns more rows than this is recorded as an export.",
							NULL,
							&access_export_rows, 10000, 1, INT_MAX,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("llm_audit.row_records",
							 "When the records of texts that were seen are written.",
							 "strict: each before the text goes on; deferred: all before the statement ends or its portal is left.",
							 &row_records, 0, row_record_options,
							 PGC_SUSET, 0, NULL, AssignRowRecords, NULL);
	DefineCustomBoolVariable("llm_audit.log_logins",
							 "Records logins, successful or not, as admin events.",
							 NULL,
							 &access_log_logins, false,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("llm_audit.trusted_proxies",
							   "Addresses from which llm_audit.reader is believed.",
							   "Addresses or networks, separated by commas; local stands for Unix sockets.",
							   &trusted_proxies, "",
							   PGC_SIGHUP, 0, CheckProxies, NULL, NULL);
	DefineCustomStringVariable("llm_audit.ticket",
							   "Ticket under which audit data is read; recorded.",
							   "Use SET LOCAL.",
							   &reader_ticket, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("llm_audit.reader",
							   "Person behind a shared login who reads; recorded as asserted.",
							   "Use SET LOCAL.",
							   &reader_reader, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
}

/* ---------------- which values count ---------------- */

/* True if the variable's value belongs to this transaction or connection. */
static bool
ValueCounts(const struct config_generic *variable)
{
	const GucStack *top = variable->stack;

	if (top != NULL)
		return top->state == GUC_LOCAL || top->state == GUC_SET_LOCAL;
	return variable->source == PGC_S_CLIENT;
}

const char *
ReaderSettingGet(ReaderSetting which)
{
	static struct config_generic *variables[lengthof(reader_names)];
	struct config_generic *variable = variables[which];
	const char *value;

	/* once it is defined, it stays where it is */
	if (variable == NULL)
		variable = variables[which] = FindSetting(reader_names[which]);

	if (variable == NULL || variable->vartype != PGC_STRING ||
		!ValueCounts(variable))
		return NULL;
	value = *((struct config_string *) variable)->variable;
	if (value == NULL || value[strspn(value, " \t\r\n")] == '\0')
		return NULL;
	return value;
}

/*
 * llm_audit.reader_setting(name text) -> text
 *		reason, ticket or reader, if it counts.  22023 for another name.
 */
Datum
llm_audit_reader_setting(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const char *value;

	for (int i = 0; i < lengthof(reader_names); i++)
	{
		if (strcmp(reader_names[i] + strlen("llm_audit."), name) != 0)
			continue;
		value = ReaderSettingGet((ReaderSetting) i);
		if (value == NULL)
			PG_RETURN_NULL();
		PG_RETURN_TEXT_P(cstring_to_text(value));
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("name must be reason, ticket or reader")));
}

/* True if the address is in the network, or is it. */
static bool
AddressIn(const char *address, const char *network)
{
	Datum		left = DirectFunctionCall1(inet_in, CStringGetDatum(address));
	Datum		right = DirectFunctionCall1(inet_in, CStringGetDatum(network));

	return DatumGetBool(DirectFunctionCall2(network_subeq, left, right));
}

bool
ReaderIsTrusted(void)
{
	char	   *address = ClientAddress(MyProcPort, NULL);
	char	   *rest = pstrdup(trusted_proxies ? trusted_proxies : "");
	char	   *word;

	if (MyProcPort == NULL)
		return false;
	while ((word = strsep(&rest, ", \t")) != NULL)
	{
		if (*word == '\0')
			continue;
		if (strcmp(word, "local") == 0 ? address == NULL :
			address != NULL && AddressIn(address, word))
			return true;
	}
	return false;
}
