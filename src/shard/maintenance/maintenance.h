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
 * One round of two-phase recovery over all groups.  False when something is
 * left to do that another round may finish.  To be called outside of
 * transactions.
 */
extern bool recovery_round(void);

#endif
