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

/*
 * Copies the server of "source" into the data directory; with keep_config
 * the configuration files there stay.  On failure nothing is changed.
 */
extern ProcessResult clone_data_directory(const char *source, bool keep_config);

#endif
