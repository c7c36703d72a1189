/*-------------------------------------------------------------------------
 * select_rows.h
 *	  What an INSERT ... SELECT inserts.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_SELECT_ROWS_H
#define PGCLUSTER_SHARD_PLANNER_SELECT_ROWS_H

#include "nodes/parsenodes.h"

#include "shard/planner/pin.h"

/* The SELECT of what is to be inserted, into columns with these attribute numbers. */
extern Query *select_rows_query(Query *insert, List **attributes);

/*
 * The same when it is one that the shards of a table can answer each by
 * itself: "pin" says of which, and which columns of it confine a row to a
 * shard.  Else NULL.
 */
extern Query *select_rows_by_shard(Query *insert, List **attributes, Pin *pin);

/*
 * The deparser writes what the SELECT of an INSERT gives and no more: where
 * other columns get a default, all become columns of a SELECT around it.
 */
extern void select_rows_complete(Query *insert);

#endif
