/*
 * scan.h
 *	  Inside of the policy room: calling the scanner, plans and patterns.
 */
#ifndef LLM_AUDIT_POLICY_SCAN_H
#define LLM_AUDIT_POLICY_SCAN_H

#include "policy/policy.h"

/* ---------------- findings.c: calling the scanner ---------------- */

/* Stands where a text could not be masked and the column must not be null. */
#define WITHHELD_TEXT "<WITHHELD>"
#define REDACTED_TEXT "<REDACTED>"

/* Values that the writer knows, as the scanner wants them. */
typedef struct KnownValues
{
	MaskValue  *values;
	int			count;
} KnownValues;

/* Scanner options with memory from the current context. */
extern void SetScanOptions(MaskOptions *options, const KnownValues *known);

/* Has the scanner tell findings of identifiers, whose tokens they keep. */
extern void FindingsWatch(PolicyFindings *findings, MaskOptions *options);

/*
 * Counts what the scanner has found in text into findings.  A scanner that
 * ran out of memory is an error.
 */
extern void FindingsAdd(PolicyFindings *findings, const MaskValue *text,
						const MaskResult *result);

/* True if identifiers of this kind have match tokens. */
extern bool EntityHasToken(MaskEntity entity);

/* The match token of a value as it was found, or NULL; see PolicyToken. */
extern char *TokenOf(int which, MaskEntity entity, const MaskValue *value);

/* The values of set_known_values(), and of a row's column (a text[]). */
extern void KnownCollect(KnownValues *known, const Datum *column);

/* Takes what PolicyAttach left for this id, if anything. */
extern bool PolicyAttached(const pg_uuid_t *call_id,
						   PolicyFindings *findings);

/* The rank of a data class: 0 for public, 3 for banking_secrecy. */
extern int	DataClassRank(const char *data_class);

/* ---------------- rule.c: what a DBA has searched for ---------------- */

#define RULES_MAX 64

/* Rules and dictionaries as configured; valid to the transaction's end. */
typedef struct RuleSet RuleSet;

extern const RuleSet *RulesCurrent(void);

/* A bit for each rule that is for a column of a ledger. */
extern uint64 RulesForColumn(const RuleSet *set, const uint8 *ledger_id,
							 const char *column);

/* Likewise for the body of llm_content, and for any text of nobody's. */
extern uint64 RulesForContent(const RuleSet *set);
extern uint64 RulesForAnything(const RuleSet *set);

extern bool RulesHaveTerms(const RuleSet *set);

/* When rules or dictionaries were last changed. */
extern TimestampTz RulesChanged(const RuleSet *set);

/* The search for one value: its rules, and what they may still cost. */
typedef struct RuleSearch
{
	const RuleSet *set;
	uint64		rules;
	int64		started;		/* CPU time in ns; 0: not yet */
} RuleSearch;

/* Has the scanner search with these rules, and for terms. */
extern void RulesWatch(RuleSearch *search, const RuleSet *set, uint64 rules,
					   bool terms, MaskOptions *options);

/* The name of a kind, built in or a rule's; its class as DataClassRank. */
extern const char *EntityName(MaskEntity entity);
extern int	EntityClass(MaskEntity entity);

extern void RuleInit(void);

/* ---------------- rule_regex.c: regular expressions in time -------- */

typedef struct RuleRegex RuleRegex;

/* Compiles in the current context; an error names the rule. */
extern RuleRegex *RuleRegexCompile(const char *name, const char *pattern);

/* Where a match is, in bytes of the text that was searched. */
typedef struct RuleMatch
{
	size_t		start;
	size_t		end;
} RuleMatch;

/*
 * The next match from *at on (in characters of a region that was widened by
 * RuleRegionWiden); false if there is none.
 */
typedef struct RuleRegion
{
	const char *text;
	size_t		len;
	unsigned int *wide;			/* pg_wchar */
	int			wide_len;
	int			at;				/* characters that are done */
	int			seen;			/* characters and bytes that were counted */
	size_t		seen_bytes;
} RuleRegion;

extern void RuleRegionWiden(RuleRegion *region, const char *text, size_t len);
extern bool RuleRegexNext(const RuleRegex *regex, RuleRegion *region,
						  RuleMatch *match);

/* Bytes of a region at most. */
#define RULE_REGION 1280

/* ---------------- dictionary.c: terms ---------------- */

/* Dictionaries in memory; NULL if there are no terms. */
typedef struct TermSet
{
	MemoryContext context;
	MaskDictionaryList list;
	size_t		bytes;
	int64		terms;
} TermSet;

/* A dictionary as configured, for the visitor of its terms. */
typedef struct TermKind
{
	char	   *name;
	MaskEntity	entity;
	const MaskCustom *custom;
} TermKind;

/* Loads the terms of these dictionaries (TermKind) into a context. */
extern TermSet *TermsLoad(List *kinds);

/* ---------------- key.c ---------------- */

/* Error F0000 with a message: there is no key, and how to make one. */
extern void RefuseWithoutKey(const char *message) pg_attribute_noreturn();

/* ---------------- pattern.c: what a machine value looks like -------- */

typedef struct PolicyPattern PolicyPattern;

/* The pattern of that name, or NULL: then it is a regular expression. */
extern const PolicyPattern *PatternByName(const char *name);

/* True if the value has the pattern's form. */
extern bool PatternMatches(const PolicyPattern *pattern, const char *value,
						   size_t len);

/*
 * What the scanner need not look for in a value of that form; all bits set
 * if it need not look at all.
 */
extern uint64 PatternDisabled(const PolicyPattern *pattern,
							  const char *value, size_t len);

/* ---------------- token.c: the ledger of match tokens ---------------- */

/* What the rows of match_token say about the call that they belong to. */
typedef struct TokenOwner
{
	Datum		call_id;
	Datum		environment;
	Datum		organization_id;
	Datum		request_id;
} TokenOwner;

/*
 * TokensKeep: inserts a row for each token that the call does not have yet.
 * Where the row itself may still be dropped by ON CONFLICT DO NOTHING, it is
 * done once that is settled: PolicySettleTokens.  row_id is that of the row
 * of the segment; NULL if nobody can name it.
 */
extern void TokensKeep(const Segment *seg, const pg_uuid_t *row_id,
					   const TokenOwner *owner, List *tokens);

/* ---------------- log.c: reports and activity ---------------- */

/* The running statement inserts into the ledger: its text is not to be seen. */
extern void LogStatementIsOnLedger(const Segment *seg);

/* The running statement holds values in its text: it is not to be seen. */
extern void LogHideStatement(void);

extern void LogInit(void);

/* ---------------- plan.c: a segment's field policies ---------------- */

typedef enum FieldAction
{
	FIELD_MASK = 0,
	FIELD_KEEP,
	FIELD_HASH,
	FIELD_TRUNCATE_IP,
	FIELD_REDACT,
	FIELD_DROP,
	FIELD_REJECT
} FieldAction;

typedef enum FieldKind
{
	KIND_OTHER = 0,				/* typed: nothing to mask in it */
	KIND_TEXT,
	KIND_JSON,
	KIND_JSONB,
	KIND_INET,
	KIND_BYTEA					/* kept, unless it is to be encrypted */
} FieldKind;

#define FIELD_LAST_MAX 80

typedef struct FieldPlan
{
	/* what each row is compared with stands first, in a line of cache or two */
	bool		humans_only;
	bool		is_array;
	int			last_len;		/* -1: none */

	/*
	 * the last value that was found to be fine as it is; of an array all that
	 * is behind its length
	 */
	char		last[FIELD_LAST_MAX];

	FieldAction action;
	FieldAction on_violation;
	FieldKind	kind;			/* of an array: its elements' */
	const PolicyPattern *pattern;
	text	   *regex;			/* if it is none of ours; NULL: anything */
	NameData	name;
	AttrNumber	attnum;
	Oid			type;			/* as declared, perhaps a domain */
	int32		typmod;
	Oid			base_type;
	const LedgerColumn *column; /* element properties */
	bool		required;		/* withheld or not, there must be a value */
	bool		sensitive;		/* its very name says that it holds secrets */
	bool		fixed;			/* known values and the like don't touch it */
	bool		terms;			/* the dictionaries are for it */
	uint64		rules;			/* and these rules */
	size_t		max_len;		/* masked text that is longer is withheld; 0:
								 * any length */
	const char *hash_kind;
	bool		encrypt;
	const LedgerColumn *sealed; /* the column for its ciphertext; NULL: none */
} FieldPlan;

/* Columns of built-in ledgers that tell what was found; 0 where absent. */
typedef struct OutcomeAttrs
{
	AttrNumber	masking_status;
	AttrNumber	masking_version;
	AttrNumber	pii_found;
	AttrNumber	pii_counts;
	AttrNumber	data_class;
	AttrNumber	body;
	AttrNumber	body_digest;
	AttrNumber	actor_type;
	AttrNumber	call_id;		/* id, in llm_call itself */
	AttrNumber	environment;
	AttrNumber	organization_id;
	AttrNumber	request_id;
	AttrNumber	service_name;
} OutcomeAttrs;

typedef struct LedgerPlan
{
	Oid			relid;			/* hash key */
	uint64		generation;		/* 0: not valid */
	MemoryContext context;
	int			natts;
	int			nfields;
	bool		humans_only;	/* some field's policy asks who the actor is */
	const RuleSet *rules;
	FieldPlan  *fields;
	AttrNumber *attnums;		/* theirs, since most of a row is null */
	LedgerColumn *columns;
	OutcomeAttrs outcome;

	bool		encrypts;		/* the policy of some column */

	/* columns of llm_content that hold ciphertext only; NULL elsewhere */
	const LedgerColumn *body_encrypted;
	const LedgerColumn *original_encrypted;
	const LedgerColumn *input_digest;	/* only recording sets it; or NULL */
	char	   *version;		/* masking_version of rows under this plan */
} LedgerPlan;

/*
 * PlanFor: the plan of the segment's ledger, as configured now.  It stays
 * until the end of the transaction at least.
 */
extern LedgerPlan *PlanFor(const Segment *seg);

#endif
