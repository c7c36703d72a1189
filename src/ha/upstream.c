/*-------------------------------------------------------------------------
 * upstream.c
 *	  From whom a standby streams, and through which slot.
 *
 * From the member that its tag replicatefrom names, as long as that one
 * streams itself; else from the leader.  The leader of a standby cluster
 * streams from the cluster that it follows.
 *
 * What must stay true: no member streams from itself, be it through others.
 * Whether it has WAL that the leader has not is judged against the leader in
 * any case.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "utils/memutils.h"

#include "base/clock.h"
#include "base/config.h"
#include "ha/agent.h"
#include "ha/server.h"
#include "ha/settings.h"

/* How long streaming may fail before another way is tried, and for how long. */
#define PATIENCE_US (3 * INT64CONST(1000000))
#define DETOUR_US (60 * INT64CONST(1000000))

/* Would this server stream from itself, if it did from "m"? */
static bool
is_circle(const AgentMember *m)
{
	for (int i = 0; i < agent.nmembers; i++)
	{
		if (strcmp(m->said.shown.name, config_node_name) == 0)
			return true;
		if (m->said.upstream[0] == '\0')
			return false;
		m = observe_member(ha_own_group(), m->said.upstream);
		if (m == NULL)
			return false;
	}
	return true;
}

/* The member to stream from: the one that is preferred, if it can serve, or the leader. */
static const AgentMember *
choose_member(const AgentMember *leader, int64 now)
{
	const AgentMember *m = NULL;

	if (agent.self.upstream[0] != '\0' && now >= agent.detour_until)
		m = observe_member(ha_own_group(), agent.self.upstream);
	if (m == NULL || m == leader || m->said.shown.host[0] == '\0' ||
		strcmp(m->said.shown.state, "streaming") != 0 || is_circle(m))
		return leader;
	return m;
}

/* Does the leader say that it keeps a slot of this name? */
static bool
leader_has_slot(const char *name)
{
	for (int i = 0; i < agent.status.nslots; i++)
		if (strcmp(agent.status.slots[i].name, name) == 0)
			return true;
	return false;
}

/* A slot that the other server does not have keeps this one from streaming. */
static void
choose_slot(AgentUpstream *upstream, int64 now)
{
	char name[SLOT_NAME_SIZE];

	slot_name_of(config_node_name, name);
	if (!agent.config.use_slots || (now < agent.slotless_until && !leader_has_slot(name)))
		return;
	strlcpy(upstream->slot, name, sizeof(upstream->slot));
}

/*
 * Streaming has failed for a while.  What this server chose beyond need, it
 * goes without for some time.
 */
static void
give_way(const AgentUpstream *former, const char *leader, int64 now)
{
	const AgentSelf *self = &agent.self;

	if (self->unstreamed_us == 0 || former->since_us == 0 ||
		now - Max(self->unstreamed_us, former->since_us) < PATIENCE_US)
		return;
	if (former->member[0] != '\0' && strcmp(former->member, leader) != 0)
		agent.detour_until = now + DETOUR_US;
	else if (former->member[0] != '\0' && former->slot[0] != '\0' && !leader_has_slot(former->slot))
		agent.slotless_until = now + DETOUR_US;
}

static void
choose(AgentUpstream *upstream)
{
	const char *name = observe_key(KEY_LEADER)->value;
	const AgentMember *leader = name == NULL ? NULL : observe_member(ha_own_group(), name);
	int64 now = clock_now_us();

	if (agent.standby.enabled && observe_lease() == LEASE_MINE)
	{
		strlcpy(upstream->host, agent.standby.host, sizeof(upstream->host));
		strlcpy(upstream->slot, agent.standby.slot, sizeof(upstream->slot));
		upstream->port = agent.standby.port;
		return;
	}
	if (leader == NULL)
		return;
	give_way(&agent.upstream, name, now);
	leader = choose_member(leader, now);
	strlcpy(upstream->member, leader->said.shown.name, sizeof(upstream->member));
	strlcpy(upstream->host, leader->said.shown.host, sizeof(upstream->host));
	upstream->port = leader->said.shown.port;
	choose_slot(upstream, now);
}

void
upstream_choose(void)
{
	AgentUpstream *former = &agent.upstream;
	AgentUpstream upstream = {0};

	choose(&upstream);
	if (strcmp(upstream.host, former->host) == 0 && upstream.port == former->port &&
		strcmp(upstream.slot, former->slot) == 0 && strcmp(upstream.member, former->member) == 0)
		return;
	upstream.since_us = clock_now_us();
	agent.upstream = upstream;
}

/* False when there is no address to stream from. */
bool
upstream_source(ServerSource *source)
{
	const AgentUpstream *upstream = &agent.upstream;
	bool leads = observe_lease() == LEASE_MINE;

	*source = (ServerSource) SERVER_SOURCE_NOBODY;
	if (upstream->host[0] == '\0' && !(agent.standby.enabled && leads))
		return false;
	if (upstream->host[0] != '\0')
		source->conninfo = ha_primary_conninfo(upstream->host, upstream->port);
	source->slot = upstream->slot;
	if (agent.standby.enabled)
	{
		source->restore_command = agent.standby.restore_command;
		source->archive_cleanup_command = leads ? agent.standby.archive_cleanup_command : "";
		source->apply_delay = leads ? agent.standby.apply_delay : "";
	}
	for (int i = 0; i < agent.slots.npermanent; i++)
		if (agent.slots.permanent[i].kind == SLOT_LOGICAL)
			source->feedback = !agent.standby.enabled;
	return true;
}
