/*
 * hmac.h
 *	  HMAC-SHA-256 (RFC 2104) over OpenSSL.
 */
#ifndef LLM_AUDIT_CORE_HMAC_H
#define LLM_AUDIT_CORE_HMAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/sha256.h"

/* One of the pieces that a message consists of. */
typedef struct HmacPiece
{
	const void *data;
	size_t		len;
} HmacPiece;

/*
 * The HMAC-SHA-256 of the concatenation of count pieces under key, into
 * out[32].  False if OpenSSL failed.
 */
extern bool HmacSha256(const HmacPiece *key, const HmacPiece *pieces,
					   int count, uint8_t *out);

#endif
