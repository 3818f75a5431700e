/*
 * hold.h
 *	  Legal holds, as the triggers ask for them.
 */
#ifndef LLM_AUDIT_RETENTION_HOLD_H
#define LLM_AUDIT_RETENTION_HOLD_H

#include "ledger/ledger.h"

/*
 * HoldCovers: true if the row at this position of a segment is held.  The
 * first question about a segment in a transaction finds all its held rows at
 * once; no hold can be placed until the transaction ends.
 */
extern bool HoldCovers(const Segment *seg, int32 lane, int64 seq);

/* HoldCoversAny: true if any row of the segment is held. */
extern bool HoldCoversAny(const Segment *seg);

/*
 * SegmentExpired: true if every row of a closed segment has expired, by what
 * segment_event says of its end and by the policies of now.
 */
extern bool SegmentExpired(const Segment *seg);

#endif
