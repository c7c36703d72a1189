/*-------------------------------------------------------------------------
 * ship_units.c
 *	  The relations of a query that may travel to shards, and the query with
 *	  them read from elsewhere.
 *
 * A relation is what stands in FROM, on any level that the query around is
 * asked for row by row, or the subquery of an IN.  With it go the conditions
 * that are about nothing else, and the columns that are used.  Which of them
 * travel is decided in ship_relation.c.
 *
 * What must stay true: a walk meets the relations in the same order each time,
 * and columns keep their numbers where a relation is replaced.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "base/compat.h"
#include "shard/metadata/metadata.h"
#include "shard/planner/lift.h"
#include "shard/planner/ship_units.h"
#include "shard/planner/statement.h"

/* An aggregate takes them in, with arguments of its own. */
#define MAX_COLUMNS (FUNC_MAX_ARGS - 10)

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

static void visit_query(Query *query, Walk *walk);
static void visit_members(Node *member, Walk *walk);
static void visit_item(Node *item, Walk *walk);
static void visit_relation(int rti, Walk *walk);
static bool visit_links(Node *node, void *context);
static void visit_link(SubLink *link, Walk *walk);
static bool reads(Node *node, bool *hash, bool *local);
static bool reads_walker(Node *node, void *context);
static bool stays(RangeTblEntry *rte);
static ShipUnit *next_unit(Walk *walk, bool may_stay);
static Query *rows_of(Query *query, int rti, ShipUnit *unit);
static bool used_walker(Node *node, void *context);
static List *take_quals(Node *item, int rti, Query *query);
static bool has_relation(Node *item, int rti);
static List *take_from(Node **quals, int rti);
static bool may_take(Node *qual, int rti);
static bool is_nullable_in(int rti, Node *item);
static bool outer_walker(Node *node, void *context);
static bool column_travels(Node *expr);
static void put_in_place(RangeTblEntry *rte, ShipUnit *unit, Walk *walk);
static Query *query_of_rows(ShipUnit *unit, int depth, List *names, List *columns);
static Node *pretended_key(const DistributedTable *like, Node *column);
static Query *pretended_query(ShipUnit *unit, List *names, List *columns);
static bool find_split(Node *node, Oid *relid);
static bool split_walker(Node *node, void *context);

/* --- the relations of a query ------------------------------------------ */

List *
ship_units_find(Query *query)
{
	Walk walk = {.query = copyObject(query)};

	visit_query(walk.query, &walk);
	return walk.units;
}

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
	ShipUnit *unit;

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
	ShipUnit *unit;

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

static ShipUnit *
next_unit(Walk *walk, bool may_stay)
{
	ShipUnit *unit;

	if (walk->replaces)
		return list_nth(walk->units, walk->number++);
	unit = palloc0(sizeof(ShipUnit));
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
rows_of(Query *query, int rti, ShipUnit *unit)
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
	statement_columns(inner, 1, &names, &columns);
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
	rows->hasSubLinks = checkExprHasSubLink((Node *) rows);
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
Query *
ship_units_replace(Query *query, List *units, Bitmapset *ships, bool pretend)
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
put_in_place(RangeTblEntry *rte, ShipUnit *unit, Walk *walk)
{
	List *names;
	List *columns;
	List *exprs = NIL;
	ListCell *name;
	ListCell *column;
	int number = 0;

	statement_columns(rte, 1, &names, &columns);
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
query_of_rows(ShipUnit *unit, int depth, List *names, List *columns)
{
	CommonTableExpr *cte = ship_make_cte(ship_rows_name(unit->number), unit->rows);
	Query *query = ship_select_from(ship_cte_relation(cte, depth + 1 + BELOW_UNION));
	ListCell *name;
	ListCell *column;

	forboth (name, names, column, columns)
		query->targetList = lappend(
			query->targetList, makeTargetEntry(lfirst(column), list_length(query->targetList) + 1,
											   pstrdup(strVal(lfirst(name))), false));
	return query;
}

/* The distribution column, which the planner must see as what it is, as a value of another's type. */
static Node *
pretended_key(const DistributedTable *like, Node *column)
{
	Oid type;
	int32 typmod;
	Oid collation;
	Var *key;

	get_atttypetypmodcoll(like->relid, like->key, &type, &typmod, &collation);
	key = makeVar(1, like->key, type, typmod, collation, 0);
	if (type == exprType(column) && typmod == exprTypmod(column))
		return (Node *) key;
	return (Node *) makeRelabelType((Expr *) key, exprType(column), exprTypmod(column),
									exprCollation(column), COERCE_IMPLICIT_CAST);
}

/*
 * The same with the distribution column of a table in place of the column that
 * the rows are sorted out by, and nothing in place of the others: so it is
 * seen where they may go.  finish_parts puts the rows there.
 */
static Query *
pretended_query(ShipUnit *unit, List *names, List *columns)
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
	rte->ctename = ship_rows_name(unit->number);
	rte->alias = makeAlias("rows", NIL);
	rte->eref = makeAlias("rows", NIL);
	for (int i = 0; i < desc->natts; i++)
		rte->eref->colnames = lappend(
			rte->eref->colnames, makeString(pstrdup(NameStr(TupleDescAttr(desc, i)->attname))));
	RelationClose(relation);
	query = ship_select_from(rte);
	forboth (name, names, column, columns)
	{
		Node *expr = lfirst(column);
		TargetEntry *tle;

		if (IsA(expr, Var) && ((Var *) expr)->varattno == unit->part)
			expr = pretended_key(unit->like, expr);
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

char *
ship_rows_name(int number)
{
	return psprintf("shipped %d", number + 1);
}


/* SELECT FROM the relation, without columns yet. */
Query *
ship_select_from(RangeTblEntry *rte)
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

CommonTableExpr *
ship_make_cte(char *name, Query *query)
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

RangeTblEntry *
ship_cte_relation(CommonTableExpr *cte, int levels)
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
