/*-------------------------------------------------------------------------
 * statement.h
 *	  Plans whose whole tree is one scan of ours.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_STATEMENT_H
#define PGCLUSTER_SHARD_PLANNER_STATEMENT_H

#include "shard/planner/lift.h"
#include "shard/planner/pin.h"
#include "shard/planner/planner.h"

/* A statement that runs "plan" and returns what "query" does. */
extern PlannedStmt *statement_create(const PlanRequest *request, ShardPlan *plan, double rows);

/*
 * Adds the relations of "query" to a statement that does not scan them, for
 * their privileges, locks and invalidations.
 */
extern void statement_keep_relations(PlannedStmt *statement, Query *query);

/* False, with "why", when rows of the query's result cannot be taken from another node. */
extern bool statement_result_travels(Query *query, char **why);

/* True when nothing in the query is a query of its own, at any place. */
extern bool statement_is_flat(Query *query);

/* True when the query changes or locks rows anywhere. */
extern bool statement_writes(Query *query);

/*
 * Does an UPDATE, or ON CONFLICT, give the target's distribution column a
 * value that may be another?
 */
extern bool statement_assigns_key(Query *query, AttrNumber key);

/* Puts the key into the plan, whose parameters are those of "lift". */
extern void statement_set_key(ShardPlan *plan, const Pin *pin, const Lift *lift);

/* The parameters of a lifted statement, ready to be evaluated. */
extern List *statement_params(const Lift *lift);

/*
 * The SELECT with what it and its subqueries group by where it is used: a
 * copy, if the server keeps it elsewhere.
 */
extern Query *statement_with_groups(Query *query);

/*
 * Names and values of all columns of relation "rti", dropped ones too, since
 * the others keep their numbers: with a name that no column can have.
 */
extern void statement_columns(RangeTblEntry *rte, int rti, List **names, List **columns);

#endif
