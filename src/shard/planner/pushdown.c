/*-------------------------------------------------------------------------
 * pushdown.c
 *	  SELECTs that shards can answer each by itself.
 *
 * When all distributed tables are joined on their distribution columns, a
 * row of the join needs rows of one shard only, and the join runs there.  So
 * does grouping when the distribution column is among the columns grouped
 * by; else shards give partial aggregates.  What merges the shards' rows
 * (aggregation once more, DISTINCT, sorting, LIMIT) is a query of its own
 * over one relation, "shards", and planned by the server; LIMIT goes to the
 * shards, too.
 *
 * What must stay true: only aggregates whose parts can be put together to
 * the same value are split, see merges[]; the rest is left to the tier by
 * table.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_aggregate.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "shard/metadata/metadata.h"
#include "shard/planner/prune.h"
#include "shard/planner/statement.h"
#include "shard/planner/template.h"

/* The relation that the shards' rows are for the merging query. */
#define SHARDS_NAME "shards"

/* Groups of a shard, when nothing is known of them. */
#define DEFAULT_GROUPS 200

/* How the parts of an aggregate are put together. */
typedef struct Merge
{
	Oid aggregate;
	Oid part;		/* what shards compute; of avg() the sum, beside the count */
	Oid whole;		/* aggregate over the parts */
	Oid part_type;	/* of a part */
	Oid whole_type; /* of the aggregate over the parts */
	Oid conversion; /* to the result, or InvalidOid */
	bool zero;		/* 0 when there is nothing, instead of null */
	bool average;	/* divided by the sum of the counts */
} Merge;

static const Merge merges[] = {
	{F_COUNT_, F_COUNT_, F_SUM_INT8, INT8OID, NUMERICOID, F_INT8_NUMERIC, true, false},
	{F_COUNT_ANY, F_COUNT_ANY, F_SUM_INT8, INT8OID, NUMERICOID, F_INT8_NUMERIC, true, false},
	{F_SUM_INT2, F_SUM_INT2, F_SUM_INT8, INT8OID, NUMERICOID, F_INT8_NUMERIC, false, false},
	{F_SUM_INT4, F_SUM_INT4, F_SUM_INT8, INT8OID, NUMERICOID, F_INT8_NUMERIC, false, false},
	{F_SUM_INT8, F_SUM_INT8, F_SUM_NUMERIC, NUMERICOID, NUMERICOID, InvalidOid, false, false},
	{F_SUM_NUMERIC, F_SUM_NUMERIC, F_SUM_NUMERIC, NUMERICOID, NUMERICOID, InvalidOid, false, false},
	{F_AVG_INT2, F_SUM_INT2, F_SUM_INT8, INT8OID, NUMERICOID, InvalidOid, false, true},
	{F_AVG_INT4, F_SUM_INT4, F_SUM_INT8, INT8OID, NUMERICOID, InvalidOid, false, true},
	{F_AVG_INT8, F_SUM_INT8, F_SUM_NUMERIC, NUMERICOID, NUMERICOID, InvalidOid, false, true},
	{F_AVG_NUMERIC, F_SUM_NUMERIC, F_SUM_NUMERIC, NUMERICOID, NUMERICOID, InvalidOid, false, true},
};

/* Aggregates whose parts are merged by the same aggregate, whatever the type. */
static const char *const self_merging[] = {"min",	"max",	   "bool_and", "bool_or",
										   "every", "bit_and", "bit_or"};

/* A query on its way to be cut in two. */
typedef struct Split
{
	Query *remote;
	Query *merge;
	List *targets; /* of "remote" */
	List *groups;  /* target entries of "remote" that are grouped by */
	char *why;
} Split;

static set_rel_pathlist_hook_type prev_pathlist = NULL;

/* The plan of the shards' part while the merging query is planned. */
static ShardPlan *shards_plan = NULL;

static bool is_candidate(Query *query, char **why);
static bool groups_by_key(List *clauses, List *targets, List *keys);
static bool is_shard_wise(Query *query, List *keys);
static void split_rows(Query *query, Split *split);
static void push_limit(Query *query, Query *remote);
static void split_aggregates(Query *query, Split *split);
static Node *merge_mutator(Node *node, void *context);
static Node *merge_aggregate(Aggref *aggregate, Split *split);
static Node *merge_parts(const Merge *merge, Aggref *aggregate, Split *split);
static Node *merge_by(Oid function, Oid type, Oid collation, Oid input_collation, Node *part);
static const Merge *find_merge(Aggref *aggregate);
static bool merges_itself(Aggref *aggregate);
static Node *add_part(Aggref *part, Split *split);
static Node *target_var(TargetEntry *tle);
static void finish_merge(Query *query, Split *split, double rows);
static double estimate_rows(Query *remote, const DistributedTable *table);
static PlannedStmt *plan_merge(const PlanRequest *request, Query *merge, ShardPlan *plan);
static void pgcluster_pathlist(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte);
static Plan *plan_shards(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
						 List *clauses, List *custom_plans);

static const CustomPathMethods path_methods = {
	.CustomName = "pgcluster shards",
	.PlanCustomPath = plan_shards,
};

void
pushdown_init(void)
{
	prev_pathlist = set_rel_pathlist_hook;
	set_rel_pathlist_hook = pgcluster_pathlist;
}

PlannedStmt *
plan_pushdown(const PlanRequest *request, char **why)
{
	Query *query = request->query;
	Split split = {0};
	Pin pin = {0};
	Lift lift = {0};
	ShardPlan *plan;
	PlannedStmt *statement;

	if (!is_candidate(query, why))
		return NULL;
	if (!pin_to_join(query, &pin))
	{
		*why = pin.why;
		return NULL;
	}
	split.remote = copyObject(query);
	split.merge = makeNode(Query);
	if (is_shard_wise(query, pin.key_columns))
		split_rows(query, &split);
	else
		split_aggregates(query, &split);
	if (split.why != NULL || !statement_result_travels(split.remote, &split.why))
	{
		*why = split.why;
		return NULL;
	}

	plan = shard_plan_create(TIER_PUSHDOWN, CMD_SELECT, pin.table->relid);
	plan->returning = true;
	plan->refusals = request->refusals;
	prune_by_quals(plan, pin.table, linitial_node(Var, pin.key_columns)->varno,
				   query->jointree->quals);
	finish_merge(query, &split, estimate_rows(split.remote, pin.table));
	if (!lift_query(split.remote, LIFT_EVERY_SHARD, &lift))
	{
		*why = lift.why;
		return NULL;
	}
	plan->params = statement_params(&lift);
	template_make(split.remote, &plan->pieces, &plan->schemas);
	statement = plan_merge(request, split.merge, plan);
	statement_keep_relations(statement, query);
	return statement;
}

static bool
is_candidate(Query *query, char **why)
{
	ListCell *cell;

	*why = NULL;
	if (query->commandType != CMD_SELECT || query->hasModifyingCTE)
		*why = "It is not only a SELECT.";
	else if (query->setOperations != NULL)
		*why = "It is a UNION, INTERSECT or EXCEPT.";
	else if (query->groupingSets != NIL)
		*why = "It has grouping sets.";
	else if (query->hasTargetSRFs)
		*why = "Its result has functions that return sets.";
	else if (query->rowMarks != NIL)
		*why = "It locks rows.";
	else if (checkExprHasSubLink(query->limitCount) || checkExprHasSubLink(query->limitOffset))
		*why = "Its LIMIT is a query.";
	foreach (cell, query->rtable)
	{
		/* Newer servers add kinds that stand for no relation. */
		if (((RangeTblEntry *) lfirst(cell))->rtekind > RTE_RESULT)
			*why = "It groups by expressions.";
	}
	return *why == NULL;
}

/* Do these clauses name a distribution column, so that what they keep apart is kept apart by shards? */
static bool
groups_by_key(List *clauses, List *targets, List *keys)
{
	ListCell *cell;
	ListCell *key;

	foreach (cell, clauses)
	{
		Node *expr = get_sortgroupclause_expr(lfirst(cell), targets);

		while (expr != NULL && IsA(expr, RelabelType))
			expr = (Node *) ((RelabelType *) expr)->arg;
		foreach (key, keys)
		{
			Var *var = lfirst(key);

			if (IsA(expr, Var) && ((Var *) expr)->varno == var->varno &&
				((Var *) expr)->varattno == var->varattno && ((Var *) expr)->varlevelsup == 0)
				return true;
		}
	}
	return false;
}

/* Is the result, before sorting and the like, that of the shards one after the other? */
static bool
is_shard_wise(Query *query, List *keys)
{
	ListCell *cell;

	foreach (cell, query->windowClause)
	{
		if (!groups_by_key(((WindowClause *) lfirst(cell))->partitionClause, query->targetList,
						   keys))
			return false;
	}
	if (!query->hasAggs && query->groupClause == NIL && query->havingQual == NULL)
		return true;
	return groups_by_key(query->groupClause, query->targetList, keys);
}

/* Shards do everything; their rows are sorted and cut again. */
static void
split_rows(Query *query, Split *split)
{
	ListCell *cell;

	foreach (cell, split->remote->targetList)
	{
		TargetEntry *tle = lfirst(cell);
		TargetEntry *merged = flatCopyTargetEntry(tle);

		merged->expr = (Expr *) target_var(tle);
		split->merge->targetList = lappend(split->merge->targetList, merged);
		if (tle->resjunk)
			tle->resname = psprintf("sort_%d", tle->resno);
		tle->resjunk = false;
	}
	split->targets = split->remote->targetList;
	push_limit(query, split->remote);
}

/*
 * No shard needs to give more rows than the result has, and those that are
 * skipped.
 */
static void
push_limit(Query *query, Query *remote)
{
	Const *count = (Const *) eval_const_expressions(NULL, query->limitCount);
	Const *offset = (Const *) eval_const_expressions(NULL, query->limitOffset);
	int64 rows;

	remote->limitOffset = NULL;
	if (count != NULL && query->limitOption == LIMIT_OPTION_COUNT && offset == NULL &&
		!contain_volatile_functions((Node *) count))
		return;
	if (count != NULL && query->limitOption == LIMIT_OPTION_COUNT && offset != NULL &&
		IsA(count, Const) && IsA(offset, Const) && !count->constisnull && !offset->constisnull &&
		!pg_add_s64_overflow(DatumGetInt64(count->constvalue), DatumGetInt64(offset->constvalue),
							 &rows))
	{
		count = copyObject(count);
		count->constvalue = Int64GetDatum(rows);
		remote->limitCount = (Node *) count;
		return;
	}
	remote->limitCount = NULL;
	if (!query->hasDistinctOn)
		remote->sortClause = NIL;
}

/* Shards aggregate what they have. */
static void
split_aggregates(Query *query, Split *split)
{
	Query *remote = split->remote;
	ListCell *cell;

	if (query->hasWindowFuncs)
	{
		split->why = "Its window functions look at rows of several shards.";
		return;
	}
	foreach (cell, query->groupClause)
	{
		TargetEntry *tle = get_sortgroupclause_tle(lfirst(cell), query->targetList);
		TargetEntry *group = flatCopyTargetEntry(tle);

		group->expr = copyObject(tle->expr);
		group->resno = list_length(split->targets) + 1;
		group->resname = psprintf("group_%d", group->resno);
		group->resjunk = false;
		split->targets = lappend(split->targets, group);
		split->groups = lappend(split->groups, group);
	}
	split->merge->targetList = (List *) merge_mutator((Node *) query->targetList, split);
	split->merge->havingQual = merge_mutator(query->havingQual, split);
	split->merge->groupClause = copyObject(query->groupClause);
	split->merge->hasAggs = query->hasAggs;
	remote->targetList = split->targets;
	remote->havingQual = NULL;
	remote->sortClause = remote->distinctClause = NIL;
	remote->hasDistinctOn = false;
	remote->limitCount = remote->limitOffset = NULL;
	if (split->why == NULL && split->targets == NIL)
		split->why = "It groups rows, but gives nothing of them.";
}

/* The expression over the shards' rows. */
static Node *
merge_mutator(Node *node, void *context)
{
	Split *split = context;
	ListCell *cell;

	if (node == NULL || split->why != NULL)
		return node;
	foreach (cell, split->groups)
	{
		TargetEntry *group = lfirst(cell);

		if (equal(node, group->expr))
			return target_var(group);
	}
	switch (nodeTag(node))
	{
		case T_Aggref:
			return merge_aggregate((Aggref *) node, split);
		case T_Var:
			split->why = "It uses columns that it does not group by.";
			return node;
		case T_SubLink:
		case T_GroupingFunc:
		case T_WindowFunc:
			split->why = "Its result needs more than the aggregates of shards.";
			return node;
		default:
			return expression_tree_mutator(node, merge_mutator, context);
	}
}

static Node *
merge_aggregate(Aggref *aggregate, Split *split)
{
	const Merge *merge = find_merge(aggregate);

	if (aggregate->aggdistinct != NIL || aggregate->aggorder != NIL ||
		aggregate->aggkind != AGGKIND_NORMAL || aggregate->agglevelsup != 0 ||
		(merge == NULL && !merges_itself(aggregate)))
	{
		split->why = psprintf("Aggregate %s of several shards cannot be put together.",
							  get_func_name(aggregate->aggfnoid));
		return (Node *) aggregate;
	}
	if (merge != NULL)
		return merge_parts(merge, aggregate, split);
	return merge_by(aggregate->aggfnoid, aggregate->aggtype, aggregate->aggcollid,
					aggregate->inputcollid, add_part(copyObject(aggregate), split));
}

static Node *
merge_parts(const Merge *merge, Aggref *aggregate, Split *split)
{
	Aggref *part = copyObject(aggregate);
	Node *whole;

	part->aggfnoid = merge->part;
	part->aggtype = merge->part_type;
	whole =
		merge_by(merge->whole, merge->whole_type, InvalidOid, InvalidOid, add_part(part, split));
	if (merge->average)
	{
		Aggref *count = copyObject(aggregate);

		count->aggfnoid = F_COUNT_ANY;
		count->aggtype = INT8OID;
		count->aggargtypes = list_make1_oid(ANYOID);
		return (Node *) makeFuncExpr(
			F_NUMERIC_DIV, NUMERICOID,
			list_make2(whole, merge_by(F_SUM_INT8, NUMERICOID, InvalidOid, InvalidOid,
									   add_part(count, split))),
			InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
	}
	if (OidIsValid(merge->conversion))
		whole = (Node *) makeFuncExpr(merge->conversion, aggregate->aggtype, list_make1(whole),
									  InvalidOid, InvalidOid, COERCE_IMPLICIT_CAST);
	if (merge->zero)
	{
		CoalesceExpr *coalesce = makeNode(CoalesceExpr);

		coalesce->coalescetype = INT8OID;
		coalesce->args = list_make2(whole, makeConst(INT8OID, -1, InvalidOid, sizeof(int64),
													 Int64GetDatum(0), false, FLOAT8PASSBYVAL));
		coalesce->location = -1;
		return (Node *) coalesce;
	}
	return whole;
}

/* An aggregate over a column of the shards' rows. */
static Node *
merge_by(Oid function, Oid type, Oid collation, Oid input_collation, Node *part)
{
	Aggref *aggregate = makeNode(Aggref);

	aggregate->aggfnoid = function;
	aggregate->aggtype = type;
	aggregate->aggcollid = collation;
	aggregate->inputcollid = input_collation;
	aggregate->aggargtypes = list_make1_oid(exprType(part));
	aggregate->args = list_make1(makeTargetEntry((Expr *) part, 1, NULL, false));
	aggregate->aggkind = AGGKIND_NORMAL;
	aggregate->aggsplit = AGGSPLIT_SIMPLE;
	aggregate->aggno = -1;
	aggregate->aggtransno = -1;
	aggregate->location = -1;
	return (Node *) aggregate;
}

static const Merge *
find_merge(Aggref *aggregate)
{
	for (size_t i = 0; i < lengthof(merges); i++)
	{
		if (merges[i].aggregate == aggregate->aggfnoid)
			return &merges[i];
	}
	return NULL;
}

static bool
merges_itself(Aggref *aggregate)
{
	char *name;

	if (!lift_builtin(aggregate->aggfnoid) || list_length(aggregate->args) != 1)
		return false;
	name = get_func_name(aggregate->aggfnoid);
	for (size_t i = 0; i < lengthof(self_merging); i++)
	{
		if (strcmp(name, self_merging[i]) == 0)
			return true;
	}
	return false;
}

/* Adds what shards are to compute, unless they do already; returns the column. */
static Node *
add_part(Aggref *part, Split *split)
{
	ListCell *cell;
	TargetEntry *tle;
	int number = list_length(split->targets) + 1;

	foreach (cell, split->targets)
	{
		tle = lfirst(cell);
		if (equal(tle->expr, part))
			return target_var(tle);
	}
	tle = makeTargetEntry((Expr *) part, number, psprintf("part_%d", number), false);
	split->targets = lappend(split->targets, tle);
	return target_var(tle);
}

/* The column of the shards' rows that an entry of their target list is. */
static Node *
target_var(TargetEntry *tle)
{
	return (Node *) makeVar(1, tle->resno, exprType((Node *) tle->expr),
							exprTypmod((Node *) tle->expr), exprCollation((Node *) tle->expr), 0);
}

/* All of the merging query that is the same for both ways to split. */
static void
finish_merge(Query *query, Split *split, double rows)
{
	Query *merge = split->merge;
	RangeTblEntry *shards = makeNode(RangeTblEntry);
	RangeTblRef *ref = makeNode(RangeTblRef);
	List *names = NIL;
	ListCell *cell;

	foreach (cell, split->targets)
	{
		TargetEntry *tle = lfirst(cell);

		names = lappend(names, makeString(tle->resname ? tle->resname : "?column?"));
		shards->coltypes = lappend_oid(shards->coltypes, exprType((Node *) tle->expr));
		shards->coltypmods = lappend_int(shards->coltypmods, exprTypmod((Node *) tle->expr));
		shards->colcollations =
			lappend_oid(shards->colcollations, exprCollation((Node *) tle->expr));
	}
	shards->rtekind = RTE_NAMEDTUPLESTORE;
	shards->enrname = SHARDS_NAME;
	shards->enrtuples = rows;
	shards->eref = makeAlias(SHARDS_NAME, names);
	shards->inFromCl = true;
	ref->rtindex = 1;

	merge->commandType = CMD_SELECT;
	merge->querySource = query->querySource;
	merge->queryId = query->queryId;
	merge->canSetTag = query->canSetTag;
	merge->rtable = list_make1(shards);
	merge->jointree = makeFromExpr(list_make1(ref), NULL);
	merge->sortClause = copyObject(query->sortClause);
	merge->distinctClause = copyObject(query->distinctClause);
	merge->hasDistinctOn = query->hasDistinctOn;
	merge->limitCount = copyObject(query->limitCount);
	merge->limitOffset = copyObject(query->limitOffset);
	merge->limitOption = query->limitOption;
	merge->stmt_location = query->stmt_location;
	merge->stmt_len = query->stmt_len;
}

static double
estimate_rows(Query *remote, const DistributedTable *table)
{
	int nshards = table->colocation->nshards;

	if (remote->limitCount != NULL && IsA(remote->limitCount, Const) &&
		!((Const *) remote->limitCount)->constisnull)
		return nshards * Max(1.0, DatumGetInt64(((Const *) remote->limitCount)->constvalue));
	if (remote->groupClause != NIL)
		return nshards * DEFAULT_GROUPS;
	return remote->hasAggs ? nshards : nshards * DEFAULT_GROUPS * 10;
}

static PlannedStmt *
plan_merge(const PlanRequest *request, Query *merge, ShardPlan *plan)
{
	ShardPlan *outer = shards_plan;
	PlannedStmt *statement = NULL;

	PG_TRY();
	{
		shards_plan = plan;
		statement = planner_server(request, merge);
	}
	PG_FINALLY();
	{
		shards_plan = outer;
	}
	PG_END_TRY();
	return statement;
}

static void
pgcluster_pathlist(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	if (shards_plan != NULL && rte->rtekind == RTE_NAMEDTUPLESTORE && root->parent_root == NULL &&
		strcmp(rte->enrname, SHARDS_NAME) == 0)
	{
		CustomPath *path = makeNode(CustomPath);

		rel->pathlist = NIL;
		rel->partial_pathlist = NIL;
		rel->consider_parallel = false;
		path->path.pathtype = T_CustomScan;
		path->path.parent = rel;
		path->path.pathtarget = rel->reltarget;
		path->path.rows = rel->rows;
		path->path.startup_cost = cpu_tuple_cost * rel->rows;
		path->path.total_cost = 2 * cpu_tuple_cost * rel->rows;
		path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
		path->methods = &path_methods;
		add_path(rel, &path->path);
	}
	if (prev_pathlist)
		prev_pathlist(root, rel, rti, rte);
}

static Plan *
plan_shards(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist, List *clauses,
			List *custom_plans)
{
	RangeTblEntry *rte = planner_rt_fetch(rel->relid, root);
	CustomScan *scan = makeNode(CustomScan);
	int column = 0;
	ListCell *name;

	foreach (name, rte->eref->colnames)
	{
		Var *var = makeVar(rel->relid, column + 1, list_nth_oid(rte->coltypes, column),
						   list_nth_int(rte->coltypmods, column),
						   list_nth_oid(rte->colcollations, column), 0);

		column++;
		scan->custom_scan_tlist =
			lappend(scan->custom_scan_tlist,
					makeTargetEntry((Expr *) var, column, strVal(lfirst(name)), false));
	}
	scan->scan.plan.targetlist = tlist;
	scan->scan.plan.qual = extract_actual_clauses(clauses, false);
	scan->flags = path->flags;
	scan->custom_private = list_make1(shards_plan);
	scan->custom_relids = bms_make_singleton(rel->relid);
	scan->methods = &shard_scan_methods;
	return &scan->scan.plan;
}
