/*
 * known.c
 *	  Values that the caller named: every occurrence is a finding.
 *
 * An automaton after Aho and Corasick over the case-folded text, with a
 * dense table over the bytes that occur in the values: one step per byte of
 * text, whatever the values are.  A value found at a word's beginning takes
 * the rest of that word with it when the rest is short, which covers the
 * endings of Russian and Kazakh ("Иванов" in "Ивановым", "Айгүлдің").
 */
#include "mask/lexicon.h"
#include "mask/scan.h"

#include <string.h>

/* Beyond this many bytes of values a row is withheld instead of searched. */
#define KNOWN_MAX_BYTES 16384
/* An inflection's ending, in bytes (letters of two bytes count twice). */
#define KNOWN_ENDING 10

/* How many values may end at one place of the text. */
#define KNOWN_CHAIN 8

struct KnownSet
{
	uint16_t	class_of[256];	/* 0: a byte in no value */
	uint32_t	classes;
	uint32_t	nodes;
	uint32_t   *next;			/* nodes x classes */
	uint32_t   *fail;
	uint32_t   *output;			/* nearest state by fail that ends a value */
	uint32_t   *length;			/* of the value that ends here, or 0 */
	uint32_t   *queue;
	uint8_t    *stem;			/* it is a stem: an ending must follow */
};

/* One value or stem, folded. */
typedef struct KnownText
{
	const unsigned char *text;
	size_t		len;
	bool		stem;
} KnownText;

/* A growing list of them, over one buffer of folded bytes. */
typedef struct KnownList
{
	KnownText  *items;
	size_t		count;
	size_t		room;
	size_t		bytes;
} KnownList;

/* Notes one text to search for; what is too short or too much is left out. */
static void
ListAdd(KnownList *list, const unsigned char *text, size_t len, bool stem)
{
	if (len < 2 || list->count == list->room)
		return;
	list->items[list->count].text = text;

	list->items[list->count].len = len;
	list->items[list->count].stem = stem;
	list->count++;
	list->bytes += len;
}

/*
 * A Russian word without its ending: final vowels, "й" and "ь" fall, two of
 * them in adjectives.  The length of the stem, or of the whole word.
 */
size_t
StemLength(const unsigned char *word, size_t len)
{
	static const char endings[] = LEX_VOWELS;
	size_t		stem = len;

	for (int round = 0; round < 2 && stem > 6; round++)
	{
		bool		falls = false;

		for (const char *e = endings; *e; e += e[2] ? 3 : 2)
			falls |= memcmp(word + stem - 2, e, 2) == 0;
		if (!falls)
			break;
		stem -= 2;
		if (stem < 8)
			break;
	}
	return stem;
}

/* Notes a word of a name and its stem. */
static void
ListAddWord(KnownList *list, const unsigned char *word, size_t len)
{
	size_t		stem = word[0] >= 0xD0 && word[0] <= 0xD3 ?
	StemLength(word, len) : len;

	if (len >= 6)
		ListAdd(list, word, len, false);
	if (stem < len && stem >= 6)
		ListAdd(list, word, stem, true);
}

/* True if every word begins with a capital: then each is a name. */
static bool
LooksLikeName(const unsigned char *text, const unsigned char *folded,
			  size_t len)
{
	bool		name = true;

	for (size_t i = 0; i < len; i++)
		if (IsWordByte(folded[i]) && (i == 0 || !IsWordByte(folded[i - 1])))
			name &= text[i] != folded[i] ||
						(folded[i] >= 0x80 && i + 1 < len &&
						 text[i + 1] != folded[i + 1]);

	return name && len > 0 && !IsDigit(folded[0]);
}

/*
 * Notes a value, folded into room (twice its length), and the words of a
 * name on their own.  Returns how much of room was used.
 */
static size_t
ListAddValue(KnownList *list, const MaskValue *value, unsigned char *room)
{
	unsigned char *folded = room + value->len;
	size_t		len = ShadowInto((const unsigned char *) value->text,
								 value->len, room);
	size_t		start = 0;

	FoldCopy(room, len, folded);
	while (len > 0 && IsSpace(folded[len - 1]))
		len--;
	while (start < len && IsSpace(folded[start]))
		start++;
	ListAdd(list, folded + start, len - start, false);
	if (LooksLikeName(room + start, folded + start, len - start))
		for (size_t end = start; start < len; start = end + 1)
		{
			for (end = start; end < len && IsWordByte(folded[end]);)
				end++;
			if (end > start)
				ListAddWord(list, folded + start, end - start);
		}
	return value->len * 2;
}

/* Allocates the tables for at most nodes states. */
static bool
AutomatonMake(const MaskOptions *options, KnownSet *a, size_t nodes)
{
	size_t		cells = nodes * a->classes;

	a->next = MaskAlloc(options, cells * sizeof(uint32_t));
	a->fail = MaskAlloc(options, nodes * (4 * sizeof(uint32_t) + 1));
	if (a->next == NULL || a->fail == NULL)
		return false;
	memset(a->next, 0, cells * sizeof(uint32_t));
	memset(a->fail, 0, nodes * (4 * sizeof(uint32_t) + 1));
	a->output = a->fail + nodes;
	a->length = a->output + nodes;
	a->queue = a->length + nodes;
	a->stem = (uint8_t *) (a->queue + nodes);
	a->nodes = 1;
	return true;
}

/* Adds a text's path from the root. */
static void
AutomatonAdd(KnownSet *a, const KnownText *known)
{
	uint32_t	node = 0;

	for (size_t i = 0; i < known->len; i++)
	{
		uint32_t   *cell = &a->next[node * a->classes +
									a->class_of[known->text[i]]];

		if (*cell == 0)
			*cell = a->nodes++;
		node = *cell;
	}
	if (a->length[node] == 0 || !known->stem)
		a->stem[node] = known->stem;
	a->length[node] = (uint32_t) known->len;
}

/* Completes the table: every state knows its successor for every byte. */
static void
AutomatonClose(KnownSet *a)
{
	uint32_t	head = 0;
	uint32_t	tail = 0;

	a->queue[tail++] = 0;
	while (head < tail)
	{
		uint32_t	node = a->queue[head++];
		uint32_t	back = a->fail[node];

		a->output[node] = a->length[back] > 0 ? back : a->output[back];
		for (uint32_t c = 1; c < a->classes; c++)
		{
			uint32_t   *cell = &a->next[node * a->classes + c];
			uint32_t	other = node == 0 ? 0 :
			a->next[back * a->classes + c];

			if (*cell == 0)
				*cell = other;
			else
			{
				a->fail[*cell] = other;
				a->queue[tail++] = *cell;
			}
		}
	}
}

/*
 * Reports the text of len bytes that ends at end, if it stands as it must:
 * a stem at a word's beginning with an ending, up to three letters as a whole
 * word (Cyrillic with an ending), anything longer anywhere.
 */
static void
KnownHit(MaskScan *scan, size_t end, size_t len, bool stem)
{
	MaskHit		hit = {0};
	size_t		at = end;
	bool		begins = end == len ||
	!IsWordByte(scan->text[end - len - 1]) ||
	!IsWordByte(scan->text[end - len]);

	while (at < scan->len && at - end <= KNOWN_ENDING &&
		   IsWordByte(scan->text[at]))
		at++;
	if (stem && (!begins || at - end > (len <= 8 ? 6 : KNOWN_ENDING)))
		return;
	if (scan->text[end - 1] < 0x80 ? len <= 3 && (!begins || at > end) :
		len <= 6 && (!begins || at - end > 4))
		return;
	hit.entity = MASK_KNOWN_VALUE;
	hit.start = end - len;
	hit.end = end;
	if (begins && at - end <= KNOWN_ENDING && !IsDigit(scan->text[end - 1]))
		hit.end = at;
	hit.score = 1.0f;
	hit.validator = "known";
	MaskAddHit(scan, &hit);
}

/* Runs the automaton over the folded text. */
static void
KnownSearch(MaskScan *scan, const KnownSet *a, const unsigned char *folded)
{
	uint32_t	node = 0;

	for (size_t i = 0; i < scan->len && !scan->no_memory; i++)
	{
		uint32_t	out;

		node = a->next[node * a->classes + a->class_of[folded[i]]];
		out = a->length[node] > 0 ? node : a->output[node];
		for (int n = 0; out != 0 && n < KNOWN_CHAIN; n++)
		{
			KnownHit(scan, i + 1, a->length[out], a->stem[out] != 0);
			out = a->output[out];
		}
	}
}

/*
 * The scan's findings and b, both ordered, become one list.  No entity is
 * disabled: who gave values or terms wants them found.
 */
void
MergeFound(MaskScan *scan, MaskHit *b, size_t b_count)
{
	MaskOptions all = *scan->options;
	const MaskOptions *options = scan->options;
	MaskHit    *a = scan->hits;
	size_t		a_count = scan->hit_count;
	size_t		i = 0;
	size_t		j = 0;

	all.disabled = 0;
	scan->options = &all;
	scan->hits = NULL;
	scan->hit_count = scan->hit_room = 0;
	while ((i < a_count || j < b_count) && !scan->no_memory)
	{
		bool		first = j == b_count ||
		(i < a_count && a[i].start <= b[j].start);

		MaskAddHit(scan, first ? &a[i++] : &b[j++]);
	}
	scan->options = options;
	MaskRelease(options, a);
}

/* Builds the automaton of a list; false if memory is out. */
static bool
BuildSet(const MaskOptions *options, KnownSet *set, const KnownList *list)
{
	set->classes = 1;
	for (size_t i = 0; i < list->count; i++)
		for (size_t j = 0; j < list->items[i].len; j++)
		{
			uint16_t   *class = &set->class_of[list->items[i].text[j]];

			if (*class == 0)
				*class = (uint16_t) set->classes++;
		}
	if (!AutomatonMake(options, set, list->bytes + 1))
		return false;
	for (size_t i = 0; i < list->count; i++)
		AutomatonAdd(set, &list->items[i]);
	AutomatonClose(set);
	return true;
}

/* Folds all values and builds their set; NULL if there is none. */
static bool
MakeSet(const MaskOptions *options, size_t bytes, KnownSet **set)
{
	KnownList	list = {0};
	unsigned char *room = MaskAlloc(options, bytes * 2 + 1);
	size_t		used = 0;
	bool		good = false;

	list.room = options->known_count + bytes;
	list.items = MaskAlloc(options, (list.room + 1) * sizeof(KnownText));
	*set = MaskAlloc(options, sizeof(KnownSet));
	if (*set != NULL)
		memset(*set, 0, sizeof(KnownSet));
	if (room != NULL && list.items != NULL && *set != NULL)
	{
		for (size_t i = 0; i < options->known_count; i++)
			used += ListAddValue(&list, &options->known[i], room + used);
		good = BuildSet(options, *set, &list);
	}
	MaskRelease(options, room);
	MaskRelease(options, list.items);
	return good;
}

/*
 * Prepares the caller's values.  MASK_CLEAN, MASK_NO_MEMORY, or
 * MASK_WITHHELD if there are more values than is reasonable.
 */
MaskStatus
KnownPrepare(const MaskOptions *options, KnownSet **set)
{
	size_t		bytes = 0;

	*set = NULL;
	for (size_t i = 0; i < options->known_count; i++)
	{
		if (options->known[i].len > KNOWN_MAX_BYTES)
			return MASK_WITHHELD;
		bytes += options->known[i].len;
		if (bytes > KNOWN_MAX_BYTES)
			return MASK_WITHHELD;
	}
	if (bytes == 0 || MakeSet(options, bytes, set))
		return MASK_CLEAN;
	return MASK_NO_MEMORY;
}

void
KnownFree(const MaskOptions *options, KnownSet *set)
{
	if (set == NULL)
		return;
	MaskRelease(options, set->next);
	MaskRelease(options, set->fail);
	MaskRelease(options, set);
}

/* Finds the values of a set and merges them with what the scan has found. */
void
KnownFind(MaskScan *scan, const KnownSet *set)
{
	const MaskOptions *options = scan->options;
	unsigned char *folded = MaskAlloc(options, scan->len);
	MaskScan	search = *scan;

	if (folded == NULL)
	{
		scan->no_memory = true;
		return;
	}
	FoldCopy(scan->text, scan->len, folded);
	search.hits = NULL;
	search.hit_count = search.hit_room = 0;
	KnownSearch(&search, set, folded);
	scan->no_memory |= search.no_memory;
	if (search.hit_count > 0)
	{
		MergeFound(scan, search.hits, search.hit_count);
		MaskRelease(options, search.hits);
	}
	MaskRelease(options, folded);
}
