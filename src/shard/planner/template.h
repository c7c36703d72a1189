/*-------------------------------------------------------------------------
 * template.h
 *	  SQL for shards: deparsed once, filled in for each shard.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_TEMPLATE_H
#define PGCLUSTER_SHARD_PLANNER_TEMPLATE_H

#include "nodes/parsenodes.h"

#include "shard/plan.h"

/*
 * Deparses "query", all of whose relations are distributed, and cuts the text
 * where the schema of a hash distributed table stands: n + 1 pieces (String)
 * and n schemas (String).  Reference tables get the schema of their shard at
 * once.  The query is scribbled on.  All this, and whether functions of these
 * tables look for names, goes into the plan.
 */
extern void template_make(Query *query, ShardPlan *plan);

/*
 * The same for an expression over the columns of a relation, which it names
 * without its schema.
 */
extern void template_make_expression(Node *expression, Oid relid, List **pieces, List **schemas);

/* The SQL for one shard, palloc'd. */
extern char *template_fill(List *pieces, List *schemas, int64 shard_id);

/* The same with the schemas of the tables themselves, for people. */
#define TEMPLATE_NO_SHARD (-1)

#endif
