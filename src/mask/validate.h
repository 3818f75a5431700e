/*
 * validate.h
 *	  Check digits and plausibility of identifiers.
 *
 * All take ASCII digits (or letters and digits) and a length, look at
 * nothing else and allocate nothing.
 */
#ifndef LLM_AUDIT_MASK_VALIDATE_H
#define LLM_AUDIT_MASK_VALIDATE_H

#include <stdbool.h>
#include <stddef.h>

/* ISO/IEC 7812 check digit over len digits. */
extern bool CheckLuhn(const char *digits, int len);

/* True if an issuer's prefix and the length agree. */
extern bool CardPrefixKnown(const char *digits, int len);

/* Kazakhstan: two-pass mod 11 over 12 digits. */
extern bool CheckKzDigit(const char *digits);

/* An IIN's date of birth, century and sex are possible. */
extern bool IinPlausible(const char *digits);

/* A BIN's registration month and kind are possible. */
extern bool BinPlausible(const char *digits);

/* Russia: INN of an organisation (10) or a person (12). */
extern bool CheckInn(const char *digits, int len);

/* Russia: SNILS, 11 digits, mod 101. */
extern bool CheckSnils(const char *digits);

/* US SSN: area, group and serial that can have been issued. */
extern bool SsnPlausible(const char *digits);

/* US ITIN: 9xx with group 50-65, 70-88, 90-92, 94-99. */
extern bool ItinPlausible(const char *digits);

/* ISO 13616: mod 97 over len letters and digits. */
extern bool CheckIban(const char *iban, int len);

/* The length of a country's IBAN, 0 if there is none. */
extern int	IbanLength(const char *country);

/* Base58 with a four-byte double SHA-256 check, of a currency that is known. */
extern bool CheckBase58(const char *text, int len);

/* BIP 173/350 polynomial over a lower-cased address of any currency. */
extern bool CheckBech32(const char *text, int len);

/* A day of a month in the Gregorian calendar, any century. */
extern bool DatePlausible(int year, int month, int day);

/* The value of the first two of some digits. */
extern int	TwoDigits(const char *digits);

/* Verhoeff over len digits (Aadhaar). */
extern bool CheckVerhoeff(const char *digits, int len);

/* Shannon entropy in bits per byte. */
extern double TextEntropy(const char *text, size_t len);

#endif
