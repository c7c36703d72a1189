/*-------------------------------------------------------------------------
 * piece.c
 *	  The relation that a piece's rows are, and how it is scanned.
 *
 * To the server it is a function in FROM: its arguments are, after a number and
 * a null, the parameters of the SQL for shards, so that the server plans them (a subquery that gives
 * one value is run once, ahead), and its columns those of the SQL.  The only
 * path to it is a scan of ours.  Conditions that the server moves down to the
 * relation travel on to the shards, and columns that nobody needs stay there.
 *
 * What must stay true: the function is never called.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "parser/parse_func.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "shard/metadata/metadata.h"
#include "shard/planner/by_table.h"
#include "shard/planner/order.h"
#include "shard/planner/prune.h"
#include "shard/planner/ship.h"
#include "shard/planner/ship_relation.h"
#include "shard/planner/statement.h"
#include "shard/planner/template.h"

#define SHARDS_NAME "shards"

/* Cost of asking one node, in units of the planner: about a round trip. */
#define TASK_COST 100.0

static set_rel_pathlist_hook_type prev_pathlist = NULL;

/* Those of the query that is being planned. */
static PieceSet *current = NULL;

static void pgcluster_pathlist(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte);
static Piece *piece_of(RangeTblEntry *rte);
static Oid shards_function(void);
static bool is_sortable(Piece *piece, RangeTblEntry *rte);
static Plan *plan_shards(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
						 List *clauses, List *custom_plans);
static List *all_columns(RelOptInfo *rel, RangeTblEntry *rte);
static Query *wrap(Piece *piece, List *columns, List *quals);
static bool needs_wrapping(Piece *piece, List *columns, List *quals);
static void prune_by_output(ShardPlan *plan, Piece *piece, Index rti, Expr *clause);

PGCLUSTER_FUNCTION(pgcluster_shards);

static const CustomPathMethods path_methods = {
	.CustomName = "pgcluster shards",
	.PlanCustomPath = plan_shards,
};

void
piece_init(void)
{
	prev_pathlist = set_rel_pathlist_hook;
	set_rel_pathlist_hook = pgcluster_pathlist;
}

/* pgcluster.shards(integer, VARIADIC "any"): stands in plans, and is taken out of them. */
Datum
pgcluster_shards(PG_FUNCTION_ARGS)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("function pgcluster.shards is for the planner only")));
	PG_RETURN_NULL();
}

RangeTblEntry *
piece_relation(Piece *piece, List *params, PieceSet *set)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblFunction *function = makeNode(RangeTblFunction);
	Const *number;
	List *names = NIL;
	ListCell *cell;

	set->pieces = lappend(set->pieces, piece);
	number = makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
					   Int32GetDatum(list_length(set->pieces)), false, true);
	foreach (cell, piece->targets)
	{
		TargetEntry *tle = lfirst(cell);
		Node *expr = (Node *) tle->expr;

		names = lappend(names, makeString(tle->resname ? tle->resname : "?column?"));
		function->funccoltypes = lappend_oid(function->funccoltypes, exprType(expr));
		function->funccoltypmods = lappend_int(function->funccoltypmods, exprTypmod(expr));
		function->funccolcollations = lappend_oid(function->funccolcollations, exprCollation(expr));
	}
	function->funcexpr = (Node *) makeFuncExpr(
		shards_function(), RECORDOID,
		list_concat(list_make2(number, makeNullConst(INT4OID, -1, InvalidOid)), params), InvalidOid,
		InvalidOid, COERCE_EXPLICIT_CALL);
	((FuncExpr *) function->funcexpr)->funcretset = true;
	function->funccolcount = list_length(names);
	function->funccolnames = names;
	rte->rtekind = RTE_FUNCTION;
	rte->functions = list_make1(function);
	rte->eref = makeAlias(SHARDS_NAME, copyObject(names));
	rte->inFromCl = true;
	return rte;
}

PlannedStmt *
piece_plan(const PlanRequest *request, Query *query, PieceSet *set)
{
	PieceSet *outer = current;
	PlannedStmt *statement = NULL;
	ListCell *cell;

	PG_TRY();
	{
		current = set;
		by_table_take_whole(query);
		statement = planner_server(request, query);
	}
	PG_FINALLY();
	{
		current = outer;
	}
	PG_END_TRY();
	foreach (cell, set->replaced)
		statement_keep_relations(statement, lfirst(cell));
	return statement;
}

static Oid
shards_function(void)
{
	Oid types[] = {INT4OID, ANYOID};

	return LookupFuncName(list_make2(makeString("pgcluster"), makeString(SHARDS_NAME)), 2, types,
						  false);
}

/* The piece that a relation stands for, or NULL. */
static Piece *
piece_of(RangeTblEntry *rte)
{
	FuncExpr *call;
	int number;

	if (current == NULL || rte->rtekind != RTE_FUNCTION || list_length(rte->functions) != 1)
		return NULL;
	call = (FuncExpr *) linitial_node(RangeTblFunction, rte->functions)->funcexpr;
	if (!IsA(call, FuncExpr) || lift_builtin(call->funcid) || call->funcid != shards_function())
		return NULL;
	number = DatumGetInt32(linitial_node(Const, call->args)->constvalue);
	if (number < 1 || number > list_length(current->pieces))
		elog(ERROR, "there is no piece %d in the query", number);
	return list_nth(current->pieces, number - 1);
}

static void
pgcluster_pathlist(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	Piece *piece = piece_of(rte);

	if (piece != NULL && !IS_DUMMY_REL(rel))
	{
		CustomPath *path;

		rel->tuples = piece->rows;
		set_baserel_size_estimates(root, rel);
		path = ship_path(root, rel, &path_methods, TASK_COST,
						 TASK_COST + 2 * cpu_tuple_cost * rel->rows);
		if (is_sortable(piece, rte))
			order_add_paths(root, rel, path);
	}
	if (prev_pathlist)
		prev_pathlist(root, rel, rti, rte);
}

/*
 * Can the SQL for several shards be that of one statement?  Not where it
 * locks rows, has parameters for each shard, or rows of tables as values,
 * which are of another type on each.
 */
static bool
is_sortable(Piece *piece, RangeTblEntry *rte)
{
	RangeTblFunction *function = linitial_node(RangeTblFunction, rte->functions);
	ShardPlan *plan = shard_plan_create(TIER_PUSHDOWN, CMD_SELECT, piece->table->relid);
	ListCell *cell;

	ship_relations_note(plan,
						list_copy_tail(((FuncExpr *) function->funcexpr)->args, PIECE_FIRST_PARAM));
	if (plan->ships || piece->plan->writes)
		return false;
	foreach (cell, function->funccoltypes)
	{
		Oid type = getBaseType(lfirst_oid(cell));
		Oid element = get_element_type(type);

		if (OidIsValid(element))
			type = getBaseType(element);
		if (type_is_rowtype(type) || get_typtype(type) == TYPTYPE_PSEUDO)
			return false;
	}
	return true;
}

static Plan *
plan_shards(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist, List *clauses,
			List *custom_plans)
{
	RangeTblEntry *rte = planner_rt_fetch(rel->relid, root);
	RangeTblFunction *function = linitial_node(RangeTblFunction, rte->functions);
	Piece *piece = piece_of(rte);
	CustomScan *scan = makeNode(CustomScan);
	ShardPlan *plan = copyObject(piece->plan);
	List *params = list_copy_tail(((FuncExpr *) function->funcexpr)->args, PIECE_FIRST_PARAM);
	Ship ship = {.root = root, .rel = rel, .params = params};
	List *columns;
	ListCell *cell;

	ship_clauses(&ship, clauses);
	foreach (cell, ship.shipped)
		prune_by_output(plan, piece, rel->relid, lfirst(cell));
	columns = ship_columns(path, tlist, ship.local, list_length(rte->eref->colnames), false);
	columns = order_note(root, path, plan, columns);
	if (needs_wrapping(piece, columns, ship.remote))
	{
		plan->some_columns = true;
		plan->columns = columns;
		template_make(wrap(piece, columns, ship.remote), plan);
	}
	else
		template_make(copyObject(piece->remote), plan);
	plan->refusals = copyObject(current->refusals);
	scan->custom_scan_tlist = all_columns(rel, rte);
	scan->scan.plan.targetlist = tlist;
	scan->scan.plan.qual = ship.local;
	scan->flags = path->flags;
	scan->custom_private = list_make1(plan);
	scan->custom_exprs = ship.params;
	ship_relations_note(plan, ship.params);
	scan->custom_relids = bms_make_singleton(rel->relid);
	scan->methods = &shard_scan_methods;
	return &scan->scan.plan;
}

/* The columns of the relation, as what the scan gives. */
static List *
all_columns(RelOptInfo *rel, RangeTblEntry *rte)
{
	RangeTblFunction *function = linitial_node(RangeTblFunction, rte->functions);
	List *columns = NIL;
	int column = 0;
	ListCell *name;

	foreach (name, rte->eref->colnames)
	{
		Var *var = makeVar(rel->relid, column + 1, list_nth_oid(function->funccoltypes, column),
						   list_nth_int(function->funccoltypmods, column),
						   list_nth_oid(function->funccolcollations, column), 0);

		column++;
		columns = lappend(
			columns, makeTargetEntry((Expr *) var, column, pstrdup(strVal(lfirst(name))), false));
	}
	return columns;
}

static bool
needs_wrapping(Piece *piece, List *columns, List *quals)
{
	return quals != NIL || list_length(columns) < list_length(piece->targets);
}

/* SELECT columns FROM (the piece) WHERE quals */
static Query *
wrap(Piece *piece, List *columns, List *quals)
{
	Query *query = makeNode(Query);
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblRef *ref = makeNode(RangeTblRef);
	List *names = NIL;
	ListCell *cell;

	foreach (cell, piece->targets)
	{
		TargetEntry *tle = lfirst(cell);

		names = lappend(names, makeString(tle->resname ? tle->resname : "?column?"));
	}
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = copyObject(piece->remote);
	rte->alias = makeAlias(SHARDS_NAME, NIL);
	rte->eref = makeAlias(SHARDS_NAME, names);
	rte->inFromCl = true;
	ref->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = list_make1(rte);
	query->jointree =
		makeFromExpr(list_make1(ref), (Node *) (quals ? make_ands_explicit(quals) : NULL));
	foreach (cell, columns)
	{
		TargetEntry *tle = list_nth(piece->targets, lfirst_int(cell) - 1);
		Node *expr = (Node *) tle->expr;
		Var *var =
			makeVar(1, lfirst_int(cell), exprType(expr), exprTypmod(expr), exprCollation(expr), 0);

		query->targetList = lappend(
			query->targetList,
			makeTargetEntry((Expr *) var, list_length(query->targetList) + 1, tle->resname, false));
	}
	return query;
}

/* A condition on a column that is a distribution column chooses shards. */
static void
prune_by_output(ShardPlan *plan, Piece *piece, Index rti, Expr *clause)
{
	ListCell *cell;

	foreach (cell, piece->targets)
	{
		TargetEntry *tle = lfirst(cell);

		if (piece_is_key((Node *) tle->expr, piece->key_columns))
			prune_by_clause(plan, piece->table, rti, tle->resno, clause);
	}
}

double
piece_estimate(Query *remote, bool each_shard, const DistributedTable *table)
{
	PlanRequest request = {.query = copyObject(remote), .cursor_options = 0};
	double rows;

	request.source = "";
	rows = by_table_estimate(&request);
	return each_shard ? rows * table->colocation->nshards : rows;
}
