/*-------------------------------------------------------------------------
 * main.c
 *	  Runs schedules.
 *
 * sim [-n runs] [-T seconds] [-s seed] [-j processes] [-t] [-1] [-f story] [-x faults]
 *	   [-r] [-l] [-m row -k way]
 *
 *	  -n	how many, from the seed on
 *	  -T	as many as fit into so many seconds
 *	  -s	the first seed
 *	  -j	how many at a time
 *	  -t	print the schedule
 *	  -1	schedules with a story only, of which more is known
 *	  -f	schedules with this one only
 *	  -x	leave out the faults of these numbers: 0,3
 *	  -r	run each schedule twice, forwards and backwards: it has to be the same
 *	  -l	print the rules of decide, and the stories, and end
 *	  -m	break this row of the rules (from 0 on), as -k says: "drop" it,
 *			"negate" its condition, make it "always" hold, or give it another
 *			action
 *
 * A schedule that broke an invariant is printed without those of its faults
 * that have nothing to do with it.  Ends with 1 then, with 2 when the way
 * sim was called made no sense.
 *-------------------------------------------------------------------------
 */
#include "sim.h"

#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>

#define SCHEDULE_BOUND_US (600 * SECOND)
#define MAX_PROCESSES 64

typedef enum Breakage
{
	BREAK_NOTHING,
	BREAK_DROP,
	BREAK_NEGATE,
	BREAK_ALWAYS,
	BREAK_ACTION
} Breakage;

static Breakage breakage = BREAK_NOTHING;
static HaAction broken_action;
static int broken_row = -1;

/* What one process found. */
typedef struct Outcome
{
	Statistics statistics;
	bool failed;
	uint64 seed;
} Outcome;

/* What they share. */
typedef struct Shared
{
	volatile bool stop;
	Outcome outcomes[MAX_PROCESSES];
} Shared;

extern HaDecision __real_ha_decide(const HaView *view, int64_t now_us);
extern HaDecision __wrap_ha_decide(const HaView *view, int64_t now_us);

/*
 * Broken rules
 */

static bool
row_fits(const HaRule *rule, Breakage broken, const HaView *view, int64 now)
{
	if ((rule->role != HA_ANY_ROLE && rule->role != view->role) ||
		(rule->lease != LEASE_ANY && rule->lease != view->lease) || broken == BREAK_DROP)
		return false;
	if (rule->holds == NULL || broken == BREAK_ALWAYS)
		return true;
	return rule->holds(view, now) == (broken != BREAK_NEGATE);
}

/* What the agent calls: decide.c, or the rules with one of them broken. */
HaDecision
__wrap_ha_decide(const HaView *view, int64_t now_us)
{
	HaDecision decision = {HA_WAIT, "nothing to do"};
	const HaRule *rules;
	int n;

	self->process->decided_lease = view->lease;
	self->process->decided_proven = view->proven;
	self->process->decided_at = world_now;
	if (breakage == BREAK_NOTHING)
		return __real_ha_decide(view, now_us);
	rules = ha_rules(&n);
	for (int i = 0; i < n; i++)
	{
		Breakage broken = i == broken_row ? breakage : BREAK_NOTHING;

		if (!row_fits(&rules[i], broken, view, now_us))
			continue;
		decision.action = broken == BREAK_ACTION ? broken_action : rules[i].action;
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

/* An action counts only when a rule has it. */
static void
parse_breakage(const char *name)
{
	static const char *const names[] = {"nothing", "drop", "negate", "always"};
	int n;
	const HaRule *rules = ha_rules(&n);

	for (int i = 0; i < (int) lengthof(names); i++)
		if (strcmp(name, names[i]) == 0)
		{
			breakage = (Breakage) i;
			return;
		}
	for (int i = 0; i < n; i++)
		if (strcmp(name, ha_action_name(rules[i].action)) == 0)
		{
			breakage = BREAK_ACTION;
			broken_action = rules[i].action;
			return;
		}
	fprintf(stderr, "no such way to break a rule: %s\n", name);
	exit(2);
}

/*
 * Schedules
 */

/* Commits wait for a number of standbys, or for those that a synchronous mode chooses. */
static void
choose_synchronicity(int n)
{
	if (chance_of(350))
	{
		sync_standbys = 0;
		group_config.sync_mode = chance_of(500) ? SYNC_MODE_ON : SYNC_MODE_QUORUM;
		group_config.sync_count = chance_of(650) ? 1 : 2;
		group_config.sync_strict = chance_of(400);
	}
	else if (chance_of(500))
		sync_standbys = n - 1;
	else
		sync_standbys = chance_of(500);
}

/* True when all invariants held. */
static bool
run_schedule(uint64 seed)
{
	int n;

	world_begin(seed);
	n = chance_of(600) ? 3 : (int) chance_between(2, MAX_MEMBERS);
	keys_begin();
	choose_synchronicity(n);
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
		if (fault_over && world_now > fault_healed && check_settled() && check_switchover_over())
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

/* Leaves out what the failure does not need. */
static void
shrink(uint64 seed)
{
	bool smaller = true;
	bool tracing = world_tracing;

	world_tracing = false;
	while (smaller)
	{
		smaller = false;
		for (int i = 0; i < fault_count; i++)
		{
			uint64 former = fault_dropped;

			if (fault_dropped >> i & 1)
				continue;
			fault_dropped |= UINT64_C(1) << i;
			if (run_schedule(seed))
				fault_dropped = former;
			else
				smaller = true;
		}
	}
	world_tracing = tracing;
}

static void
print_failure(uint64 seed, bool in_full)
{
	if (run_schedule(seed))
	{
		printf("SEED=%lu failed, but not when it was run again\n", (long) seed);
		return;
	}
	if (in_full)
	{
		shrink(seed);
		world_tracing = true;
		run_schedule(seed);
		world_tracing = false;
	}
	printf("SEED=%lu", (long) seed);
	for (int i = 0, n = 0; i < fault_count; i++)
		if (fault_dropped >> i & 1)
			printf("%s%d", n++ == 0 ? " -x " : ",", i);
	printf(": %s\n", world_failure);
}

/* Every schedule is the same when it is run again, whatever ran before it. */
static int
run_twice(uint64 seed, long runs)
{
	uint64 *digests = calloc((size_t) runs, sizeof(uint64));
	long different = 0;

	for (long i = 0; i < runs; i++)
	{
		run_schedule(seed + (uint64) i);
		digests[i] = world_digest();
	}
	for (long i = runs - 1; i >= 0; i--)
	{
		run_schedule(seed + (uint64) i);
		if (world_digest() == digests[i])
			continue;
		printf("SEED=%lu is another schedule when it is run again\n", (long) seed + i);
		different++;
	}
	printf("%ld schedules, %ld of them different when run again\n", runs, different);
	free(digests);
	return different > 0;
}

static double
seconds_now(void)
{
	struct timeval tv;

	gettimeofday(&tv, NULL);
	return (double) tv.tv_sec + (double) tv.tv_usec / 1e6;
}

static void
run_share(Shared *shared, int me, int processes, uint64 seed, long runs, double until)
{
	Outcome *outcome = &shared->outcomes[me];

	for (long i = me; i < runs && !shared->stop && seconds_now() < until; i += processes)
	{
		if (run_schedule(seed + (uint64) i))
			continue;
		outcome->failed = true;
		outcome->seed = seed + (uint64) i;
		shared->stop = true;
	}
	outcome->statistics = statistics;
}

static void
add_statistics(Statistics *sum, const Statistics *s)
{
	sum->schedules += s->schedules;
	sum->acquisitions += s->acquisitions;
	sum->promotions += s->promotions;
	sum->demotions += s->demotions;
	sum->rewinds += s->rewinds;
	sum->switchovers += s->switchovers;
	sum->acknowledged += s->acknowledged;
	sum->promised += s->promised;
	sum->unknown += s->unknown;
	sum->lost += s->lost;
	sum->simulated += s->simulated;
	sum->slowest_leader = Max(sum->slowest_leader, s->slowest_leader);
	sum->slowest_member = Max(sum->slowest_member, s->slowest_member);
}

static void
print_statistics(const Statistics *s)
{
	printf(
		"%ld schedules, %.1f hours: %ld acquisitions, %ld promotions, %ld demotions, %ld rewinds, "
		"%ld switchovers asked for and done\n",
		s->schedules, s->simulated / 3600e6, s->acquisitions, s->promotions, s->demotions,
		s->rewinds, s->switchovers);
	printf(
		"%ld commits acknowledged, %ld of them in a synchronous mode, %ld cut off; %ld lost where no "
		"synchronous mode forbids it\n",
		s->acknowledged, s->promised, s->unknown, s->lost);
	printf("slowest return of a leader %.1f s, of all members %.1f s\n", s->slowest_leader / 1e6,
		   s->slowest_member / 1e6);
}

/* The first of the seeds that failed, or none. */
static const Outcome *
first_failure(const Shared *shared, int processes)
{
	const Outcome *first = NULL;

	for (int i = 0; i < processes; i++)
		if (shared->outcomes[i].failed && (first == NULL || shared->outcomes[i].seed < first->seed))
			first = &shared->outcomes[i];
	return first;
}

static int
run_all(uint64 seed, long runs, double seconds, int processes)
{
	Shared *shared =
		mmap(NULL, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double begun = seconds_now();
	Statistics sum = {0};
	const Outcome *failure;
	bool crashed = false;

	if (shared == MAP_FAILED)
		abort();
	for (int i = 0; i < processes; i++)
		if (fork() == 0)
		{
			run_share(shared, i, processes, seed, runs, begun + seconds);
			_exit(0);
		}
	for (int status; wait(&status) > 0;)
		crashed |= !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	if (crashed)
	{
		printf("a process of the simulator crashed\n");
		return 1;
	}
	failure = first_failure(shared, processes);
	if (failure != NULL)
	{
		print_failure(failure->seed, breakage == BREAK_NOTHING);
		return 1;
	}
	for (int i = 0; i < processes; i++)
		add_statistics(&sum, &shared->outcomes[i].statistics);
	print_statistics(&sum);
	printf("%.0f schedules a second\n", sum.schedules / Max(seconds_now() - begun, 0.001));
	return 0;
}

static uint64
parse_faults(const char *text)
{
	uint64 faults = 0;
	char *end = (char *) text;

	while (*end != '\0')
	{
		faults |= UINT64_C(1) << (strtoul(end, &end, 10) & 63);
		if (*end != '\0')
			end++;
	}
	return faults;
}

int
main(int argc, char **argv)
{
	uint64 seed = 1;
	long runs = -1;
	double seconds = -1;
	int processes = 1;
	bool twice = false;
	int option;

	while ((option = getopt(argc, argv, "n:T:s:j:t1f:x:rlm:k:")) != -1)
		switch (option)
		{
			case 'n':
				runs = atol(optarg);
				break;
			case 'T':
				seconds = atof(optarg);
				break;
			case 's':
				seed = strtoul(optarg, NULL, 10);
				break;
			case 'j':
				processes = Max(1, Min(atoi(optarg), MAX_PROCESSES));
				break;
			case 't':
				world_tracing = true;
				processes = 1;
				break;
			case '1':
				single_only = "any";
				break;
			case 'f':
				single_only = optarg;
				break;
			case 'x':
				fault_dropped = parse_faults(optarg);
				break;
			case 'r':
				twice = true;
				break;
			case 'l':
				list_rules();
				single_list();
				return 0;
			case 'm':
				broken_row = atoi(optarg);
				break;
			case 'k':
				parse_breakage(optarg);
				break;
			default:
				return 2;
		}
	if (runs < 0)
		runs = seconds > 0 ? LONG_MAX / 2 : 1000;
	if (twice)
		return run_twice(seed, runs);
	setvbuf(stdout, NULL, _IOLBF, 0);
	return run_all(seed, runs, seconds > 0 ? seconds : 1e9, processes);
}
