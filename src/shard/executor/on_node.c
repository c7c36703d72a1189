/*-------------------------------------------------------------------------
 * on_node.c
 *	  Statements on a worker group whose shard shows when they run.
 *
 * The value of the key says which of the shards here is meant; the statement
 * is planned for its tables then, and runs in this server.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/executor.h"
#include "optimizer/optimizer.h"
#include "utils/snapmgr.h"

#include "shard/executor/scan.h"
#include "shard/planner/on_node.h"

static const Shard *
choose(ShardScan *scan, const DistributedTable *table)
{
	bool isnull;
	Datum value = params_value(scan, scan->plan->key, &isnull);

	if (!isnull)
		return &table->colocation->shards[shards_of_value(scan, table, value)];
	if (scan->plan->inserts)
		shards_refuse_null(table);
	return on_node_any_shard(table);
}

void
on_node_start(ShardScan *scan)
{
	const DistributedTable *table = metadata_shell(scan->plan->relid);
	EState *estate = scan->css.ss.ps.state;
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	Query *query = copyObject(scan->plan->query);
	PlannedStmt *statement;
	QueryDesc *inner;
	uint64 processed;

	if (table == NULL)
		elog(ERROR, "table %u is not distributed any more", scan->plan->relid);
	on_node_bind(query, table, choose(scan, table));
	statement = planner(query, estate->es_sourceText, 0, estate->es_param_list_info);
	if (scan->plan->returning)
		scan->store = tasks_new_store(scan);
	PushActiveSnapshot(estate->es_snapshot);
	inner = local_begin(scan, statement, estate->es_snapshot, estate->es_param_list_info,
						estate->es_queryEnv, 0);
	processed = local_finish(inner, scan, scan->store);
	PopActiveSnapshot();
	scan_count_affected(scan, processed);
	MemoryContextSwitchTo(old);
}
