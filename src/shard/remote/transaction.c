/*-------------------------------------------------------------------------
 * transaction.c
 *	  The transactions of nodes that belong to the local one.
 *
 * A node's transaction is opened by the first use that needs one and has a
 * savepoint for each local subtransaction in which it was used.  It ends
 * with the local transaction:
 *
 *	nobody wrote			COMMIT everywhere
 *	one node, nothing here	COMMIT there, the last thing that can fail
 *	nodes, nothing here		PREPARE TRANSACTION on all but one; that one
 *							commits, and keeps that it did (decision.c); then
 *							COMMIT PREPARED on the others
 *	anything else			PREPARE TRANSACTION on each node that wrote; a
 *							record of each in the local transaction; after the
 *							local commit COMMIT PREPARED everywhere
 *
 * So always one decides in one phase, the others in two: the "last agent"
 * of J. Gray, Notes on Data Base Operating Systems (1978).  What it writes is
 * the decision: with it, or its record here, a prepared transaction commits;
 * without it, and when it can no longer come, it is rolled back.  What could
 * not be finished here the maintenance worker finishes.
 *
 * What must stay true: after the local commit nothing here throws; the end
 * of a transaction waits for a node only so long; a connection whose state
 * is in doubt is closed.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "storage/predicate.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/clock.h"
#include "base/config.h"
#include "base/failpoint.h"
#include "base/shmem.h"
#include "shard/maintenance/maintenance.h"
#include "shard/remote/connection.h"
#include "shard/remote/decision.h"
#include "shard/remote/export.h"
#include "shard/remote/gate.h"
#include "shard/remote/snapshot.h"
#include "shard/remote/twophase.h"

/* So long a session waits to learn what a node has decided. */
#define RESOLVE_US (10 * INT64CONST(1000000))
/* ... and a new leader to be found. */
#define RESOLVE_AGENT_US (30 * INT64CONST(1000000))
#define RESOLVE_NAP_US INT64CONST(100000)
/* So long the end of a transaction waits for nodes that ought to answer at once. */
#define END_WAIT_US (10 * INT64CONST(1000000))
/* ... and for a COPY to end before it is cancelled. */
#define COPY_WAIT_US (INT64CONST(300000))
/* ... and for a statement that is in vain anyway. */
#define MOMENT_US INT64CONST(10000)
/* ... and until it asks again for the end of what somebody else is ending. */
#define BUSY_NAP_US INT64CONST(1000)
/* ... and a rolled back subtransaction for the rows of cursors that stay open. */
#define CURSOR_WAIT_US (30 * INT64CONST(1000000))

/* Connections used in the present transaction. */
static dlist_head active = DLIST_STATIC_INIT(active);

/* True while a callback runs in which nothing may be tried again. */
static bool ending = false;

/* It has waited for long, and has asked whether it does so for ever. */
static bool suspects = false;

void
transaction_note_suspicion(void)
{
	suspects = true;
}

bool
transaction_suspects(void)
{
	return suspects;
}

bool
transaction_ending(void)
{
	return ending;
}

/*
 * Use of a node
 */

/* Calls "action", which may throw, for all connections of the transaction. */
void
transaction_foreach(void (*action)(RemoteConnection *c))
{
	dlist_mutable_iter iter;

	dlist_foreach_modify (iter, &active)
		action(dlist_container(RemoteConnection, active, iter.cur));
}

Oid
transaction_user(int group_id)
{
	dlist_iter iter;

	dlist_foreach (iter, &active)
	{
		RemoteConnection *c = dlist_container(RemoteConnection, active, iter.cur);

		if (c->key.group_id == group_id && c->key.number == 0 && !c->key.replica &&
			(c->level > 0 || c->lost))
			return c->key.user;
	}
	return InvalidOid;
}

bool
remote_is_used(int group_id)
{
	return OidIsValid(transaction_user(group_id));
}

/* The snapshots of the transaction were taken, and this node or user was not there. */
static void
refuse_late_use(RemoteConnection *c)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("cannot use group %d as another user, or a group that was added, within "
						   "this transaction",
						   c->key.group_id),
					errdetail("pgcluster.read_consistency is \"atomic\", and the snapshots of the "
							  "transaction were taken without it.")));
}

/* The group's connection, fit for a command; it may not be open yet. */
RemoteConnection *
transaction_use(int group_id, bool replica, int number)
{
	RemoteConnection *c;

	if (IsParallelWorker())
		ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_STATE),
						errmsg("other nodes cannot be used from a parallel worker")));
	if (unlikely(config_read_consistency == READ_ATOMIC))
		snapshot_before_use();
	c = unlikely(replica || number > 0) ? connection_find(group_id, replica, number)
										: connection_get(group_id);
	if (unlikely(snapshot_is_taken()) && c->level == 0 && !c->lost &&
		export_command(group_id) == NULL)
		refuse_late_use(c);
	if (c->lost)
		error_raise_lost(c);
	if (c->copy.state != COPY_NONE)
		copy_settle(c);
	connection_check_leader(c);
	if (!c->is_active)
	{
		dlist_push_tail(&active, &c->active);
		c->is_active = true;
	}
	if (unlikely(c->key.user != GetUserId()))
		acting_prepare(c);
	return c;
}

/*
 * Statements that commit by themselves
 *
 * What is all that the local transaction does may commit on its node with its
 * own end.  Then nothing may fail here any more, and no interrupt is acted
 * upon, until the local transaction is over.  Readers of all nodes would have
 * to wait for a statement that may wait for their locks: once there are such
 * readers, a statement needs a COMMIT of its own again.
 */

static bool committed_alone = false;
static bool shows_row = false;

bool
transaction_may_commit_alone(RemoteConnection *c)
{
	dlist_iter iter;

	dlist_foreach (iter, &active)
	{
		RemoteConnection *other = dlist_container(RemoteConnection, active, iter.cur);

		if (other->level > 0 || other->lost || !dlist_is_empty(&other->tasks) ||
			other->copy.state != COPY_NONE || other->pending_error != NULL)
			return false;
	}
	return !committed_alone && !c->at_replica && c->key.user == GetUserId() &&
		   connection_is_quiet(c) && gate_enter_unused();
}

/* A row that is shown takes as long as the client likes: the session may be ended meanwhile. */
void
transaction_committed_alone(bool shows)
{
	committed_alone = true;
	shows_row = shows;
	if (shows)
		HOLD_CANCEL_INTERRUPTS();
	else
		HOLD_INTERRUPTS();
}

static void
end_committed_alone(XactEvent event)
{
	if (!committed_alone || (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT))
		return;
	committed_alone = false;
	/* An error has let go of all holds already. */
	if (event == XACT_EVENT_COMMIT && shows_row)
		RESUME_CANCEL_INTERRUPTS();
	else if (event == XACT_EVENT_COMMIT)
		RESUME_INTERRUPTS();
}

/*
 * A single read in READ COMMITTED needs no transaction of its own on the
 * node: its snapshot is the statement's.
 */
bool
transaction_needed(const RemoteConnection *c, bool writes)
{
	return writes || c->level > 0 || c->key.user != GetUserId() || IsTransactionBlock() ||
		   IsSubTransaction() || IsolationUsesXactSnapshot();
}

const char *
transaction_begin_command(void)
{
	static char command[100];
	static const char *const isolation[] = {
		[XACT_READ_UNCOMMITTED] = "READ UNCOMMITTED",
		[XACT_READ_COMMITTED] = "READ COMMITTED",
		[XACT_REPEATABLE_READ] = "REPEATABLE READ",
		[XACT_SERIALIZABLE] = "SERIALIZABLE",
	};

	snprintf(command, sizeof(command), "BEGIN ISOLATION LEVEL %s%s%s", isolation[XactIsoLevel],
			 XactReadOnly ? " READ ONLY" : "", XactDeferrable ? " DEFERRABLE" : "");
	return command;
}

void
transaction_note_done(RemoteConnection *c, int level)
{
	if (c->done_level == 0 || level < c->done_level)
		c->done_level = level;
}

void
transaction_note_write(RemoteConnection *c, int level)
{
	if (c->write_level == 0 || level < c->write_level)
		c->write_level = level;
}

void
transaction_take_back(RemoteConnection *c, const RemoteTask *task)
{
	if (task->savepoint)
	{
		task_internal_forget(c, "ROLLBACK TO SAVEPOINT attempt", false);
		task_internal_forget(c, "RELEASE SAVEPOINT attempt", false);
		c->write_level = task->write_level;
		c->acting = InvalidOid;
		c->snapshot = SNAPSHOT_UNKNOWN;
	}
	else
	{
		task_internal_forget(c, "ROLLBACK", false);
		c->level = c->done_level = c->write_level = 0;
		c->acting = c->key.user;
	}
	if (c->settings.in_transaction)
		settings_forget(c);
}

static void
reset(RemoteConnection *c)
{
	c->level = 0;
	c->acting = c->key.user;
	c->done_level = 0;
	c->write_level = 0;
	c->lost = false;
	c->committing = 0;
	c->two_phase = TWO_PHASE_NONE;
	c->settings.in_transaction = false;
	if (c->ending != NULL)
		task_release(c->ending);
	c->ending = NULL;
	if (c->pending_error != NULL)
		PQclear(c->pending_error);
	c->pending_error = NULL;
	c->pending_copy = false;
	copy_forget_lines(c);
	c->is_active = false;
	dlist_delete(&c->active);
}

/*
 * SET CONSTRAINTS ALL
 */

/* What was said, at which nesting level (ints), the last one first. */
static List *constraint_levels = NIL;
static List *constraint_modes = NIL;

static const char *const constraint_commands[] = {"SET CONSTRAINTS ALL IMMEDIATE",
												  "SET CONSTRAINTS ALL DEFERRED"};

/* What a node is to be told with the transaction's begin; NULL if nothing. */
const char *
transaction_constraints_command(void)
{
	return constraint_modes == NIL ? NULL : constraint_commands[linitial_int(constraint_modes)];
}

static List *groups_used;

static void
find_groups_used(RemoteConnection *c)
{
	if (c->level > 0)
		groups_used = lappend_int(groups_used, c->key.group_id);
}

void
remote_set_constraints(bool deferred)
{
	MemoryContext old;
	List *tasks = NIL;
	ListCell *lc;

	groups_used = NIL;
	transaction_foreach(find_groups_used);
	foreach (lc, groups_used)
	{
		RemoteQuery query = {.group_id = lfirst_int(lc), .sql = constraint_commands[deferred]};

		tasks = lappend(tasks, remote_task_start(&query, CurrentMemoryContext, NULL, NULL));
	}
	foreach (lc, tasks)
	{
		while (remote_task_next(lfirst(lc)) != NULL)
			;
		remote_task_end(lfirst(lc));
	}
	old = MemoryContextSwitchTo(TopTransactionContext);
	constraint_levels = lcons_int(GetCurrentTransactionNestLevel(), constraint_levels);
	constraint_modes = lcons_int(deferred, constraint_modes);
	MemoryContextSwitchTo(old);
}

/* A subtransaction of this level is over. */
static void
end_constraint_level(int level, bool commit)
{
	ListCell *lc;

	while (!commit && constraint_levels != NIL && linitial_int(constraint_levels) >= level)
	{
		constraint_levels = list_delete_first(constraint_levels);
		constraint_modes = list_delete_first(constraint_modes);
	}
	foreach (lc, constraint_levels)
		lfirst_int(lc) = Min(lfirst_int(lc), commit ? level - 1 : lfirst_int(lc));
}

/*
 * The commands that end transactions
 */

/*
 * Sends the command whose outcome decides; wait_ending or drain waits for it.
 * On a closed connection there is no outcome: "ending" stays NULL.
 */
static void
send_ending_after(RemoteConnection *c, const char *first, const char *command)
{
	if (c->ending != NULL)
		task_release(c->ending);
	c->ending = NULL;
	if (c->state == CONNECTION_OPEN)
		c->ending = task_internal_after(c, first, command);
}

static void
send_ending(RemoteConnection *c, const char *command)
{
	send_ending_after(c, NULL, command);
}

/* True when the command that was sent last did what its name says. */
static bool
ending_succeeded(RemoteConnection *c)
{
	const RemoteTask *task = c->ending;

	return task != NULL && task->state == TASK_DONE && !task->failed && task->error == NULL &&
		   strncmp(task->query.sql, task->tag, strlen(task->tag)) == 0;
}

/* Raises the error of a command that did not succeed. */
static void
check_ending(RemoteConnection *c)
{
	PGresult *error;

	if (ending_succeeded(c))
		return;
	if (c->ending == NULL || c->ending->failed)
	{
		c->lost = true;
		error_raise_lost(c);
	}
	error = c->ending->error;
	c->ending->error = NULL;
	if (error != NULL)
		error_raise(c, error);
	ereport(ERROR, (errcode(ERRCODE_IN_FAILED_SQL_TRANSACTION),
					errmsg("the transaction on node %s had failed", c->node)));
}

static void
wait_ending(RemoteConnection *c)
{
	while (c->ending != NULL && c->ending->state != TASK_DONE)
	{
		if (!task_receive(c))
			connection_wait(c);
	}
}

/*
 * Waits, without throwing, until everything sent on the connection is
 * answered.  When that takes too long the connection is closed.
 */
static void
drain(RemoteConnection *c, int64 until)
{
	while (c->state == CONNECTION_OPEN &&
		   (c->copy.state != COPY_NONE || !dlist_is_empty(&c->tasks)))
	{
		if (!task_receive(c) && !connection_wait_quietly(c, until))
			connection_lost(c, NULL);
	}
}

/*
 * Before the local commit
 */

static int nwriters;
static int nreaders;

static void
settle_and_count(RemoteConnection *c)
{
	if (c->copy.state != COPY_NONE)
		copy_settle(c);
	task_settle(c);
	if (c->lost)
		error_raise_lost(c);
	acting_end(c);
	if (c->level > 0)
		(*(c->write_level > 0 ? &nwriters : &nreaders))++;
}

static void
commit_reader(RemoteConnection *c)
{
	if (c->level > 0 && c->write_level == 0)
		send_ending(c, "COMMIT");
}

static void
finish_reader(RemoteConnection *c)
{
	if (c->level > 0 && c->write_level == 0)
	{
		wait_ending(c);
		check_ending(c);
		c->level = 0;
	}
}

/*
 * Waits for the COMMIT that decides alone.  An interrupt is passed on to the
 * node, which then answers soon; it is not acted upon before the outcome is
 * known.  So is the end of a deadlock, in which a deferred constraint may be.
 */
static void
wait_sole_commit(RemoteConnection *c)
{
	int64 until = PG_INT64_MAX;
	Deadlock deadlock;
	bool victim = false;

	HOLD_INTERRUPTS();
	while (c->ending != NULL && c->ending->state != TASK_DONE && c->state == CONNECTION_OPEN)
	{
		if (task_receive(c))
			continue;
		if (suspects && !victim)
			victim = deadlock_is_victim(&deadlock);
		if (until == PG_INT64_MAX && (QueryCancelPending || ProcDiePending || victim))
		{
			(void) connection_cancel(c);
			until = clock_now_us() + END_WAIT_US;
		}
		if (clock_now_us() >= until)
			connection_lost(c, NULL);
		else
			connection_wait(c);
	}
	RESUME_INTERRUPTS();
	ending = false;
	if (victim && c->ending != NULL && c->ending->error != NULL)
		deadlock_raise(&deadlock);
}

/*
 * Before a COMMIT that decides, which is never sent again.  A connection that
 * is seen to have ended before leaves no doubt.
 */
static void
begin_deciding(RemoteConnection *c)
{
	/* What the node said last, and then its end. */
	for (int i = 0; i < 2 && !connection_is_quiet(c) && c->state == CONNECTION_OPEN; i++)
	{
		if (!PQconsumeInput(c->conn))
			connection_lost(c, NULL);
	}
	ending = true;
}

/* Sends it, behind "first" if that is not NULL. */
static void
send_deciding(RemoteConnection *c, const char *first)
{
	begin_deciding(c);
	send_ending_after(c, first, "COMMIT");
}

/* The node said that it committed, even if its session ended right after. */
static bool
is_committed(RemoteConnection *c)
{
	return c->ending != NULL && strcmp(c->ending->tag, "COMMIT") == 0;
}

/*
 * The connection was lost before the answer.  A session that is told to end
 * says so only when it is not at a COMMIT.
 */
static bool
is_unknown(RemoteConnection *c)
{
	return c->ending != NULL && c->ending->failed && c->failure_code != ERRCODE_ADMIN_SHUTDOWN;
}

static void
commit_sole_writer(RemoteConnection *c)
{
	if (c->level == 0)
		return;
	begin_deciding(c);
	if (c->ending != NULL)
		task_release(c->ending);
	if (wire_command(c, "COMMIT", &c->ending))
	{
		ending = false;
		c->level = 0;
		return;
	}
	if (c->ending == NULL)
		send_ending(c, "COMMIT");
	wait_sole_commit(c);
	if (is_committed(c))
	{
		c->level = 0;
		return;
	}
	if (is_unknown(c))
	{
		c->level = 0;
		error_raise_unknown(c);
	}
	check_ending(c);
	c->level = 0;
}

/* Of this commit; InvalidOid: without records. */
static Oid record_relation;

/*
 * Writes the record that makes the prepared transaction one that commits.
 * Who drops tables and then the extension does without: nobody would be there
 * to read it.
 */
static void
insert_record(RemoteConnection *c)
{
	Relation rel = table_open(record_relation, RowExclusiveLock);
	Datum values[] = {CStringGetTextDatum(c->gid), Int32GetDatum(c->key.group_id)};
	bool nulls[lengthof(values)] = {false};
	HeapTuple tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);

	CatalogTupleInsert(rel, tuple);
	heap_freetuple(tuple);
	table_close(rel, NoLock); /* what a user prepares is known by the lock, see twophase.c */
}

static int gid_number;

/* The writer whose node decides; NULL: this server does. */
static RemoteConnection *decider = NULL;

/* ... and it has: should something fail here, the others commit all the same. */
static bool decided = false;

/* Nodes that were asked to prepare, or to commit what they prepared. */
static int nasked;

static void
record_writer(RemoteConnection *c)
{
	if (c->level == 0 || c->write_level == 0)
		return;
	twophase_make_gid(c->gid, sizeof(c->gid), GetTopFullTransactionId(), ++gid_number);
	if (OidIsValid(record_relation))
		insert_record(c);
}

static void
prepare_writer(RemoteConnection *c)
{
	char command[sizeof(c->gid) + 32];

	if (c->level == 0 || c->write_level == 0 || c == decider)
		return;
	if (nasked++ > 0)
		failpoint(FAIL_PREPARING);
	snprintf(command, sizeof(command), "PREPARE TRANSACTION '%s'", c->gid);
	c->two_phase = TWO_PHASE_PREPARING;
	send_ending(c, command);
}

static void
finish_prepare(RemoteConnection *c)
{
	if (c->two_phase != TWO_PHASE_PREPARING)
		return;
	wait_ending(c);
	if (!ending_succeeded(c) && c->ending != NULL && !c->ending->failed)
	{
		/* The node rolled back instead. */
		c->two_phase = TWO_PHASE_NONE;
		c->level = 0;
	}
	check_ending(c);
	c->two_phase = TWO_PHASE_PREPARED;
	c->level = 0;
}

/* The nodes that wrote prepare, those that read commit. */
static void
prepare_nodes(void)
{
	nasked = 0;
	transaction_foreach(commit_reader);
	transaction_foreach(prepare_writer);
	transaction_foreach(finish_reader);
	transaction_foreach(finish_prepare);
}

/* With records here, so that the local transaction decides. */
static void
prepare_writers(void)
{
	gid_number = 0;
	record_relation = twophase_record_relation();
	PushActiveSnapshot(GetTransactionSnapshot());
	transaction_foreach(record_writer);
	PopActiveSnapshot();
	CommandCounterIncrement();
	/* The decision must be on disk before any node is told of it. */
	twophase_force_sync();
	failpoint(FAIL_RECORDED);
	prepare_nodes();
}

/*
 * A node decides
 */

/* Of these only may one decide for all: their transactions belong to one role. */
static bool
is_of_one_role(void)
{
	dlist_iter iter;

	dlist_foreach (iter, &active)
	{
		RemoteConnection *c = dlist_container(RemoteConnection, active, iter.cur);

		if (c->level == 0 || c->write_level == 0)
			continue;
		if (decider != NULL && decider->key.user != c->key.user)
			return false;
		decider = c; /* the last one: its locks are let go of first */
	}
	return true;
}

/* The others' names, and that of the decision, kept where the decider's own would be. */
static void
name_writer(RemoteConnection *c)
{
	if (c->level > 0 && c->write_level > 0 && c != decider)
		snprintf(c->gid, sizeof(c->gid), "%s_%d", decider->gid, ++gid_number);
}

static void
leave_in_doubt(RemoteConnection *c)
{
	if (c->two_phase == TWO_PHASE_PREPARED)
		c->two_phase = TWO_PHASE_IN_DOUBT;
}

static void
settle_doubt(RemoteConnection *c)
{
	if (c->two_phase == TWO_PHASE_IN_DOUBT)
		c->two_phase = TWO_PHASE_PREPARED;
}

/*
 * One attempt to learn what the node, or who leads now, has decided; false: in
 * vain.  Not interruptible; "stop" is set when there is a reason to.
 */
static bool
ask_decider(RemoteConnection *c, const char *question, bool *commits, bool *stop)
{
	RemoteTask *task;

	if (c->ending != NULL)
		task_release(c->ending);
	task = c->ending = task_internal(c, question);
	connection_progress(c);
	while (task->state != TASK_DONE && !*stop)
	{
		if (!task_receive(c))
			connection_wait(c);
		*stop = QueryCancelPending || ProcDiePending;
	}
	if (task->state == TASK_DONE && !task->failed && task->error == NULL && task->nrows == 1)
	{
		*commits = PQgetvalue(task->rows[0], 0, 0)[0] == 't';
		return true;
	}
	connection_close(c); /* it may not lead */
	return false;
}

/*
 * The connection was lost with the answer.  The decision is there for whoever
 * leads the node's group to tell.  Until it is known, by now or by recovery,
 * the others stay prepared.
 */
static bool
learn_decision(RemoteConnection *c)
{
	int64 until = clock_now_us() + (c->from_agent ? RESOLVE_AGENT_US : RESOLVE_US);
	char *question = decision_question(c->gid, GetUserNameFromId(c->key.user, false));
	char why[sizeof(c->failure)];
	bool commits = false;
	bool known = false;
	bool stop = false;

	transaction_foreach(leave_in_doubt);
	strlcpy(why, c->failure, sizeof(why));
	c->level = 0;
	c->done_level = 0;
	c->lost = false;
	HOLD_INTERRUPTS();
	while (!stop && clock_now_us() < until && !(known = ask_decider(c, question, &commits, &stop)))
		remote_nap(RESOLVE_NAP_US);
	RESUME_INTERRUPTS();
	if (!known)
	{
		strlcpy(c->failure, why, sizeof(c->failure));
		error_raise_unknown(c);
	}
	transaction_foreach(settle_doubt);
	return commits;
}

static void
decide(RemoteConnection *c)
{
	char first[sizeof(c->gid) + 40];

	snprintf(first, sizeof(first), "SET LOCAL pgcluster.decision = '%s'", c->gid);
	send_deciding(c, first);
	failpoint(FAIL_DECIDING);
	wait_sole_commit(c);
	if (!is_committed(c))
	{
		if (!is_unknown(c))
			check_ending(c);
		else if (!learn_decision(c))
		{
			c->lost = true;
			error_raise_lost(c);
		}
	}
	c->level = 0;
	decided = true;
	twophase_end_decision();
}

/* All but one prepare; that one commits. */
static void
commit_by_decider(void)
{
	gid_number = 0;
	twophase_begin_decision(decider->gid, sizeof(decider->gid), decider->key.group_id);
	transaction_foreach(name_writer);
	prepare_nodes();
	failpoint(FAIL_PREPARED);
	gate_enter();
	decide(decider);
}

static void
pre_commit(void)
{
	bool local; /* decides here */

	nwriters = nreaders = 0;
	decider = NULL;
	transaction_foreach(settle_and_count);

	/* A serializable transaction may still fail here, after a node's COMMIT. */
	local = IsolationIsSerializable() || TransactionIdIsValid(GetTopTransactionIdIfAny());
	if (nwriters == 0 || (nwriters == 1 && !local))
	{
		if (nreaders > 0)
		{
			transaction_foreach(commit_reader);
			transaction_foreach(finish_reader);
		}
		if (nwriters > 0)
		{
			gate_enter();
			transaction_foreach(commit_sole_writer);
		}
		return;
	}

	if (!local && is_of_one_role())
	{
		commit_by_decider();
		return;
	}
	decider = NULL;
	prepare_writers();
	failpoint(FAIL_PREPARED);
	gate_enter();
}

/*
 * PREPARE TRANSACTION by the user: the nodes prepare, and the records become
 * part of what is prepared here.  So the end of the local transaction decides,
 * as ever; twophase.c has it carried out.
 */
static void
pre_prepare(void)
{
	nwriters = nreaders = 0;
	decider = NULL;
	transaction_foreach(settle_and_count);
	if (nwriters > 0)
	{
		prepare_writers();
		twophase_note_parts();
		return;
	}
	transaction_foreach(commit_reader);
	transaction_foreach(finish_reader);
}

/*
 * After the local commit
 */

static int64 end_wait_until;

static void
commit_prepared(RemoteConnection *c)
{
	char command[sizeof(c->gid) + 32];

	if (c->two_phase != TWO_PHASE_PREPARED)
		return;
	failpoint(nasked++ > 0 ? FAIL_TELLING : FAIL_COMMITTED);
	snprintf(command, sizeof(command), "COMMIT PREPARED '%s'", c->gid);
	send_ending(c, command);
}

/* The maintenance worker is carrying it out this moment. */
static bool
is_under_way(RemoteConnection *c)
{
	return c->ending != NULL && c->ending->error != NULL &&
		   error_code(c->ending->error) == ERRCODE_OBJECT_IN_USE && clock_now_us() < end_wait_until;
}

static bool
is_recorded(void)
{
	return decider != NULL || OidIsValid(record_relation);
}

static void
finish_commit_prepared(RemoteConnection *c)
{
	const RemoteTask *task;

	if (c->two_phase != TWO_PHASE_PREPARED)
		return;
	drain(c, end_wait_until);
	while (is_under_way(c))
	{
		remote_nap(BUSY_NAP_US);
		commit_prepared(c);
		drain(c, end_wait_until);
	}
	task = c->ending;
	/* "does not exist": the maintenance worker was quicker. */
	if (ending_succeeded(c) || (task != NULL && task->error != NULL &&
								error_code(task->error) == ERRCODE_UNDEFINED_OBJECT))
		return;
	ereport(
		WARNING,
		(errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
		 errmsg("the transaction is committed, but node %s has not carried it out yet", c->node),
		 is_recorded() ? errdetail("Prepared transaction \"%s\" will be committed as soon as the "
								   "node answers.",
								   c->gid)
					   : errdetail("Prepared transaction \"%s\" is there, and the extension that "
								   "would commit it is dropped.",
								   c->gid),
		 is_recorded() ? 0 : errhint("Use COMMIT PREPARED on the node.")));
	gate_note_doubt();
	maintenance_kick();
}

static void
after_commit(void)
{
	end_wait_until = clock_now_us() + END_WAIT_US;
	PG_TRY();
	{
		nasked = 0;
		transaction_foreach(commit_prepared);
		if (nasked > 0)
			failpoint(FAIL_TOLD);
		transaction_foreach(finish_commit_prepared);
		if (nasked > 0)
			failpoint(FAIL_DONE);
		transaction_foreach(reset);
	}
	PG_CATCH();
	{
		/* Out of memory, say.  The worker finishes what is left. */
		EmitErrorReport();
		FlushErrorState();
		transaction_foreach(connection_close);
		transaction_foreach(reset);
		gate_note_doubt();
		maintenance_kick();
	}
	PG_END_TRY();
}

/*
 * Rolling back
 */

static bool
first_is_sent(RemoteConnection *c, int level)
{
	RemoteTask *task;

	if (dlist_is_empty(&c->tasks))
		return false;
	task = dlist_container(RemoteTask, node, dlist_head_node(&c->tasks));
	return task->state == TASK_SENT && task->level >= level;
}

/* Nobody wants what was asked for at this nesting level or deeper. */
static void
discard_tasks(RemoteConnection *c, int level)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify (iter, &c->tasks)
	{
		RemoteTask *task = dlist_container(RemoteTask, node, iter.cur);

		if (task->level < level)
			continue;
		task->discard = true;
		task->quiet = true;
		task_discard_rows(task);
		if (task->state == TASK_QUEUED)
			task_fail(task);
	}
}

/* True while the node is busy with something for this nesting level or deeper. */
static bool
is_busy(RemoteConnection *c, int level)
{
	return c->copy.state != COPY_NONE || first_is_sent(c, level);
}

static int stop_level;

/* What can be stopped without asking the node to. */
static void
stop_gently(RemoteConnection *c)
{
	int64 until = clock_now_us() + (c->copy.state != COPY_NONE ? COPY_WAIT_US : 0);
	int level = stop_level;

	wire_abandon(c);
	discard_tasks(c, level);
	/* A COPY that reads ends by itself when told, one that waits for a lock does not. */
	if (c->copy.state != COPY_NONE)
		copy_abandon(c);
	while (is_busy(c, level) && (task_receive(c) || connection_wait_quietly(c, until)))
		;
}

/* Has all these nodes asked at once to stop what they are at. */
static void
cancel_all(RemoteConnection **busy, int n)
{
	bool asked[CANCEL_MAX];

	connection_cancel_all(busy, n, asked);
	for (int i = 0; i < n; i++)
	{
		if (!asked[i])
			connection_lost(busy[i], NULL);
	}
}

static int64 stop_until;

/* Waits for the end of what a node is at, and then a moment for what follows to end by itself. */
static void
pass_first(RemoteConnection *c)
{
	bool copied = c->copy.state != COPY_NONE;
	dlist_node *first = dlist_is_empty(&c->tasks) ? NULL : dlist_head_node(&c->tasks);
	int64 soon;

	while (is_busy(c, stop_level) &&
		   (copied ? c->copy.state != COPY_NONE : dlist_head_node(&c->tasks) == first) &&
		   (task_receive(c) || connection_wait_quietly(c, stop_until)))
		;
	soon = clock_now_us() + MOMENT_US;
	while (is_busy(c, stop_level) && (task_receive(c) || connection_wait_quietly(c, soon)) &&
		   clock_now_us() < soon)
		;
}

/* Stops what runs for this nesting level or deeper; true when there was something. */
static bool
cancel_busy(int level)
{
	RemoteConnection *busy[CANCEL_MAX];
	int n = 0;
	bool any = false;
	dlist_iter iter;

	dlist_foreach (iter, &active)
	{
		RemoteConnection *c = dlist_container(RemoteConnection, active, iter.cur);

		if (!is_busy(c, level))
			continue;
		busy[n++] = c;
		any = true;
		if (n == CANCEL_MAX)
		{
			cancel_all(busy, n);
			n = 0;
		}
	}
	if (n > 0)
		cancel_all(busy, n);
	return any;
}

/*
 * A node that is told to stop goes on with the next statement that it has
 * been sent, so it is told for each.
 */
static void
stop_tasks(int level)
{
	int64 until = clock_now_us() + END_WAIT_US;

	stop_level = level;
	transaction_foreach(stop_gently);
	stop_until = until;
	while (cancel_busy(level) && clock_now_us() < until)
		transaction_foreach(pass_first);
}

static void
start_rollback(RemoteConnection *c)
{
	if (c->state != CONNECTION_OPEN)
		connection_close(c);
	else if (c->level > 0 && c->two_phase == TWO_PHASE_NONE)
		task_internal_forget(c, "ROLLBACK", true);
}

static void
rollback_prepared(RemoteConnection *c)
{
	char command[sizeof(c->gid) + 32];

	drain(c, end_wait_until);
	if (c->two_phase == TWO_PHASE_PREPARING && ending_succeeded(c))
		c->two_phase = TWO_PHASE_PREPARED;
	if (c->two_phase == TWO_PHASE_PREPARED)
	{
		failpoint(FAIL_ROLLING_BACK);
		snprintf(command, sizeof(command), "ROLLBACK PREPARED '%s'", c->gid);
		send_ending(c, command);
	}
}

static void
finish_rollback(RemoteConnection *c)
{
	bool in_doubt = c->two_phase == TWO_PHASE_PREPARING;

	drain(c, end_wait_until);
	if (c->two_phase == TWO_PHASE_PREPARED)
		in_doubt = !ending_succeeded(c);
	if (c->two_phase == TWO_PHASE_IN_DOUBT)
	{
		in_doubt = true;
		gate_note_doubt();
	}
	if (in_doubt)
		maintenance_kick();
	if (c->state == CONNECTION_OPEN && PQtransactionStatus(c->conn) != PQTRANS_IDLE)
		connection_close(c);
	if (c->settings.in_transaction)
		settings_forget(c);
	reset(c);
}

static void
after_abort(void)
{
	end_wait_until = clock_now_us() + END_WAIT_US;
	twophase_end_decision();
	stop_tasks(0);
	transaction_foreach(start_rollback);
	transaction_foreach(rollback_prepared);
	transaction_foreach(finish_rollback);
	notice_drop();
}

/*
 * Subtransactions
 */

static int sub_level;

static void
release_savepoint(RemoteConnection *c)
{
	char command[40];

	if (c->copy.state != COPY_NONE)
		copy_settle(c);
	if (c->done_level >= sub_level)
		c->done_level = sub_level - 1;
	if (c->write_level >= sub_level)
		c->write_level = sub_level - 1;
	if (c->level < sub_level)
		return;
	c->level = sub_level - 1;
	if (c->lost)
		return;
	snprintf(command, sizeof(command), "RELEASE SAVEPOINT s%d", sub_level);
	task_internal_forget(c, command, false);
}

/*
 * After this the node's transaction is where it was before the
 * subtransaction, or else lost.
 */
static void
rollback_to_savepoint(RemoteConnection *c)
{
	char command[40];
	bool all_lost = c->done_level > 0 && c->done_level < sub_level;

	if (c->done_level >= sub_level)
		c->done_level = 0;
	if (c->write_level >= sub_level)
		c->write_level = 0;
	if (c->level < sub_level)
		return;

	if (!c->lost && c->state == CONNECTION_OPEN)
	{
		snprintf(command, sizeof(command), "ROLLBACK TO SAVEPOINT s%d", sub_level);
		task_internal_forget(c, command, true);
		snprintf(command, sizeof(command), "RELEASE SAVEPOINT s%d", sub_level);
		send_ending(c, command);
		drain(c, clock_now_us() + CURSOR_WAIT_US);
		if (!ending_succeeded(c) && c->state == CONNECTION_OPEN)
			connection_lost(c, NULL);
	}

	if (c->state == CONNECTION_OPEN)
		c->level = sub_level - 1;
	else
	{
		/* What was lost is either rolled back anyway, or more than that. */
		c->lost = all_lost;
		c->level = all_lost ? sub_level - 1 : 0;
		connection_close(c);
	}
	if (c->pending_error != NULL)
		PQclear(c->pending_error);
	c->pending_error = NULL;
	c->pending_copy = false;
	c->snapshot = SNAPSHOT_UNKNOWN;
	c->acting = InvalidOid;
	if (c->settings.in_transaction)
		settings_forget(c);
}

/*
 * The server's calls
 */

static void
xact_callback(XactEvent event, void *arg)
{
	end_committed_alone(event);
	if (event == XACT_EVENT_PRE_COMMIT)
		decision_before_commit();
	else if (event == XACT_EVENT_COMMIT)
		decision_after_commit();
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		constraint_levels = constraint_modes = NIL;
	if (event == XACT_EVENT_PRE_PREPARE)
		failpoint(FAIL_NODE_PREPARING);
	else if (event == XACT_EVENT_PREPARE)
		failpoint(FAIL_NODE_PREPARED);
	if (dlist_is_empty(&active))
	{
		if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
			gate_leave();
		if ((event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT) && pool_somebody_waits())
			pool_after_transaction();
		return;
	}
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			pre_commit();
			notice_emit();
			break;
		case XACT_EVENT_PRE_PREPARE:
			pre_prepare();
			notice_emit();
			break;
		case XACT_EVENT_COMMIT:
			ending = true;
			suspects = false;
			after_commit();
			decided = false;
			ending = false;
			pool_after_transaction();
			gate_leave();
			break;
		case XACT_EVENT_PREPARE:
			transaction_foreach(reset);
			suspects = false;
			pool_after_transaction();
			break;
		case XACT_EVENT_ABORT:
			ending = true;
			suspects = false;
			if (decided)
				after_commit();
			else
				after_abort();
			decided = false;
			ending = false;
			pool_after_transaction();
			gate_leave();
			break;
		default:
			break;
	}
}

static void
subxact_callback(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	if (constraint_levels != NIL &&
		(event == SUBXACT_EVENT_COMMIT_SUB || event == SUBXACT_EVENT_ABORT_SUB))
		end_constraint_level(GetCurrentTransactionNestLevel(), event == SUBXACT_EVENT_COMMIT_SUB);
	if (dlist_is_empty(&active))
		return;
	sub_level = GetCurrentTransactionNestLevel();
	if (event == SUBXACT_EVENT_PRE_COMMIT_SUB)
		transaction_foreach(release_savepoint);
	else if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		ending = true;
		stop_tasks(sub_level);
		transaction_foreach(rollback_to_savepoint);
		ending = false;
		notice_drop();
	}
}

void
remote_init(void)
{
	twophase_init();
	pool_init();
	gate_init();
	acting_init();
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}
