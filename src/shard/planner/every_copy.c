/*-------------------------------------------------------------------------
 * every_copy.c
 *	  Writes on reference tables.
 *
 * The statement runs here, on the table itself, and on the copy of each
 * group.  Whatever could come out differently is evaluated once, here, and
 * handed to all as a parameter; what cannot be is refused.
 *
 * What must stay true: after the transaction all copies hold the same rows.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"

#include "shard/metadata/metadata.h"
#include "shard/planner/insert_rows.h"
#include "shard/planner/select_rows.h"
#include "shard/planner/statement.h"
#include "shard/planner/template.h"

static bool other_tables(Node *node, void *context);
static bool lift_statement(Query *query, Lift *lift);

PlannedStmt *
plan_every_copy(const PlanRequest *request, char **why)
{
	Query *query = copyObject(request->query);
	RangeTblEntry *target = rt_fetch(query->resultRelation, query->rtable);
	PlanRequest here = {NULL, request->source, 0, NULL, NIL};
	Lift lift = {0};
	ShardPlan *plan;

	if (other_tables((Node *) query, why))
		return NULL;
	if (query->hasModifyingCTE)
	{
		*why = "It changes rows in WITH.";
		return NULL;
	}
	select_rows_complete(query);
	if (!lift_statement(query, &lift))
	{
		*why = lift.why;
		return NULL;
	}
	plan = shard_plan_create(TIER_EVERY_COPY, query->commandType, target->relid);
	plan->writes = true;
	plan->params = statement_params(&lift);
	plan->local = planner_here(&here, copyObject(query));

	/* One copy is enough to give rows back. */
	query->returningList = NIL;
	if (query->commandType == CMD_INSERT)
		query->override = OVERRIDING_SYSTEM_VALUE;
	template_make(query, &plan->pieces, &plan->schemas);
	return statement_create(request, plan, plan->local->planTree->plan_rows);
}

/* Only tables that every group has can be read. */
static bool
other_tables(Node *node, void *context)
{
	char **why = context;
	ListCell *cell;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, other_tables, context);
	foreach (cell, ((Query *) node)->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);
		const DistributedTable *table;

		if (rte->rtekind != RTE_RELATION || rte->relkind == RELKIND_COMPOSITE_TYPE ||
			rte->relkind == RELKIND_VIEW)
			continue;
		table = metadata_table(rte->relid);
		if (table == NULL || table->kind != TABLE_REFERENCE)
		{
			*why = psprintf("A write on a reference table can read reference tables only, not %s.",
							get_rel_name(rte->relid));
			return true;
		}
	}
	return query_tree_walker((Query *) node, other_tables, context, QTW_IGNORE_JOINALIASES);
}

/* Several rows of values are each evaluated once. */
static bool
lift_statement(Query *query, Lift *lift)
{
	List *rows = NIL;
	List *lifted_rows = NIL;
	ListCell *row;
	ListCell *cell;

	if (insert_has_rows(query))
		rows = insert_take_rows(query);
	if (!lift_query(query, LIFT_EVERY_COPY, lift))
		return false;
	foreach (row, rows)
	{
		List *lifted = NIL;

		foreach (cell, (List *) lfirst(row))
		{
			Node *value = lift_value_of_row(lfirst(cell), lift);

			if (value == NULL)
				return false;
			lifted = lappend(lifted, value);
		}
		lifted_rows = lappend(lifted_rows, lifted);
	}
	if (rows != NIL)
		insert_put_rows(query, lifted_rows);
	return true;
}
