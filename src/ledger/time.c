/*
 * time.c
 *	  The ledger clock, and the ids that are ordered by it.
 *
 * recorded_at is a column with a default, because rows are routed to their
 * segment by it before any trigger runs.  So that a writer cannot supply a
 * value of its own, the clock remembers what it issued in this transaction
 * and the trigger accepts nothing else.
 */
#include "postgres.h"

#include "core/sha256.h"
#include "fmgr.h"
#include "ledger/ledger.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(llm_audit_now);
PG_FUNCTION_INFO_V1(llm_audit_uuid7);

#define MAX_CLOCK_SKEW	(10 * USECS_PER_MINUTE)
#define RANDOM_BATCH	1024

/*
 * The times that now() has issued in this transaction, in their order, and of
 * very many the last.  A statement may take them all before it inserts its
 * first row.
 */
#define MAX_ISSUED		131072
#define FIRST_ISSUED	64

static TimestampTz first_issued[FIRST_ISSUED];
static TimestampTz *issued = first_issued;
static int	issued_room = FIRST_ISSUED;
static int	nissued = 0;		/* in the array */
static int	issued_next = 0;	/* where the next one goes */
static int	issued_hint = 0;	/* where one was found last */

/* Remembers a time; the same one, of many rows, once. */
static void
IssuedAdd(TimestampTz at)
{
	if (nissued > 0 &&
		issued[(issued_next + issued_room - 1) % issued_room] == at)
		return;
	if (nissued == issued_room && issued_room < MAX_ISSUED)
	{
		TimestampTz *larger = MemoryContextAlloc(TopMemoryContext,
												 2 * issued_room * sizeof(TimestampTz));

		memcpy(larger, issued, nissued * sizeof(TimestampTz));
		if (issued != first_issued)
			pfree(issued);
		issued = larger;
		issued_next = issued_room;
		issued_room *= 2;
	}
	issued[issued_next % issued_room] = at;
	issued_next = (issued_next + 1) % issued_room;
	nissued = Min(nissued + 1, issued_room);
}

/* True if now() has issued exactly this time. */
static bool
IssuedHas(TimestampTz at)
{
	if (nissued == 0)
		return false;
	if (issued[(issued_next + issued_room - 1) % issued_room] == at)
		return true;
	/* those that were taken together come back in their order */
	for (int i = 0; i < nissued; i++)
	{
		int			place = (issued_hint + i) % nissued;

		if (issued[place] == at)
		{
			issued_hint = place;
			return true;
		}
	}
	return false;
}

/*
 * llm_audit.now() -> timestamptz
 *		The time of recording: the clock, or the end of the newest closed
 *		segment if the clock has stepped back behind it, so that no row can
 *		fall into a segment that has been closed.
 */
Datum
llm_audit_now(PG_FUNCTION_ARGS)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz closed = NewestClosedEnd();

	if (closed > now)
		now = closed;
	IssuedAdd(now);
	PG_RETURN_TIMESTAMPTZ(now);
}

bool
LedgerTimeIssued(TimestampTz recorded_at)
{
	TimestampTz now;
	TimestampTz closed;

	if (!IssuedHas(recorded_at))
		return false;
	now = GetCurrentTimestamp();
	closed = NewestClosedEnd();
	if (closed > now)
		now = closed;
	return recorded_at >= now - MAX_CLOCK_SKEW &&
		recorded_at <= now + MAX_CLOCK_SKEW;
}

void
LedgerTimeReset(void)
{
	if (issued != first_issued)
		pfree(issued);
	issued = first_issued;
	issued_room = FIRST_ISSUED;
	nissued = issued_next = issued_hint = 0;
}

/*
 * Random bytes for ids and salts, drawn in batches, since each call to
 * OpenSSL costs.  What has been handed out is wiped from the batch: a salt
 * must not outlive its erasure here.
 */
void
LedgerRandom(uint8 *out, size_t len)
{
	static uint8 pool[RANDOM_BATCH];
	static size_t left = 0;
	static int	owner = 0;

	if (len > sizeof(pool))
	{
		if (!StrongRandom(out, len))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
		return;
	}
	if (left < len || owner != MyProcPid)
	{
		left = 0;
		if (!StrongRandom(pool, sizeof(pool)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
		left = sizeof(pool);
		owner = MyProcPid;
	}
	left -= len;
	memcpy(out, pool + left, len);
	explicit_bzero(pool + left, len);
}

/*
 * A version 7 UUID (RFC 9562, section 5.7), palloc'd: 48 bits of Unix time
 * in milliseconds, then the fraction of the millisecond in 12 bits (section
 * 6.2, method 3), then random bits.  Ascending within a backend even if the
 * clock stands still or steps back.
 */
Datum
LedgerUuid(void)
{
	static uint64 last = 0;
	uint64		micros = (uint64) (GetCurrentTimestamp() +
								   (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) *
								   USECS_PER_DAY);
	uint64		stamp = (micros / 1000) << 12 | (micros % 1000) * 4096 / 1000;
	pg_uuid_t  *uuid = palloc(sizeof(pg_uuid_t));
	uint8		random[8];

	if (stamp <= last)
		stamp = last + 1;
	last = stamp;
	LedgerRandom(random, sizeof(random));
	for (int i = 0; i < 6; i++)
		uuid->data[i] = (stamp >> (52 - 8 * i)) & 0xff;
	uuid->data[6] = 0x70 | ((stamp >> 8) & 0x0f);
	uuid->data[7] = stamp & 0xff;
	memcpy(uuid->data + 8, random, 8);
	uuid->data[8] = 0x80 | (uuid->data[8] & 0x3f);
	return UUIDPGetDatum(uuid);
}

/* llm_audit.uuid7() -> uuid: see LedgerUuid */
Datum
llm_audit_uuid7(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(LedgerUuid());
}
