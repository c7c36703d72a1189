/*-------------------------------------------------------------------------
 * ship_arrays.c
 *	  Relations that travel, as arrays: in the SQL for shards and in the query
 *	  around it.
 *
 * In the SQL they are functions over parameters.  What the parameters are is
 * computed in WITH of the query that takes one of two ways, see
 * ship_relation.c.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_func.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "shard/planner/change.h"
#include "shard/planner/lift.h"
#include "shard/planner/ship_relation.h"
#include "shard/planner/ship_units.h"

/* Column c of relation n is parameter FIRST_SHIPPED + n * SHIPPED_COLUMNS + c while a query is cut. */
#define SHIPPED_COLUMNS 2000

static bool arrays_walker(Node *node, void *context);
static Node *hidden(Node *array);
static RangeTblFunction *unnest(Node *array, Oid type, Oid collation);
static bool parts_walker(Node *node, void *context);
static void read_source(RangeTblEntry *rte, ShipUnit *unit, Lift *lift);
static Oid source_function(void);
static char *arrays_name(ShipUnit *unit);
static Param *array_param(ShipUnit *unit, int column);
static Node *from_arrays(Node *node, void *context);
static Node *shipped_column(ShipUnit *unit, int column, Oid type, int levels);
static Node *arrays_link(ShipUnit *unit, int levels);
static Oid function_of_ours(const char *name, int nargs, const Oid *types);
static Node *make_oid(Oid oid);
static Query *arrays_query(ShipUnit *unit);
static Query *gated(Query *query, List *units, Bitmapset *ships, bool fits);

/* --- arrays ------------------------------------------------------------ */

typedef struct Arrays
{
	List *units;
	Bitmapset *ships;
	Query *query; /* where the walk is ... */
	int depth;	  /* ... below the query that is replaced */
	bool found;
} Arrays;

/* A piece whose parts are put in. */
typedef struct Parts
{
	List *units;
	bool sources; /* the rows come in bundles */
	Lift lift;	  /* with the parameters of the piece */
} Parts;

static bool finish(Query *merge, PieceSet *set, Parts *parts, char **why);

/* What travels becomes a function over parameters, wherever it is read. */
void
ship_as_arrays(Query *query, List *units, Bitmapset *ships)
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
		Query *outer = arrays->query;

		arrays->query = (Query *) node;
		arrays->depth++;
		(void) query_tree_walker(arrays->query, arrays_walker, context,
								 QTW_EXAMINE_RTES_BEFORE | QTW_IGNORE_JOINALIASES);
		arrays->depth--;
		arrays->query = outer;
		return false;
	}
	if (!IsA(node, RangeTblEntry))
		return expression_tree_walker(node, arrays_walker, context);
	while ((number = bms_next_member(arrays->ships, number)) >= 0)
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;
		ShipUnit *unit = list_nth(arrays->units, number);

		if (rte->rtekind != RTE_CTE || (int) rte->ctelevelsup != arrays->depth + BELOW_UNION ||
			strcmp(rte->ctename, ship_rows_name(number)) != 0)
			continue;
		rte->rtekind = RTE_FUNCTION;
		rte->ctename = NULL;
		rte->ctelevelsup = 0;
		for (int column = 0; column < list_length(rte->coltypes); column++)
			rte->functions =
				lappend(rte->functions, unnest(hidden((Node *) array_param(unit, column)),
											   list_nth_oid(rte->coltypes, column),
											   list_nth_oid(rte->colcollations, column)));
		rte->coltypes = rte->coltypmods = rte->colcollations = NIL;
		arrays->query->hasSubLinks = true;
	}
	return false;
}

/*
 * (SELECT array): a node that knew the array when it plans would take its time
 * with it and then, knowing nothing of its values, hash the table rather than
 * them.  A part of an array is worth knowing: the table has an index for it.
 */
static Node *
hidden(Node *array)
{
	Query *query = makeNode(Query);
	SubLink *link = makeNode(SubLink);

	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->jointree = makeFromExpr(NIL, NULL);
	query->targetList = list_make1(makeTargetEntry((Expr *) array, 1, pstrdup("array"), false));
	link->subLinkType = EXPR_SUBLINK;
	link->subselect = (Node *) query;
	link->location = -1;
	return (Node *) link;
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
bool
ship_finish_parts(Query *merge, PieceSet *set, List *units, char **why)
{
	Parts parts = {.units = units};

	return finish(merge, set, &parts, why);
}

bool
ship_finish_sources(Query *merge, PieceSet *set, List *units, char **why)
{
	Parts parts = {.units = units, .sources = true};

	return finish(merge, set, &parts, why);
}

static bool
finish(Query *merge, PieceSet *set, Parts *parts, char **why)
{
	Piece *piece = llast(set->pieces);
	RangeTblEntry *rte = linitial(merge->rtable);
	FuncExpr *call = (FuncExpr *) linitial_node(RangeTblFunction, rte->functions)->funcexpr;

	/* The arguments before the parameters stay. */
	parts->lift.params = list_copy_tail(call->args, PIECE_FIRST_PARAM);
	(void) parts_walker((Node *) piece->remote, parts);
	call->args = list_concat(list_truncate(call->args, PIECE_FIRST_PARAM), parts->lift.params);
	*why = parts->lift.why;
	return *why == NULL;
}

static bool
parts_walker(Node *node, void *context)
{
	Parts *parts = context;
	Query *query = (Query *) node;
	ShipUnit *unit = NULL;
	RangeTblEntry *rte;
	ListCell *cell;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, parts_walker, context);
	rte = query->rtable == NIL ? NULL : linitial(query->rtable);
	foreach (cell, parts->units)
	{
		ShipUnit *candidate = lfirst(cell);

		if (rte != NULL && rte->rtekind == RTE_RELATION && rte->ctename != NULL &&
			strcmp(rte->ctename, ship_rows_name(candidate->number)) == 0)
			unit = candidate;
	}
	if (unit == NULL)
		return query_tree_walker(query, parts_walker, context, QTW_IGNORE_JOINALIASES);
	rte = ship_cte_relation(ship_make_cte(ship_rows_name(unit->number), unit->rows), 0);
	linitial(query->rtable) = rte;
	rte->ctename = NULL;
	if (parts->sources)
		read_source(rte, unit, &parts->lift);
	else
		rte->rtekind = RTE_FUNCTION;
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

/* The rows as those of a bundle. */
static void
read_source(RangeTblEntry *rte, ShipUnit *unit, Lift *lift)
{
	Node *number = (Node *) makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
									  Int32GetDatum(unit->number), false, true);
	FuncExpr *bundle = makeFuncExpr(source_function(), BYTEAOID, list_make1(number), InvalidOid,
									InvalidOid, COERCE_EXPLICIT_CALL);
	Param *param = (Param *) lift_as_param((Expr *) bundle, lift);
	ListCell *cell;

	foreach (cell, rte->eref->colnames)
		lfirst(cell) = makeString(psprintf("c%d", foreach_current_index(cell) + 1));
	change_read_bundle(rte, param->paramid);
}

static Oid
source_function(void)
{
	static const Oid types[] = {INT4OID};

	return function_of_ours(SHARD_SOURCE_NAME, 1, types);
}

static char *
arrays_name(ShipUnit *unit)
{
	return psprintf("shipped %d %s", unit->number + 1,
					unit->part > 0 ? "by shard" : "to each shard");
}

/* Stands for an array until a query has been cut. */
static Param *
array_param(ShipUnit *unit, int column)
{
	TargetEntry *tle = NULL;
	int place = 0;
	ListCell *cell;

	foreach (cell, unit->rows->targetList)
	{
		if (!((TargetEntry *) lfirst(cell))->resjunk && place++ == column)
			tle = lfirst(cell);
	}
	return lift_numbered_param(FIRST_SHIPPED + unit->number * SHIPPED_COLUMNS + column,
							   get_array_type(exprType((Node *) tle->expr)), -1,
							   exprCollation((Node *) tle->expr));
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
shipped_column(ShipUnit *unit, int column, Oid type, int levels)
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
arrays_link(ShipUnit *unit, int levels)
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
	query = ship_select_from(rte);
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

	plan->source_params = NIL;
	for (int i = 0; i < list_length(plan->sources); i++)
		plan->source_params = lappend_int(plan->source_params, -1);
	foreach (cell, params)
	{
		FuncExpr *call = lfirst(cell);
		int index = foreach_current_index(cell);

		if (!IsA(call, FuncExpr) || lift_builtin(call->funcid))
			continue;
		if (call->funcid == function_of_ours("shipped", 3, types))
			plan->ships = true;
		else if (call->funcid == source_function())
		{
			const Const *which = linitial(call->args);
			int number = IsA(which, Const) ? DatumGetInt32(which->constvalue) : -1;

			/* A user may call it as well, with anything. */
			plan->ships = true;
			if (number >= 0 && number < list_length(plan->sources))
				lfirst_int(list_nth_cell(plan->source_params, number)) = index;
		}
		else if (call->funcid == function_of_ours(SHARD_PART_NAME, 4, types))
		{
			plan->ships = true;
			plan->parts = lappend_int(plan->parts, index);
			if (IsA(llast(call->args), Const) &&
				DatumGetBool(llast_node(Const, call->args)->constvalue))
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
arrays_query(ShipUnit *unit)
{
	static const Oid types[] = {INTERNALOID, ANYOID};
	static const Oid part_types[] = {INTERNALOID, OIDOID, INT4OID, OIDOID, ANYOID};
	CommonTableExpr *cte = ship_make_cte(ship_rows_name(unit->number), unit->rows);
	Query *query = ship_select_from(ship_cte_relation(cte, 1));
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

Query *
ship_alternatives(Query *query, Query *shipped, Query *here, List *units, Bitmapset *ships)
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
		ShipUnit *unit = list_nth(units, number);

		both->cteList =
			lappend(both->cteList, ship_make_cte(ship_rows_name(number), copyObject(unit->rows)));
		both->cteList =
			lappend(both->cteList, ship_make_cte(arrays_name(unit), arrays_query(unit)));
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
	gate = ship_select_from(rte);
	gate->targetList = columns;
	gate->hasSubLinks = true;
	gate->jointree->quals = (Node *) (fits ? make_andclause(tests) : make_orclause(tests));
	if (list_length(tests) == 1)
		gate->jointree->quals = linitial(tests);
	return gate;
}
