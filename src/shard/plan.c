/*-------------------------------------------------------------------------
 * plan.c
 *	  ShardPlan as a node of the server: copied with the plan it is part of.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/nodes.h"
#include "nodes/pg_list.h"

#include "shard/plan.h"

#define SHARD_PLAN_NAME "pgcluster ShardPlan"

static void plan_copy(ExtensibleNode *target, const ExtensibleNode *source);
static bool plan_equal(const ExtensibleNode *a, const ExtensibleNode *b);
static void plan_out(StringInfo out, const ExtensibleNode *node);
static void plan_read(ExtensibleNode *node);

static const ExtensibleNodeMethods plan_methods = {
	.extnodename = SHARD_PLAN_NAME,
	.node_size = sizeof(ShardPlan),
	.nodeCopy = plan_copy,
	.nodeEqual = plan_equal,
	.nodeOut = plan_out,
	.nodeRead = plan_read,
};

static const char *const tier_names[] = {
	[TIER_SINGLE_SHARD] = "single shard",
	[TIER_EVERY_SHARD] = "every shard",
	[TIER_ROWS] = "rows by shard",
	[TIER_EXCHANGED] = "rows exchanged by shard",
	[TIER_SELECT_ROWS] = "rows of a query by shard",
	[TIER_EVERY_COPY] = "every copy",
	[TIER_COPIED_ROWS] = "rows to every copy",
	[TIER_BY_TABLE] = "by table",
	[TIER_PUSHDOWN] = "pushdown",
	[TIER_FOUND] = "rows found",
	[TIER_STEPS] = "steps",
	[TIER_CALL] = "call",
	[TIER_ON_NODE] = "on node",
};

void
shard_plan_init(void)
{
	RegisterExtensibleNodeMethods(&plan_methods);
	RegisterCustomScanMethods(&shard_scan_methods);
}

ShardPlan *
shard_plan_create(ShardTier tier, CmdType command, Oid relid)
{
	ShardPlan *plan = (ShardPlan *) newNode(sizeof(ShardPlan), T_ExtensibleNode);

	plan->header.extnodename = SHARD_PLAN_NAME;
	plan->tier = tier;
	plan->command = command;
	plan->relid = relid;
	plan->key_param = -1;
	plan->key_position = -1;
	return plan;
}

ShardPlan *
shard_plan_of(CustomScan *scan)
{
	ShardPlan *plan = linitial(scan->custom_private);

	Assert(IsA(plan, ExtensibleNode));
	return plan;
}

List *
shard_plan_params(CustomScan *scan)
{
	ShardPlan *plan = shard_plan_of(scan);

	return plan->params != NIL ? plan->params : scan->custom_exprs;
}

const char *
shard_tier_name(ShardTier tier)
{
	return tier_names[tier];
}

static void
plan_copy(ExtensibleNode *target, const ExtensibleNode *source)
{
	ShardPlan *to = (ShardPlan *) target;
	const ShardPlan *from = (const ShardPlan *) source;
	ExtensibleNode header = to->header;

	*to = *from;
	to->header = header;
	to->pieces = copyObject(from->pieces);
	to->schemas = copyObject(from->schemas);
	to->params = copyObject(from->params);
	to->parts = list_copy(from->parts);
	to->needed_parts = list_copy(from->needed_parts);
	to->key = copyObject(from->key);
	to->columns = list_copy(from->columns);
	to->sort_columns = list_copy(from->sort_columns);
	to->sort_operators = list_copy(from->sort_operators);
	to->sort_collations = list_copy(from->sort_collations);
	to->sort_nulls_first = list_copy(from->sort_nulls_first);
	to->rows = copyObject(from->rows);
	to->sources = copyObject(from->sources);
	to->types = list_copy(from->types);
	to->source_params = list_copy(from->source_params);
	to->local = copyObject(from->local);
	to->insert = copyObject(from->insert);
	to->changes = copyObject(from->changes);
	to->lock = (ShardPlan *) copyObject((ExtensibleNode *) from->lock);
	to->shown = copyObject(from->shown);
	to->echoes = list_copy(from->echoes);
	to->result = copyObject(from->result);
	to->steps = copyObject(from->steps);
	to->step_names = copyObject(from->step_names);
	to->query = copyObject(from->query);
	to->refusals = copyObject(from->refusals);
	to->master = NULL;
	to->cache = NULL;
}

static bool
plan_equal(const ExtensibleNode *a, const ExtensibleNode *b)
{
	return a == b;
}

/* For debug_print_plan. */
static void
plan_out(StringInfo out, const ExtensibleNode *node)
{
	const ShardPlan *plan = (const ShardPlan *) node;
	char *pieces = nodeToString(plan->pieces);

	appendStringInfo(out, " :tier %d :relid %u :pieces %s", (int) plan->tier, plan->relid, pieces);
	pfree(pieces);
}

static void
plan_read(ExtensibleNode *node)
{
	elog(ERROR, "plans of pgcluster are not read back from text");
}
