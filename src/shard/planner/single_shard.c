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

#include "access/sysattr.h"
#include "access/table.h"
#include "nodes/bitmapset.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "shard/metadata/metadata.h"
#include "shard/planner/insert_rows.h"
#include "shard/planner/shapes.h"
#include "shard/planner/statement.h"
#include "shard/planner/template.h"

static bool is_plain(Query *query);
static bool gives_few_rows(Query *query);
static bool finds_one_row(Query *query);
static void add_compared(Node *quals, int rti, Bitmapset **columns);

PlannedStmt *
plan_single_shard(const PlanRequest *request, char **why)
{
	Pin pin = {0};
	Lift lift = {0};
	Query *query = request->query;
	ShardPlan *plan;
	PlannedStmt *statement;

	if (!statement_result_travels(query, why))
		return NULL;
	if (insert_has_rows(query) && statement_is_flat(query))
	{
		*why = PIN_NO_VALUE;
		return NULL;
	}
	query = copyObject(query);
	shapes_number(query);
	if (!pin_to_key(query, &pin))
	{
		*why = pin.why;
		return NULL;
	}
	lift.constants = !lift_has_params(query);
	lift.apart = pin.one_value && is_plain(query);
	if (!lift_query(query, LIFT_ONE_SHARD, &lift))
	{
		*why = lift.why;
		return NULL;
	}
	if (query->commandType == CMD_INSERT)
		query->override = OVERRIDING_SYSTEM_VALUE;

	plan = shard_plan_create(TIER_SINGLE_SHARD, query->commandType, pin.table->relid);
	plan->writes = statement_writes(query);
	plan->inserts = pin.inserts;
	plan->few = gives_few_rows(request->query);
	plan->params = statement_params(&lift);
	statement_set_key(plan, &pin, &lift);
	if (plan->key_param < 0 && contain_volatile_functions((Node *) pin.key))
	{
		*why = "The value of the distribution column cannot be evaluated ahead.";
		return NULL;
	}
	template_make(query, plan);
	statement = statement_create(request, plan, 1);
	shapes_offer(request, statement, query, &lift, &pin);
	return statement;
}

/* Does it make no difference which of its constants are equal? */
static bool
is_plain(Query *query)
{
	return list_length(query->rtable) == 1 && !query->hasSubLinks && query->cteList == NIL &&
		   !query->hasAggs && !query->hasWindowFuncs && !query->hasTargetSRFs &&
		   query->groupClause == NIL && query->groupingSets == NIL &&
		   query->distinctClause == NIL && query->sortClause == NIL && query->setOperations == NULL;
}

/* Then the node may send all rows at once, which is cheaper than one by one. */
static bool
gives_few_rows(Query *query)
{
	if (query->commandType == CMD_INSERT || query->commandType == CMD_UPDATE ||
		query->commandType == CMD_DELETE)
		return query->returningList == NIL ||
			   (query->commandType == CMD_INSERT && query->jointree->fromlist == NIL) ||
			   finds_one_row(query);
	if (query->hasAggs && query->groupClause == NIL && query->groupingSets == NIL &&
		!query->hasTargetSRFs)
		return true;
	return !query->hasTargetSRFs && query->setOperations == NULL && finds_one_row(query);
}

/* One table, and all columns of its primary key compared with values. */
static bool
finds_one_row(Query *query)
{
	RangeTblRef *ref;
	RangeTblEntry *rte;
	Relation relation;
	Bitmapset *key;
	Bitmapset *compared = NULL;
	bool found;

	if (list_length(query->jointree->fromlist) != 1 || query->jointree->quals == NULL)
		return false;
	ref = linitial(query->jointree->fromlist);
	if (!IsA(ref, RangeTblRef))
		return false;
	rte = rt_fetch(ref->rtindex, query->rtable);
	if (rte->rtekind != RTE_RELATION)
		return false;
	add_compared(query->jointree->quals, ref->rtindex, &compared);
	relation = table_open(rte->relid, NoLock);
	key = RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	table_close(relation, NoLock);
	found = key != NULL && bms_is_subset(key, compared);
	bms_free(key);
	return found;
}

/* Columns that must equal a value, numbered as in bitmaps of the server. */
static void
add_compared(Node *quals, int rti, Bitmapset **columns)
{
	OpExpr *op = (OpExpr *) quals;
	ListCell *cell;

	if (is_andclause(quals))
	{
		foreach (cell, ((BoolExpr *) quals)->args)
			add_compared(lfirst(cell), rti, columns);
	}
	else if (IsA(op, OpExpr) && list_length(op->args) == 2 &&
			 get_mergejoin_opfamilies(op->opno) != NIL)
	{
		foreach (cell, op->args)
		{
			Var *var = lfirst(cell);
			Node *other = cell == list_head(op->args) ? lsecond(op->args) : linitial(op->args);

			if (IsA(var, Var) && var->varno == rti && var->varlevelsup == 0 &&
				!contain_vars_of_level(other, 0))
				*columns =
					bms_add_member(*columns, var->varattno - FirstLowInvalidHeapAttributeNumber);
		}
	}
}
