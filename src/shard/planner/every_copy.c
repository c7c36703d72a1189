/*-------------------------------------------------------------------------
 * every_copy.c
 *	  Writes on reference tables.
 *
 * The statement runs here, on the table itself, and on the copy of each
 * group.  Whatever could come out differently is evaluated once, here, and
 * handed to all as a parameter.  Where that is not enough, because it reads
 * other tables for instance, or because of a trigger BEFORE a row is stored,
 * which only the table here has, the statement runs here alone, and the copies
 * get the rows that it changed; see executor/copies.c.
 *
 * What must stay true: after the transaction all copies hold the same rows.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "shard/metadata/metadata.h"
#include "shard/planner/insert_rows.h"
#include "shard/planner/select_rows.h"
#include "shard/planner/statement.h"
#include "shard/planner/template.h"

static bool may_move(List *actions, Oid relid);
static Bitmapset *assigned(List *actions, Oid relid, Oid partition);
static bool other_tables(Node *node, void *context);
static bool lift_statement(Query *query, Lift *lift);

PlannedStmt *
plan_every_copy(const PlanRequest *request, char **why)
{
	Query *query = copyObject(request->query);
	RangeTblEntry *target = rt_fetch(query->resultRelation, query->rtable);
	PlanRequest here = {.source = request->source};
	Lift lift = {0};
	ShardPlan *plan;

	if (other_tables((Node *) query, why))
		return NULL;
	if (trigger_changes(target->relid))
	{
		*why = "A trigger of the reference table changes rows before they are stored.";
		return NULL;
	}
	if (query->hasModifyingCTE)
	{
		*why = "It changes rows in WITH.";
		return NULL;
	}
	select_rows_complete(query);
	if (!lift_statement(query, &lift))
	{
		*why = lift.why;
		return NULL;
	}
	plan = shard_plan_create(TIER_EVERY_COPY, query->commandType, target->relid);
	plan->writes = true;
	plan->params = statement_params(&lift);
	plan->local = planner_here(&here, copyObject(query));

	/* One copy is enough to give rows back. */
	query->returningList = NIL;
	if (query->commandType == CMD_INSERT && query->targetList != NIL)
		query->override = OVERRIDING_SYSTEM_VALUE;
	template_make(query, plan);
	return statement_create(request, plan, plan->local->planTree->plan_rows);
}

PlannedStmt *
plan_copied_rows(const PlanRequest *request, char **why)
{
	Query *query = request->query;
	RangeTblEntry *target = rt_fetch(query->resultRelation, query->rtable);
	PlanRequest asked = *request;
	ShardPlan *plan;

	if (planner_is_read_first() || query->hasModifyingCTE)
	{
		*why = "It writes a reference table beside other changes of rows in WITH.";
		return NULL;
	}
	if (query->commandType == CMD_MERGE && may_move(query->mergeActionList, target->relid))
	{
		*why = "MERGE may move rows of a reference table to other partitions.";
		return NULL;
	}
	if (target->eref->colnames == NIL)
	{
		*why = "The reference table has no columns, which would tell its rows apart.";
		return NULL;
	}
	plan = shard_plan_create(TIER_COPIED_ROWS, query->commandType, target->relid);
	plan->writes = true;
	plan->refusals = request->refusals;
	asked.query = copyObject(query);
	asked.refusals = NIL;
	plan->local = plan_by_table(&asked, why);
	if (plan->local == NULL)
		return NULL;
	return statement_create(request, plan, plan->local->planTree->plan_rows);
}

/*
 * Does an action assign what says to which partition a row belongs?  The server
 * tells of a row that MERGE moves as of two, and to fewer triggers.
 */
static bool
may_move(List *actions, Oid relid)
{
	List *relids = find_all_inheritors(relid, AccessShareLock, NULL);
	bool moves = false;
	ListCell *cell;

	foreach (cell, relids)
	{
		Relation relation = table_open(lfirst_oid(cell), NoLock);

		if (relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
			moves |=
				has_partition_attrs(relation, assigned(actions, relid, lfirst_oid(cell)), NULL);
		table_close(relation, NoLock);
	}
	return moves;
}

/* The columns of the partition that actions on its parent update. */
static Bitmapset *
assigned(List *actions, Oid relid, Oid partition)
{
	Bitmapset *columns = NULL;
	ListCell *action;
	ListCell *cell;

	foreach (action, actions)
	{
		if (lfirst_node(MergeAction, action)->commandType != CMD_UPDATE)
			continue;
		foreach (cell, lfirst_node(MergeAction, action)->targetList)
		{
			TargetEntry *tle = lfirst(cell);
			AttrNumber column;

			if (tle->resjunk)
				continue;
			column = get_attnum(partition, get_attname(relid, tle->resno, false));
			columns = bms_add_member(columns, column - FirstLowInvalidHeapAttributeNumber);
		}
	}
	return columns;
}

bool
trigger_changes(Oid relid)
{
	Relation relation = table_open(relid, NoLock);
	const TriggerDesc *triggers = relation->trigdesc;
	bool changes =
		triggers != NULL && (triggers->trig_insert_before_row || triggers->trig_update_before_row ||
							 triggers->trig_delete_before_row);

	table_close(relation, NoLock);
	return changes;
}

/* Only tables that every group has can be read. */
static bool
other_tables(Node *node, void *context)
{
	char **why = context;
	ListCell *cell;

	if (node == NULL)
		return false;
	if (!IsA(node, Query))
		return expression_tree_walker(node, other_tables, context);
	foreach (cell, ((Query *) node)->rtable)
	{
		RangeTblEntry *rte = lfirst(cell);
		const DistributedTable *table;

		if (rte->rtekind != RTE_RELATION || rte->relkind == RELKIND_COMPOSITE_TYPE ||
			rte->relkind == RELKIND_VIEW)
			continue;
		table = metadata_table(rte->relid);
		if (table == NULL || table->kind != TABLE_REFERENCE)
		{
			*why = psprintf("A write on a reference table can read reference tables only, not %s.",
							get_rel_name(rte->relid));
			return true;
		}
	}
	return query_tree_walker((Query *) node, other_tables, context, QTW_IGNORE_JOINALIASES);
}

/* Several rows of values are each evaluated once. */
static bool
lift_statement(Query *query, Lift *lift)
{
	List *rows = NIL;
	List *lifted_rows = NIL;
	ListCell *row;
	ListCell *cell;

	if (insert_has_rows(query))
		rows = insert_take_rows(query);
	if (!lift_query(query, LIFT_EVERY_COPY, lift))
		return false;
	foreach (row, rows)
	{
		List *lifted = NIL;

		foreach (cell, (List *) lfirst(row))
		{
			Node *value = lift_value_of_row(lfirst(cell), lift);

			if (value == NULL)
				return false;
			lifted = lappend(lifted, value);
		}
		lifted_rows = lappend(lifted_rows, lifted);
	}
	if (rows != NIL)
		insert_put_rows(query, lifted_rows);
	return true;
}
