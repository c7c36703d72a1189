/*-------------------------------------------------------------------------
 * lease.c
 *	  The lease of this member, and the keys that live on it.
 *
 * One lease carries the member key and, on the leader, the leader key.  It
 * is kept whatever this member's role; what must stay true is that the
 * deadline given to the fence counts from before the request that etcd
 * confirmed was sent, and only while the store shows the leader key on this
 * very lease.
 *
 * An agent that starts finds the lease of the agent before it in the member
 * key that one of the same data directory and boot wrote.  It gets a lease
 * of its own and moves the leader key over to it: a killed agent costs no
 * leadership.  It never goes on with the earlier lease, because a request to
 * revoke that one may still be under way.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/clock.h"
#include "base/config.h"
#include "ha/agent.h"
#include "ha/failsafe.h"
#include "ha/settings.h"
#include "ha/slots.h"

#define US_PER_S INT64CONST(1000000)

/* The part of the ttl that is left unused, for clocks that do not go alike. */
#define MARGIN_SHARE 20
#define MARGIN_MIN_US 100000

/*
 * Until when the lease cannot have expired.
 */
static int64
lease_deadline(void)
{
	int64 ttl = agent.lease_ttl * US_PER_S;

	return Max(agent.lease_sent_us, failsafe_confirmed_us()) + ttl -
		   Max(ttl / MARGIN_SHARE, MARGIN_MIN_US);
}

bool
lease_is_proven(void)
{
	return agent.lease != 0 && agent.seen && observe_lease() == LEASE_MINE &&
		   clock_now_us() < lease_deadline();
}

void
lease_move_fence(void)
{
	bool leads = agent.lease != 0 && agent.seen && observe_lease() == LEASE_MINE;

	ha_fence_set(leads && !agent.fence_shut && sync_is_settled() ? lease_deadline() : 0);
	pg_atomic_write_u64(&ha_shared->lease, agent.lease_kept ? 0 : (uint64) agent.lease);
}

/* Forgets the lease; what hangs on it in the store goes when it expires. */
static void
lose_lease(void)
{
	agent.lease_former = agent.lease;
	agent.lease = 0;
	lease_move_fence();
}

static void
note_trouble(const DcsResult *result)
{
	if (result->status != DCS_OK && agent.lease != 0)
		agent.trouble_us = clock_now_us();
	if (result->status == DCS_OK || result->status == DCS_LEASE_GONE)
	{
		if (agent.trouble[0] != '\0')
			ha_event_record("etcd answers", "the lease is kept again");
		agent.trouble[0] = '\0';
		return;
	}
	if (agent.trouble[0] == '\0')
		ha_event_record("etcd does not answer", result->reason);
	strlcpy(agent.trouble, result->reason, sizeof(agent.trouble));
}

static void
keepalive_done(void *arg, const DcsResult *result)
{
	AgentFlight *flight = arg;

	agent_landed(flight, result);
	note_trouble(result);
	if (flight->lease != agent.lease)
		return;
	if (result->status == DCS_LEASE_GONE)
	{
		ereport(LOG, (errmsg("the lease of member \"%s\" ran out", config_node_name)));
		ha_event_record("lease lost", "it was not renewed in time");
		lose_lease();
	}
	if (result->status != DCS_OK)
		return;

	agent.lease_ttl = result->ttl;
	agent.lease_sent_us = result->sent_at;
	lease_move_fence();
}

static void
send_keepalive(int64 lease)
{
	AgentFlight *flight = agent_take_off(OP_KEEPALIVE);

	flight->lease = lease;
	agent.dcs->ops->lease_keepalive(agent.dcs, lease, keepalive_done, flight);
}

static void
grant_done(void *arg, const DcsResult *result)
{
	agent_landed(arg, result);
	note_trouble(result);
	if (result->status != DCS_OK)
		return;
	agent.lease = result->lease;
	agent.lease_ttl = result->ttl;
	agent.lease_sent_us = result->sent_at;
	lease_move_fence();
}

static void
revoke_done(void *arg, const DcsResult *result)
{
	agent_landed(arg, result);
}

/* Gives the lease back. */
void
lease_drop(void)
{
	int64 lease = agent.lease;

	if (lease == 0)
		return;
	lose_lease();
	if (agent_may_send(OP_REVOKE))
		agent.dcs->ops->lease_revoke(agent.dcs, lease, revoke_done, agent_take_off(OP_REVOKE));
}

static int64
keepalive_moment(void)
{
	return agent.lease_sent_us + agent.lease_ttl * US_PER_S / 3;
}

/* The keys on the lease that an earlier agent of this server got are ours. */
static void
note_earlier_lease(void)
{
	const AgentMember *own = observe_member(ha_own_group(), config_node_name);

	if (own != NULL && strcmp(own->said.instance, ha_instance()) == 0)
		agent.lease_former = own->key.lease;
}

/* False while it is not known whose the keys are, and at the end. */
static bool
is_lease_wanted(void)
{
	return agent.seen && !agent.stopping && agent.decision.action != HA_REFUSE;
}

void
lease_maintain(void)
{
	if (!is_lease_wanted())
		return;
	/* Another ttl takes another lease; the keys move over to it. */
	if (agent.lease != 0 && agent.lease_asked_ttl != agent.config.ttl &&
		!agent.flights[OP_GRANT].busy)
		lose_lease();
	if (agent.lease != 0)
	{
		if (clock_now_us() >= keepalive_moment() && agent_may_send(OP_KEEPALIVE))
			send_keepalive(agent.lease);
		return;
	}
	if (agent.lease_former == 0)
		note_earlier_lease();
	if (agent_may_send(OP_GRANT))
	{
		agent.lease_asked_ttl = agent.config.ttl;
		agent.dcs->ops->lease_grant(agent.dcs, agent.config.ttl, grant_done,
									agent_take_off(OP_GRANT));
	}
}

/*
 * The member key
 */

/* This server is a standby, and will be one while it leads. */
static bool
leads_standby_cluster(void)
{
	return agent.standby.enabled && agent.self.role == HA_REPLICA && observe_lease() == LEASE_MINE;
}

static const char *
present_state(void)
{
	if (agent.stopping)
		return "stopping";
	if (agent.self.role == HA_STARTING || !agent.self.position_known)
		return "starting";
	if (agent.self.role == HA_PRIMARY)
		return ha_fence_is_open() ? "running" : "fenced";
	return agent.self.streaming ? "streaming" : "running";
}

static const char *
present_role(void)
{
	if (agent.self.role == HA_PRIMARY)
		return "primary";
	return leads_standby_cluster() ? "standby_leader" : "replica";
}

static void
describe_self(HaMember *member)
{
	SharedMember *shown = &member->shown;
	bool may_lead;
	int priority;

	memset(member, 0, sizeof(*member));
	strlcpy(shown->host, ha_own_host(), sizeof(shown->host));
	shown->port = ha_own_port();
	ha_own_api_url(shown->api_url, sizeof(shown->api_url));
	strlcpy(shown->role, present_role(), HA_STATE_SIZE);
	strlcpy(shown->state, present_state(), HA_STATE_SIZE);
	shown->timeline = agent.self.position.timeline;
	shown->lsn = agent.self.position.lsn;
	shown->lsn_known = shown->lsn != 0;
	shown->pending_restart = agent.pending_restart[0] != '\0';
	strlcpy(shown->pending, agent.pending_restart, sizeof(shown->pending));
	shown->paused = agent.config.paused;
	shown->restart_at = agent.restart_at;
	/* Tags that are no JSON object are told of by cluster_check(). */
	strlcpy(shown->tags, key_read_tags(config_tags, &may_lead, &priority) ? config_tags : "{}",
			sizeof(shown->tags));
	strlcpy(member->instance, ha_instance(), sizeof(member->instance));
	member->unwell = agent.self.unwell;
	/* Who may be led on without the store may still get WAL: it votes anew afterwards. */
	member->voted = agent.voting >= 0 && !failsafe_has_promised();
	member->vote = agent.voting;
}

static void
member_done(void *arg, const DcsResult *result)
{
	AgentFlight *flight = arg;
	char *key = key_member_name(config_node_name);
	DcsKeyValue kv = {0};

	agent_landed(flight, result);
	if (result->status == DCS_OK)
	{
		const AgentMember *own = observe_member(ha_own_group(), config_node_name);

		kv.key = key;
		kv.value = agent.sent;
		kv.mod_revision = result->revision;
		kv.create_revision = own ? own->key.create_revision : result->revision;
		kv.lease = flight->lease;
		observe_apply(&kv, result->revision);
		return;
	}
	agent.published[0] = '\0';
	if (result->status == DCS_LEASE_GONE && flight->lease == agent.lease)
		lose_lease();
	observe_failure((const char *const[]){key}, 1, result);
}

static void
put_member(const AgentMember *own, const char *value)
{
	AgentFlight *flight = agent_take_off(OP_MEMBER);
	char *key = key_member_name(config_node_name);
	DcsCompare compare = {DCS_MOD_REVISION_IS, key, own ? own->key.mod_revision : 0};
	DcsWrite write = {key, value, agent.lease};

	flight->lease = agent.lease;
	strlcpy(agent.sent, value, sizeof(agent.sent));
	agent.dcs->ops->txn(agent.dcs, &compare, 1, &write, 1, member_done, flight);
}

/*
 * Mere progress is published every loop_wait, and by a standby when the leader
 * has published its own, so that the two together show the lag.
 */
static bool
is_progress_due(uint64 lsn)
{
	int64 since = clock_now_us() - agent.published_us;

	if (lsn == agent.published_lsn)
		return false;
	return since >= agent.config.loop_wait * US_PER_S ||
		   (agent.self.role == HA_REPLICA && agent.status.optime > agent.published_lsn &&
			since >= US_PER_S);
}

/* Publishes what changed at once. */
void
lease_publish_member(void)
{
	const AgentMember *own;
	HaMember member;
	char *text;

	if (agent.lease == 0 || agent.decision.action == HA_REFUSE || !agent_may_send(OP_MEMBER))
		return;
	own = observe_member(ha_own_group(), config_node_name);
	describe_self(&member);
	text = key_write_member(&member, false);
	if (!is_progress_due(member.shown.lsn) && own != NULL && own->key.lease == agent.lease &&
		strcmp(text, agent.published) == 0)
		return;
	if (strlen(text) >= sizeof(agent.published))
		return;

	strlcpy(agent.published, text, sizeof(agent.published));
	agent.published_us = clock_now_us();
	agent.published_lsn = member.shown.lsn;
	put_member(own, key_write_member(&member, true));
}

/*
 * The keys of the leader
 */

static void
status_done(void *arg, const DcsResult *result)
{
	agent_landed(arg, result);
	if (result->status != DCS_OK)
		agent.status_epoch = 0;
}

/*
 * The timelines before the present one, and where its WAL ends.  Both in one
 * transaction: a status that names a timeline vouches for its history.
 */
static void
put_status(int64 epoch)
{
	HaStatus status = {.optime = agent.self.position.lsn, .timeline = agent.self.position.timeline};
	char *leader = key_name(KEY_LEADER);
	DcsCompare compare = {DCS_CREATE_REVISION_IS, leader, epoch};
	DcsWrite writes[2];
	const char *known = observe_key(KEY_HISTORY)->value;
	int n = 1;

	status.oldest_wal = slots_oldest_wal();
	status.nslots = slots_positions(&agent.status, status.slots, SLOT_MAX);
	writes[0] = (DcsWrite){key_name(KEY_STATUS), key_write_status(&status), 0};
	if (agent.status_epoch != epoch || agent.status_timeline != status.timeline)
	{
		char *history = key_write_history(status.timeline, config_node_name, known);

		if (known == NULL || strcmp(known, history) != 0)
			writes[n++] = (DcsWrite){key_name(KEY_HISTORY), history, 0};
	}
	agent.dcs->ops->txn(agent.dcs, &compare, 1, writes, n, status_done, agent_take_off(OP_STATUS));
	/* Not before: an error on the way must not have the history left out next time. */
	agent.status_epoch = epoch;
	agent.status_timeline = status.timeline;
	agent.status_lsn = status.optime;
	agent.status_us = clock_now_us();
}

void
lease_publish_leadership(void)
{
	int64 epoch = observe_key(KEY_LEADER)->create_revision;
	bool due;

	if (agent.lease == 0 || observe_lease() != LEASE_MINE || !agent_may_send(OP_STATUS) ||
		!agent.self.position_known || (agent.self.role != HA_PRIMARY && !leads_standby_cluster()))
		return;
	due = clock_now_us() - agent.status_us >= agent.config.loop_wait * US_PER_S &&
		  agent.status_lsn != agent.self.position.lsn;
	if (due || slots_have_changed() || agent.status_epoch != epoch ||
		agent.status_timeline != agent.self.position.timeline)
		put_status(epoch);
}

/* When something is to be sent next. */
int64
lease_next_moment(void)
{
	int64 now = clock_now_us();
	int64 moment = now + agent.config.loop_wait * US_PER_S;

	/* The moment of a renewal that cannot be sent, or is under way, is past and says nothing. */
	if (agent.lease != 0 && is_lease_wanted() && agent_may_send(OP_KEEPALIVE))
		moment = Min(moment, keepalive_moment());
	moment = Min(moment, failsafe_next_moment());
	for (int op = 0; op < N_AGENT_OPS; op++)
		if (agent.flights[op].not_before > now)
			moment = Min(moment, agent.flights[op].not_before);
	return moment;
}
