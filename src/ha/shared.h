/*-------------------------------------------------------------------------
 * shared.h
 *	  The shared memory of high availability, for the files of ha/ only.
 *
 * The agent is the only writer of all but the requests.  Readers elsewhere
 * in the library go through ha/state.h.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HA_SHARED_H
#define PGCLUSTER_HA_SHARED_H

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

#include "ha/decide.h"
#include "ha/request.h"
#include "ha/state.h"

#define HA_MAX_GROUPS 64
#define HA_MAX_EVENTS 200
#define HA_REASON_SIZE 256

typedef struct SharedGroup
{
	char holder[HA_NAME_SIZE]; /* of the leader key; empty: nobody */
	GroupLeader leader;		   /* the holder once it is a primary; member[0] == '\0': none */
	uint64 optime;			   /* of the leader, as last published */
} SharedGroup;

typedef struct SharedEvent
{
	TimestampTz at;
	char decision[HA_STATE_SIZE];
	char reason[HA_REASON_SIZE];
} SharedEvent;

typedef struct HaFailover
{
	char leader[HA_NAME_SIZE];
	char member[HA_NAME_SIZE];
	TimestampTz at; /* 0: at once */
} HaFailover;

/* A request on its way from who asks to the agent and back. */
typedef struct SharedRequest
{
	uint64 id;			  /* 0: the place is free */
	TimestampTz asked_at; /* with the id, never the same twice */
	int64 moved_us;
	HaRequest what;
	HaOutcome outcome; /* its state is that of the request */
} SharedRequest;

typedef struct HaShared
{
	/* Read by every commit, without a lock. */
	pg_atomic_uint64 deadline_us; /* until when this server may commit; 0: the fence is closed */
	pg_atomic_uint64 generation;  /* of the leaders */

	/* For the postmaster at its exit, which takes no lock. */
	pg_atomic_uint64 lease;

	/* For who must not wait for a lock that a stopped agent may hold. */
	pg_atomic_uint64 turn_us; /* when the agent began its last turn */

	/* Failsafe, see failsafe.c: what this member promised another leader. */
	pg_atomic_uint64 failsafe_started_us;  /* the agent: when it began to know what it does */
	pg_atomic_uint64 failsafe_answered_us; /* the agent: its last request that was answered */
	pg_atomic_uint64 failsafe_acquiring;   /* the agent: 1 when it may be about to lead */
	pg_atomic_uint64 failsafe_first_us;	   /* when a leader asked first, in a row */
	pg_atomic_uint64 failsafe_asked_us;	   /* and last */
	pg_atomic_uint64 failsafe_promised_us; /* not to lead before then */

	ConditionVariable fence_cv;	  /* the fence was opened */
	ConditionVariable leaders_cv; /* the generation grew */
	ConditionVariable request_cv; /* a request moved on */

	LWLock *lock; /* guards all below */
	Latch *agent_latch;
	pid_t agent_pid;
	bool connected;	   /* the store is being watched */
	int64 answered_us; /* when the store last confirmed the lease; 0: never */
	HaRole role;
	HaLease lease_holder;
	char holder[HA_NAME_SIZE];
	uint64 epoch; /* of the present leader of the own group */
	int ttl;
	int loop_wait;
	bool paused;
	bool standby_cluster;
	int64 maximum_lag;
	HaFailover failover;		  /* what the failover key of the own group asks for */
	char refusal[HA_REASON_SIZE]; /* why this server takes no part; empty: it does */
	int nmembers;
	SharedMember members[HA_MAX_MEMBERS];
	int ngroups;
	SharedGroup groups[HA_MAX_GROUPS];
	uint64 nevents; /* ever recorded */
	SharedEvent events[HA_MAX_EVENTS];
	uint64 last_request;
	SharedRequest requests[HA_MAX_REQUESTS];
} HaShared;

extern HaShared *ha_shared;

/* The value of a key, for others to read as it is. */
typedef struct SharedDocument
{
	int64 revision;
	int length; /* -1: there is none; HA_DOCUMENT_SIZE: too long to keep */
	char text[HA_DOCUMENT_SIZE];
} SharedDocument;

/* Apart from HaShared, which is copied as a whole. */
typedef struct HaDocuments
{
	LWLock *lock;
	SharedDocument documents[N_HA_DOCUMENTS];
} HaDocuments;

/*
 * The text of the request in that place: what it came with, then what it leaves.
 * The caller holds ha_shared->lock.
 */
extern char *ha_request_text(int place);

/* To be called by the agent; "value" is NULL when there is none. */
extern void ha_document_publish(HaDocument which, const char *value, int64 revision);

/* Asks for the shared memory and has the lease given back at exit; from ha_init. */
extern void ha_state_init(void);

/* Asks for the memory of requests; from ha_init. */
extern void ha_request_init(void);

/* The holder of the leader key; false when a stopped agent keeps it from being read. */
extern bool ha_read_holder(char holder[HA_NAME_SIZE]);

/* True when the deadline is ahead. */
extern bool ha_fence_is_open(void);

/* Moves the deadline; 0 closes the fence.  Wakes those who wait behind it. */
extern void ha_fence_set(int64 deadline_us);

/* Adds a line to what cluster_events() shows. */
extern void ha_event_record(const char *decision, const char *reason);

#endif
