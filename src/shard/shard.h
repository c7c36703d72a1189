/*-------------------------------------------------------------------------
 * shard.h
 *	  The entry of the distribution half.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_SHARD_H
#define PGCLUSTER_SHARD_SHARD_H

/* Installs the hooks of planner, executor and utility commands; called from _PG_init. */
extern void shard_init(void);

#endif
