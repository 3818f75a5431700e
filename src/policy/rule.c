/*
 * rule.c
 *	  What a DBA has searched for beyond what the scanner knows: custom rules
 *	  (a regular expression behind a keyword) and dictionaries of terms.
 *
 * Both are cached per backend.  Rules are read again when the configuration
 * has changed; terms, which may be many, only when a dictionary has.  What
 * was replaced lives on until the end of the transaction, because a caller
 * up the stack may be using it.
 */
#include "postgres.h"

#include <time.h>

#include "access/htup_details.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "policy/scan.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(llm_audit_entity_exists);
PG_FUNCTION_INFO_V1(llm_audit_dictionary_memory);

/* Column numbers of mask_rule and dictionary, as sql/37_mask_rule.sql. */
#define RULE_NAME_ATT		1
#define RULE_KEYWORD_ATT	2
#define RULE_PATTERN_ATT	3
#define RULE_ENTITY_ATT		4
#define RULE_STYLE_ATT		5
#define RULE_CLASS_ATT		6
#define RULE_LEDGER_ATT		7
#define RULE_COLUMN_ATT		8
#define RULE_ACTIVE_ATT		9
#define RULE_CHANGED_ATT	10
#define DICT_NAME_ATT		1
#define DICT_ENTITY_ATT		2
#define DICT_CLASS_ATT		3
#define DICT_SEALED_ATT		4
#define DICT_TERMS_ATT		5
#define DICT_ACTIVE_ATT		6
#define DICT_CHANGED_ATT	7
#define LEDGER_ID_ATT		1
#define LEDGER_NAME_ATT		3

/* Bytes before and after a keyword in which a match is looked for. */
#define REGION_BEFORE 256
#define REGION_AFTER 1024

typedef struct Rule
{
	char	   *keyword;		/* folded */
	size_t		keyword_len;
	RuleRegex  *regex;
	MaskEntity	entity;
	MaskCustom	custom;
	bool		scoped;
	bool		is_content;		/* scoped to llm_content */
	pg_uuid_t	ledger_id;
	char	   *column;			/* NULL: all */
} Rule;

struct RuleSet
{
	MemoryContext context;
	uint64		generation;
	int			count;
	Rule		rules[RULES_MAX];
	TimestampTz changed;
	TermSet    *terms;			/* NULL: none; in a context of its own */
	List	   *kinds;			/* TermKind, of active dictionaries */
	int64		expected;		/* terms in them */
	char	   *signature;		/* says whether terms must be loaded again */
	uint64		first[3][256];	/* rules whose keyword begins so */
};

/* Kinds that are not built in, by slot; a slot keeps its name while in use. */
#define CUSTOM_SLOTS (MASK_ENTITY_ROOM - MASK_ENTITY_CUSTOM)
static NameData custom_names[CUSTOM_SLOTS];
static int	custom_class[CUSTOM_SLOTS];

static RuleSet *current = NULL;
static int	llm_audit_mask_rule_budget = 200;

/* ---------------- kinds ---------------- */

const char *
EntityName(MaskEntity entity)
{
	return entity >= MASK_ENTITY_CUSTOM ?
		NameStr(custom_names[entity - MASK_ENTITY_CUSTOM]) :
		MaskEntityName(entity);
}

int
EntityClass(MaskEntity entity)
{
	return custom_class[entity - MASK_ENTITY_CUSTOM];
}

/* The built-in kind of that name, or MASK_ENTITY_COUNT. */
static MaskEntity
BuiltinEntity(const char *name)
{
	for (int i = 0; i < MASK_ENTITY_COUNT; i++)
	{
		if (strcmp(MaskEntityName(i), name) == 0)
			return i;
	}
	return MASK_ENTITY_COUNT;
}

/* Notes the slots that a set uses, while it is built. */
typedef struct SlotUse
{
	bool		used[CUSTOM_SLOTS];
} SlotUse;

/*
 * The number of a kind by its name: built in, or a slot, if possible the one
 * that it had before.
 */
static MaskEntity
EntityFor(SlotUse *use, const char *name, const char *data_class)
{
	MaskEntity	entity = BuiltinEntity(name);
	int			slot = -1;

	if (entity != MASK_ENTITY_COUNT)
		return entity;
	for (int i = 0; i < CUSTOM_SLOTS && slot < 0; i++)
	{
		if (strcmp(NameStr(custom_names[i]), name) == 0)
			slot = i;
	}
	for (int i = 0; i < CUSTOM_SLOTS && slot < 0; i++)
	{
		if (!use->used[i])
			slot = i;
	}
	if (slot < 0)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("mask rules and dictionaries name more than %d entities of their own",
						CUSTOM_SLOTS)));
	if (!use->used[slot])
		custom_class[slot] = 0;
	use->used[slot] = true;
	namestrcpy(&custom_names[slot], name);
	custom_class[slot] = Max(custom_class[slot], DataClassRank(data_class));
	return MASK_ENTITY_CUSTOM + slot;
}

/* ---------------- loading ---------------- */

typedef struct RuleBuild
{
	RuleSet    *set;
	SlotUse		use;
	StringInfoData signature;
	pg_uuid_t	content_id;
	bool		has_content;
} RuleBuild;

/* A text of a configuration row, or NULL. */
static char *
RowText(HeapTuple tuple, TupleDesc desc, int attnum)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, attnum, desc, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* A value of a configuration row that is never null. */
static Datum
RowValue(HeapTuple tuple, TupleDesc desc, int attnum)
{
	bool		isnull;

	return heap_getattr(tuple, attnum, desc, &isnull);
}

static MaskStyle
StyleByName(const char *name)
{
	if (strcmp(name, "last2") == 0)
		return MASK_STYLE_LAST2;
	if (strcmp(name, "last4") == 0)
		return MASK_STYLE_LAST4;
	return strcmp(name, "ends") == 0 ? MASK_STYLE_ENDS : MASK_STYLE_TAG;
}

/* Folds the keyword of a rule, and enters it where searches begin. */
static void
RuleEnterKeyword(RuleSet *set, Rule *rule, const char *keyword)
{
	int			number = rule - set->rules;

	rule->keyword_len = strlen(keyword);
	rule->keyword = palloc(rule->keyword_len + 1);
	MaskFold(keyword, rule->keyword_len, rule->keyword);
	if (rule->keyword_len < 3)
		elog(ERROR, "the keyword of a mask rule is too short");
	for (int i = 0; i < 3; i++)
		set->first[i][(unsigned char) rule->keyword[i]] |= UINT64CONST(1) << number;
}

/* Visitor: the rows of mask_rule. */
static void
RuleRowRead(HeapTuple tuple, TupleDesc desc, void *arg)
{
	RuleBuild  *build = arg;
	RuleSet    *set = build->set;
	Rule	   *rule = &set->rules[set->count];
	char	   *entity = RowText(tuple, desc, RULE_ENTITY_ATT);
	Datum		ledger;
	bool		isnull;

	set->changed = Max(set->changed,
					   DatumGetTimestampTz(RowValue(tuple, desc, RULE_CHANGED_ATT)));
	if (!DatumGetBool(RowValue(tuple, desc, RULE_ACTIVE_ATT)))
		return;
	if (set->count == RULES_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("there are more than %d mask rules", RULES_MAX)));
	rule->regex = RuleRegexCompile(NameStr(*DatumGetName(RowValue(tuple, desc, RULE_NAME_ATT))),
								   RowText(tuple, desc, RULE_PATTERN_ATT));
	rule->entity = EntityFor(&build->use, entity,
							 RowText(tuple, desc, RULE_CLASS_ATT));
	rule->custom.name = entity;
	rule->custom.style = StyleByName(RowText(tuple, desc, RULE_STYLE_ATT));
	RuleEnterKeyword(set, rule, RowText(tuple, desc, RULE_KEYWORD_ATT));
	ledger = heap_getattr(tuple, RULE_LEDGER_ATT, desc, &isnull);
	rule->scoped = !isnull;
	if (rule->scoped)
		rule->ledger_id = *DatumGetUUIDP(ledger);
	rule->is_content = rule->scoped && build->has_content &&
		memcmp(&rule->ledger_id, &build->content_id, UUID_LEN) == 0;
	ledger = heap_getattr(tuple, RULE_COLUMN_ATT, desc, &isnull);
	rule->column = isnull ? NULL : pstrdup(NameStr(*DatumGetName(ledger)));
	set->count++;
}

/* Visitor: the rows of dictionary. */
static void
DictionaryRowRead(HeapTuple tuple, TupleDesc desc, void *arg)
{
	RuleBuild  *build = arg;
	TimestampTz changed = DatumGetTimestampTz(RowValue(tuple, desc, DICT_CHANGED_ATT));
	TermKind   *kind;
	MaskCustom *custom;

	build->set->changed = Max(build->set->changed, changed);
	if (!DatumGetBool(RowValue(tuple, desc, DICT_ACTIVE_ATT)))
		return;
	kind = palloc(sizeof(TermKind));
	kind->name = pstrdup(NameStr(*DatumGetName(RowValue(tuple, desc, DICT_NAME_ATT))));
	custom = palloc0(sizeof(MaskCustom));
	custom->name = RowText(tuple, desc, DICT_ENTITY_ATT);
	kind->entity = EntityFor(&build->use, custom->name,
							 RowText(tuple, desc, DICT_CLASS_ATT));
	kind->custom = custom;
	build->set->kinds = lappend(build->set->kinds, kind);
	build->set->expected += DatumGetInt64(RowValue(tuple, desc, DICT_TERMS_ATT));
	appendStringInfo(&build->signature, "%s %d " INT64_FORMAT "\n", kind->name,
					 (int) kind->entity, changed);
}

/* Visitor: notes the id of llm_content. */
static void
LedgerRowRead(HeapTuple tuple, TupleDesc desc, void *arg)
{
	RuleBuild  *build = arg;

	if (strcmp(NameStr(*DatumGetName(RowValue(tuple, desc, LEDGER_NAME_ATT))),
			   "llm_content") != 0)
		return;
	build->content_id = *DatumGetUUIDP(RowValue(tuple, desc, LEDGER_ID_ATT));
	build->has_content = true;
}

/*
 * Brings the terms of a new set: those of the old one, if no dictionary has
 * changed, or from the table.  They have names of their own: a TermSet
 * outlives the RuleSet it was loaded for.
 */
static void
BringTerms(RuleSet *set)
{
	if (set->expected == 0)
		return;
	if (current != NULL && current->terms != NULL &&
		strcmp(current->signature, set->signature) == 0)
	{
		set->terms = current->terms;
		return;
	}
	set->terms = TermsLoad(set->kinds);
}

/* Puts a new set in the place of the old one. */
static void
ReplaceSet(RuleSet *fresh)
{
	if (current != NULL)
	{
		if (current->terms != NULL && current->terms != fresh->terms)
			MemoryContextSetParent(current->terms->context, TopTransactionContext);
		MemoryContextSetParent(current->context, TopTransactionContext);
	}
	MemoryContextSetParent(fresh->context, CacheMemoryContext);
	if (fresh->terms != NULL)
		MemoryContextSetParent(fresh->terms->context, CacheMemoryContext);
	current = fresh;
}

const RuleSet *
RulesCurrent(void)
{
	uint64		before = ConfigGeneration();
	MemoryContext context;
	MemoryContext old;
	RuleBuild	build = {0};

	if (current != NULL && current->generation == before)
		return current;

	/* built aside, so that an error leaves the old one, which is not valid */
	context = AllocSetContextCreate(TopTransactionContext,
									"llm_audit mask rules",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	build.set = palloc0(sizeof(RuleSet));
	build.set->context = context;
	build.set->changed = DT_NOBEGIN;
	initStringInfo(&build.signature);
	ConfigScan("ledger", NULL, 0, LedgerRowRead, &build);
	ConfigScan("mask_rule", NULL, 0, RuleRowRead, &build);
	ConfigScan("dictionary", NULL, 0, DictionaryRowRead, &build);
	build.set->signature = build.signature.data;
	BringTerms(build.set);
	MemoryContextSwitchTo(old);
	build.set->generation = before;
	ReplaceSet(build.set);
	return current;
}

/* ---------------- which rules ---------------- */

uint64
RulesForColumn(const RuleSet *set, const uint8 *ledger_id, const char *column)
{
	uint64		result = 0;

	for (int i = 0; i < set->count; i++)
	{
		const Rule *rule = &set->rules[i];

		if ((!rule->scoped || memcmp(rule->ledger_id.data, ledger_id, UUID_LEN) == 0) &&
			(rule->column == NULL || strcmp(rule->column, column) == 0))
			result |= UINT64CONST(1) << i;
	}
	return result;
}

uint64
RulesForContent(const RuleSet *set)
{
	uint64		result = 0;

	for (int i = 0; i < set->count; i++)
	{
		const Rule *rule = &set->rules[i];

		if ((!rule->scoped || rule->is_content) &&
			(rule->column == NULL || strcmp(rule->column, "body") == 0))
			result |= UINT64CONST(1) << i;
	}
	return result;
}

uint64
RulesForAnything(const RuleSet *set)
{
	uint64		result = 0;

	for (int i = 0; i < set->count; i++)
	{
		if (!set->rules[i].scoped && set->rules[i].column == NULL)
			result |= UINT64CONST(1) << i;
	}
	return result;
}

bool
RulesHaveTerms(const RuleSet *set)
{
	return set->terms != NULL && set->terms->terms > 0;
}

TimestampTz
RulesChanged(const RuleSet *set)
{
	return set->changed;
}

/* ---------------- searching ---------------- */

/* The findings of one text. */
typedef struct RuleHits
{
	MaskHit    *hits;
	size_t		count;
	size_t		room;
} RuleHits;

static void
AddRuleHit(RuleHits *found, const MaskHit *hit)
{
	if (found->count == found->room)
	{
		found->room = found->room * 2 + 16;
		found->hits = found->hits == NULL ?
			palloc(found->room * sizeof(MaskHit)) :
			repalloc_huge(found->hits, found->room * sizeof(MaskHit));
	}
	found->hits[found->count++] = *hit;
}

static int
CompareHits(const void *a, const void *b)
{
	size_t		one = ((const MaskHit *) a)->start;
	size_t		two = ((const MaskHit *) b)->start;

	return one < two ? -1 : one > two;
}

/*
 * True if the value has used up its time.  CPU time, so that a busy machine
 * withholds no more than an idle one.
 */
static bool
BudgetIsSpent(RuleSearch *search)
{
	struct timespec now;
	int64		ns;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	ns = now.tv_sec * INT64CONST(1000000000) + now.tv_nsec;
	if (search->started == 0)
		search->started = ns;
	return ns - search->started > llm_audit_mask_rule_budget * INT64CONST(1000000);
}

/* Searches a part of a text that begins and ends between characters. */
static void
SearchRegion(const Rule *rule, const char *text, size_t start, size_t end,
			 RuleHits *found)
{
	MaskHit		hit = {0};
	RuleRegion	region;
	RuleMatch	match;

	RuleRegionWiden(&region, text +start, end - start);
	while (RuleRegexNext(rule->regex, &region, &match))
	{
		hit.entity = rule->entity;
		hit.start = start + match.start;
		hit.end = start + match.end;
		hit.score = 1.0f;
		hit.validator = "rule";
		hit.custom = &rule->custom;
		AddRuleHit(found, &hit);
	}
	pfree(region.wide);
}

/* One text that is being searched. */
typedef struct RuleText
{
	const char *text;
	size_t		len;
	size_t		done[RULES_MAX];	/* searched up to there, by each rule */
} RuleText;

/* The nearest place not after pos where a character begins. */
static size_t
CharacterAt(const RuleText *text, size_t pos)
{
	if (pos >= text->len)
		return text->len;

	while (pos > 0 && ((unsigned char) text->text[pos] & 0xC0) == 0x80)
		pos--;
	return pos;
}

/* Searches a part of a text; false if there is no time left for it. */
static bool
SearchPart(RuleSearch *search, const RuleText *text, int number, size_t start,
		   size_t end, RuleHits *found)
{
	CHECK_FOR_INTERRUPTS();
	if (BudgetIsSpent(search))
		return false;
	SearchRegion(&search->set->rules[number], text->text, start, end, found);
	return true;
}

/*
 * Searches around a keyword that stands at pos, unless that has been done.
 * Regions of one rule overlap by what lies before a keyword at most, so the
 * whole stays linear.
 */
static bool
SearchAround(RuleSearch *search, RuleText *text, int number, size_t pos,
			 RuleHits *found)
{
	size_t		done = text->done[number];
	size_t		start = pos > REGION_BEFORE ? pos - REGION_BEFORE : 0;

	if (done > 0 && (done >= text->len || pos + REGION_BEFORE <= done))
		return true;
	if (done > REGION_BEFORE && start < done - REGION_BEFORE)
		start = done - REGION_BEFORE;
	text	  ->done[number] = CharacterAt(text, pos + REGION_AFTER);

	return SearchPart(search, text, number, CharacterAt(text, start),
					  text->done[number], found);
}

/* All of a text, whose keyword stands outside: in the name of its key. */
static bool
SearchAll(RuleSearch *search, const RuleText *text, int number,
		  RuleHits *found)
{
	size_t		start = 0;
	size_t		end = 0;

	while (end < text->len)
	{
		end = CharacterAt(text, start + RULE_REGION);
		if (!SearchPart(search, text, number, start, end, found))
			return false;
		start = CharacterAt(text, end - Min(end, REGION_BEFORE));
	}
	return true;
}

/* Rules whose keyword stands in the name of the text's column or key. */
static uint64
RulesOfContext(const RuleSearch *search, const MaskOptions *options)
{
	char	   *folded;
	uint64		result = 0;

	if (options->context_len == 0)
		return 0;
	folded = palloc(options->context_len + 1);
	MaskFold(options->context, options->context_len, folded);
	for (int i = 0; i < search->set->count; i++)
	{
		const Rule *rule = &search->set->rules[i];

		if ((search->rules >> i & 1) != 0 &&
			memmem(folded, options->context_len, rule->keyword,
				   rule->keyword_len) != NULL)
			result |= UINT64CONST(1) << i;
	}
	pfree(folded);
	return result;
}

/* The rules of a set that have their keyword at this place. */
static uint64
KeywordsAt(const RuleSet *set, uint64 rules, const char *at, size_t len)
{
	uint64		result = 0;

	for (int i = 0; i < set->count; i++)
	{
		const Rule *rule = &set->rules[i];

		if ((rules >> i & 1) != 0 && rule->keyword_len <= len &&
			memcmp(at, rule->keyword, rule->keyword_len) == 0)
			result |= UINT64CONST(1) << i;
	}
	return result;
}

/* Searches the text by all rules; false if there is no time left. */
static bool
SearchText(RuleSearch *search, RuleText *text, uint64 outside, RuleHits *found)
{
	const RuleSet *set = search->set;
	uint64		rules = search->rules & ~outside;
	unsigned char *folded = palloc_extended(text->len + 1, MCXT_ALLOC_HUGE);
	bool		good = true;

	MaskFold(text->text, text->len, (char *) folded);
	for (int i = 0; i < set->count && good; i++)
	{
		if (outside >> i & 1)
			good = SearchAll(search, text, i, found);
	}
	for (size_t pos = 0; pos + 3 <= text->len && rules != 0 && good; pos++)
	{
		uint64		here = rules & set->first[0][folded[pos]] &
		set->first[1][folded[pos + 1]] & set->first[2][folded[pos + 2]];

		if (here != 0)
			here = KeywordsAt(set, here, (char *) folded + pos, text->len - pos);
		for (int i = 0; here != 0 && i < set->count && good; i++)
		{
			if (here >> i & 1)
				good = SearchAround(search, text, i, pos, found);
		}
	}
	pfree(folded);
	return good;
}

/* MaskFinder's function. */
static MaskStatus
FindByRules(void *arg, const MaskOptions *options, const char *text,
			size_t len, MaskHit **hits, size_t *count)
{
	RuleSearch *search = arg;
	RuleHits	found = {0};
	RuleText	here;
	bool		good;

	here.text = text;

	here.len = len;
	memset(here.done, 0, search->set->count * sizeof(size_t));
	good = SearchText(search, &here, RulesOfContext(search, options), &found);
	*hits = found.hits;
	*count = found.count;
	if (!good)
		return MASK_WITHHELD;
	if (found.count == 0)
		return MASK_CLEAN;
	qsort(found.hits, found.count, sizeof(MaskHit), CompareHits);
	return MASK_MASKED;
}

void
RulesWatch(RuleSearch *search, const RuleSet *set, uint64 rules, bool terms,
		   MaskOptions *options)
{
	search->set = set;
	search->rules = rules;
	search->started = 0;
	if (rules != 0)
	{
		options->finders[0].find = FindByRules;
		options->finders[0].arg = search;
	}
	if (terms && RulesHaveTerms(set))
	{
		options->finders[1].find = MaskDictionaryFind;
		options->finders[1].arg = &set->terms->list;
	}
}

/* ---------------- SQL ---------------- */

/* llm_audit.entity_exists(name text) → boolean: is it built in? */
Datum
llm_audit_entity_exists(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));

	PG_RETURN_BOOL(BuiltinEntity(name) != MASK_ENTITY_COUNT);
}

/*
 * llm_audit.dictionary_memory() → bigint
 *		Bytes that the dictionaries take in this session.
 */
Datum
llm_audit_dictionary_memory(PG_FUNCTION_ARGS)
{
	const RuleSet *set = RulesCurrent();

	PG_RETURN_INT64(set->terms == NULL ? 0 : (int64) set->terms->bytes);
}

void
RuleInit(void)
{
	DefineCustomIntVariable("llm_audit.mask_rule_budget",
							"CPU time that mask rules may take for one value.",
							"A value that takes longer is withheld: not stored, while its row is.",
							&llm_audit_mask_rule_budget, 200, 1, INT_MAX,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
}
