/*-------------------------------------------------------------------------
 * check.c
 *	  What must hold, looked at after each event.
 *
 * (That a standby's WAL continues its upstream's, and that no timeline is
 * used twice, is looked at where it happens, in server.c.)
 *-------------------------------------------------------------------------
 */
#include "sim.h"

/*
 * After the last fault, the start of each server included: by when there is a
 * leader that acknowledges commits, and by when each member streams from it.
 */
#define LEADER_BOUND_US (35 * SECOND)
#define MEMBERS_BOUND_US (80 * SECOND)

#define MAX_ACKNOWLEDGED 65536

Statistics statistics;
static int acknowledged[MAX_ACKNOWLEDGED];
static bool promised[MAX_ACKNOWLEDGED]; /* to be kept by the sync key */
static int nacknowledged;
static int mark;
static int last_writer;		 /* who acknowledged last */
static uint32 last_timeline; /* and on which timeline */
static uint64 last_epoch;
static int64 last_acknowledged; /* when */
static int handed_by;			/* a switchover: who gave the leader key up; -1: nobody */
static int handed_record;		/* all that it had written */
static int candidate;			/* for whom */
static bool candidate_acquired;
static bool leader_seen;
static int64 led_until; /* when somebody could commit last */

void
check_begin(void)
{
	nacknowledged = 0;
	mark = 0;
	last_writer = -1;
	last_timeline = 0;
	last_epoch = 0;
	last_acknowledged = -1;
	handed_by = -1;
	candidate_acquired = false;
	leader_seen = false;
	led_until = 0;
}

/* All standbys have each commit, or at least one has and only one member is lost. */
static bool
is_loss_forbidden(void)
{
	bool all_may_lead = true;

	for (int i = 0; i < nmembers; i++)
		all_may_lead &= members[i].may_lead;
	return sync_standbys == nmembers - 1 ||
		   (fault_is_single && !fault_may_lose && sync_standbys > 0 && all_may_lead);
}

/* Every acknowledged commit is part of what the leader has. */
static void
look_for_lost_commits(const Member *m)
{
	mark++;
	for (int r = m->head; r >= 0; r = records[r].parent)
		records[r].marked = mark;
	for (int i = 0; i < nacknowledged; i++)
	{
		const Record *r = &records[acknowledged[i]];

		if (r->marked == mark)
			continue;
		if (promised[i] || is_loss_forbidden())
			world_fail("%s leads without the acknowledged commit at %lX of timeline %u%s", m->name,
					   (long) r->lsn, r->timeline, promised[i] ? ", which the sync key kept" : "");
		statistics.lost++;
		promised[i] = promised[--nacknowledged];
		acknowledged[i--] = acknowledged[nacknowledged];
	}
}

/* As long as the sync key is there, and names who acknowledges, nothing may be lost. */
static bool
is_kept(const Member *m)
{
	const char *value = store_value(KEY_SYNC);
	HaSyncKey sync;

	if (value == NULL || group_config.sync_mode == SYNC_MODE_OFF)
		return false;
	key_read_sync_set(value, &sync);
	return strcmp(sync.leader, m->name) == 0;
}

void
check_void_promises(void)
{
	memset(promised, 0, sizeof(bool) * (size_t) nacknowledged);
}

static void
note_kept(const Member *m, int record)
{
	if (nacknowledged == MAX_ACKNOWLEDGED)
		abort();
	promised[nacknowledged] = is_kept(m);
	acknowledged[nacknowledged++] = record;
}

void
check_acknowledged(Member *m, int record)
{
	const HaShared *shared = m->shared;

	if (m->id != store_last_leader)
		world_fail("%s acknowledges a commit although %s acquired the lead", m->name,
				   store_last_leader < 0 ? "nobody" : members[store_last_leader].name);
	if (shared->lease_holder == LEASE_MINE && shared->epoch != 0)
	{
		if (shared->epoch < last_epoch)
			world_fail("the epoch of %s is smaller than one before", m->name);
		last_epoch = shared->epoch;
	}
	if (m->id != last_writer || records[m->head].timeline != last_timeline)
		look_for_lost_commits(m);
	last_writer = m->id;
	last_timeline = records[m->head].timeline;
	last_acknowledged = world_now;
	statistics.acknowledged++;
	note_kept(m, record);
	statistics.promised += promised[nacknowledged - 1];
}

/* Somebody may have read it. */
void
check_shown(const Member *m, int record)
{
	if (is_kept(m))
		note_kept(m, record);
}

bool
check_acknowledged_since(int64 when, int member)
{
	return last_acknowledged >= when && last_writer == member;
}

bool
check_switchover_over(void)
{
	const char *value = store_value(KEY_FAILOVER);
	HaFailover failover;

	return value == NULL || (key_read_failover(value, &failover) && failover.at > world_now);
}

void
check_handed_over(int member)
{
	const char *value = store_value(KEY_FAILOVER);
	HaFailover failover;

	if (value == NULL || !key_read_failover(value, &failover) || failover.member[0] == '\0')
	{
		world_fail("%s gives the lead up for nobody", members[member].name);
		return;
	}
	handed_by = member;
	handed_record = members[member].head;
	candidate = failover.member[1] - '1';
	candidate_acquired = false;
}

/* A failover, a key without a leader, goes to whom it names, lag or not. */
static bool
is_forced(int member)
{
	const char *value = store_value(KEY_FAILOVER);
	HaFailover failover;

	return value != NULL && key_read_failover(value, &failover) && failover.leader[0] == '\0' &&
		   strcmp(failover.member, members[member].name) == 0;
}

void
check_acquired(int member, int former, bool handed_over)
{
	const Member *m = &members[member];
	HaStatus status;

	statistics.acquisitions++;
	if (!m->may_lead && !m->tags_changed)
		world_fail("%s leads against its tags", m->name);
	if (fault_unfit >> member & 1)
		world_fail("%s leads although it cannot write", m->name);
	if (fault_no_election && member != former)
		world_fail("%s leads although the cluster is paused", m->name);
	if (is_forced(member))
		check_void_promises();
	key_read_status(store_value(KEY_STATUS), &status);
	if (records[m->head].lsn + (uint64) group_config.maximum_lag < status.optime &&
		!is_forced(member))
		world_fail("%s leads although it lags", m->name);
	candidate_acquired = handed_over && handed_by >= 0 && member == candidate;
	if (!candidate_acquired)
		handed_by = -1;
}

void
check_promoted(const Member *m, int former, uint32 timeline)
{
	statistics.promotions++;
	if (!candidate_acquired || m->id != candidate)
		return;
	if (!server_is_ancestor(handed_record, former))
		world_fail("the switchover from %s to %s lost WAL", members[handed_by].name, m->name);
	candidate_acquired = false;
	handed_by = -1;
}

/* What was known then may be no more when the agent was paused since. */
static bool
is_decided_lately(const Member *m)
{
	return world_now - m->process->decided_at < 100 * MS;
}

/* What an agent may know when it has its server follow another, or rewound. */
void
check_follows(const Member *m, int upstream)
{
	const Member *u = upstream < 0 ? NULL : &members[upstream];
	const AgentMember *said;

	if (u == NULL || u == m || !is_decided_lately(m))
		return;
	if (m->session.alive && m->session.upstream == upstream)
		world_fail("%s follows %s anew, from which it streams", m->name, u->name);
	if (u->phase == PHASE_STANDBY && !u->session.alive && u->head != m->head &&
		records[u->head].timeline == records[m->head].timeline &&
		server_is_ancestor(u->head, m->head))
		world_fail("%s follows %s, which is behind it", m->name, u->name);
	/* Until it says that it is a primary its history is not looked at. */
	said = observe_member(ha_own_group(), u->name);
	if (u->phase == PHASE_PRIMARY && said != NULL &&
		strcmp(said->said.shown.role, "primary") == 0 &&
		said->said.shown.timeline == records[u->head].timeline &&
		sim_agent->status.timeline >= records[u->head].timeline &&
		!server_is_ancestor(m->head, u->head))
		world_fail("%s follows %s, although it has WAL which that one has not", m->name, u->name);
}

void
check_rejoins(const Member *m, int source)
{
	const Member *u = source < 0 ? NULL : &members[source];
	const AgentMember *said;

	if (!is_decided_lately(m))
		return;
	if (sim_agent->config.paused)
		world_fail("%s is rewound although the cluster is paused", m->name);
	said = u == NULL ? NULL : observe_member(ha_own_group(), u->name);
	/* By a view of the store that is old a timeline of the leader's is one without the lease. */
	if (said != NULL && said->said.shown.timeline == records[u->head].timeline &&
		u->phase == PHASE_PRIMARY && server_is_ancestor(m->head, u->head))
		world_fail("%s is rewound although all its WAL is part of that of %s", m->name, u->name);
}

static bool
leader_is_back(void)
{
	return last_acknowledged >= fault_healed && last_writer == store_last_leader &&
		   member_may_commit(&members[last_writer]);
}

bool
check_settled(void)
{
	const Member *leader;

	if (last_acknowledged < 0 || last_writer != store_last_leader)
		return false;
	leader = &members[last_writer];
	if (!member_may_commit(leader) || leader->process == NULL)
		return false;
	for (int i = 0; i < nmembers; i++)
	{
		const Member *m = &members[i];

		if (m == leader)
			continue;
		if (m->phase != PHASE_STANDBY || m->process == NULL || !m->session.alive ||
			m->session.upstream != leader->id || store_value(N_HA_KEYS + i) == NULL ||
			!server_is_ancestor(m->head, leader->head))
			return false;
	}
	return true;
}

static const char *
member_state(const Member *m)
{
	static const char *const names[] = {"down", "in crash recovery", "a standby", "a primary"};

	return names[m->phase];
}

static void
fail_for_member_out(void)
{
	for (int i = 0; i < nmembers; i++)
	{
		const Member *m = &members[i];

		if (m->phase != PHASE_PRIMARY && !(m->phase == PHASE_STANDBY && m->session.alive))
			world_fail("%s is still out after %d s: it is %s", m->name,
					   (int) (MEMBERS_BOUND_US / SECOND), member_state(m));
	}
	world_fail("the group is not whole after %d s", (int) (MEMBERS_BOUND_US / SECOND));
}

/* What is known of a single fault. */
static void
check_single(void)
{
	if (fault_gap == NEVER)
		led_until = world_now;
	else if (world_now - led_until > fault_gap)
		world_fail("nobody could commit for %.3f s", (world_now - led_until) / 1e6);
	if (fault_over && check_settled() && store_last_leader == fault_unwell)
		world_fail("%s still leads although it could not write", members[fault_unwell].name);
	if (fault_over && fault_next_leader >= 0 && check_settled() &&
		store_last_leader != fault_next_leader)
		world_fail("%s leads and not %s", members[store_last_leader].name,
				   members[fault_next_leader].name);
}

void
check_step(void)
{
	for (int i = 0; i < nservers; i++)
	{
		if (!member_may_commit(&members[i]))
			continue;
		led_until = world_now;
		if (store_last_leader != i)
			world_fail("%s may commit although %s acquired the lead", members[i].name,
					   store_last_leader < 0 ? "nobody" : members[store_last_leader].name);
	}
	if (fault_is_single)
		check_single();
	if (!fault_over || world_now < fault_healed)
		return;
	if (!leader_seen && leader_is_back())
	{
		leader_seen = true;
		statistics.slowest_leader = Max(statistics.slowest_leader, world_now - fault_healed);
	}
	if (!leader_seen && world_now - fault_healed > LEADER_BOUND_US)
		world_fail("nobody acknowledges commits %d s after all is well",
				   (int) (LEADER_BOUND_US / SECOND));
	if (world_now - fault_healed > MEMBERS_BOUND_US)
		fail_for_member_out();
}
