/*-------------------------------------------------------------------------
 * object_change.h
 *	  Changes of objects that nodes have, carried out there too.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_OBJECT_CHANGE_H
#define PGCLUSTER_SHARD_DDL_OBJECT_CHANGE_H

#include "shard/ddl/utility.h"

typedef struct ObjectChange ObjectChange;

/*
 * Looks, before the statement is carried out here, which nodes have the
 * objects that it changes or drops; NULL when none has.
 */
extern ObjectChange *object_change_begin(UtilityCall *call);

/* Carries it out there. */
extern void object_change_finish(ObjectChange *change);

#endif
