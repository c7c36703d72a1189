/*-------------------------------------------------------------------------
 * export.h
 *	  Snapshots of all nodes that other sessions import, see export.c.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_REMOTE_EXPORT_H
#define PGCLUSTER_SHARD_REMOTE_EXPORT_H

#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"

/* Does the statement export its snapshot? */
extern bool export_is_asked(const PlannedStmt *plan);

/*
 * The transaction, whose snapshots belong together, exports its local one: has
 * the nodes export theirs, and keeps under which names.  Once a transaction.
 */
extern void export_nodes(List *groups);

/*
 * After a statement that imported a snapshot: true when those of the nodes
 * came with it.
 */
extern bool export_import(const VariableSetStmt *statement);

/* How the group's transaction gets its snapshot: a command in static memory, or NULL. */
extern const char *export_command(int group_id);

/* The transaction is over.  Never throws. */
extern void export_end(void);

#endif
