/*-------------------------------------------------------------------------
 * pin.c
 *	  Which value of the distribution column a query is confined to.
 *
 * Columns are nodes of a graph.  "a = b" where rows are kept only if it holds
 * gives an edge each way; where it decides only which rows of the nullable
 * side of an outer join are joined, or stands in a subquery and names a
 * column outside of it, just the edge into that side.  From the columns that
 * are compared with a value everything that can be reached is pinned to that
 * value.  When all distribution columns are, no other shard can hold a row
 * that matters.  The result of a CTE is a node of its own for each column:
 * only when all who name the CTE are confined, it is.
 *
 * What must stay true: an edge from a to b means that, if only rows with a =
 * v matter, only rows with b = v do.  When in doubt, there is no edge: the
 * price is a slower tier.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/hash.h"
#include "access/stratnum.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "shard/planner/lift.h"
#include "shard/planner/pin.h"

typedef struct PinNode
{
	Query *query;
	int rti;
	AttrNumber column;
	bool required; /* the distribution column of a table */
	bool reached;
} PinNode;

typedef struct PinEdge
{
	int from;
	int to;
} PinEdge;

/* The column of a CTE, and those that show it, so far; it is pinned when all of them are. */
typedef struct PinJoint
{
	int node;
	int nusers;	 /* of the CTE */
	List *users; /* int: their nodes */
} PinJoint;

typedef struct PinParent
{
	Query *query;
	Query *parent;
} PinParent;

typedef struct PinValue
{
	int node;
	Expr *value;
	Oid type;
} PinValue;

typedef struct PinState
{
	List *levels;  /* Query, innermost first */
	List *parents; /* PinParent: of each query that is not the whole */
	Pin *pin;
	Oid family; /* that hashes the distribution columns */
	int nnodes;
	int node_room;
	PinNode *nodes;
	List *edges;  /* PinEdge */
	List *joints; /* PinJoint */
	List *values; /* PinValue */
} PinState;

/* Which columns a condition says something about. */
typedef struct PinScope
{
	Bitmapset *into; /* only relations that edges may lead to; NULL: all */
	bool nothing;	 /* the condition removes no row at all */
} PinScope;

static bool find_tables(Node *node, void *context);
static bool find_table(RangeTblEntry *rte, PinState *state);
static bool scan_query(Node *node, void *context);
static void scan_insert(Query *query, PinState *state);
static void scan_item(Node *item, Query *query, PinState *state);
static void scan_relation(int rti, Query *query, PinState *state);
static void scan_quals(Node *quals, const PinScope *scope, PinState *state);
static void scan_equality(Expr *clause, const PinScope *scope, PinState *state);
static void
add_equality(Node *into, Node *from, Oid from_type, const PinScope *scope, PinState *state);
static void scan_membership(SubLink *link, Node *test, PinState *state);
static void item_relations(Node *item, Bitmapset **relids);
static int node_for(Node *expr, PinState *state);
static int node_at(Query *query, int rti, AttrNumber column, PinState *state);
static int node_find(Query *query, int rti, AttrNumber column, PinState *state);
static int node_add(Query *query, int rti, AttrNumber column, PinState *state);
static void link_cte(int node, CommonTableExpr *cte, AttrNumber column, PinState *state);
static bool all_users_reached(PinState *state, PinJoint *joint);
static void link_output(int node, Query *child, int column, bool down, PinState *state);
static void link_members(int node, Query *child, Node *member, int column, PinState *state);
static bool passes_conditions(Query *child, TargetEntry *tle);
static bool is_among(TargetEntry *tle, List *clauses);
static bool is_joined(int rti, Node *item);
static bool gives_key(Query *query, int rti, AttrNumber column, PinState *state);
static bool query_gives_key(Query *query, AttrNumber column, PinState *state);
static bool members_give_key(Query *query, Node *member, AttrNumber column, PinState *state);
static CommonTableExpr *find_cte(Query *query, RangeTblEntry *rte, PinState *state);
static void add_edge(int from, int to, PinState *state);
static bool all_reached(PinState *state, List *seeds);
static bool prepare(Query *query, Pin *pin, PinState *state);
static Node *strip_relabel(Node *expr);

bool
pin_to_key(Query *query, Pin *pin)
{
	PinState state = {0};
	ListCell *cell;

	if (!prepare(query, pin, &state))
		return false;
	foreach (cell, state.values)
	{
		PinValue *candidate = lfirst(cell);
		List *seeds = NIL;
		ListCell *other;

		foreach (other, state.values)
		{
			PinValue *value = lfirst(other);

			if (value->type == candidate->type && equal(value->value, candidate->value))
				seeds = lappend_int(seeds, value->node);
		}
		if (all_reached(&state, seeds))
		{
			pin->key = candidate->value;
			pin->key_type = candidate->type;
			pin->one_value = list_length(state.values) == 1;
			return true;
		}
	}
	pin->why = state.values == NIL
				   ? PIN_NO_VALUE
				   : psprintf("Not all distributed tables are confined to one value of their "
							  "distribution column.");
	return false;
}

bool
pin_to_target(Query *query, Pin *pin)
{
	PinState state = {0};
	int target;

	if (!prepare(query, pin, &state))
		return false;
	target = node_at(query, query->resultRelation, pin->table->key, &state);
	if (all_reached(&state, list_make1_int(target)))
		return true;
	pin->why = "Not all distributed tables are joined to the changed table on their distribution "
			   "columns.";
	return false;
}

bool
pin_to_join(Query *query, Pin *pin)
{
	PinState state = {0};

	if (!prepare(query, pin, &state))
		return false;
	for (int rti = 1; rti <= list_length(query->rtable); rti++)
	{
		RangeTblEntry *rte = rt_fetch(rti, query->rtable);
		int ncolumns = list_length(rte->eref->colnames);

		/* Each row comes from one row of a relation that no outer join makes null. */
		if (rte->rtekind == RTE_JOIN || !is_joined(rti, (Node *) query->jointree) ||
			lift_is_nullable(rti, query->jointree))
			continue;
		for (AttrNumber column = 1; column <= ncolumns; column++)
		{
			if (gives_key(query, rti, column, &state) &&
				all_reached(&state, list_make1_int(node_at(query, rti, column, &state))))
			{
				if (pin->key_columns == NIL && rte->rtekind == RTE_RELATION)
					pin->table = metadata_table(rte->relid);
				pin->key_columns =
					lappend(pin->key_columns, makeVar(rti, column, pin->table->key_type, -1,
													  pin->table->key_collation, 0));
			}
		}
	}
	if (pin->key_columns == NIL)
		pin->why = "Not all distributed tables are joined on their distribution columns.";
	return pin->why == NULL;
}

/* Does the relation stand in FROM? */
static bool
is_joined(int rti, Node *item)
{
	ListCell *cell;

	if (item == NULL)
		return false;
	if (IsA(item, RangeTblRef))
		return ((RangeTblRef *) item)->rtindex == rti;
	if (IsA(item, JoinExpr))
		return is_joined(rti, ((JoinExpr *) item)->larg) ||
			   is_joined(rti, ((JoinExpr *) item)->rarg);
	foreach (cell, castNode(FromExpr, item)->fromlist)
	{
		if (is_joined(rti, lfirst(cell)))
			return true;
	}
	return false;
}

/*
 * Is the column a distribution column, or one that a subquery shows, so that
 * a shard has the rows with the values that are its own and no others?
 */
static bool
gives_key(Query *query, int rti, AttrNumber column, PinState *state)
{
	RangeTblEntry *rte = rt_fetch(rti, query->rtable);
	const DistributedTable *table;
	CommonTableExpr *cte;

	switch (rte->rtekind)
	{
		case RTE_RELATION:
			table = metadata_table(rte->relid);
			return table != NULL && table->kind == TABLE_HASH && table->key == column;
		case RTE_SUBQUERY:
			return query_gives_key(rte->subquery, column, state);
		case RTE_CTE:
			cte = find_cte(query, rte, state);
			return cte != NULL && query_gives_key((Query *) cte->ctequery, column, state);
		default:
			return false;
	}
}

static bool
query_gives_key(Query *query, AttrNumber column, PinState *state)
{
	Node *expr;

	if (query->commandType != CMD_SELECT || query->groupingSets != NIL ||
		column > list_length(query->targetList))
		return false;
	if (query->setOperations != NULL)
		return members_give_key(query, query->setOperations, column, state);
	expr = strip_relabel((Node *) list_nth_node(TargetEntry, query->targetList, column - 1)->expr);
	for (;;)
	{
		Var *var = (Var *) expr;
		RangeTblEntry *rte;

		if (expr == NULL || !IsA(expr, Var) || var->varlevelsup != 0 || var->varattno <= 0)
			return false;
		rte = rt_fetch(var->varno, query->rtable);
		if (rte->rtekind != RTE_JOIN)
			return !lift_is_nullable(var->varno, query->jointree) &&
				   gives_key(query, var->varno, var->varattno, state);
		expr = strip_relabel(list_nth(rte->joinaliasvars, var->varattno - 1));
	}
}

/* All members of a UNION and the like. */
static bool
members_give_key(Query *query, Node *member, AttrNumber column, PinState *state)
{
	if (IsA(member, RangeTblRef))
		return gives_key(query, ((RangeTblRef *) member)->rtindex, column, state);
	return members_give_key(query, castNode(SetOperationStmt, member)->larg, column, state) &&
		   members_give_key(query, castNode(SetOperationStmt, member)->rarg, column, state);
}

/* The CTE that a relation of "query" is; NULL if it is none that could be followed. */
static CommonTableExpr *
find_cte(Query *query, RangeTblEntry *rte, PinState *state)
{
	ListCell *cell;

	for (Index up = 0; up < rte->ctelevelsup && query != NULL; up++)
	{
		Query *parent = NULL;

		foreach (cell, state->parents)
		{
			PinParent *pair = lfirst(cell);

			if (pair->query == query)
				parent = pair->parent;
		}
		query = parent;
	}
	foreach (cell, query != NULL ? query->cteList : NIL)
	{
		CommonTableExpr *cte = lfirst(cell);

		if (strcmp(cte->ctename, rte->ctename) == 0 && !cte->cterecursive)
			return cte;
	}
	return NULL;
}

bool
pin_is_equality(Expr *clause, Oid family, Oid collation, Node **left, Node **right, Oid *left_type,
				Oid *right_type)
{
	OpExpr *op = (OpExpr *) clause;

	if (!IsA(clause, OpExpr) || list_length(op->args) != 2)
		return false;
	if (get_op_opfamily_strategy(op->opno, family) != HTEqualStrategyNumber)
		return false;

	/* Another collation's equality may find equal what is hashed apart. */
	if (op->inputcollid != collation && OidIsValid(op->inputcollid) && OidIsValid(collation) &&
		!(get_collation_isdeterministic(op->inputcollid) &&
		  get_collation_isdeterministic(collation)))
		return false;
	op_input_types(op->opno, left_type, right_type);
	*left = strip_relabel(linitial(op->args));
	*right = strip_relabel(lsecond(op->args));
	return true;
}

Oid
pin_hash_family(Oid type)
{
	return lookup_type_cache(type, TYPECACHE_HASH_OPFAMILY)->hash_opf;
}

Oid
pin_hash_function(Oid key_type, Oid type)
{
	if (type == key_type)
		return lookup_type_cache(key_type, TYPECACHE_HASH_PROC)->hash_proc;
	return get_opfamily_proc(pin_hash_family(key_type), type, type, HASHSTANDARD_PROC);
}

static bool
prepare(Query *query, Pin *pin, PinState *state)
{
	state->pin = pin;
	if (query->resultRelation != 0)
		(void) find_table(rt_fetch(query->resultRelation, query->rtable), state);
	(void) find_tables((Node *) query, state);
	if (pin->why == NULL && pin->table == NULL)
		pin->why = "It uses no hash distributed table.";
	if (pin->why != NULL)
		return false;
	state->family = pin_hash_family(pin->table->key_type);
	(void) scan_query((Node *) query, state);
	return true;
}

/* All tables must be here and colocated; true stops the walk. */
static bool
find_tables(Node *node, void *context)
{
	PinState *state = context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query *query = (Query *) node;
		bool stop;
		ListCell *cell;

		foreach (cell, query->rtable)
		{
			RangeTblEntry *rte = lfirst(cell);

			/* Not a table: "excluded", and the view that an expanded view was. */
			if (rte->rtekind != RTE_RELATION || rte->relkind == RELKIND_COMPOSITE_TYPE ||
				rte->relkind == RELKIND_VIEW)
				continue;
			if (!find_table(rte, state))
				return true;
		}
		if (query->resultRelation != 0)
		{
			Oid relid = rt_fetch(query->resultRelation, query->rtable)->relid;
			const DistributedTable *target = metadata_table(relid);

			if (target == NULL && metadata_sees_shells())
				;
			else if (target == NULL)
				state->pin->why = psprintf("Relation %s, which is written, is not distributed.",
										   get_rel_name(relid));
			else if (target->kind != TABLE_HASH)
				state->pin->why = "It writes a reference table together with other tables.";
			if (state->pin->why != NULL)
				return true;
		}
		if (state->levels != NIL)
		{
			PinParent *pair = palloc(sizeof(PinParent));

			pair->query = query;
			pair->parent = linitial(state->levels);
			state->parents = lappend(state->parents, pair);
		}
		state->levels = lcons(query, state->levels);
		stop = query_tree_walker(query, find_tables, context, QTW_IGNORE_JOINALIASES);
		state->levels = list_delete_first(state->levels);
		return stop;
	}
	return expression_tree_walker(node, find_tables, context);
}

static bool
find_table(RangeTblEntry *rte, PinState *state)
{
	Pin *pin = state->pin;
	const DistributedTable *table = metadata_table(rte->relid);

	/* On a node its own tables are as good as copies. */
	if (table == NULL && metadata_sees_shells())
		return true;
	if (table == NULL)
		pin->why = psprintf("Table %s is not distributed.", get_rel_name(rte->relid));
	else if (table->kind != TABLE_HASH)
		return true;
	else if (pin->table == NULL)
		pin->table = table;
	else if (pin->table->colocation != table->colocation)
		pin->why = psprintf("Tables %s and %s are not colocated.", get_rel_name(pin->table->relid),
							get_rel_name(rte->relid));
	return pin->why == NULL;
}

/* Adds what one query and all below it say. */
static bool
scan_query(Node *node, void *context)
{
	PinState *state = context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query *query = (Query *) node;

		state->levels = lcons(query, state->levels);
		if (query->commandType == CMD_INSERT)
			scan_insert(query, state);
		scan_item((Node *) query->jointree, query, state);
		(void) query_tree_walker(query, scan_query, state, QTW_IGNORE_JOINALIASES);
		state->levels = list_delete_first(state->levels);
		return false;
	}
	return expression_tree_walker(node, scan_query, state);
}

/* The target of an INSERT is pinned to what goes into its distribution column. */
static void
scan_insert(Query *query, PinState *state)
{
	RangeTblEntry *rte = rt_fetch(query->resultRelation, query->rtable);
	const DistributedTable *table = metadata_table(rte->relid);
	ListCell *cell;
	Node *value = NULL;

	if (table == NULL || table->kind != TABLE_HASH)
		return;
	scan_relation(query->resultRelation, query, state);
	state->pin->inserts = true;
	foreach (cell, query->targetList)
	{
		TargetEntry *tle = lfirst(cell);

		if (!tle->resjunk && tle->resno == table->key)
			value = (Node *) tle->expr;
	}
	if (value == NULL)
		value = (Node *) makeNullConst(table->key_type, table->key_typmod, table->key_collation);

	/* Only a row of values: those of a query may be anything, null included. */
	if (query->jointree->fromlist == NIL)
	{
		PinValue *fact;
		ExprFacts facts = expr_facts(value);

		if (facts.bound)
			return;
		fact = palloc(sizeof(PinValue));
		fact->node = node_at(query, query->resultRelation, table->key, state);
		fact->value = (Expr *) value;
		fact->type = table->key_type;
		state->values = lappend(state->values, fact);
	}
}

static void
scan_item(Node *item, Query *query, PinState *state)
{
	if (item == NULL)
		return;
	if (IsA(item, FromExpr))
	{
		ListCell *cell;
		PinScope scope = {0};

		foreach (cell, ((FromExpr *) item)->fromlist)
			scan_item(lfirst(cell), query, state);
		scan_quals(((FromExpr *) item)->quals, &scope, state);
	}
	else if (IsA(item, JoinExpr))
	{
		JoinExpr *join = (JoinExpr *) item;
		PinScope scope = {0};

		scan_item(join->larg, query, state);
		scan_item(join->rarg, query, state);
		if (join->jointype == JOIN_LEFT)
			item_relations(join->rarg, &scope.into);
		else if (join->jointype == JOIN_RIGHT)
			item_relations(join->larg, &scope.into);
		else
			scope.nothing = join->jointype != JOIN_INNER;
		scan_quals(join->quals, &scope, state);
	}
	else
		scan_relation(castNode(RangeTblRef, item)->rtindex, query, state);
}

static void
scan_relation(int rti, Query *query, PinState *state)
{
	RangeTblEntry *rte = rt_fetch(rti, query->rtable);
	const DistributedTable *table;

	if (rte->rtekind != RTE_RELATION)
		return;
	table = metadata_table(rte->relid);
	if (table != NULL && table->kind == TABLE_HASH)
	{
		int node = node_at(query, rti, table->key, state);

		state->nodes[node].required = true;
	}
}

static void
scan_quals(Node *quals, const PinScope *scope, PinState *state)
{
	ListCell *cell;

	if (quals == NULL || scope->nothing)
		return;
	if (IsA(quals, List))
	{
		foreach (cell, (List *) quals)
			scan_quals(lfirst(cell), scope, state);
	}
	else if (is_andclause(quals))
		scan_quals((Node *) ((BoolExpr *) quals)->args, scope, state);
	else if (IsA(quals, OpExpr))
		scan_equality((Expr *) quals, scope, state);
	else if (IsA(quals, SubLink) && ((SubLink *) quals)->subLinkType == ANY_SUBLINK &&
			 scope->into == NULL)
		scan_membership((SubLink *) quals, ((SubLink *) quals)->testexpr, state);
}

/* "a IN (SELECT b ...)": a column of a subquery, once more. */
static void
scan_membership(SubLink *link, Node *test, PinState *state)
{
	Node *left;
	Node *right;
	Oid left_type;
	Oid right_type;
	ListCell *cell;
	int node;

	if (is_andclause(test))
	{
		foreach (cell, ((BoolExpr *) test)->args)
			scan_membership(link, lfirst(cell), state);
		return;
	}
	if (!pin_is_equality((Expr *) test, state->family, state->pin->table->key_collation, &left,
						 &right, &left_type, &right_type) ||
		!IsA(left, Var) || ((Var *) left)->varlevelsup != 0 || !IsA(right, Param) ||
		((Param *) right)->paramkind != PARAM_SUBLINK)
		return;
	node = node_for(left, state);
	if (node >= 0)
		link_output(node, (Query *) link->subselect, ((Param *) right)->paramid, true, state);
}

static void
scan_equality(Expr *clause, const PinScope *scope, PinState *state)
{
	Node *left;
	Node *right;
	Oid left_type;
	Oid right_type;

	if (!pin_is_equality(clause, state->family, state->pin->table->key_collation, &left, &right,
						 &left_type, &right_type))
		return;
	add_equality(left, right, right_type, scope, state);
	add_equality(right, left, left_type, scope, state);
}

/* What "into = from" says about the column "into". */
static void
add_equality(Node *into, Node *from, Oid from_type, const PinScope *scope, PinState *state)
{
	int node;

	/* A column of a query further out is not confined by what stands in a subquery. */
	if (!IsA(into, Var) || ((Var *) into)->varlevelsup != 0)
		return;
	node = node_for(into, state);
	if (node < 0 || (scope->into != NULL && !bms_is_member(state->nodes[node].rti, scope->into)))
		return;
	if (IsA(from, Var))
	{
		int other = node_for(from, state);

		if (other >= 0)
			add_edge(other, node, state);
	}
	else
	{
		ExprFacts facts = expr_facts(from);
		PinValue *value;

		if (facts.bound || facts.volatility == PROVOLATILE_VOLATILE)
			return;
		value = palloc(sizeof(PinValue));
		value->node = node;
		value->value = (Expr *) from;
		value->type = from_type;
		state->values = lappend(state->values, value);
	}
}

static void
item_relations(Node *item, Bitmapset **relids)
{
	if (IsA(item, JoinExpr))
	{
		*relids = bms_add_member(*relids, ((JoinExpr *) item)->rtindex);
		item_relations(((JoinExpr *) item)->larg, relids);
		item_relations(((JoinExpr *) item)->rarg, relids);
	}
	else
		*relids = bms_add_member(*relids, castNode(RangeTblRef, item)->rtindex);
}

/* The node of a column, -1 when it is none that could be followed. */
static int
node_for(Node *expr, PinState *state)
{
	for (;;)
	{
		Var *var;
		Query *query;
		RangeTblEntry *rte;

		expr = strip_relabel(expr);
		if (expr == NULL || !IsA(expr, Var))
			return -1;
		var = (Var *) expr;
		if (var->varattno <= 0 || (int) var->varlevelsup >= list_length(state->levels))
			return -1;
		query = list_nth(state->levels, var->varlevelsup);
		rte = rt_fetch(var->varno, query->rtable);
		if (rte->rtekind != RTE_JOIN)
			return node_at(query, var->varno, var->varattno, state);
		expr = list_nth(rte->joinaliasvars, var->varattno - 1);

		/* The column of a join stands for one at the join's own level. */
		if (expr != NULL && var->varlevelsup != 0)
			return -1;
	}
}

static int
node_at(Query *query, int rti, AttrNumber column, PinState *state)
{
	RangeTblEntry *rte = rt_fetch(rti, query->rtable);
	int number = node_find(query, rti, column, state);

	if (number >= 0)
		return number;
	number = node_add(query, rti, column, state);
	if (rte->rtekind == RTE_SUBQUERY)
		link_output(number, rte->subquery, column, true, state);
	else if (rte->rtekind == RTE_CTE)
	{
		CommonTableExpr *cte = find_cte(query, rte, state);

		if (cte != NULL)
			link_cte(number, cte, column, state);
	}
	return number;
}

static int
node_find(Query *query, int rti, AttrNumber column, PinState *state)
{
	for (int i = 0; i < state->nnodes; i++)
	{
		PinNode *node = &state->nodes[i];

		if (node->query == query && node->rti == rti && node->column == column)
			return i;
	}
	return -1;
}

static int
node_add(Query *query, int rti, AttrNumber column, PinState *state)
{
	PinNode *node;

	if (state->nnodes == state->node_room)
	{
		state->node_room = Max(16, state->node_room * 2);
		state->nodes = state->nodes == NULL
						   ? palloc(state->node_room * sizeof(PinNode))
						   : repalloc(state->nodes, state->node_room * sizeof(PinNode));
	}
	node = &state->nodes[state->nnodes];
	memset(node, 0, sizeof(*node));
	node->query = query;
	node->rti = rti;
	node->column = column;
	return state->nnodes++;
}

/* Connects a column of one who names the CTE with that of the CTE, which is of no relation. */
static void
link_cte(int node, CommonTableExpr *cte, AttrNumber column, PinState *state)
{
	Query *query = castNode(Query, cte->ctequery);
	int result = node_find(query, 0, column, state);
	ListCell *cell;

	if (result < 0)
	{
		PinJoint *joint = palloc0(sizeof(PinJoint));

		result = joint->node = node_add(query, 0, column, state);
		joint->nusers = cte->cterefcount;
		state->joints = lappend(state->joints, joint);
		link_output(result, query, column, true, state);
	}
	add_edge(result, node, state);
	foreach (cell, state->joints)
	{
		PinJoint *joint = lfirst(cell);

		if (joint->node == result)
			joint->users = lappend_int(joint->users, node);
	}
}

/*
 * Connects a column of a subquery with the column below that it shows.  What
 * the subquery is confined to always holds for its rows; what its rows are
 * confined to reaches inside only when rows go through it one by one.
 */
static void
link_output(int node, Query *child, int column, bool down, PinState *state)
{
	TargetEntry *tle;
	Node *expr;
	List *levels = state->levels;
	int inner;

	if (child->commandType != CMD_SELECT || column > list_length(child->targetList))
		return;
	tle = list_nth(child->targetList, column - 1);
	if (child->setOperations != NULL)
	{
		if (down && passes_conditions(child, tle))
			link_members(node, child, child->setOperations, column, state);
		return;
	}
	expr = strip_relabel((Node *) tle->expr);
	if (!IsA(expr, Var) || ((Var *) expr)->varlevelsup != 0)
		return;
	state->levels = list_make1(child);
	inner = node_for(expr, state);
	state->levels = levels;
	if (inner < 0)
		return;
	add_edge(inner, node, state);
	if (down && passes_conditions(child, tle))
		add_edge(node, inner, state);
}

/* Rows of a UNION and the like are compared as a whole, so also by this column. */
static void
link_members(int node, Query *child, Node *member, int column, PinState *state)
{
	if (IsA(member, RangeTblRef))
		add_edge(node, node_at(child, ((RangeTblRef *) member)->rtindex, column, state), state);
	else
	{
		link_members(node, child, castNode(SetOperationStmt, member)->larg, column, state);
		link_members(node, child, castNode(SetOperationStmt, member)->rarg, column, state);
	}
}

/* Do rows with other values of this column have no effect on those with one? */
static bool
passes_conditions(Query *child, TargetEntry *tle)
{
	ListCell *cell;

	if (child->hasTargetSRFs || child->hasForUpdate || child->groupingSets != NIL ||
		child->limitCount != NULL || child->limitOffset != NULL)
		return false;
	foreach (cell, child->windowClause)
	{
		if (!is_among(tle, ((WindowClause *) lfirst(cell))->partitionClause))
			return false;
	}
	if (child->distinctClause != NIL && !is_among(tle, child->distinctClause))
		return false;
	if (child->hasAggs || child->groupClause != NIL || child->havingQual != NULL)
		return is_among(tle, child->groupClause);
	return true;
}

static bool
is_among(TargetEntry *tle, List *clauses)
{
	ListCell *cell;

	foreach (cell, clauses)
	{
		if (tle->ressortgroupref != 0 &&
			((SortGroupClause *) lfirst(cell))->tleSortGroupRef == tle->ressortgroupref)
			return true;
	}
	return false;
}

static void
add_edge(int from, int to, PinState *state)
{
	PinEdge *edge = palloc(sizeof(PinEdge));

	edge->from = from;
	edge->to = to;
	state->edges = lappend(state->edges, edge);
}

/* Follows the edges from "seeds"; true when each distribution column was reached. */
static bool
all_reached(PinState *state, List *seeds)
{
	ListCell *cell;
	bool moved = true;

	for (int i = 0; i < state->nnodes; i++)
		state->nodes[i].reached = list_member_int(seeds, i);
	while (moved)
	{
		moved = false;
		foreach (cell, state->edges)
		{
			PinEdge *edge = lfirst(cell);

			if (state->nodes[edge->from].reached && !state->nodes[edge->to].reached)
				moved = state->nodes[edge->to].reached = true;
		}
		foreach (cell, state->joints)
		{
			PinJoint *joint = lfirst(cell);

			if (!state->nodes[joint->node].reached && all_users_reached(state, joint))
				moved = state->nodes[joint->node].reached = true;
		}
	}
	for (int i = 0; i < state->nnodes; i++)
	{
		if (state->nodes[i].required && !state->nodes[i].reached)
			return false;
	}
	return true;
}

static bool
all_users_reached(PinState *state, PinJoint *joint)
{
	ListCell *cell;

	foreach (cell, joint->users)
	{
		if (!state->nodes[lfirst_int(cell)].reached)
			return false;
	}
	return list_length(joint->users) == joint->nusers;
}

/* Without conversions that change no bit. */
static Node *
strip_relabel(Node *expr)
{
	while (expr != NULL && IsA(expr, RelabelType))
		expr = (Node *) ((RelabelType *) expr)->arg;
	return expr;
}
