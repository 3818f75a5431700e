/*
 * detect_phone.c
 *	  Telephone numbers and dates: runs of digits that are told apart by
 *	  their groups.
 */
#include "mask/lexicon.h"
#include "mask/scan.h"
#include "mask/validate.h"

#include <string.h>

/* ---------------- dates ---------------- */

/* The value of a group of at most four digits. */
static int
GroupValue(const DigitRun *run, int group)
{
	const char *digits = run->digits + RunDigits(run, group);
	int			value = 0;

	for (int i = 0; i < run->group[group].len && i < 6; i++)
		value = value * 10 + (digits[i] - '0');
	return value;
}

/* 1992-12-08, 08.12.1992, 12/8/92: the first three groups are a date. */
static bool
RunIsDate(const DigitRun *run)
{
	int			a,
				b,
				c;
	char		sep;

	if (run->groups < 3 || run->group[1].len > 2)
		return false;
	sep = run->group[1].sep;
	if (sep != run->group[2].sep ||
		(sep != '-' && sep != '.' && sep != '/') ||
		(run->group[2].len != 2 && run->group[2].len != 4 &&
		 run->group[0].len != 4))
		return false;
	a = GroupValue(run, 0);
	b = GroupValue(run, 1);
	c = GroupValue(run, 2);
	if (run->group[0].len == 4 && run->group[2].len <= 2)
		return a >= 1800 && a < 2200 && DatePlausible(a, b, c);
	if (run->group[0].len > 2)
		return false;
	if (run->group[2].len == 4)
		return c >= 1800 && c < 2200 &&
			(DatePlausible(c, b, a) || DatePlausible(c, a, b));
	return run->group[2].len == 2 && run->group[0].len + run->group[1].len < 5
		&& (DatePlausible(2000 + c, b, a) || DatePlausible(2000 + c, a, b))
		&& !(run->groups > 3 && run->group[3].sep == sep);
}

/* Passes over what joins the parts of a date in words. */
static size_t
SkipDateJoin(const MaskScan *scan, size_t at)
{
	while (ByteAt(scan, at) == ' ' || ByteAt(scan, at) == ',' ||
		   ByteAt(scan, at) == '-' || ByteAt(scan, at) == '.')
		at++;
	return at;
}

/* The end of a word of letters of any script, at most 24 bytes. */
static size_t
LettersEnd(const MaskScan *scan, size_t pos)
{
	size_t		at = pos;

	while (at - pos < 24 &&
		   (IsAlpha(ByteAt(scan, at)) || ByteAt(scan, at) >= 0x80))
		at++;
	return at;
}

/* The end of a day of a month, "5" or "5th", at pos; 0 if it is none. */
static size_t
DayEnd(const MaskScan *scan, size_t pos)
{
	size_t		digits = CountDigits(scan, pos, 3);
	size_t		at = pos + digits;
	int			day = 0;

	for (size_t i = pos; i < at; i++)
		day = day * 10 + (scan->text[i] - '0');
	if (digits < 1 || digits > 2 || day < 1 || day > 31)
		return 0;
	while (IsAlpha(ByteAt(scan, at)) && at < pos + digits + 2)
		at++;					/* 1st, 2nd */
	if (ByteAt(scan, at) == '-' && ByteAt(scan, at + 1) >= 0x80 &&
		ByteAt(scan, at + 5) == ' ')
		at += 5;				/* the same in Russian */
	return at;
}

/*
 * The end of a date with its month in words that begins at pos ("5 May
 * 1990", "5th of May 1990", "12 мая 1985 года"), 0 if there is none.
 */
static size_t
WordDateEnd(const MaskScan *scan, size_t pos)
{
	size_t		at = DayEnd(scan, pos);

	if (at == 0)
		return 0;
	at = SkipDateJoin(scan, at);
	if (ByteAt(scan, at) == 'o' && ByteAt(scan, at + 1) == 'f' &&
		ByteAt(scan, at + 2) == ' ')
		at += 3;
	at = SkipDateJoin(scan, LettersEnd(scan, at));
	return CountDigits(scan, at, 5) == 4 ? at + 4 : 0;
}

/*
 * The same of a date that begins with its year, as Kazakh has it: the year,
 * its word, the day and the month.
 */
static size_t
YearDateEnd(const MaskScan *scan, size_t pos)
{
	size_t		at = pos + 4;
	size_t		month;

	if (CountDigits(scan, pos, 5) != 4 || ByteAt(scan, at) != ' ' ||
		FoldMatch(scan->text, scan->len, at + 1, LEX_YEAR,
				  strlen(LEX_YEAR)) == 0)
		return 0;
	at = DayEnd(scan, SkipDateJoin(scan, LettersEnd(scan, at + 1)));
	month = at > 0 ? SkipDateJoin(scan, at) : 0;
	at = LettersEnd(scan, month);
	return month > 0 && at > month + 4 ? at : 0;
}

/* The start of a month's name that ends with the space before pos, or pos. */
static size_t
MonthBefore(const MaskScan *scan, size_t pos)
{
	static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
	size_t		at = pos;

	if (at < 2 || scan->text[at - 1] != ' ')
		return pos;
	for (at--; at > 0 && pos - at < 12 && IsAlpha(scan->text[at - 1]);)
		at--;
	if (pos - at < 4)
		return pos;
	for (const char *month = months; *month; month += 3)
		if (FoldMatch(scan->text, scan->len, at, month, 3))
			return at;
	return pos;
}

/*
 * DATE_OF_BIRTH: a date in words before a word of birth, at the end of that:
 * what is between them are at most 12 bytes without digits.
 */
bool
DetectBornDate(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		word = scan->word_start;
	size_t		at = word > 56 ? word - 56 : 0;
	MaskHit		hit = {0};

	(void) pos;
	if (at < scan->done)
		at = scan->done;
	for (; at < word; at++)
	{
		if (!IsDigit(scan->text[at]) || IsWordByte(ByteBefore(scan, at)))
			continue;
		hit.end = YearDateEnd(scan, at);
		if (hit.end == 0)
			hit.end = WordDateEnd(scan, at);
		if (hit.end > 0 && hit.end <= word && word - hit.end <= 12 &&
			SkipDateJoin(scan, LettersEnd(scan, SkipDateJoin(scan, hit.end)))
			>= word)
			break;
	}
	if (at >= word)
		return false;
	hit.start = at;
	hit.entity = self->entity;
	hit.score = 0.8f;
	hit.validator = "context";
	MaskAddHit(scan, &hit);
	return true;
}

/*
 * True if the word of birth before pos has its date already, beside it: a
 * later one in the same paragraph means something else, unless it is the next
 * of a list or of a column.
 */
static bool
BirthIsSaid(const MaskScan *scan, size_t pos)
{
	size_t		word = scan->context_end[CTX_BIRTH];
	const MaskHit *hit = NULL;
	const unsigned char *line;

	for (size_t i = scan->hit_count; i > 0 && i + 4 > scan->hit_count; i--)
		if (scan->hits[i - 1].entity == MASK_DATE_OF_BIRTH)
		{
			hit = &scan->hits[i - 1];
			break;
		}
	if (hit == NULL || pos - hit->end <= 8 || pos - hit->end > 256)
		return false;
	/* a word behind the date belongs to it, unless it is one of a new value */
	if (word > hit->end &&
		(word > hit->end + 24 || ByteAt(scan, hit->end) != ' ' ||
		 !IsWordByte(ByteAt(scan, hit->end + 1)) || ByteAt(scan, word) == ':'))
		return false;
	line = memchr(scan->text +hit->end, '\n', pos - hit->end);
	return line == NULL || line[1] == '\n';
}

/* 19870404 with a word of birth: its end, or 0. */
static size_t
CompactBirthEnd(const MaskScan *scan, size_t pos)
{
	const char *digits = scan->run.digits;
	int			year = TwoDigits(digits) * 100 + TwoDigits(digits + 2);

	return scan->run.group[0].len == 8 && year >= 1880 && year < 2100 &&
		DatePlausible(year, TwoDigits(digits + 4), TwoDigits(digits + 6)) &&
		ContextNear(scan, CTX_BIRTH, pos, 24) ? RunEnd(&scan->run, 1) : 0;
}

/* True for four digits that are a year of somebody's birth. */
static bool
IsYear(const char *digits)
{
	return memcmp(digits, "19", 2) == 0 || memcmp(digits, "20", 2) == 0;
}

/*
 * DATE_OF_BIRTH: a date near a word of birth.  Other dates are read over, so
 * that nobody takes them for a telephone.
 */
bool
DetectDate(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	DigitRun   *run = &scan->run;
	bool		numeric = RunIsDate(run);
	bool		birth;
	MaskHit		hit = {0};

	/* tel. 25-06-87 is none */
	if (numeric && run->group[2].len == 2 && run->group[0].len == 2 &&
		ContextNearest(scan, pos, 24) == CTX_PHONE)
		return false;
	birth = (ContextNear(scan, CTX_BIRTH, pos, 48) &&
			 !BirthIsSaid(scan, pos)) ||
		(numeric && ContextAfter(scan, CTX_BIRTH, RunEnd(run, 3)));
	hit.start = pos;
	if (numeric)
		hit.end = RunEnd(run, 3);
	else if (run->group[0].len == 8)
		hit.end = birth ? CompactBirthEnd(scan, pos) : 0;
	else if (birth)
		hit.end = run->group[0].len == 4 ? YearDateEnd(scan, pos) :
			WordDateEnd(scan, pos);
	/* a month and a year are no part of something longer */
	if (!numeric && run->groups > 1 && hit.end == RunEnd(run, 2) &&
		(run->groups > 2 || !IsYear(run->digits + run->group[0].len)))
		return false;
	if (hit.end == 0)
		return false;
	if (birth)
	{
		if (!numeric)
			hit.start = MonthBefore(scan, pos);
		hit.entity = self->entity;
		hit.score = 0.8f;
		hit.validator = "context";
		MaskAddHit(scan, &hit);
	}
	scan->digits_done = hit.end;
	return true;
}

/* ---------------- telephones ---------------- */

/*
 * Where the number begins: a plus before it belongs to it, and a parenthesis
 * that is closed behind the first digits.
 */
static size_t
PhoneStart(const MaskScan *scan)
{
	size_t		start = scan->run.group[0].pos;

	if (ByteBefore(scan, start) == '(' && (start < 2 ||
										   scan->text[start - 2] == '+' ||
										   ByteAt(scan, RunEnd(&scan->run, 1))
										   == ')'))
		start--;
	if (ByteBefore(scan, start) == '+')
		start--;
	else if (start >= 2 && scan->text[start - 1] == ' ' &&
			 scan->text[start - 2] == '+')
		start -= 2;
	return start;
}

/* An extension: "x11144", " ext. 12", or the same in Russian. */
static size_t
PhoneExtension(const MaskScan *scan, size_t end)
{
	size_t		at = end;

	while (ByteAt(scan, at) == ' ' || ByteAt(scan, at) == ',')
		at++;
	if ((ByteAt(scan, at) | 0x20) == 'x' ||
		(at == end && ByteAt(scan, at) == '#'))
		at++;
	else if (at < scan->len && FoldMatch(scan->text, scan->len, at,
										 "extension", 9))
		at += 9;
	else if (at < scan->len && FoldMatch(scan->text, scan->len, at, "ext", 3))
		at += 3;
	else if (at < scan->len &&
			 FoldMatch(scan->text, scan->len, at, LEX_EXTENSION, 6))
		at += 6;
	else
		return end;
	while (ByteAt(scan, at) == '.' || ByteAt(scan, at) == ' ' ||
		   ByteAt(scan, at) == ':')
		at++;
	if (!IsDigit(ByteAt(scan, at)))
		return end;
	for (int i = 0; i < 6 && IsDigit(ByteAt(scan, at)); i++)
		at++;
	return at;
}

/*
 * Groups of the run that may belong to one telephone number, a slash only
 * within its first digits (+421 2/212 345 67).
 */
static int
PhoneGroups(const DigitRun *run, int max_digits, int slash_from)
{
	int			groups = 1;
	int			digits = run->group[0].len;

	while (groups < run->groups && groups < 8 &&
		   (run->group[groups].sep != '/' || digits < slash_from) &&
		   digits + run->group[groups].len <= max_digits)
		digits += run->group[groups++].len;
	return groups;
}

/* The number of first groups that hold exactly that many digits, or 0. */
static int
GroupsOfDigits(const DigitRun *run, int digits)
{
	for (int groups = 1; groups <= run->groups; groups++)
		if (RunDigits(run, groups) >= digits)
			return RunDigits(run, groups) == digits ? groups : 0;
	return 0;
}

/*
 * True if the plus at pos is one of arithmetic: 1e+77012345678,
 * 12.5+17.20477401, C++17 20.19.3, now() + 86400000, +2147483647.
 */
static bool
IsSum(const MaskScan *scan, size_t pos)
{
	const DigitRun *run = &scan->run;
	unsigned char before = ByteBefore(scan, pos);
	bool		decimal = run->groups == 2 && run->group[1].sep == '.';

	if (before == '+' ||
		((before | 0x20) == 'e' && pos >= 2 && IsDigit(scan->text[pos - 2])))
		return true;
	if (IsDigit(before) && (decimal || run->right == EDGE_WORD))
		return true;
	if (decimal && run->group[0].len == 1 && run->right == EDGE_WORD)
		return true;
	if (decimal && scan->text[pos + 1] == ' ')
		return true;
	if (run->groups > 1)
		return false;
	/* no country has a code from +210 to +219 but those five */
	return (scan->text[pos + 1] == ' ' && run->total < 10) ||
		(run->digits[0] == '2' && run->digits[1] == '1' &&
		 strchr("12368", run->digits[2]) == NULL);
}

/* +7 701 123 45 67: a plus and 8 to 15 digits.  Groups, 0 if not. */
static int
InternationalGroups(const MaskScan *scan)
{
	const DigitRun *run = &scan->run;
	unsigned char before = ByteBefore(scan, run->group[0].pos);
	int			groups;

	if ((before != '+' && before != '(' && before != ' ') ||
		scan->text[PhoneStart(scan)] != '+' || run->digits[0] == '0')
		return 0;
	if (IsSum(scan, PhoneStart(scan)))
		return 0;
	if (run->digits[0] == '7' || run->digits[0] == '1')
	{
		groups = GroupsOfDigits(run, 11);
		if (groups > 0)
			return groups;
	}
	groups = PhoneGroups(run, 15, 7);
	return RunDigits(run, groups) >= 8 ? groups : 0;
}

/* (727) 250-60-70, (7172) 55-66-77: an area and a town's number, or 0. */
static int
AreaGroups(const MaskScan *scan)
{
	const DigitRun *run = &scan->run;
	int			town = 10 - run->group[0].len;

	if (run->groups < 4 ||
		ByteAt(scan, RunEnd(run, 1)) != ')' || RunDigits(run, 4) != 10 ||
		run->group[1].len != town - 4 || run->group[2].len != 2 ||
		run->group[2].sep != run->group[3].sep ||
		(run->group[2].sep != '-' && run->group[2].sep != ' '))
		return 0;
	return 4;
}

/* 8 (701) 123-45-67 and 7...: Kazakhstan and Russia.  Groups, 0 if not. */
static int
NationalGroups(const MaskScan *scan)
{
	const DigitRun *run = &scan->run;
	int			groups;
	char		area = run->digits[1];

	if (run->group[0].len > 2 && run->group[0].len < 6 &&
		ByteBefore(scan, run->group[0].pos) == '(')
		return AreaGroups(scan);
	if ((run->digits[0] != '8' && run->digits[0] != '7') || run->total < 11)
		return 0;
	groups = GroupsOfDigits(run, 11);
	if (groups == 0)
		return 0;
	if (groups == 1)
		return area == '7' || area == '9' ||
			memcmp(run->digits + 1, "800", 3) == 0 ||
			memcmp(run->digits + 1, "495", 3) == 0 ||
			memcmp(run->digits + 1, "499", 3) == 0 ||
			memcmp(run->digits + 1, "812", 3) == 0 ? 1 : 0;
	if (run->group[0].len != 1 && run->group[0].len != 4)
		return 0;
	if (run->group[0].len == 1 && run->group[1].len == 1 && run->total != 11)
		return 0;				/* a row of single digits */
	if (RunSeparated(run, groups, '/'))
		return 0;
	if (RunSeparated(run, groups, '.'))
		return (area == '7' || area == '9') && run->group[1].len == 3 &&
			run->group[0].len == 1 ? groups : 0;
	return area >= '3' ? groups : 0;
}

/* True if the run's first group is the end of a time: +05:00 1718000095. */
static bool
IsClock(const MaskScan *scan)
{
	size_t		pos = scan->run.group[0].pos;

	return pos >= 2 && scan->text[pos - 1] == ':' &&
		IsDigit(scan->text[pos - 2]);
}

/* 09-7625400, 07911 123456: national numbers with the trunk's zero. */
static int
TrunkGroups(const MaskScan *scan)
{
	const DigitRun *run = &scan->run;

	/* 00 44 20 7946 0958: from abroad */
	if (run->groups > 2 && memcmp(run->digits, "00", 2) == 0 &&
		run->left != EDGE_BAD && !IsClock(scan) &&
		run->digits[2] != '0' && run->group[0].len <= 5 &&
		!RunSeparated(run, run->groups, '.'))
	{
		int			groups = PhoneGroups(run, 15, 0);

		return RunDigits(run, groups) >= 11 ? groups : 0;
	}
	if (run->groups < 2 || run->digits[0] != '0' || run->digits[1] == '0' ||
		(run->groups > 2 && run->group[2].sep == run->group[1].sep))
		return 0;
	/* (0115)4960114, (020) 74960189 */
	if (run->groups == 2 && run->total >= 9 && run->total <= 11 &&
		ByteBefore(scan, run->group[0].pos) == '(' &&
		ByteAt(scan, RunEnd(run, 1)) == ')' && run->right == EDGE_CLEAN)
		return 2;
	if ((RunShape(run, "2-7") || RunShape(run, "3-7") ||
		 RunShape(run, "5 6") || RunShape(run, "3 8")) && run->left == EDGE_CLEAN &&
		run->right == EDGE_CLEAN)
		return 2;
	return 0;
}

/*
 * True if groups of two digits rise from each to the next: a drawing of a
 * lottery, a row of hours.
 */
static bool
PairsRise(const DigitRun *run, int groups)
{
	for (int i = 0; i < groups; i++)
		if (run->group[i].len != 2 ||
			(i > 0 && memcmp(run->digits + 2 * i - 2, run->digits + 2 * i,
							 2) >= 0))
			return false;
	return true;
}

/*
 * 0532 123 45 67, 020 7946 0958, 06 12 34 56 78: ten or eleven digits with
 * the trunk's zero, in three groups or more.  Groups or 0.
 */
static int
TrunkRow(const DigitRun *run)
{
	int			groups = run->groups;
	char		sep;

	if (groups < 3 || run->digits[0] != '0' || run->digits[1] == '0' ||
		(run->total != 10 && run->total != 11) || run->inner ||
		run->left != EDGE_CLEAN || run->right != EDGE_CLEAN)
		return 0;
	sep = run->group[2].sep;
	if (sep != ' ' && sep != '-' && sep != '.')
		return 0;
	for (int i = 1; i < groups; i++)
		if (run->group[i].len < 2 || run->group[i].len > 4 ||
			(i > 1 && run->group[i].sep != sep))
			return 0;
	return run->group[0].len <= 5 && (run->group[0].len > 1 ||
									  run->total == 11) &&
		!PairsRise(run, groups) ? groups : 0;
}

/* (415) 555-0132, 415-555-0132x11, 1-415-..., 001-415-....  Groups or 0. */
static int
AmericanGroups(const MaskScan *scan)
{
	const DigitRun *run = &scan->run;
	int			first = run->group[0].len == 1 || run->group[0].len == 2 ||
	(run->group[0].len == 3 && memcmp(run->digits, "001", 3) == 0);
	const DigitGroup *g = run->group + first;
	const char *area = run->digits + (first ? run->group[0].len : 0);

	if (run->groups < first + 3 || g[0].len != 3 || g[1].len != 3 ||
		g[2].len != 4)
		return 0;
	if (first && run->group[0].len == 1 && run->digits[0] != '1')
		return 0;
	if (first && g[0].sep != '-' && g[0].sep != ' ' && g[0].sep != '*' &&
		!(g[0].sep == '.' && g[1].sep == '.'))
		return 0;
	if (run->groups > first + 3 && g[3].sep == g[2].sep)
		return 0;
	if (g[1].sep == ' ' && g[2].sep == ' ')
		return area[0] >= '2' && area[3] >= '2' &&
			!(run->group > run->chain && run->group[0].sep == ' ' &&
			  run->group[-1].len < 4) ? first + 3 : 0;
	if (g[1].sep == '*' && g[2].sep == ' ' && !first &&
		ByteBefore(scan, g[0].pos) == '(')
		return 3;
	if (g[2].sep == '-' || (g[1].sep == '.' && g[2].sep == '.'))
		return first + 3;
	return 0;
}

/* Whether a word of telephones stands before the run, for its digits. */
static bool
PhoneBefore(const MaskScan *scan, MaskContext near, size_t start, int digits)
{
	if (near == CTX_PHONE)
		return digits >= 7 || ContextNear(scan, CTX_PHONE, start, 12);
	if (near == CTX_COUNT && digits >= 7 && digits != 8 && digits <= 13 &&
		(scan->run.group[0].len < digits || digits >= 9) &&
		ContextNear(scan, CTX_NUMBER, start, 12))
		return true;
	return (near == CTX_COUNT || near == CTX_CARD || near == CTX_IIN ||
			near == CTX_BIRTH) &&
		digits >= 7 && ContextNear(scan, CTX_PHONE, start, 64);
}

/* 20261101, 20261101123000: a date, perhaps with its time, at once. */
static bool
IsCompactDate(const DigitRun *run)
{
	int			value[3] = {0};

	if (run->groups > 1 && run->group[1].sep != ' ')
		return false;
	if (run->group[0].len != 8 && run->group[0].len != 14)
		return false;
	for (int i = 0; i < 8; i++)
	{
		int		   *part = &value[i < 4 ? 0 : i < 6 ? 1 : 2];

		*part = *part * 10 + (run->digits[i] - '0');
	}
	return value[0] >= 1990 && value[0] < 2060 &&
		DatePlausible(value[0], value[1], value[2]);
}

/*
 * Any number of 6 to 15 digits with a word of telephones, which has to be
 * very near if it could be a date.  Groups or 0.
 */
static int
SpokenGroups(MaskScan *scan)
{
	const DigitRun *run = &scan->run;
	size_t		start = run->group[0].pos;
	MaskContext near;
	int			most;

	if (run->total > 15 && IsQuiet(scan, start, 64))
		return 0;
	/* 02/212 333 77 */
	most = PhoneGroups(run, 15, run->digits[0] == '0' ||
					   ContextNear(scan, CTX_PHONE, start, 24) ? 5 : 0);
	if (most < run->groups && !ContextNear(scan, CTX_PHONE, start, 64))
		return 0;				/* no word before, digits after */
	if ((IsCompactDate(run) || ByteBefore(scan, start) == '_') &&
		!ContextNear(scan, CTX_PHONE, start, 3))
		return 0;
	near = ContextNearest(scan, start, 40);
	for (int groups = most; groups > 0; groups--)
	{
		int			digits = RunDigits(run, groups);

		if (digits < 6 || (digits == 6 &&
						   (groups == 1 || run->group[0].len == 4)))
			return 0;
		if (PhoneBefore(scan, near, start, digits) ||
			(groups == run->groups &&
			 ContextAfter(scan, CTX_PHONE, run->end)))
			return groups;
	}
	return 0;
}

/* PHONE_NUMBER, in the order of certainty. */
bool
DetectPhone(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	const DigitRun *run = &scan->run;
	MaskHit		hit = {0};
	int			groups;

	(void) pos;
	if (run->total < 6 ||
		(run->left == EDGE_BAD && ByteBefore(scan, pos) != '+'))
		return false;
	hit.validator = "international";
	hit.score = 0.9f;
	groups = InternationalGroups(scan);
	if (groups == 0 && run->left == EDGE_BAD)
		return false;
	if (groups == 0 && run->total >= 10)
	{
		hit.validator = "national";
		hit.score = 0.7f;
		groups = NationalGroups(scan);
		if (groups == run->groups && run->right == EDGE_BAD)
			groups = 0;
	}
	if (groups == 0 && run->total >= 10)
		groups = AmericanGroups(scan);
	if (groups == 0 && run->total >= 9)
	{
		groups = TrunkGroups(scan);
		if (groups == 0)
			groups = TrunkRow(run);
	}
	if (groups == 0)
	{
		hit.validator = "context";
		hit.score = 0.6f;
		groups = SpokenGroups(scan);
	}
	if (groups == 0)
		return false;
	hit.entity = self->entity;
	hit.start = PhoneStart(scan);
	if (hit.start < scan->done)
		hit.start = run->group[0].pos;
	hit.end = PhoneExtension(scan, RunEnd(run, groups));
	MaskAddHit(scan, &hit);
	return true;
}
