/*
 * policy.h
 *	  What the policy room offers: field policies applied to a new row, and
 *	  keyed pseudonyms.
 *
 * It stands between the ledger room, whose trigger calls it, and the mask
 * room, whose scanner it feeds.  Of the ledger room it uses the registry
 * only.
 */
#ifndef LLM_AUDIT_POLICY_H
#define LLM_AUDIT_POLICY_H

#include "postgres.h"

#include "ledger/ledger.h"
#include "mask/mask.h"
#include "nodes/pg_list.h"
#include "utils/uuid.h"

extern bool llm_audit_masking;
extern char *llm_audit_key_file;

/* ---------------- findings.c: examining text ---------------- */

/* What examining texts has found so far. */
typedef struct PolicyFindings
{
	bool		examined;		/* some text was looked at */
	bool		withheld;		/* some text could not be masked */
	uint32		counts[MASK_ENTITY_ROOM];
	List	   *tokens;			/* FoundToken, at most FOUND_TOKENS_MAX */
	const char *field;			/* what is being looked at, or NULL */
	List	   *fields;			/* FieldFinding, by the fields' order */
} PolicyFindings;

/* Beside kinds of entities, what may have become of a value. */
#define FIELD_WITHHELD (MASK_ENTITY_ROOM + 0)
#define FIELD_DROPPED (MASK_ENTITY_ROOM + 1)
#define FIELD_REDACTED (MASK_ENTITY_ROOM + 2)

/* How often something was found in a field, or became of its values. */
typedef struct FieldFinding
{
	const char *field;
	int			what;			/* MaskEntity, or one of those above */
	uint32		count;
} FieldFinding;

/* The keyed hash of an identifier that was found. */
typedef struct FoundToken
{
	MaskEntity	entity;
	char	   *token;
} FoundToken;

#define FOUND_TOKENS_MAX 100

/* True if anything was found. */
extern bool FindingsAny(const PolicyFindings *findings);

/* Notes it of the field that is being looked at. */
extern void FindingsNote(PolicyFindings *findings, int what, uint32 count);

/* pii_counts: a jsonb object of counts by entity, palloc'd. */
extern Datum FindingsToJsonb(const PolicyFindings *findings);

/*
 * pii_fields: a jsonb object of such objects by field, in which "withheld",
 * "dropped" and "redacted" count values that were not stored.
 */
extern Datum FindingsFieldsToJsonb(const PolicyFindings *findings);

/*
 * The higher of data_class and what was found: banking_secrecy for data of
 * cards and accounts, personal for data of persons.  Returns NULL where
 * data_class (NUL-terminated) stays as it is.
 */
extern const char *FindingsDataClass(const PolicyFindings *findings,
									 const char *data_class);

/*
 * PolicyExamine: looks through a text that will not be stored (where content
 * is not recorded) and adds what it finds to findings.  known_values is what
 * the writer knows of the call (a text[]), or NULL.
 */
extern void PolicyExamine(const char *data, size_t len,
						  const Datum *known_values,
						  PolicyFindings *findings);

/*
 * PolicyAttach: the row of llm_call that this transaction is about to insert
 * with this id belongs to texts with these findings; its masking_status,
 * pii_found, pii_counts and data_class will say so.  Of two documents with
 * the same id, one of which cannot be stored, the higher counts stay.
 */
extern void PolicyAttach(const pg_uuid_t *call_id,
						 const PolicyFindings *findings);

/* ---------------- apply.c: the insert trigger's step ---------------- */

/*
 * PolicyApply: applies the field policies to a new row of the segment, whose
 * values and nulls are by attribute number.  Raises 22023 for a value that
 * its policy rejects, F0000 if a policy needs a key that is not there.
 */
extern void PolicyApply(const Segment *seg, Datum *values, bool *nulls);

/* True while rows come whose input_digest is ours. */
extern bool PolicyTakesInputDigest;

/*
 * PolicyPreview: makes of a row what PolicyApply would have made of it, but
 * for encryption, while the live key of that number (0: the current one) was
 * the current one, and leaves no trace.  For telling a retry from another row.
 */
extern void PolicyPreview(const Segment *seg, int which, Datum *values,
						  bool *nulls);

/*
 * PolicyRowDropped: ON CONFLICT DO NOTHING has dropped the last row with this
 * id that was to be inserted into the segment; it leaves no match tokens.
 */
extern void PolicyRowDropped(Oid leaf, const pg_uuid_t *id);

/*
 * PolicySettleTokens: inserts the match tokens of rows that are in by now.
 * At the end of each statement that may drop rows, once pending positions
 * are resolved.
 */
extern void PolicySettleTokens(void);

/* True if there are any. */
extern bool PolicyTokensWait(void);

/*
 * PolicyStoredPlain: the plain value of an attribute that is encrypted in a
 * stored row, whose values and nulls are by attribute number, as a datum of
 * the attribute's type.  False if it is not encrypted there, or, with *lost
 * set, cannot be decrypted any more.
 */
extern bool PolicyStoredPlain(const Segment *seg, AttrNumber attnum,
							  const Datum *values, const bool *nulls,
							  Datum *plain, bool *lost);

/* ---------------- key.c: keys from outside the database ---------------- */

/*
 * PolicyPseudonym: the keyed hash of a value, "keyid:hash", palloc'd with a
 * terminating NUL.  kind says what the value is: equal values of different
 * kinds are not told to be equal.  which is 0 for the current key, and so on
 * for the older ones; NULL if there are not that many keys.
 */
extern char *PolicyPseudonym(int which, const char *kind,
							 const char *value, size_t len);

/*
 * PolicyToken: the match token of an identifier in its normal form
 * (MaskNormalize), likewise.
 */
extern char *PolicyToken(int which, const char *normal, size_t len);

/* How many live keys there are; 0 without a key file. */
extern int	PolicyKeyCount(void);

/* The id of a live key, or NULL if there are not that many. */
extern const char *PolicyKeyId(int which);

/* True if the value is such a pseudonym already, under a live key. */
extern bool PolicyIsPseudonym(const char *value, size_t len);

/* The keyed digest of a text, as a bytea "keyid:32 bytes"; 0 if no key. */
extern Datum PolicyDigest(const char *data, size_t len);

/*
 * PolicyInputHash: the keyed hash of what a writer gave, before it is masked;
 * false if there are not that many keys.
 */
extern bool PolicyInputHash(int which, const void *data, size_t len,
							uint8 *out);

/*
 * PolicyDeriveKey: 32 bytes derived for a purpose from the key of that id, or
 * from the current one (NULL), whose id goes to id_out[17].  False if there
 * is no such key.  The caller wipes them.
 */
extern bool PolicyDeriveKey(const char *id, const char *purpose,
							char *id_out, uint8 *out);

/* ---------------- log.c: what reports may say ---------------- */

/* True for a SQLSTATE whose reports quote values. */
extern bool PolicyMayQuote(int sqlerrcode);

/*
 * PolicyWithhold: takes the values out of the report of a statement on a
 * ledger, if its SQLSTATE is one of those.
 */
extern void PolicyWithhold(ErrorData *edata);

/* Says that the client's statement is on a ledger, whatever its text is. */
extern void PolicyStatementIsOnLedger(void);

/* Defines llm_audit.key_file and whatever else the room needs at start. */
extern void PolicyInit(void);

#endif
