/*-------------------------------------------------------------------------
 * fault.c
 *	  What goes wrong, and when it is over.
 *
 * When the group has come up, a few faults hit it in a short time, most of
 * them the leader; then all is healed, and the group has to come back.
 *-------------------------------------------------------------------------
 */
#include "sim.h"

#define MAX_FAULTS 7
#define START_BOUND_US (60 * SECOND)

bool fault_over;
int64 fault_healed;
HaConfig group_config;
int fault_count;
uint64 fault_dropped = 0;

void
fault_put_config(void)
{
	store_put(KEY_CONFIG, key_write_group(&group_config));
}

/* The leader more often than not. */
static Member *
choose_member(void)
{
	if (store_last_leader >= 0 && chance_of(600))
		return &members[store_last_leader];
	return &members[chance_between(0, nmembers - 1)];
}

/* A while that leases may or may not outlast. */
static int64
choose_while(void)
{
	if (chance_of(300))
		return chance_between(MS, 500 * MS);
	return chance_between(0, 3 * group_config.ttl * SECOND);
}

static void
pause_agent(void)
{
	Member *m = choose_member();

	if (m->process == NULL)
		return;
	m->process->pause_in = (int) chance_between(1, 60);
	m->process->pause_for = choose_while();
}

static void
pause_machine(void)
{
	Member *m = choose_member();

	m->pause_in = (int) chance_between(1, 60);
	m->pause_for = choose_while();
}

static void
pause_session(void)
{
	Member *m = choose_member();

	m->backend_pause_in = (int) chance_between(1, 6);
	m->backend_pause_for = choose_while();
}

static void
break_agent(void)
{
	Member *m = choose_member();

	if (m->process != NULL)
		m->process->throw_in = (int) chance_between(1, 60);
}

static void
kill_agent(void)
{
	server_fail_agent(choose_member());
}

static void
kill_postmaster(void)
{
	server_kill(choose_member());
}

static void
power_off(void)
{
	server_power_off(choose_member());
}

static void
shut_down(void)
{
	server_stop(choose_member());
}

static void
restart(void)
{
	server_restart_kept(choose_member());
}

/*
 * The network
 */

typedef struct Cut
{
	bool was[MAX_MEMBERS + 1][MAX_MEMBERS + 1];
} Cut;

static void
mend(void *a, int64 b)
{
	if (fault_over)
		return;
	world_trace("network: mended");
	memset(net_cut, 0, sizeof(net_cut));
}

void
fault_mend_after(int64 us)
{
	world_at(world_now + us, mend, NULL, 0);
}

/* "way": 0 both, 1 from "a" to "b" only, 2 the other */
void
fault_cut(int a, int b, int way)
{
	if (way != 2)
		net_cut[a][b] = true;
	if (way != 1)
		net_cut[b][a] = true;
}

static void
cut_network(void)
{
	const Member *m = choose_member();
	int way = chance_of(600) ? 0 : (int) chance_between(1, 2);
	int kind = (int) chance_between(0, 3);

	world_trace("network: cut %s off from %s, %s", m->name,
				kind == 0	? "the store"
				: kind == 1 ? "the members"
				: kind == 2 ? "all"
							: "some",
				way == 0   ? "both ways"
				: way == 1 ? "outwards"
						   : "inwards");
	if (kind == 0 || kind == 2)
		fault_cut(m->id, STORE, way);
	for (int i = 0; i < nmembers; i++)
		if (i != m->id && (kind == 1 || kind == 2 || (kind == 3 && chance_of(500))))
			fault_cut(m->id, i, way);
	if (kind == 3 && chance_of(500))
		fault_cut((int) chance_between(0, nmembers - 1), STORE, 0);
	fault_mend_after(choose_while());
}

/* Into two parts, one of them with the store. */
static void
divide_network(void)
{
	int way = chance_of(700) ? 0 : (int) chance_between(1, 2);
	bool there[MAX_MEMBERS + 1] = {[STORE] = true};

	for (int i = 0; i < nmembers; i++)
		there[i] = chance_of(500);
	world_trace("network: divided%s", way == 0 ? "" : ", one way");
	for (int i = 0; i < nmembers; i++)
	{
		if (!there[i])
			fault_cut(i, STORE, way);
		for (int k = 0; k < nmembers; k++)
			if (!there[i] && there[k])
				fault_cut(i, k, way);
	}
	fault_mend_after(choose_while());
}

static void
quicken(void *a, int64 b)
{
	net_begin();
}

static void
slow_network(void)
{
	world_trace("network: slow");
	net_slow_permille = (int) chance_between(50, 600);
	net_slow_us =
		chance_of(500) ? chance_between(10 * MS, 500 * MS) : chance_between(SECOND, 4 * SECOND);
	net_loss_permille = (int) chance_between(0, 200);
	world_at(world_now + choose_while(), quicken, NULL, 0);
}

/*
 * The store
 */

static void
store_returns(void *a, int64 b)
{
	if (store_state() != STORE_UP)
		world_trace("store: is back");
	store_set_state(STORE_UP);
}

void
fault_stop_store(StoreState how, int64 us)
{
	world_trace("store: %s", how == STORE_REFUSES  ? "down"
							 : how == STORE_FROZEN ? "frozen"
												   : "silent");
	store_set_state(how);
	world_at(world_now + us, store_returns, NULL, 0);
}

static void
stop_store(void)
{
	StoreState how = (StoreState) chance_between(STORE_REFUSES, STORE_SILENT);

	if (store_state() == STORE_UP)
		fault_stop_store(how, choose_while());
}

static void
store_hurries(void *a, int64 b)
{
	store_delay = 0;
}

static void
slow_store(void)
{
	store_delay =
		chance_of(500) ? chance_between(50 * MS, 800 * MS) : chance_between(SECOND, 3 * SECOND);
	world_trace("store: takes up to %ld ms to do and to answer", (long) (store_delay / MS));
	world_at(world_now + choose_while(), store_hurries, NULL, 0);
}

static void
compact_store(void)
{
	world_trace("store: compacted");
	store_compact();
}

/*
 * Wishes
 */

static void
ask_session(void)
{
	Member *m = &members[chance_between(0, nmembers - 1)];

	if (m->postmaster && m->process != NULL)
		server_ask_switchover(m,
							  chance_of(700) ? members[chance_between(0, nmembers - 1)].name : "");
}

static void
write_failover(void)
{
	char text[64];

	snprintf(text, sizeof(text), "%s,%s,%ld",
			 chance_of(700) && store_last_leader >= 0 ? members[store_last_leader].name : "",
			 members[chance_between(0, nmembers - 1)].name,
			 chance_of(300) ? (long) (world_now + chance_between(0, 3 * SECOND)) : 0L);
	store_put(KEY_FAILOVER, text);
}

static void
change_ttl(void)
{
	group_config.ttl = (int) chance_between(2, 8);
	fault_put_config();
}

static void
pause_cluster(void)
{
	group_config.paused = chance_of(500);
	fault_put_config();
}

/* In groups that have a synchronous mode, or may get one: it overrides the user's own setting. */
static void
change_synchronicity(void)
{
	if (group_config.sync_mode == SYNC_MODE_OFF && (sync_standbys > 0 || !chance_of(200)))
		return;
	group_config.sync_mode = (HaSyncMode) chance_between(SYNC_MODE_OFF, SYNC_MODE_QUORUM);
	group_config.sync_count = (int) chance_between(1, 2);
	group_config.sync_strict = chance_of(500);
	if (group_config.sync_mode == SYNC_MODE_OFF)
		check_void_promises();
	fault_put_config();
}

static void
turn_failsafe(void)
{
	group_config.failsafe_mode = chance_of(500);
	fault_put_config();
}

static void
slow_disk(void)
{
	Member *m = choose_member();

	world_trace("%s: slow disk", m->name);
	m->disk_delay = chance_between(MS, SECOND);
}

static void
fill_disk(void)
{
	Member *m = choose_member();

	m->full_until = world_now + choose_while();
	world_trace("%s: its disk is full for %ld ms", m->name,
				(long) ((m->full_until - world_now) / MS));
}

static void
change_tags(void)
{
	Member *m = &members[chance_between(0, nmembers - 1)];

	m->tags_changed = true;
	m->may_lead = chance_of(500);
	m->priority = (int) chance_between(1, 2);
	m->sync_priority = (int) chance_between(0, 2);
	world_trace("%s: %s lead, priority %d, %d as a synchronous standby", m->name,
				m->may_lead ? "may" : "may not", m->priority, m->sync_priority);
}

static void
replace_member(void)
{
	int i = (int) chance_between(0, nmembers - 1);

	if (i != store_last_leader)
		server_replace(&members[i]);
}

static void
change_limits(void)
{
	group_config.loop_wait = (int) chance_between(1, 10);
	group_config.primary_start_timeout = chance_of(500) ? 1 : 300;
	fault_put_config();
}

static void
make_unwell(void)
{
	Member *m = choose_member();

	world_trace("%s: cannot write", m->name);
	m->unwell_until = world_now + choose_while();
}

static const struct
{
	void (*happen)(void);
	int weight;
} faults[] = {
	{pause_agent, 10},	{pause_machine, 10}, {pause_session, 8},
	{break_agent, 5},	{kill_agent, 6},	 {kill_postmaster, 8},
	{power_off, 8},		{shut_down, 5},		 {restart, 5},
	{cut_network, 16},	{slow_network, 5},	 {stop_store, 8},
	{compact_store, 3}, {ask_session, 12},	 {write_failover, 6},
	{change_ttl, 2},	{pause_cluster, 2},	 {change_synchronicity, 5},
	{slow_disk, 3},		{divide_network, 6}, {slow_store, 5},
	{fill_disk, 4},		{change_tags, 4},	 {replace_member, 3},
	{change_limits, 2}, {make_unwell, 6},	 {turn_failsafe, 3},
};

/*
 * Each has chance of its own, so that one that is left out changes the others
 * by what follows from it alone.
 */
typedef struct Planned
{
	int number;
	uint64 chance;
} Planned;

static void
fault_happens(void *a, int64 b)
{
	const Planned *planned = a;
	uint64 chance;
	int total = 0;
	int chosen;

	if (fault_over || (fault_dropped >> planned->number & 1))
		return;
	chance = chance_swap(planned->chance);
	for (size_t i = 0; i < lengthof(faults); i++)
		total += faults[i].weight;
	chosen = (int) chance_between(0, total - 1);
	for (size_t i = 0; i < lengthof(faults) && chosen >= 0; i++)
	{
		chosen -= faults[i].weight;
		if (chosen < 0)
		{
			world_trace("fault %d", planned->number);
			faults[i].happen();
		}
	}
	chance_swap(chance);
}

static void
plan_fault(int64 when)
{
	Planned *planned = world_alloc(sizeof(*planned));

	*planned = (Planned){fault_count++, chance_next()};
	world_at(when, fault_happens, planned, 0);
}

void
fault_heal(void *a, int64 b)
{
	fault_over = true;
	net_begin();
	store_delay = 0;
	store_set_state(STORE_UP);
	group_config.paused = false;
	fault_put_config();
	fault_healed = world_now;
	fault_no_election = false;
	fault_unfit = 0;
	for (int i = 0; i < nmembers; i++)
	{
		Member *m = &members[i];

		m->pause_in = 0;
		m->backend_pause_in = 0;
		m->disk_delay = 0;
		m->unwell_until = 0;
		m->full_until = 0;
		m->may_lead |= m->tags_changed;
		m->recovery_extra = 0;
		fault_healed = Max(fault_healed, member_paused_until(m, m->process));
		if (m->process != NULL)
		{
			m->process->pause_in = 0;
			m->process->throw_in = 0;
		}
	}
	world_trace("all is healed as of %.3f", fault_healed / 1e6);
}

/* When the group has come up. */
static void
begin_faults(void *a, int64 b)
{
	int n = (int) chance_between(1, MAX_FAULTS);
	int64 last = 0;

	if (!check_settled())
	{
		if (world_now > START_BOUND_US)
			world_fail("the group did not come up in %d s", (int) (START_BOUND_US / SECOND));
		world_at(world_now + 50 * MS, begin_faults, NULL, 0);
		return;
	}
	fault_put_config();
	if (fault_is_single)
	{
		single_begin();
		return;
	}
	for (int i = 0; i < n; i++)
	{
		int64 when = chance_between(100 * MS, chance_of(500) ? 3 * SECOND : 12 * SECOND);

		last = Max(last, when);
		plan_fault(world_now + when);
	}
	world_at(world_now + last + chance_between(100 * MS, chance_of(700) ? 2 * SECOND : 8 * SECOND),
			 fault_heal, NULL, 0);
}

void
fault_begin(void)
{
	fault_over = false;
	fault_healed = 0;
	fault_count = 0;
	single_choose();
	group_config.ttl = chance_of(500) ? 5 : (int) chance_between(2, 6);
	group_config.failsafe_mode = !fault_is_single && chance_of(400);
	world_at(SECOND, begin_faults, NULL, 0);
}
