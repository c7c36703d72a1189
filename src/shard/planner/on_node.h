/*-------------------------------------------------------------------------
 * on_node.h
 *	  Queries on a worker group that name distributed tables.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_ON_NODE_H
#define PGCLUSTER_SHARD_PLANNER_ON_NODE_H

#include "shard/metadata/metadata.h"
#include "shard/planner/planner.h"

/* NULL: the query names no shell. */
extern PlannedStmt *plan_on_node(const PlanRequest *request);

/*
 * Puts the shard's piece, and copies of reference tables, in the place of
 * all shells of the query, in place.  An error when one is not here.
 */
extern void on_node_bind(Query *query, const DistributedTable *table, const Shard *shard);

/* A shard that is here, for a key that no row has. */
extern const Shard *on_node_any_shard(const DistributedTable *table);

#endif
