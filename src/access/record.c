/*
 * record.c
 *	  What a record says: packing fields, the session, the statement's text.
 *
 * The text is masked here, in the reader's own backend, before it goes to
 * shared memory; so are the identifiers in it and in its parameters turned
 * into tokens.  Masking is done whatever llm_audit.masking says: that setting
 * is about what writers store.
 */
#include "postgres.h"

#include "access/access.h"
#include "access/client.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/ip.h"
#include "mb/pg_wchar.h"
#include "ledger/scope.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "pgtime.h"
#include "policy/scan.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#define QUERY_SHOWN		8192	/* bytes of masked text */
#define QUERY_SCANNED	(256 * 1024)
#define LIST_MAX		200		/* elements of an array field */
#define FIELD_MAX		8192	/* bytes of any other field */
#define PARAMS_SCANNED	100

/* ---------------- packing ---------------- */

/* A field goes as its length and its bytes; a NULL as the length -1. */
static void
PackField(StringInfo buf, const char *value)
{
	int32		length = value == NULL ? -1 : (int32) strlen(value);

	if (length > FIELD_MAX)
		length = pg_mbcliplen(value, length, FIELD_MAX);
	appendBinaryStringInfo(buf, (char *) &length, sizeof(length));
	if (length > 0)
		appendBinaryStringInfo(buf, value, length);
}

void
PackFields(StringInfo buf, char *const *values, int count)
{
	for (int i = 0; i < count; i++)
		PackField(buf, values[i]);
}

/* Reads a field into a palloc'd string, or NULL; returns what follows. */
const char *
UnpackField(const char *at, const char *end, char **value)
{
	int32		length;

	*value = NULL;
	if (end - at < (ptrdiff_t) sizeof(length))
		return end;
	memcpy(&length, at, sizeof(length));
	at += sizeof(length);
	if (length < 0)
		return at;
	if (length > end - at)
		elog(ERROR, "record of the access log is cut off");
	*value = pnstrdup(at, length);
	return at + length;
}

/* An element of an array's text form. */
static void
AppendElement(StringInfo buf, const char *value)
{
	appendStringInfoString(buf, buf->len > 1 ? ",\"" : "\"");
	for (; *value != '\0'; value++)
	{
		if (*value == '"' || *value == '\\')
			appendStringInfoChar(buf, '\\');
		appendStringInfoChar(buf, *value);
	}
	appendStringInfoChar(buf, '"');
}

/* A list of strings as the text of an array, or NULL if it is empty. */
static char *
ListText(List *list)
{
	StringInfoData buf;
	ListCell   *lc;
	int			count = 0;

	if (list == NIL)
		return NULL;
	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	foreach(lc, list)
	{
		/* the whole must fit into a field */
		if (count++ == LIST_MAX || buf.len > FIELD_MAX - 2 * NAMEDATALEN * 2 - 32)
		{
			AppendElement(&buf, "...");
			break;
		}
		AppendElement(&buf, lfirst(lc));
	}
	appendStringInfoChar(&buf, '}');
	return buf.data;
}

char *
TimeText(TimestampTz time)
{
	/* seconds since 1970, in a form that no setting changes */
	int64		micros = time + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	pg_time_t	seconds = micros / USECS_PER_SEC;
	char		buffer[64];

	pg_strftime(buffer, sizeof(buffer), "%Y-%m-%d %H:%M:%S", pg_gmtime(&seconds));
	return psprintf("%s.%06d+00", buffer, (int) (micros % USECS_PER_SEC));
}

/* A boolean as text. */
static char *
BoolText(bool value)
{
	return value ? "true" : "false";
}

static char *
UuidText(const pg_uuid_t *id)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id)));
}

void
RecordId(pg_uuid_t *id)
{
	Datum		fresh = LedgerUuid();

	*id = *DatumGetUUIDP(fresh);
}

/* The masked form of a text; WITHHELD_TEXT if it cannot be masked. */
static char *
Masked(const char *text, int length)
{
	MaskOptions options;
	MaskResult	result = {0};

	SetScanOptions(&options, NULL);
	switch (MaskText(&options, text, length, &result))
	{
		case MASK_CLEAN:
			return pnstrdup(text, length);
		case MASK_MASKED:
			return pnstrdup(result.text, result.len);
		default:
			return pstrdup(WITHHELD_TEXT);
	}
}

/* ---------------- the session ---------------- */

char *
ClientAddress(const struct Port *port, char **service)
{
	char		host[NI_MAXHOST];
	char		serv[NI_MAXSERV];
	char	   *scope;

	if (port == NULL || (port->raddr.addr.ss_family != AF_INET &&
						 port->raddr.addr.ss_family != AF_INET6))
		return NULL;
	if (pg_getnameinfo_all(&port->raddr.addr, port->raddr.salen,
						   host, sizeof(host), serv, sizeof(serv),
						   NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return NULL;
	scope = strchr(host, '%');
	if (scope != NULL)
		*scope = '\0';
	if (service != NULL)
		*service = pstrdup(serv);
	return pstrdup(host);
}

/*
 * How this session was authenticated.  What pg_hba.conf said is gone from
 * memory once the session has begun, so it is kept when the hook sees it.
 */
static const char *authentication_method = NULL;

void
NoteAuthenticationMethod(const Port *port)
{
	if (port->hba != NULL)
		authentication_method = hba_authname(port->hba->auth_method);
}

char *
SessionIdentity(void)
{
	const char *identity;

	if (MyProcPort == NULL)
		return NULL;
	identity = AuthenticatedId(MyProcPort);
	if (identity == NULL)
		return NULL;
	return psprintf("%s:%s", authentication_method ? authentication_method :
					"unknown", identity);
}

List *
OurRolesOf(Oid role)
{
	static const char *const names[] = {
		"llm_audit_writer", "llm_audit_member", "llm_audit_oncall",
		"llm_audit_developer", "llm_audit_service_owner",
		"llm_audit_security", "llm_audit_compliance", "llm_audit_auditor",
		"llm_audit_approver", "llm_audit_admin"
	};
	List	   *roles = NIL;

	for (int i = 0; i < lengthof(names); i++)
	{
		Oid			ours = get_role_oid(names[i], true);

		if (OidIsValid(ours) && is_member_of_role_nosuper(role, ours))
			roles = lappend(roles, pstrdup(names[i]));
	}
	return roles;
}

/* The roles of llm_audit that the session user is a member of. */
static List *
SessionRoles(void)
{
	Oid			user = GetSessionUserId();
	List	   *roles = OurRolesOf(user);

	if (superuser_arg(user))
		roles = lcons("superuser", roles);
	return roles;
}

/* Fills in what every record says about the session. */
static void
DescribeSession(char **values)
{
	char	   *service = NULL;
	const char *reader = ReaderSettingGet(READER_READER);

	values[LOG_LOGIN] = GetUserNameFromId(GetSessionUserId(), true);
	if (values[LOG_LOGIN] == NULL)
		values[LOG_LOGIN] = psprintf("%u", GetSessionUserId());
	values[LOG_AUTHENTICATION_ID] = SessionIdentity();
	values[LOG_ASSERTED_READER] = unconstify(char *, reader);
	if (reader != NULL)
		values[LOG_READER_TRUSTED] = BoolText(ReaderIsTrusted());
	values[LOG_CLIENT_ADDRESS] = ClientAddress(MyProcPort, &service);
	values[LOG_CLIENT_PORT] = service;
	values[LOG_BACKEND_PID] = psprintf("%d", MyProcPid);
}

/* Fills in the rest, which an outcome does not repeat. */
static void
DescribeConnection(char **values)
{
	values[LOG_EFFECTIVE_ROLE] = GetUserNameFromId(GetUserId(), true);
	values[LOG_ROLES] = ListText(SessionRoles());
	if (application_name != NULL && *application_name != '\0')
		values[LOG_APPLICATION_NAME] = Masked(application_name,
											  strlen(application_name));
	values[LOG_BACKEND_STARTED] = TimeText(MyStartTimestamp);
	values[LOG_TRANSACTION_ID] = psprintf("%d/%u", VirtualBackendNumber(MyProc),
										  VirtualLocalXid(MyProc));
	values[LOG_TRANSACTION_STARTED] = TimeText(GetCurrentTransactionStartTimestamp());
#ifdef USE_SSL
	if (MyProcPort != NULL && MyProcPort->ssl_in_use)
	{
		values[LOG_TLS_VERSION] = pstrdup(be_tls_get_version(MyProcPort));
		values[LOG_TLS_CIPHER] = pstrdup(be_tls_get_cipher(MyProcPort));
	}
#endif
}

/* ---------------- the statement ---------------- */

/* True if the list of strings has this one. */
static bool
ListHasText(List *list, const char *text)
{
	ListCell   *lc;

	foreach(lc, list)
	{
		if (strcmp(lfirst(lc), text) == 0)
			return true;
	}
	return false;
}

/* Adds the tokens of the identifiers in a text, under the current key. */
static void
CollectTokens(const char *string, int length, List **tokens)
{
	MaskOptions options;
	MaskHit    *hits = NULL;
	size_t		count = 0;

	SetScanOptions(&options, NULL);
	if (MaskFind(&options, string, length, &hits, &count) != MASK_MASKED)
		return;
	for (size_t i = 0; i < count && list_length(*tokens) < 50; i++)
	{
		MaskValue	value = {string + hits[i].start, hits[i].end - hits[i].start};
		char	   *token;

		if (!EntityHasToken(hits[i].entity))
			continue;
		token = TokenOf(0, hits[i].entity, &value);
		if (token != NULL && !ListHasText(*tokens, token))
			*tokens = lappend(*tokens, token);
	}
}

/* The same for the values of parameters. */
static void
CollectParamTokens(ParamListInfo params, List **tokens)
{
	for (int i = 0; params != NULL && i < Min(params->numParams, PARAMS_SCANNED); i++)
	{
		ParamExternData fetched;
		ParamExternData *param = params->paramFetch ?
		params->paramFetch(params, i + 1, true, &fetched) : &params->params[i];
		char		category;
		bool		preferred;
		Oid			output;
		bool		varlena;
		char	   *shown;

		if (param == NULL || param->isnull || !OidIsValid(param->ptype))
			continue;
		get_type_category_preferred(param->ptype, &category, &preferred);
		if (category != TYPCATEGORY_STRING && category != TYPCATEGORY_NUMERIC &&
			category != TYPCATEGORY_UNKNOWN && category != TYPCATEGORY_ARRAY)
			continue;
		if (param->ptype >= FirstNormalObjectId)
			continue;			/* its output function is not ours to call */
		getTypeOutputInfo(param->ptype, &output, &varlena);
		shown = OidOutputFunctionCall(output, param->value);
		CollectTokens(shown, Min(strlen(shown), QUERY_SCANNED), tokens);
	}
}

/* A bytea as text, whatever bytea_output says. */
static char *
HexText(bytea *value)
{
	size_t		length = VARSIZE_ANY_EXHDR(value);
	char	   *hex = palloc(2 * length + 3);

	hex[0] = '\\';
	hex[1] = 'x';
	hex[2 + hex_encode(VARDATA_ANY(value), length, hex + 2)] = '\0';
	return hex;
}

/* The keyed digest of the whole text, as the text of a bytea. */
static char *
DigestText(const char *text, int length)
{
	Datum		digest = PolicyDigest(text, length);

	return digest == (Datum) 0 ? NULL :
		HexText(DatumGetByteaPP(digest));
}

/* Fills in text, tokens and digest. */
static void
DescribeText(char **values, const AccessStatement *statement)
{
	const char *query = statement->text ? statement->text : "";
	int			length = strlen(query);
	int			scanned;
	List	   *tokens = NIL;
	char	   *masked;

	if (statement->location > 0 && statement->location < length)
	{
		query += statement->location;
		length -= statement->location;
	}
	if (statement->length > 0)
		length = Min(length, statement->length);
	scanned = pg_mbcliplen(query, length, QUERY_SCANNED);
	masked = Masked(query, scanned);
	CollectTokens(query, scanned, &tokens);
	if (statement->query != NULL)
		CollectParamTokens(statement->query->params, &tokens);
	values[LOG_QUERY] = pnstrdup(masked, pg_mbcliplen(masked, strlen(masked),
													  QUERY_SHOWN));
	values[LOG_QUERY_TRUNCATED] = BoolText(scanned < length ||
										   strlen(masked) > QUERY_SHOWN);
	values[LOG_QUERY_DIGEST] = DigestText(query, length);
	values[LOG_SEARCH_TOKENS] = ListText(tokens);
}

/* A reason, ticket or the like: masked, and not too long. */
static char *
MaskedSetting(ReaderSetting which)
{
	const char *value = ReaderSettingGet(which);

	return value == NULL ? NULL :
		Masked(value, pg_mbcliplen(value, strlen(value), 1024));
}

/* The disclosure grants, as the text of an array. */
static char *
DisclosureText(List *disclosures)
{
	List	   *texts = NIL;
	ListCell   *lc;

	foreach(lc, disclosures)
		texts = lappend(texts, UuidText(lfirst(lc)));
	return ListText(texts);
}

void
PackStatement(StringInfo buf, const AccessStatement *statement,
			  const char *why, int sqlstate)
{
	char	   *values[LOG_FIELD_COUNT] = {NULL};
	uint64		query_id = statement->plan ? statement->plan->queryId : 0;

	values[LOG_EVENT] = why == NULL ? "read" : "refused";
	values[LOG_ORGANIZATION_ID] = ScopeOrganization(GetSessionUserId());
	values[LOG_OCCURRED_AT] = TimeText(statement->started);
	DescribeSession(values);
	DescribeConnection(values);
	DescribeText(values, statement);
	values[LOG_COMMAND] = unconstify(char *, statement->command);
	values[LOG_NESTED] = BoolText(statement->nested);
	values[LOG_EXPORTED] = BoolText(statement->exported);
	values[LOG_RELATIONS] = ListText(statement->examined.relations);
	values[LOG_COLUMNS_READ] = ListText(statement->examined.columns);
	values[LOG_FILTERED_COLUMNS] = ListText(statement->examined.filtered);
	if (query_id != 0)
		values[LOG_QUERY_ID] = psprintf(INT64_FORMAT, (int64) query_id);
	values[LOG_REASON] = MaskedSetting(READER_REASON);
	values[LOG_TICKET] = MaskedSetting(READER_TICKET);
	values[LOG_DISCLOSURE_IDS] = DisclosureText(statement->disclosures);
	if (why != NULL)
	{
		values[LOG_OUTCOME] = "refused";
		values[LOG_REFUSAL] = unconstify(char *, why);
		values[LOG_ERROR_CODE] = unpack_sql_state(sqlstate);
	}
	PackFields(buf, values, LOG_FIELD_COUNT);
}

void
PackOutcome(StringInfo buf, const AccessStatement *statement)
{
	char	   *values[LOG_FIELD_COUNT] = {NULL};
	TimestampTz now = GetCurrentTimestamp();

	values[LOG_EVENT] = "outcome";
	values[LOG_STATEMENT_ID] = UuidText(&statement->id);
	values[LOG_OCCURRED_AT] = TimeText(now);
	values[LOG_ORGANIZATION_ID] = statement->organization;
	values[LOG_LOGIN] = statement->login;
	values[LOG_BACKEND_PID] = psprintf("%d", MyProcPid);
	values[LOG_COMMAND] = unconstify(char *, statement->command);
	values[LOG_EXPORTED] = BoolText(statement->exported ||
									statement->rows > access_export_rows);
	values[LOG_OUTCOME] = statement->error == 0 ? "ok" : "error";
	if (statement->error != 0)
		values[LOG_ERROR_CODE] = unpack_sql_state(statement->error);
	values[LOG_ROW_COUNT] = psprintf(UINT64_FORMAT, statement->rows);
	values[LOG_DURATION_MS] = psprintf("%.3f", (now - statement->started) / 1000.0);
	PackFields(buf, values, LOG_FIELD_COUNT);
}

void
PackSeen(StringInfo buf, const AccessStatement *statement, int first,
		 int count)
{
	char	   *values[ROWS_FIELD_COUNT] = {NULL};

	values[ROWS_STATEMENT_ID] = UuidText(&statement->id);
	values[ROWS_OCCURRED_AT] = TimeText(GetCurrentTimestamp());
	values[ROWS_LOGIN] = statement->login;
	values[ROWS_AUTHENTICATION_ID] = SessionIdentity();
	values[ROWS_ASSERTED_READER] = statement->reader;
	values[ROWS_EXPORTED] = BoolText(statement->exported);
	values[ROWS_ORGANIZATION_ID] = statement->organization;
	PackFields(buf, values, ROWS_FIELD_COUNT);
	for (int i = first; i < first + count; i++)
	{
		appendBinaryStringInfo(buf, (char *) statement->seen[i].id.data,
							   UUID_LEN);
		PackField(buf, statement->seen[i].request_id);
	}
}
