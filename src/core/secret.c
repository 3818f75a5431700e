/*
 * secret.c
 *	  Memory for keys: left out of core dumps, and not swapped where the
 *	  system allows.
 *
 * Locking may be refused (RLIMIT_MEMLOCK) and is then done without: an
 * administrator who lets the server swap knows so.  A core dump is written
 * at any crash and sent to others, so leaving keys out of it is required
 * where the system offers it.
 */
#include "core/secret.h"

#include <openssl/crypto.h>
#include <sys/mman.h>
#include <sys/resource.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

void *
SecretAlloc(size_t size)
{
	void	   *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
							  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	(void) mlock(memory, size);
#ifdef MADV_DONTDUMP
	if (madvise(memory, size, MADV_DONTDUMP) != 0)
	{
		munmap(memory, size);
		return NULL;
	}
#endif
	return memory;
}

void
SecretFree(void *memory, size_t size)
{
	if (memory == NULL)
		return;
	OPENSSL_cleanse(memory, size);
	munmap(memory, size);
}

void
SecretProcess(void)
{
	struct rlimit none = {0, 0};

	(void) setrlimit(RLIMIT_CORE, &none);
#ifdef PR_SET_DUMPABLE
	(void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}
