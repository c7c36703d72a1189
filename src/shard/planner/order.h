/*-------------------------------------------------------------------------
 * order.h
 *	  Scans whose rows come sorted from the nodes.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_ORDER_H
#define PGCLUSTER_SHARD_PLANNER_ORDER_H

#include "nodes/extensible.h"
#include "nodes/pathnodes.h"

#include "shard/plan.h"

/*
 * Adds to a relation paths like "unsorted" whose rows are sorted in a way
 * that the plan around can make use of, if there is any.
 */
extern void order_add_paths(PlannerInfo *root, RelOptInfo *rel, const CustomPath *unsorted);

/*
 * Notes in "plan" how the rows of the path are sorted, if they are; returns
 * "columns" (ascending attribute numbers) with those that it needs for that.
 */
extern List *order_note(PlannerInfo *root, CustomPath *path, ShardPlan *plan, List *columns);

#endif
