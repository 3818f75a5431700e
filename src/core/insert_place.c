/*
 * insert_place.c
 *	  Finds the column of an INSERT that a place in its text belongs to.
 *
 * An error about a literal says where it stands and not for which column it
 * was.  It is reported when nothing can be looked up and the parser must not be
 * called, which may complain itself; so the text is read here, as far as it
 * takes to tell words, strings, comments and parentheses apart.  What comes
 * out of a text is a number and a name from its list of columns.
 */
#include "core/insert_place.h"

#include <stdint.h>
#include <string.h>

/* Deepest nesting of parentheses that is followed. */
#define DEPTH_MAX 200

/* Most columns whose names are kept; later ones are told by number. */
#define COLUMNS_MAX 128

typedef enum TokenKind
{
	TOKEN_END = 0,
	TOKEN_WORD,					/* keyword or identifier */
	TOKEN_QUOTED,				/* "identifier" */
	TOKEN_PARAMETER,			/* $1 */
	TOKEN_OTHER					/* one character, or a string or number */
} TokenKind;

typedef struct Token
{
	TokenKind	kind;
	const char *start;
	const char *end;
	char		sign;			/* TOKEN_OTHER: its first character */
} Token;

/* A part of the text. */
typedef struct Span
{
	const char *start;
	const char *end;
} Span;

/* How far into an INSERT the walk has come. */
typedef enum InsertState
{
	INSERT_NONE = 0,
	INSERT_WORD,				/* INSERT was read */
	INSERT_TABLE,				/* INTO: the table's name and alias */
	INSERT_COLUMNS,				/* in the list of columns */
	INSERT_LISTED,				/* behind it */
	INSERT_VALUES,				/* VALUES: between rows */
	INSERT_ROW,					/* in a row */
	INSERT_SELECT				/* in what SELECT computes */
} InsertState;

typedef struct Walk
{
	const char *at;
	bool		backslashes;
	int			depth;
	InsertState state;
	int			base;			/* depth of the INSERT */
	int			number;			/* of the value, in a row */
	int			ncolumns;
	Span		columns[COLUMNS_MAX];
	Span		named;			/* last part of the column being read */
} Walk;

static bool
IsWordStart(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
		(unsigned char) c >= 0x80;
}

static bool
IsDigit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
IsWordPart(char c)
{
	return IsWordStart(c) || IsDigit(c) || c == '$';
}

static char
Lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c + ('a' - 'A')) : c;
}

/* Behind a string or quoted name whose quote is at at, or the text's end. */
static const char *
SkipQuoted(const char *at, bool backslashes)
{
	char		quote = *at++;

	while (*at != '\0')
	{
		if (*at == '\\' && backslashes && at[1] != '\0')
			at++;
		else if (*at == quote)
		{
			if (at[1] != quote)
				return at + 1;
			at++;
		}
		at++;
	}
	return at;
}

/* Behind a comment with comments in it. */
static const char *
SkipComment(const char *at)
{
	int			depth = 0;

	for (; *at != '\0'; at++)
	{
		if (at[0] == '/' && at[1] == '*')
		{
			depth++;
			at++;
		}
		else if (at[0] == '*' && at[1] == '/')
		{
			at++;
			if (--depth == 0)
				return at + 1;
		}
	}
	return at;
}

/* Behind blanks and comments. */
static const char *
SkipBlank(const char *at)
{
	for (;;)
	{
		if (*at == ' ' || (*at >= '\t' && *at <= '\r'))
			at++;
		else if (at[0] == '-' && at[1] == '-')
			at += strcspn(at, "\r\n");
		else if (at[0] == '/' && at[1] == '*')
			at = SkipComment(at);
		else
			return at;
	}
}

/* Behind a dollar-quoted string; NULL if there is none at at. */
static const char *
SkipDollar(const char *at)
{
	const char *tag = at + 1;
	size_t		len;

	if (IsDigit(*tag))
		return NULL;
	while (IsWordPart(*tag) && *tag != '$')
		tag++;
	if (*tag != '$')
		return NULL;
	len = (size_t) (tag + 1 - at);
	for (tag++; *tag != '\0'; tag++)
	{
		if (*tag == '$' && strncmp(tag, at, len) == 0)
			return tag + len;
	}
	return tag;
}

/* A word, or the string that it introduces: E'', B'', X'', N'', U&'', U&"". */
static void
ReadWord(Walk *walk, Token *token)
{
	const char *at = walk->at;
	char		first = Lower(*at);

	if (first == 'u' && at[1] == '&' && (at[2] == '\'' || at[2] == '"'))
	{
		token->kind = TOKEN_OTHER;
		token->end = SkipQuoted(at + 2, false);
		return;
	}
	if ((first == 'e' || first == 'b' || first == 'x' || first == 'n') &&
		at[1] == '\'')
	{
		token->kind = TOKEN_OTHER;
		token->end = SkipQuoted(at + 1, first == 'e' ||
								(first == 'n' && walk->backslashes));
		return;
	}
	while (IsWordPart(*at))
		at++;
	token->kind = TOKEN_WORD;
	token->end = at;
}

/* The next token; blanks and comments are none. */
static void
ReadToken(Walk *walk, Token *token)
{
	const char *at = walk->at = SkipBlank(walk->at);
	const char *end;

	token->start = at;
	token->sign = *at;
	token->kind = TOKEN_OTHER;
	token->end = at + 1;
	if (*at == '\0')
	{
		token->kind = TOKEN_END;
		token->end = at;
	}
	else if (IsWordStart(*at))
		ReadWord(walk, token);
	else if (*at == '"')
	{
		token->kind = TOKEN_QUOTED;
		token->end = SkipQuoted(at, false);
	}
	else if (*at == '\'')
		token->end = SkipQuoted(at, walk->backslashes);
	else if (*at == '$' && (end = SkipDollar(at)) != NULL)
		token->end = end;
	else if (*at == '$' && IsDigit(at[1]))
	{
		token->kind = TOKEN_PARAMETER;
		at++;
		while (IsDigit(*at))
			at++;
		token->end = at;
	}
	else if (IsDigit(*at))
	{
		while (IsWordPart(*at) || *at == '.')
			at++;
		token->end = at;
	}
	walk->at = token->end;
}

static bool
IsWord(const Token *token, const char *word)
{
	size_t		len = (size_t) (token->end - token->start);

	if (token->kind != TOKEN_WORD || strlen(word) != len)
		return false;
	for (size_t i = 0; i < len; i++)
	{
		if (Lower(token->start[i]) != word[i])
			return false;
	}
	return true;
}

static bool
IsSign(const Token *token, char sign)
{
	return token->kind == TOKEN_OTHER && token->sign == sign;
}

/* Keeps the name of a column that has been read to its end. */
static void
EndColumn(Walk *walk)
{
	if (walk->ncolumns < COLUMNS_MAX)
		walk->columns[walk->ncolumns] = walk->named;
	walk->ncolumns++;
	walk->named.start = walk->named.end = NULL;
}

/* In the list of columns: only the column's own name, no part or element. */
static void
StepColumns(Walk *walk, const Token *token)
{
	if (walk->depth == walk->base && IsSign(token, ')'))
	{
		EndColumn(walk);
		walk->state = INSERT_LISTED;
	}
	else if (walk->depth != walk->base + 1)
		return;
	else if (IsSign(token, ','))
		EndColumn(walk);
	else if ((token->kind == TOKEN_WORD || token->kind == TOKEN_QUOTED) &&
			 walk->named.start == NULL)
	{
		walk->named.start = token->start;
		walk->named.end = token->end;
	}
}

/* Behind INTO, up to VALUES or SELECT; no other source of rows matters. */
static void
StepTable(Walk *walk, const Token *token)
{
	if (walk->depth == walk->base + 1 && IsSign(token, '(') &&
		walk->state == INSERT_TABLE)
		walk->state = INSERT_COLUMNS;
	else if (walk->depth != walk->base)
		return;
	else if (IsWord(token, "values"))
		walk->state = INSERT_VALUES;
	else if (IsWord(token, "select"))
	{
		walk->state = INSERT_SELECT;
		walk->number = 1;
	}
	else if (IsWord(token, "with") || IsWord(token, "table"))
		walk->state = INSERT_NONE;
}

/* In the list of a SELECT, up to what ends it. */
static void
StepSelect(Walk *walk, const Token *token)
{
	static const char *const ends[] = {
		"from", "where", "group", "having", "window", "union", "intersect",
		"except", "order", "limit", "offset", "fetch", "conflict", "returning"
	};

	if (walk->depth != walk->base)
		return;
	if (IsSign(token, ','))
		walk->number++;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
	{
		if (IsWord(token, ends[i]))
			walk->state = INSERT_NONE;
	}
}

/* Between rows and in them. */
static void
StepValues(Walk *walk, const Token *token)
{
	if (walk->state == INSERT_VALUES)
	{
		if (walk->depth == walk->base + 1 && IsSign(token, '('))
		{
			walk->state = INSERT_ROW;
			walk->number = 1;
		}
		else if (!IsSign(token, ',') && !IsSign(token, ')'))
			walk->state = INSERT_NONE;
	}
	else if (walk->depth == walk->base + 1 && IsSign(token, ','))
		walk->number++;
	else if (walk->depth == walk->base && IsSign(token, ')'))
		walk->state = INSERT_VALUES;
}

/* One token further; depth is that behind an opening, a closing parenthesis. */
static void
Step(Walk *walk, const Token *token)
{
	if (IsSign(token, '(') || IsSign(token, '['))
		walk->depth++;
	else if (IsSign(token, ')') || IsSign(token, ']'))
		walk->depth--;
	if (IsSign(token, ';') || walk->depth < walk->base)
		walk->state = INSERT_NONE;

	if (walk->state == INSERT_TABLE || walk->state == INSERT_LISTED)
		StepTable(walk, token);
	else if (walk->state == INSERT_COLUMNS)
		StepColumns(walk, token);
	else if (walk->state == INSERT_VALUES || walk->state == INSERT_ROW)
		StepValues(walk, token);
	else if (walk->state == INSERT_SELECT)
		StepSelect(walk, token);
	else if (walk->state == INSERT_WORD)
		walk->state = IsWord(token, "into") ? INSERT_TABLE : INSERT_NONE;
	else if (IsWord(token, "insert"))
	{
		walk->state = INSERT_WORD;
		walk->base = walk->depth;
		walk->ncolumns = 0;
		walk->named.start = walk->named.end = NULL;
	}
}

/* The place of a character, counted from 1; NULL if the text is shorter. */
static const char *
CharacterAt(const char *sql, size_t number)
{
	for (; *sql != '\0'; sql++)
	{
		if (((unsigned char) *sql & 0xC0) != 0x80 && --number == 0)
			return sql;
	}
	return NULL;
}

/* Copies a name as the server reads it; none that would have to be cut. */
static void
CopyName(const Span *span, char *name)
{
	const char *at = span->start;
	bool		quoted = *at == '"';
	const char *end = quoted ? span->end - 1 : span->end;
	size_t		len = 0;

	for (at += quoted; at < end && len < INSERT_PLACE_NAME - 1; at++)
	{
		if (quoted && *at == '"')
			at++;				/* it stands there twice */
		name[len++] = quoted ? *at : Lower(*at);
	}
	name[at < end ? 0 : len] = '\0';
}

/* True if the token is, or holds, what is looked for. */
static bool
TokenIsTarget(const Token *token, const char *character, int parameter)
{
	long		number = 0;

	if (character != NULL)
		return token->start <= character && character < token->end;
	if (token->kind != TOKEN_PARAMETER)
		return false;
	for (const char *at = token->start + 1; at < token->end && number < 100000; at++)
		number = number * 10 + (*at - '0');
	return number == parameter;
}

bool
InsertPlaceFind(const char *sql, const InsertTarget *target,
				bool backslashes, InsertPlace *place)
{
	Walk		walk = {.at = sql,.backslashes = backslashes};
	const char *character = NULL;
	Token		token;

	if (strnlen(sql, INSERT_PLACE_TEXT) == INSERT_PLACE_TEXT)
		return false;
	if (target->character > 0)
		character = CharacterAt(sql, target->character);
	if (character == NULL && target->parameter <= 0)
		return false;
	for (;;)
	{
		ReadToken(&walk, &token);
		if (token.kind == TOKEN_END || walk.depth > DEPTH_MAX ||
			(character != NULL && token.start > character))
			return false;
		if ((walk.state == INSERT_ROW || walk.state == INSERT_SELECT) &&
			TokenIsTarget(&token, character, target->parameter))
			break;
		Step(&walk, &token);
	}
	place->number = walk.number;
	place->name[0] = '\0';
	if (walk.number <= walk.ncolumns && walk.number <= COLUMNS_MAX &&
		walk.columns[walk.number - 1].start != NULL)
		CopyName(&walk.columns[walk.number - 1], place->name);
	return true;
}
