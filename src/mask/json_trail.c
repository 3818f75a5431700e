/*
 * json_trail.c
 *	  Identifiers that are split over the scalars of a document: the trail of
 *	  the last that hold digits alone.
 */
#include "mask/json.h"
#include "mask/validate.h"

/*
 * Withholds the scalars of the trail that might have been an identifier with
 * those of the rest.
 */
bool
JsonWithholdTrail(JsonWalk *walk)
{
	const Trail *trail = &walk->trail;
	bool		good = true;

	for (int i = 0; i < trail->count && good; i++)
	{
		const TrailPart *part = &trail->parts[i];

		if (trail->digit_count - part->first < TRAIL_MOST)
			good = JsonEmitUpTo(walk, part->start - !part->number,
								part->end + !part->number) &&
				JsonEmit(walk, JSON_WITHHELD, sizeof(JSON_WITHHELD) - 1);
	}
	ForgetTrail(&walk->trail);
	return good;
}

/* Masks the parts of the trail from first on. */
static bool
MaskTrail(JsonWalk *walk, int first, MaskEntity entity)
{
	const Trail *trail = &walk->trail;
	const char *name = MaskEntityName(entity);
	size_t		n = strlen(name);
	char		form[MASK_FORM_MAX];	/* with quotes, for numbers */
	int			begin = trail->parts[first].first;
	bool		good = true;

	CountJson(walk->root, WORK_PIECE);
	memcpy(form, "\"<", 2);
	memcpy(form + 2, name, n);
	memcpy(form + 2 + n, ">\"", 2);
	for (int i = first; i < trail->count && good; i++)
	{
		const TrailPart *part = &trail->parts[i];

		good = JsonEmitUpTo(walk, part->start, part->end) &&
			(part->number ? JsonEmit(walk, form, n + 4) :
			 JsonEmit(walk, form + 1, n + 2));
	}
	NoteFound(walk->root->options, &walk->found, entity,
			  trail->digits + begin, (size_t) (trail->digit_count - begin));
	ForgetTrail(&walk->trail);
	return good;
}

/*
 * Whether digits that were put together are one identifier; luhn is what
 * their sum would be if they were a card.
 */
static MaskEntity
TrailEntity(const char *digits, int len, unsigned luhn)
{
	if (len >= 15 && luhn % 10 == 0 && CardPrefixKnown(digits, len) &&
		CheckLuhn(digits, len))
		return MASK_CREDIT_CARD;
	if (len == 12 && IinPlausible(digits) && CheckKzDigit(digits))
		return MASK_KZ_IIN;
	return MASK_ENTITY_COUNT;
}

/*
 * Reads a scalar of digits as a part of the trail, which it may be with
 * blanks and dashes; its digits' number, 0 if it is anything else.
 */
static inline int
ReadTrailPart(const TextPiece *piece, char *digits)
{
	const char *text = piece->text;
	size_t		len = piece->len;
	int			n = 0;

	if (len <= 8 && piece->room >= 8 &&
		LeadingDigits((const unsigned char *) text) >= len)
	{
		memcpy(digits, text, 8);
		return (int) len;
	}
	/* a date, as versions have it among the headers of a response */
	if (len == 10 && text[4] == '-' && text[7] == '-')
		return 0;
	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) text[i];

		if (IsDigit(c) && n < TRAIL_DIGITS)
			digits[n++] = (char) c;
		else if (c != ' ' && c != '-')
			return 0;
	}
	return n;
}

/* Makes room in the trail: keeps the parts that may still matter. */
static void
ShiftTrail(Trail *trail)
{
	int			gone = trail->count - (TRAIL_PARTS - 1);
	int			digits = trail->parts[gone].first;

	trail->count -= gone;
	trail->digit_count -= digits;
	memmove(trail->parts, trail->parts + gone,
			(size_t) trail->count * sizeof(TrailPart));
	memmove(trail->digits, trail->digits + digits,
			(size_t) trail->digit_count);
	for (int i = 0; i < trail->count; i++)
		trail->parts[i].first -= digits;
	/* the sums go by even and odd places, which may change their roles */
	if (digits % 2 != 0)
		for (int i = 0; i <= trail->count; i++)
		{
			unsigned   *luhn = i < trail->count ? trail->parts[i].luhn :
			trail->luhn;
			unsigned	other = luhn[0];

			luhn[0] = luhn[1];
			luhn[1] = other;
		}
}

/* Looks whether the last of the trail make something, and masks them. */
static bool
CheckTrail(JsonWalk *walk)
{
	const Trail *trail = &walk->trail;
	int			last = trail->count - 1;
	int			end = trail->digit_count;
	bool		number = trail->parts[last].number;

	/* arrays of numbers are tokens and measurements, unless a key speaks */
	if (number && !JsonSaysCard(&walk->context))
		return true;
	for (int i = last - 1; i >= 0; i--)
	{
		const TrailPart *part = &trail->parts[i];
		int			len = end - part->first;
		MaskEntity	entity;

		if (len > TRAIL_MOST || (part->number && !number))
			break;
		if (len < 12)
			continue;
		CountJson(walk->root, WORK_SCALAR);
		entity = TrailEntity(trail->digits + part->first, len,
							 number ? 0 :
							 trail->luhn[end & 1] - part->luhn[end & 1]);
		if (entity != MASK_ENTITY_COUNT)
			return MaskTrail(walk, i, entity);
	}
	return true;
}

/* Adds digits to the trail's sums: twice counts every other from the end. */
static inline void
SumDigits(Trail *trail, int n)
{
	static const uint8_t twice[] = {0, 2, 4, 6, 8, 1, 3, 5, 7, 9};

	for (int i = trail->digit_count; i < trail->digit_count + n; i++)
	{
		unsigned	digit = (unsigned) (trail->digits[i] - '0');

		trail->luhn[i & 1] += twice[digit];
		trail->luhn[~i & 1] += digit;
	}
}

/*
 * Adds a scalar that was not masked to the trail, or forgets the trail if it
 * holds more than digits; then looks whether the last ones make something.
 */
bool
JsonFollowTrail(JsonWalk *walk, const JsonScalar *place, const TextPiece *piece)
{
	Trail	   *trail = &walk->trail;
	TrailPart  *part;
	int			digits;

	if (trail->count == TRAIL_ROOM)
		ShiftTrail(trail);
	digits = ReadTrailPart(piece, trail->digits + trail->digit_count);
	if (digits == 0)
	{
		ForgetTrail(trail);
		return true;
	}
	part = &trail->parts[trail->count++];
	part->start = place->start;
	part->end = place->end;
	part->number = place->bare;
	part->first = trail->digit_count;
	part->luhn[0] = trail->luhn[0];
	part->luhn[1] = trail->luhn[1];
	if (!part->number)
		SumDigits(trail, digits);
	trail->digit_count += digits;
	return trail->count < 2 || CheckTrail(walk);
}
