/*
 * words.c
 *	  The dictionary of words that mean something to a detector: context
 *	  words, cues, and prefixes of keys, all found in one look-up.
 *
 * A filter of 65,536 bits over the first three bytes of a word (four, beyond
 * ASCII) lets nearly all other words pass at the price of one load; only
 * what it stops is compared.  The tables are built on first use, once per
 * process, and never change.
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
} Word;

#define BUCKETS 2048
static Word words[WORD_ROOM];
static int	word_count;
static int16_t bucket[BUCKETS];
static uint8_t filter[65536 / 8];
static bool ready;

/* The bucket of n folded bytes. */
static unsigned
BucketOf(const unsigned char *bytes, int n)
{
	uint32_t	key = 0;

	memcpy(&key, bytes, (size_t) n);
	return (key * 0x85EBCA6Bu + (uint32_t) n * 0x9E3779B1u) >> 21;
}

static void
FilterAdd(const unsigned char *first4)
{
	uint32_t	key;
	uint32_t	slot;

	memcpy(&key, first4, 4);
	slot = WordsSlot(key);
	filter[slot >> 3] |= (uint8_t) (1u << (slot & 7));
}

/* How many bytes of a word choose its bucket: 4 beyond ASCII, 3, or 2. */
static int
KeyLength(const char *text, int len)
{
	if ((unsigned char) text[0] >= 0x80)
		return 4;
	return len >= 3 && text[2] != ' ' ? 3 : 2;
}

/* Adds an ASCII word's beginning in all its cases. */
static void
FilterAddAscii(const char *text, int key_len, bool exact)
{
	for (int cases = 0; cases < 8; cases++)
	{
		unsigned char first[4] = {0};
		bool		skip = false;

		for (int i = 0; i < key_len; i++)
		{
			first[i] = (unsigned char) text[i];

			if (cases >> i & 1)
			{
				skip |= exact || !IsAlpha(first[i]);
				first[i] &= 0xDF;
			}
		}
		if (skip || cases >> key_len)
			continue;
		for (int third = 0; third < (key_len == 2 ? 256 : 1); third++)
		{
			if (key_len == 2)
				first[2] = (unsigned char) third;
			FilterAdd(first);
		}
	}
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
			FilterAdd(four);
		}
}

/* Adds one word to the dictionary and the filter. */
static void
AddWord(const char *text, int len, Word word)
{
	unsigned char key[4];
	int			key_len;
	unsigned	b;

	word.whole = text[len - 1] == '$';
	word.text = text;

	word.len = (uint8_t) (len - word.whole);
	key_len = KeyLength(text, word.len);
	if (word_count == WORD_ROOM)
		return;					/* WordsPrepare's caller tests for this */
	if (key_len == 4)
		FilterAddWide(text);
	else
		FilterAddAscii(text, key_len, word.exact);
	FoldCopy((const unsigned char *) text, (size_t) key_len, key);
	b = BucketOf(key, key_len);
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

const uint8_t *
WordsFilter(void)
{
	return filter;
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
	int			found = 0;

	FoldCopy(text +pos, have, key);
	for (int n = key[0] >= 0x80 ? 4 : 3; n >= 2; n--)
	{
		for (int i = bucket[BucketOf(key, n)]; i >= 0; i = words[i].next)
		{
			size_t		length = WordLength(&words[i], text, len, pos);
			int			m;

			if (length == 0)
				continue;
			for (m = 0; m < found; m++)
				if (matches[m].detector == words[i].detector &&
					matches[m].context == words[i].context)
					break;
			if (m == found && found == room)
				continue;
			if (m == found)
				matches[found++].end = 0;
			matches[m].detector = words[i].detector;
			matches[m].context = words[i].context;
			if (matches[m].end < pos + length)
				matches[m].end = pos + length;
		}
		if (n == 4)
			break;
	}
	return found;
}
