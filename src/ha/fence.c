/*-------------------------------------------------------------------------
 * fence.c
 *	  Stops commits when the lease is not provably held.
 *
 * A transaction that wrote is looked at twice: before its commit record is
 * written, where it waits and then fails if the deadline has passed, and
 * after the record is flushed, where nothing can be undone any more, but the
 * client can still be kept from taking the commit for acknowledged: its
 * connection is shut.  Between the two the process may be stopped for any
 * time; that is what the second look is for.  It also finds out whether the
 * wait for synchronous standbys was broken off.
 *
 * Both looks read one word of shared memory and a clock, and ask nobody:
 * they work when the agent is stopped, hung or gone.  What moves the
 * deadline is the agent's business.
 *
 * Some statements do what no rollback undoes before their transaction ends;
 * they are looked at before they begin.  Reads are not fenced unless
 * pgcluster.fence_reads asks for it.  Nor are what writes WAL without a
 * transaction (a message outside of one, the progress of an origin, hint
 * bits), notifications and autovacuum: no commit of data is acknowledged with
 * them, and a rejoin discards what they wrote.
 *
 * A session that starts behind a closed fence starts read-only, so that a
 * client which looks for a server to write to goes elsewhere; it becomes
 * read-write by itself when the fence has opened.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/socket.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "replication/walsender.h"
#include "tcop/utility.h"
#include "utils/guc.h"

/*
 * With GSSAPI this header wants headers that the server's packages do not
 * bring.  Only the socket is used here, whose place does not depend on it.
 */
#undef ENABLE_GSS
#include "libpq/libpq-be.h"
StaticAssertDecl(offsetof(Port, sock) == 0, "the socket is the first field of Port");

#include "base/config.h"
#include "base/wait.h"
#include "ha/fence.h"
#include "ha/shared.h"
#include "ha/sync_names.h"

static ExecutorStart_hook_type prev_executor_start = NULL;
static ProcessUtility_hook_type prev_process_utility = NULL;

/* The present transaction was looked at before its commit: look again after. */
static bool second_look_due = false;

static bool session_started = false;
static bool made_read_only = false;

/*
 * Autovacuum acknowledges nothing to anyone, and the server looks after
 * itself behind a closed fence too.
 */
static bool
fence_applies(void)
{
	return ha_enabled() && IsUnderPostmaster && MyBackendType != B_AUTOVAC_WORKER;
}

static void
refuse(const char *what)
{
	GroupLeader leader;
	bool other =
		ha_group_leader(ha_own_group(), &leader) && strcmp(leader.member, config_node_name) != 0;

	ereport(ERROR,
			(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
			 errmsg("cannot %s: member \"%s\" does not hold the lease of its group", what,
					config_node_name),
			 other ? errdetail("Member \"%s\" (%s:%d) leads group %d.", leader.member, leader.host,
							   leader.port, leader.group_id)
				   : errdetail("Nobody else is known to lead group %d, but the lease could not be "
							   "renewed, or in a synchronous mode the sync key does not name "
							   "this member yet.",
							   ha_own_group()),
			 other ? errhint("Connect to the leader and run the transaction again.")
				   : errhint("Run the transaction again when the store can be reached; see "
							 "cluster_lease() and cluster_events().")));
}

/* Waits until the fence is open, at most pgcluster.fence_wait; else an error. */
static void
wait_for(const char *what)
{
	if (!wait_until(&ha_shared->fence_cv, ha_fence_is_open, config_fence_wait))
		refuse(what);
}

static void
wait_at_fence(void)
{
	second_look_due = true;
	wait_for("commit");
}

/*
 * A wait for standbys that is cancelled, or ended with its session, ends as if
 * they had confirmed the commit, but for a warning.  What broke it off is
 * still pending as an interrupt.  Where a PREPARE ends is not told, but
 * nothing of this session can come after it.
 */
static bool
is_wait_broken_off(XactEvent event)
{
	return InterruptPending &&
		   sync_names_is_unconfirmed(event == XACT_EVENT_COMMIT ? XactLastCommitEnd
																: GetXLogInsertRecPtr());
}

/*
 * The commit is on disk, but the client must not hear that it succeeded:
 * another member may lead without it.  A worker has no client, but others to
 * tell, as the publisher whose changes it applied: it ends.
 */
static void
cut_client(const char *reason)
{
	bool worker = MyBackendType == B_BG_WORKER;

	if (!worker && (MyProcPort == NULL || MyProcPort->sock == PGINVALID_SOCKET))
		return;
	if (worker)
	{
		ProcDiePending = true;
		InterruptPending = true;
	}
	else
		shutdown(MyProcPort->sock, SHUT_RDWR);
	ereport(LOG_SERVER_ONLY,
			(errmsg("%s during a commit, %s", reason,
					worker ? "the worker ends" : "the client's connection was closed"),
			 errdetail("The transaction is committed on this server, but it is not certain that it "
					   "is part of the cluster's history.")));
}

static const char broken_off[] = "the wait for a synchronous standby was broken off";

static void
look_after_flush(XactEvent event)
{
	if (!second_look_due)
		return;
	second_look_due = false;
	if (is_wait_broken_off(event))
		cut_client(broken_off);
	else if (!ha_fence_is_open())
		cut_client("the lease ran out");
}

/*
 * default_transaction_read_only is reported to the client at the start of
 * the session, after the transaction in which the session was set up.
 */
static void
set_read_only(bool read_only)
{
	SetConfigOption("default_transaction_read_only", read_only ? "on" : "off", PGC_USERSET,
					PGC_S_OVERRIDE);
	made_read_only = read_only;
}

static void
adjust_session(void)
{
	bool client = MyProcPort != NULL && !am_walsender;

	if (!session_started)
	{
		session_started = true;
		if (client && !RecoveryInProgress() && !ha_fence_is_open() && !DefaultXactReadOnly)
			set_read_only(true);
	}
	else if (made_read_only && ha_fence_is_open())
		set_read_only(false);
}

static void
fence_transaction(XactEvent event, void *arg)
{
	if (!fence_applies())
		return;

	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
				wait_at_fence();
			break;
		case XACT_EVENT_PRE_PREPARE:
			wait_at_fence();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			look_after_flush(event);
			adjust_session();
			break;
		case XACT_EVENT_ABORT:
			second_look_due = false;
			break;
			/* A parallel worker has no transaction of its own: its leader is asked. */
		case XACT_EVENT_PARALLEL_PRE_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PARALLEL_ABORT:
			break;
	}
}

/*
 * Reads, as far as pgcluster.fence_reads asks for it: when they begin, for
 * what was sent cannot be called back.
 */
static void
look_before_reading(void)
{
	if (config_fence_reads && fence_applies() && MyProcPort != NULL && !am_walsender &&
		!RecoveryInProgress())
		wait_for("read");
}

static void
fence_executor_start(QueryDesc *query, int flags)
{
	if ((flags & EXEC_FLAG_EXPLAIN_ONLY) == 0)
		look_before_reading();
	if (prev_executor_start)
		prev_executor_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
}

/*
 * Statements that act before their transaction commits: on files, or, for
 * subscriptions, on another server.
 */
static bool
acts_at_once(const Node *statement)
{
	static const NodeTag tags[] = {T_CreatedbStmt,			T_DropdbStmt,
								   T_AlterDatabaseStmt,		T_CreateTableSpaceStmt,
								   T_DropTableSpaceStmt,	T_CreateSubscriptionStmt,
								   T_AlterSubscriptionStmt, T_DropSubscriptionStmt};

	for (size_t i = 0; i < lengthof(tags); i++)
		if (nodeTag(statement) == tags[i])
			return true;
	return false;
}

/*
 * The second phase writes without a transaction id of its own.  A rollback
 * is a write just as well: it would be missing on a leader that has the
 * transaction prepared.
 */
static bool
is_second_phase(const Node *statement)
{
	const TransactionStmt *transaction = (const TransactionStmt *) statement;

	return IsA(statement, TransactionStmt) && (transaction->kind == TRANS_STMT_COMMIT_PREPARED ||
											   transaction->kind == TRANS_STMT_ROLLBACK_PREPARED);
}

static void
fence_utility(PlannedStmt *pstmt, const char *query_string, bool read_only_tree,
			  ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *query_env,
			  DestReceiver *dest, QueryCompletion *completion)
{
	const Node *statement = pstmt->utilityStmt;
	bool applies = fence_applies() && !RecoveryInProgress();
	bool second_phase = applies && is_second_phase(statement);

	if (second_phase)
		wait_at_fence();
	else if (applies && acts_at_once(statement))
		wait_for("change what a rollback cannot bring back");
	if (IsA(statement, CopyStmt) || IsA(statement, FetchStmt))
		look_before_reading();

	if (prev_process_utility)
		prev_process_utility(pstmt, query_string, read_only_tree, context, params, query_env, dest,
							 completion);
	else
		standard_ProcessUtility(pstmt, query_string, read_only_tree, context, params, query_env,
								dest, completion);
	if (second_phase && sync_names_is_unconfirmed(XactLastRecEnd))
		cut_client(broken_off);
}

void
fence_init(void)
{
	if (!ha_enabled())
		return;
	RegisterXactCallback(fence_transaction, NULL);
	prev_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = fence_executor_start;
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = fence_utility;
}
