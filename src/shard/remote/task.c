/*-------------------------------------------------------------------------
 * task.c
 *	  Sends commands to nodes and sorts out the answers.
 *
 * A task is one statement with what must go before it (BEGIN, SAVEPOINT,
 * preparing it), sent in one piece that ends with a synchronisation point:
 * when something in it fails, the node skips the rest of it.  Answers come
 * in the order of the tasks of a connection, so whoever waits for one reads
 * past those before it: their owners are asked to spool, and the rows of
 * owners that cannot are kept here.
 *
 * A task lives from remote_task_start until it is both done and released by
 * its owner.  It is allocated in the session's memory, because the node's
 * answer has to be read even when the owner is long gone.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/clock.h"
#include "shard/maintenance/maintenance.h"
#include "shard/remote/connection.h"
#include "shard/remote/export.h"
#include "shard/remote/refusal.h"
#include "shard/remote/replica.h"
#include "shard/remote/snapshot.h"

/* A statement that is to be stopped may end by itself meanwhile: cancelling costs a connection. */
#define PATIENCE_US 10000
/* One that was cancelled ends within this, unless its node stands still. */
#define CANCELLED_US INT64CONST(1000000)

/* So long a node may take to stop a statement that commits by itself. */
#define COMMIT_PATIENCE_US (10 * INT64CONST(1000000))

/* Lets go of the task when its owner's memory goes. */
typedef struct TaskTie
{
	MemoryContextCallback callback;
	RemoteTask *task;
} TaskTie;

/*
 * Making and freeing
 */

void
task_discard_rows(RemoteTask *task)
{
	for (int i = task->first_row; i < task->nrows; i++)
		PQclear(task->rows[i]);
	task->first_row = 0;
	task->nrows = 0;
}

static void
task_free(RemoteTask *task)
{
	task_discard_rows(task);
	if (task->rows != &task->one_row)
		pfree(task->rows);
	if (task->error != NULL)
		PQclear(task->error);
	pfree(task);
}

static void
tie_released(void *arg)
{
	TaskTie *tie = arg;
	RemoteTask *task = tie->task;

	tie->task = NULL;
	if (task != NULL)
	{
		task->tie = NULL;
		task_release(task);
	}
}

static size_t
value_length(const RemoteQuery *query, int i)
{
	if (query->values[i] == NULL)
		return 0;
	if (query->formats != NULL && query->formats[i] != 0)
		return query->lengths[i];
	return strlen(query->values[i]) + 1;
}

/* One allocation for the task and a copy of all that the query points at. */
static RemoteTask *
task_create(RemoteConnection *c, const RemoteQuery *query)
{
	int n = query->nparams;
	size_t sql_length = strlen(query->sql) + 1;
	size_t arrays = n == 0 ? 0 : MAXALIGN(n * (sizeof(char *) + sizeof(Oid) + 2 * sizeof(int)));
	size_t size = MAXALIGN(sizeof(RemoteTask)) + arrays + sql_length;
	RemoteTask *task;
	char *at;

	for (int i = 0; i < n; i++)
		size += value_length(query, i);
	task = MemoryContextAlloc(remote_context(), size);
	memset(task, 0, sizeof(RemoteTask));
	task->connection = c;
	task->rows = &task->one_row;
	task->max_rows = 1;
	task->query = *query;
	task->user = GetUserId();

	at = (char *) task + MAXALIGN(sizeof(RemoteTask)) + arrays;
	task->query.sql = memcpy(at, query->sql, sql_length);
	at += sql_length;
	if (n > 0)
	{
		const char **values = (const char **) ((char *) task + MAXALIGN(sizeof(RemoteTask)));
		Oid *types = (Oid *) (values + n);
		int *lengths = (int *) (types + n);
		int *formats = lengths + n;

		if (query->types != NULL)
			task->query.types = memcpy(types, query->types, n * sizeof(Oid));
		if (query->formats != NULL)
			task->query.formats = memcpy(formats, query->formats, n * sizeof(int));
		if (query->lengths != NULL)
			task->query.lengths = memcpy(lengths, query->lengths, n * sizeof(int));
		task->query.values = values;
		for (int i = 0; i < n; i++)
		{
			size_t length = value_length(query, i);

			values[i] = query->values[i] ? memcpy(at, query->values[i], length) : NULL;
			at += length;
		}
	}
	return task;
}

/* The task is done: out of the connection's list, and freed if nobody asks. */
static void
task_done(RemoteTask *task)
{
	dlist_delete(&task->node);
	task->state = TASK_DONE;
	if (task->released)
		task_free(task);
}

/* Its connection is lost or could not be had. */
void
task_fail(RemoteTask *task)
{
	task->failed = true;
	task_done(task);
}

/* It is to be sent again, and nobody has seen anything of it yet. */
void
task_requeue(RemoteTask *task)
{
	task_discard_rows(task);
	if (task->error != NULL)
		PQclear(task->error);
	task->error = NULL;
	task->prepared = NULL;
	task->command = NULL;
	task->state = TASK_QUEUED;
}

/* Its owner does not ask for it any more.  Neither waits nor throws. */
void
task_release(RemoteTask *task)
{
	if (task->state == TASK_DONE)
		task_free(task);
	else
	{
		task_discard_rows(task);
		task->released = true;
		task->discard = true;
	}
}

/*
 * Sending
 */

/*
 * Queues one of our own commands behind what is there and sends it if possible,
 * with "first" ahead of it unless that is NULL.
 */
RemoteTask *
task_internal_after(RemoteConnection *c, const char *first, const char *sql)
{
	RemoteQuery query = {.sql = sql};
	RemoteTask *task = task_create(c, &query);

	task->internal = true;
	task->first = first;
	task->level = GetCurrentTransactionNestLevel();
	dlist_push_tail(&c->tasks, &task->node);
	task_send_queued(c);
	task->first = NULL;
	return task;
}

RemoteTask *
task_internal(RemoteConnection *c, const char *sql)
{
	return task_internal_after(c, NULL, sql);
}

/*
 * The same for a command that nobody waits for.  Its error is raised at the
 * next use of the connection, or never when "quiet".
 */
void
task_internal_forget(RemoteConnection *c, const char *sql, bool quiet)
{
	RemoteTask *task = task_internal(c, sql);

	task->quiet = quiet;
	task_release(task);
}

static bool
send_plain(RemoteConnection *c, const char *sql)
{
	return PQsendQueryParams(c->conn, sql, 0, NULL, NULL, NULL, NULL, 0) == 1;
}

/* One that comes again and again: it is prepared, unless that would cost another its place. */
static bool
send_command(RemoteConnection *c, RemoteTask *task, const char *sql)
{
	RemoteQuery query = {.sql = sql};
	PreparedEntry *entry = prepared_command(c, sql);
	bool is_new = false;
	char *drop;

	if (entry == NULL && !prepared_has_room(c))
		return send_plain(c, sql);
	if (entry == NULL)
		entry = prepared_find(c, &query, &is_new, &drop);
	if (is_new)
	{
		if (PQsendPrepare(c->conn, prepared_name(entry), sql, 0, NULL) != 1)
			return false;
		task->command = entry;
		task->prefix++;
	}
	return PQsendQueryPrepared(c->conn, prepared_name(entry), 0, NULL, NULL, NULL, 0) == 1;
}

/* After a change of the first task: how its rows are to come. */
static void
expect_rows(RemoteConnection *c)
{
	RemoteTask *task;

	if (dlist_is_empty(&c->tasks))
		return;
	task = dlist_container(RemoteTask, node, dlist_head_node(&c->tasks));
	if (task->state == TASK_SENT && task->prefix == 0 && !task->query.whole && !task->internal)
		(void) PQsetSingleRowMode(c->conn);
}

/* A batch of its own, ahead of "task", that tells the node of changed settings. */
static bool
send_settings(RemoteConnection *c, RemoteTask *task)
{
	char *sql = settings_changes(c, task->query.names);
	RemoteQuery query = {.sql = sql};
	RemoteTask *tell;

	if (sql == NULL)
		return true;
	tell = task_create(c, &query);
	pfree(sql);
	tell->internal = true;
	tell->released = true;
	tell->discard = true;
	tell->state = TASK_SENT;
	dlist_insert_before(&task->node, &tell->node);
	return send_plain(c, tell->query.sql) && PQpipelineSync(c->conn) == 1;
}

static bool
send_transaction(RemoteConnection *c, RemoteTask *task)
{
	int level = Min(task->level, GetCurrentTransactionNestLevel());
	bool first = c->level == 0;

	task->opened = first;
	task->savepoint = false;
	task->write_level = c->write_level;
	if (c->level == 0)
	{
		if (!send_command(c, task, transaction_begin_command()))
			return false;
		task->prefix++;
		c->level = 1;
		c->snapshot = 0;
	}
	if (unlikely(first && snapshot_is_taken()) && export_command(c->key.group_id) != NULL)
	{
		if (!send_plain(c, export_command(c->key.group_id)))
			return false;
		task->prefix++;
	}
	while (c->level < level)
	{
		char sql[32];

		snprintf(sql, sizeof(sql), "SAVEPOINT s%d", c->level + 1);
		if (!send_plain(c, sql))
			return false;
		task->prefix++;
		c->level++;
	}
	if (unlikely(first && transaction_constraints_command() != NULL))
	{
		if (!send_plain(c, transaction_constraints_command()))
			return false;
		task->prefix++;
	}
	if (unlikely(task->query.attempt && !first))
	{
		if (!send_plain(c, "SAVEPOINT attempt"))
			return false;
		task->prefix++;
		task->savepoint = true;
	}
	if (task->query.writes)
		transaction_note_write(c, level);
	if (unlikely(c->snapshot != task->query.snapshot))
	{
		char sql[64];

		snprintf(sql, sizeof(sql), "SET LOCAL pgcluster.statement_snapshot = %d",
				 task->query.snapshot);
		if (!send_plain(c, sql))
			return false;
		task->prefix++;
		c->snapshot = task->query.snapshot;
	}
	return true;
}

/* Ahead of what a standby is asked: has it come far enough? */
static bool
send_replica_check(RemoteConnection *c, RemoteTask *task)
{
	char *sql = replica_check(c);
	bool sent = sql == NULL || send_plain(c, sql);

	if (sql == NULL)
		return true;
	task->prefix++;
	pfree(sql);
	return sent;
}

static bool
send_prepared(RemoteConnection *c, RemoteTask *task)
{
	const RemoteQuery *query = &task->query;
	bool is_new;
	char *drop;
	PreparedEntry *entry = prepared_find(c, query, &is_new, &drop);

	if (drop != NULL)
	{
		char sql[64];

		snprintf(sql, sizeof(sql), "DEALLOCATE %s", drop);
		pfree(drop);
		if (!send_plain(c, sql))
			return false;
		task->prefix++;
	}
	if (is_new)
	{
		if (PQsendPrepare(c->conn, prepared_name(entry), query->sql, query->nparams,
						  query->types) != 1)
			return false;
		task->prefix++;
	}
	task->prepared = entry;
	task->preparing = is_new;
	return PQsendQueryPrepared(c->conn, prepared_name(entry), query->nparams, query->values,
							   query->lengths, query->formats, query->binary) == 1;
}

static bool
send_task(RemoteConnection *c, RemoteTask *task)
{
	const RemoteQuery *query = &task->query;
	bool sent;

	if (!task->internal && !send_settings(c, task))
		return false;
	task->prefix = 0;
	if (unlikely(c->at_replica) && !task->internal && !send_replica_check(c, task))
		return false;
	if (task->transaction && !send_transaction(c, task))
		return false;
	if (unlikely(c->acting != task->user) && c->level > 0 && !task->internal &&
		!acting_send(c, task->user, &task->prefix))
		return false;
	if (unlikely(task->first != NULL))
	{
		task->prefix++;
		if (!send_plain(c, task->first))
			return false;
	}
	if (query->prepare)
		sent = send_prepared(c, task);
	else if (task->internal && strcmp(query->sql, "COMMIT") == 0)
		sent = send_command(c, task, query->sql);
	else
		sent = PQsendQueryParams(c->conn, query->sql, query->nparams, query->types, query->values,
								 query->lengths, query->formats, query->binary) == 1;
	return sent && PQpipelineSync(c->conn) == 1;
}

/* Sends what waits in the list, if the connection can take it. */
void
task_send_queued(RemoteConnection *c)
{
	dlist_iter iter;

	if (c->state != CONNECTION_OPEN || c->copy.state != COPY_NONE)
		return;
	dlist_foreach (iter, &c->tasks)
	{
		RemoteTask *task = dlist_container(RemoteTask, node, iter.cur);

		if (task->state != TASK_QUEUED)
			continue;
		if (!send_task(c, task))
		{
			connection_lost(c, NULL);
			return;
		}
		task->state = TASK_SENT;
	}
	expect_rows(c);
}

/*
 * Receiving
 */

static void
keep_row(RemoteTask *task, PGresult *row)
{
	if (task->nrows == task->max_rows)
	{
		int max_rows = Max(task->max_rows * 2, 64);
		PGresult **rows = MemoryContextAllocExtended(
			remote_context(), sizeof(PGresult *) * max_rows, MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);

		if (rows == NULL)
		{
			PQclear(row);
			ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
		}
		memcpy(rows, task->rows, sizeof(PGresult *) * task->nrows);
		if (task->rows != &task->one_row)
			pfree(task->rows);
		task->rows = rows;
		task->max_rows = max_rows;
	}
	task->rows[task->nrows++] = row;
}

/* What the values of a result took on their way. */
static int64
count_bytes(const PGresult *result)
{
	int64 bytes = 0;

	for (int row = 0; row < PQntuples(result); row++)
	{
		for (int i = 0; i < PQnfields(result); i++)
			bytes += PQgetlength(result, row, i);
	}
	return bytes;
}

static PGresult *
take_row(RemoteTask *task)
{
	PGresult *row = task->rows[task->first_row++];

	if (task->first_row == task->nrows)
		task->first_row = task->nrows = 0;
	task->delivered++;
	return row;
}

static bool
is_fatal(const PGresult *result)
{
	const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);

	return severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}

/*
 * True when sending the failed statement again may help: the node turned out
 * not to lead, or its plan was made before a table changed.
 */
static bool
worth_another_try(RemoteConnection *c, RemoteTask *task)
{
	int code = error_code(task->error);

	if (task->internal || task->discard || task->delivered > 0 || c->done_level > 0 ||
		transaction_ending())
		return false;
	if (replica_error(c, code))
		return true;
	if (code == ERRCODE_FEATURE_NOT_SUPPORTED && task->prepared != NULL && !task->again)
	{
		const char *function = PQresultErrorField(task->error, PG_DIAG_SOURCE_FUNCTION);

		task->again = true;
		return function != NULL && strcmp(function, "RevalidateCachedQuery") == 0;
	}
	return c->from_agent && !XactReadOnly && error_means_elsewhere(code);
}

/* The synchronisation point after the task was reached. */
static void
task_completed(RemoteConnection *c, RemoteTask *task)
{
	bool release = false; /* not under savepoints that were made since: those would go with it */

	if (task->error != NULL)
	{
		if (worth_another_try(c, task))
		{
			PGresult *error = task->error;

			task->error = NULL;
			/* The node did nothing, for certain. */
			task->transaction |= task->commits;
			task->commits = false;
			connection_lost(c, error);
			PQclear(error);
			return;
		}
		if (task->command != NULL && task->failed_early)
			prepared_forget(c, task->command);
		if (task->prepared != NULL &&
			(task->failed_early || error_code(task->error) == ERRCODE_FEATURE_NOT_SUPPORTED))
			prepared_forget(c, task->prepared);
		if (task->released && !task->quiet && (task->internal || task->query.writes) &&
			c->pending_error == NULL)
		{
			c->pending_error = task->error;
			task->error = NULL;
		}
	}
	else
	{
		c->give_up_at = 0;
		if (task->transaction)
			transaction_note_done(c, Min(task->level, c->level));
		if (task->commits)
			transaction_committed_alone(task->query.shows);
		release = task->savepoint && !dlist_has_next(&c->tasks, &task->node);
	}
	task_done(task);
	if (unlikely(release))
		task_internal_forget(c, "RELEASE SAVEPOINT attempt", false);
	expect_rows(c);
}

/* Takes in one result of the first task; false when the connection is lost with it. */
static bool
task_result(RemoteConnection *c, RemoteTask *task, PGresult *result)
{
	switch (PQresultStatus(result))
	{
		case PGRES_PIPELINE_SYNC:
			PQclear(result);
			task_completed(c, task);
			return true;
		case PGRES_FATAL_ERROR:
			if (is_fatal(result) || PQstatus(c->conn) == CONNECTION_BAD)
			{
				connection_lost(c, result);
				PQclear(result);
				return false;
			}
			if (task->error == NULL)
			{
				task->error = result;
				task->failed_early = task->prefix > 0;
			}
			else
				PQclear(result);
			return true;
		case PGRES_SINGLE_TUPLE:
		case PGRES_TUPLES_OK:
		case PGRES_COMMAND_OK:
			if (task->prefix == 0 && PQresultStatus(result) != PGRES_SINGLE_TUPLE)
			{
				task->affected = strtoll(PQcmdTuples(result), NULL, 10);
				strlcpy(task->tag, PQcmdStatus(result), sizeof(task->tag));
			}
			if (task->prefix == 0 && task->query.measured)
				task->bytes += count_bytes(result);
			if (task->prefix == 0 && !task->discard && PQntuples(result) > 0)
				keep_row(task, result);
			else
				PQclear(result);
			return true;
		case PGRES_PIPELINE_ABORTED:
			PQclear(result);
			return true;
		default:
			/* A COPY that did not come through copy.c, say: no way back. */
			PQclear(result);
			connection_lost(c, NULL);
			return false;
	}
}

/*
 * Takes in what is there for the connection, one result at most.  False when
 * there is nothing, so that the caller has to wait.
 */
bool
task_receive(RemoteConnection *c)
{
	RemoteTask *task;
	PGresult *result;

	if (c->state != CONNECTION_OPEN)
		return false;
	if (c->copy.state != COPY_NONE)
		return copy_receive(c);
	if (dlist_is_empty(&c->tasks))
		return false;
	task = dlist_container(RemoteTask, node, dlist_head_node(&c->tasks));
	if (task->state != TASK_SENT)
		return false;
	if (PQisBusy(c->conn))
	{
		if (PQstatus(c->conn) != CONNECTION_BAD)
			return false;
		connection_lost(c, NULL);
		return true;
	}

	result = PQgetResult(c->conn);
	if (result != NULL)
		(void) task_result(c, task, result);
	else if (PQstatus(c->conn) == CONNECTION_BAD)
		connection_lost(c, NULL);
	else
	{
		task->prefix--;
		expect_rows(c);
	}
	return true;
}

/* Asks the owner of the rows that are in the way to read them; false if there is none. */
static bool
spool_first(RemoteConnection *c, const RemoteTask *wanted)
{
	RemoteTask *first = dlist_container(RemoteTask, node, dlist_head_node(&c->tasks));

	if (first == wanted || first->spool == NULL || first->spooling || first->discard)
		return false;
	first->spooling = true;
	first->spool(first->spool_arg);
	return true;
}

/* Waits until nothing is under way on the connection. */
void
task_settle(RemoteConnection *c)
{
	while (!dlist_is_empty(&c->tasks))
	{
		if (!spool_first(c, NULL) && !task_receive(c))
			connection_wait(c);
	}
	notice_emit();
	error_raise_pending(c);
}

/*
 * For the rest of the server
 */

/* A task that is tied to "context", unless that is NULL, and in no list yet. */
static RemoteTask *
create_tied(RemoteConnection *c, const RemoteQuery *query, MemoryContext context)
{
	TaskTie *tie = context != NULL ? MemoryContextAllocZero(context, sizeof(TaskTie)) : NULL;
	RemoteTask *task = task_create(c, query);

	task->level = GetCurrentTransactionNestLevel();
	if (tie == NULL)
		return task;
	tie->task = task;
	tie->callback.func = tie_released;
	tie->callback.arg = tie;
	MemoryContextRegisterResetCallback(context, &tie->callback);
	task->tie = tie;
	return task;
}

RemoteTask *
task_adopt(RemoteConnection *c, const RemoteQuery *query, MemoryContext context)
{
	RemoteTask *task = create_tied(c, query, context);

	task->state = TASK_SENT;
	dlist_push_tail(&c->tasks, &task->node);
	return task;
}

RemoteTask *
task_start_beside(RemoteConnection *c, const RemoteQuery *query, MemoryContext context)
{
	RemoteTask *task = create_tied(c, query, context);

	connection_check_leader(c);
	dlist_push_tail(&c->tasks, &task->node);
	if (c->state == CONNECTION_OPEN)
		task_send_queued(c);
	else
		connection_progress(c);
	return task;
}

RemoteTask *
remote_task_start(const RemoteQuery *query, MemoryContext context, RemoteSpool spool,
				  void *spool_arg)
{
	RemoteConnection *c = transaction_use(query->group_id, replica_wanted(query), query->helper);
	RemoteTask *task = create_tied(c, query, context);

	task->spool = spool;
	task->spool_arg = spool_arg;
	task->commits =
		query->alone && c->level == 0 && query->snapshot == 0 && transaction_may_commit_alone(c);
	task->transaction = !task->commits && (transaction_needed(c, query->writes || query->keeps) ||
										   query->snapshot != 0);
	c->committing += task->commits;

	dlist_push_tail(&c->tasks, &task->node);
	if (c->state == CONNECTION_OPEN)
		task_send_queued(c);
	else
		connection_progress(c);
	return task;
}

/* The task is over: raises its error, if it had one. */
static void
task_outcome(RemoteTask *task)
{
	RemoteConnection *c = task->connection;
	PGresult *error;

	notice_emit();
	error_raise_pending(c);
	if (task->failed && task->commits)
		error_raise_unknown(c);
	if (task->failed)
		error_raise_lost(c);
	if ((error = task->error) != NULL)
	{
		task->error = NULL;
		error_raise(c, error);
	}
}

/* Waits for news of "task", and notes how long. */
static void
wait_measured(RemoteTask *task)
{
	int64 begin = clock_now_us();

	connection_wait(task->connection);
	task->waited += clock_now_us() - begin;
}

void
remote_task_measures(RemoteTask *task, int64 *bytes, double *waited)
{
	*bytes = task->bytes;
	*waited = task->waited / 1000.0;
}

/*
 * Waits for a statement that commits by itself.  An interrupt is passed on to
 * the node, which then answers soon; it is not acted upon before the outcome
 * is known.  So is the end of a deadlock.
 */
static void
wait_committing(RemoteTask *task)
{
	RemoteConnection *c = task->connection;
	int64 until = PG_INT64_MAX;
	Deadlock deadlock;
	bool victim = false;

	HOLD_INTERRUPTS();
	while (task->commits && task->state != TASK_DONE)
	{
		if (task_receive(c))
			continue;
		if (transaction_suspects() && !victim)
			victim = deadlock_is_victim(&deadlock);
		if (until == PG_INT64_MAX && (QueryCancelPending || ProcDiePending || victim))
		{
			(void) connection_cancel(c);
			until = clock_now_us() + COMMIT_PATIENCE_US;
		}
		if (clock_now_us() >= until)
			connection_lost(c, NULL);
		else
			connection_wait(c);
	}
	RESUME_INTERRUPTS();
	if (task->error == NULL)
		return;
	if (victim)
		deadlock_raise(&deadlock);
	connection_check_interrupts();
}

PGresult *
remote_task_next(RemoteTask *task)
{
	RemoteConnection *c = task->connection;

	if (task->commits && task->state != TASK_DONE)
		wait_committing(task);
	for (;;)
	{
		if (task->nrows > 0)
			return take_row(task);
		if (task->state == TASK_DONE)
			break;
		if (spool_first(c, task) || task_receive(c))
			continue;
		if (task->query.measured)
			wait_measured(task);
		else
			connection_wait(c);
	}
	task_outcome(task);
	return NULL;
}

bool
remote_task_refused(RemoteTask *task)
{
	RemoteConnection *c = task->connection;

	if (task->commits && task->state != TASK_DONE)
		wait_committing(task);
	while (task->nrows == 0 && task->state != TASK_DONE)
	{
		if (!spool_first(c, task) && !task_receive(c))
			connection_wait(c);
	}
	if (task->nrows > 0 || task->delivered > 0 || task->failed || task->error == NULL ||
		!refusal_may_run_here(task->error))
		return false;
	if (task->transaction)
		transaction_take_back(c, task);
	PQclear(task->error);
	task->error = NULL;
	return true;
}

PGresult *
remote_task_poll(RemoteTask *task, bool *done)
{
	RemoteConnection *c = task->connection;

	*done = false;
	for (;;)
	{
		if (task->nrows > 0)
			return take_row(task);
		if (task->state == TASK_DONE)
			break;
		if (!spool_first(c, task) && !task_receive(c))
			return NULL;
	}
	*done = true;
	task_outcome(task);
	return NULL;
}

void
remote_wait_any(RemoteTask **tasks, int n, long timeout)
{
	RemoteConnection *connections[REMOTE_MAX_WAIT];
	int64 begin = tasks[0]->query.measured ? clock_now_us() : 0;

	Assert(n <= REMOTE_MAX_WAIT);
	for (int i = 0; i < n; i++)
		connections[i] = tasks[i]->connection;
	connection_wait_any(connections, n, timeout);
	if (tasks[0]->query.measured)
		tasks[0]->waited += clock_now_us() - begin;
}

int64
remote_task_affected(RemoteTask *task)
{
	return task->affected;
}

const char *
remote_task_node(RemoteTask *task)
{
	return task->connection->node;
}

static bool
is_first(const RemoteTask *task)
{
	return dlist_head_node(&task->connection->tasks) == &task->node;
}

/* What stands before the task is not wanted either, and has been told to stop. */
static void
pass_cancelled(RemoteTask *task)
{
	RemoteConnection *c = task->connection;
	int64 until = clock_now_us() + CANCELLED_US;

	while (task->state == TASK_SENT && !is_first(task) &&
		   dlist_container(RemoteTask, node, dlist_head_node(&c->tasks))->discard &&
		   (task_receive(c) || connection_wait_quietly(c, until)))
		;
}

void
remote_task_end(RemoteTask *task)
{
	RemoteConnection *c = task->connection;
	bool alone = !task->transaction && c->level == 0;
	bool streaming = false;

	task->tie->task = NULL;
	task->tie = NULL;
	task->discard = true;
	if (task->state == TASK_QUEUED && alone)
		task_done(task);
	if (task->state == TASK_SENT && alone)
		pass_cancelled(task);
	if (task->state == TASK_SENT && is_first(task))
	{
		int64 until = clock_now_us() + PATIENCE_US;

		streaming = alone;
		do
		{
			while (task->state == TASK_SENT && task_receive(c))
				;
		} while (streaming && task->state == TASK_SENT && connection_wait_quietly(c, until));
		streaming &= task->state == TASK_SENT;
	}

	/* In a transaction a cancelled statement would take the transaction along. */
	task_release(task);
	if (streaming && !connection_cancel(c))
		connection_lost(c, NULL);
}

static void
run_tasks(List *tasks)
{
	ListCell *lc;

	foreach (lc, tasks)
	{
		PGresult *row;

		while ((row = remote_task_next(lfirst(lc))) != NULL)
			PQclear(row);
	}
}

int64
remote_execute(int group_id, const char *sql)
{
	RemoteQuery query = {.group_id = group_id, .sql = sql, .writes = true};
	RemoteTask *task = remote_task_start(&query, CurrentMemoryContext, NULL, NULL);
	int64 affected;

	run_tasks(list_make1(task));
	affected = task->affected;
	remote_task_end(task);
	return affected;
}

/* A command that does nothing does it. */
void
remote_make_ready(int group_id, bool writes, bool names)
{
	RemoteQuery query = {.group_id = group_id, .sql = "SELECT", .writes = writes, .names = names};
	RemoteTask *task = remote_task_start(&query, CurrentMemoryContext, NULL, NULL);

	run_tasks(list_make1(task));
	remote_task_end(task);
}

void
remote_execute_all(List *group_ids, const char *sql)
{
	List *tasks = NIL;
	ListCell *lc;

	foreach (lc, group_ids)
	{
		RemoteQuery query = {.group_id = lfirst_int(lc), .sql = sql, .writes = true};

		tasks = lappend(tasks, remote_task_start(&query, CurrentMemoryContext, NULL, NULL));
	}
	run_tasks(tasks);
	foreach (lc, tasks)
		remote_task_end(lfirst(lc));
	list_free(tasks);
}

static void
settle(RemoteConnection *c)
{
	if (c->copy.state != COPY_NONE)
		copy_settle(c);
	task_settle(c);
}

void
remote_wait_all(void)
{
	transaction_foreach(settle);
}
