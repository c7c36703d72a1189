/*-------------------------------------------------------------------------
 * sync_gate.c
 *	  Holds reads back until what a restart has brought to light is safe.
 *
 * While a commit waits for a standby its rows are seen by nobody.  A restart
 * forgets the wait: what was written becomes visible although no standby may
 * have it, and if the server is lost next, so are rows that somebody has read.
 * So in a synchronous mode a server that became a primary, by promotion or by
 * a crash-restart, shows tables only when its agent has seen that no later
 * leader can be without what was there when recovery ended.  The gate is
 * closed from before the first session, when shared memory is made; it never
 * closes on a primary.
 *
 * Statements that read no table pass: one must be able to look at the
 * cluster, and pg_rewind must be able to copy from here.  A standby's sessions
 * pass too; what they see was never promised to stay.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xlog.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "storage/condition_variable.h"
#include "tcop/utility.h"

#include "base/config.h"
#include "base/shmem.h"
#include "base/wait.h"
#include "ha/state.h"
#include "ha/sync_gate.h"

typedef struct GateShared
{
	pg_atomic_uint32 open;
	ConditionVariable opened;
} GateShared;

static GateShared *gate = NULL;
static ExecutorStart_hook_type prev_executor_start = NULL;
static ProcessUtility_hook_type prev_process_utility = NULL;

static Size
gate_size(void)
{
	return sizeof(GateShared);
}

/* Without a synchronous mode, as far as is known before the store was seen, it is open. */
static void
gate_attach(void *area, LWLockPadded *locks, bool found)
{
	gate = area;
	if (found)
		return;
	pg_atomic_init_u32(&gate->open, config_sync_serial == 0);
	ConditionVariableInit(&gate->opened);
}

static const ShmemArea gate_area = {"pgcluster sync gate", gate_size, 0, gate_attach};

bool
sync_gate_is_open(void)
{
	return pg_atomic_read_u32(&gate->open) != 0;
}

void
sync_gate_set(bool open)
{
	if (open == sync_gate_is_open())
		return;
	pg_atomic_write_u32(&gate->open, open);
	if (open)
		ConditionVariableBroadcast(&gate->opened);
}

/*
 * Sessions
 */

static void
pass_gate(void)
{
	if (sync_gate_is_open() || MyBackendType != B_BACKEND || RecoveryInProgress())
		return;
	if (!wait_until(&gate->opened, sync_gate_is_open, config_fence_wait))
		ereport(ERROR,
				(errcode(ERRCODE_CANNOT_CONNECT_NOW),
				 errmsg("cannot show tables yet: not all commits are known to be replicated"),
				 errdetail("This server was restarted in a synchronous mode, and too few "
						   "synchronous standbys have confirmed what it found."),
				 errhint("Try again when a standby is back; see cluster_status().")));
}

static bool
reads_tables(const PlannedStmt *statement)
{
	ListCell *cell;

	foreach (cell, statement->relationOids)
		if (lfirst_oid(cell) >= FirstNormalObjectId)
			return true;
	return false;
}

static void
gate_executor_start(QueryDesc *query, int eflags)
{
	if (!sync_gate_is_open() && (eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0 &&
		reads_tables(query->plannedstmt))
		pass_gate();
	if (prev_executor_start)
		prev_executor_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
}

/* COPY of a table reads it without the executor. */
static void
gate_utility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
			 ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *query_env,
			 DestReceiver *dest, QueryCompletion *completion)
{
	if (!sync_gate_is_open() && IsA(pstmt->utilityStmt, CopyStmt) &&
		!((CopyStmt *) pstmt->utilityStmt)->is_from)
		pass_gate();
	if (prev_process_utility)
		prev_process_utility(pstmt, query_string, read_only_tree, context, params, query_env, dest,
							 completion);
	else
		standard_ProcessUtility(pstmt, query_string, read_only_tree, context, params, query_env,
								dest, completion);
}

void
sync_gate_init(void)
{
	shmem_register(&gate_area);
	prev_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = gate_executor_start;
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = gate_utility;
}
