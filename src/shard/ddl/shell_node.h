/*-------------------------------------------------------------------------
 * shell_node.h
 *	  Shells where they are: on a worker group.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_SHELL_NODE_H
#define PGCLUSTER_SHARD_DDL_SHELL_NODE_H

#include "nodes/nodes.h"

/*
 * Raises an error for a statement that would take a shell for a table with
 * rows, or change one.  "direct": the client sent it itself.
 */
extern void shell_check_statement(Node *stmt, bool direct);

/* A shell is altered, or is to be dropped. */
extern void shell_check_change(Oid relid, bool direct);
extern void shell_forget(Oid relid);

/* Is this a session of the coordinator's, as far as its name tells? */
extern bool shell_session_is_coordinators(void);

#endif
