/*
 * findings.c
 *	  Calling the scanner, and adding up what it finds.
 *
 * Known values and attached findings belong to the transaction: they live in
 * its memory and are forgotten when it ends.  A subtransaction that is rolled
 * back leaves them: masking more than was asked for does no harm.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "policy/scan.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/json.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(llm_audit_set_known_values);

#define BIT(entity) (UINT64CONST(1) << (entity))

/* Data of cards and accounts, which falls under banking secrecy. */
#define BANKING_ENTITIES \
	(BIT(MASK_CREDIT_CARD) | BIT(MASK_IBAN_CODE) | BIT(MASK_US_BANK_NUMBER))

/* Secrets of systems, which say nothing about a person. */
#define SECRET_ENTITIES \
	(BIT(MASK_URL_CREDENTIALS) | BIT(MASK_API_KEY) | BIT(MASK_ACCESS_TOKEN) | \
	 BIT(MASK_JWT) | BIT(MASK_PRIVATE_KEY) | BIT(MASK_AUTHORIZATION) | \
	 BIT(MASK_PASSWORD) | BIT(MASK_SECRET))

/* Identifiers by which somebody may look for a call. */
#define TOKEN_ENTITIES \
	(BIT(MASK_CREDIT_CARD) | BIT(MASK_IBAN_CODE) | BIT(MASK_KZ_IIN) | \
	 BIT(MASK_KZ_BIN) | BIT(MASK_RU_INN) | BIT(MASK_RU_SNILS) | \
	 BIT(MASK_US_SSN) | BIT(MASK_US_ITIN) | BIT(MASK_US_PASSPORT) | \
	 BIT(MASK_RU_PASSPORT) | BIT(MASK_KZ_DOCUMENT) | \
	 BIT(MASK_US_DRIVER_LICENSE) | BIT(MASK_US_BANK_NUMBER) | \
	 BIT(MASK_NATIONAL_ID) | BIT(MASK_PHONE_NUMBER) | \
	 BIT(MASK_EMAIL_ADDRESS) | BIT(MASK_CRYPTO) | BIT(MASK_KNOWN_VALUE))

/* What stands in pii_fields for the texts that go with a call. */
#define CONTENT_FIELD "content"

typedef struct AttachedFindings
{
	pg_uuid_t	call_id;		/* hash key */
	PolicyFindings findings;
} AttachedFindings;

static List *transaction_known = NIL;
static HTAB *attached = NULL;

/* ---------------- the scanner ---------------- */

static void *
ScanAlloc(void *arg, size_t size)
{
	return MemoryContextAllocExtended(CurrentMemoryContext, size,
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
}

static void
ScanRelease(void *arg, void *chunk)
{
	pfree(chunk);
}

void
SetScanOptions(MaskOptions *options, const KnownValues *known)
{
	memset(options, 0, sizeof(*options));
	options->allocator.alloc = ScanAlloc;
	options->allocator.release = ScanRelease;
	if (known != NULL)
	{
		options->known = known->values;
		options->known_count = known->count;
	}
}

bool
EntityHasToken(MaskEntity entity)
{
	return entity >= MASK_ENTITY_CUSTOM ||
		(BIT(entity) & TOKEN_ENTITIES) != 0;
}

char *
TokenOf(int which, MaskEntity entity, const MaskValue *value)
{
	char	   *normal = palloc(value->len + 16);
	size_t		len = MaskNormalize(entity, value->text, value->len, normal);

	return len == 0 ? NULL : PolicyToken(which, normal, len);
}

/* Adds a token, unless the list has it or is full. */
static void
AddToken(PolicyFindings *findings, MaskEntity entity, char *token)
{
	FoundToken *found;
	ListCell   *lc;

	if (list_length(findings->tokens) >= FOUND_TOKENS_MAX)
		return;
	foreach(lc, findings->tokens)
	{
		if (strcmp(((FoundToken *) lfirst(lc))->token, token) == 0)
			return;
	}
	found = palloc(sizeof(FoundToken));
	found->entity = entity;
	found->token = pstrdup(token);
	findings->tokens = lappend(findings->tokens, found);
}

/* Keeps the token of an identifier that the scanner has found. */
static void
KeepToken(void *arg, MaskEntity entity, const char *value, size_t len)
{
	PolicyFindings *findings = arg;
	MaskValue	found = {value, len};
	char	   *token;

	if (!EntityHasToken(entity) ||
		list_length(findings->tokens) >= FOUND_TOKENS_MAX)
		return;
	token = TokenOf(0, entity, &found);
	if (token != NULL)
		AddToken(findings, entity, token);
}

void
FindingsWatch(PolicyFindings *findings, MaskOptions *options)
{
	options->found = KeepToken;
	options->found_arg = findings;
}

void
FindingsAdd(PolicyFindings *findings, const MaskValue *text,
			const MaskResult *result)
{
	findings->examined = true;
	if (result->status == MASK_NO_MEMORY)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Failed while masking a text of %zu bytes.",
						   text->len)));
	if (result->status == MASK_WITHHELD)
		findings->withheld = true;
	if (result->status != MASK_MASKED)
		return;
	if (result->cut)
	{
		findings->withheld = true;
		FindingsNote(findings, FIELD_WITHHELD, 1);
	}
	for (int i = 0; i < MASK_ENTITY_ROOM; i++)
	{
		findings->counts[i] += result->counts[i];
		FindingsNote(findings, i, result->counts[i]);
	}
}

void
FindingsNote(PolicyFindings *findings, int what, uint32 count)
{
	FieldFinding *noted;
	ListCell   *lc;

	if (count == 0 || findings->field == NULL)
		return;
	foreach(lc, findings->fields)
	{
		noted = lfirst(lc);
		if (noted->what == what && strcmp(noted->field, findings->field) == 0)
		{
			noted->count += count;
			return;
		}
	}
	noted = palloc(sizeof(FieldFinding));
	noted->field = findings->field;
	noted->what = what;
	noted->count = count;
	findings->fields = lappend(findings->fields, noted);
}

void
PolicyExamine(const char *data, size_t len, const Datum *known_values,
			  PolicyFindings *findings)
{
	const RuleSet *rules = RulesCurrent();
	RuleSearch	search;
	MaskOptions options;
	MaskResult	result = {0};
	MaskValue	value = {data, len};
	KnownValues known;

	KnownCollect(&known, known_values);
	SetScanOptions(&options, &known);
	RulesWatch(&search, rules, RulesForContent(rules), true, &options);
	FindingsWatch(findings, &options);
	result.status = MaskDocument(&options, data, len, &result);
	FindingsAdd(findings, &value, &result);
	if (result.text)
		pfree(result.text);
}

/* ---------------- what was found ---------------- */

bool
FindingsAny(const PolicyFindings *findings)
{
	uint32		any = 0;

	for (int i = 0; i < MASK_ENTITY_ROOM; i++)
		any |= findings->counts[i];
	return any != 0;
}

/* Adds the findings of more to findings. */
static void
FindingsMerge(PolicyFindings *findings, const PolicyFindings *more)
{
	ListCell   *lc;

	findings->examined |= more->examined;
	findings->withheld |= more->withheld;
	for (int i = 0; i < MASK_ENTITY_ROOM; i++)
		findings->counts[i] += more->counts[i];
	foreach(lc, more->tokens)
	{
		FoundToken *found = lfirst(lc);

		AddToken(findings, found->entity, found->token);
	}
}

Datum
FindingsToJsonb(const PolicyFindings *findings)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	for (int i = 0; i < MASK_ENTITY_ROOM; i++)
	{
		if (findings->counts[i] == 0)
			continue;
		if (buf.len > 1)
			appendStringInfoChar(&buf, ',');
		appendStringInfo(&buf, "\"%s\":%u", EntityName(i),
						 findings->counts[i]);
	}
	appendStringInfoChar(&buf, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(buf.data));
}

/* The name of a finding in pii_fields. */
static const char *
FindingName(int what)
{
	switch (what)
	{
		case FIELD_WITHHELD:
			return "withheld";
		case FIELD_DROPPED:
			return "dropped";
		case FIELD_REDACTED:
			return "redacted";
		default:
			return EntityName(what);
	}
}

Datum
FindingsFieldsToJsonb(const PolicyFindings *findings)
{
	StringInfoData buf;
	const char *field = NULL;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, findings->fields)
	{
		FieldFinding *noted = lfirst(lc);

		if (field == NULL || strcmp(field, noted->field) != 0)
		{
			field = noted->field;
			appendStringInfoString(&buf, buf.len == 0 ? "{" : "},");
			escape_json(&buf, field);
			appendStringInfoString(&buf, ":{");
		}
		else
			appendStringInfoChar(&buf, ',');
		appendStringInfo(&buf, "\"%s\":%u", FindingName(noted->what),
						 noted->count);
	}
	appendStringInfoString(&buf, buf.len == 0 ? "{}" : "}}");
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(buf.data));
}

/* Data classes, from the least. */
static const char *const classes[] = {
	"public", "internal", "personal", "banking_secrecy"
};

int
DataClassRank(const char *data_class)
{
	for (int i = 0; i < lengthof(classes); i++)
	{
		if (strcmp(classes[i], data_class) == 0)
			return i;
	}
	return 0;
}

const char *
FindingsDataClass(const PolicyFindings *findings, const char *data_class)
{
	int			has = DataClassRank(data_class);
	int			needs = 0;

	for (int i = 0; i < MASK_ENTITY_ROOM; i++)
	{
		if (findings->counts[i] == 0)
			continue;
		if (i >= MASK_ENTITY_CUSTOM)
			needs = Max(needs, EntityClass(i));
		else if (BIT(i) & BANKING_ENTITIES)
			needs = 3;
		else if (BIT(i) & SECRET_ENTITIES)
			needs = Max(needs, 1);
		else
			needs = Max(needs, 2);
	}
	return needs > has ? classes[needs] : NULL;
}

/* ---------------- findings for a row to come ---------------- */

/* Forgets what belonged to the transaction; its memory is gone. */
static void
TransactionEnded(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PREPARE:
			transaction_known = NIL;
			attached = NULL;
			break;
		default:
			break;
	}
}

/* Has TransactionEnded called, from the first use on. */
static void
WatchTransaction(void)
{
	static bool watching = false;

	if (!watching)
		RegisterXactCallback(TransactionEnded, NULL);
	watching = true;
}

void
PolicyAttach(const pg_uuid_t *call_id, const PolicyFindings *findings)
{
	AttachedFindings *entry;
	PolicyFindings tokens = {0};
	MemoryContext old;
	bool		found;

	WatchTransaction();
	if (attached == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(pg_uuid_t);
		ctl.entrysize = sizeof(AttachedFindings);
		ctl.hcxt = TopTransactionContext;
		attached = hash_create("llm_audit findings", 64, &ctl,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	entry = hash_search(attached, call_id, HASH_ENTER, &found);
	if (!found)
		memset(&entry->findings, 0, sizeof(entry->findings));
	entry->findings.examined |= findings->examined;
	entry->findings.withheld |= findings->withheld;
	for (int i = 0; i < MASK_ENTITY_ROOM; i++)
		entry->findings.counts[i] = Max(entry->findings.counts[i],
										findings->counts[i]);
	tokens.tokens = findings->tokens;
	old = MemoryContextSwitchTo(TopTransactionContext);
	FindingsMerge(&entry->findings, &tokens);
	MemoryContextSwitchTo(old);
}

bool
PolicyAttached(const pg_uuid_t *call_id, PolicyFindings *findings)
{
	AttachedFindings *entry;

	if (attached == NULL)
		return false;
	entry = hash_search(attached, call_id, HASH_FIND, NULL);
	if (entry == NULL)
		return false;
	FindingsMerge(findings, &entry->findings);
	findings->field = CONTENT_FIELD;
	for (int i = 0; i < MASK_ENTITY_ROOM; i++)
		FindingsNote(findings, i, entry->findings.counts[i]);
	FindingsNote(findings, FIELD_WITHHELD, entry->findings.withheld ? 1 : 0);
	return true;
}

/* ---------------- known values ---------------- */

/* Appends the elements of a text[] that are not null, detoasted. */
static List *
KnownAppend(List *list, ArrayType *array)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			list = lappend(list, DatumGetTextPCopy(elements[i]));
	}
	return list;
}

void
KnownCollect(KnownValues *known, const Datum *column)
{
	List	   *list = transaction_known;
	ListCell   *lc;

	known->values = NULL;
	known->count = 0;
	if (column != NULL)
		list = KnownAppend(list_copy(list), DatumGetArrayTypeP(*column));
	if (list == NIL)
		return;
	known->values = palloc(sizeof(MaskValue) * list_length(list));
	foreach(lc, list)
	{
		text	   *value = lfirst(lc);

		known->values[known->count].text = VARDATA_ANY(value);
		known->values[known->count].len = VARSIZE_ANY_EXHDR(value);
		known->count++;
	}
}

/*
 * llm_audit.set_known_values(known text[])
 *		Adds values to be masked wherever they occur until the transaction
 *		ends.  Nulls are passed over.
 */
Datum
llm_audit_set_known_values(PG_FUNCTION_ARGS)
{
	ArrayType  *known = PG_GETARG_ARRAYTYPE_P(0);
	MemoryContext old;

	WatchTransaction();
	LogHideStatement();
	old = MemoryContextSwitchTo(TopTransactionContext);
	transaction_known = KnownAppend(transaction_known, known);
	MemoryContextSwitchTo(old);
	PG_RETURN_VOID();
}
