/*-------------------------------------------------------------------------
 * steps.c
 *	  Statements whose parts are carried out one after the other.
 *
 * All parts begin before the first is run: so the scans of all are known when
 * the first write comes, and are read before it.  Local tables are read and
 * written with one snapshot and one command number, as on one server, and
 * their triggers wait for the end of the whole.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/snapmgr.h"

#include "shard/executor/scan.h"

/* A part; the last is what follows WITH. */
typedef struct Step
{
	const char *name; /* NULL: of the last */
	QueryDesc *query; /* NULL: not begun, or run */
	Tuplestorestate *rows;
} Step;

typedef struct StepsRun
{
	QueryEnvironment *environment;
	int nsteps;
	Step *steps;
} StepsRun;

static void begin_step(ShardScan *scan, Step *step, PlannedStmt *statement, int eflags);

void
steps_begin(ShardScan *scan, int eflags)
{
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	ShardPlan *plan = scan->plan;
	StepsRun *run = palloc0(sizeof(StepsRun));
	ListCell *cell;

	scan->steps = run;
	run->environment = scan->css.ss.ps.state->es_queryEnv;
	if (run->environment == NULL)
		run->environment = create_queryEnv();
	run->steps = palloc0((list_length(plan->steps) + 1) * sizeof(Step));
	foreach (cell, plan->steps)
	{
		Step *step = &run->steps[run->nsteps++];

		step->name = strVal(list_nth(plan->step_names, foreach_current_index(cell)));
		begin_step(scan, step, lfirst_node(PlannedStmt, cell), eflags);
	}
	begin_step(scan, &run->steps[run->nsteps++], plan->local, eflags);
	MemoryContextSwitchTo(old);
}

static void
begin_step(ShardScan *scan, Step *step, PlannedStmt *statement, int eflags)
{
	EState *estate = scan->css.ss.ps.state;

	if (statement->commandType != CMD_SELECT)
		eflags |= EXEC_FLAG_SKIP_TRIGGERS;

	step->query = local_begin(scan, statement, estate->es_snapshot, estate->es_param_list_info,
							  scan->steps->environment, eflags);
	if (step->name != NULL && (statement->commandType == CMD_SELECT || statement->hasReturning))
	{
		EphemeralNamedRelation relation = palloc0(sizeof(EphemeralNamedRelationData));

		step->rows = tuplestore_begin_heap(false, false, work_mem);
		relation->md.name = pstrdup(step->name);
		relation->md.tupdesc = CreateTupleDescCopy(step->query->tupDesc);
		relation->md.enrtype = ENR_NAMED_TUPLESTORE;
		relation->md.enrtuples = 1000;
		relation->reldata = step->rows;
		register_ENR(scan->steps->environment, relation);
	}
}

void
steps_start(ShardScan *scan)
{
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	StepsRun *run = scan->steps;

	if (scan->plan->returning)
		scan->store = tasks_new_store(scan);
	PushActiveSnapshot(scan->css.ss.ps.state->es_snapshot);
	for (int i = 0; i < run->nsteps; i++)
	{
		Step *step = &run->steps[i];
		QueryDesc *query = step->query;
		bool writes = query->operation != CMD_SELECT;
		uint64 processed;

		/* Whoever writes without a scan of ours. */
		if (writes)
			scan_read_waiting();
		step->query = NULL;
		processed = local_finish(query, scan, step->name == NULL ? scan->store : step->rows);
		if (step->name == NULL && writes)
			scan_count_affected(scan, processed);
	}
	PopActiveSnapshot();
	MemoryContextSwitchTo(old);
}

List *
steps_queries(ShardScan *scan)
{
	List *queries = NIL;

	for (int i = 0; i < scan->steps->nsteps; i++)
		queries = lappend(queries, scan->steps->steps[i].query);
	return queries;
}

void
steps_end(ShardScan *scan)
{
	StepsRun *run = scan->steps;

	if (run == NULL)
		return;
	scan->steps = NULL;
	for (int i = 0; i < run->nsteps; i++)
	{
		Step *step = &run->steps[i];

		if (step->query != NULL)
		{
			if ((step->query->estate->es_top_eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0)
				ExecutorFinish(step->query);
			ExecutorEnd(step->query);
			FreeQueryDesc(step->query);
		}
		if (step->rows != NULL)
		{
			unregister_ENR(run->environment, step->name);
			tuplestore_end(step->rows);
		}
	}
}
