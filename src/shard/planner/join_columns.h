/*-------------------------------------------------------------------------
 * join_columns.h
 *	  The columns of joins, made to fit those of the relations joined.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_JOIN_COLUMNS_H
#define PGCLUSTER_SHARD_PLANNER_JOIN_COLUMNS_H

#include "nodes/parsenodes.h"

/* Changes the SELECT in place, this level of it only. */
extern void join_columns_align(Query *query);

#endif
