/*-------------------------------------------------------------------------
 * names.h
 *	  Tables whose functions look for names.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_NAMES_H
#define PGCLUSTER_SHARD_DDL_NAMES_H

#include "postgres_ext.h"

/*
 * May what runs on shards of the distributed table look for names on the
 * search_path?  The answer is kept, and costs a hash probe from then on.
 */
extern bool names_sought(Oid relid);

/* Functions, or what else tables use, are not what they were. */
extern void names_forget(void);

#endif
