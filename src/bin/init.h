/*-------------------------------------------------------------------------
 * init.h
 *	  The data directory of the first member of a group.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_BIN_INIT_H
#define PGCLUSTER_BIN_INIT_H

#include "process.h"

/*
 * Makes the data directory.  The claim on the group must be held, and still
 * be held at the end, or nothing is left behind.
 */
extern ProcessResult init_data_directory(void);

#endif
