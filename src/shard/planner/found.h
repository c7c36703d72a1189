/*-------------------------------------------------------------------------
 * found.h
 *	  Statements that a query computes here and shards carry out.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_FOUND_H
#define PGCLUSTER_SHARD_PLANNER_FOUND_H

#include "shard/metadata/metadata.h"
#include "shard/planner/planner.h"

/* A statement on its way to a plan of TIER_FOUND. */
typedef struct Found
{
	const PlanRequest *request;
	Query *query;				   /* the statement, a copy to scribble on */
	int target;					   /* its target in the range table */
	const DistributedTable *table; /* the same */
	Query *read;				   /* the SELECT of what is to be written */
	ShardPlan *plan;
	List *columns;				 /* attribute numbers of the target that are given back */
	List *echo_vars;			 /* Var in RETURNING that are not of the target */
	int outer_join;				 /* in the SELECT's range table, if it may leave the target null */
	Query *(*last)(Query *read); /* what is still to be done to the SELECT, or NULL */
	char *why;
} Found;

/*
 * Begins a statement whose target is read too; false, with "why", when it
 * cannot be one of this tier.
 */
extern bool found_begin(Found *found, const PlanRequest *request);

/* The column of the target, as the SELECT knows it. */
extern Var *found_target_var(Found *found, AttrNumber column);

/* Adds the columns that say which row is meant: none, when the SELECT has no target. */
extern void found_add_identity(Found *found);

/* Adds a column to the SELECT; returns its number. */
extern int found_add_column(Found *found, Expr *expr);

/*
 * A change to the table's rows: "attributes" are assigned, "columns" of the
 * SELECT are what they get.
 */
extern ShardPlan *found_change(Found *found, CmdType command, List *attributes, List *columns);

/* An UPDATE that may move a row to another shard, if "attributes" has the key. */
extern ShardPlan *found_update(Found *found, List *attributes, List *columns);

/* Understands RETURNING; false with "why". */
extern bool found_returning(Found *found);

/* Plans the SELECT, here, and makes the statement. */
extern PlannedStmt *found_finish(Found *found);

#endif
