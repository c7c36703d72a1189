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
		task_sleep(20 * MS);
	}
	return true;
}

static void
commit(Member *m)
{
	int backends = m->backends;
	int record;

	if (!m->postmaster || m->stopping || m->phase != PHASE_PRIMARY || !pass_fence(m, backends))
		return;
	maybe_pause(m);
	if (chance_of(200))
		task_sleep(chance_between(50, 3 * MS));
	if (m->backends != backends)
		return;
	record = server_append(m);
	maybe_pause(m);
	task_sleep(chance_between(50, 1500));
	while (m->backends == backends && server_count_synced(m, record) < sync_standbys)
		task_sleep(10 * MS);
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
		task_sleep(chance_between(10 * MS, 400 * MS));
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
