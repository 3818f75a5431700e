/*
 * pattern.c
 *	  What machine values look like: the named patterns of field policies.
 *
 * A pattern is a set of characters and a length, compared in one pass, and
 * says what the scanner still has to look for in a value of that form: an
 * address looks like an IP_ADDRESS, but no identifier may be a card's number.
 */
#include "postgres.h"

#include "policy/scan.h"

#define BIT(entity) (UINT64CONST(1) << (entity))

/* Found by digits or words alone, too weak a sign in a machine value. */
#define WEAK_ENTITIES \
	(BIT(MASK_DATE_OF_BIRTH) | BIT(MASK_PERSON) | BIT(MASK_US_BANK_NUMBER) | \
	 BIT(MASK_US_DRIVER_LICENSE) | BIT(MASK_US_PASSPORT) | \
	 BIT(MASK_RU_PASSPORT) | BIT(MASK_KZ_DOCUMENT) | BIT(MASK_NATIONAL_ID) | \
	 BIT(MASK_CRYPTO))
#define ADDRESS_ENTITIES (BIT(MASK_IP_ADDRESS) | BIT(MASK_MAC_ADDRESS))
#define STAFF_ENTITIES \
	(BIT(MASK_EMAIL_ADDRESS) | BIT(MASK_PERSON) | BIT(MASK_PHONE_NUMBER))

/* Numbers without a prefix: dates in the names of relations look like them. */
#define NUMBER_ENTITIES \
	(BIT(MASK_PHONE_NUMBER) | BIT(MASK_KZ_IIN) | BIT(MASK_KZ_BIN) | \
	 BIT(MASK_RU_INN) | BIT(MASK_RU_SNILS) | BIT(MASK_US_SSN) | \
	 BIT(MASK_US_ITIN))

#define NOT_SCANNED (~UINT64CONST(0))

struct PolicyPattern
{
	const char *name;
	const char *signs;			/* allowed beside letters and digits */
	bool		other_scripts;	/* bytes above 0x7F are letters too */
	size_t		max_len;
	size_t		scan_from;		/* shorter values can hold nothing */
	uint64		disabled;
	bool		(*accept) (const char *value, size_t len);
};

/*
 * "keyid:hash" as match tokens and pseudonyms are written; digits alone are
 * no hash, but could be what should have been hashed.
 */
static bool
IsToken(const char *value, size_t len)
{
	const char *colon = memchr(value, ':', len);
	size_t		id_len = colon == NULL ? 0 : colon - value;

	if (id_len < 1 || id_len > 16 || id_len + 1 == len)
		return false;
	for (size_t i = id_len + 1; i < len; i++)
	{
		if ((value[i] | 0x20) >= 'a' && (value[i] | 0x20) <= 'z')
			return memchr(colon + 1, ':', len - id_len - 1) == NULL;
	}
	return false;
}

static const PolicyPattern patterns[] = {
	{"identifier", "._:/+=~#-", false, 256, 6,
	WEAK_ENTITIES | ADDRESS_ENTITIES, NULL},
	{"label", " ._:/@()+,&'#-", true, 200, 6, WEAK_ENTITIES & ~BIT(MASK_PERSON), NULL},
	{"name", " !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", true, 255, 9,
	WEAK_ENTITIES | ADDRESS_ENTITIES, NULL},
	{"login", " ._:/@\\()+,'-", true, 200, 9,
	WEAK_ENTITIES | ADDRESS_ENTITIES | STAFF_ENTITIES, NULL},
	{"version", " ._:/+~-", false, 128, 9,
	WEAK_ENTITIES | ADDRESS_ENTITIES | BIT(MASK_PHONE_NUMBER) | BIT(MASK_US_SSN), NULL},
	{"host", "._:[]-", true, 255, 9, WEAK_ENTITIES | ADDRESS_ENTITIES, NULL},
	{"code", " ._:/-", false, 128, 9, WEAK_ENTITIES, NULL},
	{"relation", " ._\"$-", true, 200, 9,
	WEAK_ENTITIES | ADDRESS_ENTITIES | NUMBER_ENTITIES, NULL},
	{"token", "_:-", false, 96, 0, NOT_SCANNED, IsToken}
};

const PolicyPattern *
PatternByName(const char *name)
{
	for (int i = 0; i < lengthof(patterns); i++)
	{
		if (strcmp(patterns[i].name, name) == 0)
			return &patterns[i];
	}
	return NULL;
}

/* Letters and digits of ASCII. */
static bool
IsAlphanumeric(unsigned char c)
{
	return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9');
}

/* The pattern's characters as a table, made when it is first needed. */
static const bool *
AllowedBytes(const PolicyPattern *pattern)
{
	static bool allowed[lengthof(patterns)][256];
	bool	   *table = allowed[pattern - patterns];

	if (table['0'])
		return table;
	for (int c = 1; c < 256; c++)
		table[c] = IsAlphanumeric(c) ||
			(c > 0x7F ? pattern->other_scripts : strchr(pattern->signs, c) != NULL);
	return table;
}

bool
PatternMatches(const PolicyPattern *pattern, const char *value, size_t len)
{
	const bool *allowed = AllowedBytes(pattern);

	if (len > pattern->max_len)
		return false;
	for (size_t i = 0; i < len; i++)
	{
		if (!allowed[(unsigned char) value[i]])
			return false;
	}
	return pattern->accept == NULL || pattern->accept(value, len);
}

/*
 * True for a value in one word that is too short for a key, assigns nothing
 * and has fewer digits than the shortest number.
 */
static bool
IsShortName(const char *value, size_t len)
{
	int			digits = 0;

	if (len > 16)
		return false;
	for (size_t i = 0; i < len; i++)
	{
		if (value[i] == '=' || value[i] == ':' || value[i] == '@')
			return false;
		digits += value[i] >= '0' && value[i] <= '9';
	}
	return digits < 7;
}

/*
 * True for a UUID, or 16 or 32 hexadecimal digits, with at least one letter
 * among them: nothing but digits could be a card's number.  So is a
 * request_id that record_call() has made of one.
 */
static bool
IsHexIdentifier(const char *value, size_t len)
{
	static uint8 kind[256];		/* 1: digit, 2: letter */
	uint8		seen = 0;
	bool		other = false;

	if (len == 40 && memcmp(value, "gen-", 4) == 0)
	{
		value += 4;
		len -= 4;
	}
	if (len != 16 && len != 32 && len != 36)
		return false;
	if (kind['0'] == 0)
	{
		for (int c = 0; c < 10; c++)
			kind['0' + c] = 1;
		for (int c = 0; c < 6; c++)
			kind['a' + c] = kind['A' + c] = 2;
	}
	for (size_t i = 0; i < len; i++)
	{
		uint8		k = kind[(unsigned char) value[i]];

		if (len == 36 && (i == 8 || i == 13 || i == 18 || i == 23))
			other |= value[i] != '-';
		else
			other |= k == 0;
		seen |= k;
	}
	return !other && (seen & 2) != 0;
}

uint64
PatternDisabled(const PolicyPattern *pattern, const char *value, size_t len)
{
	if (len < pattern->scan_from || IsHexIdentifier(value, len) ||
		(strchr(pattern->signs, ' ') == NULL && IsShortName(value, len)))
		return NOT_SCANNED;
	return pattern->disabled;
}
