/*
 * base64.c
 *	  Base64 (RFC 4648): the usual alphabet in, the URL-safe one out.
 */
#include "core/base64.h"

static const char url_alphabet[] =
"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The value of a character of either alphabet, or -1. */
static int
DigitOf(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	if (c == '/' || c == '_')
		return 63;
	return -1;
}

bool
Base64Decode(const char *text, size_t len, uint8_t *out, size_t room,
			 size_t *out_len)
{
	uint32_t	bits = 0;
	int			nbits = 0;
	size_t		n = 0;

	if (len > 0 && len % 4 == 0)
	{
		for (int pad = 0; pad < 2 && text[len - 1] == '='; pad++)
			len--;
	}
	if (len % 4 == 1)
		return false;
	for (size_t i = 0; i < len; i++)
	{
		int			digit = DigitOf(text[i]);

		if (digit < 0)
			return false;
		bits = (bits << 6) | (uint32_t) digit;
		nbits += 6;
		if (nbits < 8)
			continue;
		nbits -= 8;
		if (n >= room)
			return false;
		out[n++] = (uint8_t) (bits >> nbits);
		bits &= (1u << nbits) - 1;
	}
	*out_len = n;
	return bits == 0;
}

void
Base64UrlEncode(const uint8_t *data, size_t len, char *out)
{
	uint32_t	bits = 0;
	int			nbits = 0;

	for (size_t i = 0; i < len; i++)
	{
		bits = (bits << 8) | data[i];
		nbits += 8;
		while (nbits >= 6)
		{
			nbits -= 6;
			*out++ = url_alphabet[(bits >> nbits) & 63];
		}
	}
	if (nbits > 0)
		*out = url_alphabet[(bits << (6 - nbits)) & 63];
}
