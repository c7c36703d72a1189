/*-------------------------------------------------------------------------
 * sync_plan.c
 *	  In which order the standbys that commits wait for, and those that may
 *	  lead, are changed.
 *
 * Two things say who is synchronous: the server's synchronous_standby_names,
 * by which a commit waits for "count" of the members "names", and the key
 * "sync" in the store, by which a member of "voters" may lead when "quorum"
 * other voters have no more WAL than it has.  They cannot change at the same
 * time, so each change is a row of small steps, and what must stay true
 * between any two of them, and during each, is that a set that is enough to
 * acknowledge and a set that is enough to lead always share a member:
 *
 *		count + quorum >= size of (names + voters)
 *
 * Names that are being changed are in force in some processes and not yet in
 * others, and a process counts whom the others take for synchronous.  So a
 * step changes the count or the list, never both: then the worst mixture is
 * the lower count with the longer list, and one of the two ends is that.
 * When no commit can be acknowledged at all, everything may change at once.
 *
 * A plan depends on the present state only; whoever carries it out may lose
 * its memory between any two steps.  Both modes are this one: to wait for all
 * the members listed is a quorum of as many, and then no votes are needed.
 *-------------------------------------------------------------------------
 */
#include <stddef.h>

#include "ha/sync_plan.h"

int
ha_sync_size(HaSyncSet set)
{
	return __builtin_popcountll(set);
}

static int
max(int a, int b)
{
	return a > b ? a : b;
}

bool
ha_sync_is_safe(const HaSyncState *state)
{
	if (state->voters == 0)
		return true;
	if (state->count <= 0 || state->names == HA_SYNC_ANYBODY)
		return false;
	return state->count + state->quorum >= ha_sync_size(state->voters | state->names);
}

bool
ha_sync_may_write(const HaSyncHolders *holders, HaSyncSet caught_up, HaSyncSet voters, int quorum)
{
	HaSyncSet unsure = voters & ~caught_up;
	int strangers = ha_sync_size(unsure & ~holders->among);
	int known = ha_sync_size(unsure & holders->among);

	if (voters == 0)
		return true;
	/* So many voters at most lack a commit; with one more there is one that has it. */
	return strangers + (known < holders->missing ? known : holders->missing) <= quorum;
}

/*
 * The steps.  Each says whether it is due, and fills in what is then.
 */

typedef bool (*StepFn)(const HaSyncState *now, const HaSyncGoal *goal, HaSyncPlan *plan);

static bool
set_names(HaSyncPlan *plan, HaSyncSet names, int count)
{
	plan->step = SYNC_SET_NAMES;
	plan->next.names = names;
	plan->next.count = count;
	return true;
}

static bool
set_key(HaSyncPlan *plan, HaSyncSet voters, int quorum)
{
	plan->step = SYNC_SET_KEY;
	plan->next.voters = voters;
	plan->next.quorum = quorum;
	return true;
}

static bool
has_names(const HaSyncState *now, HaSyncSet names, int count)
{
	return now->names == names && now->count == count;
}

/* Of the goal: what the server and the key are to say in the end. */
static HaSyncSet
final_names(const HaSyncGoal *goal)
{
	if (goal->members != 0)
		return goal->members;
	return goal->count > 0 ? HA_SYNC_ANYBODY : 0;
}

static int
final_count(const HaSyncGoal *goal)
{
	return goal->members != 0 ? goal->count : goal->count > 0;
}

static int
final_quorum(const HaSyncGoal *goal)
{
	return goal->members == 0 ? 0 : ha_sync_size(goal->members) - goal->count;
}

/* Nothing is acknowledged that the key could be wrong about. */
static bool
set_quiet_names(const HaSyncState *now, const HaSyncGoal *goal, HaSyncPlan *plan)
{
	return goal->quiet && !has_names(now, final_names(goal), final_count(goal)) &&
		   set_names(plan, final_names(goal), final_count(goal));
}

static bool
set_quiet_key(const HaSyncState *now, const HaSyncGoal *goal, HaSyncPlan *plan)
{
	return goal->quiet && set_key(plan, goal->members, final_quorum(goal));
}

/* Somebody else changed the key, or the names. */
static bool
take_back_key(const HaSyncState *now, const HaSyncGoal *goal, HaSyncPlan *plan)
{
	return !ha_sync_is_safe(now) && set_key(plan, 0, 0);
}

static bool
wait_for_return(const HaSyncState *now, const HaSyncGoal *goal, HaSyncPlan *plan)
{
	return goal->members == 0 && goal->count > 0 && now->voters != 0;
}

static bool
leave_no_heir(const HaSyncState *now, const HaSyncGoal *goal, HaSyncPlan *plan)
{
	return now->voters != 0 && (now->voters & goal->members) == 0 && set_key(plan, 0, 0);
}

/* While only the leader itself may lead, any names will do. */
static bool
set_first_names(const HaSyncState *now, const HaSyncGoal *goal, HaSyncPlan *plan)
{
	return now->voters == 0 && !has_names(now, final_names(goal), final_count(goal)) &&
		   set_names(plan, final_names(goal), final_count(goal));
}

static bool
set_first_key(const HaSyncState *now, const HaSyncGoal *goal, HaSyncPlan *plan)
{
	return now->voters == 0 && goal->members != 0 &&
		   set_key(plan, goal->members, final_quorum(goal));
}

/* Who leaves is not counted any more, as long as enough stay. */
static bool
forget_names(const HaSyncState *now, const HaSyncGoal *goal, HaSyncPlan *plan)
{
	HaSyncSet kept = now->names & goal->members;

	return now->voters != 0 && kept != now->names && ha_sync_size(kept) >= now->count &&
		   set_names(plan, kept, now->count);
}

/* A longer list takes a higher count first, though nobody may reach it yet. */
static bool
raise_count_for_names(const HaSyncState *now, const HaSyncGoal *goal, HaSyncPlan *plan)
{
	int needed = ha_sync_size(now->voters | now->names | goal->members) - now->quorum;

	return now->voters != 0 && (goal->members & ~now->names) != 0 && now->count < needed &&
		   set_names(plan, now->names, needed);
}

static bool
add_names(const HaSyncState *now, const HaSyncGoal *goal, HaSyncPlan *plan)
{
	return now->voters != 0 && (goal->members & ~now->names) != 0 &&
		   set_names(plan, now->names | goal->members, now->count);
}

/* From here on the names hold all members of the goal, and perhaps more. */
static int
quorum_for_names(const HaSyncState *now, const HaSyncGoal *goal)
{
	return max(final_quorum(goal), ha_sync_size(now->names) - now->count);
}

static bool
raise_count_for_key(const HaSyncState *now, const HaSyncGoal *goal, HaSyncPlan *plan)
{
	return now->voters != 0 && quorum_for_names(now, goal) >= ha_sync_size(goal->members) &&
		   set_names(plan, now->names, ha_sync_size(now->names) - final_quorum(goal));
}

static bool
change_key(const HaSyncState *now, const HaSyncGoal *goal, HaSyncPlan *plan)
{
	int quorum = quorum_for_names(now, goal);

	return now->voters != 0 && (now->voters != goal->members || now->quorum != quorum) &&
		   set_key(plan, goal->members, quorum);
}

static bool
drop_names(const HaSyncState *now, const HaSyncGoal *goal, HaSyncPlan *plan)
{
	return now->voters != 0 && now->names != goal->members &&
		   set_names(plan, goal->members, now->count);
}

static bool
set_count(const HaSyncState *now, const HaSyncGoal *goal, HaSyncPlan *plan)
{
	return now->voters != 0 && now->count != goal->count &&
		   set_names(plan, now->names, goal->count);
}

/* The first that is due. */
static const struct
{
	StepFn due;
	const char *reason;
} steps[] = {
	{set_quiet_names, "nothing is acknowledged yet"},
	{set_quiet_key, "this member leads now"},
	{take_back_key, "the sync key allows what would lose commits"},
	{wait_for_return, "commits wait until a synchronous standby is back"},
	{leave_no_heir, "no synchronous standby is left"},
	{set_first_names, "only the leader may lead yet"},
	{set_first_key, "the standbys have all commits"},
	{forget_names, "a synchronous standby leaves, and enough stay"},
	{raise_count_for_names, "a standby is about to be added"},
	{add_names, "a standby is added"},
	{raise_count_for_key, "the sync key is about to list fewer"},
	{change_key, "the sync key follows synchronous_standby_names"},
	{drop_names, "a standby may not lead any more"},
	{set_count, "synchronous_standby_names follows the sync key"},
};

HaSyncPlan
ha_sync_plan(const HaSyncState *now, const HaSyncGoal *goal)
{
	HaSyncPlan plan = {SYNC_STAY, *now, "all is as it should be"};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		if (steps[i].due(now, goal, &plan))
		{
			plan.reason = steps[i].reason;
			break;
		}
	return plan;
}
