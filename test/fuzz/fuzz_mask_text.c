/*
 * fuzz_mask_text.c
 *	  Any bytes through the scanner: no fault, findings in order and within
 *	  the text, the same on every variant of the classifier, and nothing of
 *	  a finding's text left when it is masked once more.
 */
/* links: src/mask/[c-k]*.c src/mask/[nrstvw][aceho-u]*.c src/core/sha256.c */
#include <stdlib.h>
#include <string.h>

#include "mask/scan.h"

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *
Alloc(void *arg, size_t size)
{
	(void) arg;
	return malloc(size);
}

static void
Release(void *arg, void *chunk)
{
	(void) arg;
	free(chunk);
}

/* Findings are ordered, do not overlap and lie within the text. */
static void
CheckOrder(const MaskHit *hits, size_t count, size_t len)
{
	size_t		end = 0;

	for (size_t i = 0; i < count; i++)
	{
		if (hits[i].start < end || hits[i].end <= hits[i].start ||
			hits[i].end > len)
			abort();
		end = hits[i].end;
	}
}

/* The portable classifier finds exactly the same. */
static void
CheckVariant(const MaskOptions *options, const char *text, size_t len,
			 const MaskHit *hits, size_t count)
{
	MaskHit    *other;
	size_t		other_count;

	MaskSetSimd(MASK_SIMD_SCALAR);
	MaskFind(options, text, len, &other, &other_count);
	MaskSetSimd(MASK_SIMD_BEST);
	if (other_count != count)
		abort();
	for (size_t i = 0; i < count; i++)
		if (other[i].start != hits[i].start || other[i].end != hits[i].end ||
			other[i].entity != hits[i].entity)
			abort();
	free(other);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	MaskOptions options = {0};
	MaskValue	known;

	/* an exact copy, so that reading beyond the end is noticed */
	char	   *text = malloc(size ? size : 1);
	MaskHit    *hits;
	size_t		count;
	MaskResult	result;

	memcpy(text, data, size);
	/* what is not UTF-8 is withheld at once: mostly leave nothing of that */
	if (size % 8 != 0)
		for (size_t at = 0; (at += Utf8Prefix(text +at, size - at)) < size;)
			text[		at] = '?';

	options.allocator.alloc = Alloc;
	options.allocator.release = Release;
	if (size > 8 && data[0] % 4 == 0)
	{
		known.text = text +1;

		known.len = data[1] % 8;
		options.known = &known;
		options.known_count = 1;
	}
	MaskFind(&options, text, size, &hits, &count);
	CheckOrder(hits, count, size);
	CheckVariant(&options, text, size, hits, count);
	MaskCharPositions(text, size, hits, count);
	free(hits);
	if (MaskDocument(&options, text, size, &result) == MASK_MASKED)
		free(result.text);
	free(text);
	return 0;
}
