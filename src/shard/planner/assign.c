/*-------------------------------------------------------------------------
 * assign.c
 *	  SET (a, b) = (SELECT ...) and SET c.f = ..., c.g = ..., column by column.
 *
 * The server computes the subquery once and hands its columns out by number.
 * Who needs what one column gets as an expression of its own, a check option
 * or an action of MERGE that only some rows take, has the subquery once for
 * each column instead.
 *
 * Several fields of one column are assigned as one row of all its fields:
 * the deparser can say that, but not what the rewriter has made of them.
 *
 * What must stay true: it gives the same each time; one that calls volatile
 * functions is left as it is.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/typcache.h"

#include "shard/metadata/metadata.h"
#include "shard/planner/assign.h"

static bool names_subquery(Node *node, void *context);
static Node *row_of_fields(Node *expr, Node *base);
static List *fields_of(Node *base, TupleDesc desc);
static List *take_apart(List *targets);
static Node *use_column(Node *node, void *context);
static SubLink *column_of(SubLink *link, int column);

void
assign_apart(Query *query)
{
	ListCell *cell;

	if (query->commandType != CMD_MERGE && query->withCheckOptions == NIL)
		return;
	if (metadata_table(rt_fetch(query->resultRelation, query->rtable)->relid) == NULL)
		return;
	if (query->commandType == CMD_UPDATE)
		query->targetList = take_apart(query->targetList);
	foreach (cell, query->mergeActionList)
	{
		MergeAction *action = lfirst(cell);

		action->targetList = take_apart(action->targetList);
	}
	if (query->onConflict != NULL)
		query->onConflict->onConflictSet = take_apart(query->onConflict->onConflictSet);
}

Expr *
assign_row(Expr *expr)
{
	Expr *store = expr;

	while (IsA(store, CoerceToDomain))
		store = ((CoerceToDomain *) store)->arg;
	if (names_subquery((Node *) store, NULL))
		return NULL;
	return (Expr *) row_of_fields((Node *) expr, (Node *) castNode(FieldStore, store)->arg);
}

/* Is something in it assigned from a subquery of several columns? */
static bool
names_subquery(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_MULTIEXPR)
		return true;
	return expression_tree_walker(node, names_subquery, context);
}

/*
 * What an assignment to fields of "base" makes of it, NULL when no expression
 * of SQL says that: elements of arrays.
 */
static Node *
row_of_fields(Node *expr, Node *base)
{
	FieldStore *store = (FieldStore *) expr;
	RowExpr *row;
	TupleDesc desc;
	ListCell *value;
	ListCell *field;

	if (IsA(expr, CoerceToDomain))
	{
		CoerceToDomain *domain = copyObject((CoerceToDomain *) expr);

		domain->arg = (Expr *) row_of_fields((Node *) domain->arg, base);
		return domain->arg == NULL ? NULL : (Node *) domain;
	}
	if (IsA(expr, SubscriptingRef) && ((SubscriptingRef *) expr)->refassgnexpr != NULL)
		return NULL;
	if (!IsA(expr, FieldStore))
		return expr;
	desc = lookup_rowtype_tupdesc_copy(store->resulttype, -1);
	row = makeNode(RowExpr);
	row->args = fields_of(base, desc);
	row->row_typeid = store->resulttype;
	row->row_format = COERCE_EXPLICIT_CAST;
	row->location = -1;
	forboth (value, store->newvals, field, store->fieldnums)
	{
		ListCell *assigned = list_nth_cell(row->args, lfirst_int(field) - 1);

		lfirst(assigned) = row_of_fields(lfirst(value), lfirst(assigned));
		if (lfirst(assigned) == NULL)
			return NULL;
	}
	return (Node *) row;
}

/* Those of a row that is made here are taken as they are: nothing is computed twice. */
static List *
fields_of(Node *base, TupleDesc desc)
{
	List *fields = NIL;

	while (IsA(base, CoerceToDomain))
		base = (Node *) ((CoerceToDomain *) base)->arg;
	if (IsA(base, RowExpr))
		return list_copy(((RowExpr *) base)->args);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		FieldSelect *select = makeNode(FieldSelect);

		select->arg = copyObject((Expr *) base);
		select->fieldnum = i + 1;
		select->resulttype = attribute->atttypid;
		select->resulttypmod = attribute->atttypmod;
		select->resultcollid = attribute->attcollation;
		if (attribute->attisdropped)
			fields = lappend(fields, makeNullConst(INT4OID, -1, InvalidOid));
		else if (IsA(base, Const) && ((Const *) base)->constisnull)
			fields = lappend(fields, makeNullConst(attribute->atttypid, attribute->atttypmod,
												   attribute->attcollation));
		else
			fields = lappend(fields, select);
	}
	return fields;
}

static List *
take_apart(List *targets)
{
	List *links = NIL;
	List *kept = NIL;
	ListCell *cell;

	foreach (cell, targets)
	{
		TargetEntry *tle = lfirst(cell);

		if (!tle->resjunk || !IsA(tle->expr, SubLink) ||
			((SubLink *) tle->expr)->subLinkType != MULTIEXPR_SUBLINK)
			kept = lappend(kept, tle);
		else if (contain_volatile_functions((Node *) tle->expr))
			return targets;
		else
			links = lappend(links, tle->expr);
	}
	return links == NIL ? targets : (List *) use_column((Node *) kept, links);
}

/* Puts the subquery in the place of a number of its column. */
static Node *
use_column(Node *node, void *context)
{
	Param *param = (Param *) node;
	ListCell *cell;

	if (node == NULL || IsA(node, Query))
		return node;
	if (!IsA(node, Param) || param->paramkind != PARAM_MULTIEXPR)
		return expression_tree_mutator(node, use_column, context);
	foreach (cell, (List *) context)
	{
		SubLink *link = lfirst(cell);

		/* The upper half tells the subquery, the lower half its column. */
		if (link->subLinkId == param->paramid >> 16)
			return (Node *) column_of(link, param->paramid & 0xFFFF);
	}
	elog(ERROR, "no subquery gives parameter %d", param->paramid);
	return NULL;
}

static SubLink *
column_of(SubLink *link, int column)
{
	SubLink *one = makeNode(SubLink);
	Query *query = makeNode(Query);
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblRef *ref = makeNode(RangeTblRef);
	Query *below = castNode(Query, copyObject(link->subselect));
	TargetEntry *tle = list_nth(below->targetList, column - 1);
	ListCell *cell;

	IncrementVarSublevelsUp((Node *) below, 1, 1);
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = below;
	rte->eref = makeAlias("assigned", NIL);
	foreach (cell, below->targetList)
	{
		if (!((TargetEntry *) lfirst(cell))->resjunk)
			rte->eref->colnames =
				lappend(rte->eref->colnames,
						makeString(psprintf("c%d", list_length(rte->eref->colnames) + 1)));
	}
	rte->alias = copyObject(rte->eref);
	rte->inFromCl = true;
	ref->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = list_make1(rte);
	query->jointree = makeFromExpr(list_make1(ref), NULL);
	query->targetList = list_make1(makeTargetEntry(
		(Expr *) makeVar(1, column, exprType((Node *) tle->expr), exprTypmod((Node *) tle->expr),
						 exprCollation((Node *) tle->expr), 0),
		1, pstrdup("assigned"), false));
	one->subLinkType = EXPR_SUBLINK;
	one->subselect = (Node *) query;
	one->location = -1;
	return one;
}
