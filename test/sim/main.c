/*-------------------------------------------------------------------------
 * main.c
 *	  Runs schedules: sim [-n runs] [-s seed] [-t] [-1] [-l] [-m row -k kind]
 *
 *	  -n	how many, from the seed on
 *	  -s	the first seed
 *	  -t	print the schedule
 *	  -1	schedules with a single fault only
 *	  -l	print the rules of decide, and end
 *	  -m	break this row of the rules (from 0 on), as -k says: "drop" it,
 *			make it "always" hold, or have it "wait"
 *
 * Ends with 1 when a schedule broke an invariant, after printing it.
 *-------------------------------------------------------------------------
 */
#include "sim.h"

#define SCHEDULE_BOUND_US (600 * SECOND)

typedef enum Breakage
{
	BREAK_NOTHING,
	BREAK_DROP,
	BREAK_ALWAYS,
	BREAK_WAIT
} Breakage;

static Breakage breakage = BREAK_NOTHING;
static int broken_row = -1;

extern HaDecision __real_ha_decide(const HaView *view, int64_t now_us);
extern HaDecision __wrap_ha_decide(const HaView *view, int64_t now_us);

static bool
row_fits(const HaRule *rule, bool always, const HaView *view, int64 now)
{
	return (rule->role == HA_ANY_ROLE || rule->role == view->role) &&
		   (rule->lease == LEASE_ANY || rule->lease == view->lease) &&
		   (rule->holds == NULL || always || rule->holds(view, now));
}

/* What the agent calls: decide.c, or the rules with one of them broken. */
HaDecision
__wrap_ha_decide(const HaView *view, int64_t now_us)
{
	HaDecision decision = {HA_WAIT, "nothing to do"};
	const HaRule *rules;
	int n;

	if (breakage == BREAK_NOTHING)
		return __real_ha_decide(view, now_us);
	rules = ha_rules(&n);
	for (int i = 0; i < n; i++)
	{
		bool broken = i == broken_row;

		if ((broken && breakage == BREAK_DROP) ||
			!row_fits(&rules[i], broken && breakage == BREAK_ALWAYS, view, now_us))
			continue;
		decision.action = broken && breakage == BREAK_WAIT ? HA_WAIT : rules[i].action;
		decision.reason = rules[i].reason;
		break;
	}
	return decision;
}

static void
list_rules(void)
{
	int n;
	const HaRule *rules = ha_rules(&n);

	for (int i = 0; i < n; i++)
		printf("%d\t%s\t%s\t%s\t%s\n", i, ha_role_name(rules[i].role),
			   ha_lease_name(rules[i].lease), rules[i].condition ? rules[i].condition : "always",
			   ha_action_name(rules[i].action));
}

/* True when all invariants held. */
static bool
run_schedule(uint64 seed)
{
	int n;

	world_begin(seed);
	n = chance_of(600) ? 3 : (int) chance_between(2, MAX_MEMBERS);
	switch (chance_between(0, 3))
	{
		case 0:
		case 1:
			sync_standbys = n - 1;
			break;
		case 2:
			sync_standbys = 1;
			break;
		default:
			sync_standbys = 0;
	}
	net_begin();
	store_begin();
	check_begin();
	server_begin(n);
	writer_begin();
	fault_begin();
	world_trace("%d members, commits wait for %d standbys", n, sync_standbys);

	while (world_step())
	{
		check_step();
		if (fault_over && world_now > fault_healed && check_settled())
			break;
		if (world_now > SCHEDULE_BOUND_US)
			world_fail("the schedule does not end");
	}
	statistics.schedules++;
	statistics.simulated += world_now;
	if (!world_failed)
		statistics.slowest_member = Max(statistics.slowest_member, world_now - fault_healed);
	return !world_failed;
}

static void
print_statistics(void)
{
	const Statistics *s = &statistics;

	printf(
		"%ld schedules, %.1f hours: %ld acquisitions, %ld promotions, %ld demotions, %ld rewinds, "
		"%ld switchovers asked for and done\n",
		s->schedules, s->simulated / 3600e6, s->acquisitions, s->promotions, s->demotions,
		s->rewinds, s->switchovers);
	printf(
		"%ld commits acknowledged, %ld cut off by the second look, %ld lost where no synchronous "
		"mode forbids it\n",
		s->acknowledged, s->unknown, s->lost);
	printf("slowest return of a leader %.1f s, of all members %.1f s\n", s->slowest_leader / 1e6,
		   s->slowest_member / 1e6);
}

static Breakage
parse_breakage(const char *name)
{
	static const char *const names[] = {"nothing", "drop", "always", "wait"};

	for (int i = 0; i < (int) lengthof(names); i++)
		if (strcmp(name, names[i]) == 0)
			return (Breakage) i;
	fprintf(stderr, "no such way to break a rule: %s\n", name);
	exit(2);
}

int
main(int argc, char **argv)
{
	uint64 seed = 1;
	long runs = 1000;
	int option;

	while ((option = getopt(argc, argv, "n:s:t1lm:k:")) != -1)
		switch (option)
		{
			case 'n':
				runs = atol(optarg);
				break;
			case 's':
				seed = strtoul(optarg, NULL, 10);
				break;
			case 't':
				world_tracing = true;
				break;
			case '1':
				fault_single_only = true;
				break;
			case 'l':
				list_rules();
				return 0;
			case 'm':
				broken_row = atoi(optarg);
				break;
			case 'k':
				breakage = parse_breakage(optarg);
				break;
			default:
				return 2;
		}
	for (uint64 s = seed; s < seed + (uint64) runs; s++)
	{
		if (run_schedule(s))
			continue;
		if (breakage == BREAK_NOTHING && !world_tracing)
		{
			world_tracing = true;
			run_schedule(s);
		}
		printf("SEED=%lu: %s\n", (long) s, world_failure);
		return 1;
	}
	print_statistics();
	return 0;
}
