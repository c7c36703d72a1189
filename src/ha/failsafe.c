/*-------------------------------------------------------------------------
 * failsafe.c
 *	  Leading on without the store, as long as every member agrees.
 *
 * While the store answers, the leader keeps the failsafe key: the members
 * and where their HTTP servers are.  When it falls silent, the leader asks
 * each member in that key, over HTTP, to confirm it; one that does promises
 * not to take the lead for a ttl.  When all have, the fence may stay open for
 * a ttl from before they were asked.
 *
 * Why that is safe, while the leader's deadline is ahead:
 *
 * - Whoever acquires the leader key must be in the failsafe key as it is then
 *   (each acquisition compares its revision), and only the leader writes it.
 *   So only a member in it can, and the leader asked all of them: those in
 *   the key as last seen and in the one that it may have written since.
 * - One that confirmed does not begin to acquire before its promise ends,
 *   which is later than the leader's deadline.  It does not confirm when it
 *   has begun: of the promise and the beginning, each is written before the
 *   other is read.
 * - A restart forgets promises and beginnings, so an agent neither acquires
 *   nor confirms for a ttl after it started.
 * - Confirmations only prolong a deadline that is still ahead, so there is no
 *   moment between in which nobody was bound.
 *
 * A member that hears from the store refuses: then the store is not gone for
 * everyone, and the leader has to give way.  The first question is confirmed
 * whatever it heard before, because the store may have died since.
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

#define US_PER_S INT64CONST(1000000)

/*
 * The member's side.  The promise is given in the HTTP server's process and
 * kept by the agent.
 */

static bool
refuse(char *reason, size_t size, const char *why)
{
	strlcpy(reason, why, size);
	return false;
}

/* The moments of the agent and of the member's own promises. */
static int64
read_moment(pg_atomic_uint64 *moment)
{
	return (int64) pg_atomic_read_u64(moment);
}

bool
ha_failsafe_confirm(const char *leader, int ttl, char *reason, size_t size)
{
	int64 now = clock_now_us();
	int64 hold = ttl * US_PER_S;
	int64 asked;
	int64 answered;
	char holder[HA_NAME_SIZE];

	if (!ha_enabled())
		return refuse(reason, size, "high availability is off");
	if (ttl < 1 || ttl > HA_FAILSAFE_TTL_MAX)
		return refuse(reason, size, "the ttl is out of bounds");
	if (!ha_read_holder(holder))
		return refuse(reason, size, "the agent of this member does not answer");
	if (strcmp(leader, config_node_name) == 0 || ha_fence_is_open())
		return refuse(reason, size, "this member leads");
	if (holder[0] != '\0' && strcmp(holder, leader) != 0)
		return refuse(reason, size, "another member leads");
	if (now < read_moment(&ha_shared->failsafe_started_us) + hold)
		return refuse(reason, size, "this member has just started");

	/*
	 * Questions that follow each other are about one silence of the store,
	 * unless it spoke in between and fell silent again.
	 */
	asked = read_moment(&ha_shared->failsafe_asked_us);
	answered = read_moment(&ha_shared->failsafe_answered_us);
	if (asked == 0 || now - asked > hold)
		pg_atomic_write_u64(&ha_shared->failsafe_first_us, (uint64) now);
	pg_atomic_write_u64(&ha_shared->failsafe_asked_us, (uint64) now);
	if (answered > read_moment(&ha_shared->failsafe_first_us) && now - answered < hold / 2)
		return refuse(reason, size, "this member hears from the store");

	pg_atomic_write_u64(&ha_shared->failsafe_promised_us,
						(uint64) Max(now + hold, read_moment(&ha_shared->failsafe_promised_us)));
	pg_memory_barrier();
	if (pg_atomic_read_u64(&ha_shared->failsafe_acquiring) != 0 || ha_fence_is_open())
		return refuse(reason, size, "this member is about to lead");
	return true;
}

void
failsafe_begin(void)
{
	pg_atomic_write_u64(&ha_shared->failsafe_started_us, (uint64) clock_now_us());
	pg_memory_barrier();
	pg_atomic_write_u64(&ha_shared->failsafe_acquiring, 0);
}

/* Only the present leader can be named, and it cannot have been another since. */
int64
failsafe_promised_until(void)
{
	int64 until = read_moment(&ha_shared->failsafe_promised_us);
	int64 started = read_moment(&ha_shared->failsafe_started_us);

	if (observe_key(KEY_FAILSAFE)->value != NULL)
		until = Max(until, started + agent.config.ttl * US_PER_S);
	return until;
}

bool
failsafe_has_promised(void)
{
	return clock_now_us() < failsafe_promised_until();
}

bool
failsafe_leaves_out(const char *member)
{
	const char *value = observe_key(KEY_FAILSAFE)->value;
	HaFailsafe list;

	if (value == NULL || !key_read_failsafe(value, &list))
		return false;
	for (int i = 0; i < list.n; i++)
		if (strcmp(list.members[i].name, member) == 0)
			return false;
	return true;
}

bool
failsafe_begin_acquiring(bool led_last)
{
	AgentFailsafe *f = &agent.failsafe;
	bool begun = f->acquiring;

	pg_atomic_write_u64(&ha_shared->failsafe_acquiring, 1);
	pg_memory_barrier();
	if (!led_last && failsafe_has_promised())
	{
		if (!begun)
			pg_atomic_write_u64(&ha_shared->failsafe_acquiring, 0);
		return false;
	}
	f->acquiring = true;
	f->acquiring_epoch = observe_key(KEY_EPOCH)->mod_revision;
	return true;
}

void
failsafe_end_acquiring(void)
{
	agent.failsafe.acquiring = false;
	pg_atomic_write_u64(&ha_shared->failsafe_acquiring, 0);
}

/*
 * A transaction of which no answer came can still happen, but not once the
 * epoch that it compared is over.
 */
static void
resolve_doubt(void)
{
	AgentFailsafe *f = &agent.failsafe;

	if (f->acquiring && observe_key(KEY_EPOCH)->mod_revision > f->acquiring_epoch)
		failsafe_end_acquiring();
}

/*
 * The leader's side: the key
 */

static bool
leads(void)
{
	return agent.lease != 0 && observe_lease() == LEASE_MINE;
}

void
failsafe_forget(void)
{
	agent.failsafe.confirmed_us = 0;
	agent.failsafe.round++;
	agent.failsafe.asking = 0;
}

static void
key_done(void *arg, const DcsResult *result)
{
	AgentFailsafe *f = &agent.failsafe;
	AgentFlight *flight = arg;
	DcsKeyValue kv = {.key = key_name(KEY_FAILSAFE), .value = f->sent};

	agent_landed(flight, result);
	/* Otherwise it may be written or not: it counts until the same was. */
	if (result->status == DCS_OK || result->status == DCS_COMPARE_FAILED)
		f->in_doubt = false;
	if (result->status == DCS_OK)
	{
		kv.deleted = f->sent[0] == '\0';
		kv.create_revision = result->revision;
		kv.mod_revision = result->revision;
		observe_apply(&kv, result->revision);
		f->written_epoch = flight->epoch;
	}
	else
		observe_failure((const char *const[]){key_name(KEY_LEADER), key_name(KEY_FAILSAFE)}, 2,
						result);
}

/* NULL deletes the key. */
static void
put_key(const char *value)
{
	AgentFailsafe *f = &agent.failsafe;
	DcsCompare compares[2] = {
		{DCS_CREATE_REVISION_IS, key_name(KEY_LEADER), observe_key(KEY_LEADER)->create_revision},
		{DCS_MOD_REVISION_IS, key_name(KEY_FAILSAFE), observe_key(KEY_FAILSAFE)->mod_revision}};
	DcsWrite write = {key_name(KEY_FAILSAFE), f->sent, 0};
	AgentFlight *flight;

	/* Those who are new were not asked. */
	failsafe_forget();
	if (!f->in_doubt)
		strlcpy(f->sent, value == NULL ? "" : value, sizeof(f->sent));
	f->in_doubt = true;
	if (f->sent[0] == '\0')
		write.value = NULL;
	flight = agent_take_off(OP_FAILSAFE);
	flight->epoch = observe_key(KEY_LEADER)->create_revision;
	agent.dcs->ops->txn(agent.dcs, compares, 2, &write, 1, key_done, flight);
}

/* The members of the own group, by name. */
static char *
wanted_key(void)
{
	HaFailsafe list = {0, palloc0(sizeof(HaFailsafeMember) * (agent.nmembers + 1))};

	for (int i = 0; i < agent.nmembers; i++)
	{
		const SharedMember *m = &agent.members[i].said.shown;
		int at = list.n;

		if (m->group_id != ha_own_group())
			continue;
		for (; at > 0 && strcmp(list.members[at - 1].name, m->name) > 0; at--)
			list.members[at] = list.members[at - 1];
		strlcpy(list.members[at].name, m->name, HA_NAME_SIZE);
		strlcpy(list.members[at].url, m->api_url, HA_URL_SIZE);
		list.n++;
	}
	return key_write_failsafe(&list);
}

/* Did this agent write the key in this epoch? */
static bool
is_key_own(void)
{
	return agent.failsafe.written_epoch != 0 &&
		   agent.failsafe.written_epoch == observe_key(KEY_LEADER)->create_revision;
}

static void
keep_key(void)
{
	const char *present = observe_key(KEY_FAILSAFE)->value;
	const char *wanted = NULL;

	if (!agent.connected || !agent_may_send(OP_FAILSAFE))
		return;
	if (agent.config.failsafe_mode)
	{
		wanted = wanted_key();
		if (strlen(wanted) >= sizeof(agent.failsafe.sent))
			return;
	}
	/* A new agent does not know what the one before it may have written. */
	if (agent.failsafe.in_doubt || (wanted == NULL) != (present == NULL) ||
		(wanted != NULL && (strcmp(wanted, present) != 0 || !is_key_own())))
		put_key(wanted);
}

/*
 * The leader's side: asking
 */

/* Half of the ttl without an answer: the rest is enough to ask. */
static int64
silence_begins(void)
{
	return agent.lease_sent_us + agent.lease_ttl * US_PER_S / 2;
}

static int64
ask_interval(void)
{
	return agent.lease_ttl * US_PER_S / 3;
}

static void
asked_done(void *arg, const DcsResult *result)
{
	AgentFailsafe *f = &agent.failsafe;

	if ((intptr_t) arg != f->round || f->asking == 0)
		return;
	if (result->status != DCS_OK)
	{
		if (!f->refused)
			ha_event_record("failsafe", result->reason);
		f->refused = true;
		f->asking = 0;
		f->next_us = clock_now_us() + US_PER_S / 5;
		return;
	}
	/* What was not held any more must not be held again. */
	if (--f->asking > 0 || !ha_fence_is_open())
		return;
	f->confirmed_us = f->round_us;
	if (!f->active)
		ha_event_record("failsafe", "all members confirm the leader, the store is not needed");
	f->active = true;
	f->refused = false;
	lease_move_fence();
}

/* Beside the place where it answers health checks. */
static void
ask_member(const HaFailsafeMember *member, const char *claim)
{
	DcsPost post = {.body = claim};
	const char *end = strrchr(member->url, '/');
	int length = end == NULL ? 0 : (int) (end - member->url);

	post.url = psprintf("%.*s/failsafe", length, member->url);
	ha_post_settings(&post);
	agent.dcs->ops->post(agent.dcs, &post, (int) (ask_interval() / 1000), asked_done,
						 (void *) (intptr_t) agent.failsafe.round);
}

/* Asks the members of a key, but this one; one that stands in two keys is asked twice. */
static void
ask_members(const char *value)
{
	AgentFailsafe *f = &agent.failsafe;
	char *claim = key_write_claim(agent.lease_ttl);
	HaFailsafe list;

	if (!key_read_failsafe(value, &list))
		return;
	f->asking += list.n;
	for (int i = 0; i < list.n; i++)
	{
		void *round = (void *) (intptr_t) f->round;

		if (strcmp(list.members[i].name, config_node_name) == 0)
			asked_done(round, &(DcsResult){.status = DCS_OK});
		else
			ask_member(&list.members[i], claim);
	}
}

static void
ask_all(void)
{
	AgentFailsafe *f = &agent.failsafe;

	f->round++;
	f->round_us = clock_now_us();
	f->next_us = f->round_us + ask_interval();
	/* One more, so that it does not end before all were asked. */
	f->asking = 1;
	ask_members(observe_key(KEY_FAILSAFE)->value);
	if (f->in_doubt)
		ask_members(f->sent);
	asked_done((void *) (intptr_t) f->round, &(DcsResult){.status = DCS_OK});
}

static bool
may_ask(void)
{
	return agent.config.failsafe_mode && !agent.fence_shut && leads() && is_key_own() &&
		   observe_key(KEY_FAILSAFE)->value != NULL &&
		   !(agent.failsafe.in_doubt && agent.failsafe.sent[0] == '\0') && ha_fence_is_open();
}

void
failsafe_maintain(void)
{
	AgentFailsafe *f = &agent.failsafe;
	int64 now = clock_now_us();

	pg_atomic_write_u64(&ha_shared->failsafe_answered_us, (uint64) agent.lease_sent_us);
	resolve_doubt();
	if (!leads())
	{
		failsafe_forget();
		f->active = false;
		return;
	}
	keep_key();
	if (now < silence_begins())
	{
		if (f->active)
			ha_event_record("failsafe", "the store answers again");
		f->active = false;
		f->refused = false;
		f->next_us = 0;
		return;
	}
	if (now >= f->next_us && may_ask())
		ask_all();
}

int64
failsafe_confirmed_us(void)
{
	return agent.failsafe.confirmed_us;
}

int64
failsafe_next_moment(void)
{
	if (!may_ask())
		return PG_INT64_MAX;
	return Max(silence_begins(), agent.failsafe.next_us);
}
