/*
 * encoding_simd.h
 *	  The loops of encoding.c, for one kind of vectors.
 *
 * encoding.c includes this once for each kind, and defines before:
 *
 *		VARIANT(name)	the name of this kind's function
 *		TARGET			attributes of its functions
 *		VEC				its vector, of VEC_BYTES unsigned bytes
 *		VEC_LOAD, VEC_ALL, VEC_TABLE, VEC_LOOK, VEC_AND, VEC_OR, VEC_XOR,
 *		VEC_LESS, VEC_HIGH, VEC_LOW, VEC_HAS_HIGH, VEC_HAS_ANY
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

#define MANY (4 * ENCODING_BLOCK)

/*
 * How far a text is UTF-8: in large steps first, since where one character is
 * not ASCII, others follow.
 */
TARGET static size_t
VARIANT(Utf8) (const unsigned char *text, size_t pos, size_t len)
{
	while (len - pos >= MANY)
	{
		if (!VARIANT(HasHigh) (text +pos, MANY) &&!IsAfterHigh(text +pos))
		{
			/* all that follows is at a border of the cache's lines */
			pos += MANY - (uintptr_t) (text +pos) %ENCODING_BLOCK;
			while (len - pos >= MANY && !VARIANT(HasHigh) (text +pos, MANY))
				pos += MANY;
		}
		else if (VARIANT(IsUtf8) (text +pos, MANY))
			pos += MANY;
		else
			break;
	}
	while (len - pos >= ENCODING_BLOCK &&
		   VARIANT(IsUtf8) (text +pos, ENCODING_BLOCK))
		pos += ENCODING_BLOCK;
	return pos;
}

#undef MANY
