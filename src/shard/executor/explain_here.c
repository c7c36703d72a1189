/*-------------------------------------------------------------------------
 * explain_here.c
 *	  What EXPLAIN says of queries that run in this server for a plan of ours.
 *
 * The query that finds rows for others, the steps of a WITH that writes and
 * the write on the copy here of a reference table are plans of their own, in
 * which EXPLAIN would not look.  Each is explained by itself; those that ran
 * when they end, since nothing is left of them later.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/explain.h"
#include "executor/executor.h"
#include "nodes/value.h"

#include "shard/executor/scan.h"
#include "shard/remote/explained.h"

static char *label_of(const ShardPlan *plan, const PlannedStmt *statement);
static void explain_steps(ShardScan *scan, int options, ExplainState *es);

/* How the plan of the statement is called; NULL: it is not shown. */
static char *
label_of(const ShardPlan *plan, const PlannedStmt *statement)
{
	ListCell *step;
	ListCell *name;

	if (plan->tier != TIER_STEPS && plan->tier != TIER_FOUND && plan->tier != TIER_SELECT_ROWS &&
		plan->tier != TIER_COPIED_ROWS)
		return NULL;
	if (statement == plan->local)
		return "Plan Here";
	forboth (step, plan->steps, name, plan->step_names)
	{
		if (lfirst(step) == statement)
			return psprintf("Plan Here of %s", strVal(lfirst(name)));
	}
	return NULL;
}

void
explain_here_keep(ShardScan *scan, QueryDesc *query)
{
	int options = explain_options_of(scan);
	char *label = label_of(scan->plan, query->plannedstmt);
	MemoryContext old;
	ListCell *cell;

	if (!scan->measured || options < 0 || label == NULL)
		return;
	old = MemoryContextSwitchTo(scan->context);

	/* What had to be looked for again counts the last time. */
	foreach (cell, scan->plans_here)
	{
		if (strcmp(strVal(linitial((List *) lfirst(cell))), label) == 0)
			scan->plans_here = foreach_delete_current(scan->plans_here, cell);
	}
	scan->plans_here = lappend(
		scan->plans_here, list_make2(makeString(pstrdup(label)),
									 makeString(pstrdup(explained_text(query, options, true)))));
	MemoryContextSwitchTo(old);
}

void
explain_here(ShardScan *scan, ExplainState *es)
{
	EState *estate = scan->css.ss.ps.state;
	int options = explain_options_of(scan);
	char *label = label_of(scan->plan, scan->plan->local);
	QueryDesc *query;
	ListCell *cell;

	foreach (cell, scan->plans_here)
		explain_plan(strVal(linitial((List *) lfirst(cell))),
					 strVal(lsecond((List *) lfirst(cell))), es);
	if (es->analyze || options < 0 || label == NULL)
		return;
	if (scan->plan->tier == TIER_STEPS)
	{
		explain_steps(scan, options, es);
		return;
	}
	query = local_begin(scan, scan->plan->local, estate->es_snapshot, estate->es_param_list_info,
						estate->es_queryEnv, EXEC_FLAG_EXPLAIN_ONLY);
	explain_plan(label, explained_text(query, options, false), es);
	ExecutorEnd(query);
	FreeQueryDesc(query);
}

/* They know each other's rows by name, so all have to begin. */
static void
explain_steps(ShardScan *scan, int options, ExplainState *es)
{
	ListCell *cell;

	steps_begin(scan, EXEC_FLAG_EXPLAIN_ONLY);
	foreach (cell, steps_queries(scan))
	{
		QueryDesc *query = lfirst(cell);

		explain_plan(label_of(scan->plan, query->plannedstmt),
					 explained_text(query, options, false), es);
	}
	steps_end(scan);
}
