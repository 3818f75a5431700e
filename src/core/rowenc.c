/*
 * rowenc.c
 *	  The bytes of a row preimage, version 1.
 */
#include "core/rowenc.h"

#include <string.h>

uint8_t *
RowHeaderPut(uint8_t *p, const RowPosition *pos, uint16_t entries)
{
	memcpy(p, ROW_FORMAT_MAGIC, 4);
	p += 4;
	memcpy(p, pos->ledger_id, LEDGER_ID_SIZE);
	p += LEDGER_ID_SIZE;
	p = PutU32(p, pos->segment);
	p = PutU32(p, pos->lane);
	p = PutU64(p, pos->seq);
	memcpy(p, pos->prev_hash, SHA256_SIZE);
	p += SHA256_SIZE;
	return PutU16(p, entries);
}

bool
CommitmentMake(const uint8_t *salt, uint16_t number, uint32_t type_oid,
			   const void *bytes, uint32_t length, uint8_t *out)
{
	uint8_t		head[1 + SALT_SIZE + 2 + 4 + 4];
	uint8_t    *p = head;

	*p++ = 0x02;
	memcpy(p, salt, SALT_SIZE);
	p += SALT_SIZE;
	p = PutU16(p, number);
	p = PutU32(p, type_oid);
	PutU32(p, length);
	return Sha256Digest2(head, sizeof(head), bytes, length, out);
}

bool
GenesisHash(const uint8_t *ledger_id, uint32_t segment, uint32_t lane,
			uint8_t *out)
{
	uint8_t		head[4 + LEDGER_ID_SIZE + 4 + 4];

	memcpy(head, GENESIS_MAGIC, 4);
	memcpy(head + 4, ledger_id, LEDGER_ID_SIZE);
	PutU32(PutU32(head + 4 + LEDGER_ID_SIZE, segment), lane);
	return Sha256Digest(head, sizeof(head), out);
}
