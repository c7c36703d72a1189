/*-------------------------------------------------------------------------
 * lock.h
 *	  The advisory locks of the distribution half, and their order.
 *
 * Locks are taken in this order: the groups, then tables (the server's own
 * relation locks, ascending Oids where there are several), then shards
 * (ascending ids).  All are held until the transaction ends.
 *
 * The classes fill the fourth field of an advisory lock tag, where the
 * server's SQL functions use 1 and 2.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_METADATA_LOCK_H
#define PGCLUSTER_SHARD_METADATA_LOCK_H

#include "storage/lock.h"

typedef enum LockClass
{
	LOCK_CLASS_GROUPS = 0x7063, /* which groups there are, and what lives on them */
	LOCK_CLASS_GATE				/* commits on other nodes, see remote/gate.c; only ever the last */
} LockClass;

/*
 * Guards the list of groups and the placement of shards on them:
 * ExclusiveLock to change either, ShareLock to rely on both.
 */
extern void lock_groups(LOCKMODE mode);

#endif
