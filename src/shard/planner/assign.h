/*-------------------------------------------------------------------------
 * assign.h
 *	  SET (a, b) = (SELECT ...) and SET c.f = ..., c.g = ..., column by column.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_ASSIGN_H
#define PGCLUSTER_SHARD_PLANNER_ASSIGN_H

#include "nodes/parsenodes.h"

/* Does so, in place, where MERGE or a check option of a distributed table needs it. */
extern void assign_apart(Query *query);

/* The assignment of several fields as one of a row; NULL when SQL has none that says the same. */
extern Expr *assign_row(Expr *expr);

#endif
