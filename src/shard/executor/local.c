/*-------------------------------------------------------------------------
 * local.c
 *	  Plans of which a part runs in this server.
 *
 * INSERT of the rows of a query: the query runs to its end before the first
 * row is sent, so that it cannot read rows of its own.  Writes on a reference
 * table: the copy here goes first, so that two writers of one row meet here
 * and not crosswise on the groups.
 *
 * A statement that runs here is a query of its own, with parameters and rows
 * of ours.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_trigger.h"
#include "executor/executor.h"
#include "executor/tstoreReceiver.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "tcop/dest.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "shard/ddl/router.h"
#include "shard/executor/copies.h"
#include "shard/executor/scan.h"
#include "shard/planner/template.h"

static void insert_here(ShardScan *scan, Tuplestorestate *rows, TupleDesc desc);
static int64 route_rows(ShardScan *scan, Tuplestorestate *rows, TupleDesc desc);
static ParamListInfo lifted_params(ShardScan *scan);
static void route_row(ShardPlan *plan, TupleTableSlot *slot, Router *router, Datum *values,
					  bool *nulls, int columns);
static bool has_triggers_after(Oid relid);
static void compare_counts(ShardScan *scan, uint64 here);

/* INSERT of the rows of a query. */
void
select_rows_start(ShardScan *scan)
{
	ShardPlan *plan = scan->plan;
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	Tuplestorestate *rows = tuplestore_begin_heap(false, false, work_mem);
	TupleDesc desc = ExecCleanTypeFromTL(plan->local->planTree->targetlist);

	(void) local_finish_reading(scan, rows);
	scan_read_waiting();
	if (plan->insert != NULL)
		insert_here(scan, rows, desc);
	scan_count_affected(scan, route_rows(scan, rows, desc));
	tuplestore_end(rows);
	MemoryContextSwitchTo(old);
}

/* Puts the rows into the copy here, as the server's own executor does. */
static void
insert_here(ShardScan *scan, Tuplestorestate *rows, TupleDesc desc)
{
	uint64 inserted = local_run_rows(scan, scan->plan->insert, rows, desc, NULL);

	if ((int64) inserted != tuplestore_tuple_count(rows))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("rows for reference table \"%s\" were held back here",
							   get_rel_name(scan->plan->relid)),
						errdetail("The copies on the groups would have got them.")));
}

static int64
route_rows(ShardScan *scan, Tuplestorestate *rows, TupleDesc desc)
{
	Relation relation = table_open(scan->plan->relid, NoLock);
	int columns = RelationGetDescr(relation)->natts;
	Datum *values = palloc(columns * sizeof(Datum));
	bool *nulls = palloc(columns * sizeof(bool));
	TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	Router *router = router_create(relation, NIL, scan->context);
	int64 routed;

	tuplestore_select_read_pointer(rows, 0);
	while (tuplestore_gettupleslot(rows, true, false, slot))
	{
		route_row(scan->plan, slot, router, values, nulls, columns);
		CHECK_FOR_INTERRUPTS();
	}
	routed = router_finish(router);
	ExecDropSingleTupleTableSlot(slot);
	table_close(relation, NoLock);
	return routed;
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
	bool triggers = has_triggers_after(scan->plan->relid);
	QueryDesc *query;
	uint64 here;
	ListCell *cell;

	if (scan->plan->returning)
		scan->store = tasks_new_store(scan);
	PushCopiedSnapshot(GetActiveSnapshot());
	UpdateActiveSnapshotCommandId();
	query = local_begin(scan, scan->plan->local, GetActiveSnapshot(), lifted_params(scan), NULL, 0);
	here = local_execute(query, scan, scan->store);
	if (!triggers)
		local_close(query);
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

	/* Now the triggers here may look at the copies, and change them. */
	if (triggers)
		local_close(query);
	PopActiveSnapshot();
	scan_count_affected(scan, here);
	MemoryContextSwitchTo(old);
}

/* Does the user have something done after a change of the table? */
static bool
has_triggers_after(Oid relid)
{
	Relation relation = table_open(relid, NoLock);
	const TriggerDesc *triggers = relation->trigdesc;
	bool found = false;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
		found |=
			!triggers->triggers[i].tgisinternal && TRIGGER_FOR_AFTER(triggers->triggers[i].tgtype);
	table_close(relation, NoLock);
	return found;
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
			copies_refuse_difference(scan->plan->relid, here, there, node);
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

void
local_begin_reading(ShardScan *scan)
{
	EState *estate = scan->css.ss.ps.state;

	scan->reading = local_begin(scan, scan->plan->local, estate->es_snapshot,
								estate->es_param_list_info, estate->es_queryEnv, 0);
}

uint64
local_finish_reading(ShardScan *scan, Tuplestorestate *store)
{
	QueryDesc *query = scan->reading;
	uint64 processed;

	scan->reading = NULL;
	PushActiveSnapshot(query->snapshot);
	processed = local_finish(query, scan, store);
	PopActiveSnapshot();
	return processed;
}

void
local_end_reading(ShardScan *scan)
{
	QueryDesc *query = scan->reading;

	scan->reading = NULL;
	if (query == NULL)
		return;
	ExecutorFinish(query);
	ExecutorEnd(query);
	FreeQueryDesc(query);
}

uint64
local_run_rows(ShardScan *scan, PlannedStmt *statement, Tuplestorestate *rows, TupleDesc desc,
			   Tuplestorestate *store)
{
	EphemeralNamedRelation relation = palloc0(sizeof(EphemeralNamedRelationData));
	QueryEnvironment *environment = create_queryEnv();

	relation->md.name = SHARD_ROWS_NAME;
	relation->md.tupdesc = desc;
	relation->md.enrtype = ENR_NAMED_TUPLESTORE;
	relation->md.enrtuples = tuplestore_tuple_count(rows);
	relation->reldata = rows;
	register_ENR(environment, relation);
	return local_run(scan, statement, scan->css.ss.ps.state->es_param_list_info, environment,
					 store);
}

/* Runs a statement in this server; its rows go into "store", if there is one. */
uint64
local_run(ShardScan *scan, PlannedStmt *statement, ParamListInfo params,
		  QueryEnvironment *environment, Tuplestorestate *store)
{
	QueryDesc *query;
	uint64 processed;

	/* Rows changed by earlier commands of the transaction are to be seen. */
	PushCopiedSnapshot(GetActiveSnapshot());
	UpdateActiveSnapshotCommandId();
	query = local_begin(scan, statement, GetActiveSnapshot(), params, environment, 0);
	processed = local_finish(query, scan, store);
	PopActiveSnapshot();
	return processed;
}

QueryDesc *
local_begin(ShardScan *scan, PlannedStmt *statement, Snapshot snapshot, ParamListInfo params,
			QueryEnvironment *environment, int eflags)
{
	QueryDesc *query =
		CreateQueryDesc(statement, scan->css.ss.ps.state->es_sourceText, snapshot, InvalidSnapshot,
						None_Receiver, params, environment, scan->css.ss.ps.state->es_instrument);

	ExecutorStart(query, eflags);
	return query;
}

uint64
local_finish(QueryDesc *query, ShardScan *scan, Tuplestorestate *store)
{
	uint64 processed = local_execute(query, scan, store);

	local_close(query);
	return processed;
}

uint64
local_execute(QueryDesc *query, ShardScan *scan, Tuplestorestate *store)
{
	DestReceiver *receiver = CreateDestReceiver(store ? DestTuplestore : DestNone);

	if (store != NULL)
		SetTuplestoreDestReceiverParams(receiver, store, scan->context, false, NULL, NULL);
	query->dest = receiver;
	compat_executor_run(query, ForwardScanDirection, 0);
	explain_here_keep(scan, query);
	return query->estate->es_processed;
}

void
local_close(QueryDesc *query)
{
	DestReceiver *receiver = query->dest;

	ExecutorFinish(query);
	ExecutorEnd(query);
	FreeQueryDesc(query);
	receiver->rDestroy(receiver);
}
