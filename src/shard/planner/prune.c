/*-------------------------------------------------------------------------
 * prune.c
 *	  Leaves out shards that cannot hold a row a condition is true for.
 *
 * The values are not looked at: they may be parameters.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"

#include "shard/planner/prune.h"
#include "shard/planner/statement.h"

static bool value_in_equality(Expr *clause, const DistributedTable *table, Index rti,
							  AttrNumber column, Pin *pin);
static bool array_in_equality(Expr *clause, const DistributedTable *table, Index rti,
							  AttrNumber column, Pin *pin);
static bool is_key(Node *node, Index rti, AttrNumber column);
static bool is_constant(Node *node);

void
prune_by_clause(ShardPlan *plan, const DistributedTable *table, Index rti, AttrNumber column,
				Expr *clause)
{
	Pin pin = {.table = table};
	Lift none = {0};
	bool is_array = false;

	if (plan->key != NULL && !plan->key_is_array)
		return;
	if (!value_in_equality(clause, table, rti, column, &pin))
	{
		if (plan->key != NULL || !array_in_equality(clause, table, rti, column, &pin))
			return;
		is_array = true;
	}
	if (!is_constant((Node *) pin.key))
		return;
	plan->key_is_array = is_array;
	statement_set_key(plan, &pin, &none);
}

void
prune_by_quals(ShardPlan *plan, const DistributedTable *table, Index rti, AttrNumber column,
			   Node *quals)
{
	ListCell *cell;

	if (quals == NULL)
		return;
	if (is_andclause(quals))
	{
		foreach (cell, ((BoolExpr *) quals)->args)
			prune_by_quals(plan, table, rti, column, lfirst(cell));
	}
	else
		prune_by_clause(plan, table, rti, column, (Expr *) quals);
}

static bool
value_in_equality(Expr *clause, const DistributedTable *table, Index rti, AttrNumber column,
				  Pin *pin)
{
	Node *left;
	Node *right;
	Oid left_type;
	Oid right_type;

	if (!pin_is_equality(clause, pin_hash_family(table->key_type), table->key_collation, &left,
						 &right, &left_type, &right_type))
		return false;
	if (is_key(left, rti, column))
	{
		pin->key = (Expr *) right;
		pin->key_type = right_type;
		return true;
	}
	pin->key = (Expr *) left;
	pin->key_type = left_type;
	return is_key(right, rti, column);
}

static bool
array_in_equality(Expr *clause, const DistributedTable *table, Index rti, AttrNumber column,
				  Pin *pin)
{
	ScalarArrayOpExpr *any = (ScalarArrayOpExpr *) clause;
	OpExpr *op;
	Node *left;
	Node *right;
	Oid left_type;

	if (!IsA(clause, ScalarArrayOpExpr) || !any->useOr)
		return false;

	/* The operator between the column and one element. */
	op = makeNode(OpExpr);
	op->opno = any->opno;
	op->inputcollid = any->inputcollid;
	op->args = any->args;
	if (!pin_is_equality((Expr *) op, pin_hash_family(table->key_type), table->key_collation, &left,
						 &right, &left_type, &pin->key_type))
		return false;
	pin->key = (Expr *) right;
	return is_key(left, rti, column);
}

static bool
is_key(Node *node, Index rti, AttrNumber column)
{
	return IsA(node, Var) && ((Var *) node)->varno == (int) rti &&
		   ((Var *) node)->varattno == column && ((Var *) node)->varlevelsup == 0;
}

/* One value during an execution. */
static bool
is_constant(Node *node)
{
	ExprFacts facts = expr_facts(node);

	return !facts.bound && facts.volatility != PROVOLATILE_VOLATILE;
}
