/*-------------------------------------------------------------------------
 * replica.h
 *	  Reads that go to a standby of a group, see replica.c.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_REMOTE_REPLICA_H
#define PGCLUSTER_SHARD_REMOTE_REPLICA_H

#include "shard/remote/remote.h"

typedef struct RemoteConnection RemoteConnection;

/* May the query, which starts now, be answered by a standby? */
extern bool replica_wanted(const RemoteQuery *query);

/* Chooses one for "c" and says where it is; false: it must be the leader. */
extern bool replica_locate(RemoteConnection *c);

/* While "c" waits: can its standby be relied on no more? */
extern bool replica_left(RemoteConnection *c);

/* Before a use of "c": is another server the one to ask? */
extern bool replica_is_elsewhere(RemoteConnection *c);

/* The standby failed.  False when "c" was not with one. */
extern bool replica_failed(RemoteConnection *c);

/* Might the leader do without the error that a standby gave? */
extern bool replica_error(const RemoteConnection *c, int code);

/* The command that fails where the standby is too far behind, palloc'd; NULL: not needed now. */
extern char *replica_check(RemoteConnection *c);

#endif
