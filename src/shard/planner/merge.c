/*-------------------------------------------------------------------------
 * merge.c
 *	  MERGE into a hash distributed table.
 *
 * The source is joined with the target in a SELECT, as found.c has it; which
 * action a row takes, and the values for it, are columns of that SELECT.  So
 * conditions and values may be anything, and the rows of the source may be
 * on any node.
 *
 * What must stay true: an expression of an action is evaluated only for rows
 * that take it.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/fmgroids.h"

#include "base/compat.h"
#include "shard/planner/found.h"

static bool check_actions(Query *query, char **why);
static void join_source(Found *found);
static void add_join_columns(Query *read, RangeTblEntry *join, Node *item, bool left);
static bool has_inserts(Query *query);
static Expr *is_matched(Found *found);
static Expr *choose_action(Found *found, bool matched);
static Expr *number(int value);
static Expr *when(Expr *condition, Expr *value);
static Expr *in_case(List *whens, Expr *otherwise);
static ShardPlan *plan_action(Found *found, MergeAction *action, Expr *chosen, int no);

/* The walk through what is computed after the choice. */
typedef struct Choice
{
	Node *chosen;  /* the number of the action, as the query computes it */
	List *targets; /* TargetEntry of the query below: the choice, and the columns that are needed */
	int depth;
} Choice;

static Query *choose_once(Query *read);
static Node *above_choice(Node *node, void *context);

PlannedStmt *
plan_merge(const PlanRequest *request, char **why)
{
	Found found = {0};
	Expr *chosen;
	int no = 0;
	ListCell *cell;

	if (!check_actions(request->query, why))
		return NULL;
	if (!found_begin(&found, request))
	{
		*why = found.why;
		return NULL;
	}
	join_source(&found);
	chosen = in_case(list_make1(when(is_matched(&found), choose_action(&found, true))),
					 choose_action(&found, false));
	((TargetEntry *) list_nth(found.read->targetList, FOUND_ACTION - 1))->expr = chosen;
	foreach (cell, found.query->mergeActionList)
	{
		MergeAction *action = lfirst(cell);

		if (action->commandType != CMD_NOTHING)
			found.plan->changes =
				lappend(found.plan->changes, plan_action(&found, action, chosen, ++no));
	}
	found.plan->once = found.plan->twice_fails = true;
	if (contain_volatile_functions((Node *) chosen))
		found.last = choose_once;
	return found_finish(&found);
}

static bool
check_actions(Query *query, char **why)
{
	ListCell *cell;
	ListCell *target;

	*why = NULL;
	if (query->returningList != NIL)
		*why = "MERGE with RETURNING is not supported on distributed tables.";
	foreach (cell, query->mergeActionList)
	{
		MergeAction *action = lfirst(cell);

		if (compat_merge_by_source(action))
			*why = "WHEN NOT MATCHED BY SOURCE is not supported on distributed tables.";
		if (contain_volatile_functions(action->qual) && query->cteList != NIL)
			*why = "It has WITH, and a condition of WHEN calls a volatile function.";
		foreach (target, action->targetList)
		{
			if (((TargetEntry *) lfirst(target))->resjunk)
				*why = "It assigns several columns from one subquery.";
		}
	}
	return *why == NULL;
}

/* FROM source LEFT JOIN target ON condition; an inner join if no row is inserted. */
static void
join_source(Found *found)
{
	Query *read = found->read;
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblRef *target = makeNode(RangeTblRef);
	JoinExpr *join = makeNode(JoinExpr);

	target->rtindex = found->target;
	join->jointype = has_inserts(read) ? JOIN_LEFT : JOIN_INNER;
	join->larg = linitial(read->jointree->fromlist);
	join->rarg = (Node *) target;
	join->quals = compat_merge_condition(read);
	rte->rtekind = RTE_JOIN;
	rte->jointype = join->jointype;
	rte->eref = makeAlias("*MERGE*", NIL);
	rte->inFromCl = true;
	add_join_columns(read, rte, join->larg, true);
	add_join_columns(read, rte, join->rarg, false);
	read->rtable = lappend(read->rtable, rte);
	join->rtindex = list_length(read->rtable);
	read->jointree = makeFromExpr(list_make1(join), NULL);
	read->mergeActionList = NIL;
	if (join->jointype == JOIN_LEFT)
		found->outer_join = join->rtindex;
}

/* A join shows the columns of both sides, as the deparser wants to know. */
static void
add_join_columns(Query *read, RangeTblEntry *join, Node *item, bool left)
{
	int rti = IsA(item, RangeTblRef) ? ((RangeTblRef *) item)->rtindex
									 : castNode(JoinExpr, item)->rtindex;
	List *names;
	List *columns;
	ListCell *cell;

	compat_expand_rte(rt_fetch(rti, read->rtable), rti, 0, -1, false, &names, &columns);
	join->eref->colnames = list_concat(join->eref->colnames, names);
	join->joinaliasvars = list_concat(join->joinaliasvars, columns);
	foreach (cell, columns)
	{
		AttrNumber column = ((Var *) lfirst(cell))->varattno;

		if (left)
			join->joinleftcols = lappend_int(join->joinleftcols, column);
		else
			join->joinrightcols = lappend_int(join->joinrightcols, column);
	}
}

static bool
has_inserts(Query *query)
{
	ListCell *cell;

	foreach (cell, query->mergeActionList)
	{
		if (((MergeAction *) lfirst(cell))->commandType == CMD_INSERT)
			return true;
	}
	return false;
}

static Expr *
is_matched(Found *found)
{
	NullTest *test = makeNode(NullTest);

	test->arg = (Expr *) found_target_var(found, SelfItemPointerAttributeNumber);
	test->nulltesttype = IS_NOT_NULL;
	test->location = -1;
	return (Expr *) test;
}

/* The number of the first action whose condition is true, 0 if there is none. */
static Expr *
choose_action(Found *found, bool matched)
{
	List *whens = NIL;
	int no = 0;
	ListCell *cell;

	foreach (cell, found->query->mergeActionList)
	{
		MergeAction *action = lfirst(cell);
		Node *condition = action->qual;

		if (action->commandType != CMD_NOTHING)
			no++;
		if (compat_merge_matched(action) != matched)
			continue;
		if (condition != NULL && IsA(condition, List))
			condition = (Node *) make_ands_explicit((List *) condition);
		if (condition == NULL)
			condition = makeBoolConst(true, false);
		whens = lappend(whens, when((Expr *) copyObject(condition),
									number(action->commandType == CMD_NOTHING ? 0 : no)));
	}
	return whens == NIL ? number(0) : in_case(whens, number(0));
}

static Expr *
number(int value)
{
	return (Expr *) makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(value), false,
							  true);
}

static Expr *
when(Expr *condition, Expr *value)
{
	CaseWhen *made = makeNode(CaseWhen);

	made->expr = condition;
	made->result = value;
	made->location = -1;
	return (Expr *) made;
}

static Expr *
in_case(List *whens, Expr *otherwise)
{
	CaseExpr *made = makeNode(CaseExpr);

	made->casetype = exprType((Node *) otherwise);
	made->casecollid = exprCollation((Node *) otherwise);
	made->args = whens;
	made->defresult = otherwise;
	made->location = -1;
	return (Expr *) made;
}

/* The change that the action makes; its values are null for rows that take another. */
static ShardPlan *
plan_action(Found *found, MergeAction *action, Expr *chosen, int no)
{
	List *attributes = NIL;
	List *columns = NIL;
	ListCell *cell;

	if (action->commandType == CMD_DELETE)
		return found_change(found, CMD_DELETE, NIL, NIL);
	foreach (cell, action->targetList)
	{
		TargetEntry *tle = lfirst(cell);
		Node *expr = (Node *) tle->expr;
		Expr *taken = make_opclause(Int4EqualOperator, BOOLOID, false, copyObject(chosen),
									number(no), InvalidOid, InvalidOid);
		Expr *null = (Expr *) makeNullConst(exprType(expr), -1, exprCollation(expr));

		((OpExpr *) taken)->opfuncid = F_INT4EQ;
		attributes = lappend_int(attributes, tle->resno);
		columns = lappend_int(
			columns,
			found_add_column(found, in_case(list_make1(when(taken, copyObject(tle->expr))), null)));
	}
	if (action->commandType == CMD_UPDATE)
		return found_update(found, attributes, columns);
	if (!list_member_int(attributes, found->table->key))
	{
		/* Which is an error for a row that is inserted. */
		attributes = lappend_int(attributes, found->table->key);
		columns = lappend_int(
			columns, found_add_column(found, (Expr *) makeNullConst(found->table->key_type, -1,
																	found->table->key_collation)));
	}
	return found_change(found, CMD_INSERT, attributes, columns);
}

/*
 * The choice is made for each row by a query below, where a volatile condition
 * is evaluated once; that it is volatile keeps it there.  All else is
 * computed from its columns.
 */
static Query *
choose_once(Query *read)
{
	Query *query = makeNode(Query);
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblRef *ref = makeNode(RangeTblRef);
	TargetEntry *choice = list_nth(read->targetList, FOUND_ACTION - 1);
	Choice state = {.chosen = (Node *) choice->expr};
	ListCell *cell;

	state.targets = list_make1(makeTargetEntry(choice->expr, 1, pstrdup("c1"), false));
	ref->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->targetList = (List *) above_choice((Node *) read->targetList, &state);
	query->hasSubLinks = checkExprHasSubLink((Node *) query->targetList);
	query->jointree = makeFromExpr(list_make1(ref), NULL);

	read->targetList = state.targets;
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = read;
	rte->eref = makeAlias("choice", NIL);
	rte->inFromCl = true;
	foreach (cell, state.targets)
		rte->eref->colnames = lappend(rte->eref->colnames,
									  makeString(pstrdup(((TargetEntry *) lfirst(cell))->resname)));
	query->rtable = list_make1(rte);
	return query;
}

/* The same expression over the columns of the query below. */
static Node *
above_choice(Node *node, void *context)
{
	Choice *state = context;
	bool is_choice = state->depth == 0 && equal(node, state->chosen);
	Node *below;
	Var *var = (Var *) node;
	ListCell *cell;

	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
	{
		Query *query;

		state->depth++;
		query = query_tree_mutator((Query *) node, above_choice, context, 0);
		state->depth--;
		return (Node *) query;
	}
	if (!is_choice && (!IsA(var, Var) || (int) var->varlevelsup != state->depth))
		return expression_tree_mutator(node, above_choice, context);

	below = copyObject(node);
	if (!is_choice)
		((Var *) below)->varlevelsup = 0;
	foreach (cell, state->targets)
	{
		if (equal(((TargetEntry *) lfirst(cell))->expr, below))
			break;
	}
	if (cell == NULL)
	{
		int number = list_length(state->targets) + 1;

		state->targets = lappend(state->targets, makeTargetEntry((Expr *) below, number,
																 psprintf("c%d", number), false));
		cell = list_tail(state->targets);
	}
	return (Node *) makeVar(1, ((TargetEntry *) lfirst(cell))->resno, exprType(below),
							exprTypmod(below), exprCollation(below), state->depth);
}
