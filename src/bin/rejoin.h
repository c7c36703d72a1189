/*-------------------------------------------------------------------------
 * rejoin.h
 *	  Brings data that have diverged back in line with the leader's.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BIN_REJOIN_H
#define PGCLUSTER_BIN_REJOIN_H

#include "process.h"

/* True when the agent asked for a rejoin, or one was interrupted. */
extern bool rejoin_is_due(void);

/*
 * Rewinds the data (of a stopped server) to follow the leader at "source",
 * or clones it.  On failure the request stands and this may be called again.
 */
extern ProcessResult rejoin_data_directory(const char *source);

/* The leader that the agent named in its request, NULL: none. */
extern char *rejoin_requested_source(void);

#endif
