/*
 * permit.c
 *	  What our own functions may do to ledgers while they run.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "ledger/ledger.h"

static PermitKind current_permit = PERMIT_NONE;

PermitKind
PermitCurrent(void)
{
	return current_permit;
}

int
PermitRun(PermitKind kind, const char *sql)
{
	PermitKind	outer = current_permit;
	volatile int rc = 0;

	current_permit = kind;
	PG_TRY();
	{
		rc = SPI_execute(sql, false, 0);
	}
	PG_FINALLY();
	{
		current_permit = outer;
	}
	PG_END_TRY();
	return rc;
}
