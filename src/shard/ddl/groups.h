/*-------------------------------------------------------------------------
 * groups.h
 *	  The worker groups: joining, leaving, and what every group must have.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_GROUPS_H
#define PGCLUSTER_SHARD_DDL_GROUPS_H

#include "nodes/pg_list.h"

/* Adds the group reached at host and port; group_id 0: the next free number.  Returns its number. */
extern int groups_add(const char *host, int port, int group_id);

/* Removes a group that owns no shard. */
extern void groups_remove(int group_id);

/*
 * With high availability on: adds the worker groups that have members in the
 * store by now.  The caller holds the lock on the groups.
 */
extern void groups_sync(void);

/*
 * The groups that are not this server itself.  Nodes are asked, once in a session;
 * one that cannot be reached is an error.
 */
extern List *groups_elsewhere(void);

/* The same for one group; the others are not asked. */
extern bool groups_is_elsewhere(int group_id);

/*
 * The only row that the query gives on each group, "nfields" texts or NULL;
 * all are asked at the same time, in the remote transaction.  A group that
 * cannot be reached is an error at once.
 */
extern char ***groups_ask(List *group_ids, const char *sql, int nfields);

#endif
