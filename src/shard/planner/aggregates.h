/*-------------------------------------------------------------------------
 * aggregates.h
 *	  Aggregates over several shards: what each computes, and how it is put
 *	  together.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_AGGREGATES_H
#define PGCLUSTER_SHARD_PLANNER_AGGREGATES_H

#include "nodes/primnodes.h"

/* Has shards compute an expression, and returns the column of their rows that it is. */
typedef Node *(*AggregateAdd)(Expr *part, void *arg);

/*
 * The aggregate as an expression over parts of shards, or NULL when its parts
 * cannot be put together.  Each part is a group of rows, or a piece of one.
 */
extern Node *aggregate_merge(Aggref *aggregate, AggregateAdd add, void *arg);

/* True for the functions of ours that shards compute parts with. */
extern bool aggregate_is_part(Oid function);

#endif
