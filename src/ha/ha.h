/*-------------------------------------------------------------------------
 * ha.h
 *	  The entry of the high availability half; the rest of the library uses
 *	  ha/state.h.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HA_HA_H
#define PGCLUSTER_HA_HA_H

/* Registers shared memory, the agent and the fence; called from _PG_init. */
extern void ha_init(void);

#endif
