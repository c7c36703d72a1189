/*-------------------------------------------------------------------------
 * ship_relation.c
 *	  Small relations that travel to the shards of the others.
 *
 * A join of tables that are not split alike is no piece that shards can answer.
 * It is one as soon as one side is at each of them, as a reference table is:
 * so what is small (a filtered table, a local one, VALUES, any subquery) is
 * computed first and goes along as parameters, one array for each column that
 * is needed.  Where it is joined on the distribution column of the other, its
 * rows are sorted out, and each shard gets its own only; this is the way for
 * what is not so small.  What comes of it is a query of the server's:
 *
 *	WITH s1 AS MATERIALIZED (SELECT ... the small relation),
 *		a1 AS MATERIALIZED (SELECT pgcluster.ship(...) FROM s1)
 *	SELECT ... the piece, with arrays of a1 WHERE a1 IS NOT NULL
 *	UNION ALL
 *	SELECT ... the query as it was, over s1 WHERE a1 IS NULL
 *
 * where the arrays are null when they would have been larger than the setting
 * allows: statistics are a guess, and memory is bounded whatever they say.
 * Either way the relation is computed once.
 *
 * What must stay true: what travels means on each shard what it means here, so
 * columns whose values an array cannot carry stay.  It is joined there by the
 * rules of reference tables, and what is sorted out by those of tables that are
 * split like the other; pin.c and split.c know both.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_func.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "base/compat.h"
#include "base/config.h"
#include "shard/metadata/metadata.h"
#include "shard/planner/by_table.h"
#include "shard/planner/lift.h"
#include "shard/planner/pin.h"
#include "shard/planner/ship_relation.h"
#include "shard/planner/statement.h"

/* Column c of relation n is parameter FIRST_SHIPPED + n * SHIPPED_COLUMNS + c while a query is cut. */
#define SHIPPED_COLUMNS 2000

/* What it costs to fetch a row, and to join it here, in bytes that are sent. */
#define ROW_COST 32.0

/* ... and to find out which shard it belongs to. */
#define PART_COST 8.0

/* ... and to join it at one more shard. */
#define EACH_COST 16.0

/* So many relations are tried as the one that stays. */
#define MAX_ANCHORS 6

/* An aggregate takes them in, with arguments of its own. */
#define MAX_COLUMNS (FUNC_MAX_ARGS - 10)

/* How deep below the query that is made the query is that was there. */
#define BELOW_UNION 2

/* A relation that may stay where it is or travel. */
typedef struct Unit
{
	bool may_stay; /* it is on shards */
	int depth;	   /* of the query that has it in FROM or in an expression */
	bool from_cte; /* it is one of the query's WITH */
	Query *rows;   /* what gives its rows, as far as they are needed; NULL: it cannot travel */
	List *columns; /* of the relation: their numbers, in the order of those of "rows" */
	int number;
	Oid relid; /* a table in it that is split */
	double count;
	double bytes;

	/*
	 * Sorted out by this column of "rows" (from 1), as the table "like" is split,
	 * so that each shard gets what is its own; 0: all of it goes to each.
	 */
	int part;
	const DistributedTable *like;
	Oid hash;	/* function for the column's values */
	bool inner; /* where it has no row the result has none */
} Unit;

/* A walk over all relations of a query, always in the same order. */
typedef struct Walk
{
	List *units;	  /* Unit; those of the first walk */
	int number;		  /* of them, so far */
	bool replaces;	  /* this is a later walk: those in "ships" are replaced */
	Bitmapset *ships; /* numbers of units */
	bool pretends;	  /* what is sorted out is taken for the table that it is split like */
	int depth;		  /* of the query being looked at */
	Query *query;
} Walk;

/* The columns of a relation that a query uses. */
typedef struct Used
{
	Query *query;
	int rti;
	int depth;
	Bitmapset *columns;
	bool odd; /* a whole row or a system column */
} Used;

static bool is_candidate(Query *query, char **why);
static bool depends_walker(Node *node, void *context);
static bool left_walker(Node *node, void *context);
static bool has_open_members(Node *node, void *context);
static void visit_query(Query *query, Walk *walk);
static void visit_members(Node *member, Walk *walk);
static void visit_item(Node *item, Walk *walk);
static void visit_relation(int rti, Walk *walk);
static bool visit_links(Node *node, void *context);
static void visit_link(SubLink *link, Walk *walk);
static bool reads(Node *node, bool *hash, bool *local);
static bool reads_walker(Node *node, void *context);
static bool stays(RangeTblEntry *rte);
static Unit *next_unit(Walk *walk, bool may_stay);
static Query *rows_of(Query *query, int rti, Unit *unit);
static bool used_walker(Node *node, void *context);
static List *take_quals(Node *item, int rti, Query *query);
static bool has_relation(Node *item, int rti);
static List *take_from(Node **quals, int rti);
static bool may_take(Node *qual, int rti);
static bool outer_walker(Node *node, void *context);
static bool is_nullable_in(int rti, Node *item);
static void put_in_place(RangeTblEntry *rte, Unit *unit, Walk *walk);
static Query *query_of_rows(Unit *unit, int depth, List *names, List *columns);
static char *rows_name(int number);
static char *arrays_name(Unit *unit);
static bool column_travels(Node *expr);
static Param *array_param(Unit *unit, int column);
static Query *replace(Query *query, List *units, Bitmapset *ships, bool pretend);
static Query *pretended_query(Unit *unit, List *names, List *columns);
static bool choose(Query *query, List *units, Bitmapset **ships);
static bool choose_around(Query *query, List *sorted, Unit *anchor, Bitmapset **ships);
static bool
choose_part(Query *query, List *units, Bitmapset *ships, Unit *unit, const DistributedTable *like);
static Oid hash_for(const DistributedTable *like, Oid type);
static bool find_split(Node *node, Oid *relid);
static bool split_walker(Node *node, void *context);
static int compare_numbers(const ListCell *a, const ListCell *b);
static int compare_units(const ListCell *a, const ListCell *b);
static void estimate(Unit *unit, Query *query);
static bool may_anchor(Query *query, List *units, Bitmapset *ships);
static int count_shards(Query *query);
static bool shards_walker(Node *node, void *context);
static double cost_of(Query *query, List *units, Bitmapset *ships);
static bool pays(Query *query, List *units, Bitmapset *ships, char **why);
static bool finish_parts(Query *merge, PieceSet *set, List *units, char **why);
static bool parts_walker(Node *node, void *context);
static RangeTblFunction *unnest(Node *array, Oid type, Oid collation);
static void as_arrays(Query *query, List *units, Bitmapset *ships);
static bool arrays_walker(Node *node, void *context);
static Node *from_arrays(Node *node, void *context);
static Node *arrays_link(Unit *unit, int levels);
static Query *
alternatives(Query *query, Query *shipped, Query *here, List *units, Bitmapset *ships);
static CommonTableExpr *make_cte(char *name, Query *query);
static Node *make_oid(Oid oid);
static Query *arrays_query(Unit *unit);
static Node *shipped_column(Unit *unit, int column, Oid type, int levels);
static Oid function_of_ours(const char *name, int nargs, const Oid *types);
static RangeTblEntry *cte_relation(CommonTableExpr *cte, int levels);
static Query *select_from(RangeTblEntry *rte);
static Query *gated(Query *query, List *units, Bitmapset *ships, bool fits);

Query *
ship_relations(Query *query, PieceSet *set, char **why)
{
	Walk walk = {.query = copyObject(query)};
	Bitmapset *ships;
	Query *here;
	Query *shipped;
	Query *result;
	int depth = -1;

	if (!is_candidate(query, why))
		return NULL;
	visit_query(walk.query, &walk);
	if (!choose(query, walk.units, &ships))
	{
		if (list_length(walk.units) > 1)
			*why = "No relation of it could travel to the shards of the others.";
		return NULL;
	}
	if (!pays(query, walk.units, ships, why))
		return NULL;
	here = replace(query, walk.units, ships, false);
	if (query->cteList != NIL && left_walker((Node *) here, &depth))
		return NULL;
	shipped = replace(query, walk.units, ships, true);
	as_arrays(shipped, walk.units, ships);
	shipped = piece_split(shipped, set, why);
	if (shipped == NULL || !finish_parts(shipped, set, walk.units, why))
		return NULL;
	result = alternatives(query, shipped, here, walk.units, ships);
	set->replaced = lappend(set->replaced, copyObject(query));
	piece_cut(result, set);
	return result;
}

/* Does it show columns that go by a primary key it groups by?  Elsewhere there is no such key. */
static bool
depends_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, depends_walker, context);
	return ((Query *) node)->constraintDeps != NIL ||
		   query_tree_walker((Query *) node, depends_walker, context, QTW_IGNORE_JOINALIASES);
}

/* What is no matter of joins needs no reason. */
static bool
is_candidate(Query *query, char **why)
{
	ListCell *cell;

	*why = NULL;
	if (config_join_strategy == JOIN_PULL || config_max_shipped_size == 0 ||
		query->commandType != CMD_SELECT || query->setOperations != NULL ||
		statement_writes(query) || query->hasModifyingCTE || query->hasRowSecurity ||
		query->hasForUpdate || depends_walker((Node *) query, NULL))
		return false;
	if (contain_volatile_functions((Node *) query->targetList) ||
		contain_volatile_functions((Node *) query->jointree) ||
		contain_volatile_functions(query->havingQual))
	{
		*why = "It calls volatile functions.";
		return false;
	}
	foreach (cell, query->rtable)
	{
		if (((RangeTblEntry *) lfirst(cell))->rtekind > RTE_RESULT)
			return false;
	}
	return !query_tree_walker(query, has_open_members, NULL, QTW_IGNORE_JOINALIASES);
}

/* Members of a set operation that name something outside: nobody looks for relations there. */
static bool
has_open_members(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, has_open_members, context);
	if (((Query *) node)->setOperations != NULL && piece_is_open((Query *) node))
		return true;
	return query_tree_walker((Query *) node, has_open_members, context, QTW_IGNORE_JOINALIASES);
}

/* Does it still name something of the query's WITH? */
static bool
left_walker(Node *node, void *context)
{
	int *depth = context;
	bool left;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
		return ((RangeTblEntry *) node)->rtekind == RTE_CTE &&
			   (int) ((RangeTblEntry *) node)->ctelevelsup == *depth;
	if (!IsA(node, Query))
		return expression_tree_walker(node, left_walker, context);
	(*depth)++;
	left = query_tree_walker((Query *) node, left_walker, context,
							 QTW_EXAMINE_RTES_BEFORE | QTW_IGNORE_JOINALIASES);
	(*depth)--;
	return left;
}

/* --- the relations of a query ------------------------------------------ */

static void
visit_query(Query *query, Walk *walk)
{
	Query *outer = walk->query;

	walk->query = query;
	if (query->setOperations != NULL)
		visit_members(query->setOperations, walk);
	visit_item((Node *) query->jointree, walk);
	if (query->hasSubLinks)
		(void) query_tree_walker(query, visit_links, walk,
								 QTW_IGNORE_RT_SUBQUERIES | QTW_IGNORE_CTE_SUBQUERIES |
									 QTW_IGNORE_JOINALIASES);
	walk->query = outer;
}

/* Members of a UNION and the like keep their columns: only what is in them may travel. */
static void
visit_members(Node *member, Walk *walk)
{
	if (IsA(member, SetOperationStmt))
	{
		visit_members(((SetOperationStmt *) member)->larg, walk);
		visit_members(((SetOperationStmt *) member)->rarg, walk);
		return;
	}
	walk->depth++;
	visit_query(rt_fetch(castNode(RangeTblRef, member)->rtindex, walk->query->rtable)->subquery,
				walk);
	walk->depth--;
}

static void
visit_item(Node *item, Walk *walk)
{
	ListCell *cell;

	if (IsA(item, RangeTblRef))
		visit_relation(((RangeTblRef *) item)->rtindex, walk);
	else if (IsA(item, JoinExpr))
	{
		visit_item(((JoinExpr *) item)->larg, walk);
		visit_item(((JoinExpr *) item)->rarg, walk);
	}
	else
	{
		foreach (cell, castNode(FromExpr, item)->fromlist)
			visit_item(lfirst(cell), walk);
	}
}

static void
visit_relation(int rti, Walk *walk)
{
	RangeTblEntry *rte = rt_fetch(rti, walk->query->rtable);
	bool hash;
	bool local;
	Unit *unit;

	if (rte->rtekind == RTE_SUBQUERY && piece_is_open(rte->subquery))
	{
		walk->depth++;
		visit_query(rte->subquery, walk);
		walk->depth--;
		return;
	}
	if (rte->rtekind == RTE_CTE && (int) rte->ctelevelsup < walk->depth)
		return;
	(void) reads((Node *) list_make1(rte), &hash, &local);
	if (!hash && !local && stays(rte))
		return;
	unit = next_unit(walk, hash && !local);
	if (!walk->replaces)
	{
		unit->depth = walk->depth;
		unit->from_cte = rte->rtekind == RTE_CTE;
		unit->inner = walk->depth == 0 && !lift_is_nullable(rti, walk->query->jointree);
		(void) find_split((Node *) list_make1(rte), &unit->relid);
		unit->rows = rows_of(walk->query, rti, unit);
	}
	else if (bms_is_member(walk->number - 1, walk->ships))
	{
		(void) rows_of(walk->query, rti, unit);
		put_in_place(rte, unit, walk);
	}
}

static bool
visit_links(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubLink))
	{
		(void) visit_links(((SubLink *) node)->testexpr, context);
		visit_link((SubLink *) node, context);
		return false;
	}
	return expression_tree_walker(node, visit_links, context);
}

static void
visit_link(SubLink *link, Walk *walk)
{
	Query *query = castNode(Query, link->subselect);
	bool hash;
	bool local;
	Unit *unit;

	if (piece_is_ahead(link))
		return;
	walk->depth++;
	if (piece_is_open(query))
		visit_query(query, walk);
	else if (reads((Node *) query, &hash, &local))
	{
		unit = next_unit(walk, hash && !local);
		if (!walk->replaces)
		{
			ListCell *cell;

			unit->depth = walk->depth;
			unit->rows = copyObject(query);
			(void) find_split((Node *) query, &unit->relid);
			foreach (cell, query->targetList)
			{
				if (!((TargetEntry *) lfirst(cell))->resjunk &&
					!column_travels((Node *) ((TargetEntry *) lfirst(cell))->expr))
					unit->rows = NULL;
			}
			if (list_length(query->targetList) > MAX_COLUMNS)
				unit->rows = NULL;
		}
		else if (bms_is_member(walk->number - 1, walk->ships))
		{
			List *names = NIL;
			List *columns = NIL;
			ListCell *cell;

			foreach (cell, query->targetList)
			{
				TargetEntry *tle = lfirst(cell);

				if (tle->resjunk)
					continue;
				names = lappend(names, makeString(tle->resname ? tle->resname : "?column?"));
				columns =
					lappend(columns, makeVar(1, list_length(names), exprType((Node *) tle->expr),
											 exprTypmod((Node *) tle->expr),
											 exprCollation((Node *) tle->expr), 0));
			}
			link->subselect = (Node *) (walk->pretends && unit->part > 0
											? pretended_query(unit, names, columns)
											: query_of_rows(unit, walk->depth - 1, names, columns));
		}
	}
	walk->depth--;
}

/* Whether anything in it reads tables that shards have, and others that they do not. */
static bool
reads(Node *node, bool *hash, bool *local)
{
	bool found[2] = {false, false};

	if (IsA(node, Query))
		(void) reads_walker(node, found);
	else
		(void) range_table_walker((List *) node, reads_walker, found, QTW_EXAMINE_RTES_BEFORE);
	*hash = found[0];
	*local = found[1];
	return found[0] || found[1];
}

static bool
reads_walker(Node *node, void *context)
{
	bool *found = context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;
		const DistributedTable *table;

		if (rte->rtekind == RTE_NAMEDTUPLESTORE)
			found[1] = true;
		if (rte->rtekind != RTE_RELATION || rte->relkind == RELKIND_VIEW)
			return false;
		table = metadata_table(rte->relid);
		if (table == NULL)
			found[1] = true;
		else if (table->kind == TABLE_HASH)
			found[0] = true;
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, reads_walker, context,
								 QTW_EXAMINE_RTES_BEFORE | QTW_IGNORE_JOINALIASES);
	return expression_tree_walker(node, reads_walker, context);
}

/* Can shards make it up by themselves, or from reference tables? */
static bool
stays(RangeTblEntry *rte)
{
	Lift lift = {0};

	switch (rte->rtekind)
	{
		case RTE_CTE:
			return rte->self_reference;
		case RTE_FUNCTION:
			return rte->lateral || (!contain_volatile_functions((Node *) rte->functions) &&
									lift_expr(copyObject((Node *) rte->functions), &lift) != NULL);
		case RTE_TABLEFUNC:
			return rte->lateral || lift_expr(copyObject((Node *) rte->tablefunc), &lift) != NULL;
		case RTE_VALUES:
			return rte->lateral || lift_expr(copyObject((Node *) rte->values_lists), &lift) != NULL;
		default:
			return true;
	}
}

static Unit *
next_unit(Walk *walk, bool may_stay)
{
	Unit *unit;

	if (walk->replaces)
		return list_nth(walk->units, walk->number++);
	unit = palloc0(sizeof(Unit));
	unit->may_stay = may_stay;
	unit->number = walk->number++;
	walk->units = lappend(walk->units, unit);
	return unit;
}

/* --- the rows of one of them ------------------------------------------- */

/*
 * SELECT what the query uses of the relation WHERE the conditions that are
 * about nothing else, which are taken out of the query.  NULL when it cannot
 * travel.
 */
static Query *
rows_of(Query *query, int rti, Unit *unit)
{
	Query *rows = makeNode(Query);
	Query *flat = copyObject(query);
	RangeTblEntry *rte = rt_fetch(rti, query->rtable);
	RangeTblEntry *inner = copyObject(rte);
	RangeTblRef *ref = makeNode(RangeTblRef);
	Used used = {.query = query, .rti = rti, .depth = -1};
	List *quals;
	List *names;
	List *columns;
	ListCell *name;
	ListCell *column;
	int number = 0;

	unit->columns = NIL;
	compat_flatten_join_aliases(flat);
	(void) used_walker((Node *) flat, &used);
	quals = take_quals((Node *) query->jointree, rti, query);
	if (used.odd || rte->securityQuals != NIL)
		return NULL;
	ref->rtindex = 1;
	inner->inFromCl = true;
	inner->lateral = false;
	if (unit->from_cte)
		inner->ctelevelsup = 1;
	rows->commandType = CMD_SELECT;
	rows->canSetTag = true;
	rows->rtable = list_make1(inner);
	compat_move_permissions(query, rte, rows, inner);
	ChangeVarNodes((Node *) quals, rti, 1, 0);
	rows->jointree =
		makeFromExpr(list_make1(ref), quals ? (Node *) make_ands_explicit(quals) : NULL);
	compat_expand_rte(inner, 1, 0, -1, true, &names, &columns);
	forboth (name, names, column, columns)
	{
		if (!bms_is_member(++number, used.columns))
			continue;
		if (!column_travels(lfirst(column)))
			return NULL;
		unit->columns = lappend_int(unit->columns, number);
		rows->targetList = lappend(
			rows->targetList, makeTargetEntry(lfirst(column), list_length(rows->targetList) + 1,
											  pstrdup(strVal(lfirst(name))), false));
	}

	if (list_length(rows->targetList) > MAX_COLUMNS)
		return NULL;

	/* Rows count also where no column does. */
	if (rows->targetList == NIL)
		rows->targetList =
			list_make1(makeTargetEntry((Expr *) makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
														  Int32GetDatum(1), false, true),
									   1, "one", false));
	return rows;
}

static bool
used_walker(Node *node, void *context)
{
	Used *used = context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		used->depth++;
		(void) query_tree_walker((Query *) node, used_walker, context, QTW_IGNORE_JOINALIASES);
		used->depth--;
		return false;
	}
	if (IsA(node, Var) && (int) ((Var *) node)->varlevelsup == used->depth)
	{
		Var *var = (Var *) node;

		/* What is left of columns of joins might be any of what they join. */
		if (rt_fetch(var->varno, used->query->rtable)->rtekind == RTE_JOIN)
			used->odd = true;
		else if (var->varno == used->rti && var->varattno <= 0)
			used->odd = true;
		else if (var->varno == used->rti)
			used->columns = bms_add_member(used->columns, var->varattno);
		return false;
	}
	return expression_tree_walker(node, used_walker, context);
}

/*
 * Conditions about the relation alone, taken out of where they stand: rows of
 * it that do not meet them take no part, nor would they be missed.
 */
static List *
take_quals(Node *item, int rti, Query *query)
{
	List *quals = NIL;
	ListCell *cell;

	if (IsA(item, FromExpr))
	{
		foreach (cell, ((FromExpr *) item)->fromlist)
		{
			if (has_relation(lfirst(cell), rti))
				quals = take_quals(lfirst(cell), rti, query);
		}
		if (!is_nullable_in(rti, item))
			quals = list_concat(quals, take_from(&((FromExpr *) item)->quals, rti));
	}
	else if (IsA(item, JoinExpr))
	{
		JoinExpr *join = (JoinExpr *) item;
		bool left = has_relation(join->larg, rti);
		Node *side = left ? join->larg : join->rarg;

		quals = take_quals(side, rti, query);
		if (!is_nullable_in(rti, side) &&
			(join->jointype == JOIN_INNER || (join->jointype == JOIN_LEFT && !left) ||
			 (join->jointype == JOIN_RIGHT && left)))
			quals = list_concat(quals, take_from(&join->quals, rti));
	}
	return quals;
}

static bool
has_relation(Node *item, int rti)
{
	ListCell *cell;

	if (IsA(item, RangeTblRef))
		return ((RangeTblRef *) item)->rtindex == rti;
	if (IsA(item, JoinExpr))
		return has_relation(((JoinExpr *) item)->larg, rti) ||
			   has_relation(((JoinExpr *) item)->rarg, rti);
	foreach (cell, castNode(FromExpr, item)->fromlist)
	{
		if (has_relation(lfirst(cell), rti))
			return true;
	}
	return false;
}

static List *
take_from(Node **quals, int rti)
{
	List *all = make_ands_implicit((Expr *) *quals);
	List *taken = NIL;
	List *left = NIL;
	ListCell *cell;

	foreach (cell, all)
	{
		if (may_take(lfirst(cell), rti))
			taken = lappend(taken, lfirst(cell));
		else
			left = lappend(left, lfirst(cell));
	}
	if (taken != NIL)
		*quals = left == NIL ? NULL : (Node *) make_ands_explicit(left);
	return taken;
}

static bool
may_take(Node *qual, int rti)
{
	Bitmapset *named = pull_varnos(NULL, qual);

	return bms_membership(named) == BMS_SINGLETON && bms_is_member(rti, named) &&
		   !checkExprHasSubLink(qual) && !contain_volatile_functions(qual) &&
		   !outer_walker(qual, NULL);
}

static bool
is_nullable_in(int rti, Node *item)
{
	return lift_is_nullable(rti, makeFromExpr(list_make1(item), NULL));
}

/* Does it name a column of a query around? */
static bool
outer_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return ((Var *) node)->varlevelsup > 0;
	return expression_tree_walker(node, outer_walker, context);
}

/*
 * Can an array of its values be sent and taken apart?  An array of arrays is one
 * of more dimensions, and rows of a type that a user made have other numbers
 * on other nodes.
 */
static bool
column_travels(Node *expr)
{
	Oid type = exprType(expr);
	Oid collation = exprCollation(expr);
	char kind = get_typtype(type);

	return (kind == TYPTYPE_BASE || kind == TYPTYPE_ENUM || kind == TYPTYPE_RANGE ||
			kind == TYPTYPE_MULTIRANGE) &&
		   OidIsValid(get_array_type(type)) && !OidIsValid(get_element_type(type)) &&
		   type != INT2VECTOROID && type != OIDVECTOROID &&
		   (!OidIsValid(collation) || lift_builtin(collation));
}

/* --- a query without them ---------------------------------------------- */

/*
 * The query with what is in "ships" read from elsewhere; with "pretend" what is
 * sorted out is read from the table that it is split like.
 */
static Query *
replace(Query *query, List *units, Bitmapset *ships, bool pretend)
{
	Walk walk = {.units = units,
				 .replaces = true,
				 .ships = ships,
				 .pretends = pretend,
				 .query = copyObject(query)};

	visit_query(walk.query, &walk);
	walk.query->cteList = NIL;
	walk.query->hasRecursive = false;
	return walk.query;
}

/* The relation keeps its columns and their numbers; those that nobody needs are null. */
static void
put_in_place(RangeTblEntry *rte, Unit *unit, Walk *walk)
{
	List *names;
	List *columns;
	List *exprs = NIL;
	ListCell *name;
	ListCell *column;
	int number = 0;

	compat_expand_rte(rte, 1, 0, -1, true, &names, &columns);
	forboth (name, names, column, columns)
	{
		Node *expr = lfirst(column);
		Oid type = exprType(expr);
		int place = 0;
		ListCell *cell;

		number++;
		foreach (cell, unit->columns)
		{
			if (lfirst_int(cell) == number)
				place = foreach_current_index(cell) + 1;
		}
		if (place != 0)
			expr = (Node *) makeVar(1, place, type, exprTypmod(expr), exprCollation(expr), 0);
		else
			expr = (Node *) makeNullConst(lift_builtin(type) && type != RECORDOID ? type : INT4OID,
										  -1, InvalidOid);
		exprs = lappend(exprs, expr);
		if (strVal(lfirst(name))[0] == '\0')
			lfirst(name) = makeString(psprintf("dropped_%d", number));
	}
	rte->subquery = walk->pretends && unit->part > 0
						? pretended_query(unit, names, exprs)
						: query_of_rows(unit, walk->depth, names, exprs);
	rte->rtekind = RTE_SUBQUERY;
	rte->relid = InvalidOid;
	rte->relkind = 0;
	rte->rellockmode = 0;
	rte->tablesample = NULL;
	rte->functions = NIL;
	rte->funcordinality = false;
	rte->tablefunc = NULL;
	rte->values_lists = NIL;
	rte->ctename = NULL;
	rte->ctelevelsup = 0;
	rte->enrname = NULL;
	rte->coltypes = rte->coltypmods = rte->colcollations = NIL;
	rte->inh = false;
	rte->lateral = false;
	rte->security_barrier = false;
	rte->alias = makeAlias(rte->eref->aliasname, NIL);
	rte->eref = makeAlias(rte->eref->aliasname, names);
}

/* SELECT columns FROM the rows, "depth" + 1 below the query that is replaced. */
static Query *
query_of_rows(Unit *unit, int depth, List *names, List *columns)
{
	CommonTableExpr *cte = make_cte(rows_name(unit->number), unit->rows);
	Query *query = select_from(cte_relation(cte, depth + 1 + BELOW_UNION));
	ListCell *name;
	ListCell *column;

	forboth (name, names, column, columns)
		query->targetList = lappend(
			query->targetList, makeTargetEntry(lfirst(column), list_length(query->targetList) + 1,
											   pstrdup(strVal(lfirst(name))), false));
	return query;
}

/*
 * The same with the distribution column of a table in place of the column that
 * the rows are sorted out by, and nothing in place of the others: so it is
 * seen where they may go.  finish_parts puts the rows there.
 */
static Query *
pretended_query(Unit *unit, List *names, List *columns)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	Relation relation = RelationIdGetRelation(unit->like->relid);
	TupleDesc desc = RelationGetDescr(relation);
	Query *query;
	ListCell *name;
	ListCell *column;

	rte->rtekind = RTE_RELATION;
	rte->relid = unit->like->relid;
	rte->relkind = relation->rd_rel->relkind;
	rte->rellockmode = AccessShareLock;
	rte->inh = true;
	rte->inFromCl = true;
	rte->ctename = rows_name(unit->number);
	rte->alias = makeAlias("rows", NIL);
	rte->eref = makeAlias("rows", NIL);
	for (int i = 0; i < desc->natts; i++)
		rte->eref->colnames = lappend(
			rte->eref->colnames, makeString(pstrdup(NameStr(TupleDescAttr(desc, i)->attname))));
	RelationClose(relation);
	query = select_from(rte);
	forboth (name, names, column, columns)
	{
		Node *expr = lfirst(column);
		TargetEntry *tle;

		if (IsA(expr, Var) && ((Var *) expr)->varattno == unit->part)
			expr = (Node *) makeVar(1, unit->like->key, exprType(expr), exprTypmod(expr),
									exprCollation(expr), 0);
		else if (IsA(expr, Var))
			expr = (Node *) makeNullConst(exprType(expr), exprTypmod(expr), exprCollation(expr));
		tle = makeTargetEntry((Expr *) expr, list_length(query->targetList) + 1,
							  pstrdup(strVal(lfirst(name))), false);

		/* Which of the columns it is. */
		tle->resorigcol = IsA(lfirst(column), Var) ? ((Var *) lfirst(column))->varattno : 0;
		query->targetList = lappend(query->targetList, tle);
	}
	return query;
}

static char *
rows_name(int number)
{
	return psprintf("shipped %d", number + 1);
}

static char *
arrays_name(Unit *unit)
{
	return psprintf("shipped %d %s", unit->number + 1,
					unit->part > 0 ? "by shard" : "to each shard");
}

/* SELECT FROM the relation, without columns yet. */
static Query *
select_from(RangeTblEntry *rte)
{
	Query *query = makeNode(Query);
	RangeTblRef *ref = makeNode(RangeTblRef);

	ref->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = list_make1(rte);
	query->jointree = makeFromExpr(list_make1(ref), NULL);
	return query;
}

static CommonTableExpr *
make_cte(char *name, Query *query)
{
	CommonTableExpr *cte = makeNode(CommonTableExpr);
	ListCell *cell;

	cte->ctename = name;
	cte->ctematerialized = CTEMaterializeAlways;
	cte->ctequery = (Node *) query;
	cte->location = -1;
	cte->cterefcount = 2;
	foreach (cell, query->targetList)
	{
		TargetEntry *tle = lfirst(cell);
		Node *expr = (Node *) tle->expr;

		if (tle->resjunk)
			continue;
		cte->ctecolnames = lappend(cte->ctecolnames,
								   makeString(tle->resname ? pstrdup(tle->resname) : "?column?"));
		cte->ctecoltypes = lappend_oid(cte->ctecoltypes, exprType(expr));
		cte->ctecoltypmods = lappend_int(cte->ctecoltypmods, exprTypmod(expr));
		cte->ctecolcollations = lappend_oid(cte->ctecolcollations, exprCollation(expr));
	}
	return cte;
}

static RangeTblEntry *
cte_relation(CommonTableExpr *cte, int levels)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	rte->rtekind = RTE_CTE;
	rte->ctename = pstrdup(cte->ctename);
	rte->ctelevelsup = levels;
	rte->coltypes = list_copy(cte->ctecoltypes);
	rte->coltypmods = list_copy(cte->ctecoltypmods);
	rte->colcollations = list_copy(cte->ctecolcollations);
	rte->alias = makeAlias("rows", NIL);
	rte->eref = makeAlias("rows", copyObject(cte->ctecolnames));
	rte->inFromCl = true;
	return rte;
}

/* --- what travels and what stays --------------------------------------- */

/*
 * Numbers of the relations that travel: all but one, and those that its shards
 * can join with it anyway; whichever way is the cheapest.  False when there is
 * none.
 */
static bool
choose(Query *query, List *units, Bitmapset **ships)
{
	List *sorted = list_copy(units);
	List *best = NIL;
	double cost = 0;
	ListCell *cell;
	ListCell *other;

	*ships = NULL;
	foreach (cell, units)
		estimate(lfirst(cell), query);
	list_sort(sorted, compare_units);
	foreach (cell, sorted)
	{
		Unit *anchor = lfirst(cell);
		Bitmapset *chosen;

		if (foreach_current_index(cell) >= MAX_ANCHORS)
			break;
		if (!anchor->may_stay || !choose_around(query, sorted, anchor, &chosen) ||
			(best != NIL && cost_of(query, units, chosen) >= cost))
			continue;
		cost = cost_of(query, units, chosen);
		*ships = chosen;
		best = NIL;
		foreach (other, units)
		{
			Unit *copy = palloc(sizeof(Unit));

			*copy = *(Unit *) lfirst(other);
			best = lappend(best, copy);
		}
	}
	forboth (cell, units, other, best)
		*(Unit *) lfirst(cell) = *(Unit *) lfirst(other);
	return !bms_is_empty(*ships);
}

/* The same when one stays for certain; sets how the others travel. */
static bool
choose_around(Query *query, List *sorted, Unit *anchor, Bitmapset **ships)
{
	const DistributedTable *like = metadata_table(anchor->relid);
	List *units = list_copy(sorted);
	bool fits;
	ListCell *cell;

	list_sort(units, compare_numbers);
	*ships = NULL;
	foreach (cell, units)
	{
		((Unit *) lfirst(cell))->part = 0;
		*ships = bms_add_member(*ships, ((Unit *) lfirst(cell))->number);
	}
	*ships = bms_del_member(*ships, anchor->number);
	fits = may_anchor(query, units, *ships);
	foreach (cell, sorted)
	{
		Unit *unit = lfirst(cell);
		Bitmapset *fewer = bms_del_member(bms_copy(*ships), unit->number);

		if (unit != anchor && unit->may_stay && may_anchor(query, units, fewer))
		{
			*ships = fewer;
			fits = true;
		}
	}
	foreach (cell, sorted)
	{
		Unit *unit = lfirst(cell);

		if (!bms_is_member(unit->number, *ships))
			continue;
		if (unit->rows == NULL)
			return false;
		if (like != NULL && choose_part(query, units, *ships, unit, like))
			fits = true;
	}
	return fits;
}

/* Finds the column by which rows can be sent to their shards only. */
static bool
choose_part(Query *query, List *units, Bitmapset *ships, Unit *unit, const DistributedTable *like)
{
	int column = 0;
	ListCell *cell;

	if (config_max_exchanged_size == 0)
		return false;
	unit->like = like;
	foreach (cell, unit->rows->targetList)
	{
		TargetEntry *tle = lfirst(cell);

		if (tle->resjunk)
			continue;
		column++;
		unit->hash = hash_for(like, exprType((Node *) tle->expr));
		if (!OidIsValid(unit->hash))
			continue;
		unit->part = column;
		if (may_anchor(query, units, ships))
			return true;
	}
	unit->part = 0;
	return false;
}

/* The function that hashes the type as the table's column is; InvalidOid if there is none. */
static Oid
hash_for(const DistributedTable *like, Oid type)
{
	Oid hash = pin_hash_function(like->key_type, type);

	if (!OidIsValid(hash) && IsBinaryCoercible(type, like->key_type))
		hash = pin_hash_function(like->key_type, like->key_type);
	return hash;
}

/* A table in it that is split. */
static bool
find_split(Node *node, Oid *relid)
{
	*relid = InvalidOid;
	if (IsA(node, Query))
		return split_walker(node, relid);
	return range_table_walker((List *) node, split_walker, relid, QTW_EXAMINE_RTES_BEFORE);
}

static bool
split_walker(Node *node, void *context)
{
	Oid *relid = context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;
		const DistributedTable *table =
			rte->rtekind == RTE_RELATION ? metadata_table(rte->relid) : NULL;

		if (table != NULL && table->kind == TABLE_HASH)
			*relid = rte->relid;
		return OidIsValid(*relid);
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, split_walker, context,
								 QTW_EXAMINE_RTES_BEFORE | QTW_IGNORE_JOINALIASES);
	return expression_tree_walker(node, split_walker, context);
}

static int
compare_numbers(const ListCell *a, const ListCell *b)
{
	return ((const Unit *) lfirst(a))->number - ((const Unit *) lfirst(b))->number;
}

/* Largest first, and before them those that cannot travel. */
static int
compare_units(const ListCell *a, const ListCell *b)
{
	const Unit *one = lfirst(a);
	const Unit *other = lfirst(b);

	if ((one->rows == NULL) != (other->rows == NULL))
		return one->rows == NULL ? -1 : 1;
	if (one->bytes != other->bytes)
		return one->bytes > other->bytes ? -1 : 1;
	return one->number - other->number;
}

/* Would the shards of what stays be able to answer? */
static bool
may_anchor(Query *query, List *units, Bitmapset *ships)
{
	Pin pin = {0};
	ListCell *cell;

	/* What cannot be replaced is not looked at again. */
	foreach (cell, units)
	{
		if (((Unit *) lfirst(cell))->rows == NULL)
			ships = bms_del_member(bms_copy(ships), ((Unit *) lfirst(cell))->number);
	}
	return pin_to_join(replace(query, units, ships, true), &pin);
}

static void
estimate(Unit *unit, Query *query)
{
	PlanRequest request = {.source = ""};
	int width;

	if (unit->rows == NULL)
		return;
	request.query = copyObject(unit->rows);
	if (unit->from_cte)
	{
		request.query->cteList = copyObject(query->cteList);
		request.query->hasRecursive = query->hasRecursive;
		linitial_node(RangeTblEntry, request.query->rtable)->ctelevelsup = 0;
	}
	unit->count = by_table_estimate_size(&request, &width);

	/* Each value has its length beside it. */
	unit->bytes = unit->count * (width + 4.0 * list_length(unit->rows->targetList));
}

/*
 * In bytes that are sent: what travels is fetched first, and then each shard is
 * sent all of it, or its part.
 */
static double
cost_of(Query *query, List *units, Bitmapset *ships)
{
	double cost = 0;
	int shards = count_shards(query);
	ListCell *cell;

	foreach (cell, units)
	{
		Unit *unit = lfirst(cell);

		if (!bms_is_member(unit->number, ships))
			continue;
		cost += unit->bytes + unit->count * ROW_COST;
		if (unit->part > 0)
			cost += unit->bytes + unit->count * PART_COST;
		else
			cost += (unit->bytes + unit->count * EACH_COST) * shards;
	}
	return cost;
}

/* Does less travel than if the rows of all were fetched? */
static bool
pays(Query *query, List *units, Bitmapset *ships, char **why)
{
	PlanRequest request = {.query = copyObject(query), .source = ""};
	double all = 0;
	int width;
	double result;
	ListCell *cell;

	if (config_join_strategy != JOIN_AUTO)
		return true;
	foreach (cell, units)
	{
		Unit *unit = lfirst(cell);
		int limit = unit->part > 0 ? config_max_exchanged_size : config_max_shipped_size;

		all += unit->bytes + unit->count * ROW_COST;
		if (bms_is_member(unit->number, ships) && unit->bytes > limit * 1024.0)
		{
			*why = "A relation that would travel to the shards of another is too large.";
			return false;
		}
	}
	result = by_table_estimate_size(&request, &width);
	if (query->groupClause != NIL || query->hasAggs)
		result *= count_shards(query);
	if (cost_of(query, units, ships) + result * (width + ROW_COST) < all)
		return true;
	*why = "More would travel to the shards, and from there, than if rows of tables were fetched.";
	return false;
}

/* Of the first table that is split. */
static int
count_shards(Query *query)
{
	int shards = 1;

	(void) shards_walker((Node *) query, &shards);
	return shards;
}

static bool
shards_walker(Node *node, void *context)
{
	int *shards = context;
	ListCell *cell;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, shards_walker, context);
	foreach (cell, ((Query *) node)->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);
		const DistributedTable *table =
			rte->rtekind == RTE_RELATION ? metadata_table(rte->relid) : NULL;

		if (table != NULL && table->kind == TABLE_HASH)
			*shards = Max(*shards, table->colocation->nshards);
	}
	return query_tree_walker((Query *) node, shards_walker, context, QTW_IGNORE_JOINALIASES);
}

/* --- arrays ------------------------------------------------------------ */

typedef struct Arrays
{
	List *units;
	Bitmapset *ships;
	int depth; /* of where the walk is, below the query that is replaced */
	bool found;
} Arrays;

/* A piece whose parts are put in. */
typedef struct Parts
{
	List *units;
	Lift lift; /* with the parameters of the piece */
} Parts;

/* What travels becomes a function over parameters, wherever it is read. */
static void
as_arrays(Query *query, List *units, Bitmapset *ships)
{
	Arrays arrays = {.units = units, .ships = ships, .depth = -1};

	(void) arrays_walker((Node *) query, &arrays);
}

static bool
arrays_walker(Node *node, void *context)
{
	Arrays *arrays = context;
	int number = -1;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		arrays->depth++;
		(void) query_tree_walker((Query *) node, arrays_walker, context,
								 QTW_EXAMINE_RTES_BEFORE | QTW_IGNORE_JOINALIASES);
		arrays->depth--;
		return false;
	}
	if (!IsA(node, RangeTblEntry))
		return expression_tree_walker(node, arrays_walker, context);
	while ((number = bms_next_member(arrays->ships, number)) >= 0)
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;
		Unit *unit = list_nth(arrays->units, number);

		if (rte->rtekind != RTE_CTE || (int) rte->ctelevelsup != arrays->depth + BELOW_UNION ||
			strcmp(rte->ctename, rows_name(number)) != 0)
			continue;
		rte->rtekind = RTE_FUNCTION;
		rte->ctename = NULL;
		rte->ctelevelsup = 0;
		for (int column = 0; column < list_length(rte->coltypes); column++)
			rte->functions =
				lappend(rte->functions, unnest((Node *) array_param(unit, column),
											   list_nth_oid(rte->coltypes, column),
											   list_nth_oid(rte->colcollations, column)));
		rte->coltypes = rte->coltypmods = rte->colcollations = NIL;
	}
	return false;
}

static RangeTblFunction *
unnest(Node *array, Oid type, Oid collation)
{
	RangeTblFunction *function = makeNode(RangeTblFunction);
	FuncExpr *call = makeFuncExpr(F_UNNEST_ANYARRAY, type, list_make1(array), collation, collation,
								  COERCE_EXPLICIT_CALL);

	call->funcretset = true;
	function->funcexpr = (Node *) call;
	function->funccolcount = 1;
	return function;
}

/*
 * Puts the rows in place of the tables that the piece was found with: more
 * parameters of its SQL, which are others for each shard.  False, with "why",
 * when their types cannot travel.
 */
static bool
finish_parts(Query *merge, PieceSet *set, List *units, char **why)
{
	Piece *piece = llast(set->pieces);
	RangeTblEntry *rte = linitial(merge->rtable);
	Parts parts = {.units = units};
	FuncExpr *call = (FuncExpr *) linitial_node(RangeTblFunction, rte->functions)->funcexpr;

	/* The arguments before the parameters stay. */
	parts.lift.params = list_copy_tail(call->args, PIECE_FIRST_PARAM);
	(void) parts_walker((Node *) piece->remote, &parts);
	call->args = list_concat(list_truncate(call->args, PIECE_FIRST_PARAM), parts.lift.params);
	*why = parts.lift.why;
	return *why == NULL;
}

static bool
parts_walker(Node *node, void *context)
{
	Parts *parts = context;
	Query *query = (Query *) node;
	Unit *unit = NULL;
	RangeTblEntry *rte;
	ListCell *cell;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, parts_walker, context);
	rte = query->rtable == NIL ? NULL : linitial(query->rtable);
	foreach (cell, parts->units)
	{
		Unit *candidate = lfirst(cell);

		if (rte != NULL && rte->rtekind == RTE_RELATION && rte->ctename != NULL &&
			strcmp(rte->ctename, rows_name(candidate->number)) == 0)
			unit = candidate;
	}
	if (unit == NULL)
		return query_tree_walker(query, parts_walker, context, QTW_IGNORE_JOINALIASES);
	rte = cte_relation(make_cte(rows_name(unit->number), unit->rows), 0);
	linitial(query->rtable) = rte;
	rte->rtekind = RTE_FUNCTION;
	rte->ctename = NULL;
	for (int column = 0; column < list_length(rte->coltypes); column++)
	{
		Param *value = array_param(unit, column);
		Node *array;

		array = lift_as_param((Expr *) value, &parts->lift);
		rte->functions = lappend(rte->functions, unnest(array, list_nth_oid(rte->coltypes, column),
														list_nth_oid(rte->colcollations, column)));
	}
	rte->coltypes = rte->coltypmods = rte->colcollations = NIL;
	foreach (cell, query->targetList)
	{
		TargetEntry *tle = lfirst(cell);
		Node *expr = (Node *) tle->expr;

		if (tle->resorigcol > 0)
			tle->expr = (Expr *) makeVar(1, tle->resorigcol, exprType(expr), exprTypmod(expr),
										 exprCollation(expr), 0);
		tle->resorigcol = 0;
	}
	return false;
}

/* Stands for an array until a query has been cut. */
static Param *
array_param(Unit *unit, int column)
{
	TargetEntry *tle = NULL;
	Param *param = makeNode(Param);
	int place = 0;
	ListCell *cell;

	foreach (cell, unit->rows->targetList)
	{
		if (!((TargetEntry *) lfirst(cell))->resjunk && place++ == column)
			tle = lfirst(cell);
	}
	param->paramkind = PARAM_EXTERN;
	param->paramid = FIRST_SHIPPED + unit->number * SHIPPED_COLUMNS + column;
	param->paramtype = get_array_type(exprType((Node *) tle->expr));
	param->paramtypmod = -1;
	param->paramcollid = exprCollation((Node *) tle->expr);
	param->location = -1;
	return param;
}

/* The arrays themselves in place of what stood for them. */
static Node *
from_arrays(Node *node, void *context)
{
	Arrays *arrays = context;

	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
	{
		Query *query;
		bool found = arrays->found;

		arrays->found = false;
		arrays->depth++;
		query = query_tree_mutator((Query *) node, from_arrays, context, QTW_IGNORE_JOINALIASES);
		arrays->depth--;
		query->hasSubLinks |= arrays->found;
		arrays->found = found;
		return (Node *) query;
	}
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXTERN &&
		((Param *) node)->paramid >= FIRST_SHIPPED)
	{
		Param *param = (Param *) node;
		int number = (param->paramid - FIRST_SHIPPED) / SHIPPED_COLUMNS;
		int column = (param->paramid - FIRST_SHIPPED) % SHIPPED_COLUMNS;

		arrays->found = true;
		return shipped_column(list_nth(arrays->units, number), column, param->paramtype,
							  arrays->depth);
	}
	return expression_tree_mutator(node, from_arrays, context);
}

/* pgcluster.shipped((SELECT arrays), column, NULL::type), or a shard's part of it */
static Node *
shipped_column(Unit *unit, int column, Oid type, int levels)
{
	static const Oid types[] = {INTERNALOID, INT4OID, ANYARRAYOID, BOOLOID};
	Node *place = (Node *) makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(column),
									 false, true);
	List *args = list_make3(arrays_link(unit, levels), place,
							makeNullConst(type, -1, get_typcollation(type)));
	Oid function;

	if (unit->part > 0)
	{
		args = lappend(args, makeBoolConst(unit->inner, false));
		function = function_of_ours(SHARD_PART_NAME, 4, types);
	}
	else
		function = function_of_ours("shipped", 3, types);
	return (Node *) makeFuncExpr(function, type, args, get_typcollation(type), InvalidOid,
								 COERCE_EXPLICIT_CALL);
}

/* (SELECT arrays) in a query "levels" below the one that is replaced. */
static Node *
arrays_link(Unit *unit, int levels)
{
	SubLink *link = makeNode(SubLink);
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	Query *query;

	rte->rtekind = RTE_CTE;
	rte->ctename = arrays_name(unit);
	rte->ctelevelsup = levels + 1 + BELOW_UNION;
	rte->coltypes = list_make1_oid(INTERNALOID);
	rte->coltypmods = list_make1_int(-1);
	rte->colcollations = list_make1_oid(InvalidOid);
	rte->eref = makeAlias("arrays", list_make1(makeString("arrays")));
	rte->inFromCl = true;
	query = select_from(rte);
	query->targetList = list_make1(makeTargetEntry(
		(Expr *) makeVar(1, 1, INTERNALOID, -1, InvalidOid, 0), 1, pstrdup("arrays"), false));
	link->subLinkType = EXPR_SUBLINK;
	link->subselect = (Node *) query;
	link->location = -1;
	return (Node *) link;
}

void
ship_relations_note(ShardPlan *plan, List *params)
{
	static const Oid types[] = {INTERNALOID, INT4OID, ANYARRAYOID, BOOLOID};
	ListCell *cell;

	foreach (cell, params)
	{
		FuncExpr *call = lfirst(cell);
		int index = foreach_current_index(cell);

		if (!IsA(call, FuncExpr) || lift_builtin(call->funcid))
			continue;
		if (call->funcid == function_of_ours("shipped", 3, types))
			plan->ships = true;
		else if (call->funcid == function_of_ours(SHARD_PART_NAME, 4, types))
		{
			plan->ships = true;
			plan->parts = lappend_int(plan->parts, index);
			if (DatumGetBool(llast_node(Const, call->args)->constvalue))
				plan->needed_parts = lappend_int(plan->needed_parts, index);
		}
	}
}

static Oid
function_of_ours(const char *name, int nargs, const Oid *types)
{
	return LookupFuncName(list_make2(makeString("pgcluster"), makeString(pstrdup(name))), nargs,
						  types, false);
}

static Node *
make_oid(Oid oid)
{
	return (Node *) makeConst(OIDOID, -1, InvalidOid, sizeof(Oid), ObjectIdGetDatum(oid), false,
							  true);
}

/* SELECT pgcluster.ship(NULL, columns), or pgcluster.exchange(NULL, ..., columns), FROM the rows */
static Query *
arrays_query(Unit *unit)
{
	static const Oid types[] = {INTERNALOID, ANYOID};
	static const Oid part_types[] = {INTERNALOID, OIDOID, INT4OID, OIDOID, ANYOID};
	CommonTableExpr *cte = make_cte(rows_name(unit->number), unit->rows);
	Query *query = select_from(cte_relation(cte, 1));
	Aggref *aggregate = makeNode(Aggref);
	List *args = list_make1(makeNullConst(INTERNALOID, -1, InvalidOid));
	ListCell *type;
	ListCell *typmod;
	ListCell *collation;
	ListCell *cell;
	int number = 0;

	if (unit->part > 0)
	{
		aggregate->aggfnoid = function_of_ours("exchange", lengthof(part_types), part_types);
		args = lappend(args, make_oid(unit->like->relid));
		args = lappend(args, makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
									   Int32GetDatum(unit->part - 1), false, true));
		args = lappend(args, make_oid(unit->hash));
	}
	else
		aggregate->aggfnoid = function_of_ours("ship", lengthof(types), types);
	aggregate->aggtype = INTERNALOID;
	aggregate->aggkind = AGGKIND_NORMAL;
	aggregate->aggsplit = AGGSPLIT_SIMPLE;
	aggregate->aggno = aggregate->aggtransno = -1;
	aggregate->location = -1;
	forthree(type, cte->ctecoltypes, typmod, cte->ctecoltypmods, collation, cte->ctecolcollations)
		args = lappend(args, makeVar(1, ++number, lfirst_oid(type), lfirst_int(typmod),
									 lfirst_oid(collation), 0));
	foreach (cell, args)
	{
		aggregate->aggargtypes = lappend_oid(aggregate->aggargtypes, exprType(lfirst(cell)));
		aggregate->args =
			lappend(aggregate->args,
					makeTargetEntry(lfirst(cell), list_length(aggregate->args) + 1, NULL, false));
	}
	query->hasAggs = true;
	query->targetList =
		list_make1(makeTargetEntry((Expr *) aggregate, 1, pstrdup("arrays"), false));
	return query;
}

/* --- both ways, of which one is taken ---------------------------------- */

static Query *
alternatives(Query *query, Query *shipped, Query *here, List *units, Bitmapset *ships)
{
	Query *both = makeNode(Query);
	SetOperationStmt *operation = makeNode(SetOperationStmt);
	Arrays arrays = {.units = units, .ships = ships};
	Query *ways[2];
	int number = -1;
	ListCell *cell;

	shipped = query_tree_mutator(shipped, from_arrays, &arrays, QTW_IGNORE_JOINALIASES);
	shipped->hasSubLinks |= arrays.found;
	ways[0] = gated(shipped, units, ships, true);
	ways[1] = gated(here, units, ships, false);
	operation->op = SETOP_UNION;
	operation->all = true;
	for (int i = 0; i < 2; i++)
	{
		RangeTblEntry *rte = makeNode(RangeTblEntry);
		RangeTblRef *ref = makeNode(RangeTblRef);
		RangeTblEntry *inner = linitial(ways[i]->rtable);

		rte->rtekind = RTE_SUBQUERY;
		rte->subquery = ways[i];
		rte->alias = makeAlias(i == 0 ? "shipped" : "fetched", NIL);
		rte->eref = makeAlias(rte->alias->aliasname, copyObject(inner->eref->colnames));
		both->rtable = lappend(both->rtable, rte);
		ref->rtindex = i + 1;
		if (i == 0)
			operation->larg = (Node *) ref;
		else
			operation->rarg = (Node *) ref;
	}
	foreach (cell, query->targetList)
	{
		TargetEntry *from = lfirst(cell);
		Node *expr = (Node *) from->expr;
		int column = list_length(both->targetList) + 1;
		TargetEntry *tle;

		if (from->resjunk)
			continue;
		tle = makeTargetEntry(
			(Expr *) makeVar(1, column, exprType(expr), exprTypmod(expr), exprCollation(expr), 0),
			column, from->resname, false);
		tle->resorigtbl = from->resorigtbl;
		tle->resorigcol = from->resorigcol;
		both->targetList = lappend(both->targetList, tle);
		operation->colTypes = lappend_oid(operation->colTypes, exprType(expr));
		operation->colTypmods = lappend_int(operation->colTypmods, exprTypmod(expr));
		operation->colCollations = lappend_oid(operation->colCollations, exprCollation(expr));
	}
	both->commandType = CMD_SELECT;
	both->querySource = query->querySource;
	both->queryId = query->queryId;
	both->canSetTag = query->canSetTag;
	both->stmt_location = query->stmt_location;
	both->stmt_len = query->stmt_len;
	both->setOperations = (Node *) operation;
	both->jointree = makeFromExpr(NIL, NULL);
	both->hasRecursive = query->hasRecursive;
	both->cteList = copyObject(query->cteList);
	while ((number = bms_next_member(ships, number)) >= 0)
	{
		Unit *unit = list_nth(units, number);

		both->cteList = lappend(both->cteList, make_cte(rows_name(number), copyObject(unit->rows)));
		both->cteList = lappend(both->cteList, make_cte(arrays_name(unit), arrays_query(unit)));
	}
	return both;
}

/* SELECT what the query gives WHERE all arrays fit, or not all */
static Query *
gated(Query *query, List *units, Bitmapset *ships, bool fits)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	Query *gate;
	List *tests = NIL;
	List *names = NIL;
	List *columns = NIL;
	int number = -1;
	ListCell *cell;

	while ((number = bms_next_member(ships, number)) >= 0)
	{
		NullTest *test = makeNode(NullTest);

		/* In the query around: one level less. */
		test->arg = (Expr *) arrays_link(list_nth(units, number), -1);
		test->nulltesttype = fits ? IS_NOT_NULL : IS_NULL;
		test->location = -1;
		tests = lappend(tests, test);
	}
	foreach (cell, query->targetList)
	{
		TargetEntry *tle = lfirst(cell);
		Node *expr = (Node *) tle->expr;
		int column = list_length(columns) + 1;
		char *name = tle->resname ? pstrdup(tle->resname) : "?column?";

		if (tle->resjunk)
			continue;
		names = lappend(names, makeString(name));
		columns = lappend(
			columns, makeTargetEntry((Expr *) makeVar(1, column, exprType(expr), exprTypmod(expr),
													  exprCollation(expr), 0),
									 column, pstrdup(name), false));
	}
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = query;
	rte->alias = makeAlias("way", NIL);
	rte->eref = makeAlias("way", names);
	rte->inFromCl = true;
	gate = select_from(rte);
	gate->targetList = columns;
	gate->hasSubLinks = true;
	gate->jointree->quals = (Node *) (fits ? make_andclause(tests) : make_orclause(tests));
	if (list_length(tests) == 1)
		gate->jointree->quals = linitial(tests);
	return gate;
}
