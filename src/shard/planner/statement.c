/*-------------------------------------------------------------------------
 * statement.c
 *	  Plans whose whole tree is one scan of ours.
 *
 * The server still checks privileges and locks tables: the statement keeps
 * the relations of the query, on all levels, in its range table.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/planmain.h"
#include "parser/parse_relation.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "shard/planner/statement.h"

static bool keep_relations(Node *node, void *context);
static bool writes_walker(Node *node, void *context);
static List *result_columns(Query *query);
static bool is_new_key(Query *query, Node *value, AttrNumber key);
static void add_output(PlannedStmt *statement, CustomScan *scan, List *columns);

PlannedStmt *
statement_create(const PlanRequest *request, ShardPlan *plan, double rows)
{
	Query *query = request->query;
	PlannedStmt *statement = makeNode(PlannedStmt);
	CustomScan *scan = makeNode(CustomScan);

	statement->commandType = query->commandType;
	statement->queryId = query->queryId;
	statement->hasReturning = query->returningList != NIL;
	statement->hasModifyingCTE = query->hasModifyingCTE;
	statement->canSetTag = query->canSetTag;
	statement->stmt_location = query->stmt_location;
	statement->stmt_len = query->stmt_len;
	(void) keep_relations((Node *) query, statement);

	scan->methods = &shard_scan_methods;
	scan->custom_private = list_make1(plan);
	scan->scan.plan.plan_rows = rows;
	scan->scan.plan.total_cost = rows;
	scan->scan.plan.plan_width = 32;
	plan->returning = query->commandType == CMD_SELECT || query->returningList != NIL;
	add_output(statement, scan, result_columns(query));

	statement->planTree = &scan->scan.plan;
	if (request->cursor_options & CURSOR_OPT_SCROLL)
		statement->planTree = materialize_finished_plan(statement->planTree);
	return statement;
}

void
statement_keep_relations(PlannedStmt *statement, Query *query)
{
	(void) keep_relations((Node *) query, statement);
}

bool
statement_result_travels(Query *query, char **why)
{
	ListCell *cell;

	foreach (cell, result_columns(query))
	{
		TargetEntry *tle = lfirst(cell);

		if (get_typtype(exprType((Node *) tle->expr)) == TYPTYPE_PSEUDO)
		{
			*why = psprintf("Column \"%s\" of the result has a type without values of its own.",
							tle->resname ? tle->resname : "?column?");
			return false;
		}
	}
	return true;
}

bool
statement_is_flat(Query *query)
{
	ListCell *cell;

	if (query->hasSubLinks || query->cteList != NIL || query->setOperations != NULL)
		return false;
	foreach (cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);

		if (rte->rtekind == RTE_SUBQUERY || rte->securityQuals != NIL)
			return false;
	}
	return true;
}

bool
statement_writes(Query *query)
{
	return writes_walker((Node *) query, NULL);
}

void
statement_set_key(ShardPlan *plan, const Pin *pin, const Lift *lift)
{
	bool same = IsA(pin->key, Param) || (IsA(pin->key, Const) && !lift->apart);

	plan->key = expression_planner(copyObject(pin->key));
	plan->key_hash = pin_hash_function(pin->table->key_type, pin->key_type);
	plan->key_collation = pin->table->key_collation;
	for (int i = 0; i < list_length(lift->params) && plan->key_param < 0; i++)
	{
		/* The very expression: two calls of a volatile function are not one value. */
		if (list_nth(lift->params, i) == pin->key ||
			(same && equal(list_nth(lift->params, i), pin->key)))
			plan->key_param = i;
	}
}

List *
statement_params(const Lift *lift)
{
	List *params = NIL;
	ListCell *cell;

	foreach (cell, lift->params)
		params = lappend(params, expression_planner(copyObject(lfirst(cell))));
	return params;
}

static bool
keep_relations(Node *node, void *context)
{
	PlannedStmt *statement = context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query *query = (Query *) node;
		ListCell *cell;

		foreach (cell, query->rtable)
		{
			RangeTblEntry *rte = lfirst(cell);

			if (rte->rtekind != RTE_RELATION)
				continue;
			rte = copyObject(rte);
			rte->securityQuals = NIL;
			rte->tablesample = NULL;
			statement->rtable = lappend(statement->rtable, rte);
			compat_keep_permissions(statement, query, rte);
			statement->relationOids = lappend_oid(statement->relationOids, rte->relid);
		}
		if (statement_is_flat(query))
			return false;
		return query_tree_walker(query, keep_relations, context, QTW_IGNORE_JOINALIASES);
	}
	return expression_tree_walker(node, keep_relations, context);
}

static bool
writes_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query *query = (Query *) node;

		if (query->commandType != CMD_SELECT || query->rowMarks != NIL)
			return true;
		if (statement_is_flat(query))
			return false;
		return query_tree_walker(query, writes_walker, context, QTW_IGNORE_JOINALIASES);
	}
	return expression_tree_walker(node, writes_walker, context);
}

static List *
result_columns(Query *query)
{
	List *all = query->commandType == CMD_SELECT ? query->targetList : query->returningList;
	List *columns = NIL;
	ListCell *cell;

	foreach (cell, all)
	{
		if (!((TargetEntry *) lfirst(cell))->resjunk)
			columns = lappend(columns, lfirst(cell));
	}
	return columns;
}

/*
 * The scan's rows are those of a relation that the range table knows only by
 * name and columns, for EXPLAIN to show.
 */
static void
add_output(PlannedStmt *statement, CustomScan *scan, List *columns)
{
	RangeTblEntry *output = makeNode(RangeTblEntry);
	List *names = NIL;
	int column = 0;
	ListCell *cell;

	foreach (cell, columns)
	{
		TargetEntry *from = lfirst(cell);
		Oid type = exprType((Node *) from->expr);
		int32 typmod = exprTypmod((Node *) from->expr);
		Oid collation = exprCollation((Node *) from->expr);
		char *name = from->resname ? from->resname : "?column?";
		Var *var;
		TargetEntry *to;

		column++;
		names = lappend(names, makeString(pstrdup(name)));
		var = makeVar(list_length(statement->rtable) + 1, column, type, typmod, collation, 0);
		scan->custom_scan_tlist = lappend(
			scan->custom_scan_tlist, makeTargetEntry((Expr *) var, column, pstrdup(name), false));
		var = makeVar(INDEX_VAR, column, type, typmod, collation, 0);
		to = makeTargetEntry((Expr *) var, column, pstrdup(name), false);
		to->resorigtbl = from->resorigtbl;
		to->resorigcol = from->resorigcol;
		scan->scan.plan.targetlist = lappend(scan->scan.plan.targetlist, to);
	}
	output->rtekind = RTE_RESULT;
	output->eref = makeAlias("remote", names);
	statement->rtable = lappend(statement->rtable, output);
}

static bool
groups_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		(void) query_tree_walker((Query *) node, groups_walker, context, QTW_IGNORE_JOINALIASES);
		compat_flatten_groups((Query *) node);
		return false;
	}
	return expression_tree_walker(node, groups_walker, context);
}

Query *
statement_with_groups(Query *query)
{
	if (!COMPAT_GROUPS_ARE_RELATIONS)
		return query;
	query = copyObject(query);
	(void) groups_walker((Node *) query, NULL);
	return query;
}

void
statement_columns(RangeTblEntry *rte, int rti, List **names, List **columns)
{
	ListCell *name;

	compat_expand_rte(rte, rti, 0, -1, true, names, columns);
	foreach (name, *names)
	{
		if (strVal(lfirst(name))[0] == '\0')
			lfirst(name) =
				makeString(psprintf("........dropped.%d........", foreach_current_index(name) + 1));
	}
}

bool
statement_assigns_key(Query *query, AttrNumber key)
{
	List *targets = NIL;
	ListCell *cell;

	if (query->commandType == CMD_UPDATE)
		targets = query->targetList;
	else if (query->onConflict != NULL)
		targets = query->onConflict->onConflictSet;
	foreach (cell, targets)
	{
		TargetEntry *tle = lfirst(cell);

		if (!tle->resjunk && tle->resno == key && is_new_key(query, (Node *) tle->expr, key))
			return true;
	}
	return false;
}

/*
 * "SET key = key" changes nothing; nor does "SET key = excluded.key", or the
 * same value once more: the row that is in the way has an equal key, since
 * every unique index contains it.
 */
static bool
is_new_key(Query *query, Node *value, AttrNumber key)
{
	OnConflictExpr *conflict = query->onConflict;
	Var *var = (Var *) value;
	ListCell *cell;

	if (IsA(var, Var) && var->varlevelsup == 0 && var->varattno == key &&
		(var->varno == query->resultRelation ||
		 (conflict != NULL && var->varno == conflict->exclRelIndex)))
		return false;
	if (conflict == NULL || !(IsA(value, Const) || IsA(value, Param)))
		return true;
	foreach (cell, query->targetList)
	{
		TargetEntry *tle = lfirst(cell);

		if (!tle->resjunk && tle->resno == key)
			return !equal(tle->expr, value);
	}
	return true;
}
