/*
 * mask.h
 *	  What the mask room offers: finding and masking of personal data and
 *	  secrets in text and JSON.
 *
 * No PostgreSQL header is needed here: the same code runs in the insert
 * trigger, in SQL functions, in unit tests and under fuzzers.  Memory comes
 * from the caller's MaskAllocator only, so that a memory context can own it.
 * All entry points are linear in the length of the text, whatever the text,
 * and what it may cost is bounded beside that (work.c).
 * Text is in UTF-8; what is not can't be masked and is to be withheld.
 *
 * The usual call is MaskDocument(): one text in, one masked text out.
 */
#ifndef LLM_AUDIT_MASK_H
#define LLM_AUDIT_MASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Kinds of finding.  Names (MaskEntityName) are Presidio's where Presidio
 * has one.  The order is of no meaning and may change: store names.
 */
typedef enum MaskEntity
{
	MASK_CREDIT_CARD = 0,
	MASK_IBAN_CODE,
	MASK_KZ_IIN,
	MASK_KZ_BIN,
	MASK_RU_INN,
	MASK_RU_SNILS,
	MASK_US_SSN,
	MASK_US_ITIN,
	MASK_US_PASSPORT,
	MASK_RU_PASSPORT,
	MASK_KZ_DOCUMENT,
	MASK_US_DRIVER_LICENSE,
	MASK_US_BANK_NUMBER,
	MASK_NATIONAL_ID,			/* other countries' personal numbers */
	MASK_PHONE_NUMBER,
	MASK_EMAIL_ADDRESS,
	MASK_IP_ADDRESS,
	MASK_MAC_ADDRESS,
	MASK_CRYPTO,
	MASK_DATE_OF_BIRTH,
	MASK_PERSON,
	MASK_KNOWN_VALUE,			/* a value the caller named */
	MASK_URL_CREDENTIALS,
	MASK_API_KEY,				/* a provider's key, known by its prefix */
	MASK_ACCESS_TOKEN,			/* a service's token, known by its prefix */
	MASK_JWT,
	MASK_PRIVATE_KEY,
	MASK_AUTHORIZATION,
	MASK_PASSWORD,
	MASK_SECRET,				/* an assignment to a key like "secret" */
	MASK_ENTITY_COUNT
} MaskEntity;

/*
 * Kinds from MASK_ENTITY_CUSTOM on are the caller's own: it numbers them,
 * names them, and says how they are written.
 */
#define MASK_ENTITY_CUSTOM 48

/* Not a kind: the rest of a text that takes too much work to look at. */
#define MASK_ENTITY_REST 47
#define MASK_ENTITY_ROOM 64

typedef enum MaskStyle
{
	MASK_STYLE_TAG = 0,			/* <NAME> */
	MASK_STYLE_LAST2,			/* <NAME:**12> */
	MASK_STYLE_LAST4,			/* <NAME:**3412> */
	MASK_STYLE_ENDS				/* 4403****1298, of twelve or more */
} MaskStyle;

typedef struct MaskCustom
{
	const char *name;			/* capitals, digits and _, at most 40 */
	MaskStyle	style;
} MaskCustom;

/* One finding; positions are bytes of the caller's text, end exclusive. */
typedef struct MaskHit
{
	size_t		start;
	size_t		end;
	const char *validator;		/* static: what convinced us */
	const MaskCustom *custom;	/* how it is written; NULL: as its entity is */
	float		score;			/* 0..1 */
	uint8_t		entity;			/* MaskEntity, or a kind of the caller's own */
	uint8_t		keep;			/* leading bytes to show (key prefixes) */
} MaskHit;

typedef enum MaskStatus
{
	MASK_CLEAN = 0,				/* nothing found, text unchanged */
	MASK_MASKED,				/* something found */
	MASK_WITHHELD,				/* can't be masked: keep digest, not text */
	MASK_NO_MEMORY				/* the allocator returned NULL */
} MaskStatus;

/* The caller's memory.  release may be NULL (a memory context is reset). */
typedef struct MaskAllocator
{
	void	   *(*alloc) (void *arg, size_t size);
	void		(*release) (void *arg, void *chunk);
	void	   *arg;
} MaskAllocator;

/* A value that must be masked wherever it occurs (a customer's name, ...). */
typedef struct MaskValue
{
	const char *text;			/* UTF-8 */
	size_t		len;
} MaskValue;

typedef struct MaskOptions MaskOptions;
typedef struct MaskWork MaskWork;

/*
 * Looks for more than the detectors do, in each plain text and each string of
 * JSON, as the scanner reads them.  *hits is allocated with the options'
 * allocator, ordered by start.  Returns MASK_CLEAN, MASK_MASKED,
 * MASK_WITHHELD to withhold the whole document, or MASK_NO_MEMORY.  What it
 * finds is masked also where MaskOptions.disabled has the entity.
 */
typedef struct MaskFinder
{
	MaskStatus	(*find) (void *arg, const MaskOptions *options,
						 const char *text, size_t len,
						 MaskHit **hits, size_t *count);
	void	   *arg;
} MaskFinder;

#define MASK_FINDERS 2

struct MaskOptions
{
	MaskAllocator allocator;
	/* Values to mask, compared case-folded; shorter than 2 are ignored. */
	const MaskValue *known;
	size_t		known_count;
	/* Words that stand as if before the text: a column's or key's name. */
	const char *context;
	size_t		context_len;
	/* JSON nesting that is still read; 0 means MASK_DEFAULT_DEPTH. */
	int			max_depth;
	/* Bit (1 << entity) set: don't report that entity. */
	uint64_t	disabled;

	/*
	 * Called for each finding that is masked, with its value as the scanner
	 * read it (JSON: without escapes).  A part of JSON that is read in two
	 * ways may be told twice.  May be NULL.
	 */
	void		(*found) (void *arg, MaskEntity entity, const char *value,
						  size_t len);
	void	   *found_arg;
	MaskFinder	finders[MASK_FINDERS];	/* those with a function are asked */

	/* What the document's parts may cost together; the caller sets NULL. */
	MaskWork   *work;
};

#define MASK_DEFAULT_DEPTH 256

typedef struct MaskResult
{
	MaskStatus	status;
	char	   *text;			/* allocated if MASK_MASKED, else NULL */
	size_t		len;
	const char *reason;			/* static: why MASK_WITHHELD, else NULL */
	uint64_t	entities;		/* bit set of what was found */
	size_t		hit_count;
	bool		cut;			/* the rest of text is withheld: too much work */
	uint32_t	counts[MASK_ENTITY_ROOM];	/* findings of each kind */
} MaskResult;

/*
 * The version of rules and forms; rises when either changes, which
 * test_mask_version.c notices.
 */
#define MASK_VERSION 4

/* An entity's name, for example "CREDIT_CARD"; never NULL. */
extern const char *MaskEntityName(MaskEntity entity);

/*
 * Finds what has to be masked in plain text.  *hits becomes an allocated
 * array (NULL when there is none) ordered by start, without overlaps; the
 * last is of MASK_ENTITY_REST, to the text's end, if that is too much work.
 * Returns MASK_CLEAN, MASK_MASKED, MASK_WITHHELD (known values beyond
 * reason, or a text that isn't UTF-8) or MASK_NO_MEMORY.
 */
extern MaskStatus MaskFind(const MaskOptions *options, const char *text,
						   size_t len, MaskHit **hits, size_t *count);

/*
 * Writes the masked form of one finding into out (MASK_FORM_MAX bytes are
 * enough) and returns its length.  The form is plain ASCII without quotes,
 * backslashes or control characters, except that a domain may hold letters
 * of other scripts; so it can stand inside a JSON string as it is.
 */
#define MASK_FORM_MAX 320
extern size_t MaskForm(const char *text, const MaskHit *hit, char *out);

/* Masks plain text.  result->text is allocated when anything was found. */
extern MaskStatus MaskText(const MaskOptions *options, const char *text,
						   size_t len, MaskResult *result);

/*
 * Masks a JSON document: values under sensitive keys entirely, all other
 * strings, numbers and keys by content; the rest stays byte for byte.
 * MASK_WITHHELD when it isn't JSON, isn't UTF-8 or is nested too deep.
 */
extern MaskStatus MaskJson(const MaskOptions *options, const char *text,
						   size_t len, MaskResult *result);

/*
 * Masks a text that may be JSON: as JSON if it is a JSON object or array,
 * as plain text otherwise.  The one call that a text column needs.
 */
extern MaskStatus MaskDocument(const MaskOptions *options, const char *text,
							   size_t len, MaskResult *result);

/* True if a JSON key or column of that name holds secrets, never prose. */
extern bool MaskKeyIsSensitive(const char *key, size_t len);

/*
 * The form of a value under which it is compared by equality: digits only,
 * lower-case e-mail and so on (the input of a match token's HMAC).  Writes
 * at most len + 16 bytes to out and returns the number written.
 */
extern size_t MaskNormalize(MaskEntity entity, const char *value, size_t len,
							char *out);

/*
 * A dictionary: terms of up to MASK_TERM_WORDS words, found without regard
 * to case, as whole words, and with the endings of Russian and Kazakh, in
 * any number of them at once.  What is kept of a term are hashes: 8 bytes
 * for each of its words, which follow from all words up to it.
 */
#define MASK_TERM_WORDS 8
#define MASK_TERM_BYTES 200
#define MASK_TERM_HASH 8
#define MASK_SEAL_BLOCK 16

/*
 * Turns blocks of 16 bytes into others that only who has a key can tell, in
 * place.  A dictionary without it is made of plain hashes.  False: it cannot.
 */
typedef struct MaskSeal
{
	bool		(*seal) (void *arg, unsigned char *blocks, size_t count);
	void	   *arg;
} MaskSeal;

typedef struct MaskDictionary MaskDictionary;

/* An empty dictionary with room for words of terms; NULL without memory. */
extern MaskDictionary *MaskDictionaryMake(const MaskAllocator *allocator,
										  const MaskSeal *seal, size_t words);

/*
 * The hashes of a term into out (MASK_TERM_WORDS * MASK_TERM_HASH bytes);
 * the number of its words, 0 if it cannot be a term: no letter or digit, too
 * long, or one character only.
 */
extern int	MaskTermHashes(const MaskSeal *seal, const char *term, size_t len,
						   unsigned char *out);

/* Adds a term by its hashes; false if there is no room left. */
extern bool MaskDictionaryAdd(MaskDictionary *dictionary,
							  const unsigned char *hashes, int words,
							  MaskEntity entity, const MaskCustom *custom);

/* Bytes that the dictionary takes. */
extern size_t MaskDictionarySize(const MaskDictionary *dictionary);

/*
 * The terms of several dictionaries in a text; *arg is a
 * MaskDictionaryList.  For MaskOptions.finders.
 */
typedef struct MaskDictionaryList
{
	MaskDictionary **dictionaries;
	int			count;
} MaskDictionaryList;

extern MaskStatus MaskDictionaryFind(void *arg, const MaskOptions *options,
									 const char *text, size_t len,
									 MaskHit **hits, size_t *count);

/*
 * Folds case as all comparisons of the scanner do; out gets len bytes.
 */
extern void MaskFold(const char *text, size_t len, char *out);

/*
 * Turns byte positions of hits into positions in characters, in place.
 * Linear in the text; hits are ordered as MaskFind leaves them.
 */
extern void MaskCharPositions(const char *text, size_t len, MaskHit *hits,
							  size_t count);

#endif
