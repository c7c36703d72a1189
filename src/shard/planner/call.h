/*-------------------------------------------------------------------------
 * call.h
 *	  Calls of functions that run where their key lives.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_CALL_H
#define PGCLUSTER_SHARD_PLANNER_CALL_H

#include "shard/planner/planner.h"

/* NULL: the query is no such call, or must run here. */
extern PlannedStmt *plan_call(const PlanRequest *request);

/* The same call for this server. */
extern PlannedStmt *plan_call_here(Query *query, const char *source, ParamListInfo params);

/* The function that such a query calls. */
extern Oid call_function(Query *query);

/* May names be looked up on a node as they are here? */
extern bool call_names_travel(void);

/* A table whose shards say where the calls of the function run; NULL: here. */
struct FunctionRow;
extern const DistributedTable *call_table(Oid function, int *argument);

#endif
