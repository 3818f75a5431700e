/*
 * work.c
 *	  What a text may cost, and what becomes of the rest of one that costs more.
 *
 * The scanner is linear in the length of any text, but a text made of nothing
 * but triggers takes some twenty times as long as prose, and whoever sends
 * such texts takes the time from all others.  So each document has an
 * allowance.  What is counted against it is not time, which differs from run
 * to run, but the steps that take time, each with a weight: the same text is
 * always cut in the same place.
 *
 * Nothing that was not looked at is shown: where the allowance ends the rest
 * of the text is one finding.  No allowance is less than that of ten
 * megabytes, so that only long texts can use it up; what has a megabyte or
 * less is looked at to its end, whatever that costs.
 */
#include "mask/scan.h"

#include <string.h>

/*
 * A unit is about the time that a byte of prose takes, which is not counted
 * itself.
 */
#define WORK_PER_BYTE 4
#define WORK_LEAST_BYTES (10 << 20)
#define WORK_FREE_BYTES (1 << 20)

/*
 * How far behind what is decided yet the rest begins: no detector finds what
 * begins further back.
 */
#define REST_BACK 1024

void
WorkAllow(MaskWork *work, size_t len)
{
	memset(work, 0, sizeof(*work));
	work->allowed = len <= WORK_FREE_BYTES ? UINT64_MAX :
		(uint64_t) WORK_PER_BYTE *
		(len > WORK_LEAST_BYTES ? len : WORK_LEAST_BYTES);
}

/*
 * Makes what is behind pos, up to which the text was looked at, one finding;
 * those that reach into it become a part of it.
 */
void
WithholdRest(MaskScan *scan, size_t pos, size_t len)
{
	MaskHit		rest = {0};

	rest.entity = MASK_ENTITY_REST;
	rest.score = 1;
	rest.validator = "work";
	rest.start = pos > REST_BACK ? pos - REST_BACK : 0;
	rest.end = len;
	while (rest.start > 0 && (scan->text[rest.start] & 0xC0) == 0x80)
		rest.start--;
	while (scan->hit_count > 0 &&
		   scan->hits[scan->hit_count - 1].end > rest.start)
	{
		scan->hit_count--;
		if (scan->hits[scan->hit_count].start < rest.start)
			rest.start = scan->hits[scan->hit_count].start;
	}
	if (HitRoom(scan, 1))
		scan->hits[scan->hit_count++] = rest;
}
