/*-------------------------------------------------------------------------
 * call.c
 *	  Calls of functions that run where their key lives.
 *
 * A null key lives nowhere, and a group may be this very server, whose other
 * session would wait for this one: then the call runs here.  So it does when
 * its node finds that it needs more than is there, see remote/refusal.c.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "shard/ddl/groups.h"
#include "shard/executor/call.h"
#include "shard/executor/scan.h"
#include "shard/planner/call.h"
#include "shard/planner/pin.h"

int
call_group(const DistributedTable *table, Oid type, Datum key, bool isnull)
{
	Oid function = pin_hash_function(table->key_type, type);
	const Colocation *colocation = table->colocation;
	int32 hash;
	int i = 0;

	if (isnull || !OidIsValid(function))
		return 0;
	hash = DatumGetInt32(OidFunctionCall1Coll(function, table->key_collation, key));
	while (hash > colocation->shards[i].hash_max)
		i++;
	return groups_is_elsewhere(colocation->shards[i].group_id) ? colocation->shards[i].group_id : 0;
}

static void
run_here(ShardScan *scan)
{
	EState *estate = scan->css.ss.ps.state;
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	PlannedStmt *statement =
		plan_call_here(scan->plan->query, estate->es_sourceText, estate->es_param_list_info);
	QueryDesc *inner;

	scan->store = tasks_new_store(scan);
	PushActiveSnapshot(estate->es_snapshot);
	inner = local_begin(scan, statement, estate->es_snapshot, estate->es_param_list_info,
						estate->es_queryEnv, 0);
	(void) local_finish(inner, scan, scan->store);
	PopActiveSnapshot();
	MemoryContextSwitchTo(old);
}

/* As the server would, had it called the function. */
static void
check_execute(ShardScan *scan)
{
	Oid function = call_function(scan->plan->query);
	AclResult result = user_may_execute(function);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FUNCTION, get_func_name(function));
}

void
call_start(ShardScan *scan)
{
	const DistributedTable *table = scan_table(scan);
	List *positions;
	int group_id;

	check_execute(scan);
	if (scan->param_nulls[scan->plan->key_param])
	{
		run_here(scan);
		return;
	}
	positions = shards_choose(scan, table);
	group_id = table->colocation->shards[linitial_int(positions)].group_id;
	if (!groups_is_elsewhere(group_id))
	{
		run_here(scan);
		return;
	}
	stream_start(scan, table, positions);
	if (!remote_task_refused(scan->tasks[0].remote))
		return;
	(void) tasks_end(&scan->tasks[0]);
	scan->ntasks = scan->nlanes = 0;
	scan->streaming = false;
	scan->refused = true;
	run_here(scan);
}
