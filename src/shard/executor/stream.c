/*-------------------------------------------------------------------------
 * stream.c
 *	  Rows of several shards as they come.
 *
 * Groups work side by side, the shards of one after each other, of which two
 * are under way: one gives rows, the next is ready when it ends.  So a query
 * that has seen enough leaves little to be stopped, and what is not read yet
 * waits at its node.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "shard/executor/scan.h"

#define UNDER_WAY 2

static void start_tasks(ShardScan *scan, Lane *lane);
static ShardTask *current_task(Lane *lane);
static bool read_lane(ShardScan *scan, Lane *lane, bool wait);
static bool read_any(ShardScan *scan);

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
	const DistributedTable *table = scan_table(scan);

	while (lane->nstarted < UNDER_WAY && lane->nstarted < list_length(lane->tasks))
	{
		ShardTask *task = list_nth(lane->tasks, lane->nstarted++);

		tasks_start(scan, task, shards_sql(scan, table, task->shard - table->colocation->shards));
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

		for (int i = 0; i < scan->nlanes; i++)
			nlive += scan->lanes[i].tasks != NIL;
		for (int i = 1; i <= scan->nlanes; i++)
		{
			int number = (scan->lane + i) % scan->nlanes;
			Lane *lane = &scan->lanes[number];

			if (read_lane(scan, lane, nlive == 1))
			{
				scan->lane = number;
				return true;
			}
			if (lane->tasks != NIL && nwaiting < REMOTE_MAX_WAIT)
				waiting[nwaiting++] = current_task(lane)->remote;
		}
		if (nwaiting == 0)
			return false;
		if (nlive > 1)
			remote_wait_any(waiting, nwaiting);
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
		start_tasks(scan, lane);
	}
	return false;
}
