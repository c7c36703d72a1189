/*-------------------------------------------------------------------------
 * snapshot.h
 *	  Snapshots of several nodes that belong together, see snapshot.c.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_REMOTE_SNAPSHOT_H
#define PGCLUSTER_SHARD_REMOTE_SNAPSHOT_H

/*
 * Under which number the nodes know the snapshot of the statement that is
 * being started just now; 0: its queries see what is there when they run.
 */
extern int snapshot_of_statement(void);

/*
 * Before a node is used in any way: where the transaction has one snapshot,
 * sees to it that those of the nodes belong together.
 */
extern void snapshot_before_use(void);

/* The transaction has one snapshot, and it was taken on all nodes known then. */
extern bool snapshot_is_taken(void);

/* Installs the hooks; called from shard_init. */
extern void snapshot_init(void);

#endif
