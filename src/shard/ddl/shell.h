/*-------------------------------------------------------------------------
 * shell.h
 *	  Shells: a distributed table as it exists, empty, on every node.
 *
 * To those who send commands to shards the shells of a table are one shard
 * more, whose schema is the table's own and which every other server has.
 *-------------------------------------------------------------------------
 */
#ifndef PGCLUSTER_SHARD_DDL_SHELL_H
#define PGCLUSTER_SHARD_DDL_SHELL_H

#include "nodes/pg_list.h"
#include "utils/relcache.h"

#include "shard/metadata/metadata.h"

/* The shards of a colocation group, and then the shells: this many in all. */
#define shell_end(colocation) ((colocation)->nshards + 1)
extern const Shard *shell_or_shard(const Colocation *colocation, int i);

#define is_shell(shard_id) ((shard_id) == SHELL_SHARD)

/* Makes the table's schema where it is missing. */
extern List *shell_schema(Oid schema);

/*
 * The command that tells a node that this table is a shell, and where the
 * rows are; the table is there already.
 */
extern char *shell_register(Relation rel);

/*
 * Commands for defaults that nodes cannot compute: using one is an error
 * there.  "before": columns that had such a default (AttrNumber, ints).
 */
extern List *shell_defaults(Relation rel, List *before);
extern List *shell_local_defaults(Relation rel);

#endif
