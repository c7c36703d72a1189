/*-------------------------------------------------------------------------
 * maintenance.h
 *	  What goes on in the background of a database that has the extension.
 *
 * A launcher, started with the server once it is a primary, keeps one worker
 * in each database with the extension.  The worker does its rounds (see
 * recovery.c) at intervals and when it is woken, and leaves when the
 * extension is gone or the database is wanted without connections.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_MAINTENANCE_MAINTENANCE_H
#define PGCLUSTER_SHARD_MAINTENANCE_MAINTENANCE_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/palloc.h"

/* Registers shared memory, the launcher and hooks; called from shard_init. */
extern void maintenance_init(void);

/* Asks this database's worker for a round now.  Never throws. */
extern void maintenance_kick(void);

/*
 * Makes the database's worker leave, for a command that needs a database
 * without connections, and keeps it away for a few seconds.
 */
extern void maintenance_leave(Oid database);

/*
 * A session has waited for a node for a while with a transaction open there:
 * the worker looks whether it waits for itself.  Never throws.
 */
extern void deadlock_suspected(void);

/* The waits of a circle, each for the next one's process. */
#define DEADLOCK_MAX_WAITS 8
typedef struct DeadlockWait
{
	int waiter;
	int holder;
	int group_id;	 /* where: 0 is this server */
	Oid role;		 /* of the waiter */
	char query[256]; /* of the waiter */
} DeadlockWait;

typedef struct Deadlock
{
	int victim_group;	 /* where the victim waits ... */
	int victim_node_pid; /* ... by this process */
	int nwaits;			 /* may be more than there is room for */
	DeadlockWait waits[DEADLOCK_MAX_WAITS];
} Deadlock;

/* True, once, when the present transaction was chosen to end a deadlock. */
extern bool deadlock_is_victim(Deadlock *deadlock);

/* Makes a transaction the one that ends a deadlock, and wakes it up. */
extern void deadlock_choose_victim(int pid, TimestampTz xact_start, const Deadlock *deadlock);

/* Raises the error that ends a deadlock if the present transaction is to. */
extern void deadlock_check_victim(void);

/* The error itself. */
extern void deadlock_raise(const Deadlock *deadlock) __attribute__((noreturn));

/* Looks for a deadlock over several nodes and ends one.  Outside of transactions. */
extern void deadlock_round(void);

/* Transactions of the worker's rounds, which may not take for ever. */
extern void round_begin(void);
extern void round_end(MemoryContext context);
extern void round_abort(MemoryContext context);
extern List *round_groups(MemoryContext context);

/*
 * One round of two-phase recovery over all groups.  False when something is
 * left to do that another round may finish.  To be called outside of
 * transactions.
 */
extern bool recovery_round(void);

/*
 * True when a round that found every group in order began when gate.h's
 * doubts were this many already.  Never throws.
 */
extern bool maintenance_has_settled(uint64 doubts);

/* A group could not be looked at in the last round. */
extern bool recovery_failed(void);

/*
 * Before a group leaves, in the transaction that removes it: has what needs it
 * ended, or raises an error.  "gone": the group itself cannot be asked.
 */
extern void recovery_end_group(int group_id, bool gone);

/* Starts the worker that keeps statistics up, unless one is at it.  Outside of transactions. */
extern void statistics_start(void);

#endif
