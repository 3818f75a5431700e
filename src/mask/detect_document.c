/*
 * detect_document.c
 *	  Passports, licences, accounts and the personal numbers of other
 *	  countries: mostly known by the words around them.
 */
#include "mask/lexicon.h"
#include "mask/scan.h"
#include "mask/validate.h"

#include <string.h>

#define DOCUMENT_REACH 56

/* Reports a span. */
static bool
HitSpan(MaskScan *scan, MaskEntity entity, size_t start, size_t end,
		const char *validator)
{
	MaskHit		hit = {0};

	hit.entity = entity;
	hit.start = start;
	hit.end = end;
	hit.score = strcmp(validator, "context") == 0 ? 0.6f : 0.8f;
	hit.validator = validator;
	MaskAddHit(scan, &hit);
	return true;
}

/*
 * The context that speaks of the number at pos, before it or, if end isn't
 * 0, after that.
 */
static MaskContext
DocumentContext(MaskScan *scan, size_t pos, size_t end)
{
	static const MaskContext after[] =
	{CTX_PASSPORT, CTX_LICENSE, CTX_DOCUMENT, CTX_NATIONAL};
	MaskContext near = ContextNearest(scan, pos, DOCUMENT_REACH);
	uint32_t	set;

	/* ID card number */
	if (near == CTX_CARD && ContextNear(scan, CTX_NATIONAL, pos, 24))
		near = CTX_NATIONAL;
	if (near != CTX_COUNT || end == 0)
		return near;
	set = ContextsAfter(scan, end);
	for (int i = 0; i < 4 && set != 0; i++)
		if (set >> after[i] & 1)
			return after[i];
	return CTX_COUNT;
}

/* Whether a number of digits, in groups, can be what the context says. */
static MaskEntity
DocumentKind(MaskContext context, int digits, int groups)
{
	switch (context)
	{
		case CTX_PASSPORT:
			if (digits == 10)
				return MASK_RU_PASSPORT;
			return digits >= 6 && digits <= 9 ? MASK_US_PASSPORT :
				MASK_ENTITY_COUNT;
		case CTX_DOCUMENT:
			return digits >= 8 && digits <= 12 ? MASK_KZ_DOCUMENT :
				MASK_ENTITY_COUNT;
		case CTX_LICENSE:
			return digits >= 6 && digits <= 14 ? MASK_US_DRIVER_LICENSE :
				MASK_ENTITY_COUNT;
		case CTX_ACCOUNT:
		case CTX_IBAN:
			return digits >= 8 && digits <= 20 && groups <= 5 ?
				MASK_US_BANK_NUMBER : MASK_ENTITY_COUNT;
		case CTX_NATIONAL:
		case CTX_SSN:
			return digits >= 8 && digits <= 15 ? MASK_NATIONAL_ID :
				MASK_ENTITY_COUNT;
		default:
			return MASK_ENTITY_COUNT;
	}
}

/*
 * The groups that belong together: joined by one separator, 24 digits; with
 * dots and slashes where a word says that it is a personal number.
 */
static int
DocumentGroups(const MaskScan *scan, size_t pos)
{
	const DigitRun *run = &scan->run;
	int			groups = 1;
	int			digits = run->group[0].len;

	while (groups < run->groups && groups < 7 &&
		   (run->group[groups].sep == ' ' || run->group[groups].sep == '-' ||
			(run->group[groups].sep != '*' &&
			 ContextNear(scan, CTX_NATIONAL, pos, 24))) &&
		   digits + run->group[groups].len <= 20)
		digits += run->group[groups++].len;
	return groups;
}

/*
 * The start of a Russian passport's series (four digits, perhaps two and two)
 * before its number at pos, with a word or sign between them; pos if none.
 */
static size_t
SeriesStart(const MaskScan *scan, size_t pos)
{
	static const char *const links[] = {LEX_SIGN, LEX_NUMBER_WORD, "#", "n"};
	size_t		at = pos;
	size_t		digits;

	while (at > 0 && pos - at < 3 && scan->text[at - 1] == ' ')
		at--;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
	{
		size_t		len = strlen(links[i]);

		if (at >= len &&
			FoldMatch(scan->text, at, at - len, links[i], len) > 0)
		{
			at -= len;
			break;
		}
	}
	while (at > 0 && pos - at < 16 &&
		   (scan->text[at - 1] == ' ' || scan->text[at - 1] == ','))
		at--;
	if (pos - at < 2 || at < 5 || !IsDigit(scan->text[at - 1]))
		return pos;
	at -= scan->text[at - 3] == ' ' ? 5 : 4;
	digits = CountDigits(scan, at, 5);
	if (at < scan->done || IsDigit(ByteBefore(scan, at)) ||
		(digits != 4 && (digits != 2 || CountDigits(scan, at + 3, 3) != 2)))
		return pos;
	return at;
}

/* True if a letter and a dash before a number belong to it: Z-0517659-A. */
static bool
HasLetterBefore(const MaskScan *scan, size_t pos)
{
	return pos >= scan->done + 2 && scan->text[pos - 1] == '-' &&
		IsAlpha(scan->text[pos - 2]) &&
		!IsWordByte(ByteBefore(scan, pos - 2));
}

/*
 * Reports the first groups of the run, with what belongs to them before and
 * after.
 */
static bool
HitDocument(MaskScan *scan, MaskEntity kind, size_t pos, int groups)
{
	size_t		end = RunEnd(&scan->run, groups);
	size_t		start = pos;

	if (kind == MASK_US_PASSPORT && end - pos == 6)
	{
		start = SeriesStart(scan, pos);
		if (start < pos)
			kind = MASK_RU_PASSPORT;
	}
	/* Z-0517659-A, 55249731-M, 031177-776P */
	if (kind == MASK_NATIONAL_ID)
	{
		if (HasLetterBefore(scan, pos))
			start -= 2;
		if (ByteAt(scan, end) == '-' && IsAlpha(ByteAt(scan, end + 1)) &&
			!IsWordByte(ByteAt(scan, end + 2)))
			end += 2;
		else if (IsAlpha(ByteAt(scan, end)) &&
				 !IsWordByte(ByteAt(scan, end + 1)))
			end++;
	}
	/* N943-1911-1017 */
	if (kind == MASK_US_DRIVER_LICENSE && IsAlpha(ByteBefore(scan, pos)) &&
		pos > scan->done && !IsWordByte(ByteBefore(scan, pos - 1)))
		start--;
	return HitSpan(scan, kind, start, end, "context");
}

/* Numbers of documents and accounts, with a context word. */
bool
DetectDocument(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	const DigitRun *run = &scan->run;
	MaskContext context;
	int			most;

	(void) self;
	if (run->left == EDGE_BAD || run->total < 6 ||
		(run->total > 20 && IsQuiet(scan, pos, DOCUMENT_REACH)))
		return false;			/* no word before, digits after */
	most = DocumentGroups(scan, pos);
	if (most < run->groups && IsQuiet(scan, pos, DOCUMENT_REACH))
		return false;
	context = DocumentContext(scan, pos, most == run->groups ? run->end : 0);
	if (context == CTX_COUNT)
		return false;
	for (int groups = most; groups > 0; groups--)
	{
		int			digits = RunDigits(run, groups);
		MaskEntity	kind;

		/* the letter stands for a digit */
		if (digits == 7 && context == CTX_NATIONAL)
			digits += HasLetterBefore(scan, pos);
		kind = DocumentKind(context, digits, groups);

		/* 2024-05-06 is a date and no document */
		if (kind != MASK_ENTITY_COUNT)
			return HitDocument(scan, kind, pos, groups);
	}
	return false;
}

/* ---------------- tokens of letters and digits ---------------- */

/*
 * The shape of a token: bit i is set if its character i is a digit.
 */
static uint32_t
TokenShape(const MaskScan *scan, size_t start, size_t end)
{
	size_t		at = start - scan->block;
	uint32_t	shape = 0;

	if (at < 64 && end - scan->block <= 64)
		return (uint32_t) (scan->digit >> at & ((UINT64_C(1) << (end - start)) - 1));
	for (size_t i = end; i > start; i--)
		shape = shape << 1 | IsDigit(scan->text[i - 1]);
	return shape;
}

/* Spain: the letter is the number mod 23. */
static bool
CheckNif(const char *token)
{
	char		digits[9];
	long		number = 0;

	memcpy(digits, token, 8);
	if (token[0] >= 'X')
		digits[0] = (char) ('0' + (token[0] - 'X'));
	for (int i = 0; i < 8; i++)
	{
		if (!IsDigit((unsigned char) digits[i]))
			return false;
		number = number * 10 + (digits[i] - '0');
	}
	return token[8] == "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23];
}

/* Singapore: weighted sum mod 11, letters by the series. */
static bool
CheckNric(const char *token)
{
	static const int weights[] = {2, 7, 6, 5, 4, 3, 2};
	int			sum = token[0] == 'T' || token[0] == 'G' ? 4 :
	token[0] == 'M' ? 3 : 0;

	if (strchr("STFGM", token[0]) == NULL)
		return false;
	for (int i = 0; i < 7; i++)
		sum += (token[i + 1] - '0') * weights[i];
	if (token[0] == 'S' || token[0] == 'T')
		return token[8] == "JZIHGFEDCBA"[sum % 11];
	if (token[0] == 'M')
		return token[8] == "XWUTRQPNJLK"[sum % 11];
	return token[8] == "XWUTRQPNMLK"[sum % 11];
}

/* Germany's social security and similar: no check here, context only. */
static bool
NoCheck(const char *token)
{
	(void) token;
	return true;
}

/* United Kingdom: prefixes that are never issued. */
static bool
CheckNino(const char *token)
{
	static const char never[] = "BG GB KN NK NT TN ZZ";

	if (strchr("DFIQUV", token[0]) || strchr("DFIOQUV", token[1]) ||
		token[8] > 'D')
		return false;
	for (const char *p = never; *p; p += p[2] ? 3 : 2)
		if (p[0] == token[0] && p[1] == token[1])
			return false;
	return true;
}

/* India: the fourth letter tells the kind of holder. */
static bool
CheckPan(const char *token)
{
	return strchr("ABCFGHLJPTK", token[3]) != NULL;
}

/* Mexico: the date of birth and the sex. */
static bool
CheckCurp(const char *token)
{
	return (token[10] == 'H' || token[10] == 'M') &&
		DatePlausible(2000, TwoDigits(token + 6), TwoDigits(token + 8));
}

/* China: the date of birth, and a sum of powers of two mod 11. */
static bool
CheckRic(const char *token)
{
	int			sum = 0;
	int			weight = 1;

	for (int i = 16; i >= 0; i--)
	{
		weight = weight * 2 % 11;
		sum += weight * (token[i] - '0');
	}
	return (token[6] == '1' || token[6] == '2') && (token[7] == '9' ||
													token[7] == '0') &&
		DatePlausible(2000, TwoDigits(token + 10), TwoDigits(token + 12)) &&
		token[17] == "10X98765432"[sum % 11];
}

/* Finland: six digits of the date and three more, mod 31. */
static bool
CheckHetu(const char *digits, char check)
{
	int			number = 0;

	for (int i = 0; i < 9; i++)
		number = number * 10 + (digits[i] - '0');
	return DatePlausible(2000, TwoDigits(digits + 2), TwoDigits(digits)) &&
		check == "0123456789ABCDEFHJKLMNPRSTUVWXY"[number % 31];
}

/* Finland: the date, a letter for the century, three digits, mod 31. */
static bool
CheckHetuToken(const char *token)
{
	char		digits[9];

	memcpy(digits, token, 6);
	memcpy(digits + 6, token + 7, 3);
	return strchr("ABCDEFUVWXY", token[6]) != NULL &&
		CheckHetu(digits, token[10]);
}

/* Germany's pension insurance: area, date of birth, initial, number, check. */
static bool
CheckRvnr(const char *token)
{
	static const int weights[] = {2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1};
	int			sum = 0;

	for (int i = 0; i < 12; i++)
	{
		int			digit = i < 8 ? token[i] - '0' :
		i == 8 ? (token[8] - 'A' + 1) / 10 :
		i == 9 ? (token[8] - 'A' + 1) % 10 : token[i - 1] - '0';

		digit *= weights[i];
		sum += digit / 10 + digit % 10;
	}
	return DatePlausible(2000, TwoDigits(token + 4), TwoDigits(token + 2)) &&
		sum % 10 == token[11] - '0';
}

/* A driver in the United Kingdom: the month, 50 more for women, and day. */
static bool
CheckDvla(const char *token)
{
	return DatePlausible(2000, TwoDigits(token + 6) % 50, TwoDigits(token + 8));
}

/* A taxpayer of India: the state, a PAN, and a Z before the check. */
static bool
CheckGstin(const char *token)
{
	return token[13] == 'Z' && TwoDigits(token) >= 1 && TwoDigits(token) <= 38;
}

/* A patient of Medicare in the US: letters that look like digits are none. */
static bool
CheckMbi(const char *token)
{
	for (int i = 0; i < 11; i++)
		if (strchr("SLOIBZ", token[i]) != NULL)
			return false;
	return token[0] != '0';
}

/* Shapes that are enough by themselves, with their check. */
static const struct TokenKind
{
	int			len;
	uint32_t	shape;			/* as TokenShape() has it */
	bool		(*check) (const char *token);
	const char *name;
}			token_kinds[] =

{
	{9, 0x0FF, CheckNif, "nif"},	/* 99999999A */
	{9, 0x0FE, CheckNif, "nie"},	/* A9999999A */
	{9, 0x0FE, CheckNric, "nric"},
	{9, 0x0FC, CheckNino, "nino"},	/* AA999999A */
	{10, 0x1E0, CheckPan, "pan"},	/* AAAAA9999A */
	{16, 0x76C0, NoCheck, "fiscal code"},	/* AAAAAA99A99A999A */
	{18, 0x303F0, CheckCurp, "curp"},	/* AAAA999999AAAAAA99 */
	{18, 0x203F0, CheckCurp, "curp"},	/* AAAA999999AAAAAAA9 */
	{18, 0x1FFFF, CheckRic, "ric"}, /* 99999999999999999X */
	{11, 0x3BF, CheckHetuToken, "hetu"},	/* 999999A999A */
	{11, 0x7BF, CheckHetuToken, "hetu"},	/* 999999A9999 */
	{11, 0x649, CheckMbi, "mbi"},	/* 9AA9AA9AA99 */
	{11, 0x64D, CheckMbi, "mbi"},	/* 9A99AA9AA99 */
	{11, 0x669, CheckMbi, "mbi"},	/* 9AA9A99AA99 */
	{11, 0x66D, CheckMbi, "mbi"},	/* 9A99A99AA99 */
	{12, 0xEFF, CheckRvnr, "rvnr"}, /* 99999999A999 */
	{15, 0x1783, CheckGstin, "gstin"},	/* 99AAAAA9999A9AA */
	{15, 0x5783, CheckGstin, "gstin"},	/* 99AAAAA9999A9A9 */
	{16, 0x27E0, CheckDvla, "dvla"},	/* AAAAA999999AA9AA */
	{16, 0x27F0, CheckDvla, "dvla"},	/* AAAA9999999AA9AA */
	{16, 0x27F8, CheckDvla, "dvla"},	/* AAA99999999AA9AA */
	{16, 0x27FC, CheckDvla, "dvla"},	/* AA999999999AA9AA */
};

/* The lengths of those that may end with a digit. */
#define DIGIT_AT_END (1 << 11 | 1 << 12 | 1 << 15 | 1 << 18)

/* The token's own kind by its shape and check, NULL if it has none. */
static const char *
TokenByShape(const MaskScan *scan, size_t start, int len, uint32_t shape)
{
	char		token[24];

	if (len < 9 || len > 18 ||
		((shape >> (len - 1) & 1) && !(DIGIT_AT_END >> len & 1)))
		return NULL;
	for (size_t i = 0; i < sizeof(token_kinds) / sizeof(token_kinds[0]); i++)
	{
		if (token_kinds[i].len != len || token_kinds[i].shape != shape)
			continue;
		for (int c = 0; c < len; c++)
		{
			unsigned char from = scan->text[start + (size_t) c];

			token[c] = (char) (IsDigit(from) ? from : from & 0xDF);
		}
		token[len] = '\0';
		if (token_kinds[i].check(token))
			return token_kinds[i].name;
	}
	return NULL;
}

/* Whether a token of that length and digit count fits the context. */
static MaskEntity
TokenKindOf(MaskContext context, int len, int digits, uint32_t shape)
{
	if (digits < 4 || len < 6)
		return MASK_ENTITY_COUNT;
	if (context == CTX_PASSPORT && len >= 7 && len <= 10 && digits >= 5)
		return len == 9 && shape == 0x1FE ? MASK_US_PASSPORT :
			MASK_NATIONAL_ID;	/* A99999999 */
	if (context == CTX_LICENSE && len <= 18)
		return MASK_US_DRIVER_LICENSE;
	if ((context == CTX_NATIONAL || context == CTX_DOCUMENT) && len <= 16)
		return context == CTX_DOCUMENT ? MASK_KZ_DOCUMENT : MASK_NATIONAL_ID;
	return MASK_ENTITY_COUNT;
}

/* ---------------- numbers with a form and a check of their own ---------- */

/* The sum of digits times falling weights, mod 11: Brazil's check digit. */
static int
CpfDigit(const char *digits, int count)
{
	int			sum = 0;

	for (int i = 0; i < count; i++)
		sum += (digits[i] - '0') * (count + 1 - i);
	return sum * 10 % 11 % 10;
}

/* Switzerland: an EAN of 13 digits that begins with 756. */
static bool
CheckAvs(const char *digits)
{
	int			sum = 0;

	for (int i = 0; i < 13; i++)
		sum += (digits[i] - '0') * (i % 2 ? 3 : 1);
	return memcmp(digits, "756", 3) == 0 && sum % 10 == 0;
}

/*
 * How many of the first groups are a date of birth, a dash, and more: Korea
 * (960121-1234567), Sweden (930606-5773), Finland (150464-3450); *letter is
 * set if the letter behind them belongs to them (031059-288H).
 */
static int
BirthGroups(const MaskScan *scan, bool *letter)
{
	const DigitRun *run = &scan->run;
	const char *digits = run->digits;
	unsigned char after = ByteAt(scan, RunEnd(run, 2));

	*letter = run->group[1].len == 3;
	if (*letter)
		return !IsWordByte(ByteAt(scan, RunEnd(run, 2) + 1)) &&
			CheckHetu(digits, (char) after) ? 2 : 0;
	if (IsWordByte(after))
		return 0;
	if (run->group[1].len == 4)
		return CheckHetu(digits, digits[9]) ||
			(DatePlausible(2000, TwoDigits(digits + 2), TwoDigits(digits + 4)) &&
			 CheckLuhn(digits, 10)) ? 2 : 0;
	return run->group[1].len == 7 && digits[6] >= '1' && digits[6] <= '8' &&
		DatePlausible(2000, TwoDigits(digits + 2), TwoDigits(digits + 4)) ? 2 : 0;
}

/* NATIONAL_ID: 785.469.306-43, 756.1754.1689.17, dates of birth and more. */
bool
DetectPersonal(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	const DigitRun *run = &scan->run;
	bool		letter = false;
	int			groups = 0;

	if (run->left == EDGE_BAD)
		return false;
	if (run->group[0].len == 18)
		groups = CheckRic(run->digits) ? 1 : 0;
	else if (run->group[0].len == 6)
		groups = BirthGroups(scan, &letter);
	else if (run->groups >= 4 && RunShape(run, "3.3.3-2"))
		groups = CpfDigit(run->digits, 9) == run->digits[9] - '0' &&
			CpfDigit(run->digits, 10) == run->digits[10] - '0' ? 4 : 0;
	else if (run->groups >= 4 && RunShape(run, "3.4.4.2"))
		groups = CheckAvs(run->digits) ? 4 : 0;
	if (groups == 0 || (groups < run->groups && groups > 1 &&
						run->group[groups].sep == run->group[1].sep))
		return false;
	return HitSpan(scan, self->entity, pos, RunEnd(run, groups) + letter,
				   "check");
}

/* Spain's 55555555-K and Y8063915-Z: eight characters, a dash, the check. */
static bool
IsNifWithDash(const MaskScan *scan, size_t start)
{
	char		token[9];

	if (ByteAt(scan, start + 8) != '-' || !IsAlpha(ByteAt(scan, start + 9)) ||
		IsWordByte(ByteAt(scan, start + 10)))
		return false;
	for (size_t i = 0; i < 8; i++)
	{
		unsigned char c = scan->text[start + i];

		token[i] = (char) (IsDigit(c) ? c : c & 0xDF);
	}
	token[8] = (char) (scan->text[start + 9] & 0xDF);
	return (IsDigit((unsigned char) token[0]) ||
			strchr("XYZ", token[0]) != NULL) && CheckNif(token);
}

/*
 * NATIONAL_ID: what is written in more than one piece and has letters. Spain's
 * 55555555-K, and the United Kingdom's AB 12 34 56 C: the letters in capitals,
 * or a word that says so.
 */
bool
DetectSpacedId(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	const DigitRun *run = &scan->run;
	char		token[9];
	size_t		end;
	size_t		start = pos;

	if (run->group[0].len == 8)
		return IsNifWithDash(scan, pos) && !IsWordByte(ByteBefore(scan, pos)) &&
			HitSpan(scan, self->entity, pos, pos + 10, "nif");
	if (run->total != 6 || (run->groups > 1 && !RunShape(run, "2~2~2")))
		return false;
	end = run->end;
	start -= ByteBefore(scan, start) == ' ' || ByteBefore(scan, start) == '-';
	end += ByteAt(scan, end) == ' ' || ByteAt(scan, end) == '-';
	if (start < scan->done + 2 || !IsAlpha(scan->text[start - 1]) ||
		!IsAlpha(scan->text[start - 2]) || !IsAlpha(ByteAt(scan, end)) ||
		IsWordByte(ByteAt(scan, end + 1)) ||
		IsWordByte(ByteBefore(scan, start - 2)))
		return false;
	token[0] = (char) (scan->text[start - 2] & 0xDF);
	token[1] = (char) (scan->text[start - 1] & 0xDF);
	token[8] = (char) (scan->text[end] & 0xDF);
	if (!CheckNino(token) ||
		(!(IsUpper(scan->text[start - 2]) && IsUpper(scan->text[start - 1]) &&
		   IsUpper(scan->text[end])) &&
		 !ContextNear(scan, CTX_NATIONAL, start - 2, DOCUMENT_REACH)))
		return false;
	return HitSpan(scan, self->entity, start - 2, end + 1, "nino");
}

/* NATIONAL_ID: the number of a patient of Medicare in the US: 1EG4-TE5-MK73. */
bool
DetectMbi(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start = scan->run.token_start;
	char		token[12];
	int			n = 0;
	uint32_t	shape = 0;

	if (pos != start || ByteBefore(scan, start) == '-' ||
		ByteBefore(scan, start) == '_')
		return false;
	for (size_t i = 0; i < 13; i++)
	{
		unsigned char c = ByteAt(scan, start + i);

		if (i == 4 || i == 8)
		{
			if (c != '-')
				return false;
			continue;
		}
		if (!IsDigit(c) && !IsUpper(c))
			return false;
		shape |= (uint32_t) IsDigit(c) << n;
		token[n++] = (char) c;
	}
	if ((shape & ~0x24u) != 0x649 || !CheckMbi(token) ||
		IsWordByte(ByteAt(scan, start + 13)) || ByteAt(scan, start + 13) == '-')
		return false;
	return HitSpan(scan, self->entity, start, start + 13, "mbi");
}

/* Documents with letters: A12803456, LH329609T, AB123456C. */
bool
DetectDocumentToken(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start = scan->run.token_start;
	size_t		end = scan->run.token_end;
	int			len = (int) (end - start);
	unsigned char before = ByteBefore(scan, start);
	unsigned char after = ByteAt(scan, end);
	uint32_t	shape;
	int			digits;
	const char *name;
	MaskEntity	kind;

	(void) self;
	(void) pos;
	/* Y8063915-Z */
	if (after == '-' && len == 8 && !IsWordByte(before) && before != '-' &&
		IsNifWithDash(scan, start))
		return HitSpan(scan, MASK_NATIONAL_ID, start, end + 2, "nie");
	if (before == '_' || after == '_' || before == '-' || after == '-')
		return false;
	shape = TokenShape(scan, start, end);
	digits = __builtin_popcount(shape);
	if (digits < 4)
		return false;			/* no document has less */
	name = TokenByShape(scan, start, len, shape);
	if (name != NULL)
		return HitSpan(scan, MASK_NATIONAL_ID, start, end, name);
	kind = TokenKindOf(DocumentContext(scan, start, end), len, digits, shape);
	if (kind == MASK_ENTITY_COUNT)
		return false;
	return HitSpan(scan, kind, start, end, "context");
}
