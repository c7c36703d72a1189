/*-------------------------------------------------------------------------
 * single_shard.c
 *	  Statements that run whole on one shard.
 *
 * The cheapest tier, and the one that a server for applications lives on: no
 * call of the server's planner, one message to one node.  pin.c decides
 * whether one shard is enough, lift.c whether the statement may travel.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"

#include "shard/metadata/metadata.h"
#include "shard/planner/statement.h"
#include "shard/planner/template.h"

PlannedStmt *
plan_single_shard(const PlanRequest *request, char **why)
{
	Pin pin = {0};
	Lift lift = {0};
	Query *query = request->query;
	ShardPlan *plan;

	if (!statement_result_travels(query, why))
		return NULL;
	query = copyObject(query);
	if (!pin_to_key(query, &pin))
	{
		*why = pin.why;
		return NULL;
	}
	if (!lift_query(query, false, &lift))
	{
		*why = lift.why;
		return NULL;
	}
	if (query->commandType == CMD_INSERT)
		query->override = OVERRIDING_SYSTEM_VALUE;

	plan = shard_plan_create(TIER_SINGLE_SHARD, query->commandType, pin.table->relid);
	plan->writes = statement_writes(query);
	plan->inserts = pin.inserts;
	plan->params = statement_params(&lift);
	statement_set_key(plan, &pin, lift.params);
	if (plan->key_param < 0 && contain_volatile_functions((Node *) pin.key))
	{
		*why = "The value of the distribution column cannot be evaluated ahead.";
		return NULL;
	}
	template_make(query, &plan->pieces, &plan->schemas);
	return statement_create(request, plan, 1);
}
