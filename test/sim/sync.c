/*-------------------------------------------------------------------------
 * sync.c
 *	  What commits wait for: synchronous_standby_names as the agent sets it.
 *
 * As in the server, each walsender goes by the names that it read last, and
 * releases commits by them when its standby confirms WAL; whether any commit
 * waits at all is for the checkpointer to say.  Each of them reads the
 * setting in its own time.  Where the agent has set none, a commit waits for
 * a number of standbys, whichever they are.
 *-------------------------------------------------------------------------
 */
#include "sim.h"

static int64
reading_takes(void)
{
	if (fault_is_single || chance_of(900))
		return chance_between(MS, 30 * MS);
	return chance_between(30 * MS, 3 * SECOND);
}

/*
 * Who goes by what
 */

static void
agent_reads(void *a, int64 run)
{
	Member *m = a;

	if (m->run == run && m->process != NULL)
		m->process->names = m->names;
}

static void
checkpointer_reads(void *a, int64 run)
{
	Member *m = a;

	if (m->run == run)
		m->commits_wait = m->names.serial != 0 && m->names.names.count > 0;
}

static void
walsender_reads(void *a, int64 serial)
{
	Member *standby = a;

	if (standby->session.alive && standby->session.serial == serial)
		standby->session.names = members[standby->session.upstream].names;
}

static void
have_all_read(Member *m)
{
	world_at(world_now + chance_between(MS, 20 * MS), agent_reads, m, m->run);
	world_at(world_now + reading_takes(), checkpointer_reads, m, m->run);
	for (int i = 0; i < nservers; i++)
		if (members[i].session.alive && members[i].session.upstream == m->id)
			world_at(world_now + reading_takes(), walsender_reads, &members[i],
					 members[i].session.serial);
}

/* Each process that starts knows what the postmaster does. */
void
sync_server_starts(Member *m)
{
	m->released = 0;
	m->shows = m->names.serial == 0;
	m->commits_wait = m->names.serial != 0 && m->names.names.count > 0;
}

void
sync_session_starts(Member *standby)
{
	standby->session.names = members[standby->session.upstream].names;
}

/*
 * What the agent asks for
 */

SyncNamesState
sync_names_read(SyncNames *names)
{
	const Process *p = self->process;

	*names = p->names.names;
	if (p->written_serial == 0 && p->names.serial == 0)
		return SYNC_NAMES_FOREIGN;
	if ((p->written_serial != 0 && p->names.serial != p->written_serial) ||
		self->commits_wait != (names->count > 0))
		return SYNC_NAMES_CHANGING;
	for (int i = 0; i < nservers; i++)
	{
		const Session *s = &members[i].session;

		if (s->alive && s->upstream == self->id && s->names.serial != p->names.serial)
			return SYNC_NAMES_CHANGING;
	}
	return SYNC_NAMES_IN_FORCE;
}

void
sync_names_write(const SyncNames *names)
{
	self->names.serial = Max(self->process->written_serial, self->names.serial) + 1;
	self->names.names = *names;
	self->process->written_serial = self->names.serial;
	if (world_tracing)
	{
		char text[128] = "";

		for (int i = 0; i < names->n; i++)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s", names->names[i]);
		world_trace("%s: commits are to wait for %d of%s", self->name, names->count,
					names->anybody ? " anybody" : text);
	}
	have_all_read(self);
}

void
sync_names_remove(void)
{
	memset(&self->names, 0, sizeof(self->names));
	self->process->written_serial = 0;
	world_trace("%s: commits are to wait as the user says", self->name);
	have_all_read(self);
}

int
sync_names_standbys(SyncStandby *standbys, int max)
{
	int n = 0;

	for (int i = 0; i < nmembers && n < max; i++)
	{
		const Session *s = &members[i].session;

		if (!s->alive || s->upstream != self->id)
			continue;
		strlcpy(standbys[n].name, members[i].name, HA_NAME_SIZE);
		standbys[n].streaming = true;
		standbys[n++].flushed = records[s->flushed].lsn;
	}
	return n;
}

/*
 * Waiting
 */

/* Its place among the names, from 1 on; 0: it is not among them. */
static int
place_of(const SyncNames *names, const Member *standby)
{
	if (names->count == 0)
		return 0;
	for (int i = 0; i < names->n; i++)
		if (strcmp(names->names[i], standby->name) == 0)
			return i + 1;
	return names->anybody;
}

typedef struct Confirmed
{
	int place; /* by what its own walsender goes by */
	int depth;
} Confirmed;

static int
compare_places(const void *a, const void *b)
{
	return ((const Confirmed *) a)->place - ((const Confirmed *) b)->place;
}

static int
compare_depths(const void *a, const void *b)
{
	return ((const Confirmed *) b)->depth - ((const Confirmed *) a)->depth;
}

/* Its walsender has heard from the standby: which commits need not wait any more? */
void
sync_confirmed(const Member *standby)
{
	Member *m = &members[standby->session.upstream];
	const SyncNames *names = &standby->session.names.names;
	Confirmed confirmed[MAX_MEMBERS];
	int n = 0;
	int depth;

	if (m->names.serial == 0 || place_of(names, standby) == 0)
		return;
	for (int i = 0; i < nservers; i++)
	{
		const Session *s = &members[i].session;
		int place = s->alive && s->upstream == m->id ? place_of(&s->names.names, &members[i]) : 0;

		if (place > 0)
			confirmed[n++] = (Confirmed){place, records[s->flushed].depth};
	}
	if (n < names->count)
		return;
	if (names->quorum || names->anybody)
	{
		qsort(confirmed, (size_t) n, sizeof(Confirmed), compare_depths);
		depth = confirmed[names->count - 1].depth;
	}
	else
	{
		qsort(confirmed, (size_t) n, sizeof(Confirmed), compare_places);
		qsort(confirmed, (size_t) names->count, sizeof(Confirmed), compare_depths);
		depth = confirmed[names->count - 1].depth;
	}
	m->released = Max(m->released, depth);
}

/* By the user's setting: so many standbys, whichever they are. */
static bool
is_counted(const Member *m, int record)
{
	int n = 0;

	for (int i = 0; i < nmembers; i++)
	{
		const Session *s = &members[i].session;

		if (s->alive && s->upstream == m->id && records[s->flushed].depth >= records[record].depth)
			n++;
	}
	return n >= sync_standbys;
}

bool
sync_is_released(const Member *m, int record)
{
	if (m->names.serial == 0)
		return is_counted(m, record);
	return !m->commits_wait || m->released >= records[record].depth;
}
