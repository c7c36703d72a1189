/*-------------------------------------------------------------------------
 * select_rows.c
 *	  INSERT of the rows of a query into a distributed table.
 *
 * The query is planned by itself, in whatever tier it fits; its rows come
 * here and are sent to their shards, or to all copies of a reference table.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/rls.h"

#include "base/compat.h"
#include "shard/metadata/metadata.h"
#include "shard/planner/change.h"
#include "shard/planner/exchange.h"
#include "shard/planner/found.h"
#include "shard/planner/select_rows.h"
#include "shard/planner/statement.h"

static PlannedStmt *plan_made_rows(const PlanRequest *request, char **why);
static Query *insert_query(Query *insert, List *columns, List *targets);

PlannedStmt *
plan_select_rows(const PlanRequest *request, char **why)
{
	Query *query = request->query;
	RangeTblEntry *target = rt_fetch(query->resultRelation, query->rtable);
	PlanRequest here = {.source = request->source};
	Query *select;
	ShardPlan *plan;

	if (query->commandType != CMD_INSERT)
		return NULL;
	if (query->withCheckOptions != NIL || target->securityQuals != NIL)
	{
		*why = "It is checked against a view or a row security policy.";
		return NULL;
	}
	if (query->hasModifyingCTE)
	{
		*why = "It changes rows in WITH.";
		return NULL;
	}
	if (metadata_table(target->relid)->kind == TABLE_REFERENCE && trigger_changes(target->relid))
		return NULL;
	if (query->onConflict != NULL || query->returningList != NIL ||
		(metadata_table(target->relid)->kind == TABLE_HASH &&
		 check_enable_rls(target->relid, InvalidOid, true) == RLS_ENABLED))
		return plan_made_rows(request, why);
	plan = shard_plan_create(TIER_SELECT_ROWS, CMD_INSERT, target->relid);
	plan->writes = true;
	plan->refusals = request->refusals;
	select = select_rows_query(query, &plan->columns);
	if (metadata_table(target->relid)->kind == TABLE_REFERENCE)
		plan->insert = planner_here(&here, insert_query(query, plan->columns, select->targetList));
	plan->local = planner(select, request->source, 0, request->params);
	return statement_create(request, plan, plan->local->planTree->plan_rows);
}

/* ON CONFLICT, RETURNING and policies: COPY knows none of them. */
static PlannedStmt *
plan_made_rows(const PlanRequest *request, char **why)
{
	Found found = {.request = request};
	Query *query = request->query;
	List *attributes = NIL;
	List *columns = NIL;
	List *targets;
	ListCell *cell;

	found.target = query->resultRelation;
	found.table = metadata_table(rt_fetch(found.target, query->rtable)->relid);
	if (found.table->kind != TABLE_HASH)
	{
		*why = "ON CONFLICT and RETURNING: not with rows of a query for a reference table.";
		return NULL;
	}
	if (query->onConflict != NULL && !change_conflict_travels(query->onConflict, why))
		return NULL;
	found.query = copyObject(query);
	found.read = select_rows_query(query, &attributes);
	targets = found.read->targetList;
	found.read->targetList = NIL;
	found_add_identity(&found);
	foreach (cell, targets)
		columns =
			lappend_int(columns, found_add_column(&found, ((TargetEntry *) lfirst(cell))->expr));
	found.plan = shard_plan_create(TIER_FOUND, CMD_INSERT, found.table->relid);
	found.plan->writes = true;
	found.plan->refusals = request->refusals;
	if (!list_member_int(attributes, found.table->key))
	{
		*why = "It gives the distribution column no value.";
		return NULL;
	}
	if (!found_returning(&found))
	{
		*why = found.why;
		return NULL;
	}
	found.plan->changes = list_make1(found_change(&found, CMD_INSERT, attributes, columns));
	found.plan->local = planner(found.read, request->source, 0, request->params);
	return statement_create(request, found.plan, found.plan->local->planTree->plan_rows);
}

Query *
select_rows_query(Query *insert, List **columns)
{
	Query *query = copyObject(insert);
	RangeTblEntry *target = rt_fetch(query->resultRelation, query->rtable);
	RangeTblEntry *nothing = makeNode(RangeTblEntry);
	List *targets = NIL;
	ListCell *cell;

	/* Nothing refers to the target any more, but numbers must stay. */
	nothing->rtekind = RTE_RESULT;
	nothing->eref = target->eref;
	list_nth_cell(query->rtable, query->resultRelation - 1)->ptr_value = nothing;
	query->commandType = CMD_SELECT;
	query->resultRelation = 0;
	query->override = OVERRIDING_NOT_SET;
	query->returningList = NIL;
	query->onConflict = NULL;
	query->canSetTag = true;
	foreach (cell, query->targetList)
	{
		TargetEntry *tle = lfirst(cell);

		if (tle->resjunk)
			continue;
		*columns = lappend_int(*columns, tle->resno);
		targets = lappend(targets, tle);
		tle->resno = list_length(targets);
	}
	query->targetList = targets;
	return query;
}

Query *
select_rows_by_shard(Query *insert, List **attributes, Pin *pin)
{
	Query *select = select_rows_query(insert, attributes);
	List *from = select->jointree->fromlist;
	RangeTblEntry *rte;

	if (list_length(from) != 1 || !IsA(linitial(from), RangeTblRef))
		return NULL;
	rte = rt_fetch(linitial_node(RangeTblRef, from)->rtindex, select->rtable);
	if (rte->rtekind != RTE_SUBQUERY)
		return NULL;
	if (pin_to_join(select, pin))
		return select;

	/* It need not show the columns by which its rows are on a shard. */
	memset(pin, 0, sizeof(Pin));
	if (!exchange_is_plain(rte->subquery) || checkExprHasSubLink((Node *) select->targetList) ||
		!pin_to_join(rte->subquery, pin))
		return NULL;
	pin->key_columns = NIL;
	return select;
}

void
select_rows_complete(Query *query)
{
	RangeTblRef *ref;
	RangeTblEntry *rte;
	List *attributes = NIL;
	List *names = NIL;
	List *targets = NIL;
	bool complete = true;
	ListCell *cell;

	if (query->commandType != CMD_INSERT || list_length(query->jointree->fromlist) != 1 ||
		!IsA(linitial(query->jointree->fromlist), RangeTblRef))
		return;
	ref = linitial(query->jointree->fromlist);
	if (rt_fetch(ref->rtindex, query->rtable)->rtekind != RTE_SUBQUERY)
		return;
	foreach (cell, query->targetList)
		complete &= IsA(((TargetEntry *) lfirst(cell))->expr, Var);
	if (complete)
		return;
	rte = copyObject(rt_fetch(ref->rtindex, query->rtable));
	rte->subquery = select_rows_query(query, &attributes);
	foreach (cell, query->targetList)
	{
		TargetEntry *tle = lfirst(cell);
		Node *expr = (Node *) tle->expr;

		if (tle->resjunk)
			continue;
		names = lappend(names, makeString(psprintf("column%d", list_length(names) + 1)));
		targets =
			lappend(targets, makeTargetEntry((Expr *) makeVar(ref->rtindex, list_length(names),
															  exprType(expr), exprTypmod(expr),
															  exprCollation(expr), 0),
											 tle->resno, tle->resname, false));
	}
	rte->eref = makeAlias("*SELECT*", names);
	rte->alias = NULL;
	list_nth_cell(query->rtable, ref->rtindex - 1)->ptr_value = rte;
	query->targetList = targets;
}

/* INSERT INTO the copy here SELECT FROM the rows that were got. */
static Query *
insert_query(Query *insert, List *columns, List *targets)
{
	Query *source = copyObject(insert);
	Query *query = makeNode(Query);
	RangeTblEntry *target = rt_fetch(source->resultRelation, source->rtable);
	RangeTblEntry *rows = makeNode(RangeTblEntry);
	RangeTblRef *ref = makeNode(RangeTblRef);
	List *names = NIL;
	ListCell *column;
	ListCell *cell;

	forboth (column, columns, cell, targets)
	{
		Node *expr = (Node *) ((TargetEntry *) lfirst(cell))->expr;
		int number = list_length(names) + 1;
		Var *var = makeVar(2, number, exprType(expr), exprTypmod(expr), exprCollation(expr), 0);

		names = lappend(names, makeString(psprintf("column%d", number)));
		rows->coltypes = lappend_oid(rows->coltypes, var->vartype);
		rows->coltypmods = lappend_int(rows->coltypmods, var->vartypmod);
		rows->colcollations = lappend_oid(rows->colcollations, var->varcollid);
		query->targetList =
			lappend(query->targetList,
					makeTargetEntry((Expr *) var, lfirst_int(column), strVal(llast(names)), false));
	}
	rows->rtekind = RTE_NAMEDTUPLESTORE;
	rows->enrname = SHARD_ROWS_NAME;
	rows->enrtuples = 1000;
	rows->eref = makeAlias(SHARD_ROWS_NAME, names);
	rows->inFromCl = true;
	ref->rtindex = 2;
	compat_move_permissions(source, target, query, target);
	query->commandType = CMD_INSERT;
	query->canSetTag = true;
	query->resultRelation = 1;
	query->rtable = list_make2(target, rows);
	query->jointree = makeFromExpr(list_make1(ref), NULL);
	return query;
}
