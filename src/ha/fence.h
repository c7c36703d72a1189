/*-------------------------------------------------------------------------
 * fence.h
 *	  Stops commits when the lease is not provably held.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HA_FENCE_H
#define PGCLUSTER_HA_FENCE_H

/*
 * Installs the callbacks.  Transaction callbacks run last-in first-out: to
 * be called before any other part of the library registers one, so that the
 * fence looks last.
 */
extern void fence_init(void);

#endif
