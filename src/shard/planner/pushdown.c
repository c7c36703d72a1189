/*-------------------------------------------------------------------------
 * pushdown.c
 *	  SELECTs that shards answer each by itself, but for what merges their
 *	  rows.
 *
 * Whether a query is one, and how it is cut in two, is decided in split.c,
 * and in ship_relation.c which become one by sending small relations along.
 * Subqueries that are run ahead stay here, and are cut where they can be.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shard/planner/by_table.h"
#include "shard/planner/ship_relation.h"
#include "shard/planner/statement.h"

PlannedStmt *
plan_pushdown(const PlanRequest *request, char **why)
{
	PieceSet set = {.refusals = request->refusals};
	Query *merge = piece_split(request->query, &set, why);

	if (merge == NULL)
		return NULL;
	set.replaced = lappend(set.replaced, request->query);
	piece_cut_rest(merge, &set);
	return by_table_plan(request, merge, &set, why);
}

PlannedStmt *
plan_shipped(const PlanRequest *request, char **why)
{
	PieceSet set = {.refusals = request->refusals};
	Query *query = ship_relations(request->query, &set, why);

	return query == NULL ? NULL : by_table_plan(request, query, &set, why);
}
