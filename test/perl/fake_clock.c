/*
 * fake_clock.c
 *	  A clock that tests can move: preloaded into a server, it adds to the
 *	  time of day the seconds that a file says.
 *
 * libfaketime cannot be used here: it suspends itself while it runs, so a
 * worker that the postmaster forks in a signal handler may keep the true time
 * for its whole life.  This library has no state but the mapped file, eight
 * bytes that set_clock() of LlmAudit.pm writes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t no_offset = 0;
static volatile int64_t *offset = &no_offset;

/* Maps the file; without it the server has no clock to be tested with. */
__attribute__((constructor)) static void
MapOffset(void)
{
	const char *path = getenv("LLM_AUDIT_TEST_CLOCK");
	int			fd;
	void	   *map;

	if (path == NULL)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	map = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		abort();
	close(fd);
	offset = map;
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int			status = syscall(SYS_clock_gettime, clock, now);

	if (status == 0 &&
		(clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += *offset;
	return status;
}

int
gettimeofday(struct timeval *now, void *zone)
{
	struct timespec precise;

	if (clock_gettime(CLOCK_REALTIME, &precise) != 0)
		return -1;
	now->tv_sec = precise.tv_sec;
	now->tv_usec = precise.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *result)
{
	struct timespec precise;

	clock_gettime(CLOCK_REALTIME, &precise);
	if (result != NULL)
		*result = precise.tv_sec;
	return precise.tv_sec;
}
