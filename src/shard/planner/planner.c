/*-------------------------------------------------------------------------
 * planner.c
 *	  Which planner plans a query.
 *
 * Queries without distributed tables go to the server untouched, and so do
 * those that only read reference tables: the coordinator's copy is the table
 * itself.  Of the others each of our planners is asked in turn, cheapest
 * plan first; the error that none of them can is raised here.
 *
 * What must stay true: no plan ever scans the empty local shell of a hash
 * distributed table.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"

#include "shard/metadata/metadata.h"
#include "shard/planner/assign.h"
#include "shard/planner/check_option.h"
#include "shard/planner/call.h"
#include "shard/planner/rule_made.h"
#include "shard/planner/on_node.h"
#include "shard/planner/piece.h"
#include "shard/planner/security.h"
#include "shard/planner/shapes.h"
#include "shard/planner/statement.h"

static planner_hook_type prev_planner = NULL;
static bool read_local = false;
static bool reads_first = false;

/* What a query is, for the choice of a planner. */
typedef enum QueryClass
{
	QUERY_LOCAL,		   /* none of our business */
	QUERY_SELECT,		   /* reads hash distributed tables, may write local ones */
	QUERY_INSERT,		   /* writes a hash distributed table */
	QUERY_CHANGE,		   /* updates or deletes there */
	QUERY_MOVE,			   /* updates the distribution column */
	QUERY_MERGE,		   /* merges rows into it */
	QUERY_WRITE_REFERENCE, /* writes a reference table */
	QUERY_STEPS,		   /* writes distributed tables in WITH, or beside it */
	QUERY_STEPS_MOVE,	   /* and the distribution column of one */
	QUERY_CLASSES
} QueryClass;

/* Cheapest first. */
static const struct
{
	ShardPlanner plan;
	const char *not_this; /* how EXPLAIN calls its refusal */
} planners[QUERY_CLASSES][5] = {
	[QUERY_SELECT] = {{plan_single_shard, "Not Single Shard"},
					  {plan_pushdown, "Not Pushdown"},
					  {plan_shipped, "Not Shipped"},
					  {plan_by_table, NULL}},
	[QUERY_INSERT] = {{plan_single_shard, "Not Single Shard"},
					  {plan_rows, NULL},
					  {plan_insert_shards, "Not Every Shard"},
					  {plan_exchange_rows, "Not Exchanged"},
					  {plan_select_rows, NULL}},
	[QUERY_CHANGE] = {{plan_single_shard, "Not Single Shard"},
					  {plan_every_shard, "Not Every Shard"},
					  {plan_found, NULL}},
	[QUERY_MOVE] = {{plan_found, NULL}},
	[QUERY_MERGE] = {{plan_merge_shard, "Not Single Shard"},
					 {plan_merge_shards, "Not Every Shard"},
					 {plan_merge, NULL}},
	[QUERY_STEPS] = {{plan_single_shard, "Not Single Shard"}, {plan_steps, NULL}},
	[QUERY_STEPS_MOVE] = {{plan_steps, NULL}},
	[QUERY_WRITE_REFERENCE] = {{plan_every_copy, "Not Every Copy"},
							   {plan_select_rows, NULL},
							   {plan_copied_rows, NULL}},
};

typedef struct QueryTables
{
	bool hash;
	bool writes;
	bool writes_reference;
	Oid key_changed; /* table whose distribution column is assigned */
} QueryTables;

static PlannedStmt *
pgcluster_planner(Query *query, const char *source, int cursor_options, ParamListInfo params);
static bool is_foreign_key_query(Query *query);
static QueryClass classify(Query *query, QueryTables *tables);
static bool tables_walker(Node *node, void *context);
static void see_target(Query *query, QueryTables *tables);
static PlannedStmt *plan_query(const PlanRequest *request, QueryClass class);

void
planner_init(void)
{
	prev_planner = planner_hook;
	planner_hook = pgcluster_planner;
	by_table_init();
	piece_init();
}

bool
planner_read_local(bool on)
{
	bool before = read_local;

	read_local = on;
	return before;
}

bool
planner_local_reads(void)
{
	return read_local;
}

bool
planner_reads_first(bool on)
{
	bool before = reads_first;

	reads_first = on;
	return before;
}

bool
planner_is_read_first(void)
{
	return reads_first;
}

PlannedStmt *
planner_server(const PlanRequest *request, Query *query)
{
	planner_hook_type next = prev_planner ? prev_planner : standard_planner;

	return next(query, request->source, request->cursor_options, request->params);
}

PlannedStmt *
planner_here(const PlanRequest *request, Query *query)
{
	bool before = planner_read_local(true);
	PlannedStmt *statement = NULL;

	PG_TRY();
	{
		statement = planner_server(request, query);
	}
	PG_FINALLY();
	{
		planner_read_local(before);
	}
	PG_END_TRY();
	return statement;
}

static PlannedStmt *
pgcluster_planner(Query *query, const char *source, int cursor_options, ParamListInfo params)
{
	PlanRequest request = {query, source, cursor_options, params, NIL};
	QueryTables tables = {0};
	QueryClass class;
	PlannedStmt *known;

	if (!read_local && (metadata_any_table() || metadata_any_shell()))
		rule_made_spell_out(query);
	if (read_local || !metadata_any_table())
	{
		known = !read_local && metadata_any_shell() ? plan_on_node(&request) : NULL;
		return known != NULL ? known : planner_server(&request, query);
	}
	if (query->hasRowSecurity)
		security_leave_to_shards(query);
	if (query->withCheckOptions != NIL || query->commandType == CMD_MERGE)
		assign_apart(query);
	if (query->withCheckOptions != NIL)
		check_option_fold(query);
	if ((known = plan_call(&request)) != NULL || (known = shapes_find(&request)) != NULL)
		return known;
	class = classify(query, &tables);
	if (class == QUERY_LOCAL)
		return planner_server(&request, query);
	if (is_foreign_key_query(query))
		return planner_here(&request, query);
	if (OidIsValid(tables.key_changed) && class == QUERY_CHANGE)
		class = QUERY_MOVE;
	else if (OidIsValid(tables.key_changed) && class == QUERY_STEPS)
		class = QUERY_STEPS_MOVE;
	else if (OidIsValid(tables.key_changed))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot change the distribution column of table \"%s\"",
							   get_rel_name(tables.key_changed)),
						errdetail("The row would have to move to another shard."),
						errhint("Delete the row and insert it anew.")));
	return plan_query(&request, class);
}

/*
 * A query by which the server checks or carries out a foreign key.  It is
 * about the local tables: shards have foreign keys of their own, and a local
 * table cannot point at rows that may go without its knowing.  The server
 * marks the security context of such queries; so it is while a user's trigger
 * runs inside, but only the server's query names its tables with ONLY.
 */
static bool
is_foreign_key_query(Query *query)
{
	ListCell *lc;

	if (!InNoForceRLSOperation())
		return false;
	foreach (lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);

		if (rte->rtekind == RTE_RELATION && rte->inh)
			return false;
	}
	return true;
}

static QueryClass
classify(Query *query, QueryTables *tables)
{
	const DistributedTable *target = NULL;

	(void) tables_walker((Node *) query, tables);
	if (!tables->hash && !tables->writes_reference)
		return QUERY_LOCAL;
	if (query->resultRelation != 0)
		target = metadata_table(rt_fetch(query->resultRelation, query->rtable)->relid);
	if (query->hasModifyingCTE && tables->writes)
		return QUERY_STEPS;
	if (target == NULL)
		return QUERY_SELECT;
	if (target->kind == TABLE_REFERENCE)
		return QUERY_WRITE_REFERENCE;
	if (query->commandType == CMD_MERGE)
		return QUERY_MERGE;
	return query->commandType == CMD_INSERT ? QUERY_INSERT : QUERY_CHANGE;
}

static bool
tables_walker(Node *node, void *context)
{
	QueryTables *tables = context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query *query = (Query *) node;
		ListCell *cell;

		foreach (cell, query->rtable)
		{
			RangeTblEntry *rte = lfirst(cell);
			const DistributedTable *table;

			if (rte->rtekind != RTE_RELATION)
				continue;
			table = metadata_table(rte->relid);
			if (table != NULL && table->kind == TABLE_HASH)
				tables->hash = true;
		}
		if (query->resultRelation != 0)
			see_target(query, tables);
		if (statement_is_flat(query))
			return false;
		return query_tree_walker(query, tables_walker, context, QTW_IGNORE_JOINALIASES);
	}
	return expression_tree_walker(node, tables_walker, context);
}

static void
see_target(Query *query, QueryTables *tables)
{
	Oid relid = rt_fetch(query->resultRelation, query->rtable)->relid;
	const DistributedTable *table = metadata_table(relid);

	if (table == NULL)
		return;
	tables->writes = true;
	if (table->kind == TABLE_REFERENCE)
	{
		tables->writes_reference = true;
		return;
	}
	if (statement_assigns_key(query, table->key))
		tables->key_changed = relid;
}

static PlannedStmt *
plan_query(const PlanRequest *request, QueryClass class)
{
	PlanRequest asked = *request;
	char *why = NULL;

	for (size_t i = 0; i < lengthof(planners[class]) && planners[class][i].plan != NULL; i++)
	{
		ShardPlanner plan = planners[class][i].plan;
		PlannedStmt *statement;

		/* A SELECT is read ahead as a whole. */
		if (reads_first && class != QUERY_SELECT &&
			(plan == plan_single_shard || plan == plan_every_shard || plan == plan_insert_shards ||
			 plan == plan_exchange_rows))
			continue;
		statement = plan(&asked, &why);
		if (statement != NULL)
			return statement;
		if (planners[class][i].not_this != NULL && why != NULL)
			asked.refusals =
				lappend(asked.refusals, list_make2(makeString(pstrdup(planners[class][i].not_this)),
												   makeString(why)));
	}
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("this statement on distributed tables is not supported"),
					why ? errdetail("%s", why) : 0));
	return NULL;
}
