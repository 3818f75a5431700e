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
	{CTX_IIN, "iin$|zhsn|individual ident|"
	LEX_IIN},
	{CTX_BIN, "bin$|biin|"
	LEX_BIN},
	{CTX_INN, "inn$|"
	LEX_INN},
	{CTX_SNILS, "snils|"
	LEX_SNILS},
	{CTX_SSN, "ssn|social security|social sec|socialsecurity|itin$|"
	"taxpayer|tin$|tax id|soc. sec|social:|ss#"},
	{CTX_PHONE, "phone|telephone|tel$|tele$|cell$|cellphone|mobile|mob$|fax$|"
		"call$|calling|callback|dial$|text me|sms|whatsapp|viber|"
		"telegram$|answering|reach me|reach us|contact|office$|"
		"hotline|pager|msisdn|cep$|telefon|tlf$|handy$|celular|"
		"ring$|ring me|my number|ph:|ph.|rufnummer|puhelin|gsm$|telefoon|"
		"cellul|"
	LEX_PHONE},
	{CTX_PASSPORT, "passport|travel doc|pasaporte|passeport|reisepass|"
	LEX_PASSPORT},
	{CTX_LICENSE, "driver license|drivers license|driver's license|"
		"driver licence|drivers licence|driver's licence|"
		"driving licence|driving license|driver lic|driver permit|"
		"driver identification|dl$|permit$|lic$|dls$|cdls$|dln$|"
		"license num|licence num|license no$|licence no$|"
	LEX_LICENSE},
	{CTX_BIRTH, "birth|born|dob$|birthday|bday$|date of birth|d.o.b|geb.|geb$|"
		"gebor|geburts|geboorte|date de naiss|nacimiento|nacid|nato il|"
		"nata il|data di nasc|data urodz|nascimento|nascido|nascida|"
	LEX_BIRTH},
	{CTX_ACCOUNT, "account|acct$|acc$|bank account|checking|savings|routing|"
		"aba$|rtn$|"
	LEX_ACCOUNT},
	{CTX_NATIONAL, "national id|nationalid|identity|id number|id card|"
		"personal id|personal code|nino$|national insurance|nhs|"
		"aadhaar|aadhar|uidai|pan number|pesel|nric|fin$|medicare|"
		"tfn$|abn$|acn$|sin$|nas$|bsn$|dni$|nif$|nie$|codice fiscale|"
		"rrn|turkish id|personnummer|steuer|tax number|"
		"national identification|kimlik|mbi$|npi$|dea$|"
		"nat. ins|tax file|personalausweis|ausweisn|voter|gstin|"
		"australian business|australian company|social insurance|"
		"hetu$|personnr|fodselsn|fnr$|cpr$|burgerservice|rijksregister|"
		"national number|registre national|nir$|idnr$|cpf$|tckn|egn$|"
		"cnp$|thai id|teudat|pps$|ppsn|contribuinte|amka|"
		"isikukood|asmens|ahv$|avs$|svnr|sozialvers|sv-nummer|curp$|"
		"african id|"
	LEX_NATIONAL},
	{CTX_DOCUMENT, "id document|identity card|udl$|"
	LEX_DOCUMENT},
	{CTX_PLAIN, "amount|price|total|order|invoice|tracking|zip$|suite|apt$|"
		"sum$|balance|usd$|eur$|kzt$|version|port$|year|page|sku$|"
		"ticket|case number|part number|serial|flight|isbn|tid$|stan$|"
		"barcode|ean$|upc$|gtin$|"
	LEX_PLAIN},
	{CTX_NUMBER, "number is|number:|text$|reach|" LEX_NUMBER},
};

#define WORD_ROOM 1200
typedef struct Word
{
	uint64_t	head;			/* its first bytes, at most eight, */
	uint64_t	head_mask;		/* the first in the lowest byte */
	int16_t		detector;
	int16_t		context;
	uint8_t		len;
	uint8_t		head_len;
	bool		whole;
	bool		exact;
	const char *text;
} Word;

#define BUCKETS 4096
static Word words[WORD_ROOM];	/* those of a bucket in a row, the latest
								 * first */
static int	word_count;
static uint16_t bucket[BUCKETS + 1];	/* where each begins */

/* The same while they are added. */
static Word added[WORD_ROOM];
static int16_t added_next[WORD_ROOM];	/* in the same bucket, -1 at the end */
static int16_t added_bucket[BUCKETS];
static WordFilter filter;
static WordFilter context_filter;	/* words of contexts alone */
static WordFilter inner_filter; /* words that may begin inside of another */
static bool ready;

/* The bucket of the first n (2 to 4) of four folded bytes. */
static inline unsigned
BucketOf(uint32_t first, int n)
{
	uint32_t	key = first & (0xFFFFFFFFu >> (32 - 8 * n));

	return (key * 0x85EBCA6Bu + (uint32_t) n * 0x9E3779B1u) >> 20;
}

/* Lets words pass a filter that begin with these key_len bytes. */
static void
FilterAdd(WordFilter *to, const unsigned char *first, int key_len)
{
	uint32_t	key = 0;
	uint32_t	slot;
	uint8_t    *bits = to->two;

	memcpy(&key, first, (size_t) key_len);
	key |= 0x20202020u >> (32 - 8 * key_len);
	slot = key & 0xFFFF;
	if (key_len == 4)
	{
		bits = to->four;
		slot = WordsSlot4(key);
	}
	else if (key_len == 3)
	{
		bits = to->three;
		slot = WordsSlot3(key);
	}
	bits[slot >> 3] |= (uint8_t) (1u << (slot & 7));
	to->pair[key & 0xFFFF] |=
		key_len == 2 ? 0xFFFFFFFFu : 1u << WordsThird(key);
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
FilterAddWide(WordFilter *to, const char *text)
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
			FilterAdd(to, four, 4);
		}
}

/* Lets a word pass a filter, in all cases. */
static void
FilterWord(WordFilter *to, const char *text, int key_len)
{
	if ((unsigned char) text[0] >= 0x80)
		FilterAddWide(to, text);
	else
		FilterAdd(to, (const unsigned char *) text, key_len);
}

/*
 * Notes a word's first bytes for comparing them at once: whole characters of
 * one kind, ASCII or not, before a space.
 */
static void
HeadOf(Word *word)
{
	bool		wide = (unsigned char) word->text[0] >= 0x80;
	int			n = 0;

	word->head = word->head_mask = 0;
	while (n < word->len && word->text[n] != ' ')
	{
		unsigned char c = (unsigned char) word->text[n];
		int			size = c < 0x80 ? 1 : 2;

		if (n + size > 8 || (c >= 0x80 && !wide))
			break;
		n += size;
	}
	for (int i = 0; i < n; i++)
	{
		word->head |= (uint64_t) (unsigned char) word->text[i] << (8 * i);
		word->head_mask |= UINT64_C(0xFF) << (8 * i);
	}
	word->head_len = (uint8_t) n;
}

/* Adds one word to the dictionary and the filter. */
static void
AddWord(const char *text, int len, Word word)
{
	unsigned char key[4] = {0};
	uint32_t	first;
	int			key_len;
	unsigned	b;

	word.whole = text[len - 1] == '$';
	word.text = text;

	word.len = (uint8_t) (len - word.whole);
	key_len = KeyLength(text, word.len);
	if (word_count == WORD_ROOM)
		return;					/* WordsPrepare's caller tests for this */
	FilterWord(&filter, text, key_len);
	if (word.context >= 0)
		FilterWord(&context_filter, text, key_len);
	if (!word.exact)
		FilterWord(&inner_filter, text, key_len);
	FoldCopy((const unsigned char *) text, (size_t) key_len, key);
	memcpy(&first, key, 4);
	b = BucketOf(first, key_len);
	HeadOf(&word);
	added_next[word_count] = added_bucket[b];
	added_bucket[b] = (int16_t) word_count;
	added[word_count++] = word;
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

/* Puts the words of each bucket in a row. */
static void
OrderWords(void)
{
	int			n = 0;

	for (int b = 0; b < BUCKETS; b++)
	{
		bucket[b] = (uint16_t) n;
		for (int i = added_bucket[b]; i >= 0; i = added_next[i])
			words[n++] = added[i];
	}
	bucket[BUCKETS] = (uint16_t) n;
}

/* Builds the tables, once. */
void
WordsPrepare(void)
{
	Word		word = {0};

	if (ready)
		return;
	memset(added_bucket, 0xFF, sizeof(added_bucket));
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
	OrderWords();
	ready = true;
}

const char *
WordsNth(int n, size_t *len, bool *context)
{
	WordsPrepare();
	if (n >= word_count)
		return NULL;
	*len = words[n].len;
	*context = words[n].context >= 0;
	return words[n].text;
}

const WordFilter *
WordsFilter(void)
{
	return &filter;
}

const WordFilter *
WordsContextFilter(void)
{
	return &context_filter;
}

const WordFilter *
WordsInnerFilter(void)
{
	return &inner_filter;
}

/* Small letters for the capitals of ASCII in eight bytes. */
static inline uint64_t
FoldEight(uint64_t v)
{
	uint64_t	low = v & UINT64_C(0x7F7F7F7F7F7F7F7F);
	uint64_t	from = low + UINT64_C(0x3F3F3F3F3F3F3F3F);	/* A and above */
	uint64_t	beyond = low + UINT64_C(0x2525252525252525);	/* above Z */

	return v | ((from & ~beyond & ~v & UINT64_C(0x8080808080808080)) >> 2);
}

/* Eight bytes of a text, the first in the lowest; zeros beyond its end. */
static inline uint64_t
LoadEight(const unsigned char *text, size_t have)
{
	uint64_t	value = 0;

	if (have >= 8)
		memcpy(&value, text, 8);
	else
		memcpy(&value, text, have);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	value = __builtin_bswap64(value);
#endif
	return value;
}

/* Eight bytes folded as words are; a letter cut at the end stays as it is. */
static inline uint64_t
FoldHead(const unsigned char *text, size_t have, uint64_t raw)
{
	unsigned char folded[8] = {0};

	if (have == 0 || text[0] < 0x80)
		return FoldEight(raw);
	FoldCopy(text, have < 8 ? have : 8, folded);
	return LoadEight(folded, 8);
}

/* The first four bytes, as in memory. */
static inline uint32_t
FirstFour(uint64_t head)
{
	uint32_t	first = (uint32_t) head;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	first = __builtin_bswap32(first);
#endif
	return first;
}

/*
 * False if the rest of a word is not at a place of the text for sure, by its
 * first character; one of ASCII, or a space that more follows.
 */
static inline bool
MayFollow(const char *rest, unsigned char c)
{
	unsigned char want = (unsigned char) (rest[0] == ' ' ? rest[1] : rest[0]);

	if (rest[0] == ' ' && (IsSpace(c) || c == '_' || c == '-' || c == '.'))
		return true;
	return c >= 0x80 || (IsUpper(c) ? c | 0x20 : c) == want;
}

/* What is behind the head of a word; the length of the whole, or 0. */
static inline size_t
RestLength(const Word *word, const unsigned char *text, size_t len,
		   size_t pos)
{
	size_t		head = word->head_len;
	const char *rest = word->text +head;
	size_t		rest_len = word->len - head;
	size_t		n;

	if (rest_len == 0)
		return head;
	if (word->exact)
		return pos + word->len <= len &&
			memcmp(text +pos + head, rest, rest_len) == 0 ? word->len : 0;
	if (rest_len > 1 && pos + head < len && !MayFollow(rest, text[pos + head]))
		return 0;
	n = FoldMatch(text, len, pos + head, rest, rest_len);
	/* a space at the end may stand for nothing */
	return n > 0 || (rest_len == 1 && *rest == ' ') ? head + n : 0;
}

/* True if the word ends here; a capital begins a new one: cardNumber. */
static inline bool
EndsWord(const unsigned char *text, size_t len, size_t end)
{
	unsigned char c;

	if (end >= len)
		return true;
	c = text[	end];

	return c < 0x80 &&
		!(IsAlnum(c) && !(IsUpper(c) && !IsUpper(text[end - 1])));
}

/* Adds a match, or lengthens that of the same meaning; their new number. */
static inline int
NoteMatch(WordMatch *matches, int found, const Word *word, size_t end)
{
	for (int m = 0; m < found; m++)
		if (matches[m].detector == word->detector &&
			matches[m].context == word->context)
		{
			if (matches[m].end < end)
				matches[m].end = end;
			return found;
		}
	if (found == WORD_MATCHES)
		return found;
	matches[found].detector = word->detector;
	matches[found].context = word->context;
	matches[found].end = end;
	return found + 1;
}

/* WordLengths() at pos, also near the end of a text. */
unsigned
WordsLengths(const unsigned char *text, size_t len, size_t pos)
{
	unsigned char first[4] = {0};

	memcpy(first, text +pos, len - pos < 4 ? len - pos : 4);
	return WordLengths(&filter, first);
}

/*
 * All words of the dictionary at pos, at most WORD_MATCHES.  Of several
 * words of one context or detector, the longest.  lengths is what
 * WordLengths() says of the text there.
 */
int
WordsMatch(const unsigned char *text, size_t len, size_t pos,
		   unsigned lengths, WordMatch *matches)
{
	uint64_t	raw = LoadEight(text +pos, len - pos);
	uint64_t	here[2] = {FoldHead(text +pos, len - pos, raw), raw};
	uint32_t	first = FirstFour(here[0]);
	int			found = 0;

	/* from the longest on */
	while (lengths != 0)
	{
		int			n = 31 - __builtin_clz(lengths);
		unsigned	b = BucketOf(first, n);
		const Word *end = words + bucket[b + 1];

		lengths ^= 1u << n;
		for (const Word *word = words + bucket[b]; word < end; word++)
		{
			size_t		length;

			if (((here[word->exact] ^ word->head) & word->head_mask) != 0)
				continue;
			length = RestLength(word, text, len, pos);
			if (length > 0 &&
				(!word->whole || EndsWord(text, len, pos + length)))
				found = NoteMatch(matches, found, word, pos + length);
		}
	}
	return found;
}
