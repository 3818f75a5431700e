/*
 * normalize.c
 *	  The form of a value under which it is compared by equality.
 *
 * A match token is a keyed digest of this form: +7 (701) 123-45-67 and
 * 8 701 1234567 have to give the same token, and so have a card with and
 * without spaces.
 */
#include "mask/scan.h"

#include <string.h>

/* Keeps the characters of a class, in place. */
static size_t
KeepOnly(char *text, size_t len, bool letters)
{
	size_t		n = 0;

	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) text[i];

		if (IsDigit(c) || (letters && c >= 0x80))
			text[		n++] = (char) c;

		else if (letters && IsAlpha(c))
			text[		n++] = (char) (c & 0xDF);
	}
	return n;
}

/* Telephones: without extension; 8 and 7 before ten digits are one. */
static size_t
NormalizePhone(char *text, size_t len)
{
	for (size_t i = 1; i < len; i++)
		if ((text[i] | 0x20) == 'x' || (text[i] | 0x20) == 'e')
			len = i;
	len = KeepOnly(text, len, false);
	if (len > 2 && text[0] == '0' && text[1] == '0')
	{
		memmove(text, text +2, len - 2);
		len -= 2;
	}
	if (len == 11 && text[0] == '8')
		text[		0] = '7';

	return len;
}

/* One space between words, none at the ends, in place. */
static size_t
SqueezeSpaces(char *text, size_t len)
{
	size_t		n = 0;

	for (size_t i = 0; i < len; i++)
	{
		bool		space = IsSpace((unsigned char) text[i]);

		if (!space)
			text[		n++] = text[i];

		else if (n > 0 && text[n - 1] != ' ')
			text[		n++] = ' ';
	}
	while (n > 0 && text[n - 1] == ' ')
		n--;
	return n;
}

size_t
MaskNormalize(MaskEntity entity, const char *value, size_t len, char *out)
{
	size_t		n = ShadowInto((const unsigned char *) value, len,
							   (unsigned char *) out);

	switch (entity)
	{
		case MASK_PHONE_NUMBER:
			return NormalizePhone(out, n);
		case MASK_CREDIT_CARD:
		case MASK_KZ_IIN:
		case MASK_KZ_BIN:
		case MASK_RU_INN:
		case MASK_RU_SNILS:
		case MASK_US_SSN:
		case MASK_US_ITIN:
			return KeepOnly(out, n, false);
		case MASK_IBAN_CODE:
		case MASK_US_PASSPORT:
		case MASK_RU_PASSPORT:
		case MASK_KZ_DOCUMENT:
		case MASK_US_DRIVER_LICENSE:
		case MASK_US_BANK_NUMBER:
		case MASK_NATIONAL_ID:
		case MASK_MAC_ADDRESS:
			return KeepOnly(out, n, true);
		case MASK_EMAIL_ADDRESS:
		case MASK_IP_ADDRESS:
		case MASK_PERSON:
		case MASK_KNOWN_VALUE:
			/* folding keeps lengths, so it may run in place */
			FoldCopy((unsigned char *) out, n, (unsigned char *) out);
			return SqueezeSpaces(out, n);
		default:
			if (entity < MASK_ENTITY_CUSTOM)
				return n;
			FoldCopy((unsigned char *) out, n, (unsigned char *) out);
			return SqueezeSpaces(out, n);
	}
}
