/*
 * expiry.h
 *	  How long rows are kept: what retention_policy says, per segment.
 */
#ifndef LLM_AUDIT_RETENTION_EXPIRY_H
#define LLM_AUDIT_RETENTION_EXPIRY_H

#include "ledger/ledger.h"
#include "utils/uuid.h"

/* Data classes that have rules of their own; 0 is any other, or none. */
#define RETENTION_CLASSES	5

/* Policies that can apply to one row: four in compliance mode and the best. */
#define RETENTION_PERIODS	5

/* How long rows of one data class in one environment are kept. */
typedef struct RetentionRule
{
	bool		forever;
	int			nperiods;		/* the longest counts */
	Interval	periods[RETENTION_PERIODS];
	TimestampTz day;			/* for which span was calculated */
	int64		span;			/* microseconds; 0: not calculated */
} RetentionRule;

/*
 * RetentionRulesRead: the rules of a ledger in an environment (empty: none),
 * RETENTION_CLASSES of them, in the current context.
 */
extern RetentionRule *RetentionRulesRead(const pg_uuid_t *ledger_id,
										 const char *environment);

/* The name of a data class; "*" for 0. */
extern const char *RetentionClassName(int class);

/* Number of a data class by its name, a text value. */
extern int	RetentionClassOfValue(Datum value);

/* The data class of a row, by its own value. */
extern int	RetentionClassOf(const Segment *seg, const Datum *values,
							 const bool *nulls);

/*
 * RetentionExpiry: when a row recorded then expires by the policy of now;
 * false if it is kept for ever.
 */
extern bool RetentionExpiry(const Segment *seg, int class,
							TimestampTz recorded_at, TimestampTz *until);

#endif
