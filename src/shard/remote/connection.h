/*-------------------------------------------------------------------------
 * connection.h
 *	  What the files of this folder share: a connection, its tasks, its
 *	  transaction.
 *
 * connection.c  finds the node, connects, waits, closes
 * pool.c        who may connect, when many want to
 * replica.c     reads that go to a standby
 * helper.c      more than one connection to a node
 * cancel.c      stops a statement
 * settings.c    keeps settings of the node's session like the local ones
 * prepared.c    statements prepared on a connection, known by their text
 * task.c        sends commands and sorts out the answers
 * copy.c        COPY ... FROM STDIN
 * transaction.c the remote transaction, one and two phases
 * snapshot.c    snapshots of several nodes that belong together
 * export.c      ... that other sessions import
 * decision.c    what a node keeps of the commits that it decides
 * gate.c        keeps commits and the taking of snapshots apart
 * acting.c      a transaction that goes on as another user
 * error.c       errors and notices of nodes
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_REMOTE_CONNECTION_H
#define PGCLUSTER_SHARD_REMOTE_CONNECTION_H

#include "lib/ilist.h"
#include "storage/latch.h"

#include "shard/remote/pool.h"
#include "shard/remote/remote.h"

typedef enum ConnectionState
{
	CONNECTION_CLOSED,
	CONNECTION_WAITING,	   /* for the next attempt to connect */
	CONNECTION_CONNECTING, /* libpq is at it */
	CONNECTION_OPEN		   /* in pipeline mode, except during a COPY */
} ConnectionState;

typedef enum CopyState
{
	COPY_NONE,
	COPY_STARTING, /* sent, the node has not asked for data yet */
	COPY_SENDING,
	COPY_ENDING /* all data given to libpq, answer not read yet */
} CopyState;

typedef struct PreparedCache PreparedCache;
typedef struct PreparedEntry PreparedEntry;

/* What the session of the node was told of the local settings. */
#define REMOTE_MAX_SETTINGS 24

typedef struct RemoteSettings
{
	bool known;			 /* false: tell it everything */
	bool in_transaction; /* told inside the open remote transaction: a rollback undoes it */
	union
	{
		int i;
		const void *p;
		char *s; /* in the session's memory */
	} value[REMOTE_MAX_SETTINGS];
	char *path; /* search_path, if it was told; NULL: as the connection was made */
	char *own;	/* settings of the user's own making, as they were told; NULL: none */
} RemoteSettings;

typedef struct ConnectionKey
{
	int group_id;
	Oid user;
	int number;	 /* 0: the one that always is; others help it */
	int replica; /* 1: for reads that may go to a standby */
} ConnectionKey;

typedef enum TwoPhaseState
{
	TWO_PHASE_NONE,
	TWO_PHASE_PREPARING, /* PREPARE TRANSACTION was sent */
	TWO_PHASE_PREPARED,
	TWO_PHASE_IN_DOUBT /* prepared, and recovery is to find out what was decided */
} TwoPhaseState;

#define SNAPSHOT_UNKNOWN PG_INT32_MIN

typedef struct RemoteCopy
{
	CopyState state;

	/* Of the present or the last one: the user's line for each of the node's. */
	uint64 *lines;
	uint64 nlines;
	uint64 max_lines;
	char relation[NAMEDATALEN];
} RemoteCopy;

struct RemoteConnection
{
	ConnectionKey key; /* must be first: this is an entry of a hash table */

	ConnectionState state;
	PGconn *conn;
	PostgresPollingStatusType poll; /* while connecting: what libpq waits for */
	WaitEventSet *waits; /* latch, postmaster, socket; as long as the connection is open */
	int wait_events;	 /* events of the socket asked for in "waits" */
	char host[256];
	char node[280]; /* host:port, for people */
	int port;
	uint64 generation; /* of the leaders, or of the catalog, when the node was looked up */
	bool from_agent;   /* the node was found through the store, so it may move by itself */

	/* clock.h times of an ongoing attempt to (re)connect; 0: none */
	int64 give_up_at;	 /* end of all attempts for what is waiting now */
	int64 connecting_at; /* end of the present attempt */
	int64 retry_at;		 /* start of the next attempt */
	int64 silent_since;	 /* an open one has had no news since, as far as noticed */

	/* Of one for reads, see replica.c; clock.h times. */
	bool at_replica;
	int64 replica_looked;
	int64 replica_checked;
	int64 no_replica_until;

	PoolPlace place; /* what it counts as */
	int pool_node;	 /* ... and where */

	/* Why the connection was lost last. */
	int failure_code;
	char failure[512];

	PreparedCache *prepared;
	RemoteSettings settings;
	Oid acting; /* the user that its transaction goes on as; InvalidOid: not known */

	/* For wire.c. */
	bool by_wire; /* the socket carries the protocol as it is */
	bool on_wire; /* a trip is under way that libpq does not know of */

	dlist_head tasks;		 /* in order: sent ones, then those to be sent */
	PGresult *pending_error; /* of a command whose caller did not wait */
	bool pending_copy;		 /* ... which was a COPY */
	RemoteCopy copy;

	/*
	 * The remote transaction.  "level" is the local nesting level up to which
	 * it has savepoints, 1 the transaction itself, 0 no transaction.  The two
	 * others name the lowest level at which the node carried something out,
	 * or was asked to write; 0 when nothing.
	 */
	int level;
	int done_level;
	int write_level;
	int snapshot;	/* pgcluster.statement_snapshot there, SNAPSHOT_UNKNOWN after a rollback */
	int committing; /* statements under way that commit by themselves */
	bool lost;		/* it went with its connection after it had done something */
	TwoPhaseState two_phase;
	char gid[200];		/* of what it prepared, or of what it decides */
	RemoteTask *ending; /* the command that ends the transaction, while its outcome is open */
	dlist_node active;	/* in the list of those used in this local transaction */
	bool is_active;
};

typedef enum TaskState
{
	TASK_QUEUED, /* not sent, or to be sent again */
	TASK_SENT,
	TASK_DONE
} TaskState;

struct RemoteTask
{
	dlist_node node; /* in its connection's list until it is done */
	RemoteConnection *connection;
	TaskState state;
	bool released;	  /* nobody asks for it any more: freed when done */
	bool discard;	  /* nobody wants its rows */
	bool internal;	  /* ours: an error is kept for the next use of the connection */
	bool quiet;		  /* ... or not even that */
	bool transaction; /* needs the remote transaction */
	bool opened;	  /* ... and is the first of it */
	bool savepoint;	  /* ... or is an attempt, which has one of its own */
	int write_level;  /* the connection's, before an attempt */
	bool commits;	  /* commits by itself: is never sent again when it is lost */
	bool again;		  /* was sent again because its prepared plan was stale */
	bool spooling;
	bool failed;			 /* the connection was lost, see its "failure" */
	int level;				 /* local nesting level at which it was started */
	Oid user;				 /* as whom */
	int prefix;				 /* results to come before the statement's own */
	const char *first;		 /* of an internal one: what goes ahead of it, until it is sent */
	PreparedEntry *prepared; /* the statement it runs */
	bool preparing;			 /* ... which the prefix prepares */
	PreparedEntry *command;	 /* another that the prefix prepares */
	bool failed_early;		 /* the prefix failed, not the statement */

	RemoteQuery query; /* points into this allocation */

	RemoteSpool spool;
	void *spool_arg;
	struct TaskTie *tie;

	PGresult **rows; /* kept until asked for */
	int first_row;
	int nrows;
	int max_rows;
	PGresult *one_row; /* place for the commonest case */
	int64 delivered;
	int64 affected;
	int64 bytes;  /* received, if measured */
	int64 waited; /* microseconds */
	char tag[32]; /* command tag of internal commands */
	PGresult *error;
};

/* connection.c */
extern MemoryContext remote_context(void);
extern RemoteConnection *connection_get(int group_id);
extern RemoteConnection *connection_find(int group_id, bool replica, int number);
extern void connection_check_leader(RemoteConnection *c);
extern void connection_progress(RemoteConnection *c);
/* Open, and nothing has come from the node that nobody asked for, not even its end. */
extern bool connection_is_quiet(RemoteConnection *c);
extern void connection_check_interrupts(void);
extern void connection_wait(RemoteConnection *c);
extern void connection_wait_any(RemoteConnection **connections, int n, long timeout);
extern bool connection_wait_quietly(RemoteConnection *c, int64 until);
extern void connection_lost(RemoteConnection *c, const PGresult *reason);
extern void connection_close(RemoteConnection *c);
extern bool connection_leader_moved(RemoteConnection *c);
extern bool connection_extras_open(void);
extern void connection_begin_helper(RemoteConnection *c);
extern void connection_foreach(void (*action)(RemoteConnection *c));

/* Is this process of the group's node at the other end of one of them?  Never throws. */
extern bool connection_has_process(int group_id, int pid);

/*
 * Waits until an open connection has something to read.  False when something
 * else has to be done first: an interrupt, a look at why the node is silent.
 */
extern bool connection_wait_readable(RemoteConnection *c);
extern bool connection_none_underway(void);

/* wire.c */
extern bool wire_command(RemoteConnection *c, const char *sql, RemoteTask **task);
extern void wire_abandon(RemoteConnection *c);

/* The one of this user, whoever's the transaction has. */
extern RemoteConnection *connection_of_user(int group_id, Oid user);

/* acting.c */
extern bool acting_may_connect(Oid user);
/* To be called before a task is started by another user than the connection's; may wait. */
extern void acting_prepare(RemoteConnection *c);
/* Tells the node to go on as "user", if it does not yet; counts what it sends. */
extern bool acting_send(RemoteConnection *c, Oid user, int *commands);
/* Before the transaction ends: it does as the connection's own user. */
extern void acting_end(RemoteConnection *c);
extern void acting_forget(const RemoteConnection *c);
extern void acting_init(void);

/* cancel.c */
#define CANCEL_MAX 32
extern bool connection_cancel(RemoteConnection *c);
extern void connection_cancel_all(RemoteConnection **connections, int n, bool *asked);

/* settings.c */
extern char *settings_changes(RemoteConnection *c, bool names);
extern bool settings_told(RemoteConnection *c, bool names);
extern void settings_forget(RemoteConnection *c);

/* prepared.c */
extern uint32 prepared_hash(const RemoteQuery *query);
extern PreparedEntry *
prepared_find(RemoteConnection *c, const RemoteQuery *query, bool *is_new, char **drop);
/* The same if it is prepared, else NULL. */
extern PreparedEntry *prepared_known(RemoteConnection *c, const RemoteQuery *query);
/* A command of our own, without parameters, if it is prepared. */
extern PreparedEntry *prepared_command(RemoteConnection *c, const char *sql);
/* Can one more be prepared without letting go of another? */
extern bool prepared_has_room(const RemoteConnection *c);
extern const char *prepared_name(const PreparedEntry *entry);
extern void prepared_forget(RemoteConnection *c, PreparedEntry *entry);
extern void prepared_reset(RemoteConnection *c);

/* task.c */
extern RemoteTask *task_internal(RemoteConnection *c, const char *sql);
extern RemoteTask *task_internal_after(RemoteConnection *c, const char *first, const char *sql);
extern void task_internal_forget(RemoteConnection *c, const char *sql, bool quiet);
/* A query outside of any transaction, on this connection. */
extern RemoteTask *
task_start_beside(RemoteConnection *c, const RemoteQuery *query, MemoryContext context);
extern void task_send_queued(RemoteConnection *c);
extern bool task_receive(RemoteConnection *c);
extern void task_settle(RemoteConnection *c);
/* A task for what was sent already, and whose answer is still to come. */
extern RemoteTask *task_adopt(RemoteConnection *c, const RemoteQuery *query, MemoryContext context);
extern void task_release(RemoteTask *task);
extern void task_fail(RemoteTask *task);
extern void task_requeue(RemoteTask *task);
extern void task_discard_rows(RemoteTask *task);

/* copy.c */
extern void copy_settle(RemoteConnection *c);
extern void copy_abandon(RemoteConnection *c);
extern bool copy_receive(RemoteConnection *c);
extern void copy_forget_lines(RemoteConnection *c);
extern char *copy_context(const RemoteConnection *c, const char *context);

/* transaction.c */
extern const char *transaction_begin_command(void);
extern RemoteConnection *transaction_use(int group_id, bool replica, int number);
/* Whose connection to the group the transaction uses; InvalidOid if it has none. */
extern Oid transaction_user(int group_id);
extern bool transaction_may_commit_alone(RemoteConnection *c);
extern void transaction_committed_alone(bool shows);
extern bool transaction_needed(const RemoteConnection *c, bool writes);
extern void transaction_note_done(RemoteConnection *c, int level);
extern void transaction_note_write(RemoteConnection *c, int level);
/* After an error of an attempt that is the last task of its connection. */
extern void transaction_take_back(RemoteConnection *c, const RemoteTask *task);
extern void transaction_foreach(void (*action)(RemoteConnection *c));
extern bool transaction_ending(void);
extern const char *transaction_constraints_command(void);
extern void transaction_note_suspicion(void);
extern bool transaction_suspects(void);

/* error.c */
extern void error_raise(RemoteConnection *c, PGresult *result) __attribute__((noreturn));
extern void error_raise_lost(RemoteConnection *c) __attribute__((noreturn));
extern void error_raise_unknown(RemoteConnection *c) __attribute__((noreturn));
extern void error_raise_pending(RemoteConnection *c);
extern int error_code(const PGresult *result);
extern bool error_means_elsewhere(int code);
extern void error_describe(const char *text, char *to, size_t size);
extern void notice_receive(void *arg, const PGresult *result);
extern void notice_emit(void);
extern void notice_drop(void);

#endif
