/*-------------------------------------------------------------------------
 * join_columns.c
 *	  The columns of joins, made to fit those of the relations joined.
 *
 * A relation that was replaced by another may have more columns than it had:
 * where the table has one that was dropped, what stands for it does not.  The
 * deparser goes through the columns of a join and of what it joins side by
 * side.  So a join that does not have all columns, and with it all joins of
 * its query, is described anew: its columns are those of both sides, and what
 * USING merged is named as the column of a side.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"

#include "base/compat.h"
#include "shard/planner/join_columns.h"

static void relation_columns(Query *query, int rti, List **names, List **columns);
static Bitmapset *live_columns(Query *query, Node *item);
static bool fits(Query *query, Node *item);
static void flatten(Query *query);
static void describe(Query *query, Node *item, List **names, List **columns);
static List *positions(Node *item, List *columns);

void
join_columns_align(Query *query)
{
	ListCell *cell;
	bool fit = true;

	foreach (cell, query->jointree->fromlist)
		fit &= fits(query, lfirst(cell));
	if (fit)
		return;
	flatten(query);
	foreach (cell, query->jointree->fromlist)
	{
		List *names;
		List *columns;

		describe(query, lfirst(cell), &names, &columns);
	}
}

/* Those that were not dropped. */
static void
relation_columns(Query *query, int rti, List **names, List **columns)
{
	compat_expand_rte(rt_fetch(rti, query->rtable), rti, 0, -1, false, names, columns);
}

/* By number. */
static Bitmapset *
live_columns(Query *query, Node *item)
{
	Bitmapset *live = NULL;
	List *names;
	List *columns;
	ListCell *cell;

	if (IsA(item, JoinExpr))
	{
		RangeTblEntry *rte = rt_fetch(((JoinExpr *) item)->rtindex, query->rtable);

		/* A column that was dropped below is none. */
		foreach (cell, rte->joinaliasvars)
		{
			if (lfirst(cell) != NULL)
				live = bms_add_member(live, foreach_current_index(cell) + 1);
		}
		return live;
	}
	relation_columns(query, castNode(RangeTblRef, item)->rtindex, &names, &columns);
	foreach (cell, columns)
		live = bms_add_member(live, lfirst_node(Var, cell)->varattno);
	return live;
}

/* Do the joins have all columns of what they join? */
static bool
fits(Query *query, Node *item)
{
	JoinExpr *join = (JoinExpr *) item;
	RangeTblEntry *rte;
	Bitmapset *left = NULL;
	Bitmapset *right = NULL;
	ListCell *cell;

	if (!IsA(item, JoinExpr))
		return true;
	rte = rt_fetch(join->rtindex, query->rtable);
	foreach (cell, rte->joinleftcols)
		left = bms_add_member(left, lfirst_int(cell));
	foreach (cell, rte->joinrightcols)
		right = bms_add_member(right, lfirst_int(cell));
	return fits(query, join->larg) && fits(query, join->rarg) &&
		   bms_is_subset(live_columns(query, join->larg), left) &&
		   bms_is_subset(live_columns(query, join->rarg), right);
}

/* Nothing names a column of a join any more. */
static void
flatten(Query *query)
{
	ListCell *cell;

	compat_flatten_join_aliases(query);
	foreach (cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);

		if (!rte->lateral)
			continue;
		rte->subquery = (Query *) compat_flatten(query, rte->subquery);
		rte->functions = (List *) compat_flatten(query, rte->functions);
		rte->values_lists = (List *) compat_flatten(query, rte->values_lists);
		rte->tablefunc = (TableFunc *) compat_flatten(query, rte->tablefunc);
		rte->tablesample = (TableSampleClause *) compat_flatten(query, rte->tablesample);
	}
}

/* Returns the columns of the item, and has the joins in it say the same. */
static void
describe(Query *query, Node *item, List **names, List **columns)
{
	JoinExpr *join = (JoinExpr *) item;
	RangeTblEntry *rte;
	List *right_names;
	List *right_columns;

	if (IsA(item, RangeTblRef))
	{
		relation_columns(query, ((RangeTblRef *) item)->rtindex, names, columns);
		return;
	}
	describe(query, join->larg, names, columns);
	describe(query, join->rarg, &right_names, &right_columns);
	rte = rt_fetch(join->rtindex, query->rtable);
	join->usingClause = NIL;
	join->isNatural = false;
	join->alias = join->join_using_alias = NULL;
	rte->alias = rte->join_using_alias = NULL;
	rte->joinmergedcols = 0;
	rte->joinleftcols = positions(join->larg, *columns);
	rte->joinrightcols = positions(join->rarg, right_columns);
	*names = list_concat(*names, right_names);
	*columns = list_concat(*columns, right_columns);
	rte->joinaliasvars = copyObject(*columns);
	rte->eref = makeAlias("unnamed_join", copyObject(*names));
}

/* The numbers that the columns have in the item. */
static List *
positions(Node *item, List *columns)
{
	List *numbers = NIL;
	ListCell *cell;

	foreach (cell, columns)
		numbers = lappend_int(numbers, IsA(item, JoinExpr) ? foreach_current_index(cell) + 1
														   : lfirst_node(Var, cell)->varattno);
	return numbers;
}
