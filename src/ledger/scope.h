/*
 * scope.h
 *	  Who may reach what: the rows of role_scope that count for a user.
 */
#ifndef LLM_AUDIT_SCOPE_H
#define LLM_AUDIT_SCOPE_H

#include "postgres.h"

#include "ledger/ledger.h"

/*
 * ScopeCheckWriter: refuses (42501) a new row of a built-in ledger whose
 * organization and environment the current user may not write to.  Cheap for
 * a row like the one before it.
 */
extern void ScopeCheckWriter(const Segment *seg, const Datum *values,
							 const bool *nulls);

/*
 * ScopeOrganization: the one organization that a user is restricted to, or
 * "default" if there are none or several; palloc'd.
 */
extern char *ScopeOrganization(Oid user);

/* Registers for invalidations; called once when the library is loaded. */
extern void ScopeInit(void);

#endif
