/*-------------------------------------------------------------------------
 * request.c
 *	  Switchovers that are asked for: by a session, or by the failover key.
 *
 * A session leaves its wish in shared memory and waits.  The agent checks
 * it, writes the failover key, and tells the session what became of it; the
 * leader of the group, which may be another server, finds the key and acts
 * on it.  Whoever else writes that key (patronictl) gets the same.
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

/* After this time a session is told to look for itself. */
#define REQUEST_WAIT_US (120 * INT64CONST(1000000))

/* How long the outcome may take from a session to its client. */
#define READER_WAIT_US 50000
#define READER_SEND_US 10000

static const char *
group_leader(int group_id)
{
	AgentGroup *group = observe_group(group_id);

	return group == NULL ? NULL : group->keys[KEY_LEADER].value;
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
	else if (strcmp(shown->state, "streaming") != 0)
		*why = "it does not stream from the leader";
	else if (l != NULL && l->said.shown.timeline != shown->timeline)
		*why = "it is on another timeline";
	else if (shown->lsn + agent.config.maximum_lag < status.optime)
		*why = "it lags by more than maximum_lag_on_failover";
	return *why == NULL;
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

		if (m->said.shown.group_id == group_id && is_fit(m, &why) &&
			(best == NULL || is_more(m, best)))
			best = m;
	}
	return best;
}

/*
 * The session's side of a request
 */

bool
request_is_own(void)
{
	return agent.request.id != 0 && agent.request_sent && agent.request.at == 0 &&
		   agent.request.group_id == ha_own_group();
}

void
request_finish(bool done, int sqlstate, const char *message, const char *hint)
{
	HaRequest *request = &ha_shared->request;

	LWLockAcquire(ha_shared->lock, LW_EXCLUSIVE);
	if (request->id == agent.request.id)
	{
		request->state = done ? HA_REQUEST_DONE : HA_REQUEST_FAILED;
		request->sqlstate = sqlstate;
		strlcpy(request->message, message, sizeof(request->message));
		strlcpy(request->hint, hint, sizeof(request->hint));
	}
	LWLockRelease(ha_shared->lock);
	ConditionVariableBroadcast(&ha_shared->request_cv);
	agent.request.id = 0;
	agent.request_sent = false;
}

void
request_await_reader(void)
{
	int64 until = clock_now_us() + READER_WAIT_US;
	bool read = false;

	while (!read && clock_now_us() < until)
	{
		LWLockAcquire(ha_shared->lock, LW_SHARED);
		read = ha_shared->request.id == 0;
		LWLockRelease(ha_shared->lock);
		if (!read)
			pg_usleep(1000);
	}
	pg_usleep(READER_SEND_US);
}

/*
 * Carrying it out
 */

static void
refuse(const char *message, const char *hint)
{
	request_finish(false, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message, hint);
}

static void
request_sent(void *arg, const DcsResult *result)
{
	DcsKeyValue kv = {0};

	agent_landed(arg, result);
	if (agent.request.id == 0)
		return;
	switch (result->status)
	{
		case DCS_OK:
			break;
		case DCS_COMPARE_FAILED:
			refuse("the group changed while the switchover was asked for", "Try again.");
			return;
		default:
			refuse(psprintf("etcd could not be asked: %s", result->reason),
				   "See cluster_status() for whether the switchover happened.");
			return;
	}

	kv.key = key_name_in(agent.request.group_id, KEY_FAILOVER);
	kv.value = agent.sent_failover;
	kv.create_revision = result->revision;
	kv.mod_revision = result->revision;
	observe_apply(&kv, result->revision);
	agent.request_sent = true;
	if (agent.request.at != 0)
		request_finish(true, 0, agent.request.candidate, "");
}

static void
send_failover(const HaFailover *failover, int group_id)
{
	const AgentGroup *group = observe_group(group_id);
	DcsCompare compares[2] = {{DCS_CREATE_REVISION_IS, key_name_in(group_id, KEY_LEADER),
							   group->keys[KEY_LEADER].create_revision},
							  {DCS_MOD_REVISION_IS, key_name_in(group_id, KEY_FAILOVER),
							   group->keys[KEY_FAILOVER].mod_revision}};
	DcsWrite write = {compares[1].key, key_write_failover(failover), 0};

	strlcpy(agent.sent_failover, write.value, sizeof(agent.sent_failover));
	agent.dcs->ops->txn(agent.dcs, compares, 2, &write, 1, request_sent,
						agent_take_off(OP_REQUEST));
}

/* Finds the candidate, or refuses. */
static bool
choose_candidate(HaRequest *request)
{
	const AgentMember *m;
	const char *why;

	if (request->candidate[0] == '\0')
	{
		m = best_candidate(request->group_id);
		if (m == NULL)
		{
			refuse(psprintf("group %d has no member that could take over", request->group_id),
				   "A member can when it streams from the leader and its tags allow it.");
			return false;
		}
		strlcpy(request->candidate, m->said.shown.name, HA_NAME_SIZE);
		return true;
	}
	m = observe_member(request->group_id, request->candidate);
	if (m == NULL)
	{
		request_finish(
			false, ERRCODE_UNDEFINED_OBJECT,
			psprintf("group %d has no member \"%s\"", request->group_id, request->candidate),
			"See cluster_status() for the members.");
		return false;
	}
	if (!is_fit(m, &why))
	{
		refuse(psprintf("member \"%s\" cannot take over: %s", request->candidate, why),
			   "See cluster_status() for the state of the members.");
		return false;
	}
	return true;
}

static void
begin(void)
{
	HaRequest *request = &agent.request;
	HaFailover failover = {0};
	const char *leader;

	agent.request_us = clock_now_us();
	if (!agent.seen || agent.lease == 0)
	{
		refuse("this member has no connection to etcd", "See cluster_events().");
		return;
	}
	if (ha_own_group() != 0 && request->group_id != ha_own_group())
	{
		refuse(psprintf("this member knows of group %d only", ha_own_group()),
			   "Ask a member of that group, or of group 0.");
		return;
	}
	leader = group_leader(request->group_id);
	if (leader == NULL)
	{
		refuse(psprintf("group %d has no leader", request->group_id),
			   "One is elected as soon as a member is fit for it; see cluster_events().");
		return;
	}
	if (observe_group(request->group_id)->keys[KEY_FAILOVER].value != NULL)
	{
		refuse("another switchover of the group is asked for already", "Try again later.");
		return;
	}
	if (!choose_candidate(request) || !agent_may_send(OP_REQUEST))
		return;
	strlcpy(agent.request_leader, leader, HA_NAME_SIZE);
	strlcpy(failover.leader, leader, HA_NAME_SIZE);
	strlcpy(failover.member, request->candidate, HA_NAME_SIZE);
	failover.at = request->at;
	send_failover(&failover, request->group_id);
}

/* Has it succeeded or failed meanwhile? */
static void
follow_up(void)
{
	const char *leader = group_leader(agent.request.group_id);

	if (leader != NULL && strcmp(leader, agent.request.candidate) == 0)
		request_finish(true, 0, agent.request.candidate, "");
	else if (leader != NULL && strcmp(leader, agent.request_leader) != 0)
		refuse(psprintf("member \"%s\" leads instead", leader), "See cluster_status().");
	else if (leader != NULL &&
			 observe_group(agent.request.group_id)->keys[KEY_FAILOVER].value == NULL)
		refuse(psprintf("member \"%s\" goes on leading", leader),
			   "cluster_events() on that member says why.");
	else if (clock_now_us() - agent.request_us > REQUEST_WAIT_US)
		refuse("the switchover takes unusually long", "See cluster_status().");
}

static void
take_request(void)
{
	LWLockAcquire(ha_shared->lock, LW_EXCLUSIVE);
	if (ha_shared->request.id != 0 && ha_shared->request.state == HA_REQUEST_WAITING)
	{
		ha_shared->request.state = HA_REQUEST_TAKEN;
		agent.request = ha_shared->request;
		agent.request_sent = false;
	}
	LWLockRelease(ha_shared->lock);
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
 * The leader tidies its group's failover key: one that is about a former
 * leader, or makes no sense, goes; one that leaves the choice to the leader
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

	if (key_read_failover(key->value, &failover) &&
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
	if (agent.request.id == 0)
		take_request();
	if (agent.request.id != 0 && !agent.request_sent && !agent.flights[OP_REQUEST].busy)
		begin();
	if (agent.request.id != 0 && agent.request_sent)
		follow_up();
	if (agent.seen)
		tidy_failover(view);
}
