/*
 * test_mask_validate.c
 *	  Check digits: known good numbers pass, and every single changed digit
 *	  is noticed where the scheme promises it.
 */
/* links: src/mask/validate.c src/core/sha256.c */
#include <stdio.h>
#include <string.h>

#include "mask/validate.h"

static int	number = 0;
static int	failed = 0;

static void
Ok(bool good, const char *what)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++number, what);
	failed += !good;
}

/* How many of all single-digit changes of a number still pass. */
static int
Unnoticed(const char *digits, bool (*check) (const char *, int), int len)
{
	char		changed[32];
	int			n = 0;

	for (int i = 0; i < len; i++)
		for (char d = '0'; d <= '9'; d++)
		{
			strcpy(changed, digits);
			if (changed[i] == d)
				continue;
			changed[i] = d;
			n += check(changed, len);
		}
	return n;
}

static bool
Kz(const char *digits, int len)
{
	(void) len;
	return CheckKzDigit(digits);
}

static bool
Snils(const char *digits, int len)
{
	(void) len;
	return CheckSnils(digits);
}

static void
TestNumbers(void)
{
	Ok(CheckLuhn("4111111111111111", 16), "Luhn accepts a test card");
	Ok(!CheckLuhn("0000000000000000", 16), "Luhn refuses sixteen zeros");
	Ok(Unnoticed("4111111111111111", CheckLuhn, 16) == 0,
	   "Luhn notices every changed digit");
	Ok(CardPrefixKnown("4111111111111111", 16), "Visa's prefix");
	Ok(CardPrefixKnown("2200700100000000", 16), "Mir's prefix");
	Ok(!CardPrefixKnown("9111111111111111", 16), "no issuer has 91");
	Ok(CheckKzDigit("830717350867") && IinPlausible("830717350867"),
	   "an IIN");
	Ok(!CheckKzDigit("123456789012"), "the example IIN fails its digit");
	Ok(Unnoticed("830717350867", Kz, 12) <= 12,
	   "IIN digits are checked");
	Ok(BinPlausible("940140000385") && CheckKzDigit("940140000385"), "a BIN");
	Ok(!IinPlausible("831317350867"), "no month 13");
	Ok(CheckInn("7707083893", 10), "an INN of ten digits");
	Ok(CheckInn("500100732259", 12), "an INN of twelve digits");
	Ok(Unnoticed("500100732259", CheckInn, 12) == 0,
	   "INN notices every changed digit");
	Ok(CheckSnils("11223344595"), "a SNILS");
	Ok(Unnoticed("11223344595", Snils, 11) == 0,
	   "SNILS notices every changed digit");
	Ok(SsnPlausible("078051121"), "an SSN");
	Ok(!SsnPlausible("666051121") && !SsnPlausible("078001121") &&
	   !SsnPlausible("078050000"), "SSN that were never issued");
	Ok(ItinPlausible("900701234"), "an ITIN");
	Ok(CheckVerhoeff("236", 3) && !CheckVerhoeff("237", 3), "Verhoeff");
}

static void
TestAccounts(void)
{
	Ok(CheckIban("GB82WEST12345698765432", 22), "an IBAN");
	Ok(!CheckIban("GB82WEST12345698765433", 22), "a changed IBAN");
	Ok(IbanLength("KZ") == 20 && IbanLength("MT") == 31, "IBAN lengths");
	Ok(IbanLength("XX") == 0, "a country without IBAN");
	Ok(CheckBase58("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", 34),
	   "a Bitcoin address");
	Ok(!CheckBase58("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", 34),
	   "a changed Bitcoin address");
	Ok(CheckBech32("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", 42),
	   "a bech32 address");
	Ok(!CheckBech32("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", 42),
	   "a changed bech32 address");
	Ok(CheckBase58("TESHq6zKRSRnDQTHRZWMK9FV9cGaeJWKKX", 34),
	   "an address of Tron");
	Ok(!CheckBase58("TESHq6zKRSRnDQTHRZWMK9FV9cGaeJWKKY", 34),
	   "a changed address of Tron");
	Ok(CheckBech32("ltc1q4t0qmalzhn05w5rk323wx8jsrk4p5dfwk2nt5t", 43),
	   "a bech32 address of another currency");
	Ok(!CheckBech32("bc1q4t0qmalzhn05w5rk323wx8jsrk4p5dfwk2nt5t", 42),
	   "an address under another currency's name");
	Ok(!CheckBech32("1qqqqqqq", 8) && !CheckBech32("bc1qqqqqq", 9),
	   "an address of no currency, one that is too short");
}

static void
TestOther(void)
{
	double		e = TextEntropy("0123456789abcdef", 16);

	Ok(e > 3.999 && e < 4.001, "entropy of sixteen different characters");
	Ok(TextEntropy("aaaaaaaa", 8) < 0.001, "entropy of one character");
	Ok(TextEntropy("", 0) < 0.001, "entropy of nothing");
	Ok(DatePlausible(2024, 2, 29) && !DatePlausible(2023, 2, 29),
	   "29 February");
}

int
main(void)
{
	TestNumbers();
	TestAccounts();
	TestOther();
	printf("1..%d\n", number);
	return failed != 0;
}
