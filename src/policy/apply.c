/*
 * apply.c
 *	  The insert trigger's step between validating and stamping: each value
 *	  of a row becomes what its field policy lets be stored.
 *
 * Values that are fine as they are stay the very datums that came in.  The
 * last such value of each column is remembered, since most machine values of
 * a gateway are those of the row before.
 */
#include "postgres.h"

#include <sys/socket.h>

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "policy/encrypt.h"
#include "regex/regex.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/inet.h"
#include "utils/jsonb.h"

bool		PolicyTakesInputDigest = false;

/* The row being worked on. */
typedef struct ApplyState
{
	const Segment *seg;
	LedgerPlan *plan;
	FieldPlan  *field;
	const KnownValues *known;
	PolicyFindings *findings;
	bool		human;			/* actor_type says so, or there is none */
	bool		fine;			/* the last value was, under a policy of keep */
	int			key;			/* the live key to hash with */
} ApplyState;

/* Refuses a value that its policy does not let in. */
static void
RejectValue(const ApplyState *state)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("value of column \"%s\" of ledger \"%s\" is refused by its field policy",
					NameStr(state->field->name), NameStr(state->seg->ledger_name)),
			 errhint("The policy of the column is in llm_audit.field_policy.")));
}

/* The text without what only fills up a char(n). */
static MaskValue
ValueOf(const FieldPlan *field, const text *value)
{
	MaskValue	result = {VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};

	while (field->base_type == BPCHAROID && result.len > 0 &&
		   result.text[result.len - 1] == ' ')
		result.len--;
	return result;
}

/* Makes a datum of the field's element type, within its declared length. */
static Datum
MakeText(const FieldPlan *field, const char *data, size_t len)
{
	Datum		value = PointerGetDatum(cstring_to_text_with_len(data, len));

	if (field->typmod < 0)
		return value;
	if (field->base_type == VARCHAROID)
		return DirectFunctionCall3(varchar, value, Int32GetDatum(field->typmod),
								   BoolGetDatum(true));
	if (field->base_type == BPCHAROID)
		return DirectFunctionCall3(bpchar, value, Int32GetDatum(field->typmod),
								   BoolGetDatum(true));
	return value;
}

/*
 * A constant in place of a value: "<REDACTED>", or {"redacted": true} in
 * JSON.
 */
static Datum
MakeConstant(const FieldPlan *field, const char *word)
{
	char		constant[64];

	switch (field->kind)
	{
		case KIND_JSON:
		case KIND_JSONB:
			snprintf(constant, sizeof(constant), "{\"%s\": true}",
					 strcmp(word, WITHHELD_TEXT) == 0 ? "withheld" : "redacted");
			if (field->kind == KIND_JSONB)
				return DirectFunctionCall1(jsonb_in, CStringGetDatum(constant));
			return CStringGetTextDatum(constant);
		default:
			return MakeText(field, word, strlen(word));
	}
}

/* What stands for a value that could not be masked. */
static Datum
WithholdValue(ApplyState *state, bool *isnull)
{
	state->findings->withheld = true;
	FindingsNote(state->findings, FIELD_WITHHELD, 1);
	*isnull = !state->field->required && !state->field->is_array;
	return *isnull ? (Datum) 0 : MakeConstant(state->field, WITHHELD_TEXT);
}

/* jsonb of a masked text; false if it is none, which it should always be. */
static bool
JsonbFromText(const char *data, size_t len, Datum *result)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool fine = true;

	PG_TRY();
	{
		*result = DirectFunctionCall1(jsonb_in,
									  CStringGetDatum(pnstrdup(data, len)));
	}
	PG_CATCH();
	{
		/* its error would quote the document */
		if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_DATA_EXCEPTION &&
			geterrcode() != ERRCODE_STATEMENT_TOO_COMPLEX)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		fine = false;
	}
	PG_END_TRY();
	return fine;
}

/*
 * True if masked JSON has outgrown what the column takes: a form may be
 * longer than what it stands for, and the row must not be refused for that.
 */
static bool
IsTooLong(const FieldPlan *field, Datum value)
{
	Jsonb	   *jsonb = DatumGetJsonbP(value);

	return field->max_len > 0 &&
		strlen(JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb))) > field->max_len;
}

/* What the scanner has to look for in the field, beside what it knows. */
static void
SetFieldOptions(const ApplyState *state, RuleSearch *search,
				MaskOptions *options)
{
	const FieldPlan *field = state->field;

	SetScanOptions(options, field->fixed ? NULL : state->known);
	RulesWatch(search, state->plan->rules, field->rules, field->terms, options);
}

/* Masks a text, or JSON as text; returns value if nothing was found. */
static Datum
MaskString(ApplyState *state, Datum value, const MaskValue *string,
		   bool *isnull)
{
	FieldPlan  *field = state->field;
	RuleSearch	search;
	MaskOptions options;
	MaskResult	result = {0};

	SetFieldOptions(state, &search, &options);
	FindingsWatch(state->findings, &options);
	options.context = NameStr(field->name);
	options.context_len = strlen(options.context);
	if (field->kind == KIND_TEXT || field->kind == KIND_BYTEA)
		result.status = MaskDocument(&options, string->text, string->len, &result);
	else
		result.status = MaskJson(&options, string->text, string->len, &result);
	FindingsAdd(state->findings, string, &result);
	if (result.status == MASK_WITHHELD)
		return WithholdValue(state, isnull);
	if (result.status != MASK_MASKED)
		return value;
	if (field->kind != KIND_JSONB)
		return MakeText(field, result.text, result.len);
	if (!JsonbFromText(result.text, result.len, &value) ||
		IsTooLong(field, value))
		return WithholdValue(state, isnull);
	return value;
}

/* Masks a value of any kind. */
static Datum
MaskField(ApplyState *state, Datum value, bool *isnull)
{
	FieldPlan  *field = state->field;
	MaskValue	string;

	if (field->kind == KIND_INET)
		return value;
	if (field->sensitive)
	{
		state->findings->examined = true;
		state->findings->counts[MASK_SECRET]++;
		FindingsNote(state->findings, MASK_SECRET, 1);
		return MakeConstant(field, REDACTED_TEXT);
	}
	if (field->kind == KIND_JSONB)
	{
		Jsonb	   *jsonb = DatumGetJsonbP(value);

		string.text = JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
		string.len = strlen(string.text);
	}
	else
		string = ValueOf(field, DatumGetTextPP(value));
	if (field->kind == KIND_BYTEA &&
		!pg_verify_mbstr(PG_UTF8, string.text, string.len, true))
		return WithholdValue(state, isnull);
	return MaskString(state, value, &string, isnull);
}

/* Replaces a text by its keyed pseudonym. */
static Datum
HashField(const ApplyState *state, Datum value)
{
	const FieldPlan *field = state->field;
	MaskValue	string = ValueOf(field, DatumGetTextPP(value));
	char	   *pseudonym;

	if (string.len == 0 || PolicyIsPseudonym(string.text, string.len))
		return value;
	pseudonym = PolicyPseudonym(state->key, field->hash_kind, string.text,
								string.len);
	if (pseudonym == NULL)
		RefuseWithoutKey(psprintf("column \"%s\" of ledger \"%s\" must be hashed, but there is no key",
								  NameStr(field->name),
								  NameStr(state->seg->ledger_name)));
	return MakeText(field, pseudonym, strlen(pseudonym));
}

/* An address without what tells one subscriber from another: /24 or /48. */
static Datum
TruncateAddress(Datum value)
{
	inet	   *address = DatumGetInetPP(value);
	int			bits = ip_family(address) == PGSQL_AF_INET ? 24 : 48;

	if (ip_bits(address) <= bits)
		return DirectFunctionCall1(inet_to_cidr, value);
	return DirectFunctionCall1(inet_to_cidr,
							   DirectFunctionCall2(inet_set_masklen, value,
												   Int32GetDatum(bits)));
}

/* True if the value has the form that its policy asks for. */
static bool
HasForm(const FieldPlan *field, Datum value, const MaskValue *string)
{
	if (field->pattern != NULL)
		return PatternMatches(field->pattern, string->text, string->len);
	if (field->regex == NULL)
		return true;
	return RE_compile_and_execute(field->regex, unconstify(char *, string->text),
								  string->len, REG_ADVANCED | REG_NOSUB,
								  C_COLLATION_OID, 0, NULL);
}

/* True if the scanner finds nothing in a machine value. */
static bool
IsHarmless(ApplyState *state, const MaskValue *string)
{
	const FieldPlan *field = state->field;
	RuleSearch	search;
	MaskOptions options;
	MaskResult	result = {0};
	bool		wanted = (state->known->count > 0 && !field->fixed) ||
	field->rules != 0 || field->terms;

	SetFieldOptions(state, &search, &options);
	if (field->pattern != NULL)
		options.disabled = PatternDisabled(field->pattern, string->text, string->len);
	if (options.disabled == ~UINT64CONST(0) && !wanted)
		return true;
	options.disabled &= ~(UINT64CONST(1) << MASK_KNOWN_VALUE);
	/* what is masked in consequence is counted then */
	if (field->on_violation == FIELD_HASH)
		FindingsWatch(state->findings, &options);
	result.status = MaskText(&options, string->text, string->len, &result);
	if (result.status == MASK_CLEAN)
		return true;
	if (field->on_violation == FIELD_HASH)
		FindingsAdd(state->findings, string, &result);
	return false;
}

/* True if it is the last value that was fine, which is fine again. */
static bool
IsLastFine(const ApplyState *state, const MaskValue *string)
{
	const FieldPlan *field = state->field;

	return state->known->count == 0 && string->len == field->last_len &&
		memcmp(string->text, field->last, string->len) == 0;
}

/* Remembers a value that was fine; not one that known values had a say in. */
static void
RememberFine(const ApplyState *state, const MaskValue *string)
{
	FieldPlan  *field = state->field;

	if (state->known->count > 0 || string->len > FIELD_LAST_MAX)
		return;
	memcpy(field->last, string->text, string->len);
	field->last_len = string->len;
}

/*
 * True if the bytes are the same.  Most values are short, and there are many
 * in a row: a call of memcmp() for each would cost more than they do.
 */
static inline bool
SameBytes(const char *a, const char *b, int len)
{
	uint64		eight[4];
	uint32		four[4];

	if (len > 16)
		return memcmp(a, b, len) == 0;
	if (len >= 8)
	{
		memcpy(&eight[0], a, 8);
		memcpy(&eight[1], b, 8);
		memcpy(&eight[2], a + len - 8, 8);
		memcpy(&eight[3], b + len - 8, 8);
		return eight[0] == eight[1] && eight[2] == eight[3];
	}
	if (len >= 4)
	{
		memcpy(&four[0], a, 4);
		memcpy(&four[1], b, 4);
		memcpy(&four[2], a + len - 4, 4);
		memcpy(&four[3], b + len - 4, 4);
		return four[0] == four[1] && four[2] == four[3];
	}
	for (int i = 0; i < len; i++)
	{
		if (a[i] != b[i])
			return false;
	}
	return true;
}

/*
 * True for a value, text or array, that is the very one that was fine, as
 * most of a row are those of the row before.  Where a policy is for people
 * only, that was said of what isn't one.
 */
static inline bool
IsSameAsLast(const ApplyState *state, const FieldPlan *field, Datum value)
{
	struct varlena *data = (struct varlena *) DatumGetPointer(value);

	return field->last_len >= 0 && state->known->count == 0 &&
		!(field->humans_only && state->human) &&
		!VARATT_IS_EXTERNAL(data) && !VARATT_IS_COMPRESSED(data) &&
		VARSIZE_ANY_EXHDR(data) == field->last_len &&
		SameBytes(VARDATA_ANY(data), field->last, field->last_len);
}

/* Keeps a value of the right form; anything else is a violation. */
static Datum
KeepField(ApplyState *state, Datum value, bool *isnull)
{
	FieldPlan  *field = state->field;
	MaskValue	string;

	if (field->kind != KIND_TEXT)
		return value;
	string = ValueOf(field, DatumGetTextPP(value));
	state->fine = string.len == 0 ||
		(!field->is_array && IsLastFine(state, &string));
	if (state->fine)
		return value;
	if (HasForm(field, value, &string) && IsHarmless(state, &string))
	{
		state->fine = true;
		if (!field->is_array)
			RememberFine(state, &string);
		return value;
	}
	if (field->on_violation == FIELD_REJECT)
		RejectValue(state);
	if (field->on_violation == FIELD_HASH)
		return HashField(state, value);
	return MaskField(state, value, isnull);
}

/* Applies the field's policy to one value, which is not null. */
static Datum
ApplyValue(ApplyState *state, Datum value, bool *isnull)
{
	FieldPlan  *field = state->field;
	FieldAction action = field->action;

	if (field->humans_only && !state->human)
		action = FIELD_KEEP;
	switch (action)
	{
		case FIELD_KEEP:
			return KeepField(state, value, isnull);
		case FIELD_HASH:
			return HashField(state, value);
		case FIELD_TRUNCATE_IP:
			return TruncateAddress(value);
		case FIELD_REDACT:
			FindingsNote(state->findings, FIELD_REDACTED, 1);
			return MakeConstant(field, REDACTED_TEXT);
		case FIELD_DROP:
			FindingsNote(state->findings, FIELD_DROPPED, 1);
			*isnull = true;
			return (Datum) 0;
		case FIELD_REJECT:
			RejectValue(state);
			break;
		case FIELD_MASK:
			break;
	}
	return MaskField(state, value, isnull);
}

/* Applies the field's policy to each element of an array. */
static Datum
ApplyArray(ApplyState *state, Datum value)
{
	const LedgerColumn *col = state->field->column;
	ArrayType  *array = DatumGetArrayTypeP(value);
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	bool		changed = false;
	bool		fine = true;

	deconstruct_array(array, col->element_type, col->element_len,
					  col->element_byval, col->element_align,
					  &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		Datum		before = elements[i];

		if (nulls[i])
			continue;
		state->fine = false;
		elements[i] = ApplyValue(state, before, &nulls[i]);
		changed |= nulls[i] || elements[i] != before;
		fine &= state->fine;
	}
	if (fine && count > 0)
	{
		MaskValue	whole = {VARDATA_ANY(array), VARSIZE_ANY_EXHDR(array)};

		RememberFine(state, &whole);
	}
	if (!changed)
		return value;
	return PointerGetDatum(construct_md_array(elements, nulls, ARR_NDIM(array),
											  ARR_DIMS(array), ARR_LBOUND(array),
											  col->element_type, col->element_len,
											  col->element_byval,
											  col->element_align));
}

/* Applies the policy of one field of the row. */
static void
ApplyField(ApplyState *state, Datum *values, bool *nulls)
{
	FieldPlan  *field = state->field;
	int			i = field->attnum - 1;
	Datum		before = values[i];

	state->findings->field = NameStr(field->name);
	if (field->is_array && field->action != FIELD_DROP)
		values[i] = ApplyArray(state, before);
	else
		values[i] = ApplyValue(state, before, &nulls[i]);
	if (values[i] != before && field->type != field->column->type)
		domain_check(values[i], nulls[i], field->type, NULL, NULL);
}

/* ---------------- what the row says about it ---------------- */

static void
SetText(AttrNumber attnum, const char *word, Datum *values, bool *nulls)
{
	if (attnum == InvalidAttrNumber)
		return;
	values[attnum - 1] = CStringGetTextDatum(word);
	nulls[attnum - 1] = false;
}

/* True if an attribute is the word. */
static bool
IsWord(AttrNumber attnum, const char *word, const Datum *values,
	   const bool *nulls)
{
	text	   *value;

	if (attnum == InvalidAttrNumber || nulls[attnum - 1])
		return false;
	value = DatumGetTextPP(values[attnum - 1]);
	return VARSIZE_ANY_EXHDR(value) == strlen(word) &&
		memcmp(VARDATA_ANY(value), word, strlen(word)) == 0;
}

/* True if the row says already that its text was withheld. */
static bool
SaysWithheld(const OutcomeAttrs *outcome, const Datum *values,
			 const bool *nulls)
{
	return IsWord(outcome->masking_status, "withheld", values, nulls);
}

/* Raises the row's class to that of what was found. */
static void
RaiseDataClass(const OutcomeAttrs *outcome, const PolicyFindings *findings,
			   Datum *values, bool *nulls)
{
	AttrNumber	attnum = outcome->data_class;
	const char *higher;

	if (attnum == InvalidAttrNumber || nulls[attnum - 1])
		return;
	higher = FindingsDataClass(findings, TextDatumGetCString(values[attnum - 1]));
	if (higher != NULL)
		SetText(attnum, higher, values, nulls);
}

/*
 * Fills in what was found.  The writer has no say in it, except that it may
 * say that it withheld text itself.
 */
static void
StampOutcome(const LedgerPlan *plan, const PolicyFindings *findings,
			 Datum *values, bool *nulls)
{
	const OutcomeAttrs *outcome = &plan->outcome;
	bool		found = FindingsAny(findings);
	bool		withheld = findings->withheld ||
	SaysWithheld(outcome, values, nulls);

	if (outcome->pii_counts != InvalidAttrNumber)
	{
		nulls[outcome->pii_counts - 1] = !found;
		if (found)
			values[outcome->pii_counts - 1] = FindingsToJsonb(findings);
	}
	if (found)
		RaiseDataClass(outcome, findings, values, nulls);
	if (outcome->masking_status == InvalidAttrNumber)
		return;
	/* ValidateCall has said so already */
	if (!findings->examined && !found && !withheld)
		return;
	SetText(outcome->masking_status,
			withheld ? "withheld" : found ? "masked" :
			findings->examined ? "clean" : "not_examined", values, nulls);
	if (!findings->examined && !findings->withheld)
		return;
	SetText(outcome->masking_version, plan->version, values, nulls);
	if (findings->examined && outcome->pii_found != InvalidAttrNumber)
	{
		values[outcome->pii_found - 1] = BoolGetDatum(found);
		/* nothing found, but not everything seen: unknown */
		nulls[outcome->pii_found - 1] = !found && withheld;
	}
}

/* Fills in where it was found, and what was not stored. */
static void
StampFields(const Segment *seg, const PolicyFindings *findings, Datum *values,
			bool *nulls)
{
	AttrNumber	attnum = seg->role_attrs[ROLE_ATTR_PII_FIELDS];

	if (attnum == InvalidAttrNumber)
		return;
	nulls[attnum - 1] = findings->fields == NIL;
	if (findings->fields != NIL)
		values[attnum - 1] = FindingsFieldsToJsonb(findings);
}

/* The keyed digest of a body, before it is masked. */
static void
StampDigest(const OutcomeAttrs *outcome, Datum *values, bool *nulls)
{
	text	   *body;
	Datum		digest;

	if (outcome->body == InvalidAttrNumber ||
		outcome->body_digest == InvalidAttrNumber || nulls[outcome->body - 1])
		return;
	body = DatumGetTextPP(values[outcome->body - 1]);
	digest = PolicyDigest(VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body));
	values[outcome->body_digest - 1] = digest;
	nulls[outcome->body_digest - 1] = (digest == (Datum) 0);
}

/* Records the tokens of what was found, for the call that the row is of. */
static void
StoreTokens(const Segment *seg, const LedgerPlan *plan,
			const PolicyFindings *findings, Datum *values, bool *nulls)
{
	const OutcomeAttrs *outcome = &plan->outcome;
	AttrNumber	needed[] = {
		outcome->call_id, outcome->environment, outcome->organization_id,
		outcome->request_id
	};
	TokenOwner	owner;

	if (findings->tokens == NIL)
		return;
	if (seg->role == ROLE_LLM_CALL && nulls[seg->attrs.id - 1])
	{
		values[seg->attrs.id - 1] = LedgerUuid();
		nulls[seg->attrs.id - 1] = false;
	}
	for (int i = 0; i < lengthof(needed); i++)
	{
		/* a row without them is refused in a moment */
		if (needed[i] == InvalidAttrNumber || nulls[needed[i] - 1])
			return;
	}
	owner.call_id = values[outcome->call_id - 1];
	owner.environment = values[outcome->environment - 1];
	owner.organization_id = values[outcome->organization_id - 1];
	owner.request_id = values[outcome->request_id - 1];
	TokensKeep(seg, nulls[seg->attrs.id - 1] ? NULL :
			   DatumGetUUIDP(values[seg->attrs.id - 1]), &owner,
			   findings->tokens);
}

/* True if the row's actor is a person, or may be one. */
static bool
IsHuman(const LedgerPlan *plan, const Datum *values, const bool *nulls)
{
	AttrNumber	attnum = plan->outcome.actor_type;

	return attnum == InvalidAttrNumber || nulls[attnum - 1] ||
		IsWord(attnum, "human", values, nulls);
}

/* Applies the field policies to a row, and tells what was found in it. */
static void
ApplyFields(ApplyState *state, Datum *values, bool *nulls)
{
	const Segment *seg = state->seg;
	LedgerPlan *plan = PlanFor(seg);
	AttrNumber	known_attnum = seg->attrs.known_values;
	AttrNumber	id_attnum = seg->attrs.id;
	KnownValues known;

	state->plan = plan;
	state->known = &known;
	KnownCollect(&known, known_attnum != InvalidAttrNumber &&
				 !nulls[known_attnum - 1] ? &values[known_attnum - 1] : NULL);
	state->human = IsHuman(plan, values, nulls);
	StampDigest(&plan->outcome, values, nulls);
	if (seg->role == ROLE_LLM_CALL && !nulls[id_attnum - 1])
		PolicyAttached(DatumGetUUIDP(values[id_attnum - 1]), state->findings);
	for (int i = 0; i < plan->nfields; i++)
	{
		AttrNumber	attnum = plan->attnums[i];

		if (nulls[attnum - 1] ||
			IsSameAsLast(state, &plan->fields[i], values[attnum - 1]))
			continue;
		state->field = &plan->fields[i];
		CHECK_FOR_INTERRUPTS();
		ApplyField(state, values, nulls);
	}
	state->known = NULL;
	StampFields(seg, state->findings, values, nulls);
	if (seg->role == ROLE_LLM_CALL || seg->role == ROLE_LLM_CONTENT)
		StampOutcome(plan, state->findings, values, nulls);
}

/* Applies the field policies but for encryption, and keeps the tokens. */
static void
MaskRow(const Segment *seg, Datum *values, bool *nulls)
{
	PolicyFindings findings = {0};
	ApplyState	state = {.seg = seg,.findings = &findings};

	ApplyFields(&state, values, nulls);
	if (seg->role == ROLE_LLM_CALL || seg->role == ROLE_LLM_CONTENT)
		StoreTokens(seg, state.plan, &findings, values, nulls);
}

void
PolicyApply(const Segment *seg, Datum *values, bool *nulls)
{
	const LedgerPlan *plan;
	AttrNumber	fields = seg->role_attrs[ROLE_ATTR_PII_FIELDS];

	LogStatementIsOnLedger(seg);
	plan = PlanFor(seg);
	if (fields != InvalidAttrNumber)
		nulls[fields - 1] = true;	/* the writer has no say in it */
	EncryptCheck(seg, plan, nulls);
	EncryptOriginal(seg, plan, values, nulls);
	if (llm_audit_masking)
		MaskRow(seg, values, nulls);
	EncryptRow(seg, plan, values, nulls);
}

void
PolicyPreview(const Segment *seg, int which, Datum *values, bool *nulls)
{
	PolicyFindings findings = {0};
	ApplyState	state = {.seg = seg,.findings = &findings,.key = which};

	if (llm_audit_masking)
		ApplyFields(&state, values, nulls);
}
