/*-------------------------------------------------------------------------
 * sync_names.h
 *	  What commits of this server wait for.
 *
 * The agent sets synchronous_standby_names through postgresql.auto.conf; a
 * setting of the user's own stays where it is and is in force again when the
 * agent's is removed.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HA_SYNC_NAMES_H
#define PGCLUSTER_HA_SYNC_NAMES_H

#include "access/xlogdefs.h"
#include "ha/decide.h"
#include "ha/sync_plan.h"

typedef struct SyncNames
{
	bool quorum;  /* written as ANY, else as a list in order */
	bool anybody; /* whoever streams */
	int count;	  /* 0: commits wait for nobody */
	int n;
	char names[HA_SYNC_MAX][HA_NAME_SIZE];
} SyncNames;

typedef enum SyncNamesState
{
	SYNC_NAMES_FOREIGN,	 /* the agent has set none */
	SYNC_NAMES_CHANGING, /* not in force in every process yet */
	SYNC_NAMES_IN_FORCE
} SyncNamesState;

/* Fills in what the agent set, as far as this process knows. */
extern SyncNamesState sync_names_read(SyncNames *names);

/* Sets them; sync_names_read tells when they are in force. */
extern void sync_names_write(const SyncNames *names);

/* Removes what the agent set. */
extern void sync_names_remove(void);

/*
 * Has a record of WAL written.  A walsender that has read other names looks
 * whether commits may go on only when its standby answers to something, and
 * when all sessions wait there is nothing to answer to.
 */
extern void sync_names_stir(void);

/* For the worker that does it: "latch" wakes it; true when it is asked to. */
extern void sync_names_stirred_by(struct Latch *latch);
extern bool sync_names_take_stir(void);

/* A standby that is connected to this server. */
typedef struct SyncStandby
{
	char name[HA_NAME_SIZE];
	bool streaming; /* has caught up, at least once */
	XLogRecPtr flushed;
} SyncStandby;

extern int sync_names_standbys(SyncStandby *standbys, int max);

/* Asks for shared memory and sees to it that processes tell what they go by; from ha_init. */
extern void sync_names_init(void);

/*
 * True when no standby has confirmed WAL up to there although the session
 * wants commits to wait for that: then its wait was broken off.
 */
extern bool sync_names_is_unconfirmed(XLogRecPtr end);

#endif
