/*-------------------------------------------------------------------------
 * ship_relation.h
 *	  Small relations that travel to the shards of the others.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_SHIP_RELATION_H
#define PGCLUSTER_SHARD_PLANNER_SHIP_RELATION_H

#include "shard/planner/piece.h"

/*
 * Returns a query that means the same as "query", a SELECT that names nothing
 * of a query around it and that piece_split would not take, in which small
 * relations are computed first and travel to the shards of the other ones;
 * pieces are cut out of it already.  NULL, with "why", when there are none, or
 * it does not pay.  The query is left as it was.
 */
extern Query *ship_relations(Query *query, PieceSet *set, char **why);

/* Notes in "plan" which of its parameters are such relations, or parts of them. */
extern void ship_relations_note(ShardPlan *plan, List *params);

#endif
