/*-------------------------------------------------------------------------
 * call.c
 *	  Calls of functions that run where their key lives.
 *
 * "SELECT f(key, ...)" and "SELECT ... FROM f(key, ...)", where the call is
 * all there is, are sent as they are to the group that has the key's shard;
 * the arguments are evaluated here.  What turns out to need more than that
 * group has is called again here.  A call that is part of more, or whose
 * result has no type that could travel, runs here like any other: with the
 * same result, as the statements inside go to the shards one by one.
 *
 * A call that gives one value stays an expression: one of pgcluster.call
 * (executor/call_value.c).  CALL is ddl/call.c's.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/planmain.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "shard/metadata/catalog.h"
#include "shard/planner/call.h"
#include "shard/planner/lift.h"
#include "shard/planner/pin.h"
#include "shard/planner/statement.h"
#include "shard/planner/template.h"

/* While on, calls are planned as if no function was distributed. */
static bool plans_here = false;

static FuncExpr *find_call(Query *query);
static bool is_bare(Query *query);
static bool result_travels(Query *query);
static bool take_arguments(FuncExpr *call, int key, ShardPlan *plan);
static void depend_on(PlannedStmt *statement, Oid relid, Oid function);
static PlannedStmt *plan_value(const PlanRequest *request, Query *query, FuncExpr *call, int key,
							   const DistributedTable *table);

PlannedStmt *
plan_call(const PlanRequest *request)
{
	FuncExpr *call;
	const DistributedTable *table;
	Query *query;
	ShardPlan *plan;
	PlannedStmt *statement;
	int argument;
	Oid key_type;

	if (plans_here || (call = find_call(request->query)) == NULL)
		return NULL;
	table = call_table(call->funcid, &argument);
	if (table == NULL || !result_travels(request->query) || !call_names_travel())
		return NULL;

	query = copyObject(request->query);
	call = find_call(query);
	if (query->rtable == NIL && !query->hasTargetSRFs)
		return plan_value(request, query, call, argument, table);
	plan = shard_plan_create(TIER_CALL, CMD_SELECT, table->relid);
	plan->query = copyObject(request->query);
	plan->writes = func_volatile(call->funcid) == PROVOLATILE_VOLATILE;
	plan->few = !call->funcretset;
	if (!take_arguments(call, argument, plan))
		return NULL;
	key_type = exprType((Node *) plan->key);
	plan->key_hash = pin_hash_function(table->key_type, key_type);
	if (!OidIsValid(plan->key_hash))
		return NULL;
	plan->key_collation = table->key_collation;
	template_make(query, plan);
	statement = statement_create(request, plan, call->funcretset ? 1000 : 1);
	depend_on(statement, plan->relid, call->funcid);
	return statement;
}

/* A call of pgcluster.call in the place of a call that gives one value. */
static PlannedStmt *
plan_value(const PlanRequest *request, Query *query, FuncExpr *call, int key,
		   const DistributedTable *table)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(call->funcid));
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);
	TargetEntry *target = linitial_node(TargetEntry, query->targetList);
	PlannedStmt *statement;
	Oid any = InvalidOid;
	bool fits = form->prorettype == call->funcresulttype && form->provariadic != ANYOID;
	List *arguments = expand_function_arguments(call->args, false, call->funcresulttype, tuple);
	ListCell *cell;

	foreach (cell, arguments)
		fits &= exprType(lfirst(cell)) == form->proargtypes.values[foreach_current_index(cell)] &&
				!expr_facts(lfirst(cell)).bound && !expression_returns_set(lfirst(cell));
	fits &= list_length(arguments) == form->pronargs && key < form->pronargs &&
			OidIsValid(pin_hash_function(table->key_type, form->proargtypes.values[key]));
	ReleaseSysCache(tuple);
	if (!fits)
		return NULL;
	arguments = lcons(makeConst(REGPROCEDUREOID, -1, InvalidOid, sizeof(Oid),
								ObjectIdGetDatum(call->funcid), false, true),
					  arguments);
	arguments = lcons(makeNullConst(call->funcresulttype, -1, call->funccollid), arguments);
	target->expr = (Expr *) makeFuncExpr(
		LookupFuncName(list_make2(makeString("pgcluster"), makeString("call")), -1, &any, false),
		call->funcresulttype, arguments, call->funccollid, call->inputcollid, COERCE_EXPLICIT_CALL);
	statement = planner_server(request, query);
	depend_on(statement, table->relid, call->funcid);
	return statement;
}

PlannedStmt *
plan_call_here(Query *query, const char *source, ParamListInfo params)
{
	bool before = plans_here;
	PlannedStmt *statement = NULL;

	PG_TRY();
	{
		plans_here = true;
		statement = planner(copyObject(query), source, 0, params);
	}
	PG_FINALLY();
	{
		plans_here = before;
	}
	PG_END_TRY();
	return statement;
}

Oid
call_function(Query *query)
{
	return find_call(query)->funcid;
}

/* With pg_catalog further behind, the names in other statements could mean something else there. */
bool
call_names_travel(void)
{
	return strstr(namespace_search_path, "pg_catalog") == NULL;
}

static bool
has_rules(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool found = HeapTupleIsValid(tuple) && ((Form_pg_class) GETSTRUCT(tuple))->relhasrules;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return found;
}

/*
 * A table of the colocation group; InvalidOid when there is none, or when a
 * distributed table has rules: these rewrite statements here only.
 */
static Oid
find_table(int colocation_id)
{
	static uint64 known_at = 0;
	static int known_colocation = 0;
	static Oid known = InvalidOid;
	Oid found = InvalidOid;
	uint64 now;
	ListCell *cell;

	if (known_colocation == colocation_id && known_at == metadata_generation())
		return known;
	now = metadata_generation();
	foreach (cell, metadata_tables())
	{
		const DistributedTable *table = metadata_table(lfirst_oid(cell));

		if (has_rules(lfirst_oid(cell)))
		{
			found = InvalidOid;
			break;
		}
		if (table != NULL && table->colocation->id == colocation_id && !OidIsValid(found))
			found = table->relid;
	}
	known_at = now;
	known_colocation = colocation_id;
	known = found;
	return found;
}

const DistributedTable *
call_table(Oid function, int *argument)
{
	const FunctionRow *row = metadata_function(function);

	if (row == NULL || row->argument == 0)
		return NULL;
	*argument = row->argument - 1;
	return metadata_table(find_table(row->colocation_id));
}

/* The call that the query consists of; NULL if it is not just one. */
static FuncExpr *
find_call(Query *query)
{
	Node *call;
	RangeTblEntry *rte;
	ListCell *cell;

	if (query->commandType != CMD_SELECT || list_length(query->rtable) > 1 || !is_bare(query))
		return NULL;
	if (query->rtable == NIL)
	{
		if (query->jointree->fromlist != NIL || list_length(query->targetList) != 1)
			return NULL;
		call = (Node *) linitial_node(TargetEntry, query->targetList)->expr;
		return IsA(call, FuncExpr) ? (FuncExpr *) call : NULL;
	}
	rte = linitial_node(RangeTblEntry, query->rtable);
	if (rte->rtekind != RTE_FUNCTION || rte->funcordinality || list_length(rte->functions) != 1 ||
		list_length(query->jointree->fromlist) != 1)
		return NULL;
	foreach (cell, query->targetList)
	{
		Var *var = (Var *) lfirst_node(TargetEntry, cell)->expr;

		if (!IsA(var, Var) || var->varno != 1 || var->varattno <= 0)
			return NULL;
	}
	call = linitial_node(RangeTblFunction, rte->functions)->funcexpr;
	return IsA(call, FuncExpr) ? (FuncExpr *) call : NULL;
}

/* Nothing but a target list and FROM? */
static bool
is_bare(Query *query)
{
	return query->jointree->quals == NULL && query->cteList == NIL && !query->hasAggs &&
		   !query->hasWindowFuncs && !query->hasSubLinks && query->groupClause == NIL &&
		   query->groupingSets == NIL && query->havingQual == NULL &&
		   query->distinctClause == NIL && query->sortClause == NIL && query->limitCount == NULL &&
		   query->limitOffset == NULL && query->rowMarks == NIL && query->setOperations == NULL &&
		   query->utilityStmt == NULL;
}

/* Can another server give values of these types?  Nothing at all is a value, too. */
static bool
result_travels(Query *query)
{
	ListCell *cell;

	foreach (cell, query->targetList)
	{
		Oid type = exprType((Node *) lfirst_node(TargetEntry, cell)->expr);

		if (type != VOIDOID && get_typtype(type) == TYPTYPE_PSEUDO)
			return false;
	}
	return true;
}

/* Puts parameters in the place of the arguments; "key" is the number of one of them. */
static bool
take_arguments(FuncExpr *call, int key, ShardPlan *plan)
{
	ListCell *cell;

	foreach (cell, call->args)
	{
		Node *argument = lfirst(cell);
		NamedArgExpr *named = IsA(argument, NamedArgExpr) ? (NamedArgExpr *) argument : NULL;
		int number = named ? named->argnumber : foreach_current_index(cell);
		Node *value = named ? (Node *) named->arg : argument;
		Oid type = exprType(value);
		Param *param;
		Node *typed;

		if (expr_facts(value).bound || expression_returns_set(value) ||
			get_typtype(type) == TYPTYPE_PSEUDO)
			return false;
		param = lift_numbered_param(list_length(plan->params) + 1, type, -1, exprCollation(value));

		/* Written with its type, which tells functions of one name apart. */
		typed = (Node *) makeRelabelType((Expr *) param, type, -1, param->paramcollid,
										 COERCE_EXPLICIT_CAST);
		if (named)
			named->arg = (Expr *) typed;
		else
			lfirst(cell) = typed;
		plan->params = lappend(plan->params, expression_planner(copyObject((Expr *) value)));
		if (number == key)
		{
			plan->key = llast(plan->params);
			plan->key_param = list_length(plan->params) - 1;
		}
	}
	return plan->key != NULL;
}

/* The plan goes when the function or the placement of the table changes. */
static void
depend_on(PlannedStmt *statement, Oid relid, Oid function)
{
	PlanInvalItem *item = makeNode(PlanInvalItem);

	item->cacheId = PROCOID;
	item->hashValue = GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(function));
	statement->invalItems = lappend(statement->invalItems, item);
	statement->relationOids = lappend_oid(statement->relationOids, relid);
}
