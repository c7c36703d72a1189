/*-------------------------------------------------------------------------
 * sync_gate.h
 *	  Holds reads back until what a restart has brought to light is safe.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HA_SYNC_GATE_H
#define PGCLUSTER_HA_SYNC_GATE_H

/* Asks for shared memory and installs the hooks; from ha_init, after the fence. */
extern void sync_gate_init(void);

/* For the agent, which alone moves it. */
extern bool sync_gate_is_open(void);
extern void sync_gate_set(bool open);

#endif
