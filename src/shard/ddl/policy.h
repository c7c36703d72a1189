/*-------------------------------------------------------------------------
 * policy.h
 *	  Row-level security policies of distributed tables.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_POLICY_H
#define PGCLUSTER_SHARD_DDL_POLICY_H

#include "nodes/pg_list.h"
#include "utils/relcache.h"

typedef struct PolicyName
{
	Oid id;
	char *name;
} PolicyName;

/* The policies of the table, PolicyName. */
extern List *policy_list(Relation rel);

/* Raises an error for a policy that the shards could not apply. */
extern void policy_check(Relation rel);

/* The command that makes the policy on a shard. */
extern char *policy_command(Relation rel, Oid policy, int64 shard_id);

#endif
