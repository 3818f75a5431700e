/*
 * run.c
 *	  Reading a run of digits: groups of digits joined by separators, as
 *	  cards, phones and identifiers are written.
 */
#include "mask/scan.h"

#include <string.h>

/*
 * The separator before another group of digits at pos: its length, or 0 if
 * the run ends here.  A lone character is told in *sep, several as '*'.
 */
static size_t
ReadSeparator(const MaskScan *scan, size_t pos, char *sep)
{
	size_t		n = 0;
	int			parens = 0;
	int			dots = 0;

	while (n < 4 && pos + n < scan->len)
	{
		unsigned char c = scan->text[pos + n];

		if (c == '(' || c == ')')
			parens++;
		else if (c == '.' || c == '/')
			dots++;
		else if (c != ' ' && c != '-')
			break;
		n++;
	}
	if (n == 0 || n == 4 || !IsDigit(ByteAt(scan, pos + n)))
		return 0;
	*sep = n == 1 ? (char) scan->text[pos] : '*';
	if (n > 1 && dots > 0)
		return 0;				/* the end of a sentence, a path */
	return n > 1 && parens == 0 && n > 3 ? 0 : n;
}

/*
 * How the text to the left of a run touches it.  Looks back over one token
 * of at most 40 bytes.
 */
static RunEdge
LeftEdge(const MaskScan *scan, size_t start)
{
	unsigned char before = ByteBefore(scan, start);
	size_t		at = start;
	bool		mixed = false;

	if (before == '*' || before == '_' || before == '\\')
		return before == '_' ? EDGE_WORD : EDGE_BAD;
	if ((before == '.' || before == ',') && start >= 2 &&
		IsDigit(scan->text[start - 2]))
		return EDGE_BAD;
	if (before == '-' && start >= 2 && IsAlnum(scan->text[start - 2]))
		at--;
	else if (!IsAlpha(before))
		return EDGE_CLEAN;
	for (int i = 0; i < 40 && at > 0 && IsAlnum(scan->text[at - 1]); i++)
		mixed |= IsDigit(scan->text[--at]);
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

	if (IsAlpha(c) || c == '_')
		return EDGE_WORD;
	if (c == '*' || ((c == '.' || c == ',') && IsDigit(next)))
		return EDGE_BAD;
	if (c == '-' && IsAlnum(next))
	{
		for (size_t i = end + 1; i < end + 9 && IsAlnum(ByteAt(scan, i)); i++)
			if (IsDigit(scan->text[i]))
				return EDGE_BAD;
	}
	return EDGE_CLEAN;
}

/*
 * Reads the run that begins with the digit at pos into scan->run.  A group
 * of more than 24 digits is no identifier: it is counted as read, but ends
 * the run.
 */
void
ReadDigitRun(MaskScan *scan, size_t pos)
{
	DigitRun   *run = &scan->run;
	char		sep = 0;

	run->groups = 0;
	run->total = 0;
	run->end = pos;
	while (run->groups < RUN_GROUPS)
	{
		DigitGroup *group = &run->group[run->groups];
		size_t		at = pos;
		size_t		gap;

		while (at < scan->len && IsDigit(scan->text[at]))
			at++;
		group->pos = pos;
		group->sep = sep;
		group->len = (int) (at - pos > 25 ? 25 : at - pos);
		if (group->len > 24)
		{
			if (run->groups == 0)
				run->end = at;
			break;
		}
		memcpy(run->digits + run->total, scan->text +pos,
			   (size_t) group->len);
		run->total += group->len;
		run->groups++;
		run->end = at;
		gap = ReadSeparator(scan, at, &sep);
		if (gap == 0)
			break;
		pos = at + gap;
	}
	if (run->groups > 0)
	{
		run->left = LeftEdge(scan, run->group[0].pos);
		run->right = RightEdge(scan, run->end);
	}
}

/* The end of the first groups of a run. */
size_t
RunEnd(const DigitRun *run, int groups)
{
	return run->group[groups - 1].pos + (size_t) run->group[groups - 1].len;
}

/* The number of digits in the first groups. */
int
RunDigits(const DigitRun *run, int groups)
{
	int			n = 0;

	for (int i = 0; i < groups; i++)
		n += run->group[i].len;
	return n;
}

/* True if the first groups are all joined by the same separator. */
bool
RunSeparated(const DigitRun *run, int groups, char sep)
{
	for (int i = 1; i < groups; i++)
		if (run->group[i].sep != sep)
			return false;
	return true;
}

/*
 * True if the run begins with groups of these lengths and separators, for
 * example "3-2-4".  '~' stands for any single separator, repeated as it is.
 */
bool
RunShape(const DigitRun *run, const char *shape)
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
