/*-------------------------------------------------------------------------
 * every_shard.c
 *	  UPDATE and DELETE that are not confined to one shard.
 *
 * The whole statement runs on each shard that may hold rows for it.  That is
 * right when no row needs one of another shard to be changed: all other hash
 * distributed tables must be joined to the target on the distribution
 * columns.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "shard/planner/prune.h"
#include "shard/planner/statement.h"
#include "shard/planner/template.h"

PlannedStmt *
plan_every_shard(const PlanRequest *request, char **why)
{
	Pin pin = {0};
	Lift lift = {0};
	Query *query = copyObject(request->query);
	ShardPlan *plan;

	if (query->commandType != CMD_UPDATE && query->commandType != CMD_DELETE)
		return NULL;
	if (!statement_result_travels(query, why))
		return NULL;
	if (query->cteList != NIL)
	{
		*why = "WITH in an UPDATE or DELETE needs the distribution column to be compared with a "
			   "value.";
		return NULL;
	}
	if (!pin_to_target(query, &pin))
	{
		*why = pin.why;
		return NULL;
	}
	plan = shard_plan_create(TIER_EVERY_SHARD, query->commandType, pin.table->relid);
	prune_by_quals(plan, pin.table, query->resultRelation, pin.table->key, query->jointree->quals);
	if (!lift_query(query, LIFT_EVERY_SHARD, &lift))
	{
		*why = lift.why;
		return NULL;
	}
	plan->refusals = request->refusals;
	plan->writes = true;
	plan->params = statement_params(&lift);
	template_make(query, plan);
	return statement_create(request, plan, pin.table->colocation->nshards);
}
