/*-------------------------------------------------------------------------
 * explain.c
 *	  What EXPLAIN says of a plan of ours.
 *
 * EXPLAIN alone asks no node and takes no number from a sequence: where the
 * shard depends on such a value it is said to be chosen at execution.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/explain.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"

#include "shard/executor/scan.h"
#include "shard/planner/template.h"

static bool key_is_known(ShardScan *scan);
static bool unknown_walker(Node *node, void *context);
static void explain_rows(ShardPlan *plan, ExplainState *es);
static void explain_copies(ShardScan *scan, ExplainState *es);
static void
explain_task(ShardScan *scan, const DistributedTable *table, int position, ExplainState *es);

void
explain_scan(CustomScanState *node, List *ancestors, ExplainState *es)
{
	ShardScan *scan = (ShardScan *) node;
	ShardPlan *plan = scan->plan;
	const DistributedTable *table = metadata_table(plan->relid);
	List *positions = NIL;
	ListCell *cell;
	int total = table ? table->colocation->nshards : 0;

	ExplainPropertyText("Tier", shard_tier_name(plan->tier), es);
	foreach (cell, plan->refusals)
		ExplainPropertyText(strVal(linitial((List *) lfirst(cell))),
							strVal(lsecond((List *) lfirst(cell))), es);
	if (table == NULL)
		return;
	if (plan->tier == TIER_ROWS)
		explain_rows(plan, es);
	if (plan->tier == TIER_EVERY_COPY)
		explain_copies(scan, es);
	if (plan->tier == TIER_ROWS || plan->tier == TIER_EVERY_COPY || plan->tier == TIER_SELECT_ROWS)
		return;
	if (!key_is_known(scan))
	{
		ExplainPropertyText("Shard", "chosen at execution", es);
		ExplainPropertyText("SQL", template_fill(plan->pieces, plan->schemas, TEMPLATE_NO_SHARD),
							es);
		return;
	}
	params_prepare(scan);
	if (plan->key_param >= 0 && !scan->started)
		params_evaluate(scan);
	positions = shards_choose(scan, table);
	ExplainPropertyInteger("Tasks", NULL, list_length(positions), es);
	ExplainPropertyInteger("Shards Pruned", NULL, total - list_length(positions), es);
	if (positions != NIL)
		explain_task(scan, table, linitial_int(positions), es);
}

/* Can the shard be told without side effects and without parameters that are not there? */
static bool
key_is_known(ShardScan *scan)
{
	ShardPlan *plan = scan->plan;

	if (plan->key == NULL || scan->started)
		return true;
	if (plan->key_param >= 0)
		return !unknown_walker((Node *) scan->params, scan->css.ss.ps.state->es_param_list_info);
	return !unknown_walker((Node *) plan->key, scan->css.ss.ps.state->es_param_list_info);
}

static bool
unknown_walker(Node *node, void *context)
{
	ParamListInfo params = context;

	if (node == NULL)
		return false;
	if (IsA(node, Param))
	{
		Param *param = (Param *) node;

		return params == NULL || param->paramkind != PARAM_EXTERN ||
			   param->paramid > params->numParams;
	}
	if (IsA(node, NextValueExpr) || contain_volatile_functions(node))
		return true;
	return expression_tree_walker(node, unknown_walker, context);
}

static void
explain_rows(ShardPlan *plan, ExplainState *es)
{
	char *head = template_fill(plan->pieces, plan->schemas, TEMPLATE_NO_SHARD);

	ExplainPropertyInteger("Rows", NULL, list_length(plan->rows), es);
	ExplainPropertyText("SQL", psprintf("%s(...), ...%s", head, plan->tail), es);
}

/* A write on a reference table: each group is sent the same. */
static void
explain_copies(ShardScan *scan, ExplainState *es)
{
	List *groups = metadata_groups();
	List *nodes = NIL;
	ListCell *cell;

	ExplainPropertyInteger("Tasks", NULL, list_length(groups), es);
	foreach (cell, groups)
		nodes = lappend(nodes, remote_group_address(lfirst_int(cell)));
	ExplainPropertyList("Nodes", nodes, es);
	ExplainPropertyText("SQL", template_fill(scan->plan->pieces, NIL, 0), es);
}

static void
explain_task(ShardScan *scan, const DistributedTable *table, int position, ExplainState *es)
{
	const Shard *shard = &table->colocation->shards[position];

	ExplainOpenGroup("Task", "Task", true, es);
	ExplainPropertyInteger("Shard", NULL, shard->id, es);
	ExplainPropertyText("Node", remote_group_address(shard->group_id), es);
	ExplainPropertyText("SQL", template_fill(scan->plan->pieces, scan->plan->schemas, shard->id),
						es);
	ExplainCloseGroup("Task", "Task", true, es);
}
