/*-------------------------------------------------------------------------
 * scan.c
 *	  The custom scan that carries out a ShardPlan.
 *
 * Nothing is asked of a node before the first row is wanted, or before rows
 * are changed that a cursor should see as they were.  Rows are passed on as
 * they come where the plan reads them once, from start to end; else they are
 * gathered in a store that spills to disk, and can be read again.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/parallel.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/memutils.h"

#include "shard/executor/copies.h"
#include "shard/executor/exchange.h"
#include "shard/executor/scan.h"
#include "shard/remote/snapshot.h"

/* Those that were begun and have asked for nothing yet. */
static dlist_head waiting_scans = DLIST_STATIC_INIT(waiting_scans);

static Node *scan_create(CustomScan *plan);
static void scan_begin(CustomScanState *node, EState *estate, int eflags);
static bool needs_no_other(ShardScan *scan);
static bool find_exec_params(Node *node, void *context);
static void forget_scan(void *arg);
static bool reads_first(ShardScan *scan);
static TupleTableSlot *scan_exec(CustomScanState *node);
static void scan_end(CustomScanState *node);
static void scan_stop(ShardScan *scan);
static void scan_rescan(CustomScanState *node);
static TupleTableSlot *scan_next(ScanState *node);
static bool scan_recheck(ScanState *node, TupleTableSlot *slot);
static void scan_start(ShardScan *scan);
static void start_stream(ShardScan *scan);
static void start_gather(ShardScan *scan);
static TupleTableSlot *next_stored(ShardScan *scan);
static void clear_results(void *arg);

const CustomScanMethods shard_scan_methods = {
	.CustomName = "pgcluster",
	.CreateCustomScanState = scan_create,
};

static const CustomExecMethods exec_methods = {
	.CustomName = "pgcluster",
	.BeginCustomScan = scan_begin,
	.ExecCustomScan = scan_exec,
	.EndCustomScan = scan_end,
	.ReScanCustomScan = scan_rescan,
	.ExplainCustomScan = explain_scan,
};

/* What an execution begins with, by tier. */
static void (*const starters[])(ShardScan *scan) = {
	[TIER_SINGLE_SHARD] = start_stream, [TIER_EVERY_SHARD] = start_gather,
	[TIER_ROWS] = rows_start,			[TIER_SELECT_ROWS] = select_rows_start,
	[TIER_FOUND] = found_start,			[TIER_EVERY_COPY] = every_copy_start,
	[TIER_BY_TABLE] = start_gather,		[TIER_PUSHDOWN] = start_gather,
	[TIER_STEPS] = steps_start,			[TIER_COPIED_ROWS] = copied_rows_start,
	[TIER_ON_NODE] = on_node_start,		[TIER_EXCHANGED] = repartition_start,
	[TIER_CALL] = call_start,
};

static Node *
scan_create(CustomScan *plan)
{
	ShardScan *scan = palloc0(sizeof(ShardScan));

	NodeSetTag(scan, T_CustomScanState);
	scan->css.methods = &exec_methods;
	scan->plan = shard_plan_of(plan);
	scan->params = shard_plan_params(plan);
	return (Node *) scan;
}

static void
scan_begin(CustomScanState *node, EState *estate, int eflags)
{
	ShardScan *scan = (ShardScan *) node;
	MemoryContextCallback *callback;

	scan->context =
		AllocSetContextCreate(estate->es_query_cxt, "pgcluster scan", ALLOCSET_SMALL_SIZES);
	scan->owner = CurrentResourceOwner;
	scan->snapshot = snapshot_of_statement();
	scan->may_stream = (eflags & (EXEC_FLAG_REWIND | EXEC_FLAG_BACKWARD | EXEC_FLAG_MARK)) == 0;
	(void) find_exec_params((Node *) scan->params, &scan->exec_params);
	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0 && reads_first(scan))
		local_begin_reading(scan);
	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0 && scan->plan->tier == TIER_STEPS)
		steps_begin(scan, 0);

	/* A call is made when its result is wanted. */
	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0 || scan->plan->command != CMD_SELECT ||
		scan->plan->tier == TIER_CALL)
		return;
	callback = MemoryContextAlloc(estate->es_query_cxt, sizeof(*callback));
	callback->func = forget_scan;
	callback->arg = scan;
	MemoryContextRegisterResetCallback(estate->es_query_cxt, callback);
	dlist_push_tail(&waiting_scans, &scan->waiting);
	scan->waits = true;
}

static void
forget_scan(void *arg)
{
	ShardScan *scan = arg;

	if (scan->waits)
		dlist_delete(&scan->waiting);
	scan->waits = false;
}

/* Does it run a query to its end before it writes? */
static bool
reads_first(ShardScan *scan)
{
	return scan->plan->tier == TIER_SELECT_ROWS || scan->plan->tier == TIER_FOUND;
}

void
scan_read_waiting(void)
{
	ResourceOwner owner = CurrentResourceOwner;
	dlist_iter iter;
	ShardScan *scan;

	direct_read_waiting();
	do
	{
		scan = NULL;
		dlist_foreach (iter, &waiting_scans)
		{
			scan = dlist_container(ShardScan, waiting, iter.cur);
			if (needs_no_other(scan))
				break;
			scan = NULL;
		}
		if (scan == NULL)
			return;

		/* Takes it out of the list, and may take others; what it opens is its own. */
		scan->may_stream = false;
		CurrentResourceOwner = scan->owner;
		scan_start(scan);
		CurrentResourceOwner = owner;
		for (int i = 0; i < scan->ntasks && scan->streaming; i++)
			tasks_spool(&scan->tasks[i]);
	} while (scan != NULL);
}

/* Does it depend on nothing, or on subqueries that are run once, by whoever asks first? */
static bool
needs_no_other(ShardScan *scan)
{
	ParamExecData *values = scan->css.ss.ps.state->es_param_exec_vals;
	int id = -1;

	while ((id = bms_next_member(scan->exec_params, id)) >= 0)
	{
		if (values[id].execPlan == NULL)
			return false;
	}
	return true;
}

/* Values that the plan around the scan sets, and may set anew. */
static bool
find_exec_params(Node *node, void *context)
{
	Bitmapset **found = context;

	if (node == NULL)
		return false;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC)
		*found = bms_add_member(*found, ((Param *) node)->paramid);
	return expression_tree_walker(node, find_exec_params, context);
}

bool
scan_is_ours(PlanState *node)
{
	return IsA(node, CustomScanState) && ((CustomScanState *) node)->methods == &exec_methods;
}

static TupleTableSlot *
scan_exec(CustomScanState *node)
{
	return ExecScan(&node->ss, scan_next, scan_recheck);
}

static TupleTableSlot *
scan_next(ScanState *node)
{
	ShardScan *scan = (ShardScan *) node;

	if (!scan->started)
		scan_start(scan);
	if (scan->streaming && stream_next(scan, &scan->at_hand))
	{
		MemoryContext old;

		if (scan->forward)
			return forward_slot(scan);
		old = MemoryContextSwitchTo(node->ps.ps_ExprContext->ecxt_per_tuple_memory);
		codec_store_row(&scan->cache->rows, &scan->at_hand, node->ss_ScanTupleSlot);
		MemoryContextSwitchTo(old);
		node->ss_ScanTupleSlot->tts_tableOid = scan->plan->relid;
		return node->ss_ScanTupleSlot;
	}
	if (scan->merge != NULL)
		return sorted_next(scan);
	if (scan->store != NULL)
		return next_stored(scan);
	return ExecClearTuple(node->ss_ScanTupleSlot);
}

/* Shards have filtered by these conditions already, and no row of theirs is ever rechecked. */
static bool
scan_recheck(ScanState *node, TupleTableSlot *slot)
{
	return true;
}

static void
scan_start(ShardScan *scan)
{
	MemoryContextCallback *callback = MemoryContextAllocZero(scan->context, sizeof(*callback));

	/* Such a process would not see what this transaction did on the nodes. */
	if (IsParallelWorker())
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("distributed tables cannot be used in a parallel worker"),
						errhint("Mark the function that uses them as PARALLEL UNSAFE.")));
	callback->func = clear_results;
	callback->arg = scan;
	MemoryContextRegisterResetCallback(scan->context, callback);
	scan->started = true;
	forget_scan(scan);
	if (scan->plan->writes && !reads_first(scan) && scan->plan->tier != TIER_STEPS)
		scan_read_waiting();
	copies_before(scan->css.ss.ps.state->es_plannedstmt->relationOids);
	if (scan->css.ss.ps.state->es_instrument != 0)
		explain_begin(scan);
	params_prepare(scan);
	params_evaluate(scan);
	starters[scan->plan->tier](scan);
}

/* An error between two rows must not leave the results that were at hand. */
static void
clear_results(void *arg)
{
	ShardScan *scan = arg;

	for (int i = 0; i < scan->ntasks; i++)
	{
		PQclear(scan->tasks[i].result);
		scan->tasks[i].result = NULL;
	}
}

/* The whole statement on one shard. */
static void
start_stream(ShardScan *scan)
{
	const DistributedTable *table = scan_table(scan);
	RemoteRow row;

	stream_start(scan, table, shards_choose(scan, table));
	if (!scan->plan->returning)
		(void) stream_next(scan, &row);
}

/* The same SQL on several shards. */
static void
start_gather(ShardScan *scan)
{
	const DistributedTable *table = scan_table(scan);
	List *positions = shards_choose(scan, table);

	if (scan->plan->needed_parts != NIL)
		positions = exchange_choose(scan, positions);
	if (scan->plan->sources != NIL)
		repartition_prepare(scan);
	if (scan->plan->sort_columns != NIL)
	{
		sorted_start(scan, table, positions);
		return;
	}
	if (scan->plan->streams && scan->may_stream && forward_runs_through())
	{
		stream_start(scan, table, positions);
		return;
	}
	if (scan->forward)
		elog(ERROR, "rows that are kept cannot go to the client as they came");
	if (scan->plan->ships)
	{
		exchange_gather(scan, table, positions);
		return;
	}
	tasks_create(scan, table, positions);
	scan->store = tasks_new_store(scan);
	for (int i = 0; i < scan->ntasks; i++)
	{
		ShardTask *task = &scan->tasks[i];

		task->store = scan->store;
		tasks_start(scan, task, shards_sql(scan, scan_table(scan), task->position));
	}
	for (int i = 0; i < scan->ntasks; i++)
		tasks_drain(&scan->tasks[i]);
	tasks_finish(scan);
}

const DistributedTable *
scan_table(ShardScan *scan)
{
	const ShardPlanCache *cache = scan->cache;
	const DistributedTable *table;

	if (cache != NULL && cache->generation == metadata_generation() && cache->table != NULL)
		return cache->table;
	table = metadata_table(scan->plan->relid);

	if (table == NULL)
		elog(ERROR, "table %u is not distributed any more", scan->plan->relid);
	return table;
}

TupleTableSlot *
scan_store_slot(ShardScan *scan)
{
	if (scan->store_slot == NULL)
		scan->store_slot = ExecInitExtraTupleSlot(
			scan->css.ss.ps.state, scan->css.ss.ss_ScanTupleSlot->tts_tupleDescriptor,
			&TTSOpsMinimalTuple);
	return scan->store_slot;
}

/* Rows of a SELECT are counted by the executor. */
void
scan_count_affected(ShardScan *scan, int64 affected)
{
	if (scan->plan->command != CMD_SELECT && scan->css.ss.ps.state->es_plannedstmt->canSetTag)
		scan->css.ss.ps.state->es_processed += affected;
}

static TupleTableSlot *
next_stored(ShardScan *scan)
{
	TupleTableSlot *slot = scan->css.ss.ss_ScanTupleSlot;
	TupleTableSlot *stored = scan_store_slot(scan);
	int columns = slot->tts_tupleDescriptor->natts;

	ExecClearTuple(slot);
	if (!tuplestore_gettupleslot(scan->store, true, false, stored))
		return slot;
	slot_getallattrs(stored);
	memcpy(slot->tts_values, stored->tts_values, columns * sizeof(Datum));
	memcpy(slot->tts_isnull, stored->tts_isnull, columns * sizeof(bool));
	slot->tts_tableOid = scan->plan->relid;
	return ExecStoreVirtualTuple(slot);
}

static void
scan_end(CustomScanState *node)
{
	forget_scan(node);
	local_end_reading((ShardScan *) node);
	steps_end((ShardScan *) node);
	scan_stop((ShardScan *) node);
}

/* Lets go of all that the execution began. */
static void
scan_stop(ShardScan *scan)
{
	for (int i = 0; i < scan->ntasks; i++)
	{
		if (scan->tasks[i].remote != NULL)
			remote_task_end(scan->tasks[i].remote);
		scan->tasks[i].remote = NULL;
	}
	sorted_stop(scan);
	clear_results(scan);
	if (scan->store_slot != NULL)
		ExecClearTuple(scan->store_slot);
	if (scan->store != NULL)
		tuplestore_end(scan->store);
	scan->store = NULL;
}

/*
 * The same rows again, or those for other values of the parameters that a
 * plan around it sets.
 */
static void
scan_rescan(CustomScanState *node)
{
	ShardScan *scan = (ShardScan *) node;

	bool passes_on = scan->streaming || scan->merge != NULL;

	ExecScanReScan(&node->ss);
	if (!scan->started)
		return;
	if (scan->plan->command == CMD_SELECT && !passes_on &&
		!bms_overlap(node->ss.ps.chgParam, scan->exec_params))
	{
		tuplestore_rescan(scan->store);
		return;
	}
	if (scan->plan->command != CMD_SELECT || passes_on)
		elog(ERROR, "a statement on one shard cannot be run again from its start");
	scan_stop(scan);
	ExecClearTuple(node->ss.ss_ScanTupleSlot);
	MemoryContextReset(scan->context);
	scan->row_context = NULL;
	scan->ntasks = scan->nlanes = scan->lane = 0;
	scan->tasks = NULL;
	scan->exchanges = NIL;
	scan->started = false;
}
