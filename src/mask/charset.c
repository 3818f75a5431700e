/*
 * charset.c
 *	  Sets of characters, one bit each, for loops that are too hot for
 *	  strchr().
 */
#include "mask/scan.h"

uint8_t		CharSet[256];

/* Adds characters to a set. */
static void
AddChars(const char *chars, unsigned set)
{
	for (; *chars; chars++)
		CharSet[(unsigned char) *chars] |= (uint8_t) set;
}

/* Fills the sets; again is harmless. */
void
CharSetsPrepare(void)
{
	for (int c = 0; c < 256; c++)
	{
		if (c <= ' ')
			CharSet[c] = SET_BARE_END | SET_URL_END;
		else if (IsAlnum((unsigned char) c))
			CharSet[c] = SET_KEY | SET_LOCAL;
		else if (c >= 0x80)
			CharSet[c] = SET_KEY;
	}
	AddChars("_-.", SET_KEY);
	AddChars("._%+-'!#$^{}|~", SET_LOCAL);
	AddChars(":=?.!+~|>", SET_OPERATOR);
	AddChars("\"'`\\]*", SET_QUOTE);
	AddChars("\"'`,;<\\&", SET_BARE_END);
	AddChars("\"'<>`/?#\\", SET_URL_END);
	AddChars(" -./()", SET_JOINS_DIGITS);
	AddChars("/:0123456789ABCDEFabcdef", SET_AFTER_COLON);
}
