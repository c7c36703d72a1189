/*-------------------------------------------------------------------------
 * slot_plan.h
 *	  Which replication slots this server should have, and what is to be done
 *	  about those it has.
 *
 * Plain C: needs nothing of the server, so that a unit test links the very
 * object.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HA_SLOT_PLAN_H
#define PGCLUSTER_HA_SLOT_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "ha/sections.h"

#define SLOT_MAX 160

/* For whom a slot was made. */
typedef enum SlotOrigin
{
	SLOT_FOREIGN,	/* by somebody else */
	SLOT_OF_MEMBER, /* for a member of the group */
	SLOT_PERMANENT	/* for the group's settings */
} SlotOrigin;

/* A member of the group. */
typedef struct SlotMember
{
	const char *name;
	bool is_self;
	bool may_lead;
	uint32_t timeline;
	uint64_t lsn; /* up to where it has WAL; 0: not known */
} SlotMember;

/* Where the leader's slots stand. */
typedef struct SlotPosition
{
	char name[SLOT_NAME_SIZE];
	uint64_t lsn;
} SlotPosition;

/* What this server is. */
typedef struct SlotSituation
{
	bool primary;
	bool standby_cluster; /* the group follows another cluster */
	bool keeps;			  /* slots for other members: leads, may lead, or is streamed from */
	uint32_t timeline;
	int nmembers;
	const SlotMember *members;
	int npositions;
	const SlotPosition *positions;
} SlotSituation;

/* A slot that should be there. */
typedef struct SlotWish
{
	char name[SLOT_NAME_SIZE];
	SlotOrigin origin;
	SlotKind kind;
	char database[SLOT_NAME_SIZE];
	char plugin[SLOT_NAME_SIZE];
	bool awaited;	   /* its member may lead */
	bool existed;	   /* a leader had it, be it on another server */
	uint64_t position; /* nobody needs WAL before it; 0: not known */
} SlotWish;

/* A slot that is there. */
typedef struct SlotFact
{
	char name[SLOT_NAME_SIZE];
	SlotOrigin origin;
	SlotKind kind;
	char plugin[SLOT_NAME_SIZE];
	bool active;
	bool invalid;		  /* the WAL it was for has gone */
	uint64_t restart_lsn; /* 0: it keeps none yet */
	/* of a logical slot */
	uint32_t database;
	uint64_t confirmed_lsn;
	uint32_t catalog_xmin;
	int64_t unwanted_since; /* 0: it was not, until now */
} SlotFact;

typedef enum SlotVerb
{
	SLOT_CREATE,
	SLOT_ADVANCE,
	SLOT_DROP
} SlotVerb;

typedef struct SlotStep
{
	SlotVerb verb;
	const SlotWish *wish; /* SLOT_CREATE, SLOT_ADVANCE */
	const SlotFact *fact; /* SLOT_ADVANCE, SLOT_DROP */
	uint64_t lsn;		  /* SLOT_ADVANCE: to there */
	const char *reason;	  /* static */
} SlotStep;

typedef struct SlotLimits
{
	int64_t now_us;
	int64_t ttl_us;		   /* member_slots_ttl */
	uint64_t redo;		   /* WAL from here on is kept in any case */
	uint64_t segment_size; /* WAL is removed by whole ones */
} SlotLimits;

/* The name of a member's slot. */
extern void slot_name_of(const char *member, char name[SLOT_NAME_SIZE]);

/*
 * Fills "wishes" and returns how many there are.  The name of a member whose
 * slot would collide with another one is stored in *collides, else NULL.
 */
extern int slot_wishes(const SlotSituation *situation, const SlotSettings *settings,
					   SlotWish *wishes, int max, const char **collides);

extern const SlotWish *slot_find_wish(const SlotWish *wishes, int n, const char *name);

/*
 * Fills "steps", at most one for a wish or fact, and returns how many there
 * are.  Keeps account in the facts of since when they are not wanted.
 */
extern int slot_plan(const SlotWish *wishes, int nwishes, SlotFact *facts, int nfacts,
					 const SlotSettings *settings, const SlotLimits *limits, SlotStep *steps);

#endif
