/*-------------------------------------------------------------------------
 * order.c
 *	  What one member asks another to do: reload, restart, reinitialize.
 *
 * The member whose agent was asked (see request.c) writes a key below the
 * group's prefix; the member it is for, which need not take connections,
 * finds it through its watch, marks it as taken, carries it out, and answers
 * in the same key.  A member orders itself the same way.
 *
 * What must stay true: an order is carried out once.  It is marked with the
 * start of the server before anything is done, so whoever finds the mark of
 * an earlier start knows that the restart has happened, and an agent that
 * finds the mark of this start, that it has not.  Nothing is begun after its
 * time is over.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "postmaster/postmaster.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/config.h"
#include "ha/agent.h"
#include "ha/parameters.h"
#include "ha/server.h"
#include "ha/settings.h"

#define MAX_ORDERS 128

/* An order that is not for a later time has to be begun within this. */
#define ORDER_WAIT_MS 120000

/* A restart waits for its checkpoint no longer than this. */
#define CHECKPOINT_WAIT_US (30 * INT64CONST(1000000))

/* Nor for another member's that does not end. */
#define TURN_WAIT_US (60 * INT64CONST(1000000))

/* Steps that should have ended the server are repeated, and at last given up. */
#define REPEAT_US (15 * INT64CONST(1000000))
#define GIVE_UP_US (300 * INT64CONST(1000000))

/* How long an answer is kept for who asked. */
#define ANSWER_KEPT_US (60 * INT64CONST(1000000))

/*
 * The orders there are
 */

static AgentOrder *
find_order(int group_id, const char *member, HaOrderKind kind)
{
	for (int i = 0; i < agent.norders; i++)
	{
		AgentOrder *o = &agent.orders[i];

		if (o->group_id == group_id && o->kind == kind && strcmp(o->member, member) == 0)
			return o;
	}
	return NULL;
}

void
order_forget_all(void)
{
	agent.norders = 0;
	agent.orders = MemoryContextAllocZero(agent.store, sizeof(AgentOrder) * MAX_ORDERS);
}

void
order_apply(int group_id, const char *member, HaOrderKind kind, const DcsKeyValue *kv,
			int64 revision)
{
	AgentOrder *o = find_order(group_id, member, kind);

	if (o != NULL && o->key.seen_revision >= revision)
		return;
	if (kv->deleted)
	{
		if (o != NULL)
			*o = agent.orders[--agent.norders];
		return;
	}
	if (o == NULL && agent.norders == MAX_ORDERS)
		return;
	if (o == NULL)
		o = &agent.orders[agent.norders++];
	memset(o, 0, sizeof(*o));
	o->group_id = group_id;
	strlcpy(o->member, member, HA_NAME_SIZE);
	o->kind = kind;
	if (!key_read_order(kv->value, &o->said))
	{
		/* Whatever it is, it can be overwritten. */
		o->said.state = ORDER_FAILED;
		strlcpy(o->said.message, "the order made no sense", sizeof(o->said.message));
	}
	o->key.create_revision = kv->create_revision;
	o->key.mod_revision = kv->mod_revision;
	o->key.seen_revision = revision;
}

/*
 * Carrying out what this member is told
 */

/* Tells this start of the postmaster from others. */
static const char *
own_start(void)
{
	return psprintf("%lld", (long long) PgStartTime);
}

static void
answer_written(void *arg, const DcsResult *result)
{
	AgentFlight *flight = arg;
	char *key = key_order_name(ha_own_group(), config_node_name, (HaOrderKind) flight->request);
	DcsKeyValue kv = {0};

	agent_landed(flight, result);
	if (result->status != DCS_OK)
	{
		observe_failure((const char *const[]){key}, 1, result);
		return;
	}
	kv.key = key;
	kv.value = agent.sent_order;
	kv.deleted = agent.sent_order[0] == '\0';
	kv.create_revision = result->revision;
	kv.mod_revision = result->revision;
	observe_apply(&kv, result->revision);
}

/* Writes the order, or removes it, if it is still what it was. */
static void
write_answer(const AgentOrder *o, const HaOrder *order)
{
	DcsCompare compare = {DCS_MOD_REVISION_IS, key_order_name(o->group_id, o->member, o->kind),
						  o->key.mod_revision};
	DcsWrite write = {compare.key, order ? key_write_order(order) : NULL, 0};
	AgentFlight *flight;

	if (!agent_may_send(OP_ORDER))
		return;
	strlcpy(agent.sent_order, write.value ? write.value : "", sizeof(agent.sent_order));
	flight = agent_take_off(OP_ORDER);
	flight->request = o->kind;
	agent.dcs->ops->txn(agent.dcs, &compare, 1, &write, 1, answer_written, flight);
}

static void
answer(const AgentOrder *o, HaOrderState state, int sqlstate, const char *message, const char *hint)
{
	HaOrder order = o->said;

	order.state = state;
	order.sqlstate = sqlstate;
	strlcpy(order.message, message, sizeof(order.message));
	strlcpy(order.hint, hint, sizeof(order.hint));
	if (state == ORDER_TAKEN)
		strlcpy(order.start, own_start(), sizeof(order.start));
	write_answer(o, &order);
	if (state == ORDER_FAILED)
		ha_event_record("order refused", message);
}

static void
refuse(const AgentOrder *o, const char *message, const char *hint)
{
	answer(o, ORDER_FAILED, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message, hint);
}

/*
 * Sessions of this server that asked for it end with the server: they are
 * told first.
 */
static void
tell_own_requests(const AgentOrder *o)
{
	for (int i = 0; i < HA_MAX_REQUESTS; i++)
	{
		AgentRequest *r = &agent.requests[i];
		uint64 id = r->id;

		if (id == 0 || strcmp(r->value, o->said.id) != 0)
			continue;
		request_succeed(r, "it has begun");
		request_await_reader(id);
	}
}

static void
begin_reload(AgentOrder *o)
{
	kill(PostmasterPid, SIGHUP);
	answer(o, ORDER_DONE, 0, "the server reads its configuration", "");
}

/* "15.4" as the server counts versions */
static int
version_number(const char *text)
{
	int major = 0;
	int minor = 0;

	return sscanf(text, "%d.%d", &major, &minor) >= 1 ? major * 10000 + minor : 0;
}

/* A standby that would stop if this primary came back with what is pending; says so, or NULL. */
static const char *
standby_in_the_way(void)
{
	for (int i = 0; i < agent.nmembers; i++)
	{
		const SharedMember *m = &agent.members[i].said.shown;
		const char *name;

		if (m->group_id != ha_own_group() || strcmp(m->name, config_node_name) == 0)
			continue;
		name = parameters_too_small(agent.pending_restart, m->pending);
		if (name != NULL)
			return psprintf("member \"%s\" has to be restarted before, for a larger %s", m->name,
							name);
	}
	return NULL;
}

/* Does the restart not fit any more?  Says why. */
static const char *
unmet_condition(const AgentOrder *o)
{
	const HaOrder *order = &o->said;
	const char *role = agent.self.role == HA_PRIMARY ? "primary" : "replica";
	const char *version = GetConfigOption("server_version_num", false, false);

	if (o->kind == ORDER_PLANNED_RESTART && agent.config.paused)
		return "the group is paused, and what was planned does not happen";
	if (o->kind == ORDER_PLANNED_RESTART && order->at < PgStartTime)
		return "the server was started since the time that was planned";
	if (order->only_pending && agent.pending_restart[0] == '\0')
		return "no setting waits for a restart";
	if (order->only_role[0] != '\0' && strcmp(order->only_role, role) != 0)
		return psprintf("the member is a %s, not a %s", role, order->only_role);
	if (order->below_version[0] != '\0' && atoi(version) >= version_number(order->below_version))
		return psprintf("its version is not below %s", order->below_version);
	if (agent.self.role == HA_PRIMARY)
		return standby_in_the_way();
	return NULL;
}

/* A checkpoint before the stop makes the one in it short. */
static bool
is_checkpointed(const AgentOrder *o)
{
	if (agent.self.role != HA_PRIMARY)
		return true;
	if (agent.order_checkpoint == 0)
		agent.order_checkpoint = server_start_checkpoint();
	return server_checkpointed_since(agent.order_checkpoint) ||
		   clock_now_us() - agent.order_begun_us[o->kind] > CHECKPOINT_WAIT_US;
}

/* One after the other, so that who tells all to restart leaves some to read from. */
static bool
is_turn(const AgentOrder *o)
{
	if (clock_now_us() - agent.order_begun_us[o->kind] > TURN_WAIT_US)
		return true;
	for (int i = 0; i < agent.norders; i++)
	{
		const AgentOrder *other = &agent.orders[i];

		if (other->group_id == o->group_id && strcmp(other->member, o->member) != 0 &&
			(other->kind == ORDER_RESTART || other->kind == ORDER_PLANNED_RESTART) &&
			other->said.state == ORDER_TAKEN)
			return false;
	}
	return true;
}

static void
begin_restart(AgentOrder *o)
{
	const char *why = unmet_condition(o);

	if (why != NULL)
		refuse(o, why, "");
	else if (agent.self.role == HA_STARTING)
		refuse(o, "the server is starting", "Try again later.");
	else if (is_turn(o) && is_checkpointed(o))
		answer(o, ORDER_TAKEN, 0, "", "");
}

/*
 * A leader goes on leading when it comes back in time: until then the lease
 * is kept by pgcluster_node.
 */
static void
act_restart(AgentOrder *o)
{
	int timeout = o->said.timeout > 0 ? o->said.timeout : agent.config.primary_start_timeout;

	ereport(LOG, (errmsg("the server is restarted on request")));
	tell_own_requests(o);
	agent.lease_kept = observe_lease() == LEASE_MINE && timeout > 0;
	lease_move_fence();
	parameters_prepare_restart(agent.lease_kept);
	if (server_restart(agent.lease_kept ? agent.lease : 0, timeout))
		return;
	agent.lease_kept = false;
	lease_move_fence();
	refuse(o, "pgcluster_node could not be started", "See the log of that member.");
}

static const AgentMember *
present_leader(void)
{
	const char *leader = observe_key(KEY_LEADER)->value;

	return leader == NULL ? NULL : observe_member(ha_own_group(), leader);
}

static void
begin_reinitialize(AgentOrder *o)
{
	const AgentMember *leader = present_leader();

	if (leader == NULL || leader->said.shown.host[0] == '\0')
		refuse(o, "the group has no leader to clone", "");
	else if (strcmp(leader->said.shown.name, config_node_name) == 0 ||
			 agent.self.role == HA_PRIMARY)
		refuse(o, "the member leads its group", "Switch over first.");
	else
		answer(o, ORDER_TAKEN, 0, "", "");
}

static void
act_reinitialize(AgentOrder *o)
{
	const AgentMember *leader = present_leader();
	char *conninfo;

	if (leader == NULL || strcmp(leader->said.shown.name, config_node_name) == 0)
	{
		refuse(o, "the leader has changed", "Try again.");
		return;
	}
	ereport(LOG,
			(errmsg("the data of member \"%s\" are cloned anew on request", config_node_name)));
	tell_own_requests(o);
	conninfo = ha_primary_conninfo(leader->said.shown.host, leader->said.shown.port);
	if (!server_rejoin(psprintf("%s dbname=postgres", conninfo), true))
		refuse(o, "pgcluster_node could not be started", "See the log of that member.");
}

static const struct
{
	void (*begin)(AgentOrder *o); /* answers in the end */
	void (*act)(AgentOrder *o);	  /* once it is taken; ends the server */
	const char *done;
} kinds[] = {
	[ORDER_RELOAD] = {begin_reload, NULL, ""},
	[ORDER_RESTART] = {begin_restart, act_restart, "the server was restarted"},
	[ORDER_PLANNED_RESTART] = {begin_restart, act_restart, "the server was restarted"},
	[ORDER_REINITIALIZE] = {begin_reinitialize, act_reinitialize, "the data were cloned anew"},
};
StaticAssertDecl(lengthof(kinds) == N_HA_ORDERS, "each kind is carried out");

static void
attend_asked(AgentOrder *o)
{
	if (o->said.at > GetCurrentTimestamp())
	{
		agent.restart_at = o->said.at;
		return;
	}
	if (agent.order_begun_us[o->kind] == 0)
	{
		agent.order_begun_us[o->kind] = clock_now_us();
		agent.order_checkpoint = 0;
	}
	if (o->said.expires != 0 && o->said.expires < GetCurrentTimestamp())
		refuse(o, "the member was not there in time", "");
	else
		kinds[o->kind].begin(o);
}

static void
attend_taken(AgentOrder *o)
{
	int64 now = clock_now_us();
	int64 *acted = &agent.order_acted_us[o->kind];

	if (strcmp(o->said.start, own_start()) != 0 || kinds[o->kind].act == NULL)
		answer(o, ORDER_DONE, 0, kinds[o->kind].done, "");
	else if (agent.order_begun_us[o->kind] != 0 && now - agent.order_begun_us[o->kind] > GIVE_UP_US)
	{
		agent.lease_kept = false;
		refuse(o, "the server does not stop", "See the log of that member.");
	}
	else if (*acted == 0 || now - *acted > REPEAT_US)
	{
		*acted = now;
		kinds[o->kind].act(o);
	}
}

static void
attend_answered(AgentOrder *o)
{
	int64 *since = &agent.order_begun_us[o->kind];

	/* From here on it tells since when the answer stands. */
	if (agent.order_acted_us[o->kind] != -1)
		*since = clock_now_us();
	agent.order_acted_us[o->kind] = -1;
	if (clock_now_us() - *since > ANSWER_KEPT_US)
		write_answer(o, NULL);
}

void
order_attend(const HaView *view)
{
	bool there[N_HA_ORDERS] = {false};

	agent.restart_at = 0;
	if (!agent.seen || agent.lease == 0 || agent.flights[OP_ORDER].busy)
		return;
	for (int i = 0; i < agent.norders && !agent.flights[OP_ORDER].busy; i++)
	{
		AgentOrder *o = &agent.orders[i];

		if (o->group_id != ha_own_group() || strcmp(o->member, config_node_name) != 0)
			continue;
		there[o->kind] = true;
		if (o->said.state == ORDER_ASKED && agent.order_acted_us[o->kind] == -1)
			agent.order_begun_us[o->kind] = agent.order_acted_us[o->kind] = 0;
		if (o->said.state == ORDER_ASKED)
			attend_asked(o);
		else if (o->said.state == ORDER_TAKEN)
			attend_taken(o);
		else
			attend_answered(o);
	}
	for (int kind = 0; kind < N_HA_ORDERS; kind++)
		if (!there[kind] && !agent.flights[OP_ORDER].busy)
			agent.order_begun_us[kind] = agent.order_acted_us[kind] = 0;
}

/*
 * Asking another member, or this one
 */

static HaOrderKind
order_kind(const HaRequest *what)
{
	switch (what->kind)
	{
		case REQUEST_RELOAD:
			return ORDER_RELOAD;
		case REQUEST_REINITIALIZE:
			return ORDER_REINITIALIZE;
		case REQUEST_CANCEL_RESTART:
			return ORDER_PLANNED_RESTART;
		default:
			return what->at != 0 ? ORDER_PLANNED_RESTART : ORDER_RESTART;
	}
}

/* What the store holds for the request, be it its own or another's. */
static AgentOrder *
order_of(const AgentRequest *request)
{
	return find_order(request->what.group_id, request->what.member, order_kind(&request->what));
}

static void
request_written(void *arg, const DcsResult *result)
{
	AgentRequest *request = request_of(arg);
	DcsKeyValue kv = {0};

	agent_landed(arg, result);
	if (request == NULL)
		return;
	/*
	 * Without an answer it is not known whether it was written.  It is tried
	 * again, which finds out by the id.
	 */
	kv.key =
		key_order_name(request->what.group_id, request->what.member, order_kind(&request->what));
	if (result->status != DCS_OK)
	{
		observe_failure((const char *const[]){kv.key}, 1, result);
		return;
	}
	request->revision = result->revision;
	request->sent = true;
	if (request->what.at != 0 || request->what.kind == REQUEST_CANCEL_RESTART)
		request_succeed(request, "");
}

static void
send_order(AgentRequest *request, const HaOrder *order)
{
	const HaRequest *what = &request->what;
	const AgentOrder *present = order_of(request);
	DcsCompare compare = {DCS_MOD_REVISION_IS,
						  key_order_name(what->group_id, what->member, order_kind(what)),
						  present ? present->key.mod_revision : 0};
	DcsWrite write = {compare.key, order ? key_write_order(order) : NULL, 0};
	AgentFlight *flight = agent_take_off(OP_REQUEST);

	flight->request = request->id;
	agent.dcs->ops->txn(agent.dcs, &compare, 1, &write, 1, request_written, flight);
}

static bool
check_member(AgentRequest *request)
{
	HaRequest *what = &request->what;
	const char *leader = observe_group(what->group_id)->keys[KEY_LEADER].value;

	if (what->member[0] == '\0')
		strlcpy(what->member, config_node_name, HA_NAME_SIZE);
	if (observe_member(what->group_id, what->member) == NULL)
	{
		request_refuse(
			request, ERRCODE_UNDEFINED_OBJECT,
			psprintf("group %d has no member \"%s\" that runs", what->group_id, what->member),
			"See cluster_status() for the members.");
		return false;
	}
	if (what->kind == REQUEST_REINITIALIZE && leader != NULL && strcmp(leader, what->member) == 0)
	{
		request_refuse(request, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					   psprintf("member \"%s\" leads its group", what->member),
					   "Switch over first.");
		return false;
	}
	return true;
}

static void
fill_order(const AgentRequest *request, HaOrder *order)
{
	const HaRequest *what = &request->what;

	memset(order, 0, sizeof(*order));
	strlcpy(order->id, request->value, sizeof(order->id));
	order->at = what->at;
	if (what->at == 0)
		order->expires = GetCurrentTimestamp() + ORDER_WAIT_MS * INT64CONST(1000);
	order->only_pending = what->only_pending;
	strlcpy(order->only_role, what->only_role, sizeof(order->only_role));
	strlcpy(order->below_version, what->below_version, sizeof(order->below_version));
	order->timeout = what->timeout;
}

void
order_begin(AgentRequest *request)
{
	const AgentOrder *present;
	HaOrder order;

	if (!check_member(request))
		return;
	snprintf(request->value, sizeof(request->value), "%s-%lld-%llu", config_node_name,
			 (long long) request->asked_at, (unsigned long long) request->id);
	present = order_of(request);
	if (present != NULL && strcmp(present->said.id, request->value) == 0)
	{
		request->sent = true;
		return;
	}
	if (present != NULL && !request->what.force &&
		(present->said.state == ORDER_ASKED || present->said.state == ORDER_TAKEN))
	{
		request_refuse(request, ERRCODE_OBJECT_IN_USE,
					   psprintf("member \"%s\" was told so already", request->what.member),
					   request->what.at != 0 ? "Cancel the restart that is planned first."
											 : "Try again later.");
		return;
	}
	fill_order(request, &order);
	send_order(request, &order);
}

void
order_follow(AgentRequest *request)
{
	const AgentOrder *o = order_of(request);
	const HaOrder *said;

	if (request->what.at != 0)
	{
		request_succeed(request, "");
		return;
	}
	/* The watch brings what was written. */
	if (o == NULL || o->key.seen_revision < request->revision)
		return;
	said = &o->said;
	if (strcmp(said->id, request->value) != 0)
		request_refuse(request, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					   "it was asked for again meanwhile", "See cluster_status().");
	else if (said->state == ORDER_FAILED)
		request_refuse(request, said->sqlstate ? said->sqlstate : ERRCODE_INTERNAL_ERROR,
					   said->message, said->hint);
	else if (said->state == ORDER_DONE)
		request_succeed(request, said->message);
	else if (said->state == ORDER_TAKEN && o->kind == ORDER_REINITIALIZE)
		request_succeed(request, "it has begun");
}

void
order_cancel(AgentRequest *request)
{
	const AgentOrder *o;

	if (!check_member(request))
		return;
	o = order_of(request);
	if (o == NULL || o->said.state != ORDER_ASKED)
		request_refuse(request, ERRCODE_UNDEFINED_OBJECT,
					   psprintf("no restart of member \"%s\" is planned", request->what.member),
					   "");
	else
		send_order(request, NULL);
}

void
order_withdraw(AgentRequest *request)
{
	const AgentOrder *o = order_of(request);

	if (request->what.at == 0 && o != NULL && o->said.state == ORDER_ASKED &&
		strcmp(o->said.id, request->value) == 0)
		send_order(request, NULL);
}
