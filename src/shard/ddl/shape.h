/*-------------------------------------------------------------------------
 * shape.h
 *	  What a table looks like, to see what a command made of it.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_SHAPE_H
#define PGCLUSTER_SHARD_DDL_SHAPE_H

#include "nodes/pg_list.h"

#include "shard/metadata/metadata.h"

typedef struct Shape Shape;

/* The table as it is now, in the current memory context. */
extern Shape *shape_take(Oid relid);

/*
 * Compares the table with what it was, refuses what the shards could not
 * follow, and has them follow all the rest.  "by_name": the command made
 * constraints and indexes anew, and only those whose names changed count; the
 * same command makes them anew on the shards.
 */
extern void shape_follow(Shape *before, bool by_name);

#endif
