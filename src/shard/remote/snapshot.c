/*-------------------------------------------------------------------------
 * snapshot.c
 *	  Snapshots of several nodes that belong together.
 *
 * With pgcluster.read_consistency = atomic the snapshots that a read works
 * with are taken on all nodes and here while nobody commits on other nodes
 * (gate.c says why that is enough).  Connections and transactions are opened
 * before, so that the gate is held for one round trip.
 *
 * REPEATABLE READ: once a transaction, at its first statement on a table of
 * a user, on all groups.  The server has taken the local snapshot by then,
 * when the statement was analysed; the one taken under the gate goes in its
 * place, from the first statement on.  Where a node is used before there was
 * such a statement, the local snapshot must do: it is an error if something
 * was committed since.
 *
 * READ COMMITTED: for each statement that may read more than one shard.  The
 * node's session keeps the snapshot under a number, pgcluster.statement_snapshot
 * tells it with which one a statement runs: -n keeps that of the statement as
 * n, n uses it, 0 is as ever.  So a cursor reads on with its own snapshot
 * while others are open.  Numbers are given out again when the statement has
 * ended; the node then replaces what it kept.
 *
 * A transaction that exports its snapshot takes those of the nodes then, and
 * one that imports it has theirs too (export.c).
 *
 * Exchanging the snapshot of a statement is exchanging that of its QueryDesc
 * before the executor starts.  The number of the command, which says what of
 * its own a transaction sees, stays that of the statement.
 *
 * What must stay true: nothing that the server runs for itself (foreign keys,
 * triggers) has its snapshot exchanged, for it needs the newest; with shard,
 * nothing here does anything.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "tcop/pquery.h"
#include "tcop/utility.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "base/clock.h"
#include "base/compat.h"
#include "base/config.h"
#include "ha/state.h"
#include "shard/metadata/metadata.h"
#include "shard/plan.h"
#include "shard/remote/connection.h"
#include "shard/remote/export.h"
#include "shard/remote/gate.h"
#include "shard/remote/snapshot.h"

/* So long the gate is held at most. */
#define TAKE_US (5 * INT64CONST(1000000))

/* So long a server that is about to lead is waited for. */
#define LEAD_US (30 * INT64CONST(1000000))
#define LEAD_NAP_US INT64CONST(50000)

/* Kept snapshots by number; 0 is the one of the whole transaction. */
static Snapshot *kept = NULL;
static int nkept = 0;

/* A statement in READ COMMITTED whose nodes keep snapshots; lives with its executor state. */
typedef struct Statement
{
	dlist_node node;
	int number;
	MemoryContextCallback callback;
} Statement;

static dlist_head statements = DLIST_STATIC_INIT(statements);

static int starting = 0;	/* the number of the statement being started */
static bool taken = false;	/* the transaction's snapshots belong together */
static bool taking = false; /* ... are being taken */

static ExecutorStart_hook_type prev_start = NULL;
static ExecutorRun_hook_type prev_run = NULL;
static ProcessUtility_hook_type prev_utility = NULL;

int
snapshot_of_statement(void)
{
	return starting;
}

bool
snapshot_is_taken(void)
{
	return taken;
}

/*
 * Keeping and exchanging
 */

/* A registered copy of "source" that sees of its own transaction what "curcid" allows. */
static Snapshot
copy_snapshot(Snapshot source, CommandId curcid, ResourceOwner owner)
{
	Snapshot copy;

	PushCopiedSnapshot(source);
	copy = GetActiveSnapshot();
	copy->curcid = curcid;
	copy = RegisterSnapshotOnOwner(copy, owner);
	PopActiveSnapshot();
	return copy;
}

static void
keep(int number, Snapshot snapshot)
{
	Snapshot copy = copy_snapshot(snapshot, snapshot->curcid, TopTransactionResourceOwner);

	if (number >= nkept)
	{
		int n = number + 8;

		if (kept == NULL)
			kept = MemoryContextAllocZero(TopMemoryContext, n * sizeof(Snapshot));
		else
			kept = repalloc(kept, n * sizeof(Snapshot));
		memset(kept + nkept, 0, (n - nkept) * sizeof(Snapshot));
		nkept = n;
	}
	if (kept[number] != NULL)
		UnregisterSnapshotFromOwner(kept[number], TopTransactionResourceOwner);
	kept[number] = copy;
}

static void
forget_kept(bool unregister)
{
	for (int i = 0; i < nkept; i++)
	{
		if (kept[i] != NULL && unregister)
			UnregisterSnapshotFromOwner(kept[i], TopTransactionResourceOwner);
		kept[i] = NULL;
	}
}

static void
exchange(QueryDesc *query, Snapshot by)
{
	Snapshot old = query->snapshot;

	query->snapshot = copy_snapshot(by, old->curcid, CurrentResourceOwner);
	UnregisterSnapshot(old);
}

/* Do they see the same of other transactions? */
static bool
same_view(Snapshot a, Snapshot b)
{
	return a->xmin == b->xmin && a->xmax == b->xmax && a->xcnt == b->xcnt &&
		   a->subxcnt == b->subxcnt && memcmp(a->xip, b->xip, a->xcnt * sizeof(TransactionId)) == 0;
}

/*
 * On a node: what the coordinator asks for
 */

static void
node_statement(QueryDesc *query)
{
	int number = config_statement_snapshot;

	/* Only the statement that came from there. */
	if (ActivePortal == NULL || query->sourceText != ActivePortal->sourceText ||
		query->snapshot == NULL || IsParallelWorker() || IsolationUsesXactSnapshot())
		return;
	if (number < 0)
		keep(-number, query->snapshot);
	else if (number < nkept && kept[number] != NULL)
		exchange(query, kept[number]);
	else
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						errmsg("the snapshot of the statement is gone"),
						errhint("The transaction can be tried again.")));
}

/*
 * Taking them
 */

static RemoteTask *
ask(int group_id, const char *sql, int number)
{
	RemoteQuery query = {.group_id = group_id, .sql = sql, .snapshot = -number};

	return remote_task_start(&query, CurrentMemoryContext, NULL, NULL);
}

/* Waits for an answer; "until" (clock.h) is the end of patience. */
static void
await(RemoteTask *task, int64 until)
{
	bool done = false;

	for (;;)
	{
		PGresult *row = remote_task_poll(task, &done);

		if (done)
			break;
		if (row != NULL)
		{
			PQclear(row);
			continue;
		}
		if (clock_now_us() >= until)
			ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
							errmsg("node %s does not answer in time", remote_task_node(task)),
							errdetail("A snapshot of it was asked for, while nobody may commit."),
							errhint("The transaction can be tried again.")));
		remote_wait_any(&task, 1, -1);
	}
	remote_task_end(task);
}

/* Opens what is needed, so that nothing is to be waited for once the gate is closed. */
static void
open_transactions(List *groups, int number)
{
	List *tasks = NIL;
	ListCell *lc;

	foreach (lc, groups)
	{
		RemoteConnection *c = connection_get(lfirst_int(lc));

		if (c->state != CONNECTION_OPEN || c->copy.state != COPY_NONE || !dlist_is_empty(&c->tasks))
			tasks = lappend(tasks, ask(lfirst_int(lc), "SHOW transaction_isolation", number));
	}
	foreach (lc, tasks)
		await(lfirst(lc), PG_INT64_MAX);
	list_free(tasks);
}

/*
 * Has the nodes take their snapshots and takes one here, which the caller
 * must copy at once.
 */
static Snapshot
take_under_gate(List *groups, int number)
{
	List *tasks = NIL;
	ListCell *lc;
	int64 until;
	Snapshot snapshot;

	gate_lock();
	until = clock_now_us() + TAKE_US;
	foreach (lc, groups)
		tasks = lappend(tasks, ask(lfirst_int(lc), "SELECT", number));
	foreach (lc, tasks)
		await(lfirst(lc), until);
	snapshot = GetLatestSnapshot();
	gate_unlock();
	list_free(tasks);
	return snapshot;
}

/* Is this server about to lead, as far as the agent knows? */
static bool
may_lead_soon(HaPicture *picture)
{
	(void) ha_read_picture(picture);
	return !picture->standby_cluster &&
		   (picture->holder[0] == '\0' || strcmp(picture->holder, config_node_name) == 0);
}

/* With high availability the leader, too, begins as a standby when it has been started. */
static void
await_primary(void)
{
	int64 until = clock_now_us() + LEAD_US;
	HaPicture *picture = palloc(sizeof(HaPicture));

	while (RecoveryInProgress())
	{
		if (!ha_enabled() || clock_now_us() >= until || !may_lead_soon(picture))
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("cannot read atomically on a standby of the coordinator"),
							errdetail("Commits of the primary cannot be kept apart from snapshots "
									  "taken here."),
							errhint("Set pgcluster.read_consistency to \"shard\".")));
		remote_nap(LEAD_NAP_US);
	}
	pfree(picture);
}

static Snapshot
take(List *groups, int number)
{
	Snapshot snapshot;
	ListCell *lc;

	if (unlikely(RecoveryInProgress()))
		await_primary();
	open_transactions(groups, number);
	snapshot = take_under_gate(groups, number);

	/* They belong to the whole transaction: a lost connection cannot be replaced. */
	foreach (lc, groups)
	{
		if (number == 0)
			transaction_note_done(connection_get(lfirst_int(lc)), 1);
	}
	list_free(groups);
	return snapshot;
}

/* Has something been committed here that "a" does not see and the newer "b" does? */
static bool
committed_between(Snapshot a, Snapshot b)
{
	TransactionId xid = a->xmin;

	while (TransactionIdPrecedes(xid, b->xmax))
	{
		if (XidInMVCCSnapshot(xid, a) && !XidInMVCCSnapshot(xid, b) &&
			!TransactionIdIsCurrentTransactionId(xid) && TransactionIdDidCommit(xid))
			return true;
		TransactionIdAdvance(xid);
	}
	return false;
}

/*
 * For the whole transaction.  "first": nothing was read with the snapshot
 * that the server took, so it can be given up.
 */
static void
take_for_transaction(bool first)
{
	Snapshot newest;

	taking = true;
	PG_TRY();
	{
		newest = take(metadata_groups(), 0);
		if (first)
			keep(0, newest);
		else if (committed_between(GetTransactionSnapshot(), newest))
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not take snapshots that belong together on all nodes"),
					 errdetail("Another transaction was committed after this one took its local "
							   "snapshot and before it first used a node."),
					 errhint("The transaction can be tried again.")));
		taken = true;
	}
	PG_FINALLY();
	{
		taking = false;
	}
	PG_END_TRY();
}

void
snapshot_before_use(void)
{
	if (taken || taking || !IsolationUsesXactSnapshot() || IsParallelWorker())
		return;
	take_for_transaction(false);
}

/*
 * Here: the statements of this session
 */

static bool
names_user_table(const PlannedStmt *plan)
{
	ListCell *lc;

	foreach (lc, plan->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);

		if (rte->rtekind == RTE_RELATION && rte->relid >= FirstNormalObjectId)
			return true;
	}
	return false;
}

/* May it read more than one shard, or a shard and a local table? */
static bool
reads_several(const PlannedStmt *plan)
{
	ListCell *lc;

	if (IsA(plan->planTree, CustomScan) &&
		((CustomScan *) plan->planTree)->methods == &shard_scan_methods && plan->subplans == NIL)
	{
		switch (shard_plan_of((CustomScan *) plan->planTree)->tier)
		{
			case TIER_SINGLE_SHARD:
			case TIER_ROWS:
			case TIER_EVERY_COPY:
				return false;
			case TIER_SELECT_ROWS: /* its query is a statement of its own */
				return false;
			default:
				return true;
		}
	}
	foreach (lc, plan->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);
		const DistributedTable *table =
			rte->rtekind == RTE_RELATION ? metadata_table(rte->relid) : NULL;

		if (table != NULL && table->kind == TABLE_HASH)
			return true;
	}
	return false;
}

/* The groups that have something of a table that it reads; others need not be there. */
static List *
groups_read(const PlannedStmt *plan)
{
	List *groups = NIL;
	ListCell *lc;

	foreach (lc, plan->relationOids)
	{
		const DistributedTable *table = metadata_table(lfirst_oid(lc));

		if (table == NULL || table->kind != TABLE_HASH)
			continue;
		for (int i = 0; i < table->colocation->nshards; i++)
			groups = list_append_unique_int(groups, table->colocation->shards[i].group_id);
	}
	return groups == NIL ? metadata_groups() : groups;
}

static int
free_number(void)
{
	int number = 0;
	bool used = true;

	while (used)
	{
		dlist_iter iter;

		number++;
		used = false;
		dlist_foreach (iter, &statements)
			used |= dlist_container(Statement, node, iter.cur)->number == number;
	}
	return number;
}

static void
statement_ended(void *arg)
{
	Statement *statement = arg;

	dlist_delete(&statement->node);
}

/* Its number is in use as long as its executor state. */
static void
remember_statement(QueryDesc *query, int number)
{
	Statement *statement = MemoryContextAllocZero(query->estate->es_query_cxt, sizeof(*statement));

	statement->number = number;
	statement->callback.func = statement_ended;
	statement->callback.arg = statement;
	dlist_push_tail(&statements, &statement->node);
	MemoryContextRegisterResetCallback(query->estate->es_query_cxt, &statement->callback);
}

/* The number under which the nodes keep the snapshots of the statement, 0 if they need not. */
static int
take_for_statement(QueryDesc *query)
{
	int number = 0;
	bool exports;

	if (query->snapshot == NULL || taking || IsParallelWorker() || !metadata_any_table())
		return 0;
	if (!IsolationUsesXactSnapshot())
	{
		if (reads_several(query->plannedstmt))
		{
			number = free_number();
			exchange(query, take(groups_read(query->plannedstmt), number));
		}
		return number;
	}
	exports = export_is_asked(query->plannedstmt);
	if (!taken && (exports || names_user_table(query->plannedstmt)))
		take_for_transaction(true);
	if (exports)
		export_nodes(metadata_groups());
	if (nkept > 0 && kept[0] != NULL && same_view(query->snapshot, GetTransactionSnapshot()))
		exchange(query, kept[0]);
	return 0;
}

static void
pgcluster_start(QueryDesc *query, int eflags)
{
	int outer = starting;
	int number = 0;

	if (unlikely(config_statement_snapshot != 0))
		node_statement(query);
	else if (unlikely(config_read_consistency == READ_ATOMIC) &&
			 (eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0)
		number = take_for_statement(query);

	starting = number;
	if (prev_start)
		prev_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
	starting = outer;
	if (unlikely(number != 0))
		remember_statement(query, number);
}

/* Functions that the statement calls see what it sees. */
static void
pgcluster_run(QueryDesc *query, ScanDirection direction, uint64 count COMPAT_RUN_ONCE_PARAMETER)
{
	ExecutorRun_hook_type run = prev_run ? prev_run : standard_ExecutorRun;
	bool push =
		unlikely(config_statement_snapshot != 0 || config_read_consistency == READ_ATOMIC) &&
		query->snapshot != NULL && ActiveSnapshotSet() && !IsParallelWorker() &&
		!same_view(query->snapshot, GetActiveSnapshot());

	if (push)
		PushActiveSnapshot(query->snapshot);
	run(query, direction, count COMPAT_RUN_ONCE);
	if (push)
		PopActiveSnapshot();
}

/* COPY of a local table reads with the snapshot that is active; and a snapshot is imported. */
static void
pgcluster_utility(PlannedStmt *pstmt, const char *query, bool read_only_tree,
				  ProcessUtilityContext context, ParamListInfo params,
				  QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	ProcessUtility_hook_type next = prev_utility ? prev_utility : standard_ProcessUtility;
	const CopyStmt *copy = (const CopyStmt *) pstmt->utilityStmt;
	bool push = false;

	if (unlikely(config_read_consistency == READ_ATOMIC) && IsA(copy, CopyStmt) && !copy->is_from &&
		IsolationUsesXactSnapshot() && metadata_any_table())
	{
		if (!taken)
			take_for_transaction(true);
		push = nkept > 0 && kept[0] != NULL;
	}
	if (push)
	{
		PushCopiedSnapshot(kept[0]);
		UpdateActiveSnapshotCommandId();
	}
	next(pstmt, query, read_only_tree, context, params, environment, dest, completion);
	if (push)
		PopActiveSnapshot();
	/* Whatever read_consistency says: who imports a snapshot wants that one. */
	if (IsA(copy, VariableSetStmt) && export_import((const VariableSetStmt *) copy))
		taken = true;
}

static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			forget_kept(true);
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_ABORT:
			forget_kept(false);
			export_end();
			taken = false;
			starting = 0;
			break;
		default:
			break;
	}
}

void
snapshot_init(void)
{
	prev_start = ExecutorStart_hook;
	ExecutorStart_hook = pgcluster_start;
	prev_run = ExecutorRun_hook;
	ExecutorRun_hook = pgcluster_run;
	prev_utility = ProcessUtility_hook;
	ProcessUtility_hook = pgcluster_utility;
	RegisterXactCallback(xact_callback, NULL);
}
