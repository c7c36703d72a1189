/*-------------------------------------------------------------------------
 * ship.c
 *	  What of a scan's conditions and columns is the shards' business.
 *
 * A condition travels when it means the same on any node and nothing of it
 * is known only while the plan runs.  The value of a subquery that the plan
 * runs once, ahead, is no such thing: it goes along as a parameter.
 *
 * What must stay true: a condition of the user's never sees rows that a
 * policy or a security barrier hides.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "utils/lsyscache.h"

#include "shard/planner/lift.h"
#include "shard/planner/ship.h"

static Node *ship_clause(Ship *ship, RestrictInfo *info);
static bool foreign_walker(Node *node, void *context);
static bool is_computed_ahead(PlannerInfo *root, int paramid);
static bool point_at_relation(Node *node, void *context);
static Node *spell_collations(Node *node, void *context);

CustomPath *
ship_path(PlannerInfo *root, RelOptInfo *rel, const CustomPathMethods *methods, Cost startup,
		  Cost total)
{
	CustomPath *path = makeNode(CustomPath);

	rel->pathlist = NIL;
	rel->partial_pathlist = NIL;
	rel->consider_parallel = false;
	path->path.pathtype = T_CustomScan;
	path->path.parent = rel;
	path->path.pathtarget = rel->reltarget;
	path->path.param_info = get_baserel_parampathinfo(root, rel, rel->lateral_relids);
	path->path.rows = path->path.param_info ? path->path.param_info->ppi_rows : rel->rows;
	path->path.startup_cost = startup;
	path->path.total_cost = total;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->methods = methods;
	add_path(rel, &path->path);
	return path;
}

void
ship_clauses(Ship *ship, List *clauses)
{
	ListCell *cell;

	foreach (cell, clauses)
	{
		RestrictInfo *info = lfirst_node(RestrictInfo, cell);
		Node *clause;

		/* Conditions without columns are checked once, above the scan. */
		if (info->pseudoconstant)
			continue;
		clause = ship->rows_only ? NULL : ship_clause(ship, info);
		if (clause == NULL)
			ship->local = lappend(ship->local, info->clause);
		else
		{
			ship->shipped = lappend(ship->shipped, info->clause);
			(void) point_at_relation(clause, NULL);
			ship->remote = lappend(ship->remote, spell_collations(clause, NULL));
		}
	}
}

/*
 * The target list is not yet the one of the plan when a projection is put
 * into the scan later; the path knows all columns it may use.
 */
List *
ship_columns(CustomPath *path, List *tlist, List *local, int count, bool partitioned)
{
	Bitmapset *used = NULL;
	List *columns = NIL;
	int offset = FirstLowInvalidHeapAttributeNumber;
	Index rti = path->path.parent->relid;

	pull_varattnos((Node *) path->path.pathtarget->exprs, rti, &used);
	pull_varattnos((Node *) tlist, rti, &used);
	pull_varattnos((Node *) local, rti, &used);
	for (AttrNumber system = offset + 1; system < 0; system++)
	{
		/* Which partition a row is in is known where it lives. */
		if ((system != TableOidAttributeNumber || partitioned) &&
			bms_is_member(system - offset, used))
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("system columns of distributed tables are not supported here"),
							errdetail("The rows of the table live on other nodes."),
							errhint("Use the columns of the primary key.")));
	}
	for (AttrNumber column = 1; column <= count; column++)
	{
		if (bms_is_member(0 - offset, used) || bms_is_member(column - offset, used))
			columns = lappend_int(columns, column);
	}
	return columns;
}

/* The clause as it can be sent, or NULL. */
static Node *
ship_clause(Ship *ship, RestrictInfo *info)
{
	Lift attempt = {.params = list_copy(ship->params), .keeps_exec_params = true};
	Node *clause;

	/* A condition of the user's must not see rows that a policy hides. */
	if (info->security_level > ship->rel->baserestrict_min_security && !info->leakproof)
		return NULL;
	if (foreign_walker((Node *) info->clause, ship->root) ||
		!bms_is_subset(pull_varnos(ship->root, (Node *) info->clause), ship->rel->relids))
		return NULL;
	clause = lift_expr(copyObject((Node *) info->clause), &attempt);
	if (clause == NULL || contain_mutable_functions(clause))
		return NULL;
	ship->params = attempt.params;
	return clause;
}

/* Anything that another node may not know, or know differently. */
static bool
foreign_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var) &&
		(((Var *) node)->varattno <= 0 || type_is_rowtype(((Var *) node)->vartype)))
		return true;
	if (IsA(node, SubPlan) || IsA(node, AlternativeSubPlan) || IsA(node, PlaceHolderVar) ||
		IsA(node, ConvertRowtypeExpr))
		return true;

	/* No node can read a row without a type. */
	if (IsA(node, Const) &&
		(((Const *) node)->consttype == RECORDOID || ((Const *) node)->consttype == RECORDARRAYOID))
		return true;
	if (IsA(node, Param) && ((Param *) node)->paramkind != PARAM_EXTERN &&
		(((Param *) node)->paramkind != PARAM_EXEC ||
		 !is_computed_ahead(context, ((Param *) node)->paramid)))
		return true;
	if (!lift_builtin(exprInputCollation(node)))
		return true;
	return expression_tree_walker(node, foreign_walker, context);
}

/* Is it the result of a subquery that is run once? */
static bool
is_computed_ahead(PlannerInfo *root, int paramid)
{
	for (; root != NULL; root = root->parent_root)
	{
		ListCell *cell;

		foreach (cell, root->init_plans)
		{
			SubPlan *plan = lfirst(cell);

			if (plan->subLinkType != CTE_SUBLINK && list_member_int(plan->setParam, paramid))
				return true;
		}
	}
	return false;
}

/*
 * Makes all columns those of the first and only relation, also for the
 * deparser, which goes by how the user wrote them.
 */
static bool
point_at_relation(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var *var = (Var *) node;

		var->varno = var->varnosyn = 1;
		var->varattnosyn = var->varattno;
		return false;
	}
	return expression_tree_walker(node, point_at_relation, context);
}

/* The planner hides COLLATE in casts that the deparser does not show. */
static Node *
spell_collations(Node *node, void *context)
{
	RelabelType *relabel;
	Oid collation;

	if (node == NULL)
		return NULL;
	node = expression_tree_mutator(node, spell_collations, context);
	if (!IsA(node, RelabelType))
		return node;
	relabel = (RelabelType *) node;
	collation = relabel->resultcollid;
	if (OidIsValid(collation) && collation != exprCollation((Node *) relabel->arg) &&
		OidIsValid(exprCollation((Node *) relabel->arg)))
	{
		CollateExpr *collate = makeNode(CollateExpr);

		relabel->resultcollid = exprCollation((Node *) relabel->arg);
		collate->arg = (Expr *) relabel;
		collate->collOid = collation;
		collate->location = -1;
		return (Node *) collate;
	}
	return node;
}
