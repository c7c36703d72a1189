/*-------------------------------------------------------------------------
 * restart.h
 *	  Restarts a server so that a leader leads on.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BIN_RESTART_H
#define PGCLUSTER_BIN_RESTART_H

#define RESTART_FILE "pgcluster.restart"

/* True when the agent asked for a restart of the server that runs. */
extern bool restart_is_due(void);

/* Takes up the request: from now on the server's lease is kept. */
extern void restart_begin(void);

/* A server starts: the request is fulfilled, the lease is kept until it has it. */
extern void restart_served(void);

/* The server does not come back: somebody else may lead at once. */
extern void restart_give_up(void);

#endif
