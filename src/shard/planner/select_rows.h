/*-------------------------------------------------------------------------
 * select_rows.h
 *	  What an INSERT ... SELECT inserts.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_SELECT_ROWS_H
#define PGCLUSTER_SHARD_PLANNER_SELECT_ROWS_H

#include "nodes/parsenodes.h"

/* The SELECT of what is to be inserted, into columns with these attribute numbers. */
extern Query *select_rows_query(Query *insert, List **attributes);

/*
 * The deparser writes what the SELECT of an INSERT gives and no more: where
 * other columns get a default, all become columns of a SELECT around it.
 */
extern void select_rows_complete(Query *insert);

#endif
