/*
 * filter.c
 *	  Which signs and numbers of a block are worth an event.
 *
 * Most of them are nothing, which the few bytes beside them tell.  A text in
 * disorder has one every few bytes, and no machine predicts what is beside
 * them: so what is said here is said without a branch, for a block at once.
 * All of it follows from the detectors: what does not pass would have given
 * no finding, and changed nothing that another event depends on.
 */
#include "mask/scan.h"

#include <string.h>

/* A sign, the three bytes before it, from the nearest on, and the two behind. */
#define SIDES 6

/*
 * The ways in which a sign may be worth an event: what stands at each side,
 * NULL for anything.  '^' stands for all but the others; letters for a class:
 * A letters and digits, D digits, X hexadecimal ones, G the other letters, W
 * words, H bytes above 0x7F, L local parts, N names, K keys, O operators
 * without '=' and ':', Q quotes; all else for itself.
 */
static const struct
{
	unsigned	way;
	const char *side[SIDES];
}			sign_ways[] =

{
	/* DetectEmail: a local part is not of dots alone, nor is a domain */
	{SIGN_AT, {"@", "W_", NULL, NULL, "W-_[", "W-_.:"}},
	{SIGN_AT << 1, {"@", "LH", "LH", NULL, "W-_[", "W-_.:"}},
	{SIGN_QUOTED, {"@", "\"", "W", NULL, "W-_[", "W-_.:"}},
	/* DetectUrlCredentials, DetectTelegram */
	{SIGN_COLON, {":", "^:", NULL, NULL, "/", "/"}},
	{SIGN_COLON << 1, {":", "D", "D", "D", "A", NULL}},
	/* DetectColonAddress: behind its first group, or before "::" */
	{SIGN_COLON_GROUP, {":", "X", "^G:_", NULL, "X", "X:"}},
	{SIGN_COLON << 3, {":", "X", "^G:_", NULL, ":", NULL}},
	{SIGN_COLON << 4, {":", "^A:_", NULL, NULL, ":", NULL}},
	/* DetectAssignment: behind a key of three characters or more */
	{SIGN_ASSIGN, {":=", "N", "K", "K", NULL, NULL}},
	{SIGN_ASSIGN << 1, {":=", "OQ \t", "OQK \t", "OQK \t", NULL, NULL}},
};

#define SIGN_WAYS (sizeof(sign_ways) / sizeof(sign_ways[0]))

/* By side and byte, the ways that allow it. */
static uint16_t sign_side[SIDES][256];

static bool pass_all = false;

/* For tests: whether all that the scanner's loop may pass on is passed. */
void
MaskPassAll(bool pass)
{
	pass_all = pass;
}

/* True if a byte is what one character of the notation above stands for. */
static bool
IsOfClass(unsigned char c, char class)
{
	switch (class)
	{
		case 'A':
			return IsAlnum(c);
		case 'D':
			return IsDigit(c);
		case 'X':
			return IsHex(c);
		case 'G':
			return IsAlpha(c) && !IsHex(c);
		case 'W':
			return InSet(c, SET_WORD);
		case 'H':
			return c >= 0x80;
		case 'L':
			return InSet(c, SET_LOCAL);
		case 'N':
			return InSet(c, SET_NAME);
		case 'K':
			return InSet(c, SET_KEY);
		case 'O':
			return InSet(c, SET_OPERATOR) && c != '=' && c != ':';
		case 'Q':
			return InSet(c, SET_QUOTE);
		default:
			return c == (unsigned char) class;
	}
}

/* True if a byte is one of those that the notation above stands for. */
static bool
IsAllowed(unsigned char c, const char *classes)
{
	bool		none = *classes == '^';

	for (classes += none; *classes; classes++)
		if (IsOfClass(c, *classes))
			return !none;
	return none;
}

/* Fills the tables, after CharSetsPrepare(); again is harmless. */
void
FilterPrepare(void)
{
	for (int side = 0; side < SIDES; side++)
		for (int c = 0; c < 256; c++)
		{
			unsigned	ways = 0;

			for (size_t i = 0; i < SIGN_WAYS; i++)
			{
				const char *classes = sign_ways[i].side[side];

				if (classes == NULL || IsAllowed((unsigned char) c, classes))
					ways |= sign_ways[i].way;
			}
			sign_side[side][c] = (uint16_t) ways;
		}
}

/*
 * Ways that nothing but the other masks rule out: a group of an address with
 * colons has at most four digits before its next colon (what is beyond the
 * block is not known), and the name of a key has three letters in a row, or
 * what joins them, since the sign before.
 */
static inline unsigned
FarWays(const BlockMasks *masks, uint64_t rows, int i, int last)
{
	bool		colon = (masks->sign >> i >> 1 & 31) != 0 || i > 64 - 6;
	bool		row = (rows & ((UINT64_C(2) << i) - 1)) >> last != 0;

	return SIGN_ANY & ~(colon ? 0u : SIGN_COLON_GROUP) &
		~(row ? 0u : SIGN_ASSIGNS);
}

/*
 * Those that any sign is worth, for tests: it begins an operator, and is the
 * first colon of some.
 */
static inline unsigned
AllWays(unsigned char c, unsigned char before)
{
	if (c == '@')
		return SIGN_AT;
	if (before == ':')
		return 0;
	return (c == ':' ? SIGN_COLONS : 0) | (before == '=' ? 0 : SIGN_ASSIGN);
}

/*
 * Those of a block's signs that may be worth an event, and for each in which
 * ways.  A block has four bytes more than its own; what is before it is in
 * the text.
 */
uint64_t
FilterSigns(const unsigned char *text, const unsigned char *block,
			size_t offset, const BlockMasks *masks, uint16_t *ways)
{
	uint64_t	other = ~(masks->digit | masks->sign);
	uint64_t	rows = other & other << 1 & other << 2;
	uint64_t	pass = 0;
	int			last = 0;

	/* before the block's first sign all may have been said earlier */
	rows |= 1;
	for (uint64_t signs = masks->sign; signs != 0; signs &= signs - 1)
	{
		int			i = __builtin_ctzll(signs);
		const unsigned char *at = text +offset + i;
		unsigned	may = sign_side[0][block[i]];

		if (offset + (size_t) i >= 3)
			may &= sign_side[1][at[-1]] & sign_side[2][at[-2]] &
				sign_side[3][at[-3]] & sign_side[4][block[i + 1]] &
				sign_side[5][block[i + 2]] & FarWays(masks, rows, i, last);
		if (pass_all)
			may = AllWays(block[i], offset + (size_t) i > 0 ? at[-1] : 0);
		ways[i] = (uint16_t) may;
		pass |= (uint64_t) (may != 0) << i;
		last = i;
	}
	return pass;
}

/* Clears the highest bits that are set, as many as said. */
static inline uint64_t
ClearHighest(uint64_t bits, int count)
{
	for (int i = 0; i < count; i++)
		bits &= ~(UINT64_C(1) << (63 - __builtin_clzll(bits | 1)));
	return bits;
}

/* All places above the highest bit that is set. */
static inline uint64_t
AboveHighest(uint64_t bits)
{
	return bits == 0 ? ~UINT64_C(0) :
		~UINT64_C(0) << (63 - __builtin_clzll(bits)) << 1;
}

/*
 * Those of the beginnings of numbers that have less than six digits to the end
 * of their row, which is all that might join them to more: too few for any
 * number; and less than two gaps of one sign, where a date has two and an
 * address three.  What touches letters may be a part of something else.
 */
static inline uint64_t
PoorRows(uint64_t starts, uint64_t d, uint64_t join, uint64_t alnum)
{
	uint64_t	row = d | join;
	uint64_t	gap = join & d << 1 & d >> 1;
	uint64_t	poor = 0;

	while (starts != 0)
	{
		int			i = __builtin_ctzll(starts);
		uint64_t	outside = ~row & ~UINT64_C(0) << i;
		int			end;
		uint64_t	rest;

		if (outside == 0)
			break;				/* what is beyond the block is not known */
		end = __builtin_ctzll(outside);
		rest = (UINT64_C(1) << end) - (UINT64_C(1) << i);
		poor |= starts & rest & AboveHighest(ClearHighest(d & rest, 5)) &
			AboveHighest(ClearHighest(gap & rest, 1)) &
			((alnum >> end & 1) - 1);
		starts &= ~rest;
	}
	return poor;
}

/*
 * Beginnings of numbers of one to three digits, or of five, that have no
 * letter beside them and no other number behind them: neither is there what
 * joins them, nor does anything follow that.  They are nothing, unless a word
 * of birth is near; see IsIdleNumber(), LoneDigits() and MayMatter().
 */
uint64_t
IdleNumbers(const BlockMasks *masks, uint64_t starts, uint64_t alnum,
			uint64_t alnum_before)
{
	uint64_t	d = masks->digit;
	uint64_t	join = masks->join;
	uint64_t	letter = alnum & ~d;
	uint64_t	other = ~(alnum | join);
	uint64_t	ends = other | (join & other >> 1);
	uint64_t	lone = other | (join & ~(d | join) >> 1);
	uint64_t	idle;

	/* what is beyond the block's end is not known, and shifted in as 0 */
	idle = d >> 3 & d >> 4 & lone >> 5;
	idle = d >> 2 & (lone >> 3 | idle);
	/* two, a dash and letters may be an address */
	idle = d >> 1 & (ends >> 2 | idle);
	idle = starts & ~(alnum << 1 | alnum_before) & (lone >> 1 | idle);
	starts &= ~idle;
	/* four digits at once may be the first of a card's */
	starts &= ~(alnum << 1 | alnum_before) & ~(d >> 1 & d >> 2 & d >> 3);
	starts &= ~(letter >> 1 | (d >> 1 & (letter >> 2 | (d >> 2 & letter >> 3))));
	/* FA-AD-20-53: what is before the block's first byte is not known */
	starts &= ~(join << 1 & (letter << 2 | alnum_before << 1)) & ~UINT64_C(1);
	idle |= PoorRows(starts, d, join, alnum);
	return pass_all ? 0 : idle;
}
