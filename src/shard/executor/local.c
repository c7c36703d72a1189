/*-------------------------------------------------------------------------
 * local.c
 *	  Plans of which a part runs in this server.
 *
 * INSERT of the rows of a query: the query runs to its end before the first
 * row is sent, so that it cannot read rows of its own.  Writes on a reference
 * table: the copy here goes first, so that two writers of one row meet here
 * and not crosswise on the groups.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "executor/executor.h"
#include "executor/tstoreReceiver.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "tcop/dest.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "shard/ddl/router.h"
#include "shard/executor/scan.h"
#include "shard/planner/template.h"

static uint64 run_local(ShardScan *scan, ParamListInfo params, Tuplestorestate *store);
static ParamListInfo lifted_params(ShardScan *scan);
static void route_row(ShardPlan *plan, TupleTableSlot *slot, Router *router, Datum *values,
					  bool *nulls, int columns);
static void compare_counts(ShardScan *scan, uint64 here);

/* INSERT of the rows of a query. */
void
select_rows_start(ShardScan *scan)
{
	ShardPlan *plan = scan->plan;
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	Tuplestorestate *store = tuplestore_begin_heap(false, false, work_mem);
	Relation relation = table_open(plan->relid, NoLock);
	int columns = RelationGetDescr(relation)->natts;
	Datum *values = palloc(columns * sizeof(Datum));
	bool *nulls = palloc(columns * sizeof(bool));
	TupleTableSlot *slot;
	Router *router;
	int64 routed;

	run_local(scan, scan->css.ss.ps.state->es_param_list_info, store);
	slot = MakeSingleTupleTableSlot(ExecCleanTypeFromTL(plan->local->planTree->targetlist),
									&TTSOpsMinimalTuple);
	router = router_create(relation, NIL, scan->context);
	while (tuplestore_gettupleslot(store, true, false, slot))
	{
		route_row(plan, slot, router, values, nulls, columns);
		CHECK_FOR_INTERRUPTS();
	}
	routed = router_finish(router);
	ExecDropSingleTupleTableSlot(slot);
	table_close(relation, NoLock);
	tuplestore_end(store);
	scan_count_affected(scan, routed);
	MemoryContextSwitchTo(old);
}

static void
route_row(ShardPlan *plan, TupleTableSlot *slot, Router *router, Datum *values, bool *nulls,
		  int columns)
{
	ListCell *cell;

	slot_getallattrs(slot);
	memset(nulls, true, columns * sizeof(bool));
	foreach (cell, plan->columns)
	{
		int from = foreach_current_index(cell);
		int to = lfirst_int(cell) - 1;

		values[to] = slot->tts_values[from];
		nulls[to] = slot->tts_isnull[from];
	}
	router_row(router, values, nulls);
}

/* A write on a reference table. */
void
every_copy_start(ShardScan *scan)
{
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	List *groups = metadata_groups();
	char *sql = template_fill(scan->plan->pieces, NIL, 0);
	uint64 here;
	ListCell *cell;

	if (scan->plan->returning)
		scan->store = tasks_new_store(scan);
	here = run_local(scan, lifted_params(scan), scan->store);
	scan->tasks = palloc0(Max(list_length(groups), 1) * sizeof(ShardTask));
	foreach (cell, groups)
	{
		ShardTask *task = &scan->tasks[scan->ntasks++];

		task->group_id = lfirst_int(cell);
		tasks_start(scan, task, sql);
	}
	for (int i = 0; i < scan->ntasks; i++)
		tasks_drain(&scan->tasks[i]);
	compare_counts(scan, here);
	scan_count_affected(scan, here);
	MemoryContextSwitchTo(old);
}

/* Copies that differ must not drift further apart. */
static void
compare_counts(ShardScan *scan, uint64 here)
{
	for (int i = 0; i < scan->ntasks; i++)
	{
		char *node = pstrdup(remote_task_node(scan->tasks[i].remote));
		int64 there = tasks_end(&scan->tasks[i]);

		if (there != (int64) here)
			ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
							errmsg("copies of reference table \"%s\" differ",
								   get_rel_name(scan->plan->relid)),
							errdetail("The statement changed " UINT64_FORMAT
									  " rows here and " INT64_FORMAT " rows on %s.",
									  here, there, node)));
	}
}

/* The lifted statement knows the parameters of the SQL under the same numbers. */
static ParamListInfo
lifted_params(ShardScan *scan)
{
	int count = scan->cache->nparams;
	ParamListInfo params = makeParamList(count);

	for (int i = 0; i < count; i++)
	{
		params->params[i].value = scan->param_values[i];
		params->params[i].isnull = scan->param_nulls[i];
		params->params[i].pflags = 0;
		params->params[i].ptype = scan->cache->params[i].type;
	}
	return params;
}

/* Runs the plan's local statement; its rows go into "store", if there is one. */
static uint64
run_local(ShardScan *scan, ParamListInfo params, Tuplestorestate *store)
{
	DestReceiver *receiver = CreateDestReceiver(store ? DestTuplestore : DestNone);
	QueryDesc *query;
	uint64 processed;

	if (store != NULL)
		SetTuplestoreDestReceiverParams(receiver, store, scan->context, false, NULL, NULL);

	/* Rows changed by earlier commands of the transaction are to be seen. */
	PushCopiedSnapshot(GetActiveSnapshot());
	UpdateActiveSnapshotCommandId();
	query = CreateQueryDesc(scan->plan->local, scan->css.ss.ps.state->es_sourceText,
							GetActiveSnapshot(), InvalidSnapshot, receiver, params, NULL, 0);
	ExecutorStart(query, 0);
	ExecutorRun(query, ForwardScanDirection, 0, true);
	ExecutorFinish(query);
	processed = query->estate->es_processed;
	ExecutorEnd(query);
	FreeQueryDesc(query);
	PopActiveSnapshot();
	receiver->rDestroy(receiver);
	return processed;
}
