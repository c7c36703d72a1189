/*-------------------------------------------------------------------------
 * shmem.h
 *	  The shared memory of all modules, asked for in one place.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BASE_SHMEM_H
#define PGCLUSTER_BASE_SHMEM_H

#include "storage/lwlock.h"

/*
 * One shared area.  "attach" runs in every process that attaches, with
 * "found" false the first time after a start or a crash-restart, when the
 * area must be initialised.  "nlocks" LWLocks are found under the area's
 * name with GetNamedLWLockTranche.
 */
typedef struct ShmemArea
{
	const char *name;
	Size (*size)(void);
	int nlocks;
	void (*attach)(void *area, LWLockPadded *locks, bool found);
} ShmemArea;

/* To be called from _PG_init, before shmem_init.  "area" must be static. */
extern void shmem_register(const ShmemArea *area);

/* Installs the hooks of the server. */
extern void shmem_init(void);

#endif
