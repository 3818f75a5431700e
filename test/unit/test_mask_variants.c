/*
 * test_mask_variants.c
 *	  The vector variants of the classifier give the same masks as the
 *	  portable one, and whole scans the same findings, on random and on
 *	  hostile bytes; and hostile text takes linear time.
 */
/* links: src/mask/[c-k]*.c src/mask/[nrstvw][aceho-u]*.c src/core/sha256.c */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mask/encoding.h"
#include "mask/scan.h"
#include "mask_tap.h"

static const char *const pieces[] =
{
	"4111111111111111", "ivan@bank.kz", "password=", "hunter2 ", "a", "1",
	" ", "-", "::", "\xd0\xb8", "\xe2\x80\x8b", "\xff", "sk-ant-abc",
	"+7 701 ", "card ", "\n", "{\"", "://", "@", "=", "Ab", "9Z",
};

/* Fills a text with pieces and random bytes. */
static void
Fill(unsigned char *text, size_t len)
{
	size_t		pos = 0;

	while (pos < len)
	{
		const char *piece = pieces[Random(22)];
		size_t		n = strlen(piece);

		if (Random(4) == 0)
		{
			text[		pos++] = (unsigned char) Random(256);

			continue;
		}
		if (n > len - pos)
			n = len - pos;
		memcpy(text +pos, piece, n);
		pos += n;
	}
}

/* Masks of one variant against the portable ones, bit for bit. */
static bool
SameMasks(ClassifyBlock variant)
{
	ClassifyBlock portable = ClassifyChoose(MASK_SIMD_SCALAR);
	unsigned char block[64];

	for (int round = 0; round < 5000; round++)
	{
		BlockMasks	a;
		BlockMasks	b;

		for (int i = 0; i < 64; i++)
			block[i] = (unsigned char) (round < 4 ? round * 64 + i :
										Random(256));
		portable(block, &a);
		variant(block, &b);
		if (memcmp(&a, &b, sizeof(a)) != 0)
			return false;
	}
	return true;
}

/* True if two lists of findings are the same. */
static bool
SameHits(const MaskHit *a, size_t a_count, const MaskHit *b, size_t b_count)
{
	bool		same = a_count == b_count;

	for (size_t i = 0; i < a_count && same; i++)
		same = a[i].start == b[i].start && a[i].end == b[i].end &&
			a[i].entity == b[i].entity && a[i].keep == b[i].keep &&
			a[i].score == b[i].score && a[i].validator == b[i].validator;
	return same;
}

/* Findings of one variant against the portable ones. */
static bool
SameFindings(MaskSimd simd)
{
	unsigned char *text = malloc(4096);
	bool		same = true;

	for (int round = 0; round < 400 && same; round++)
	{
		size_t		len = Random(4096);
		MaskHit    *a;
		MaskHit    *b;
		size_t		a_count;
		size_t		b_count;

		Fill(text, len);
		MaskSetSimd(MASK_SIMD_SCALAR);
		FindWithSet(&plain, NULL, (char *) text, len, &a, &a_count);
		MaskSetSimd(simd);
		FindWithSet(&plain, NULL, (char *) text, len, &b, &b_count);
		same = SameHits(a, a_count, b, b_count);
		free(a);
		free(b);
	}
	free(text);
	return same;
}

/*
 * A text in disorder: a few characters of all, or signs and what may be
 * beside them, so that all that a filter looks at comes in all orders.
 */
static void
FillDisorder(char *text, size_t len)
{
	static const char *const sets[] = {
		"ab1.:=@ ", ":0aF", "a1@._-", "abc =:\"'{}[],1", "12 -.,()/\n", "key:=1 ",
		"1234:ABCDabcd_-", "pwd=:1 .", "0123456789 -.,:/@=", "born 1 2,-",
	};
	static const char *const words[] = {
		"password=", "born 12", "12-ab-3c-4d-5e-6f ", "4403_1234_5678_1298",
		",1.2.3.4,", ",12-34-ab-cd-ef-01 ",
	};
	const char *set = sets[Random(10)];
	unsigned	n = (unsigned) strlen(set);

	for (size_t i = 0; i < len; i++)
		text[		i] = set[Random(n)];

	for (size_t i = 0; i + 20 < len && Random(4) > 0; i += Random(300))
	{
		const char *word = words[Random(6)];

		memcpy(text +i, word, strlen(word));
	}
}

/* Findings with the filter of events and without. */
static bool
SameFiltered(int rounds)
{
	static char text[4096];
	size_t		all = 0;
	bool		same = true;

	for (int round = 0; round < rounds && same; round++)
	{
		MaskHit    *hits[2];
		size_t		count[2];
		size_t		len = 1 + Random(round % 8 ? 200 : sizeof(text));

		FillDisorder(text, len);
		for (int pass = 0; pass < 2; pass++)
		{
			MaskPassAll(pass);
			FindWithSet(&plain, NULL, text, len, &hits[pass], &count[pass]);
		}
		same = SameHits(hits[0], count[0], hits[1], count[1]);
		all += count[0];
		free(hits[0]);
		free(hits[1]);
	}
	MaskPassAll(false);
	return same && all > 10000;
}

/*
 * A text that repeats a piece, or two, between pieces in disorder.  The piece
 * is made of others; some texts have an error in the row.
 */
static void
FillRepeating(unsigned char *text, size_t len)
{
	unsigned char piece[200];
	size_t		size = 1 + Random(Random(3) ? 40 : sizeof(piece));
	size_t		at = Random(2000);

	Fill(text, at);
	for (int part = 0; part < 2; part++)
	{
		size_t		end = part ? len : at + (len - at) / (1 + Random(3));

		Fill(piece, size);
		for (size_t i = 0; at < end; i++)
			text[		at++] = piece[i % size];
	}
	if (Random(3) == 0)
		text[		Random((unsigned) len)] = '7';
}

/* Findings where repetitions are passed over, and where all is read. */
static bool
SameRepeated(int rounds)
{
	static unsigned char text[200000];
	size_t		all = 0;
	bool		same = true;

	for (int round = 0; round < rounds && same; round++)
	{
		MaskHit    *hits[2];
		size_t		count[2];
		size_t		len = sizeof(text) - Random(64);

		FillRepeating(text, len);
		for (int pass = 0; pass < 2; pass++)
		{
			MaskPassRepeats(pass);
			FindWithSet(&plain, NULL, (char *) text, len, &hits[pass],
						&count[pass]);
		}
		same = SameHits(hits[0], count[0], hits[1], count[1]);
		all += count[0];
		free(hits[0]);
		free(hits[1]);
	}
	return same && all > 10000;
}

static const char *const hostile[] =
{
	"1", "1 ", "1-", "a1", "a@", "@", ":", "::", "=", "token=", "://a:b",
	"sk-", "eyJ", "eyJaaaaaaaaaaaaaaaaaa.", "-----BEGIN RSA PRIVATE KEY-----",
	"card 1 ", "my name is ", "curl ", "Bearer ", "4403 1234 5678 129",
	"1BoatSLRHtKNngkdXEeobR76b53LETtpyT ", "\xe2\x80\x8b", "[", "{\"a\":",
};

/* Seconds of processor time for masking len bytes of a repeated piece. */
static double
Seconds(const char *piece, size_t len)
{
	char	   *text = malloc(len);
	size_t		n = strlen(piece);
	clock_t		from;
	MaskResult	result;

	for (size_t i = 0; i < len; i++)
		text[		i] = piece[i % n];

	from = clock();
	if (MaskDocument(&plain, text, len, &result) == MASK_MASKED)
		free(result.text);
	free(text);
	return (double) (clock() - from) / CLOCKS_PER_SEC;
}

/* Eight times the text may take at most sixteen times the time. */
static void
TestLinear(void)
{
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
	{
		char		name[100];
		bool		linear = false;

		/* what takes quadratic time does so each time */
		for (int round = 0; round < 5 && !linear; round++)
		{
			double		small = Seconds(hostile[i], 40000);
			double		large = Seconds(hostile[i], 320000);

			linear = large < 0.02 || large < small * 16;
		}
		snprintf(name, sizeof(name), "linear: %.40s", hostile[i]);
		Ok(linear, name);
	}
}

/*
 * The slowest texts that the search in test/bench/mask_throughput.c has found,
 * one of each cause, and some that took quadratic time once.
 */
static const char *const slowest[] =
{
	"eyJ-", "-eyJAC", "1Q~", "MTab", "&", "'&", "(1", "1.1.", "1-", "1:", ":a",
	"token: \"", "password: ", "secret=x1 ", "Bearer key-", "tokenBearer ",
	"GB82WEST.", "a.aA1234567", "ffe80::1", "0x00:1a:2b", "4b1dSG.", "sk-",
	"|bc1q", "\xe2\x80\x94password: ", "&bc1q", "@1.1.1.1", "tel 1 123456789012",
	"<token>%31", "1200:1a:2b", "born 1 1990-01-01 ", "@123456", "Mr. 0x",
	"card ", "my name is ", "1048576 2024-05-17 12:30:45 0.000123 4403 1234 ",
	"4403 1234 5678 129 ", "%31", "&#49;", "\\u0031", "\xd9\xa1", "4403_",
	"curl  ", "1234567890tel 1 ", "api_key=\"",
};

/* Times that a text may take as long as prose does; sanitizers change it. */
#define SLOWEST_TIMES 80

/* The best of some measurements. */
static double
BestSeconds(const char *piece, size_t len)
{
	double		best = Seconds(piece, len);

	for (int i = 0; i < 4; i++)
	{
		double		again = Seconds(piece, len);

		if (again < best)
			best = again;
	}
	return best;
}

/* No text takes a great many times as long as prose of the same length. */
static void
TestSlowest(void)
{
	size_t		len = 200000;
	double		prose = BestSeconds("Summarise the attached report in five "
									"points, and keep the tone neutral. ",
									len);

	for (size_t i = 0; i < sizeof(slowest) / sizeof(slowest[0]); i++)
	{
		double		times = BestSeconds(slowest[i], len) / prose;
		char		name[120];

		snprintf(name, sizeof(name), "%s: %d times prose at most", slowest[i],
				 SLOWEST_TIMES);
		Ok(times < SLOWEST_TIMES, name);
		printf("# %.1f times\n", times);
	}
}

/* A text of repetitions takes a part of the time once they are passed over. */
static bool
PassesRepeats(void)
{
	const char *piece = "4403 1234 5678 1297, 17.05.1990 ";
	double		all;

	MaskPassRepeats(false);
	all = BestSeconds(piece, 1000000);
	MaskPassRepeats(true);
	return BestSeconds(piece, 1000000) < all / 2;
}

/* Characters of all lengths at the edges of what is allowed, and beyond. */
static const char *const characters[] =
{
	"a", "%41", "&#65;", "\xc2\x80", "\xd0\xb8", "\xdf\xbf", "\xe0\xa0\x80",
	"\xed\x9f\xbf", "\xee\x80\x80", "\xe2\x80\x8b", "\xef\xbc\x91",
	"\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "\xf0\x9d\x9f\x8e",
	"\xd9\xa1", "Plain text of more than one word. ",
};

static const char *const broken[] =
{
	"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xe0\x9f\xbf", "\xe2\x80",
	"\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf0\x9d\x9f", "\xf4\x90\x80\x80",
	"\xf5\x80\x80\x80", "\xff",
};

#define CHARACTERS (sizeof(characters) / sizeof(characters[0]))
#define BROKEN (sizeof(broken) / sizeof(broken[0]))

/* Appends a piece to a text of 400 bytes at most, if it fits. */
static size_t
Append		(char *text, size_t len, const char *piece)
{
	size_t		n = strlen(piece);

	if (len + n > 400)
		return len;
	memcpy(text +len, piece, n);
	return len + n;
}

/* How far a text is UTF-8, by the definition of it: character by character. */
static size_t
Utf8ByDefinition(const unsigned char *text, size_t len)
{
	static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t		pos = 0;

	while (pos < len)
	{
		unsigned char c = text[pos];
		size_t		n = c < 0x80 ? 1 : c < 0xC0 ? 0 : c < 0xE0 ? 2 :
		c < 0xF0 ? 3 : c < 0xF8 ? 4 : 0;
		unsigned	code = n < 2 ? c : c & (0x7Fu >> n);

		if (n == 0 || n > len - pos)
			return pos;
		for (size_t i = 1; i < n; i++)
		{
			if (text[pos + i] < 0x80 || text[pos + i] > 0xBF)
				return pos;
			code = code * 64 + (text[pos + i] & 63);
		}
		if (code < least[n] || code > 0x10FFFF ||
			(code >= 0xD800 && code <= 0xDFFF))
			return pos;
		pos += n;
	}
	return len;
}

/*
 * Fills a text with characters of all kinds, in stretches of one kind, up to
 * its last byte, where one may be cut; some bytes are made wrong, if so asked.
 */
static void
FillCharacters(unsigned char *text, size_t len, unsigned wrong)
{
	size_t		pos = 0;

	while (pos < len)
	{
		const char *piece = characters[Random(CHARACTERS)];
		size_t		n = strlen(piece);

		for (unsigned times = 1 + Random(40); times > 0 && pos < len; times--)
		{
			size_t		some = n < len - pos ? n : len - pos;

			memcpy(text +pos, piece, some);
			pos += some;
		}
	}
	for (; wrong > 0 && len > 0; wrong--)
	{
		const char *piece = broken[Random(BROKEN)];
		size_t		at = Random((unsigned) len);
		size_t		n = strlen(piece);

		if (Random(2) == 0)
			text[		at] = (unsigned char) Random(256);

		else if (n <= len - at)
			memcpy(text +at, piece, n);
	}
}

/* One text at one place: the variant ends where the definition does. */
static bool
SameUtf8At(size_t len, unsigned align, unsigned wrong)
{
	/* nothing is behind the text, so that reading beyond it is noticed */
	unsigned char *room = malloc(align + len + 1);
	unsigned char *text = room + 1 + align;
	bool		same;

	FillCharacters(text, len, wrong);
	same = Utf8Prefix((char *) text, len) == Utf8ByDefinition(text, len);
	free(room);
	return same;
}

/*
 * Each pair of bytes, with some behind it that may continue a character, near
 * the border of two blocks.
 */
static bool
SameUtf8Pairs(void)
{
	static const unsigned char more[] = {0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 'a'};
	unsigned char text[ENCODING_BLOCK * 8];
	bool		same = true;

	for (unsigned pair = 0; pair < 1 << 16 && same; pair++)
	{
		unsigned	len = pair % 2 ? sizeof(text) : ENCODING_BLOCK * 2 + 40;
		unsigned	block = 1 + Random(len / ENCODING_BLOCK - 1);
		size_t		at = block * ENCODING_BLOCK + Random(24);

		memset(text, 'a', len);
		text[		at] = (unsigned char) (pair >> 8);
		text[		at + 1] = (unsigned char) pair;
		text[		at + 2] = more[Random(sizeof(more))];
		text[		at + 3] = more[Random(sizeof(more))];

		same = Utf8Prefix((char *) text, len) == Utf8ByDefinition(text, len);
	}
	return same;
}

/*
 * A variant finds the end of UTF-8 where the definition has it: in texts of all
 * lengths and at all places.
 */
static bool
SameUtf8(MaskSimd simd)
{
	bool		same = EncodingSetSimd(simd);

	for (size_t len = 0; len <= 200 && same; len++)
		for (unsigned align = 0; align < 64 && same; align++)
			same = SameUtf8At(len, align, align % 3);
	for (int round = 0; round < 20000 && same; round++)
		same = SameUtf8At(Random(1200), Random(64), Random(3));
	return same && SameUtf8Pairs();
}

/* What is no UTF-8 is found where it begins, wherever that is. */
static bool
FindsBroken(void)
{
	for (int round = 0; round < 50000; round++)
	{
		char text[	400];
		size_t		len = 0;
		size_t		wrong;
		unsigned	before = Random(80);

		for (unsigned i = 0; i < before && len < 350; i++)
			len = Append (text, len, characters[Random(CHARACTERS)]);

		wrong = len;
		if (Utf8Prefix(text, len) != len)
			return false;
		len = Append (text, len, broken[Random(BROKEN)]);

		for (unsigned i = Random(80); i > 0; i--)
			len = Append (text, len, characters[Random(CHARACTERS - 1)]);

		if (Utf8Prefix(text, len) != wrong)
			return false;
	}
	return true;
}

/* True if two shadows of one text are the same, and so is where from. */
static bool
SameShadow(const Shadow *a, const Shadow *b, size_t len)
{
	bool		same = (a->owned == NULL) == (b->owned == NULL) &&
	a->len == b->len && memcmp(a->text, b->text, a->len) == 0;

	for (size_t i = 0; i * 64 < len && same && a->owned != NULL; i++)
		same = a->kept[i] == b->kept[i] && a->before[i] == b->before[i];
	return same;
}

/* Escapes, and what is nearly one. */
static const char *const escapes[] =
{
	"%41", "%4a", "%09", "%0A", "%7e", "%7F", "%1F", "%80", "%4", "%", "%%41",
	"&#65;", "&#x41;", "&#X4a;", "&#0000065;", "&#00000065;", "&#;", "&#x;",
	"&#200;", "&#65", "&commat;", "&period;", "&nbsp;", "&quot;", "&colon;",
	"&equals;", "&lowbar;", "&hyphen;", "&plus;", "&plus", "&amp;", "&",
	"\\x41", "\\x7e", "\\x0a", "\\x4", "\\x8f", "\\u0041", "\\u007E",
	"\\u0009", "\\u0100", "\\u004", "\\", "\\\\u0041",
};

#define ESCAPES (sizeof(escapes) / sizeof(escapes[0]))

/* Fills a text with special characters, what is nearly one, and all bytes. */
static void
FillSpecial(unsigned char *text, size_t len)
{
	unsigned	plainly = Random(100);
	size_t		pos = 0;

	while (pos < len)
	{
		const char *piece = Random(2) ? escapes[Random(ESCAPES)] :
		characters[Random(CHARACTERS)];
		size_t		n = strlen(piece) < len - pos ? strlen(piece) : len - pos;

		if (Random(100) < plainly)
			text[		pos++] = "ab %0;#x&u\\"[Random(11)];

		else if (Random(20) == 0)
			text[		pos++] = (unsigned char) Random(256);

		else
		{
			memcpy(text +pos, piece, n);
			pos += n;
		}
	}
}

/* The shadow of one text, by a variant and by the portable one. */
static bool
SameShadowOf(MaskSimd simd, const char *text, size_t len)
{
	Shadow		portable;
	Shadow		shadow;
	unsigned char *into = malloc(len);
	bool		same = EncodingSetSimd(MASK_SIMD_SCALAR) &&
	ShadowMake(&plain, text, len, &portable) && EncodingSetSimd(simd) &&
	ShadowMake(&plain, text, len, &shadow) &&
	SameShadow(&portable, &shadow, len) &&
	ShadowInto((const unsigned char *) text, len, into) == shadow.len &&
	memcmp(into, shadow.text, shadow.len) == 0;

	ShadowFree(&plain, &portable);
	ShadowFree(&plain, &shadow);
	free(into);
	return same;
}

/* Writes a code as if it were a character, of n bytes; is it one or not. */
static size_t
WriteCode(char *text, unsigned code, int n)
{
	for (int i = n - 1; i > 0; i--, code >>= 6)
		text[		i] = (char) (0x80 | (code & 0x3F));

	text[		0] = (char) ((n == 2 ? 0xC0 : n == 3 ? 0xE0 : 0xF0) | code);

	return (size_t) n;
}

/* All characters and all that only looks like one, in all places in a block. */
static bool
SameCodes(MaskSimd simd)
{
	char		codes[300];

	for (int n = 2; n <= 4; n++)
		for (unsigned code = 0; code < 1u << (5 * n + 1);)
		{
			size_t		len = Random(8);

			memset(codes, 'a', sizeof(codes));
			for (int i = 0; i < 64; i++, code++)
			{
				len += WriteCode(codes + len, code, n);

				len += code % 3 == 0;
			}
			if (!SameShadowOf(simd, codes, 280))
				return false;
		}
	return true;
}

/*
 * The shadows of one variant against the portable ones: texts of all lengths at
 * all places, with nothing behind them that could be read unnoticed.
 */
static bool
SameShadows(MaskSimd simd)
{
	bool		same = SameCodes(simd);

	for (int round = 0; round < 40000 && same; round++)
	{
		size_t		len = round < 201 * 64 ? (size_t) round / 64 : Random(1500);
		unsigned	align = (unsigned) round % 64;
		unsigned char *room = malloc(align + len + 1);

		FillSpecial(room + 1 + align, len);
		same = SameShadowOf(simd, (char *) room + 1 + align, len);
		free(room);
	}
	return same;
}

/*
 * The bits of the bytes that a shadow has: as many as it is long, and what is
 * plain is the same in both.
 */
static bool
KeepsBits(void)
{
	size_t		special = 0;

	for (int round = 0; round < 20000; round++)
	{
		char text[	400];
		size_t		len = 0;
		size_t		at = 0;
		Shadow		shadow;

		for (unsigned i = 1 + Random(80); i > 0; i--)
			len = Append (text, len, characters[Random(CHARACTERS)]);

		if (!ShadowMake(&plain, text, len, &shadow))
			return false;
		for (size_t i = 0; i < len && shadow.owned != NULL; i++)
		{
			if (!(shadow.kept[i / 64] >> i % 64 & 1))
				continue;
			if (at < shadow.len && shadow.text[at] != (unsigned char) text[i])
			{
				special++;
				if (text[i] != '%' && text[i] != '&' &&
					(unsigned char) text[i] < 0xC2)
					break;
			}
			at++;
		}
		if (shadow.owned != NULL && at != shadow.len)
			return false;
		ShadowFree(&plain, &shadow);
	}
	return special > 10000;
}

/* The byte of a text, by its bit, that is the nth of the shadow. */
static size_t
NthKept(const Shadow *shadow, size_t n)
{
	for (size_t pos = 0;; pos++)
		if ((shadow->kept[pos / 64] >> pos % 64 & 1) && n-- == 0)
			return pos;
}

/* The end of a hit whose last byte is at pos, byte by byte. */
static size_t
EndAfter(const Shadow *shadow, const char *text, size_t len, size_t pos)
{
	/* an escape's rest is ASCII that the shadow has not */
	for (pos++; pos < len; pos++)
		if ((text[pos] & 0xC0) !=0x80 &&
			((text[pos] & 0x80) ||
			 (shadow->kept[pos / 64] >> pos % 64 & 1)))
			break;
	return pos;
}

/* Findings in one shadow are mapped back to where its bits say. */
static bool
MapsHitsOf(const char *text, size_t len)
{
	MaskHit		hits[40] = {{0}};
	MaskHit		mapped[40];
	size_t		count = 0;
	size_t		pos = 0;
	Shadow		shadow;
	bool		same = ShadowMake(&plain, text, len, &shadow);

	for (; count < 40 && same && shadow.owned != NULL; count++)
	{
		hits[count].start = pos + Random(Random(4) ? 20 : 150);
		hits[count].end = hits[count].start + 1 + Random(Random(4) ? 20 : 150);
		pos = hits[count].end;
		if (pos > shadow.len)
			break;
	}
	memcpy(mapped, hits, sizeof(hits));
	ShadowMapHits(&shadow, text, len, mapped, count);
	for (size_t i = 0; i < count && same; i++)
		same = mapped[i].start == NthKept(&shadow, hits[i].start) &&
			mapped[i].end == EndAfter(&shadow, text, len,
									  NthKept(&shadow, hits[i].end - 1));
	ShadowFree(&plain, &shadow);
	return same;
}

/* The same in many texts, each of which is UTF-8. */
static bool
MapsHits(void)
{
	static unsigned char text[1500];
	bool		same = true;

	for (int round = 0; round < 20000 && same; round++)
	{
		size_t		len = 1 + Random(round % 4 ? 300 : 1500);

		FillSpecial(text, len);
		for (size_t at; (at = Utf8Prefix((char *) text, len)) < len;)
			text[		at] = '?';

		same = MapsHitsOf((char *) text, len);
	}
	return same;
}

int
main(void)
{
	static const MaskSimd variants[] = {MASK_SIMD_128, MASK_SIMD_AVX2};
	static const char *const names[] = {"128 bits", "256 bits"};

	Ok(SameUtf8(MASK_SIMD_SCALAR), "portable: UTF-8 by its definition");
	for (int i = 0; i < 2; i++)
	{
		ClassifyBlock variant = ClassifyChoose(variants[i]);
		char		name[80];

		if (variant == NULL)
		{
			printf("ok %d - %s # SKIP not on this machine\n", ++number,
				   names[i]);
			continue;
		}
		snprintf(name, sizeof(name), "%s: the same masks", names[i]);
		Ok(SameMasks(variant), name);
		snprintf(name, sizeof(name), "%s: the same findings", names[i]);
		Ok(SameFindings(variants[i]), name);
		snprintf(name, sizeof(name), "%s: UTF-8 by its definition", names[i]);
		Ok(SameUtf8(variants[i]), name);
		snprintf(name, sizeof(name), "%s: the same shadows", names[i]);
		Ok(SameShadows(variants[i]), name);
	}
	MaskSetSimd(MASK_SIMD_BEST);
	Ok(FindsBroken(), "what is no UTF-8 is found where it begins");
	Ok(KeepsBits(), "each byte of a shadow is that of a bit");
	Ok(MapsHits(), "findings are mapped back to where the bits say");
	Ok(SameFiltered(20000), "events that are nothing are filtered out");
	Ok(SameRepeated(150), "repetitions are passed over with the same findings");
	Ok(PassesRepeats(), "a text of repetitions takes less time");
	/* from here on what repeats stands for any text of its kind */
	MaskPassRepeats(false);
	TestLinear();
	TestSlowest();
	printf("1..%d\n", number);
	return failed != 0;
}
