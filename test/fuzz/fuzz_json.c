/*
 * fuzz_json.c
 *	  Any bytes through the JSON reader, and what it reads through the mapper
 *	  that takes it: no crash, and attributes that are JSON and fit.
 */
/* links: src/record/json.c src/record/format*.c */
#include "../unit/record_schemas.h"

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Heap		heap = {NULL, 0, 0};
	JsonArena	arena = ArenaOver(&heap);
	JsonError	error;
	JsonNode   *root;
	JsonNode   *attributes;
	RecordDoc	doc;
	RecordSchemas schemas = CallSchemas();

	root = JsonParse(&arena, (const char *) data, size, &error);
	if (root == NULL && error.position > size)
		abort();
	if (root && RecordDocInit(&doc, &arena, &schemas) && RecordMap(&doc, root))
	{
		RecordComplete(&doc);
		attributes = RecordFitAttributes(&doc);
		if (attributes &&
			(attributes->len > 8192 ||
			 JsonParse(&arena, attributes->text, attributes->len, &error) == NULL))
			abort();
	}
	HeapFree(&heap);
	return 0;
}
