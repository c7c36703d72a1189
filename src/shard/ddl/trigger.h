/*-------------------------------------------------------------------------
 * trigger.h
 *	  Triggers of distributed tables.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_TRIGGER_H
#define PGCLUSTER_SHARD_DDL_TRIGGER_H

#include "nodes/pg_list.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"

#include "shard/metadata/metadata.h"

/* Do the shards of a table of this kind have the trigger too? */
extern bool trigger_on_shards(const Trigger *trigger, TableKind kind);

/* Might a write fire triggers of the user's own, there or behind a foreign key? */
extern bool trigger_may_fire(Relation rel);

/* Raises an error for a trigger that a table of this kind cannot have. */
extern void trigger_check(Relation rel, TableKind kind);

/* The command that makes the trigger on a shard. */
extern char *trigger_command(Relation rel, Oid trigger, int64 shard_id);

/*
 * The command that makes a shard refuse rows that a trigger has given
 * another shard's key; NULL where no trigger could.
 */
extern char *trigger_guard_command(Relation rel, const DistributedTable *table, const Shard *shard);
extern char *trigger_guard_drop(Relation rel, int64 shard_id);

#endif
