/*-------------------------------------------------------------------------
 * stir.c
 *	  The record of WAL that has standbys answer, as ha/probe.c writes it,
 *	  and the gate before reads, which nobody here reads through.
 *-------------------------------------------------------------------------
 */
#include "sim.h"

#include "ha/sync_gate.h"

static void
write_record(void *a, int64 run)
{
	Member *m = a;

	if (m->run == run && member_may_commit(m) && member_paused_until(m, NULL) <= world_now)
		server_append(m);
}

void
sync_names_stir(void)
{
	world_at(world_now + chance_between(MS, 20 * MS), write_record, self, self->run);
}

bool
sync_gate_is_open(void)
{
	return true;
}

void
sync_gate_set(bool open)
{
}
