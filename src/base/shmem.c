/*-------------------------------------------------------------------------
 * shmem.c
 *	  The shared memory of all modules, asked for in one place.
 *
 * A module describes its area with a ShmemArea; the hooks of the server are
 * taken once, here.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#include "base/shmem.h"

#define MAX_AREAS 16

static const ShmemArea *areas[MAX_AREAS];
static int nareas = 0;

static shmem_request_hook_type prev_shmem_request = NULL;
static shmem_startup_hook_type prev_shmem_startup = NULL;

void
shmem_register(const ShmemArea *area)
{
	if (nareas == MAX_AREAS)
		elog(ERROR, "too many shared areas");
	areas[nareas++] = area;
}

static void
pgcluster_shmem_request(void)
{
	if (prev_shmem_request)
		prev_shmem_request();

	for (int i = 0; i < nareas; i++)
	{
		RequestAddinShmemSpace(MAXALIGN(areas[i]->size()));
		if (areas[i]->nlocks > 0)
			RequestNamedLWLockTranche(areas[i]->name, areas[i]->nlocks);
	}
}

static void
pgcluster_shmem_startup(void)
{
	if (prev_shmem_startup)
		prev_shmem_startup();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	for (int i = 0; i < nareas; i++)
	{
		const ShmemArea *area = areas[i];
		bool found;
		void *memory = ShmemInitStruct(area->name, area->size(), &found);

		area->attach(memory, area->nlocks > 0 ? GetNamedLWLockTranche(area->name) : NULL, found);
	}
	LWLockRelease(AddinShmemInitLock);
}

void
shmem_init(void)
{
	prev_shmem_request = shmem_request_hook;
	shmem_request_hook = pgcluster_shmem_request;
	prev_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = pgcluster_shmem_startup;
}
