/*
 * mask_throughput.c
 *	  How fast the scanner reads ordinary, digit-heavy and hostile text.
 *
 * usage: mask_throughput [MEGABYTES] [--check]
 *
 * Prints GB/s for each text, and how many times the ordinary time hostile
 * texts take.  With --check the exit status is 1 if a target is missed:
 * 0.5 GB/s on ordinary prompts, 0.1 GB/s on digit-heavy text, hostile text
 * at most five times the time that the ordinary target allows.
 *
 * Build: cc -O2 -Isrc test/bench/mask_throughput.c src/mask/[c-k]*.c
 *		  src/mask/[nrstvw][aceho-u]*.c src/core/sha256.c -lcrypto
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mask/mask.h"

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

static const char *const russian[] =
{
	"Составьте к�35аткое соде�35жание догово�35а и выделите с�35оки оплаты. ",
	"Клиент сп�35ашивает, почему отклонён пе�35евод, и п�35осит объяснить. ",
	"Напишите вежливый ответ на жалобу о долгом ожидании в отделении. ",
	"С�35авните два та�35ифа и укажите, какой выгоднее для семьи. ",
	"Құжатты қысқаша мазмұндап, негізгі талапта�35ын тізіп бе�35іңіз. ",
};

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

/* Seconds of processor time for one scan, the best of three. */
static double
Measure(const char *text, size_t len, size_t *hits_out)
{
	double		best = 1e9;

	for (int i = 0; i < 3; i++)
	{
		MaskOptions options = {0};
		MaskHit    *hits;
		struct timespec from;
		struct timespec to;
		double		seconds;

		options.allocator.alloc = Alloc;
		options.allocator.release = Release;
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
		if (MaskFind(&options, text, len, &hits, hits_out) > MASK_MASKED)
			exit(2);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
		free(hits);
		seconds = (double) (to.tv_sec - from.tv_sec) +
			(double) (to.tv_nsec - from.tv_nsec) / 1e9;
		if (seconds < best)
			best = seconds;
	}
	return best;
}

/* Pieces whose repetition is meant to be slow. */
static const char *const hostile[] =
{
	"1", "1 ", "12 ", "1-", "a1", "a1b2", "@", "a@", "a@a.", "a.a@a.aa",
	":", "::", ":a", "1:", "=", "a=", "key=", "token=", "token:", "token=a",
	"password=x ", "passwd:a ", "://", "://a:b", "http://a:b@", "sk-", "sk-a",
	"eyJ", "eyJa.", "eyJaaaaaaaaaaaaaaaaaa.", "ghp_", "AKIA", "xoxb-",
	"-----BEGIN RSA PRIVATE KEY-----", "-----BEGIN ", "card ", "card 1 ",
	"my name is ", "Mr. A", "phone ", "tel 1 ", "curl ", "curl -u ",
	"(((((", "+1", "+1 2", "4403 1234 5678 129", "4111111111111111 ",
	"1BoatSLRHtKNngkdXEeobR76b53LETtpyT ", "bc1q", "0x1234567890abcdef",
	"\xd0\xb8\xd0\xb8\xd0\xbd ", "\xd9\xa1", "\xef\xbc\x91", "\xe2\x80\x8b",
	"1\xe2\x80\x8b", "\xe2\x80\x94", "a\xc2\xa0", "{\"a\":", "[", "\\u0031",
	"GB82WEST", "GB82 WEST 1234 ", "Bearer ", "bearer aaaaaaaaaaaa1 ",
	"secret\", \"", "<token>", "2024-01-01 ", "born 1 ", "1.1.1.1", "1.1.",
};

/* One line per hostile text; the worst time. */
static double
MeasureHostile(char *text, size_t len)
{
	double		worst = 0;

	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
	{
		double		seconds;
		size_t		hits;

		Fill(text, len, &hostile[i], 1);
		seconds = Measure(text, len, &hits);
		if (seconds > worst)
			worst = seconds;
		fflush(stdout);
		printf("hostile %-36.36s %7.3f GB/s %9zu findings\n", hostile[i],
			   (double) len / seconds / 1e9, hits);
	}
	return worst;
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
	size_t		hits;

	if (text == NULL)
		return 2;
	Fill(text, len, prompts, sizeof(prompts) / sizeof(prompts[0]));
	ordinary = Measure(text, len, &hits);
	printf("ordinary prompts  %7.3f GB/s %9zu findings\n",
		   (double) len / ordinary / 1e9, hits);
	Fill(text, len, russian, sizeof(russian) / sizeof(russian[0]));
	printf("Russian prompts   %7.3f GB/s\n",
		   (double) len / Measure(text, len, &hits) / 1e9);
	Fill(text, len, digits, sizeof(digits) / sizeof(digits[0]));
	heavy = Measure(text, len, &hits);
	printf("digit-heavy text  %7.3f GB/s %9zu findings\n",
		   (double) len / heavy / 1e9, hits);
	worst = MeasureHostile(text, len);
	printf("worst hostile text: %.1f times the ordinary time, "
		   "%.1f times the ordinary target\n", worst / ordinary,
		   worst / ((double) len / 0.5e9));
	free(text);
	return check && (len / ordinary < 0.5e9 || len / heavy < 0.1e9 ||
					 worst > 5 * (double) len / 0.5e9);
}
