/*-------------------------------------------------------------------------
 * grant.h
 *	  Grants on shards and shells.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_GRANT_H
#define PGCLUSTER_SHARD_DDL_GRANT_H

#include "nodes/pg_list.h"
#include "utils/relcache.h"

#include "shard/ddl/shard_run.h"

/* Grants what is granted on the table on one of its shards; who granted it here does so there. */
extern void grant_repeat(ShardRun *run, List *groups, Relation rel, int64 shard_id);

#endif
