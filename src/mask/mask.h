/*
 * mask.h
 *	  What the mask room offers: finding and masking of personal data and
 *	  secrets in text and JSON.
 *
 * No PostgreSQL header is needed here: the same code runs in the insert
 * trigger, in SQL functions, in unit tests and under fuzzers.  Memory comes
 * from the caller's MaskAllocator only, so that a memory context can own it.
 * All entry points are linear in the length of the text, whatever the text.
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

/* One finding; positions are bytes of the caller's text, end exclusive. */
typedef struct MaskHit
{
	MaskEntity	entity;
	size_t		start;
	size_t		end;
	float		score;			/* 0..1 */
	const char *validator;		/* static: what convinced us */
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

typedef struct MaskOptions
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
} MaskOptions;

#define MASK_DEFAULT_DEPTH 256

typedef struct MaskResult
{
	MaskStatus	status;
	char	   *text;			/* allocated if MASK_MASKED, else NULL */
	size_t		len;
	const char *reason;			/* static: why MASK_WITHHELD, else NULL */
	uint64_t	entities;		/* bit set of what was found */
	size_t		hit_count;
	uint32_t	counts[MASK_ENTITY_COUNT];	/* findings of each kind */
} MaskResult;

/* The version of rules and forms; rises when either changes. */
#define MASK_VERSION 1

/* An entity's name, for example "CREDIT_CARD"; never NULL. */
extern const char *MaskEntityName(MaskEntity entity);

/*
 * Finds what has to be masked in plain text.  *hits becomes an allocated
 * array (NULL when there is none) ordered by start, without overlaps.
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
 * Turns byte positions of hits into positions in characters, in place.
 * Linear in the text; hits are ordered as MaskFind leaves them.
 */
extern void MaskCharPositions(const char *text, size_t len, MaskHit *hits,
							  size_t count);

#endif
