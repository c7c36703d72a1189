/*-------------------------------------------------------------------------
 * helper.c
 *	  More than one connection of a session to a node.
 *
 * A query that reads many shards of a node may use connections beside the
 * first one, so that several of the node's processors work for it.  When
 * that pays is for executor/stream.c to say; here is decided whether it may.
 *
 * Connections that help carry single reads in READ COMMITTED, which need no
 * transaction on the node.  All that belongs to a transaction block or a
 * snapshot, and all that writes, stays on the first connection.
 *
 * What must stay true: nobody waits for a connection that helps.  It is made
 * beside other work, and if it cannot be had things go on without it.
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/clock.h"
#include "base/config.h"
#include "shard/remote/connection.h"
#include "shard/remote/replica.h"

int
remote_helper(const RemoteQuery *query)
{
	bool replica = replica_wanted(query);
	RemoteConnection *first = connection_find(query->group_id, replica, 0);

	if (first->state != CONNECTION_OPEN || query->writes || query->snapshot != 0 ||
		transaction_needed(first, false))
		return 0;
	for (int number = 1; number < config_max_session_connections; number++)
	{
		RemoteConnection *c = connection_find(query->group_id, replica, number);

		if (!dlist_is_empty(&c->tasks))
			continue;
		if (c->state == CONNECTION_OPEN)
			return number;
		if (c->state == CONNECTION_CLOSED && clock_now_us() >= c->retry_at)
			connection_begin_helper(c);
		return 0;
	}
	return 0;
}
