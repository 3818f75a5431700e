/*
 * permit.c
 *	  The doors: what our own functions may do to ledgers while they run.
 *
 * The permit is a variable of this backend and of nothing else.  It holds
 * for the statements that PermitRun executes, not for those which they cause
 * in turn (event triggers, AFTER triggers of others): these run one level
 * deeper.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "ledger/guard.h"

typedef struct Permit
{
	PermitKind	kind;
	int			depth;			/* of the statement that asked for it */
} Permit;

static Permit permit = {PERMIT_NONE, 0};

PermitKind
PermitCurrent(void)
{
	if (GuardDepth() > permit.depth + 1)
		return PERMIT_NONE;
	return permit.kind;
}

int
PermitRun(PermitKind kind, const char *sql)
{
	Permit		outer = permit;
	int			result;

	permit.kind = kind;
	permit.depth = GuardDepth();
	PG_TRY();
	{
		result = SPI_execute(sql, false, 0);
	}
	PG_FINALLY();
	{
		permit = outer;
	}
	PG_END_TRY();
	return result;
}
