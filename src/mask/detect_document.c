/*
 * detect_document.c
 *	  Passports, licences, accounts and the personal numbers of other
 *	  countries: mostly known by the words around them.
 */
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
	hit.score = validator[0] == 'c' ? 0.6f : 0.8f;
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
			return digits >= 8 && digits <= 14 ? MASK_NATIONAL_ID :
				MASK_ENTITY_COUNT;
		default:
			return MASK_ENTITY_COUNT;
	}
}

/* The groups that belong together: joined by one separator, 24 digits. */
static int
DocumentGroups(const DigitRun *run)
{
	int			groups = 1;
	int			digits = run->group[0].len;

	while (groups < run->groups && groups < 5 &&
		   (run->group[groups].sep == ' ' || run->group[groups].sep == '-') &&
		   digits + run->group[groups].len <= 20)
		digits += run->group[groups++].len;
	return groups;
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
	most = DocumentGroups(run);
	if (most < run->groups && IsQuiet(scan, pos, DOCUMENT_REACH))
		return false;
	context = DocumentContext(scan, pos, most == run->groups ? run->end : 0);
	if (context == CTX_COUNT)
		return false;
	for (int groups = most; groups > 0; groups--)
	{
		int			digits = RunDigits(run, groups);
		MaskEntity	kind = DocumentKind(context, digits, groups);

		/* 2024-05-06 is a date and no document */
		if (kind != MASK_ENTITY_COUNT)
			return HitSpan(scan, kind, pos, RunEnd(run, groups), "context");
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
	uint32_t	shape = 0;

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
};

/* The token's own kind by its shape and check, NULL if it has none. */
static const char *
TokenByShape(const MaskScan *scan, size_t start, int len, uint32_t shape)
{
	char		token[24];

	if (len < 9 || len > 16 || (shape >> (len - 1) & 1))
		return NULL;			/* all end with a letter */
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
