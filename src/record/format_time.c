/*
 * format_time.c
 *	  Reading and writing of times, independent of any session's settings.
 */
#include "record/format.h"

#include <stdio.h>
#include <string.h>

#define MICROS_PER_SECOND	INT64_C(1000000)
#define SECONDS_PER_DAY		INT64_C(86400)

/* Days from 1970-01-01 to a date of the Gregorian calendar. */
static int64_t
DaysFromDate(int year, int month, int day)
{
	int64_t		y = month <= 2 ? year - 1 : year;
	int64_t		era = (y >= 0 ? y : y - 399) / 400;
	int64_t		yoe = y - era * 400;
	int64_t		doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64_t		doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return era * 146097 + doe - 719468;
}

/* The date that lies days after 1970-01-01. */
static void
DateFromDays(int64_t days, int *year, int *month, int *day)
{
	int64_t		z = days + 719468;
	int64_t		era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t		doe = z - era * 146097;
	int64_t		yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t		doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t		mp = (5 * doy + 2) / 153;

	*day = (int) (doy - (153 * mp + 2) / 5 + 1);
	*month = (int) (mp < 10 ? mp + 3 : mp - 9);
	*year = (int) (yoe + era * 400 + (*month <= 2 ? 1 : 0));
}

/* Reads exactly n digits; advances *p. */
static bool
ReadDigits(const char **p, const char *end, int n, int *value)
{
	*value = 0;
	if (end - *p < n)
		return false;
	for (int i = 0; i < n; i++)
	{
		char		c = *(*p)++;

		if (c < '0' || c > '9')
			return false;
		*value = *value * 10 + (c - '0');
	}
	return true;
}

/* Takes c if it is next. */
static bool
Accept(const char **p, const char *end, char c)
{
	if (*p < end && **p == c)
	{
		(*p)++;
		return true;
	}
	return false;
}

/* Reads a fraction of a second; digits beyond microseconds are cut off. */
static bool
ReadFraction(const char **p, const char *end, int64_t *micros)
{
	int64_t		scale = 100000;
	const char *start = *p;

	*micros = 0;
	while (*p < end && **p >= '0' && **p <= '9')
	{
		*micros += (*(*p)++ - '0') * scale;
		scale /= 10;
	}
	return *p > start;
}

/* Reads Z or an offset from UTC, if there is one. */
static bool
ReadZone(const char **p, const char *end, RecordTime *time)
{
	int			hours;
	int			minutes = 0;
	int			sign;

	time->has_zone = false;
	time->offset_minutes = 0;
	Accept(p, end, ' ');
	if (*p == end)
		return true;
	time->has_zone = true;
	if (Accept(p, end, 'Z') || Accept(p, end, 'z'))
		return true;
	if (end - *p == 3 && memcmp(*p, "UTC", 3) == 0)
	{
		*p = end;
		return true;
	}
	sign = **p == '-' ? -1 : 1;
	if (!Accept(p, end, '+') && !Accept(p, end, '-'))
		return false;
	if (!ReadDigits(p, end, 2, &hours))
		return false;
	if (*p < end)
	{
		Accept(p, end, ':');
		if (!ReadDigits(p, end, 2, &minutes))
			return false;
	}
	if (hours > 15 || minutes > 59)
		return false;
	time->offset_minutes = sign * (hours * 60 + minutes);
	return true;
}

bool
RecordParseTime(const char *text, size_t len, RecordTime *time)
{
	static const int month_days[] =
	{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	const char *p = text;
	const char *end = text +len;
	int			year;
	int			month;
	int			day;
	int			hour;
	int			minute;
	int			second = 0;
	int64_t		fraction = 0;
	bool		leap;

	if (!ReadDigits(&p, end, 4, &year) || !Accept(&p, end, '-') ||
		!ReadDigits(&p, end, 2, &month) || !Accept(&p, end, '-') ||
		!ReadDigits(&p, end, 2, &day))
		return false;
	if (!Accept(&p, end, 'T') && !Accept(&p, end, 't') && !Accept(&p, end, ' '))
		return false;
	if (!ReadDigits(&p, end, 2, &hour) || !Accept(&p, end, ':') ||
		!ReadDigits(&p, end, 2, &minute))
		return false;
	if (Accept(&p, end, ':'))
	{
		if (!ReadDigits(&p, end, 2, &second))
			return false;
		if ((Accept(&p, end, '.') || Accept(&p, end, ',')) &&
			!ReadFraction(&p, end, &fraction))
			return false;
	}
	if (!ReadZone(&p, end, time) || p != end)
		return false;
	leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	if (year < 1 || month < 1 || month > 12 || day < 1 ||
		day > month_days[month - 1] || (month == 2 && day == 29 && !leap) ||
		hour > 23 || minute > 59 || second > 60)
		return false;
	time->micros = (DaysFromDate(year, month, day) * SECONDS_PER_DAY +
					hour * 3600 + minute * 60 + second -
					time->offset_minutes * 60) * MICROS_PER_SECOND + fraction;
	return true;
}

bool
RecordParseEpoch(const char *text, size_t len, int64_t *micros)
{
	int64_t		whole = 0;
	int64_t		fraction = 0;
	const char *p = text;
	const char *end = text +len;
	int			digits = 0;

	for (; p < end && *p >= '0' && *p <= '9'; p++)
	{
		if (++digits > 19 || whole > (INT64_MAX - 9) / 10)
			return false;
		whole = whole * 10 + (*p - '0');
	}
	if (digits == 0)
		return false;
	if (Accept(&p, end, '.') && !ReadFraction(&p, end, &fraction))
		return false;
	if (p != end)
		return false;
	if (whole < INT64_C(100000000000))
		*micros = whole * MICROS_PER_SECOND + fraction;
	else if (whole < INT64_C(100000000000000))
		*micros = whole * 1000 + fraction / 1000;
	else if (whole < INT64_C(100000000000000000))
		*micros = whole;
	else
		*micros = whole / 1000;
	return true;
}

size_t
RecordFormatTime(int64_t micros, char *out)
{
	int64_t		seconds = micros / MICROS_PER_SECOND;
	int64_t		fraction = micros % MICROS_PER_SECOND;
	int64_t		days;
	int			year;
	int			month;
	int			day;
	int			rest;

	if (fraction < 0)
	{
		fraction += MICROS_PER_SECOND;
		seconds--;
	}
	days = seconds / SECONDS_PER_DAY;
	rest = (int) (seconds % SECONDS_PER_DAY);
	if (rest < 0)
	{
		rest += (int) SECONDS_PER_DAY;
		days--;
	}
	DateFromDays(days, &year, &month, &day);
	return (size_t) snprintf(out, 32, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ",
							 year % 10000, month, day, rest / 3600,
							 rest / 60 % 60, rest % 60, (int) fraction);
}
