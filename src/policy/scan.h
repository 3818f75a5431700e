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

/* Inserts a row for each token that the call does not have yet. */
extern void TokensWrite(const TokenOwner *owner, List *tokens);

/* ---------------- log.c: reports and activity ---------------- */

/* The running statement inserts into the ledger: its text is not to be seen. */
extern void LogStatementIsOnLedger(const Segment *seg);

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

#define FIELD_LAST_MAX 64

typedef struct FieldPlan
{
	NameData	name;
	AttrNumber	attnum;
	Oid			type;			/* as declared, perhaps a domain */
	int32		typmod;
	Oid			base_type;
	FieldKind	kind;			/* of an array: its elements' */
	bool		is_array;
	const LedgerColumn *column; /* element properties */
	bool		required;		/* withheld or not, there must be a value */
	bool		sensitive;		/* its very name says that it holds secrets */
	bool		fixed;			/* known values and the like don't touch it */
	size_t		max_len;		/* masked text that is longer is withheld; 0:
								 * any length */
	bool		humans_only;
	FieldAction action;
	FieldAction on_violation;
	const PolicyPattern *pattern;
	text	   *regex;			/* if it is none of ours; NULL: anything */
	const char *hash_kind;
	bool		encrypt;
	const LedgerColumn *sealed; /* the column for its ciphertext; NULL: none */

	/* the last value that was found to be fine as it is */
	int			last_len;		/* -1: none */
	char		last[FIELD_LAST_MAX];
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
	FieldPlan  *fields;
	LedgerColumn *columns;
	OutcomeAttrs outcome;

	bool		encrypts;		/* the policy of some column */

	/* columns of llm_content that hold ciphertext only; NULL elsewhere */
	const LedgerColumn *body_encrypted;
	const LedgerColumn *original_encrypted;
	char	   *version;		/* masking_version of rows under this plan */
} LedgerPlan;

/*
 * PlanFor: the plan of the segment's ledger, as configured now.  It stays
 * until the end of the transaction at least.
 */
extern LedgerPlan *PlanFor(const Segment *seg);

/* The action of that name; false if there is none. */
extern bool FieldActionByName(const char *name, FieldAction *action);

#endif
