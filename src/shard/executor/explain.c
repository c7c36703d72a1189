/*-------------------------------------------------------------------------
 * explain.c
 *	  What EXPLAIN says of a plan of ours.
 *
 * EXPLAIN alone asks no node and takes no number from a sequence: where the
 * shard depends on such a value it is said to be chosen at execution.  With
 * VERBOSE the node of the task that is shown is asked for its plan.  With
 * ANALYZE that node keeps how the statement went (remote/explained.c), so
 * nothing is carried out twice.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "base/compat.h"
#include "shard/executor/exchange.h"
#include "shard/executor/scan.h"
#include "shard/planner/template.h"
#include "shard/remote/explained.h"

/* The EXPLAIN that is under way; -1: none. */
static int explain_options = -1;
static ProcessUtility_hook_type prev_utility = NULL;

static void explain_contents(ShardScan *scan, ExplainState *es);
static int count_tasks(ShardScan *scan, const DistributedTable *table, List *positions);
static char *task_sql(ShardScan *scan, const DistributedTable *table, int position, bool whole);
static void explain_order(ShardScan *scan, ExplainState *es);
static void explain_measures(ShardScan *scan, ExplainState *es);
static void explain_outcome(ShardScan *scan, ExplainState *es);
static void explain_remote(ShardScan *scan, int group_id, const char *sql, ExplainState *es);
static bool key_is_known(ShardScan *scan);
static bool unknown_walker(Node *node, void *context);
static void explain_rows(ShardPlan *plan, ExplainState *es);
static void explain_changes(ShardPlan *plan, ExplainState *es);
static void explain_exchange(ShardScan *scan, ExplainState *es);
static void explain_copies(ShardScan *scan, ExplainState *es);
static void
explain_task(ShardScan *scan, const DistributedTable *table, int position, ExplainState *es);

void
explain_scan(CustomScanState *node, List *ancestors, ExplainState *es)
{
	ShardScan *scan = (ShardScan *) node;
	ShardPlan *plan = scan->plan;
	const DistributedTable *table = metadata_table(plan->relid);
	ListCell *cell;

	ExplainPropertyText("Tier", shard_tier_name(plan->tier), es);
	foreach (cell, plan->refusals)
		ExplainPropertyText(strVal(linitial((List *) lfirst(cell))),
							strVal(lsecond((List *) lfirst(cell))), es);
	if (table == NULL)
	{
		explain_here(scan, es);
		return;
	}
	explain_contents(scan, es);
	if (scan->refused)
		ExplainPropertyText("Called Again", "here, as it needed more than the node has", es);
	explain_here(scan, es);
	if (scan->measured && es->analyze)
		explain_measures(scan, es);
	if (scan->explained != 0 && es->analyze)
		explain_outcome(scan, es);
}

/* What is sent, and where. */
static void
explain_contents(ShardScan *scan, ExplainState *es)
{
	ShardPlan *plan = scan->plan;
	const DistributedTable *table = metadata_table(plan->relid);
	List *positions;
	ListCell *cell;

	if (plan->tier == TIER_ROWS)
		explain_rows(plan, es);
	if (plan->tier == TIER_EVERY_COPY)
		explain_copies(scan, es);
	if (plan->tier == TIER_FOUND)
		explain_changes(plan, es);
	if (plan->tier == TIER_EXCHANGED)
		explain_exchange(scan, es);
	if (plan->tier == TIER_ROWS || plan->tier == TIER_EVERY_COPY ||
		plan->tier == TIER_COPIED_ROWS || plan->tier == TIER_SELECT_ROWS ||
		plan->tier == TIER_FOUND || plan->tier == TIER_STEPS || plan->tier == TIER_ON_NODE ||
		plan->tier == TIER_EXCHANGED)
		return;
	if (!key_is_known(scan))
	{
		ExplainPropertyText("Shard", "chosen at execution", es);
		ExplainPropertyText("SQL", template_fill(plan->pieces, plan->schemas, TEMPLATE_NO_SHARD),
							es);
		return;
	}
	params_prepare(scan);
	if (plan->key_param >= 0 && !scan->started)
		params_evaluate(scan);
	positions = shards_choose(scan, table);
	if (scan->started && plan->needed_parts != NIL)
		positions = exchange_choose(scan, positions);
	foreach (cell, plan->sources)
	{
		ShardPlan *source = lfirst(cell);

		ExplainPropertyText("Exchanged",
							template_fill(source->pieces, source->schemas, TEMPLATE_NO_SHARD), es);
	}
	ExplainPropertyInteger("Tasks", NULL, count_tasks(scan, table, positions), es);
	ExplainPropertyInteger("Shards Pruned", NULL,
						   table->colocation->nshards - list_length(positions), es);
	if (plan->sort_columns != NIL)
		explain_order(scan, es);
	if (positions != NIL)
		explain_task(scan, table, linitial_int(positions), es);
}

/* One for each shard, or for each group that sorts the rows of its shards. */
static int
count_tasks(ShardScan *scan, const DistributedTable *table, List *positions)
{
	List *groups = NIL;
	ListCell *cell;

	if (scan->plan->sort_columns == NIL)
		return list_length(positions);
	foreach (cell, positions)
		groups =
			list_append_unique_int(groups, table->colocation->shards[lfirst_int(cell)].group_id);
	return list_length(groups);
}

/* The SQL of the task for the shard at "position", and of its node for all, if "whole". */
static char *
task_sql(ShardScan *scan, const DistributedTable *table, int position, bool whole)
{
	const Shard *shards = table->colocation->shards;
	List *positions = NIL;
	ListCell *cell;

	if (scan->plan->sort_columns == NIL)
		return template_fill(scan->plan->pieces, scan->plan->schemas, shards[position].id);
	foreach (cell, whole ? shards_choose(scan, table) : list_make1_int(position))
	{
		if (shards[lfirst_int(cell)].group_id == shards[position].group_id)
			positions = lappend_int(positions, lfirst_int(cell));
	}
	return sorted_sql(scan, table, positions, false);
}

/* By what the nodes sort, each the rows of all its shards. */
static void
explain_order(ShardScan *scan, ExplainState *es)
{
	TupleDesc desc = scan->css.ss.ss_ScanTupleSlot->tts_tupleDescriptor;
	List *keys = NIL;
	ListCell *cell;

	foreach (cell, scan->plan->sort_columns)
	{
		const char *name = NameStr(TupleDescAttr(desc, lfirst_int(cell) - 1)->attname);

		keys = lappend(keys, psprintf("%s%s", quote_identifier(name),
									  sorted_clause(scan, foreach_current_index(cell))));
	}
	ExplainPropertyList("Merge Key", keys, es);
}

/* Can the shard be told without side effects and without parameters that are not there? */
static bool
key_is_known(ShardScan *scan)
{
	ShardPlan *plan = scan->plan;

	if (plan->key == NULL || scan->started)
		return true;
	if (plan->key_param >= 0)
		return !unknown_walker((Node *) scan->params, scan->css.ss.ps.state->es_param_list_info);
	return !unknown_walker((Node *) plan->key, scan->css.ss.ps.state->es_param_list_info);
}

static bool
unknown_walker(Node *node, void *context)
{
	ParamListInfo params = context;

	if (node == NULL)
		return false;
	if (IsA(node, Param))
	{
		Param *param = (Param *) node;

		return params == NULL || param->paramkind != PARAM_EXTERN ||
			   param->paramid > params->numParams;
	}
	if (IsA(node, NextValueExpr) || contain_volatile_functions(node))
		return true;
	return expression_tree_walker(node, unknown_walker, context);
}

static void
explain_rows(ShardPlan *plan, ExplainState *es)
{
	ExplainPropertyInteger("Rows", NULL, list_length(plan->rows), es);
	ExplainPropertyText("SQL", template_fill(plan->pieces, plan->schemas, TEMPLATE_NO_SHARD), es);
}

/* What is done with the rows that are found. */
static void
explain_changes(ShardPlan *plan, ExplainState *es)
{
	ListCell *cell;

	foreach (cell, plan->changes)
	{
		ShardPlan *change = lfirst(cell);

		ExplainPropertyText("SQL",
							template_fill(change->pieces, change->schemas, TEMPLATE_NO_SHARD), es);
		explain_changes(change, es);
	}
}

/* Who finds rows, and what is done with them. */
static void
explain_exchange(ShardScan *scan, ExplainState *es)
{
	ShardPlan *plan = scan->plan;
	ShardPlan *source = linitial(plan->sources);
	const DistributedTable *from = metadata_table(source->relid);
	const DistributedTable *to = metadata_table(plan->relid);

	if (from == NULL)
		return;
	ExplainPropertyInteger("Tasks", NULL, from->colocation->nshards + to->colocation->nshards, es);
	ExplainPropertyBool("Copied", plan->copied, es);
	ExplainPropertyText("Rows", template_fill(source->pieces, source->schemas, TEMPLATE_NO_SHARD),
						es);
	ExplainPropertyText("SQL", template_fill(plan->pieces, plan->schemas, TEMPLATE_NO_SHARD), es);
}

/* A write on a reference table: each group is sent the same. */
static void
explain_copies(ShardScan *scan, ExplainState *es)
{
	List *groups = metadata_groups();
	List *nodes = NIL;
	ListCell *cell;

	ExplainPropertyInteger("Tasks", NULL, list_length(groups), es);
	foreach (cell, groups)
		nodes = lappend(nodes, remote_group_address(lfirst_int(cell)));
	ExplainPropertyList("Nodes", nodes, es);
	ExplainPropertyText("SQL", template_fill(scan->plan->pieces, NIL, 0), es);
}

static void
explain_task(ShardScan *scan, const DistributedTable *table, int position, ExplainState *es)
{
	const Shard *shard = &table->colocation->shards[position];
	RemoteQuery query = {.group_id = shard->group_id,
						 .writes = scan->plan->writes,
						 .reads = scan->plan->command == CMD_SELECT};

	ExplainOpenGroup("Task", "Task", true, es);
	ExplainPropertyInteger("Shard", NULL, shard->id, es);
	ExplainPropertyText("Node", remote_query_address(&query), es);
	ExplainPropertyText("SQL", task_sql(scan, table, position, false), es);
	if (es->verbose && !scan->started &&
		!unknown_walker((Node *) scan->params, scan->css.ss.ps.state->es_param_list_info))
	{
		if (scan->cache->nparams > 0 && scan->wire_values == NULL)
			params_evaluate(scan);
		explain_remote(scan, shard->group_id, task_sql(scan, table, position, true), es);
	}
	ExplainCloseGroup("Task", "Task", true, es);
}

/*
 * The plan of a node
 */

/* Its text, line by line; as part of the document where it has our form. */
void
explain_plan(const char *label, const char *text, ExplainState *es)
{
	List *lines = NIL;
	ListCell *cell;
	char *copy = pchomp(text);

	if (es->format == EXPLAIN_FORMAT_JSON)
	{
		/* What ExplainProperty does for a value that is not quoted. */
		if (linitial_int(es->grouping_stack) != 0)
			appendStringInfoChar(es->str, ',');
		linitial_int(es->grouping_stack) = 1;
		appendStringInfoChar(es->str, '\n');
		appendStringInfoSpaces(es->str, es->indent * 2);
		escape_json(es->str, label);
		appendStringInfo(es->str, ": %s", copy);
		return;
	}
	for (char *line = strtok(copy, "\n"); line != NULL; line = strtok(NULL, "\n"))
		lines = lappend(lines, line);
	if (es->format != EXPLAIN_FORMAT_TEXT)
	{
		ExplainPropertyList(label, lines, es);
		return;
	}
	appendStringInfoSpaces(es->str, es->indent * 2);
	appendStringInfo(es->str, "%s:\n", label);
	foreach (cell, lines)
	{
		appendStringInfoSpaces(es->str, es->indent * 2 + 2);
		appendStringInfo(es->str, "%s\n", (char *) lfirst(cell));
	}
}

/* Runs a query that explains, and shows what it returns. */
static void
explain_by(ShardScan *scan, RemoteQuery *query, ExplainState *es)
{
	RemoteTask *task;
	TaskRole role;
	StringInfoData text;
	PGresult *row;

	tasks_enter_role(scan, &role);
	task = remote_task_start(query, CurrentMemoryContext, NULL, NULL);
	tasks_leave_role(&role);
	initStringInfo(&text);
	while ((row = remote_task_next(task)) != NULL)
	{
		if (!PQgetisnull(row, 0, 0))
			appendStringInfo(&text, "%s\n", PQgetvalue(row, 0, 0));
		PQclear(row);
	}
	remote_task_end(task);
	if (text.len > 0)
		explain_plan("Remote Plan", text.data, es);
}

/* What the node would do. */
static void
explain_remote(ShardScan *scan, int group_id, const char *sql, ExplainState *es)
{
	RemoteQuery query = {0};

	query.group_id = group_id;
	query.sql = psprintf("EXPLAIN (VERBOSE, COSTS %s, FORMAT %s) %s", es->costs ? "on" : "off",
						 es->format == EXPLAIN_FORMAT_JSON ? "json" : "text", sql);
	query.nparams = scan->cache->nparams;
	query.types = scan->cache->wire_types;
	query.values = scan->wire_values;
	query.lengths = scan->wire_lengths;
	query.formats = scan->wire_formats;
	query.reads = scan->plan->command == CMD_SELECT;
	query.names = scan->plan->names;
	explain_by(scan, &query, es);
}

/* What it did, unless it was stopped or is still at it. */
static void
explain_outcome(ShardScan *scan, ExplainState *es)
{
	RemoteQuery query = {0};

	if (scan->ntasks == 0 || (scan->tasks[0].remote != NULL && !scan->tasks[0].drained))
		return;
	query.group_id = scan->tasks[0].group_id;
	query.reads = scan->plan->command == CMD_SELECT;
	query.sql = psprintf("SELECT pgcluster.explained(%d)", scan->explained);
	explain_by(scan, &query, es);
}

static void
explain_measures(ShardScan *scan, ExplainState *es)
{
	for (int i = 0; i < scan->ntasks; i++)
	{
		if (scan->tasks[i].remote != NULL)
			tasks_measure(&scan->tasks[i]);
	}
	ExplainPropertyInteger("Bytes Received", NULL, scan->bytes, es);
	if (es->timing)
	{
		if (scan->nhelpers > 0)
			ExplainPropertyInteger("Extra Connections", NULL, scan->nhelpers, es);
		ExplainPropertyFloat("Time Waited", "ms", scan->waited, 3, es);
	}
}

/*
 * Before the execution
 */

void
explain_begin(ShardScan *scan)
{
	static int number = 0;

	scan->measured = true;
	if (explain_options >= 0)
		scan->explained = (number = number % 1000000 + 1);
}

int
explain_options_of(const ShardScan *scan)
{
	int instrument = scan->css.ss.ps.state->es_instrument;
	int options = explain_options;

	if (options < 0)
		return options;
	if (instrument & INSTRUMENT_TIMER)
		options |= EXPLAINED_TIMING;
	if (instrument & INSTRUMENT_BUFFERS)
		options |= EXPLAINED_BUFFERS;
	if (instrument & INSTRUMENT_WAL)
		options |= EXPLAINED_WAL;
	return options;
}

const char *
explain_mark(const ShardTask *task, const char *sql)
{
	const ShardScan *scan = task->scan;
	int options = explain_options_of(scan);

	if (task != scan->tasks || scan->explained == 0 || options < 0)
		return sql;
	return psprintf(EXPLAINED_MARK "%d %d*/ %s", options, scan->explained, sql);
}

/* The options that only EXPLAIN itself knows, to be told to nodes. */
static int
options_of(ExplainStmt *statement)
{
	int options = EXPLAINED_COSTS;
	ListCell *cell;

	foreach (cell, statement->options)
	{
		DefElem *option = lfirst(cell);

		if (strcmp(option->defname, "verbose") == 0)
			options =
				defGetBoolean(option) ? options | EXPLAINED_VERBOSE : options & ~EXPLAINED_VERBOSE;
		else if (strcmp(option->defname, "costs") == 0)
			options =
				defGetBoolean(option) ? options | EXPLAINED_COSTS : options & ~EXPLAINED_COSTS;
		else if (strcmp(option->defname, "format") == 0)
			options = strcmp(defGetString(option), "json") == 0 ? options | EXPLAINED_JSON
																: options & ~EXPLAINED_JSON;
	}
	return options;
}

static void
pgcluster_utility(PlannedStmt *statement, const char *text, bool read_only,
				  ProcessUtilityContext context, ParamListInfo params,
				  QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	int outer = explain_options;

	if (!IsA(statement->utilityStmt, ExplainStmt))
	{
		prev_utility(statement, text, read_only, context, params, environment, dest, completion);
		return;
	}
	explain_options = options_of((ExplainStmt *) statement->utilityStmt);
	PG_TRY();
	{
		prev_utility(statement, text, read_only, context, params, environment, dest, completion);
	}
	PG_FINALLY();
	{
		explain_options = outer;
	}
	PG_END_TRY();
}

void
explain_init(void)
{
	prev_utility = ProcessUtility_hook ? ProcessUtility_hook : standard_ProcessUtility;
	ProcessUtility_hook = pgcluster_utility;
}
