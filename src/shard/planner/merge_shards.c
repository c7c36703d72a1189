/*-------------------------------------------------------------------------
 * merge_shards.c
 *	  MERGE that runs whole on shards.
 *
 * A row of the source must be looked at where the rows of the target are that
 * it may be matched with, and if it may be inserted, there and nowhere else:
 *
 * - The target's distribution column is compared with a value, or with a
 *   column of a source of one row: all is on that value's shard.
 * - It is compared with the distribution column of the source, which is split
 *   likewise: each shard merges its part.
 * - The source is the same everywhere, and nothing is inserted.
 *
 * What is inserted must have that very value, or column, as its distribution
 * column.  Anything else is left to merge.c.
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"

#include "base/compat.h"
#include "shard/planner/lift.h"
#include "shard/planner/prune.h"
#include "shard/planner/statement.h"
#include "shard/planner/template.h"

typedef struct Merge
{
	Query *query;
	const DistributedTable *table; /* the target */
	int source;					   /* its number in the range table */
	bool inserts;
	char *why;
} Merge;

static bool begin(Merge *merge, Query *query, char **why);
static bool check_action(Merge *merge, MergeAction *action);
static bool is_elsewhere(RangeTblEntry *rte);
static bool source_is_elsewhere(Merge *merge);
static bool is_sole_row(Query *query);
static Expr *value_of(Merge *merge, Node *expr);
static bool is_split_likewise(Merge *merge, Node *expr);
static bool inserts_only(Merge *merge, Node *key);
static bool is_same_value(Node *inserted, Node *key);
static Node *strip(Node *expr);
static bool find_key(Merge *merge, Node *quals, bool (*fits)(Merge *, Node *, Pin *), Pin *pin);
static bool fits_value(Merge *merge, Node *other, Pin *pin);
static bool fits_source(Merge *merge, Node *other, Pin *pin);
static PlannedStmt *finish(const PlanRequest *request, Merge *merge, const Pin *pin, char **why);

PlannedStmt *
plan_merge_shard(const PlanRequest *request, char **why)
{
	Merge merge = {0};
	Pin pin = {0};

	if (!begin(&merge, copyObject(request->query), why))
		return NULL;
	if (source_is_elsewhere(&merge) ||
		!find_key(&merge, compat_merge_condition(merge.query), fits_value, &pin))
	{
		*why = "The distribution column is not compared with one value that is also inserted.";
		return NULL;
	}
	pin.table = merge.table;
	pin.inserts = merge.inserts;
	return finish(request, &merge, &pin, why);
}

PlannedStmt *
plan_merge_shards(const PlanRequest *request, char **why)
{
	Merge merge = {0};
	Pin pin = {0};

	if (!begin(&merge, copyObject(request->query), why))
		return NULL;
	if (source_is_elsewhere(&merge)
			? !find_key(&merge, compat_merge_condition(merge.query), fits_source, &pin)
			: merge.inserts)
	{
		*why = "The source is not joined, and inserted, by its distribution column.";
		return NULL;
	}
	return finish(request, &merge, NULL, why);
}

/* What both have to look at first. */
static bool
begin(Merge *merge, Query *query, char **why)
{
	ListCell *cell;

	merge->query = query;
	merge->table = metadata_table(rt_fetch(query->resultRelation, query->rtable)->relid);
	if (query->returningList != NIL || query->cteList != NIL)
		merge->why = "It has WITH or RETURNING.";
	else if (list_length(query->jointree->fromlist) != 1 ||
			 !IsA(linitial(query->jointree->fromlist), RangeTblRef))
		merge->why = "Its source is a join.";
	else if (lift_reads(compat_merge_condition(query), is_elsewhere))
		merge->why = "A subquery of its condition reads distributed tables.";
	if (merge->why == NULL)
		merge->source = linitial_node(RangeTblRef, query->jointree->fromlist)->rtindex;
	foreach (cell, query->mergeActionList)
	{
		if (merge->why == NULL)
			(void) check_action(merge, lfirst(cell));
	}
	*why = merge->why;
	return merge->why == NULL;
}

static bool
check_action(Merge *merge, MergeAction *action)
{
	ListCell *cell;

	merge->inserts |= action->commandType == CMD_INSERT;
	if (compat_merge_by_source(action))
		merge->why = "WHEN NOT MATCHED BY SOURCE is not supported on distributed tables.";
	if (lift_reads(action->qual, is_elsewhere) ||
		lift_reads((Node *) action->targetList, is_elsewhere))
		merge->why = "A subquery of an action reads distributed tables.";
	foreach (cell, action->targetList)
	{
		TargetEntry *tle = lfirst(cell);

		if (tle->resjunk)
			merge->why = "It assigns several columns from one subquery.";
		else if (action->commandType == CMD_UPDATE && tle->resno == merge->table->key)
			merge->why = "It changes the distribution column.";
	}

	/* The shard's column may be one that is always generated; what goes into it is decided here. */
	if (action->commandType == CMD_INSERT)
		action->override = OVERRIDING_SYSTEM_VALUE;
	return merge->why == NULL;
}

/* Is the table none that every node has? */
static bool
is_elsewhere(RangeTblEntry *rte)
{
	const DistributedTable *table = metadata_table(rte->relid);

	return table == NULL || table->kind != TABLE_REFERENCE;
}

static bool
source_is_elsewhere(Merge *merge)
{
	RangeTblEntry *rte = rt_fetch(merge->source, merge->query->rtable);

	return lift_reads((Node *) rte, is_elsewhere);
}

/*
 * Looks for "target.key = other" among the conditions, with another that
 * fits, and of which the inserted rows are made.
 */
static bool
find_key(Merge *merge, Node *quals, bool (*fits)(Merge *, Node *, Pin *), Pin *pin)
{
	const DistributedTable *table = merge->table;
	Node *sides[2];
	Oid types[2];
	ListCell *cell;

	if (quals == NULL)
		return false;
	if (IsA(quals, List) || is_andclause(quals))
	{
		foreach (cell, IsA(quals, List) ? (List *) quals : ((BoolExpr *) quals)->args)
		{
			if (find_key(merge, lfirst(cell), fits, pin))
				return true;
		}
		return false;
	}
	if (!pin_is_equality((Expr *) quals, pin_hash_family(table->key_type), table->key_collation,
						 &sides[0], &sides[1], &types[0], &types[1]))
		return false;
	for (int i = 0; i < 2; i++)
	{
		Var *var = (Var *) strip(sides[i]);

		pin->key_type = types[1 - i];
		if (IsA(var, Var) && var->varlevelsup == 0 && var->varno == merge->query->resultRelation &&
			var->varattno == table->key && inserts_only(merge, sides[1 - i]) &&
			fits(merge, sides[1 - i], pin))
			return true;
	}
	return false;
}

static bool
fits_value(Merge *merge, Node *other, Pin *pin)
{
	pin->key = value_of(merge, strip(other));
	return pin->key != NULL;
}

static bool
fits_source(Merge *merge, Node *other, Pin *pin)
{
	return is_split_likewise(merge, strip(other));
}

/* The value that stands for the expression in every row of the source; NULL: none. */
static Expr *
value_of(Merge *merge, Node *expr)
{
	Var *var = (Var *) expr;
	RangeTblEntry *rte = rt_fetch(merge->source, merge->query->rtable);
	ExprFacts facts;

	if (IsA(var, Var) && var->varlevelsup == 0 && var->varno == merge->source &&
		var->varattno > 0 && rte->rtekind == RTE_SUBQUERY && is_sole_row(rte->subquery))
	{
		Query *query = rte->subquery;

		expr =
			strip((Node *) ((TargetEntry *) list_nth(query->targetList, var->varattno - 1))->expr);
		var = (Var *) expr;
		if (query->jointree->fromlist != NIL && IsA(var, Var))
		{
			RangeTblEntry *values = rt_fetch(var->varno, query->rtable);

			expr = strip(list_nth(linitial(values->values_lists), var->varattno - 1));
		}
	}
	facts = expr_facts(expr);
	if (facts.bound || facts.volatility == PROVOLATILE_VOLATILE)
		return NULL;
	return (Expr *) expr;
}

/* SELECT values, or VALUES of one row. */
static bool
is_sole_row(Query *query)
{
	RangeTblEntry *rte;

	if (query->setOperations != NULL || query->hasTargetSRFs || query->hasAggs ||
		query->groupClause != NIL || query->groupingSets != NIL || query->cteList != NIL)
		return false;
	if (query->jointree->fromlist == NIL)
		return true;
	if (list_length(query->rtable) != 1 || list_length(query->jointree->fromlist) != 1)
		return false;
	rte = linitial(query->rtable);
	return rte->rtekind == RTE_VALUES && list_length(rte->values_lists) == 1;
}

/* Is it the column by which the rows of the source are on the same shards as those of the target? */
static bool
is_split_likewise(Merge *merge, Node *expr)
{
	Var *var = (Var *) expr;
	RangeTblEntry *rte = rt_fetch(merge->source, merge->query->rtable);
	RangeTblRef *ref = makeNode(RangeTblRef);
	Query *alone = makeNode(Query);
	Pin pin = {0};
	ListCell *cell;

	if (!IsA(var, Var) || var->varlevelsup != 0 || var->varno != merge->source)
		return false;
	if (rte->rtekind == RTE_SUBQUERY &&
		(rte->subquery->hasAggs || rte->subquery->groupClause != NIL ||
		 rte->subquery->groupingSets != NIL || rte->subquery->distinctClause != NIL ||
		 rte->subquery->hasWindowFuncs || rte->subquery->hasTargetSRFs ||
		 rte->subquery->limitCount != NULL || rte->subquery->limitOffset != NULL ||
		 rte->subquery->setOperations != NULL || rte->subquery->rowMarks != NIL ||
		 rte->subquery->cteList != NIL))
		return false;
	ref->rtindex = 1;
	alone->commandType = CMD_SELECT;
	alone->rtable = list_make1(copyObject(rte));
	alone->jointree = makeFromExpr(list_make1(ref), NULL);
	if (!pin_to_join(alone, &pin) || pin.table->colocation != merge->table->colocation)
		return false;
	foreach (cell, pin.key_columns)
	{
		Var *key = lfirst(cell);

		if (key->varattno == var->varattno)
			return true;
	}
	return false;
}

/* Is the distribution column of every inserted row that value? */
static bool
inserts_only(Merge *merge, Node *key)
{
	ListCell *cell;
	ListCell *target;

	foreach (cell, merge->query->mergeActionList)
	{
		MergeAction *action = lfirst(cell);
		bool given = false;

		if (action->commandType != CMD_INSERT)
			continue;
		foreach (target, action->targetList)
		{
			TargetEntry *tle = lfirst(target);

			given |= tle->resno == merge->table->key && is_same_value((Node *) tle->expr, key);
		}
		if (!given)
			return false;
	}
	return true;
}

/* An integer of another size is the same value, and hashed alike. */
static bool
is_same_value(Node *inserted, Node *key)
{
	FuncExpr *cast = (FuncExpr *) strip(inserted);
	Oid from;

	key = strip(key);
	if (equal(cast, key))
		return true;
	if (!IsA(cast, FuncExpr) || cast->funcformat != COERCE_IMPLICIT_CAST ||
		list_length(cast->args) != 1)
		return false;
	from = exprType(linitial(cast->args));
	return (from == INT2OID || from == INT4OID || from == INT8OID) &&
		   (cast->funcresulttype == INT2OID || cast->funcresulttype == INT4OID ||
			cast->funcresulttype == INT8OID) &&
		   equal(strip(linitial(cast->args)), key);
}

static Node *
strip(Node *expr)
{
	while (IsA(expr, RelabelType))
		expr = (Node *) ((RelabelType *) expr)->arg;
	return expr;
}

/* "pin": for its shard alone. */
static PlannedStmt *
finish(const PlanRequest *request, Merge *merge, const Pin *pin, char **why)
{
	Lift lift = {.merge = true};
	Query *query = merge->query;
	const DistributedTable *table = merge->table;
	ShardPlan *plan = shard_plan_create(pin != NULL ? TIER_SINGLE_SHARD : TIER_EVERY_SHARD,
										CMD_MERGE, table->relid);

	if (pin == NULL && !merge->inserts)
		prune_by_quals(plan, table, query->resultRelation, table->key,
					   compat_merge_condition(query));
	if (!lift_query(query, pin != NULL ? LIFT_ONE_SHARD : LIFT_EVERY_SHARD, &lift))
	{
		*why = lift.why;
		return NULL;
	}
	plan->refusals = request->refusals;
	plan->writes = true;
	plan->few = true;
	plan->inserts = merge->inserts;
	plan->params = statement_params(&lift);
	if (pin != NULL)
		statement_set_key(plan, pin, &lift);
	template_make(query, plan);
	return statement_create(request, plan, pin != NULL ? 1 : table->colocation->nshards);
}
