/*-------------------------------------------------------------------------
 * agent.h
 *	  What the agent knows, shared by the files that make it up: agent.c (the
 *	  loop), observe.c (what is), lease.c (its keys and its lease), act.c
 *	  (what it does).
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HA_AGENT_H
#define PGCLUSTER_HA_AGENT_H

#include "access/xlogdefs.h"
#include "dcs/dcs.h"
#include "ha/decide.h"
#include "ha/keys.h"
#include "ha/server.h"
#include "ha/shared.h"
#include "ha/sync_names.h"

/* A key of the store as the watch last told of it. */
typedef struct AgentKey
{
	char *value; /* NULL: there is none */
	int64 create_revision;
	int64 mod_revision; /* 0 when there is none, as etcd compares it */
	int64 lease;
	int64 seen_revision; /* of the newest news, a deletion included */
} AgentKey;

typedef struct AgentMember
{
	HaMember said;
	AgentKey key; /* its value is not kept */
} AgentMember;

typedef struct AgentOrder
{
	int group_id;
	char member[HA_NAME_SIZE];
	HaOrderKind kind;
	HaOrder said;
	AgentKey key; /* its value is not kept */
} AgentOrder;

typedef struct AgentGroup
{
	int id;
	AgentKey keys[N_HA_KEYS];
} AgentGroup;

/* What this server is like, looked up anew each turn. */
typedef struct AgentSelf
{
	HaRole role;
	HaPosition position;
	bool wal_read; /* all that is here */
	bool position_known;
	HaPosition applied; /* what of the position was replayed */
	bool streaming;
	bool promoting;
	int receiver; /* the process that receives, and since when it does */
	int64 receiver_us;
	int64 unstreamed_us; /* since when none lasts; 0: it does, or need not */
	bool may_lead;
	int priority;
	char upstream[HA_NAME_SIZE]; /* the tag replicatefrom */
	bool unwell;				 /* it cannot do what a leader does */
	int64 starting_since;
} AgentSelf;

/* From whom this server is to stream. */
typedef struct AgentUpstream
{
	char member[HA_NAME_SIZE]; /* empty: nobody, or one of another cluster */
	char host[256];
	int port;
	char slot[SLOT_NAME_SIZE]; /* empty: without one */
	int64 since_us;
} AgentUpstream;

/* How far a switchover got; see HaSwitchover. */
typedef struct AgentSwitchover
{
	int64 failover_revision; /* the failover key it is about; 0: none */
	int64 since_us;
	int64 closed_us;
	int64 checkpoint_us; /* when the checkpoint was asked for; 0: not yet */
	XLogRecPtr checkpoint_lsn;
	bool checkpointed;
} AgentSwitchover;

/* How far the synchronous standbys of this leadership are known, see sync.c. */
typedef struct AgentSync
{
	HaSyncKey key;	   /* what the store has */
	int64 epoch;	   /* the leadership that the rest is about; 0: none */
	int64 since_us;	   /* when this process first saw it */
	bool settled;	   /* the key is this leader's, and what commits wait for fits it */
	bool names_sure;   /* the file says what is in force */
	bool key_unsure;   /* a write of the key may still arrive */
	bool names_wanted; /* wanted holds what was written last */
	SyncNames wanted;
	int64 changing_us;	  /* since when names are not in force everywhere; 0: they are */
	XLogRecPtr caught_up; /* flushed up to there when they came into force; 0: not known */
	XLogRecPtr recovered; /* what may be shown when it is safe; 0: not known */
	int nseen;
	struct
	{
		char name[HA_NAME_SIZE];
		int64 at_us;
	} seen[HA_SYNC_MAX]; /* when standbys streamed last */
	HaSyncKey sent;		 /* the key that was written last */
	HaSyncStep step;	 /* that is to be taken */
	int64 step_us;		 /* since when */
} AgentSync;

/* A request of this server as far as it was carried out. */
typedef struct AgentRequest
{
	uint64 id; /* 0: none */
	TimestampTz asked_at;
	HaRequest what;
	bool sent;					  /* the store has what it asks for */
	char leader[HA_NAME_SIZE];	  /* who led when it was asked for */
	char value[512];			  /* that was sent to the store */
	int64 revision;				  /* at which it was written */
	char notice[HA_OUTCOME_SIZE]; /* to be passed on when it is done */
	int64 since_us;
} AgentRequest;

/* Leading on without the store; see failsafe.c. */
typedef struct AgentFailsafe
{
	/* as the leader */
	char sent[8192];	 /* the key that was written last; empty: deleted */
	bool in_doubt;		 /* whether it was */
	int64 written_epoch; /* in which this agent certainly wrote the key */
	int round;			 /* of questions */
	int64 round_us;		 /* when it began */
	int asking;			 /* answers that are missing; 0: no round is under way */
	int64 next_us;		 /* when the next round is due */
	int64 confirmed_us;	 /* when the last round began that all confirmed; 0: none did */
	bool active;
	bool refused;

	/* as any member */
	bool acquiring; /* a request for the lead may be under way */
	int64 acquiring_epoch;
} AgentFailsafe;

/* Requests to the store in flight: one of a kind. */
typedef enum AgentOp
{
	OP_KEEPALIVE,
	OP_GRANT,
	OP_REVOKE,
	OP_MEMBER,
	OP_ACQUIRE,
	OP_TIMELINE,
	OP_STATUS,
	OP_FAILOVER,
	OP_HAND_OVER,
	OP_REQUEST,
	OP_ORDER,
	OP_SYNC,
	OP_FAILSAFE,
	N_AGENT_OPS
} AgentOp;

typedef struct AgentFlight
{
	AgentOp op;
	bool busy;
	int64 sent_us;
	int64 not_before; /* after a failure */
	int64 lease;	  /* that it is about */
	int64 epoch;	  /* likewise */
	uint64 request;	  /* for which it is; an order: of which kind */
} AgentFlight;

/* Steps of a turn that may fail on their own, see agent.c. */
#define AGENT_STEPS 8

typedef struct Agent
{
	MemoryContext context; /* lives as long as the process */
	MemoryContext store;   /* what the watch told; emptied when it starts anew */
	MemoryContext cycle;   /* one turn */
	Dcs *dcs;
	int store_timeout_ms; /* as it was told last */
	AgentFlight flights[N_AGENT_OPS];

	/* what the store holds */
	bool seen;
	bool connected;
	bool changed; /* since it was last published */
	int64 revision;
	AgentGroup groups[HA_MAX_GROUPS];
	int ngroups;
	AgentMember *members;
	int nmembers;
	AgentOrder *orders;
	int norders;
	int64 vacant_us; /* since when the own group has no leader; 0: it has one */
	HaConfig config;
	SlotSettings slots;
	StandbySettings standby;
	HaStatus status;
	HaFork *forks;
	int nforks;

	/* the lease */
	int64 lease;		/* 0: none */
	int64 lease_former; /* the one before it; keys that are still on it are ours */
	int lease_ttl;
	int lease_asked_ttl;
	int64 lease_sent_us;		  /* of the last request that etcd confirmed */
	bool fence_shut;			  /* whatever the lease says */
	int64 trouble_us;			  /* when etcd last failed this member; 0: never */
	char trouble[HA_REASON_SIZE]; /* why etcd could not be asked; empty: it could */

	/* this server */
	AgentSelf self;
	int64 awake_us;		  /* since when the agent was not held up */
	char published[4096]; /* the member key without its position */
	char sent[4096];	  /* the member key that was sent last */
	int64 published_us;
	uint64 published_lsn;
	int64 status_us;
	uint64 status_lsn;
	int64 status_epoch; /* in which the status was written last */
	uint32 status_timeline;
	uint32 acquired_timeline; /* of the acquisition in flight; 0: none asked for */
	int64 voting;			  /* the epoch's revision to vote at; -1: none */
	int64 promoted_us;		  /* when promotion was asked for */
	int64 demotion_us;		  /* since when a demotion waits for a checkpoint; 0: none does */
	AgentUpstream upstream;
	int64 detour_until;	  /* the leader is streamed from, whatever the tag says */
	int64 slotless_until; /* no slot is asked for */
	char followed[2560];  /* the source written last */
	int64 followed_us;
	int64 acted_us; /* when a drastic step was last tried */
	bool stopping;
	int64 steps_rest_until[AGENT_STEPS];
	char pending_restart
		[HA_PENDING_SIZE];	   /* settings that wait for a restart, JSON; empty: none does */
	int64 parameters_revision; /* of the config key whose parameters were written */
	AgentSwitchover switchover;
	AgentSync sync;
	AgentRequest requests[HA_MAX_REQUESTS];
	bool lease_kept;				   /* pgcluster_node looks after it while the server restarts */
	TimestampTz restart_at;			   /* of a restart that is planned; 0: none is */
	int64 order_begun_us[N_HA_ORDERS]; /* when an order was first seen due; 0: none is */
	int64 order_acted_us[N_HA_ORDERS]; /* when it was last carried out */
	XLogRecPtr order_checkpoint;	   /* that a restart waits for */
	char sent_order[1024];
	AgentFailsafe failsafe;
	HaDecision decision;
} Agent;

extern Agent agent;

/* Registers the worker; called from ha_init. */
extern void agent_register(void);

/* agent.c */
extern bool agent_may_send(AgentOp op);
/* Marks the request as sent; its callback must call agent_landed first. */
extern AgentFlight *agent_take_off(AgentOp op);
extern void agent_landed(AgentFlight *flight, const DcsResult *result);

/* observe.c */
extern void observe_store(void *arg, const DcsEvents *events);
extern void observe_apply(const DcsKeyValue *kv, int64 revision);
extern void observe_failure(const char *const *keys, int nkeys, const DcsResult *result);
extern void observe_self(void);
extern void observe_view(HaView *view);
extern void observe_publish(void);
extern AgentGroup *observe_group(int id);
extern AgentMember *observe_member(int group_id, const char *name);
extern AgentKey *observe_key(HaKey key); /* of the own group, never NULL */
extern HaLease observe_lease(void);

/* lease.c */
extern void lease_maintain(void);
extern void lease_move_fence(void);
extern void lease_drop(void);
extern void lease_publish_member(void);
extern void lease_publish_leadership(void);
extern int64 lease_next_moment(void);

extern bool lease_is_proven(void);

/* sync.c */
extern void sync_attend(const HaView *view);
/* May this server acknowledge commits, as far as the sync key goes? */
extern bool sync_is_settled(void);
/* Is something about to change, so that a long nap would cost time? */
extern bool sync_is_changing(void);
/* True when the sync key says who may lead. */
extern bool sync_is_required(void);

/* act.c */
extern void act_on(const HaView *view, HaDecision decision);

/* upstream.c */
extern void upstream_choose(void);
/* False when there is no address to stream from. */
extern bool upstream_source(ServerSource *source);

/* request.c */
extern void request_attend(const HaView *view);
/* A switchover was planned for a time that has gone by without it. */
extern bool request_is_missed(const HaFailover *failover);
/* What an agent before this one had begun. */
extern void request_inherit(void);
/* The request that the flight is for, NULL when nobody waits for it any more. */
extern AgentRequest *request_of(const AgentFlight *flight);
extern void request_succeed(AgentRequest *request, const char *message);
extern void
request_refuse(AgentRequest *request, int sqlstate, const char *message, const char *hint);
/* The switchover of the own group that was asked for here, or NULL. */
extern AgentRequest *request_own_switchover(void);
/* Gives who asked a moment to pass the outcome on. */
extern void request_await_reader(uint64 id);

/* order.c */
extern void order_apply(int group_id, const char *member, HaOrderKind kind, const DcsKeyValue *kv,
						int64 revision);
extern void order_forget_all(void);
extern void order_attend(const HaView *view);
extern void order_begin(AgentRequest *request);
extern void order_follow(AgentRequest *request);
extern void order_cancel(AgentRequest *request);
/* Nobody waits for it any more. */
extern void order_withdraw(AgentRequest *request);

/* parameters.c */
extern void parameters_attend(const HaView *view);

/* change.c */
extern void change_begin(AgentRequest *request);
extern void change_follow(AgentRequest *request);

#endif
