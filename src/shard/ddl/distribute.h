/*-------------------------------------------------------------------------
 * distribute.h
 *	  Makes tables distributed and local again.
 *
 * All of it is one transaction here and on the groups: after an error
 * nothing has happened.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_DISTRIBUTE_H
#define PGCLUSTER_SHARD_DDL_DISTRIBUTE_H

#include "access/attnum.h"
#include "nodes/pg_list.h"

/*
 * Distributes a table by the hash of a column.  "colocate_with": a table to
 * colocate with; InvalidOid: that of a table its foreign keys point at,
 * the first colocation group that fits, or a new one; with "alone" a new one
 * in any case.  "shard_count" 0: that of the
 * colocation group, or the default.
 */
extern void
distribute_by_hash(Oid relid, const char *column, Oid colocate_with, bool alone, int shard_count);

/* Distributes a partition of a distributed table, as that is. */
extern void distribute_partition(Oid relid);

/* Gives every group a full copy. */
extern void distribute_reference(Oid relid);

/*
 * Brings the rows back; with "cascade" also of all tables that foreign keys
 * tie to this one, else those are an error.
 */
extern void distribute_undo(Oid relid, bool cascade);

/* Has a table colocated with this one, other than itself, its shards' pieces of this schema? */
struct DistributedTable;
extern bool distribute_uses_schema(const struct DistributedTable *table, Oid schema);

/* For groups that join or leave. */
extern void distribute_join(int group_id);
extern void distribute_leave(int group_id);

/*
 * Drops the shards of a table and forgets it; the table itself stays as it
 * is.  Callers hold an AccessExclusiveLock on it.
 */
extern void distribute_drop_shards(Oid relid);

#endif
