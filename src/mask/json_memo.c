/*
 * json_memo.c
 *	  What is known of the short strings and keys of a document, and of the
 *	  contexts that its keys make: documents repeat a few.
 */
#include "mask/json.h"

/*
 * What the nearest keys say.  It follows from their text alone: what is noted
 * of that is right wherever it was noted.
 */
uint32_t
JsonReadContexts(JsonContext *context)
{
	Memo	   *memo = context->len <= MEMO_CONTEXT ? context->memo : NULL;

	context->set_known = true;
	if (memo != NULL && memo->context_len == context->len &&
		memcmp(memo->context, context->words, context->len) == 0)
		return context->set = memo->set;
	context->set = ContextsOf(context->words, context->len);
	if (memo != NULL)
	{
		memo->set = context->set;
		memo->context_len = (uint8_t) context->len;
		memcpy(memo->context, context->words, context->len);
	}
	return context->set;
}

#define ONES_8 "\377\377\377\377\377\377\377\377"

/* Copies a text of at most MEMO_BYTES, of which room bytes can be read. */
static inline void
PadMemo(uint64_t *bytes, const char *text, size_t len, size_t room)
{
	/* MEMO_BYTES of them, and as many zeros */
	static const char ones[2 * MEMO_BYTES] = ONES_8 ONES_8 ONES_8 ONES_8;

	if (room < MEMO_BYTES)
	{
		memset(bytes, 0, MEMO_BYTES);
		memcpy(bytes, text, len);
		return;
	}
	for (int i = 0; i < MEMO_BYTES / 8; i++)
	{
		uint64_t	keep;

		memcpy(&bytes[i], text +i * 8, 8);
		memcpy(&keep, ones + MEMO_BYTES - len + i * 8, 8);
		bytes[i] &= keep;
	}
}

/* True if a memo is of these bytes. */
static inline bool
IsMemoOf(const Memo *memo, const uint64_t *b)
{
	return ((b[0] ^ memo->bytes[0]) | (b[1] ^ memo->bytes[1]) |
			(b[2] ^ memo->bytes[2]) | (b[3] ^ memo->bytes[3])) == 0;
}

/* A new memo, in a slot or its neighbour: in turn if both are taken. */
static Memo *
NewMemo(JsonRoot *root, const TextPiece *piece, const uint64_t *b,
		size_t slot)
{
	Memo	   *memo;

	CountJson(root, WORK_GLANCE);
	if (root->memo_len[slot] != 0)
		slot ^= root->memo_len[slot ^ 1] == 0 || (root->memo_turn++ & 1);
	memo = &root->memos[slot];
	root->memo_len[slot] = (uint8_t) piece->len;
	memcpy(memo->bytes, b, MEMO_BYTES);
	memo->glance = root->glances ?
		GlanceAt(piece->text, piece->len, piece->room) : GLANCE_MORE;
	memo->clean = memo->judged = false;
	memo->context_len = 0;
	return memo;
}

/*
 * What is known of a string, found out if it is new; NULL if nothing is kept
 * of it.  Only where detectors alone seek does its glance tell all.
 */
Memo *
JsonMemoOf(JsonRoot *root, const TextPiece *piece, bool key)
{
	uint64_t	b[MEMO_BYTES / 8];
	size_t		len = piece->len;
	size_t		slot;

	if (len == 0 || len > MEMO_BYTES)
		return NULL;
	PadMemo(b, piece->text, len, piece->room);
	slot = ((b[0] ^ b[1] * 3 ^ b[2] * 5 ^ b[3] * 7) *
			UINT64_C(0x9E3779B97F4A7C15)) >> 58;
	slot += key ? MEMOS : 0;
	for (int i = 0; i < 2; i++, slot ^= 1)
		if (root->memo_len[slot] == len && IsMemoOf(&root->memos[slot], b))
			return &root->memos[slot];
	return NewMemo(root, piece, b, slot);
}

/* A key above speaks of cards. */
bool
JsonSaysCard(JsonContext *context)
{
	if (context->card_known)
		return context->card;
	context->card_known = true;
	context->card = false;
	for (size_t i = 0; i + 4 <= context->len && !context->card; i++)
		context->card = (context->words[i] | 0x20) == 'c' &&
			FoldMatch((const unsigned char *) context->words, context->len, i,
					  "card", 4) > 0;
	return context->card;
}

/* Makes a context that of an object's or array's members. */
void
JsonCopyContext(JsonContext *to, const JsonContext *outer)
{
	memcpy(to->words, outer->words, CONTEXT_ROOM / 2);
	to->len = outer->len;
	to->memo = outer->memo;
	to->set = outer->set;
	to->set_known = outer->set_known;
	to->card = outer->card;
	to->card_known = outer->card_known;
}

/* Adds a key to the context; keeps the one before it and no more. */
void
JsonPushContext(JsonContext *context, const char *key, size_t len, Memo *memo)
{
	if (len > CONTEXT_ROOM / 2 - 2)
		len = CONTEXT_ROOM / 2 - 2;
	if (context->len > 0)
		context->words[context->len++] = ' ';
	memcpy(context->words + context->len, key, len);
	context->len += len;
	context->memo = memo;
	context->set_known = context->card_known = false;
}

/* Only the nearest key goes on to the next level. */
void
JsonCutContext(const JsonContext *context, JsonContext *outer)
{
	size_t		cut = context->len > CONTEXT_ROOM / 2 ?
	context->len - CONTEXT_ROOM / 2 : 0;

	outer->len = context->len - cut;
	memcpy(outer->words, context->words + cut, outer->len);
	outer->memo = context->memo;
	outer->set = context->set;
	outer->card = context->card;
	outer->set_known = context->set_known && cut == 0;
	outer->card_known = context->card_known && cut == 0;
}

/* Names of members that name another, and of those that they name. */
static const char *const naming[] = {"name", "key", "field", "header",
"variable", "param", "label", "id", NULL};
static const char *const holding[] = {"value", "val", "content", "data", NULL};

/* True if a key is one of the words, of which none has more than 8 letters. */
static bool
IsOneOf(const char *key, size_t len, const char *const *words)
{
	for (; len <= 8 && *words != NULL; words++)
		if (strlen(*words) == len &&
			FoldMatch((const unsigned char *) key, len, 0, *words,
					  len) == len)
			return true;
	return false;
}

/* What a key's name says. */
void
JsonJudgeKey(Memo *memo, const char *name, size_t len)
{
	memo->kind = KindOfKey((const unsigned char *) name, len);
	memo->names = IsOneOf(name, len, naming);
	memo->holds = IsOneOf(name, len, holding);
	memo->judged = true;
}
