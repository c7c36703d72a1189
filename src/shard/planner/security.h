/*-------------------------------------------------------------------------
 * security.h
 *	  Row-level security of distributed tables.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_PLANNER_SECURITY_H
#define PGCLUSTER_SHARD_PLANNER_SECURITY_H

#include "nodes/parsenodes.h"

/*
 * Takes out of the query, which is scribbled on, what the policies of hash
 * distributed tables have put into it: their shards apply them.
 */
extern void security_leave_to_shards(Query *query);

/*
 * True for a table that the query reads for another role than the user, the
 * owner of a view, and whose policies are not the same for both.
 */
extern bool security_is_of_another(Query *query, RangeTblEntry *rte);

/*
 * The role that shards of the table show all rows to: its owner, or, where
 * policies are forced upon that, the superuser, who is to evaluate nothing
 * ("trusted" is false then).
 */
extern Oid security_reader(Oid relid, bool *trusted);

#endif
