/*-------------------------------------------------------------------------
 * decide.h
 *	  What this member does next, as a pure function of what it sees.
 *
 * Plain C: this header and decide.c need nothing of the server, so that a
 * unit test and a simulator link the very object that the agent runs.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HA_DECIDE_H
#define PGCLUSTER_HA_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#define HA_NAME_SIZE 64

typedef enum HaRole
{
	HA_STARTING, /* replays what it had; neither primary nor standby yet */
	HA_REPLICA,
	HA_PRIMARY,
	HA_ANY_ROLE
} HaRole;

/* Who holds the leader key of this member's group. */
typedef enum HaLease
{
	LEASE_UNKNOWN, /* the store was not seen yet */
	LEASE_FREE,
	LEASE_MINE,
	LEASE_EARLIER, /* an earlier incarnation of this member, about to expire */
	LEASE_OTHER,
	LEASE_ANY
} HaLease;

typedef enum HaAction
{
	HA_WAIT,	   /* nothing to do until something changes */
	HA_RENEW,	   /* lead: keep the lease */
	HA_ACQUIRE,	   /* take the leader key */
	HA_RETAKE,	   /* put the leader key, still there, on the present lease */
	HA_VOTE,	   /* publish how much WAL this member has */
	HA_PROMOTE,	   /* leave recovery */
	HA_DEMOTE,	   /* come back as a standby, in place */
	HA_FOLLOW,	   /* stream from the leader */
	HA_REJOIN,	   /* have the data directory rewound or cloned anew */
	HA_RELEASE,	   /* give the lease back */
	HA_CHECKPOINT, /* switchover: write out what a restart would have to replay */
	HA_CLOSE,	   /* switchover: close the fence and let the candidate catch up */
	HA_STEP_DOWN,  /* switchover: demote in place, the lease still held */
	HA_HAND_OVER,  /* switchover: free the leader key for the candidate */
	HA_CANCEL,	   /* switchover: give it up */
	HA_REFUSE	   /* take no part */
} HaAction;

/* How much WAL a member has, newest timeline first, then position. */
typedef struct HaPosition
{
	uint32_t timeline;
	uint64_t lsn;
} HaPosition;

/* A live member of the group (its key is in the store), this one excepted. */
typedef struct HaPeer
{
	char name[HA_NAME_SIZE];
	bool may_lead; /* by its tags, and it is well */
	int priority;
	bool near;	/* streams from this server, within the permitted lag */
	bool voted; /* for the successor of the last epoch */
	HaPosition position;
	bool synchronous;	  /* the sync key lists it */
	bool led_synchronous; /* the sync key is of its leadership */
} HaPeer;

/* What the sync key says of who may lead. */
typedef struct HaSyncView
{
	bool required; /* the mode is on, and there is the key */
	bool led;	   /* it is of this member's leadership */
	bool listed;   /* it lists this member */
	int quorum;	   /* with the votes of so many others that it lists */
} HaSyncView;

/* A switchover that the failover key asks for, as far as it got. */
typedef struct HaSwitchover
{
	bool asked; /* the key is there, is due, and does not name another leader */
	char candidate[HA_NAME_SIZE];
	bool candidate_is_self;
	bool candidate_live;
	bool candidate_may_lead;
	bool candidate_streams;		/* from this server */
	bool candidate_near;		/* within the permitted lag */
	bool candidate_has_all;		/* all WAL that this server has */
	bool candidate_synchronous; /* the sync key lists it */
	bool by_hand;				/* a failover, which may lose commits */
	bool checkpointed;			/* since it was asked for */
	int64_t since_us;			/* when this process first saw it due */
	int64_t closed_us;			/* when the fence was closed for it, 0: not yet */
} HaSwitchover;

typedef struct HaView
{
	/* this member */
	char name[HA_NAME_SIZE];
	HaRole role;
	HaPosition position;
	bool wal_read;		 /* all that is here */
	bool position_known; /* and the server is consistent */
	bool may_lead;		 /* by its tags */
	int priority;
	bool voted;
	bool name_taken;	/* another server goes by this member's name */
	bool foreign;		/* its data is of another cluster */
	bool promised;		/* to leave the lead to another for a while */
	bool unlisted;		/* the failsafe key does not name it */
	bool diverged;		/* it has WAL that the group's history has not */
	bool lagging;		/* more than maximum_lag_on_failover behind the last leader */
	bool unwell;		/* it cannot write, or cannot take connections */
	bool start_overdue; /* HA_STARTING for longer than primary_start_timeout */
	bool promoting;		/* promotion was asked for */
	bool following;		/* set up to stream from the leader */
	bool streaming;		/* does so: the other server is alive */
	bool wal_gone;		/* the leader has removed WAL that this member needs */

	/* the store */
	HaLease lease;
	bool proven;	 /* the deadline of the own lease is ahead */
	bool led_last;	 /* nobody led since this member did */
	bool key_is_own; /* LEASE_EARLIER: this agent or one before it got that lease */
	bool never_led;	 /* the group never had a leader */
	bool paused;
	bool standby_cluster; /* the group follows another cluster: nobody is a primary */
	bool leader_behind;	  /* the leader has less WAL than this member */
	int64_t vacant_us;	  /* since when there is no leader, 0: there is one */
	int64_t trouble_us;	  /* when the store last failed this member, 0: never */
	HaSwitchover switchover;
	HaSyncView sync;
	int npeers;
	const HaPeer *peers;
} HaView;

typedef struct HaDecision
{
	HaAction action;
	const char *reason; /* static */
} HaDecision;

typedef bool (*HaCondition)(const HaView *view, int64_t now_us);

typedef struct HaRule
{
	HaRole role;
	HaLease lease;
	const char *condition; /* its name, NULL: always */
	HaCondition holds;
	HaAction action;
	const char *reason;
} HaRule;

/* How long votes are waited for, and how long a better member is. */
#define HA_VOTE_WAIT_US 1000000
/* How long after an outage of the store the last leader may come back first. */
#define HA_OUTAGE_WAIT_US 2500000
/* The same when its server still sends WAL. */
#define HA_RETURN_WAIT_US 300000
/*
 * How long the candidate of a switchover has: to catch up while commits wait
 * for it; to come for the rest once this server is a standby; to take the key.
 */
#define HA_CATCH_UP_WAIT_US 2000000
#define HA_REST_WAIT_US 6000000
#define HA_TAKE_WAIT_US 2000000
/* How long a leader that is unwell leaves the lead to others. */
#define HA_UNWELL_WAIT_US 5000000

/* The first rule that fits. */
extern HaDecision ha_decide(const HaView *view, int64_t now_us);

/*
 * When the decision can change by the passing of time alone: microseconds
 * from now, or -1.
 */
extern int64_t ha_decide_again(const HaView *view, int64_t now_us);

/* The rules, for printing. */
extern const HaRule *ha_rules(int *count);
extern const char *ha_role_name(HaRole role);
extern const char *ha_lease_name(HaLease lease);
extern const char *ha_action_name(HaAction action);

/* One line of the group's history: "timeline" ended at "end". */
typedef struct HaFork
{
	uint32_t timeline;
	uint64_t end;
} HaFork;

/*
 * True when a member at "position" has WAL that is not part of the history
 * of a leader on "timeline" whose former timelines are "forks".  A position
 * on the same or a later timeline is never found to be so: no timeline is
 * used twice, see act.c.
 */
extern bool ha_is_diverged(HaPosition position, uint32_t timeline, const HaFork *forks, int nforks);

#endif
