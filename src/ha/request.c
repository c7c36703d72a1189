/*-------------------------------------------------------------------------
 * request.c
 *	  Carries out what processes of this server ask for, see request.h; and
 *	  switchovers and failovers, whoever asks for them.
 *
 * A request waits in shared memory.  The agent checks it, writes what it
 * means to the store, watches what becomes of it and tells who asked.  Each
 * write is guarded by the revision of what was seen, so that a request that
 * an agent begins anew after a restart is not carried out twice.
 *
 * A switchover becomes the failover key, which the leader of the group finds,
 * here or on another server, and acts on.  Whoever else writes that key
 * (patronictl) gets the same.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/config.h"
#include "ha/agent.h"
#include "ha/server.h"

/* After this time who asked is told to look for themselves. */
#define REQUEST_WAIT_US (120 * INT64CONST(1000000))

/* A planned switchover that is so late does not happen any more. */
#define MISSED_US (300 * INT64CONST(1000000))

/* How long a candidate is waited for that is not fit, but may soon be. */
#define FIT_WAIT_US (3 * INT64CONST(1000000))

/* How long etcd is waited for. */
#define STORE_WAIT_US (5 * INT64CONST(1000000))

/* How long the outcome may take from a session to its client. */
#define READER_WAIT_US 200000
#define READER_SEND_US 10000

static const char *
group_leader(int group_id)
{
	AgentGroup *group = observe_group(group_id);

	return group == NULL ? NULL : group->keys[KEY_LEADER].value;
}

static const char not_streaming[] = "it does not stream from the leader";
static const char other_timeline[] = "it is on another timeline";
static const char lagging[] = "it lags by more than maximum_lag_on_failover";

/* What a member says of itself is a little old, so these may be over already. */
static bool
may_pass(const char *why)
{
	return why == not_streaming || why == other_timeline || why == lagging;
}

/*
 * The leader sees that better than the member: a WAL receiver says that it
 * streams before it has asked for the first record.
 */
static bool
is_streaming(const SharedMember *m, const char *leader)
{
	XLogRecPtr has = InvalidXLogRecPtr;

	if (strcmp(m->state, "streaming") != 0)
		return false;
	return m->group_id != ha_own_group() || strcmp(leader, config_node_name) != 0 ||
		   server_standby_has(m->name, &has);
}

/* True when that member can be the next leader; else says why not. */
static bool
is_fit(const AgentMember *m, const char **why)
{
	const SharedMember *shown = &m->said.shown;
	const char *leader = group_leader(shown->group_id);
	const AgentMember *l = leader ? observe_member(shown->group_id, leader) : NULL;
	HaStatus status;

	key_read_status(observe_group(shown->group_id)->keys[KEY_STATUS].value, &status);
	*why = NULL;
	if (leader != NULL && strcmp(shown->name, leader) == 0)
		*why = "it leads already";
	else if (!m->said.may_lead)
		*why = "its tags forbid that it leads";
	else if (leader == NULL && shown->timeline < status.timeline)
		*why = "it is on an earlier timeline than the last leader";
	else if (leader == NULL)
		return true;
	else if (!is_streaming(shown, leader))
		*why = not_streaming;
	else if (l != NULL && l->said.shown.timeline != shown->timeline)
		*why = other_timeline;
	else if (shown->lsn + agent.config.maximum_lag < status.optime)
		*why = lagging;
	return *why == NULL;
}

/* In a synchronous mode only who is listed has all acknowledged commits for certain. */
static bool
is_synchronous(const AgentMember *m)
{
	const AgentGroup *group = observe_group(m->said.shown.group_id);
	HaConfig config;
	HaSyncKey sync;

	key_read_config(group->keys[KEY_CONFIG].value, &config);
	key_read_sync_set(group->keys[KEY_SYNC].value, &sync);
	return config.sync_mode == SYNC_MODE_OFF || !sync.present ||
		   key_sync_lists(&sync, m->said.shown.name);
}

static bool
is_more(const AgentMember *a, const AgentMember *b)
{
	if (a->said.shown.lsn != b->said.shown.lsn)
		return a->said.shown.lsn > b->said.shown.lsn;
	if (a->said.priority != b->said.priority)
		return a->said.priority > b->said.priority;
	return strcmp(a->said.shown.name, b->said.shown.name) < 0;
}

static const AgentMember *
best_candidate(int group_id)
{
	const AgentMember *best = NULL;
	const char *why;

	for (int i = 0; i < agent.nmembers; i++)
	{
		const AgentMember *m = &agent.members[i];

		if (m->said.shown.group_id == group_id && is_fit(m, &why) && is_synchronous(m) &&
			(best == NULL || is_more(m, best)))
			best = m;
	}
	return best;
}

/* As the group's own configuration says. */
static bool
is_paused(int group_id)
{
	HaConfig config;

	key_read_config(observe_group(group_id)->keys[KEY_CONFIG].value, &config);
	return config.paused;
}

/* Somebody has written keys of it. */
static bool
is_group_known(int group_id)
{
	for (int i = 0; i < agent.ngroups; i++)
		if (agent.groups[i].id == group_id)
			return true;
	return false;
}

/*
 * What becomes of a request
 */

static void
finish(AgentRequest *request, HaRequestState state, int sqlstate, const char *message,
	   const char *hint)
{
	SharedRequest *shared = &ha_shared->requests[request - agent.requests];

	LWLockAcquire(ha_shared->lock, LW_EXCLUSIVE);
	if (shared->id == request->id)
	{
		shared->moved_us = clock_now_us();
		shared->outcome.state = state;
		shared->outcome.sqlstate = sqlstate;
		strlcpy(shared->outcome.message, message, sizeof(shared->outcome.message));
		strlcpy(shared->outcome.hint, hint, sizeof(shared->outcome.hint));
		strlcpy(shared->outcome.notice, request->notice, sizeof(shared->outcome.notice));
	}
	LWLockRelease(ha_shared->lock);
	ConditionVariableBroadcast(&ha_shared->request_cv);
	request->id = 0;
}

void
request_succeed(AgentRequest *request, const char *message)
{
	finish(request, HA_REQUEST_DONE, 0, message, "");
}

void
request_refuse(AgentRequest *request, int sqlstate, const char *message, const char *hint)
{
	finish(request, HA_REQUEST_FAILED, sqlstate, message, hint);
}

/* For reasons that may pass. */
static void
refuse(AgentRequest *request, const char *message, const char *hint)
{
	request_refuse(request, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message, hint);
}

AgentRequest *
request_of(const AgentFlight *flight)
{
	for (int i = 0; i < HA_MAX_REQUESTS; i++)
		if (agent.requests[i].id != 0 && agent.requests[i].id == flight->request)
			return &agent.requests[i];
	return NULL;
}

AgentRequest *
request_own_switchover(void)
{
	for (int i = 0; i < HA_MAX_REQUESTS; i++)
	{
		AgentRequest *r = &agent.requests[i];

		if (r->id != 0 && r->sent && r->what.at == 0 && r->what.group_id == ha_own_group() &&
			(r->what.kind == REQUEST_SWITCHOVER || r->what.kind == REQUEST_FAILOVER))
			return r;
	}
	return NULL;
}

void
request_await_reader(uint64 id)
{
	int64 until = clock_now_us() + READER_WAIT_US;
	bool read = false;

	while (!read && clock_now_us() < until)
	{
		read = true;
		LWLockAcquire(ha_shared->lock, LW_SHARED);
		for (int i = 0; i < HA_MAX_REQUESTS; i++)
			if (ha_shared->requests[i].id == id)
				read = false;
		LWLockRelease(ha_shared->lock);
		if (!read)
			pg_usleep(1000);
	}
	pg_usleep(READER_SEND_US);
}

/*
 * Switching over
 */

static void
failover_sent(void *arg, const DcsResult *result)
{
	AgentRequest *request = request_of(arg);
	DcsKeyValue kv = {0};

	agent_landed(arg, result);
	if (request == NULL)
		return;
	switch (result->status)
	{
		case DCS_OK:
			break;
		case DCS_COMPARE_FAILED:
			refuse(request, "the group changed while it was asked for", "Try again.");
			return;
		default:
			refuse(request, psprintf("etcd could not be asked: %s", result->reason),
				   "See cluster_status() for whether it happened.");
			return;
	}

	kv.key = key_name_in(request->what.group_id, KEY_FAILOVER);
	kv.value = request->value;
	kv.deleted = request->value[0] == '\0';
	kv.create_revision = result->revision;
	kv.mod_revision = result->revision;
	observe_apply(&kv, result->revision);
	request->sent = true;
	if (request->what.at != 0 || kv.deleted)
		request_succeed(request, request->what.member);
}

/* Writes the failover key, or removes it, if the group is still as it was seen. */
static void
send_failover(AgentRequest *request, const HaFailover *failover)
{
	int group_id = request->what.group_id;
	const AgentGroup *group = observe_group(group_id);
	DcsCompare compares[2] = {{DCS_CREATE_REVISION_IS, key_name_in(group_id, KEY_LEADER),
							   group->keys[KEY_LEADER].create_revision},
							  {DCS_MOD_REVISION_IS, key_name_in(group_id, KEY_FAILOVER),
							   group->keys[KEY_FAILOVER].mod_revision}};
	DcsWrite write = {compares[1].key, failover ? key_write_failover(failover) : NULL, 0};
	AgentFlight *flight;

	strlcpy(request->value, write.value ? write.value : "", sizeof(request->value));
	flight = agent_take_off(OP_REQUEST);
	flight->request = request->id;
	agent.dcs->ops->txn(agent.dcs, compares, 2, &write, 1, failover_sent, flight);
}

/* No member is fit; may one be in a moment? */
static bool
may_get_candidate(const AgentRequest *request)
{
	const char *why;

	if (clock_now_us() - request->since_us > FIT_WAIT_US)
		return false;
	for (int i = 0; i < agent.nmembers; i++)
		if (agent.members[i].said.shown.group_id == request->what.group_id &&
			!is_fit(&agent.members[i], &why) && may_pass(why))
			return true;
	return false;
}

/* Finds the candidate.  False: it was refused, or has to wait for the next turn. */
static bool
choose_candidate(AgentRequest *request)
{
	HaRequest *what = &request->what;
	const AgentMember *m;
	const char *why;

	if (what->member[0] == '\0' && is_paused(what->group_id))
	{
		refuse(request, psprintf("group %d is paused", what->group_id),
			   "Name the candidate, or call cluster_resume().");
		return false;
	}
	if (what->member[0] == '\0')
	{
		m = best_candidate(what->group_id);
		if (m != NULL)
			strlcpy(what->member, m->said.shown.name, HA_NAME_SIZE);
		else if (!may_get_candidate(request))
			refuse(request, psprintf("group %d has no member that could take over", what->group_id),
				   "A member can when it streams from the leader, synchronously if that is the "
				   "mode, and its tags allow it.");
		return m != NULL;
	}
	m = observe_member(what->group_id, what->member);
	if (m == NULL)
	{
		request_refuse(request, ERRCODE_UNDEFINED_OBJECT,
					   psprintf("group %d has no member \"%s\"", what->group_id, what->member),
					   "See cluster_status() for the members.");
		return false;
	}
	if (is_fit(m, &why) && !is_synchronous(m))
	{
		why = "it is not a synchronous standby";
		if (what->kind == REQUEST_FAILOVER)
			snprintf(
				request->notice, sizeof(request->notice),
				"member \"%s\" was not a synchronous standby, acknowledged commits may be lost",
				what->member);
	}
	if (why != NULL && request->notice[0] == '\0')
	{
		if (may_pass(why) && clock_now_us() - request->since_us < FIT_WAIT_US)
			return false;
		refuse(request, psprintf("member \"%s\" cannot take over: %s", what->member, why),
			   "See cluster_status() for the state of the members.");
		return false;
	}
	return true;
}

/* Is the leader the one that is to be there?  Refuses when not. */
static bool
check_leader(AgentRequest *request)
{
	const HaRequest *what = &request->what;
	const char *leader = group_leader(what->group_id);

	if (leader == NULL && what->kind == REQUEST_SWITCHOVER)
	{
		refuse(request, psprintf("group %d has no leader", what->group_id),
			   "One is elected as soon as a member is fit for it; see cluster_events().");
		return false;
	}
	if (what->leader[0] != '\0' && (leader == NULL || strcmp(leader, what->leader) != 0))
	{
		refuse(request,
			   psprintf("member \"%s\" does not lead group %d", what->leader, what->group_id),
			   "See cluster_status() for the leader.");
		return false;
	}
	strlcpy(request->leader, leader == NULL ? "" : leader, HA_NAME_SIZE);
	return true;
}

static void
begin_switchover(AgentRequest *request)
{
	const HaRequest *what = &request->what;
	HaFailover failover = {0};

	if (!check_leader(request))
		return;
	if (observe_group(what->group_id)->keys[KEY_FAILOVER].value != NULL)
	{
		refuse(request, "another switchover of the group is asked for already", "Try again later.");
		return;
	}
	if (what->at != 0 && is_paused(what->group_id))
	{
		refuse(request, psprintf("group %d is paused, nothing can be planned", what->group_id),
			   "Call cluster_resume() first.");
		return;
	}
	if (!choose_candidate(request))
		return;
	/* A failover is to happen whoever leads by the time it is seen. */
	if (what->kind == REQUEST_SWITCHOVER)
		strlcpy(failover.leader, request->leader, HA_NAME_SIZE);
	strlcpy(failover.member, what->member, HA_NAME_SIZE);
	failover.at = what->at;
	send_failover(request, &failover);
}

/* Has it succeeded or failed meanwhile? */
static void
follow_switchover(AgentRequest *request)
{
	const char *leader = group_leader(request->what.group_id);

	if (leader != NULL && strcmp(leader, request->what.member) == 0)
		request_succeed(request, request->what.member);
	else if (leader != NULL && request->leader[0] != '\0' && strcmp(leader, request->leader) != 0)
		refuse(request, psprintf("member \"%s\" leads instead", leader), "See cluster_status().");
	else if (leader != NULL &&
			 observe_group(request->what.group_id)->keys[KEY_FAILOVER].value == NULL)
		refuse(request, psprintf("member \"%s\" goes on leading", leader),
			   "cluster_events() on that member says why.");
}

static void
begin_cancel(AgentRequest *request)
{
	const char *value = observe_group(request->what.group_id)->keys[KEY_FAILOVER].value;
	HaFailover failover;

	if (value == NULL || !key_read_failover(value, &failover) || failover.at == 0)
		request_refuse(request, ERRCODE_UNDEFINED_OBJECT,
					   psprintf("no switchover of group %d is planned", request->what.group_id),
					   "");
	else
		send_failover(request, NULL);
}

/*
 * Carrying it out
 */

static const struct
{
	void (*begin)(AgentRequest *request);
	void (*follow)(AgentRequest *request); /* once it is sent */
	void (*withdraw)(AgentRequest *request);
} kinds[] = {
	[REQUEST_SWITCHOVER] = {begin_switchover, follow_switchover, NULL},
	[REQUEST_FAILOVER] = {begin_switchover, follow_switchover, NULL},
	[REQUEST_CANCEL_SWITCHOVER] = {begin_cancel, NULL, NULL},
	[REQUEST_PATCH_CONFIG] = {change_begin, change_follow, NULL},
	[REQUEST_REPLACE_CONFIG] = {change_begin, change_follow, NULL},
	[REQUEST_RESTART] = {order_begin, order_follow, order_withdraw},
	[REQUEST_CANCEL_RESTART] = {order_cancel, NULL, NULL},
	[REQUEST_RELOAD] = {order_begin, order_follow, order_withdraw},
	[REQUEST_REINITIALIZE] = {order_begin, order_follow, order_withdraw},
};
StaticAssertDecl(lengthof(kinds) == N_HA_REQUESTS, "each kind is carried out");

/* False when nothing can be asked of the group from here, yet or at all: then it is refused. */
static bool
check_group(AgentRequest *request)
{
	int group_id = request->what.group_id;

	/* An agent that has just started needs a moment. */
	if (agent.lease == 0 && clock_now_us() - request->since_us < STORE_WAIT_US)
		return false;
	if (agent.lease == 0)
		refuse(request, "this member has no connection to etcd", "See cluster_events().");
	else if (ha_own_group() != 0 && group_id != ha_own_group())
		refuse(request, psprintf("this member knows of group %d only", ha_own_group()),
			   "Ask a member of that group, or of group 0.");
	else if (!is_group_known(group_id))
		request_refuse(request, ERRCODE_UNDEFINED_OBJECT,
					   psprintf("there is no group %d", group_id),
					   "See cluster_status() for the groups.");
	else
		return true;
	return false;
}

static void
withdraw(AgentRequest *request)
{
	if (kinds[request->what.kind].withdraw != NULL && agent.seen && agent_may_send(OP_REQUEST))
		kinds[request->what.kind].withdraw(request);
}

static void
carry_out(AgentRequest *request)
{
	if (request->sent)
		kinds[request->what.kind].follow(request);
	else if (agent_may_send(OP_REQUEST) && check_group(request))
		kinds[request->what.kind].begin(request);
	if (request->id != 0 && clock_now_us() - request->since_us > REQUEST_WAIT_US)
	{
		withdraw(request);
		refuse(request, "it takes unusually long", "See cluster_status().");
	}
}

/* Takes up what is new, and forgets what nobody waits for any more. */
static void
look_at_requests(void)
{
	AgentRequest abandoned[HA_MAX_REQUESTS];
	int nabandoned = 0;

	LWLockAcquire(ha_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < HA_MAX_REQUESTS; i++)
	{
		SharedRequest *shared = &ha_shared->requests[i];
		AgentRequest *r = &agent.requests[i];

		if (r->id != 0 && r->id != shared->id)
		{
			abandoned[nabandoned++] = *r;
			r->id = 0;
		}
		if (shared->id == 0 || shared->outcome.state != HA_REQUEST_WAITING)
			continue;
		shared->outcome.state = HA_REQUEST_TAKEN;
		shared->moved_us = clock_now_us();
		memset(r, 0, sizeof(*r));
		r->id = shared->id;
		r->asked_at = shared->asked_at;
		r->what = shared->what;
		r->since_us = clock_now_us();
	}
	LWLockRelease(ha_shared->lock);
	for (int i = 0; i < nabandoned; i++)
		withdraw(&abandoned[i]);
}

/*
 * What the former agent had taken is begun anew where that does no harm.  A
 * switchover may have happened since, and the way back must not be taken for it.
 */
void
request_inherit(void)
{
	LWLockAcquire(ha_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < HA_MAX_REQUESTS; i++)
	{
		SharedRequest *shared = &ha_shared->requests[i];
		HaOutcome *outcome = &shared->outcome;

		if (shared->id == 0 || outcome->state != HA_REQUEST_TAKEN)
			continue;
		if (kinds[shared->what.kind].begin == begin_switchover)
		{
			outcome->state = HA_REQUEST_FAILED;
			outcome->sqlstate = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
			strlcpy(outcome->message, "the agent was restarted", sizeof(outcome->message));
			strlcpy(outcome->hint, "See cluster_status() for whether it happened.",
					sizeof(outcome->hint));
		}
		else
			outcome->state = HA_REQUEST_WAITING;
	}
	LWLockRelease(ha_shared->lock);
	ConditionVariableBroadcast(&ha_shared->request_cv);
}

/*
 * The failover key
 */

static void
cleared(void *arg, const DcsResult *result)
{
	agent_landed(arg, result);
}

/*
 * It does not happen later: a cluster that was paused or away at that time is
 * not to be surprised by it.
 */
bool
request_is_missed(const HaFailover *failover)
{
	TimestampTz now = GetCurrentTimestamp();

	return failover->at != 0 && failover->at <= now &&
		   (agent.config.paused || now - failover->at > MISSED_US);
}

/*
 * The leader tidies its group's failover key: one that is about a former
 * leader, was missed, or makes no sense, goes; one that leaves the choice to the leader
 * gets a candidate.
 */
static void
tidy_failover(const HaView *view)
{
	const AgentKey *key = observe_key(KEY_FAILOVER);
	const AgentMember *best;
	HaFailover failover;
	DcsCompare compare = {DCS_MOD_REVISION_IS, NULL, key->mod_revision};
	DcsWrite write = {0};

	if (key->value == NULL || view->role != HA_PRIMARY || view->lease != LEASE_MINE ||
		!agent_may_send(OP_FAILOVER))
		return;
	compare.key = key_name(KEY_FAILOVER);
	write.key = compare.key;

	if (key_read_failover(key->value, &failover) && !request_is_missed(&failover) &&
		(failover.leader[0] == '\0' || strcmp(failover.leader, config_node_name) == 0) &&
		strcmp(failover.member, config_node_name) != 0)
	{
		if (failover.member[0] != '\0' || failover.at > GetCurrentTimestamp())
			return;
		best = best_candidate(ha_own_group());
		if (best != NULL)
		{
			strlcpy(failover.member, best->said.shown.name, HA_NAME_SIZE);
			write.value = key_write_failover(&failover);
		}
	}
	agent.dcs->ops->txn(agent.dcs, &compare, 1, &write, 1, cleared, agent_take_off(OP_FAILOVER));
}

void
request_attend(const HaView *view)
{
	look_at_requests();
	for (int i = 0; i < HA_MAX_REQUESTS; i++)
		if (agent.requests[i].id != 0)
			carry_out(&agent.requests[i]);
	if (agent.seen)
		tidy_failover(view);
}
