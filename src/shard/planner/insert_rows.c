/*-------------------------------------------------------------------------
 * insert_rows.c
 *	  INSERT of several rows of values.
 *
 * What goes into a column may be a value of the row as the user wrote it, or
 * an expression over it, or a default that must be evaluated for each row.
 * Taken apart, each row is a list of expressions without columns.  They are
 * evaluated when the statement runs, and only then is it known which shard a
 * row belongs to.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"

#include "shard/planner/change.h"
#include "shard/planner/insert_rows.h"
#include "shard/planner/statement.h"
#include "shard/planner/template.h"

static RangeTblEntry *values_of(Query *query, int *rti);
static Node *use_row(Var *var, replace_rte_variables_context *context);
static bool rows_are_plain(Query *query, char **why);
static void prepare_row(List *row);

bool
insert_has_rows(Query *query)
{
	return query->commandType == CMD_INSERT && values_of(query, NULL) != NULL;
}

Query *
insert_copy(Query *query)
{
	RangeTblEntry *values = values_of(query, NULL);
	List *rows = values->values_lists;
	Query *copy;

	values->values_lists = NIL;
	copy = copyObject(query);
	values->values_lists = rows;
	values_of(copy, NULL)->values_lists = rows;
	return copy;
}

/* What goes into the columns of the target list, of one row. */
static List *
take_row(Query *query, int rti, List *values)
{
	bool has_links = query->hasSubLinks;
	List *row = NIL;
	ListCell *cell;

	foreach (cell, query->targetList)
	{
		TargetEntry *tle = lfirst(cell);
		Var *var = (Var *) tle->expr;

		if (tle->resjunk)
			continue;
		if (IsA(var, Var) && var->varno == rti && var->varlevelsup == 0 && var->varattno > 0)
			row = lappend(row, list_nth(values, var->varattno - 1));
		else
			row = lappend(row, replace_rte_variables((Node *) tle->expr, rti, 0, use_row, values,
													 &has_links));
	}
	return row;
}

List *
insert_take_rows(Query *query)
{
	int rti;
	RangeTblEntry *values = values_of(query, &rti);
	List *rows = NIL;
	List *targets = NIL;
	List *names = NIL;
	ListCell *cell;

	foreach (cell, values->values_lists)
		rows = lappend(rows, take_row(query, rti, lfirst(cell)));
	values->values_lists = values->coltypes = values->coltypmods = values->colcollations = NIL;
	foreach (cell, query->targetList)
	{
		TargetEntry *tle = lfirst(cell);
		Oid type = exprType((Node *) tle->expr);
		int32 typmod = exprTypmod((Node *) tle->expr);
		Oid collation = exprCollation((Node *) tle->expr);

		if (tle->resjunk)
			continue;
		values->coltypes = lappend_oid(values->coltypes, type);
		values->coltypmods = lappend_int(values->coltypmods, typmod);
		values->colcollations = lappend_oid(values->colcollations, collation);
		names = lappend(names, makeString(psprintf("column%d", list_length(names) + 1)));
		tle->expr = (Expr *) makeVar(rti, list_length(names), type, typmod, collation, 0);
		targets = lappend(targets, tle);
	}
	values->alias = NULL;
	values->eref = makeAlias("*VALUES*", names);
	query->targetList = targets;
	return rows;
}

void
insert_put_rows(Query *query, List *rows)
{
	values_of(query, NULL)->values_lists = rows;
}

/* The list of rows, if that is all the INSERT takes its rows from. */
static RangeTblEntry *
values_of(Query *query, int *rti)
{
	List *from = query->jointree->fromlist;
	RangeTblEntry *rte;

	if (list_length(from) != 1 || !IsA(linitial(from), RangeTblRef))
		return NULL;
	rte = rt_fetch(linitial_node(RangeTblRef, from)->rtindex, query->rtable);
	if (rti != NULL)
		*rti = linitial_node(RangeTblRef, from)->rtindex;
	return rte->rtekind == RTE_VALUES ? rte : NULL;
}

static Node *
use_row(Var *var, replace_rte_variables_context *context)
{
	if (var->varattno <= 0)
		elog(ERROR, "a list of values is used as a whole");
	return copyObject(list_nth((List *) context->callback_arg, var->varattno - 1));
}

PlannedStmt *
plan_rows(const PlanRequest *request, char **why)
{
	Lift lift = {0};
	Query *query = request->query;
	RangeTblEntry *target = rt_fetch(query->resultRelation, query->rtable);
	const DistributedTable *table = metadata_table(target->relid);
	List *rows;
	ShardPlan *plan;
	ListCell *cell;

	if (!rows_are_plain(query, why) || !statement_result_travels(query, why))
		return NULL;
	query = insert_copy(query);
	rows = insert_take_rows(query);
	query->override = OVERRIDING_SYSTEM_VALUE;
	if (!lift_query(query, LIFT_ONE_SHARD, &lift))
	{
		*why = lift.why;
		return NULL;
	}

	plan = shard_plan_create(TIER_ROWS, CMD_INSERT, table->relid);
	plan->writes = true;
	plan->refusals = request->refusals;
	plan->params = statement_params(&lift);
	plan->in_order = query->onConflict == NULL;
	plan->key_hash = pin_hash_function(table->key_type, table->key_type);
	plan->key_collation = table->key_collation;
	foreach (cell, query->targetList)
	{
		if (((TargetEntry *) lfirst(cell))->resno == table->key)
			plan->key_position = foreach_current_index(cell);
	}
	foreach (cell, rows)
		prepare_row(lfirst(cell));
	plan->rows = rows;

	change_take_bundle(values_of(query, NULL), list_length(plan->params) + 1);
	template_make(query, plan);
	return statement_create(request, plan, list_length(rows));
}

/* Makes its expressions ready to be evaluated. */
static void
prepare_row(List *row)
{
	ListCell *cell;

	foreach (cell, row)
	{
		Expr *value = lfirst(cell);

		if (!IsA(value, Const) && !IsA(value, Param))
			lfirst(cell) = expression_planner(value);
	}
}

static bool
rows_are_plain(Query *query, char **why)
{
	if (!insert_has_rows(query))
		*why = "Its rows are those of a query.";
	else if (query->cteList != NIL || query->hasSubLinks)
		*why = "Its rows need a query to be computed.";
	else
		return true;
	return false;
}
