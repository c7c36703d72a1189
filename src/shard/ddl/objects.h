/*-------------------------------------------------------------------------
 * objects.h
 *	  The objects that shards depend on, on every node.
 *
 * Functions, types, domains, collations and extensions that a table's
 * definition uses must exist where its shards are.  What is missing there is
 * made, with what it depends on itself, as part of the present transaction.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_OBJECTS_H
#define PGCLUSTER_SHARD_DDL_OBJECTS_H

#include "catalog/objectaddress.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"

/* Everything the table's definition uses, on all groups. */
extern void objects_ensure_table(Relation rel);

/* These objects (ObjectAddress *) and what they depend on, on these groups. */
extern void objects_ensure(List *addresses, List *group_ids);

#endif
