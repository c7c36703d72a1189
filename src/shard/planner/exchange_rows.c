/*-------------------------------------------------------------------------
 * exchange_rows.c
 *	  INSERT ... SELECT of rows that nodes exchange between them.
 *
 * The SELECT is one that shards can answer each by itself, but what it gives
 * for the target's distribution column is something else than what its tables
 * are split by.  So each shard also says, for each row, which shard of the
 * target it is for, and executor/repartition.c takes it there.
 *
 * The rest of the statement (ON CONFLICT, RETURNING, generated columns,
 * triggers, policies) is carried out by the shards of the target, each with its
 * rows.  Where there is no such rest they are copied, which is faster.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

#include "base/config.h"
#include "shard/planner/by_table.h"
#include "shard/planner/change.h"
#include "shard/planner/exchange.h"
#include "shard/planner/insert_rows.h"
#include "shard/planner/select_rows.h"
#include "shard/planner/statement.h"
#include "shard/planner/template.h"

/* With fewer rows it is not worth asking all shards. */
#define MIN_ROWS 500

static bool may_exchange(Query *query, char **why);
static double expected_rows(const PlanRequest *request, const Query *select);
static int key_column(const List *attributes, AttrNumber key);
static bool make_insert(ShardPlan *plan, const Query *insert, char **why);

PlannedStmt *
plan_exchange_rows(const PlanRequest *request, char **why)
{
	Query *query = request->query;
	const DistributedTable *table =
		metadata_table(rt_fetch(query->resultRelation, query->rtable)->relid);
	List *attributes = NIL;
	Pin pin = {0};
	Pin one_key = {0};
	Query *select;
	ShardPlan *plan;
	ShardPlan *source;
	double rows;

	*why = NULL;
	if (query->commandType != CMD_INSERT || insert_has_rows(query) || query->cteList != NIL ||
		config_insert_strategy == INSERT_PULL || !may_exchange(query, why))
		return NULL;
	select = select_rows_by_shard(query, &attributes, &pin);
	if (select == NULL)
	{
		*why = "Its rows are not ones that shards find each by itself.";
		return NULL;
	}
	rows = expected_rows(request, select);
	if (config_insert_strategy == INSERT_AUTO &&
		(rows < MIN_ROWS || pin_to_key(copyObject(select), &one_key)))
	{
		*why = "Its rows are few, or come from one shard.";
		return NULL;
	}
	plan = shard_plan_create(TIER_EXCHANGED, CMD_INSERT, table->relid);
	plan->refusals = request->refusals;
	plan->writes = true;
	plan->columns = attributes;
	plan->copied = query->onConflict == NULL && query->returningList == NIL &&
				   check_enable_rls(table->relid, InvalidOid, true) != RLS_ENABLED;
	source = exchange_source(select, key_column(attributes, table->key),
							 pin_hash_function(table->key_type, table->key_type), table,
							 pin.table->relid, why);
	if (source == NULL || !make_insert(plan, query, why))
		return NULL;
	plan->sources = list_make1(source);
	return statement_create(request, plan, rows);
}

static bool
may_exchange(Query *query, char **why)
{
	if (checkExprHasSubLink((Node *) query->returningList) ||
		checkExprHasSubLink((Node *) query->onConflict))
		*why = "It has a subquery in RETURNING or ON CONFLICT.";
	else if (query->withCheckOptions != NIL)
		*why = "It is about a view WITH CHECK OPTION.";
	else
		return statement_result_travels(query, why);
	return false;
}

static double
expected_rows(const PlanRequest *request, const Query *select)
{
	PlanRequest estimate = {.query = copyObject(unconstify(Query *, select)),
							.source = request->source,
							.params = request->params};

	return by_table_estimate(&estimate);
}

/* Number of the column, from 1, that is assigned to the distribution column; 0: none. */
static int
key_column(const List *attributes, AttrNumber key)
{
	ListCell *cell;

	foreach (cell, attributes)
	{
		if (lfirst_int(cell) == key)
			return foreach_current_index(cell) + 1;
	}
	return 0;
}

/* The INSERT, of rows that a bundle has. */
static bool
make_insert(ShardPlan *plan, const Query *insert, char **why)
{
	Query *query = copyObject(unconstify(Query *, insert));
	int rti = linitial_node(RangeTblRef, query->jointree->fromlist)->rtindex;
	RangeTblEntry *rows = makeNode(RangeTblEntry);
	List *names = NIL;
	List *targets = NIL;
	Lift lift = {0};
	ListCell *cell;

	/* To begin with a list of none: lift.c knows such a thing. */
	foreach (cell, query->targetList)
	{
		TargetEntry *tle = lfirst(cell);
		Node *expr = (Node *) tle->expr;
		int number = list_length(names) + 1;

		if (tle->resjunk)
			continue;
		names = lappend(names, makeString(psprintf("column%d", number)));
		rows->coltypes = lappend_oid(rows->coltypes, exprType(expr));
		rows->coltypmods = lappend_int(rows->coltypmods, exprTypmod(expr));
		rows->colcollations = lappend_oid(rows->colcollations, exprCollation(expr));
		tle->expr =
			(Expr *) makeVar(rti, number, exprType(expr), exprTypmod(expr), exprCollation(expr), 0);
		targets = lappend(targets, tle);
	}
	rows->rtekind = RTE_VALUES;
	rows->eref = makeAlias("*VALUES*", names);
	rows->inFromCl = true;
	list_nth_cell(query->rtable, rti - 1)->ptr_value = rows;
	query->targetList = targets;
	query->override = OVERRIDING_SYSTEM_VALUE;
	query->hasSubLinks = false;
	if (!lift_query(query, LIFT_ONE_SHARD, &lift))
	{
		*why = lift.why;
		return false;
	}
	plan->params = statement_params(&lift);
	change_take_bundle(rt_fetch(rti, query->rtable), list_length(plan->params) + 1);
	template_make(query, plan);
	return true;
}
