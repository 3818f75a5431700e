/*
 * function.c
 *	  SQL functions of the policy room, and its settings.
 */
#include "postgres.h"

#include <limits.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "policy/encrypt.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(llm_audit_mask);
PG_FUNCTION_INFO_V1(llm_audit_detect);
PG_FUNCTION_INFO_V1(llm_audit_pseudonym);
PG_FUNCTION_INFO_V1(llm_audit_key_ids);
PG_FUNCTION_INFO_V1(llm_audit_compute_tokens);
PG_FUNCTION_INFO_V1(llm_audit_pattern_exists);
PG_FUNCTION_INFO_V1(llm_audit_hide_statement);

/* Read by SQL functions, as settings. */
static char *llm_audit_reason = NULL;
static int	llm_audit_match_token_limit = 100;

/*
 * Rules that are for any text, and terms for those who may know of them:
 * others could find out who is in a dictionary by asking.
 */
static void
WatchForCaller(RuleSearch *search, MaskOptions *options)
{
	static const char *const roles[] = {
		"llm_audit_writer", "llm_audit_admin", "llm_audit_security",
		"llm_audit_compliance", "llm_audit_auditor"
	};
	const RuleSet *rules = RulesCurrent();
	bool		allowed = superuser();

	for (int i = 0; i < lengthof(roles) && !allowed; i++)
	{
		Oid			role = get_role_oid(roles[i], true);

		allowed = OidIsValid(role) && has_privs_of_role(GetUserId(), role);
	}
	RulesWatch(search, rules, RulesForAnything(rules), allowed, options);
}

/*
 * llm_audit.mask(value text) → text
 *		The value as a masked column would store it; "<WITHHELD>" if it cannot
 *		be masked.
 */
Datum
llm_audit_mask(PG_FUNCTION_ARGS)
{
	text	   *value = PG_GETARG_TEXT_PP(0);
	MaskValue	string = {VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};
	PolicyFindings findings = {0};
	MaskOptions options;
	MaskResult	result = {0};
	RuleSearch	search;
	KnownValues known;

	KnownCollect(&known, NULL);
	SetScanOptions(&options, &known);
	WatchForCaller(&search, &options);
	result.status = MaskDocument(&options, string.text, string.len, &result);
	FindingsAdd(&findings, &string, &result);
	if (result.status == MASK_WITHHELD)
		PG_RETURN_TEXT_P(cstring_to_text(WITHHELD_TEXT));
	if (result.status != MASK_MASKED)
		PG_RETURN_TEXT_P(value);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(result.text, result.len));
}

/* Appends one finding; byte positions for its form, characters for the row. */
static void
PutHit(ReturnSetInfo *rsinfo, const char *text, const MaskHit *bytes,
	   const MaskHit *characters)
{
	char		form[MASK_FORM_MAX];
	size_t		len = MaskForm(text, bytes, form);
	Datum		values[5];
	bool		nulls[5] = {false};

	values[0] = CStringGetTextDatum(EntityName(bytes->entity));
	values[1] = Int32GetDatum((int32) characters->start);
	values[2] = Int32GetDatum((int32) characters->end);
	values[3] = Float4GetDatum(bytes->score);
	values[4] = PointerGetDatum(cstring_to_text_with_len(form, len));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * llm_audit.detect(value text) → TABLE (entity text, start_pos int,
 *		end_pos int, score real, masked text)
 *		What mask() would mask in a plain text, by position in characters.
 *		What it would withhold is one finding, WITHHELD.
 */
Datum
llm_audit_detect(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	text	   *value = PG_GETARG_TEXT_PP(0);
	char	   *data = VARDATA_ANY(value);
	size_t		len = VARSIZE_ANY_EXHDR(value);
	MaskOptions options;
	MaskStatus	status;
	MaskHit    *hits = NULL;
	MaskHit    *characters;
	MaskHit		whole = {.entity = MASK_ENTITY_REST,.score = 1};
	size_t		count = 0;
	RuleSearch	search;
	KnownValues known;

	InitMaterializedSRF(fcinfo, 0);
	KnownCollect(&known, NULL);
	SetScanOptions(&options, &known);
	WatchForCaller(&search, &options);
	status = MaskFind(&options, data, len, &hits, &count);
	if (status == MASK_NO_MEMORY)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	if (status == MASK_WITHHELD)
	{
		whole.end = len;
		hits = &whole;
		count = 1;
	}
	else if (status != MASK_MASKED)
		return (Datum) 0;
	characters = palloc(count * sizeof(MaskHit));
	memcpy(characters, hits, count * sizeof(MaskHit));
	MaskCharPositions(data, len, characters, count);
	for (size_t i = 0; i < count; i++)
		PutHit(rsinfo, data, &hits[i], &characters[i]);
	return (Datum) 0;
}

/*
 * llm_audit.pseudonym(value text, kind text) → text[]
 *		The pseudonyms of a value, one for each live key, the current first.
 *		kind is the name of the column that holds it.  Error F0000 if there is
 *		no key.
 */
Datum
llm_audit_pseudonym(PG_FUNCTION_ARGS)
{
	text	   *value = PG_GETARG_TEXT_PP(0);
	char	   *kind = text_to_cstring(PG_GETARG_TEXT_PP(1));
	ArrayBuildState *result = NULL;
	char	   *pseudonym;

	for (int i = 0;
		 (pseudonym = PolicyPseudonym(i, kind, VARDATA_ANY(value),
									  VARSIZE_ANY_EXHDR(value))) != NULL;
		 i++)
		result = accumArrayResult(result, CStringGetTextDatum(pseudonym), false,
								  TEXTOID, CurrentMemoryContext);
	if (result == NULL)
		RefuseWithoutKey("there is no key to hash with");
	PG_RETURN_DATUM(makeArrayResult(result, CurrentMemoryContext));
}

/*
 * llm_audit.key_ids() → text[]
 *		The ids of the live keys, the current one first.  Error F0000 if there
 *		is none, or if the key file cannot be used.
 */
Datum
llm_audit_key_ids(PG_FUNCTION_ARGS)
{
	int			count = PolicyKeyCount();
	Datum	   *ids = palloc(sizeof(Datum) * Max(count, 1));

	if (count == 0)
		RefuseWithoutKey("there is no key to hash with");
	for (int i = 0; i < count; i++)
		ids[i] = CStringGetTextDatum(PolicyKeyId(i));
	PG_RETURN_ARRAYTYPE_P(construct_array(ids, count, TEXTOID, -1, false,
										  TYPALIGN_INT));
}

/* True if the array has the text. */
static bool
HasText(const ArrayBuildState *array, const char *wanted)
{
	for (int i = 0; array != NULL && i < array->nelems; i++)
	{
		text	   *element = DatumGetTextPP(array->dvalues[i]);

		if (VARSIZE_ANY_EXHDR(element) == strlen(wanted) &&
			memcmp(VARDATA_ANY(element), wanted, strlen(wanted)) == 0)
			return true;
	}
	return false;
}

/* Adds the tokens of a value taken as an entity, under all live keys. */
static ArrayBuildState *
AddTokens(ArrayBuildState *result, MaskEntity entity, const MaskValue *value)
{
	char	   *token;

	for (int i = 0; (token = TokenOf(i, entity, value)) != NULL; i++)
	{
		if (!HasText(result, token))
			result = accumArrayResult(result, CStringGetTextDatum(token), false,
									  TEXTOID, CurrentMemoryContext);
	}
	return result;
}

/*
 * llm_audit.compute_tokens(value text, entity text) → text[]
 *		The match tokens of a value, under all live keys, the current first;
 *		without an entity, those of every kind that it may be.  Errors: 22023
 *		for a kind that has no tokens.
 */
Datum
llm_audit_compute_tokens(PG_FUNCTION_ARGS)
{
	text	   *value;
	MaskValue	string;
	char	   *wanted;
	ArrayBuildState *result = NULL;
	bool		known = false;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	value = PG_GETARG_TEXT_PP(0);
	string.text = VARDATA_ANY(value);
	string.len = VARSIZE_ANY_EXHDR(value);
	wanted = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	RulesCurrent();
	for (int i = 0; i < MASK_ENTITY_ROOM; i++)
	{
		if ((i >= MASK_ENTITY_COUNT && i < MASK_ENTITY_CUSTOM) ||
			!EntityHasToken(i) || *EntityName(i) == '\0' ||
			(wanted != NULL && strcmp(wanted, EntityName(i)) != 0))
			continue;
		known = true;
		result = AddTokens(result, i, &string);
	}
	if (!known)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there are no match tokens of that entity")));
	if (result == NULL)
		PG_RETURN_ARRAYTYPE_P(construct_empty_array(TEXTOID));
	PG_RETURN_DATUM(makeArrayResult(result, CurrentMemoryContext));
}

/* llm_audit.hide_statement(): the statement's text leaves pg_stat_activity. */
Datum
llm_audit_hide_statement(PG_FUNCTION_ARGS)
{
	LogHideStatement();
	PG_RETURN_VOID();
}

/* llm_audit.pattern_exists(name text) → boolean: is it one of the named? */
Datum
llm_audit_pattern_exists(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));

	PG_RETURN_BOOL(PatternByName(name) != NULL);
}

/* Keys that were read under another setting are not used any more. */
static void
KeySettingAssigned(const char *newval, void *extra)
{
	llm_audit_key_settings++;
}

/* The settings of encryption at rest. */
static void
DefineEncryptionSettings(void)
{
	DefineCustomStringVariable("llm_audit.key_directory",
							   "Directory of the data keys that encrypt values at rest, each wrapped.",
							   "It must have mode 0700 and lie outside the data directory and its backups; a relative path starts at the data directory.",
							   &llm_audit_key_directory, "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY,
							   NULL, KeySettingAssigned, NULL);
}

void
PolicyInit(void)
{
	DefineEncryptionSettings();
	DefineCustomBoolVariable("llm_audit.masking",
							 "Applies the field policies to every new row, and keeps values out of the log.",
							 "Off: rows are stored as they are written, and calls say masking_status = not_examined.",
							 &llm_audit_masking, true,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("llm_audit.key_file",
							   "File with the keys of pseudonyms and tokens.",
							   "One key a line, \"keyid base64key\", the current one first. It belongs outside the data directory and its backups; a relative path starts at the data directory.",
							   &llm_audit_key_file, "",
							   PGC_SUSET, GUC_SUPERUSER_ONLY,
							   NULL, NULL, NULL);
	DefineCustomStringVariable("llm_audit.reason",
							   "Why audit data is read or an identifier is searched for; recorded.",
							   "Use SET LOCAL: behind a pooler, a session's setting becomes the next user's.",
							   &llm_audit_reason, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("llm_audit.match_token_limit",
							"How many searches by identifier a user may make in an hour.",
							NULL,
							&llm_audit_match_token_limit, 100, 0, INT_MAX,
							PGC_SUSET, 0, NULL, NULL, NULL);
	RuleInit();
	LogInit();
}
