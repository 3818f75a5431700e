/*
 * detect_person.c
 *	  Names after a cue.  Names can't be found reliably by pattern; what a
 *	  gateway knows of its customer comes through known values.
 */
#include "mask/lexicon.h"
#include "mask/scan.h"

#include <string.h>

/* The length of the letter at pos (1 or 2 bytes), 0 if it is none. */
static size_t
LetterAt(const MaskScan *scan, size_t pos)
{
	unsigned char c = ByteAt(scan, pos);

	if (IsAlpha(c))
		return 1;
	return c >= 0xC3 && c <= 0xDF && pos + 1 < scan->len ? 2 : 0;
}

/* A capital begins at pos. */
static bool
CapitalAt(const MaskScan *scan, size_t pos)
{
	unsigned char folded[2];
	size_t		n = LetterAt(scan, pos);

	if (n == 0)
		return false;
	FoldCopy(scan->text +pos, n, folded);
	return memcmp(folded, scan->text +pos, n) != 0;
}

/* The end of a word of letters, with inner hyphens and apostrophes. */
static size_t
NameEnd(const MaskScan *scan, size_t pos)
{
	size_t		at = pos;
	size_t		n;

	while (at - pos < 60)
	{
		n = LetterAt(scan, at);
		if (n == 0 && (ByteAt(scan, at) == '-' || ByteAt(scan, at) == '\''))
			n = LetterAt(scan, at + 1) ? 1 : 0;
		if (n == 0)
			break;
		at += n;
	}
	return at;
}

/* Small words inside of a name: van, de, bin. */
static size_t
ParticleEnd(const MaskScan *scan, size_t pos)
{
	static const char *const particles[] =
	{"van ", "von ", "de ", "der ", "den ", "di ", "da ", "dos ", "bin ",
	"al ", "el ", "la ", "le ", "ibn ", "uly ", "kyzy "};

	unsigned char first = ByteAt(scan, pos);

	if (first < 'a' || first > 'v')
		return pos;
	for (size_t i = 0; i < sizeof(particles) / sizeof(particles[0]); i++)
	{
		size_t		len;

		if ((unsigned char) particles[i][0] != first)
			continue;
		len = strlen(particles[i]);
		if (pos + len < scan->len &&
			memcmp(scan->text +pos, particles[i], len) == 0)
			return pos + len;
	}
	return pos;
}

/*
 * Up to four capitalised words and initials from pos; the end of the last.
 * *count becomes the number of words.
 */
static size_t
FullNameEnd(const MaskScan *scan, size_t pos, int *count)
{
	size_t		end = pos;
	size_t		at = pos;

	for (*count = 0; *count < 4; (*count)++)
	{
		size_t		word;

		if (*count > 0)
			at = ParticleEnd(scan, at);
		if (!CapitalAt(scan, at))
			break;
		word = NameEnd(scan, at);
		if (word - at <= 2 && ByteAt(scan, word) == '.')
			word++;				/* an initial */
		end = at = word;
		if (ByteAt(scan, at) == ' ')
			at++;
		else if (ByteBefore(scan, at) != '.')
		{
			(*count)++;
			break;
		}
	}
	return end;
}

/* Words that follow "my name is" without being a name. */
static const char no_names[] =
" the not on in a an and very so too also that this what it no of "
"for at my your misspelled wrong spelled unknown listed different "
LEX_NO_NAME;

typedef struct NoName
{
	const char *text;
	size_t		len;
} NoName;

#define NO_NAMES 64
static NoName no_name[NO_NAMES];

/* By their first bytes: a bit for each. */
static uint64_t no_name_bits[256];

/* Fills these in, once per process. */
static void
PrepareNoNames(void)
{
	const char *word = no_names + 1;

	for (int i = 0; i < NO_NAMES && *word; i++)
	{
		no_name[i].text = word;
		no_name[i].len = strcspn(word, " ");

		no_name_bits[(unsigned char) *word] |= UINT64_C(1) << i;
		word += no_name[i].len + 1;
	}
}

/* True for one of them. */
static bool
IsNoName(const MaskScan *scan, size_t pos, size_t end)
{
	size_t		len = end - pos;

	if (len > 36)
		return true;
	if (no_name[0].len == 0)
		PrepareNoNames();
	for (uint64_t bits = no_name_bits[ByteAt(scan, pos)]; bits != 0;
		 bits &= bits - 1)
	{
		int			i = __builtin_ctzll(bits);

		if (no_name[i].len == len &&
			memcmp(no_name[i].text, scan->text +pos, len) == 0)
			return true;
	}
	return false;
}

/*
 * PERSON: the name after a cue.  The entry's detail says what the cue is:
 * 's' a whole sentence ("my name is"), which also takes one word in small
 * letters; ':' a label that a colon must follow; '2' a label so common that
 * two words must follow; nothing, a title.
 */
bool
DetectPerson(MaskScan *scan, const MaskDetector *self, size_t pos)
{
	MaskHit		hit = {0};
	size_t		at = pos;
	bool		colon = false;
	char		kind = self->charset ? self->charset[0] : 0;
	int			words;

	while (at - pos < 4 && (ByteAt(scan, at) == '.' || ByteAt(scan, at) == ' ' ||
							ByteAt(scan, at) == ':' || ByteAt(scan, at) == '='
							|| ByteAt(scan, at) == '"' ||
							ByteAt(scan, at) == '-'))
		colon |= strchr(":=-", scan->text[at++]) != NULL;
	if (at == pos || ((kind == ':' || kind == '2') && !colon))
		return false;
	hit.start = at;
	hit.end = FullNameEnd(scan, at, &words);
	if (kind == '2' && words < 2)
		return false;
	if (hit.end == at && kind == 's')
	{
		hit.end = NameEnd(scan, at);
		if (IsNoName(scan, at, hit.end))
			return false;
	}
	if (hit.end < at + 2)
		return false;
	hit.entity = self->entity;
	hit.score = 0.7f;
	hit.validator = "cue";
	MaskAddHit(scan, &hit);
	return true;
}
