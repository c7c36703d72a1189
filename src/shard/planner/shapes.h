/*-------------------------------------------------------------------------
 * shapes.h
 *	  Plans of statements that differ in nothing but constants.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_SHAPES_H
#define PGCLUSTER_SHARD_PLANNER_SHAPES_H

#include "shard/planner/lift.h"
#include "shard/planner/pin.h"
#include "shard/planner/planner.h"

/*
 * The plan of a statement like this one, with this one's constants; NULL if
 * none is kept.  Nothing of it may be changed.
 */
extern PlannedStmt *shapes_find(const PlanRequest *request);

/*
 * Before a query is lifted: gives its constants numbers, in the place of
 * their locations in the text.
 */
extern void shapes_number(Query *query);

/*
 * Offers a plan for keeping.  "lifted" is the query that went into its SQL,
 * "lift" and "pin" are what was found out about it.
 */
extern void shapes_offer(const PlanRequest *request, PlannedStmt *statement, Query *lifted,
						 const Lift *lift, const Pin *pin);

#endif
