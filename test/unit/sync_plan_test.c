/*-------------------------------------------------------------------------
 * sync_plan_test.c
 *	  Tests of src/ha/sync_plan.c: every plan of a small group, step by step.
 *
 * What is safe is found out here by looking at all sets of members there
 * are, not by the formula that is tested.
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "ha/sync_plan.h"
#include "tap.h"

#define N 4
#define ALL ((HaSyncSet) ((1 << N) - 1))
#define MAX_STEPS 12

/*
 * True when each set of at least "least" of "names" (all that acknowledged)
 * meets each set of more than "quorum" of "voters".
 */
static bool
always_meet(HaSyncSet names, int least, HaSyncSet voters, int quorum)
{
	for (HaSyncSet a = 0; a <= ALL; a++)
		for (HaSyncSet b = 0; b <= ALL; b++)
			if ((a & ~names) == 0 && (b & ~voters) == 0 && ha_sync_size(a) >= least &&
				ha_sync_size(b) > quorum && (a & b) == 0)
				return false;
	return true;
}

static bool
may_acknowledge(const HaSyncState *s)
{
	return ha_sync_size(s->names) >= s->count;
}

static bool
is_really_safe(const HaSyncState *s)
{
	if (s->voters == 0)
		return true;
	return s->count > 0 && s->names != HA_SYNC_ANYBODY &&
		   always_meet(s->names, s->count, s->voters, s->quorum);
}

static bool
is_state(const HaSyncState *s)
{
	int n = ha_sync_size(s->voters);

	return n == 0 ? s->quorum == 0 : s->quorum < n;
}

static void
test_formula(void)
{
	HaSyncState s;
	long checked = 0;
	long wrong = 0;

	for (s.voters = 0; s.voters <= ALL; s.voters++)
		for (s.names = 0; s.names <= ALL; s.names++)
			for (s.quorum = 0; s.quorum < N; s.quorum++)
				for (s.count = 0; s.count <= N + 1; s.count++)
				{
					bool safe = is_really_safe(&s);

					if (!is_state(&s))
						continue;
					checked++;
					/* A count that cannot be reached acknowledges nothing, and is allowed or not. */
					wrong += ha_sync_is_safe(&s) ? !safe : safe && may_acknowledge(&s);
				}
	ok(wrong == 0, "the formula says what is safe, in %ld states", checked);
}

/* Everybody who may have the acknowledged commits, by what is known of them. */
static bool
all_holders_meet(const HaSyncHolders *holders, HaSyncSet caught_up, HaSyncSet voters, int quorum)
{
	for (HaSyncSet have = 0; have <= ALL; have++)
	{
		if ((caught_up & ~have) != 0 || ha_sync_size(holders->among & ~have) > holders->missing)
			continue;
		for (HaSyncSet b = 0; b <= ALL; b++)
			if ((b & ~voters) == 0 && ha_sync_size(b) > quorum && (b & have) == 0)
				return false;
	}
	return true;
}

static void
test_writing(void)
{
	HaSyncHolders holders;
	long checked = 0;
	long wrong = 0;

	for (holders.among = 0; holders.among <= ALL; holders.among++)
		for (holders.missing = 0; holders.missing < N; holders.missing++)
			for (HaSyncSet caught_up = 0; caught_up <= ALL; caught_up++)
				for (HaSyncSet voters = 0; voters <= ALL; voters++)
					for (int quorum = 0; quorum < ha_sync_size(voters); quorum++)
					{
						checked++;
						wrong += ha_sync_may_write(&holders, caught_up, voters, quorum) !=
								 all_holders_meet(&holders, caught_up, voters, quorum);
					}
	ok(wrong == 0, "the key may be written when all who may lead have the commits, in %ld cases",
	   checked);
}

static bool
same(const HaSyncState *a, const HaSyncState *b)
{
	return a->voters == b->voters && a->quorum == b->quorum && a->names == b->names &&
		   a->count == b->count;
}

static bool
is_done(const HaSyncState *s, const HaSyncGoal *goal)
{
	if (goal->members == 0 && goal->count > 0)
		return s->voters != 0 || (s->names == HA_SYNC_ANYBODY && s->count > 0);
	return s->voters == goal->members && s->names == goal->members && s->count == goal->count &&
		   (s->voters == 0 || s->quorum == ha_sync_size(s->voters) - s->count);
}

/* While names change, some processes go by the old ones and some by the new. */
static bool
is_step_safe(const HaSyncState *now, const HaSyncPlan *plan)
{
	HaSyncState mixed = plan->next;

	if (plan->step == SYNC_SET_KEY)
		return true;
	mixed.names |= now->names;
	mixed.count = now->count < mixed.count ? now->count : mixed.count;
	return is_really_safe(&mixed);
}

static const char *
why_not(const HaSyncState *start, const HaSyncGoal *goal)
{
	HaSyncState s = *start;

	for (int i = 0; i < MAX_STEPS; i++)
	{
		HaSyncPlan plan = ha_sync_plan(&s, goal);
		HaSyncHolders holders = {s.voters, s.quorum};

		if (plan.step == SYNC_STAY)
			return is_done(&s, goal) ? NULL : "it stops before the goal";
		if (same(&s, &plan.next))
			return "a step changes nothing";
		if (!is_state(&plan.next) || !is_really_safe(&plan.next))
			return "it is not safe after a step";
		if (!is_step_safe(&s, &plan))
			return "it is not safe during a step";
		if (plan.step == SYNC_SET_KEY &&
			!ha_sync_may_write(&holders, goal->members, plan.next.voters, plan.next.quorum))
			return "the key is never written, though all of the goal have caught up";
		if (plan.step == SYNC_SET_NAMES &&
			(s.voters != plan.next.voters || s.quorum != plan.next.quorum))
			return "a step changes the names and the key";
		if (plan.step == SYNC_SET_KEY && (s.names != plan.next.names || s.count != plan.next.count))
			return "a step changes the key and the names";
		s = plan.next;
	}
	return "it goes on for ever";
}

static void
test_plans(void)
{
	HaSyncState s;
	HaSyncGoal goal = {0};
	const char *trouble = NULL;
	long walked = 0;

	for (s.voters = 0; s.voters <= ALL; s.voters++)
		for (s.names = 0; s.names <= ALL; s.names++)
			for (s.quorum = 0; s.quorum < N; s.quorum++)
				for (s.count = 0; s.count <= N + 1; s.count++)
				{
					if (!is_state(&s) || !ha_sync_is_safe(&s))
						continue;
					for (goal.members = 0; goal.members <= ALL && !trouble; goal.members++)
						for (goal.count = goal.members == 0 ? 0 : 1;
							 goal.count <= (goal.members == 0 ? 1 : ha_sync_size(goal.members)) &&
							 !trouble;
							 goal.count++, walked++)
							trouble = why_not(&s, &goal);
				}
	ok(trouble == NULL, "%ld plans come to their goal by safe steps%s%s", walked,
	   trouble ? ": " : "", trouble ? trouble : "");
}

/* A key that others wrote is taken back first, and then all is as usual. */
static void
test_unsafe(void)
{
	HaSyncState s = {3, 0, 1, 1};
	HaSyncGoal goal = {3, 1, false};
	HaSyncPlan plan = ha_sync_plan(&s, &goal);

	ok(!ha_sync_is_safe(&s) && plan.step == SYNC_SET_KEY && plan.next.voters == 0,
	   "a key that allows too much is taken back");
	ok(why_not(&plan.next, &goal) == NULL, "and set anew");
}

/* As long as nothing can be acknowledged: two steps, from wherever. */
static void
test_quiet(void)
{
	HaSyncGoal goal = {6, 1, true};
	HaSyncState s = {9, 1, 1, 2};
	HaSyncPlan plan = ha_sync_plan(&s, &goal);

	ok(plan.step == SYNC_SET_NAMES && plan.next.names == 6 && plan.next.count == 1,
	   "a new leader sets its names at once");
	plan = ha_sync_plan(&plan.next, &goal);
	ok(plan.step == SYNC_SET_KEY && plan.next.voters == 6 && plan.next.quorum == 1,
	   "and then the key");
	goal = (HaSyncGoal){0, 1, true};
	plan = ha_sync_plan(&s, &goal);
	ok(plan.next.names == HA_SYNC_ANYBODY && plan.next.count == 1,
	   "without a standby, commits of the strict mode wait");
	goal.count = 0;
	plan = ha_sync_plan(&s, &goal);
	ok(plan.next.names == 0 && plan.next.count == 0, "and others do not");
	ok(ha_sync_plan(&plan.next, &goal).next.voters == 0, "but then only the leader may lead");
}

int
main(void)
{
	test_formula();
	test_writing();
	test_plans();
	test_unsafe();
	test_quiet();
	return done_testing();
}
