/*-------------------------------------------------------------------------
 * sync_plan.h
 *	  In which order the standbys that commits wait for, and those that may
 *	  lead, are changed.
 *
 * Plain C: this header and sync_plan.c need nothing of the server, so that a
 * unit test and a simulator link the very object that the agent runs.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HA_SYNC_PLAN_H
#define PGCLUSTER_HA_SYNC_PLAN_H

#include <stdbool.h>
#include <stdint.h>

/* Members of the group other than the leader, one bit each. */
typedef uint64_t HaSyncSet;
#define HA_SYNC_MAX 64
#define HA_SYNC_ANYBODY UINT64_MAX /* as names only: whoever streams */

typedef struct HaSyncState
{
	/* the key: who may lead with the votes of "quorum" other voters; none: only the leader */
	HaSyncSet voters;
	int quorum;
	/* synchronous_standby_names: a commit waits for "count" of these; 0: for nobody */
	HaSyncSet names;
	int count;
} HaSyncState;

typedef struct HaSyncGoal
{
	HaSyncSet members; /* to wait for, and that may lead */
	int count; /* how many of them a commit waits for; without any, 0: for nobody, else: for ever */
	bool quiet; /* no commit can be acknowledged at present */
} HaSyncGoal;

typedef enum HaSyncStep
{
	SYNC_STAY,
	SYNC_SET_NAMES, /* and wait until they are in force in every process */
	SYNC_SET_KEY	/* once ha_sync_may_write says so */
} HaSyncStep;

typedef struct HaSyncPlan
{
	HaSyncStep step;
	HaSyncState next;	/* after the step */
	const char *reason; /* static */
} HaSyncPlan;

/* The next step from a state towards the goal. */
extern HaSyncPlan ha_sync_plan(const HaSyncState *now, const HaSyncGoal *goal);

/*
 * True when each set of members that a candidate may take for enough shares
 * a member with each set that is enough to acknowledge a commit.
 */
extern bool ha_sync_is_safe(const HaSyncState *state);

/*
 * Who is known to have the commits that were acknowledged so far: all but
 * "missing" of "among" at least.
 */
typedef struct HaSyncHolders
{
	HaSyncSet among;
	int missing;
} HaSyncHolders;

/*
 * True when the key may name these voters, as far as earlier commits go.
 * "caught_up" are members that have everything up to a position that was
 * taken after the present names came into force.
 */
extern bool
ha_sync_may_write(const HaSyncHolders *holders, HaSyncSet caught_up, HaSyncSet voters, int quorum);

extern int ha_sync_size(HaSyncSet set);

#endif
