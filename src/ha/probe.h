/*-------------------------------------------------------------------------
 * probe.h
 *	  Finds out whether this server still does what a leader is there for.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_HA_PROBE_H
#define PGCLUSTER_HA_PROBE_H

/* Asks for the shared memory and registers the worker; from ha_init. */
extern void probe_init(void);

/*
 * The reason, in "reason", why this server cannot be relied on any more;
 * false: it can.  Asks nobody and never waits.  "awake_us": since when the
 * caller itself was not held up; what happened before is not counted.
 */
extern bool probe_has_failed(int64 awake_us, char *reason, size_t size);

/* The worker has looked at least once since the server started. */
extern bool probe_is_running(void);

#endif
