/*-------------------------------------------------------------------------
 * prune.h
 *	  Leaves out shards that cannot hold a row a condition is true for.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_PRUNE_H
#define PGCLUSTER_SHARD_PLANNER_PRUNE_H

#include "shard/metadata/metadata.h"
#include "shard/plan.h"

/*
 * Gives "plan" a key if "clause", one that every row must fulfil, compares
 * column "column" of relation "rti", which holds distribution keys of "table",
 * with one value or with any of an array.  One value is better, and stays.
 */
extern void prune_by_clause(ShardPlan *plan, const DistributedTable *table, Index rti,
							AttrNumber column, Expr *clause);

/* The same for all conditions joined by AND in "quals". */
extern void prune_by_quals(ShardPlan *plan, const DistributedTable *table, Index rti,
						   AttrNumber column, Node *quals);

#endif
