/*-------------------------------------------------------------------------
 * ship.h
 *	  What of a scan's conditions and columns is the shards' business.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_SHIP_H
#define PGCLUSTER_SHARD_PLANNER_SHIP_H

#include "nodes/extensible.h"
#include "nodes/pathnodes.h"

/* Conditions of a relation on their way to shards. */
typedef struct Ship
{
	PlannerInfo *root;
	RelOptInfo *rel;
	bool rows_only; /* shards are to apply no condition */
	List *params;	/* of the SQL so far; those of conditions are added */
	List *shipped;	/* conditions that shards apply, as the planner has them */
	List *remote;	/* the same as they are sent: columns of a first and only relation */
	List *local;	/* conditions that are left to be applied here */
} Ship;

/*
 * Makes a scan by these methods the only path to a relation.  Where the
 * relation shows values of another one (in what LATERAL computes beside it),
 * the path says so, as the server's own paths do.
 */
extern CustomPath *ship_path(PlannerInfo *root, RelOptInfo *rel, const CustomPathMethods *methods,
							 Cost startup, Cost total);

extern void ship_clauses(Ship *ship, List *clauses);

/*
 * The columns (of "count") that a scan has to fetch, ascending attribute
 * numbers: those that are shown and those that conditions left here need.
 */
extern List *ship_columns(CustomPath *path, List *tlist, List *local, int count, bool partitioned);

#endif
