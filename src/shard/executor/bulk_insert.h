/*-------------------------------------------------------------------------
 * bulk_insert.h
 *	  INSERT of the rows of a query, many at a time: on the node that is asked.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_EXECUTOR_BULK_INSERT_H
#define PGCLUSTER_SHARD_EXECUTOR_BULK_INSERT_H

/* Installs the hook of a node that is asked; called from shard_init, before the planner's. */
extern void bulk_insert_init(void);

#endif
