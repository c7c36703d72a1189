/*-------------------------------------------------------------------------
 * stream.c
 *	  Rows of several shards as they come.
 *
 * Groups work side by side, the shards of one after each other, of which two
 * are under way: one gives rows, the next is ready when it ends.  So a query
 * that has seen enough leaves little to be stopped, and what is not read yet
 * waits at its node.
 *
 * Where what is left for a group would take long at the pace so far, other
 * connections help with it, one more each time that it would still take
 * HELP_US for each.  So short queries never pay for connecting.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/clock.h"
#include "base/config.h"
#include "shard/executor/scan.h"

#define UNDER_WAY 2
#define HELP_US 100000
#define LOOK_US 10000

static void start_tasks(ShardScan *scan, Lane *lane);
static ShardTask *current_task(Lane *lane);
static bool read_lane(ShardScan *scan, Lane *lane, bool wait);
static bool read_any(ShardScan *scan);
static bool is_waited_for(ShardScan *scan);
static void get_help(ShardScan *scan);

void
stream_start(ShardScan *scan, const DistributedTable *table, List *positions)
{
	MemoryContext old = MemoryContextSwitchTo(scan->context);

	tasks_create(scan, table, positions);
	scan->streaming = true;
	scan->lanes = palloc0(Max(scan->ntasks, 1) * sizeof(Lane));
	for (int i = 0; i < scan->ntasks; i++)
	{
		ShardTask *task = &scan->tasks[i];
		int lane = 0;

		while (lane < scan->nlanes && current_task(&scan->lanes[lane])->group_id != task->group_id)
			lane++;
		scan->nlanes = Max(scan->nlanes, lane + 1);
		scan->lanes[lane].tasks = lappend(scan->lanes[lane].tasks, task);
	}
	for (int i = 0; i < scan->nlanes; i++)
		start_tasks(scan, &scan->lanes[i]);
	scan->helped = scan->ntasks > scan->nlanes * UNDER_WAY && scan->plan->command == CMD_SELECT &&
				   !scan->plan->writes && !OidIsValid(scan->plan->reader) &&
				   scan->plan->sources == NIL && config_max_session_connections > 1;
	if (scan->helped)
		scan->streaming_since = scan->help_looked = clock_now_us();
	MemoryContextSwitchTo(old);
}

bool
stream_next(ShardScan *scan, RemoteRow *row)
{
	while (scan->lane < scan->nlanes)
	{
		ShardTask *task = current_task(&scan->lanes[scan->lane]);

		if (task != NULL && tasks_take(task, row))
			return true;
		if (!read_any(scan))
			scan->lane = scan->nlanes;
	}
	return false;
}

/* The one that gives rows, NULL when all are through. */
static ShardTask *
current_task(Lane *lane)
{
	return lane->tasks == NIL ? NULL : linitial(lane->tasks);
}

static void
start_tasks(ShardScan *scan, Lane *lane)
{
	Lane *helped = lane->number > 0 ? &scan->lanes[lane->helps] : NULL;

	while (helped != NULL && list_length(lane->tasks) < UNDER_WAY &&
		   helped->nstarted < list_length(helped->tasks))
	{
		MemoryContext old = MemoryContextSwitchTo(scan->context);

		/* The last one, which is the furthest from being started there. */
		lane->tasks = lappend(lane->tasks, llast(helped->tasks));
		helped->tasks = list_delete_last(helped->tasks);
		MemoryContextSwitchTo(old);
	}
	while (lane->nstarted < UNDER_WAY && lane->nstarted < list_length(lane->tasks))
	{
		ShardTask *task = list_nth(lane->tasks, lane->nstarted++);

		task->helper = lane->number;
		/* Starting one may see changes of the catalog: what it says is looked up anew. */
		tasks_start(scan, task, shards_sql(scan, scan_table(scan), task->position));
	}
}

/* Reads on in some lane; false when there is nothing more in any. */
static bool
read_any(ShardScan *scan)
{
	for (;;)
	{
		RemoteTask *waiting[REMOTE_MAX_WAIT];
		int nwaiting = 0;
		int nlive = 0;
		bool helped = scan->helped && is_waited_for(scan);

		if (helped)
			get_help(scan);
		for (int i = 0; i < scan->nlanes; i++)
			nlive += scan->lanes[i].tasks != NIL;
		for (int i = 1; i <= scan->nlanes; i++)
		{
			int number = (scan->lane + i) % scan->nlanes;
			Lane *lane = &scan->lanes[number];

			if (read_lane(scan, lane, nlive == 1 && !helped))
			{
				scan->lane = number;
				return true;
			}
			if (lane->tasks != NIL && nwaiting < REMOTE_MAX_WAIT)
				waiting[nwaiting++] = current_task(lane)->remote;
		}
		if (nwaiting == 0)
			return false;
		if (nlive > 1 || helped)
			remote_wait_any(waiting, nwaiting, helped ? LOOK_US / 1000 : -1);
	}
}

/* True when there are rows at hand.  May wait only if told so. */
static bool
read_lane(ShardScan *scan, Lane *lane, bool wait)
{
	ShardTask *task;

	while ((task = current_task(lane)) != NULL)
	{
		PGresult *result = NULL;
		bool done = task->drained;

		if (!done && wait)
		{
			result = remote_task_next(task->remote);
			done = result == NULL;
		}
		else if (!done)
			result = remote_task_poll(task->remote, &done);
		if (result != NULL)
		{
			tasks_got(task, result);
			return true;
		}
		if (!done)
			return false;
		task->drained = true;
		scan_count_affected(scan, tasks_end(task));
		lane->tasks = list_delete_first(lane->tasks);
		lane->nstarted--;
		lane->ended++;
		start_tasks(scan, lane);
	}
	return false;
}

/*
 * Help
 */

/* Are there tasks that nobody has begun? */
static bool
is_waited_for(ShardScan *scan)
{
	for (int i = 0; i < scan->nlanes; i++)
	{
		if (list_length(scan->lanes[i].tasks) > scan->lanes[i].nstarted)
			return true;
	}
	scan->helped = false;
	return false;
}

/* Microseconds that the tasks of a lane which nobody has begun would take. */
static int64
time_left(ShardScan *scan, const Lane *lane, int64 now)
{
	int pending = list_length(lane->tasks) - lane->nstarted;

	return (now - scan->streaming_since) * pending / Max(lane->ended, 1);
}

/* Another lane takes over some of what "lane" has to do. */
static void
add_helper(ShardScan *scan, Lane *lane, int number)
{
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	Lane *helper = &scan->lanes[scan->nlanes++];

	helper->number = number;
	helper->helps = lane - scan->lanes;
	lane->helpers++;
	scan->nhelpers++;
	start_tasks(scan, helper);
	MemoryContextSwitchTo(old);
}

/* Now and then: does some lane need help, and is there any? */
static void
get_help(ShardScan *scan)
{
	int64 now = clock_now_us();
	int nlanes = scan->nlanes;

	if (now - scan->help_looked < LOOK_US)
		return;
	scan->help_looked = now;
	for (int i = 0; i < nlanes; i++)
	{
		Lane *lane = &scan->lanes[i];
		RemoteQuery query = {.reads = true, .snapshot = scan->snapshot};
		int number;

		if (lane->number > 0 || list_length(lane->tasks) <= lane->nstarted ||
			time_left(scan, lane, now) < HELP_US * (lane->helpers + 1))
			continue;
		query.group_id = current_task(lane)->group_id;
		if ((number = remote_helper(&query)) > 0)
			add_helper(scan, lane, number);
	}
}
