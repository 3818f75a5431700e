/*
 * repeat.c
 *	  Texts that repeat a piece many thousand times are read once.
 *
 * Models that got stuck, padding, columns of one value, and texts that are
 * made to keep the scanner busy look like that.  Where a text repeats itself,
 * and the scanner comes to a state that it was in a number of repetitions
 * before, all that follows is the same as what followed then: the findings
 * are copied, and the scan goes on at the end of the repetitions.
 *
 * This rests on what every detector keeps to: it looks back REPEAT_BACK bytes
 * at most, and ahead no further than REPEAT_AHEAD, or REPEAT_FAR in a row of
 * the characters of keys, and it remembers nothing but the fields compared
 * here (the rest of MaskScan are answers kept by the place in the text, which
 * stay right).  What consumes more sets "done", and then states differ.
 */
#include "mask/scan.h"

#include <string.h>

#define REPEAT_LOOK 65536		/* how often repetitions are looked for */
#define REPEAT_PERIOD 1024		/* the longest piece */
#define REPEAT_PROBE 256		/* bytes that have to come again */
#define REPEAT_STEP 1024		/* the least distance of states compared */
#define REPEAT_BACK 1024
#define REPEAT_HIT_BACK 256		/* no finding begins further back */
#define REPEAT_AHEAD 8192
#define REPEAT_FAR 262144

/* The length of the shortest piece that text repeats, 0 if it does not. */
static size_t
FindPeriod(const unsigned char *text)
{
	const unsigned char *at = text +1;
	const unsigned char *end = text +REPEAT_PERIOD + 1;

	while ((at = memchr(at, text[0], (size_t) (end - at))) != NULL)
	{
		if (memcmp(at, text, REPEAT_PROBE) == 0)
			return (size_t) (at - text);
		at++;
	}
	return 0;
}

/* True if no key or token goes over the whole of a piece. */
static bool
BreaksKeys(const unsigned char *piece, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!IsAlnum(piece[i]) && memchr("_-=.~+/@", piece[i], 8) == NULL)
			return true;
	return false;
}

/* The least multiple of both len and a block, and of REPEAT_STEP at least. */
static size_t
StepOf(size_t len)
{
	size_t		step = len;

	while (step % 64 != 0)
		step += step;
	return step * ((REPEAT_STEP + step - 1) / step);
}

/*
 * Looks for a piece that repeats from offset on; how far it does is found
 * out once, so that a text is compared with itself once only.
 */
static bool
FindRepeat(const MaskScan *scan, Repetition *repeat, size_t offset)
{
	const unsigned char *text = scan->text;
	size_t		end = offset;
	size_t		period;

	if (scan->len - offset < REPEAT_LOOK)
		return false;
	period = FindPeriod(text +offset);
	if (period == 0)
		return false;
	while (end + period + 4096 <= scan->len &&
		   memcmp(text +end, text +end + period, 4096) == 0)
		end += 4096;
	repeat->end = end + period;
	repeat->ahead = BreaksKeys(text +offset, period) ? REPEAT_AHEAD : REPEAT_FAR;
	repeat->step = StepOf(period);
	repeat->limit = repeat->tries = 0;
	return true;
}

/* The number of findings that nothing found at pos or later can change. */
static size_t
SettledHits(const MaskScan *scan, size_t pos)
{
	size_t		n = scan->hit_count;

	while (n > 0 && scan->hits[n - 1].end + REPEAT_HIT_BACK > pos)
		n--;
	return n;
}

/* Notes the state at offset; without a limit if it is too much of it. */
static void
TakeState(const MaskScan *scan, const BlockCarry *carry, size_t offset,
		  Repetition *repeat)
{
	size_t		settled = SettledHits(scan, offset);

	repeat->noted = scan->hit_count - settled <= REPEAT_HITS;
	if (!repeat->noted)
		return;
	memcpy(&repeat->state, scan, offsetof(MaskScan, keys));
	repeat->carry = *carry;
	repeat->offset = offset;
	repeat->settled = settled;
	repeat->recent = scan->hit_count - settled;
	for (size_t i = 0; i < repeat->recent; i++)
		repeat->hits[i] = scan->hits[settled + i];
}

/*
 * True if a position is too far behind to matter, or is none (SIZE_MAX, to
 * which nothing can be added).
 */
static inline bool
IsPast(size_t value, size_t offset)
{
	return value == SIZE_MAX || value + REPEAT_BACK <= offset;
}

/*
 * True if two positions are the same as seen from two offsets, or it is one
 * behind all repetitions.
 */
static inline bool
SamePlace(const Repetition *repeat, size_t before, size_t now, size_t offset)
{
	return now - offset == before - repeat->offset ||
		(IsPast(before, repeat->offset) && IsPast(now, offset)) ||
		(now == before && now >= repeat->end);
}

/*
 * True if two findings are the same as seen from two offsets.  They are
 * compared as a whole: one that begins elsewhere also ends elsewhere.  One
 * may grow, which began so long ago that nothing new is as long.
 */
static inline bool
SameHit(const Repetition *repeat, const MaskHit *before, const MaskHit *now,
		size_t offset)
{
	return (now->start - offset == before->start - repeat->offset ||
			(now->start == before->start &&
			 IsPast(before->start, repeat->offset))) &&
		(now->end - offset == before->end - repeat->offset ||
		 (now->end == before->end && now->end >= repeat->end)) &&
		now->validator == before->validator && now->score == before->score &&
		now->entity == before->entity && now->keep == before->keep;
}

/* The same of the findings that later ones may change. */
static bool
SameHits(const MaskScan *scan, const Repetition *repeat, size_t offset,
		 size_t settled)
{
	if (scan->hit_count - settled != repeat->recent)
		return false;
	for (size_t i = 0; i < repeat->recent; i++)
		if (!SameHit(repeat, &repeat->hits[i], &scan->hits[settled + i], offset))
			return false;
	return true;
}

/*
 * The same of what follows from the last REPEAT_BACK bytes alone: words near
 * before, and what the last byte was.  They are the same wherever the piece
 * is, and no text can show that they are looked at; but it is here that a
 * word with a longer reach, or one that an earlier finding hides, would have
 * to be noticed.
 */
static bool
SameNear(const MaskScan *scan, const BlockCarry *carry, size_t offset,
		 const Repetition *repeat)
{
	const MaskScan *before = &repeat->state;

	for (int i = 0; i < CTX_COUNT; i++)
		if (!SamePlace(repeat, before->context_end[i], scan->context_end[i],
					   offset))
			return false;
	return SamePlace(repeat, before->context_last, scan->context_last, offset) &&
		memcmp(&repeat->carry, carry, sizeof(*carry)) == 0;
}

/*
 * True if the scanner is in the state that was noted.  "done" is the end of
 * the last finding; where it matters that is one of those compared.  Of a
 * chain of digits all follows from the text, but for where reading it ended.
 */
static bool
SameState(const MaskScan *scan, const BlockCarry *carry, size_t offset,
		  const Repetition *repeat)
{
	const MaskScan *before = &repeat->state;

	return !scan->no_memory && before->dear_checks == scan->dear_checks &&
		SamePlace(repeat, before->digits_done, scan->digits_done, offset) &&
		SamePlace(repeat, before->key_done, scan->key_done, offset) &&
		SamePlace(repeat, before->sign_done, scan->sign_done, offset) &&
		SamePlace(repeat, before->token_done, scan->token_done, offset) &&
		SamePlace(repeat, before->due, scan->due, offset) &&
		(scan->due == SIZE_MAX ||
		 (before->due_end - before->due == scan->due_end - scan->due &&
		  before->due_kind == scan->due_kind &&
		  before->due_command == scan->due_command)) &&
		scan->run.chain_end < repeat->end &&
		SamePlace(repeat, before->run.chain_end, scan->run.chain_end, offset) &&
		SameHits(scan, repeat, offset, SettledHits(scan, offset)) &&
		SameNear(scan, carry, offset, repeat);
}

/* Moves a position that still matters, and is not behind the repetitions. */
static inline void
Move(const Repetition *repeat, size_t *value, size_t offset, size_t distance)
{
	if (!IsPast(*value, offset) && *value < repeat->end)
		*value += distance;
}

/* Moves the state from offset on by a distance. */
static void
MoveState(MaskScan *scan, const Repetition *repeat, size_t offset,
		  size_t distance)
{
	DigitRun   *run = &scan->run;

	Move(repeat, &scan->done, offset, distance);
	Move(repeat, &scan->digits_done, offset, distance);
	Move(repeat, &scan->key_done, offset, distance);
	Move(repeat, &scan->sign_done, offset, distance);
	Move(repeat, &scan->token_done, offset, distance);
	Move(repeat, &scan->due, offset, distance);
	Move(repeat, &scan->due_end, offset, distance);
	Move(repeat, &scan->context_last, offset, distance);
	for (int i = 0; i < CTX_COUNT; i++)
		Move(repeat, &scan->context_end[i], offset, distance);
	if (run->chain_end <= offset)
		return;
	run->chain_end += distance;
	for (int i = 0; i < run->chain_count; i++)
		run->chain[i].pos += distance;
}

/* Appends findings, each moved by a distance. */
static void
AppendHits(MaskScan *scan, const MaskHit *hits, size_t count, size_t distance)
{
	for (size_t i = 0; i < count; i++)
	{
		MaskHit    *to = &scan->hits[scan->hit_count++];

		*to = hits[i];
		to->start += distance;
		to->end += distance;
	}
}

/*
 * Appends a recent finding as it was noted, moved by a distance; but what is
 * still where it was noted stays there: the start of one that grows, the end
 * of one that covers all repetitions.
 */
static void
AppendMoved(MaskScan *scan, const MaskHit *noted, const MaskHit *now,
			size_t distance)
{
	MaskHit    *to = &scan->hits[scan->hit_count++];

	*to = *noted;
	to->start += now->start == noted->start ? 0 : distance;
	to->end += now->end == noted->end ? 0 : distance;
}

/*
 * Goes on as if the rounds that follow had been read: each gives what was
 * found since the state was noted.  Returns the offset then.
 */
static size_t
SkipRounds(MaskScan *scan, const Repetition *repeat, size_t offset)
{
	size_t		round = offset - repeat->offset;
	size_t		rounds = (repeat->end - repeat->ahead - offset) / round;
	size_t		settled = SettledHits(scan, offset);
	size_t		found = settled - repeat->settled;

	if (found + repeat->recent > 0)
	{
		MaskHit		recent[REPEAT_HITS];

		if (!HitRoom(scan, rounds * found))
			return offset;
		memcpy(recent, scan->hits + settled, repeat->recent * sizeof(MaskHit));
		scan->hit_count = settled;
		for (size_t i = 1; i <= rounds; i++)
			AppendHits(scan, scan->hits + repeat->settled, found, i * round);
		/* seen from here, the latest are those that were noted */
		for (size_t i = 0; i < repeat->recent; i++)
			AppendMoved(scan, &repeat->hits[i], &recent[i],
						round * (rounds + 1));
	}
	MoveState(scan, repeat, offset, rounds * round);
	return offset + rounds * round;
}

/*
 * Called at the block at offset when repeat->next says so: returns the offset
 * to go on at, which is later if repetitions were passed over.  States are
 * compared with one that is noted anew after 1, 2, 4, ... steps, so that any
 * cycle of them is found.
 */
size_t
PassRepeats(MaskScan *scan, const BlockCarry *carry, size_t offset,
			Repetition *repeat)
{
	if (offset >= repeat->end)
	{
		bool		found = FindRepeat(scan, repeat, offset);

		/* what is behind matters too: it has to be of the repetition */
		repeat->next = offset + (found ? REPEAT_BACK : REPEAT_LOOK);
		return offset;
	}
	if (offset + repeat->step + repeat->ahead > repeat->end)
	{
		repeat->next = (repeat->end + 63) / 64 * 64;
		return offset;
	}
	if (repeat->limit > 0 && repeat->noted &&
		SameState(scan, carry, offset, repeat))
	{
		repeat->next = (repeat->end + 63) / 64 * 64;
		return SkipRounds(scan, repeat, offset);
	}
	if (repeat->tries == repeat->limit)
	{
		TakeState(scan, carry, offset, repeat);
		repeat->limit = repeat->limit * 2 + 1;
		repeat->tries = 0;
	}
	repeat->tries++;
	repeat->next = offset + repeat->step;
	return offset;
}
