/*
 * encoding_simd.h
 *	  The loops of encoding.c, for one kind of vectors.
 *
 * encoding.c includes this once for each kind, and defines before:
 *
 *		VARIANT(name)	the name of this kind's function
 *		TARGET			attributes of its functions
 *		VEC				its vector, of VEC_BYTES unsigned bytes
 *		VEC_LOAD, VEC_STORE, VEC_ALL, VEC_TABLE, VEC_LOOK, VEC_AND, VEC_OR,
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
	return VEC_OR(VEC_OR(VEC_SAME(bytes, VEC_ALL('%')),
						 VEC_SAME(bytes, VEC_ALL('&'))),
				  VEC_SAME(bytes, VEC_ALL('\\')));
}

/* What stands for a byte in two tables, by its halves. */
#define LOOK_BOTH(high, low, v) \
	VEC_AND(VEC_LOOK(VEC_TABLE(high), VEC_HIGH(v)), \
			VEC_LOOK(VEC_TABLE(low), VEC_LOW(v)))

/* Where in some bytes an escape may begin. */
TARGET static inline VEC
VARIANT(EscapeBytes) (const unsigned char *bytes)
{
	VEC			first = VEC_LOAD(bytes);
	VEC			second = VEC_LOAD(bytes + 1);
	VEC			third = VEC_LOAD(bytes + 2);

	return VEC_AND(VEC_AND(LOOK_BOTH(escape_first_high, escape_first_low, first),
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

/* Goes on over blocks in which nothing may be special. */
TARGET static uint64_t
VARIANT(Plain) (PlainWalk *walk)
{
	PlainWalk	w = *walk;
	uint64_t	special = 0;

	for (; w.len - w.pos >= ENCODING_BLOCK + SPECIAL_AHEAD; NextPlain(&w))
	{
		const unsigned char *block = w.text +w.pos;
		VEC			any = VEC_ALL(0);
		VEC			signs = VEC_ALL(0);

		for (int i = 0; i < ENCODING_BLOCK; i += VEC_BYTES)
		{
			VEC			bytes = VEC_LOAD(block + i);

			if (w.out != NULL)
				VEC_STORE(w.out + w.to + i, bytes);
			any = VEC_OR(any, bytes);
			signs = VEC_OR(signs, VARIANT(SignBytes) (bytes));
		}
		if (!VEC_HAS_HIGH(VEC_OR(any, signs)))
			continue;
		special = VEC_HAS_HIGH(signs) ?
			VARIANT(SpecialBits) (block, true) :
			VARIANT(SpecialBits) (block, false);
		if (special != 0)
			break;
	}
	*walk = w;
	return special;
}
