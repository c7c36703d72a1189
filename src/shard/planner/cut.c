/*-------------------------------------------------------------------------
 * cut.c
 *	  Finds the largest pieces of a query that shards can answer.
 *
 * Top down: a subquery that shards can answer by themselves goes as a whole;
 * else of its FROM the joins that they can, grown one relation at a time as
 * long as all stays on one shard; else its own subqueries are looked at.
 * What is left over is planned by the server, table by table.
 *
 * What must stay true: a query that was cut means what it did.  So what
 * volatile functions see, and rows that may be looked at again because another
 * transaction changed them, are not moved.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"

#include "base/compat.h"
#include "shard/metadata/metadata.h"
#include "shard/planner/piece.h"
#include "shard/planner/pin.h"
#include "shard/planner/ship_relation.h"

/* One level of a query while pieces are cut out of its FROM. */
typedef struct Level
{
	Query *query;
	List *items; /* of FROM, inner joins taken apart */
	List *quals; /* of all those, implicitly joined by AND */
	PieceSet *set;
} Level;

/* Columns of relations that are about to become one of a subquery. */
typedef struct Columns
{
	Bitmapset *relations;
	List *vars;	  /* those that are named, each once, as at the level itself */
	int depth;	  /* of where the walk is, below the level */
	bool odd;	  /* a whole row or a system column is among them */
	int subquery; /* range table index that stands for all of them */
} Columns;

static void cut_query(Query *query, PieceSet *set);
static void cut_parts(Query *query, PieceSet *set);
static bool cut_whole(Query *query, PieceSet *set);
static bool cut_links(Node *node, void *context);
static void cut_from(Query *query, PieceSet *set);
static bool forget_aliases(Node *node, void *context);
static bool can_take_apart(Query *query);
static void take_apart(Node *item, Level *level);
static void rebuild(Level *level);
static List *grow(Level *level, ListCell *start);
static bool is_related(Level *level, Bitmapset *some, Bitmapset *others);
static bool is_usable(Query *query, Bitmapset *relations);
static bool has_hash_table(Query *query, Bitmapset *relations);
static Bitmapset *relations_of(Node *item);
static Bitmapset *relations_of_all(List *items);
static int count_bases(Query *query, Bitmapset *relations);
static bool stays_together(Level *level, List *items);
static Query *join_query(Level *level, List *items, List **inner);
static bool forget_join_names(Node *node, void *context);
static bool cut_join(Level *level, List *items);
static void forget_joins(Query *query, Bitmapset *relations);
static bool find_columns(Node *node, void *context);
static Node *replace_columns(Node *node, void *context);
static bool is_plain_scan(Query *query);
static bool open_walker(Node *node, void *context);

void
piece_cut(Query *query, PieceSet *set)
{
	cut_parts(query, set);
}

void
piece_cut_rest(Query *query, PieceSet *set)
{
	if (query->hasSubLinks)
		(void) query_tree_walker(query, cut_links, set, QTW_IGNORE_JOINALIASES);
}

bool
piece_is_open(Query *query)
{
	int depth = -1;

	return open_walker((Node *) query, &depth);
}

static bool
open_walker(Node *node, void *context)
{
	int *depth = context;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
			return (int) ((Var *) node)->varlevelsup > *depth;
		case T_Aggref:
			if ((int) ((Aggref *) node)->agglevelsup > *depth)
				return true;
			break;
		case T_GroupingFunc:
			if ((int) ((GroupingFunc *) node)->agglevelsup > *depth)
				return true;
			break;
		case T_RangeTblEntry:
			return ((RangeTblEntry *) node)->rtekind == RTE_CTE &&
				   (int) ((RangeTblEntry *) node)->ctelevelsup > *depth;
		case T_Query:
		{
			bool open;

			(*depth)++;
			open = query_tree_walker((Query *) node, open_walker, context,
									 QTW_EXAMINE_RTES_BEFORE | QTW_IGNORE_JOINALIASES);
			(*depth)--;
			return open;
		}
		default:
			break;
	}
	return expression_tree_walker(node, open_walker, context);
}

static void
cut_query(Query *query, PieceSet *set)
{
	if (query->commandType != CMD_UTILITY && !cut_whole(query, set))
		cut_parts(query, set);
}

static void
cut_parts(Query *query, PieceSet *set)
{
	Bitmapset *joined;
	int rti = 0;
	ListCell *cell;

	foreach (cell, query->cteList)
		cut_query(castNode(Query, ((CommonTableExpr *) lfirst(cell))->ctequery), set);

	/* Where rows are locked or changed they may be looked at again. */
	if (query->rowMarks != NIL || (query->resultRelation != 0 && query->commandType != CMD_INSERT))
		return;
	cut_from(query, set);
	joined = relations_of_all(query->jointree->fromlist);
	foreach (cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);

		if (bms_is_member(++rti, joined) || query->setOperations != NULL)
		{
			if (rte->rtekind == RTE_SUBQUERY)
				cut_query(rte->subquery, set);
		}
	}
	(void) query_tree_walker(query, cut_links, set,
							 QTW_IGNORE_RT_SUBQUERIES | QTW_IGNORE_CTE_SUBQUERIES |
								 QTW_IGNORE_JOINALIASES);
}

/* Subqueries in expressions. */
static bool
cut_links(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		cut_query((Query *) node, context);
		return false;
	}
	return expression_tree_walker(node, cut_links, context);
}

static bool
cut_whole(Query *query, PieceSet *set)
{
	char *why;
	Query *original;
	Query *merge;

	if (query->commandType != CMD_SELECT || piece_is_open(query) || is_plain_scan(query))
		return false;
	merge = piece_split(query, set, &why);
	if (merge == NULL)
	{
		merge = ship_relations(query, set, &why);
		if (merge != NULL)
			*query = *merge;
		return merge != NULL;
	}
	original = makeNode(Query);
	*original = *query;
	set->replaced = lappend(set->replaced, original);
	*query = *merge;
	piece_cut_rest(query, set);
	return true;
}

/*
 * Rows of one table, which the server had better merge into the query around.
 * But only a piece can say where rows stand.
 */
static bool
is_plain_scan(Query *query)
{
	ListCell *cell;

	foreach (cell, query->targetList)
	{
		Var *var = (Var *) ((TargetEntry *) lfirst(cell))->expr;

		if (IsA(var, Var) && var->varattno < 0)
			return false;
	}
	return list_length(query->jointree->fromlist) == 1 &&
		   IsA(linitial(query->jointree->fromlist), RangeTblRef) &&
		   rt_fetch(linitial_node(RangeTblRef, query->jointree->fromlist)->rtindex, query->rtable)
				   ->rtekind == RTE_RELATION &&
		   !query->hasAggs && !query->hasWindowFuncs && !query->hasTargetSRFs &&
		   !query->hasSubLinks && query->groupClause == NIL && query->distinctClause == NIL &&
		   query->limitCount == NULL && query->limitOffset == NULL;
}

/* Cuts joins out of FROM. */
static void
cut_from(Query *query, PieceSet *set)
{
	Level level = {.query = query, .set = set};
	bool again = true;
	int depth = -1;

	if (query->groupingSets == NIL)
		compat_flatten_groups(query);
	if (!can_take_apart(query))
		return;
	compat_flatten_join_aliases(query);
	(void) forget_aliases((Node *) query, &depth);
	take_apart((Node *) query->jointree, &level);
	rebuild(&level);
	while (again)
	{
		ListCell *cell;

		again = false;
		foreach (cell, level.items)
		{
			List *items = grow(&level, cell);

			if (items != NIL && cut_join(&level, items))
			{
				again = true;
				break;
			}
		}
	}
}

/* The deparser goes by how the user named a column, which may have been that of a join. */
static bool
forget_aliases(Node *node, void *context)
{
	int *depth = context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		(*depth)++;
		(void) query_tree_walker((Query *) node, forget_aliases, context, QTW_IGNORE_JOINALIASES);
		(*depth)--;
		return false;
	}
	if (IsA(node, Var) && (int) ((Var *) node)->varlevelsup == *depth)
	{
		((Var *) node)->varnosyn = ((Var *) node)->varno;
		((Var *) node)->varattnosyn = ((Var *) node)->varattno;
		return false;
	}
	return expression_tree_walker(node, forget_aliases, context);
}

/* Relations that look at their neighbours stay where they are. */
static bool
can_take_apart(Query *query)
{
	ListCell *cell;

	if (query->setOperations != NULL || query->jointree->fromlist == NIL ||
		query->resultRelation != 0 || query->hasRowSecurity)
		return false;
	foreach (cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);

		if (rte->lateral || rte->rtekind > RTE_RESULT)
			return false;
	}
	return true;
}

/* Inner joins mean the same without their order. */
static void
take_apart(Node *item, Level *level)
{
	ListCell *cell;

	if (IsA(item, FromExpr))
	{
		foreach (cell, ((FromExpr *) item)->fromlist)
			take_apart(lfirst(cell), level);
		level->quals =
			list_concat(level->quals, make_ands_implicit((Expr *) ((FromExpr *) item)->quals));
	}
	else if (IsA(item, JoinExpr) && ((JoinExpr *) item)->jointype == JOIN_INNER)
	{
		take_apart(((JoinExpr *) item)->larg, level);
		take_apart(((JoinExpr *) item)->rarg, level);
		level->quals =
			list_concat(level->quals, make_ands_implicit((Expr *) ((JoinExpr *) item)->quals));
	}
	else
		level->items = lappend(level->items, item);
}

static void
rebuild(Level *level)
{
	level->query->jointree = makeFromExpr(
		level->items, level->quals == NIL ? NULL : (Node *) make_ands_explicit(level->quals));
}

/*
 * Items that shards can join, beginning with the one at "start" and taking in
 * others as long as they can; NIL when there is nothing to join.
 */
static List *
grow(Level *level, ListCell *start)
{
	List *items = list_make1(lfirst(start));
	bool grown = true;

	if (!has_hash_table(level->query, relations_of(lfirst(start))) ||
		!is_usable(level->query, relations_of(lfirst(start))) || !stays_together(level, items))
		return NIL;
	while (grown)
	{
		ListCell *cell;

		grown = false;
		foreach (cell, level->items)
		{
			Node *item = lfirst(cell);
			List *more;

			if (list_member_ptr(items, item) || !is_usable(level->query, relations_of(item)) ||
				!is_related(level, relations_of_all(items), relations_of(item)))
				continue;
			more = lappend(list_copy(items), item);
			if (!stays_together(level, more))
				continue;
			items = more;
			grown = true;
		}
	}
	return count_bases(level->query, relations_of_all(items)) > 1 ? items : NIL;
}

/* Is there a condition about both? */
static bool
is_related(Level *level, Bitmapset *some, Bitmapset *others)
{
	ListCell *cell;

	foreach (cell, level->quals)
	{
		Bitmapset *named = pull_varnos(NULL, lfirst(cell));

		if (bms_overlap(named, some) && bms_overlap(named, others) &&
			bms_is_subset(named, bms_union(some, others)) && !checkExprHasSubLink(lfirst(cell)))
			return true;
	}
	return false;
}

/* Only distributed and reference tables, and subqueries that stand alone. */
static bool
is_usable(Query *query, Bitmapset *relations)
{
	int rti = -1;

	while ((rti = bms_next_member(relations, rti)) >= 0)
	{
		RangeTblEntry *rte = rt_fetch(rti, query->rtable);

		switch (rte->rtekind)
		{
			case RTE_RELATION:
				if (metadata_table(rte->relid) == NULL || rte->securityQuals != NIL)
					return false;
				break;
			case RTE_SUBQUERY:
				if (piece_is_open(rte->subquery) || rte->security_barrier)
					return false;
				break;
			case RTE_JOIN:
				break;
			default:
				return false;
		}
	}
	return true;
}

static bool
has_hash_table(Query *query, Bitmapset *relations)
{
	int rti = -1;

	while ((rti = bms_next_member(relations, rti)) >= 0)
	{
		RangeTblEntry *rte = rt_fetch(rti, query->rtable);
		const DistributedTable *table =
			rte->rtekind == RTE_RELATION ? metadata_table(rte->relid) : NULL;

		if (rte->rtekind == RTE_SUBQUERY || (table != NULL && table->kind == TABLE_HASH))
			return true;
	}
	return false;
}

static Bitmapset *
relations_of(Node *item)
{
	if (IsA(item, RangeTblRef))
		return bms_make_singleton(((RangeTblRef *) item)->rtindex);
	return bms_add_member(bms_union(relations_of(castNode(JoinExpr, item)->larg),
									relations_of(castNode(JoinExpr, item)->rarg)),
						  castNode(JoinExpr, item)->rtindex);
}

static Bitmapset *
relations_of_all(List *items)
{
	Bitmapset *relations = NULL;
	ListCell *cell;

	foreach (cell, items)
		relations = bms_add_members(relations, relations_of(lfirst(cell)));
	return relations;
}

static int
count_bases(Query *query, Bitmapset *relations)
{
	int count = 0;
	int rti = -1;

	while ((rti = bms_next_member(relations, rti)) >= 0)
		count += rt_fetch(rti, query->rtable)->rtekind != RTE_JOIN;
	return count;
}

static bool
stays_together(Level *level, List *items)
{
	List *inner;
	Query *query = join_query(level, items, &inner);
	Pin pin = {0};

	return !piece_is_open(query) && pin_to_join(query, &pin);
}

/*
 * SELECT FROM items WHERE the conditions, "inner", that are about nothing
 * else.  Other relations keep their numbers but are empty.
 */
static Query *
join_query(Level *level, List *items, List **inner)
{
	Query *query = makeNode(Query);
	Bitmapset *relations = relations_of_all(items);
	int rti = 0;
	int depth = 0;
	ListCell *cell;

	*inner = NIL;
	foreach (cell, level->quals)
	{
		Node *qual = lfirst(cell);
		Bitmapset *named = pull_varnos(NULL, qual);

		if (!bms_is_empty(named) && bms_is_subset(named, relations) && !checkExprHasSubLink(qual) &&
			!contain_volatile_functions(qual) && !open_walker(qual, &depth))
			*inner = lappend(*inner, qual);
	}
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->hasSubLinks = level->query->hasSubLinks;
	foreach (cell, level->query->rtable)
	{
		RangeTblEntry *rte = copyObject(lfirst_node(RangeTblEntry, cell));

		if (!bms_is_member(++rti, relations))
		{
			RangeTblEntry *empty = makeNode(RangeTblEntry);

			empty->rtekind = RTE_RESULT;
			empty->eref = makeAlias("*RESULT*", NIL);
			rte = empty;
		}
		else if (rte->rtekind == RTE_JOIN)
			rte->alias = rte->join_using_alias = NULL;
		query->rtable = lappend(query->rtable, rte);
	}
	compat_copy_permissions(level->query, query);
	items = copyObject(items);
	(void) forget_join_names((Node *) items, NULL);
	query->jointree =
		makeFromExpr(items, *inner == NIL ? NULL : (Node *) make_ands_explicit(copyObject(*inner)));
	return query;
}

/* Columns go by the relations below, which the name of a join would hide. */
static bool
forget_join_names(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, JoinExpr))
		((JoinExpr *) node)->alias = ((JoinExpr *) node)->join_using_alias = NULL;
	return expression_tree_walker(node, forget_join_names, context);
}

/* Makes a subquery of these items, and has shards answer it. */
static bool
cut_join(Level *level, List *items)
{
	Columns columns = {.relations = relations_of_all(items)};
	Query *query = level->query;
	List *inner;
	Query *join = join_query(level, items, &inner);
	Query *merge;
	RangeTblEntry *rte;
	RangeTblRef *ref = makeNode(RangeTblRef);
	List *names = NIL;
	char *why;
	ListCell *cell;

	level->items = list_difference_ptr(level->items, items);
	level->quals = list_difference_ptr(level->quals, inner);
	rebuild(level);
	(void) query_tree_walker(query, find_columns, &columns,
							 QTW_IGNORE_JOINALIASES | QTW_IGNORE_RT_SUBQUERIES |
								 QTW_IGNORE_CTE_SUBQUERIES);
	foreach (cell, columns.vars)
	{
		Var *var = compat_nulled_by(copyObject(lfirst_node(Var, cell)), columns.relations);
		RangeTblEntry *from = rt_fetch(var->varno, query->rtable);
		char *name = get_rte_attribute_name(from, var->varattno);

		names = lappend(names, makeString(name));
		join->targetList =
			lappend(join->targetList,
					makeTargetEntry((Expr *) var, list_length(join->targetList) + 1, name, false));
	}
	merge = columns.odd || columns.vars == NIL ? NULL : piece_split(join, level->set, &why);
	if (merge == NULL)
	{
		level->items = list_concat(level->items, items);
		level->quals = list_concat(level->quals, inner);
		rebuild(level);
		return false;
	}

	forget_joins(query, columns.relations);
	rte = makeNode(RangeTblEntry);
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = merge;
	rte->eref = makeAlias("piece", names);
	rte->inFromCl = true;
	query->rtable = lappend(query->rtable, rte);
	columns.subquery = ref->rtindex = list_length(query->rtable);
	level->items = lappend(level->items, ref);
	rebuild(level);
	query_tree_mutator(query, replace_columns, &columns,
					   QTW_DONT_COPY_QUERY | QTW_IGNORE_JOINALIASES | QTW_IGNORE_RT_SUBQUERIES |
						   QTW_IGNORE_CTE_SUBQUERIES);
	level->items = query->jointree->fromlist;
	level->quals = make_ands_implicit((Expr *) query->jointree->quals);
	return true;
}

/* The server looks for outer joins where their entries are. */
static void
forget_joins(Query *query, Bitmapset *relations)
{
	int rti = -1;

	while ((rti = bms_next_member(relations, rti)) >= 0)
	{
		RangeTblEntry *rte = rt_fetch(rti, query->rtable);

		if (rte->rtekind == RTE_JOIN)
			rte->jointype = JOIN_INNER;
	}
}

/* Notes the columns of the relations, wherever they are named. */
static bool
find_columns(Node *node, void *context)
{
	Columns *columns = context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		columns->depth++;
		(void) query_tree_walker((Query *) node, find_columns, context, QTW_IGNORE_JOINALIASES);
		columns->depth--;
		return false;
	}
	if (IsA(node, Var) && (int) ((Var *) node)->varlevelsup == columns->depth &&
		bms_is_member(((Var *) node)->varno, columns->relations))
	{
		Var *var = copyObject((Var *) node);

		columns->odd |= var->varattno <= 0;
		var->varlevelsup = 0;
		columns->vars = list_append_unique(columns->vars, var);
		return false;
	}
	return expression_tree_walker(node, find_columns, context);
}

/* Names the columns as those of the subquery that now stands for the relations. */
static Node *
replace_columns(Node *node, void *context)
{
	Columns *columns = context;

	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
	{
		columns->depth++;
		node = (Node *) query_tree_mutator((Query *) node, replace_columns, context,
										   QTW_IGNORE_JOINALIASES);
		columns->depth--;
		return node;
	}
	if (IsA(node, Var) && (int) ((Var *) node)->varlevelsup == columns->depth &&
		bms_is_member(((Var *) node)->varno, columns->relations))
	{
		Var *var = copyObject((Var *) node);
		int number = 0;
		ListCell *cell;
		Var *column;

		var->varlevelsup = 0;
		foreach (cell, columns->vars)
		{
			number++;
			if (equal(lfirst(cell), var))
				break;
		}
		Assert(cell != NULL);
		column = makeVar(columns->subquery, number, var->vartype, var->vartypmod, var->varcollid,
						 columns->depth);
		compat_nulled_outside(column, var, columns->relations);
		return (Node *) column;
	}
	return expression_tree_mutator(node, replace_columns, context);
}
