/*-------------------------------------------------------------------------
 * pool.h
 *	  How many connections the sessions of this server have to a node.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_REMOTE_POOL_H
#define PGCLUSTER_SHARD_REMOTE_POOL_H

/* What a connection counts as. */
typedef enum PoolPlace
{
	POOL_NONE,	  /* nothing */
	POOL_LINE,	  /* waits for a place */
	POOL_GENERAL, /* one of those that anybody may have */
	POOL_RESERVE, /* one of those for sessions that hold others */
	POOL_FREE	  /* not counted: maintenance, and looking at what goes on */
} PoolPlace;

typedef struct RemoteConnection RemoteConnection;

/*
 * May "c" connect to its node now?  If not it stands in line, and is worth
 * another call when pool_turn says so.  Never waits.
 */
extern bool pool_enter(RemoteConnection *c);
extern bool pool_turn(const RemoteConnection *c);

/* The same for a connection that its session can do without: it never stands in line. */
extern bool pool_enter_extra(RemoteConnection *c);

/* Its place, in the line or in the node, is given back.  Never throws. */
extern void pool_leave(RemoteConnection *c);

/* Does somebody wait for a connection to the node of "c"? */
extern bool pool_wanted(const RemoteConnection *c);

/* This session has waited for a lock of a node for long. */
extern void pool_note_stuck(void);

/*
 * After a transaction, or while waiting with "others" in it: gives back what
 * is not to be kept, or what others wait for.  Cheap when there is nothing.
 */
extern void pool_after_transaction(void);
extern void pool_give_back(void);

/* "Relation" of the invalidation message that tells a session to look whether it is asked. */
#define POOL_MESSAGE ((Oid) 1)
extern void pool_asked(void);

/* True when sessions wait, so that those who are asked look what they could give back. */
extern bool pool_somebody_waits(void);

extern void pool_init(void);

#endif
