/*
 * log.c
 *	  Keeping values out of the server log, of error messages and of
 *	  pg_stat_activity.
 *
 * What PostgreSQL says about a statement on a ledger may quote values that no
 * trigger has seen yet, or that it has masked: the statement's text, the
 * DETAIL of a constraint, the message of a type's input function, the line
 * of a COPY.  emit_log_hook takes that out of reports before they go to the
 * log and to the client.  Whether a statement is on a ledger is told by its
 * text, by what it was called from, by the table that the report is about,
 * and by having been planned or run as one (EXECUTE does not name the ledger):
 * nothing is looked up, since a report may come from anywhere.
 *
 * The server calls the hook only for what goes to the log.  What fails in a
 * statement that the guard knows to be on a ledger has passed
 * PolicyWithhold() before (guard_executor.c).  Values in constraint and data
 * errors are kept back whether masking is on or not.
 */
#include "postgres.h"

#include "access/xact.h"
#include "core/insert_place.h"
#include "parser/parser.h"
#include "pgstat.h"
#include "policy/scan.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/elog.h"
#include "utils/memutils.h"

#define WITHHELD_MESSAGE \
	"invalid value or syntax in a statement on a ledger"
#define WITHHELD_HINT \
	"llm_audit withholds what else there is to say, because it may quote data; the SQLSTATE is right."

/* How the server's context of a parameter's value begins. */
#define PARAMETER_CONTEXT "unnamed portal parameter $"

static emit_log_hook_type prev_emit_log = NULL;

/* Start of the last statement in which the insert trigger ran. */
static TimestampTz ledger_statement = 0;

/* Start of the last statement that is known by its plan to be on a ledger. */
static TimestampTz planned_statement = 0;

/* Names of enrolled ledgers that this backend has inserted into. */
#define NAMES_MAX 32
static NameData met_names[NAMES_MAX];
static int	met_count = 0;

/* True if a text holds a name, whatever the case of its letters. */
static bool
Holds(const char *haystack, const char *name)
{
	size_t		len = strlen(name);

	for (; *haystack != '\0'; haystack++)
	{
		if (pg_strncasecmp(haystack, name, len) == 0)
			return true;
	}
	return false;
}

/* True if a text speaks of a ledger. */
static bool
MentionsLedger(const char *string)
{
	static const char *const names[] = {
		"llm_audit", "llm_call", "llm_content", "admin_event"
	};

	if (string == NULL)
		return false;
	for (int i = 0; i < lengthof(names); i++)
	{
		if (Holds(string, names[i]))
			return true;
	}
	for (int i = 0; i < met_count; i++)
	{
		if (Holds(string, NameStr(met_names[i])))
			return true;
	}
	return false;
}

/*
 * True if the report comes from our library, or is a RAISE of a function:
 * such words are chosen, they quote no value by themselves.
 */
static bool
WordsAreChosen(const ErrorData *edata)
{
	return (edata->domain != NULL && strcmp(edata->domain, TEXTDOMAIN) == 0) ||
		(edata->funcname != NULL &&
		 strcmp(edata->funcname, "exec_stmt_raise") == 0);
}

/*
 * True for a message that may quote what was given: by its SQLSTATE, and by
 * having any place where something can be put in.
 */
static bool
MessageQuotes(const ErrorData *edata)
{
	if (edata->message_id != NULL && strchr(edata->message_id, '%') == NULL)
		return false;
	/* what was given to a setting is no value of a ledger */
	if (edata->filename != NULL && strcmp(edata->filename, "guc.c") == 0)
		return false;
	switch (edata->sqlerrcode)
	{
		case ERRCODE_SYNTAX_ERROR:
			return true;
		case ERRCODE_DIVISION_BY_ZERO:
		case ERRCODE_STRING_DATA_RIGHT_TRUNCATION:
		case ERRCODE_CHARACTER_NOT_IN_REPERTOIRE:
			return false;		/* nothing, or no more than a broken byte */
		default:
			return ERRCODE_TO_CATEGORY(edata->sqlerrcode) == ERRCODE_DATA_EXCEPTION;
	}
}

/*
 * The place in the input of COPY, or which parameter of a statement it is,
 * without what stood there; NULL if the context says neither.
 */
static char *
PlaceOf(const ErrorData *edata)
{
	const char *context = edata->context;

	if (context == NULL)
		return NULL;
	if (strncmp(context, "COPY ", 5) == 0)
		return pnstrdup(context, strcspn(context, ":\"\n"));
	if (strncmp(context, PARAMETER_CONTEXT, strlen(PARAMETER_CONTEXT)) == 0)
		return pnstrdup(context, strlen(PARAMETER_CONTEXT) +
						strspn(context + strlen(PARAMETER_CONTEXT), "0123456789"));
	return NULL;
}

/* Where in the text of a statement a report says that a value stands. */
static const char *
TargetOf(const ErrorData *edata, InsertTarget *target)
{
	target->character = 0;
	target->parameter = 0;
	if (edata->internalpos > 0)
	{
		target->character = edata->internalpos;
		return edata->internalquery;
	}
	if (edata->cursorpos > 0)
		target->character = edata->cursorpos;
	else if (edata->context != NULL &&
			 strncmp(edata->context, PARAMETER_CONTEXT, strlen(PARAMETER_CONTEXT)) == 0)
		target->parameter = atoi(edata->context + strlen(PARAMETER_CONTEXT));
	return debug_query_string;
}

/*
 * Names the column that a value of an INSERT was for, by where it stands in
 * the text: PostgreSQL itself does not.  The name is one of the INSERT's own
 * list, which the server has looked up before it looks at any value.
 */
static void
NameColumn(ErrorData *edata)
{
	InsertTarget target;
	InsertPlace place;
	const char *text = TargetOf(edata, &target);

	if (ERRCODE_TO_CATEGORY(edata->sqlerrcode) != ERRCODE_DATA_EXCEPTION ||
		text == NULL ||
		!InsertPlaceFind(text, &target, !standard_conforming_strings, &place))
		return;
	if (place.name[0] == '\0')
	{
		edata->detail = psprintf("It is value number %d of a row.", place.number);
		return;
	}
	edata->detail = psprintf("It is the value for column \"%s\".", place.name);
	edata->column_name = pstrdup(place.name);
}

/*
 * Takes out of a report whatever may quote values.  context and the like
 * stay with what is theirs: elog.c frees its memory as a whole.
 */
static void
Withhold(ErrorData *edata)
{
	MemoryContext old = MemoryContextSwitchTo(edata->assoc_context);
	bool		quotes = !WordsAreChosen(edata) && MessageQuotes(edata);

	if (!WordsAreChosen(edata))
	{
		edata->detail = NULL;
		edata->detail_log = NULL;
	}
	if (quotes)
	{
		NameColumn(edata);
		edata->message = pstrdup(WITHHELD_MESSAGE);
		edata->hint = pstrdup(WITHHELD_HINT);
	}
	edata->context = PlaceOf(edata);
	edata->internalquery = NULL;
	edata->internalpos = 0;
	MemoryContextSwitchTo(old);
}

bool
PolicyMayQuote(int sqlerrcode)
{
	switch (ERRCODE_TO_CATEGORY(sqlerrcode))
	{
		case ERRCODE_DATA_EXCEPTION:
		case ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION:
		case ERRCODE_WITH_CHECK_OPTION_VIOLATION:
			return true;
		default:
			return false;
	}
}

void
PolicyWithhold(ErrorData *edata)
{
	if (PolicyMayQuote(edata->sqlerrcode))
		Withhold(edata);
}

/* True if a report is about a statement on a ledger, as far as one can tell. */
static bool
IsOnLedger(const ErrorData *edata)
{
	return MentionsLedger(debug_query_string) ||
		MentionsLedger(edata->context) || MentionsLedger(edata->table_name) ||
		ledger_statement == GetCurrentStatementStartTimestamp() ||
		planned_statement == GetCurrentStatementStartTimestamp();
}

/*
 * Leaves the statement's first word of what pg_stat_activity shows.  Every
 * statement on a ledger does that, so nothing is formatted.
 */
static void
HideActivity(void)
{
	static const char rest[] = " (text withheld by llm_audit)";
	char		shown[20 + sizeof(rest)];
	size_t		len = 0;

	if (debug_query_string == NULL)
		return;
	while (len < 20)
	{
		char		c = debug_query_string[len];

		if (!((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && c != '_')
			break;
		shown[len++] = c;
	}
	memcpy(shown + len, rest, sizeof(rest));
	pgstat_report_activity(STATE_RUNNING, shown);
}

/* The hook: runs for every report, so it must neither fail nor look up. */
static void
PolicyEmitLog(ErrorData *edata)
{
	if (prev_emit_log)
		prev_emit_log(edata);
	if (!llm_audit_masking)
	{
		if (PolicyMayQuote(edata->sqlerrcode) && IsOnLedger(edata))
			Withhold(edata);
		return;
	}

	/* a crash or a deadlock quotes the statements of others */
	if (MentionsLedger(edata->detail_log))
		edata->detail_log = NULL;
	if (edata->elevel < WARNING)
	{
		if (!IsUnderPostmaster && MentionsLedger(edata->detail))
			edata->detail = NULL;
		return;
	}
	if (IsOnLedger(edata))
	{
		edata->hide_stmt = true;
		Withhold(edata);
		/* it stays there until the session's next statement */
		if (edata->elevel >= ERROR)
			HideActivity();
	}
}

void
PolicyStatementIsOnLedger(void)
{
	planned_statement = GetCurrentStatementStartTimestamp();
}

void
LogHideStatement(void)
{
	if (llm_audit_masking)
		HideActivity();
}

void
LogStatementIsOnLedger(const Segment *seg)
{
	TimestampTz statement = GetCurrentStatementStartTimestamp();

	if (ledger_statement == statement)
		return;
	ledger_statement = statement;
	if (llm_audit_masking)
		HideActivity();
	for (int i = 0; i < met_count; i++)
	{
		if (strcmp(NameStr(met_names[i]), NameStr(seg->ledger_name)) == 0)
			return;
	}
	/* names of one or two letters would be found everywhere */
	if (met_count < NAMES_MAX && strlen(NameStr(seg->ledger_name)) > 2)
		met_names[met_count++] = seg->ledger_name;
}

void
LogInit(void)
{
	prev_emit_log = emit_log_hook;
	emit_log_hook = PolicyEmitLog;
}
