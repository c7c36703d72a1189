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
#include "ha/slot_plan.h"

/* For the files that deal with slots, a copy of what the agent said. */
typedef struct SlotOrders
{
	bool known; /* there were any */
	bool leads; /* this member has the lease, and so makes what is missing */
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
extern int slots_positions(SlotPosition *positions, int max);

/* Before this position pg_wal has nothing; 0: not known. */
extern XLogRecPtr slots_oldest_wal(void);

/* The present orders; those that nobody gave are empty. */
extern void slots_read_orders(SlotOrders *orders);

/*
 * Is the slot one that is carried over to standbys?  Fills "awaited" with the
 * names of the slots whose members may lead next.
 */
extern bool slots_is_carried(const char *name);
extern int slots_awaited(char (*names)[SLOT_NAME_SIZE], int max);

/*
 * slot_ops.c: the slots of this server.  Those that change something may throw, and
 * leave no slot acquired then if slot_ops_clean_up is called.
 */
extern int slot_ops_list(SlotFact *facts, int max);
extern void slot_ops_create_physical(const SlotWish *wish);
extern void slot_ops_advance_physical(const char *name, XLogRecPtr lsn);
extern void slot_ops_drop(const char *name);
extern void slot_ops_mark(SlotOrigin origin); /* of the slot that is acquired */
extern bool slot_ops_has_wal(XLogRecPtr lsn);
extern XLogRecPtr slot_ops_oldest_wal(void);
extern void slot_ops_clean_up(void);

/* slot_logical.c: has the logical slots of these databases seen to. */
extern void slot_logical_attend(const SlotOrders *orders);

#endif
