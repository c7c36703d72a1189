/*-------------------------------------------------------------------------
 * direct.c
 *	  Statements on one shard, run without the executor's machinery.
 *
 * A statement that the client sent, that is nothing but a scan of ours on one
 * shard, and whose rows go to the client as they come, needs no plan state:
 * its parameters are evaluated, the shard is chosen, and the node is asked
 * (remote_run).  What does not change between two executions is learned from
 * one that was run as usual.
 *
 * The executor is started when the statement is bound, and only when it runs
 * is it known where its rows go, and how many are wanted.  Until then nothing
 * is done but what may refuse it; if it turns out that it has to be run as
 * usual, the executor is started then.
 *
 * What must stay true: whoever looks at the query in a hook finds an
 * executor state, and as many rows counted as there were; and nothing is
 * left out that a hook of somebody else would do inside of ours.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/tupdesc.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "tcop/dest.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"

/* Headers of GSSAPI, which nothing here needs, may not be there. */
#undef ENABLE_GSS
#include "libpq/libpq.h"

#include "base/compat.h"
#include "base/config.h"
#include "shard/executor/scan.h"

/* One between its start and its end; it lives in its executor state. */
typedef struct Direct
{
	QueryDesc *query;
	int flags;
	MemoryContext context; /* where the executor was started, and for whom */
	ResourceOwner owner;
	MemoryContextCallback callback;
	ShardScan scan; /* as much of it as the files of this folder look at */
} Direct;

static Direct *direct = NULL;
static bool allowed = false;

static ExecutorStart_hook_type prev_start = NULL;

static void direct_start(QueryDesc *query, int flags);

/* Before any other hook of ours, which then see it as they see the executor. */
void
direct_init(void)
{
	allowed = ExecutorStart_hook == NULL && ExecutorRun_hook == NULL &&
			  ExecutorFinish_hook == NULL && ExecutorEnd_hook == NULL;
	prev_start = ExecutorStart_hook;
	ExecutorStart_hook = direct_start;
}

/*
 * What is learned
 */

static ShardPlan *
plan_of(PlannedStmt *statement)
{
	CustomScan *scan = (CustomScan *) statement->planTree;

	if (!IsA(scan, CustomScan) || scan->methods != &shard_scan_methods)
		return NULL;
	return shard_plan_of(scan);
}

static bool
is_direct(QueryDesc *query, ShardScan *scan)
{
	const ShardPlan *plan = scan->plan;
	const PlannedStmt *statement = query->plannedstmt;
	const PlanState *state = &scan->css.ss.ps;

	if (plan->tier != TIER_SINGLE_SHARD || !plan->few || plan->ships || plan->parts != NIL ||
		plan->needed_parts != NIL || plan->key_is_array || scan->exec_params != NULL ||
		statement->subplans != NIL || statement->hasModifyingCTE || state->ps_ProjInfo != NULL ||
		state->qual != NULL || state->initPlan != NIL || query->estate->es_junkFilter != NULL ||
		scan->cache->nparams == 0)
		return false;
	if (plan->command == CMD_SELECT)
		return !plan->some_columns && scan->cache->rows.binary && scan->cache->rows.count > 0;
	return !plan->returning && (plan->command == CMD_INSERT || plan->command == CMD_UPDATE ||
								plan->command == CMD_DELETE);
}

/* After a query has run as usual. */
void
direct_learn(QueryDesc *query)
{
	ShardScan *scan = (ShardScan *) query->planstate;
	ShardPlanCache *cache;
	MemoryContext old;

	if (!allowed || !scan_is_ours(query->planstate) || scan->cache == NULL || scan->cache->learned)
		return;
	cache = scan->cache;
	if (is_direct(query, scan))
	{
		old = MemoryContextSwitchTo(GetMemoryChunkContext(shard_plan_owner(scan->plan)));
		cache->result = CreateTupleDescCopy(query->tupDesc);
		MemoryContextSwitchTo(old);
	}
	cache->learned = true;
}

/*
 * Start
 */

/* Is it what the client sent, all that it sent, and not a cursor? */
static bool
is_of_client(QueryDesc *query)
{
	Portal portal = ActivePortal;

	return whereToSendOutput == DestRemote && PortalIsValid(portal) && portal->name[0] == '\0' &&
		   list_length(portal->stmts) == 1 && linitial(portal->stmts) == query->plannedstmt;
}

/* The plan, if it can be run directly; NULL if not. */
static ShardPlan *
may_start(QueryDesc *query, int flags)
{
	ShardPlan *plan;
	ShardPlanCache *cache;

	if (!allowed || flags != 0 || query->instrument_options != 0 || query->queryEnv != NULL ||
		(plan = plan_of(query->plannedstmt)) == NULL || direct != NULL || !is_of_client(query))
		return NULL;
	cache = shard_plan_owner(plan)->cache;
	if (cache == NULL || cache->result == NULL || cache->binary_is_safe != codec_binary_is_safe() ||
		IsInParallelMode() || (XactReadOnly && (plan->writes || plan->command != CMD_SELECT)) ||
		config_read_consistency == READ_ATOMIC || config_statement_snapshot != 0)
		return NULL;
	return plan;
}

static void
forget_direct(void *arg)
{
	if (direct == arg)
		direct = NULL;
}

static void
direct_start(QueryDesc *query, int flags)
{
	ShardPlan *plan = may_start(query, flags);
	EState *state;
	Direct *run;

	if (plan == NULL)
	{
		if (prev_start)
			prev_start(query, flags);
		else
			standard_ExecutorStart(query, flags);
		return;
	}
	compat_check_permissions(query->plannedstmt);
	state = CreateExecutorState();
	state->es_param_list_info = query->params;
	state->es_sourceText = query->sourceText;
	state->es_plannedstmt = query->plannedstmt;
	state->es_range_table = query->plannedstmt->rtable;
	state->es_top_eflags = flags | EXEC_FLAG_SKIP_TRIGGERS;
	query->estate = state;
	query->tupDesc = shard_plan_owner(plan)->cache->result;

	run = MemoryContextAllocZero(state->es_query_cxt, sizeof(Direct));
	run->query = query;
	run->flags = flags;
	run->context = CurrentMemoryContext;
	run->owner = CurrentResourceOwner;
	NodeSetTag(&run->scan, T_CustomScanState);
	run->scan.plan = plan;
	run->scan.params = shard_plan_params((CustomScan *) query->plannedstmt->planTree);
	run->scan.context = state->es_query_cxt;
	run->scan.css.ss.ps.state = state;
	run->callback.func = forget_direct;
	run->callback.arg = run;
	MemoryContextRegisterResetCallback(state->es_query_cxt, &run->callback);
	direct = run;
}

/* The executor is started after all. */
static void
start_usual(void)
{
	QueryDesc *query = direct->query;
	EState *state = query->estate;
	MemoryContext old = MemoryContextSwitchTo(direct->context);
	ResourceOwner owner = CurrentResourceOwner;
	int flags = direct->flags;

	CurrentResourceOwner = direct->owner;
	direct = NULL;
	query->estate = NULL;
	query->tupDesc = NULL;
	standard_ExecutorStart(query, flags);
	/* Others may have put something there. */
	MemoryContextSetParent(state->es_query_cxt, query->estate->es_query_cxt);
	CurrentResourceOwner = owner;
	MemoryContextSwitchTo(old);
}

/* What a cursor, say, should see as it was before rows are changed. */
void
direct_read_waiting(void)
{
	if (direct != NULL && !direct->scan.started)
		start_usual();
}

/*
 * Run
 */

/* Somebody may want to show the plan as it ran. */
static bool
may_be_explained(QueryDesc *query)
{
	return query->totaltime != NULL &&
		   GetConfigOption("auto_explain.log_min_duration", true, false) != NULL;
}

/* Do the rows go to the client, all columns in one format? */
static bool
goes_to_client(QueryDesc *query, int *format)
{
	Portal portal = ActivePortal;

	if (query->operation != CMD_SELECT)
		return true;
	return (query->dest->mydest == DestRemote || query->dest->mydest == DestRemoteExecute) &&
		   PortalIsValid(portal) && portal->queryDesc == query &&
		   portal->strategy == PORTAL_ONE_SELECT && forward_one_format(portal, format);
}

static void
send_row(void *arg, char *body, int length)
{
	EState *state = arg;

	state->es_processed++;
	(void) pq_putmessage('D', body, length);
}

static void
ask_node(Direct *run)
{
	ShardScan *scan = &run->scan;
	ShardPlan *plan = scan->plan;
	EState *state = run->query->estate;
	ShardPlanCache *cache;
	RemoteQuery query = {0};
	const DistributedTable *table;
	int64 affected;
	int position;

	scan->started = true;
	if (plan->writes)
		scan_read_waiting();
	params_prepare(scan);
	params_evaluate(scan);
	cache = scan->cache;
	table = scan_table(scan);
	position = shards_choose_one(scan, table);

	query.group_id = table->colocation->shards[position].group_id;
	query.sql = shards_sql(scan, table, position);
	query.slot = &cache->slots[position];
	query.nparams = cache->nparams;
	query.types = cache->wire_types;
	query.values = scan->wire_values;
	query.lengths = scan->wire_lengths;
	query.formats = scan->wire_formats;
	query.binary = scan->format == 1;
	query.version = scan->version;
	query.prepare = true;
	query.names = plan->names;
	query.writes = plan->writes;
	query.alone = query.writes && alone_in_transaction(scan);
	query.reads = plan->command == CMD_SELECT;
	query.whole = true;
	query.columns = plan->command == CMD_SELECT ? cache->rows.count : 0;
	affected = remote_run(&query, scan->context, send_row, state);
	if (plan->command != CMD_SELECT && run->query->plannedstmt->canSetTag)
		state->es_processed += affected;
}

/* True when the query was run, or there was nothing left to run. */
bool
direct_run(QueryDesc *query, ScanDirection direction, uint64 count)
{
	Direct *run = direct;
	MemoryContext old;
	DestReceiver *dest = query->dest;

	if (likely(run == NULL) || run->query != query)
		return false;
	if (run->scan.started)
	{
		query->estate->es_processed = 0;
		return true;
	}
	if (count != 0 || !ScanDirectionIsForward(direction) || may_be_explained(query) ||
		!goes_to_client(query, &run->scan.format))
	{
		start_usual();
		return false;
	}
	if (query->totaltime != NULL)
		InstrStartNode(query->totaltime);
	old = MemoryContextSwitchTo(run->scan.context);
	query->estate->es_processed = 0;
	/* In answer to a simple query the rows are described first. */
	if (dest->mydest == DestRemote && query->operation == CMD_SELECT)
		dest->rStartup(dest, query->operation, query->tupDesc);
	ask_node(run);
	compat_add_to_total(query->estate);
	if (dest->mydest == DestRemote && query->operation == CMD_SELECT)
		dest->rShutdown(dest);
	MemoryContextSwitchTo(old);
	if (query->totaltime != NULL)
		InstrStopNode(query->totaltime, query->estate->es_processed);
	return true;
}
