/*-------------------------------------------------------------------------
 * piece.h
 *	  A piece of a query that shards answer each by itself, and the relation
 *	  that its rows are for the rest.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_PIECE_H
#define PGCLUSTER_SHARD_PLANNER_PIECE_H

#include "shard/metadata/metadata.h"
#include "shard/planner/planner.h"

/* Pieces found while one query is planned; zeroed by the caller. */
typedef struct PieceSet
{
	List *pieces;	/* Piece */
	List *replaced; /* Query: what they stand for, with its relations */
	List *refusals; /* for EXPLAIN: why the query has no better tier */
} PieceSet;

/*
 * Returns what is left of "query", a SELECT that names nothing of a query
 * around it, when shards answer as much of it as they can: a query over the
 * relation that their rows are, planned by piece_plan.  NULL, with "why",
 * when shards cannot answer it each by itself.  The query is left as it was.
 */
extern Query *piece_split(Query *query, PieceSet *set, char **why);

/*
 * Replaces the largest pieces of "query" that shards can answer (subqueries,
 * joins, members of set operations) by relations; what is left is changed in
 * place.
 */
extern void piece_cut(Query *query, PieceSet *set);

/* The same for the subqueries in what piece_split left. */
extern void piece_cut_rest(Query *query, PieceSet *set);

/* Has the server plan a query with such relations. */
extern PlannedStmt *piece_plan(const PlanRequest *request, Query *query, PieceSet *set);

/* True when the query, or one in it, names something of a query around it. */
extern bool piece_is_open(Query *query);

/* Installs the hook of piece.c. */
extern void piece_init(void);

/* --- between split.c and piece.c --- */

/* What shards run for a piece, on its way to a ShardPlan. */
typedef struct Piece
{
	Query *remote;				   /* lifted */
	List *targets;				   /* its columns: TargetEntry */
	const DistributedTable *table; /* whose shards are meant */
	List *key_columns;			   /* Var of "remote" that say which shard a row is of */
	ShardPlan *plan;			   /* with the key that was found in its conditions */
	double rows;				   /* of all shards */
} Piece;

/* The arguments of the function that such a relation is begin with others. */
#define PIECE_FIRST_PARAM 2

/* The relation that the rows of a piece are; "params" are $1, $2, ... of its SQL. */
extern RangeTblEntry *piece_relation(Piece *piece, List *params, PieceSet *set);

/*
 * While a query is cut, parameters from these numbers on stand for subqueries
 * that are run ahead, and for arrays of shipped relations (ship_relation.c).
 */
#define FIRST_AHEAD 1000000
#define FIRST_SHIPPED 100000000

/* Is it a subquery of the first kind? */
extern bool piece_is_ahead(SubLink *link);

/* Is the expression one of these columns? */
extern bool piece_is_key(Node *expr, List *keys);

/* How many rows shards would give for "remote", going by the statistics of its tables. */
extern double piece_estimate(Query *remote, bool each_shard, const DistributedTable *table);

#endif
