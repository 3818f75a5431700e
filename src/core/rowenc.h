/*
 * rowenc.h
 *	  The row preimage, version 1 ("LAR1"), and the pieces it is made of.
 *
 * A preimage is a 70-byte header and one entry for each non-NULL hashed
 * column in the order of the column numbers.  All integers are big-endian.
 * The functions here only append bytes to a buffer that the caller provides;
 * turning a Datum into bytes is ledger/encode.c's part.
 */
#ifndef LLM_AUDIT_CORE_ROWENC_H
#define LLM_AUDIT_CORE_ROWENC_H

#include "core/sha256.h"

#define ROW_FORMAT_MAGIC	"LAR1"
#define GENESIS_MAGIC		"LAG1"
#define LEDGER_ID_SIZE		16
#define SALT_SIZE			16
#define ENTRY_HEADER_SIZE	11	/* number u16, type u32, flag u8, length u32 */
#define ROW_HEADER_SIZE		70	/* see RowHeaderPut */

typedef enum EntryFlag
{
	ENTRY_PLAIN = 0,
	ENTRY_ERASABLE = 1
} EntryFlag;

/* Where a row stands: all that its header holds but the entry count. */
typedef struct RowPosition
{
	uint8_t		ledger_id[LEDGER_ID_SIZE];
	uint32_t	segment;
	uint32_t	lane;
	uint64_t	seq;
	uint8_t		prev_hash[SHA256_SIZE];
} RowPosition;

static inline uint8_t *
PutU16(uint8_t *p, uint16_t v)
{
	p[0] = v >> 8;
	p[1] = v & 0xff;
	return p + 2;
}

static inline uint8_t *
PutU32(uint8_t *p, uint32_t v)
{
	p[0] = v >> 24;
	p[1] = (v >> 16) & 0xff;
	p[2] = (v >> 8) & 0xff;
	p[3] = v & 0xff;
	return p + 4;
}

static inline uint8_t *
PutU64(uint8_t *p, uint64_t v)
{
	return PutU32(PutU32(p, v >> 32), v & 0xffffffff);
}

static inline uint16_t
GetU16(const uint8_t *p)
{
	return (uint16_t) (p[0] << 8 | p[1]);
}

static inline uint32_t
GetU32(const uint8_t *p)
{
	return (uint32_t) GetU16(p) << 16 | GetU16(p + 2);
}

static inline uint64_t
GetU64(const uint8_t *p)
{
	return (uint64_t) GetU32(p) << 32 | GetU32(p + 4);
}

/*
 * Writes the header (ROW_HEADER_SIZE bytes) at p and returns the byte after
 * it: magic 4, ledger id 16, segment u32, lane u32, seq u64, prev_hash 32,
 * number of entries u16.
 */
extern uint8_t *RowHeaderPut(uint8_t *p, const RowPosition *pos,
							 uint16_t entries);

/*
 * Writes an entry's header (ENTRY_HEADER_SIZE bytes) at p and returns the
 * byte after it.
 */
static inline uint8_t *
EntryHeaderPut(uint8_t *p, uint16_t number, uint32_t type_oid,
			   EntryFlag flag, uint32_t length)
{
	p = PutU16(p, number);
	p = PutU32(p, type_oid);
	*p++ = (uint8_t) flag;
	return PutU32(p, length);
}

/*
 * The commitment that stands for an erasable value: SHA-256(0x02 || salt ||
 * number u16 || type u32 || length u32 || bytes).  False if hashing failed.
 */
extern bool CommitmentMake(const uint8_t *salt, uint16_t number,
						   uint32_t type_oid, const void *bytes,
						   uint32_t length, uint8_t *out);

/*
 * prev_hash of a lane's first row: SHA-256("LAG1" || ledger id || segment
 * u32 || lane u32).  False if hashing failed.
 */
extern bool GenesisHash(const uint8_t *ledger_id, uint32_t segment,
						uint32_t lane, uint8_t *out);

#endif
