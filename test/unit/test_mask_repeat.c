/*
 * test_mask_repeat.c
 *	  Passing over repetitions gives the findings of reading them.
 *
 * Each text is made so that one part of the scanner's state differs from one
 * round of its repetition to another, or is of consequence at its end: where
 * that part were not compared, or not moved along, findings would be lost or
 * made up.  SameState() and SkipRounds() in repeat.c name these parts.
 */
/* links: src/mask/[c-k]*.c src/mask/[nrstvw][aceho-u]*.c src/core/sha256.c */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mask/scan.h"
#include "mask_tap.h"

/*
 * One text: filling up to an offset, a head, a piece that is repeated from
 * there for about so many bytes, and a tail.  A piece of a given size is
 * filled up in front.  The text is scanned in several lengths: the piece is
 * repeated once more each time.
 */
struct Repeated
{
	const char *what;			/* state that it is made for */
	const char *head;
	const char *piece;
	const char *tail;
	size_t		start;			/* the head ends here; 0: nothing before it */
	size_t		size;			/* of the piece; 0: as it is */
	size_t		len;			/* of the repetition, at least */
	int			lengths;
	int			found;			/* findings in the first, at least */
};

#define LETTERS "abcdefghijklmnopqrstuvwxyzabcdefghijk"
#define A_64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A_448 A_64 A_64 A_64 A_64 A_64 A_64 A_64
#define KEY_36 "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
#define NO_BITCOIN " 1BoatSLRHtKNngkdXEeobR76b53LETtpyU"

static const struct Repeated texts[] =
{
	{"digits_done: tokens of no end", "", "abcdef1", LETTERS "4111111111111111 .",
	0, 0, 365000, 16, 0},
	{"key_done: keys that are too long", "", "sk-ant-", "-ghp_" KEY_36 " .",
	0, 0, 430000, 16, 0},
	{"key_done: keys within what was read as one", "",
		"ey/aaaaaaaaaaaaaaaaaaaaaaaaa/ghp_" KEY_36 "/bbbbbbbbbbbbbbbbbbbbb",
	"", 0, 0, 700000, 2, 100},
	{"sign_done: values that are too long", "", "token=", "x1y2z3w4 .", 0, 0,
	510000, 16, 0},
	{"dear_checks: as many as are allowed", "", NO_BITCOIN, " .", 0, 0, 90000,
	2, 500},
	{"chain_end: rows of digits", "",
		"4 0 9 1 2 3 5 6 0 9 1 2 2 3 3 1 5 0 2 3 4 1 0 2 3 5 6 ", "7.", 0, 0,
	80000, 70, 0},
	/* the last check is used up just before a state is noted, at 123904 */
	{"findings: one more than before", "", NO_BITCOIN " of 2024.", "  ", 0, 512,
	181760, 2, 100},
	{"findings: the same place, another kind", "", NO_BITCOIN "@ab.kz 2024.", " .",
	0, 512, 181760, 2, 100},
	{"findings that go on for longer than a step", "",
		"eyJhbGciOiJIUzI1Ni.eyJabcdefgh-ghp_" KEY_36 "-bbbbbbbbbbbbbbbbbbbb",
	" .", 0, 0, 700000, 2, 1},
	/* pieces of whole blocks: a round begins where the piece does */
	{"a context at the end of a round", "",
		"1234567890123451 is what they said of it, and so the other card ",
	" .", 0, 0, 90000, 3, 1000},
	{"any context at the end of a round", "",
		"12345678 is what they said of it at home, and then that account ",
	" .", 0, 0, 90000, 3, 1000},
	{"a row of digits at the end of a round", "",
		"8 1 0 0 1 2 3 4 0 0 5 6 3 4 1 9, so they said it was at ho1 2 3 ",
	" .", 0, 0, 90000, 3, 0},
	{"a finding that a later one is added to", "",
		"@bank.kz was what he said of it, that day, they:4111111111111111",
	" .", 0, 0, 90000, 3, 1000},
	{"what is behind the end", "", ". pin code ", "123456 .", 0, 1024, 81920,
	5, 1},
	{"a key that begins in front of the end", "",
		"-eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9" A_448 A_448
		"aaaaaaaaaaaaaaaaaaaaaaaaaaa",
	".eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.abcdefgh .", 0, 0, 514000, 16, 1},
	{"a finding that grows with each round", "so ", "ACa@b.",
	" card 4111111111111111 .", 0, 0, 300000, 16, 1},
	{"a finding that covers all rounds", "so ", "api_key=-",
	" card 4111111111111111 .", 0, 0, 300000, 16, 1},
	{"key_done: a row of a key's characters", "so ", "=eyJ",
	" card 4111111111111111 .", 0, 0, 400000, 16, 1},
	{"a name that begins in front of the first", "their password_",
		A_64 "aaaa=hunt!erx, and so they said of it, but not to all of them, ",
	" .", 65536, 0, 90000, 2, 1},
};

/* Findings of a text, passing over repetitions or not. */
static bool
SameFindings(const char *text, size_t len, size_t *found)
{
	MaskHit    *hits[2];
	size_t		count[2];
	bool		same;

	for (int pass = 0; pass < 2; pass++)
	{
		MaskPassRepeats(pass);
		FindWithSet(&plain, NULL, text, len, &hits[pass], &count[pass]);
	}
	same = count[0] == count[1];
	for (size_t i = 0; i < count[0] && same; i++)
	{
		const MaskHit *a = &hits[0][i];
		const MaskHit *b = &hits[1][i];

		same = a->start == b->start && a->end == b->end &&
			a->entity == b->entity && a->score == b->score &&
			a->keep == b->keep && a->validator == b->validator;
	}
	*found = count[0];
	free(hits[0]);
	free(hits[1]);
	return same;
}

/* Fills with prose that repeats nothing and holds no finding. */
static void
FillProse(char *text, size_t len)
{
	unsigned	state = 1;

	for (size_t i = 0; i < len; i++)
	{
		state = state * 1103515245u + 12345u;
		text[		i] = " qwzjvkhg"[(state >> 16) % 9];
	}
}

/* Scans one text in all its lengths. */
static bool
SameInAllLengths(const struct Repeated *it)
{
	static char text[1 << 20];
	char		piece[1024];
	size_t		given = strlen(it->piece);
	size_t		size = it->size > 0 ? it->size : given;
	size_t		head = strlen(it->head);
	size_t		at = it->start > head ? it->start : head;
	size_t		end;
	size_t		found;

	FillProse(piece, size);
	memcpy(piece + size - given, it->piece, given);
	FillProse(text, at);
	memcpy(text +at - head, it->head, head);
	for (end = at; end < at + it->len; end += size)
		memcpy(text +end, piece, size);
	for (int i = 0; i < it->lengths; i++, end += size)
	{
		memcpy(text +end, piece, size);
		memcpy(text +end + size, it->tail, strlen(it->tail));
		if (!SameFindings(text, end + size + strlen(it->tail), &found) ||
			(i == 0 && found < (size_t) it->found))
		{
			printf("# length %d: %zu findings\n", i, found);
			return false;
		}
	}
	return true;
}

int
main(void)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		Ok(SameInAllLengths(&texts[i]), texts[i].what);
	printf("1..%d\n", number);
	return failed != 0;
}
