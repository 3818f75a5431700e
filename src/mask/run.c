/*
 * run.c
 *	  Reading a run of digits: groups of digits joined by separators, as
 *	  cards, phones and identifiers are written.
 */
#include "mask/scan.h"

#include <string.h>

/*
 * The length of two or three signs at pos before another group of digits, 0
 * if the run ends here: also at the end of a sentence and in a path.
 */
static inline size_t
WideGap(const MaskScan *scan, size_t pos)
{
	unsigned char gap[4];
	bool		two;
	bool		three;

	for (size_t i = 0; i < 4; i++)
		gap[i] = ByteAt(scan, pos + i);
	two = (CharSet[gap[0]] & CharSet[gap[1]] & SET_JOINS_DIGITS) != 0;
	three = two & ((CharSet[gap[2]] & SET_JOINS_DIGITS) != 0) &
		(gap[3] - '0' < 10u);
	/* seldom either, so that one branch is enough */
	if (!((two & (gap[2] - '0' < 10u)) | three))
		return 0;
	for (int i = 0; i < 2 + three; i++)
		if (gap[i] == '.' || gap[i] == '/')
			return 0;
	return 2 + (size_t) three;
}

/*
 * True if a comma before a digit is one between the columns of a list: what
 * follows are too many digits for a group of thousands and for the places
 * behind a decimal comma, or groups of their own.
 */
static bool
CommaSeparates(const MaskScan *scan, size_t pos)
{
	size_t		digits = CountDigits(scan, pos, 9);
	size_t		end = pos + digits;

	if (digits == 1)			/* 8 777 649 82 63, 8(777)649-82-63 */
		return ByteAt(scan, end) == '(' ||
			(ByteAt(scan, end) == ' ' && ByteAt(scan, end + 1) == '(') ||
			(CountDigits(scan, end + 1, 4) == 3 &&
			 !IsAlnum(ByteAt(scan, end)) && ByteAt(scan, end) != '.' &&
			 CountDigits(scan, end + 5, 4) == 3 &&
			 CountDigits(scan, end + 9, 3) == 2);

	return digits >= 9 || (digits >= 3 && ByteAt(scan, end) == '-' &&
						   IsDigit(ByteAt(scan, end + 1))) ||
		(digits == 4 && InSet(ByteAt(scan, end), SET_JOINS_DIGITS) &&
		 (IsDigit(ByteAt(scan, end + 1)) || IsDigit(ByteAt(scan, end + 2)) ||
		  IsDigit(ByteAt(scan, end + 3))));
}

/*
 * True if the stars before a number are of print in bold or italics, and mask
 * nothing: *123* or **123**.
 */
static bool
IsBold(const MaskScan *scan, size_t start)
{
	size_t		stars = 1;
	size_t		end = start;

	while (stars < 3 && start > stars && scan->text[start - stars - 1] == '*')
		stars++;
	if (scan->text[start - 1] != '*' || stars > 2 ||
		ByteBefore(scan, start - stars) == ':' ||
		IsWordByte(ByteBefore(scan, start - stars)))
		return false;
	while (end - start < 48 && (IsDigit(ByteAt(scan, end)) ||
								InSet(ByteAt(scan, end), SET_JOINS_DIGITS)))
		end++;
	for (size_t i = 0; i < stars; i++)
		if (ByteAt(scan, end + i) != '*')
			return false;
	return !IsWordByte(ByteAt(scan, end + stars)) &&
		ByteAt(scan, end + stars) != '*';
}

/*
 * How the text to the left of a run touches it.  Looks back over one token
 * of at most 24 bytes.
 */
RunEdge
RunLeft(const MaskScan *scan, size_t start)
{
	unsigned char before = ByteBefore(scan, start);
	size_t		at = start;
	bool		mixed = false;

	/* _123_ is printed in italics */
	if (before == '_')
		return start < 2 || !IsWordByte(scan->text[start - 2]) ? EDGE_CLEAN :
			EDGE_WORD;
	if (before == '*' || before == '\\')
		return IsBold(scan, start) ? EDGE_CLEAN : EDGE_BAD;
	if ((before == '.' || before == ',') && start >= 2 &&
		IsDigit(scan->text[start - 2]))
		return before == ',' && CommaSeparates(scan, start) ? EDGE_CLEAN :
			EDGE_BAD;
	if (before == '-' && start >= 2 && IsAlnum(scan->text[start - 2]))
		at--;
	else if (!IsAlpha(before))
		return EDGE_CLEAN;
	if (at >= 8)
	{
		unsigned	letters = LettersBefore(scan->text +at);

		/* most tokens are short */
		if (letters < 8)
			return IsDigit(scan->text[at - letters - 1]) ? EDGE_BAD :
				before == '-' ? EDGE_CLEAN : EDGE_WORD;
	}
	for (int i = 0; i < 24 && !mixed && at > 0 && IsAlnum(scan->text[at - 1]);
		 i++)
		mixed = IsDigit(scan->text[--at]);
	if (mixed)
		return EDGE_BAD;
	return before == '-' ? EDGE_CLEAN : EDGE_WORD;
}

/* How the text to the right touches it. */
static RunEdge
RightEdge(const MaskScan *scan, size_t end)
{
	unsigned char c = ByteAt(scan, end);
	unsigned char next = ByteAt(scan, end + 1);

	if (c == '_')
		return IsWordByte(next) ? EDGE_WORD : EDGE_CLEAN;
	if (IsAlpha(c))
		return EDGE_WORD;
	if ((c == '*' && (IsWordByte(next) || (next == '*' &&
										   IsWordByte(ByteAt(scan, end + 2))))) ||
		(c == '.' && IsDigit(next)))
		return EDGE_BAD;
	if (c == ',' && IsDigit(next))
		return end >= 4 && IsDigit(ByteBefore(scan, end - 3)) ? EDGE_CLEAN :
			EDGE_BAD;			/* 1,234,567 and 1 234,50 */
	if (c == '-' && IsAlnum(next))
	{
		for (size_t i = end + 1; i < end + 9 && IsAlnum(ByteAt(scan, i)); i++)
			if (IsDigit(scan->text[i]))
				return EDGE_BAD;
	}
	return EDGE_CLEAN;
}

/*
 * Reads the chain of groups that begins at pos.  A group of more digits than
 * any identifier has ends the chain; if it is the first the chain is empty.
 */
static void
ReadChain(MaskScan *scan, size_t pos)
{
	DigitRun   *run = &scan->run;
	int			digits = 0;
	char		sep = 0;

	run->chain_count = 0;
	while (run->chain_count < CHAIN_GROUPS)
	{
		DigitGroup *group = &run->chain[run->chain_count];
		size_t		at = pos + CountDigits(scan, pos, GROUP_DIGITS);
		size_t		gap;

		/* at once, whatever is behind the digits */
		if (scan->len - pos >= GROUP_DIGITS)
			memcpy(run->chain_digits + digits, scan->text +pos, GROUP_DIGITS);
		else
			memcpy(run->chain_digits + digits, scan->text +pos, at - pos);
		if (at == pos + GROUP_DIGITS && IsDigit(ByteAt(scan, at)))
		{
			while (at < scan->len && IsDigit(scan->text[at]))
				at++;
			if (run->chain_count == 0)
				run->chain_end = at;
			return;
		}
		group->pos = pos;
		group->sep = sep;
		group->len = (int) (at - pos);
		group->before = digits;
		digits += group->len;
		run->chain_count++;
		run->chain_end = at;
		if (at + 1 >= scan->len || !InSet(scan->text[at], SET_JOINS_DIGITS))
			return;
		if (IsDigit(scan->text[at + 1]))
		{
			sep = (char) scan->text[at];
			pos = at + 1;
			continue;
		}
		gap = WideGap(scan, at);
		if (gap == 0)
			return;
		sep = '*';
		pos = at + gap;
	}
}

/* The index in the present chain of the group at pos, -1 if it isn't there. */
static int
ChainIndex(const DigitRun *run, size_t pos)
{
	int			first = run->groups > 0 ? (int) (run->group - run->chain) : 0;

	for (int i = first; i < run->chain_count && run->chain[i].pos <= pos; i++)
		if (run->chain[i].pos == pos)
			return i;
	return -1;
}

/*
 * Makes scan->run a view of the run that begins with the digit at pos.  The
 * chain is read anew only where it isn't known yet, so that a text of
 * nothing but short groups is read once and not from every group.
 */
void
ReadDigitRun(MaskScan *scan, size_t pos)
{
	DigitRun   *run = &scan->run;
	int			index = pos < run->chain_end ? ChainIndex(run, pos) : -1;

	if (index < 0 || (run->chain_count == CHAIN_GROUPS &&
					  index > CHAIN_GROUPS - RUN_GROUPS))
	{
		run->inner = index > 0;
		ReadChain(scan, pos);
		index = 0;
	}
	else
		run->inner = index > 0;
	run->group = run->chain + index;
	run->groups = run->chain_count - index;
	if (run->groups > RUN_GROUPS)
		run->groups = RUN_GROUPS;
	if (run->groups <= 0)
	{
		run->groups = 0;
		run->end = run->chain_end;
		return;
	}
	run->digits = run->chain_digits + run->group[0].before;
	run->total = RunDigits(run, run->groups);
	run->end = RunEnd(run, run->groups);
	run->left = ByteBefore(scan, pos) == ' ' ? EDGE_CLEAN : RunLeft(scan, pos);
	if (run->right_of != run->end)
	{
		run->right = ByteAt(scan, run->end) == ' ' ? EDGE_CLEAN :
			RightEdge(scan, run->end);
		run->right_of = run->end;
	}
}

/* RunShape() after a first look. */
bool
RunShapeAll(const DigitRun *run, const char *shape)
{
	int			group = 0;
	char		same = 0;

	for (const char *p = shape; *p; p++)
	{
		char		sep = 0;

		if (p != shape)
			sep = *p++;
		if (group >= run->groups || run->group[group].len != *p - '0')
			return false;
		if (sep == '~')
		{
			if (same == 0)
				same = run->group[group].sep;
			sep = same;
		}
		if (group > 0 && run->group[group].sep != sep)
			return false;
		group++;
	}
	return true;
}
