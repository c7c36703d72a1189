/*-------------------------------------------------------------------------
 * by_table.h
 *	  Plans of the server over scans of ours.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_BY_TABLE_H
#define PGCLUSTER_SHARD_PLANNER_BY_TABLE_H

#include "shard/planner/piece.h"

/*
 * Has the server plan "query", from which the pieces in "set" were cut.
 * NULL, with "why", when what is left cannot be carried out.
 */
extern PlannedStmt *
by_table_plan(const PlanRequest *request, Query *query, PieceSet *set, char **why);

/* How many rows the request's query gives, as far as statistics tell. */
extern double by_table_estimate(const PlanRequest *request);

/* The same, and how wide a row is. */
extern double by_table_estimate_size(const PlanRequest *request, int *width);

/*
 * Distributed tables with partitions are single tables from here on: the
 * partitions are the shards' affair.  The query is scribbled on.
 */
extern void by_table_take_whole(Query *query);

#endif
