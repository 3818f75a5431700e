/*
 * dictionary.c
 *	  Terms that a dictionary lists: people, projects, code names.
 *
 * A dictionary is a set of hashes.  The hash of a term's first word is that
 * of the word, the hash of two words follows from the first's and the second
 * word, and so on; the text is looked up word by word, and goes on to a
 * second word only where the first was found.  So a hundred thousand terms
 * cost a few megabytes and about one look-up for each word of text, and
 * nothing that could be read is kept.  With a seal (a cipher under a key)
 * the hashes can't even be tested without that key; the blocks of many words
 * are sealed in one call.
 *
 * Words are compared by their stems: Russian and Kazakh words without the
 * endings of declension, English ones without a plural's "s".
 */
#include "mask/lexicon.h"
#include "mask/scan.h"

#include <stdlib.h>
#include <string.h>

/* Candidates that are sealed and looked up together. */
#define BATCH 64
#define STEMS_MAX 6
#define WORD_MAX 64
/* What may stand between two words of a term. */
#define GAP_MAX 3

/* What a hash stands for. */
#define VALUE_TERM 0x40			/* a whole term; below it, its entity */
#define VALUE_MORE 0x80			/* the beginning of longer ones */

struct MaskDictionary
{
	MaskSeal	seal;
	size_t		slots;			/* a power of two */
	size_t		used;
	size_t		size;
	uint64_t   *keys;			/* 0: free */
	uint64_t   *firsts;			/* two bits a slot: words that begin a term */
	uint8_t    *values;
	const MaskCustom *customs[MASK_ENTITY_ROOM];
};

/* A word of the text by one of its stems. */
typedef struct Candidate
{
	size_t		start;
	size_t		end;			/* of the word, not of the stem */
} Candidate;

typedef struct Search
{
	const MaskDictionaryList *list;
	const MaskOptions *options;
	const unsigned char *text;	/* folded */
	size_t		len;
	Candidate	candidates[BATCH];
	unsigned char blocks[BATCH * MASK_SEAL_BLOCK];
	int			waiting;
	MaskHit    *hits;
	size_t		count;
	size_t		room;
	bool		no_memory;		/* or the seal failed */
} Search;

#define ENDING_SLOTS 512
static uint64_t ending_set[ENDING_SLOTS];

/* ---------------- words ---------------- */

static inline size_t
EndingSlot(uint64_t ending)
{
	return (size_t) (ending * UINT64_C(0x9E3779B97F4A7C15) >> 55);
}

/* An ending of up to four letters of two bytes as a number. */
static inline uint64_t
PackEnding(const unsigned char *ending, size_t len)
{
	uint64_t	packed = 0;

	memcpy(&packed, ending, len);
	return packed;
}

static bool
IsEnding(const unsigned char *ending, size_t len)
{
	uint64_t	packed = PackEnding(ending, len);

	for (size_t slot = EndingSlot(packed); ending_set[slot] != 0;
		 slot = (slot + 1) % ENDING_SLOTS)
		if (ending_set[slot] == packed)
			return true;

	return false;
}

/* Fills the set of endings, once. */
static void
PrepareEndings(void)
{
	static const char endings[] = LEX_ENDINGS;
	const char *at = endings;

	if (ending_set[EndingSlot(PackEnding((const unsigned char *) at, 2))] != 0)
		return;
	while (*at != '\0')
	{
		size_t		len = strcspn(at, "|");
		uint64_t	packed;
		size_t		slot;

		if (len <= sizeof(packed))
		{
			packed = PackEnding((const unsigned char *) at, len);
			slot = EndingSlot(packed);
			while (ending_set[slot] != 0 && ending_set[slot] != packed)
				slot = (slot + 1) % ENDING_SLOTS;
			ending_set[slot] = packed;
		}
		at += len + (at[len] == '|');
	}
}

/* Adds a stem's length, unless it is there. */
static int
AddStem(size_t *stems, int count, const unsigned char *word, size_t len)
{
	size_t		stem = word[0] >= 0xD0 && word[0] <= 0xD3 ?
	StemLength(word, len) : len;

	for (int i = 0; i < count; i++)
		if (stems[i] == stem)
			return count;
	stems[count] = stem;
	return count + 1;
}

/* What the word may be an inflected form of; lengths of its beginnings. */
static int
StemsOf(const unsigned char *word, size_t len, size_t stems[STEMS_MAX])
{
	int			count = AddStem(stems, 0, word, len);

	if (word[0] >= 0xD0 && word[0] <= 0xD3)
	{
		for (size_t cut = 2; cut <= 8 && len >= cut + 6; cut += 2)
			if (IsEnding(word + len - cut, cut))
				count = AddStem(stems, count, word, len - cut);
	}
	else if (word[len - 1] == 's' && len >= 5 && word[0] < 0x80)
	{
		count = AddStem(stems, count, word, len - 1);
		if (word[len - 2] == 'e' && len >= 6)
			count = AddStem(stems, count, word, len - 2);
	}
	return count;
}

/* The next word from pos on, at most gap bytes away; false if none is. */
static bool
NextWord(const Search *search, size_t pos, size_t gap, Candidate *word)
{
	size_t		start = pos;

	while (start < search->len && start - pos <= gap &&
		   !IsWordByte(search->text[start]))
		start++;
	if (start >= search->len || start - pos > gap)
		return false;
	word->start = start;
	while (start < search->len && IsWordByte(search->text[start]))
		start++;
	word->end = start;
	return true;
}

/* ---------------- hashes ---------------- */

/*
 * A block of 16 bytes that follows from the one before (NULL: none) and a
 * word.  No cryptography: two terms with one hash are both masked, no more.
 */
static void
HashWord(const unsigned char *before, const unsigned char *word, size_t len,
		 unsigned char *block)
{
	uint64_t	a = UINT64_C(0x243F6A8885A308D3) ^ len;
	uint64_t	b = UINT64_C(0x13198A2E03707344);
	uint64_t	part[2] = {0, 0};

	if (before != NULL)
		memcpy(part, before, sizeof(part));
	a ^= part[0];
	b ^= part[1];
	for (size_t i = 0; i < len; i += 8)
	{
		uint64_t	chunk = 0;

		memcpy(&chunk, word + i, len - i < 8 ? len - i : 8);
		a = (a ^ chunk) * UINT64_C(0x9E3779B97F4A7C15);
		a ^= a >> 29;
		b = (b + (chunk << 32 | chunk >> 32)) * UINT64_C(0xBF58476D1CE4E5B9);
		b ^= b >> 31;
	}
	a = (a ^ b >> 17) * UINT64_C(0x94D049BB133111EB);
	b = (b ^ a >> 23) * UINT64_C(0xD6E8FEB86659FD93);
	part[0] = a ^ a >> 32;
	part[1] = b ^ b >> 32;
	memcpy(block, part, sizeof(part));
}

/* Seals blocks if there is a seal; false if it cannot. */
static bool
SealBlocks(const MaskSeal *seal, unsigned char *blocks, size_t count)
{
	return seal == NULL || seal->seal == NULL ||
		seal->seal(seal->arg, blocks, count);
}

/* The key under which a block stands in the table. */
static inline uint64_t
KeyOf(const unsigned char *block)
{
	uint64_t	key;

	memcpy(&key, block, sizeof(key));
	return key != 0 ? key : 1;
}

/* True if there is something in a term that makes it one. */
static bool
IsTerm(const unsigned char *folded, size_t len)
{
	size_t		letters = 0;
	size_t		digits = 0;

	for (size_t i = 0; i < len; i++)
	{
		digits += IsDigit(folded[i]);
		letters += IsAlpha(folded[i]) || (folded[i] & 0xC0) == 0xC0;
	}
	return letters > 0 ? letters + digits >= 2 : digits >= 4;
}

int
MaskTermHashes(const MaskSeal *seal, const char *term, size_t len,
			   unsigned char *out)
{
	unsigned char shadow[MASK_TERM_BYTES];
	unsigned char folded[MASK_TERM_BYTES];
	unsigned char block[MASK_SEAL_BLOCK];
	Search		search = {.text = folded};
	Candidate	word = {0};
	int			words = 0;

	if (len > MASK_TERM_BYTES)
		return 0;
	search.len = ShadowInto((const unsigned char *) term, len, shadow);
	FoldCopy(shadow, search.len, folded);
	if (!IsTerm(folded, search.len))
		return 0;
	while (NextWord(&search, word.end, MASK_TERM_BYTES, &word))
	{
		size_t		stems[STEMS_MAX];

		if (words == MASK_TERM_WORDS || word.end - word.start > WORD_MAX)
			return 0;
		StemsOf(folded + word.start, word.end - word.start, stems);
		HashWord(words > 0 ? block : NULL, folded + word.start, stems[0], block);
		if (!SealBlocks(seal, block, 1))
			return 0;
		memcpy(out + words++ * MASK_TERM_HASH, block, MASK_TERM_HASH);
	}
	return words;
}

/* ---------------- the table ---------------- */

MaskDictionary *
MaskDictionaryMake(const MaskAllocator *allocator, const MaskSeal *seal,
				   size_t words)
{
	size_t		slots = 64;
	size_t		size;
	MaskDictionary *d;

	while (slots < words + words / 2)
		slots *= 2;
	size = sizeof(MaskDictionary) + slots * (sizeof(uint64_t) + 1) + slots / 4;
	d = allocator->alloc(allocator->arg, size);
	if (d == NULL)
		return NULL;
	memset(d, 0, size);
	if (seal != NULL)
		d->seal = *seal;
	d->slots = slots;
	d->size = size;
	d->keys = (uint64_t *) (d + 1);
	d->firsts = d->keys + slots;
	d->values = (uint8_t *) (d->firsts + slots / 32);
	return d;
}

size_t
MaskDictionarySize(const MaskDictionary *dictionary)
{
	return dictionary->size;
}

/* The bit of a key among the first words' bits. */
static inline size_t
BitOf(const MaskDictionary *d, uint64_t key)
{
	return (size_t) (key >> 7) & (d->slots * 2 - 1);
}

/*
 * True if a term may begin with this word.  The bits fit into a processor's
 * cache where the table doesn't.
 */
static inline bool
MayBegin(const MaskDictionary *d, const unsigned char *block)
{
	size_t		bit = BitOf(d, KeyOf(block));

	return (d->firsts[bit / 64] >> (bit % 64) & 1) != 0;
}

/* The slot of a key, or the free one where it belongs. */
static inline size_t
SlotOf(const MaskDictionary *d, uint64_t key)
{
	size_t		slot = (size_t) (key * UINT64_C(0x9E3779B97F4A7C15) >> 20);

	slot &= d->slots - 1;
	while (d->keys[slot] != 0 && d->keys[slot] != key)
		slot = (slot + 1) & (d->slots - 1);
	return slot;
}

bool
MaskDictionaryAdd(MaskDictionary *dictionary, const unsigned char *hashes,
				  int words, MaskEntity entity, const MaskCustom *custom)
{
	PrepareEndings();
	for (int i = 0; i < words; i++)
	{
		uint64_t	key = KeyOf(hashes + i * MASK_TERM_HASH);
		size_t		slot = SlotOf(dictionary, key);
		uint8_t		value = dictionary->values[slot];

		if (dictionary->keys[slot] == 0 &&
			dictionary->used++ >= dictionary->slots / 4 * 3)
			return false;
		dictionary->keys[slot] = key;
		if (i == 0)
		{
			size_t		bit = BitOf(dictionary, key);

			dictionary->firsts[bit / 64] |= UINT64_C(1) << (bit % 64);
		}
		if (i < words - 1)
			value |= VALUE_MORE;
		else
			value = (uint8_t) ((value & VALUE_MORE) | VALUE_TERM | entity);
		dictionary->values[slot] = value;
	}
	dictionary->customs[entity] = custom;
	return true;
}

/* ---------------- finding ---------------- */

/*
 * Goes on from a word whose block is known; *end and *entity are of the
 * longest term that is found.
 */
static bool
FollowTerm(Search *search, const MaskDictionary *d,
		   const unsigned char *block, int words, MaskHit *hit)
{
	size_t		slot = SlotOf(d, KeyOf(block));
	uint8_t		value = d->keys[slot] != 0 ? d->values[slot] : 0;
	size_t		end = hit->end;
	size_t		stems[STEMS_MAX];
	Candidate	word;
	int			count;
	bool		found = (value & VALUE_TERM) != 0;

	if (found)
		hit->entity = (MaskEntity) (value & 0x3F);
	if ((value & VALUE_MORE) == 0 || words == MASK_TERM_WORDS ||
		!NextWord(search, end, GAP_MAX, &word) ||
		word.end - word.start > WORD_MAX)
		return found;
	count = StemsOf(search->text +word.start, word.end - word.start, stems);
	for (int i = 0; i < count; i++)
	{
		unsigned char next[MASK_SEAL_BLOCK];
		MaskHit		longer = *hit;

		HashWord(block, search->text +word.start, stems[i], next);
		longer.end = word.end;
		if (!SealBlocks(&d->seal, next, 1))
			search->no_memory = true;
		else if (FollowTerm(search, d, next, words + 1, &longer))
		{
			*hit = longer;
			return true;
		}
	}
	return found;
}

/* Appends a hit. */
static void
AddTermHit(Search *search, const MaskHit *hit)
{
	if (search->count == search->room)
	{
		size_t		room = search->room * 2 + 16;
		MaskHit    *grown = MaskAlloc(search->options, room * sizeof(MaskHit));

		if (grown == NULL)
		{
			search->no_memory = true;
			return;
		}
		if (search->count > 0)
			memcpy(grown, search->hits, search->count * sizeof(MaskHit));
		MaskRelease(search->options, search->hits);
		search->hits = grown;
		search->room = room;
	}
	search->hits[search->count++] = *hit;
}

/* Looks the waiting candidates up in one dictionary. */
static void
LookUp(Search *search, const MaskDictionary *d)
{
	unsigned char blocks[BATCH * MASK_SEAL_BLOCK];

	memcpy(blocks, search->blocks, search->waiting * MASK_SEAL_BLOCK);
	search->no_memory = !SealBlocks(&d->seal, blocks, search->waiting);
	for (int i = 0; i < search->waiting && !search->no_memory; i++)
	{
		const unsigned char *block = blocks + i * MASK_SEAL_BLOCK;
		MaskHit		hit = {0};

		if (!MayBegin(d, block))
			continue;
		hit.start = search->candidates[i].start;
		hit.end = search->candidates[i].end;
		if (!FollowTerm(search, d, block, 1, &hit))
			continue;
		hit.score = 1.0f;
		hit.validator = "dictionary";
		hit.custom = d->customs[hit.entity];
		AddTermHit(search, &hit);
	}
}

/* Looks up what is waiting, in all dictionaries. */
static void
Flush(Search *search)
{
	for (int i = 0; i < search->list->count && search->waiting > 0; i++)
		LookUp(search, search->list->dictionaries[i]);
	search->waiting = 0;
}

static int
CompareHits(const void *a, const void *b)
{
	size_t		one = ((const MaskHit *) a)->start;
	size_t		two = ((const MaskHit *) b)->start;

	return one < two ? -1 : one > two;
}

/* All words of the text, each by all its stems. */
static void
SearchText(Search *search)
{
	Candidate	word = {0};
	size_t		stems[STEMS_MAX];

	while (!search->no_memory &&
		   NextWord(search, word.end, search->len, &word))
	{
		const unsigned char *text = search->text +word.start;
		int			count;

		if (word.end - word.start > WORD_MAX)
			continue;
		if (search->waiting + STEMS_MAX > BATCH)
			Flush(search);
		count = StemsOf(text, word.end - word.start, stems);
		for (int i = 0; i < count; i++)
		{
			HashWord(NULL, text, stems[i],
					 search->blocks + search->waiting * MASK_SEAL_BLOCK);
			search->candidates[search->waiting++] = word;
		}
	}
	Flush(search);
}

MaskStatus
MaskDictionaryFind(void *arg, const MaskOptions *options, const char *text,
				   size_t len, MaskHit **hits, size_t *count)
{
	Search		search;
	unsigned char *folded = MaskAlloc(options, len + 1);

	*hits = NULL;
	*count = 0;
	if (folded == NULL)
		return MASK_NO_MEMORY;
	FoldCopy((const unsigned char *) text, len, folded);
	search.list = arg;
	search.options = options;
	search.text = folded;
	search.len = len;
	search.waiting = 0;
	search.hits = NULL;
	search.count = search.room = 0;
	search.no_memory = false;
	SearchText(&search);
	MaskRelease(options, folded);
	if (search.no_memory || search.count == 0)
	{
		MaskRelease(options, search.hits);
		return search.no_memory ? MASK_NO_MEMORY : MASK_CLEAN;
	}
	qsort(search.hits, search.count, sizeof(MaskHit), CompareHits);
	*hits = search.hits;
	*count = search.count;
	return MASK_MASKED;
}
