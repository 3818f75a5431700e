/*
 * secret.h
 *	  Memory for keys: left out of core dumps, and not swapped where the
 *	  system allows.
 */
#ifndef LLM_AUDIT_CORE_SECRET_H
#define LLM_AUDIT_CORE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/*
 * SecretAlloc: memory of whole pages of its own, all zero.  NULL if there is
 * none, or if it cannot be left out of core dumps.
 */
extern void *SecretAlloc(size_t size);

/* Overwrites it and gives it back; NULL is passed over. */
extern void SecretFree(void *memory, size_t size);

/*
 * SecretProcess: makes this whole process one that leaves no core dump, and
 * into which no other process of its user may look.  For a child that holds
 * keys in memory which is not ours.
 */
extern void SecretProcess(void);

#endif
