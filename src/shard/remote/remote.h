/*-------------------------------------------------------------------------
 * remote.h
 *	  Work on other nodes: queries, COPY, and their transactions.
 *
 * A session keeps one connection per group (for its user and database).
 * What is asked of one group is carried out in the order asked; different
 * groups work side by side.  The leader of the group is looked up at each
 * use; a connection to a former leader is replaced, and a statement that
 * had done nothing yet is sent again.  All waits are interruptible, and an
 * interrupt cancels what runs on the nodes.
 *
 * Transactions: the first use of a group that needs one opens a transaction
 * there (with the isolation level and read-only mode of the local one, and a
 * savepoint per local subtransaction); it ends with the local transaction: by
 * a plain COMMIT when a single node wrote, else by two-phase commit.
 *
 * Errors of a node are raised here with the node's SQLSTATE, message,
 * detail, hint and object names, and a context line with node and group.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_REMOTE_REMOTE_H
#define PGCLUSTER_SHARD_REMOTE_REMOTE_H

#include "lib/stringinfo.h"
#include "libpq-fe.h"
#include "nodes/pg_list.h"
#include "utils/palloc.h"

typedef struct RemoteTask RemoteTask;

/*
 * Where a statement that is sent again and again finds itself prepared; all
 * zero before the first time.  One text, one list of types.
 */
typedef struct PreparedSlot
{
	const void *cache; /* of the connection */
	uint64 forgotten;
	struct PreparedEntry *entry;
} PreparedSlot;

typedef struct RemoteQuery
{
	int group_id;
	const char *sql;

	/* Parameters, as for PQsendQueryParams; types 0 where the node shall infer. */
	int nparams;
	const Oid *types;
	const char *const *values;
	const int *lengths;
	const int *formats;

	bool binary;		/* results in binary format */
	bool prepare;		/* keep the statement prepared on the connection, known by its text ... */
	uint64 version;		/* ... and by this: another one's result may have other types */
	bool writes;		/* changes data or takes row locks: needs the remote transaction ... */
	bool alone;			/* ... unless it is all that the local one does; ... */
	bool shows;			/* ... and then there is a row to be shown */
	bool keeps;			/* needs what the session keeps for the remote transaction */
	bool reads;			/* a SELECT of rows: a standby may answer it */
	bool names;			/* what it runs looks for names on the search_path of this session */
	bool attempt;		/* may be refused, and is then taken back: see remote_task_refused */
	int helper;			/* which of the connections to the node: 0, or what remote_helper gave */
	bool whole;			/* few rows are expected: all come in one PGresult, which is cheaper */
	bool measured;		/* count bytes and time, see remote_task_measures */
	bool impatient;		/* fail at once rather than wait for the node to come back */
	int snapshot;		/* which of those the node keeps it reads with, see snapshot.c; 0: none */
	int columns;		/* of its rows, where remote_run runs it; 0: it has none */
	PreparedSlot *slot; /* NULL: none */
} RemoteQuery;

/*
 * Called when the connection is needed for something else while the task's
 * rows are still coming: the owner must read them all (remote_task_next
 * until NULL) and keep them.
 */
typedef void (*RemoteSpool)(void *arg);

/*
 * Sends the query, or queues it behind what the group's connection is busy
 * with; returns without waiting for the answer.  A query that neither writes
 * nor stands in a transaction block runs without a remote transaction.
 * "query" and all it points at are copied as far as needed.  The task lives
 * in "context" and is ended with it.
 */
extern RemoteTask *remote_task_start(const RemoteQuery *query, MemoryContext context,
									 RemoteSpool spool, void *spool_arg);

/*
 * Next row, a PGresult of one tuple that the caller clears with PQclear;
 * NULL at the end.  Raises the node's error.  Of a "whole" query the first
 * call returns all rows, unless there are none, the second NULL.
 */
extern PGresult *remote_task_next(RemoteTask *task);

/*
 * Waits for the first row or the end of an "attempt".  True when the node
 * cannot do it and this server could: nothing of it is left then, there and
 * in the task.  Other errors remote_task_next raises.
 */
extern bool remote_task_refused(RemoteTask *task);

/* remote_task_next without waiting: NULL also when there is nothing yet, unless "done". */
extern PGresult *remote_task_poll(RemoteTask *task, bool *done);

/*
 * Waits until there may be news for one of the tasks, or for so many
 * milliseconds (-1: for ever); may return early.
 */
#define REMOTE_MAX_WAIT 64
extern void remote_wait_any(RemoteTask **tasks, int n, long timeout);

/*
 * Another connection to the group's node that is free to run queries like
 * this one: its number, for RemoteQuery.helper.  0: there is none now; it may
 * be on its way.
 */
extern int remote_helper(const RemoteQuery *query);

/*
 * Runs a "whole" query to its end and hands each row to "receive" as the body
 * of its message: no result is made of it where nothing unusual happens.
 * Returns the rows affected.
 */
typedef void (*RemoteReceive)(void *arg, char *body, int length);
extern int64
remote_run(const RemoteQuery *query, MemoryContext context, RemoteReceive receive, void *arg);

/* Appends the body of the message that this row of a result came in. */
extern void remote_row_body(const PGresult *result, int row, StringInfo body);

/* After the end: rows the statement affected. */
extern int64 remote_task_affected(RemoteTask *task);

/* Of a measured one: bytes of its rows, and how long it was waited for (milliseconds). */
extern void remote_task_measures(RemoteTask *task, int64 *bytes, double *waited);

/* For EXPLAIN ANALYZE and error contexts: "host:port" of the node that was asked. */
extern const char *remote_task_node(RemoteTask *task);

/* Ends the task; if rows are still coming they are cancelled or discarded. */
extern void remote_task_end(RemoteTask *task);

/* Runs one command in the remote transaction and waits; returns rows affected. */
extern int64 remote_execute(int group_id, const char *sql);

/* The same on several groups (list of ints) side by side. */
extern void remote_execute_all(List *group_ids, const char *sql);

/*
 * Sees to it that the connection is open and nothing is under way on it, and
 * that the node has been told of settings; with "writes" in a transaction.
 */
extern void remote_make_ready(int group_id, bool writes, bool names);

/* Where statements on nodes have names looked for that functions use without a schema. */
extern const char *remote_search_path(void);

/* All the data of one COPY. */
typedef struct RemoteChunk
{
	const char *sql; /* COPY ... FROM STDIN */
	const char *data;
	int length;
	const char *relation; /* how the node's errors name the table */
	const uint64 *lines;  /* which line of the user's each of the data's lines is, ... */
	uint64 nlines;		  /* ... if this is known */
	bool names;			  /* as of a RemoteQuery */
} RemoteChunk;

/*
 * Copies to a group in the remote transaction.  Waits for what the group is
 * still at, and only then as long as the data is more than a buffer takes:
 * the answer is collected, and an error raised, at the next use of the group
 * or by the functions below.
 */
extern void remote_copy(int group_id, const RemoteChunk *chunk);

/*
 * The line that the context of an error during COPY names, and where in the
 * text; 0: none.
 */
extern uint64
remote_copy_line(const char *context, const char *relation, const char **begin, const char **end);

/* Drives the group's COPY on without waiting; false when there is none under way. */
extern bool remote_copy_busy(int group_id);

/* Waits until there is no COPY under way on one of the groups (list of ints). */
extern void remote_copy_wait(List *group_ids);

/*
 * SET CONSTRAINTS ALL, on the nodes that the transaction has used (where it
 * may find violations) and on those that it will use.
 */
extern void remote_set_constraints(bool deferred);

/* Waits until nothing is under way on any group; raises the first error. */
extern void remote_wait_all(void);

/* Waits for so many microseconds, or less. Interruptible. */
extern void remote_nap(int64 time);

/* Closes the connections that the present transaction has not used. */
extern void remote_close_idle(void);

/* Where the group's leader is just now, "host:port" palloc'd; "unknown" if nobody leads. */
extern char *remote_group_address(int group_id);

/* Where such a query goes. */
extern char *remote_query_address(const RemoteQuery *query);

/* Registers the transaction callbacks and shared memory; called from shard_init. */
extern void remote_init(void);

/* True while the present transaction has one open on the group's leader. */
extern bool remote_is_used(int group_id);

#endif
