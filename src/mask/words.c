/*
 * words.c
 *	  The dictionary of words that mean something to a detector: context
 *	  words, cues, and prefixes of keys, all found in one look-up.
 *
 * Filters of 65,536 bits over the first four bytes of a word, the first
 * three and the first two let nearly all other words pass at the price of
 * three loads; only what they stop is compared.  The tables are built on
 * first use, once per process, and never change.
 */
#include "mask/lexicon.h"
#include "mask/scan.h"

#include <string.h>

/* Words of a context, separated by '|'; '$' demands the word's end. */
static const struct ContextWords
{
	MaskContext context;
	const char *words;
}			context_words[] =

{
	{CTX_CARD, "card$|cards$|card number|card no$|cardno$|cardnum|cc$|ccn$|"
		"credit card|creditcard|debit card|debitcard|visa$|"
		"mastercard|maestro$|amex$|american express|unionpay|"
	LEX_CARD},
	{CTX_IBAN, "iban|"
	LEX_IBAN},
	{CTX_IIN, "iin$|zhsn|"
	LEX_IIN},
	{CTX_BIN, "bin$|biin|"
	LEX_BIN},
	{CTX_INN, "inn$|"
	LEX_INN},
	{CTX_SNILS, "snils|"
	LEX_SNILS},
	{CTX_SSN, "ssn|social security|social sec|socialsecurity|itin$|"
	"taxpayer|tin$|tax id"},
	{CTX_PHONE, "phone|telephone|tel$|tele$|cell$|cellphone|mobile|mob$|fax$|"
		"call$|calling|callback|dial$|text me|sms|whatsapp|viber|"
		"telegram$|answering|reach me|reach us|contact|office$|"
		"hotline|pager|msisdn|cep$|telefon|tlf$|handy$|celular|"
	LEX_PHONE},
	{CTX_PASSPORT, "passport|pasaporte|passeport|reisepass|"
	LEX_PASSPORT},
	{CTX_LICENSE, "driver license|drivers license|driver's license|"
		"driver licence|drivers licence|driver's licence|"
		"driving licence|driving license|driver lic|driver permit|"
		"driver identification|dl$|permit$|lic$|dls$|cdls$|"
	LEX_LICENSE},
	{CTX_BIRTH, "birth|born|dob$|birthday|bday$|date of birth|"
	LEX_BIRTH},
	{CTX_ACCOUNT, "account|acct$|acc$|bank account|checking|savings|routing|"
		"aba$|"
	LEX_ACCOUNT},
	{CTX_NATIONAL, "national id|nationalid|identity|id number|id card|"
		"personal id|personal code|nino$|national insurance|nhs|"
		"aadhaar|aadhar|uidai|pan number|pesel|nric|fin$|medicare|"
		"tfn$|abn$|acn$|sin$|nas$|bsn$|dni$|nif$|nie$|codice fiscale|"
		"rrn|turkish id|personnummer|steuer|tax number|"
		"national identification|kimlik|mbi$|npi$|dea$|"
	LEX_NATIONAL},
	{CTX_DOCUMENT, "id document|identity card|udl$|"
	LEX_DOCUMENT},
	{CTX_PLAIN, "amount|price|total|order|invoice|tracking|zip$|suite|apt$|"
		"sum$|balance|usd$|eur$|kzt$|version|port$|year|page|sku$|"
	LEX_PLAIN},
};

#define WORD_ROOM 1200
typedef struct Word
{
	const char *text;
	uint8_t		len;
	bool		whole;
	bool		exact;
	int16_t		detector;
	int16_t		context;
	int16_t		next;			/* in the same bucket, -1 at the end */
	uint32_t	first;			/* first bytes, as the filter sees them */
	uint32_t	mask;			/* how many of them */
} Word;

#define BUCKETS 2048
static Word words[WORD_ROOM];
static int	word_count;
static int16_t bucket[BUCKETS];
static WordFilter filter;
static bool ready;

/* The bucket of the first n (2 to 4) of four folded bytes. */
static inline unsigned
BucketOf(uint32_t first, int n)
{
	uint32_t	key = first & (0xFFFFFFFFu >> (32 - 8 * n));

	return (key * 0x85EBCA6Bu + (uint32_t) n * 0x9E3779B1u) >> 21;
}

/* Lets words pass that begin with these key_len bytes. */
static void
FilterAdd(const unsigned char *first, int key_len)
{
	uint32_t	key = 0;
	uint32_t	slot;
	uint8_t    *bits = filter.two;

	memcpy(&key, first, (size_t) key_len);
	key |= 0x20202020u >> (32 - 8 * key_len);
	slot = key & 0xFFFF;
	if (key_len == 4)
	{
		bits = filter.four;
		slot = WordsSlot4(key);
	}
	else if (key_len == 3)
	{
		bits = filter.three;
		slot = WordsSlot3(key);
	}
	bits[slot >> 3] |= (uint8_t) (1u << (slot & 7));
}

/*
 * How many bytes of a word choose its bucket: 4 if they are fixed.  A space
 * stands for any separator and none.
 */
static int
KeyLength(const char *text, int len)
{
	const char *space = memchr(text, ' ', (size_t) len);

	if ((unsigned char) text[0] >= 0x80)
		return 4;
	if (space != NULL)
		len = (int) (space - text);
	return len > 4 ? 4 : len;
}

/* The capitals of a two-byte letter, among them itself. */
static int
CasesOf(const unsigned char *letter, unsigned char cases[][2])
{
	static const int distance[] = {0, 0x20, 0x50, 1};
	unsigned	code = (letter[0] & 0x1Fu) << 6 | (letter[1] & 0x3Fu);
	int			n = 0;

	for (int i = 0; i < 4; i++)
	{
		unsigned	capital = code - (unsigned) distance[i];
		unsigned char raw[2];
		unsigned char folded[2];

		raw[0] = (unsigned char) (0xC0 | capital >> 6);
		raw[1] = (unsigned char) (0x80 | (capital & 0x3F));
		FoldCopy(raw, 2, folded);
		if (memcmp(folded, letter, 2) == 0)
			memcpy(cases[n++], raw, 2);
	}
	return n;
}

/* Adds a word that begins with two letters of two bytes, in all cases. */
static void
FilterAddWide(const char *text)
{
	unsigned char first[4][2];
	unsigned char second[4][2];
	int			firsts = CasesOf((const unsigned char *) text, first);
	int			seconds = 0;

	if ((unsigned char) text[2] >= 0xC0)
		seconds = CasesOf((const unsigned char *) text +2, second);
	else
		memcpy(second[seconds++], text +2, 2);
	for (int i = 0; i < firsts; i++)
		for (int j = 0; j < seconds; j++)
		{
			unsigned char four[4];

			memcpy(four, first[i], 2);
			memcpy(four + 2, second[j], 2);
			FilterAdd(four, 4);
		}
}

/* Adds one word to the dictionary and the filter. */
static void
AddWord(const char *text, int len, Word word)
{
	unsigned char key[4] = {0};
	int			key_len;
	unsigned	b;

	word.whole = text[len - 1] == '$';
	word.text = text;

	word.len = (uint8_t) (len - word.whole);
	key_len = KeyLength(text, word.len);
	if (word_count == WORD_ROOM)
		return;					/* WordsPrepare's caller tests for this */
	if ((unsigned char) text[0] >= 0x80)
		FilterAddWide(text);
	else
		FilterAdd((const unsigned char *) text, key_len);
	FoldCopy((const unsigned char *) text, (size_t) key_len, key);
	memcpy(&word.first, key, 4);
	b = BucketOf(word.first, key_len);
	word.mask = 0xFFFFFFFFu >> (32 - 8 * key_len);
	word.next = bucket[b];
	bucket[b] = (int16_t) word_count;
	words[word_count++] = word;
}

/* Adds the words of a list separated by '|'. */
static void
AddWords(const char *list, Word word)
{
	while (list != NULL && *list)
	{
		const char *end = strchr(list, '|');
		size_t		len = end ? (size_t) (end - list) : strlen(list);

		AddWord(list, (int) len, word);
		list += len + (end != NULL);
	}
}

/* Builds the tables, once. */
void
WordsPrepare(void)
{
	Word		word = {0};

	if (ready)
		return;
	memset(bucket, 0xFF, sizeof(bucket));
	word.detector = -1;
	for (size_t i = 0; i < sizeof(context_words) / sizeof(context_words[0]); i++)
	{
		word.context = (int16_t) context_words[i].context;
		AddWords(context_words[i].words, word);
	}
	word.context = -1;
	for (int i = 0; i < DetectorCount; i++)
	{
		word.detector = (int16_t) i;
		word.exact = DetectorTable[i].exact;
		AddWords(DetectorTable[i].words, word);
	}
	ready = true;
}

const WordFilter *
WordsFilter(void)
{
	return &filter;
}

/* Compares one word with the text; its length there, 0 if it is another. */
static size_t
WordLength(const Word *word, const unsigned char *text, size_t len, size_t pos)
{
	size_t		n;

	if (word->exact)
	{
		n = word->len;
		if (pos + n > len || memcmp(text +pos, word->text, n) != 0)
			return 0;
	}
	else
		n = FoldMatch(text, len, pos, word->text, word->len);
	if (n > 0 && word->whole && pos + n < len)
	{
		unsigned char c = text[pos + n];

		/* a capital begins a new word in camelCase: cardNumber */
		if (c >= 0x80 || (IsAlnum(c) && !(IsUpper(c) &&
										  !IsUpper(text[pos + n - 1]))))
			return 0;
	}
	return n;
}

/* Folds up to four bytes, quickly if they are ASCII. */
static inline void
FoldFour(const unsigned char *text, size_t have, unsigned char *key)
{
	bool		high = false;

	for (size_t i = 0; i < have; i++)
	{
		key[i] = IsUpper(text[i]) ? text[i] | 0x20 : text[i];
		high |= text[i] >= 0x80;
	}
	if (high)
		FoldCopy(text, have, key);
}

/* Adds a match, or lengthens that of the same meaning; their new number. */
static int
NoteMatch(WordMatch *matches, int found, int room, const Word *word,
		  size_t end)
{
	int			m;

	for (m = 0; m < found; m++)
		if (matches[m].detector == word->detector &&
			matches[m].context == word->context)
			break;
	if (m == room)
		return found;
	if (m == found)
		matches[found++].end = 0;
	matches[m].detector = word->detector;
	matches[m].context = word->context;
	if (matches[m].end < end)
		matches[m].end = end;
	return found;
}

/*
 * All words of the dictionary at pos, at most room of them.  Of several
 * words of one context or detector, the longest.
 */
int
WordsMatch(const unsigned char *text, size_t len, size_t pos,
		   WordMatch *matches, int room)
{
	unsigned char key[4] = {0};
	size_t		have = len - pos < 4 ? len - pos : 4;
	uint32_t	first;
	int			found = 0;

	FoldFour(text +pos, have, key);
	memcpy(&first, key, 4);
	for (int n = 4; n >= 2; n--)
		for (int i = bucket[BucketOf(first, n)]; i >= 0; i = words[i].next)
		{
			size_t		length;

			if (((first ^ words[i].first) & words[i].mask) != 0)
				continue;
			length = WordLength(&words[i], text, len, pos);
			if (length > 0)
				found = NoteMatch(matches, found, room, &words[i],
								  pos + length);
		}
	return found;
}
