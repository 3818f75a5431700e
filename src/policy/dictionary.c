/*
 * dictionary.c
 *	  Dictionaries of terms: from their table into memory, and sealed.
 *
 * The memory of a backend holds hashes only.  A sealed dictionary has
 * nothing else in its table either: hashes under a key of the key file, so
 * that whoever gets the database, a dump or a backup can't test a name.
 */
#include "postgres.h"

#include <openssl/evp.h>

#include "access/htup_details.h"
#include "core/secret.h"
#include "fmgr.h"
#include "policy/scan.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(llm_audit_term_hashes);

/* Column numbers of dictionary_term, as sql/37_mask_rule.sql. */
#define TERM_DICTIONARY_ATT		1
#define TERM_TERM_ATT			2
#define TERM_HASHES_ATT			3
#define TERM_KEY_ATT			4

#define SEAL_PURPOSE "llm_audit dictionary 1"

#define SEAL_KEY_SIZE 32

/* Of the hashes, stored before them: rises when terms hash otherwise. */
#define TERM_VERSION 1
#define TERM_ROOM (1 + MASK_TERM_WORDS * MASK_TERM_HASH)

/* A cipher under what is derived from a key of the key file. */
typedef struct TermSeal
{
	char	   *key_id;			/* NULL: no seal */
	uint8	   *key;			/* memory for keys */
	EVP_CIPHER_CTX *cipher;		/* holds the key only while it works */
	MemoryContextCallback release;
	MaskDictionary *dictionary;
	size_t		terms;			/* that belong into it */
} TermSeal;

/* What the visitor of dictionary_term works on. */
typedef struct TermLoad
{
	List	   *kinds;			/* TermKind */
	List	   *seals;			/* TermSeal */
	int64		terms;
	size_t		scale;			/* words of a term that there is room for */
	bool		counting;		/* the first time, terms are only counted */
	bool		full;			/* some dictionary has no room left */
} TermLoad;

/* MaskSeal's function: AES-256 of each block. */
static bool
SealBlocks(void *arg, unsigned char *blocks, size_t count)
{
	TermSeal   *seal = arg;
	int			len;
	bool		done;

	done = EVP_EncryptInit_ex(seal->cipher, EVP_aes_256_ecb(), NULL, seal->key, NULL) == 1 &&
		EVP_CIPHER_CTX_set_padding(seal->cipher, 0) == 1 &&
		EVP_EncryptUpdate(seal->cipher, blocks, &len, blocks,
						  (int) (count * MASK_SEAL_BLOCK)) == 1;
	/* which overwrites the key's schedule: that memory is not for keys */
	EVP_CIPHER_CTX_reset(seal->cipher);
	return done;
}

static void
FreeSeal(void *arg)
{
	TermSeal   *seal = arg;

	EVP_CIPHER_CTX_free(seal->cipher);
	SecretFree(seal->key, SEAL_KEY_SIZE);
}

/* Prepares the seal of a key, which lives as long as the context. */
static void
SealInit(TermSeal *seal, const char *key_id)
{
	char		id[17];

	memset(seal, 0, sizeof(*seal));
	if (key_id == NULL)
		return;
	seal->key_id = pstrdup(key_id);
	seal->release.func = FreeSeal;
	seal->release.arg = seal;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &seal->release);
	seal->key = SecretAlloc(SEAL_KEY_SIZE);
	seal->cipher = EVP_CIPHER_CTX_new();
	if (seal->key == NULL || seal->cipher == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Failed while preparing a cipher.")));
	if (!PolicyDeriveKey(key_id, SEAL_PURPOSE, id, seal->key))
		ereport(ERROR,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("terms of a dictionary are sealed under key \"%s\", which is not there",
						key_id),
				 errhint("Put the key back into the file that \"%s\" names, or load the dictionary again.",
						 "llm_audit.key_file")));
}

/* The scanner's view of a seal. */
static MaskSeal
MaskSealOf(TermSeal *seal)
{
	MaskSeal	result = {seal->cipher != NULL ? SealBlocks : NULL, seal};

	return result;
}

/* ---------------- loading ---------------- */

static void *
TermAlloc(void *arg, size_t size)
{
	return MemoryContextAllocExtended(CurrentMemoryContext, size,
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
}

/* The seal of terms under a key, made if it is the first. */
static TermSeal *
SealFor(TermLoad *load, const char *key_id)
{
	TermSeal   *seal;
	ListCell   *lc;

	foreach(lc, load->seals)
	{
		seal = lfirst(lc);
		if ((seal->key_id == NULL) == (key_id == NULL) &&
			(key_id == NULL || strcmp(seal->key_id, key_id) == 0))
			return seal;
	}
	seal = palloc0(sizeof(TermSeal));
	SealInit(seal, key_id);
	load->seals = lappend(load->seals, seal);
	return seal;
}

/* A dictionary for each seal, with room for what was counted. */
static void
MakeDictionaries(TermLoad *load)
{
	MaskAllocator allocator = {TermAlloc, NULL, NULL};
	ListCell   *lc;

	foreach(lc, load->seals)
	{
		TermSeal   *seal = lfirst(lc);
		MaskSeal	mask_seal = MaskSealOf(seal);

		seal->dictionary = MaskDictionaryMake(&allocator, &mask_seal,
											  seal->terms * load->scale);
		if (seal->dictionary == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory")));
	}
}

static const TermKind *
KindOfTerm(const TermLoad *load, const text *name)
{
	ListCell   *lc;

	foreach(lc, load->kinds)
	{
		TermKind   *kind = lfirst(lc);

		if (strlen(kind->name) == VARSIZE_ANY_EXHDR(name) &&
			memcmp(kind->name, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)) == 0)
			return kind;
	}
	return NULL;
}

/* The stored hashes of a sealed term; how many words they are. */
static int
StoredHashes(const bytea *stored, unsigned char *hashes)
{
	size_t		len = VARSIZE_ANY_EXHDR(stored);
	const unsigned char *data = (const unsigned char *) VARDATA_ANY(stored);

	if (len <= 1 || len > TERM_ROOM || (len - 1) % MASK_TERM_HASH != 0 ||
		data[0] != TERM_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a sealed term of a dictionary cannot be read"),
				 errhint("It was sealed by another version of llm_audit: load the dictionary again.")));
	memcpy(hashes, data + 1, len - 1);
	return (int) ((len - 1) / MASK_TERM_HASH);
}

/* Visitor: the rows of dictionary_term. */
static void
TermRowRead(HeapTuple tuple, TupleDesc desc, void *arg)
{
	TermLoad   *load = arg;
	unsigned char hashes[MASK_TERM_WORDS * MASK_TERM_HASH];
	bool		isnull;
	bool		sealed;
	char	   *key_id = NULL;
	Datum		value = heap_getattr(tuple, TERM_DICTIONARY_ATT, desc, &isnull);
	const TermKind *kind = KindOfTerm(load, DatumGetTextPP(value));
	TermSeal   *seal;
	int			words;

	if (kind == NULL || load->full)
		return;
	value = heap_getattr(tuple, TERM_KEY_ATT, desc, &isnull);
	sealed = !isnull;
	if (sealed)
		key_id = TextDatumGetCString(value);
	seal = SealFor(load, key_id);
	if (sealed)
		pfree(key_id);
	if (load->counting)
	{
		seal->terms++;
		return;
	}
	value = heap_getattr(tuple, sealed ? TERM_HASHES_ATT : TERM_TERM_ATT, desc,
						 &isnull);
	if (sealed)
		words = StoredHashes(DatumGetByteaPP(value), hashes);
	else
		words = MaskTermHashes(NULL, VARDATA_ANY(DatumGetTextPP(value)),
							   VARSIZE_ANY_EXHDR(DatumGetTextPP(value)), hashes);
	load->full = !MaskDictionaryAdd(seal->dictionary, hashes, words,
									kind->entity, kind->custom);
	load->terms++;
}

/* The kinds, with names that live as long as the terms. */
static List *
CopyKinds(List *kinds)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, kinds)
	{
		TermKind   *kind = palloc(sizeof(TermKind));
		MaskCustom *custom = palloc(sizeof(MaskCustom));

		*kind = *(TermKind *) lfirst(lc);
		*custom = *kind->custom;
		custom->name = pstrdup(custom->name);
		kind->custom = custom;
		result = lappend(result, kind);
	}
	return result;
}

/* Loads with room for so many words a term; false if that is too little. */
static bool
LoadTerms(TermSet *set, List *kinds, size_t scale)
{
	TermLoad	load = {.kinds = CopyKinds(kinds),.scale = scale};
	ListCell   *lc;

	load.counting = true;
	ConfigScan("dictionary_term", NULL, 0, TermRowRead, &load);
	load.counting = false;
	MakeDictionaries(&load);
	ConfigScan("dictionary_term", NULL, 0, TermRowRead, &load);
	if (load.full)
		return false;
	set->terms = load.terms;
	set->list.dictionaries = palloc(sizeof(MaskDictionary *) *
									Max(list_length(load.seals), 1));
	foreach(lc, load.seals)
	{
		TermSeal   *seal = lfirst(lc);

		set->list.dictionaries[set->list.count++] = seal->dictionary;
		set->bytes += MaskDictionarySize(seal->dictionary);
	}
	return true;
}

TermSet *
TermsLoad(List *kinds)
{
	size_t		scale = 1;
	TermSet    *set = NULL;

	while (set == NULL)
	{
		MemoryContext context = AllocSetContextCreate(TopTransactionContext,
													  "llm_audit terms",
													  ALLOCSET_DEFAULT_SIZES);
		MemoryContext old = MemoryContextSwitchTo(context);

		set = palloc0(sizeof(TermSet));
		set->context = context;
		if (!LoadTerms(set, kinds, scale))
		{
			set = NULL;
			scale *= 2;
		}
		MemoryContextSwitchTo(old);
		if (set == NULL)
			MemoryContextDelete(context);
	}
	return set;
}

/* ---------------- SQL ---------------- */

/*
 * llm_audit.term_hashes(term text, key_id text) → bytea
 *		What a sealed dictionary keeps of a term, under the current key or the
 *		one given; with an empty key_id, unsealed, for comparison only.  NULL
 *		if it cannot be a term.  Error F0000 without a key.
 */
Datum
llm_audit_term_hashes(PG_FUNCTION_ARGS)
{
	text	   *term = PG_GETARG_TEXT_PP(0);
	char	   *key_id = text_to_cstring(PG_GETARG_TEXT_PP(1));
	unsigned char *hashes;
	bytea	   *result = palloc(VARHDRSZ + TERM_ROOM);
	TermSeal   *seal = palloc(sizeof(TermSeal));	/* the context frees it */
	MaskSeal	mask_seal;
	int			words;

	SealInit(seal, *key_id != '\0' ? key_id : NULL);
	mask_seal = MaskSealOf(seal);
	hashes = (unsigned char *) VARDATA(result);
	hashes[0] = TERM_VERSION;
	words = MaskTermHashes(&mask_seal, VARDATA_ANY(term),
						   VARSIZE_ANY_EXHDR(term), hashes + 1);
	if (words == 0)
		PG_RETURN_NULL();
	SET_VARSIZE(result, VARHDRSZ + 1 + words * MASK_TERM_HASH);
	PG_RETURN_BYTEA_P(result);
}
