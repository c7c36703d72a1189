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
 * Looks, before the statement is carried out here, whether nodes have the
 * objects that it changes.  NULL where no statement can concern them.
 */
extern ObjectChange *object_change_begin(UtilityCall *call);

/* The statement is done or has failed: what is dropped from now on is not of it. */
extern void object_change_leave(ObjectChange *change);

/* Carries it out there. */
extern void object_change_finish(ObjectChange *change);

/* The object will be dropped by the statement that runs just now. */
extern void object_change_dropped(Oid class_id, Oid object_id);

#endif
