/*-------------------------------------------------------------------------
 * lift.c
 *	  What of a statement may travel to a shard, and what stays here as a
 *	  parameter.
 *
 * A function travels when it is built in.  Stable functions without columns
 * (now(), current_user, current_setting()) are evaluated here, so that all
 * shards see one value, and so are functions that the user made.  Volatile
 * functions that are called once in a statement (the defaults of an inserted
 * row, nextval() above all) are evaluated here too: sequences live on the
 * coordinator.  Volatile functions that must be called for each row travel
 * when they depend on nothing but chance or the clock.
 *
 * What must stay true: a statement that was let through gives on the shard
 * what it would have given on one server.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "shard/metadata/metadata.h"
#include "shard/planner/aggregates.h"
#include "shard/planner/assign.h"
#include "shard/planner/check_option.h"
#include "shard/planner/lift.h"

typedef struct LiftState
{
	Lift *lift;
	List *levels; /* Query, innermost first */
	bool once;	  /* what is here is evaluated once per statement */
	LiftScope scope;
	List *assignments; /* nodes that assign a part of a column, where SQL can say so */
} LiftState;

/* Volatile functions that any node answers as well as this one. */
static const Oid free_functions[] = {COMPAT_F_RANDOM, F_GEN_RANDOM_UUID, F_CLOCK_TIMESTAMP,
									 F_TIMEOFDAY};

/* See lift_identity. */
static bool identity_travels = false;

static bool facts_walker(Node *node, void *context);
static bool facts_function(Oid function, void *context);
static Node *lift_mutator(Node *node, void *context);
static bool shows_constants(Node *node);
static bool is_cast(Node *node);
static Node *lift_around(Node *node, LiftState *state);
static Node *lift_in_query(Query *query, LiftState *state);
static Node *lift_constant(Const *constant, LiftState *state);
static bool param_walker(Node *node, void *context);
static Node *lift_param(Param *param, LiftState *state);
static bool is_row(Var *var);
static Node *lift_row(Var *var, LiftState *state);
static bool is_nullable(int rti, Node *item, bool nullable);
static bool is_assignment(Node *node);
static void know_assignments(TargetEntry *tle, LiftState *state);
static Node *lift_assignment(Node *node, LiftState *state);
static bool is_value(Node *node);
static Node *lift_value(Node *node, LiftState *state);
static Node *as_param(Expr *expr, bool shared, LiftState *state);
static bool asks_for_object(Node *node);
static bool converts_object(Expr *from, Node *to);
static Node *lift_type_of(FuncExpr *call, LiftState *state);
static bool names_type(Node *node);
static Oid operator_of(Node *node);
static bool travels(Node *node, LiftState *state);
static bool tells_inserted(Node *node, LiftState *state);
static bool travels_function(Oid function, void *context);
static bool type_travels(Oid type, LiftState *state);
static bool collation_travels(Oid collation, LiftState *state);
static bool is_temporary_type(Oid type);
static bool refuse(LiftState *state, char *why);
static bool reads_walker(Node *node, void *context);
static bool is_on_shards(RangeTblEntry *rte);
static bool check_query(Query *query, LiftState *state);
static bool check_assignment(TargetEntry *tle, LiftState *state);
static bool check_targets(List *targets, LiftState *state);

bool
lift_identity(bool on)
{
	bool before = identity_travels;

	identity_travels = on;
	return before;
}

bool
lift_builtin(Oid oid)
{
	return oid < FirstGenbkiObjectId;
}

ExprFacts
expr_facts(Node *node)
{
	ExprFacts facts = {.volatility = PROVOLATILE_IMMUTABLE};

	facts_walker(node, &facts);
	return facts;
}

bool
lift_query(Query *query, LiftScope scope, Lift *lift)
{
	LiftState state = {.lift = lift, .scope = scope};

	/* An INSERT of a single row: no table, no list of rows below it. */
	state.once = query->commandType == CMD_INSERT && query->jointree->fromlist == NIL;
	lift_in_query(query, &state);
	return lift->why == NULL;
}

Node *
lift_expr(Node *expr, Lift *lift)
{
	LiftState state = {.lift = lift};
	Node *lifted = lift_mutator(expr, &state);

	return lift->why == NULL ? lifted : NULL;
}

Node *
lift_value_of_row(Node *expr, Lift *lift)
{
	LiftState state = {.lift = lift, .once = true};
	Node *lifted = lift_mutator(expr, &state);

	return lift->why == NULL ? lifted : NULL;
}

Node *
lift_as_param(Expr *expr, Lift *lift)
{
	LiftState state = {.lift = lift};

	return as_param(expr, false, &state);
}

bool
lift_is_nullable(int rti, FromExpr *jointree)
{
	return is_nullable(rti, (Node *) jointree, false);
}

bool
lift_has_params(Query *query)
{
	return param_walker((Node *) query, NULL);
}

static bool
param_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param))
		return ((Param *) node)->paramkind == PARAM_EXTERN;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, param_walker, context, QTW_IGNORE_JOINALIASES);
	return expression_tree_walker(node, param_walker, context);
}

static bool
facts_walker(Node *node, void *context)
{
	ExprFacts *facts = context;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Aggref:
		case T_GroupingFunc:
		case T_WindowFunc:
		case T_SubLink:
		case T_SubPlan:
		case T_AlternativeSubPlan:
		case T_PlaceHolderVar:
		case T_CaseTestExpr:
		case T_CoerceToDomainValue:
		case T_SetToDefault:
		case T_CurrentOfExpr:
		case T_Query:
			facts->bound = true;
			break;
		case T_Param:
			facts->bound |= ((Param *) node)->paramkind != PARAM_EXTERN;
			break;
		case T_SQLValueFunction:
			if (facts->volatility == PROVOLATILE_IMMUTABLE)
				facts->volatility = PROVOLATILE_STABLE;
			break;
		case T_NextValueExpr:
			facts->volatility = PROVOLATILE_VOLATILE;
			break;
		case T_FuncExpr:
			facts->bound |= ((FuncExpr *) node)->funcretset;
			break;
		case T_ArrayCoerceExpr:
			/* The placeholder in the conversion of an element is none of a row. */
			(void) facts_walker((Node *) ((ArrayCoerceExpr *) node)->arg, facts);
			if (contain_mutable_functions((Node *) ((ArrayCoerceExpr *) node)->elemexpr) &&
				facts->volatility == PROVOLATILE_IMMUTABLE)
				facts->volatility = PROVOLATILE_STABLE;
			return false;
		default:
			break;
	}
	(void) check_functions_in_node(node, facts_function, facts);
	facts->local |= asks_for_object(node);
	return expression_tree_walker(node, facts_walker, context);
}

bool
lift_names_object(Oid type)
{
	static const Oid types[] = {REGCLASSOID,	REGTYPEOID,		  REGPROCOID,	   REGPROCEDUREOID,
								REGOPEROID,		REGROLEOID,		  REGNAMESPACEOID, REGCONFIGOID,
								REGOPERATOROID, REGDICTIONARYOID, REGCOLLATIONOID};
	Oid base = getBaseType(type);
	Oid element = get_element_type(base);

	if (OidIsValid(element))
		return lift_names_object(element);
	for (size_t i = 0; i < lengthof(types); i++)
	{
		if (types[i] == base)
			return true;
	}
	return false;
}

/* Does it make a number or text of an object, or the other way round?  Both are others elsewhere. */
static bool
asks_for_object(Node *node)
{
	FuncExpr *call = (FuncExpr *) node;
	ListCell *cell;

	switch (nodeTag(node))
	{
		case T_RelabelType:
			return converts_object(((RelabelType *) node)->arg, node);
		case T_CoerceViaIO:
			return converts_object(((CoerceViaIO *) node)->arg, node);
		case T_ArrayCoerceExpr:
			return converts_object(((ArrayCoerceExpr *) node)->arg, node);
		case T_FuncExpr:
			break;
		default:
			return false;
	}
	if (func_volatile(call->funcid) == PROVOLATILE_IMMUTABLE || !lift_builtin(call->funcid))
		return false;
	foreach (cell, call->args)
	{
		Oid type = exprType(lfirst(cell));

		if (type == OIDOID || lift_names_object(type))
			return true;
	}
	return lift_names_object(call->funcresulttype) ||
		   strncmp(get_func_name(call->funcid), "has_", strlen("has_")) == 0;
}

static bool
converts_object(Expr *from, Node *to)
{
	return exprType((Node *) from) != exprType(to) &&
		   (lift_names_object(exprType((Node *) from)) || lift_names_object(exprType(to)));
}

static bool
facts_function(Oid function, void *context)
{
	ExprFacts *facts = context;
	char volatility = func_volatile(function);

	if (volatility == PROVOLATILE_VOLATILE || facts->volatility == PROVOLATILE_IMMUTABLE)
		facts->volatility = volatility;
	facts->local |= !lift_builtin(function);
	return false;
}

static Node *
lift_mutator(Node *node, void *context)
{
	LiftState *state = context;

	if (node == NULL || state->lift->why != NULL)
		return node;
	if (IsA(node, Query))
	{
		bool once = state->once;

		state->once = false;
		node = lift_in_query((Query *) node, state);
		state->once = once;
		return node;
	}
	if (IsA(node, Param))
		return lift_param((Param *) node, state);
	if (IsA(node, Const))
		return lift_constant((Const *) node, state);
	if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcid == F_PG_TYPEOF)
		return lift_type_of((FuncExpr *) node, state);
	if (state->lift->constants &&
		(IsA(node, ArrayExpr) ||
		 (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcformat == COERCE_SQL_SYNTAX)))
	{
		/* Long lists stay as they are, and words like those of extract(day FROM ...). */
		state->lift->constants = false;
		node = expression_tree_mutator(node, lift_mutator, state);
		state->lift->constants = true;
		return node;
	}
	if (state->lift->constants && shows_constants(node))
		return lift_around(node, state);
	if (IsA(node, OnConflictExpr))
	{
		OnConflictExpr *conflict = (OnConflictExpr *) node;

		/* What chooses the index must stay as it is. */
		conflict->onConflictSet = (List *) lift_mutator((Node *) conflict->onConflictSet, state);
		conflict->onConflictWhere = lift_mutator(conflict->onConflictWhere, state);
		return node;
	}
	if (IsA(node, TargetEntry) && state->levels != NIL)
		know_assignments((TargetEntry *) node, state);
	else if (is_assignment(node) && !list_member_ptr(state->assignments, node))
		return lift_assignment(node, state);
	if (IsA(node, TargetEntry) && !((TargetEntry *) node)->resjunk &&
		IsA(((TargetEntry *) node)->expr, Var) && is_row((Var *) ((TargetEntry *) node)->expr))
	{
		TargetEntry *tle = (TargetEntry *) copyObject(node);

		tle->expr = (Expr *) lift_row((Var *) tle->expr, state);
		return (Node *) tle;
	}
	if (is_value(node))
	{
		Node *lifted = lift_value(node, state);

		if (lifted != NULL)
			return lifted;
	}
	if (!travels(node, state))
		return node;
	return expression_tree_mutator(node, lift_mutator, state);
}

/*
 * Constants among the arguments that are part of how the expression is
 * written: the field of EXTRACT, the length of a cast.
 */
static bool
shows_constants(Node *node)
{
	List *args;
	ListCell *cell;

	if (IsA(node, XmlExpr))
		args = ((XmlExpr *) node)->args;
	else if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcformat != COERCE_EXPLICIT_CALL)
		args = ((FuncExpr *) node)->args;
	else
		return false;
	foreach (cell, args)
	{
		if (IsA(lfirst(cell), Const) && (foreach_current_index(cell) > 0 || !is_cast(node)))
			return true;
	}
	return false;
}

/* What a cast converts is a value like any other. */
static bool
is_cast(Node *node)
{
	return IsA(node, FuncExpr) && (((FuncExpr *) node)->funcformat == COERCE_EXPLICIT_CAST ||
								   ((FuncExpr *) node)->funcformat == COERCE_IMPLICIT_CAST);
}

/* Lifts what is below such a node, but for these constants. */
static Node *
lift_around(Node *node, LiftState *state)
{
	Node *result = copyObject(node);
	List *args = IsA(node, XmlExpr) ? ((XmlExpr *) node)->args : ((FuncExpr *) node)->args;
	List *lifted = NIL;
	ListCell *cell;

	if (is_value(node))
	{
		Node *value = lift_value(node, state);

		if (value != NULL)
			return value;
	}
	if (!travels(node, state))
		return node;
	foreach (cell, args)
	{
		Node *arg = lfirst(cell);

		if (!IsA(arg, Const) || (foreach_current_index(cell) == 0 && is_cast(node)))
			arg = lift_mutator(arg, state);
		lifted = lappend(lifted, arg);
	}
	if (IsA(node, XmlExpr))
	{
		((XmlExpr *) result)->named_args =
			(List *) lift_mutator((Node *) ((XmlExpr *) node)->named_args, state);
		((XmlExpr *) result)->args = lifted;
	}
	else
		((FuncExpr *) result)->args = lifted;
	return result;
}

static Node *
lift_in_query(Query *query, LiftState *state)
{
	if (!check_query(query, state))
		return (Node *) query;
	state->levels = lcons(query, state->levels);
	query = query_tree_mutator(query, lift_mutator, state,
							   QTW_DONT_COPY_QUERY | QTW_IGNORE_JOINALIASES);
	state->levels = list_delete_first(state->levels);
	return (Node *) query;
}

/* A value that another statement of the same form may have another of. */
static Node *
lift_constant(Const *constant, LiftState *state)
{
	if ((constant->consttype == RECORDOID || constant->consttype == RECORDARRAYOID) &&
		!constant->constisnull)
		(void) refuse(state, "It has a row as a constant, which could not be read elsewhere.");
	(void) type_travels(constant->consttype, state);
	if (!state->lift->constants || list_length(state->lift->params) >= LIFT_MAX_CONSTANTS ||
		constant->constisnull || !lift_builtin(constant->consttype) ||
		constant->consttypmod != -1 || get_typtype(constant->consttype) == TYPTYPE_PSEUDO)
		return (Node *) constant;
	state->lift->nconstants++;
	return as_param((Expr *) constant, !state->lift->apart, state);
}

/* Parameters of the session get a number of ours. */
static Node *
lift_param(Param *param, LiftState *state)
{
	if (param->paramkind != PARAM_EXTERN)
	{
		if (param->paramkind == PARAM_EXEC && state->lift->keeps_exec_params)
			return as_param((Expr *) param, true, state);
		if (param->paramkind == PARAM_EXEC)
			refuse(state, "It depends on a value that is known only while a plan runs.");
		return (Node *) param;
	}
	if (get_typtype(param->paramtype) == TYPTYPE_PSEUDO)
	{
		refuse(state, "It has a parameter of a type that has no values of its own.");
		return (Node *) param;
	}
	return as_param((Expr *) param, true, state);
}

/* A row of a table as a value; those of subqueries have no name. */
static bool
is_row(Var *var)
{
	return var->varattno == 0 && var->vartype != RECORDOID;
}

/*
 * A row of a table as a column of the result.  The deparser would name the
 * type of the table, and that of a shard's rows is another: so the row is put
 * together from its columns.  One that an outer join made null would come out
 * as a row of nulls, though.
 */
static Node *
lift_row(Var *var, LiftState *state)
{
	Query *query = linitial(state->levels);
	RangeTblEntry *rte = rt_fetch(var->varno, query->rtable);

	if (list_length(state->levels) > 1 || rte->rtekind != RTE_RELATION ||
		is_nullable(var->varno, (Node *) query->jointree, false))
	{
		refuse(state, "It uses a row of a table as a value.");
		return (Node *) var;
	}
	return (Node *) lift_row_of(rte, var->varno, 0, RECORDOID);
}

RowExpr *
lift_row_of(RangeTblEntry *rte, int rti, int levels, Oid type)
{
	RowExpr *row = makeNode(RowExpr);

	compat_expand_rte(rte, rti, levels, -1, type != RECORDOID, &row->colnames, &row->args);
	row->row_typeid = type;
	row->row_format = COERCE_IMPLICIT_CAST;
	row->location = -1;
	return row;
}

/* May an outer join have made the rows of this relation null? */
static bool
is_nullable(int rti, Node *item, bool nullable)
{
	ListCell *cell;
	JoinExpr *join;

	if (IsA(item, RangeTblRef))
		return nullable && ((RangeTblRef *) item)->rtindex == rti;
	if (IsA(item, FromExpr))
	{
		foreach (cell, ((FromExpr *) item)->fromlist)
		{
			if (is_nullable(rti, lfirst(cell), nullable))
				return true;
		}
		return false;
	}
	join = castNode(JoinExpr, item);
	return is_nullable(rti, join->larg,
					   nullable || join->jointype == JOIN_RIGHT || join->jointype == JOIN_FULL) ||
		   is_nullable(rti, join->rarg,
					   nullable || join->jointype == JOIN_LEFT || join->jointype == JOIN_FULL);
}

/* Does it make a value of another, with one part of it changed?  There is no expression for that. */
static bool
is_assignment(Node *node)
{
	return IsA(node, FieldStore) ||
		   (IsA(node, SubscriptingRef) && ((SubscriptingRef *) node)->refassgnexpr != NULL);
}

/* SET a[1].b = value, or INSERT INTO t (a[1].b): nodes from the outside to the value. */
static void
know_assignments(TargetEntry *tle, LiftState *state)
{
	Node *node = (Node *) tle->expr;

	if (((Query *) linitial(state->levels))->commandType == CMD_SELECT)
		return;
	while (node != NULL && (is_assignment(node) || IsA(node, CoerceToDomain)))
	{
		if (IsA(node, CoerceToDomain))
		{
			node = (Node *) ((CoerceToDomain *) node)->arg;
			continue;
		}
		state->assignments = lappend(state->assignments, node);
		node = IsA(node, FieldStore) ? linitial(((FieldStore *) node)->newvals)
									 : (Node *) ((SubscriptingRef *) node)->refassgnexpr;
	}
}

/* In a row of values, or a SELECT. */
static Node *
lift_assignment(Node *node, LiftState *state)
{
	if (!expr_facts(node).bound && state->once)
		return as_param((Expr *) node, false, state);
	refuse(state, "It assigns a part of a column where SQL has no words for it.");
	return node;
}

/* Nodes that compute a value which a parameter could stand for. */
static bool
is_value(Node *node)
{
	switch (nodeTag(node))
	{
		case T_FuncExpr:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_BoolExpr:
		case T_RelabelType:
		case T_CoerceViaIO:
		case T_ArrayCoerceExpr:
		case T_CaseExpr:
		case T_ArrayExpr:
		case T_CoalesceExpr:
		case T_MinMaxExpr:
		case T_SQLValueFunction:
		case T_NextValueExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_CoerceToDomain:
		case T_FieldSelect:
		case T_RowCompareExpr:
			return true;
		case T_SubscriptingRef:
			return !is_assignment(node);
		default:
			return false;
	}
}

/* A parameter in place of "node" if it must be evaluated here, else NULL. */
static Node *
lift_value(Node *node, LiftState *state)
{
	ExprFacts facts = expr_facts(node);

	if (facts.bound || (facts.volatility == PROVOLATILE_IMMUTABLE && !facts.local))
		return NULL;
	if (facts.volatility == PROVOLATILE_VOLATILE && !state->once)
		return NULL;
	if (get_typtype(exprType(node)) == TYPTYPE_PSEUDO)
		return NULL;
	return as_param((Expr *) node, facts.volatility != PROVOLATILE_VOLATILE, state);
}

Param *
lift_numbered_param(int number, Oid type, int32 typmod, Oid collation)
{
	Param *param = makeNode(Param);

	param->paramkind = PARAM_EXTERN;
	param->paramid = number;
	param->paramtype = type;
	param->paramtypmod = typmod;
	param->paramcollid = collation;
	param->location = -1;
	return param;
}

/*
 * A parameter that stands for "expr"; "shared" when an equal expression may
 * use the same.  Types that other nodes may know under another oid are named
 * in the text.
 */
static Node *
as_param(Expr *expr, bool shared, LiftState *state)
{
	Lift *lift = state->lift;
	Node *result;
	Oid type = exprType((Node *) expr);
	Oid collation = exprCollation((Node *) expr);
	int number = 0;

	(void) type_travels(type, state);
	if (shared)
	{
		for (int i = 0; i < list_length(lift->params) && number == 0; i++)
		{
			if (equal(list_nth(lift->params, i), expr))
				number = i + 1;
		}
	}
	if (number == 0)
	{
		lift->params = lappend(lift->params, expr);
		number = list_length(lift->params);
	}
	result = (Node *) lift_numbered_param(number, type, exprTypmod((Node *) expr),
										  get_typcollation(type));
	if (!lift_builtin(type))
		result = (Node *) makeRelabelType((Expr *) result, type, -1, get_typcollation(type),
										  COERCE_EXPLICIT_CAST);
	if (OidIsValid(collation) && collation != get_typcollation(type))
	{
		CollateExpr *collate = makeNode(CollateExpr);

		(void) collation_travels(collation, state);
		collate->arg = (Expr *) result;
		collate->collOid = collation;
		collate->location = -1;
		result = (Node *) collate;
	}
	return result;
}

/* Is it written with the name of its type? */
static bool
names_type(Node *node)
{
	switch (nodeTag(node))
	{
		case T_RowExpr:
		case T_RelabelType:
		case T_CoerceViaIO:
		case T_ArrayCoerceExpr:
		case T_ConvertRowtypeExpr:
		case T_ArrayExpr:
		case T_CoerceToDomain:
			return true;
		default:
			return false;
	}
}

/* The operator by whose name the node is written, if any: its function may be another's too. */
static Oid
operator_of(Node *node)
{
	switch (nodeTag(node))
	{
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			return ((OpExpr *) node)->opno;
		case T_ScalarArrayOpExpr:
			return ((ScalarArrayOpExpr *) node)->opno;
		default:
			return InvalidOid;
	}
}

/* May this node itself, apart from what is below it, be sent as it is? */
static bool
travels(Node *node, LiftState *state)
{
	if (IsA(node, Var))
	{
		if (((Var *) node)->varattno < 0 && !identity_travels && !tells_inserted(node, state))
			return refuse(state, "It uses a system column, whose values mean nothing elsewhere.");
		if (is_row((Var *) node) && state->levels == NIL)
			return refuse(state, "It uses a row of a table as a value.");
		return true;
	}
	if (names_type(node) && !type_travels(exprType(node), state))
		return false;
	if (IsA(node, CollateExpr) && !collation_travels(((CollateExpr *) node)->collOid, state))
		return false;
	if (OidIsValid(operator_of(node)) && !lift_builtin(operator_of(node)))
		return refuse(state,
					  psprintf("Operator %s is not built in, and may not exist on other nodes.",
							   get_opname(operator_of(node))));
	if (IsA(node, NextValueExpr))
		return refuse(state, "A sequence would have to be asked for each row.");
	if (IsA(node, CurrentOfExpr))
		return refuse(state, "WHERE CURRENT OF has no meaning on a shard.");
	if (IsA(node, WithCheckOption))
		return refuse(state, "It is checked against a view or a row security policy.");
	if (IsA(node, TableSampleClause) && state->scope == LIFT_EVERY_COPY)
		return refuse(state, "TABLESAMPLE chooses other rows on each copy.");
	if (check_functions_in_node(node, travels_function, state))
		return false;
	return !asks_for_object(node) ||
		   refuse(state, "It asks for an object, which is another or none elsewhere.");
}

/* RETURNING xmax = 0: was the row inserted, or in conflict? */
static bool
tells_inserted(Node *node, LiftState *state)
{
	return ((Var *) node)->varattno == MaxTransactionIdAttributeNumber &&
		   list_length(state->levels) == 1 &&
		   ((Query *) linitial(state->levels))->commandType == CMD_INSERT;
}

static bool
travels_function(Oid function, void *context)
{
	LiftState *state = context;

	if (check_option_is_refusal(function))
		return false;
	if (!lift_builtin(function) && !aggregate_is_part(function))
	{
		refuse(state, psprintf("Function %s is not built in, and may not exist on other nodes.",
							   get_func_name(function)));
		return true;
	}
	if (func_volatile(function) != PROVOLATILE_VOLATILE)
		return false;
	for (size_t i = 0; i < lengthof(free_functions) && state->scope != LIFT_EVERY_COPY; i++)
	{
		if (free_functions[i] == function)
			return false;
	}
	refuse(state,
		   psprintf("Function %s would have to be called for each row.", get_func_name(function)));
	return true;
}

/* The type of an expression is known here. */
static Node *
lift_type_of(FuncExpr *call, LiftState *state)
{
	Oid type = exprType(linitial(call->args));

	if (!lift_builtin(type))
	{
		refuse(state, "It shows a type, which other nodes may not have.");
		return (Node *) call;
	}
	return (Node *) makeConst(REGTYPEOID, -1, InvalidOid, sizeof(Oid), ObjectIdGetDatum(type),
							  false, true);
}

/* May other nodes know the type under its name?  Not those of temporary objects, and of tables' rows. */
static bool
type_travels(Oid type, LiftState *state)
{
	Oid element;
	Oid relid;

	if (lift_builtin(type))
		return true;
	element = get_element_type(type);
	if (OidIsValid(element))
		return type_travels(element, state);
	relid = get_typ_typrelid(type);
	if (OidIsValid(relid) && get_rel_relkind(relid) != RELKIND_COMPOSITE_TYPE)
		return refuse(state, "It names the type of a table's rows, which shards do not have.");
	if (is_temporary_type(type))
		return refuse(state, "It names a temporary type, which other nodes do not have.");
	return true;
}

bool
lift_collation_travels(Oid collation)
{
	Relation depend;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;
	bool used = false;

	if (collation < FirstNormalObjectId)
		return true;
	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(CollationRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(collation));
	depend = table_open(DependRelationId, AccessShareLock);
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, lengthof(keys), keys);
	while (!used && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		used = form->classid == RelationRelationId && metadata_table(form->objid) != NULL;
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return used;
}

static bool
collation_travels(Oid collation, LiftState *state)
{
	return lift_collation_travels(collation) ||
		   refuse(state, psprintf("Collation \"%s\" may not exist on other nodes.",
								  get_collation_name(collation)));
}

static bool
is_temporary_type(Oid type)
{
	HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	bool temporary = false;

	if (HeapTupleIsValid(tuple))
	{
		temporary = isAnyTempNamespace(((Form_pg_type) GETSTRUCT(tuple))->typnamespace);
		ReleaseSysCache(tuple);
	}
	return temporary;
}

/* Always false; the first reason stays. */
static bool
refuse(LiftState *state, char *why)
{
	if (state->lift->why == NULL)
		state->lift->why = why;
	return false;
}

/* What the deparsed text would not say, or would say wrongly. */
static bool
check_query(Query *query, LiftState *state)
{
	bool has_limit = query->limitCount != NULL || query->limitOffset != NULL;
	ListCell *cell;

	if (query->commandType == CMD_MERGE && !state->lift->merge)
		return refuse(state, "MERGE does not travel to shards as a whole.");
	if (query->commandType == CMD_UTILITY)
		return refuse(state, "It contains a utility command.");
	if (query->hasRowSecurity)
		return refuse(state, "Row security applies to one of its tables.");
	if (query->withCheckOptions != NIL)
		return refuse(state, "It is checked against a view or a row security policy.");
	if (state->scope == LIFT_EVERY_COPY && has_limit)
		return refuse(state, "LIMIT may choose other rows on each copy.");
	if (state->scope == LIFT_EVERY_SHARD && state->levels != NIL &&
		!lift_reads((Node *) query, is_on_shards) &&
		(has_limit || contain_volatile_functions((Node *) query)))
		return refuse(state, "A subquery of it may come out differently on each shard.");
	foreach (cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);

		if (rte->securityQuals != NIL)
			return refuse(state, "Row security applies to one of its tables.");
		if (rte->security_barrier)
			return refuse(state,
						  "A view of it is a security barrier, which its SQL would not say.");
		if (rte->rtekind == RTE_NAMEDTUPLESTORE)
			return refuse(state, "It reads a transition table.");
	}
	if (query->commandType == CMD_INSERT || query->commandType == CMD_UPDATE)
	{
		if (!check_targets(query->targetList, state))
			return false;
	}
	foreach (cell, query->mergeActionList)
	{
		if (!check_targets(((MergeAction *) lfirst(cell))->targetList, state))
			return false;
	}
	return query->onConflict == NULL || check_targets(query->onConflict->onConflictSet, state);
}

typedef struct Reads
{
	bool (*fits)(RangeTblEntry *rte);
} Reads;

bool
lift_reads(Node *node, bool (*fits)(RangeTblEntry *rte))
{
	Reads reads = {fits};

	if (node != NULL && IsA(node, RangeTblEntry))
		return range_table_entry_walker((RangeTblEntry *) node, reads_walker, &reads,
										QTW_EXAMINE_RTES_BEFORE | QTW_IGNORE_JOINALIASES);
	return reads_walker(node, &reads);
}

static bool
reads_walker(Node *node, void *context)
{
	const Reads *reads = context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
		return ((RangeTblEntry *) node)->rtekind == RTE_RELATION &&
			   reads->fits((RangeTblEntry *) node);
	if (!IsA(node, Query))
		return expression_tree_walker(node, reads_walker, context);
	return query_tree_walker((Query *) node, reads_walker, context,
							 QTW_EXAMINE_RTES_BEFORE | QTW_IGNORE_JOINALIASES);
}

static bool
is_on_shards(RangeTblEntry *rte)
{
	const DistributedTable *table = metadata_table(rte->relid);

	return table != NULL && table->kind == TABLE_HASH;
}

/*
 * The rewriter sorts assignments by column and merges those to parts of one
 * column; the deparser expects them as the user wrote them.  Several fields
 * become one row.
 */
static bool
check_targets(List *targets, LiftState *state)
{
	int last = 0;
	ListCell *cell;

	foreach (cell, targets)
	{
		TargetEntry *tle = lfirst(cell);
		int paramid = 0;

		if (tle->resjunk)
			continue;
		if (IsA(tle->expr, Param) && ((Param *) tle->expr)->paramkind == PARAM_MULTIEXPR)
		{
			/* The upper half tells the subquery, the lower half its column. */
			paramid = ((Param *) tle->expr)->paramid;
			if ((paramid & 0xFFFF) != 1 && paramid != last + 1)
				return refuse(state, "It assigns the columns of one subquery out of order.");
		}
		else if (!check_assignment(tle, state))
			return false;
		last = paramid;
	}
	return true;
}

static bool
check_assignment(TargetEntry *tle, LiftState *state)
{
	Node *expr = (Node *) tle->expr;
	Node *base = NULL;

	while (expr != NULL && IsA(expr, CoerceToDomain))
		expr = (Node *) ((CoerceToDomain *) expr)->arg;
	if (expr != NULL && IsA(expr, FieldStore))
	{
		if (list_length(((FieldStore *) expr)->newvals) != 1)
		{
			Expr *row = assign_row(tle->expr);

			if (row == NULL)
				return refuse(state, "It assigns several fields of one column.");
			tle->expr = row;
			return true;
		}
		base = (Node *) ((FieldStore *) expr)->arg;
	}
	else if (expr != NULL && IsA(expr, SubscriptingRef) &&
			 ((SubscriptingRef *) expr)->refassgnexpr != NULL)
		base = (Node *) ((SubscriptingRef *) expr)->refexpr;
	if (base != NULL && !IsA(base, Var) && !IsA(base, Const))
		return refuse(state, "It assigns several parts of one column.");
	return true;
}
