/*-------------------------------------------------------------------------
 * clock.h
 *	  The clock that leases are measured on.
 *
 * CLOCK_BOOTTIME goes on while the machine is suspended, is not set by
 * anyone, and is the same in every process of the machine, so that a
 * deadline written by the agent means the same in a backend.  Timestamps of
 * the wall clock are for people only.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BASE_CLOCK_H
#define PGCLUSTER_BASE_CLOCK_H

#include <time.h>

/* Microseconds since the machine started, suspended time included. */
static inline int64
clock_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

#endif
