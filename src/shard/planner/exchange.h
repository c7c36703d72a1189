/*-------------------------------------------------------------------------
 * exchange.h
 *	  Rows that shards compute for other shards.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_EXCHANGE_H
#define PGCLUSTER_SHARD_PLANNER_EXCHANGE_H

#include "shard/metadata/metadata.h"
#include "shard/planner/piece.h"

/*
 * A source of ShardPlan: "select", which the shards of table "source" answer
 * each by itself, with where each row goes: to the shard of table "target" for
 * the value of its column "key" (from 1), as function "hash" hashes it.  NULL,
 * with "why", when that cannot be told.  The query is scribbled on.
 */
extern ShardPlan *exchange_source(Query *select, int key, Oid hash, const DistributedTable *target,
								  Oid source, char **why);

/* Does each row of the query come of one row of FROM and WHERE? */
extern bool exchange_is_plain(const Query *query);

/*
 * Returns what is left of a SELECT when its relations are exchanged by the
 * columns that they are joined on, and joined then; pieces are cut out of it
 * already.  NULL, with "why", when that cannot be, or does not pay.
 */
struct ShipUnit;
extern Query *exchange_relations(Query *query, List *units, PieceSet *set, char **why);

#endif
