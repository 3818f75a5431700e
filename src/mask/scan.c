/*
 * scan.c
 *	  One pass over a text: events, detectors, findings.
 *
 * Each block of 64 bytes is classified (classify.c); the beginnings of
 * words pass a filter (words.c), runs of digits and the signs '@', '=', ':'
 * are events by themselves.  An event looks at a bounded piece of text on
 * either side, and what it consumed gives no further events: so the whole is
 * linear in the length, whatever the text.
 */
#include "mask/scan.h"
#include "mask/encoding.h"

#include <string.h>

static ClassifyBlock classify;

/* For tests: scans use this variant from now on.  False if it can't run. */
bool
MaskSetSimd(MaskSimd simd)
{
	ClassifyBlock chosen = ClassifyChoose(simd);

	if (chosen != NULL)
		classify = chosen;
	return chosen != NULL && EncodingSetSimd(simd);
}

static bool pass_repeats = true;

/* For tests: whether repetitions are passed over. */
void
MaskPassRepeats(bool pass)
{
	pass_repeats = pass;
}

/* Makes room for more findings. */
bool
HitRoom(MaskScan *scan, size_t more)
{
	MaskHit    *grown;
	size_t		room = scan->hit_room ? scan->hit_room * 2 :
	scan->len < 256 ? 4 : 32;

	if (more <= scan->hit_room - scan->hit_count)
		return true;
	if (room < scan->hit_count + more)
		room = scan->hit_count + more;
	/* the rest of a long text is likely to be as full: copied less often */
	if (room > 4096 && scan->done > 0)
	{
		size_t		likely = scan->hit_count * (scan->len / scan->done + 1);

		if (likely > room)
			room = likely < room * 4 ? likely : room * 4;
	}
	grown = MaskAlloc(scan->options, room * sizeof(MaskHit));
	if (grown == NULL)
	{
		scan->no_memory = true;
		return false;
	}
	if (scan->hit_count > 0)
		memcpy(grown, scan->hits, scan->hit_count * sizeof(MaskHit));
	MaskRelease(scan->options, scan->hits);
	scan->hits = grown;
	scan->hit_room = room;
	return true;
}

/*
 * Records a finding.  Where it overlaps earlier ones they become one, which
 * covers all and has the name of the surest: nothing found stays readable.
 */
void
MaskAddHit(MaskScan *scan, const MaskHit *found)
{
	MaskHit		hit = *found;

	if (scan->options->disabled >> hit.entity & 1)
		return;
	while (scan->hit_count > 0)
	{
		const MaskHit *last = &scan->hits[scan->hit_count - 1];
		size_t		start = last->start < hit.start ? last->start : hit.start;
		size_t		end = last->end > hit.end ? last->end : hit.end;

		if (last->end <= hit.start)
			break;
		if (last->start >= hit.end)
			return;				/* detectors never report that far back */
		if (last->score > hit.score ||
			(last->score == hit.score &&
			 last->end - last->start >= hit.end - hit.start))
			hit = *last;
		hit.start = start;
		hit.end = end;
		scan->hit_count--;
	}
	CountWork(scan, WORK_HIT);
	if (HitRoom(scan, 1))
		scan->hits[scan->hit_count++] = hit;
	if (scan->done < hit.end)
		scan->done = hit.end;
}

/* The context whose word is nearest before pos; CTX_COUNT if none is near. */
MaskContext
ContextNearest(const MaskScan *scan, size_t pos, size_t distance)
{
	MaskContext best = CTX_COUNT;
	size_t		best_end = 0;

	if (scan->context_last + distance < pos &&
		(scan->outer == 0 || pos > distance))
		return CTX_COUNT;
	if (scan->outer == 0 || pos > distance)
	{
		size_t		last = scan->context_end[scan->context_near];

		if (last <= pos)
			return last > 0 && pos - last <= distance ? scan->context_near :
				CTX_COUNT;
		/* without a branch for each: any of them may be the nearest */
		for (int i = 0; i < CTX_NUMBER; i++)
		{
			size_t		end = scan->context_end[i];
			size_t		nearer = (size_t) 0 -
			(size_t) ((pos - end <= distance) & (end > best_end));

			best ^= (best ^ (unsigned) i) & (unsigned) nearer;
			best_end ^= (best_end ^ end) & nearer;
		}
		return best;
	}
	for (int i = 0; i < CTX_NUMBER; i++)
		if (ContextNear(scan, (MaskContext) i, pos, distance) &&
			(best == CTX_COUNT || scan->context_end[i] > best_end))
		{
			best = (MaskContext) i;
			best_end = scan->context_end[i];
		}
	return best;
}

/*
 * The contexts of a word that belongs to what is before it: no value follows
 * that the word could mean instead.
 */
static uint32_t
ContextsOfWord(MaskScan *scan, size_t pos, size_t limit)
{
	WordMatch	match[WORD_MATCHES];
	int			found;
	uint32_t	set = 0;

	found = WordsMatch(scan->text, scan->len, pos,
					   WordsLengths(scan->text, scan->len, pos), match);
	for (int i = 0; i < found; i++)
	{
		size_t		end = match[i].end;
		unsigned char c;

		while (end < limit && IsWordByte(scan->text[end]) &&
			   !IsDigit(scan->text[end]))
			end++;				/* its ending */
		while (end < limit && scan->text[end] == ' ')
			end++;
		c = ByteAt(scan, end);
		if (match[i].context >= 0 && c != ':' && c != '=' && !IsDigit(c) &&
			c != '+')
			set |= 1u << match[i].context;
	}
	return set;
}

/* The contexts of the next three words after pos, as a bit set. */
static uint32_t
ReadContextsAfter(MaskScan *scan, size_t pos)
{
	const unsigned char *text = scan->text;
	const WordFilter *filter = WordsContextFilter();
	size_t		limit = pos + 40 < scan->len ? pos + 40 : scan->len;
	uint32_t	set = 0;

	for (int words = 0; pos < limit && words < 3; words++)
	{
		while (pos < limit && InSet(text[pos], SET_BETWEEN_WORDS))
			pos++;
		if (pos == limit || !InSet(text[pos], SET_WORD) || IsDigit(text[pos]))
			break;
		if (pos + 4 > scan->len || (WordMayPass(filter, text +pos) &&
									WordLengths(filter, text +pos) != 0))
			set |= ContextsOfWord(scan, pos, limit);
		if (words == 2)
			break;
		while (pos < limit && InSet(text[pos], SET_WORD))
			pos++;
	}
	return set;
}

/* The same, read once for a position. */
uint32_t
ContextsAfter(MaskScan *scan, size_t pos)
{
	if (scan->after_pos != pos || pos == 0)
	{
		scan->after_pos = pos;
		scan->after_set = ReadContextsAfter(scan, pos);
	}
	return scan->after_set;
}

/*
 * Lists of detectors, in the table's order: their numbers in it and one, 0 at
 * the end.  First those of '@' and of assignments, then those of ':' by the
 * character after it.
 */
#define LIST_ROOM 16
static uint8_t asked_sign[TRIGGER_WORD][LIST_ROOM];
static uint8_t asked_colon[256][LIST_ROOM];

/*
 * Those of numbers, by the lengths of a run's first two groups (the second's
 * is 0 if there is none) and by what joins them, and those of tokens, by
 * their length and what follows: '0' stands for nothing that joins, '*' for
 * more than one sign.
 */
static const char joins[] = "0 -./()*~";
#define JOINS ((int) sizeof(joins) - 1)
#define NEXT_SIZES 8			/* the last of each is for all that is longer */
#define TOKEN_SIZES 65

/*
 * Within a long chain of numbers, and no word near before, nobody says what a
 * number is: then documents are out, and telephones that begin with no sign
 * of one, but for America's.  Both have six digits at least, and are no part
 * of an identifier.
 */
typedef enum NumberPlace
{
	PLACE_SPOKEN = 0,			/* words may have a say */
	PLACE_DIALLED,				/* no words, but a plus, 0, 7 or 8 */
	PLACE_SILENT,
	PLACE_PART,					/* no document, no telephone */
	PLACES
} NumberPlace;

/*
 * What is in a token before its first digit: an IBAN has one letter or two
 * there, an account of Ethereum has none.
 */
enum TokenLead
{
	LEAD_NONE = 0,
	LEAD_COUNTRY,
	LEAD_LONG,
	LEADS
};

/* Documents have four digits at least. */
enum TokenDigits
{
	DIGITS_FEW = 0,
	DIGITS_MANY,
	DIGITS
};

static uint8_t asked_number[PLACES][GROUP_DIGITS + 1][NEXT_SIZES][JOINS][LIST_ROOM];
static uint8_t asked_token[DIGITS][LEADS][TOKEN_SIZES][JOINS][LIST_ROOM];
static uint8_t join_index[256];

/* Appends a detector to a list. */
static void
AddToList(uint8_t *list, int detector)
{
	int			n = 0;

	while (list[n] != 0)
		n++;
	if (n < LIST_ROOM - 1)
		list[n] = (uint8_t) (detector + 1);
}

/* True if a detector may be asked before what stands for a join. */
static bool
JoinFits(const MaskDetector *detector, char join)
{
	return detector->joins == NULL || strchr(detector->joins, join) != NULL;
}

/* True if a detector may find something at a place before a second group. */
static bool
PlaceFits(const MaskDetector *detector, NumberPlace place, int next)
{
	if (place == PLACE_SPOKEN)
		return true;
	if (detector->detect == DetectDocument)
		return false;
	return detector->detect != DetectPhone || place == PLACE_DIALLED ||
		(place == PLACE_SILENT && next == 3);
}

/* Adds a detector of numbers to the lists of a place that it takes part in. */
static void
AddNumber(int number, NumberPlace place)
{
	const MaskDetector *detector = &DetectorTable[number];

	for (int len = 1; len <= GROUP_DIGITS; len++)
		for (int next = 0; next < NEXT_SIZES; next++)
		{
			uint64_t	nexts = next < NEXT_SIZES - 1 ? UINT64_C(1) << next :
			~UINT64_C(0) << next;

			if (!(detector->lengths >> len & 1) ||
				(detector->next_lengths != 0 &&
				 !(detector->next_lengths & nexts)) ||
				!PlaceFits(detector, place, next))
				continue;
			for (int j = 0; j < JOINS; j++)
				if (JoinFits(detector, joins[j]))
					AddToList(asked_number[place][len][next][j], number);
		}
}

/* True if a detector may find something in a token that begins so. */
static bool
LeadFits(const MaskDetector *detector, enum TokenLead lead,
		 enum TokenDigits digits)
{
	if (detector->detect == DetectDocumentToken)
		return digits == DIGITS_MANY;
	if (detector->detect == DetectIban)
		return lead == LEAD_COUNTRY;
	if (detector->detect == DetectEthereum)
		return lead == LEAD_NONE;
	return true;
}

/* The same of tokens. */
static void
AddToken(int number, enum TokenLead lead, enum TokenDigits digits)
{
	const MaskDetector *detector = &DetectorTable[number];

	if (!LeadFits(detector, lead, digits))
		return;
	for (int len = 0; len < TOKEN_SIZES; len++)
		for (int j = 0; j < JOINS; j++)
			if ((detector->lengths == 0 ||
				 (len < TOKEN_SIZES - 1 && (detector->lengths >> len & 1)) ||
				 (len == TOKEN_SIZES - 1 && (detector->lengths & TOKEN_LONG))) &&
				JoinFits(detector, joins[j]))
				AddToList(asked_token[digits][lead][len][j], number);
}

/* Sorts the table by trigger, once per process. */
static void
PrepareTriggers(void)
{
	for (int i = 0; i < JOINS; i++)
		join_index[(unsigned char) joins[i]] = (uint8_t) i;
	for (int i = 0; i < DetectorCount; i++)
	{
		const MaskDetector *detector = &DetectorTable[i];

		if (detector->trigger == TRIGGER_NUMBER)
			for (int place = 0; place < PLACES; place++)
				AddNumber(i, (NumberPlace) place);
		else if (detector->trigger == TRIGGER_TOKEN)
			for (int lead = 0; lead < LEADS * DIGITS; lead++)
				AddToken(i, (enum TokenLead) (lead / DIGITS),
						 (enum TokenDigits) (lead % DIGITS));
		else if (detector->trigger == TRIGGER_COLON)
			for (const char *c = detector->joins; *c; c++)
				AddToList(asked_colon[(unsigned char) *c], i);
		else if (detector->trigger != TRIGGER_WORD)
			AddToList(asked_sign[detector->trigger], i);
	}
}

/*
 * Offers the present event to the detectors of a list, in order.  work is
 * what one of them weighs.
 */
static inline bool
OfferList(MaskScan *scan, const uint8_t *list, size_t pos, size_t work)
{
	for (; *list != 0; list++)
	{
		const MaskDetector *detector = &DetectorTable[*list - 1];

		CountWork(scan, work);
		if (detector->detect(scan, detector, pos))
			return true;
	}
	return false;
}

/*
 * The place of the present run.  What is said here follows from DetectPhone
 * and DetectDocument: no word behind so many digits belongs to the first.
 */
static NumberPlace
PlaceOf(const MaskScan *scan, size_t pos)
{
	const DigitRun *run = &scan->run;
	unsigned char before = ByteBefore(scan, pos);
	char		first = run->digits[0];

	if ((run->total < 6) | ((run->left == EDGE_BAD) & (before != '+')))
		return PLACE_PART;
	if (run->total <= 20 || !IsQuiet(scan, pos, 64))
		return PLACE_SPOKEN;
	return first == '0' || first == '7' || first == '8' || before == '+' ||
		before == '(' ||
		(before == ' ' && pos >= 2 && scan->text[pos - 2] == '+') ?
		PLACE_DIALLED : PLACE_SILENT;
}

/* Offers a run to the detectors of numbers that its first groups may fit. */
static bool
OfferNumber(MaskScan *scan, size_t pos)
{
	const DigitRun *run = &scan->run;
	int			next = run->groups > 1 ? run->group[1].len : 0;
	unsigned char join = run->groups > 1 ? (unsigned char) run->group[1].sep :
	'0';

	if (next > NEXT_SIZES - 1)
		next = NEXT_SIZES - 1;
	return OfferList(scan,
					 asked_number[PlaceOf(scan, pos)][run->group[0].len][next]
					 [join_index[join]], pos, WORK_NUMBER);
}

/* How many digits a token has; more if it is not known at a glance. */
static inline enum TokenDigits
DigitsOfToken(const MaskScan *scan)
{
	size_t		at = scan->run.token_start - scan->block;
	size_t		len = scan->run.token_end - scan->run.token_start;
	uint64_t	digits;

	if (at >= 64 || at + len >= 64)
		return DIGITS_MANY;
	digits = scan->digit >> at & ((UINT64_C(1) << len) - 1);
	for (int i = 0; i < 3; i++)
		digits &= digits - 1;
	return digits == 0 ? DIGITS_FEW : DIGITS_MANY;
}

/* Offers a token of letters and digits to those that it may fit. */
static bool
OfferToken(MaskScan *scan, size_t pos)
{
	size_t		len = scan->run.token_end - scan->run.token_start;
	size_t		letters = pos - scan->run.token_start;
	unsigned char join = ByteAt(scan, scan->run.token_end);
	enum TokenLead lead = letters == 0 ? LEAD_NONE : letters <= 2 ? LEAD_COUNTRY :
	LEAD_LONG;

	if (len > TOKEN_SIZES - 1)
		len = TOKEN_SIZES - 1;
	return OfferList(scan, asked_token[DigitsOfToken(scan)][lead][len]
					 [join_index[join]], pos, WORK_TOKEN);
}

/*
 * True for words of telephones that mean something else as a part of a name:
 * llm_call_prod_20261101, contact_id, office-2.
 */
static bool
IsPartOfName(const MaskScan *scan, const WordMatch *match, size_t pos)
{
	static const char *const weak[] = {"call", "contact", "office", "dial",
	"cell", "handy", "mobile", "sms"};
	unsigned char before = ByteBefore(scan, pos);
	unsigned char after = ByteAt(scan, match->end);

	if (match->context != CTX_PHONE ||
		(before != '_' && after != '_' && before != '-' && after != '-' &&
		 before != '.' && before != '/'))
		return false;
	if (after == '-' && !IsAlnum(ByteAt(scan, match->end + 1)))
		return false;			/* a dash of the sentence */
	for (size_t i = 0; i < sizeof(weak) / sizeof(weak[0]); i++)
		if (FoldMatch(scan->text, scan->len, pos, weak[i],
					  strlen(weak[i])) > 0)
			return true;
	return false;
}

/* Notes the end of a context's word, later than its last. */
static inline void
NoteContext(MaskScan *scan, MaskContext context, size_t end)
{
	size_t		near = scan->context_end[scan->context_near];

	scan->context_end[context] = end;
	if (scan->context_last < end)
		scan->context_last = end;
	if (context != CTX_NUMBER &&
		(near < end || (near == end && context < scan->context_near)))
		scan->context_near = context;
}

/*
 * Counts the work that a word makes.  Where words follow each other as they
 * did before, the processor foresees what is to be done, which saves most of
 * the time.
 */
static inline void
CountWord(const MaskScan *scan, const WordMatch *match, int found)
{
	MaskWork   *work = scan->work;
	unsigned	word = found == 0 ? 0 :
	(unsigned) ((match->detector + 1) * 32 + match->context + 1);
	unsigned	pair = (work->last_word * 181u + word) * 0x9E3779B1u;
	uint8_t    *next = &work->next_words[pair >> (32 - NEXT_WORD_BITS)];
	uint8_t		check = (uint8_t) (pair >> 16 | 1);

	CountWork(scan, *next == check ? WORK_WORD : WORK_WORD + WORK_SURPRISE);
	*next = check;
	work->last_word = word;
}

/*
 * A word that passed the filter: contexts first, then detectors.  A detector
 * of words gets the end of the word that it asked for.
 */
static void
WordEvent(MaskScan *scan, size_t pos, unsigned lengths)
{
	WordMatch	match[WORD_MATCHES];
	int			found = WordsMatch(scan->text, scan->len, pos, lengths, match);

	CountWord(scan, match, found);
	for (int i = 0; i < found; i++)
		if (match[i].context >= 0 &&
			match[i].end > scan->context_end[match[i].context] &&
			!IsPartOfName(scan, &match[i], pos))
			NoteContext(scan, (MaskContext) match[i].context, match[i].end);
	scan->word_start = pos;
	for (int i = 0; i < found && pos >= scan->done; i++)
	{
		const MaskDetector *detector;

		if (match[i].detector < 0)
			continue;
		detector = &DetectorTable[match[i].detector];
		CountWork(scan, WORK_DETECTOR);
		if (detector->detect(scan, detector, match[i].end))
			return;
	}
}

/*
 * Treats pos as the beginning of a word; true if that gave a finding.  For
 * detectors that expect a key behind another word.  A detector that was
 * asked in this way can't ask again.
 */
bool
OfferWord(MaskScan *scan, size_t pos)
{
	size_t		before = scan->done;
	size_t		word_start = scan->word_start;

	if (scan->offering)
		return false;
	scan->offering = true;
	WordEvent(scan, pos, WordsLengths(scan->text, scan->len, pos));
	scan->offering = false;
	scan->word_start = word_start;
	return scan->done > before;
}

/*
 * TokenBounds() where they are not within the present block.  Without a
 * branch for each byte: tokens are of any length.
 */
static __attribute__((noinline))
void
FarTokenBounds(MaskScan *scan, size_t pos, size_t end)
{
	const unsigned char *text = scan->text;
	size_t		low = pos > 48 ? pos - 48 : 0;
	size_t		limit = scan->len - pos > 96 ? pos + 96 : scan->len;
	size_t		start = pos;
	unsigned	more = 8;

	while (more == 8 && start >= low + 8)
	{
		uint64_t	v = EightBytes(text +start - 8);

		more = TrailingBytes(LetterBytes(v) | DigitBytes(v));
		start -= more;
	}
	while (more == 8 && start > low && IsAlnum(text[start - 1]))
		start--;
	for (more = 8; more == 8 && end + 8 <= limit; end += more)
	{
		uint64_t	v = EightBytes(text +end);

		more = LeadingBytes(LetterBytes(v) | DigitBytes(v));
	}
	while (more == 8 && end < limit && IsAlnum(text[end]))
		end++;
	scan->run.token_start = start;
	scan->run.token_end = end;
}

/*
 * The bounds of the letters and digits around pos, 48 bytes back and 96 on;
 * end is known to be among them.
 */
static inline void
TokenBounds(MaskScan *scan, size_t pos, size_t end)
{
	size_t		at = pos - scan->block;
	uint64_t	before = ~scan->alnum & ((UINT64_C(1) << at) - 1);
	uint64_t	behind = ~scan->alnum >> at;
	size_t		start;

	if ((before == 0) | (behind == 0))
	{
		FarTokenBounds(scan, pos, end);
		return;
	}
	start = scan->block + 64 - (size_t) __builtin_clzll(before);
	scan->run.token_start = start + 48 < pos ? pos - 48 : start;
	scan->run.token_end = pos + (size_t) __builtin_ctzll(behind);
}

/*
 * True for a number of one or two digits in a table: wide gaps between many
 * numbers, and no word near.  What is said here follows from the detectors:
 * without a word only a telephone goes over such a gap, and it begins with
 * 0, 7, 8 or a plus, or has three digits next.
 */
static bool
IsTableCell(const MaskScan *scan)
{
	const DigitRun *run = &scan->run;
	size_t		pos = run->group[0].pos;

	return run->groups > 1 && run->group[1].sep == '*' &&
		run->group[0].len <= 2 && run->group[1].len != 3 &&
		run->total > 15 && run->digits[0] != '0' && run->digits[0] != '7' &&
		run->digits[0] != '8' && IsQuiet(scan, pos, 64) && pos >= 2 &&
		scan->text[pos - 1] == ' ' && scan->text[pos - 2] != '+';
}

/*
 * Whether a run may be anything at all: most numbers in a text are short and
 * stand alone.
 */
static bool
MayMatter(const MaskScan *scan)
{
	const DigitRun *run = &scan->run;
	unsigned char next = ByteAt(scan, run->token_end);
	size_t		pos = run->group[0].pos;

	/* within a column of small numbers only 7 and 8 begin a telephone */
	if (run->inner && run->group[0].len <= 2 && run->groups > 1 &&
		run->group[1].sep == ' ' && scan->outer == 0 &&
		(run->group[0].len == 2 ||
		 (run->digits[0] != '7' && run->digits[0] != '8')) &&
		(pos > scan->context_last + 64))
		return false;
	if (IsTableCell(scan))
		return false;
	return run->total >= 6 || next == '-' || next == '.' ||
		(run->groups > 1 && run->group[1].sep != ' ') ||
		ContextNear(scan, CTX_BIRTH, pos, 48);
}

/*
 * True for the most frequent numbers, which are nothing, at little cost:
 * short ones that stand alone, and short groups inside of a chain of groups.
 * end is after its digits, of which six are enough.  Sets digits_done.  What
 * is said here follows from the detectors: no number
 * has less than six digits, and within 1.2.3 or 1-2-3 a group of three or
 * less begins nothing.
 */
static bool
IsIdleNumber(MaskScan *scan, size_t pos, size_t end)
{
	const DigitRun *run = &scan->run;
	unsigned char before = ByteBefore(scan, pos);
	unsigned char after = ByteAt(scan, end);

	if (end - pos == 4 && !IsAlnum(after) && after < 0x80 &&
		scan->text[pos] >= '2' && scan->text[pos] <= '9' &&
		(after != ' ' || ByteAt(scan, end + 1) == ' ') && after != '-' &&
		DetectSpreadCard(scan, pos))
		return true;
	if ((unsigned) (end - pos > 5) | (unsigned) IsAlnum(after) |
		(unsigned) IsAlpha(before) |
		(unsigned) ContextNear(scan, CTX_BIRTH, pos, 48))
		return false;
	if (pos < run->chain_end && run->chain_count > 0 &&
		pos > run->chain[0].pos)
	{
		if (end - pos > 3)
			return false;
		if ((before == '.' || before == '-') &&
			IsDigit(scan->text[pos - 2]))
			scan->digits_done = end;
		else if (end - pos <= 2 && InSet(before, SET_JOINS_DIGITS) &&
				 before != ' ' && InSet(after, SET_JOINS_DIGITS) &&
				 after != ' ' && after != '-' && after != '(')
			scan->digits_done = end;	/* 1/1/1 */
		else if (before != ' ' || after != ' ' || end - pos > 2 ||
				 scan->outer != 0 || pos <= scan->context_last + 64 ||
				 !IsDigit(ByteAt(scan, end + 1)) ||
				 (end - pos == 1 &&
				  (scan->text[pos] == '7' || scan->text[pos] == '8')))
			return false;
	}
	else if (InSet(after, SET_JOINS_DIGITS))
		return false;
	scan->digits_done = end;
	return true;
}

/*
 * Passes over the digits of a UUID that the present token is a part of, if no
 * word is near that would make more of it: they are no number then.  One of
 * its dashes is known to be beside the token.
 */
static __attribute__((noinline))
bool
PassUuid(MaskScan *scan)
{
	size_t		start;

	if (!FindUuid(scan->text, scan->len, scan->run.token_start, &start) ||
		IsAlnum(ByteAt(scan, start + 36)) ||
		ByteAt(scan, start + 36) == '-' || ByteBefore(scan, start) == '-' ||
		IsAlnum(ByteBefore(scan, start)) || scan->outer != 0 ||
		(scan->context_last > 0 && start <= scan->context_last + 64))
		return false;
	scan->digits_done = start + 36;
	return true;
}

/* The same of any token. */
static inline bool
TokenIsUuid(MaskScan *scan)
{
	size_t		start = scan->run.token_start;
	size_t		end = scan->run.token_end;

	/* parts of 4, 8 and 12 */
	return (0x1110u >> ((end - start) & 31) & 1) &&
		(ByteAt(scan, end) == '-' || ByteBefore(scan, start) == '-') &&
		PassUuid(scan);
}

/*
 * A short run of digits that no other group follows: no detector of numbers
 * wants it, only those of tokens, if it has letters beside it.  False if
 * there is more to it.
 */
static bool
LoneDigits(MaskScan *scan, size_t pos, size_t end)
{
	DigitRun   *run = &scan->run;
	unsigned char after = ByteAt(scan, end);
	unsigned char next = ByteAt(scan, end + 1);
	bool		mixed;

	if ((unsigned) (end - pos > 5) |
		(unsigned) (InSet(after, SET_JOINS_DIGITS) &&
					((CharSet[next] & (SET_JOINS_DIGITS | SET_DIGIT_OR_END)) |
					 (after == '-') | (after == '.'))) |
		(unsigned) ContextNear(scan, CTX_BIRTH, pos, 48))
		return false;
	TokenBounds(scan, pos, end);
	if (TokenIsUuid(scan))
		return true;
	if (run->token_start < scan->done)
		run->token_start = scan->done;
	mixed = run->token_start < pos || end < run->token_end;
	if (mixed && OfferToken(scan, pos))
		return true;
	/* a letter before is never clean */
	scan->digits_done = mixed && (run->token_start < pos ||
								  RunLeft(scan, pos) != EDGE_CLEAN) ?
		run->token_end : end;
	return true;
}

/*
 * The first digit of a run.  A token of digits alone is a number; one that
 * has letters too may be an account, a document or an address, and its other
 * digits give no events of their own.
 */
static void
DigitEvent(MaskScan *scan, size_t pos)
{
	DigitRun   *run = &scan->run;
	size_t		end = pos + CountDigits(scan, pos, 6);
	bool		mixed;

	CountWork(scan, WORK_DIGITS);
	if (IsIdleNumber(scan, pos, end) || LoneDigits(scan, pos, end))
		return;
	ReadDigitRun(scan, pos);
	TokenBounds(scan, pos, run->groups > 0 ? RunEnd(run, 1) : pos);
	if (TokenIsUuid(scan))
		return;
	if (run->token_start < scan->done)
		run->token_start = scan->done;
	mixed = run->token_start < pos ||
		(run->groups > 0 && RunEnd(run, 1) < run->token_end);
	if (mixed && OfferToken(scan, pos))
		return;
	if (run->groups == 0)
	{
		scan->digits_done = run->end;
		return;
	}
	if (MayMatter(scan))
		OfferNumber(scan, pos);
	if (scan->digits_done < RunEnd(run, 1))
		scan->digits_done = RunEnd(run, 1);
	if (mixed && run->left != EDGE_CLEAN &&
		scan->digits_done < run->token_end)
		scan->digits_done = run->token_end;
}

/*
 * The event at pos, by the byte that is there; text has four at least, and a
 * sign is worth it in some ways.  True if it was a word.
 */
static inline bool
DispatchEvent(MaskScan *scan, size_t pos, const unsigned char *text,
			  unsigned ways)
{
	unsigned char c = *text;

	if (IsDigit(c))
	{
		if (pos >= scan->done && pos >= scan->digits_done)
			DigitEvent(scan, pos);
	}
	else if (c == '@')
	{
		if (pos >= scan->done)
			OfferList(scan, asked_sign[TRIGGER_AT], pos, WORK_AT);
	}
	else if (c == '=' || c == ':')
	{
		if (pos >= scan->done &&
			!((ways & SIGN_COLONS) &&
			  OfferList(scan, asked_colon[ByteAt(scan, pos + 1)], pos,
						WORK_COLON)) &&
			(ways & SIGN_ASSIGNS))
			OfferList(scan, asked_sign[TRIGGER_SIGN], pos, WORK_SIGN);
	}
	else
	{
		const WordFilter *filter = IsAlnum(ByteBefore(scan, pos)) ?
		WordsInnerFilter() : WordsFilter();
		unsigned	lengths = WordLengths(filter, text);

		if (lengths != 0)
			WordEvent(scan, pos, lengths);
		return lengths != 0;
	}
	return false;
}

/*
 * The bits of words that may be worth a closer look.  Most of the time that
 * ordinary text takes is spent in this loop, and a tenth of it hangs on where
 * the loop begins: so it has a function of its own, on a line of the cache.
 */
static __attribute__((noinline, aligned(64)))
uint64_t
FilterWords(const unsigned char *block, uint64_t starts,
			const WordFilter *filter)
{
	uint64_t	pass = 0;

	while (starts != 0)
	{
		int			i = __builtin_ctzll(starts);

		pass |= (uint64_t) WordMayPass(filter, block + i) << i;
		starts &= starts - 1;
	}
	return pass;
}

/*
 * Finds and dispatches the events of one block of 64 bytes.  What is an event
 * here has to be one in GlanceAt().
 */
static void
ScanBlock(MaskScan *scan, const unsigned char *block, size_t offset,
		  BlockCarry *carry)
{
	BlockMasks	m;
	uint64_t	ascii;
	uint64_t	starts;
	uint64_t	inner;
	uint64_t	events;
	uint64_t	idle;
	uint16_t	ways[64];
	size_t		birth = scan->context_end[CTX_BIRTH];

	classify(block, &m);
	/* a Latin word may begin behind a letter of a script without spaces */
	ascii = m.lower | m.upper | m.digit;
	starts = (m.lower | m.upper) & ~(ascii << 1 | carry->ascii);
	starts |= m.word & ~ascii & ~(m.word << 1 | carry->word);
	events = m.digit & ~(m.digit << 1 | carry->digit);
	idle = events != 0 ? IdleNumbers(&m, events, ascii, carry->ascii) : 0;
	/* a word of birth gives numbers within 48 bytes a meaning */
	if ((birth > 0 && birth + 48 >= offset) ||
		(offset < 64 && (scan->outer >> CTX_BIRTH & 1)))
		idle = 0;
	events &= ~idle;
	events |= FilterSigns(scan->text, block, offset, &m, ways);
	events |= FilterWords(block, starts, WordsFilter());
	/* cardNumber: what has to begin a word, as keys by their prefix, does not */
	inner = m.upper & (m.lower << 1 | carry->lower);
	if (inner != 0)
		events |= FilterWords(block, inner, WordsInnerFilter());
	scan->block = offset;
	scan->alnum = ascii;
	scan->digit = m.digit;
	carry->word = m.word >> 63;
	carry->ascii = ascii >> 63;
	carry->lower = m.lower >> 63;
	carry->digit = m.digit >> 63;
	while (events != 0)
	{
		int			i = __builtin_ctzll(events);

		events &= events - 1;
		while (offset + (size_t) i >= scan->due)
			ReportDue(scan);
		if (DispatchEvent(scan, offset + (size_t) i, block + i, ways[i]) &&
			scan->context_end[CTX_BIRTH] != birth)
		{
			events |= idle & ~UINT64_C(1) << i;
			idle = 0;
		}
	}
	while (offset + 64 > scan->due)
		ReportDue(scan);
}

/*
 * The whole shadow; its end is read from a padded copy.  Returns where it
 * ended: before the end if that was too much work.
 */
static size_t
ScanText(MaskScan *scan)
{
	unsigned char tail[64 + 8];
	BlockCarry	carry = {0};
	Repetition	repeat;
	size_t		offset = 0;

	memset(&repeat, 0, offsetof(Repetition, offset));
	if (!pass_repeats)
		repeat.next = SIZE_MAX;
	for (; offset + 68 <= scan->len; offset += 64)
	{
		if (WorkIsSpent(scan->work))
			return offset;
		if (offset >= repeat.next)
			offset = PassRepeats(scan, &carry, offset, &repeat);
		ScanBlock(scan, scan->text +offset, offset, &carry);
	}
	for (; offset < scan->len; offset += 64)
	{
		size_t		rest = scan->len - offset;

		memset(tail, 0, sizeof(tail));
		memcpy(tail, scan->text +offset, rest < 68 ? rest : 68);
		ScanBlock(scan, tail, offset, &carry);
	}
	return scan->len;
}

/*
 * What ScanText() does with a text of digits alone, too many to be idle, that
 * is less than a block: its beginning is the only event.
 */
static void
ScanNumber(MaskScan *scan)
{
	scan->block = 0;
	scan->alnum = scan->digit = (UINT64_C(1) << scan->len) - 1;
	DigitEvent(scan, 0);
}

/*
 * The contexts of words outside a text, as a bit set: of the name of its
 * column or JSON key.
 */
uint32_t
ContextsOf(const char *context, size_t len)
{
	const unsigned char *text = (const unsigned char *) context;
	WordMatch	match[WORD_MATCHES];
	uint32_t	set = 0;

	for (size_t pos = 0; pos < len; pos++)
	{
		bool		start = IsAlpha(text[pos]) || text[pos] >= 0x80;
		unsigned	lengths;

		if (pos > 0 && (IsAlnum(text[pos - 1]) || text[pos - 1] >= 0x80) &&
			!(IsUpper(text[pos]) && !IsUpper(text[pos - 1])))
			start = false;
		if (!start)
			continue;
		lengths = WordsLengths(text, len, pos);
		if (lengths == 0)
			continue;
		for (int i = WordsMatch(text, len, pos, lengths, match) - 1; i >= 0;
			 i--)
			if (match[i].context >= 0)
				set |= 1u << match[i].context;
	}
	return set;
}

/*
 * True if a text's words are at most words of contexts, which mean nothing
 * by themselves; beside numbers, not one of birth.  Four bytes can be read at
 * each.
 */
static bool
WordsAreIdle(const unsigned char *text, size_t len, uint64_t events,
			 bool numbers)
{
	for (; events != 0; events &= events - 1)
	{
		size_t		pos = (size_t) __builtin_ctzll(events);
		const WordFilter *filter = pos > 0 && IsAlnum(text[pos - 1]) ?
		WordsInnerFilter() : WordsFilter();
		unsigned	lengths = WordLengths(filter, text +pos);
		WordMatch	match[WORD_MATCHES];
		int			found = lengths == 0 ? 0 :
		WordsMatch(text, len, pos, lengths, match);

		for (int i = 0; i < found; i++)
			if (match[i].detector >= 0 ||
				(numbers && match[i].context == CTX_BIRTH))
				return false;
	}
	return true;
}

/* Copies a short text and fills up with zeros. */
static const unsigned char *
PadCopy(unsigned char *copy, const unsigned char *text, size_t len)
{
	memset(copy, 0, GLANCE_ROOM);
	return memcpy(copy, text, len);
}

/* True if some number of a short text is worth an event. */
static inline bool
HasEventsOfDigits(const BlockMasks *m, uint64_t alnum)
{
	uint64_t	starts = m->digit & ~(m->digit << 1);

	return (starts & ~IdleNumbers(m, starts, alnum, 0)) != 0;
}

/*
 * True if a short text's numbers are nothing, unless a word of birth is near:
 * fewer digits than any number has, in less than two gaps of one sign, and no
 * letter; see PoorRows().  So few are no card of four groups either.
 */
static inline bool
HasFewDigits(const BlockMasks *m, uint64_t letters)
{
	uint64_t	rest = m->digit;
	uint64_t	gap = m->join & m->digit << 1 & m->digit >> 1;

	for (int i = 0; i < 5; i++)
		rest &= rest - 1;
	return rest == 0 && letters == 0 && (gap & (gap - 1)) == 0;
}

/*
 * What ScanBlock() would do with a text that is one block, without known
 * values and finders, and without the price of a MaskScan: most strings of
 * JSON hold nothing that any detector asked for.  room bytes can be read, and
 * are if they are enough: what is behind the text may add to what it might be,
 * and takes nothing away, but for what stands beside a sign.
 */
TextGlance
GlanceAt(const char *chars, size_t len, size_t room)
{
	const unsigned char *text = (const unsigned char *) chars;
	unsigned char copy[GLANCE_ROOM];
	uint64_t	keep;
	uint64_t	letters;
	uint64_t	inner;
	uint64_t	words;
	BlockMasks	m;
	uint16_t	ways[64];
	bool		numbers;

	if (len == 0 || len > 64)
		return len == 0 ? GLANCE_NOTHING : GLANCE_MORE;
	if (room < sizeof(copy))
		text = PadCopy(copy, text, len);

	keep = ~UINT64_C(0) >> (64 - len);
	if ((EncodingOf()->special(text) & keep) != 0)
		return GLANCE_MORE;
	classify(text, &m);
	letters = (m.lower | m.upper) & keep;
	numbers = (m.digit & keep) != 0;
	if (numbers)
	{
		m.digit &= keep;
		m.join &= keep;
		if (!HasFewDigits(&m, letters) &&
			HasEventsOfDigits(&m, letters | m.digit))
			return IsTimestamp(text, len) || (len == 36 && IsUuid(text)) ?
				GLANCE_QUIET : GLANCE_EVENTS;
	}
	if ((m.sign & keep) != 0)
	{
		m.sign &= keep;
		text = text == copy ? text : PadCopy(copy, text, len);

		if (FilterSigns(text, text, 0, &m, ways) != 0)
			return GLANCE_EVENTS;
	}
	words = m.word & keep;
	words = (letters & ~((letters | (m.digit & keep)) << 1)) |
		(words & ~letters & ~m.digit & ~(words << 1));
	inner = m.upper & m.lower << 1 & keep;
	if (words != 0)
		words = FilterWords(text, words, WordsFilter());
	if (inner != 0)
		words |= FilterWords(text, inner, WordsInnerFilter());
	if (words != 0 && !WordsAreIdle(text, len, words, numbers))
		return GLANCE_EVENTS;
	return numbers ? GLANCE_NUMBERS : GLANCE_NOTHING;
}

/* Asks one of the caller's finders, and merges what it has found. */
static MaskStatus
AskFinder(MaskScan *scan, const MaskFinder *finder)
{
	MaskHit    *hits = NULL;
	size_t		count = 0;
	MaskStatus	status = finder->find(finder->arg, scan->options,
									  (const char *) scan->text, scan->len,
									  &hits, &count);

	if (status == MASK_NO_MEMORY)
		scan->no_memory = true;
	else if (status == MASK_MASKED)
		MergeFound(scan, hits, count);
	MaskRelease(scan->options, hits);
	return status == MASK_WITHHELD ? status : MASK_CLEAN;
}

__attribute__((noinline))
void
ZeroBytes(void *chunk, size_t len)
{
	memset(chunk, 0, len);
}

/* Fills all tables, once per process. */
void
ScanPrepare(void)
{
	if (join_index[' '] == 0)
	{
		CharSetsPrepare();
		KeyCharsPrepare();
		FilterPrepare();
		SpokenPrepare();
		WordsPrepare();
		PrepareTriggers();
	}
	if (classify == NULL)
		classify = ClassifyChoose(MASK_SIMD_BEST);
}

/* No known value is longer, nor what a finder finds. */
#define REST_AHEAD 32768

/*
 * Scans the shadow of a piece and asks the caller's finders.  What is too
 * much work is not looked at, and becomes a finding; but what the caller
 * seeks may begin before that, and is seen only if all of it is.
 */
static MaskStatus
ScanAll(MaskScan *scan, const KnownSet *set, bool number)
{
	MaskStatus	status = MASK_CLEAN;
	size_t		len = scan->len;
	size_t		looked = len;

	if (number && len < 64)
		ScanNumber(scan);
	else
		looked = ScanText(scan);
	if (len - looked > REST_AHEAD)
		scan->len = looked + REST_AHEAD;
	while (scan->len < len && (scan->text[scan->len] & 0xC0) == 0x80)
		scan->len--;
	if (set != NULL && looked > 0 && !scan->no_memory)
		KnownFind(scan, set);
	for (int i = 0; i < MASK_FINDERS && status == MASK_CLEAN; i++)
		if (scan->options->finders[i].find != NULL && looked > 0 &&
			!scan->no_memory)
			status = AskFinder(scan, &scan->options->finders[i]);
	if (looked < len)
		WithholdRest(scan, looked, len);
	scan->len = len;
	return scan->no_memory ? MASK_NO_MEMORY : status;
}

/*
 * MaskFind with known values that were prepared before (set may be NULL), of
 * a piece in its contexts.
 */
MaskStatus
FindInPiece(const MaskOptions *options, const KnownSet *set,
			const TextPiece *piece, MaskHit **hits, size_t *count)
{
	MaskScan	scan;
	MaskWork	work;
	Shadow		shadow = {0};
	MaskStatus	status;

	*hits = NULL;
	*count = 0;
	shadow.text = (const unsigned char *) piece->text;

	shadow.len = piece->len;
	if (!piece->plain &&
		!ShadowMake(options, piece->text, piece->len, &shadow))
		return MASK_NO_MEMORY;
	ZeroBytes(&scan, offsetof(MaskScan, run));
	scan.run.groups = scan.run.chain_count = 0;
	scan.run.chain_end = scan.run.right_of = 0;
	scan.due = scan.value_memo.pos = SIZE_MAX;
	scan.text = shadow.text;
	scan.len = shadow.len;
	scan.options = options;
	scan.work = options->work;
	if (scan.work == NULL)
	{
		WorkAllow(&work, piece->len);
		scan.work = &work;
	}
	CountWork(&scan, WORK_PIECE);
	scan.dear_checks = 64 + (int) (shadow.len >> 10 & 0xFFFFF);
	scan.outer = piece->outer;
	status = ScanAll(&scan, set, piece->number);
	if (status != MASK_CLEAN || scan.hit_count == 0)
		MaskRelease(options, scan.hits);
	else
	{
		ShadowMapHits(&shadow, piece->text, piece->len, scan.hits,
					  scan.hit_count);
		*hits = scan.hits;
		*count = scan.hit_count;
		/* what the shadow leaves out at the end is of the rest */
		if (scan.hits[scan.hit_count - 1].entity == MASK_ENTITY_REST)
			scan.hits[scan.hit_count - 1].end = piece->len;
		status = MASK_MASKED;
	}
	ShadowFree(options, &shadow);
	return status;
}

MaskStatus
FindWithSet(const MaskOptions *options, const KnownSet *set, const char *text,
			size_t len, MaskHit **hits, size_t *count)
{
	TextPiece	piece = PieceOf(text, len, len);

	ScanPrepare();
	piece.outer = ContextsOf(options->context, options->context_len);
	return FindInPiece(options, set, &piece, hits, count);
}

MaskStatus
MaskFind(const MaskOptions *options, const char *text, size_t len,
		 MaskHit **hits, size_t *count)
{
	KnownSet   *set;
	MaskStatus	status = KnownPrepare(options, &set);

	*hits = NULL;
	*count = 0;
	if (status == MASK_CLEAN && Utf8Prefix(text, len) < len)
		status = MASK_WITHHELD;
	if (status == MASK_CLEAN)
		status = FindWithSet(options, set, text, len, hits, count);
	KnownFree(options, set);
	return status;
}
