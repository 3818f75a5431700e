/*
 * encoding_simd.h
 *	  The loops of encoding.c, for one kind of vectors.
 *
 * encoding.c includes this once for each kind, and defines before:
 *
 *		VARIANT(name)	the name of this kind's function
 *		TARGET			attributes of its functions
 *		VEC				its vector, of VEC_BYTES unsigned bytes
 *		VEC_LOAD, VEC_ALL, VEC_TABLE, VEC_LOOK, VEC_LOOK_ASCII, VEC_AND, VEC_OR,
 *		VEC_XOR, VEC_LESS, VEC_SAME, VEC_HIGH, VEC_LOW, VEC_HAS_HIGH,
 *		VEC_HAS_ANY, VEC_BITS
 *						what is done with it
 *
 * There is no guard against a second inclusion, since that is what it is for.
 */

/* True if there is a byte above 0x7F in n bytes, whole blocks. */
TARGET static inline bool
VARIANT(HasHigh) (const unsigned char *text, size_t n)
{
	VEC			any = VEC_ALL(0);

	for (size_t i = 0; i < n; i += ENCODING_BLOCK)
		for (int j = 0; j < ENCODING_BLOCK; j += VEC_BYTES)
			any = VEC_OR(any, VEC_LOAD(text +i + j));
	return VEC_HAS_HIGH(any);
}

/*
 * What is wrong with some bytes, as far as they and the three before each tell:
 * not zero where something is.
 */
TARGET static inline VEC
VARIANT(WrongBytes) (const unsigned char *bytes)
{
	VEC			here = VEC_LOAD(bytes);
	VEC			lead = VEC_LOAD(bytes - 1);
	VEC			pairs = VEC_AND(VEC_AND(VEC_LOOK(VEC_TABLE(wrong_lead_high),
												 VEC_HIGH(lead)),
										VEC_LOOK(VEC_TABLE(wrong_lead_low),
												 VEC_LOW(lead))),
								VEC_LOOK(VEC_TABLE(wrong_next_high),
										 VEC_HIGH(here)));

	/* the highest bit is set where a third or fourth byte has to be */
	VEC			third = VEC_LESS(VEC_LOAD(bytes - 2), VEC_ALL(0xE0 - 0x80));
	VEC			fourth = VEC_LESS(VEC_LOAD(bytes - 3), VEC_ALL(0xF0 - 0x80));

	return VEC_XOR(VEC_AND(VEC_OR(third, fourth), VEC_ALL(0x80)), pairs);
}

/* True if n bytes of a text, whole blocks, are UTF-8. */
TARGET static inline bool
VARIANT(IsUtf8) (const unsigned char *text, size_t n)
{
	VEC			wrong = VEC_ALL(0);

	for (size_t i = 0; i < n; i += ENCODING_BLOCK)
		for (int j = 0; j < ENCODING_BLOCK; j += VEC_BYTES)
			wrong = VEC_OR(wrong, VARIANT(WrongBytes) (text +i + j));
	return !VEC_HAS_ANY(wrong);
}

/*
 * How far a text is UTF-8: in large steps first, since where one character is
 * not ASCII, others follow.
 */
TARGET static size_t
VARIANT(Utf8) (const unsigned char *text, size_t pos, size_t len)
{
	while (len - pos >= ENCODING_BATCH)
	{
		if (!VARIANT(HasHigh) (text +pos, ENCODING_BATCH) &&!IsAfterHigh(text +pos))
		{
			/* all that follows is at a border of the cache's lines */
			pos += ENCODING_BATCH - (uintptr_t) (text +pos) %ENCODING_BLOCK;
			while (len - pos >= ENCODING_BATCH && !VARIANT(HasHigh) (text +pos, ENCODING_BATCH))
				pos += ENCODING_BATCH;
		}
		else if (VARIANT(IsUtf8) (text +pos, ENCODING_BATCH))
			pos += ENCODING_BATCH;
		else
			break;
	}
	while (len - pos >= ENCODING_BLOCK &&
		   VARIANT(IsUtf8) (text +pos, ENCODING_BLOCK))
		pos += ENCODING_BLOCK;
	return pos;
}

/* Where in some bytes a special character may begin that is not ASCII. */
TARGET static inline VEC
VARIANT(WideBytes) (const unsigned char *bytes)
{
	VEC			lead = VEC_LOAD(bytes);
	VEC			next = VEC_LOAD(bytes + 1);

	return VEC_AND(VEC_AND(VEC_LOOK(VEC_TABLE(wide_lead_high), VEC_HIGH(lead)),
						   VEC_LOOK(VEC_TABLE(wide_lead_low), VEC_LOW(lead))),
				   VEC_LOOK(VEC_TABLE(wide_next_high), VEC_HIGH(next)));
}

/* Where in some bytes one of the signs is that escapes begin with. */
TARGET static inline VEC
VARIANT(SignBytes) (VEC bytes)
{
	/* a byte above 0x7F is no sign, whatever stands for it */
	return VEC_SAME(VEC_LOOK_ASCII(VEC_TABLE(sign_by_low), bytes), bytes);
}

/* What stands for bytes in two tables, by their halves; 0 if above 0x7F. */
#define LOOK_BOTH(high, low, v) \
	VEC_AND(VEC_LOOK(VEC_TABLE(high), VEC_HIGH(v)), \
			VEC_LOOK_ASCII(VEC_TABLE(low), v))

/* Where in some bytes an escape may begin. */
TARGET static inline VEC
VARIANT(EscapeBytes) (const unsigned char *bytes)
{
	VEC			first = VEC_LOAD(bytes);
	VEC			second = VEC_LOAD(bytes + 1);
	VEC			third = VEC_LOAD(bytes + 2);
	VEC			ways = VEC_LOOK_ASCII(VEC_TABLE(escape_first_low), first);

	return VEC_AND(VEC_AND(VEC_AND(VARIANT(SignBytes) (first), ways),
						   LOOK_BOTH(escape_second_high, escape_second_low,
									 second)),
				   LOOK_BOTH(escape_third_high, escape_third_low, third));
}

#undef LOOK_BOTH

/* Where in a block something special may begin, with signs in it or not. */
TARGET static inline uint64_t
VARIANT(SpecialBits) (const unsigned char *block, bool signs)
{
	uint64_t	bits = 0;

	for (int i = 0; i < ENCODING_BLOCK; i += VEC_BYTES)
	{
		VEC			special = VARIANT(WideBytes) (block + i);

		if (signs)
			special = VEC_OR(special, VARIANT(EscapeBytes) (block + i));
		bits |= VEC_BITS(special) << i;
	}
	return bits;
}

TARGET static uint64_t
VARIANT(Special) (const unsigned char *block)
{
	return VARIANT(SpecialBits) (block, true);
}

/* Lists what may be special in a batch, with signs in it or not. */
TARGET static inline void
VARIANT(ListBatch) (SpecialWalk *walk, size_t pos, bool signs)
{
	uint64_t	bits[4];

	for (int i = 0; i < 4; i++)
		bits[i] = VARIANT(SpecialBits) (walk->text +pos + i * ENCODING_BLOCK,
										signs);
	if ((bits[0] | bits[1] | bits[2] | bits[3]) == 0)
		return;
	for (size_t i = 0; i < 4; i++)
		ListBits(walk, bits[i], pos + i * ENCODING_BLOCK);
}

/* Walks to the next places where something special may be. */
TARGET static void
VARIANT(Batch) (SpecialWalk *walk)
{
	size_t		pos = walk->next;

	walk->count = 0;
	for (; walk->len - pos >= ENCODING_BATCH + SPECIAL_AHEAD &&
		 walk->count < SPECIAL_ENOUGH; pos += ENCODING_BATCH)
	{
		VEC			any = VEC_ALL(0);
		VEC			signs = VEC_ALL(0);

		for (int i = 0; i < ENCODING_BATCH; i += VEC_BYTES)
		{
			VEC			bytes = VEC_LOAD(walk->text +pos + i);

			any = VEC_OR(any, bytes);
			signs = VEC_OR(signs, VARIANT(SignBytes) (bytes));
		}
		if (!VEC_HAS_HIGH(VEC_OR(any, signs)))
			continue;
		if (VEC_HAS_HIGH(signs))
			VARIANT(ListBatch) (walk, pos, true);
		else
			VARIANT(ListBatch) (walk, pos, false);
	}
	walk->next = pos;
}
