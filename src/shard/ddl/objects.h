/*-------------------------------------------------------------------------
 * objects.h
 *	  The objects that shards depend on, on every node.
 *
 * Functions, types, operators and whatever else a table's definition uses
 * must exist where its shards are.  What is missing there is
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

/* Does it use a function that finds names by the search_path that it is called with? */
extern bool objects_look_for_names(Relation rel);

/* These objects (ObjectAddress *) and what they depend on, on all groups. */
extern void objects_ensure(List *addresses);

/* The same without these objects themselves. */
extern void objects_ensure_needs(List *addresses);

/* For a group that joins: all that the others have. */
extern void objects_join(int group_id);

#endif
