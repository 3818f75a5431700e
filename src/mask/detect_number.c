/*
 * detect_number.c
 *	  Numbers with check digits: cards, IIN, BIN, INN, SNILS, SSN.
 *
 * A checksum alone is not enough: a number is masked when its check digits
 * are right or when a context word stands near.  Where several things are
 * possible the context decides the name, never whether to mask.
 */
#include "mask/scan.h"
#include "mask/validate.h"

#include <string.h>

/* How far before a number its context word may end, in bytes. */
#define CONTEXT_REACH 64

/* Reports the first groups of the present run. */
static bool
HitGroups(MaskScan *scan, MaskEntity entity, int groups, float score,
		  const char *validator)
{
	MaskHit		hit = {0};

	hit.entity = entity;
	hit.start = scan->run.group[0].pos;
	hit.end = RunEnd(&scan->run, groups);
	hit.score = score;
	hit.validator = validator;
	MaskAddHit(scan, &hit);
	return true;
}

/* The context stands before the run, or after its first groups. */
static bool
Spoken(MaskScan *scan, MaskContext context, int groups)
{
	if (ContextNear(scan, context, scan->run.group[0].pos, CONTEXT_REACH))
		return true;
	/* no word follows where digits do */
	return groups == scan->run.groups &&
		ContextAfter(scan, context, RunEnd(&scan->run, groups));
}

/* What follows the first groups does not make them part of more. */
static bool
RightClean(const DigitRun *run, int groups)
{
	if (groups == run->groups)
		return run->right == EDGE_CLEAN;
	return run->group[groups].sep == ' ' || run->group[groups].sep == '/' ||
		run->group[groups].sep == '*';
}

/* ---------------- cards ---------------- */

/*
 * True if all groups are joined by the same two or three characters, such as
 * " - ".
 */
static bool
SameGaps(const MaskScan *scan, int groups)
{
	const DigitRun *run = &scan->run;
	size_t		first = RunEnd(run, 1);
	size_t		gap = run->group[1].pos - first;

	for (int i = 1; i < groups; i++)
	{
		size_t		at = RunEnd(run, i);

		if (run->group[i].pos - at != gap ||
			memcmp(scan->text +at, scan->text +first, gap) != 0)
			return false;
	}
	return true;
}

/* True if four groups of four are joined by spaces and dashes at will. */
static bool
MixesGaps(const DigitRun *run, int groups)
{
	for (int i = 0; i < groups; i++)
		if (run->group[i].len != 4 ||
			(i > 0 && run->group[i].sep != ' ' && run->group[i].sep != '-'))
			return false;
	return groups == 4;
}

/*
 * True if the lengths of groups are those of a card: fours and a rest, 4-6-5,
 * 4-6-4, 8-8 and 6-13.
 */
static bool
CardShape(const DigitRun *run, int groups)
{
	const DigitGroup *g = run->group;
	int			last = g[groups - 1].len;

	if (groups == 2)
		return (g[0].len == 8 && last == 8) || (g[0].len == 6 && last == 13) ||
			(g[0].len == 4 && last >= 8);
	if (groups == 3 && g[1].len >= 5)
		return g[0].len == 4 && last >= 3;
	for (int i = 0; i + 1 < groups; i++)
		if (g[i].len != 4 && g[i].len != 8)
			return false;
	return last <= 4 || last == 8;
}

/*
 * Groups that a card may be written in: those of CardShape(), or digit by
 * digit.
 */
static bool
CardGroups(const MaskScan *scan, int groups)
{
	const DigitRun *run = &scan->run;
	char		sep;
	bool		single = true;

	if (groups == 1)
		return true;
	sep = run->group[1].sep;
	if ((sep != ' ' && sep != '-' && sep != '.' && sep != '*') ||
		(!RunSeparated(run, groups, sep) && !MixesGaps(run, groups)) ||
		(sep == '*' && !SameGaps(scan, groups)))
		return false;
	if (run->group[0].len == 1)
	{
		for (int i = 0; i < groups; i++)
			single &= run->group[i].len == 1;
		return single && (groups == run->groups ||
						  run->group[groups].sep != sep);
	}
	if (groups < run->groups && run->group[groups].sep == sep &&
		run->group[groups].len == 4)
		return false;
	return CardShape(run, groups);
}

/*
 * True if the run's last digits have a short word on them that is none of
 * hexadecimal digits: 4403...1298USD.
 */
static bool
UnitFollows(const MaskScan *scan, int groups)
{
	size_t		end = RunEnd(&scan->run, groups);
	size_t		at = end;
	bool		hex = true;

	while (IsAlpha(ByteAt(scan, at)) && at - end < 5)
		hex &= IsHex(scan->text[at++]);
	return at > end && !hex && !IsWordByte(ByteAt(scan, at)) &&
		ByteAt(scan, at) != '_';
}

/* True if a group of the same length is joined alike before the run's first. */
static bool
FollowsAlike(const DigitRun *run)
{
	return run->group > run->chain &&
		run->group[0].sep == run->group[1].sep &&
		run->group[-1].len == run->group[0].len;
}

/*
 * True if digits whose check digit is that of a card are rather something
 * else, unless a word says that they are a card: the number of an article
 * (13 digits with a check digit of their own; of those that begin as a Visa
 * card does, only Russia's and Kazakhstan's), the tail of a word (RF6735...)
 * or of a row of a table, two sizes (8 and 8 digits).
 */
static bool
LooksOtherwise(const DigitRun *run, int groups, int digits)
{
	int			sum = 0;

	if (groups == 2 && run->group[0].len == 8)
		return run->group[1].sep == ' ';
	if (digits < 15 && (run->left == EDGE_WORD ||
						(groups > 1 && FollowsAlike(run))))
		return true;
	if (digits != 13 || groups > 1 ||
		(run->digits[0] == '4' && memcmp(run->digits, "46", 2) != 0 &&
		 memcmp(run->digits, "487", 3) != 0))
		return false;
	for (int i = 0; i < 13; i++)
		sum += (run->digits[i] - '0') * (i % 2 ? 3 : 1);
	return sum % 10 == 0;
}

/*
 * Whether the first groups are a card: 0 no, otherwise a score.  Without a
 * context word the issuer's prefix has to be known too, but for 16 digits
 * that begin as those of single countries do.
 */
static float
CardScore(MaskScan *scan, int groups)
{
	const DigitRun *run = &scan->run;
	int			digits = RunDigits(run, groups);
	bool		luhn;

	if (digits < 12 || digits > 19 || !CardGroups(scan, groups))
		return 0;
	luhn = CheckLuhn(run->digits, digits);
	if (ByteBefore(scan, run->group[0].pos) == '+' && groups == run->groups)
		return 0;				/* a telephone */
	if (luhn && run->left != EDGE_BAD &&
		(RightClean(run, groups) || (digits > 14 && UnitFollows(scan, groups))) &&
		!LooksOtherwise(run, groups, digits) &&
		(digits > 14 ||
		 ContextNearest(scan, run->group[0].pos, 16) != CTX_PLAIN))
	{
		if (CardPrefixKnown(run->digits, digits))
			return digits < 15 ? 0.8f : 1.0f;
		/* payment systems of one country */
		if (digits == 16 && run->digits[0] >= '8')
			return 0.5f;
	}
	if ((digits >= 13 || luhn) && Spoken(scan, CTX_CARD, groups))
		return luhn ? 0.9f : 0.6f;
	return 0;
}

/*
 * True for a separator that people rarely write in cards and that lists and
 * tables have between numbers: there a word has to say that it is one.
 */
static bool
IsListSeparator(const unsigned char *sep, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (sep[i] == ',' || sep[i] == '|' || sep[i] == '\t' ||
			sep[i] == '\n' || sep[i] == ';')
			return true;
	return false;
}

/*
 * CREDIT_CARD: four groups of four joined by the same one to three signs,
 * whatever they are: 4403_1234_5678_1298.
 */
bool
DetectSpreadCard(MaskScan *scan, size_t pos)
{
	const unsigned char *text = scan->text +pos;
	char		digits[16];
	MaskHit		hit = {0};
	size_t		gap = 1;

	while (gap < 4 && pos + 4 + gap < scan->len && !IsDigit(text[4 + gap]))
		gap++;
	if (gap == 4 || pos + 16 + 3 * gap > scan->len ||
		IsAlnum(ByteBefore(scan, pos)) ||
		IsDigit(ByteAt(scan, pos + 16 + 3 * gap)))
		return false;
	for (size_t g = 0; g < 4; g++)
	{
		const unsigned char *group = text +g * (4 + gap);

		for (size_t i = 0; i < 4; i++)
			if (!IsDigit(group[i]))
				return false;
		for (size_t i = 0; g < 3 && i < gap; i++)
			if (IsAlnum(group[4 + i]) || group[4 + i] >= 0x80 ||
				group[4 + i] != text[4 + i])
				return false;
		memcpy(digits + 4 * g, group, 4);
	}
	if (!CheckLuhn(digits, 16) || !CardPrefixKnown(digits, 16) ||
		(IsListSeparator(text +4, gap) &&
		 !ContextNear(scan, CTX_CARD, pos, CONTEXT_REACH)))
		return false;
	hit.entity = MASK_CREDIT_CARD;
	hit.start = pos;
	hit.end = pos + 16 + 3 * gap;
	hit.score = 0.8f;
	hit.validator = "luhn";
	MaskAddHit(scan, &hit);
	return true;
}

/* How many first groups may be a card by the length of the first. */
static int
CardMostGroups(const DigitRun *run)
{
	int			len = run->group[0].len;
	int			most = len == 1 ? 19 : len == 4 ? 5 :
	len == 8 || len == 6 ? 2 : 1;

	return most < run->groups ? most : run->groups;
}

/* CREDIT_CARD: the longest first groups of the run that make one. */
bool
DetectCard(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	const DigitRun *run = &scan->run;

	(void) pos;
	if (run->total < 12 || (run->inner && run->group[0].len == 1))
		return false;
	for (int groups = CardMostGroups(run); groups > 0; groups--)
	{
		float		score = CardScore(scan, groups);

		if (score > 0)
			return HitGroups(scan, self->entity, groups, score,
							 score == 0.6f ? "context" : "luhn");
	}
	return false;
}

/* ---------------- twelve digits: IIN, BIN, INN ---------------- */

/* What twelve digits are by their own check digits. */
static MaskEntity
TwelveByChecks(const char *digits)
{
	if (IinPlausible(digits) && CheckKzDigit(digits))
		return MASK_KZ_IIN;
	if (BinPlausible(digits) && CheckKzDigit(digits))
		return MASK_KZ_BIN;
	if (CheckInn(digits, 12))
		return MASK_RU_INN;
	return MASK_ENTITY_COUNT;
}

/* What the nearest context says twelve digits are. */
static MaskEntity
TwelveByContext(MaskScan *scan, int groups)
{
	static const struct
	{
		MaskContext context;
		MaskEntity	entity;
	}			names[] =
	{
		{CTX_IIN, MASK_KZ_IIN}, {CTX_BIN, MASK_KZ_BIN}, {CTX_INN, MASK_RU_INN}
	};
	MaskContext near = ContextNearest(scan, scan->run.group[0].pos,
									  CONTEXT_REACH);

	for (int i = 0; i < 3; i++)
		if (near == names[i].context)
			return names[i].entity;
	for (int i = 0; i < 3; i++)
		if (Spoken(scan, names[i].context, groups))
			return names[i].entity;
	return MASK_ENTITY_COUNT;
}

/*
 * The first groups that make twelve digits: at once, as 6 and 6, or in equal
 * groups; 0 if there are none.
 */
static int
TwelveGroups(const DigitRun *run)
{
	int			len = run->group[0].len;
	int			groups;

	if (len == 12)
		return 1;
	if (run->total < 12)
		return 0;
	groups = len == 1 ? 12 : len == 2 ? 6 : len == 3 ? 4 : len == 4 ? 3 : 2;
	if (groups > run->groups ||
		(run->group[1].sep != ' ' && run->group[1].sep != '-' &&
		 run->group[1].sep != '.'))
		return 0;
	if (groups < run->groups && run->group[groups].sep == run->group[1].sep &&
		run->group[groups].len == len)
		return 0;				/* it goes on: a card, a column */
	for (int i = 1; i < groups; i++)
		if (run->group[i].len != len || run->group[i].sep != run->group[1].sep)
			return 0;
	return groups;
}

/* The first groups that hold twelve digits in whatever lengths, or 0. */
static int
TwelveInPieces(const DigitRun *run)
{
	int			groups = 1;

	while (groups < run->groups && RunDigits(run, groups) < 12 &&
		   (run->group[groups].sep == ' ' || run->group[groups].sep == '-'))
		groups++;
	/* what goes on in the same way is longer, as cards are */
	if (RunDigits(run, groups) != 12 ||
		(groups < run->groups && groups > 1 &&
		 run->group[groups].sep == run->group[1].sep))
		return 0;
	return groups;
}

/* KZ_IIN, KZ_BIN, RU_INN of a person. */
bool
DetectTwelve(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	const DigitRun *run = &scan->run;
	int			groups = TwelveGroups(run);
	bool		pieces = groups == 0;
	MaskEntity	checked;
	MaskEntity	spoken;

	(void) self;
	if (pieces)
		groups = ContextNear(scan, CTX_IIN, pos, 24) ? TwelveInPieces(run) : 0;
	if (groups == 0)
		return false;
	checked = TwelveByChecks(run->digits);
	spoken = TwelveByContext(scan, groups);
	if (checked == MASK_ENTITY_COUNT && spoken == MASK_ENTITY_COUNT)
		return false;
	/* 830 717 350 867 may be an amount, single digits a column */
	if (spoken == MASK_ENTITY_COUNT &&
		(groups > 3 || (groups == 2 && run->group[1].sep == '.') ||
		 (groups > 1 && FollowsAlike(run))))
		return false;
	if (spoken != MASK_ENTITY_COUNT)
		return HitGroups(scan, spoken, groups,
						 checked == spoken ? 1.0f : 0.7f,
						 checked == spoken ? "mod11" : "context");
	if (run->left == EDGE_BAD || !RightClean(run, groups) ||
		ByteBefore(scan, pos) == '+')
		return false;
	return HitGroups(scan, checked, groups, 0.9f, "mod11");
}

/* ---------------- SNILS, INN of an organisation ---------------- */

/* RU_SNILS: 112-233-445 95, or 11 digits. */
bool
DetectSnils(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	const DigitRun *run = &scan->run;
	int			groups = run->group[0].len == 11 ? 1 : 4;
	bool		valid;

	if (groups == 4 &&
		(run->groups < 4 || run->group[2].len != 3 || run->group[3].len != 2))
		return false;
	if (groups == 4 && !RunShape(run, "3-3-3 2") && !RunShape(run, "3~3~3~2"))
		return false;
	valid = CheckSnils(run->digits) && run->left != EDGE_BAD &&
		RightClean(run, groups);
	if (Spoken(scan, CTX_SNILS, groups))
		return HitGroups(scan, self->entity, groups, valid ? 1.0f : 0.7f,
						 valid ? "mod101" : "context");
	if (!valid || (groups == 1 && run->left != EDGE_CLEAN) ||
		ByteBefore(scan, pos) == '+' ||
		ContextNearest(scan, pos, CONTEXT_REACH) == CTX_PHONE)
		return false;
	return HitGroups(scan, self->entity, groups, groups == 4 ? 0.9f : 0.6f,
					 "mod101");
}

/*
 * RU_INN of an organisation: 10 digits.  One check digit alone would take a
 * tenth of all numbers and times in seconds, so they need a context word, but
 * for a value that is nothing else.
 */
bool
DetectInn10(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	const DigitRun *run = &scan->run;
	bool		valid;

	if (run->group[0].len != 10)
		return false;
	valid = CheckInn(run->digits, 10);
	if (Spoken(scan, CTX_INN, 1))
		return HitGroups(scan, self->entity, 1, valid ? 1.0f : 0.7f,
						 valid ? "mod11" : "context");
	if (!valid || run->digits[0] == '1' || pos > 1 ||
		scan->len > RunEnd(run, 1) + 1 ||
		ContextNearest(scan, pos, CONTEXT_REACH) != CTX_COUNT)
		return false;
	return HitGroups(scan, self->entity, 1, 0.5f, "mod11");
}

/* ---------------- US SSN and ITIN ---------------- */

/* True if the run is that many digits, one by one. */
static bool
SpelledGroups(const DigitRun *run, int groups)
{
	if (run->groups != groups || run->total != groups)
		return false;
	return RunSeparated(run, groups, ' ') || RunSeparated(run, groups, '-');
}

/* 078-05-1121 by itself; other forms of nine digits with a context word. */
bool
DetectSsn(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	const DigitRun *run = &scan->run;
	bool		full = run->groups > 2 && run->group[2].len == 4 &&
	RunShape(run, "3~2~4");
	int			groups = full ? 3 : run->group[0].len == 9 ? 1 : 2;
	MaskEntity	entity = self->entity;
	bool		valid;

	if (run->group[0].len == 1)
		return SpelledGroups(run, 9) && ContextNear(scan, CTX_SSN, pos, 24) &&
			HitGroups(scan, entity, 9, 0.7f, "context");
	if (run->left == EDGE_BAD || ByteBefore(scan, pos) == '+' ||
		(groups == 2 && !RunShape(run, "3-6") && !RunShape(run, "5-4")))
		return false;
	if (full && (run->group[1].sep == '/' ||
				 (run->group[1].sep == '*' &&
				  (!SameGaps(scan, 3) || !Spoken(scan, CTX_SSN, 3))) ||
				 (run->groups > 3 && run->group[3].sep == run->group[1].sep)))
		return false;
	valid = SsnPlausible(run->digits);
	if (ItinPlausible(run->digits))
	{
		entity = MASK_US_ITIN;
		valid = true;
	}
	if (Spoken(scan, CTX_SSN, groups))
		return HitGroups(scan, entity, groups, valid ? 1.0f : 0.6f,
						 valid ? "area" : "context");
	if (!full || !valid || !RightClean(run, groups))
		return false;
	/* with spaces it may be a street: 680 36 4022 Oakridge Lane */
	if (run->group[1].sep == ' ' && ByteAt(scan, RunEnd(run, 3)) == ' ' &&
		IsUpper(ByteAt(scan, RunEnd(run, 3) + 1)))
		return false;
	return HitGroups(scan, entity, groups, 0.85f, "area");
}

/* ---------------- codes of three to eight digits ---------------- */

/* SECRET: the digits after a word like CVV, PIN or one-time code. */
bool
DetectPin(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	MaskHit		hit = {0};
	size_t		limit = pos + 24 < scan->len ? pos + 24 : scan->len;
	size_t		at = pos;

	/* the rest of the word, "code", "is", and what joins them */
	while (at < limit && !InSet(scan->text[at], SET_DIGIT_OR_END))
		at++;
	/* CVV2 is a name */
	if (at == pos)
	{
		at++;
		while (at - pos < 6 && at < scan->len && !IsDigit(scan->text[at]) &&
			   !IsAlpha(scan->text[at]))
			at++;
	}
	if (at > pos && IsAlpha(ByteAt(scan, at - 1)))
		return false;			/* within a word: a password */
	hit.start = hit.end = at;
	while (IsDigit(ByteAt(scan, hit.end)) && hit.end - at < 9)
		hit.end++;
	if (hit.end - at < 3 || hit.end - at > 8 || IsAlpha(ByteAt(scan, hit.end)) ||
		(IsDigit(ByteAt(scan, hit.end + 1)) &&
		 !IsSpace(ByteAt(scan, hit.end))))
		return false;
	hit.entity = self->entity;
	hit.score = 0.7f;
	hit.validator = "context";
	MaskAddHit(scan, &hit);
	return true;
}
