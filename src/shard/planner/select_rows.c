/*-------------------------------------------------------------------------
 * select_rows.c
 *	  INSERT of the rows of a query into a hash distributed table.
 *
 * The query is planned by itself, in whatever tier it fits; its rows come
 * here and are sent to their shards.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"

#include "shard/metadata/metadata.h"
#include "shard/planner/statement.h"

static Query *rows_query(Query *insert, List **columns);

PlannedStmt *
plan_select_rows(const PlanRequest *request, char **why)
{
	Query *query = request->query;
	RangeTblEntry *target = rt_fetch(query->resultRelation, query->rtable);
	Query *select;
	ShardPlan *plan;

	if (query->onConflict != NULL || query->returningList != NIL)
	{
		*why = "ON CONFLICT and RETURNING are not supported with rows of a query.";
		return NULL;
	}
	if (query->hasRowSecurity || query->withCheckOptions != NIL || target->securityQuals != NIL)
	{
		*why = "Row security applies to one of its tables.";
		return NULL;
	}
	if (query->hasModifyingCTE)
	{
		*why = "It changes rows in WITH.";
		return NULL;
	}
	plan = shard_plan_create(TIER_SELECT_ROWS, CMD_INSERT, target->relid);
	plan->writes = true;
	plan->refusals = request->refusals;
	select = rows_query(query, &plan->columns);
	plan->local = planner(select, request->source, 0, request->params);
	return statement_create(request, plan, plan->local->planTree->plan_rows);
}

/* The SELECT of what is to be inserted. */
static Query *
rows_query(Query *insert, List **columns)
{
	Query *query = copyObject(insert);
	RangeTblEntry *target = rt_fetch(query->resultRelation, query->rtable);
	RangeTblEntry *nothing = makeNode(RangeTblEntry);
	List *targets = NIL;
	ListCell *cell;

	/* Nothing refers to the target any more, but numbers must stay. */
	nothing->rtekind = RTE_RESULT;
	nothing->eref = target->eref;
	list_nth_cell(query->rtable, query->resultRelation - 1)->ptr_value = nothing;
	query->commandType = CMD_SELECT;
	query->resultRelation = 0;
	query->override = OVERRIDING_NOT_SET;
	query->canSetTag = true;
	foreach (cell, query->jointree->fromlist)
	{
		/* The deparser takes what stands in no FROM for something added to it. */
		if (IsA(lfirst(cell), RangeTblRef))
			rt_fetch(lfirst_node(RangeTblRef, cell)->rtindex, query->rtable)->inFromCl = true;
	}
	foreach (cell, query->targetList)
	{
		TargetEntry *tle = lfirst(cell);

		if (tle->resjunk)
			continue;
		*columns = lappend_int(*columns, tle->resno);
		targets = lappend(targets, tle);
		tle->resno = list_length(targets);
	}
	query->targetList = targets;
	return query;
}
