/*-------------------------------------------------------------------------
 * order.c
 *	  Scans whose rows come sorted from the nodes.
 *
 * A node is sent one statement for all its shards, which sorts their rows (it
 * has the indexes, and more than one processor), and what the nodes give is
 * merged as it comes.  Here is decided by which columns that may be, and what
 * it costs; whether it pays is for the server's planner to say, which has the
 * sorted path beside the other one for ORDER BY, GROUP BY, DISTINCT, windows
 * and merge joins.
 *
 * What must stay true: a node sorts as this server would.  So only types are
 * sorted by that are built in and whose order depends on nothing but, perhaps,
 * a collation; whether that is the same there is looked at by the executor.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "shard/metadata/metadata.h"
#include "shard/planner/lift.h"
#include "shard/planner/order.h"

static Var *sort_column(PlannerInfo *root, RelOptInfo *rel, PathKey *key, Oid *sort_operator);
static bool sorts_alike(Oid type);
static bool is_usual(Oid sort_operator, Oid type);
static List *sortable_prefix(PlannerInfo *root, RelOptInfo *rel, List *keys);
static List *merge_orders(PlannerInfo *root, RelOptInfo *rel);
static List *
add_merge_order(List *orders, PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *class);
static void add_sorted(PlannerInfo *root, RelOptInfo *rel, const CustomPath *unsorted, List *keys);

void
order_add_paths(PlannerInfo *root, RelOptInfo *rel, const CustomPath *unsorted)
{
	CustomPath base = *unsorted;
	List *wanted = sortable_prefix(root, rel, root->query_pathkeys);
	ListCell *cell;

	if (base.path.param_info != NULL)
		return;
	if (wanted != NIL)
		add_sorted(root, rel, &base, wanted);
	foreach (cell, merge_orders(root, rel))
	{
		if (compare_pathkeys(lfirst(cell), wanted) == PATHKEYS_DIFFERENT)
			add_sorted(root, rel, &base, lfirst(cell));
	}
}

List *
order_note(PlannerInfo *root, CustomPath *path, ShardPlan *plan, List *columns)
{
	ListCell *cell;

	foreach (cell, path->path.pathkeys)
	{
		PathKey *key = lfirst(cell);
		Oid sort_operator;
		Var *column = sort_column(root, path->path.parent, key, &sort_operator);

		if (column == NULL)
			elog(ERROR, "column of a sorted scan not found");
		plan->sort_columns = lappend_int(plan->sort_columns, column->varattno);
		plan->sort_operators = lappend_oid(plan->sort_operators, sort_operator);
		plan->sort_collations = lappend_oid(plan->sort_collations, key->pk_eclass->ec_collation);
		plan->sort_nulls_first = lappend_int(plan->sort_nulls_first, key->pk_nulls_first);
		columns = list_append_unique_int(columns, column->varattno);
	}
	list_sort(columns, list_int_cmp);
	return columns;
}

/* The column that shards are to sort by for "key", and how; NULL if they cannot. */
static Var *
sort_column(PlannerInfo *root, RelOptInfo *rel, PathKey *key, Oid *sort_operator)
{
	EquivalenceClass *class = key->pk_eclass;
	EquivalenceMember *member = NULL;
	Expr *expr;
	Var *column;

	if (!class->ec_has_volatile)
		member = find_computable_ec_member(root, class, rel->reltarget->exprs, rel->relids, false);
	if (member == NULL)
		return NULL;
	expr = member->em_expr;
	while (IsA(expr, RelabelType))
		expr = ((RelabelType *) expr)->arg;
	column = (Var *) expr;
	if (!IsA(column, Var) || (Index) column->varno != rel->relid || column->varattno <= 0 ||
		column->varlevelsup != 0)
		return NULL;
	*sort_operator = get_opfamily_member(key->pk_opfamily, member->em_datatype, member->em_datatype,
										 compat_pathkey_strategy(key));
	if (!OidIsValid(*sort_operator) || !is_usual(*sort_operator, column->vartype) ||
		!sorts_alike(column->vartype) ||
		(type_is_collatable(column->vartype) && !OidIsValid(class->ec_collation)) ||
		(class->ec_collation != column->varcollid && !lift_collation_travels(class->ec_collation)))
		return NULL;
	return column;
}

/* Does the type sort in the same way on each node, but for collations? */
static bool
sorts_alike(Oid type)
{
	Oid base = getBaseType(type);
	Oid element = get_element_type(base);

	if (OidIsValid(element))
		return sorts_alike(element);
	if (!lift_builtin(base) || get_typtype(base) == TYPTYPE_PSEUDO || type_is_rowtype(base))
		return false;

	/* Names of objects sort by the oids that these have. */
	return base == OIDOID || lookup_type_cache(base, TYPECACHE_LT_OPR)->lt_opr !=
								 lookup_type_cache(OIDOID, TYPECACHE_LT_OPR)->lt_opr;
}

/* Only the operators that ASC and DESC stand for go by without being named. */
static bool
is_usual(Oid sort_operator, Oid type)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_LT_OPR | TYPECACHE_GT_OPR);

	return lift_builtin(sort_operator) &&
		   (sort_operator == entry->lt_opr || sort_operator == entry->gt_opr);
}

/* As many of the keys, from the first on, as shards can sort by. */
static List *
sortable_prefix(PlannerInfo *root, RelOptInfo *rel, List *keys)
{
	List *prefix = NIL;
	ListCell *cell;
	Oid sort_operator;

	foreach (cell, keys)
	{
		if (sort_column(root, rel, lfirst(cell), &sort_operator) == NULL)
			break;
		prefix = lappend(prefix, lfirst(cell));
	}
	return prefix;
}

/* Orders that a merge join with another relation could use, each a list of path keys. */
static List *
merge_orders(PlannerInfo *root, RelOptInfo *rel)
{
	List *orders = NIL;
	ListCell *cell;

	if (rel->has_eclass_joins)
	{
		foreach (cell, root->eq_classes)
		{
			if (eclass_useful_for_merging(root, lfirst(cell), rel))
				orders = add_merge_order(orders, root, rel, lfirst(cell));
		}
	}
	foreach (cell, rel->joininfo)
	{
		RestrictInfo *info = lfirst(cell);

		if (info->mergeopfamilies == NIL)
			continue;
		update_mergeclause_eclasses(root, info);
		orders = add_merge_order(orders, root, rel, info->left_ec);
		orders = add_merge_order(orders, root, rel, info->right_ec);
	}
	return orders;
}

static List *
add_merge_order(List *orders, PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *class)
{
	PathKey *key;
	Oid sort_operator;
	ListCell *cell;

	if (class->ec_has_volatile || class->ec_has_const)
		return orders;
	key = make_canonical_pathkey(root, class, linitial_oid(class->ec_opfamilies), COMPAT_SORT_LESS,
								 false);
	foreach (cell, orders)
	{
		if (linitial((List *) lfirst(cell)) == key)
			return orders;
	}
	if (sort_column(root, rel, key, &sort_operator) == NULL)
		return orders;
	return lappend(orders, list_make1(key));
}

/*
 * Nodes sort side by side, shards may have an index, and the first row comes
 * when all is sorted; what is left to do here is a comparison or two a row.
 */
static void
add_sorted(PlannerInfo *root, RelOptInfo *rel, const CustomPath *unsorted, List *keys)
{
	CustomPath *path = makeNode(CustomPath);
	double rows = Max(unsorted->path.rows, 2);
	int groups = Max(list_length(metadata_groups()), 1);
	Cost sorting = cpu_operator_cost * rows * log2(Max(rows / groups, 2)) / groups;

	memcpy(path, unsorted, sizeof(CustomPath));
	path->path.pathkeys = keys;
	path->path.startup_cost += sorting;
	path->path.total_cost += sorting + cpu_operator_cost * rows * log2(groups + 1);
	add_path(rel, &path->path);
}
