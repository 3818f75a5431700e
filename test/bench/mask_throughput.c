/*
 * mask_throughput.c
 *	  How fast the scanner reads ordinary, digit-heavy and hostile text.
 *
 * usage: mask_throughput [MEGABYTES] [--check]
 *
 * Prints GB/s for each text, and how many times the ordinary time hostile
 * texts take, also those of which the rest is withheld in the end (work.c).
 * With --check the exit status is 1 if a target is missed: 0.5 GB/s on
 * ordinary prompts, 0.1 GB/s on text of numbers and on JSON, hostile text at
 * most five times the time of ordinary prompts.
 *
 * Build: cc -O3 -Isrc test/bench/mask_throughput.c src/mask/[c-k]*.c
 *		  src/mask/[nrstvw][aceho-u]*.c src/core/sha256.c -lcrypto
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mask/scan.h"

static uint64_t state = 88172645463325252u;

/* xorshift: the same texts on every run. */
static unsigned
Random(unsigned below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned) (state % below);
}

static void *
Alloc(void *arg, size_t size)
{
	(void) arg;
	return malloc(size);
}

static void
Release(void *arg, void *chunk)
{
	(void) arg;
	free(chunk);
}

static const char *const prompts[] =
{
	"Summarise the attached quarterly report in five bullet points and keep "
	"the tone neutral. ",
	"You are a helpful assistant for the customers of a retail bank. Answer "
	"briefly, and never promise a refund. ",
	"What is the difference between an annuity and a bullet loan, and which "
	"of the two is cheaper over ten years? ",
	"The user asked to block a card after a trip abroad; explain the steps "
	"and the usual terms.\n",
	"Translate the following paragraph into Kazakh, then list the terms that "
	"have no direct counterpart.\n",
	"Please rewrite this e-mail so that it sounds friendlier, but keep the "
	"deadline and the names of the departments. ",
	"Explain like I am five why interest compounds, with one example from a "
	"kitchen and one from a forest. ",
	"def mean(values):\n    return sum(values) / len(values)\n\n",
	"for row in cursor.fetchall():\n    total += row.amount * rate\n",
	"SELECT region, count(*) FROM orders WHERE created >= now() GROUP BY "
	"region ORDER BY count(*) DESC;\n",
	"{\"role\": \"user\", \"content\": \"How do I reset my card limit?\"},\n",
	"{\"role\": \"assistant\", \"content\": \"Open the app, choose Cards.\"}\n",
	"The committee met on Tuesday and agreed that the migration should wait "
	"until the audit is complete. ",
	"Nobody expected the second proposal to be cheaper, yet after taxes it "
	"was, and by a wide margin. ",
	"Write a haiku about rain on a tin roof. Then explain its rhythm. ",
};

/* In macros, because the layout tool breaks other scripts in code. */
#define RUSSIAN_1 "Составьте краткое содержание договора и выделите сроки оплаты. "
#define RUSSIAN_2 "Клиент спрашивает, почему отклонён перевод, и просит объяснить. "
#define RUSSIAN_3 "Напишите вежливый ответ на жалобу о долгом ожидании в отделении. "
#define RUSSIAN_4 "Сравните два тарифа и укажите, какой выгоднее для семьи. "
#define RUSSIAN_5 "Құжатты қысқаша мазмұндап, негізгі талаптарын тізіп беріңіз. "
static const char *const russian[] =
{RUSSIAN_1, RUSSIAN_2, RUSSIAN_3, RUSSIAN_4, RUSSIAN_5};

static const char *const digits[] =
{
	"1048576 ", "2024-05-17 12:30:45 ", "3.14159 ", "100 200 300 ",
	"1716000000 ", "42, 17, 99, ", "0.000123 ", "4403 1234 ", "87011234567 ",
	"871008401427 ", "10.0.0.1 ", "555-0132 ", "1234567890123 ", "+7 701 ",
};

/* Fills a text from pieces. */
static void
Fill(char *text, size_t len, const char *const *pieces, unsigned count)
{
	size_t		pos = 0;

	while (pos < len)
	{
		const char *piece = pieces[Random(count)];
		size_t		n = strlen(piece);

		if (n > len - pos)
			n = len - pos;
		memcpy(text +pos, piece, n);
		pos += n;
	}
}

/*
 * Whether short texts have an allowance like that of long ones: so a search
 * on samples finds what is slow in spite of it.
 */
static bool scaled = false;

/* What a text of that length is masked with. */
static MaskOptions
Options(MaskWork *work, size_t len)
{
	MaskOptions options = {.allocator = {Alloc, Release, NULL}};

	WorkAllow(work, (size_t) 1 << 30);
	work->allowed = work->allowed * len >> 30;
	options.work = scaled ? work : NULL;
	return options;
}

/* Seconds of processor time so far. */
static double
Now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

/* How much of the last text that was measured was looked at, in hundredths. */
static double kept;

/* Seconds of processor time for one scan, the best of some. */
static double
Measure(const char *text, size_t len, int rounds, size_t *hits_out)
{
	double		best = 1e9;

	len = Utf8Prefix(text, len);
	kept = 100;
	for (int i = 0; i < rounds; i++)
	{
		MaskWork	work;
		MaskOptions options = Options(&work, len);
		MaskHit    *hits;
		double		seconds;

		seconds = Now();
		if (MaskFind(&options, text, len, &hits, hits_out) > MASK_MASKED)
			exit(2);
		seconds = Now() - seconds;
		if (*hits_out > 0 && hits[*hits_out - 1].entity == MASK_ENTITY_REST)
			kept = 100.0 * (double) hits[*hits_out - 1].start / (double) len;
		free(hits);
		if (seconds < best)
			best = seconds;
	}
	return best;
}

/*
 * What hostile texts repeat, one or two at a time: triggers, beginnings of
 * keys, separators, words of context, escapes, characters of other scripts.
 */
static const char *const pieces[] =
{
	"1", "12", "123", "1234", "123456", "1234567890", "123456789012",
	"4403123456781298", "87011234567", " ", "  ", "-", ".", "/", "(", "+", ", ",
	"\n", "_", "|", "*", ":", "::", "://", "=", "@", "a", "ab", "A", "f", "0x",
	"http://", "a:b@", "@a.b", "a@b.", "a.a", "\"", "'", "{", "<", "\\",
	"\\u0031", "%31", "&#49;", "&", "%", "sk-", "sk-ant-", "ghp_", "xoxb-",
	"AKIA", "eyJ", "eyJa.", "SG.", "npm_", "key-", "live_", "s.", "MT", "AC",
	"card ", "card", "phone ", "tel 1 ", "iin ", "passport ", "account ",
	"order ", "born 1 ", "ssn ", "cvv ", "pin ", "my name is ", "name: ", "Mr. ",
	"full name: ", "John Smith ", "token", "token=", "token:", "token\", \"",
	"<token>", "password=", "password: ", "password is ", "secret=x1 ",
	"api_key=", "--token ", "Authorization: ", "Bearer ", "curl -u ", "curl ",
	"\xd0\xb8\xd0\xb8\xd0\xbd ", "\xd0\xb8", "\xd9\xa1", "\xef\xbc\x91",
	"\xe2\x80\x8b", "\xe2\x80\x94", "\xc2\xa0", "\xc2\xad", "GB82WEST",
	"KZ86125KZT5004100100", "12 May 1990 ", "1990-01-01 ", "1.1.1.1", "fe80::1",
	"00:1a:2b", "AB123456C", "A1234567", "12345678Z", "-----BEGIN ",
	"-----BEGIN RSA PRIVATE KEY-----", "bc1q", "Q~", "4b1d", "ext",
	"1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "deadbeef", "DE", "camelCase", "mmk",
};

#define PIECES ((int) (sizeof(pieces) / sizeof(pieces[0])))
#define SAMPLE 20000
#define LONG_SAMPLE (1 << 20)
#define SLOW 2000
#define WORST 100
#define SHOWN 12

/* A hostile text: the piece or two that it repeats, and its time per byte. */
typedef struct Hostile
{
	char		unit[120];
	double		cost;
} Hostile;

/* Fills a text with repetitions of a unit. */
static void
Repeat(char *text, size_t len, const char *unit)
{
	size_t		n = strlen(unit);

	for (size_t i = 0; i < len; i++)
		text[		i] = unit[i % n];
}

/* Keeps the worst in order. */
static void
Keep(Hostile *worst, int count, const char *unit, double cost)
{
	int			at = count - 1;

	if (cost <= worst[at].cost)
		return;
	for (; at > 0 && worst[at - 1].cost < cost; at--)
		worst[at] = worst[at - 1];
	snprintf(worst[at].unit, sizeof(worst[at].unit), "%s", unit);
	worst[at].cost = cost;
}

/*
 * Texts in disorder, which nothing repeats: characters of a set at random,
 * and all pieces mixed.  Those of numbers first: they may take their time.
 */
#define NUMBERS 2
static const char *const disorder[] =
{
	"0123456789 ", "0123456789 -.,\n()+/:", "0123456789abcdef", "0123456789abcdef-",
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
	"abcdefghij@. ", "ab1.:=@ ", "abc =:\"'{}[],1", "a%3&#\\u0", ":0123456789abcdef",
};

#define DISORDER ((int) (sizeof(disorder) / sizeof(disorder[0])))

/* Fills a text with characters of a set, or with pieces if there is none. */
static void
Disorder(char *text, size_t len, const char *set)
{
	size_t		n = set ? strlen(set) : 0;

	if (set == NULL)
		Fill(text, len, pieces, PIECES);
	for (size_t i = 0; i < len && set != NULL; i++)
		text[		i] = set[Random((unsigned) n)];
}

/*
 * Measures these, one line each; the worst time for len bytes, of numbers in
 * *numbers.
 */
static double
MeasureDisorder(char *text, size_t len, double ordinary, double *numbers)
{
	double		slowest = 0;
	size_t		hits;

	*numbers = 0;
	for (int i = 0; i <= DISORDER; i++)
	{
		const char *set = i < DISORDER ? disorder[i] : NULL;
		double	   *worst = i < NUMBERS ? numbers : &slowest;
		double		seconds;

		Disorder(text, len, set);
		seconds = Measure(text, len, 2, &hits);
		printf("in disorder: %-30.30s %.3f GB/s, %.1f times ordinary, %.0f %% "
			   "looked at\n", set && strchr(set, '\n') ?
			   "digits and separators" : set ? set : "all pieces",
			   (double) len / seconds / 1e9, seconds / ordinary, kept);
		if (seconds > *worst)
			*worst = seconds;
	}
	return slowest;
}

/* Prints a unit without its control and foreign characters. */
static void
PrintUnit(const char *unit)
{
	printf("hostile \"");
	for (; *unit; unit++)
		printf(*unit < ' ' ? "\\x%02x" : "%c", (unsigned char) *unit);
	printf("\"");
}

/* Fills a text with a unit and a character at random, again and again. */
static void
Vary(char *text, size_t len, const char *unit)
{
	static const char more[] = "abcdefgh1234567 ";
	size_t		n = strlen(unit);

	for (size_t i = 0; i < len; i++)
		text[		i] = i % (n + 1) < n ? unit[i % (n + 1)] :
		more[Random(sizeof(more) - 1)];
}

/*
 * How a text goes on behind a word: signs of assignments, calls, options and
 * prose.
 */
static const char *const ways_on[] =
{
	"", " ", "(", "(\"", "=", "=\"", "= ", ":", ": ", "\"", "\", \"", "> ", "-",
	" for ", " is ", " a ", " -p ", "/", "@", "|", "\" ",
};

#define WAYS_ON ((int) (sizeof(ways_on) / sizeof(ways_on[0])))

/*
 * Texts of one word of the scanner's dictionary and one way to go on, with
 * something at random between, so that nothing is repeated.  Searches all of
 * them on small samples, then measures the worst at full length and shows
 * them.  Returns the worst time for len bytes; *count says how many there are.
 */
static double
MeasureWords(char *text, size_t len, double ordinary, int *count)
{
	Hostile		worst[SHOWN] = {{{0}, 0}};
	double		slowest = 0;
	const char *word;
	size_t		word_len;
	size_t		hits;
	bool		context;

	*count = 0;
	scaled = true;
	for (int n = 0; (word = WordsNth(n, &word_len, &context)) != NULL; n++)
		for (int way = 0; way < WAYS_ON; way++, ++*count)
		{
			char		unit[120];

			snprintf(unit, sizeof(unit), "%.*s%s", (int) word_len, word,
					 ways_on[way]);
			Vary(text, SAMPLE, unit);
			Keep(worst, SHOWN, unit, Measure(text, SAMPLE, 2, &hits));
		}
	scaled = false;
	for (int i = 0; i < SHOWN; i++)
	{
		double		seconds;

		Vary(text, len, worst[i].unit);
		seconds = Measure(text, len, 2, &hits);
		PrintUnit(worst[i].unit);
		printf("  varied: %.3f GB/s, %.1f times ordinary, %.0f %% looked at\n",
			   (double) len / seconds / 1e9, seconds / ordinary, kept);
		if (seconds > slowest)
			slowest = seconds;
	}
	return slowest;
}

/*
 * Searches all pieces and pairs of them on small samples, the slow ones on
 * longer ones, then measures the worst at full length; shows the slowest of
 * these, one line each.  Returns
 * the worst time for len bytes.
 */
static double
MeasureHostile(char *text, size_t len)
{
	static Hostile slow[SLOW];
	Hostile		worst[WORST] = {{{0}, 0}};
	Hostile		full[WORST] = {{{0}, 0}};
	size_t		hits;

	for (int i = 0; i < PIECES; i++)
		for (int j = -1; j < PIECES; j++)
		{
			char		unit[120];

			snprintf(unit, sizeof(unit), "%s%s", pieces[i],
					 j < 0 ? "" : pieces[j]);
			Repeat(text, SAMPLE, unit);
			Keep(slow, SLOW, unit, Measure(text, SAMPLE, 2, &hits));
		}
	/* repetitions that can be passed over are, in a long text only */
	for (int i = 0; i < SLOW; i++)
	{
		Repeat(text, LONG_SAMPLE, slow[i].unit);
		Keep(worst, WORST, slow[i].unit, Measure(text, LONG_SAMPLE, 1, &hits));
	}
	for (int i = 0; i < WORST; i++)
	{
		Repeat(text, len, worst[i].unit);
		Keep(full, WORST, worst[i].unit, Measure(text, len, 2, &hits));
	}
	for (int i = 0; i < SHOWN; i++)
	{
		PrintUnit(full[i].unit);
		printf("  %.3f GB/s\n", (double) len / full[i].cost / 1e9);
	}
	return full[0].cost;
}

/*
 * Elements of JSON documents: what providers and programs write, and what is
 * short or escaped so that there is much to do for each byte.  'd' becomes a
 * digit and 'a' a letter at random within '^'.
 */
static const char *const elements[] =
{
	"{\"role\":\"user\",\"content\":\"^aaaa aaaaaaa^ the ^aaa^ of ^aaaaaaaa^.\"}",
	"{\"prompt_tokens\":^ddd^,\"completion_tokens\":^dd^,\"total_tokens\":^ddd^}",
	"0.^ddddddd^", "^ddddd^", "{\"index\":^d^,\"delta\":{\"content\":\"^aaaa^\"}}",
	"{\"ts\":\"2026-11-^d^1T10:^dd^:00Z\",\"id\":\"req_^adadadadad^\"}",
	"1", "12345678", "^dddddddddddd^", "\"a\"", "\"^aa^\"", "\"^aaaaaaaaa^\"", "\"\"",
	"\"^d d^\"", "\"^dddd^\"", "\"4403\"", "\"\\u0031\"", "\"\\\"a\\\"\"", "\"[1]\"",
	"\"{\\\"a\\\":\\\"b\\\"}\"", "[]", "[1]", "{\"a\":1}", "{\"^aaa^\":\"^aaa^\"}",
	"\"^aaaa^@b.sk\"", "{\"password\":\"^ad^\"}", "{\"phone\":\"+7 701 ^ddd dd dd^\"}",
	"{\"card\":\"4403^dddddddddddd^\"}", "{\"name\":\"token\",\"value\":\"^aa^\"}",
	"\"token ^aa^\"", "\"password: \"", "\"sk-ant-\"", "\"2026-^dd^-^dd^\"", "\"10.^d.d.d^\"",
};

#define ELEMENTS ((int) (sizeof(elements) / sizeof(elements[0])))

/* Appends an element and a comma. */
static size_t
PutElement(char *text, size_t pos, const char *element)
{
	bool		vary = false;

	for (; *element; element++)
		if (*element == '^')
			vary = !vary;
		else
			text[		pos++] = vary && *element == 'd' ? (char) ('0' + Random(10)) :
			vary && *element == 'a' ? (char) ('a' + Random(26)) : *element;
	text[		pos++] = ',';

	return pos;
}

/* A document of one or two elements in turn; of all at random if both are -1. */
static size_t
FillJson(char *text, size_t len, int one, int two)
{
	size_t		pos = 1;

	text[		0] = '[';

	for (int i = 0; pos + 300 < len; i++)
		pos = PutElement(text, pos, elements[one < 0 ? (int) Random(ELEMENTS) :
											 two < 0 || i % 2 == 0 ? one : two]);
	text[		pos - 1] = ']';

	return pos;
}

/* Seconds of processor time for one document, the best of two. */
static double
MeasureDocument(const char *text, size_t len)
{
	double		best = 1e9;

	for (int i = 0; i < 2; i++)
	{
		MaskWork	work;
		MaskOptions options = Options(&work, len);
		MaskResult	result;
		double		seconds;

		seconds = Now();
		if (MaskDocument(&options, text, len, &result) > MASK_MASKED)
			exit(2);
		seconds = Now() - seconds;
		kept = result.cut ? 0 : 100;
		free(result.text);
		if (seconds < best)
			best = seconds;
	}
	return best;
}

/* One document at full length, in a line; its time for len bytes. */
static double
ShowDocument(char *text, size_t len, double ordinary, int one, int two)
{
	size_t		size = FillJson(text, len, one, two);
	double		seconds = MeasureDocument(text, size) * (double) len /
	(double) size;

	printf("JSON [%s%s%s]  %.3f GB/s, %.1f times ordinary%s\n",
		   one < 0 ? "all in disorder" : elements[one], two < 0 ? "" : ",",
		   two < 0 ? "" : elements[two], (double) len / seconds / 1e9,
		   seconds / ordinary, kept < 100 ? ", the rest withheld" : "");
	return seconds;
}

/*
 * Measures documents of each element, and searches the pairs of them on small
 * samples for the slowest; returns the worst time for len bytes.
 */
static double
MeasureJson(char *text, size_t len, double ordinary)
{
	double		costs[SHOWN] = {0};
	int			pairs[SHOWN][2] = {{0}};
	double		slowest = ShowDocument(text, len, ordinary, -1, -1);

	for (int one = 0; one < ELEMENTS; one++)
	{
		double		seconds = ShowDocument(text, len, ordinary, one, -1);

		slowest = seconds > slowest ? seconds : slowest;
		for (int two = 0; two < one; two++)
		{
			size_t		size = FillJson(text, LONG_SAMPLE, one, two);
			double		cost;
			int			at = SHOWN;

			scaled = true;
			cost = MeasureDocument(text, size) / (double) size;
			scaled = false;

			for (; at > 0 && costs[at - 1] < cost; at--)
				if (at < SHOWN)
				{
					costs[at] = costs[at - 1];
					memcpy(pairs[at], pairs[at - 1], sizeof(pairs[at]));
				}
			if (at < SHOWN)
			{
				costs[at] = cost;
				pairs[at][0] = one;
				pairs[at][1] = two;
			}
		}
	}
	for (int i = 0; i < SHOWN; i++)
	{
		double		seconds = ShowDocument(text, len, ordinary, pairs[i][0],
										   pairs[i][1]);

		slowest = seconds > slowest ? seconds : slowest;
	}
	return slowest;
}

int
main(int argc, char **argv)
{
	size_t		len = (argc > 1 && argv[1][0] != '-' ?
					   (size_t) atoi(argv[1]) : 10) << 20;
	bool		check = strcmp(argv[argc - 1], "--check") == 0;
	char	   *text = malloc(len);
	double		ordinary;
	double		heavy;
	double		worst;
	double		disordered;
	double		numbers;
	double		varied;
	double		json;
	int			words;
	size_t		hits;

	if (text == NULL)
		return 2;
	Fill(text, len, prompts, sizeof(prompts) / sizeof(prompts[0]));
	ordinary = Measure(text, len, 5, &hits);
	printf("ordinary prompts  %7.3f GB/s %9zu findings\n",
		   (double) len / ordinary / 1e9, hits);
	Fill(text, len, russian, sizeof(russian) / sizeof(russian[0]));
	printf("Russian prompts   %7.3f GB/s\n",
		   (double) len / Measure(text, len, 5, &hits) / 1e9);
	Fill(text, len, digits, sizeof(digits) / sizeof(digits[0]));
	heavy = Measure(text, len, 5, &hits);
	printf("digit-heavy text  %7.3f GB/s %9zu findings\n",
		   (double) len / heavy / 1e9, hits);
	worst = MeasureHostile(text, len);
	printf("worst of %d hostile texts: %.1f times the ordinary time, "
		   "%.1f times the ordinary target\n", PIECES * (PIECES + 1),
		   worst / ordinary, worst / ((double) len / 0.5e9));
	disordered = MeasureDisorder(text, len, ordinary, &numbers);
	printf("worst of %d in disorder: %.1f times the ordinary time; of numbers: "
		   "%.1f times, %.3f GB/s\n", DISORDER + 1, disordered / ordinary,
		   numbers / ordinary, (double) len / numbers / 1e9);
	varied = MeasureWords(text, len, ordinary, &words);
	printf("worst of %d words with something behind: %.1f times the ordinary "
		   "time\n", words, varied / ordinary);
	json = MeasureJson(text, len, ordinary);
	printf("worst of %d JSON documents: %.1f times the ordinary time, "
		   "%.3f GB/s\n", ELEMENTS * (ELEMENTS + 1) / 2 + 1, json / ordinary,
		   (double) len / json / 1e9);
	free(text);
	return check && (len / ordinary < 0.5e9 || len / heavy < 0.1e9 ||
					 len / numbers < 0.1e9 || len / json < 0.1e9 ||
					 worst > 5 * ordinary || disordered > 5 * ordinary ||
					 varied > 5 * ordinary);
}
