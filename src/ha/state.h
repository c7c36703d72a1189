/*-------------------------------------------------------------------------
 * state.h
 *	  What the rest of the server may know of the cluster.
 *
 * The agent writes it into shared memory; backends, the HTTP server and the
 * distribution layer read it without asking anyone.  This is the only
 * header of ha/ that they include.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HA_STATE_H
#define PGCLUSTER_HA_STATE_H

#include "datatype/timestamp.h"

/* Where the leader of a group is reached. */
typedef struct GroupLeader
{
	int group_id;
	char member[64];
	char host[256];
	int port;
	uint64 epoch; /* create revision of the leader key: another leadership, another epoch */
} GroupLeader;

/* True when this server takes part in high availability (etcd_endpoints is set). */
extern bool ha_enabled(void);

/*
 * Grows whenever the leader of any group changed, so that a reader who kept
 * a copy looks again only then.  One atomic read.
 */
extern uint64 ha_leaders_generation(void);

/*
 * The present leader of a group, from the last view of the store.  False
 * when the group is unknown or has no leader just now, or one that is not a
 * primary yet.
 */
extern bool ha_group_leader(int group_id, GroupLeader *leader);

/*
 * All groups with members in the store, ascending; at most "max".  Returns
 * how many.
 */
extern int ha_groups(int *group_ids, int max);

/*
 * Waits (interruptibly) until the leaders' generation is no longer
 * "generation" or timeout_ms passed; false on time-out.
 */
extern bool ha_wait_leaders_change(uint64 generation, int timeout_ms);

#endif
