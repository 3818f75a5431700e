/*
 * rule_regex.c
 *	  Regular expressions of mask rules, whose time is bounded: they run over
 *	  regions of a fixed size around a keyword only, and are timed over
 *	  hostile regions before they are accepted.
 *
 * They are PostgreSQL's own, in the C locale: \w and [[:alpha:]] are ASCII,
 * ranges such as [а-я] are by code point.  So what a rule finds does not
 * depend on the database's locale.
 */
#include "postgres.h"

#include <time.h>

#include "catalog/pg_collation.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "policy/scan.h"
#include "regex/regex.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(llm_audit_check_mask_rule);

/* What a region and compiling may take, in nanoseconds of CPU time. */
#define REGION_NS_MAX	INT64CONST(2000000)
#define COMPILE_NS_MAX	INT64CONST(100000000)
#define TRIES 3

/* Worse is assumed of a text that is this bad already. */
#define PROBE_TIMES_MAX 20

struct RuleRegex
{
	char	   *name;
	regex_t		re;
	MemoryContextCallback release;	/* PostgreSQL 15 has it from malloc */
};

/* CPU time of this process in nanoseconds. */
static int64
CpuTime(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * INT64CONST(1000000000) + now.tv_nsec;
}

/* Frees the expression with the context that it was compiled in. */
static void
FreeRegex(void *arg)
{
	pg_regfree(arg);
}

/* The error for an expression that cannot be used; the reason is a sentence. */
static void
RefuseRule(const char *name, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_REGULAR_EXPRESSION),
			 errmsg("the pattern of mask rule \"%s\" cannot be used", name),
			 errdetail_internal("%s", why)));
}

/* The engine's own words about an error of it. */
static void
RefuseError(const RuleRegex *regex, int code)
{
	char		words[100];

	CHECK_FOR_INTERRUPTS();
	pg_regerror(code, &regex->re, words, sizeof(words));
	RefuseRule(regex->name, psprintf("The regular expression is invalid: %s.", words));
}

RuleRegex *
RuleRegexCompile(const char *name, const char *pattern)
{
	RuleRegex  *regex = palloc0(sizeof(RuleRegex));
	size_t		len = strlen(pattern);
	pg_wchar   *wide = palloc((len + 1) * sizeof(pg_wchar));
	int			wide_len = pg_mb2wchar_with_len(pattern, wide, len);
	int			result;

	regex->name = pstrdup(name);
	result = pg_regcomp(&regex->re, wide, wide_len, REG_ADVANCED, C_COLLATION_OID);
	if (result != REG_OKAY)
		RefuseError(regex, result);
	regex->release.func = FreeRegex;
	regex->release.arg = &regex->re;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &regex->release);
	pfree(wide);
	return regex;
}

void
RuleRegionWiden(RuleRegion *region, const char *text, size_t len)
{
	region->text = text;

	region->len = len;
	region->wide = palloc((len + 1) * sizeof(pg_wchar));
	region->wide_len = pg_mb2wchar_with_len(text, region->wide, len);
	region->at = region->seen = 0;
	region->seen_bytes = 0;
}

/* The byte at which a character stands; asked for in ascending order. */
static size_t
BytesUpTo(RuleRegion *region, int character)
{
	while (region->seen < character && region->seen_bytes < region->len)
	{
		region->seen_bytes += pg_utf_mblen((const unsigned char *) region->text +
										   region->seen_bytes);
		region->seen++;
	}
	return Min(region->seen_bytes, region->len);
}

bool
RuleRegexNext(const RuleRegex *regex, RuleRegion *region, RuleMatch *match)
{
	/* the first group is what is meant, if there is one */
	int			group = regex->re.re_nsub > 0 ? 1 : 0;
	regmatch_t	found[2];

	while (region->at <= region->wide_len)
	{
		int			result = pg_regexec(unconstify(regex_t *, &regex->re),
										region->wide, region->wide_len,
										region->at, NULL, group + 1, found, 0);

		if (result == REG_NOMATCH)
			break;
		if (result != REG_OKAY)
			RefuseError(regex, result);
		region->at = Max((int) found[0].rm_eo, region->at + 1);
		if (found[group].rm_so < 0 || found[group].rm_so == found[group].rm_eo)
			continue;
		match->start = BytesUpTo(region, found[group].rm_so);
		match->end = BytesUpTo(region, found[group].rm_eo);
		return true;
	}
	region->at = region->wide_len + 1;
	return false;
}

/* ---------------- accepting ---------------- */

/* CPU time of a search through the whole of a region, the best of some. */
static int64
TimeRegion(const RuleRegex *regex, const char *text, size_t len)
{
	int64		best = PG_INT64_MAX;

	for (int i = 0; i < TRIES; i++)
	{
		int64		began = CpuTime();
		RuleRegion	region;
		RuleMatch	match;

		RuleRegionWiden(&region, text, len);
		while (RuleRegexNext(regex, &region, &match))
			;
		pfree(region.wide);
		best = Min(best, CpuTime() - began);
		if (best > REGION_NS_MAX * PROBE_TIMES_MAX)
			break;
	}
	return best;
}

/* Fills a region with a text again and again, and times it. */
static int64
TimeRepeated(const RuleRegex *regex, const char *piece)
{
	char text[	RULE_REGION + 8];
	size_t		piece_len = strlen(piece);
	size_t		len = 0;

	CHECK_FOR_INTERRUPTS();
	if (piece_len == 0 || piece_len > RULE_REGION)
		return 0;
	while (len + piece_len <= RULE_REGION)
	{
		memcpy(text +len, piece, piece_len);
		len += piece_len;
	}
	return TimeRegion(regex, text, len);
}

/* The letters and digits that stand in a pattern, and the keyword's. */
static char *
LiteralsOf(const char *pattern)
{
	char	   *result = palloc(strlen(pattern) + 1);
	size_t		n = 0;

	for (; *pattern != '\0'; pattern++)
	{
		if (pg_ascii_toupper(*pattern) != pg_ascii_tolower(*pattern) ||
			(*pattern >= '0' && *pattern <= '9') || IS_HIGHBIT_SET(*pattern))
			result[n++] = *pattern;
	}
	result[n] = '\0';
	return result;
}

/* The worst that a region was found to cost. */
static int64
TimeProbes(const RuleRegex *regex, const char *keyword, const char *pattern)
{
	static const char *const probes[] = {
		"a", "0", "A", " ", "-", ".", "_", "/", "=", "\"", "a ", "0 ", "0-",
		"a0", "A0-", "Aa0", "aaaaaaaa ", "00000000 ", "aaaa-", "0000-", "a.",
		"a@", "a:0,", "\n", "a\n", "я", "Я0 ", "жяюШ ", "aaab", "0001",
		"https://a.b/", "the quick brown fox, 12345678; "
	};
	char	   *literals = LiteralsOf(pattern);
	int64		worst = 0;

	for (int i = 0; i < lengthof(probes); i++)
		worst = Max(worst, TimeRepeated(regex, probes[i]));
	worst = Max(worst, TimeRepeated(regex, keyword));
	worst = Max(worst, TimeRepeated(regex, psprintf("%s ", keyword)));
	worst = Max(worst, TimeRepeated(regex, psprintf("%s 0", keyword)));
	worst = Max(worst, TimeRepeated(regex, literals));
	for (char *letter = literals; *letter != '\0'; letter++)
	{
		if (!IS_HIGHBIT_SET(*letter))
			worst = Max(worst, TimeRepeated(regex, psprintf("%c", *letter)));
	}
	return worst;
}

/* True if the expression matches where there is nothing. */
static bool
MatchesNothing(const RuleRegex *regex)
{
	pg_wchar	none[1] = {0};
	regmatch_t	found[1];

	return pg_regexec(unconstify(regex_t *, &regex->re), none, 0, 0, NULL,
					  1, found, 0) == REG_OKAY;
}

/*
 * llm_audit.check_mask_rule(name text, keyword text, pattern text) → numeric
 *		What the rule costs in the worst region that was tried, in
 *		microseconds of CPU time.  Errors: 2201B for a pattern that is
 *		invalid, refers back, matches nothing at all or is slow.
 */
Datum
llm_audit_check_mask_rule(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *keyword = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *pattern = text_to_cstring(PG_GETARG_TEXT_PP(2));
	int64		began = CpuTime();
	RuleRegex  *regex = RuleRegexCompile(name, pattern);
	int64		worst = CpuTime() - began;

	if (worst > COMPILE_NS_MAX)
		RefuseRule(name, "It takes too long to compile.");
	if (regex->re.re_info & REG_UBACKREF)
		RefuseRule(name, "Its time cannot be bounded: it refers back to a group.");
	if (MatchesNothing(regex))
		RefuseRule(name, "It matches the empty text.");
	worst = TimeProbes(regex, keyword, pattern);
	if (worst > REGION_NS_MAX)
		RefuseRule(name, psprintf("It is slow: %.1f ms for a text of %d bytes.",
								  worst / 1e6, RULE_REGION));
	PG_RETURN_DATUM(DirectFunctionCall1(int8_numeric,
										Int64GetDatum(worst / 1000)));
}
