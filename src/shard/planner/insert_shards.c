/*-------------------------------------------------------------------------
 * insert_shards.c
 *	  INSERT ... SELECT that each shard does with rows of its own.
 *
 * The SELECT is one that shards can answer each by itself, of tables split as
 * the target is, and what it gives for the target's distribution column is
 * such a column: then the rows that a shard finds are its own to keep.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"

#include "base/config.h"
#include "shard/planner/insert_rows.h"
#include "shard/planner/select_rows.h"
#include "shard/planner/statement.h"
#include "shard/planner/template.h"

static bool keeps_shard(Query *query, const DistributedTable *table);

PlannedStmt *
plan_insert_shards(const PlanRequest *request, char **why)
{
	Query *query = request->query;
	const DistributedTable *table =
		metadata_table(rt_fetch(query->resultRelation, query->rtable)->relid);
	Lift lift = {0};
	ShardPlan *plan;

	if (query->commandType != CMD_INSERT || insert_has_rows(query) || query->cteList != NIL ||
		config_insert_strategy == INSERT_PULL)
		return NULL;
	if (checkExprHasSubLink((Node *) query->returningList) ||
		checkExprHasSubLink((Node *) query->onConflict))
	{
		*why = "It has a subquery in RETURNING or ON CONFLICT.";
		return NULL;
	}
	if (!keeps_shard(query, table))
	{
		*why = "Its rows may belong to other shards than those that they come from.";
		return NULL;
	}
	if (!statement_result_travels(query, why))
		return NULL;
	query = copyObject(query);
	select_rows_complete(query);
	if (!lift_query(query, LIFT_EVERY_SHARD, &lift))
	{
		*why = lift.why;
		return NULL;
	}
	query->override = OVERRIDING_SYSTEM_VALUE;
	plan = shard_plan_create(TIER_EVERY_SHARD, CMD_INSERT, table->relid);
	plan->refusals = request->refusals;
	plan->writes = true;
	plan->params = statement_params(&lift);
	template_make(query, plan);
	return statement_create(request, plan, table->colocation->nshards);
}

/* Does a row that a shard finds belong to it? */
static bool
keeps_shard(Query *query, const DistributedTable *table)
{
	List *attributes = NIL;
	Pin pin = {0};
	Query *select = select_rows_by_shard(query, &attributes, &pin);
	ListCell *attribute;
	ListCell *target;
	ListCell *cell;

	if (select == NULL || pin.table->colocation != table->colocation)
		return false;
	forboth (attribute, attributes, target, select->targetList)
	{
		Node *expr = (Node *) ((TargetEntry *) lfirst(target))->expr;

		if (lfirst_int(attribute) != table->key)
			continue;
		while (IsA(expr, RelabelType))
			expr = (Node *) ((RelabelType *) expr)->arg;
		foreach (cell, pin.key_columns)
		{
			Var *key = lfirst(cell);
			Var *var = (Var *) expr;

			if (IsA(var, Var) && var->varno == key->varno && var->varattno == key->varattno &&
				var->varlevelsup == 0)
				return true;
		}
	}
	return false;
}
