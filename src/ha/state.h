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

#define HA_MAX_MEMBERS 256
#define HA_TAGS_SIZE 1024
#define HA_PENDING_SIZE 512
#define HA_STATE_SIZE 32
#define HA_URL_SIZE 320
#define HA_DOCUMENT_SIZE (128 * 1024)

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

/* The group this server belongs to (0 when there are no groups). */
extern int ha_own_group(void);

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

/* A standby of a group that sessions may read from. */
#define HA_MAX_REPLICAS 16

typedef struct GroupReplica
{
	char host[256];
	int port;
	uint64 lsn; /* how far it had come, as last published */
} GroupReplica;

/*
 * Those that stream and may be read from (not tagged noloadbalance), at most
 * "max"; "optime" is how far the group's leader had come.  Returns how many.
 */
extern int ha_group_replicas(int group_id, GroupReplica *replicas, int max, uint64 *optime);

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

/*
 * What the key "sync" of the group says of a member: every acknowledged
 * commit is on it, or on enough of those that are listed.
 */
typedef enum HaSync
{
	HA_SYNC_NONE,
	HA_SYNC_STANDBY,
	HA_SYNC_QUORUM
} HaSync;

/* What a member that follows is called, in cluster_status() and by the HTTP server. */
extern const char *ha_follower_role(HaSync sync);

/* A member as its key in the store describes it. */
typedef struct SharedMember
{
	int group_id;
	char name[64];
	char host[256];
	int port;
	char api_url[HA_URL_SIZE]; /* empty: it has no HTTP server */
	char role[HA_STATE_SIZE];
	char state[HA_STATE_SIZE];
	HaSync sync;
	uint32 timeline;
	uint64 lsn;
	bool lsn_known;
	bool pending_restart;
	char pending[HA_PENDING_SIZE]; /* which settings wait for it, JSON; empty: not said */
	bool paused;				   /* it knows that the group is */
	TimestampTz restart_at;		   /* of its server, planned; 0: none is */
	char tags[HA_TAGS_SIZE];	   /* JSON object; empty: too long to show */
} SharedMember;

/*
 * The own group.  The clock is that of base/clock.h.  Of the moments
 * that come first, no view of the store is older news.
 */
typedef struct HaPicture
{
	int64 deadline_us; /* until when this server may commit; 0: it may not */
	int64 turn_us;	   /* when the agent began its last turn */
	int64 promised_us; /* until when this server leaves the lead to one without the store */

	/* as the agent last saw it */
	bool connected;	   /* the store is being watched */
	int64 answered_us; /* when the store last confirmed the lease; 0: never */
	char holder[64];   /* of the leader key; empty: nobody */
	uint64 epoch;
	uint64 optime; /* how far the leader said to have come */
	int ttl;	   /* seconds; 0: nothing was seen yet */
	bool paused;
	bool standby_cluster;	   /* the group follows another cluster */
	int64 maximum_lag;		   /* bytes, maximum_lag_on_failover */
	char switchover_from[64];  /* empty: whoever leads */
	char switchover_to[64];	   /* empty: anybody */
	TimestampTz switchover_at; /* 0: none is planned */
	int nmembers;
	SharedMember members[HA_MAX_MEMBERS]; /* by name */
} HaPicture;

/*
 * Brings the picture up to date.  An agent that was stopped in the wrong
 * moment can delay it for a tenth of a second, but no longer: then only the
 * moments of the agent are new and the result is false.
 */
extern bool ha_read_picture(HaPicture *picture);

/*
 * Where all known members are, of other groups too: an array of names or
 * addresses, palloc'd.  Empty when the agent was stopped in the wrong moment.
 */
extern char **ha_member_hosts(int *n);

/*
 * A leader of the own group that cannot reach the store asks whether it may
 * go on for "ttl" seconds.  True: this member will not take the lead
 * meanwhile; else why it does not promise that.  For POST /failsafe.
 */
#define HA_FAILSAFE_TTL_MAX 86400
extern bool ha_failsafe_confirm(const char *leader, int ttl, char *reason, size_t size);

/* Keys of the own group that are passed on as they are: JSON, or so it should be. */
typedef enum HaDocument
{
	HA_DOCUMENT_CONFIG,
	HA_DOCUMENT_HISTORY,
	N_HA_DOCUMENTS
} HaDocument;

/*
 * The value, palloc'd; NULL when there is none.  Raises an error when it is
 * longer than HA_DOCUMENT_SIZE.
 */
extern char *ha_read_document(HaDocument which);

#endif
