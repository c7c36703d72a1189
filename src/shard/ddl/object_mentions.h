/*-------------------------------------------------------------------------
 * object_mentions.h
 *	  What the body of a function may need.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_OBJECT_MENTIONS_H
#define PGCLUSTER_SHARD_DDL_OBJECT_MENTIONS_H

#include "nodes/pg_list.h"

/* Functions, types, views and others whose names stand in the function's body, ObjectAddress *. */
extern List *object_mentions(Oid function);

#endif
