/*
 * expiry.c
 *	  How long rows are kept.
 *
 * Of the policies that match a row's environment and data class the most
 * specific one counts, environment before class, and beside it each one that
 * is in compliance mode: a policy can be added, but none can shorten what
 * compliance mode asks for.  The rules are read with the segment and cached
 * with it; one calculation a day is enough for each, since months and days
 * count from the date and the rest is added.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/skey.h"
#include "fmgr.h"
#include "retention/expiry.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(llm_audit_retention_expiry);

/* Column numbers of retention_policy, as sql/20_registry.sql. */
#define POLICY_LEDGER_ATT		1
#define POLICY_ENVIRONMENT_ATT	2
#define POLICY_CLASS_ATT		3
#define POLICY_PERIOD_ATT		4
#define POLICY_MODE_ATT			5

static const char *const class_names[RETENTION_CLASSES] = {
	"*", "public", "internal", "personal", "banking_secrecy"
};

/* Policies that match a rule, while they are read. */
typedef struct RuleBuild
{
	const char *environment;
	RetentionRule *rules;
	int			best[RETENTION_CLASSES];	/* specificity, -1: none yet */
	bool		best_forever[RETENTION_CLASSES];
	Interval	best_period[RETENTION_CLASSES];
} RuleBuild;

const char *
RetentionClassName(int class)
{
	return class_names[class];
}

/* Number of a data class by its name; 0 if it is none that we know. */
static int
ClassByName(const char *name, size_t len)
{
	for (int i = 1; i < RETENTION_CLASSES; i++)
	{
		if (strlen(class_names[i]) == len &&
			memcmp(class_names[i], name, len) == 0)
			return i;
	}
	return 0;
}

/* Adds a period to a rule; NULL: for ever. */
static void
RuleAdd(RetentionRule *rule, const Interval *period)
{
	if (period == NULL)
		rule->forever = true;
	else if (rule->nperiods < RETENTION_PERIODS)
		rule->periods[rule->nperiods++] = *period;
}

/* Lets a policy take effect on one class. */
static void
ApplyPolicy(RuleBuild *build, int class, int specificity, bool compliance,
			const Interval *period)
{
	if (compliance)
		RuleAdd(&build->rules[class], period);
	if (specificity <= build->best[class])
		return;
	build->best[class] = specificity;
	build->best_forever[class] = (period == NULL);
	if (period != NULL)
		build->best_period[class] = *period;
}

/* Visitor: the rows of retention_policy of one ledger. */
static void
PolicyRead(HeapTuple tuple, TupleDesc desc, void *arg)
{
	RuleBuild  *build = arg;
	bool		isnull;
	char	   *environment;
	char	   *class_name;
	char	   *mode;
	Datum		period;
	int			specificity = 0;

	environment = TextDatumGetCString(heap_getattr(tuple,
												   POLICY_ENVIRONMENT_ATT,
												   desc, &isnull));
	class_name = TextDatumGetCString(heap_getattr(tuple, POLICY_CLASS_ATT,
												  desc, &isnull));
	mode = TextDatumGetCString(heap_getattr(tuple, POLICY_MODE_ATT, desc,
											&isnull));
	period = heap_getattr(tuple, POLICY_PERIOD_ATT, desc, &isnull);

	if (strcmp(environment, build->environment) == 0)
		specificity = 2;
	else if (strcmp(environment, "*") != 0)
		return;
	if (strcmp(class_name, "*") != 0)
		specificity++;
	for (int i = 0; i < RETENTION_CLASSES; i++)
	{
		if (strcmp(class_name, "*") == 0 ||
			(i > 0 && strcmp(class_name, class_names[i]) == 0))
			ApplyPolicy(build, i, specificity, strcmp(mode, "compliance") == 0,
						isnull ? NULL : DatumGetIntervalP(period));
	}
}

RetentionRule *
RetentionRulesRead(const pg_uuid_t *ledger_id, const char *environment)
{
	RuleBuild	build = {.environment = environment};
	ScanKeyData key;

	build.rules = palloc0(RETENTION_CLASSES * sizeof(RetentionRule));
	for (int i = 0; i < RETENTION_CLASSES; i++)
		build.best[i] = -1;
	ScanKeyInit(&key, POLICY_LEDGER_ATT, BTEqualStrategyNumber, F_UUID_EQ,
				UUIDPGetDatum(ledger_id));
	ConfigScan("retention_policy", &key, 1, PolicyRead, &build);
	for (int i = 0; i < RETENTION_CLASSES; i++)
	{
		/* without any policy nothing may go */
		if (build.best[i] < 0 || build.best_forever[i])
			RuleAdd(&build.rules[i], NULL);
		else
			RuleAdd(&build.rules[i], &build.best_period[i]);
	}
	return build.rules;
}

int
RetentionClassOfValue(Datum value)
{
	text	   *name = DatumGetTextPP(value);

	return ClassByName(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
}

int
RetentionClassOf(const Segment *seg, const Datum *values, const bool *nulls)
{
	int			at = seg->attrs.data_class - 1;

	return at < 0 || nulls[at] ? 0 : RetentionClassOfValue(values[at]);
}

/* How long after recorded_at a row of that day expires. */
static int64
RuleSpan(const RetentionRule *rule, TimestampTz recorded_at)
{
	int64		longest = 0;

	for (int i = 0; i < rule->nperiods; i++)
	{
		/* in UTC: the session's time zone must not decide when a row goes */
		Datum		until = DirectFunctionCall2(timestamp_pl_interval,
												TimestampGetDatum((Timestamp) recorded_at),
												IntervalPGetDatum(&rule->periods[i]));
		int64		span = DatumGetTimestamp(until) - recorded_at;

		longest = Max(longest, span);
	}
	return longest;
}

/* When a row expires by a rule alone; false: never. */
static bool
RetentionRuleExpiry(RetentionRule *rule, TimestampTz recorded_at,
					TimestampTz *until)
{
	TimestampTz today = recorded_at - recorded_at % USECS_PER_DAY;

	if (rule->forever)
		return false;
	if (rule->span == 0 || rule->day != today)
	{
		rule->span = 0;			/* should the next line fail */
		rule->span = RuleSpan(rule, recorded_at);
		rule->day = today;
	}
	*until = recorded_at + rule->span;
	return true;
}

bool
RetentionExpiry(const Segment *seg, int class, TimestampTz recorded_at,
				TimestampTz *until)
{
	return RetentionRuleExpiry(&seg->retention[class], recorded_at, until);
}

/*
 * llm_audit.retention_expiry(for_ledger uuid, environment text,
 *							  data_class text, recorded_at timestamptz)
 *		-> timestamptz: until when the policies of now keep a row; infinity:
 *		for ever.  environment empty: of a ledger without environments.
 */
Datum
llm_audit_retention_expiry(PG_FUNCTION_ARGS)
{
	pg_uuid_t  *ledger_id = PG_GETARG_UUID_P(0);
	text	   *class_name = PG_GETARG_TEXT_PP(2);
	RetentionRule *rules;
	TimestampTz until;

	rules = RetentionRulesRead(ledger_id,
							   text_to_cstring(PG_GETARG_TEXT_PP(1)));
	if (!RetentionRuleExpiry(&rules[ClassByName(VARDATA_ANY(class_name),
												VARSIZE_ANY_EXHDR(class_name))],
							 PG_GETARG_TIMESTAMPTZ(3), &until))
		TIMESTAMP_NOEND(until);
	PG_RETURN_TIMESTAMPTZ(until);
}
