/*-------------------------------------------------------------------------
 * assign.c
 *	  SET (a, b) = (SELECT ...), column by column.
 *
 * The server computes the subquery once and hands its columns out by number.
 * Who needs what one column gets as an expression of its own, a check option
 * or an action of MERGE that only some rows take, has the subquery once for
 * each column instead.
 *
 * What must stay true: it gives the same each time; one that calls volatile
 * functions is left as it is.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"

#include "shard/metadata/metadata.h"
#include "shard/planner/assign.h"

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
