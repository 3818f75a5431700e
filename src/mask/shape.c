/*
 * shape.c
 *	  Shapes of texts that are no identifier of a person and no secret, for
 *	  all that is in them: times and UUIDs.
 */
#include "mask/scan.h"

/* The number that two characters are; 100 if they are no digits. */
static inline unsigned
Pair(const unsigned char *text)
{
	unsigned	tens = text[0] - '0';
	unsigned	ones = text[1] - '0';

	return tens < 10 && ones < 10 ? tens * 10 + ones : 100;
}

/* The length of hours, minutes and perhaps seconds and their fraction. */
static size_t
ClockLength(const unsigned char *text, size_t len)
{
	size_t		at = 5;

	if (len < 5 || Pair(text) > 23 || text[2] != ':' ||
		Pair(text +3) > 59)
		return 0;
	if (len >= 8 && text[5] == ':' && Pair(text +6) <= 60)
		at = 8;
	if (at == 8 && len > 9 && text[8] == '.' && IsDigit(text[9]))
		for (at = 10; at < len && at < 18 && IsDigit(text[at]);)
			at++;
	return at;
}

bool
IsTimestamp(const unsigned char *text, size_t len)
{
	size_t		clock;

	if (len < 10 || text[4] != '-' || text[7] != '-' ||
		(Pair(text) != 19 && Pair(text) != 20) || Pair(text +2) > 99 ||
		Pair(text +5) - 1 > 11 || Pair(text +8) - 1 > 30)
		return false;
	if (len == 10)
		return true;
	clock = text[10] == 'T' || text[10] == ' ' ?
	ClockLength(text +11, len - 11) : 0;

	if (clock == 0)
		return false;
	text	  +=11 + clock;

	len -= 11 + clock;

	return len == 0 || (len == 1 && *text == 'Z') ||
		(len == 6 && (*text == '+' || *text == '-') &&
		 Pair(text +1) < 15 && text[3] == ':' && Pair(text +4) < 60);
}

/* True if those of eight bytes that mask has are hexadecimal digits. */
static inline bool
AreHex(const unsigned char *text, uint64_t mask)
{
	uint64_t	v = EightBytes(text);
	uint64_t	small = (v & 0x7F * EACH_BYTE) | 0x20 * EACH_BYTE;
	uint64_t	hex = DigitBytes(v) | ((small + 0x1F * EACH_BYTE) &
									   ~(small + 0x19 * EACH_BYTE) & ~v);

	return (~hex & mask) == 0;
}

bool
IsUuid(const unsigned char *text)
{
	return text[8] == '-' && text[13] == '-' && text[18] == '-' &&
	text[23] == '-' && AreHex(text, 0x8080808080808080) &&
	AreHex(text +9, 0x8080800080808080) &&
	AreHex(text +17, 0x8000808080800080) &&
	AreHex(text +25, 0x8080808080808080) &&
	AreHex(text +28, 0x8080808080808080);
}

bool
FindUuid(const unsigned char *text, size_t len, size_t pos, size_t *start)
{
	static const uint8_t parts[] = {0, 9, 14, 19, 24};

	for (size_t i = 0; i < sizeof(parts) && parts[i] <= pos; i++)
	{
		*start = pos - parts[i];
		if (len - *start >= 36 && IsUuid(text +*start))
			return true;
	}
	return false;
}
