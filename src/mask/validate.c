/*
 * validate.c
 *	  Check digits and plausibility of identifiers.
 */
#include "mask/validate.h"

#include <stdint.h>
#include <string.h>

#include "core/sha256.h"

bool
CheckLuhn(const char *digits, int len)
{
	static const uint8_t twice[] = {0, 2, 4, 6, 8, 1, 3, 5, 7, 9};
	unsigned	sum = 0;
	int			i = len - 1;

	for (; i > 0; i -= 2)
		sum += (unsigned) (digits[i] - '0') + twice[digits[i - 1] - '0'];
	if (i == 0)
		sum += (unsigned) (digits[0] - '0');
	if (len < 2 || sum % 10 != 0)
		return false;
	/* all the same: nobody's */
	for (i = 1; i < len; i++)
		if (digits[i] != digits[0])
			return true;
	return false;
}

/* Issuer ranges over the first six digits, with the lengths they use. */
static const struct CardRange
{
	int			low;
	int			high;
	int			min_len;
	int			max_len;
}			card_ranges[] =

{
	{100000, 199999, 15, 15},	/* UATP */
	{220000, 220499, 16, 19},	/* Mir */
	{222100, 272099, 16, 16},	/* Mastercard */
	{201400, 201499, 15, 15},	/* enRoute */
	{214900, 214999, 15, 15},
	{300000, 305999, 14, 16},	/* Diners */
	{309500, 309599, 14, 16},
	{340000, 349999, 15, 15},	/* American Express */
	{352800, 358999, 16, 16},	/* JCB */
	{360000, 369999, 14, 16},
	{370000, 379999, 15, 15},
	{380000, 399999, 14, 16},
	{400000, 499999, 13, 13},	/* Visa */
	{400000, 499999, 16, 16},
	{400000, 499999, 19, 19},
	{213100, 213199, 15, 15},	/* JCB */
	{501800, 501899, 12, 19},	/* Maestro */
	{502000, 502099, 12, 19},
	{503800, 503899, 12, 19},
	{560000, 589999, 12, 19},
	{630400, 630499, 12, 19},
	{639000, 639099, 12, 19},
	{670000, 679999, 12, 19},
	{500000, 509999, 16, 19},	/* Elo, Verve, Dankort */
	{510000, 559999, 16, 16},	/* Mastercard */
	{590000, 599999, 16, 19},
	{600000, 699999, 16, 16},	/* Discover, RuPay */
	{620000, 629999, 16, 19},	/* UnionPay */
	{650000, 650099, 18, 19},	/* Verve */
	{810000, 829999, 16, 19},	/* UnionPay, RuPay */
	{860000, 860099, 16, 16},	/* Uzcard */
	{979200, 979289, 16, 16},	/* Troy */
	{986000, 986099, 16, 16},	/* Humo */
};

bool
CardPrefixKnown(const char *digits, int len)
{
	int			prefix = 0;

	if (len < 12)
		return false;
	for (int i = 0; i < 6; i++)
		prefix = prefix * 10 + (digits[i] - '0');
	for (size_t i = 0; i < sizeof(card_ranges) / sizeof(card_ranges[0]); i++)
		if (prefix >= card_ranges[i].low && prefix <= card_ranges[i].high &&
			len >= card_ranges[i].min_len && len <= card_ranges[i].max_len)
			return true;
	return false;
}

bool
CheckKzDigit(const char *digits)
{
	int			sum = 0;

	for (int i = 0; i < 11; i++)
		sum += (digits[i] - '0') * (i + 1);
	sum %= 11;
	if (sum == 10)
	{
		sum = 0;
		for (int i = 0; i < 11; i++)
			sum += (digits[i] - '0') * ((i + 2) % 11 + 1);
		sum %= 11;
	}
	return sum != 10 && sum == digits[11] - '0';
}

int
TwoDigits(const char *digits)
{
	return (digits[0] - '0') * 10 + (digits[1] - '0');
}

bool
DatePlausible(int year, int month, int day)
{
	static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	if (month < 1 || month > 12 || day < 1 || day > days[month - 1])
		return false;
	return !(month == 2 && day == 29 && year % 4 != 0);
}

bool
IinPlausible(const char *digits)
{
	return digits[6] <= '6' &&
		DatePlausible(TwoDigits(digits), TwoDigits(digits + 2),
					  TwoDigits(digits + 4));
}

bool
BinPlausible(const char *digits)
{
	int			month = TwoDigits(digits + 2);

	return month >= 1 && month <= 12 &&
		digits[4] >= '4' && digits[4] <= '6' && digits[5] <= '4';
}

/* The sum of digit * weight, mod 11, mod 10: the INN's check digit. */
static int
InnDigit(const char *digits, const int *weights, int count)
{
	int			sum = 0;

	for (int i = 0; i < count; i++)
		sum += (digits[i] - '0') * weights[i];
	return sum % 11 % 10;
}

bool
CheckInn(const char *digits, int len)
{
	static const int w[] = {3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8};

	if (TwoDigits(digits) == 0 || strspn(digits, "0") >= (size_t) len)
		return false;
	if (len == 10)
		return InnDigit(digits, w + 2, 9) == digits[9] - '0';
	return len == 12 &&
		InnDigit(digits, w + 1, 10) == digits[10] - '0' &&
		InnDigit(digits, w, 11) == digits[11] - '0';
}

bool
CheckSnils(const char *digits)
{
	int			sum = 0;

	if (memcmp(digits, "001001998", 9) <= 0)
		return false;			/* issued before there were check digits */
	for (int i = 0; i < 9; i++)
		sum += (digits[i] - '0') * (9 - i);
	return sum % 101 % 100 == TwoDigits(digits + 9);
}

bool
SsnPlausible(const char *digits)
{
	bool		same = true;

	for (int i = 1; i < 9; i++)
		same &= digits[i] == digits[0];
	return !same && memcmp(digits, "000", 3) != 0 &&
		memcmp(digits, "666", 3) != 0 && digits[0] != '9' &&
		memcmp(digits + 3, "00", 2) != 0 &&
		memcmp(digits + 5, "0000", 4) != 0 &&
		memcmp(digits, "123456789", 9) != 0;
}

bool
ItinPlausible(const char *digits)
{
	int			group = TwoDigits(digits + 3);

	return digits[0] == '9' && group >= 50 && group != 89 && group != 93 &&
		(group <= 65 || group >= 70);
}

/* The lengths by country, filled on first use. */
static const uint8_t *
IbanTable(void)
{
	/* country and length, in the alphabet's order */
	static const char countries[] =
	"AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24"
	"DE22DJ27DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27"
	"GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20"
	"LU20LV21LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24"
	"PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25"
	"SV28TL23TN24TR26UA29VA22VG24XK20YE30";
	static uint8_t table[26 * 26];

	if (table[('Y' - 'A') * 26 + 'E' - 'A'] == 0)
		for (const char *p = countries; *p; p += 4)
			table[(p[0] - 'A') * 26 + (p[1] - 'A')] = (uint8_t) TwoDigits(p + 2);
	return table;
}

int
IbanLength(const char *country)
{
	if (country[0] < 'A' || country[0] > 'Z' || country[1] < 'A' ||
		country[1] > 'Z')
		return 0;
	return IbanTable()[(country[0] - 'A') * 26 + (country[1] - 'A')];
}

bool
CheckIban(const char *iban, int len)
{
	uint64_t	rest = 0;

	for (int i = 0; i < len; i++)
	{
		char		c = iban[i + 4 < len ? i + 4 : i + 4 - len];

		if (c >= '0' && c <= '9')
			rest = rest * 10 + (unsigned) (c - '0');
		else
			rest = rest * 100 + (unsigned) (c - 'A' + 10);
		/* divisions are slow, and there is room for two digits more */
		if (rest >= UINT64_C(100000000000000))
			rest %= 97;
	}
	return rest % 97 == 1;
}

/* Decodes base58 into exactly 25 bytes; false if it does not fit. */
static bool
Base58Decode(const char *text, int len, uint8_t *out)
{
	static const char alphabet[] =
	"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
	uint32_t	limb[7] = {0};	/* big endian, 28 bytes */

	for (int i = 0; i < len; i++)
	{
		const char *at = memchr(alphabet, text[i], 58);
		uint64_t	carry;

		if (at == NULL)
			return false;
		carry = (uint64_t) (at - alphabet);
		for (int j = 6; j >= 0; j--)
		{
			carry += (uint64_t) limb[j] * 58;
			limb[j] = (uint32_t) carry;
			carry >>= 32;
		}
		if (carry != 0)
			return false;
	}
	for (int i = 0; i < 28; i++)
	{
		uint8_t		byte = (uint8_t) (limb[i / 4] >> (24 - 8 * (i % 4)));

		if (i >= 3)
			out[i - 3] = byte;
		else if (byte != 0)
			return false;
	}
	return true;
}

/*
 * Bitcoin, its scripts and their test nets; Litecoin and its scripts,
 * Dogecoin and its scripts, Dash, Tron.
 */
static const uint8_t base58_versions[] =
{0x00, 0x05, 0x6f, 0xc4, 0x30, 0x32, 0x1e, 0x16, 0x4c, 0x41};

bool
CheckBase58(const char *text, int len)
{
	uint8_t		raw[25];
	uint8_t		digest[SHA256_SIZE];

	return Base58Decode(text, len, raw) &&
		memchr(base58_versions, raw[0], sizeof(base58_versions)) != NULL &&
		Sha256Digest(raw, 21, digest) &&
		Sha256Digest(digest, SHA256_SIZE, digest) &&
		memcmp(digest, raw + 21, 4) == 0;
}

/* One step of bech32's checksum. */
static uint32_t
Bech32Step(uint32_t check, uint32_t value)
{
	static const uint32_t generator[] =
	{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
	uint32_t	top = check >> 25;

	check = ((check & 0x1ffffff) << 5) ^ value;
	for (int bit = 0; bit < 5; bit++)
		if ((top >> bit) & 1)
			check ^= generator[bit];
	return check;
}

bool
CheckBech32(const char *text, int len)
{
	static const char charset[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
	const char *one = memchr(text, '1', (size_t) len);
	int			head = one != NULL ? (int) (one - text) : 0;
	uint32_t	check = 1;

	if (head == 0 || len - head < 7)
		return false;
	/* what is before the '1': high bits, a zero, low bits */
	for (int i = 0; i < head; i++)
		check = Bech32Step(check, (uint32_t) text[i] >> 5);
	check = Bech32Step(check, 0);
	for (int i = 0; i < head; i++)
		check = Bech32Step(check, (uint32_t) text[i] & 31);
	for (int i = head + 1; i < len; i++)
	{
		const char *at = memchr(charset, text[i], 32);

		if (at == NULL)
			return false;
		check = Bech32Step(check, (uint32_t) (at - charset));
	}
	return check == 1 || check == 0x2bc830a3;
}

bool
CheckVerhoeff(const char *digits, int len)
{
	static const char multiply[] =
	"01234567891234067895234017895634012895674012395678"
	"59876043216598710432765982104387659321049876543210";
	static const char permute[] =
	"0123456789157628309458037961428916043527"
	"9453126870428657390127938064157046913258";
	int			check = 0;

	for (int i = 0; i < len; i++)
	{
		int			digit = digits[len - 1 - i] - '0';

		digit = permute[i % 8 * 10 + digit] - '0';
		check = multiply[check * 10 + digit] - '0';
	}
	return check == 0;
}

/* The binary logarithm of n, bit by bit: the same on every machine. */
static double
BinaryLog(int n)
{
	double		value = n;
	double		log = 0;
	double		bit = 1;

	for (; value >= 2; value /= 2)
		log += 1;
	for (int i = 0; i < 40; i++)
	{
		bit /= 2;
		value *= value;
		if (value >= 2)
		{
			value /= 2;
			log += bit;
		}
	}
	return log;
}

/* n * log2 n for n up to 256, filled on first use. */
static const double *
WeighTable(void)
{
	static double table[257];

	if (table[256] == 0)
		for (int n = 2; n <= 256; n++)
			table[n] = n * BinaryLog(n);
	return table;
}

double
TextEntropy(const char *text, size_t len)
{
	const double *weigh = WeighTable();
	unsigned char seen[256] = {0};
	double		sum = 0;

	if (len > 255)
		len = 255;
	if (len == 0)
		return 0;
	for (size_t i = 0; i < len; i++)
	{
		unsigned char *n = &seen[(unsigned char) text[i]];

		sum += weigh[*n + 1] - weigh[*n];
		(*n)++;
	}
	return (weigh[len] - sum) / (double) len;
}
