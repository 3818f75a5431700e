/*
 * charset.c
 *	  Sets of characters, one bit each, for loops that are too hot for
 *	  strchr().
 */
#include "mask/scan.h"

#define NAME (SET_KEY | SET_LOCAL)
#define STOP (SET_BARE_END | SET_URL_END)

const uint8_t CharSet[256] =
{
	[0...' '] = STOP,
	['0'...'9'] = NAME,
	['A'...'Z'] = NAME,
	['a'...'z'] = NAME,
	[0x80...0xFF] = SET_KEY,
	['!'] = SET_OPERATOR | SET_LOCAL,
	['"'] = SET_QUOTE | STOP,
	['#'] = SET_LOCAL | SET_URL_END,
	['$'] = SET_LOCAL,
	['%'] = SET_LOCAL,
	['&'] = SET_BARE_END,
	['\''] = SET_QUOTE | STOP | SET_LOCAL,
	['+'] = SET_OPERATOR | SET_LOCAL,
	[','] = SET_BARE_END,
	['-'] = SET_KEY | SET_LOCAL,
	['.'] = SET_OPERATOR | SET_KEY | SET_LOCAL,
	['/'] = SET_URL_END,
	[':'] = SET_OPERATOR,
	[';'] = SET_BARE_END,
	['<'] = STOP,
	['='] = SET_OPERATOR,
	['>'] = SET_OPERATOR | SET_URL_END,
	['?'] = SET_OPERATOR | SET_URL_END,
	['\\'] = SET_QUOTE | STOP,
	[']'] = SET_QUOTE,
	['^'] = SET_LOCAL,
	['_'] = SET_KEY | SET_LOCAL,
	['`'] = SET_QUOTE | STOP,
	['{'] = SET_LOCAL,
	['|'] = SET_OPERATOR | SET_LOCAL,
	['}'] = SET_LOCAL,
	['~'] = SET_OPERATOR | SET_LOCAL,
};
