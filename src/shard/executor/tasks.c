/*-------------------------------------------------------------------------
 * tasks.c
 *	  Statements under way on nodes.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "shard/executor/scan.h"

static void spool(void *arg);
static void store_result(ShardTask *task);

/* A task for each of these shards. */
void
tasks_create(ShardScan *scan, const DistributedTable *table, List *positions)
{
	ListCell *cell;

	scan->tasks =
		MemoryContextAllocZero(scan->context, Max(list_length(positions), 1) * sizeof(ShardTask));
	foreach (cell, positions)
	{
		ShardTask *task = &scan->tasks[scan->ntasks++];

		task->shard = &table->colocation->shards[lfirst_int(cell)];
		task->group_id = task->shard->group_id;
	}
}

/* Sends the statement to the group of the task's shard. */
void
tasks_start(ShardScan *scan, ShardTask *task, const char *sql)
{
	RemoteQuery query = {0};

	task->scan = scan;
	query.group_id = task->group_id;
	query.sql = sql;
	query.nparams = scan->cache->nparams;
	query.types = scan->cache->wire_types;
	query.values = scan->wire_values;
	query.lengths = scan->wire_lengths;
	query.formats = scan->wire_formats;
	query.binary = scan->cache->rows.binary;
	query.prepare = scan->plan->tier != TIER_ROWS && query.nparams > 0;
	query.writes = scan->plan->writes;
	query.whole = scan->plan->few;
	task->remote = remote_task_start(&query, scan->context, spool, task);
}

Tuplestorestate *
tasks_new_store(ShardScan *scan)
{
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	ResourceOwner owner = CurrentResourceOwner;
	Tuplestorestate *store;

	CurrentResourceOwner = scan->owner;
	store = tuplestore_begin_heap(false, false, work_mem);
	if (scan->row_context == NULL)
		scan->row_context =
			AllocSetContextCreate(scan->context, "pgcluster row", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(scan->css.ss.ps.state->es_query_cxt);
	if (scan->row_slot == NULL)
		scan->row_slot = ExecInitExtraTupleSlot(scan->css.ss.ps.state,
												scan->css.ss.ss_ScanTupleSlot->tts_tupleDescriptor,
												&TTSOpsVirtual);
	CurrentResourceOwner = owner;
	MemoryContextSwitchTo(old);
	return store;
}

/*
 * The connection is needed for something else: what is left of a stream of
 * rows goes into a store, from which the scan reads on.
 */
static void
spool(void *arg)
{
	ShardTask *task = arg;
	ShardScan *scan = task->scan;

	if (task->store == NULL)
	{
		task->store = tasks_new_store(scan);
		if (scan->streaming)
			scan->store = task->store;
	}
	tasks_drain(task);
}

/* Reads all rows of the task into its store. */
void
tasks_drain(ShardTask *task)
{
	ShardScan *scan = task->scan;
	ResourceOwner owner = CurrentResourceOwner;

	if (task->drained)
		return;
	CurrentResourceOwner = scan->owner;
	for (;;)
	{
		/* What the reader of the stream had not yet taken comes first. */
		if (scan->result == NULL)
		{
			scan->result = remote_task_next(task->remote);
			scan->result_row = 0;
		}
		if (scan->result == NULL)
			break;
		store_result(task);
	}
	task->drained = true;
	CurrentResourceOwner = owner;
}

/* Moves the rest of the result at hand into the task's store. */
static void
store_result(ShardTask *task)
{
	ShardScan *scan = task->scan;
	TupleTableSlot *slot = scan->row_slot;

	while (scan->result_row < PQntuples(scan->result))
	{
		MemoryContext old = MemoryContextSwitchTo(scan->row_context);

		codec_store_row(&scan->cache->rows, scan->result, scan->result_row++, slot);
		MemoryContextSwitchTo(old);
		tuplestore_putvalues(task->store, slot->tts_tupleDescriptor, slot->tts_values,
							 slot->tts_isnull);
		ExecClearTuple(slot);
		MemoryContextReset(scan->row_context);
	}
	PQclear(scan->result);
	scan->result = NULL;
}

/* Rows the statement changed; the task is over after that. */
int64
tasks_end(ShardTask *task)
{
	int64 affected = remote_task_affected(task->remote);

	remote_task_end(task->remote);
	task->remote = NULL;
	return affected;
}

void
tasks_finish(ShardScan *scan)
{
	int64 affected = 0;

	for (int i = 0; i < scan->ntasks; i++)
		affected += tasks_end(&scan->tasks[i]);
	scan_count_affected(scan, affected);
}
