/*-------------------------------------------------------------------------
 * sim.h
 *	  A group of members, its store, its network and its clock in one process.
 *
 * world.c is time and tasks, net.c messages, store.c etcd and its client,
 * server.c PostgreSQL, agent_keys.c the values of keys, writer.c the clients,
 * fault.c what goes wrong, check.c what must hold, main.c the runs.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SIM_H
#define PGCLUSTER_SIM_H

#include "postgres.h"

#include "ha/agent.h"
#include "ha/server.h"
#include "ha/sync_names.h"

#define MAX_MEMBERS 7
#define STORE MAX_MEMBERS /* the store's place in the network */
#define MAX_TIMELINES 250
#define MS INT64CONST(1000)
#define SECOND INT64CONST(1000000)
#define NEVER INT64_MAX
#define MAXIMUM_LAG 100000

typedef struct Task Task;
typedef struct Client Client;

/* synchronous_standby_names as the agent sets it, see sync.c. */
typedef struct ServerNames
{
	int serial; /* 0: it has set none */
	SyncNames names;
} ServerNames;

/* An agent. */
typedef struct Process
{
	Agent agent;
	Task *task;
	Client *client;
	Latch latch;
	bool shutdown_pending;
	MemoryContext top;
	int64 paused_until;
	int pause_in; /* reads of the clock until it is paused; 0: it is not */
	int64 pause_for;
	int throw_in;	   /* reads of the clock until it meets an error */
	ServerNames names; /* as it read them last */
	int written_serial;
	HaLease decided_lease; /* of the last view */
	bool decided_proven;
	int64 decided_at;
} Process;

typedef enum Phase
{
	PHASE_DOWN,
	PHASE_CRASH,   /* crash recovery */
	PHASE_STANDBY, /* archive recovery */
	PHASE_PRIMARY
} Phase;

/* What a standby's walreceiver and its upstream's walsender share. */
typedef struct Session
{
	bool alive;
	int serial;
	int upstream;
	int64 unheard_since;
	int flushed;	   /* what the upstream knows of */
	ServerNames names; /* that its walsender goes by */
} Session;

typedef enum HistoryFile
{
	FILE_NONE,
	FILE_REAL,
	FILE_SKIPPED
} HistoryFile;

typedef struct Member
{
	int id;
	char name[16];
	bool may_lead;
	int priority;
	int sync_priority; /* 0: nosync */
	uint64 system_identifier;
	bool stranger; /* not one of the group, whatever its name */

	/* the machine */
	int ppm; /* how much faster than true its clock goes */
	int64 clock_base;
	int64 paused_until;
	int pause_in;
	int64 pause_for;
	int boots;
	char instance[24];
	int64 disk_delay;	/* added to each write */
	int64 unwell_until; /* it cannot write, as its probe finds */
	int64 full_until;	/* its disk */
	bool tags_changed;

	/* on disk */
	int head; /* the last record of WAL */
	bool standby_signal;
	bool in_production;	  /* was not shut down */
	int upstream;		  /* primary_conninfo; -1: empty */
	int64 recovery_extra; /* what the next crash recovery takes longer */
	ServerNames names;
	bool rejoin_wanted;
	bool data_lost;	   /* a clone is needed */
	int consistent_at; /* the record to replay up to after a rewind */
	HistoryFile files[MAX_TIMELINES];

	/* the server */
	bool postmaster;
	int run;	  /* changes with each start and crash-restart */
	int backends; /* changes when the sessions end */
	Phase phase;
	bool consistent;
	bool was_primary;	/* when this start began */
	bool asked_for_wal; /* since */
	bool waits_for_wal; /* that is not here */
	int replayed;
	bool promoting;
	bool stopping;
	int failed_starts;
	uint64 redo;
	uint32 checkpointed_timeline;
	HaShared *shared;
	Process *process;
	Session session;   /* as a standby */
	bool commits_wait; /* as the checkpointer says */
	bool shows;		   /* tables to sessions, see shown.c */
	int released;	   /* what commits up to this depth wait for has come */
	int backend_pause_in;
	int64 backend_pause_for;
} Member;

/* world.c: time, chance, tasks, memory */
extern int64 world_now;
extern bool world_tracing;
extern bool world_failed;
extern char world_failure[512];
typedef void (*EventFn)(void *a, int64 b);
extern void world_begin(uint64 seed);
extern bool world_step(void); /* false: nothing left, or failed */
extern void world_at(int64 when, EventFn fn, void *a, int64 b);
extern void *world_alloc(size_t size);
extern const char *world_text(const char *text);
extern void world_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern void world_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern uint64 chance_next(void);
extern int64 chance_between(int64 low, int64 high);
extern bool chance_of(int permille);
extern uint64 chance_swap(uint64 state); /* for a while */
extern uint64 world_digest(void);		 /* of all that happened */

extern Task *task_start(Member *home, Process *process, void (*main)(void *), void *arg);
extern bool task_wait(int64 until); /* true: woken */
extern void task_sleep(int64 us);
extern void task_wake(Task *task);
extern void task_kill(Task *task);
extern void task_exit(void) __attribute__((noreturn));
extern Task *task_current(void);

extern Member *self; /* whose machine the task runs on */
extern Agent *sim_agent;
extern int64 member_clock(const Member *m); /* never pauses */
extern int64 member_paused_until(const Member *m, const Process *p);
extern void process_free(Process *p);

/* net.c */
extern bool net_cut[MAX_MEMBERS + 1][MAX_MEMBERS + 1];
extern int net_slow_permille; /* messages that are late */
extern int64 net_slow_us;	  /* by so much at most */
extern int net_loss_permille; /* messages that are sent again */
extern void net_begin(void);
extern void net_send(int from, int to, EventFn fn, void *a, int64 b);
extern void net_send_late(int from, int to, int64 extra, EventFn fn, void *a, int64 b);
extern bool net_open(int a, int b); /* both ways */

/* store.c */
typedef enum StoreState
{
	STORE_UP,
	STORE_REFUSES, /* nothing listens */
	STORE_FROZEN,  /* requests are answered when it goes on */
	STORE_SILENT   /* requests vanish */
} StoreState;
#define N_SLOTS (N_HA_KEYS + MAX_MEMBERS)
extern void store_begin(void);
extern void store_set_state(StoreState state);
extern StoreState store_state(void);
extern void store_compact(void);
extern int64 store_delay; /* each request waits for up to so long, and so does its answer */
extern const char *store_value(int slot);
/* By somebody else, while the leader key is on it; false: it need not be kept any more. */
extern bool store_keep_lease(int64 lease);
extern int64 store_revision_of(int slot);			/* of its creation */
extern void store_put(int slot, const char *value); /* by somebody else */
extern void store_wipe(void);						/* deletes all keys */
extern int store_last_leader;						/* who acquired the leader key last */
extern void client_free(Client *client);
extern int store_slot(const char *key);

/* server.c */
typedef struct Record
{
	int parent;
	int depth;
	uint32 timeline;
	uint64 lsn; /* where it ends */
	bool acknowledged;
	int marked;
} Record;
extern Record *records;
extern Member members[MAX_MEMBERS];
extern int nmembers;
extern int nservers;	  /* with those that are none of the group's */
extern int sync_standbys; /* that a commit waits for, whichever they are */
extern void server_begin(int n);
extern int server_append(Member *m); /* WAL on a primary */
extern bool server_is_ancestor(int older, int newer);
extern void server_fail_agent(Member *m);
extern void server_add_stranger(bool taken); /* by the name of a member, or of another cluster */
extern bool server_disk_is_full(const Member *m);
extern void server_replace(Member *m);		 /* by an empty one under its name */
extern void server_crash(Member *m);		 /* a backend: crash-restart */
extern void server_kill(Member *m);			 /* the postmaster */
extern void server_power_off(Member *m);	 /* and all else */
extern void server_stop(Member *m);			 /* in order, and start again */
extern uint64 server_looks(const Member *m); /* to its agent: another number, another look */
/* In order, while pgcluster_node keeps the lease. */
extern void server_restart_kept(Member *m);
/* In a session. */
extern void server_ask_switchover(Member *m, const char *candidate);
extern bool member_fence_is_open(const Member *m);
extern bool member_may_commit(const Member *m);

/* agent_keys.c */
extern void keys_begin(void);
extern const char *key_write_group(const HaConfig *config);

/* sync.c */
extern void sync_server_starts(Member *m);
extern void sync_session_starts(Member *standby);
extern void sync_confirmed(const Member *standby);
extern bool sync_is_released(const Member *m, int record);

/* writer.c */
extern void writer_begin(void);

/* fault.c */
extern HaConfig group_config; /* as schedules set it; see key_write_group */
extern bool fault_over;		  /* all is healed */
extern int64 fault_healed;	  /* when */
extern int fault_count;		  /* in this schedule */
extern uint64 fault_dropped;  /* bits of those that are left out */
extern void fault_begin(void);
extern void fault_heal(void *a, int64 b);
extern void fault_put_config(void);
extern void fault_cut(int a, int b, int way); /* 0: both ways, 1: from "a" to "b", 2: the other */
extern void fault_mend_after(int64 us);
extern void fault_stop_store(StoreState how, int64 us);

/* single.c */
extern const char *single_only; /* schedules of this story only; "any": of any */
extern bool fault_is_single;	/* this schedule has one fault, of which more is known: */
extern int64 fault_gap;			/* how long nobody may lead */
extern int fault_next_leader;	/* who leads afterwards; -1: anybody */
extern int fault_unwell;		/* who does not lead when all is healed; -1: anybody may */
extern uint32 fault_unfit;		/* bits of members that may not take the lead now */
extern bool fault_may_lose;		/* acknowledged commits that not all standbys have */
extern bool fault_no_election;	/* nobody but the last leader may lead now */
extern void single_choose(void);
extern void single_begin(void);
extern void single_list(void);

/* check.c */
typedef struct Statistics
{
	long schedules;
	long acquisitions;
	long promotions;
	long demotions;
	long rewinds;
	long switchovers;
	long acknowledged;
	long promised; /* of them, by the sync key */
	long unknown;  /* commits whose second look found the fence closed */
	long lost;	   /* acknowledged commits where none was promised */
	int64 simulated;
	int64 slowest_leader;
	int64 slowest_member;
} Statistics;
extern Statistics statistics;
extern void check_begin(void);
extern void check_step(void);
extern bool check_settled(void); /* all is well again */
extern bool check_acknowledged_since(int64 when, int member);
extern bool check_switchover_over(void); /* the key that asks for one is gone */
extern void check_void_promises(void);	 /* what was acknowledged so far may be lost */
extern void check_follows(const Member *m, int upstream);
extern void check_rejoins(const Member *m, int source);
extern void check_acquired(int member, int former, bool handed_over);
extern void check_promoted(const Member *m, int former, uint32 timeline);
extern void check_acknowledged(Member *m, int record);
extern void check_shown(const Member *m, int record);
extern void check_handed_over(int member);

#endif
