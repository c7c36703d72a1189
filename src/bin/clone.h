/*-------------------------------------------------------------------------
 * clone.h
 *	  Copies of the group's leader.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BIN_CLONE_H
#define PGCLUSTER_BIN_CLONE_H

#include "process.h"

/*
 * Where the group's leader is, as a connection string without password; NULL
 * when nobody leads or etcd gave no answer, which is said once.
 */
extern char *clone_find_leader(void);

/* The same of the cluster that this group follows; NULL when it follows none. */
extern char *clone_find_remote(void);

/* True when the group's leader is itself a standby, of another cluster. */
extern bool clone_leader_is_standby(void);

/*
 * Copies the server of "source", or the member that asks to be cloned instead
 * of it, into the data directory; with keep_config the configuration files
 * there stay.  On failure nothing is changed.
 */
extern ProcessResult clone_data_directory(const char *source, bool keep_config);

#endif
