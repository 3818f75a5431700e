/*
 * detect_spoken.c
 *	  Secrets that prose, configuration and code name in their own way: "the
 *	  password for the router is X", "creds: admin / X", NetworkCredential("u",
 *	  "X").
 *
 * What stands between the name and the value can hold findings of its own;
 * so a note is left where the value begins (NoteDue).
 */
#include "mask/lexicon.h"
#include "mask/scan.h"

#include <string.h>

#define SAID_ROOM 56			/* between a name and its value */
#define LONG_TOKEN 16

/* Sets of characters, by bit. */
#define SAID_CLAUSE 1			/* within one clause; '.' and '(' perhaps */
#define SAID_BLANK 2			/* white space and quotes */
#define SAID_TYPE 4				/* names of types and functions */
#define SAID_TOKEN 8			/* tokens: letters, digits, "_-" of ASCII */
#define SAID_PLAIN 16			/* of SAID_CLAUSE, what means nothing else */
#define SAID_CALL 32			/* what tells the arguments of a call apart */
#define SAID_WORD 64			/* words: all but blanks and what ends a
								 * clause */
static uint8_t said[256];

/* Fills the sets, once per process. */
static void
PrepareSaid(void)
{
	for (int c = 1; c < 256; c++)
	{
		bool		alnum = IsAlnum((unsigned char) c);

		if (alnum || c >= 0x80 || strchr(" -_/@()*`\"'>#.", c) != NULL)
			said[c] |= SAID_CLAUSE;
		if ((said[c] & SAID_CLAUSE) && strchr(" -(.", c) == NULL)
			said[c] |= SAID_PLAIN;
		if (strchr(" \t\r\n\"'\\`", c) != NULL)
			said[c] |= SAID_BLANK;
		if (alnum || strchr("_.[]|?&", c) != NULL)
			said[c] |= SAID_TYPE;
		if (alnum || c == '_' || c == '-')
			said[c] |= SAID_TOKEN;
		if (IsSpace((unsigned char) c) || strchr(");,(\"'", c) != NULL)
			said[c] |= SAID_CALL;
		if (c > ' ' && strchr(",;:!?=()", c) == NULL)
			said[c] |= SAID_WORD;
	}
}

/* True for what may stand between a name and its value, in one clause. */
static bool
IsInClause(const MaskScan *scan, size_t at)
{
	unsigned char c = scan->text[at];

	if (c == '.')
		return !IsSpace(ByteAt(scan, at + 1));
	if (c == '(' && IsAlnum(ByteBefore(scan, at)))
		return false;			/* a call */
	return (said[c] & SAID_CLAUSE) != 0;
}

/* Passes over blanks, quotes of Markdown and one line's end. */
static size_t
SkipBlanks(const MaskScan *scan, size_t at)
{
	size_t		from = at;

	while (at - from < 16 && at < scan->len &&
		   (IsSpace(scan->text[at]) || scan->text[at] == '*'))
		at++;
	return at;
}

/* Short words that stand between a name and its value, separated by '|'. */
typedef enum SaidList
{
	LIST_IS = 0,
	LIST_SUCH,
	LIST_NOT,
	LIST_TO,
	LIST_ARE,
	SAID_LISTS
} SaidList;

static const char *const said_lists[SAID_LISTS] =
{"is|was", LEX_SUCH, LEX_NOT, ("for |to |of |" LEX_TO), "are |is "};

/* Their words, one by one. */
#define LIST_WORDS 10
static const char *list_words[SAID_LISTS][LIST_WORDS];
static uint8_t list_lens[SAID_LISTS][LIST_WORDS];

/* Takes the lists apart, once per process. */
static void
PrepareLists(void)
{
	for (int list = 0; list < SAID_LISTS; list++)
	{
		const char *word = said_lists[list];

		for (int i = 0; i < LIST_WORDS && *word; i++)
		{
			size_t		len = strcspn(word, "|");

			list_words[list][i] = word;
			list_lens[list][i] = (uint8_t) len;
			word += len + (word[len] == '|');
		}
	}
}

/*
 * The length of the first word of a list that is at pos; 0 if none is.  Their
 * first letters tell nearly all of them apart.
 */
static size_t
ListedAt(const MaskScan *scan, size_t pos, SaidList list)
{
	unsigned char first[2] = {0};

	if (pos < scan->len)
		FoldCopy(scan->text +pos, scan->len - pos < 2 ? 1 : 2, first);
	for (int i = 0; i < LIST_WORDS && list_lens[list][i] > 0; i++)
	{
		const char *word = list_words[list][i];

		if ((unsigned char) word[0] == first[0] &&
			(first[0] < 0x80 || (unsigned char) word[1] == first[1]))
		{
			size_t		n = FoldMatch(scan->text, scan->len, pos, word,
									  list_lens[list][i]);

			if (n > 0)
				return n;
		}
	}
	return 0;
}

/* The end of a word that says "is" at pos; 0 if none does. */
static size_t
IsWord(const MaskScan *scan, size_t pos)
{
	bool		wide = ByteAt(scan, pos) >= 0x80;
	size_t		end = pos + ListedAt(scan, pos, wide ? LIST_SUCH : LIST_IS);

	return end > pos && (wide || IsSpace(ByteAt(scan, end)) ||
						 ByteAt(scan, end) == ':') ? end : 0;
}

/* Passes over a colon, or a dash between blanks, behind "is". */
static size_t
SkipSign(const MaskScan *scan, size_t pos)
{
	if (ByteAt(scan, pos) == ':')
		return pos + 1;
	return ByteAt(scan, pos) == ' ' && ByteAt(scan, pos + 1) == '-' &&
		ByteAt(scan, pos + 2) == ' ' ? pos + 2 : pos;
}

/*
 * What a name in prose is followed by: what it is of, and then ':', '=', a
 * dash or "is".  The place of the value; 0 if it is not so.  What was read of
 * a clause without finding one is not read again.
 */
static size_t
DescribedValue(MaskScan *scan, size_t pos)
{
	size_t		limit = pos + SAID_ROOM < scan->len ? pos + SAID_ROOM : scan->len;
	size_t		value = 0;
	size_t		at = pos;

	if (pos >= scan->clause_from && pos < scan->clause_to)
		at = scan->clause_to;
	else
		scan->clause_from = pos;
	for (; at < limit; at++)
	{
		unsigned char c = scan->text[at];
		size_t		end;

		if (said[c] & SAID_PLAIN)
			continue;
		if ((c == ':' && !IsAlnum(ByteAt(scan, at + 1))) || c == '=' ||
			(c == '-' && ByteBefore(scan, at) == ' ' &&
			 ByteAt(scan, at + 1) == ' '))
			value = SkipBlanks(scan, at + 1);
		else if (!IsInClause(scan, at))
			break;
		else if (c == ' ')
		{
			end = IsWord(scan, at + 1);
			if (end > 0)
				value = SkipBlanks(scan, SkipSign(scan, end));
		}
		if (value > 0)
			break;
	}
	if (at > pos)
		CountWork(scan, at - pos);
	scan->clause_to = at;
	return value;
}

/*
 * After a password's name in Russian or Kazakh and up to three words that say
 * what it is of: the place of what may be the value; 0 if there is none.
 */
static size_t
PossessedValue(const MaskScan *scan, size_t pos)
{
	size_t		at = pos;

	if (scan->text[scan->word_start] < 0x80)
		return 0;
	for (int words = 0; words < 4 && at < pos + SAID_ROOM; words++)
	{
		size_t		start = ++at;
		bool		digit = false;

		if (ByteAt(scan, at - 1) != ' ' || ListedAt(scan, at, LIST_NOT) > 0)
			return 0;
		while (at - start < 40 && (said[ByteAt(scan, at)] & SAID_WORD))
			digit |= IsDigit(scan->text[at++]);
		if (digit && words > 0)
			return start;
	}
	return 0;
}

/* "X as my password": the value before those words; false if it is not so. */
static bool
ValueBefore(MaskScan *scan, size_t word, size_t *start, size_t *end)
{
	static const char *const links[] = {" as my ", " as the ", " as a ", " as "};
	size_t		low = word > 64 ? word - 64 : 0;

	for (int i = 0; i < 4; i++)
	{
		size_t		len = strlen(links[i]);

		if (word < len + 8 || memcmp(scan->text +word - len, links[i], len) != 0)
			continue;
		*end = *start = word - len;
		while (*start > low && !IsSpace(scan->text[*start - 1]))
			(*start)--;
		return SecretAt(scan, *start, LOOKS_LIKELY, start, end);
	}
	return false;
}

/*
 * The first token of LONG_TOKEN characters that begins between pos and
 * limit; limit if there is none.  What was searched is not searched again.
 */
static size_t
LongToken(MaskScan *scan, size_t pos, size_t limit)
{
	size_t		at = pos;

	if (pos >= scan->spare_from && pos < scan->spare_to)
		at = scan->spare_to;
	else
		scan->spare_from = pos;
	while (at < limit)
	{
		size_t		last = at + LONG_TOKEN - 1;
		size_t		begin = last;

		/* from its last character back: most places are seen to be none */
		if (last >= scan->len)
			at = limit;
		else
		{
			while (begin >= at && (said[scan->text[begin]] & SAID_TOKEN))
				begin--;
			if (begin < at)
				break;
			at = begin + 1;
		}
	}
	scan->spare_to = at;
	return at < limit ? at : limit;
}

/*
 * True if nothing ends the clause, or begins another assignment, between a
 * name and a token.
 */
static bool
IsOneClause(const MaskScan *scan, size_t pos, size_t token)
{
	int			signs = 0;
	int			lines = 0;

	/* the token you gave me, X */
	if (token > pos + 2 && scan->text[token - 1] == ' ' &&
		scan->text[token - 2] == ',')
		token -= 2;

	for (size_t at = pos; at < token; at++)
	{
		unsigned char c = scan->text[at];

		if (c == ':' || c == '=')
			signs += ByteBefore(scan, at) != ':';
		else if (c == '\n')
			lines++;
		else if (!IsInClause(scan, at) && !IsSpace(c) && c != '{' &&
				 c != '$' && c != '<' && c != '+')
			return false;
	}
	return signs <= 1 && lines <= 2;
}

/* "public key ..." and the like is no secret. */
static bool
IsPublic(const MaskScan *scan, size_t word)
{
	static const char *const words[] = {"public", "primary", "host", "foreign"};
	size_t		from = word > 8 ? word - 8 : 0;

	for (size_t at = from; at < word; at++)
		for (int i = 0; i < 4; i++)
			if ((scan->text[at] | 0x20) == words[i][0] &&
				FoldMatch(scan->text, word, at, words[i],
						  strlen(words[i])) > 0)
				return true;
	return false;
}

/* A long token of letters and digits soon after the name of a secret. */
static bool
NoteToken(MaskScan *scan, size_t pos, KeyKind kind)
{
	size_t		limit = pos + SAID_ROOM < scan->len ? pos + SAID_ROOM : scan->len;
	size_t		start = LongToken(scan, pos, limit);
	size_t		end;

	if (start >= limit)
		return false;
	/* what is before the first sign that it has is of it */
	while (start > pos && !IsSpace(scan->text[start - 1]) &&
		   scan->text[start - 1] != 0 &&
		   strchr("\"'`<>=:(,{$", scan->text[start - 1]) == NULL)
		start--;
	/* the path of a name, or of a URL */
	if (ByteAt(scan, pos) == '/' ||
		(scan->text[start] == '/' && ByteAt(scan, start + 1) == '/'))
		return false;
	if (start < scan->token_done || !IsOneClause(scan, pos, start) ||
		IsPublic(scan, scan->word_start))
		return false;
	if (SecretAt(scan, start, LOOKS_RANDOM, &start, &end))
		return NoteDue(scan, kind, start, end);
	/* a long one is not read again from each name in it */
	if (end > start + 64)
		scan->token_done = end;
	return false;
}

/*
 * Passes over what a pattern says: ' ' white space or none, 'N' the name of a
 * type or a function, 'A' the attributes of an element, 'Q' quotes or none,
 * 'L' up to two letters before a quote, all else itself.  The place behind;
 * 0 if the text is different.
 */
static size_t
PassPattern(const MaskScan *scan, size_t at, const char *pattern)
{
	for (; *pattern; pattern++)
	{
		size_t		start = at;

		switch (*pattern)
		{
			case ' ':
				while (at - start < 40 && IsSpace(ByteAt(scan, at)))
					at++;
				break;
			case 'Q':
				while (at - start < 4 && ByteAt(scan, at) != 0 &&
					   strchr("\"'\\`", scan->text[at]) != NULL)
					at++;
				break;
			case 'N':
				while (at - start < 40 &&
					   ((said[ByteAt(scan, at)] & SAID_TYPE) ||
						(ByteAt(scan, at) == ' ' &&
						 (ByteAt(scan, at + 1) == '|' ||
						  ByteBefore(scan, at) == '|'))))
					at++;
				if (at == start)
					return 0;
				break;
			case 'A':
				if (ByteAt(scan, at) != ' ')
					return 0;
				while (at - start < 60 && ByteAt(scan, at) != 0 &&
					   strchr("<>\n", scan->text[at]) == NULL)
					at++;
				break;
			case 'L':
				while (at - start < 2 && IsAlpha(ByteAt(scan, at)))
					at++;
				if (at == start || (ByteAt(scan, at) != '"' &&
									ByteAt(scan, at) != '\''))
					return 0;
				break;
			default:
				if (ByteAt(scan, at) != (unsigned char) *pattern)
					return 0;
				at++;
		}
	}
	return at;
}

/* What the value is in, behind a pattern. */
typedef enum ValueForm
{
	IN_QUOTES = 0,
	IN_ELEMENT,					/* with the beginning of its end tag behind */
	IN_OTHER,					/* in the next one, if it looks like a secret */
	IN_CALL,					/* in quotes, if it looks like a secret */
	IN_LINE						/* to the line's end */
} ValueForm;

/*
 * What may stand between a name and its value in code and configuration, and
 * which characters it begins with.
 */
static const struct
{
	const char *first;
	const char *pattern;
	ValueForm	form;
}			structures[] =

{
	{":", " : N = ", IN_QUOTES},	/* password: Optional[str] = "X" */
	{":", " : N = L", IN_QUOTES},
	{"=", " = L", IN_QUOTES},	/* password = b"X" */
	{":", " : L", IN_QUOTES},
	{"=", " = N(", IN_CALL},	/* secret = SecretStr("X") */
	{":", " : N(", IN_CALL},
	{":", " : N = N(", IN_CALL},
	{"=", " = N || ", IN_QUOTES},	/* = process.env.PASSWORD || "X" */
	{"=", " = N ?? ", IN_QUOTES},
	{"=", " = N(QNQ) or ", IN_QUOTES},
	{")", "Q ) || ", IN_QUOTES},
	{")", "Q ) or ", IN_QUOTES},	/* getenv("PASSWORD") or "X" */
	{"|", " || ", IN_QUOTES},
	{"?", " ?? ", IN_QUOTES},
	{"]", "Q]Q).N(", IN_QUOTES},	/* get("[name=password]").type("X") */
	{")", "Q).N(", IN_QUOTES},
	{")", "Q).N N(", IN_QUOTES},	/* expect(password).to eq("X") */
	{"(", " (", IN_CALL},		/* .password("X"), password ("X") */
	{"{", "Q { default = ", IN_QUOTES}, /* variable "password" { default = "X"
										 * } */
	{":", "Q : { Qvalue" "Q : ", IN_QUOTES},	/* "password": {"value": "X"} */
	{">", "Q > ", IN_ELEMENT},	/* <entry key="password">X</entry> */
	{"A", "QA> ", IN_ELEMENT},	/* <Password Type="x">X</Password> */
	{"<", "</N> <N> ", IN_OTHER},	/* <key>password</key><string>X</string> */
	{":", " : </N> ", IN_LINE}, /* <b>Password:</b> X */
	{"v", "Q\n value: ", IN_LINE},	/* - name: PASSWORD, value: X */
};

#define STRUCTURES (sizeof(structures) / sizeof(structures[0]))

/* By the first character that is no blank or quote, those that may follow. */
static uint32_t structures_for[256];

/* Those that begin with the name of a type, all and by what is behind it. */
static uint32_t typed_structures;
static uint32_t typed_for[256];

/* Fills the tables, once per process. */
static void
PrepareStructures(void)
{
	for (size_t i = 0; i < STRUCTURES; i++)
	{
		const char *pattern = structures[i].pattern;
		uint32_t	bit = UINT32_C(1) << i;

		for (int c = 1; c < 256; c++)
			if (structures[i].first[0] == 'A' ? IsAlpha((unsigned char) c) :
				structures[i].first[0] == c)
				structures_for[c] |= bit;
		if (strncmp(pattern, " : N", 4) != 0 && strncmp(pattern, " = N", 4) != 0)
			continue;
		typed_structures |= bit;
		typed_for[(unsigned char) pattern[4 + (pattern[4] == ' ')]] |= bit;
	}
}

/* Fills all tables; again is harmless. */
void
SpokenPrepare(void)
{
	PrepareLists();
	PrepareSaid();
	PrepareStructures();
}

/* True if a value ends as its form demands, and looks as it should. */
static bool
IsStructured(MaskScan *scan, ValueForm form, KeyKind kind, size_t at,
			 size_t *start, size_t *end)
{
	bool		quoted = ByteAt(scan, at) == '"' || ByteAt(scan, at) == '\'' ||
	ByteAt(scan, at) == '`';
	SecretLook	look = kind == KEY_PASSWORD && form != IN_CALL &&
	form != IN_OTHER ? LOOKS_NAMED : LOOKS_LIKELY;

	if (quoted != (form == IN_QUOTES || form == IN_CALL) && form != IN_LINE)
		return false;
	if (!SecretAt(scan, at, look, start, end))
		return false;
	return (form != IN_ELEMENT && form != IN_OTHER) || (ByteAt(scan, *end) == '<' &&
														ByteAt(scan, *end + 1) == '/');
}

/* A value that code or configuration assigns in a way of its own. */
static bool
NoteStructured(MaskScan *scan, size_t pos, KeyKind kind, unsigned char sign)
{
	uint32_t	set;
	size_t		start;
	size_t		end;

	/* only within an element do attributes follow */
	if (IsAlpha(sign) && sign != 'v' &&
		strchr("<:\"", ByteBefore(scan, scan->word_start)) == NULL)
		return false;
	set = structures_for[sign];
	if (set & typed_structures)
	{
		/* most of them are told apart by what follows the type */
		size_t		type = PassPattern(scan, pos, sign == ':' ? " : N " : " = N ");

		set &= ~typed_structures | (type > 0 ? typed_for[ByteAt(scan, type)] : 0);
	}
	for (; set != 0; set &= set - 1)
	{
		int			i = __builtin_ctz(set);
		size_t		at = PassPattern(scan, pos, structures[i].pattern);

		if (at > 0 && IsStructured(scan, structures[i].form, kind, at, &start,
								   &end))
			return NoteDue(scan, kind, start, end);
	}
	return false;
}

/*
 * The first character behind a name that is no blank or quote, or that begins
 * a name: of those that NoteStructured() knows.  '=' and ':' before what
 * DetectAssignment reads are 0.
 */
static unsigned char
SignAfter(const MaskScan *scan, size_t pos)
{
	size_t		at = pos;
	size_t		next;

	while (at - pos < 40 && (said[ByteAt(scan, at)] & SAID_BLANK))
		at++;
	next = at + 1;
	if (ByteAt(scan, at) != '=' && ByteAt(scan, at) != ':')
		return ByteAt(scan, at);
	while (ByteAt(scan, next) == ' ' && next - at < 4)
		next++;
	return (said[ByteAt(scan, next)] & SAID_TYPE) || ByteAt(scan, next) == '{' ||
		ByteAt(scan, next) == '<' ? scan->text[at] : 0;
}

/* Where the word goes on after its stem, it ends. */
static size_t
WordEnd(const MaskScan *scan, size_t pos)
{
	size_t		at = pos;

	while (at - pos < NAME_ROOM && InSet(ByteAt(scan, at), SET_NAME))
		at++;
	return at;
}

/* PASSWORD, SECRET: a value that is described: the password of the router is X. */
static bool
NoteDescribed(MaskScan *scan, size_t pos, KeyKind kind)
{
	size_t		start;
	size_t		end;
	size_t		value = DescribedValue(scan, pos);

	if (value == 0 && kind == KEY_PASSWORD)
		value = PossessedValue(scan, pos);
	return value > 0 &&
		SecretAt(scan, value, kind == KEY_PASSWORD ? LOOKS_LIKELY : LOOKS_MIXED,
				 &start, &end) &&
		NoteDue(scan, kind, start, end);
}

/*
 * PASSWORD, SECRET: what a name of one is followed by when no '=', ':' or
 * blank alone joins them.  pos is in the name.
 */
bool
OfferSpoken(MaskScan *scan, size_t pos, KeyKind kind)
{
	size_t		at = WordEnd(scan, pos);
	unsigned char sign = ByteAt(scan, at);
	MaskHit		hit = {0};

	if (scan->due != SIZE_MAX || InSet(sign, SET_NAME))
		return false;
	CountWork(scan, WORK_STEP * 2);
	if (kind > KEY_VENDOR && sign != ',' &&
		NoteStructured(scan, at, kind, SignAfter(scan, at)))
		return false;
	if (sign == '=')
		return false;
	if (sign == ',' && ByteAt(scan, at + 1) == ' ' && kind > KEY_VENDOR)
	{
		/* my password, X, is ... */
		size_t		start;
		size_t		end;

		if (SecretAt(scan, at + 2, LOOKS_LIKELY, &start, &end) &&
			ByteAt(scan, end) == ',')
			NoteDue(scan, kind, start, end);
		return false;
	}
	if (kind > KEY_VENDOR && sign != ':' && NoteDescribed(scan, at, kind))
		return false;
	if (kind == KEY_PASSWORD &&
		ValueBefore(scan, scan->word_start, &hit.start, &hit.end))
	{
		hit.entity = MASK_PASSWORD;
		hit.score = 0.7f;
		hit.validator = "context";
		MaskAddHit(scan, &hit);
	}
	else
		NoteToken(scan, at, kind);
	return false;
}

/* PASSWORD: names of passwords that are too short to be found as keys. */
bool
DetectShortName(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		at = WordEnd(scan, pos);
	size_t		start;
	size_t		end;
	bool		sign = false;

	(void) self;
	if (IsAlnum(ByteBefore(scan, scan->word_start)) || at - pos > 8)
		return false;
	while (at - pos < 24 && at < scan->len)
	{
		unsigned char c = scan->text[at];

		end = c == ' ' ? IsWord(scan, at + 1) : 0;
		if (end > 0)
		{
			at = end;
			sign = true;
		}
		else if (c == ':' || c == '=' || c == '-')
			sign = true;
		else if (c != ' ' && c != '*' && c != '\t')
			break;
		at++;
	}
	return at > pos && SecretAt(scan, at, LOOKS_LIKELY, &start, &end) &&
		(sign || end - start >= 7) &&
		NoteDue(scan, KEY_PASSWORD, start, end) && false;
}

/*
 * Where the first of a pair begins, behind "are", a sign, or what the pair is
 * for and a sign; pos if nothing is between.
 */
static size_t
PairStart(const MaskScan *scan, size_t pos)
{
	size_t		at = pos;

	if (ByteAt(scan, at) == ' ' && ListedAt(scan, at + 1, LIST_TO) > 0)
		while (at - pos < 40 && ByteAt(scan, at) >= ' ' && scan->text[at] != ':')
			at++;
	else if (ByteAt(scan, at) == ' ' && ListedAt(scan, at + 1, LIST_ARE) > 0)
		at += ByteAt(scan, at + 1) == 'i' ? 3 : 4;
	while (at - pos < 44 && at < scan->len &&
		   strchr(" :=-*\"'\n", scan->text[at]) != NULL)
		at++;
	return at;
}

/*
 * PASSWORD: "creds: admin / X", "Wi-Fi: Home / X".  What is before the sign
 * between the two is a name; behind a blank alone more is asked of the value.
 */
bool
DetectPair(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		at = PairStart(scan, pos);
	size_t		name = at;
	size_t		sign;
	size_t		start;
	size_t		end;

	(void) self;
	if (at == pos)
		return false;
	while (at - name < 40 && (InSet(ByteAt(scan, at), SET_NAME) ||
							  (ByteAt(scan, at) == '.' &&
							   IsAlnum(ByteAt(scan, at + 1))) ||
							  ByteAt(scan, at) == '@'))
		at++;
	if (at < name + 2 || !(IsAlpha(scan->text[name]) || scan->text[name] >= 0x80))
		return false;
	sign = at;
	while (at - sign < 4 && at < scan->len &&
		   strchr(" /:|", scan->text[at]) != NULL)
		at++;
	if (at == sign || !SecretAt(scan, at, LOOKS_LIKELY, &start, &end))
		return false;
	/* "creds in 1Password" */
	if (at == sign + 1 && scan->text[sign] == ' ' &&
		sign - name < (scan->text[name] < 0x80 ? 4 : 7) &&
		!SecretAt(scan, at, LOOKS_MIXED, &start, &end))
		return false;
	NoteDue(scan, KEY_PASSWORD, start, end);
	return false;
}

/*
 * Calls, by the first letters of their names, and which argument is it: 0 for
 * the last, -1 for the first text that looks like one behind another.
 */
static const struct
{
	const char *name;
	int			number;
}			calls[] =

{
	{"networkcredential", 2}, {"pscredential", 2}, {"httpbasicauth", 2},
	{"setbasicauth", 2}, {"basicawscredentials", 2}, {"directoryentry", 3},
	{"mysqli_connect", 3}, {"mysql_connect", 3}, {"pdo", 3},
	{"getconnection", 0}, {"usernamepassword", 2}, {"credentials", 2},
	{"connect", -1}, {"basic", 2}, {"check_password_hash", 2}, {"hashpw", 1},
	{"crypt", 1}, {"auth", 2}, {"login", 2}, {"identified", 1},
	{"convertto", 1}, {"curlopt_userpwd", 1}, {"jwt", 2},
};

#define NO_CALL (-2)

/*
 * The place of the call's arguments; 0 if none are there.  Some statements
 * have no brackets: "IDENTIFIED BY", "ConvertTo-SecureString".
 */
static size_t
CallOpening(const MaskScan *scan, size_t pos, int number)
{
	size_t		at = pos;

	while (at - pos < 48 && at < scan->len && number == 1 &&
		   (InSet(scan->text[at], SET_NAME) ||
			strchr(" .,\\", scan->text[at]) != NULL))
		at++;
	while (number != 1 && at - pos < 24 &&
		   (IsAlpha(ByteAt(scan, at)) || ByteAt(scan, at) == '=' ||
			ByteAt(scan, at) == '.' || ByteAt(scan, at) == ' '))
		at++;
	if (ByteAt(scan, at) == '(')
		return at + 1;
	return number == 1 && (ByteAt(scan, at) == '"' || ByteAt(scan, at) == '\'') ?
		at : 0;
}

/* The end of a text in quotes that begins at pos; limit if it has none. */
static size_t
TextEnd(const MaskScan *scan, size_t pos, size_t limit)
{
	const unsigned char *quote = memchr(scan->text +pos + 1, scan->text[pos],
										limit - pos - 1);

	return quote == NULL ? limit : (size_t) (quote - scan->text);
}

/*
 * The quote of the argument that is the password; 0 if it is no text.  An
 * argument may have a letter before its quote (b"X").
 */
static size_t
PasswordArgument(MaskScan *scan, size_t pos, int number)
{
	size_t		limit = pos + 240 < scan->len ? pos + 240 : scan->len;
	size_t text = 0;
	size_t		begin = pos;
	size_t		start;
	size_t		end;
	int			count = 1;
	size_t		at;

	for (at = pos; at < limit; at++)
	{
		unsigned char c = scan->text[at];

		if (!(said[c] & SAID_CALL))
			continue;
		if (c == ')' || c == ';')
			break;
		if (c == ',' || c == '(')
		{
			count += c == ',';
			begin = at + 1;
			text = 0;
		}
		else if (IsSpace(c) && at == begin)
			begin++;
		else if (c == '"' || c == '\'')
		{
			text = at <= begin + 1 ? at : 0;

			at = TextEnd(scan, at, limit);
			if (text >0 && (count == number ||
							(number < 0 && count > 1 &&
							 SecretAt(scan, text, LOOKS_LIKELY, &start, &end))))
				return text;
		}
	}
	CountWork(scan, (at - pos) / 2);
	return number == 0 && count > 1 ? text : 0;
}

/* The same; where the second is no password another may be, or a token. */
static size_t
FittingArgument(MaskScan *scan, size_t pos, int number)
{
	size_t		at = PasswordArgument(scan, pos, number);
	size_t		other;
	size_t		start;
	size_t		end;

	if (number != 2 || (at > 0 && SecretAt(scan, at, LOOKS_LIKELY, &start, &end)))
		return at;
	other = PasswordArgument(scan, pos, -1);
	if (other > 0 || at > 0)
		return other > 0 ? other : at;
	at = PasswordArgument(scan, pos, 1);
	return at > 0 && SecretAt(scan, at, LOOKS_RANDOM, &start, &end) ? at : 0;
}

/* PASSWORD: the argument of a call that is its password. */
bool
DetectCall(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	size_t		start;
	size_t		end;
	size_t		at;
	int			number = NO_CALL;

	(void) self;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if ((scan->text[scan->word_start] | 0x20) == calls[i].name[0] &&
			FoldMatch(scan->text, scan->len, scan->word_start, calls[i].name,
					  strlen(calls[i].name)) > 0)
			number = calls[i].number;
	at = number == NO_CALL ? 0 : CallOpening(scan, pos, number);
	if (at > 0)
		at = FittingArgument(scan, at, number);
	else if (number == 1 && ByteAt(scan, pos) == ' ' &&
			 FoldMatch(scan->text, pos, scan->word_start, "identified by", 13) > 0 &&
			 SecretAt(scan, pos + 1, LOOKS_LIKELY, &start, &end))
		at = pos + 1;
	if (at > 0 && SecretAt(scan, at, LOOKS_NAMED, &start, &end))
		NoteDue(scan, KEY_PASSWORD, start, end);
	return false;
}
