/*-------------------------------------------------------------------------
 * planner.h
 *	  How queries on distributed tables become plans.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_PLANNER_H
#define PGCLUSTER_SHARD_PLANNER_PLANNER_H

#include "nodes/params.h"
#include "nodes/plannodes.h"

#include "shard/plan.h"

/* What the server's planner is asked. */
typedef struct PlanRequest
{
	Query *query;
	const char *source;
	int cursor_options;
	ParamListInfo params;
	List *refusals; /* of the planners asked before: labels and reasons, for EXPLAIN */
} PlanRequest;

/*
 * Each planner returns a plan, or NULL and says why not; the request is left
 * as it was.
 */
typedef PlannedStmt *(*ShardPlanner)(const PlanRequest *request, char **why);

extern PlannedStmt *plan_single_shard(const PlanRequest *request, char **why);
extern PlannedStmt *plan_every_shard(const PlanRequest *request, char **why);
extern PlannedStmt *plan_rows(const PlanRequest *request, char **why);
extern PlannedStmt *plan_insert_shards(const PlanRequest *request, char **why);
extern PlannedStmt *plan_exchange_rows(const PlanRequest *request, char **why);
extern PlannedStmt *plan_select_rows(const PlanRequest *request, char **why);
extern PlannedStmt *plan_found(const PlanRequest *request, char **why);
extern PlannedStmt *plan_merge_shard(const PlanRequest *request, char **why);
extern PlannedStmt *plan_merge_shards(const PlanRequest *request, char **why);
extern PlannedStmt *plan_merge(const PlanRequest *request, char **why);
extern PlannedStmt *plan_steps(const PlanRequest *request, char **why);
extern PlannedStmt *plan_every_copy(const PlanRequest *request, char **why);
extern PlannedStmt *plan_copied_rows(const PlanRequest *request, char **why);

/* May a trigger of the reference table change rows before they are stored? */
extern bool trigger_changes(Oid relid);
extern PlannedStmt *plan_pushdown(const PlanRequest *request, char **why);
extern PlannedStmt *plan_shipped(const PlanRequest *request, char **why);
extern PlannedStmt *plan_by_table(const PlanRequest *request, char **why);

/* The server's planner, or what stood in its place before us. */
extern PlannedStmt *planner_server(const PlanRequest *request, Query *query);

/* The same with distributed tables taken as the local tables they also are. */
extern PlannedStmt *planner_here(const PlanRequest *request, Query *query);

/* Installs the hooks of by_table.c. */
extern void by_table_init(void);

/*
 * While on, distributed tables are planned as the local tables they also
 * are: for those who mean the shell, or the local copy, itself.  Returns the
 * setting before; the caller puts it back, also on an error.
 */
extern bool planner_read_local(bool on);
extern bool planner_local_reads(void);

/*
 * While on, a write on distributed tables reads what it needs before it
 * writes: no shard does both.  As above.
 */
extern bool planner_reads_first(bool on);
extern bool planner_is_read_first(void);

/* Installs the hooks; called from shard_init. */
extern void planner_init(void);

#endif
