/*-------------------------------------------------------------------------
 * object_catalog.h
 *	  Which objects the nodes have, as far as they were made or found there.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_OBJECT_CATALOG_H
#define PGCLUSTER_SHARD_DDL_OBJECT_CATALOG_H

#include "catalog/objectaddress.h"
#include "nodes/pg_list.h"

extern bool object_catalog_has(Oid class_id, Oid object_id);
extern void object_catalog_insert(Oid class_id, Oid object_id);

/* False when there was no such row. */
extern bool object_catalog_delete(Oid class_id, Oid object_id);

/* All of them, ObjectAddress *. */
extern List *object_catalog_read(void);

#endif
