/*-------------------------------------------------------------------------
 * store.h
 *	  What pgcluster_node asks of etcd.
 *
 * Blocking, with a short time-out on each endpoint.  A question that no
 * endpoint answered is a failure with its reason in store_reason(); callers
 * decide whether to ask again.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BIN_STORE_H
#define PGCLUSTER_BIN_STORE_H

/* What the group's keys say. */
typedef struct GroupView
{
	bool initialize_exists;
	char *initialize;  /* system identifier, "" while someone is at it */
	char *leader;	   /* name of the member, NULL: nobody leads */
	char *leader_host; /* where it is reached; NULL: not known */
	char *leader_port;
	bool leader_is_standby; /* of a standby cluster */

	/* a member with the tag clonefrom, other than this one; NULL: there is none */
	char *clone_host;
	char *clone_port;

	/* the cluster that this one follows; NULL: none */
	char *remote_host;
	char *remote_port;
} GroupView;

/* Reads the keys of the group; what *view holds lives as long as the program. */
extern bool store_group_view(GroupView *view);

/*
 * Takes the right to initialise the group: creates its "initialize" key,
 * empty, bound to a lease that goes when this program does.  False when
 * another member has it, or etcd gave no answer.
 */
extern bool store_claim_initialize(void);

/* True while the claim is provably ours. */
extern bool store_claim_held(void);

/* Keeps the claim alive; to be called about once a second. */
extern void store_claim_keep(void);

/* Gives up what is left of the claim: a key written by the leader stays. */
extern void store_claim_release(void);

/* False when the lease is gone for sure. */
extern bool store_lease_renew(int64 lease);
extern void store_lease_revoke(int64 lease);

/* False when the leader key is for sure not, or no longer, on that lease. */
extern bool store_leads_with(int64 lease);

/* Why the last question got no answer. */
extern const char *store_reason(void);

#endif
