/*-------------------------------------------------------------------------
 * change.h
 *	  The SQL that writes rows which it is given.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_CHANGE_H
#define PGCLUSTER_SHARD_PLANNER_CHANGE_H

#include "shard/plan.h"

typedef struct ChangeForm
{
	const RangeTblEntry *target;
	List *read;		  /* TargetEntry: columns of the rows that "columns" of the change number */
	List *attributes; /* what is assigned, from column "first_value" of the bundle on */
	int first_value;
	List *returned; /* attribute numbers of the target that are given back, and then ... */
	int first_echo; /* ... so many columns of the bundle from here on */
	int echoes;

	/* An INSERT may have ON CONFLICT; the numbers are those in its query. */
	const OnConflictExpr *conflict;
	int conflict_target;
	RangeTblEntry *excluded;
} ChangeForm;

/*
 * Makes the SQL of "change", whose command and columns are set.  A SELECT
 * locks the rows.
 */
extern void change_make(ShardPlan *change, const ChangeForm *form);

/*
 * Has an INSERT take the rows of its list of values, the relation "rte", from
 * a bundle instead, which is parameter "param".
 */
extern void change_take_bundle(RangeTblEntry *rte, int param);

/* Makes a relation of these columns one of the rows of a bundle, which is parameter "param". */
extern void change_read_bundle(RangeTblEntry *rte, int param);

/* False, with "why", when ON CONFLICT cannot be told to a shard. */
extern bool change_conflict_travels(const OnConflictExpr *conflict, char **why);

#endif
