/*-------------------------------------------------------------------------
 * writer.c
 *	  Clients that write, one pinned to each member, behind the fence.
 *
 * A commit goes the way of ha/fence.c: a look before its record is written,
 * the record, the wait for synchronous standbys, a look after it.  Between
 * each two the process may be paused.
 *-------------------------------------------------------------------------
 */
#include "sim.h"

#define FENCE_WAIT_US (5 * SECOND)
#define FENCE_POLL_US (50 * MS)

static void
maybe_pause(Member *m)
{
	if (m->backend_pause_in > 0 && --m->backend_pause_in == 0)
	{
		world_trace("%s: a session is paused for %ld ms", m->name,
					(long) (m->backend_pause_for / MS));
		task_sleep(m->backend_pause_for);
	}
}

/* The first look: waits until the fence is open. */
static bool
pass_fence(Member *m, int backends)
{
	int64 until = world_now + FENCE_WAIT_US;

	while (!member_fence_is_open(m))
	{
		if (world_now >= until || m->backends != backends)
			return false;
		task_sleep(FENCE_POLL_US);
	}
	return true;
}

static void
commit(Member *m)
{
	int backends = m->backends;
	int64 wait = MS;
	int record;

	if (!m->postmaster || m->stopping || m->phase != PHASE_PRIMARY || !pass_fence(m, backends))
		return;
	maybe_pause(m);
	if (chance_of(200))
		task_sleep(chance_between(50, 3 * MS));
	if (m->backends != backends)
		return;
	/* The server ends all its processes, and then itself as it cannot recover. */
	if (server_disk_is_full(m))
	{
		server_crash(m);
		return;
	}
	record = server_append(m);
	maybe_pause(m);
	task_sleep(chance_between(50, 1500) + m->disk_delay / 4);
	while (m->backends == backends && !sync_is_released(m, record))
	{
		/* A wait that is broken off, the fence takes for an unknown outcome. */
		if (chance_of(3))
		{
			statistics.unknown++;
			return;
		}
		task_sleep(wait);
		wait = Min(wait * 2, 100 * MS);
	}
	maybe_pause(m);
	if (m->backends != backends)
		return;
	if (member_fence_is_open(m))
		check_acknowledged(m, record);
	else
		statistics.unknown++;
}

static void
writer_main(void *arg)
{
	for (;;)
	{
		task_sleep(self->phase == PHASE_PRIMARY ? chance_between(10 * MS, 600 * MS)
												: chance_between(100 * MS, SECOND));
		commit(self);
	}
}

void
writer_begin(void)
{
	for (int i = 0; i < nmembers; i++)
		for (int n = 0; n < 2; n++)
			task_start(&members[i], NULL, writer_main, NULL);
}
