/*-------------------------------------------------------------------------
 * security.h
 *	  Row-level security of distributed tables.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_SECURITY_H
#define PGCLUSTER_SHARD_PLANNER_SECURITY_H

#include "nodes/parsenodes.h"

/*
 * Takes out of the query, which is scribbled on, what the policies of hash
 * distributed tables have put into it: their shards apply them.
 */
extern void security_leave_to_shards(Query *query);

#endif
