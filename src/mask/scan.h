/*
 * scan.h
 *	  Inside of the scanner: what the detectors share.
 *
 * One pass over the text finds events (a word of the dictionary, a run of
 * digits, '@', '=' or ':'); each event is offered to the detectors that
 * asked for it in DetectorTable (scan.c).  Detectors read the text around
 * the event, within a bounded distance, and report with MaskAddHit().
 *
 * Detectors never see the caller's bytes but its shadow (shadow.c), in which
 * digits, spaces, dashes and quotes of other scripts are ASCII and
 * zero-width characters are gone.
 */
#ifndef LLM_AUDIT_MASK_SCAN_H
#define LLM_AUDIT_MASK_SCAN_H

#include <string.h>

#include "mask/mask.h"

/* What a context word speaks of. */
typedef enum MaskContext
{
	CTX_CARD = 0,
	CTX_IBAN,
	CTX_IIN,
	CTX_BIN,
	CTX_INN,
	CTX_SNILS,
	CTX_SSN,
	CTX_PHONE,
	CTX_PASSPORT,
	CTX_LICENSE,
	CTX_BIRTH,
	CTX_ACCOUNT,
	CTX_NATIONAL,
	CTX_DOCUMENT,
	CTX_PLAIN,					/* an amount, an order: no identifier */
	CTX_NUMBER,					/* a number that could be a telephone's; never
								 * the nearest, where others say more */
	CTX_COUNT
} MaskContext;

/* A chain of digit groups: 4403 1234-5678 ... */
#define CHAIN_GROUPS 64
#define RUN_GROUPS 20
#define GROUP_DIGITS 24
typedef struct DigitGroup
{
	size_t		pos;
	int			len;
	int			before;			/* digits in the chain's groups before it */
	char		sep;			/* before it: one character, or '*' if more */
} DigitGroup;

typedef enum RunEdge
{
	EDGE_CLEAN = 0,				/* space, punctuation, end of text */
	EDGE_WORD,					/* a word of letters touches it */
	EDGE_BAD					/* part of an identifier or a decimal */
} RunEdge;

/*
 * The run that begins with the present event: a view into the chain around
 * it, which is read once for all its groups.
 */
typedef struct DigitRun
{
	int			groups;			/* in the view, at most RUN_GROUPS */
	int			total;			/* digits in all of them */
	const DigitGroup *group;
	const char *digits;			/* of all groups, contiguous */
	RunEdge		left;
	RunEdge		right;			/* after the last group */
	size_t		right_of;		/* the end that right was read for */
	size_t		end;			/* after the last group */
	size_t		token_start;	/* letters and digits around group 0 */
	size_t		token_end;
	bool		inner;			/* a group of the same chain is before it */

	int			chain_count;
	size_t		chain_end;
	DigitGroup	chain[CHAIN_GROUPS];
	char		chain_digits[(CHAIN_GROUPS + 1) * GROUP_DIGITS];
} DigitRun;

/* detect_assign.c: what the name of a key says about its value */
typedef enum KeyKind
{
	KEY_PLAIN = 0,
	KEY_NAMED,					/* ends with "key": one may follow in quotes */
	KEY_VENDOR,					/* a vendor's name: a key may follow */
	KEY_SECRET,
	KEY_AUTHORIZATION,
	KEY_PASSWORD
} KeyKind;

/* A key that was looked at, by its place in the text. */
#define KEY_MEMOS 32
typedef struct KeyMemo
{
	size_t		pos;
	KeyKind		kind;
} KeyMemo;

/* detect_assign.c: a value, from quote to quote or to where it ends */
typedef struct Value
{
	size_t		start;
	size_t		end;
	char		quote;			/* 0 if there is none */
} Value;

/* Counts of what is in a value. */
typedef struct ValueLook
{
	int			digits;
	int			letters;
	int			symbols;		/* neither letter, digit nor "_-." */
	int			spaces;
	int			filler;			/* longest run of one that fills: x, *, 0 */
	int			turns;			/* capitals that no word of a name has */
} ValueLook;

/* The value that was looked at last, by where that began. */
typedef struct ValueMemo
{
	size_t		pos;
	Value		value;
	ValueLook	look;
} ValueMemo;

/* words.c: one meaning of a word that was found */
typedef struct WordMatch
{
	int			detector;		/* index into DetectorTable, or -1 */
	int			context;		/* MaskContext, or -1 */
	size_t		end;
} WordMatch;

#define WORD_MATCHES 8

#define NEXT_WORD_BITS 7

/* work.c: what was done for a document, and what may be */
struct MaskWork
{
	uint64_t	done;
	uint64_t	allowed;
	unsigned	last_word;		/* what it means, and what followed what */
	uint8_t		next_words[1 << NEXT_WORD_BITS];
};

typedef struct MaskScan
{
	const unsigned char *text;
	size_t		len;
	const MaskOptions *options;
	MaskWork   *work;
	size_t		context_end[CTX_COUNT]; /* end of the last such word, or 0 */
	size_t		context_last;	/* the last of these */
	MaskContext context_near;	/* whose that is, but for CTX_NUMBER; the
								 * first of several */
	uint32_t	outer;			/* bit set of contexts from outside the text */
	size_t		after_pos;		/* what after_set was computed for */
	uint32_t	after_set;		/* bit set of contexts after that position */
	size_t		done;			/* events before this were consumed */
	size_t		digits_done;	/* same, for events of digits */
	size_t		key_done;		/* same, for prefixes of keys */
	size_t		sign_done;		/* same, for assignments */
	size_t		token_done;		/* same, for tokens that a name is far from */
	size_t		word_start;		/* of the present event of a word */
	size_t		block;			/* where the present block begins, */
	uint64_t	alnum;			/* its letters and digits, */
	uint64_t	digit;			/* its digits */
	size_t		tail_start;		/* a key's name that was read to its end */
	size_t		tail_end;
	size_t		head_start;		/* and one that was read to its beginning */
	size_t		head_end;
	uint8_t		key_len[KEY_MEMOS]; /* of keys[], in bytes; 0: none yet */
	size_t		due;			/* where a value begins that something far
								 * before announced, or SIZE_MAX */
	size_t		due_end;
	uint8_t		due_kind;		/* KeyKind */
	uint8_t		due_command;	/* of detect_command.c */
	size_t		spare_from;		/* from here to spare_to no long token begins */
	size_t		spare_to;
	size_t		clause_from;	/* and here no name is followed by its value */
	size_t		clause_to;
	bool		offering;		/* within OfferWord */
	int			dear_checks;	/* expensive validations still allowed */
	MaskHit    *hits;
	size_t		hit_count;
	size_t		hit_room;
	bool		no_memory;
	DigitRun	run;			/* of the present event of digits; from here
								 * on nothing starts as 0 */
	KeyMemo		keys[KEY_MEMOS];
	ValueMemo	value_memo;
} MaskScan;

typedef enum MaskTrigger
{
	TRIGGER_NUMBER,				/* run: digits, perhaps in groups */
	TRIGGER_TOKEN,				/* run.token: letters and digits mixed */
	TRIGGER_COLON,				/* pos: ':' before one of joins */
	TRIGGER_SIGN,				/* pos: the first '=' or ':' of an operator */
	TRIGGER_AT,					/* pos: '@' */
	TRIGGER_WORD				/* pos: one of the detector's words */
} MaskTrigger;

/* For lengths: a token of 64 characters or more. */
#define TOKEN_LONG UINT64_C(1)

typedef struct MaskDetector MaskDetector;
typedef bool (*MaskDetect) (MaskScan *scan, const MaskDetector *self,
							size_t pos);

/*
 * One detector.  detect returns true to end the event (after a hit, or when
 * it is sure that nothing else applies).  words (TRIGGER_WORD): separated
 * by '|', lower-case and compared folded unless exact is set; a word that
 * ends with '$' must end there.
 */
struct MaskDetector
{
	MaskEntity	entity;
	MaskTrigger trigger;
	MaskDetect	detect;
	const char *words;
	bool		exact;
	/* For DetectPrefixedKey: what follows the prefix. */
	const char *charset;
	int			min_len;
	int			max_len;
	float		min_entropy;

	/*
	 * TRIGGER_NUMBER: bit set of the first group's possible lengths;
	 * TRIGGER_TOKEN: of the token's, 0 for any, and TOKEN_LONG
	 */
	uint64_t	lengths;

	/*
	 * what may follow the group, as the run has it, or the token (NULL:
	 * anything), or the colon
	 */
	const char *joins;

	/*
	 * TRIGGER_NUMBER, if another group follows: bit set of its possible
	 * lengths, 0 for any
	 */
	uint64_t	next_lengths;
};

extern const MaskDetector DetectorTable[];
extern const int DetectorCount;

/*
 * What the steps of a scan weigh, measured on texts that do nothing else.
 * Those of numbers weigh less than they take: text full of numbers is
 * ordinary, and has a target of its own.
 */
#define WORK_WORD 28			/* a word that may be one of the dictionary */
#define WORK_SURPRISE 75		/* one that did not follow the last before */
#define WORK_DETECTOR 45		/* a detector that is asked about it */
#define WORK_AT 50
#define WORK_SIGN 20			/* of an assignment */
#define WORK_COLON 40			/* of an address or a URL */
#define WORK_DIGITS 12			/* a run of them */
#define WORK_NUMBER 2			/* a detector of numbers that is asked */
#define WORK_TOKEN 14			/* and one of tokens */
#define WORK_STEP 20			/* one of the dearer steps of a detector */
#define WORK_HIT 10
#define WORK_KEY_BYTE 4			/* of a key's name */
#define WORK_VALUE_BYTE 2		/* of a value, and of what is before it */
#define WORK_PIECE 50			/* to begin with a text that is a part of one */
#define WORK_SCALAR 3			/* a value of JSON that nothing is done about */
#define WORK_GLANCE 45			/* a look at a short one, or a key */
#define WORK_NESTED 60			/* JSON within a string */

/* Counts work; whatever is const, that it took time is not. */
static inline void
CountWork(const MaskScan *scan, size_t work)
{
	scan->work->done += work;
}

/* work.c */
extern void WorkAllow(MaskWork *work, size_t len);
extern void WithholdRest(MaskScan *scan, size_t pos, size_t len);

/* True if a document has used up what it may cost. */
static inline bool
WorkIsSpent(const MaskWork *work)
{
	return work->done > work->allowed;
}

/* scan.c */
extern bool OfferWord(MaskScan *scan, size_t pos);
extern void MaskAddHit(MaskScan *scan, const MaskHit *hit);
extern bool HitRoom(MaskScan *scan, size_t more);
extern uint32_t ContextsAfter(MaskScan *scan, size_t pos);
extern MaskContext ContextNearest(const MaskScan *scan, size_t pos,
								  size_t distance);

/* True if a word of the context ended at most distance bytes before pos. */
static inline bool
ContextNear(const MaskScan *scan, MaskContext context, size_t pos,
			size_t distance)
{
	size_t		end = scan->context_end[context];

	return ((end > 0) & (pos - end <= distance)) |
		((pos <= distance) & (scan->outer >> context & 1));
}

/* True if no word of any context is near before pos, nor outside the text. */
static inline bool
IsQuiet(const MaskScan *scan, size_t pos, size_t distance)
{
	return scan->outer == 0 && pos > scan->context_last + distance;
}

/* True if a word of the context is one of the next three after pos. */
static inline bool
ContextAfter(MaskScan *scan, MaskContext context, size_t pos)
{
	return ContextsAfter(scan, pos) >> context & 1;
}

/* run.c */
extern void ReadDigitRun(MaskScan *scan, size_t pos);
extern RunEdge RunLeft(const MaskScan *scan, size_t start);
extern bool RunShapeAll(const DigitRun *run, const char *shape);

/* The end of the first groups of a run. */
static inline size_t
RunEnd(const DigitRun *run, int groups)
{
	return run->group[groups - 1].pos + (size_t) run->group[groups - 1].len;
}

/* The number of digits in the first groups. */
static inline int
RunDigits(const DigitRun *run, int groups)
{
	const DigitGroup *last = &run->group[groups - 1];

	return groups == 0 ? 0 : last->before + last->len - run->group[0].before;
}

/* True if the first groups are all joined by the same separator. */
static inline bool
RunSeparated(const DigitRun *run, int groups, char sep)
{
	for (int i = 1; i < groups; i++)
		if (run->group[i].sep != sep)
			return false;
	return true;
}

/*
 * True if the run begins with groups of these lengths and separators, for
 * example "3-2-4", at least two.  '~' stands for any single separator,
 * repeated as it is.
 */
static inline bool
RunShape(const DigitRun *run, const char *shape)
{
	return run->groups > 1 && run->group[0].len == shape[0] - '0' &&
		run->group[1].len == shape[2] - '0' && RunShapeAll(run, shape);
}

/* words.c */
/*
 * What lets words pass: by their first four, three and two bytes.  Before
 * that, in one look, by the first two and five bits of a later one.
 */
typedef struct WordFilter
{
	uint32_t	pair[65536];
	uint8_t		four[65536 / 8];
	uint8_t		three[65536 / 8];
	uint8_t		two[65536 / 8];
} WordFilter;

extern void WordsPrepare(void);
extern const WordFilter *WordsFilter(void);
extern const WordFilter *WordsContextFilter(void);
extern const WordFilter *WordsInnerFilter(void);
extern unsigned WordsLengths(const unsigned char *text, size_t len,
							 size_t pos);

/* For tests: the nth word, and whether it is one of a context; NULL: none. */
extern const char *WordsNth(int n, size_t *len, bool *context);
extern int	WordsMatch(const unsigned char *text, size_t len, size_t pos,
					   unsigned lengths, WordMatch *matches);

/* The filters' slots for first bytes whose bits 0x20 are set. */
static inline uint32_t
WordsSlot4(uint32_t four)
{
	return (four * 0x9E3779B1u) >> 16;
}

static inline uint32_t
WordsSlot3(uint32_t three)
{
	return ((three & 0xFFFFFF) * 0x85EBCA6Bu) >> 16;
}

/*
 * Which bit of a pair of first bytes stands for the four bytes: by the third,
 * or in a script of two bytes to a letter by the fourth.
 */
static inline unsigned
WordsThird(uint32_t four)
{
	return four >> (16 + ((four & 0x80) >> 4)) & 31;
}

/* True if it is worth asking whether a word begins with the four bytes. */
static inline unsigned
WordMayPass(const WordFilter *filter, const unsigned char *text)
{
	uint32_t	key;

	memcpy(&key, text, 4);
	return filter->pair[(key | 0x2020) & 0xFFFF] >> WordsThird(key) & 1u;
}

/*
 * Bit n (2 to 4) is set if a word that is found by its first n bytes may
 * begin with the four at text; 0: none does.
 */
static inline unsigned
WordLengths(const WordFilter *filter, const unsigned char *text)
{
	uint32_t	key;
	uint32_t	four;
	uint32_t	three;
	uint32_t	two;

	memcpy(&key, text, 4);
	key |= 0x20202020;
	four = WordsSlot4(key);
	three = WordsSlot3(key);
	two = key & 0xFFFF;
	return (filter->four[four >> 3] >> (four & 7) & 1u) << 4 |
		(filter->three[three >> 3] >> (three & 7) & 1u) << 3 |
		(filter->two[two >> 3] >> (two & 7) & 1u) << 2;
}

/* classify.c */
typedef struct BlockMasks
{
	uint64_t	word;			/* letters, digits and bytes above 0x7F */
	uint64_t	lower;
	uint64_t	upper;
	uint64_t	digit;
	uint64_t	sign;			/* '@', '=' and ':' */
	uint64_t	join;			/* what may be between groups of digits */
} BlockMasks;

typedef void (*ClassifyBlock) (const unsigned char *block, BlockMasks *masks);

typedef enum MaskSimd
{
	MASK_SIMD_BEST = 0,
	MASK_SIMD_SCALAR,
	MASK_SIMD_128,				/* SSE2 or NEON */
	MASK_SIMD_AVX2
} MaskSimd;

/* NULL if this machine can't do it. */
extern ClassifyBlock ClassifyChoose(MaskSimd simd);

/* For tests: all later scans use this variant. */
extern bool MaskSetSimd(MaskSimd simd);

/* For tests: whether repetitions are passed over, as they are at first. */
extern void MaskPassRepeats(bool pass);

/* For tests: whether events that are surely nothing are passed on, too. */
extern void MaskPassAll(bool pass);

/* The last bits of the block before: what a word or run continues. */
typedef struct BlockCarry
{
	uint64_t	word;
	uint64_t	ascii;
	uint64_t	lower;
	uint64_t	digit;
} BlockCarry;

/* repeat.c: a piece that the text repeats, and a state noted within that */
#define REPEAT_HITS 64
typedef struct Repetition
{
	size_t		next;			/* the offset to call PassRepeats at; from
								 * here to end starts as 0 */
	size_t		end;			/* of the repetitions */
	size_t		ahead;			/* what may be looked at behind an offset */
	size_t		step;
	size_t		limit;			/* steps between states that are noted */
	size_t		tries;			/* steps since the last */
	bool		noted;
	size_t		offset;			/* where the state was noted */
	size_t		settled;		/* findings that can't change from there on */
	size_t		recent;			/* and the others: hits[] */
	BlockCarry	carry;
	MaskHit		hits[REPEAT_HITS];
	MaskScan	state;			/* up to its memos */
} Repetition;

extern size_t PassRepeats(MaskScan *scan, const BlockCarry *carry,
						  size_t offset, Repetition *repeat);

/* filter.c: which ways a sign may be worth an event in, a bit for each */
#define SIGN_AT 1				/* and the next: '@' */
#define SIGN_COLON 4			/* and the next four: ':' before one of joins */
#define SIGN_COLONS (SIGN_COLON * 31)
#define SIGN_COLON_GROUP (SIGN_COLON << 2)
#define SIGN_ASSIGN 128			/* and the next: of an assignment */
#define SIGN_ASSIGNS (SIGN_ASSIGN * 3)
#define SIGN_QUOTED 512			/* '@' behind a quote */
#define SIGN_ANY 1023

extern void FilterPrepare(void);
extern uint64_t FilterSigns(const unsigned char *text,
							const unsigned char *block, size_t offset,
							const BlockMasks *masks, uint16_t *ways);
extern uint64_t IdleNumbers(const BlockMasks *masks, uint64_t starts,
							uint64_t alnum, uint64_t alnum_before);

extern KeyKind KindOfKey(const unsigned char *key, size_t len);
extern bool IsListed(const char *list, const char *word, size_t len);
extern bool KeyCountsTokens(const char *key, size_t len);
extern bool NamesNoSecret(KeyKind kind, const char *text, size_t len);

/* encoding.c: how many bytes of a text are UTF-8 */
extern size_t Utf8Prefix(const char *text, size_t len);

/* shadow.c */
typedef struct Shadow
{
	const unsigned char *text;	/* the caller's own if nothing differs */
	size_t		len;
	unsigned char *owned;
	uint64_t   *kept;			/* bits of the text's bytes that it has */
	size_t	   *before;			/* bytes that it has before each 64 of these;
								 * SIZE_MAX for what is beyond the text */
} Shadow;

extern bool ShadowMake(const MaskOptions *options, const char *text,
					   size_t len, Shadow *shadow);
extern size_t ShadowInto(const unsigned char *text, size_t len,
						 unsigned char *out);
extern void ShadowFree(const MaskOptions *options, Shadow *shadow);
extern void ShadowMapHits(const Shadow *shadow, const char *text, size_t len,
						  MaskHit *hits, size_t count);

/*
 * shape.c: true for a date of ISO 8601 in the years 1900 to 2099, perhaps with
 * a time and its zone; and for the 36 characters of a UUID (RFC 9562).
 */
extern bool IsTimestamp(const unsigned char *text, size_t len);
extern bool IsUuid(const unsigned char *text);

/* shape.c: true if one of the five parts of a UUID begins at pos; its start. */
extern bool FindUuid(const unsigned char *text, size_t len, size_t pos,
					 size_t *start);

/* fold.c */
extern size_t FoldCopy(const unsigned char *text, size_t len,
					   unsigned char *out);
extern size_t FoldMatch(const unsigned char *text, size_t len, size_t pos,
						const char *pattern, size_t pattern_len);

/*
 * known.c: values that the caller named, prepared once for many texts.
 * KnownPrepare gives NULL in *set if there is nothing to search for.
 */
typedef struct KnownSet KnownSet;

extern MaskStatus KnownPrepare(const MaskOptions *options, KnownSet **set);
extern void KnownFind(MaskScan *scan, const KnownSet *set);
extern void KnownFree(const MaskOptions *options, KnownSet *set);

/* Merges findings, ordered by start, with the scan's. */
extern void MergeFound(MaskScan *scan, MaskHit *more, size_t count);

/* The length of a folded Cyrillic word without its final vowels. */
extern size_t StemLength(const unsigned char *word, size_t len);

/* A byte that continues a word. */
static inline bool
IsWordByte(unsigned char c)
{
	return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
		(c >= '0' && c <= '9') || c >= 0x80;
}

/*
 * render.c: counts a finding in result, and tells the caller of it; of the rest
 * of a text, which is none, result says that it is cut.
 */
extern void NoteFound(const MaskOptions *options, MaskResult *result,
					  MaskEntity entity, const char *value, size_t len);

/*
 * render.c: what every document begins with: its known values' set, and
 * result emptied, with the status MASK_CLEAN if the text can be masked.
 */
extern KnownSet *TextPrepare(const MaskOptions *options, const char *text,
							 size_t len, MaskResult *result);

/*
 * scan.c: as MaskFind, with a prepared set, of a text that is UTF-8 (one that
 * isn't causes no fault, but misses).
 */
extern MaskStatus FindWithSet(const MaskOptions *options, const KnownSet *set,
							  const char *text, size_t len,
							  MaskHit **hits, size_t *count);

/* A text that is one of many in a document. */
typedef struct TextPiece
{
	const char *text;
	size_t		len;
	size_t		room;			/* bytes that can be read there */
	uint32_t	outer;			/* ContextsOf() what stands as if before it */
	bool		plain;			/* its shadow is the text itself, for sure */
	bool		number;			/* it is of digits alone, six or more */
} TextPiece;

/* A piece of which nothing else is known yet. */
static inline TextPiece
PieceOf(const char *text, size_t len, size_t room)
{
	TextPiece	piece = {0};

	piece.text = text;

	piece.len = len;
	piece.room = room;
	return piece;
}

/*
 * scan.c: the same of a piece, whose contexts are asked once for many: those
 * of the options don't matter.  After ScanPrepare().
 */
extern void ScanPrepare(void);
extern uint32_t ContextsOf(const char *context, size_t len);
extern MaskStatus FindInPiece(const MaskOptions *options, const KnownSet *set,
							  const TextPiece *piece, MaskHit **hits,
							  size_t *count);

/* scan.c: what a glance at a short text tells, after ScanPrepare() */
typedef enum TextGlance
{
	GLANCE_NOTHING,				/* no detector would be asked */
	GLANCE_NUMBERS,				/* nor that, without CTX_BIRTH outside */
	GLANCE_QUIET,				/* nor would one find anything, without any
								 * context outside */
	GLANCE_EVENTS,				/* some might be; the shadow is the text */
	GLANCE_MORE					/* not known */
} TextGlance;

#define GLANCE_ROOM 72			/* bytes that are best readable for it */
extern TextGlance GlanceAt(const char *text, size_t len, size_t room);

/* memory, over the caller's allocator */
static inline void *
MaskAlloc(const MaskOptions *options, size_t size)
{
	return options->allocator.alloc(options->allocator.arg, size);
}

static inline void
MaskRelease(const MaskOptions *options, void *chunk)
{
	if (chunk != NULL && options->allocator.release != NULL)
		options->allocator.release(options->allocator.arg, chunk);
}

/*
 * memset(chunk, 0, len) of some hundred bytes, as often as there are texts: as
 * a call, since of a size that it knows gcc makes one slow instruction.
 */
extern void ZeroBytes(void *chunk, size_t len);

/* Character classes of ASCII, without locale. */
static inline bool
IsDigit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
IsAlpha(unsigned char c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* charset.c: letters and digits */
extern const bool AlnumChars[256];

static inline bool
IsAlnum(unsigned char c)
{
	return AlnumChars[c];
}

static inline bool
IsUpper(unsigned char c)
{
	return c >= 'A' && c <= 'Z';
}

static inline bool
IsHex(unsigned char c)
{
	return IsDigit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static inline bool
IsSpace(unsigned char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* charset.c: sets of characters, by bit */
#define SET_KEY 1				/* names of keys */
#define SET_LOCAL 2				/* local parts of e-mail addresses */
#define SET_OPERATOR 4			/* of an assignment */
#define SET_QUOTE 8				/* between a key and its operator */
#define SET_BARE_END 16			/* end of a value without quotes */
#define SET_URL_END 32			/* end of a URL's authority */
#define SET_JOINS_DIGITS 64		/* between groups of digits */
#define SET_NAME 128			/* a key's name in prose: letters, digits, - _ */
#define SET_AFTER_NAME 256		/* between such a name and its value */
#define SET_ARROW 512			/* behind the first sign of an operator */
#define SET_WORD 1024			/* letters, digits, bytes above 0x7F */
#define SET_BETWEEN_WORDS 2048	/* all else but what ends a clause */
#define SET_BRACKET 4096		/* ends a bare value, unless a brace is in it */
#define SET_OPENING 8192		/* a bracket opens */
#define SET_STOP 16384			/* at the end of a sentence */
#define SET_DIGIT_OR_END 32768	/* digits, and what ends a part of one */

extern uint16_t CharSet[256];
extern void CharSetsPrepare(void);

static inline bool
InSet(unsigned char c, unsigned set)
{
	return (CharSet[c] & set) != 0;
}

/* The byte at pos, 0 beyond the end. */
static inline unsigned char
ByteAt(const MaskScan *scan, size_t pos)
{
	return pos < scan->len ? scan->text[pos] : 0;
}

/* The byte before pos, 0 at the beginning. */
static inline unsigned char
ByteBefore(const MaskScan *scan, size_t pos)
{
	return pos > 0 ? scan->text[pos - 1] : 0;
}

#define EACH_BYTE UINT64_C(0x0101010101010101)

/* Eight bytes of a text as a number, the first in the lowest. */
static inline uint64_t
EightBytes(const unsigned char *text)
{
	uint64_t	v;

	memcpy(&v, text, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

/* The highest bit of each of eight bytes that is a letter of ASCII. */
static inline uint64_t
LetterBytes(uint64_t v)
{
	uint64_t	small = (v & 0x7F * EACH_BYTE) | 0x20 * EACH_BYTE;

	return (small + 0x1F * EACH_BYTE) & ~(small + 0x05 * EACH_BYTE) & ~v &
		0x80 * EACH_BYTE;
}

/* The same of a digit. */
static inline uint64_t
DigitBytes(uint64_t v)
{
	v ^= '0' * EACH_BYTE;
	return ~((((v & 0x7F * EACH_BYTE) + 0x76 * EACH_BYTE) | v)) &
		0x80 * EACH_BYTE;
}

/* How many of eight bytes have their highest bit, from the first on. */
static inline unsigned
LeadingBytes(uint64_t bytes)
{
	uint64_t	other = bytes ^ 0x80 * EACH_BYTE;

	return other == 0 ? 8 : (unsigned) __builtin_ctzll(other) / 8;
}

/* The same from the last back. */
static inline unsigned
TrailingBytes(uint64_t bytes)
{
	uint64_t	other = bytes ^ 0x80 * EACH_BYTE;

	return other == 0 ? 8 : (unsigned) __builtin_clzll(other) / 8;
}

/* How many of eight bytes are digits before the first that is none. */
static inline unsigned
LeadingDigits(const unsigned char *text)
{
	return LeadingBytes(DigitBytes(EightBytes(text)));
}

/* How many of the eight bytes before a place are letters in a row. */
static inline unsigned
LettersBefore(const unsigned char *text)
{
	return TrailingBytes(LetterBytes(EightBytes(text -8)));
}

/*
 * The number of digits at pos, at most max.  Without a branch for each, since
 * numbers are of any length and no machine predicts that.
 */
static inline size_t
CountDigits(const MaskScan *scan, size_t pos, size_t max)
{
	size_t		n = 0;

	while (n < max && pos + n + 8 <= scan->len)
	{
		unsigned	more = LeadingDigits(scan->text +pos + n);

		n += more;
		if (more < 8)
			return n < max ? n : max;
	}
	while (n < max && IsDigit(ByteAt(scan, pos + n)))
		n++;
	return n < max ? n : max;
}

/* detectors (detect_*.c) */
extern void KeyCharsPrepare(void);
extern bool DetectIpv4(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool DetectDate(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool DetectBornDate(MaskScan *scan, const MaskDetector *self,
						   size_t pos);
extern bool DetectCard(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool DetectSpreadCard(MaskScan *scan, size_t pos);
extern bool DetectTwelve(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool DetectSnils(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool DetectInn10(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool DetectSsn(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool DetectPhone(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool DetectDocument(MaskScan *scan, const MaskDetector *self,
						   size_t pos);
extern bool DetectPersonal(MaskScan *scan, const MaskDetector *self,
						   size_t pos);
extern bool DetectIban(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool DetectSpokenIban(MaskScan *scan, const MaskDetector *self,
							 size_t pos);
extern bool DetectSplitIban(MaskScan *scan, const MaskDetector *self,
							size_t pos);
extern bool DetectBitcoin(MaskScan *scan, const MaskDetector *self,
						  size_t pos);
extern bool DetectBech32(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool DetectEthereum(MaskScan *scan, const MaskDetector *self,
						   size_t pos);
extern bool DetectMacToken(MaskScan *scan, const MaskDetector *self,
						   size_t pos);
extern bool DetectSpokenMac(MaskScan *scan, const MaskDetector *self,
							size_t pos);
extern bool DetectSpacedId(MaskScan *scan, const MaskDetector *self,
						   size_t pos);
extern bool DetectMbi(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool DetectDocumentToken(MaskScan *scan, const MaskDetector *self,
								size_t pos);
extern bool DetectEmail(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool DetectColonAddress(MaskScan *scan, const MaskDetector *self,
							   size_t pos);
extern bool DetectUrlCredentials(MaskScan *scan, const MaskDetector *self,
								 size_t pos);
extern bool DetectPerson(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool DetectPrefixedKey(MaskScan *scan, const MaskDetector *self,
							  size_t pos);
extern bool DetectJwt(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool DetectPem(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool DetectPutty(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool DetectJwk(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool DetectDsn(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool DetectThin(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool DetectAwsKey(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool DetectDiscord(MaskScan *scan, const MaskDetector *self,
						  size_t pos);
extern bool DetectTerraform(MaskScan *scan, const MaskDetector *self,
							size_t pos);
extern bool DetectAzureKey(MaskScan *scan, const MaskDetector *self,
						   size_t pos);
extern bool DetectMaxmind(MaskScan *scan, const MaskDetector *self,
						  size_t pos);
extern bool DetectAzureSecret(MaskScan *scan, const MaskDetector *self,
							  size_t pos);
extern bool DetectMailchimp(MaskScan *scan, const MaskDetector *self,
							size_t pos);
extern bool DetectFixedToken(MaskScan *scan, const MaskDetector *self,
							 size_t pos);
extern bool DetectFacebook(MaskScan *scan, const MaskDetector *self,
						   size_t pos);
extern bool DetectTelegram(MaskScan *scan, const MaskDetector *self,
						   size_t pos);
extern bool DetectBearer(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool DetectAssignment(MaskScan *scan, const MaskDetector *self,
							 size_t pos);
extern bool DetectLooseAssignment(MaskScan *scan, const MaskDetector *self,
								  size_t pos);
extern bool DetectPin(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool StandsForSecret(const MaskScan *scan, size_t start, size_t end);

/* Longer than any name goes on behind a word in it. */
#define NAME_ROOM 32

/* How much a value looks like a secret. */
typedef enum SecretLook
{
	LOOKS_NAMED,				/* is no placeholder, and has no blank */
	LOOKS_LIKELY,				/* has letters and digits */
	LOOKS_MIXED,				/* in no order that a name has */
	LOOKS_RANDOM				/* is long, too, and no word or name */
} SecretLook;

extern bool SecretAt(MaskScan *scan, size_t pos, SecretLook look,
					 size_t *start, size_t *end);
extern void SpokenPrepare(void);
extern bool OfferSpoken(MaskScan *scan, size_t pos, KeyKind kind);
extern bool DetectShortName(MaskScan *scan, const MaskDetector *self,
							size_t pos);
extern bool DetectPair(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool DetectCall(MaskScan *scan, const MaskDetector *self, size_t pos);
extern bool NoteDue(MaskScan *scan, KeyKind kind, size_t start, size_t end);
extern bool DetectCommand(MaskScan *scan, const MaskDetector *self,
						  size_t pos);
extern void ReportDue(MaskScan *scan);

#endif
