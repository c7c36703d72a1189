/*-------------------------------------------------------------------------
 * call.h
 *	  Where a call runs.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_EXECUTOR_CALL_H
#define PGCLUSTER_SHARD_EXECUTOR_CALL_H

#include "shard/metadata/metadata.h"

/* The group that has the key; 0: this server. */
extern int call_group(const DistributedTable *table, Oid type, Datum key, bool isnull);

#endif
