/*-------------------------------------------------------------------------
 * act.c
 *	  Carries out what was decided.
 *
 * Each action is started once and goes on by itself, or is a step that can
 * be taken again: the same decision comes back each turn until the view
 * shows that it was carried out.
 *
 * What must stay true: leadership changes hands only by transactions that
 * are guarded by the revision of the leader key, and each acquisition writes
 * the epoch key, so that a member can prove that nobody led since it did.
 * Before a member leaves recovery, the timeline key says which timeline it
 * may use, above all that any leader may have used: two histories never
 * share a timeline's number.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/clock.h"
#include "base/config.h"
#include "ha/agent.h"
#include "ha/failsafe.h"
#include "ha/server.h"
#include "ha/settings.h"

/* A drastic step is not repeated sooner. */
#define REPEAT_US (5 * INT64CONST(1000000))

/* How long a demotion waits for a checkpoint. */
#define CHECKPOINT_WAIT_US (10 * INT64CONST(1000000))

static bool
once_in_a_while(int64 *last)
{
	int64 now = clock_now_us();

	if (*last != 0 && now - *last < REPEAT_US)
		return false;
	*last = now;
	return true;
}

static void
act_wait(const HaView *view)
{
}

/*
 * Whom a primary followed is of the past.  After a crash it would ask that one
 * for WAL before its agent has looked whether their histories agree.
 */
static void
forget_upstream(void)
{
	static const ServerSource nobody = SERVER_SOURCE_NOBODY;

	if (server_follows(&nobody) || !once_in_a_while(&agent.followed_us))
		return;
	server_follow(&nobody);
	agent.followed[0] = '\0';
}

static void
act_renew(const HaView *view)
{
	agent.fence_shut = false;
	agent.voting = -1;
	lease_move_fence();
	if (view->role == HA_PRIMARY)
		forget_upstream();
}

/*
 * Acquiring
 */

/* The highest timeline that any leader, past or present, may have used. */
static uint32
highest_timeline(void)
{
	const char *value = observe_key(KEY_TIMELINE)->value;
	uint32 highest = value == NULL ? 0 : (uint32) strtoul(value, NULL, 10);

	highest = Max(highest, agent.status.timeline);
	highest = Max(highest, agent.self.position.timeline);
	for (int i = 0; i < agent.nmembers; i++)
		if (agent.members[i].said.shown.group_id == ha_own_group())
			highest = Max(highest, agent.members[i].said.shown.timeline);
	return highest;
}

static void
apply_own_write(HaKey key, const char *value, int64 lease, int64 revision)
{
	DcsKeyValue kv = {0};

	kv.key = key_name(key);
	kv.value = value == NULL ? "" : value;
	kv.deleted = value == NULL;
	kv.create_revision = revision;
	kv.mod_revision = revision;
	kv.lease = lease;
	observe_apply(&kv, revision);
}

static void
acquire_done(void *arg, const DcsResult *result)
{
	AgentFlight *flight = arg;

	agent_landed(flight, result);
	if (result->status == DCS_OK || result->status == DCS_COMPARE_FAILED)
		failsafe_end_acquiring();
	if (result->status != DCS_OK)
	{
		const char *const keys[] = {key_name(KEY_LEADER), key_name(KEY_EPOCH), key_name(KEY_SYNC),
									key_name(KEY_FAILSAFE), key_member_name(config_node_name)};

		observe_failure(keys, lengthof(keys), result);
		return;
	}
	apply_own_write(KEY_LEADER, config_node_name, flight->lease, result->revision);
	apply_own_write(KEY_EPOCH, key_write_epoch(config_node_name), 0, result->revision);
	if (agent.acquired_timeline != 0)
		apply_own_write(KEY_TIMELINE, psprintf("%u", agent.acquired_timeline), 0, result->revision);
	agent.fence_shut = false;
	failsafe_forget();
	lease_move_fence();
	ereport(LOG, (errmsg("member \"%s\" leads group %d", config_node_name, ha_own_group()),
				  errdetail("The epoch is %lld.", (long long) result->revision)));
}

static DcsCompare
unchanged(HaKey key)
{
	return (DcsCompare){DCS_MOD_REVISION_IS, key_name(key), observe_key(key)->mod_revision};
}

/*
 * A failover by hand to a member that the sync key does not list accepts that
 * commits are lost.  What counts from now on is with this member alone; those
 * that the key listed must not lead any more, should this one be lost before
 * it writes the key.
 */
static DcsWrite
sole_holder(void)
{
	HaSyncKey key = {.present = true};

	strlcpy(key.leader, config_node_name, HA_NAME_SIZE);
	return (DcsWrite){key_name(KEY_SYNC), key_write_sync(&key), 0};
}

/*
 * Takes the leader key, if it is free, this member still owns its name, and
 * nobody led since the view was made.
 */
static void
act_acquire(const HaView *view)
{
	const AgentMember *own = observe_member(ha_own_group(), config_node_name);
	const char *initialize = observe_key(KEY_INITIALIZE)->value;
	DcsCompare compares[8];
	DcsWrite writes[8];
	int nc = 0;
	int nw = 0;
	AgentFlight *flight;

	if (agent.lease == 0 || own == NULL || own->key.lease != agent.lease ||
		!agent_may_send(OP_ACQUIRE))
		return;

	compares[nc++] = (DcsCompare){DCS_CREATE_REVISION_IS, key_name(KEY_LEADER), 0};
	compares[nc++] = unchanged(KEY_EPOCH);
	/* It says who may lead, and the votes were counted by it. */
	compares[nc++] = unchanged(KEY_SYNC);
	compares[nc++] = unchanged(KEY_FAILSAFE);
	compares[nc++] = (DcsCompare){DCS_CREATE_REVISION_IS, key_member_name(config_node_name),
								  own->key.create_revision};
	writes[nw++] = (DcsWrite){key_name(KEY_LEADER), config_node_name, agent.lease};
	writes[nw++] = (DcsWrite){key_name(KEY_EPOCH), key_write_epoch(config_node_name), 0};

	agent.acquired_timeline =
		view->role == HA_REPLICA && !view->standby_cluster ? highest_timeline() + 1 : 0;
	if (agent.acquired_timeline != 0)
	{
		compares[nc++] = unchanged(KEY_TIMELINE);
		writes[nw++] =
			(DcsWrite){key_name(KEY_TIMELINE), psprintf("%u", agent.acquired_timeline), 0};
	}
	if (initialize == NULL || initialize[0] == '\0')
	{
		compares[nc++] = unchanged(KEY_INITIALIZE);
		writes[nw++] =
			(DcsWrite){key_name(KEY_INITIALIZE), psprintf(UINT64_FORMAT, GetSystemIdentifier()), 0};
	}
	if (observe_key(KEY_CONFIG)->value == NULL)
	{
		compares[nc++] = unchanged(KEY_CONFIG);
		writes[nw++] = (DcsWrite){key_name(KEY_CONFIG), key_write_config(), 0};
	}
	if (observe_key(KEY_FAILOVER)->value != NULL && view->switchover.candidate_is_self)
		writes[nw++] = (DcsWrite){key_name(KEY_FAILOVER), NULL, 0};
	if (view->sync.required && !view->sync.led && !view->sync.listed)
		writes[nw++] = sole_holder();

	if (!failsafe_begin_acquiring(view->led_last))
		return;
	flight = agent_take_off(OP_ACQUIRE);
	flight->lease = agent.lease;
	agent.dcs->ops->txn(agent.dcs, compares, nc, writes, nw, acquire_done, flight);
}

/*
 * Retaking
 */

static void
retake_done(void *arg, const DcsResult *result)
{
	AgentFlight *flight = arg;
	DcsKeyValue kv = {0};

	agent_landed(flight, result);
	if (result->status != DCS_OK)
	{
		observe_failure((const char *const[]){key_name(KEY_LEADER)}, 1, result);
		return;
	}
	kv.key = key_name(KEY_LEADER);
	kv.value = config_node_name;
	kv.create_revision = observe_key(KEY_LEADER)->create_revision;
	kv.mod_revision = result->revision;
	kv.lease = flight->lease;
	observe_apply(&kv, result->revision);
	lease_move_fence();
}

/*
 * The lease is gone, or about to be replaced, but the key on it is still
 * there: so nobody led since, and the epoch goes on.
 */
static void
act_retake(const HaView *view)
{
	DcsCompare compare = unchanged(KEY_LEADER);
	DcsWrite write = {key_name(KEY_LEADER), config_node_name, agent.lease};
	AgentFlight *flight;

	/* The lease may have gone since the view was made; a key on none would never expire. */
	if (agent.lease == 0 || !agent_may_send(OP_ACQUIRE))
		return;
	flight = agent_take_off(OP_ACQUIRE);
	flight->lease = agent.lease;
	agent.dcs->ops->txn(agent.dcs, &compare, 1, &write, 1, retake_done, flight);
}

static void
act_vote(const HaView *view)
{
	agent.voting = observe_key(KEY_EPOCH)->mod_revision;
}

/*
 * Promoting
 */

static void
timeline_done(void *arg, const DcsResult *result)
{
	agent_landed(arg, result);
}

/*
 * The timeline that this leadership may use; 0 when the store does not say
 * so yet, and it is asked to.
 */
static uint32
allotted_timeline(void)
{
	const AgentKey *leader = observe_key(KEY_LEADER);
	const AgentKey *key = observe_key(KEY_TIMELINE);
	uint32 timeline = key->value == NULL ? 0 : (uint32) strtoul(key->value, NULL, 10);
	DcsCompare compares[2];
	DcsWrite write;

	if (timeline > agent.self.position.timeline && key->mod_revision >= leader->create_revision)
		return timeline;
	if (!agent_may_send(OP_TIMELINE))
		return 0;

	compares[0] =
		(DcsCompare){DCS_CREATE_REVISION_IS, key_name(KEY_LEADER), leader->create_revision};
	compares[1] = unchanged(KEY_TIMELINE);
	write = (DcsWrite){key_name(KEY_TIMELINE), psprintf("%u", highest_timeline() + 1), 0};
	agent.dcs->ops->txn(agent.dcs, compares, 2, &write, 1, timeline_done,
						agent_take_off(OP_TIMELINE));
	return 0;
}

static void
act_promote(const HaView *view)
{
	uint32 timeline;

	if (view->promoting)
		return;
	timeline = allotted_timeline();
	if (timeline == 0 || !once_in_a_while(&agent.promoted_us))
		return;
	agent.voting = -1;
	server_promote(timeline);
}

/*
 * Following and giving way
 */

/*
 * pg_rewind goes by the timeline of the last checkpoint: a primary that began
 * a timeline makes one on it before it gives way, or what it wrote would not
 * be found.  A checkpoint that does not come to an end is not waited for.
 */
static bool
is_timeline_settled(void)
{
	if (server_timeline_is_checkpointed())
		return true;
	if (agent.demotion_us == 0)
	{
		agent.demotion_us = clock_now_us();
		server_start_checkpoint();
	}
	return clock_now_us() - agent.demotion_us > CHECKPOINT_WAIT_US;
}

static void
act_demote(const HaView *view)
{
	agent.fence_shut = true;
	lease_move_fence();
	if (!is_timeline_settled())
		return;
	ereport(LOG, (errmsg("demoting member \"%s\"", config_node_name),
				  errdetail("The reason: %s.", agent.decision.reason)));
	server_demote();
}

static char *
leader_conninfo(void)
{
	const char *leader = observe_key(KEY_LEADER)->value;
	const AgentMember *m = leader == NULL ? NULL : observe_member(ha_own_group(), leader);

	if (m == NULL || m->said.shown.host[0] == '\0')
		return NULL;
	return ha_primary_conninfo(m->said.shown.host, m->said.shown.port);
}

static void
act_follow(const HaView *view)
{
	ServerSource source;
	char *followed;

	agent.voting = -1;
	if (!upstream_source(&source))
		return;
	followed = psprintf("%s %s %s %s %s", source.slot, source.conninfo, source.restore_command,
						source.archive_cleanup_command, source.apply_delay);
	if (strcmp(followed, agent.followed) == 0 && !once_in_a_while(&agent.followed_us))
		return;
	server_follow(&source);
	strlcpy(agent.followed, followed, sizeof(agent.followed));
	agent.followed_us = clock_now_us();
}

static void
act_rejoin(const HaView *view)
{
	char *conninfo = leader_conninfo();

	if (conninfo == NULL || !once_in_a_while(&agent.acted_us))
		return;
	if (view->diverged)
		ereport(LOG, (errmsg("the data of member \"%s\" have diverged from those of the leader",
							 config_node_name),
					  errdetail("This member is at %X/%X of timeline %u, which the leader has not.",
								LSN_FORMAT_ARGS(view->position.lsn), view->position.timeline),
					  errhint("They are being rewound, or cloned anew.")));
	else
		ereport(LOG,
				(errmsg("the leader has removed WAL that member \"%s\" needs", config_node_name),
				 errdetail("This member is at %X/%X, the leader's WAL begins at %X/%X.",
						   LSN_FORMAT_ARGS(view->position.lsn),
						   LSN_FORMAT_ARGS(agent.status.oldest_wal)),
				 errhint("The data are being cloned anew.")));
	server_rejoin(psprintf("%s dbname=postgres", conninfo),
				  !view->diverged || !agent.config.use_pg_rewind);
}

static void
act_release(const HaView *view)
{
	lease_drop();
}

static void
act_refuse(const HaView *view)
{
	agent.fence_shut = true;
	lease_drop();
	lease_move_fence();
}

/*
 * Switching over
 */

static void
act_checkpoint(const HaView *view)
{
	if (agent.switchover.checkpoint_us != 0)
		return;
	agent.switchover.checkpoint_us = clock_now_us();
	agent.switchover.checkpoint_lsn = server_start_checkpoint();
}

static void
act_close(const HaView *view)
{
	if (agent.switchover.closed_us != 0)
		return;
	agent.switchover.closed_us = clock_now_us();
	agent.fence_shut = true;
	lease_move_fence();
}

/*
 * The session that asked for it will end with all others: it is told first.
 */
static void
act_step_down(const HaView *view)
{
	AgentRequest *request = request_own_switchover();

	if (request != NULL)
	{
		uint64 id = request->id;

		request_succeed(request, view->switchover.candidate);
		request_await_reader(id);
	}
	act_demote(view);
}

static const char *const *
switchover_keys(void)
{
	static const char *keys[3];

	keys[0] = key_name(KEY_LEADER);
	keys[1] = key_name(KEY_FAILOVER);
	keys[2] = key_name(KEY_SYNC);
	return keys;
}

static void
hand_over_done(void *arg, const DcsResult *result)
{
	agent_landed(arg, result);
	if (result->status == DCS_OK)
		apply_own_write(KEY_LEADER, NULL, 0, result->revision);
	else
		observe_failure(switchover_keys(), 3, result);
	lease_move_fence();
}

/* Still in the epoch, and still about the switchover, that the view is of. */
static void
compare_switchover(DcsCompare compares[2])
{
	compares[0] = (DcsCompare){DCS_CREATE_REVISION_IS, key_name(KEY_LEADER),
							   observe_key(KEY_LEADER)->create_revision};
	compares[1] = unchanged(KEY_FAILOVER);
}

/*
 * The answer may come late or never.  So nothing is committed here from now
 * on, and the switchover has to be cancelled before this member can go on
 * leading: of the two transactions one only can succeed.
 */
static void
act_hand_over(const HaView *view)
{
	DcsCompare compares[3];
	DcsWrite writes[2] = {{key_name(KEY_LEADER), NULL, 0}};
	HaSyncKey heir = {.present = true, .nvoters = 1};
	int n = 1;

	if (!agent_may_send(OP_HAND_OVER))
		return;
	agent.fence_shut = true;
	lease_move_fence();
	compare_switchover(compares);
	compares[2] = unchanged(KEY_SYNC);
	/* The candidate has all that was acknowledged, and needs nobody's vote. */
	if (view->sync.required)
	{
		strlcpy(heir.leader, config_node_name, HA_NAME_SIZE);
		strlcpy(heir.voters[0], view->switchover.candidate, HA_NAME_SIZE);
		writes[n++] = (DcsWrite){key_name(KEY_SYNC), key_write_sync(&heir), 0};
	}
	agent.dcs->ops->txn(agent.dcs, compares, 3, writes, n, hand_over_done,
						agent_take_off(OP_HAND_OVER));
}

static void
failover_done(void *arg, const DcsResult *result)
{
	agent_landed(arg, result);
	if (result->status == DCS_OK)
		apply_own_write(KEY_FAILOVER, NULL, 0, result->revision);
	else
		observe_failure(switchover_keys(), 2, result);
}

static void
act_cancel(const HaView *view)
{
	DcsCompare compares[2];
	DcsWrite write = {key_name(KEY_FAILOVER), NULL, 0};
	AgentRequest *request;

	if (!agent_may_send(OP_FAILOVER))
		return;
	request = request_own_switchover();
	if (request != NULL)
		request_refuse(request, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, agent.decision.reason,
					   "See cluster_status() for the state of the members.");
	compare_switchover(compares);
	agent.dcs->ops->txn(agent.dcs, compares, 2, &write, 1, failover_done,
						agent_take_off(OP_FAILOVER));
}

static void (*const actions[])(const HaView *view) = {
	[HA_WAIT] = act_wait,
	[HA_RENEW] = act_renew,
	[HA_ACQUIRE] = act_acquire,
	[HA_RETAKE] = act_retake,
	[HA_VOTE] = act_vote,
	[HA_PROMOTE] = act_promote,
	[HA_DEMOTE] = act_demote,
	[HA_FOLLOW] = act_follow,
	[HA_REJOIN] = act_rejoin,
	[HA_RELEASE] = act_release,
	[HA_CHECKPOINT] = act_checkpoint,
	[HA_CLOSE] = act_close,
	[HA_STEP_DOWN] = act_step_down,
	[HA_HAND_OVER] = act_hand_over,
	[HA_CANCEL] = act_cancel,
	[HA_REFUSE] = act_refuse,
};

void
act_on(const HaView *view, HaDecision decision)
{
	actions[decision.action](view);
}
