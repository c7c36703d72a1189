/*-------------------------------------------------------------------------
 * partition.h
 *	  Partitions of distributed tables.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_PARTITION_H
#define PGCLUSTER_SHARD_DDL_PARTITION_H

#include "shard/ddl/utility.h"
#include "shard/metadata/metadata.h"

/* CREATE TABLE, possibly of a partition. */
extern bool partition_handle_create(UtilityCall *call);

/* Is it ALTER TABLE ... ATTACH or DETACH PARTITION?  Then it is carried out. */
extern bool partition_handle_alter(UtilityCall *call, const DistributedTable *table);

#endif
