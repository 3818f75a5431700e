/*
 * fuzz_mask_json.c
 *	  JSON and what resembles it: no fault, and what was JSON is JSON after
 *	  masking too (it is walked once more).
 */
/* links: src/mask/[c-k]*.c src/mask/[nrstvw][aceho-u]*.c src/core/sha256.c */
#include <stdlib.h>
#include <string.h>

#include "mask/mask.h"

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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	MaskOptions options = {0};
	char	   *text = malloc(size ? size : 1);
	MaskResult	result;
	MaskResult	again;

	memcpy(text, data, size);
	options.allocator.alloc = Alloc;
	options.allocator.release = Release;
	if (MaskJson(&options, text, size, &result) == MASK_MASKED)
	{
		if (MaskJson(&options, result.text, result.len, &again) ==
			MASK_WITHHELD)
			abort();
		if (again.status == MASK_MASKED)
			free(again.text);
		free(result.text);
	}
	free(text);
	return 0;
}
