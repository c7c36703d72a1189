/*-------------------------------------------------------------------------
 * check_option.h
 *	  WITH CHECK OPTION of views over hash distributed tables.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_CHECK_OPTION_H
#define PGCLUSTER_SHARD_PLANNER_CHECK_OPTION_H

#include "nodes/parsenodes.h"

/*
 * Makes the checks of views a part of what the statement assigns; leaves the
 * query as it is where that cannot be.  The query is scribbled on.
 */
extern void check_option_fold(Query *query);

/* Is it the function that raises the error? */
extern bool check_option_is_refusal(Oid function);

#endif
