/*
 * test_mask_work.c
 *	  Texts that take too much work are cut: what is kept is masked as ever,
 *	  nothing of the rest is shown, and no text that anybody writes is cut.
 */
/* links: src/mask/[c-k]*.c src/mask/[nrstvw][aceho-u]*.c src/core/sha256.c */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mask/scan.h"
#include "mask_tap.h"

#define MEGABYTE ((size_t) 1 << 20)

/* Pieces that begin what the scanner looks for, and hardly ever are it. */
static const char *const triggers[] =
{
	"token\", \"", "password: ", "sk-ant-", "AKIA", "tel 1 ", "curl -u ", "a:b@",
	"4403 ", "full name: ", "Mr. ", "<token>", "api_key=", "eyJ", "::", "card ",
	"secret=x1 ", "born 1 ", "Bearer ", "http://", "-----BEGIN ", "iin ",
};

/* One word of a script of two bytes to a letter, in a macro for the layout. */
#define CYRILLIC "\xd0\xbf\xd0\xb0\xd1\x80\xd0\xbe\xd0\xbb\xd1\x8c "

/* Fills a text with triggers in disorder. */
static void
FillHostile(char *text, size_t len)
{
	size_t		pos = 0;

	state = 88172645463325252u;
	while (pos < len)
	{
		const char *piece = Random(4) == 0 ? CYRILLIC :
		triggers[Random(sizeof(triggers) / sizeof(triggers[0]))];
		size_t		n = strlen(piece);

		if (n > len - pos)
		{
			memset(text +pos, ' ', len - pos);
			return;
		}
		memcpy(text +pos, piece, n);
		pos += n;
	}
}

/* The findings of a text that may take so much work; *done says how much. */
static MaskHit *
Find(const MaskOptions *options, const char *text, size_t len,
	 uint64_t allowed, size_t *count, uint64_t *done)
{
	MaskOptions own = *options;
	MaskWork	work = {.allowed = allowed};
	MaskHit    *hits;

	own.work = &work;
	if (MaskFind(&own, text, len, &hits, count) > MASK_MASKED)
		exit(2);
	*done = work.done;
	return hits;
}

/* True if the last finding is what was not looked at. */
static bool
IsCut(const MaskHit *hits, size_t count, size_t len)
{
	return count > 0 && hits[count - 1].entity == MASK_ENTITY_REST &&
		hits[count - 1].end == len;
}

/*
 * What is before the rest is found as it is in the whole text, in all places
 * where a text may be cut, and more work moves it on.
 */
static void
TestKept(void)
{
	size_t		len = 60000;
	char	   *text = malloc(len);
	size_t		all_count;
	uint64_t	all;
	MaskHit    *whole;
	size_t		last = 0;
	int			wrong = 0;
	int			cuts = 0;
	bool		on = true;

	FillHostile(text, len);
	whole = Find(&plain, text, len, UINT64_MAX, &all_count, &all);
	Ok(all > 8 * len && !IsCut(whole, all_count, len),
	   "the text is hostile, and whole if that is allowed");
	for (uint64_t allowed = 0; allowed < all - all / 20; allowed += all / 97)
	{
		size_t		count;
		uint64_t	done;
		MaskHit    *hits = Find(&plain, text, len, allowed, &count, &done);
		size_t		i = 0;

		if (!IsCut(hits, count, len))
			wrong++;
		for (; i + 1 < count && wrong == 0; i++)
			if (i >= all_count || hits[i].start != whole[i].start ||
				hits[i].end != whole[i].end ||
				hits[i].entity != whole[i].entity)
				wrong++;
		/* nothing that was found reaches beyond what is kept */
		if (wrong == 0 && i < all_count && whole[i].start < hits[i].start)
			wrong++;
		if (wrong == 0 && (text[hits[i].start] & 0xC0) == 0x80)
			wrong++;			/* within a character */
		on &= done <= allowed + 50000 && hits[count - 1].start >= last;
		last = hits[count - 1].start;
		cuts++;
		free(hits);
	}
	Ok(cuts > 85 && wrong == 0, "what is kept is masked as in the whole text");
	Ok(on && last > len / 2, "more work goes further, and no work is exceeded");
	free(whole);
	free(text);
}

/* All variants of the scanner cut in the same place. */
static void
TestVariants(void)
{
	size_t		len = 60000;
	char	   *text = malloc(len);
	size_t		first = 0;
	uint64_t	first_done = 0;
	bool		same = true;

	FillHostile(text, len);
	for (int simd = MASK_SIMD_BEST; simd <= MASK_SIMD_AVX2; simd++)
	{
		size_t		count;
		uint64_t	done;
		MaskHit    *hits;

		if (!MaskSetSimd((MaskSimd) simd))
			continue;
		hits = Find(&plain, text, len, 200000, &count, &done);
		if (simd == MASK_SIMD_BEST)
		{
			first = hits[count - 1].start;
			first_done = done;
		}
		same &= IsCut(hits, count, len) && hits[count - 1].start == first &&
			done == first_done;
		free(hits);
	}
	MaskSetSimd(MASK_SIMD_BEST);
	Ok(same, "all variants do the same work and cut in the same place");
	free(text);
}

/* True if a text has a value in it. */
static bool
Has(const char *text, size_t len, const char *value)
{
	size_t		n = strlen(value);

	for (size_t i = 0; i + n <= len; i++)
		if (text[i] == value[0] && memcmp(text +i, value, n) == 0)
			return true;
	return false;
}

/*
 * A value that the caller names is not seen in part where the text is cut in
 * the middle of it, nor one that detectors find.
 */
static void
TestEdge(void)
{
	static const char name[] = "Serik Ospanovich of the northern branch";
	static const char card[] = "4403 1234 5678 1298";
	MaskValue	known = {name, sizeof(name) - 1};
	MaskOptions options = plain;
	size_t		len = 60000;
	char	   *text = malloc(len);
	int			shown = 0;
	int			whole = 0;
	int			rounds = 0;

	FillHostile(text, len);
	for (size_t pos = 0; pos + 200 < len; pos += 150)
	{
		size_t		at = pos;

		while ((text[at] & 0xC0) == 0x80)
			at++;
		memcpy(text +at, name, sizeof(name) - 1);
		at += sizeof(name) - 1;
		text[		at++] = '\n';

		memcpy(text +at, card, sizeof(card) - 1);
		at += sizeof(card) - 1;
		text[		at++] = '\n';

		while ((text[at] & 0xC0) == 0x80)
			text[		at++] = ' ';
	}
	options.known = &known;
	options.known_count = 1;
	for (uint64_t allowed = 1000; allowed < 300000; allowed += 1777)
	{
		MaskWork	work = {.allowed = allowed};
		MaskResult	result;

		options.work = &work;
		if (MaskText(&options, text, len, &result) != MASK_MASKED)
			exit(2);
		shown += Has(result.text, result.len, "Serik") ||
			Has(result.text, result.len, "branch") ||
			Has(result.text, result.len, "4403 1234");
		whole += !result.cut || result.len < 10 ||
			memcmp(result.text +result.len - 10, "<WITHHELD>", 10) != 0 ||
			result.counts[MASK_ENTITY_REST] != 0 ||
			Utf8Prefix(result.text, result.len) < result.len;
		rounds++;
		free(result.text);
	}
	Ok(shown == 0, "no value is seen where a text is cut");
	Ok(rounds > 100 && whole == 0, "the rest is one tag, and counts as no finding");
	free(text);
}

/* Writes a document of strings, members and nested documents in disorder. */
static size_t
FillJson(char *text, size_t len, int escape)
{
	size_t		pos = 0;
	const char *quote = escape ? "\\\"" : "\"";

	state = 1234567;
	pos += (size_t) sprintf(text +pos, "{%sa%s:[", quote, quote);
	for (int i = 0; pos + 400 < len; i++)
	{
		const char *piece = triggers[4 + Random(4)];

		pos += (size_t) sprintf(text +pos, "%s{%spassword%d%s:%s%s%u%s,%sb%s:[",
								i > 0 ? "," : "", quote, i, quote, quote, piece,
								Random(100000), quote, quote, quote);
		pos += (size_t) sprintf(text +pos, "[1,%u],%s%s+7 701 234 %02u 67%s,{}]}",
								Random(100), quote, piece, Random(100), quote);
	}
	pos += (size_t) sprintf(text +pos, "],%slast%s:%s4403123456781298%s}", quote,
							quote, quote, quote);
	return pos;
}

/* JSON stays JSON wherever it is cut, also that within a string. */
static void
TestJson(bool nested)
{
	size_t		room = 40000;
	char	   *text = malloc(room);
	size_t		len = 0;
	uint64_t	all;
	MaskWork	work = {.allowed = UINT64_MAX};
	MaskOptions options = plain;
	MaskResult	result;
	int			bad = 0;
	int			cuts = 0;

	if (nested)
		len = (size_t) sprintf(text, "{\"x\": [\"");
	len += FillJson(text +len, room - 100, nested);
	if (nested)
		len += (size_t) sprintf(text +len, "\", \"4403123456781298\"]}");
	options.work = &work;
	MaskDocument(&options, text, len, &result);
	Ok(result.status == MASK_MASKED && !result.cut,
	   "a document is whole if that is allowed");
	free(result.text);
	all = work.done;
	for (uint64_t allowed = 0; allowed < all - all / 20; allowed += all / 211)
	{
		MaskResult	again;

		work = (MaskWork)
		{
			.allowed = allowed
		};
		MaskDocument(&options, text, len, &result);
		bad += result.status != MASK_MASKED || !result.cut ||
			Has(result.text, result.len, "4403123456781298") ||
			Has(result.text, result.len, "701 234") ||
			!Has(result.text, result.len, "<WITHHELD>");
		/* what it became is a document, with nothing more to find */
		bad += MaskJson(&plain, result.text, result.len, &again) == MASK_WITHHELD;
		cuts++;
		free(again.text);
		free(result.text);
	}
	Ok(cuts > 190 && bad == 0, nested ?
	   "a document within a string is cut to a document" :
	   "a document is cut to a document");
	free(text);
}

/* Masks a text that may take so much work, and compares it with the whole. */
static bool
IsKept(const MaskOptions *options, const char *text, size_t len,
	   uint64_t allowed, const MaskResult *whole, bool *digits)
{
	MaskOptions own = *options;
	MaskWork	work = {.allowed = allowed};
	MaskResult	result;
	const char *tag;
	size_t		kept;
	bool		good;

	own.work = &work;
	MaskDocument(&own, text, len, &result);
	if (result.status != MASK_MASKED || !result.cut)
		exit(2);
	tag = strstr(result.text, "<WITHHELD>");
	kept = (size_t) (tag - result.text);
	if (kept > 0 && tag[-1] == '"')
		kept--;
	good = kept <= whole->len && memcmp(result.text, whole->text, kept) == 0;
	*digits = tag[strcspn(tag, "0123456789")] != '\0';
	free(result.text);
	return good;
}

/* A card whose parts are on both sides of the cut is not shown in part. */
static void
TestTrail(void)
{
	static const char *const forms[] = {"\"%.4s\"", "[\"%.4s\"]",
	"{\"card\": %.4s}"};
	static const char card[] = "4403123412344298";
	char	   *text = malloc(40000);
	size_t		pos = 0;
	MaskWork	work = {.allowed = UINT64_MAX};
	MaskOptions options = plain;
	MaskResult	whole;
	bool		digits;
	int			bad = 0;
	int			cuts = 0;

	for (int i = 0; i < 240; i++)
	{
		text[		pos++] = i == 0 ? '[' : ',';

		pos += (size_t) sprintf(text +pos, forms[i / 80], card + i % 4 * 4);
		/* long enough to be cut, but a part of a card no less */
		if (i < 80)
			pos += (size_t) sprintf(text +pos - 1, "%80s", "\"") - 1;
	}
	text[		pos++] = ']';

	options.work = &work;
	MaskDocument(&options, text, pos, &whole);
	Ok(whole.counts[MASK_CREDIT_CARD] == 60, "cards in four parts each");
	for (uint64_t allowed = 0; allowed < work.done * 9 / 10; allowed += 7)
	{
		bad += !IsKept(&plain, text, pos, allowed, &whole, &digits);
		bad += digits;
		cuts++;
	}
	Ok(cuts > 300 && bad == 0, "no part of a card is left where it is cut");
	free(whole.text);
	free(text);
}

#define FAR 5000

/* Finds from "<" to ">", as a rule might. */
static MaskStatus
FindFar(void *arg, const MaskOptions *options, const char *text, size_t len,
		MaskHit **hits, size_t *count)
{
	size_t		from = len;

	*hits = calloc(len / FAR + 1, sizeof(MaskHit));
	*count = 0;
	for (size_t i = 0; i < len; i++)
	{
		MaskHit    *hit = &(*hits)[*count];

		if (text[i] == '<')
			from = i;
		if (text[i] != '>' || from == len)
			continue;
		hit->start = from;
		hit->end = i + 1;
		hit->entity = MASK_PERSON;
		hit->score = 1;
		(*count)++;
		from = len;
	}
	return *count > 0 ? MASK_MASKED : MASK_CLEAN;
}

/* What the caller seeks may be long, and begin far before the cut. */
static void
TestFar(bool finder)
{
	size_t		len = 60000;
	char	   *text = malloc(len);
	char		name[FAR];
	MaskValue	known = {name, FAR};
	MaskOptions options = plain;
	MaskWork	work = {.allowed = UINT64_MAX};
	MaskOptions all;
	MaskResult	whole;
	bool		digits;
	int			bad = 0;

	FillHostile(text, len);
	for (size_t i = 0; i < len; i++)
		if (text[i] == '<' || text[i] == '>' || (text[i] & 0x80) !=0)
			text[		i] = '_';

	memcpy(name, text +FAR, FAR);
	name[0] = '<';
	name[FAR - 1] = '>';
	for (size_t pos = 1000; pos + FAR < len; pos += 11000)
		memcpy(text +pos, name, FAR);
	options.known = &known;
	options.known_count = finder ? 0 : 1;
	options.finders[1].find = finder ? FindFar : NULL;
	all = options;
	all.work = &work;
	MaskText(&all, text, len, &whole);
	Ok(whole.counts[finder ? MASK_PERSON : MASK_KNOWN_VALUE] > 3,
	   "long values are found");
	for (uint64_t allowed = 0; allowed < work.done * 9 / 10; allowed += 500)
		bad += !IsKept(&options, text, len, allowed, &whole, &digits);
	Ok(bad == 0, finder ? "what a finder finds is not seen in part" :
	   "a long known value is not seen in part");
	free(whole.text);
	free(text);
}

/* What begins as JSON and is none is masked as a text, though it is cut. */
static void
TestNoJson(void)
{
	static const char begin[] = "[\"card\", \"4403 1234\", ";
	size_t		room = 40000;
	char	   *text = malloc(room);
	size_t		len;
	int			bad = 0;

	for (int end = 0; end < 5; end++)
	{
		len = (size_t) sprintf(text, "%s", begin);
		len += FillJson(text +len, room - 100, 0);
		len += (size_t) sprintf(text +len, "%s",
								end == 0 ? ", 1/2]" : end == 1 ? ", \"\\x\"]" :
								end == 2 ? ", {\"\\x\": 1}]" :
								end == 3 ? ", {\"a\", 1}]" : ", [}]");
		for (uint64_t allowed = 5000; allowed < 100000; allowed += 5000)
		{
			MaskOptions options = plain;
			MaskWork	work = {.allowed = allowed};
			MaskResult	result;

			options.work = &work;
			MaskDocument(&options, text, len, &result);
			bad += !result.cut || Has(result.text, result.len, "4403");
			free(result.text);
		}
	}
	Ok(bad == 0, "nothing is kept of what is no JSON in the end");
	free(text);
}

/* Appends one line of what people and programs write. */
static size_t
Line		(char *text, int kind)
{
	unsigned	a = Random(1000000);
	unsigned	b = Random(1000000);

	switch (kind)
	{
		case 0:
			return (size_t) sprintf(text, "%u.%u\t%u\t-%u.%02u\t%u\t%u\n", a, b, b % 77,
									a % 9, b % 100, a % 1000, b);
		case 1:
			return (size_t) sprintf(text, "{\"ts\": \"2026-11-%02uT10:%02u:%02uZ\", "
									"\"level\": \"info\", \"trace_id\": \"%06x%06xab\", "
									"\"path\": \"/v1/chat\", \"ms\": %u, \"msg\": "
									"\"request %u finished after the second try\"}\n",
									a % 28 + 1, a % 60, b % 60, a, b, b % 3000, a);
		case 2:
			return (size_t) sprintf(text, "%u,Customer %u,user%u@example.com,+7 701 "
									"%03u %02u %02u,4403 1234 5678 %04u,active\n", a,
									b, b, a % 1000, b % 100, a % 100, b % 10000);
		case 3:
			return (size_t) sprintf(text, "10.0.%u.%u - - [12/Nov/2026:10:%02u:00] \"GET "
									"/static/page%u.html HTTP/1.1\" 200 %u \"-\" "
									"\"Mozilla/5.0 (X11; Linux x86_64)\"\n", a % 250,
									b % 250, a % 60, a, b);
		case 4:
			return (size_t) sprintf(text, "The client asked on day %u why transfer no. %u "
									"was declined; the operator explained the limit "
									"and offered to call back.\n", a % 30, b);
		default:
			return (size_t) sprintf(text, "\tif (item[%u].price > %u)\n\t\ttotal += "
									"item[%u].price * rate;\t/* see note %u */\n",
									a % 100, b, a % 100, a);
	}
}

#define LINES 6

/* JSON in strings of JSON, each of which is none in the end. */
static size_t
Nest(char **text, size_t len)
{
	char	   *nested = malloc(2 * len + 100);
	size_t		n = (size_t) sprintf(nested, "[\"");

	for (size_t i = 0; i < len; i++)
	{
		if ((*text)[i] == '"' || (*text)[i] == '\\')
			nested[n++] = '\\';
		nested[n++] = (*text)[i];
	}
	n += (size_t) sprintf(nested + n, "\", _]");
	free(*text);
	*text = nested;
	return n;
}

/* Texts that are read twice or more: as JSON, and because they are none. */
static void
TestTwice(void)
{
	size_t		len = MEGABYTE - 1000;
	char	   *text = malloc(len);
	MaskOptions options = plain;
	MaskWork	work;
	uint64_t	once;
	MaskResult	result;
	size_t		pos = 1;

	for (size_t i = 0; i < len; i++)
		text[		i] = i % 17 == 16 ? (char) ('a' + Random(26)) :
		"bedrock-api-key "[i % 17];

	options.work = &work;
	WorkAllow(&work, len);
	MaskDocument(&options, text, len, &result);
	once = work.done;
	for (int i = 0; i < 6; i++)
		len = Nest(&text, len);
	WorkAllow(&work, len);
	MaskDocument(&options, text, len, &result);
	Ok(len <= MEGABYTE && !result.cut, "nor one that is read many times");
	Ok(once > 20 * len && work.done < 4 * once, "which are not too many");
	free(result.text);
	free(text);
	len = 14 * MEGABYTE;
	text = malloc(len + 1000);

	state = 42;
	for (text[0] = '['; pos < len; text[pos - 1] = ',')
		pos += Line (text +pos, 1);

	MaskDocument(&plain, text, pos - 20, &result);
	Ok(!result.cut, "14 MB of JSON without an end are not cut");
	free(result.text);
	free(text);
}

/* What is ordinary is never cut, however long; a hostile text is, in time. */
static void
TestAllowance(void)
{
	static const char *const names[LINES] =
	{"numbers", "log lines", "customers", "accesses", "prose", "code"};
	size_t		len = 14 * MEGABYTE;
	char	   *text = malloc(len + 1000);
	char		name[80];
	size_t		count;
	MaskHit    *hits;

	for (int kind = 0; kind < LINES; kind++)
	{
		size_t		pos = 0;

		state = 42;
		while (pos < len)
			pos += Line (text +pos, kind);

		MaskFind(&plain, text, pos, &hits, &count);
		snprintf(name, sizeof(name), "14 MB of %s are not cut", names[kind]);
		Ok(!IsCut(hits, count, pos), name);
		free(hits);
	}
	FillHostile(text, len);
	MaskFind(&plain, text, len, &hits, &count);
	Ok(IsCut(hits, count, len), "14 MB of triggers are cut");
	Ok(count > 0 && hits[count - 1].start > MEGABYTE,
	   "their first megabyte is kept");
	free(hits);
	/* the worst that was found for each byte */
	for (size_t i = 0; i < MEGABYTE; i++)
		text[		i] = i % 17 == 16 ? (char) ('a' + Random(26)) :
		"bedrock-api-key "[i % 17];

	MaskFind(&plain, text, MEGABYTE, &hits, &count);
	Ok(!IsCut(hits, count, MEGABYTE), "no text of one megabyte is cut");
	free(hits);
	free(text);
}

int
main(void)
{
	TestKept();
	TestVariants();
	TestEdge();
	TestJson(false);
	TestJson(true);
	TestTrail();
	TestFar(false);
	TestFar(true);
	TestNoJson();
	TestAllowance();
	TestTwice();
	printf("1..%d\n", number);
	return failed > 0;
}
