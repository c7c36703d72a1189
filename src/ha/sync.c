/*-------------------------------------------------------------------------
 * sync.c
 *	  Keeps the sync key and synchronous_standby_names in step.
 *
 * The leader's agent looks at the standbys that stream from its server, and
 * takes one step at a time towards the synchronous standbys that the settings
 * of the group ask for.  In which order is sync_plan.c's business; here it is
 * found out how far things are, and the step is taken.  What must stay true:
 *
 * - No step is taken before the one before it is known to be done: names that
 *	 are not in force everywhere, and a key whose write may still arrive, are
 *	 waited for.  A write that got no answer is repeated, guarded by the
 *	 revision of the key, until one of the two is known to have failed.
 * - The key lists members only who have all that was acknowledged before.
 * - A new leader, and a new agent, cannot know what the one before it was
 *	 about to do.  It keeps the fence closed until the key names this leader
 *	 and what it says fits what commits wait for.
 *
 * Where the key is missing nothing was promised, and nothing is held up.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/clock.h"
#include "base/config.h"
#include "ha/agent.h"
#include "ha/sync_gate.h"

#define US_PER_S INT64CONST(1000000)

/* A new leader waits so long for standbys to come. */
#define ARRIVAL_US (2 * US_PER_S)
/* So long a synchronous standby may be away when there is no other. */
#define ABSENCE_US US_PER_S
/* Names that do not come into force in this time are written again. */
#define RELOAD_US (3 * US_PER_S)

/* A standby as far as it can be synchronous. */
typedef struct Candidate
{
	const AgentMember *member;
	HaSyncSet bit;
	bool streaming;
	bool listed; /* is synchronous already, or about to be */
	XLogRecPtr flushed;
} Candidate;

/* What one turn works with. */
typedef struct SyncTurn
{
	/* whom the bits of sets stand for */
	int nnames;
	char names[HA_SYNC_MAX][HA_NAME_SIZE];
	HaSyncState now;
	HaSyncGoal goal;
	HaSyncHolders holders;
	HaSyncSet caught_up;
	HaSyncSet recovered; /* who have all that was there when this leader began */
	int ncandidates;
	Candidate *candidates;
} SyncTurn;

static int64
present_epoch(void)
{
	return observe_key(KEY_LEADER)->create_revision;
}

bool
sync_is_required(void)
{
	return agent.config.sync_mode != SYNC_MODE_OFF && agent.sync.key.present &&
		   !agent.standby.enabled;
}

static bool
is_key_own(void)
{
	return agent.sync.key.present && strcmp(agent.sync.key.leader, config_node_name) == 0;
}

bool
sync_is_settled(void)
{
	const AgentSync *s = &agent.sync;

	if (!agent.seen || !sync_is_required())
		return true;
	return s->settled && s->epoch == present_epoch() && is_key_own();
}

static bool
leads(void)
{
	return agent.self.role == HA_PRIMARY && lease_is_proven();
}

bool
sync_is_changing(void)
{
	return agent.seen && leads() &&
		   (agent.sync.changing_us != 0 || !sync_is_settled() ||
			(agent.sync.step != SYNC_STAY && clock_now_us() - agent.sync.step_us < US_PER_S));
}

/*
 * Sets of members
 */

/* 0 when there are too many. */
static HaSyncSet
bit_of(SyncTurn *turn, const char *name)
{
	int i = 0;

	while (i < turn->nnames && strcmp(turn->names[i], name) != 0)
		i++;
	if (i == HA_SYNC_MAX)
		return 0;
	if (i == turn->nnames)
		strlcpy(turn->names[turn->nnames++], name, HA_NAME_SIZE);
	return (HaSyncSet) 1 << i;
}

static int
names_of(const SyncTurn *turn, HaSyncSet set, char (*names)[HA_NAME_SIZE])
{
	int n = 0;

	for (int i = 0; i < turn->nnames; i++)
		if (set & (HaSyncSet) 1 << i)
			strlcpy(names[n++], turn->names[i], HA_NAME_SIZE);
	return n;
}

/*
 * What is
 */

static void
note_names(SyncTurn *turn, const SyncNames *names, SyncNamesState state)
{
	turn->now.names = 0;
	turn->now.count = 0;
	/* What the user made commits wait for is nothing to rely on. */
	if (state == SYNC_NAMES_FOREIGN)
		return;
	turn->now.count = names->count;
	if (names->anybody)
		turn->now.names = HA_SYNC_ANYBODY;
	for (int i = 0; i < names->n && !names->anybody; i++)
		turn->now.names |= bit_of(turn, names->names[i]);
}

/*
 * A leader that the key does not name yet was one of those it lists, and has
 * all commits; of the others, the former leader included, as many may lack
 * one as before.
 */
static void
note_key(SyncTurn *turn)
{
	const HaSyncKey *key = &agent.sync.key;
	bool own = is_key_own();

	turn->now.quorum = key->quorum;
	for (int i = 0; i < key->nvoters; i++)
		turn->now.voters |= bit_of(turn, key->voters[i]);
	if (!key->present || (!own && !key_sync_lists(key, config_node_name)))
		return;
	turn->holders.among = turn->now.voters;
	turn->holders.missing = key->quorum;
	if (!own)
		turn->holders.among =
			(turn->now.voters | bit_of(turn, key->leader)) & ~bit_of(turn, config_node_name);
}

/* The server goes by names without regard to case, and takes one for all. */
static bool
is_name_ambiguous(const char *name)
{
	if (strcmp(name, "*") == 0)
		return true;
	for (int i = 0; i < agent.nmembers; i++)
	{
		const SharedMember *m = &agent.members[i].said.shown;

		if (m->group_id == ha_own_group() && strcmp(m->name, name) != 0 &&
			pg_strcasecmp(m->name, name) == 0)
			return true;
	}
	return false;
}

static bool
may_be_synchronous(const AgentMember *m, XLogRecPtr flushed)
{
	int64 most = agent.config.maximum_lag_synced;

	if (m == NULL || strcmp(m->said.shown.name, config_node_name) == 0 || !m->said.may_lead ||
		m->said.sync_priority == 0 || is_name_ambiguous(m->said.shown.name))
		return false;
	return most <= 0 || flushed + most >= agent.self.position.lsn;
}

static void
note_seen(const char *name)
{
	AgentSync *s = &agent.sync;
	int i = 0;

	while (i < s->nseen && strcmp(s->seen[i].name, name) != 0)
		i++;
	if (i == HA_SYNC_MAX)
		i = 0;
	if (i == s->nseen)
		s->nseen++;
	strlcpy(s->seen[i].name, name, HA_NAME_SIZE);
	s->seen[i].at_us = clock_now_us();
}

static bool
was_seen_lately(const char *name)
{
	for (int i = 0; i < agent.sync.nseen; i++)
		if (strcmp(agent.sync.seen[i].name, name) == 0)
			return clock_now_us() - agent.sync.seen[i].at_us < ABSENCE_US;
	return false;
}

static void
add_candidate(SyncTurn *turn, const char *name, bool streaming, XLogRecPtr flushed)
{
	const AgentMember *m = observe_member(ha_own_group(), name);
	Candidate *c = &turn->candidates[turn->ncandidates];
	HaSyncSet bit;

	if (!may_be_synchronous(m, flushed) || (bit = bit_of(turn, name)) == 0)
		return;
	c->member = m;
	c->bit = bit;
	c->streaming = streaming;
	c->flushed = flushed;
	c->listed = ((turn->now.voters | turn->now.names) & bit) != 0;
	turn->ncandidates++;
}

/* The standbys that stream, and the synchronous ones that did a moment ago. */
static void
note_standbys(SyncTurn *turn)
{
	SyncStandby *standbys = palloc0(sizeof(SyncStandby) * HA_SYNC_MAX);
	int n = sync_names_standbys(standbys, HA_SYNC_MAX);
	HaSyncSet streaming = 0;

	turn->candidates = palloc0(sizeof(Candidate) * 2 * HA_SYNC_MAX);
	for (int i = 0; i < n; i++)
	{
		if (!standbys[i].streaming)
			continue;
		note_seen(standbys[i].name);
		streaming |= bit_of(turn, standbys[i].name);
		if (agent.sync.caught_up != 0 && standbys[i].flushed >= agent.sync.caught_up)
			turn->caught_up |= bit_of(turn, standbys[i].name);
		if (agent.sync.recovered != 0 && standbys[i].flushed >= agent.sync.recovered)
			turn->recovered |= bit_of(turn, standbys[i].name);
		add_candidate(turn, standbys[i].name, true, standbys[i].flushed);
	}
	for (int i = 0; i < agent.sync.key.nvoters; i++)
	{
		const char *name = agent.sync.key.voters[i];

		if ((streaming & bit_of(turn, name)) == 0 && was_seen_lately(name))
			add_candidate(turn, name, false, agent.self.position.lsn);
	}
}

/*
 * What is wanted
 */

/* Who is preferred; those who are synchronous stay so. */
static int
compare_candidates(const void *a, const void *b)
{
	const Candidate *x = a;
	const Candidate *y = b;

	if (x->streaming != y->streaming)
		return x->streaming ? -1 : 1;
	if (x->member->said.sync_priority != y->member->said.sync_priority)
		return x->member->said.sync_priority > y->member->said.sync_priority ? -1 : 1;
	if (x->listed != y->listed)
		return x->listed ? -1 : 1;
	if (x->flushed != y->flushed)
		return x->flushed > y->flushed ? -1 : 1;
	return strcmp(x->member->said.shown.name, y->member->said.shown.name);
}

/*
 * False: it is too early to say.  A leader that has just begun gives the
 * standbys time to come.
 */
static bool
choose_goal(SyncTurn *turn)
{
	int wanted = agent.config.sync_count;
	int streaming = 0;
	int chosen = 0;

	qsort(turn->candidates, turn->ncandidates, sizeof(Candidate), compare_candidates);
	for (int i = 0; i < turn->ncandidates; i++)
	{
		streaming += turn->candidates[i].streaming;
		if (agent.config.sync_mode == SYNC_MODE_ON && chosen == wanted)
			continue;
		turn->goal.members |= turn->candidates[i].bit;
		chosen++;
	}
	turn->goal.count = chosen > 0 ? Min(wanted, chosen) : agent.config.sync_strict;
	turn->goal.quiet = !sync_is_settled() && !is_key_own();
	return streaming >= wanted || clock_now_us() - agent.sync.since_us >= ARRIVAL_US ||
		   (!turn->goal.quiet && turn->now.voters == 0);
}

/*
 * Steps
 */

static void
write_names(SyncTurn *turn, HaSyncSet names, int count)
{
	SyncNames *wanted = &agent.sync.wanted;

	memset(wanted, 0, sizeof(*wanted));
	wanted->quorum = agent.config.sync_mode == SYNC_MODE_QUORUM;
	wanted->anybody = names == HA_SYNC_ANYBODY;
	wanted->count = count;
	if (!wanted->anybody)
		wanted->n = names_of(turn, names, wanted->names);
	agent.sync.names_wanted = true;
	agent.sync.names_sure = true;
	agent.sync.changing_us = clock_now_us();
	agent.sync.caught_up = InvalidXLogRecPtr;
	sync_names_write(wanted);
}

static void
key_written(void *arg, const DcsResult *result)
{
	const char *const keys[] = {key_name(KEY_LEADER), key_name(KEY_SYNC)};
	AgentSync *s = &agent.sync;
	DcsKeyValue kv = {0};
	char *value;

	agent_landed(arg, result);
	if (result->status == DCS_OK || result->status == DCS_COMPARE_FAILED)
		s->key_unsure = false;
	observe_failure(keys, lengthof(keys), result);
	if (result->status != DCS_OK)
		return;
	value = s->sent.present ? key_write_sync(&s->sent) : "";
	s->settled |= s->sent.present && s->epoch == present_epoch();
	kv.key = key_name(KEY_SYNC);
	kv.value = value;
	kv.deleted = !s->sent.present;
	kv.create_revision = result->revision;
	kv.mod_revision = result->revision;
	observe_apply(&kv, result->revision);
	lease_move_fence();
}

/* Sends the key as agent.sync.sent has it. */
static void
send_key(void)
{
	AgentKey *stored = observe_key(KEY_SYNC);
	DcsCompare compares[2] = {{DCS_CREATE_REVISION_IS, key_name(KEY_LEADER), present_epoch()},
							  {DCS_MOD_REVISION_IS, key_name(KEY_SYNC), stored->mod_revision}};
	DcsWrite write = {key_name(KEY_SYNC),
					  agent.sync.sent.present ? key_write_sync(&agent.sync.sent) : NULL, 0};

	agent.sync.key_unsure = true;
	agent.dcs->ops->txn(agent.dcs, compares, 2, &write, 1, key_written, agent_take_off(OP_SYNC));
}

static void
write_key(const SyncTurn *turn, HaSyncSet voters, int quorum)
{
	HaSyncKey *key = &agent.sync.sent;

	memset(key, 0, sizeof(*key));
	key->present = true;
	strlcpy(key->leader, config_node_name, HA_NAME_SIZE);
	key->quorum = quorum;
	key->nvoters = names_of(turn, voters, key->voters);
	send_key();
}

/*
 * A new agent makes sure that no other names lie in wait for a reload, and
 * that no earlier write of the key can arrive any more.  True: it had to.
 */
static bool
make_sure(SyncTurn *turn, const HaSyncPlan *plan)
{
	bool own = is_key_own();

	if (!agent.sync.names_sure && plan->step != SYNC_SET_NAMES)
	{
		write_names(turn, turn->now.names, turn->now.count);
		return true;
	}
	if (!agent.sync.key_unsure || (agent.sync.key.present && !own) ||
		(own && !ha_sync_is_safe(&turn->now)))
		return false;
	if (plan->step == SYNC_SET_KEY && sync_is_settled())
		return false;
	write_key(turn, turn->now.voters, turn->now.quorum);
	return true;
}

static void
note_step(const HaSyncPlan *plan)
{
	AgentSync *s = &agent.sync;

	if (plan->step == s->step)
		return;
	s->step = plan->step;
	s->step_us = clock_now_us();
}

static void
take_step(SyncTurn *turn, const SyncNames *names)
{
	HaSyncPlan plan = ha_sync_plan(&turn->now, &turn->goal);
	bool quorum = agent.config.sync_mode == SYNC_MODE_QUORUM;

	note_step(&plan);
	if (make_sure(turn, &plan))
		return;
	switch (plan.step)
	{
		case SYNC_STAY:
			/* The other mode has another way to write the same. */
			if (names->count > 0 && !names->anybody && names->quorum != quorum)
				write_names(turn, turn->now.names, turn->now.count);
			break;
		case SYNC_SET_NAMES:
			write_names(turn, plan.next.names, plan.next.count);
			break;
		case SYNC_SET_KEY:
			if (ha_sync_may_write(&turn->holders, turn->caught_up, plan.next.voters,
								  plan.next.quorum))
				write_key(turn, plan.next.voters, plan.next.quorum);
			break;
	}
}

/*
 * A turn
 */

/* What is known is known of one leadership, and by one process. */
static void
begin_leadership(void)
{
	AgentSync *s = &agent.sync;
	HaSyncKey key = s->key;
	bool same_process = s->names_wanted;

	if (s->epoch == present_epoch())
	{
		/* Somebody else wrote it. */
		if (s->settled && s->key.present && !is_key_own())
			s->settled = false;
		return;
	}
	if (!same_process)
		memset(s, 0, sizeof(*s));
	s->key = key;
	s->epoch = present_epoch();
	s->since_us = clock_now_us();
	s->settled = !sync_is_required();
	s->key_unsure = true;
	s->caught_up = InvalidXLogRecPtr;
}

/* True when names are in force everywhere; else they are seen to. */
static bool
are_names_in_force(SyncNamesState state)
{
	AgentSync *s = &agent.sync;

	if (state != SYNC_NAMES_CHANGING)
	{
		if (s->changing_us != 0)
			sync_names_stir();
		s->changing_us = 0;
		return true;
	}
	if (s->changing_us == 0)
		s->changing_us = clock_now_us();
	s->caught_up = InvalidXLogRecPtr;
	if (s->names_wanted && clock_now_us() - s->changing_us > RELOAD_US)
	{
		s->changing_us = clock_now_us();
		sync_names_write(&s->wanted);
	}
	return false;
}

/*
 * The key was written, as the next attempt found out, but the answer to it
 * was lost.
 */
static void
note_settled(const SyncTurn *turn)
{
	AgentSync *s = &agent.sync;

	if (s->settled || s->key_unsure || !s->names_sure || !is_key_own() ||
		!ha_sync_is_safe(&turn->now))
		return;
	s->settled = true;
	lease_move_fence();
}

/*
 * Before what recovery found is shown, every member that may lead by the
 * present key must be sure to have it, or to hear of it from one that has.
 */
static void
show_commits(const SyncTurn *turn)
{
	static const HaSyncHolders nobody = {0, 0};

	if (sync_gate_is_open() || !sync_is_settled())
		return;
	if (!sync_is_required() ||
		ha_sync_may_write(&nobody, turn->recovered, turn->now.voters, turn->now.quorum))
		sync_gate_set(true);
}

static void
keep_in_step(void)
{
	static const HaSyncPlan nothing_yet = {.step = SYNC_STAY};
	SyncTurn *turn = palloc0(sizeof(SyncTurn));
	SyncNames *names = palloc0(sizeof(SyncNames));
	SyncNamesState state;
	TimeLineID timeline;

	begin_leadership();
	lease_move_fence();
	state = sync_names_read(names);
	if (!are_names_in_force(state) || !agent_may_send(OP_SYNC))
		return;
	if (agent.sync.caught_up == InvalidXLogRecPtr)
		agent.sync.caught_up = GetFlushRecPtr(&timeline);
	if (agent.sync.recovered == InvalidXLogRecPtr)
		agent.sync.recovered = GetFlushRecPtr(&timeline);
	note_names(turn, names, state);
	note_key(turn);
	note_standbys(turn);
	note_settled(turn);
	show_commits(turn);
	if (choose_goal(turn))
		take_step(turn, names);
	else if (is_key_own())
		make_sure(turn, &nothing_yet);
}

/* Synchronous mode is off: what was set for it goes, the key first. */
static void
leave_mode(void)
{
	SyncNames names;
	bool named = sync_names_read(&names) != SYNC_NAMES_FOREIGN;

	if (agent.self.role == HA_PRIMARY && agent.sync.key.present)
	{
		if (!leads() || !agent_may_send(OP_SYNC))
			return;
		memset(&agent.sync.sent, 0, sizeof(agent.sync.sent));
		send_key();
		return;
	}
	agent.sync.epoch = 0;
	agent.sync.names_wanted = false;
	agent.sync.names_sure = false;
	if (!named)
		agent.sync.changing_us = 0;
	else if (agent.self.role != HA_STARTING &&
			 (agent.sync.changing_us == 0 || clock_now_us() - agent.sync.changing_us > RELOAD_US))
	{
		agent.sync.changing_us = clock_now_us();
		sync_names_remove();
	}
}

/*
 * A standby's commits wait for nobody, but whether any are to wait is for the
 * checkpointer to say, which a checkpoint keeps busy.  So that is said before
 * it is promoted.  So is the gate closed: what it shows then was read here
 * before, but only as a standby's.
 */
static void
prepare_standby(void)
{
	SyncNames names;

	sync_gate_set(false);
	agent.sync.recovered = InvalidXLogRecPtr;
	if (sync_names_read(&names) != SYNC_NAMES_FOREIGN)
		return;
	memset(&names, 0, sizeof(names));
	names.anybody = true;
	names.count = 1;
	sync_names_write(&names);
}

void
sync_attend(const HaView *view)
{
	if (agent.config.sync_mode == SYNC_MODE_OFF)
	{
		sync_gate_set(true);
		leave_mode();
	}
	else if (leads())
		keep_in_step();
	else if (agent.self.role == HA_REPLICA)
		prepare_standby();
}
