/*-------------------------------------------------------------------------
 * fill.h
 *	  New columns whose values differ from row to row.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_FILL_H
#define PGCLUSTER_SHARD_DDL_FILL_H

#include "access/attnum.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"

#include "shard/metadata/metadata.h"

typedef struct Fill Fill;

/* Can rows that are there get values of the column's default?  The table here has the column. */
extern bool fill_is_possible(Relation rel, AttrNumber attnum, TableKind kind);

/*
 * Gets ready to fill those of the columns from "first" on that the shards
 * cannot fill by themselves; NULL when there are none.  Locks the shards.
 */
extern Fill *fill_prepare(Relation rel, const DistributedTable *table, AttrNumber first);

/* Commands that add the column to the shard; NIL: an ordinary one. */
extern List *fill_commands(Fill *fill, AttrNumber attnum, const Shard *shard);

#endif
