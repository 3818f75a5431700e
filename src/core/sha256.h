/*
 * sha256.h
 *	  SHA-256 over OpenSSL, with the context and the algorithm fetched once.
 *
 * Nothing in core/ includes PostgreSQL headers: the same code runs in the
 * server, in the unit tests, under fuzzers and in the offline verifier.
 */
#ifndef LLM_AUDIT_CORE_SHA256_H
#define LLM_AUDIT_CORE_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE 32

/* Hashes len bytes at data into out[32].  False if OpenSSL failed. */
extern bool Sha256Digest(const void *data, size_t len, uint8_t *out);

/* Hashes the concatenation of two pieces.  False if OpenSSL failed. */
extern bool Sha256Digest2(const void *first, size_t first_len,
						  const void *second, size_t second_len,
						  uint8_t *out);

/* Fills out with len cryptographically strong bytes.  False on failure. */
extern bool StrongRandom(void *out, size_t len);

#endif
