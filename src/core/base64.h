/*
 * base64.h
 *	  Base64 (RFC 4648): the usual alphabet in, the URL-safe one out.
 */
#ifndef LLM_AUDIT_CORE_BASE64_H
#define LLM_AUDIT_CORE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Characters that len bytes need without padding. */
#define BASE64_LENGTH(len) (((len) * 4 + 2) / 3)

/*
 * Decodes len characters of either alphabet, padded or not, into at most
 * room bytes; *out_len says how many.  False if that is not base64 or does
 * not fit.
 */
extern bool Base64Decode(const char *text, size_t len, uint8_t *out,
						 size_t room, size_t *out_len);

/* Writes BASE64_LENGTH(len) characters of the URL-safe alphabet, no NUL. */
extern void Base64UrlEncode(const uint8_t *data, size_t len, char *out);

#endif
