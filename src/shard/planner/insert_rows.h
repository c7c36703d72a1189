/*-------------------------------------------------------------------------
 * insert_rows.h
 *	  INSERT of several rows of values, taken apart.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_INSERT_ROWS_H
#define PGCLUSTER_SHARD_PLANNER_INSERT_ROWS_H

#include "nodes/parsenodes.h"

/* True when "query" inserts several rows of values. */
extern bool insert_has_rows(Query *query);

/* A copy of such a query, but for the rows themselves, which are many. */
extern Query *insert_copy(Query *query);

/*
 * The rows, each a list of what goes into the columns of the target list;
 * the query (scribbled on) is left with one column of values for each of
 * those, and no row.
 */
extern List *insert_take_rows(Query *query);

/* Puts rows into the query again. */
extern void insert_put_rows(Query *query, List *rows);

#endif
