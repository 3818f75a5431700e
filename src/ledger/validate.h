/*
 * validate.h
 *	  Rules of the built-in ledgers that constraints cannot express.
 */
#ifndef LLM_AUDIT_VALIDATE_H
#define LLM_AUDIT_VALIDATE_H

#include "ledger/ledger.h"

/*
 * RowValidate: checks a new row against the rules of its ledger and fills in
 * what they determine.  values and nulls are by attribute number.
 */
extern void RowValidate(const Segment *seg, Datum *values, bool *nulls);

#endif
