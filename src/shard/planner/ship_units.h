/*-------------------------------------------------------------------------
 * ship_units.h
 *	  Between the files ship_*.c: relations that may travel to shards.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_SHIP_UNITS_H
#define PGCLUSTER_SHARD_PLANNER_SHIP_UNITS_H

#include "shard/planner/piece.h"

/* How deep below the query that is made the query is that was there. */
#define BELOW_UNION 2

/* A relation that may stay where it is or travel. */
typedef struct ShipUnit
{
	bool may_stay; /* it is on shards */
	int depth;	   /* of the query that has it in FROM or in an expression */
	bool from_cte; /* it is one of the query's WITH */
	Query *rows;   /* what gives its rows, as far as they are needed; NULL: it cannot travel */
	List *columns; /* of the relation: their numbers, in the order of those of "rows" */
	int number;
	Oid relid; /* a table in it that is split */
	double count;
	double bytes;

	/*
	 * Sorted out by this column of "rows" (from 1), as the table "like" is split,
	 * so that each shard gets what is its own; 0: all of it goes to each.
	 */
	int part;
	const DistributedTable *like;
	Oid hash;	/* function for the column's values */
	bool inner; /* where it has no row the result has none */
} ShipUnit;

/* --- ship_units.c --- */

/* ShipUnit: the relations of the query that are not everywhere anyway. */
extern List *ship_units_find(Query *query);

/*
 * The query with what is in "ships" read from elsewhere; with "pretend" what is
 * sorted out is read from the table that it is split like.
 */
extern Query *ship_units_replace(Query *query, List *units, Bitmapset *ships, bool pretend);

/* Under this name its rows are known in WITH; also marks where it was pretended to be a table. */
extern char *ship_rows_name(int number);

/* SELECT FROM the relation, without columns yet. */
extern Query *ship_select_from(RangeTblEntry *rte);
extern CommonTableExpr *ship_make_cte(char *name, Query *query);
extern RangeTblEntry *ship_cte_relation(CommonTableExpr *cte, int levels);

/* --- ship_relation.c --- */

/* The function that hashes the type as the table's column is; InvalidOid if there is none. */
extern Oid ship_hash_for(const DistributedTable *like, Oid type);

/* --- ship_arrays.c --- */

/* What travels becomes a function over parameters, wherever it is read. */
extern void ship_as_arrays(Query *query, List *units, Bitmapset *ships);

/*
 * Puts the rows in place of the tables that the piece was found with.  False,
 * with "why", when their types cannot travel.
 */
extern bool ship_finish_parts(Query *merge, PieceSet *set, List *units, char **why);

/* The same for relations that are sources of the piece's plan, in this order. */
extern bool ship_finish_sources(Query *merge, PieceSet *set, List *units, char **why);

/* "shipped" when all arrays fit, else "here". */
extern Query *
ship_alternatives(Query *query, Query *shipped, Query *here, List *units, Bitmapset *ships);

#endif
