/*
 * entity.c
 *	  Names of entities, and positions in characters.
 */
#include "mask/mask.h"

static const char *const entity_names[MASK_ENTITY_COUNT] =
{
	[MASK_CREDIT_CARD] = "CREDIT_CARD",
	[MASK_IBAN_CODE] = "IBAN_CODE",
	[MASK_KZ_IIN] = "KZ_IIN",
	[MASK_KZ_BIN] = "KZ_BIN",
	[MASK_RU_INN] = "RU_INN",
	[MASK_RU_SNILS] = "RU_SNILS",
	[MASK_US_SSN] = "US_SSN",
	[MASK_US_ITIN] = "US_ITIN",
	[MASK_US_PASSPORT] = "US_PASSPORT",
	[MASK_RU_PASSPORT] = "RU_PASSPORT",
	[MASK_KZ_DOCUMENT] = "KZ_DOCUMENT",
	[MASK_US_DRIVER_LICENSE] = "US_DRIVER_LICENSE",
	[MASK_US_BANK_NUMBER] = "US_BANK_NUMBER",
	[MASK_NATIONAL_ID] = "NATIONAL_ID",
	[MASK_PHONE_NUMBER] = "PHONE_NUMBER",
	[MASK_EMAIL_ADDRESS] = "EMAIL_ADDRESS",
	[MASK_IP_ADDRESS] = "IP_ADDRESS",
	[MASK_MAC_ADDRESS] = "MAC_ADDRESS",
	[MASK_CRYPTO] = "CRYPTO",
	[MASK_DATE_OF_BIRTH] = "DATE_OF_BIRTH",
	[MASK_PERSON] = "PERSON",
	[MASK_KNOWN_VALUE] = "KNOWN_VALUE",
	[MASK_URL_CREDENTIALS] = "URL_CREDENTIALS",
	[MASK_API_KEY] = "API_KEY",
	[MASK_ACCESS_TOKEN] = "ACCESS_TOKEN",
	[MASK_JWT] = "JWT",
	[MASK_PRIVATE_KEY] = "PRIVATE_KEY",
	[MASK_AUTHORIZATION] = "AUTHORIZATION",
	[MASK_PASSWORD] = "PASSWORD",
	[MASK_SECRET] = "SECRET",
};

const char *
MaskEntityName(MaskEntity entity)
{
	if ((int) entity == MASK_ENTITY_REST)
		return "WITHHELD";
	if ((int) entity < 0 || entity >= MASK_ENTITY_COUNT)
		return "UNKNOWN";
	return entity_names[entity];
}

void
MaskCharPositions(const char *text, size_t len, MaskHit *hits, size_t count)
{
	size_t		pos = 0;
	size_t		chars = 0;

	for (size_t i = 0; i < count * 2; i++)
	{
		size_t	   *edge = i % 2 ? &hits[i / 2].end : &hits[i / 2].start;

		for (; pos < *edge && pos < len; pos++)
			chars += ((unsigned char) text[pos] & 0xC0) !=0x80;
		*edge = chars;
	}
}
