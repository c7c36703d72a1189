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

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parse_coerce.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"

#include "base/config.h"
#include "shard/metadata/metadata.h"
#include "shard/planner/by_table.h"
#include "shard/planner/exchange.h"
#include "shard/planner/pin.h"
#include "shard/planner/ship_relation.h"
#include "shard/planner/ship_units.h"
#include "shard/planner/statement.h"

/* What it costs to fetch a row, and to join it here, in bytes that are sent. */
#define ROW_COST 32.0

/* ... and to find out which shard it belongs to. */
#define PART_COST 8.0

/* ... and to join it at one more shard. */
#define EACH_COST 16.0

/* So many relations are tried as the one that stays. */
#define MAX_ANCHORS 6

static bool depends_walker(Node *node, void *context);
static bool is_candidate(Query *query, char **why);
static bool has_open_members(Node *node, void *context);
static bool odd_window_walker(Node *node, void *context);
static bool left_walker(Node *node, void *context);
static bool choose(Query *query, List *units, Bitmapset **ships);
static bool choose_around(Query *query, List *sorted, ShipUnit *anchor, Bitmapset **ships);
static bool choose_part(Query *query, List *units, Bitmapset *ships, ShipUnit *unit,
						const DistributedTable *like);
static int compare_numbers(const ListCell *a, const ListCell *b);
static int compare_units(const ListCell *a, const ListCell *b);
static bool may_anchor(Query *query, List *units, Bitmapset *ships);
static void estimate(ShipUnit *unit, Query *query);
static double cost_of(Query *query, List *units, Bitmapset *ships);
static bool pays(Query *query, List *units, Bitmapset *ships, char **why);
static int count_shards(Query *query);
static bool shards_walker(Node *node, void *context);

Query *
ship_relations(Query *query, PieceSet *set, char **why)
{
	List *units;
	Bitmapset *ships;
	Query *here;
	Query *shipped;
	Query *result;
	int depth = -1;
	char *no;
	ListCell *cell;

	query = statement_with_groups(query);
	if (!is_candidate(query, why))
		return NULL;
	units = ship_units_find(query);
	foreach (cell, units)
		estimate(lfirst(cell), query);
	if (config_join_strategy == JOIN_EXCHANGE)
		return exchange_relations(query, units, set, why);
	if (!choose(query, units, &ships))
	{
		if (list_length(units) < 2)
			return NULL;
		result = NULL;
		if (config_join_strategy == JOIN_AUTO)
			result = exchange_relations(query, units, set, why);
		if (result == NULL)
			*why = "No relation of it could travel to the shards of the others.";
		return result;
	}
	if (!pays(query, units, ships, why))
		return config_join_strategy == JOIN_AUTO ? exchange_relations(query, units, set, &no)
												 : NULL;
	here = ship_units_replace(query, units, ships, false);
	if (query->cteList != NIL && left_walker((Node *) here, &depth))
		return NULL;
	shipped = ship_units_replace(query, units, ships, true);
	ship_as_arrays(shipped, units, ships);
	shipped = piece_split(shipped, set, why);
	if (shipped == NULL || !ship_finish_parts(shipped, set, units, why))
		return NULL;
	result = ship_alternatives(query, shipped, here, units, ships);
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
	return !query_tree_walker(query, has_open_members, NULL, QTW_IGNORE_JOINALIASES) &&
		   !odd_window_walker((Node *) query, NULL);
}

/* Windows that nobody can plan, and nobody has to where a condition is never true. */
static bool
odd_window_walker(Node *node, void *context)
{
	ListCell *cell;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, odd_window_walker, context);
	foreach (cell, ((Query *) node)->windowClause)
	{
		WindowClause *window = lfirst_node(WindowClause, cell);

		if (!grouping_is_sortable(window->partitionClause) ||
			!grouping_is_sortable(window->orderClause))
			return true;
	}
	return query_tree_walker((Query *) node, odd_window_walker, context, QTW_IGNORE_JOINALIASES);
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
	list_sort(sorted, compare_units);
	foreach (cell, sorted)
	{
		ShipUnit *anchor = lfirst(cell);
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
			ShipUnit *copy = palloc(sizeof(ShipUnit));

			*copy = *(ShipUnit *) lfirst(other);
			best = lappend(best, copy);
		}
	}
	forboth (cell, units, other, best)
		*(ShipUnit *) lfirst(cell) = *(ShipUnit *) lfirst(other);
	return !bms_is_empty(*ships);
}

/* The same when one stays for certain; sets how the others travel. */
static bool
choose_around(Query *query, List *sorted, ShipUnit *anchor, Bitmapset **ships)
{
	const DistributedTable *like = metadata_table(anchor->relid);
	List *units = list_copy(sorted);
	bool fits;
	ListCell *cell;

	list_sort(units, compare_numbers);
	*ships = NULL;
	foreach (cell, units)
	{
		((ShipUnit *) lfirst(cell))->part = 0;
		*ships = bms_add_member(*ships, ((ShipUnit *) lfirst(cell))->number);
	}
	*ships = bms_del_member(*ships, anchor->number);
	fits = may_anchor(query, units, *ships);
	foreach (cell, sorted)
	{
		ShipUnit *unit = lfirst(cell);
		Bitmapset *fewer = bms_del_member(bms_copy(*ships), unit->number);

		if (unit != anchor && unit->may_stay && may_anchor(query, units, fewer))
		{
			*ships = fewer;
			fits = true;
		}
	}
	foreach (cell, sorted)
	{
		ShipUnit *unit = lfirst(cell);

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
choose_part(Query *query, List *units, Bitmapset *ships, ShipUnit *unit,
			const DistributedTable *like)
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
		unit->hash = ship_hash_for(like, exprType((Node *) tle->expr));
		if (!OidIsValid(unit->hash))
			continue;
		unit->part = column;
		if (may_anchor(query, units, ships))
			return true;
	}
	unit->part = 0;
	return false;
}

Oid
ship_hash_for(const DistributedTable *like, Oid type)
{
	Oid hash = pin_hash_function(like->key_type, type);

	if (!OidIsValid(hash) && IsBinaryCoercible(type, like->key_type))
		hash = pin_hash_function(like->key_type, like->key_type);
	return hash;
}


static int
compare_numbers(const ListCell *a, const ListCell *b)
{
	return ((const ShipUnit *) lfirst(a))->number - ((const ShipUnit *) lfirst(b))->number;
}

/* Largest first, and before them those that cannot travel. */
static int
compare_units(const ListCell *a, const ListCell *b)
{
	const ShipUnit *one = lfirst(a);
	const ShipUnit *other = lfirst(b);

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
		if (((ShipUnit *) lfirst(cell))->rows == NULL)
			ships = bms_del_member(bms_copy(ships), ((ShipUnit *) lfirst(cell))->number);
	}
	return pin_to_join(ship_units_replace(query, units, ships, true), &pin);
}

static void
estimate(ShipUnit *unit, Query *query)
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
		ShipUnit *unit = lfirst(cell);

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
		ShipUnit *unit = lfirst(cell);
		int limit = unit->part > 0 ? Min(config_max_exchanged_size, CONFIG_MAX_EXCHANGED_ARRAYS)
								   : config_max_shipped_size;

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
