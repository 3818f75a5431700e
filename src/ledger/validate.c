/*
 * validate.c
 *	  Rules of the built-in ledgers that constraints cannot express.
 */
#include "postgres.h"

#include "fmgr.h"
#include "ledger/ledger.h"
#include "ledger/validate.h"
#include "llm_audit.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(llm_audit_is_own_action);

/* True if a text value equals a constant. */
static bool
TextIs(Datum value, const char *expected)
{
	text	   *t = DatumGetTextPP(value);

	return VARSIZE_ANY_EXHDR(t) == strlen(expected) &&
		memcmp(VARDATA_ANY(t), expected, strlen(expected)) == 0;
}

/* The length of the blank character that a text begins with, or 0. */
static size_t
BlankLength(const char *s, size_t len)
{
	static const char *const blanks[] = {
		" ", "\t", "\n", "\v", "\f", "\r", "\xC2\x85", "\xC2\xA0",
		"\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82",
		"\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86",
		"\xE2\x80\x87", "\xE2\x80\x88", "\xE2\x80\x89", "\xE2\x80\x8A",
		"\xE2\x80\x8B", "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF",
		"\xE2\x81\x9F", "\xE3\x80\x80", "\xEF\xBB\xBF"
	};

	for (int i = 0; i < lengthof(blanks); i++)
	{
		size_t		size = strlen(blanks[i]);

		if (size <= len && memcmp(s, blanks[i], size) == 0)
			return size;
	}
	return 0;
}

/* True if a text says nothing. */
static bool
TextIsBlank(Datum value)
{
	text	   *t = DatumGetTextPP(value);
	const char *s = VARDATA_ANY(t);
	size_t		len = VARSIZE_ANY_EXHDR(t);
	size_t		size;

	while (len > 0 && (size = BlankLength(s, len)) > 0)
	{
		s += size;
		len -= size;
	}
	return len == 0;
}

/*
 * What llm_audit itself does is recorded by itself: a gateway that could say
 * it would explain to verify why a ledger is gone, or to an auditor why text
 * was read.  A comma ends each name.
 */
static const char own_actions[] =
",access_review.attested,action_type.changed,archive.created,archive.loaded,"
"archive.deleted,column.added,content_recording.changed,data_key.destroyed,"
"data_key.rewrapped,dictionary.created,dictionary.dropped,"
"dictionary.extended,dictionary.reduced,disclosure.approved,"
"disclosure.denied,disclosure.expired,disclosure.previewed,"
"disclosure.requested,disclosure.revoked,disclosure.second_approved,"
"disclosure.used,environment.added,extension.installed,"
"extension.uninstalled,extension.updated,field.erased,"
"field_policy.changed,field_policy.weakened,ledger.change_refused,"
"ledger.changed,ledger.created,ledger.dropped,legal_hold.changed,"
"legal_hold.listed,legal_hold.placed,legal_hold.released,"
"maintenance.failed,mask_rule.added,mask_rule.dropped,"
"original_recipient.changed,purge.failed,purge.refused,purge.run,"
"retention_policy.changed,retention_policy.extended,"
"retention_policy.shortened,scope.changed,segment.closed,segment.created,"
"segment_interval.changed,sensitivity.changed,source.changed,"
"source.registered,source.removed,staff_roster.loaded,"
"subject.erased,subject.erasure_previewed,subject.erasure_refused,"
"subject.reported,token.matched,usage_summary.expired,workers.paused,";

/* True if only our own functions record the action. */
static bool
ActionIsOwn(const char *name, size_t len)
{
	char	   *key = palloc(len + 3);
	bool		own;

	key[0] = ',';
	memcpy(key + 1, name, len);
	key[len + 1] = ',';
	key[len + 2] = '\0';
	own = memchr(name, ',', len) == NULL && strstr(own_actions, key) != NULL;
	pfree(key);
	return own;
}

/*
 * llm_audit.is_own_action(action text) -> boolean
 *		Whether only llm_audit itself may record the action.
 */
Datum
llm_audit_is_own_action(PG_FUNCTION_ARGS)
{
	text	   *action = PG_GETARG_TEXT_PP(0);

	PG_RETURN_BOOL(ActionIsOwn(VARDATA_ANY(action),
							   VARSIZE_ANY_EXHDR(action)));
}

/*
 * True if the row is written with the rights that our own functions run with.
 * Nobody else is a member of these roles (sql/10_roles.sql); see to it that
 * no function of theirs takes an action from its caller.
 */
static bool
WriterIsOurs(void)
{
	Oid			writer = LedgerWriter();

	return superuser_arg(writer) ||
		writer == get_role_oid("llm_audit_definer", true) ||
		writer == get_role_oid("llm_audit_owner", true);
}

/*
 * A writer's word that text was examined counts for nothing: PolicyApply
 * says what it has examined itself.  A call whose text was withheld stays so:
 * that says that nothing was stored, not that something was looked at.
 */
static void
ValidateCall(const Segment *seg, Datum *values, bool *nulls)
{
	AttrNumber	status = seg->role_attrs[ROLE_ATTR_MASKING_STATUS];
	AttrNumber	unexamined[] = {
		seg->role_attrs[ROLE_ATTR_MASKING_VERSION],
		seg->role_attrs[ROLE_ATTR_PII_FOUND],
		seg->role_attrs[ROLE_ATTR_PII_COUNTS],
		seg->role_attrs[ROLE_ATTR_PII_FIELDS]
	};

	for (int i = 0; i < lengthof(unexamined); i++)
	{
		if (unexamined[i] != InvalidAttrNumber)
			nulls[unexamined[i] - 1] = true;
	}
	if (status == InvalidAttrNumber ||
		(!nulls[status - 1] && TextIs(values[status - 1], "withheld")))
		return;
	values[status - 1] = CStringGetTextDatum("not_examined");
	nulls[status - 1] = false;
}

/*
 * What an incident freezes must not go in a purge that began without knowing
 * of it: whoever reports one waits for the purge, as whoever places a hold
 * does, and a purge waits for who has reported.  Before a lane is locked, so
 * that the purge can record what it did.
 */
static void
LockForIncident(Datum action)
{
	if (TextIs(action, "incident.reported") ||
		TextIs(action, "incident.reopened"))
		LockRelationOid(ConfigTableOid("legal_hold"), RowExclusiveLock);
}

/*
 * An action decides its category and whether it is high-risk; a high-risk
 * one needs a reason.
 */
static void
ValidateAdminEvent(const Segment *seg, Datum *values, bool *nulls)
{
	AttrNumber	action = seg->role_attrs[ROLE_ATTR_ACTION];
	AttrNumber	category = seg->role_attrs[ROLE_ATTR_CATEGORY];
	AttrNumber	high_risk = seg->role_attrs[ROLE_ATTR_HIGH_RISK];
	AttrNumber	reason = seg->role_attrs[ROLE_ATTR_REASON];
	AttrNumber	fields = seg->role_attrs[ROLE_ATTR_PII_FIELDS];
	text	   *name;
	char	   *type_category;
	bool		type_risk;

	if (fields != InvalidAttrNumber)
		nulls[fields - 1] = true;	/* what was found, PolicyApply says */
	if (nulls[action - 1])
		return;					/* NOT NULL says it better */
	name = DatumGetTextPP(values[action - 1]);
	if (ActionIsOwn(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)) &&
		!WriterIsOurs())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("value of column \"%s\" is an action that llm_audit itself records",
						"action"),
				 errhint("Register an action of your own in llm_audit.action_type.")));
	if (ActionTypeLookup(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name),
						 &type_category, &type_risk))
	{
		values[category - 1] = CStringGetTextDatum(type_category);
		nulls[category - 1] = false;
	}
	else if (llm_audit_allow_unknown_actions)
		type_risk = false;
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value of column \"%s\" is not a registered action",
						"action"),
				 errhint("Register it in llm_audit.action_type, or set \"%s\".",
						 "llm_audit.allow_unknown_actions")));
	LockForIncident(values[action - 1]);

	if (nulls[high_risk - 1] || type_risk)
		values[high_risk - 1] = BoolGetDatum(type_risk);
	nulls[high_risk - 1] = false;
	if (DatumGetBool(values[high_risk - 1]) &&
		(nulls[reason - 1] || TextIsBlank(values[reason - 1])))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("a high-risk action needs a value in column \"%s\"",
						"reason")));
}

bool		LedgerMayWriteAccessLog = false;
bool		LedgerIsOwnWorker = false;
void		(*ledger_read_hook) (Oid root, const char *command) = NULL;

static Oid	copy_writer = InvalidOid;

Oid
LedgerSetCopyWriter(Oid writer)
{
	Oid			before = copy_writer;

	copy_writer = writer;
	return before;
}

Oid
LedgerWriter(void)
{
	Oid			user = GetUserId();

	if (OidIsValid(copy_writer) &&
		user == get_role_oid("llm_audit_copier", true))
		return copy_writer;
	return user;
}

/* The access log says what happened only if nobody else can write to it. */
static void
ValidateAccessLog(const Segment *seg)
{
	if (!LedgerMayWriteAccessLog)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("ledger \"%s\" is written by the access writer of llm_audit only",
						NameStr(seg->ledger_name))));
}

/*
 * Only a purge says what was purged: a receipt explains to verify why rows
 * are not there.
 */
static void
ValidateReceipt(const Segment *seg)
{
	if (PermitCurrent() != PERMIT_PURGE)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("rows of ledger \"%s\" are written by llm_audit.purge() only",
						NameStr(seg->ledger_name))));
}

/*
 * Likewise for what was erased; that a rewrite has completed it explains
 * nothing.
 */
static void
ValidateErasure(const Segment *seg, const Datum *values, const bool *nulls)
{
	int			stage = seg->role_attrs[ROLE_ATTR_STAGE] - 1;
	text	   *name;

	if (PermitCurrent() == PERMIT_ERASE)
		return;
	if (stage < 0 || nulls[stage])
		return;
	name = DatumGetTextPP(values[stage]);
	if (VARSIZE_ANY_EXHDR(name) == strlen("completed") &&
		memcmp(VARDATA_ANY(name), "completed", strlen("completed")) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("rows of ledger \"%s\" are written by functions of llm_audit that erase only",
					NameStr(seg->ledger_name))));
}

/* Likewise for what became of segments. */
static void
ValidateSegmentEvent(const Segment *seg)
{
	if (PermitCurrent() != PERMIT_SEGMENT_EVENT)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("rows of ledger \"%s\" are written by functions of llm_audit that make, close or purge segments only",
						NameStr(seg->ledger_name))));
}

void
RowValidate(const Segment *seg, Datum *values, bool *nulls)
{
	if (seg->role == ROLE_LLM_CALL)
		ValidateCall(seg, values, nulls);
	else if (seg->role == ROLE_ADMIN_EVENT)
		ValidateAdminEvent(seg, values, nulls);
	else if (seg->role == ROLE_ACCESS_LOG)
		ValidateAccessLog(seg);
	else if (seg->role == ROLE_PURGE_RECEIPT)
		ValidateReceipt(seg);
	else if (seg->role == ROLE_ERASE_RECEIPT)
		ValidateErasure(seg, values, nulls);
	else if (seg->role == ROLE_SEGMENT_EVENT)
		ValidateSegmentEvent(seg);
}
