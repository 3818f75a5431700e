/*
 * charset.c
 *	  Sets of characters, one bit each, for loops that are too hot for
 *	  strchr().
 */
#include "mask/scan.h"

uint16_t	CharSet[256];

const bool	AlnumChars[256] = {
	['0'...'9'] = true,
	['A'...'Z'] = true,
	['a'...'z'] = true
};

/* Adds characters to a set. */
static void
AddChars(const char *chars, unsigned set)
{
	for (; *chars; chars++)
		CharSet[(unsigned char) *chars] |= (uint16_t) set;
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
			CharSet[c] = SET_KEY | SET_LOCAL | SET_NAME | SET_WORD;
		else if (c >= 0x80)
			CharSet[c] = SET_KEY | SET_NAME | SET_WORD;
		if (!(CharSet[c] & SET_WORD) && c != '\n' && c != ';' && c != ':' &&
			c != '=')
			CharSet[c] |= SET_BETWEEN_WORDS;
	}
	AddChars("_-.", SET_KEY);
	AddChars("._%+-'!#$^{}|~", SET_LOCAL);
	AddChars(":=?.!+~|>", SET_OPERATOR);
	AddChars("\"'`\\]*", SET_QUOTE);
	AddChars("\"'`,;<\\&", SET_BARE_END);
	AddChars("\"'<>`/?#\\", SET_URL_END);
	AddChars(" -./()", SET_JOINS_DIGITS);
	AddChars(")}](", SET_BRACKET);
	AddChars(".!?:", SET_STOP);
	AddChars("([{", SET_OPENING);
	AddChars("0123456789\n.,;", SET_DIGIT_OR_END);
	AddChars("_-", SET_NAME);
	AddChars("\"'>.,( \t\n\v\f\r", SET_AFTER_NAME);
	AddChars(":=>~", SET_ARROW);
}
