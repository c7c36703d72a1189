/*-------------------------------------------------------------------------
 * shown.c
 *	  What sessions see: the gate before reads, as ha/sync_gate.c has it, and
 *	  the record of WAL that has standbys answer, as ha/probe.c writes it.
 *
 * Readers need not be modelled: as soon as the gate is open somebody may see
 * all that recovery found, and from then on it must not be lost.
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
	return self->shows;
}

void
sync_gate_set(bool open)
{
	int record = self->head;

	if (open && !self->shows && self->phase == PHASE_PRIMARY)
	{
		while (records[record].parent >= 0 && records[record].lsn > sim_agent->sync.recovered)
			record = records[record].parent;
		check_shown(self, record);
	}
	self->shows = open;
}
