/*-------------------------------------------------------------------------
 * split.c
 *	  Cuts a SELECT in two: what each shard answers by itself, and what is
 *	  done with the rows of all.
 *
 * When all distributed tables are joined on their distribution columns, a
 * row of the join needs rows of one shard only, and the join runs there.  So
 * does grouping when the distribution column is among the columns grouped
 * by; else shards give partial aggregates, and where one counts different
 * values only, these values without duplicates.  What merges the shards' rows
 * (aggregation once more, DISTINCT, sorting, LIMIT) is a query of its own
 * over one relation, see piece.c; LIMIT goes to the shards, too.  Subqueries
 * that give one value for the whole query are left out and become parameters.
 *
 * What must stay true: only aggregates whose parts can be put together to
 * the same value are split, see aggregates.c.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "parser/parse_oper.h"
#include "rewrite/rewriteManip.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "shard/metadata/metadata.h"
#include "shard/planner/aggregates.h"
#include "shard/planner/piece.h"
#include "shard/planner/prune.h"
#include "shard/planner/statement.h"

/* ">" of bigint. */
#define INT8_GREATER 413

/* More rows than any LIMIT means. */
#define MANY_ROWS (PG_INT64_MAX / 2)

/* A query on its way to be cut in two. */
typedef struct Split
{
	Query *remote;
	Query *merge;
	List *keys;	   /* Var: distribution columns that say which shard a row is of */
	List *targets; /* of "remote" */
	List *groups;  /* target entries of "remote" that are grouped by */
	List *ahead;   /* SubLink */
	bool coarser;  /* groups of the result are made of several of a shard */
	bool repeated; /* an aggregate counts values once that several of them may have */
	char *why;
} Split;

static bool is_candidate(Query *query, char **why);
static bool locks_own_rows(Query *query);
static Node *set_ahead(Node *node, void *context);
static bool reads_elsewhere(Node *node, void *context);
static void set_key_ahead(ShardPlan *plan, List *params);
static bool is_ahead(Node *node, void *context);
static Node *put_back(Node *node, void *context);
static bool groups_by_key(List *clauses, List *targets, List *keys);
static bool is_shard_wise(Query *query, List *keys);
static void split_rows(Query *query, Split *split);
static void push_limit(Query *query, Query *remote);
static Node *limit_with_offset(Node *count, Node *offset);
static void split_aggregates(Query *query, Split *split);
static TargetEntry *add_group(Expr *expr, SortGroupClause *clause, Split *split);
static Node *merge_mutator(Node *node, void *context);
static bool find_repeated(Node *node, void *context);
static Node *merge_aggregate(Aggref *aggregate, Split *split);
static Node *merge_distinct(Aggref *aggregate, Split *split);
static Node *group_by(Node *expr, Split *split);
static Node *add_part(Expr *part, void *context);
static Node *target_var(TargetEntry *tle);
static void finish_merge(Query *query, Split *split, RangeTblEntry *shards);

Query *
piece_split(Query *query, PieceSet *set, char **why)
{
	Split split = {0};
	Pin pin = {0};
	Lift lift = {0};
	Piece *piece;
	bool shard_wise;
	ListCell *cell;
	RangeTblEntry *shards;

	query = statement_with_groups(query);
	if (!is_candidate(query, why))
		return NULL;
	split.remote = (Query *) set_ahead(copyObject((Node *) query), &split);
	split.merge = makeNode(Query);
	if (!pin_to_join(split.remote, &pin))
	{
		*why = pin.why;
		return NULL;
	}
	query = copyObject(split.remote);
	split.keys = pin.key_columns;
	shard_wise = is_shard_wise(query, pin.key_columns);
	if (shard_wise)
		split_rows(query, &split);
	else
		split_aggregates(query, &split);
	if (split.why != NULL || !statement_result_travels(split.remote, &split.why))
	{
		*why = split.why;
		return NULL;
	}

	piece = palloc0(sizeof(Piece));
	piece->table = pin.table;
	piece->key_columns = pin.key_columns;
	piece->plan = shard_plan_create(TIER_PUSHDOWN, CMD_SELECT, pin.table->relid);
	piece->plan->returning = true;
	piece->plan->writes = query->rowMarks != NIL;
	foreach (cell, pin.key_columns)
	{
		Var *key = lfirst(cell);

		prune_by_quals(piece->plan, pin.table, key->varno, key->varattno, query->jointree->quals);
	}
	piece->rows = piece_estimate(split.remote, !shard_wise, pin.table);
	piece->remote = split.remote;

	/* The types of columns are those here: a row of a table travels as one without a name. */
	piece->targets = copyObject(split.remote->targetList);
	if (!lift_query(piece->remote, LIFT_EVERY_SHARD, &lift))
	{
		*why = lift.why;
		return NULL;
	}
	set_key_ahead(piece->plan, lift.params);
	shards = piece_relation(piece, lift.params, set);
	finish_merge(query, &split, shards);
	return split.merge;
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
	else if (!locks_own_rows(query))
		*why = "It locks rows of other than its distributed tables.";
	foreach (cell, query->rtable)
	{
		/* Newer servers add kinds that stand for no relation. */
		if (((RangeTblEntry *) lfirst(cell))->rtekind > RTE_RESULT)
			*why = "It groups by expressions.";
	}
	return *why == NULL;
}

/*
 * Are all rows that it locks, if any, those of its hash distributed tables?
 * A shard's lock on its copy of a reference table would be unknown to others.
 */
static bool
locks_own_rows(Query *query)
{
	Query rest = *query;
	ListCell *cell;

	foreach (cell, query->rowMarks)
	{
		RangeTblEntry *rte = rt_fetch(lfirst_node(RowMarkClause, cell)->rti, query->rtable);
		const DistributedTable *table =
			rte->rtekind == RTE_RELATION ? metadata_table(rte->relid) : NULL;

		if (table == NULL || table->kind != TABLE_HASH)
			return false;
	}
	rest.rowMarks = NIL;
	return !statement_writes(&rest);
}

/* Puts parameters in place of subqueries that are run once, ahead. */
static Node *
set_ahead(Node *node, void *context)
{
	Split *split = context;

	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
		return (Node *) query_tree_mutator((Query *) node, set_ahead, context, 0);
	if (IsA(node, SubLink) && piece_is_ahead((SubLink *) node))
	{
		int number = 0;

		for (int i = 0; i < list_length(split->ahead) && number == 0; i++)
		{
			if (equal(list_nth(split->ahead, i), node))
				number = i + 1;
		}
		if (number == 0)
		{
			split->ahead = lappend(split->ahead, copyObject(node));
			number = list_length(split->ahead);
		}
		return (Node *) lift_numbered_param(FIRST_AHEAD + number, exprType(node), exprTypmod(node),
											exprCollation(node));
	}
	return expression_tree_mutator(node, set_ahead, context);
}

bool
piece_is_ahead(SubLink *link)
{
	Query *query = castNode(Query, link->subselect);

	return (link->subLinkType == EXPR_SUBLINK || link->subLinkType == EXISTS_SUBLINK ||
			link->subLinkType == ARRAY_SUBLINK) &&
		   query->commandType == CMD_SELECT && !piece_is_open(query) &&
		   !contain_volatile_functions((Node *) query) && reads_elsewhere((Node *) query, NULL);
}

/* Does it read anything but reference tables? */
static bool
reads_elsewhere(Node *node, void *context)
{
	ListCell *cell;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, reads_elsewhere, context);
	foreach (cell, ((Query *) node)->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);
		const DistributedTable *table;

		if (rte->rtekind != RTE_RELATION)
			continue;
		table = metadata_table(rte->relid);
		if (table == NULL || table->kind != TABLE_REFERENCE)
			return true;
	}
	return query_tree_walker((Query *) node, reads_elsewhere, context, QTW_IGNORE_JOINALIASES);
}

/* A key that is given by such a subquery is found among the parameters. */
static void
set_key_ahead(ShardPlan *plan, List *params)
{
	if (!is_ahead((Node *) plan->key, NULL))
		return;
	for (int i = 0; i < list_length(params) && plan->key_param < 0; i++)
	{
		if (equal(list_nth(params, i), plan->key))
			plan->key_param = i;
	}
	if (plan->key_param < 0)
		plan->key = NULL;
}

static bool
is_ahead(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param))
		return ((Param *) node)->paramkind == PARAM_EXTERN &&
			   ((Param *) node)->paramid > FIRST_AHEAD;
	return expression_tree_walker(node, is_ahead, context);
}

/* The subqueries again, in what stays here. */
static Node *
put_back(Node *node, void *context)
{
	Split *split = context;

	if (node == NULL)
		return NULL;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXTERN &&
		((Param *) node)->paramid > FIRST_AHEAD && ((Param *) node)->paramid < FIRST_SHIPPED)
	{
		split->merge->hasSubLinks = true;
		return copyObject(list_nth(split->ahead, ((Param *) node)->paramid - FIRST_AHEAD - 1));
	}
	if (IsA(node, SubLink))
	{
		split->merge->hasSubLinks = true;
		return copyObject(node);
	}
	return expression_tree_mutator(node, put_back, context);
}

bool
piece_is_key(Node *expr, List *keys)
{
	ListCell *key;

	while (expr != NULL && IsA(expr, RelabelType))
		expr = (Node *) ((RelabelType *) expr)->arg;
	foreach (key, keys)
	{
		Var *var = lfirst(key);

		if (expr != NULL && IsA(expr, Var) && ((Var *) expr)->varno == var->varno &&
			((Var *) expr)->varattno == var->varattno && ((Var *) expr)->varlevelsup == 0)
			return true;
	}
	return false;
}

/* Do these clauses name a distribution column, so that what they keep apart is kept apart by shards? */
static bool
groups_by_key(List *clauses, List *targets, List *keys)
{
	ListCell *cell;

	foreach (cell, clauses)
	{
		if (piece_is_key(get_sortgroupclause_expr(lfirst(cell), targets), keys))
			return true;
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
	if (!query->hasAggs && query->groupClause == NIL && query->groupingSets == NIL &&
		query->havingQual == NULL)
		return true;
	return query->groupingSets == NIL && groups_by_key(query->groupClause, query->targetList, keys);
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
	push_limit(query, split->remote);
}

/*
 * No shard needs to give more rows than the result has, and those that are
 * skipped.  Rows that tie with the last one count here as there.
 */
static void
push_limit(Query *query, Query *remote)
{
	Node *count = eval_const_expressions(NULL, query->limitCount);
	Node *offset = eval_const_expressions(NULL, query->limitOffset);

	remote->limitOffset = NULL;
	remote->limitCount = NULL;
	if (count != NULL && !checkExprHasSubLink(count) && !checkExprHasSubLink(offset) &&
		!contain_volatile_functions(count) && !contain_volatile_functions(offset))
		remote->limitCount =
			offset == NULL ? copyObject(query->limitCount) : limit_with_offset(count, offset);
	if (remote->limitCount == NULL)
	{
		remote->limitOption = LIMIT_OPTION_COUNT;
		if (!query->hasDistinctOn)
			remote->sortClause = NIL;
	}
}

/* Their sum, which cannot overflow; an offset of null is none. */
static Node *
limit_with_offset(Node *count, Node *offset)
{
	Const *many = makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(MANY_ROWS), false,
							FLOAT8PASSBYVAL);
	Const *none =
		makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(0), false, FLOAT8PASSBYVAL);
	CoalesceExpr *skipped = makeNode(CoalesceExpr);
	Node *terms[] = {(Node *) count, (Node *) skipped};

	skipped->coalescetype = INT8OID;
	skipped->args = list_make2(offset, none);
	skipped->location = -1;
	for (size_t i = 0; i < lengthof(terms); i++)
	{
		CaseExpr *bounded = makeNode(CaseExpr);
		CaseWhen *when = makeNode(CaseWhen);

		/* Not least(), for which a null would be no value. */
		when->expr =
			(Expr *) make_opclause(INT8_GREATER, BOOLOID, false, copyObject((Expr *) terms[i]),
								   (Expr *) many, InvalidOid, InvalidOid);
		set_opfuncid((OpExpr *) when->expr);
		when->result = (Expr *) copyObject(many);
		when->location = -1;
		bounded->casetype = INT8OID;
		bounded->args = list_make1(when);
		bounded->defresult = (Expr *) terms[i];
		bounded->location = -1;
		terms[i] = (Node *) bounded;
	}
	return eval_const_expressions(
		NULL, (Node *) makeFuncExpr(F_INT8PL, INT8OID, list_make2(terms[0], terms[1]), InvalidOid,
									InvalidOid, COERCE_EXPLICIT_CALL));
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
	if (query->hasTargetSRFs)
	{
		split->why = "Its result has functions that return sets.";
		return;
	}
	remote->groupClause = NIL;
	remote->groupingSets = NIL;
	remote->groupDistinct = false;
	foreach (cell, query->groupClause)
	{
		SortGroupClause *clause = lfirst(cell);

		(void) add_group(get_sortgroupclause_tle(clause, query->targetList)->expr, clause, split);
	}
	split->coarser = query->groupingSets != NIL;
	(void) find_repeated((Node *) query->targetList, split);
	(void) find_repeated(query->havingQual, split);
	split->merge->targetList = (List *) merge_mutator((Node *) query->targetList, split);
	split->merge->havingQual = merge_mutator(query->havingQual, split);
	split->merge->groupClause = copyObject(query->groupClause);
	split->merge->groupingSets = copyObject(query->groupingSets);
	split->merge->groupDistinct = query->groupDistinct;
	split->merge->hasAggs = query->hasAggs;
	remote->targetList = split->targets;
	remote->hasAggs = query->hasAggs;
	remote->havingQual = NULL;
	remote->sortClause = remote->distinctClause = NIL;
	remote->hasDistinctOn = false;
	remote->limitCount = remote->limitOffset = NULL;
	remote->limitOption = LIMIT_OPTION_COUNT;
	if (split->why == NULL && split->targets == NIL)
		split->why = "It groups rows, but gives nothing of them.";
}

/* Shards group by the expression, too; "clause" says by which equality. */
static TargetEntry *
add_group(Expr *expr, SortGroupClause *clause, Split *split)
{
	int number = list_length(split->targets) + 1;
	TargetEntry *group =
		makeTargetEntry(copyObject(expr), number, psprintf("group_%d", number), false);
	SortGroupClause *grouping = copyObject(clause);

	group->ressortgroupref = number;
	grouping->tleSortGroupRef = number;
	split->targets = lappend(split->targets, group);
	split->groups = lappend(split->groups, group);
	split->remote->groupClause = lappend(split->remote->groupClause, grouping);
	return group;
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
		case T_WindowFunc:
			split->why = "Its result needs more than the aggregates of shards.";
			return node;
		default:
			return expression_tree_mutator(node, merge_mutator, context);
	}
}

/* Values that hold a distribution column are no other shard's, but several groups may have them. */
static bool
find_repeated(Node *node, void *context)
{
	Split *split = context;

	if (node == NULL)
		return false;
	if (IsA(node, Aggref) && ((Aggref *) node)->aggdistinct != NIL)
	{
		bool apart = false;
		ListCell *cell;

		foreach (cell, split->coarser ? NIL : ((Aggref *) node)->args)
		{
			TargetEntry *tle = lfirst(cell);

			apart |= tle->ressortgroupref != 0 && piece_is_key((Node *) tle->expr, split->keys);
		}
		split->repeated |= !apart;
		return false;
	}
	return expression_tree_walker(node, find_repeated, context);
}

static Node *
merge_aggregate(Aggref *aggregate, Split *split)
{
	Node *merged = NULL;

	/* Where shards group by such values, parts are too small to tell others apart. */
	if (aggregate->aggdistinct == NIL || !split->repeated)
		merged = aggregate_merge(aggregate, add_part, split);
	if (merged == NULL && aggregate->aggdistinct != NIL)
		merged = merge_distinct(aggregate, split);
	if (merged == NULL)
	{
		split->why = psprintf("Aggregate %s of several shards cannot be put together.",
							  get_func_name(aggregate->aggfnoid));
		return (Node *) aggregate;
	}
	return merged;
}

/* The aggregate itself, over the values that shards give once each. */
static Node *
merge_distinct(Aggref *aggregate, Split *split)
{
	Aggref *merged = copyObject(aggregate);
	ListCell *cell;

	bool any = false;

	if (aggregate->aggkind != AGGKIND_NORMAL || aggregate->agglevelsup != 0)
		return NULL;
	foreach (cell, merged->args)
	{
		TargetEntry *tle = lfirst(cell);

		if (IsA(tle->expr, Const))
			continue;
		any = true;
		tle->expr = (Expr *) group_by((Node *) tle->expr, split);
		if (tle->expr == NULL)
			return NULL;
	}

	/* Without a group a shard would give a row although it has none. */
	if (!any)
		return NULL;
	if (aggregate->aggfilter != NULL)
	{
		merged->aggfilter = (Expr *) group_by((Node *) aggregate->aggfilter, split);
		if (merged->aggfilter == NULL)
			return NULL;
	}
	return (Node *) merged;
}

/* The column of the shards' rows that is grouped by "expr", a new one if need be. */
static Node *
group_by(Node *expr, Split *split)
{
	SortGroupClause *clause = makeNode(SortGroupClause);
	ListCell *cell;

	foreach (cell, split->groups)
	{
		TargetEntry *group = lfirst(cell);

		if (equal(expr, group->expr))
			return target_var(group);
	}
	if (contain_volatile_functions(expr))
		return NULL;
	get_sort_group_operators(exprType(expr), false, false, false, &clause->sortop, &clause->eqop,
							 NULL, &clause->hashable);
	if (!OidIsValid(clause->eqop) || (!OidIsValid(clause->sortop) && !clause->hashable))
		return NULL;
	return target_var(add_group((Expr *) expr, clause, split));
}

/* Adds what shards are to compute, unless they do already; returns the column. */
static Node *
add_part(Expr *part, void *context)
{
	Split *split = context;
	ListCell *cell;
	TargetEntry *tle;
	int number = list_length(split->targets) + 1;

	foreach (cell, split->targets)
	{
		tle = lfirst(cell);
		if (equal(tle->expr, part))
			return target_var(tle);
	}
	tle = makeTargetEntry(part, number, psprintf("part_%d", number), false);
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
finish_merge(Query *query, Split *split, RangeTblEntry *shards)
{
	Query *merge = split->merge;
	RangeTblRef *ref = makeNode(RangeTblRef);
	RangeTblFunction *function = linitial_node(RangeTblFunction, shards->functions);

	function->funcexpr = put_back(function->funcexpr, split);
	ref->rtindex = 1;
	merge->commandType = CMD_SELECT;
	merge->querySource = query->querySource;
	merge->queryId = query->queryId;
	merge->canSetTag = query->canSetTag;
	merge->rtable = list_make1(shards);
	merge->jointree = makeFromExpr(list_make1(ref), NULL);
	merge->targetList = (List *) put_back((Node *) merge->targetList, split);
	merge->havingQual = put_back(merge->havingQual, split);
	merge->sortClause = copyObject(query->sortClause);
	merge->distinctClause = copyObject(query->distinctClause);
	merge->hasDistinctOn = query->hasDistinctOn;
	merge->limitCount = put_back(query->limitCount, split);
	merge->limitOffset = put_back(query->limitOffset, split);
	merge->limitOption = query->limitOption;
	merge->stmt_location = query->stmt_location;
	merge->stmt_len = query->stmt_len;
}
