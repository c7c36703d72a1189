/*-------------------------------------------------------------------------
 * slots.h
 *	  Replication slots: what the agent says there should be, and the workers
 *	  that see to it.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HA_SLOTS_H
#define PGCLUSTER_HA_SLOTS_H

#include "access/xlogdefs.h"

#include "ha/decide.h"
#include "ha/keys.h"
#include "ha/slot_plan.h"

/* For the files that deal with slots, a copy of what the agent said. */
typedef struct SlotOrders
{
	bool known; /* there were any */
	bool leads; /* this member is the primary of its group, and so makes what is missing */
	int64 ttl_us;
	int64 epoch;		   /* of the leader */
	char leader_host[256]; /* empty: nobody to copy from */
	int leader_port;
	bool direct; /* this server streams from the leader itself */
	int nwishes;
	SlotWish wishes[SLOT_MAX];
	SlotSettings settings;
} SlotOrders;

/* Shared memory and the worker; from ha_init. */
extern void slots_init(void);

/*
 * For the agent.  A step of its turn: passes on what there should be.
 * slots_positions tells where this server's slots stand that others go by.
 */
extern void slots_attend(const HaView *view);
extern int slots_positions(const HaStatus *former, SlotPosition *positions, int max);

/* Before this position pg_wal has nothing; 0: not known. */
extern XLogRecPtr slots_oldest_wal(void);

/* True when the worker that keeps them runs. */
extern bool slots_are_kept(void);

/* The present orders; those that nobody gave are empty. */
extern void slots_read_orders(SlotOrders *orders);

/*
 * If the slot is carried over to standbys, and one that may lead next streams
 * from here: up to where all of those have WAL.  False: nobody is to be
 * waited for.
 */
extern bool slots_least_awaited(const char *name, XLogRecPtr *least);

/* slot_wait.c */
extern void slot_wait_init(void);

/*
 * slot_ops.c: the slots of this server.  Those that change something may throw, and
 * leave no slot acquired then if slot_ops_clean_up is called.
 */
extern int slot_ops_list(SlotFact *facts, int max);
/* For who must not wait: -1 when somebody holds the lock. */
extern int slot_ops_try_list(SlotFact *facts, int max);
extern void slot_ops_create_physical(const SlotWish *wish);
extern void slot_ops_advance_physical(const char *name, XLogRecPtr lsn);
extern void slot_ops_drop(const char *name);
extern void slot_ops_mark(SlotOrigin origin); /* of the slot that is acquired */
extern bool slot_ops_has_wal(XLogRecPtr lsn);
extern XLogRecPtr slot_ops_oldest_wal(void);
extern void slot_ops_clean_up(void);

/*
 * One worker for each database.  False: there is one already.  It is told of
 * in shared memory as long as the process lives.
 */
extern bool slots_enter_worker(const char *database);
extern bool slots_worker_runs(const char *database);
/* The worker waits for the leader, or does not any more. */
extern void slots_note_call(bool calling);
/* For the agent: slots were made or dropped since it last asked for their positions. */
extern bool slots_have_changed(void);
extern void slots_note_change(void);

/* slot_logical.c: has the logical slots of these databases seen to. */
extern void slot_logical_attend(const SlotOrders *orders);

#endif
