/*-------------------------------------------------------------------------
 * keys.h
 *	  The keys of the store: their names and the JSON in them.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HA_KEYS_H
#define PGCLUSTER_HA_KEYS_H

#include "datatype/timestamp.h"
#include "utils/palloc.h"

#include "ha/document.h"
#include "ha/sections.h"
#include "ha/shared.h"
#include "ha/slot_plan.h"
#include "ha/sync_plan.h"

/* The keys of a group, apart from those of its members. */
typedef enum HaKey
{
	KEY_LEADER,		/* name of the leader, on its lease */
	KEY_INITIALIZE, /* system identifier */
	KEY_CONFIG,		/* settings of the group */
	KEY_STATUS,		/* where the leader's WAL ends */
	KEY_HISTORY,	/* the timelines before the present one */
	KEY_FAILOVER,	/* a switchover that is asked for */
	KEY_SYNC,		/* the standbys that have every acknowledged commit */
	KEY_FAILSAFE,	/* the members that must confirm a leader without the store */
	KEY_EPOCH,		/* written with each acquisition of the leader key, outlives it */
	KEY_TIMELINE,	/* the highest timeline that a leader may have used */
	N_HA_KEYS
} HaKey;

typedef struct HaStatus
{
	uint64 optime;
	uint32 timeline;
	uint64 oldest_wal; /* before it the leader has none; 0: not known */
	int nslots;
	SlotPosition slots[SLOT_MAX]; /* of the leader */
} HaStatus;

/* The end of a timeline, for people. */
typedef struct HaHistoryLine
{
	uint32 timeline;
	uint64 end;
	char reason[128];
	TimestampTz at;			   /* 0: not said */
	char leader[HA_NAME_SIZE]; /* of the next timeline; empty: not said */
} HaHistoryLine;

typedef struct HaFailsafeMember
{
	char name[HA_NAME_SIZE];
	char url[HA_URL_SIZE]; /* its api_url; empty: it has no HTTP server */
} HaFailsafeMember;

typedef struct HaFailsafe
{
	int n;
	HaFailsafeMember *members; /* palloc'd */
} HaFailsafe;

/* What a member's key says. */
typedef struct HaMember
{
	SharedMember shown;
	char instance[64];
	bool may_lead;
	int priority;
	char upstream[HA_NAME_SIZE]; /* the tag replicatefrom */
	bool unwell;				 /* it says so itself */
	int sync_priority;			 /* 0: never a synchronous standby */
	bool voted;
	int64 vote; /* the revision of the epoch key at which it voted */
} HaMember;

/*
 * What a member of a group is told to do, through the store: the keys
 * orders/<member>/<kind>.
 */
typedef enum HaOrderKind
{
	ORDER_RELOAD,
	ORDER_RESTART,
	ORDER_PLANNED_RESTART, /* beside the other: one may be planned and another be made now */
	ORDER_REINITIALIZE,
	N_HA_ORDERS
} HaOrderKind;

typedef enum HaOrderState
{
	ORDER_ASKED,
	ORDER_TAKEN, /* the member has begun, under its server's start "start" */
	ORDER_DONE,
	ORDER_FAILED
} HaOrderState;

typedef struct HaOrder
{
	char id[160];		 /* of who asks; never used twice */
	TimestampTz at;		 /* 0: at once */
	TimestampTz expires; /* not begun later than this; 0: whenever */
	bool only_pending;	 /* restart only if a setting waits for it */
	char only_role[HA_STATE_SIZE];
	char below_version[HA_STATE_SIZE]; /* restart only an older server */
	int timeout;					   /* seconds for the restart; 0: primary_start_timeout */
	HaOrderState state;
	char start[32];
	int sqlstate;
	char message[HA_REASON_SIZE];
	char hint[HA_REASON_SIZE];
} HaOrder;

/* Who may lead beside whoever wrote it, see sync_plan.h. */
typedef struct HaSyncKey
{
	bool present;
	char leader[HA_NAME_SIZE];
	int quorum; /* votes of other voters that a candidate needs */
	int nvoters;
	char voters[HA_SYNC_MAX][HA_NAME_SIZE];
} HaSyncKey;

/* "/service/main/" */
extern const char *key_scope_prefix(void);
/* "/service/main/0/", or the above without groups */
extern const char *key_group_prefix(int group_id);
extern char *key_name(HaKey key); /* of the own group */
extern char *key_name_in(int group_id, HaKey key);
extern char *key_member_name(const char *member);

/*
 * Takes a key's full name apart.  False: not one of ours.  "member" is set
 * for a member's key, else "key".
 */
extern bool key_parse_name(const char *name, int *group_id, HaKey *key, const char **member);

extern char *key_order_name(int group_id, const char *member, HaOrderKind kind);
/* False: not the name of an order. */
extern bool
key_parse_order(const char *name, int *group_id, char member[HA_NAME_SIZE], HaOrderKind *kind);

/*
 * Reading.  Values that are missing, of a wrong type or out of bounds leave
 * the defaults; none of these throws for what it reads.  False: not JSON of
 * the right kind at all.
 */
extern bool key_read_member(const char *value, HaMember *member);
extern void key_read_config(const char *value, HaConfig *config);
/* The settings stay as they were when the value is no JSON object. */
extern void key_read_sections(const char *value, SlotSettings *slots, StandbySettings *standby);
extern void key_read_status(const char *value, HaStatus *status);
extern bool key_read_order(const char *value, HaOrder *order);
extern bool key_read_failover(const char *value, HaFailover *failover);
/* Is that member synchronous, when "leader" leads? */
extern HaSync key_read_sync(const char *value, const char *leader, const char *member, bool quorum);
extern void key_read_sync_set(const char *value, HaSyncKey *sync);
extern bool key_sync_lists(const HaSyncKey *sync, const char *member);
extern int key_read_history_lines(const char *value, HaHistoryLine *lines, int max);
extern bool key_read_failsafe(const char *value, HaFailsafe *list);
extern int key_read_history(const char *value, HaFork *forks, int max);

/* True when "value" is a JSON object; sets what it says of failover. */
extern bool key_read_tags(const char *value, bool *may_lead, int *priority);
/* The tag replicatefrom, empty when there is none. */
extern void key_read_upstream(const char *tags, char upstream[HA_NAME_SIZE]);

/* Writing: JSON in the current memory context. */
extern char *key_write_member(const HaMember *member, bool with_lsn);
extern char *key_write_config(void);
extern char *key_write_status(const HaStatus *status);
extern char *key_write_failover(const HaFailover *failover);
extern char *key_write_order(const HaOrder *order);
extern char *key_write_sync(const HaSyncKey *sync);
extern char *key_write_failsafe(const HaFailsafe *list);
extern char *key_write_claim(int ttl); /* no key: the question to the members */
extern char *key_write_epoch(const char *leader);

/*
 * The history of a timeline from the server's history file, with what
 * "former" (the present value or NULL) knows of the same lines.
 */
extern char *key_write_history(uint32 timeline, const char *leader, const char *former);

#endif
