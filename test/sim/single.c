/*-------------------------------------------------------------------------
 * single.c
 *	  Schedules with one fault, or one story, of which more is known: how long
 *	  nobody may lead, who leads afterwards, what is not lost.
 *
 * Most stories are about one row of the rules, without which they would end
 * otherwise; see "Broken rules" in README.md.
 *-------------------------------------------------------------------------
 */
#include "sim.h"

const char *single_only = NULL;
bool fault_is_single;
int64 fault_gap;
int fault_next_leader;
bool fault_no_election;
int fault_unwell;
bool fault_may_lose;
uint32 fault_unfit;

#define AT_ONCE (300 * MS)
#define A_RESTART (2 * SECOND)
#define AWAIT_US (15 * SECOND)

static int64 lasts; /* at least so long before all is healed */
static bool is_over_early;
static bool is_known_in_any_mode; /* what comes of it, in synchronous modes too */
static int first;				  /* who led when it began */
static int other;				  /* the other one that the story is about */

/*
 * What stories are made of
 */

static Member *
leader(void)
{
	return &members[store_last_leader];
}

static void
expect(int64 gap, int next_leader)
{
	fault_gap = gap;
	fault_next_leader = next_leader;
	lasts = group_config.ttl * SECOND + 2 * SECOND;
}

/* After the lease of a leader that cannot give it back has expired. */
static int64
expiry(void)
{
	return group_config.ttl * SECOND * 102 / 100 + SECOND;
}

typedef struct Awaiting
{
	bool (*holds)(void);
	void (*then)(void);
	int64 until;
} Awaiting;

static void
look_again(void *a, int64 b)
{
	Awaiting *awaiting = a;

	if (fault_over || world_now > awaiting->until)
		return;
	if (awaiting->holds())
		awaiting->then();
	else
		world_at(world_now + MS, look_again, awaiting, 0);
}

/* Looks each millisecond. */
static void
await(bool (*holds)(void), void (*then)(void))
{
	Awaiting *awaiting = world_alloc(sizeof(*awaiting));

	*awaiting = (Awaiting){holds, then, world_now + AWAIT_US};
	world_at(world_now, look_again, awaiting, 0);
}

static void
go_on(void *a, int64 b)
{
	void (**then)(void) = a;

	if (!fault_over)
		(*then)();
}

static void
after(int64 us, void (*then)(void))
{
	void (**step)(void) = world_alloc(sizeof(*step));

	*step = then;
	world_at(world_now + us, go_on, step, 0);
}

/* A standby that may lead, or -1. */
static int
choose_candidate(void)
{
	int candidate = -1;

	for (int i = 0; i < nmembers; i++)
		if (i != store_last_leader && members[i].may_lead && (candidate < 0 || chance_of(400)))
			candidate = i;
	return candidate;
}

static void
ask_switchover(int candidate)
{
	char text[64];

	if (chance_of(500) && leader()->process != NULL)
	{
		server_ask_switchover(leader(), members[candidate].name);
		return;
	}
	snprintf(text, sizeof(text), "%s,%s,0", leader()->name, members[candidate].name);
	store_put(KEY_FAILOVER, text);
}

static bool
has_first_stepped_down(void)
{
	return members[first].standby_signal;
}

/* Nothing that this story is about can be had in this group. */
static void
go_on_as_before(void)
{
	expect(AT_ONCE, store_last_leader);
}

/*
 * One fault
 */

static void
ttl_changes(void)
{
	expect(AT_ONCE, store_last_leader);
	group_config.ttl = (int) chance_between(2, 8);
	fault_put_config();
}

static void
store_is_compacted(void)
{
	expect(AT_ONCE, store_last_leader);
	store_compact();
}

static void
agent_meets_error(void)
{
	expect(AT_ONCE, store_last_leader);
	leader()->process->throw_in = (int) chance_between(1, 60);
}

static void
store_is_away_briefly(void)
{
	expect(AT_ONCE, store_last_leader);
	fault_stop_store((StoreState) chance_between(STORE_REFUSES, STORE_SILENT),
					 group_config.ttl * SECOND / 4);
}

/* Everyone loses the lease; who led goes on. */
static void
store_is_away(void)
{
	int64 away = chance_between(2, 4) * group_config.ttl * SECOND;

	expect(away + A_RESTART, store_last_leader);
	lasts += away;
	fault_stop_store(chance_of(800) ? STORE_FROZEN : STORE_SILENT, away);
}

static void
server_crashes(void)
{
	expect(A_RESTART, store_last_leader);
	server_crash(leader());
}

static void
postmaster_is_killed(void)
{
	expect(A_RESTART, -1);
	server_kill(leader());
}

static void
server_is_stopped(void)
{
	expect(A_RESTART, -1);
	server_stop(leader());
}

/* Another member leads, if there is one that may; else things stay as they are. */
static void
leader_is_unwell(void)
{
	bool replaceable = choose_candidate() >= 0;

	expect(replaceable ? A_RESTART : AT_ONCE, replaceable ? -1 : store_last_leader);
	lasts = chance_between(3, 6) * SECOND;
	leader()->unwell_until = world_now + lasts;
	fault_unwell = replaceable ? store_last_leader : -1;
}

static void
machine_dies(void)
{
	expect(expiry() + A_RESTART, -1);
	server_power_off(leader());
}

static void
leader_is_cut_off(void)
{
	int64 cut_for = chance_between(1, 4) * group_config.ttl * SECOND;

	expect(expiry() + A_RESTART, -1);
	lasts += cut_for;
	fault_cut(leader()->id, STORE, (int) chance_between(0, 2));
	fault_mend_after(cut_for);
}

static void
agent_freezes(void)
{
	int64 frozen_for = chance_between(1, 4) * group_config.ttl * SECOND;

	expect(expiry() + A_RESTART, -1);
	lasts += frozen_for;
	leader()->process->pause_in = 1;
	leader()->process->pause_for = frozen_for;
}

/* Recovery takes longer than the group waits for it. */
static void
recovery_is_slow(void)
{
	if (choose_candidate() < 0)
	{
		go_on_as_before();
		return;
	}
	group_config.primary_start_timeout = 1;
	fault_put_config();
	expect(A_RESTART + 2 * SECOND, -1);
	fault_unwell = store_last_leader;
	leader()->recovery_extra = 10 * SECOND;
	server_crash(leader());
}

/*
 * Switchovers
 */

/* A standby that streams and may lead is to take over, whoever asks. */
static void
switchover(void)
{
	int candidate = choose_candidate();

	if (candidate < 0)
	{
		go_on_as_before();
		return;
	}
	expect(A_RESTART, candidate);
	ask_switchover(candidate);
}

/* To a member whose tags forbid it, or that is not there. */
static void
switchover_is_refused(void)
{
	char text[64];
	int candidate = -1;

	for (int i = 0; i < nmembers; i++)
		if (!members[i].may_lead)
			candidate = i;
	expect(AT_ONCE, store_last_leader);
	snprintf(text, sizeof(text), "%s,%s,0", leader()->name,
			 candidate < 0 ? "m9" : members[candidate].name);
	store_put(KEY_FAILOVER, text);
}

/* To a standby that need not have all commits. */
static void
asynchronous_is_refused(void)
{
	const char *value = store_value(KEY_SYNC);
	HaSyncKey sync;

	expect(AT_ONCE, store_last_leader);
	if (value == NULL || group_config.sync_mode != SYNC_MODE_ON)
		return;
	key_read_sync_set(value, &sync);
	for (int i = 0; i < nmembers; i++)
		if (i != store_last_leader && !key_sync_lists(&sync, members[i].name))
		{
			is_known_in_any_mode = true;
			ask_switchover(i);
			return;
		}
}

static void
ask_other(void)
{
	server_append(leader());
	ask_switchover(other);
}

/* The candidate streams, but its disk is too slow to catch up: the leader goes on. */
static void
candidate_is_slow(void)
{
	other = choose_candidate();
	if (other < 0)
	{
		go_on_as_before();
		return;
	}
	expect(HA_CATCH_UP_WAIT_US + 2 * AT_ONCE, store_last_leader);
	members[other].disk_delay = 12 * SECOND;
	lasts = 10 * SECOND;
	after(chance_between(200 * MS, 500 * MS), ask_other);
}

static bool
is_fence_closed(void)
{
	return !member_fence_is_open(&members[first]);
}

static void
cut_other_off(void)
{
	world_trace("network: cut %s off from %s", members[other].name, members[first].name);
	fault_cut(first, other, 0);
	server_append(&members[first]);
}

/* The candidate is gone when it is to get the last WAL of the primary. */
static void
candidate_is_lost(void)
{
	other = choose_candidate();
	if (other < 0)
	{
		go_on_as_before();
		return;
	}
	expect(HA_CATCH_UP_WAIT_US + HA_REST_WAIT_US + A_RESTART, -1);
	lasts = 14 * SECOND;
	ask_switchover(other);
	await(is_fence_closed, cut_other_off);
	fault_mend_after(12 * SECOND);
}

static int64 mend_rest_after;

static void
cut_rest_off(void)
{
	cut_other_off();
	fault_mend_after(mend_rest_after);
}

/* The same, once the primary is a standby: it waits for the candidate, but not for ever. */
static void
rest_is_late(void)
{
	bool comes_back = chance_of(500);

	other = choose_candidate();
	if (other < 0)
	{
		go_on_as_before();
		return;
	}
	expect(comes_back ? 4 * SECOND : HA_REST_WAIT_US + A_RESTART + SECOND,
		   comes_back ? other : store_last_leader);
	lasts = 14 * SECOND;
	mend_rest_after = comes_back ? SECOND : 12 * SECOND;
	ask_switchover(other);
	await(has_first_stepped_down, cut_rest_off);
}

static bool
is_heir_promoting(void)
{
	return store_last_leader != first && leader()->promoting;
}

static void
ask_heir(void)
{
	char text[64];

	for (int i = 0; i < nmembers; i++)
		if (i != first && i != store_last_leader)
			other = i;
	snprintf(text, sizeof(text), "%s,%s,0", leader()->name, members[other].name);
	store_put(KEY_FAILOVER, text);
}

/* A switchover is asked for while the leader is still being promoted. */
static void
heir_is_asked(void)
{
	expect(NEVER, -1);
	server_kill(leader());
	other = first;
	await(is_heir_promoting, ask_heir);
}

/*
 * Pauses of the cluster
 */

static void
end_paused_leader(void)
{
	fault_no_election = true;
	server_kill(leader());
}

static void
paused_leader_dies(void)
{
	expect(NEVER, -1);
	group_config.paused = true;
	fault_put_config();
	after(SECOND, end_paused_leader);
	lasts = 9 * SECOND;
	is_over_early = true;
}

static void
kill_first(void)
{
	server_kill(&members[first]);
}

static void
power_first_off(void)
{
	server_power_off(&members[first]);
}

static void
fail_over_by_hand(void)
{
	char text[32];

	snprintf(text, sizeof(text), ",%s,0", members[other].name);
	store_put(KEY_FAILOVER, text);
}

/* Somebody makes a member lead that lacks WAL which others have. */
static void
paused_failover(void)
{
	other = choose_candidate();
	expect(NEVER, -1);
	if (other < 0)
		return;
	members[other].disk_delay = 12 * SECOND;
	group_config.paused = true;
	fault_put_config();
	fault_may_lose = true;
	after(SECOND, power_first_off);
	after(SECOND + expiry(), fail_over_by_hand);
	lasts = expiry() + 5 * SECOND;
	is_over_early = true;
}

/*
 * A leader that was frozen comes back, with WAL of its own, when the one that
 * led meanwhile has just died: it must not lead again.
 */

/* And has told of its timeline, so that others can see what is no part of it. */
static bool
does_other_commit(void)
{
	HaStatus status;

	key_read_status(store_value(KEY_STATUS), &status);
	return status.timeline == records[leader()->head].timeline && store_last_leader != first &&
		   leader()->phase == PHASE_PRIMARY && member_may_commit(leader()) &&
		   check_acknowledged_since(world_now - SECOND, store_last_leader);
}

static bool
is_other_gone(void)
{
	return store_value(KEY_LEADER) == NULL && store_last_leader != first;
}

static void
wake_first(void)
{
	/* Who has most may not come in time for the vote. */
	fault_may_lose = true;
	if (members[first].process != NULL)
		members[first].process->paused_until = world_now;
	for (int i = 0; i < nmembers; i++)
		if (i != first && members[i].process != NULL)
			members[i].process->paused_until = world_now + 1500 * MS;
}

static void
end_other(void)
{
	Member *m = &members[first];

	if (m->phase == PHASE_PRIMARY)
		for (int i = 0; i < 3; i++)
			server_append(m);
	if (chance_of(500))
		server_kill(leader());
	else
		server_power_off(leader());
	await(is_other_gone, wake_first);
}

static void
leaders_alternate(void)
{
	if (nmembers < 3 || choose_candidate() < 0)
	{
		go_on_as_before();
		return;
	}
	expect(NEVER, -1);
	fault_unwell = first;
	lasts = 4 * group_config.ttl * SECOND;
	leader()->process->paused_until = world_now + 20 * SECOND;
	await(does_other_commit, end_other);
}

static void
pause_and_end_other(void)
{
	group_config.paused = true;
	fault_put_config();
	end_other();
}

static void
pause_and_wake_first(void)
{
	group_config.paused = true;
	fault_put_config();
	members[first].process->paused_until = world_now + 500 * MS;
}

/* The same in a cluster that is paused meanwhile: it is not demoted either. */
static void
paused_leaders_alternate(void)
{
	if (nmembers < 3 || choose_candidate() < 0)
	{
		go_on_as_before();
		return;
	}
	expect(NEVER, -1);
	fault_unwell = first;
	lasts = 4 * group_config.ttl * SECOND;
	is_over_early = true;
	leader()->process->paused_until = world_now + 20 * SECOND;
	await(does_other_commit, chance_of(500) ? pause_and_end_other : pause_and_wake_first);
}

/*
 * Elections
 */

/* All restart at once, and the leader does not come back soon: positions have to be read first. */
static void
all_restart(void)
{
	expect(NEVER, -1);
	for (int i = 0; i < nmembers; i++)
		if (i != first)
			server_crash(&members[i]);
	server_kill(leader());
}

/* The leader dies, and all but one of the standbys cannot write either. */
static void
heirs_are_unwell(void)
{
	expect(NEVER, -1);
	/* They may have commits that it has not. */
	fault_may_lose = true;
	other = choose_candidate();
	if (other >= 0)
		members[other].disk_delay = 0;
	for (int i = 0; i < nmembers; i++)
	{
		if (i == first || i == other)
			continue;
		members[i].unwell_until = world_now + 10 * SECOND;
		/* In a synchronous mode the other may be kept from leading. */
		if (other >= 0 && group_config.sync_mode == SYNC_MODE_OFF)
			fault_unfit |= UINT32_C(1) << i;
	}
	after(1500 * MS, kill_first);
	lasts = 9 * SECOND;
}

static void
kill_first_and_delay_vote(void)
{
	bool quorum = group_config.sync_mode == SYNC_MODE_QUORUM;

	if (members[other].process != NULL)
		members[other].process->paused_until =
			world_now + (quorum ? chance_between(2, 4) * SECOND : chance_between(300, 700) * MS);
	server_kill(&members[first]);
}

/* Only one standby has all commits, and it is late when the leader dies. */
static void
best_votes_late(void)
{
	expect(NEVER, -1);
	other = choose_candidate();
	if (other < 0)
		return;
	for (int i = 0; i < nmembers; i++)
		members[i].disk_delay = i == first || i == other ? 0 : chance_between(300, 900) * MS;
	after(SECOND, kill_first_and_delay_vote);
	lasts = 8 * SECOND;
}

/* Standbys are further behind than the group permits. */
static void
standbys_lag(void)
{
	expect(NEVER, -1);
	group_config.maximum_lag = 16000;
	group_config.loop_wait = 1;
	fault_put_config();
	for (int i = 0; i < nmembers; i++)
		if (i != first)
			members[i].disk_delay = 60 * SECOND;
	after(chance_between(2, 4) * SECOND, power_first_off);
	lasts = 10 * SECOND;
}

/* The store loses all keys: who led goes on. */
static void
store_is_wiped(void)
{
	expect(A_RESTART, store_last_leader);
	store_wipe();
}

/* Servers that are none of the group's. */
static void
stranger_comes(void)
{
	expect(AT_ONCE, store_last_leader);
	server_add_stranger(chance_of(500));
}

/*
 * Failsafe
 */

static void
begin_failsafe(void (*then)(void))
{
	group_config.failsafe_mode = true;
	fault_put_config();
	/* Who has just started neither leads nor confirms. */
	after((group_config.ttl + 2) * SECOND, then);
}

static void
take_store_away(void)
{
	fault_stop_store((StoreState) chance_between(STORE_REFUSES, STORE_SILENT),
					 chance_between(2, 4) * group_config.ttl * SECOND);
}

/* The leader goes on, whatever became of its lease. */
static void
all_confirm(void)
{
	expect(SECOND, store_last_leader);
	lasts += 6 * group_config.ttl * SECOND;
	begin_failsafe(take_store_away);
}

static void
cut_leader_off(void)
{
	fault_cut(first, STORE, 0);
	fault_mend_after(4 * group_config.ttl * SECOND);
}

/*
 * Synchronous modes.  Who leads, and when, depends on much; what was
 * acknowledged, or shown, must not be lost.
 */

static void
begin_synchronicity(HaSyncMode mode, bool (*holds)(void), void (*then)(void))
{
	expect(NEVER, -1);
	fault_may_lose = true;
	lasts += AWAIT_US;
	group_config.sync_mode = mode;
	group_config.sync_count = 1;
	sync_standbys = 0;
	fault_put_config();
	await(holds, then);
}

static bool
are_two_synchronous(void)
{
	const char *value = store_value(KEY_SYNC);
	HaSyncKey sync;

	key_read_sync_set(value, &sync);
	return sync.nvoters >= 2 && check_settled();
}

/* With the leader goes the one standby that has what was acknowledged last. */
static void
lose_holders(void *a, int64 b)
{
	if (fault_over)
		return;
	server_power_off(leader());
	server_power_off(&members[other]);
}

static void
slow_down_others(void)
{
	HaSyncKey sync;

	key_read_sync_set(store_value(KEY_SYNC), &sync);
	other = sync.voters[chance_between(0, sync.nvoters - 1)][1] - '1';
	for (int i = 0; i < nmembers; i++)
		if (i != other && i != store_last_leader)
			members[i].disk_delay = 900 * MS;
	world_at(world_now + chance_between(200 * MS, 800 * MS), lose_holders, NULL, 0);
}

static void
holders_are_lost(void)
{
	begin_synchronicity(SYNC_MODE_QUORUM, are_two_synchronous, slow_down_others);
}

static bool
is_one_synchronous(void)
{
	HaSyncKey sync;

	key_read_sync_set(store_value(KEY_SYNC), &sync);
	return sync.nvoters >= 1 && check_settled();
}

static void
lose_leader(void *a, int64 b)
{
	if (!fault_over)
		server_power_off(leader());
}

static void
crash_leader(void *a, int64 b)
{
	if (!fault_over)
		server_crash(leader());
}

/* What no standby has comes to light in a crash, and the leader is lost. */
static void
leave_standbys_behind(void)
{
	for (int i = 0; i < nmembers; i++)
		if (i != store_last_leader)
			fault_cut(store_last_leader, i, 0);
	fault_mend_after(6 * SECOND);
	world_at(world_now + 300 * MS, crash_leader, NULL, 0);
	world_at(world_now + chance_between(1000 * MS, 2000 * MS), lose_leader, NULL, 0);
}

static void
crash_shows_commits(void)
{
	begin_synchronicity(chance_of(500) ? SYNC_MODE_ON : SYNC_MODE_QUORUM, is_one_synchronous,
						leave_standbys_behind);
}

/* The others hear from the store, and do not confirm it for long. */
static void
leader_alone_is_cut_off(void)
{
	bool replaceable = choose_candidate() >= 0;

	if (!replaceable)
	{
		go_on_as_before();
		return;
	}
	expect(expiry() + A_RESTART, -1);
	lasts += 6 * group_config.ttl * SECOND;
	fault_unwell = first;
	begin_failsafe(cut_leader_off);
}

static bool
is_other_left_out(void)
{
	const char *value = store_value(KEY_FAILSAFE);

	return value != NULL && strchr(value, members[other].name[1]) == NULL;
}

static void
cut_listed_off(void)
{
	for (int i = 0; i < nmembers; i++)
		if (i != other)
			fault_cut(i, STORE, 0);
	fault_mend_after(4 * group_config.ttl * SECOND);
}

static void
power_other_off(void)
{
	server_power_off(&members[other]);
	await(is_other_left_out, cut_listed_off);
}

/* A member that the key leaves out comes back, and alone hears from the store. */
static void
left_out_returns(void)
{
	other = choose_candidate();
	if (other < 0)
	{
		go_on_as_before();
		return;
	}
	/* The key may just be about to name it, and then it has a say. */
	expect(NEVER, -1);
	lasts += 8 * group_config.ttl * SECOND + 12 * SECOND;
	begin_failsafe(power_other_off);
}

static const struct
{
	const char *name;
	void (*begin)(void);
	int weight;
} stories[] = {
	{"ttl", ttl_changes, 1},
	{"compaction", store_is_compacted, 1},
	{"error", agent_meets_error, 1},
	{"short-outage", store_is_away_briefly, 1},
	{"outage", store_is_away, 1},
	{"crash", server_crashes, 1},
	{"kill", postmaster_is_killed, 1},
	{"stop", server_is_stopped, 1},
	{"unwell", leader_is_unwell, 1},
	{"power", machine_dies, 1},
	{"cut", leader_is_cut_off, 1},
	{"freeze", agent_freezes, 1},
	{"slow-recovery", recovery_is_slow, 1},
	{"switchover", switchover, 3},
	{"refused-switchover", switchover_is_refused, 1},
	{"asynchronous-candidate", asynchronous_is_refused, 1},
	{"slow-candidate", candidate_is_slow, 1},
	{"lost-candidate", candidate_is_lost, 1},
	{"late-rest", rest_is_late, 2},
	{"asked-heir", heir_is_asked, 1},
	{"pause", paused_leader_dies, 1},
	{"alternation", leaders_alternate, 2},
	{"paused-alternation", paused_leaders_alternate, 2},
	{"paused-failover", paused_failover, 1},
	{"unwell-heirs", heirs_are_unwell, 1},
	{"late-vote", best_votes_late, 2},
	{"restarts", all_restart, 1},
	{"lag", standbys_lag, 1},
	{"wipe", store_is_wiped, 1},
	{"stranger", stranger_comes, 1},
	{"failsafe", all_confirm, 2},
	{"failsafe-cut", leader_alone_is_cut_off, 1},
	{"failsafe-left-out", left_out_returns, 2},
	{"holders", holders_are_lost, 1},
	{"crash-shows", crash_shows_commits, 1},
};

void
single_list(void)
{
	for (size_t i = 0; i < lengthof(stories); i++)
		printf("%s\n", stories[i].name);
}

/*
 * When they happen
 */

/* When the group is whole again, or does not become so. */
static void
end_story(void *a, int64 until)
{
	if (is_over_early || (check_settled() && store_value(KEY_FAILOVER) == NULL) ||
		world_now >= until)
		fault_heal(NULL, 0);
	else
		world_at(world_now + 200 * MS, end_story, NULL, until);
}

static int
choose_story(void)
{
	int total = 0;
	int chosen;
	int story = 0;

	for (size_t i = 0; i < lengthof(stories); i++)
	{
		total += stories[i].weight;
		if (single_only != NULL && strcmp(single_only, stories[i].name) == 0)
			return (int) i;
	}
	chosen = (int) chance_between(0, total - 1);
	while ((chosen -= stories[story].weight) >= 0)
		story++;
	return story;
}

static void
begin_story(void)
{
	int story = choose_story();

	first = store_last_leader;
	world_trace("story: %s", stories[story].name);
	stories[story].begin();
	/* Who may lead then, and when, hangs on more than is known here. */
	if (group_config.sync_mode != SYNC_MODE_OFF && !is_known_in_any_mode)
		fault_gap = NEVER;
	if (group_config.sync_mode != SYNC_MODE_OFF && !is_known_in_any_mode)
		fault_next_leader = fault_unwell = -1;
	if (group_config.sync_mode != SYNC_MODE_OFF)
		fault_unfit = 0;
	if (fault_gap < NEVER)
		world_trace("nobody leads for %.3f s at most", fault_gap / 1e6);
	world_at(world_now + lasts + chance_between(0, SECOND), end_story, NULL,
			 world_now + lasts + 20 * SECOND);
}

static void
story_happens(void *a, int64 b)
{
	if (check_settled())
		begin_story();
	else
		world_at(world_now + 50 * MS, story_happens, NULL, 0);
}

void
single_choose(void)
{
	fault_is_single = chance_of(350) || single_only != NULL;
	fault_gap = NEVER;
	fault_next_leader = -1;
	fault_no_election = false;
	fault_unwell = -1;
	fault_may_lose = false;
	fault_unfit = 0;
	is_over_early = false;
	is_known_in_any_mode = false;
	lasts = 0;
}

void
single_begin(void)
{
	/* Standbys that lag make a difference who is chosen. */
	for (int i = 0; i < nmembers; i++)
		if (chance_of(400))
			members[i].disk_delay = chance_between(MS, 300 * MS);
	world_at(world_now + chance_between(1, 3) * SECOND, story_happens, NULL, 0);
}
