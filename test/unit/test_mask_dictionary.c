/*
 * test_mask_dictionary.c
 *	  Dictionaries: what is found, what is not, sealed or not, in random text.
 */
/* links: src/mask/[c-k]*.c src/mask/[nrstvw][aceho-u]*.c src/core/sha256.c */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mask/mask.h"
#include "mask_tap.h"

/* A seal that anybody could break, but that changes every block. */
static bool
Seal(void *arg, unsigned char *blocks, size_t count)
{
	for (size_t i = 0; i < count * MASK_SEAL_BLOCK; i++)
		blocks[i] = (unsigned char) ((blocks[i] * 5 + 17) ^ *(unsigned char *) arg);
	return true;
}

static bool
SealFails(void *arg, unsigned char *blocks, size_t count)
{
	(void) arg;
	(void) blocks;
	(void) count;
	return false;
}

static const MaskAllocator allocator = {Alloc, Release, NULL};
static const MaskCustom custom = {"CODE_NAME", MASK_STYLE_TAG};

/* A dictionary of terms that end with NULL. */
static MaskDictionary *
Make(const MaskSeal *seal, const char *const *terms, size_t room)
{
	MaskDictionary *d = MaskDictionaryMake(&allocator, seal, room);
	unsigned char hashes[MASK_TERM_WORDS * MASK_TERM_HASH];

	for (; *terms != NULL; terms++)
	{
		int			words = MaskTermHashes(seal, *terms, strlen(*terms), hashes);

		if (words == 0 ||
			!MaskDictionaryAdd(d, hashes, words, MASK_ENTITY_CUSTOM, &custom))
			Ok(false, *terms);
	}
	return d;
}

/* The text masked with the dictionaries, or NULL; to be freed. */
static char *
Masked(MaskDictionaryList *list, const char *text)
{
	MaskOptions options = {0};
	MaskResult	result;

	options.allocator = allocator;
	options.finders[0].find = MaskDictionaryFind;
	options.finders[0].arg = list;
	MaskDocument(&options, text, strlen(text), &result);
	return result.text;
}

static void
Expect(MaskDictionaryList *list, const char *text, const char *expected)
{
	char	   *masked = Masked(list, text);

	Ok(expected == NULL ? masked == NULL :
	   masked != NULL && strcmp(masked, expected) == 0, text);
	free(masked);
}

static void
TestFinding(MaskDictionaryList *list)
{
	Expect(list, "no term at all", NULL);
	Expect(list, "falcon", "<CODE_NAME>");
	Expect(list, "FALCONS fly, falconry", "<CODE_NAME> fly, falconry");
	Expect(list, "the long winding road home", "the <CODE_NAME> home");
	Expect(list, "the long, winding road; long winding", "the <CODE_NAME>; <CODE_NAME>");
	Expect(list, "long road", NULL);
	Expect(list, "с Ивановым и Кузнецовой-Водкиной", "с <CODE_NAME> и <CODE_NAME>");
	Expect(list, "ивановский", NULL);
	Expect(list, "{\"falcon\": [\"x\", \"\\u0066alcon\"]}", "{\"<CODE_NAME>\": [\"x\", \"<CODE_NAME>\"]}");
	Expect(list, "x\xE2\x80\x8B fal\xE2\x80\x8B" "con", "x\xE2\x80\x8B <CODE_NAME>");
	Expect(list, "KZ 77-81 and kz7781", "<CODE_NAME> and kz7781");
}

/* Bytes at random, with terms among them: nothing is read out of bounds. */
static void
TestRandom(MaskDictionaryList *list)
{
	static const char *const parts[] = {
		"falcon", "long", "winding", " ", "road", "\xD0", "\xD0\xB8\xD0\xB2",
		"s", "'", "Иванов", "ым", "\xFF", "-", "\xE2\x80", "kz", "77"
	};
	char text[	400];
	size_t		found = 0;

	srand(7);
	for (int i = 0; i < 20000; i++)
	{
		size_t		len = 0;
		char	   *masked;

		while (len < 300 && rand() % 20 != 0)
		{
			const char *part = parts[(size_t) rand() % (sizeof(parts) / sizeof(parts[0]))];

			memcpy(text +len, part, strlen(part));
			len += strlen(part);
		}
		text[		len] = '\0';

		masked = Masked(list, text);
		found += masked != NULL;
		free(masked);
	}

	Ok(found > 200, "random text");
}

static void
TestTerms(void)
{
	unsigned char hashes[MASK_TERM_WORDS * MASK_TERM_HASH];
	unsigned char other[MASK_TERM_WORDS * MASK_TERM_HASH];
	char		longest[MASK_TERM_BYTES + 2];

	memset(longest, 'a', sizeof(longest));
	Ok(MaskTermHashes(NULL, "", 0, hashes) == 0, "empty is no term");
	Ok(MaskTermHashes(NULL, "a", 1, hashes) == 0, "one letter is no term");
	Ok(MaskTermHashes(NULL, "ж", 2, hashes) == 0, "one letter of two bytes is none");
	Ok(MaskTermHashes(NULL, "123", 3, hashes) == 0, "three digits are none");
	Ok(MaskTermHashes(NULL, "1234", 4, hashes) == 1, "four are one");
	Ok(MaskTermHashes(NULL, " -- ", 4, hashes) == 0, "no words");
	Ok(MaskTermHashes(NULL, longest, sizeof(longest), hashes) == 0, "too long");
	Ok(MaskTermHashes(NULL, longest, 70, hashes) == 0, "a word that is too long");
	Ok(MaskTermHashes(NULL, "a b c d e f g h", 15, hashes) == 8, "eight words");
	Ok(MaskTermHashes(NULL, "a b c d e f g h i", 17, hashes) == 0, "nine");
	Ok(MaskTermHashes(NULL, "Иванов", 12, hashes) == 1 &&
	   MaskTermHashes(NULL, "ИВАНОВА", 14, other) == 1 &&
	   memcmp(hashes, other, MASK_TERM_HASH) == 0, "forms of a word are one term");
}

int
main(void)
{
	static const char *const terms[] = {
		"Falcon", "long winding", "Long Winding Road", "Иванов",
		"Кузнецова-Водкина", "KZ-77-81", NULL
	};
	unsigned char key[2] = {0xA5, 0x3C};
	MaskSeal	seals[2] = {{Seal, &key[0]}, {Seal, &key[1]}};
	MaskSeal	broken = {SealFails, NULL};
	unsigned char hashes[MASK_TERM_WORDS * MASK_TERM_HASH];
	MaskDictionary *d[3];
	MaskDictionaryList plain = {d, 1};
	MaskDictionaryList sealed = {d + 1, 1};
	MaskDictionaryList both = {d, 3};

	d[0] = Make(NULL, terms, 100);
	d[1] = Make(&seals[0], terms, 100);
	d[2] = Make(&seals[1], terms + 3, 100);
	TestTerms();
	TestFinding(&plain);
	TestFinding(&sealed);
	TestFinding(&both);
	TestRandom(&plain);
	TestRandom(&both);
	Ok(MaskTermHashes(&broken, "falcon", 6, hashes) == 0, "a seal that fails");
	free(d[0]);
	d[0] = MaskDictionaryMake(&allocator, NULL, 1);
	for (int i = 0; i < 48; i++)
	{
		char		term[16];
		int			n = snprintf(term, sizeof(term), "term%d", i);

		MaskDictionaryAdd(d[0], hashes, MaskTermHashes(NULL, term, (size_t) n, hashes),
						  MASK_PERSON, NULL);
	}
	MaskTermHashes(NULL, "one more", 8, hashes);
	Ok(!MaskDictionaryAdd(d[0], hashes, 2, MASK_PERSON, NULL), "a full one says so");
	Expect(&plain, "term7, term47", "<PERSON>, <PERSON>");
	for (int i = 0; i < 3; i++)
		free(d[i]);
	printf("1..%d\n", number);
	return failed > 0;
}
