/*-------------------------------------------------------------------------
 * check_option.c
 *	  WITH CHECK OPTION of views over hash distributed tables.
 *
 * The server checks a new row against the view's condition when it is stored.
 * The SQL for a shard knows no views: so the condition goes into one of the
 * values,
 *
 *	UPDATE t SET a = CASE WHEN condition THEN value ELSE pgcluster.refuse_row(...) END
 *
 * with the columns in the condition replaced by what the statement assigns.
 *
 * What must stay true: what is checked is what is stored.  A value that could
 * be another when it is computed twice, and a trigger that changes the row,
 * leave the check in the query, which is then refused.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "catalog/pg_collation.h"
#include "commands/trigger.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "shard/metadata/metadata.h"
#include "shard/planner/check_option.h"
#include "shard/planner/lift.h"

/* The function that raises the error. */
#define REFUSAL "refuse_row"

/* The values of a row that is to be stored. */
typedef struct NewRow
{
	Relation relation;
	List *targets; /* TargetEntry */
	int target;
	bool inserts;
	bool unclear; /* a value may be another when it is computed again */
} NewRow;

static bool is_possible(const Query *query, Relation relation);
static void name_values(Query *query);
static bool add_checks(Query *query, List *targets, NewRow *row, List **checked);
static Node *new_value(Var *var, replace_rte_variables_context *context);
static Node *generated_value(NewRow *row, Var *var, replace_rte_variables_context *context);
static TargetEntry *carrier(List *targets, AttrNumber key);
static bool has_multiple(Node *node, void *context);

PGCLUSTER_FUNCTION(pgcluster_refuse_row);

void
check_option_fold(Query *query)
{
	const DistributedTable *table;
	Relation relation;
	List *targets = NIL;
	List *conflict = NIL;
	bool folded;

	if (query->withCheckOptions == NIL || query->resultRelation == 0)
		return;
	table = metadata_table(rt_fetch(query->resultRelation, query->rtable)->relid);
	if (table == NULL || table->kind != TABLE_HASH)
		return;
	relation = table_open(table->relid, NoLock);
	folded = is_possible(query, relation);
	if (folded)
	{
		NewRow row = {.relation = relation,
					  .target = query->resultRelation,
					  .inserts = query->commandType == CMD_INSERT};

		if (row.inserts)
			name_values(query);
		folded = add_checks(query, query->targetList, &row, &targets);
		if (folded && query->onConflict != NULL && query->onConflict->onConflictSet != NIL)
		{
			row.inserts = false;
			folded = add_checks(query, query->onConflict->onConflictSet, &row, &conflict);
		}
	}
	table_close(relation, NoLock);
	if (!folded)
		return;
	query->targetList = targets;
	if (conflict != NIL)
		query->onConflict->onConflictSet = conflict;
	query->withCheckOptions = NIL;
	query->hasSubLinks = checkExprHasSubLink((Node *) query);
}

static bool
is_possible(const Query *query, Relation relation)
{
	const TriggerDesc *triggers = relation->trigdesc;
	ListCell *cell;

	if (query->commandType != CMD_INSERT && query->commandType != CMD_UPDATE)
		return false;
	if (triggers != NULL && (triggers->trig_insert_before_row || triggers->trig_update_before_row))
		return false;
	foreach (cell, query->withCheckOptions)
	{
		if (lfirst_node(WithCheckOption, cell)->kind != WCO_VIEW_CHECK)
			return false;
	}
	return !has_multiple((Node *) query->targetList, NULL) &&
		   (query->onConflict == NULL ||
			!has_multiple((Node *) query->onConflict->onConflictSet, NULL));
}

/* Columns that are assigned from one subquery, or in part: such a list cannot be changed. */
static bool
has_multiple(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_MULTIEXPR)
		return true;
	if (IsA(node, FieldStore) ||
		(IsA(node, SubscriptingRef) && ((SubscriptingRef *) node)->refassgnexpr != NULL))
		return true;
	return expression_tree_walker(node, has_multiple, context);
}

/* A single row with volatile values becomes that of a subquery, whose columns may be named twice. */
static void
name_values(Query *query)
{
	Query *values = makeNode(Query);
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblRef *ref = makeNode(RangeTblRef);
	List *names = NIL;
	ListCell *cell;

	if (query->jointree->fromlist != NIL || !contain_volatile_functions((Node *) query->targetList))
		return;
	values->commandType = CMD_SELECT;
	values->canSetTag = true;
	values->jointree = makeFromExpr(NIL, NULL);
	values->hasSubLinks = query->hasSubLinks;
	foreach (cell, query->targetList)
	{
		TargetEntry *tle = lfirst(cell);
		int number = list_length(names) + 1;
		char *name = psprintf("column%d", number);

		/* Inside, what the statement names is one level further out. */
		IncrementVarSublevelsUp((Node *) tle->expr, 1, 0);
		values->targetList =
			lappend(values->targetList, makeTargetEntry(tle->expr, number, name, false));
		names = lappend(names, makeString(pstrdup(name)));
		tle->expr =
			(Expr *) makeVar(list_length(query->rtable) + 1, number, exprType((Node *) tle->expr),
							 exprTypmod((Node *) tle->expr), exprCollation((Node *) tle->expr), 0);
	}
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = values;
	rte->eref = makeAlias("*SELECT*", names);
	rte->inFromCl = true;
	query->rtable = lappend(query->rtable, rte);
	ref->rtindex = list_length(query->rtable);
	query->jointree->fromlist = list_make1(ref);
}

/* "checked": the assignments, one of which checks; false when that cannot be. */
static bool
add_checks(Query *query, List *targets, NewRow *row, List **checked)
{
	const DistributedTable *table = metadata_table(RelationGetRelid(row->relation));
	TargetEntry *from = carrier(targets, table->key);
	Oid types[] = {TEXTOID, ANYELEMENTOID};
	Oid refuse =
		LookupFuncName(list_make2(makeString("pgcluster"), makeString(REFUSAL)), 2, types, false);
	bool has_links = false; /* of no interest: they are looked for in the end */
	Expr *value;
	Oid type;
	ListCell *cell;

	if (from == NULL)
		return false;
	row->targets = targets;
	value = copyObject(from->expr);
	type = exprType((Node *) value);

	/* The first condition that is not true refuses: it is the outermost. */
	for (int i = list_length(query->withCheckOptions) - 1; i >= 0; i--)
	{
		WithCheckOption *check = list_nth(query->withCheckOptions, i);
		Node *name = (Node *) makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1,
										CStringGetTextDatum(check->relname), false, false);
		Node *null = (Node *) makeNullConst(type, -1, exprCollation((Node *) value));
		CaseExpr *choice = makeNode(CaseExpr);
		CaseWhen *when = makeNode(CaseWhen);
		Node *condition = copyObject(check->qual);

		condition = replace_rte_variables(condition, row->target, 0, new_value, row, &has_links);
		if (condition == NULL)
			continue;
		if (IsA(condition, List))
			condition = (Node *) make_ands_explicit((List *) condition);
		when->expr = (Expr *) condition;
		when->result = value;
		when->location = -1;
		choice->casetype = type;
		choice->casecollid = exprCollation((Node *) value);
		choice->args = list_make1(when);
		choice->defresult =
			(Expr *) makeFuncExpr(refuse, type, list_make2(name, null), choice->casecollid,
								  DEFAULT_COLLATION_OID, COERCE_EXPLICIT_CALL);
		choice->location = -1;
		value = (Expr *) choice;
	}
	if (row->unclear)
		return false;
	*checked = copyObject(targets);
	foreach (cell, *checked)
	{
		TargetEntry *tle = lfirst(cell);

		if (!tle->resjunk && tle->resno == from->resno)
			tle->expr = value;
	}
	return true;
}

/* Which assignment checks: not that of the distribution column, by which the shard is chosen. */
static TargetEntry *
carrier(List *targets, AttrNumber key)
{
	TargetEntry *chosen = NULL;
	ListCell *cell;

	foreach (cell, targets)
	{
		TargetEntry *tle = lfirst(cell);

		if (!tle->resjunk && (chosen == NULL || chosen->resno == key))
			chosen = tle;
	}
	return chosen;
}

/* What the row's column will hold. */
static Node *
new_value(Var *var, replace_rte_variables_context *context)
{
	NewRow *row = context->callback_arg;
	ListCell *cell;
	Node *value;

	if (var->varattno <= 0)
	{
		row->unclear = true;
		return (Node *) copyObject(var);
	}
	if (TupleDescAttr(RelationGetDescr(row->relation), var->varattno - 1)->attgenerated != '\0')
		return generated_value(row, var, context);
	foreach (cell, row->targets)
	{
		TargetEntry *tle = lfirst(cell);

		if (tle->resjunk || tle->resno != var->varattno)
			continue;
		if (contain_volatile_functions((Node *) tle->expr))
			row->unclear = true;
		value = copyObject((Node *) tle->expr);
		IncrementVarSublevelsUp(value, context->sublevels_up, 0);
		context->inserted_sublink |= checkExprHasSubLink(value);
		return value;
	}
	if (row->inserts)
		return (Node *) makeNullConst(var->vartype, var->vartypmod, var->varcollid);
	return (Node *) copyObject(var);
}

static Node *
generated_value(NewRow *row, Var *var, replace_rte_variables_context *context)
{
	Node *value = build_column_default(row->relation, var->varattno);

	/* Its columns are those of relation 1. */
	if (row->target != 1)
		ChangeVarNodes(value, 1, row->target, 0);
	value =
		replace_rte_variables(value, row->target, 0, new_value, row, &context->inserted_sublink);
	IncrementVarSublevelsUp(value, context->sublevels_up, 0);
	return value;
}

bool
check_option_is_refusal(Oid function)
{
	return !lift_builtin(function) &&
		   get_func_namespace(function) == get_namespace_oid("pgcluster", true) &&
		   strcmp(get_func_name(function), REFUSAL) == 0;
}

/* pgcluster.refuse_row(view text, value anyelement): a row that its view would not show. */
Datum
pgcluster_refuse_row(PG_FUNCTION_ARGS)
{
	ereport(ERROR, (errcode(ERRCODE_WITH_CHECK_OPTION_VIOLATION),
					errmsg("new row violates check option for view \"%s\"",
						   PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0)))));
	PG_RETURN_NULL();
}
