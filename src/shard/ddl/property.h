/*-------------------------------------------------------------------------
 * property.h
 *	  What a table and its parts have beyond being there.
 *
 * Storage options, the settings of columns, indexes and triggers, row-level
 * security: whatever is set and reset by a command of its own.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_PROPERTY_H
#define PGCLUSTER_SHARD_DDL_PROPERTY_H

#include "nodes/pg_list.h"
#include "utils/relcache.h"

#include "shard/metadata/metadata.h"

/* When shards are made: before their rows are there, or after. */
typedef enum PropertyTime
{
	PROPERTY_EARLY,
	PROPERTY_LATE
} PropertyTime;

/* The properties that the shards of a table of this kind share with it. */
extern List *property_take(Relation rel, TableKind kind);

/*
 * Commands that give the shard "table" in "schema" (both quoted) the
 * properties "after" in place of "before".  "by_name": the parts were made
 * anew under their old names.
 */
extern List *
property_changes(List *before, List *after, bool by_name, const char *schema, const char *table);

/* The same for a shard whose parts were just made. */
extern List *
property_commands(List *properties, PropertyTime time, const char *schema, const char *table);

#endif
