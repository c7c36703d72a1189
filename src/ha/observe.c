/*-------------------------------------------------------------------------
 * observe.c
 *	  What the agent sees: the store through its watch, and this server.
 *
 * Keeps a copy of the keys of interest, brought up to date by each event,
 * and makes of it the view that decide.c looks at and the picture that other
 * processes see.  It writes nothing to the store and changes nothing in the
 * server.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "access/xlog_internal.h"
#include "miscadmin.h"
#include "replication/walreceiver.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/config.h"
#include "ha/agent.h"
#include "ha/failsafe.h"
#include "ha/probe.h"
#include "ha/server.h"
#include "ha/settings.h"

/* How long a standby tries to get WAL that is not there. */
#define WAL_PATIENCE_US (5 * INT64CONST(1000000))

/* One that streams for so long will go on. */
#define RECEIVER_LASTS_US INT64CONST(1000000)

#define MAX_FORKS 1024

/* A checkpoint before a switchover is not waited for longer than this. */
#define CHECKPOINT_WAIT_US (30 * INT64CONST(1000000))

/*
 * The store
 */

static void
report_overflow(const char *what, int max)
{
	static bool reported = false;

	if (!reported)
		ereport(LOG, (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					  errmsg("the cluster has more than %d %s, some are not shown", max, what)));
	reported = true;
}

AgentGroup *
observe_group(int id)
{
	AgentGroup *group;

	for (int i = 0; i < agent.ngroups; i++)
		if (agent.groups[i].id == id)
			return &agent.groups[i];
	if (agent.ngroups == HA_MAX_GROUPS)
	{
		report_overflow("groups", HA_MAX_GROUPS);
		return NULL;
	}
	group = &agent.groups[agent.ngroups++];
	memset(group, 0, sizeof(*group));
	group->id = id;
	return group;
}

AgentKey *
observe_key(HaKey key)
{
	/* The own group is the first to be entered, see forget_store. */
	return &observe_group(ha_own_group())->keys[key];
}

AgentMember *
observe_member(int group_id, const char *name)
{
	for (int i = 0; i < agent.nmembers; i++)
	{
		AgentMember *m = &agent.members[i];

		if (m->said.shown.group_id == group_id && strcmp(m->said.shown.name, name) == 0)
			return m;
	}
	return NULL;
}

/* Nothing is known of the store. */
static void
forget_store(void)
{
	MemoryContextReset(agent.store);
	agent.nmembers = 0;
	agent.ngroups = 0;
	agent.members = MemoryContextAllocZero(agent.store, sizeof(AgentMember) * HA_MAX_MEMBERS);
	agent.forks = MemoryContextAllocZero(agent.store, sizeof(HaFork) * MAX_FORKS);
	agent.nforks = 0;
	order_forget_all();
	observe_group(ha_own_group());
}

static void
apply_member(int group_id, const char *name, const DcsKeyValue *kv, int64 revision)
{
	AgentMember *m = observe_member(group_id, name);

	if (m != NULL && m->key.seen_revision >= revision)
		return;
	if (kv->deleted)
	{
		if (m == NULL)
			return;
		/*
		 * A lease that this member keeps is gone, so others may be too that
		 * nobody gave up: an etcd that was stopped and goes on may take
		 * them all for expired.
		 */
		if (agent.lease != 0 && m->key.lease == agent.lease)
			agent.trouble_us = clock_now_us();
		*m = agent.members[--agent.nmembers];
		return;
	}
	if (m == NULL)
	{
		if (agent.nmembers == HA_MAX_MEMBERS)
		{
			report_overflow("members", HA_MAX_MEMBERS);
			return;
		}
		m = &agent.members[agent.nmembers++];
	}
	memset(m, 0, sizeof(*m));
	m->said.shown.group_id = group_id;
	strlcpy(m->said.shown.name, name, HA_NAME_SIZE);
	key_read_member(kv->value, &m->said);
	m->key.create_revision = kv->create_revision;
	m->key.mod_revision = kv->mod_revision;
	m->key.lease = kv->lease;
	m->key.seen_revision = revision;
}

/* What is derived from a key of the own group. */
static void
digest_key(HaKey key, const AgentKey *stored)
{
	switch (key)
	{
		case KEY_LEADER:
			if (stored->value != NULL)
				agent.vacant_us = 0;
			else if (agent.vacant_us == 0)
				agent.vacant_us = clock_now_us();
			break;
		case KEY_CONFIG:
			key_read_config(stored->value, &agent.config);
			key_read_sections(stored->value, &agent.slots, &agent.standby);
			break;
		case KEY_STATUS:
			key_read_status(stored->value, &agent.status);
			break;
		case KEY_HISTORY:
			agent.nforks = key_read_history(stored->value, agent.forks, MAX_FORKS);
			break;
		case KEY_SYNC:
			key_read_sync_set(stored->value, &agent.sync.key);
			break;
		default:
			break;
	}
}

static void
apply_key(int group_id, HaKey key, const DcsKeyValue *kv, int64 revision)
{
	AgentGroup *group = observe_group(group_id);
	AgentKey *stored;

	if (group == NULL)
		return;
	stored = &group->keys[key];
	if (stored->seen_revision >= revision)
		return;
	/*
	 * No change of leaders removes this key: the keys were deleted by hand.  As
	 * after an outage, who led has the first say.
	 */
	if (group_id == ha_own_group() && key == KEY_EPOCH && stored->value != NULL && kv->deleted)
		agent.trouble_us = clock_now_us();
	if (stored->value != NULL)
		pfree(stored->value);
	memset(stored, 0, sizeof(*stored));
	stored->seen_revision = revision;
	if (!kv->deleted)
	{
		stored->value = MemoryContextStrdup(agent.store, kv->value);
		stored->create_revision = kv->create_revision;
		stored->mod_revision = kv->mod_revision;
		stored->lease = kv->lease;
	}
	if (group_id == ha_own_group())
		digest_key(key, stored);
}

/* News of one key as of "revision"; what is older than what is known is passed over. */
void
observe_apply(const DcsKeyValue *kv, int64 revision)
{
	int group_id;
	HaKey key;
	const char *member;
	char named[HA_NAME_SIZE];
	HaOrderKind order;

	agent.changed = true;
	if (key_parse_order(kv->key, &group_id, named, &order))
	{
		order_apply(group_id, named, order, kv, revision);
		return;
	}
	if (!key_parse_name(kv->key, &group_id, &key, &member))
		return;
	if (member != NULL)
		apply_member(group_id, member, kv, revision);
	else
		apply_key(group_id, key, kv, revision);
}

void
observe_store(void *arg, const DcsEvents *events)
{
	MemoryContext former = MemoryContextSwitchTo(agent.cycle);

	agent.connected = events->connected;
	agent.changed = true;
	if (events->reset)
		forget_store();
	for (int i = 0; i < events->nkvs; i++)
		observe_apply(&events->kvs[i], events->kvs[i].mod_revision);
	if (events->reset)
	{
		agent.seen = true;
		/* What is not there was not told of. */
		for (int key = 0; key < N_HA_KEYS; key++)
			if (observe_key(key)->value == NULL)
				digest_key(key, observe_key(key));
	}
	if (events->revision > agent.revision)
		agent.revision = events->revision;
	MemoryContextSwitchTo(former);
}

static const DcsKeyValue *
find_kv(const DcsResult *result, const char *key)
{
	for (int i = 0; i < result->nkvs; i++)
		if (strcmp(result->kvs[i].key, key) == 0)
			return &result->kvs[i];
	return NULL;
}

/*
 * A guarded transaction found keys otherwise than the watch had told: the
 * answer holds the present values of those that there are.
 */
void
observe_failure(const char *const *keys, int nkeys, const DcsResult *result)
{
	if (result->status != DCS_COMPARE_FAILED)
		return;
	for (int i = 0; i < nkeys; i++)
	{
		const DcsKeyValue *kv = find_kv(result, keys[i]);
		DcsKeyValue gone = {.key = keys[i], .value = "", .deleted = true};

		if (kv != NULL)
			observe_apply(kv, kv->mod_revision);
		else
			observe_apply(&gone, result->revision);
	}
}

HaLease
observe_lease(void)
{
	AgentKey *leader = observe_key(KEY_LEADER);

	if (!agent.seen)
		return LEASE_UNKNOWN;
	if (leader->value == NULL)
		return LEASE_FREE;
	if (strcmp(leader->value, config_node_name) != 0)
		return LEASE_OTHER;
	return agent.lease != 0 && leader->lease == agent.lease ? LEASE_MINE : LEASE_EARLIER;
}

/*
 * This server
 */

static HaRole
present_role(void)
{
	switch (GetRecoveryState())
	{
		case RECOVERY_STATE_CRASH:
			return HA_STARTING;
		case RECOVERY_STATE_ARCHIVE:
			return HA_REPLICA;
		case RECOVERY_STATE_DONE:
			break;
	}
	return HA_PRIMARY;
}

/*
 * Has recovery read all WAL that is here?  A primary that crashed, or was
 * demoted, is consistent only then.  With others consistency may come first:
 * when nothing is left, recovery asks for more or waits for it to appear.
 */
static bool
is_local_wal_read(void)
{
	return (HotStandbyActive() && server_was_primary()) || server_asked_for_wal() ||
		   server_waits_for_wal();
}

static void
observe_position(AgentSelf *self)
{
	TimeLineID timeline = 0;
	XLogRecPtr lsn;

	if (self->role == HA_PRIMARY)
	{
		lsn = GetFlushRecPtr(&timeline);
		self->wal_read = true;
		self->position_known = true;
		self->applied = (HaPosition){timeline, lsn};
	}
	else
	{
		TimeLineID received_timeline = 0;
		XLogRecPtr received = GetWalRcvFlushRecPtr(NULL, &received_timeline);

		lsn = GetXLogReplayRecPtr(&timeline);
		self->wal_read =
			self->role == HA_REPLICA && lsn != 0 && (self->wal_read || is_local_wal_read());
		self->position_known = self->wal_read && (HotStandbyActive() || !EnableHotStandby);
		self->applied = (HaPosition){timeline, lsn};
		if (received > lsn)
		{
			lsn = received;
			timeline = received_timeline;
		}
	}
	self->position.timeline = timeline;
	self->position.lsn = lsn;
}

static void
observe_health(AgentSelf *self)
{
	char reason[HA_REASON_SIZE];
	bool unwell = probe_has_failed(agent.awake_us, reason, sizeof(reason));

	if (unwell && !self->unwell)
	{
		ereport(LOG, (errmsg("member \"%s\" is not fit to lead", config_node_name),
					  errdetail("The reason: %s.", reason)));
		ha_event_record("unwell", reason);
	}
	else if (!unwell && self->unwell)
		ha_event_record("well", "the server can write and take connections again");
	self->unwell = unwell;
}

/*
 * A receiver that is refused the WAL it asks for counts as streaming for the
 * moment that it lives.
 */
static void
observe_receiver(AgentSelf *self)
{
	int receiver = server_receiver();
	int64 now = clock_now_us();

	if (receiver != self->receiver)
		self->receiver_us = now;
	self->receiver = receiver;
	if (self->role != HA_REPLICA ||
		(self->streaming && receiver != 0 && now - self->receiver_us >= RECEIVER_LASTS_US))
		self->unstreamed_us = 0;
	else if (self->unstreamed_us == 0)
		self->unstreamed_us = now;
}

void
observe_self(void)
{
	AgentSelf *self = &agent.self;
	HaRole role = present_role();

	if (role != HA_STARTING)
		self->starting_since = 0;
	else if (self->starting_since == 0)
		self->starting_since = clock_now_us();
	self->role = role;
	observe_position(self);
	self->streaming = role == HA_REPLICA && server_is_streaming();
	observe_receiver(self);
	self->promoting = role == HA_REPLICA && PromoteIsTriggered();
	key_read_tags(config_tags, &self->may_lead, &self->priority);
	key_read_upstream(config_tags, self->upstream);
	observe_health(self);
}

/*
 * The view
 */

static int64
present_election(void)
{
	return observe_key(KEY_EPOCH)->mod_revision;
}

static bool
is_foreign(void)
{
	const char *initialize = observe_key(KEY_INITIALIZE)->value;
	char own[32];

	if (initialize == NULL || initialize[0] == '\0')
		return false;
	snprintf(own, sizeof(own), UINT64_FORMAT, GetSystemIdentifier());
	return strcmp(initialize, own) != 0;
}

/*
 * The key of this name was written by another server, or by another data
 * directory; once that has gone, its lease and so its key go too.
 */
static bool
is_name_taken(const AgentMember *own)
{
	return own != NULL && own->said.instance[0] != '\0' &&
		   strcmp(own->said.instance, ha_instance()) != 0;
}

/* The epoch key names the last leader, and no acquisition goes without writing it. */
static bool
has_led_last(void)
{
	const char *epoch = observe_key(KEY_EPOCH)->value;

	return epoch != NULL && strcmp(epoch, key_write_epoch(config_node_name)) == 0 &&
		   agent.self.position.lsn >= agent.status.optime &&
		   agent.self.position.timeline >= agent.status.timeline;
}

/* Could it take over with what it streamed from here? */
static bool
is_near(const char *member)
{
	XLogRecPtr has = InvalidXLogRecPtr;

	return server_standby_has(member, &has) &&
		   has + agent.config.maximum_lag >= agent.self.position.lsn;
}

static int
view_peers(HaPeer *peers)
{
	int64 election = present_election();
	int n = 0;

	for (int i = 0; i < agent.nmembers; i++)
	{
		const AgentMember *m = &agent.members[i];
		HaPeer *peer = &peers[n];

		if (m->said.shown.group_id != ha_own_group() ||
			strcmp(m->said.shown.name, config_node_name) == 0)
			continue;
		strlcpy(peer->name, m->said.shown.name, HA_NAME_SIZE);
		peer->may_lead =
			m->said.may_lead && !m->said.unwell && strcmp(m->said.shown.state, "stopping") != 0;
		peer->near = agent.self.unwell && peer->may_lead && is_near(m->said.shown.name);
		peer->priority = m->said.priority;
		peer->voted = m->said.voted && m->said.vote == election;
		peer->position.timeline = m->said.shown.timeline;
		peer->position.lsn = m->said.shown.lsn;
		peer->synchronous = key_sync_lists(&agent.sync.key, peer->name);
		peer->led_synchronous = strcmp(agent.sync.key.leader, peer->name) == 0;
		n++;
	}
	return n;
}

static bool
is_primary(const AgentMember *m)
{
	return strcmp(m->said.shown.role, "primary") == 0 || strcmp(m->said.shown.role, "master") == 0;
}

/*
 * What was replayed is looked at as well as what was received: WAL of a newer
 * timeline may have come in on top of some that is no part of it.
 */
static bool
is_history_left(const HaView *view, uint32 timeline)
{
	return ha_is_diverged(view->position, timeline, agent.forks, agent.nforks) ||
		   ha_is_diverged(agent.self.applied, timeline, agent.forks, agent.nforks);
}

/* What the history says of this member, with and without a leader. */
static void
view_history(HaView *view)
{
	AgentKey *leader = observe_key(KEY_LEADER);
	AgentMember *m;
	HaPosition theirs;
	bool settled;

	/* The end of the own WAL has to be known. */
	if (!view->wal_read || view->position.timeline == 0)
		return;
	if (leader->value == NULL)
	{
		view->diverged = is_history_left(view, agent.status.timeline);
		return;
	}
	m = observe_member(ha_own_group(), leader->value);
	if (m == NULL)
		return;
	theirs.timeline = m->said.shown.timeline;
	theirs.lsn = m->said.shown.lsn;
	settled = is_primary(m) || strcmp(m->said.shown.role, "standby_leader") == 0;
	view->leader_behind = theirs.timeline < view->position.timeline ||
						  (!is_primary(m) && theirs.timeline == view->position.timeline &&
						   theirs.lsn < view->position.lsn);
	/* Nobody leads whose WAL is no part of the last leader's history: one who has some waits. */
	if (!settled && is_history_left(view, agent.status.timeline))
		view->leader_behind = true;
	/* Patroni takes the timeline out of the key when its server stops. */
	if (!settled || theirs.timeline == 0)
		return;
	/*
	 * Timelines are allotted in ascending order, so one above the leader's was
	 * begun without the lease.  But who streams on it has it from the leader,
	 * whose key is old news then: a watch that goes on after an outage has to
	 * catch up.
	 */
	if (theirs.timeline < view->position.timeline)
		view->diverged = agent.connected && is_primary(m) && !agent.self.streaming;
	/* Only a history that was written in this timeline tells of its fork. */
	else if (agent.status.timeline >= theirs.timeline)
		view->diverged = is_history_left(view, theirs.timeline);
}

/*
 * Streaming fails, and by what the leader says of its WAL it must.  What a
 * leader before it said does not count.
 */
static bool
is_wal_gone(const HaView *view)
{
	const AgentSelf *self = &agent.self;

	return agent.config.clone_if_behind && view->lease == LEASE_OTHER && view->position_known &&
		   observe_key(KEY_STATUS)->mod_revision > observe_key(KEY_LEADER)->create_revision &&
		   view->position.lsn < agent.status.oldest_wal && self->unstreamed_us != 0 &&
		   clock_now_us() - self->unstreamed_us > WAL_PATIENCE_US && !server_has_archive();
}

static bool
is_following(void)
{
	ServerSource source;

	if (observe_key(KEY_LEADER)->value == NULL)
		return false;
	/* Without an address there is nothing to follow yet. */
	return !upstream_source(&source) || server_follows(&source);
}

/* Starts anew whenever the failover key is another one. */
static void
track_switchover(const AgentKey *failover, bool due)
{
	AgentSwitchover *s = &agent.switchover;
	int64 revision = due ? failover->mod_revision : 0;

	if (s->failover_revision != revision)
	{
		bool same = s->closed_us != 0 && revision != 0;

		/* A key that was only filled in goes on where it was. */
		if (!same)
			memset(s, 0, sizeof(*s));
		s->failover_revision = revision;
		s->since_us = clock_now_us();
	}
	if (s->checkpoint_us != 0 && !s->checkpointed)
		s->checkpointed = server_checkpointed_since(s->checkpoint_lsn) ||
						  clock_now_us() - s->checkpoint_us > CHECKPOINT_WAIT_US;
}

static void
view_candidate(HaView *view, const char *name)
{
	HaSwitchover *s = &view->switchover;
	XLogRecPtr has = InvalidXLogRecPtr;

	strlcpy(s->candidate, name, HA_NAME_SIZE);
	s->candidate_is_self = strcmp(name, config_node_name) == 0;
	for (int i = 0; i < view->npeers; i++)
	{
		const HaPeer *peer = &view->peers[i];

		if (strcmp(peer->name, name) != 0)
			continue;
		s->candidate_live = true;
		s->candidate_may_lead = peer->may_lead;
		s->candidate_synchronous = peer->synchronous;
		if (peer->position.timeline == view->position.timeline)
			has = peer->position.lsn;
	}
	if (view->lease != LEASE_MINE)
		return;
	s->candidate_streams = server_standby_has(name, &has);
	s->candidate_near = has + agent.config.maximum_lag >= view->position.lsn;
	/* One that the failsafe key leaves out could not take the lead yet. */
	s->candidate_has_all = has >= view->position.lsn && !failsafe_leaves_out(name);
}

static void
view_switchover(HaView *view)
{
	const AgentKey *failover = observe_key(KEY_FAILOVER);
	HaSwitchover *s = &view->switchover;
	HaFailover asked;
	bool due = failover->value != NULL && key_read_failover(failover->value, &asked) &&
			   asked.member[0] != '\0' && asked.at <= GetCurrentTimestamp();

	if (due && request_is_missed(&asked))
		due = false;

	/* It is about the present leader; without one, about the last. */
	if (due && view->lease != LEASE_FREE && asked.leader[0] != '\0' &&
		(observe_key(KEY_LEADER)->value == NULL ||
		 strcmp(asked.leader, observe_key(KEY_LEADER)->value) != 0))
		due = false;

	track_switchover(failover, due);
	if (!due)
		return;
	s->asked = true;
	s->since_us = agent.switchover.since_us;
	s->closed_us = agent.switchover.closed_us;
	s->checkpointed = agent.switchover.checkpointed;
	s->by_hand = asked.leader[0] == '\0';
	view_candidate(view, asked.member);
	/* A failover, which names no leader, accepts the loss. */
	if (s->candidate_is_self && asked.leader[0] == '\0')
		view->lagging = false;
}

/* What the sync key says of who may lead. */
static void
view_sync(HaView *view)
{
	const HaSyncKey *key = &agent.sync.key;

	view->sync.required = sync_is_required();
	view->sync.led = strcmp(key->leader, config_node_name) == 0;
	view->sync.listed = key_sync_lists(key, config_node_name);
	view->sync.quorum = key->quorum;
}

/* The view as of now, in the cycle's context. */
void
observe_view(HaView *view)
{
	const AgentSelf *self = &agent.self;
	AgentMember *own;
	HaPeer *peers;

	memset(view, 0, sizeof(*view));
	strlcpy(view->name, config_node_name, HA_NAME_SIZE);
	view->role = self->role;
	view->position = self->position;
	view->wal_read = self->wal_read;
	view->position_known = self->position_known;
	view->may_lead = self->may_lead;
	view->priority = self->priority;
	view->promoting = self->promoting;
	view->streaming = self->streaming;
	view->lease = LEASE_UNKNOWN;
	if (!agent.seen)
		return;

	own = observe_member(ha_own_group(), config_node_name);
	peers = palloc0(sizeof(HaPeer) * Max(agent.nmembers, 1));
	view->npeers = view_peers(peers);
	view->peers = peers;
	view->lease = observe_lease();
	view->voted = own != NULL && own->said.voted && own->said.vote == present_election();
	view->key_is_own = agent.lease_former != 0 && agent.lease != 0 &&
					   observe_key(KEY_LEADER)->lease == agent.lease_former;
	view->name_taken = is_name_taken(own);
	view->foreign = is_foreign();
	view->unwell = self->unwell;
	view->promised = failsafe_has_promised();
	view->unlisted = failsafe_leaves_out(config_node_name);
	view->start_overdue =
		self->starting_since != 0 && clock_now_us() - self->starting_since >
										 agent.config.primary_start_timeout * INT64CONST(1000000);
	view->proven = ha_fence_is_open() || (agent.fence_shut && agent.lease != 0) ||
				   (!sync_is_settled() && lease_is_proven());
	view->led_last = has_led_last();
	view->never_led = observe_key(KEY_EPOCH)->value == NULL;
	view->lagging = self->position.lsn + agent.config.maximum_lag < agent.status.optime;
	view->paused = agent.config.paused;
	/* The election begins when the leader cannot go on without the store any more. */
	if (agent.vacant_us != 0)
		view->vacant_us = Max(agent.vacant_us, failsafe_promised_until());
	view->trouble_us = agent.trouble_us;
	upstream_choose();
	view->following = is_following();
	view->wal_gone = is_wal_gone(view);
	view->standby_cluster = agent.standby.enabled;
	view_history(view);
	view_sync(view);
	view_switchover(view);
}

/*
 * The picture for others
 */

static bool
publish_leader(SharedGroup *shared, AgentGroup *group)
{
	const AgentKey *key = &group->keys[KEY_LEADER];
	AgentMember *m = key->value == NULL ? NULL : observe_member(group->id, key->value);
	GroupLeader leader = {0};
	HaStatus status;
	bool differs;

	leader.group_id = group->id;
	strlcpy(shared->holder, key->value ? key->value : "", sizeof(shared->holder));
	if (m != NULL && is_primary(m) && m->said.shown.host[0] != '\0')
	{
		strlcpy(leader.member, key->value, sizeof(leader.member));
		strlcpy(leader.host, m->said.shown.host, sizeof(leader.host));
		leader.port = m->said.shown.port;
		leader.epoch = (uint64) key->create_revision;
	}
	key_read_status(group->keys[KEY_STATUS].value, &status);
	shared->optime = status.optime;
	differs = memcmp(&shared->leader, &leader, sizeof(leader)) != 0;
	shared->leader = leader;
	return differs;
}

/* What the keys of a group say of its members. */
static void
note_synchronous(AgentGroup *group)
{
	const char *leader = group->keys[KEY_LEADER].value;
	const char *sync = group->keys[KEY_SYNC].value;
	HaConfig config = agent.config;

	if (sync != NULL && group->id != ha_own_group())
		key_read_config(group->keys[KEY_CONFIG].value, &config);
	for (int i = 0; i < agent.nmembers; i++)
	{
		SharedMember *m = &agent.members[i].said.shown;

		if (m->group_id != group->id)
			continue;
		m->sync = HA_SYNC_NONE;
		if (leader != NULL && sync != NULL)
			m->sync = key_read_sync(sync, leader, m->name, config.sync_mode == SYNC_MODE_QUORUM);
	}
}

static void
publish_document(HaDocument which, HaKey key)
{
	const AgentKey *stored = observe_key(key);

	ha_document_publish(which, stored->value, stored->mod_revision);
}

static int
compare_groups(const void *a, const void *b)
{
	int x = ((const AgentGroup *const *) a)[0]->id;
	int y = ((const AgentGroup *const *) b)[0]->id;

	return x < y ? -1 : x > y;
}

void
observe_publish(void)
{
	AgentGroup *sorted[HA_MAX_GROUPS];
	AgentKey *leader = observe_key(KEY_LEADER);
	HaFailover failover;
	bool grew;

	for (int i = 0; i < agent.ngroups; i++)
		sorted[i] = &agent.groups[i];
	qsort(sorted, agent.ngroups, sizeof(sorted[0]), compare_groups);

	if (!key_read_failover(observe_key(KEY_FAILOVER)->value, &failover))
		memset(&failover, 0, sizeof(failover));
	for (int i = 0; i < agent.ngroups; i++)
		note_synchronous(&agent.groups[i]);
	publish_document(HA_DOCUMENT_CONFIG, KEY_CONFIG);
	publish_document(HA_DOCUMENT_HISTORY, KEY_HISTORY);

	LWLockAcquire(ha_shared->lock, LW_EXCLUSIVE);
	ha_shared->connected = agent.connected;
	ha_shared->answered_us = agent.lease_sent_us;
	ha_shared->failover = failover;
	ha_shared->role = agent.self.role;
	ha_shared->lease_holder = observe_lease();
	strlcpy(ha_shared->holder, leader->value ? leader->value : "", HA_NAME_SIZE);
	ha_shared->epoch = (uint64) leader->create_revision;
	ha_shared->ttl = agent.lease_ttl > 0 ? agent.lease_ttl : agent.config.ttl;
	ha_shared->loop_wait = agent.config.loop_wait;
	ha_shared->paused = agent.config.paused;
	ha_shared->standby_cluster = agent.standby.enabled;
	ha_shared->maximum_lag = agent.config.maximum_lag;
	strlcpy(ha_shared->refusal, agent.decision.action == HA_REFUSE ? agent.decision.reason : "",
			HA_REASON_SIZE);
	grew = ha_shared->ngroups != agent.ngroups;
	ha_shared->ngroups = agent.ngroups;
	for (int i = 0; i < agent.ngroups; i++)
		grew |= publish_leader(&ha_shared->groups[i], sorted[i]);
	ha_shared->nmembers = agent.nmembers;
	for (int i = 0; i < agent.nmembers; i++)
		ha_shared->members[i] = agent.members[i].said.shown;
	LWLockRelease(ha_shared->lock);

	if (grew)
	{
		pg_atomic_fetch_add_u64(&ha_shared->generation, 1);
		ConditionVariableBroadcast(&ha_shared->leaders_cv);
	}
	agent.changed = false;
}
